//! What works on each value alone, or only moves it.

use gradcam::low_level::network::ReluRule;
use gradcam::low_level::network::{
    Coordinates, FlattenOrder, Interpolation, Lrn, NearestMode, Network, NodeId, Op, Pad,
    RepeatMode, Resample, Resize, ResizeTo, Shape, SoftmaxOver,
};
use gradcam::weights::Tensor;
use serde_json::Value;

use crate::common::device::{assert_close, backward, forward, random, to_input};
use crate::common::twins;
use crate::{SHAPES, TOLERANCE, single};

#[test]
fn scale_and_shift_and_their_gradient_are_the_twins() {
    for input in SHAPES {
        let (scale, shift) = (random(14, input.c), random(15, input.c));
        let tensor = |values: &[f32]| Tensor::from_f32(vec![values.len()], values);
        let op = Op::Affine {
            scale: tensor(&scale),
            shift: tensor(&shift),
        };
        let network = single(input, op);
        let x = random(16, 3 * input.len());
        let expected = twins::affine(&x, input, &scale, &shift);
        let actual = forward(&network, 3, &x);
        assert_close("affine", &actual, &expected, input, TOLERANCE);
        let dy = random(17, 2 * input.len());
        let one = &x[..input.len()];
        let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
        let expected = twins::affine(&dy, input, &scale, &vec![0.0; input.c]);
        assert_close("affine backward", &dx, &expected, input, TOLERANCE);
    }
}

#[test]
fn the_larger_of_two_values_is_one_of_them_to_the_last_bit_and_has_the_gradient() {
    for input in SHAPES {
        // Powers of two, so that no product is rounded; sums of the two would be.
        let scaled = |factor: f32| Op::Affine {
            scale: Tensor::repeated(vec![input.c], factor),
            shift: Tensor::repeated(vec![input.c], 0.0),
        };
        let (large, small) = (32768.0, 0.125);
        let mut network = Network::new("larger", input);
        let picture = NodeId(0);
        let a = network.push("a", scaled(large), vec![picture]).unwrap();
        let b = network.push("b", scaled(small), vec![picture]).unwrap();
        network.push("larger", Op::Max, vec![a, b]).unwrap();
        let x = random(18, 3 * input.len());
        let times = |x: f32| if x >= 0.0 { large } else { small };
        let expected: Vec<f32> = x.iter().map(|&x| x * times(x)).collect();
        assert_eq!(forward(&network, 3, &x), expected, "{input}");
        let dy = random(19, 2 * input.len());
        let one = &x[..input.len()];
        let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
        let taken = one.iter().cycle().map(|&x| times(x));
        let expected: Vec<f32> = dy.iter().zip(taken).map(|(dy, times)| dy * times).collect();
        assert_eq!(dx, expected, "{input}");
    }
}

#[test]
fn normalisation_over_channels_and_its_gradient_are_the_twins() {
    for input in SHAPES {
        let (scale, shift) = (random(54, input.c), random(55, input.c));
        let tensor = |values: &[f32]| Tensor::from_f32(vec![values.len()], values);
        let op = Op::LayerNorm {
            scale: tensor(&scale),
            shift: tensor(&shift),
            epsilon: 1e-2,
        };
        let network = single(input, op);
        // Far from zero: the variance is not the difference of two large sums.
        let x: Vec<f32> = random(56, 2 * input.len())
            .iter()
            .map(|v| v + 5.0)
            .collect();
        let expected = twins::layer_norm(&x, input, [&scale, &shift], 1e-2);
        assert_close(
            "norm",
            &forward(&network, 2, &x),
            &expected,
            input,
            TOLERANCE,
        );
        let dy = random(57, 3 * input.len());
        let one = &x[..input.len()];
        let (_, dx) = backward(&network, to_input(3, ReluRule::Plain), one, &dy);
        let expected = twins::layer_norm_backward(&dy, one, input, &scale, 1e-2);
        // Of one channel nothing is left, and both are rounding.
        if input.c > 1 {
            assert_close("norm backward", &dx, &expected, input, 3e-5);
        }
    }
}

