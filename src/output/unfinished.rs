//! Files under temporary names, of which none is left behind, however the program ends.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those that there are. Locked while one is made.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes them all. None is made any more, until what is returned is dropped.
pub(crate) fn remove_all() -> impl Drop {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        // Perhaps it has its name already.
        let _ = fs::remove_file(path);
    }
    unfinished
}

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file under a temporary name, removed when dropped and by [`remove_all`].
pub(crate) struct Unfinished {
    file: Option<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Unfinished {
    /// What `make` makes.
    pub(crate) fn new(
        make: impl FnOnce() -> io::Result<tempfile::NamedTempFile>,
    ) -> io::Result<Self> {
        let mut unfinished = unfinished();
        let file = make()?;
        let path = file.path().to_owned();
        unfinished.push(path.clone());
        Ok(Self {
            file: Some(file),
            path,
        })
    }

    /// Gives the file its name.
    pub(crate) fn persist(mut self, path: &Path) -> io::Result<()> {
        let file = self.file.take().expect("only this takes it");
        file.persist(path).map_err(|failed| failed.error).map(drop)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().expect("not persisted yet").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().expect("not persisted yet").flush()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.file.take());
        unfinished().retain(|path| *path != self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_unfinished_until_it_has_its_name_or_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let make = || Unfinished::new(|| tempfile::NamedTempFile::new_in(folder.path())).unwrap();
        let listed = |path: &Path| unfinished().iter().any(|unfinished| unfinished == path);
        let (kept, given_up) = (make(), make());
        let paths = [kept.path.clone(), given_up.path.clone()];
        assert!(paths.iter().all(|path| listed(path) && path.exists()));
        kept.persist(&folder.path().join("kept")).unwrap();
        drop(given_up);
        assert!(!paths.iter().any(|path| listed(path) || path.exists()));
        assert!(folder.path().join("kept").exists());
    }
}
