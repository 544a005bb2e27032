//! From Keras' layers to a network: each use of a layer becomes nodes, or a step of the preprocessing.

use serde_json::Value;

use super::activations::{self, Function};
use super::links::Argument;
use super::picture::{rescaling, usual};
use super::value::{Axes, Change, Map, Picture, Signal, Step};
use super::windows::padding;
use super::{KerasModelError, Layer, Model, Source, steps};
use crate::architectures::names::Names;
use crate::architectures::prefix::Pixels;
use crate::architectures::{ArchitectureError, Classifier, Evidence, affine};
use crate::network::{FilterLayout, MAX_SIDE, Network, Op, OutputKind, Pad, Shape, Window};
use crate::preprocess::Normalization;
use crate::weights::Tensor;

/// Layers that change nothing after training, but for those called `Random...`.
const ONLY_IN_TRAINING: [&str; 14] = [
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
    "Identity",
    "Cast",
    "CutMix",
    "MixUp",
    "AugMix",
    "RandAugment",
    "StopGradient",
    "ConvertToTensor",
];

/// What pictures go in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    /// Channels, rows, columns.
    pub(super) shape: Shape,
    /// Which of them comes first in the model.
    pub(super) axes: Axes,
    /// Whether the model takes pictures of any size.
    pub(super) open: bool,
    /// Whether its values are bytes.
    pub(super) bytes: bool,
}

/// A network in the making.
pub(super) struct Builder<'a> {
    pub(super) model: &'a Model,
    pub(super) input: Input,
    network: Network,
    names: Names,
    /// Values of the layers so far.
    signals: Vec<Vec<Signal>>,
    /// The picture as the network's input takes it, and its node.
    entered: Option<(Picture, Map)>,
    /// Whether the channels' order is made by a convolution.
    mixed: bool,
    notes: Vec<String>,
}

/// A network with what tells whether it is a classifier.
pub(super) struct Built {
    pub(super) classifier: Classifier,
    /// Whether it ends in a softmax or a sigmoid.
    pub(super) says_probabilities: bool,
    /// Whether its last values come straight from weights, as scores do, and not from an activation, as features do.
    pub(super) is_linear: bool,
}

/// The network of `model` up to `output`, over pictures as `input` says.
pub(super) fn network(
    model: &Model,
    output: Source,
    input: Input,
) -> Result<Built, ArchitectureError> {
    let mut names = Names::default();
    names.take("input");
    let mut builder = Builder {
        model,
        input,
        network: Network::new(&*model.name, input.shape),
        names,
        signals: vec![],
        entered: None,
        mixed: false,
        notes: model.notes.clone(),
    };
    let needed = needed(model, output);
    for (layer, needed) in model.layers.iter().zip(needed) {
        let signals = match needed {
            true => builder.layer(layer)?,
            false => vec![],
        };
        builder.signals.push(signals);
    }
    let last = &model.layers[output.layer];
    let end = builder.signals[output.layer].get(output.output).cloned();
    builder.finish(
        last,
        &end.ok_or(KerasModelError::Config("an output that is not there"))?,
    )
}

/// For each layer whether `output` needs it.
fn needed(model: &Model, output: Source) -> Vec<bool> {
    let mut needed = vec![false; model.layers.len()];
    needed[output.layer] = true;
    for index in (0..=output.layer).rev() {
        if needed[index] {
            let mut sources = vec![];
            for (_, argument) in &model.layers[index].arguments {
                argument.values(&mut sources);
            }
            for source in sources {
                needed[source.layer] = true;
            }
        }
    }
    needed
}

