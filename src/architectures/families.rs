//! Families of networks that `PyTorch` files of named tensors are known by: a table each, in [`step`]'s language.
//!
//! What tensors say is read from them: channels, taps, groups, blocks of a stage, whether there are gates. What they do not
//! say, such as strides and activations, is in the tables, and a family is told by names that it has and others have not. A
//! new family is a file with a table and a line in [`FAMILIES`].

mod alexnet;
mod build;
mod convnext;
mod densenet;
mod efficientnet;
mod file;
mod inception;
mod mobilenet;
mod published;
mod regnet;
mod resnet;
mod shufflenet;
mod squeezenet;
mod step;

use std::fmt::Write;

use super::{ArchitectureError, Classifier, Evidence, INPUT_SIZE};
use crate::network::{MAX_SIDE, NetworkError, Shape};
use crate::picture::preprocess::Normalization;
use crate::weights::Weights;
use build::Builder;
use file::{File, has};
use published::published;
use step::{Act, Conv, Step};

/// Networks whose tensors have the same names.
pub(super) struct Family {
    /// For people.
    name: &'static str,
    /// Tensors that it has; with a dot at the end, any below.
    marks: &'static [&'static str],
    /// The same of those that it has not.
    lacks: &'static [&'static str],
    /// The convolution that reads the picture.
    stem: Conv,
    /// What follows.
    steps: &'static [Step],
    /// Of its batch norms.
    epsilon: f64,
    /// The activation of rows that name none.
    act: Act,
    /// Of its gates: between their two layers, and after them.
    gate: [Act; 2],
    /// Whether the taps of the first convolution tell it, where others have the same names.
    taps_tell: bool,
    /// Whether convolutions are padded as TensorFlow's `SAME` says.
    same: bool,
    /// Pixels along each side, for members that are not [published](published::published).
    size: usize,
    normalization: Normalization,
    /// What makes the normalisation likely.
    evidence: &'static str,
    /// Modules that are used in training alone.
    aside: &'static [&'static str],
    /// What is taken for granted, each with a tensor without which it does not matter, or none.
    notes: &'static [(&'static str, &'static str)],
}

/// What most families have.
const FAMILY: Family = Family {
    name: "",
    marks: &[],
    lacks: &[],
    stem: Conv::bare(""),
    steps: &[],
    epsilon: 1e-5,
    act: Act::Relu,
    gate: [Act::Relu, Act::Sigmoid],
    taps_tell: false,
    same: false,
    size: INPUT_SIZE,
    normalization: Normalization::TORCH,
    evidence: "its tensors are named as torchvision's",
    aside: &[],
    notes: &[],
};

/// Of several that have all marks the first.
static FAMILIES: &[&Family] = &[
    &resnet::RESNET,
    &resnet::DEEP_STEM,
    &densenet::DENSENET,
    &mobilenet::V2,
    &mobilenet::V3_SMALL,
    &mobilenet::V3_LARGE,
    &mobilenet::MNASNET,
    &efficientnet::B0_TO_B4,
    &efficientnet::B5_TO_B7,
    &efficientnet::V2_S,
    &efficientnet::V2_M_AND_L,
    &convnext::TORCHVISION,
    &regnet::TORCHVISION,
    &shufflenet::V2,
    &squeezenet::V1_0,
    &squeezenet::V1_1,
    &inception::GOOGLENET,
    &inception::V3,
    &alexnet::ALEXNET,
];

