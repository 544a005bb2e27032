//! ONNX files as several exporters write them, against the numbers of the framework that they come from.
//!
//! Tolerances: 1e-6 for probabilities and 1e-5 of the largest value for maps, what float32 sums of some hundred products
//! leave; the numbers in the fixtures are float64 (Keras': float32).

use std::path::{Path, PathBuf};

use gradcam::low_level::architectures::{self, graph_network};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::labels::Labels;
use gradcam::low_level::methods::attribution;
use gradcam::low_level::network::{Network, Op, OutputKind, Shape};
use gradcam::low_level::picture::preprocess::Normalization;
use gradcam::low_level::score::{Score, softmax};
use gradcam::weights;
use serde_json::Value;

use crate::common::device::{GPU, assert_close, random};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/onnx")
        .join(name)
}

fn numbers(value: &Value) -> Vec<f32> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn network(file: &str, size: usize) -> Network {
    let weights = weights::open(&path(file)).unwrap();
    graph_network(weights.graph.as_ref().unwrap(), size)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A model's probabilities and its Grad-CAM map against the framework's: off by no more than `off`, the map ten times as much.
#[track_caller]
fn check(file: &str, expected: &str, off: f32) {
    let text = std::fs::read_to_string(path(expected)).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let shape: Vec<usize> = numbers(&expected["shape"])
        .iter()
        .map(|&n| n as usize)
        .collect();
    let network = network(file, shape[2]);
    assert_eq!(
        network.input_shape(),
        Shape::new(shape[1], shape[2], shape[3]),
        "{file}"
    );
    let wanted = Wanted {
        score: Score::Logit,
        ..Wanted::default().and([
            attribution::Method::GuidedBprop,
            attribution::Method::Deconvnet,
            attribution::Method::Gradient,
        ])
    };
    let explainer = Explainer::new(&GPU, &network, wanted).unwrap();
    let seed = expected["seed"].as_u64().unwrap() as u32;
    let input = random(seed, network.input_shape().len());
    let prediction = explainer.predict(&input).unwrap();
    let probabilities: Vec<f32> = match network.output_kind {
        OutputKind::Softmax => softmax(&prediction.logits)
            .iter()
            .map(|&p| p as f32)
            .collect(),
        OutputKind::Sigmoid => prediction
            .logits
            .iter()
            .map(|&z| (1.0 / (1.0 + (-f64::from(z)).exp())) as f32)
            .collect(),
    };
    let theirs = numbers(&expected["probabilities"]);
    let furthest = probabilities
        .iter()
        .zip(&theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0f32, f32::max);
    let class = expected["class"].as_u64().unwrap() as usize;
    let explanations = explainer.explain(&prediction, &[class]).unwrap();
    let map: Vec<f32> = explanations[0].maps()[0]
        .values
        .iter()
        .map(|&v| v as f32)
        .collect();
    let rows: Vec<f32> = numbers(&expected["map_shape"]);
    let at = explainer.map_shape();
    assert_eq!([at.h as f32, at.w as f32], rows[..], "{file}");
    assert_eq!(probabilities.len(), theirs.len());
    let at_picture = ["guided", "deconvolution", "gradient"];
    let at_picture = at_picture.map(|key| (key, expected.get(key).map(numbers)));
    let expected = numbers(&expected["map"]);
    let most = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let apart: Vec<f32> = map.iter().zip(&expected).map(|(a, b)| a - b).collect();
    println!(
        "{file}: probabilities off by {furthest:.1e}, map by {:.1e} of its largest",
        most(&apart) / most(&expected)
    );
    assert!(furthest <= off, "{file}: probabilities off by {furthest}");
    assert_close(file, &map, &expected, Shape::new(1, at.h, at.w), 10.0 * off);
    let pixels = explanations[0].pixels();
    assert_eq!(pixels.len(), at_picture.len());
    for ((key, theirs), ours) in at_picture.into_iter().zip(pixels) {
        assert!(ours.iter().all(|v| v.is_finite()) && ours.iter().any(|&v| v != 0.0));
        if let Some(theirs) = theirs {
            let ours: Vec<f32> = ours.iter().map(|&v| v as f32).collect();
            let what = format!("{file}: {key}");
            assert_close(&what, &ours, &theirs, network.input_shape(), 10.0 * off);
        }
    }
}

#[test]
fn a_vgg_from_either_torch_exporter_and_any_opset_gives_torch_numbers() {
    for export in [
        "legacy",
        "legacy-7",
        "legacy-apart",
        "dynamo",
        "dynamo-plain",
        "external",
    ] {
        check(&format!("torch-vgg-{export}.onnx"), "torch-vgg.json", 1e-6);
    }
}

#[test]
fn graphs_of_opset_7_as_converters_write_them_give_torch_numbers() {
    check("caffe.onnx", "caffe.json", 1e-6);
    check("converted.onnx", "converted.json", 1e-6);
}

/// `forms/NAME.json` and every `forms/NAME-*.onnx`: activations by name and in pieces, pads, pools, orders of channels, branches,
/// quantised weights, functions of a model's own.
#[test]
fn every_form_that_a_graph_comes_in_gives_torch_numbers() {
    let entries = std::fs::read_dir(path("forms")).unwrap();
    let mut stems: Vec<(String, bool)> = entries
        .map(|entry| {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, file.extension().is_some_and(|e| e == "onnx"))
        })
        .collect();
    stems.sort();
    let models = stems.iter().filter(|(_, is_model)| *is_model);
    assert!(models.clone().count() >= 95);
    for (model, _) in models {
        let (name, _) = model.rsplit_once('-').unwrap();
        check(
            &format!("forms/{model}.onnx"),
            &format!("forms/{name}.json"),
            1e-5,
        );
    }
}

