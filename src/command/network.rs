//! Weights as the network that they make, and what messages call them.

use std::path::PathBuf;

use crate::architectures::{self, Classifier, Overrides};
use crate::cli::NetworkFlags;
use crate::command::Error;
use crate::weights::Weights;

/// The network of these weights, with what the user says of it.
pub(super) fn recognise(weights: &Weights, asked: &Overrides<'_>) -> Result<Classifier, Error> {
    architectures::recognise_as(weights, asked).map_err(|source| Error::Architecture {
        path: weights_name(weights),
        source,
    })
}

/// What the flags of a command that measures say of the network.
pub(super) fn overrides(flags: &NetworkFlags) -> Overrides<'_> {
    Overrides {
        input_size: flags.input_size.map(usize::from),
        output: flags.graph_output.as_deref(),
        labels: None,
        architecture: flags.architecture.as_deref(),
    }
}

/// What messages call a weights file.
pub(super) fn weights_name(weights: &Weights) -> PathBuf {
    let built_in = || PathBuf::from("the built-in network");
    weights.path.clone().unwrap_or_else(built_in)
}
