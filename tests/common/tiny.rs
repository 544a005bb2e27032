//! The smallest network with a layer of each kind that a classifier has.

use gradcam::low_level::network::{FilterLayout, MatrixLayout, Network, Op, Shape, Window};
use gradcam::weights::Tensor;

use super::device::random;

/// Convolution, ReLU, max-pool, mean and a linear layer of five classes, of drawn weights.
pub(crate) fn tiny() -> Network {
    let drawn = |seed, shape: &[usize]| {
        Tensor::from_f32(shape.to_vec(), &random(seed, shape.iter().product()))
    };
    let mut network = Network::new("tiny", Shape::new(3, 8, 8));
    let convolution = Op::Conv2d {
        weight: drawn(1, &[8, 3, 3, 3]),
        bias: Some(drawn(2, &[8])),
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let linear = Op::Linear {
        weight: drawn(3, &[5, 8]),
        bias: Some(drawn(4, &[5])),
        layout: MatrixLayout::OutIn,
    };
    let pool = Op::MaxPool(Window::square(2, 2, 0));
    network.chain("conv", convolution).unwrap();
    network.chain("relu", Op::RELU).unwrap();
    network.chain("pool", pool).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network.chain("linear", linear).unwrap();
    network
}
