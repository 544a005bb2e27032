//! A file that grows by whole lines.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::output::{WriteError, at, or_here};

/// A file that grows by whole lines, of which each is there or not, and that no other run writes to.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    end: u64,
}

impl Lines {
    /// The file at `path`, made with its folder if need be; of what it holds the first `end` bytes stay.
    pub fn open(path: &Path, end: u64) -> Result<Self, WriteError> {
        let error = |error| at(path, error);
        fs::create_dir_all(or_here(path.parent().unwrap_or(Path::new("")))).map_err(error)?;
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .open(path)
            .map_err(error)?;
        match file.try_lock() {
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(WriteError::InUse(path.to_owned())),
        }
        file.set_len(end).map_err(error)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
        })
    }

    /// Adds lines, all of them or none.
    pub fn push(&mut self, lines: &str) -> Result<(), WriteError> {
        // What is written to a file without a name is lost.
        if !self.path.exists() {
            return Err(WriteError::Gone(self.path.clone()));
        }
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            // Where even that fails, the next run leaves the unfinished line out.
            let _ = self.file.set_len(self.end);
            return Err(at(&self.path, error));
        }
        self.end += lines.len() as u64;
        Ok(())
    }

    /// Takes all lines away.
    pub fn clear(&mut self) -> Result<(), WriteError> {
        self.end = 0;
        self.file.set_len(0).map_err(|error| at(&self.path, error))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_behind_what_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/lines");
        let mut lines = Lines::open(&path, 0).unwrap();
        lines.push("one\n").unwrap();
        lines.push("two\nunfinished").unwrap();
        drop(lines);
        let mut lines = Lines::open(&path, 8).unwrap();
        lines.push("three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_file_that_another_run_writes_to_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lines");
        let mut lines = Lines::open(&path, 0).unwrap();
        lines.push("one\n").unwrap();
        assert!(matches!(Lines::open(&path, 0), Err(WriteError::InUse(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_gone_takes_no_more_lines() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lines");
        let mut lines = Lines::open(&path, 0).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(lines.push("one\n"), Err(WriteError::Gone(_))));
    }
}
