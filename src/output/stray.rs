//! Unfinished files: what they are called, and which of them a killed run left behind.
//!
//! `.gradcam-<process>-<start>-<system>-<six letters or digits>`: the process that writes it, when that started, and a digest
//! of where these two mean anything, so that neither a process of the same number nor one in another container or on another
//! machine with the same folder is taken for it.

use std::fs::{self, DirEntry, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file of a process that cannot be asked after is written within minutes of its last byte, or never.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

const PREFIX: &str = ".gradcam-";
/// What tempfile appends.
const RANDOM: usize = 6;

/// A process, as far as a file's name tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    id: u32,
    /// In ticks since the system's start; 0 where that is not known.
    start: u64,
    /// Eight hexadecimal digits; of a system that does not say, zeros.
    system: String,
}

/// What stands before the random end of an unfinished file's name.
pub(super) fn prefix() -> String {
    let Process { id, start, system } = Process::this();
    format!("{PREFIX}{id}-{start}-{system}-")
}

/// Removes unfinished files of runs that were killed from `folder`, and says how many. A file whose process may live stays,
/// and so does whatever has another form of name.
pub(crate) fn sweep(folder: &Path) -> usize {
    let entries = fs::read_dir(super::or_here(folder));
    let entries = entries.into_iter().flatten().flatten();
    let this = Process::this();
    let strays = entries.filter(|entry| is_stray(entry, &this));
    // One that cannot be removed harms nobody.
    strays
        .filter(|stray| fs::remove_file(stray.path()).is_ok())
        .count()
}

fn is_stray(entry: &DirEntry, this: &Process) -> bool {
    let name = entry.file_name();
    let Some(process) = name.to_str().and_then(Process::of_name) else {
        return false;
    };
    // Of the link, if it is one: links are not ours.
    let Ok(metadata) = entry.metadata() else {
        return false;
    };
    if !metadata.is_file() {
        return false;
    }
    let lives = process.lives(this, &metadata);
    lives.map_or_else(|| is_abandoned(&metadata), |lives| !lives)
}

fn is_abandoned(file: &Metadata) -> bool {
    let age = file.modified().ok();
    let age = age.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > ABANDONED)
}

impl Process {
    /// Whose unfinished file has this name.
    fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let process = Self {
            id: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            system: parts.next()?.to_owned(),
        };
        let random = parts.next()?;
        let is_random = random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_digest =
            process.system.len() == 8 && process.system.bytes().all(|b| b.is_ascii_hexdigit());
        // Numbers as they are written, without signs and leading zeros.
        let whole = format!(
            "{PREFIX}{}-{}-{}-{random}",
            process.id, process.start, process.system
        );
        (is_random && is_digest && parts.next().is_none() && whole == name).then_some(process)
    }

    /// This one.
    fn this() -> Self {
        let id = std::process::id();
        let known = system().and_then(|system| Some((start(id)?, system)));
        let (start, system) = known.unwrap_or((0, "0".repeat(8)));
        Self { id, start, system }
    }

    /// Whether it lives, where that can be known: of a process of `this` one's system and user.
    fn lives(&self, this: &Self, file: &Metadata) -> Option<bool> {
        let known = this.start > 0 && self.system == this.system && is_own(file);
        known.then(|| start(self.id) == Some(self.start))
    }
}

/// When a living process started; `None` also for one that has ended and was not waited for.
#[cfg(target_os = "linux")]
fn start(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the program's name in brackets, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    // Field 22 of proc_pid_stat(5); the state was the third.
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

#[cfg(not(target_os = "linux"))]
fn start(_: u32) -> Option<u64> {
    None
}

/// A digest of this start of the system and of the container, within which processes' numbers and times are their own.
#[cfg(target_os = "linux")]
fn system() -> Option<String> {
    use sha2::{Digest, Sha256};

    let boot = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    let digest = Sha256::new()
        .chain_update(boot)
        .chain_update(space.as_os_str().as_encoded_bytes())
        .finalize();
    Some(crate::weights::hex(&digest[..4]))
}

#[cfg(not(target_os = "linux"))]
fn system() -> Option<String> {
    None
}

/// Whether the file is this user's: another user's processes may be hidden.
#[cfg(target_os = "linux")]
fn is_own(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == file.uid())
}

#[cfg(not(target_os = "linux"))]
fn is_own(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A folder with a file of this name, changed so long ago.
    fn folder_with(name: &str, age: Duration) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        folder
    }

    fn name(process: &Process) -> String {
        let Process { id, start, system } = process;
        format!("{PREFIX}{id}-{start}-{system}-a1B2c3")
    }

    #[test]
    fn the_name_of_an_unfinished_file_tells_its_process() {
        let this = Process::this();
        assert_eq!(Process::of_name(&(prefix() + "a1B2c3")), Some(this.clone()));
        assert_eq!(Process::of_name(&name(&this)), Some(this));
    }

    #[test]
    fn an_unfinished_file_of_a_living_process_stays() {
        let folder = folder_with(&name(&Process::this()), Duration::ZERO);
        assert_eq!(sweep(folder.path()), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_unfinished_file_of_a_dead_process_goes() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = Process {
            id: child.id(),
            ..Process::this()
        };
        child.wait().unwrap();
        // A number that another process has by now.
        let reused = Process {
            start: Process::this().start - 1,
            ..Process::this()
        };
        for process in [dead, reused] {
            let folder = folder_with(&name(&process), Duration::ZERO);
            assert_eq!(sweep(folder.path()), 1, "{process:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn an_unfinished_file_of_another_system_goes_when_it_is_a_day_old() {
        let elsewhere = Process {
            id: 1,
            start: 77,
            system: "0123abcd".into(),
        };
        for (hours, removed) in [(0, 0), (23, 0), (25, 1)] {
            let age = Duration::from_secs(hours * 3600);
            let folder = folder_with(&name(&elsewhere), age);
            assert_eq!(sweep(folder.path()), removed, "{hours} h");
        }
    }

    #[test]
    fn whatever_has_another_name_or_is_no_file_stays() {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        for name in [
            ".gradcam-notes",
            ".gradcam-a1B2c3",
            ".gradcam-1-77-0123abcd-a1B2c",
            ".gradcam-1-77-0123abcd-a1B2c3.png",
            ".gradcam-1-77-0123abcd-a1B2c3-",
            ".gradcam-01-77-0123abcd-a1B2c3",
            ".gradcam-+1-77-0123abcd-a1B2c3",
            ".gradcam-1-77-0123abcg-a1B2c3",
            "gradcam-1-77-0123abcd-a1B2c3",
        ] {
            let folder = folder_with(name, year);
            assert_eq!(sweep(folder.path()), 0, "{name}");
        }
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".gradcam-1-77-0123abcd-a1B2c3")).unwrap();
        assert_eq!(sweep(home.path()), 0);
        assert_eq!(sweep(&home.path().join("absent")), 0);
    }
}
