//! Where a file keeps the weights of a layer.
//!
//! Keras 2 and `.h5`: a group for each layer of the outermost model, with the names of its weights in order as an
//! attribute; the layers of a model inside another share its group. Keras 3: groups `layers/dense_1/vars`, named by
//! class and number, nested as the models are, the layer's own name as an attribute.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::weights::{Tensor, Weights};

/// Folders of layers in Keras 3, and in `.keras` files of Keras 2.12 to 2.15.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The weights of one model, be it inside another.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// Below `root`; `group` is the outermost layer that the model is a part of.
    Groups { root: String, group: Option<String> },
    /// Below `container`, with a slash behind or empty.
    Vars { container: String },
}

impl Store {
    /// The store of the outermost model.
    pub(super) fn of(weights: &Weights) -> Self {
        let root = match () {
            () if weights.metadata.contains_key("layer_names") => "",
            () if weights.metadata.contains_key("model_weights@layer_names") => "model_weights/",
            () => {
                let container = String::new();
                return Self::Vars { container };
            }
        };
        Self::Groups {
            root: root.into(),
            group: None,
        }
    }

    /// The store of the model that is layer `name` of this one.
    pub(super) fn inside(&self, weights: &Weights, name: &str, number: &str) -> Self {
        match self {
            Self::Groups { root, group } => Self::Groups {
                root: root.clone(),
                group: Some(group.clone().unwrap_or_else(|| name.into())),
            },
            Self::Vars { container } => Self::Vars {
                container: format!("{}/", folder(weights, container, name, number)),
            },
        }
    }

    /// The weights of the layer `name`, whose class and number among its kind is `number`.
    pub(super) fn weights(&self, weights: &Weights, name: &str, number: &str) -> Vec<Tensor> {
        match self {
            Self::Groups { root, group } => {
                let outermost = group.as_deref().unwrap_or(name);
                in_group(weights, &format!("{root}{outermost}"))
                    .into_iter()
                    .filter(|(owner, _)| group.is_none() || *owner == name)
                    .map(|(_, tensor)| tensor)
                    .collect()
            }
            Self::Vars { container } => vars(weights, &folder(weights, container, name, number)),
        }
    }
}

/// The weights of a group in their order, each with the layer that it belongs to.
pub(super) fn in_group(weights: &Weights, group: &str) -> Vec<(String, Tensor)> {
    let list = weights.metadata.get(&format!("{group}@weight_names"));
    let tensor = |path: String| {
        let tensor = weights.tensor(&format!("{group}/{path}"))?;
        // `vgg16/block1_conv1/kernel:0`
        let owner = path.rsplit('/').nth(1).unwrap_or(&path);
        Some((owner.to_owned(), tensor.clone()))
    };
    strings(list).into_iter().filter_map(tensor).collect()
}

/// A list that is kept as JSON.
pub(super) fn strings(json: Option<&String>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

/// `vars/0`, `vars/1`, ... of a folder.
pub(super) fn vars(weights: &Weights, folder: &str) -> Vec<Tensor> {
    (0..)
        .map_while(|i| weights.tensor(&format!("{folder}/vars/{i}")).cloned())
        .collect()
}

/// The folder of a layer, by its name where the file has names, else by its class and number.
fn folder(weights: &Weights, container: &str, name: &str, number: &str) -> String {
    for layers in CONTAINERS {
        let prefix = format!("{container}{layers}/");
        let mut below = weights.metadata.range(prefix.clone()..);
        let named = below
            .by_ref()
            .take_while(|(key, _)| key.starts_with(&prefix))
            .find_map(|(key, value)| {
                let folder = key.strip_suffix("/vars@name")?;
                let direct = !folder[prefix.len()..].contains('/');
                (direct && value == name).then(|| folder.to_owned())
            });
        if let Some(folder) = named {
            return folder;
        }
        let first = weights.tensors.range(prefix.clone()..).next();
        if first.is_some_and(|(path, _)| path.starts_with(&prefix)) {
            return format!("{prefix}{number}");
        }
    }
    format!("{container}{}/{number}", CONTAINERS[0])
}

/// Numbers layers within their class as Keras 3 does: `conv2d`, `conv2d_1`, ...
#[derive(Default)]
pub(super) struct Numbers(BTreeMap<String, usize>);

impl Numbers {
    pub(super) fn next(&mut self, class: &str) -> String {
        let snake = snake_case(class);
        let count = self.0.entry(snake.clone()).or_default();
        *count += 1;
        match *count {
            1 => snake,
            n => format!("{snake}_{}", n - 1),
        }
    }
}

/// `MaxPooling2D`: `max_pooling2d`. A capital begins a word after a small letter, or before one within capitals.
fn snake_case(class: &str) -> String {
    let characters: Vec<char> = class.chars().collect();
    let mut snake = String::new();
    for (i, &c) in characters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| characters[i]);
        let word = before.is_some_and(|before| {
            let small = |c: char| c.is_lowercase();
            small(before) || characters.get(i + 1).is_some_and(|&next| small(next))
        });
        if c.is_uppercase() && word {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The name of a layer in its configuration.
pub(super) fn name_of(layer: &Value) -> Option<&str> {
    layer["config"]["name"].as_str().or(layer["name"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_as_keras_names_its_folders() {
        let mut numbers = Numbers::default();
        for (class, folder) in [
            ("Conv2D", "conv2d"),
            ("Conv2D", "conv2d_1"),
            ("MaxPooling2D", "max_pooling2d"),
            ("BatchNormalization", "batch_normalization"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("InputLayer", "input_layer"),
            ("Conv2D", "conv2d_2"),
            ("ReLU", "re_lu"),
            ("ZeroPadding2D", "zero_padding2d"),
        ] {
            assert_eq!(numbers.next(class), folder);
        }
    }
}
