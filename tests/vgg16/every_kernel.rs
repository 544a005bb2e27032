//! The built-in network by every kernel for convolutions, of whatever adapter there is here.

use gradcam::low_level::architectures::{self, Classifier};
use gradcam::low_level::gpu::Session;
use gradcam::low_level::methods::cam::{Features, Method};
use gradcam::low_level::network::{ReluRule, Shape};
use gradcam::low_level::picture::preprocess::{to_picture, to_tensor};
use gradcam::low_level::plan::{
    BackwardRequest, ForwardRequest, KernelFamily, Limits, Plan, Request, StoredDtype, Winograd,
};
use gradcam::weights;
use serde_json::Value;

use crate::common::device::{GPU, assert_close, plain, tiled, to_input};
use crate::{FULL, HALF, assert_apart, assert_map, fixtures, json};

/// What the network sees of the test picture, and what PyTorch made of it.
struct Seen {
    classifier: Classifier,
    x: Vec<f32>,
    /// One for `food`, nothing else.
    seed: Vec<f32>,
    logits: Vec<f32>,
    folder: &'static str,
}

impl Seen {
    fn whole() -> Self {
        let reference = json(&fixtures("builtin/builtin.json"));
        Self::new(224, &reference["logits"], &reference, "builtin")
    }

    /// The middle takes a quarter of the whole picture's time.
    fn middle() -> Self {
        let reference = json(&fixtures("builtin/builtin.json"));
        let middle = &reference["middle"];
        let side = middle["side"].as_u64().unwrap() as u32;
        Self::new(side, &middle["logits"], &reference, "builtin/middle")
    }

    fn new(side: u32, logits: &Value, reference: &Value, folder: &'static str) -> Self {
        let weights = weights::builtin();
        let classifier = architectures::recognise_at(&weights, Some(side as usize)).unwrap();
        let picture = image::open(fixtures("builtin/cat-and-coffee-224.png")).unwrap();
        let first = (picture.width() - side) / 2;
        let picture = picture.crop_imm(first, first, side, side).into_rgb8();
        let of = |name: &Value| f32::from(u8::from(name == "food"));
        let logits = logits.as_array().unwrap().iter();
        Self {
            x: to_tensor(&picture, &classifier.normalization),
            classifier,
            seed: reference["classes"]
                .as_array()
                .unwrap()
                .iter()
                .map(of)
                .collect(),
            logits: logits.map(|v| v.as_f64().unwrap() as f32).collect(),
            folder,
        }
    }
}

/// Its own kernels without Winograd's algorithm, those of a GPU with each form of it and with none, and the plain ones. What a GPU
/// runs sees the whole picture.
#[test]
fn the_built_in_network_agrees_with_pytorch_by_every_kernel_for_convolutions() {
    let own = GPU.limits();
    let of_gpu = |winograd| Limits {
        family: tiled(256),
        winograd,
        ..own
    };
    let never = Limits {
        winograd: Winograd::Never,
        ..own
    };
    assert_by(
        of_gpu(Winograd::WhereFaster),
        StoredDtype::F32,
        &Seen::whole(),
    );
    let middle = Seen::middle();
    for limits in [
        never,
        of_gpu(Winograd::Never),
        of_gpu(Winograd::Everywhere),
        of_gpu(Winograd::Everywhere2x2),
        plain(),
    ] {
        assert_by(limits, StoredDtype::F32, &middle);
    }
    // The other forms are held to their twins in float16 by tests/kernels.
    assert_by(of_gpu(Winograd::Everywhere), StoredDtype::F16, &middle);
}

/// Forward, back to the last convolution and, by what a GPU chooses and in float16, to the input. By the other kernels small
/// networks go there in tests/gradients.
#[track_caller]
fn assert_by(limits: Limits<'_>, dtype: StoredDtype, seen: &Seen) {
    let Seen {
        classifier,
        x,
        seed,
        logits: expected,
        folder,
    } = seen;
    let network = &classifier.network;
    let logits = Shape::vector(expected.len());
    let target = network.target(None).unwrap();
    let shape = network.node(target).shape;
    let to_target = BackwardRequest {
        to: target,
        ..to_input(1, ReluRule::Plain)
    };
    let what = format!(
        "{:?}, Winograd {:?}, {dtype}",
        limits.family, limits.winograd
    );
    let is_of_gpu = matches!(limits.family, KernelFamily::Tiled(_));
    let is_chosen = limits.winograd == Winograd::WhereFaster;
    let mut backward = vec![to_target];
    if is_of_gpu && (is_chosen || dtype == StoredDtype::F16) {
        backward.push(to_input(1, ReluRule::Guided));
    }
    let request = Request {
        dtype,
        matrices: dtype,
        ..Request::of(ForwardRequest {
            keep: vec![target],
            backs: backward,
            ..ForwardRequest::default()
        })
    };
    let plan = Plan::new(network, &request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, x, network.input_shape()).unwrap();
    let plan = session.plan();
    let found = session.read(plan.picture().logits, 1, logits).unwrap();
    let bounds = if dtype == StoredDtype::F16 {
        HALF
    } else {
        FULL
    };
    assert_close(&what, &found, expected, logits, bounds.logits);
    session.backward([0, 0], seed, logits).unwrap();
    let map = Method::GradCam.map(&Features {
        shape,
        activations: &session.read(plan.picture().kept[0], 1, shape).unwrap(),
        gradients: &session
            .read(plan.picture().backs[0].gradient, 1, shape)
            .unwrap(),
        scale: 1.0,
        seed: 0,
        tried: &[],
        eigen: false,
        biases: &[],
    });
    let map: Vec<f32> = map.iter().map(|&v| v as f32).collect();
    let of_food = fixtures(&format!("{folder}/food_gradcam_logit.npy"));
    assert_map(&what, &map, &of_food, bounds.map);
    if let Some(phase) = plan.picture().backs.get(1) {
        session.backward([0, 1], seed, logits).unwrap();
        let read = session.read(phase.gradient, 1, network.input_shape());
        let gradient: Vec<f64> = read.unwrap().into_iter().map(f64::from).collect();
        let gradient: Vec<f32> = to_picture(&gradient, &classifier.normalization, 1)
            .iter()
            .map(|&g| g as f32)
            .collect();
        let file = fixtures(&format!("{folder}/food_guided_bprop_logit.npy"));
        assert_apart(&what, &gradient, &file, bounds.guided);
    }
}
