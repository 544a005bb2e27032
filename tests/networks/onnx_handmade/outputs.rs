//! Graphs with several outputs, and graphs that scale their pixels themselves.

use std::path::Path;

use gradcam::low_level::architectures::{Classifier, Evidence, Overrides, recognise, recognise_as};
use gradcam::low_level::network::Op;
use gradcam::low_level::picture::preprocess::Normalization;

use super::{network, refused, small};
use crate::common::handmade::open;
use crate::common::onnx_writer::{
    Model, attribute_float, attribute_int, attribute_ints, bytes, floats, int, ints, node,
};

/// The small model, whose `dense` is the logits, with these outputs.
fn with_outputs(model: Model, outputs: &[&str]) -> Model {
    let (first, others) = outputs.split_first().unwrap();
    Model {
        output: (*first).into(),
        further: others.iter().map(|name| (*name).into()).collect(),
        ..model
    }
}

fn taken(model: &Model, output: Option<&str>) -> Result<(String, Vec<String>), String> {
    let asked = Overrides {
        output,
        ..Overrides::default()
    };
    let classifier =
        recognise_as(&open(model.bytes()).unwrap(), &asked).map_err(|error| error.to_string())?;
    let mut taken = classifier.outputs.iter().filter(|output| output.taken);
    Ok((taken.next().unwrap().name.clone(), classifier.notes))
}

#[test]
fn the_output_that_looks_like_class_scores_is_taken_and_a_note_says_so() {
    let head = |model: Model, name: &str, from: &str| {
        model
            .constant(floats(&format!("w-{name}"), &[2, 3], &[0.5; 6]))
            .node("MatMul", name, &[from, &format!("w-{name}")], &[])
    };
    let behind = head(small(), "z", "dense");
    let (name, notes) = taken(&with_outputs(behind.clone(), &["dense", "z"]), None).unwrap();
    assert_eq!(name, "z");
    assert!(
        notes[0].contains("\"z\" (3 numbers) was taken") && notes[0].contains("--output"),
        "{notes:?}"
    );
    let (name, notes) = taken(&with_outputs(behind, &["dense", "z"]), Some("dense")).unwrap();
    assert_eq!((name.as_str(), notes.len()), ("dense", 0));

    for (names, expected) in [
        (["embedding", "other"], "other"),
        (["aux_logits", "logits"], "logits"),
        (["first", "probs"], "probs"),
    ] {
        let two = head(head(small(), names[0], "flat"), names[1], "flat");
        assert_eq!(taken(&with_outputs(two, &names), None).unwrap().0, expected);
    }
    let soft = head(small(), "b", "flat").node("Softmax", "c", &["b"], &[]);
    assert_eq!(
        taken(&with_outputs(soft, &["dense", "c"]), None).unwrap().0,
        "c"
    );
    // A map beside it is no class score.
    let map = with_outputs(small(), &["relu", "dense"]);
    assert_eq!(taken(&map, None).unwrap().0, "dense");
}

