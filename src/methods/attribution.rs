//! The pixel methods: pure functions from gradients at the network's input to a value for each channel of each pixel.
//!
//! x is the network's input, x' the baseline, g the gradient of the score with respect to x, all C x H x W in the network's
//! order and units; [`crate::picture::preprocess::to_picture`] carries the result to the picture. Formulas agree with captum
//! 0.9.0, see `tests/fixtures/methods`. captum differentiates what the network puts out, a logit as a rule; here it is the
//! score asked for ([`crate::score`]).
//!
//! A method is a [`Recipe`]: what ReLUs let through on the backward pass, the inputs at which gradients are taken, and what is
//! made of them. Methods that share the first two share their passes. To add one: its name in the list of [`Method`]s, and its
//! row of the table below.
//!
//! Where gradients are taken at many inputs, several go there and back at once, and all classes share their forward passes.
//! How many is settled by memory, for each input holds its activations, and by the length of a dispatch
//! ([`crate::plan::walks_at_once`]): of VGG16 at 224 x 224 at most four with one class, and one with three.

use crate::methods::Setting;
use crate::methods::map::Map;
use crate::methods::noise;
use crate::named::named;
use crate::network::{ReluRule, Shape};

named! {
    /// Method that gives values at the pixels.
    ///
    /// One pass is a forward pass and a backward pass to the pixels; all classes of a picture share the former, and methods
    /// with the same rule and inputs share both. Of the methods of one pass, the forward pass is the picture's own, and CAM
    /// methods share the backward pass of the plain rule.
    pub enum Method {
        /// The gradient itself: what a small change of a pixel does to the score
        ///
        /// g (Simonyan et al., arXiv 1312.6034). One pass. For what the score is sensitive to, exact for small changes, and
        /// noisy; the other methods are made of it. captum's `Saliency` returns its magnitude unless told `abs=False`; the
        /// paper draws the largest magnitude over channels, as the heat map here does.
        Gradient = "gradient" | "saliency",
        /// Gradient times input
        ///
        /// g (x - x') (Shrikumar et al., arXiv 1605.01713). One pass. In units of the score, the same whatever the scale of the
        /// pixels: to first order what the score would lose with the pixel at the baseline. A quick look before integrated
        /// gradients. captum's `InputXGradient` has no baseline; it is this with zero, the default.
        GradientXInput = "gradient-x-input" | "input-x-gradient" | "gradient-input",
        /// Guided backpropagation: gradients above zero through active neurons
        ///
        /// g with each ReLU passing what is above zero where its input was (Springenberg et al., arXiv 1412.6806). One pass.
        /// For fine structure, beside a map of the class: sharp, and hardly of the class, it shows edges that the network sees.
        /// captum's `GuidedBackprop` and pytorch-grad-cam's `GuidedBackpropReLUModel` have the same rule, but only at modules
        /// of the class `ReLU`; here it holds at every ReLU of the graph, and at a ReLU6 where its input was between the
        /// bounds.
        GuidedBprop = "guided-bprop" | "guided-backprop" | "guided-backpropagation",
        /// Deconvolution: gradients above zero, active or not
        ///
        /// g with each ReLU passing what is above zero, whatever its input was (Zeiler and Fergus, arXiv 1311.2901). One pass.
        /// For what could raise the score rather than what did: neurons that were silent pass gradients too, so that it is less
        /// of this picture than guided backpropagation. The paper starts from one neuron of a layer, here and in captum's
        /// `Deconvolution` from the score. Its unpooling by switches is what the gradient of a max-pool does.
        Deconvnet = "deconvnet" | "deconvolution",
        /// Guided backpropagation lit by the Grad-CAM map
        ///
        /// Guided backpropagation times the map, resized, above zero, its largest value 1 (Selvaraju et al., arXiv 1610.02391).
        /// One pass, and one back to the target layer. For fine structure where the class is. captum's `GuidedGradCam` takes
        /// what is above zero before it resizes, resizes to the nearest position unless told otherwise, and does not scale.
        GuidedGradcam = "guided-gradcam",
        /// SmoothGrad: the gradient, averaged over noisy copies
        ///
        /// Mean of g at x + noise (Smilkov et al., arXiv 1706.03825). --samples passes. For a gradient that can be read: what
        /// differs from copy to copy cancels. The noise is normal, its deviation a share of the input's range (--noise), as in
        /// the authors' code, whose defaults of 0.15 and 25 copies these are; that code averages squares unless told otherwise.
        /// captum's `NoiseTunnel` takes the deviation itself, 1 in the input's units by default, and 5 copies; around
        /// `Saliency` it averages magnitudes unless told `abs=False`.
        SmoothGrad = "smoothgrad",
        /// SmoothGrad of squares
        ///
        /// Mean of g^2 over the same copies (Hooker et al., arXiv 1806.10758). --samples passes. For where the score is
        /// sensitive, whichever way: opposite signs do not cancel, and strong places stand out more. captum's `smoothgrad_sq`,
        /// but for the defaults named under SmoothGrad.
        SquareGrad = "squaregrad" | "smoothgrad-sq",
        /// Variance of the gradient over noisy copies
        ///
        /// Mean of g^2 less the square of the mean of g (Adebayo et al., arXiv 1810.03292). --samples passes. For where the
        /// gradient depends on the noise, and so on details; a gradient that is the same in all copies gives nothing. captum's
        /// `vargrad`, but for the same defaults, and for its float32, in which rounding may take a variance below zero; here
        /// none is.
        VarGrad = "vargrad",
        /// Integrated gradients: the score's rise from a baseline, shared out to the pixels
        ///
        /// (x - x') times the mean of g on the straight line from x' to x (Sundararajan et al., arXiv 1703.01365). --steps
        /// passes. For values that add up: they sum to the difference of the scores at x and x', but for the error of the
        /// steps. A pixel that is like the baseline counts for nothing. Gradients are taken at the middles of equal steps,
        /// captum's `riemann_middle`; its default is the points of Gauss and Legendre, and the paper takes the ends of the
        /// steps.
        IntegratedGradients = "integrated-gradients",
    }
}

