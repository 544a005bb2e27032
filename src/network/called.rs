//! What people call layers, beside their names here.

use std::collections::BTreeMap;
use std::mem;

use super::{Network, NetworkError, Node, NodeId, Op};
use crate::near::nearest;

/// How near a layer's name must be to be suggested: one slip in five characters is.
const NEAR: f64 = 0.8;
/// Layers suggested.
const SUGGESTED: usize = 3;

impl Network {
    /// Lets the layer `name` be asked for as `alias` too, as its file calls it.
    pub(crate) fn also_call(&mut self, alias: impl Into<String>, name: impl Into<String>) {
        let (alias, name) = (alias.into(), name.into());
        if !alias.is_empty() && alias != name {
            self.aliases.push((alias, name));
        }
    }

    /// Has layers go by other names, which no two share; they may be asked for by those of before too.
    pub(crate) fn rename(&mut self, names: BTreeMap<NodeId, String>) {
        let moved: BTreeMap<String, String> = names
            .into_iter()
            .map(|(id, name)| (mem::replace(&mut self.nodes[id.0].name, name.clone()), name))
            .collect();
        for (_, name) in &mut self.aliases {
            if let Some(new) = moved.get(name) {
                name.clone_from(new);
            }
        }
        for (own, name) in moved {
            self.also_call(own, name);
        }
        self.names = self.nodes.iter().map(|node| node.name.clone()).collect();
    }

    /// The layer that goes by `name`: its own, or what its file or Keras calls it, with or without the path that a file has
    /// before it: `conv5_3`, `features.28`, `vgg_16/conv5/conv5_3`, `block5_conv3`.
    pub(super) fn called(&self, name: &str) -> Result<NodeId, NetworkError> {
        let known = self.known_names();
        let exact = known.iter().find(|(known, _)| known == name);
        let ends_with = |known: &str| {
            let before = name.strip_suffix(known);
            // A number alone is no name.
            let is_name = known.contains(|c: char| c.is_alphabetic());
            is_name && before.is_some_and(|before| before.ends_with(['.', '/']))
        };
        // The longest leaves the least aside.
        let last_parts = known.iter().filter(|(known, _)| ends_with(known));
        let found = exact.or_else(|| last_parts.max_by_key(|(known, _)| known.len()));
        found.map(|&(_, id)| id).ok_or_else(|| {
            let near = self.near(name, known);
            NetworkError::NoSuchLayer {
                wanted: name.into(),
                near,
                names: self.target_names(),
            }
        })
    }

    /// Every name that is taken for a layer's, its own first.
    fn known_names(&self) -> Vec<(String, NodeId)> {
        let own = self.nodes.iter().map(|node| node.name.clone());
        let mut known: Vec<(String, NodeId)> = own.zip((0..).map(NodeId)).collect();
        let place = |name: &str| self.nodes.iter().position(|node| node.name == name);
        let aliases = self.aliases.iter();
        let aliases =
            aliases.filter_map(|(alias, name)| Some((alias.clone(), NodeId(place(name)?))));
        known.extend(aliases);
        known.extend(self.modules());
        let paper = known[..self.nodes.len()].iter();
        let keras: Vec<_> = paper
            .filter_map(|(name, id)| Some((keras_name(name)?, *id)))
            .collect();
        known.extend(keras);
        known
    }

    /// Names of layers that may have been meant.
    fn near(&self, name: &str, mut known: Vec<(String, NodeId)>) -> Vec<String> {
        // As torchvision numbers the layers of a VGG whose own file does not.
        if !known.iter().any(|(known, _)| module(known).is_some()) {
            let mut number = 0;
            for (node, id) in self.nodes.iter().zip((0..).map(NodeId)) {
                if keras_name(&node.name).is_some() {
                    known.push((format!("features.{number}"), id));
                    number += if node.name.starts_with("conv") { 2 } else { 1 };
                }
            }
        }
        let is_map = |&&(_, id): &&(String, NodeId)| {
            let Node { op, shape, .. } = self.node(id);
            shape.h * shape.w > 1 && !matches!(op, Op::Input)
        };
        let maps = known.iter().filter(is_map).map(|(known, _)| known.as_str());
        let mut near: Vec<String> = vec![];
        for spelling in nearest(name, maps, NEAR, usize::MAX) {
            let meant = known.iter().find(|(known, _)| known == spelling);
            let meant = meant.map(|&(_, id)| self.layer_name(id).to_owned());
            near.extend(meant.filter(|meant| !near.contains(meant)));
        }
        near.truncate(SUGGESTED);
        near
    }

    /// The numbers of what lies between convolutions that a file calls by numbered modules, as torchvision's `features` are:
    /// a batch norm where there are any, a ReLU, a pool.
    fn modules(&self) -> Vec<(String, NodeId)> {
        let convolutions: Vec<(&str, usize, usize)> = self
            .aliases
            .iter()
            .filter_map(|(alias, name)| {
                let (path, number) = module(alias)?;
                // Only of a VGG's layers is it known what lies between them.
                keras_name(name)?;
                let place = self.nodes.iter().position(|node| node.name == *name)?;
                let is_convolution = matches!(self.nodes[place].op, Op::Conv2d { .. });
                is_convolution.then_some((path, number, place))
            })
            .collect();
        let steps = convolutions.windows(2);
        let Some(step) = steps
            .filter_map(|pair| pair[1].1.checked_sub(pair[0].1))
            .min()
        else {
            return vec![];
        };
        let mut names = vec![];
        for &(path, number, place) in &convolutions {
            let inside =
                (1..step).map(|after| (format!("{path}{}", number + after), NodeId(place)));
            names.extend(inside);
            // After the convolution its ReLU, then a pool.
            let pool = self.nodes.get(place + 2);
            if pool.is_some_and(|node| matches!(node.op, Op::MaxPool(_) | Op::AvgPool { .. })) {
                names.push((format!("{path}{}", number + step), NodeId(place + 2)));
            }
        }
        names
    }
}

/// The path and the number of a numbered module, `features.` and 28.
fn module(name: &str) -> Option<(&str, usize)> {
    let path = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[path.len()..].parse().ok()?;
    path.ends_with("features.").then_some((path, number))
}

/// What Keras calls a layer that has a name of the VGG paper's: `block5_conv3` for `conv5_3`, `block5_pool` for `pool5`.
fn keras_name(name: &str) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if let Some(block) = name.strip_prefix("pool") {
        return is_number(block).then(|| format!("block{block}_pool"));
    }
    let (block, i) = name.strip_prefix("conv")?.split_once('_')?;
    (is_number(block) && is_number(i)).then(|| format!("block{block}_conv{i}"))
}

/// For the end of a sentence.
pub(super) fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}
