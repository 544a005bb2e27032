//! Models of Keras 2 and 3 as people build them, against Keras' own numbers: preprocessing inside, augmentation, depthwise and
//! separable convolutions, all kinds of activations, both orders of axes, models inside models, several outputs.

use std::path::{Path, PathBuf};

use crate::common::device::GPU;
use gradcam::low_level::architectures::{
    Classifier, Evidence, Overrides, recognise_as, recognise_at,
};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::picture::preprocess::{Normalization, to_tensor};
use gradcam::weights;
use image::RgbImage;
use serde_json::Value;

/// Of probabilities, float32 on both sides.
const PROBABILITY: f64 = 1e-5;
/// Of a map's largest value.
const MAP: f64 = 1e-4;

/// An average and a maximum of windows, in a file that keeps layers by their classes.
const TWO_POOLS: &str = "weights-of-one-place-keras3";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras/graphs")
}

fn floats(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|value| value.as_f64().unwrap()).collect()
}

fn open(name: &str) -> Classifier {
    let file = ["keras", "h5", "weights.h5"]
        .map(|form| folder().join(format!("{name}.{form}")))
        .into_iter()
        .find(|path| path.exists())
        .unwrap();
    // A mean or maximum of all places takes pictures of any size.
    let size = name.starts_with("weights-largest").then_some(32);
    recognise_at(&weights::open(&file).unwrap(), size)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is wrong with the answer to a case.
fn problem(name: &str) -> Option<String> {
    let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    let case: Value = serde_json::from_slice(&text).unwrap();
    let classifier = open(name);
    // A model says what it does to its pixels, weights alone do not.
    let is_certain = classifier.normalization_evidence == Evidence::Metadata;
    if is_certain == name.starts_with("weights-") {
        return Some(format!("{:?}", classifier.normalization_evidence));
    }
    let [h, w] = <[f64; 2]>::try_from(floats(&case["size"])).unwrap();
    let pixels = floats(&case["picture"]).into_iter().map(|v| v as u8);
    let picture = RgbImage::from_raw(w as u32, h as u32, pixels.collect()).unwrap();
    let input = to_tensor(&picture, &classifier.normalization);
    let classes: Vec<usize> = (0..classifier.network.classes()).collect();
    let wanted = Wanted {
        classes: classes.len(),
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, &classifier.network, wanted).unwrap();
    let prediction = explainer.predict(&input).unwrap();
    let right = floats(&case["probabilities"]);
    for (class, (p, right)) in prediction.probabilities.iter().zip(&right).enumerate() {
        if (p - right).abs() > PROBABILITY || p.is_nan() {
            return Some(format!("class {class}: {p}, expected {right}"));
        }
    }
    let explained = explainer.explain(&prediction, &classes).unwrap();
    for (class, explanation) in explained.into_iter().enumerate() {
        let map = &explanation.maps()[0].values;
        let right = floats(&case["maps"][class]);
        let largest = right.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        if map.len() != right.len() {
            return Some(format!(
                "{} places, expected {}",
                map.len(),
                case["map_shape"]
            ));
        }
        for (at, (value, right)) in map.iter().zip(&right).enumerate() {
            if (value - right).abs() > MAP * largest || value.is_nan() {
                return Some(format!(
                    "class {class}, place {at}: {value}, expected {right}"
                ));
            }
        }
    }
    None
}

#[test]
fn models_as_people_build_them_give_keras_numbers() {
    let entries = std::fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let cases = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    let mut names: Vec<String> = cases
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    // Its file does not say which of two pools comes first.
    names.retain(|name| name != TWO_POOLS);
    assert_eq!(names.len(), 48);
    let wrong: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{name}: {}", problem(name)?)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pools_whose_order_the_file_does_not_keep_are_refused() {
    let file = weights::open(&folder().join(format!("{TWO_POOLS}.weights.h5"))).unwrap();
    let error = recognise_at(&file, None).unwrap_err().to_string();
    assert!(error.contains("can be used in several ways"), "{error}");
}

#[test]
fn preprocessing_inside_goes_by_its_name() {
    for (name, normalization) in [
        ("caffe-inside-keras2", Normalization::CAFFE),
        ("caffe-inside-keras3", Normalization::CAFFE),
        ("taken-apart-keras2", Normalization::CAFFE),
        ("torch-inside-keras2", Normalization::TORCH),
        ("torch-inside-keras3", Normalization::TORCH),
        ("bytes-to-signed-keras2", Normalization::TF),
        ("bytes-to-signed-keras3", Normalization::TF),
        ("separable-keras3", Normalization::UNIT),
    ] {
        assert_eq!(open(name).normalization, normalization, "{name}");
    }
}

#[test]
fn what_a_user_says_is_what_the_model_is_fed_with() {
    let mut classifier = open("caffe-inside-keras3");
    classifier.scale_by(Normalization::NONE);
    assert_eq!(classifier.normalization, Normalization::CAFFE);
    // Scaled by somebody who did not know: scaled twice then, as Keras would.
    classifier.scale_by(Normalization::UNIT);
    let white = RgbImage::from_pixel(1, 1, image::Rgb([255; 3]));
    let fed = to_tensor(&white, &classifier.normalization);
    for (value, mean) in fed.iter().zip([103.939, 116.779, 123.68]) {
        assert!((value - (1.0 - mean)).abs() < 1e-4, "{value}");
    }
    // In BGR already: the model turns it around.
    classifier.scale_by(Normalization {
        bgr: true,
        ..Normalization::NONE
    });
    assert!(!classifier.normalization.bgr);
}

#[test]
fn of_several_outputs_the_one_with_class_scores_is_taken_and_a_note_says_so() {
    for name in ["two-outputs-keras2", "two-outputs-keras3"] {
        let classifier = open(name);
        assert_eq!(classifier.network.classes(), 4, "{name}");
        let notes = classifier.notes.join("\n");
        let said = notes.contains("embedding, scores: scores is explained");
        assert!(said, "{name}: {notes}");
        let outputs = classifier.outputs.iter();
        let taken: Vec<bool> = outputs.map(|output| output.taken).collect();
        assert_eq!(taken, [false, true], "{name}");
    }
}

#[test]
fn another_output_is_taken_where_the_user_says_so() {
    let file = weights::open(&folder().join("two-outputs-keras3.h5")).unwrap();
    let asked = |output| Overrides {
        output: Some(output),
        ..Overrides::default()
    };
    let embedding = recognise_as(&file, &asked("embedding")).unwrap();
    assert_eq!(embedding.network.classes(), 5);
    let error = recognise_as(&file, &asked("none")).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the model has no output "none"; it has embedding, scores"#
    );
}

