//! Parts of a network for many values at once, beside the same one at a time.

mod common {
    pub(crate) mod device;
}

use common::device::{
    GPU, assert_close, backward_within, each_convolution, forward_within, random, to_input,
};
use gradcam::gpu::Session;
use gradcam::network::{FilterLayout, MatrixLayout, Network, NodeId, Op, Shape, Window};
use gradcam::plan::{Plan, ReluRule, Request, RerunRequest};
use gradcam::weights::Tensor;

const CLASSES: usize = 4;

/// Two convolutions, of which the second is as the fast kernels want it, a max-pool, a mean and a linear layer.
fn network() -> Network {
    let drawn = |seed, shape: &[usize]| {
        Tensor::from_f32(shape.to_vec(), &random(seed, shape.iter().product()))
    };
    let convolution = |seed, outputs, inputs| Op::Conv2d {
        weight: drawn(seed, &[outputs, inputs, 3, 3]),
        bias: Some(drawn(seed + 1, &[outputs])),
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let linear = Op::Linear {
        weight: drawn(5, &[CLASSES, 9]),
        bias: Some(drawn(6, &[CLASSES])),
        layout: MatrixLayout::OutIn,
    };
    let mut network = Network::new("small", Shape::new(3, 11, 9));
    network.chain("conv1", convolution(1, 6, 3)).unwrap();
    network.chain("relu1", Op::Relu).unwrap();
    network.chain("conv2", convolution(3, 9, 6)).unwrap();
    network.chain("relu2", Op::Relu).unwrap();
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
        let reruns = [(0, 5), (2, 3), (4, 70)].map(|(from, images)| RerunRequest {
            from: NodeId(from),
            images,
            times: 1,
        });
        let request = Request {
            images: 1,
            reruns: reruns.to_vec(),
            backward: vec![way_back],
            ..Request::default()
        };
        let plan = Plan::new(&network, &request, limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison();
        session.forward(&picture, shape).unwrap();
        for (phase, RerunRequest { from, images, .. }) in reruns.into_iter().enumerate() {
            let shape = network.node(from).shape;
            let rest = rest(&network, from);
            // The last batch of many is not full.
            for count in [images, images - 1] {
                let values = random(9 + phase as u32, count * shape.len());
                session.rerun(phase, &values, shape).unwrap();
                let read = session.plan().reruns[phase].logits;
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
        session.backward(0, &dy, logits).unwrap();
        let read = session.plan().backward[0].gradient;
        let after = session.read(read, 1, shape).unwrap();
        assert_eq!(after, gradient, "{:?}", limits.family);
    }
}
