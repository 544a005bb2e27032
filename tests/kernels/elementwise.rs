//! What works on each value alone, or only moves it.

use gradcam::network::ReluRule;
use gradcam::network::{FlattenOrder, Op, Shape};
use gradcam::weights::Tensor;

use crate::common::device::{assert_close, backward, forward, random, to_input};
use crate::common::twins;
use crate::{SHAPES, TOLERANCE, single};

#[test]
fn affine_and_its_gradient() {
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
fn flatten_in_both_orders_and_back() {
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
