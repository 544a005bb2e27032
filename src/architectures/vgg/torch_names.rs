//! The names that torchvision gives a VGG's tensors.

use super::VGG;
use super::size::{BINS, STRIDE};
use crate::network::{Activation, Network, Node, NodeId, Op, Shape, Window};

/// The name that torchvision has for each layer with weights, when `network` is a VGG whose names tell all of it: what
/// [`torch`](super::torch) reads back as the same network.
pub(crate) fn torch_names(network: &Network) -> Option<Vec<(NodeId, String)>> {
    let Shape { h, w, .. } = network.input_shape();
    let chained = |(i, node): (usize, &Node)| node.inputs == [NodeId(i)];
    if h != w || h < STRIDE || !network.nodes[1..].iter().enumerate().all(chained) {
        return None;
    }
    let mut names = vec![];
    let mut counts = vec![0];
    let mut module = 0;
    let mut nodes = (1..).map(NodeId).zip(&network.nodes[1..]).peekable();
    while counts.len() <= 5 {
        match &nodes.next()? {
            (id, node) if keeps_size(&node.op) => {
                nodes.next_if(|(_, next)| matches!(next.op, Op::Activate(Activation::Relu)))?;
                names.push((*id, format!("features.{module}")));
                module += 2;
                *counts.last_mut()? += 1;
            }
            (_, node) if matches!(&node.op, Op::MaxPool(w) if *w == Window::square(2, 2, 0)) => {
                module += 1;
                counts.push(0);
            }
            _ => return None,
        }
    }
    counts.pop();
    VGG.iter().find(|(_, blocks)| *blocks == counts[..])?;
    let adaptive = |(_, node): &(NodeId, &Node)| matches!(node.op, Op::AdaptiveAvgPool(bins) if bins == [BINS; 2] && h / STRIDE != BINS);
    let averaged = nodes.next_if(adaptive).is_some();
    let (_, pooled) = nodes.next()?;
    if averaged && !matches!(pooled.op, Op::Flatten(_)) {
        return None;
    }
    if !matches!(pooled.op, Op::GlobalMean | Op::Flatten(_)) {
        return None;
    }
    let mut dense = vec![];
    let mut module = 0;
    while let Some((id, node)) = nodes.next() {
        matches!(node.op, Op::Linear { .. }).then_some(())?;
        dense.push((id, format!("classifier.{module}")));
        let relu = nodes.next_if(|(_, next)| matches!(next.op, Op::Activate(Activation::Relu)));
        // A ReLU and a dropout, or nothing; the last value is a logit.
        module += if relu.is_some() { 3 } else { 1 };
        if relu.is_some() && nodes.peek().is_none() {
            return None;
        }
    }
    if let [(_, only)] = &mut dense[..] {
        *only = "classifier".into();
    }
    names.extend(dense);
    Some(names)
}

/// Whether this is a convolution that a VGG has, of 3 x 3 or 1 x 1 taps.
fn keeps_size(op: &Op) -> bool {
    let one = Window::square(1, 1, 0);
    matches!(op, Op::Conv2d { window, groups: 1, .. } if window.is_3x3_same() || *window == one)
}
