//! Parts of a network for many values at once, beside the same one at a time.

use crate::common::device::{
    GPU, assert_close, backward_within, each_convolution, forward_within, random, to_input,
};
use crate::common::drawn;
use gradcam::low_level::architectures;
use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{
    FilterLayout, MatrixLayout, Network, NodeId, Op, ReluRule, Shape, Window,
};
use gradcam::low_level::plan::{ForwardRequest, KernelFamily, Limits, Plan, Request, lists};
use gradcam::weights::{self, Tensor};

const CLASSES: usize = 4;

/// Two convolutions, of which the second is as the fast kernels want it, a max-pool, a mean and a linear layer.
fn network() -> Network {
    let convolution = |seed, outputs, inputs| {
        drawn::convolution(seed, outputs, inputs, Window::square(3, 1, 1), 1)
    };
    let linear = Op::Linear {
        weight: drawn::tensor(5, &[CLASSES, 9]),
        bias: Some(drawn::tensor(6, &[CLASSES])),
        layout: MatrixLayout::OutIn,
    };
    let mut network = Network::new("small", Shape::new(3, 11, 9));
    network.chain("conv1", convolution(1, 6, 3)).unwrap();
    network.chain("relu1", Op::RELU).unwrap();
    network.chain("conv2", convolution(3, 9, 6)).unwrap();
    network.chain("relu2", Op::RELU).unwrap();
    network
        .chain("pool", Op::MaxPool(Window::square(2, 2, 0)))
        .unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network.chain("linear", linear).unwrap();
    network
}

/// `network` from its node `from` on.
fn rest(network: &Network, from: NodeId) -> Network {
    let mut rest = Network::new("rest", network.node(from).shape);
    for node in &network.nodes[from.0 + 1..] {
        rest.chain(node.name.clone(), node.op.clone()).unwrap();
    }
    rest
}

