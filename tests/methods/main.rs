//! Every method on the built-in network against pytorch-grad-cam and captum, and what must hold of each by its formula. CAM methods
//! on more pictures and on drawn weights too.
//!
//! Tolerances, as the project promises them: maps 1e-3 of their largest value, pixel values 1e-2 (relative L2).

mod cams;
mod every_cam;
mod flat;
mod pixels;
mod properties;

#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common"]
mod common {
    pub(crate) mod device;
    pub(crate) mod drawn;
    pub(crate) mod npy_writer;
    pub(crate) mod seeded;
    pub(crate) mod tiny;
}

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::device::GPU;
use gradcam::low_level::architectures::{self, Classifier};
use gradcam::low_level::explainer::{Explainer, Explanation, Prediction, Progress, Wanted};
use gradcam::low_level::methods::attribution::Settings;
use gradcam::low_level::network::Shape;
use gradcam::low_level::picture::preprocess::to_tensor;
use gradcam::low_level::score::Score;
use gradcam::weights;
use serde_json::Value;

pub(crate) const PICTURE: &str = "builtin/cat-and-coffee-224.png";
pub(crate) const SMALL_PICTURE: &str = "methods/cat-and-coffee-64.png";

pub(crate) static BUILTIN: LazyLock<Classifier> =
    LazyLock::new(|| architectures::recognise(&weights::builtin()).unwrap());

/// The built-in network for pictures of 64 x 64: its mean-pooled head takes any multiple of 32, and passes cost a
/// twelfth.
pub(crate) static SMALL: LazyLock<Classifier> = LazyLock::new(|| {
    let mut weights = weights::builtin();
    weights.metadata.insert("input_size".into(), "64".into());
    architectures::recognise(&weights).unwrap()
});

/// How the fixtures were made.
pub(crate) static SETTINGS: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(fixture("methods/methods.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub(crate) fn number(key: &str) -> u64 {
    SETTINGS[key].as_u64().unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        samples: number("samples") as usize,
        noise: SETTINGS["noise"].as_f64().unwrap(),
        steps: number("steps") as usize,
        baseline: [0.0; 3],
        seed: number("seed"),
    }
}

pub(crate) fn classes() -> Vec<usize> {
    let classes = SETTINGS["classes"].as_array().unwrap().iter();
    classes
        .map(|class| class["id"].as_u64().unwrap() as usize)
        .collect()
}

/// The picture that the fixtures were made of, as the network's input.
pub(crate) fn input(picture: &str, classifier: &Classifier) -> Vec<f32> {
    let picture = image::open(fixture(picture)).unwrap().into_rgb8();
    to_tensor(&picture, &classifier.normalization)
}

pub(crate) fn explain(wanted: Wanted) -> (Prediction, Vec<Explanation>, Shape) {
    let explainer = Explainer::new(&GPU, &BUILTIN.network, wanted).unwrap();
    let input = input(PICTURE, &BUILTIN);
    let prediction = explainer.predict(&input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    (prediction, explanations, explainer.map_shape())
}

/// Of the logit, for two classes of the small picture, counting what is told.
pub(crate) fn explain_small(wanted: Wanted) -> (Prediction, Vec<Explanation>, Vec<Progress>) {
    let wanted = Wanted {
        score: Score::Logit,
        classes: 2,
        ..wanted
    };
    let told = RefCell::new(vec![]);
    let explainer = Explainer::new(&GPU, &SMALL.network, wanted).unwrap();
    let prediction = explainer.predict(&input(SMALL_PICTURE, &SMALL)).unwrap();
    let explanations = explainer
        .explain_telling(&prediction, &classes()[..2], &|progress| {
            told.borrow_mut().push(progress);
        })
        .unwrap();
    (prediction, explanations, told.into_inner())
}
