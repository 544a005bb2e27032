//! From a picture to the network's input, and from the input's gradient back to the picture.

use image::imageops;
use image::{Rgb, RgbImage};

use crate::resize::{self, Region};

/// How a picture of any shape meets the network's rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Fit {
    /// The largest centred part of the network's proportions; what lies outside is not seen
    Crop,
    /// The whole picture, its proportions changed
    Squash,
    /// The whole picture, centred, with bars
    Pad,
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

/// What a network was trained to see: `(value * scale - mean) / std`, value in 0..255, channels in the network's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Channel 0 is blue: the order of `OpenCV`, and so of Caffe.
    pub bgr: bool,
    /// Applied first, to values in 0..255.
    pub scale: f32,
    /// One a channel, in the network's order, in units of the scaled value.
    pub mean: [f32; 3],
    /// One a channel, in the network's order, in units of the scaled value.
    pub std: [f32; 3],
}

impl Normalization {
    /// BGR, 0..255, minus the mean of `ImageNet`: the VGG authors' model, and tensorflow-vgg's.
    pub const CAFFE: Self = Self {
        bgr: true,
        scale: 1.0,
        mean: [103.939, 116.779, 123.68],
        std: [1.0; 3],
    };
    /// RGB, 0..255, minus the mean of `ImageNet`: TensorFlow's copies of the VGG authors' model whose first filters
    /// were turned around.
    pub const CAFFE_RGB: Self = Self {
        bgr: false,
        scale: 1.0,
        mean: [123.68, 116.779, 103.939],
        std: [1.0; 3],
    };
    /// RGB, 0..1, minus the mean of `ImageNet`, by its standard deviation: torchvision's models.
    pub const TORCH: Self = Self {
        bgr: false,
        scale: 1.0 / 255.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    /// RGB, -1..1: TensorFlow's Inception and `MobileNet`, Keras' mode `tf`.
    pub const TF: Self = Self {
        bgr: false,
        scale: 1.0 / 127.5,
        mean: [1.0; 3],
        std: [1.0; 3],
    };
    /// RGB, 0..1.
    pub const UNIT: Self = Self {
        bgr: false,
        scale: 1.0 / 255.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    /// RGB, 0..255, for networks that normalise themselves.
    pub const NONE: Self = Self {
        bgr: false,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    /// Each normalisation that has a name, with it.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("caffe", Self::CAFFE),
        ("torch", Self::TORCH),
        ("tf", Self::TF),
        ("unit", Self::UNIT),
        ("none", Self::NONE),
    ];

    /// The normalisation called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED
            .iter()
            .find(|(n, _)| *n == name)
            .map(|&(_, normalization)| normalization)
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        Self::NAMED
            .iter()
            .find(|(_, normalization)| normalization == self)
            .map(|&(name, _)| name)
    }

    /// Mean and scale as `--mean` and `--std` take them: red first, for pixels in 0..255.
    pub fn mean_and_std(&self) -> [[f32; 3]; 2] {
        let red_first = |values: [f32; 3]| [0, 1, 2].map(|c| values[self.rgb(c)] / self.scale);
        [self.mean, self.std].map(red_first)
    }

    /// The order of the network's channels, as `--channels` takes it.
    pub fn order(&self) -> &'static str {
        if self.bgr { "bgr" } else { "rgb" }
    }

    /// The RGB channel that the network's channel `c` holds, and the reverse: the swap is its own inverse.
    fn rgb(&self, c: usize) -> usize {
        if self.bgr { 2 - c } else { c }
    }
}

impl std::fmt::Display for Normalization {
    /// Its name, or its numbers as `--channels`, `--mean` and `--std` take them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        let triple = |values: [f32; 3]| values.map(|value| value.to_string()).join(",");
        let [mean, std] = self.mean_and_std().map(triple);
        write!(f, "channels {}, mean {mean}, std {std}", self.order())
    }
}