#[test]
fn logits_of_a_batch_are_those_of_each_value_alone_and_leave_the_gradients_as_they_were() {
    let network = network();
    let shape = network.input_shape();
    let logits = Shape::vector(CLASSES);
    let picture = random(7, shape.len());
    let dy = random(8, CLASSES);
    for limits in each_convolution() {
        let way_back = to_input(1, ReluRule::Plain);
        let (_, gradient) = backward_within(limits, &network, way_back.clone(), &picture, &dy);
        let first = ForwardRequest {
            backs: vec![way_back],
            ..ForwardRequest::default()
        };
        let reruns = [(0, 5), (2, 3), (4, 70)].map(|(from, images)| ForwardRequest {
            from: NodeId(from),
            images,
            ..ForwardRequest::default()
        });
        let request = Request {
            passes: [first].into_iter().chain(reruns).collect(),
            ..Request::default()
        };
        let plan = Plan::new(&network, &request, limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.forward(0, &picture, shape).unwrap();
        for (number, pass) in request.passes.iter().enumerate().skip(1) {
            let &ForwardRequest { from, images, .. } = pass;
            let shape = network.node(from).shape;
            let rest = rest(&network, from);
            // The last batch of many is not full.
            for count in [images, images - 1] {
                let values = random(8 + number as u32, count * shape.len());
                session.forward(number, &values, shape).unwrap();
                let read = session.plan().passes[number].logits;
                let together = session.read(read, images, logits).unwrap();
                for i in [0, 1, count - 1] {
                    let value = &values[i * shape.len()..][..shape.len()];
                    let alone = forward_within(limits, &rest, 1, value);
                    let together = &together[i * CLASSES..][..CLASSES];
                    let what = format!("{:?}, from {from:?}, {i}", limits.family);
                    assert_close(&what, together, &alone, logits, 1e-5);
                }
            }
        }
        session.backward([0, 0], &dy, logits).unwrap();
        let read = session.plan().picture().backs[0].gradient;
        let after = session.read(read, 1, shape).unwrap();
        assert_eq!(after, gradient, "{:?}", limits.family);
    }
}

/// Convolutions of so many outputs, and where there are none pools.
fn deep(input: Shape, outputs: &[usize]) -> Network {
    let mut network = Network::new("deep", input);
    let mut inputs = 3;
    for (i, &outputs) in outputs.iter().enumerate() {
        let i = i as u32;
        if outputs == 0 {
            network
                .chain(format!("pool{i}"), Op::MaxPool(Window::square(2, 2, 0)))
                .unwrap();
            continue;
        }
        let convolution = Op::Conv2d {
            weight: drawn::tensor(20 + i, &[outputs, inputs, 3, 3]),
            bias: Some(drawn::tensor(30 + i, &[outputs])),
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        };
        network.chain(format!("conv{i}"), convolution).unwrap();
        // Not after all of them, so that not all pools are taken into convolutions.
        if i != 4 {
            network.chain(format!("relu{i}"), Op::RELU).unwrap();
        }
        inputs = outputs;
    }
    let linear = Op::Linear {
        weight: Tensor::from_f32(vec![CLASSES, inputs], &random(40, CLASSES * inputs)),
        bias: None,
        layout: MatrixLayout::OutIn,
    };
    network.chain("mean", Op::GlobalMean).unwrap();
    network.chain("linear", linear).unwrap();
    network
}

#[test]
fn values_beside_their_base_have_the_logits_that_they_have_alone() {
    // Of sizes that are no whole tiles.
    beside_base(
        &deep(Shape::new(3, 43, 34), &[5, 8, 0, 4, 9, 0, 6]),
        &[NodeId(0), NodeId(3)],
        1,
        &each_convolution(),
    );
}

#[test]
fn values_beside_their_base_may_take_several_parts() {
    let network = deep(Shape::new(3, 37, 41), &[256, 256]);
    // Often enough for the wide product.
    let mut limits = each_convolution();
    limits.retain(|limits| matches!(limits.family, KernelFamily::Subgroup(_)));
    beside_base(&network, &[NodeId(0)], 9, &limits);
}

/// The pass beside that of a picture.
fn beside(pass: ForwardRequest) -> Request {
    Request {
        passes: vec![ForwardRequest::default(), pass],
        ..Request::default()
    }
}

fn beside_base(network: &Network, nodes: &[NodeId], times: usize, limits: &[Limits<'_>]) {
    let logits = Shape::vector(CLASSES);
    let mut in_tiles = 0;
    for &limits in limits {
        for &from in nodes {
            let shape = network.node(from).shape;
            let request = beside(ForwardRequest {
                from,
                images: 5,
                times,
                based: true,
                ..ForwardRequest::default()
            });
            let plan = Plan::new(network, &request, limits).unwrap();
            let session = Session::new(&GPU, plan).unwrap();
            session.poison().unwrap();
            let rest = rest(network, from);
            // The same, another place each, all of it and most of it, and fewer in the second batch.
            for (base, count) in [(random(50, shape.len()), 5), (vec![0.0; shape.len()], 3)] {
                let mut values = base.repeat(count);
                let mut change = |value: usize, row: usize, column: usize| {
                    values[value * shape.len() + row * shape.w + column] += 3.0;
                };
                change(1, 0, 0);
                change(2, shape.h - 1, shape.w - 1);
                change(2, shape.h / 2, 5);
                if count == 5 {
                    let last = 4 * shape.len();
                    values[3 * shape.len()..last].fill(0.5);
                    values[last + 7 * shape.w..last + shape.h * shape.w].fill(0.5);
                }
                session.base(1, &base, shape).unwrap();
                let rerun = &session.plan().passes[1];
                let layers = rerun.base.as_ref().map_or(&[][..], |base| &base.layers);
                in_tiles += layers.len();
                let lists = lists(network, from, layers, &base, &values);
                session
                    .forward_beside_base(1, &values, shape, &lists)
                    .unwrap();
                let together = session.read(rerun.logits, 5, logits).unwrap();
                for i in 0..count {
                    let value = &values[i * shape.len()..][..shape.len()];
                    let alone = forward_within(limits, &rest, 1, value);
                    let together = &together[i * CLASSES..][..CLASSES];
                    let what = format!("{:?}, from {from:?}, {i}", limits.family);
                    assert_close(&what, together, &alone, logits, 1e-5);
                }
            }
        }
    }
    let subgroups = matches!(GPU.limits().family, KernelFamily::Subgroup(_));
    assert!(in_tiles > 0 || !subgroups, "no layer computed listed tiles");
}

/// Large enough that lists of tiles end within a workgroup of a later part.
#[test]
fn the_built_in_network_gives_quarters_of_a_picture_the_logits_that_it_gives_without_a_base() {
    let network = architectures::recognise(&weights::builtin())
        .unwrap()
        .network;
    let shape = network.input_shape();
    let base: Vec<f32> = random(60, shape.len()).iter().map(|v| v * 100.0).collect();
    let mut values = base.repeat(4);
    for (quarter, value) in values.chunks_exact_mut(shape.len()).enumerate() {
        for (row, line) in value.chunks_exact_mut(shape.w).enumerate() {
            if row % shape.h * 2 / shape.h == quarter / 2 {
                line[quarter % 2 * shape.w / 2..][..shape.w / 2].fill(0.0);
            }
        }
    }
    let logits = [true, false].map(|based| {
        let request = beside(ForwardRequest {
            images: 4,
            based,
            ..ForwardRequest::default()
        });
        let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.base(1, &base, shape).unwrap();
        let rerun = &session.plan().passes[1];
        let layers = rerun.base.as_ref().map_or(&[][..], |base| &base.layers);
        let lists = lists(&network, NodeId(0), layers, &base, &values);
        session
            .forward_beside_base(1, &values, shape, &lists)
            .unwrap();
        let classes = Shape::vector(network.classes());
        session.read(rerun.logits, 4, classes).unwrap()
    });
    let [beside, alone] = &logits;
    let all = Shape::vector(alone.len());
    assert_close("quarters", beside, alone, all, 1e-5);
}
