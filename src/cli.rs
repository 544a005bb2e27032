//! The command line as clap sees it: names, help texts, closed lists of values.
//!
//! No rules between options live here; `options` has those. The first line of a doc comment is the
//! help of `-h`, the whole comment that of `--help`.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::printable::printable;

mod boxes;
mod choices;
mod many;
mod rgb;
mod shard;
mod spelled;
mod whole;

pub use boxes::BoxFlags;
pub use choices::{
    Backend, Baseline, Boxes, Channels, ChannelsFlag, Colormap, Convolution, Fit, Format, Fuse,
    MatrixDtype, Method, Output, OutputKind, Outputs, Overlay, PixelScale, Precision,
    Preprocessing, Preview, Scale, Score, Size, Smooth,
};

pub use many::Many;
pub use shard::{Shard, ShardError, ShardFlag};

use rgb::parse_rgb;
use spelled::spelled;
use whole::whole;

const EXAMPLES: &str = "\
Examples:
  gradcam photo.jpg                      the built-in network, its three most likely classes
  gradcam photo.jpg VGG16.npy 5          ImageNet weights, the five most likely classes
  gradcam photo.jpg VGG16.npy -c tabby   one class, by name, number or synset
  gradcam holiday/ -o maps --json        every picture of a folder, the results as JSON
  gradcam photos/ -r -o maps --resume    a tree of pictures; what an earlier run has done stays";

const MORE_EXAMPLES: &str = "\
Examples:
  gradcam photo.jpg
      The built-in network, its three most likely classes, files beside the picture.
  gradcam photo.jpg VGG16.npy 5
      ImageNet weights, the five most likely classes.
  gradcam photo.jpg model.onnx -c tabby --versus lynx -m hirescam
      Why one class rather than another, by another method.
  gradcam photo.jpg --size original --boxes --outputs gradcam,mask
      The map on the picture as it is, its hottest region boxed and as a mask.
  gradcam panorama.jpg --fit tiles --size original
      A long picture, all of it, in overlapping squares.
  gradcam holiday/ -o maps --json --coco maps/regions.json > results.jsonl
      Every picture of a folder; the results as JSON, the regions as COCO annotations.
  curl -s https://example.org/cat.jpg | gradcam - -n 1 --outputs gradcam --out - > map.png
      From standard input to standard output.
  gradcam photo.jpg -q --preview
      The maps in the terminal as well.";

/// Grad-CAM pictures: where an image classifier looked
///
/// Runs a picture through the classifier on the GPU, prints the most likely classes and writes, for
/// each of them, where the evidence lies: the heat map, the heat map over the picture, the picture
/// lit by it, and guided backpropagation.
#[derive(Debug, Parser)]
#[command(
    name = "gradcam",
    version,
    override_usage = "gradcam [OPTIONS] IMAGE... [WEIGHTS] [TOP_N]\n       gradcam <COMMAND>",
    after_help = EXAMPLES,
    after_long_help = MORE_EXAMPLES,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    /// What to do instead of explaining pictures.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The pictures to explain, and how.
    #[command(flatten)]
    pub explain: Explain,
}

