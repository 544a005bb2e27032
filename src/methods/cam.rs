//! The CAM methods: pure functions from the target layer's activations and gradients to a map at the layer's
//! resolution, before ReLU and scaling.
//!
//! A is the target layer's activations after its ReLU, g the gradient of the score with respect to A, both C x H x W; A_k is
//! channel k of A. The score is a probability, its logarithm or a logit ([`crate::score`]), and the maps differ. All sums
//! are in float64. Formulas agree with pytorch-grad-cam 1.5.7, see `tests/fixtures/methods`.
//!
//! # Before drawing
//!
//! A method's map is what its formula says, signed and unscaled. It is drawn as the TensorFlow original draws: resized to
//! the picture, cut off below zero, divided by its maximum ([`crate::methods::map::Map::heat`]). pytorch-grad-cam returns no map
//! before drawing. It cuts each layer's map off below zero, takes the least value for 0, divides by the largest + 1e-7 and
//! resizes; then it averages the layers' maps, and scales the average the same way. So a layer whose largest value is near
//! 1e-7 counts for less than the others, and a map of 1e-14 or less is dimmed or lost, as that of a probability near 0 or 1
//! may be. captum 0.9.0 has Grad-CAM alone, as `LayerGradCam`, and returns it before drawing. Both explain what the network
//! puts out, a logit as a rule.
//!
//! # Cost
//!
//! All methods share the picture's own forward pass. Those that read the score's own gradient, at the target, at biases or
//! at the pixels ([`crate::methods::attribution`]), share one pass back as well, as far as the earliest of these, a group of classes at
//! once. Beside these:
//!
//! | methods | passes | on the host |
//! | --- | --- | --- |
//! | `gradcam` | the one back; where no other method reads g by position, the means of channels will do, which may be faster ([`crate::plan::Means`]) | sums over A |
//! | `gradcam++`, `hirescam`, `gradcam-elementwise`, `xgradcam`, `layercam` | the one back | sums over A |
//! | `eigengradcam` | the one back | a principal component: products of all pairs of the fewer of channels and positions |
//! | `finercam` | one more back, of the same length | sums over A |
//! | `eigencam` | none | a principal component |
//! | `fem`, `randomcam` | none | sums over A |
//! | `fullgrad` | the one back, to the pixels: as long as a forward pass for each class | sums over every layer |
//! | `scorecam` | one forward for each channel, for all classes together | masks |
//! | `ablationcam` | the layers after the target for each channel that is not zero, for all classes together | nothing to speak of |
//! | any with [`Features::eigen`] | none more | a principal component in place of a sum |
//!
//! To add a method: its variant, its line in [`Method::reads`], [`Method::settings`] and [`Method::map`], and its function.

mod full_grad;
mod perturbed;
mod principal;

use crate::methods::Setting;
use crate::methods::noise;
use crate::named::named;
use crate::network::Shape;

pub use full_grad::{Bias, full_grad};
pub use perturbed::{ablation_cam, choose, is_flat, masked, score_cam, without};

named! {
    /// Method that makes a map from activations and gradients.
    pub enum Method {
        /// Grad-CAM: channels weighted by their mean gradient
        GradCam = "gradcam",
        /// Grad-CAM++: positive gradients, weighted by position
        GradCamPlusPlus = "gradcam++",
        /// HiResCAM: gradient times activation at each position
        HiResCam = "hirescam",
        /// HiResCAM's products, the negative ones left out
        GradCamElementwise = "gradcam-elementwise",
        /// XGrad-CAM: gradients weighted by their share of the activation
        XGradCam = "xgradcam",
        /// LayerCAM: positive gradient times activation at each position
        LayerCam = "layercam",
        /// Eigen-CAM: first principal component of the activations, of no class
        EigenCam = "eigencam",
        /// First principal component of gradient times activation
        EigenGradCam = "eigengradcam",
        /// FEM: channels weighted by how often they are unusually strong, of no class
        Fem = "fem",
        /// Finer-CAM: Grad-CAM of what sets the class apart from its three rivals
        FinerCam = "finercam",
        /// Score-CAM: channels weighted by what the network says of the picture under each; a forward pass a channel
        ScoreCam = "scorecam",
        /// Ablation-CAM: channels weighted by what the score loses without each; the layers after the target, once a channel
        AblationCam = "ablationcam",
        /// FullGrad: gradients at the picture and at every bias, of no layer
        FullGrad = "fullgrad",
        /// Channels weighted at random by --seed: the baseline that any method must beat
        RandomCam = "randomcam",
    }
}

/// What a method reads beside the activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: the map is of no class.
    Activations,
    /// The gradient of the class's score.
    Gradients,
    /// The gradient of [`crate::score::finer`], whatever the score.
    FinerGradients,
    /// For each channel the logit for the picture under it.
    Masked,
    /// For each channel the share of the score that is lost without it.
    Ablated,
    /// For activations the picture, the gradient of the class's score there, and at every bias.
    Biases,
}

