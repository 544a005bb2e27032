//! FullGrad: what every layer added to the score, at the pixels.

use super::Features;
use crate::methods::map::Map;
use crate::network::Shape;

/// Added to every divisor, as pytorch-grad-cam does.
const EPSILON: f64 = 1e-7;

/// A layer's biases and the gradient of the score at the values that they were added to.
#[derive(Clone, Copy, Debug)]
pub struct Bias<'a> {
    /// Of the layer's value.
    pub shape: Shape,
    /// One a channel.
    pub values: &'a [f32],
    /// C x H x W, divided by [`Features::scale`].
    pub gradients: &'a [f32],
}

/// FullGrad (Srinivas and Fleuret, NeurIPS 2019, arXiv 1905.00780): |g x| of each channel of the picture x, and |b g| of each
/// channel of every biased convolution, g at the value that the bias b was added to, each scaled to 0..1, resized to the
/// picture and added up.
///
/// For a look at the whole network rather than at one layer: sharper than Grad-CAM, less noisy than gradients. It has no
/// target layer and no sign: what speaks against the class shows as well, and `--counterfactual` changes nothing. What lies
/// where the map is bright moved the score, by however little: every channel counts alike.
///
/// As pytorch-grad-cam has it, the biases are those of convolutions and of batch norms that follow none; a batch norm folded
/// into its convolution counts once with it, where the package counts the two by themselves, and the biases of dense layers
/// are left out (the paper's decomposition has them). The scaling adds 1e-7 to each range as there, but for a gradient
/// divided by its scale at the logits ([`crate::score::Seed`]): a probability gives what its logarithm gives, where there
/// channels whose values lie near 1e-7 or below count for less.
pub fn full_grad(features: &Features<'_>) -> Vec<f64> {
    let Shape { h, w, .. } = features.shape;
    let positions = features.positions();
    let mut map = vec![0.0; positions];
    let pairs = features.activations.chunks_exact(positions);
    for (x, g) in pairs.zip(features.gradients.chunks_exact(positions)) {
        let products = x.iter().zip(g).map(|(&x, &g)| f64::from(x) * f64::from(g));
        add_scaled(&mut map, products);
    }
    for bias in features.biases {
        let shape = bias.shape;
        let positions = shape.h * shape.w;
        let mut layer = vec![0.0; positions];
        for (&b, g) in bias
            .values
            .iter()
            .zip(bias.gradients.chunks_exact(positions))
        {
            add_scaled(&mut layer, g.iter().map(|&g| f64::from(b) * f64::from(g)));
        }
        // Resizing is linear: the sum of the channels resized is that of the resized channels.
        let layer = Map::new(shape.w, shape.h, layer.iter().map(|&v| v as f32).collect());
        for (sum, value) in map.iter_mut().zip(layer.resize(w, h).values) {
            *sum += f64::from(value);
        }
    }
    map
}

/// Adds the magnitudes of one channel, the least taken for 0 and the largest for 1.
fn add_scaled(sum: &mut [f64], values: impl Iterator<Item = f64> + Clone) {
    let magnitudes = values.map(f64::abs);
    let least = magnitudes.clone().fold(f64::INFINITY, f64::min);
    let most = magnitudes.clone().fold(f64::NEG_INFINITY, f64::max);
    for (sum, magnitude) in sum.iter_mut().zip(magnitudes) {
        *sum += (magnitude - least) / (most - least + EPSILON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_of_picture_and_biases_counts_alike() {
        let gradients = [1.0, -3.0, 0.0, 0.0];
        let biases = [Bias {
            shape: Shape::new(2, 1, 2),
            values: &[10.0, -0.5],
            gradients: &[0.25, 0.5, -8.0, 0.0],
        }];
        let map = full_grad(&Features {
            shape: Shape::new(1, 1, 4),
            activations: &[2.0, 2.0, 5.0, 0.0],
            gradients: &gradients,
            scale: 1.0,
            seed: 0,
            tried: &[],
            eigen: false,
            biases: &biases,
        });
        // |g x| is 2, 6, 0, 0. Both channels of the layer span 0..1, in opposite directions: their sum is 1 everywhere.
        let expected = [2.0 / 6.0 + 1.0, 2.0, 1.0, 1.0];
        for (got, expected) in map.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{map:?}");
        }
    }
}
