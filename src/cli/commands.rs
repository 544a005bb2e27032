//! The flags of the commands beside the main one.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::spelled::spelled;
use super::whole::{BATCH, INPUT_SIZE, PASSES, whole};
use super::{Backend, Convolution, OutputKind, Precision, Preprocessing, StoredDtype};

/// What a command that measures is told of the network.
#[derive(Debug, Args)]
pub struct NetworkFlags {
    /// Pixels along each side of what the network sees
    #[arg(long, value_name = "N", value_parser = whole::<u16>(INPUT_SIZE), allow_negative_numbers = true)]
    pub input_size: Option<u16>,

    /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
    #[arg(long = "output", value_name = "NAME")]
    pub graph_output: Option<String>,

    /// Which network this is, where the names of its tensors stand for several [default: the likeliest, with a note]
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,
}

/// The device that a command measures.
#[derive(Debug, Args)]
pub struct DeviceFlags {
    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub adapter: Option<String>,

    /// Use this graphics interface
    #[arg(long, value_name = "NAME", value_parser = spelled::<Backend>())]
    pub backend: Option<Backend>,
}

/// The flags of `gradcam bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Weights file [default: the built-in network]
    #[arg(value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Runs of each measurement, of which the median is taken
    #[arg(long, value_name = "N", default_value = "5", value_parser = whole::<u32>(PASSES), allow_negative_numbers = true)]
    pub runs: u32,

    /// The network.
    #[command(flatten)]
    pub network: NetworkFlags,

    /// Time the forward pass of N pictures at once as well
    #[arg(long, value_name = "N", value_parser = whole::<u16>(BATCH), allow_negative_numbers = true)]
    pub batch: Option<u16>,

    /// What the device stores numbers as between layers: values, gradients, filters, matrices
    #[arg(long, value_name = "TYPE", value_parser = spelled::<StoredDtype>(), default_value_t = StoredDtype::F32)]
    pub dtype: StoredDtype,

    /// What the device stores the matrices of dense layers as [default: as --dtype]
    #[arg(long, value_name = "TYPE", value_parser = spelled::<StoredDtype>())]
    pub weights_dtype: Option<StoredDtype>,

    /// How 3x3 convolutions are computed
    #[arg(long, value_name = "HOW", value_parser = spelled::<Convolution>(), default_value_t = Convolution::Fast)]
    pub convolution: Convolution,

    /// The device.
    #[command(flatten)]
    pub device: DeviceFlags,
}

/// The flags of `gradcam tune`.
#[derive(Debug, Args)]
pub struct Tune {
    /// Weights file [default: the built-in network]
    #[arg(value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The network.
    #[command(flatten)]
    pub network: NetworkFlags,

    /// The device.
    #[command(flatten)]
    pub device: DeviceFlags,
}

/// The flags of `gradcam convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// Weights to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write
    #[arg(value_name = "OUT.safetensors")]
    pub output: PathBuf,
    /// Type of the numbers written
    #[arg(long, value_name = "TYPE", value_parser = spelled::<Precision>(), default_value_t = Precision::F32)]
    pub dtype: Precision,
    /// Class names to write with them: one a line, JSON, or CSV with ids
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Preprocessing to write with them [default: what the weights ask for]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Preprocessing>())]
    pub preprocess: Option<Preprocessing>,
    /// Pixels along each side of the network's input [default: what the weights ask for]
    #[arg(long, value_name = "N", value_parser = whole::<u16>(INPUT_SIZE), allow_negative_numbers = true)]
    pub input_size: Option<u16>,
    /// What the network ends with [default: what the weights say, else softmax]
    #[arg(long, value_name = "NAME", value_parser = spelled::<OutputKind>())]
    pub activation: Option<OutputKind>,
    /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
    #[arg(long = "output", value_name = "NAME")]
    pub graph_output: Option<String>,
    /// Which network this is, where the names of its tensors stand for several [default: the likeliest, with a note]
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,
}

/// The flags of `gradcam merge`.
#[derive(Debug, Args)]
pub struct Merge {
    /// Manifest to write, or the folder of the run
    ///
    /// Manifest to write; or the folder of the run, in which it is called manifest.jsonl.
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Manifests of the parts [default: those in the folder OUT]
    #[arg(value_name = "MANIFEST")]
    pub manifests: Vec<PathBuf>,
    /// Write the results as CSV as well, a row for each map
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the page of all pictures, of parts that were run with --report
    ///
    /// Write the page of all pictures, of parts that were run with --report. It goes where the parts' pages are: of many
    /// pictures, images lie in folders beside those, and this one shows them too.
    #[arg(long, visible_alias = "summary", value_name = "FILE.html")]
    pub report: Option<PathBuf>,
}
