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
mod hugging_face;
mod inception;
mod mobilenet;
mod published;
mod regnet;
mod resnet;
mod shufflenet;
mod squeezenet;
mod step;
mod timm;

use std::fmt::Write;

use super::modules::Allowed;
use super::{ArchitectureError, Classifier, Evidence, INPUT_SIZE, several};
use crate::network::{MAX_SIDE, Network, NetworkError, Shape};
use crate::picture::preprocess::Normalization;
use crate::weights::{Tensor, Weights};
use build::Builder;
use file::{File, has};
use published::Published;
use step::{Act, Conv, Smoothing, Step};

/// Networks whose tensors have the same names.
pub(super) struct Family {
    /// For people.
    name: &'static str,
    /// Tensors that it has; with a dot at the end, any below; with an `@`, of so many taps.
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
    /// Whether convolutions are padded as TensorFlow's `SAME` says.
    same: bool,
    /// What makes its maps smaller.
    smoothing: Smoothing,
    /// Whether some have group norms in the places of its batch norms.
    group_norms: bool,
    /// Pixels along each side, for members that are not published.
    size: usize,
    normalization: Normalization,
    /// Its published members.
    published: &'static [Published],
    /// What makes the normalisation likely.
    evidence: &'static str,
    /// Modules that are used in training alone.
    aside: &'static [&'static str],
    /// What is taken for granted: the first whose tensor is there, or that has none.
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
    same: false,
    smoothing: Smoothing::None,
    group_norms: false,
    size: INPUT_SIZE,
    normalization: Normalization::TORCH,
    published: &[],
    evidence: "its tensors are named as torchvision's",
    aside: &[],
    notes: &[],
};

/// Of several that have all marks the first, or else the one that has published members like the file.
static FAMILIES: &[&Family] = &[
    &resnet::RESNET,
    &resnet::BLUR,
    &resnet::MEAN,
    &resnet::SMALL,
    &resnet::SMALL_POOLED,
    &resnet::THREE_STAGES,
    &resnet::DEEP_STEM,
    &resnet::DEEP_STEM_BLUR,
    &resnet::DEEP_STEM_MEAN,
    &resnet::CHILDREN,
    &resnet::FASTAI,
    &densenet::DENSENET,
    &mobilenet::V2,
    &mobilenet::V3_SMALL,
    &mobilenet::V3_LARGE,
    &mobilenet::MNASNET,
    &efficientnet::B0_TO_B4,
    &efficientnet::B5_TO_B7,
    &efficientnet::V2_S,
    &efficientnet::V2_M_AND_L,
    &efficientnet::PYTORCH,
    &convnext::TORCHVISION,
    &convnext::TIMM,
    &convnext::TIMM_V2,
    &convnext::AUTHORS,
    &convnext::AUTHORS_V2,
    &regnet::TORCHVISION,
    &regnet::TIMM,
    &shufflenet::V2,
    &squeezenet::V1_0,
    &squeezenet::V1_1,
    &inception::GOOGLENET,
    &inception::V3,
    &alexnet::ALEXNET,
    &timm::MOBILENET_V2,
    &timm::FBNETC,
    &timm::MNASNET,
    &timm::SEMNASNET,
    &timm::LITE,
    &timm::TF_LITE,
    &timm::EFFICIENTNET,
    &timm::TF_EFFICIENTNET,
    &timm::EFFICIENTNET_V2,
    &timm::TF_EFFICIENTNET_V2,
    &timm::EFFICIENTNET_V2_LARGE,
    &timm::TF_EFFICIENTNET_V2_LARGE,
    &timm::MOBILENET_V3_LARGE,
    &timm::TF_MOBILENET_V3_LARGE,
    &timm::MOBILENET_V3_RW,
    &timm::FBNET_V3,
    &timm::MOBILENET_V3_SMALL,
    &timm::TF_MOBILENET_V3_SMALL,
    &hugging_face::RESNET,
    &hugging_face::REGNET,
    &hugging_face::CONVNEXT,
    &hugging_face::CONVNEXT_V2,
    &hugging_face::EFFICIENTNET,
    &hugging_face::MOBILENET_V2,
];

