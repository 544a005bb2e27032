//! What a TIFF's tags say of its samples: their kind, and where they are. What is not read is refused here, by name.

use super::Directory;
use crate::picture::{Fault, Size};

pub(super) mod tag {
    pub(in super::super) const WIDTH: u16 = 256;
    pub(in super::super) const HEIGHT: u16 = 257;
    pub(in super::super) const BITS: u16 = 258;
    pub(in super::super) const COMPRESSION: u16 = 259;
    pub(in super::super) const PHOTOMETRIC: u16 = 262;
    pub(in super::super) const FILL_ORDER: u16 = 266;
    pub(in super::super) const STRIP_OFFSETS: u16 = 273;
    pub(in super::super) const SAMPLES: u16 = 277;
    pub(in super::super) const ROWS_PER_STRIP: u16 = 278;
    pub(in super::super) const STRIP_LENGTHS: u16 = 279;
    pub(in super::super) const PLANAR: u16 = 284;
    pub(in super::super) const PREDICTOR: u16 = 317;
    pub(in super::super) const COLOUR_MAP: u16 = 320;
    pub(in super::super) const TILE_WIDTH: u16 = 322;
    pub(in super::super) const TILE_HEIGHT: u16 = 323;
    pub(in super::super) const TILE_OFFSETS: u16 = 324;
    pub(in super::super) const TILE_LENGTHS: u16 = 325;
    pub(in super::super) const EXTRA_SAMPLES: u16 = 338;
    pub(in super::super) const SAMPLE_FORMAT: u16 = 339;
    pub(in super::super) const JPEG_TABLES: u16 = 347;
}

/// The most bytes of a row of samples, in the file and as numbers.
const MAX_ROW: u64 = 64 << 20;

/// How many times a picture's pixels its tiles may hold, those beyond its edges included. A small picture in one tile of usual
/// size has more, so that [`MAX_PADDING`] comes on top.
const MAX_PADDED: u64 = 16;

const MAX_PADDING: u64 = 1 << 24;

