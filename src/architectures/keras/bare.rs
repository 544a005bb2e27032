//! Weights alone: the layers of a VGG of keras.applications by their names, with the head that its shapes allow.

use serde_json::{Value, json};

use super::store::{Store, in_group, strings, vars};
use super::{KerasModelError, Layer};
use crate::weights::{Tensor, Weights};

/// Classes without weights that change nothing here, as their names begin.
const HARMLESS: [&str; 8] = [
    "input",
    "dropout",
    "flatten",
    "max_pooling2d",
    "global_average_pooling2d",
    "random_",
    "top_level_model_weights",
    "seed",
];

/// A name for the network, and its layers.
pub(super) fn layers(weights: &Weights) -> Result<(String, Vec<Layer>), KerasModelError> {
    let named = match Store::of(weights) {
        Store::Groups { root, .. } => in_order(weights, &root),
        Store::Vars { .. } => by_class(weights),
    };
    let mut trunk: Vec<(usize, usize, Named)> = vec![];
    let (mut dense, mut normalizations) = (vec![], vec![]);
    for named in named {
        let ranks: Vec<usize> = named
            .weights
            .iter()
            .map(|tensor| tensor.shape().len())
            .collect();
        match ranks.as_slice() {
            [] => {
                let class = named.class.to_ascii_lowercase();
                let pool = class.starts_with("block") && class.ends_with("_pool");
                if !pool && !HARMLESS.iter().any(|start| class.starts_with(start)) {
                    let layer = named.name;
                    return Err(KerasModelError::Ambiguous { layer });
                }
            }
            [4, ..] => {
                let Some((block, number)) = block(&named.name) else {
                    return Err(KerasModelError::Unknown { found: named.name });
                };
                trunk.push((block, number, named));
            }
            [2] | [2, 1] => dense.push(named),
            [1, 1, 1, 1] if dense.is_empty() && trunk.is_empty() && named.ordered => {
                let layer = named.name;
                return Err(KerasModelError::Ambiguous { layer });
            }
            // Where the order is known it says which dense layer this follows.
            [1, 1, 1, 1] => normalizations.push((named.ordered.then_some(dense.len()), named)),
            _ => return Err(KerasModelError::Ambiguous { layer: named.name }),
        }
    }
    if trunk.is_empty() {
        return Err(KerasModelError::Unknown {
            found: super::super::names(weights),
        });
    }
    trunk.sort_by_key(|&(block, number, _)| (block, number));
    let convolutions = trunk.len();
    let name = match convolutions {
        13 => "vgg16".into(),
        16 => "vgg19".into(),
        n => format!("vgg of {n} convolutions"),
    };
    let mut layers = convolutional(trunk);
    let channels = channels(&layers);
    let blocks = layers
        .iter()
        .filter(|layer| layer.class == "MaxPooling2D")
        .count();
    let Some(rows) = dense.first().map(|first| first.weights[0].shape()[0]) else {
        let layer = layers
            .last()
            .map(|layer| layer.name.clone())
            .unwrap_or_default();
        return Err(KerasModelError::NoHead { layer });
    };
    let (head, side) =
        junction(rows, channels, blocks).ok_or_else(|| KerasModelError::Ambiguous {
            layer: dense[0].name.clone(),
        })?;
    let input = json!({ "batch_shape": [null, side, side, 3] });
    layers.insert(0, layer("InputLayer", "input", input, vec![]));
    layers.push(layer(head, "flatten", json!({}), vec![]));
    layers.extend(classifier(dense, normalizations, rows)?);
    Ok((name, layers))
}

/// A layer of which only its weights are known.
struct Named {
    /// The name that Keras gave to layers of its class, where it has no better one.
    class: String,
    name: String,
    weights: Vec<Tensor>,
    /// Whether it comes in the place that it has in the network.
    ordered: bool,
}

/// Groups in the order of `layer_names`; a model inside the model in that of its weights.
fn in_order(weights: &Weights, root: &str) -> Vec<Named> {
    let key = match root.strip_suffix('/') {
        Some(group) => format!("{group}@layer_names"),
        None => "layer_names".into(),
    };
    let mut all: Vec<Named> = vec![];
    for name in strings(weights.metadata.get(&key)) {
        let parts = in_group(weights, &format!("{root}{name}"));
        let nested =
            parts.iter().any(|(owner, _)| block(owner).is_some()) && block(&name).is_none();
        if !nested {
            all.push(Named {
                class: name.clone(),
                name,
                weights: parts.into_iter().map(|(_, tensor)| tensor).collect(),
                ordered: true,
            });
            continue;
        }
        for (owner, tensor) in parts {
            match all.iter_mut().find(|named| named.name == owner) {
                Some(named) => named.weights.push(tensor),
                None => all.push(Named {
                    class: owner.clone(),
                    name: owner,
                    weights: vec![tensor],
                    ordered: true,
                }),
            }
        }
    }
    all
}

