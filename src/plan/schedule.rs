//! Which nodes go together in a kernel: passes over the graph that group its nodes into steps, from what is asked alone. Nothing
//! else decides on fusion.

use std::collections::BTreeSet;

use super::{BackwardRequest, ForwardRequest};
use crate::network::{Activation, Network, NodeId, Op, Window};

/// Nodes that are computed together, each but the first the only reader of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The node whose op the kernel is for.
    pub(super) node: NodeId,
    /// The ReLU after it.
    pub(super) relu: Option<NodeId>,
    /// The max-pool after that.
    pub(super) pool: Option<NodeId>,
}

impl Step {
    fn of(node: NodeId) -> Self {
        Self {
            node,
            relu: None,
            pool: None,
        }
    }

    /// The node whose value it makes; what is before that is nowhere.
    pub(super) fn made(&self) -> NodeId {
        self.pool.or(self.relu).unwrap_or(self.node)
    }
}

/// The steps of a forward pass, in order. `takes_pool` says of a convolution whether its kernel can take a max-pool with it.
pub(super) fn steps(
    network: &Network,
    request: &ForwardRequest,
    takes_pool: impl Fn(NodeId) -> bool,
) -> Vec<Step> {
    let steps = with_relus(network, request, each(network, request.from));
    with_pools(network, request, steps, takes_pool)
}

/// A step for each node that reads of `from`.
fn each(network: &Network, from: NodeId) -> Vec<Step> {
    let reached = network.descendants(from);
    let later = (from.0 + 1..reached.len()).filter(|&id| reached[id]);
    later.map(|id| Step::of(NodeId(id))).collect()
}

/// Layers that end with a bias, sums and products take the ReLU after them; a ReLU after a layer without a bias has a kernel of
/// its own: rare, and one epilogue fewer.
fn with_relus(network: &Network, request: &ForwardRequest, steps: Vec<Step>) -> Vec<Step> {
    let relu_after = |step: &Step| {
        let ends = match &network.node(step.node).op {
            Op::Conv2d { bias, .. } | Op::Linear { bias, .. } => bias.is_some(),
            Op::Add | Op::Mul => true,
            _ => false,
        };
        let reader = network.only_reader(step.node).filter(|_| ends)?;
        let is_relu = matches!(network.node(reader).op, Op::Activate(Activation::Relu));
        (is_relu && !request.keep.contains(&step.node)).then_some(reader)
    };
    joined(steps, |step| {
        let relu = relu_after(step)?;
        step.relu = Some(relu);
        Some(relu)
    })
}

/// Convolutions with a ReLU take the 2 x 2 max-pool of stride 2 after it whose windows are all within its input, where nobody
/// asks for what goes into the pool.
fn with_pools(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes_pool: impl Fn(NodeId) -> bool,
) -> Vec<Step> {
    let is_asked = |id: NodeId| {
        let of_gradients = |back: &BackwardRequest| back.to == id || back.keep.contains(&id);
        request.keep.contains(&id) || request.backs.iter().any(of_gradients)
    };
    let pool_after = |step: &Step| {
        let relu = step.relu?;
        let pool = network.only_reader(relu)?;
        let (before, after) = (network.node(relu).shape, network.node(pool).shape);
        let inside = after.h * 2 <= before.h && after.w * 2 <= before.w;
        let halves = matches!(&network.node(pool).op, Op::MaxPool(window) if *window == Window::square(2, 2, 0));
        let is_convolution = matches!(network.node(step.node).op, Op::Conv2d { .. });
        let possible =
            is_convolution && halves && inside && !is_asked(step.node) && !is_asked(relu);
        (possible && takes_pool(step.node)).then_some(pool)
    };
    joined(steps, |step| {
        let pool = pool_after(step)?;
        step.pool = Some(pool);
        Some(pool)
    })
}

/// The steps after each has taken what it takes with it, which then is no step of its own.
fn joined(mut steps: Vec<Step>, take: impl Fn(&mut Step) -> Option<NodeId>) -> Vec<Step> {
    let taken: BTreeSet<NodeId> = steps.iter_mut().filter_map(take).collect();
    steps.retain(|step| !taken.contains(&step.node));
    steps
}

/// On the way back, whether the kernel that makes the gradient at `input` applies the mask of the ReLU that `input` is, so that
/// what it makes is the gradient before the ReLU: where nobody asks for the one after it, and no other reader adds to it.
pub(super) fn takes_mask(network: &Network, input: NodeId, back: &BackwardRequest) -> bool {
    let is_relu = matches!(network.node(input).op, Op::Activate(Activation::Relu));
    let is_asked = input == back.to || back.keep.contains(&input);
    is_relu && !is_asked && network.only_reader(input).is_some()
}
