//! Names of layers that people know: from weights, from the paths that exporters write, from the paper.

use std::collections::BTreeSet;

use crate::network::{Activation, Network, NodeId, Op, Window};
use crate::weights::onnx::Node;

use crate::architectures::names::Names;
use crate::architectures::vgg::VGG;

/// Last parts of a node's path that name what it computes and not what it is called.
const OPERATIONS: [&str; 29] = [
    "add",
    "averagepool",
    "avgpool",
    "batchnormalization",
    "biasadd",
    "clip",
    "concat",
    "conv",
    "conv2d",
    "convolution",
    "dropout",
    "flatten",
    "fusedbatchnormv3",
    "gemm",
    "globalaveragepool",
    "identity",
    "matmul",
    "max",
    "maxpool",
    "maxpool2d",
    "mean",
    "mul",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "squeeze",
    "sub",
    "transpose",
];

/// A node for an error: its name, or that of its first output.
pub(super) fn label(node: &Node) -> String {
    let output = node.outputs.first().map_or("", String::as_str);
    let name = if node.name.is_empty() {
        output
    } else {
        &node.name
    };
    format!("{name:?}")
}

/// A name that no other layer has: the module of the weights or the node's path, told apart by the operator and a number.
pub(super) fn unique(node: &Node, weight: Option<&str>, names: &mut Names) -> String {
    let name = weight.and_then(module).unwrap_or_else(|| path(node));
    if names.take(&name) {
        return name;
    }
    names.numbered(&format!("{name}/{}", node.op_type.to_ascii_lowercase()))
}

/// `features.28` of `features.28.weight`; exporters that fold weights leave numbers such as `onnx::Conv_77` instead.
fn module(weight: &str) -> Option<String> {
    let name = weight.strip_suffix(".weight")?;
    (!name.is_empty()).then(|| name.into())
}

/// `features.28` of `/features/features.28/Conv`, `block5_conv3` of `vgg16/block5_conv3/Conv2D`.
fn path(node: &Node) -> String {
    let name = match node.name.as_str() {
        "" => node.outputs.first().map_or("", String::as_str),
        name => name,
    };
    let parts = name.split('/').filter(|part| !part.is_empty());
    let named = parts.rev().find(|part| !is_operation(part));
    named.unwrap_or(name).to_owned()
}

fn is_operation(part: &str) -> bool {
    let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = if word.len() < part.len() {
        word.trim_end_matches('_')
    } else {
        part
    };
    let of = |word: &str| {
        OPERATIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
    };
    of(word) || of(part)
}

/// A network built like one of the VGGs gets the paper's names, as its weights in any other format do: `conv5_3`.
pub(super) fn as_vgg(network: &mut Network) {
    let mut blocks = vec![0];
    let mut names = vec![];
    let mut dense = 0;
    for node in &network.nodes {
        let block = blocks.len();
        let i = blocks[block - 1];
        let name = match &node.op {
            Op::Conv2d { window, groups, .. } if window.is_3x3_same() && *groups == 1 => {
                blocks[block - 1] += 1;
                Some(format!("conv{block}_{}", i + 1))
            }
            Op::Conv2d { .. } => return,
            Op::Activate(Activation::Relu) if dense > 0 => Some(format!("relu{}", dense + 5)),
            Op::Activate(Activation::Relu) if i > 0 => Some(format!("relu{block}_{i}")),
            Op::MaxPool(window) if *window == Window::square(2, 2, 0) && block <= 5 => {
                blocks.push(0);
                Some(format!("pool{block}"))
            }
            Op::Linear { .. } => {
                dense += 1;
                Some(format!("fc{}", dense + 5))
            }
            Op::Flatten(_) => Some("flatten".into()),
            Op::GlobalMean => Some("mean".into()),
            _ => None,
        };
        names.push(name.unwrap_or_else(|| node.name.clone()));
    }
    if blocks.pop() != Some(0) {
        return;
    }
    let Some((depth, _)) = VGG.iter().find(|(_, known)| blocks == known) else {
        return;
    };
    let distinct: BTreeSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        return;
    }
    let means = network
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::GlobalMean));
    // As a file of the same network without its graph is called.
    network.architecture = match means && dense == 1 {
        true => format!("vgg{depth}-gap"),
        false => format!("vgg{depth}"),
    };
    network.rename((0..).map(NodeId).zip(names).collect());
}
