//! Whether the device computes what it is asked to, before it is timed.

use super::{PIXELS, Run};
use crate::explainer::ExplainError;

/// How far the logit moves along the gradient, as a share of the largest logit: small enough that few ReLUs switch,
/// large enough to be seen in float32.
const STEP: f64 = 2e-3;
/// Share by which the move may differ from what the gradient says.
const TOLERANCE: f64 = 0.05;

/// What was seen in the check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The logit's move along the gradient, both ways, over the move that the gradient foretells: 1 if forward and
    /// backward belong together. `None` where the gradient is zero.
    pub gradient_ratio: Option<f64>,
}

/// Results that no clock should be started for.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Wrong {
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
pub(super) enum CheckError {
    Explain(ExplainError),
    Wrong(Wrong),
}

impl<E: Into<ExplainError>> From<E> for CheckError {
    fn from(error: E) -> Self {
        Self::Explain(error.into())
    }
}

/// Runs forward twice from poisoned memory, and a little way along the gradient and against it.
pub(super) fn check(run: &Run<'_>) -> Result<Check, CheckError> {
    run.session.poison()?;
    let first = run.forward()?;
    if let Some(class) = first.iter().position(|logit| !logit.is_finite()) {
        let value = first[class];
        return Err(CheckError::Wrong(Wrong::NotFinite { class, value }));
    }
    run.session.poison()?;
    let second = run.forward()?;
    if let Some(class) = (0..first.len()).find(|&class| first[class] != second[class]) {
        return Err(CheckError::Wrong(Wrong::NotRepeatable {
            class,
            first: first[class],
            second: second[class],
        }));
    }
    let gradient = run.backward(PIXELS)?;
    let squares: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    if squares == 0.0 {
        let gradient_ratio = None;
        return Ok(Check { gradient_ratio });
    }
    let largest = first.iter().fold(0.0_f32, |most, z| most.max(z.abs()));
    let length = f64::from(largest) * STEP / squares;
    let moved = |sign: f64| -> Result<f64, CheckError> {
        let step = |(&x, &g): (&f32, &f32)| (f64::from(x) + sign * length * f64::from(g)) as f32;
        let input: Vec<f32> = run.input.iter().zip(&gradient).map(step).collect();
        let logits = run.forward_of(&input)?;
        let seeded = logits.iter().zip(&run.seed);
        Ok(seeded.map(|(&z, &s)| f64::from(z) * f64::from(s)).sum())
    };
    let ratio = (moved(1.0)? - moved(-1.0)?) / (2.0 * length * squares);
    if (ratio - 1.0).abs() <= TOLERANCE {
        let gradient_ratio = Some(ratio);
        Ok(Check { gradient_ratio })
    } else {
        Err(CheckError::Wrong(Wrong::Gradient(ratio)))
    }
}
