//! Which nodes go together in a kernel: passes over the graph that group its nodes into steps, from what is asked alone. Nothing
//! else decides on fusion.

use std::collections::{BTreeMap, BTreeSet};

use super::{BackwardRequest, ForwardRequest};
use crate::network::{Activation, Network, NodeId, Op, Remembers, Shape, Window};

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

/// Layers that end with a bias, sums and products take the ReLU after them; a ReLU after a layer without a bias has a kernel of
/// its own: rare, and one epilogue fewer. Some convolutions take other activations, where no way back reads what goes into these.
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
            Op::Add | Op::Mul | Op::Affine { .. } => true,
            _ => false,
        };
        let reader = network.only_reader(step.summed()).filter(|_| ends)?;
        let Op::Activate(activation) = &network.node(reader).op else {
            return None;
        };
        let remembered =
            activation.remembers() == Remembers::Input && passes_through(network, request, reader);
        let alone = matches!(op, Op::Conv2d { .. }) && step.sum.is_none() && !remembered;
        let is_taken = matches!(activation, Activation::Relu)
            || alone && takes.activation(step.node, activation);
        (is_taken && !request.keep.contains(&step.summed())).then_some(reader)
    };
    joined(steps, |step| {
        step.activation = activation_after(step);
        step.activation
    })
}

/// Whether a way back leads through a node.
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

/// Convolutions take the scale and shift before them, with the ReLU between, where no way back reads what that has made and nobody
/// asks for it.
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

/// Convolutions take the product before them of a map and a value a channel, where nobody asks for it: a way back reads what goes
/// into a product, and not what comes out of it.
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

