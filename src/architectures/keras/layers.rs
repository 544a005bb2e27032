//! Layers with weights, and pools, as nodes of the network.

use super::build::Builder;
use super::nodes::expect_axes;
use super::value::{Axes, Map, Signal};
use super::windows::window;
use super::{KerasLayer, KerasModelError};
use crate::architectures::ArchitectureError;
use crate::network::{FilterLayout, MatrixLayout, Op, Shape, Window};
use crate::weights::Tensor;

/// A pool with more places is taken along rows and columns one after the other: the engine numbers the places of a window.
const MOST_PLACES: usize = 256;
/// Factors of a layer, one a channel.
const MOST_CHANNELS: usize = 1 << 20;

impl Builder<'_> {
    /// `Conv2D`.
    pub(super) fn convolution(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let groups = layer.config["groups"].as_u64().unwrap_or(1);
        let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or_else(|| layer.unsupported("such a number of groups is"))?;
        let (weight, bias) = kernel_and_bias(layer)?;
        expect_axes(layer, &map)?;
        let map = self.slide(
            layer,
            &layer.name,
            map,
            weight.clone(),
            bias.cloned(),
            groups,
        )?;
        self.own_activation(layer, map)
    }

    /// Filters over a map, whose zeros around it are taken as the convolution's own.
    fn slide(
        &mut self,
        layer: &KerasLayer,
        name: &str,
        map: Map,
        weight: Tensor,
        bias: Option<Tensor>,
        groups: usize,
    ) -> Result<Map, ArchitectureError> {
        let [before, after] = map.padding;
        let Shape { c, h, w } = self.shape(&map);
        let padded = Shape::new(c, h + before[0] + after[0], w + before[1] + after[1]);
        let mut window = window(layer, "kernel_size", padded)?;
        for axis in 0..2 {
            window.pad_before[axis] += before[axis];
            window.pad_after[axis] += after[axis];
        }
        let op = Op::Conv2d {
            weight,
            bias,
            layout: FilterLayout::Hwio,
            window,
            groups,
        };
        let unpadded = Map::new(map.node, map.axes);
        self.push(name, op, &unpadded)
    }

    /// `DepthwiseConv2D`: kernel rows, columns, inputs, outputs an input. Each input is a group of its own.
    pub(super) fn depthwise(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let (weight, bias) = kernel_and_bias(layer)?;
        expect_axes(layer, &map)?;
        let (weight, groups) = depthwise_filters(layer, weight)?;
        let map = self.slide(layer, &layer.name, map, weight, bias.cloned(), groups)?;
        self.own_activation(layer, map)
    }

    /// `SeparableConv2D`: a depthwise convolution and a 1 x 1 convolution.
    pub(super) fn separable(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let with_bias = layer.config["use_bias"].as_bool().unwrap_or(true);
        let (depthwise, pointwise, bias) = match (layer.weights.as_slice(), with_bias) {
            ([depthwise, pointwise, bias], true) => (depthwise, pointwise, Some(bias)),
            ([depthwise, pointwise], false) => (depthwise, pointwise, None),
            _ => {
                let expected = "a depthwise kernel, a pointwise kernel and, with use_bias, a bias";
                return Err(wrong_weights(layer, expected).into());
            }
        };
        expect_axes(layer, &map)?;
        let (weight, groups) = depthwise_filters(layer, depthwise)?;
        let name = format!("{}_depthwise", layer.name);
        let map = self.slide(layer, &name, map, weight, None, groups)?;
        let op = Op::Conv2d {
            weight: pointwise.clone(),
            bias: bias.cloned(),
            layout: FilterLayout::Hwio,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        let map = self.push(&layer.name, op, &map)?;
        self.own_activation(layer, map)
    }

    /// `Dense`: over the last axis, whatever is before it.
    pub(super) fn dense(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let (weight, bias) = kernel_and_bias(layer)?;
        let map = self.padded(layer, &map)?;
        let shape = self.shape(&map);
        let places = shape.h * shape.w;
        if map.axes == Axes::First {
            return Err(layer
                .unsupported("a dense layer over the columns of a map is")
                .into());
        }
        let op = match (weight.shape(), places) {
            (&[inputs, outputs], 2..) => Op::Conv2d {
                weight: weight
                    .reshaped(vec![1, 1, inputs, outputs])
                    .ok_or_else(|| layer.unsupported("a kernel that is not stored in a row is"))?,
                bias: bias.cloned(),
                layout: FilterLayout::Hwio,
                window: Window::square(1, 1, 0),
                groups: 1,
            },
            _ => Op::Linear {
                weight: weight.clone(),
                bias: bias.cloned(),
                layout: MatrixLayout::InOut,
            },
        };
        let map = self.push(&layer.name, op, &map)?;
        self.own_activation(layer, map)
    }

    /// gamma (x - mean) / sqrt(variance + epsilon) + beta.
    pub(super) fn batch_normalization(
        &mut self,
        layer: &KerasLayer,
        signal: Signal,
    ) -> Result<Signal, ArchitectureError> {
        let (channels, axes) = match &signal {
            // One of the picture itself tells how its pixels are scaled, as a `Normalization` does.
            Signal::Picture(picture) => (picture.pixels.len(), picture.axes),
            Signal::Map(map) | Signal::Scores { map, .. } => (self.shape(map).c, map.axes),
        };
        let axis = layer.config["axis"]
            .as_i64()
            .or(layer.config["axis"][0].as_i64());
        let (own, rank) = match axes {
            Axes::Last => (3, 4),
            Axes::First => (1, 4),
            Axes::Vector => (1, 2),
        };
        let axis = axis.unwrap_or(-1);
        if axis != own && axis + rank != own {
            return Err(layer
                .unsupported("normalising another axis than that of the channels is")
                .into());
        }
        let has = |key: &str| layer.config[key].as_bool().unwrap_or(true);
        let mut rest = layer.weights.iter();
        let mut next = |present: bool| present.then(|| rest.next()).flatten();
        let (gamma, beta) = (next(has("scale")), next(has("center")));
        let (mean, variance) = (next(true), next(true));
        let expected = 2 + usize::from(has("scale")) + usize::from(has("center"));
        let fits = |tensor: &Tensor| tensor.shape() == [channels];
        let (Some(mean), Some(variance)) = (mean, variance) else {
            return Err(wrong_weights(layer, "gamma, beta, moving mean, moving variance").into());
        };
        if layer.weights.len() != expected || !layer.weights.iter().all(fits) {
            return Err(wrong_weights(
                layer,
                "gamma, beta, moving mean, moving variance, one value a channel",
            )
            .into());
        }
        let epsilon = layer.config["epsilon"].as_f64().unwrap_or(1e-3);
        let values = |tensor: Option<&Tensor>, default: f32| match tensor {
            Some(tensor) => tensor.to_vec(),
            None => vec![default; channels],
        };
        let (gamma, beta) = (values(gamma, 1.0), values(beta, 0.0));
        let (mean, variance) = (mean.to_vec(), variance.to_vec());
        let scale: Vec<f64> = (0..channels)
            .map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt())
            .collect();
        let shift: Vec<f64> = (0..channels)
            .map(|c| f64::from(beta[c]) - f64::from(mean[c]) * scale[c])
            .collect();
        self.scaled(layer, signal, &scale, &shift)
    }

    /// Over the channels of each place.
    pub(super) fn layer_normalization(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let map = self.padded(layer, &map)?;
        if layer.config["rms_scaling"].as_bool() == Some(true) {
            return Err(layer.unsupported("rms_scaling is").into());
        }
        let [scale, shift] = self.gamma_and_beta(layer, &map)?;
        let op = Op::LayerNorm {
            scale,
            shift,
            epsilon: layer.config["epsilon"].as_f64().unwrap_or(1e-3) as f32,
        };
        Ok(Signal::Map(self.push(&layer.name, op, &map)?))
    }

    /// Over groups of channels at all places.
    pub(super) fn group_normalization(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let map = self.padded(layer, &map)?;
        let channels = self.shape(&map).c;
        let groups = match layer.config["groups"].as_i64().unwrap_or(32) {
            // One channel a group.
            -1 => Some(channels),
            groups => usize::try_from(groups).ok(),
        };
        let divides = |groups: &usize| *groups > 0 && channels.is_multiple_of(*groups);
        let groups = groups.filter(divides).ok_or_else(|| {
            let what = format!(
                "{} groups of {channels} channels are",
                layer.config["groups"]
            );
            layer.unsupported(what)
        })?;
        let [scale, shift] = self.gamma_and_beta(layer, &map)?;
        let op = Op::GroupNorm {
            groups,
            scale,
            shift,
            epsilon: layer.config["epsilon"].as_f64().unwrap_or(1e-3) as f32,
        };
        Ok(Signal::Map(self.push(&layer.name, op, &map)?))
    }

    /// What a norm along the channels scales and shifts by, one value a channel.
    fn gamma_and_beta(
        &self,
        layer: &KerasLayer,
        map: &Map,
    ) -> Result<[Tensor; 2], ArchitectureError> {
        let (channels, axes) = (self.shape(map).c, map.axes);
        let own = match axes {
            Axes::Last => [3, -1],
            Axes::First => [1, -3],
            Axes::Vector => [1, -1],
        };
        let axis = &layer.config["axis"];
        let axis = match axis.as_array().map(Vec::as_slice) {
            Some([axis]) => axis.as_i64(),
            Some(_) => None,
            None => Some(axis.as_i64().unwrap_or(-1)),
        };
        if !axis.is_some_and(|axis| own.contains(&axis)) {
            let what = "normalising another axis than that of the channels is";
            return Err(layer.unsupported(what).into());
        }
        let has = |key: &str| layer.config[key].as_bool().unwrap_or(true);
        let (scales, centers) = (has("scale"), has("center"));
        let fits = |tensor: &Tensor| tensor.shape() == [channels];
        let expected = usize::from(scales) + usize::from(centers);
        if layer.weights.len() != expected || !layer.weights.iter().all(fits) {
            return Err(wrong_weights(layer, "gamma and beta, one value a channel").into());
        }
        let mut rest = layer.weights.iter().cloned();
        let mut next = |present: bool, value: f32| {
            let given = present.then(|| rest.next()).flatten();
            given.unwrap_or_else(|| Tensor::repeated(vec![channels], value))
        };
        Ok([next(scales, 1.0), next(centers, 0.0)])
    }

    pub(super) fn max_pool(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        self.pool(layer, map, Op::MaxPool)
    }

    pub(super) fn average_pool(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        self.pool(layer, map, |window| Op::AvgPool {
            window,
            count_include_pad: false,
        })
    }

    fn pool(
        &mut self,
        layer: &KerasLayer,
        map: Map,
        of: impl Fn(Window) -> Op,
    ) -> Result<Signal, ArchitectureError> {
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let window = window(layer, "pool_size", self.shape(&map))?;
        Ok(Signal::Map(self.push(&layer.name, of(window), &map)?))
    }

    pub(super) fn global_mean(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let mean = self.push(&layer.name, Op::GlobalMean, &map)?;
        Ok(globally_pooled(layer, mean))
    }

    pub(super) fn global_max(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let Shape { h, w, .. } = self.shape(&map);
        let over = |size| {
            Op::MaxPool(Window {
                size,
                ..Window::square(1, 1, 0)
            })
        };
        let largest = if h * w <= MOST_PLACES {
            self.push(&layer.name, over([h, w]), &map)?
        } else {
            // The first in row order of equal values stays the first: columns come before rows.
            let rows = self.push(&format!("{}_rows", layer.name), over([1, w]), &map)?;
            self.push(&layer.name, over([h, 1]), &rows)?
        };
        Ok(globally_pooled(layer, largest))
    }

    /// The activation that is a part of a layer.
    fn own_activation(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let name = format!("{}_activation", layer.name);
        let function =
            super::activations::named(layer, &layer.config["activation"], self.model.version)?;
        self.activate(layer, function, &name, map)
    }
}

