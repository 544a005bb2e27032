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
//! To add a method: its name in the list of [`Method`]s, its row of the table below, and its function.

mod by_position;
mod full_grad;
mod perturbed;
mod principal;
mod weighted;

use crate::methods::{Setting, TriedChannels};
use crate::named::named;
use crate::network::Shape;

pub use by_position::{eigen_cam, eigen_grad_cam, grad_cam_elementwise, hi_res_cam, layer_cam};
pub use full_grad::{Bias, full_grad};
pub use perturbed::{ablation_cam, choose, is_flat, masked, score_cam, without};
pub use weighted::{fem, finer_cam, grad_cam, grad_cam_plus_plus, random_cam, x_grad_cam};

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

/// What a method reads and makes of it.
struct Row {
    reads: Reads,
    /// Whether it reads the target layer's gradient by position, rather than each channel's mean.
    by_position: bool,
    /// Whether [`Features::eigen`] changes its map.
    is_smoothed: bool,
    settings: &'static [Setting],
    map: fn(&Features<'_>) -> Vec<f64>,
}

impl Method {
    /// Its row of the table of methods.
    fn row(self) -> Row {
        use Setting::{Channels, Counterfactual, Layer, Score, Seed, Versus};
        let of_layer = |map| Row {
            reads: Reads::Activations,
            by_position: false,
            is_smoothed: true,
            settings: &[Layer],
            map,
        };
        let of_gradients = |map| Row {
            reads: Reads::Gradients,
            by_position: true,
            settings: &[Layer, Score, Versus, Counterfactual],
            ..of_layer(map)
        };
        match self {
            Self::GradCam => Row {
                by_position: false,
                ..of_gradients(grad_cam)
            },
            Self::GradCamPlusPlus => of_gradients(grad_cam_plus_plus),
            Self::HiResCam => of_gradients(hi_res_cam),
            Self::GradCamElementwise => of_gradients(grad_cam_elementwise),
            Self::XGradCam => of_gradients(x_grad_cam),
            Self::LayerCam => of_gradients(layer_cam),
            Self::EigenCam => Row {
                is_smoothed: false,
                ..of_layer(eigen_cam)
            },
            Self::EigenGradCam => Row {
                is_smoothed: false,
                ..of_gradients(eigen_grad_cam)
            },
            Self::Fem => of_layer(fem),
            // On the logits, against rivals of its own.
            Self::FinerCam => Row {
                reads: Reads::FinerGradients,
                settings: &[Layer, Counterfactual],
                ..of_layer(finer_cam)
            },
            // Of the logit, whatever the score.
            Self::ScoreCam => Row {
                reads: Reads::Masked,
                settings: &[Layer, Versus, Counterfactual, Channels],
                ..of_layer(score_cam)
            },
            Self::AblationCam => Row {
                reads: Reads::Ablated,
                settings: &[Layer, Score, Versus, Counterfactual, Channels],
                ..of_layer(ablation_cam)
            },
            // Of magnitudes, which have no sign.
            Self::FullGrad => Row {
                reads: Reads::Biases,
                is_smoothed: false,
                settings: &[Score, Versus],
                ..of_layer(full_grad)
            },
            Self::RandomCam => Row {
                settings: &[Layer, Seed],
                ..of_layer(random_cam)
            },
        }
    }

    /// What [`Features`] must hold for it.
    pub fn reads(self) -> Reads {
        self.row().reads
    }

    /// Whether it reads the target layer's gradient by position; of a class's gradient the others need each channel's mean.
    pub fn reads_positions(self) -> bool {
        self.row().by_position
    }

    /// Whether [`Features::eigen`] changes its map.
    pub fn is_smoothed(self) -> bool {
        self.row().is_smoothed
    }

    /// The options that change its map where it tries these channels, in the order of the help.
    pub fn settings(self, tried: TriedChannels) -> &'static [Setting] {
        match (self, tried) {
            (Self::ScoreCam, TriedChannels::Chosen) => Self::AblationCam.row().settings,
            _ => self.row().settings,
        }
    }

    /// The map, H x W.
    pub fn map(self, features: &Features<'_>) -> Vec<f64> {
        (self.row().map)(features)
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
