//! `gradcam info`: what a weights file holds, and what is wrong with it.

mod text;

use std::path::Path;

use serde::{Serialize, Serializer};

pub(crate) use text::size;

use crate::architectures::{self, ArchitectureError, Classifier, GraphOutput, Overrides};
use crate::command::network::weights_name;
use crate::command::tune::tuned;
use crate::explainer::{self, Wanted};
use crate::gpu::{Gpu, GpuError, Selection};
use crate::labels::{Labels, LabelsError};
use crate::methods::Method;
use crate::methods::attribution;
use crate::methods::cam;
use crate::network::{
    Interpolation, Network, NetworkError, Op, Pad, RepeatMode, Resample, Resize, Shape,
    SoftmaxOver, Window,
};
use crate::options::DEFAULT_TOP_N;
use crate::output::report::paths;
use crate::plan::{Plan, PlanError, Request, StoredDtype};
use crate::weights::{self, Weights, WeightsError, hex};

/// Version of the JSON's form.
const SCHEMA: u32 = 1;

/// What is known of a weights file. As far as it could be read: `problem` says what stopped it.
#[derive(Debug, Serialize)]
pub struct Info {
    schema: u32,
    /// As named on the command line; `None` for the built-in network.
    pub file: Option<String>,
    /// Its bytes where it is not Unicode, percent-encoded; absent from the JSON otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<String>,
    /// What is wrong, in a sentence that begins with the file's name.
    #[serde(serialize_with = "displayed")]
    pub problem: Option<Problem>,
    /// The file, where it could be read.
    #[serde(flatten)]
    pub contents: Option<Contents>,
    /// The network, where there is one.
    pub network: Option<NetworkInfo>,
}

/// A file of tensors.
#[derive(Debug, Serialize)]
pub struct Contents {
    /// As in `safetensors`.
    pub format: String,
    /// The program that wrote it, where it says so.
    pub producer: Option<String>,
    /// Length of the file.
    pub bytes: usize,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
    /// The published file that this is.
    pub known_as: Option<&'static str>,
    /// Tensors of floats.
    pub tensors: Vec<TensorRow>,
    /// What was left out or worked out on reading; with what was assumed of the network, where there is one.
    pub notes: Vec<String>,
}

/// A tensor in a file.
#[derive(Debug, Serialize)]
pub struct TensorRow {
    /// Its name.
    pub name: String,
    /// As in `float32`.
    pub dtype: &'static str,
    /// Length of each dimension.
    pub shape: Vec<usize>,
}

/// A network in words and numbers.
#[derive(Debug, Serialize)]
pub struct NetworkInfo {
    /// As in `vgg16`.
    pub architecture: String,
    /// Channels, rows, columns.
    pub input: [usize; 3],
    /// Its name or its numbers.
    pub preprocessing: String,
    /// What says so.
    pub preprocessing_evidence: String,
    /// Number of classes.
    pub classes: usize,
    /// `softmax` or `sigmoid`.
    pub output: String,
    /// The outputs of a graph that has several.
    pub outputs: Vec<GraphOutput>,
    /// Where the class names come from.
    pub labels: &'static str,
    /// The first few of them.
    pub first_labels: Vec<String>,
    /// Weights and biases.
    pub parameters: usize,
    /// Of a forward pass for one picture.
    pub multiply_adds: u64,
    /// In the order in which they run.
    pub layers: Vec<NodeRow>,
    /// Names that `--layer` takes.
    pub targets: Vec<String>,
    /// The one that is looked at when nobody says which.
    pub default_target: Option<String>,
    /// What the default command needs here.
    pub memory: Option<Memory>,
    /// Why that is not known, or does not fit.
    pub memory_problem: Option<String>,
}

/// A node of the network.
#[derive(Debug, Serialize)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// What it computes: `conv 3x3`.
    pub op: String,
    /// Names of the layers that it reads.
    pub inputs: Vec<String>,
    /// Channels, rows, columns of its value.
    pub shape: [usize; 3],
    /// Weights and biases.
    pub parameters: usize,
}

/// Device memory, bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// The adapter's name.
    pub adapter: String,
    /// Weights.
    pub weights: u64,
    /// Activations and gradients of one picture and the default classes.
    pub working: u64,
    /// The most at once, with what those are written and read through.
    pub peak: u64,
    /// The same with `--dtype f16`.
    pub peak_f16: u64,
}

/// Why pictures cannot be explained with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Its tensors make no network.
    #[error("{file}: {source}")]
    Architecture {
        /// The file.
        file: String,
        /// What is wrong.
        source: ArchitectureError,
    },
    /// Its class names are not those of its classes.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Its network has nothing to look at.
    #[error("{file}: {source}")]
    Network {
        /// The file.
        file: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// A weight that is infinite or no number.
    #[error(
        "{file}: {tensor} holds {value} at element {at}: the file is damaged, or the training that made it diverged"
    )]
    NotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its element, in C order.
        at: usize,
        /// NaN or an infinity.
        value: f32,
    },
}

