//! From a weights file to a network: joins what `weights` read with what `network` can say.
//!
//! Files of named tensors do not hold the network itself: that they are a VGG, or of one of the families in `families`, is told
//! from the tensors' names and shapes. What these leave open is taken as everybody has it, with a note that says so (a ReLU between dense layers, the
//! size of pictures, how they are scaled), or refused with the readings that there are. Files that hold a graph say all of it.

mod affine;
mod batch_norm;
mod error;
mod families;
mod keras;
mod known;
mod metadata;
mod modules;
mod names;
mod node_list;
mod onnx;
mod prefix;
mod several;
mod tensorflow;
mod torch;
mod transformers;
mod vgg;

use std::path::Path;

use crate::labels::Labels;
use crate::network::{Network, OutputKind, Shape};
use crate::picture::preprocess::Normalization;
use crate::weights::Weights;
use crate::weights::onnx::Graph;
use metadata::StatedMetadata;

use error::ADVICE;
pub use error::{ArchitectureError, BatchNormProblem};
pub use keras::KerasModelError;
pub(crate) use metadata::{keys, preprocessing_text};
pub use node_list::NodeListError;
pub(crate) use node_list::{NodeList, tensors as node_list_tensors};
pub(crate) use vgg::torch_names;

pub use onnx::{GraphError, GraphOutput};

/// A network with what its weights file tells about its use.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    /// How pictures are scaled for it.
    pub normalization: Normalization,
    /// What says so.
    pub normalization_evidence: Evidence,
    /// Class names from the file, a JSON list of strings.
    pub labels: Option<String>,
    /// The outputs of a graph that has several.
    pub outputs: Vec<GraphOutput>,
    /// What the network does to its pixels itself, which is a part of `normalization`.
    pub(crate) steps: Option<prefix::Pixels>,
    /// Whether it scales its pixels, by those steps or by others that are a part of the network.
    pub(crate) scales_itself: bool,
    /// What was assumed that the file does not say, a sentence each, with the option that changes it.
    pub notes: Vec<String>,
}

impl Classifier {
    /// The network that `weights` belong to, as its file describes it or as it is told from its tensors' names.
    ///
    /// # Errors
    /// Weights that make no network of a kind that is run here.
    pub fn recognise(weights: &Weights) -> Result<Self, ArchitectureError> {
        recognise(weights)
    }
}

/// How it is known how pictures are scaled for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The file says so itself.
    Metadata,
    /// The weights are those of a published network: what they are known by.
    Known(&'static str),
    /// Nothing says so; this makes it likely.
    Guess(&'static str),
}

impl std::fmt::Display for Evidence {
    /// To follow "caffe, ".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Metadata => f.write_str("as the file says"),
            Self::Known(reason) => write!(f, "known, since {reason}"),
            Self::Guess(reason) => write!(f, "a guess: {reason}"),
        }
    }
}

/// Rows and columns of a picture where a graph leaves them open.
const INPUT_SIZE: usize = 224;

/// The network that an ONNX `graph` computes. Where it leaves the picture's size open, `size` rows and columns.
pub fn graph_network(graph: &Graph, size: usize) -> Result<Network, GraphError> {
    let wanted = onnx::GraphRequest {
        size: onnx::Size::Open(size),
        output: None,
        named: &|_| false,
    };
    onnx::network(graph, wanted).map(|imported| imported.network)
}

/// What is told where a graph says its picture's channels alone.
fn guessed_size(Shape { h, w, .. }: Shape) -> String {
    let pixels = match h == w {
        true => h.to_string(),
        false => format!("{w} x {h}"),
    };
    format!(
        "the file does not say which size of pictures the network takes: {pixels} is a guess, since its graph leaves that open; \
         --input-size says otherwise"
    )
}

