//! The layers of `model_config` in an order in which a picture passes them, models inside models unfolded: what a layer reads
//! is always before it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::links::{Argument, Call, Link, calls, ends};
use super::store::{Numbers, Store, name_of};
use super::{KerasLayer, KerasModelError, Model, Source, Version};
use crate::weights::Weights;

/// Layers of one model at most: the largest of keras.applications has a thousand.
const MAX_LAYERS: usize = 4096;
/// Models inside models at most.
const MAX_DEPTH: usize = 8;

/// The outermost model.
pub(super) fn model(config: &Value, weights: &Weights) -> Result<Model, KerasModelError> {
    let mut unfolded = Unfolder {
        weights,
        layers: vec![],
    };
    let outputs = unfolded.model(config, &Store::of(weights), None, MAX_DEPTH)?;
    Ok(Model {
        name: config["config"]["name"].as_str().unwrap_or("keras").into(),
        layers: unfolded.layers,
        outputs,
        version: version(weights),
        notes: vec![],
    })
}

/// The version that wrote the file: the newest where it does not say.
fn version(weights: &Weights) -> Version {
    let keys = ["keras_version", "model_weights@keras_version"];
    let stated = keys.iter().find_map(|key| weights.metadata.get(*key));
    match stated {
        Some(stated) if stated.starts_with(['1', '2']) => Version::Two,
        _ => Version::Three,
    }
}

/// A model's layers with their uses: what each use reads by the layer's index, the use and the value.
struct ModelUses<'a> {
    list: &'a [Value],
    numbers: Vec<String>,
    calls: Vec<Vec<Call<Link<'a>>>>,
    index: HashMap<&'a str, usize>,
    inputs: Vec<Link<'a>>,
    outputs: Vec<Link<'a>>,
}

impl<'a> ModelUses<'a> {
    fn of(model: &'a Value) -> Result<Self, KerasModelError> {
        // Before Keras 2.2.3 a Sequential's configuration was the list itself.
        let list = model["config"]
            .as_array()
            .or(model["config"]["layers"].as_array());
        let list = list.ok_or(KerasModelError::Config("a model without layers"))?;
        if list.len() > MAX_LAYERS {
            return Err(KerasModelError::Config("more layers than any network has"));
        }
        let mut numbers = Numbers::default();
        let numbers = list.iter().map(|layer| numbers.next(class(layer)));
        let names = list
            .iter()
            .map(|layer| name_of(layer).ok_or(KerasModelError::Config("a layer without a name")));
        let names: Vec<&str> = names.collect::<Result<_, _>>()?;
        let mut uses = ModelUses {
            list,
            numbers: numbers.collect(),
            calls: vec![],
            index: names
                .iter()
                .enumerate()
                .map(|(i, &name)| (name, i))
                .collect(),
            inputs: ends(&model["config"]["input_layers"]),
            outputs: ends(&model["config"]["output_layers"]),
        };
        if uses.index.len() != list.len() {
            return Err(KerasModelError::Config("two layers of one name"));
        }
        if uses.outputs.is_empty() {
            uses.in_a_row(&names)?;
        } else {
            uses.calls = list.iter().map(calls).collect::<Result<_, _>>()?;
        }
        Ok(uses)
    }

    /// Of a Sequential: each layer reads the one before it.
    fn in_a_row(&mut self, names: &[&'a str]) -> Result<(), KerasModelError> {
        let at = |&layer: &&'a str| Link {
            layer,
            node: 0,
            tensor: 0,
        };
        let last = names
            .last()
            .ok_or(KerasModelError::Config("a model without layers"))?;
        self.outputs = vec![at(last)];
        if class(&self.list[0]) == "InputLayer" {
            self.inputs = vec![at(&names[0])];
        }
        let before = [None].into_iter().chain(names.iter().map(Some));
        self.calls = before
            .zip(names)
            .map(|(before, _)| match before {
                Some(before) => vec![vec![(None, Argument::Value(at(before)))]],
                None => vec![],
            })
            .collect();
        Ok(())
    }

    /// The use that a link means, as indices.
    fn find(&self, link: &Link<'_>) -> Result<(usize, usize), KerasModelError> {
        let missing = KerasModelError::Config("a link to a layer that is not there");
        let index = *self.index.get(link.layer).ok_or(missing)?;
        // Uses in models that are not in this file are counted too by some versions.
        let uses = self.calls[index].len();
        let node = if uses <= 1 { 0 } else { link.node };
        match node < uses.max(1) {
            true => Ok((index, node)),
            false => Err(KerasModelError::Config("a link to a use that is not there")),
        }
    }

