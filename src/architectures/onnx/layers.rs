//! Operators that compute with the picture: one arm each.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::network::{MatrixLayout, Op, Shape};
use crate::weights::Tensor;
use crate::weights::onnx::{Constant, INT64, Integers, Node};

use super::activations::Pending;
use super::attributes::axis;
use super::shapes::{Axis, IN_PARTS};
use super::views::view;
use super::{GraphError, Import, Value, View};

/// A node and what it reads.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) opset: i64,
    /// Optional inputs may be left out.
    pub(super) inputs: Vec<Option<Value>>,
}

impl Call<'_> {
    /// Whether `layer` is a plain value that any operator may read.
    pub(super) fn open(&self, layer: &View) -> Result<(), GraphError> {
        if layer.pending.is_some() {
            return Err(self.unsupported("after a softmax or sigmoid"));
        }
        if layer.pad != [[0; 2]; 2] {
            return Err(self.unsupported("after a Pad"));
        }
        Ok(())
    }

    /// An input of floats that is known beforehand.
    pub(super) fn tensor(&self, i: usize, what: &'static str) -> Result<&Tensor, GraphError> {
        match self.constant(i) {
            Some(Constant::Floats(tensor)) => Ok(tensor),
            _ => Err(self.unusable(what)),
        }
    }

    /// The same, where it may be left out.
    pub(super) fn optional(
        &self,
        i: usize,
        what: &'static str,
    ) -> Result<Option<&Tensor>, GraphError> {
        self.input(i).map(|_| self.tensor(i, what)).transpose()
    }

    pub(super) fn name_of_input(&self, i: usize) -> Option<&str> {
        self.node.inputs.get(i).map(String::as_str)
    }
}

impl<'a> Import<'a> {
    /// What a node gives, for each of its outputs that is made.
    pub(super) fn call(&mut self, mut call: Call<'a>) -> Result<Vec<Value>, GraphError> {
        let mut inputs = call.inputs.iter().flatten();
        if inputs.clone().next().is_some() && inputs.all(Value::is_constant) {
            let made = self.fold(&call)?;
            return Ok(made.into_iter().map(Value::Constant).collect());
        }
        match self.summed(&call)? {
            // A pool that the node itself has still to read.
            Some(Value::Layer(pooled)) => {
                for input in &mut call.inputs {
                    if let Some(Value::Sums(_)) = input {
                        *input = Some(Value::Layer(pooled.clone()));
                    }
                }
            }
            Some(made) => return Ok(vec![made]),
            None => {}
        }
        if let Some(made) = self.untouched(&call)? {
            return Ok(made);
        }
        let mut inputs = call.inputs.iter().flatten();
        if inputs.any(|input| matches!(input, Value::Layer(layer) if Self::is_in_parts(layer))) {
            return Err(call.unsupported(IN_PARTS));
        }
        let reader = call.node;
        let order = self.order_kept(&mut call);
        let ordered = self.scales_ordered(&call);
        for input in &mut call.inputs {
            if let Some(Value::Layer(layer)) = input {
                *layer = match ordered {
                    true => {
                        let activated = self.activated(reader, layer.clone())?;
                        self.padded(reader, activated)?
                    }
                    false => self.settled(reader, layer.clone())?,
                };
            }
        }
        if call.node.op_type == "Div" {
            self.divided(&mut call)?;
        }
        let call = &call;
        if let Some(activation) = Self::activation(call)? {
            let mut layer = self.plain(call, Op::Activate(activation))?;
            layer.channels = order;
            return Ok(vec![Value::Layer(layer)]);
        }
        let mut layer = match call.node.op_type.as_str() {
            "Gemm" => self.gemm(call)?,
            "MatMul" => match &call.inputs[..] {
                [Some(Value::Layer(_)), Some(Value::Layer(_))] => self.product_of_layers(call)?,
                _ => self.mat_mul(call)?,
            },
            "Attention" => self.attention_operator(call)?,
            "Clip" => self.clip(call)?,
            "Max" | "Min" => self.larger(call)?,
            "MaxPool" => self.max_pool(call)?,
            "AveragePool" => self.average_pool(call)?,
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" | "ReduceSum"
            | "ReduceL2" | "ReduceSumSquare" => self.reduced(call)?,
            "Expand" => self.expanded(call)?,
            "BatchNormalization" => self.batch_normalization(call)?,
            "LayerNormalization" | "MeanVarianceNormalization" => self.layer_normalization(call)?,
            "InstanceNormalization" | "GroupNormalization" => self.group_normalization(call)?,
            "LRN" => self.lrn(call)?,
            "Resize" | "Upsample" => self.resized(call)?,
            "Tile" => self.tiled(call)?,
            "Swish" => self.swish(call)?,
            "SpaceToDepth" => self.space_to_depth(call)?,
            "DequantizeLinear" => self.of_quantized_input(call)?,
            "Neg" => self.negated(call)?,
            "Celu" => self.celu(call)?,
            "Pow" => self.power(call)?,
            "Concat" => self.concatenated(call)?,
            "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Mean"
                if !call.inputs.iter().flatten().any(Value::is_constant) =>
            {
                self.combined(call)?
            }
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(call)?,
            _ => return Err(call.node.unknown()),
        };
        // One value for all channels has no order.
        let own = self.shape_of(&layer).c;
        if order.as_ref().is_some_and(|order| order.len() == own) {
            layer.channels = order;
        }
        Ok(vec![Value::Layer(layer)])
    }