/// On the way back, whether the kernel that makes the gradient at `input` applies the mask of the ReLU that `input` is, so that
/// what it makes is the gradient before the ReLU: where nobody asks for the one after it, and what it makes is `whole`, with what
/// comes back from other readers, or there are none.
pub(super) fn takes_mask(
    network: &Network,
    input: NodeId,
    back: &BackwardRequest,
    whole: bool,
) -> bool {
    let is_relu = matches!(network.node(input).op, Op::Activate(Activation::Relu));
    let is_asked = input == back.to || back.keep.contains(&input);
    is_relu && !is_asked && (whole || network.only_reader(input).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::FilterLayout;
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

    /// Kernels that take all there is, or pools as told.
    struct All {
        pools: bool,
    }

    impl Takes for All {
        fn sum(&self, _: NodeId) -> bool {
            true
        }

        fn activation(&self, _: NodeId, _: &Activation) -> bool {
            true
        }

        fn pool(&self, _: NodeId) -> bool {
            self.pools
        }

        fn norm(&self, _: NodeId) -> bool {
            true
        }

        fn scale(&self, _: NodeId) -> bool {
            true
        }
    }

    fn made_of(network: &Network, request: &ForwardRequest, takes: &impl Takes) -> Vec<usize> {
        let steps = steps(network, request, takes);
        steps.iter().map(|step| step.made().0).collect()
    }

    /// The values that the steps make, by the nodes' numbers.
    fn made(request: &ForwardRequest, pools: bool) -> Vec<usize> {
        made_of(&network(), request, &All { pools })
    }

    /// A convolution of four channels by one tap.
    fn pointwise() -> Op {
        Op::Conv2d {
            weight: Tensor::repeated(vec![4, 4, 1, 1], 0.0),
            bias: Some(Tensor::repeated(vec![4], 0.0)),
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        }
    }

    /// A bottleneck of one convolution, another around it that comes later, their sum, a ReLU; a SiLU after a third.
    fn residual() -> Network {
        let mut network = Network::new("residual", Shape::new(4, 8, 8));
        let stem = network.chain("stem", pointwise()).unwrap();
        let conv = network.chain("conv", pointwise()).unwrap();
        let around = network.push("around", pointwise(), vec![stem]).unwrap();
        network.push("sum", Op::Add, vec![conv, around]).unwrap();
        network.chain("relu", Op::RELU).unwrap();
        network.chain("last", pointwise()).unwrap();
        let silu = Op::Activate(Activation::Silu);
        network.chain("silu", silu).unwrap();
        network
    }

    /// A way back to a node, with what it keeps.
    fn back(to: usize, keep: Vec<NodeId>) -> BackwardRequest {
        BackwardRequest {
            to: NodeId(to),
            keep,
            classes: 1,
            rule: crate::network::ReluRule::Plain,
            means: crate::plan::Means::Never,
        }
    }

    fn keeping(keep: &[usize]) -> ForwardRequest {
        ForwardRequest {
            keep: keep.iter().map(|&id| NodeId(id)).collect(),
            ..ForwardRequest::default()
        }
    }

    fn going(back: BackwardRequest) -> ForwardRequest {
        ForwardRequest {
            backs: vec![back],
            ..ForwardRequest::default()
        }
    }

    #[test]
    fn the_later_operand_takes_the_sum_and_a_silu_stays_where_a_way_back_reads_what_goes_into_it() {
        let network = residual();
        let request = ForwardRequest::default();
        let all = All { pools: true };
        assert_eq!(made_of(&network, &request, &all), [1, 2, 5, 7]);
        assert_eq!(
            made_of(&network, &request, &TakesNothing),
            [1, 2, 3, 5, 6, 7]
        );
        let steps = steps(&network, &request, &all);
        let of_sum = steps[2];
        assert_eq!((of_sum.node.0, of_sum.sum.unwrap().other.0), (3, 2));
        let back = |to| going(back(to, vec![]));
        assert_eq!(made_of(&network, &back(0), &all), [1, 2, 5, 6, 7]);
        assert_eq!(made_of(&network, &back(7), &all), [1, 2, 5, 7]);
        // What goes around the beginning of a pass is the picture's, one for all images.
        let from_conv = ForwardRequest {
            from: NodeId(2),
            ..ForwardRequest::default()
        };
        assert_eq!(made_of(&network, &from_conv, &all), [5, 7]);
        let from_around = ForwardRequest {
            from: NodeId(3),
            ..ForwardRequest::default()
        };
        assert_eq!(made_of(&network, &from_around, &all), [5, 7]);
    }

    #[test]
    fn a_convolution_takes_the_norm_before_it_where_no_way_back_reads_what_that_makes() {
        let mut network = Network::new("norms", Shape::new(4, 8, 8));
        let norm = |network: &mut Network, name: &str| {
            let scale = Tensor::repeated(vec![4], 1.0);
            let shift = scale.clone();
            network.chain(name, Op::Affine { scale, shift }).unwrap();
            network.chain(format!("{name} relu"), Op::RELU).unwrap()
        };
        norm(&mut network, "one");
        network.chain("conv one", pointwise()).unwrap();
        let read_twice = norm(&mut network, "two");
        let conv = network.chain("conv two", pointwise()).unwrap();
        let both = vec![read_twice, conv];
        network.push("both", Op::Add, both).unwrap();
        let all = All { pools: true };
        let of = |request: &ForwardRequest| made_of(&network, request, &all);
        let request = ForwardRequest::default();
        assert_eq!(of(&request), [3, 5, 7]);
        let steps = steps(&network, &request, &all);
        assert_eq!(steps[0].norm, Some(NodeId(1)));
        assert_eq!(steps[0].reads(&network), [NodeId(0)]);
        assert_eq!(made_of(&network, &request, &TakesNothing), [2, 3, 5, 6, 7]);
        for kept in [1, 2] {
            assert!(of(&keeping(&[kept])).contains(&2));
        }
        let back = |to| going(back(to, vec![]));
        for to in 0..3 {
            assert!(of(&back(to)).contains(&2), "{to}");
        }
        assert_eq!(of(&back(3)), [3, 5, 7]);
    }

    #[test]
    fn a_convolution_takes_the_product_with_a_value_a_channel_before_it_unless_it_is_asked_for() {
        let mut network = Network::new("gated", Shape::new(4, 8, 8));
        let picture = network.output();
        let mean = network.push("mean", Op::GlobalMean, vec![picture]).unwrap();
        let operands = vec![mean, picture];
        network.push("product", Op::Mul, operands).unwrap();
        let conv = network.chain("conv", pointwise()).unwrap();
        // Two maps, and a product that another node reads too.
        network.push("maps", Op::Mul, vec![picture, conv]).unwrap();
        network.chain("of maps", pointwise()).unwrap();
        let again = network.push("again", Op::Mul, vec![conv, mean]).unwrap();
        let last = network.chain("last", pointwise()).unwrap();
        network.push("both", Op::Add, vec![again, last]).unwrap();
        let all = All { pools: true };
        let of = |request: &ForwardRequest| made_of(&network, request, &all);
        let request = ForwardRequest::default();
        assert_eq!(of(&request), [1, 3, 4, 5, 6, 8]);
        let steps = steps(&network, &request, &all);
        assert_eq!(steps[1].reads(&network), [picture, mean]);
        assert!(made_of(&network, &request, &TakesNothing).contains(&2));
        assert!(of(&keeping(&[2])).contains(&2));
        let back = |to| going(back(to, vec![]));
        for to in [0, 1, 3] {
            assert!(!of(&back(to)).contains(&2), "{to}");
        }
        assert!(of(&back(2)).contains(&2));
        // What goes around the beginning of a pass is the picture's, one for all images.
        let from_mean = ForwardRequest {
            from: NodeId(1),
            ..ForwardRequest::default()
        };
        assert_eq!(of(&from_mean)[..2], [2, 3]);
    }

    #[test]
    fn nodes_go_together_unless_what_is_between_them_is_asked_for() {
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
        assert_eq!(made(&going(back(0, vec![])), true), [3, 5]);
        assert_eq!(made(&going(back(2, vec![])), true), [2, 3, 5]);
        assert_eq!(made(&going(back(0, vec![NodeId(1)])), true), [2, 3, 5]);
        let takes = |back| takes_mask(&network(), NodeId(2), &back, false);
        assert!(takes(back(0, vec![])) && !takes(back(2, vec![])));
        assert!(!takes(back(0, vec![NodeId(2)])));
    }
}
