//! The shape that an op gives, and whether its weights fit what comes in.

use super::{
    Activation, FilterLayout, MAX_POOL, MatrixLayout, NetworkError, Op, Pad, Shape, SoftmaxOver,
    Window,
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
        Op::AttentionScores { .. } | Op::AttentionSum { .. } => attention(name, op, inputs),
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

/// Of either op of attention between positions.
fn attention(name: &str, op: &Op, inputs: &[Shape]) -> Result<Shape, NetworkError> {
    let &[one, other] = inputs else {
        return Err(NetworkError::InputCount {
            node: name.into(),
            expected: "two layers",
            found: inputs.len(),
        });
    };
    let wrong = |what: String| NetworkError::Setting {
        node: name.into(),
        what,
    };
    let keys = other.h.saturating_mul(other.w);
    let is_in_heads = |heads: usize| heads > 0 && other.c.is_multiple_of(heads);
    match *op {
        Op::AttentionScores { scale, .. } if !scale.is_finite() => {
            Err(wrong(format!("attention with a scale of {scale}")))
        }
        Op::AttentionScores { heads, .. } => match is_in_heads(heads) && one.c == other.c {
            true => Ok(Shape::new(heads.saturating_mul(keys), one.h, one.w)),
            false => Err(wrong(format!(
                "attention of {heads} heads between queries of {one} and keys of {other}"
            ))),
        },
        Op::AttentionSum { heads } => {
            let fits = is_in_heads(heads) && heads.checked_mul(keys) == Some(one.c);
            match fits {
                true => Ok(Shape::new(other.c, one.h, one.w)),
                false => Err(wrong(format!(
                    "attention of {heads} heads whose weights are {one} and values {other}"
                ))),
            }
        }
        _ => Err(NetworkError::Inputs(name.into())),
    }
}

/// Of an op with one input.
fn of_one(name: &str, op: &Op, input: Shape) -> Result<Shape, NetworkError> {
    let node = Node { name, input };
    match op {
        Op::Input
        | Op::Add
        | Op::Mul
        | Op::Max
        | Op::Concat
        | Op::AttentionScores { .. }
        | Op::AttentionSum { .. }
        | Op::Softmax(SoftmaxOver::Positions) => Ok(input),
        Op::Activate(activation) => node.activated(activation),
        Op::Conv2d {
            weight,
            bias,
            layout,
            window,
            groups,
        } => {
            let channels = node.filters(weight, *layout, window, *groups)?;
            node.check_bias(bias.as_ref(), channels)?;
            let [h, w] = node.slide(window)?;
            Ok(Shape::new(channels, h, w))
        }
        Op::Affine { scale, shift } => node.scaled(scale, shift),
        Op::LayerNorm {
            scale,
            shift,
            epsilon,
        } => {
            node.check_epsilon(*epsilon)?;
            node.scaled(scale, shift)
        }
        Op::GroupNorm {
            groups,
            scale,
            shift,
            epsilon,
        } => {
            node.check_epsilon(*epsilon)?;
            if *groups == 0 || !input.c.is_multiple_of(*groups) {
                return Err(node.setting(format!("{groups} groups of {} channels", input.c)));
            }
            node.scaled(scale, shift)
        }
        Op::Pad(pad) => node.padded(pad),
        Op::Resample(resample) => {
            let made = resample.output(input.h, input.w);
            let [h, w] = made.ok_or_else(|| node.setting(format!("{resample:?} of {input}")))?;
            Ok(Shape::new(input.c, h, w))
        }
        Op::Transpose => Ok(Shape::new(input.c, input.w, input.h)),
        Op::Softmax(SoftmaxOver::Channels { count, apart }) => {
            let set = count.checked_mul(*apart).filter(|&set| set > 0);
            match set.is_some_and(|set| input.c.is_multiple_of(set)) {
                true => Ok(input),
                false => Err(node.setting(format!(
                    "a softmax over sets of {count} of {} channels, {apart} apart",
                    input.c
                ))),
            }
        }
        Op::Lrn(lrn) => {
            let numbers = [lrn.alpha, lrn.beta, lrn.bias];
            // What is raised to a power must be above zero.
            let usable = lrn.size > 0 && lrn.alpha >= 0.0 && lrn.bias > 0.0;
            match usable && numbers.iter().all(|number| number.is_finite()) {
                true => Ok(input),
                false => Err(node.setting(format!("{lrn:?}"))),
            }
        }
        Op::MaxPool(window) => {
            let [rows, columns] = window.size;
            if rows.saturating_mul(columns) > MAX_POOL {
                return Err(NetworkError::PoolTooLarge {
                    node: name.into(),
                    size: window.size,
                });
            }
            node.pooled(window)
        }
        Op::AvgPool { window, .. } => node.pooled(window),
        Op::AdaptiveAvgPool([h, w]) => Ok(Shape::new(input.c, *h, *w)),
        Op::GlobalMean => Ok(Shape::vector(input.c)),
        Op::Flatten(_) => Ok(Shape::vector(input.len())),
        Op::Linear {
            weight,
            bias,
            layout,
        } => {
            let outputs = node.matrix(weight, *layout)?;
            node.check_bias(bias.as_ref(), outputs)?;
            Ok(Shape::vector(outputs))
        }
    }
}

/// A node with one input, whose op and weights are checked against that.
struct Node<'a> {
    name: &'a str,
    input: Shape,
}

