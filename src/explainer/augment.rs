//! CAM maps averaged over the picture changed a little, as pytorch-grad-cam's `aug_smooth` does it.

use super::backward::{Gradients, Source};
use super::maps::CamMaps;
use super::rerun::WorkCounter;
use super::{ExplainError, Explainer, Prediction};
use crate::methods::fuse::unit;
use crate::methods::map::RawMap;
use crate::network::Shape;

/// What the network's input is multiplied by, as it is and flipped.
const FACTORS: [f32; 3] = [0.9, 1.0, 1.1];

/// Maps averaged, and passes for them: that of the picture as it is was done before, but one more puts the device back.
pub(super) const PASSES: usize = 2 * FACTORS.len();

impl Explainer {
    /// For each class, for each CAM method, the mean of six maps, each from 0 to 1 as [`crate::methods::fuse`] has it, the flipped
    /// ones flipped back; beside that as [`Explainer::maps`].
    ///
    /// The package scales each map after it is resized to the picture, this before: there the largest value of a map falls
    /// between the picture's pixels, a few percent lower, and counts as 1 all the same.
    pub(super) fn augmented_maps(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        score_gradients: &[Gradients],
        counter: &WorkCounter<'_>,
    ) -> Result<CamMaps, ExplainError> {
        let shape = self.network.input_shape();
        // The picture as it is comes first: its forward pass is still there.
        let mut all = self.maps(prediction, classes, score_gradients, counter)?;
        let mut mean = std::mem::take(&mut all.maps);
        for map in mean.iter_mut().flatten() {
            *map = scaled(map, false);
        }
        for flipped in [false, true] {
            for factor in FACTORS {
                if factor == 1.0 && !flipped {
                    continue;
                }
                let there = self.run(&changed(&prediction.input, shape, flipped, factor))?;
                counter.advance_one();
                let score_gradients = self.score_gradients(&there, classes, Source::Changed)?;
                let CamMaps { maps, .. } = self.maps(&there, classes, &score_gradients, counter)?;
                for (mean, map) in mean.iter_mut().flatten().zip(maps.iter().flatten()) {
                    let map = scaled(map, flipped);
                    for (mean, value) in mean.values.iter_mut().zip(map.values) {
                        *mean += value;
                    }
                }
            }
        }
        for value in mean.iter_mut().flatten().flat_map(|map| &mut map.values) {
            *value /= PASSES as f64;
        }
        // Leaves the device with the picture.
        self.run(&prediction.input)?;
        counter.advance_one();
        Ok(CamMaps {
            maps: mean,
            // Those of one picture out of six would not be what became the mean.
            layers: vec![vec![]; classes.len()],
            kept: all.kept,
        })
    }
}

/// The input times a factor, left and right exchanged where `flipped`.
fn changed(input: &[f32], shape: Shape, flipped: bool, factor: f32) -> Vec<f32> {
    let mut changed: Vec<f32> = input.iter().map(|&x| x * factor).collect();
    if flipped {
        changed.chunks_exact_mut(shape.w).for_each(<[f32]>::reverse);
    }
    changed
}

/// What is above zero, from 0 to 1, left and right exchanged where `flipped`.
fn scaled(map: &RawMap, flipped: bool) -> RawMap {
    let mut values: Vec<f64> = unit(map).values.into_iter().map(f64::from).collect();
    if flipped {
        values
            .chunks_exact_mut(map.width)
            .for_each(<[f64]>::reverse);
    }
    RawMap {
        width: map.width,
        height: map.height,
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flipped_is_flipped_row_by_row() {
        let shape = Shape::new(2, 1, 3);
        let input = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let expected = [6.0, 4.0, 2.0, 12.0, 10.0, 8.0];
        assert_eq!(changed(&input, shape, true, 2.0), expected);
        let map = RawMap {
            width: 3,
            height: 2,
            values: vec![-1.0, 0.0, 4.0, 2.0, 1.0, 0.0],
        };
        assert_eq!(scaled(&map, true).values, [1.0, 0.0, 0.0, 0.0, 0.25, 0.5]);
    }
}
