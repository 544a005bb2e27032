//! Keras: from `model_config` where the file has one, else from the names that layers have in keras.applications.
//!
//! Either way the result is a chain of [layers](Layer) in Keras' own words, which [`chain`] turns into a network.

mod bare;
mod chain;
mod config;
mod pixels;
mod store;
mod windows;

use serde_json::Value;

use super::{ArchitectureError, Classifier};
use crate::weights::{Format, Tensor, Weights};

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

/// A layer as Keras describes it.
#[derive(Debug)]
struct Layer {
    class: String,
    name: String,
    config: Value,
    /// In the order of Keras' `get_weights`.
    weights: Vec<Tensor>,
}

impl Layer {
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

/// The network of such a file, over pictures of `size` x `size` pixels where that is asked for.
pub(super) fn classifier(
    weights: &Weights,
    size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    let Some(config) = weights.metadata.get("model_config") else {
        let (name, layers) = bare::layers(weights)?;
        return chain::classifier(&name, &layers, size);
    };
    let config: Value =
        serde_json::from_str(config).map_err(|_| KerasModelError::Config("it is no JSON"))?;
    let layers = config::layers(&config, weights)?;
    let name = config["config"]["name"].as_str().unwrap_or("keras");
    chain::classifier(name, &layers, size)
}
