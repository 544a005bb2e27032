//! CAM methods against pytorch-grad-cam.

use gradcam::low_level::explainer::{Explainer, Explanation, Wanted};
use gradcam::low_level::methods::cam::{Method, Reads};
use gradcam::low_level::methods::fuse::Fuse;
use gradcam::low_level::network::{Network, Shape};
use gradcam::low_level::score::Score;
use ndarray::Array3;

use crate::common::device::{GPU, assert_close};
use crate::{BUILTIN, PICTURE, SMALL, SMALL_PICTURE, classes, explain, fixture, input, settings};

const MAP: f32 = 1e-3;

/// Of the logit, at `layer`.
fn wanted(methods: &[Method], layer: &str) -> Wanted {
    Wanted {
        score: Score::Logit,
        layers: vec![layer.into()],
        classes: 3,
        settings: settings(),
        ..Wanted::of(methods.to_vec())
    }
}

/// Each class's map of method `i` against the file.
fn assert_file(file: &str, i: usize, explanations: &[Explanation], shape: Shape) {
    let expected: Array3<f32> = ndarray_npy::read_npy(fixture(file)).unwrap();
    for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
        let values = explanation.maps()[i].values.iter();
        let map: Vec<f32> = values.map(|&v| v as f32).collect();
        let what = format!("{file}, class {}", explanation.class);
        assert_close(&what, &map, expected.as_slice().unwrap(), shape, MAP);
    }
}

/// Maps for the input, the three classes and the methods of `wanted`, against the files of `names`.
fn assert_maps(network: &Network, input: &[f32], wanted: Wanted, names: &[String]) {
    let explainer = Explainer::new(&GPU, network, wanted).unwrap();
    let prediction = explainer.predict(input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    let shape = Shape {
        c: 1,
        ..explainer.map_shape()
    };
    for (i, name) in names.iter().enumerate() {
        let file = format!("methods/{}_{name}.npy", explainer.layers()[0]);
        assert_file(&file, i, &explanations, shape);
    }
}

/// A forward pass a channel: at 64 x 64, where one costs a twelfth, and at 32 x 32. `benches/perturbed.py` compares at
/// 224 x 224.
#[test]
fn score_cam_agrees_with_pytorch_grad_cam_at_two_layers() {
    let name = &["scorecam".into()];
    let wanted = |layer| wanted(&[Method::ScoreCam], layer);
    let picture = input(SMALL_PICTURE, &SMALL);
    assert_maps(&SMALL.network, &picture, wanted("conv5_3"), name);
    let row = |row: usize| &picture[row * 64 + 16..][..32];
    let rows = (0..3).flat_map(|c| c * 64 + 16..c * 64 + 48);
    let centre: Vec<f32> = rows.flat_map(row).copied().collect();
    let network = SMALL.network.at_input(Shape::new(3, 32, 32)).unwrap();
    assert_maps(&network, &centre, wanted("conv4_3"), name);
}

/// The package's mean, before it resizes and scales that once more.
#[test]
fn maps_of_an_augmented_picture_agree_with_pytorch_grad_cam() {
    let names = ["gradcam_aug".into(), "layercam_aug".into()];
    for layer in ["conv5_3", "conv4_3"] {
        let wanted = Wanted {
            augmented: true,
            ..wanted(&[Method::GradCam, Method::LayerCam], layer)
        };
        let input = input(SMALL_PICTURE, &SMALL);
        assert_maps(&SMALL.network, &input, wanted, &names);
    }
}

/// Three convolutions a channel at conv4_3: there at 64 x 64.
#[test]
fn ablation_cam_agrees_with_pytorch_grad_cam_at_two_layers() {
    let name = &["ablationcam".into()];
    let wanted = |layer| wanted(&[Method::AblationCam], layer);
    assert_maps(
        &BUILTIN.network,
        &input(PICTURE, &BUILTIN),
        wanted("conv5_3"),
        name,
    );
    assert_maps(
        &SMALL.network,
        &input(SMALL_PICTURE, &SMALL),
        wanted("conv4_3"),
        name,
    );
}

#[test]
fn every_other_cam_method_agrees_with_pytorch_grad_cam_at_two_layers() {
    let methods: Vec<Method> = Method::ALL
        .iter()
        .copied()
        .filter(|method| {
            !matches!(
                method.reads(),
                Reads::Masked | Reads::Ablated | Reads::Biases
            )
        })
        .collect();
    let names: Vec<String> = methods.iter().map(ToString::to_string).collect();
    for layer in ["conv5_3", "conv4_3"] {
        assert_maps(
            &BUILTIN.network,
            &input(PICTURE, &BUILTIN),
            wanted(&methods, layer),
            &names,
        );
    }
}

/// Of two layers the package's mean, before it scales that once more; every eighth row and column.
#[test]
fn maps_of_two_layers_fuse_as_pytorch_grad_cam_fuses_them() {
    let methods = [Method::GradCam, Method::LayerCam];
    let layers = ["conv5_3", "conv4_3"];
    let (_, explanations, _) = explain(Wanted {
        score: Score::Logit,
        layers: layers.map(Into::into).to_vec(),
        fuse: Fuse::Mean,
        classes: 3,
        ..Wanted::of(methods.to_vec())
    });
    for (i, method) in methods.iter().enumerate() {
        let file = fixture(&format!("methods/fused_{method}.npy"));
        let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let map = &explanation.maps()[i];
            assert_eq!((map.width, map.height), (224, 224));
            let row = |row: usize| map.values[row * 224..][..224].iter().step_by(8);
            let rows = (0..224).step_by(8).flat_map(row);
            let map: Vec<f32> = rows.map(|&v| v as f32).collect();
            let what = format!("fused {method}, class {}", explanation.class);
            let expected = expected.as_slice().unwrap();
            assert_close(&what, &map, expected, Shape::new(1, 28, 28), MAP);
        }
    }
}

