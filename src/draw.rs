//! Maps to pictures: colours, how heat lies over a picture, colour bars, sheets with labels. Pure functions.
//!
//! Here are the three pictures that most want, in the colours of the TensorFlow original. Other colours, shares and scales:
//! [`low_level::draw`](crate::low_level::draw).

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod colorbar;
#[doc(hidden)]
pub mod colormap;
#[doc(hidden)]
pub mod composite;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod sheet;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod terminal;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod text;

use image::RgbImage;

use crate::methods::map::{self, RawMap};
use colormap::Colormap;
use composite::Overlay;

/// The map in colour over the picture, of its size: red where the class was seen, blue where it was not.
///
/// # Panics
/// If the map or the picture is empty.
pub fn overlay(map: &RawMap, picture: &RgbImage) -> RgbImage {
    let heat = heat(map, picture.width(), picture.height());
    composite::overlay(&heat, picture, Colormap::Jet, Overlay::Sum)
}

/// The map in grey, `width` x `height`: white where the class was seen most, black where not at all.
///
/// # Panics
/// If the map is empty, or a side is 0.
pub fn heatmap(map: &RawMap, width: u32, height: u32) -> RgbImage {
    composite::heatmap(&heat(map, width, height))
}

/// The picture lit by the map, black where the class was not seen.
///
/// # Panics
/// If the map or the picture is empty.
pub fn segmented(map: &RawMap, picture: &RgbImage) -> RgbImage {
    composite::segmented(&heat(map, picture.width(), picture.height()), picture)
}

/// What is above zero, 0..=1, of that size.
fn heat(map: &RawMap, width: u32, height: u32) -> map::Map {
    map.scaled().resize(width as usize, height as usize).heat()
}
