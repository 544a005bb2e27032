//! Where a file keeps the weights of a layer.
//!
//! Keras 2 and `.h5`: a group for each layer of the outermost model, with the names of its weights in order as an
//! attribute; the layers of a model inside another share its group. Keras 3: groups `layers/dense_1/vars`, named by
//! class and number, nested as the models are, the layer's own name as an attribute.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::weights::{Tensor, Weights};

/// Folders of layers in Keras 3, and in `.keras` files of Keras 2.12 to 2.15.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The weights of each group in their order, each with the path of the layer that it belongs to.
type Groups = BTreeMap<String, Vec<(String, Tensor)>>;

/// The weights of one model, be it inside another.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// Below `root`; `models` are the names of the models from the outermost layer to this one.
    Groups {
        root: &'static str,
        groups: Rc<Groups>,
        models: Vec<String>,
    },
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
        let groups = weights.metadata.keys().filter_map(|key| {
            let group = key.strip_suffix("@weight_names")?;
            Some((group.to_owned(), in_group(weights, group)))
        });
        Self::Groups {
            root,
            groups: Rc::new(groups.collect()),
            models: vec![],
        }
    }

    /// The store of the model that is layer `name` of this one.
    pub(super) fn inside(&self, weights: &Weights, name: &str, number: &str) -> Self {
        match self {
            Self::Groups {
                root,
                groups,
                models,
            } => Self::Groups {
                root,
                groups: Rc::clone(groups),
                models: [&models[..], &[name.to_owned()]].concat(),
            },
            Self::Vars { container } => Self::Vars {
                container: format!("{}/", folder(weights, container, name, number)),
            },
        }
    }

    /// The weights of the layer `name`, whose class and number among its kind is `number`.
    pub(super) fn weights(&self, weights: &Weights, name: &str, number: &str) -> Vec<Tensor> {
        match self {
            Self::Groups {
                root,
                groups,
                models,
            } => {
                let outermost = models.first().map_or(name, String::as_str);
                let Some(group) = groups.get(&format!("{root}{outermost}")) else {
                    return vec![];
                };
                let owner = (!models.is_empty()).then(|| owner(group, models, name));
                group
                    .iter()
                    .filter(|(path, _)| owner.is_none_or(|owner| owner == Some(path)))
                    .map(|(_, tensor)| tensor.clone())
                    .collect()
            }
            Self::Vars { container } => vars(weights, &folder(weights, container, name, number)),
        }
    }
}

/// The path in a group of the layer `name` of the model at `models`. Paths have the names of some of the models around a layer,
/// the innermost last: of several layers of one name it is the one whose path has most of them.
fn owner<'a>(group: &'a [(String, Tensor)], models: &[String], name: &str) -> Option<&'a str> {
    let shared = |path: &str| {
        let rest = path.strip_suffix(name)?;
        if rest.is_empty() {
            return Some(0);
        }
        let around = rest.strip_suffix('/')?.rsplit('/');
        let pairs = around.zip(models.iter().rev());
        Some(1 + pairs.take_while(|(found, model)| found == model).count())
    };
    let paths = group.iter().map(|(path, _)| path.as_str());
    paths
        .filter_map(|path| Some((shared(path)?, path)))
        // The first of those with most.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, path)| path)
}

/// The weights of a group in their order, each with the path of the layer that it belongs to.
pub(super) fn in_group(weights: &Weights, group: &str) -> Vec<(String, Tensor)> {
    let list = weights.metadata.get(&format!("{group}@weight_names"));
    let tensor = |path: String| {
        let tensor = weights.tensor(&format!("{group}/{path}"))?;
        // `vgg16/block1_conv1/kernel:0`
        let owner = path
            .rsplit_once('/')
            .map_or(path.as_str(), |(owner, _)| owner);
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
    fn layers_of_one_name_are_told_apart_by_the_models_around_them() {
        let paths = ["a/conv", "a/bn", "b/conv", "mid/conv", "expanded/depthwise"];
        let group: Vec<(String, Tensor)> = paths
            .iter()
            .map(|path| ((*path).into(), Tensor::repeated(vec![1], 0.0)))
            .collect();
        let models = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<_>>();
        let of = |around: &[&str], name| owner(&group, &models(around), name);
        assert_eq!(of(&["mid", "a"], "conv"), Some("a/conv"));
        assert_eq!(of(&["mid", "b"], "conv"), Some("b/conv"));
        assert_eq!(of(&["mid"], "conv"), Some("mid/conv"));
        assert_eq!(
            of(&["mid"], "expanded/depthwise"),
            Some("expanded/depthwise")
        );
        assert_eq!(of(&["mid"], "dense"), None);
    }

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
