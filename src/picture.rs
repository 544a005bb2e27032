//! Picture files: what they hold as 8-bit RGB, which files of a folder they are, and how results are written.
//!
//! A picture is decoded whole, to three bytes a pixel and at most [`MAX_PIXELS`], and reduced after that. None of the decoders in
//! use makes a smaller picture itself, and those of JPEG that do, by leaving out frequencies, give other pixels than decoding
//! and resizing: an eighth of the size is the mean of each block, where a triangle filter reaches over its neighbours, several
//! levels away at edges. The answer would depend on the size of the file. So large pictures cost memory, and no more than once: rows
//! become pixels as they come, alpha and 16 bits are dropped in place, and quarter turns are made in the picture's own memory.

mod by_crate;
mod colour;
mod error;
mod fault;
mod folder;
mod gif;
mod jpeg;
mod orientation;
mod pattern;
mod png;
pub mod preprocess;
pub mod resize;
mod tiff;
mod whole;
mod write;

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{ImageFormat, RgbImage};

pub use error::PictureError;
pub use folder::{Depth, LeftOut, Listed};
pub use write::{Format, encode, encode_for_page, encode_grey};

use crate::sniff;
use fault::Fault;

/// The most pixels that are decoded unless more are asked for: 384 MB as RGB. What is not decoded row by row takes more for the
/// time of decoding: WebP seven bytes a pixel, a JPEG of several scans nine, in four inks eleven. Cameras of 100 million pixels
/// stay below.
pub const MAX_PIXELS: u64 = 128_000_000;

/// The least width and height. A side of one pixel leaves a centre square of one colour: every position of the network's input
/// would be the same, and a map of it would show the convolutions' padding and nothing else. It is what tracking pixels and
/// failed downloads look like.
pub const MIN_SIDE: u32 = 2;

/// The largest file that is read: more than [`MAX_PIXELS`] take without compression.
pub const MAX_FILE: u64 = 1 << 30;

/// What a picture from standard input is called; a file of this name is `./-`.
const STDIN: &str = "-";

/// Whether a picture is to be read from standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// What messages call a picture.
pub fn shown(path: &Path) -> std::path::Display<'_> {
    match is_stdin(path) {
        true => Path::new("standard input").display(),
        false => path.display(),
    }
}

/// What decoders may allocate beside the picture itself, for profiles, rows and strips.
const DECODER_MEMORY: u64 = 64 << 20;

/// A decoded picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Upright, 8 bits a channel, at least [`MIN_SIDE`] each way.
    pub rgb: RgbImage,
    /// What the file was by its content, whatever its name says.
    pub format: Option<ImageFormat>,
    /// What was assumed or changed on decoding, a sentence each.
    pub notes: Vec<String>,
}

impl Picture {
    /// [`open`] under the type's name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PictureError> {
        open(path.as_ref())
    }
}

/// Reads a picture of at most [`MAX_PIXELS`].
///
/// Grey and palette are spread to RGB, CMYK is turned into RGB, 16 bits are rounded to 8. Floats, signed numbers and those of
/// more than 16 bits, which TIFF has, are scaled by limits that a note tells. Alpha is dropped and leaves the stored colour, not
/// blended with anything; where the colour was multiplied by it, it is divided. Of an animation the first frame is taken, of a
/// TIFF the first picture. The EXIF (or TIFF) orientation is applied. Colour profiles are not.
pub fn open(path: &Path) -> Result<Picture, PictureError> {
    open_up_to(path, MAX_PIXELS)
}

/// [`open`] with another limit to the number of pixels, `most`.
pub fn open_up_to(path: &Path, most: u64) -> Result<Picture, PictureError> {
    decode_up_to(&read(path)?, path, most)
}

/// [`open`] of a file's content. `path` is for the messages, and for TGA, which has no signature.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Picture, PictureError> {
    decode_up_to(bytes, path, MAX_PIXELS)
}

/// [`decode`] with another limit to the number of pixels, `most`.
pub fn decode_up_to(bytes: &[u8], path: &Path, most: u64) -> Result<Picture, PictureError> {
    let path = if is_stdin(path) {
        Path::new(STDIN_NAME)
    } else {
        path
    };
    let format = format(bytes, path)?;
    let check = |size| check_size(size, most);
    let decoded = match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, check),
        ImageFormat::Png => png::decode(bytes, check),
        ImageFormat::Gif => gif::decode(bytes, check),
        ImageFormat::Tiff => tiff::decode(bytes, check),
        _ => by_crate::decode(bytes, format, check),
    };
    let fault = |fault| PictureError::of(path, format, fault, most);
    let decoded = decoded.map_err(fault)?;
    let (width, height) = decoded.size;
    let rgb = RgbImage::from_raw(width, height, decoded.rgb);
    let mut rgb = rgb.ok_or_else(|| fault(Fault::Truncated))?;
    if let Some(orientation) = decoded.orientation {
        rgb = orientation::upright(rgb, orientation);
    }
    Ok(Picture {
        rgb,
        format: Some(format),
        notes: decoded.notes,
    })
}

