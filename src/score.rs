//! From logits to probabilities, to the classes that are explained, and to the gradient of their score at the logits.
//!
//! This runs on the host in float64: it is a thousand numbers, and the softmax gradient of a nearly certain class is
//! a difference that float32 loses.

use crate::named::named;
use crate::network::OutputKind;

named! {
    /// What is differentiated.
    pub enum Score {
        /// The class's probability, after the softmax, as the original program does
        Prob = "prob",
        /// The class's value before the softmax, as the paper does
        Logit = "logit",
        /// The probability's logarithm, which counts what other classes gain against the class and fades only as it nears 1
        LogProb = "logprob",
    }
}

/// What is asked of a class: why its score is high, why it is higher than another's, or what would lower it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    /// What is differentiated.
    pub score: Score,
    /// The class whose score is subtracted: why the one rather than the other. The difference of two logarithms of a
    /// softmax's probabilities is that of the logits.
    pub versus: Option<usize>,
    /// The gradient is negated: what would lower the score (arXiv 1610.02391, section 3.3).
    pub counterfactual: bool,
}

impl From<Score> for Objective {
    /// Why the score is high.
    fn from(score: Score) -> Self {
        Self {
            score,
            versus: None,
            counterfactual: false,
        }
    }
}

/// The gradient of a class's score at the logits, as `scale * direction`: the direction's largest value is 1, so that
/// float32 carries it through the network however small the gradient is.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// One value a class, within -1..=1.
    pub direction: Vec<f32>,
    /// Above zero unless the gradient is zero altogether.
    pub scale: f64,
}

/// What the network says of each class, 0 to 1.
pub fn probabilities(kind: OutputKind, logits: &[f32]) -> Vec<f64> {
    match kind {
        OutputKind::Softmax => softmax(logits),
        OutputKind::Sigmoid => logits.iter().map(|&z| sigmoid(f64::from(z))).collect(),
    }
}

/// 1 / (1 + exp(-z)): a power that overflows gives 0, which is the limit.
fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Softmax of the logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&z| (f64::from(z) - f64::from(largest)).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The `count` most probable classes, most probable first; of equals the lower number first. By their logits, whose
/// order is that of the probabilities and which still differ where these have all become 1.
pub fn top(logits: &[f32], count: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    classes.truncate(count);
    classes
}

impl Objective {
    /// Its value for `class`.
    pub fn value(&self, kind: OutputKind, logits: &[f32], class: usize) -> f64 {
        let of = |class| self.score.value(kind, logits, class);
        let value = of(class) - self.versus.map_or(0.0, of);
        if self.counterfactual { -value } else { value }
    }

    /// Its gradient for `class` at the logits.
    pub fn seed(&self, kind: OutputKind, logits: &[f32], class: usize) -> Seed {
        let mut gradient = self.score.gradient(kind, logits, class);
        if let Some(other) = self.versus {
            let other = self.score.gradient(kind, logits, other);
            gradient.iter_mut().zip(other).for_each(|(g, o)| *g -= o);
        }
        self.directed(Seed::new(&gradient))
    }

    /// The seed of [`finer`], negated for a counterfactual.
    pub fn finer(&self, logits: &[f32], class: usize) -> Seed {
        self.directed(finer(logits, class))
    }

    fn directed(&self, mut seed: Seed) -> Seed {
        if self.counterfactual {
            seed.direction.iter_mut().for_each(|g| *g = -*g);
        }
        seed
    }
}

impl Score {
    fn value(self, kind: OutputKind, logits: &[f32], class: usize) -> f64 {
        let z = f64::from(logits[class]);
        match (self, kind) {
            (Self::Logit, _) => z,
            (Self::Prob, _) => probabilities(kind, logits)[class],
            // ln(1 / (1 + exp(-z))), without a power that overflows.
            (Self::LogProb, OutputKind::Sigmoid) => z.min(0.0) - (-z.abs()).exp().ln_1p(),
            (Self::LogProb, OutputKind::Softmax) => {
                let differences = logits.iter().map(|&other| f64::from(other) - z);
                let most = differences.clone().fold(f64::NEG_INFINITY, f64::max);
                -most - differences.map(|d| (d - most).exp()).sum::<f64>().ln()
            }
        }
    }