/// How a picture's samples are stored.
pub(super) struct Layout<'a> {
    pub(super) size: Size,
    pub(super) colour: Colour,
    pub(super) number: Number,
    /// Bits of each sample, 1 to 64.
    pub(super) bits: u32,
    pub(super) little_endian: bool,
    /// Samples of a pixel, with those that are not used.
    pub(super) samples: usize,
    /// Whether the sample after the colour's is alpha by which the colour is already multiplied.
    pub(super) multiplied: bool,
    /// How the samples of a pixel lie.
    pub(super) planes: Planes,
    pub(super) compression: Compression<'a>,
    pub(super) predictor: Predictor,
    /// Whether the bits of each byte of the file are reversed.
    pub(super) reversed: bool,
    /// The size of a chunk, strip or tile, in pixels, and how many stand side by side.
    pub(super) chunk: (usize, usize),
    pub(super) across: usize,
    /// Where chunks begin, and how long they are, in the order of the file; planes after one another.
    pub(super) chunks: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Colour {
    /// Black is the least number.
    Grey,
    /// White is.
    InvertedGrey,
    Rgb,
    Cmyk,
    /// A colour for each number.
    Palette(Vec<[u8; 3]>),
    /// Only as JPEG, which turns it into RGB.
    YCbCr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planes {
    Together,
    /// Each kind of sample in chunks of its own.
    Apart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Unsigned,
    Signed,
    Float,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression<'a> {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    /// With the tables that all chunks share.
    Jpeg(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Each sample is stored as what it differs by from the one to its left.
    Horizontal,
    /// The same of the bytes of a row of floats, the highest of all first.
    Float,
}

/// Width and height.
pub(super) fn size(directory: &Directory<'_>) -> Result<Size, Fault> {
    let side = |tag| directory.number(tag).and_then(|n| u32::try_from(n).ok());
    match (side(tag::WIDTH), side(tag::HEIGHT)) {
        (Some(width), Some(height)) => Ok((width, height)),
        _ => Err(Fault::damaged("its size is missing")),
    }
}

fn predictor(
    directory: &Directory<'_>,
    compression: Compression<'_>,
    bits: u32,
    number: Number,
) -> Result<Predictor, Fault> {
    // Beside other compressions the tag means nothing, as libtiff has it.
    let is_read = matches!(
        compression,
        Compression::Lzw | Compression::Deflate | Compression::Zstd
    );
    match (directory.number(tag::PREDICTOR).unwrap_or(1), bits, number) {
        (1, ..) => Ok(Predictor::None),
        _ if !is_read => Ok(Predictor::None),
        (2, 8 | 16 | 32 | 64, _) => Ok(Predictor::Horizontal),
        (3, _, Number::Float) => Ok(Predictor::Float),
        (n, ..) => Err(unsupported(format!("predictor {n} of {bits}-bit samples"))),
    }
}

/// Whether tiles of `tile` columns, the last one beyond the picture, hold much more than it.
fn is_mostly_padding((width, height): Size, tile: u64) -> bool {
    let (width, height) = (u64::from(width), u64::from(height));
    width.next_multiple_of(tile) * height > MAX_PADDED * width * height + MAX_PADDING
}

impl<'a> Layout<'a> {
    /// Of a picture of a size that was checked.
    pub(super) fn of(directory: &Directory<'a>, size: Size) -> Result<Self, Fault> {
        if directory.is_cut(tag::WIDTH..=tag::JPEG_TABLES) {
            return Err(Fault::Truncated);
        }
        let or = |tag, default| directory.number(tag).unwrap_or(default);
        let compression = compression(directory)?;
        let samples = match or(tag::SAMPLES, 1) {
            samples @ 1..=255 => samples as usize,
            samples => return Err(unsupported(format!("{samples} samples a pixel"))),
        };
        let bits = bits(directory)?;
        let number = number(directory)?;
        let planes = match or(tag::PLANAR, 1) {
            2 if samples > 1 => Planes::Apart,
            _ => Planes::Together,
        };
        let (colour, multiplied) = colour(directory, samples, bits, number)?;
        if colour == Colour::YCbCr && !matches!(compression, Compression::Jpeg(_)) {
            return Err(Fault::unsupported("YCbCr colour without JPEG compression"));
        }
        if number == Number::Float && !matches!(bits, 16 | 32 | 64) {
            return Err(unsupported(format!("{bits}-bit floats")));
        }
        let predictor = predictor(directory, compression, bits, number)?;
        let (chunk, offsets, lengths) = chunks(directory, size)?;
        let (together, kinds) = match planes {
            Planes::Together => (samples, 1),
            Planes::Apart => (1, samples),
        };
        if chunk.0 as u64 * together as u64 * u64::from(bits) / 8 > MAX_ROW {
            return Err(Fault::OverLimit);
        }
        if is_mostly_padding(size, chunk.0 as u64) {
            return Err(Fault::OverLimit);
        }
        let layout = Self {
            size,
            colour,
            number,
            bits,
            little_endian: directory.little_endian,
            samples,
            multiplied,
            planes,
            compression,
            predictor,
            reversed: or(tag::FILL_ORDER, 1) == 2,
            chunk,
            across: (size.0 as usize).div_ceil(chunk.0),
            // Old programs leave the lengths away: to the end of the file then, of which no more is read than is needed.
            chunks: match lengths {
                Some(lengths) => offsets.into_iter().zip(lengths).collect(),
                None => offsets.into_iter().map(|at| (at, u64::MAX)).collect(),
            },
        };
        let needed = layout.chunks_of_a_plane() * kinds;
        if layout.chunk.0.min(layout.size.0 as usize) * layout.used() * size_of::<f64>()
            > MAX_ROW as usize
        {
            return Err(Fault::OverLimit);
        }
        match layout.chunks.len() < needed {
            true => Err(Fault::damaged("it has fewer strips or tiles than it needs")),
            false => Ok(layout),
        }
    }

    pub(super) fn chunks_of_a_plane(&self) -> usize {
        self.across * (self.size.1 as usize).div_ceil(self.chunk.1)
    }

    /// Samples that make the colour, alpha among them where it matters: the first ones of each pixel.
    pub(super) fn used(&self) -> usize {
        let colours = match self.colour {
            Colour::Grey | Colour::InvertedGrey | Colour::Palette(_) => 1,
            Colour::Rgb | Colour::YCbCr => 3,
            Colour::Cmyk => 4,
        };
        colours + usize::from(self.multiplied)
    }
}

fn unsupported(kind: String) -> Fault {
    Fault::Unsupported(kind.into())
}

fn compression<'a>(directory: &Directory<'a>) -> Result<Compression<'a>, Fault> {
    let name = match directory.number(tag::COMPRESSION).unwrap_or(1) {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        50000 => return Ok(Compression::Zstd),
        7 => {
            let tables = directory.value(tag::JPEG_TABLES).unwrap_or_default();
            return Ok(Compression::Jpeg(tables));
        }
        2 => "fax compression of single lines",
        3 => "fax compression of group 3",
        6 => "JPEG compression of the old kind",
        34712 | 33003 | 33005 => "JPEG 2000 compression",
        34887 => "LERC compression",
        34925 => "LZMA compression",
        50001 => "WebP compression",
        50002 | 52546 => "JPEG XL compression",
        number => return Err(unsupported(format!("compression {number}"))),
    };
    Err(Fault::unsupported(name))
}

/// The same of all samples.
fn bits(directory: &Directory<'_>) -> Result<u32, Fault> {
    let all = directory.numbers(tag::BITS).unwrap_or(vec![1]);
    match all[..] {
        [first @ 1..=64, ref rest @ ..] if rest.iter().all(|&bits| bits == first) => {
            Ok(first as u32)
        }
        _ => Err(unsupported(format!("samples of {all:?} bits"))),
    }
}

