//! Small networks as Keras 2 and 3 save them, against Keras' own numbers.

use std::path::PathBuf;

use crate::common::device::{GPU, assert_close};
use gradcam::low_level::architectures::{Classifier, Evidence, recognise};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::network::{OutputKind, Shape};
use gradcam::low_level::picture::preprocess::Normalization;
use gradcam::low_level::score::Score;
use gradcam::weights;
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keras");
    PathBuf::from(folder).join(name)
}

fn classifier(name: &str) -> Classifier {
    recognise(&weights::open(&path(name)).unwrap())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn numbers(network: &str) -> Value {
    let text = std::fs::read_to_string(path("numbers.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[network].take()
}

fn floats(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|value| value.as_f64().unwrap()).collect()
}

/// The fixture's picture, H x W x 3, as a network sees it, 3 x H x W.
fn picture(numbers: &Value, shape: Shape, change: impl Fn(usize, f64) -> f64) -> Vec<f32> {
    let picture = floats(&numbers["input"]);
    let positions = shape.h * shape.w;
    assert_eq!(picture.len(), 3 * positions);
    (0..3 * positions)
        .map(|i| change(i / positions, picture[i % positions * 3 + i / positions]) as f32)
        .collect()
}

/// Logits, probabilities and each class's Grad-CAM map of its `score` at the last convolution.
fn explain(
    classifier: &Classifier,
    input: &[f32],
    score: Score,
) -> (Vec<f32>, Vec<f64>, Vec<Vec<f64>>) {
    let classes: Vec<usize> = (0..classifier.network.classes()).collect();
    let wanted = Wanted {
        score,
        classes: classes.len(),
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, &classifier.network, wanted).unwrap();
    let prediction = explainer.predict(input).unwrap();
    let explained = explainer.explain(&prediction, &classes).unwrap();
    let maps = explained
        .into_iter()
        .map(|class| class.maps()[0].values.clone())
        .collect();
    (prediction.logits, prediction.probabilities, maps)
}

fn assert_maps(name: &str, maps: &[Vec<f64>], numbers: &Value) {
    let [h, w] = <[f64; 2]>::try_from(floats(&numbers["map_shape"])).unwrap();
    let shape = Shape::new(1, h as usize, w as usize);
    for (class, (map, expected)) in maps
        .iter()
        .zip(numbers["maps"].as_array().unwrap())
        .enumerate()
    {
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let what = format!("{name}, class {class}");
        assert_close(&what, &single(map), &single(&floats(expected)), shape, 1e-5);
    }
}

#[test]
fn one_network_gives_keras_numbers_from_every_file_that_keras_makes_of_it() {
    let numbers = numbers("small");
    for name in [
        "nested.keras",
        "nested-keras2.h5",
        "flat.h5",
        "flat.weights.h5",
        "flat-keras2-weights.h5",
    ] {
        let classifier = classifier(name);
        let shape = classifier.network.input_shape();
        assert_eq!(shape, Shape::new(3, 32, 32), "{name}");
        assert_eq!(classifier.normalization, Normalization::CAFFE, "{name}");
        let evidence = classifier.normalization_evidence;
        assert!(
            matches!(evidence, Evidence::Guess(_)),
            "{name}: another head"
        );
        let input = picture(&numbers, shape, |_, value| value / 64.0);
        let (_, probabilities, maps) = explain(&classifier, &input, Score::Prob);
        for (p, expected) in probabilities.iter().zip(floats(&numbers["probabilities"])) {
            assert!((p - expected).abs() < 1e-6, "{name}: {p} and {expected}");
        }
        assert_maps(name, &maps, &numbers);
    }
}

#[test]
fn layers_that_a_vgg_has_not_give_keras_numbers() {
    let numbers = numbers("odd");
    let classifier = classifier("odd.keras");
    assert_eq!(classifier.network.output_kind, OutputKind::Sigmoid);
    // The network's own scaling of pixels is done before it, as the preprocessing.
    assert_eq!(classifier.normalization_evidence, Evidence::Metadata);
    let Normalization {
        scale,
        mean,
        std,
        bgr,
        ..
    } = classifier.normalization;
    assert!(!bgr);
    let change =
        |c: usize, value: f64| (value * f64::from(scale) - f64::from(mean[c])) / f64::from(std[c]);
    let input = picture(&numbers, classifier.network.input_shape(), change);
    let (logits, _, mut maps) = explain(&classifier, &input, Score::Logit);
    for (class, expected) in floats(&numbers["probabilities"]).into_iter().enumerate() {
        let p = 1.0 / (1.0 + (-f64::from(logits[class])).exp());
        assert!(
            (p - expected).abs() < 1e-6,
            "class {class}: {p} and {expected}"
        );
        // The sigmoid's own gradient: Keras' maps are of probabilities.
        maps[class]
            .iter_mut()
            .for_each(|value| *value *= p * (1.0 - p));
    }
    assert_maps("odd", &maps, &numbers);
}

#[test]
fn bounded_activations_groups_padded_means_and_batch_norm_of_its_own_give_keras_numbers() {
    let numbers = numbers("more");
    let classifier = classifier("more.keras");
    let input = picture(&numbers, classifier.network.input_shape(), |_, value| {
        value / 64.0
    });
    let (_, probabilities, maps) = explain(&classifier, &input, Score::Prob);
    for (p, expected) in probabilities.iter().zip(floats(&numbers["probabilities"])) {
        assert!((p - expected).abs() < 1e-6, "{p} and {expected}");
    }
    assert_maps("more", &maps, &numbers);
}

#[test]
fn layers_keep_the_names_that_keras_gave_them() {
    let names = classifier("nested.keras").network.target_names();
    assert_eq!(names[..3], ["block1_conv1", "block1_conv2", "block1_pool"]);
    assert_eq!(names, classifier("flat.weights.h5").network.target_names());
    assert_eq!(classifier("nested.keras").network.architecture, "tuned");
}

/// The description of a model, damaged: an error in words or a network, never a panic.
#[test]
fn a_damaged_description_is_an_error_and_no_panic() {
    let whole = std::fs::read(path("nested-keras2.h5")).unwrap();
    let start = whole
        .windows(13)
        .position(|bytes| bytes == b"{\"class_name\"")
        .unwrap();
    let mut json = serde_json::Deserializer::from_slice(&whole[start..]).into_iter::<Value>();
    json.next().unwrap().unwrap();
    let end = start + json.byte_offset();
    let mut errors = 0;
    for i in (start..end).step_by(7) {
        for byte in [b'9', b'"', b'[', b'}'] {
            let mut damaged = whole.clone();
            damaged[i] = byte;
            let weights = weights::from_bytes(damaged).unwrap();
            errors += usize::from(recognise(&weights).is_err());
        }
    }
    assert!(errors > 1000, "only {errors} errors");
}
