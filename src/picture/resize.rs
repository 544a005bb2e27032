//! Resizing pictures as Pillow does, to the bit.
//!
//! Networks are trained on, and this program is held against, pictures that Pillow resized. The same filter in other arithmetic
//! (the `image` crate's, in floats) differs by one level in every eighth value; this one differs in none, and takes less time.

use image::RgbImage;

/// The rectangle of a picture that is resized, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Region {
    /// All of `picture`.
    pub fn whole(picture: &RgbImage) -> Self {
        Self {
            x: 0,
            y: 0,
            width: picture.width(),
            height: picture.height(),
        }
    }
}

/// `region` of `picture` at `width` x `height`: `picture.crop(region).resize((width, height), Image.BILINEAR)` of Pillow.
///
/// The triangle filter `max(0, 1 - |d|)`, d in pixels of the larger of the two, so that every pixel counts when shrinking; rows
/// first, rounded to 8 bits, then columns. Nothing outside the region is read. The same size is the same picture.
///
/// # Panics
/// If a side is zero or the region reaches beyond the picture.
pub fn bilinear(picture: &RgbImage, region: Region, width: u32, height: u32) -> RgbImage {
    assert!(width > 0 && height > 0 && region.width > 0 && region.height > 0);
    assert!(region.x + region.width <= picture.width());
    assert!(region.y + region.height <= picture.height());

    // Every row of the region, as wide as the result.
    let (columns, stride) = (filter(region.width, width), width as usize);
    let mut narrow = Vec::with_capacity(region.height as usize * stride);
    let (left, right) = (region.x as usize, (region.x + region.width) as usize);
    let pixels = picture.as_raw().as_chunks::<3>().0;
    let rows = pixels.chunks_exact(picture.width() as usize);
    for row in rows.skip(region.y as usize).take(region.height as usize) {
        let row = &row[left..right];
        narrow.extend(columns.iter().map(|taps| {
            let seen = &row[taps.first..][..taps.weights.len()];
            weighted(seen.iter(), &taps.weights)
        }));
    }

    let mut out = Vec::with_capacity(height as usize * stride);
    for taps in &filter(region.height, height) {
        let rows = &narrow[taps.first * stride..];
        out.extend((0..stride).map(|x| weighted(rows[x..].iter().step_by(stride), &taps.weights)));
    }
    RgbImage::from_raw(width, height, out.into_flattened()).expect("three bytes a pixel")
}

/// What one output position reads along one axis: as many inputs as there are weights, from `first` on.
struct Taps {
    first: usize,
    /// In units of 2^-[`BITS`]; their sum is one but for rounding.
    weights: Vec<i32>,
}

/// Fractional bits of a weight: Pillow's, 32 less 8 of the value and 2 for safety.
const BITS: u32 = 22;

fn filter(input: u32, output: u32) -> Vec<Taps> {
    let scale = f64::from(input) / f64::from(output);
    // Half the triangle's base: shrinking widens it, enlarging leaves it at the neighbouring pixel.
    let support = scale.max(1.0);
    (0..output)
        .map(|o| {
            let centre = (f64::from(o) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input as usize);
            let triangle: Vec<f64> = (first..end)
                .map(|i| (1.0 - ((i as f64 - centre + 0.5) / support).abs()).max(0.0))
                .collect();
            let sum: f64 = triangle.iter().sum();
            let weights = triangle
                .iter()
                .map(|w| (w / sum * f64::from(1 << BITS)).round() as i32)
                .collect();
            Taps { first, weights }
        })
        .collect()
}

/// The weighted sum of pixels, rounded.
fn weighted<'a>(pixels: impl Iterator<Item = &'a [u8; 3]>, weights: &[i32]) -> [u8; 3] {
    let mut sums = [1 << (BITS - 1); 3];
    for (pixel, &weight) in pixels.zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            // Below 2^31: weights are not negative and sum to 2^22. Unchecked, since this is the inner loop.
            *sum = i32::wrapping_add(*sum, i32::wrapping_mul(weight, i32::from(value)));
        }
    }
    sums.map(|sum| (sum >> BITS).min(255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    // Held against Pillow's own results in tests/pictures/preprocess.rs.

    fn row(values: &[u8]) -> RgbImage {
        let pixels = values.iter().flat_map(|&v| [v, v, v]).collect();
        RgbImage::from_raw(values.len() as u32, 1, pixels).unwrap()
    }

    fn resized(values: &[u8], width: u32) -> Vec<u8> {
        let picture = row(values);
        let out = bilinear(&picture, Region::whole(&picture), width, 1);
        out.pixels().map(|p| p.0[0]).collect()
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let values: Vec<u8> = (0..=255).collect();
        assert_eq!(resized(&values, 256), values);
    }

    #[test]
    fn half_the_width_weighs_four_neighbours_and_two_and_a_half_at_the_edge() {
        // Distances 1/4 and 3/4 of the widened triangle's base: weights 1 3 3 1 over 8; at the left edge 3 3 1 over 7.
        assert_eq!(resized(&[0, 0, 80, 80, 0, 0], 3), [11, 60, 11]);
    }

    #[test]
    fn twice_the_width_is_quarters_between_neighbours() {
        assert_eq!(resized(&[0, 100], 4), [0, 25, 75, 100]);
    }

    #[test]
    fn a_flat_picture_stays_flat_at_every_size() {
        for width in 1..50 {
            assert_eq!(resized(&[255; 13], width), vec![255; width as usize]);
            assert_eq!(resized(&[200; 13], width), vec![200; width as usize]);
        }
    }

    #[test]
    fn nothing_outside_the_region_is_read() {
        let inside = |x, y| (100..200).contains(&x) && (10..60).contains(&y);
        let picture = RgbImage::from_fn(300, 100, |x, y| {
            Rgb([if inside(x, y) { 10 } else { 255 }; 3])
        });
        let region = Region {
            x: 100,
            y: 10,
            width: 100,
            height: 50,
        };
        for (width, height) in [(30, 30), (100, 50), (170, 170)] {
            let out = bilinear(&picture, region, width, height);
            assert!(out.pixels().all(|p| *p == Rgb([10; 3])));
        }
    }
}
