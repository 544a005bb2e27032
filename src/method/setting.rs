//! Which options change what a method gives: a property of each method, written in one place.

use super::Method;
use crate::{attribution, cam, perturbation};

/// An option that some methods read and others do not, in the order of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// `--layer`
    Layer,
    /// `--score`
    Score,
    /// `--versus`
    Versus,
    /// `--counterfactual`
    Counterfactual,
    /// `--channels`, as a number
    Channels,
    /// `--samples`
    Samples,
    /// `--noise`
    Noise,
    /// `--steps`
    Steps,
    /// `--patch`
    Patch,
    /// `--stride`
    Stride,
    /// `--baseline`
    Baseline,
    /// `--seed`
    Seed,
}

impl Setting {
    /// As it is typed.
    pub fn option(self) -> &'static str {
        match self {
            Self::Layer => "--layer",
            Self::Score => "--score",
            Self::Versus => "--versus",
            Self::Counterfactual => "--counterfactual",
            Self::Channels => "--channels",
            Self::Samples => "--samples",
            Self::Noise => "--noise",
            Self::Steps => "--steps",
            Self::Patch => "--patch",
            Self::Stride => "--stride",
            Self::Baseline => "--baseline",
            Self::Seed => "--seed",
        }
    }

    /// Whether it says what is asked of a class, rather than how that is answered: a method that does not read it answers
    /// another question than the one asked.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Score | Self::Versus | Self::Counterfactual)
    }
}

impl Method {
    /// The options that change its values, in the order of the help. `chooses`: whether gradients of the score say which
    /// channels are tried.
    pub fn settings(self, chooses: bool) -> &'static [Setting] {
        match self {
            Self::Cam(method) => of_cam(method, chooses),
            Self::Pixel(method) => of_pixel(method),
            Self::Perturbation(method) => of_perturbation(method),
        }
    }

    /// Whether the option changes its values; `chooses` as for [`Method::settings`].
    pub fn reads(self, setting: Setting, chooses: bool) -> bool {
        self.settings(chooses).contains(&setting)
    }
}

fn of_cam(method: cam::Method, chooses: bool) -> &'static [Setting] {
    use Setting::{Channels, Counterfactual, Layer, Score, Seed, Versus};
    use cam::Method as Cam;
    match method {
        Cam::GradCam
        | Cam::GradCamPlusPlus
        | Cam::HiResCam
        | Cam::GradCamElementwise
        | Cam::XGradCam
        | Cam::LayerCam
        | Cam::EigenGradCam => &[Layer, Score, Versus, Counterfactual],
        Cam::EigenCam | Cam::Fem => &[Layer],
        // On the logits, against rivals of its own.
        Cam::FinerCam => &[Layer, Counterfactual],
        // Of the logit, whatever the score.
        Cam::ScoreCam if !chooses => &[Layer, Versus, Counterfactual, Channels],
        Cam::ScoreCam | Cam::AblationCam => &[Layer, Score, Versus, Counterfactual, Channels],
        // Of magnitudes, which have no sign.
        Cam::FullGrad => &[Score, Versus],
        Cam::RandomCam => &[Layer, Seed],
    }
}

fn of_pixel(method: attribution::Method) -> &'static [Setting] {
    use Setting::{Baseline, Counterfactual, Layer, Noise, Samples, Score, Seed, Steps, Versus};
    use attribution::Method as Pixel;
    match method {
        Pixel::Gradient | Pixel::GuidedBprop | Pixel::Deconvnet => &[Score, Versus, Counterfactual],
        Pixel::GradientXInput => &[Score, Versus, Counterfactual, Baseline],
        Pixel::GuidedGradcam => &[Layer, Score, Versus, Counterfactual],
        Pixel::SmoothGrad => &[Score, Versus, Counterfactual, Samples, Noise, Seed],
        // Squares and variances have no sign.
        Pixel::SquareGrad | Pixel::VarGrad => &[Score, Versus, Samples, Noise, Seed],
        Pixel::IntegratedGradients => &[Score, Versus, Counterfactual, Steps, Baseline],
    }
}

fn of_perturbation(method: perturbation::Method) -> &'static [Setting] {
    use Setting::{Baseline, Counterfactual, Patch, Samples, Score, Seed, Stride, Versus};
    match method {
        perturbation::Method::Occlusion => {
            &[Score, Versus, Counterfactual, Patch, Stride, Baseline]
        }
        perturbation::Method::Rise => &[Score, Versus, Counterfactual, Samples, Baseline, Seed],
    }
}
