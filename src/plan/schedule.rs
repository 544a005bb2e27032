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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FilterLayout, Shape};
    use crate::weights::Tensor;

    /// A convolution, a ReLU, a max-pool, and a sum of the pool with itself, with a ReLU.
    fn network() -> Network {
        let mut network = Network::new("small", Shape::new(2, 8, 8));
        let convolution = Op::Conv2d {
            weight: Tensor::repeated(vec![4, 2, 3, 3], 0.0),
            bias: Some(Tensor::repeated(vec![4], 0.0)),
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        };
        network.chain("conv", convolution).unwrap();
        network.chain("relu", Op::RELU).unwrap();
        let pool = Op::MaxPool(Window::square(2, 2, 0));
        let pool = network.chain("pool", pool).unwrap();
        network.push("sum", Op::Add, vec![pool, pool]).unwrap();
        network.chain("relu2", Op::RELU).unwrap();
        network
    }

    /// The values that the steps make, by the nodes' numbers.
    fn made(request: &ForwardRequest, takes_pool: bool) -> Vec<usize> {
        let steps = steps(&network(), request, |_| takes_pool);
        steps.iter().map(|step| step.made().0).collect()
    }

    #[test]
    fn nodes_go_together_unless_what_is_between_them_is_asked_for() {
        let keeping = |keep: &[usize]| ForwardRequest {
            keep: keep.iter().map(|&id| NodeId(id)).collect(),
            ..ForwardRequest::default()
        };
        assert_eq!(made(&keeping(&[]), true), [3, 5]);
        assert_eq!(made(&keeping(&[]), false), [2, 3, 5]);
        assert_eq!(made(&keeping(&[2]), true), [2, 3, 5]);
        assert_eq!(made(&keeping(&[1]), true), [1, 2, 3, 5]);
        assert_eq!(made(&keeping(&[4]), true), [3, 4, 5]);
        let from_relu = ForwardRequest {
            from: NodeId(2),
            ..ForwardRequest::default()
        };
        assert_eq!(made(&from_relu, true), [3, 5]);
    }

    #[test]
    fn a_pool_leaves_what_goes_into_it_where_a_gradient_is_asked_for_there() {
        let back = |to, keep| BackwardRequest {
            to: NodeId(to),
            keep,
            classes: 1,
            rule: crate::network::ReluRule::Plain,
            means: crate::plan::Means::Never,
        };
        let going = |back| ForwardRequest {
            backs: vec![back],
            ..ForwardRequest::default()
        };
        assert_eq!(made(&going(back(0, vec![])), true), [3, 5]);
        assert_eq!(made(&going(back(2, vec![])), true), [2, 3, 5]);
        assert_eq!(made(&going(back(0, vec![NodeId(1)])), true), [2, 3, 5]);
        let takes = |back| takes_mask(&network(), NodeId(2), &back);
        assert!(takes(back(0, vec![])) && !takes(back(2, vec![])));
        assert!(!takes(back(0, vec![NodeId(2)])));
    }
}
