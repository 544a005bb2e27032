//! VGG 11, 13, 16 and 19 (Simonyan and Zisserman 2014) and their like: blocks of convolutions with ReLU, a pool after each,
//! with or without batch norm, under any head of dense layers.

mod size;
mod torch_names;

use super::{ArchitectureError, Classifier, Evidence, names, tensorflow, torch};
use crate::network::{FilterLayout, FlattenOrder, MatrixLayout, Network, Op, Shape, Window};
use crate::picture::preprocess::Normalization;
use crate::weights::{Tensor, Weights};
pub(super) use size::square;
use size::{BINS, Size};
pub(crate) use torch_names::torch_names;

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

/// Of a layer: weights and bias, a batch norm after them folded in.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    /// Its name in the file.
    pub(super) name: String,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

/// A dense layer.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) layer: Parameters,
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

    /// Axes of a convolution's outputs and inputs.
    fn channels(self) -> (usize, usize) {
        match self {
            Self::Torch => (0, 1),
            Self::TensorFlow => (3, 2),
        }
    }

    /// Axes of a matrix's outputs and inputs.
    fn widths(self) -> (usize, usize) {
        match self {
            Self::Torch => (0, 1),
            Self::TensorFlow => (1, 0),
        }
    }

    /// The window of a convolution that keeps the size of its map. Only 3 x 3 and 1 x 1 (the paper's configuration C) are
    /// known to be padded so; the network refuses filters of another size.
    fn window(self, filters: &Tensor) -> Window {
        let taps = match self {
            Self::Torch => filters.shape().get(2..4),
            Self::TensorFlow => filters.shape().get(..2),
        };
        match taps {
            Some([1, 1]) => Window::square(1, 1, 0),
            _ => Window::square(3, 1, 1),
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
    pub(super) blocks: Vec<Vec<Parameters>>,
    pub(super) batch_norm: bool,
    /// Whether the map before a head over 7 x 7 positions is averaged to that many, as torchvision does.
    pub(super) adaptive: bool,
    /// Dense layers, in order, at least one.
    pub(super) head: Vec<Dense>,
    pub(super) normalization: Normalization,
    pub(super) evidence: Evidence,
    /// What names and shapes do not tell, and how it is taken.
    pub(super) notes: Vec<String>,
}

impl Vgg {
    /// Classes.
    fn classes(&self) -> usize {
        let (outputs, _) = self.axes.widths();
        let last = self.head.last();
        last.map_or(0, |dense| length(&dense.layer.weight, outputs))
    }

    /// Outputs of the last convolution.
    pub(super) fn channels(&self) -> usize {
        let last = self.blocks.last().and_then(|block| block.last());
        last.map_or(0, |layer| length(&layer.weight, self.axes.channels().0))
    }

    /// Three for colours, or one for grey.
    fn input_channels(&self) -> Result<usize, ArchitectureError> {
        let first = &self.blocks[0][0];
        match length(&first.weight, self.axes.channels().1) {
            channels @ (1 | 3) => Ok(channels),
            // Filters of another shape are refused with it by the network.
            _ if first.weight.shape().len() != 4 => Ok(3),
            channels => Err(ArchitectureError::Channels {
                layer: first.name.clone(),
                channels,
            }),
        }
    }
}

/// Of an axis that a damaged tensor may lack.
fn length(tensor: &Tensor, axis: usize) -> usize {
    tensor.shape().get(axis).copied().unwrap_or(0)
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
    let (network, taken) = network(&vgg, input_size)?;
    let mut notes = vgg.notes;
    notes.extend(taken);
    Ok(Classifier {
        network,
        normalization: vgg.normalization,
        normalization_evidence: vgg.evidence,
        labels: None,
        notes,
        outputs: vec![],
        steps: None,
        scales_itself: false,
    })
}

/// Names of tensors that speak for another family, and the family.
const FAMILIES: [(&str, &str); 8] = [
    ("layer1.0.", "a ResNet or a relative of it"),
    ("denseblock1.", "a DenseNet"),
    ("patch_embed.", "a vision transformer"),
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

/// What the network is called by its blocks: `vgg16`, or `vgg-2-2-3` where the paper has none of the kind.
///
/// A file that lacks its last convolutions looks like another network: blocks that get shorter are none.
pub(super) fn name(blocks: &[Vec<Parameters>]) -> Result<String, ArchitectureError> {
    let found: Vec<usize> = blocks.iter().map(Vec::len).collect();
    if let Some((depth, _)) = VGG.iter().find(|(_, known)| *known == found[..]) {
        return Ok(format!("vgg{depth}"));
    }
    if found.len() < 2 || found[0] == 0 || !found.is_sorted() {
        return Err(ArchitectureError::UnknownDepth { found });
    }
    let counts: Vec<String> = found.iter().map(usize::to_string).collect();
    Ok(format!("vgg-{}", counts.join("-")))
}

/// The network, and what was taken for granted.
fn network(
    vgg: &Vgg,
    asked: Option<usize>,
) -> Result<(Network, Option<String>), ArchitectureError> {
    let name = name(&vgg.blocks)?;
    let (
        Size {
            pixels,
            side,
            pools,
        },
        note,
    ) = size::choose(vgg, asked)?;
    let adaptive = vgg.adaptive && side == BINS;
    let norm = if vgg.batch_norm { "_bn" } else { "" };
    let mean = if side == 1 { "-gap" } else { "" };
    let channels = vgg.input_channels()?;
    let input = Shape::new(channels, pixels, pixels);
    let mut network = Network::new(format!("{name}{norm}{mean}"), input);
    for (block, layers) in (1..).zip(&vgg.blocks) {
        for (i, layer) in (1..).zip(layers) {
            let op = Op::Conv2d {
                weight: layer.weight.clone(),
                bias: layer.bias.clone(),
                layout: vgg.axes.filters(),
                window: vgg.axes.window(&layer.weight),
                groups: 1,
            };
            network.also_call(&layer.name, format!("conv{block}_{i}"));
            network.chain(format!("conv{block}_{i}"), op)?;
            network.chain(format!("relu{block}_{i}"), Op::RELU)?;
        }
        if block <= pools {
            network.chain(format!("pool{block}"), Op::MaxPool(Window::square(2, 2, 0)))?;
        }
    }
    if adaptive && pixels >> pools != BINS {
        network.chain("avgpool", Op::AdaptiveAvgPool([BINS; 2]))?;
    }
    match side {
        1 => network.chain("mean", Op::GlobalMean)?,
        _ => network.chain("flatten", Op::Flatten(vgg.axes.flatten()))?,
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
    Ok((network, note))
}
