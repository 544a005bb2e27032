//! Numbers stored in float16 on the device: what the command says of it, and where it refuses.

use serde_json::{Value, json};

use crate::harness::{Folder, json_lines};
use crate::npy_writer::{self, Python};
use crate::seeded::{self, TINY};

#[test]
fn float16_moves_what_is_shown_by_little_and_the_json_says_it() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -q --outputs raw,guided_bprop -m gradcam,layercam,hirescam";
    let full = folder.json(&format!("{line} -o full"));
    let half = folder.json(&format!("{line} -o half --dtype f16"));
    let probability = |report: &[Value]| report[0]["classes"][0]["probability"].as_f64().unwrap();
    let apart = (probability(&full) - probability(&half)).abs();
    assert!(apart > 0.0 && apart < 5e-3, "{apart}");
    for (report, dtype) in [(&full, "f32"), (&half, "f16")] {
        assert_eq!(report[0]["settings"]["dtype"], dtype);
        // Dense layers' matrices follow it.
        assert_eq!(report[0]["settings"]["weights_dtype"], dtype);
    }
    for method in ["gradcam", "layercam", "hirescam"] {
        let name = |folder: &str| format!("{folder}/cat_0_1_class_1_0.797_{method}.npy");
        let (expected, _) = folder.array(&name("full"));
        let half_name = folder
            .names()
            .into_iter()
            .find(|it| it.starts_with("half/") && it.ends_with(&format!("_{method}.npy")))
            .unwrap();
        let (actual, _) = folder.array(&half_name);
        let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        // A mask that turns over in a network of so few channels moves a place of its own.
        let is_off = |(a, e): &(&f32, &f32)| (*a - *e).abs() > 2e-2 * largest;
        let off = actual.iter().zip(&expected).filter(is_off).count();
        assert!(off * 10 <= expected.len(), "{method}: {off} places are off");
    }
}

#[test]
fn matrices_have_a_type_of_their_own_where_one_is_given() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -q --outputs none --dtype f16 --weights-dtype f32";
    let settings = &folder.json(line)[0]["settings"];
    assert_eq!(settings["dtype"], "f16");
    assert_eq!(settings["weights_dtype"], "f32");
}

#[test]
fn values_that_float16_cannot_hold_are_refused_with_the_layer_and_nothing_is_written() {
    let folder = Folder::new();
    let mut layers = seeded::weights(&TINY);
    layers[1][0].scale *= 1e4;
    let mut bytes = vec![];
    npy_writer::write(&mut bytes, Python::Two, &layers).unwrap();
    folder.put("large.npy", &bytes);
    let line = "cat.png large.npy -c 1 -q --outputs none";
    let parts = [
        "conv1_2 reaches",
        "more than float16 can hold",
        "leave out --dtype f16",
    ];
    folder.refuses(&format!("{line} --dtype f16"), 1, &parts);
    folder.refuses(&format!("{line} --dtype f16 -m scorecam,rise"), 1, &parts);
    folder.refuses(&format!("{line} --dtype f16 -m smoothgrad"), 1, &parts);
    folder.run(line).exits(0);
}

#[test]
fn unlikely_classes_are_explained_in_float16_as_in_float32() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 0 -c 2 -c 3 -c 4 -q --score prob --outputs raw,guided_bprop";
    let full = folder.json(&format!("{line} -o full"));
    let half = folder.json(&format!("{line} -o half --dtype f16"));
    let maps = |report: &[Value]| {
        let classes = report[0]["classes"].as_array().unwrap().clone();
        let max = |class: &Value| class["maps"][0]["max"].as_f64().unwrap();
        classes.iter().map(max).collect::<Vec<f64>>()
    };
    for (full, half) in maps(&full).into_iter().zip(maps(&half)) {
        assert!(
            (full - half).abs() <= 1e-1 * full.abs(),
            "{full} and {half}"
        );
    }
}

#[test]
fn a_run_that_was_begun_with_another_type_is_not_resumed() {
    let folder = Folder::new();
    folder.put("in/a.png", &folder.read("cat.png"));
    let line = "in tiny.npy -c 1 --outputs heatmap -o maps -q --json";
    folder.prints(line);
    let resumed = folder.run(&format!("{line} --resume --dtype f16"));
    let named = format!("{}{}", resumed.stdout, resumed.stderr);
    assert!(named.contains("dtype"), "{named}");
}

#[test]
fn the_command_that_is_shown_has_the_type() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 -q --outputs heatmap --dtype f16");
    let file = folder
        .names()
        .into_iter()
        .find(|name| name.ends_with("_heatmap.png"))
        .unwrap();
    let shown = &json_lines(&folder.prints(&format!("show {file} --json")))[0];
    let command = shown["command"].as_array().unwrap();
    let at = command.iter().position(|part| part == "--dtype").unwrap();
    assert_eq!(command[at + 1], "f16");
    assert_eq!(shown["settings"]["dtype"], json!("f16"));
}

#[test]
fn a_type_that_there_is_not_is_wrong_usage() {
    let folder = Folder::new();
    for command in ["cat.png tiny.npy", "bench tiny.npy"] {
        let run = folder.run(&format!("{command} --dtype f8"));
        run.exits(2);
        assert!(run.stderr.contains("f32, f16"), "{}", run.stderr);
    }
}
