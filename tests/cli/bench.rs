//! What `gradcam bench` promises: its keys, its checks, what it refuses to time.

use serde_json::Value;

use crate::harness::{Folder, Tiny};

/// The number at a path of keys.
#[track_caller]
fn number(value: &Value, path: &str) -> f64 {
    let found = value.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path}: {value}"))
}

#[test]
fn the_json_has_every_key_that_was_promised() {
    let folder = Folder::new();
    let told = folder.prints("bench tiny.npy --json --runs 1 --batch 2");
    assert_eq!(told.lines().count(), 1, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["schema"], 1);
    assert_eq!(told["runs"], 1);
    assert_eq!(told["input"], serde_json::json!([3, 224, 224]));
    for path in [
        "/adapter/name",
        "/adapter/backend",
        "/adapter/type",
        "/adapter/driver",
        "/weights/path",
        "/weights/architecture",
        "/weights/dtype",
    ] {
        let text = told.pointer(path).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{path}: {told}");
    }
    for path in [
        "/forward_ms",
        "/gradcam_ms",
        "/guided_bprop_ms",
        "/batch/forward_ms",
        "/start_up_ms/device",
        "/start_up_ms/reading",
        "/start_up_ms/pipelines",
        "/start_up_ms/packing",
        "/start_up_ms/upload",
        "/start_up_ms/preparation",
        "/start_up_ms/first_forward",
        "/start_up_ms/total",
        "/memory_bytes/weights",
        "/memory_bytes/activations",
        "/memory_bytes/planned_peak",
        "/memory_bytes/allocated_peak",
        "/ceilings/gflops",
        "/ceilings/gbytes_per_s",
    ] {
        assert!(number(&told, path) > 0.0, "{path}: {told}");
    }
    assert_eq!(told["batch"]["pictures"], 2);
    assert_eq!(told["check"]["repeatable"], true);
    let ratio = number(&told, "/check/gradient_ratio");
    assert!((ratio - 1.0).abs() <= 0.05, "{ratio}");

    let start = |part: &str| number(&told, &format!("/start_up_ms/{part}"));
    let weights = start("packing") + start("upload");
    let parts = start("device")
        + start("reading")
        + weights.max(start("pipelines"))
        + start("preparation")
        + start("first_forward");
    // The rest is planning and recording.
    let share = parts / start("total");
    assert!((0.7..1.001).contains(&share), "{share} of {told}");

    let memory = |part: &str| number(&told, &format!("/memory_bytes/{part}"));
    let (planned, allocated) = (memory("planned_peak"), memory("allocated_peak"));
    assert!(allocated <= planned, "{allocated} {planned}");
    assert!(planned <= 1.1 * allocated, "{allocated} {planned}");

    let rows = |key: &str| told[key].as_array().unwrap().clone();
    let (kernels, layers) = (rows("kernels"), rows("layers"));
    let adapter = told["adapter"]["name"].as_str().unwrap();
    let timed = told["timestamps"].as_bool().unwrap();
    assert!(timed || !adapter.contains("llvmpipe"), "{told}");
    assert_eq!((kernels.is_empty(), layers.is_empty()), (!timed, !timed));
    for row in kernels.iter().chain(&layers) {
        assert!(row["kernel"].is_string() && row["phase"].is_string());
        for key in [
            "/ms",
            "/gflops",
            "/gbytes_per_s",
            "/share_of_arithmetic",
            "/share_of_memory",
        ] {
            assert!(number(row, key) >= 0.0, "{key}: {row}");
        }
    }
    let dispatches = kernels.iter().map(|kernel| number(kernel, "/dispatches"));
    assert_eq!(dispatches.sum::<f64>(), layers.len() as f64);
    for phase in ["forward", "gradcam", "guided_bprop"] {
        let of_phase = |row: &&Value| row["phase"] == phase;
        assert_eq!(kernels.iter().any(|row| of_phase(&row)), timed, "{phase}");
        let layers = layers.iter().filter(of_phase);
        let named = layers.filter(|row| row["layer"].is_string() && row["before_ms"].is_number());
        assert_eq!(named.count() > 0, timed, "{phase}");
    }
}

#[test]
fn the_text_has_the_same_in_lines_for_people() {
    let folder = Folder::new();
    let text = folder.prints("bench tiny.npy --runs 1 --batch 2");
    for part in [
        "vgg16, tiny.npy, one picture of 3 x 224 x 224, one class",
        "checked: repeatable; along its gradient the logit moves ",
        "medians of 1 warm runs",
        "  forward  ",
        "  Grad-CAM  ",
        "  guided backpropagation  ",
        "  forward, 2 pictures  ",
        "start-up, ms: ",
        ", preparation ",
        "device memory: ",
        " MiB planned at once, ",
        "ceilings of this device: ",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    let tables = ["\nkernel  ", "\nlayer  "].map(|title| text.contains(title));
    let none = text.contains("no timestamps on this adapter");
    assert_eq!(tables, [!none; 2], "{text}");
}

#[test]
fn arguments_that_nothing_can_be_measured_with_are_wrong_usage() {
    let folder = Folder::new();
    for (line, part) in [
        ("bench tiny.npy --runs 0", "--runs"),
        ("bench tiny.npy --batch 0", "--batch"),
        ("bench tiny.npy --batch -1", "--batch"),
        ("bench tiny.npy --input-size 0", "--input-size"),
        ("bench tiny.npy --weights-dtype f8", "f16"),
        ("bench tiny.npy --convolution slow", "direct"),
        ("bench tiny.npy tiny.npy", "unexpected argument"),
    ] {
        let run = folder.run(line);
        run.exits(2);
        assert_eq!(run.stdout, "", "{line}");
        assert!(run.stderr.contains(part), "{line}: {}", run.stderr);
    }
}

#[test]
fn what_is_no_network_of_that_size_is_refused_by_its_name() {
    let folder = Folder::new();
    folder.refuses("bench missing.npy", 1, &["no such file: missing.npy"]);
    folder.refuses("bench cat.png", 1, &["cat.png"]);
    let fixed = "bench tiny.npy --json --input-size 256";
    folder.refuses(fixed, 1, &["tiny.npy", "256"]);
    let none = "bench tiny.npy --adapter abacus";
    folder.refuses(none, 1, &["no adapter matches \"abacus\""]);
}

#[test]
fn results_that_are_no_numbers_are_not_timed() {
    let folder = Folder::new();
    let large = Tiny::new().with("fc8", 0, |_, weight| weight.signum() * f32::MAX);
    folder.put("large.npy", &large.bytes());
    let parts = &["logit ", ": there is nothing to time"];
    folder.refuses("bench large.npy --runs 1", 1, parts);
    let damaged = Tiny::new().with("conv3_2", 0, |i, weight| match i {
        7 => f32::NAN,
        _ => weight,
    });
    folder.put("damaged.npy", &damaged.bytes());
    let parts = &["damaged.npy", "conv3_2", "NaN at element 7"];
    folder.refuses("bench damaged.npy --json", 1, parts);
}
