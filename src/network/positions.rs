//! Networks that look at a picture position by position and end with a mean over all of them.

use super::{Network, Op, SoftmaxOver};

impl Network {
    /// Whether the logits are a linear function of one mean over all positions, of values that depend on what lies around each alone:
    /// then those of a larger picture are the means of its parts' logits, but for what the edges of parts change.
    ///
    /// Not where a mean gates channels on the way, as in squeeze-and-excitation, since that sees the whole picture; nor where
    /// something bends the values behind the mean.
    pub fn is_mean_over_positions(&self) -> bool {
        let is_mean = |op: &Op| matches!(op, Op::GlobalMean | Op::AdaptiveAvgPool([1, 1]));
        let mut means = (0..self.nodes.len()).filter(|&id| is_mean(&self.nodes[id].op));
        let (Some(mean), None) = (means.next(), means.next()) else {
            return false;
        };
        let behind = self.descendants(super::NodeId(mean));
        if !behind[self.output().0] {
            return false;
        }
        (1..self.nodes.len()).filter(|&id| id != mean).all(|id| {
            let node = &self.nodes[id];
            let mut inputs = node.inputs.iter();
            if behind[id] {
                return node.op.is_linear() && inputs.all(|input| behind[input.0]);
            }
            let shape = |id: super::NodeId| self.node(id).shape;
            let first = node.inputs.first().map(|&first| shape(first));
            node.op.is_local() && inputs.all(|&input| joins(first, shape(input)))
        })
    }
}

/// Whether values are joined position by position.
fn joins(first: Option<super::Shape>, other: super::Shape) -> bool {
    first.is_some_and(|first| (first.h, first.w) == (other.h, other.w))
}

impl Op {
    /// Of what a mean gave.
    fn is_linear(&self) -> bool {
        matches!(
            self,
            Self::Flatten(_) | Self::Linear { .. } | Self::Affine { .. } | Self::Conv2d { .. }
        )
    }

    /// Whether each value depends on values around its position, however large the map is.
    fn is_local(&self) -> bool {
        match self {
            Self::Conv2d { .. }
            | Self::Affine { .. }
            | Self::LayerNorm { .. }
            | Self::Activate(_)
            | Self::Add
            | Self::Mul
            | Self::Max
            | Self::Concat
            | Self::Lrn(_)
            | Self::MaxPool(_)
            | Self::AvgPool { .. }
            | Self::Softmax(SoftmaxOver::Channels { .. }) => true,
            Self::Input
            | Self::Pad(_)
            | Self::Resample(_)
            | Self::Transpose
            | Self::Softmax(SoftmaxOver::Positions)
            | Self::AttentionScores { .. }
            | Self::AttentionSum { .. }
            | Self::AdaptiveAvgPool(_)
            | Self::GlobalMean
            | Self::GroupNorm { .. }
            | Self::Flatten(_)
            | Self::Linear { .. } => false,
        }
    }
}
