//! What a file is, from its first bytes: weights in one of the formats that are read, those that are not read yet,
//! and what people hand over instead when a download went wrong.

mod other;

use std::borrow::Cow;
use std::fmt;

pub use other::OtherFormat;
pub(super) use other::of_folder;

use super::format::{Format, OFFER};
use super::{hdf5, npy, npz, torch, zip};

/// First bytes that are enough to tell.
pub(super) const PREFIX: usize = 4096;

/// What a file holds, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Weights in a format that is read here.
    Weights(Format),
    /// A network of another program.
    Other(OtherFormat),
    /// Nothing at all.
    Empty,
    /// A web page.
    Html,
    /// The few lines that stand for a file in Git LFS.
    GitLfs,
    /// A picture of this format.
    Picture(&'static str),
    /// An archive or compressed file of this format.
    Archive(&'static str),
    /// A PDF document.
    Pdf,
    /// Some other text.
    Text,
    /// None of these.
    Unknown,
}

impl Content {
    /// Whether such a file holds weights, read here or not.
    pub fn is_weights(self) -> bool {
        match self {
            Self::Weights(_) | Self::Other(_) => true,
            Self::Empty
            | Self::Html
            | Self::GitLfs
            | Self::Picture(_)
            | Self::Archive(_)
            | Self::Pdf
            | Self::Text
            | Self::Unknown => false,
        }
    }

    /// What to do with a file that cannot be read as weights, to follow what it is.
    pub(super) fn advice(self) -> Cow<'static, str> {
        match self {
            Self::Weights(_) => "".into(),
            Self::Other(format) => format.advice().into(),
            Self::Empty => ": nothing was downloaded or copied into it".into(),
            Self::Html => ", not weights: download the file itself, not the page about it".into(),
            Self::GitLfs => ": run `git lfs pull` in the repository that it comes from".into(),
            Self::Archive(_) => ": unpack it and give the weights in it".into(),
            Self::Picture(_) | Self::Pdf | Self::Text => {
                format!(", not weights: {}", *OFFER).into()
            }
            Self::Unknown => format!(": {}", *OFFER).into(),
        }
    }
}

impl fmt::Display for Content {
    /// With its article, for a sentence: `an HTML page`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weights(format) => format.words(),
            Self::Other(format) => return format.fmt(f),
            Self::Empty => "an empty file",
            Self::Html => "an HTML page",
            Self::GitLfs => "a Git LFS pointer, not the file that it stands for",
            Self::Picture(format) => return write!(f, "a {format} picture"),
            Self::Archive(format) => return write!(f, "a {format} archive"),
            Self::Pdf => "a PDF document",
            Self::Text => "a text file",
            Self::Unknown => "not a kind of file that is known here",
        })
    }
}

/// Tells what a file is from its first [`PREFIX`] bytes, or all of them.
pub(super) fn of(prefix: &[u8]) -> Content {
    const MAGICS: [(&[u8], Content); 17] = [
        (npy::MAGIC, Content::Weights(Format::Npy)),
        (hdf5::MAGIC, Content::Weights(Format::Hdf5)),
        (b"version https://git-lfs.github.com/", Content::GitLfs),
        (b"\x89PNG\r\n\x1a\n", Content::Picture("PNG")),
        (b"\xff\xd8\xff", Content::Picture("JPEG")),
        (b"GIF8", Content::Picture("GIF")),
        (b"II*\0", Content::Picture("TIFF")),
        (b"MM\0*", Content::Picture("TIFF")),
        (b"qoif", Content::Picture("QOI")),
        (b"\x1f\x8b", Content::Archive("gzip")),
        (b"BZh", Content::Archive("bzip2")),
        (b"\xfd7zXZ\0", Content::Archive("xz")),
        (b"\x28\xb5\x2f\xfd", Content::Archive("zstd")),
        (b"7z\xbc\xaf\x27\x1c", Content::Archive("7z")),
        (b"Rar!", Content::Archive("RAR")),
        (b"PK\x05\x06", Content::Archive("zip")),
        (b"%PDF-", Content::Pdf),
    ];
    if prefix.is_empty() {
        return Content::Empty;
    }
    if is_safetensors(prefix) {
        return Content::Weights(Format::Safetensors);
    }
    if let Some((_, content)) = MAGICS.iter().find(|(magic, _)| prefix.starts_with(magic)) {
        return *content;
    }
    if prefix.starts_with(zip::MAGIC) {
        return of_members(first_member(prefix).into_iter());
    }
    if prefix.starts_with(b"BM") && prefix.get(6..10) == Some(&[0; 4]) {
        return Content::Picture("BMP");
    }
    if prefix.starts_with(b"RIFF") && prefix.get(8..12) == Some(b"WEBP") {
        return Content::Picture("WebP");
    }
    if prefix.get(257..262) == Some(b"ustar") {
        return Content::Archive("tar");
    }
    if let [0x80, 2..=5, pickle @ ..] = prefix {
        return of_pickle(pickle);
    }
    if let Some(format) = other::of(prefix) {
        return Content::Other(format);
    }
    if is_onnx(prefix) {
        return Content::Weights(Format::Onnx);
    }
    text(prefix)
}

/// What weights with this extension are, for files whose bytes do not tell.
pub(super) fn of_extension(extension: &str) -> Option<Content> {
    match extension.eq_ignore_ascii_case("onnx") {
        true => Some(Content::Weights(Format::Onnx)),
        false => other::of_extension(extension).map(Content::Other),
    }
}

