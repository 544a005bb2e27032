//! Networks of other programs: known, so that people are told what to make of them, and not read.

use std::fmt;
use std::path::Path;

/// A way to keep networks that is not read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFormat {
    /// A TensorFlow SavedModel: a folder, or its `saved_model.pb`.
    SavedModel,
    /// A frozen TensorFlow graph.
    TensorFlowGraph,
    /// Variables that TensorFlow's `Saver` wrote.
    TensorFlowCheckpoint,
    /// TensorFlow Lite.
    TfLite,
    /// Apple's Core ML.
    CoreMl,
    /// Intel's `OpenVINO`.
    OpenVino,
    /// Caffe.
    Caffe,
    /// `MXNet` or Gluon.
    MxNet,
    /// Flax or Orbax, of JAX.
    Jax,
    /// `PaddlePaddle`.
    Paddle,
    /// GGUF, of language models.
    Gguf,
    /// Darknet.
    Darknet,
    /// scikit-learn, perhaps by joblib.
    ScikitLearn,
    /// MATLAB, as `MatConvNet`'s models are.
    Matlab,
    /// Torch for Lua.
    Torch7,
    /// ncnn.
    Ncnn,
    /// `TensorRT`.
    TensorRt,
    /// The list that says which shard holds which tensor.
    ShardIndex,
}

impl OtherFormat {
    /// What to do with such a file, to follow what it is.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::SavedModel => {
                ": python -m tf2onnx.convert --saved-model FOLDER --output model.onnx gives what is read here, and so \
                 does model.save('model.keras') of a Keras model"
            }
            Self::TensorFlowGraph => {
                ": python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx gives \
                 what is read here"
            }
            Self::TensorFlowCheckpoint => {
                ": in Python, r = tf.train.load_checkpoint('model.ckpt'), then numpy.savez('weights.npz', **{n: \
                 r.get_tensor(n) for n in r.get_variable_to_shape_map()}) gives what is read here"
            }
            Self::TfLite => {
                ": python -m tf2onnx.convert --tflite FILE --output model.onnx gives what is read here"
            }
            Self::OpenVino | Self::CoreMl | Self::TensorRt | Self::Ncnn => {
                ": it was made from a model of another program; export that as ONNX"
            }
            Self::Caffe => {
                ": in Python, with both of its files, net = caffe.Net('deploy.prototxt', 'model.caffemodel', caffe.TEST), \
                 then numpy.save('weights.npy', {n: [b.data for b in p] for n, p in net.params.items()}), or convert it to \
                 ONNX"
            }
            Self::MxNet => {
                ": mxnet.onnx.export_model('model-symbol.json', 'model-0000.params', ...) gives what is read here"
            }
            Self::Jax => {
                ": in Python, flatten the parameters with flax.traverse_util.flatten_dict(params, sep='/') and write them \
                 with safetensors.flax.save_file"
            }
            Self::Paddle => ": paddle2onnx gives what is read here",
            Self::Gguf => ", which holds language models: there is no picture to explain",
            Self::Darknet => {
                ": load it with a converter to PyTorch and torch.save its state_dict(), or export it as ONNX"
            }
            Self::ScikitLearn => ", not a network over pictures: there is no layer to explain",
            Self::Matlab => {
                ": in Python, scipy.io.loadmat('model.mat')['layers'] has the layers; numpy.save them as {'conv1_1': \
                 [weights, biases], ...}"
            }
            Self::Torch7 => {
                ": load it in Lua Torch or with torchfile in Python, and save its weights with torch.save"
            }
            Self::ShardIndex => {
                ": give the weights file that it names; several must be saved as one first"
            }
        }
    }
}

impl fmt::Display for OtherFormat {
    /// With its article, for a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SavedModel => "a TensorFlow SavedModel",
            Self::TensorFlowGraph => "a frozen TensorFlow graph",
            Self::TensorFlowCheckpoint => "a TensorFlow checkpoint",
            Self::TfLite => "a TensorFlow Lite model",
            Self::CoreMl => "a Core ML model",
            Self::OpenVino => "an OpenVINO model",
            Self::Caffe => "a Caffe model",
            Self::MxNet => "an MXNet model",
            Self::Jax => "a file of JAX (Flax or Orbax)",
            Self::Paddle => "a PaddlePaddle model",
            Self::Gguf => "a GGUF file",
            Self::Darknet => "weights of Darknet",
            Self::ScikitLearn => "a pickled model of scikit-learn",
            Self::Matlab => "a MATLAB file",
            Self::Torch7 => "a file of Torch for Lua",
            Self::Ncnn => "an ncnn model",
            Self::TensorRt => "a TensorRT engine",
            Self::ShardIndex => "the index of weights in several files",
        })
    }
}