#[test]
fn a_graph_of_one_size_is_read_again_at_the_size_asked_for() {
    let at = |file: &str, size| {
        let weights = weights::open(&path(file)).unwrap();
        architectures::recognise_at(&weights, Some(size))
    };
    // Its mean is over any number of positions, and so is that of the graph in which the size is open.
    for file in [
        "torch-vgg-legacy.onnx",
        "torch-mean-dynamo.onnx",
        "keras-mean.onnx",
    ] {
        let network = at(file, 96).unwrap().network;
        assert_eq!(network.input_shape(), Shape::new(3, 96, 96), "{file}");
    }
    // "Same" padding of a stride of 2 is not the same at every size.
    let error = at("keras-dense.onnx", 64).unwrap_err().to_string();
    assert_eq!(
        error,
        "pictures of 64 pixels do not fit: this network takes 29 x 33"
    );
}

#[test]
fn a_half_precision_vgg_gives_torch_numbers_within_its_rounding() {
    check("torch-vgg-float16.onnx", "torch-vgg.json", 2e-3);
}

#[test]
fn strides_groups_dilations_and_average_pools_give_torch_numbers() {
    check("torch-alex-legacy.onnx", "torch-alex.json", 1e-6);
    check("torch-alex-dynamo.onnx", "torch-alex.json", 1e-6);
}

#[test]
fn a_graph_that_leaves_batch_and_size_open_gives_torch_numbers() {
    check("torch-mean-legacy.onnx", "torch-mean.json", 1e-6);
    check("torch-mean-dynamo.onnx", "torch-mean.json", 1e-6);
}

#[test]
fn keras_models_with_channels_last_give_keras_numbers() {
    check("keras-dense.onnx", "keras-dense.json", 1e-6);
    check("keras-mean.onnx", "keras-mean.json", 1e-6);
}

#[test]
fn a_vgg_has_the_papers_names_whoever_exported_it() {
    for export in ["legacy", "legacy-apart", "dynamo-plain"] {
        let network = network(&format!("torch-vgg-{export}.onnx"), 224);
        assert_eq!(network.architecture, "vgg11");
        let names: Vec<&str> = network.nodes.iter().map(|n| n.name.as_str()).collect();
        for name in [
            "conv1_1", "relu1_1", "pool1", "conv5_2", "pool5", "fc6", "fc8",
        ] {
            assert!(
                names.contains(&name),
                "{export}: {name} is not in {names:?}"
            );
        }
        assert_eq!(network.layer_name(network.target(None).unwrap()), "conv5_2");
    }
}

