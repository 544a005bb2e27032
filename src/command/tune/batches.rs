//! Measuring how many pictures at once take least time each: of the whole network, there and back to its target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::explainer::{ExplainError, Explainer, Wanted};
use crate::gpu::Gpu;
use crate::network::Network;
use crate::tuning::{Batches, Clock, network_key};

/// Pictures at once that are tried. More take memory of the host as well, where as many wait.
const SIZES: [usize; 4] = [1, 2, 4, 8];
/// Runs of each; the least time counts, since others may use the machine meanwhile.
const RUNS: u32 = 5;
/// Pictures that the plan counts on: more than repay whatever is prepared once.
const MANY: usize = 1000;

/// Grad-CAM of the likeliest class by each size that fits, as long as there is time; of a network that has no target, none.
pub(super) fn measure(gpu: &Gpu, network: &Network, clock: Clock) -> Result<Batches, ExplainError> {
    let input = vec![0.5; network.input_shape().len()];
    let mut nanoseconds = BTreeMap::new();
    for (at, size) in SIZES.into_iter().enumerate() {
        if clock.is_over() {
            break;
        }
        let share = clock.part((SIZES.len() - at) as u32);
        let wanted = Wanted {
            at_once: size,
            pictures: MANY,
            ..Wanted::default()
        };
        let explainer = match Explainer::new(gpu, network, wanted) {
            Ok(explainer) => explainer,
            Err(ExplainError::Network(_) | ExplainError::Plan(_)) => break,
            Err(error) => return Err(error),
        };
        if explainer.at_once() < size {
            break;
        }
        let least = least(&explainer, &vec![&input[..]; size], share)?;
        nanoseconds.insert(size, least.as_nanos() as u64 / size as u64);
    }
    Ok(Batches {
        network: network_key(network),
        nanoseconds,
    })
}

fn least(explainer: &Explainer, inputs: &[&[f32]], share: Clock) -> Result<Duration, ExplainError> {
    let run = || explainer.explain_group(inputs, |prediction| prediction.top(1));
    run()?;
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        run()?;
        least = least.min(started.elapsed());
        if share.is_over() {
            break;
        }
    }
    Ok(least)
}
