//! VGGs as `PyTorch` names their tensors: torchvision's `features.0.weight` ... `classifier.6.bias`, timm's
//! `pre_logits.fc1.weight` ... `head.fc.bias`, and what people make of them, under any prefix.
//!
//! Modules of a `Sequential` are numbered through, those without weights too: what lies between two layers is known
//! by the gap between their numbers.

mod head;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::batch_norm::{BatchNorm, TORCH_EPSILON};
use super::vgg::{self, Axes, Dense, Parameters, Vgg};
use super::{ArchitectureError, Evidence, names};
use crate::picture::preprocess::Normalization;
use crate::weights::{Tensor, Weights};

/// A part of a name. Numbers come before names, and in the order of their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Number(usize),
    Name(&'a str),
}

/// The tensors of one module.
#[derive(Clone, Debug)]
struct Module<'a> {
    /// Its name in the file.
    name: &'a str,
    /// By the last part of their names.
    tensors: BTreeMap<&'a str, &'a Tensor>,
    /// Of its first tensor in the file's own order; equal for all modules of a file that has none.
    place: usize,
}

type Path<'a> = Vec<Part<'a>>;
type Modules<'a> = BTreeMap<Path<'a>, Module<'a>>;

/// The last part of a tensor's name, in layers that a VGG has.
const KNOWN: [&str; 5] = [
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "num_batches_tracked",
];

impl<'a> Module<'a> {
    fn weight(&self) -> Option<&'a Tensor> {
        self.tensors.get("weight").copied()
    }

    fn bias(&self) -> Option<&'a Tensor> {
        self.tensors.get("bias").copied()
    }

    fn rank(&self) -> usize {
        self.weight().map_or(0, |weight| weight.shape().len())
    }

    fn is_norm(&self) -> bool {
        self.tensors.contains_key("running_mean") || self.tensors.contains_key("running_var")
    }

    fn norm(&self) -> BatchNorm<'a> {
        BatchNorm {
            name: self.name,
            gamma: self.weight(),
            beta: self.bias(),
            mean: self.tensors.get("running_mean").copied(),
            variance: self.tensors.get("running_var").copied(),
            epsilon: TORCH_EPSILON,
        }
    }

    /// The layer with these weights, and with the norm after it in them.
    fn layer(
        &self,
        weight: &Tensor,
        norm: Option<&Module<'_>>,
    ) -> Result<Parameters, ArchitectureError> {
        let (weight, bias) = match norm {
            Some(norm) => {
                let (weight, bias) = norm.norm().fold(weight, 0, self.bias())?;
                (weight, Some(bias))
            }
            None => (weight.clone(), self.bias().cloned()),
        };
        Ok(Parameters {
            name: self.name.into(),
            weight,
            bias,
        })
    }
}

/// The VGG in `weights`, or `None` where no module is numbered as one's first convolution is.
pub(super) fn read(weights: &Weights) -> Result<Option<Vgg>, ArchitectureError> {
    let modules = modules(weights);
    let Some(container) = container(&modules) else {
        return Ok(None);
    };
    let (convolutions, last) = convolutions(&modules, &container);
    no_others(&modules, &container, &convolutions, last)?;
    let blocks = blocks(&convolutions)?;
    vgg::name(&blocks)?;
    let mut vgg = Vgg {
        axes: Axes::Torch,
        // timm has its first dense layer slide over a larger map.
        adaptive: !modules
            .keys()
            .any(|path| path.contains(&Part::Name("pre_logits"))),
        batch_norm: convolutions.iter().any(|(_, _, norm)| norm.is_some()),
        blocks,
        head: vec![],
        normalization: Normalization::TORCH,
        evidence: Evidence::Guess("its tensors are named as torchvision's"),
        notes: vec![],
    };
    let (scope, rest) = head::rest(&modules, &container, last);
    if rest.is_empty() {
        return Err(ArchitectureError::NoHead {
            found: names(weights),
        });
    }
    (vgg.head, vgg.notes) = head::read(&rest, vgg.channels(), !weights.order.is_empty())?;
    head::complete(weights, &vgg.head)?;
    vgg.notes
        .extend(head::outside(&modules, &scope, &vgg.head)?);
    Ok(Some(vgg))
}

/// The dense layers in modules whose names are `chosen`, after a map of so many `channels`, and what was taken for granted; none
/// where there are no such modules.
pub(super) fn dense_layers(
    weights: &Weights,
    chosen: &dyn Fn(&str) -> bool,
    channels: usize,
) -> Result<(Vec<Dense>, Vec<String>), ArchitectureError> {
    let modules = modules(weights);
    let layers = modules.iter().filter(|(_, module)| chosen(module.name));
    let layers: Vec<_> = layers.collect();
    match layers.is_empty() {
        true => Ok((vec![], vec![])),
        false => head::read(&layers, channels, !weights.order.is_empty()),
    }
}

/// The tensors by module. A nested checkpoint's names have slashes where it was opened.
fn modules(weights: &Weights) -> Modules<'_> {
    let places = weights.order.iter().enumerate();
    let places: HashMap<&str, usize> = places.map(|(i, name)| (&**name, i)).collect();
    let mut modules = Modules::new();
    for (name, tensor) in &weights.tensors {
        let (module, leaf) = name.rsplit_once(['.', '/']).unwrap_or(("", name));
        let path = module.split(['.', '/']).map(part).collect();
        let place = places.get(&**name).copied().unwrap_or(0);
        let entry = modules.entry(path).or_insert_with(|| Module {
            name: module,
            tensors: BTreeMap::new(),
            place,
        });
        entry.place = entry.place.min(place);
        entry.tensors.insert(leaf, tensor);
    }
    modules
}

