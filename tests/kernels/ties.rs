//! Pools over maps that repeat themselves: their gradients go to the first of equal values in row order, as in float64 twins
//! that add equal windows up alike, by kernels whose rounding differs from place to place as by others.

use gradcam::low_level::gpu::Session;
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{Network, NodeId, Op, Pad, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, Plan, Request, Winograd};

use crate::common::device::{
    GPU, assert_close, backward_within, each_convolution, each_plan, random, there_and_back,
    to_input,
};
use crate::common::drawn;
use crate::common::twins::{self, Filters};

/// Of the largest value, as elsewhere, and for four layers one after the other.
const TOLERANCE: f32 = 2e-5;

/// A picture of flat colours with a slanted edge, stripes either way, a checkerboard and a part that repeats nothing.
fn picture(shape: Shape, seed: u32) -> Vec<f32> {
    let Shape { c, h, w } = shape;
    let noise = random(seed, shape.len());
    let colours = random(seed + 1, 16 * c);
    let mut picture = vec![];
    for channel in 0..c {
        for row in 0..h {
            for column in 0..w {
                let (top, left) = (row < h / 2, column < w / 2);
                let colour = match (top, left) {
                    (true, true) => usize::from(column > row + 4),
                    (true, false) => 2 + usize::from(column % 4 < 2) + usize::from(row < 3),
                    (false, true) => 4 + (row / 2 + column / 2) % 2,
                    (false, false) => 6 + usize::from(row % 6 < 3),
                };
                let is_noise = (h / 3..h / 3 + 5).contains(&row) && (2..8).contains(&column);
                let at = (channel * h + row) * w + column;
                picture.push(if is_noise {
                    noise[at]
                } else {
                    colours[colour * c + channel]
                });
            }
        }
    }
    picture
}

fn convolution(seed: u32, outputs: usize, inputs: usize, window: Window) -> Op {
    drawn::convolution(seed, outputs, inputs, window, 1)
}

/// Networks with pools after one, two and three convolutions, disjoint and overlapping, and steps of all kinds between.
fn networks() -> Vec<Network> {
    let same = Window::square(3, 1, 1);
    let halves = Op::MaxPool(Window::square(2, 2, 0));
    let all = [
        vec![
            convolution(1, 6, 3, same),
            Op::RELU,
            convolution(3, 7, 6, same),
            Op::RELU,
            halves.clone(),
            convolution(5, 9, 7, same),
            Op::RELU,
            halves.clone(),
        ],
        vec![
            convolution(7, 6, 3, same),
            Op::MaxPool(Window::square(3, 1, 1)),
            Op::RELU,
            convolution(9, 5, 6, Window::square(3, 2, 1)),
            Op::RELU,
            Op::MaxPool(Window::square(3, 2, 1)),
        ],
        vec![
            Op::Pad(Pad {
                before: [2, -1],
                after: [0, 3],
                value: 0.25,
            }),
            convolution(11, 6, 3, same),
            Op::RELU,
            Op::AvgPool {
                window: Window::square(2, 2, 0),
                count_include_pad: true,
            },
            convolution(13, 8, 6, same),
            Op::RELU,
            halves,
        ],
    ];
    let networks = all.into_iter().map(|ops| {
        let mut network = Network::new("ties", Shape::new(3, 26, 31));
        for (i, op) in ops.into_iter().enumerate() {
            network.chain(format!("layer {i}"), op).unwrap();
        }
        network
    });
    networks.collect()
}

/// The gradients at the picture.
fn expected(network: &Network, x: &[f32], dy: &[f32], classes: usize, rule: ReluRule) -> Vec<f32> {
    let mut values = vec![x.to_vec()];
    let mut winners = vec![vec![]];
    let pairs = || network.nodes.windows(2).map(|pair| (&pair[0], &pair[1]));
    let filters = |op: &Op| match op {
        Op::Conv2d { weight, bias, .. } => {
            let bias = bias.as_ref().unwrap().to_vec();
            (weight.to_vec(), bias)
        }
        _ => unreachable!(),
    };
    for (before, node) in pairs() {
        let (x, shape) = (values.last().unwrap(), before.shape);
        let mut argmax = vec![];
        let y = match &node.op {
            Op::Conv2d { window, .. } => {
                let (weight, bias) = filters(&node.op);
                let filters = Filters {
                    values: &weight,
                    outputs: node.shape.c,
                    inputs: shape.c,
                    groups: 1,
                };
                twins::conv2d(x, 1, shape, &filters, Some(&bias), *window)
            }
            Op::Activate(_) => twins::relu(x),
            Op::Pad(pad) => twins::pad(x, 1, shape, node.shape, *pad),
            Op::AvgPool { window, .. } => twins::avg_pool(x, 1, shape, *window, true),
            Op::MaxPool(window) => {
                let (y, winner) = twins::max_pool(x, 1, shape, *window);
                argmax = winner;
                y
            }
            _ => unreachable!(),
        };
        values.push(y);
        winners.push(argmax);
    }
    let mut gradient = dy.to_vec();
    for (i, (before, node)) in pairs().enumerate().collect::<Vec<_>>().into_iter().rev() {
        let shape = before.shape;
        gradient = match &node.op {
            Op::Conv2d { window, .. } => {
                let (weight, _) = filters(&node.op);
                let filters = Filters {
                    values: &weight,
                    outputs: node.shape.c,
                    inputs: shape.c,
                    groups: 1,
                };
                twins::conv2d_backward(&gradient, classes, shape, &filters, *window)
            }
            Op::Activate(_) => twins::relu_backward(&gradient, &values[i + 1], rule),
            Op::Pad(pad) => twins::pad_backward(&gradient, classes, shape, node.shape, *pad),
            Op::AvgPool { window, .. } => {
                twins::avg_pool_backward(&gradient, classes, shape, *window, true)
            }
            Op::MaxPool(window) => {
                twins::max_pool_backward(&gradient, classes, shape, *window, &winners[i + 1])
            }
            _ => unreachable!(),
        };
    }
    gradient
}

