//! Passes there and back: several classes, several pictures, and gradients kept on the way.

use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{
    FilterLayout, FlattenOrder, MatrixLayout, Network, NodeId, Op, ReluRule, Shape, Window,
};
use gradcam::low_level::plan::{BackwardRequest, ForwardRequest, Means, Plan, Request};
use gradcam::weights::Tensor;

use crate::common::device::{
    GPU, assert_close, backward, backward_within, each_convolution, random, to_input,
};
use crate::small::{fixture, numbers};

/// The classes of one backward pass do not touch each other, whatever their number.
#[test]
fn several_classes_at_once_give_what_each_gives_alone() {
    let (network, fixture) = fixture("head");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    let x = &input[..shape.len()];
    let classes = 6;
    let seeds = random(70, classes * network.classes());
    let (_, together) = backward(&network, to_input(classes, ReluRule::Guided), x, &seeds);
    for (seed, expected) in seeds
        .chunks_exact(network.classes())
        .zip(together.chunks_exact(shape.len()))
    {
        let (_, alone) = backward(&network, to_input(1, ReluRule::Guided), x, seed);
        assert_close("alone", &alone, expected, shape, 1e-6);
    }
}

/// A pass that keeps gradients on its way, those at ReLUs and at what is before them, gives the same there as passes that
/// end there, and the same at its end.
#[test]
fn gradients_kept_on_the_way_are_those_of_passes_that_end_there() {
    for name in ["plain", "head"] {
        let (network, fixture) = fixture(name);
        let shape = network.input_shape();
        let (_, input) = numbers(&fixture["input"]);
        let logits = Shape::vector(network.classes());
        let seeds = random(75, 2 * logits.c);
        let on_the_way: Vec<NodeId> = (1..network.output().0).map(NodeId).collect();
        let pass = |to, keep| BackwardRequest {
            to,
            keep,
            classes: 2,
            rule: ReluRule::Plain,
            means: Means::Never,
        };
        let mut backward = vec![pass(NodeId(0), on_the_way.clone()), pass(NodeId(0), vec![])];
        backward.extend(on_the_way.iter().map(|&to| pass(to, vec![])));
        let request = Request::of(ForwardRequest {
            keep: vec![],
            backs: backward,
            ..ForwardRequest::default()
        });
        let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.forward(0, &input[..shape.len()], shape).unwrap();
        let phases = &session.plan().picture().backs;
        let read = |buffer, at| session.read(buffer, 2, network.node(at).shape).unwrap();
        session.backward([0, 0], &seeds, logits).unwrap();
        let whole = read(phases[0].gradient, NodeId(0));
        let kept: Vec<Vec<f32>> = phases[0]
            .kept
            .iter()
            .zip(&on_the_way)
            .map(|(&buffer, &at)| read(buffer, at))
            .collect();
        session.backward([0, 1], &seeds, logits).unwrap();
        assert_eq!(whole, read(phases[1].gradient, NodeId(0)), "{name}");
        for ((phase, &at), kept) in (2..).zip(&on_the_way).zip(kept) {
            session.backward([0, phase], &seeds, logits).unwrap();
            assert_eq!(kept, read(phases[phase].gradient, at), "{name}, {at:?}");
        }
    }
}

/// A pass may run again for other classes; what it needs from the forward pass must still be there.
#[test]
fn a_backward_pass_can_run_again() {
    let (network, fixture) = fixture("plain");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    let target = network.target(None).unwrap();
    let cam = BackwardRequest {
        to: target,
        keep: vec![],
        classes: 1,
        rule: ReluRule::Plain,
        means: Means::Never,
    };
    let request = Request::of(ForwardRequest {
        keep: vec![target],
        backs: vec![cam, to_input(1, ReluRule::Guided)],
        ..ForwardRequest::default()
    });
    let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, &input[..shape.len()], shape).unwrap();
    let read = |phase: usize, to: NodeId| {
        let gradient = session.plan().picture().backs[phase].gradient;
        session.read(gradient, 1, network.node(to).shape).unwrap()
    };
    let classes = Shape::vector(network.classes());
    let seeds: Vec<Vec<f32>> = (0..2).map(|i| random(80 + i, classes.c)).collect();
    let mut first = vec![];
    for round in 0..2 {
        for (phase, to) in [(0, target), (1, NodeId(0))] {
            for (i, seed) in seeds.iter().enumerate() {
                session.backward([0, phase], seed, classes).unwrap();
                let gradient = read(phase, to);
                if round == 0 {
                    first.push(gradient);
                } else {
                    assert_eq!(gradient, first[phase * 2 + i], "phase {phase}, seed {i}");
                }
            }
        }
        // The next picture; then the first one again.
        session.forward(0, &input[shape.len()..], shape).unwrap();
        session.forward(0, &input[..shape.len()], shape).unwrap();
    }
}

