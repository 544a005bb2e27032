//! Whole gradients: against PyTorch on small networks, against finite differences, and by the adjoint identity.

mod common {
    pub(crate) mod device;
}

use common::device::{
    GPU, assert_close, backward, backward_within, each_convolution, forward_within, random,
    to_input,
};
use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{
    Activation, Filter, FilterLayout, FlattenOrder, Lrn, MatrixLayout, Nearest, Network, NodeId,
    Op, OutputKind, Pad, Places, ReluRule, Repeat, Resample, Resize, Shape, To, Window,
};
use gradcam::low_level::plan::{BackwardRequest, ForwardRequest, Limits, Means, Plan, Request};
use gradcam::low_level::score::{Objective, Score};
use gradcam::weights::Tensor;
use serde_json::Value;

fn numbers(tensor: &Value) -> (Vec<usize>, Vec<f32>) {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let shape = list(&tensor["shape"])
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let data = list(&tensor["data"])
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    (shape, data)
}

fn tensor(value: &Value) -> Tensor {
    let (shape, data) = numbers(value);
    Tensor::from_f32(shape, &data)
}

/// A layer of a fixture.
fn op(layer: &Value) -> Op {
    let size = |key: &str| layer[key].as_u64().unwrap() as usize;
    let number = |key: &str| layer[key].as_f64().unwrap() as f32;
    match layer["op"].as_str().unwrap() {
        "conv" => {
            let weight = tensor(&layer["weight"]);
            let taps = weight.shape()[2];
            let or_one = |key: &str| layer[key].as_u64().unwrap_or(1) as usize;
            Op::Conv2d {
                weight,
                bias: Some(tensor(&layer["bias"])),
                layout: FilterLayout::Oihw,
                window: Window::square(taps, or_one("stride"), size("padding")),
                groups: or_one("groups"),
            }
        }
        "affine" => Op::Affine {
            scale: tensor(&layer["scale"]),
            shift: tensor(&layer["shift"]),
        },
        "relu" => Op::RELU,
        "clip" => Op::clip(number("low"), number("high")),
        "silu" => Op::Activate(Activation::Silu),
        "sigmoid" => Op::Activate(Activation::Sigmoid),
        "hard_sigmoid" => Op::Activate(Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        }),
        "hard_swish" => Op::Activate(Activation::HardSwish),
        "gelu" => Op::Activate(Activation::Gelu),
        "mish" => Op::Activate(Activation::Mish),
        "prelu" => Op::Activate(Activation::PRelu {
            slope: tensor(&layer["slope"]),
        }),
        "add" => Op::Add,
        "mul" => Op::Mul,
        "concat" => Op::Concat,
        "lrn" => Op::Lrn(Lrn {
            size: size("size"),
            alpha: number("alpha"),
            beta: number("beta"),
            bias: number("bias"),
        }),
        "pad" => {
            let sides = layer["sides"].as_array().unwrap();
            let side = |i: usize| sides[i].as_i64().unwrap() as i32;
            Op::Pad(Pad {
                before: [side(2), side(0)],
                after: [side(3), side(1)],
                value: 0.0,
            })
        }
        "max_pool" => {
            let or_two = |key: &str| layer[key].as_u64().unwrap_or(2) as usize;
            Op::MaxPool(Window::square(or_two("size"), or_two("stride"), 0))
        }
        "adaptive_avg_pool" => Op::AdaptiveAvgPool([size("rows"), size("columns")]),
        "mean" => Op::GlobalMean,
        "flatten" => Op::Flatten(FlattenOrder::Chw),
        "linear" => Op::Linear {
            weight: tensor(&layer["weight"]),
            bias: Some(tensor(&layer["bias"])),
            layout: MatrixLayout::OutIn,
        },
        other => panic!("{other} is unknown"),
    }
}

