//! What a plan is made for.

use super::StoredDtype;
use crate::network::{NodeId, ReluRule};

/// Whether a backward pass gives each channel's mean gradient over positions in place of the gradient. Where the backward pass
/// ends with pools after a dense layer, the means are that layer's matrix away, summed over positions once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Means {
    /// The gradient is needed.
    #[default]
    Never,
    /// The means will do: where they are possible and repay their preparation.
    WhereFaster,
    /// The same wherever they are possible, to test it.
    WherePossible,
}

/// A backward pass: the gradient of some combination of logits at an earlier node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackwardRequest {
    /// Where it ends; [`NodeId`] 0 is the picture.
    pub to: NodeId,
    /// Nodes between there and the logits whose gradients are read back as well.
    pub keep: Vec<NodeId>,
    /// Combinations of logits (classes) at once, for each image.
    pub classes: usize,
    /// What each ReLU lets through.
    pub rule: ReluRule,
    /// Whether means will do at `to`; not where `keep` holds anything.
    pub means: Means,
}

/// A forward pass, from values that the host writes to the logits, and the backward passes from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardRequest {
    /// The node whose values are written; [`NodeId`] 0 is the picture.
    pub from: NodeId,
    /// Values at once.
    pub images: usize,
    /// Runs for each run of the first pass, as far as is known.
    pub times: usize,
    /// Nodes whose values are read back.
    pub keep: Vec<NodeId>,
    /// The backward passes; none where `from` is not the picture.
    pub backs: Vec<BackwardRequest>,
    /// Whether the values share a base, see [`Base`](super::Base), and differ from it in some places only.
    pub based: bool,
    /// The last node that the host computes, with all before it, see [`ByHost`](super::ByHost). Only where `from` is the picture.
    pub by_host: Option<NodeId>,
}

impl Default for ForwardRequest {
    /// One picture, to the logits.
    fn default() -> Self {
        Self {
            from: NodeId(0),
            images: 1,
            times: 1,
            keep: vec![],
            backs: vec![],
            based: false,
            by_host: None,
        }
    }
}

/// What is asked of a network.
#[derive(Clone, Debug)]
pub struct Request {
    /// The forward passes. The first is the picture's, and what it leaves stays: passes that begin in the middle of the network
    /// read it, and its backward passes may run at any time.
    pub passes: Vec<ForwardRequest>,
    /// How often all of this will run, as far as is known; 0 counts as once. What is prepared once pays by it.
    pub runs: usize,
    /// What the matrices of linear layers are stored as.
    pub matrices: StoredDtype,
    /// What all else is stored as: filters, values and gradients between layers. What the host writes or reads is float32.
    pub dtype: StoredDtype,
}

impl Request {
    /// One forward pass with its backward passes, once.
    pub fn of(pass: ForwardRequest) -> Self {
        Self {
            passes: vec![pass],
            runs: 1,
            matrices: StoredDtype::F32,
            dtype: StoredDtype::F32,
        }
    }
}

impl Default for Request {
    /// One picture, to the logits, once.
    fn default() -> Self {
        Self::of(ForwardRequest::default())
    }
}

impl ForwardRequest {
    /// Gradients that a backward pass carries, those of an image one after the other.
    pub fn gradients(&self, back: &BackwardRequest) -> usize {
        self.images * back.classes
    }
}
