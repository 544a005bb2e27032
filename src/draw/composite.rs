//! The pictures: heatmap, overlay, segmentation and guided pictures, from maps, gradients and the picture they explain.
//!
//! A `heat` is a map in 0..=1, as [`Map::heat`] gives it, or in -1..=1, of the picture's size. Nothing here can give NaN or panic on values
//! that are not finite.

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

use crate::methods::map::{self, Map};
use crate::methods::region::Region;
use crate::picture::preprocess::Geometry;

mod outline;
mod overlay;

pub use outline::outline;
pub use overlay::{Overlay, Rectangle, overlay, overlay_within};

/// The heat in grey: black is 0, white is 1.
pub fn heatmap(heat: &Map) -> RgbImage {
    let mut picture = RgbImage::new(heat.width as u32, heat.height as u32);
    for (pixel, &h) in picture.pixels_mut().zip(&heat.values) {
        *pixel = Rgb([byte(255.0 * h); 3]);
    }
    picture
}

/// The heat in 65,536 levels of grey: 0 is 0, the last is 1; of a heat of both signs the first is -1.
pub fn levels(heat: &Map, signed: bool) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    let level = |&h: &f32| {
        let h = if signed {
            0.5 + f64::from(h) / 2.0
        } else {
            f64::from(h)
        };
        // The cast saturates and takes NaN to 0.
        (65535.0 * h + 0.5) as u16
    };
    let levels = heat.values.iter().map(level).collect();
    ImageBuffer::from_raw(heat.width as u32, heat.height as u32, levels)
        .expect("a map has as many values as positions")
}

/// A heat of both signs in grey: black is -1, white is 1.
pub fn signed_heatmap(heat: &Map) -> RgbImage {
    let half = |&h: &f32| 0.5 + h / 2.0;
    let values = heat.values.iter().map(half).collect();
    heatmap(&Map::new(heat.width, heat.height, values))
}

/// White where one of `regions` is, black elsewhere.
///
/// # Panics
/// If a region reaches beyond the size.
pub fn mask(width: u32, height: u32, regions: &[Region]) -> GrayImage {
    let mut mask = GrayImage::new(width, height);
    for run in regions.iter().flat_map(|region| &region.runs) {
        let row = run.y * width as usize;
        mask.as_mut()[row + run.start..row + run.end].fill(255);
    }
    mask
}

/// The picture where the heat is, black where it is not: `heat * picture`.
///
/// # Panics
/// If heat and picture differ in size.
pub fn segmented(heat: &Map, picture: &RgbImage) -> RgbImage {
    assert_same_size(heat, picture);
    let mut out = picture.clone();
    for (pixel, &h) in out.pixels_mut().zip(&heat.values) {
        pixel.0 = pixel.0.map(|p| byte(h * f32::from(p)));
    }
    out
}

/// A pixel gradient as a picture: `255 (g - min) / (max - min)`, minimum and maximum over all channels, so that grey stays
/// grey. `gradient` is H x W x 3, RGB, or H x W x 1, grey, as [`crate::picture::preprocess::to_picture`] gives it.
///
/// A constant gradient says nothing about any pixel and is black, as an empty map is. Values that are not finite count as zero.
///
/// # Panics
/// If `gradient` is not `height * width` values, or three times as many.
pub fn guided(gradient: &[f32], width: u32, height: u32) -> RgbImage {
    let (min, max) = map::range(gradient).unwrap_or((0.0, 0.0));
    // In f64, where the difference of two floats cannot overflow.
    let (min, span) = (f64::from(min), f64::from(max) - f64::from(min));
    picture_of(gradient, width, height, |g| match span > 0.0 {
        true => byte((255.0 * (g - min) / span) as f32),
        false => 0,
    })
}

/// Share of the values whose magnitudes a picture of them shows as they are: one bright pixel leaves the others be.
const PERCENTILE: f64 = 0.995;

