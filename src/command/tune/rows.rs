//! What the model takes and what measured times take, layer by layer, and how far apart they are.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::layout::Direction;
use crate::network::Network;
use crate::plan::{LayerShape, Limits, Request, Variant, choices};
use crate::printable::printable;

/// The layers of one shape, one way, by the model and as they are planned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) layers: Vec<String>,
    pub(crate) shape: LayerShape,
    pub(crate) way: Direction,
    /// The model's choice, with the milliseconds measured for it.
    pub(crate) model: (Variant, Option<f64>),
    /// What is taken.
    pub(crate) taken: (Variant, Option<f64>),
    /// All that was measured.
    pub(crate) variants: Vec<(Variant, f64)>,
}

/// Of all convolutions of a network for which there is a choice, in its order, the ways of a shape one after the other.
pub(crate) fn rows(network: &Network, request: &Request, limits: Limits<'_>) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![];
    let choices = choices(network, request, limits);
    for choice in choices.iter().filter(|choice| choice.variants.len() > 1) {
        let name = network.layer_name(choice.node).to_owned();
        let is_same = |row: &&mut Row| {
            (row.shape, row.way, row.model.0, row.taken.0)
                == (choice.layer, choice.way, choice.model, choice.taken)
        };
        if let Some(row) = rows.iter_mut().find(is_same) {
            row.layers.push(name);
            continue;
        }
        let measured = limits.costs.of(&choice.layer, choice.images);
        let measured = measured.map_or(&[][..], |measured| &measured.variants);
        let variants: Vec<(Variant, f64)> = measured
            .iter()
            .filter_map(|&(variant, times)| Some((variant, times.of(choice.way)? as f64 / 1e6)))
            .collect();
        let with_time = |variant: Variant| {
            let mut times = variants.iter();
            let time = times.find(|(there, _)| *there == variant);
            (variant, time.map(|&(_, time)| time))
        };
        rows.push(Row {
            layers: vec![name],
            shape: choice.layer,
            way: choice.way,
            model: with_time(choice.model),
            taken: with_time(choice.taken),
            variants,
        });
    }
    rows
}

impl Row {
    /// What is taken by what the model would take.
    fn ratio(&self) -> Option<f64> {
        Some(self.taken.1? / self.model.1?)
    }

    pub(crate) fn json(&self) -> Value {
        let choice = |(variant, time): (Variant, Option<f64>)| json!({ "variant": variant.to_string(), "ms": time });
        let variants = self.variants.iter();
        let variants: serde_json::Map<String, Value> = variants
            .map(|(variant, time)| (variant.to_string(), json!(time)))
            .collect();
        json!({
            "layers": self.layers,
            "way": way(self.way),
            "input": self.shape.input,
            "output": self.shape.output,
            "taps": self.shape.taps,
            "stride": self.shape.stride,
            "dilation": self.shape.dilation,
            "groups": self.shape.groups,
            "model": choice(self.model),
            "taken": choice(self.taken),
            "ratio": self.ratio(),
            "variants": variants,
        })
    }
}

const fn way(way: Direction) -> &'static str {
    match way {
        Direction::Forward => "there",
        Direction::Backward => "back",
    }
}

/// The rows as text, and below them what they come to.
pub(crate) fn table(rows: &[Row]) -> String {
    let name = |row: &Row| match &row.layers[..] {
        [one] => printable(one).into_owned(),
        [first, others @ ..] => format!("{} +{}", printable(first), others.len()),
        [] => String::new(),
    };
    let names: Vec<String> = rows.iter().map(name).collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let longest = longest.unwrap_or(0).max("layer".len());
    let mut text = format!(
        "{:<longest$}  way    {:<17}{:>10}  {:<17}{:>10}{:>7}\n",
        "layer", "by the model", "ms", "as measured", "ms", "ratio"
    );
    let shown = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "-".into(),
    };
    for (row, name) in rows.iter().zip(&names) {
        let _ = writeln!(
            text,
            "{name:<longest$}  {:<7}{:<17}{:>10}  {:<17}{:>10}{:>7}",
            way(row.way),
            row.model.0.name(),
            shown(row.model.1, 3),
            row.taken.0.name(),
            shown(row.taken.1, 3),
            shown(row.ratio(), 2),
        );
    }
    for of in [Direction::Forward, Direction::Backward] {
        let of_way: Vec<&Row> = rows.iter().filter(|row| row.way == of).collect();
        let sum = |time: fn(&Row) -> Option<f64>| -> Option<f64> {
            let times = of_way
                .iter()
                .map(|row| Some(time(row)? * row.layers.len() as f64));
            times.sum()
        };
        let sums = sum(|row| row.model.1).zip(sum(|row| row.taken.1));
        if let Some((model, taken)) = sums.filter(|&(model, _)| model > 0.0) {
            let _ = writeln!(
                text,
                "all {}: {model:.2} ms by the model, {taken:.2} ms as measured, {:.2} of it",
                way(of),
                taken / model
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_both_choices_and_how_far_they_are_apart() {
        let shape = LayerShape {
            input: [64, 14, 14],
            output: [64, 14, 14],
            taps: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            groups: 1,
        };
        let row = Row {
            layers: vec!["conv1".into(), "conv2".into()],
            shape,
            way: Direction::Forward,
            model: (Variant::Winograd, Some(4.0)),
            taken: (Variant::Direct3x3, Some(3.0)),
            variants: vec![(Variant::Winograd, 4.0), (Variant::Direct3x3, 3.0)],
        };
        let not_measured = Row {
            layers: vec!["conv3".into()],
            way: Direction::Backward,
            model: (Variant::Winograd, None),
            taken: (Variant::Winograd, None),
            variants: vec![],
            ..row.clone()
        };
        assert_eq!(row.json()["ratio"], 0.75);
        assert_eq!(row.json()["variants"]["direct-3x3"], 3.0);
        assert_eq!(not_measured.json()["ratio"], Value::Null);
        let text = table(&[row, not_measured]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        let expected = [
            "conv1",
            "+1",
            "there",
            "winograd",
            "4.000",
            "direct-3x3",
            "3.000",
            "0.75",
        ];
        assert_eq!(lines[1], expected);
        assert_eq!(
            lines[2],
            ["conv3", "back", "winograd", "-", "winograd", "-", "-"]
        );
        // Both layers of the first row, and no sum where a time is missing.
        assert!(
            text.ends_with("all there: 8.00 ms by the model, 6.00 ms as measured, 0.75 of it\n")
        );
    }
}