#[test]
fn normalisation_over_groups_of_channels_and_its_gradient_are_the_twins() {
    for input in SHAPES {
        // One group, one a channel, and as few as divide the channels: of three, five or six channels, that lie across blocks of four.
        let some = (2..=input.c).find(|&groups| input.c.is_multiple_of(groups));
        for groups in [1, input.c].into_iter().chain(some) {
            let (scale, shift) = (random(84, input.c), random(85, input.c));
            let tensor = |values: &[f32]| Tensor::from_f32(vec![values.len()], values);
            let op = Op::GroupNorm {
                groups,
                scale: tensor(&scale),
                shift: tensor(&shift),
                epsilon: 1e-2,
            };
            let network = single(input, op);
            let what = format!("{groups} groups");
            // Far from zero: the variance is not the difference of two large sums.
            let x: Vec<f32> = random(86, 2 * input.len())
                .iter()
                .map(|v| v + 5.0)
                .collect();
            let expected = twins::group_norm(&x, input, groups, [&scale, &shift], 1e-2);
            let actual = forward(&network, 2, &x);
            // A mean over thousands of values is rounded more than one over a few channels.
            assert_close(&what, &actual, &expected, input, 3e-5);
            let dy = random(87, 3 * input.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(3, ReluRule::Plain), one, &dy);
            let expected = twins::group_norm_backward(&dy, one, input, groups, &scale, 1e-2);
            // Of one value nothing is left, and both are rounding.
            if input.len() > groups {
                assert_close(&format!("{what} backward"), &dx, &expected, input, 1e-4);
            }
        }
    }
}

/// Every channel alone, and sets of channels next to one another and apart, of three or more that lie across blocks of four.
#[test]
fn shares_that_add_up_to_one_and_their_gradient_are_the_twins() {
    for input in SHAPES {
        let channels = |count, apart| SoftmaxOver::Channels { count, apart };
        let some = (2..input.c).find(|&count| input.c.is_multiple_of(count));
        let sets = some.map(|count| [channels(count, 1), channels(count, input.c / count)]);
        let all = [SoftmaxOver::Positions, channels(input.c, 1)];
        for over in all.into_iter().chain(sets.into_iter().flatten()) {
            let network = single(input, Op::Softmax(over));
            // Exponentials of these are infinite.
            let x: Vec<f32> = random(92, 2 * input.len())
                .iter()
                .map(|v| 200.0 + 4.0 * v)
                .collect();
            let what = format!("{over:?}");
            let expected = twins::softmax(&x, input, over);
            let actual = forward(&network, 2, &x);
            assert_close(&what, &actual, &expected, input, TOLERANCE);
            let dy = random(93, 3 * input.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(3, ReluRule::Plain), one, &dy);
            let expected = twins::softmax_backward(&dy, one, input, over);
            // Of one value the share is 1 whatever it is.
            let is_one = match over {
                SoftmaxOver::Positions => input.h * input.w == 1,
                SoftmaxOver::Channels { count, .. } => count == 1,
            };
            if !is_one {
                let what = format!("{what} backward");
                assert_close(&what, &dx, &expected, input, TOLERANCE);
            }
        }
    }
}

#[test]
fn rows_as_columns_and_back_are_the_twins() {
    for input in SHAPES {
        let network = single(input, Op::Transpose);
        let turned = Shape::new(input.c, input.w, input.h);
        let x = random(94, 2 * input.len());
        assert_eq!(forward(&network, 2, &x), twins::transpose(&x, input));
        let dy = random(95, 3 * input.len());
        let one = &x[..input.len()];
        let (_, dx) = backward(&network, to_input(3, ReluRule::Plain), one, &dy);
        assert_eq!(dx, twins::transpose(&dy, turned));
    }
}

#[test]
fn relu_lets_through_what_each_rule_says() {
    for input in SHAPES {
        let network = single(input, Op::RELU);
        let x = random(12, 2 * input.len());
        assert_close(
            "relu",
            &forward(&network, 2, &x),
            &twins::relu(&x),
            input,
            0.0,
        );
        let x = &x[..input.len()];
        let dy = random(13, 3 * input.len());
        for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
            let (y, dx) = backward(&network, to_input(3, rule), x, &dy);
            let expected = twins::relu_backward(&dy, &y, rule);
            assert_close(
                &format!("relu backward, {rule:?}"),
                &dx,
                &expected,
                input,
                0.0,
            );
        }
    }
}

