//! Published networks, known by their first filters whatever file they are in. These tell the order of the channels and the
//! scale of the pixels, which names and shapes do not.

use super::{Classifier, Evidence};
use crate::network::{FilterLayout, Network, Op};
use crate::picture::preprocess::Normalization;
use crate::weights::{self, Tensor, Weights, hex};

/// Outputs, inputs and taps of the first convolution of every published VGG.
const SHAPE: [usize; 4] = [64, 3, 3, 3];
/// Of a filter over one channel.
const TAPS: usize = 9;

/// The first filter of torchvision's VGG16, red first, to four digits.
const TORCHVISION_VGG16: [f32; 3 * TAPS] = [
    -0.5537, 0.1427, 0.5290, -0.5831, 0.3566, 0.7657, -0.6902, -0.0480, 0.4841, //
    0.1755, 0.0099, -0.0814, 0.0441, -0.0703, -0.2604, 0.1324, -0.1728, -0.1323, //
    0.3130, -0.1659, -0.4275, 0.4752, -0.0827, -0.4870, 0.6320, 0.0193, -0.2775,
];
/// The first filter of the VGG authors' VGG19, over blue alone.
const AUTHORS_VGG19: [f32; TAPS] = [
    0.34120, 0.33999, -0.04484, 0.23216, 0.08978, -0.30331, -0.07261, -0.24668, -0.33683,
];

/// The VGG authors' first convolution, filters and biases, in the float16 of the built-in network.
static AUTHORS_VGG16: &[u8] = include_bytes!("../../assets/vgg16-first-layer.safetensors");

/// Cosine from which filters are the same but for their rounding: to bfloat16, or to the digits above.
const SAME: f64 = 1.0 - 2e-6;
/// Cosine from which filters are others after some training.
const ALIKE: f64 = 0.95;
/// How much more alike filters are in one order of channels than in the other: most are nearly grey.
const MARGIN: f64 = 0.02;
/// Factors nearer to 1 are rounding.
const ROUNDING: f64 = 0.01;
/// Widths of a published network's dense layers: the last ones are `ImageNet`'s classes.
const PUBLISHED: [usize; 3] = [4096, 4096, 1000];
/// What a first convolution makes of white noise of spread 1, at least, where it was trained on pixels of about that spread.
/// The VGG authors' own, trained on 0..255, makes 1.07 of it: a large value says nothing.
const LEAST_GAIN: f64 = 0.03;

/// Looks at the first filters of a network of which it is guessed so far how pictures are scaled for it.
pub(super) fn look(classifier: &mut Classifier, weights: &Weights) {
    if !matches!(classifier.normalization_evidence, Evidence::Guess(_)) {
        return;
    }
    // Half a gigabyte takes a third of a second: only what claims to be published is held against it.
    if let Some(claimed) = weights.called_as_published() {
        let digest = weights.sha256();
        if weights.known_as(&digest) == Some(claimed) {
            classifier.normalization_evidence =
                Evidence::Known("its SHA-256 is that of the file that torchvision publishes");
            // As published, nothing is left open.
            classifier.notes.clear();
            return;
        }
        classifier.notes.push(format!(
            "the file is called as {claimed} is, and is another: its SHA-256 begins with {}",
            hex(&digest[..4])
        ));
    }
    let network = &classifier.network;
    let Some((filters, bias)) = first_filters(network) else {
        return;
    };
    let found = published(
        &filters,
        bias.as_deref(),
        widths(network).ends_with(&PUBLISHED),
    );
    let found = found.or_else(|| small(&filters, &classifier.normalization));
    if let Some((normalization, evidence)) = found {
        classifier.normalization = normalization;
        classifier.normalization_evidence = evidence;
    }
}

/// Outputs of the dense layers.
fn widths(network: &Network) -> Vec<usize> {
    let dense = |op: &Op| matches!(op, Op::Linear { .. });
    let nodes = network.nodes.iter().filter(|node| dense(&node.op));
    nodes.map(|node| node.shape.len()).collect()
}

