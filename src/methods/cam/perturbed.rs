//! The methods that try channels one by one: what is put through the network for each, and the map from what came out.

use super::Features;
use crate::network::Shape;

/// Whether a channel is the same everywhere: its mask is nothing, and the picture under it is black to the network.
pub fn is_flat(channel: &[f32]) -> bool {
    channel.iter().all(|a| *a == channel[0])
}

/// Score-CAM's input for a channel of the target layer, `rows` x `columns`: the picture `x` of `shape`, C x H x W, times the
/// channel, bilinear to the picture's size with the corners of both on each other (`UpsamplingBilinear2d` of `PyTorch`), then
/// less its minimum and divided by its range + 1e-8.
pub fn masked(x: &[f32], shape: Shape, channel: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let (down, across) = (corners(rows, shape.h), corners(columns, shape.w));
    let mut mask = Vec::with_capacity(shape.h * shape.w);
    for &(row, below, t) in &down {
        let (upper, lower) = (&channel[row * columns..], &channel[below * columns..]);
        mask.extend(across.iter().map(|&(left, right, u)| {
            let at = |line: &[f32]| (1.0 - u) * f64::from(line[left]) + u * f64::from(line[right]);
            (1.0 - t) * at(upper) + t * at(lower)
        }));
    }
    let least = mask.iter().copied().fold(f64::INFINITY, f64::min);
    let most = mask.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for m in &mut mask {
        *m = (*m - least) / (most - least + 1e-8);
    }
    let lit = x.iter().zip(mask.iter().cycle());
    lit.map(|(&x, m)| (f64::from(x) * m) as f32).collect()
}

/// For each of `to` positions the two of `from` that it lies between, and how far it is from the first to the second.
fn corners(from: usize, to: usize) -> Vec<(usize, usize, f64)> {
    let step = (from - 1) as f64 / (to.max(2) - 1) as f64;
    let between = |i: usize| {
        let at = i as f64 * step;
        let low = (at as usize).min(from - 1);
        (low, (low + 1).min(from - 1), at - low as f64)
    };
    (0..to).map(between).collect()
}

/// Ablation-CAM's value of the target layer: `activations` of `shape` with `channel` zero.
pub fn without(activations: &[f32], shape: Shape, channel: usize) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let mut ablated = activations.to_vec();
    ablated[channel * positions..][..positions].fill(0.0);
    ablated
}

