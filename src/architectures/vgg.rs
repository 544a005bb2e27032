//! VGG 11, 13, 16 and 19 (Simonyan and Zisserman 2014), with or without batch norm, under any head of dense layers;
//! and the names that torchvision gives its tensors.

use super::{ArchitectureError, Classifier, Evidence, names, tensorflow, torch};
use crate::network::{
    Activation, FilterLayout, FlattenOrder, MAX_SIDE, MatrixLayout, Network, Node, NodeId, Op,
    Shape, Window,
};
use crate::preprocess::Normalization;
use crate::weights::{Tensor, Weights};

/// Depth and convolutions in each of the five blocks (table 1 of the paper).
pub(super) const VGG: [(usize, [usize; 5]); 4] = [
    (11, [1, 1, 2, 2, 2]),
    (13, [2, 2, 2, 2, 2]),
    (16, [2, 2, 3, 3, 3]),
    (19, [2, 2, 4, 4, 4]),
];

pub(super) fn known_depths() -> String {
    let rows = VGG.map(|(_, blocks)| format!("{blocks:?}"));
    rows.join(", ")
}

/// What five pools shrink a picture by, along each side.
const STRIDE: usize = 32;
/// Bins along each side that torchvision averages the last map to: at 224 pixels the map has as many positions.
const BINS: usize = 7;
/// Pictures of a network that takes any size, where nothing else is said.
const USUAL_SIZE: usize = 224;

/// Weights and bias, a batch norm after them folded in.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Its name in the file.
    pub(super) name: String,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

/// A dense layer.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) layer: Layer,
    /// Whether a ReLU follows; none does after the last.
    pub(super) relu: bool,
}

/// Whose order of axes the tensors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axes {
    /// O I H W, output by input, C H W flattened.
    Torch,
    /// H W I O, input by output, H W C flattened.
    TensorFlow,
}

impl Axes {
    pub(super) fn filters(self) -> FilterLayout {
        match self {
            Self::Torch => FilterLayout::Oihw,
            Self::TensorFlow => FilterLayout::Hwio,
        }
    }

    pub(super) fn matrix(self) -> MatrixLayout {
        match self {
            Self::Torch => MatrixLayout::OutIn,
            Self::TensorFlow => MatrixLayout::InOut,
        }
    }

    fn flatten(self) -> FlattenOrder {
        match self {
            Self::Torch => FlattenOrder::Chw,
            Self::TensorFlow => FlattenOrder::Hwc,
        }
    }

    /// A convolution over all positions, or over one, is a dense layer: its filters as a matrix.
    pub(super) fn dense(self, weight: &Tensor) -> Option<Tensor> {
        let shape = match (weight.shape(), self) {
            ([_, _], _) => return Some(weight.clone()),
            _ if weight.is_empty() => return None,
            (&[o, i, h, w], Self::Torch) => vec![o, i * h * w],
            (&[h, w, i, o], Self::TensorFlow) => vec![h * w * i, o],
            _ => return None,
        };
        let copy = || Tensor::from_f32(shape.clone(), &weight.to_vec());
        Some(weight.reshaped(shape.clone()).unwrap_or_else(copy))
    }
}

/// A VGG as its file has it.
#[derive(Clone, Debug)]
pub(super) struct Vgg {
    pub(super) axes: Axes,
    /// Convolutions, by the pool that they stand before.
    pub(super) blocks: Vec<Vec<Layer>>,
    pub(super) batch_norm: bool,
    /// Whether the map before a head over 7 x 7 positions is averaged to that many, as torchvision does.
    pub(super) adaptive: bool,
    /// Dense layers, in order, at least one.
    pub(super) head: Vec<Dense>,
    pub(super) normalization: Normalization,
    pub(super) evidence: Evidence,
}

/// The VGG that the names of `weights` speak for.
pub(super) fn classifier(
    weights: &Weights,
    input_size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    let vgg = match torch::read(weights)? {
        Some(vgg) => vgg,
        None => tensorflow::read(weights)?.ok_or_else(|| unknown(weights))?,
    };
    Ok(Classifier {
        network: network(&vgg, input_size)?,
        normalization: vgg.normalization,
        normalization_evidence: vgg.evidence,
        labels: None,
        notes: vec![],
    })
}

/// Names of tensors that speak for another family, and the family.
const FAMILIES: [(&str, &str); 9] = [
    ("layer1.0.", "a ResNet or a relative of it"),
    ("denseblock1.", "a DenseNet"),
    ("patch_embed.", "a vision transformer"),
    ("encoder_layer_0.", "a vision transformer"),
    ("Mixed_5b.", "an Inception"),
    ("inception3a.", "a GoogLeNet"),
    ("_blocks.0.", "an EfficientNet"),
    ("blocks.0.0.", "an EfficientNet or a MobileNet"),
    ("conv5_block3_", "a ResNet of Keras"),
];

fn unknown(weights: &Weights) -> ArchitectureError {
    let has = |part: &str| {
        let mut names = weights.tensors.keys();
        names.any(|name| name.replace('/', ".").contains(part))
    };
    ArchitectureError::Unknown {
        family: FAMILIES
            .into_iter()
            .find_map(|(part, family)| has(part).then_some(family)),
        found: names(weights),
    }
}

