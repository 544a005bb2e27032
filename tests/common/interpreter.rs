//! A network's values and gradients node by node, each by its CPU twin: what any plan of it must give, whatever its kernels share.

use gradcam::low_level::network::Activation;
use gradcam::low_level::network::{
    FilterLayout, MatrixLayout, Network, Node, NodeId, Op, ReluRule, Resample, Shape, Taps,
};

use super::twins::{self, Filters};

/// The value of every node for one image. A node in `given` has that value, whatever its inputs are.
pub(crate) fn values(
    network: &Network,
    x: &[f32],
    given: Option<(NodeId, &[f32])>,
) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = vec![x.to_vec()];
    for (id, node) in network.nodes.iter().enumerate().skip(1) {
        let value = match given {
            Some((at, value)) if at.0 == id => value.to_vec(),
            _ => value(network, node, &values),
        };
        values.push(value);
    }
    values
}

fn value(network: &Network, node: &Node, values: &[Vec<f32>]) -> Vec<f32> {
    let of = |at: usize| values[node.inputs[at].0].as_slice();
    let shape = |at: usize| network.node(node.inputs[at]).shape;
    let (x, input) = (of(0), shape(0));
    match &node.op {
        Op::Input => unreachable!("the first alone"),
        Op::Conv2d { bias, window, .. } => {
            let bias = bias.as_ref().map(gradcam::weights::Tensor::to_vec);
            with_filters(&node.op, input, |filters| {
                twins::conv2d(x, 1, input, filters, bias.as_deref(), *window)
            })
        }
        Op::Affine { scale, shift } => twins::affine(x, input, &scale.to_vec(), &shift.to_vec()),
        Op::LayerNorm {
            scale,
            shift,
            epsilon,
        } => twins::layer_norm(x, input, [&scale.to_vec(), &shift.to_vec()], *epsilon),
        Op::GroupNorm {
            groups,
            scale,
            shift,
            epsilon,
        } => {
            let factors = [&scale.to_vec()[..], &shift.to_vec()];
            twins::group_norm(x, input, *groups, factors, *epsilon)
        }
        Op::Activate(activation) => twins::activate(x, input, activation),
        Op::Add | Op::Mul => {
            let (a, b) = if shape(0).h * shape(0).w < shape(1).h * shape(1).w {
                (1, 0)
            } else {
                (0, 1)
            };
            let (positions, spread) = (shape(a).h * shape(a).w, shape(a) != shape(b));
            let multiplied = matches!(node.op, Op::Mul);
            twins::combine(of(a), of(b), positions, spread, multiplied)
        }
        Op::Max => twins::larger(of(0), of(1)),
        Op::Concat => (0..node.inputs.len())
            .flat_map(|at| of(at).to_vec())
            .collect(),
        Op::Pad(pad) => twins::pad(x, 1, input, node.shape, *pad),
        Op::Resample(rule) => {
            let [rows, columns] = taps(rule, input);
            twins::resample(x, input, &rows, &columns)
        }
        Op::Transpose => twins::transpose(x, input),
        Op::Softmax(over) => twins::softmax(x, input, *over),
        Op::AttentionScores { heads, scale } => {
            twins::attention_scores(1, (x, input), (of(1), shape(1)), *heads, *scale)
        }
        Op::AttentionSum { heads } => {
            twins::attention_sum(1, (x, input), (of(1), shape(1)), *heads, 1.0)
        }
        Op::Lrn(lrn) => twins::lrn(x, input, lrn),
        Op::MaxPool(window) => twins::max_pool(x, 1, input, *window).0,
        Op::AvgPool {
            window,
            count_include_pad,
        } => twins::avg_pool(x, 1, input, *window, *count_include_pad),
        Op::AdaptiveAvgPool(size) => twins::adaptive_avg_pool(x, 1, input, *size),
        Op::GlobalMean => twins::global_mean(x, input),
        Op::Flatten(order) => twins::flatten(x, input, *order),
        Op::Linear {
            weight,
            bias,
            layout,
        } => {
            let (m, columns) = (weight.to_vec(), weight.shape()[1]);
            let mut y = match layout {
                MatrixLayout::OutIn => twins::linear_rows(&m, columns, x),
                MatrixLayout::InOut => twins::linear_columns(&m, columns, x),
            };
            if let Some(bias) = bias {
                y.iter_mut().zip(bias.to_vec()).for_each(|(y, b)| *y += b);
            }
            y
        }
    }
}

fn taps(rule: &Resample, input: Shape) -> [Taps; 2] {
    let axes = [(0, input.h), (1, input.w)];
    axes.map(|(axis, length)| rule.taps(axis, length).expect("a shape was found"))
}

