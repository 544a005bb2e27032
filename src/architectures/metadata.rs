//! What a file says of itself, beside its tensors: a text for each of a few keys, all of them optional.

use serde::{Deserialize, Serialize};

use super::ArchitectureError;
use super::node_list::NodeList;
use crate::network::{MAX_SIDE, OutputKind};
use crate::picture::preprocess::{Normalization, Preprocessing};
use crate::weights::Weights;

/// The keys.
pub(crate) mod keys {
    /// For people: the program that wrote the file.
    pub(crate) const PRODUCER: &str = "producer";
    /// For people: `vgg16`.
    pub(crate) const ARCHITECTURE: &str = "architecture";
    /// `caffe`, `torch`, `tf`, `unit` or `none`, perhaps a colon and a remark; or the numbers as a JSON object with
    /// `channels`, `scale`, `mean` and `std`: (value in 0..255 * scale - mean) / std, in the order of the channels.
    pub(crate) const PREPROCESSING: &str = "preprocessing";
    /// Pixels along each side.
    pub(crate) const INPUT_SIZE: &str = "input_size";
    /// `softmax` or `sigmoid`.
    pub(crate) const OUTPUT: &str = "output";
    /// Class names, a JSON list of strings.
    pub(crate) const LABELS: &str = "labels";
    /// The network itself, where the tensors' names do not tell it: see [`super::super::node_list`].
    pub(crate) const GRAPH: &str = "gradcam_graph";
}

/// What the metadata say.
pub(super) struct StatedMetadata {
    pub(super) architecture: Option<String>,
    pub(super) normalization: Option<Normalization>,
    pub(super) input_size: Option<usize>,
    pub(super) output_kind: Option<OutputKind>,
    pub(super) labels: Option<String>,
    pub(super) graph: Option<NodeList>,
}

/// Longest name of an architecture that is shown.
const MAX_ARCHITECTURE: usize = 64;

pub(super) fn read(weights: &Weights) -> Result<StatedMetadata, ArchitectureError> {
    let get = |key| weights.metadata.get(key);
    let error = |key, value: &str, expected| ArchitectureError::Metadata {
        key,
        value: value.into(),
        expected,
    };
    let shown = |name: &&String| {
        name.len() <= MAX_ARCHITECTURE && !name.is_empty() && !name.contains(char::is_control)
    };
    Ok(StatedMetadata {
        architecture: get(keys::ARCHITECTURE).filter(shown).cloned(),
        normalization: match get(keys::PREPROCESSING) {
            None => None,
            Some(value) => Some(preprocessing(value).ok_or_else(|| {
                let expected = "caffe, torch, tf, unit or none, perhaps a colon and a remark";
                error(keys::PREPROCESSING, value, expected)
            })?),
        },
        input_size: match get(keys::INPUT_SIZE) {
            None => None,
            Some(value) => Some(input_size(value).ok_or_else(|| {
                let expected = "a number of pixels up to 4096";
                error(keys::INPUT_SIZE, value, expected)
            })?),
        },
        output_kind: match get(keys::OUTPUT).map(String::as_str) {
            None => None,
            Some("softmax") => Some(OutputKind::Softmax),
            Some("sigmoid") => Some(OutputKind::Sigmoid),
            Some(value) => return Err(error(keys::OUTPUT, value, "softmax or sigmoid")),
        },
        labels: get(keys::LABELS).cloned(),
        graph: match get(keys::GRAPH) {
            None => None,
            Some(json) => Some(NodeList::parse(json)?),
        },
    })
}

fn input_size(text: &str) -> Option<usize> {
    // Larger, and its activations outgrow every adapter.
    text.parse()
        .ok()
        .filter(|size| (1..=MAX_SIDE).contains(size))
}

/// A normalisation in numbers.
#[derive(Serialize, Deserialize)]
struct Numbers {
    channels: Order,
    scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Rgb,
    Bgr,
}

fn preprocessing(text: &str) -> Option<Normalization> {
    if !text.starts_with('{') {
        let name = text.split(':').next()?.trim();
        let mut named = Preprocessing::ALL.iter();
        let found = named.find(|preprocessing| preprocessing.name() == name)?;
        return Some(found.normalization());
    }
    let Numbers {
        channels,
        scale,
        mean,
        std,
    } = serde_json::from_str(text).ok()?;
    let finite = mean.iter().chain([&scale]).all(|value| value.is_finite());
    let usable = |std: &f32| std.is_finite() && *std > 0.0;
    (finite && std.iter().all(usable)).then_some(Normalization {
        bgr: channels == Order::Bgr,
        grey: false,
        scale,
        mean,
        std,
    })
}

/// The text that [`keys::PREPROCESSING`] has for a normalisation.
pub(crate) fn preprocessing_text(normalization: &Normalization) -> String {
    if let Some(name) = normalization.name() {
        return name.into();
    }
    let numbers = Numbers {
        channels: if normalization.bgr {
            Order::Bgr
        } else {
            Order::Rgb
        },
        scale: normalization.scale,
        mean: normalization.mean,
        std: normalization.std,
    };
    serde_json::to_string(&numbers).expect("numbers have a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_normalisation_comes_back_from_its_text() {
        let odd = Normalization {
            bgr: true,
            grey: false,
            scale: 1.0 / 3.0,
            mean: [0.1, 2.0, -3.5],
            std: [1.0, 0.7, 1e-3],
        };
        let named = Preprocessing::ALL.iter();
        let named = named.map(|preprocessing| preprocessing.normalization());
        for normalization in named.chain([odd]) {
            let text = preprocessing_text(&normalization);
            assert_eq!(preprocessing(&text), Some(normalization), "{text}");
        }
        assert_eq!(preprocessing("caffe: BGR"), Some(Normalization::CAFFE));
        for text in [
            "",
            "imagenet",
            "{}",
            r#"{"channels":"rgb","scale":1,"mean":[0,0,0],"std":[1,0,1]}"#,
            r#"{"channels":"rgb","scale":1e99,"mean":[0,0,0],"std":[1,1,1]}"#,
        ] {
            assert_eq!(preprocessing(text), None, "{text}");
        }
    }
}
