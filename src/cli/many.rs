//! The flags for many pictures.

use std::path::PathBuf;

use clap::Args;

use super::ShardFlag;
use super::whole::{BATCH, whole};

/// The raw flags for many pictures.
#[derive(Debug, Default, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Many {
    /// Look for pictures in the folders below as well
    ///
    /// Look for pictures in the folders below those named as well, through links too, each folder once. With --out-dir the
    /// files lie in folders of the same names.
    #[arg(short, long, help_heading = "Many pictures")]
    pub recursive: bool,

    /// Explain the pictures that a file names, one a line; - is standard input
    ///
    /// Explain the pictures and folders that a file names, one a line, after those of the command line; - is standard input.
    /// A list in which NUL bytes are is separated by them, as `find -print0` writes it. With --out-dir the files of
    /// sub/a.jpg go to DIR/sub.
    #[arg(long, value_name = "LIST", help_heading = "Many pictures")]
    pub files_from: Option<PathBuf>,

    /// The list of --files-from is separated by NUL bytes, whether there are any or not
    #[arg(long, help_heading = "Many pictures")]
    pub null: bool,

    /// Pictures that go through the network at once [default: as tuned, else 8, on a software adapter 4]
    ///
    /// Pictures that go through the network at once, where CAM methods that need no further passes are all that is asked for and
    /// written, as with --outputs gradcam: weights are read once for all of them. `gradcam tune WEIGHTS` measures which number
    /// takes least time on the device, and keeps it for later runs.
    #[arg(long, value_name = "N", value_parser = whole::<u16>(BATCH), allow_negative_numbers = true,
        help_heading = "Many pictures")]
    pub batch: Option<u16>,

    /// Stop at the first picture that fails
    #[arg(long, help_heading = "Many pictures")]
    pub fail_fast: bool,

    /// Do what is missing of the run whose manifest lies in --out-dir
    ///
    /// Do what is missing of the run whose manifest lies in --out-dir: pictures without a result or without their files, and
    /// those that failed. Other settings than that run's are refused.
    #[arg(long, help_heading = "Many pictures")]
    pub resume: bool,

    /// Write the results as CSV as well, a row for each map
    #[arg(long, value_name = "FILE", help_heading = "Many pictures")]
    pub csv: Option<PathBuf>,

    /// Explain part I of N of the pictures, from 1; or as slurm, kubernetes or auto say
    ///
    /// Explain part I of N of the pictures, from 1: every N-th of them, by their paths. As slurm by the array task's
    /// variables, as kubernetes by JOB_COMPLETION_INDEX of an indexed Job and JOB_COMPLETIONS, which its manifest sets, as
    /// auto by those of the two that are there. `gradcam merge` joins the parts' manifests. Files that show all pictures, as
    /// those of --report, --csv and --coco, have the part in their names: page-1-of-8.html.
    #[arg(
        long,
        value_name = "I/N|slurm|kubernetes|auto",
        allow_negative_numbers = true,
        help_heading = "Many pictures"
    )]
    pub shard: Option<ShardFlag>,
}
