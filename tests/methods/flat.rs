//! Flat pictures on a GPU: rounding does not decide where their integrated gradients go.

use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::gpu::Gpu;
use gradcam::low_level::methods::attribution::{Method, Settings};
use gradcam::low_level::network::{FilterLayout, MatrixLayout, Network, Op, Shape, Window};
use gradcam::weights::Tensor;

use crate::common::device::{GPU, tiled};

const SIDE: usize = 16;

/// Each pixel with a part of 2^-30 of its left neighbour, a max-pool, and twice the first's work. Of two equal pixels beside the left
/// border the second is the larger, which float32 does not hold: there they are equal, and the first is taken.
fn network() -> Network {
    let mut network = Network::new("near ties", Shape::new(1, SIDE, SIDE));
    let convolution = |outputs: usize, taps: [f32; 9]| Op::Conv2d {
        weight: Tensor::from_f32(vec![outputs, 1, 3, 3], &taps.repeat(outputs)),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let linear = Op::Linear {
        weight: Tensor::from_f32(vec![1, 8], &[1.0; 8]),
        bias: None,
        layout: MatrixLayout::OutIn,
    };
    let near = [0.0, 0.0, 0.0, 2f32.powi(-30), 1.0, 0.0, 0.0, 0.0, 0.0];
    let layers = [
        ("near", convolution(1, near)),
        ("pool", Op::MaxPool(Window::square(2, 2, 0))),
        ("sums", convolution(8, [1.0; 9])),
        ("mean", Op::GlobalMean),
        ("linear", linear),
    ];
    for (name, op) in layers {
        network.chain(name, op).unwrap();
    }
    network
}

/// Whether the second pixel of the first row has its pool's gradient, as in float64, and not the first.
fn is_second(gpu: &Gpu, input: &[f32]) -> bool {
    let wanted = Wanted {
        settings: Settings {
            steps: 3,
            ..Settings::default()
        },
        score: gradcam::low_level::score::Score::Logit,
        ..Wanted::of([Method::IntegratedGradients])
    };
    let explainer = Explainer::new(gpu, &network(), wanted).unwrap();
    let prediction = explainer.predict(input).unwrap();
    let explained = explainer.explain(&prediction, &[0]).unwrap();
    let values = explained[0].pixels()[0];
    let [first, second] = [values[0], values[1]].map(f64::abs);
    assert!(
        first.max(second) > 1e3 * first.min(second),
        "one of them: {first}, {second}"
    );
    second > first
}

#[test]
fn the_host_settles_near_ties_of_flat_pictures_on_a_gpu_and_of_all_on_a_processor() {
    let flat = [1.0; SIDE * SIDE];
    // No square of one colour, and the first two pixels alike.
    let striped: Vec<f32> = [1.0, 1.0, 1.0, 0.5].repeat(SIDE * SIDE / 4);
    let card = GPU.clone().with_family(tiled(256));
    assert!(is_second(&card, &flat));
    assert!(!is_second(&card, &striped));
    assert!(is_second(&GPU, &flat));
    assert!(is_second(&GPU, &striped));
}