/// Those of the families that the names stand for which are most like the architecture that is asked for; at least one.
fn asked_for(
    all: &[(&'static Family, &str)],
    architecture: Option<&str>,
) -> Result<Vec<&'static Family>, ArchitectureError> {
    let likeness = |family: &Family| architecture.map(|asked| likeness(family, asked));
    let all_families = || all.iter().map(|(family, _)| *family);
    let most = all_families().map(likeness).max().flatten();
    let families: Vec<&Family> = all_families()
        .filter(|&family| likeness(family) == most && most != Some(None))
        .collect();
    if families.is_empty() {
        let names: Vec<&str> = all_families().map(|family| family.name).collect();
        return Err(ArchitectureError::Architecture {
            asked: architecture.unwrap_or_default().into(),
            allowed: names.join(" or "),
        });
    }
    Ok(families)
}

/// The network in `weights`, over pictures of `size` x `size` pixels where that is asked for, and of the family of the
/// architecture that is; `None` where its names are those of no family.
pub(super) fn classifier(
    weights: &Weights,
    size: Option<usize>,
    architecture: Option<&str>,
) -> Result<Option<(Classifier, Allowed)>, ArchitectureError> {
    let mut left_out = vec![];
    let all = told(weights, &mut left_out)?;
    let Some((_, prefix)) = all.first().copied() else {
        return Ok(None);
    };
    let families = asked_for(&all, architecture)?;
    let first = families[0];
    let at = |family: &Family, size: usize| built(family, weights, prefix, size);
    let mut chosen = (first, at(first, size.unwrap_or(first.size))?, None);
    // Of no others there is anything to be found out.
    for family in families.into_iter().filter(|f| !f.published.is_empty()) {
        let one = at(family, size.unwrap_or(family.size))?;
        let mut known = family.published.iter();
        if let Some(known) = known.find(|known| known.filters == one.filters) {
            chosen = (family, one, Some(known));
            break;
        }
    }
    let (family, mut built, known) = chosen;
    let pixels = size.or(known.map(|known| known.size));
    if let Some(pixels) = pixels.filter(|&pixels| pixels != built.network.input_shape().h) {
        built = at(family, pixels)?;
    }
    let (mut network, mut notes) = (built.network, built.notes);
    notes.extend(left_out);
    if let Some(known) = known {
        network.architecture = known.name.into();
    }
    // What was said is no guess.
    let open = architecture.is_none() || all.len() == 1;
    let holds = |mark: &str| mark.is_empty() || has(weights, prefix, mark);
    let mut told = family.notes.iter().filter(|(mark, _)| holds(mark));
    if let Some((_, note)) = told.next().filter(|_| open) {
        notes.push((*note).into());
    }
    // Families without published members have notes of their own.
    if known.is_none() && architecture.is_none() && !family.published.is_empty() {
        notes.push(format!(
            "no published {family} has filters of these sizes: strides and activations, which tensors do not tell, are taken to be that \
             family's; --architecture {family} says that they are, an export as ONNX holds its own",
            family = family.name
        ));
    }
    if size.is_none() {
        let pixels = network.input_shape().h;
        notes.push(format!(
            "the file does not say which size of pictures the network takes: {pixels} is a guess, since it takes any; \
             --input-size says otherwise"
        ));
    }
    let normalization = known.and_then(|known| known.normalization);
    let classifier = Classifier {
        normalization: normalization.unwrap_or(family.normalization),
        normalization_evidence: Evidence::Guess(family.evidence),
        notes,
        ..network.into()
    };
    let is_ceil = |step: &Step| matches!(step, Step::MaxPool(pool) if pool.ceil);
    let allowed = Allowed {
        epsilon: true,
        ceil: family.steps.iter().any(is_ceil),
    };
    Ok(Some((classifier, allowed)))
}

/// How well a family is `asked` for so: best by a published member's name, then by a name that begins with as much of the family's
/// as can be, or else by the beginning of the family's.
fn likeness(family: &Family, asked: &str) -> Option<usize> {
    if family.published.iter().any(|known| known.name == asked) {
        return Some(usize::MAX);
    }
    if asked.starts_with(family.name) {
        return Some(family.name.len());
    }
    let begins = !asked.is_empty() && family.name.starts_with(asked);
    begins.then_some(0)
}

/// The families that the names speak for, and what is before them. Running averages of a network are left out with a note; of other
/// networks side by side nobody knows which is meant.
fn told<'a>(
    weights: &'a Weights,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static Family, &'a str)>, ArchitectureError> {
    let told = FAMILIES.iter().flat_map(|&family| {
        let (first, _) = taps(family.marks[0]);
        let prefixes = weights.tensors.keys().filter_map(move |name| {
            let prefix = name.strip_suffix(first)?;
            (prefix.is_empty() || prefix.ends_with(['.', '/'])).then_some(prefix)
        });
        let told = prefixes.filter(|prefix| is_told(family, weights, prefix));
        told.map(move |prefix| (family, prefix))
    });
    let mut told: Vec<_> = told.collect();
    let mut prefixes: Vec<&str> = told.iter().map(|&(_, prefix)| prefix).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    // What lies within a network is a part of it.
    let within = |inner: &str, outer: &str| inner != outer && inner.starts_with(outer);
    let all = prefixes.clone();
    prefixes.retain(|inner| !all.iter().any(|outer| within(inner, outer)));
    let (averages, mut networks): (Vec<&str>, Vec<&str>) = prefixes
        .iter()
        .partition(|prefix| several::is_average(prefix));
    if let ([average, ..], [network]) = (&averages[..], &networks[..]) {
        notes.push(several::left_out(network, average));
    }
    if networks.is_empty() {
        networks = averages;
    }
    if networks.len() > 1 {
        let prefixes = networks.iter().map(|&prefix| prefix.to_owned());
        return Err(ArchitectureError::SeveralNetworks {
            prefixes: prefixes.collect(),
        });
    }
    told.retain(|(_, prefix)| networks.contains(prefix));
    // Families of other names are others, whatever else is in the file.
    if let Some(&(first, _)) = told.first() {
        told.retain(|(family, _)| family.marks == first.marks);
    }
    Ok(told)
}