    /// The gradient of `class`'s score at the logits. For a softmax's log-probability it is 1 - p_c at the class itself
    /// and -p_j at the others, and for its probability p_c times that; 1 - p_c is taken as the sum of the others, which
    /// keeps its digits when p_c is close to 1. For a sigmoid's it is 1 - p_c, the sigmoid of -z_c, at the class alone,
    /// and p_c times that.
    fn gradient(self, kind: OutputKind, logits: &[f32], class: usize) -> Vec<f64> {
        let mut gradient = vec![0.0; logits.len()];
        match kind {
            _ if self == Self::Logit => gradient[class] = 1.0,
            OutputKind::Sigmoid => {
                let z = f64::from(logits[class]);
                let factor = if self == Self::Prob { sigmoid(z) } else { 1.0 };
                gradient[class] = factor * sigmoid(-z);
            }
            OutputKind::Softmax => {
                let p = softmax(logits);
                let factor = if self == Self::Prob { p[class] } else { 1.0 };
                let others: f64 = p[..class].iter().chain(&p[class + 1..]).sum();
                for (g, p) in gradient.iter_mut().zip(&p) {
                    *g = -factor * p;
                }
                gradient[class] = factor * others;
            }
        }
        gradient
    }
}

impl Seed {
    fn new(gradient: &[f64]) -> Self {
        if gradient.iter().any(|g| g.is_nan()) {
            // Of logits that are not finite. As zeros they would look like a probability that cannot rise.
            return Self {
                direction: vec![f32::NAN; gradient.len()],
                scale: f64::NAN,
            };
        }
        let scale = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        let direction = gradient
            .iter()
            .map(|g| if scale > 0.0 { (g / scale) as f32 } else { 0.0 })
            .collect();
        Self { direction, scale }
    }
}

/// Classes that [`finer`] compares with.
const RIVALS: usize = 3;

