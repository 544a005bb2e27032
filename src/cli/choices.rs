//! The closed lists of values: those of the core, and those that only the command line has.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

pub use crate::draw::colormap::Colormap;
pub use crate::gpu::Backend;
pub use crate::methods::Method;
use crate::methods::attribution;
pub use crate::methods::fuse::Fuse;
pub use crate::network::OutputKind;
pub use crate::picture::Format;
pub use crate::picture::preprocess::Preprocessing;
pub use crate::plan::StoredDtype;
use crate::plan::Winograd;
pub use crate::score::Score;

/// What can be written for a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Output {
    /// The map in grey
    Heatmap,
    /// The map in 65,536 levels of grey, always as PNG
    Heatmap16,
    /// The map in colour over the picture; of a pixel method, its values in colour
    Gradcam,
    /// The picture lit by the map
    Segmented,
    /// The map's hottest region, see --boxes, in white on black, always as PNG
    Mask,
    /// Guided backpropagation to the pixels
    #[value(aliases = ["guided_backprop", "guided_backpropagation"])]
    GuidedBprop,
    /// Guided backpropagation lit by the Grad-CAM map
    GuidedGradcam,
    /// The map before ReLU and scaling, or the pixel values, and guided backpropagation's gradient, as .npy
    Raw,
}

impl Output {
    /// The pixel method that it shows whatever methods are asked for; none where it shows each of those.
    pub fn own_method(self) -> Option<attribution::Method> {
        match self {
            Self::GuidedBprop | Self::Raw => Some(attribution::Method::GuidedBprop),
            Self::GuidedGradcam => Some(attribution::Method::GuidedGradcam),
            Self::Heatmap | Self::Heatmap16 | Self::Gradcam | Self::Segmented | Self::Mask => None,
        }
    }
}

/// What `--outputs` takes: outputs, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outputs {
    /// This one.
    One(Output),
    /// No file for a class.
    None,
}

static OUTPUTS: LazyLock<Vec<Outputs>> = LazyLock::new(|| {
    let each = Output::value_variants().iter().copied();
    each.map(Outputs::One).chain([Outputs::None]).collect()
});

impl ValueEnum for Outputs {
    fn value_variants<'a>() -> &'a [Self] {
        &OUTPUTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::One(output) => output.to_possible_value(),
            Self::None => Some(PossibleValue::new("none").help("No file for a class")),
        }
    }
}

/// Size of the pictures written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Size {
    /// The network's square
    #[default]
    Model,
    /// The map placed back on the original picture
    Original,
}

/// How a picture meets the network's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Fit {
    /// The largest centred part of the network's proportions; what lies outside is not seen
    Crop,
    /// The whole picture, its proportions changed
    Squash,
    /// The whole picture, centred, with bars
    Pad,
    /// The whole picture in overlapping squares, blended, for long and large ones; see --tiles
    Tiles,
}

/// How the heat map lies over the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Overlay {
    /// Their sum, rescaled, as in the original
    Sum,
    /// The two blended, --alpha of the heat map
    Blend,
    /// The same where the heat reaches --threshold, the picture as it is elsewhere
    Threshold,
}

/// How a picture is drawn in the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Preview {
    /// By what the terminal says of itself
    Auto,
    /// Kitty's graphics protocol
    Kitty,
    /// iTerm's inline pictures
    Iterm,
    /// Sixels
    Sixel,
    /// Half blocks in colour
    Blocks,
}

/// Which regions of a map are boxed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Boxes {
    /// The one of the most pixels
    #[default]
    Largest,
    /// Each that takes --box-area of the picture
    All,
}

/// How pixel values become colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum PixelScale {
    /// Around grey, stretched to the magnitude that 99.5 % of the values do not pass
    #[default]
    Percentile,
    /// From the least value to the largest
    #[value(name = "minmax")]
    MinMax,
}

/// What is drawn at full strength.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Scale {
    /// The largest value of each map.
    #[default]
    Class,
    /// The largest value of a method's maps of all classes of a picture.
    Image,
    /// This value, above zero and finite.
    Fixed(f64),
}

/// Why a text is no [`Scale`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write class, image, or a number above 0, in the units of the map's values")]
pub struct ScaleError;

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class => f.write_str("class"),
            Self::Image => f.write_str("image"),
            Self::Fixed(full) => full.fmt(f),
        }
    }
}

impl std::str::FromStr for Scale {
    type Err = ScaleError;

