//! A hot region of a map, in the coordinates of the picture and of what the network saw.

use serde::Serialize;

use crate::methods::region;
use crate::picture::preprocess::Geometry;

/// What of a map lies in a known box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InBox {
    /// Left and upper edge, width and height, in pixels of the upright picture.
    #[serde(rename = "box")]
    pub rectangle: [f64; 4],
    /// Share of the heat on the picture.
    pub energy: f64,
    /// Whether the hottest pixel does.
    pub hit: bool,
}

/// A hot region of a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Left and upper edge, width and height, in pixels of the upright picture from its upper left corner.
    #[serde(rename = "box")]
    pub rectangle: [usize; 4],
    /// The same in pixels of what the network saw.
    pub box_seen: [f64; 4],
    /// Pixels of the picture.
    pub area: usize,
    /// Share of the map's heat on the picture that lies in it.
    pub energy: f64,
    /// Its edges, as [`region::Region::contours`] gives them, on the picture.
    pub contours: Vec<Vec<[usize; 2]>>,
}

impl Region {
    /// A region of the picture that the network saw, `seen` pixels wide and high, where `geometry` says.
    pub fn new(region: &region::Region, geometry: &Geometry, seen: (u32, u32)) -> Self {
        let [x, y, width, height] = [region.x, region.y, region.width, region.height];
        let (across, down) = (
            f64::from(seen.0) / geometry.width,
            f64::from(seen.1) / geometry.height,
        );
        Self {
            rectangle: [x, y, width, height],
            box_seen: [
                (x as f64 - geometry.x) * across,
                (y as f64 - geometry.y) * down,
                width as f64 * across,
                height as f64 * down,
            ],
            area: region.area,
            energy: region.energy,
            contours: region.contours(),
        }
    }
}
