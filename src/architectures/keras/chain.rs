//! From Keras' layers, one after the other, to a network.

use serde_json::Value;

use super::{KerasModelError, Layer};
use crate::architectures::{ArchitectureError, Classifier, Evidence, affine};
use crate::network::{
    FilterLayout, FlattenOrder, MatrixLayout, Network, Op, OutputKind, Shape, Window,
};
use crate::preprocess::Normalization;
use crate::weights::Tensor;

/// Pixels along a side where the file leaves it open and the head takes any.
const INPUT_SIZE: usize = 224;
/// The largest number that a window or a picture may have: larger ones outgrow every adapter.
const MAX_SIZE: usize = 4096;

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
    let mut chain = Chain {
        network: Network::new(name, shape),
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
    let (normalization, normalization_evidence) = normalization(chain.pixels, layers, &network);
    Ok(Classifier {
        network,
        normalization,
        normalization_evidence,
        labels: None,
    })
}

/// What a model does with pixels itself is known; keras.applications' VGG with its own classes is always used with caffe's
/// means; whoever trained another head may have used anything.
fn normalization(
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
struct Pixels {
    a: [f32; 3],
    b: [f32; 3],
}

impl Pixels {
    fn normalization(self) -> Normalization {
        Normalization {
            bgr: false,
            scale: 1.0,
            mean: std::array::from_fn(|c| -self.b[c] / self.a[c]),
            std: self.a.map(f32::recip),
        }
    }
}

struct Chain {
    network: Network,
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
            // The last seven only while training.
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
                    None => self.push(&layer.name, Op::Relu),
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
        let taken = |name: &str| self.network.nodes.iter().any(|node| node.name == name);
        let mut unique = name.to_owned();
        let mut number = 2;
        while taken(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        self.network.chain(unique, op)?;
        Ok(())
    }

    fn convolution(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        if layer.config["groups"].as_u64().unwrap_or(1) != 1 {
            return Err(layer.unsupported("a convolution in groups is").into());
        }
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
            groups: 1,
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
            Some("relu") => self.push(name, Op::Relu),
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

    /// `Rescaling` (v scale + offset) and `Normalization` ((v - mean) / sqrt(variance)) of the picture itself.
    fn rescale(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        if self.network.nodes.len() > 1 {
            return Err(layer
                .unsupported("scaling anything but the picture is")
                .into());
        }
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
                return Err(layer
                    .unsupported("the inverse of a normalisation is")
                    .into());
            }
            let mean = three(given("mean", 0))?;
            let variance = three(given("variance", 1))?;
            // Keras' own epsilon.
            let scale = variance.map(|variance| 1.0 / variance.sqrt().max(1e-7));
            (scale, std::array::from_fn(|c| -mean[c] * scale[c]))
        };
        let before = self.pixels.unwrap_or(Pixels {
            a: [1.0; 3],
            b: [0.0; 3],
        });
        let after = Pixels {
            a: std::array::from_fn(|c| (f64::from(before.a[c]) * scale[c]) as f32),
            b: std::array::from_fn(|c| (f64::from(before.b[c]) * scale[c] + offset[c]) as f32),
        };
        if !after.a.iter().all(|a| a.is_normal()) || !after.b.iter().all(|b| b.is_finite()) {
            return Err(unsupported().into());
        }
        self.pixels = Some(after);
        Ok(())
    }

    fn zero_padding(&mut self, layer: &Layer) -> Result<(), ArchitectureError> {
        let padding = &layer.config["padding"];
        // 1, [1, 2], or [[top, bottom], [left, right]].
        for axis in 0..2 {
            let sides = match padding {
                Value::Array(axes) => axes.get(axis).unwrap_or(&Value::Null),
                number => number,
            };
            let sides = match sides {
                Value::Array(sides) => [sides.first(), sides.get(1)],
                both => [Some(both); 2],
            };
            for (side, value) in sides.into_iter().enumerate() {
                let value = value
                    .and_then(size)
                    .ok_or_else(|| layer.unsupported("such a padding is"))?;
                self.padding[side][axis] += value;
            }
        }
        if self
            .padding
            .as_flattened()
            .iter()
            .any(|&side| side > MAX_SIZE)
        {
            return Err(layer.unsupported("such a padding is").into());
        }
        Ok(())
    }
}