#[test]
fn a_clip_lets_through_what_each_rule_says() {
    for input in SHAPES {
        for (low, high) in [(0.0, 0.5), (-0.25, 0.75), (f32::NEG_INFINITY, 0.0)] {
            let network = single(input, Op::clip(low, high));
            let x = random(30, 2 * input.len());
            let y = forward(&network, 2, &x);
            assert_close("clip", &y, &twins::clip(&x, low, high), input, 0.0);
            let x = &x[..input.len()];
            let dy = random(31, 3 * input.len());
            for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
                let (y, dx) = backward(&network, to_input(3, rule), x, &dy);
                let expected = twins::clip_backward(&dy, &y, [low, high], rule);
                let what = format!("clip to {low}..{high} backward, {rule:?}");
                assert_close(&what, &dx, &expected, input, 0.0);
            }
        }
    }
}

#[test]
fn pads_and_cuts_and_their_gradients_are_the_twins() {
    let input = Shape::new(6, 9, 7);
    for (before, after, value) in [
        ([1, 2], [3, 0], 0.0),
        ([-2, 1], [1, -3], 0.5),
        ([-4, -3], [-4, -3], 0.0),
        ([0, 12], [-9 + 1, 0], -1.0),
    ] {
        let pad = Pad {
            before,
            after,
            value,
        };
        let network = single(input, Op::Pad(pad));
        let out = network.node(network.output()).shape;
        let x = random(50, 2 * input.len());
        let expected = twins::pad(&x, 2, input, out, pad);
        assert_close("pad", &forward(&network, 2, &x), &expected, out, 0.0);
        let dy = random(51, 3 * out.len());
        let request = to_input(3, ReluRule::Plain);
        let (_, dx) = backward(&network, request, &x[..input.len()], &dy);
        let expected = twins::pad_backward(&dy, 3, input, out, pad);
        assert_close("pad backward", &dx, &expected, input, 0.0);
    }
}

#[test]
fn other_sizes_and_repeated_edges_and_their_gradients_are_the_twins() {
    let resize = |to, filter, places, antialias| {
        Resample::Resize(Resize {
            to,
            filter,
            places,
            antialias,
            edge: true,
        })
    };
    let nearest = Interpolation::Nearest(NearestMode::RoundDown);
    let edge = |before, after| Resample::Repeat {
        before,
        after,
        by: RepeatMode::Edge,
    };
    for input in SHAPES {
        for rule in [
            resize(
                ResizeTo::Size([9, 70]),
                nearest,
                Coordinates::HalfPixel,
                false,
            ),
            resize(
                ResizeTo::Size([1, 3]),
                Interpolation::Linear,
                Coordinates::HalfPixel,
                true,
            ),
            resize(
                ResizeTo::Times([2.0; 2]),
                Interpolation::Linear,
                Coordinates::AlignCorners,
                false,
            ),
            resize(
                ResizeTo::Size([5, 2]),
                Interpolation::Cubic(-0.5),
                Coordinates::HalfPixel,
                false,
            ),
            edge([1, 65], [70, 0]),
        ] {
            let network = single(input, Op::Resample(rule));
            let out = network.node(network.output()).shape;
            let taps = |axis, length| rule.taps(axis, length).unwrap();
            let (rows, columns) = (taps(0, input.h), taps(1, input.w));
            let x = random(54, 2 * input.len());
            let expected = twins::resample(&x, input, &rows, &columns);
            let what = format!("{rule:?}");
            assert_close(&what, &forward(&network, 2, &x), &expected, out, 1e-6);
            let dy = random(55, 3 * out.len());
            let request = to_input(3, ReluRule::Plain);
            let (_, dx) = backward(&network, request, &x[..input.len()], &dy);
            let expected = twins::resample_backward(&dy, input, &rows, &columns);
            // At the edge some thousand values are added up.
            assert_close(&what, &dx, &expected, input, 1e-5);
        }
    }
}

