//! How the maps of a report were made: what is the same for every method, and what those asked for depend on.

use serde::Serialize;

use crate::picture::preprocess::Normalization;

/// How the maps of a report were made. In the JSON words stand as they are typed, and what no method or output asked for
/// reads is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// As `--smooth` has them; empty for none.
    pub smooth: Vec<String>,
    /// How the picture met the network's rectangle.
    pub fit: String,
    /// How pixels became the network's input.
    pub preprocess: Preprocess,
    /// Rows and columns that the network saw.
    pub input_size: [usize; 2],
    /// What the network ends with.
    pub activation: String,
    /// What the device stored the matrices of dense layers as.
    pub weights_dtype: String,
    /// What it stored all else as.
    pub dtype: String,
    /// How 3x3 convolutions were computed.
    pub convolution: String,
    /// Channels of a target layer that were tried, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Noisy copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Random masks, `--samples` of RISE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<usize>,
    /// Deviation of the noise, as a share of the range of the input's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Steps from the baseline to the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Pixels along each side of what was hidden at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<usize>,
    /// Pixels from one patch to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// What the picture was compared with or hidden behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Of the random numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Which regions were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Regions>,
    /// The box that maps were held against: left and upper edge, width and height in pixels of the picture.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub known_box: Option<[f64; 4]>,
    /// The boxes, where there are several.
    #[serde(rename = "boxes", skip_serializing_if = "Option::is_none")]
    pub known_boxes: Option<Vec<[f64; 4]>>,
    /// How the pictures were drawn.
    #[serde(flatten)]
    pub drawing: Drawing,
}

/// How pictures were drawn; what none that was written depends on is absent from the JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Drawing {
    /// `model` or `original`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// What was drawn at full strength: `class`, `image`, or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<serde_json::Value>,
    /// Colours of the heat map over the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colormap: Option<String>,
    /// `sum`, `blend` or `threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<&'static str>,
    /// Share of the heat map in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// Heat from which it was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Whether what lies below zero was drawn; absent where not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
    /// How pixel values became colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_scale: Option<String>,
}

/// Regions of maps that were looked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regions {
    /// `largest` or `all`.
    pub which: String,
    /// Heat of their pixels at least.
    pub threshold: f32,
    /// Share of the picture that each took at least.
    pub least_area: f64,
}

/// Preprocessing: JSON a name, or an object of what `--mean`, `--std` and `--channels` take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Preprocess {
    /// A published one.
    Named(&'static str),
    /// For pixels in 0..255.
    Numbers {
        /// Red, green, blue.
        mean: [f32; 3],
        /// Red, green, blue.
        std: [f32; 3],
        /// `rgb` or `bgr`: the order in which the network takes them.
        channels: &'static str,
    },
}

impl Preprocess {
    /// By its name, if it has one.
    pub fn of(normalization: &Normalization) -> Self {
        if let Some(name) = normalization.name() {
            return Self::Named(name);
        }
        let [mean, std] = normalization.mean_and_std();
        Self::Numbers {
            mean,
            std,
            channels: normalization.order(),
        }
    }
}