/// Width and height in pixels.
type Size = (u32, u32);

/// What a decoder makes of a file.
struct Decoded {
    size: Size,
    /// Three bytes a pixel.
    rgb: Vec<u8>,
    /// What must be done to it to stand upright, if the file says.
    orientation: Option<Orientation>,
    /// What the user must be told.
    notes: Vec<String>,
}

/// The picture files that `path` stands for: a file as it is, a folder as its pictures, a pattern that is no file's name as
/// what it matches.
///
/// Of a folder: files, not folders, with an extension that can be decoded, none hidden and none for which `is_own`, this
/// program's output, holds, sorted by name; at least one. In a pattern `*`, `?` and `[...]` stand for characters of one name as
/// in shells, and `**` for any number of folders.
pub fn list(
    path: &Path,
    depth: Depth,
    is_own: impl Fn(&Path) -> bool,
) -> Result<Listed, PictureError> {
    if is_stdin(path) {
        return Ok(Listed {
            pictures: vec![path.to_owned()],
            ..Listed::default()
        });
    }
    if path.is_dir() {
        return folder::list(path, depth, is_own);
    }
    let path = path.to_owned();
    match path.try_exists() {
        Ok(true) => Ok(Listed {
            root: path.parent().unwrap_or(Path::new("")).to_owned(),
            pictures: vec![path],
            ..Listed::default()
        }),
        Ok(false) => match pattern::list(&path, depth, is_own) {
            Some(listed) => Ok(listed),
            None => Err(PictureError::NotFound { path }),
        },
        Err(reason) => Err(PictureError::Read { path, reason }),
    }
}

/// What messages call standard input.
const STDIN_NAME: &str = "standard input";

/// The bytes of a file, or of standard input, which is not a folder, not empty and at most [`MAX_FILE`] long.
pub fn read(path: &Path) -> Result<Vec<u8>, PictureError> {
    if is_stdin(path) {
        return read_stdin(Path::new(STDIN_NAME));
    }
    let owned = || path.to_owned();
    let unreadable = |reason: std::io::Error| match reason.kind() {
        ErrorKind::NotFound => PictureError::NotFound { path: owned() },
        ErrorKind::IsADirectory => PictureError::Folder { path: owned() },
        _ => PictureError::Read {
            path: owned(),
            reason,
        },
    };
    // Not every system lets a folder be opened only to fail when it is read.
    if path.is_dir() {
        return Err(PictureError::Folder { path: owned() });
    }
    let file = File::open(path).map_err(unreadable)?;
    read_from(file, path).map_err(unreadable)?
}

/// The same of standard input, which messages call `path`.
fn read_stdin(path: &Path) -> Result<Vec<u8>, PictureError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(PictureError::Terminal);
    }
    let unreadable = |reason| PictureError::Read {
        path: path.to_owned(),
        reason,
    };
    read_from(stdin.lock(), path).map_err(unreadable)?
}

/// All bytes of a file that messages call `path`; an error of the file itself, or of what it holds.
fn read_from(file: impl Read, path: &Path) -> std::io::Result<Result<Vec<u8>, PictureError>> {
    let owned = || path.to_owned();
    let mut bytes = Vec::new();
    // Pipes and devices have no length to ask for beforehand.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(match bytes.len() as u64 {
        0 => Err(PictureError::Empty { path: owned() }),
        length if length > MAX_FILE => Err(PictureError::FileTooLarge { path: owned() }),
        _ => Ok(bytes),
    })
}

/// By content. TGA alone has no signature and goes by its name.
fn format(bytes: &[u8], path: &Path) -> Result<ImageFormat, PictureError> {
    let tga = || {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("tga"))
    };
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => return Ok(format),
        // BigTIFF.
        _ if bytes.starts_with(b"II+\0\x08\0") || bytes.starts_with(b"MM\0+\0\x08") => {
            return Ok(ImageFormat::Tiff);
        }
        Err(_) if tga() && sniff::guess(bytes).is_none() => return Ok(ImageFormat::Tga),
        _ => {}
    }
    let path = path.to_owned();
    Err(match sniff::guess(bytes) {
        Some(guess) => PictureError::NotAPicture { path, guess },
        None => PictureError::Unknown { path },
    })
}

fn check_size(size: Size, most: u64) -> Result<(), Fault> {
    let (width, height) = size;
    if width < MIN_SIDE || height < MIN_SIDE {
        Err(Fault::TooSmall(size))
    } else if u64::from(width) * u64::from(height) > most {
        Err(Fault::TooLarge(size))
    } else {
        Ok(())
    }
}