#[test]
fn fullgrad_agrees_with_pytorch_grad_cam() {
    let wanted = |score| Wanted {
        score,
        classes: 3,
        ..Wanted::of([Method::FullGrad])
    };
    let input = input("methods/cat-and-coffee-64.png", &SMALL);
    let maps = |score| {
        let explainer = Explainer::new(&GPU, &SMALL.network, wanted(score)).unwrap();
        let prediction = explainer.predict(&input).unwrap();
        let explanations = explainer.explain(&prediction, &classes()).unwrap();
        let map = |e: Explanation| e.maps()[0].values.iter().map(|&v| v as f32).collect();
        explanations.into_iter().map(map).collect::<Vec<Vec<f32>>>()
    };
    let file = fixture("methods/fullgrad.npy");
    let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
    let shape = Shape::new(1, 64, 64);
    for (map, expected) in maps(Score::Logit).iter().zip(expected.outer_iter()) {
        assert_close("fullgrad", map, expected.as_slice().unwrap(), shape, MAP);
    }
    // What is scaled away is not lost either: a probability near 0 has a map as bright as its logarithm's.
    for (of_prob, of_log) in maps(Score::Prob).iter().zip(maps(Score::LogProb)) {
        assert_close("fullgrad of a probability", of_prob, &of_log, shape, MAP);
    }
}

#[test]
fn eigen_smoothed_maps_agree_with_pytorch_grad_cam() {
    let methods = [Method::GradCam, Method::LayerCam];
    let (_, explanations, shape) = explain(Wanted {
        score: Score::Logit,
        eigen_smooth: true,
        classes: 3,
        ..Wanted::of(methods.to_vec())
    });
    let shape = Shape { c: 1, ..shape };
    for (i, method) in methods.iter().enumerate() {
        let file = format!("methods/eigen_{method}.npy");
        assert_file(&file, i, &explanations, shape);
    }
}