fn part(text: &str) -> Part<'_> {
    match text.parse::<usize>() {
        Ok(number) if number.to_string() == text => Part::Number(number),
        _ => Part::Name(text),
    }
}

/// The path of the `Sequential` that begins with a convolution over colours; of several (a second copy with averaged
/// weights) the one with the shortest path.
fn container<'a>(modules: &Modules<'a>) -> Option<Path<'a>> {
    let mut firsts: BTreeMap<&[Part<'_>], &Module<'_>> = BTreeMap::new();
    for (path, module) in modules {
        if let Some((Part::Number(_), container)) = path.split_last() {
            firsts.entry(container).or_insert(module);
        }
    }
    let over_colours = |module: &Module<'_>| {
        let shape = module.weight().map(Tensor::shape);
        shape.is_some_and(|shape| matches!(shape, [_, 1..=4, _, _]))
    };
    let length = |path: &[Part<'_>]| -> usize {
        let length = |part: &Part<'_>| match part {
            Part::Number(_) => 1,
            Part::Name(name) => name.len(),
        };
        path.iter().map(length).sum()
    };
    let mut found: Vec<&[Part<'_>]> = firsts
        .into_iter()
        .filter_map(|(container, first)| over_colours(first).then_some(container))
        .collect();
    found.sort_by_key(|container| length(container));
    let first = *found.first()?;
    // The path's own parts, which live as long as the names do.
    let with = modules.keys().find(|path| path.starts_with(first))?;
    Some(with[..first.len()].to_vec())
}

/// A convolution's number, the convolution, and the norm directly after it.
type Convolution<'m, 'a> = (usize, &'m Module<'a>, Option<&'m Module<'a>>);

/// The convolutions of the container, and the number after the last one and its norm.
fn convolutions<'m, 'a>(
    modules: &'m Modules<'a>,
    container: &[Part<'a>],
) -> (Vec<Convolution<'m, 'a>>, usize) {
    let at = |number: usize| {
        let path = [container, &[Part::Number(number)]].concat();
        modules.get(&path)
    };
    let numbers = modules.keys().filter_map(|path| match path.split_last() {
        Some((&Part::Number(number), parent)) if parent == container => Some(number),
        _ => None,
    });
    let mut found = vec![];
    let mut last = 0;
    for number in numbers {
        let Some(module) = at(number).filter(|module| module.rank() == 4) else {
            continue;
        };
        let norm = number
            .checked_add(1)
            .and_then(at)
            .filter(|next| next.is_norm());
        last = number + usize::from(norm.is_some());
        found.push((number, module, norm));
    }
    (found, last)
}

/// The convolutions by block: a module without weights after each is its ReLU, a second one a pool.
fn blocks(convolutions: &[Convolution<'_, '_>]) -> Result<Vec<Vec<Parameters>>, ArchitectureError> {
    let mut blocks: Vec<Vec<Parameters>> = vec![vec![]];
    let mut previous: Option<(usize, &Module<'_>)> = None;
    for &(number, module, norm) in convolutions {
        if let Some((end, before)) = previous {
            match number - end - 1 {
                1 => {}
                2 => blocks.push(vec![]),
                modules => {
                    return Err(ArchitectureError::UnknownModules {
                        first: before.name.into(),
                        second: module.name.into(),
                        modules,
                    });
                }
            }
        }
        let weight = module.weight().expect("a convolution has four axes");
        let block = blocks.last_mut().expect("begins with one");
        block.push(module.layer(weight, norm)?);
        previous = Some((number + usize::from(norm.is_some()), module));
    }
    Ok(blocks)
}

/// Refuses other modules with weights among the convolutions.
fn no_others(
    modules: &Modules<'_>,
    container: &[Part<'_>],
    convolutions: &[Convolution<'_, '_>],
    last: usize,
) -> Result<(), ArchitectureError> {
    let numbers =
        |&(number, _, norm): &Convolution<'_, '_>| [number, number + usize::from(norm.is_some())];
    let known: BTreeSet<usize> = convolutions.iter().flat_map(numbers).collect();
    for (path, module) in modules {
        let other = match path.strip_prefix(container) {
            Some([Part::Number(number)]) => *number <= last && !known.contains(number),
            Some([Part::Number(number), ..]) => *number <= last,
            _ => false,
        };
        if other && module.is_norm() {
            return Err(ArchitectureError::LoneBatchNorm {
                layer: module.name.into(),
            });
        }
        if other {
            return Err(unexpected(module));
        }
    }
    Ok(())
}

fn unexpected(module: &Module<'_>) -> ArchitectureError {
    let strange = module.tensors.keys().find(|leaf| !KNOWN.contains(leaf));
    let leaf = strange
        .or(module.tensors.keys().next())
        .unwrap_or(&"weight");
    let separator = if module.name.is_empty() { "" } else { "." };
    ArchitectureError::Unexpected {
        name: [module.name, leaf].join(separator),
    }
}
