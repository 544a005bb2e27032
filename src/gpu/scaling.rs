//! Gradients that float16 can hold: a backward pass is linear in what it starts from, but for masks that ask for signs alone,
//! so it starts from a power of two of each gradient, and what comes of it is divided by that.
//!
//! A probability's gradient may be smaller than float16's smallest number by any factor, while those inside a network are
//! mostly smaller than where they come from, so the largest number of each start is taken close to float16's largest.

use std::collections::BTreeMap;

use crate::plan::BufferId;

/// Binary exponent of the largest number of a start. Float16 then holds 2^5 times that in full, and 2^-24 times that.
const EXPONENT: i32 = 10;
/// What is taken off it where a gradient became too large, and how often.
const STEP: i32 = 8;
const LEAST: i32 = EXPONENT - 3 * STEP;

/// By what gradients are multiplied.
#[derive(Default)]
pub(super) struct Scaling {
    /// Of backward passes that met too large gradients.
    exponents: BTreeMap<[usize; 2], i32>,
    /// Of buffers that the host reads the factor of each gradient in it.
    factors: BTreeMap<BufferId, Vec<f64>>,
}

impl Scaling {
    /// The start of a backward pass, gradients of `len` values, as it is written; of `read` the factors are known from then on.
    pub(super) fn scaled(
        &mut self,
        way: [usize; 2],
        seed: &[f32],
        len: usize,
        read: &[BufferId],
    ) -> Vec<f32> {
        let exponent = self.exponents.get(&way).copied().unwrap_or(EXPONENT);
        let factors: Vec<f64> = seed
            .chunks_exact(len)
            .map(|gradient| factor(gradient, exponent))
            .collect();
        for &id in read {
            self.factors.insert(id, factors.clone());
        }
        let rows = seed.chunks_exact(len).zip(&factors);
        rows.flat_map(|(gradient, factor)| {
            gradient
                .iter()
                .map(move |&v| (f64::from(v) * factor) as f32)
        })
        .collect()
    }

    /// Has a backward pass start lower from now on; false where it already is as low as it may be.
    pub(super) fn lower(&mut self, way: [usize; 2]) -> bool {
        let exponent = self.exponents.entry(way).or_insert(EXPONENT);
        let can_be = *exponent > LEAST;
        *exponent -= i32::from(can_be) * STEP;
        can_be
    }

    /// Divides `n` gradients that were read by their factors; leaves other values as they are.
    pub(super) fn undo(&self, id: BufferId, values: &mut [f32], n: usize) {
        let Some(factors) = self.factors.get(&id) else {
            return;
        };
        let len = values.len() / n.max(1);
        for (gradient, factor) in values.chunks_exact_mut(len.max(1)).zip(factors) {
            for value in gradient {
                *value = (f64::from(*value) / factor) as f32;
            }
        }
    }
}

/// The power of two that brings the largest value to 2^`exponent` or above, below twice that; 1 of what has no such value.
fn factor(gradient: &[f32], exponent: i32) -> f64 {
    let largest = gradient.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    match largest > 0.0 && largest.is_finite() {
        true => f64::from(exponent - f64::from(largest).log2().floor() as i32).exp2(),
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_any_size_start_alike_and_come_back_as_they_were() {
        let mut scaling = Scaling::default();
        let read = BufferId(3);
        let seed = [1e-30, -3e-30, 0.0, 0.0, 0.5, 0.25];
        let scaled = scaling.scaled([0, 0], &seed, 2, &[read]);
        assert_eq!(&scaled[2..], [0.0, 0.0, 1024.0, 512.0]);
        assert!((1024.0..2048.0).contains(&-scaled[1]), "{scaled:?}");
        let mut values = scaled;
        scaling.undo(BufferId(4), &mut values, 3);
        assert_eq!(values[4], 1024.0);
        scaling.undo(read, &mut values, 3);
        assert_eq!(values, seed);
    }

    #[test]
    fn a_way_back_starts_lower_a_few_times_and_others_do_not() {
        let mut scaling = Scaling::default();
        let lowered = (0..10).filter(|_| scaling.lower([0, 1])).count();
        assert_eq!(lowered, 3);
        let start = |scaling: &mut Scaling, way| scaling.scaled(way, &[1.0], 1, &[])[0];
        assert_eq!(start(&mut scaling, [0, 1]), 2.0f32.powi(LEAST));
        assert_eq!(start(&mut scaling, [0, 0]), 2.0f32.powi(EXPONENT));
    }
}
