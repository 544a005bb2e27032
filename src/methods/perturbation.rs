//! The methods that hide parts of the picture and watch the score: pure functions from masks and scores to a map at the
//! picture's size.
//!
//! A mask m holds one value a pixel, 1 where the picture x stays and 0 where the baseline x' takes its place: the network
//! sees x' + m (x - x'). All classes of a picture share the passes, one forward pass a mask.
//!
//! To add a method: its name in the list of [`Method`]s, its row of the table below, and the functions that the row names.

use crate::methods::Setting;
use crate::methods::map::Map;
use crate::methods::noise;
use crate::named::named;
use crate::network::Shape;

named! {
    /// Method that hides parts of the picture.
    pub enum Method {
        /// Occlusion: what the score loses as a patch slides over the picture
        ///
        /// The value of a pixel is the mean of s - s_i over the patches i that cover it (Zeiler and Fergus, arXiv 1311.2901), s the
        /// score and s_i that under patch i. Passes: the patches, 169 for the defaults at 224 x 224; on the software adapter 3x3
        /// convolutions run only where a patch reaches. For an answer in units of the score that needs no gradient: exact about
        /// what it asks, coarse, and blind to evidence that is there twice. Agrees with captum's `Occlusion` with windows over all
        /// channels. Patches start every --stride pixels, in captum every pixel unless told otherwise; the last of a row or
        /// column may reach over the edge. captum refuses strides longer than the patch, as the command line does; the
        /// library gives the pixels between patches 0.
        Occlusion = "occlusion",
        /// RISE: the mean of random masks, weighted by the score under each
        ///
        /// Sum of s_i m_i / (N p) over N masks m_i (Petsiuk et al., BMVC 2018, arXiv 1806.07421). A mask is 7 x 7 cells, each 1 with
        /// probability p = 1/2, bilinear to a cell more than the picture and cropped at random. Passes: --samples, 1000; the paper
        /// takes 4000 for VGG16. For evidence of any shape, from the network's answers alone; as noisy as there are few masks. The
        /// map lies around the mean score of a half-hidden picture and tells by its differences: it is drawn from its least value
        /// up, as the authors draw it. The authors' code mirrors cells at the edge where this one repeats them.
        Rise = "rise",
    }
}

/// The numbers that the methods depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Rows and columns of the occluded patch, pixels; at least 1, and cut to the picture.
    pub patch: usize,
    /// Pixels from one patch to the next; at least 1. Pixels between patches that do not meet have no value: they get 0.
    pub stride: usize,
    /// Random masks; at least 1.
    pub masks: usize,
    /// x', one value a channel in the network's order and units; zero beyond the third.
    pub baseline: [f32; 3],
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Settings {
    /// Patches of 32 every 16 pixels; 1000 masks; zero, the mean picture of networks that subtract it.
    fn default() -> Self {
        Self {
            patch: 32,
            stride: 16,
            masks: 1000,
            baseline: [0.0; 3],
            seed: 0,
        }
    }
}

/// Cells of a random mask along each side.
const CELLS: usize = 7;
/// Share of cells that are 1.
const KEPT: f64 = 0.5;

/// What makes a method.
struct Row {
    settings: &'static [Setting],
    /// Masks for a picture of this shape.
    count: fn(&Settings, Shape) -> usize,
    /// Mask of this number for a picture of this shape, H x W.
    mask: fn(&Settings, Shape, usize) -> Vec<f32>,
    /// What masks hold in most places.
    ground: f32,
    /// Counts a mask, with the picture's score and that under it, in the sums.
    add: fn(&mut Sums, &[f32], f64, f64),
    /// Whether a value's sign tells what is for the class and what against.
    is_signed: bool,
    /// What shows finer detail, for advice.
    finer: &'static str,
}

/// For each pixel of the picture what a map's value is made of: the one divided by the other.
struct Sums {
    sum: Vec<f64>,
    weight: Vec<f64>,
}