/// Looks at the file at `path`, or at the built-in network; of a graph at the output called `output`.
pub fn look(path: Option<&Path>, output: Option<&str>, architecture: Option<&str>) -> Info {
    let mut info = Info {
        schema: SCHEMA,
        file: path.map(|path| path.display().to_string()),
        file_bytes: path.and_then(paths::bytes),
        problem: None,
        contents: None,
        network: None,
    };
    if let Err(problem) = fill(&mut info, path, output, architecture) {
        info.problem = Some(problem);
    }
    info
}

fn fill(
    info: &mut Info,
    path: Option<&Path>,
    output: Option<&str>,
    architecture: Option<&str>,
) -> Result<(), Problem> {
    let weights = weights::open_or_builtin(path)?;
    let file = weights_name(&weights).display().to_string();
    info.contents = Some(contents(&weights));
    weights.verify()?;
    let asked = Overrides {
        output,
        architecture,
        ..Overrides::default()
    };
    let classifier =
        architectures::recognise_as(&weights, &asked).map_err(|source| Problem::Architecture {
            file: file.clone(),
            source,
        })?;
    let count = classifier.network.classes();
    let labels = Labels::choose(
        None,
        classifier.labels.as_deref(),
        count,
        &weights_name(&weights),
    )?;
    if let Some(contents) = &mut info.contents {
        contents.notes.extend(classifier.notes.iter().cloned());
    }
    let network = info.network.insert(describe(&classifier, &labels));
    let target = classifier
        .network
        .target(None)
        .map_err(|source| Problem::Network {
            file: file.clone(),
            source,
        })?;
    network.default_target = Some(classifier.network.layer_name(target).into());
    for (tensor, values) in &weights.tensors {
        if let Some((at, value)) = values.first_not_finite() {
            let tensor = tensor.clone();
            return Err(Problem::NotFinite {
                file,
                tensor,
                at,
                value,
            });
        }
    }
    Ok(())
}

fn contents(weights: &Weights) -> Contents {
    let sha256 = weights.sha256();
    Contents {
        format: weights.format.to_string(),
        producer: producer(weights),
        bytes: weights.byte_len(),
        sha256: hex(&sha256),
        known_as: weights.known_as(&sha256),
        tensors: weights
            .tensors
            .iter()
            .map(|(name, tensor)| TensorRow {
                name: name.clone(),
                dtype: tensor.dtype().name(),
                shape: tensor.shape().to_vec(),
            })
            .collect(),
        notes: weights.notes.clone(),
    }
}

/// The program that wrote the file, as far as its metadata says.
fn producer(weights: &Weights) -> Option<String> {
    let metadata = &weights.metadata;
    let framework = || match metadata.get("format")?.as_str() {
        "pt" => Some("PyTorch".into()),
        "tf" => Some("TensorFlow".into()),
        "flax" => Some("Flax".into()),
        _ => None,
    };
    let said = metadata.get(architectures::keys::PRODUCER);
    said.map(|text| text.chars().filter(|c| !c.is_control()).collect())
        .or_else(framework)
}

fn describe(classifier: &Classifier, labels: &Labels) -> NetworkInfo {
    const SHOWN: usize = 5;
    let network = &classifier.network;
    let shape = |shape: Shape| [shape.c, shape.h, shape.w];
    let classes = network.classes();
    let (memory, memory_problem) = match memory(network) {
        Ok(memory) => (Some(memory), None),
        Err(error) => (None, Some(error.to_string())),
    };
    NetworkInfo {
        architecture: network.architecture.clone(),
        input: shape(network.input_shape()),
        preprocessing: classifier.normalization.to_string(),
        preprocessing_evidence: classifier.normalization_evidence.to_string(),
        classes,
        output: network.output_kind.to_string(),
        outputs: classifier.outputs.clone(),
        labels: match (&classifier.labels, classes) {
            (Some(_), _) => "from the file",
            (None, 1000) => "ImageNet's, by their number",
            (None, _) => "none: --labels FILE gives them",
        },
        first_labels: (0..classes.min(SHOWN))
            .filter(|_| labels.are_names())
            .filter_map(|class| labels.get(class))
            .map(|label| label.name().to_owned())
            .collect(),
        parameters: network.parameters(),
        multiply_adds: network.multiply_adds(),
        layers: network.nodes[1..]
            .iter()
            .map(|node| NodeRow {
                name: node.name.clone(),
                op: op(&node.op),
                inputs: node
                    .inputs
                    .iter()
                    .map(|&input| network.node(input).name.clone())
                    .collect(),
                shape: shape(node.shape),
                parameters: node.op.parameters(),
            })
            .collect(),
        targets: network.target_names(),
        default_target: None,
        memory,
        memory_problem,
    }
}

/// Scores of attention, or values weighed by them.
fn in_heads(what: &str, heads: usize) -> String {
    match heads {
        1 => format!("{what}, 1 head"),
        heads => format!("{what}, {heads} heads"),
    }
}

