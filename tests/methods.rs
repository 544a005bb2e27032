//! Every method on the built-in network against pytorch-grad-cam and captum, and what must hold of each by its formula.
//!
//! Tolerances, as the project promises them: maps 1e-3 of their largest value, pixel values 1e-2 (relative L2).

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::ValueEnum;
use gradcam::architectures::{self, Classifier};
use gradcam::attribution::{self, Inputs, Settings};
use gradcam::cam::{Method, Reads};
use gradcam::explainer::{Explainer, Explanation, Prediction, Progress, Wanted};
use gradcam::fuse::Fuse;
use gradcam::network::{FilterLayout, MatrixLayout, Network, Op, Shape, Window};
use gradcam::perturbation;
use gradcam::preprocess::to_tensor;
use gradcam::score::Score;
use gradcam::weights::{self, Tensor};
use ndarray::{Array3, Array4};
use serde_json::Value;

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod device;
}
use common::device::{GPU, assert_close, random};

const MAP: f32 = 1e-3;
const PIXELS: f64 = 1e-2;

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

fn settings() -> Settings {
    Settings {
        samples: number("samples") as usize,
        noise: SETTINGS["noise"].as_f64().unwrap(),
        steps: number("steps") as usize,
        baseline: [0.0; 3],
        seed: number("seed"),
    }
}

fn classes() -> Vec<usize> {
    let classes = SETTINGS["classes"].as_array().unwrap().iter();
    classes
        .map(|class| class["id"].as_u64().unwrap() as usize)
        .collect()
}

/// The picture that the fixtures were made of, as the network's input.
fn input(picture: &str, classifier: &Classifier) -> Vec<f32> {
    let picture = image::open(fixture(picture)).unwrap().into_rgb8();
    to_tensor(&picture, &classifier.normalization)
}

fn explain(wanted: Wanted) -> (Prediction, Vec<Explanation>, Shape) {
    let explainer = Explainer::new(&GPU, &BUILTIN.network, wanted).unwrap();
    let input = input(PICTURE, &BUILTIN);
    let prediction = explainer.predict(&input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    (prediction, explanations, explainer.map_shape())
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
        let expected: Array3<f32> = ndarray_npy::read_npy(fixture(&file)).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let map: Vec<f32> = explanation.maps[i]
                .values
                .iter()
                .map(|&v| v as f32)
                .collect();
            let what = format!("{file}, class {}", explanation.class);
            assert_close(&what, &map, expected.as_slice().unwrap(), shape, MAP);
        }
    }
}

/// Of the logit, at `layer`.
fn wanted(methods: &[Method], layer: &str) -> Wanted {
    Wanted {
        score: Score::Logit,
        methods: methods.to_vec(),
        layers: vec![layer.into()],
        classes: 3,
        settings: settings(),
        ..Wanted::default()
    }
}

const PICTURE: &str = "builtin/cat-and-coffee-224.png";
const SMALL_PICTURE: &str = "methods/cat-and-coffee-64.png";

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

#[test]
fn augmenting_leaves_the_device_and_other_methods_as_they_were() {
    let ask = |augmented| {
        explain_small(Wanted {
            augmented,
            pixels: vec![
                attribution::Method::GuidedGradcam,
                attribution::Method::GradientXInput,
            ],
            ..Wanted::default()
        })
    };
    let (_, plain, none) = ask(false);
    let (_, smooth, told) = ask(true);
    for (plain, smooth) in plain.iter().zip(&smooth) {
        assert_eq!(plain.pixels, smooth.pixels);
        assert_ne!(plain.maps, smooth.maps);
    }
    assert_eq!(none, []);
    // Five more, and one that puts the picture back.
    assert_eq!(told.last(), Some(&Progress { done: 6, all: 6 }));
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
    let methods: Vec<Method> = Method::value_variants()
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
        methods: methods.to_vec(),
        layers: layers.map(Into::into).to_vec(),
        fuse: Fuse::Mean,
        classes: 3,
        ..Wanted::default()
    });
    for (i, method) in methods.iter().enumerate() {
        let file = fixture(&format!("methods/fused_{method}.npy"));
        let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let map = &explanation.maps[i];
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
        methods: vec![Method::FullGrad],
        classes: 3,
        ..Wanted::default()
    };
    let input = input("methods/cat-and-coffee-64.png", &SMALL);
    let maps = |score| {
        let explainer = Explainer::new(&GPU, &SMALL.network, wanted(score)).unwrap();
        let prediction = explainer.predict(&input).unwrap();
        let explanations = explainer.explain(&prediction, &classes()).unwrap();
        let map = |e: Explanation| e.maps[0].values.iter().map(|&v| v as f32).collect();
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
        methods: methods.to_vec(),
        eigen_smooth: true,
        classes: 3,
        ..Wanted::default()
    });
    let shape = Shape { c: 1, ..shape };
    for (i, method) in methods.iter().enumerate() {
        let file = fixture(&format!("methods/eigen_{method}.npy"));
        let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let map: Vec<f32> = explanation.maps[i]
                .values
                .iter()
                .map(|&v| v as f32)
                .collect();
            let what = format!("eigen {method}, class {}", explanation.class);
            assert_close(&what, &map, expected.as_slice().unwrap(), shape, MAP);
        }
    }
}

