//! Gradients at the input against PyTorch's, and against finite differences.

use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{Network, OutputKind, ReluRule, Shape};
use gradcam::low_level::plan::{ForwardRequest, Limits, Plan, Request, StoredDtype};
use gradcam::low_level::score::{Objective, Score};

use crate::common::device::{GPU, assert_close, backward, each_plan, random, there, to_input};
use crate::dot;
use crate::small::{fixture, numbers};

/// Each picture of the fixture's batch, explained for its class under every rule and both scores, by every kernel for
/// convolutions.
fn check_against_pytorch(name: &str, tolerance: f32) {
    for limits in each_convolution_of(name) {
        check_within(limits, name, StoredDtype::F32, tolerance);
    }
}

const RULES: [(&str, ReluRule); 3] = [
    ("plain", ReluRule::Plain),
    ("guided", ReluRule::Guided),
    ("deconv", ReluRule::Deconv),
];

/// One session for all rules: of each there is time mostly for compiling kernels.
fn pass_of_all_rules() -> ForwardRequest {
    ForwardRequest {
        backs: RULES.map(|(_, rule)| to_input(1, rule)).to_vec(),
        ..ForwardRequest::default()
    }
}

fn each_convolution_of(name: &str) -> Vec<Limits<'static>> {
    let (network, _) = fixture(name);
    each_plan(&network, &[there(2), Request::of(pass_of_all_rules())])
}

fn check_within(limits: Limits<'_>, name: &str, dtype: StoredDtype, tolerance: f32) {
    let (network, fixture) = fixture(name);
    let shape = network.input_shape();
    let classes = Shape::vector(network.classes());
    let (_, input) = numbers(&fixture["input"]);
    let (_, logits) = numbers(&fixture["logits"]);
    assert_close(
        "logits",
        &forward_stored(limits, &network, 2, &input, dtype),
        &logits,
        classes,
        tolerance,
    );
    let request = stored(dtype, pass_of_all_rules());
    let plan = Plan::new(&network, &request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    for (n, x) in input.chunks_exact(shape.len()).enumerate() {
        session.forward(0, x, shape).unwrap();
        let class = fixture["classes"][n].as_u64().unwrap() as usize;
        let logits = &logits[n * classes.c..(n + 1) * classes.c];
        for (score_name, score) in [("logit", Score::Logit), ("prob", Score::Prob)] {
            let seed = Objective::from(score).seed(OutputKind::Softmax, logits, class);
            for (phase, (rule_name, _)) in RULES.into_iter().enumerate() {
                let of_rule = &fixture["d_input"][score_name][rule_name];
                if of_rule.is_null() {
                    // Of no ReLU, and so the plain gradient.
                    assert_ne!(rule_name, "plain");
                    continue;
                }
                let (_, expected) = numbers(of_rule);
                session
                    .backward([0, phase], &seed.direction, classes)
                    .unwrap();
                let gradient = session.plan().picture().backs[phase].gradient;
                let dx: Vec<f32> = session
                    .read(gradient, 1, shape)
                    .unwrap()
                    .iter()
                    .map(|&g| (f64::from(g) * seed.scale) as f32)
                    .collect();
                let expected = &expected[n * shape.len()..(n + 1) * shape.len()];
                let kernels = format!("{:?}, Winograd {:?}", limits.family, limits.winograd);
                let what = format!("{name}, {score_name}, {rule_name}, picture {n}, {kernels}");
                match dtype {
                    StoredDtype::F32 => assert_close(&what, &dx, expected, shape, tolerance),
                    StoredDtype::F16 => assert_mostly_close(&what, &dx, expected, tolerance),
                }
            }
        }
    }
}

fn stored(dtype: StoredDtype, pass: ForwardRequest) -> Request {
    Request {
        dtype,
        matrices: dtype,
        ..Request::of(pass)
    }
}

fn forward_stored(
    limits: Limits<'_>,
    network: &Network,
    images: usize,
    x: &[f32],
    dtype: StoredDtype,
) -> Vec<f32> {
    let pass = ForwardRequest {
        images,
        ..ForwardRequest::default()
    };
    let plan = Plan::new(network, &stored(dtype, pass), limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, x, network.input_shape()).unwrap();
    let logits = session.plan().picture().logits;
    let classes = Shape::vector(network.classes());
    session.read(logits, images, classes).unwrap()
}

/// Where rounding turns over a mask or a pool's maximum, what lies before it has another gradient: that may be a quarter of the
/// picture, and the rest is close.
#[track_caller]
fn assert_mostly_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let is_close = |(a, e): (&f32, &f32)| (a - e).abs() <= tolerance * largest;
    let close = actual.iter().zip(expected).map(is_close);
    let close = close.filter(|&close| close).count();
    let share = close as f32 / expected.len() as f32;
    println!("{what}: {share:.3} within {tolerance}");
    assert!(share >= 0.75, "{what}: {share} are within {tolerance}");
}

