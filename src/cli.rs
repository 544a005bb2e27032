//! The command line as clap sees it: names, help texts, closed lists of values.
//!
//! No rules between options live here; `options` has those. The first line of a doc comment is the
//! help of `-h`, the whole comment that of `--help`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::printable::printable;

mod boxes;
mod choices;
mod commands;
mod described;
mod explain;
mod many;
mod rgb;
mod shard;
mod spelled;
mod whole;

pub use boxes::{BoxFlag, BoxFlags};
pub use choices::{
    Backend, Baseline, Boxes, Channels, ChannelsFlag, Colormap, Convolution, Fit, Format, Fuse,
    Method, Output, OutputKind, Outputs, Overlay, PixelScale, Precision, Preprocessing, Preview,
    Scale, Score, Size, Smooth, StoredDtype,
};
pub use commands::{Bench, Convert, DeviceFlags, Merge, NetworkFlags, Tune};
pub use described::{NoSuchCommand, completion_script, manual};
pub(crate) use described::{command_names, takes_value};
pub use explain::Explain;
pub use many::Many;
pub use shard::{Shard, ShardError, ShardFlag};

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
    /// Measure which kernels are fastest on this device, and keep that for later runs
    ///
    /// Measure every kernel that computes a convolution of a network on this device, in less than a minute, and keep the times in
    /// the folder for caches ($XDG_CACHE_HOME/gradcam/tuning, ~/.cache/gradcam/tuning), a file for each adapter and driver. Later
    /// runs take what was fastest; without it a built-in model chooses. Results differ by rounding alone. GRADCAM_TUNING=off
    /// ignores the times, GRADCAM_TUNING=FILE reads and writes that file instead.
    Tune(Tune),
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
const SHORT_HELP: [&str; 16] = [
    "weights", "top_n", "classes", "methods", "layers", "outputs", "out_dir", "size", "boxes",
    "preview", "json", "report", "quiet", "fit", "labels", "adapter",
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

#[cfg(test)]
mod tests;
