//! Methods that weigh each position of each channel, and those that take a principal component.

use super::{Features, principal};

/// HiResCAM (Draelos and Carin, arXiv 2011.08891): map = sum over k of g A.
///
/// For a map that shows no place that the network did not use: where the layers after the target are linear and the score
/// is the logit, its positions sum to the logit less its bias. Noisier than Grad-CAM at early layers. The same as Grad-CAM
/// where g is the same at all positions, as before a mean over positions.
///
/// pytorch-grad-cam has the same products; once drawn, or smoothed ([`Features::eigen`]), a map no longer has that sum.
pub fn hi_res_cam(features: &Features<'_>) -> Vec<f64> {
    features.sum(|a, g| g * a)
}

/// Element-wise Grad-CAM: map = sum over k of ReLU(g A).
///
/// [`hi_res_cam`] without the evidence against the class: for places where some channels speak for the class and others
/// against it, which would cancel. Never below zero, so the map is broader, and does not show what speaks against the class.
///
/// No paper; name and formula are pytorch-grad-cam's. Where A is nowhere below zero, as after a ReLU, it is [`layer_cam`].
pub fn grad_cam_elementwise(features: &Features<'_>) -> Vec<f64> {
    features.sum(|a, g| (g * a).max(0.0))
}

/// LayerCAM (Jiang et al., IEEE TIP 2021, doi 10.1109/TIP.2021.3089943): map = sum over k of ReLU(g) A.
///
/// The one to take at early layers, where a weight for a whole channel says little. The paper fuses maps of several
/// layers after scaling early ones by a tanh; this is the map of one layer, unscaled, as in pytorch-grad-cam.
pub fn layer_cam(features: &Features<'_>) -> Vec<f64> {
    features.sum(|a, g| g.max(0.0) * a)
}

/// Eigen-CAM (Bany Muhammad and Yeasin, IJCNN 2020, arXiv 2008.00299): A as one row a position, columns centred, projected
/// on its first principal component.
///
/// Shows what stands out to the layer, of no class: use it beside the map of a class. The paper does not centre;
/// pytorch-grad-cam does. Its sign is arbitrary there; here the map rises with the mean activation.
pub fn eigen_cam(features: &Features<'_>) -> Vec<f64> {
    let channels: Vec<f64> = features.activations.iter().map(|&a| f64::from(a)).collect();
    principal::projection(&channels, features.positions())
}

/// Eigen-CAM of g A: the products as one row a position, columns centred, projected on their first principal component.
///
/// For a map of the class that is smoother than [`hi_res_cam`]'s: what the products have in common stays, what only some
/// have goes.
///
/// No paper; the name is pytorch-grad-cam's. Its sign is arbitrary there; here the map rises with HiResCAM's. Centred, it
/// has zero mean: where g A is above zero everywhere, the weakest places are negative all the same.
pub fn eigen_grad_cam(features: &Features<'_>) -> Vec<f64> {
    principal::projection(&features.terms(|a, g| g * a), features.positions())
}
