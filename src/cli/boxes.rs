//! The flags that say which regions of a map are boxed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::choices::Boxes;
use super::spelled::spelled;
use crate::methods::known::KnownBox;

/// Regions of maps, and a box to hold maps against.
#[derive(Debug, Args)]
#[command(next_help_heading = "Boxes and masks")]
pub struct BoxFlags {
    /// Box the hottest region of each map, in the pictures and in the JSON
    ///
    /// Box the hottest region of each map, and draw its edge: of the pixels that reach --box-threshold and touch each other
    /// the most (largest), or all such regions (all). The JSON has box, edge, area and share of the heat.
    #[arg(
        long, value_name = "WHICH", value_parser = spelled::<Boxes>(), num_args = 0..=1, require_equals = true,
        default_missing_value = "largest"
    )]
    pub boxes: Option<Boxes>,

    /// Heat from which a pixel is of a region, above 0 to 1 [default: 0.15]
    #[arg(long, value_name = "H", allow_negative_numbers = true)]
    pub box_threshold: Option<f32>,

    /// Share of the picture that a region of --boxes=all takes at least, 0 to 1 [default: 0.01]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub box_area: Option<f64>,

    /// Write the regions of all pictures to one file, as COCO annotations
    ///
    /// Write the regions of all pictures to one file, as COCO has them: images, categories, and annotations with box, area,
    /// outline and the class's probability as score. In pixels of the pictures, upright.
    #[arg(long, value_name = "FILE.json")]
    pub coco: Option<PathBuf>,

    /// Hold the maps against this box of the picture: the heat in it, and whether the hottest pixel is
    ///
    /// Hold the maps against a known box of the picture: left edge, upper edge, width and height in the picture's pixels; repeatable.
    /// The JSON then has energy_in_box, the share of the heat that lies in it, and pointing_hit, whether the hottest
    /// pixel does; of several boxes both take them together, and each_box tells of each. Of many pictures a file has the boxes: CSV
    /// (image,x,y,width,height or with class behind), lines of JSON (image, box, class if it has one) or COCO annotations, where a
    /// name is the end of the picture's path. A box with a class is for the maps of that class alone.
    #[arg(long = "box", value_name = "X,Y,W,H|FILE", value_parser = parse_box, allow_hyphen_values = true)]
    pub known_box: Vec<BoxFlag>,
}

/// One use of `--box`.
#[derive(Debug, Clone, PartialEq)]
pub enum BoxFlag {
    /// A box of the one picture.
    One(KnownBox),
    /// Of many, each known by its name.
    File(PathBuf),
}

/// Why a text is no box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write four numbers, the left and upper edge, the width and the height in pixels, the last two above 0: 20,35,110,80; or a file of boxes"
)]
pub(super) struct BoxError;

/// Four numbers separated by commas, `20,35,110,80`; what is no list of numbers is a file.
pub(super) fn parse_box(text: &str) -> Result<BoxFlag, BoxError> {
    let numbers = text.split(',').map(|part| part.trim().parse::<f64>());
    let Ok(numbers) = numbers.collect::<Result<Vec<f64>, _>>() else {
        let is_name = !text.is_empty() && (!text.contains(',') || Path::new(text).exists());
        return is_name.then(|| BoxFlag::File(text.into())).ok_or(BoxError);
    };
    let known = <[f64; 4]>::try_from(numbers).ok().and_then(KnownBox::new);
    known.map(BoxFlag::One).ok_or(BoxError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_four_numbers_of_which_two_are_above_zero() {
        let known = |x, y, width, height| {
            Ok(BoxFlag::One(KnownBox {
                x,
                y,
                width,
                height,
            }))
        };
        assert_eq!(parse_box("20,35,110,80"), known(20.0, 35.0, 110.0, 80.0));
        assert_eq!(parse_box("-1.5, 0, 0.5, 2"), known(-1.5, 0.0, 0.5, 2.0));
        for wrong in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "1,2,0,4",
            "1,2,3,-4",
            "1,2,inf,4",
            "nan,2,3,4",
            "a,2,3,4",
        ] {
            assert_eq!(parse_box(wrong), Err(BoxError), "{wrong}");
        }
        let file = |name: &str| Ok(BoxFlag::File(name.into()));
        assert_eq!(parse_box("in/boxes.csv"), file("in/boxes.csv"));
    }
}
