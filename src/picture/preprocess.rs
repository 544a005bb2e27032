//! From a picture to the network's input, and from the input's gradient back to the picture.

mod normalization;
mod tiles;

use image::imageops;
use image::{Rgb, RgbImage};

use crate::named::named;
use crate::picture::resize::{self, Region};
pub use normalization::{Normalization, Preprocessing, to_picture, to_tensor};
pub use tiles::{Blend, Tiles, TooManyTiles};

named! {
    /// How a picture of any shape meets the network's rectangle.
    pub enum Fit {
        /// The largest centred part of the network's proportions; what lies outside is not seen
        Crop = "crop",
        /// The whole picture, its proportions changed
        Squash = "squash",
        /// The whole picture, centred, with bars
        Pad = "pad",
    }
}

/// The colour around a padded picture: the mean of `ImageNet`, which the caffe and torch normalisations turn into (nearly) zero,
/// the value that convolutions pad with.
pub const PAD: Rgb<u8> = Rgb([124, 117, 104]);

/// Where the network's rectangle lies on the original picture, in pixels of the original, (0, 0) at its upper left corner.
///
/// Negative offsets and extents beyond the picture are the padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Width and height of the original.
    pub picture: (u32, u32),
    /// Left edge of the rectangle.
    pub x: f64,
    /// Upper edge of the rectangle.
    pub y: f64,
    /// Width of the rectangle.
    pub width: f64,
    /// Height of the rectangle.
    pub height: f64,
}

impl Geometry {
    fn new(picture: (u32, u32), region: Region) -> Self {
        Self {
            picture,
            x: f64::from(region.x),
            y: f64::from(region.y),
            width: f64::from(region.width),
            height: f64::from(region.height),
        }
    }
}

/// `picture` as the network sees it, `width` x `height`, and where that lies on `picture`.
///
/// Cropped first, so that nothing from beyond the edge is read, then resized as Pillow's `BILINEAR` does
/// ([`resize::bilinear`]). A picture of the network's size comes back unchanged.
///
/// # Panics
/// If any of the four sides is zero.
pub fn fit(picture: &RgbImage, fit: Fit, width: u32, height: u32) -> (RgbImage, Geometry) {
    let (w, h) = picture.dimensions();
    assert!(w > 0 && h > 0, "an opened picture has pixels");
    assert!(width > 0 && height > 0, "a network sees at least one pixel");
    let region = match fit {
        Fit::Crop => {
            let (cw, ch) = inscribed((w, h), (width, height));
            Region {
                x: (w - cw) / 2,
                y: (h - ch) / 2,
                width: cw,
                height: ch,
            }
        }
        Fit::Squash => Region::whole(picture),
        Fit::Pad => return pad(picture, width, height),
    };
    (
        resize::bilinear(picture, region, width, height),
        Geometry::new((w, h), region),
    )
}

/// The same for a network of this input: in grey where that is what it sees.
///
/// # Panics
/// If any of the four sides is zero.
pub fn seen(
    picture: &RgbImage,
    way: Fit,
    [width, height]: [u32; 2],
    normalization: &Normalization,
) -> (RgbImage, Geometry) {
    if !normalization.grey {
        return fit(picture, way, width, height);
    }
    // Before it is resized, as whoever opens a picture in grey does; and after, for what it is padded with.
    let (seen, geometry) = fit(&in_grey(picture), way, width, height);
    (in_grey(&seen), geometry)
}

/// A picture that `tiles` cover: resized for them, and where that lies on the picture. In grey where that is what the network sees.
///
/// # Panics
/// If any of the four sides is zero.
pub fn tiled(
    picture: &RgbImage,
    tiles: &Tiles,
    normalization: &Normalization,
) -> (RgbImage, Geometry) {
    let (w, h) = tiles.canvas;
    seen(picture, Fit::Squash, [w, h], normalization)
}

/// Each pixel's luma (ITU-R BT.601) in all three channels.
fn in_grey(picture: &RgbImage) -> RgbImage {
    let mut grey = picture.clone();
    for pixel in grey.pixels_mut() {
        pixel.0 = [luma(pixel.0); 3];
    }
    grey
}

/// ITU-R BT.601's, in the fixed point of Pillow's `convert('L')`. A grey pixel stays as it is.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b);
    ((sum + 0x8000) >> 16) as u8
}

fn pad(picture: &RgbImage, width: u32, height: u32) -> (RgbImage, Geometry) {
    let (w, h) = picture.dimensions();
    let (iw, ih) = inscribed((width, height), (w, h));
    let (left, top) = ((width - iw) / 2, (height - ih) / 2);
    let inner = resize::bilinear(picture, Region::whole(picture), iw, ih);
    let mut padded = RgbImage::from_pixel(width, height, PAD);
    imageops::replace(&mut padded, &inner, i64::from(left), i64::from(top));

    // Pixels of the original for one of the network's; the axes differ a little, since the inner rectangle is whole pixels.
    let (sx, sy) = (f64::from(w) / f64::from(iw), f64::from(h) / f64::from(ih));
    let geometry = Geometry {
        picture: (w, h),
        x: -f64::from(left) * sx,
        y: -f64::from(top) * sy,
        width: f64::from(width) * sx,
        height: f64::from(height) * sy,
    };
    (padded, geometry)
}

