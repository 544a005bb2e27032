//! Gates that other tensors than two dense layers speak for.

use super::{Builder, Result};
use crate::network::{Activation, FilterLayout, MatrixLayout, Op, Window};
use crate::weights::Tensor;

/// Beside the mean length, so that nothing is divided by zero.
const EPSILON: f32 = 1e-6;

impl Builder<'_> {
    /// `x + bias + weight x l / (mean of l + epsilon)`, where l is the root of the sum of a channel's squares.
    pub(super) fn response_norm(&mut self, layer: &str) -> Result {
        // timm's names, and the authors' own.
        let mut named = |a: &str, b: &str| {
            let name = |part: &str| format!("{layer}.{part}");
            let either = self.file.optional(&name(a));
            either.or_else(|| self.file.optional(&name(b)))
        };
        let Some(weight) = named("weight", "gamma") else {
            return Ok(());
        };
        let bias = named("bias", "beta");
        let shape = self.shape();
        let fits = |tensor: &&Tensor| tensor.len() == shape.c;
        let (weight, bias) = match bias {
            Some(bias) if fits(&weight) && fits(&bias) => (weight.to_vec(), bias.to_vec()),
            _ => return Err(self.file.odd(layer)),
        };
        let values = |values: &[f32]| Tensor::from_f32(vec![shape.c], values);
        let repeated = |value| Tensor::repeated(vec![shape.c], value);
        let input = self.at;
        self.push(format!("{layer}.squares"), Op::Activate(Activation::Square))?;
        self.push(format!("{layer}.mean"), Op::GlobalMean)?;
        // Of the mean of squares; the number of places goes into the epsilon.
        self.push(format!("{layer}.length"), Op::Activate(Activation::Sqrt))?;
        let length = self.at;
        let places = ((shape.h * shape.w) as f32).sqrt();
        let mean = Op::Linear {
            weight: Tensor::repeated(vec![1, shape.c], 1.0 / shape.c as f32),
            bias: Some(Tensor::from_f32(vec![1], &[EPSILON / places])),
            layout: MatrixLayout::OutIn,
        };
        self.push(format!("{layer}.all"), mean)?;
        self.push(
            format!("{layer}.inverse"),
            Op::Activate(Activation::Reciprocal),
        )?;
        let spread = Op::Conv2d {
            weight: Tensor::repeated(vec![shape.c, 1, 1, 1], 1.0),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        self.push(format!("{layer}.spread"), spread)?;
        let inputs = vec![length, self.at];
        self.at = self
            .network
            .push(format!("{layer}.share"), Op::Mul, inputs)?;
        // The value itself is one more of its multiples.
        let factor = Op::Affine {
            scale: values(&weight),
            shift: repeated(1.0),
        };
        self.push(format!("{layer}.factor"), factor)?;
        let inputs = vec![input, self.at];
        self.at = self
            .network
            .push(format!("{layer}.scaled"), Op::Mul, inputs)?;
        let shifted = Op::Affine {
            scale: repeated(1.0),
            shift: values(&bias),
        };
        self.push(layer, shifted)
    }

    /// A gate by a convolution along the means of the channels (arXiv 1910.03151): a dense layer whose matrix is a band.
    pub(super) fn gate_along_channels(&mut self, name: &str, weight: &Tensor) -> Result {
        let (channels, taps) = match *weight.shape() {
            [1, 1, taps] if taps % 2 == 1 => (self.shape().c, taps),
            _ => return Err(self.file.odd(&format!("{name}.conv"))),
        };
        self.filters = self.filters.saturating_add(taps);
        let values = weight.to_vec();
        let mut matrix = vec![0.0; channels * channels];
        for o in 0..channels {
            for (tap, &value) in values.iter().enumerate() {
                let place = (o + tap).checked_sub(taps / 2);
                if let Some(i) = place.filter(|&i| i < channels) {
                    matrix[o * channels + i] = value;
                }
            }
        }
        let map = self.at;
        self.push(format!("{name}.mean"), Op::GlobalMean)?;
        let dense = Op::Linear {
            weight: Tensor::from_f32(vec![channels; 2], &matrix),
            bias: None,
            layout: MatrixLayout::OutIn,
        };
        self.push(format!("{name}.conv"), dense)?;
        self.push(format!("{name}.act"), Op::Activate(Activation::Sigmoid))?;
        self.at = self.network.push(name, Op::Mul, vec![map, self.at])?;
        Ok(())
    }
}
