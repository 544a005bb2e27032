//! Activations by kernels of their own, against their twins and against PyTorch.

use gradcam::low_level::network::{Activation, Network, Op, ReluRule, Shape};
use gradcam::weights::Tensor;
use serde_json::Value;

use crate::common::device::{assert_close, backward, forward, random, to_input};
use crate::common::twins;
use crate::{SHAPES, single};

/// Each activation but those that end other kernels, with slopes for `channels`.
fn each(channels: usize) -> Vec<Activation> {
    let slope = |len| Tensor::from_f32(vec![len], &random(41, len));
    vec![
        Activation::LeakyRelu { alpha: 0.01 },
        Activation::LeakyRelu { alpha: -0.5 },
        Activation::PRelu { slope: slope(1) },
        Activation::PRelu {
            slope: slope(channels),
        },
        Activation::Elu { alpha: 0.5 },
        Activation::Selu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Activation::HardSwish,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Mish,
        Activation::Square,
        Activation::Sqrt,
        Activation::Reciprocal,
        Activation::Abs,
        Activation::Exp,
        Activation::Log,
        Activation::Power {
            low: 1e-6,
            power: 3.0,
        },
        Activation::Power {
            low: 0.5,
            power: 1.0 / 3.0,
        },
        Activation::Power {
            low: 0.25,
            power: 1.0,
        },
        Activation::Power {
            low: 0.0,
            power: 1.5,
        },
    ]
}

#[test]
fn activations_and_their_gradients_are_those_of_the_twins() {
    for input in SHAPES {
        for activation in each(input.c) {
            let network = single(input, Op::Activate(activation.clone()));
            let x: Vec<f32> = random(40, 2 * input.len())
                .iter()
                .map(|v| 5.0 * v)
                .collect();
            let y = forward(&network, 2, &x);
            let expected = twins::activate(&x, input, &activation);
            assert_close(&activation.to_string(), &y, &expected, input, 1e-6);
            let x = &x[..input.len()];
            let dy = random(42, 3 * input.len());
            // No rule but the plain one is for them.
            let rules = match input == SHAPES[0] {
                true => &[ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv][..],
                false => &[ReluRule::Plain],
            };
            for &rule in rules {
                let (_, dx) = backward(&network, to_input(3, rule), x, &dy);
                let expected = twins::activate_backward(&dy, x, input, &activation);
                let what = format!("{activation} backward, {rule:?}");
                assert_close(&what, &dx, &expected, input, 1e-6);
            }
        }
    }
}

fn named(name: &str, settings: &Value) -> Activation {
    let number = |key: &str| settings[key].as_f64().unwrap() as f32;
    match name {
        "leaky_relu" | "leaky_relu_turned" => Activation::LeakyRelu {
            alpha: number("alpha"),
        },
        "elu" | "elu_half" => Activation::Elu {
            alpha: number("alpha"),
        },
        "selu" => Activation::Selu,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "silu" => Activation::Silu,
        "hard_sigmoid" => Activation::HardSigmoid {
            alpha: number("alpha"),
            beta: number("beta"),
        },
        "hard_swish" => Activation::HardSwish,
        "gelu" => Activation::Gelu,
        "gelu_tanh" => Activation::GeluTanh,
        "softplus" => Activation::Softplus,
        "mish" => Activation::Mish,
        "square" => Activation::Square,
        "sqrt" => Activation::Sqrt,
        "reciprocal" => Activation::Reciprocal,
        "abs" => Activation::Abs,
        "exp" => Activation::Exp,
        "log" => Activation::Log,
        "cube_above" | "cube_root_above" | "above" | "root_of_cube" => Activation::Power {
            low: number("low"),
            power: number("power"),
        },
        other => panic!("{other} is unknown"),
    }
}

/// Each value for itself, so that none hides behind a larger one.
#[test]
fn activations_and_their_slopes_agree_with_pytorch_near_zero_and_far_out() {
    let fixture = include_str!("../fixtures/activations.json");
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    // Some have no finite value or slope at some places.
    let numbers = |value: &Value| -> Vec<Option<f64>> {
        let list = value.as_array().unwrap().iter();
        list.map(Value::as_f64).collect()
    };
    let x = numbers(&fixture["x"]).into_iter().flatten();
    let x: Vec<f32> = x.map(|v| v as f32).collect();
    let input = Shape::new(1, 1, x.len());
    for (name, of) in fixture["of"].as_object().unwrap() {
        let activation = named(name, &of["settings"]);
        // The logarithm of a power is rounded, as that of no other.
        let relative = match activation {
            Activation::Power { .. } => 4e-6,
            _ => 1e-6,
        };
        let network = single(input, Op::Activate(activation));
        let ones = vec![1.0; x.len()];
        let (y, slope) = backward(&network, to_input(1, ReluRule::Plain), &x, &ones);
        let check = |what: &str, actual: &[f32], expected: &[Option<f64>]| {
            for ((&x, &actual), &expected) in x.iter().zip(actual).zip(expected) {
                let Some(expected) = expected else { continue };
                let off = (f64::from(actual) - expected).abs();
                let bound = relative * expected.abs().max(1.0);
                assert!(
                    off <= bound,
                    "{name}, {what} at {x}: {actual}, not {expected}"
                );
            }
        };
        check("value", &y, &numbers(&of["y"]));
        check("slope", &slope, &numbers(&of["slope"]));
    }
}

/// Where a power of two alone would be too large, and far beyond both ends.
#[test]
fn exponentials_reach_the_largest_numbers() {
    let input = Shape::new(1, 1, 4);
    let x = [88.7, 88.4, -1e12, 1e12];
    let network = single(input, Op::Activate(Activation::Exp));
    let (y, slope) = backward(&network, to_input(1, ReluRule::Plain), &x, &[1.0; 4]);
    for actual in [y, slope] {
        for (x, y) in x.into_iter().zip(&actual[..2]) {
            let expected = f64::from(x).exp();
            assert!((f64::from(*y) / expected - 1.0).abs() < 1e-6, "{x}: {y}");
        }
        assert_eq!(actual[2..], [0.0, f32::INFINITY]);
    }
}

#[test]
fn activations_with_settings_that_nothing_computes_with_are_refused() {
    let refused = |activation| {
        let mut network = Network::new("test", Shape::new(3, 2, 2));
        let error = network.chain("act", Op::Activate(activation)).unwrap_err();
        error.to_string()
    };
    let error = refused(Activation::Elu { alpha: f32::NAN });
    assert!(error.contains("layer act: settings"), "{error}");
    let slope = Tensor::from_f32(vec![2], &[0.1, 0.2]);
    let error = refused(Activation::PRelu { slope });
    assert!(error.contains("expected [3] or [1]"), "{error}");
    for (low, power) in [(0.0, 0.0), (-1.0, 3.0), (-1.0, 1.0), (0.0, f32::INFINITY)] {
        let error = refused(Activation::Power { low, power });
        assert!(error.contains("layer act"), "{error}");
    }
}