/// How a method comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What each ReLU lets through on the backward pass.
    pub rule: ReluRule,
    /// Where gradients are taken.
    pub inputs: Inputs,
    /// What is made of them.
    pub value: Value,
}

/// The inputs at which gradients are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// The picture alone.
    Picture,
    /// The picture with noise, [`Settings::samples`] times.
    Noisy,
    /// The middles of [`Settings::steps`] equal steps from the baseline to the picture.
    Path,
}

/// What is made of the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Their mean.
    Mean,
    /// The mean of their squares.
    MeanSquare,
    /// Their variance.
    Variance,
    /// Their mean times the input less the baseline.
    TimesDifference,
    /// Their mean times the Grad-CAM map, drawn.
    TimesHeat,
}

impl Value {
    /// Power of the gradient in it: with the picture in other units, it changes by so many factors.
    pub fn degree(self) -> i32 {
        match self {
            Self::Mean | Self::TimesHeat => 1,
            Self::MeanSquare | Self::Variance => 2,
            Self::TimesDifference => 0,
        }
    }
}

/// What makes a method.
struct Row {
    recipe: Recipe,
    settings: &'static [Setting],
}

impl Method {
    /// Its row of the table of methods.
    fn row(self) -> Row {
        use Inputs::{Noisy, Path, Picture};
        use ReluRule::{Deconv, Guided, Plain};
        use Setting::{
            Baseline, Counterfactual, Layer, Noise, Samples, Score, Seed, Steps, Versus,
        };
        use Value::{Mean, MeanSquare, TimesDifference, TimesHeat, Variance};
        // What all of them read whose values have a sign.
        const ASKED: &[Setting] = &[Score, Versus, Counterfactual];
        let row = |rule, inputs, value, settings| Row {
            recipe: Recipe {
                rule,
                inputs,
                value,
            },
            settings,
        };
        match self {
            Self::Gradient => row(Plain, Picture, Mean, ASKED),
            Self::GradientXInput => {
                let settings = &[Score, Versus, Counterfactual, Baseline];
                row(Plain, Picture, TimesDifference, settings)
            }
            Self::GuidedBprop => row(Guided, Picture, Mean, ASKED),
            Self::Deconvnet => row(Deconv, Picture, Mean, ASKED),
            Self::GuidedGradcam => {
                let settings = &[Layer, Score, Versus, Counterfactual];
                row(Guided, Picture, TimesHeat, settings)
            }
            Self::SmoothGrad => {
                let settings = &[Score, Versus, Counterfactual, Samples, Noise, Seed];
                row(Plain, Noisy, Mean, settings)
            }
            // Squares and variances have no sign.
            Self::SquareGrad => {
                let settings = &[Score, Versus, Samples, Noise, Seed];
                row(Plain, Noisy, MeanSquare, settings)
            }
            Self::VarGrad => {
                let settings = &[Score, Versus, Samples, Noise, Seed];
                row(Plain, Noisy, Variance, settings)
            }
            Self::IntegratedGradients => {
                let settings = &[Score, Versus, Counterfactual, Steps, Baseline];
                row(Plain, Path, TimesDifference, settings)
            }
        }
    }

