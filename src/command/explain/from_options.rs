//! From options to what is wanted of the network.

use std::num::NonZeroUsize;

use ::image::RgbImage;

use super::choice::Choice;
use super::values;
use crate::cli::{Baseline, Smooth};
use crate::explainer::Wanted;
use crate::methods::attribution;
use crate::methods::perturbation;
use crate::options::Options;
use crate::picture::preprocess::{self, Normalization};

/// What is wanted of the network.
pub(super) fn wanted(
    options: &Options,
    choice: &Choice,
    normalization: &Normalization,
    pictures: usize,
) -> Wanted {
    let baseline = baseline(options, normalization);
    Wanted {
        score: options.score,
        versus: choice.versus,
        counterfactual: options.counterfactual,
        methods: values::methods(options),
        channels: options.channels.map(NonZeroUsize::get),
        layers: options.layers.clone(),
        fuse: options.fuse,
        eigen_smooth: options.smooth.contains(&Smooth::Eigen),
        augmented: options.smooth.contains(&Smooth::Aug),
        classes: choice.count(),
        pictures,
        at_once: 1,
        settings: settings(options, baseline),
        masks: masks(options, baseline),
        matrices: options.weights_dtype,
        dtype: options.dtype,
    }
}

fn settings(options: &Options, baseline: [f32; 3]) -> attribution::Settings {
    let usual = attribution::Settings::default();
    attribution::Settings {
        samples: options.samples.unwrap_or(usual.samples),
        noise: options.noise,
        steps: options.steps,
        baseline,
        seed: options.seed,
    }
}

fn masks(options: &Options, baseline: [f32; 3]) -> perturbation::Settings {
    let usual = perturbation::Settings::default();
    perturbation::Settings {
        patch: options.patch,
        stride: options.stride,
        masks: options.samples.unwrap_or(usual.masks),
        baseline,
        seed: options.seed,
    }
}

/// One value a channel, as the network has them.
fn baseline(options: &Options, normalization: &Normalization) -> [f32; 3] {
    let of_colour = |level| {
        let pixel = RgbImage::from_pixel(1, 1, ::image::Rgb([level; 3]));
        let input = preprocess::to_tensor(&pixel, normalization);
        // Of one channel the first is the only one.
        std::array::from_fn(|c| input.get(c).copied().unwrap_or_default())
    };
    match options.baseline {
        Baseline::Mean => [0.0; 3],
        Baseline::Black => of_colour(0),
        Baseline::White => of_colour(255),
    }
}