#[test]
fn response_normalisation_and_its_gradient_are_the_twins() {
    for input in SHAPES {
        for (size, alpha, beta, bias) in [
            (5, 1e-4, 0.75, 1.0),
            (4, 2.0, 0.5, 2.0),
            (1, 1.0, 1.0, 0.5),
            (300, 0.5, 0.75, 1.0),
        ] {
            let lrn = Lrn {
                size,
                alpha,
                beta,
                bias,
            };
            let network = single(input, Op::Lrn(lrn));
            let x: Vec<f32> = random(52, 2 * input.len())
                .iter()
                .map(|v| 3.0 * v)
                .collect();
            let expected = twins::lrn(&x, input, &lrn);
            let what = format!("{lrn:?}");
            assert_close(
                &what,
                &forward(&network, 2, &x),
                &expected,
                input,
                TOLERANCE,
            );
            let x = &x[..input.len()];
            let dy = random(53, 3 * input.len());
            let (_, dx) = backward(&network, to_input(3, ReluRule::Plain), x, &dy);
            let expected = twins::lrn_backward(&dy, x, input, &lrn);
            assert_close(
                &format!("{what} backward"),
                &dx,
                &expected,
                input,
                TOLERANCE,
            );
        }
    }
}

/// An odd size as PyTorch has it, an even one as ONNX does.
#[test]
fn response_normalisation_agrees_with_pytorch_and_onnx() {
    let fixture = include_str!("../fixtures/lrn.json");
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let numbers = |value: &Value| -> Vec<f32> {
        let list = value.as_array().unwrap().iter();
        list.map(|v| v.as_f64().unwrap() as f32).collect()
    };
    let input = Shape::new(7, 2, 3);
    let x = numbers(&fixture["x"]);
    for case in fixture["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap() as f32;
        let lrn = Lrn {
            size: case["size"].as_u64().unwrap() as usize,
            alpha: number("alpha"),
            beta: number("beta"),
            bias: number("bias"),
        };
        let network = single(input, Op::Lrn(lrn));
        let what = format!("{lrn:?} of {}", case["by"]);
        let y = forward(&network, 1, &x);
        assert_close(&what, &y, &numbers(&case["y"]), input, 1e-6);
    }
}

#[test]
fn pads_and_normalisations_that_nothing_computes_with_are_refused() {
    let refused = |op| {
        let mut network = Network::new("test", Shape::new(3, 4, 4));
        network.chain("layer", op).unwrap_err().to_string()
    };
    let pad = |before, after, value| {
        let sides = |side| [side, 0];
        Op::Pad(Pad {
            before: sides(before),
            after: sides(after),
            value,
        })
    };
    assert!(refused(pad(-2, -2, 0.0)).contains("a padding of [-2, 0] before"));
    assert!(refused(pad(1, 1, f32::NAN)).contains("a padding of NaN"));
    assert!(refused(pad(i32::MAX, i32::MAX, 0.0)).contains("more than any adapter takes"));
    let lrn = |size, bias| {
        Op::Lrn(Lrn {
            size,
            alpha: 1.0,
            beta: 0.75,
            bias,
        })
    };
    assert!(refused(lrn(0, 1.0)).contains("size: 0"));
    assert!(refused(lrn(5, 0.0)).contains("bias: 0.0"));
}

#[test]
fn vectors_in_both_orders_and_their_gradients_are_the_twins() {
    for input in SHAPES {
        for order in [FlattenOrder::Chw, FlattenOrder::Hwc] {
            let network = single(input, Op::Flatten(order));
            let out = Shape::vector(input.len());
            let x = random(10, 2 * input.len());
            let expected = twins::flatten(&x, input, order);
            assert_close("flatten", &forward(&network, 2, &x), &expected, out, 0.0);
            let dy = random(11, 3 * input.len());
            let (_, dx) = backward(
                &network,
                to_input(3, ReluRule::Plain),
                &x[..input.len()],
                &dy,
            );
            let expected = twins::flatten_backward(&dy, input, order);
            assert_close("flatten backward", &dx, &expected, input, 0.0);
        }
    }
}
