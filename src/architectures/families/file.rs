//! The tensors below a prefix of a file's names, and which of them have their place in the network.

use std::collections::HashSet;
use std::ops::Bound;

use crate::architectures::batch_norm::BatchNorm;
use crate::architectures::{ArchitectureError, names};
use crate::weights::{Setting, Tensor, Weights};

/// The tensors below a prefix.
pub(super) struct File<'a> {
    pub(super) weights: &'a Weights,
    pub(super) prefix: &'a str,
    read: HashSet<String>,
}

impl<'a> File<'a> {
    pub(super) fn new(weights: &'a Weights, prefix: &'a str) -> Self {
        Self {
            weights,
            prefix,
            read: HashSet::new(),
        }
    }

    /// Whether there is a tensor of this name; with a dot at its end, any below it.
    pub(super) fn has(&self, name: &str) -> bool {
        has(self.weights, self.prefix, name)
    }

    /// The file's own name of a layer.
    pub(super) fn full(&self, layer: &str) -> String {
        format!("{}{layer}", self.prefix)
    }

    pub(super) fn optional(&mut self, name: &str) -> Option<&'a Tensor> {
        let name = self.full(name);
        let tensor = self.weights.tensors.get(&name);
        self.read.insert(name);
        tensor
    }

    pub(super) fn weight(&mut self, layer: &str) -> Result<&'a Tensor, ArchitectureError> {
        self.optional(&format!("{layer}.weight"))
            .ok_or_else(|| ArchitectureError::MissingLayer {
                layer: self.full(layer),
                found: names(self.weights),
            })
    }

    /// The batch norm of that name, its `epsilon` as a pickled module has it where there is one.
    pub(super) fn norm<'n>(&mut self, layer: &str, full: &'n str, epsilon: f64) -> BatchNorm<'n>
    where
        'a: 'n,
    {
        let stated = self.weights.modules.iter().find(|m| m.name == full);
        let stated = stated.and_then(|module| match module.settings.get("eps")? {
            Setting::Numbers(numbers) => numbers.first().copied(),
            Setting::Text(_) => None,
        });
        BatchNorm {
            name: full,
            gamma: self.optional(&format!("{layer}.weight")),
            beta: self.optional(&format!("{layer}.bias")),
            mean: self.optional(&format!("{layer}.running_mean")),
            variance: self.optional(&format!("{layer}.running_var")),
            epsilon: stated.unwrap_or(epsilon),
        }
    }

    /// A tensor of a shape that the network has not.
    pub(super) fn odd(&self, layer: &str) -> ArchitectureError {
        ArchitectureError::Unexpected {
            name: format!("{}{layer}.weight", self.prefix),
        }
    }

    /// Whether the tensor of this name, prefix and all, has its place.
    pub(super) fn is_read(&self, full: &str) -> bool {
        self.read.contains(full)
    }

    /// The names below `part`, each with the prefix.
    pub(super) fn below(&self, part: &str) -> impl Iterator<Item = &'a String> + use<'a> {
        below(self.weights, format!("{}{part}", self.prefix))
    }

    /// The tensors below `part` have their place; whether there are any.
    pub(super) fn take(&mut self, part: &str) -> bool {
        let names: Vec<&String> = self.below(part).collect();
        self.read.extend(names.iter().map(|name| (*name).clone()));
        !names.is_empty()
    }

    /// The tensors of the module of this name, prefix and all, have their place.
    pub(super) fn take_module(&mut self, full: &str) {
        let own = below(self.weights, format!("{full}."));
        let own = own.filter(|name| !name[full.len() + 1..].contains('.'));
        self.read.extend(own.cloned());
    }

    /// Refuses tensors below the prefix that have no place in the network.
    pub(super) fn all_read(&self) -> Result<(), ArchitectureError> {
        let strange = self.below("").find(|name| {
            // Counters are numbers of their own.
            !name.ends_with("num_batches_tracked") && !self.read.contains(*name)
        });
        match strange {
            Some(name) => Err(ArchitectureError::Unexpected { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Whether there is a tensor `name` below `prefix`; with a dot at its end, any below it.
pub(super) fn has(weights: &Weights, prefix: &str, name: &str) -> bool {
    let full = format!("{prefix}{name}");
    match name.ends_with('.') {
        true => below(weights, full).next().is_some(),
        false => weights.tensors.contains_key(&full),
    }
}

fn below(weights: &Weights, start: String) -> impl Iterator<Item = &String> + use<'_> {
    let range = (Bound::Included(start.clone()), Bound::Unbounded);
    let names = weights.tensors.range::<String, _>(range);
    let names = names.map(|(name, _)| name);
    names.take_while(move |name| name.starts_with(&start))
}