/// An op in a word or two.
fn op(op: &Op) -> String {
    let sizes = |[h, w]: [usize; 2]| format!("{h}x{w}");
    let sliding = |what: &str, window: &Window, usual: [usize; 2]| {
        let unless = |usual: [usize; 2], word: &str, lengths: [usize; 2]| match lengths == usual {
            true => String::new(),
            false => format!(" {word} {}", sizes(lengths)),
        };
        let stride = unless(usual, "stride", window.stride);
        let dilation = unless([1, 1], "dilation", window.dilation);
        format!("{what} {}{stride}{dilation}", sizes(window.size))
    };
    match op {
        Op::Input => "input".into(),
        Op::Conv2d { window, groups, .. } => {
            let groups = match groups {
                1 => String::new(),
                groups => format!(" in {groups} groups"),
            };
            sliding("conv", window, [1, 1]) + &groups
        }
        Op::Affine { .. } => "scale and shift".into(),
        Op::Activate(activation) => activation.to_string(),
        Op::LayerNorm { .. } => "norm over channels".into(),
        Op::GroupNorm { groups, .. } => format!("norm over {groups} groups"),
        Op::Add => "add".into(),
        Op::Mul => "multiply".into(),
        Op::Max => "larger of two".into(),
        Op::Concat => "concatenate".into(),
        Op::Pad(Pad { before, after, .. }) => {
            let [top, left, bottom, right] = [before[0], before[1], after[0], after[1]];
            format!("pad {top},{left},{bottom},{right}")
        }
        Op::Resample(Resample::Resize(Resize { filter, .. })) => match filter {
            Interpolation::Nearest(_) => "resize, nearest".into(),
            Interpolation::Linear => "resize, linear".into(),
            Interpolation::Cubic(_) => "resize, cubic".into(),
        },
        Op::Resample(Resample::Repeat { before, after, by }) => {
            let [top, left, bottom, right] = [before[0], before[1], after[0], after[1]];
            let by = match by {
                RepeatMode::Reflect => "reflection",
                RepeatMode::Edge => "the edge",
                RepeatMode::Wrap => "the other side",
            };
            format!("pad {top},{left},{bottom},{right} by {by}")
        }
        Op::Resample(Resample::Pick { step: [h, w], .. }) => format!("every {h}x{w}"),
        Op::Transpose => "rows as columns".into(),
        Op::Softmax(SoftmaxOver::Positions) => "softmax over positions".into(),
        Op::Softmax(SoftmaxOver::Channels { count, .. }) => {
            format!("softmax over {count} channels")
        }
        Op::AttentionScores { heads, .. } => in_heads("attention", *heads),
        Op::AttentionSum { heads } => in_heads("weighted", *heads),
        Op::Lrn(lrn) => format!("lrn over {}", lrn.size),
        Op::MaxPool(window) => sliding("max pool", window, window.size),
        Op::AvgPool { window, .. } => sliding("mean pool", window, window.size),
        Op::AdaptiveAvgPool(size) => format!("mean pool to {}", sizes(*size)),
        Op::GlobalMean => "mean over positions".into(),
        Op::Flatten(_) => "flatten".into(),
        Op::Linear { .. } => "dense".into(),
    }
}

/// Why there is no figure for the memory needed.
#[derive(Debug, thiserror::Error)]
enum MemoryError {
    #[error("not known: {0}")]
    Gpu(#[from] GpuError),
    #[error("does not fit: {0}")]
    Plan(#[from] PlanError),
    #[error("not known: {0}")]
    Network(#[from] NetworkError),
}

/// What the command needs when nothing but a picture is named.
fn memory(network: &Network) -> Result<Memory, MemoryError> {
    // What is wrong with a tuning file is told by the commands that it makes slower.
    let (gpu, _) = tuned(Gpu::open(&Selection::default())?, &mut vec![]);
    let wanted = Wanted {
        classes: DEFAULT_TOP_N.min(network.classes()),
        ..Wanted::of([
            Method::from(cam::Method::GradCam),
            attribution::Method::GuidedBprop.into(),
        ])
    };
    let (_, request) = explainer::request(network, &wanted, gpu.limits())?;
    let plan = Plan::new(network, &request, gpu.limits())?;
    let (weights, working) = plan.bytes();
    let in_halves = Request {
        dtype: StoredDtype::F16,
        matrices: StoredDtype::F16,
        ..request
    };
    let halves = Plan::new(network, &in_halves, gpu.limits())?;
    Ok(Memory {
        adapter: gpu.info().name.clone(),
        weights,
        working,
        peak: plan.peak_bytes(),
        peak_f16: halves.peak_bytes(),
    })
}

#[allow(clippy::ref_option)] // the form that serde calls
fn displayed<S: Serializer>(problem: &Option<Problem>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = problem.as_ref().map(ToString::to_string);
    text.serialize(serializer)
}