/// Chains, skip connections, gates and concatenations, under every rule; the gradients of probabilities too, which are smaller.
#[test]
fn small_networks_stored_in_float16_agree_with_pytorch_within_hundredths_but_for_masks() {
    for name in ["plain", "head", "residual", "excited", "dense"] {
        for limits in each_convolution_of(name) {
            check_within(limits, name, StoredDtype::F16, 1e-2);
        }
    }
}

#[test]
fn a_small_chain_agrees_with_pytorch_under_every_rule() {
    check_against_pytorch("plain", 1e-5);
}

#[test]
fn a_dense_head_agrees_with_pytorch_under_every_rule() {
    check_against_pytorch("head", 1e-5);
}

#[test]
fn bins_that_share_rows_and_columns_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("bins", 1e-5);
}

#[test]
fn clipped_activations_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("clipped", 1e-5);
}

#[test]
fn skip_connections_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("residual", 1e-5);
}

#[test]
fn squeeze_and_excite_and_depthwise_convolutions_agree_with_pytorch() {
    check_against_pytorch("excited", 1e-5);
}

#[test]
fn concatenations_and_normalisations_between_them_agree_with_pytorch() {
    check_against_pytorch("dense", 1e-5);
}

/// Every number of this fixture is exact in float32, so which of two equal elements gets a gradient shows fully.
#[test]
fn ties_and_zeros_fall_where_pytorch_lets_them_fall() {
    let (network, fixture) = fixture("ties");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    for (rule_name, rule) in [
        ("plain", ReluRule::Plain),
        ("guided", ReluRule::Guided),
        ("deconv", ReluRule::Deconv),
    ] {
        let (_, expected) = numbers(&fixture["d_input"]["logit"][rule_name]);
        for (n, x) in input.chunks_exact(shape.len()).enumerate() {
            let mut seed = vec![0.0; network.classes()];
            seed[fixture["classes"][n].as_u64().unwrap() as usize] = 1.0;
            let (_, dx) = backward(&network, to_input(1, rule), x, &seed);
            assert_eq!(
                dx,
                &expected[n * shape.len()..(n + 1) * shape.len()],
                "{rule_name}"
            );
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (network, fixture) = fixture("head");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    let x = &input[..shape.len()];
    let class = 1;
    let mut seed = vec![0.0; network.classes()];
    seed[class] = 1.0;
    let (_, dx) = backward(&network, to_input(1, ReluRule::Plain), x, &seed);
    let request = Request::default();
    let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    let score = |x: &[f32]| {
        session.forward(0, x, shape).unwrap();
        let classes = Shape::vector(network.classes());
        f64::from(
            session
                .read(session.plan().picture().logits, 1, classes)
                .unwrap()[class],
        )
    };
    // The fixture's pictures keep every ReLU and every maximum clear of a change of sides for a step this short.
    for direction in 0..4 {
        let step = random(61 + direction, shape.len());
        let h = 2e-4;
        let moved = |sign: f32| -> Vec<f32> {
            x.iter().zip(&step).map(|(x, s)| x + sign * h * s).collect()
        };
        let numeric = (score(&moved(1.0)) - score(&moved(-1.0))) / f64::from(2.0 * h);
        let ours = dot(&dx, &step);
        let size = dot(&dx, &dx).sqrt();
        assert!((numeric - ours).abs() < 1e-2 * size, "{numeric} and {ours}");
    }
}
