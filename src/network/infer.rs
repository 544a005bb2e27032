//! The shape that an op gives, and whether its weights fit what comes in.

use super::{
    Activation, FilterLayout, MAX_POOL, MatrixLayout, NetworkError, Op, Pad, Shape, Window,
};
use crate::weights::Tensor;

/// Output channels, input channels and taps of a filter bank, or `None` when it has not four axes.
pub(crate) fn filter_axes(
    shape: &[usize],
    layout: FilterLayout,
) -> Option<(usize, usize, [usize; 2])> {
    match (*<&[usize; 4]>::try_from(shape).ok()?, layout) {
        ([o, i, h, w], FilterLayout::Oihw) | ([h, w, i, o], FilterLayout::Hwio) => {
            Some((o, i, [h, w]))
        }
    }
}

/// The shape of `op`'s value for inputs of these shapes; `name` is for the error.
pub(super) fn infer_shape(name: &str, op: &Op, inputs: &[Shape]) -> Result<Shape, NetworkError> {
    match op {
        Op::Add | Op::Mul | Op::Max => match *inputs {
            [one, other] if one != other && matches!(op, Op::Max) => Err(NetworkError::Unlike {
                node: name.into(),
                shapes: [one, other],
            }),
            [one, other] => combined(name, one, other),
            _ => Err(NetworkError::InputCount {
                node: name.into(),
                expected: "two layers",
                found: inputs.len(),
            }),
        },
        Op::Concat => concatenated(name, inputs),
        _ => match *inputs {
            [input] => of_one(name, op, input),
            _ => Err(NetworkError::Inputs(name.into())),
        },
    }
}

/// Of a sum or product.
fn combined(name: &str, one: Shape, other: Shape) -> Result<Shape, NetworkError> {
    let is_spread = |shape: Shape| shape.h * shape.w == 1;
    match one.c == other.c {
        true if one == other || is_spread(other) => Ok(one),
        true if is_spread(one) => Ok(other),
        _ => Err(NetworkError::Unlike {
            node: name.into(),
            shapes: [one, other],
        }),
    }
}

fn concatenated(name: &str, inputs: &[Shape]) -> Result<Shape, NetworkError> {
    let [first, rest @ ..] = inputs else {
        return Err(NetworkError::InputCount {
            node: name.into(),
            expected: "layers",
            found: 0,
        });
    };
    let mut all = *first;
    for &next in rest {
        if (next.h, next.w) != (all.h, all.w) {
            return Err(NetworkError::Unlike {
                node: name.into(),
                shapes: [all, next],
            });
        }
        all.c = all.c.saturating_add(next.c);
    }
    Ok(all)
}

