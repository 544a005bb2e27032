//! From the maps of several layers to one: each scaled to 0..=1 and resized, then their mean, maximum or product.

use crate::methods::map::{Map, RawMap};
use crate::named::named;

named! {
    /// How the maps of several layers become one.
    pub enum Fuse, default Mean {
        /// What the layers show on average
        Mean = "mean",
        /// What any of them shows
        Max = "max",
        /// What all of them show
        Product = "product",
    }
}

impl Fuse {
    /// One map of `width` x `height`, its values in 0..=1, from those of several layers, at least one: of each what is
    /// above zero, its least value taken for 0 and its largest for 1, resized.
    ///
    /// The mean is pytorch-grad-cam's of several target layers, before it scales once more; but for the 1e-7 that it adds
    /// to every divisor, by which a layer of small values counts for less.
    pub fn of(self, maps: &[RawMap], width: usize, height: usize) -> RawMap {
        let mut fused = vec![];
        for map in maps {
            let drawn = unit(map).resize(width, height).values;
            let drawn = drawn.into_iter().map(f64::from);
            if fused.is_empty() {
                fused = drawn.collect();
                continue;
            }
            for (value, layer) in fused.iter_mut().zip(drawn) {
                *value = match self {
                    Self::Mean => *value + layer,
                    // Unlike f64::max, it keeps what is no number, for the verdict.
                    Self::Max if *value >= layer => *value,
                    Self::Max if value.is_nan() => *value,
                    Self::Max => layer,
                    Self::Product => *value * layer,
                };
            }
        }
        if self == Self::Mean {
            for value in &mut fused {
                *value /= maps.len() as f64;
            }
        }
        RawMap {
            width,
            height,
            values: fused,
        }
    }
}

/// What is above zero, from 0 to 1; what is no number stays.
pub(crate) fn unit(map: &RawMap) -> Map {
    let positive = map.values.iter().map(|&v| if v <= 0.0 { 0.0 } else { v });
    let least = positive.clone().fold(f64::INFINITY, f64::min);
    let most = positive.clone().fold(0.0, f64::max);
    let range = if most > least { most - least } else { 1.0 };
    let values = positive.map(|v| ((v - least) / range) as f32).collect();
    Map::new(map.width, map.height, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: usize, values: &[f64]) -> RawMap {
        RawMap {
            width,
            height: values.len() / width,
            values: values.to_vec(),
        }
    }

    #[test]
    fn each_layer_counts_alike_whatever_its_size_and_its_range() {
        let small = map(2, &[1.0, 3.0]);
        let large = map(4, &[-5.0, 1e-9, 0.0, 2e-9]);
        let fused = |fuse: Fuse| fuse.of(&[small.clone(), large.clone()], 4, 1).values;
        assert_eq!(fused(Fuse::Mean), [0.0, 0.375, 0.375, 1.0]);
        assert_eq!(fused(Fuse::Max), [0.0, 0.5, 0.75, 1.0]);
        assert_eq!(fused(Fuse::Product), [0.0, 0.125, 0.0, 1.0]);
    }

    #[test]
    fn a_layer_that_shows_nothing_adds_nothing() {
        let (some, none) = (map(2, &[0.0, 4.0]), map(2, &[-1.0, -2.0]));
        let fused = |fuse: Fuse| fuse.of(&[some.clone(), none.clone()], 2, 1).values;
        assert_eq!(fused(Fuse::Mean), [0.0, 0.5]);
        assert_eq!(fused(Fuse::Max), [0.0, 1.0]);
        assert_eq!(fused(Fuse::Product), [0.0, 0.0]);
    }

    #[test]
    fn what_is_no_number_stays_to_be_told() {
        let (some, wild) = (map(2, &[0.0, 4.0]), map(2, &[f64::NAN, 1.0]));
        for &fuse in Fuse::ALL {
            for maps in [[some.clone(), wild.clone()], [wild.clone(), some.clone()]] {
                let fused = fuse.of(&maps, 2, 1).values;
                assert!(fused[0].is_nan(), "{fuse:?}: {fused:?}");
            }
        }
    }
}
