//! One small VGG16 in every format: whatever the file, the same probabilities and maps.

use std::path::Path;
use std::process::Command;

use gradcam::low_level::architectures::recognise;
use gradcam::low_level::picture::preprocess::Normalization;
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Format};
use serde_json::Value;

use crate::common::vgg::{explained, fixture};

const FILES: [(&str, Format); 14] = [
    ("npy/tiny-p4.npy", Format::Npy),
    ("npy/tiny-python2.npy", Format::Npy),
    ("npy/tiny.npz", Format::Npz),
    ("npz/tiny-stored.npz", Format::Npz),
    ("formats/tiny.safetensors", Format::Safetensors),
    ("torch/tiny.pth", Format::Torch),
    ("torch/tiny-legacy.pth", Format::TorchLegacy),
    ("formats/tiny-legacy.onnx", Format::Onnx),
    ("formats/tiny-dynamo.onnx", Format::Onnx),
    ("formats/tiny-weights.h5", Format::Hdf5),
    ("formats/tiny-keras1.h5", Format::Hdf5),
    ("formats/tiny.h5", Format::Hdf5),
    ("formats/tiny.weights.h5", Format::Hdf5),
    ("formats/tiny.keras", Format::Keras),
];

fn list(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Probabilities within 1e-6 and maps within 1e-5 of their largest value of PyTorch's in float64: float32's rounding
/// through sixteen layers.
fn assert_tiny(path: &Path, format: Format, expected: &Value) {
    let file = path.display();
    let weights = weights::open(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(weights.format, format, "{file}");
    let mut classifier = recognise(&weights).unwrap_or_else(|error| panic!("{file}: {error}"));
    // What a file's names make likely differs; what the network computes must not.
    classifier.normalization = Normalization::CAFFE;
    for (score, key) in [(Score::Prob, "prob"), (Score::Logit, "logit")] {
        let (prediction, explanation) = explained(&classifier, score);
        assert_eq!(explanation.class as u64, expected["class_id"], "{file}");
        let theirs = list(&expected["probabilities"]);
        assert_eq!(prediction.probabilities.len(), theirs.len(), "{file}");
        for (p, q) in prediction.probabilities.iter().zip(theirs) {
            assert!((p - q).abs() < 1e-6, "{file}: probability {p}, not {q}");
        }
        let (map, theirs) = (&explanation.maps()[0].values, list(&expected["maps"][key]));
        assert_eq!(map.len(), theirs.len(), "{file}");
        let largest = theirs.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        for (a, b) in map.iter().zip(theirs) {
            let off = (a - b).abs() / largest;
            assert!(off < 1e-5, "{file}: map of {key} has {a}, not {b}");
        }
    }
}

fn expected() -> Value {
    let text = std::fs::read_to_string(fixture("npy/tiny.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn one_network_gives_the_same_probabilities_and_maps_from_a_file_of_every_format() {
    let expected = expected();
    for (file, format) in FILES {
        assert_tiny(&fixture(file), format, &expected);
    }
}

#[test]
fn one_network_gives_the_same_probabilities_and_maps_from_every_format_converted() {
    let expected = expected();
    let home = tempfile::tempdir().unwrap();
    for (file, _) in FILES {
        let path = home.path().join("converted.safetensors");
        let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
            .arg("convert")
            .args([&fixture(file), &path])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{file}: {said}");
        assert_tiny(&path, Format::Safetensors, &expected);
        std::fs::remove_file(path).unwrap();
    }
}
