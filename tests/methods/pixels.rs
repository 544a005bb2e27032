//! Pixel methods against captum, perturbations against captum and the paper's formula.

use gradcam::low_level::explainer::{Explainer, Progress, Wanted};
use gradcam::low_level::methods::attribution::{self, Inputs};
use gradcam::low_level::methods::perturbation;
use gradcam::low_level::network::Network;
use gradcam::low_level::score::Score;
use ndarray::{Array3, Array4};

use crate::common::device::GPU;
use crate::{
    BUILTIN, PICTURE, SETTINGS, SMALL, SMALL_PICTURE, classes, explain_small, fixture, input,
    number, settings,
};

const PIXELS: f64 = 1e-2;

fn relative(actual: &[f64], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let square = |v: f64| v * v;
    let pairs = actual.iter().zip(expected);
    let off: f64 = pairs.map(|(a, &e)| square(a - f64::from(e))).sum();
    let size: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    (off / size).sqrt()
}

/// Every pixel method that takes its gradients at `inputs`, for two classes of a picture.
fn explain_pixels(
    network: &Network,
    input: &[f32],
    wanted: impl Fn(Inputs) -> bool,
) -> Vec<(attribution::Method, Vec<Vec<f64>>)> {
    let methods: Vec<attribution::Method> = attribution::Method::ALL
        .iter()
        .copied()
        .filter(|method| wanted(method.recipe().inputs))
        .collect();
    let wanted = Wanted {
        score: Score::Logit,
        classes: 2,
        settings: settings(),
        ..Wanted::of(methods.clone())
    };
    let explainer = Explainer::new(&GPU, network, wanted).unwrap();
    let prediction = explainer.predict(input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()[..2]).unwrap();
    let of = |i: usize| {
        explanations
            .iter()
            .map(|e| e.pixels()[i].to_vec())
            .collect()
    };
    (0..).map(of).zip(methods).map(|(v, m)| (m, v)).collect()
}

fn assert_pixels(method: attribution::Method, values: &[f64], expected: &[f32]) {
    let off = relative(values, expected);
    println!("{method}: relative L2 {off:.1e}");
    assert!(off <= PIXELS, "{method}: relative L2 {off}");
}

#[test]
fn methods_of_one_pass_agree_with_captum() {
    let input = input(PICTURE, &BUILTIN);
    let explained = explain_pixels(&BUILTIN.network, &input, |i| i == Inputs::Picture);
    for (method, values) in explained {
        let file = fixture(&format!("methods/{method}.npy"));
        let expected: Array4<f32> = ndarray_npy::read_npy(file).unwrap();
        for (values, expected) in values.iter().zip(expected.outer_iter()) {
            // The fixture keeps every fourth row and column.
            let row = |row: usize| values[row * 224..][..224].iter().step_by(4);
            let kept: Vec<f64> = (0..3 * 224).step_by(4).flat_map(row).copied().collect();
            assert_pixels(method, &kept, expected.as_slice().unwrap());
        }
    }
}

#[test]
fn methods_of_several_passes_agree_with_captum() {
    let input = input(SMALL_PICTURE, &SMALL);
    let explained = explain_pixels(&SMALL.network, &input, |i| i != Inputs::Picture);
    for (method, values) in explained {
        let file = fixture(&format!("methods/{method}.npy"));
        let expected: Array4<f32> = ndarray_npy::read_npy(file).unwrap();
        for (values, expected) in values.iter().zip(expected.outer_iter()) {
            assert_pixels(method, values, expected.as_slice().unwrap());
        }
    }
}

#[test]
fn perturbations_agree_with_captum_and_the_paper() {
    let baseline = SETTINGS["baseline"].as_array().unwrap();
    let masks = perturbation::Settings {
        patch: number("patch") as usize,
        stride: number("stride") as usize,
        masks: number("masks") as usize,
        baseline: [0, 1, 2].map(|c| baseline[c].as_f64().unwrap() as f32),
        seed: number("seed"),
    };
    let methods = perturbation::Method::ALL;
    let (_, explanations, told) = explain_small(Wanted {
        masks,
        ..Wanted::of(methods.to_vec())
    });
    for (i, method) in methods.iter().enumerate() {
        let file = fixture(&format!("methods/{method}.npy"));
        let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let off = relative(&explanation.maps()[i].values, expected.as_slice().unwrap());
            println!("{method}: relative L2 {off:.1e}");
            assert!(off <= PIXELS, "{method}: relative L2 {off}");
        }
    }
    // Patches 4 x 4, and the masks.
    let all = 16 + masks.masks;
    assert_eq!(told.first(), Some(&Progress { done: 0, all }));
    assert_eq!(told.last(), Some(&Progress { done: all, all }));
}
