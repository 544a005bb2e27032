//! Lines around regions of a picture.

use image::{Rgb, RgbImage};

use crate::methods::region::Region;

/// Draws the edge of each region and its box: white within black, of which one shows on any picture. Thicker on large
/// pictures, which are looked at from further away.
pub fn outline(picture: &mut RgbImage, regions: &[Region]) {
    let short = picture.width().min(picture.height());
    let white = (short / 300).max(1);
    for (thickness, level) in [(white + 2, 0), (white, 255)] {
        for region in regions {
            for ring in region.contours().iter().chain([&corners(region)]) {
                let next = ring.iter().cycle().skip(1);
                for (&from, &to) in ring.iter().zip(next) {
                    line(picture, from, to, thickness, Rgb([level; 3]));
                }
            }
        }
    }
}

fn corners(region: &Region) -> Vec<[usize; 2]> {
    let (left, top) = (region.x, region.y);
    let (right, bottom) = (left + region.width, top + region.height);
    vec![[left, top], [right, top], [right, bottom], [left, bottom]]
}

/// A line between two corners of pixels, across or down, half of its thickness on either side.
fn line(picture: &mut RgbImage, from: [usize; 2], to: [usize; 2], thickness: u32, colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    let (before, after) = (thickness / 2, thickness.div_ceil(2));
    let span = |a: usize, b: usize, length: u32| {
        let (low, high) = (a.min(b) as u32, a.max(b) as u32);
        low.saturating_sub(before)..high.saturating_add(after).min(length)
    };
    for y in span(from[1], to[1], height) {
        for x in span(from[0], to[0], width) {
            picture.put_pixel(x, y, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::map::Map;
    use crate::methods::region::regions;

    #[test]
    fn a_line_is_white_within_black_and_leaves_the_rest_alone() {
        let mut values = vec![0.0; 20 * 20];
        for y in 8..12 {
            values[y * 20 + 6..y * 20 + 14].fill(1.0);
        }
        let mut picture = RgbImage::from_pixel(20, 20, Rgb([90, 80, 70]));
        outline(&mut picture, &regions(&Map::new(20, 20, values), 0.5));
        let row: Vec<u8> = (0..20).map(|x| picture.get_pixel(x, 10).0[0]).collect();
        let (g, w) = (90, 255);
        let expected = [g, g, g, g, g, 0, w, 0, g, g, g, g, g, 0, w, 0, g, g, g, g];
        assert_eq!(row, expected);
        assert_eq!(picture.get_pixel(10, 8).0, [255; 3]);
        assert_eq!(picture.get_pixel(10, 2).0, [90, 80, 70]);
    }

    #[test]
    fn a_region_of_the_whole_picture_stays_within_it() {
        let mut picture = RgbImage::new(3, 2);
        outline(&mut picture, &regions(&Map::new(3, 2, vec![1.0; 6]), 0.5));
        assert_eq!(picture.get_pixel(0, 0).0, [255; 3]);
    }
}
