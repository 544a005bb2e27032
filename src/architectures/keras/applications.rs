//! How the networks of keras.applications want their pixels, told by names of their layers. Whoever trained one may have used anything,
//! so this is a guess; `preprocess_input` of each family's module is where it comes from.

use std::collections::BTreeSet;

use crate::architectures::{Classifier, Evidence, keys};
use crate::picture::preprocess::Normalization;
use crate::weights::Weights;

/// A family by names that it alone has: the first row of which all are there is the one.
struct Row {
    names: &'static [&'static str],
    normalization: Normalization,
    evidence: &'static str,
}

const fn row(
    names: &'static [&'static str],
    normalization: Normalization,
    evidence: &'static str,
) -> Row {
    Row {
        names,
        normalization,
        evidence,
    }
}

// ConvNeXt, EfficientNet and MobileNetV3 do it themselves, unless they are asked not to.
const ROWS: &[Row] = &[
    row(
        &["block1_conv1_bn", "block2_sepconv1"],
        Normalization::TF,
        "keras.applications' Xception takes them so",
    ),
    row(
        &["block1_conv1"],
        Normalization::CAFFE,
        "keras.applications' VGG takes them so",
    ),
    row(
        &["conv2_block1_preact_bn"],
        Normalization::TF,
        "keras.applications' ResNetV2 takes them so",
    ),
    row(
        &["conv2_block1_0_bn", "pool2_conv"],
        Normalization::TORCH,
        "keras.applications' DenseNet takes them so",
    ),
    row(
        &["conv2_block1_1_conv", "conv2_block1_1_bn"],
        Normalization::CAFFE,
        "keras.applications' ResNet takes them so",
    ),
    row(
        &["res2a_branch2a"],
        Normalization::CAFFE,
        "keras.applications' ResNet takes them so",
    ),
    row(
        &["conv_dw_1", "conv_pw_1"],
        Normalization::TF,
        "keras.applications' MobileNet takes them so",
    ),
    row(
        &["expanded_conv_depthwise", "block_1_expand"],
        Normalization::TF,
        "keras.applications' MobileNetV2 takes them so",
    ),
    row(
        &["mixed_5b", "mixed_7a"],
        Normalization::TF,
        "keras.applications' InceptionResNetV2 takes them so",
    ),
    row(
        &["mixed0", "mixed10"],
        Normalization::TF,
        "keras.applications' InceptionV3 takes them so",
    ),
    row(
        &["stem_conv1", "stem_bn1"],
        Normalization::TF,
        "keras.applications' NASNet takes them so",
    ),
];

/// What speaks for a family, where there `is` a layer of each of its names.
pub(super) fn scaling(is: impl Fn(&str) -> bool) -> Option<(Normalization, Evidence)> {
    let found = ROWS
        .iter()
        .find(|row| row.names.iter().all(|name| is(name)))?;
    Some((found.normalization, Evidence::Guess(found.evidence)))
}

/// Looks at the nodes of a graph of which it is guessed so far how pictures are scaled for it: tf2onnx calls them after the layers.
/// What PyTorch wrote was none of Keras'.
pub(in crate::architectures) fn look(classifier: &mut Classifier, weights: &Weights) {
    let Some(graph) = &weights.graph else {
        return;
    };
    let of_torch = weights
        .metadata
        .get(keys::PRODUCER)
        .is_some_and(|name| name == "pytorch");
    if of_torch || !matches!(classifier.normalization_evidence, Evidence::Guess(_)) {
        return;
    }
    let nodes = graph.nodes.iter();
    let names = nodes.flat_map(|node| node.outputs.iter().chain([&node.name]));
    let names = names.chain(graph.constants.keys());
    let parts: BTreeSet<&str> = names.flat_map(|name| name.split('/')).collect();
    if let Some((normalization, evidence)) = scaling(|is| parts.contains(is)) {
        classifier.scale_by(normalization);
        classifier.normalization_evidence = evidence;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// `tests/fixtures/keras/applications_scaling.py` asked Keras.
    #[test]
    fn each_network_s_pixels_are_scaled_as_its_own_module_does() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/keras/applications_scaling.json"
        );
        let fixture = std::fs::read_to_string(file).unwrap();
        let fixture: Value = serde_json::from_str(&fixture).unwrap();
        let pixel = fixture["pixel"].as_array().unwrap();
        for (name, network) in fixture["networks"].as_object().unwrap() {
            let layers = network["layers"].as_array().unwrap();
            let found = scaling(|is| layers.iter().any(|layer| layer == is));
            let scaled = network["scaled"].as_array().unwrap();
            // Those whose module does nothing have it in the network.
            let Some((normalization, _)) = found else {
                assert_eq!(scaled, pixel, "{name}");
                continue;
            };
            for (channel, expected) in scaled.iter().enumerate() {
                let at = if normalization.bgr {
                    2 - channel
                } else {
                    channel
                };
                let value = pixel[at].as_f64().unwrap() * f64::from(normalization.scale);
                let value = (value - f64::from(normalization.mean[channel]))
                    / f64::from(normalization.std[channel]);
                let expected = expected.as_f64().unwrap();
                assert!(
                    (value - expected).abs() < 1e-4,
                    "{name}: {value} and {expected}"
                );
            }
        }
    }
}
