//! 3 x 3 convolutions of stride 1 by Winograd's F(4, 3) along rows, in float64: four outputs of a row from six products a channel
//! and row of the filter in place of twelve. Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), in one
//! dimension.
//!
//! y = A^T [(G g) * (B^T d)], summed over channels and rows of the filter: d six inputs of a row, g a row of the filter. Each of the
//! six products is a matrix product, outputs x channels times channels x tiles, and tiles of the rows below begin a row later.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ShapeBuilder, Zip};

use super::{Filters, POSITIONS, fill_on_all_cores, on_all_cores};
use crate::network::{Shape, Window};

/// Outputs of a row that are made together.
const OUTPUTS: usize = 4;
/// What of their inputs is multiplied.
const POINTS: usize = 6;
/// Rows and columns of a filter.
const TAPS: usize = 3;

/// G.
const FILTER: [[f64; TAPS]; POINTS] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Whether a convolution goes this way.
pub(super) fn takes(window: &Window) -> bool {
    window.size == [TAPS; 2] && window.stride == [1, 1] && window.dilation == [1, 1]
}

/// A convolution's outputs, as [`super::convolve`] makes them.
pub(super) fn convolve(
    x: &[f64],
    from: Shape,
    filters: &Filters,
    bias: &[f32],
    window: &Window,
    to: Shape,
) -> Vec<f64> {
    let tiles = to.w.div_ceil(OUTPUTS);
    let inputs = transformed_inputs(x, from, window, tiles);
    let plane = (to.h + TAPS - 1) * tiles;
    let rows = (POSITIONS / tiles).clamp(1, to.h);
    // One after the other the points of each part.
    let products = on_all_cores(to.h.div_ceil(rows) * POINTS, |job| {
        let (first, point) = (job / POINTS * rows, job % POINTS);
        let count = rows.min(to.h - first) * tiles;
        let mut weights = Array2::zeros((to.c, from.c));
        let mut made = Array2::zeros((to.c, count));
        for row in 0..TAPS {
            transform(filters, row, point, &mut weights);
            let begin = point * plane + (first + row) * tiles;
            let shape = (from.c, count).strides((POINTS * plane, 1));
            let x = ArrayView2::from_shape(shape, &inputs[begin..]).expect("within the inputs");
            general_mat_mul(1.0, &weights, &x, 1.0, &mut made);
        }
        made
    });
    let mut y = vec![0.0; to.len()];
    fill_on_all_cores(&mut y, to.h * to.w, |channel, y| {
        let bias = f64::from(bias[channel]);
        for (row, y) in y.chunks_exact_mut(to.w).enumerate() {
            let part = &products[row / rows * POINTS..][..POINTS];
            let of_row = |point: usize| {
                let made = part[point].row(channel).to_slice();
                &made.expect("rows lie one after the other")[row % rows * tiles..][..tiles]
            };
            let points: [&[f64]; POINTS] = std::array::from_fn(of_row);
            for (tile, y) in y.chunks_mut(OUTPUTS).enumerate() {
                let made = outputs(points.map(|values| values[tile]));
                for (y, value) in y.iter_mut().zip(made) {
                    *y = value + bias;
                }
            }
        }
    });
    y
}

/// A^T.
fn outputs([m0, m1, m2, m3, m4, m5]: [f64; POINTS]) -> [f64; OUTPUTS] {
    let [sum, difference] = [m1 + m2, m1 - m2];
    let [far_sum, far_difference] = [m3 + m4, m3 - m4];
    [
        m0 + sum + far_sum,
        difference + 2.0 * far_difference,
        sum + 4.0 * far_sum,
        difference + 8.0 * far_difference + m5,
    ]
}

/// B^T.
fn points(d: &[f64]) -> [f64; POINTS] {
    let &[d0, d1, d2, d3, d4, d5] = d else {
        unreachable!("a tile has six inputs")
    };
    [
        4.0 * d0 - 5.0 * d2 + d4,
        (d4 - 4.0 * d2) + (d3 - 4.0 * d1),
        (d4 - 4.0 * d2) - (d3 - 4.0 * d1),
        (d4 - d2) + 2.0 * (d3 - d1),
        (d4 - d2) - 2.0 * (d3 - d1),
        4.0 * d1 - 5.0 * d3 + d5,
    ]
}

/// Channels x points x rows of the padded input x tiles.
fn transformed_inputs(x: &[f64], from: Shape, window: &Window, tiles: usize) -> Vec<f64> {
    let [top, left] = window.pad_before;
    let height = from.h + top + window.pad_after[0];
    let plane = height * tiles;
    let mut made = vec![0.0; from.c * POINTS * plane];
    fill_on_all_cores(&mut made, POINTS * plane, |channel, made| {
        let x = &x[channel * from.h * from.w..][..from.h * from.w];
        let mut padded = vec![0.0; OUTPUTS * tiles + TAPS - 1];
        for (row, values) in x.chunks_exact(from.w).enumerate() {
            padded[left..left + from.w].copy_from_slice(values);
            for tile in 0..tiles {
                let values = points(&padded[OUTPUTS * tile..][..POINTS]);
                for (point, value) in values.into_iter().enumerate() {
                    made[point * plane + (top + row) * tiles + tile] = value;
                }
            }
        }
    });
    made
}

/// What of a filter's row is multiplied at a point, outputs x inputs.
fn transform(filters: &Filters, row: usize, point: usize, made: &mut Array2<f64>) {
    let g = FILTER[point];
    let [first, second, third] = [0, 1, 2].map(|column| filters.tap(row, column));
    Zip::from(made)
        .and(first)
        .and(second)
        .and(third)
        .for_each(|made, &x, &y, &z| {
            *made = g[0] * f64::from(x) + g[1] * f64::from(y) + g[2] * f64::from(z);
        });
}