    /// How it comes about.
    pub fn recipe(self) -> Recipe {
        self.row().recipe
    }

    /// The options that change its values, in the order of the help.
    pub fn settings(self) -> &'static [Setting] {
        self.row().settings
    }
}

/// The numbers that methods depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Noisy copies; at least 1.
    pub samples: usize,
    /// Standard deviation of the noise, as a share of the range of the input's values.
    pub noise: f64,
    /// Steps from the baseline to the picture; at least 1.
    pub steps: usize,
    /// x', one value a channel in the network's order and units; zero beyond the third.
    pub baseline: [f32; 3],
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Settings {
    /// 25 copies with noise of 0.15; 50 steps from zero, the mean picture of networks that subtract it.
    fn default() -> Self {
        Self {
            samples: 25,
            noise: 0.15,
            steps: 50,
            baseline: [0.0; 3],
            seed: 0,
        }
    }
}

impl Inputs {
    /// How many there are.
    pub fn count(self, settings: &Settings) -> usize {
        match self {
            Self::Picture => 1,
            Self::Noisy => settings.samples,
            Self::Path => settings.steps,
        }
    }

    /// Input number `index` for the picture `x` of `shape`.
    pub fn at(self, settings: &Settings, x: &[f32], shape: Shape, index: usize) -> Vec<f32> {
        match self {
            Self::Picture => x.to_vec(),
            Self::Noisy => {
                let (min, max) = crate::methods::map::range(x).unwrap_or((0.0, 0.0));
                let deviation = settings.noise * (f64::from(max) - f64::from(min));
                let first = (index * x.len()) as u64;
                let noisy = |(i, x): (u64, &f32)| {
                    (f64::from(*x) + deviation * noise::normal(settings.seed, first + i)) as f32
                };
                (0..).zip(x).map(noisy).collect()
            }
            Self::Path => {
                let along = (index as f64 + 0.5) / settings.steps as f64;
                let differences = differences(settings, x, shape);
                let back = |(x, d): (&f32, f64)| (f64::from(*x) - (1.0 - along) * d) as f32;
                x.iter().zip(differences).map(back).collect()
            }
        }
    }
}

/// x - x'.
fn differences(settings: &Settings, x: &[f32], shape: Shape) -> impl Iterator<Item = f64> {
    let positions = shape.h * shape.w;
    x.iter().enumerate().map(move |(i, &x)| {
        let baseline = settings.baseline.get(i / positions).copied().unwrap_or(0.0);
        f64::from(x) - f64::from(baseline)
    })
}

