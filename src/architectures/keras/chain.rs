//! From Keras' layers, one after the other, to a network.

use serde_json::Value;

use super::pixels::{normalization, rescaled};
use super::windows::{padding, size, window};
use super::{KerasModelError, Layer};
use crate::architectures::names::Names;
use crate::architectures::prefix::Pixels;
use crate::architectures::{ArchitectureError, Classifier, affine};
use crate::network::{
    FilterLayout, FlattenOrder, MAX_SIDE, MatrixLayout, Network, Op, OutputKind, Shape, Window,
};
use crate::weights::Tensor;

/// Pixels along a side where the file leaves it open and the head takes any.
const INPUT_SIZE: usize = 224;

/// The network of `layers`, over pictures of `size` x `size` pixels where that is asked for, else as they say.
pub(super) fn classifier(
    name: &str,
    layers: &[Layer],
    size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    let own = input_shape(layers)?;
    let Some(asked) = size.filter(|&size| [size; 2] != [own.h, own.w]) else {
        return classifier_over(own, name, layers);
    };
    // What does not work at its own size either says so itself.
    classifier_over(Shape::new(own.c, asked, asked), name, layers).or_else(|_| {
        classifier_over(own, name, layers)?;
        Err(ArchitectureError::InputSize {
            asked,
            allowed: format!("{} x {}", own.w, own.h),
        })
    })
}

fn classifier_over(
    shape: Shape,
    name: &str,
    layers: &[Layer],
) -> Result<Classifier, ArchitectureError> {
    let mut names = Names::default();
    names.take("input");
    let mut chain = Chain {
        network: Network::new(name, shape),
        names,
        pixels: None,
        padding: [[0; 2]; 2],
        ending: None,
    };
    for layer in layers {
        chain.layer(layer)?;
    }
    let last = layers
        .last()
        .ok_or(KerasModelError::Config("a model without layers"))?;
    let Shape { h, w, .. } = chain.shape();
    let scores = |layer: &Layer| layer.class == "Dense" || is_activation(layer, "softmax");
    if h * w != 1 || !layers.iter().any(scores) {
        let layer = last.name.clone();
        return Err(KerasModelError::NoHead { layer }.into());
    }
    let mut network = affine::fold(chain.network);
    network.output_kind = chain.ending.unwrap_or(OutputKind::Softmax);
    let (normalization, normalization_evidence) = normalization(chain.pixels.as_ref(), layers);
    Ok(Classifier {
        network,
        normalization,
        normalization_evidence,
        labels: None,
        notes: vec![],
        outputs: vec![],
        steps: chain.pixels,
    })
}

struct Chain {
    network: Network,
    names: Names,
    /// What was done to the picture so far, while nothing else was.
    pixels: Option<Pixels>,
    /// Of `ZeroPadding2D`, for the next convolution: before and after, rows and columns.
    padding: [[usize; 2]; 2],
    /// After this the network is over.
    ending: Option<OutputKind>,
}

