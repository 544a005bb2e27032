//! What can be said of a map before anyone looks at it.

use serde::Serialize;

use crate::methods::attribution::{Inputs, Value};
use crate::methods::{Method, Setting};
use crate::score::Score;

/// Whether a map can be read as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Something to see.
    Ok,
    /// Nothing above zero: no position raises the score.
    Empty,
    /// A probability so near 0 or 1 that its gradient is below what float32 holds, and the map with it.
    Saturated,
    /// The same value everywhere, or one place only.
    Flat,
    /// NaN or infinity somewhere.
    #[serde(rename = "not finite")]
    NotFinite,
}

/// Differences within a map, as a share of its largest value, that are float32's rounding and no places.
const ROUNDING: f64 = 1e-6;

impl Verdict {
    /// Judges a map before ReLU and scaling. `gradient` is the largest magnitude of the score's gradient at the logits, see
    /// [`crate::score::Seed::scale`]; 1 for a map made without.
    pub fn of(map: &[f64], gradient: f64) -> Self {
        let largest = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = map.iter().copied().fold(f64::INFINITY, f64::min);
        let reach = largest.abs().max(smallest.abs());
        let lost = f64::from(f32::MIN_POSITIVE);
        if map.iter().any(|value| !value.is_finite()) {
            Self::NotFinite
        } else if reach < lost && gradient < lost {
            Self::Saturated
        } else if map.len() == 1 {
            Self::Flat
        } else if largest <= 0.0 {
            Self::Empty
        } else if largest - smallest <= ROUNDING * largest {
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

/// What a map was asked for and how, as far as advice on reading it depends on that.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What was differentiated.
    pub score: Score,
    /// Whether the gradient was negated.
    pub counterfactual: bool,
    /// Noisy copies.
    pub samples: usize,
    /// Deviation of their noise, as a share of the range of the input's values.
    pub noise: f64,
    /// Whether what lies below zero is drawn.
    pub signed: bool,
    /// The first layer whose values are not finite; `None` where all are.
    pub not_finite: Option<&'a str>,
}

impl Circumstances<'_> {
    /// What to know before reading the map, and what to try instead; nothing for [`Verdict::Ok`]. `max` is the map's
    /// largest value.
    pub fn words(&self, verdict: Verdict, method: Method, max: f32) -> Option<String> {
        Some(match verdict {
            Verdict::Ok => return None,
            Verdict::Empty => format!(
                "nothing lies above zero, the largest value is {max:.3e}; {}; try {}",
                match self.signed && !matches!(method, Method::Pixel(_)) {
                    true => "drawn is what lowers the score",
                    false => "written black",
                },
                self.instead(method)
            ),
            Verdict::Saturated => format!(
                "the network is so sure that the gradient of {} is lost in float32; try --score logit",
                match self.score {
                    Score::Prob => "the probability",
                    Score::LogProb => "the probability's logarithm",
                    Score::Logit => "the difference",
                }
            ),
            Verdict::Flat => {
                let finer = match method {
                    Method::Cam(_) if method.reads(Setting::Layer) => "an earlier --layer",
                    Method::Cam(_) => "another class",
                    Method::Pixel(_) => self.other_noise(method).unwrap_or("another method"),
                    Method::Perturbation(method) => method.finer(),
                };
                format!("{max:.3e} everywhere, so it shows no place; try {finer}")
            }
            Verdict::NotFinite => format!(
                "some values are infinite or no numbers, drawn as zero; it began {}",
                match self.not_finite {
                    Some(layer) => format!("at layer {layer}, whose values are not finite"),
                    None => "on the way back: every layer's own values are finite".to_owned(),
                }
            ),
        })
    }

    /// Where something may show.
    fn instead(&self, method: Method) -> String {
        if let Some(noise) = self.other_noise(method) {
            return noise.to_owned();
        }
        let reads = |setting| method.reads(setting);
        let mut tries = vec![];
        if [Setting::Score, Setting::Versus, Setting::Counterfactual].map(reads) != [false; 3] {
            tries.push("another class");
        } else if reads(Setting::Seed) {
            tries.push("another --seed");
        }
        if reads(Setting::Score) && self.score != Score::Logit {
            tries.push("--score logit");
        }
        // Those of pixels are judged by magnitude.
        let is_pixel = matches!(method, Method::Pixel(_));
        if reads(Setting::Counterfactual) && !is_pixel {
            tries.push(match self.counterfactual {
                true => "no --counterfactual",
                false => "--counterfactual",
            });
        }
        if reads(Setting::Baseline) && is_pixel {
            tries.push("another --baseline");
        }
        if tries.is_empty() {
            tries.push("another --layer");
        }
        let last = tries.pop().unwrap_or_default();
        match &tries[..] {
            [] => last.to_owned(),
            some => format!("{} or {last}", some.join(", ")),
        }
    }

    /// What to change where noisy copies cannot show anything: they do not differ, or the picture is lost in them.
    fn other_noise(&self, method: Method) -> Option<&'static str> {
        let Method::Pixel(pixel) = method else {
            return None;
        };
        let recipe = pixel.recipe();
        match (recipe.inputs, recipe.value) {
            (Inputs::Noisy, Value::Variance) if self.samples == 1 => Some("--samples 2 or more"),
            (Inputs::Noisy, Value::Variance) if self.noise == 0.0 => Some("a --noise above 0"),
            (Inputs::Noisy, _) if self.noise > 1.0 => Some("a --noise below 1"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{attribution, cam, perturbation};

    #[test]
    fn a_map_is_judged_before_it_is_drawn() {
        let of = |map: &[f64]| Verdict::of(map, 1.0);
        assert_eq!(of(&[0.0, 1.0]), Verdict::Ok);
        assert_eq!(of(&[0.0, 1e-40]), Verdict::Ok);
        assert_eq!(of(&[0.0, -1.0]), Verdict::Empty);
        assert_eq!(of(&[0.0, 0.0]), Verdict::Empty);
        assert_eq!(of(&[1.0, 1.0]), Verdict::Flat);
        assert_eq!(of(&[1.0, 1.0 - 1e-8]), Verdict::Flat);
        assert_eq!(of(&[1.0]), Verdict::Flat);
        assert_eq!(of(&[-1.0]), Verdict::Flat);
        assert_eq!(of(&[f64::NAN]), Verdict::NotFinite);
        assert_eq!(of(&[0.0, f64::NAN]), Verdict::NotFinite);
        assert_eq!(of(&[f64::INFINITY, 0.0]), Verdict::NotFinite);
    }

    /// Whether it is lost a little or altogether.
    #[test]
    fn a_vanished_gradient_is_told_from_a_map_without_evidence() {
        assert_eq!(Verdict::of(&[0.0, 1e-40], 1e-40), Verdict::Saturated);
        assert_eq!(Verdict::of(&[-1e-40, -2e-40], 1e-40), Verdict::Saturated);
        assert_eq!(Verdict::of(&[0.0, 0.0], 0.0), Verdict::Saturated);
        assert_eq!(Verdict::of(&[0.0, 1.0], 1e-40), Verdict::Ok);
        assert_eq!(Verdict::of(&[0.0, -1e-3], 1e-20), Verdict::Empty);
    }

    #[test]
    fn advice_names_what_was_not_tried() {
        let prob = Circumstances {
            score: Score::Prob,
            counterfactual: false,
            samples: 25,
            noise: 0.15,
            signed: false,
            not_finite: None,
        };
        let (gradcam, fem) = (cam::Method::GradCam.into(), cam::Method::Fem.into());
        let gradient = attribution::Method::Gradient.into();
        let instead = |asked: Circumstances<'_>, method| asked.instead(method);
        assert_eq!(
            instead(prob, gradcam),
            "another class, --score logit or --counterfactual"
        );
        assert_eq!(instead(prob, gradient), "another class or --score logit");
        assert_eq!(instead(prob, fem), "another --layer");
        let tried = Circumstances {
            score: Score::Logit,
            counterfactual: true,
            ..prob
        };
        assert_eq!(
            instead(tried, gradcam),
            "another class or no --counterfactual"
        );
        let occlusion = perturbation::Method::Occlusion.into();
        assert_eq!(
            instead(tried, occlusion),
            "another class or no --counterfactual"
        );
        // What a method does not read does not help.
        let random = cam::Method::RandomCam.into();
        assert_eq!(instead(prob, random), "another --seed");
        let fullgrad = cam::Method::FullGrad.into();
        assert_eq!(instead(prob, fullgrad), "another class or --score logit");
        let scorecam = cam::Method::ScoreCam.into();
        assert_eq!(instead(prob, scorecam), "another class or --counterfactual");
        let integrated = attribution::Method::IntegratedGradients.into();
        assert_eq!(
            instead(tried, integrated),
            "another class or another --baseline"
        );

        let (variance, smooth) = (
            attribution::Method::VarGrad.into(),
            attribution::Method::SmoothGrad.into(),
        );
        let with = |samples, noise| Circumstances {
            samples,
            noise,
            ..prob
        };
        assert_eq!(instead(with(1, 0.15), variance), "--samples 2 or more");
        assert_eq!(instead(with(25, 0.0), variance), "a --noise above 0");
        assert_eq!(instead(with(1, 100.0), smooth), "a --noise below 1");
        assert_eq!(
            instead(with(1, 0.0), smooth),
            "another class or --score logit"
        );

        let flat = |method| prob.words(Verdict::Flat, method, 0.5).unwrap();
        assert!(flat(gradcam).ends_with("try an earlier --layer"));
        assert!(flat(occlusion).ends_with("try a smaller --patch"));
    }
}
