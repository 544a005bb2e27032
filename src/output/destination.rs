//! Where the files of a picture go, and whether they can be written there.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::name::{Content, STEM_MAX, Subject, file_name, short_stem};
use super::{ProtectedFiles, WriteError, at, or_here, temporary_file};
use crate::picture::{Format, is_stdin};

/// Why the files of a picture could not be written. Found before any work.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// Two pictures whose files would have the same names.
    #[error(
        "{} and {} would write files of the same names in {}, and the second is left out: \
         rename one, or give them different folders with --out-dir, one run each",
        first.display(), second.display(), folder.display()
    )]
    SameNames {
        /// The picture named first.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
        /// The folder both write to.
        folder: PathBuf,
    },
    /// The output folder, or a part of the way to it, is a file or a broken link.
    #[error("{}: not a folder; name another with --out-dir", .0.display())]
    NotAFolder(PathBuf),
    /// The output folder cannot be written to, or not be made.
    #[error(
        "{}: cannot write files here ({source}); name another folder with --out-dir",
        folder.display()
    )]
    NotWritable {
        /// The folder, or its nearest parent that exists.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DestinationError {
    /// Whether it is the folder that takes no files, whatever their names.
    pub fn is_of_folder(&self) -> bool {
        matches!(self, Self::NotAFolder(_) | Self::NotWritable { .. })
    }
}

/// Where the files of one picture go, and how its pictures are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The folder, perhaps not there yet; empty for the current one, as in [`Path::parent`].
    pub folder: PathBuf,
    /// The picture's name without extension, shortened where it leaves no room for class and suffix.
    pub stem: OsString,
    /// Whether it is shortened.
    pub is_shortened: bool,
    /// How pictures are encoded.
    pub format: Format,
    /// Extension of the pictures, as the input spells it where it is the input's own.
    pub extension: String,
}

impl Destination {
    /// For the picture `image`: beside it, or in the current folder where it comes out of a pipe or a device, unless there
    /// is an `out_dir`; in its own format unless another is `chosen` or its own cannot be written.
    pub fn of(image: &Path, out_dir: Option<&Path>, chosen: Option<Format>) -> Self {
        let beside = match is_stream(image) {
            true => Path::new(""),
            false => image.parent().unwrap_or(Path::new("")),
        };
        let spelled = image
            .extension()
            .and_then(OsStr::to_str)
            .unwrap_or_default();
        let (format, extension) = match (chosen, Format::of_extension(spelled)) {
            (Some(format), _) => (format, format.to_string()),
            (None, Some(own)) => (own, spelled.to_owned()),
            (None, None) => (Format::Png, Format::Png.to_string()),
        };
        let stem = stem(image);
        Self {
            folder: out_dir.unwrap_or(beside).to_owned(),
            stem: short_stem(&stem),
            is_shortened: stem.len() > STEM_MAX,
            format,
            extension,
        }
    }

    /// The path of the file that holds `content` about `subject`.
    pub fn path(&self, subject: Subject<'_>, content: Content) -> PathBuf {
        self.folder
            .join(file_name(&self.stem, subject, content, &self.extension))
    }
}

/// Whether a picture is no file in a folder: a pipe or a device, or what the system calls an open file, `/dev/stdin` or
/// `/proc/self/fd/3`. Nothing is written beside such a name.
fn is_stream(image: &Path) -> bool {
    if is_stdin(image) {
        return true;
    }
    let folder = image.parent().map(Path::canonicalize);
    let of_the_system = folder.is_some_and(|folder| {
        // Not what lies below, in /dev/shm say.
        let is_dev = |folder: &Path| folder == Path::new("/dev") || folder == Path::new("/dev/fd");
        let is_system = |folder: &Path| is_dev(folder) || folder.starts_with("/proc");
        cfg!(unix) && folder.is_ok_and(|folder| is_system(&folder))
    });
    let is_other = |metadata: fs::Metadata| !metadata.is_file() && !metadata.is_dir();
    of_the_system || fs::metadata(image).is_ok_and(is_other)
}

/// The picture's name without extension; of an open file's number, what that is.
fn stem(image: &Path) -> OsString {
    if is_stdin(image) {
        return "stdin".into();
    }
    let stem = image.file_stem().unwrap_or_default();
    let is_number = stem.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    match is_number && is_stream(image) {
        true => [OsStr::new("fd"), stem].into_iter().collect(),
        false => stem.to_owned(),
    }
}