/// Refuses a layer outside of the file's prefix that goes on from the classes of the network there, and says what else is left out.
fn outside(file: &File<'_>, network: &Network) -> Result<Option<String>, ArchitectureError> {
    let prefix = file.prefix;
    // A head of somebody's own may stand there too.
    let has_place = |name: &str| name.starts_with(prefix) || file.is_read(name);
    let is_outside = |name: &str| !has_place(name) && !several::is_average(name);
    let layers = file.weights.tensors.iter();
    let layers = layers.filter(|(name, tensor)| tensor.shape().len() > 1 && is_outside(name));
    let outside: Vec<_> = layers.collect();
    let goes_on = |(_, tensor): &&(&String, &Tensor)| tensor.shape()[1] == network.classes();
    if let Some((name, _)) = outside.iter().find(goes_on) {
        return Err(ArchitectureError::Stacked {
            layer: name.trim_end_matches(".weight").into(),
            last: format!("{prefix}*"),
        });
    }
    Ok(outside.first().map(|(first, _)| {
        format!(
            "{} tensors outside of the network that is named {prefix}* are left out, {first} and so on: if it reads them, an export \
             as ONNX holds it all",
            outside.len()
        )
    }))
}

/// A mark's name, and the taps that it asks for.
fn taps(mark: &str) -> (&str, Option<usize>) {
    match mark.split_once('@') {
        Some((name, taps)) => (name, taps.parse().ok()),
        None => (mark, None),
    }
}

fn is_told(family: &Family, weights: &Weights, prefix: &str) -> bool {
    let there = |mark: &&str| {
        let (name, taps) = taps(mark);
        let tensor = || weights.tensor(&format!("{prefix}{name}"));
        let fits = |taps| tensor().is_some_and(|tensor| tensor.shape().last() == Some(&taps));
        has(weights, prefix, name) && taps.is_none_or(fits)
    };
    family.marks.iter().all(there) && !family.lacks.iter().any(there)
}

/// A network, called by its family and the blocks of its stages, and what was found while it was made.
struct Built {
    network: Network,
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
    let left_out = outside(&builder.file, &builder.network)?;
    builder.notes.extend(left_out);
    for count in builder.blocks {
        write!(builder.network.architecture, "-{count}").expect("a string takes all text");
    }
    Ok(Built {
        network: builder.network,
        filters: builder.filters,
        notes: builder.notes,
    })
}
