//! Names of `PyTorch`'s modules, by which people know what a graph has as nodes without a name.
//!
//! The exporter of today says of each node the modules that it is a part of, that of before writes them as the node's path. A module's
//! value is that of the last node in it: `layer4` of a ResNet is the ReLU after its last sum.

use std::collections::{BTreeMap, BTreeSet};

use crate::network::{Network, NodeId, Op};
use crate::weights::onnx::Node;

/// Modules around a node that are looked at; deeper ones have no names of their own.
const MAX_DEPTH: usize = 16;

/// For each layer by name the modules that it is a part of, from the outermost in.
#[derive(Debug, Default)]
pub(super) struct Modules(BTreeMap<String, Vec<String>>);

impl Modules {
    /// Notes what `node` says of its modules, for the layer of that name.
    pub(super) fn add(&mut self, layer: &str, node: &Node) {
        let modules = match node.modules.is_empty() {
            true => of_path(&node.name),
            false => node.modules.iter().take(MAX_DEPTH).cloned().collect(),
        };
        if !modules.is_empty() {
            self.0.insert(layer.to_owned(), modules);
        }
    }

    /// Has layers of `network` without a name of their own go by that of the module whose value they give, and every module's name be
    /// one to ask for. `before` is the network before factors and summands became parts of other layers.
    pub(super) fn name(&self, network: &mut Network, before: &Network) {
        let ends = self.ends(network, before);
        let mut taken: BTreeSet<String> = network.nodes.iter().map(|n| n.name.clone()).collect();
        let mut renamed: BTreeMap<NodeId, String> = BTreeMap::new();
        for id in (1..network.nodes.len()).map(NodeId) {
            let node = network.node(id);
            // Weights have told the others' names.
            if matches!(
                node.op,
                Op::Conv2d { .. } | Op::Linear { .. } | Op::LayerNorm { .. }
            ) {
                continue;
            }
            let activation = network.activation(id);
            let ended = |module: &&String| {
                let end = ends.get(*module).copied();
                end == Some(id) || end.is_some() && end == activation
            };
            let mut modules = self.0.get(&node.name).into_iter().flatten().filter(ended);
            // Where branches meet a block ends, otherwise the module is the layer itself.
            let module = match node.op {
                Op::Add | Op::Mul | Op::Max | Op::Concat => modules.next(),
                _ => modules.next_back(),
            };
            if let Some(module) = module.filter(|module| taken.insert((*module).clone())) {
                renamed.insert(id, module.clone());
            }
        }
        network.rename(renamed);
        for (module, id) in ends {
            let name = network.node(id).name.clone();
            network.also_call(module, name);
        }
    }

    /// The layer of `network` that has each module's value; modules whose value became a part of a later layer have none.
    fn ends(&self, network: &Network, before: &Network) -> BTreeMap<String, NodeId> {
        let there: BTreeMap<&str, NodeId> = network
            .nodes
            .iter()
            .zip((0..).map(NodeId))
            .map(|(node, id)| (node.name.as_str(), id))
            .collect();
        let mut last: BTreeMap<&String, NodeId> = BTreeMap::new();
        for (id, node) in (0..).map(NodeId).zip(&before.nodes) {
            for module in self.0.get(&node.name).into_iter().flatten() {
                last.insert(module, id);
            }
        }
        let found = last.into_iter().filter_map(|(module, mut id)| {
            loop {
                let node = before.node(id);
                if let Some(&there) = there.get(node.name.as_str()) {
                    return Some((module.clone(), there));
                }
                // A part of the layer before it, which has the same value.
                let input = *node.inputs.first()?;
                let into = &before.node(input).op;
                let folds = matches!(
                    into,
                    Op::Conv2d { .. }
                        | Op::Linear { .. }
                        | Op::Affine { .. }
                        | Op::GroupNorm { .. }
                );
                if !folds || !matches!(node.op, Op::Affine { .. }) {
                    return None;
                }
                id = input;
            }
        });
        found.collect()
    }
}

/// The modules of a path that the exporter of before has written: `/layer4/layer4.0/downsample/downsample.0/Conv`. A part that begins
/// with the one before it stands in its place, another is within it.
fn of_path(path: &str) -> Vec<String> {
    let Some(path) = path.strip_prefix('/') else {
        return vec![];
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    let mut modules: Vec<String> = vec![];
    let mut before = "";
    for part in parts.into_iter().take(MAX_DEPTH) {
        let within = part
            .strip_prefix(before)
            .filter(|rest| rest.starts_with('.'));
        let module = match (modules.last(), within) {
            (None, _) => part.to_owned(),
            (Some(outer), Some(rest)) => format!("{outer}{rest}"),
            (Some(outer), None) => format!("{outer}.{part}"),
        };
        before = part;
        modules.push(module);
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::of_path;

    #[test]
    fn a_path_is_a_list_of_modules_from_the_outermost_in() {
        let modules = |path: &str| of_path(path).join(" ");
        assert_eq!(
            modules("/layer4/layer4.0/downsample/downsample.0/Conv"),
            "layer4 layer4.0 layer4.0.downsample layer4.0.downsample.0"
        );
        assert_eq!(
            modules("/layer4/layer4.1/relu_1/Relu"),
            "layer4 layer4.1 layer4.1.relu_1"
        );
        assert_eq!(
            modules("/features/features.18/features.18.0/Conv"),
            "features features.18 features.18.0"
        );
        assert_eq!(modules("/Flatten"), "");
        assert_eq!(modules("Flatten"), "");
        assert_eq!(modules("vgg16/block5_conv3/Conv2D"), "");
    }
}
