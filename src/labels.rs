//! Class names, and where they come from.
//!
//! A label is written `n06874185 traffic light, traffic signal, stoplight`: a WordNet synset where
//! there is one, then names that mean the same, the usual one first. `assets/imagenet-labels.txt`
//! holds ImageNet's 1,000 in class order, joined from the `imagenet_synsets.txt` and
//! `imagenet_synset_to_lemma.txt` of timm (Apache-2.0).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use content::Names;

mod content;
mod find;
mod json;
mod python;
mod table;

pub use content::ContentError;
pub use find::ClassNotFound;

const IMAGENET: &str = include_str!("../assets/imagenet-labels.txt");

/// A file of class names is far smaller; a larger one is something else, or has no end.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The names of a network's classes, in class order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    classes: Vec<Label>,
    /// Whether somebody gave these names, rather than `class_17` standing in.
    named: bool,
}

/// The names of one class. No control characters: labels come from files, and go to terminals and
/// file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// WordNet identifier, as in `n06874185`.
    pub synset: Option<String>,
    /// All names, the usual one first, as in `traffic light, traffic signal, stoplight`.
    pub names: String,
}

/// Why class names cannot be used.
#[derive(Debug, Error)]
pub enum LabelsError {
    /// The file cannot be opened or read.
    #[error(
        "{}: class names cannot be read from it ({source}); --labels takes text: one name on each line, JSON, or CSV with ids",
        path.display()
    )]
    Read {
        /// The file of class names.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More bytes than any list of class names has.
    #[error(
        "{}: over {} MiB, too large for a list of class names",
        .0.display(), MAX_FILE_BYTES >> 20
    )]
    TooLarge(PathBuf),
    /// The file is in another encoding, or no text.
    #[error("{}: line {line} is not UTF-8 text; --labels takes text: one name on each line, JSON, or CSV with ids", path.display())]
    NotUtf8 {
        /// The file of class names.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The file holds no list of class names, or not that of the network's classes.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file of class names.
        path: PathBuf,
        /// What is wrong.
        source: ContentError,
    },
    /// Another number of names than the network has classes.
    #[error("{}: {found} class names for a network with {expected} classes", path.display())]
    WrongCount {
        /// The file of weights that bring them.
        path: PathBuf,
        /// Names there are.
        found: usize,
        /// Classes the network has.
        expected: usize,
    },
    /// The metadata of a weights file holds something else under `labels`.
    #[error(
        "{}: the labels in its metadata are not a JSON list of strings: {source}",
        path.display()
    )]
    NotAList {
        /// The weights file.
        path: PathBuf,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
}

/// Text in UTF-16 with its byte order mark, as Windows' shell and editor write it.
fn of_utf16(bytes: &[u8]) -> Option<String> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let unit = match mark {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let (units, []) = rest.as_chunks::<2>() else {
        return None;
    };
    let units: Vec<u16> = units.iter().map(|&bytes| unit(bytes)).collect();
    String::from_utf16(&units).ok()
}

impl Label {
    /// Reads `n06874185 traffic light, traffic signal` or `traffic light`.
    fn parse(line: &str) -> Self {
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let line = line.trim();
        match line.split_once(char::is_whitespace) {
            Some((synset, names)) if is_synset(synset) => Self {
                synset: Some(synset.to_owned()),
                names: names.trim().to_owned(),
            },
            _ => Self {
                synset: None,
                names: line.to_owned(),
            },
        }
    }

    /// A synset, perhaps, and names: the parts that other formats than lines have.
    fn of_parts(parts: &[String]) -> Self {
        let mut parts = parts
            .iter()
            .map(|part| part.trim())
            .filter(|part| !part.is_empty());
        let first = parts.next().unwrap_or_default();
        let separator = if is_synset(first) { " " } else { ", " };
        let names = parts.collect::<Vec<_>>().join(", ");
        match names.is_empty() {
            true => Self::parse(first),
            false => Self::parse(&format!("{first}{separator}{names}")),
        }
    }

    /// The usual name, `traffic light`.
    pub fn name(&self) -> &str {
        self.synonyms().next().unwrap_or(&self.names)
    }

    /// The usual name as it is printed: `traffic_light`.
    pub fn printed_name(&self) -> String {
        self.name().replace(' ', "_")
    }

    fn synonyms(&self) -> impl Iterator<Item = &str> {
        self.names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }
}