#[test]
fn outputs_that_look_alike_are_refused_with_their_names() {
    let two = small().constant(floats("w2", &[2, 3], &[0.5; 6])).node(
        "MatMul",
        "age",
        &["flat", "w2"],
        &[],
    );
    let error = taken(&with_outputs(two.clone(), &["dense", "age"]), Some("sex")).unwrap_err();
    assert!(
        error.contains("no output \"sex\"") && error.contains("dense"),
        "{error}"
    );
    let renamed = two.node("MatMul", "kind", &["flat", "w2"], &[]);
    let error = taken(&with_outputs(renamed.clone(), &["age", "kind"]), None).unwrap_err();
    for part in ["\"age\" (3 numbers)", "\"kind\" (3 numbers)", "--output"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(
        taken(&with_outputs(renamed, &["age", "kind"]), Some("kind"))
            .unwrap()
            .0,
        "kind"
    );
    let unread =
        small()
            .node("LSTM", "logits", &["flat"], &[])
            .node("Relu", "embedding", &["flat"], &[]);
    let error = taken(&with_outputs(unread, &["embedding", "logits"]), None).unwrap_err();
    assert!(error.contains("looks like features"), "{error}");
}

#[test]
fn layers_tell_apart_only_outputs_with_as_many_classes() {
    let heads = |classes: i64| {
        let weights = vec![0.5; 2 * classes as usize];
        small()
            .constant(floats("w2", &[2, 3], &[0.5; 6]))
            .constant(floats("w3", &[2, 2], &[0.5; 4]))
            .constant(floats("w4", &[2, classes], &weights))
            .node("MatMul", "age", &["flat", "w2"], &[])
            .node("MatMul", "between", &["flat", "w3"], &[])
            .node("MatMul", "kind", &["between", "w4"], &[])
    };
    for names in [["age", "kind"], ["kind", "age"]] {
        let (name, notes) = taken(&with_outputs(heads(3), &names), None).unwrap();
        assert_eq!(name, "kind");
        assert!(notes[0].contains("the most layers before it"), "{notes:?}");
        let error = taken(&with_outputs(heads(4), &names), None).unwrap_err();
        for part in ["\"age\" (3 numbers)", "\"kind\" (4 numbers)"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn a_class_name_for_each_number_speaks_for_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "cat\ndog\nbird\n").unwrap();
    let two = small().constant(floats("w2", &[2, 3], &[0.5; 6])).node(
        "MatMul",
        "kind",
        &["flat", "w2"],
        &[],
    );
    let model = with_outputs(two, &["dense", "kind"]);
    let asked = Overrides {
        labels: Some(Path::new(&labels)),
        ..Overrides::default()
    };
    let classifier = recognise_as(&open(model.bytes()).unwrap(), &asked).unwrap();
    assert_eq!(classifier.network.classes(), 3);
}

/// A convolution whose filters tell the channels apart, over `pixels`.
fn over(pixels: Model, name: &str) -> Model {
    let filters: Vec<f32> = (0..6).map(|i| i as f32).collect();
    pixels
        .constant(floats("w", &[2, 3, 1, 1], &filters))
        .constant(floats("m", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .node("Conv", "conv", &[name, "w"], &[])
        .node("GlobalAveragePool", "mean", &["conv"], &[])
        .node("Flatten", "flat", &["mean"], &[])
        .node("MatMul", "dense", &["flat", "m"], &[])
}

fn classifier(model: &Model) -> Classifier {
    recognise(&open(model.bytes()).unwrap()).unwrap()
}

#[test]
fn channels_that_a_graph_turns_around_go_into_its_first_filters() {
    let means = floats("means", &[1, 3, 1, 1], &[-103.939, -116.779, -123.68]);
    let reverse = |op: &str| {
        let start = Model::new(&[1, 3, 8, 8]).constant(means.clone());
        let one = |name: &str, value| ints(name, &[value]);
        let turned = match op {
            "Gather" => start.constant(ints("order", &[2, 1, 0])).node(
                "Gather",
                "bgr",
                &["x", "order"],
                &[attribute_int("axis", 1)],
            ),
            "Slice" => start
                .constant(one("from", -1))
                .constant(one("to", i64::MIN))
                .constant(one("axis", 1))
                .node("Slice", "bgr", &["x", "from", "to", "axis", "from"], &[]),
            _ => start
                .outputs("Split", &["r", "g", "b"], "x", &attribute_int("axis", 1))
                .node(
                    "Concat",
                    "bgr",
                    &["b", "g", "r"],
                    &[attribute_int("axis", 1)],
                ),
        };
        over(
            turned.node("Add", "centred", &["bgr", "means"], &[]),
            "centred",
        )
    };
    for op in ["Gather", "Slice", "Split"] {
        let classifier = classifier(&reverse(op));
        assert_eq!(
            classifier.normalization_evidence,
            Evidence::Metadata,
            "{op}"
        );
        assert!(!classifier.normalization.bgr);
        let [mean, std] = classifier.normalization.mean_and_std();
        assert_eq!((mean, std), ([123.68, 116.779, 103.939], [1.0; 3]), "{op}");
        let names: Vec<&str> = classifier
            .network
            .nodes
            .iter()
            .map(|n| n.name.as_str())
            .collect();
        assert_eq!(names, ["input", "conv", "mean", "dense"], "{op}");
        let Op::Conv2d { weight, .. } = &classifier.network.nodes[1].op else {
            panic!("a convolution first");
        };
        assert_eq!(weight.to_vec(), [2.0, 1.0, 0.0, 5.0, 4.0, 3.0], "{op}");
    }
}

#[test]
fn means_of_blue_first_tell_that_a_graph_wants_blue_first() {
    let start = Model::new(&[1, 3, 8, 8]);
    let means = floats("means", &[1, 3, 1, 1], &[103.939, 116.779, 123.68]);
    let model = start
        .constant(means)
        .node("Sub", "centred", &["x", "means"], &[]);
    assert_eq!(
        classifier(&over(model, "centred")).normalization,
        Normalization::CAFFE
    );
}

#[test]
fn what_a_graph_does_to_its_pixels_comes_after_what_the_user_says() {
    let start = Model::new(&[1, 3, 8, 8]).constant(floats("s", &[1], &[255.0]));
    let model = over(start.node("Div", "unit", &["x", "s"], &[]), "unit");
    let mut classifier = classifier(&model);
    assert_eq!(classifier.normalization, Normalization::UNIT);
    assert!(classifier.scales_itself());
    classifier.scale_by(Normalization::NONE);
    assert_eq!(classifier.normalization, Normalization::UNIT);
    classifier.scale_by(Normalization::UNIT);
    let [_, std] = classifier.normalization.mean_and_std();
    assert!((std[0] - 255.0 * 255.0).abs() < 1.0, "{std:?}");
}

#[test]
fn a_graph_over_bytes_is_given_bytes() {
    let start = Model {
        bytes: true,
        ..Model::new(&[1, 3, 8, 8])
    };
    let model = over(
        start.node("Cast", "f", &["x"], &[attribute_int("to", 1)]),
        "f",
    );
    let classifier = classifier(&model);
    assert_eq!(classifier.normalization, Normalization::NONE);
    assert_eq!(classifier.normalization_evidence, Evidence::Metadata);
}

#[test]
fn a_pad_that_a_convolution_cannot_take_in_is_a_layer() {
    let padded = |value: f32| {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(ints("p", &[0, 0, 1, 1, 0, 0, 1, 1]))
            .constant(floats("v", &[], &[value]))
            .node("Pad", "pad", &["x", "p", "v"], &[]);
        let model = over(model, "pad");
        classifier(&model).network.nodes.len()
    };
    assert_eq!((padded(0.0), padded(0.5)), (4, 5));
    let mean = Model::new(&[1, 3, 8, 8]).node(
        "ReduceMean",
        "rows",
        &["x"],
        &[attribute_ints("axes", &[2])],
    );
    assert_eq!(classifier(&over(mean, "rows")).network.nodes[1].shape.h, 1);
}

#[test]
fn the_scores_before_a_choice_are_taken_where_no_output_gives_them() {
    let chosen = || {
        small()
            .node("ArgMax", "choice", &["dense"], &[attribute_int("axis", 1)])
            .node("Identity", "scores", &["dense"], &[])
    };
    let said = |notes: &[String]| {
        notes
            .iter()
            .any(|note| note.contains("gives no scores itself"))
    };
    let (name, notes) = taken(&with_outputs(chosen(), &["choice"]), None).unwrap();
    assert_eq!(name, "choice");
    assert!(said(&notes), "{notes:?}");
    let both = with_outputs(chosen(), &["choice", "scores"]);
    let (name, notes) = taken(&both, None).unwrap();
    assert_eq!(name, "scores");
    assert!(!said(&notes), "{notes:?}");
    let (_, notes) = taken(&both, Some("choice")).unwrap();
    assert!(said(&notes), "{notes:?}");
}

/// Nodes that tf2onnx makes are called after the layers of Keras.
#[test]
fn a_network_of_keras_applications_has_its_pixels_scaled_so_as_a_graph_too() {
    let named = |first: &str, second: &str| {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[3, 3, 1, 1], &[0.25; 9]))
            .node("Conv", first, &["x", "w"], &[])
            .node("Conv", second, &[first, "w"], &[])
            .node("GlobalAveragePool", "mean", &[second], &[])
            .node("Flatten", "flat", &["mean"], &[]);
        let classifier = classifier(&model);
        let evidence = classifier.normalization_evidence;
        assert!(matches!(evidence, Evidence::Guess(_)), "{evidence}");
        classifier.normalization
    };
    let mobile = [
        "model/expanded_conv_depthwise/depthwise",
        "model/block_1_expand/Conv2D",
    ];
    assert_eq!(named(mobile[0], mobile[1]), Normalization::TF);
    assert_eq!(
        named("model/block1_conv1/Conv2D", "other"),
        Normalization::CAFFE
    );
    assert_eq!(named("first", "second"), Normalization::TORCH);
}

/// As tools around Windows ML write classifiers, Azure Custom Vision's for one.
#[test]
fn scores_under_names_of_classes_are_taken_with_the_names() {
    let named = |names: &[&str]| {
        let names: Vec<u8> = names
            .iter()
            .flat_map(|name| bytes(9, name.as_bytes()))
            .collect();
        let labels = [bytes(1, b"classlabels_strings"), names, int(20, 8)].concat();
        let of_classical_learning = bytes(7, b"ai.onnx.ml");
        let mut model = small().node("ArgMax", "number", &["dense"], &[attribute_int("axis", 1)]);
        let picked = node("ArrayFeatureExtractor", "name", &["names", "number"], &[]);
        let mapped = node("ZipMap", "map", &["dense"], &[labels]);
        model
            .nodes
            .push([picked, of_classical_learning.clone()].concat());
        model.nodes.push([mapped, of_classical_learning].concat());
        with_outputs(model, &["name", "map"])
    };
    let named_all = classifier(&named(&["cat", "traffic light"]));
    assert_eq!(named_all.network.classes(), 2);
    assert_eq!(
        named_all.labels.as_deref(),
        Some(r#"["cat","traffic light"]"#)
    );
    assert_eq!(classifier(&named(&["cat"])).labels, None);
    let (_, notes) = taken(&named(&["cat", "dog"]), Some("map")).unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("gives no scores itself")),
        "{notes:?}"
    );
}

/// As scores they would be made probabilities once more. Another order of them is none.
#[test]
fn probabilities_that_something_is_done_to_are_refused() {
    let soft = || small().node("Softmax", "p", &["dense"], &[]);
    let picked = |places: &[i64]| {
        let model = soft().constant(ints("of", places));
        model.node("Gather", "late", &["p", "of"], &[attribute_int("axis", 1)])
    };
    let mean = soft()
        .constant(floats("turns", &[1], &[-1.0]))
        .node("Mul", "turned", &["dense", "turns"], &[])
        .node("Softmax", "q", &["turned"], &[])
        .node("Add", "late", &["p", "q"], &[]);
    let changed = soft().node("Relu", "late", &["p"], &[]);
    let both = || {
        let two = soft().node("Exp", "e", &["dense"], &[]);
        two.node("Softmax", "q", &["flat"], &[])
    };
    let side_by_side = both().node("Concat", "late", &["p", "q"], &[attribute_int("axis", 1)]);
    let by = |model: Model, matrix: &[f32]| {
        let model = model.constant(floats("by", &[2, 3], matrix));
        model.node("MatMul", "late", &["p", "by"], &[])
    };
    let of_sets = by(soft(), &[1.0, 0.0, 0.0, 0.25, 0.5, 0.25]);
    let written_out = both()
        .node("ReduceSum", "sum", &["e"], &[attribute_ints("axes", &[1])])
        .node("Div", "late", &["e", "sum"], &[]);
    let log_sigmoid =
        small()
            .node("Sigmoid", "p", &["dense"], &[])
            .node("Log", "late", &["p"], &[]);
    for model in [
        changed,
        mean,
        picked(&[1, 0, 1]),
        side_by_side,
        of_sets,
        written_out,
        log_sigmoid,
    ] {
        let error = refused(&model);
        assert!(
            error.contains("\"late\" is made of probabilities, after a softmax"),
            "{error}"
        );
    }
    assert_eq!(network(picked(&[1, 0]).bytes()).unwrap().classes(), 2);
    // Learned scores may be made of shares.
    let learned = by(soft(), &[1.0, -2.0, 0.5, 0.25, 0.5, 3.0]);
    assert_eq!(network(learned.bytes()).unwrap().classes(), 3);
    let log = small()
        .node("LogSoftmax", "p", &["dense"], &[])
        .node("Exp", "late", &["p"], &[]);
    let error = refused(&log);
    assert!(
        error.contains("\"late\": Exp after a LogSoftmax"),
        "{error}"
    );
}

/// A softmax over them would be one over probabilities. What is computed with them further is a score again.
#[test]
fn sigmoids_that_are_scaled_averaged_or_side_by_side_are_refused() {
    let sigmoid = || small().node("Sigmoid", "p", &["dense"], &[]);
    let one = || sigmoid().constant(floats("one", &[], &[1.0]));
    let rest = || one().node("Sub", "late", &["one", "p"], &[]);
    let both = one().node("Sub", "rest", &["one", "p"], &[]).node(
        "Concat",
        "late",
        &["rest", "p"],
        &[attribute_int("axis", 1)],
    );
    let mean = sigmoid()
        .constant(floats("n", &[2, 2], &[4.0, -3.0, 2.0, 1.0]))
        .constant(floats("half", &[], &[0.5]))
        .node("MatMul", "second", &["flat", "n"], &[])
        .node("Sigmoid", "q", &["second"], &[])
        .node("Add", "sum", &["p", "q"], &[])
        .node("Mul", "late", &["sum", "half"], &[]);
    for model in [rest(), both, mean] {
        let error = refused(&model);
        assert!(
            error.contains("\"late\" is made of probabilities, after a sigmoid"),
            "{error}"
        );
    }
    for model in [
        rest().node("MatMul", "score", &["late", "m"], &[]),
        rest().node("Add", "score", &["late", "dense"], &[]),
        rest().node("Mul", "score", &["late", "dense"], &[]),
        rest().node("Softmax", "score", &["late"], &[]),
    ] {
        assert_eq!(network(model.bytes()).unwrap().classes(), 2);
    }
}

/// Guided backpropagation has a rule for a ReLU, and none for what keeps roots and quotients from zero.
#[test]
fn a_relu_is_there_before_a_bound_a_little_above_zero() {
    let made = |op: &str, bounds: &[(&str, f32)]| {
        let head = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[2, 3, 3, 3], &[0.25; 54]))
            .constant(floats("little", &[], &[1e-6]))
            .node("Conv", "conv", &["x", "w"], &[])
            .node(
                op,
                "act",
                &["conv"],
                &bounds
                    .iter()
                    .map(|&(name, value)| attribute_float(name, value))
                    .collect::<Vec<_>>(),
            );
        let held = head.node("Max", "held", &["act", "little"], &[]);
        let model = held.node("GlobalAveragePool", "mean", &["held"], &[]);
        let classifier = recognise(&open(model.bytes()).unwrap()).unwrap();
        let nodes = classifier.network.nodes.iter();
        let words = nodes.filter_map(|node| match &node.op {
            Op::Activate(activation) => Some(activation.to_string()),
            _ => None,
        });
        let says_relu = classifier
            .notes
            .iter()
            .any(|note| note.contains("taken for a ReLU"));
        (words.collect::<Vec<_>>(), says_relu)
    };
    let held = "at least 0.000001";
    for (op, bounds, first, is_guessed) in [
        ("Relu", &[][..], "relu", false),
        ("Identity", &[], "relu", true),
        ("Clip", &[("min", 0.0), ("max", 6.0)], "clip to 0..6", false),
    ] {
        assert_eq!(
            made(op, bounds),
            (vec![first.into(), held.to_string()], is_guessed),
            "{op}"
        );
    }
    let silu = made("Swish", &[]);
    assert_eq!(silu, (vec!["silu".into(), held.into()], false));
}
