//! The heat in colour over the picture that it explains.

use std::ops::Range;

use image::{Rgb, RgbImage};

use super::{assert_same_size, byte};
use crate::draw::colormap::Colormap;
use crate::methods::map::Map;
use crate::picture::preprocess::Geometry;

/// How the coloured heat lies over the picture. Shares go from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Overlay {
    /// Their sum, scaled so that the largest value of any channel is 255: `255 (c + p) / max(c + p)`, as the TensorFlow
    /// original does.
    #[default]
    Sum,
    /// `alpha c + (1 - alpha) p`, with this alpha.
    Blend(f32),
    /// The same where the heat is at least so much, above or below zero; the picture as it is elsewhere.
    Threshold {
        /// Share of the heat.
        alpha: f32,
        /// Least heat that is shown.
        least: f32,
    },
}

/// The coloured heat over the picture. Of a diverging map of colours the middle stands for zero.
///
/// # Panics
/// If heat and picture differ in size.
pub fn overlay(heat: &Map, picture: &RgbImage, colors: Colormap, overlay: Overlay) -> RgbImage {
    let whole = Rectangle {
        columns: 0..picture.width(),
        rows: 0..picture.height(),
    };
    overlay_within(heat, picture, colors, overlay, &whole)
}

/// [`overlay`] where the network looked, and the picture as it is elsewhere, with a thin line between the two.
///
/// # Panics
/// If heat and picture differ in size, or `seen` reaches beyond them.
pub fn overlay_within(
    heat: &Map,
    picture: &RgbImage,
    colors: Colormap,
    overlay: Overlay,
    seen: &Rectangle,
) -> RgbImage {
    assert_same_size(heat, picture);
    let mut out = picture.clone();
    let at = |x: u32, y: u32| heat.values[y as usize * heat.width + x as usize];
    let color = |x: u32, y: u32| match colors.is_diverging() {
        true => colors.color(0.5 + at(x, y) / 2.0),
        false => colors.color(at(x, y)),
    };
    match overlay {
        Overlay::Sum => {
            // Sums of two bytes: whole numbers, so the scaling is exact and needs no picture of floats.
            let sum = |c: u8, p: u8| u32::from(c) + u32::from(p);
            let sums = seen.pixels().flat_map(|(x, y)| {
                let (color, pixel) = (color(x, y), picture.get_pixel(x, y).0);
                [0, 1, 2].map(|i| sum(color[i], pixel[i]))
            });
            let max = sums.max().unwrap_or(0).max(1);
            for (x, y) in seen.pixels() {
                for (p, c) in out.get_pixel_mut(x, y).0.iter_mut().zip(color(x, y)) {
                    *p = ((sum(c, *p) * 255 + max / 2) / max) as u8;
                }
            }
        }
        Overlay::Blend(alpha) => blend(&mut out, seen, alpha, color, |_, _| true),
        Overlay::Threshold { alpha, least } => {
            blend(&mut out, seen, alpha, color, |x, y| at(x, y).abs() >= least);
        }
    }
    seen.outline(&mut out);
    out
}

fn blend(
    out: &mut RgbImage,
    seen: &Rectangle,
    alpha: f32,
    color: impl Fn(u32, u32) -> [u8; 3],
    is_shown: impl Fn(u32, u32) -> bool,
) {
    let alpha = alpha.clamp(0.0, 1.0);
    for (x, y) in seen.pixels().filter(|&(x, y)| is_shown(x, y)) {
        for (p, c) in out.get_pixel_mut(x, y).0.iter_mut().zip(color(x, y)) {
            *p = byte(alpha * f32::from(c) + (1.0 - alpha) * f32::from(*p));
        }
    }
}

/// Pixels of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rectangle {
    /// From the left.
    pub columns: Range<u32>,
    /// From above.
    pub rows: Range<u32>,
}

impl Rectangle {
    /// Those whose centres lie in what the network looked at: [`Map::place`] gives the others nothing.
    pub fn seen(geometry: &Geometry) -> Self {
        let inside = |start: f64, extent: f64, length: u32| {
            let centre = |pixel: u32| f64::from(pixel) + 0.5 - start;
            let first = (0..length).find(|&pixel| centre(pixel) >= 0.0);
            let end = (0..length).rfind(|&pixel| centre(pixel) < extent);
            first.unwrap_or(length)..end.map_or(0, |pixel| pixel + 1)
        };
        let (width, height) = geometry.picture;
        Self {
            columns: inside(geometry.x, geometry.width, width),
            rows: inside(geometry.y, geometry.height, height),
        }
    }

    fn pixels(&self) -> impl Iterator<Item = (u32, u32)> {
        let Self { columns, rows } = self.clone();
        rows.flat_map(move |y| columns.clone().map(move |x| (x, y)))
    }

    /// Draws its edges where they lie within the picture, on the outside: white, and black around that, of which one shows
    /// on any picture.
    fn outline(&self, out: &mut RgbImage) {
        let (width, height) = out.dimensions();
        for (distance, level) in [(1, 255), (2, 0)] {
            let line = Rgb([level; 3]);
            let columns = self.columns.start.saturating_sub(distance)
                ..(self.columns.end + distance).min(width);
            let rows =
                self.rows.start.saturating_sub(distance)..(self.rows.end + distance).min(height);
            let beside = [
                self.columns.start.checked_sub(distance),
                Some(self.columns.end + distance - 1).filter(|&x| x < width),
            ];
            for x in beside.into_iter().flatten() {
                rows.clone().for_each(|y| out.put_pixel(x, y, line));
            }
            let above_and_below = [
                self.rows.start.checked_sub(distance),
                Some(self.rows.end + distance - 1).filter(|&y| y < height),
            ];
            for y in above_and_below.into_iter().flatten() {
                columns.clone().for_each(|x| out.put_pixel(x, y, line));
            }
        }
    }
}