/// A network and its PyTorch numbers from `tests/fixtures/small`.
fn fixture(name: &str) -> (Network, Value) {
    let path = format!(
        "{}/tests/fixtures/small/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (input, _) = numbers(&fixture["input"]);
    let mut network = Network::new(name, Shape::new(input[1], input[2], input[3]));
    for (i, layer) in fixture["layers"].as_array().unwrap().iter().enumerate() {
        let inputs = match layer["inputs"].as_array() {
            Some(inputs) => inputs
                .iter()
                .map(|id| NodeId(id.as_u64().unwrap() as usize))
                .collect(),
            None => vec![network.output()],
        };
        let op = op(layer);
        network.push(format!("{i}"), op, inputs).unwrap();
    }
    (network, fixture)
}

/// Each picture of the fixture's batch, explained for its class under every rule and both scores, by every kernel for
/// convolutions.
fn check_against_pytorch(name: &str, tolerance: f32) {
    for limits in each_convolution() {
        check_within(limits, name, tolerance);
    }
}

fn check_within(limits: Limits, name: &str, tolerance: f32) {
    let (network, fixture) = fixture(name);
    let shape = network.input_shape();
    let classes = Shape::vector(network.classes());
    let (_, input) = numbers(&fixture["input"]);
    let (_, logits) = numbers(&fixture["logits"]);
    assert_close(
        "logits",
        &forward_within(limits, &network, 2, &input),
        &logits,
        classes,
        tolerance,
    );
    // One session for all of it: of each there is time mostly for compiling kernels.
    let rules = [
        ("plain", ReluRule::Plain),
        ("guided", ReluRule::Guided),
        ("deconv", ReluRule::Deconv),
    ];
    let request = Request::of(ForwardRequest {
        backs: rules.map(|(_, rule)| to_input(1, rule)).to_vec(),
        ..ForwardRequest::default()
    });
    let plan = Plan::new(&network, &request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    for (n, x) in input.chunks_exact(shape.len()).enumerate() {
        session.forward(0, x, shape).unwrap();
        let class = fixture["classes"][n].as_u64().unwrap() as usize;
        let logits = &logits[n * classes.c..(n + 1) * classes.c];
        for (score_name, score) in [("logit", Score::Logit), ("prob", Score::Prob)] {
            let seed = Objective::from(score).seed(OutputKind::Softmax, logits, class);
            for (phase, (rule_name, _)) in rules.into_iter().enumerate() {
                let of_rule = &fixture["d_input"][score_name][rule_name];
                if of_rule.is_null() {
                    // Of no ReLU, and so the plain gradient.
                    assert_ne!(rule_name, "plain");
                    continue;
                }
                let (_, expected) = numbers(of_rule);
                session
                    .backward([0, phase], &seed.direction, classes)
                    .unwrap();
                let gradient = session.plan().picture().backs[phase].gradient;
                let dx: Vec<f32> = session
                    .read(gradient, 1, shape)
                    .unwrap()
                    .iter()
                    .map(|&g| (f64::from(g) * seed.scale) as f32)
                    .collect();
                let expected = &expected[n * shape.len()..(n + 1) * shape.len()];
                let kernels = format!("{:?}, Winograd {:?}", limits.family, limits.winograd);
                let what = format!("{name}, {score_name}, {rule_name}, picture {n}, {kernels}");
                assert_close(&what, &dx, expected, shape, tolerance);
            }
        }
    }
}

#[test]
fn a_small_chain_agrees_with_pytorch_under_every_rule() {
    check_against_pytorch("plain", 1e-5);
}

#[test]
fn a_dense_head_agrees_with_pytorch_under_every_rule() {
    check_against_pytorch("head", 1e-5);
}

#[test]
fn bins_that_share_rows_and_columns_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("bins", 1e-5);
}

#[test]
fn clipped_activations_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("clipped", 1e-5);
}

#[test]
fn skip_connections_agree_with_pytorch_under_every_rule() {
    check_against_pytorch("residual", 1e-5);
}

