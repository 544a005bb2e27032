//! Files that are cut off, at many lengths.

use std::thread;

/// How far from its end a cut still leaves a part of a small archive's directory.
const END: usize = 128;

/// Calls `check` with every length below `len`, or those `step` apart and all within [`END`] of it, on all cores.
pub(crate) fn each_cut(len: usize, step: usize, check: impl Fn(usize) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in 0..threads {
            let check = &check;
            scope.spawn(move || {
                let end = len.saturating_sub(END);
                let apart = (first * step..end).step_by(threads * step);
                let last = (end + first..len).step_by(threads);
                apart.chain(last).for_each(check);
            });
        }
    });
}
