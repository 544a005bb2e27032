//! Functions of each value alone: as one operator, or in the pieces that exporters leave.
//!
//! A sigmoid and a softmax at the end only say what the logits mean, so neither is made a layer before something reads it.
//! A sigmoid that is multiplied by what it is of is a `SiLU`; a `GELU` is put together from its error function.

use crate::network::{Activation, NodeId, Op, OutputKind};
use crate::weights::Tensor;
use crate::weights::onnx::{Constant, Node};

use super::gates::{Comparison, Squares};
use super::layers::Call;
use super::{GraphError, Import, Value, View, names};

/// What has been announced of a layer and is not computed yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pending {
    /// A layer once something computes with it.
    Softmax,
    /// Only the end may be one.
    LogSoftmax,
    /// A layer once something computes with it.
    Sigmoid,
    /// `factor` (erf(x / sqrt 2) + `shift`), or the same with the approximation by a tanh: a part of a `GELU`.
    Gate { tanh: bool, factor: f32, shift: f32 },
    /// Powers of the value, from the constant up.
    Polynomial([f32; 4]),
    /// A part of a local response normalisation.
    Squares(Squares),
    /// Whether the value is above or below a number.
    Above(Comparison),
}

impl Pending {
    /// What it makes of logits, at the end.
    pub(super) fn output_kind(self) -> Option<OutputKind> {
        match self {
            Self::Softmax | Self::LogSoftmax => Some(OutputKind::Softmax),
            Self::Sigmoid => Some(OutputKind::Sigmoid),
            Self::Gate { .. } | Self::Polynomial(_) | Self::Squares(_) | Self::Above(_) => None,
        }
    }
}

/// Numbers of a graph are float32, some of them rounded twice, or float16, of eleven binary digits.
pub(super) fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 5e-4 * b.abs()
}