    /// The uses that the outputs need, each after those that it reads.
    fn order(&self) -> Result<Vec<(usize, usize)>, KerasModelError> {
        enum Seen {
            Begun,
            Done,
        }
        let mut seen: HashMap<(usize, usize), Seen> = HashMap::new();
        let mut order = vec![];
        let mut stack = vec![];
        for output in self.outputs.iter().rev() {
            stack.push((self.find(output)?, false));
        }
        while let Some((at, read)) = stack.pop() {
            if read {
                seen.insert(at, Seen::Done);
                order.push(at);
                continue;
            }
            match seen.get(&at) {
                Some(Seen::Done) => continue,
                Some(Seen::Begun) => return Err(KerasModelError::Config("layers in a circle")),
                None => {}
            }
            seen.insert(at, Seen::Begun);
            stack.push((at, true));
            let mut links = vec![];
            if let Some(call) = self.calls[at.0].get(at.1) {
                for (_, argument) in call {
                    argument.values(&mut links);
                }
            }
            for link in links.into_iter().rev() {
                let before = self.find(link)?;
                match seen.get(&before) {
                    Some(Seen::Done) => {}
                    Some(Seen::Begun) => {
                        return Err(KerasModelError::Config("layers in a circle"));
                    }
                    None => stack.push((before, false)),
                }
            }
        }
        Ok(order)
    }
}

struct Unfolder<'a> {
    weights: &'a Weights,
    layers: Vec<KerasLayer>,
}

impl Unfolder<'_> {
    /// Adds the layers of `model`, over `given` where it is a layer of another, and says where its outputs come from.
    fn model(
        &mut self,
        model: &Value,
        store: &Store,
        given: Option<&[Source]>,
        depth: usize,
    ) -> Result<Vec<(String, Source)>, KerasModelError> {
        let depth = depth
            .checked_sub(1)
            .ok_or(KerasModelError::Config("too many models inside models"))?;
        let uses = ModelUses::of(model)?;
        let mut given: Vec<Source> = given.map(<[_]>::to_vec).unwrap_or_default();
        if given.is_empty() && uses.inputs.is_empty() {
            given.push(self.input(model)?);
        }
        // Values of each use of a layer.
        let mut values: HashMap<(usize, usize), Vec<Source>> = HashMap::new();
        for at in uses.order()? {
            let (index, node) = at;
            let config = &uses.list[index];
            let name = name_of(config).unwrap_or_default();
            let mut from = |link: &Link<'_>| {
                let sources = values.get(&uses.find(link)?);
                let source = sources.and_then(|sources| match **sources {
                    // An operation says itself how many values it gives.
                    [source] if !is_model(class(&uses.list[uses.index[link.layer]])) => {
                        Some(Source {
                            output: source.output + link.tensor,
                            ..source
                        })
                    }
                    _ => sources.get(link.tensor).copied(),
                });
                source.ok_or(KerasModelError::Config(
                    "a link to a value that is not there",
                ))
            };
            let found = if class(config) == "InputLayer" && !given.is_empty() {
                let place = uses.inputs.iter().position(|input| input.layer == name);
                let source = given.get(place.unwrap_or(0));
                vec![*source.ok_or(KerasModelError::Config("a model without its input"))?]
            } else {
                let arguments: Call<Source> = match uses.calls[index].get(node) {
                    Some(call) => call
                        .iter()
                        .map(|(name, argument)| Ok((name.clone(), argument.map(&mut from)?)))
                        .collect::<Result<_, KerasModelError>>()?,
                    // The first layer of a Sequential that does not name its input.
                    None => given
                        .first()
                        .map(|&source| (None, Argument::Value(source)))
                        .into_iter()
                        .collect(),
                };
                self.used(config, &uses.numbers[index], arguments, store, depth)?
            };
            values.insert(at, found);
        }
        let output = |link: &Link<'_>| {
            let sources = values.get(&uses.find(link)?);
            let source = sources.and_then(|sources| sources.get(link.tensor).or(sources.first()));
            let source = source.ok_or(KerasModelError::Config("an output that is not there"))?;
            Ok((link.layer.to_owned(), *source))
        };
        uses.outputs.iter().map(output).collect()
    }

    /// Adds one use of a layer, or of a model inside.
    fn used(
        &mut self,
        config: &Value,
        number: &str,
        arguments: Call<Source>,
        store: &Store,
        depth: usize,
    ) -> Result<Vec<Source>, KerasModelError> {
        let name = name_of(config).unwrap_or_default();
        let class = class(config);
        if is_model(class) {
            let mut sources = vec![];
            for (_, argument) in &arguments {
                argument.values(&mut sources);
            }
            let sources: Vec<Source> = sources.into_iter().copied().collect();
            let store = store.inside(self.weights, name, number);
            let outputs = self.model(config, &store, Some(&sources), depth)?;
            return Ok(outputs.into_iter().map(|(_, source)| source).collect());
        }
        if class.is_empty() {
            return Err(KerasModelError::Config("a layer without a class"));
        }
        let source = self.push(KerasLayer {
            class: class.into(),
            name: name.into(),
            config: config["config"].clone(),
            weights: store.weights(self.weights, name, number),
            arguments,
        })?;
        Ok(vec![source])
    }

    fn push(&mut self, layer: KerasLayer) -> Result<Source, KerasModelError> {
        if self.layers.len() >= MAX_LAYERS {
            return Err(KerasModelError::Config("more layers than any network has"));
        }
        self.layers.push(layer);
        Ok(Source {
            layer: self.layers.len() - 1,
            output: 0,
        })
    }

    /// The input of an outermost Sequential that has no layer for it.
    fn input(&mut self, model: &Value) -> Result<Source, KerasModelError> {
        let shape = first_shape(model, MAX_DEPTH).unwrap_or(Value::Null);
        self.push(KerasLayer {
            class: "InputLayer".into(),
            name: "input".into(),
            config: json!({ "batch_shape": shape }),
            weights: vec![],
            arguments: vec![],
        })
    }
}

