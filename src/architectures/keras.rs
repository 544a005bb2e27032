//! Keras: from `model_config` where the file has one, else from the names that layers have in keras.applications.
//!
//! Either way the result is a [`Model`] in Keras' own words: its [layers](KerasLayer), each after what it reads, which [`build`]
//! turns into a network.

mod activations;
pub(super) mod applications;
mod arithmetic;
mod arrange;
mod bare;
mod build;
mod channels;
mod config;
mod entry;
mod layers;
mod links;
mod nodes;
mod operands;
mod outputs;
mod picture;
mod sizes;
mod steps;
mod store;
mod value;
mod windows;

use serde_json::Value;

use super::{ArchitectureError, Classifier};
use crate::weights::{Format, Tensor, Weights};
use links::{Argument, Call};

/// Why a model of Keras makes no network.
#[derive(Debug, thiserror::Error)]
pub enum KerasModelError {
    /// The architecture is no JSON, or not as Keras writes it.
    #[error("the model's architecture is damaged: {0}")]
    Config(&'static str),
    /// A layer, or a way of using it, that the engine does not have.
    #[error("layer {layer:?} ({class}): {what} not supported")]
    Unsupported {
        /// Its name.
        layer: String,
        /// Its class in Keras.
        class: String,
        /// What is not, as the subject of a sentence.
        what: String,
    },
    /// A layer that is a piece of Python.
    #[error(
        "layer {layer:?} ({class}) is Python code, which is not run here: say the same with layers of Keras \
         (Rescaling, Activation ...), or export the network as ONNX"
    )]
    Code {
        /// Its name.
        layer: String,
        /// Its class in Keras.
        class: String,
    },
    /// Several outputs that may be class scores.
    #[error(
        "the model has several outputs that may be class scores, {}: --output NAME says which to explain",
        names.join(", ")
    )]
    Outputs {
        /// Their names.
        names: Vec<String>,
    },
    /// An output that is not there.
    #[error("the model has no output {wanted:?}; it has {}", names.join(", "))]
    NoOutput {
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: Vec<String>,
    },
    /// A layer without the weights that its class has.
    #[error("layer {layer:?} has {found} weights, expected {expected}")]
    Weights {
        /// Its name.
        layer: String,
        /// How many there are.
        found: usize,
        /// Their names in Keras.
        expected: &'static str,
    },
    /// A network that ends in a feature map.
    #[error(
        "the network ends in {layer:?}, without a layer that gives classes: this is a base (include_top=False); give \
         the file of the whole model"
    )]
    NoHead {
        /// Its last layer.
        layer: String,
    },
    /// A file of weights alone that may belong to several networks.
    #[error(
        "these are weights alone, and {layer:?} can be used in several ways: save the whole model (model.save)"
    )]
    Ambiguous {
        /// The layer.
        layer: String,
    },
    /// A file of weights alone whose layers have no known names.
    #[error(
        "these are weights alone, and not those of a VGG of keras.applications (block1_conv1 ...): save the whole \
         model (model.save); found {found}"
    )]
    Unknown {
        /// The first few layers.
        found: String,
    },
}

/// One use of a layer as Keras describes it, or of an operation.
#[derive(Debug)]
struct KerasLayer {
    class: String,
    name: String,
    config: Value,
    /// In the order of Keras' `get_weights`.
    weights: Vec<Tensor>,
    arguments: Call<Source>,
}

/// A value of a layer: its place in the list of layers, and which of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    layer: usize,
    output: usize,
}

/// The version of Keras, as far as functions have another meaning in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// The second, or one before it.
    Two,
    Three,
}

/// Layers in an order in which a picture passes them.
#[derive(Debug)]
struct Model {
    name: String,
    layers: Vec<KerasLayer>,
    /// With their names.
    outputs: Vec<(String, Source)>,
    /// Which Keras wrote it.
    version: Version,
    /// What was assumed, a sentence each.
    notes: Vec<String>,
}

impl Model {
    /// Layers that each read the one before them.
    fn in_a_row(name: &str, mut layers: Vec<KerasLayer>) -> Self {
        let source = |layer| Source { layer, output: 0 };
        for (i, layer) in layers.iter_mut().enumerate().skip(1) {
            layer.arguments = vec![(None, Argument::Value(source(i - 1)))];
        }
        let last = layers.len().saturating_sub(1);
        let output = layers
            .last()
            .map(|layer| (layer.name.clone(), source(last)));
        Self {
            name: name.into(),
            layers,
            outputs: output.into_iter().collect(),
            version: Version::Three,
            notes: vec![],
        }
    }
}

impl KerasLayer {
    fn unsupported(&self, what: impl Into<String>) -> KerasModelError {
        KerasModelError::Unsupported {
            layer: self.name.clone(),
            class: self.class.clone(),
            what: what.into(),
        }
    }
}

/// Whether a file is one that Keras writes.
pub(super) fn wrote(weights: &Weights) -> bool {
    matches!(weights.format, Format::Hdf5 | Format::Keras)
}

/// Whether a file has the whole model, and so the names of its outputs.
pub(super) fn is_model(weights: &Weights) -> bool {
    wrote(weights) && weights.metadata.contains_key("model_config")
}

/// The network of such a file, over pictures of `size` x `size` pixels and up to `output` where that is asked for.
pub(super) fn classifier(
    weights: &Weights,
    size: Option<usize>,
    output: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let model = match weights.metadata.get("model_config") {
        None => bare::model(weights)?,
        Some(config) => {
            let config: Value = serde_json::from_str(config)
                .map_err(|_| KerasModelError::Config("it is no JSON"))?;
            config::model(&config, weights)?
        }
    };
    outputs::classifier(&model, size, output)
}
