//! Images that layers of the software adapter read through.

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{FilterLayout, Network, NodeId, Op, Shape, Window};
use gradcam::low_level::plan::{
    BufferId, Dispatch, ForwardRequest, KernelFamily, Limits, Plan, Request, Subgroup,
};
use gradcam::weights::Tensor;

use super::{MIB, adapter};

/// Where a convolution has x, and where what it adds.
const X: usize = 0;
const ADDED: usize = 5;

/// A convolution of one tap with a bias and a ReLU after it.
fn layer(network: &mut Network, name: &str, from: NodeId, [outputs, inputs]: [usize; 2]) -> NodeId {
    let op = Op::Conv2d {
        weight: Tensor::repeated(vec![outputs, inputs, 1, 1], 0.0),
        bias: Some(Tensor::repeated(vec![outputs], 0.0)),
        layout: FilterLayout::Oihw,
        window: Window::square(1, 1, 0),
        groups: 1,
    };
    network.push(name, op, vec![from]).unwrap()
}

fn relu(network: &mut Network, name: &str, from: NodeId) -> NodeId {
    network.push(name, Op::RELU, vec![from]).unwrap()
}

/// A stem, a block with a convolution beside it and one with nothing beside it.
fn two_blocks() -> Network {
    let mut network = Network::new("blocks", Shape::new(16, 28, 28));
    let stem = layer(&mut network, "stem", NodeId(0), [32, 16]);
    let stem = relu(&mut network, "stem relu", stem);
    let block = |network: &mut Network, name: &str, from: NodeId, inputs: usize| {
        let narrow = layer(network, &format!("{name} narrow"), from, [16, inputs]);
        let narrow = relu(network, &format!("{name} relu"), narrow);
        let wide = layer(network, &format!("{name} wide"), narrow, [64, 16]);
        let beside = match inputs {
            64 => from,
            _ => layer(network, &format!("{name} beside"), from, [64, inputs]),
        };
        let sum = network.push(format!("{name} sum"), Op::Add, vec![wide, beside]);
        relu(network, &format!("{name} end"), sum.unwrap())
    };
    let first = block(&mut network, "first", stem, 32);
    block(&mut network, "second", first, 64);
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

fn plan() -> Plan {
    let limits = Limits {
        family: KernelFamily::Subgroup(Subgroup::new(8, 16_384)),
        ..adapter(128 * MIB)
    };
    let request = Request::of(ForwardRequest::default());
    Plan::new(&two_blocks(), &request, limits).unwrap()
}

fn dispatch<'a>(plan: &'a Plan, label: &str) -> &'a Dispatch {
    let mut dispatches = plan.picture().dispatches.iter();
    dispatches.find(|dispatch| dispatch.label == label).unwrap()
}

/// The values that are copied for a layer, by their names.
fn copied<'a>(plan: &'a Plan, label: &str) -> Vec<&'a str> {
    let copies = dispatch(plan, label).copies.iter();
    copies
        .map(|copy| plan.buffer(copy.from).name.as_str())
        .collect()
}

fn bound(plan: &Plan, label: &str, at: usize) -> BufferId {
    dispatch(plan, label).buffers[at]
}

#[test]
fn what_several_layers_read_is_copied_to_an_image_once() {
    let plan = plan();
    // The stem's value is read by two convolutions, that of the first block by one and by the sum at the end of the second.
    assert_eq!(copied(&plan, "first narrow"), ["stem"]);
    assert_eq!(copied(&plan, "first wide"), ["first narrow"]);
    assert_eq!(copied(&plan, "first beside"), ["first wide"]);
    assert_eq!(copied(&plan, "second narrow"), ["first beside"]);
    assert_eq!(copied(&plan, "second wide"), ["second narrow"]);
    let same = |[one, at]: [&str; 2], [x, added]: [usize; 2]| {
        assert_eq!(bound(&plan, one, x), bound(&plan, at, added));
    };
    same(["first narrow", "first beside"], [X, X]);
    same(["second narrow", "second wide"], [X, ADDED]);
}

#[test]
fn a_layer_has_what_it_adds_in_another_image_than_what_it_reads() {
    let plan = plan();
    for label in ["first beside", "second wide"] {
        assert!(matches!(
            dispatch(&plan, label).kernel,
            Kernel::Conv2dSubgroupAdded | Kernel::Conv2dSubgroupAddedWide
        ));
        let [x, added] = [X, ADDED].map(|at| bound(&plan, label, at));
        assert_ne!(x, added, "{label}");
    }
}
