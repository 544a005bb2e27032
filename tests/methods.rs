//! Every method on the built-in network against pytorch-grad-cam and captum, and what must hold of each by its formula.
//!
//! Tolerances, as the project promises them: maps 1e-3 of their largest value, pixel values 1e-2 (relative L2).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::ValueEnum;
use gradcam::architectures::{self, Classifier};
use gradcam::cam::Method;
use gradcam::explainer::{Explainer, Explanation, Prediction, Wanted};
use gradcam::network::Shape;
use gradcam::preprocess::to_tensor;
use gradcam::score::Score;
use gradcam::weights;
use ndarray::Array3;
use serde_json::Value;

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod device;
}
use common::device::{GPU, assert_close};

const MAP: f32 = 1e-3;

static BUILTIN: LazyLock<Classifier> =
    LazyLock::new(|| architectures::recognise(&weights::builtin()).unwrap());

/// How the fixtures were made.
static SETTINGS: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(fixture("methods/methods.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn number(key: &str) -> u64 {
    SETTINGS[key].as_u64().unwrap()
}

fn classes() -> Vec<usize> {
    let classes = SETTINGS["classes"].as_array().unwrap().iter();
    classes
        .map(|class| class["id"].as_u64().unwrap() as usize)
        .collect()
}

/// The picture that the fixtures were made of, as the network's input.
fn input(picture: &str) -> Vec<f32> {
    let picture = image::open(fixture(picture)).unwrap().into_rgb8();
    to_tensor(&picture, &BUILTIN.normalization)
}

fn explain(wanted: Wanted) -> (Prediction, Vec<Explanation>, Shape) {
    let explainer = Explainer::new(&GPU, &BUILTIN.network, wanted).unwrap();
    let input = input("builtin/cat-and-coffee-224.png");
    let prediction = explainer.predict(&input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    (prediction, explanations, explainer.map_shape())
}

#[test]
fn every_cam_method_agrees_with_pytorch_grad_cam_at_two_layers() {
    for layer in ["conv5_3", "conv4_3"] {
        let methods = Method::value_variants();
        let (_, explanations, shape) = explain(Wanted {
            score: Score::Logit,
            methods: methods.to_vec(),
            layer: Some(layer.into()),
            classes: 3,
            seed: number("seed"),
            ..Wanted::default()
        });
        let shape = Shape { c: 1, ..shape };
        for (i, method) in methods.iter().enumerate() {
            let file = format!("methods/{layer}_{method}.npy");
            let expected: Array3<f32> = ndarray_npy::read_npy(fixture(&file)).unwrap();
            for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
                let map: Vec<f32> = explanation.maps[i].iter().map(|&v| v as f32).collect();
                let what = format!("{layer}, {method}, class {}", explanation.class);
                assert_close(&what, &map, expected.as_slice().unwrap(), shape, MAP);
            }
        }
    }
}

/// After the last convolution the built-in network takes the maximum of each window, the mean over positions, and a
/// linear layer: linear in what the maxima let through.
#[test]
fn hirescam_sums_to_the_logit_less_its_bias() {
    let (prediction, explanations, _) = explain(Wanted {
        score: Score::Logit,
        methods: vec![Method::HiResCam],
        classes: 3,
        ..Wanted::default()
    });
    let weights = weights::builtin();
    let bias = weights.tensor("classifier.bias").unwrap().to_vec();
    for explanation in explanations {
        let sum: f64 = explanation.maps[0].iter().sum();
        let expected = f64::from(prediction.logits[explanation.class] - bias[explanation.class]);
        assert!(
            (sum - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{sum} and {expected}"
        );
    }
}

/// CAM (arXiv 1512.04150) weighs the last activations by the linear layer's row for the class. Grad-CAM's weights are
/// those times what a mean and a pool leave of a gradient of 1, the same for every channel.
#[test]
fn gradcam_is_proportional_to_cam() {
    let wanted = Wanted {
        score: Score::Logit,
        classes: 3,
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, &BUILTIN.network, wanted).unwrap();
    let prediction = explainer
        .predict(&input("builtin/cat-and-coffee-224.png"))
        .unwrap();
    let activations = explainer.activations().unwrap();
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    let shape = explainer.map_shape();
    let weights = weights::builtin();
    let matrix = weights.tensor("classifier.weight").unwrap().to_vec();
    let positions = shape.h * shape.w;
    for explanation in explanations {
        let row = &matrix[explanation.class * shape.c..][..shape.c];
        let mut cam = vec![0.0f64; positions];
        for (weight, channel) in row.iter().zip(activations.chunks_exact(positions)) {
            for (sum, a) in cam.iter_mut().zip(channel) {
                *sum += f64::from(*weight) * f64::from(*a);
            }
        }
        // 49 windows share a gradient of 1, and each gives its share to one of 196 positions.
        let map: Vec<f32> = explanation.maps[0]
            .iter()
            .map(|v| (v * 196.0) as f32)
            .collect();
        let cam: Vec<f32> = cam.iter().map(|&v| v as f32).collect();
        assert_close("cam", &map, &cam, Shape { c: 1, ..shape }, 1e-5);
    }
}