/// The commands beside the main one. A picture that has the name of one is given as `./adapters`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the GPUs and software adapters that can be used
    Adapters {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure the passes and kernels of a network on this device
    ///
    /// Check the results of a network on this device, then measure its forward pass, Grad-CAM and
    /// guided backpropagation, and each kernel beside what the device can do at most.
    Bench(Bench),
    /// Say what a weights file holds, and what is wrong with it
    ///
    /// Say what a weights file holds: its network layer by layer, its classes, the preprocessing it
    /// wants, the memory it will need; and what is wrong with a file that cannot be used. Exit code
    /// 1 for such a file.
    Info {
        /// Weights file [default: the built-in network]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
        #[arg(long = "output", value_name = "NAME")]
        graph_output: Option<String>,
        /// Which network this is, where the names of its tensors stand for several [default: the likeliest, with a note]
        #[arg(long, value_name = "NAME")]
        architecture: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write any readable weights as a .safetensors file that loads fast anywhere
    ///
    /// Write any readable weights as a .safetensors file: batch norms folded in, a VGG's tensors
    /// under torchvision's names, and beside them what they cannot say themselves: class names,
    /// preprocessing, input size. The same pictures come out.
    Convert(Convert),
    /// Say what made a PNG or JPEG that gradcam wrote, and the command that makes it again
    ///
    /// Say what made a PNG or JPEG that gradcam wrote: weights, layer, method, class, settings, adapter; and the command that
    /// makes it again, in words of a shell.
    Show {
        /// A picture that gradcam wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Join the manifests of a run's parts, and say what is missing
    ///
    /// Join the manifests that the parts of a run have written, see --shard, into the manifest of the whole, and say what is
    /// missing. Exit code 1 where a picture has no result.
    Merge(Merge),
    /// Print the manual page
    ///
    /// Print the manual page of the program or of one of its commands, to be read or put where man looks for it:
    /// `gradcam man | man -l -`, `gradcam man > ~/.local/share/man/man1/gradcam.1`
    Man {
        /// The command [default: the program]
        command: Option<String>,
    },
    /// Print the completion script of a shell
    ///
    /// Print the completion script of a shell, to be sourced or put where the shell looks for it:
    /// `gradcam completions bash > ~/.local/share/bash-completion/completions/gradcam`
    Completions {
        /// The shell
        shell: Shell,
    },
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

    /// Pixels along each side of what the network sees
    #[arg(long, value_name = "N", value_parser = whole::<u16>(INPUT_SIZE), allow_negative_numbers = true)]
    pub input_size: Option<u16>,

    /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
    #[arg(long = "output", value_name = "NAME")]
    pub graph_output: Option<String>,

    /// Which network this is, where the names of its tensors stand for several [default: the likeliest, with a note]
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,

    /// Time the forward pass of N pictures at once as well
    #[arg(long, value_name = "N", value_parser = whole::<u16>(BATCH), allow_negative_numbers = true)]
    pub batch: Option<u16>,

    /// What the device stores the matrices of dense layers as
    #[arg(long, value_name = "TYPE", value_parser = spelled::<MatrixDtype>(), default_value_t = MatrixDtype::F32)]
    pub weights_dtype: MatrixDtype,

    /// How 3x3 convolutions are computed
    #[arg(long, value_name = "HOW", value_parser = spelled::<Convolution>(), default_value_t = Convolution::Fast)]
    pub convolution: Convolution,

    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub adapter: Option<String>,

    /// Use this graphics interface
    #[arg(long, value_name = "NAME", value_parser = spelled::<Backend>())]
    pub backend: Option<Backend>,
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
}

/// Pixels along each side of a network's input: no adapter holds the activations of more.
const INPUT_SIZE: RangeInclusive<u64> = 1..=4096;

/// How often a network may run: more than a million times is a slip.
const PASSES: RangeInclusive<u64> = 1..=1_000_000;

/// Pictures at once: far more than any adapter holds.
const BATCH: RangeInclusive<u64> = 1..=4096;

/// Pixels along a side of a part of the picture: no network sees more, and a part larger than the picture is all of it.
const PIXELS: RangeInclusive<u64> = 1..=4096;

/// Squares along a picture's short side: of a square picture more are too many.
const TILES: RangeInclusive<u64> = 1..=14;

/// Classes: as many as there are.
const COUNT: RangeInclusive<u64> = 1..=u64::MAX;

/// A seed may be any number.
const ANY: RangeInclusive<u64> = 0..=u64::MAX;

/// The raw flags of the main command, before `options` has looked at them.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Explain {
    /// Pictures or folders, then a weights file and the number of classes if wanted
    ///
    /// Pictures or folders of pictures; - is a picture from standard input. One of the names may be a weights file, known by its
    /// content; one may be the number of classes to explain, usually the last. A picture whose name is
    /// a number, or that of a command, is given as ./5 or ./adapters.
    #[arg(value_name = "IMAGE")]
    pub inputs: Vec<OsString>,

    /// Weights file [default: the built-in network]
    ///
    /// Weights file. Without one, the built-in network is used: VGG16's convolutions and 21
    /// everyday classes.
    #[arg(short, long, value_name = "FILE", help_heading = "What is explained")]
    pub weights: Option<PathBuf>,

    /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
    ///
    /// Output of an ONNX graph or a Keras model to take as class scores, where it has several; `gradcam info` lists
    /// them. By default the one that looks like class scores, and a note says which that is.
    #[arg(
        long = "output",
        value_name = "NAME",
        help_heading = "What is explained"
    )]
    pub graph_output: Option<String>,

    /// Which network this is, where the names of its tensors stand for several
    ///
    /// Which network this is, where the names of its tensors stand for several, as in tf_efficientnet_b0 or tf_ alone. By default the
    /// likeliest; a note says which that is.
    #[arg(long, value_name = "NAME", help_heading = "What is explained")]
    pub architecture: Option<String>,

    /// Explain the N most likely classes [default: 3]
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        value_parser = whole::<usize>(COUNT),
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub top_n: Option<usize>,

    /// Explain this class: number, name or synset; repeatable
    ///
    /// Explain this class instead of the most likely ones: its number (920), one of its names
    /// ("traffic light") or its synset (n06874185). May be given several times.
    #[arg(
        short,
        long = "class",
        value_name = "CLASS",
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub classes: Vec<String>,

    /// Method: gradcam, hirescam, scorecam and two dozen others; repeatable
    #[arg(
        short,
        long = "method",
        value_name = "NAME", value_parser = spelled::<Method>(),
        default_value = "gradcam",
        value_delimiter = ',',
        help_heading = "What is explained"
    )]
    pub methods: Vec<Method>,

    /// Target layer [default: the last convolution, after its ReLU]; repeatable
    ///
    /// Target layer, by default the last convolution after its ReLU, or what branches make together
    /// after it. Any layer whose value has rows and columns; `gradcam info` lists them. Of several,
    /// as a list or repeated, one map is made, see --fuse.
    #[arg(
        short,
        long = "layer",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "What is explained"
    )]
    pub layers: Vec<String>,

    /// How the maps of several layers become one [default: mean]
    ///
    /// How the maps of several layers become one: each is cut at zero, scaled to 0..1 and resized to
    /// what the network sees. That is also what `--outputs raw` writes of it.
    #[arg(long, value_name = "HOW", value_parser = spelled::<Fuse>(), help_heading = "What is explained")]
    pub fuse: Option<Fuse>,

    /// The score that is differentiated [default: prob; with --versus: logit]
    #[arg(long, value_name = "SCORE", value_parser = spelled::<Score>(), help_heading = "What is explained")]
    pub score: Option<Score>,

    /// Why the class rather than CLASS: number, name or synset
    ///
    /// Explain what raises the class's score above that of CLASS, rather than the score itself: the
    /// difference of the two logits, or with --score of the two probabilities or their logarithms.
    /// CLASS is left out of the most likely classes.
    #[arg(
        long,
        value_name = "CLASS",
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub versus: Option<String>,

    /// Explain what would lower the score
    ///
    /// Explain what would lower the score if it were stronger, the gradient negated: for a cat,
    /// where the dog beside it is. With --versus, what would turn the decision.
    #[arg(long, help_heading = "What is explained")]
    pub counterfactual: bool,

    /// Make the maps of CAM methods smoother
    ///
    /// Make the maps of CAM methods smoother. For aug each of six maps is cut at zero and scaled to
    /// 0..1 before their mean is taken: that is also what `--outputs raw` writes of it.
    #[arg(
        long,
        value_name = "HOW", value_parser = spelled::<Smooth>(),
        value_delimiter = ',',
        help_heading = "How methods work"
    )]
    pub smooth: Vec<Smooth>,

    /// How many channels scorecam and ablationcam try [default: all]; or rgb, bgr
    ///
    /// As a number: how many channels of the target layer scorecam and ablationcam try, those with
    /// the largest effect on the score to first order [default: all]. A note says what share of
    /// the weight they hold. As rgb or bgr: the order of the network's input channels, beside --mean
    /// or --std [default: rgb]. May be given once as each.
    #[arg(
        long,
        value_name = "K|ORDER",
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub channels: Vec<ChannelsFlag>,

    /// Noisy copies of smoothgrad, squaregrad and vargrad [default: 25]; masks of rise [default: 1000]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PASSES), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub samples: Option<u32>,

    /// Standard deviation of their noise, as a share of the range of the input's values [default: 0.15]
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub noise: Option<f64>,

    /// Steps of integrated-gradients [default: 50]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PASSES), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub steps: Option<u32>,

    /// Rows and columns that occlusion hides at once, pixels [default: 32]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PIXELS), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub patch: Option<u32>,

    /// Pixels from one patch of occlusion to the next [default: half the patch]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PIXELS), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub stride: Option<u32>,

    /// The picture that integrated-gradients and gradient-x-input compare with, and occlusion and rise hide behind
    /// [default: mean]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Baseline>(), help_heading = "How methods work")]
    pub baseline: Option<Baseline>,

    /// Seed of the random numbers: the same one draws the same numbers on every machine [default: 0]
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>(ANY),
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub seed: Option<u64>,

    /// What to write for each class, as a list [default: heatmap,gradcam,segmented,guided_bprop; with --report or --sheet: none]
    ///
    /// What to write for each class, as a list, by default heatmap,gradcam,segmented,guided_bprop. With --report or
    /// --sheet, which show all that in one file, it is none, unless files are asked for as well.
    #[arg(
        long,
        value_name = "LIST", value_parser = spelled::<Outputs>(),
        value_delimiter = ',',
        help_heading = "What is written"
    )]
    pub outputs: Vec<Outputs>,

    /// One page for a browser: pictures and maps, with everything to look at them by
    ///
    /// One page for a browser that shows each picture with its maps as layers above it: class, method, layer, opacity and
    /// colours are chosen there, and it says what made it. It is one file that loads nothing from elsewhere; for more than 20 pictures
    /// their maps lie beside it, in FILE_files.
    #[arg(long, value_name = "FILE.html", help_heading = "What is written")]
    pub report: Option<PathBuf>,

    /// One picture with labels: classes by methods and layers
    ///
    /// One picture with labels for each picture: a row for each class, a column for each method and layer, with a colour bar
    /// below each map. Up to 20 pictures stand on one sheet, below each other; {stem} in its name stands for a picture's
    /// name, and each has its own.
    #[arg(long, value_name = "FILE.png", help_heading = "What is written")]
    pub sheet: Option<PathBuf>,

    /// Folder for the files, made if missing; - for one file to standard output [default: beside each picture]
    ///
    /// Folder for the files, made if missing [default: beside each picture]. As - the one file that a command makes, of one
    /// picture, one class and one output, goes to standard output, and the class's line to standard error.
    #[arg(
        short,
        long,
        visible_alias = "out",
        value_name = "DIR",
        help_heading = "What is written"
    )]
    pub out_dir: Option<PathBuf>,

    /// Picture format [default: the input's own where it can be written, else png]
    #[arg(
        long,
        value_name = "EXT", value_parser = spelled::<Format>(),
        help_heading = "What is written"
    )]
    pub format: Option<Format>,

    /// Size of the pictures written [default: model]
    #[arg(long, value_name = "SIZE", value_parser = spelled::<Size>(), help_heading = "What is written")]
    pub size: Option<Size>,

    /// Colours of the heat map over the picture [default: jet; with --signed: bwr]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Colormap>(), help_heading = "What is written")]
    pub colormap: Option<Colormap>,

    /// How the heat map lies over the picture [default: sum; with --alpha or --signed: blend]
    #[arg(long, value_name = "HOW", value_parser = spelled::<Overlay>(), help_heading = "What is written")]
    pub overlay: Option<Overlay>,

    /// Write a colour bar with numbers at the side of pictures in colour
    #[arg(long, help_heading = "What is written")]
    pub colorbar: bool,

    /// Share of the heat map in --overlay blend and threshold, 0 to 1 [default: 0.5]
    ///
    /// Share of the heat map in --overlay blend, which it implies, and threshold: 0 is the picture alone, 1 the heat map alone.
    #[arg(
        long,
        value_name = "A",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub alpha: Option<f32>,

    /// Heat from which --overlay threshold shows it, 0 to 1 [default: 0.15]
    #[arg(
        long,
        value_name = "H",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub threshold: Option<f32>,

    /// What is drawn at full strength: the largest value of each class's map, of the image's, or a number [default: class]
    ///
    /// What is drawn at full strength: the largest value of each map (class), of a method's maps of all classes of a picture
    /// (image), or a number in the units of the map's values, as the JSON has them, which makes pictures comparable.
    #[arg(
        long,
        value_name = "class|image|N",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub scale: Option<Scale>,

    /// Draw what lowers the score as well
    ///
    /// Draw what lowers the score as well, from blue over white to red; grey in the heat map stands for nothing.
    #[arg(long, help_heading = "What is written")]
    pub signed: bool,

    /// How the values of pixel methods become colours [default: percentile]
    #[arg(long, value_name = "HOW", value_parser = spelled::<PixelScale>(), help_heading = "What is written")]
    pub pixel_scale: Option<PixelScale>,

    /// Print the results as JSON, one line a picture
    #[arg(long, help_heading = "What is written")]
    pub json: bool,

    /// Draw the map over the picture in the terminal
    ///
    /// Draw the map of the first method over the picture in the terminal, for each class. The terminal's own variables say
    /// which of its ways is used; in tmux and screen, and where nothing is known, half blocks.
    #[arg(
        long, value_name = "WAY", value_parser = spelled::<Preview>(), num_args = 0..=1, require_equals = true,
        default_missing_value = "auto", help_heading = "What is written"
    )]
    pub preview: Option<Preview>,

    /// No notes and no progress on standard error, only errors
    #[arg(short, long, help_heading = "What is written")]
    pub quiet: bool,

    /// How many pictures are explained.
    #[command(flatten)]
    pub many: Many,

    /// Say on standard error what each stage takes
    #[arg(
        short,
        long,
        conflicts_with = "quiet",
        help_heading = "What is written"
    )]
    pub verbose: bool,

    /// Regions of maps.
    #[command(flatten)]
    pub boxes: BoxFlags,

    /// How a picture meets the network's square
    #[arg(
        long, value_name = "FIT", value_parser = spelled::<Fit>(), default_value_t = Fit::Crop,
        help_heading = "What the network sees"
    )]
    pub fit: Fit,

    /// Squares of --fit tiles along the picture's short side [default: 1]
    ///
    /// Squares of --fit tiles along the picture's short side: more of them see more detail of a large picture. They overlap by
    /// half or more. The picture's logits are the means of theirs, its score is differentiated there, and their maps, in one
    /// unit, are blended to one.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(TILES), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub tiles: Option<u32>,

    /// Preprocessing by name [default: what the weights ask for]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Preprocessing>(), help_heading = "What the network sees")]
    pub preprocess: Option<Preprocessing>,

    /// Preprocessing by numbers: the mean to subtract, in 0..255 [default: 0,0,0]
    ///
    /// Preprocessing by numbers, instead of --preprocess: the mean to subtract from pixels in
    /// 0..255. Red, green, blue, whatever --channels says.
    #[arg(long, value_name = "R,G,B", value_parser = parse_rgb, allow_hyphen_values = true,
        help_heading = "What the network sees")]
    pub mean: Option<[f32; 3]>,

    /// The scale to divide by after the mean, in 0..255 [default: 1,1,1]
    #[arg(long, value_name = "R,G,B", value_parser = parse_rgb, allow_hyphen_values = true,
        help_heading = "What the network sees")]
    pub std: Option<[f32; 3]>,

    /// Pixels along each side of what the network sees [default: what the weights ask for]
    ///
    /// Pixels along each side of what the network sees. A network over the mean of all positions
    /// takes any multiple of 32, and a larger one gives a finer map; others take one size only.
    #[arg(long, value_name = "N", value_parser = whole::<u16>(INPUT_SIZE), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub input_size: Option<u16>,

    /// The most pixels of a picture that is read, in millions [default: 128]
    ///
    /// The most pixels of a picture that is read, in millions. Decoding takes three bytes a pixel,
    /// for some formats up to eleven.
    #[arg(long, value_name = "MILLIONS", value_parser = whole::<u16>(1..=4000), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub max_pixels: Option<u16>,

    /// What the network ends with [default: what the weights say, else softmax]
    #[arg(long, value_name = "NAME", value_parser = spelled::<OutputKind>(), help_heading = "What the network sees")]
    pub activation: Option<OutputKind>,

    /// Class names: one a line, JSON, or CSV with ids
    ///
    /// Class names, for a network that brings none or others: one a line; a JSON list; a JSON object of ids to names, as
    /// Keras has them and configurations under id2label, or of names to ids; or CSV or TSV with a column of ids.
    #[arg(long, value_name = "FILE", help_heading = "What the network sees")]
    pub labels: Option<PathBuf>,

    /// What the device stores the matrices of dense layers as
    ///
    /// float16 halves the memory that they take and the bytes that are read for each picture: of VGG16, whose dense layers
    /// hold nine tenths of the weights, 247 MB less. Sums stay float32; maps and probabilities move by a few thousandths.
    #[arg(
        long, value_name = "TYPE", value_parser = spelled::<MatrixDtype>(), default_value_t = MatrixDtype::F32,
        help_heading = "Where it runs"
    )]
    pub weights_dtype: MatrixDtype,

    /// How 3x3 convolutions are computed
    #[arg(
        long, value_name = "HOW", value_parser = spelled::<Convolution>(), default_value_t = Convolution::Fast,
        help_heading = "Where it runs"
    )]
    pub convolution: Convolution,

    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them
    ///
    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them. As all: share the pictures among every adapter of
    /// the fastest kind there is.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Where it runs")]
    pub adapter: Option<String>,

    /// Use this graphics interface
    #[arg(long, value_name = "NAME", value_parser = spelled::<Backend>(), help_heading = "Where it runs")]
    pub backend: Option<Backend>,
}