    /// Whether a node scales or shifts channels that are all there, in another order.
    fn scales_ordered(&self, call: &Call<'_>) -> bool {
        const SCALES: [&str; 6] = ["Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"];
        let mut layers = call
            .inputs
            .iter()
            .flatten()
            .filter_map(|input| match input {
                Value::Layer(layer) => Some(layer),
                _ => None,
            });
        let all = |layer: &View| {
            let own = self.network.node(layer.node).shape.c;
            let channels = layer.channels.as_ref();
            let distinct = |channels: &Arc<[usize]>| channels.iter().collect::<BTreeSet<_>>().len();
            channels.is_some_and(|all| all.len() == own && distinct(all) == own)
        };
        let (first, second) = (layers.next(), layers.next());
        SCALES.contains(&call.node.op_type.as_str()) && second.is_none() && first.is_some_and(all)
    }

    /// The order of the channels that a node reads, taken from them, where it does the same with each of them: so that the order
    /// is that of what it gives.
    fn order_kept(&self, call: &mut Call<'_>) -> Option<Arc<[usize]>> {
        const ALIKE: [&str; 10] = [
            "Relu",
            "LeakyRelu",
            "Elu",
            "HardSwish",
            "Clip",
            "MaxPool",
            "AveragePool",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "ReduceMean",
        ];
        let alike = ALIKE.contains(&call.node.op_type.as_str());
        match call.inputs.first_mut() {
            Some(Some(Value::Layer(layer))) if alike && layer.axes.contains(&Axis::C) => {
                let all = self.network.node(layer.node).shape.c;
                layer.channels.take_if(|channels| channels.len() == all)
            }
            _ => None,
        }
    }