#[test]
fn other_networks_keep_the_names_of_their_modules() {
    for file in ["torch-alex-legacy.onnx", "torch-alex-dynamo.onnx"] {
        let names = network(file, 224).target_names();
        for name in ["0", "3", "6", "9"] {
            assert!(
                names.iter().any(|n| n == name),
                "{file}: {name} is not in {names:?}"
            );
        }
    }
    let names = network("keras-dense.onnx", 224).target_names();
    assert!(names.contains(&"block1_conv1_1".to_owned()), "{names:?}");
}

#[test]
fn batch_norm_goes_into_the_layer_before_it_or_after_it_and_stays_where_neither_takes_it() {
    let affine = |file: &str| {
        let network = network(file, 224);
        network
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Affine { .. }))
            .count()
    };
    // After convolutions, and after a dense layer.
    assert_eq!(affine("torch-vgg-legacy-apart.onnx"), 0);
    // After the ReLU of a convolution; that after the ReLU of a dense layer goes into the next one.
    assert_eq!(affine("keras-dense.onnx"), 1);
    assert_eq!(affine("keras-mean.onnx"), 0);
}

#[test]
fn scaling_of_pictures_is_a_guess_unless_the_metadata_says() {
    let weights = weights::open(&path("torch-vgg-legacy.onnx")).unwrap();
    let classifier = architectures::recognise(&weights).unwrap();
    assert!(matches!(
        classifier.normalization_evidence,
        architectures::Evidence::Guess(_)
    ));
    assert_eq!(weights.format.to_string(), "onnx");
    assert_eq!(weights.metadata["producer"], "pytorch");
    assert_eq!(weights.metadata["opset"], "13");
}

/// The file with entries of `metadata_props` after its end, where protocol buffers take them as well.
fn with_metadata(file: &str, entries: &[(&str, &str)]) -> weights::Weights {
    let mut bytes = std::fs::read(path(file)).unwrap();
    let field = |number: u8, text: &[u8]| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 128, "one byte of length");
        [&[number << 3 | 2, length], text].concat()
    };
    for (key, value) in entries {
        let entry = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
        bytes.extend(field(14, &entry));
    }
    weights::from_bytes(bytes).unwrap()
}

#[test]
fn what_other_exporters_write_of_scaling_and_names_is_read() {
    let file = "torch-vgg-legacy.onnx";
    let classes = {
        let weights = weights::open(&path(file)).unwrap();
        architectures::recognise(&weights)
            .unwrap()
            .network
            .classes()
    };
    let names: Vec<String> = (0..classes).map(|id| format!("{id}: 'c{id}'")).collect();
    let ultralytics = with_metadata(
        file,
        &[
            ("author", "Ultralytics"),
            ("task", "classify"),
            ("names", &format!("{{{}}}", names.join(", "))),
        ],
    );
    let classifier = architectures::recognise(&ultralytics).unwrap();
    assert_eq!(classifier.normalization, Normalization::UNIT);
    assert_eq!(
        classifier.normalization_evidence,
        architectures::Evidence::Metadata
    );
    let labels = Labels::from_json(&classifier.labels.unwrap(), classes, &path(file)).unwrap();
    assert_eq!(
        labels.get(classes - 1).unwrap().name(),
        format!("c{}", classes - 1)
    );

    let custom_vision = with_metadata(
        file,
        &[
            ("Image.BitmapPixelFormat", "Bgr8"),
            ("Image.NominalPixelRange", "NominalRange_0_255"),
        ],
    );
    let classifier = architectures::recognise(&custom_vision).unwrap();
    let expected = Normalization {
        bgr: true,
        ..Normalization::NONE
    };
    assert_eq!(classifier.normalization, expected);
}

#[test]
fn words_that_stand_for_something_else_in_a_graph_s_metadata_stop_nothing() {
    let weights = with_metadata(
        "torch-vgg-legacy.onnx",
        &[
            ("preprocessing", "resize, crop"),
            ("output", "scores"),
            ("input_size", "3x224x224"),
            ("labels", "['one', 'too few']"),
        ],
    );
    let classifier = architectures::recognise(&weights).unwrap();
    assert!(matches!(
        classifier.normalization_evidence,
        architectures::Evidence::Guess(_)
    ));
    assert_eq!(classifier.labels, None);
    for key in ["preprocessing", "output", "input_size"] {
        let told = format!("the metadata's {key} is ");
        assert!(
            classifier.notes.iter().any(|note| note.starts_with(&told)),
            "{key}"
        );
    }
}
