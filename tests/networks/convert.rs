//! `gradcam convert` as its user sees it: the file written gives the same pictures, and nothing is lost on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gradcam::low_level::architectures::{Classifier, recognise, recognise_at};
use gradcam::low_level::score::Score;
use gradcam::weights::{self, DType};
use tempfile::TempDir;

use crate::common::vgg::{Renamed, as_it_is, explained, fixture, picture, renamed, rewritten};

fn gradcam(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gradcam"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Converts `input` to `out.safetensors` in a folder of its own.
fn converted(input: &Path, options: &[&str]) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let input = input.to_str().unwrap();
    let arguments = [&["convert", input, "out.safetensors"], options].concat();
    let output = gradcam(&arguments, home.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = home.path().join("out.safetensors");
    (home, path)
}

fn network(name: &str) -> PathBuf {
    fixture(&format!("vgg/{name}.safetensors"))
}

fn classifier(path: &Path) -> Classifier {
    let weights = weights::open(path).unwrap_or_else(|error| panic!("{error}"));
    recognise(&weights).unwrap_or_else(|error| panic!("{error}"))
}

/// What the command writes for the test picture, by file name: pixels of pictures, whose files name their weights inside, and
/// the bytes of arrays.
fn pictures(weights: &Path) -> BTreeMap<String, Vec<u8>> {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        picture().to_str().unwrap(),
        weights.to_str().unwrap(),
        "--outputs",
        "heatmap,gradcam,segmented,guided_bprop,raw",
        "-o",
        "out",
    ]
    .map(String::from);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = gradcam(&arguments, home.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files = fs::read_dir(home.path().join("out")).unwrap();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        let bytes = match image::open(file.path()) {
            Ok(picture) => picture.into_bytes(),
            Err(_) => fs::read(file.path()).unwrap(),
        };
        (name, bytes)
    };
    files.map(|file| read(file.unwrap())).collect()
}

#[test]
fn a_network_with_batch_norms_gives_the_same_pictures_to_the_bit() {
    for name in ["bn", "plain", "mean"] {
        let (_home, path) = converted(&network(name), &[]);
        let before = pictures(&network(name));
        let after = pictures(&path);
        assert!(before.keys().eq(after.keys()), "{:?}", after.keys());
        assert!(before.len() > 10);
        for (file, bytes) in &before {
            assert!(after[file] == *bytes, "{name}: {file} differs");
        }
    }
}

/// Both say nearly the same of the picture.
fn assert_alike(a: &Classifier, b: &Classifier, probability: f64, map: f64) {
    let [(p, one), (q, other)] = [a, b].map(|classifier| explained(classifier, Score::Prob));
    for (p, q) in p.probabilities.iter().zip(&q.probabilities) {
        assert!((p - q).abs() < probability, "{p} and {q}");
    }
    assert_eq!(one.class, other.class);
    let largest = one.maps()[0]
        .values
        .iter()
        .fold(0.0f64, |most, v| most.max(v.abs()));
    for (a, b) in one.maps()[0].values.iter().zip(&other.maps()[0].values) {
        assert!((a - b).abs() < map * largest, "{a} and {b} of {largest}");
    }
}

#[test]
fn half_precision_keeps_the_pictures_within_its_rounding() {
    // Eleven layers of weights rounded to 11 or 8 bits.
    for (dtype, stored, probability, map) in [
        ("f16", DType::F16, 5e-3, 1e-2),
        ("bf16", DType::BF16, 4e-2, 8e-2),
    ] {
        let (_home, path) = converted(&network("bn"), &["--dtype", dtype]);
        let weights = weights::open(&path).unwrap();
        assert!(
            weights
                .tensors
                .values()
                .all(|tensor| tensor.dtype() == stored)
        );
        assert_alike(
            &classifier(&path),
            &classifier(&network("bn")),
            probability,
            map,
        );
    }
}

