//! `gradcam tune` and what later runs make of what it keeps: the file, where it is, what is wrong with one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::harness::{Folder, Run, fixture};

/// A line with times in `file` of the folder.
fn with_times(folder: &Folder, file: &str, line: &str) -> Run {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    Run::of(folder.command(&arguments).env("GRADCAM_TUNING", file))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The tuning in a file.
fn tuning(folder: &Folder, file: &str) -> Value {
    parsed(&String::from_utf8(folder.read(file)).unwrap())
}

/// What the command said of `tiny.npy`, and the file with the device's times: measured once for all tests.
static MEASURED: LazyLock<(Value, Option<Vec<u8>>)> = LazyLock::new(|| {
    let folder = Folder::new();
    let run = with_times(&folder, "times.json", "tune tiny.npy --json");
    run.exits(0).notes_nothing();
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    let told = parsed(&run.stdout);
    let file = has_choices(&told).then(|| folder.read("times.json"));
    (told, file)
});

/// A folder with another network beside, which is measured in a fraction of the time.
fn with_other() -> Folder {
    let folder = Folder::new();
    folder.put("other.safetensors", &fixture("vgg/mean.safetensors"));
    folder
}

/// Times of the device for `tiny.npy`, in `times.json`, and what the command said.
fn measured(folder: &Folder) -> Value {
    let (told, file) = &*MEASURED;
    if let Some(file) = file {
        folder.put("times.json", file);
    }
    told.clone()
}

/// Whether there is more than one kernel for anything on the adapter at hand.
fn has_choices(told: &Value) -> bool {
    !told["file"].is_null()
}

/// The largest difference between two maps of raw values, in parts of their largest value.
fn difference(one: &[f32], other: &[f32]) -> f32 {
    let largest = one
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let apart = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max) / largest.max(f32::MIN_POSITIVE)
}

#[test]
fn what_is_measured_is_kept_shown_and_taken() {
    let folder = Folder::new();
    let told = measured(&folder);
    assert_eq!(told["schema"], 1);
    assert_eq!(told["weights"]["architecture"], "vgg16");
    assert_eq!(told["input"], serde_json::json!([3, 224, 224]));
    assert!(told["seconds"].as_f64().unwrap() > 0.0, "{told}");
    let sizes = told["batches"]["ns"].as_object().unwrap();
    assert!(sizes["1"].as_u64().unwrap() > 0, "{told}");
    if !has_choices(&told) {
        return;
    }
    assert_eq!(told["file"], "times.json");
    let rows = told["layers"].as_array().unwrap();
    let of_way = |way: &str| rows.iter().filter(|row| row["way"] == way).count();
    assert!(of_way("there") > 0 && of_way("there") + of_way("back") == rows.len());
    for row in rows {
        let taken = row["taken"]["variant"].as_str().unwrap();
        // What is taken is what was fastest, or no more than a noise's difference from it.
        let of = |variant: &str| row["variants"][variant].as_f64();
        if let (Some(taken), Some(model)) =
            (of(taken), of(row["model"]["variant"].as_str().unwrap()))
        {
            assert!(taken <= model, "{row}");
        }
    }
    let file = tuning(&folder, "times.json");
    for key in ["name", "backend", "type", "driver"] {
        assert_eq!(file["adapter"][key], told["adapter"][key]);
    }
    let layers = file["layers"].as_array().unwrap();
    assert_eq!(layers.len() as u64, told["measured"].as_u64().unwrap());
    if !told["batches"]["best"].is_null() {
        assert_eq!(file["batches"][0]["nanoseconds"], told["batches"]["ns"]);
    }

    let benched = with_times(&folder, "times.json", "bench tiny.npy --json --runs 1");
    benched.exits(0).notes_nothing();
    let benched = parsed(&benched.stdout);
    assert_eq!(benched["tuning"]["file"], "times.json");
    assert_eq!(benched["tuning"]["layers"], told["layers"]);
    let text = with_times(&folder, "times.json", "bench tiny.npy --runs 1").stdout;
    assert!(
        text.contains("\ntuned, one picture by the times kept in times.json:\n"),
        "{text}"
    );
    let text = with_times(&folder, "off", "bench tiny.npy --runs 1").stdout;
    assert!(
        text.contains("not tuned: the built-in model chooses"),
        "{text}"
    );
}

