//! `gradcam convert`: any readable weights as one `.safetensors` file.
//!
//! A VGG's tensors are written as torchvision names and lays them out, so that `load_state_dict` takes them too; any
//! other network's as they are, with its graph beside them ([`crate::architectures`]). Batch norms are folded into the
//! layers before them. What tensors cannot say goes into the metadata. Memory stays within some 100 MB whatever the
//! file's size.

mod stored;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::architectures::{
    self, ArchitectureError, Classifier, Evidence, NodeList, Overrides, keys, node_list_tensors,
    preprocessing_text, torch_names,
};
use crate::cli::{self, Precision};
use crate::command::info;
use crate::command::network::weights_name;
use crate::labels::{Labels, LabelsError};
use crate::network::{FilterLayout, FlattenOrder, MatrixLayout, Network, NodeId, Op};
use crate::output::{self, WriteError};
use crate::printable::printable_lines;
use crate::weights::{self, MAX_SAFETENSORS_HEADER, Weights, WeightsError};

use stored::{Arrangement, Stored};

/// Why weights were not converted. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Weights that cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that make no network.
    #[error("{}: {source}", path.display())]
    Architecture {
        /// The weights file.
        path: PathBuf,
        /// What is wrong.
        source: ArchitectureError,
    },
    /// Class names that do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A name that says another format.
    #[error("{}: what is written is a .safetensors file: name it so", .0.display())]
    Name(PathBuf),
    /// Input and output are one file.
    #[error("{}: the file that is read cannot be written over: give another name", .0.display())]
    SameFile(PathBuf),
    /// A value that is infinite or no number.
    #[error(
        "{}: {tensor} holds {value} at element {at}: the file is damaged, or the training that made it diverged",
        path.display()
    )]
    NotFinite {
        /// The weights file.
        path: PathBuf,
        /// The tensor as it would be written.
        tensor: String,
        /// Its element, in the order written.
        at: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A value beyond what the type holds.
    #[error("{}: {tensor} holds {value} at element {at}, beyond the range of {precision}: use --dtype bf16 or f32", path.display())]
    Range {
        /// The weights file.
        path: PathBuf,
        /// The tensor as it would be written.
        tensor: String,
        /// Its element, in the order written.
        at: usize,
        /// The value.
        value: f32,
        /// The type.
        precision: Precision,
    },
    /// Names and class names of more bytes than readers take.
    #[error("{}: its names and metadata take {bytes} bytes, more than a reader takes", path.display())]
    Header {
        /// The weights file.
        path: PathBuf,
        /// Bytes of JSON.
        bytes: usize,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ConvertError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Where.
    pub path: PathBuf,
    /// The network.
    pub architecture: String,
    /// Tensors.
    pub tensors: usize,
    /// Length of the file.
    pub bytes: u64,
    /// What its user must know.
    pub notes: Vec<String>,
}

impl std::fmt::Display for Converted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = info::size(self.bytes);
        let (path, architecture, tensors) = (self.path.display(), &self.architecture, self.tensors);
        let line = format!("{path}: {architecture}, {tensors} tensors, {size}");
        f.write_str(&printable_lines([line]))
    }
}

