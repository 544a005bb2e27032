//! What each use of a layer reads, in the words of Keras 2 and 3.
//!
//! Keras 2 writes a tensor as `["name", 0, 0, {more arguments}]`, Keras 3 as an object with the same as its `keras_history`.
//! A tensor is a place of a use of a layer: the layer's name, which of its uses, which of its values.

use serde_json::{Map, Value};

use super::KerasModelError;

/// A value of a layer, as links name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link<'a> {
    /// The layer.
    pub(super) layer: &'a str,
    /// Which of its uses.
    pub(super) node: usize,
    /// Which of the values of that use.
    pub(super) tensor: usize,
}

/// An argument of a use of a layer; `T` says where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument<T> {
    Value(T),
    List(Vec<Self>),
    /// Numbers, names, slices.
    Constant(Value),
}

impl<T> Argument<T> {
    /// The values in it.
    pub(super) fn values<'a>(&'a self, into: &mut Vec<&'a T>) {
        match self {
            Self::Value(value) => into.push(value),
            Self::List(list) => list.iter().for_each(|argument| argument.values(into)),
            Self::Constant(_) => {}
        }
    }

    /// The same with its values from elsewhere.
    pub(super) fn map<U, E>(
        &self,
        to: &mut impl FnMut(&T) -> Result<U, E>,
    ) -> Result<Argument<U>, E> {
        Ok(match self {
            Self::Value(value) => Argument::Value(to(value)?),
            Self::List(list) => {
                let list = list.iter().map(|argument| argument.map(to));
                Argument::List(list.collect::<Result<_, E>>()?)
            }
            Self::Constant(value) => Argument::Constant(value.clone()),
        })
    }
}

/// One use of a layer: its arguments, each with its name where it has one.
pub(super) type Call<T> = Vec<(Option<String>, Argument<T>)>;

/// The uses of a layer in a functional model; none of a layer that is an input.
pub(super) fn calls(layer: &Value) -> Result<Vec<Call<Link<'_>>>, KerasModelError> {
    let Some(nodes) = layer["inbound_nodes"].as_array() else {
        return Ok(vec![]);
    };
    nodes.iter().map(call).collect()
}

fn call(node: &Value) -> Result<Call<Link<'_>>, KerasModelError> {
    let damaged = || KerasModelError::Config("a link that says nothing");
    match node {
        Value::Object(fields) => {
            let positional = fields.get("args").and_then(Value::as_array);
            let named = fields.get("kwargs").and_then(Value::as_object);
            let positional = positional.ok_or_else(damaged)?.iter();
            let mut call: Call<_> = positional.map(|value| (None, keras3(value))).collect();
            let named = named.into_iter().flatten();
            call.extend(named.map(|(name, value)| (Some(name.clone()), keras3(value))));
            Ok(call)
        }
        // One value, with what else the operation was called with.
        Value::Array(one) if one.first().is_some_and(Value::is_string) => {
            let mut call = vec![(None, keras2(one).ok_or_else(damaged)?)];
            more(one, &mut call);
            Ok(call)
        }
        Value::Array(several) => {
            let values = several.iter().map(|value| keras2(value.as_array()?));
            let values = values.collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
            let first = several.first().and_then(Value::as_array);
            let mut call = match <[_; 1]>::try_from(values) {
                Ok([value]) => vec![(None, value)],
                Err(values) => vec![(None, Argument::List(values))],
            };
            more(first.ok_or_else(damaged)?, &mut call);
            Ok(call)
        }
        _ => Err(damaged()),
    }
}

/// The arguments that stand behind a value.
fn more<'a>(value: &'a [Value], call: &mut Call<Link<'a>>) {
    let named: Option<&Map<_, _>> = value.get(3).and_then(Value::as_object);
    for (name, value) in named.into_iter().flatten() {
        let argument = match value {
            Value::Array(list) => nested(list),
            constant => Argument::Constant(constant.clone()),
        };
        call.push((Some(name.clone()), argument));
    }
}

/// `["name", 0, 0]`, a list of such, or numbers.
fn nested(list: &[Value]) -> Argument<Link<'_>> {
    if let Some(value) = keras2(list) {
        return value;
    }
    let values = list.iter().map(|value| keras2(value.as_array()?));
    match values.collect::<Option<Vec<_>>>() {
        Some(values) if !values.is_empty() => Argument::List(values),
        _ => Argument::Constant(Value::from(list.to_vec())),
    }
}

fn keras2(value: &[Value]) -> Option<Argument<Link<'_>>> {
    match value {
        // `["_CONSTANT_VALUE", -1, 255.0]`
        [Value::String(name), Value::Number(_), constant, ..] if name == "_CONSTANT_VALUE" => {
            Some(Argument::Constant(constant.clone()))
        }
        value => link(value).map(Argument::Value),
    }
}

