//! Where a map is hot: the regions above a share of its largest value, as Grad-CAM's authors find objects (arXiv 1610.02391,
//! section 4.1: 15 % of the maximum, the largest segment).
//!
//! Pixels that touch, at a corner too, are of one region. Coordinates are those of the heat: columns from the left, rows from
//! above, (0, 0) the upper left corner of the first pixel, so that the first pixel alone is the box 0, 0, 1, 1.

use crate::methods::map::Map;

/// Pixels of one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Columns left of it.
    pub x: usize,
    /// Rows above it.
    pub y: usize,
    /// Columns from its first to its last.
    pub width: usize,
    /// Rows from its first to its last.
    pub height: usize,
    /// Pixels.
    pub area: usize,
    /// Share of the map's heat that lies in it.
    pub energy: f64,
    /// Its pixels, row by row, from left to right.
    pub runs: Vec<Run>,
}

/// Pixels side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Row.
    pub y: usize,
    /// First column.
    pub start: usize,
    /// Column after the last.
    pub end: usize,
}

/// The regions where `heat`, in 0..=1 as [`Map::heat`] gives it, is at least `least`, which is above zero; the largest first,
/// of equals the upper left.
pub fn regions(heat: &Map, least: f32) -> Vec<Region> {
    let runs = runs(heat, least);
    let total: f64 = heat.values.iter().map(|&h| f64::from(h)).sum();
    let mut of_root: Vec<Option<usize>> = vec![None; runs.len()];
    let mut regions: Vec<Region> = vec![];
    let parents = joined(&runs);
    for (index, &run) in runs.iter().enumerate() {
        let place = *of_root[parents[index]].get_or_insert_with(|| {
            regions.push(Region {
                x: run.start,
                y: run.y,
                width: 0,
                height: 0,
                area: 0,
                energy: 0.0,
                runs: vec![],
            });
            regions.len() - 1
        });
        let region = &mut regions[place];
        let right = (region.x + region.width).max(run.end);
        region.x = region.x.min(run.start);
        region.width = right - region.x;
        region.height = run.y + 1 - region.y;
        region.area += run.end - run.start;
        let row = &heat.values[run.y * heat.width..][run.start..run.end];
        region.energy += row.iter().map(|&h| f64::from(h)).sum::<f64>() / total;
        region.runs.push(run);
    }
    regions.sort_by_key(|region| std::cmp::Reverse(region.area));
    regions
}

fn runs(heat: &Map, least: f32) -> Vec<Run> {
    let mut runs = vec![];
    for (y, row) in heat.values.chunks_exact(heat.width).enumerate() {
        let mut x = 0;
        for same in row.chunk_by(|&a, &b| (a >= least) == (b >= least)) {
            let (start, end) = (x, x + same.len());
            if same[0] >= least {
                runs.push(Run { y, start, end });
            }
            x = end;
        }
    }
    runs
}

