//! Which nodes go together in a kernel: passes over the graph that group its nodes into steps, from what is asked alone. Nothing
//! else decides on fusion.

use std::collections::{BTreeMap, BTreeSet};

use super::{BackwardRequest, ForwardRequest};
use crate::network::{Activation, Network, NodeId, Op, ReluRule, SavedValue, Shape, Window};

/// Nodes that are computed together, each but the first the only reader of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The node whose op the kernel is for.
    pub(super) node: NodeId,
    /// The scale and shift before it, which a ReLU follows.
    pub(super) norm: Option<NodeId>,
    /// The product before it of a map and a value a channel.
    pub(super) scaled: Option<Scaled>,
    /// The sum of that and an earlier value.
    pub(super) sum: Option<Sum>,
    /// The activation after it.
    pub(super) activation: Option<NodeId>,
    /// The max-pool after that.
    pub(super) pool: Option<NodeId>,
}

/// A product that the kernel of its reader computes as it reads, as squeeze and excite has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaled {
    product: NodeId,
    pub(super) map: NodeId,
    /// A value a channel.
    pub(super) scale: NodeId,
}

/// A sum that the kernel of one of its operands takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    node: NodeId,
    /// The other operand.
    pub(super) other: NodeId,
}

impl Step {
    fn of(node: NodeId) -> Self {
        Self {
            node,
            norm: None,
            scaled: None,
            sum: None,
            activation: None,
            pool: None,
        }
    }

    /// The node whose value it makes; what is before that is nowhere.
    pub(super) fn made(&self) -> NodeId {
        self.pool.or(self.activation).unwrap_or(self.summed())
    }

    /// The nodes whose values it reads; of a product that it takes the map first.
    pub(super) fn reads(&self, network: &Network) -> Vec<NodeId> {
        let inputs = match self.scaled {
            Some(scaled) => vec![scaled.map, scaled.scale],
            None => network.node(self.norm.unwrap_or(self.node)).inputs.clone(),
        };
        let other = self.sum.map(|sum| sum.other);
        inputs.into_iter().chain(other).collect()
    }

    /// The node before its activation.
    fn summed(&self) -> NodeId {
        self.sum.map_or(self.node, |sum| sum.node)
    }
}

/// What the kernels for a pass can take with them, beside the ReLUs that all layers with a bias take.
pub(super) trait Takes {
    /// Whether the kernel of convolution `id` takes a sum with an earlier value.
    fn sum(&self, id: NodeId) -> bool;
    /// Whether it takes this activation.
    fn activation(&self, id: NodeId, activation: &Activation) -> bool;
    /// Whether it takes a max-pool.
    fn pool(&self, id: NodeId) -> bool;
    /// Whether it takes a scale and shift with the ReLU after them, as it reads what it is for.
    fn norm(&self, id: NodeId) -> bool;
    /// Whether it takes a scale a channel of each image as it reads what that is for.
    fn scale(&self, id: NodeId) -> bool;
}

/// Kernels that take nothing more.
pub(super) struct TakesNothing;

impl Takes for TakesNothing {
    fn sum(&self, _: NodeId) -> bool {
        false
    }

    fn activation(&self, _: NodeId, _: &Activation) -> bool {
        false
    }

    fn pool(&self, _: NodeId) -> bool {
        false
    }

    fn norm(&self, _: NodeId) -> bool {
        false
    }

    fn scale(&self, _: NodeId) -> bool {
        false
    }
}

/// The steps of a forward pass, in order.
pub(super) fn steps(network: &Network, request: &ForwardRequest, takes: &impl Takes) -> Vec<Step> {
    let steps = each(network, request.from);
    let steps = with_sums(network, request, steps, takes);
    let steps = with_activations(network, request, steps, takes);
    let steps = with_pools(network, request, steps, takes);
    let steps = with_norms(network, request, steps, takes);
    with_scales(network, request, steps, takes)
}

/// A step for each node that reads of `from`.
fn each(network: &Network, from: NodeId) -> Vec<Step> {
    let reached = network.descendants(from);
    let later = (from.0 + 1..reached.len()).filter(|&id| reached[id]);
    later.map(|id| Step::of(NodeId(id))).collect()
}