fn keras3(value: &Value) -> Argument<Link<'_>> {
    match value {
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => {
                let history = value["config"]["keras_history"].as_array();
                let link = history.and_then(|history| link(history));
                link.map_or(Argument::Constant(Value::Null), Argument::Value)
            }
            Some("__tensor__" | "__numpy__") => {
                Argument::Constant(value["config"]["value"].clone())
            }
            _ => Argument::Constant(value.clone()),
        },
        Value::Array(list) => {
            let arguments: Vec<_> = list.iter().map(keras3).collect();
            let constant = |argument: &Argument<_>| matches!(argument, Argument::Constant(_));
            match arguments.iter().all(constant) {
                true => Argument::Constant(value.clone()),
                false => Argument::List(arguments),
            }
        }
        constant => Argument::Constant(constant.clone()),
    }
}

/// `["name", 0, 0]`, whatever follows.
fn link(value: &[Value]) -> Option<Link<'_>> {
    let [Value::String(layer), node, tensor, ..] = value else {
        return None;
    };
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    Some(Link {
        layer,
        node: number(node)?,
        tensor: number(tensor)?,
    })
}

/// The values that a model takes or gives: one link, a list of them, or an object of them by name.
pub(super) fn ends(value: &Value) -> Vec<Link<'_>> {
    match value {
        Value::Array(list) => match link(list) {
            Some(link) => vec![link],
            None => list.iter().flat_map(ends).collect(),
        },
        Value::Object(fields) => fields.values().flat_map(ends).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(layer: &str, tensor: usize) -> Argument<Link<'_>> {
        Argument::Value(Link {
            layer,
            node: 0,
            tensor,
        })
    }

    fn only(layer: &Value) -> Call<Link<'_>> {
        let calls = calls(layer).unwrap();
        <[_; 1]>::try_from(calls).unwrap()[0].clone()
    }

    #[test]
    fn layers_that_read_one_value_or_several_are_found_in_the_words_of_keras_2() {
        let one = json!({"inbound_nodes": [[["pool", 0, 0, {}]]]});
        assert_eq!(only(&one), [(None, at("pool", 0))]);
        let two = json!({"inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 1, {}]]]});
        let list = Argument::List(vec![at("a", 0), at("b", 1)]);
        assert_eq!(only(&two), [(None, list)]);
    }

    #[test]
    fn operations_of_keras_2_have_their_numbers_and_other_values_behind_the_first() {
        let add = json!({"inbound_nodes": [["a", 0, 0, {"y": ["b", 0, 0], "name": null}]]});
        let name = |text: &str| Some(text.to_owned());
        let expected = [
            (None, at("a", 0)),
            (name("y"), at("b", 0)),
            (name("name"), Argument::Constant(Value::Null)),
        ];
        let found = only(&add);
        assert_eq!(found.len(), 3);
        assert!(expected.iter().all(|argument| found.contains(argument)));
        let from = json!({"inbound_nodes": [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]]});
        let one = (None, Argument::Constant(json!(1.0)));
        assert_eq!(only(&from), [one, (name("y"), at("x", 0))]);
        let bias = json!({"inbound_nodes": [["x", 0, 0, {"bias": [-1.0, -2.0, -3.0]}]]});
        let numbers = Argument::Constant(json!([-1.0, -2.0, -3.0]));
        assert_eq!(only(&bias)[1], (name("bias"), numbers));
    }

    #[test]
    fn values_and_constants_are_found_in_the_words_of_keras_3() {
        let tensor = |name: &str| json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 8], "keras_history": [name, 0, 0]}});
        let constant = json!({"class_name": "__tensor__", "config": {"value": [1.0, 2.0]}});
        let args = json!([[tensor("a"), tensor("b")], constant]);
        let layer = json!({"inbound_nodes": [{"args": args, "kwargs": {"training": false}}]});
        let expected = [
            (None, Argument::List(vec![at("a", 0), at("b", 0)])),
            (None, Argument::Constant(json!([1.0, 2.0]))),
            (Some("training".into()), Argument::Constant(json!(false))),
        ];
        assert_eq!(only(&layer), expected);
    }

    #[test]
    fn outputs_are_one_link_or_several() {
        let names = |value: Value| -> Vec<String> {
            ends(&value).iter().map(|link| link.layer.into()).collect()
        };
        assert_eq!(names(json!(["predictions", 0, 0])), ["predictions"]);
        assert_eq!(names(json!([["a", 0, 0], ["b", 0, 0]])), ["a", "b"]);
        assert_eq!(names(json!({"x": ["a", 0, 0]})), ["a"]);
    }
}
