//! The model's pictures and the one of its outputs that is explained.

use serde_json::Value;

use super::build::{Built, Input, network};
use super::value::Axes;
use super::windows::size;
use super::{KerasLayer, KerasModelError, Model, Source};
use crate::architectures::{ArchitectureError, Classifier, GraphOutput, guessed_size};
use crate::network::Shape;

/// Pixels along a side where the file leaves it open and the head takes any.
const INPUT_SIZE: usize = 224;

/// Outputs that are tried: a classifier has a few, and each takes an import of its own.
const MAX_OUTPUTS: usize = 16;

/// The network of `model`, over pictures of `size` x `size` pixels and up to the output `wanted` where that is asked for.
pub(super) fn classifier(
    model: &Model,
    size: Option<usize>,
    wanted: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let classifier = classifier_at(model, size, wanted)?;
    let Shape { h, w, .. } = classifier.network.input_shape();
    match size {
        // The model resizes all pictures itself.
        Some(asked) if [asked; 2] != [h, w] => Err(ArchitectureError::InputSize {
            asked,
            allowed: format!("{w} x {h}"),
        }),
        _ => Ok(classifier),
    }
}

fn classifier_at(
    model: &Model,
    size: Option<usize>,
    wanted: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let own = input(model)?;
    let (h, w) = (own.shape.h, own.shape.w);
    let Some(asked) = size.filter(|&size| [size; 2] != [h, w]) else {
        let mut classifier = classifier_over(model, own, wanted)?;
        // What a model resizes itself is of any size.
        let resizes = || model.layers.iter().any(|layer| layer.class == "Resizing");
        if size.is_none() && own.guessed && !resizes() {
            classifier.notes.push(guessed_size(own.shape));
        }
        return Ok(classifier);
    };
    // What does not work at its own size either says so itself.
    let at_asked = Input {
        shape: Shape::new(own.shape.c, asked, asked),
        ..own
    };
    classifier_over(model, at_asked, wanted).or_else(|_| {
        classifier_over(model, own, wanted)?;
        Err(ArchitectureError::InputSize {
            asked,
            allowed: format!("{w} x {h}"),
        })
    })
}

fn classifier_over(
    model: &Model,
    input: Input,
    wanted: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let names = || model.outputs.iter().map(|(name, _)| name.clone()).collect();
    if let Some(wanted) = wanted {
        let found = model.outputs.iter().find(|(name, _)| name == wanted);
        let (name, source) = found.ok_or_else(|| KerasModelError::NoOutput {
            wanted: wanted.into(),
            names: names(),
        })?;
        // Any vector will do, where the user says so.
        return Ok(named(network(model, *source, input)?, model, name));
    }
    let outputs = model.outputs.iter().take(MAX_OUTPUTS);
    let mut tried = outputs.map(|(name, source)| (name, network_to(model, *source, input)));
    match (model.outputs.len(), tried.next()) {
        (1, Some((_, built))) => Ok(built?.classifier),
        (_, Some(first)) => chosen(model, [first].into_iter().chain(tried).collect()),
        (_, None) => Err(KerasModelError::Config("a model without outputs").into()),
    }
}

/// The network with the list of the model's outputs, where there are several.
fn named(built: Built, model: &Model, taken: &str) -> Classifier {
    let mut classifier = built.classifier;
    let outputs = model.outputs.iter().filter(|_| model.outputs.len() > 1);
    classifier.outputs = outputs
        .map(|(name, _)| GraphOutput {
            name: name.clone(),
            shape: (name == taken).then(|| vec![classifier.network.classes()]),
            taken: name == taken,
        })
        .collect();
    classifier
}

/// The network up to an output, where that gives class scores.
fn network_to(model: &Model, output: Source, input: Input) -> Result<Built, ArchitectureError> {
    let built = network(model, output, input)?;
    if !built.says_probabilities && !built.is_linear {
        let layer = model.layers[output.layer].name.clone();
        return Err(KerasModelError::NoHead { layer }.into());
    }
    Ok(built)
}

