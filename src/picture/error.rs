//! What can be wrong with a picture file. Each message says what is the matter with which file, and what to do.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageFormat};

use super::{Depth, Fault, LeftOut, MAX_FILE, MIN_SIDE};
use crate::sniff::Guess;

/// Why a picture cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the messages say it; paths are as the user gave them"
)]
pub enum PictureError {
    #[error("no such file: {path}; {}", where_it_may_be(path))]
    NotFound { path: PathBuf },

    #[error("cannot read {path}: {reason}")]
    Read { path: PathBuf, reason: io::Error },

    #[error(
        "- is a picture from standard input, and that is a terminal: pipe one in, as in gradcam - < photo.jpg; a file called - is ./-"
    )]
    Terminal,

    #[error("{path} is a folder where a picture was expected; name a file in it")]
    Folder { path: PathBuf },

    #[error("{}", nothing_in(folder, left_out, *depth))]
    NoPictures {
        folder: PathBuf,
        left_out: LeftOut,
        depth: Depth,
    },

    #[error("{path} is empty (0 bytes); fetch or copy it again")]
    Empty { path: PathBuf },

    #[error("{path} is larger than {} GiB, more than any picture that is read; scale it down first", MAX_FILE >> 30)]
    FileTooLarge { path: PathBuf },

    #[error("{path} is not a picture that can be read: it seems to be {}; {}", guess.what, guess.advice)]
    NotAPicture { path: PathBuf, guess: Guess },

    #[error(
        "{path} is not a picture of a known format; expected PNG, JPEG, WebP, GIF, BMP, TIFF, PNM, QOI or TGA"
    )]
    Unknown { path: PathBuf },

    /// A feature of a known format that the decoder lacks.
    #[error("{path}: this kind of {} is not read ({kind}); convert it to PNG or an ordinary JPEG first", name(*format))]
    Unsupported {
        path: PathBuf,
        format: ImageFormat,
        kind: Cow<'static, str>,
    },

    #[error("{path} is truncated: the file ends before the {} picture does; fetch or copy it again", name(*format))]
    Truncated { path: PathBuf, format: ImageFormat },

    #[error("{path} is a damaged {} picture ({reason}); fetch or copy it again", name(*format))]
    Damaged {
        path: PathBuf,
        format: ImageFormat,
        reason: Cow<'static, str>,
    },

    #[error("{path} is {width}x{height} pixels, more than the limit of {} million; {}", most / MILLION, larger(*width, *height))]
    TooLarge {
        path: PathBuf,
        width: u32,
        height: u32,
        most: u64,
    },

    /// The decoder's own memory: sizes beyond counting, frames or profiles far larger than the picture.
    #[error("{path} announces more than a {} picture of its size can need; scale it down or convert it first", name(*format))]
    OverLimit { path: PathBuf, format: ImageFormat },

    #[error(
        "{path} is {width}x{height} pixels, too small to explain: it takes {MIN_SIDE}x{MIN_SIDE}; is it the right file?"
    )]
    TooSmall {
        path: PathBuf,
        width: u32,
        height: u32,
    },

    #[error("{width}x{height} pixels cannot be written as {} ({reason}); choose another --format", name(*format))]
    Encode {
        format: ImageFormat,
        width: u32,
        height: u32,
        reason: ImageError,
    },
}

impl PictureError {
    /// The file or folder, as named; `None` for one that was to be written.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::NotFound { path }
            | Self::Read { path, .. }
            | Self::Folder { path }
            | Self::NoPictures { folder: path, .. }
            | Self::Empty { path }
            | Self::FileTooLarge { path }
            | Self::NotAPicture { path, .. }
            | Self::Unknown { path }
            | Self::Unsupported { path, .. }
            | Self::Truncated { path, .. }
            | Self::Damaged { path, .. }
            | Self::TooLarge { path, .. }
            | Self::OverLimit { path, .. }
            | Self::TooSmall { path, .. } => Some(path),
            Self::Encode { .. } | Self::Terminal => None,
        }
    }

    /// What is wrong with the file at `path`, of which `most` pixels were to be read.
    pub(super) fn of(path: &Path, format: ImageFormat, fault: Fault, most: u64) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Truncated => Self::Truncated { path, format },
            Fault::OverLimit => Self::OverLimit { path, format },
            Fault::Damaged(reason) => Self::Damaged {
                path,
                format,
                reason,
            },
            Fault::Unsupported(kind) => Self::Unsupported { path, format, kind },
            Fault::TooLarge((width, height)) => Self::TooLarge {
                path,
                width,
                height,
                most,
            },
            Fault::TooSmall((width, height)) => Self::TooSmall {
                path,
                width,
                height,
            },
        }
    }
}

const MILLION: u64 = 1_000_000;

/// What to do about too large a picture. A few thousand million pixels are more than the memory of most machines.
fn larger(width: u32, height: u32) -> String {
    match (u64::from(width) * u64::from(height)).div_ceil(MILLION) {
        millions @ ..=4000 => {
            format!(
                "scale it down first, or give --max-pixels {millions} if there is memory for it"
            )
        }
        _ => "scale it down first".to_owned(),
    }
}

/// What a name that is no file's was meant as, most likely.
fn where_it_may_be(path: &Path) -> String {
    let text = path.to_string_lossy();
    // Not of one letter, as `C:` is.
    let address = text.split_once(':').filter(|(scheme, rest)| {
        let is_word = scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
        is_word && (rest.starts_with("//") || *scheme == "data")
    });
    match address {
        Some(("file", rest)) => format!("name the file itself: {}", &rest[2..]),
        Some(_) => "that is an address, and pictures are read from files: download it first".into(),
        _ if text.contains(['*', '?', '[']) => {
            "no name matches the pattern; a folder's name stands for all of its pictures".into()
        }
        _ => "check its name, or give the whole path".into(),
    }
}

fn nothing_in(folder: &Path, left_out: &LeftOut, depth: Depth) -> String {
    let folder = folder.display();
    match left_out.count() {
        0 if depth == Depth::One => format!(
            "no pictures in the folder {folder}: it must hold files named .png, .jpg, .webp or the like \
             (subfolders are searched with --recursive)"
        ),
        0 => format!(
            "no pictures in the folder {folder} and the folders below it: one must hold files named .png, .jpg, .webp or the like"
        ),
        _ => format!(
            "no pictures to explain in the folder {folder}, {left_out}; {}",
            left_out.advice()
        ),
    }
}

/// As people write it.
fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Pnm => "PNM",
        ImageFormat::Qoi => "QOI",
        ImageFormat::Tga => "TGA",
        // Nothing else is compiled in; the extension is right for what is added later.
        other => other.extensions_str()[0],
    }
}
