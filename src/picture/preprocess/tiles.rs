//! Overlapping squares over a picture that is longer than what the network sees.
//!
//! The picture is resized so that it just covers the network's rectangle, its proportions kept, and cut into rectangles of the
//! network's size that overlap by half or more, from edge to edge, evenly spaced. What each gives is blended with weights that
//! fall from a rectangle's middle to its edges. A picture of the network's proportions is one rectangle, the same that
//! [`Fit::Crop`](super::Fit::Crop) gives.

use image::{RgbImage, imageops};

/// Where the rectangles lie on the resized picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles {
    /// Width and height of the resized picture.
    pub canvas: (u32, u32),
    /// Width and height of each rectangle.
    pub size: (u32, u32),
    /// Left and upper edges, row by row.
    pub corners: Vec<(u32, u32)>,
}

/// By what networks make maps smaller, at most.
const STEP: u32 = 32;

/// More rectangles than are worth the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} squares would cover it, and {most} are the most; cut the picture first", most = Tiles::MOST)]
pub struct TooManyTiles(pub u64);

impl Tiles {
    /// The most rectangles.
    pub const MOST: u64 = 200;

    /// Over a picture of this size; `along` is how many lie along its short side.
    ///
    /// # Errors
    /// [`TooManyTiles`] for more than [`Tiles::MOST`].
    ///
    /// # Panics
    /// If a length or `along` is zero.
    pub fn over(picture: (u32, u32), size: (u32, u32), along: u32) -> Result<Self, TooManyTiles> {
        let lengths = [f64::from(picture.0), f64::from(picture.1)];
        let sides = [f64::from(size.0), f64::from(size.1)];
        assert!(along > 0 && lengths.iter().chain(&sides).all(|&length| length > 0.0));
        // Two that overlap by half are one and a half long.
        let least = |side: f64| side * f64::from(along + 1) / 2.0;
        let scale = (least(sides[0]) / lengths[0]).max(least(sides[1]) / lengths[1]);
        let resized = |axis: usize| {
            (lengths[axis] * scale)
                .round()
                .max(least(sides[axis]).floor()) as u32
        };
        let canvas = (resized(0), resized(1));
        let columns = starts(canvas.0, size.0);
        let rows = starts(canvas.1, size.1);
        let count = columns.len() as u64 * rows.len() as u64;
        if count > Self::MOST {
            return Err(TooManyTiles(count));
        }
        let row = |&y: &u32| columns.iter().map(move |&x| (x, y)).collect::<Vec<_>>();
        Ok(Self {
            canvas,
            size,
            corners: rows.iter().flat_map(row).collect(),
        })
    }

    /// One rectangle in place of all, where a network takes it: as large as the resized picture, but for what makes its sides differ
    /// from the network's by a multiple of 32, so that strides and padding meet its edges as they do there. `None` for one
    /// that is one already, or larger than [`Tiles::LARGEST`] of them.
    pub fn whole(&self) -> Option<Self> {
        let side = |canvas: u32, size: u32| {
            let steps = (canvas.saturating_sub(size) + STEP / 2) / STEP;
            size + STEP * steps
        };
        let width = side(self.canvas.0, self.size.0);
        let height = side(self.canvas.1, self.size.1);
        let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let fits = area((width, height)) <= Self::LARGEST * area(self.size);
        (fits && self.corners.len() > 1).then(|| Self::one((width, height)))
    }

    /// The most rectangles of the network's size that a pass over all of the picture is as large as: its memory grows so.
    pub const LARGEST: u64 = 16;

    /// One, which is all there is.
    pub fn one(size: (u32, u32)) -> Self {
        Self {
            canvas: size,
            size,
            corners: vec![(0, 0)],
        }
    }

    /// The rectangles of a picture of the canvas's size.
    pub fn cut<'a>(&'a self, canvas: &'a RgbImage) -> impl Iterator<Item = RgbImage> + 'a {
        let (width, height) = self.size;
        let cut =
            move |&(x, y): &(u32, u32)| imageops::crop_imm(canvas, x, y, width, height).to_image();
        self.corners.iter().map(cut)
    }

    /// Nothing yet, of the canvas's size, with `channels` interleaved values a position.
    pub fn blend(&self, channels: usize) -> Blend<'_> {
        let positions = self.canvas.0 as usize * self.canvas.1 as usize;
        Blend {
            tiles: self,
            channels,
            sums: vec![0.0; positions * channels],
        }
    }

    /// The sum of weights at each position of the canvas.
    fn weights(&self) -> Vec<f64> {
        let mut blend = self.blend(1);
        let ones = vec![1.0; self.size.0 as usize * self.size.1 as usize];
        (0..self.corners.len()).for_each(|index| blend.add(index, &ones));
        blend.sums
    }
}

/// Values of the rectangles, being made one.
#[derive(Debug, Clone)]
pub struct Blend<'a> {
    tiles: &'a Tiles,
    channels: usize,
    sums: Vec<f64>,
}

