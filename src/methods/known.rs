//! Boxes of a picture that somebody else drew, which a map is held against: the share of its heat that lies in them (the energy-based
//! pointing game, arXiv 1910.01279) and whether its hottest pixel does (the pointing game, arXiv 1608.00507). Of several boxes both
//! take all the boxes together, as the latter does with all objects of a class; what lies in two of them counts once.

use crate::methods::map::Map;

/// A rectangle of a picture: columns and rows from its upper left corner, in fractions of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownBox {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width, above zero.
    pub width: f64,
    /// Height, above zero.
    pub height: f64,
}

impl std::fmt::Display for KnownBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{},{}", self.x, self.y, self.width, self.height)
    }
}

impl KnownBox {
    /// Left, upper edge, width and height; `None` where these are none of a box.
    pub fn new([x, y, width, height]: [f64; 4]) -> Option<Self> {
        let is_box = [x, y].iter().all(|v| v.is_finite())
            && [width, height].iter().all(|v| v.is_finite() && *v > 0.0);
        is_box.then_some(Self {
            x,
            y,
            width,
            height,
        })
    }

    /// The same as four numbers.
    pub fn numbers(&self) -> [f64; 4] {
        [self.x, self.y, self.width, self.height]
    }

    /// Whether some of it lies within a picture of this size.
    pub fn meets(&self, (width, height): (u32, u32)) -> bool {
        let meets = |start: f64, extent: f64, length: u32| {
            start < f64::from(length) && start + extent > 0.0
        };
        meets(self.x, self.width, width) && meets(self.y, self.height, height)
    }

    /// The heat that lies in it; a pixel on its edge counts with the share of it that lies inside.
    fn heat(&self, heat: &Map) -> f64 {
        let covered = |pixel: usize, start: f64, extent: f64| {
            let pixel = pixel as f64;
            ((start + extent).min(pixel + 1.0) - start.max(pixel)).max(0.0)
        };
        // Pixels that it may touch.
        let touched = |start: f64, extent: f64, length: usize| {
            let end = ((start + extent).ceil().max(0.0) as usize).min(length);
            (start.max(0.0) as usize).min(end)..end
        };
        let columns = touched(self.x, self.width, heat.width);
        let mut inside = 0.0;
        for y in touched(self.y, self.height, heat.height) {
            let rows = covered(y, self.y, self.height);
            let row = &heat.values[y * heat.width..][columns.clone()];
            for (x, &h) in columns.clone().zip(row) {
                inside += f64::from(h) * rows * covered(x, self.x, self.width);
            }
        }
        inside
    }
}

/// Share of the heat that lies in any of the boxes. `None` where there is no heat.
pub fn energy(boxes: &[KnownBox], heat: &Map) -> Option<f64> {
    let all: f64 = heat.values.iter().map(|&h| f64::from(h)).sum();
    let inside: f64 = apart(boxes).iter().map(|part| part.heat(heat)).sum();
    (all > 0.0).then(|| inside / all)
}

/// The pointing game: whether the middle of the hottest pixel lies in any of the boxes, of several pixels the first in row order.
/// `None` where there is no heat.
pub fn is_hit(boxes: &[KnownBox], heat: &Map) -> Option<bool> {
    let (mut hottest, mut most) = (None, 0.0);
    for (place, &h) in heat.values.iter().enumerate() {
        if h > most {
            (hottest, most) = (Some(place), h);
        }
    }
    let within = |at: f64, start: f64, extent: f64| (start..=start + extent).contains(&at);
    hottest.map(|place| {
        let (x, y) = (place % heat.width, place / heat.width);
        boxes.iter().any(|known| {
            within(x as f64 + 0.5, known.x, known.width)
                && within(y as f64 + 0.5, known.y, known.height)
        })
    })
}

/// Boxes that cover the same and have nothing in common: strips between all upper and lower edges.
fn apart(boxes: &[KnownBox]) -> Vec<KnownBox> {
    if let [one] = boxes {
        return vec![*one];
    }
    let mut edges: Vec<f64> = boxes.iter().flat_map(|b| [b.y, b.y + b.height]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut sorted = boxes.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    let mut parts: Vec<KnownBox> = vec![];
    for (&y, &lower) in edges.iter().zip(edges.iter().skip(1)) {
        let first = parts.len();
        for known in sorted.iter().filter(|b| b.y <= y && b.y + b.height > y) {
            let right = known.x + known.width;
            match parts[first..].last_mut() {
                Some(last) if known.x <= last.x + last.width => {
                    last.width = last.width.max(right - last.x);
                }
                _ => parts.push(KnownBox {
                    y,
                    height: lower - y,
                    ..*known
                }),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of([x, y, width, height]: [f64; 4]) -> KnownBox {
        KnownBox::new([x, y, width, height]).unwrap()
    }

    #[test]
    fn the_heat_in_a_known_box_counts_pixels_on_its_edge_by_their_share() {
        let mut values = vec![0.0; 12];
        values[5..7].fill(1.0);
        let heat = Map::new(4, 3, values);
        let of = |x, width| [of([x, 1.0, width, 1.0])];
        assert_eq!(energy(&of(1.0, 2.0), &heat), Some(1.0));
        assert_eq!(energy(&of(1.5, 1.0), &heat), Some(0.5));
        assert_eq!(energy(&of(3.0, 1.0), &heat), Some(0.0));
        assert_eq!(energy(&of(-9.0, 1e300), &heat), Some(1.0));
        assert_eq!(is_hit(&of(1.0, 1.0), &heat), Some(true));
        assert_eq!(is_hit(&of(2.0, 1.0), &heat), Some(false));
        let cold = Map::new(2, 2, vec![0.0; 4]);
        let known = of(0.0, 1.0);
        assert_eq!((energy(&known, &cold), is_hit(&known, &cold)), (None, None));
    }

    #[test]
    fn what_lies_in_several_boxes_counts_once() {
        let values: Vec<f32> = (0..48_u16).map(|i| f32::from(i * 37 % 11)).collect();
        let heat = Map::new(8, 6, values.clone());
        // Whole pixels, so that a set of pixels is the answer.
        let lists: [&[[f64; 4]]; 5] = [
            &[[1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 4.0, 3.0]],
            &[[0.0, 0.0, 8.0, 6.0], [2.0, 2.0, 1.0, 1.0]],
            &[
                [0.0, 0.0, 2.0, 2.0],
                [5.0, 4.0, 2.0, 2.0],
                [0.0, 0.0, 2.0, 2.0],
            ],
            &[
                [3.0, 0.0, 1.0, 6.0],
                [0.0, 3.0, 8.0, 1.0],
                [2.0, 2.0, 3.0, 3.0],
            ],
            &[[-4.0, -4.0, 5.0, 5.0], [7.0, 5.0, 9.0, 9.0]],
        ];
        let total: f32 = values.iter().sum();
        for list in lists {
            let is_in = |place: usize| {
                let (x, y) = ((place % 8) as f64 + 0.5, (place / 8) as f64 + 0.5);
                list.iter()
                    .any(|[a, b, w, h]| x > *a && x < a + w && y > *b && y < b + h)
            };
            let inside: f32 = (0..48).filter(|&i| is_in(i)).map(|i| values[i]).sum();
            let boxes: Vec<KnownBox> = list.iter().map(|&numbers| of(numbers)).collect();
            let found = energy(&boxes, &heat).unwrap();
            assert!((found - f64::from(inside / total)).abs() < 1e-6, "{list:?}");
        }
    }
}
