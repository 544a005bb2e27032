//! The two renderings of [`Info`]: lines for people and one line of JSON.

use super::{Contents, Info, NetworkInfo, NodeRow};
use crate::architectures::GraphOutput;
use crate::printable::printable_lines;

/// Tensors listed of a file that makes no network.
const LISTED: usize = 12;

impl Info {
    /// One line of JSON, ended by a line feed.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("keys are strings, and writing to memory cannot fail")
            + "\n"
    }

    /// Lines for people; nothing of the problem, which goes where errors go.
    pub fn text(&self) -> String {
        let Some(contents) = &self.contents else {
            return String::new();
        };
        let mut lines = Lines::default();
        lines.add(
            "file",
            self.file.as_deref().unwrap_or("the built-in network"),
        );
        file(&mut lines, contents);
        match &self.network {
            Some(network) => described(&mut lines, network),
            None => tensors(&mut lines, contents),
        }
        lines.text
    }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, what: &str, value: impl std::fmt::Display) {
        self.plain(format_args!("{what:<15}{value}"));
    }

    fn plain(&mut self, line: std::fmt::Arguments<'_>) {
        self.text += &printable_lines([line.to_string()]);
    }
}

fn file(lines: &mut Lines, contents: &Contents) {
    let count = contents.tensors.len();
    let length = size(contents.bytes as u64);
    lines.add(
        "format",
        format_args!("{}, {length}, {count} tensors", contents.format),
    );
    if let Some(producer) = &contents.producer {
        lines.add("producer", producer);
    }
    let known = contents.known_as.map(|name| format!(" ({name})"));
    let known = known.unwrap_or_default();
    lines.add("SHA-256", format_args!("{}{known}", contents.sha256));
    for note in &contents.notes {
        lines.add("note", note);
    }
}

fn described(lines: &mut Lines, network: &NetworkInfo) {
    let (parameters, work) = (
        thousands(network.parameters as u64),
        thousands(network.multiply_adds),
    );
    lines.add(
        "network",
        format_args!(
            "{}, {parameters} parameters, {work} multiply-adds a picture",
            network.architecture
        ),
    );
    lines.add("input", dimensions(network.input));
    lines.add(
        "preprocessing",
        format_args!(
            "{} ({})",
            network.preprocessing, network.preprocessing_evidence
        ),
    );
    lines.add(
        "classes",
        format_args!("{}, {}", network.classes, network.output),
    );
    if network.outputs.len() > 1 {
        let each = network.outputs.iter().map(output);
        lines.add("outputs", each.collect::<Vec<_>>().join(", "));
    }
    let names = match &network.first_labels[..] {
        [] => String::new(),
        some if some.len() < network.classes => format!(": {}, ...", some.join(", ")),
        all => format!(": {}", all.join(", ")),
    };
    lines.add("class names", format_args!("{}{names}", network.labels));
    match (&network.memory, &network.memory_problem) {
        (Some(memory), _) => lines.add(
            "memory",
            format_args!(
                "{} for weights, {} for the rest, {} at most at once, {} with --dtype f16, on {}",
                size(memory.weights),
                size(memory.working),
                size(memory.peak),
                size(memory.peak_f16),
                memory.adapter
            ),
        ),
        (None, problem) => lines.add("memory", problem.as_deref().unwrap_or("not known")),
    }
    let default = network.default_target.as_deref().unwrap_or("none");
    lines.add(
        "target layers",
        format_args!("{} (default {default})", network.targets.join(" ")),
    );
    layers(lines, network);
}

/// The layers, a line each.
fn layers(lines: &mut Lines, network: &NetworkInfo) {
    lines.plain(format_args!("layers"));
    let widest = network
        .layers
        .iter()
        .map(|layer| layer.name.chars().count())
        .max();
    let mut before = "input";
    for NodeRow {
        name,
        op,
        inputs,
        shape,
        parameters,
    } in &network.layers
    {
        // Said where it is not the layer above.
        let from = match &inputs[..] {
            [only] if only == before => String::new(),
            inputs => format!("  of {}", inputs.join(", ")),
        };
        before = name;
        let parameters = match parameters {
            0 => String::new(),
            some => thousands(*some as u64),
        };
        let width = widest.unwrap_or(0);
        let line = format!(
            "  {name:<width$}  {op:<20} {:<16} {parameters:>12}{from}",
            dimensions(*shape)
        );
        lines.plain(format_args!("{}", line.trim_end()));
    }
}

/// `probs [10] (explained)`.
fn output(output: &GraphOutput) -> String {
    // A name comes from the file, and goes to a terminal.
    let name = output.name.escape_debug();
    let shape = match &output.shape {
        Some(shape) => format!("{shape:?}"),
        None => "of unknown shape".into(),
    };
    let taken = if output.taken { " (explained)" } else { "" };
    format!("{name} {shape}{taken}")
}

/// The first few tensors of a file that makes no network.
fn tensors(lines: &mut Lines, contents: &Contents) {
    lines.plain(format_args!("tensors"));
    for tensor in contents.tensors.iter().take(LISTED) {
        lines.plain(format_args!(
            "  {}  {} {:?}",
            tensor.name, tensor.dtype, tensor.shape
        ));
    }
    if let Some(more) = contents
        .tensors
        .len()
        .checked_sub(LISTED)
        .filter(|&more| more > 0)
    {
        lines.plain(format_args!("  ... and {more} more"));
    }
}

/// A vector's length, or all three.
fn dimensions([c, h, w]: [usize; 3]) -> String {
    match (h, w) {
        (1, 1) => c.to_string(),
        _ => format!("{c} x {h} x {w}"),
    }
}

/// As people write it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{:.1} KiB", bytes as f64 / f64::from(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// `138,357,544`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(138_357_544), "138,357,544");
    }
}
