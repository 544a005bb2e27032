//! Where the heat of a map lies and how far it spreads, in numbers.

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

impl Spread {
    /// Of a `heat` as [`Map::heat`] gives it, of any size, over what the network saw; `None` where there is none.
    pub fn of(heat: &Map, geometry: &Geometry) -> Option<Self> {
        let values = || heat.values.iter().map(|&h| f64::from(h));
        let sum: f64 = values().sum();
        if sum <= 0.0 {
            return None;
        }
        let (width, height) = (heat.width as f64, heat.height as f64);
        let [mut x, mut y, mut entropy] = [0.0; 3];
        for (place, value) in values().enumerate() {
            let share = value / sum;
            x += share * ((place % heat.width) as f64 + 0.5);
            y += share * ((place / heat.width) as f64 + 0.5);
            if share > 0.0 {
                entropy -= share * share.ln();
            }
        }
        let even = (width * height).ln();
        Some(Self {
            centre: [
                geometry.x + geometry.width * x / width,
                geometry.y + geometry.height * y / height,
            ],
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
    fn two_equal_positions_of_four_are_half_of_the_entropy() {
        let spread = of(4, 1, &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert!((spread.entropy - 0.5).abs() < 1e-12);
    }

    #[test]
    fn no_heat_is_nowhere() {
        assert_eq!(of(2, 1, &[0.0, 0.0]), None);
    }
}