impl Method {
    /// What [`Features`] must hold for it.
    pub fn reads(self) -> Reads {
        match self {
            Self::GradCam
            | Self::GradCamPlusPlus
            | Self::HiResCam
            | Self::GradCamElementwise
            | Self::XGradCam
            | Self::LayerCam
            | Self::EigenGradCam => Reads::Gradients,
            Self::FinerCam => Reads::FinerGradients,
            Self::ScoreCam => Reads::Masked,
            Self::AblationCam => Reads::Ablated,
            Self::FullGrad => Reads::Biases,
            Self::EigenCam | Self::Fem | Self::RandomCam => Reads::Activations,
        }
    }

    /// Whether it reads the target layer's gradient by position; of a class's gradient the others need each channel's mean.
    pub fn reads_positions(self) -> bool {
        let gradients = matches!(self.reads(), Reads::Gradients | Reads::FinerGradients);
        gradients && !matches!(self, Self::GradCam | Self::FinerCam)
    }

    /// Whether [`Features::eigen`] changes its map.
    pub fn is_smoothed(self) -> bool {
        !matches!(self, Self::EigenCam | Self::EigenGradCam | Self::FullGrad)
    }

    /// The options that change its map, in the order of the help. `chooses`: whether gradients of the score say which
    /// channels are tried.
    pub fn settings(self, chooses: bool) -> &'static [Setting] {
        use Setting::{Channels, Counterfactual, Layer, Score, Seed, Versus};
        match self {
            Self::GradCam
            | Self::GradCamPlusPlus
            | Self::HiResCam
            | Self::GradCamElementwise
            | Self::XGradCam
            | Self::LayerCam
            | Self::EigenGradCam => &[Layer, Score, Versus, Counterfactual],
            Self::EigenCam | Self::Fem => &[Layer],
            // On the logits, against rivals of its own.
            Self::FinerCam => &[Layer, Counterfactual],
            // Of the logit, whatever the score.
            Self::ScoreCam if !chooses => &[Layer, Versus, Counterfactual, Channels],
            Self::ScoreCam | Self::AblationCam => &[Layer, Score, Versus, Counterfactual, Channels],
            // Of magnitudes, which have no sign.
            Self::FullGrad => &[Score, Versus],
            Self::RandomCam => &[Layer, Seed],
        }
    }

    /// The map, H x W.
    pub fn map(self, features: &Features<'_>) -> Vec<f64> {
        match self {
            Self::GradCam => grad_cam(features),
            Self::GradCamPlusPlus => grad_cam_plus_plus(features),
            Self::HiResCam => hi_res_cam(features),
            Self::GradCamElementwise => grad_cam_elementwise(features),
            Self::XGradCam => x_grad_cam(features),
            Self::LayerCam => layer_cam(features),
            Self::EigenCam => eigen_cam(features),
            Self::EigenGradCam => eigen_grad_cam(features),
            Self::Fem => fem(features),
            Self::FinerCam => finer_cam(features),
            Self::ScoreCam => score_cam(features),
            Self::AblationCam => ablation_cam(features),
            Self::FullGrad => full_grad(features),
            Self::RandomCam => random_cam(features),
        }
    }
}

/// Activations of the target layer, and gradients for one class.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// C x H x W.
    pub shape: Shape,
    /// A.
    pub activations: &'a [f32],
    /// g divided by `scale`, C x H x W; empty for a method that reads none. For one that does not read it by position
    /// ([`Method::reads_positions`]) the mean of each channel will do, C x 1 x 1.
    pub gradients: &'a [f32],
    /// See [`crate::score::Seed`].
    pub scale: f64,
    /// Of the random numbers.
    pub seed: u64,
    /// Channels tried and what each gave, for [`Reads::Masked`] and [`Reads::Ablated`].
    pub tried: &'a [(usize, f64)],
    /// Whether the first principal component of the weighted channels takes the place of their sum, its sign as in
    /// [`eigen_cam`]. As pytorch-grad-cam's `eigen_smooth`, but for FEM, where that does nothing, and FullGrad, where this
    /// does nothing.
    pub eigen: bool,
    /// Of every layer; empty but for FullGrad.
    pub biases: &'a [Bias<'a>],
}

