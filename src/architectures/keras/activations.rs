//! Activations of Keras, as layers, as operations and as a part of other layers.

use serde_json::Value;

use super::build::Builder;
use super::value::{Axes, Map, Signal};
use super::{KerasLayer, KerasModelError, Version};
use crate::architectures::ArchitectureError;
use crate::network::{Activation, Op, OutputKind, Shape};
use crate::weights::Tensor;

/// What an activation is to the network.
#[derive(Debug)]
pub(super) enum Function {
    /// These, one after the other; none where it changes nothing.
    Each(Vec<Op>),
    /// Probabilities, where the network ends with it.
    Scores(OutputKind),
}

impl Builder<'_> {
    /// Adds an activation, or ends the network with it.
    pub(super) fn activate(
        &mut self,
        layer: &KerasLayer,
        function: Function,
        name: &str,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        match function {
            Function::Each(ops) => {
                let mut map = match ops.is_empty() {
                    true => map,
                    false => self.padded(layer, &map)?,
                };
                for op in ops {
                    map = self.push(name, op, &map)?;
                }
                Ok(Signal::Map(map))
            }
            Function::Scores(kind) => {
                let map = self.padded(layer, &map)?;
                if kind == OutputKind::Softmax {
                    // A softmax is over the last axis.
                    let shape = self.shape(&map);
                    if shape.h * shape.w > 1 {
                        let what = "a softmax at each place of a map is";
                        return Err(layer.unsupported(what).into());
                    }
                }
                Ok(Signal::Scores {
                    kind,
                    name: name.into(),
                    map,
                })
            }
        }
    }

    /// A `PReLU`: a slope for each channel, or one.
    pub(super) fn prelu(
        &mut self,
        layer: &KerasLayer,
        map: Map,
    ) -> Result<Signal, ArchitectureError> {
        let map = self.padded(layer, &map)?;
        let op = prelu(layer, self.shape(&map), map.axes)?;
        Ok(Signal::Map(self.push(&layer.name, op, &map)?))
    }

    pub(super) fn expect_softmax_over_channels(
        &self,
        layer: &KerasLayer,
        class: &str,
        map: &Map,
    ) -> Result<(), KerasModelError> {
        if class != "Softmax" {
            return Ok(());
        }
        let lengths = map.axes.lengths(self.shape(map));
        let default = lengths.len() - 1;
        let axis = match layer.setting(&["axis"], 1) {
            None => Some(default),
            Some(_) => layer.axis(lengths.len()),
        };
        match axis == Some(map.axes.channels()) {
            true => Ok(()),
            false => Err(layer.unsupported("a softmax over another axis than the channels is")),
        }
    }
}

fn one(activation: Activation) -> Function {
    Function::Each(vec![Op::Activate(activation)])
}

/// The activation that `value` names for `layer`: a string, or an object as Keras writes functions and layers.
pub(super) fn named(
    layer: &KerasLayer,
    value: &Value,
    version: Version,
) -> Result<Function, KerasModelError> {
    let name = match value {
        Value::Null => return Ok(Function::Each(vec![])),
        Value::String(name) => name.as_str(),
        // A layer as an activation.
        object if object["config"].is_object() => {
            let class = object["class_name"].as_str().unwrap_or_default();
            return settings(layer, class, &object["config"], version)?
                .ok_or_else(|| layer.unsupported(format!("the activation {class} is")));
        }
        object => object["config"]
            .as_str()
            .or(object["class_name"].as_str())
            .unwrap_or(""),
    };
    by_name(layer, name, version)
}

fn by_name(layer: &KerasLayer, name: &str, version: Version) -> Result<Function, KerasModelError> {
    Ok(match name {
        "linear" => Function::Each(vec![]),
        "softmax" => Function::Scores(OutputKind::Softmax),
        "sigmoid" => Function::Scores(OutputKind::Sigmoid),
        "relu" => one(Activation::Relu),
        "relu6" => Function::Each(vec![Op::clip(0.0, 6.0)]),
        "leaky_relu" => one(Activation::LeakyRelu { alpha: 0.2 }),
        "elu" => one(Activation::Elu { alpha: 1.0 }),
        "selu" => one(Activation::Selu),
        "tanh" => one(Activation::Tanh),
        "hard_tanh" => Function::Each(vec![Op::clip(-1.0, 1.0)]),
        "silu" | "swish" => one(Activation::Silu),
        "hard_silu" | "hard_swish" => one(Activation::HardSwish),
        "hard_sigmoid" => one(hard_sigmoid(version)),
        "gelu" => one(Activation::Gelu),
        "softplus" => one(Activation::Softplus),
        "mish" => one(Activation::Mish),
        other => return Err(layer.unsupported(format!("the activation {other:?} is"))),
    })
}