#[test]
fn gradients_go_to_the_first_of_equal_values_by_every_kernel_for_convolutions() {
    let classes = 2;
    for (i, network) in networks().iter().enumerate() {
        let input = network.input_shape();
        let x = picture(input, 60);
        let output = network.node(network.output()).shape;
        let dy = random(62, classes * output.len());
        for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
            let expected = expected(network, &x, &dy, classes, rule);
            let asked = there_and_back(to_input(classes, rule));
            for limits in each_plan(network, &[asked]) {
                let (_, dx) = backward_within(limits, network, to_input(classes, rule), &x, &dy);
                let what = format!(
                    "network {i}, {rule:?}, {:?}, Winograd {:?}",
                    limits.family, limits.winograd
                );
                let both = Shape::new(classes * input.c, input.h, input.w);
                assert_close(&what, &dx, &expected, both, TOLERANCE);
            }
        }
    }
}

#[test]
fn pictures_that_go_there_and_back_together_each_have_their_own_ties() {
    let network = &networks()[0];
    let (input, output) = (network.input_shape(), network.node(network.output()).shape);
    let pictures: Vec<f32> = (0..3).flat_map(|i| picture(input, 70 + 2 * i)).collect();
    let dy = random(63, 3 * output.len());
    for limits in each_convolution() {
        let back = to_input(1, ReluRule::Plain);
        let request = Request::of(ForwardRequest {
            images: 3,
            backs: vec![back],
            ..ForwardRequest::default()
        });
        let plan = Plan::new(network, &request, limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.forward(0, &pictures, input).unwrap();
        session.backward([0, 0], &dy, output).unwrap();
        let gradient = session.plan().picture().backs[0].gradient;
        let dx = session.read(gradient, 3, input).unwrap();
        for i in 0..3 {
            let part = |all: &[f32], shape: Shape| all[i * shape.len()..][..shape.len()].to_vec();
            let x = part(&pictures, input);
            let expected = expected(network, &x, &part(&dy, output), 1, ReluRule::Plain);
            let what = format!("{i}, {:?}, Winograd {:?}", limits.family, limits.winograd);
            assert_close(&what, &part(&dx, input), &expected, input, TOLERANCE);
        }
    }
}

/// What finds ties runs where rounding could break them and a gradient passes, and nowhere else.
#[test]
fn ties_are_looked_for_where_winograd_rounds_and_a_gradient_passes() {
    let network = &networks()[0];
    for limits in each_convolution() {
        let rounds = matches!(
            limits.winograd,
            Winograd::Everywhere | Winograd::Everywhere2x2
        );
        let repeats = |request: &Request| {
            let plan = Plan::new(network, request, limits).unwrap();
            let kernels = plan.picture().dispatches.iter().map(|call| call.kernel);
            kernels.filter(|&kernel| kernel == Kernel::Repeats).count()
        };
        let mut request = Request::default();
        assert_eq!(repeats(&request), 0);
        request.passes[0].backs = vec![to_input(1, ReluRule::Plain)];
        let found = repeats(&request);
        if rounds || limits.winograd == Winograd::Never {
            assert_eq!(found, if rounds { 2 } else { 0 }, "{:?}", limits.family);
        }
        // Down to the first pool that one is passed no more.
        let mut pool = network.nodes.iter();
        let pool = pool.position(|node| node.name == "layer 4").unwrap();
        request.passes[0].backs[0].to = NodeId(pool);
        assert_eq!(repeats(&request), found.min(1), "{:?}", limits.family);
    }
}