#[test]
fn tensorflows_layout_becomes_pytorchs_and_the_numbers_stay() {
    let original = fixture("npy/tiny-python2.npy");
    let (_home, path) = converted(&original, &[]);
    let names: Vec<String> = weights::open(&path).unwrap().tensors.into_keys().collect();
    for name in [
        "features.0.weight",
        "features.28.bias",
        "classifier.6.weight",
    ] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    let [before, after] = [classifier(&original), classifier(&path)];
    assert_eq!(before.normalization, after.normalization);
    assert_eq!(after.network.architecture, "vgg16");
    // The same numbers, added in another order.
    assert_alike(&before, &after, 1e-6, 1e-5);
    // And back: what is in PyTorch's layout is written as it is.
    let (_other, again) = converted(&path, &[]);
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn a_network_that_is_no_vgg_comes_back_from_its_graph() {
    // One ReLU fewer is enough: the first convolution of the second block is the first's third.
    let graph = r#"{"input":[3,64,48],"nodes":[
        {"name":"a","inputs":[0],"op":"conv2d","layout":"oihw",
         "window":{"size":[3,3],"stride":[2,1],"pad_before":[1,0],"pad_after":[0,1],"dilation":[1,1]}},
        {"name":"relu","inputs":[1],"op":"relu"},
        {"name":"pool","inputs":[2],"op":"max_pool",
         "window":{"size":[3,2],"stride":[2,2],"pad_before":[0,0],"pad_after":[0,0],"dilation":[1,1]}},
        {"name":"b","inputs":[3],"op":"conv2d","layout":"oihw",
         "window":{"size":[3,3],"stride":[1,1],"pad_before":[1,1],"pad_after":[1,1],"dilation":[1,1]}},
        {"name":"mean","inputs":[4],"op":"global_mean"},
        {"name":"c","inputs":[5],"op":"linear","layout":"in_out"}]}"#;
    let rename = |name: &str, shape: &[usize]| -> Renamed {
        let name = match name {
            "features.0.weight" => "a.weight",
            "features.0.bias" => "a.bias",
            "features.2.weight" => "b.weight",
            "features.2.bias" => "b.bias",
            _ => return None,
        };
        Some((name.into(), shape.to_vec()))
    };
    let metadata = [
        ("gradcam_graph", graph),
        ("preprocessing", "tf"),
        ("architecture", "three"),
    ];
    let home = tempfile::tempdir().unwrap();
    let input = home.path().join("in.safetensors");
    let missing = rewritten("plain", &metadata, rename);
    fs::write(&input, missing).unwrap();
    let output = gradcam(
        &["convert", "in.safetensors", "out.safetensors"],
        home.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("node c has no tensor c.weight"));
    let whole = rewritten("plain", &metadata, |name, shape| match name {
        // 40 numbers as four inputs by ten outputs.
        "features.5.weight" => None,
        "classifier.6.weight" => Some(("other.weight".into(), shape.to_vec())),
        "classifier.3.weight" => Some(("c.weight".into(), vec![4, 25])),
        _ => rename(name, shape),
    });
    fs::write(&input, whole).unwrap();
    let before = classifier(&input);
    assert_eq!(before.network.classes(), 25);
    let (_home, path) = converted(&input, &[]);
    let after = classifier(&path);
    assert_eq!(after.network.architecture, "three");
    assert_eq!(after.normalization, before.normalization);
    let [a, b] = [&before, &after].map(|classifier| explained(classifier, Score::Logit));
    assert_eq!(a, b);
    // A tensor of no node is left out, and the rest does not move any more.
    assert!(
        weights::open(&path)
            .unwrap()
            .tensor("other.weight")
            .is_none()
    );
    let (_other, again) = converted(&path, &[]);
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn a_node_without_its_bias_is_told_so() {
    let graph = r#"{"input":[3,64,48],"nodes":[{"name":"a","inputs":[0],"op":"affine"}]}"#;
    let bytes = rewritten("plain", &[("gradcam_graph", graph)], |name, shape| {
        (name == "features.0.weight").then(|| ("a.weight".into(), shape.to_vec()))
    });
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("in.safetensors"), bytes).unwrap();
    let output = gradcam(
        &["convert", "in.safetensors", "out.safetensors"],
        home.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("node a has no tensor a.bias"), "{told}");
}