/// `n06874185 traffic light, traffic signal, stoplight`, or the names alone where there is no
/// synset.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.synset {
            Some(synset) => write!(f, "{synset} {}", self.names),
            None => f.write_str(&self.names),
        }
    }
}

impl Labels {
    /// ImageNet's 1,000 classes, in the order that every published network uses.
    pub fn imagenet() -> Self {
        Self {
            classes: IMAGENET.lines().map(Label::parse).collect(),
            named: true,
        }
    }

    /// For a network of `count` classes that brings no names: ImageNet's if the number fits, else
    /// `class_0` and on.
    pub fn assumed(count: usize) -> Self {
        let imagenet = Self::imagenet();
        if count == imagenet.len() {
            return imagenet;
        }
        let numbered = |id| Label {
            synset: None,
            names: format!("class_{id}"),
        };
        Self {
            classes: (0..count).map(numbered).collect(),
            named: false,
        }
    }

    /// Reads a file of class names for a network of `count` classes: one a line, a JSON list or object, or a table with ids,
    /// told by the content. UTF-8, with or without a byte order mark, or UTF-16 with one; either line ending, blank lines at the end.
    pub fn read(path: &Path, count: usize) -> Result<Self, LabelsError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|source| LabelsError::Read {
                path: path.to_owned(),
                source,
            })?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LabelsError::TooLarge(path.to_owned()));
        }
        Self::from_bytes(&bytes, count, path)
    }

    /// The names of `count` classes: from the file that the user gave, else the JSON list that the weights bring, else
    /// as [`Labels::assumed`] has them. `weights` is the weights file, for the error.
    pub fn choose(
        given: Option<&Path>,
        own: Option<&str>,
        count: usize,
        weights: &Path,
    ) -> Result<Self, LabelsError> {
        match (given, own) {
            (Some(path), _) => Self::read(path, count),
            (None, Some(json)) => Self::from_json(json, count, weights),
            (None, None) => Ok(Self::assumed(count)),
        }
    }

    /// Reads the JSON list of strings that weights may carry, for a network of `count` classes.
    /// `path` is the weights file, for the error.
    pub fn from_json(text: &str, count: usize, path: &Path) -> Result<Self, LabelsError> {
        let names: Vec<String> =
            serde_json::from_str(text).map_err(|source| LabelsError::NotAList {
                path: path.to_owned(),
                source,
            })?;
        Self {
            classes: names.iter().map(|name| Label::parse(name)).collect(),
            named: true,
        }
        .of_count(count, path)
    }

    /// [`Self::read`] of a file's content; `path` is for the messages.
    pub fn from_bytes(bytes: &[u8], count: usize, path: &Path) -> Result<Self, LabelsError> {
        let decoded = of_utf16(bytes);
        let bytes = decoded.as_ref().map_or(bytes, String::as_bytes);
        let bytes = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(bytes)
            .trim_ascii_end();
        let text = std::str::from_utf8(bytes).map_err(|error| LabelsError::NotUtf8 {
            path: path.to_owned(),
            line: bytes[..error.valid_up_to()]
                .split(|&byte| byte == b'\n')
                .count(),
        })?;
        let classes = content::labels(text, count).map_err(|source| LabelsError::Content {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            classes,
            named: true,
        })
    }

    fn of_count(self, expected: usize, path: &Path) -> Result<Self, LabelsError> {
        match self.len() {
            found if found == expected => Ok(self),
            found => Err(LabelsError::WrongCount {
                path: path.to_owned(),
                found,
                expected,
            }),
        }
    }

    /// Whether somebody gave these names; otherwise they are `class_17` and so on.
    pub fn are_names(&self) -> bool {
        self.named
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no class at all.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The names of class `id`, if there is such a class.
    pub fn get(&self, id: usize) -> Option<&Label> {
        self.classes.get(id)
    }
}

/// The names that JSON or Python's notation lists, or has by the ids 0 to the last; `None` where it holds something else.
pub(crate) fn in_class_order(text: &str) -> Option<Vec<String>> {
    let labels = match json::names(text).ok()?? {
        Names::InOrder(labels) => labels,
        Names::ById(by_id) => {
            let count = by_id.len();
            content::in_order(by_id, count).ok()?
        }
    };
    let is_named = |label: &Label| !label.names.is_empty();
    let are_named = !labels.is_empty() && labels.iter().all(is_named);
    are_named.then(|| labels.iter().map(Label::to_string).collect())
}

fn is_synset(word: &str) -> bool {
    word.strip_prefix('n')
        .is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
