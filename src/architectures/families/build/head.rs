//! The dense layers at the end, a family's own or those that people put in their place.

use super::{Builder, Place, Result};
use crate::architectures::families::file::File;
use crate::architectures::families::step::Act;
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
        let (dense, notes) = torch::dense_layers(weights, &unread, self.shape().c)?;
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
}