impl Builder<'_> {
    fn finish(mut self, last: &Layer, end: &Signal) -> Result<Built, ArchitectureError> {
        let no_head = || KerasModelError::NoHead {
            layer: last.name.clone(),
        };
        let (kind, map) = match end {
            Signal::Picture(_) => return Err(no_head().into()),
            Signal::Map(map) => (None, self.padded(last, map)?),
            Signal::Scores { kind, map, .. } => (Some(*kind), *map),
        };
        let shape = self.shape(&map);
        if shape.h * shape.w != 1 {
            return Err(no_head().into());
        }
        let is_linear = self.is_linear(&map);
        // The scores are the last node.
        debug_assert!(map.node.0 < self.network.nodes.len());
        self.network.nodes.truncate(map.node.0 + 1);
        let mut network = affine::fold(self.network);
        network.output_kind = kind.unwrap_or(OutputKind::Softmax);
        let bytes = self.input.bytes;
        let mixed = self.mixed;
        let steps = self.entered.take().map(|(picture, _)| picture.pixels);
        let steps = steps.filter(|pixels| !pixels.is_untouched());
        let known = match &steps {
            // The first convolution does it all.
            Some(pixels) if mixed => Some(pixels.input_of_numbers(bytes)),
            Some(pixels) => pixels.normalization(bytes),
            None => bytes.then_some((Normalization::NONE, Evidence::Metadata)),
        };
        let (normalization, normalization_evidence) =
            known.unwrap_or_else(|| usual(&self.model.layers));
        Ok(Built {
            classifier: Classifier {
                network,
                normalization,
                normalization_evidence,
                labels: None,
                notes: self.notes,
                outputs: vec![],
                steps: steps.filter(|_| !mixed),
            },
            says_probabilities: kind.is_some(),
            is_linear,
        })
    }

    /// Whether a value comes from weights, with nothing between but means and new shapes.
    fn is_linear(&self, map: &Map) -> bool {
        let mut node = self.network.node(map.node);
        loop {
            match node.op {
                Op::Linear { .. } | Op::Conv2d { .. } | Op::Affine { .. } => return true,
                Op::Flatten(_) | Op::GlobalMean | Op::AvgPool { .. } | Op::AdaptiveAvgPool(_) => {
                    node = self.network.node(node.inputs[0]);
                }
                _ => return false,
            }
        }
    }

    /// What one use of a layer gives.
    fn layer(&mut self, layer: &Layer) -> Result<Vec<Signal>, ArchitectureError> {
        let class = steps::class(layer);
        if ONLY_IN_TRAINING.contains(&class) || is_random(class) {
            return Ok(vec![self.reads(layer)?]);
        }
        let signal = match class {
            "InputLayer" => self.picture(layer)?,
            "Conv2D" | "Convolution2D" => {
                let map = self.map(layer)?;
                self.convolution(layer, map)?
            }
            "DepthwiseConv2D" | "DepthwiseConvolution2D" => {
                let map = self.map(layer)?;
                self.depthwise(layer, map)?
            }
            "SeparableConv2D" | "SeparableConvolution2D" => {
                let map = self.map(layer)?;
                self.separable(layer, map)?
            }
            "Dense" => {
                let map = self.map(layer)?;
                self.dense(layer, map)?
            }
            "BatchNormalization" | "BatchNormalizationV1" | "SyncBatchNormalization" => {
                let signal = self.reads(layer)?;
                self.batch_normalization(layer, signal)?
            }
            "MaxPooling2D" | "MaxPool2D" => {
                let map = self.map(layer)?;
                self.pool(layer, map, Op::MaxPool)?
            }
            "AveragePooling2D" | "AvgPool2D" => {
                let map = self.map(layer)?;
                self.pool(layer, map, |window| Op::AvgPool {
                    window,
                    count_include_pad: false,
                })?
            }
            "GlobalAveragePooling2D" | "GlobalAvgPool2D" => {
                let map = self.map(layer)?;
                self.global_pool(layer, map, false)?
            }
            "GlobalMaxPooling2D" | "GlobalMaxPool2D" => {
                let map = self.map(layer)?;
                self.global_pool(layer, map, true)?
            }
            "Rescaling" | "Normalization" => {
                let signal = self.reads(layer)?;
                let [scale, offset] = rescaling(layer)?;
                self.scaled(layer, signal, &scale, &offset)?
            }
            "PReLU" => {
                let map = self.map(layer)?;
                let map = self.padded(layer, &map)?;
                let op = activations::prelu(layer, self.shape(&map))?;
                Signal::Map(self.push(&layer.name, op, &map)?)
            }
            "ZeroPadding2D" => {
                let map = self.map(layer)?;
                expect_axes(layer, &map)?;
                zero_padding(layer, map)?
            }
            "Flatten" => self.flatten(layer)?,
            "Reshape" => self.reshape(layer)?,
            "Permute" | "Transpose" => self.permute(layer)?,
            "Add" | "Subtract" | "Multiply" | "TrueDivide" | "Divide" | "Average"
            | "CustomScaleLayer" => self.arithmetic(layer, class)?,
            "Mean" => self.mean(layer)?,
            "Negative" => {
                let signal = self.reads(layer)?;
                self.scaled(layer, signal, &[-1.0], &[0.0])?
            }
            "GetItem" => self.get_item(layer)?,
            "Flip" => self.flip(layer)?,
            "Split" | "Unstack" => return self.split(layer, class == "Unstack"),
            "Stack" | "Concatenate" => self.join(layer, class == "Stack")?,
            "Resizing" | "Resize" => self.resize(layer)?,
            "Cropping2D" | "CenterCrop" => self.crop(layer, class)?,
            "Lambda" => {
                return Err(KerasModelError::Code {
                    layer: layer.name.clone(),
                    class: layer.class.clone(),
                }
                .into());
            }
            _ => {
                let config = layer.settings();
                let keras_2 = self.model.from_keras_2;
                let function = activations::settings(layer, class, &config, keras_2)?;
                let function = function.ok_or_else(|| layer.unsupported("this layer is"))?;
                let map = self.map(layer)?;
                self.expect_softmax_over_channels(layer, class, &map)?;
                self.activate(layer, function, &layer.name, map)?
            }
        };
        Ok(vec![signal])
    }

    fn picture(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
        let Input { shape, axes, .. } = self.input;
        let first = self
            .model
            .layers
            .iter()
            .position(|layer| layer.class == "InputLayer");
        if first != Some(self.signals.len()) {
            return Err(layer.unsupported("a second input is").into());
        }
        Ok(Signal::Picture(Picture {
            pixels: Pixels::new(shape.c),
            axes,
            has_channels: true,
            size: [shape.h, shape.w],
            input: [shape.h, shape.w],
            steps: vec![],
        }))
    }

    /// What a layer reads, be it values or constants, in order; lists are part of it.
    pub(super) fn operands<'a>(
        &self,
        argument: &'a Argument<Source>,
        into: &mut Vec<Operand<'a>>,
    ) -> Result<(), KerasModelError> {
        match argument {
            Argument::List(list) => {
                for argument in list {
                    self.operands(argument, into)?;
                }
            }
            Argument::Constant(value) => into.push(Operand::Constant(value)),
            Argument::Value(source) => {
                let signal = self.signals[source.layer].get(source.output);
                let missing = KerasModelError::Config("a link to a value that is not there");
                into.push(Operand::Signal(signal.ok_or(missing)?.clone()));
            }
        }
        Ok(())
    }

    /// The one value that a layer reads.
    pub(super) fn reads(&self, layer: &Layer) -> Result<Signal, ArchitectureError> {
        let mut operands = vec![];
        for (_, argument) in &layer.arguments {
            self.operands(argument, &mut operands)?;
        }
        let signals = operands.into_iter().filter_map(|operand| match operand {
            Operand::Signal(signal) => Some(signal),
            Operand::Constant(_) => None,
        });
        let signals: Vec<Signal> = signals.collect();
        match <[Signal; 1]>::try_from(signals) {
            Ok([signal]) => Ok(signal),
            Err(signals) => {
                let what = format!("reading {} values is", signals.len());
                Err(layer.unsupported(what).into())
            }
        }
    }

    /// The same as a node's value.
    pub(super) fn map(&mut self, layer: &Layer) -> Result<Map, ArchitectureError> {
        let signal = self.reads(layer)?;
        self.as_map(layer, signal)
    }

    /// A value as a node's, for `layer`.
    pub(super) fn as_map(
        &mut self,
        layer: &Layer,
        signal: Signal,
    ) -> Result<Map, ArchitectureError> {
        match signal {
            Signal::Picture(picture) => self.enter(layer, picture),
            Signal::Map(map) => Ok(map),
            Signal::Scores {
                kind: OutputKind::Sigmoid,
                name,
                map,
            } => {
                let op = Op::Activate(crate::network::Activation::Sigmoid);
                self.push(&name, op, &map)
            }
            Signal::Scores { .. } => Err(layer
                .unsupported("a layer after the probabilities is")
                .into()),
        }
    }

    /// The picture as the network's input: what was done to it until here is its preprocessing.
    fn enter(&mut self, layer: &Layer, picture: Picture) -> Result<Map, ArchitectureError> {
        if let Some((entered, map)) = &self.entered {
            return match *entered == picture {
                true => Ok(*map),
                false => Err(layer
                    .unsupported("a picture that is scaled in two ways is")
                    .into()),
            };
        }
        if !picture.has_channels {
            return Err(layer
                .unsupported("a picture without an axis of channels is")
                .into());
        }
        let [h, w] = picture.input;
        self.network = Network::new(&*self.model.name, Shape::new(self.input.shape.c, h, w));
        let mut map = Map::new(self.network.output(), picture.axes);
        // Another order, or another number of channels, is made by a convolution.
        let inputs = self.input.shape.c;
        let ordered = picture.pixels.normalization(self.input.bytes).is_some();
        if !ordered || picture.pixels.len() != inputs {
            let (weights, biases) = picture.pixels.matrix(inputs);
            let outputs = biases.len();
            let op = Op::Conv2d {
                weight: Tensor::from_f32(vec![outputs, inputs, 1, 1], &weights),
                bias: Some(Tensor::from_f32(vec![outputs], &biases)),
                layout: FilterLayout::Oihw,
                window: Window::square(1, 1, 0),
                groups: 1,
            };
            self.mixed = true;
            map = self.push("channels", op, &map)?;
        }
        for step in &picture.steps {
            map = self.step(step, &map)?;
        }
        self.entered = Some((picture, map));
        Ok(map)
    }

    /// What a layer does to the places of the picture, as a node.
    fn step(&mut self, step: &Step, map: &Map) -> Result<Map, ArchitectureError> {
        match step.change {
            Change::Cut(sides) => {
                let sides = sides.map(|sides| sides.map(|side| -(side as i32)));
                self.pad(&step.name, map, sides)
            }
            Change::Shrink([rows, columns]) => {
                // Weights of the places that one is made of.
                let along = |count: usize| {
                    let weight = |place: usize| match count % 2 {
                        1 => f32::from(u8::from(place == count / 2)),
                        _ => {
                            0.5 * f32::from(u8::from(place == count / 2 || place + 1 == count / 2))
                        }
                    };
                    (0..count).map(weight).collect::<Vec<f32>>()
                };
                let (down, across) = (along(rows), along(columns));
                let filter = down.iter().flat_map(|a| across.iter().map(move |b| a * b));
                let filter: Vec<f32> = filter.collect();
                let channels = self.shape(map).c;
                let op = Op::Conv2d {
                    weight: Tensor::from_f32(
                        vec![channels, 1, rows, columns],
                        &filter.repeat(channels),
                    ),
                    bias: None,
                    layout: FilterLayout::Oihw,
                    window: Window {
                        size: [rows, columns],
                        stride: [rows, columns],
                        ..Window::square(1, 1, 0)
                    },
                    groups: channels,
                };
                self.push(&step.name, op, map)
            }
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Shape of a value, without the zeros that are still to be put around it.
    pub(super) fn shape(&self, map: &Map) -> Shape {
        self.network.node(map.node).shape
    }

    /// Adds a node that reads several values of one order of axes.
    pub(super) fn push_joined(
        &mut self,
        name: &str,
        op: Op,
        maps: &[Map],
    ) -> Result<Map, ArchitectureError> {
        let inputs = maps.iter().map(|map| map.node).collect();
        let node = self.network.push(self.names.numbered(name), op, inputs)?;
        let axes = maps.iter().map(|map| map.axes);
        // A vector beside a map is one for all its places.
        let axes = axes.reduce(|one, other| if one == Axes::Vector { other } else { one });
        Ok(Map::new(node, axes.unwrap_or(Axes::Vector)))
    }

    /// Adds a node that reads `map`.
    pub(super) fn push(&mut self, name: &str, op: Op, map: &Map) -> Result<Map, ArchitectureError> {
        debug_assert!(!map.is_padded(), "zeros would be forgotten");
        // Layers of two models inside one may have the same name.
        let node = self
            .network
            .push(self.names.numbered(name), op, vec![map.node])?;
        Ok(Map::new(node, map.axes))
    }

    /// The value with its zeros around it.
    pub(super) fn padded(&mut self, layer: &Layer, map: &Map) -> Result<Map, ArchitectureError> {
        if !map.is_padded() {
            return Ok(*map);
        }
        let sides = map.padding.map(|sides| sides.map(|side| side as i32));
        let name = format!("{}_padding", layer.name);
        self.pad(&name, &Map::new(map.node, map.axes), sides)
    }

    /// Zeros around a map before and after, in rows and columns; what is below zero is cut off.
    pub(super) fn pad(
        &mut self,
        name: &str,
        map: &Map,
        [before, after]: [[i32; 2]; 2],
    ) -> Result<Map, ArchitectureError> {
        let value = 0.0;
        let pad = Pad {
            before,
            after,
            value,
        };
        self.push(name, Op::Pad(pad), map)
    }

    fn expect_softmax_over_channels(
        &self,
        layer: &Layer,
        class: &str,
        map: &Map,
    ) -> Result<(), KerasModelError> {
        if class != "Softmax" {
            return Ok(());
        }
        let lengths = map.axes.lengths(self.shape(map));
        let default = lengths.len() - 1;
        let axis = match layer.setting(&["axis"], 1) {
            None => Some(default),
            Some(_) => layer.axis(lengths.len()),
        };
        match axis == Some(map.axes.channels()) {
            true => Ok(()),
            false => Err(layer.unsupported("a softmax over another axis than the channels is")),
        }
    }

    /// Adds an activation, or ends the network with it.
    pub(super) fn activate(
        &mut self,
        layer: &Layer,
        function: Function,
        name: &str,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        match function {
            Function::Each(ops) => {
                let mut map = match ops.is_empty() {
                    true => map,
                    false => self.padded(layer, &map)?,
                };
                for op in ops {
                    map = self.push(name, op, &map)?;
                }
                Ok(Signal::Map(map))
            }
            Function::Scores(kind) => {
                let map = self.padded(layer, &map)?;
                if kind == OutputKind::Softmax {
                    // A softmax is over the last axis.
                    let shape = self.shape(&map);
                    if shape.h * shape.w > 1 {
                        let what = "a softmax at each place of a map is";
                        return Err(layer.unsupported(what).into());
                    }
                }
                Ok(Signal::Scores {
                    kind,
                    name: name.into(),
                    map,
                })
            }
        }
    }

    /// `scale` x + `offset`, one number or one a channel each.
    pub(super) fn scaled(
        &mut self,
        layer: &Layer,
        signal: Signal,
        scale: &[f64],
        offset: &[f64],
    ) -> Result<Signal, ArchitectureError> {
        let unsupported = || layer.unsupported("a scale that is not one number a channel is");
        if let Signal::Picture(picture) = signal {
            let pixels = picture
                .pixels
                .scaled(scale, offset)
                .ok_or_else(unsupported)?;
            return Ok(Signal::Picture(Picture { pixels, ..picture }));
        }
        let map = self.as_map(layer, signal)?;
        if map.is_padded() && self.is_picture(&map) {
            // It would no longer tell how pixels are scaled before it.
            let what = "scaling a picture with zeros around it is";
            return Err(layer.unsupported(what).into());
        }
        let map = self.padded(layer, &map)?;
        let channels = self.shape(&map).c;
        let each = |values: &[f64]| match *values {
            [value] => Ok(vec![value; channels]),
            _ if values.len() == channels => Ok(values.to_vec()),
            _ => Err(unsupported()),
        };
        let map = self.affine(&layer.name, &map, &each(scale)?, &each(offset)?)?;
        Ok(Signal::Map(map))
    }

    /// Whether a value is that of the picture's node.
    fn is_picture(&self, map: &Map) -> bool {
        self.entered
            .as_ref()
            .is_some_and(|(_, entered)| entered.node == map.node)
    }

    /// A factor and a summand for each channel.
    pub(super) fn affine(
        &mut self,
        name: &str,
        map: &Map,
        scale: &[f64],
        shift: &[f64],
    ) -> Result<Map, ArchitectureError> {
        let tensor = |values: &[f64]| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::from_f32(vec![values.len()], &values)
        };
        let op = Op::Affine {
            scale: tensor(scale),
            shift: tensor(shift),
        };
        self.push(name, op, map)
    }
}