/// The filters that read the picture, output by channel by tap, and their biases.
fn first_filters(network: &Network) -> Option<(Vec<f32>, Option<Vec<f32>>)> {
    let reads = |op: &Op| matches!(op, Op::Conv2d { .. });
    let node = network.nodes.iter().find(|node| reads(&node.op))?;
    let Op::Conv2d {
        weight,
        bias,
        layout,
        groups: 1,
        ..
    } = &node.op
    else {
        return None;
    };
    let values = weight.to_vec();
    let filters = match (layout, weight.shape()) {
        (FilterLayout::Oihw, [_, 3, 3, 3]) => values,
        (FilterLayout::Hwio, &[3, 3, 3, outputs]) => {
            let value = |at: usize| {
                let (output, channel, tap) = (at / TAPS / 3, at / TAPS % 3, at % TAPS);
                values[(tap * 3 + channel) * outputs + output]
            };
            (0..values.len()).map(value).collect()
        }
        _ => return None,
    };
    Some((filters, bias.as_ref().map(Tensor::to_vec)))
}

/// The published network whose first filters these are, as they were or after some training.
fn published(
    filters: &[f32],
    bias: Option<&[f32]>,
    has_its_head: bool,
) -> Option<(Normalization, Evidence)> {
    if filters.len() != SHAPE.iter().product::<usize>() {
        return None;
    }
    let turned: Vec<f32> = filters.chunks(3 * TAPS).flat_map(turned).collect();
    let evidence = |same: bool, certain, guess| match same && has_its_head {
        true => Evidence::Known(certain),
        false => Evidence::Guess(guess),
    };

    let torchvision = |filters: &[f32]| alike(&filters[..3 * TAPS], &TORCHVISION_VGG16);
    let (cosine, factor) = torchvision(filters);
    if cosine > ALIKE && cosine > torchvision(&turned).0 + MARGIN && is_one(factor, cosine) {
        let evidence = evidence(
            cosine > SAME,
            "its first filters are those of torchvision's VGG16",
            "its first filters are like those of torchvision's VGG16",
        );
        return Some((Normalization::TORCH, evidence));
    }

    // Blue first.
    let (authors, biases) = authors_vgg16();
    let [direct, reversed] = [filters, &turned].map(|filters| alike(filters, &authors));
    let bgr = direct.0 > reversed.0;
    let (blue, (cosine, factor), (other, _)) = match bgr {
        true => (filters, direct, reversed),
        false => (&turned[..], reversed, direct),
    };
    let same = cosine > SAME || alike(&blue[..TAPS], &AUTHORS_VGG19).0 > SAME;
    if !same && (cosine < ALIKE || cosine < other + MARGIN) {
        return None;
    }
    let mut normalization = match bgr {
        true => Normalization::CAFFE,
        false => Normalization::CAFFE_RGB,
    };
    // Filters that are larger by a factor, while their biases are not, want smaller pixels.
    if same && !is_one(factor, cosine) {
        let (_, biases_factor) = alike(bias?, &biases);
        if (biases_factor - 1.0).abs() < ROUNDING {
            normalization.std = [factor as f32; 3];
        }
    }
    let evidence = match bgr {
        true => evidence(
            same,
            "its first filters are those of the VGG authors' network, blue first",
            "its first filters are like those of the VGG authors' network, blue first",
        ),
        false => evidence(
            same,
            "its first filters are those of the VGG authors' network with red first",
            "its first filters are like those of the VGG authors' network with red first",
        ),
    };
    Some((normalization, evidence))
}

/// A filter with its channels in the opposite order.
fn turned(filter: &[f32]) -> Vec<f32> {
    filter.chunks(TAPS).rev().flatten().copied().collect()
}

/// Cosine between two lists of values, and the factor that brings the second nearest to the first.
fn alike(values: &[f32], reference: &[f32]) -> (f64, f64) {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
        products.sum()
    };
    let both = dot(values, reference);
    let (one, other) = (dot(values, values), dot(reference, reference));
    (both / (one * other).sqrt(), both / other)
}

/// Training changes the length of filters as well.
fn is_one(factor: f64, cosine: f64) -> bool {
    (factor - 1.0).abs() < if cosine > SAME { ROUNDING } else { 0.5 }
}

