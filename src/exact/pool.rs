//! Max-pools, and where their maxima lie.

use std::ops::Range;

use crate::cores::{on_all_cores, threads};
use crate::network::{Shape, Window};

/// Values count as equal that are so near to each other, as a part of the channel's largest: sums in float64 of the same numbers in
/// another order are nearer.
const EQUAL: f64 = 1e-11;

/// The largest values, in `y`, and which tap each is of: of equal ones the first.
pub(super) fn pool(x: &[f64], from: Shape, window: &Window, to: Shape, y: &mut [f64]) -> Vec<u8> {
    let taps: Vec<[usize; 2]> = (0..window.size[0] * window.size[1])
        .map(|tap| [tap / window.size[1], tap % window.size[1]])
        .collect();
    let mut maxima = vec![0; to.len()];
    let planes = x.chunks_exact(from.h * from.w);
    let made = y.chunks_exact_mut(to.h * to.w);
    let made = made.zip(maxima.chunks_exact_mut(to.h * to.w));
    on_all_cores(
        &mut vec![(); threads()],
        planes.zip(made),
        |(), (x, (y, maxima))| {
            let equal = EQUAL * x.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            // Nothing but padding is zero.
            y.fill(f64::NEG_INFINITY);
            for &tap in &taps {
                for row in rows(window, from, to, tap) {
                    let x = x[row.from..].iter().step_by(row.step);
                    for (y, &x) in y[row.to].iter_mut().zip(x) {
                        *y = if x > *y || x.is_nan() { x } else { *y };
                    }
                }
            }
            for (number, &tap) in taps.iter().enumerate().rev() {
                for row in rows(window, from, to, tap) {
                    let x = x[row.from..].iter().step_by(row.step);
                    let made = y[row.to.clone()].iter().zip(&mut maxima[row.to]);
                    for (x, (y, tap)) in x.zip(made) {
                        *tap = if *x >= y - equal { number as u8 } else { *tap };
                    }
                }
            }
            for y in y.iter_mut().filter(|y| **y == f64::NEG_INFINITY) {
                *y = 0.0;
            }
        },
    );
    maxima
}

/// Outputs side by side, and what a tap reads for them.
struct Row {
    to: Range<usize>,
    /// Of the first, and how far apart they are.
    from: usize,
    step: usize,
}

/// The outputs for which a tap lies within the input.
fn rows(
    window: &Window,
    from: Shape,
    to: Shape,
    tap: [usize; 2],
) -> impl Iterator<Item = Row> + use<> {
    // Of an axis the outputs, and where the tap of the first one is.
    let along = |axis: usize, length: usize, outputs: usize| {
        let (stride, pad) = (window.stride[axis], window.pad_before[axis]);
        let offset = tap[axis] * window.dilation[axis];
        let first = pad.saturating_sub(offset).div_ceil(stride);
        let end = (length + pad).saturating_sub(offset).div_ceil(stride);
        let reads = (first * stride + offset).saturating_sub(pad);
        (first..end.min(outputs).max(first), reads)
    };
    let (down, top) = along(0, from.h, to.h);
    let (across, left) = along(1, from.w, to.w);
    let [stride, step] = window.stride;
    let is_empty = across.is_empty();
    down.enumerate()
        .filter(move |_| !is_empty)
        .map(move |(number, row)| Row {
            to: row * to.w + across.start..row * to.w + across.end,
            from: (top + number * stride) * from.w + left,
            step,
        })
}
