//! Weights alone: the layers of a VGG of keras.applications by their names, with the head that its shapes allow.
//!
//! `.h5` files of weights list all layers in their order, those without weights too; `.weights.h5` files keep them by class. What
//! neither says is taken as Keras has it by default, and told in a note.

use serde_json::{Value, json};

use super::store::{Store, in_group, strings, vars};
use super::{KerasLayer, KerasModelError, Model};
use crate::weights::{Tensor, Weights};

/// Layers without weights that change nothing here, as their names begin.
const HARMLESS: [&str; 8] = [
    "input",
    "dropout",
    "spatial_dropout",
    "alpha_dropout",
    "gaussian_",
    "random_",
    "top_level_model_weights",
    "seed",
];

/// Layers without weights between the convolutions and the dense layers, as their names begin, and their classes.
const BETWEEN: [(&str, &str); 5] = [
    ("max_pooling2d", "MaxPooling2D"),
    ("average_pooling2d", "AveragePooling2D"),
    ("flatten", "Flatten"),
    ("global_average_pooling2d", "GlobalAveragePooling2D"),
    ("global_max_pooling2d", "GlobalMaxPooling2D"),
];

/// The layers, one after the other.
pub(super) fn model(weights: &Weights) -> Result<Model, KerasModelError> {
    let (named, in_order) = match Store::of(weights) {
        Store::Groups { root, .. } => (in_order(weights, root), true),
        Store::Vars { .. } => (by_class(weights), false),
    };
    let kinds = named.iter().map(NamedLayer::kind);
    let kinds: Vec<Kind> = kinds.collect::<Result<_, _>>()?;
    let blocks = kinds
        .iter()
        .filter(|kind| matches!(kind, Kind::Convolution(..)))
        .count();
    if blocks == 0 {
        let found = super::super::names(weights);
        return Err(KerasModelError::Unknown { found });
    }
    let name = match blocks {
        13 => "vgg16".into(),
        16 => "vgg19".into(),
        n => format!("vgg of {n} convolutions"),
    };
    let parts: Vec<(Kind, NamedLayer)> = kinds.into_iter().zip(named).collect();
    let mut layers = match in_order {
        true => listed(parts),
        false => sorted(parts)?,
    };
    let mut notes = vec![];
    let input = input(&mut layers, &mut notes)?;
    layers.insert(0, input);
    let guessed = layers.iter().filter(|layer| {
        BETWEEN[..2]
            .iter()
            .any(|(start, _)| layer.name.starts_with(start))
    });
    let guessed: Vec<&str> = guessed.map(|layer| layer.name.as_str()).collect();
    if !guessed.is_empty() {
        notes.push(format!(
            "weights alone do not say how large the windows of {} are: taken as 2 x 2, Keras' default; a file of the whole model \
             (model.save) says it",
            guessed.join(", ")
        ));
    }
    if layers.iter().filter(|layer| layer.class == "Dense").count() > 1 {
        notes.push(
            "weights alone do not say what is between dense layers: taken as ReLU; a file of the whole model (model.save) says it"
                .into(),
        );
    }
    let mut model = Model::in_a_row(&name, layers);
    model.notes = notes;
    Ok(model)
}

/// What a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// By its block and number.
    Convolution(usize, usize),
    /// The pool of a block.
    Pool(usize),
    /// One of [`BETWEEN`], by its class.
    Between(&'static str),
    Dense,
    Normalization,
    Nothing,
}

/// A layer of which only its weights are known.
struct NamedLayer {
    /// The name that Keras gave to layers of its class, where it has no better one.
    class: String,
    name: String,
    weights: Vec<Tensor>,
}

