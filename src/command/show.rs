//! `gradcam show`: what made a picture, by the picture itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::output::provenance::{self, ProvenanceError};
use crate::picture::MAX_FILE;
use crate::printable::{printable_lines, quoted};

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It does not say what made it.
    #[error("{}: {source}", path.display())]
    Provenance {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ProvenanceError,
    },
}

/// What made the picture at `path`: lines for people, the command that makes it again last, or one line of JSON.
pub fn show(path: &Path, json: bool) -> Result<String, ShowError> {
    let mut bytes = vec![];
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| ShowError::Read {
            path: path.to_owned(),
            source,
        })?;
    let mut made = provenance::read(&bytes).map_err(|source| ShowError::Provenance {
        path: path.to_owned(),
        source,
    })?;
    if json {
        return Ok(format!("{}\n", Value::Object(made)));
    }
    let command = made.shift_remove("command");
    let told = made
        .iter()
        .map(|(what, value)| format!("{what:<10}{}", words(value)));
    let command = command.as_ref().and_then(Value::as_array).map(|command| {
        let quoted = command
            .iter()
            .map(|word| quoted(word.as_str().unwrap_or_default()));
        format!("{:<10}{}", "command", quoted.collect::<Vec<_>>().join(" "))
    });
    Ok(printable_lines(told.chain(command)))
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Array(list) if list.is_empty() => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(entries) => {
            let words = |(what, value): (&String, &Value)| format!("{what} {}", words(value));
            entries.iter().map(words).collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