impl Chain {
    fn layer(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let class = layer.class.as_str();
        if matches!(
            class,
            "InputLayer"
                | "Dropout"
                | "SpatialDropout2D"
                | "GaussianNoise"
                | "GaussianDropout"
                | "RandomFlip"
                | "RandomRotation"
                | "RandomZoom"
                | "RandomTranslation"
                | "RandomContrast"
                | "RandomBrightness"
        ) {
            // All but the first only while training.
            return Ok(());
        }
        if self.ending.is_some() {
            return Err(layer
                .unsupported("a layer after the probabilities is")
                .into());
        }
        let channels_first = layer.config["data_format"] == "channels_first";
        if channels_first {
            return Err(layer.unsupported("channels_first is").into());
        }
        let padded = self.padding != [[0; 2]; 2];
        if padded && !matches!(class, "Conv2D" | "Convolution2D" | "ZeroPadding2D") {
            return Err(layer
                .unsupported("zero padding before anything but a convolution is")
                .into());
        }
        match class {
            "Conv2D" | "Convolution2D" => self.convolution(layer),
            "Dense" => self.dense(layer),
            "BatchNormalization" => self.batch_normalization(layer),
            "Rescaling" | "Normalization" => self.rescale(layer),
            "Activation" => self.activation(layer, &layer.config["activation"], &layer.name),
            "Softmax" => self.activation(layer, &"softmax".into(), &layer.name),
            "ReLU" => {
                let plain = |key: &str| layer.config[key].as_f64().unwrap_or(0.0) == 0.0;
                if !(plain("negative_slope") && plain("threshold")) {
                    return Err(layer.unsupported("a slope or a threshold is").into());
                }
                match layer.config["max_value"].as_f64() {
                    None => self.push(&layer.name, Op::RELU),
                    Some(high) if high > 0.0 => self.push(&layer.name, clip(high as f32)),
                    Some(_) => Err(layer.unsupported("a bound of nothing is").into()),
                }
            }
            "MaxPooling2D" | "MaxPool2D" => {
                let window = window(layer, "pool_size", self.shape())?;
                self.push(&layer.name, Op::MaxPool(window))
            }
            "AveragePooling2D" | "AvgPool2D" => {
                let op = Op::AvgPool {
                    window: window(layer, "pool_size", self.shape())?,
                    count_include_pad: false,
                };
                self.push(&layer.name, op)
            }
            "GlobalAveragePooling2D" | "GlobalAvgPool2D" => self.push(&layer.name, Op::GlobalMean),
            "GlobalMaxPooling2D" | "GlobalMaxPool2D" => {
                let Shape { h, w, .. } = self.shape();
                let window = Window {
                    size: [h, w],
                    ..Window::square(1, 1, 0)
                };
                self.push(&layer.name, Op::MaxPool(window))?;
                self.push(
                    &format!("{}_flat", layer.name),
                    Op::Flatten(FlattenOrder::Hwc),
                )
            }
            "Flatten" => self.push(&layer.name, Op::Flatten(FlattenOrder::Hwc)),
            "ZeroPadding2D" => self.zero_padding(layer),
            _ => Err(layer.unsupported("this layer is").into()),
        }
    }

    fn shape(&self) -> Shape {
        self.network.node(self.network.output()).shape
    }

    fn push(&mut self, name: &str, op: Op) -> Result<(), ArchitectureError> {
        // Layers of two models inside one may have the same name.
        self.network.chain(self.names.numbered(name), op)?;
        Ok(())
    }

    fn convolution(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let groups = layer.config["groups"].as_u64().unwrap_or(1);
        let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or_else(|| layer.unsupported("such a number of groups is"))?;
        let (weight, bias) = kernel_and_bias(layer)?;
        let [before, after] = std::mem::take(&mut self.padding);
        let Shape { c, h, w } = self.shape();
        let padded = Shape::new(c, h + before[0] + after[0], w + before[1] + after[1]);
        let mut window = window(layer, "kernel_size", padded)?;
        for axis in 0..2 {
            window.pad_before[axis] += before[axis];
            window.pad_after[axis] += after[axis];
        }
        let op = Op::Conv2d {
            weight: weight.clone(),
            bias: bias.cloned(),
            layout: FilterLayout::Hwio,
            window,
            groups,
        };
        self.push(&layer.name, op)?;
        self.own_activation(layer)
    }

    fn dense(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let (weight, bias) = kernel_and_bias(layer)?;
        let shape = self.shape();
        if shape.h * shape.w > 1 {
            return Err(layer
                .unsupported("a dense layer over a feature map is")
                .into());
        }
        let op = Op::Linear {
            weight: weight.clone(),
            bias: bias.cloned(),
            layout: MatrixLayout::InOut,
        };
        self.push(&layer.name, op)?;
        self.own_activation(layer)
    }

    /// The activation that is a part of a layer.
    fn own_activation(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let name = format!("{}_activation", layer.name);
        self.activation(layer, &layer.config["activation"], &name)
    }

    fn activation(
        &mut self,
        layer: &Layer,
        activation: &Value,
        name: &str,
    ) -> Result<(), ArchitectureError> {
        match activation_name(activation) {
            None | Some("linear") => Ok(()),
            Some("relu") => self.push(name, Op::RELU),
            Some("relu6") => self.push(name, clip(6.0)),
            Some("softmax") => {
                self.ending = Some(OutputKind::Softmax);
                Ok(())
            }
            Some("sigmoid") => {
                self.ending = Some(OutputKind::Sigmoid);
                Ok(())
            }
            Some(other) => Err(layer
                .unsupported(format!("the activation {other} is"))
                .into()),
        }
    }

