//! The layers of `model_config` in the order in which a picture passes them, models inside models unfolded.

use serde_json::Value;

use super::store::{Numbers, Store, name_of};
use super::{KerasModelError, Layer};
use crate::weights::Weights;

/// Layers of one model at most: the largest of keras.applications has a thousand.
const MAX_LAYERS: usize = 4096;
/// Models inside models at most.
const MAX_DEPTH: usize = 8;

/// The layers of the outermost model.
pub(super) fn layers(model: &Value, weights: &Weights) -> Result<Vec<Layer>, KerasModelError> {
    let mut layers = vec![];
    unfold(model, &Store::of(weights), weights, MAX_DEPTH, &mut layers)?;
    Ok(layers)
}

fn unfold(
    model: &Value,
    store: &Store,
    weights: &Weights,
    depth: usize,
    out: &mut Vec<Layer>,
) -> Result<(), KerasModelError> {
    // Before Keras 2.2.3 a Sequential's configuration was the list itself.
    let list = model["config"]
        .as_array()
        .or(model["config"]["layers"].as_array());
    let list = list.ok_or(KerasModelError::Config("a model without layers"))?;
    if list.len() > MAX_LAYERS || out.len() > MAX_LAYERS {
        return Err(KerasModelError::Config("more layers than any network has"));
    }
    let depth = depth
        .checked_sub(1)
        .ok_or(KerasModelError::Config("too many models inside models"))?;
    let mut numbers = Numbers::default();
    let numbered: Vec<(&Value, String)> = list
        .iter()
        .map(|layer| {
            (
                layer,
                numbers.next(layer["class_name"].as_str().unwrap_or("")),
            )
        })
        .collect();
    for index in order(model, list)? {
        let (layer, number) = &numbered[index];
        let name = name_of(layer).ok_or(KerasModelError::Config("a layer without a name"))?;
        match layer["class_name"].as_str() {
            Some("Sequential" | "Functional" | "Model") => {
                let store = store.inside(weights, name, number);
                unfold(layer, &store, weights, depth, out)?;
            }
            Some(class) => out.push(Layer {
                class: class.into(),
                name: name.into(),
                config: layer["config"].clone(),
                weights: store.weights(weights, name, number),
            }),
            None => return Err(KerasModelError::Config("a layer without a class")),
        }
    }
    Ok(())
}

/// Indices of a model's layers from its input to its output.
fn order(model: &Value, list: &[Value]) -> Result<Vec<usize>, KerasModelError> {
    let outputs = sources(&model["config"]["output_layers"]);
    let [mut name] = match outputs.as_slice() {
        [] => return Ok((0..list.len()).collect()),
        outputs => <[&str; 1]>::try_from(outputs)
            .map_err(|_| KerasModelError::Config("a model with several outputs"))?,
    };
    let mut order = vec![];
    loop {
        let index = list.iter().position(|layer| name_of(layer) == Some(name));
        let index = index.ok_or(KerasModelError::Config(
            "a link to a layer that is not there",
        ))?;
        order.push(index);
        if order.len() > list.len() {
            return Err(KerasModelError::Config("layers in a circle"));
        }
        let layer = &list[index];
        name = match sources(&layer["inbound_nodes"]).as_slice() {
            [] => break,
            [source] => source,
            several => {
                return Err(KerasModelError::Unsupported {
                    layer: name.into(),
                    class: layer["class_name"].as_str().unwrap_or("").into(),
                    what: format!("joining {} layers is", several.len()),
                });
            }
        };
    }
    order.reverse();
    Ok(order)
}

/// The layers that a node reads, each once. Keras 2 writes `["name", 0, 0, {}]`, Keras 3 tensors with the same as their
/// `keras_history`; both in lists.
fn sources(nodes: &Value) -> Vec<&str> {
    let mut found = vec![];
    collect(nodes, &mut found);
    found
}

fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(list) => match list.as_slice() {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => {
                if !found.contains(&name.as_str()) {
                    found.push(name);
                }
            }
            list => list.iter().for_each(|value| collect(value, found)),
        },
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_are_found_in_the_words_of_keras_2_and_3() {
        assert_eq!(sources(&json!([[["pool", 0, 0, {}]]])), ["pool"]);
        let tensor = json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 8], "keras_history": ["fc1", 0, 0]}});
        assert_eq!(
            sources(&json!([{"args": [tensor], "kwargs": {"training": false}}])),
            ["fc1"]
        );
        assert_eq!(
            sources(&json!([[["a", 0, 0, {}], ["b", 0, 0, {}]]])),
            ["a", "b"]
        );
        assert_eq!(sources(&json!(["predictions", 0, 0])), ["predictions"]);
    }

    #[test]
    fn layers_in_a_circle_are_an_error() {
        let layer = |name: &str, source: &str| json!({"class_name": "ReLU", "config": {"name": name}, "inbound_nodes": [[[source, 0, 0, {}]]]});
        let list = [layer("a", "b"), layer("b", "a")];
        let model = json!({"config": {"output_layers": [["a", 0, 0]]}});
        assert!(matches!(
            order(&model, &list),
            Err(KerasModelError::Config("layers in a circle"))
        ));
    }
}
