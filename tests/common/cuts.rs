//! Files that are cut off, at many lengths.

use std::thread;

/// Calls `check` with every length below `len`, or those `step` apart, on all cores.
pub(crate) fn each_cut(len: usize, step: usize, check: impl Fn(usize) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in 0..threads {
            let check = &check;
            scope.spawn(move || {
                let lengths = (first * step..len).step_by(threads * step);
                lengths.for_each(check);
            });
        }
    });
}