impl NamedLayer {
    fn kind(&self) -> Result<Kind, KerasModelError> {
        let ranks: Vec<usize> = self
            .weights
            .iter()
            .map(|tensor| tensor.shape().len())
            .collect();
        let layer = self.name.clone();
        Ok(match ranks.as_slice() {
            [] => {
                let name = self.name.to_ascii_lowercase();
                let starts = |start: &str| name.starts_with(start) || self.class.starts_with(start);
                let pool = block(&name, "_pool").map(|(block, _)| Kind::Pool(block));
                let between = BETWEEN.iter().find(|(start, _)| starts(start));
                match pool.or(between.map(|&(_, class)| Kind::Between(class))) {
                    Some(kind) => kind,
                    None if HARMLESS.iter().any(|start| starts(start)) => Kind::Nothing,
                    None => return Err(KerasModelError::Ambiguous { layer }),
                }
            }
            [4, ..] => match block(&self.name, "_conv") {
                Some((block, number)) => Kind::Convolution(block, number),
                None => return Err(KerasModelError::Unknown { found: layer }),
            },
            [2] | [2, 1] => Kind::Dense,
            [1, 1, 1, 1] => Kind::Normalization,
            _ => return Err(KerasModelError::Ambiguous { layer }),
        })
    }
}

/// Groups in the order of `layer_names`; a model inside the model in that of its weights.
fn in_order(weights: &Weights, root: &str) -> Vec<NamedLayer> {
    let key = match root.strip_suffix('/') {
        Some(group) => format!("{group}@layer_names"),
        None => "layer_names".into(),
    };
    let mut all: Vec<NamedLayer> = vec![];
    for name in strings(weights.metadata.get(&key)) {
        let parts = in_group(weights, &format!("{root}{name}"));
        let nested = parts.iter().any(|(owner, _)| is_convolution(owner)) && !is_convolution(&name);
        if !nested {
            all.push(NamedLayer {
                class: name.clone(),
                name,
                weights: parts.into_iter().map(|(_, tensor)| tensor).collect(),
            });
            continue;
        }
        for (owner, tensor) in parts {
            match all.iter_mut().find(|named| named.name == owner) {
                Some(named) => named.weights.push(tensor),
                None => all.push(NamedLayer {
                    class: owner.clone(),
                    name: owner,
                    weights: vec![tensor],
                }),
            }
        }
    }
    all
}

/// Folders of Keras 3, those of one class in their order.
fn by_class(weights: &Weights) -> Vec<NamedLayer> {
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
            (!is_model).then(|| NamedLayer {
                class: last.into(),
                name: name.cloned().unwrap_or_else(|| last.into()),
                weights: weights_of,
            })
        })
        .collect()
}

/// Block and number of a convolution: `block3_conv2`, and of a pool: `block3_pool`.
fn block(name: &str, kind: &str) -> Option<(usize, usize)> {
    let (block, number) = name.strip_prefix("block")?.split_once(kind)?;
    let number = if number.is_empty() { "0" } else { number };
    Some((block.parse().ok()?, number.parse().ok()?))
}

fn is_convolution(name: &str) -> bool {
    block(name, "_conv").is_some()
}

fn layer(class: &str, name: &str, config: Value, weights: Vec<Tensor>) -> KerasLayer {
    KerasLayer {
        class: class.into(),
        name: name.into(),
        config,
        weights,
        arguments: vec![],
    }
}

fn pool(block: usize) -> KerasLayer {
    let name = format!("block{block}_pool");
    layer("MaxPooling2D", &name, json!({ "pool_size": 2 }), vec![])
}

/// Whether layers of a class take windows of a map.
fn is_window(class: &str) -> bool {
    class.ends_with("Pooling2D") && !class.starts_with("Global")
}

/// A layer with the settings that it has in keras.applications, or by default.
fn of_kind(kind: Kind, NamedLayer { name, weights, .. }: NamedLayer) -> Option<KerasLayer> {
    let use_bias = weights.len() > 1;
    Some(match kind {
        Kind::Convolution(..) => {
            let taps = &weights[0].shape()[..2];
            let config = json!({ "kernel_size": taps, "padding": "same", "activation": "relu", "use_bias": use_bias });
            layer("Conv2D", &name, config, weights)
        }
        Kind::Pool(block) => pool(block),
        Kind::Between(class) => layer(class, &name, json!({ "pool_size": 2 }), vec![]),
        Kind::Dense => {
            let config = json!({ "activation": "relu", "use_bias": use_bias });
            layer("Dense", &name, config, weights)
        }
        Kind::Normalization => layer("BatchNormalization", &name, json!({}), weights),
        Kind::Nothing => return None,
    })
}

