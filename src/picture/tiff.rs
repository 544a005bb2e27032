//! TIFF, as cameras, scanners and microscopes write it: samples of 1 to 64 bits, whole numbers or floats, grey, RGB, palette and
//! CMYK, in strips or tiles, together or in planes, unpacked and as packed as there is a decoder for.
//!
//! ```text
//! tags -> where samples are, and of what kind -> bytes of a chunk -> numbers of a row -> levels of a row
//! directory             layout                       chunk              samples             (here)
//! ```
//!
//! The program reads TIFF itself, for the crate that the others go through refuses most of what measures rather than pictures:
//! palettes, floats, signed numbers, 4 and 12 bits, grey with alpha.

mod chunk;
mod directory;
mod fax;
mod layout;
mod samples;

use std::io::{self, Read};

use image::ImageFormat;

pub(super) use directory::Directory;
use layout::{Colour, Compression, Layout, Number, Planes};

use super::colour::under_black;
use super::{Decoded, Fault, Size, by_crate, jpeg, orientation};

/// The part of their range that unsigned numbers must use to be taken as the format says. Below it they are what an instrument
/// of fewer bits counted, and the picture would be black.
const USED_PART: f64 = 1.0 / 8.0;

/// Decodes the first picture of a file.
pub(super) fn decode(
    bytes: &[u8],
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    let directory = Directory::first(bytes).ok_or(Fault::Truncated)?;
    let size = layout::size(&directory)?;
    check(size)?;
    if fax::is_fax(&directory) {
        let bytes = fax::highest_bits_first(bytes, &directory, size)?;
        return by_crate::decode(&bytes, ImageFormat::Tiff, check);
    }
    let layout = Layout::of(&directory, size)?;
    let mut notes = vec![];
    if directory.is_followed {
        notes.push("it holds several pictures; the first was read".to_owned());
    }
    let rgb = if let Compression::Jpeg(tables) = layout.compression {
        paint_jpeg(&directory, &layout, tables)?
    } else {
        let scale = Scale::of(&directory, &layout)?;
        notes.extend(scale.note(&layout));
        paint(&directory, &layout, scale)?
    };
    Ok(Decoded {
        size,
        rgb,
        orientation: orientation::of_directory(&directory),
        notes,
    })
}

/// What numbers are black and white.
#[derive(Clone, Copy)]
struct Scale {
    black: f64,
    white: f64,
    /// Whether the format says so, and not the picture.
    by_format: bool,
    /// How many numbers were none: infinite or NaN.
    not_numbers: u64,
}

impl Scale {
    /// Unsigned numbers of up to 16 bits go from 0 to the largest, and floats that lie in 0..=1 are taken as such. All others,
    /// and those that use but a small part of their range, go from the picture's least to its largest.
    fn of(directory: &Directory<'_>, layout: &Layout<'_>) -> Result<Self, Fault> {
        let most = match layout.number {
            Number::Float => 1.0,
            _ => 2f64.powi(layout.bits as i32) - 1.0,
        };
        let by_format = Self {
            black: 0.0,
            white: most,
            by_format: true,
            not_numbers: 0,
        };
        // Fewer bits are meant as they are, and colours of inks and palettes mean something.
        let is_picture = layout.number == Number::Unsigned && layout.bits < 16;
        let is_grey = matches!(layout.colour, Colour::Grey | Colour::InvertedGrey);
        if is_picture || !is_grey && layout.colour != Colour::Rgb {
            return match layout.number {
                Number::Unsigned => Ok(by_format),
                _ => Err(Fault::unsupported("inks that are not unsigned numbers")),
            };
        }
        let (mut least, mut largest, mut not_numbers) = (f64::INFINITY, f64::NEG_INFINITY, 0);
        let colours = if is_grey { 1 } else { 3 };
        rows(directory, layout, |_, _, row| {
            for pixel in row.chunks_exact(layout.used()) {
                for &value in &pixel[..colours] {
                    match value.is_finite() {
                        true => (least, largest) = (least.min(value), largest.max(value)),
                        false => not_numbers += 1,
                    }
                }
            }
        })?;
        if least > largest {
            return Err(Fault::damaged("none of its values is a number"));
        }
        let fits = match layout.number {
            Number::Unsigned => layout.bits == 16,
            Number::Signed => false,
            Number::Float => least >= 0.0 && largest <= 1.0,
        };
        if fits && largest >= USED_PART * most {
            return Ok(Self {
                not_numbers,
                ..by_format
            });
        }
        if layout.multiplied {
            return Err(Fault::unsupported(
                "colour multiplied by alpha, of numbers without a known white",
            ));
        }
        Ok(Self {
            black: least,
            white: largest,
            by_format: false,
            not_numbers,
        })
    }