fn number(directory: &Directory<'_>) -> Result<Number, Fault> {
    let all = directory.numbers(tag::SAMPLE_FORMAT).unwrap_or_default();
    if all.iter().any(|&format| format != all[0]) {
        return Err(Fault::unsupported("samples of different kinds"));
    }
    match all.first() {
        // 4 is "undefined", which is taken as most readers do.
        None | Some(1 | 4) => Ok(Number::Unsigned),
        Some(2) => Ok(Number::Signed),
        Some(3) => Ok(Number::Float),
        Some(_) => Err(Fault::unsupported("complex numbers")),
    }
}

/// The colour, and whether alpha is multiplied into it.
fn colour(
    directory: &Directory<'_>,
    samples: usize,
    bits: u32,
    number: Number,
) -> Result<(Colour, bool), Fault> {
    let photometric = directory.number(tag::PHOTOMETRIC);
    let (colour, needed) = match photometric {
        Some(0) => (Colour::InvertedGrey, 1),
        Some(1) => (Colour::Grey, 1),
        Some(3) => {
            if bits > 16 || number != Number::Unsigned {
                return Err(Fault::unsupported("a palette of numbers of this kind"));
            }
            (Colour::Palette(palette(directory, bits)?), 1)
        }
        Some(5) => (Colour::Cmyk, 4),
        Some(6) => (Colour::YCbCr, 3),
        // Not allowed to be missing; what is left then is what the number of samples says.
        None if samples < 3 => (Colour::Grey, 1),
        None | Some(2) => (Colour::Rgb, 3),
        Some(8..=10) => return Err(Fault::unsupported("L*a*b* colour")),
        Some(32803 | 34892) => return Err(Fault::unsupported("a camera's raw data")),
        Some(32844 | 32845) => return Err(Fault::unsupported("LogLuv colour")),
        Some(other) => return Err(unsupported(format!("photometric interpretation {other}"))),
    };
    if samples < needed {
        return Err(Fault::damaged("it has fewer samples than its colour needs"));
    }
    let extra = directory.numbers(tag::EXTRA_SAMPLES).unwrap_or_default();
    let alpha = extra.first().copied().unwrap_or(0);
    // Two: grey and whatever it is. More: it would be a guess which of them are red, green and blue.
    if needed == 1 && samples > 2 && !matches!(alpha, 1 | 2) {
        return Err(unsupported(format!(
            "{samples} channels without a word about their colours; keep three of them, as RGB"
        )));
    }
    let multiplied = samples > needed && alpha == 1;
    if multiplied && !matches!(colour, Colour::Grey | Colour::Rgb) {
        return Err(Fault::unsupported(
            "alpha multiplied into a colour that is neither grey nor RGB",
        ));
    }
    Ok((colour, multiplied))
}

/// 16 bits of red, then of green, then of blue; in some old files 8 bits.
fn palette(directory: &Directory<'_>, bits: u32) -> Result<Vec<[u8; 3]>, Fault> {
    let all = directory.numbers(tag::COLOUR_MAP).unwrap_or_default();
    let count = 1 << bits;
    if all.len() < 3 * count {
        return Err(Fault::damaged("its palette is missing or too short"));
    }
    let shift = if all.iter().any(|&n| n > 255) { 8 } else { 0 };
    let level = |at: usize| (all[at] >> shift) as u8;
    Ok((0..count)
        .map(|i| [level(i), level(i + count), level(i + 2 * count)])
        .collect())
}

pub(super) type Chunks = ((usize, usize), Vec<u64>, Option<Vec<u64>>);

/// The size of a chunk, offsets and lengths.
pub(super) fn chunks(directory: &Directory<'_>, (width, height): Size) -> Result<Chunks, Fault> {
    let (tag_offsets, tag_lengths, chunk_size) =
        if let Some(wide) = directory.number(tag::TILE_WIDTH) {
            let high = directory.number(tag::TILE_HEIGHT).unwrap_or(0);
            (tag::TILE_OFFSETS, tag::TILE_LENGTHS, (wide, high))
        } else {
            let rows = directory.number(tag::ROWS_PER_STRIP).unwrap_or(u64::MAX);
            let rows = rows.min(height.into());
            (tag::STRIP_OFFSETS, tag::STRIP_LENGTHS, (width.into(), rows))
        };
    // More would only be padding.
    let side = |n: u64| {
        usize::try_from(n)
            .ok()
            .filter(|n| (1..=1 << 28).contains(n))
    };
    let (Some(wide), Some(high)) = (side(chunk_size.0), side(chunk_size.1)) else {
        return Err(Fault::damaged(
            "its strips or tiles have no size that can be",
        ));
    };
    // Tiles' tags are written by some programs as the strips'.
    let offsets = directory
        .numbers(tag_offsets)
        .or_else(|| directory.numbers(tag::STRIP_OFFSETS))
        .ok_or(Fault::damaged(
            "the places of its strips or tiles are missing",
        ))?;
    let lengths = directory
        .numbers(tag_lengths)
        .or_else(|| directory.numbers(tag::STRIP_LENGTHS));
    Ok(((wide, high), offsets, lengths))
}
