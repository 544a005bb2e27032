//! The rules between the options that say which regions of a map are boxed, and which boxes it is held against.

use std::path::PathBuf;

use super::UsageError;
use crate::cli::{BoxFlag, BoxFlags, Boxes, Explain, Output, Outputs};
use crate::methods::known::KnownBox;

/// Heat from which a pixel is of a region: what Grad-CAM's authors cut their maps at to find objects.
const THRESHOLD: f32 = 0.15;
/// Share of the picture that a region takes at least where there may be many.
const LEAST_AREA: f64 = 0.01;

/// Which pixels of a map make its regions, and which regions count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regions {
    /// Heat of their pixels at least, above 0 to 1.
    pub threshold: f32,
    /// Which of them count.
    pub which: Boxes,
    /// Share of the picture that each takes at least, 0 to 1.
    pub least_area: f64,
}

/// Boxes of pictures that maps are held against.
#[derive(Debug, Clone, PartialEq)]
pub enum KnownBoxes {
    /// Those of the one picture, or none.
    Here(Vec<KnownBox>),
    /// Those of many, each known by its picture's name.
    File(PathBuf),
}

/// Boxes, or one file of them.
pub(super) fn known_boxes(flags: Vec<BoxFlag>) -> Result<KnownBoxes, UsageError> {
    let mut boxes = vec![];
    let several = flags.len() > 1;
    for flag in flags {
        match flag {
            BoxFlag::One(known) => boxes.push(known),
            BoxFlag::File(path) if several => return Err(UsageError::BoxFileAndMore(path)),
            BoxFlag::File(path) => return Ok(KnownBoxes::File(path)),
        }
    }
    Ok(KnownBoxes::Here(boxes))
}

/// The regions that are asked for, if any.
pub(super) fn regions(flags: &Explain) -> Result<Option<Regions>, UsageError> {
    let BoxFlags {
        boxes,
        box_threshold,
        box_area,
        coco,
        known_box: _,
    } = &flags.boxes;
    if let Some(wrong) = box_threshold.filter(|&h| !(h > 0.0 && h <= 1.0)) {
        return Err(UsageError::BoxThresholdOutOfRange(wrong));
    }
    let area = *box_area;
    if let Some(wrong) = area.filter(|share| !(0.0..=1.0).contains(share)) {
        return Err(UsageError::BoxAreaOutOfRange(wrong));
    }
    let which = boxes.unwrap_or_default();
    if area.is_some() && which == Boxes::Largest {
        return Err(UsageError::BoxAreaOfLargest);
    }
    let asked = [
        ("--boxes", boxes.is_some()),
        ("--coco", coco.is_some()),
        (
            "--outputs mask",
            flags.outputs.contains(&Outputs::One(Output::Mask)),
        ),
    ];
    let asked = asked
        .into_iter()
        .find_map(|(by, is_given)| is_given.then_some(by));
    match asked {
        None if box_threshold.is_some() => Err(UsageError::BoxThresholdAlone),
        None => Ok(None),
        Some(by) if flags.signed => Err(UsageError::SignedRegions(by)),
        Some(_) => Ok(Some(Regions {
            threshold: box_threshold.unwrap_or(THRESHOLD),
            which,
            least_area: match which {
                Boxes::Largest => 0.0,
                Boxes::All => area.unwrap_or(LEAST_AREA),
            },
        })),
    }
}