/// Reads `command.input` and writes `command.output`, whole or not at all.
pub fn run(command: &cli::Convert) -> Result<Converted, ConvertError> {
    let out = &command.output;
    let extension = out.extension().unwrap_or_default();
    if !extension.eq_ignore_ascii_case("safetensors") {
        return Err(ConvertError::Name(out.clone()));
    }
    let weights = weights::open(&command.input)?;
    if same_file(&command.input, out) {
        return Err(ConvertError::SameFile(out.clone()));
    }
    weights.verify()?;
    let (classifier, notes) = classifier(command, &weights)?;
    let network = &classifier.network;
    let labels = labels(command, &weights, &classifier)?;

    let names = torch_names(network);
    let tensors = match &names {
        Some(names) => as_torchvision(network, names),
        None => as_they_are(network),
    };
    let graph = names.is_none().then(|| NodeList::text(network));
    let metadata = metadata(&classifier, labels, graph);
    let header = header(&tensors, metadata, command.dtype);
    if header.len() as u64 > MAX_SAFETENSORS_HEADER {
        return Err(ConvertError::Header {
            path: weights_name(&weights),
            bytes: header.len(),
        });
    }
    output::sweep(out.parent().unwrap_or(Path::new("")));
    output::write_with(out, |file| {
        let at = |error| output::at(out, error);
        let length = header.len() as u64;
        file.write_all(&length.to_le_bytes()).map_err(at)?;
        file.write_all(&header).map_err(at)?;
        for tensor in &tensors {
            tensor.for_each_piece(|start, values| {
                let bytes = encode(values, command.dtype).map_err(|i| {
                    not_stored(&weights, &tensor.name, start + i, values[i], command.dtype)
                })?;
                file.write_all(&bytes).map_err(at)?;
                Ok::<_, ConvertError>(())
            })?;
        }
        Ok::<_, ConvertError>(())
    })?;
    let data: usize = tensors.iter().map(Stored::len).sum();
    Ok(Converted {
        path: out.clone(),
        architecture: network.architecture.clone(),
        tensors: tensors.len(),
        bytes: (8 + header.len() + data * command.dtype.size()) as u64,
        notes,
    })
}

/// The network with what the command says of it, and what its user must know.
fn classifier(
    command: &cli::Convert,
    weights: &Weights,
) -> Result<(Classifier, Vec<String>), ConvertError> {
    let asked = Overrides {
        input_size: command.input_size.map(usize::from),
        output: command.graph_output.as_deref(),
        labels: command.labels.as_deref(),
        architecture: command.architecture.as_deref(),
    };
    let classifier = architectures::recognise_as(weights, &asked);
    let mut classifier = classifier.map_err(|source| ConvertError::Architecture {
        path: weights_name(weights),
        source,
    })?;
    if let Some(kind) = command.activation {
        classifier.network.output_kind = kind;
    }
    let mut notes: Vec<String> = weights.notes.clone();
    notes.append(&mut classifier.notes);
    if let Some(preprocessing) = command.preprocess {
        let channels = classifier.network.input_shape().c;
        classifier.scale_by(preprocessing.normalization().of_channels(channels));
    } else if let Evidence::Guess(reason) = classifier.normalization_evidence {
        notes.push(format!(
            "preprocessing is written as {}, a guess, since {reason}; --preprocess says otherwise",
            classifier.normalization
        ));
    }
    Ok((classifier, notes))
}

/// Why this element of a tensor has no number in `precision`.
fn not_stored(
    weights: &Weights,
    tensor: &str,
    at: usize,
    value: f32,
    precision: Precision,
) -> ConvertError {
    let (path, tensor) = (weights_name(weights), tensor.to_owned());
    match value.is_finite() {
        false => ConvertError::NotFinite {
            path,
            tensor,
            at,
            value,
        },
        true => ConvertError::Range {
            path,
            tensor,
            at,
            value,
            precision,
        },
    }
}

fn same_file(input: &Path, output: &Path) -> bool {
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    }
}

/// Class names as the metadata has them: from the file asked for, else as the weights have them.
fn labels(
    command: &cli::Convert,
    weights: &Weights,
    classifier: &Classifier,
) -> Result<Option<String>, ConvertError> {
    let count = classifier.network.classes();
    Ok(match (&command.labels, &classifier.labels) {
        (Some(path), _) => {
            let labels = Labels::read(path, count)?;
            let names: Vec<String> = (0..count)
                .filter_map(|class| labels.get(class))
                .map(ToString::to_string)
                .collect();
            Some(json!(names).to_string())
        }
        (None, Some(json)) => {
            Labels::from_json(json, count, &weights_name(weights))?;
            Some(json.clone())
        }
        (None, None) => None,
    })
}