impl Blend<'_> {
    /// Adds the values of the rectangle of this number, row by row.
    ///
    /// # Panics
    /// If there is no such rectangle or it has another number of values.
    pub fn add(&mut self, index: usize, values: &[f64]) {
        let (width, height) = self.tiles.size;
        let (left, top) = self.tiles.corners[index];
        let (canvas, channels) = (self.tiles.canvas.0 as usize, self.channels);
        assert_eq!(
            values.len(),
            (width * height) as usize * channels,
            "values a position"
        );
        for (y, row) in values.chunks_exact(width as usize * channels).enumerate() {
            let first = (top as usize + y) * canvas + left as usize;
            let sums = &mut self.sums[first * channels..];
            let positions = sums
                .chunks_exact_mut(channels)
                .zip(row.chunks_exact(channels));
            for (x, (sums, values)) in positions.enumerate() {
                let weight = ramp(x, width) * ramp(y, height);
                sums.iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }

    /// The weighted means, once all rectangles were added.
    pub fn finish(mut self) -> Vec<f64> {
        let positions = self.sums.chunks_exact_mut(self.channels);
        for (sums, weight) in positions.zip(self.tiles.weights()) {
            for sum in sums {
                *sum /= weight;
            }
        }
        self.sums
    }
}

/// From edge to edge, evenly, none further from the next than half a `side`.
fn starts(length: u32, side: u32) -> Vec<u32> {
    let over = length - side;
    let steps = over.div_ceil((side / 2).max(1));
    let start = |step: u32| (u64::from(over) * u64::from(step) / u64::from(steps.max(1))) as u32;
    (0..=steps).map(start).collect()
}

/// The weight of a position, above zero: 1 in the middle pixels, least at the edges.
fn ramp(at: usize, side: u32) -> f64 {
    let at = at as f64 + 0.5;
    at.min(f64::from(side) - at) / (f64::from(side) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_networks_proportions_is_one_rectangle() {
        for picture in [(224, 224), (1000, 1000), (3, 3)] {
            let tiles = Tiles::over(picture, (224, 224), 1).unwrap();
            assert_eq!(
                (tiles.canvas, &tiles.corners[..]),
                ((224, 224), &[(0, 0)][..])
            );
        }
    }

    #[test]
    fn long_and_large_pictures_are_covered_by_squares_that_overlap_by_half() {
        let long = Tiles::over((1200, 400), (224, 224), 1).unwrap();
        assert_eq!(long.canvas, (672, 224));
        assert_eq!(
            long.corners,
            [(0, 0), (112, 0), (224, 0), (336, 0), (448, 0)]
        );
        let fine = Tiles::over((600, 400), (224, 224), 3).unwrap();
        assert_eq!(fine.canvas, (672, 448));
        assert_eq!(fine.corners.len(), 5 * 3);
        for (picture, along) in [((301, 97), 1), ((97, 1024), 2), ((5, 7), 1)] {
            let tiles = Tiles::over(picture, (32, 32), along).unwrap();
            let (width, height) = tiles.canvas;
            let ends = tiles.corners.last().map(|&(x, y)| (x + 32, y + 32));
            assert_eq!(ends, Some((width, height)), "{picture:?}");
            let (distorted, own) = (
                f64::from(width) / f64::from(height),
                f64::from(picture.0) / f64::from(picture.1),
            );
            assert!((distorted / own - 1.0).abs() < 0.02);
            let mut columns: Vec<u32> = tiles.corners.iter().map(|c| c.0).collect();
            columns.dedup();
            assert!(
                columns
                    .windows(2)
                    .all(|two| two[1].wrapping_sub(two[0]) <= 16 || two[1] == 0)
            );
        }
    }

    #[test]
    fn a_ribbon_that_takes_too_many_is_refused_before_anything_is_made() {
        let ribbon = Tiles::over((100_000, 2), (224, 224), 1);
        assert_eq!(ribbon, Err(TooManyTiles(99_999)));
    }

    #[test]
    fn a_whole_is_as_large_as_the_picture_in_steps_and_not_larger_than_memory_lasts() {
        let whole = |picture, size, along| {
            let tiles = Tiles::over(picture, size, along).unwrap();
            tiles
                .whole()
                .map(|whole| (whole.canvas, whole.corners.len()))
        };
        assert_eq!(whole((1200, 400), (224, 224), 1), Some(((672, 224), 1)));
        assert_eq!(whole((600, 400), (224, 224), 1), Some(((352, 224), 1)));
        assert_eq!(whole((600, 400), (299, 299), 1), Some(((459, 299), 1)));
        assert_eq!(whole((400, 400), (224, 224), 3), Some(((448, 448), 1)));
        assert_eq!(whole((400, 400), (224, 224), 1), None);
        assert_eq!(whole((8000, 400), (224, 224), 1), None);
    }

    #[test]
    fn what_is_cut_and_blended_is_what_it_was() {
        let tiles = Tiles::over((50, 20), (12, 12), 2).unwrap();
        let (width, height) = tiles.canvas;
        let canvas = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8, y as u8, (x * y) as u8])
        });
        let part = |tile: RgbImage| tile.as_raw().iter().map(|&v| f64::from(v)).collect();
        let parts: Vec<Vec<f64>> = tiles.cut(&canvas).map(part).collect();
        assert_eq!(parts.len(), tiles.corners.len());
        let blended = |parts: &[Vec<f64>], channels| {
            let mut blend = tiles.blend(channels);
            let parts = parts.iter().enumerate();
            parts.for_each(|(index, part)| blend.add(index, part));
            blend.finish()
        };
        for (blended, &value) in blended(&parts, 3).iter().zip(canvas.as_raw()) {
            assert!((blended - f64::from(value)).abs() < 1e-9);
        }
        // Of one rectangle that is warmer than its neighbours nothing shows at its edges.
        let mut parts = vec![vec![0.0; 144]; tiles.corners.len()];
        parts[0] = vec![1.0; 144];
        let blended = blended(&parts, 1);
        assert!(blended[11] < 0.2 && (blended[0] - 1.0).abs() < 1e-12);
    }
}
