//! The files written: their names, where they go, and writing them whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayView, IxDyn, ShapeError};
use ndarray_npy::{WriteNpyError, WriteNpyExt};
use thiserror::Error;

pub mod coco;
pub mod csv;
mod destination;
pub mod manifest;
mod name;
pub mod page;
pub mod provenance;
pub mod report;
mod stray;
mod unfinished;

pub use destination::{Checked, Destination, DestinationError, check, check_file, tell_apart};
pub use name::{Content, Question, Subject, is_output};
pub(crate) use stray::sweep;
use unfinished::Unfinished;
pub(crate) use unfinished::remove_all as remove_unfinished;

/// Why a file was not written. Whatever stood there before still does.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The file, or its folder, could not be made.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The place of a picture or of another file that the run reads.
    #[error(
        "{}: this file is read in the same run and not written over; name another folder with --out-dir",
        .0.display()
    )]
    Read(PathBuf),
    /// A file that another run writes to.
    #[error("{}: another run is writing to this file; wait for it, or name another folder with --out-dir", .0.display())]
    InUse(PathBuf),
    /// A file that was removed while it was written.
    #[error("{}: this file was removed while results were added to it", .0.display())]
    Gone(PathBuf),
    /// An array's values do not fill its shape.
    #[error("{}: {source}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What ndarray says.
        source: ShapeError,
    },
    /// An array could not be encoded.
    #[error("{}: cannot be encoded: {source}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What ndarray-npy says.
        source: WriteNpyError,
    },
}

/// The files that a run reads, none of which it writes over.
#[derive(Debug, Default)]
pub struct ProtectedFiles(HashSet<PathBuf>);

impl ProtectedFiles {
    /// These files.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(files.into_iter().map(place).collect())
    }

    /// An error where `path` is one of them.
    pub fn check(&self, path: &Path) -> Result<(), WriteError> {
        match self.0.contains(&place(path)) {
            true => Err(WriteError::Read(path.to_owned())),
            false => Ok(()),
        }
    }
}

/// The same for two spellings of a path. Links have names of their own, and so have their files.
pub fn place(file: &Path) -> PathBuf {
    let folder = or_here(file.parent().unwrap_or(Path::new("")));
    // A folder that cannot be looked up is known by what was typed.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.join(destination::as_one_file(
        file.file_name().unwrap_or_default(),
    ))
}

/// Writes `bytes` to `path`, making its folder if need be: into a temporary file beside it, then
/// renamed. A program that is killed leaves the old file or none. Not flushed to the disk: after a
/// power cut a result is computed again.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_with(path, |file| {
        file.write_all(bytes).map_err(|error| at(path, error))
    })
}

/// The same for a file that does not fit memory: `fill` writes its bytes in order. When that fails, nothing is left.
pub fn write_with<E: From<WriteError>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let mut begun = FileInProgress::new(path)?;
    fill(&mut begun.file)?;
    Ok(begun.finish()?)
}

/// A file that is written piece by piece, and has its name once it is finished. Dropped before, it is gone.
pub struct FileInProgress {
    path: PathBuf,
    file: BufWriter<Unfinished>,
}

impl FileInProgress {
    /// An empty one that will be `path`; makes its folder if need be.
    pub fn new(path: &Path) -> Result<Self, WriteError> {
        let error = |error| at(path, error);
        let folder = or_here(path.parent().unwrap_or(Path::new("")));
        fs::create_dir_all(folder).map_err(|source| match folder.is_dir() || !folder.exists() {
            true => error(source),
            // The system says that it exists, which is not what is wrong.
            false => error(io::ErrorKind::NotADirectory.into()),
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(temporary_file(folder).map_err(error)?),
        })
    }

    /// The path that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what comes next.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| at(&self.path, error))
    }

    /// Gives it its name.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { path, file } = self;
        let file = file
            .into_inner()
            .map_err(|error| at(&path, error.into_error()))?;
        file.persist(&path).map_err(|error| at(&path, error))
    }
}

/// The error of writing `path`.
pub fn at(path: &Path, source: io::Error) -> WriteError {
    WriteError::Write {
        path: path.to_owned(),
        source: without_temporary(source),
    }
}

/// What the system says, without the name of the temporary file that tempfile adds to it.
fn without_temporary(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said.to_owned()),
        None => error,
    }
}

/// The bytes of `values`, last axis fastest, as a float32 `.npy` of `shape`, which will be written to `path`.
pub fn encode_array(path: &Path, values: &[f32], shape: &[usize]) -> Result<Vec<u8>, WriteError> {
    let array =
        ArrayView::from_shape(IxDyn(shape), values).map_err(|source| WriteError::Shape {
            path: path.to_owned(),
            source,
        })?;
    let mut bytes = Vec::new();
    array
        .write_npy(&mut bytes)
        .map_err(|source| WriteError::Array {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// The empty path means the current folder, but the system does not know it.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// Open to whom the umask says, as any new file is; the default is the owner alone.
fn temporary_file(folder: &Path) -> io::Result<Unfinished> {
    let prefix = stray::prefix();
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    Unfinished::new(|| builder.tempfile_in(folder)).map_err(without_temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_whole_and_no_temporary_one_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.txt");
        write(&path, b"a long first version").unwrap();
        write(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(entries(home.path()), 1);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(matches!(write(&path, b"x"), Err(WriteError::Write { .. })));
        assert!(path.is_dir());
        assert_eq!(entries(home.path()), 1);
    }

    #[test]
    fn an_error_names_the_file_that_was_asked_for_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let taken = home.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let below_a_file = home.path().join("file/below.txt");
        fs::write(home.path().join("file"), "x").unwrap();
        for path in [taken, below_a_file] {
            let text = write(&path, b"x").unwrap_err().to_string();
            assert!(text.starts_with(&format!("{}: ", path.display())), "{text}");
            assert!(!text.contains(".gradcam-"), "{text}");
        }
        let in_a_file = write(&home.path().join("file/a.txt"), b"x").unwrap_err();
        assert!(
            in_a_file.to_string().contains("not a directory"),
            "{in_a_file}"
        );
        let nowhere = temporary_file(&home.path().join("absent")).map(drop);
        let text = nowhere.unwrap_err().to_string();
        assert!(!text.contains(".gradcam-"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;

        let home = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| home.path().join(name));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn arrays_are_written_as_float32_in_row_order() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("map.npy");
        let values = [1.0, -2.5, f32::NAN, 4.0, 5.0, 6.0];
        write(&path, &encode_array(&path, &values, &[2, 3]).unwrap()).unwrap();
        let read: ndarray::Array2<f32> = ndarray_npy::read_npy(&path).unwrap();
        assert_eq!(read.dim(), (2, 3));
        assert!(
            read.iter()
                .zip(values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        assert!(matches!(
            encode_array(&path, &values, &[7]),
            Err(WriteError::Shape { .. })
        ));
    }
}
