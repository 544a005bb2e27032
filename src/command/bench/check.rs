//! Whether the device computes what it is asked to, before it is timed.

use super::{PIXELS, Run};
use crate::explainer::ExplainError;

/// How far the logit moves along the gradient, as shares of the largest logit, one after the other until one agrees. A deep
/// network curves within the first, a wrong gradient is as wrong along the last, and float32 still sees that one.
const STEPS: [f64; 3] = [2e-3, 5e-4, 1.25e-4];
/// Share by which the move may differ from what the gradient says.
const TOLERANCE: f64 = 0.05;
/// The same two where values are stored in float16, which sees no small steps.
const HALF_STEPS: [f64; 3] = [3.2e-2, 8e-3, 2e-3];
const HALF_TOLERANCE: f64 = 0.2;
/// Share of the input's length beyond which a step tells nothing against a gradient: the network is another there. Where weights are
/// as they were drawn, a gradient may be so small that the least step goes further.
const NEAR: f64 = 0.1;
/// Share of the largest logit by which it may move along such a gradient, within that length: what moves it further is larger.
const SEEN: f64 = 1e-3;

/// What was seen in the check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The logit's move along the gradient, both ways, over the move that the gradient foretells: 1 if forward and
    /// backward belong together. `None` where the gradient is zero, or too small for that to be seen.
    pub gradient_ratio: Option<f64>,
}

/// Results that no clock should be started for.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WrongResults {
    /// NaN or infinity.
    #[error("logit {class} is {value}: there is nothing to time")]
    NotFinite {
        /// Its number.
        class: usize,
        /// Its value.
        value: f32,
    },
    /// The same work gave two results.
    #[error(
        "the same picture gave {first} and then {second} for class {class}: this device's results cannot be used"
    )]
    NotRepeatable {
        /// Its number.
        class: usize,
        /// The first time.
        first: f32,
        /// The second time.
        second: f32,
    },
    /// Forward and backward pass disagree.
    #[error(
        "along its gradient the logit moves {0:.3} times as far as the gradient says: this device's results cannot be used"
    )]
    Gradient(f64),
}

/// Why there is no check.
#[derive(Debug)]
pub(super) enum CheckError {
    Explain(ExplainError),
    Wrong(WrongResults),
}

impl From<ExplainError> for CheckError {
    fn from(error: ExplainError) -> Self {
        Self::Explain(error)
    }
}

impl From<WrongResults> for CheckError {
    fn from(error: WrongResults) -> Self {
        Self::Wrong(error)
    }
}

/// Runs forward twice from poisoned memory, and a little way along the gradient and against it.
pub(super) fn check(run: &Run<'_>) -> Result<Check, CheckError> {
    let forward = |input: &[f32]| {
        run.session.poison()?;
        run.forward_of(input)
    };
    let steps = match run.session.plan().has_halves() {
        true => (HALF_STEPS, HALF_TOLERANCE),
        false => (STEPS, TOLERANCE),
    };
    check_passes(&run.input, &run.seed, steps, forward, || {
        run.to_pixels(PIXELS)
    })
}

/// The check of whatever computes logits of an input, and the gradient there of their sum weighted by `seed`.
fn check_passes(
    input: &[f32],
    seed: &[f32],
    (steps, tolerance): ([f64; 3], f64),
    forward: impl Fn(&[f32]) -> super::Result<Vec<f32>>,
    backward: impl Fn() -> super::Result<Vec<f32>>,
) -> Result<Check, CheckError> {
    let first = forward(input)?;
    if let Some(class) = first.iter().position(|logit| !logit.is_finite()) {
        let value = first[class];
        return Err(WrongResults::NotFinite { class, value }.into());
    }
    let second = forward(input)?;
    if let Some(class) = (0..first.len()).find(|&class| first[class] != second[class]) {
        let (first, second) = (first[class], second[class]);
        return Err(WrongResults::NotRepeatable {
            class,
            first,
            second,
        }
        .into());
    }
    let gradient = backward()?;
    let unseen = Check {
        gradient_ratio: None,
    };
    let squares = squares_of(&gradient);
    if squares == 0.0 {
        return Ok(unseen);
    }
    let score = |input: &[f32]| -> Result<f64, CheckError> {
        let logits = forward(input)?;
        let seeded = logits.iter().zip(seed);
        Ok(seeded.map(|(&z, &s)| f64::from(z) * f64::from(s)).sum())
    };
    // How far the logit moves from behind the input to ahead of it, and how far the gradient says.
    let moved_by = |length: f64| -> Result<(f64, f64), CheckError> {
        let along = |length: f64| -> Vec<f32> {
            let step = |(&x, &g): (&f32, &f32)| (f64::from(x) + length * f64::from(g)) as f32;
            input.iter().zip(&gradient).map(step).collect()
        };
        let (ahead, behind) = (along(length), along(-length));
        let moved = score(&ahead)? - score(&behind)?;
        // Of the steps that were taken: float32 rounds the small ones away.
        let taken = ahead.iter().zip(&behind).zip(&gradient);
        let foretold = taken
            .map(|((&ahead, &behind), &g)| (f64::from(ahead) - f64::from(behind)) * f64::from(g))
            .sum();
        Ok((moved, foretold))
    };
    let largest = f64::from(first.iter().fold(0.0_f32, |most, z| most.max(z.abs())));
    let (mut ratio, mut length) = (f64::NAN, 0.0);
    for step in steps {
        length = largest * step / squares;
        let (moved, foretold) = moved_by(length)?;
        ratio = moved / foretold;
        if (ratio - 1.0).abs() <= tolerance {
            let gradient_ratio = Some(ratio);
            return Ok(Check { gradient_ratio });
        }
    }
    let near = NEAR * (squares_of(input) / squares).sqrt();
    if length > near {
        let (moved, foretold) = moved_by(near)?;
        if moved.abs() <= 2.0 * foretold.abs().max(SEEN * largest) {
            return Ok(unseen);
        }
        ratio = moved / foretold;
    }
    Err(WrongResults::Gradient(ratio).into())
}