/// Reads a command line, the program's name first. An error shows words as [`printable`](printable()) has them.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    matched(words.iter().cloned()).map_err(|error| {
        let shown = words.iter().map(|word| word.to_string_lossy());
        let shown = shown.map(|word| printable(&word).into_owned());
        // Escaped words are no better.
        matched(shown.map(Into::into)).err().unwrap_or(error)
    })
}

fn matched(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let command = match words.iter().any(|word| word == "-h") {
        true => short_command(),
        false => command(),
    };
    Cli::from_arg_matches(&command.try_get_matches_from(words)?)
}

/// What `-h` shows beside the commands: the options of every day. `--help` has all.
const SHORT_HELP: [&str; 17] = [
    "weights", "top_n", "classes", "methods", "layers", "outputs", "out_dir", "size", "boxes",
    "preview", "json", "report", "verbose", "quiet", "fit", "labels", "adapter",
];

/// The definition of the command line.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// The same for `-h`, which is to fit a screen: the options of [`SHORT_HELP`] in one list, without the values they take.
fn short_command() -> clap::Command {
    let is_shown =
        |arg: &clap::Arg| SHORT_HELP.contains(&arg.get_id().as_str()) || arg.is_positional();
    command().mut_args(|arg| match is_shown(&arg) {
        true => arg.help_heading(None::<&str>).hide_possible_values(true),
        false => arg.hide_short_help(true),
    })
}

