//! Work on all cores.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` on each item, whichever thread is free, a thread for each of `states`, which it has for itself.
pub(crate) fn on_all_cores<S: Send, T: Send>(
    states: &mut [S],
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(&mut S, T) + Sync,
) {
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = |state: &mut S| {
        while let Some(item) = next() {
            work(state, item);
        }
    };
    let Some((own, others)) = states.split_first_mut() else {
        unreachable!("there is at least one thread")
    };
    std::thread::scope(|scope| {
        for state in others {
            scope.spawn(|| work(state));
        }
        work(own);
    });
}
