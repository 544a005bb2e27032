//! What a plan is made for.

use super::MatrixDtype;
use crate::network::{NodeId, ReluRule};

/// Whether a backward pass gives each channel's mean gradient over positions in place of the gradient. Where the way back
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
    /// Combinations of logits (classes) at once.
    pub classes: usize,
    /// What each ReLU lets through.
    pub rule: ReluRule,
    /// Whether means will do at `to`; not where `keep` holds anything.
    pub means: Means,
}

/// A further forward pass, from values that the host writes to the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RerunRequest {
    /// The node whose values are written; [`NodeId`] 0 is the picture.
    pub from: NodeId,
    /// Values at once.
    pub images: usize,
    /// How often it runs for each run of the forward pass, as far as is known.
    pub times: usize,
    /// Whether the values share a base, from which they differ in places only.
    pub based: bool,
}

/// Passes there and back of images of their own, beside the forward phase and what it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkRequest {
    /// Images at once.
    pub images: usize,
    /// The way back of each, with [`BackwardRequest::classes`] gradients an image.
    pub back: BackwardRequest,
    /// How often it runs for each run of the forward pass, as far as is known.
    pub times: usize,
}

/// What is asked of a network.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Images at once in the forward pass; 1 where there is a backward pass.
    pub images: usize,
    /// How often all of this will run, as far as is known; 0 counts as once. What is prepared once pays by it.
    pub runs: usize,
    /// Nodes whose values are read back.
    pub keep: Vec<NodeId>,
    /// Further forward passes.
    pub reruns: Vec<RerunRequest>,
    /// Backward passes.
    pub backward: Vec<BackwardRequest>,
    /// Passes there and back.
    pub walks: Vec<WalkRequest>,
    /// What the matrices of linear layers are stored as.
    pub matrices: MatrixDtype,
}