/// A ReLU with a bound.
fn clip(high: f32) -> Op {
    Op::Clip { low: 0.0, high }
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

/// The window of a convolution or a pool over `input`. Padding `same` gives ceil(input / stride) outputs, and the odd zero
/// goes to the lower right.
fn window(layer: &Layer, key: &str, input: Shape) -> Result<Window, KerasModelError> {
    let config = |key: &str, default: [usize; 2]| match &layer.config[key] {
        Value::Null => Ok(default),
        value => pair(value).ok_or_else(|| layer.unsupported(format!("{key} {value} is"))),
    };
    let size = config(key, [0; 2])?;
    // A pool steps by its own size unless it says otherwise.
    let stride = config("strides", if key == "pool_size" { size } else { [1; 2] })?;
    let dilation = config("dilation_rate", [1; 2])?;
    if [size, stride, dilation].as_flattened().contains(&0) {
        return Err(layer.unsupported("a window without extent is"));
    }
    let mut window = Window {
        size,
        stride,
        pad_before: [0; 2],
        pad_after: [0; 2],
        dilation,
    };
    match layer.config["padding"].as_str() {
        None | Some("valid") => {}
        Some("same") => {
            for (axis, len) in [input.h, input.w].into_iter().enumerate() {
                let reach = dilation[axis] * (size[axis] - 1) + 1;
                let steps = len.div_ceil(stride[axis]).saturating_sub(1);
                let pad = (steps * stride[axis] + reach).saturating_sub(len);
                window.pad_before[axis] = pad / 2;
                window.pad_after[axis] = pad - pad / 2;
            }
        }
        Some(other) => return Err(layer.unsupported(format!("padding {other:?} is"))),
    }
    Ok(window)
}

/// A number of pixels.
fn size(value: &Value) -> Option<usize> {
    let size = usize::try_from(value.as_u64()?).ok()?;
    (size <= MAX_SIZE).then_some(size)
}

/// Rows and columns: `[3, 3]`, or one number for both.
fn pair(value: &Value) -> Option<[usize; 2]> {
    match value {
        Value::Array(pair) => match pair.as_slice() {
            [rows, columns] => Some([size(rows)?, size(columns)?]),
            _ => None,
        },
        one => Some([size(one)?; 2]),
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
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(class: &str, name: &str, config: Value, shapes: &[&[usize]]) -> Layer {
        let weights = shapes
            .iter()
            .map(|shape| Tensor::repeated(shape.to_vec(), 0.5));
        Layer {
            class: class.into(),
            name: name.into(),
            config,
            weights: weights.collect(),
        }
    }

    fn input(side: usize) -> Layer {
        layer(
            "InputLayer",
            "in",
            json!({ "batch_shape": [null, side, side, 3] }),
            &[],
        )
    }

    fn convolution(config: Value) -> Layer {
        layer("Conv2D", "c", config, &[&[3, 3, 3, 4], &[4]])
    }

    fn head(inputs: usize) -> Layer {
        layer(
            "Dense",
            "d",
            json!({ "activation": "softmax" }),
            &[&[inputs, 2], &[2]],
        )
    }

    fn batch_normalization(channels: usize) -> Layer {
        let shape: &[usize] = &[channels];
        layer("BatchNormalization", "bn", json!({}), &[shape; 4])
    }

    fn mean() -> Layer {
        layer("GlobalAveragePooling2D", "mean", json!({}), &[])
    }

    fn network(layers: &[Layer]) -> Network {
        classifier("test", layers, None).unwrap().network
    }

    fn error(layers: &[Layer]) -> String {
        let error = classifier("test", layers, None).unwrap_err();
        error.to_string()
    }

    #[test]
    fn padding_same_puts_the_odd_zero_behind() {
        let config = json!({ "kernel_size": [3, 3], "strides": [2, 2], "padding": "same" });
        let network = network(&[input(8), convolution(config), mean(), head(4)]);
        let Op::Conv2d { window, .. } = &network.nodes[1].op else {
            panic!("{:?}", network.nodes[1]);
        };
        assert_eq!((window.pad_before, window.pad_after), ([0, 0], [1, 1]));
        assert_eq!(network.nodes[1].shape, Shape::new(4, 4, 4));
    }

    #[test]
    fn the_largest_of_all_positions_is_a_pool_as_large_as_the_map() {
        let config = json!({ "kernel_size": 3 });
        let pool = layer("GlobalMaxPooling2D", "max", json!({}), &[]);
        let network = network(&[input(8), convolution(config), pool, head(4)]);
        assert!(matches!(network.nodes[2].op, Op::MaxPool(window) if window.size == [6, 6]));
        assert_eq!(network.classes(), 2);
    }

    #[test]
    fn layers_of_the_same_name_are_told_apart() {
        let again = layer(
            "Conv2D",
            "c",
            json!({ "kernel_size": 1 }),
            &[&[1, 1, 4, 4], &[4]],
        );
        let layers = [
            input(8),
            convolution(json!({ "kernel_size": 3 })),
            again,
            mean(),
            head(4),
        ];
        let network = network(&layers);
        assert_eq!(
            (&*network.nodes[1].name, &*network.nodes[2].name),
            ("c", "c_2")
        );
    }

    #[test]
    fn what_is_not_supported_is_named_with_its_layer() {
        let three = || json!({ "kernel_size": 3 });
        let with = |key: &str, value: Value| {
            let mut config = three();
            config[key] = value;
            convolution(config)
        };
        for (layer, expected) in [
            (
                with("groups", json!(3)),
                r#"layer "c" (Conv2D): a convolution in groups is not supported"#,
            ),
            (
                with("data_format", json!("channels_first")),
                "channels_first is not supported",
            ),
            (
                with("activation", json!("gelu")),
                "the activation gelu is not supported",
            ),
            (
                with("strides", json!([0, 1])),
                "a window without extent is not supported",
            ),
            (
                with("dilation_rate", json!(1e9)),
                "dilation_rate 1000000000.0 is not supported",
            ),
            (
                layer("Lambda", "l", json!({}), &[]),
                r#"layer "l" (Lambda): this layer is not supported"#,
            ),
        ] {
            let error = error(&[input(8), layer, mean(), head(4)]);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn batch_normalization_that_no_layer_can_take_in_is_a_layer() {
        let relu = json!({ "kernel_size": 3, "activation": "relu" });
        let pool = layer("MaxPooling2D", "p", json!({ "pool_size": 2 }), &[]);
        let layers = [
            input(8),
            convolution(relu),
            batch_normalization(4),
            pool,
            mean(),
            head(4),
        ];
        let network = network(&layers);
        assert!(matches!(network.nodes[3].op, Op::Affine { .. }));
        assert_eq!(network.nodes[3].name, "bn");
    }

    #[test]
    fn means_of_windows_leave_padding_out() {
        let config = json!({ "pool_size": 3, "strides": 2, "padding": "same" });
        let pool = layer("AveragePooling2D", "p", config, &[]);
        let first = convolution(json!({ "kernel_size": 3, "padding": "same" }));
        let network = network(&[input(8), first, pool, mean(), head(4)]);
        let Op::AvgPool {
            window,
            count_include_pad,
        } = network.nodes[2].op
        else {
            panic!("{:?}", network.nodes[2]);
        };
        assert!(!count_include_pad);
        assert_eq!((window.pad_before, window.pad_after), ([0, 0], [1, 1]));
    }

    #[test]
    fn another_size_works_padding_out_again_or_is_refused() {
        let config = json!({ "kernel_size": 3, "strides": 2, "padding": "same" });
        let layers = [input(8), convolution(config), mean(), head(4)];
        let network = classifier("test", &layers, Some(9)).unwrap().network;
        let Op::Conv2d { window, .. } = &network.nodes[1].op else {
            panic!("{:?}", network.nodes[1]);
        };
        assert_eq!((window.pad_before, window.pad_after), ([1, 1], [1, 1]));
        let flatten = layer("Flatten", "f", json!({}), &[]);
        let first = convolution(json!({ "kernel_size": 3 }));
        let error = classifier("test", &[input(8), first, flatten, head(144)], Some(9));
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "pictures of 9 pixels do not fit: this network takes 8 x 8"
        );
    }

    #[test]
    fn a_base_without_a_head_is_told_from_a_classifier() {
        let error = error(&[input(8), convolution(json!({ "kernel_size": 3 }))]);
        assert!(error.contains("include_top=False"), "{error}");
    }

    #[test]
    fn scaling_of_the_picture_becomes_its_preprocessing() {
        let layers = [
            input(8),
            layer(
                "Rescaling",
                "r",
                json!({ "scale": 0.5, "offset": 1.0 }),
                &[],
            ),
            layer(
                "Normalization",
                "n",
                json!({ "mean": [1.0, 2.0, 3.0], "variance": 4.0 }),
                &[],
            ),
            convolution(json!({ "kernel_size": 3 })),
            mean(),
            head(4),
        ];
        let Classifier {
            normalization,
            normalization_evidence,
            ..
        } = classifier("test", &layers, None).unwrap();
        assert_eq!(normalization_evidence, Evidence::Metadata);
        for (c, mean) in [1.0, 2.0, 3.0].into_iter().enumerate() {
            let value = 100.0;
            let ours = (value * normalization.scale - normalization.mean[c]) / normalization.std[c];
            assert!((ours - (value * 0.5 + 1.0 - mean) / 2.0).abs() < 1e-4);
        }
    }
}
