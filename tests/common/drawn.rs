//! Layers of drawn weights.

use gradcam::low_level::network::{FilterLayout, Op, Window};
use gradcam::weights::Tensor;

use super::device::random;

pub(crate) fn tensor(seed: u32, shape: &[usize]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), &random(seed, shape.iter().product()))
}

/// Filters of `seed` that read so many inputs each, and biases of the seed after it.
pub(crate) fn convolution(
    seed: u32,
    outputs: usize,
    inputs: usize,
    window: Window,
    groups: usize,
) -> Op {
    let [rows, columns] = window.size;
    Op::Conv2d {
        weight: tensor(seed, &[outputs, inputs, rows, columns]),
        bias: Some(tensor(seed + 1, &[outputs])),
        layout: FilterLayout::Oihw,
        window,
        groups,
    }
}
