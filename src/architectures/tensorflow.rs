//! VGGs as the VGG authors' names went through Caffe and TensorFlow: layers `conv1_1` ... `fc8`, each with weights and
//! biases under one of the words in use, after any path and separator: `conv1_1/0` (tensorflow-vgg), `conv1_1_W`
//! (`vgg16_weights.npz`), `vgg_16/conv1/conv1_1/weights` (TF-Slim), `conv1_1/kernel`, `conv1_1.weight`.

use std::collections::BTreeMap;

use super::vgg::{self, Axes, Dense, Parameters, Vgg};
use super::{ArchitectureError, Evidence, names};
use crate::picture::preprocess::Normalization;
use crate::weights::{Tensor, Weights};

/// A layer's place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Convolution(u8, u8),
    Dense(u8),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Convolution(block, i) => write!(f, "conv{block}_{i}"),
            Self::Dense(number) => write!(f, "fc{number}"),
        }
    }
}

/// What a layer's tensors are called, in lower case.
const WEIGHTS: [&str; 7] = ["0", "w", "weights", "weight", "kernel", "filter", "filters"];
const BIASES: [&str; 4] = ["1", "b", "biases", "bias"];

/// Weights, with their name and the last word of it.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    word: &'a str,
    tensor: &'a Tensor,
}

#[derive(Default)]
struct LayerTensors<'a> {
    weight: Option<Named<'a>>,
    bias: Option<&'a Tensor>,
}

/// The tensors of a file by what they are.
#[derive(Default)]
struct SortedTensors<'a> {
    layers: BTreeMap<Place, LayerTensors<'a>>,
    /// The mean colour, where a variable has it.
    mean: Option<Normalization>,
    /// The first that belongs to no layer of a VGG, nor to its training.
    strange: Option<&'a String>,
}

/// The VGG in `weights`, or `None` where no tensor is named as one's first convolution is.
pub(super) fn read(weights: &Weights) -> Result<Option<Vgg>, ArchitectureError> {
    let SortedTensors {
        layers,
        mean,
        strange,
    } = sorted(weights);
    let first = layers.get(&Place::Convolution(1, 1));
    let Some(named) = first.and_then(|layer| layer.weight) else {
        return Ok(None);
    };
    if let Some(name) = strange {
        return Err(ArchitectureError::Unexpected { name: name.clone() });
    }
    let axes = match named.tensor.shape() {
        [3, 3, 3, 3] if named.word == "weight" => Axes::Torch,
        [3, 3, 1 | 3, _] => Axes::TensorFlow,
        [_, 1 | 3, 3, 3] => Axes::Torch,
        _ => Axes::TensorFlow,
    };
    let missing = |place: Place| ArchitectureError::MissingLayer {
        layer: place.to_string(),
        found: names(weights),
    };
    let (blocks, head) = blocks_and_head(&layers, axes).map_err(missing)?;
    vgg::name(&blocks)?;
    let six_to_eight = [6, 7, 8].map(Place::Dense);
    let (there, absent): (Vec<Place>, Vec<Place>) = six_to_eight
        .into_iter()
        .partition(|place| layers.contains_key(place));
    if let (false, Some(&absent)) = (there.is_empty(), absent.first()) {
        return Err(missing(absent));
    }
    if head.is_empty() {
        return Err(missing(Place::Dense(8)));
    }
    let (normalization, evidence) = match mean {
        Some(mean) => (mean, Evidence::Metadata),
        None => preprocessing(named, axes),
    };
    Ok(Some(Vgg {
        axes,
        blocks,
        batch_norm: false,
        adaptive: false,
        head,
        normalization,
        evidence,
        notes: vec![],
    }))
}

fn sorted(weights: &Weights) -> SortedTensors<'_> {
    let mut sorted = SortedTensors::default();
    for (name, tensor) in &weights.tensors {
        let Some((place, word)) = place(name) else {
            if let Some(stated) = mean_rgb(name, tensor) {
                sorted.mean = Some(stated);
                continue;
            }
            // A counter or a rate belongs to the training.
            sorted.strange = sorted.strange.or((tensor.len() > 1).then_some(name));
            continue;
        };
        let layer = sorted.layers.entry(place).or_default();
        let lower = word.to_ascii_lowercase();
        if WEIGHTS.contains(&&*lower) {
            layer.weight = Some(Named { name, word, tensor });
        } else if BIASES.contains(&&*lower) {
            layer.bias = Some(tensor);
        } else {
            sorted.strange = sorted.strange.or(Some(name));
        }
    }
    sorted
}

