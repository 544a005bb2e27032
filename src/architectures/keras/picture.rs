//! How a model of Keras wants its pixels: by its own first layers, else as a guess.

use super::steps::numbers;
use super::{KerasLayer, KerasModelError, applications};
use crate::architectures::Evidence;
use crate::picture::preprocess::Normalization;
use crate::weights::Tensor;

/// How pixels are scaled for a model that does nothing to them itself.
pub(super) fn usual(layers: &[KerasLayer]) -> (Normalization, Evidence) {
    let is = |name: &str| {
        // Of a model within another the last part.
        let mut names = layers.iter().map(|layer| layer.name.rsplit('/').next());
        names.any(|last| last == Some(name))
    };
    applications::scaling(is).unwrap_or_else(|| {
        let reason = "pixels in 0..1 are the most common in Keras";
        (Normalization::UNIT, Evidence::Guess(reason))
    })
}

/// Factors and summands of `Rescaling` (v scale + offset) or `Normalization` ((v - mean) / sqrt(variance), or its inverse), each
/// one number or one a channel.
pub(super) fn rescaling(layer: &KerasLayer) -> Result<[Vec<f64>; 2], KerasModelError> {
    let config = |key: &str| numbers(&layer.config[key]);
    if layer.class == "Rescaling" {
        let offset = config("offset");
        let offset = if offset.is_empty() { vec![0.0] } else { offset };
        return Ok([config("scale"), offset]);
    }
    // Given when it was made, or measured and kept as weights: mean, variance, count.
    let given = |key: &str, i: usize| match config(key) {
        values if values.is_empty() => {
            let values = layer.weights.get(i).map(Tensor::to_vec).unwrap_or_default();
            values.into_iter().map(f64::from).collect::<Vec<_>>()
        }
        values => values,
    };
    let mean = given("mean", 0);
    let variance = given("variance", 1);
    if mean.is_empty() || variance.is_empty() {
        return Err(KerasModelError::Weights {
            layer: layer.name.clone(),
            found: layer.weights.len(),
            expected: "mean and variance",
        });
    }
    // Keras' own epsilon.
    let deviation = variance
        .into_iter()
        .map(|variance| variance.sqrt().max(1e-7));
    let deviation: Vec<f64> = deviation.collect();
    if layer.config["invert"].as_bool() == Some(true) {
        return Ok([deviation, mean]);
    }
    let scale: Vec<f64> = deviation.into_iter().map(f64::recip).collect();
    // One number of either kind goes with one a channel of the other.
    let longest = scale.len().max(mean.len());
    let each = |values: &[f64], c: usize| match *values {
        [value] => Some(value),
        _ => values.get(c).copied(),
    };
    let offset = (0..longest).map(|c| Some(-each(&mean, c)? * each(&scale, c)?));
    let offset = offset.collect::<Option<Vec<f64>>>().unwrap_or_default();
    Ok([scale, offset])
}