#[test]
fn what_weights_alone_leave_open_is_told() {
    for name in [
        "weights-one-more-pool-keras2",
        "weights-one-more-pool-keras3",
    ] {
        let notes = open(name).notes.join("\n");
        for word in [
            "windows of max_pooling2d",
            "32 x 32",
            "--input-size",
            "ReLU",
        ] {
            assert!(notes.contains(word), "{name}: {notes}");
        }
    }
}

/// Descriptions of graphs with single bytes changed: an error in words or a network, never a panic.
#[test]
fn a_damaged_graph_is_an_error_and_no_panic() {
    let mut errors = 0;
    for name in [
        "branches-keras2",
        "branches-keras3",
        "taken-apart-keras2",
        "levels-h5-keras3",
        "two-outputs-keras3",
    ] {
        let whole = std::fs::read(folder().join(format!("{name}.h5"))).unwrap();
        let begins = |bytes: &[u8]| {
            bytes.starts_with(b"{\"module\"") || bytes.starts_with(b"{\"class_name\"")
        };
        let start = whole.windows(13).position(begins).unwrap();
        let mut json = serde_json::Deserializer::from_slice(&whole[start..]).into_iter::<Value>();
        json.next().unwrap().unwrap();
        let end = start + json.byte_offset();
        for (turn, i) in (start..end).step_by(11).enumerate() {
            let mut damaged = whole.clone();
            damaged[i] = b"90\"[]{}-e"[turn % 9];
            let weights = weights::from_bytes(damaged).unwrap();
            errors += usize::from(recognise_at(&weights, None).is_err());
        }
    }
    assert!(errors > 1000, "only {errors} errors");
}
