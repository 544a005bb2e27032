//! Networks with branches, drawn at random: every value, gradient and rerun against an interpreter of CPU twins.

mod common {
    pub(crate) mod device;
    pub(crate) mod interpreter;
    pub(crate) mod twins;
}

use common::device::{
    GPU, assert_close, backward_within, each_convolution, forward_within, plain, random, tiled,
};
use common::interpreter::{gradients, values};
use gradcam::low_level::gpu::Session;
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{
    Activation, Filter, FilterLayout, Lrn, MatrixLayout, Nearest, Network, NodeId, Op, Pad, Places,
    ReluRule, Repeat, Resample, Resize, Shape, To, Window,
};
use gradcam::low_level::plan::{
    BackwardRequest, Costs, ForwardRequest, LayerShape, Limits, Means, Measured, Plan, Request,
    Times, Variant,
};
use gradcam::weights::Tensor;

const CLASSES: usize = 3;

/// Numbers drawn one after the other.
struct Draw {
    values: Vec<f32>,
    /// Whether maps change their size by resampling, and pools take means: neighbours that come of the same places lie so near one
    /// another that rounding would choose between them.
    resamples: bool,
    next: usize,
    seed: u32,
}

impl Draw {
    fn new(seed: u32) -> Self {
        Self {
            values: random(seed, 4096),
            resamples: false,
            next: 0,
            seed,
        }
    }

    /// 0 to `count`, the latter not.
    fn below(&mut self, count: usize) -> usize {
        let value = f64::from(self.values[self.next]) / 2.0 + 0.5;
        self.next += 1;
        ((value * count as f64) as usize).min(count - 1)
    }

    fn tensor(&mut self, shape: &[usize], scale: f32) -> Tensor {
        self.next += 1;
        let len = shape.iter().product();
        let seed = self.seed.wrapping_mul(977) + self.next as u32;
        let values: Vec<f32> = random(seed, len).iter().map(|v| v * scale).collect();
        Tensor::from_f32(shape.to_vec(), &values)
    }

    fn convolution(&mut self, from: Shape, outputs: usize, window: Window, groups: usize) -> Op {
        let [kh, kw] = window.size;
        let fan = (from.c / groups * kh * kw) as f32;
        let has_bias = self.below(4) > 0;
        Op::Conv2d {
            weight: self.tensor(&[outputs, from.c / groups, kh, kw], 1.7 / fan.sqrt()),
            bias: has_bias.then(|| self.tensor(&[outputs], 0.3)),
            layout: FilterLayout::Oihw,
            window,
            groups,
        }
    }

    fn activation(&mut self, channels: usize) -> Activation {
        match self.below(8) {
            0..=2 => Activation::Relu,
            3 => Activation::Clip {
                low: 0.0,
                high: 0.8,
            },
            4 => Activation::Silu,
            5 => Activation::HardSwish,
            6 => Activation::PRelu {
                slope: self.tensor(&[channels], 0.4),
            },
            _ => Activation::Gelu,
        }
    }

    /// Another size not far from the one there, or a repeated edge.
    fn resample(&mut self, shape: Shape) -> Resample {
        let to = [shape.h, shape.w].map(|length| (length + self.below(5)).saturating_sub(2).max(1));
        let filter = match self.below(3) {
            0 => Filter::Nearest(Nearest::RoundDown),
            1 => Filter::Linear,
            _ => Filter::Cubic(-0.75),
        };
        match self.below(3) {
            0 => Resample::Repeat {
                before: [1, 0],
                after: [0, 2],
                by: Repeat::Edge,
            },
            _ => Resample::Resize(Resize {
                to: To::Size(to),
                filter,
                places: Places::HalfPixel,
                antialias: false,
                edge: self.below(2) == 0,
            }),
        }
    }

