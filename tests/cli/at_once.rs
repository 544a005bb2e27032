//! Pictures that share passes or devices: the results are those of each alone.

use serde_json::Value;

use crate::harness::{Folder, Run, fixture, json_lines};

/// Seven pictures of four kinds, and the networks of two families beside a plain one.
fn folder() -> Folder {
    let folder = Folder::new();
    let pictures = ["rgb.jpg", "cmyk.jpg", "animated.png", "black_and_white.png"];
    for i in 0..7 {
        let name = pictures[i % 4];
        folder.put(
            format!("in/{i}-{name}"),
            &fixture(&format!("pictures/{name}")),
        );
    }
    for network in ["densenet.pth", "efficientnet.safetensors"] {
        folder.put(network, &fixture(&format!("families/{network}")));
    }
    folder
}

/// Every number of the classes with its place, and every word.
fn numbers(value: &Value, at: &str, out: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => out.push((at.to_owned(), number.as_f64().unwrap())),
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                numbers(value, &format!("{at}/{i}"), out);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                numbers(value, &format!("{at}/{name}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[track_caller]
fn assert_same(one: &Run, other: &Run, what: &str) {
    let [one, other] = [one, other].map(|run| {
        run.exits(0);
        json_lines(&run.stdout)
    });
    assert_eq!(one.len(), other.len(), "{what}");
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one["image"], other["image"], "{what}");
        let [mut a, mut b] = [vec![], vec![]];
        numbers(&one["classes"], "", &mut a);
        numbers(&other["classes"], "", &mut b);
        assert_eq!(a.len(), b.len(), "{what}: {}", one["image"]);
        for ((at, a), (_, b)) in a.iter().zip(&b) {
            // Sums in another order.
            let bound = 1e-5 + 2e-3 * a.abs().max(b.abs());
            assert!(
                (a - b).abs() <= bound,
                "{what}: {} {at}: {a} and {b}",
                one["image"]
            );
        }
    }
}

#[test]
fn pictures_that_go_through_together_have_the_results_of_each_alone() {
    let folder = folder();
    let methods = "-m gradcam,gradcam++,hirescam,layercam,eigencam";
    for network in [
        "tiny.npy",
        "tiny.npy -l conv4_3,conv5_3",
        "densenet.pth",
        "efficientnet.safetensors",
    ] {
        let line = format!("in {network} 2 {methods} --outputs heatmap --json -q");
        let alone = folder.run(&format!("{line} --batch 1"));
        // Groups of three leave one over.
        let together = folder.run(&format!("{line} --batch 3"));
        assert_same(&alone, &together, network);
        assert!(together.stdout.contains("share_of_group"), "{together:#?}");
        assert!(!alone.stdout.contains("share_of_group"));
    }
}

#[test]
fn in_a_group_a_bad_picture_fails_alone_and_a_resumed_rest_is_the_same() {
    let folder = folder();
    folder.put("in/1-bad.png", b"no picture");
    let line = "in tiny.npy 2 --outputs heatmap --batch 4 -o maps -q";
    folder.run(line).exits(1);
    let timeless = || {
        let text = String::from_utf8(folder.read("maps/manifest.jsonl")).unwrap();
        let mut lines = json_lines(&text);
        for line in lines.iter_mut().filter_map(Value::as_object_mut) {
            line.shift_remove("timings_ms");
        }
        assert_eq!(
            lines
                .iter()
                .filter(|line| line["status"] == "failed")
                .count(),
            1
        );
        lines
    };
    let whole = timeless();
    let text = String::from_utf8(folder.read("maps/manifest.jsonl")).unwrap();
    let kept: String = text.split_inclusive('\n').take(3).collect();
    folder.put(
        "maps/manifest.jsonl",
        format!("{kept}{{\"unfini").as_bytes(),
    );
    folder.run(&format!("{line} --resume")).exits(1);
    assert_eq!(timeless(), whole);
}

#[test]
fn a_group_that_nothing_asked_for_can_use_is_told() {
    let folder = folder();
    for (more, told) in [
        ("--outputs guided_bprop", true),
        ("-m scorecam --channels 1 --outputs heatmap", true),
        ("--outputs heatmap", false),
    ] {
        let run = folder.run(&format!("in tiny.npy 1 --batch 4 {more}"));
        run.exits(0);
        let note = "note: --batch 4: what is asked for takes one picture at a time";
        assert_eq!(run.stderr.contains(note), told, "{run:#?}");
    }
}

/// The software driver twice, as two adapters.
#[cfg(target_os = "linux")]
#[test]
fn adapters_that_share_the_work_give_the_results_of_one() {
    let folder = folder();
    let drivers = std::fs::read_dir("/usr/share/vulkan/icd.d")
        .into_iter()
        .flatten()
        .flatten();
    let is_software = |path: &std::path::PathBuf| path.to_string_lossy().contains("lvp_icd");
    let Some(driver) = drivers.map(|entry| entry.path()).find(is_software) else {
        return;
    };
    std::fs::copy(&driver, folder.path().join("again.json")).unwrap();
    let both = format!(
        "{}:{}",
        driver.display(),
        folder.path().join("again.json").display()
    );
    let line = "in tiny.npy 2 --outputs heatmap --json -q";
    let one = folder.run(line);
    let arguments: Vec<&str> = line.split(' ').chain(["--adapter", "all"]).collect();
    let run = |batch: &[&str]| {
        let mut command = folder.command(&arguments);
        Run::of(
            command
                .args(batch)
                .env("VK_DRIVER_FILES", &both)
                .env("VK_ICD_FILENAMES", &both),
        )
    };
    assert_same(&one, &run(&[]), "one by one");
    assert_same(&one, &run(&["--batch", "2"]), "in groups");
}