/// Each layer alone gives what it gives beside others, whichever of them is named first.
#[test]
fn layers_share_a_backward_pass_without_a_trace() {
    let methods = vec![Method::GradCam, Method::HiResCam];
    let maps = |layers: &[&str]| {
        let wanted = Wanted {
            score: Score::Logit,
            methods: methods.clone(),
            layers: layers.iter().map(|&layer| layer.into()).collect(),
            classes: 1,
            ..Wanted::default()
        };
        let explainer = Explainer::new(&GPU, &SMALL.network, wanted).unwrap();
        let input = input(SMALL_PICTURE, &SMALL);
        let prediction = explainer.predict(&input).unwrap();
        let mut explanations = explainer.explain(&prediction, &[5]).unwrap();
        explanations.remove(0).maps
    };
    let layers = ["pool5", "relu4_3", "conv5_1"];
    let alone = layers.map(|layer| maps(&[layer]));
    let together = [
        maps(&layers),
        maps(&["conv5_1", "pool5", "conv4_3", "conv4_3"]),
    ];
    for i in 0..methods.len() {
        let each: Vec<_> = alone.iter().map(|maps| maps[i].clone()).collect();
        let expected = Fuse::Mean.of(&each, 64, 64).values;
        for together in &together {
            for (a, e) in together[i].values.iter().zip(&expected) {
                assert!((a - e).abs() < 1e-6, "{}: {a} and {e}", methods[i]);
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
        let sum: f64 = explanation.maps[0].values.iter().sum();
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
    let prediction = explainer.predict(&input(PICTURE, &BUILTIN)).unwrap();
    let activations = explainer.activations(&prediction).unwrap().remove(0);
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
            .values
            .iter()
            .map(|v| (v * 196.0) as f32)
            .collect();
        let cam: Vec<f32> = cam.iter().map(|&v| v as f32).collect();
        assert_close("cam", &map, &cam, Shape { c: 1, ..shape }, 1e-5);
    }
}

/// The built-in network for pictures of 64 x 64: its mean-pooled head takes any multiple of 32, and passes cost a
/// twelfth.
static SMALL: LazyLock<Classifier> = LazyLock::new(|| {
    let mut weights = weights::builtin();
    weights.metadata.insert("input_size".into(), "64".into());
    architectures::recognise(&weights).unwrap()
});

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
    let methods: Vec<attribution::Method> = attribution::Method::value_variants()
        .iter()
        .copied()
        .filter(|method| wanted(method.recipe().inputs))
        .collect();
    let wanted = Wanted {
        score: Score::Logit,
        methods: vec![],
        pixels: methods.clone(),
        classes: 2,
        settings: settings(),
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, network, wanted).unwrap();
    let prediction = explainer.predict(input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()[..2]).unwrap();
    let of = |i: usize| explanations.iter().map(|e| e.pixels[i].clone()).collect();
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

/// Convolution, ReLU, max-pool, mean and a linear layer, of drawn weights.
fn tiny() -> Network {
    let drawn = |seed, shape: &[usize]| {
        Tensor::from_f32(shape.to_vec(), &random(seed, shape.iter().product()))
    };
    let mut network = Network::new("tiny", Shape::new(3, 8, 8));
    let convolution = Op::Conv2d {
        weight: drawn(1, &[8, 3, 3, 3]),
        bias: Some(drawn(2, &[8])),
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let linear = Op::Linear {
        weight: drawn(3, &[4, 8]),
        bias: Some(drawn(4, &[4])),
        layout: MatrixLayout::OutIn,
    };
    let pool = Op::MaxPool(Window::square(2, 2, 0));
    network.chain("conv", convolution).unwrap();
    network.chain("relu", Op::Relu).unwrap();
    network.chain("pool", pool).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network.chain("linear", linear).unwrap();
    network
}

/// Between changes of sides of its ReLUs and maxima the network is linear, where middles of steps are exact: only steps
/// with a change in them err, so the error falls as one over the steps.
#[test]
fn integrated_gradients_sum_to_the_rise_of_the_score_within_the_error_of_the_steps() {
    let network = tiny();
    let input = random(5, network.input_shape().len());
    let baseline = [0.5, -0.5, 0.25];
    for steps in [4, 40, 400] {
        let wanted = Wanted {
            score: Score::Logit,
            methods: vec![],
            pixels: vec![attribution::Method::IntegratedGradients],
            settings: Settings {
                steps,
                baseline,
                ..settings()
            },
            classes: 4,
            ..Wanted::default()
        };
        let explainer = Explainer::new(&GPU, &network, wanted).unwrap();
        let from: Vec<f32> = baseline.iter().flat_map(|&v| [v; 64]).collect();
        let from = explainer.predict(&from).unwrap();
        let prediction = explainer.predict(&input).unwrap();
        let explanations = explainer.explain(&prediction, &[0, 1, 2, 3]).unwrap();
        for explanation in explanations {
            let class = explanation.class;
            let sum: f64 = explanation.pixels[0].iter().sum();
            let rise = f64::from(prediction.logits[class] - from.logits[class]);
            let error = (sum - rise).abs() * steps as f64;
            assert!(
                error < 1.0,
                "{steps} steps, class {class}: {sum} and {rise}, {error}"
            );
        }
    }
}

#[test]
fn guided_gradcam_is_zero_where_either_is() {
    let wanted = Wanted {
        pixels: vec![
            attribution::Method::GuidedBprop,
            attribution::Method::GuidedGradcam,
        ],
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, &SMALL.network, wanted).unwrap();
    let input = input(SMALL_PICTURE, &SMALL);
    let prediction = explainer.predict(&input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()[..1]).unwrap();
    let [guided, product] = &explanations[0].pixels[..] else {
        panic!("two methods")
    };
    let heat = explanations[0].maps[0].scaled().resize(64, 64).heat();
    for (i, (&guided, &product)) in guided.iter().zip(product).enumerate() {
        let heat = heat.values[i % (64 * 64)];
        assert_eq!(product == 0.0, guided == 0.0 || heat == 0.0, "value {i}");
    }
    assert!(heat.values.contains(&0.0), "the map leaves nothing out");
}

/// Of the logit, for two classes of the small picture, counting what is told.
fn explain_small(wanted: Wanted) -> (Prediction, Vec<Explanation>, Vec<Progress>) {
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
    let methods = perturbation::Method::value_variants();
    let (_, explanations, told) = explain_small(Wanted {
        methods: vec![],
        perturbations: methods.to_vec(),
        masks,
        ..Wanted::default()
    });
    for (i, method) in methods.iter().enumerate() {
        let file = fixture(&format!("methods/{method}.npy"));
        let expected: Array3<f32> = ndarray_npy::read_npy(file).unwrap();
        for (explanation, expected) in explanations.iter().zip(expected.outer_iter()) {
            let off = relative(&explanation.perturbations[i], expected.as_slice().unwrap());
            println!("{method}: relative L2 {off:.1e}");
            assert!(off <= PIXELS, "{method}: relative L2 {off}");
        }
    }
    // Patches 4 x 4, and the masks.
    let all = 16 + masks.masks;
    assert_eq!(told.first(), Some(&Progress { done: 0, all }));
    assert_eq!(told.last(), Some(&Progress { done: all, all }));
}

#[test]
fn some_channels_are_the_first_of_all_and_the_rest_weigh_nothing() {
    let try_channels = |channels, methods: &[Method]| {
        explain_small(Wanted {
            channels,
            methods: methods.to_vec(),
            ..Wanted::default()
        })
    };
    let ablation = [Method::AblationCam];
    let (_, all, _) = try_channels(None, &ablation);
    let (_, beyond, _) = try_channels(Some(10_000), &ablation);
    let (_, few, told) = try_channels(Some(40), &[Method::AblationCam, Method::ScoreCam]);
    for ((all, beyond), few) in all.iter().zip(&beyond).zip(&few) {
        assert_eq!(all.kept, None);
        assert_eq!(all.maps[0], beyond.maps[0]);
        assert!((beyond.kept.unwrap() - 1.0).abs() < 1e-9);
        let kept = few.kept.unwrap();
        assert!((0.3..0.95).contains(&kept), "{kept}");
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (a, b) = (&all.maps[0].values, &few.maps[0].values);
        let alike = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(alike > 0.8, "cosine {alike}");
        assert_ne!(few.maps[1], few.maps[0]);
    }
    // A pass a channel, and the layers after the last convolution 40 times.
    assert_eq!(told.last().map(|told| told.all), Some(41));
}

/// A share of the score has no direction of its own.
#[test]
fn counterfactuals_of_ablation_turn_the_map_around() {
    let ask = |counterfactual| {
        let methods = vec![Method::AblationCam];
        let (_, explanations, _) = explain_small(Wanted {
            counterfactual,
            methods,
            ..Wanted::default()
        });
        explanations[0].maps[0].values.clone()
    };
    let negative: Vec<f64> = ask(true).iter().map(|v| -v).collect();
    assert_eq!(ask(false), negative);
}