/// The shape that the first layer of a model says, be it in a model inside.
fn first_shape(model: &Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let config = &model["config"];
    let list = config.as_array().or(config["layers"].as_array())?;
    let first = list.first()?;
    let keys = ["batch_shape", "batch_input_shape"];
    let own = keys.iter().map(|key| &first["config"][*key]);
    let own = own.chain([&config["build_input_shape"]]);
    let own = own.into_iter().find(|shape| shape.is_array()).cloned();
    own.or_else(|| first_shape(first, depth))
}

/// The class of a layer; empty where it has none.
fn class(layer: &Value) -> &str {
    match layer["class_name"].as_str().unwrap_or_default() {
        // Keras 2.13 to 2.15 register the one layer of keras.applications that is not Keras' own as users do theirs.
        "Custom>CustomScaleLayer" => "CustomScaleLayer",
        class => class,
    }
}

fn is_model(class: &str) -> bool {
    matches!(class, "Sequential" | "Functional" | "Model")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_registered_layers_the_one_of_keras_itself_is_known() {
        let class_of = |name: &str| class(&json!({ "class_name": name })).to_owned();
        assert_eq!(class_of("Custom>CustomScaleLayer"), "CustomScaleLayer");
        assert_eq!(class_of("Custom>Mine"), "Custom>Mine");
    }

    fn unfolded(model: &Value) -> Result<Model, KerasModelError> {
        super::model(model, &crate::weights::builtin())
    }

    fn relu(name: &str, sources: &[&str]) -> Value {
        let links: Vec<Value> = sources.iter().map(|name| json!([name, 0, 0, {}])).collect();
        json!({"class_name": "ReLU", "config": {"name": name}, "inbound_nodes": [links]})
    }

    #[test]
    fn layers_in_a_circle_are_an_error() {
        let layers = [relu("a", &["b"]), relu("b", &["a"])];
        let model = json!({"config": {"layers": layers, "output_layers": [["a", 0, 0]]}});
        assert!(matches!(
            unfolded(&model),
            Err(KerasModelError::Config("layers in a circle"))
        ));
    }

    #[test]
    fn layers_of_branches_come_after_what_they_read() {
        let input =
            json!({"class_name": "InputLayer", "config": {"name": "in"}, "inbound_nodes": []});
        let layers = [
            relu("end", &["left", "right"]),
            relu("right", &["in"]),
            relu("left", &["right"]),
            relu("unused", &["in"]),
            input,
        ];
        let model = json!({"config": {"layers": layers, "input_layers": ["in", 0, 0], "output_layers": [["end", 0, 0]]}});
        let model = unfolded(&model).unwrap();
        let names: Vec<&str> = model
            .layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        assert_eq!(names, ["in", "right", "left", "end"]);
        let mut read = vec![];
        model.layers[3].arguments[0].1.values(&mut read);
        let read: Vec<usize> = read.into_iter().map(|source| source.layer).collect();
        assert_eq!(read, [2, 1]);
    }

    #[test]
    fn a_model_inside_reads_what_it_was_given() {
        let inner = json!({"class_name": "Sequential", "config": {"name": "inner", "layers": [
            {"class_name": "InputLayer", "config": {"name": "inside"}},
            {"class_name": "ReLU", "config": {"name": "deep"}},
        ]}});
        let model = json!({"class_name": "Sequential", "config": {"layers": [
            {"class_name": "ReLU", "config": {"name": "first", "batch_input_shape": [null, 4, 4, 3]}},
            inner,
        ]}});
        let model = unfolded(&model).unwrap();
        let names: Vec<&str> = model
            .layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        assert_eq!(names, ["input", "first", "deep"]);
        assert_eq!(
            model.layers[0].config["batch_shape"],
            json!([null, 4, 4, 3])
        );
        assert_eq!(model.outputs[0].1.layer, 2);
    }
}
