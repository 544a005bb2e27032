//! Weights files of every kind, as a user has them: what is read is what was written.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use gradcam::weights::{self, ContentsError, DType, Format, NpyError, Weights, WeightsError};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};

use crate::common::npy_writer::{self, Python};
use crate::common::seeded::{self, Seeded, TINY};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/npy")
        .join(name)
}

fn open(name: &str) -> Weights {
    weights::open(&fixture(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Every tensor of the tiny network, under the name it has in a file of layers with two arrays
/// each.
fn tiny() -> BTreeMap<String, Seeded> {
    let parts = |pair: [Seeded; 2]| {
        let named = |(i, tensor): (usize, Seeded)| (format!("{}/{i}", tensor.layer), tensor);
        pair.into_iter().enumerate().map(named)
    };
    seeded::weights(&TINY).into_iter().flat_map(parts).collect()
}

/// The file holds the tiny network, with every value changed by `rounded` and no other.
fn assert_tiny(weights: &Weights, dtype: DType, rounded: impl Fn(f32) -> f32, file: &str) {
    let expected = tiny();
    assert_eq!(weights.format, Format::Npy, "{file}");
    assert!(weights.skipped.is_empty(), "{file}");
    assert!(weights.tensors.keys().eq(expected.keys()), "{file}");
    for (name, expected) in &expected {
        let tensor = weights.tensor(name).unwrap();
        assert_eq!(tensor.shape(), expected.shape, "{file} {name}");
        assert_eq!(tensor.dtype(), dtype, "{file} {name}");
        let expected: Vec<u32> = expected.values().map(|v| rounded(v).to_bits()).collect();
        let found: Vec<u32> = tensor.to_vec().into_iter().map(f32::to_bits).collect();
        assert_eq!(found, expected, "{file} {name}");
    }
}

#[test]
fn a_dictionary_reads_the_same_from_every_protocol_and_either_python() {
    for name in [
        "tiny-python2.npy",
        "tiny-p2.npy",
        "tiny-p3.npy",
        "tiny-p4.npy",
        "tiny-p5.npy",
        "tiny-numpy1.npy",
    ] {
        assert_tiny(&open(name), DType::F32, |v| v, name);
    }
}

#[test]
fn the_names_are_told_in_the_order_of_the_dictionaries_that_hold_them() {
    let mut layers = seeded::weights(&TINY);
    layers[1..].reverse();
    let names = layers
        .iter()
        .flat_map(|[weights, _]| [0, 1].map(|part| format!("{}/{part}", weights.layer)));
    let names: Vec<String> = names.collect();
    let mut file = vec![];
    npy_writer::write(&mut file, Python::Two, &layers).unwrap();
    assert_eq!(weights::from_bytes(file).unwrap().order, names);

    for name in ["tiny.pth", "tiny-legacy.pth", "tiny-checkpoint.pth"] {
        let path = fixture("../torch").join(name);
        let order = weights::open(&path).unwrap().order;
        let mut modules: Vec<&str> = order
            .iter()
            .map(|name| {
                name.trim_start_matches("module.")
                    .rsplit_once('.')
                    .unwrap()
                    .0
            })
            .collect();
        modules.dedup();
        // No alphabet has them so.
        assert_eq!(
            modules[..5],
            [
                "features.0",
                "features.2",
                "features.5",
                "features.7",
                "features.10"
            ],
            "{name}"
        );
        assert_eq!(
            modules[13..],
            ["classifier.0", "classifier.3", "classifier.6"],
            "{name}"
        );
    }
}

#[test]
fn a_dictionary_of_dictionaries_has_the_names_of_a_dictionary_of_lists() {
    assert_tiny(&open("tiny-trainable.npy"), DType::F32, |v| v, "trainable");
}

#[test]
fn fortran_order_comes_out_in_row_major_order() {
    for name in ["tiny-fortran.npy", "tiny-fortran-p5.npy"] {
        let weights = open(name);
        assert_tiny(&weights, DType::F32, |v| v, name);
        assert!(weights.tensors["fc6/0"].f32_bytes().is_none());
        assert!(weights.tensors["fc6/1"].f32_bytes().is_some());
    }
}

#[test]
fn other_float_types_and_byte_orders_are_converted() {
    let half = |v| f16::from_f32(v).to_f32();
    assert_tiny(&open("tiny-float16.npy"), DType::F16, half, "float16");
    assert_tiny(&open("tiny-float64.npy"), DType::F64, |v| v, "float64");
    let big = open("tiny-big-endian.npy");
    assert_tiny(&big, DType::F32, |v| v, "big-endian");
    assert!(
        big.tensors
            .values()
            .all(|tensor| tensor.f32_bytes().is_none())
    );
}

#[test]
fn little_endian_float32_is_handed_out_as_it_lies_in_the_file() {
    let weights = open("tiny-python2.npy");
    for (name, expected) in tiny() {
        let bytes: Vec<u8> = expected.values().flat_map(f32::to_le_bytes).collect();
        assert_eq!(
            weights.tensors[&name].f32_bytes(),
            Some(&bytes[..]),
            "{name}"
        );
    }
}

#[test]
fn any_part_of_a_tensor_can_be_read_and_released_and_read_again() {
    for name in ["tiny-p4.npy", "tiny-p2.npy", "tiny-fortran.npy"] {
        let weights = open(name);
        let whole: Vec<f32> = tiny()["fc6/0"].values().collect();
        let tensor = &weights.tensors["fc6/0"];
        for start in (0..whole.len()).step_by(371) {
            let mut piece = vec![0.0; 371.min(whole.len() - start)];
            tensor.read(start, &mut piece);
            assert_eq!(
                piece,
                whole[start..start + piece.len()],
                "{name} from {start}"
            );
            tensor.release(start, piece.len());
        }
        assert_eq!(tensor.to_vec(), whole, "{name}");
    }
}

#[test]
fn what_the_tests_write_reads_as_what_python_writes() {
    let folder = tempfile::tempdir().unwrap();
    for python in [Python::Two, Python::Three] {
        let path = folder.path().join("VGG16.npy");
        let mut out = BufWriter::new(File::create(&path).unwrap());
        npy_writer::write(&mut out, python, &seeded::weights(&TINY)).unwrap();
        drop(out);
        let weights = weights::open(&path).unwrap();
        assert_tiny(&weights, DType::F32, |v| v, "written here");
        assert!(!weights.is_tensorflow_vgg16());
    }
}

#[test]
fn the_built_in_network_opens_with_its_metadata() {
    let builtin = weights::builtin();
    assert_eq!(builtin.path, None);
    assert_eq!(builtin.format, Format::Safetensors);
    assert_eq!(builtin.metadata["input_size"], "224");
    assert_eq!(builtin.tensors.len(), 28);
    assert_eq!(builtin.tensors["features.0.weight"].shape(), [64, 3, 3, 3]);
    for (name, tensor) in &builtin.tensors {
        assert!(
            tensor.to_vec().iter().all(|value| value.is_finite()),
            "{name}"
        );
    }
}

#[test]
fn safetensors_keep_their_types_and_what_is_not_a_float_is_set_aside() {
    let half: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|&v| f16::from_f32(v).to_le_bytes())
        .collect();
    let count = 7_i64.to_le_bytes();
    let views = [
        (
            "conv.weight",
            TensorView::new(Dtype::F16, vec![2, 1], &half).unwrap(),
        ),
        (
            "steps",
            TensorView::new(Dtype::I64, vec![], &count).unwrap(),
        ),
    ];
    let bytes = safetensors::serialize(views, None).unwrap();
    let weights = weights::from_bytes(bytes).unwrap();
    let conv = &weights.tensors["conv.weight"];
    assert_eq!((conv.dtype(), conv.shape()), (DType::F16, &[2, 1][..]));
    assert_eq!(conv.to_vec(), [1.5, -2.0]);
    assert_eq!(weights.skipped["steps"].dtype, "I64");
    assert!(weights.tensor("steps").is_none());
}

#[test]
fn safetensors_of_every_float_type_are_read_under_any_prefix_with_their_metadata() {
    let values = [1.5_f32, -2.0, 0.25];
    let bytes: [(Dtype, DType, Vec<u8>); 4] = [
        (
            Dtype::F16,
            DType::F16,
            values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect(),
        ),
        (
            Dtype::BF16,
            DType::BF16,
            values
                .iter()
                .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
                .collect(),
        ),
        (
            Dtype::F32,
            DType::F32,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        (
            Dtype::F64,
            DType::F64,
            values
                .iter()
                .flat_map(|&v| f64::from(v).to_le_bytes())
                .collect(),
        ),
    ];
    let views = bytes.iter().map(|(dtype, _, data)| {
        let view = TensorView::new(*dtype, vec![3], data).unwrap();
        (format!("module.model.{dtype}.weight"), view)
    });
    let metadata = HashMap::from([("labels".to_owned(), "[\"cat\"]".to_owned())]);
    let file = safetensors::serialize(views, Some(metadata)).unwrap();
    let weights = weights::from_bytes(file).unwrap();
    assert_eq!(weights.metadata["labels"], "[\"cat\"]");
    for (dtype, expected, _) in bytes {
        let tensor = &weights.tensors[&format!("module.model.{dtype}.weight")];
        assert_eq!(tensor.dtype(), expected);
        assert_eq!(tensor.to_vec(), values, "{dtype}");
    }
}

#[test]
fn digests_cover_the_whole_file() {
    let weights = open("tiny-p4.npy");
    assert_eq!(
        weights.byte_len(),
        fs::read(fixture("tiny-p4.npy")).unwrap().len()
    );
    // sha1sum and sha256sum of the fixture
    assert_eq!(
        weights::hex(&weights.sha1()),
        "0b4d31d850dd4a6da5758acdb71fc70e17aaa799"
    );
    assert_eq!(
        weights::hex(&weights.sha256()),
        "3250c659559e8a221e374d876d0bcea632701f7984adcf113d67aa57de803742"
    );
}

#[test]
fn weights_are_told_from_pictures_by_content_then_by_extension() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let yes = [
        fixture("tiny-p4.npy"),
        file("weights", &fs::read(fixture("tiny-p4.npy")).unwrap()),
        file("download.npy", b"<!DOCTYPE html>"),
        file("empty.npy", b""),
        file("model.dat", b"\x80\x02}q\x01."),
        file("archive.PTH", b"whatever"),
        folder.path().join("absent.npy"),
    ];
    for path in yes {
        assert!(weights::looks_like_weights(&path), "{}", path.display());
    }
    let no = [
        file("photo.npy", b"\x89PNG\r\n\x1a\n"),
        file("photo.jpg", b"<!DOCTYPE html>"),
        file("3", b"text"),
        folder.path().join("absent.jpg"),
        folder.path().to_owned(),
    ];
    for path in no {
        assert!(!weights::looks_like_weights(&path), "{}", path.display());
    }
}

#[test]
fn files_that_hold_something_else_are_refused_in_one_sentence() {
    let cases: [(&[u8], &str); 10] = [
        (b"", "an empty file: nothing was downloaded"),
        (
            b"<!DOCTYPE html><html>",
            "an HTML page, not weights: download the file itself",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (b"\x1f\x8b\x08\0", "a gzip archive: unpack it"),
        (
            b"PK\x03\x04",
            "the file is cut off: the archive's directory",
        ),
        (b"\xff\xd8\xff\xe0", "a JPEG picture, not weights"),
        (b"\x89HDF\r\n\x1a\n", "the file is cut off"),
        (b"\x08\x08\x12\x07pytorch", "the ONNX model has no graph"),
        (b"\x80\x04\x95\0", "the file is cut off: at least"),
        (b"\0\x01\x02\x03", "not a kind of file that is known here"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("VGG16.npy");
    for (bytes, sentence) in cases {
        fs::write(&path, bytes).unwrap();
        let error = weights::open(&path).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
        assert!(error.contains("VGG16.npy: "), "{error}");
    }
}

#[test]
fn what_is_not_there_or_not_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = weights::open(&folder.path().join("absent.npy")).unwrap_err();
    assert!(matches!(absent, WeightsError::NotFound { .. }));
    assert!(
        absent.to_string().contains("absent.npy; check its name"),
        "{absent}"
    );
    let error = weights::open(folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::NotAFile { .. }));
}

#[test]
fn a_plain_array_of_numbers_is_refused_with_what_weights_look_like() {
    let mut bytes = Vec::new();
    let array = ndarray::Array2::<f32>::zeros((14, 14));
    ndarray_npy::WriteNpyExt::write_npy(&array, &mut bytes).unwrap();
    let error = weights::from_bytes(bytes).unwrap_err();
    assert!(matches!(
        error,
        ContentsError::Npy(NpyError::PlainArray { .. })
    ));
    let text = error.to_string();
    assert!(
        text.contains("one plain array (<f4, 14 x 14), not a dictionary of layers"),
        "{text}"
    );
}

#[test]
fn networks_of_other_programs_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let table = [
        &[0, 0, 9][..],
        &[7; 64],
        b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    ]
    .concat();
    let files: [(&str, &[u8], &str); 9] = [
        ("vgg_16.ckpt", &table, "tf.train.load_checkpoint"),
        (
            "model.ckpt.data-00000-of-00001",
            &[1; 64],
            "tf.train.load_checkpoint",
        ),
        ("model.tflite", b"\x1c\0\0\0TFL3", "--tflite"),
        (
            "saved_model.pb",
            b"\x08\x01\x12\xe4\xa9\x04\x0a\x3a\x12\x30",
            "tf2onnx.convert --saved-model",
        ),
        (
            "frozen.pb",
            b"\x0a\x10\x0a\x05input\x12\x0bPlaceholder",
            "--graphdef",
        ),
        ("vgg.caffemodel", b"\x0a\x05VGG16\x12\x20", "caffe.Net"),
        (
            "deploy.prototxt",
            b"name: \"VGG\"\nlayer {\n}\n",
            "caffe.Net",
        ),
        (
            "model.safetensors.index.json",
            b"{\"weight_map\": {}}",
            "several must be saved as one",
        ),
        (
            "forest.pkl",
            b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x10sklearn.ensemble",
            "no layer to explain",
        ),
    ];
    for (name, bytes, advice) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = weights::open(&path).unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
    for (name, inside, advice) in [
        ("saved", "saved_model.pb", "--saved-model"),
        ("vgg.mlpackage", "Manifest.json", "as ONNX"),
        ("orbax", "_CHECKPOINT_METADATA", "safetensors.flax"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(inside), b"").unwrap();
        assert!(weights::looks_like_weights(&path), "{name}");
        let error = weights::open(&path).unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    assert!(!weights::looks_like_weights(&folder.path().join("photos")));
}