#[test]
fn a_second_run_adds_to_the_file_and_says_in_text_where_it_is() {
    let folder = with_other();
    if !has_choices(&measured(&folder)) {
        return;
    }
    let before = tuning(&folder, "times.json");
    // At another size, so that its layers are others.
    let line = "tune other.safetensors --input-size 96";
    let run = with_times(&folder, "times.json", line);
    run.exits(0).notes_nothing();
    assert!(
        run.stdout.ends_with("kept in times.json\n"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains(" measured in "), "{}", run.stdout);
    let after = tuning(&folder, "times.json");
    let layers = |file: &Value| file["layers"].as_array().unwrap().clone();
    for layer in layers(&before) {
        assert!(layers(&after).contains(&layer), "{layer}");
    }
    assert!(layers(&after).len() > layers(&before).len());
}

#[test]
fn of_many_pictures_as_many_go_at_once_as_took_least_time_unless_the_command_says() {
    let folder = Folder::new();
    if !has_choices(&measured(&folder)) {
        return;
    }
    let mut file = tuning(&folder, "times.json");
    let Some(key) = file["batches"][0]["network"].as_str().map(str::to_owned) else {
        return;
    };
    for i in 0..3 {
        folder.put(format!("in/{i}.png"), &folder.read("cat.png"));
    }
    let mut is_grouped = |key: &str, of_two: u64, more: &str| {
        file["batches"] = serde_json::json!([
            {"network": key, "nanoseconds": {"1": 100, "2": of_two}},
        ]);
        folder.put("made_up.json", file.to_string().as_bytes());
        let line = format!("in tiny.npy 1 --outputs heatmap --json -q -o maps {more}");
        let run = with_times(&folder, "made_up.json", &line);
        run.exits(0);
        run.stdout.contains("share_of_group")
    };
    assert!(is_grouped(&key, 50, ""));
    assert!(!is_grouped(&key, 150, ""));
    assert!(!is_grouped(&key, 50, "--batch 1"));
    assert!(is_grouped(&key, 150, "--batch 2"));
    // So they do where what is known is of another network.
    assert!(is_grouped("0123456789abcdef", 150, ""));
}

/// Times by which the variant at `place` of each layer, in the order of their names, is the fastest.
fn forced(mut file: Value, place: usize) -> String {
    for layer in file["layers"].as_array_mut().unwrap() {
        let variants = layer["variants"].as_object_mut().unwrap();
        let count = variants.len();
        for (at, times) in variants.values_mut().enumerate() {
            let each = if at == place % count {
                1
            } else {
                1_000_000_000
            };
            *times = serde_json::json!({ "forward": each, "backward": each, "once": 0 });
        }
    }
    file.to_string()
}

#[test]
fn results_are_the_same_whatever_was_measured_but_for_rounding() {
    let folder = Folder::new();
    if !has_choices(&measured(&folder)) {
        return;
    }
    let line = "cat.png tiny.npy -n 2 -m gradcam -m guided-bprop -m gradient --layer conv3_1 --outputs raw --json -o";
    let maps = |out: &str, file: &str| {
        with_times(&folder, file, &format!("{line} {out}")).exits(0);
        let names = folder.names();
        let names = names
            .iter()
            .filter(|name| name.starts_with(out) && name.contains(".npy"));
        let maps = names.map(|name| folder.array(name).0);
        maps.collect::<Vec<_>>()
    };
    let expected = maps("off", "off");
    assert!(expected.len() >= 4);
    let mut kernels = std::collections::BTreeSet::new();
    for place in 0..3 {
        let (file, out) = (format!("{place}.json"), format!("of{place}"));
        folder.put(
            &file,
            forced(tuning(&folder, "times.json"), place).as_bytes(),
        );
        let found = maps(&out, &file);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let apart = difference(expected, found);
            assert!(apart < 1e-3, "{place}: {apart}");
        }
        let benched = with_times(&folder, &file, "bench tiny.npy --json --runs 1");
        let rows = parsed(&benched.exits(0).stdout)["tuning"]["layers"].clone();
        let taken = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["taken"]["variant"].to_string());
        kernels.insert(taken.collect::<Vec<_>>());
    }
    // The files did choose other kernels.
    assert!(kernels.len() > 1, "{kernels:?}");
}

