//! How a network's input is made of pixels, and values at the input become values at the pixels.

use image::RgbImage;

use super::luma;
use crate::named::named;

named! {
    /// Preprocessing that published weights were trained with.
    pub enum Preprocessing {
        /// BGR, 0..255 minus 103.939, 116.779, 123.68
        Caffe = "caffe",
        /// RGB, 0..1 minus 0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225
        Torch = "torch",
        /// RGB, -1..1
        Tf = "tf",
        /// RGB, 0..1
        Unit = "unit",
        /// RGB, 0..255
        None = "none",
    }
}

impl Preprocessing {
    /// What it does to pixels.
    pub const fn normalization(self) -> Normalization {
        match self {
            Self::Caffe => Normalization::CAFFE,
            Self::Torch => Normalization::TORCH,
            Self::Tf => Normalization::TF,
            Self::Unit => Normalization::UNIT,
            Self::None => Normalization::NONE,
        }
    }
}

/// What a network was trained to see: `(value * scale - mean) / std`, value in 0..255, channels in the network's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Channel 0 is blue: the order of `OpenCV`, and so of Caffe.
    pub bgr: bool,
    /// There is one channel, the luma of red, green and blue; its mean and deviation are the averages of the three below.
    pub grey: bool,
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
        grey: false,
        scale: 1.0,
        mean: [103.939, 116.779, 123.68],
        std: [1.0; 3],
    };
    /// RGB, 0..255, minus the mean of `ImageNet`: TensorFlow's copies of the VGG authors' model whose first filters
    /// were turned around.
    pub const CAFFE_RGB: Self = Self {
        bgr: false,
        grey: false,
        scale: 1.0,
        mean: [123.68, 116.779, 103.939],
        std: [1.0; 3],
    };
    /// RGB, 0..1, minus the mean of `ImageNet`, by its standard deviation: torchvision's models.
    pub const TORCH: Self = Self {
        bgr: false,
        grey: false,
        scale: 1.0 / 255.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    /// RGB, -1..1: TensorFlow's Inception and `MobileNet`, Keras' mode `tf`.
    pub const TF: Self = Self {
        bgr: false,
        grey: false,
        scale: 1.0 / 127.5,
        mean: [1.0; 3],
        std: [1.0; 3],
    };
    /// RGB, 0..1.
    pub const UNIT: Self = Self {
        bgr: false,
        grey: false,
        scale: 1.0 / 255.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    /// RGB, 0..255, for networks that normalise themselves.
    pub const NONE: Self = Self {
        bgr: false,
        grey: false,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    /// Its name, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        let colours = Self {
            grey: false,
            ..*self
        };
        let named = Preprocessing::ALL.iter();
        let mut named = named.filter(|preprocessing| preprocessing.normalization() == colours);
        named.next().map(|preprocessing| preprocessing.name())
    }

    /// The same for a network of so many channels.
    #[must_use]
    pub fn of_channels(self, channels: usize) -> Self {
        let grey = channels == 1;
        Self { grey, ..self }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        if self.grey { 1 } else { 3 }
    }

    /// Mean and deviation of a channel.
    pub(crate) fn numbers(&self, c: usize) -> (f32, f32) {
        match self.grey {
            true => (average(self.mean), average(self.std)),
            false => (self.mean[c], self.std[c]),
        }
    }

    /// Mean and scale as `--mean` and `--std` take them: red first, for pixels in 0..255.
    pub fn mean_and_std(&self) -> [[f32; 3]; 2] {
        let value = |values: [f32; 3], c| match self.grey {
            true => average(values),
            false => values[self.rgb(c)],
        };
        let red_first = |values| [0, 1, 2].map(|c| value(values, c) / self.scale);
        [self.mean, self.std].map(red_first)
    }

    /// The order of the network's channels, as `--channels` takes it; `grey` where there is one.
    pub fn order(&self) -> &'static str {
        match (self.grey, self.bgr) {
            (true, _) => "grey",
            (false, true) => "bgr",
            (false, false) => "rgb",
        }
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

/// Exact where all three are the same.
fn average(values: [f32; 3]) -> f32 {
    (values.map(f64::from).iter().sum::<f64>() / 3.0) as f32
}

/// The network's input: planar, C x H x W, channels in the network's order.
pub fn to_tensor(picture: &RgbImage, normalization: &Normalization) -> Vec<f32> {
    let n = normalization;
    let pixels = picture.as_raw().as_chunks::<3>().0;
    let mut tensor = Vec::with_capacity(n.channels() * pixels.len());
    for c in 0..n.channels() {
        let (mean, std) = n.numbers(c);
        // 256 values a channel: the table keeps the division, and so PyTorch's rounding, out of the pixel loop.
        let table: Vec<f32> = (0..=255u8)
            .map(|value| (f32::from(value) * n.scale - mean) / std)
            .collect();
        let channel = n.rgb(c);
        let level = |pixel: &[u8; 3]| match n.grey {
            true => luma(*pixel),
            false => pixel[channel],
        };
        let values = pixels.iter().map(|pixel| table[usize::from(level(pixel))]);
        tensor.extend(values);
    }
    tensor
}

/// Values at the network's input, planar, C x H x W, in the network's order, as values at the picture scaled to 0..1: H x W x 3,
/// RGB, or H x W x 1 for a network that sees grey. `degree` is the power of the gradient in them: 1 for a gradient, 0 for gradient times input, 2 for a square.
///
/// With p in 0..1 the input is `(255 p scale - mean) / std`, so the gradient is `d_input * 255 scale / std`.
///
/// # Panics
/// If `values` does not hold one plane a channel.
pub fn to_picture(values: &[f64], normalization: &Normalization, degree: i32) -> Vec<f64> {
    let n = normalization;
    let channels = n.channels();
    assert!(values.len().is_multiple_of(channels), "one plane a channel");
    let area = values.len() / channels;
    let mut turned = vec![0.0; values.len()];
    for c in 0..channels {
        let (_, std) = n.numbers(c);
        let factor = (f64::from(255.0 * n.scale) / f64::from(std)).powi(degree);
        let channel = if n.grey { 0 } else { n.rgb(c) };
        for (pixel, value) in turned.chunks_exact_mut(channels).zip(&values[c * area..]) {
            pixel[channel] = value * factor;
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

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
            let tensor = to_tensor(
                &picture,
                &name.parse::<Preprocessing>().unwrap().normalization(),
            );
            for (got, expected) in tensor.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-6, "{name}: {tensor:?}");
            }
        };
        close("torch", [-0.485 / 0.229, 0.544 / 0.224, -0.206 / 0.225]);
        close("tf", [-1.0, 1.0, -0.6]);
        close("unit", [0.0, 1.0, 0.2]);
        close("none", [0.0, 255.0, 51.0]);
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
        for &preprocessing in Preprocessing::ALL {
            let normalization = preprocessing.normalization();
            let at = |value| {
                let picture = RgbImage::from_pixel(1, 1, Rgb([value, 7, 7]));
                to_tensor(&picture, &normalization).iter().sum::<f32>()
            };
            let gradient = to_picture(&[1.0; 3], &normalization, 1)[0];
            let step = f64::from(at(101) - at(100));
            assert!((step - gradient / 255.0).abs() < 1e-4, "{preprocessing}");
        }
    }

    #[test]
    fn a_network_of_one_channel_sees_luma_scaled_by_the_average_of_three_numbers() {
        let picture = RgbImage::from_raw(2, 1, vec![255, 0, 0, 9, 9, 9]).unwrap();
        let tensor = |n: Normalization| to_tensor(&picture, &n.of_channels(1));
        assert_eq!(tensor(Normalization::UNIT), [76.0 / 255.0, 9.0 / 255.0]);
        assert_eq!(tensor(Normalization::NONE), [76.0, 9.0]);
        let torch = tensor(Normalization::TORCH)[0];
        assert!(
            (torch - (76.0 / 255.0 - 0.449) / 0.226).abs() < 1e-6,
            "{torch}"
        );
        let unit = Normalization::UNIT.of_channels(1);
        assert_eq!(unit.name(), Some("unit"));
        assert_eq!(to_picture(&[1.0, 2.0], &unit, 1), [1.0, 2.0]);
    }
}
