//! What is computed together: the numbers are those of each node by itself.

use gradcam::low_level::gpu::Session;
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{MatrixLayout, Network, NodeId, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{BackwardRequest, ForwardRequest, Limits, Means, Plan, Request};

use crate::CLASSES;
use crate::check::check;
use crate::common::device::{GPU, assert_close, plain, random, there_and_back, tiled, to_input};
use crate::common::interpreter::{gradients, values};
use crate::draw::Draw;

/// Where every value and every gradient is asked for, each node is computed by itself.
#[test]
fn a_network_planned_without_fusion_gives_the_same_numbers() {
    let mut fewer = 0;
    for seed in 0..8 {
        let network = Draw::new(1000 + seed).network();
        let limits = match seed % 3 {
            0 => plain(),
            1 => Limits {
                family: tiled(0),
                ..GPU.limits()
            },
            _ => GPU.limits(),
        };
        let output = network.output();
        let all = (1..output.0).map(NodeId);
        let all: Vec<NodeId> = all
            .filter(|&id| network.descendants(id)[output.0])
            .collect();
        let back = |keep: &[NodeId]| BackwardRequest {
            to: NodeId(0),
            keep: keep.to_vec(),
            classes: 1,
            rule: ReluRule::Plain,
            means: Means::Never,
        };
        let asked = |keep: &[NodeId]| {
            Request::of(ForwardRequest {
                keep: keep.to_vec(),
                backs: vec![back(keep)],
                ..ForwardRequest::default()
            })
        };
        let plan = Plan::new(&network, &asked(&all), limits).unwrap();
        let fused = Plan::new(&network, &asked(&[]), limits).unwrap();
        let count = |plan: &Plan| plan.phases().map(<[_]>::len).sum::<usize>();
        // Of a layer without a bias nothing is taken, and some graphs have no other.
        assert!(count(&fused) <= count(&plan), "seed {seed}");
        fewer += usize::from(count(&fused) < count(&plan));
        let (x, dy) = (
            random(seed + 1, network.input_shape().len()),
            random(seed + 2, CLASSES),
        );
        let expected = values(&network, &x, None);
        let of_gradients = gradients(&network, &expected, &dy, ReluRule::Plain);
        let what = |part: &str, id: NodeId| {
            let name = &network.node(id).name;
            format!("seed {seed}, {:?}: {part} of {name}", limits.family)
        };
        for plan in [plan, fused] {
            let session = Session::new(&GPU, plan).unwrap();
            session.poison().unwrap();
            session.forward(0, &x, network.input_shape()).unwrap();
            let pass = session.plan().picture();
            let check = |buffer, id: NodeId, part: &str, expected: &[f32]| {
                let shape = network.node(id).shape;
                let found = session.read(buffer, 1, shape).unwrap();
                assert_close(&what(part, id), &found, expected, shape, 1e-4);
            };
            check(pass.logits, output, "the value", &expected[output.0]);
            let classes = Shape::vector(CLASSES);
            session.backward([0, 0], &dy, classes).unwrap();
            let back = &pass.backs[0];
            check(back.gradient, NodeId(0), "the gradient", &of_gradients[0]);
            for (&buffer, &id) in pass.kept.iter().zip(&all) {
                check(buffer, id, "the value", &expected[id.0]);
            }
            for (&buffer, &id) in back.kept.iter().zip(&all) {
                check(buffer, id, "the gradient", &of_gradients[id.0]);
            }
        }
    }
    assert!(fewer > 4, "{fewer} of 8");
}

/// A dense block, whose concatenations are written in place for one image and copied for several, each operand named or the last
/// concatenation as the first.
#[test]
fn concatenations_of_concatenations_give_the_values_and_gradients_of_their_twins() {
    for (nested, growth) in [(false, 4), (true, 4), (false, 6), (true, 8)] {
        let mut draw = Draw::new(3000);
        let input = Shape::new(3, 8, 8);
        let mut network = Network::new("dense", input);
        let one = Window::square(1, 1, 0);
        let stem = draw.convolution(input, 8, one, 1);
        let stem = network.chain("stem", stem).unwrap();
        let mut features = vec![stem];
        for i in 0..3 {
            let shape = network.node(network.output()).shape;
            let affine = Op::Affine {
                scale: draw.tensor(&[shape.c], 1.0),
                shift: draw.tensor(&[shape.c], 0.5),
            };
            network.chain(format!("norm{i}"), affine).unwrap();
            network.chain(format!("relu{i}"), Op::RELU).unwrap();
            let neck = draw.convolution(shape, 8, one, 1);
            network.chain(format!("neck{i}"), neck).unwrap();
            let window = Window::square(3, 1, 1);
            let grown = draw.convolution(Shape::new(8, 8, 8), growth, window, 1);
            features.push(network.chain(format!("grown{i}"), grown).unwrap());
            let concat = network.push(format!("concat{i}"), Op::Concat, features.clone());
            if nested {
                features = vec![concat.unwrap()];
            }
        }
        let channels = network.node(network.output()).shape.c;
        network.chain("mean", Op::GlobalMean).unwrap();
        let head = Op::Linear {
            weight: draw.tensor(&[CLASSES, channels], 1.0),
            bias: None,
            layout: MatrixLayout::OutIn,
        };
        network.chain("head", head).unwrap();
        let in_place = Plan::new(&network, &Request::default(), GPU.limits()).unwrap();
        let copies = in_place.picture().dispatches.iter();
        let copies = copies.filter(|call| call.kernel == Kernel::CopyChannels);
        // What is grown by six begins where no adapter binds, or has a block with its neighbour.
        assert_eq!(copies.count(), if growth == 6 { 5 } else { 0 });
        // What comes back from a concatenation is added to what came from the longer ones in one sum, and cut up once. The
        // stem has another reader.
        let way_back = there_and_back(to_input(1, ReluRule::Plain));
        let plan = Plan::new(&network, &way_back, GPU.limits()).unwrap();
        let back = || plan.picture().backs[0].dispatches.iter();
        let count = |kernels: &[Kernel]| {
            let of_them = back().filter(|call| kernels.contains(&call.kernel));
            of_them.count()
        };
        let sums = count(&[Kernel::Combine, Kernel::CombineEach]);
        let copies = count(&[Kernel::CopyChannels]);
        if growth != 6 {
            assert_eq!([sums, copies], [3, 0], "nested: {nested}");
        }
        for limits in [GPU.limits(), plain()] {
            check(limits, &network, growth as u32);
        }
    }
}

/// Concatenations that begin alike, the shorter before the longer and after it, in another order, of one input twice, and of no whole
/// blocks, whose inputs others read too.
#[test]
fn gradients_of_concatenations_that_share_inputs_are_their_twins() {
    for channels in [[4, 8, 4], [4, 3, 5], [2, 2, 4]] {
        let mut draw = Draw::new(3100);
        let input = Shape::new(3, 8, 8);
        let mut network = Network::new("shared", input);
        let one = Window::square(1, 1, 0);
        let stem = draw.convolution(input, 8, one, 1);
        let stem = network.chain("stem", stem).unwrap();
        let shape = network.node(stem).shape;
        let parts = [0, 1, 2].map(|at| {
            let part = draw.convolution(shape, channels[at], one, 1);
            network.push(format!("part{at}"), part, vec![stem]).unwrap()
        });
        let [a, b, c] = parts;
        let mut read = vec![b];
        for (at, inputs) in [
            vec![a, b],
            vec![a, b, c],
            vec![a, b],
            vec![b, a],
            vec![c, c],
            vec![a, b, c, a],
        ]
        .into_iter()
        .enumerate()
        {
            let concat = network.push(format!("concat{at}"), Op::Concat, inputs);
            read.push(concat.unwrap());
        }
        let mut sum = None;
        for (at, from) in read.into_iter().enumerate() {
            let layer = draw.convolution(network.node(from).shape, 4, one, 1);
            let layer = network
                .push(format!("layer{at}"), layer, vec![from])
                .unwrap();
            sum = Some(match sum {
                None => layer,
                Some(sum) => network
                    .push(format!("sum{at}"), Op::Add, vec![sum, layer])
                    .unwrap(),
            });
        }
        network.chain("mean", Op::GlobalMean).unwrap();
        let head = Op::Linear {
            weight: draw.tensor(&[CLASSES, 4], 1.0),
            bias: None,
            layout: MatrixLayout::OutIn,
        };
        network.chain("head", head).unwrap();
        for limits in [GPU.limits(), plain()] {
            check(limits, &network, channels[0] as u32);
        }
    }
}