/// The magnitude that 99.5 % of the values do not pass, between two of them where it falls so, as numpy has it; where
/// that is zero, the largest. Values that are not finite count as zero.
pub fn percentile(values: &[f32]) -> f32 {
    let finite = values
        .iter()
        .map(|v| if v.is_finite() { v.abs() } else { 0.0 });
    let mut magnitudes: Vec<f32> = finite.collect();
    if magnitudes.is_empty() {
        return 0.0;
    }
    let place = PERCENTILE * (magnitudes.len() - 1) as f64;
    let (low, share) = (place as usize, place.fract());
    let (_, &mut below, above) = magnitudes.select_nth_unstable_by(low, f32::total_cmp);
    let next = above.iter().copied().reduce(f32::min).unwrap_or(below);
    let between = f64::from(below) + share * (f64::from(next) - f64::from(below));
    match between > 0.0 {
        true => between as f32,
        false => above.iter().copied().fold(below, f32::max),
    }
}

/// Pixel values as a picture around grey: `127.5 (1 + v / reach)`, cut at black and white; black where `reach` is not above
/// zero. `values` is H x W x 3, RGB, or H x W x 1; those that are not finite count as zero.
///
/// # Panics
/// If `values` is not `height * width` values, or three times as many.
pub fn around_grey(values: &[f32], reach: f32, width: u32, height: u32) -> RgbImage {
    picture_of(values, width, height, |v| match reach > 0.0 {
        true => byte((127.5 + 127.5 * v / f64::from(reach)) as f32),
        false => 0,
    })
}

/// Each value by its `level`, grey where there is one a pixel; one that is not finite by that of zero.
fn picture_of(values: &[f32], width: u32, height: u32, level: impl Fn(f64) -> u8) -> RgbImage {
    let level = |&v: &f32| level(if v.is_finite() { f64::from(v) } else { 0.0 });
    let bytes = match channels(values, width, height) {
        1 => values.iter().flat_map(|v| [level(v); 3]).collect(),
        _ => values.iter().map(level).collect(),
    };
    RgbImage::from_raw(width, height, bytes).expect("the length is checked above")
}

/// What a pixel's values amount to, as a map that [`Map::heat`] draws: the largest magnitude of the three,
/// or of the one (arXiv 1312.6034). `values` is H x W x 3 or H x W x 1.
///
/// # Panics
/// If `values` are not `height * width`, or three times as many, or none.
pub fn magnitude(values: &[f32], width: u32, height: u32) -> Map {
    let pixels = values.chunks_exact(channels(values, width, height));
    let largest = |pixel: &[f32]| pixel.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
    Map::new(
        width as usize,
        height as usize,
        pixels.map(largest).collect(),
    )
}

/// A pixel gradient of the network's `width` x `height`, back on the original picture as [`Map::place`] does: H x W x 3 or
/// H x W x 1 of the picture's size, zero outside the network's rectangle.
///
/// # Panics
/// If `gradient` is not `height * width` values, or three times as many.
pub fn place_gradient(gradient: &[f32], width: u32, height: u32, geometry: &Geometry) -> Vec<f32> {
    let from = (width as usize, height as usize);
    map::place(gradient, channels(gradient, width, height), from, geometry)
}

/// Values at each pixel.
fn channels(values: &[f32], width: u32, height: u32) -> usize {
    let pixels = width as usize * height as usize;
    if values.len() == pixels {
        return 1;
    }
    assert_eq!(values.len(), 3 * pixels, "one or three values a pixel");
    3
}

/// Rounded; the cast saturates and takes NaN to 0.
fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