/// What a file of this name is by its last bytes and by its name, where the first ones and the extension do not tell.
pub(super) fn of_end(file: &[u8], name: &str) -> Option<Content> {
    let checkpoint = Content::Other(OtherFormat::TensorFlowCheckpoint);
    (file.ends_with(other::TABLE_END) || name.contains(".data-0")).then_some(checkpoint)
}

pub(super) fn is_weights_extension(extension: &str) -> bool {
    let mut formats = Format::ALL.iter();
    formats.any(|format| format.has_extension(extension))
        || other::of_extension(extension).is_some()
}

/// The length of a JSON object, then the object.
fn is_safetensors(prefix: &[u8]) -> bool {
    let Some((length, json)) = prefix.split_first_chunk() else {
        return false;
    };
    // A length of three bytes at most: what else begins so and goes on with a brace?
    u64::from_le_bytes(*length) < 1 << 32 && json.first() == Some(&b'{')
}

/// Tells what a zip archive is from the names of its members, or as many as are known.
pub(super) fn of_members<'a>(names: impl Iterator<Item = &'a str>) -> Content {
    let mut content = Content::Archive("zip");
    for name in names {
        // Behind the folder that torch names like the file: `vgg16/data.pkl`.
        let in_folder = name.split_once('/').map_or("", |(_, name)| name);
        if matches!(name, "config.json" | "metadata.json" | "model.weights.h5") {
            return Content::Weights(Format::Keras);
        } else if matches!(
            in_folder,
            "data.pkl" | "constants.pkl" | "byteorder" | ".format_version" | "archive_format"
        ) || name == torch::EXPORTED
        {
            return Content::Weights(Format::Torch);
        } else if npz::array_name(name).is_some() {
            content = Content::Weights(Format::Npz);
        }
    }
    content
}

/// The name of the member that an archive begins with.
fn first_member(prefix: &[u8]) -> Option<&str> {
    let length = prefix.get(26..28)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    std::str::from_utf8(prefix.get(30..30 + length)?).ok()
}

/// A pickle behind its first opcode, which names its protocol.
fn of_pickle(pickle: &[u8]) -> Content {
    // The frame of protocol 4 takes nine bytes.
    let framed = pickle.get(9..).unwrap_or_default();
    if [pickle, framed]
        .iter()
        .any(|pickle| pickle.starts_with(torch::LEGACY_MAGIC))
    {
        Content::Weights(Format::TorchLegacy)
    } else if pickle.windows(8).any(|window| window == b"sklearn.") {
        Content::Other(OtherFormat::ScikitLearn)
    } else {
        Content::Weights(Format::Pickle)
    }
}

/// A protobuf that begins with a small `ir_version` (field 1), then the producer, the graph or
/// another field of a model.
fn is_onnx(prefix: &[u8]) -> bool {
    matches!(
        prefix,
        [
            0x08,
            1..=31,
            0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42,
            ..
        ]
    )
}

fn text(prefix: &[u8]) -> Content {
    let without_mark = prefix
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(prefix)
        .trim_ascii_start();
    let begins = |tag: &[u8]| {
        without_mark
            .get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") || begins(b"<!--") {
        return Content::Html;
    }
    let printable = |&byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    // The prefix may end within a character.
    let utf8 =
        std::str::from_utf8(prefix).map_or_else(|error| error.error_len().is_none(), |_| true);
    if utf8 && prefix.iter().all(printable) {
        other::of_text(without_mark).map_or(Content::Text, Content::Other)
    } else {
        Content::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip_of(name: &str) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(26, 0);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let cases: [(&[u8], Content); 17] = [
            (b"", Content::Empty),
            (b"\x93NUMPY\x01\x00", Content::Weights(Format::Npy)),
            (
                b"\x40\0\0\0\0\0\0\0{\"a\"",
                Content::Weights(Format::Safetensors),
            ),
            (
                b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
                Content::Weights(Format::TorchLegacy),
            ),
            (b"\x80\x02}q\x01.", Content::Weights(Format::Pickle)),
            (b"\x80\x04\x95", Content::Weights(Format::Pickle)),
            (b"\x89HDF\r\n\x1a\n\0", Content::Weights(Format::Hdf5)),
            (b"\x08\x07\x12\x07pytorch", Content::Weights(Format::Onnx)),
            (b"\xef\xbb\xbf\n <!DOCTYPE HTML><p>", Content::Html),
            (b"<html lang=en>", Content::Html),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:",
                Content::GitLfs,
            ),
            (b"\xff\xd8\xff\xe0", Content::Picture("JPEG")),
            (b"RIFF\0\0\0\0WEBP", Content::Picture("WebP")),
            (b"\x1f\x8b\x08", Content::Archive("gzip")),
            (b"Access denied\n", Content::Text),
            (b"\x00\x01\x02", Content::Unknown),
            (b"{}", Content::Text),
        ];
        for (bytes, content) in cases {
            assert_eq!(of(bytes), content, "{bytes:x?}");
        }
    }

    #[test]
    fn zip_archives_are_told_apart_by_their_first_name() {
        assert_eq!(of(&zip_of("conv1_1_W.npy")), Content::Weights(Format::Npz));
        assert_eq!(
            of(&zip_of("vgg16/data.pkl")),
            Content::Weights(Format::Torch)
        );
        assert_eq!(
            of(&zip_of("metadata.json")),
            Content::Weights(Format::Keras)
        );
        assert_eq!(of(&zip_of("photos/cat.jpg")), Content::Archive("zip"));
        assert_eq!(of(b"PK\x03\x04"), Content::Archive("zip"));
    }
}
