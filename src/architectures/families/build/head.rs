//! The dense layers at the end, a family's own or those that people put in their place.

use std::collections::BTreeSet;

use super::{Builder, Place, Result};
use crate::architectures::families::file::File;
use crate::architectures::families::step::Act;
use crate::architectures::vgg::Dense;
use crate::architectures::{ADVICE, torch};
use crate::network::{MatrixLayout, Op};

impl Builder<'_> {
    pub(super) fn head(&mut self, at: &str, layers: &[(&str, Act)], place: Place<'_>) -> Result {
        let below = format!("{at}.");
        let there = |file: &File<'_>, layer: &str| file.has(&format!("{layer}.weight"));
        let known = layers
            .iter()
            .take_while(|(layer, _)| there(&self.file, layer));
        let known = known.count();
        let (weights, prefix) = (self.file.weights, self.file.prefix);
        let listed = |name: &str| {
            let mut layers = layers.iter();
            layers.any(|(layer, _)| name.starts_with(&format!("{prefix}{layer}.")))
        };
        let file = &self.file;
        let more = file
            .below(&below)
            .any(|name| !file.is_read(name) && !listed(name));
        // What stands in the place of the last layer comes after those before it.
        let known = if more && known == layers.len() {
            0
        } else {
            known
        };
        for (layer, act) in &layers[..known] {
            let weight = self.file.weight(layer)?;
            if weight.shape().len() != 2 {
                return Err(self.file.odd(layer));
            }
            self.linear(layer, weight)?;
            self.activate(*act, place)?;
        }
        if known == layers.len() {
            return Ok(());
        }
        let (missing, _) = layers[known];
        let others = |name: &str| name.starts_with(&format!("{prefix}{below}"));
        let unread = |name: &str| others(name) && !self.file.is_read(&format!("{name}.weight"));
        let (mut dense, mut notes) = torch::dense_layers(weights, &unread, self.shape().c)?;
        if dense.is_empty() {
            (dense, notes) = self.elsewhere(missing)?;
        }
        if dense.is_empty() {
            return self.file.weight(missing).map(|_| ());
        }
        self.file.take(&below);
        self.notes.extend(notes);
        for (i, layer) in dense.iter().enumerate() {
            let name = layer.layer.name.strip_prefix(prefix);
            let name = name.unwrap_or(&layer.layer.name).to_owned();
            let op = Op::Linear {
                weight: layer.layer.weight.clone(),
                bias: layer.layer.bias.clone(),
                layout: MatrixLayout::OutIn,
            };
            self.push(&name, op)?;
            if let (true, Some(next)) = (layer.relu, dense.get(i + 1)) {
                self.activate(Act::Relu, place)?;
                self.notes.push(format!(
                    "names do not tell what lies between {name} and {}: taken as a ReLU{ADVICE}",
                    next.layer.name
                ));
            }
        }
        Ok(())
    }

    /// The dense layers among what nothing has read yet, wherever they stand: in a class of one's own the head is a module beside the
    /// network whose head `missing` was. None where the file has no others, or they are of training alone.
    fn elsewhere(&mut self, missing: &str) -> Result<(Vec<Dense>, Vec<String>)> {
        let (weights, prefix) = (self.file.weights, self.file.prefix);
        let aside = self
            .family
            .aside
            .iter()
            .map(|part| format!("{prefix}{part}"));
        let aside: Vec<String> = aside.collect();
        let unread: BTreeSet<&str> = weights
            .tensors
            .keys()
            .filter(|name| !self.file.is_read(name) && !name.ends_with("num_batches_tracked"))
            .filter(|name| !aside.iter().any(|part| name.starts_with(part)))
            .map(|name| {
                name.rsplit_once(['.', '/'])
                    .map_or("", |(module, _)| module)
            })
            .filter(|module| !speaks_of(module, &LOSSES))
            .collect();
        if unread.iter().any(|module| speaks_of(module, &NO_CLASSES)) {
            return Ok((vec![], vec![]));
        }
        let chosen = |module: &str| unread.contains(module);
        let (dense, mut notes) = torch::dense_layers(weights, &chosen, self.shape().c)?;
        for module in unread {
            self.file.take_module(module);
        }
        if let Some(first) = dense.first() {
            notes.push(format!(
                "{prefix}{missing} is not in the file: {} is taken as the head in its place, right after the mean over all \
                 positions{ADVICE}",
                first.layer.name
            ));
        }
        Ok((dense, notes))
    }
}

/// What modules are called that weigh a loss or count.
const LOSSES: [&str; 6] = ["criterion", "loss", "metric", "train_", "val_", "test_"];
/// What layers are called that give no class scores.
const NO_CLASSES: [&str; 6] = [
    "proj",
    "predictor",
    "prototype",
    "embed",
    "queue",
    "decoder",
];

fn speaks_of(module: &str, words: &[&str]) -> bool {
    let module = module.to_ascii_lowercase();
    words.iter().any(|word| module.contains(word))
}