/// Tensors in torchvision's layout, under its names.
fn as_torchvision<'a>(network: &'a Network, names: &[(NodeId, String)]) -> Vec<Stored<'a>> {
    let mut tensors = vec![];
    for (id, name) in names {
        let node = network.node(*id);
        let (weight, bias, arrangement) = match &node.op {
            Op::Conv2d {
                weight,
                bias,
                layout,
                ..
            } => {
                let arrangement = match layout {
                    FilterLayout::Oihw => Arrangement::AsItIs,
                    FilterLayout::Hwio => Arrangement::Filters,
                };
                (weight, bias, arrangement)
            }
            Op::Linear {
                weight,
                bias,
                layout,
            } => {
                let before = network.node(node.inputs[0]);
                // Rows of a matrix over a map that was written out with the channels last change places.
                let map = match before.op {
                    Op::Flatten(FlattenOrder::Hwc) => network.node(before.inputs[0]).shape,
                    _ => before.shape,
                };
                let turned = matches!(before.op, Op::Flatten(FlattenOrder::Hwc));
                let arrangement = match layout {
                    MatrixLayout::OutIn if !turned => Arrangement::AsItIs,
                    MatrixLayout::OutIn => Arrangement::Columns(map),
                    MatrixLayout::InOut if !turned => Arrangement::Transposed,
                    MatrixLayout::InOut => Arrangement::TransposedRows(map),
                };
                (weight, bias, arrangement)
            }
            _ => unreachable!("only layers with weights have names"),
        };
        tensors.push(Stored::new(format!("{name}.weight"), weight, arrangement));
        let bias = bias.iter();
        tensors.extend(
            bias.map(|bias| Stored::new(format!("{name}.bias"), bias, Arrangement::AsItIs)),
        );
    }
    tensors
}

fn as_they_are(network: &Network) -> Vec<Stored<'_>> {
    node_list_tensors(network)
        .into_iter()
        .map(|(name, tensor)| Stored::new(name, tensor, Arrangement::AsItIs))
        .collect()
}

fn metadata(
    classifier: &Classifier,
    labels: Option<String>,
    graph: Option<String>,
) -> Map<String, Value> {
    let network = &classifier.network;
    // A graph has the input's shape.
    let size = graph.is_none().then(|| network.input_shape().h.to_string());
    let producer = concat!("gradcam ", env!("CARGO_PKG_VERSION"));
    let texts = [
        (keys::PRODUCER, Some(producer.into())),
        (keys::ARCHITECTURE, Some(network.architecture.clone())),
        (
            keys::PREPROCESSING,
            Some(preprocessing_text(&classifier.normalization)),
        ),
        (keys::INPUT_SIZE, size),
        (keys::OUTPUT, Some(network.output_kind.to_string())),
        (keys::LABELS, labels),
        (keys::GRAPH, graph),
    ];
    let there = texts
        .into_iter()
        .filter_map(|(key, text)| Some((key.into(), text?.into())));
    there.collect()
}

/// The JSON that says where each tensor lies, padded so that the data begins at a multiple of eight.
fn header(tensors: &[Stored<'_>], metadata: Map<String, Value>, precision: Precision) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata.into());
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.len() * precision.size();
        let place = json!({
            "dtype": precision.name(),
            "shape": tensor.shape(),
            "data_offsets": [start, end],
        });
        header.insert(tensor.name.clone(), place);
        start = end;
    }
    let mut bytes = Value::from(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

impl Precision {
    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// As the format has it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }
}

/// The values as bytes, rounded to the nearest; or the first one that has none.
fn encode(values: &[f32], precision: Precision) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(values.len() * precision.size());
    for (i, &value) in values.iter().enumerate() {
        let finite = match precision {
            Precision::F32 => {
                bytes.extend(value.to_le_bytes());
                value.is_finite()
            }
            Precision::F16 => {
                let rounded = half::f16::from_f32(value);
                bytes.extend(rounded.to_le_bytes());
                rounded.is_finite()
            }
            Precision::Bf16 => {
                let rounded = half::bf16::from_f32(value);
                bytes.extend(rounded.to_le_bytes());
                rounded.is_finite()
            }
        };
        if !finite {
            return Err(i);
        }
    }
    Ok(bytes)
}
