//! Many pictures: decoding, computing and encoding overlap, and an error stays with its picture.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Pictures decoded ahead of the GPU, and results waiting to be written: enough to overlap, few enough to hold.
const AHEAD: usize = 2;

/// Passes each of `items` through `prepare`, `compute` and `finish`, each on a thread of its own (`compute` on this
/// one), in order. An item whose stage fails skips the rest; all outcomes arrive at `finish`'s thread in order.
/// `compute` stops everything by returning [`Computed::Stop`], after handing over that item's error; `finish` by breaking.
pub fn run<I, A, B, E>(
    items: &[I],
    prepare: impl Fn(&I) -> Result<A, E> + Send + Sync,
    mut compute: impl FnMut(&I, A) -> Computed<B, E>,
    mut finish: impl FnMut(&I, Result<B, E>) -> ControlFlow<()> + Send,
) where
    I: Sync,
    A: Send,
    B: Send,
    E: Send,
{
    thread::scope(|scope| {
        let (prepared_in, prepared) = sync_channel(AHEAD);
        let (computed_in, computed) = sync_channel(AHEAD);
        scope.spawn(move || {
            for item in items {
                // Nobody receives once the computation has stopped.
                if prepared_in.send((item, prepare(item))).is_err() {
                    break;
                }
            }
        });
        scope.spawn(move || {
            for (item, outcome) in computed {
                if finish(item, outcome).is_break() {
                    break;
                }
            }
        });
        for (item, prepared) in prepared {
            let (outcome, stop) = match prepared.map(|prepared| compute(item, prepared)) {
                Ok(Computed::Done(outcome)) => (outcome, false),
                Ok(Computed::Stop(error)) => (Err(error), true),
                Err(error) => (Err(error), false),
            };
            if computed_in.send((item, outcome)).is_err() || stop {
                break;
            }
        }
    });
}

/// What computing one item gave.
pub enum Computed<B, E> {
    /// A result or this item's error; the next item may fare better.
    Done(Result<B, E>),
    /// An error that every further item would meet.
    Stop(E),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_order_and_errors_stay_with_their_item() {
        let items: Vec<i32> = (0..20).collect();
        let mut seen = vec![];
        run(
            &items,
            |&i| if i == 3 { Err("prepare") } else { Ok(i * 2) },
            |_, doubled| {
                Computed::Done(if doubled == 10 {
                    Err("compute")
                } else {
                    Ok(doubled)
                })
            },
            |&i, outcome| {
                seen.push((i, outcome));
                ControlFlow::Continue(())
            },
        );
        let expected: Vec<_> = items
            .iter()
            .map(|&i| match i {
                3 => (i, Err("prepare")),
                5 => (i, Err("compute")),
                _ => (i, Ok(i * 2)),
            })
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn nobody_left_to_take_results_ends_the_run() {
        let items: Vec<i32> = (0..100).collect();
        let (mut computed, mut seen) = (0, vec![]);
        run(
            &items,
            |&i| Ok::<_, &str>(i),
            |_, i| {
                computed += 1;
                Computed::Done(Ok(i))
            },
            |&i, _| {
                seen.push(i);
                if i == 4 {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        );
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(computed <= 5 + AHEAD + 1, "{computed}");
    }

    #[test]
    fn a_stop_ends_the_run_with_its_item() {
        let items: Vec<i32> = (0..100).collect();
        let mut seen = vec![];
        run(
            &items,
            |&i| Ok::<_, &str>(i),
            |_, i| {
                if i == 4 {
                    Computed::<i32, _>::Stop("lost")
                } else {
                    Computed::Done(Ok(i))
                }
            },
            |&i, outcome| {
                seen.push((i, outcome));
                ControlFlow::Continue(())
            },
        );
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[4], (4, Err("lost")));
    }
}