fn of_one(name: &str, op: &Op, input: Shape) -> Result<Shape, NetworkError> {
    let slide = |window: &Window| {
        let lengths = [window.size, window.stride, window.dilation];
        if lengths.as_flattened().contains(&0) {
            return Err(NetworkError::EmptyWindow(name.into()));
        }
        window
            .output(input.h, input.w)
            .ok_or_else(|| NetworkError::WindowDoesNotFit {
                node: name.into(),
                size: window.size,
                input,
            })
    };
    let wrong = |what, found: &Tensor, expected: String| NetworkError::WrongShape {
        node: name.into(),
        what,
        found: found.shape().to_vec(),
        expected,
    };
    let check_bias = |bias: &Option<Tensor>, len: usize| match bias {
        Some(bias) if bias.shape() != [len] => Err(wrong("biases", bias, format!("[{len}]"))),
        _ => Ok(()),
    };
    let setting = |what| NetworkError::Setting {
        node: name.into(),
        what,
    };
    match op {
        Op::Input | Op::Add | Op::Mul | Op::Max | Op::Concat => Ok(input),
        Op::Activate(activation) => {
            if !activation.settings().iter().all(|value| value.is_finite()) {
                return Err(setting(format!("settings {:?}", activation.settings())));
            }
            if let Activation::PRelu { slope } = activation
                && slope.shape() != [1]
                && slope.shape() != [input.c]
            {
                return Err(wrong("slopes", slope, format!("[{}] or [1]", input.c)));
            }
            Ok(input)
        }
        Op::Conv2d {
            weight,
            bias,
            layout,
            window,
            groups,
        } => {
            let axes = filter_axes(weight.shape(), *layout);
            let [kh, kw] = window.size;
            let fits = |&(o, i, taps): &(usize, usize, [usize; 2])| {
                let in_groups = o > 0 && *groups > 0 && o % groups == 0;
                in_groups && i.checked_mul(*groups) == Some(input.c) && taps == window.size
            };
            let Some((out, _, _)) = axes.filter(fits) else {
                let inputs = input.c / groups.max(&1);
                let expected = match layout {
                    FilterLayout::Oihw => format!("[outputs, {inputs}, {kh}, {kw}]"),
                    FilterLayout::Hwio => format!("[{kh}, {kw}, {inputs}, outputs]"),
                };
                return Err(wrong("weights", weight, expected));
            };
            check_bias(bias, out)?;
            let [h, w] = slide(window)?;
            Ok(Shape::new(out, h, w))
        }
        Op::LayerNorm { epsilon, .. } | Op::GroupNorm { epsilon, .. }
            if !(epsilon.is_finite() && *epsilon > 0.0) =>
        {
            Err(setting(format!("an epsilon of {epsilon}")))
        }
        Op::GroupNorm { groups, .. } if *groups == 0 || !input.c.is_multiple_of(*groups) => {
            Err(setting(format!("{groups} groups of {} channels", input.c)))
        }
        Op::Affine { scale, shift }
        | Op::LayerNorm { scale, shift, .. }
        | Op::GroupNorm { scale, shift, .. } => {
            for (what, values) in [("scales", scale), ("shifts", shift)] {
                if values.shape() != [input.c] {
                    return Err(wrong(what, values, format!("[{}]", input.c)));
                }
            }
            Ok(input)
        }
        Op::Pad(pad) => {
            if !pad.value.is_finite() {
                return Err(setting(format!("a padding of {}", pad.value)));
            }
            let room = pad.output(input.h, input.w);
            let wrong = || {
                let Pad { before, after, .. } = pad;
                setting(format!(
                    "a padding of {before:?} before and {after:?} after {input}"
                ))
            };
            let [h, w] = room.ok_or_else(wrong)?;
            Ok(Shape::new(input.c, h, w))
        }
        Op::Resample(resample) => {
            let made = resample.output(input.h, input.w);
            let [h, w] = made.ok_or_else(|| setting(format!("{resample:?} of {input}")))?;
            Ok(Shape::new(input.c, h, w))
        }
        Op::Lrn(lrn) => {
            let numbers = [lrn.alpha, lrn.beta, lrn.bias];
            // What is raised to a power must be above zero.
            let usable = lrn.size > 0 && lrn.alpha >= 0.0 && lrn.bias > 0.0;
            match usable && numbers.iter().all(|number| number.is_finite()) {
                true => Ok(input),
                false => Err(setting(format!("{lrn:?}"))),
            }
        }
        Op::MaxPool(window) | Op::AvgPool { window, .. } => {
            if window.dilation != [1, 1] {
                return Err(NetworkError::DilatedPool(name.into()));
            }
            let [rows, columns] = window.size;
            if matches!(op, Op::MaxPool(_)) && rows.saturating_mul(columns) > MAX_POOL {
                return Err(NetworkError::PoolTooLarge {
                    node: name.into(),
                    size: window.size,
                });
            }
            let [h, w] = slide(window)?;
            Ok(Shape::new(input.c, h, w))
        }
        Op::AdaptiveAvgPool([h, w]) => Ok(Shape::new(input.c, *h, *w)),
        Op::GlobalMean => Ok(Shape::vector(input.c)),
        Op::Flatten(_) => Ok(Shape::vector(input.len())),
        Op::Linear {
            weight,
            bias,
            layout,
        } => {
            if input != Shape::vector(input.c) {
                return Err(NetworkError::NotAVector {
                    node: name.into(),
                    input,
                });
            }
            let out = match (weight.shape(), layout) {
                (&[o, i], MatrixLayout::OutIn) | (&[i, o], MatrixLayout::InOut)
                    if o > 0 && i == input.len() =>
                {
                    o
                }
                _ => {
                    let expected = match layout {
                        MatrixLayout::OutIn => format!("[outputs, {}]", input.len()),
                        MatrixLayout::InOut => format!("[{}, outputs]", input.len()),
                    };
                    return Err(wrong("weights", weight, expected));
                }
            };
            check_bias(bias, out)?;
            Ok(Shape::vector(out))
        }
    }
}
