//! Weights in files beside the model, as exporters write them for large models.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::super::source::Source;

/// Files at most; each is a mapping of its own.
const MAX_FILES: usize = 1024;

/// Why the data beside a model cannot be used.
#[derive(Debug, Error)]
pub enum ExternalError {
    /// A model that was not opened as a file has nothing beside it.
    #[error("its data are in the file {location:?}, but the model itself is not in a file")]
    NoFolder {
        /// As the model has it.
        location: String,
    },
    /// No location, or an offset or length that is no number.
    #[error("its data are said to be in another file, but not where: {key} is {value:?}")]
    Entry {
        /// `location`, `offset` or `length`.
        key: &'static str,
        /// As the model has it; empty where it is missing.
        value: String,
    },
    /// A path out of the model's folder.
    #[error("its data are said to be in {location:?}, which is not beside the model: refused")]
    Outside {
        /// As the model has it.
        location: String,
    },
    /// The system cannot open or map the file.
    #[error("its data are in {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("its data are said to be in {}, which is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is shorter than the model needs.
    #[error("its data are in {}, which is cut off: {missing} more bytes belong to it", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that are not there.
        missing: u64,
    },
    /// More files than any model has.
    #[error("its data are spread over more than {MAX_FILES} files")]
    TooManyFiles,
}

/// The files beside a model, each mapped once.
pub(super) struct Folder {
    model: Option<PathBuf>,
    files: BTreeMap<PathBuf, Arc<Source>>,
}

impl Folder {
    /// The folder that the file `model` lies in.
    pub(super) fn of(model: Option<&Path>) -> Self {
        Self {
            model: model.map(Path::to_owned),
            files: BTreeMap::new(),
        }
    }

    /// The bytes that `entries` (`location`, `offset`, `length`) describe; `needed` bytes where they give no length.
    pub(super) fn find(
        &mut self,
        entries: &BTreeMap<String, String>,
        needed: usize,
    ) -> Result<(Arc<Source>, Range<usize>), ExternalError> {
        let number = |key: &'static str, default: usize| match entries.get(key) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ExternalError::Entry {
                key,
                value: value.clone(),
            }),
        };
        let offset = number("offset", 0)?;
        let length = number("length", needed)?;
        let location = entries.get("location").map_or("", String::as_str);
        if location.is_empty() {
            return Err(ExternalError::Entry {
                key: "location",
                value: String::new(),
            });
        }
        let path = self.path(location)?;
        let source = self.open(&path)?;
        let there = source.bytes().len();
        match offset.checked_add(length) {
            Some(end) if end <= there => Ok((source, offset..end)),
            end => Err(ExternalError::Truncated {
                path,
                missing: end.map_or(u64::MAX, |end| (end - there) as u64),
            }),
        }
    }

    /// A plain name or path below the model's folder, and what it leads to is there as well.
    fn path(&self, location: &str) -> Result<PathBuf, ExternalError> {
        let Some(model) = &self.model else {
            return Err(ExternalError::NoFolder {
                location: location.into(),
            });
        };
        let outside = || ExternalError::Outside {
            location: location.into(),
        };
        let below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        // On Unix a backslash is a part of a name, on Windows it is not: in no file is it needed.
        if location.contains('\\') || !Path::new(location).components().all(below) {
            return Err(outside());
        }
        let path = beside(model).join(location);
        let resolve = |path: &Path| {
            path.canonicalize().map_err(|error| ExternalError::Io {
                path: path.to_owned(),
                error,
            })
        };
        let target = resolve(&path)?;
        // A link may lead to where the model's own link leads: so a cache of downloads lays them out.
        let folders = [resolve(beside(model))?, beside(&resolve(model)?).to_owned()];
        if folders.iter().any(|folder| target.starts_with(folder)) {
            Ok(target)
        } else {
            Err(outside())
        }
    }

    fn open(&mut self, path: &Path) -> Result<Arc<Source>, ExternalError> {
        if let Some(source) = self.files.get(path) {
            return Ok(Arc::clone(source));
        }
        if self.files.len() == MAX_FILES {
            return Err(ExternalError::TooManyFiles);
        }
        let source = Source::open(path)
            .map_err(|error| ExternalError::Io {
                path: path.to_owned(),
                error,
            })?
            .ok_or_else(|| ExternalError::NotAFile {
                path: path.to_owned(),
            })?;
        let source = Arc::new(source);
        self.files.insert(path.to_owned(), Arc::clone(&source));
        Ok(source)
    }
}

/// The folder of a file; the working folder for a bare name.
fn beside(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
