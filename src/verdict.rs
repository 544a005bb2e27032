//! What can be said of a map before anyone looks at it.

use serde::Serialize;

use crate::cam::Reads;
use crate::method::Method;
use crate::perturbation;
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
    /// The same value everywhere.
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
        } else if largest <= 0.0 {
            Self::Empty
        } else if map.len() > 1 && largest - smallest <= ROUNDING * largest {
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

/// What a map was asked for, as far as advice depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was differentiated.
    pub score: Score,
    /// Whether the gradient was negated.
    pub counterfactual: bool,
    /// The first layer whose values are not finite; `None` where all are.
    pub not_finite: Option<&'a str>,
}

impl Asked<'_> {
    /// What to know before reading the map, and what to try instead; nothing for [`Verdict::Ok`]. `max` is the map's
    /// largest value.
    pub fn words(&self, verdict: Verdict, method: Method, max: f32) -> Option<String> {
        Some(match verdict {
            Verdict::Ok => return None,
            Verdict::Empty => format!(
                "nothing lies above zero, the largest value is {max:.3e}; written black; try {}",
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
                    Method::Cam(cam) if cam.reads() == Reads::Biases => "another class",
                    Method::Cam(_) => "an earlier --layer",
                    Method::Pixel(_) => "another method",
                    Method::Perturbation(perturbation::Method::Occlusion) => "a smaller --patch",
                    Method::Perturbation(perturbation::Method::Rise) => "more --samples",
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
        let reads = match method {
            Method::Cam(cam) => Some(cam.reads()),
            Method::Pixel(_) | Method::Perturbation(_) => None,
        };
        if reads == Some(Reads::Activations) {
            return "another --layer".to_owned();
        }
        let signed = !matches!(method, Method::Pixel(_)) && reads != Some(Reads::Biases);
        let mut tries = vec!["another class"];
        if self.score != Score::Logit {
            tries.push("--score logit");
        }
        if signed && !self.counterfactual {
            tries.push("--counterfactual");
        }
        let last = tries.pop().unwrap_or_default();
        match &tries[..] {
            [] => last.to_owned(),
            some => format!("{} or {last}", some.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attribution, cam};

    #[test]
    fn a_map_is_judged_before_it_is_drawn() {
        let of = |map: &[f64]| Verdict::of(map, 1.0);
        assert_eq!(of(&[0.0, 1.0]), Verdict::Ok);
        assert_eq!(of(&[0.0, 1e-40]), Verdict::Ok);
        assert_eq!(of(&[0.0, -1.0]), Verdict::Empty);
        assert_eq!(of(&[0.0, 0.0]), Verdict::Empty);
        assert_eq!(of(&[1.0, 1.0]), Verdict::Flat);
        assert_eq!(of(&[1.0, 1.0 - 1e-8]), Verdict::Flat);
        assert_eq!(of(&[1.0]), Verdict::Ok);
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
        let prob = Asked {
            score: Score::Prob,
            counterfactual: false,
            not_finite: None,
        };
        let (gradcam, fem) = (cam::Method::GradCam.into(), cam::Method::Fem.into());
        let gradient = attribution::Method::Gradient.into();
        let instead = |asked: Asked<'_>, method| asked.instead(method);
        assert_eq!(
            instead(prob, gradcam),
            "another class, --score logit or --counterfactual"
        );
        assert_eq!(instead(prob, gradient), "another class or --score logit");
        assert_eq!(instead(prob, fem), "another --layer");
        let tried = Asked {
            score: Score::Logit,
            counterfactual: true,
            not_finite: None,
        };
        assert_eq!(instead(tried, gradcam), "another class");

        let flat = |method| prob.words(Verdict::Flat, method, 0.5).unwrap();
        assert!(flat(gradcam).ends_with("try an earlier --layer"));
        let occlusion = perturbation::Method::Occlusion.into();
        assert!(flat(occlusion).ends_with("try a smaller --patch"));
    }
}
