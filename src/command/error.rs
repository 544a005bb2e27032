//! Why a command, or its work on one picture, failed.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::explain::{BoxFileError, ListError};
use super::network::weights_name;
use crate::architectures::{self, ArchitectureError};
use crate::cli::NoSuchCommand;
use crate::command::bench;
use crate::command::convert::ConvertError;
use crate::command::info::Problem;
use crate::command::merge::MergeError;
use crate::command::show::ShowError;
use crate::command::tune::TuneError;
use crate::explainer::{ExplainError, largest_input};
use crate::gpu::GpuError;
use crate::labels::{ClassNotFound, LabelsError};
use crate::methods::known::KnownBox;
use crate::network::Network;
use crate::options::UsageError;
use crate::output::manifest::ManifestError;
use crate::output::{DestinationError, WriteError};
use crate::picture::PictureError;
use crate::picture::preprocess::TooManyTiles;
use crate::plan::PlanError;
use crate::weights::{Weights, WeightsError};

/// Why a command, or its work on one picture, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments that contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A picture that cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A list of pictures that cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// Weights that cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that are not what was stored, found while pictures were explained.
    #[error(transparent)]
    Unsound(std::sync::Arc<WeightsError>),
    /// Weights that make no network.
    #[error("{}: {source}", path.display())]
    Architecture {
        /// The weights file.
        path: PathBuf,
        /// What is wrong.
        source: ArchitectureError,
    },
    /// Weights that do not run.
    #[error("{}: {source}", path.display())]
    Explain {
        /// The weights file.
        path: PathBuf,
        /// What is wrong.
        source: ExplainError,
    },
    /// Pictures too large for the adapter.
    #[error("{}: {source}; the largest that fits it: --input-size {largest}", path.display())]
    InputTooLarge {
        /// The weights file.
        path: PathBuf,
        /// What is wrong.
        source: ExplainError,
        /// Pixels along each side that would do.
        largest: usize,
    },
    /// No device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// Class names that do not fit.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A class that is not there.
    #[error(transparent)]
    Class(#[from] ClassNotFound),
    /// `--versus` names the class that is explained, or the only one there is. Wrong usage, exit code 2.
    #[error(
        "--versus {name}: nothing sets class {id}, {name}, apart from itself; name two different classes"
    )]
    VersusItself {
        /// Its number.
        id: usize,
        /// Its name.
        name: String,
    },
    /// More classes than there are.
    #[error(
        "{wanted} classes asked for, {} has {there}{}; give a number from 1 to {there}",
        path.display(), if *versus { " beside that of --versus" } else { "" }
    )]
    TooManyClasses {
        /// As asked.
        wanted: usize,
        /// As the network has.
        there: usize,
        /// Whether there is one more, with which they are compared.
        versus: bool,
        /// The weights file.
        path: PathBuf,
    },
    /// A file of `--box` without boxes of the pictures.
    #[error(transparent)]
    BoxFile(#[from] BoxFileError),
    /// A box of `--box` that is not on the picture.
    #[error("{}: the box {known} lies outside of the picture, which is {width} x {height} pixels", image.display())]
    BoxOutside {
        /// The picture.
        image: PathBuf,
        /// As given.
        known: KnownBox,
        /// Columns of the picture.
        width: u32,
        /// Its rows.
        height: u32,
    },
    /// A line of a manifest whose regions cannot be told again.
    #[error("the manifest's regions are not as gradcam writes them: {0}")]
    Regions(serde_json::Error),
    /// A picture too long for `--fit tiles`.
    #[error("{}: {source}", image.display())]
    Tiles {
        /// The picture.
        image: PathBuf,
        /// What is wrong.
        source: TooManyTiles,
    },
    /// More pictures than a sheet holds.
    #[error(
        "{}: {pictures} pictures are too many for one sheet, which holds {most}: name one for each, as in \
         --sheet {{stem}}_sheet.png, or make a page with --report",
        path.display()
    )]
    SheetOfMany {
        /// Pictures.
        pictures: usize,
        /// As it holds.
        most: usize,
        /// The sheet.
        path: PathBuf,
    },
    /// Two pictures whose sheets would have the same name.
    #[error(
        "{} and {} would have the same sheet, {}: rename one, or explain them in a run each",
        first.display(), second.display(), path.display()
    )]
    SheetTwice {
        /// The picture named first.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
        /// The sheet.
        path: PathBuf,
    },
    /// A place that cannot be written to.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A file that could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Results that must not be timed.
    #[error(transparent)]
    Bench(#[from] bench::WrongResults),
    /// `gradcam info` found a file that cannot be used.
    #[error(transparent)]
    Info(Box<Problem>),
    /// `gradcam convert` wrote nothing.
    #[error(transparent)]
    Convert(Box<ConvertError>),
    /// A manifest that no run can go on with.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// `gradcam merge` has no whole.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// `gradcam show` has nothing to show.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// `gradcam tune` has no place for its result. Wrong usage, exit code 2.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// A manual page that there is not. Wrong usage, exit code 2.
    #[error(transparent)]
    Manual(#[from] NoSuchCommand),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Stdout(std::io::Error),
}

impl Error {
    /// Whether who read the results has gone, as `head` does: no reason to say anything.
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// Whether the command line is at fault, rather than a file or the device.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_)
            | Self::VersusItself { .. }
            | Self::Manual(_)
            | Self::Merge(MergeError::Page(_))
            | Self::Tune(_) => true,
            Self::Manifest(error) | Self::Merge(MergeError::Manifest(error)) => matches!(
                error,
                ManifestError::OtherSettings { .. }
                    | ManifestError::OtherPictures { .. }
                    | ManifestError::OtherCount { .. }
            ),
            Self::Convert(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// The error of weights that do not run: where it is the adapter that they do not fit, with the largest size of pictures that
/// would.
pub(crate) fn of_run(
    source: ExplainError,
    weights: &Weights,
    network: &Network,
    fits: impl Fn(&Network) -> bool,
) -> Error {
    let path = weights_name(weights);
    let network_at = |size| {
        let classifier = architectures::recognise_at(weights, Some(size)).ok()?;
        Some(classifier.network)
    };
    let largest = match source {
        ExplainError::Plan(PlanError::TooLarge { .. } | PlanError::TooManyWorkgroups { .. }) => {
            largest_input(network.input_shape().h, network_at, fits)
        }
        _ => None,
    };
    match largest {
        Some(largest) => Error::InputTooLarge {
            path,
            source,
            largest,
        },
        None => Error::Explain { path, source },
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Info(Box::new(problem))
    }
}

impl From<ConvertError> for Error {
    fn from(error: ConvertError) -> Self {
        Self::Convert(Box::new(error))
    }
}