/// The classifier that `graph` is, over pictures of the size asked for, whatever the graph says: what an exporter worked out
/// from the size that it saw, such as padding, is worked out again.
fn of_graph(
    graph: &Graph,
    asked: &Overrides<'_>,
    labels: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let own = onnx::class_names(graph).map(|names| serde_json::Value::from(names).to_string());
    let labels = own.as_deref().or(labels);
    let named = |count: usize| match (asked.labels, labels) {
        (Some(path), _) => Labels::read(path, count).is_ok(),
        (None, Some(json)) => Labels::from_json(json, count, Path::new("")).is_ok(),
        (None, None) => false,
    };
    let read = |size| {
        let wanted = onnx::GraphRequest {
            size,
            output: asked.output,
            named: &named,
        };
        onnx::network(graph, wanted)
    };
    let read = |size| {
        read(size).map_err(|error| match transformers::of_graph(graph) {
            Some(kind) => ArchitectureError::Transformer { kind },
            None => Box::new(error).into(),
        })
    };
    let usual = || read(onnx::Size::Open(INPUT_SIZE));
    let imported = match asked.input_size {
        None => usual()?,
        Some(size) => read(onnx::Size::Asked(size)).map_err(|error| {
            match usual().map(|imported| imported.network.input_shape()) {
                Ok(Shape { h, w, .. }) if [h, w] != [size; 2] => ArchitectureError::InputSize {
                    asked: size,
                    allowed: format!("{w} x {h}"),
                },
                _ => error,
            }
        })?,
    };
    let mut classifier = with_own_scaling(imported);
    classifier.labels = own;
    Ok(classifier)
}

/// What a graph does to its pixels itself, channel by channel, becomes a part of the preprocessing.
fn with_own_scaling(imported: onnx::Imported) -> Classifier {
    let onnx::Imported {
        network,
        bytes,
        outputs,
        notes,
        ..
    } = imported;
    let taken = prefix::take(network.clone());
    let known = taken.normalization(bytes);
    let scales_itself = taken.all.changes_values();
    let told = Classifier {
        outputs,
        scales_itself,
        notes,
        ..network.into()
    };
    match known {
        Some((normalization, normalization_evidence)) if bytes || scales_itself => Classifier {
            network: taken.network,
            normalization,
            normalization_evidence,
            steps: Some(taken.steps),
            ..told
        },
        _ => told,
    }
}

/// The network that `weights` belong to.
pub fn recognise(weights: &Weights) -> Result<Classifier, ArchitectureError> {
    recognise_at(weights, None)
}

/// The same over pictures of `input_size` x `input_size` pixels, where the network takes them.
pub fn recognise_at(
    weights: &Weights,
    input_size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    let asked = Overrides {
        input_size,
        ..Overrides::default()
    };
    recognise_as(weights, &asked)
}

/// What the user says of a network, whatever its file says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// Rows and columns of the pictures.
    pub input_size: Option<usize>,
    /// The output to explain, of a graph that has several.
    pub output: Option<&'a str>,
    /// A file of class names: of several outputs the one with as many numbers is taken.
    pub labels: Option<&'a Path>,
    /// Which of the architectures that the tensors' names allow.
    pub architecture: Option<&'a str>,
}

/// The network that `weights` belong to, as far as the user leaves it open.
pub fn recognise_as(
    weights: &Weights,
    asked: &Overrides<'_>,
) -> Result<Classifier, ArchitectureError> {
    let stated = metadata::read(weights)?;
    let size = asked.input_size.or(stated.input_size);
    let names_outputs = weights.graph.is_some() || keras::is_model(weights);
    if let Some(wanted) = asked
        .output
        .filter(|_| !names_outputs || stated.graph.is_some())
    {
        return Err(ArchitectureError::NoOutputs {
            wanted: wanted.into(),
        });
    }
    let says_all = stated.graph.is_some() || weights.graph.is_some() || keras::wrote(weights);
    if let (true, Some(architecture)) = (says_all, asked.architecture) {
        return Err(leaves_none(architecture));
    }
    let classifier = match &stated.graph {
        Some(graph) => at_size(node_list::network(graph, weights)?.into(), size)?,
        None if let Some(graph) = &weights.graph => {
            let asked = Overrides {
                input_size: size,
                ..*asked
            };
            of_graph(graph, &asked, stated.labels.as_deref())?
        }
        None if keras::wrote(weights) => keras::classifier(weights, size, asked.output)?,
        None => by_names(weights, size, asked.architecture)?,
    };
    Ok(as_known(classifier, weights, stated))
}

/// Where a file says all of its network, and so leaves none to be chosen.
fn leaves_none(architecture: &str) -> ArchitectureError {
    ArchitectureError::NoArchitectures {
        asked: architecture.into(),
    }
}

