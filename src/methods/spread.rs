//! Where the heat of a map lies and how far it spreads, in numbers: on the picture. Of positions that reach beyond it, into the bars
//! of `--fit pad`, the part on the picture counts.

use serde::Serialize;

use crate::methods::map::Map;
use crate::picture::preprocess::Geometry;

/// Where the heat of a map lies, and how far it spreads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The centre of mass, x and y, in pixels of the original picture from its upper left corner; the middle of its first pixel
    /// is 0.5, 0.5.
    pub centre: [f64; 2],
    /// How evenly the heat lies over the positions: the entropy of their shares of it, divided by that of equal shares. 0 for
    /// one position, 1 for all alike.
    pub entropy: f64,
}

/// What of a position, from its start to its end along one axis, lies on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    /// Its share of the position.
    share: f64,
    /// Its middle, in pixels of the picture.
    middle: f64,
}

/// Those of so many positions that span `extent` pixels from `start` on, of a picture of `length`.
fn parts(count: usize, start: f64, extent: f64, length: u32) -> Vec<Part> {
    let each = extent / count as f64;
    let part = |place: usize| {
        let begin = start + each * place as f64;
        let on_picture = |at: f64| at.clamp(0.0, f64::from(length));
        let [first, last] = [on_picture(begin), on_picture(begin + each)];
        // What the sums above round to next to the edge is no bar.
        let share = (last - first) / each;
        Part {
            share: if share > 1.0 - 1e-9 { 1.0 } else { share },
            middle: first.midpoint(last),
        }
    };
    (0..count).map(part).collect()
}

/// The mean on the picture of `channels` values a position, row by row.
pub fn mean(values: &[f64], [rows, columns, channels]: [usize; 3], geometry: &Geometry) -> f64 {
    let (width, height) = geometry.picture;
    let across = parts(columns, geometry.x, geometry.width, width);
    let down = parts(rows, geometry.y, geometry.height, height);
    let [mut sum, mut weights] = [0.0; 2];
    for (row, y) in values.chunks_exact(columns * channels).zip(&down) {
        for (position, x) in row.chunks_exact(channels).zip(&across) {
            let weight = x.share * y.share;
            // What is not finite in a bar is not on the picture.
            if weight > 0.0 {
                sum += weight * position.iter().sum::<f64>();
                weights += weight * channels as f64;
            }
        }
    }
    sum / weights
}

impl Spread {
    /// Of a `heat` as [`Map::heat`] gives it, of any size, over what the network saw; `None` where there is none.
    pub fn of(heat: &Map, geometry: &Geometry) -> Option<Self> {
        let (width, height) = geometry.picture;
        let across = parts(heat.width, geometry.x, geometry.width, width);
        let down = parts(heat.height, geometry.y, geometry.height, height);
        let positions = || {
            let rows = heat.values.chunks_exact(heat.width).zip(&down);
            rows.flat_map(|(row, y)| {
                let row = row.iter().zip(&across);
                row.map(move |(&h, x)| (f64::from(h), x, y))
            })
        };
        let sum: f64 = positions().map(|(h, x, y)| h * x.share * y.share).sum();
        if sum <= 0.0 {
            return None;
        }
        let [mut centre_x, mut centre_y, mut entropy, mut size] = [0.0_f64; 4];
        for (heat, x, y) in positions() {
            let part = x.share * y.share;
            let share = heat * part / sum;
            size += part;
            centre_x += share * x.middle;
            centre_y += share * y.middle;
            if share > 0.0 {
                entropy -= share * (share / part).ln();
            }
        }
        let even = size.ln();
        Some(Self {
            centre: [centre_x, centre_y],
            // One position alone has no other to spread to.
            entropy: if even > 0.0 {
                (entropy / even).clamp(0.0, 1.0)
            } else {
                0.0
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The centre square of a picture of 300 x 100 pixels.
    const GEOMETRY: Geometry = Geometry {
        picture: (300, 100),
        x: 100.0,
        y: 0.0,
        width: 100.0,
        height: 100.0,
    };

    fn of(width: usize, height: usize, values: &[f32]) -> Option<Spread> {
        Spread::of(&Map::new(width, height, values.to_vec()), &GEOMETRY)
    }

    #[test]
    fn one_hot_position_is_the_centre_and_no_spread() {
        let spread = of(2, 2, &[0.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!((spread.centre, spread.entropy), ([175.0, 75.0], 0.0));
    }

    #[test]
    fn even_heat_is_centred_and_spread_to_the_full() {
        let spread = of(4, 3, &[0.25; 12]).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(
            near(spread.centre[0], 150.0) && near(spread.centre[1], 50.0),
            "{spread:?}"
        );
        assert!(near(spread.entropy, 1.0), "{spread:?}");
        assert_eq!(of(1, 1, &[1.0]).unwrap().entropy, 0.0);
    }

    #[test]
    fn bars_count_for_nothing() {
        // A picture of 100 x 50 in the middle of a square: the first and the last row of the map are bars, as are halves of the
        // second and the fifth.
        let geometry = Geometry {
            picture: (100, 50),
            x: 0.0,
            y: -25.0,
            width: 100.0,
            height: 100.0,
        };
        let rows: [f32; 6] = [9.0, 1.0, 1.0, 1.0, 1.0, 9.0];
        let heat: Vec<f32> = rows.iter().flat_map(|&h| [h / 9.0; 6]).collect();
        let even = Spread::of(&Map::new(6, 6, heat), &geometry).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(
            near(even.centre[0], 50.0) && near(even.centre[1], 25.0),
            "{even:?}"
        );
        assert!(near(even.entropy, 1.0), "{even:?}");
        let values: Vec<f64> = rows.iter().flat_map(|&v| [f64::from(v); 6]).collect();
        assert!(near(mean(&values, [6, 6, 1], &geometry), 1.0));
        // The second row lies on the picture from its upper edge to a sixth of 50 pixels below.
        let mut second = vec![0.0; 36];
        second[6..12].fill(1.0);
        let upper = Spread::of(&Map::new(6, 6, second), &geometry).unwrap();
        assert!(near(upper.centre[1], 50.0 / 12.0), "{upper:?}");
        let mut bar = vec![0.0; 36];
        bar[..6].fill(1.0);
        assert_eq!(Spread::of(&Map::new(6, 6, bar), &geometry), None);
    }

    #[test]
    fn the_mean_is_that_of_all_values_where_there_are_no_bars() {
        assert_eq!(mean(&[1.0, 2.0, 3.0, 6.0], [2, 2, 1], &GEOMETRY), 3.0);
        assert_eq!(
            mean(&[1.0, 2.0, 3.0, 6.0, 5.0, 1.0], [1, 2, 3], &GEOMETRY),
            3.0
        );
    }

    #[test]
    fn two_equal_positions_of_four_are_half_of_the_entropy() {
        let spread = of(4, 1, &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert!((spread.entropy - 0.5).abs() < 1e-12);
    }

    #[test]
    fn no_heat_is_nowhere() {
        assert_eq!(of(2, 1, &[0.0, 0.0]), None);
    }
}
