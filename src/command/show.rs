//! `gradcam show`: what made a picture, by the picture itself, and the command that makes it again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::output::provenance::{self, ProvenanceError};
use crate::picture::MAX_FILE;
use crate::printable::{byte_by_byte, printable_lines, quoted};

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
    let bytes = made.shift_remove("command_bytes");
    made.shift_remove("image_bytes");
    let told = made
        .iter()
        .map(|(what, value)| format!("{what:<10}{}", words(value)));
    let bytes_of = |place: usize| {
        let bytes = bytes.as_ref().and_then(|bytes| bytes.get(place)?.as_str());
        bytes.map(percent_decoded)
    };
    let command = command.as_ref().and_then(Value::as_array).map(|command| {
        let words = command
            .iter()
            .enumerate()
            .map(|(place, word)| match bytes_of(place) {
                Some(bytes) => byte_by_byte(&bytes),
                None => quoted(word.as_str().unwrap_or_default()),
            });
        format!("{:<10}{}", "command", words.collect::<Vec<_>>().join(" "))
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

/// The bytes that a report's field of them says.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend(digits);
        bytes.extend(part.as_bytes().iter().skip(2));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_their_codes_and_damaged_ones_do_no_harm() {
        assert_eq!(percent_decoded("my%20maps/100%25%E9"), b"my maps/100%\xe9");
        for damaged in ["%", "%4", "%zz", "%é"] {
            let _ = percent_decoded(damaged);
        }
    }
}
