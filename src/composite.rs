//! The pictures: heatmap, overlay, segmentation and guided pictures, from maps, gradients and the picture they explain.
//!
//! A `heat` is a map in 0..=1, as [`Map::heat`] gives it, of the picture's size. Nothing here can give NaN or panic on values
//! that are not finite.

use image::{Rgb, RgbImage};

use crate::colormap::Colormap;
use crate::map::{self, Map};
use crate::preprocess::Geometry;

/// The heat in grey: white is 1.
pub fn heatmap(heat: &Map) -> RgbImage {
    let mut picture = RgbImage::new(heat.width as u32, heat.height as u32);
    for (pixel, &h) in picture.pixels_mut().zip(&heat.values) {
        *pixel = Rgb([byte(255.0 * h); 3]);
    }
    picture
}

/// The coloured heat over the picture.
///
/// Without `alpha` their sum, scaled so that the largest value of any channel is 255: `255 (c + p) / max(c + p)`, as the
/// TensorFlow original does. With `alpha` (0..=1) the blend `alpha c + (1 - alpha) p`.
///
/// # Panics
/// If heat and picture differ in size.
pub fn overlay(heat: &Map, picture: &RgbImage, colors: Colormap, alpha: Option<f32>) -> RgbImage {
    assert_same_size(heat, picture);
    let mut out = picture.clone();
    let pairs = || heat.values.iter().map(|&h| colors.color(h));
    if let Some(alpha) = alpha {
        let alpha = alpha.clamp(0.0, 1.0);
        for (pixel, color) in out.pixels_mut().zip(pairs()) {
            for (p, c) in pixel.0.iter_mut().zip(color) {
                *p = byte(alpha * f32::from(c) + (1.0 - alpha) * f32::from(*p));
            }
        }
        return out;
    }
    // Sums of two bytes: whole numbers, so the scaling is exact and needs no picture of floats.
    let sum = |c: u8, p: u8| u32::from(c) + u32::from(p);
    let max = picture
        .pixels()
        .zip(pairs())
        .flat_map(|(pixel, color)| (0..3).map(move |i| sum(color[i], pixel.0[i])))
        .max()
        .unwrap_or(0)
        .max(1);
    for (pixel, color) in out.pixels_mut().zip(pairs()) {
        for (p, c) in pixel.0.iter_mut().zip(color) {
            *p = ((sum(c, *p) * 255 + max / 2) / max) as u8;
        }
    }
    out
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
/// grey. `gradient` is H x W x 3, RGB, or H x W x 1, grey, as [`crate::preprocess::to_picture`] gives it.
///
/// A constant gradient says nothing about any pixel and is black, as an empty map is. Values that are not finite count as zero.
///
/// # Panics
/// If `gradient` is not `height * width` values, or three times as many.
pub fn guided(gradient: &[f32], width: u32, height: u32) -> RgbImage {
    let channels = channels(gradient, width, height);
    let (min, max) = map::range(gradient).unwrap_or((0.0, 0.0));
    // In f64, where the difference of two floats cannot overflow.
    let (min, span) = (f64::from(min), f64::from(max) - f64::from(min));
    let scale = |g: f32| {
        let g = if g.is_finite() { f64::from(g) } else { 0.0 };
        if span > 0.0 {
            byte((255.0 * (g - min) / span) as f32)
        } else {
            0
        }
    };
    let grey = |&g: &f32| [scale(g); 3];
    let bytes = match channels {
        1 => gradient.iter().flat_map(grey).collect(),
        _ => gradient.iter().map(|&g| scale(g)).collect(),
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
        let out = overlay(&heat(&[1.0, 0.0]), &picture, Colormap::Grey, None);
        assert_eq!(out, row(&[[255, 128, 128], [26, 0, 0]]));
        // Jet of zero is (0, 0, 127), the largest value there is on a black picture.
        let dark = overlay(&heat(&[0.0]), &row(&[[0; 3]]), Colormap::Jet, None);
        assert_eq!(dark, row(&[[0, 0, 255]]));
    }

    #[test]
    fn alpha_blends_without_scaling() {
        let picture = row(&[[200, 100, 0]]);
        let blend = |alpha| overlay(&heat(&[1.0]), &picture, Colormap::Grey, Some(alpha));
        assert_eq!(blend(0.0), picture);
        assert_eq!(blend(1.0), row(&[[255; 3]]));
        assert_eq!(blend(0.5), row(&[[228, 178, 128]]));
        assert_eq!(blend(f32::NAN), row(&[[0; 3]]));
    }

    #[test]
    fn black_on_black_is_black() {
        let black = row(&[[0; 3]]);
        assert_eq!(overlay(&heat(&[0.0]), &black, Colormap::Grey, None), black);
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
