//! How a model of Keras wants its pixels: by its own first layers, else by what it is.

use serde_json::Value;

use super::{KerasModelError, Layer};
use crate::architectures::Evidence;
use crate::network::Network;
use crate::preprocess::Normalization;
use crate::weights::Tensor;

/// What a model does with pixels itself is known; keras.applications' VGG with its own classes is always used with caffe's
/// means; whoever trained another head may have used anything.
pub(super) fn normalization(
    pixels: Option<Pixels>,
    layers: &[Layer],
    network: &Network,
) -> (Normalization, Evidence) {
    if let Some(pixels) = pixels {
        return (pixels.normalization(), Evidence::Metadata);
    }
    let has = |name: &str| layers.iter().any(|layer| layer.name == name);
    if !has("block1_conv1") {
        let reason = "pixels in 0..1 are the most common in Keras";
        return (Normalization::UNIT, Evidence::Guess(reason));
    }
    let evidence = if has("predictions") && network.classes() == 1000 {
        Evidence::Origin("keras.applications")
    } else {
        Evidence::Guess("keras.applications' VGG takes them so")
    };
    (Normalization::CAFFE, evidence)
}

/// A picture's channels as the first layers change them: a v + b of the value v in 0..255.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    a: [f32; 3],
    b: [f32; 3],
}

impl Default for Pixels {
    /// As they come.
    fn default() -> Self {
        Self {
            a: [1.0; 3],
            b: [0.0; 3],
        }
    }
}

impl Pixels {
    /// After `Rescaling` (v scale + offset) or `Normalization` ((v - mean) / sqrt(variance)).
    pub(super) fn scaled(self, layer: &Layer) -> Result<Self, KerasModelError> {
        let unsupported = || layer.unsupported("a scale that is not one number a channel is");
        let three = |values: Vec<f64>| match *values.as_slice() {
            [value] => Ok([value; 3]),
            [r, g, b] => Ok([r, g, b]),
            _ => Err(unsupported()),
        };
        let config = |key: &str| numbers(&layer.config[key]);
        let (scale, offset) = if layer.class == "Rescaling" {
            let offset = config("offset");
            let offset = if offset.is_empty() { vec![0.0] } else { offset };
            (three(config("scale"))?, three(offset)?)
        } else {
            // Given when it was made, or measured and kept as weights: mean, variance, count.
            let measured = |i: usize| {
                let values = layer.weights.get(i).map(Tensor::to_vec).unwrap_or_default();
                values.into_iter().map(f64::from).collect::<Vec<_>>()
            };
            let given = |key: &str, i: usize| match config(key) {
                values if values.is_empty() => measured(i),
                values => values,
            };
            if layer.config["invert"].as_bool() == Some(true) {
                return Err(layer.unsupported("the inverse of a normalisation is"));
            }
            let mean = three(given("mean", 0))?;
            let variance = three(given("variance", 1))?;
            // Keras' own epsilon.
            let scale = variance.map(|variance| 1.0 / variance.sqrt().max(1e-7));
            (scale, std::array::from_fn(|c| -mean[c] * scale[c]))
        };
        let after = Pixels {
            a: std::array::from_fn(|c| (f64::from(self.a[c]) * scale[c]) as f32),
            b: std::array::from_fn(|c| (f64::from(self.b[c]) * scale[c] + offset[c]) as f32),
        };
        if !after.a.iter().all(|a| a.is_normal()) || !after.b.iter().all(|b| b.is_finite()) {
            return Err(unsupported());
        }
        Ok(after)
    }

    fn normalization(self) -> Normalization {
        Normalization {
            bgr: false,
            scale: 1.0,
            mean: std::array::from_fn(|c| -self.b[c] / self.a[c]),
            std: self.a.map(f32::recip),
        }
    }
}

/// The numbers of a value, however deep its lists.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        _ => vec![],
    }
}
