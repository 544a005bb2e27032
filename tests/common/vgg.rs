//! The networks of `tests/fixtures/vgg`, as they are and under other names.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use gradcam::low_level::architectures::Classifier;
use gradcam::low_level::explainer::{Explainer, Explanation, Prediction, Wanted};
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::picture;
use gradcam::low_level::picture::preprocess::{self, Fit};
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Weights};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use super::device::GPU;

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name)
}

/// The picture that the fixtures' numbers are of.
pub(crate) fn picture() -> PathBuf {
    fixture("builtin/cat-and-coffee-224.png")
}

/// A tensor's new name and shape, or `None` to leave it out.
pub(crate) type Renamed = Option<(String, Vec<usize>)>;

/// The bytes of network `name` with each tensor under other names and in other shapes, and this metadata.
pub(crate) fn rewritten<R: IntoIterator<Item = (String, Vec<usize>)>>(
    name: &str,
    metadata: &[(&str, &str)],
    rename: impl Fn(&str, &[usize]) -> R,
) -> Vec<u8> {
    let bytes = fs::read(fixture(&format!("vgg/{name}.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors();
    let tensors = tensors.iter().flat_map(|(name, tensor)| {
        rename(name, tensor.shape())
            .into_iter()
            .map(|(name, shape)| {
                let view = TensorView::new(tensor.dtype(), shape, tensor.data()).unwrap();
                (name, view)
            })
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

/// The same, opened.
pub(crate) fn renamed<R: IntoIterator<Item = (String, Vec<usize>)>>(
    name: &str,
    metadata: &[(&str, &str)],
    rename: impl Fn(&str, &[usize]) -> R,
) -> Weights {
    weights::from_bytes(rewritten(name, metadata, rename)).unwrap()
}

/// Every name as it is.
#[allow(clippy::unnecessary_wraps, reason = "the form that a renaming has")]
pub(crate) fn as_it_is(name: &str, shape: &[usize]) -> Renamed {
    Some((name.into(), shape.to_vec()))
}

/// What `classifier` says of the picture, and the Grad-CAM explanation of its first class.
pub(crate) fn explained(classifier: &Classifier, score: Score) -> (Prediction, Explanation) {
    let wanted = Wanted {
        score,
        ..Wanted::of([Method::GradCam])
    };
    let network = &classifier.network;
    let shape = network.input_shape();
    let picture = picture::open(&picture()).unwrap().rgb;
    let (seen, _) = preprocess::fit(&picture, Fit::Squash, shape.w as u32, shape.h as u32);
    let input = preprocess::to_tensor(&seen, &classifier.normalization);
    let explainer = Explainer::new(&GPU, network, wanted).unwrap();
    let prediction = explainer.predict(&input).unwrap();
    let class = gradcam::low_level::score::top(&prediction.logits, 1);
    let mut explanations = explainer.explain(&prediction, &class).unwrap();
    (prediction, explanations.remove(0))
}
