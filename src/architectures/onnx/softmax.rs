//! A softmax inside of a network, and what is weighed by its shares.

use std::collections::BTreeSet;

use crate::network::{Activation, NodeId, Op, SoftmaxOver};
use crate::weights::Tensor;
use crate::weights::onnx::Node;

use super::layers::Call;
use super::shapes::{Axis, IN_PARTS};
use super::{GraphError, Import, Value, View};

impl Import<'_> {
    /// A softmax along one dimension of several: over channels, over groups of them, or over positions.
    pub(super) fn softmax(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        along: usize,
    ) -> Result<View, GraphError> {
        if Self::is_in_parts(layer) {
            return Err(call.unsupported(IN_PARTS));
        }
        if layer.axes[along] == Axis::Places
            && let Some(turned) = self.scores_turned(call, layer)?
        {
            return self.softmax(call, &turned, along);
        }
        let shape = self.shape_of(layer);
        let channels = |count, apart| SoftmaxOver::Channels { count, apart };
        let over = match layer.axes[along] {
            Axis::C => channels(shape.c, 1),
            Axis::Group(count) => channels(count, shape.c / count),
            Axis::Within(count) => channels(count, 1),
            Axis::One => channels(1, 1),
            Axis::Places => SoftmaxOver::Positions,
            Axis::H if shape.w == 1 => SoftmaxOver::Positions,
            Axis::W if shape.h == 1 => SoftmaxOver::Positions,
            _ => return Err(call.unsupported("over other than channels or all positions")),
        };
        self.made(call, layer, Op::Softmax(over))
    }

    /// Whether values are probabilities that something was done to one by one, or some or sums of them: as scores they would be made
    /// probabilities once more. Exponentials are a softmax that is written out, the logarithm of a sigmoid is one that is.
    pub(super) fn is_of_probabilities(&self, last: NodeId) -> bool {
        let mut left = vec![last];
        let mut seen = BTreeSet::new();
        while let Some(id) = left.pop() {
            let node = self.network.node(id);
            let is_of_sigmoid = || {
                let of = &self.network.node(node.inputs[0]).op;
                matches!(of, Op::Activate(Activation::Sigmoid))
            };
            let is_pick = || self.picked.values().any(|&picked| picked == id);
            match &node.op {
                _ if !seen.insert(id) || node.shape.h * node.shape.w > 1 => {}
                Op::Softmax(_) | Op::Activate(Activation::Exp) => return true,
                Op::Activate(Activation::Log) if is_of_sigmoid() => return true,
                Op::Conv2d { weight, .. } | Op::Linear { weight, .. }
                    if !is_pick() && !is_of_shares(weight) => {}
                Op::Activate(_)
                | Op::Affine { .. }
                | Op::Add
                | Op::Mul
                | Op::Max
                | Op::Concat
                | Op::Flatten(_)
                | Op::Conv2d { .. }
                | Op::Linear { .. } => left.extend(&node.inputs),
                _ => {}
            }
        }
        false
    }

    /// Whether values are those of sigmoids, scaled, picked, averaged or side by side, as `1 - p` beside `p` of two classes are: a
    /// softmax would be taken over probabilities.
    pub(super) fn is_of_sigmoids(&self, last: NodeId) -> bool {
        let mut left = vec![last];
        let mut seen = BTreeSet::new();
        while let Some(id) = left.pop() {
            let node = self.network.node(id);
            let is_pick = || self.picked.values().any(|&picked| picked == id);
            match &node.op {
                _ if !seen.insert(id) => {}
                Op::Activate(Activation::Sigmoid) => {}
                Op::Affine { .. } | Op::Add | Op::Max | Op::Concat | Op::Flatten(_) => {
                    left.extend(&node.inputs);
                }
                Op::Conv2d { weight, .. } | Op::Linear { weight, .. }
                    if is_pick() || is_of_shares(weight) =>
                {
                    left.extend(&node.inputs);
                }
                _ => return false,
            }
        }
        true
    }

    /// The layer for a softmax over all its values, which was thought to be the end before something read it.
    pub(super) fn softmax_of_all(
        &mut self,
        reader: &Node,
        layer: View,
    ) -> Result<View, GraphError> {
        let shape = self.shape_of(&layer);
        let over = match (shape.c, shape.h * shape.w) {
            (count, 1) => SoftmaxOver::Channels { count, apart: 1 },
            (1, _) => SoftmaxOver::Positions,
            _ => return Err(reader.unsupported("after a softmax over channels and positions")),
        };
        let node = self.push(reader, None, Op::Softmax(over), layer.node)?;
        Ok(View {
            node,
            pending: None,
            ..layer
        })
    }

    /// `MatMul` of values by one weight a position, either way around: their sum over positions. `None` where it is something
    /// else.
    pub(super) fn weighted_sum(&mut self, call: &Call<'_>) -> Result<Option<View>, GraphError> {
        let [Some(Value::Layer(a)), Some(Value::Layer(b))] = &call.inputs[..] else {
            return Ok(None);
        };
        call.open(a)?;
        call.open(b)?;
        let rank = a.axes.len();
        if rank < 2 || b.axes.len() != rank {
            return Ok(None);
        }
        // The dimension of the positions is the last of the first and the last but one of the second.
        let (row, column) = (rank - 2, rank - 1);
        let (values, weights, at, other) = match self.shape_of(a).c == 1 {
            false => (a, b, [column, row], row),
            true => (b, a, [row, column], column),
        };
        let (shape, weighing) = (self.shape_of(values), self.shape_of(weights));
        let places = shape.h * shape.w;
        let is_places = |layer: &View, at: usize| layer.axes[at] == Axis::Places || places == 1;
        let is_leading = |axis: &Axis| matches!(axis, Axis::N | Axis::One);
        let fits = [weighing.c, weighing.h, weighing.w] == [1, shape.h, shape.w]
            && is_places(values, at[0])
            && is_places(weights, at[1])
            && values.axes[other] == Axis::C
            && self.dimensions(weights)[at[0]] == 1
            && values.axes[..row].iter().all(is_leading);
        if !fits {
            return Ok(None);
        }
        let mut axes = values.axes.clone();
        axes[at[0]] = Axis::One;
        let (values, weights) = (values.node, weights.clone());
        let spread = self.spread_over_channels(call, &weights, shape.c)?;
        let product = self.push_of(call.node, None, Op::Mul, vec![values, spread.node])?;
        let mean = self.push(call.node, None, Op::GlobalMean, product)?;
        let (scale, shift) = (vec![places as f32; shape.c], vec![0.0; shape.c]);
        let mean = View::new(mean, axes);
        self.affine(call, &mean, &scale, &shift).map(Some)
    }
}

/// Whether a matrix gives each value away in shares: of probabilities it makes those of sets of classes.
fn is_of_shares(weight: &Tensor) -> bool {
    const MOST: usize = 1 << 20;
    let &[rows, columns, ..] = weight.shape() else {
        return false;
    };
    if weight.len() > MOST || weight.len() != rows * columns {
        return false;
    }
    let values = weight.to_vec();
    let is_whole = |sum: f32| (sum - 1.0).abs() < 1e-3;
    let mut of_rows = values.chunks(columns).map(|row| row.iter().sum());
    let sum_of_column = |at: usize| values[at..].iter().step_by(columns).sum();
    let of_columns = || (0..columns).map(sum_of_column).all(is_whole);
    values.iter().all(|&value| value >= 0.0) && (of_rows.all(is_whole) || of_columns())
}
