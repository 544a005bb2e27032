//! Operations: what Keras keeps of `x / 255`, `x[..., ::-1]`, `tf.nn.relu(x)` as steps between layers. They go by their class in
//! Keras 3 (`TrueDivide`), whatever the version that wrote them.

use std::cmp::Ordering;

use serde_json::Value;

use super::KerasLayer;
use super::links::Argument;

/// The class of a layer, or of the operation that `TFOpLambda` stands for.
pub(super) fn class(layer: &KerasLayer) -> &str {
    if !matches!(&*layer.class, "TFOpLambda" | "SlicingOpLambda") {
        return layer.class.as_str();
    }
    let function = layer.config["function"].as_str().unwrap_or_default();
    match function {
        "__operators__.getitem" => "GetItem",
        "__operators__.add" | "math.add" | "nn.bias_add" => "Add",
        "math.subtract" => "Subtract",
        "math.multiply" => "Multiply",
        "math.truediv" | "math.divide" | "divide" => "TrueDivide",
        "math.negative" => "Negative",
        "cast" | "identity" | "stop_gradient" | "convert_to_tensor" => "Cast",
        "reverse" => "Flip",
        "stack" => "Stack",
        "concat" => "Concatenate",
        "split" => "Split",
        "unstack" => "Unstack",
        "reshape" => "Reshape",
        "transpose" => "Transpose",
        "image.resize" => "Resize",
        "math.reduce_mean" => "Mean",
        "nn.relu" => "Relu",
        "nn.relu6" => "Relu6",
        "nn.silu" | "nn.swish" => "Silu",
        "nn.leaky_relu" => "LeakyRelu",
        "nn.elu" => "Elu",
        "nn.selu" => "Selu",
        "nn.gelu" => "Gelu",
        "math.softplus" | "nn.softplus" => "Softplus",
        "math.sigmoid" | "nn.sigmoid" => "Sigmoid",
        "math.tanh" | "nn.tanh" => "Tanh",
        "nn.softmax" => "Softmax",
        _ => function,
    }
}

impl KerasLayer {
    /// The configuration with the arguments that have names.
    pub(super) fn settings(&self) -> Value {
        let mut config = self.config.as_object().cloned().unwrap_or_default();
        for (name, argument) in &self.arguments {
            if let (Some(name), Some(value)) = (name, constant(argument)) {
                config.insert(name.clone(), value.clone());
            }
        }
        config.into()
    }

    /// A setting of an operation: from its configuration, by its name among the arguments, or as the constant in `place`.
    pub(super) fn setting(&self, names: &[&str], place: usize) -> Option<&Value> {
        let configured = names.iter().map(|name| &self.config[*name]);
        let configured = configured.filter(|value| !value.is_null());
        let named = self.arguments.iter().filter_map(|(name, argument)| {
            let named = name.as_deref().is_some_and(|name| names.contains(&name));
            constant(argument).filter(|value| named && !value.is_null())
        });
        let mut positional = self.arguments.iter().filter(|(name, _)| name.is_none());
        let placed = || constant(&positional.nth(place)?.1);
        configured.chain(named).next().or_else(placed)
    }

    /// An axis among those behind that of the pictures, of which there are `rank`.
    pub(super) fn axis(&self, rank: usize) -> Option<usize> {
        let value = self.setting(&["axis", "dim"], 1)?;
        let axis = value
            .as_i64()
            .or_else(|| match value.as_array()?.as_slice() {
                [axis] => axis.as_i64(),
                _ => None,
            })?;
        let all = i64::try_from(rank).ok()? + 1;
        let axis = if axis < 0 { axis + all } else { axis };
        usize::try_from(axis - 1).ok().filter(|&axis| axis < rank)
    }
}

fn constant<T>(argument: &Argument<T>) -> Option<&Value> {
    match argument {
        Argument::Constant(value) => Some(value),
        Argument::Value(_) | Argument::List(_) => None,
    }
}

/// Numbers of a constant that is the same at all places of a value with `rank` axes behind that of the pictures: one, or one for
/// each place along axis `channels`.
pub(super) fn numbers_along(value: &Value, rank: usize, channels: usize) -> Option<Vec<f64>> {
    let mut lengths = vec![];
    let mut at = value;
    while let Value::Array(list) = at {
        lengths.push(list.len());
        at = list.first()?;
    }
    let numbers = numbers(value);
    if numbers.len() == 1 {
        return Some(numbers);
    }
    // As arrays are stretched: axes are counted from the last.
    let from_last = rank - channels;
    let place = lengths.len().checked_sub(from_last)?;
    let elsewhere = lengths.iter().enumerate().filter(|&(i, _)| i != place);
    let alone = elsewhere
        .map(|(_, &length)| length)
        .all(|length| length == 1);
    (alone && numbers.len() == lengths[place]).then_some(numbers)
}

/// The numbers of a value, however deep its lists.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        _ => vec![],
    }
}

/// What an index does to one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// One place; the axis is gone.
    At(usize),
    /// These places.
    Places(Vec<usize>),
    /// A new axis of length 1.
    New,
}