    /// A step of a random network that reads `from`, and perhaps another node.
    fn step(&mut self, network: &Network, from: NodeId) -> (Op, Vec<NodeId>) {
        let shape = network.node(from).shape;
        let alike: Vec<NodeId> = (0..network.nodes.len())
            .map(NodeId)
            .filter(|&id| network.node(id).shape == shape)
            .collect();
        let beside: Vec<NodeId> = (0..network.nodes.len())
            .map(NodeId)
            .filter(|&id| {
                let other = network.node(id).shape;
                (other.h, other.w) == (shape.h, shape.w) && other.c + shape.c < 40
            })
            .collect();
        let other = alike[self.below(alike.len())];
        match self.below(12) {
            0 => {
                let outputs = 1 + self.below(9);
                let op = self.convolution(shape, outputs, Window::square(3, 1, 1), 1);
                (op, vec![from])
            }
            1 => {
                let outputs = 1 + self.below(9);
                let op = self.convolution(shape, outputs, Window::square(1, 1, 0), 1);
                (op, vec![from])
            }
            2 => {
                let op = self.convolution(shape, shape.c, Window::square(3, 1, 1), shape.c);
                (op, vec![from])
            }
            3 if shape.h > 4 && shape.w > 4 => {
                let window = Window::square(3, 2, 1);
                (self.convolution(shape, 6, window, 1), vec![from])
            }
            4 | 5 => (Op::Add, vec![from, other]),
            6 => (Op::Mul, vec![from, other]),
            7 if !beside.is_empty() => {
                let other = beside[self.below(beside.len())];
                (Op::Concat, vec![other, from])
            }
            8 if shape.h > 3 && shape.w > 3 && self.resamples => {
                let window = Window::square(2, 2, 0);
                let op = Op::AvgPool {
                    window,
                    count_include_pad: false,
                };
                (op, vec![from])
            }
            8 if shape.h > 3 && shape.w > 3 => (Op::MaxPool(Window::square(2, 2, 0)), vec![from]),
            9 if self.below(3) == 0 && shape.h * shape.w > 2 => {
                let groups = 1 + self.below(shape.c);
                let op = Op::GroupNorm {
                    groups: if shape.c.is_multiple_of(groups) {
                        groups
                    } else {
                        1
                    },
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                    epsilon: 0.1,
                };
                (op, vec![from])
            }
            9 if self.below(2) == 0 && shape.c > 2 => {
                let op = Op::LayerNorm {
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                    epsilon: 0.1,
                };
                (op, vec![from])
            }
            9 => {
                let op = Op::Affine {
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                };
                (op, vec![from])
            }
            10 => {
                let lrn = Lrn {
                    size: 3,
                    alpha: 0.3,
                    beta: 0.75,
                    bias: 1.0,
                };
                let pad = Pad {
                    before: [1, 0],
                    after: [0, -1],
                    value: 0.25,
                };
                let op = match self.below(2) {
                    _ if self.resamples => Op::Resample(self.resample(shape)),
                    0 if shape.w > 2 => Op::Pad(pad),
                    _ => Op::Lrn(lrn),
                };
                (op, vec![from])
            }
            _ => (Op::Activate(self.activation(shape.c)), vec![from]),
        }
    }

    /// Branches between a picture and three classes.
    fn network(&mut self) -> Network {
        let input = Shape::new(3, 7 + self.below(6), 6 + self.below(7));
        let mut network = Network::new("drawn", input);
        let stem = self.convolution(input, 6, Window::square(3, 1, 1), 1);
        network.chain("stem", stem).unwrap();
        network.chain("stem_act", Op::RELU).unwrap();
        let steps = 6 + self.below(8);
        for i in 0..steps {
            // Mostly the last node, at times an earlier one, which so has several readers.
            let back = if self.below(3) == 0 { self.below(4) } else { 0 };
            let from = network.output().0.saturating_sub(back).max(1);
            let (op, inputs) = self.step(&network, NodeId(from));
            network.push(format!("step{i}"), op, inputs).unwrap();
            if self.below(4) == 0 {
                self.gate(&mut network, i);
            }
        }
        let channels = network.node(network.output()).shape.c;
        network.chain("mean", Op::GlobalMean).unwrap();
        let head = Op::Linear {
            weight: self.tensor(&[CLASSES, channels], 1.0),
            bias: Some(self.tensor(&[CLASSES], 0.3)),
            layout: MatrixLayout::OutIn,
        };
        network.chain("head", head).unwrap();
        network
    }

    /// Squeeze and excite: the last node times a gate of its own means, which may be the first operand.
    fn gate(&mut self, network: &mut Network, i: usize) {
        let from = network.output();
        let channels = network.node(from).shape.c;
        let mean = network
            .push(format!("squeeze{i}"), Op::GlobalMean, vec![from])
            .unwrap();
        let one = Window::square(1, 1, 0);
        let excite = self.convolution(Shape::vector(channels), channels, one, 1);
        let excite = network
            .push(format!("excite{i}"), excite, vec![mean])
            .unwrap();
        let act = Op::Activate(Activation::Sigmoid);
        let gate = network.push(format!("gate{i}"), act, vec![excite]).unwrap();
        let op = if self.below(3) == 0 { Op::Add } else { Op::Mul };
        let inputs = match self.below(2) {
            0 => vec![from, gate],
            _ => vec![gate, from],
        };
        network.push(format!("gated{i}"), op, inputs).unwrap();
    }
}