impl Method {
    /// Its row of the table of methods.
    fn row(self) -> Row {
        use Setting::{Baseline, Counterfactual, Patch, Samples, Score, Seed, Stride, Versus};
        match self {
            Self::Occlusion => Row {
                settings: &[Score, Versus, Counterfactual, Patch, Stride, Baseline],
                count: |settings, shape| steps(shape.h, settings) * steps(shape.w, settings),
                mask: patch,
                ground: 1.0,
                add: add_loss,
                is_signed: true,
                finer: "a smaller --patch",
            },
            Self::Rise => Row {
                settings: &[Score, Versus, Counterfactual, Samples, Baseline, Seed],
                count: |settings, _| settings.masks,
                mask: cells,
                ground: 0.0,
                add: add_score,
                // All probabilities are above zero, all their logarithms below.
                is_signed: false,
                finer: "more --samples",
            },
        }
    }

    /// The options that change its map, in the order of the help.
    pub fn settings(self) -> &'static [Setting] {
        self.row().settings
    }

    /// Masks for a picture of `shape`.
    pub fn count(self, settings: &Settings, shape: Shape) -> usize {
        (self.row().count)(settings, shape)
    }

    /// Whether a value's sign tells what is for the class and what against, as of what a score loses; of scores themselves it does
    /// not.
    pub fn is_signed(self) -> bool {
        self.row().is_signed
    }

    /// What shows finer detail, for advice: `more --samples`.
    pub(super) fn finer(self) -> &'static str {
        self.row().finer
    }

    /// The value that is drawn as nothing: zero where the sign tells something, else the least.
    pub fn nothing(self, map: &[f64]) -> f64 {
        let finite = map.iter().copied().filter(|v| v.is_finite());
        match self.is_signed() {
            true => 0.0,
            false => finite.reduce(f64::min).unwrap_or(0.0),
        }
    }

    /// Mask number `index` for a picture of `shape`, H x W.
    pub fn mask(self, settings: &Settings, shape: Shape, index: usize) -> Vec<f32> {
        (self.row().mask)(settings, shape, index)
    }

    /// What masks hold in most places.
    pub fn ground(self) -> f32 {
        self.row().ground
    }

    /// The map, H x W: `score` is the picture's, `scores` are those under each mask.
    pub fn map(self, settings: &Settings, shape: Shape, score: f64, scores: &[f64]) -> Vec<f64> {
        let Row { mask, add, .. } = self.row();
        let positions = shape.h * shape.w;
        let mut sums = Sums {
            sum: vec![0.0; positions],
            weight: vec![0.0; positions],
        };
        for (index, &masked) in scores.iter().enumerate() {
            add(&mut sums, &mask(settings, shape, index), score, masked);
        }
        let Sums { sum, weight } = sums;
        let mean = |(sum, weight): (f64, f64)| if weight > 0.0 { sum / weight } else { 0.0 };
        sum.into_iter().zip(weight).map(mean).collect()
    }
}

impl Sums {
    fn each(&mut self) -> impl Iterator<Item = (&mut f64, &mut f64)> {
        self.sum.iter_mut().zip(&mut self.weight)
    }
}

/// What the score loses counts for the pixels that are hidden.
fn add_loss(sums: &mut Sums, mask: &[f32], score: f64, masked: f64) {
    for ((sum, weight), m) in sums.each().zip(mask) {
        *sum += f64::from(1.0 - m) * (score - masked);
        *weight += f64::from(1.0 - m);
    }
}

/// The score that is left counts for the pixels that are not hidden; all of them are kept equally often.
fn add_score(sums: &mut Sums, mask: &[f32], _score: f64, masked: f64) {
    for ((sum, weight), &m) in sums.each().zip(mask) {
        *sum += f64::from(m) * masked;
        *weight += KEPT;
    }
}

/// What the network sees of the picture `x` of `shape`, C x H x W, under a mask.
pub fn under(mask: &[f32], settings: &Settings, x: &[f32], shape: Shape) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let pixel = |(i, &x): (usize, &f32)| {
        let baseline = settings.baseline.get(i / positions).copied().unwrap_or(0.0);
        let m = mask[i % positions];
        m * x + (1.0 - m) * baseline
    };
    x.iter().enumerate().map(pixel).collect()
}

/// Patches along a side: the first at its start, the last the first to reach its end.
fn steps(side: usize, settings: &Settings) -> usize {
    side.saturating_sub(settings.patch)
        .div_ceil(settings.stride)
        + 1
}

