//! From tensor names and shapes to a network: joins what `weights` read with what `network` can say.

mod affine;
mod onnx;

use crate::network::{
    FilterLayout, FlattenOrder, MatrixLayout, Network, NetworkError, Op, Shape, Window,
};
use crate::preprocess::Normalization;
use crate::weights::onnx::Graph;
use crate::weights::{Tensor, Weights};

pub use onnx::GraphError;

/// A network with what its weights file tells about its use.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    /// How pictures are scaled for it.
    pub normalization: Normalization,
    /// Whether the file or its origin says so; otherwise it is a guess from the tensors' names.
    pub normalization_is_known: bool,
    /// Class names from the file, a JSON list of strings.
    pub labels: Option<String>,
}

/// Why weights make no network.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// Neither of the naming schemes that are known.
    #[error(
        "these are not the weights of a VGG: expected layers conv1_1 ... fc8 (tensorflow-vgg) or features.0.weight ... \
         classifier (torchvision), found {found}"
    )]
    Unknown {
        /// The first few tensor names.
        found: String,
    },
    /// A layer that every VGG has.
    #[error("layer {layer} is missing; the file has {found}")]
    MissingLayer {
        /// Its name.
        layer: String,
        /// What there is.
        found: String,
    },
    /// Convolutions of none of the four VGGs.
    #[error(
        "{found:?} convolutions in the five blocks: VGG 11, 13, 16 and 19 have {}",
        known_depths()
    )]
    UnknownDepth {
        /// Convolutions in each block.
        found: Vec<usize>,
    },
    /// Metadata that contradicts itself.
    #[error("the metadata's {key} is {value:?}, expected {expected}")]
    Metadata {
        /// Its key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// Layers whose shapes do not fit one another.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A graph that is not a network of the kind that is run here.
    #[error(transparent)]
    Graph(#[from] Box<GraphError>),
}

/// Depth and convolutions in each of the five blocks (Simonyan and Zisserman 2014, table 1).
const VGG: [(usize, [usize; 5]); 4] = [
    (11, [1, 1, 2, 2, 2]),
    (13, [2, 2, 2, 2, 2]),
    (16, [2, 2, 3, 3, 3]),
    (19, [2, 2, 4, 4, 4]),
];

fn known_depths() -> String {
    let rows: Vec<String> = VGG
        .iter()
        .map(|(_, blocks)| format!("{blocks:?}"))
        .collect();
    rows.join(", ")
}

const INPUT_SIZE: usize = 224;

/// Weights and bias of a layer.
struct Layer<'a> {
    weight: &'a Tensor,
    bias: Option<&'a Tensor>,
}

/// The network that `weights` belong to.
pub fn recognise(weights: &Weights) -> Result<Classifier, ArchitectureError> {
    if let Some(graph) = &weights.graph {
        return onnx_graph(graph, weights);
    }
    let has = |name: &str| weights.tensor(name).is_some();
    if has("conv1_1/0") {
        tensorflow_vgg(weights)
    } else if has("features.0.weight") {
        torchvision_vgg(weights)
    } else {
        Err(ArchitectureError::Unknown {
            found: names(weights),
        })
    }
}

/// The network that an ONNX `graph` computes. Where it leaves the picture's size open, `size` rows and columns.
pub fn graph_network(graph: &Graph, size: usize) -> Result<Network, GraphError> {
    onnx::network(graph, size)
}

/// The file's own graph; it says nothing of how pictures are scaled, except in its metadata.
fn onnx_graph(graph: &Graph, weights: &Weights) -> Result<Classifier, ArchitectureError> {
    let network = graph_network(graph, input_size(weights)?).map_err(Box::new)?;
    let normalization = normalization(weights)?;
    Ok(Classifier {
        network,
        normalization: normalization.unwrap_or(Normalization::TORCH),
        normalization_is_known: normalization.is_some(),
        labels: weights.metadata.get("labels").cloned(),
    })
}

/// tensorflow-vgg's dict: `conv1_1/0` filters (H W I O), `conv1_1/1` biases, to `fc8`; rows of fc6 in H W C order.
fn tensorflow_vgg(weights: &Weights) -> Result<Classifier, ArchitectureError> {
    let blocks: Vec<usize> = (1..=5)
        .map(|block| {
            (1..=9)
                .take_while(|i| weights.tensor(&format!("conv{block}_{i}/0")).is_some())
                .count()
        })
        .collect();
    let depth = depth(&blocks)?;
    let layer = |name: &str| {
        let missing = || ArchitectureError::MissingLayer {
            layer: name.into(),
            found: names(weights),
        };
        Ok::<_, ArchitectureError>(Layer {
            weight: weights.tensor(&format!("{name}/0")).ok_or_else(missing)?,
            bias: weights.tensor(&format!("{name}/1")),
        })
    };
    let mut network = Network::new(format!("vgg{depth}"), Shape::new(3, INPUT_SIZE, INPUT_SIZE));
    for (block, &convolutions) in (1..).zip(&blocks) {
        for i in 1..=convolutions {
            let name = format!("{block}_{i}");
            convolution(
                &mut network,
                &name,
                &layer(&format!("conv{name}"))?,
                FilterLayout::Hwio,
            )?;
        }
        network.chain(format!("pool{block}"), Op::MaxPool(Window::square(2, 2, 0)))?;
    }
    let head = [layer("fc6")?, layer("fc7")?, layer("fc8")?];
    network.chain("flatten", Op::Flatten(FlattenOrder::Hwc))?;
    dense_head(&mut network, &head, MatrixLayout::InOut)?;
    Ok(Classifier {
        network,
        normalization: Normalization::CAFFE,
        normalization_is_known: true,
        labels: None,
    })
}