/// The convolutions, block by block, and the dense layers; an error is the place that lacks its layer or its weight.
fn blocks_and_head(
    layers: &BTreeMap<Place, LayerTensors<'_>>,
    axes: Axes,
) -> Result<(Vec<Vec<Parameters>>, Vec<Dense>), Place> {
    let mut blocks: Vec<Vec<Parameters>> = vec![];
    let mut head: Vec<Dense> = vec![];
    for (&place, found) in layers {
        let weight = found.weight.ok_or(place)?.tensor;
        let layer = |weight: Tensor| Parameters {
            name: place.to_string(),
            weight,
            bias: found.bias.cloned(),
        };
        match place {
            Place::Convolution(block, i) => {
                let before = match i {
                    1 => Place::Convolution(block - 1, 1),
                    _ => Place::Convolution(block, i - 1),
                };
                if (block, i) != (1, 1) && !layers.contains_key(&before) {
                    return Err(before);
                }
                if i == 1 {
                    blocks.push(vec![]);
                }
                let block = blocks.last_mut().expect("the first convolution is there");
                block.push(layer(weight.clone()));
            }
            Place::Dense(number) => {
                // The authors count dense layers on from the blocks.
                if head.is_empty() && usize::from(number) > blocks.len() + 1 {
                    return Err(Place::Convolution(blocks.len() as u8 + 1, 1));
                }
                if let Some(previous) = head.last_mut() {
                    previous.relu = true;
                }
                // One that is no matrix is refused with its shape by the network.
                let weight = axes.dense(weight).unwrap_or_else(|| weight.clone());
                head.push(Dense {
                    layer: layer(weight),
                    relu: false,
                });
            }
        }
    }
    Ok((blocks, head))
}

/// TF-Slim's variable with the mean colour, which is all that its networks' inputs have taken off them.
fn mean_rgb(name: &str, tensor: &Tensor) -> Option<Normalization> {
    let name = name.strip_suffix(":0").unwrap_or(name);
    let last = name.rsplit('/').next();
    if last != Some("mean_rgb") || tensor.shape() != [3] {
        return None;
    }
    let mean: [f32; 3] = tensor.to_vec().try_into().ok()?;
    let is_colour = mean.iter().all(|value| (2.0..=255.0).contains(value));
    is_colour.then_some(Normalization {
        mean,
        ..Normalization::CAFFE_RGB
    })
}

/// The layer that a tensor's name speaks of last, and what comes after it.
fn place(name: &str) -> Option<(Place, &str)> {
    let name = name.strip_suffix(":0").unwrap_or(name);
    let digit = |byte: &u8| {
        byte.checked_sub(b'0')
            .filter(|digit| (1..=9).contains(digit))
    };
    let at = |start: usize| {
        let rest = &name.as_bytes()[start..];
        match rest {
            [b'c', b'o', b'n', b'v', block, b'_', i, ..] => {
                Some((Place::Convolution(digit(block)?, digit(i)?), start + 7))
            }
            [b'f', b'c', number, ..] => Some((Place::Dense(digit(number)?), start + 3)),
            _ => None,
        }
    };
    let (place, end) = (0..name.len()).rev().find_map(at)?;
    // The bytes before `end` are ASCII, so it lies between two characters.
    let word = name[end..].strip_prefix(['/', '_', '.', '-'])?;
    Some((place, word))
}

/// Which of the copies of the authors' model this is: Caffe's takes blue first, and so do those that were converted layer by
/// layer; TF-Slim's, and that of `vgg16_weights.npz`, had their first filters turned around. Names alone are no proof of it.
fn preprocessing(first: Named<'_>, axes: Axes) -> (Normalization, Evidence) {
    let scope = first.name.split("conv1_1").next().unwrap_or_default();
    let (normalization, reason) = match (first.word, axes) {
        ("0", Axes::TensorFlow) => (
            Normalization::CAFFE,
            "each layer is a list of weights and biases, as in tensorflow-vgg's files",
        ),
        ("W", Axes::TensorFlow) => (
            Normalization::CAFFE_RGB,
            "its tensors are named as those of vgg16_weights.npz",
        ),
        ("weights", Axes::TensorFlow) if !scope.is_empty() => (
            Normalization::CAFFE_RGB,
            "its tensors are named as TF-Slim's",
        ),
        ("weights", Axes::TensorFlow) => (
            Normalization::CAFFE,
            "each layer has weights and biases by name, as caffe-tensorflow writes them",
        ),
        _ => (
            Normalization::CAFFE,
            "its layers are named as those of the VGG authors' Caffe model",
        ),
    };
    (normalization, Evidence::Guess(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_found_in_every_name_that_people_give_its_tensors() {
        for (name, word) in [
            ("conv1_2/0", "0"),
            ("conv1_2_W", "W"),
            ("conv1_2/weights", "weights"),
            ("vgg_16/conv1/conv1_2/weights:0", "weights"),
            ("conv1_2/conv1_2_filters:0", "filters"),
            ("features.conv1_2.weight", "weight"),
            ("conv1_2/kernel", "kernel"),
        ] {
            assert_eq!(
                place(name),
                Some((Place::Convolution(1, 2), word)),
                "{name}"
            );
        }
        assert_eq!(place("fc6_b"), Some((Place::Dense(6), "b")));
        assert_eq!(
            place("vgg_16/fc8/biases"),
            Some((Place::Dense(8), "biases"))
        );
        for name in [
            "conv0_1/0",
            "conv1/0",
            "conv1_0/0",
            "fc/0",
            "fc6",
            "global_step",
            "conv1_1é",
        ] {
            assert_eq!(place(name), None, "{name}");
        }
    }
}
