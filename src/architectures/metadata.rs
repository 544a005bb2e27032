//! What a file says of itself, beside its tensors: a text for each of a few keys, all of them optional.

mod conventions;

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
    /// What was left out.
    pub(super) notes: Vec<String>,
}

/// Longest name of an architecture that is shown.
const MAX_ARCHITECTURE: usize = 64;

pub(super) fn read(weights: &Weights) -> Result<StatedMetadata, ArchitectureError> {
    let said = match weights.graph {
        Some(_) => conventions::read(&weights.metadata),
        None => conventions::Said::default(),
    };
    let mut reader = Reader {
        weights,
        notes: vec![],
    };
    let shown = |name: &&String| {
        name.len() <= MAX_ARCHITECTURE && !name.is_empty() && !name.contains(char::is_control)
    };
    let scaling = "caffe, torch, tf, unit or none, perhaps a colon and a remark";
    let normalization = reader.stated(keys::PREPROCESSING, scaling, preprocessing)?;
    let pixels = "a number of pixels up to 4096";
    let input_size = reader.stated(keys::INPUT_SIZE, pixels, input_size)?;
    let output_kind = reader.stated(keys::OUTPUT, "softmax or sigmoid", output_kind)?;
    let get = |key| weights.metadata.get(key);
    Ok(StatedMetadata {
        architecture: get(keys::ARCHITECTURE).filter(shown).cloned(),
        normalization: normalization.or(said.normalization),
        input_size: input_size.or(said.input_size),
        output_kind,
        labels: match weights.graph {
            Some(_) => said.labels,
            None => get(keys::LABELS).cloned(),
        },
        graph: match get(keys::GRAPH) {
            None => None,
            Some(json) => Some(NodeList::parse(json)?),
        },
        notes: reader.notes,
    })
}

struct Reader<'a> {
    weights: &'a Weights,
    notes: Vec<String>,
}

impl Reader<'_> {
    /// The value of a key. In a file whose graph says what it computes such a word may stand for anything: what is not `expected`
    /// is left out there.
    fn stated<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ArchitectureError> {
        let Some(value) = self.weights.metadata.get(key) else {
            return Ok(None);
        };
        let parsed = parse(value);
        if parsed.is_none() && self.weights.graph.is_none() {
            return Err(ArchitectureError::Metadata {
                key,
                value: value.clone(),
                expected,
            });
        }
        if parsed.is_none() {
            self.notes.push(format!(
                "the metadata's {key} is {value:?}, not {expected}: it was left out"
            ));
        }
        Ok(parsed)
    }
}

fn output_kind(text: &str) -> Option<OutputKind> {
    match text {
        "softmax" => Some(OutputKind::Softmax),
        "sigmoid" => Some(OutputKind::Sigmoid),
        _ => None,
    }
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
