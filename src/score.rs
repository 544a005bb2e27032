//! From logits to probabilities, to the classes that are explained, and to the gradient of their score at the logits.
//!
//! This runs on the host in float64: it is a thousand numbers, and the softmax gradient of a nearly certain class is
//! a difference that float32 loses.

use clap::ValueEnum;

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

/// The `count` most probable classes, most probable first; of equals the lower number first.
pub fn top(probabilities: &[f64], count: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    classes.truncate(count);
    classes
}

/// The gradient of `class`'s score. For the probability it is p_c (1 - p_c) at the class itself and -p_c p_j at the
/// others; 1 - p_c is taken as the sum of the others, which keeps its digits when p_c is close to 1.
pub fn seed(score: Score, probabilities: &[f64], class: usize) -> Seed {
    let gradient: Vec<f64> = match score {
        Score::Logit => (0..probabilities.len())
            .map(|j| f64::from(u8::from(j == class)))
            .collect(),
        Score::Prob => {
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
    let scale = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    let direction = gradient
        .iter()
        .map(|g| if scale > 0.0 { (g / scale) as f32 } else { 0.0 })
        .collect();
    Seed { direction, scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_rank_the_classes() {
        let p = softmax(&[1.0, 3.0, -200.0, 3.0]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert_eq!(top(&p, 3), [1, 3, 0]);
        assert!((p[0] / p[1] - (-2f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_seed_is_the_softmax_gradient() {
        let logits = [0.3f32, -1.2, 2.0];
        let p = softmax(&logits);
        let Seed { direction, scale } = seed(Score::Prob, &p, 1);
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
        assert_eq!(seed(Score::Logit, &p, 1).direction, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_saturated_class_keeps_a_gradient_far_below_what_float32_could_subtract() {
        let p = softmax(&[60.0, 0.0, -5.0]);
        let Seed { direction, scale } = seed(Score::Prob, &p, 0);
        assert!(scale > 1e-27 && scale < 1e-25);
        assert_eq!(direction[0], 1.0);
        assert!((direction[1] + 1.0 / (1.0 + (-5f32).exp())).abs() < 1e-6);
    }
}