/// What reads a picture's activations on the backward pass: masks within layers and by themselves, and maxima.
fn masks_of_every_kind() -> Network {
    let drawn = |seed, shape: &[usize]| {
        Tensor::from_f32(shape.to_vec(), &random(seed, shape.iter().product()))
    };
    let convolution = |seed, outputs, inputs, size, bias: bool| Op::Conv2d {
        weight: drawn(seed, &[outputs, inputs, size, size]),
        bias: bias.then(|| drawn(seed + 1, &[outputs])),
        layout: FilterLayout::Oihw,
        window: Window::square(size, 1, size / 2),
        groups: 1,
    };
    let linear = |seed, outputs, inputs, layout| Op::Linear {
        weight: match layout {
            MatrixLayout::OutIn => drawn(seed, &[outputs, inputs]),
            MatrixLayout::InOut => drawn(seed, &[inputs, outputs]),
        },
        bias: Some(drawn(seed + 1, &[outputs])),
        layout,
    };
    let mut network = Network::new("masks", Shape::new(3, 18, 15));
    let mut chain = |name: &str, op| network.chain(name, op).map(drop).unwrap();
    chain("conv1", convolution(81, 6, 3, 3, true));
    chain("relu1", Op::RELU);
    chain("conv2", convolution(83, 5, 6, 3, true));
    chain("relu2", Op::RELU);
    chain("pool2", Op::MaxPool(Window::square(2, 2, 0)));
    chain("conv3", convolution(85, 7, 5, 5, true));
    chain("clip3", Op::clip(-2.0, 2.0));
    chain("pool3", Op::MaxPool(Window::square(3, 2, 0)));
    chain("conv4", convolution(87, 8, 7, 3, false));
    chain("relu4", Op::RELU);
    chain("flatten", Op::Flatten(FlattenOrder::Chw));
    chain("linear5", linear(89, 9, 96, MatrixLayout::OutIn));
    chain("relu5", Op::RELU);
    chain("linear6", linear(91, 7, 9, MatrixLayout::InOut));
    chain("relu6", Op::RELU);
    chain("linear7", linear(93, 4, 7, MatrixLayout::OutIn));
    network
}

#[test]
fn pictures_that_go_there_and_back_together_have_the_gradients_that_each_has_alone() {
    let network = masks_of_every_kind();
    let (shape, logits) = (network.input_shape(), Shape::vector(network.classes()));
    let (images, classes) = (3, 2);
    let pictures = random(95, images * shape.len());
    let seeds = random(96, images * classes * logits.c);
    let here = random(97, shape.len());
    for limits in each_convolution() {
        let rules = match limits == GPU.limits() {
            true => &[ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv][..],
            false => &[ReluRule::Guided],
        };
        for &rule in rules {
            let back = to_input(classes, rule);
            let pass = |images| ForwardRequest {
                images,
                backs: vec![back.clone()],
                ..ForwardRequest::default()
            };
            let request = Request {
                passes: vec![pass(1), pass(images)],
                ..Request::default()
            };
            let session = Session::new(&GPU, Plan::new(&network, &request, limits).unwrap());
            let session = session.unwrap();
            session.poison().unwrap();
            session.forward(0, &here, shape).unwrap();
            let walk = &session.plan().passes[1];
            let of = |i: usize| classes * logits.c * i..classes * logits.c * (i + 1);
            let alone = pictures.chunks_exact(shape.len()).enumerate();
            let alone: Vec<_> = alone
                .map(|(i, picture)| {
                    backward_within(limits, &network, back.clone(), picture, &seeds[of(i)])
                })
                .collect();
            // Fewer than there is room for, then all.
            for count in [images - 1, images] {
                let some = &pictures[..count * shape.len()];
                session.forward(1, some, shape).unwrap();
                let there = session.read(walk.logits, images, logits).unwrap();
                session.backward([1, 0], &seeds, logits).unwrap();
                let gradient = walk.backs[0].gradient;
                let gradients = session.read(gradient, images * classes, shape).unwrap();
                let row = classes * shape.len();
                for (i, (y, dx)) in alone.iter().take(count).enumerate() {
                    let what = format!("{:?}, {rule:?}, {i} of {count}", limits.family);
                    assert_close(&what, &there[i * logits.c..][..logits.c], y, logits, 1e-5);
                    let all = Shape::new(classes * shape.c, shape.h, shape.w);
                    assert_close(&what, &gradients[i * row..][..row], dx, all, 1e-5);
                }
            }
            // The picture's own pass is still there.
            let seeds = &seeds[of(0)];
            session.backward([0, 0], seeds, logits).unwrap();
            let own = session.plan().picture().backs[0].gradient;
            let own = session.read(own, classes, shape).unwrap();
            let (_, alone) = backward_within(limits, &network, back, &here, seeds);
            let all = Shape::new(classes * shape.c, shape.h, shape.w);
            assert_close("the picture's own", &own, &alone, all, 1e-5);
        }
    }
}
