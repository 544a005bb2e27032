//! Ctrl-C and a request to terminate: the program ends at once, whatever the device is at, and leaves nothing half written.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As shells have it: 128 and the number of the signal.
const INTERRUPTED: i32 = 128 + 2;
/// Files under temporary names. Locked while one is made: none is made any more once the program ends.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// From now on, Ctrl-C removes unfinished files and ends the program with exit code 130; on Unix a request to terminate does
/// the same, with 143. Files that have their names stay.
pub fn catch() -> io::Result<()> {
    ctrlc::set_handler(|| end(INTERRUPTED)).map_err(io::Error::other)?;
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGTERM;
        // Not by ctrlc, which would take SIGHUP as well, from nohup's hands.
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM])?;
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                end(128 + SIGTERM);
            }
        });
    }
    Ok(())
}

/// Ends the program, whatever its threads are at.
fn end(exit_code: i32) {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        // Perhaps it has its name already.
        let _ = fs::remove_file(path);
    }
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr());
    }
    // Not by `std::process::exit`: that lets drivers tear down what their threads are still working with, and now and then
    // the program ended by a segmentation fault in Mesa's.
    signal_hook::low_level::exit(exit_code)
}

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file under a temporary name, removed when dropped and on Ctrl-C.
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