/// For each run the first of those that it is joined with.
fn joined(runs: &[Run]) -> Vec<usize> {
    fn root(parents: &mut [usize], mut at: usize) -> usize {
        while parents[at] != at {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        at
    }
    let mut parents: Vec<usize> = (0..runs.len()).collect();
    // The runs of the row above that may still touch one of this row.
    let mut above = 0;
    for (index, run) in runs.iter().enumerate() {
        while runs[above].y + 1 < run.y || runs[above].y + 1 == run.y && runs[above].end < run.start
        {
            above += 1;
        }
        let touching = runs[above..index].iter().enumerate();
        let touching = touching.take_while(|(_, other)| other.y < run.y && other.start <= run.end);
        for (offset, _) in touching {
            let [one, other] = [index, above + offset].map(|run| root(&mut parents, run));
            // The first stays, so that a root is the upper left run.
            parents[one.max(other)] = one.min(other);
        }
    }
    (0..runs.len()).map(|run| root(&mut parents, run)).collect()
}

impl Region {
    /// Its edges, as corners between pixels, x and y, each ring closed by its first corner: the outer edge clockwise, then
    /// those of its holes the other way round.
    pub fn contours(&self) -> Vec<Vec<[usize; 2]>> {
        // One pixel of nothing around it, so that every neighbour can be looked at.
        let (columns, rows) = (self.width + 2, self.height + 2);
        let mut inside = vec![false; columns * rows];
        for run in &self.runs {
            let row = (run.y - self.y + 1) * columns;
            inside[row + run.start - self.x + 1..=row + run.end - self.x].fill(true);
        }
        let is_upper_edge = |pixel: usize| inside[pixel] && !inside[pixel - columns];
        let mut walked = vec![false; inside.len()];
        let mut contours = vec![];
        for first in columns..inside.len() {
            if is_upper_edge(first) && !walked[first] {
                let ring = ring(&inside, columns, first, &mut walked);
                let corner = |[x, y]: [usize; 2]| [x + self.x - 1, y + self.y - 1];
                contours.push(ring.into_iter().map(corner).collect());
            }
        }
        contours
    }
}

/// The ring that begins with the upper edge of `first`, walked with the region on the right hand; `walked` are the pixels
/// whose upper edges were passed.
fn ring(inside: &[bool], columns: usize, first: usize, walked: &mut [bool]) -> Vec<[usize; 2]> {
    let start = [first % columns, first / columns];
    let [mut x, mut y] = start;
    // Right, down, left, up.
    let mut heading = 0;
    let mut corners = vec![start];
    loop {
        if heading == 0 {
            walked[y * columns + x] = true;
        }
        // One pixel of nothing lies around all.
        (x, y) = match heading {
            0 => (x + 1, y),
            1 => (x, y + 1),
            2 => (x - 1, y),
            _ => (x, y - 1),
        };
        // The two pixels ahead of the corner, left and right of the way.
        let at = |x: usize, y: usize| inside[y * columns + x];
        let (left, right) = match heading {
            0 => (at(x, y - 1), at(x, y)),
            1 => (at(x, y), at(x - 1, y)),
            2 => (at(x - 1, y), at(x - 1, y - 1)),
            _ => (at(x - 1, y - 1), at(x, y - 1)),
        };
        // Pixels that touch at a corner alone are one region: the way goes on to the other one.
        let turn = match (left, right) {
            (true, _) => 3,
            (false, true) => 0,
            (false, false) => 1,
        };
        let turned = (heading + turn) % 4;
        if [x, y] == start && turned == 0 {
            return corners;
        }
        if turn != 0 {
            corners.push([x, y]);
        }
        heading = turned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of rows of digits, tenths of heat.
    fn map(rows: &[&str]) -> Map {
        let values = rows.concat();
        let values = values.bytes().map(|digit| f32::from(digit - b'0') / 9.0);
        Map::new(rows[0].len(), rows.len(), values.collect())
    }

    fn found(rows: &[&str]) -> Vec<Region> {
        regions(&map(rows), 0.5)
    }

    #[test]
    fn the_largest_region_comes_first_with_its_box_area_and_share_of_the_heat() {
        let regions = found(&["900000", "000990", "000099", "100000"]);
        let boxes: Vec<_> = regions
            .iter()
            .map(|r| [r.x, r.y, r.width, r.height])
            .collect();
        assert_eq!(boxes, [[3, 1, 3, 2], [0, 0, 1, 1]]);
        assert_eq!(regions[0].area, 4);
        assert!((regions[0].energy - 36.0 / 46.0).abs() < 1e-6);
        assert!((regions[1].energy - 9.0 / 46.0).abs() < 1e-6);
        assert_eq!(found(&["123", "321"]), []);
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_of_one_region() {
        assert_eq!(found(&["900", "090", "009"]).len(), 1);
        assert_eq!(found(&["009", "090", "900"]).len(), 1);
        assert_eq!(found(&["909", "000", "909"]).len(), 4);
        // Two arms that meet in the last row.
        let arms = found(&["9000900", "9000900", "9999900"]);
        assert_eq!((arms.len(), arms[0].area), (1, 9));
        let spiral = found(&["99999", "00009", "99909", "90009", "99999"]);
        assert_eq!((spiral.len(), spiral[0].area), (1, 17));
    }

    #[test]
    fn contours_go_along_the_edges_of_pixels_and_around_holes() {
        let one = found(&["000", "090"]);
        assert_eq!(one[0].contours(), [[[1, 1], [2, 1], [2, 2], [1, 2]]]);
        let ring = found(&["999", "909", "999"]);
        let contours = ring[0].contours();
        assert_eq!(contours.len(), 2);
        assert_eq!(contours[0], [[0, 0], [3, 0], [3, 3], [0, 3]]);
        assert_eq!(contours[1], [[1, 2], [2, 2], [2, 1], [1, 1]]);
        // One way around both.
        let diagonal = found(&["90", "09"]);
        assert_eq!(diagonal[0].contours().len(), 1);
        assert_eq!(diagonal[0].contours()[0].len(), 8);
    }

    #[test]
    fn the_area_within_the_contours_is_that_of_the_region() {
        // The shoelace formula; holes go the other way round.
        let enclosed = |ring: &Vec<[usize; 2]>| {
            let next = ring.iter().cycle().skip(1);
            let cross =
                |([x, y], [u, v]): (&[usize; 2], &[usize; 2])| (x * v) as i64 - (u * y) as i64;
            ring.iter().zip(next).map(cross).sum::<i64>()
        };
        let mut state = 7_u32;
        for _ in 0..200 {
            let (width, height) = (9, 7);
            let values = (0..width * height).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 31) as f32
            });
            for region in regions(&Map::new(width, height, values.collect()), 0.5) {
                let twice: i64 = region.contours().iter().map(enclosed).sum();
                assert_eq!(twice, 2 * region.area as i64);
            }
        }
    }

    /// `tests/fixtures/regions/regions.py` made the numbers.
    #[test]
    fn regions_are_those_of_scipy_and_opencv() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/regions/regions.json"
        );
        let cases: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
        for case in cases.as_array().unwrap() {
            let rows = case["map"].as_array().unwrap();
            let values = rows.iter().flat_map(|row| row.as_array().unwrap());
            let values: Vec<f32> = values.map(|v| v.as_f64().unwrap() as f32).collect();
            let small = Map::new(values.len() / rows.len(), rows.len(), values);
            let heat = small
                .resize(number(&case["width"]), number(&case["height"]))
                .heat();
            let found = regions(&heat, case["threshold"].as_f64().unwrap() as f32);
            let mut found: Vec<_> = found
                .iter()
                .map(|r| {
                    (
                        [r.x, r.y, r.width, r.height],
                        r.area,
                        r.contours().len(),
                        r.energy,
                    )
                })
                .collect();
            for expected in case["regions"].as_array().unwrap() {
                let edges: Vec<_> = expected["box"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(number)
                    .collect();
                let rest = (number(&expected["area"]), number(&expected["rings"]));
                let place = found
                    .iter()
                    .position(|&(b, area, rings, _)| b[..] == edges[..] && (area, rings) == rest);
                let place = place.unwrap_or_else(|| panic!("{expected} is not among {found:?}"));
                let (.., energy) = found.remove(place);
                assert!((energy - expected["energy"].as_f64().unwrap()).abs() < 1e-5);
            }
            assert_eq!(found, []);
        }
    }
}
