//! How a model of Keras wants its pixels: by its own first layers, else as a guess.

use serde_json::Value;

use super::{KerasModelError, Layer};
use crate::architectures::Evidence;
use crate::architectures::prefix::Pixels;
use crate::preprocess::Normalization;
use crate::weights::Tensor;

/// What a model does with pixels itself is known; names of layers are a guess, since whoever trained a network may have used
/// anything.
pub(super) fn normalization(
    pixels: Option<&Pixels>,
    layers: &[Layer],
) -> (Normalization, Evidence) {
    if let Some(known) = pixels.and_then(|pixels| pixels.normalization(false)) {
        return known;
    }
    let has = |name: &str| layers.iter().any(|layer| layer.name == name);
    if !has("block1_conv1") {
        let reason = "pixels in 0..1 are the most common in Keras";
        return (Normalization::UNIT, Evidence::Guess(reason));
    }
    let reason = "keras.applications' VGG takes them so";
    (Normalization::CAFFE, Evidence::Guess(reason))
}

/// `pixels` after `Rescaling` (v scale + offset) or `Normalization` ((v - mean) / sqrt(variance), or its inverse).
pub(super) fn rescaled(pixels: &Pixels, layer: &Layer) -> Result<Pixels, KerasModelError> {
    let config = |key: &str| numbers(&layer.config[key]);
    let (scale, offset) = if layer.class == "Rescaling" {
        let offset = config("offset");
        let offset = if offset.is_empty() { vec![0.0] } else { offset };
        (config("scale"), offset)
    } else {
        // Given when it was made, or measured and kept as weights: mean, variance, count.
        let given = |key: &str, i: usize| match config(key) {
            values if values.is_empty() => {
                let values = layer.weights.get(i).map(Tensor::to_vec).unwrap_or_default();
                values.into_iter().map(f64::from).collect::<Vec<_>>()
            }
            values => values,
        };
        let mean = given("mean", 0);
        // Keras' own epsilon.
        let deviation = given("variance", 1).into_iter();
        let deviation: Vec<f64> = deviation
            .map(|variance| variance.sqrt().max(1e-7))
            .collect();
        if layer.config["invert"].as_bool() == Some(true) {
            (deviation, mean)
        } else {
            let scale: Vec<f64> = deviation.into_iter().map(f64::recip).collect();
            // One number of either kind goes with one a channel of the other.
            let longest = scale.len().max(mean.len());
            let each = |values: &[f64], c: usize| match *values {
                [value] => Some(value),
                _ => values.get(c).copied(),
            };
            let offset = (0..longest).map(|c| Some(-each(&mean, c)? * each(&scale, c)?));
            let offset = offset.collect::<Option<Vec<f64>>>().unwrap_or_default();
            (scale, offset)
        }
    };
    pixels
        .scaled(&scale, &offset)
        .ok_or_else(|| layer.unsupported("a scale that is not one number a channel is"))
}

/// The numbers of a value, however deep its lists.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        _ => vec![],
    }
}
