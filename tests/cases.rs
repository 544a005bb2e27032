//! Inputs that once went wrong without a word, each with the right answer: `tests/fixtures/cases`.
//!
//! A picture is held against Pillow's pixels. A network is run as its user would, in its folder with the arguments of its
//! `case.json`, and held against the probabilities and the map of PyTorch, Keras or onnxruntime.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Cases that are known to fail still. One that holds and is named here fails the test too.
const PENDING: [&str; 0] = [];

/// Probabilities are float32 on both sides.
const PROBABILITY: f64 = 1e-4;
/// Of a map's largest value.
const MAP: f64 = 1e-3;
/// Decoders of JPEG round the inverse transform and spread colours by filters of their own.
const JPEG_LEVELS: u8 = 4;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/cases")
        .join(kind)
}

/// Names of the files or folders in `folder`, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs `check` over `cases`: every one holds but those of [`PENDING`].
fn all(cases: &[String], check: impl Fn(&str) -> Result<(), String>) {
    let mut wrong = vec![];
    for case in cases {
        match (check(case), PENDING.contains(&case.as_str())) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => wrong.push(format!("{case}: holds now; take it out of PENDING")),
            (Err(problem), false) => wrong.push(format!("{case}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pictures_are_read_as_pillow_reads_them() {
    let folder = folder("pictures");
    let mut cases = names(&folder);
    cases.retain(|name| !name.ends_with(".right.png"));
    assert_eq!(cases.len(), 10);
    all(&cases, |name| {
        let picture =
            gradcam::low_level::picture::open(&folder.join(name)).map_err(|e| e.to_string())?;
        let right = image::open(folder.join(format!("{name}.right.png"))).unwrap();
        let right = right.into_rgb8();
        if picture.rgb.dimensions() != right.dimensions() {
            let (got, right) = (picture.rgb.dimensions(), right.dimensions());
            return Err(format!("{got:?} pixels, expected {right:?}"));
        }
        let pairs = picture.rgb.as_raw().iter().zip(right.as_raw());
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let is_jpeg = Path::new(name).extension().is_some_and(|e| e == "jpg");
        let allowed = if is_jpeg { JPEG_LEVELS } else { 0 };
        match worst <= allowed {
            true => Ok(()),
            false => Err(format!("{worst} levels from Pillow's, allowed {allowed}")),
        }
    });
}

#[test]
fn networks_answer_as_their_frameworks_do() {
    let folder = folder("networks");
    let cases = names(&folder);
    assert_eq!(cases.len(), 15);
    all(&cases, |name| network(&folder.join(name)));
}

/// Not of a NaN.
fn close(a: f64, b: f64, bound: f64) -> bool {
    (a - b).abs() <= bound
}

fn network(folder: &Path) -> Result<(), String> {
    let case = fs::read(folder.join("case.json")).unwrap();
    let case: Value = serde_json::from_slice(&case).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        let list = value.as_array().unwrap();
        list.iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let probabilities = numbers(&case["probabilities"]);
    let out = tempfile::tempdir().unwrap();
    let arguments = case["arguments"].as_array().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
        .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
        .args(["--json", "--outputs", "raw", "--top-n"])
        .arg(probabilities.len().to_string())
        .arg("--out-dir")
        .arg(out.path())
        .current_dir(folder)
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap();
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(notes);
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let classes = report["classes"].as_array().unwrap();
    if classes.len() != probabilities.len() {
        return Err(format!("{} classes", classes.len()));
    }
    for class in classes {
        let id = class["id"].as_u64().unwrap() as usize;
        let probability = class["probability"].as_f64().unwrap();
        let right = probabilities[id];
        if !close(probability, right, PROBABILITY) {
            return Err(format!("class {id}: {probability}, expected {right}"));
        }
    }

    let class = classes.iter().find(|class| class["id"] == case["class"]);
    let file = class.unwrap()["maps"][0]["files"]["gradcam.npy"].as_str();
    let map: ndarray::Array2<f32> = ndarray_npy::read_npy(folder.join(file.unwrap())).unwrap();
    let right: Vec<Vec<f64>> = case["map"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
        .collect();
    if map.shape() != [right.len(), right[0].len()] {
        let size = [right.len(), right[0].len()];
        return Err(format!("a map of {:?}, expected {size:?}", map.shape()));
    }
    let right = right.concat();
    let largest = right.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    for (at, (&value, right)) in map.iter().zip(&right).enumerate() {
        if !close(f64::from(value), *right, MAP * largest) {
            return Err(format!("map element {at}: {value}, expected {right}"));
        }
    }
    for word in case["a note must say"].as_array().into_iter().flatten() {
        let word = word.as_str().unwrap();
        if !notes.contains(word) {
            return Err(format!("no note says {word:?}: {notes}"));
        }
    }
    Ok(())
}
