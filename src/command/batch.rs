//! Many pictures: they are decoded, computed, drawn and told side by side, in order, and an error stays with its picture.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many items each stage takes side by side; each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// Threads that prepare.
    pub prepare: usize,
    /// Threads that compute: one a device.
    pub devices: usize,
    /// Items that a device takes at once.
    pub at_once: usize,
    /// Threads that draw.
    pub draw: usize,
}

impl Width {
    /// Items between their preparation and their end: each device computes some and finds as many ready, and every other
    /// thread has one.
    fn in_flight(self) -> usize {
        2 * self.devices * self.at_once + self.prepare + self.draw
    }
}

/// Passes each of `items` through four stages, each on threads of its own: `prepare` and `draw` one by one, `compute` in fixed
/// groups of neighbours, `finish` in the order of the items. `compute` is given the number of its thread and gives one result
/// an item. An item whose stage fails skips the rest but `finish`, which ends everything by breaking.
pub fn run<I, A, B, C, E>(
    items: &[I],
    width: Width,
    prepare: impl Fn(&I) -> Result<A, E> + Sync,
    compute: impl Fn(usize, Vec<(&I, A)>) -> Vec<Result<B, E>> + Sync,
    draw: impl Fn(&I, B) -> Result<C, E> + Sync,
    mut finish: impl FnMut(&I, Result<C, E>) -> ControlFlow<()> + Send,
) where
    I: Sync,
    A: Send,
    B: Send,
    C: Send,
    E: Send,
{
    let (prepare, compute, draw) = (&prepare, &compute, &draw);
    let limiter = &Limiter::new(items.len(), width.in_flight());
    thread::scope(|scope| {
        let (prepared_in, prepared) = channel();
        let (computed_in, computed) = channel();
        let (drawn_in, drawn) = channel();
        for _ in 0..width.prepare {
            let prepared_in = prepared_in.clone();
            scope.spawn(move || prepare_items(items, limiter, prepare, &prepared_in));
        }
        let prepared = Arc::new(Mutex::new(InOrder::new(prepared)));
        for device in 0..width.devices {
            let (prepared, computed_in) = (Arc::clone(&prepared), computed_in.clone());
            let compute = move |group: Vec<_>| compute(device, group);
            scope.spawn(move || {
                compute_groups(
                    items,
                    limiter,
                    width.at_once,
                    compute,
                    &prepared,
                    &computed_in,
                );
            });
        }
        let computed = Arc::new(Mutex::new(computed));
        for _ in 0..width.draw {
            let (computed, drawn_in) = (Arc::clone(&computed), drawn_in.clone());
            scope.spawn(move || draw_items(items, limiter, draw, &computed, &drawn_in));
        }
        // A stage ends when no thread of the one before it can send: here nobody sends.
        drop((prepared_in, prepared, computed_in, computed, drawn_in));
        let _open = limiter.guard();
        let mut drawn = InOrder::new(drawn);
        while let Some((index, outcome)) = drawn.next() {
            let next = finish(&items[index], outcome);
            limiter.leave();
            if next.is_break() {
                limiter.close();
                break;
            }
        }
    });
}

/// An item's number with what a stage made of it.
type Outcome<T, E> = (usize, Result<T, E>);

/// A thread of the first stage.
fn prepare_items<I, A, E>(
    items: &[I],
    limiter: &Limiter,
    prepare: impl Fn(&I) -> Result<A, E>,
    prepared: &Sender<Outcome<A, E>>,
) {
    let _open = limiter.guard();
    while let Some(index) = limiter.enter() {
        // Nobody receives once the run has ended.
        if prepared.send((index, prepare(&items[index]))).is_err() {
            break;
        }
    }
}