/// Folders of Keras 3, those of one class in their order.
fn by_class(weights: &Weights) -> Vec<Named> {
    let paths = weights
        .tensors
        .keys()
        .filter_map(|path| path.strip_suffix("/vars/0"));
    let names = weights
        .metadata
        .keys()
        .filter_map(|key| key.strip_suffix("/vars@name"));
    let mut folders: Vec<&str> = paths.chain(names).collect();
    // dense, dense_1, ..., dense_10.
    folders.sort_by_key(|folder| (folder.len(), *folder));
    folders.dedup();
    folders
        .into_iter()
        .filter_map(|folder| {
            let last = folder.rsplit('/').next().unwrap_or(folder);
            let name = weights.metadata.get(&format!("{folder}/vars@name"));
            let weights_of = vars(weights, folder);
            let is_model = weights_of.is_empty()
                && ["functional", "sequential", "model"]
                    .iter()
                    .any(|m| last.starts_with(m));
            (!is_model).then(|| Named {
                class: last.into(),
                name: name.cloned().unwrap_or_else(|| last.into()),
                weights: weights_of,
                ordered: false,
            })
        })
        .collect()
}

/// Block and number of a convolution: `block3_conv2`.
fn block(name: &str) -> Option<(usize, usize)> {
    let (block, number) = name.strip_prefix("block")?.split_once("_conv")?;
    Some((block.parse().ok()?, number.parse().ok()?))
}

fn layer(class: &str, name: &str, config: Value, weights: Vec<Tensor>) -> Layer {
    Layer {
        class: class.into(),
        name: name.into(),
        config,
        weights,
    }
}

/// 3x3 convolutions with ReLU, a pool after each block.
fn convolutional(trunk: Vec<(usize, usize, Named)>) -> Vec<Layer> {
    let pool = |block: usize| {
        layer(
            "MaxPooling2D",
            &format!("block{block}_pool"),
            json!({ "pool_size": 2 }),
            vec![],
        )
    };
    let mut layers: Vec<Layer> = vec![];
    let mut current = trunk[0].0;
    for (block, _, Named { name, weights, .. }) in trunk {
        if block != current {
            layers.push(pool(current));
            current = block;
        }
        let taps = &weights[0].shape()[..2];
        let config = json!({ "kernel_size": taps, "padding": "same", "activation": "relu", "use_bias": weights.len() > 1 });
        layers.push(layer("Conv2D", &name, config, weights));
    }
    layers.push(pool(current));
    layers
}

/// Output channels of the last convolution.
fn channels(layers: &[Layer]) -> usize {
    let last = layers.iter().rev().find_map(|layer| layer.weights.first());
    last.map_or(0, |kernel| kernel.shape()[3])
}

/// How the last pool meets a dense layer of so many inputs, and the side of the picture that makes them as many; any where
/// it is a mean.
fn junction(rows: usize, channels: usize, blocks: usize) -> Option<(&'static str, Option<usize>)> {
    if rows == channels {
        return Some(("GlobalAveragePooling2D", None));
    }
    let positions = rows.checked_div(channels)?;
    let side = positions.isqrt();
    let fits = side * side * channels == rows;
    let side = side.checked_shl(u32::try_from(blocks).ok()?)?;
    fits.then_some(("Flatten", Some(side)))
}

/// Dense layers with ReLU, the last with softmax, or sigmoid where it has one output. Batch normalisation comes after the
/// ReLU of the layer before it.
fn classifier(
    dense: Vec<Named>,
    normalizations: Vec<(Option<usize>, Named)>,
    inputs: usize,
) -> Result<Vec<Layer>, KerasModelError> {
    let mut places: Vec<Vec<Named>> = dense.iter().map(|_| vec![]).collect();
    // Inputs of each dense layer: what a normalisation before it has as its width.
    let mut widths = vec![inputs];
    widths.extend(dense.iter().map(|named| named.weights[0].shape()[1]));
    let mut first = 0;
    for (place, named) in normalizations {
        let width = named.weights[0].len();
        let ambiguous = |layer: &Named| KerasModelError::Ambiguous {
            layer: layer.name.clone(),
        };
        let mut fitting = (first..dense.len()).filter(|&i| widths[i] == width);
        let place = match place {
            Some(place) => place,
            None => fitting.next().ok_or_else(|| ambiguous(&named))?,
        };
        if place >= dense.len() {
            return Err(ambiguous(&named));
        }
        first = place + 1;
        places[place].push(named);
    }
    // A dense layer without one, as wide as its neighbour with one: which of them it follows is not known.
    for (i, place) in places.iter().enumerate() {
        let taken = |j: usize| {
            places
                .get(j)
                .is_some_and(|place| place.iter().any(|named| !named.ordered))
        };
        if place.is_empty()
            && (i
                .checked_sub(1)
                .is_some_and(|j| widths[j] == widths[i] && taken(j)))
        {
            let layer = dense[i].name.clone();
            return Err(KerasModelError::Ambiguous { layer });
        }
    }
    let count = dense.len();
    let mut layers = vec![];
    for (i, (named, before)) in dense.into_iter().zip(places).enumerate() {
        for Named { name, weights, .. } in before {
            layers.push(layer("BatchNormalization", &name, json!({}), weights));
        }
        let activation = match (i + 1 == count, widths[i + 1]) {
            (false, _) => "relu",
            (true, 1) => "sigmoid",
            (true, _) => "softmax",
        };
        let config = json!({ "activation": activation, "use_bias": named.weights.len() > 1 });
        layers.push(layer("Dense", &named.name, config, named.weights));
    }
    Ok(layers)
}