/// The manual page of the program, or of one of its commands, in roff.
///
/// # Errors
/// For a command that is not there.
pub fn manual(of: Option<&str>) -> Result<Vec<u8>, NoSuchCommand> {
    let mut command = command();
    command.build();
    let page = match of {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| NoSuchCommand(name.to_owned()))?
        }
    };
    let mut roff = vec![];
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(page).render(&mut roff);
    Ok(roff)
}

/// A command that `gradcam man` does not know.
#[derive(Debug, thiserror::Error)]
#[error("no command is called {0}; gradcam --help lists them")]
pub struct NoSuchCommand(String);

/// What the commands are called.
pub(crate) fn command_names() -> Vec<OsString> {
    let mut command = command();
    // Adds `help`.
    command.build();
    command
        .get_subcommands()
        .map(|command| command.get_name().into())
        .collect()
}

/// Whether the word after this one is its value, as after `-o`, `-qo` and `--out-dir`.
pub(crate) fn takes_value(word: &OsStr) -> bool {
    let Some(text) = word.to_str() else {
        return false;
    };
    let command = command();
    let takes = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    let found = match (text.strip_prefix("--"), text.strip_prefix('-')) {
        (Some(long), _) => command.get_arguments().find(|arg| {
            let names = arg.get_long_and_visible_aliases().unwrap_or_default();
            names.contains(&long)
        }),
        (None, Some(short)) => {
            let last = short.chars().next_back();
            command
                .get_arguments()
                .find(|arg| last.is_some() && arg.get_short() == last)
        }
        (None, None) => None,
    };
    found.is_some_and(takes)
}

/// The completion script of `shell`. Made in memory, so that a closed pipe is the writer's to
/// report.
pub fn completion_script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "gradcam", &mut script);
    script
}

#[cfg(test)]
mod tests;