    /// What the user must be told.
    fn note(self, layout: &Layout<'_>) -> Vec<String> {
        let kind = match layout.number {
            Number::Unsigned => "unsigned",
            Number::Signed => "signed",
            Number::Float => "float",
        };
        let (bits, black, white) = (layout.bits, self.black, self.white);
        let mut notes = vec![];
        if !self.by_format {
            let (dark, bright) = match layout.colour {
                Colour::InvertedGrey => ("white", "black"),
                _ => ("black", "white"),
            };
            notes.push(format!(
                "its {bits}-bit {kind} values are scaled: {black}, the least, is {dark}, and {white}, the largest, {bright}"
            ));
        } else if layout.number == Number::Float {
            notes.push(format!(
                "its {bits}-bit float values lie in 0 to 1 and are taken as black to white"
            ));
        }
        if self.not_numbers > 0 {
            let count = self.not_numbers;
            notes.push(format!(
                "{count} of its values are infinite or no numbers (NaN); they count as the least"
            ));
        }
        notes
    }

    fn level(self, value: f64, layout: &Layout<'_>) -> u8 {
        if layout.number == Number::Unsigned && layout.bits < 16 {
            // Cut, not rounded, as others do.
            return (value as u64 * 255 / self.white as u64) as u8;
        }
        let part = (value - self.black) / (self.white - self.black);
        // A picture of one value divides by nothing.
        match value.is_finite() {
            true => (part * 255.0 + 0.5) as u8,
            false => 0,
        }
    }
}

/// The pixels.
fn paint(directory: &Directory<'_>, layout: &Layout<'_>, scale: Scale) -> Result<Vec<u8>, Fault> {
    let (width, height) = (layout.size.0 as usize, layout.size.1 as usize);
    let mut rgb = vec![0; 3 * width * height];
    // Fewer bits are looked up.
    let levels: Vec<u8> = match layout.bits {
        bits @ 1..=8 if layout.number == Number::Unsigned => (0..1u32 << bits)
            .map(|n| scale.level(n.into(), layout))
            .collect(),
        _ => vec![],
    };
    let level = |value: f64| match levels.get(value as usize) {
        Some(&level) => level,
        None => scale.level(value, layout),
    };
    rows(directory, layout, |x, y, row| {
        let at = 3 * (y * width + x);
        let pixels = rgb[at..].as_chunks_mut::<3>().0;
        for (pixel, samples) in pixels.iter_mut().zip(row.chunks_exact(layout.used())) {
            *pixel = match layout.colour {
                Colour::Grey => [level(samples[0]); 3],
                Colour::InvertedGrey => [255 - level(samples[0]); 3],
                Colour::Rgb | Colour::YCbCr => [0, 1, 2].map(|i| level(samples[i])),
                Colour::Cmyk => {
                    let inks = [0, 1, 2].map(|i| level(samples[i]));
                    under_black(inks, 255 - level(samples[3]))
                }
                Colour::Palette(ref colours) => colours[samples[0] as usize],
            };
            if layout.multiplied {
                let alpha = samples[samples.len() - 1] / scale.white;
                for (i, level) in pixel.iter_mut().enumerate() {
                    // Grey has one for all three.
                    let value = samples[i.min(samples.len() - 2)];
                    // Where nothing is seen, the colour is what is stored.
                    if alpha > 0.0 && alpha < 1.0 {
                        *level = (value / scale.white / alpha * 255.0 + 1e-9) as u8;
                    }
                }
            }
        }
    })?;
    Ok(rgb)
}

