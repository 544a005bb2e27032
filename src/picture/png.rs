//! PNG, row by row. Profiles and texts are passed over, whatever they would unpack to.

use std::io::{self, Cursor};

use png::{BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Transformations};

use super::{DECODER_MEMORY, Decoded, Fault, Size, orientation};

/// Decodes a picture; of an animation the picture that all readers see.
pub(super) fn decode(
    bytes: &[u8],
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    let limits = Limits {
        bytes: DECODER_MEMORY as usize,
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info()?;
    let size = header.size();
    check(size)?;
    let mut reader = decoder.read_info()?;

    let (colour, depth) = reader.output_color_type();
    let (width, height) = (size.0 as usize, size.1 as usize);
    let mut rgb = vec![0; 3 * width * height];
    let mut line = vec![0; 3 * width];
    let mut left = width * height;
    // To the last pixel and no further: beyond it the end may be missing.
    while left > 0 {
        let row = reader.next_interlaced_row()?;
        let row = row.ok_or(Fault::damaged("it holds too few rows"))?;
        let pixels = row.data().len() / (colour.samples() * depth as usize / 8);
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                let at = 3 * (width * height - left);
                to_rgb(row.data(), colour, depth, &mut rgb[at..]);
            }
            InterlaceInfo::Adam7(pass) => {
                to_rgb(row.data(), colour, depth, &mut line);
                png::expand_interlaced_row(&mut rgb, 3 * width, &line[..3 * pixels], pass, 24);
            }
        }
        left = left.saturating_sub(pixels);
    }
    let mut notes = vec![];
    match reader.finish().map_err(Fault::from) {
        Ok(()) => {}
        Err(Fault::Truncated) => {
            notes.push("its end (IEND) is missing, though all pixels are there".to_owned());
        }
        Err(fault) => return Err(fault),
    }
    let exif = reader.info().exif_metadata.as_deref();
    Ok(Decoded {
        size,
        rgb,
        orientation: exif.and_then(orientation::of_exif),
        notes,
    })
}

/// A row of 8 or 16 bits a sample. Alpha is dropped; 16 bits are rounded.
fn to_rgb(row: &[u8], colour: ColorType, depth: BitDepth, rgb: &mut [u8]) {
    let samples = colour.samples();
    let red_green_blue = if samples < 3 { [0; 3] } else { [0, 1, 2] };
    let pixels = rgb.as_chunks_mut().0.iter_mut();
    if depth == BitDepth::Sixteen {
        for (pixel, from) in pixels.zip(row.chunks_exact(2 * samples)) {
            *pixel = red_green_blue.map(|i| {
                let wide = u32::from(u16::from_be_bytes([from[2 * i], from[2 * i + 1]]));
                ((wide + 128) / 257) as u8
            });
        }
    } else {
        for (pixel, from) in pixels.zip(row.chunks_exact(samples)) {
            *pixel = red_green_blue.map(|i| from[i]);
        }
    }
}

impl From<DecodingError> for Fault {
    fn from(reason: DecodingError) -> Self {
        match reason {
            DecodingError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Truncated
            }
            DecodingError::LimitsExceeded => Self::OverLimit,
            reason => Self::Damaged(reason.to_string().into()),
        }
    }
}
