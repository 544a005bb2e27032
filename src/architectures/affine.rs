//! Batch normalisation and other values a channel, folded into the layers around them.
//!
//! Weights stay in their file: they are [scaled](Tensor::scaled) as they are read.

use std::collections::BTreeMap;

use crate::network::{FilterLayout, FlattenOrder, MatrixLayout, Network, Node, NodeId, Op, Shape};
use crate::weights::Tensor;

/// Elements of a matrix read at once, and inputs of one at most: VGG's largest has 25,088.
const PIECE: usize = 1 << 20;
/// Elements of matrices read in all, twice what the largest VGG has: a graph may use one matrix a thousand times.
const MOST: usize = 1 << 28;

/// The same function with fewer layers: each `Affine` becomes a part of the convolution, linear layer, group norm or other `Affine`
/// before it, else of the linear layer after it, where nothing else reads what lies between.
pub(super) fn fold(network: Network) -> Network {
    into_layers_after(into_layers_before(network))
}

fn into_layers_before(mut network: Network) -> Network {
    let readers = readers(&network);
    let mut nodes: Vec<Node> = vec![];
    // Where each old node's value is now.
    let mut moved: Vec<NodeId> = vec![];
    for mut node in std::mem::take(&mut network.nodes) {
        let alone = node.inputs.iter().all(|input| readers[input.0] == 1);
        for input in &mut node.inputs {
            *input = moved[input.0];
        }
        if let (Op::Affine { scale, shift }, &[input], true) = (&node.op, &node.inputs[..], alone)
            && let Some(op) = followed(&nodes[input.0].op, scale, shift)
        {
            nodes[input.0].op = op;
            moved.push(input);
            continue;
        }
        // What is left of a factor and its inverse; the last node stays, since it is the output.
        if let (Op::Affine { scale, shift }, &[input]) = (&node.op, &node.inputs[..])
            && is_identity(scale, shift)
            && input.0 + 1 == nodes.len()
        {
            moved.push(input);
            continue;
        }
        moved.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    network.with_nodes(nodes)
}

fn is_identity(scale: &Tensor, shift: &Tensor) -> bool {
    let all = |tensor: &Tensor, value: f32| tensor.to_vec().iter().all(|&v| v == value);
    all(scale, 1.0) && all(shift, 0.0)
}

fn readers(network: &Network) -> Vec<usize> {
    let mut readers = vec![0; network.nodes.len()];
    let inputs = network.nodes.iter().flat_map(|node| &node.inputs);
    inputs.for_each(|input| readers[input.0] += 1);
    readers
}

fn factors(scale: &Tensor) -> Vec<f64> {
    scale.to_vec().into_iter().map(f64::from).collect()
}

/// `op` followed by scale and shift as one op.
fn followed(op: &Op, scale: &Tensor, shift: &Tensor) -> Option<Op> {
    let (factors, shift) = (factors(scale), shift.to_vec());
    // In float64, so that the fold rounds once.
    let moved = |values: Option<&Tensor>| {
        let values = values.map(Tensor::to_vec);
        let values: Vec<f32> = (0..factors.len())
            .map(|i| {
                let value = values.as_ref().map_or(0.0, |values| f64::from(values[i]));
                (value * factors[i] + f64::from(shift[i])) as f32
            })
            .collect();
        Tensor::from_f32(vec![values.len()], &values)
    };
    let scaled = |weight: &Tensor, axis: usize| match factors.iter().all(|&factor| factor == 1.0) {
        true => weight.clone(),
        false => weight.scaled(axis, factors.clone()),
    };
    match op {
        Op::Conv2d {
            weight,
            bias,
            layout,
            window,
            groups,
        } => Some(Op::Conv2d {
            weight: match layout {
                FilterLayout::Oihw => scaled(weight, 0),
                FilterLayout::Hwio => scaled(weight, 3),
            },
            bias: Some(moved(bias.as_ref())),
            layout: *layout,
            window: *window,
            groups: *groups,
        }),
        Op::Linear {
            weight,
            bias,
            layout,
        } => Some(Op::Linear {
            weight: match layout {
                MatrixLayout::OutIn => scaled(weight, 0),
                MatrixLayout::InOut => scaled(weight, 1),
            },
            bias: Some(moved(bias.as_ref())),
            layout: *layout,
        }),
        Op::Affine {
            scale: before,
            shift: offset,
        } => {
            let before = before.to_vec();
            let product: Vec<f32> = before
                .iter()
                .zip(&factors)
                .map(|(&a, b)| (f64::from(a) * b) as f32)
                .collect();
            Some(Op::Affine {
                scale: Tensor::from_f32(vec![product.len()], &product),
                shift: moved(Some(offset)),
            })
        }
        Op::GroupNorm {
            groups,
            scale: before,
            shift: offset,
            epsilon,
        } => Some(Op::GroupNorm {
            groups: *groups,
            scale: scaled(before, 0),
            shift: moved(Some(offset)),
            epsilon: *epsilon,
        }),
        _ => None,
    }
}

fn into_layers_after(mut network: Network) -> Network {
    let readers = readers(&network);
    let mut left = MOST;
    // The `Affine`s that are a part of another layer now, and what they read.
    let mut gone: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for id in (0..network.nodes.len()).map(NodeId) {
        let Op::Affine { scale, shift } = &network.node(id).op else {
            continue;
        };
        let Some((linear, order)) = linear_after(&network, &readers, id) else {
            continue;
        };
        let node = network.node(linear);
        let inputs = network.node(node.inputs[0]).shape.len();
        let Some(rest) = left.checked_sub(node.op.parameters()) else {
            continue;
        };
        if inputs > PIECE {
            continue;
        }
        left = rest;
        let scale = order.each(&factors(scale));
        let shift = order.each(&factors(shift));
        if let Some(op) = preceded(&node.op, node.shape.c, scale, &shift) {
            gone.insert(id, network.node(id).inputs[0]);
            network.nodes[linear.0].op = op;
        }
    }
    let mut moved: Vec<NodeId> = vec![];
    let mut nodes: Vec<Node> = vec![];
    for (id, mut node) in std::mem::take(&mut network.nodes).into_iter().enumerate() {
        if let Some(input) = gone.get(&NodeId(id)) {
            moved.push(moved[input.0]);
            continue;
        }
        for input in &mut node.inputs {
            *input = moved[input.0];
        }
        moved.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    network.with_nodes(nodes)
}

/// How values a channel lie in the vector that a linear layer reads.
#[derive(Clone, Copy)]
enum VectorOrder {
    Channels,
    Flattened(FlattenOrder, Shape),
}

impl VectorOrder {
    /// A value for each element.
    fn each(self, values: &[f64]) -> Vec<f64> {
        match self {
            Self::Channels => values.to_vec(),
            Self::Flattened(FlattenOrder::Hwc, map) => values.repeat(map.h * map.w),
            Self::Flattened(FlattenOrder::Chw, map) => values
                .iter()
                .flat_map(|&value| std::iter::repeat_n(value, map.h * map.w))
                .collect(),
        }
    }
}

/// The linear layer that alone reads `id`, perhaps as a vector or as the mean of its positions.
fn linear_after(network: &Network, readers: &[usize], id: NodeId) -> Option<(NodeId, VectorOrder)> {
    let mut at = id;
    let mut order = VectorOrder::Channels;
    loop {
        if readers[at.0] != 1 {
            return None;
        }
        let next = network.consumers(at).next()?;
        match &network.node(next).op {
            Op::Linear { .. } => return Some((next, order)),
            Op::GlobalMean => {}
            Op::Flatten(flatten) if matches!(order, VectorOrder::Channels) => {
                order = VectorOrder::Flattened(*flatten, network.node(at).shape);
            }
            _ => return None,
        }
        at = next;
    }
}

/// W (scale x + shift) + b as one op.
fn preceded(op: &Op, outputs: usize, scale: Vec<f64>, shift: &[f64]) -> Option<Op> {
    let Op::Linear {
        weight,
        bias,
        layout,
    } = op
    else {
        return None;
    };
    let &[_, columns] = weight.shape() else {
        return None;
    };
    let mut moved = match bias {
        Some(bias) => factors(bias),
        None => vec![0.0; outputs],
    };
    let mut piece = vec![0.0; PIECE.min(weight.len())];
    for start in (0..weight.len()).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(weight.len() - start)];
        weight.read(start, piece);
        weight.release(start, piece.len());
        for (i, &value) in (start..).zip(&*piece) {
            let (row, column) = (i / columns, i % columns);
            let (output, input) = match layout {
                MatrixLayout::OutIn => (row, column),
                MatrixLayout::InOut => (column, row),
            };
            moved[output] += f64::from(value) * shift[input];
        }
    }
    let moved: Vec<f32> = moved.into_iter().map(|value| value as f32).collect();
    let inputs = match layout {
        MatrixLayout::OutIn => 1,
        MatrixLayout::InOut => 0,
    };
    Some(Op::Linear {
        weight: weight.scaled(inputs, scale),
        bias: Some(Tensor::from_f32(vec![outputs], &moved)),
        layout: *layout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Window;

    fn tensor(shape: &[usize], seed: f32) -> Tensor {
        let len = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..len).map(|i| (i as f32 + seed).sin()).collect();
        Tensor::from_f32(shape.to_vec(), &values)
    }

    fn affine(channels: usize, seed: f32) -> Op {
        Op::Affine {
            scale: tensor(&[channels], seed),
            shift: tensor(&[channels], seed + 0.5),
        }
    }

    fn linear(inputs: usize, layout: MatrixLayout) -> Op {
        let shape = match layout {
            MatrixLayout::OutIn => [2, inputs],
            MatrixLayout::InOut => [inputs, 2],
        };
        Op::Linear {
            weight: tensor(&shape, 0.1),
            bias: None,
            layout,
        }
    }

    /// W x + b of the network's last node.
    fn last(network: &Network, x: &[f64]) -> Vec<f64> {
        let Op::Linear {
            weight,
            bias,
            layout,
        } = &network.node(network.output()).op
        else {
            panic!("a linear layer at the end");
        };
        let (w, len) = (weight.to_vec(), x.len());
        let bias = bias.as_ref().map_or(vec![0.0; 2], Tensor::to_vec);
        (0..2)
            .map(|o| {
                let at = |i: usize| match layout {
                    MatrixLayout::OutIn => w[o * len + i],
                    MatrixLayout::InOut => w[i * 2 + o],
                };
                let sum: f64 = (0..len).map(|i| f64::from(at(i)) * x[i]).sum();
                sum + f64::from(bias[o])
            })
            .collect()
    }

    #[test]
    fn values_a_channel_go_into_the_linear_layer_after_them_through_a_flatten() {
        for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
            for order in [FlattenOrder::Chw, FlattenOrder::Hwc] {
                let mut network = Network::new("test", Shape::new(3, 2, 2));
                network.chain("norm", affine(3, 1.0)).unwrap();
                network.chain("flat", Op::Flatten(order)).unwrap();
                network.chain("dense", linear(12, layout)).unwrap();
                let folded = fold(network.clone());
                assert_eq!(folded.nodes.len(), 3);
                let (scale, shift) = (tensor(&[3], 1.0).to_vec(), tensor(&[3], 1.5).to_vec());
                let x: Vec<f64> = (0..12).map(|i| f64::from(i).cos()).collect();
                let channel = |i: usize| match order {
                    FlattenOrder::Chw => i / 4,
                    FlattenOrder::Hwc => i % 3,
                };
                let normed = x
                    .iter()
                    .enumerate()
                    .map(|(i, x)| f64::from(scale[channel(i)]) * x + f64::from(shift[channel(i)]));
                let expected = last(&network, &normed.collect::<Vec<_>>());
                for (a, b) in last(&folded, &x).iter().zip(expected) {
                    assert!((a - b).abs() < 1e-6, "{layout:?} {order:?}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn values_around_a_linear_layer_both_go_into_it() {
        let mut network = Network::new("test", Shape::vector(5));
        network.chain("before", affine(5, 1.0)).unwrap();
        network
            .chain("dense", linear(5, MatrixLayout::InOut))
            .unwrap();
        network.chain("after", affine(2, 2.0)).unwrap();
        let folded = fold(network);
        assert_eq!(folded.nodes.len(), 2);
    }

    #[test]
    fn values_that_another_layer_reads_too_or_that_come_before_a_maximum_stay() {
        let mut network = Network::new("test", Shape::new(3, 4, 4));
        network.chain("norm", affine(3, 1.0)).unwrap();
        let pool = Op::MaxPool(Window::square(2, 2, 0));
        network.chain("pool", pool).unwrap();
        network.chain("mean", Op::GlobalMean).unwrap();
        network
            .chain("dense", linear(3, MatrixLayout::OutIn))
            .unwrap();
        assert_eq!(fold(network).nodes.len(), 5);
        let mut network = Network::new("test", Shape::vector(5));
        let norm = network.chain("norm", affine(5, 1.0)).unwrap();
        let dense = linear(5, MatrixLayout::OutIn);
        network.push("one", dense.clone(), vec![norm]).unwrap();
        network.push("other", dense, vec![norm]).unwrap();
        assert_eq!(fold(network).nodes.len(), 4);
    }
}