/// The network that the names of tensors tell: of a family, or else a VGG.
fn by_names(
    weights: &Weights,
    size: Option<usize>,
    architecture: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    several::refuse(weights)?;
    let told = families::classifier(weights, size, architecture);
    if !matches!(told, Ok(Some(_))) {
        // One with blocks of convolutions may have a family's names.
        transformers::refuse(weights)?;
    }
    let (classifier, allowed) = match (told?, architecture) {
        (Some(told), _) => told,
        (None, Some(architecture)) => return Err(leaves_none(architecture)),
        (None, None) => {
            let classifier = match several::without_averages(weights)? {
                None => vgg::classifier(weights, size)?,
                Some((network, left_out)) => {
                    let mut classifier = vgg::classifier(&network, size)?;
                    classifier.notes.push(left_out);
                    classifier
                }
            };
            (classifier, modules::Allowed::default())
        }
    };
    modules::agree(&weights.modules, &classifier.network, allowed)?;
    Ok(classifier)
}

/// The classifier with what is known of its weights, and then with what the file states of its use.
fn as_known(mut classifier: Classifier, weights: &Weights, stated: StatedMetadata) -> Classifier {
    keras::applications::look(&mut classifier, weights);
    known::look(&mut classifier, weights);
    let channels = classifier.network.input_shape().c;
    if channels == 1 && matches!(classifier.normalization_evidence, Evidence::Guess(_)) {
        let reason = "it sees grey, which is most often given in 0..1";
        classifier.scale_by(Normalization::UNIT.of_channels(channels));
        classifier.normalization_evidence = Evidence::Guess(reason);
    }
    if let Some(normalization) = stated.normalization {
        classifier.scale_by(normalization);
        classifier.normalization_evidence = Evidence::Metadata;
    }
    if let Some(architecture) = stated.architecture {
        classifier.network.architecture = architecture;
    }
    classifier.normalization = classifier.normalization.of_channels(channels);
    // A softmax over one class says 1 whatever is seen.
    let alone = (classifier.network.classes() == 1).then_some(OutputKind::Sigmoid);
    if let Some(kind) = stated.output_kind.or(alone) {
        classifier.network.output_kind = kind;
    }
    // In a graph's metadata they may be those of something else.
    let classes = classifier.network.classes();
    let fits = |json: &String| {
        weights.graph.is_none() || Labels::from_json(json, classes, Path::new("")).is_ok()
    };
    let own = classifier.labels.take();
    classifier.labels = own.into_iter().chain(stated.labels).find(fits);
    classifier.notes.extend(stated.notes);
    classifier
}

impl From<Network> for Classifier {
    /// A network of which nothing is known but its layers.
    fn from(network: Network) -> Self {
        Self {
            network,
            normalization: Normalization::TORCH,
            normalization_evidence: Evidence::Guess("most networks are trained so"),
            labels: None,
            notes: vec![],
            outputs: vec![],
            steps: None,
            scales_itself: false,
        }
    }
}

impl Classifier {
    /// Pictures are scaled as the user says; what the network does to its pixels itself comes after that.
    pub fn scale_by(&mut self, input: Normalization) {
        let behind = self.steps.as_ref().and_then(|steps| steps.behind(input));
        self.normalization = behind.unwrap_or(input);
    }

    /// Whether the network scales its pixels itself, whatever goes in.
    pub fn scales_itself(&self) -> bool {
        self.scales_itself
    }
}

/// A network whose windows are all given, over pictures of another size.
fn at_size(
    mut classifier: Classifier,
    size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    let there = classifier.network.input_shape();
    if let Some(size) = size.filter(|&size| [size; 2] != [there.h, there.w]) {
        let resized = classifier.network.at_input(Shape::new(there.c, size, size));
        classifier.network = resized.map_err(|_| ArchitectureError::InputSize {
            asked: size,
            allowed: format!("{} x {}", there.w, there.h),
        })?;
    }
    Ok(classifier)
}

/// The first few tensor names, for an error.
fn names(weights: &Weights) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<&str> = weights
        .tensors
        .keys()
        .take(SHOWN)
        .map(String::as_str)
        .collect();
    if weights.tensors.len() > SHOWN {
        names.push("...");
    }
    names.join(", ")
}