/// A node in the middle whose value is a map and reaches the logits.
fn middle(network: &Network) -> NodeId {
    let output = network.output();
    let fits = |&id: &NodeId| {
        let node = network.node(id);
        node.shape.h * node.shape.w > 1 && network.descendants(id)[output.0]
    };
    let maps: Vec<NodeId> = (1..network.nodes.len()).map(NodeId).filter(fits).collect();
    maps[maps.len() / 2]
}

fn describe(network: &Network) -> String {
    let nodes = network.nodes.iter().map(|node| {
        let op = format!("{:?}", node.op);
        let op = op.split([' ', '{', '(']).next().unwrap().to_owned();
        let inputs: Vec<usize> = node.inputs.iter().map(|input| input.0).collect();
        format!("{}:{op}{inputs:?}{}", node.name, node.shape)
    });
    nodes.collect::<Vec<_>>().join(" ")
}

fn check(limits: Limits<'_>, network: &Network, seed: u32) {
    let what = |part: &str| {
        format!(
            "seed {seed}, {:?}: {part} of {}",
            limits.family,
            describe(network)
        )
    };
    let (input, classes) = (network.input_shape(), Shape::vector(CLASSES));
    let pictures = random(seed + 1, 2 * input.len());
    let each: Vec<Vec<Vec<f32>>> = pictures
        .chunks_exact(input.len())
        .map(|x| values(network, x, None))
        .collect();
    let logits: Vec<f32> = each
        .iter()
        .flat_map(|v| v.last().unwrap().clone())
        .collect();
    let actual = forward_within(limits, network, 2, &pictures);
    assert_close(&what("logits"), &actual, &logits, classes, 1e-4);

    let x = &pictures[..input.len()];
    let dy = random(seed + 2, 2 * CLASSES);
    let target = middle(network);
    let shape = network.node(target).shape;
    for rule in [ReluRule::Plain, ReluRule::Guided] {
        let expected: Vec<Vec<Vec<f32>>> = dy
            .chunks_exact(CLASSES)
            .map(|dy| gradients(network, &each[0], dy, rule))
            .collect();
        for (to, shape) in [(NodeId(0), input), (target, shape)] {
            let request = BackwardRequest {
                to,
                keep: vec![],
                classes: 2,
                rule,
                means: Means::Never,
            };
            let (_, dx) = backward_within(limits, network, request, x, &dy);
            let expected: Vec<f32> = expected.iter().flat_map(|g| g[to.0].clone()).collect();
            let part = format!("gradient at {to:?}, {rule:?}");
            assert_close(&what(&part), &dx, &expected, shape, 1e-4);
        }
    }
}

/// A rerun from the middle, whose other values are those of the picture, beside a walk, which must leave them.
fn check_reruns(limits: Limits<'_>, network: &Network, seed: u32) {
    let (input, classes) = (network.input_shape(), Shape::vector(CLASSES));
    let target = middle(network);
    let shape = network.node(target).shape;
    let x = random(seed + 1, input.len());
    let images = 3;
    let changed = random(seed + 3, images * shape.len());
    let back = BackwardRequest {
        to: NodeId(0),
        keep: vec![target],
        classes: 1,
        rule: ReluRule::Plain,
        means: Means::Never,
    };
    let picture = ForwardRequest {
        keep: vec![target],
        backs: vec![back.clone()],
        ..ForwardRequest::default()
    };
    let again = ForwardRequest {
        from: target,
        images,
        based: true,
        ..ForwardRequest::default()
    };
    let others = ForwardRequest {
        images: 2,
        backs: vec![back],
        ..ForwardRequest::default()
    };
    let request = Request {
        passes: vec![picture, again, others],
        ..Request::default()
    };
    let plan = Plan::new(network, &request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, &x, input).unwrap();
    let own = values(network, &x, None);
    let what = |part: &str| {
        format!(
            "seed {seed}, {:?}: {part} of {}",
            limits.family,
            describe(network)
        )
    };
    let expected: Vec<f32> = changed
        .chunks_exact(shape.len())
        .flat_map(|value| values(network, &x, Some((target, value))).pop().unwrap())
        .collect();
    let rerun = &session.plan().passes[1];
    let layers = rerun.base.as_ref().map_or(&[][..], |base| &base.layers);
    let base = &own[target.0];
    for round in 0..2 {
        session.base(1, base, shape).unwrap();
        let lists = gradcam::low_level::plan::lists(network, target, layers, base, &changed);
        session
            .forward_beside_base(1, &changed, shape, &lists)
            .unwrap();
        let logits = session.read(rerun.logits, images, classes).unwrap();
        let part = format!("rerun from {target:?}, round {round}");
        assert_close(&what(&part), &logits, &expected, classes, 1e-4);
        // Neither a walk nor the way back disturbs the next one.
        let walked = random(seed + 4, 2 * input.len());
        session.forward(2, &walked, input).unwrap();
        let seeds = random(seed + 5, 2 * CLASSES);
        session.backward([2, 0], &seeds, classes).unwrap();
        let walk = &session.plan().passes[2].backs[0];
        let dx = session.read(walk.gradient, 2, input).unwrap();
        let expected: Vec<f32> = walked
            .chunks_exact(input.len())
            .zip(seeds.chunks_exact(CLASSES))
            .flat_map(|(x, dy)| {
                let values = values(network, x, None);
                gradients(network, &values, dy, ReluRule::Plain).swap_remove(0)
            })
            .collect();
        assert_close(&what("walk"), &dx, &expected, input, 1e-4);
        session
            .backward([0, 0], &seeds[..CLASSES], classes)
            .unwrap();
        let phase = &session.plan().picture().backs[0];
        let expected = gradients(network, &own, &seeds[..CLASSES], ReluRule::Plain);
        for (buffer, id, shape) in [
            (phase.gradient, NodeId(0), input),
            (phase.kept[0], target, shape),
        ] {
            let dx = session.read(buffer, 1, shape).unwrap();
            assert_close(&what("backward"), &dx, &expected[id.0], shape, 1e-4);
        }
    }
}

