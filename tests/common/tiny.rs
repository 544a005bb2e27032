//! The smallest network with a layer of each kind that a classifier has.

use gradcam::low_level::network::{MatrixLayout, Network, Op, Shape, Window};

use super::drawn;

/// Convolution, ReLU, max-pool, mean and a linear layer of five classes, of drawn weights.
pub(crate) fn tiny() -> Network {
    let mut network = Network::new("tiny", Shape::new(3, 8, 8));
    let linear = Op::Linear {
        weight: drawn::tensor(3, &[5, 8]),
        bias: Some(drawn::tensor(4, &[5])),
        layout: MatrixLayout::OutIn,
    };
    let pool = Op::MaxPool(Window::square(2, 2, 0));
    let same = Window::square(3, 1, 1);
    network
        .chain("conv", drawn::convolution(1, 8, 3, same, 1))
        .unwrap();
    network.chain("relu", Op::RELU).unwrap();
    network.chain("pool", pool).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network.chain("linear", linear).unwrap();
    network
}