#[test]
fn squeeze_and_excite_and_depthwise_convolutions_agree_with_pytorch() {
    check_against_pytorch("excited", 1e-5);
}

#[test]
fn concatenations_and_normalisations_between_them_agree_with_pytorch() {
    check_against_pytorch("dense", 1e-5);
}

/// Every number of this fixture is exact in float32, so which of two equal elements gets a gradient shows fully.
#[test]
fn ties_and_zeros_fall_where_pytorch_lets_them_fall() {
    let (network, fixture) = fixture("ties");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    for (rule_name, rule) in [
        ("plain", ReluRule::Plain),
        ("guided", ReluRule::Guided),
        ("deconv", ReluRule::Deconv),
    ] {
        let (_, expected) = numbers(&fixture["d_input"]["logit"][rule_name]);
        for (n, x) in input.chunks_exact(shape.len()).enumerate() {
            let mut seed = vec![0.0; network.classes()];
            seed[fixture["classes"][n].as_u64().unwrap() as usize] = 1.0;
            let (_, dx) = backward(&network, to_input(1, rule), x, &seed);
            assert_eq!(
                dx,
                &expected[n * shape.len()..(n + 1) * shape.len()],
                "{rule_name}"
            );
        }
    }
}

fn convolution(seed: u32, o: usize, i: usize, window: Window) -> Op {
    let [kh, kw] = window.size;
    Op::Conv2d {
        weight: Tensor::from_f32(vec![o, i, kh, kw], &random(seed, o * i * kh * kw)),
        bias: None,
        layout: FilterLayout::Oihw,
        window,
        groups: 1,
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// <conv(x), g> = <x, conv_backward(g)> for every x and g: the two kernels are each other's transpose.
#[test]
fn a_convolution_and_its_input_gradient_are_adjoint() {
    let windows = [
        Window::square(3, 1, 1),
        Window::square(5, 2, 1),
        Window::square(1, 1, 0),
    ];
    for (input, outputs) in [(Shape::new(5, 17, 9), 7), (Shape::new(13, 6, 33), 66)] {
        for window in windows {
            let mut network = Network::new("adjoint", input);
            network
                .chain("conv", convolution(50, outputs, input.c, window))
                .unwrap();
            let out = network.node(network.output()).shape;
            let (x, g) = (random(51, input.len()), random(52, out.len()));
            let (y, dx) = backward(&network, to_input(1, ReluRule::Plain), &x, &g);
            let (left, right) = (dot(&y, &g), dot(&x, &dx));
            let size = dot(&y, &y).sqrt() * dot(&g, &g).sqrt();
            assert!(
                (left - right).abs() < 1e-6 * size,
                "{input}: {left} and {right}"
            );
        }
    }
}

/// The same of what has no weights, and of one filter a channel.
#[test]
fn depthwise_convolutions_and_pads_and_their_input_gradients_are_adjoint() {
    let input = Shape::new(6, 11, 9);
    let depthwise = |size, stride| Op::Conv2d {
        weight: Tensor::from_f32(vec![6, 1, size, size], &random(53, 6 * size * size)),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(size, stride, size / 2),
        groups: 6,
    };
    let pad = Op::Pad(Pad {
        before: [2, -1],
        after: [-3, 4],
        value: 0.0,
    });
    let resize = |filter, places, antialias| {
        Op::Resample(Resample::Resize(Resize {
            to: To::Size([7, 14]),
            filter,
            places,
            antialias,
            edge: true,
        }))
    };
    let around = |by| {
        Op::Resample(Resample::Repeat {
            before: [2, -1],
            after: [-3, 4],
            by,
        })
    };
    let ops = [
        depthwise(3, 1),
        depthwise(5, 2),
        pad,
        resize(
            Filter::Nearest(Nearest::RoundDown),
            Places::HalfPixel,
            false,
        ),
        resize(Filter::Linear, Places::AlignCorners, false),
        resize(Filter::Linear, Places::HalfPixel, true),
        resize(Filter::Cubic(-0.75), Places::Asymmetric, false),
        around(Repeat::Reflect),
        around(Repeat::Edge),
        around(Repeat::Wrap),
        Op::Resample(Resample::Pick {
            first: [1, 8],
            step: [3, -2],
            count: [4, 5],
        }),
    ];
    for op in ops {
        let what = format!("{op:?}");
        let mut network = Network::new("adjoint", input);
        network.chain("layer", op).unwrap();
        let out = network.node(network.output()).shape;
        let (x, g) = (random(51, input.len()), random(52, out.len()));
        let (y, dx) = backward(&network, to_input(1, ReluRule::Plain), &x, &g);
        let (left, right) = (dot(&y, &g), dot(&x, &dx));
        let size = dot(&y, &y).sqrt() * dot(&g, &g).sqrt();
        assert!(
            (left - right).abs() < 1e-6 * size,
            "{what}: {left}, {right}"
        );
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (network, fixture) = fixture("head");
    let shape = network.input_shape();
    let (_, input) = numbers(&fixture["input"]);
    let x = &input[..shape.len()];
    let class = 1;
    let mut seed = vec![0.0; network.classes()];
    seed[class] = 1.0;
    let (_, dx) = backward(&network, to_input(1, ReluRule::Plain), x, &seed);
    let request = Request::default();
    let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    let score = |x: &[f32]| {
        session.forward(0, x, shape).unwrap();
        let classes = Shape::vector(network.classes());
        f64::from(
            session
                .read(session.plan().picture().logits, 1, classes)
                .unwrap()[class],
        )
    };
    // The fixture's pictures keep every ReLU and every maximum clear of a change of sides for a step this short.
    for direction in 0..4 {
        let step = random(61 + direction, shape.len());
        let h = 2e-4;
        let moved = |sign: f32| -> Vec<f32> {
            x.iter().zip(&step).map(|(x, s)| x + sign * h * s).collect()
        };
        let numeric = (score(&moved(1.0)) - score(&moved(-1.0))) / f64::from(2.0 * h);
        let ours = dot(&dx, &step);
        let size = dot(&dx, &dx).sqrt();
        assert!((numeric - ours).abs() < 1e-2 * size, "{numeric} and {ours}");
    }
}

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

/// What reads a picture's activations on the way back: masks within layers and by themselves, and maxima.
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
            // Fewer than there is room for, then all.
            for count in [images - 1, images] {
                let some = &pictures[..count * shape.len()];
                session.forward(1, some, shape).unwrap();
                let there = session.read(walk.logits, images, logits).unwrap();
                session.backward([1, 0], &seeds, logits).unwrap();
                let gradient = walk.backs[0].gradient;
                let gradients = session.read(gradient, images * classes, shape).unwrap();
                let row = classes * shape.len();
                for (i, picture) in some.chunks_exact(shape.len()).enumerate() {
                    let seeds = &seeds[i * classes * logits.c..][..classes * logits.c];
                    let (y, dx) = backward_within(limits, &network, back.clone(), picture, seeds);
                    let what = format!("{:?}, {rule:?}, {i} of {count}", limits.family);
                    assert_close(&what, &there[i * logits.c..][..logits.c], &y, logits, 1e-5);
                    let all = Shape::new(classes * shape.c, shape.h, shape.w);
                    assert_close(&what, &gradients[i * row..][..row], &dx, all, 1e-5);
                }
            }
            // The picture's own pass is still there.
            let seeds = &seeds[..classes * logits.c];
            session.backward([0, 0], seeds, logits).unwrap();
            let own = session.plan().picture().backs[0].gradient;
            let own = session.read(own, classes, shape).unwrap();
            let (_, alone) = backward_within(limits, &network, back, &here, seeds);
            let all = Shape::new(classes * shape.c, shape.h, shape.w);
            assert_close("the picture's own", &own, &alone, all, 1e-5);
        }
    }
}