impl Import<'_> {
    /// The activation that an operator is by itself.
    pub(super) fn activation(call: &Call<'_>) -> Result<Option<Activation>, GraphError> {
        let float = |name: &str, default: f32| call.node.float(name).unwrap_or(default);
        Ok(Some(match call.node.op_type.as_str() {
            "Relu" => Activation::Relu,
            "LeakyRelu" => Activation::LeakyRelu {
                alpha: float("alpha", 0.01),
            },
            "PRelu" => Activation::PRelu {
                slope: slope(call)?,
            },
            "Elu" => Activation::Elu {
                alpha: float("alpha", 1.0),
            },
            "Selu" => {
                let [alpha, gamma] = [float("alpha", SELU[0]), float("gamma", SELU[1])];
                if !close(alpha, SELU[0]) || !close(gamma, SELU[1]) {
                    return Err(call.unsupported("with other than the paper's numbers"));
                }
                Activation::Selu
            }
            "Tanh" => Activation::Tanh,
            "HardSigmoid" => Activation::HardSigmoid {
                alpha: float("alpha", 0.2),
                beta: float("beta", 0.5),
            },
            "HardSwish" => Activation::HardSwish,
            "Softplus" => Activation::Softplus,
            "Mish" => Activation::Mish,
            "Sqrt" => Activation::Sqrt,
            "Reciprocal" => Activation::Reciprocal,
            "Abs" => Activation::Abs,
            "Exp" => Activation::Exp,
            "Log" => Activation::Log,
            "Swish" if float("alpha", 1.0) == 1.0 => Activation::Silu,
            "Gelu" => match call.node.text("approximate").unwrap_or("none") {
                "tanh" => Activation::GeluTanh,
                _ => Activation::Gelu,
            },
            _ => return Ok(None),
        }))
    }

    /// The layer as one that may be computed with: what is pending becomes layers of the network.
    pub(super) fn settled(&mut self, reader: &Node, layer: View) -> Result<View, GraphError> {
        let layer = self.with_chosen_channels(reader, layer)?;
        let layer = self.activated(reader, layer)?;
        self.padded(reader, layer)
    }

    /// The layer with a layer for the activation that is pending.
    pub(super) fn activated(&mut self, reader: &Node, layer: View) -> Result<View, GraphError> {
        match layer.pending {
            Some(Pending::Sigmoid) => {
                let op = Op::Activate(Activation::Sigmoid);
                let node = self.push(reader, None, op, layer.node)?;
                Ok(View {
                    node,
                    pending: None,
                    ..layer
                })
            }
            Some(Pending::Softmax) => self.softmax_of_all(reader, layer),
            Some(Pending::LogSoftmax) => Err(reader.unsupported("after a LogSoftmax")),
            Some(Pending::Gate { .. }) => {
                Err(reader.unsupported("of an error function outside of a GELU"))
            }
            Some(Pending::Polynomial(powers)) => self.polynomial(reader, layer, powers),
            Some(Pending::Squares(_)) => {
                Err(reader.unsupported("of squares outside of a local response normalisation"))
            }
            Some(Pending::Above(_)) => Err(reader.unsupported("of a comparison")),
            None => Ok(layer),
        }
    }

    /// erf(x / sqrt 2), where that is what it is.
    pub(super) fn erf(&self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?;
        let inner = self.affine_of(layer.node);
        match inner {
            Some((of, scale, 0.0)) if close(scale, std::f32::consts::FRAC_1_SQRT_2) => Ok(View {
                node: of,
                pending: Some(Pending::Gate {
                    tanh: false,
                    factor: 1.0,
                    shift: 0.0,
                }),
                ..layer.clone()
            }),
            _ => Err(call.unsupported("outside of a GELU")),
        }
    }

    /// The product of a layer and a function of it, where that is an activation.
    pub(super) fn gated(
        &mut self,
        call: &Call<'_>,
        a: &View,
        b: &View,
    ) -> Result<Option<View>, GraphError> {
        for (x, gate) in [(a, b), (b, a)] {
            // Channels that were picked, of which the gate has read the layer.
            let key = (x.node, x.channels.clone().unwrap_or_default());
            let picked = match (&gate.channels, self.picked.get(&key)) {
                (None, Some(&node)) => &View {
                    node,
                    channels: None,
                    ..x.clone()
                },
                _ => x,
            };
            let x = picked;
            let padded = x.pad != [[0; 2]; 2] || gate.pad != [[0; 2]; 2];
            if padded || x.pending.is_some() || x.axes != gate.axes || x.channels != gate.channels {
                continue;
            }
            let Some((activation, factor)) = self.gate(x.node, gate) else {
                continue;
            };
            // The gate's own input, which may be what x is a multiple of.
            let of = match gate.pending {
                Some(_) => gate.node,
                None => x.node,
            };
            let node = self.push(call.node, None, Op::Activate(activation), of)?;
            let made = View { node, ..x.clone() };
            if factor == 1.0 {
                return Ok(Some(made));
            }
            let channels = self.shape_of(&made).c;
            let (scale, shift) = (vec![factor; channels], vec![0.0; channels]);
            return self.affine(call, &made, &scale, &shift).map(Some);
        }
        Ok(None)
    }

    /// The activation, and the factor before it, that x times `gate` is.
    fn gate(&self, x: NodeId, gate: &View) -> Option<(Activation, f32)> {
        match gate.pending {
            Some(Pending::Sigmoid) if gate.node == x => return Some((Activation::Silu, 1.0)),
            Some(Pending::Gate {
                tanh,
                factor,
                shift,
            }) if close(shift, 1.0) => {
                let times = match self.affine_of(x) {
                    _ if x == gate.node => 1.0,
                    Some((of, scale, 0.0)) if of == gate.node => scale,
                    _ => return None,
                };
                let activation = match tanh {
                    false => Activation::Gelu,
                    true => Activation::GeluTanh,
                };
                return Some((activation, tidy(2.0 * factor * times)));
            }
            None => {}
            Some(_) => return None,
        }
        let node = self.network.node(gate.node);
        let input = *node.inputs.first()?;
        match &node.op {
            Op::Activate(Activation::HardSigmoid { alpha, beta })
                if input == x && close(*alpha, 1.0 / 6.0) && *beta == 0.5 =>
            {
                Some((Activation::HardSwish, 1.0))
            }
            Op::Activate(Activation::Tanh) => {
                let plus = self.network.node(input);
                let of =
                    matches!(plus.op, Op::Activate(Activation::Softplus)) && plus.inputs == [x];
                of.then_some((Activation::Mish, 1.0))
            }
            // (clip(x + 3, 0, 6)), perhaps already by 6.
            Op::Activate(Activation::Clip {
                low: 0.0,
                high: 6.0,
            }) => (self.affine_of(input)? == (x, 1.0, 3.0)).then_some((Activation::HardSwish, 6.0)),
            Op::Affine { .. } => {
                let (clip, scale, shift) = self.affine_of(gate.node)?;
                let inner = View {
                    node: clip,
                    ..gate.clone()
                };
                let clips = matches!(
                    self.network.node(clip).op,
                    Op::Activate(Activation::Clip { .. })
                );
                let (activation, factor) = clips.then(|| self.gate(x, &inner))??;
                (shift == 0.0).then_some((activation, tidy(factor * scale)))
            }
            _ => None,
        }
    }

    /// What a layer of one scale and one shift for all channels is of, and the two.
    pub(super) fn affine_of(&self, id: NodeId) -> Option<(NodeId, f32, f32)> {
        let node = self.network.node(id);
        let Op::Affine { scale, shift } = &node.op else {
            return None;
        };
        Some((*node.inputs.first()?, one(scale)?, one(shift)?))
    }

    /// x sigmoid(alpha x), of an alpha other than 1.
    pub(super) fn swish(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let alpha = call.node.float("alpha").unwrap_or(1.0);
        if !alpha.is_normal() {
            return Err(call.unusable("alpha"));
        }
        let layer = call.layer()?.clone();
        let channels = self.shape_of(&layer).c;
        let zeros = vec![0.0; channels];
        let scaled = self.affine(call, &layer, &vec![alpha; channels], &zeros)?;
        let made = self.made(call, &scaled, Op::Activate(Activation::Silu))?;
        self.affine(call, &made, &vec![1.0 / alpha; channels], &zeros)
    }

    /// The larger, or the smaller, of a layer and a number, of a layer and a smaller multiple of it, or of two layers.
    pub(super) fn larger(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let maximum = call.node.op_type == "Max";
        let two = || call.unsupported("of other than a layer and a number");
        match &call.inputs[..] {
            [Some(Value::Layer(layer)), Some(Value::Constant(constant))]
            | [Some(Value::Constant(constant)), Some(Value::Layer(layer))] => {
                let Constant::Floats(constant) = constant else {
                    return Err(two());
                };
                let value = one(constant).ok_or_else(two)?;
                let layer = layer.clone();
                match maximum {
                    true => self.clipped(call, &layer, value, f32::INFINITY),
                    false => self.clipped(call, &layer, f32::NEG_INFINITY, value),
                }
            }
            [Some(Value::Layer(a)), Some(Value::Layer(b))] if !maximum => {
                let (a, b) = (a.clone(), b.clone());
                self.smaller_of_two(call, &a, &b)
            }
            [Some(Value::Layer(a)), Some(Value::Layer(b))] => {
                for (x, less) in [(a, b), (b, a)] {
                    let Some((of, alpha, 0.0)) = self.affine_of(less.node) else {
                        continue;
                    };
                    if of == x.node && (0.0..1.0).contains(&alpha) && x.axes == less.axes {
                        let op = Op::Activate(Activation::LeakyRelu { alpha });
                        let (axes, of) = (x.axes.clone(), x.node);
                        let id = self.push(call.node, None, op, of)?;
                        return Ok(View::new(id, axes));
                    }
                }
                let (a, b) = (a.clone(), b.clone());
                self.larger_of_two(call, &a, &b)
            }
            [Some(Value::Layer(layer))] => Ok(layer.clone()),
            _ => Err(two()),
        }
    }

    /// What a bound from below, a little above zero, is of. Exporters join it with a ReLU before it, as before a generalised-mean pool:
    /// where it follows what no activation has ended, the ReLU is there again. It changes no value, but guided backpropagation and
    /// deconvolution have a rule for it.
    fn relu_before(&mut self, call: &Call<'_>, of: NodeId, low: f32) -> Result<NodeId, GraphError> {
        const LITTLE: f32 = 1e-2;
        let node = self.network.node(of);
        let ends_open = matches!(
            node.op,
            Op::Conv2d { .. } | Op::Add | Op::Affine { .. } | Op::GroupNorm { .. }
        );
        if low > LITTLE || !ends_open || node.shape.h * node.shape.w == 1 {
            return Ok(of);
        }
        self.notes.push(format!(
            "{}, a bound of {low} from below, is taken for a ReLU and that bound, which exporters join: guided backpropagation and \
             deconvolution go through it as through a ReLU",
            names::label(call.node)
        ));
        self.push(call.node, None, Op::RELU, of)
    }

    /// A layer between two bounds; a clip of a clip, as `Max` and `Min` leave it, is one layer.
    pub(super) fn clipped(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        low: f32,
        high: f32,
    ) -> Result<View, GraphError> {
        call.open(layer)?;
        if low.is_nan() || high.is_nan() || low >= high {
            return Err(
                call.unsupported("to bounds that are not known, or with nothing between them")
            );
        }
        // Up to the largest number is how the first opsets write "no bound".
        if low > 0.0 && high >= f32::MAX {
            let of = self.relu_before(call, layer.node, low)?;
            let op = Op::Activate(Activation::Power { low, power: 1.0 });
            let id = self.push(call.node, None, op, of)?;
            return Ok(View::new(id, layer.axes.clone()));
        }
        let node = self.network.node(layer.node);
        let (of, low, high) = match node.op {
            // What is above zero alone is no ReLU, and one before it stays.
            Op::Activate(Activation::Relu) if low <= 0.0 => (node.inputs[0], 0.0, high),
            Op::Activate(Activation::Clip { low: l, high: h }) if low <= 0.0 || l > 0.0 => {
                (node.inputs[0], low.max(l), high.min(h))
            }
            _ => (layer.node, low, high),
        };
        if low >= high {
            return Err(call.unsupported("to bounds with nothing between them"));
        }
        let op = match (low, high) {
            (0.0, f32::MAX..) => Op::RELU,
            (low, high) => Op::clip(low, high),
        };
        let id = self.push(call.node, None, op, of)?;
        Ok(View::new(id, layer.axes.clone()))
    }
}

/// The paper's alpha and gamma (arXiv 1706.02515).
const SELU: [f32; 2] = [1.673_263_2, 1.050_701];

/// A factor of one that roundings have moved.
fn tidy(factor: f32) -> f32 {
    if (factor - 1.0).abs() <= 1e-4 {
        1.0
    } else {
        factor
    }
}

/// Values a channel, at most.
pub(super) const MAX_PLACES: usize = 1 << 20;

/// The one number that all elements are; of a few elements at most.
pub(super) fn one(tensor: &Tensor) -> Option<f32> {
    const MOST: usize = 1 << 16;
    if tensor.is_empty() || tensor.len() > MOST {
        return None;
    }
    let values = tensor.to_vec();
    values.iter().all(|&v| v == values[0]).then_some(values[0])
}

/// One slope for all channels, or one each; other dimensions of it are 1.
fn slope(call: &Call<'_>) -> Result<Tensor, GraphError> {
    let slope = call.tensor(1, "slope")?;
    let longest = slope.shape().iter().copied().max().unwrap_or(1);
    if longest != slope.len() || longest > MAX_PLACES {
        return Err(call.unsupported("with slopes that differ between positions"));
    }
    Ok(Tensor::from_f32(vec![slope.len()], &slope.to_vec()))
}