/// Layers in the file's own order. A base that is one layer of the model has its pools after its blocks.
fn listed(parts: Vec<(Kind, NamedLayer)>) -> Vec<KerasLayer> {
    let own_pools = parts.iter().any(|(kind, _)| matches!(kind, Kind::Pool(_)));
    let mut layers = vec![];
    let mut current = None;
    for (kind, named) in parts {
        let next = match kind {
            Kind::Convolution(block, _) => Some(block),
            _ => None,
        };
        if let Some(block) = current.filter(|_| current != next && !own_pools) {
            layers.push(pool(block));
        }
        current = next;
        layers.extend(of_kind(kind, named));
    }
    layers
}

/// Layers that are kept by their classes: convolutions and their pools, what is between, dense layers, each among batch
/// normalisations that have its width.
fn sorted(parts: Vec<(Kind, NamedLayer)>) -> Result<Vec<KerasLayer>, KerasModelError> {
    let (mut trunk, mut between, mut dense, mut normalizations) = (vec![], vec![], vec![], vec![]);
    let mut pools = vec![];
    for (kind, named) in parts {
        match kind {
            Kind::Convolution(..) => trunk.push((kind, named)),
            Kind::Pool(block) => pools.push(block),
            Kind::Between(class) => between.push((class, named)),
            Kind::Dense => dense.push(named),
            Kind::Normalization => normalizations.push(named),
            Kind::Nothing => {}
        }
    }
    let place = |kind: &Kind| match *kind {
        Kind::Convolution(block, number) => (block, number),
        _ => (0, 0),
    };
    trunk.sort_by_key(|(kind, _)| place(kind));
    // Versions that do not keep the names of layers without weights do not tell the pools of blocks from others.
    let named = |(_, named): &(&str, NamedLayer)| named.name != named.class;
    if pools.is_empty() && !between.iter().any(named) {
        between.retain(|(class, _)| *class != "MaxPooling2D");
    }
    let mut layers = listed(trunk);
    if let Some(KerasLayer { name, .. }) = layers.last()
        && let Some((last, _)) = block(name, "_conv")
        && (pools.is_empty() || pools.contains(&last))
    {
        layers.push(pool(last));
    }
    // Windows come before what makes a vector of them; which of two kinds of them comes first is not known.
    between.sort_by_key(|(class, _)| match *class {
        "Flatten" => 2,
        class if class.starts_with("Global") => 1,
        _ => 0,
    });
    let kinds = between.iter().filter(|(class, _)| is_window(class));
    let mut kinds = kinds.map(|(class, _)| *class);
    let first = kinds.next();
    if let Some(other) = kinds.find(|&kind| Some(kind) != first)
        && let Some((_, named)) = between.iter().find(|(class, _)| *class == other)
    {
        return Err(KerasModelError::Ambiguous {
            layer: named.name.clone(),
        });
    }
    let made = between.into_iter();
    layers.extend(made.filter_map(|(class, named)| of_kind(Kind::Between(class), named)));
    layers.extend(among(dense, normalizations)?);
    Ok(layers)
}