/// Sums of gradients and of their squares, in float64.
#[derive(Clone, Debug)]
pub struct Moments {
    count: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Of no gradient of `len` values yet.
    pub fn new(len: usize) -> Self {
        Self {
            count: 0,
            sum: vec![0.0; len],
            squares: vec![0.0; len],
        }
    }

    /// Counts `scale * gradient`.
    pub fn add(&mut self, gradient: &[f32], scale: f64) {
        self.count += 1;
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((sum, squares), &g) in sums.zip(gradient) {
            let g = f64::from(g) * scale;
            *sum += g;
            *squares += g * g;
        }
    }

    /// The method's values for the picture `x` of `shape`, C x H x W; `heat` is the drawn Grad-CAM map of the picture's size.
    ///
    /// # Panics
    /// If [`Value::TimesHeat`] is asked for and there is no heat.
    pub fn value(
        &self,
        value: Value,
        settings: &Settings,
        x: &[f32],
        shape: Shape,
        heat: Option<&Map>,
    ) -> Vec<f64> {
        let count = self.count as f64;
        let mean = self.sum.iter().map(|sum| sum / count);
        let squares = self.squares.iter().map(|squares| squares / count);
        match value {
            Value::Mean => mean.collect(),
            Value::MeanSquare => squares.collect(),
            // Not below zero: the difference of equal numbers may be, by rounding.
            Value::Variance => squares
                .zip(mean)
                .map(|(s, m)| (s - m * m).max(0.0))
                .collect(),
            Value::TimesDifference => mean
                .zip(differences(settings, x, shape))
                .map(|(m, d)| m * d)
                .collect(),
            Value::TimesHeat => {
                let heat = &heat.expect("drawn for the methods that need it").values;
                mean.zip(heat.iter().cycle())
                    .map(|(m, &h)| m * f64::from(h))
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(3, 1, 2);
    const X: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    fn settings() -> Settings {
        Settings {
            baseline: [1.0, 0.0, -1.0],
            steps: 4,
            ..Settings::default()
        }
    }

    #[test]
    fn the_path_goes_from_the_baseline_to_the_picture_by_middles_of_steps() {
        let at = |index| Inputs::Path.at(&settings(), &X, SHAPE, index);
        // One eighth of the way from (1, 1, 0, 0, -1, -1), and seven eighths.
        assert_eq!(at(0), [1.0, 1.125, 0.375, 0.5, -0.25, -0.125]);
        assert_eq!(at(3), [1.0, 1.875, 2.625, 3.5, 4.25, 5.125]);
        assert_eq!(Inputs::Path.count(&settings()), 4);
    }

    #[test]
    fn noise_has_its_share_of_the_range_and_differs_from_copy_to_copy() {
        let x: Vec<f32> = (0..3000u16).map(|i| f32::from(i % 11)).collect();
        let shape = Shape::new(3, 10, 100);
        let at = |index| Inputs::Noisy.at(&settings(), &x, shape, index);
        let squares = at(0)
            .into_iter()
            .zip(&x)
            .map(|(n, x)| f64::from(n - x).powi(2));
        let deviation = (squares.sum::<f64>() / 3000.0).sqrt();
        assert!((deviation - 1.5).abs() < 0.1, "{deviation}");
        assert_ne!(at(0), at(1));
        assert_eq!(at(2), at(2));
    }

    #[test]
    fn each_value_is_what_its_formula_says() {
        let mut moments = Moments::new(6);
        moments.add(&[1.0; 6], 2.0);
        moments.add(&[3.0; 6], 2.0);
        let heat = Map::new(2, 1, vec![0.5, 0.0]);
        let value = |value| moments.value(value, &settings(), &X, SHAPE, Some(&heat));
        assert_eq!(value(Value::Mean), [4.0; 6]);
        assert_eq!(value(Value::MeanSquare), [20.0; 6]);
        assert_eq!(value(Value::Variance), [4.0; 6]);
        assert_eq!(value(Value::TimesHeat), [2.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
        assert_eq!(
            value(Value::TimesDifference),
            [0.0, 4.0, 12.0, 16.0, 24.0, 28.0]
        );
    }
}
