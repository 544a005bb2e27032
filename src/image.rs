//! Picture files: what they hold as 8-bit RGB, which files of a folder they are, and how results are written.

mod colour;
mod error;
mod fault;
mod folder;
mod jpeg;
mod orientation;
mod tiff;
mod whole;
mod write;

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

pub use error::PictureError;
pub use folder::{LeftOut, Listed};
pub use write::{encode, encode_grey_16};

use crate::sniff;
use fault::Fault;

/// The most pixels that are decoded: 805 MB as RGB. The largest sensors (200 million) stay below, 30000 x 30000 does not.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The least width and height. A side of one pixel leaves a centre square of one colour: every position of the network's input
/// would be the same, and a map of it would show the convolutions' padding and nothing else. It is what tracking pixels and
/// failed downloads look like.
pub const MIN_SIDE: u32 = 2;

/// The largest file that is read: more than [`MAX_PIXELS`] take without compression.
pub const MAX_FILE: u64 = 1 << 30;

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

/// Reads a picture.
///
/// Grey and palette are spread to RGB, CMYK is turned into RGB, 16 bits are rounded to 8, floats are cut to 0..=1. Alpha is
/// dropped and leaves the stored colour, not blended with anything. Of an animation the first frame is taken. The EXIF (or TIFF)
/// orientation is applied. Colour profiles are not.
pub fn open(path: &Path) -> Result<Picture, PictureError> {
    decode(&read(path)?, path)
}

/// [`open`] of a file's content. `path` is for the messages, and for TGA, which has no signature.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Picture, PictureError> {
    let format = format(bytes, path)?;
    let decoded = match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, check_size),
        ImageFormat::Tiff => tiff::decode(bytes, check_size),
        _ => by_crate(bytes, format, check_size),
    };
    let decoded = decoded.map_err(|fault| PictureError::of(path, format, fault))?;
    let (width, height) = decoded.size;
    let rgb = RgbImage::from_raw(width, height, decoded.rgb);
    let rgb = rgb.ok_or_else(|| PictureError::of(path, format, Fault::Truncated))?;
    let mut picture = DynamicImage::from(rgb);
    if let Some(orientation) = decoded.orientation {
        picture.apply_orientation(orientation);
    }
    Ok(Picture {
        rgb: picture.into_rgb8(),
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

fn by_crate(
    bytes: &[u8],
    format: ImageFormat,
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    if !whole::is_whole(bytes, format) {
        return Err(Fault::Truncated);
    }
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder()?;
    let size = decoder.dimensions();
    check(size)?;

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * decoder.total_bytes() + DECODER_MEMORY);
    decoder.set_limits(limits)?;
    // Broken metadata does not make a picture unreadable.
    let orientation = decoder.orientation().ok();
    let picture = DynamicImage::from_decoder(decoder)?;
    Ok(Decoded {
        size,
        rgb: picture.into_rgb8().into_raw(),
        orientation,
        notes: vec![],
    })
}

/// The picture files that `path` stands for: a file as it is, a folder as its pictures.
///
/// Of a folder: files, not folders, with an extension that can be decoded, none hidden and none for which `is_own`, this
/// program's output, holds, sorted by name; at least one.
pub fn list(path: &Path, is_own: impl Fn(&Path) -> bool) -> Result<Listed, PictureError> {
    if path.is_dir() {
        return folder::list(path, is_own);
    }
    let path = path.to_owned();
    match path.try_exists() {
        Ok(true) => Ok(Listed {
            pictures: vec![path],
            ..Listed::default()
        }),
        Ok(false) => Err(PictureError::NotFound { path }),
        Err(reason) => Err(PictureError::Read { path, reason }),
    }
}

/// The bytes of a file, which is not a folder, not empty and at most [`MAX_FILE`] long.
fn read(path: &Path) -> Result<Vec<u8>, PictureError> {
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
    let mut bytes = Vec::new();
    // Pipes and devices have no length to ask for beforehand.
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 {
        0 => Err(PictureError::Empty { path: owned() }),
        length if length > MAX_FILE => Err(PictureError::FileTooLarge { path: owned() }),
        _ => Ok(bytes),
    }
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

fn check_size(size: Size) -> Result<(), Fault> {
    let (width, height) = size;
    if width < MIN_SIDE || height < MIN_SIDE {
        Err(Fault::TooSmall(size))
    } else if u64::from(width) * u64::from(height) > MAX_PIXELS {
        Err(Fault::TooLarge(size))
    } else {
        Ok(())
    }
}