/// The depth that goes with these convolutions, by block.
pub(super) fn depth(blocks: &[Vec<Layer>]) -> Result<usize, ArchitectureError> {
    let found: Vec<usize> = blocks.iter().map(Vec::len).collect();
    match VGG.iter().find(|(_, known)| *known == found[..]) {
        Some((depth, _)) => Ok(*depth),
        None => Err(ArchitectureError::UnknownDepth { found }),
    }
}

fn network(vgg: &Vgg, input_size: Option<usize>) -> Result<Network, ArchitectureError> {
    let depth = depth(&vgg.blocks)?;
    let first = &vgg.head[0].layer;
    let last = vgg.blocks.last().and_then(|block| block.last());
    let last = last.expect("no depth has an empty block");
    let side = side(first, last, vgg.axes)?;
    let adaptive = vgg.adaptive && side == Some(BINS);
    let size = check_size(side, adaptive, input_size)?;

    let norm = if vgg.batch_norm { "_bn" } else { "" };
    let mean = if side.is_none() { "-gap" } else { "" };
    let mut network = Network::new(format!("vgg{depth}{norm}{mean}"), Shape::new(3, size, size));
    for (block, layers) in (1..).zip(&vgg.blocks) {
        for (i, layer) in (1..).zip(layers) {
            let op = Op::Conv2d {
                weight: layer.weight.clone(),
                bias: layer.bias.clone(),
                layout: vgg.axes.filters(),
                window: Window::square(3, 1, 1),
                groups: 1,
            };
            network.also_call(&layer.name, format!("conv{block}_{i}"));
            network.chain(format!("conv{block}_{i}"), op)?;
            network.chain(format!("relu{block}_{i}"), Op::RELU)?;
        }
        network.chain(format!("pool{block}"), Op::MaxPool(Window::square(2, 2, 0)))?;
    }
    if adaptive && size / STRIDE != BINS {
        network.chain("avgpool", Op::AdaptiveAvgPool([BINS; 2]))?;
    }
    match side {
        None => network.chain("mean", Op::GlobalMean)?,
        Some(_) => network.chain("flatten", Op::Flatten(vgg.axes.flatten()))?,
    };
    for (number, Dense { layer, relu }) in (6..).zip(&vgg.head) {
        let op = Op::Linear {
            weight: layer.weight.clone(),
            bias: layer.bias.clone(),
            layout: vgg.axes.matrix(),
        };
        let name = match vgg.head.len() {
            1 => "classifier".into(),
            _ => format!("fc{number}"),
        };
        network.chain(name, op)?;
        if *relu {
            network.chain(format!("relu{number}"), Op::RELU)?;
        }
    }
    Ok(network)
}

/// Positions along each side that the first dense layer reads; `None` for a layer over their mean.
fn side(first: &Layer, last: &Layer, axes: Axes) -> Result<Option<usize>, ArchitectureError> {
    let (outputs, inputs) = match axes {
        Axes::Torch => (0, 1),
        Axes::TensorFlow => (3, 0),
    };
    let length = |tensor: &Tensor, axis: usize| tensor.shape().get(axis).copied().unwrap_or(0);
    let (rows, channels) = (length(&first.weight, inputs), length(&last.weight, outputs));
    let positions = rows.checked_div(channels).unwrap_or(0);
    let side = positions.isqrt();
    let fits = side * side == positions && positions * channels == rows;
    if !fits || !(1..=MAX_SIDE / STRIDE).contains(&side) {
        return Err(ArchitectureError::HeadRows {
            layer: first.name.clone(),
            found: first.weight.shape().to_vec(),
            rows,
            channels,
        });
    }
    Ok((side > 1).then_some(side))
}

/// Pixels along each side, as asked for or as the head wants them.
fn check_size(
    side: Option<usize>,
    adaptive: bool,
    asked: Option<usize>,
) -> Result<usize, ArchitectureError> {
    let only = side.map(|side| side * STRIDE);
    let size = asked.or(only).unwrap_or(USUAL_SIZE);
    let fits = match only {
        Some(_) if adaptive => (STRIDE..=MAX_SIDE).contains(&size),
        Some(only) => size == only,
        None => size.is_multiple_of(STRIDE) && (STRIDE..=MAX_SIDE).contains(&size),
    };
    let allowed = || match only {
        Some(_) if adaptive => format!("{STRIDE} to {MAX_SIDE}"),
        Some(only) => format!("{only}, by its first dense layer"),
        None => format!("any multiple of {STRIDE} up to {MAX_SIDE}"),
    };
    fits.then_some(size)
        .ok_or_else(|| ArchitectureError::InputSize {
            asked: size,
            allowed: allowed(),
        })
}

/// The name that torchvision has for each layer with weights, when `network` is a VGG whose names tell all of it: what
/// [`torch`] reads back as the same network.
pub(crate) fn torch_names(network: &Network) -> Option<Vec<(NodeId, String)>> {
    let Shape { h, w, .. } = network.input_shape();
    let chained = |(i, node): (usize, &Node)| node.inputs == [NodeId(i)];
    if h != w || !h.is_multiple_of(STRIDE) || !network.nodes[1..].iter().enumerate().all(chained) {
        return None;
    }
    let mut names = vec![];
    let mut counts = vec![0];
    let mut module = 0;
    let mut nodes = (1..).map(NodeId).zip(&network.nodes[1..]).peekable();
    while counts.len() <= 5 {
        match &nodes.next()? {
            (id, node) if is_3x3(&node.op) => {
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

fn is_3x3(op: &Op) -> bool {
    matches!(op, Op::Conv2d { window, groups: 1, .. } if window.is_3x3_same())
}