fn assert_same_size(heat: &Map, picture: &RgbImage) {
    assert_eq!(
        (heat.width, heat.height),
        (picture.width() as usize, picture.height() as usize),
        "a heat of the picture's size"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::colormap::Colormap;

    fn heat(values: &[f32]) -> Map {
        Map::new(values.len(), 1, values.to_vec())
    }

    fn row(pixels: &[[u8; 3]]) -> RgbImage {
        RgbImage::from_raw(pixels.len() as u32, 1, pixels.concat()).unwrap()
    }

    #[test]
    fn the_heatmap_is_rounded_grey() {
        let picture = heatmap(&heat(&[0.0, 0.5, 0.501, 1.0]));
        assert_eq!(picture, row(&[[0; 3], [128; 3], [128; 3], [255; 3]]));
    }

    #[test]
    fn the_overlay_is_a_sum_scaled_to_its_largest_value() {
        // Grey map: 255 + 255 and 0 + 51; the largest sum, 510, becomes 255.
        let picture = row(&[[255, 0, 0], [51, 0, 0]]);
        let out = overlay(&heat(&[1.0, 0.0]), &picture, Colormap::Grey, Overlay::Sum);
        assert_eq!(out, row(&[[255, 128, 128], [26, 0, 0]]));
        // Jet of zero is (0, 0, 127), the largest value there is on a black picture.
        let dark = overlay(&heat(&[0.0]), &row(&[[0; 3]]), Colormap::Jet, Overlay::Sum);
        assert_eq!(dark, row(&[[0, 0, 255]]));
    }

    #[test]
    fn alpha_blends_without_scaling() {
        let picture = row(&[[200, 100, 0]]);
        let blend = |alpha| {
            overlay(
                &heat(&[1.0]),
                &picture,
                Colormap::Grey,
                Overlay::Blend(alpha),
            )
        };
        assert_eq!(blend(0.0), picture);
        assert_eq!(blend(1.0), row(&[[255; 3]]));
        assert_eq!(blend(0.5), row(&[[228, 178, 128]]));
        assert_eq!(blend(f32::NAN), row(&[[0; 3]]));
    }

    #[test]
    fn black_on_black_is_black() {
        let black = row(&[[0; 3]]);
        assert_eq!(
            overlay(&heat(&[0.0]), &black, Colormap::Grey, Overlay::Sum),
            black
        );
    }

    #[test]
    fn a_threshold_leaves_the_picture_as_it_is_below_it() {
        let picture = row(&[[200, 100, 0]; 3]);
        let threshold = Overlay::Threshold {
            alpha: 1.0,
            least: 0.5,
        };
        let out = overlay(
            &heat(&[0.49, 0.5, 1.0]),
            &picture,
            Colormap::Grey,
            threshold,
        );
        assert_eq!(out, row(&[[200, 100, 0], [128; 3], [255; 3]]));
    }

    #[test]
    fn the_middle_of_diverging_colours_is_zero() {
        let picture = row(&[[0; 3]; 3]);
        let blend = Overlay::Blend(1.0);
        let out = overlay(&heat(&[-1.0, 0.0, 1.0]), &picture, Colormap::Bwr, blend);
        assert_eq!(out, row(&[[0, 0, 255], [255, 254, 254], [255, 0, 0]]));
        let grey = signed_heatmap(&heat(&[-1.0, 0.0, 1.0]));
        assert_eq!(grey, row(&[[0; 3], [128; 3], [255; 3]]));
    }

    #[test]
    fn outside_what_was_seen_the_picture_stays_but_for_an_outline() {
        let picture = RgbImage::from_pixel(9, 7, Rgb([10, 20, 30]));
        let geometry = Geometry {
            picture: (9, 7),
            x: 3.0,
            y: 0.0,
            width: 3.0,
            height: 7.0,
        };
        let seen = Rectangle::seen(&geometry);
        assert_eq!((seen.columns.clone(), seen.rows.clone()), (3..6, 0..7));
        let heat = Map::new(9, 7, vec![1.0; 63]);
        for way in [Overlay::Sum, Overlay::Blend(1.0)] {
            let out = overlay_within(&heat, &picture, Colormap::Grey, way, &seen);
            let line = |x: u32| out.get_pixel(x, 3).0;
            let untouched = [10, 20, 30];
            assert_eq!([0, 8].map(line), [untouched; 2], "{way:?}");
            assert_eq!([1, 2, 6, 7].map(line), [[0; 3], [255; 3], [255; 3], [0; 3]]);
            assert!([3, 4, 5].map(line).iter().all(|pixel| pixel[2] == 255));
        }
    }

    #[test]
    fn what_is_seen_is_what_a_placed_map_fills() {
        for (x, width) in [
            (0.0, 7.0),
            (1.5, 3.0),
            (-2.0, 5.4),
            (2.49, 2.02),
            (6.9, 4.0),
        ] {
            let geometry = Geometry {
                picture: (7, 7),
                x,
                y: x,
                width,
                height: width,
            };
            let placed = Map::new(1, 1, vec![1.0]).place(&geometry);
            let seen = Rectangle::seen(&geometry);
            for (i, &value) in placed.values.iter().enumerate() {
                let (x, y) = (i as u32 % 7, i as u32 / 7);
                let inside = seen.columns.contains(&x) && seen.rows.contains(&y);
                assert_eq!(inside, value == 1.0, "{x}, {y} of {geometry:?}");
            }
        }
    }

    #[test]
    fn pixel_values_are_stretched_around_grey_whatever_one_bright_pixel_does() {
        // As numpy.percentile has it: 0.5 % of 201 values are above the second largest.
        let mut values = vec![1.0; 201];
        values[7] = -1000.0;
        values[8] = 3.0;
        assert_eq!(percentile(&values), 3.0);
        assert_eq!(percentile(&[0.0; 600]), 0.0);
        let mut sparse = vec![0.0; 600];
        sparse[3] = -5.0;
        assert_eq!(percentile(&sparse), 5.0);
        assert_eq!(percentile(&[f32::NAN, 1.0, f32::INFINITY]), 0.99);
        let picture = around_grey(&[0.0, 2.0, -2.0, 1.0, -50.0, f32::NAN], 2.0, 2, 1);
        assert_eq!(picture, row(&[[128, 255, 0], [191, 0, 128]]));
        assert_eq!(around_grey(&[0.0; 3], 0.0, 1, 1), row(&[[0; 3]]));
    }

    #[test]
    fn segmented_is_the_product() {
        let picture = row(&[[200, 100, 1], [200, 100, 1], [200, 100, 1]]);
        assert_eq!(
            segmented(&heat(&[0.0, 0.5, 1.0]), &picture),
            row(&[[0; 3], [100, 50, 1], [200, 100, 1]])
        );
    }

    #[test]
    fn a_gradient_spans_black_to_white_over_all_channels_with_red_as_red() {
        let picture = guided(&[3.0, 1.0, -1.0, 1.0, 1.0, 1.0], 2, 1);
        assert_eq!(picture, row(&[[255, 128, 0], [128; 3]]));
    }

    #[test]
    fn a_gradient_that_says_nothing_is_black() {
        for nothing in [0.0, 5.0, f32::NAN, f32::INFINITY] {
            assert_eq!(guided(&[nothing; 3], 1, 1), row(&[[0; 3]]), "{nothing}");
        }
    }

    #[test]
    fn gradients_that_are_not_finite_count_as_zero() {
        let picture = guided(&[f32::NAN, -1.0, 1.0, f32::INFINITY, -1.0, 1.0], 2, 1);
        assert_eq!(picture, row(&[[128, 0, 255]; 2]));
        let extreme = guided(&[f32::MAX, 0.0, -f32::MAX], 1, 1);
        assert_eq!(extreme, row(&[[255, 128, 0]]));
    }

    #[test]
    fn a_pixels_magnitude_is_that_of_its_largest_channel() {
        let map = magnitude(&[1.0, -3.0, 2.0, 0.0, 0.0, -0.5], 2, 1);
        assert_eq!(map.values, [3.0, 0.5]);
    }

    #[test]
    fn a_placed_gradient_is_zero_outside_the_crop() {
        let geometry = Geometry {
            picture: (3, 1),
            x: 1.0,
            y: 0.0,
            width: 1.0,
            height: 1.0,
        };
        assert_eq!(
            place_gradient(&[1.0, 2.0, 3.0], 1, 1, &geometry),
            [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0]
        );
    }
}
