//! VGGs as `PyTorch` names their tensors: torchvision's `features.0.weight` ... `classifier.6.bias`, timm's
//! `pre_logits.fc1.weight` ... `head.fc.bias`, and what people make of them, under any prefix.
//!
//! Modules of a `Sequential` are numbered through, those without weights too: what lies between two layers is known
//! by the gap between their numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::batch_norm::{BatchNorm, TORCH_EPSILON};
use super::vgg::{Axes, Dense, Layer, Vgg, depth};
use super::{ArchitectureError, Evidence, names};
use crate::preprocess::Normalization;
use crate::weights::{Tensor, Weights};

/// A part of a name. Numbers come before names, and in the order of their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Number(usize),
    Name(&'a str),
}

/// The tensors of one module.
#[derive(Clone, Debug, Default)]
struct Module<'a> {
    /// Its name in the file.
    name: &'a str,
    /// By the last part of their names.
    tensors: BTreeMap<&'a str, &'a Tensor>,
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
    ) -> Result<Layer, ArchitectureError> {
        let (weight, bias) = match norm {
            Some(norm) => {
                let (weight, bias) = norm.norm().fold(weight, 0, self.bias())?;
                (weight, Some(bias))
            }
            None => (weight.clone(), self.bias().cloned()),
        };
        Ok(Layer {
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
    depth(&blocks)?;
    let (scope, rest) = rest(&modules, &container, last);
    if rest.is_empty() {
        return Err(ArchitectureError::NoHead {
            found: names(weights),
        });
    }
    let head = head(&rest)?;
    complete(weights, &head)?;
    stacked(&modules, &scope, &head)?;
    let evidence = match published(&blocks, &head) {
        true => Evidence::Origin("torchvision's and timm's ImageNet weights"),
        false => Evidence::Guess("its tensors are named as torchvision's"),
    };
    Ok(Some(Vgg {
        axes: Axes::Torch,
        // timm has its first dense layer slide over a larger map.
        adaptive: !head[0].layer.name.contains("pre_logits"),
        batch_norm: convolutions.iter().any(|(_, _, norm)| norm.is_some()),
        blocks,
        head,
        normalization: Normalization::TORCH,
        evidence,
    }))
}

/// The tensors by module. A nested checkpoint's names have slashes where it was opened.
fn modules(weights: &Weights) -> Modules<'_> {
    let mut modules = Modules::new();
    for (name, tensor) in &weights.tensors {
        let (module, leaf) = name.rsplit_once(['.', '/']).unwrap_or(("", name));
        let path = module.split(['.', '/']).map(part).collect();
        let entry = modules.entry(path).or_default();
        entry.name = module;
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
fn blocks(convolutions: &[Convolution<'_, '_>]) -> Result<Vec<Vec<Layer>>, ArchitectureError> {
    let mut blocks: Vec<Vec<Layer>> = vec![vec![]];
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

/// The modules that are no convolutions of the container, in the innermost scope that has a dense layer among them,
/// and that scope.
fn rest<'m, 'a>(
    modules: &'m Modules<'a>,
    container: &[Part<'a>],
    last: usize,
) -> (Path<'a>, Vec<(&'m Path<'a>, &'m Module<'a>)>) {
    let in_features = |path: &[Part<'_>]| {
        let inside = path.strip_prefix(container);
        inside.is_some_and(|inside| matches!(inside, [Part::Number(number), ..] if *number <= last))
    };
    for depth in (0..=container.len()).rev() {
        let scope = &container[..depth];
        let mut rest: Vec<(&Path<'_>, &Module<'_>)> = modules
            .iter()
            .filter(|(path, _)| path.starts_with(scope) && !in_features(path))
            .collect();
        if rest.iter().any(|(_, module)| module.rank() == 2) {
            // timm's head.fc comes after its pre_logits.
            rest.sort_by_key(|(path, _)| !path.contains(&Part::Name("pre_logits")));
            return (scope.to_vec(), rest);
        }
    }
    (vec![], vec![])
}

/// Dense layers in order, the norms after them folded in.
fn head(rest: &[(&Path<'_>, &Module<'_>)]) -> Result<Vec<Dense>, ArchitectureError> {
    let mut head: Vec<Dense> = vec![];
    let mut modules = rest.iter().peekable();
    // The path of the last module so far.
    let mut end: Option<&Path<'_>> = None;
    while let Some((path, module)) = modules.next() {
        if module.tensors.keys().any(|leaf| !KNOWN.contains(leaf)) {
            return Err(unexpected(module));
        }
        if module.is_norm() {
            return Err(ArchitectureError::LoneBatchNorm {
                layer: module.name.into(),
            });
        }
        let dense = module.weight().and_then(|weight| Axes::Torch.dense(weight));
        let Some(weight) = dense else {
            return Err(unexpected(module));
        };
        if let (Some(previous), Some(end)) = (head.last_mut(), end) {
            previous.relu = !follows(end, path);
        }
        end = Some(path);
        let norm = modules.next_if(|(next, norm)| norm.is_norm() && follows(path, next));
        if let Some((path, _)) = norm {
            end = Some(path);
        }
        head.push(Dense {
            layer: module.layer(&weight, norm.map(|(_, norm)| *norm))?,
            relu: false,
        });
    }
    Ok(head)
}

/// Whether `next` is the module numbered right after `path`.
fn follows(path: &[Part<'_>], next: &[Part<'_>]) -> bool {
    match (path.split_last(), next.split_last()) {
        (Some((Part::Number(a), one)), Some((Part::Number(b), other))) => {
            one == other && a.checked_add(1) == Some(*b)
        }
        _ => false,
    }
}

/// torchvision's classifier without its last layer says what no class is.
fn complete(weights: &Weights, head: &[Dense]) -> Result<(), ArchitectureError> {
    if let [first, second] = head
        && second.layer.weight.shape() == [4096, 4096]
        && let Some(prefix) = first.layer.name.strip_suffix("classifier.0")
        && second.layer.name == format!("{prefix}classifier.3")
    {
        return Err(ArchitectureError::MissingLayer {
            layer: format!("{prefix}classifier.6"),
            found: names(weights),
        });
    }
    Ok(())
}

/// Refuses a dense layer outside of `scope` that takes what the head gives.
fn stacked(
    modules: &Modules<'_>,
    scope: &[Part<'_>],
    head: &[Dense],
) -> Result<(), ArchitectureError> {
    let last = &head.last().expect("at least one").layer;
    let classes = last.weight.shape()[0];
    let takes = |module: &Module<'_>| {
        let shape = module.weight().map(Tensor::shape);
        shape.is_some_and(|shape| matches!(shape, [_, inputs] if *inputs == classes))
    };
    let mut outside = modules.iter().filter(|(path, _)| !path.starts_with(scope));
    match outside.find(|(_, module)| takes(module)) {
        Some((_, module)) => Err(ArchitectureError::Stacked {
            layer: module.name.into(),
            last: last.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Whether this is a network for ImageNet as torchvision and timm publish it, by its shapes.
fn published(blocks: &[Vec<Layer>], head: &[Dense]) -> bool {
    let outputs = |layer: &Layer| layer.weight.shape()[0];
    let widths = blocks.iter().filter_map(|block| block.last()).map(outputs);
    let head = head.iter().map(|dense| outputs(&dense.layer));
    widths.eq([64, 128, 256, 512, 512]) && head.eq([4096, 4096, 1000])
}
