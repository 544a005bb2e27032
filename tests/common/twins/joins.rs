//! Several values as one, and parts of one.

use gradcam::low_level::network::Shape;

/// Sum or product of two values of n images; `other` may have one position in place of many.
pub(crate) fn combine(
    one: &[f32],
    other: &[f32],
    positions: usize,
    spread: bool,
    multiplied: bool,
) -> Vec<f32> {
    let value = |(at, &a): (usize, &f32)| {
        let b = other[if spread { at / positions } else { at }];
        if multiplied { a * b } else { a + b }
    };
    one.iter().enumerate().map(value).collect()
}

/// At each place the larger one.
pub(crate) fn larger(one: &[f32], other: &[f32]) -> Vec<f32> {
    one.iter().zip(other).map(|(a, b)| a.max(*b)).collect()
}

/// The gradient at input `at` of the larger of two: of equal ones the first has it.
pub(crate) fn larger_backward(dy: &[f32], inputs: [&[f32]; 2], at: usize) -> Vec<f32> {
    let is_first = inputs[0].iter().zip(inputs[1]).map(|(a, b)| a >= b);
    let taken = dy.iter().zip(is_first);
    let taken = taken.map(|(dy, first)| if first == (at == 0) { *dy } else { 0.0 });
    taken.collect()
}

/// For each channel of each image the sum over positions of x times `other`, or of x alone.
pub(crate) fn product_sum(x: &[f32], other: Option<&[f32]>, positions: usize) -> Vec<f32> {
    let factor = |at: usize| other.map_or(1.0, |other| f64::from(other[at]));
    let planes = (0..x.len()).step_by(positions);
    let sum = |first: usize| -> f64 {
        (first..first + positions)
            .map(|at| f64::from(x[at]) * factor(at))
            .sum()
    };
    planes.map(|first| sum(first) as f32).collect()
}

/// `channels` of x, of `shape`, from channel `from` on.
pub(crate) fn copy_channels(x: &[f32], shape: Shape, from: usize, channels: usize) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let of_image = |x: &[f32]| x[from * positions..][..channels * positions].to_vec();
    x.chunks_exact(shape.len()).flat_map(of_image).collect()
}