#[test]
fn a_file_that_says_nothing_of_the_device_is_a_note_and_no_reason_to_stop() {
    let folder = with_other();
    let told = measured(&folder);
    if !has_choices(&told) {
        return;
    }
    let good = String::from_utf8(folder.read("times.json")).unwrap();
    let other = |key: &str| {
        let mut file = parsed(&good);
        file["adapter"][key] = "of another".into();
        file.to_string()
    };
    let of_others = |key: &str| {
        let mut file = parsed(&good);
        file[key] = "0123".into();
        file.to_string()
    };
    folder.put("folder.json/file", b"");
    for (name, content, part) in [
        ("driver.json", Some(other("driver")), " is of "),
        ("name.json", Some(other("name")), " is of "),
        (
            "kernels.json",
            Some(of_others("kernels")),
            " is of other kernels",
        ),
        (
            "cut.json",
            Some(good[..good.len() / 2].to_owned()),
            " is no tuning file (",
        ),
        ("empty.json", Some(String::new()), " is no tuning file ("),
        (
            "long.json",
            Some(" ".repeat(5 << 20)),
            " is no tuning file (",
        ),
        ("missing.json", None, " is not there"),
        ("folder.json", None, " is no tuning file ("),
    ] {
        if let Some(content) = content {
            folder.put(name, content.as_bytes());
        }
        let run = with_times(
            &folder,
            name,
            "cat.png tiny.npy -n 1 --outputs heatmap -o maps",
        );
        run.exits(0);
        assert!(run.errors().is_empty());
        let notes = run.stderr.lines().filter(|line| line.contains("json"));
        let notes: Vec<&str> = notes.collect();
        let told = format!("note: {name}{part}");
        let is_told = notes.len() == 1 && notes[0].starts_with(&told);
        assert!(is_told && notes[0].contains("`gradcam tune`"), "{notes:?}");
    }
    // Measuring writes such a file anew.
    folder.put("cut.json", &good.as_bytes()[..good.len() / 2]);
    let run = with_times(&folder, "cut.json", "tune other.safetensors");
    run.exits(0);
    assert!(
        run.stderr.contains("note: cut.json is no tuning file ("),
        "{}",
        run.stderr
    );
    let benched = with_times(
        &folder,
        "cut.json",
        "bench other.safetensors --json --runs 1",
    );
    benched.exits(0).notes_nothing();
}

#[test]
fn a_place_that_takes_no_file_is_an_error_before_anything_is_measured() {
    let folder = Folder::new();
    let below_a_file = with_times(&folder, "cat.png/times.json", "tune tiny.npy");
    below_a_file.fails(1, &["cat.png", "cannot be written"]);
    folder.put("times.json/file", b"");
    let a_folder = with_times(&folder, "times.json", "tune tiny.npy");
    a_folder.fails(1, &["times.json", "cannot be written"]);
    // The weights are not written over.
    let weights = with_times(&folder, "tiny.npy", "tune tiny.npy");
    weights.fails(1, &["tiny.npy", "not written over"]);
    let off = with_times(&folder, "off", "tune tiny.npy");
    off.fails(2, &["GRADCAM_TUNING=off"]);
    let mut homeless = folder.command(&["tune", "tiny.npy"]);
    for name in ["GRADCAM_TUNING", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
        homeless.env_remove(name);
    }
    Run::of(&mut homeless).fails(2, &["name a file with GRADCAM_TUNING"]);
    for (line, part) in [
        ("tune missing.npy", "no such file: missing.npy"),
        ("tune cat.png", "cat.png"),
        (
            "tune tiny.npy --adapter abacus",
            "no adapter matches \"abacus\"",
        ),
    ] {
        with_times(&folder, "new.json", line).fails(1, &[part]);
    }
    assert!(!folder.names().contains(&"new.json".to_owned()));
}

/// Linux alone says by a variable where the folder for caches is.
#[cfg(target_os = "linux")]
#[test]
fn times_lie_in_the_folder_for_caches_a_file_for_each_adapter_and_driver() {
    let folder = with_other();
    let folder_of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let kept = folder_of("MESA_SHADER_CACHE_DIR")
        .or_else(|| folder_of("XDG_CACHE_HOME"))
        .or_else(|| Some(folder_of("HOME")?.join(".cache")));
    let in_caches = |line: &str| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command: Command = folder.command(&arguments);
        command
            .env_remove("GRADCAM_TUNING")
            .env("XDG_CACHE_HOME", folder.path().join("caches"));
        // The driver's own cache stays where it is: compiling all anew would take long.
        if let Some(kept) = &kept {
            command.env("MESA_SHADER_CACHE_DIR", kept);
        }
        Run::of(&mut command)
    };
    // Nothing is kept yet, and nothing said.
    in_caches("bench other.safetensors --json --runs 1")
        .exits(0)
        .notes_nothing();
    let told = in_caches("tune other.safetensors --json");
    told.exits(0).notes_nothing();
    let told = parsed(&told.stdout);
    if !has_choices(&told) {
        return;
    }
    let names = folder.names();
    let names: Vec<&String> = names
        .iter()
        .filter(|name| name.contains("gradcam/tuning/"))
        .collect();
    let [name] = &names[..] else {
        panic!("{names:?}");
    };
    assert!(name.starts_with("caches/gradcam/tuning/"), "{name}");
    assert!(
        told["file"].as_str().unwrap().ends_with(name.as_str()),
        "{told}"
    );
    let benched = in_caches("bench other.safetensors --json --runs 1");
    benched.exits(0).notes_nothing();
    assert_eq!(parsed(&benched.stdout)["tuning"]["file"], told["file"]);
}