/// What an operation works on.
pub(super) enum Operand<'a> {
    Signal(Signal),
    Constant(&'a Value),
}

/// Refuses a layer whose order of axes is not that of the value it reads.
pub(super) fn expect_axes(layer: &Layer, map: &Map) -> Result<(), KerasModelError> {
    let said = layer.config["data_format"].as_str();
    let (expected, is) = match map.axes {
        Axes::Last => ("channels_last", "a map with its channels last is"),
        Axes::First => ("channels_first", "a map with its channels first is"),
        Axes::Vector => return Err(layer.unsupported("a list of numbers as a map is")),
    };
    match said.is_none_or(|said| said == expected) {
        true => Ok(()),
        false => Err(layer.unsupported(format!("{} for {is}", said.unwrap_or_default()))),
    }
}

/// Zeros that the next layer puts around its map.
fn zero_padding(layer: &Layer, mut map: Map) -> Result<Signal, ArchitectureError> {
    let more = padding(layer)?;
    let sides = map.padding.as_flattened_mut();
    for (side, more) in sides.iter_mut().zip(more.as_flattened()) {
        *side += more;
    }
    if sides.iter().any(|&side| side > MAX_SIDE) {
        return Err(layer.unsupported("such a padding is").into());
    }
    Ok(Signal::Map(map))
}

/// Whether a layer of `class` draws at random while training and does nothing after it. `RandomCrop` cuts all pictures.
fn is_random(class: &str) -> bool {
    class.starts_with("Random") && class != "RandomCrop"
}

#[cfg(test)]
mod tests;
