//! Means over all positions, feature maps as vectors, matrices.

use gradcam::low_level::network::{FlattenOrder, MatrixLayout, Shape};

pub(crate) fn global_mean(x: &[f32], shape: Shape) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let mean = |plane: &[f32]| plane.iter().map(|&v| f64::from(v)).sum::<f64>() / positions as f64;
    x.chunks_exact(positions)
        .map(|plane| mean(plane) as f32)
        .collect()
}

pub(crate) fn global_mean_backward(dy: &[f32], shape: Shape) -> Vec<f32> {
    let positions = shape.h * shape.w;
    dy.iter()
        .flat_map(|&g| std::iter::repeat_n((f64::from(g) / positions as f64) as f32, positions))
        .collect()
}

/// Index in the flattened vector of each value of one C x H x W image.
fn order(shape: Shape, order: FlattenOrder) -> Vec<usize> {
    let positions = shape.h * shape.w;
    let at = |c: usize, p: usize| match order {
        FlattenOrder::Chw => c * positions + p,
        FlattenOrder::Hwc => p * shape.c + c,
    };
    (0..shape.len())
        .map(|i| at(i / positions, i % positions))
        .collect()
}

pub(crate) fn flatten(x: &[f32], shape: Shape, flatten_order: FlattenOrder) -> Vec<f32> {
    let places = order(shape, flatten_order);
    let mut y = vec![0.0; x.len()];
    for (i, &value) in x.iter().enumerate() {
        y[i / shape.len() * shape.len() + places[i % shape.len()]] = value;
    }
    y
}

pub(crate) fn flatten_backward(dy: &[f32], shape: Shape, flatten_order: FlattenOrder) -> Vec<f32> {
    let places = order(shape, flatten_order);
    (0..dy.len())
        .map(|i| dy[i / shape.len() * shape.len() + places[i % shape.len()]])
        .collect()
}

/// y[n, r] = sum over c of m[r, c] x[n, c].
pub(crate) fn linear_rows(m: &[f32], columns: usize, x: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32], x: &[f32]| -> f64 {
        row.iter()
            .zip(x)
            .map(|(&m, &x)| f64::from(m) * f64::from(x))
            .sum()
    };
    x.chunks_exact(columns)
        .flat_map(|x| m.chunks_exact(columns).map(move |row| dot(row, x) as f32))
        .collect()
}

/// y[n, c] = sum over r of x[n, r] m[r, c].
pub(crate) fn linear_columns(m: &[f32], columns: usize, x: &[f32]) -> Vec<f32> {
    let rows = m.len() / columns;
    x.chunks_exact(rows)
        .flat_map(|x| {
            let mut sums = vec![0.0f64; columns];
            for (&x, row) in x.iter().zip(m.chunks_exact(columns)) {
                for (sum, &m) in sums.iter_mut().zip(row) {
                    *sum += f64::from(m) * f64::from(x);
                }
            }
            sums.into_iter().map(|sum| sum as f32)
        })
        .collect()
}

/// The matrix over the positions of its input's channels: sums times `scale`, as the matrix has its axes.
pub(crate) fn linear_means(
    m: &[f32],
    layout: MatrixLayout,
    order: FlattenOrder,
    [channels, positions]: [usize; 2],
    scale: f64,
) -> Vec<f32> {
    let inputs = channels * positions;
    let outputs = m.len() / inputs;
    let input = |c: usize, p: usize| match order {
        FlattenOrder::Chw => c * positions + p,
        FlattenOrder::Hwc => p * channels + c,
    };
    let at = |c: usize, o: usize, p: usize| match layout {
        MatrixLayout::OutIn => o * inputs + input(c, p),
        MatrixLayout::InOut => input(c, p) * outputs + o,
    };
    let sum =
        |c: usize, o: usize| -> f64 { (0..positions).map(|p| f64::from(m[at(c, o, p)])).sum() };
    let made = |i: usize| match layout {
        MatrixLayout::OutIn => sum(i % channels, i / channels),
        MatrixLayout::InOut => sum(i / outputs, i % outputs),
    };
    (0..channels * outputs)
        .map(|i| (made(i) * scale) as f32)
        .collect()
}

/// `s * a + b` with a = 1/2, b = 1, 8 times a round, from each element's own start: 64 elements of four a workgroup.
pub(crate) fn multiply_add(workgroups: u32, rounds: u32) -> Vec<f32> {
    let starts = (0..workgroups * 64 * 4).map(|i| f64::from(i / 4 % 64) + f64::from(i % 4));
    let end = |start| (0..8 * rounds).fold(start, |s: f64, _| s * 0.5 + 1.0) as f32;
    starts.map(end).collect()
}