#[test]
fn drawn_graphs_give_the_values_and_gradients_of_their_twins() {
    for seed in 0..24 {
        let network = Draw::new(1000 + seed).network();
        check(GPU.limits(), &network, seed);
    }
}

#[test]
fn drawn_graphs_of_maps_in_other_sizes_give_the_values_and_gradients_of_their_twins() {
    for seed in 0..24 {
        let drawn = Draw {
            resamples: true,
            ..Draw::new(1000 + seed)
        };
        check(GPU.limits(), &{ drawn }.network(), seed);
    }
}

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
        for limits in [GPU.limits(), plain()] {
            check(limits, &network, growth as u32);
        }
    }
}

#[test]
fn drawn_graphs_give_the_same_by_every_kernel_for_convolutions() {
    for seed in [3, 8] {
        let network = Draw::new(1000 + seed).network();
        for limits in each_convolution() {
            check(limits, &network, seed);
        }
    }
}

/// Times of every convolution by every kernel, drawn, so that each layer goes by what happens to be fastest.
fn drawn_times(network: &Network, seed: u32) -> Costs {
    let mut costs = Costs::default();
    for id in (0..network.nodes.len()).map(NodeId) {
        let Some(layer) = LayerShape::of(network, id) else {
            continue;
        };
        let drawn = random(seed + id.0 as u32, 3 * Variant::ALL.len());
        let nanoseconds = |value: f32| (1e6 * (1.0 + value)) as u64;
        let times = Variant::ALL.iter().zip(drawn.chunks_exact(3));
        let variants = times.map(|(&variant, drawn)| {
            let times = Times {
                forward: Some(nanoseconds(drawn[0])),
                backward: Some(nanoseconds(drawn[1])),
                once: nanoseconds(drawn[2]),
            };
            (variant, times)
        });
        costs.insert(Measured {
            layer,
            images: 1,
            variants: variants.collect(),
        });
    }
    costs
}

#[test]
fn drawn_graphs_give_the_same_whatever_kernels_were_measured_to_be_fastest() {
    for seed in 0..12 {
        let network = Draw::new(1000 + seed).network();
        let costs = drawn_times(&network, 100 * seed);
        let family = match seed % 3 {
            0 => tiled(40),
            _ => GPU.limits().family,
        };
        let limits = Limits {
            family,
            costs: &costs,
            ..GPU.limits()
        };
        check(limits, &network, seed);
        check_reruns(limits, &network, seed);
    }
}

#[test]
fn reruns_of_drawn_graphs_keep_what_goes_around_their_beginning() {
    for seed in 0..16 {
        let network = Draw::new(2000 + seed).network();
        let limits = match seed % 4 {
            0 => plain(),
            1 => Limits {
                family: tiled(0),
                ..GPU.limits()
            },
            _ => GPU.limits(),
        };
        check_reruns(limits, &network, seed);
    }
}