/// What `x[key]` does to axes of `lengths`, that of the pictures first and of any length; `None` where it takes some of the
/// pictures or is no such key.
pub(super) fn indices(key: &Value, lengths: &[usize]) -> Option<Vec<Index>> {
    let items = match key {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_ellipsis = |item: &Value| item["class_name"] == "__ellipsis__";
    let used = items
        .iter()
        .filter(|item| !item.is_null() && !is_ellipsis(item))
        .count();
    let mut left = (lengths.len() + 1).checked_sub(used)?;
    // Behind the axis of the pictures, which every key has to leave.
    let mut axes = [None]
        .into_iter()
        .chain(lengths.iter().map(|&length| Some(length)));
    let mut found = vec![];
    let whole = |axes: &mut dyn Iterator<Item = Option<usize>>, found: &mut Vec<Index>| {
        if let Some(Some(length)) = axes.next() {
            found.push(Index::Places((0..length).collect()));
        }
    };
    let mut begun = false;
    for item in items {
        if is_ellipsis(item) {
            for _ in 0..std::mem::take(&mut left) {
                whole(&mut axes, &mut found);
            }
            begun = true;
        } else if item.is_null() {
            begun.then(|| found.push(Index::New))?;
        } else {
            match axes.next()? {
                None => slice(item, None).map(|_| ())?,
                Some(length) => found.push(match item.as_i64() {
                    Some(at) => Index::At(place(at, length)?),
                    None => Index::Places(slice(item, Some(length))?),
                }),
            }
            begun = true;
        }
    }
    for _ in 0..left {
        whole(&mut axes, &mut found);
    }
    Some(found)
}

fn place(at: i64, length: usize) -> Option<usize> {
    let at = if at < 0 {
        at + i64::try_from(length).ok()?
    } else {
        at
    };
    usize::try_from(at).ok().filter(|&at| at < length)
}

/// The places of a slice of an axis, as Python has them. Of an axis of unknown length, only a slice of all of it will do, which has
/// none to name.
fn slice(item: &Value, length: Option<usize>) -> Option<Vec<usize>> {
    let fields = match &item["config"] {
        Value::Null => item,
        config => config,
    };
    if !fields.is_object() {
        return None;
    }
    let number = |key: &str| match &fields[key] {
        Value::Null => Some(None),
        value => value.as_i64().map(Some),
    };
    let (start, stop, step) = (
        number("start")?,
        number("stop")?,
        number("step")?.unwrap_or(1),
    );
    let all = step == 1 && start.is_none_or(|start| start == 0);
    if all && stop.is_none() {
        return Some((0..length.unwrap_or(0)).collect());
    }
    // A picture's channels, or its rows and columns.
    let length = i64::try_from(length?)
        .ok()
        .filter(|&length| length <= 1 << 16)?;
    let bound = |value: Option<i64>, default: i64, low: i64, high: i64| {
        let value = value.map(|value| if value < 0 { value + length } else { value });
        value.map_or(default, |value| value.clamp(low, high))
    };
    let mut places = vec![];
    match step.cmp(&0) {
        Ordering::Greater => {
            let (mut at, stop) = (bound(start, 0, 0, length), bound(stop, length, 0, length));
            while at < stop {
                places.push(usize::try_from(at).ok()?);
                at = at.checked_add(step)?;
            }
        }
        Ordering::Less => {
            let mut at = bound(start, length - 1, -1, length - 1);
            let stop = bound(stop, -1, -1, length - 1);
            while at > stop {
                places.push(usize::try_from(at).ok()?);
                at = at.checked_add(step)?;
            }
        }
        Ordering::Equal => return None,
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn constants_along_the_channels_are_read_however_they_are_nested() {
        assert_eq!(numbers_along(&json!(2), 3, 2), Some(vec![2.0]));
        assert_eq!(
            numbers_along(&json!([[[[1, 2]]]]), 3, 2),
            Some(vec![1.0, 2.0])
        );
        assert_eq!(numbers_along(&json!([1, 2]), 3, 2), Some(vec![1.0, 2.0]));
        assert_eq!(
            numbers_along(&json!([[[1]], [[2]]]), 3, 0),
            Some(vec![1.0, 2.0])
        );
        // A number for each column, or for each place.
        assert_eq!(numbers_along(&json!([1, 2]), 3, 0), None);
        assert_eq!(numbers_along(&json!([[1, 2], [3, 4]]), 3, 2), None);
    }

    #[test]
    fn keys_are_read_as_python_reads_them() {
        let all = |length: usize| Index::Places((0..length).collect());
        let ellipsis = json!({"class_name": "__ellipsis__", "config": {}});
        let slice = |start: Value, stop: Value, step: Value| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}});
        let whole = slice(Value::Null, Value::Null, Value::Null);
        let back = json!({"start": null, "stop": null, "step": -1});
        let lengths = [4, 5, 3];
        let reversed = Some(vec![all(4), all(5), Index::Places(vec![2, 1, 0])]);
        assert_eq!(indices(&json!([ellipsis, back]), &lengths), reversed);
        let key = json!([whole, whole, whole, back]);
        assert_eq!(indices(&key, &lengths), reversed);
        let key = json!([ellipsis, -1]);
        assert_eq!(
            indices(&key, &lengths),
            Some(vec![all(4), all(5), Index::At(2)])
        );
        let key = json!([ellipsis, 0, null]);
        let expected = vec![all(4), all(5), Index::At(0), Index::New];
        assert_eq!(indices(&key, &lengths), Some(expected));
        let key = json!([whole, slice(json!(1), json!(-1), Value::Null)]);
        let expected = vec![Index::Places(vec![1, 2]), all(5), all(3)];
        assert_eq!(indices(&key, &lengths), Some(expected));
        // The first picture alone, an axis before the pictures, no step.
        for key in [
            json!([0]),
            json!([null, ellipsis]),
            json!([ellipsis, slice(Value::Null, Value::Null, json!(0))]),
        ] {
            assert_eq!(indices(&key, &lengths), None, "{key}");
        }
        assert_eq!(
            indices(&json!([whole, whole, whole, whole, whole]), &lengths),
            None
        );
    }
}
