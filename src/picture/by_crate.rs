//! The formats that the `image` crate decodes whole: WebP, BMP, PNM, QOI, TGA, and fax in TIFF.

use std::io::Cursor;

use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{DECODER_MEMORY, Decoded, Fault, Size, orientation, whole};

/// Decodes a picture. Beside what the decoder itself needs, there is one buffer: pixels are turned into RGB in place.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    if !whole::is_whole(bytes, format) {
        return Err(Fault::Truncated);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    let mut decoder = reader.into_decoder()?;
    let size = decoder.dimensions();
    check(size)?;

    let stored = decoder.total_bytes();
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * stored + DECODER_MEMORY);
    decoder.set_limits(limits)?;
    // Broken metadata does not make a picture unreadable.
    let exif = decoder.exif_metadata().ok().flatten();
    let turned = match exif {
        Some(exif) => orientation::of_exif(&exif),
        None => decoder.orientation().ok(),
    };
    let colour = decoder.color_type();
    let pixels = size.0 as usize * size.1 as usize;
    let stored = usize::try_from(stored).map_err(|_| Fault::OverLimit)?;
    let mut buffer = vec![0; stored.max(3 * pixels)];
    decoder.read_image(&mut buffer[..stored])?;
    to_rgb(&mut buffer, colour, pixels)?;
    Ok(Decoded {
        size,
        rgb: buffer,
        orientation: turned,
        notes: vec![],
    })
}

/// Pixels of any width, from the buffer's beginning on, to three bytes each. Alpha is dropped; 16 bits are rounded.
fn to_rgb(buffer: &mut Vec<u8>, colour: ColorType, pixels: usize) -> Result<(), Fault> {
    let wide = match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => false,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => true,
        _ => return Err(Fault::unsupported("floats")),
    };
    let stride = usize::from(colour.bytes_per_pixel());
    let places = match (colour.has_color(), wide) {
        (false, _) => [0; 3],
        (true, false) => [0, 1, 2],
        (true, true) => [0, 2, 4],
    };
    let mut turn = |pixel: usize| {
        let levels = places.map(|place| {
            let at = stride * pixel + place;
            if wide {
                let value = u32::from(u16::from_ne_bytes([buffer[at], buffer[at + 1]]));
                ((value + 128) / 257) as u8
            } else {
                buffer[at]
            }
        });
        buffer[3 * pixel..][..3].copy_from_slice(&levels);
    };
    // No pixel is written over before it was read: those that grow go from the last to the first.
    match stride {
        3 if !wide => {}
        0..3 => (0..pixels).rev().for_each(turn),
        _ => (0..pixels).for_each(&mut turn),
    }
    buffer.truncate(3 * pixels);
    Ok(())
}
