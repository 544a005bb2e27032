//! Methods that weigh whole channels: map = sum over k of w_k A_k.

use super::Features;
use crate::methods::noise;

/// Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391): w_k = mean of g over positions; map = sum over k of w_k A_k.
///
/// The method to begin with: coarse, smooth, and of the class. What it cannot show is where in the picture a channel
/// counted: a channel is weighted as a whole.
///
/// pytorch-grad-cam and captum have the same weights. The paper differentiates the logit, the TensorFlow original the
/// probability, in which evidence for another class counts against this one.
pub fn grad_cam(features: &Features<'_>) -> Vec<f64> {
    features.weighted_sum(features.mean_gradients())
}

/// Grad-CAM++ (Chattopadhyay et al., WACV 2018, arXiv 1710.11063): a = g^2 / (2 g^2 + S_k g^3 + 1e-6) with S_k the sum of
/// A_k, 0 where g is 0; w_k = sum of ReLU(g) a; map = sum over k of w_k A_k.
///
/// For several objects of one class, of which Grad-CAM may favour the largest. a depends on the size of g, so the map of a
/// probability differs in shape from the map of a logit. Gradients below zero count for nothing.
///
/// This is pytorch-grad-cam's form. The paper multiplies the gradient by exp(score), which scales every weight alike
/// and overflows for large logits; its authors' own code also divides a by its sum over a channel, which the paper does
/// not.
pub fn grad_cam_plus_plus(features: &Features<'_>) -> Vec<f64> {
    let weights = features.channels().map(|(a, g)| {
        let sum: f64 = a.iter().map(|&a| f64::from(a)).sum();
        let share = |g: f64| g * g / (2.0 * g * g + sum * g * g * g + 1e-6);
        g.filter(|&g| g > 0.0).map(|g| g * share(g)).sum()
    });
    features.weighted_sum(weights)
}

/// XGrad-CAM (Fu et al., BMVC 2020, arXiv 2008.02312): w_k = sum of g A / (sum of A + 1e-7), sums over positions; map = sum
/// over k of w_k A_k.
///
/// Grad-CAM with each position's gradient counted by its share of the activation: for layers whose gradient differs from
/// place to place, as before dense layers, where Grad-CAM's mean counts the places at which a channel is silent. As smooth
/// as Grad-CAM's map, with the sum of HiResCAM's.
///
/// 1e-7, for channels that are zero, is pytorch-grad-cam's; the authors' code has 1e-6. At a layer without a ReLU the sum of
/// A may be near zero, and the weight is then of any size.
pub fn x_grad_cam(features: &Features<'_>) -> Vec<f64> {
    let weights = features.channels().map(|(a, g)| {
        let sum: f64 = a.iter().map(|&a| f64::from(a)).sum();
        let product: f64 = a.iter().zip(g).map(|(&a, g)| f64::from(a) * g).sum();
        product / (sum + 1e-7)
    });
    features.weighted_sum(weights)
}

/// FEM (Fuad et al., IPTA 2020, hal-02963298): w_k = share of positions where A_k > mean + 2 standard deviations, the
/// population's; map = sum over k of w_k A_k.
///
/// For a quick look at what stands out to the layer, of no class. Channels count by how many positions stand out in them,
/// a fifth at most, where in [`eigen_cam`](super::eigen_cam) those that vary most count most.
///
/// This is pytorch-grad-cam's form, at its default of 2. Xplique's adds up masks, 1 where A_k reaches the threshold, each
/// times the mean of A_k.
pub fn fem(features: &Features<'_>) -> Vec<f64> {
    let positions = features.positions();
    let weights = features.activations.chunks_exact(positions).map(|a| {
        let count = positions as f64;
        let values = || a.iter().map(|&a| f64::from(a));
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|a| (a - mean).powi(2)).sum::<f64>() / count;
        let threshold = mean + 2.0 * variance.sqrt();
        values().filter(|&a| a > threshold).count() as f64 / count
    });
    features.weighted_sum(weights)
}

/// Finer-CAM (Zhang et al., CVPR 2025, arXiv 2501.11309): [`grad_cam`] of [`crate::score::finer`], what sets the class apart
/// from those nearest to it.
///
/// For classes that look alike, such as breeds. The comparison is with the three nearest classes at full strength (alpha
/// 1), pytorch-grad-cam's defaults, and it is on the logits whatever the score. The package takes the second to the fourth
/// nearest, the first being the class itself; here the class is left out, though another may have the same logit.
pub fn finer_cam(features: &Features<'_>) -> Vec<f64> {
    grad_cam(features)
}

/// Random weights: w_k uniform in -1..1 by [`noise`], number k of the seed for channel k; map = sum over k of w_k A_k.
///
/// The baseline to hold a method against: it explains nothing, and is the same for every class. No paper;
/// pytorch-grad-cam's `RandomCAM` draws other weights at each call.
pub fn random_cam(features: &Features<'_>) -> Vec<f64> {
    let weights = (0..).map(|k| 2.0 * noise::uniform(features.seed, k) - 1.0);
    features.weighted_sum(weights)
}