/// torchvision's names: `features.0.weight` (O I H W) and on, then `classifier.{0,3,6}` or one `classifier` over the
/// mean of all positions.
fn torchvision_vgg(weights: &Weights) -> Result<Classifier, ArchitectureError> {
    // Modules of `features` are numbered through: convolution, ReLU, ..., and one pool after each block.
    let mut blocks = vec![0];
    let mut convolutions = vec![];
    let mut module = 0;
    loop {
        let name = |module: usize, what: &str| format!("features.{module}.{what}");
        if let Some(weight) = weights.tensor(&name(module, "weight")) {
            let bias = weights.tensor(&name(module, "bias"));
            convolutions.push(Layer { weight, bias });
            *blocks.last_mut().expect("starts with one") += 1;
            module += 2;
        } else if weights.tensor(&name(module + 1, "weight")).is_some() {
            blocks.push(0);
            module += 1;
        } else {
            break;
        }
    }
    let depth = depth(&blocks)?;
    let size = input_size(weights)?;
    let layer = |name: &str| {
        Some(Layer {
            weight: weights.tensor(&format!("{name}.weight"))?,
            bias: weights.tensor(&format!("{name}.bias")),
        })
    };
    let mean_head = layer("classifier");
    let architecture = match mean_head {
        Some(_) => format!("vgg{depth}-gap"),
        None => format!("vgg{depth}"),
    };
    let mut network = Network::new(architecture, Shape::new(3, size, size));
    let mut next = convolutions.iter();
    for (block, &count) in (1..).zip(&blocks) {
        for (i, layer) in (1..=count).zip(&mut next) {
            convolution(
                &mut network,
                &format!("{block}_{i}"),
                layer,
                FilterLayout::Oihw,
            )?;
        }
        network.chain(format!("pool{block}"), Op::MaxPool(Window::square(2, 2, 0)))?;
    }
    if let Some(layer) = mean_head {
        network.chain("mean", Op::GlobalMean)?;
        network.chain("classifier", linear(&layer, MatrixLayout::OutIn))?;
    } else {
        let [fc6, fc7, fc8] = ["classifier.0", "classifier.3", "classifier.6"].map(|name| {
            layer(name).ok_or_else(|| ArchitectureError::MissingLayer {
                layer: name.into(),
                found: names(weights),
            })
        });
        network.chain("flatten", Op::Flatten(FlattenOrder::Chw))?;
        dense_head(&mut network, &[fc6?, fc7?, fc8?], MatrixLayout::OutIn)?;
    }
    let normalization = normalization(weights)?;
    Ok(Classifier {
        network,
        normalization: normalization.unwrap_or(Normalization::TORCH),
        normalization_is_known: normalization.is_some(),
        labels: weights.metadata.get("labels").cloned(),
    })
}

fn convolution(
    network: &mut Network,
    number: &str,
    layer: &Layer<'_>,
    layout: FilterLayout,
) -> Result<(), NetworkError> {
    let op = Op::Conv2d {
        weight: layer.weight.clone(),
        bias: layer.bias.cloned(),
        layout,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    network.chain(format!("conv{number}"), op)?;
    network.chain(format!("relu{number}"), Op::Relu)?;
    Ok(())
}

fn linear(layer: &Layer<'_>, layout: MatrixLayout) -> Op {
    Op::Linear {
        weight: layer.weight.clone(),
        bias: layer.bias.cloned(),
        layout,
    }
}

fn dense_head(
    network: &mut Network,
    layers: &[Layer<'_>; 3],
    layout: MatrixLayout,
) -> Result<(), NetworkError> {
    let [fc6, fc7, fc8] = layers;
    network.chain("fc6", linear(fc6, layout))?;
    network.chain("relu6", Op::Relu)?;
    network.chain("fc7", linear(fc7, layout))?;
    network.chain("relu7", Op::Relu)?;
    network.chain("fc8", linear(fc8, layout))?;
    Ok(())
}

fn depth(blocks: &[usize]) -> Result<usize, ArchitectureError> {
    let found = VGG.iter().find(|(_, known)| known == blocks);
    found
        .map(|&(depth, _)| depth)
        .ok_or_else(|| ArchitectureError::UnknownDepth {
            found: blocks.to_vec(),
        })
}

fn input_size(weights: &Weights) -> Result<usize, ArchitectureError> {
    let Some(value) = weights.metadata.get("input_size") else {
        return Ok(INPUT_SIZE);
    };
    // Five pools halve it; larger than 4096 and its activations outgrow every adapter.
    let parsed = value.parse().ok().filter(|size| (32..=4096).contains(size));
    parsed.ok_or_else(|| ArchitectureError::Metadata {
        key: "input_size",
        value: value.clone(),
        expected: "a number of pixels from 32 to 4096",
    })
}

/// What the metadata says, if anything.
fn normalization(weights: &Weights) -> Result<Option<Normalization>, ArchitectureError> {
    let Some(value) = weights.metadata.get("preprocessing") else {
        return Ok(None);
    };
    let name = value.split(':').next().unwrap_or("").trim();
    let found = Normalization::named(name).ok_or_else(|| ArchitectureError::Metadata {
        key: "preprocessing",
        value: value.clone(),
        expected: "caffe, torch, tf, unit or none, perhaps a colon and a remark",
    })?;
    Ok(Some(found))
}

/// The first few tensor names, for an error.
fn names(weights: &Weights) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<&str> = weights
        .tensors
        .keys()
        .take(SHOWN)
        .map(String::as_str)
        .collect();
    if weights.tensors.len() > SHOWN {
        names.push("...");
    }
    names.join(", ")
}
