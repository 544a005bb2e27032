//! From Keras' layers to a network: each use of a layer becomes nodes, or a step of the preprocessing.

use super::activations;
use super::layers::factors;
use super::nodes::zero_padding;
use super::picture::{rescaling, usual};
use super::value::{Axes, Map, Picture, Signal};
use super::{KerasLayer, KerasModelError, Model, Source, steps};
use crate::architectures::names::Names;
use crate::architectures::prefix::Pixels;
use crate::architectures::{ArchitectureError, Classifier, Evidence, affine, prefix};
use crate::network::{Network, Op, OutputKind, Shape};
use crate::picture::preprocess::Normalization;

/// Layers that change nothing after training, but for those called `Random...`.
const ONLY_IN_TRAINING: [&str; 16] = [
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
    "StochasticDepth",
    "DropPath",
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
    /// Whether rows or columns are not in the file.
    pub(super) guessed: bool,
    /// Whether its values are bytes.
    pub(super) bytes: bool,
}

/// A network in the making.
pub(super) struct Builder<'a> {
    pub(super) model: &'a Model,
    pub(super) input: Input,
    pub(super) network: Network,
    pub(super) names: Names,
    /// Values of the layers so far.
    pub(super) signals: Vec<Vec<Signal>>,
    /// The picture as the network's input takes it, and its node.
    pub(super) entered: Option<(Picture, Map)>,
    /// Whether the channels' order is made by a convolution.
    pub(super) mixed: bool,
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

/// What a layer makes of the one feature map that it reads.
type OfOneMap<'a> = fn(&mut Builder<'a>, &KerasLayer, Map) -> Result<Signal, ArchitectureError>;

impl<'a> Builder<'a> {
    fn finish(mut self, last: &KerasLayer, end: &Signal) -> Result<Built, ArchitectureError> {
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
        let mut scales_itself = steps.as_ref().is_some_and(Pixels::changes_values);
        let known = match &steps {
            // The first convolution does it all.
            Some(pixels) if mixed => Some(pixels.input_of_numbers(bytes)),
            Some(pixels) => pixels.normalization(bytes),
            None => bytes.then_some((Normalization::NONE, Evidence::Metadata)),
        };
        // Steps that come after rows or columns were added around the picture.
        let mut steps = steps.filter(|_| !mixed);
        let mut known = known;
        if steps.is_none() && !mixed {
            let taken = prefix::take(network.clone());
            scales_itself = taken.all.changes_values();
            if !taken.all.is_untouched()
                && let Some(told) = taken.normalization(bytes)
            {
                (network, steps, known) = (taken.network, Some(taken.steps), Some(told));
            }
        }
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
                steps,
                scales_itself,
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
    fn layer(&mut self, layer: &KerasLayer) -> Result<Vec<Signal>, ArchitectureError> {
        let class = steps::class(layer);
        if ONLY_IN_TRAINING.contains(&class) || is_random(class) {
            return Ok(vec![self.reads(layer)?]);
        }
        if let Some(of_map) = Self::of_one_map(class) {
            let map = self.map(layer)?;
            return Ok(vec![of_map(self, layer, map)?]);
        }
        let signal = match class {
            "InputLayer" => self.picture(layer)?,
            "Rescaling" | "Normalization" => {
                let signal = self.reads(layer)?;
                let [scale, offset] = rescaling(layer)?;
                self.scaled(layer, signal, &scale, &offset)?
            }
            // Of ConvNeXt: a factor a channel.
            "LayerScale" => {
                let signal = self.reads(layer)?;
                let scale = factors(layer)?;
                self.scaled(layer, signal, &scale, &[0.0])?
            }
            "Negative" => {
                let signal = self.reads(layer)?;
                self.scaled(layer, signal, &[-1.0], &[0.0])?
            }
            "BatchNormalization" | "BatchNormalizationV1" | "SyncBatchNormalization" => {
                let signal = self.reads(layer)?;
                self.batch_normalization(layer, signal)?
            }
            "Flatten" => self.flatten(layer)?,
            "Reshape" => self.reshape(layer)?,
            "Permute" | "Transpose" => self.permute(layer)?,
            "Add" | "Subtract" | "Multiply" | "Maximum" | "TrueDivide" | "Divide" | "Average"
            | "CustomScaleLayer" => self.arithmetic(layer, class)?,
            "Mean" => self.mean(layer)?,
            "GetItem" => self.get_item(layer)?,
            "Flip" => self.flip(layer)?,
            "Split" | "Unstack" => return self.split(layer, class == "Unstack"),
            "Stack" | "Concatenate" => self.join(layer, class == "Stack")?,
            "Resizing" | "Resize" => self.resize(layer)?,
            "UpSampling2D" => self.upsampling(layer)?,
            "Cropping2D" | "CenterCrop" => self.crop(layer, class)?,
            "Lambda" => {
                return Err(KerasModelError::Code {
                    layer: layer.name.clone(),
                    class: layer.class.clone(),
                }
                .into());
            }
            _ => self.activation_layer(layer, class)?,
        };
        Ok(vec![signal])
    }

    /// The layers that read one feature map and give one value.
    fn of_one_map(class: &str) -> Option<OfOneMap<'a>> {
        Some(match class {
            "Conv2D" | "Convolution2D" => Self::convolution,
            "DepthwiseConv2D" | "DepthwiseConvolution2D" => Self::depthwise,
            "SeparableConv2D" | "SeparableConvolution2D" => Self::separable,
            "Dense" => Self::dense,
            "LayerNormalization" => Self::layer_normalization,
            "GroupNormalization" => Self::group_normalization,
            "MaxPooling2D" | "MaxPool2D" => Self::max_pool,
            "AveragePooling2D" | "AvgPool2D" => Self::average_pool,
            "GlobalAveragePooling2D" | "GlobalAvgPool2D" => Self::global_mean,
            "GlobalMaxPooling2D" | "GlobalMaxPool2D" => Self::global_max,
            "PReLU" => Self::prelu,
            "ZeroPadding2D" => |_, layer, map| zero_padding(layer, map),
            _ => return None,
        })
    }

    /// An activation that is a layer of its own; any other layer is refused.
    fn activation_layer(
        &mut self,
        layer: &KerasLayer,
        class: &str,
    ) -> Result<Signal, ArchitectureError> {
        let config = layer.settings();
        let function = activations::settings(layer, class, &config, self.model.version)?;
        let function = function.ok_or_else(|| layer.unsupported("this layer is"))?;
        let map = self.map(layer)?;
        self.expect_softmax_over_channels(layer, class, &map)?;
        self.activate(layer, function, &layer.name, map)
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// Whether a layer of `class` draws at random while training and does nothing after it. `RandomCrop` cuts all pictures.
fn is_random(class: &str) -> bool {
    class.starts_with("Random") && class != "RandomCrop"
}

#[cfg(test)]
mod tests;
