//! Lists of pictures: one name a line, or NUL between names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::options::FilesFrom;

/// The longest list that is read: ten million names of a hundred bytes.
const LONGEST: u64 = 1 << 30;

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It is not there, or is not to be read.
    #[error("cannot read the list {}: {reason}", path.display())]
    Read {
        /// The list.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Longer than any list.
    #[error("{} is longer than {} GiB: is it a list of names?", .0.display(), LONGEST >> 30)]
    TooLong(PathBuf),
    /// UTF-16, as some shells of Windows write.
    #[error("{} is in UTF-16: save it as UTF-8; in PowerShell: | Out-File -Encoding utf8 LIST", .0.display())]
    Utf16(PathBuf),
    /// No names.
    #[error("{} names no picture: it must hold one name a line", .0.display())]
    Empty(PathBuf),
    /// A name that the system cannot have.
    #[error("{}, name {number}: not UTF-8, as names are on this system", path.display())]
    NotUnicode {
        /// The list.
        path: PathBuf,
        /// From 1.
        number: usize,
    },
}

/// The names in a list, at least one.
pub(super) fn read(from: &FilesFrom) -> Result<Vec<PathBuf>, ListError> {
    let path = || from.list.clone();
    let mut bytes = vec![];
    let read = match from.list == Path::new("-") {
        true => io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes),
        false => {
            File::open(&from.list).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        }
    };
    read.map_err(|reason| ListError::Read {
        path: path(),
        reason,
    })?;
    if bytes.len() as u64 > LONGEST {
        return Err(ListError::TooLong(path()));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ListError::Utf16(path()));
    }
    let names = names(&bytes, from.null);
    if names.is_empty() {
        return Err(ListError::Empty(path()));
    }
    let name = |(index, bytes)| {
        as_path(bytes).ok_or_else(|| ListError::NotUnicode {
            path: path(),
            number: index + 1,
        })
    };
    names.into_iter().enumerate().map(name).collect()
}

fn names(bytes: &[u8], null: bool) -> Vec<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let separator = if null || bytes.contains(&0) { 0 } else { b'\n' };
    let mut names: Vec<&[u8]> = bytes.split(|&byte| byte == separator).collect();
    names.retain(|name| !name.is_empty());
    // A name may end so, but hardly each of them.
    if separator == b'\n' && names.iter().all(|name| name.ends_with(b"\r")) {
        for name in &mut names {
            *name = &name[..name.len() - 1];
        }
        names.retain(|name| !name.is_empty());
    }
    names
}

#[cfg(unix)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "other systems have names of text alone"
)]
fn as_path(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    Some(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn as_path(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(bytes: &[u8], null: bool) -> Vec<String> {
        let names = names(bytes, null).into_iter();
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    #[test]
    fn names_are_lines_or_lie_between_nul_bytes() {
        for (bytes, expected) in [
            (&b"a.png\nb c.png\n"[..], &["a.png", "b c.png"][..]),
            (b"a.png\n\nb.png", &["a.png", "b.png"]),
            (b"\xef\xbb\xbfa.png\r\nb.png\r\n", &["a.png", "b.png"]),
            (b"a\r\nb.png\n", &["a\r", "b.png"]),
            (b"a\nb.png\0c.png\0", &["a\nb.png", "c.png"]),
            (b"", &[]),
            (b"\r\n\r\n", &[]),
        ] {
            assert_eq!(listed(bytes, false), expected);
        }
        assert_eq!(listed(b"a\nb.png", true), ["a\nb.png"]);
    }
}