/// Convolutions take the sum with a value that is there before them. Of two operands the later one is computed last.
fn with_sums(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes: &impl Takes,
) -> Vec<Step> {
    let reached = network.descendants(request.from);
    let sum_after = |step: &Step| {
        let is_convolution = matches!(network.node(step.node).op, Op::Conv2d { .. });
        let reader = network.only_reader(step.node).filter(|_| is_convolution)?;
        let sum = network.node(reader);
        let shape = network.node(step.node).shape;
        let [one, two] = sum.inputs[..] else {
            return None;
        };
        let other = if one == step.node { two } else { one };
        let fits = matches!(sum.op, Op::Add)
            && other < step.node
            && reached[other.0]
            && network.node(other).shape == shape;
        let possible = fits && !request.keep.contains(&step.node) && takes.sum(step.node);
        possible.then_some(Sum {
            node: reader,
            other,
        })
    };
    joined(steps, |step| {
        step.sum = sum_after(step);
        step.sum.map(|sum| sum.node)
    })
}

/// Layers that end with a bias, sums, products and maxima take the ReLU after them; a ReLU after a layer without a bias has a
/// kernel of its own: rare, and one epilogue fewer. Some convolutions take other activations, where no backward pass reads what
/// goes into these.
fn with_activations(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes: &impl Takes,
) -> Vec<Step> {
    let activation_after = |step: &Step| {
        let op = &network.node(step.node).op;
        let ends = match op {
            Op::Conv2d { bias, .. } | Op::Linear { bias, .. } => bias.is_some(),
            Op::Add | Op::Mul | Op::Max | Op::Affine { .. } => true,
            _ => false,
        };
        let reader = network.only_reader(step.summed()).filter(|_| ends)?;
        let Op::Activate(activation) = &network.node(reader).op else {
            return None;
        };
        let saved = activation.saved_value() == SavedValue::Input
            && passes_through(network, request, reader);
        let alone = matches!(op, Op::Conv2d { .. }) && step.sum.is_none() && !saved;
        let is_taken = matches!(activation, Activation::Relu)
            || alone && takes.activation(step.node, activation);
        (is_taken && !request.keep.contains(&step.summed())).then_some(reader)
    };
    joined(steps, |step| {
        step.activation = activation_after(step);
        step.activation
    })
}

/// Whether a backward pass leads through a node.
fn passes_through(network: &Network, request: &ForwardRequest, id: NodeId) -> bool {
    let mut backs = request.backs.iter();
    backs.any(|back| id != back.to && network.descendants(back.to)[id.0])
}

/// Convolutions with a ReLU take the 2 x 2 max-pool of stride 2 after it whose windows are all within its input, where nobody
/// asks for what goes into the pool.
fn with_pools(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes: &impl Takes,
) -> Vec<Step> {
    let is_asked = |id: NodeId| {
        let of_gradients = |back: &BackwardRequest| back.to == id || back.keep.contains(&id);
        request.keep.contains(&id) || request.backs.iter().any(of_gradients)
    };
    let is_relu = |id: NodeId| matches!(network.node(id).op, Op::Activate(Activation::Relu));
    let pool_after = |step: &Step| {
        let relu = step.activation.filter(|&id| is_relu(id))?;
        let pool = network.only_reader(relu)?;
        let (before, after) = (network.node(relu).shape, network.node(pool).shape);
        let inside = after.h * 2 <= before.h && after.w * 2 <= before.w;
        let halves = matches!(&network.node(pool).op, Op::MaxPool(window) if *window == Window::square(2, 2, 0));
        let is_convolution = matches!(network.node(step.node).op, Op::Conv2d { .. });
        let alone = is_convolution && step.sum.is_none();
        let possible = alone && halves && inside && !is_asked(step.node) && !is_asked(relu);
        (possible && takes.pool(step.node)).then_some(pool)
    };
    joined(steps, |step| {
        step.pool = pool_after(step);
        step.pool
    })
}