impl Node<'_> {
    fn activated(&self, activation: &Activation) -> Result<Shape, NetworkError> {
        let settings = activation.settings();
        if !settings.iter().all(|value| value.is_finite()) {
            return Err(self.setting(format!("settings {settings:?}")));
        }
        let channels = self.input.c;
        match activation {
            Activation::Power { low, power } if *power == 0.0 || *low < 0.0 => {
                Err(self.setting(format!("{activation}")))
            }
            Activation::PRelu { slope } if slope.shape() != [1] && slope.shape() != [channels] => {
                Err(self.wrong_shape("slopes", slope, format!("[{channels}] or [1]")))
            }
            _ => Ok(self.input),
        }
    }

    /// Channels that the filters of a convolution make.
    fn filters(
        &self,
        weight: &Tensor,
        layout: FilterLayout,
        window: &Window,
        groups: usize,
    ) -> Result<usize, NetworkError> {
        if let Some((outputs, inputs, taps)) = filter_axes(weight.shape(), layout) {
            let in_groups = outputs > 0 && groups > 0 && outputs % groups == 0;
            let takes_all = inputs.checked_mul(groups) == Some(self.input.c);
            if in_groups && takes_all && taps == window.size {
                return Ok(outputs);
            }
        }
        let [kh, kw] = window.size;
        let inputs = self.input.c / groups.max(1);
        let expected = match layout {
            FilterLayout::Oihw => format!("[outputs, {inputs}, {kh}, {kw}]"),
            FilterLayout::Hwio => format!("[{kh}, {kw}, {inputs}, outputs]"),
        };
        Err(self.wrong_shape("weights", weight, expected))
    }

    /// Values that the matrix of a dense layer makes.
    fn matrix(&self, weight: &Tensor, layout: MatrixLayout) -> Result<usize, NetworkError> {
        let input = self.input;
        if input != Shape::vector(input.c) {
            return Err(NetworkError::NotAVector {
                node: self.name.into(),
                input,
            });
        }
        match (weight.shape(), layout) {
            (&[o, i], MatrixLayout::OutIn) | (&[i, o], MatrixLayout::InOut)
                if o > 0 && i == input.len() =>
            {
                Ok(o)
            }
            _ => {
                let expected = match layout {
                    MatrixLayout::OutIn => format!("[outputs, {}]", input.len()),
                    MatrixLayout::InOut => format!("[{}, outputs]", input.len()),
                };
                Err(self.wrong_shape("weights", weight, expected))
            }
        }
    }

    fn check_bias(&self, bias: Option<&Tensor>, len: usize) -> Result<(), NetworkError> {
        match bias {
            Some(bias) if bias.shape() != [len] => {
                Err(self.wrong_shape("biases", bias, format!("[{len}]")))
            }
            _ => Ok(()),
        }
    }

    fn check_epsilon(&self, epsilon: f32) -> Result<(), NetworkError> {
        match epsilon.is_finite() && epsilon > 0.0 {
            true => Ok(()),
            false => Err(self.setting(format!("an epsilon of {epsilon}"))),
        }
    }

    /// By a factor and a summand a channel.
    fn scaled(&self, scale: &Tensor, shift: &Tensor) -> Result<Shape, NetworkError> {
        let channels = self.input.c;
        for (what, values) in [("scales", scale), ("shifts", shift)] {
            if values.shape() != [channels] {
                return Err(self.wrong_shape(what, values, format!("[{channels}]")));
            }
        }
        Ok(self.input)
    }

    fn padded(&self, pad: &Pad) -> Result<Shape, NetworkError> {
        let Pad {
            before,
            after,
            value,
        } = pad;
        if !value.is_finite() {
            return Err(self.setting(format!("a padding of {value}")));
        }
        let input = self.input;
        match pad.output(input.h, input.w) {
            Some([h, w]) => Ok(Shape::new(input.c, h, w)),
            None => Err(self.setting(format!(
                "a padding of {before:?} before and {after:?} after {input}"
            ))),
        }
    }

    fn pooled(&self, window: &Window) -> Result<Shape, NetworkError> {
        if window.dilation != [1, 1] {
            return Err(NetworkError::DilatedPool(self.name.into()));
        }
        let [h, w] = self.slide(window)?;
        Ok(Shape::new(self.input.c, h, w))
    }

    /// Rows and columns of places that a window takes.
    fn slide(&self, window: &Window) -> Result<[usize; 2], NetworkError> {
        let lengths = [window.size, window.stride, window.dilation];
        if lengths.as_flattened().contains(&0) {
            return Err(NetworkError::EmptyWindow(self.name.into()));
        }
        let places = window.output(self.input.h, self.input.w);
        places.ok_or_else(|| NetworkError::WindowDoesNotFit {
            node: self.name.into(),
            size: window.size,
            input: self.input,
        })
    }

    fn wrong_shape(&self, what: &'static str, found: &Tensor, expected: String) -> NetworkError {
        NetworkError::WrongShape {
            node: self.name.into(),
            what,
            found: found.shape().to_vec(),
            expected,
        }
    }

    /// The error of a number that the op cannot work with.
    fn setting(&self, what: String) -> NetworkError {
        NetworkError::Setting {
            node: self.name.into(),
            what,
        }
    }
}