/// Keras 3 has made its slope that of `PyTorch`.
const fn hard_sigmoid(version: Version) -> Activation {
    let alpha = match version {
        Version::Two => 0.2,
        Version::Three => 1.0 / 6.0,
    };
    Activation::HardSigmoid { alpha, beta: 0.5 }
}

/// The activation that is the layer or operation `class` with `config`; `None` where it is no activation.
pub(super) fn settings(
    layer: &KerasLayer,
    class: &str,
    config: &Value,
    version: Version,
) -> Result<Option<Function>, KerasModelError> {
    let number = |keys: &[&str], default: f64| {
        let found = keys.iter().find_map(|key| config[*key].as_f64());
        found.unwrap_or(default) as f32
    };
    let approximate = config["approximate"].as_bool();
    Ok(Some(match class {
        "Activation" => return named(layer, &config["activation"], version).map(Some),
        "ReLU" | "Relu" => relu(layer, config)?,
        "LeakyReLU" => one(Activation::LeakyRelu {
            alpha: number(&["negative_slope", "alpha"], 0.3),
        }),
        "LeakyRelu" => one(Activation::LeakyRelu {
            alpha: number(&["negative_slope", "alpha"], 0.2),
        }),
        "ELU" | "Elu" => one(Activation::Elu {
            alpha: number(&["alpha"], 1.0),
        }),
        // The operation is by the tanh unless it says otherwise; the activation called by name is not.
        "Gelu" if approximate != Some(false) => one(Activation::GeluTanh),
        "Relu6" => by_name(layer, "relu6", version)?,
        "Silu" | "Swish" => by_name(layer, "silu", version)?,
        "Gelu" => by_name(layer, "gelu", version)?,
        "Selu" => by_name(layer, "selu", version)?,
        "Sigmoid" => by_name(layer, "sigmoid", version)?,
        "Softmax" => by_name(layer, "softmax", version)?,
        "Tanh" => by_name(layer, "tanh", version)?,
        "HardTanh" => by_name(layer, "hard_tanh", version)?,
        "Softplus" => by_name(layer, "softplus", version)?,
        "HardSilu" | "HardSwish" => by_name(layer, "hard_silu", version)?,
        "HardSigmoid" => by_name(layer, "hard_sigmoid", version)?,
        "Mish" => by_name(layer, "mish", version)?,
        _ => return Ok(None),
    }))
}

/// `max_value` from there on, x from `threshold` on, and below it `negative_slope` (x - `threshold`).
fn relu(layer: &KerasLayer, config: &Value) -> Result<Function, KerasModelError> {
    let number = |key: &str| config[key].as_f64().or(config[key][0].as_f64());
    if number("threshold").unwrap_or(0.0) != 0.0 {
        return Err(layer.unsupported("a threshold other than 0 is"));
    }
    let slope = number("negative_slope").unwrap_or(0.0) as f32;
    let high = number("max_value").map(|high| high as f32);
    if high.is_some_and(|high| high <= 0.0) {
        return Err(layer.unsupported("a bound of nothing is"));
    }
    Ok(Function::Each(match (slope, high) {
        (0.0, None) => vec![Op::RELU],
        (0.0, Some(high)) => vec![Op::clip(0.0, high)],
        (alpha, None) => vec![Op::Activate(Activation::LeakyRelu { alpha })],
        (alpha, Some(high)) => vec![
            Op::Activate(Activation::LeakyRelu { alpha }),
            Op::clip(f32::NEG_INFINITY, high),
        ],
    }))
}

/// The op of a `PReLU` over a value of `shape`.
fn prelu(layer: &KerasLayer, shape: Shape, axes: Axes) -> Result<Op, KerasModelError> {
    let [alpha] = layer.weights.as_slice() else {
        return Err(KerasModelError::Weights {
            layer: layer.name.clone(),
            found: layer.weights.len(),
            expected: "its slopes",
        });
    };
    // An axis that shares its slopes has length 1; there may be as many rows as channels.
    let of_channels = match axes {
        Axes::First => alpha.shape().first(),
        Axes::Last | Axes::Vector => alpha.shape().last(),
    };
    let slope = match alpha.len() {
        1 => Some(vec![1]),
        len if len == shape.c && of_channels == Some(&len) => Some(vec![len]),
        _ => None,
    };
    let values = alpha.to_vec();
    slope
        .map(|slope| Tensor::from_f32(slope, &values))
        .map(|slope| Op::Activate(Activation::PRelu { slope }))
        .ok_or_else(|| layer.unsupported("a slope for each place (without shared_axes) is"))
}
