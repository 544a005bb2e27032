//! Why weights make no network.

use super::{GraphError, KerasModelError, NodeListError, several, vgg};
use crate::network::NetworkError;

/// Why weights make no network.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// None of the naming schemes that are known.
    #[error(
        "names of no network that is known{}: expected those of torchvision or timm for a VGG, a ResNet, an EfficientNet or another \
         family of convolutions, or conv1_1 ... fc8 of tensorflow-vgg; found {found}{ADVICE}",
        family.map(|family| format!(", perhaps {family} of another kind")).unwrap_or_default()
    )]
    Unknown {
        /// What the names speak for.
        family: Option<&'static str>,
        /// The first few tensor names.
        found: String,
    },
    /// A layer that this VGG needs.
    #[error("layer {layer} is missing; the file has {found}")]
    MissingLayer {
        /// Its name.
        layer: String,
        /// What there is.
        found: String,
    },
    /// Convolutions of none of the four VGGs.
    #[error(
        "names of no family that is known, and no VGG: {found:?} convolutions in its blocks, where VGG 11, 13, 16 and 19 have {}, and no network of the \
         kind has fewer in a later block{ADVICE}",
        vgg::known_depths()
    )]
    UnknownDepth {
        /// Convolutions in each block.
        found: Vec<usize>,
    },
    /// A gap in the numbers of the modules that a VGG has not.
    #[error(
        "names of no family that is known, and no VGG: {modules} modules without weights between {first} and {second}, where a VGG has a ReLU, or a \
         ReLU and a pool{ADVICE}"
    )]
    UnknownModules {
        /// The layer before.
        first: String,
        /// The layer after.
        second: String,
        /// How many.
        modules: usize,
    },
    /// A batch norm elsewhere than after a convolution or a dense layer.
    #[error("batch norm {layer} does not directly follow a convolution or a dense layer{ADVICE}")]
    LoneBatchNorm {
        /// Its name.
        layer: String,
    },
    /// A batch norm whose numbers cannot be used.
    #[error("batch norm {layer}: {problem}")]
    BatchNorm {
        /// Its name.
        layer: String,
        /// What is wrong.
        problem: BatchNormProblem,
    },
    /// Several networks side by side: a teacher and a student, the two halves of a pair.
    #[error(
        "the file holds several networks, their tensors named {}, and does not say which is meant: keep one of them in a file of its own{}",
        several::listed(prefixes), several::extraction(&prefixes[prefixes.len() - 1])
    )]
    SeveralNetworks {
        /// What stands before the names of each.
        prefixes: Vec<String>,
    },
    /// A tensor that the network which the others speak for has not: to leave it out would compute another one.
    #[error(
        "tensor {name} belongs to no layer of the network that the other names speak for{ADVICE}"
    )]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A residual block whose input has another shape than what it adds to it, without weights that would bring it there.
    #[error(
        "block {layer} changes the map's shape, and the file has no projection of its input: how programs cut and pad that is theirs{ADVICE}"
    )]
    Shortcut {
        /// The block.
        layer: String,
    },
    /// Convolutions and nothing after them.
    #[error(
        "convolutions without a classifier: there are no classes to explain; the file has {found}"
    )]
    NoHead {
        /// What there is.
        found: String,
    },
    /// Dense layers that make more than one chain.
    #[error(
        "names do not tell how the dense layers belong together: {}{ADVICE}", readings.join("; or ")
    )]
    Heads {
        /// Their names in the orders that their shapes allow.
        readings: Vec<String>,
    },
    /// Pictures of neither colours nor grey.
    #[error("layer {layer} reads {channels} channels: a picture has 3, or 1 in grey")]
    Channels {
        /// The first convolution.
        layer: String,
        /// How many it reads.
        channels: usize,
    },
    /// A dense layer outside the part that was recognised, as wide as its classes.
    #[error("layer {layer} goes on where {last} ends, in a way that names do not tell{ADVICE}")]
    Stacked {
        /// The layer outside.
        layer: String,
        /// The last layer that was recognised.
        last: String,
    },
    /// A first dense layer that fits no square of positions.
    #[error(
        "layer {layer}: its weights have shape {found:?}, and {rows} inputs are no square of positions for the \
         {channels} channels before it"
    )]
    HeadRows {
        /// The first dense layer.
        layer: String,
        /// Shape of its weights.
        found: Vec<usize>,
        /// Its inputs.
        rows: usize,
        /// Outputs of the last convolution.
        channels: usize,
    },
    /// Pictures of a size that the network cannot take.
    #[error("pictures of {asked} pixels do not fit: this network takes {allowed}")]
    InputSize {
        /// Pixels along each side.
        asked: usize,
        /// What would do.
        allowed: String,
    },
    /// An output of a file whose network has but one.
    #[error(
        "the file names no outputs, so there is no {wanted:?} to take; what is written is said by --outputs"
    )]
    NoOutputs {
        /// What was asked for.
        wanted: String,
    },
    /// A network of attention over tokens.
    #[error(
        "{kind}: attention over tokens is not supported; networks of convolutions are, such as a ResNet, \
         an EfficientNet or a ConvNeXt"
    )]
    Transformer {
        /// What it is, in words.
        kind: String,
    },
    /// A network of Ultralytics' with attention, by names alone.
    #[error(
        "a YOLO with attention between positions (YOLO11 and newer), whose tensors' names do not tell how they go \
         together{ADVICE}: yolo export model=FILE.pt format=onnx"
    )]
    Yolo,
    /// An architecture that the tensors' names do not allow.
    #[error("this is no {asked}: its tensors are named as those of {allowed} are")]
    Architecture {
        /// As it was asked for.
        asked: String,
        /// What there is to choose from.
        allowed: String,
    },
    /// A choice of the architecture for a file that leaves none.
    #[error("the file leaves no choice of what network it is, {asked} or another")]
    NoArchitectures {
        /// As it was asked for.
        asked: String,
    },
    /// A pickled network with a module that its tensors' names do not speak for.
    #[error(
        "module {name:?} is a {class}{settings}, where networks of such names have something else{ADVICE}"
    )]
    Module {
        /// Its path.
        name: String,
        /// Its Python class.
        class: String,
        /// What the class was made with, as text.
        settings: String,
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
    /// A graph in the metadata that makes no network.
    #[error("the metadata's graph: {0}")]
    NodeList(Box<NodeListError>),
    /// A model of Keras with something that is not supported.
    #[error(transparent)]
    Keras(#[from] KerasModelError),
    /// Layers whose shapes do not fit one another.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A graph that is not a network of the kind that is run here.
    #[error(transparent)]
    Graph(#[from] Box<GraphError>),
}

impl From<NodeListError> for ArchitectureError {
    fn from(error: NodeListError) -> Self {
        Self::NodeList(Box::new(error))
    }
}

/// What to do with a network that its tensors' names do not tell.
pub(super) const ADVICE: &str = "; export the network as ONNX, which holds it all";

/// What is wrong with a batch norm's numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchNormProblem {
    /// A tensor that it needs.
    #[error("its {0} is missing")]
    Missing(&'static str),
    /// A tensor that is not one value a channel.
    #[error("its {what} has shape {found:?}, expected [{expected}]")]
    Shape {
        /// Which.
        what: &'static str,
        /// Shape in the file.
        found: Vec<usize>,
        /// Channels of the layer before it.
        expected: usize,
    },
    /// A variance below zero, or values that are not numbers.
    #[error(
        "channel {0} has no finite factor: a variance below zero, or a value that is not a number"
    )]
    NotFinite(usize),
}