/// What sets `class` apart from its rivals, the `RIVALS` other classes nearest to it in logit:
/// F = sum of p_i (z_c - z_i) / (sum of p_i + 1e-9), sums over the rivals i, p the softmax of z (arXiv 2501.11309).
/// The gradient goes through p as well.
pub fn finer(logits: &[f32], class: usize) -> Seed {
    let p = softmax(logits);
    let lead = |i: usize| f64::from(logits[class]) - f64::from(logits[i]);
    let mut rivals: Vec<usize> = (0..logits.len()).filter(|&i| i != class).collect();
    rivals.sort_by(|&a, &b| lead(a).abs().total_cmp(&lead(b).abs()));
    rivals.truncate(RIVALS);
    let over_rivals = |term: &dyn Fn(usize) -> f64| rivals.iter().map(|&i| term(i)).sum::<f64>();
    let weight = over_rivals(&|i| p[i]);
    let value = over_rivals(&|i| p[i] * lead(i)) / (weight + 1e-9);
    // With dp_i/dz_j = p_i ([i = j] - p_j): every rival's own term, and p_j times the sum of them all at every j.
    let own = |i: usize| p[i] * (lead(i) - value);
    let all = over_rivals(&own);
    let gradient: Vec<f64> = (0..logits.len())
        .map(|j| {
            let through_p = if rivals.contains(&j) { own(j) } else { 0.0 } - p[j] * all;
            let through_z = if j == class {
                weight
            } else if rivals.contains(&j) {
                -p[j]
            } else {
                0.0
            };
            (through_p + through_z) / (weight + 1e-9)
        })
        .collect();
    Seed::new(&gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_rank_the_classes() {
        let p = softmax(&[1.0, 3.0, -200.0, 3.0]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert_eq!(top(&[1.0, 3.0, -200.0, 3.0], 3), [1, 3, 0]);
        assert!((p[0] / p[1] - (-2f64).exp()).abs() < 1e-12);
    }

    const KINDS: [OutputKind; 2] = [OutputKind::Softmax, OutputKind::Sigmoid];

    #[test]
    fn every_seed_is_the_gradient_of_its_value() {
        let logits = [0.25f32, -1.25, 2.0];
        for (&score, kind) in Score::ALL
            .iter()
            .zip([KINDS; 3])
            .flat_map(|(s, k)| k.map(|k| (s, k)))
        {
            for (versus, counterfactual) in [
                (None, false),
                (Some(2), false),
                (Some(0), true),
                (None, true),
            ] {
                let objective = Objective {
                    score,
                    versus,
                    counterfactual,
                };
                let Seed { direction, scale } = objective.seed(kind, &logits, 1);
                for j in 0..3 {
                    let moved = |step: f32| {
                        let mut z = logits;
                        z[j] += step;
                        objective.value(kind, &z, 1)
                    };
                    let numeric = (moved(1.0 / 256.0) - moved(-1.0 / 256.0)) * 128.0;
                    let ours = f64::from(direction[j]) * scale;
                    let what = format!("{objective:?}, {kind:?}, {j}: {ours} and {numeric}");
                    assert!((ours - numeric).abs() < 1e-5, "{what}");
                }
            }
        }
        let logit = Objective::from(Score::Logit).seed(OutputKind::Softmax, &logits, 1);
        assert_eq!(logit.direction, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn log_probabilities_differ_by_as_much_as_logits() {
        let logits = [60.0f32, 0.0, -700.0];
        let [of_log, of_logit] = [Score::LogProb, Score::Logit].map(|score| {
            let versus = Objective {
                versus: Some(2),
                ..score.into()
            };
            (
                versus.seed(OutputKind::Softmax, &logits, 0),
                versus.value(OutputKind::Softmax, &logits, 0),
            )
        });
        assert_eq!(of_log, of_logit);
        assert_eq!(of_logit.0.direction, [1.0, 0.0, -1.0]);
    }

    #[test]
    fn the_logarithm_of_a_vanishing_probability_keeps_its_gradient() {
        for kind in KINDS {
            let objective = Objective::from(Score::LogProb);
            let Seed { direction, scale } = objective.seed(kind, &[900.0, -900.0], 1);
            assert_eq!((direction[1], scale), (1.0, 1.0), "{kind:?}");
            assert!(objective.value(kind, &[900.0, -900.0], 1) <= -900.0);
        }
    }

    #[test]
    fn the_finer_seed_is_the_gradient_of_the_lead_over_the_rivals() {
        let logits = [0.3f32, 1.2, 2.0, -3.0, 0.5, 1.0];
        let (class, rivals) = (2, [1, 5, 4]);
        let value = |z: &[f32]| {
            let p = softmax(z);
            let sum = |term: &dyn Fn(usize) -> f64| rivals.iter().map(|&i| term(i)).sum::<f64>();
            let lead = |i: usize| f64::from(z[class]) - f64::from(z[i]);
            sum(&|i| p[i] * lead(i)) / (sum(&|i| p[i]) + 1e-9)
        };
        let Seed { direction, scale } = finer(&logits, class);
        for j in 0..logits.len() {
            let moved = |step: f32| {
                let mut z = logits;
                z[j] += step;
                value(&z)
            };
            let numeric = (moved(1.0 / 256.0) - moved(-1.0 / 256.0)) * 128.0;
            let ours = f64::from(direction[j]) * scale;
            assert!((ours - numeric).abs() < 1e-5, "{j}: {ours} and {numeric}");
        }
    }

    #[test]
    fn a_network_of_one_class_has_no_rivals() {
        assert_eq!(finer(&[2.0], 0).direction, [0.0]);
    }

    #[test]
    fn logits_that_are_not_finite_have_no_gradient_rather_than_none_left() {
        let prob = Objective::from(Score::Prob);
        let seed = prob.seed(OutputKind::Softmax, &[f32::INFINITY, 0.0], 0);
        assert!(seed.scale.is_nan() && seed.direction.iter().all(|d| d.is_nan()));
    }

    #[test]
    fn a_saturated_class_keeps_a_gradient_far_below_what_float32_could_subtract() {
        let logits = [60.0, 0.0, -5.0];
        let Seed { direction, scale } =
            Objective::from(Score::Prob).seed(OutputKind::Softmax, &logits, 0);
        assert!(scale > 1e-27 && scale < 1e-25);
        assert_eq!(direction[0], 1.0);
        assert!((direction[1] + 1.0 / (1.0 + (-5f32).exp())).abs() < 1e-6);
    }

    #[test]
    fn independent_classes_are_ranked_by_their_own_probability_even_where_all_are_certain() {
        let logits = [50.0, 90.0, -90.0, 0.0];
        let p = probabilities(OutputKind::Sigmoid, &logits);
        assert_eq!(p[..2], [1.0, 1.0]);
        assert_eq!(p[3], 0.5);
        assert!((p[2] / (-90f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(top(&logits, 3), [1, 0, 3]);
    }

    #[test]
    fn the_seed_of_an_independent_class_is_its_own_and_survives_certainty() {
        let kind = OutputKind::Sigmoid;
        for (z, expected) in [(0.0, 0.25), (2.0, 0.104_993_585), (90.0, (-90f64).exp())] {
            for z in [z, -z] {
                let Seed { direction, scale } =
                    Objective::from(Score::Prob).seed(kind, &[7.0, z], 1);
                assert_eq!(direction, [0.0, 1.0]);
                assert!((scale / expected - 1.0).abs() < 1e-7, "{z}: {scale}");
            }
        }
        let lost = Objective::from(Score::Prob).seed(kind, &[1e30], 0);
        assert_eq!((lost.direction, lost.scale), (vec![0.0], 0.0));
    }
}
