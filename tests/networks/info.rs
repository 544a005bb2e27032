//! `gradcam info` as its user sees it: what is in a file, and what is wrong with one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn info(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gradcam"))
        .arg("info")
        .args(arguments)
        // Mesa complains where it is not set, on the stream that is looked at here.
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name).to_str().unwrap().to_owned()
}

fn json(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = info(&[arguments, &["--json"]].concat());
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    (serde_json::from_str(&lines).unwrap(), output.status.code())
}

#[test]
fn the_built_in_network_is_described_without_a_file() {
    let output = info(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for line in [
        "file           the built-in network",
        "network        vgg16-gap, 14,725,461 parameters, 15,346,641,408 multiply-adds a picture",
        "input          3 x 224 x 224",
        "preprocessing  caffe (as the file says)",
        "classes        21, softmax",
        "class names    from the file: airplane, bird, boat, building, car, ...",
        "  conv1_1     conv 3x3             64 x 224 x 224          1,792",
    ] {
        assert!(said.contains(line), "{said}\nlacks {line:?}");
    }
    assert!(said.contains("conv5_3 pool5 (default conv5_3)"), "{said}");
    assert!(said.contains(" MiB for weights, "), "{said}");
    for part in [" MiB at most at once, ", " MiB with --dtype f16, on "] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_file_is_described_as_json_for_other_programs() {
    let (said, code) = json(&[&fixture("npy/tiny-python2.npy")]);
    assert_eq!(code, Some(0));
    assert_eq!(said["schema"], 1);
    assert!(said["problem"].is_null());
    assert_eq!(said["format"], "npy");
    assert_eq!(said["sha256"].as_str().unwrap().len(), 64);
    assert!(said["known_as"].is_null());
    assert_eq!(said["tensors"].as_array().unwrap().len(), 32);
    let network = &said["network"];
    assert_eq!(network["architecture"], "vgg16");
    assert_eq!(network["input"], serde_json::json!([3, 224, 224]));
    assert_eq!(network["preprocessing"], "caffe");
    assert_eq!(
        (&network["classes"], &network["output"]),
        (&5.into(), &"softmax".into())
    );
    assert_eq!(network["default_target"], "conv5_3");
    let memory = |part: &str| network["memory"][part].as_u64().unwrap();
    assert!(memory("weights") > 4 * 7000);
    assert!(memory("peak") > memory("weights") + memory("working"));
    let layers = network["layers"].as_array().unwrap();
    let sum: u64 = layers
        .iter()
        .map(|layer| layer["parameters"].as_u64().unwrap())
        .sum();
    assert_eq!(network["parameters"], sum);
    let fc6 = layers.iter().find(|layer| layer["name"] == "fc6").unwrap();
    assert_eq!(
        (&fc6["op"], &fc6["parameters"]),
        (&"dense".into(), &(392 * 10 + 10).into())
    );
}

#[test]
fn preprocessing_that_is_a_guess_is_called_one() {
    let (said, _) = json(&[&fixture("vgg/bn.safetensors")]);
    assert_eq!(said["network"]["preprocessing"], "torch");
    assert_eq!(
        said["network"]["preprocessing_evidence"],
        "a guess: its tensors are named as torchvision's"
    );
}

/// What is wrong with a file of these bytes, in one line, and the JSON of it.
fn problem(name: &str, bytes: &[u8]) -> (String, Value) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(name);
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let output = info(&[path]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    let (value, code) = json(&[path]);
    assert_eq!(code, Some(1));
    let sentence = value["problem"].as_str().unwrap();
    assert_eq!(said.trim_end(), format!("error: {sentence}"));
    (sentence.to_owned(), value)
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_sentence() {
    let whole = fs::read(fixture("vgg/plain.safetensors")).unwrap();
    for (name, bytes, said) in [
        (
            "page.npy",
            &b"<!DOCTYPE html><html><p>404"[..],
            "an HTML page",
        ),
        (
            "net.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 553\n",
            "a Git LFS pointer",
        ),
        ("empty.pth", b"", "an empty file"),
        (
            "cut.safetensors",
            &whole[..whole.len() - 1000],
            "1000 more bytes belong to it",
        ),
        (
            "short.safetensors",
            &whole[..100],
            "more bytes belong to it",
        ),
    ] {
        let (problem, value) = problem(name, bytes);
        assert!(problem.contains(said), "{problem:?} lacks {said:?}");
        assert!(problem.contains(name), "{problem:?} lacks {name:?}");
        assert!(value["network"].is_null());
    }
}

#[test]
fn of_a_file_that_is_no_vgg_the_tensors_are_listed_with_the_reason() {
    let names = [
        "cls.weight",
        "fc.weight",
        "patch_embed.proj.weight",
        "pos.weight",
    ];
    let zeros = [0; 4 * 27];
    let views = names.map(|name| {
        let shape = vec![1, 3, 3, 3];
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, shape, &zeros).unwrap();
        (name, view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    let (problem, value) = problem("resnet.safetensors", &bytes);
    assert!(
        problem.contains("perhaps a vision transformer"),
        "{problem}"
    );
    assert_eq!(value["format"], "safetensors");
    assert_eq!(value["tensors"][1]["name"], "fc.weight");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("resnet.safetensors");
    fs::write(&path, bytes).unwrap();
    let said = text(&info(&[path.to_str().unwrap()]).stdout);
    assert!(
        said.contains("  patch_embed.proj.weight  float32 [1, 3, 3, 3]"),
        "{said}"
    );
}

#[test]
fn a_number_that_is_none_is_named_by_its_tensor() {
    let mut bytes = fs::read(fixture("vgg/plain.safetensors")).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let (problem, value) = problem("nan.safetensors", &bytes);
    assert!(problem.contains("holds NaN at element"), "{problem}");
    assert_eq!(value["network"]["architecture"], "vgg13");
}

#[test]
fn without_an_adapter_everything_but_the_memory_is_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
        .args(["info", &fixture("vgg/mean.safetensors")])
        // Vulkan's loader then finds no driver.
        .env("VK_DRIVER_FILES", "/nonexistent.json")
        .env("VK_ICD_FILENAMES", "/nonexistent.json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("memory         not known: no adapter") || said.contains(" MiB for weights")
    );
    assert!(said.contains("classes        4, softmax"), "{said}");
}