/// The largest rectangle inside `outer` with the proportions of `shape`, in whole pixels, at least one each way.
fn inscribed(outer: (u32, u32), shape: (u32, u32)) -> (u32, u32) {
    let (ow, oh) = (u64::from(outer.0), u64::from(outer.1));
    let (sw, sh) = (u64::from(shape.0), u64::from(shape.1));
    if ow * sh > oh * sw {
        (((oh * sw + sh / 2) / sh).clamp(1, ow) as u32, outer.1)
    } else {
        (outer.0, ((ow * sh + sw / 2) / sw).clamp(1, oh) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel its own colour: x in red, y in green.
    fn numbered(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 200]))
    }

    #[test]
    fn a_picture_of_the_networks_size_is_unchanged_by_every_fit() {
        let picture = numbered(7, 5);
        for way in [Fit::Crop, Fit::Squash, Fit::Pad] {
            let (seen, geometry) = fit(&picture, way, 7, 5);
            assert_eq!(seen, picture, "{way:?}");
            let whole = Geometry {
                picture: (7, 5),
                x: 0.0,
                y: 0.0,
                width: 7.0,
                height: 5.0,
            };
            assert_eq!(geometry, whole, "{way:?}");
        }
    }

    #[test]
    fn crop_takes_the_centre_and_rounds_down_as_the_original_does() {
        let (seen, geometry) = fit(&numbered(9, 4), Fit::Crop, 4, 4);
        assert_eq!(
            (geometry.x, geometry.y, geometry.width, geometry.height),
            (2.0, 0.0, 4.0, 4.0)
        );
        assert_eq!(*seen.get_pixel(0, 3), Rgb([2, 3, 200]));
        let (_, tall) = fit(&numbered(4, 9), Fit::Crop, 4, 4);
        assert_eq!((tall.x, tall.y), (0.0, 2.0));
    }

    #[test]
    fn crop_keeps_the_proportions_of_a_network_that_is_not_square() {
        let (seen, geometry) = fit(&numbered(100, 100), Fit::Crop, 20, 10);
        assert_eq!(seen.dimensions(), (20, 10));
        assert_eq!(
            (geometry.x, geometry.y, geometry.width, geometry.height),
            (0.0, 25.0, 100.0, 50.0)
        );
    }

    #[test]
    fn pad_puts_the_whole_picture_in_the_middle() {
        let picture = RgbImage::from_pixel(40, 20, Rgb([9; 3]));
        let (seen, geometry) = fit(&picture, Fit::Pad, 10, 10);
        // 40 x 20 becomes 10 x 5 at (0, 2): one network pixel is four of the picture's.
        assert_eq!(*seen.get_pixel(0, 1), PAD);
        assert_eq!(*seen.get_pixel(0, 2), Rgb([9; 3]));
        assert_eq!(*seen.get_pixel(9, 6), Rgb([9; 3]));
        assert_eq!(*seen.get_pixel(9, 7), PAD);
        assert_eq!(
            (geometry.x, geometry.y, geometry.width, geometry.height),
            (0.0, -8.0, 40.0, 40.0)
        );
    }

    #[test]
    fn grey_is_pillows() {
        // PIL.Image.new('RGB', (1, 1), colour).convert('L')
        for (colour, grey) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([124, 117, 104], 118),
            ([1, 2, 3], 2),
            ([200, 100, 50], 124),
            ([77, 77, 77], 77),
        ] {
            assert_eq!(luma(colour), grey, "{colour:?}");
        }
        let grey = Normalization::UNIT.of_channels(1);
        let wide = RgbImage::from_pixel(4, 2, Rgb([200, 100, 50]));
        let (seen, _) = super::seen(&wide, Fit::Pad, [4, 4], &grey);
        assert_eq!([0, 1].map(|y| seen.get_pixel(0, y).0), [[118; 3], [124; 3]]);
    }

    #[test]
    fn the_thinnest_pictures_still_fill_the_network() {
        for (w, h) in [(1, 1), (1, 3000), (3000, 1), (2, 3)] {
            for way in [Fit::Crop, Fit::Squash, Fit::Pad] {
                let (seen, geometry) = fit(&RgbImage::new(w, h), way, 224, 224);
                assert_eq!(seen.dimensions(), (224, 224));
                assert!(geometry.width >= 1.0 && geometry.height >= 1.0);
            }
        }
    }
}