/// Gives pictures of one folder whose files would have the same names, `a.png` and `a.jpg`, the whole name instead of that
/// without extension. `one_extension` as for [`check`].
pub fn tell_apart<'a>(
    jobs: impl IntoIterator<Item = (&'a Path, &'a mut Destination)>,
    one_extension: bool,
) {
    let mut same: HashMap<_, Vec<(&Path, &mut Destination)>> = HashMap::new();
    for (image, destination) in jobs {
        let extension = match one_extension {
            true => "",
            false => &destination.extension,
        };
        let key = (
            image.parent().map(Path::to_owned),
            destination.folder.clone(),
            as_one_file(&destination.stem),
            as_one_file(OsStr::new(extension)),
        );
        same.entry(key).or_default().push((image, destination));
    }
    for (image, destination) in same.into_values().filter(|jobs| jobs.len() > 1).flatten() {
        let whole = image.file_name().unwrap_or_default();
        destination.stem = short_stem(whole);
        destination.is_shortened = whole.len() > STEM_MAX;
    }
}

/// Whether the file at `path`, which is none of `kept`, can be written, as far as can be known before the work. Leaves
/// nothing behind.
pub fn check_file(path: &Path, kept: &ProtectedFiles) -> Result<(), WriteError> {
    kept.check(path)?;
    if path.is_dir() {
        return Err(at(path, io::ErrorKind::IsADirectory.into()));
    }
    match probe(path.parent().unwrap_or(Path::new(""))) {
        Ok(_) => Ok(()),
        Err(DestinationError::NotWritable { source, .. }) => Err(at(path, source)),
        Err(DestinationError::NotAFolder(_) | DestinationError::SameNames { .. }) => {
            Err(at(path, io::ErrorKind::NotADirectory.into()))
        }
    }
}

/// What [`check`] finds.
#[derive(Debug, Default)]
pub struct Checked {
    /// Folders that will be made by the first file written to them, for the user to be told.
    pub new_folders: Vec<PathBuf>,
    /// The pictures that cannot have their files, by their place in the list, in order.
    pub refused: Vec<(usize, DestinationError)>,
}

/// Checks, before any work on the GPU, that each picture can have its files and none takes
/// another's. Leaves nothing behind. What is wrong with one picture's files leaves the others be.
///
/// The pictures are taken to be there: ask first, since a missing one is the better answer.
/// `one_extension`: whether files are written whose names do not tell `a.png` from `a.jpg`.
pub fn check<'a>(
    jobs: impl IntoIterator<Item = (&'a Path, &'a Destination)>,
    one_extension: bool,
) -> Checked {
    let mut owners: HashMap<_, &Path> = HashMap::new();
    let mut probed: HashMap<&Path, PathBuf> = HashMap::new();
    let mut checked = Checked::default();
    for (index, (image, destination)) in jobs.into_iter().enumerate() {
        let folder = destination.folder.as_path();
        let real = if let Some(real) = probed.get(folder) {
            real.clone()
        } else {
            match probe(folder) {
                Ok(true) => {}
                Ok(false) => checked.new_folders.push(folder.to_owned()),
                Err(error) => {
                    checked.refused.push((index, error));
                    continue;
                }
            }
            // Two spellings of a folder are one folder; one that is not there yet is known by what
            // was typed.
            let real = or_here(folder)
                .canonicalize()
                .unwrap_or_else(|_| folder.to_owned());
            probed.insert(folder, real.clone());
            real
        };
        let extension = match one_extension {
            true => "",
            false => &destination.extension,
        };
        let key = (
            real,
            as_one_file(&destination.stem),
            as_one_file(OsStr::new(extension)),
        );
        if let Some(first) = owners.get(&key) {
            let error = DestinationError::SameNames {
                first: (*first).to_owned(),
                second: image.to_owned(),
                folder: or_here(folder).to_owned(),
            };
            checked.refused.push((index, error));
        } else {
            owners.insert(key, image);
        }
    }
    checked
}

/// Whether `folder` is there; an error unless it, or the nearest parent there is, takes a new file.
fn probe(folder: &Path) -> Result<bool, DestinationError> {
    for (steps_up, ancestor) in folder.ancestors().enumerate() {
        let ancestor = or_here(ancestor);
        let not_writable = |source| DestinationError::NotWritable {
            folder: ancestor.to_owned(),
            source,
        };
        match fs::metadata(ancestor) {
            Ok(metadata) if metadata.is_dir() => {
                temporary_file(ancestor).map_err(not_writable)?;
                return Ok(steps_up == 0);
            }
            Ok(_) => return Err(DestinationError::NotAFolder(ancestor.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(not_writable(error));
            }
            Err(_) if fs::symlink_metadata(ancestor).is_ok() => {
                return Err(DestinationError::NotAFolder(ancestor.to_owned()));
            }
            Err(_) => {}
        }
    }
    Err(DestinationError::NotAFolder(folder.to_owned()))
}

/// The same for names that are one file where the file system ignores case, as it mostly does on
/// macOS and Windows.
pub(super) fn as_one_file(name: &OsStr) -> OsString {
    if cfg!(any(target_os = "macos", target_os = "windows")) {
        return name.to_string_lossy().to_lowercase().into();
    }
    name.to_owned()
}

#[cfg(test)]
mod tests;