/// The `count` channels whose removal would change the scores most, to first order: |sum of g A|, each class's as a share of
/// all its channels', summed over classes; in rising order. And the share that they hold of each class's.
pub fn choose(classes: &[Features<'_>], count: usize) -> (Vec<usize>, Vec<f64>) {
    let shares: Vec<Vec<f64>> = classes.iter().map(shares).collect();
    let channels = classes.first().map_or(0, |class| class.shape.c);
    let over_classes = |k: usize| shares.iter().map(|shares| shares[k]).sum::<f64>();
    let mut chosen: Vec<usize> = (0..channels).collect();
    chosen.sort_by(|&a, &b| over_classes(b).total_cmp(&over_classes(a)));
    chosen.truncate(count);
    chosen.sort_unstable();
    let held = |shares: &Vec<f64>| chosen.iter().map(|&k| shares[k]).sum();
    let held = shares.iter().map(held).collect();
    (chosen, held)
}

fn shares(features: &Features<'_>) -> Vec<f64> {
    let effect = |(a, g): (&[f32], _)| {
        let products = a.iter().zip(g).map(|(&a, g): (_, f64)| f64::from(a) * g);
        products.sum::<f64>().abs()
    };
    let effects: Vec<f64> = features.channels().map(effect).collect();
    let all: f64 = effects.iter().sum();
    // Where nothing has an effect, all have the same.
    let share = |effect: &f64| match all > 0.0 {
        true => effect / all,
        false => 1.0 / effects.len() as f64,
    };
    effects.iter().map(share).collect()
}

/// Score-CAM (Wang et al., CVPR Workshops 2020, arXiv 1910.01279): w = softmax over channels of the logit for the picture
/// times A_k, stretched to the picture and min-maxed ([`masked`]); map = sum over k of w_k A_k.
///
/// For a check on the methods that read gradients, or where gradients vanish: what a channel is worth is what the network
/// says of the part of the picture where it is active. Channels that are the same everywhere share a pass, and on the software
/// adapter 3x3 convolutions run only where the channel lights the picture. Always of the logit, whatever the score:
/// probabilities lie so close together that their softmax weighs all channels alike. Channels that were not tried weigh
/// nothing.
///
/// This is pytorch-grad-cam's form, the paper's less the constant logit of a black picture, which the softmax takes out. The
/// authors' own code weighs by the probability itself. In pytorch-grad-cam rounding makes noise of a channel that is the same
/// everywhere and not zero, which never is so after a `ReLU`; here it lights nothing.
pub fn score_cam(features: &Features<'_>) -> Vec<f64> {
    let logits = || features.tried.iter().map(|&(_, logit)| logit);
    let most = logits().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits().map(|z| (z - most).exp()).sum();
    let weight = |&(k, z): &(usize, f64)| (k, (z - most).exp() / sum);
    features.weighted_sum(weights(features, weight))
}

/// Ablation-CAM (Desai and Ramaswamy, WACV 2020): w_k = (s - s_k) / s, s_k the score with A_k set to zero; map = sum over k of
/// w_k A_k.
///
/// Asks no gradient, so it does not fade where a probability is near 1. Cheap after the last convolution, and as dear as
/// Score-CAM at early layers. A channel that is zero everywhere already needs no pass: its weight is exactly 0, as is that
/// of a channel that was not tried. Where the score is below zero, as logits may be, the signs turn around: the paper and
/// pytorch-grad-cam have it so.
///
/// Where a layer's least value is not 0, as without a `ReLU`, pytorch-grad-cam does not set a channel to zero, but 1e7 below
/// that value. Asked for a part of the channels, it tries those that lie most, and those that lie least, where
/// [`super::eigen_cam`] is not near zero; here it is those of the largest effect ([`choose`]).
pub fn ablation_cam(features: &Features<'_>) -> Vec<f64> {
    features.weighted_sum(weights(features, |&tried| tried))
}

/// One a channel; 0 for those that were not tried.
fn weights(
    features: &Features<'_>,
    weight: impl Fn(&(usize, f64)) -> (usize, f64),
) -> impl Iterator<Item = f64> {
    let mut weights = vec![0.0; features.shape.c];
    for (k, weight) in features.tried.iter().map(weight) {
        weights[k] = weight;
    }
    weights.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(2, 1, 2);

    fn features<'a>(gradients: &'a [f32], tried: &'a [(usize, f64)]) -> Features<'a> {
        Features {
            shape: SHAPE,
            activations: &[1.0, 2.0, 3.0, 4.0],
            gradients,
            scale: 2.0,
            seed: 0,
            eigen: false,
            biases: &[],
            tried,
        }
    }

    #[test]
    fn corners_lie_on_corners_and_the_mask_goes_from_nothing_to_the_picture() {
        let x = [2.0; 6];
        let lit = masked(&x, Shape::new(2, 1, 3), &[5.0, 9.0], [1, 2]);
        let expected = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0];
        for (lit, expected) in lit.iter().zip(expected) {
            assert!((lit - expected).abs() < 1e-6, "{lit} and {expected}");
        }
        assert!(is_flat(&[5.0, 5.0]) && !is_flat(&[5.0, 9.0]));
        assert_eq!(masked(&x, Shape::new(2, 1, 3), &[5.0], [1, 1]), [0.0; 6]);
        assert_eq!(
            masked(&[7.0], Shape::new(1, 1, 1), &[1.0, 2.0], [1, 2]),
            [0.0]
        );
    }

    #[test]
    fn score_cam_weighs_by_the_softmax_of_what_was_tried() {
        let even = score_cam(&features(&[], &[(0, 700.0), (1, 700.0)]));
        assert_eq!(even, [2.0, 3.0]);
        let one = score_cam(&features(&[], &[(1, -3.0)]));
        assert_eq!(one, [3.0, 4.0]);
    }

    #[test]
    fn ablation_cam_weighs_by_the_drop_and_leaves_the_rest_out() {
        assert_eq!(
            without(&[1.0, 2.0, 3.0, 4.0], SHAPE, 1),
            [1.0, 2.0, 0.0, 0.0]
        );
        assert_eq!(ablation_cam(&features(&[], &[(1, 0.5)])), [1.5, 2.0]);
    }

    #[test]
    fn channels_are_chosen_by_their_effect_to_first_order_on_all_classes() {
        // Effects of 2 (1 - 1) = 0 and 2 x 7, then of 2 x 3 and 2 x 3.
        let first = features(&[1.0, -0.5, 1.0, 1.0], &[]);
        let second = features(&[1.0, 1.0, -1.0, 0.0], &[]);
        assert_eq!(choose(&[first], 1), (vec![1], vec![1.0]));
        assert_eq!(choose(&[first, second], 1), (vec![1], vec![1.0, 0.5]));
        assert_eq!(choose(&[second], 9), (vec![0, 1], vec![1.0]));
        let nothing = features(&[0.0; 4], &[]);
        assert_eq!(choose(&[nothing], 1).1, [0.5]);
    }
}
