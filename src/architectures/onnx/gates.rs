//! Activations and normalisations that are written as arithmetic of a value with itself.
//!
//! `x (1 + erf(x / sqrt 2)) / 2` is a GELU, `x / (k + a mean(x^2))^b` a local response normalisation, `x > 0 ? x : 0` a ReLU. What a
//! graph has made of a layer on the way there is noted as [`Pending`], and nothing is computed before the whole is known.

use crate::network::{Activation, Lrn, Op};
use crate::weights::onnx::Constant;

use super::activations::{Pending, close, one};
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, Value, View};

/// The sum of squares over neighbouring channels on its way to a local response normalisation:
/// `(bias + alpha mean)^power`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Squares {
    /// Zeros that were put before and after the channels.
    around: [i32; 2],
    /// Channels of a mean; 0 before it is taken.
    size: usize,
    alpha: f32,
    bias: f32,
    power: f32,
}

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    limit: f32,
    /// Whether it is true above the limit, else below.
    above: bool,
}

impl Pending {
    /// What `op` with a number makes of it; the number is the second, or the first of two that may change places.
    fn with(self, op: &str, value: f32) -> Option<Self> {
        Some(match (self, op) {
            (
                Self::Gate {
                    tanh,
                    factor,
                    shift,
                },
                "Add" | "Sub",
            ) => {
                let value = if op == "Add" { value } else { -value };
                Self::Gate {
                    tanh,
                    factor,
                    shift: shift + value / factor,
                }
            }
            (
                Self::Gate {
                    tanh,
                    factor,
                    shift,
                },
                "Mul" | "Div",
            ) => Self::Gate {
                tanh,
                factor: if op == "Mul" {
                    factor * value
                } else {
                    factor / value
                },
                shift,
            },
            (Self::Polynomial(p), "Add") => Self::Polynomial([p[0] + value, p[1], p[2], p[3]]),
            (Self::Polynomial(p), "Mul") => Self::Polynomial(p.map(|p| p * value)),
            (Self::Polynomial(p), "Div") => Self::Polynomial(p.map(|p| p / value)),
            (Self::Squares(s), "Mul") if s.size > 0 && s.power == 1.0 => Self::Squares(Squares {
                alpha: s.alpha * value,
                bias: s.bias * value,
                ..s
            }),
            (Self::Squares(s), "Add") if s.size > 0 && s.power == 1.0 => Self::Squares(Squares {
                bias: s.bias + value,
                ..s
            }),
            (Self::Squares(s), "Pow") if s.size > 0 && s.power == 1.0 => {
                Self::Squares(Squares { power: value, ..s })
            }
            _ => return None,
        })
    }
}

