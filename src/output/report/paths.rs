//! Paths in JSON, whose strings are Unicode, as paths need not be.
//!
//! A path is written as text, with U+FFFD where it is none. One that is not Unicode has a field of its bytes beside that,
//! called as the path's with `_bytes` after it, from which it can be had back: percent-encoded as in URLs, every byte but
//! ASCII letters, digits and `-._~/` as `%` and two hexadecimal digits (Python: `urllib.parse.unquote_to_bytes`). On Windows
//! the bytes are those of WTF-8.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::ser::{SerializeMap, Serializer};

/// The path's bytes, where its text does not say them.
pub(crate) fn bytes(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| encoded(path))
}

/// The path's bytes, percent-encoded: also its address on a page beside it.
pub(crate) fn encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'/' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            // Writing to memory cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

/// The path whose [`bytes`] these are; `None` where they are none of a path's.
pub(crate) fn from_bytes(encoded: &str) -> Option<PathBuf> {
    let mut bytes = vec![];
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    path(bytes)
}

#[cfg(unix)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "other systems have names of text alone"
)]
fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// `image` and `image_bytes`.
pub(super) fn image<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("image", &path.to_string_lossy())?;
    if let Some(bytes) = bytes(path) {
        map.serialize_entry("image_bytes", &bytes)?;
    }
    map.end()
}

/// `path`, perhaps `null`, and `path_bytes`.
#[allow(clippy::ref_option)] // the form that serde calls
pub(super) fn weights<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("path", &path.as_ref().map(|path| path.to_string_lossy()))?;
    if let Some(bytes) = path.as_deref().and_then(bytes) {
        map.serialize_entry("path_bytes", &bytes)?;
    }
    map.end()
}

/// `files` and `files_bytes`, which has those that need it.
pub(super) fn files<S: Serializer>(
    files: &[(String, PathBuf)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = files
        .iter()
        .map(|(key, path)| (key.clone(), path.to_string_lossy().into()));
    let bytes = files
        .iter()
        .filter_map(|(key, path)| Some((key.clone(), bytes(path)?.into())));
    let text: serde_json::Map<_, _> = text.collect();
    let bytes: serde_json::Map<_, serde_json::Value> = bytes.collect();
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("files", &text)?;
    if !bytes.is_empty() {
        map.serialize_entry("files_bytes", &bytes)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_text_needs_no_bytes() {
        assert_eq!(bytes(Path::new("a folder/café.png")), None);
    }

    #[cfg(unix)]
    #[test]
    fn any_other_path_can_be_had_back() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let path = Path::new(OsStr::from_bytes(b"my maps/100%\xe9\n~1-b_c.png"));
        assert_eq!(
            bytes(path).as_deref(),
            Some("my%20maps/100%25%E9%0A~1-b_c.png")
        );
        assert_eq!(
            bytes(path).and_then(|text| from_bytes(&text)).as_deref(),
            Some(path)
        );
    }
}