#[test]
fn what_tensors_cannot_say_is_written_beside_them() {
    let home = tempfile::tempdir().unwrap();
    let labels = home.path().join("labels.txt");
    fs::write(&labels, "n02123045 tabby, cat\ndog\ncup\ntree\n").unwrap();
    let options = ["--labels", labels.to_str().unwrap(), "--preprocess", "unit"];
    let more = ["--input-size", "96", "--activation", "sigmoid"];
    let (_home, path) = converted(&network("mean"), &[options, more].concat());
    let weights = weights::open(&path).unwrap();
    let said = |key: &str| weights.metadata[key].as_str();
    assert_eq!(said("architecture"), "vgg11_bn-gap");
    assert_eq!(said("preprocessing"), "unit");
    assert_eq!(said("input_size"), "96");
    assert_eq!(said("output"), "sigmoid");
    assert_eq!(
        said("labels"),
        r#"["n02123045 tabby, cat","dog","cup","tree"]"#
    );
    let found = classifier(&path);
    assert_eq!(found.network.input_shape().h, 96);
    assert_eq!(found.labels.as_deref(), Some(said("labels")));
    // Labels and the rest stay when the file is converted again.
    let (_other, again) = converted(&path, &[]);
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn a_size_that_calls_for_torchvisions_average_is_kept() {
    for size in ["96", "300"] {
        let (_home, path) = converted(&network("plain"), &["--input-size", size]);
        let after = classifier(&path);
        assert_eq!(after.network.input_shape().h.to_string(), size);
        let side = Some(size.parse().unwrap());
        let before = recognise_at(&weights::open(&network("plain")).unwrap(), side).unwrap();
        let [a, b] = [&before, &after].map(|classifier| explained(classifier, Score::Logit));
        assert_eq!(a, b);
    }
}

#[test]
fn preprocessing_that_is_a_guess_is_written_with_a_note() {
    let home = tempfile::tempdir().unwrap();
    let input = network("plain");
    let output = gradcam(
        &["convert", input.to_str().unwrap(), "out.safetensors"],
        home.path(),
    );
    let note = "note: preprocessing is written as torch, a guess, since its tensors are named as torchvision's; \
                --preprocess says otherwise\n";
    let said = text(&output.stderr);
    assert!(said.ends_with(note), "{said}");
    let said = text(&output.stdout);
    assert!(
        said.starts_with("out.safetensors: vgg13, 26 tensors, ") && said.ends_with(" KiB\n"),
        "{said}"
    );
}

/// Converting `input` fails with this exit code and these words, and nothing is written.
fn assert_refused(input: &Path, output: &str, options: &[&str], code: i32, said: &str) {
    let home = tempfile::tempdir().unwrap();
    let arguments = [&["convert", input.to_str().unwrap(), output], options].concat();
    let result = gradcam(&arguments, home.path());
    let error = text(&result.stderr);
    assert_eq!(result.status.code(), Some(code), "{error}");
    assert!(error.contains(said), "{error:?} lacks {said:?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_of_what_cannot_be_converted() {
    let plain = network("plain");
    assert_refused(&plain, "out.npy", &[], 2, "name it so");
    assert_refused(
        &fixture("absent.npy"),
        "out.safetensors",
        &[],
        1,
        "absent.npy",
    );
    let labels = fixture("README.md");
    let labels = ["--labels", labels.to_str().unwrap()];
    assert_refused(&plain, "out.safetensors", &labels, 1, "README.md");
    assert_refused(
        &fixture("npy/tiny-p4.npy"),
        "out.safetensors",
        &["--input-size", "256"],
        1,
        "takes 224",
    );
    assert_refused(
        &plain,
        "out.safetensors",
        &["--input-size", "0"],
        2,
        "--input-size",
    );
    let under_a_file = fixture("README.md/out.safetensors");
    let under_a_file = under_a_file.to_str().unwrap();
    assert_refused(&plain, under_a_file, &[], 1, "cannot be written");
}

#[test]
fn numbers_that_a_type_does_not_hold_are_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("in.safetensors");
    let mut bytes = rewritten("plain", &[], as_it_is);
    // The last number of the file, whichever tensor has it.
    for (value, dtype, said) in [
        (f32::NAN, "f32", "holds NaN at element"),
        (f32::INFINITY, "bf16", "holds inf at element"),
        (
            7e4,
            "f16",
            "beyond the range of f16: use --dtype bf16 or f32",
        ),
    ] {
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        assert_refused(&path, "out.safetensors", &["--dtype", dtype], 1, said);
    }
}

#[test]
fn the_input_is_never_written_over() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("net.safetensors");
    fs::copy(network("plain"), &path).unwrap();
    let before = fs::read(&path).unwrap();
    let output = gradcam(
        &["convert", "net.safetensors", "./net.safetensors"],
        home.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot be written over"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn hostile_graphs_are_refused_in_words() {
    let conv = |window: &str| {
        format!(
            r#"{{"input":[3,64,64],"nodes":[{{"name":"a","inputs":[0],"op":"conv2d","layout":"oihw","window":{window}}}]}}"#
        )
    };
    let window = |size: &str, stride: &str, pad: &str| {
        conv(&format!(
            r#"{{"size":{size},"stride":{stride},"pad_before":{pad},"pad_after":[0,0],"dilation":[1,1]}}"#
        ))
    };
    let huge = "[18446744073709551615,3]";
    let pool = |name: &str, input: usize, size: &str, pad: usize, dilation: &str| {
        format!(
            r#"{{"name":"{name}","inputs":[{input}],"op":"max_pool","window":{{"size":{size},"stride":[1,1],"pad_before":[{pad},{pad}],"pad_after":[{pad},{pad}],"dilation":{dilation}}}}}"#
        )
    };
    let nodes = |nodes: &[String]| {
        let nodes = nodes.join(",");
        format!(r#"{{"input":[3,64,64],"nodes":[{nodes}]}}"#)
    };
    let pooled = |size: &str, dilation: &str| nodes(&[pool("a", 0, size, 0, dilation)]);
    let attention = |side: usize, inputs: &str, op: &str| {
        format!(
            r#"{{"input":[3,{side},{side}],"nodes":[{{"name":"a","inputs":{inputs},"op":{op}}}]}}"#
        )
    };
    // Each layer adds 8192 rows and columns to the one before it.
    let grown = |layers: usize| {
        let layer = |i| pool(&format!("grown{i}"), i, "[1,1]", 4096, "[1,1]");
        nodes(&(0..layers).map(layer).collect::<Vec<_>>())
    };
    for (graph, said) in [
        ("{".to_owned(), "EOF"),
        (
            r#"{"input":[3,0,64],"nodes":[]}"#.into(),
            "an input of [3, 0, 64]",
        ),
        (r#"{"input":[3,99999,64],"nodes":[]}"#.into(), "an input of"),
        (
            r#"{"input":[3,64,64],"nodes":[]}"#.into(),
            "not one value a class",
        ),
        (
            r#"{"input":[3,64,64],"nodes":[{"name":"a","inputs":[1],"op":"relu"}]}"#.into(),
            "one earlier layer",
        ),
        (
            r#"{"input":[3,64,64],"nodes":[{"name":"a","inputs":[0,0],"op":"relu"}]}"#.into(),
            "one earlier layer",
        ),
        (
            r#"{"input":[3,64,64],"nodes":[{"name":"a","inputs":[],"op":"relu"}]}"#.into(),
            "one earlier layer",
        ),
        (grown(64), "more than any adapter takes"),
        (
            pooled("[2,2]", "[2,2]"),
            "pools with dilations are not supported",
        ),
        (
            pooled("[17,17]", "[1,1]"),
            "a maximum over 17 x 17 places; up to 256 places",
        ),
        (
            r#"{"input":[3,64,64],"nodes":[{"name":"input","inputs":[0],"op":"relu"}]}"#.into(),
            "two layers are called \"input\"",
        ),
        (
            r#"{"input":[3,64,64],"nodes":[{"name":"a","inputs":[0],"op":"exec"}]}"#.into(),
            "unknown variant",
        ),
        (
            window("[3,3]", "[0,1]", "[1,1]"),
            "a window without taps or steps",
        ),
        (
            window(huge, "[1,1]", "[1,1]"),
            "a window larger than any picture",
        ),
        (
            window("[3,3]", "[1,1]", huge),
            "a window larger than any picture",
        ),
        (
            window("[5,5]", "[1,1]", "[0,0]"),
            "its weights have shape [4, 3, 3, 3]",
        ),
        (window("[3,3]", "[1,1]", "[1,1]"), "not one value a class"),
        (
            attention(64, "[0,0]", r#""attention_scores","heads":0,"scale":1.0"#),
            "attention of 0 heads between queries of 3x64x64",
        ),
        (
            attention(64, "[0,0]", r#""attention_scores","heads":2,"scale":1.0"#),
            "attention of 2 heads between queries of 3x64x64",
        ),
        (
            attention(64, "[0,0]", r#""attention_scores","heads":1,"scale":1e999"#),
            "out of range",
        ),
        (
            attention(64, "[0]", r#""attention_scores","heads":1,"scale":1.0"#),
            "reads 1, expected two layers",
        ),
        (
            attention(4096, "[0,0]", r#""attention_scores","heads":3,"scale":1.0"#),
            "more than any adapter takes",
        ),
        (
            attention(
                64,
                "[0,0]",
                r#""attention_sum","heads":18446744073709551615"#,
            ),
            "heads whose weights are 3x64x64 and values 3x64x64",
        ),
        (
            attention(64, "[0,0,0]", r#""attention_sum","heads":1"#),
            "reads 3, expected two layers",
        ),
    ] {
        let weights = renamed("plain", &[("gradcam_graph", &graph)], |name, shape| {
            (name == "features.0.weight").then(|| ("a.weight".into(), shape.to_vec()))
        });
        let error = recognise(&weights).unwrap_err().to_string();
        assert!(error.contains(said), "{graph}: {error:?} lacks {said:?}");
    }
}