impl Features<'_> {
    fn positions(&self) -> usize {
        self.shape.h * self.shape.w
    }

    /// For each channel its A and g.
    fn channels(&self) -> impl Iterator<Item = (&[f32], impl Iterator<Item = f64> + Clone)> {
        let channels = self.activations.chunks_exact(self.positions());
        channels
            .zip(self.gradients.chunks_exact(self.positions()))
            .map(|(a, g)| (a, g.iter().map(|&g| f64::from(g) * self.scale)))
    }

    /// For each channel the mean of g.
    fn mean_gradients(&self) -> impl Iterator<Item = f64> {
        // One where they are means already.
        let positions = self.gradients.len() / self.shape.c;
        self.gradients.chunks_exact(positions.max(1)).map(|g| {
            let sum: f64 = g.iter().map(|&g| f64::from(g) * self.scale).sum();
            sum / g.len() as f64
        })
    }

    /// The sum over channels of weight times A.
    fn weighted_sum(&self, weights: impl Iterator<Item = f64>) -> Vec<f64> {
        let channels = self.activations.chunks_exact(self.positions());
        if self.eigen {
            let weighted = weights.zip(channels);
            let terms = weighted.flat_map(|(w, a)| a.iter().map(move |&a| w * f64::from(a)));
            return principal::projection(&terms.collect::<Vec<_>>(), self.positions());
        }
        let mut map = vec![0.0; self.positions()];
        for (weight, a) in weights.zip(channels) {
            for (sum, &a) in map.iter_mut().zip(a) {
                *sum += weight * f64::from(a);
            }
        }
        map
    }

    /// `term` of A and g at each position, C x H x W.
    fn terms(&self, term: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let mut terms = Vec::with_capacity(self.activations.len());
        for (a, g) in self.channels() {
            terms.extend(a.iter().zip(g).map(|(&a, g)| term(f64::from(a), g)));
        }
        terms
    }

    /// The sum over channels of `term` of A and g.
    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        if self.eigen {
            return principal::projection(&self.terms(term), self.positions());
        }
        let mut map = vec![0.0; self.positions()];
        for (a, g) in self.channels() {
            for ((sum, &a), g) in map.iter_mut().zip(a).zip(g) {
                *sum += term(f64::from(a), g);
            }
        }
        map
    }
}

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

/// FEM (Fuad et al., IPTA 2020, hal-02963298): w_k = share of positions where A_k > mean + 2 standard deviations, the
/// population's; map = sum over k of w_k A_k.
///
/// For a quick look at what stands out to the layer, of no class. Channels count by how many positions stand out in them,
/// a fifth at most, where in [`eigen_cam`] those that vary most count most.
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
            seed: 0,
            tried: &[],
            eigen: false,
            biases: &[],
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

    /// One channel pair, weights by hand: A = (1, 2), (3, 4), g = (1, 3), (-1, 0).
    const A: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const G: [f32; 4] = [2.0, 6.0, -2.0, 0.0];

    fn assert_map(method: Method, expected: [f64; 2]) {
        let map = method.map(&features(&A, &G));
        for (got, expected) in map.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{method:?}: {map:?}");
        }
    }

    #[test]
    fn products_are_taken_position_by_position() {
        assert_map(Method::HiResCam, [1.0 - 3.0, 6.0]);
        assert_map(Method::GradCamElementwise, [1.0, 6.0]);
        assert_map(Method::LayerCam, [1.0, 6.0]);
    }

    #[test]
    fn x_grad_cam_weighs_gradients_by_activation() {
        let (first, second) = (7.0 / 3.0, -3.0 / 7.0);
        let expected = [first + 3.0 * second, 2.0 * first + 4.0 * second];
        assert_map(Method::XGradCam, expected);
    }

    #[test]
    fn fem_counts_what_stands_out() {
        // Two of a hundred positions stand out in the first channel, none in the second.
        let mut a = vec![0.0f32; 200];
        (a[3], a[70]) = (1.0, 1.0);
        a[100..].fill(5.0);
        let shape = Shape::new(2, 10, 10);
        let map = fem(&Features {
            shape,
            gradients: &[],
            ..features(&a, &[])
        });
        assert!((map[3] - 0.02).abs() < 1e-12 && map[4] == 0.0);
    }

    #[test]
    fn an_eigen_smoothed_map_is_the_projection_of_what_would_be_summed() {
        let smoothed = |method: Method| {
            method.map(&Features {
                eigen: true,
                ..features(&A, &G)
            })
        };
        // Weighted channels (2, 4) and (-1.5, -2): centred (-1, 1) and (0.25, -0.25), the sign that of the sum's rise.
        let reach = (1.0f64 + 0.0625).sqrt();
        let map = smoothed(Method::GradCam);
        assert!(
            (map[0] + reach).abs() < 1e-9 && (map[1] - reach).abs() < 1e-9,
            "{map:?}"
        );
        for method in [Method::EigenCam, Method::EigenGradCam] {
            assert_eq!(smoothed(method), method.map(&features(&A, &G)));
        }
        assert_eq!(
            smoothed(Method::HiResCam),
            eigen_grad_cam(&features(&A, &G))
        );
    }

    #[test]
    fn random_maps_depend_on_the_seed_alone() {
        let map = |seed, gradients: &[f32]| {
            random_cam(&Features {
                seed,
                ..features(&A, gradients)
            })
        };
        assert_eq!(map(1, &G), map(1, &[]));
        assert_ne!(map(1, &G), map(2, &G));
    }

    #[test]
    fn only_methods_that_read_gradients_need_them() {
        for &method in Method::ALL {
            let without = method.map(&features(&A, &[]));
            let same = without == method.map(&features(&A, &G));
            let reads = match method.reads() {
                Reads::Gradients | Reads::FinerGradients | Reads::Biases => true,
                Reads::Activations | Reads::Masked | Reads::Ablated => false,
            };
            assert_eq!(same, !reads, "{method:?}");
        }
    }
}
