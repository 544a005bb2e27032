//! VGG16 of full size with 1,000 classes, by the library: what dense layers of that size alone show. Tolerances as in
//! `vgg16`, which measures what memory its children take: a program that spawns counts towards that itself.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gradcam::low_level::architectures::{self, Classifier};
use gradcam::low_level::explainer::{Explainer, Wanted, request};
use gradcam::low_level::methods::map::RawMap;
use gradcam::low_level::network::Shape;
use gradcam::low_level::picture::preprocess::to_tensor;
use gradcam::low_level::plan::{Plan, StoredDtype};
use gradcam::low_level::score::Score;
use gradcam::weights;
use ndarray::{Array1, Array2};
use serde_json::Value;

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod device;
    pub(crate) mod npy_writer;
    pub(crate) mod seeded;
}
use common::device::{GPU, assert_close};
use common::npy_writer::{self, Python};
use common::seeded::{self, VGG16};

const MAP: Shape = Shape::new(1, 14, 14);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// VGG16 with 1,000 classes and drawn weights.
static FULL: LazyLock<Classifier> = LazyLock::new(|| {
    let mut bytes = vec![];
    npy_writer::write(&mut bytes, Python::Three, &seeded::weights(&VGG16)).unwrap();
    architectures::recognise(&weights::from_bytes(bytes).unwrap()).unwrap()
});

/// The three likeliest classes.
fn top() -> Vec<usize> {
    let text = std::fs::read_to_string(fixture("vgg16_full/vgg16_full.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let top = reference["top"].as_array().unwrap()[..3].iter();
    top.map(|class| class["id"].as_u64().unwrap() as usize)
        .collect()
}

/// Plain Grad-CAM of the full network for so many pictures that means of gradients repay the sums over fc6 that they take.
fn of_several(matrices: StoredDtype) -> (Explainer, Plan) {
    let wanted = Wanted {
        score: Score::Logit,
        classes: 3,
        pictures: 6,
        matrices,
        ..Wanted::default()
    };
    let network = &FULL.network;
    let (_, request) = request(network, &wanted, GPU.limits()).unwrap();
    let plan = Plan::new(network, &request, GPU.limits()).unwrap();
    (Explainer::new(&GPU, network, wanted).unwrap(), plan)
}

/// The picture of the fixtures, and it upside down.
fn two_pictures() -> [Vec<f32>; 2] {
    let picture = image::open(fixture("builtin/cat-and-coffee-224.png"));
    let picture = picture.unwrap().into_rgb8();
    let turned = image::imageops::rotate180(&picture);
    [picture, turned].map(|picture| to_tensor(&picture, &FULL.normalization))
}

fn floats(map: &RawMap) -> Vec<f32> {
    map.values.iter().map(|&v| v as f32).collect()
}

#[test]
fn plain_grad_cam_of_several_pictures_agrees_with_pytorch_by_sums_over_positions() {
    let (explainer, plan) = of_several(StoredDtype::F32);
    let buffers: Vec<&str> = plan.buffers.iter().map(|b| b.name.as_str()).collect();
    assert!(buffers.contains(&"fc6 means over 196"), "{buffers:?}");
    assert_eq!(plan.picture().backs[0].shape, Shape::new(512, 1, 1));
    let predictions = two_pictures().map(|x| explainer.predict(&x).unwrap());
    let classes = top();
    let [first, other] = [0, 1].map(|i| explainer.explain(&predictions[i], &classes).unwrap());
    for (first, other) in first.iter().zip(&other) {
        let what = format!("{}_gradcam_logit", first.class);
        let file = fixture(&format!("vgg16_full/{what}.npy"));
        let expected: Array2<f32> = ndarray_npy::read_npy(file).unwrap();
        let expected = expected.as_slice().unwrap();
        assert_close(&what, &floats(first.maps()[0]), expected, MAP, 1e-3);
        assert_ne!(first.maps(), other.maps());
    }
    let logits: Array1<f32> = ndarray_npy::read_npy(fixture("vgg16_full/logits.npy")).unwrap();
    let (found, shape) = (&predictions[0].logits, Shape::vector(logits.len()));
    assert_close("logits", found, logits.as_slice().unwrap(), shape, 1e-4);
}

/// Rounded to eleven binary digits, three dense layers of drawn weights settle some ReLUs near zero otherwise: maps of the
/// second picture are up to 1.2e-2 away, those of the first 4e-4. PyTorch with its weights rounded so is as far from itself, to
/// the second digit.
#[test]
fn dense_layers_of_half_floats_give_nearly_the_same_in_half_the_memory() {
    let classes = top();
    let [single, half] = [StoredDtype::F32, StoredDtype::F16].map(|matrices| {
        let (explainer, plan) = of_several(matrices);
        let explained = two_pictures().map(|x| {
            let prediction = explainer.predict(&x).unwrap();
            let explanations = explainer.explain(&prediction, &classes).unwrap();
            (prediction, explanations)
        });
        (explained, plan.bytes().0)
    });
    let pictures = half.0.iter().zip(&single.0).zip([5e-3, 2e-2]);
    for (((prediction, explanations), (expected, maps)), tolerance) in pictures {
        assert_ne!(prediction.logits, expected.logits);
        let pairs = prediction.probabilities.iter();
        for (p, q) in pairs.zip(&expected.probabilities) {
            assert!((p - q).abs() < 1e-3, "{p} and {q}");
        }
        for (explanation, expected) in explanations.iter().zip(maps) {
            let (map, expected) = (floats(explanation.maps()[0]), floats(expected.maps()[0]));
            let what = format!("class {}", explanation.class);
            assert_close(&what, &map, &expected, MAP, tolerance);
        }
    }
    let weights = 25088 * 4096 + 4096 * 4096 + 4096 * 1000;
    assert_eq!(single.1 - half.1, 2 * weights);
}
