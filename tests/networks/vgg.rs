//! VGGs as people have them, against PyTorch: with and without batch norm, under every head, prefix and scheme of
//! names; and what is said of files that only look like one.

use gradcam::low_level::architectures::{Classifier, Evidence, recognise, recognise_at};
use gradcam::low_level::network::{Network, NodeId, Op, OutputKind};
use gradcam::low_level::picture::preprocess::Normalization;
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Weights};
use serde_json::Value;

use crate::common::seeded::{self, TINY};
use crate::common::vgg::{Renamed, as_it_is, explained, fixture, renamed};

fn numbers(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture("vgg/vgg.json")).unwrap();
    let numbers: Value = serde_json::from_str(&text).unwrap();
    numbers[name].clone()
}

fn list(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn open(name: &str) -> Weights {
    weights::open(&fixture(&format!("vgg/{name}.safetensors"))).unwrap()
}

fn classifier(weights: &Weights) -> Classifier {
    recognise(weights).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(weights: &Weights) -> String {
    recognise(weights).unwrap_err().to_string()
}

/// Probabilities within 1e-6 and maps within 1e-5 of their largest value: float32's rounding through eleven layers.
fn assert_agrees(classifier: &Classifier, kind: &str, expected: &Value) {
    for (score, map) in [(Score::Prob, kind), (Score::Logit, "logit")] {
        let (prediction, explanation) = explained(classifier, score);
        assert_eq!(explanation.class as u64, expected["class"], "{kind}");
        let expected_p = list(&expected[kind]);
        assert_eq!(prediction.probabilities.len(), expected_p.len());
        for (ours, theirs) in prediction.probabilities.iter().zip(expected_p) {
            assert!((ours - theirs).abs() < 1e-6, "{kind}: {ours} and {theirs}");
        }
        let map = list(&expected["maps"][map]);
        assert_eq!(explanation.maps()[0].values.len(), map.len());
        let largest = map.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        for (ours, theirs) in explanation.maps()[0].values.iter().zip(&map) {
            let off = (ours - theirs).abs() / largest;
            assert!(off < 1e-5, "{kind} {score:?}: {ours} and {theirs}, {off}");
        }
    }
}

#[test]
fn batch_norms_in_features_and_head_agree_with_pytorch() {
    let classifier = classifier(&open("bn"));
    assert_eq!(classifier.network.architecture, "vgg11_bn");
    assert_agrees(&classifier, "softmax", &numbers("bn"));
}

#[test]
fn three_dense_layers_agree_with_pytorch() {
    let classifier = classifier(&open("plain"));
    assert_eq!(classifier.network.architecture, "vgg13");
    assert_agrees(&classifier, "softmax", &numbers("plain"));
}

#[test]
fn a_dense_layer_over_the_mean_agrees_with_pytorch_at_the_size_asked_for() {
    let classifier = recognise_at(&open("mean"), Some(96)).unwrap();
    assert_eq!(classifier.network.architecture, "vgg11_bn-gap");
    assert_agrees(&classifier, "softmax", &numbers("mean"));
}

#[test]
fn torchvisions_average_to_seven_positions_agrees_with_pytorch_at_the_size_asked_for() {
    for size in [320, 96] {
        let classifier = recognise_at(&open("plain"), Some(size)).unwrap();
        assert_agrees(&classifier, "softmax", &numbers(&format!("plain-{size}")));
    }
}

#[test]
fn independent_classes_agree_with_pytorch() {
    for (name, metadata) in [
        ("bn", &[("output", "sigmoid")][..]),
        ("mean", &[("output", "sigmoid"), ("input_size", "96")]),
    ] {
        let classifier = classifier(&renamed(name, metadata, as_it_is));
        assert_eq!(classifier.network.output_kind, OutputKind::Sigmoid);
        assert_agrees(&classifier, "sigmoid", &numbers(name));
    }
}

#[test]
fn a_single_class_is_taken_as_independent() {
    let one = renamed("bn", &[], |name, shape| match name {
        // The five classes' tensors hold enough for one.
        "classifier.4.weight" | "classifier.4.bias" => None,
        "classifier.0.bias" => Some(("classifier.4.weight".into(), vec![1, 10])),
        _ => as_it_is(name, shape),
    });
    assert_eq!(classifier(&one).network.output_kind, OutputKind::Sigmoid);
    assert_eq!(
        classifier(&open("bn")).network.output_kind,
        OutputKind::Softmax
    );
}

/// Both are the same layers with the same numbers, but for their names.
fn assert_same(a: &Network, b: &Network) {
    assert_eq!(a.nodes.len(), b.nodes.len());
    for (a, b) in a.nodes.iter().zip(&b.nodes) {
        assert_eq!((&a.name, a.shape, &a.inputs), (&b.name, b.shape, &b.inputs));
        match (&a.op, &b.op) {
            (
                Op::Conv2d {
                    weight: w, bias, ..
                }
                | Op::Linear {
                    weight: w, bias, ..
                },
                Op::Conv2d {
                    weight: v,
                    bias: other,
                    ..
                }
                | Op::Linear {
                    weight: v,
                    bias: other,
                    ..
                },
            ) => {
                assert_eq!(w.to_vec(), v.to_vec(), "{}", a.name);
                let values = |bias: &Option<weights::Tensor>| bias.as_ref().unwrap().to_vec();
                assert_eq!(values(bias), values(other), "{}", a.name);
            }
            (a, b) => assert_eq!(std::mem::discriminant(a), std::mem::discriminant(b)),
        }
    }
}

#[test]
fn any_prefix_is_passed_over() {
    let plain = classifier(&open("bn"));
    for prefix in [
        "module.",
        "model.",
        "backbone.",
        "state_dict.module.",
        "state_dict/",
        "checkpoint/model/net.",
    ] {
        let prefixed = renamed("bn", &[], |name, shape| {
            Some((format!("{prefix}{name}"), shape.to_vec()))
        });
        assert_same(&classifier(&prefixed).network, &plain.network);
    }
}

#[test]
fn a_head_outside_of_the_backbone_and_one_sequential_for_all_are_found() {
    let plain = classifier(&open("plain"));
    let outside = renamed("plain", &[], |name, shape| {
        let name = match name.strip_prefix("features.") {
            Some(rest) => format!("backbone.features.{rest}"),
            None => name.replace("classifier", "head"),
        };
        Some((name, shape.to_vec()))
    });
    assert_same(&classifier(&outside).network, &plain.network);
    let one = renamed("plain", &[], |name, shape| {
        let (module, leaf) = name.rsplit_once('.').unwrap();
        let (container, number) = module.split_once('.').unwrap();
        let number: usize = number.parse().unwrap();
        let number = if container == "features" {
            number
        } else {
            number + 26
        };
        Some((format!("{number}.{leaf}"), shape.to_vec()))
    });
    assert_same(&classifier(&one).network, &plain.network);
}

#[test]
fn of_a_network_and_its_average_the_network_is_taken() {
    // The average is left out by its name, were it the shorter one as well.
    for [network, average] in [["model", "model_ema"], ["network", "ema"]] {
        let both = renamed("bn", &[], |name, shape| {
            // The copy's numbers do not matter, only that it is there.
            [network, average].map(|prefix| (format!("{prefix}.{name}"), shape.to_vec()))
        });
        let taken = classifier(&both);
        assert_same(&taken.network, &classifier(&open("bn")).network);
        let told = format!("{network}.* was taken, and {average}.*, by its name a running average");
        let found = taken.notes.iter().any(|note| note.contains(&told));
        assert!(found, "{:?}", taken.notes);
    }
}

#[test]
fn timms_convolutions_over_all_positions_are_dense_layers() {
    let timm = renamed("plain", &[], |name, shape| {
        let (name, shape) = match name {
            "classifier.0.weight" => ("pre_logits.fc1.weight", vec![10, 8, 7, 7]),
            "classifier.0.bias" => ("pre_logits.fc1.bias", shape.to_vec()),
            "classifier.3.weight" => ("pre_logits.fc2.weight", vec![10, 10, 1, 1]),
            "classifier.3.bias" => ("pre_logits.fc2.bias", shape.to_vec()),
            "classifier.6.weight" => ("head.fc.weight", shape.to_vec()),
            "classifier.6.bias" => ("head.fc.bias", shape.to_vec()),
            name => (name, shape.to_vec()),
        };
        Some((name.into(), shape))
    });
    assert_same(
        &classifier(&timm).network,
        &classifier(&open("plain")).network,
    );
    // Over a larger map they would slide.
    let error = recognise_at(&timm, Some(256)).unwrap_err().to_string();
    assert!(
        error.contains("takes 224 to 255, by its first dense layer"),
        "{error}"
    );
}

/// The tiny VGG16 of `seeded.rs` with its tensors under the names that `name` gives: layer, 0 for weights and 1 for
/// biases.
fn tiny(name: impl Fn(&str, usize) -> String) -> Weights {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = seeded::weights(&TINY)
        .into_iter()
        .flat_map(|pair| pair.into_iter().enumerate().collect::<Vec<_>>())
        .map(|(i, tensor)| {
            let bytes = tensor.values().flat_map(f32::to_le_bytes).collect();
            (name(tensor.layer, i), tensor.shape.clone(), bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap();
        (name, view)
    });
    weights::from_bytes(safetensors::serialize(views, None).unwrap()).unwrap()
}

#[test]
fn tensorflows_names_are_known_with_every_separator() {
    let original = weights::open(&fixture("npy/tiny-python2.npy")).unwrap();
    let original = classifier(&original);
    assert_eq!(original.normalization, Normalization::CAFFE);
    assert!(matches!(
        original.normalization_evidence,
        Evidence::Guess(_)
    ));
    let words = [
        ("/", "0", "1", Normalization::CAFFE),
        ("_", "W", "b", Normalization::CAFFE_RGB),
        ("/", "weights", "biases", Normalization::CAFFE),
        ("/", "kernel:0", "bias:0", Normalization::CAFFE),
        (".", "weight", "bias", Normalization::CAFFE),
    ];
    for (separator, weight, bias, normalization) in words {
        let named = tiny(|layer, i| [layer, separator, [weight, bias][i]].concat());
        let named = classifier(&named);
        assert_same(&named.network, &original.network);
        assert_eq!(named.normalization, normalization, "{weight}");
    }
    let nested = tiny(|layer, i| format!("vgg_16/{layer}/{layer}_{}", ["filters", "biases"][i]));
    assert_same(&classifier(&nested).network, &original.network);
    let slim = tiny(|layer, i| {
        let block = &layer[..layer.len().min(5)];
        format!("vgg_16/{block}/{layer}/{}", ["weights", "biases"][i])
    });
    assert_same(&classifier(&slim).network, &original.network);
    assert_eq!(classifier(&slim).normalization, Normalization::CAFFE_RGB);
}

#[test]
fn a_state_dict_under_the_layers_own_names_is_read_in_pytorchs_order() {
    // conv1_1.weight ... as the VGG-Face networks for PyTorch have it.
    let convolutions = ["0", "2", "5", "7", "10", "12", "15", "17", "20", "22"];
    let layers = [
        "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2",
        "conv5_1", "conv5_2",
    ];
    let named = renamed("plain", &[], |name, shape| {
        let (module, leaf) = name.rsplit_once('.').unwrap();
        let layer = match module.split_once('.').unwrap() {
            ("features", number) => layers[convolutions.iter().position(|n| *n == number).unwrap()],
            (_, "0") => "fc6",
            (_, "3") => "fc7",
            _ => "fc8",
        };
        Some((format!("{layer}.{leaf}"), shape.to_vec()))
    });
    assert_same(
        &classifier(&named).network,
        &classifier(&open("plain")).network,
    );
}

#[test]
fn preprocessing_is_a_guess_unless_the_file_or_its_origin_says_it() {
    let guess = classifier(&open("plain"));
    assert_eq!(guess.normalization, Normalization::TORCH);
    assert!(matches!(guess.normalization_evidence, Evidence::Guess(_)));
    let stated = classifier(&renamed("plain", &[("preprocessing", "unit")], as_it_is));
    assert_eq!(stated.normalization, Normalization::UNIT);
    assert_eq!(stated.normalization_evidence, Evidence::Metadata);
}

#[test]
fn pictures_have_the_size_that_the_head_allows() {
    let side = |classifier: &Classifier| classifier.network.input_shape().h;
    assert_eq!(side(&classifier(&open("plain"))), 224);
    assert_eq!(side(&recognise_at(&open("mean"), None).unwrap()), 224);
    assert_eq!(side(&recognise_at(&open("mean"), Some(320)).unwrap()), 320);
    let refused = |name: &str, size| {
        recognise_at(&open(name), Some(size))
            .unwrap_err()
            .to_string()
    };
    for (name, sizes) in [("mean", [32, 100, 4096]), ("plain", [32, 225, 300])] {
        let side_at = |size| side(&recognise_at(&open(name), Some(size)).unwrap());
        assert_eq!(sizes.map(side_at), sizes);
    }
    assert_eq!(
        refused("mean", 31),
        "pictures of 31 pixels do not fit: this network takes 32 to 4096"
    );
    assert_eq!(
        refused("plain", 31),
        "pictures of 31 pixels do not fit: this network takes 32 to 4096"
    );
    let odd = renamed("plain", &[], |name, shape| match name {
        "classifier.0.weight" => Some((name.into(), vec![245, 16])),
        _ => as_it_is(name, shape),
    });
    let error = recognise(&odd).unwrap_err().to_string();
    assert_eq!(
        error,
        "layer classifier.0: its weights have shape [245, 16], and 16 inputs are no square of positions for the 8 \
         channels before it"
    );
}

fn without(part: &str) -> impl Fn(&str, &[usize]) -> Renamed {
    move |name, shape| (!name.starts_with(part)).then(|| (name.into(), shape.to_vec()))
}

fn moved(from: &str, to: &str) -> impl Fn(&str, &[usize]) -> Renamed {
    move |name, shape| {
        let name = match name.strip_prefix(from) {
            Some(rest) => format!("{to}{rest}"),
            None => name.into(),
        };
        Some((name, shape.to_vec()))
    }
}

#[test]
fn what_names_do_not_tell_is_refused_with_the_layer_and_the_way_out() {
    for (weights, said) in [
        (
            renamed("bn", &[], without("classifier")),
            "without a classifier",
        ),
        (
            renamed("plain", &[], without("features.12.")),
            "4 modules without weights between features.10 and features.15",
        ),
        (
            renamed("bn", &[], moved("features.1.", "features.2.")),
            "batch norm features.2 does not directly follow",
        ),
        (
            renamed("bn", &[], moved("classifier.1.", "classifier.2.")),
            "batch norm classifier.2 does not directly follow",
        ),
        (
            renamed(
                "bn",
                &[],
                moved("features.1.running_var", "features.1.other"),
            ),
            "batch norm features.1: its variance is missing",
        ),
        (
            renamed("plain", &[], moved("classifier.0.bias", "attention.gamma")),
            "tensor attention.gamma belongs to no layer of the network",
        ),
        (
            renamed(
                "plain",
                &[],
                moved("classifier.0.bias", "classifier.0.weight_mask"),
            ),
            "tensor classifier.0.weight_mask belongs to no layer of the network",
        ),
        (
            renamed("plain", &[], moved("features.22.", "features.23.")),
            "2, 2, 2, 2, 1, 1] convolutions in its blocks",
        ),
        (
            renamed("plain", &[], |name, shape| {
                Some((format!("layer1.0.{name}"), shape.to_vec()))
                    .filter(|_| name.starts_with("classifier"))
            }),
            "perhaps a ResNet or a relative of it",
        ),
        (
            renamed("plain", &[("output", "relu")], as_it_is),
            "the metadata's output is \"relu\", expected softmax or sigmoid",
        ),
    ] {
        let error = refused(&weights);
        assert!(error.contains(said), "{error:?} lacks {said:?}");
    }
}

#[test]
fn a_dense_layer_after_the_backbones_own_classes_is_refused() {
    let stacked = renamed("plain", &[], |name, shape| match name {
        // 10 x 10, beside a backbone that ends with 10 values.
        "classifier.3.weight" => Some(("fc.weight".into(), shape.to_vec())),
        "classifier.3.bias" => Some(("fc.bias".into(), shape.to_vec())),
        _ if name.starts_with("classifier.6") => None,
        _ => Some((format!("vgg.{name}"), shape.to_vec())),
    });
    let error = refused(&stacked);
    assert!(
        error.contains("layer fc goes on where vgg.classifier.0 ends"),
        "{error}"
    );
}

#[test]
fn a_layer_of_the_wrong_shape_is_named() {
    let short = tiny(|layer, i| match (layer, i) {
        // Two layers of different widths change places.
        ("conv2_1", i) => format!("conv3_1/{i}"),
        ("conv3_1", i) => format!("conv2_1/{i}"),
        _ => format!("{layer}/{i}"),
    });
    let error = refused(&short);
    assert!(
        error.contains("layer conv2_1: its weights have shape [3, 3, 6, 8]"),
        "{error}"
    );
    let lacking = tiny(|layer, i| match layer {
        "fc8" => format!("rate{i}/0"),
        _ => format!("{layer}/{i}"),
    });
    assert!(refused(&lacking).contains("belongs to no layer"));
}

#[test]
fn the_target_is_the_last_convolution_of_the_features_under_every_head() {
    for name in ["bn", "plain", "mean"] {
        let network = classifier(&open(name)).network;
        let target = network.target(None).unwrap();
        assert_ne!(target, NodeId(0));
        assert_eq!(network.layer_name(target), "conv5_2");
    }
}