impl Import<'_> {
    /// A step of something that is written in pieces, where that is what the node is.
    pub(super) fn in_pieces(&mut self, call: &Call<'_>) -> Result<Option<View>, GraphError> {
        let op = call.node.op_type.as_str();
        let number = |constant: &Constant| match constant {
            Constant::Floats(value) => one(value),
            Constant::Ints(value) => match value.values[..] {
                [value] => Some(value as f32),
                _ => None,
            },
            Constant::Quantized(_) | Constant::Other(_) => None,
        };
        let with = |layer: &View, pending| View {
            pending: Some(pending),
            ..layer.clone()
        };
        match (&call.inputs[..], op) {
            ([Some(Value::Layer(a)), Some(Value::Layer(b))], "Mul") => {
                if let Some(gated) = self.gated(call, a, b)? {
                    return Ok(Some(gated));
                }
                Ok(product(a, b).map(|p| with(a, Pending::Polynomial(p))))
            }
            ([Some(Value::Layer(a)), Some(Value::Layer(b))], "Add") => {
                Ok(sum(a, b).map(|p| with(a, Pending::Polynomial(p))))
            }
            ([Some(Value::Layer(a)), Some(Value::Layer(b))], "Div") => self.normalised(call, a, b),
            ([Some(Value::Layer(layer)), Some(Value::Constant(constant))], _) => {
                let Some(value) = number(constant) else {
                    return Ok(None);
                };
                if layer.pending.is_none() && op == "Pow" && [2.0, 3.0].contains(&value) {
                    let power = if value == 2.0 {
                        SQUARE
                    } else {
                        [0.0, 0.0, 0.0, 1.0]
                    };
                    return Ok(Some(with(layer, Pending::Polynomial(power))));
                }
                let compared = |above| {
                    Pending::Above(Comparison {
                        limit: value,
                        above,
                    })
                };
                match op {
                    "Greater" | "GreaterOrEqual" if layer.pending.is_none() => {
                        return Ok(Some(with(layer, compared(true))));
                    }
                    "Less" | "LessOrEqual" if layer.pending.is_none() => {
                        return Ok(Some(with(layer, compared(false))));
                    }
                    _ => {}
                }
                let made = layer.pending.and_then(|pending| pending.with(op, value));
                Ok(made.map(|pending| with(layer, pending)))
            }
            ([Some(Value::Constant(constant)), Some(Value::Layer(layer))], "Add" | "Mul") => {
                let value = number(constant);
                let made = value.and_then(|value| layer.pending?.with(op, value));
                Ok(made.map(|pending| with(layer, pending)))
            }
            _ => Ok(None),
        }
    }

    /// tanh of the polynomial that a `GELU` has there.
    pub(super) fn tanh_of_cubic(call: &Call<'_>) -> Option<View> {
        let Some(Value::Layer(layer)) = call.input(0) else {
            return None;
        };
        let Some(Pending::Polynomial([c, x, xx, xxx])) = layer.pending else {
            return None;
        };
        let gelu = c == 0.0 && xx == 0.0 && close(x, 0.797_884_6) && close(xxx, 0.044_715 * x);
        gelu.then(|| View {
            pending: Some(Pending::Gate {
                tanh: true,
                factor: 1.0,
                shift: 0.0,
            }),
            ..layer.clone()
        })
    }

    /// `Where`: one of two functions of the value that is compared.
    pub(super) fn chosen_by_value(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let unknown = || call.unsupported("of other than an activation's two sides");
        let Some(Value::Layer(condition)) = call.input(0) else {
            return Err(unknown());
        };
        let Some(Pending::Above(Comparison { limit, above })) = condition.pending else {
            return Err(unknown());
        };
        let (large, small) = if above { (1, 2) } else { (2, 1) };
        let x = condition.node;
        // Above the limit the value itself.
        match call.input(large) {
            Some(Value::Layer(layer)) if layer.node == x && layer.pending.is_none() => {}
            _ => return Err(unknown()),
        }
        let activation = match call.input(small) {
            Some(Value::Constant(Constant::Floats(zero)))
                if limit == 0.0 && one(zero) == Some(0.0) =>
            {
                Activation::Relu
            }
            Some(Value::Layer(layer)) if layer.pending.is_none() => {
                let node = self.network.node(layer.node);
                match (&node.op, self.affine_of(layer.node)) {
                    (_, Some((of, alpha, 0.0))) if of == x && limit == 0.0 => {
                        Activation::LeakyRelu { alpha }
                    }
                    // Up there a softplus is its value to the last bit.
                    (Op::Activate(Activation::Softplus), _)
                        if node.inputs == [x] && limit >= 15.0 =>
                    {
                        Activation::Softplus
                    }
                    (Op::Activate(Activation::Elu { alpha }), _)
                        if node.inputs == [x] && limit == 0.0 =>
                    {
                        Activation::Elu { alpha: *alpha }
                    }
                    _ => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        };
        let node = self.push(call.node, None, Op::Activate(activation), x)?;
        Ok(View {
            node,
            pending: None,
            ..condition.clone()
        })
    }

    /// Zeros before and after the channels of squares.
    pub(super) fn padded_squares(layer: &View, sides: &[[i32; 2]]) -> Option<View> {
        let Some(Pending::Polynomial([0.0, 0.0, alpha, 0.0])) = layer.pending else {
            return None;
        };
        let mut around = [0; 2];
        for (axis, sides) in layer.axes.iter().zip(sides) {
            match axis {
                Axis::C => around = *sides,
                _ if *sides == [0, 0] => {}
                _ => return None,
            }
        }
        let squares = Squares {
            around,
            size: 0,
            alpha,
            bias: 0.0,
            power: 1.0,
        };
        Some(View {
            pending: Some(Pending::Squares(squares)),
            ..layer.clone()
        })
    }

    /// The mean of squares over neighbouring channels.
    pub(super) fn averaged_squares(call: &Call<'_>) -> Result<Option<View>, GraphError> {
        let Some(Value::Layer(layer)) = call.input(0) else {
            return Ok(None);
        };
        let Some(Pending::Squares(squares)) = layer.pending else {
            return Ok(None);
        };
        let unknown = || call.unsupported("of squares outside of a local response normalisation");
        let ones = |name: &str, value| {
            let values = call.node.ints(name).unwrap_or_default();
            values.iter().all(|&v| v == value)
        };
        let taps = call.node.ints("kernel_shape").unwrap_or_default();
        let [taps @ .., size] = &taps.iter().rev().copied().collect::<Vec<_>>()[..] else {
            return Err(unknown());
        };
        // The first of the dimensions that are pooled is that of the channels.
        let channels = layer.axes.len().checked_sub(taps.len() + 1);
        let along = channels.and_then(|at| layer.axes.get(at)) == Some(&Axis::C);
        let plain = taps.iter().all(|&n| n == 1) && ones("strides", 1) && ones("pads", 0);
        let size = usize::try_from(*size)
            .ok()
            .filter(|&n| n > 0 && n <= 1 << 16);
        let size = size
            .filter(|_| along && plain && squares.size == 0)
            .ok_or_else(unknown)?;
        if squares.around[0] + squares.around[1] + 1 != size as i32 {
            return Err(unknown());
        }
        Ok(Some(View {
            pending: Some(Pending::Squares(Squares { size, ..squares })),
            ..layer.clone()
        }))
    }

    /// A layer by a power of the sum of its squares.
    fn normalised(
        &mut self,
        call: &Call<'_>,
        x: &View,
        by: &View,
    ) -> Result<Option<View>, GraphError> {
        let Some(Pending::Squares(squares)) = by.pending else {
            return Ok(None);
        };
        let lrn = Lrn {
            size: squares.size,
            alpha: squares.alpha,
            beta: squares.power,
            bias: squares.bias,
        };
        let [before, after] = lrn.neighbours();
        let alike = x.node == by.node && x.pending.is_none() && x.channels == by.channels;
        if !alike || squares.around != [before as i32, after as i32] || lrn.size == 0 {
            return Err(call.unsupported("by squares outside of a local response normalisation"));
        }
        let node = self.push(call.node, None, Op::Lrn(lrn), x.node)?;
        Ok(Some(View { node, ..x.clone() }))
    }
}

const SQUARE: [f32; 4] = [0.0, 0.0, 1.0, 0.0];

/// A layer as a polynomial of its node's value, from the constant up.
fn polynomial(layer: &View) -> Option<[f32; 4]> {
    match layer.pending {
        None => Some([0.0, 1.0, 0.0, 0.0]),
        Some(Pending::Polynomial(p)) => Some(p),
        Some(_) => None,
    }
}

fn alike(a: &View, b: &View) -> bool {
    let same = a.node == b.node && a.axes == b.axes && a.channels == b.channels;
    same && a.pad == [[0; 2]; 2] && b.pad == a.pad
}

fn product(a: &View, b: &View) -> Option<[f32; 4]> {
    let (p, q) = (polynomial(a)?, polynomial(b)?);
    let mut product = [0.0; 4];
    for (i, p) in p.into_iter().enumerate() {
        for (k, q) in q.into_iter().enumerate() {
            match product.get_mut(i + k) {
                Some(power) => *power += p * q,
                None if p * q == 0.0 => {}
                None => return None,
            }
        }
    }
    alike(a, b).then_some(product)
}

fn sum(a: &View, b: &View) -> Option<[f32; 4]> {
    let (p, q) = (polynomial(a)?, polynomial(b)?);
    alike(a, b).then(|| std::array::from_fn(|i| p[i] + q[i]))
}
