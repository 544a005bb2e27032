//! Convolutions of any window in float64.
//!
//! A convolution is a matrix product a tap: outputs x inputs, times inputs x positions of the padded input, which begin later
//! by the tap's place. Positions run on over the ends of rows; what comes of the places in the padding is left out.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ShapeBuilder};

use super::bank::{Bank, Filters};
use crate::cores::{on_all_cores, threads};
use crate::network::{Shape, Window};

/// Positions that are multiplied at once, about: what belongs to them stays in a core's own cache.
const POSITIONS: usize = 512;

/// Filters as they are: a matrix a tap, in the memory of `values`.
pub(super) fn bank(filters: &Filters, mut values: Vec<f64>) -> Bank {
    let pairs = filters.pairs();
    values.resize(filters.values.len(), 0.0);
    for (tap, made) in values.chunks_exact_mut(pairs).enumerate() {
        made.iter_mut()
            .zip(filters.of_tap(tap))
            .for_each(|(made, &value)| *made = f64::from(value));
    }
    Bank::new(filters, values)
}

/// A convolution's outputs, in `y`.
pub(super) fn convolve(
    x: &[f64],
    [from, to]: [Shape; 2],
    bank: &Bank,
    bias: &[f32],
    window: &Window,
    y: &mut [f64],
) {
    let [top, left] = window.pad_before;
    let [height, width] = [0, 1]
        .map(|axis| [from.h, from.w][axis] + window.pad_before[axis] + window.pad_after[axis]);
    let plane = height * width;
    let mut padded = vec![0.0; from.c * plane];
    for (row, values) in x.chunks_exact(from.w).enumerate() {
        let at = row / from.h * plane + (row % from.h + top) * width + left;
        padded[at..at + from.w].copy_from_slice(values);
    }
    let [down, right] = window.stride;
    // Positions of a row, with those between the outputs' own.
    let across = (to.w - 1) * right + 1;
    // With a stride rows are made one by one, since those between are nobody's.
    let rows = match down {
        1 => (POSITIONS / width).clamp(1, to.h.div_ceil(threads())),
        _ => 1,
    };
    let mut parts: Vec<Vec<&mut [f64]>> = vec![];
    parts.resize_with(to.h.div_ceil(rows), Vec::new);
    for plane in y.chunks_exact_mut(to.h * to.w) {
        let of_parts = plane.chunks_mut(rows * to.w);
        parts
            .iter_mut()
            .zip(of_parts)
            .for_each(|(part, y)| part.push(y));
    }
    let parts = parts.into_iter().enumerate();
    on_all_cores(&mut vec![(); threads()], parts, |(), (part, y)| {
        let first = part * rows;
        let rows = rows.min(to.h - first);
        let positions = (rows - 1) * width + across;
        let mut made = Array2::zeros((to.c, positions));
        for row in 0..window.size[0] {
            for column in 0..window.size[1] {
                let [r, c] = [row * window.dilation[0], column * window.dilation[1]];
                let begin = (first * down + r) * width + c;
                let shape = (from.c, positions).strides((plane, 1));
                let x =
                    ArrayView2::from_shape(shape, &padded[begin..]).expect("within the padding");
                let weights = bank.matrix(row * window.size[1] + column);
                general_mat_mul(1.0, &weights, &x, 1.0, &mut made);
            }
        }
        for ((values, y), &bias) in made.outer_iter().zip(y).zip(bias) {
            let values = values.to_slice().expect("rows lie one after the other");
            for (y, values) in y.chunks_exact_mut(to.w).zip(values.chunks(width)) {
                for (y, value) in y.iter_mut().zip(values.iter().step_by(right)) {
                    *y = value + f64::from(bias);
                }
            }
        }
    });
}
