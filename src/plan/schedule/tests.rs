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

/// A backward pass to a node, with what it keeps.
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
    let takes = |back| mask_taken(&network(), NodeId(2), &back, false).is_some();
    assert!(takes(back(0, vec![])) && !takes(back(2, vec![])));
    assert!(!takes(back(0, vec![NodeId(2)])));
}