/// Filters too small for pixels of spread 1.
fn small(filters: &[f32], guess: &Normalization) -> Option<(Normalization, Evidence)> {
    let squares: f64 = filters.iter().map(|&v| f64::from(v).powi(2)).sum();
    let outputs = filters.len() / (3 * TAPS);
    let gain = (squares / outputs as f64).sqrt();
    let reason = "its first filters are too small for anything but pixels in 0..255";
    // Zeros, and what is no number, say nothing.
    let small = gain > 0.0 && gain < LEAST_GAIN && guess.scale < 1.0;
    small.then_some((Normalization::CAFFE, Evidence::Guess(reason)))
}

/// The VGG authors' first filters, blue first, and biases.
fn authors_vgg16() -> (Vec<f32>, Vec<f32>) {
    let own = weights::from_bytes(AUTHORS_VGG16.to_vec()).expect("the file is whole");
    let values = |name| own.tensors[name].to_vec();
    (values("features.0.weight"), values("features.0.bias"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::noise;

    fn drawn(spread: f64) -> Vec<f32> {
        let count = SHAPE.iter().product::<usize>() as u64;
        let value = |i| (spread * noise::normal(1, i)) as f32;
        (0..count).map(value).collect()
    }

    #[cfg(feature = "builtin")]
    #[test]
    fn the_authors_filters_are_those_of_the_built_in_network() {
        let whole = weights::builtin();
        let values = |name| whole.tensor(name).unwrap().to_vec();
        let first = (values("features.0.weight"), values("features.0.bias"));
        assert_eq!(first, authors_vgg16());
    }

    #[test]
    fn the_authors_filters_tell_the_order_of_the_channels() {
        let (blue_first, bias) = authors_vgg16();
        let red_first: Vec<f32> = blue_first.chunks(3 * TAPS).flat_map(turned).collect();
        for (filters, expected) in [
            (&blue_first, Normalization::CAFFE),
            (&red_first, Normalization::CAFFE_RGB),
        ] {
            let (found, evidence) = published(filters, Some(&bias), true).unwrap();
            assert_eq!(found, expected);
            assert!(matches!(evidence, Evidence::Known(_)));
            // Under another head, or after some training, it is likely.
            let (found, evidence) = published(filters, Some(&bias), false).unwrap();
            assert_eq!(found, expected);
            assert!(matches!(evidence, Evidence::Guess(_)));
            let trained = filters.iter().zip(drawn(0.01)).map(|(v, d)| v + d);
            let trained: Vec<f32> = trained.collect();
            let (found, evidence) = published(&trained, Some(&bias), true).unwrap();
            assert_eq!(found, expected);
            assert!(matches!(evidence, Evidence::Guess(_)));
        }
    }

    #[test]
    fn filters_larger_by_a_factor_want_pixels_smaller_by_it() {
        let (filters, bias) = authors_vgg16();
        let scaled: Vec<f32> = filters.iter().map(|v| v * 255.0).collect();
        let (found, _) = published(&scaled, Some(&bias), true).unwrap();
        assert!(
            found.bgr && found.std.iter().all(|std| (std - 255.0).abs() < 0.1),
            "{found}"
        );
        // With their biases they make larger values of the same pixels.
        let larger: Vec<f32> = bias.iter().map(|v| v * 255.0).collect();
        let (found, _) = published(&scaled, Some(&larger), true).unwrap();
        assert_eq!(found, Normalization::CAFFE);
    }

    #[test]
    fn torchvisions_first_filter_tells_its_network() {
        let mut filters = drawn(0.2);
        filters[..3 * TAPS].copy_from_slice(&TORCHVISION_VGG16);
        let (found, evidence) = published(&filters, None, true).unwrap();
        assert_eq!(found, Normalization::TORCH);
        assert!(matches!(evidence, Evidence::Known(_)));
    }

    #[test]
    fn drawn_filters_tell_nothing_but_what_is_too_small() {
        let torch = Normalization::TORCH;
        for spread in [1.0, 0.2, 0.01] {
            assert!(published(&drawn(spread), None, true).is_none());
            assert!(small(&drawn(spread), &torch).is_none());
        }
        assert_eq!(
            small(&drawn(0.002), &torch).unwrap().0,
            Normalization::CAFFE
        );
        assert!(small(&drawn(0.002), &Normalization::CAFFE).is_none());
        assert!(small(&[0.0; 27], &torch).is_none());
        assert!(small(&[f32::NAN; 27], &torch).is_none());
    }
}
