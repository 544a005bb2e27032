//! Batch norms, of layers and of weights that are normed as the network runs.

use crate::weights::Tensor;

use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

impl Import<'_> {
    pub(super) fn batch_normalization(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        if layer.axes.get(1) != Some(&Axis::C) && self.shape_of(&layer).c != 1 {
            return Err(call.unsupported("over other than channels"));
        }
        if is_measured(call) || call.node.int("spatial") == Some(0) {
            return Err(call.unsupported("in training mode or by position"));
        }
        let channels = self.shape_of(&layer).c;
        let [scale, shift] = scale_and_shift(call, channels, given_statistics(call, channels)?)?;
        let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<_>>();
        self.affine(call, &layer, &narrow(scale), &narrow(shift))
    }

    /// Weights through a batch norm, in training mode by their own mean and variance. In float64, rounded once.
    pub(super) fn normed(&mut self, call: &Call<'_>) -> Result<Tensor, GraphError> {
        let x = call.tensor(0, "weights")?;
        let (channels, inner) = match x.shape() {
            [_, channels, inner @ ..] => (*channels, inner.iter().product::<usize>()),
            _ => return Err(call.unusable("weights")),
        };
        // No more numbers than the file brings: it is each of its weights once.
        self.normed = self.normed.saturating_add(x.len());
        if self.normed > self.held {
            return Err(call.unsupported("of so many constants"));
        }
        let mut values = x.to_vec();
        let statistics = match is_measured(call) {
            true => measured(&values, channels, inner),
            false => given_statistics(call, channels)?,
        };
        let [scale, shift] = scale_and_shift(call, channels, statistics)?;
        let runs = values.chunks_mut(inner.max(1));
        for (run, channel) in runs.zip((0..channels).cycle()) {
            for value in run {
                *value = (f64::from(*value) * scale[channel] + shift[channel]) as f32;
            }
        }
        Ok(Tensor::from_f32(x.shape().to_vec(), &values))
    }
}

/// Whether the statistics are those of the input itself. Before opset 14 that is said by asking for them: more outputs than one.
fn is_measured(call: &Call<'_>) -> bool {
    let asked = call
        .node
        .outputs
        .iter()
        .skip(1)
        .any(|name| !name.is_empty());
    call.node.int("training_mode").unwrap_or(0) != 0 || (call.opset < 14 && asked)
}

/// Mean and variance of each channel, which the values hold in runs of `inner`.
fn measured(values: &[f32], channels: usize, inner: usize) -> [Vec<f64>; 2] {
    let mean_of = |of: &dyn Fn(f32, usize) -> f64| {
        let mut sums = vec![0.0; channels];
        for (run, channel) in values.chunks(inner.max(1)).zip((0..channels).cycle()) {
            sums[channel] += run.iter().map(|&value| of(value, channel)).sum::<f64>();
        }
        let count = (values.len() / channels.max(1)).max(1) as f64;
        sums.into_iter()
            .map(|sum| sum / count)
            .collect::<Vec<f64>>()
    };
    let mean = mean_of(&|value, _| f64::from(value));
    let variance = mean_of(&|value, channel| (f64::from(value) - mean[channel]).powi(2));
    [mean, variance]
}

/// Mean and variance of the training data.
fn given_statistics(call: &Call<'_>, channels: usize) -> Result<[Vec<f64>; 2], GraphError> {
    Ok([
        by_channel(call, 3, "mean", channels)?,
        by_channel(call, 4, "variance", channels)?,
    ])
}

/// What each channel is multiplied by, and what is added to it then.
fn scale_and_shift(
    call: &Call<'_>,
    channels: usize,
    [mean, variance]: [Vec<f64>; 2],
) -> Result<[Vec<f64>; 2], GraphError> {
    let epsilon = f64::from(call.node.float("epsilon").unwrap_or(1e-5));
    let gamma = by_channel(call, 1, "scale", channels)?;
    let beta = by_channel(call, 2, "shift", channels)?;
    let scale: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
        .collect();
    let shift = beta.iter().zip(mean).zip(&scale);
    let shift: Vec<f64> = shift
        .map(|((beta, mean), scale)| beta - mean * scale)
        .collect();
    Ok([scale, shift])
}

fn by_channel(
    call: &Call<'_>,
    input: usize,
    what: &'static str,
    channels: usize,
) -> Result<Vec<f64>, GraphError> {
    let tensor = call.tensor(input, what)?;
    match tensor.shape() == [channels] {
        true => Ok(tensor.to_vec().into_iter().map(f64::from).collect()),
        false => Err(call.unusable(what)),
    }
}