/// Convolutions take the scale and shift before them, with the ReLU between, where no backward pass reads what that has made
/// and nobody asks for it.
fn with_norms(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes: &impl Takes,
) -> Vec<Step> {
    let is_asked = |id: NodeId| {
        let reads = |back: &BackwardRequest| network.descendants(back.to)[id.0];
        request.keep.contains(&id) || request.backs.iter().any(reads)
    };
    let activation = |step: &Step| step.activation.map(|id| &network.node(id).op);
    let norms = steps.iter().filter(|step| {
        matches!(network.node(step.node).op, Op::Affine { .. })
            && matches!(activation(step), Some(Op::Activate(Activation::Relu)))
            && !is_asked(step.node)
            && !is_asked(step.made())
    });
    let norms: BTreeMap<NodeId, NodeId> = norms.map(|norm| (norm.made(), norm.node)).collect();
    let norm_before = |step: &Step| {
        let node = network.node(step.node);
        let norm = norms.get(node.inputs.first()?)?;
        let alone = network.only_reader(node.inputs[0]).is_some() && step.sum.is_none();
        let possible = alone && reads_otherwise(network, step);
        (possible && takes.norm(step.node)).then_some(*norm)
    };
    joined(steps, |step| {
        step.norm = norm_before(step);
        step.norm
    })
}

/// Convolutions take the product before them of a map and a value a channel, where nobody asks for it: a backward pass reads
/// what goes into a product, and not what comes out of it.
fn with_scales(
    network: &Network,
    request: &ForwardRequest,
    steps: Vec<Step>,
    takes: &impl Takes,
) -> Vec<Step> {
    let reached = network.descendants(request.from);
    let is_asked =
        |id: NodeId| request.keep.contains(&id) || request.backs.iter().any(|back| back.to == id);
    let products = steps.iter().filter(|step| step.made() == step.node);
    let products: BTreeSet<NodeId> = products.map(|step| step.node).collect();
    let scaled_before = |step: &Step| {
        let product = *network.node(step.node).inputs.first()?;
        let node = network.node(product);
        let [one, two] = node.inputs[..] else {
            return None;
        };
        let is_scale = |id: NodeId| network.node(id).shape == Shape::vector(node.shape.c);
        let (map, scale) = match is_scale(one) {
            true => (two, one),
            false => (one, two),
        };
        let fits = matches!(node.op, Op::Mul)
            && is_scale(scale)
            && network.node(map).shape == node.shape
            && reached[map.0]
            && reached[scale.0];
        let alone = products.contains(&product) && network.only_reader(product).is_some();
        let possible = fits && alone && !is_asked(product) && step.norm.is_none();
        (possible && reads_otherwise(network, step) && takes.scale(step.node)).then_some(Scaled {
            product,
            map,
            scale,
        })
    };
    joined(steps, |step| {
        step.scaled = scaled_before(step);
        step.scaled.map(|scaled| scaled.product)
    })
}

/// Whether a step is a convolution that ends as those do that change what they read.
fn reads_otherwise(network: &Network, step: &Step) -> bool {
    let ends = match step.activation.map(|id| &network.node(id).op) {
        None => true,
        Some(Op::Activate(end)) => matches!(end, Activation::Relu | Activation::Clip { .. }),
        Some(_) => false,
    };
    let is_convolution = matches!(network.node(step.node).op, Op::Conv2d { .. });
    is_convolution && ends && step.pool.is_none()
}

/// The steps after each has taken what it takes with it, which then is no step of its own.
fn joined(mut steps: Vec<Step>, take: impl Fn(&mut Step) -> Option<NodeId>) -> Vec<Step> {
    let taken: BTreeSet<NodeId> = steps.iter_mut().filter_map(take).collect();
    steps.retain(|step| !taken.contains(&step.node));
    steps
}

/// On the backward pass, the rule by which gradients pass through `input`, a ReLU or a clip, and the bounds between which its values
/// let them, if the kernel that makes the gradient there applies this mask, so that what it makes is the gradient before `input`:
/// where nobody asks for the one after it, and what it makes is `whole`, with what comes back from other readers, or there are none.
pub(super) fn mask_taken(
    network: &Network,
    input: NodeId,
    back: &BackwardRequest,
    whole: bool,
) -> Option<(ReluRule, [f32; 2])> {
    let Op::Activate(activation) = &network.node(input).op else {
        return None;
    };
    let bounds = match *activation {
        Activation::Relu => [0.0, f32::INFINITY],
        Activation::Clip { low, high } => [low, high],
        _ => return None,
    };
    let is_asked = input == back.to || back.keep.contains(&input);
    let is_whole = whole || network.only_reader(input).is_some();
    (is_whole && !is_asked).then_some((activation.rule(back.rule), bounds))
}

#[cfg(test)]
mod tests;