/// The network in `weights`, over pictures of `size` x `size` pixels where that is asked for; `None` where its names are those of
/// no family.
pub(super) fn classifier(
    weights: &Weights,
    size: Option<usize>,
) -> Result<Option<Classifier>, ArchitectureError> {
    let Some((family, prefix)) = told(weights) else {
        return Ok(None);
    };
    let first = built(family, weights, prefix, size.unwrap_or(family.size))?;
    let known = published(family.name, first.filters);
    let pixels = size.or(known.map(|known| known.size));
    let built = match pixels {
        Some(pixels) if pixels != first.network.input_shape().h => {
            built(family, weights, prefix, pixels)?
        }
        _ => first,
    };
    let mut network = built.network;
    let mut notes = built.notes;
    if let Some(known) = known {
        network.architecture = known.name.into();
    }
    for (mark, note) in family.notes {
        if mark.is_empty() || has(weights, prefix, mark) {
            notes.push((*note).into());
        }
    }
    if size.is_none() {
        let pixels = network.input_shape().h;
        notes.push(format!(
            "the file does not say which size of pictures the network takes: {pixels} is a guess, since it takes any; \
             --input-size says otherwise"
        ));
    }
    let normalization = known.and_then(|known| known.normalization);
    Ok(Some(Classifier {
        normalization: normalization.unwrap_or(family.normalization),
        normalization_evidence: Evidence::Guess(family.evidence),
        notes,
        ..network.into()
    }))
}

/// The family that the names speak for, and what is before them; of several copies the one with the shortest prefix.
fn told(weights: &Weights) -> Option<(&'static Family, &str)> {
    FAMILIES.iter().find_map(|family| {
        let first = family.marks[0];
        let prefixes = weights.tensors.keys().filter_map(|name| {
            // A mark with a dot at the end is none of a whole name.
            let prefix = name.strip_suffix(first)?;
            (prefix.is_empty() || prefix.ends_with(['.', '/'])).then_some(prefix)
        });
        let prefix = prefixes
            .filter(|prefix| is_told(family, weights, prefix))
            .min_by_key(|prefix| prefix.len())?;
        Some((*family, prefix))
    })
}

fn is_told(family: &Family, weights: &Weights, prefix: &str) -> bool {
    let there = |mark: &&str| has(weights, prefix, mark);
    let stem = format!("{prefix}{}{}.weight", family.stem.at, family.stem.own);
    let taps = weights.tensor(&stem).and_then(|stem| stem.shape().last());
    family.marks.iter().all(there)
        && !family.lacks.iter().any(there)
        && (!family.taps_tell || taps == Some(&family.stem.taps))
}

/// A network, called by its family and the blocks of its stages, and what was found while it was made.
struct Built {
    network: crate::network::Network,
    filters: usize,
    notes: Vec<String>,
}

fn built(
    family: &Family,
    weights: &Weights,
    prefix: &str,
    pixels: usize,
) -> Result<Built, ArchitectureError> {
    const LEAST: usize = 32;
    let refused = |allowed: String| ArchitectureError::InputSize {
        asked: pixels,
        allowed,
    };
    if !(LEAST..=MAX_SIDE).contains(&pixels) {
        return Err(refused(format!("{LEAST} to {MAX_SIDE}")));
    }
    let mut file = File::new(weights, prefix);
    let stem = format!("{}{}", family.stem.at, family.stem.own);
    let channels = match *file.weight(&stem)?.shape() {
        [_, channels @ (1 | 3), _, _] => channels,
        [_, channels, _, _] => {
            return Err(ArchitectureError::Channels {
                layer: file.full(&stem),
                channels,
            });
        }
        _ => return Err(file.odd(&stem)),
    };
    let mut builder = Builder::new(file, family, Shape::new(channels, pixels, pixels));
    builder.whole().map_err(|error| match error {
        ArchitectureError::Network(NetworkError::WindowDoesNotFit { .. }) => {
            refused(format!("larger ones, up to {MAX_SIDE}"))
        }
        error => error,
    })?;
    let aside = family.aside.iter();
    let left = aside.filter(|part| builder.file.take(part));
    let left: Vec<&str> = left.map(|part| part.trim_end_matches('.')).collect();
    if !left.is_empty() {
        builder.notes.push(format!(
            "{} left out: classifiers that are used in training alone (aux_logits)",
            match left[..] {
                [one] => format!("{one} is"),
                _ => format!("{} are", left.join(" and ")),
            }
        ));
    }
    builder.file.all_read()?;
    for count in builder.blocks {
        write!(builder.network.architecture, "-{count}").expect("a string takes all text");
    }
    Ok(Built {
        network: builder.network,
        filters: builder.filters,
        notes: builder.notes,
    })
}