fn with_filters<T>(op: &Op, input: Shape, run: impl FnOnce(&Filters<'_>) -> T) -> T {
    let Op::Conv2d {
        weight,
        layout: FilterLayout::Oihw,
        groups,
        ..
    } = op
    else {
        panic!("a convolution in PyTorch's order");
    };
    run(&Filters {
        values: &weight.to_vec(),
        outputs: weight.shape()[0],
        inputs: input.c,
        groups: *groups,
    })
}

/// The gradient at each node that has one, of one image, for the gradient `dy` at the output.
pub(crate) fn gradients(
    network: &Network,
    values: &[Vec<f32>],
    dy: &[f32],
    rule: ReluRule,
) -> Vec<Vec<f32>> {
    let zeros = |node: &Node| vec![0.0; node.shape.len()];
    let mut gradients: Vec<Vec<f32>> = network.nodes.iter().map(zeros).collect();
    gradients[network.output().0] = dy.to_vec();
    for (id, node) in network.nodes.iter().enumerate().skip(1).rev() {
        for at in 0..node.inputs.len() {
            let dy = gradients[id].clone();
            let more = gradient(network, node, &values[id], values, &dy, rule, at);
            let sum = &mut gradients[node.inputs[at].0];
            sum.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
    }
    gradients
}

fn gradient(
    network: &Network,
    node: &Node,
    y: &[f32],
    values: &[Vec<f32>],
    dy: &[f32],
    rule: ReluRule,
    at: usize,
) -> Vec<f32> {
    let of = |at: usize| values[node.inputs[at].0].as_slice();
    let shape = |at: usize| network.node(node.inputs[at]).shape;
    let (x, input) = (of(at), shape(at));
    let positions = node.shape.h * node.shape.w;
    match &node.op {
        Op::Input => unreachable!("the first alone"),
        Op::Conv2d { window, .. } => with_filters(&node.op, input, |filters| {
            twins::conv2d_backward(dy, 1, input, filters, *window)
        }),
        Op::Affine { scale, .. } => twins::affine(dy, input, &scale.to_vec(), &vec![0.0; input.c]),
        Op::LayerNorm { scale, epsilon, .. } => {
            twins::layer_norm_backward(dy, x, input, &scale.to_vec(), *epsilon)
        }
        Op::GroupNorm {
            groups,
            scale,
            epsilon,
            ..
        } => twins::group_norm_backward(dy, x, input, *groups, &scale.to_vec(), *epsilon),
        Op::Activate(Activation::Relu) => twins::relu_backward(dy, y, rule),
        Op::Activate(Activation::Clip { low, high }) => {
            twins::clip_backward(dy, y, [*low, *high], rule)
        }
        Op::Activate(activation) => twins::activate_backward(dy, x, input, activation),
        Op::Add if input == node.shape => dy.to_vec(),
        Op::Add => twins::product_sum(dy, None, positions),
        Op::Mul if input == node.shape => {
            let spread = shape(1 - at) != input;
            twins::combine(dy, of(1 - at), positions, spread, true)
        }
        Op::Mul => twins::product_sum(dy, Some(of(1 - at)), positions),
        Op::Max => twins::larger_backward(dy, [of(0), of(1)], at),
        Op::Concat => {
            let from = (0..at).map(|before| shape(before).c).sum();
            twins::copy_channels(dy, node.shape, from, input.c)
        }
        Op::Pad(pad) => twins::pad_backward(dy, 1, input, node.shape, *pad),
        Op::Resample(rule) => {
            let [rows, columns] = taps(rule, input);
            twins::resample_backward(dy, input, &rows, &columns)
        }
        Op::Transpose => twins::transpose(dy, node.shape),
        Op::Softmax(over) => twins::softmax_backward(dy, x, input, *over),
        Op::AttentionScores { heads, scale } => {
            let (dy, other) = ((dy, node.shape), (of(1 - at), shape(1 - at)));
            match at {
                0 => twins::attention_sum(1, dy, other, *heads, *scale),
                _ => twins::attention_sum_transposed(1, dy, other, *heads, *scale),
            }
        }
        Op::AttentionSum { heads } => {
            let (dy, other) = ((dy, node.shape), (of(1 - at), shape(1 - at)));
            match at {
                0 => twins::attention_scores(1, dy, other, *heads, 1.0),
                _ => twins::attention_sum_transposed(1, other, dy, *heads, 1.0),
            }
        }
        Op::Lrn(lrn) => twins::lrn_backward(dy, x, input, lrn),
        Op::MaxPool(window) => {
            let (_, argmax) = twins::max_pool(x, 1, input, *window);
            twins::max_pool_backward(dy, 1, input, *window, &argmax)
        }
        Op::AvgPool {
            window,
            count_include_pad,
        } => twins::avg_pool_backward(dy, 1, input, *window, *count_include_pad),
        Op::AdaptiveAvgPool(size) => twins::adaptive_avg_pool_backward(dy, 1, input, *size),
        Op::GlobalMean => twins::global_mean_backward(dy, input),
        Op::Flatten(order) => twins::flatten_backward(dy, input, *order),
        Op::Linear { weight, layout, .. } => {
            let (m, columns) = (weight.to_vec(), weight.shape()[1]);
            match layout {
                MatrixLayout::OutIn => twins::linear_columns(&m, columns, dy),
                MatrixLayout::InOut => twins::linear_rows(&m, columns, dy),
            }
        }
    }
}
