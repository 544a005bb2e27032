//! An op and its gradient are each other's transpose: `<f(x), g> = <x, f_backward(g)>` for every x and g.

use gradcam::low_level::network::{
    Coordinates, FilterLayout, Interpolation, NearestMode, Network, NodeId, Op, Pad, ReluRule,
    RepeatMode, Resample, Resize, ResizeTo, Shape, Window,
};
use gradcam::low_level::plan::BackwardRequest;
use gradcam::weights::Tensor;

use crate::common::device::{backward, forward, random, to_input};
use crate::dot;

fn convolution(seed: u32, o: usize, i: usize, window: Window) -> Op {
    let [kh, kw] = window.size;
    Op::Conv2d {
        weight: Tensor::from_f32(vec![o, i, kh, kw], &random(seed, o * i * kh * kw)),
        bias: None,
        layout: FilterLayout::Oihw,
        window,
        groups: 1,
    }
}

#[track_caller]
fn assert_adjoint(input: Shape, op: Op) {
    let what = format!("{input}, {op:?}");
    let mut network = Network::new("adjoint", input);
    network.chain("layer", op).unwrap();
    let out = network.node(network.output()).shape;
    let (x, g) = (random(51, input.len()), random(52, out.len()));
    let (y, dx) = backward(&network, to_input(1, ReluRule::Plain), &x, &g);
    let (left, right) = (dot(&y, &g), dot(&x, &dx));
    let size = dot(&y, &y).sqrt() * dot(&g, &g).sqrt();
    assert!(
        (left - right).abs() < 1e-6 * size,
        "{what}: {left}, {right}"
    );
}

#[test]
fn a_convolution_and_its_input_gradient_are_adjoint() {
    let windows = [
        Window::square(3, 1, 1),
        Window::square(5, 2, 1),
        Window::square(1, 1, 0),
    ];
    for (input, outputs) in [(Shape::new(5, 17, 9), 7), (Shape::new(13, 6, 33), 66)] {
        for window in windows {
            assert_adjoint(input, convolution(50, outputs, input.c, window));
        }
    }
}

/// The same of what has no weights, and of one filter a channel.
#[test]
fn depthwise_convolutions_and_pads_and_their_input_gradients_are_adjoint() {
    let input = Shape::new(6, 11, 9);
    let depthwise = |size, stride| Op::Conv2d {
        weight: Tensor::from_f32(vec![6, 1, size, size], &random(53, 6 * size * size)),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(size, stride, size / 2),
        groups: 6,
    };
    let pad = Op::Pad(Pad {
        before: [2, -1],
        after: [-3, 4],
        value: 0.0,
    });
    let resize = |filter, places, antialias| {
        Op::Resample(Resample::Resize(Resize {
            to: ResizeTo::Size([7, 14]),
            filter,
            places,
            antialias,
            edge: true,
        }))
    };
    let around = |by| {
        Op::Resample(Resample::Repeat {
            before: [2, -1],
            after: [-3, 4],
            by,
        })
    };
    let ops = [
        depthwise(3, 1),
        depthwise(5, 2),
        pad,
        resize(
            Interpolation::Nearest(NearestMode::RoundDown),
            Coordinates::HalfPixel,
            false,
        ),
        resize(Interpolation::Linear, Coordinates::AlignCorners, false),
        resize(Interpolation::Linear, Coordinates::HalfPixel, true),
        resize(Interpolation::Cubic(-0.75), Coordinates::Asymmetric, false),
        around(RepeatMode::Reflect),
        around(RepeatMode::Edge),
        around(RepeatMode::Wrap),
        Op::Resample(Resample::Pick {
            first: [1, 8],
            step: [3, -2],
            count: [4, 5],
        }),
    ];
    for op in ops {
        assert_adjoint(input, op);
    }
}

/// Attention's ops are linear in either input alone: `<f(a, b), g> = <a, gradient at a> = <b, gradient at b>`.
#[test]
fn attention_is_adjoint_to_its_gradient_in_each_input() {
    let input = Shape::new(6, 5, 7);
    for heads in [1, 2, 3] {
        let mut network = Network::new("adjoint", input);
        let window = Window::square(3, 1, 1);
        let map = |seed| convolution(seed, 6, 6, window);
        let ways = [60, 61, 62].map(|seed| {
            let way = network.push(format!("way{seed}"), map(seed), vec![NodeId(0)]);
            way.unwrap()
        });
        let op = Op::AttentionScores { heads, scale: 0.01 };
        let scores = network.push("scores", op, vec![ways[0], ways[1]]).unwrap();
        let op = Op::AttentionSum { heads };
        let sum = network.push("sum", op, vec![scores, ways[2]]).unwrap();
        let x = random(63, input.len());
        for (output, inputs) in [(scores, [ways[0], ways[1]]), (sum, [scores, ways[2]])] {
            let mut upto = network.clone();
            upto.nodes.truncate(output.0 + 1);
            let y = forward(&upto, 1, &x);
            let g = random(64, y.len());
            let left = dot(&y, &g);
            for at in inputs {
                let mut before = network.clone();
                before.nodes.truncate(at.0 + 1);
                let value = forward(&before, 1, &x);
                let back = BackwardRequest {
                    to: at,
                    ..to_input(1, ReluRule::Plain)
                };
                let (_, gradient) = backward(&upto, back, &x, &g);
                let right = dot(&value, &gradient);
                let size = dot(&y, &y).sqrt() * dot(&g, &g).sqrt();
                assert!(
                    (left - right).abs() < 1e-6 * size,
                    "{heads} heads, {output:?} at {at:?}: {left}, {right}"
                );
            }
        }
    }
}