/// 0 in patch number `index`, row by row of patches, and 1 around it.
fn patch(settings: &Settings, shape: Shape, index: usize) -> Vec<f32> {
    let across = steps(shape.w, settings);
    let covered = |step: usize, side: usize| {
        let start = (step * settings.stride).min(side);
        start..start.saturating_add(settings.patch).min(side)
    };
    let rows = covered(index / across, shape.h);
    let columns = covered(index % across, shape.w);
    let mut mask = vec![1.0; shape.h * shape.w];
    for row in rows {
        mask[row * shape.w..][columns.clone()].fill(0.0);
    }
    mask
}

/// Random cells, stretched and cropped: numbers `index (CELLS^2 + 2)` and on of the seed are the cells, row by row, and the
/// first row and column of the crop.
fn cells(settings: &Settings, shape: Shape, index: usize) -> Vec<f32> {
    let first = index * (CELLS * CELLS + 2);
    let draw = |i: usize| noise::uniform(settings.seed, (first + i) as u64);
    let cell = |i| if draw(i) < KEPT { 1.0 } else { 0.0 };
    let cells = Map::new(CELLS, CELLS, (0..CELLS * CELLS).map(cell).collect());
    let [height, width] = [shape.h, shape.w].map(|side| side.div_ceil(CELLS));
    let (columns, rows) = ((CELLS + 1) * width, (CELLS + 1) * height);
    let stretched = cells.resize(columns, rows);
    let start = |i, cell: usize| (draw(CELLS * CELLS + i) * cell as f64) as usize;
    let (top, left) = (start(0, height), start(1, width));
    let row = |row: usize| &stretched.values[(top + row) * columns + left..][..shape.w];
    (0..shape.h).flat_map(row).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(3, 2, 5);

    fn settings() -> Settings {
        Settings {
            patch: 2,
            stride: 2,
            baseline: [9.0, 8.0, 7.0],
            ..Settings::default()
        }
    }

    #[test]
    fn patches_slide_to_the_end_of_the_picture_and_are_cut_there() {
        let method = Method::Occlusion;
        assert_eq!(method.count(&settings(), SHAPE), 3);
        let mask = |index| method.mask(&settings(), SHAPE, index);
        assert_eq!(mask(0), [0.0, 0.0, 1.0, 1.0, 1.0].repeat(2));
        assert_eq!(mask(2), [1.0, 1.0, 1.0, 1.0, 0.0].repeat(2));
        let seen = under(&mask(2), &settings(), &[1.0; 30], SHAPE);
        assert_eq!((seen[0], seen[4], seen[14], seen[29]), (1.0, 9.0, 8.0, 7.0));
        let huge = Settings {
            patch: usize::MAX,
            ..settings()
        };
        assert_eq!(method.count(&huge, SHAPE), 1);
        assert_eq!(method.mask(&huge, SHAPE, 0), [0.0; 10]);
    }

    #[test]
    fn a_pixel_loses_the_mean_of_what_its_patches_lose() {
        let overlapping = Settings {
            stride: 1,
            ..settings()
        };
        let map = Method::Occlusion.map(&overlapping, SHAPE, 10.0, &[9.0, 7.0, 10.0, 12.0]);
        assert_eq!(map[..5], [1.0, 2.0, 1.5, -1.0, -2.0]);
        let apart = Settings {
            stride: 3,
            ..settings()
        };
        let map = Method::Occlusion.map(&apart, SHAPE, 1.0, &[0.0, 0.0]);
        assert_eq!(map[..5], [1.0, 1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn half_of_what_random_masks_hold_is_kept_and_each_is_another() {
        let shape = Shape::new(3, 30, 45);
        let masks: Vec<Vec<f32>> = (0..200)
            .map(|i| Method::Rise.mask(&settings(), shape, i))
            .collect();
        let all: f32 = masks.iter().flatten().sum();
        let mean = all / (200 * 30 * 45) as f32;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(masks.iter().flatten().all(|m| (0.0..=1.0).contains(m)));
        assert_ne!(masks[0], masks[1]);
        let map = Method::Rise.map(&settings(), shape, 0.0, &[0.0, 3.0]);
        assert!((map[77] - f64::from(masks[1][77]) * 3.0).abs() < 1e-6);
    }
}
