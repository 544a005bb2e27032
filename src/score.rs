//! From logits to probabilities, to the classes that are explained, and to the gradient of their score at the logits.
//!
//! This runs on the host in float64: it is a thousand numbers, and the softmax gradient of a nearly certain class is
//! a difference that float32 loses.

use clap::ValueEnum;

use crate::network::OutputKind;

/// What is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Score {
    /// The class's probability, after the softmax, as the original program does
    Prob,
    /// The class's value before the softmax, as the paper does
    Logit,
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

/// The gradient of `class`'s score. For a softmax's probability it is p_c (1 - p_c) at the class itself and -p_c p_j at
/// the others; 1 - p_c is taken as the sum of the others, which keeps its digits when p_c is close to 1. For a
/// sigmoid's it is p_c (1 - p_c) at the class alone, and 1 - p_c is the sigmoid of -z_c.
pub fn seed(score: Score, kind: OutputKind, logits: &[f32], class: usize) -> Seed {
    let alone = |value: f64| {
        let mut gradient = vec![0.0; logits.len()];
        gradient[class] = value;
        gradient
    };
    let gradient: Vec<f64> = match (score, kind) {
        (Score::Logit, _) => alone(1.0),
        (Score::Prob, OutputKind::Sigmoid) => {
            let z = f64::from(logits[class]);
            alone(sigmoid(z) * sigmoid(-z))
        }
        (Score::Prob, OutputKind::Softmax) => {
            let probabilities = softmax(logits);
            let p = probabilities[class];
            let others: f64 = probabilities
                .iter()
                .enumerate()
                .filter(|&(j, _)| j != class)
                .map(|(_, p)| p)
                .sum();
            let at = |j: usize| {
                if j == class {
                    p * others
                } else {
                    -p * probabilities[j]
                }
            };
            (0..probabilities.len()).map(at).collect()
        }
    };
    Seed::new(&gradient)
}

impl Seed {
    fn new(gradient: &[f64]) -> Self {
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

    #[test]
    fn the_seed_is_the_softmax_gradient() {
        let logits = [0.3f32, -1.2, 2.0];
        let kind = OutputKind::Softmax;
        let Seed { direction, scale } = seed(Score::Prob, kind, &logits, 1);
        for j in 0..3 {
            let mut moved = logits;
            let step = 1e-3;
            moved[j] += step;
            let up = softmax(&moved)[1];
            moved[j] -= 2.0 * step;
            let numeric = (up - softmax(&moved)[1]) / (2.0 * f64::from(step));
            let ours = f64::from(direction[j]) * scale;
            assert!((ours - numeric).abs() < 1e-6, "{j}: {ours} and {numeric}");
        }
        let logit = seed(Score::Logit, kind, &logits, 1);
        assert_eq!(logit.direction, [0.0, 1.0, 0.0]);
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
    fn a_saturated_class_keeps_a_gradient_far_below_what_float32_could_subtract() {
        let logits = [60.0, 0.0, -5.0];
        let Seed { direction, scale } = seed(Score::Prob, OutputKind::Softmax, &logits, 0);
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
                let Seed { direction, scale } = seed(Score::Prob, kind, &[7.0, z], 1);
                assert_eq!(direction, [0.0, 1.0]);
                assert!((scale / expected - 1.0).abs() < 1e-7, "{z}: {scale}");
            }
        }
        let lost = seed(Score::Prob, kind, &[1e30], 0);
        assert_eq!((lost.direction, lost.scale), (vec![0.0], 0.0));
    }
}