    /// What operators give that take a layer as it is, with its paddings, channels and pending activation.
    fn untouched(&mut self, call: &Call<'a>) -> Result<Option<Vec<Value>>, GraphError> {
        let layer = match call.node.op_type.as_str() {
            "Shape" | "Size" => return Ok(Some(vec![Value::Constant(self.shape(call)?)])),
            "Slice" | "Gather" | "Split" => return self.picked(call).map(Some),
            "Concat" => self.reunited(call)?,
            "Dropout" => Some(self.undropped(call)?),
            "Identity" | "Cast" | "CastLike" => Some(Self::same(call)?),
            "Transpose" => Some(Self::transpose(call, call.layer()?)?),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                let layer = call.layer()?.clone();
                let shape = view(call, &self.dimensions(&layer))?;
                Some(self.reshape(call, &layer, &shape)?)
            }
            "Conv" => Some(self.conv(call)?),
            "Pad" => Some(self.pad(call)?),
            "Softmax" | "LogSoftmax" | "Sigmoid" => Some(self.ending(call)?),
            "Erf" => Some(self.erf(call)?),
            "Tanh" => Self::tanh_of_cubic(call),
            "Where" => Some(self.chosen_by_value(call)?),
            "AveragePool" => Self::averaged_squares(call)?,
            "MaxPool" => self.max_pool_of_padded(call)?,
            "QuantizeLinear" => Some(self.quantized(call)?),
            "DequantizeLinear" => Self::unquantized(call)?,
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Greater" | "GreaterOrEqual" | "Less"
            | "LessOrEqual" => self.in_pieces(call)?,
            _ => None,
        };
        Ok(layer.map(|layer| vec![Value::Layer(layer)]))
    }

    fn negated(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        let channels = self.shape_of(&layer).c;
        self.affine(call, &layer, &vec![-1.0; channels], &vec![0.0; channels])
    }

    pub(super) fn shape_of(&self, layer: &View) -> Shape {
        self.network.node(layer.node).shape
    }

    /// An operator that leaves every dimension as it is.
    pub(super) fn plain(&mut self, call: &Call<'_>, op: Op) -> Result<View, GraphError> {
        let layer = call.layer()?;
        call.open(layer)?;
        let id = self.push(call.node, None, op, layer.node)?;
        Ok(View::new(id, layer.axes.clone()))
    }

    fn shape(&self, call: &Call<'_>) -> Result<Constant, GraphError> {
        let dimensions = self.dimensions(call.layer()?);
        let dimensions: Vec<i64> = dimensions.into_iter().map(|n| n as i64).collect();
        if call.node.op_type == "Size" {
            return Ok(Constant::Ints(Integers {
                shape: vec![],
                values: vec![dimensions.iter().product()],
                dtype: INT64,
            }));
        }
        let rank = dimensions.len() as i64;
        let place = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank);
        let start = place(call.node.int("start").unwrap_or(0)) as usize;
        let end = place(call.node.int("end").unwrap_or(rank)) as usize;
        let values = dimensions[start..end.max(start)].to_vec();
        Ok(Constant::Ints(Integers {
            shape: vec![values.len()],
            values,
            dtype: INT64,
        }))
    }

    fn same(call: &Call<'_>) -> Result<View, GraphError> {
        // float32, float16, float64, bfloat16: the network computes in float32 throughout.
        let to = call.node.int("to").unwrap_or(1);
        if call.node.op_type == "Cast" && ![1, 10, 11, 16].contains(&to) {
            return Err(call.unsupported("to whole numbers"));
        }
        call.layer().cloned()
    }

    /// A network is explained as it is used. A graph that was exported for training drops values at random, so that no two of its
    /// answers are the same.
    fn undropped(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        const NOTE: &str =
            "the graph drops values at random, as in training; here none are dropped";
        let trains = match call.constant(2) {
            Some(Constant::Ints(ints)) => ints.values.first() == Some(&1),
            _ => false,
        };
        if trains && !self.notes.iter().any(|note| note == NOTE) {
            self.notes.push(NOTE.into());
        }
        Self::same(call)
    }

    /// alpha A' B' + beta C, where A is the layer.
    fn gemm(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layer = call.layer()?.clone();
        if call.node.int("transA").unwrap_or(0) != 0 {
            layer.axes.reverse();
        }
        let alpha = call.node.float("alpha").unwrap_or(1.0);
        let beta = call.node.float("beta").unwrap_or(1.0);
        let layout = match call.node.int("transB").unwrap_or(0) {
            0 => MatrixLayout::InOut,
            _ => MatrixLayout::OutIn,
        };
        let product = self.linear(call, &layer, layout)?;
        let outputs = self.shape_of(&product).c;
        let bias = call.optional(2, "matrix C")?;
        let bias = bias.map(|bias| {
            per_channel(bias, &[1, outputs], 1).ok_or_else(|| call.unusable("matrix C"))
        });
        let bias = bias.transpose()?.unwrap_or_else(|| vec![0.0]);
        if alpha == 1.0 && bias == [0.0] {
            return Ok(product);
        }
        let scale = vec![alpha; outputs];
        let shift: Vec<f32> = (0..outputs).map(|i| beta * bias[i % bias.len()]).collect();
        self.affine(call, &product, &scale, &shift)
    }

    fn mat_mul(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        self.linear(call, &layer, MatrixLayout::InOut)
    }

    /// `layer`, rows of vectors, times the matrix of the second input.
    fn linear(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        mut layout: MatrixLayout,
    ) -> Result<View, GraphError> {
        call.open(layer)?;
        let mut weight = call.tensor(1, "matrix")?.clone();
        if weight.shape().len() != 2 {
            return Err(call.unusable("matrix"));
        }
        // A transposed view of what the file has row by row: the other layout, and no copy.
        let turned = weight.permuted(&[1, 0]);
        if !weight.is_contiguous() && turned.is_contiguous() {
            weight = turned;
            layout = match layout {
                MatrixLayout::InOut => MatrixLayout::OutIn,
                MatrixLayout::OutIn => MatrixLayout::InOut,
            };
        }
        if self.dimensions(layer) != [self.batch, self.shape_of(layer).len()] {
            return self.linear_by_position(call, layer, &weight, layout);
        }
        let vector = self.flatten(call, layer)?;
        let op = Op::Linear {
            weight,
            bias: None,
            layout,
        };
        let id = self.push(call.node, call.name_of_input(1), op, vector.node)?;
        Ok(View::new(id, vec![Axis::N, Axis::C]))
    }

    /// A ReLU where it has the bounds of one.
    fn clip(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let bound = |name: &str, input: usize, none: f32| match call.input(input) {
            Some(Value::Constant(Constant::Floats(value))) if value.len() == 1 => {
                Some(value.to_vec()[0])
            }
            Some(_) => None,
            None => Some(call.node.float(name).unwrap_or(none)),
        };
        let bounds = (
            bound("min", 1, f32::NEG_INFINITY),
            bound("max", 2, f32::INFINITY),
        );
        match bounds {
            (Some(low), Some(high)) => self.clipped(call, &call.layer()?.clone(), low, high),
            _ => Err(call.unsupported("to bounds that are not known")),
        }
    }

    /// A sum, difference, product or quotient with a constant that is the same at all positions.
    fn arithmetic(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let (layer, constant, constant_first) = match &call.inputs[..] {
            [Some(Value::Layer(layer)), Some(Value::Constant(constant))] => {
                (layer, constant, false)
            }
            [Some(Value::Constant(constant)), Some(Value::Layer(layer))] => (layer, constant, true),
            _ => return Err(call.unsupported("of two layers")),
        };
        let Constant::Floats(constant) = constant else {
            return Err(call.unsupported("with whole numbers"));
        };
        let layer = &self.spread_over_constant(call, layer, constant)?;
        let channels = self.shape_of(layer).c;
        // One number is the same for all, whatever the dimensions are.
        let is_number = constant.len() == 1 && constant.shape().len() <= layer.axes.len();
        let number = is_number.then(|| constant.to_vec()[0]);
        let factor = match (call.node.op_type.as_str(), number, constant_first) {
            ("Mul", number, _) => number,
            ("Div", Some(number), false) => Some(1.0 / number),
            _ => None,
        };
        if let Some(scaled) = self.scores_scaled(call, layer, factor)? {
            return Ok(scaled);
        }
        let at = layer.axes.iter().position(|&axis| axis == Axis::C);
        // A channel alone may have no dimension.
        let at = at.or((channels == 1).then_some(layer.axes.len()));
        let each = at.and_then(|at| per_channel(constant, &self.dimensions(layer), at));
        let values = number.map(|number| vec![number]).or(each);
        let values =
            values.ok_or_else(|| call.unsupported("with values that differ between positions"))?;
        let (mut scale, mut shift) = (vec![1.0; channels], vec![0.0; channels]);
        for i in 0..channels {
            let value = values[i % values.len()];
            match (call.node.op_type.as_str(), constant_first) {
                ("Add", _) => shift[i] = value,
                ("Sub", false) => shift[i] = -value,
                ("Sub", true) => (scale[i], shift[i]) = (-1.0, value),
                // Of a number by a layer the layer's reciprocal is taken already.
                ("Mul", _) | ("Div", true) => scale[i] = value,
                ("Div", false) => scale[i] = 1.0 / value,
                _ => return Err(call.unsupported("by a layer")),
            }
        }
        self.affine(call, &layer.clone(), &scale, &shift)
    }

    /// y = scale x + shift, a value a channel.
    pub(super) fn affine(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<View, GraphError> {
        call.open(layer)?;
        self.book(call.node, scale.len() + shift.len())?;
        // In the order of the node's own channels.
        let tensor = |values: &[f32]| {
            let mut own = values.to_vec();
            if let Some(channels) = &layer.channels {
                for (&channel, &value) in channels.iter().zip(values) {
                    own[channel] = value;
                }
            }
            Tensor::from_f32(vec![own.len()], &own)
        };
        let op = Op::Affine {
            scale: tensor(scale),
            shift: tensor(shift),
        };
        let id = self.push(call.node, None, op, layer.node)?;
        Ok(View {
            channels: layer.channels.clone(),
            ..View::new(id, layer.axes.clone())
        })
    }

    /// What turns logits into scores at the end; a softmax over a part of the values is a layer.
    fn ending(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layer = self.settled(call.node, call.layer()?.clone())?;
        call.open(&layer)?;
        if call.node.op_type == "Sigmoid" {
            layer.pending = Some(Pending::Sigmoid);
            return Ok(layer);
        }
        // Since opset 13 one dimension, before it all dimensions from `axis` on.
        let default = if call.opset >= 13 { -1 } else { 1 };
        let rank = layer.axes.len();
        let along = axis(call.node.int("axis").unwrap_or(default), rank);
        let along = along.ok_or_else(|| call.unusable("axis"))?;
        let lengths = self.dimensions(&layer);
        let covered = match call.opset >= 13 {
            true => lengths[along],
            false => lengths[along..].iter().product(),
        };
        if covered != self.shape_of(&layer).len() {
            return match call.node.op_type == "Softmax" && covered == lengths[along] {
                true => self.softmax(call, &layer, along),
                false => Err(call.unsupported("over other than the classes")),
            };
        }
        layer.pending = Some(match call.node.op_type.as_str() {
            "LogSoftmax" => Pending::LogSoftmax,
            _ => Pending::Softmax,
        });
        Ok(layer)
    }
}

/// The values of `constant`, spread by the rules of broadcasting over dimensions of these lengths, along dimension
/// `channel` (one value where they are all the same); `None` where they differ along another.
fn per_channel(constant: &Tensor, lengths: &[usize], channel: usize) -> Option<Vec<f32>> {
    let shape = constant.shape();
    let lead = lengths.len().checked_sub(shape.len())?;
    for (i, &length) in shape.iter().enumerate() {
        let along = i + lead == channel;
        if length != 1 && !(along && length == lengths[channel]) {
            return None;
        }
    }
    Some(constant.to_vec())
}