    /// gamma (x - mean) / sqrt(variance + epsilon) + beta.
    fn batch_normalization(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let channels = self.shape().c;
        let axis = layer.config["axis"]
            .as_i64()
            .or(layer.config["axis"][0].as_i64());
        let last = if self.shape().h * self.shape().w > 1 {
            3
        } else {
            1
        };
        if !matches!(axis, None | Some(-1)) && axis != Some(last) {
            return Err(layer
                .unsupported("normalising another axis than the last is")
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
        let shift: Vec<f32> = (0..channels)
            .map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * scale[c]) as f32)
            .collect();
        let scale: Vec<f32> = scale.into_iter().map(|scale| scale as f32).collect();
        let tensor = |values: &[f32]| Tensor::from_f32(vec![channels], values);
        let op = Op::Affine {
            scale: tensor(&scale),
            shift: tensor(&shift),
        };
        self.push(&layer.name, op)
    }

    fn rescale(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        if self.network.nodes.len() > 1 {
            let what = "scaling anything but the picture is";
            return Err(layer.unsupported(what).into());
        }
        let pixels = self.pixels.take();
        let pixels = pixels.unwrap_or_else(|| Pixels::new(self.shape().c));
        self.pixels = Some(rescaled(&pixels, layer)?);
        Ok(())
    }

    fn zero_padding(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let more = padding(layer)?;
        let sides = self.padding.as_flattened_mut();
        for (side, more) in sides.iter_mut().zip(more.as_flattened()) {
            *side += more;
        }
        if sides.iter().any(|&side| side > MAX_SIDE) {
            return Err(layer.unsupported("such a padding is").into());
        }
        Ok(())
    }
}

/// A ReLU with a bound.
fn clip(high: f32) -> Op {
    Op::clip(0.0, high)
}

fn wrong_weights(layer: &Layer, expected: &'static str) -> KerasModelError {
    KerasModelError::Weights {
        layer: layer.name.clone(),
        found: layer.weights.len(),
        expected,
    }
}

fn kernel_and_bias(layer: &Layer) -> Result<(&Tensor, Option<&Tensor>), KerasModelError> {
    let with_bias = layer.config["use_bias"].as_bool().unwrap_or(true);
    match (layer.weights.as_slice(), with_bias) {
        ([kernel, bias], true) => Ok((kernel, Some(bias))),
        ([kernel], false) => Ok((kernel, None)),
        (_, true) => Err(wrong_weights(layer, "a kernel and a bias")),
        (_, false) => Err(wrong_weights(layer, "a kernel")),
    }
}

/// `"relu"`, or an object as Keras 3 may write it.
fn activation_name(activation: &Value) -> Option<&str> {
    activation
        .as_str()
        .or(activation["config"].as_str())
        .or(activation["class_name"].as_str())
}

fn is_activation(layer: &Layer, name: &str) -> bool {
    layer.class.eq_ignore_ascii_case(name)
        || activation_name(&layer.config["activation"]) == Some(name)
}

/// Channels, rows and columns of the picture: `[null, 224, 224, 3]` of the input layer, or of the first layer in old files.
fn input_shape(layers: &[Layer]) -> Result<Shape, KerasModelError> {
    let first = layers
        .first()
        .ok_or(KerasModelError::Config("a model without layers"))?;
    let keys = ["batch_shape", "batch_input_shape"];
    let shape = keys.iter().find_map(|key| first.config[*key].as_array());
    let Some(shape) = shape else {
        return Ok(Shape::new(3, INPUT_SIZE, INPUT_SIZE));
    };
    let unsupported =
        || first.unsupported(format!("an input of {} is", Value::from(shape.clone())));
    let [_, rows, columns, channels] = shape.as_slice() else {
        return Err(unsupported());
    };
    let side = |value: &Value| match value {
        Value::Null => Some(INPUT_SIZE),
        value => size(value).filter(|&size| size > 0),
    };
    if !channels.is_null() && channels != 3 {
        return Err(unsupported());
    }
    let rows = side(rows).ok_or_else(unsupported)?;
    let columns = side(columns).ok_or_else(unsupported)?;
    Ok(Shape::new(3, rows, columns))
}

#[cfg(test)]
mod tests;
