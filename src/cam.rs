//! The CAM methods: pure functions from the target layer's activations and gradients to a map at the layer's
//! resolution, before ReLU and scaling.
//!
//! A is the target layer's activations after its ReLU, g the gradient of the score with respect to A, both C x H x W.
//! All sums are in float64. Formulas agree with pytorch-grad-cam 1.5.7, see `tests/fixtures`.

use clap::ValueEnum;
use serde::Serialize;

use crate::network::Shape;

/// Method that makes a map from activations and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Method {
    /// Grad-CAM: channels weighted by their mean gradient
    #[value(name = "gradcam")]
    GradCam,
    /// Grad-CAM++: positive gradients, weighted by position
    #[value(name = "gradcam++", alias = "gradcampp")]
    GradCamPlusPlus,
}

impl Method {
    /// The map, H x W.
    pub fn map(self, features: &Features<'_>) -> Vec<f64> {
        match self {
            Self::GradCam => grad_cam(features),
            Self::GradCamPlusPlus => grad_cam_plus_plus(features),
        }
    }
}

/// Activations and gradients of the target layer for one class.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// C x H x W.
    pub shape: Shape,
    /// A.
    pub activations: &'a [f32],
    /// g divided by `scale`.
    pub gradients: &'a [f32],
    /// See [`crate::score::Seed`].
    pub scale: f64,
}

impl Features<'_> {
    /// For each channel its A and g.
    fn channels(&self) -> impl Iterator<Item = (&[f32], impl Iterator<Item = f64> + Clone)> {
        let positions = self.shape.h * self.shape.w;
        let channels = self.activations.chunks_exact(positions);
        channels
            .zip(self.gradients.chunks_exact(positions))
            .map(|(a, g)| (a, g.iter().map(|&g| f64::from(g) * self.scale)))
    }

    /// The sum over channels of weight times A.
    fn weighted_sum(&self, weights: impl Iterator<Item = f64>) -> Vec<f64> {
        let positions = self.shape.h * self.shape.w;
        let mut map = vec![0.0; positions];
        for (weight, a) in weights.zip(self.activations.chunks_exact(positions)) {
            for (sum, &a) in map.iter_mut().zip(a) {
                *sum += weight * f64::from(a);
            }
        }
        map
    }
}

/// Grad-CAM (arXiv 1610.02391): w_k = mean of g over positions; map = sum over k of w_k A_k.
pub fn grad_cam(features: &Features<'_>) -> Vec<f64> {
    let weights = features
        .channels()
        .map(|(a, g)| g.sum::<f64>() / a.len() as f64);
    features.weighted_sum(weights)
}

/// Grad-CAM++ (arXiv 1710.11063): a = g^2 / (2 g^2 + S_k g^3 + 1e-6) with S_k the sum of A_k, 0 where g is 0; w_k = sum of ReLU(g) a.
///
/// This is pytorch-grad-cam's form. The paper multiplies the gradient by exp(score), which scales every weight alike
/// and overflows for large logits; its authors' own code also divides a by its sum over a channel, which the paper does
/// not.
/// a depends on the size of g, so the map of a probability differs in shape from the map of a logit.
pub fn grad_cam_plus_plus(features: &Features<'_>) -> Vec<f64> {
    let weights = features.channels().map(|(a, g)| {
        let sum: f64 = a.iter().map(|&a| f64::from(a)).sum();
        let share = |g: f64| g * g / (2.0 * g * g + sum * g * g * g + 1e-6);
        g.filter(|&g| g > 0.0).map(|g| g * share(g)).sum()
    });
    features.weighted_sum(weights)
}

/// What can be said of a map before anyone looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Something to see.
    Ok,
    /// Nothing above zero: no position raises the score.
    Empty,
    /// The probability is so near 1 that its gradient vanishes in float32.
    Saturated,
    /// The same value everywhere.
    Flat,
    /// NaN or infinity somewhere.
    #[serde(rename = "not finite")]
    NotFinite,
}

impl Verdict {
    /// Judges a map before ReLU and scaling.
    pub fn of(map: &[f64]) -> Self {
        let largest = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = map.iter().copied().fold(f64::INFINITY, f64::min);
        let reach = largest.abs().max(smallest.abs());
        if map.iter().any(|value| !value.is_finite()) {
            Self::NotFinite
        } else if reach > 0.0 && reach < f64::from(f32::MIN_POSITIVE) {
            Self::Saturated
        } else if largest <= 0.0 {
            Self::Empty
        } else if map.len() > 1 && largest == smallest {
            Self::Flat
        } else {
            Self::Ok
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::Saturated => "saturated",
            Self::Flat => "flat",
            Self::NotFinite => "not finite",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(2, 1, 2);

    fn features<'a>(activations: &'a [f32], gradients: &'a [f32]) -> Features<'a> {
        Features {
            shape: SHAPE,
            activations,
            gradients,
            scale: 0.5,
        }
    }

    #[test]
    fn grad_cam_weighs_channels_by_their_mean_gradient() {
        let map = grad_cam(&features(&[1.0, 2.0, 3.0, 4.0], &[2.0, 6.0, -2.0, 0.0]));
        // Weights (1 + 3) / 2 and (-1 + 0) / 2.
        assert_eq!(map, [2.0 - 1.5, 4.0 - 2.0]);
    }

    #[test]
    fn grad_cam_plus_plus_leaves_negative_gradients_out() {
        let map = grad_cam_plus_plus(&features(&[1.0, 2.0, 3.0, 4.0], &[2.0, 0.0, -2.0, 0.0]));
        let weight = 1.0 / (2.0 + 3.0 + 1e-6);
        assert!((map[0] - weight).abs() < 1e-12 && (map[1] - 2.0 * weight).abs() < 1e-12);
    }

    #[test]
    fn a_map_is_judged_before_it_is_drawn() {
        assert_eq!(Verdict::of(&[0.0, 1.0]), Verdict::Ok);
        assert_eq!(Verdict::of(&[0.0, -1.0]), Verdict::Empty);
        assert_eq!(Verdict::of(&[0.0, 0.0]), Verdict::Empty);
        assert_eq!(Verdict::of(&[1.0, 1.0]), Verdict::Flat);
        assert_eq!(Verdict::of(&[0.0, f64::NAN]), Verdict::NotFinite);
        assert_eq!(Verdict::of(&[0.0, 1e-40]), Verdict::Saturated);
    }
}