/// Dense layers with batch normalisations before those whose inputs have their width.
fn among(
    dense: Vec<NamedLayer>,
    normalizations: Vec<NamedLayer>,
) -> Result<Vec<KerasLayer>, KerasModelError> {
    let width = |named: &NamedLayer| named.weights[0].shape()[0];
    let ambiguous = |named: &NamedLayer| KerasModelError::Ambiguous {
        layer: named.name.clone(),
    };
    let mut places: Vec<Option<NamedLayer>> = dense.iter().map(|_| None).collect();
    let mut first = 0;
    for named in normalizations {
        let mut fitting = (first..dense.len()).filter(|&i| width(&dense[i]) == width(&named));
        let place = fitting.next().ok_or_else(|| ambiguous(&named))?;
        first = place + 1;
        places[place] = Some(named);
    }
    // A dense layer without one, as wide as its neighbour with one: which of them it follows is not known.
    for i in 1..dense.len() {
        let alike = width(&dense[i]) == width(&dense[i - 1]);
        if places[i].is_none() && places[i - 1].is_some() && alike {
            return Err(ambiguous(&dense[i]));
        }
    }
    let mut layers = vec![];
    for (named, before) in dense.into_iter().zip(places) {
        layers.extend(before.and_then(|before| of_kind(Kind::Normalization, before)));
        layers.extend(of_kind(Kind::Dense, named));
    }
    Ok(layers)
}

/// The picture whose map has as many places as the first dense layer reads, and what makes a vector of it where the file does not
/// say. The last dense layer gives probabilities.
fn input(
    layers: &mut Vec<KerasLayer>,
    notes: &mut Vec<String>,
) -> Result<KerasLayer, KerasModelError> {
    let at = layers.iter().position(|layer| layer.class == "Dense");
    let Some(at) = at else {
        let layer = layers
            .last()
            .map(|layer| layer.name.clone())
            .unwrap_or_default();
        return Err(KerasModelError::NoHead { layer });
    };
    let rows = layers[at].weights[0].shape()[0];
    let before = &layers[..at];
    let has = |is: fn(&str) -> bool| before.iter().any(|layer| is(&layer.class));
    let is_flat = has(|class| class == "Flatten");
    let is_global = has(|class| class.starts_with("Global"));
    let halvings = before.iter().filter(|layer| is_window(&layer.class));
    let halvings = u32::try_from(halvings.count()).unwrap_or(u32::MAX);
    let kernel = before.iter().rev().find(|layer| layer.class == "Conv2D");
    let channels = kernel.map_or(0, |layer| layer.weights[0].shape()[3]);
    let side = match rows.checked_div(channels) {
        Some(1) if is_global || !is_flat => Some(None),
        Some(positions) if !is_global && positions * channels == rows => {
            side_of(positions, halvings).map(Some)
        }
        _ => None,
    };
    let side = side.ok_or_else(|| KerasModelError::Ambiguous {
        layer: layers[at].name.clone(),
    })?;
    notes.push(note_of_size(side, halvings));
    if !is_flat && !is_global {
        let class = match side {
            Some(_) => "Flatten",
            None => "GlobalAveragePooling2D",
        };
        // Before a normalisation of all its values.
        let is_of_all = |layer: &KerasLayer| {
            layer.class == "BatchNormalization" && layer.weights[0].len() == rows
        };
        let at = at - usize::from(at > 0 && is_of_all(&layers[at - 1]));
        layers.insert(at, layer(class, "flatten", json!({}), vec![]));
    }
    if let Some(last) = layers.iter_mut().rev().find(|layer| layer.class == "Dense") {
        let one = last.weights[0].shape()[1] == 1;
        last.config["activation"] = json!(if one { "sigmoid" } else { "softmax" });
    }
    Ok(layer(
        "InputLayer",
        "input",
        json!({ "batch_shape": [null, side, side, 3] }),
        vec![],
    ))
}

/// The side of the smallest square picture of which so many positions are left after so many halvings.
fn side_of(positions: usize, halvings: u32) -> Option<usize> {
    let side = positions.isqrt();
    let step = 1_usize.checked_shl(halvings)?;
    let picture = side.checked_mul(step)?;
    (side * side == positions && picture <= crate::network::MAX_SIDE).then_some(picture)
}

fn note_of_size(side: Option<usize>, halvings: u32) -> String {
    let Some(side) = side else {
        return "weights alone do not say for which size of pictures they are: taken as 224 x 224; --input-size says otherwise".into();
    };
    let most = side + (1 << halvings) - 1;
    format!(
        "weights alone do not say for which size of pictures they are: taken as {side} x {side}, the smallest of {side} to \
         {most} that fit; --input-size says otherwise"
    )
}
