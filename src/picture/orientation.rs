//! Which way up a picture is, and how it is put upright in its own memory.

use image::metadata::Orientation;
use image::{RgbImage, imageops};

use super::tiff::Directory;

const ORIENTATION: u16 = 0x0112;

/// What EXIF data, which are a TIFF without a picture, say; `None` if they say nothing that can be understood. The number is
/// 16 bits wide by the standard and 32 in what some programs write.
pub(super) fn of_exif(exif: &[u8]) -> Option<Orientation> {
    of_directory(&Directory::first(exif)?)
}

pub(super) fn of_directory(directory: &Directory<'_>) -> Option<Orientation> {
    Orientation::from_exif(u8::try_from(directory.number(ORIENTATION)?).ok()?)
}

/// The picture put upright. A quarter turn takes no second copy of it either.
pub(super) fn upright(mut rgb: RgbImage, orientation: Orientation) -> RgbImage {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270,
        Rotate270FlipH,
    };
    if let Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH = orientation {
        rgb = transposed(rgb);
    }
    match orientation {
        NoTransforms | Rotate90FlipH => {}
        FlipHorizontal | Rotate90 => imageops::flip_horizontal_in_place(&mut rgb),
        FlipVertical | Rotate270 => imageops::flip_vertical_in_place(&mut rgb),
        Rotate180 | Rotate270FlipH => imageops::rotate180_in_place(&mut rgb),
    }
    rgb
}

/// Rows for columns.
fn transposed(rgb: RgbImage) -> RgbImage {
    let (width, height) = rgb.dimensions();
    let mut bytes = rgb.into_raw();
    let (pixels, _) = bytes.as_chunks_mut::<3>();
    transpose(pixels, width as usize, height as usize);
    RgbImage::from_raw(height, width, bytes).expect("as many pixels as before")
}

/// Rows that are turned at once: enough of them make pieces that memory moves as fast as its lines.
const BAND: usize = 64;

/// Rows for columns in place. Bands of rows are transposed one by one, which makes a row of each column of a band; these pieces
/// then move to where they belong, each to the place of the next; the rows that fill no band come last.
fn transpose(pixels: &mut [[u8; 3]], width: usize, height: usize) {
    let band = height.isqrt().clamp(1, BAND);
    let bands = height / band;
    let filled = bands * band;
    let rest = pixels[filled * width..].to_vec();

    let mut turned = vec![[0; 3]; band * width];
    for rows in pixels[..filled * width].chunks_exact_mut(band * width) {
        for (row, pixels) in rows.chunks_exact(width).enumerate() {
            for (column, &pixel) in pixels.iter().enumerate() {
                turned[column * band + row] = pixel;
            }
        }
        rows.copy_from_slice(&turned);
    }

    let mut moved = vec![false; bands * width];
    let mut held = vec![[0; 3]; band];
    for start in 0..moved.len() {
        if moved[start] {
            continue;
        }
        held.copy_from_slice(&pixels[start * band..][..band]);
        let mut at = start;
        loop {
            at = at % width * bands + at / width;
            held.swap_with_slice(&mut pixels[at * band..][..band]);
            moved[at] = true;
            if at == start {
                break;
            }
        }
    }

    for column in (0..width).rev() {
        let from = column * filled;
        let to = column * height;
        pixels.copy_within(from..from + filled, to);
        let ends = rest.iter().skip(column).step_by(width);
        for (pixel, &end) in pixels[to + filled..to + height].iter_mut().zip(ends) {
            *pixel = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;

    use super::*;

    #[test]
    fn every_size_is_put_upright_as_by_copying() {
        for (width, height) in [
            (1, 1),
            (1, 7),
            (7, 1),
            (5, 3),
            (3, 5),
            (16, 9),
            (13, 67),
            (70, 130),
        ] {
            let level = |x: u32, y: u32, k: u32| ((x * 7 + y * 31 + k * 101) % 251) as u8;
            let rgb = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([0, 1, 2].map(|k| level(x, y, k)))
            });
            for number in 1..=8 {
                let orientation = Orientation::from_exif(number).unwrap();
                let mut copied = DynamicImage::from(rgb.clone());
                copied.apply_orientation(orientation);
                let ours = upright(rgb.clone(), orientation);
                assert_eq!(
                    ours,
                    copied.into_rgb8(),
                    "{orientation:?} of {width} x {height}"
                );
            }
        }
    }

    #[test]
    fn the_number_may_be_of_any_width_and_order_of_bytes() {
        let short = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(of_exif(short), Some(Orientation::Rotate90));
        let long = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x03\0\0\0\0\0\0\0";
        assert_eq!(of_exif(long), Some(Orientation::Rotate180));
        let byte = b"II*\0\x08\0\0\0\x01\0\x12\x01\x01\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        assert_eq!(of_exif(byte), Some(Orientation::Rotate270));
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        let text = b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0";
        let nine = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0";
        let far = b"II*\0\xff\xff\xff\xff";
        for exif in [&text[..], nine, far, b"", b"II*\0\x08\0\0\0\xff\xff"] {
            assert_eq!(of_exif(exif), None);
        }
    }
}
