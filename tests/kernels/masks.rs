//! The mask of an activation in every kernel that applies it to the gradient it makes.

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{MatrixLayout, Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::Plan;

use crate::TOLERANCE;
use crate::common::device::{
    assert_close, backward_within, each_plan, random, there_and_back, to_input,
};
use crate::common::drawn;
use crate::common::twins::{self, Filters};

/// Bounds of clips, one of them above zero, and of a ReLU, with rules: each of both, not each pair.
const MASKS: [([f32; 2], &[ReluRule]); 4] = [
    ([-0.25, 0.5], &[ReluRule::Plain, ReluRule::Guided]),
    ([0.0, f32::INFINITY], &[ReluRule::Guided, ReluRule::Deconv]),
    ([0.125, 0.5], &[ReluRule::Guided]),
    ([f32::NEG_INFINITY, 0.25], &[ReluRule::Plain]),
];

/// The gradient of `op` at its input, the value `x`, of which so many are.
type Twin<'a> = &'a dyn Fn(&[f32], &[f32], usize) -> Vec<f32>;

/// Of an activation that `op` reads nothing of its own is left on the way back.
#[track_caller]
fn check(input: Shape, op: &Op, gradients: usize, twin: Twin<'_>) {
    for ([low, high], rules) in MASKS {
        let mut network = Network::new("masked", input);
        let act = match low == 0.0 && high.is_infinite() {
            true => Op::RELU,
            false => Op::clip(low, high),
        };
        network.chain("act", act).unwrap();
        let last = network.chain("layer", op.clone()).unwrap();
        let out = network.node(last).shape;
        let x = random(70, input.len());
        let after = twins::clip(&x, low, high);
        for end in [low, high].into_iter().filter(|end| end.is_finite()) {
            assert!(after.contains(&end), "{end}");
        }
        let dy = random(71, gradients * out.len());
        let before_mask = twin(&dy, &after, gradients);
        for &rule in rules {
            let expected = twins::clip_backward(&before_mask, &after, [low, high], rule);
            let request = there_and_back(to_input(gradients, rule));
            for limits in each_plan(&network, std::slice::from_ref(&request)) {
                let plan = Plan::new(&network, &request, limits).unwrap();
                let back = &plan.picture().backs[0].dispatches;
                let masks = [Kernel::Clip, Kernel::Relu];
                let what = format!("{input}, {low}..{high}, {rule:?}, {:?}", limits.family);
                let alone = back.iter().find(|it| masks.contains(&it.kernel));
                assert!(alone.is_none(), "{what}: by itself");
                let asked = to_input(gradients, rule);
                let (_, dx) = backward_within(limits, &network, asked, &x, &dy);
                assert_close(&what, &dx, &expected, input, TOLERANCE);
            }
        }
    }
}

#[track_caller]
fn check_convolution(input: Shape, outputs: usize, window: Window, groups: usize) {
    let op = drawn::convolution(72, outputs, input.c / groups, window, groups);
    let values = random(
        72,
        outputs * input.c / groups * window.size[0] * window.size[1],
    );
    let filters = Filters {
        values: &values,
        outputs,
        inputs: input.c,
        groups,
    };
    let twin = |dy: &[f32], _: &[f32], n| twins::conv2d_backward(dy, n, input, &filters, window);
    check(input, &op, 2, &twin);
}

/// By Winograd's algorithms and directly, in parts and whole, of a block an invocation and of two, of few channels.
#[test]
fn convolutions_mask_their_gradients() {
    let same = Window::square(3, 1, 1);
    check_convolution(Shape::new(31, 9, 7), 29, same, 1);
    check_convolution(Shape::new(61, 9, 7), 13, Window::square(1, 1, 0), 1);
    check_convolution(Shape::new(13, 9, 7), 10, Window::square(1, 1, 0), 1);
    check_convolution(Shape::new(5, 9, 7), 10, Window::square(5, 2, 2), 1);
    check_convolution(Shape::new(18, 9, 7), 12, same, 3);
}

#[test]
fn convolutions_of_strides_mask_their_gradients() {
    for channels in [13, 61] {
        check_convolution(Shape::new(channels, 13, 11), 9, Window::square(3, 2, 1), 1);
    }
}

#[test]
fn depthwise_convolutions_mask_their_gradients() {
    for window in [
        Window::square(3, 1, 1),
        Window::square(5, 1, 2),
        Window::square(3, 2, 1),
    ] {
        check_convolution(Shape::new(33, 15, 6), 33, window, 33);
    }
}

#[test]
fn pools_whose_windows_lie_side_by_side_mask_their_gradients() {
    let (input, window) = (Shape::new(6, 9, 7), Window::square(2, 2, 0));
    let twin = |dy: &[f32], x: &[f32], n| {
        let (_, argmax) = twins::max_pool(x, 1, input, window);
        twins::max_pool_backward(dy, n, input, window, &argmax)
    };
    check(input, &Op::MaxPool(window), 2, &twin);
}

/// Of few gradients and of many, along rows and along columns.
#[test]
fn dense_layers_mask_their_gradients() {
    let (inputs, outputs) = (150, 70);
    let values = random(73, inputs * outputs);
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        let (shape, of_inputs) = match layout {
            MatrixLayout::OutIn => ([outputs, inputs], true),
            MatrixLayout::InOut => ([inputs, outputs], false),
        };
        let op = Op::Linear {
            weight: drawn::tensor(73, &shape),
            bias: None,
            layout,
        };
        let twin = |dy: &[f32], _: &[f32], _| match of_inputs {
            true => twins::linear_columns(&values, inputs, dy),
            false => twins::linear_rows(&values, outputs, dy),
        };
        for gradients in [2, 12] {
            check(Shape::vector(inputs), &op, gradients, &twin);
        }
    }
}
