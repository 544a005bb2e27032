//! Powers of layers, and sums of them.

use crate::network::{Activation, NodeId, Op};
use crate::weights::Tensor;
use crate::weights::onnx::{Constant, Node};

use super::activations::one;
use super::layers::Call;
use super::{GraphError, Import, Value, View};

impl Import<'_> {
    /// `Pow` of a layer by a number.
    pub(super) fn power(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let (Some(Value::Layer(layer)), Some(Value::Constant(constant))) =
            (call.input(0), call.input(1))
        else {
            return Err(call.unsupported("of other than a layer by a number"));
        };
        let power = match constant {
            Constant::Floats(value) => one(value),
            Constant::Ints(value) => match value.values[..] {
                [value] => Some(value as f32),
                _ => None,
            },
            Constant::Quantized(_) | Constant::Other(_) => None,
        };
        let power = power.filter(|power| power.is_finite() && *power != 0.0);
        let power = power.ok_or_else(|| {
            call.unsupported("by 0, by several numbers, or by one that is not known,")
        })?;
        let layer = layer.clone();
        call.open(&layer)?;
        let node = self.raised(call.node, layer.node, power)?;
        Ok(View { node, ..layer })
    }

    /// A layer's value to a power. A bound from below that comes before it stays a layer: exporters make one of a ReLU and that of a
    /// generalised-mean pool, and it is then the activation that people look at.
    fn raised(&mut self, reader: &Node, x: NodeId, power: f32) -> Result<NodeId, GraphError> {
        let node = self.network.node(x);
        let is_whole = power.fract() == 0.0;
        let op = match &node.op {
            _ if power == 1.0 => return Ok(x),
            _ if power == 2.0 => Op::Activate(Activation::Square),
            _ if power == 0.5 => Op::Activate(Activation::Sqrt),
            _ if power == -1.0 => Op::Activate(Activation::Reciprocal),
            op if !is_whole || is_never_negative(op) => {
                Op::Activate(Activation::Power { low: 0.0, power })
            }
            // Of what may be negative: by its square, which is not, and once more by itself where the power is odd.
            _ => return self.raised_by_square(reader, x, power),
        };
        self.push(reader, None, op, x)
    }

    fn raised_by_square(
        &mut self,
        reader: &Node,
        x: NodeId,
        power: f32,
    ) -> Result<NodeId, GraphError> {
        let is_odd = power % 2.0 != 0.0;
        let square = self.push(reader, None, Op::Activate(Activation::Square), x)?;
        let half = (power.abs() / 2.0).floor();
        let mut made = self.raised(reader, square, half)?;
        if is_odd {
            made = self.push_of(reader, None, Op::Mul, vec![made, x])?;
        }
        match power < 0.0 {
            true => self.push(reader, None, Op::Activate(Activation::Reciprocal), made),
            false => Ok(made),
        }
    }

    /// The layer with its powers, from the constant up, computed and added up.
    pub(super) fn polynomial(
        &mut self,
        reader: &Node,
        layer: View,
        [mut shift, linear, square, cube]: [f32; 4],
    ) -> Result<View, GraphError> {
        let channels = self.shape_of(&layer).c;
        let affine = |scale, shift| {
            let tensor = |value| Tensor::from_f32(vec![channels], &vec![value; channels]);
            Op::Affine {
                scale: tensor(scale),
                shift: tensor(shift),
            }
        };
        let x = layer.node;
        let mut sum = None;
        for (power, factor) in [(2.0, square), (3.0, cube), (1.0, linear)] {
            let is_all = sum.is_none() && power == 1.0;
            if factor == 0.0 && !is_all {
                continue;
            }
            let mut term = self.raised(reader, x, power)?;
            if [factor, shift] != [1.0, 0.0] {
                term = self.push(reader, None, affine(factor, shift), term)?;
            }
            shift = 0.0;
            sum = Some(match sum {
                None => term,
                Some(sum) => self.push_of(reader, None, Op::Add, vec![sum, term])?,
            });
        }
        Ok(View {
            node: sum.unwrap_or(x),
            pending: None,
            ..layer
        })
    }
}

/// Whether an op gives nothing below zero.
fn is_never_negative(op: &Op) -> bool {
    let Op::Activate(activation) = op else {
        return false;
    };
    match activation {
        Activation::Clip { low, .. } => *low >= 0.0,
        Activation::Relu
        | Activation::Sigmoid
        | Activation::HardSigmoid { .. }
        | Activation::Softplus
        | Activation::Square
        | Activation::Sqrt
        | Activation::Abs
        | Activation::Exp
        | Activation::Power { .. } => true,
        _ => false,
    }
}
