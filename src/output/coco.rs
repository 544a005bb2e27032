//! Regions of all pictures of a run in one file, as COCO has annotations of objects (cocodataset.org, data format).
//!
//! Boxes are x, y, width and height in pixels of the upright picture, from 0 at its upper left corner. Outlines are polygons
//! along the edges of pixels; a region with holes is a mask instead, run lengths down its columns, since polygons have none.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::labels::Labels;
use crate::output::report::PROGRAM;

/// The longest side of any picture that is read.
const LONGEST: usize = 1 << 26;

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
    score: Value,
    /// Share of the map's heat.
    energy: f64,
    method: String,
}

/// What is read of a picture's JSON.
#[derive(Deserialize)]
struct Report {
    image: String,
    image_size: [usize; 2],
    weights: Value,
    adapter: Value,
    layer: Value,
    score: Value,
    settings: Value,
    classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    id: usize,
    /// A number, or null.
    probability: Value,
    maps: Vec<Map>,
}

#[derive(Deserialize)]
struct Map {
    method: String,
    #[serde(default)]
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    #[serde(rename = "box")]
    rectangle: [usize; 4],
    area: usize,
    energy: f64,
    contours: Vec<Vec<[usize; 2]>>,
}

impl Coco {
    /// Adds a picture with the regions of its maps, from its JSON: a manifest has that of pictures that were explained before.
    ///
    /// # Errors
    ///
    /// Where the line is no report of this version.
    pub fn add(&mut self, json: &str) -> Result<(), serde_json::Error> {
        let report: Report = serde_json::from_str(json)?;
        if report.image_size.iter().any(|&side| side > LONGEST) {
            let [width, height] = report.image_size;
            return Err(serde::de::Error::custom(format!(
                "no picture has {width} x {height} pixels"
            )));
        }
        let image_id = self.images.len() + 1;
        let size = report.image_size;
        self.images.push(json!({
            "id": image_id,
            "file_name": report.image,
            "width": size[0],
            "height": size[1],
        }));
        for class in &report.classes {
            for map in &class.maps {
                for region in &map.regions {
                    self.annotations.push(Annotation {
                        id: self.annotations.len() + 1,
                        image_id,
                        category_id: class.id,
                        bbox: region.rectangle,
                        segmentation: segmentation(&region.contours, size),
                        area: region.area,
                        iscrowd: 0,
                        score: class.probability.clone(),
                        energy: region.energy,
                        method: map.method.clone(),
                    });
                }
            }
        }
        self.info.get_or_insert_with(|| info(&report));
        Ok(())
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
        "weights": report.weights,
        "adapter": report.adapter,
        "layer": report.layer,
        "score": report.score,
        "settings": report.settings,
    })
}

/// One polygon, or where there are holes a mask.
fn segmentation(contours: &[Vec<[usize; 2]>], [width, height]: [usize; 2]) -> Value {
    match contours {
        [outer] => json!([outer.concat()]),
        _ => json!({ "size": [height, width], "counts": counts(contours, width, height) }),
    }
}

/// How many pixels are outside, inside, outside and so on, down one column after the other.
fn counts(contours: &[Vec<[usize; 2]>], width: usize, height: usize) -> Vec<usize> {
    // Down a column, each edge that lies across it leads into the region or out of it.
    let mut edges = vec![vec![]; width];
    for ring in contours {
        let ends = ring.iter().zip(ring.iter().cycle().skip(1));
        for ([x, y], [to, _]) in ends.filter(|([_, a], [_, b])| a == b) {
            let across = edges.get_mut(*x.min(to)..*x.max(to));
            for column in across.into_iter().flatten() {
                column.push(*y);
            }
        }
    }
    let mut starts_and_ends: Vec<usize> = vec![];
    for (x, rows) in edges.iter_mut().enumerate() {
        rows.sort_unstable();
        for place in rows.iter().map(|y| x * height + y) {
            // A run that ends with its column goes on in the next.
            match starts_and_ends.last() {
                Some(end) if *end == place => _ = starts_and_ends.pop(),
                _ => starts_and_ends.push(place),
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

    fn of(width: usize, height: usize, values: &[f32]) -> Value {
        let region = &regions(&Map::new(width, height, values.to_vec()), 0.5)[0];
        segmentation(&region.contours(), [width, height])
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