fn squares_of(values: &[f32]) -> f64 {
    let each = values.iter().map(|&v| f64::from(v) * f64::from(v));
    each.sum()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const INPUT: [f32; 3] = [1.0, -2.0, 0.5];
    /// The second class's logit alone.
    const SEED: [f32; 2] = [0.0, 1.0];
    const WEIGHTS: [[f32; 3]; 2] = [[0.0, 1.0, -1.0], [2.0, -0.5, 4.0]];

    fn logits(x: &[f32]) -> Vec<f32> {
        let row = |weights: &[f32; 3]| weights.iter().zip(x).map(|(w, x)| w * x).sum();
        WEIGHTS.iter().map(row).collect()
    }

    /// The check of a device that gives these logits and this gradient.
    fn checked(
        logits: impl Fn(&[f32]) -> Vec<f32>,
        gradient: [f32; 3],
    ) -> Result<Option<f64>, WrongResults> {
        let forward = |x: &[f32]| Ok(logits(x));
        match check_passes(&INPUT, &SEED, (STEPS, TOLERANCE), forward, || {
            Ok(gradient.to_vec())
        }) {
            Ok(check) => Ok(check.gradient_ratio),
            Err(CheckError::Wrong(wrong)) => Err(wrong),
            Err(CheckError::Explain(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn passes_that_belong_together_may_be_timed() {
        let ratio = checked(logits, WEIGHTS[1]).unwrap().unwrap();
        assert!((ratio - 1.0).abs() < 1e-3, "{ratio}");
    }

    #[test]
    fn a_gradient_of_zero_is_no_fault_and_no_ratio() {
        assert_eq!(checked(logits, [0.0; 3]), Ok(None));
    }

    #[test]
    fn a_gradient_too_small_to_be_seen_near_the_input_is_no_fault_and_no_ratio() {
        let along = |x: &[f32]| x.iter().zip(&WEIGHTS[1]).map(|(x, w)| x * w).sum::<f32>();
        let flat = |x: &[f32]| vec![0.0, 1.0 + 1e-6 * (along(x) - along(&INPUT)).sin()];
        let small = WEIGHTS[1].map(|w| w * 1e-6);
        assert_eq!(checked(flat, small), Ok(None));
        // Of a logit that moves, such a one is wrong.
        assert!(checked(logits, small).is_err());
    }

    #[test]
    fn a_gradient_of_another_length_or_direction_is_refused() {
        let twice = WEIGHTS[1].map(|w| w * 2.0);
        let against = WEIGHTS[1].map(|w| -w);
        let of_another_class = WEIGHTS[0];
        for (gradient, expected) in [(twice, 0.5), (against, -1.0), (of_another_class, -2.25)] {
            let Err(WrongResults::Gradient(ratio)) = checked(logits, gradient) else {
                panic!("{gradient:?} was taken for the gradient");
            };
            assert!((ratio - expected).abs() < 1e-2, "{ratio}");
        }
    }

    #[test]
    fn a_network_that_curves_within_the_first_step_is_held_against_a_shorter_one() {
        let along = |x: &[f32]| x.iter().zip(&WEIGHTS[1]).map(|(x, w)| x * w).sum::<f32>();
        // Bends with the third power of the way from the input, which the way there and the way back do not cancel.
        let bent = |x: &[f32]| {
            let away = along(x) - along(&INPUT);
            vec![0.0, along(x) - 1e4 * away.powi(3)]
        };
        let ratio = checked(bent, WEIGHTS[1]).unwrap().unwrap();
        assert!((ratio - 1.0).abs() < TOLERANCE, "{ratio}");
        let twice = WEIGHTS[1].map(|w| w * 2.0);
        assert!(checked(bent, twice).is_err());
    }

    #[test]
    fn a_gradient_that_is_no_number_is_refused() {
        let gradient = [f32::NAN, 0.0, 0.0];
        assert!(matches!(
            checked(logits, gradient),
            Err(WrongResults::Gradient(ratio)) if ratio.is_nan()
        ));
    }

    #[test]
    fn logits_that_are_no_numbers_are_refused() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let wrong = checked(|_| vec![1.0, value], WEIGHTS[1]).unwrap_err();
            let told = format!("logit 1 is {value}: there is nothing to time");
            assert_eq!(wrong.to_string(), told);
        }
    }

    #[test]
    fn logits_that_change_from_run_to_run_are_refused() {
        let runs = Cell::new(0.0);
        let drifting = |x: &[f32]| {
            runs.set(runs.get() + 1.0);
            vec![logits(x)[0], runs.get()]
        };
        let wrong = checked(drifting, WEIGHTS[1]).unwrap_err();
        assert_eq!(
            wrong,
            WrongResults::NotRepeatable {
                class: 1,
                first: 1.0,
                second: 2.0
            }
        );
    }
}
