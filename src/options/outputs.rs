//! Which files are written.

use std::path::{Path, PathBuf};

use super::{UsageError, each_once};
use crate::cli::{Explain, Output, Outputs};

/// Files of each class when nobody says which: those of the TensorFlow original.
const USUAL_OUTPUTS: [Output; 4] = [
    Output::Heatmap,
    Output::Gradcam,
    Output::Segmented,
    Output::GuidedBprop,
];

/// The files of each class: the usual ones, unless a page or a sheet shows what they do.
pub(super) fn outputs(flags: &Explain) -> Result<Vec<Output>, UsageError> {
    let asked = &flags.outputs;
    let outputs = asked.iter().filter_map(|output| match output {
        Outputs::One(output) => Some(*output),
        Outputs::None => None,
    });
    let outputs = each_once(outputs.collect());
    match (asked.contains(&Outputs::None), outputs.first()) {
        (true, Some(&other)) => Err(UsageError::NoneAndOutput(other)),
        (true, None) => Ok(vec![]),
        (false, None) if flags.report.is_some() || flags.sheet.is_some() => Ok(vec![]),
        (false, None) => Ok(USUAL_OUTPUTS.to_vec()),
        (false, Some(_)) => Ok(outputs),
    }
}

/// The page's file, whose name tells it from a picture that was meant to be explained.
pub fn page(file: Option<PathBuf>) -> Result<Option<PathBuf>, UsageError> {
    match file {
        Some(file) if !is_called(&file, &["html", "htm"]) => Err(UsageError::NoPage(file)),
        file => Ok(file),
    }
}

/// The sheet's file, likewise.
pub(super) fn sheet(file: Option<PathBuf>) -> Result<Option<PathBuf>, UsageError> {
    match file {
        Some(file) if !is_called(&file, &["png"]) => Err(UsageError::NoSheet(file)),
        file => Ok(file),
    }
}

/// What stands for the picture's name in that of a sheet.
pub(crate) const STEM: &str = "{stem}";

/// Whether each picture has a sheet of its own.
pub(crate) fn is_each(sheet: &Path) -> bool {
    sheet.to_string_lossy().contains(STEM)
}

/// Whether a file has one of these extensions.
fn is_called(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().unwrap_or_default();
    let mut extensions = extensions.iter();
    extensions.any(|&one| extension.eq_ignore_ascii_case(one))
}