/// A value of all places, as a vector or, with `keepdims`, as a map of one place.
fn globally_pooled(layer: &KerasLayer, mut pooled: Map) -> Signal {
    if layer.config["keepdims"].as_bool() != Some(true) {
        pooled.axes = Axes::Vector;
    }
    Signal::Map(pooled)
}

/// Filters of a depthwise convolution as those of one with a group an input: output i m + j is the j-th of input i's m.
fn depthwise_filters(
    layer: &KerasLayer,
    weight: &Tensor,
) -> Result<(Tensor, usize), KerasModelError> {
    let expected = "a kernel of rows, columns, inputs, outputs an input";
    let &[rows, columns, inputs, multiplier] = weight.shape() else {
        return Err(wrong_weights(layer, expected));
    };
    let outputs = inputs.checked_mul(multiplier);
    let filters = outputs.and_then(|outputs| weight.reshaped(vec![rows, columns, 1, outputs]));
    let filters = filters.ok_or_else(|| wrong_weights(layer, expected))?;
    Ok((filters, inputs))
}

/// The one factor a channel that a layer has.
pub(super) fn factors(layer: &KerasLayer) -> Result<Vec<f64>, KerasModelError> {
    match layer.weights.as_slice() {
        [gamma] if gamma.shape().len() == 1 && gamma.len() <= MOST_CHANNELS => {
            Ok(gamma.to_vec().into_iter().map(f64::from).collect())
        }
        _ => Err(wrong_weights(layer, "one value a channel")),
    }
}

fn wrong_weights(layer: &KerasLayer, expected: &'static str) -> KerasModelError {
    KerasModelError::Weights {
        layer: layer.name.clone(),
        found: layer.weights.len(),
        expected,
    }
}

fn kernel_and_bias(layer: &KerasLayer) -> Result<(&Tensor, Option<&Tensor>), KerasModelError> {
    let with_bias = layer.config["use_bias"].as_bool().unwrap_or(true);
    match (layer.weights.as_slice(), with_bias) {
        ([kernel, bias], true) => Ok((kernel, Some(bias))),
        ([kernel], false) => Ok((kernel, None)),
        (_, true) => Err(wrong_weights(layer, "a kernel and a bias")),
        (_, false) => Err(wrong_weights(layer, "a kernel")),
    }
}
