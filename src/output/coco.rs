//! Regions of all pictures of a run in one file, as COCO has annotations of objects (cocodataset.org, data format).
//!
//! Boxes are x, y, width and height in pixels of the upright picture, from 0 at its upper left corner. Outlines are polygons
//! along the edges of pixels; a region with holes is a mask instead, run lengths down its columns, since polygons have none.

use serde::Serialize;
use serde_json::{Value, json};

use crate::labels::Labels;
use crate::output::provenance::as_printed;
use crate::output::report::{PROGRAM, Region, Report};

/// The file as it grows.
#[derive(Debug, Default)]
pub struct Coco {
    /// What the pictures have in common, once there is one.
    info: Option<Value>,
    images: Vec<Value>,
    annotations: Vec<Annotation>,
}

#[derive(Debug, Serialize)]
struct Annotation {
    /// From 1: tools take 0 for none.
    id: usize,
    image_id: usize,
    category_id: usize,
    bbox: [usize; 4],
    segmentation: Value,
    area: usize,
    iscrowd: u8,
    /// The class's probability.
    score: f32,
    /// Share of the map's heat.
    energy: f64,
    method: String,
}

impl Coco {
    /// Adds a picture with the regions of its maps.
    pub fn add(&mut self, report: &Report) {
        self.info.get_or_insert_with(|| info(report));
        let image_id = self.images.len() + 1;
        let [width, height] = report.image_size;
        self.images.push(json!({
            "id": image_id,
            "file_name": report.image.to_string_lossy(),
            "width": width,
            "height": height,
        }));
        for class in &report.classes {
            for map in &class.maps {
                for region in map.regions.iter().flatten() {
                    self.annotations.push(Annotation {
                        id: self.annotations.len() + 1,
                        image_id,
                        category_id: class.id,
                        bbox: region.rectangle,
                        segmentation: segmentation(region, report.image_size),
                        area: region.area,
                        iscrowd: 0,
                        score: class.probability,
                        energy: region.energy,
                        method: map.method.to_string(),
                    });
                }
            }
        }
    }

    /// Whether no picture was added.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The file; its categories are all classes of the network, by their numbers.
    #[allow(clippy::missing_panics_doc)] // never does
    pub fn json(&self, labels: &Labels) -> String {
        #[derive(Serialize)]
        struct File<'a> {
            info: &'a Option<Value>,
            images: &'a [Value],
            annotations: &'a [Annotation],
            categories: Vec<Value>,
        }
        let names = (0..).map_while(|id| Some((id, labels.get(id)?.name())));
        let file = File {
            info: &self.info,
            images: &self.images,
            annotations: &self.annotations,
            categories: names
                .map(|(id, name)| json!({ "id": id, "name": name }))
                .collect(),
        };
        serde_json::to_string(&file).expect("keys are strings, and writing to memory cannot fail")
            + "\n"
    }
}

/// How the regions were made.
fn info(report: &Report) -> Value {
    json!({
        "description": format!("regions of class activation maps, by {PROGRAM}"),
        "weights": as_printed(&report.weights),
        "adapter": as_printed(&report.adapter),
        "layer": report.layer,
        "score": report.score.to_string(),
        "settings": as_printed(&report.settings),
    })
}

/// One polygon, or where there are holes a mask.
fn segmentation(region: &Region, [width, height]: [u32; 2]) -> Value {
    match &region.contours[..] {
        [outer] => json!([outer.concat()]),
        _ => {
            json!({ "size": [height, width], "counts": counts(region, width as usize, height as usize) })
        }
    }
}

/// How many pixels are outside, inside, outside and so on, down one column after the other.
fn counts(region: &Region, width: usize, height: usize) -> Vec<usize> {
    let mut starts_and_ends: Vec<usize> = vec![];
    let mut columns = vec![vec![]; width];
    for run in &region.runs {
        for column in &mut columns[run.start..run.end] {
            column.push(run.y);
        }
    }
    for (x, rows) in columns.iter().enumerate() {
        for y in rows {
            let place = x * height + y;
            match starts_and_ends.last_mut() {
                Some(end) if *end == place => *end += 1,
                _ => starts_and_ends.extend([place, place + 1]),
            }
        }
    }
    // Behind the last pixel nothing is left to count.
    if starts_and_ends.last() != Some(&(width * height)) {
        starts_and_ends.push(width * height);
    }
    let before = std::iter::once(0).chain(starts_and_ends.iter().copied());
    let counts: Vec<usize> = before.zip(&starts_and_ends).map(|(a, b)| b - a).collect();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::map::Map;
    use crate::methods::region::regions;
    use crate::picture::preprocess::Geometry;

    fn of(width: usize, height: usize, values: &[f32]) -> Value {
        let geometry = Geometry {
            picture: (width as u32, height as u32),
            x: 0.0,
            y: 0.0,
            width: width as f64,
            height: height as f64,
        };
        let region = &regions(&Map::new(width, height, values.to_vec()), 0.5)[0];
        let size = [width as u32, height as u32];
        segmentation(&Region::new(region, &geometry, size.into()), size)
    }

    #[test]
    fn a_region_without_holes_is_a_polygon() {
        let polygon = of(3, 2, &[0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(polygon, json!([[1, 0, 3, 0, 3, 2, 2, 2, 2, 1, 1, 1]]));
    }

    #[test]
    fn a_region_with_a_hole_is_run_lengths_down_the_columns() {
        let mut values = [1.0; 12];
        values[0] = 0.0;
        values[5] = 0.0;
        // .###
        // #.##
        // ####
        let mask = of(4, 3, &values);
        assert_eq!(mask, json!({ "size": [3, 4], "counts": [1, 3, 1, 7] }));
    }
}