    fn from_str(text: &str) -> Result<Self, ScaleError> {
        if text.eq_ignore_ascii_case("class") {
            return Ok(Self::Class);
        }
        if text.eq_ignore_ascii_case("image") {
            return Ok(Self::Image);
        }
        let number = text.parse().ok();
        let number = number.filter(|&number: &f64| number.is_finite() && number > 0.0);
        number.map(Self::Fixed).ok_or(ScaleError)
    }
}

/// A picture of one colour to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Baseline {
    /// Zero for the network: the mean of what it was trained on, where its preprocessing subtracts that
    Mean,
    /// Black
    Black,
    /// White
    White,
}

/// What `--channels` says: one word for two things, told apart by being a number or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelsFlag {
    /// How many of the target layer's are tried.
    Count(NonZeroUsize),
    /// How the network's input has them.
    Order(Channels),
}

/// Why a text is no `K` and no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a number from 1, or rgb or bgr")]
pub struct ChannelsError;

impl std::str::FromStr for ChannelsFlag {
    type Err = ChannelsError;

    fn from_str(text: &str) -> Result<Self, ChannelsError> {
        let order = || Channels::from_str(text, true).map(Self::Order);
        let count = text.parse().map(Self::Count);
        count.or_else(|_| order()).map_err(|_| ChannelsError)
    }
}

/// How maps are made smoother.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Smooth {
    /// The mean of the maps of the picture and of its mirror image, each at 0.9, 1 and 1.1 times its values
    Aug,
    /// The first principal component of the weighted channels in place of their sum
    Eigen,
}

/// Order of the network's input channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Channels {
    /// Red first
    Rgb,
    /// Blue first
    Bgr,
}

/// Type of the numbers that `convert` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Precision {
    /// float32
    F32,
    /// float16: half the size, three digits, up to 65504
    F16,
    /// bfloat16: half the size, two digits, any range
    Bf16,
}

/// How 3x3 convolutions of stride 1 are computed, forward and back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Convolution {
    /// By Winograd's algorithm where that is faster
    #[default]
    Fast,
    /// Product by product: slower, with less rounding
    Direct,
}

impl From<Convolution> for Winograd {
    fn from(convolution: Convolution) -> Self {
        match convolution {
            Convolution::Fast => Self::WhereFaster,
            Convolution::Direct => Self::Never,
        }
    }
}

static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| Method::all().collect());

impl ValueEnum for Method {
    fn value_variants<'a>() -> &'a [Self] {
        &METHODS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Cam(method) => method.to_possible_value(),
            Self::Pixel(method) => method.to_possible_value(),
            Self::Perturbation(method) => method.to_possible_value(),
        }
    }
}

/// Shows a value as it is typed, so that a name is written once.
macro_rules! display_as_typed {
    ($($choice:ty),*) => {$(
        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.to_possible_value().expect("every variant has a name");
                f.write_str(value.get_name())
            }
        }
    )*};
}
display_as_typed!(
    Output,
    Size,
    Smooth,
    Boxes,
    Preview,
    Fit,
    Overlay,
    PixelScale,
    Precision,
    Channels,
    Baseline,
    Convolution
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_they_are_typed() {
        let method = Method::Cam(crate::methods::cam::Method::GradCamPlusPlus);
        assert_eq!(method.to_string(), "gradcam++");
        assert_eq!(Output::GuidedBprop.to_string(), "guided_bprop");
        assert_eq!(Backend::Dx12.to_string(), "dx12");
    }

    #[test]
    fn channels_are_a_number_or_an_order() {
        let parse = |text: &str| text.parse::<ChannelsFlag>();
        let count = ChannelsFlag::Count(NonZeroUsize::new(64).unwrap());
        assert_eq!(parse("64"), Ok(count));
        assert_eq!(parse("bgr"), Ok(ChannelsFlag::Order(Channels::Bgr)));
        for wrong in ["0", "-1", "6.5", "grb", ""] {
            assert_eq!(parse(wrong), Err(ChannelsError), "{wrong}");
        }
    }

    #[test]
    fn a_scale_is_a_word_or_a_number_above_zero() {
        let parse = |text: &str| text.parse::<Scale>();
        assert_eq!(parse("class"), Ok(Scale::Class));
        assert_eq!(parse("Image"), Ok(Scale::Image));
        assert_eq!(parse("2.5e-4"), Ok(Scale::Fixed(2.5e-4)));
        for wrong in ["0", "-1", "inf", "nan", "picture", ""] {
            assert_eq!(parse(wrong), Err(ScaleError), "{wrong}");
        }
    }
}