/// The network's input: planar, 3 x H x W, channels in the network's order.
pub fn to_tensor(picture: &RgbImage, normalization: &Normalization) -> Vec<f32> {
    let n = normalization;
    let pixels = picture.as_raw().as_chunks::<3>().0;
    let mut tensor = Vec::with_capacity(3 * pixels.len());
    for c in 0..3 {
        // 256 values a channel: the table keeps the division, and so PyTorch's rounding, out of the pixel loop.
        let table: Vec<f32> = (0..=255u8)
            .map(|value| (f32::from(value) * n.scale - n.mean[c]) / n.std[c])
            .collect();
        let channel = n.rgb(c);
        tensor.extend(
            pixels
                .iter()
                .map(|pixel| table[usize::from(pixel[channel])]),
        );
    }
    tensor
}

/// Values at the network's input, planar, 3 x H x W, in the network's order, as values at the picture scaled to 0..1, H x W x 3,
/// RGB. `degree` is the power of the gradient in them: 1 for a gradient, 0 for gradient times input, 2 for a square.
///
/// With p in 0..1 the input is `(255 p scale - mean) / std`, so the gradient is `d_input * 255 scale / std`.
///
/// # Panics
/// If `values` does not hold three planes.
pub fn to_picture(values: &[f64], normalization: &Normalization, degree: i32) -> Vec<f64> {
    assert!(values.len().is_multiple_of(3), "three planes");
    let n = normalization;
    let area = values.len() / 3;
    let mut turned = vec![0.0; values.len()];
    for c in 0..3 {
        let factor = (f64::from(255.0 * n.scale) / f64::from(n.std[c])).powi(degree);
        let channel = n.rgb(c);
        for (pixel, value) in turned.chunks_exact_mut(3).zip(&values[c * area..]) {
            pixel[channel] = value * factor;
        }
    }
    turned
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
    fn the_thinnest_pictures_still_fill_the_network() {
        for (w, h) in [(1, 1), (1, 3000), (3000, 1), (2, 3)] {
            for way in [Fit::Crop, Fit::Squash, Fit::Pad] {
                let (seen, geometry) = fit(&RgbImage::new(w, h), way, 224, 224);
                assert_eq!(seen.dimensions(), (224, 224));
                assert!(geometry.width >= 1.0 && geometry.height >= 1.0);
            }
        }
    }

    #[test]
    fn caffe_swaps_red_and_blue_and_subtracts_its_means() {
        let picture = RgbImage::from_pixel(1, 1, Rgb([200, 100, 50]));
        let tensor = to_tensor(&picture, &Normalization::CAFFE);
        assert_eq!(tensor, [50.0 - 103.939, 100.0 - 116.779, 200.0 - 123.68]);
    }

    #[test]
    fn each_name_gives_its_published_range() {
        let picture = RgbImage::from_pixel(1, 1, Rgb([0, 255, 51]));
        let close = |name: &str, expected: [f32; 3]| {
            let tensor = to_tensor(&picture, &Normalization::named(name).unwrap());
            for (got, expected) in tensor.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-6, "{name}: {tensor:?}");
            }
        };
        close("torch", [-0.485 / 0.229, 0.544 / 0.224, -0.206 / 0.225]);
        close("tf", [-1.0, 1.0, -0.6]);
        close("unit", [0.0, 1.0, 0.2]);
        close("none", [0.0, 255.0, 51.0]);
        assert_eq!(Normalization::named("Caffe"), None);
    }

    #[test]
    fn the_tensor_is_planar_and_the_gradient_comes_back_interleaved() {
        let picture = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let planes = to_tensor(&picture, &Normalization::NONE);
        assert_eq!(planes, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);

        let d_input = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let bgr = [5.0, 3.0, 1.0, 6.0, 4.0, 2.0];
        for (degree, factor) in [(0, 1.0), (1, 255.0), (2, 65025.0)] {
            let turned = to_picture(&d_input, &Normalization::CAFFE, degree);
            assert_eq!(turned, bgr.map(|d: f64| d * factor));
        }
    }

    #[test]
    fn the_gradient_is_the_derivative_of_the_tensor() {
        // One level of one channel up: the input moves by gradient / 255.
        for (name, normalization) in Normalization::NAMED {
            let at = |value| {
                let picture = RgbImage::from_pixel(1, 1, Rgb([value, 7, 7]));
                to_tensor(&picture, &normalization).iter().sum::<f32>()
            };
            let gradient = to_picture(&[1.0; 3], &normalization, 1)[0];
            let step = f64::from(at(101) - at(100));
            assert!((step - gradient / 255.0).abs() < 1e-4, "{name}");
        }
    }
}
