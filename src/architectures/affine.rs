//! Batch normalisation and other values a channel, folded into the layer before them.

use crate::network::{FilterLayout, Network, Node, NodeId, Op};
use crate::weights::Tensor;

/// The same function with fewer layers: each `Affine` whose only source is a convolution, a linear layer or another
/// `Affine` becomes a part of that. A linear layer takes in a shift alone: its matrix stays in its file, where 411 MB of it
/// may lie, and scaling a vector costs nothing.
pub(super) fn fold(network: Network) -> Network {
    let readers: Vec<usize> = (0..network.nodes.len())
        .map(|id| network.consumers(NodeId(id)).count())
        .collect();
    let mut nodes: Vec<Node> = vec![];
    // Where each old node's value is now.
    let mut moved: Vec<NodeId> = vec![];
    for mut node in network.nodes {
        let alone = node.inputs.iter().all(|input| readers[input.0] == 1);
        for input in &mut node.inputs {
            *input = moved[input.0];
        }
        if let (Op::Affine { scale, shift }, &[input], true) = (&node.op, &node.inputs[..], alone)
            && let Some(op) = joined(&nodes[input.0].op, scale, shift)
        {
            nodes[input.0].op = op;
            moved.push(input);
            continue;
        }
        moved.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    Network { nodes, ..network }
}

/// `op` followed by scale and shift as one op.
fn joined(op: &Op, scale: &Tensor, shift: &Tensor) -> Option<Op> {
    let (scale, shift) = (scale.to_vec(), shift.to_vec());
    // In float64, so that the fold rounds once.
    let moved = |values: &Option<Tensor>| {
        let values = values.as_ref().map(Tensor::to_vec);
        let values: Vec<f32> = (0..scale.len())
            .map(|i| {
                let value = values.as_ref().map_or(0.0, |values| f64::from(values[i]));
                (value * f64::from(scale[i]) + f64::from(shift[i])) as f32
            })
            .collect();
        Tensor::from_f32(vec![values.len()], &values)
    };
    match op {
        Op::Conv2d {
            weight,
            bias,
            layout,
            window,
            groups,
        } => Some(Op::Conv2d {
            weight: scaled(weight, *layout, &scale),
            bias: Some(moved(bias)),
            layout: *layout,
            window: *window,
            groups: *groups,
        }),
        Op::Linear {
            weight,
            bias,
            layout,
        } if scale.iter().all(|&scale| scale == 1.0) => Some(Op::Linear {
            weight: weight.clone(),
            bias: Some(moved(bias)),
            layout: *layout,
        }),
        Op::Affine {
            scale: before,
            shift: offset,
        } => {
            let product: Vec<f32> = before
                .to_vec()
                .iter()
                .zip(&scale)
                .map(|(a, b)| a * b)
                .collect();
            Some(Op::Affine {
                scale: Tensor::from_f32(vec![product.len()], &product),
                shift: moved(&Some(offset.clone())),
            })
        }
        _ => None,
    }
}

/// Filters times a value an output channel.
fn scaled(weight: &Tensor, layout: FilterLayout, scale: &[f32]) -> Tensor {
    if scale.iter().all(|&scale| scale == 1.0) {
        return weight.clone();
    }
    let mut values = weight.to_vec();
    let per_output = values.len() / scale.len();
    for (i, value) in values.iter_mut().enumerate() {
        let output = match layout {
            FilterLayout::Oihw => i / per_output,
            FilterLayout::Hwio => i % scale.len(),
        };
        *value = (f64::from(*value) * f64::from(scale[output])) as f32;
    }
    Tensor::from_f32(weight.shape().to_vec(), &values)
}