/// Of several outputs the only one with probabilities, else the only one with scores.
fn chosen(
    model: &Model,
    tried: Vec<(&String, Result<Built, ArchitectureError>)>,
) -> Result<Classifier, ArchitectureError> {
    let all: Vec<String> = tried.iter().map(|(name, _)| (*name).clone()).collect();
    let mut error = None;
    let mut found = vec![];
    for (name, built) in tried {
        match built {
            Ok(built) => found.push((name, built)),
            Err(problem) => error = error.or(Some(problem)),
        }
    }
    if found.iter().any(|(_, built)| built.says_probabilities) {
        found.retain(|(_, built)| built.says_probabilities);
    }
    if found.len() > 1 {
        let names = found.into_iter().map(|(name, _)| name.clone()).collect();
        return Err(KerasModelError::Outputs { names }.into());
    }
    match (found.pop(), error) {
        (Some((name, built)), _) => {
            let mut classifier = named(built, model, name);
            classifier.notes.push(format!(
                "the model has the outputs {}: {name} is explained, the only one that looks like class scores; --output NAME takes \
                 another",
                all.join(", ")
            ));
            Ok(classifier)
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(KerasModelError::Config("a model without outputs").into()),
    }
}

/// What pictures go in: `[null, 224, 224, 3]` of the input layer.
fn input(model: &Model) -> Result<Input, KerasModelError> {
    let inputs = model
        .layers
        .iter()
        .find(|layer| layer.class == "InputLayer");
    let layer = inputs.ok_or(KerasModelError::Config("a model without an input"))?;
    let keys = ["batch_shape", "batch_input_shape"];
    let shape = keys.iter().find_map(|key| layer.config[*key].as_array());
    let bytes = layer.config["dtype"] == "uint8";
    let Some(shape) = shape else {
        return Ok(Input {
            shape: Shape::new(3, INPUT_SIZE, INPUT_SIZE),
            axes: Axes::Last,
            open: true,
            guessed: true,
            bytes,
        });
    };
    let unsupported =
        || layer.unsupported(format!("an input of {} is", Value::from(shape.clone())));
    let [_, lengths @ ..] = shape.as_slice() else {
        return Err(unsupported());
    };
    let axes = axes(model, lengths);
    let ((Axes::First, [channels, rows, columns]) | (_, [rows, columns, channels])) =
        (axes, lengths)
    else {
        return Err(unsupported());
    };
    let side = |value: &Value| match value {
        Value::Null => Some(INPUT_SIZE),
        value => size(value).filter(|&size| size > 0),
    };
    let channels = match channels {
        Value::Null => 3,
        value => match size(value).ok_or_else(unsupported)? {
            channels @ (1 | 3) => channels,
            channels => {
                let what = format!("pictures of {channels} channels (not 3, or 1 in grey) are");
                return Err(layer.unsupported(what));
            }
        },
    };
    let rows_there = side(rows).ok_or_else(unsupported)?;
    let columns_there = side(columns).ok_or_else(unsupported)?;
    Ok(Input {
        shape: Shape::new(channels, rows_there, columns_there),
        axes,
        open: rows.is_null() && columns.is_null(),
        guessed: rows.is_null() || columns.is_null(),
        bytes,
    })
}

/// Whether channels come last: where their number tells, it does, else the first layer that says.
fn axes(model: &Model, lengths: &[Value]) -> Axes {
    let is_channels = |value: Option<&Value>| value.is_some_and(|value| *value == 3 || *value == 1);
    match (is_channels(lengths.first()), is_channels(lengths.last())) {
        (true, false) => Axes::First,
        (false, true) => Axes::Last,
        _ => {
            let said = |layer: &KerasLayer| layer.config["data_format"].as_str().map(str::to_owned);
            match model.layers.iter().find_map(said).as_deref() {
                Some("channels_first") => Axes::First,
                _ => Axes::Last,
            }
        }
    }
}