/// A thread of the second stage: what failed before goes past it.
fn compute_groups<'a, I, A, B, E>(
    items: &'a [I],
    limiter: &Limiter,
    at_once: usize,
    compute: impl Fn(Vec<(&'a I, A)>) -> Vec<Result<B, E>>,
    prepared: &Mutex<InOrder<Result<A, E>>>,
    computed: &Sender<Outcome<B, E>>,
) {
    let _open = limiter.guard();
    loop {
        let group = lock(prepared).take(at_once);
        if group.is_empty() || limiter.is_closed() {
            return;
        }
        let (mut indices, mut ready) = (vec![], vec![]);
        for (index, outcome) in group {
            match outcome {
                Ok(prepared) => {
                    indices.push(index);
                    ready.push((&items[index], prepared));
                }
                Err(error) => _ = computed.send((index, Err(error))),
            }
        }
        if ready.is_empty() {
            continue;
        }
        for outcome in indices.into_iter().zip(compute(ready)) {
            if computed.send(outcome).is_err() {
                return;
            }
        }
    }
}

/// A thread of the third stage.
fn draw_items<I, B, C, E>(
    items: &[I],
    limiter: &Limiter,
    draw: impl Fn(&I, B) -> Result<C, E>,
    computed: &Mutex<Receiver<Outcome<B, E>>>,
    drawn: &Sender<Outcome<C, E>>,
) {
    let _open = limiter.guard();
    loop {
        let next = lock(computed).recv();
        let Some((index, outcome)) = next.ok().filter(|_| !limiter.is_closed()) else {
            return;
        };
        let outcome = outcome.and_then(|computed| draw(&items[index], computed));
        if drawn.send((index, outcome)).is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets items in, one after the other, while fewer than so many are inside.
struct Limiter {
    items: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    next: usize,
    room: usize,
    is_closed: bool,
}

impl Limiter {
    fn new(items: usize, room: usize) -> Self {
        Self {
            items,
            state: Mutex::new(State {
                next: 0,
                room,
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The next item's number, when there is room for it; `None` when there is none, or the limiter is closed.
    fn enter(&self) -> Option<usize> {
        let is_full =
            |state: &mut State| state.room == 0 && !state.is_closed && state.next < self.items;
        let state = self.changed.wait_while(lock(&self.state), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed || state.next == self.items {
            return None;
        }
        state.room -= 1;
        state.next += 1;
        Some(state.next - 1)
    }

    fn leave(&self) {
        lock(&self.state).room += 1;
        // All, since a thread that finds no item left does not wake the next one.
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }

    /// Closes the limiter when a thread panics: the others must not wait for its item.
    fn guard(&self) -> CloseOnPanic<'_> {
        CloseOnPanic(self)
    }
}

struct CloseOnPanic<'a>(&'a Limiter);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

/// What threads send in any order, in the order of its numbers.
struct InOrder<T> {
    from: Receiver<(usize, T)>,
    early: BTreeMap<usize, T>,
    next: usize,
}

impl<T> InOrder<T> {
    fn new(from: Receiver<(usize, T)>) -> Self {
        Self {
            from,
            early: BTreeMap::new(),
            next: 0,
        }
    }

    /// The next one; `None` when all are through.
    fn next(&mut self) -> Option<(usize, T)> {
        loop {
            if let Some(value) = self.early.remove(&self.next) {
                self.next += 1;
                return Some((self.next - 1, value));
            }
            let (index, value) = self.from.recv().ok()?;
            self.early.insert(index, value);
        }
    }

    /// The next so many; fewer at the end.
    fn take(&mut self, count: usize) -> Vec<(usize, T)> {
        std::iter::from_fn(|| self.next()).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const WIDTHS: [Width; 3] = [
        Width {
            prepare: 1,
            devices: 1,
            at_once: 1,
            draw: 1,
        },
        Width {
            prepare: 3,
            devices: 1,
            at_once: 4,
            draw: 2,
        },
        Width {
            prepare: 2,
            devices: 2,
            at_once: 3,
            draw: 3,
        },
    ];

    /// Items whose stages take unlike times.
    fn wait(i: i32) {
        thread::sleep(Duration::from_micros((i as u64 * 7919) % 300));
    }

    #[test]
    fn outcomes_come_in_order_and_errors_stay_with_their_item() {
        let items: Vec<i32> = (0..50).collect();
        for width in WIDTHS {
            let mut seen = vec![];
            run(
                &items,
                width,
                |&i| {
                    wait(i);
                    if i == 3 { Err("prepare") } else { Ok(i * 2) }
                },
                |_, group| {
                    assert!(group.len() <= width.at_once);
                    let outcome = |(_, doubled)| match doubled {
                        10 => Err("compute"),
                        doubled => Ok(doubled),
                    };
                    group.into_iter().map(outcome).collect()
                },
                |&i, doubled| {
                    wait(i + 1);
                    if i == 7 { Err("draw") } else { Ok(doubled + 1) }
                },
                |&i, outcome| {
                    seen.push((i, outcome));
                    ControlFlow::Continue(())
                },
            );
            let expected = |&i: &i32| match i {
                3 => (i, Err("prepare")),
                5 => (i, Err("compute")),
                7 => (i, Err("draw")),
                _ => (i, Ok(i * 2 + 1)),
            };
            assert_eq!(
                seen,
                items.iter().map(expected).collect::<Vec<_>>(),
                "{width:?}"
            );
        }
    }

    #[test]
    fn groups_are_of_neighbours_and_the_same_whoever_computes_them() {
        let items: Vec<i32> = (0..20).collect();
        let width = WIDTHS[2];
        let groups = Mutex::new(vec![]);
        run(
            &items,
            width,
            |&i| {
                wait(i);
                Ok::<_, ()>(i)
            },
            |_, group| {
                let group: Vec<i32> = group.into_iter().map(|(_, i)| i).collect();
                lock(&groups).push(group.clone());
                group.into_iter().map(Ok).collect()
            },
            |_, i| Ok(i),
            |_, _| ControlFlow::Continue(()),
        );
        let mut groups = groups.into_inner().unwrap();
        groups.sort();
        let expected: Vec<Vec<i32>> = items.chunks(3).map(<[i32]>::to_vec).collect();
        assert_eq!(groups, expected);
    }

    #[test]
    fn nobody_left_to_take_results_ends_the_run_and_few_are_ahead_of_it() {
        let items: Vec<i32> = (0..10_000).collect();
        for width in WIDTHS {
            let prepared = AtomicUsize::new(0);
            let mut seen = vec![];
            run(
                &items,
                width,
                |&i| {
                    prepared.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, ()>(i)
                },
                |_, group| group.into_iter().map(|(_, i)| Ok(i)).collect(),
                |_, i| Ok(i),
                |&i, _| {
                    seen.push(i);
                    if i == 4 {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            let prepared = prepared.into_inner();
            assert!(prepared <= 5 + width.in_flight(), "{prepared} {width:?}");
        }
    }

    #[test]
    fn a_panic_in_a_stage_ends_the_run() {
        let items: Vec<i32> = (0..1000).collect();
        for stage in 0..3 {
            let panics = |here, i| assert!(here != stage || i != 20, "meant");
            let ended = std::panic::catch_unwind(|| {
                run(
                    &items,
                    WIDTHS[1],
                    |&i| {
                        panics(0, i);
                        Ok::<_, ()>(i)
                    },
                    |_, group| {
                        for (_, i) in &group {
                            panics(1, *i);
                        }
                        group.into_iter().map(|(_, i)| Ok(i)).collect()
                    },
                    |_, i| {
                        panics(2, i);
                        Ok(i)
                    },
                    |_, _| ControlFlow::Continue(()),
                );
            });
            assert!(ended.is_err());
        }
    }
}