/// The format of a file that begins with `prefix`, where its first bytes tell.
pub(super) fn of(prefix: &[u8]) -> Option<OtherFormat> {
    const MAGICS: [(&[u8], OtherFormat); 8] = [
        (b"GGUF", OtherFormat::Gguf),
        (b"\x12\x01\0\0\0\0\0\0", OtherFormat::MxNet),
        (b"MATLAB ", OtherFormat::Matlab),
        (b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1", OtherFormat::Torch7),
        (b"\0\0\0\0\x01\0\0\0\0\0\0\0", OtherFormat::Darknet),
        (b"\0\0\0\0\x02\0\0\0\0\0\0\0", OtherFormat::Darknet),
        (b"\0\0\0\0\x02\0\0\0\x05\0\0\0", OtherFormat::Darknet),
        (b"ftrt", OtherFormat::TensorRt),
    ];
    if let Some((_, format)) = MAGICS.iter().find(|(magic, _)| prefix.starts_with(magic)) {
        return Some(*format);
    }
    if prefix.get(4..8) == Some(b"TFL3") {
        return Some(OtherFormat::TfLite);
    }
    protobuf(prefix).or_else(|| msgpack(prefix))
}

/// The models that are protobufs, by their first fields.
fn protobuf(prefix: &[u8]) -> Option<OtherFormat> {
    match prefix {
        // A version, then a message (ONNX has a text there), of which the first field is a message again.
        [0x08, 1..=31, 0x12, rest @ ..] => {
            let (_, message) = length(rest)?;
            let [0x0a, rest @ ..] = message else {
                return None;
            };
            match length(rest)?.1.first()? {
                // A feature's name
                0x0a => Some(OtherFormat::CoreMl),
                _ => Some(OtherFormat::SavedModel),
            }
        }
        [0x0a, rest @ ..] => {
            let (bytes, rest) = length(rest)?;
            match rest {
                // The name of the first node, then its operation
                [0x0a, node @ ..] => {
                    let (name, node) = length(node)?;
                    let node = is_word(node, name).then(|| node.get(name..))??;
                    let (operation, node) = length(node.strip_prefix(&[0x12])?)?;
                    is_word(node, operation).then_some(OtherFormat::TensorFlowGraph)
                }
                // The network's name, then a layer, of the older kind or the newer
                _ if is_word(rest, bytes) => match rest.get(bytes..)? {
                    [0xa2, 0x06, ..] | [0x12 | 0x1a, ..] => Some(OtherFormat::Caffe),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// A varint, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (i, &byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((length, &bytes[i + 1..]));
        }
    }
    None
}

/// Whether `bytes` begin with so many printable ones, and with one at least.
fn is_word(bytes: &[u8], length: usize) -> bool {
    let word = bytes.get(..length).unwrap_or_default();
    !word.is_empty() && word.iter().all(|byte| (b' '..0x7f).contains(byte))
}

/// A map whose first key is a text, as Flax writes.
fn msgpack(prefix: &[u8]) -> Option<OtherFormat> {
    let ([0x81..=0x8f, key @ ..] | [0xde, _, _, key @ ..]) = prefix else {
        return None;
    };
    let (&length, key) = key.split_first()?;
    let length = length.checked_sub(0xa0).filter(|&length| length < 0x20)?;
    is_word(key, length.into()).then_some(OtherFormat::Jax)
}

/// The format of a text, where its words tell.
pub(super) fn of_text(text: &[u8]) -> Option<OtherFormat> {
    let has = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
    if text.starts_with(b"7767517") {
        Some(OtherFormat::Ncnn)
    } else if text.starts_with(b"{") && has(b"\"weight_map\"") {
        Some(OtherFormat::ShardIndex)
    } else if text.starts_with(b"<?xml") && has(b"<net ") {
        Some(OtherFormat::OpenVino)
    } else if text.starts_with(b"model_checkpoint_path") {
        Some(OtherFormat::TensorFlowCheckpoint)
    } else if has(b"layer {") || has(b"layers {") || has(b"input_dim:") {
        Some(OtherFormat::Caffe)
    } else {
        None
    }
}

/// What ends a table of variables, as TensorFlow's `Saver` writes it.
pub(super) const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// Extensions of these formats, for files whose bytes do not tell.
const EXTENSIONS: [(&str, OtherFormat); 18] = [
    ("index", OtherFormat::TensorFlowCheckpoint),
    ("pb", OtherFormat::TensorFlowGraph),
    ("tflite", OtherFormat::TfLite),
    ("mlmodel", OtherFormat::CoreMl),
    ("mlpackage", OtherFormat::CoreMl),
    ("mlmodelc", OtherFormat::CoreMl),
    ("caffemodel", OtherFormat::Caffe),
    ("prototxt", OtherFormat::Caffe),
    ("params", OtherFormat::MxNet),
    ("msgpack", OtherFormat::Jax),
    ("pdparams", OtherFormat::Paddle),
    ("pdmodel", OtherFormat::Paddle),
    ("gguf", OtherFormat::Gguf),
    ("weights", OtherFormat::Darknet),
    ("joblib", OtherFormat::ScikitLearn),
    ("mat", OtherFormat::Matlab),
    ("t7", OtherFormat::Torch7),
    ("engine", OtherFormat::TensorRt),
];

pub(super) fn of_extension(extension: &str) -> Option<OtherFormat> {
    let known = |(known, _): &&(&str, OtherFormat)| known.eq_ignore_ascii_case(extension);
    EXTENSIONS.iter().find(known).map(|(_, format)| *format)
}

/// The format of a network that is a folder.
pub(in crate::weights) fn of_folder(path: &Path) -> Option<OtherFormat> {
    let has = |name: &str| path.join(name).exists();
    let extension = path.extension().and_then(|extension| extension.to_str());
    if has("saved_model.pb") {
        Some(OtherFormat::SavedModel)
    } else if has("_CHECKPOINT_METADATA") || has("_METADATA") {
        Some(OtherFormat::Jax)
    } else {
        let format = extension.and_then(of_extension);
        format.filter(|format| *format == OtherFormat::CoreMl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_other_programs_are_known_by_their_first_bytes() {
        let cases: [(&[u8], OtherFormat); 11] = [
            (b"GGUF\x03\0\0\0", OtherFormat::Gguf),
            (b"\x1c\0\0\0TFL3\0\0", OtherFormat::TfLite),
            (b"\x12\x01\0\0\0\0\0\0\0\0", OtherFormat::MxNet),
            (
                b"\x08\x04\x12\x60\x0a\x20\x0a\x05image",
                OtherFormat::CoreMl,
            ),
            (
                b"\x08\x01\x12\xe4\xa9\x04\x0a\x3a\x12\x30\x0a",
                OtherFormat::SavedModel,
            ),
            (
                b"\x0a\x2c\x0a\x05input\x12\x0bPlaceholder\x2a",
                OtherFormat::TensorFlowGraph,
            ),
            (b"\x0a\x05VGG16\xa2\x06\x80\x01\x0a", OtherFormat::Caffe),
            (b"\x0a\x05VGG16\x12\x20\x0a", OtherFormat::Caffe),
            (b"\x81\xa6params\x82", OtherFormat::Jax),
            (
                b"\0\0\0\0\x02\0\0\0\x05\0\0\0\x40\x01\xe9\0",
                OtherFormat::Darknet,
            ),
            (
                b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
                OtherFormat::Matlab,
            ),
        ];
        for (bytes, format) in cases {
            assert_eq!(of(bytes), Some(format), "{bytes:x?}");
        }
        for onnx in [
            &b"\x08\x07\x12\x07pytorch\x1a"[..],
            b"\x08\x03\x12\0\x3a\x20",
            b"\x08\x08:",
        ] {
            assert_eq!(of(onnx), None, "{onnx:x?}");
        }
        for short in [
            &b"\x0a"[..],
            b"\x0a\xff\xff\xff\xff\xff\xff",
            b"\x08\x01\x12",
            b"\x81",
            b"\x81\xbfa",
            b"",
        ] {
            assert_eq!(of(short), None, "{short:x?}");
        }
    }

    #[test]
    fn texts_are_known_by_their_words() {
        let cases: [(&[u8], OtherFormat); 5] = [
            (b"name: \"VGG\"\nlayer {\n", OtherFormat::Caffe),
            (
                b"<?xml version=\"1.0\"?>\n<net name=\"a\"",
                OtherFormat::OpenVino,
            ),
            (
                b"{\"metadata\": {}, \"weight_map\": {}}",
                OtherFormat::ShardIndex,
            ),
            (b"7767517\n75 83\n", OtherFormat::Ncnn),
            (
                b"model_checkpoint_path: \"model.ckpt\"",
                OtherFormat::TensorFlowCheckpoint,
            ),
        ];
        for (text, format) in cases {
            assert_eq!(of_text(text), Some(format));
        }
        assert_eq!(of_text(b"a layer of snow"), None);
    }
}