/// Calls `visit` for each row of each chunk with the place of its first pixel, column and row, and the samples used, pixel by
/// pixel, without what lies beyond the picture.
fn rows(
    directory: &Directory<'_>,
    layout: &Layout<'_>,
    mut visit: impl FnMut(usize, usize, &[f64]),
) -> Result<(), Fault> {
    let (width, height) = (layout.size.0 as usize, layout.size.1 as usize);
    let (wide, high) = layout.chunk;
    let used = layout.used();
    // Samples that come together, and how many kinds of chunks there are.
    let (together, kinds) = match layout.planes {
        Planes::Together => (layout.samples, 1),
        Planes::Apart => (1, used),
    };
    let mut bytes = vec![0; (wide * together * layout.bits as usize).div_ceil(8)];
    let mut values = vec![0.0; wide.min(width) * used];
    for index in 0..layout.chunks_of_a_plane() {
        let (left, top) = (index % layout.across * wide, index / layout.across * high);
        let inside = wide.min(width - left);
        let values = &mut values[..inside * used];
        let chunks = (0..kinds)
            .map(|kind| stored(directory, layout, kind * layout.chunks_of_a_plane() + index));
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        let readers = chunks
            .iter()
            .map(|(bytes, _)| chunk::unpacked(bytes, layout.compression));
        let mut readers = readers.collect::<Result<Vec<_>, _>>()?;
        for y in top..height.min(top + high) {
            for (kind, reader) in readers.iter_mut().enumerate() {
                let read = reader.read_exact(&mut bytes);
                read.map_err(|e| unreadable(&e, chunks[kind].1))?;
                samples::undo(&mut bytes, layout, together);
                let first = match layout.planes {
                    Planes::Together => 0..used,
                    Planes::Apart => kind..kind + 1,
                };
                for (x, pixel) in values.chunks_exact_mut(used).enumerate() {
                    for (i, value) in pixel[first.clone()].iter_mut().enumerate() {
                        *value = samples::value(&bytes, x * together + i, layout);
                    }
                }
            }
            visit(left, y, values);
        }
    }
    Ok(())
}

/// The bytes of a chunk as the file has them, and whether they are all there.
fn stored<'a>(
    directory: &Directory<'a>,
    layout: &Layout<'_>,
    index: usize,
) -> Result<(std::borrow::Cow<'a, [u8]>, bool), Fault> {
    let &(offset, length) = layout.chunks.get(index).ok_or(Fault::Truncated)?;
    let bytes = directory.at(offset, length);
    let whole = length == u64::MAX || bytes.len() as u64 == length;
    Ok(match layout.reversed {
        false => (bytes.into(), whole),
        true => (
            bytes.iter().map(|byte| byte.reverse_bits()).collect(),
            whole,
        ),
    })
}

fn unreadable(reason: &io::Error, whole: bool) -> Fault {
    match reason.kind() {
        _ if !whole => Fault::Truncated,
        io::ErrorKind::UnexpectedEof => Fault::damaged("a strip or tile holds too little"),
        _ => Fault::Damaged(reason.to_string().into()),
    }
}

/// The pixels of chunks that are JPEG pictures.
fn paint_jpeg(
    directory: &Directory<'_>,
    layout: &Layout<'_>,
    tables: &[u8],
) -> Result<Vec<u8>, Fault> {
    let colour = match layout.colour {
        Colour::Grey => jpeg::Colour::Grey,
        Colour::Rgb => jpeg::Colour::Rgb,
        Colour::YCbCr => jpeg::Colour::YCbCr,
        _ => return Err(Fault::unsupported("JPEG compression of this colour")),
    };
    if layout.planes == Planes::Apart || layout.bits != 8 || layout.samples != layout.used() {
        return Err(Fault::unsupported(
            "JPEG compression of planes or of other than 8 bits",
        ));
    }
    let (width, height) = (layout.size.0 as usize, layout.size.1 as usize);
    let (wide, high) = layout.chunk;
    let mut rgb = vec![0; 3 * width * height];
    // Tables and pictures are both between start and end markers: they are joined into one.
    let tables = tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables);
    for index in 0..layout.chunks_of_a_plane() {
        let (left, top) = (index % layout.across * wide, index / layout.across * high);
        let (inside, until) = (wide.min(width - left), height.min(top + high));
        let (bytes, whole) = stored(directory, layout, index)?;
        if !whole {
            return Err(Fault::Truncated);
        }
        let fits = |(w, h): Size| match w as usize >= inside
            && h as usize >= until - top
            && w as usize <= wide
            && h as usize <= high
        {
            true => Ok(()),
            false => Err(Fault::damaged("a strip or tile has another size")),
        };
        let picture = jpeg::decode_as(&[tables, &bytes].concat(), Some(colour), fits)?;
        let stride = 3 * picture.size.0 as usize;
        for (y, row) in (top..until).zip(picture.rgb.chunks_exact(stride)) {
            rgb[3 * (y * width + left)..][..3 * inside].copy_from_slice(&row[..3 * inside]);
        }
    }
    Ok(rgb)
}
