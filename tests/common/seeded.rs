//! The weights of `tests/fixtures/seeded.py`, bit for bit: a hash instead of a stored file. The
//! formula and its constants are explained there.

/// Numbers of outputs of the thirteen convolutions and of fc6 to fc8.
pub(crate) struct Widths {
    pub(crate) conv: [usize; 13],
    pub(crate) fc: [usize; 3],
}

/// VGG16 as published: 138,357,544 parameters.
pub(crate) const VGG16: Widths = Widths {
    conv: [
        64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512,
    ],
    fc: [4096, 4096, 1000],
};

/// The same network at about ten thousand parameters, as in `tests/fixtures/npy`.
pub(crate) const TINY: Widths = Widths {
    conv: [4, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 8, 8],
    fc: [10, 10, 5],
};

const LAYERS: [&str; 16] = [
    "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1",
    "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7", "fc8",
];

/// A tensor that is computed when it is read.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    /// The layer's name.
    pub(crate) layer: &'static str,
    /// `H, W, in, out` of a convolution, `in, out` of a fully connected layer, `out` of biases.
    pub(crate) shape: Vec<usize>,
    /// Number in the sequence of all tensors: even for weights, odd for biases.
    pub(crate) number: u32,
    pub(crate) scale: f32,
}

impl Seeded {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Element `i` in C order.
    pub(crate) fn at(&self, i: usize) -> f32 {
        let mut x = (i as u32)
            .wrapping_mul(0x9E37_79B1)
            .wrapping_add(self.number.wrapping_mul(0x85EB_CA77))
            .wrapping_add(0x2545_F491);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7FEB_352D);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846C_A68B);
        x ^= x >> 16;
        let u = (x >> 8) as f32 / 8_388_608.0 - 1.0;
        u * self.scale
    }

    /// All elements in C order.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.len()).map(|i| self.at(i))
    }
}

/// Weights and biases of the sixteen layers, in order.
pub(crate) fn weights(widths: &Widths) -> Vec<[Seeded; 2]> {
    let inputs = [3].iter().chain(&widths.conv);
    let convs = inputs.zip(&widths.conv).map(|(&i, &o)| vec![3, 3, i, o]);
    let flat = 7 * 7 * widths.conv[12];
    let inputs = [flat, widths.fc[0], widths.fc[1]];
    let fcs = inputs.iter().zip(&widths.fc).map(|(&i, &o)| vec![i, o]);
    let layer = |(n, shape): (usize, Vec<usize>)| {
        let (&outputs, fan_in) = shape.split_last().expect("two or four dimensions");
        let he = (6.0 / fan_in.iter().product::<usize>() as f64).sqrt() as f32;
        let gain = if LAYERS[n] == "fc8" { 1.0 / 64.0 } else { 1.0 };
        let biases = Seeded {
            layer: LAYERS[n],
            shape: vec![outputs],
            number: 2 * n as u32 + 1,
            scale: 1.0,
        };
        let weights = Seeded {
            shape,
            number: 2 * n as u32,
            scale: he * gain,
            ..biases.clone()
        };
        [weights, biases]
    };
    convs.chain(fcs).enumerate().map(layer).collect()
}
