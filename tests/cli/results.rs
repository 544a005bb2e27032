//! What is printed: the lines, the JSON, the numbers in them, and the names of classes.

use serde_json::{Value, json};

use crate::harness::{Folder, Tiny, fixture};

fn floats(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn assert_near(what: &str, actual: f64, expected: f64, bound: f64) {
    let off = (actual - expected).abs();
    assert!(
        off <= bound,
        "{what}: {actual}, expected {expected}, allowed {bound}"
    );
}

#[test]
fn probabilities_maps_and_gradients_are_pytorchs() {
    let expected: Value = serde_json::from_slice(&fixture("npy/tiny.json")).unwrap();
    let folder = Folder::new();
    for score in ["prob", "logit"] {
        let report = &folder.json(&format!("cat.png tiny.npy 5 --outputs raw --score {score}"))[0];
        assert_eq!(report["layer"], expected["layer"]);
        assert_eq!(report["score"], score);
        let probabilities = floats(&expected["probabilities"]);
        let logits = floats(&expected["logits"]);
        let classes = report["classes"].as_array().unwrap();
        assert_eq!(classes.len(), 5);
        for (rank, class) in classes.iter().enumerate() {
            let id = class["id"].as_u64().unwrap() as usize;
            assert_eq!(class["rank"], rank);
            assert_near(
                "probability",
                class["probability"].as_f64().unwrap(),
                probabilities[id],
                1e-4,
            );
            assert_near("logit", class["logit"].as_f64().unwrap(), logits[id], 1e-3);
        }
        assert!(classes.is_sorted_by_key(|class| -class["probability"].as_f64().unwrap()));
        assert_eq!(classes[0]["id"], expected["class_id"]);

        // Thirteen convolutions rounded to float32 here, in float64 there.
        let files = &classes[0]["maps"][0]["files"];
        let (map, shape) = folder.array(files["gradcam.npy"].as_str().unwrap());
        assert_eq!(shape, [14, 14]);
        let wanted = floats(&expected["maps"][score]);
        let largest = wanted.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        for (i, (&value, &wanted)) in map.iter().zip(&wanted).enumerate() {
            assert_near(
                &format!("{score}, position {i}"),
                f64::from(value),
                wanted,
                1e-3 * largest,
            );
        }
        let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_near(
            "max",
            classes[0]["maps"][0]["max"].as_f64().unwrap(),
            f64::from(most),
            1e-9,
        );

        let (gradient, shape) = folder.array(files["guided_bprop.npy"].as_str().unwrap());
        assert_eq!(shape, [224, 224, 3]);
        if score == "prob" {
            let glance = &expected["guided"];
            let bound = 0.01 * glance["max"].as_f64().unwrap();
            let mean =
                gradient.iter().map(|g| f64::from(g.abs())).sum::<f64>() / gradient.len() as f64;
            assert_near(
                "mean |gradient|",
                mean,
                glance["mean_absolute"].as_f64().unwrap(),
                bound,
            );
            for (channel, &wanted) in floats(&glance["row_112_column_112"]).iter().enumerate() {
                let value = gradient[(112 * 224 + 112) * 3 + channel];
                assert_near("gradient at (112, 112)", f64::from(value), wanted, bound);
            }
        }
    }
}

#[test]
fn the_built_in_network_needs_nothing_but_the_picture() {
    let folder = Folder::empty();
    folder.put("photo.png", &fixture("builtin/cat-and-coffee-224.png"));
    let stdout = folder.prints("photo.png 2 --outputs heatmap");
    assert_eq!(
        stdout,
        "0: class id: 5, class name: cat, probability: 0.975, synset: cat\n\
         1: class id: 10, class name: food, probability: 0.010, synset: food\n"
    );
    assert_eq!(
        folder.names(),
        [
            "photo.png",
            "photo_0_5_cat_0.975_heatmap.png",
            "photo_1_10_food_0.010_heatmap.png"
        ]
    );
    // The cat sits on the left, the food stands on the right.
    let left = |name: &str| {
        let heat = folder.picture(name);
        let sum = |columns: std::ops::Range<u32>| -> u64 {
            let rows = (0..224).flat_map(|y| columns.clone().map(move |x| (x, y)));
            rows.map(|(x, y)| u64::from(heat.get_pixel(x, y).0[0]))
                .sum()
        };
        sum(0..112) as f64 / sum(0..224) as f64
    };
    assert!(left("photo_0_5_cat_0.975_heatmap.png") > 0.7);
    assert!(left("photo_1_10_food_0.010_heatmap.png") < 0.3);
}

#[test]
fn each_class_is_one_line_and_nothing_else_is_printed() {
    let folder = Folder::new();
    assert_eq!(
        folder.prints("cat.png tiny.npy --outputs heatmap"),
        "0: class id: 1, class name: class_1, probability: 0.797, synset: class_1\n\
         1: class id: 0, class name: class_0, probability: 0.143, synset: class_0\n\
         2: class id: 4, class name: class_4, probability: 0.058, synset: class_4\n"
    );
}

#[test]
fn the_json_is_one_object_a_picture_with_every_field_of_schema_1() {
    let folder = Folder::new();
    folder.put("dog.png", &folder.read("cat.png"));
    let line = "cat.png dog.png tiny.npy --preprocess caffe -c 3 -m gradcam,gradcam++ --outputs gradcam,guided_bprop,raw";
    let reports = folder.json(line);
    assert_eq!(reports.len(), 2);
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for (report, name) in reports.iter().zip(["cat", "dog"]) {
        assert_eq!(
            keys(report),
            [
                "schema",
                "image",
                "image_size",
                "weights",
                "adapter",
                "layer",
                "score",
                "settings",
                "timings_ms",
                "classes",
                "program"
            ]
        );
        assert_eq!(report["schema"], 1);
        assert_eq!(report["image"], format!("{name}.png"));
        assert_eq!(report["weights"]["path"], "tiny.npy");
        assert_eq!(report["weights"]["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(report["weights"]["architecture"], "vgg16");
        assert_eq!(keys(&report["adapter"]), ["name", "backend", "type"]);
        assert!(
            report["timings_ms"]
                .as_object()
                .unwrap()
                .values()
                .all(|ms| ms.as_f64() > Some(0.0))
        );
        let class = &report["classes"][0];
        assert_eq!(
            keys(class),
            [
                "rank",
                "id",
                "name",
                "synset",
                "probability",
                "logit",
                "maps"
            ]
        );
        assert_eq!(class["name"], "class_3");
        assert!(class["synset"].is_null());
        let maps = class["maps"].as_array().unwrap();
        assert_eq!(maps.len(), 2);
        for (map, method) in maps.iter().zip(["gradcam", "gradcam++"]) {
            assert_eq!(
                keys(map),
                [
                    "method", "min", "max", "mean", "centre", "entropy", "empty", "verdict",
                    "files"
                ]
            );
            assert_eq!(map["method"], method);
            assert!(map["min"].as_f64().unwrap() < map["max"].as_f64().unwrap());
            let files = map["files"].as_object().unwrap();
            assert!(files.contains_key(method) && files.contains_key(&format!("{method}.npy")));
            for path in files.values() {
                let path = path.as_str().unwrap();
                assert!(
                    path.starts_with(&format!("{name}_0_3_class_3_0.001_")),
                    "{path}"
                );
                assert!(!folder.read(path).is_empty());
            }
        }
        assert!(maps[0]["files"]["guided_bprop"].is_string());
        assert!(maps[0]["files"]["guided_bprop.npy"].is_string());
    }
}

#[test]
fn the_json_says_how_a_map_was_made() {
    let folder = Folder::new();
    let settings = |line: &str| {
        let line = format!("cat.png tiny.npy -c 1 -q --outputs heatmap {line}");
        folder.json(&line)[0]["settings"].clone()
    };
    let mut plain = json!({
        "smooth": [],
        "fit": "crop",
        "preprocess": "caffe",
        "input_size": [224, 224],
        "activation": "softmax",
        "weights_dtype": "f32",
        "dtype": "f32",
        "convolution": "fast",
        "size": "model",
        "scale": "class",
    });
    assert_eq!(settings(""), plain);
    assert_eq!(settings("--seed 7 --steps 9"), plain);
    let other = "--smooth aug,eigen --fit pad --mean 1,2,3 --channels bgr --activation sigmoid \
                 --weights-dtype f16 --convolution direct";
    let expected = json!({
        "smooth": ["aug", "eigen"],
        "fit": "pad",
        "preprocess": { "mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 1.0], "channels": "bgr" },
        "input_size": [224, 224],
        "activation": "sigmoid",
        "weights_dtype": "f16",
        "dtype": "f32",
        "convolution": "direct",
        "size": "model",
        "scale": "class",
    });
    assert_eq!(settings(other), expected);
    let drawn = "--outputs gradcam,guided_bprop --size original --scale 0.5 --overlay threshold --threshold 0.25";
    let drawn = settings(drawn);
    for (key, value) in [
        ("size", json!("original")),
        ("scale", json!(0.5)),
        ("colormap", json!("jet")),
        ("overlay", json!("threshold")),
        ("alpha", json!(0.5)),
        ("threshold", json!(0.25)),
        ("pixel_scale", json!("percentile")),
    ] {
        assert_eq!(drawn[key], value, "{key}");
    }
    assert_eq!(settings("--signed")["signed"], true);
    let methods = "-m ablationcam,vargrad,integrated-gradients,occlusion,rise --channels 3 --samples 2 --steps 4 \
                   --patch 112 --baseline white --seed 7";
    let read = json!({
        "channels": 3,
        "samples": 2,
        "masks": 2,
        "noise": 0.15,
        "steps": 4,
        "patch": 112,
        "stride": 56,
        "baseline": "white",
        "seed": 7,
    });
    let all = plain.as_object_mut().unwrap();
    all.extend(read.as_object().unwrap().clone());
    assert_eq!(settings(methods), plain);
    assert_eq!(settings("-m ablationcam")["channels"], 8);
}

#[test]
fn notes_stay_off_standard_output_and_quiet_silences_them() {
    let folder = Folder::new();
    let noted = folder.run("cat.png tiny.npy -c 1 --outputs heatmap -o new --json");
    noted.exits(0);
    assert_eq!(noted.stderr, "note: new is new and will be made\n");
    assert_eq!(crate::harness::json_lines(&noted.stdout).len(), 1);
    folder.prints("cat.png tiny.npy -c 1 --outputs heatmap -o newer --quiet");
}

#[test]
fn a_class_is_named_by_number_name_synonym_or_synset() {
    let folder = Folder::new();
    let labels = "n02123045 tabby, tabby cat\nn07920052 espresso\nn03063599 coffee mug\n\
                  n04263257 soup bowl\nn03297495 espresso maker\n";
    folder.put("labels.txt", labels.as_bytes());
    let line = "cat.png tiny.npy --labels labels.txt --outputs heatmap -o maps -q";
    let tabby = "0: class id: 0, class name: tabby, probability: 0.143, synset: n02123045 tabby, tabby cat\n";
    for class in ["0", "tabby", "Tabby_Cat", "tabby-cat", "n02123045"] {
        assert_eq!(
            folder.prints(&format!("{line} -c {class}")),
            tabby,
            "{class}"
        );
    }
    assert_eq!(
        folder.prints(&format!("{line} -c soup_bowl -c 0 -c n04263257")),
        "0: class id: 3, class name: soup_bowl, probability: 0.001, synset: n04263257 soup bowl\n\
         1: class id: 0, class name: tabby, probability: 0.143, synset: n02123045 tabby, tabby cat\n"
    );
    let line = line.replace("maps", "others");
    let near = "no class called `tabbi`; near it: 0 n02123045 tabby, tabby cat";
    folder.refuses(&format!("{line} -c tabbi"), 1, &[near]);
    folder.refuses(
        &format!("{line} -c unicorn"),
        1,
        &["no class called `unicorn`"],
    );
    folder.refuses(&format!("{line} -c 5"), 1, &["no class 5", "0 to 4"]);
    folder.refuses(
        &format!("{line} -c maker -c mug -c espressos"),
        1,
        &["near it: 1 n07920052 espresso"],
    );
}

#[test]
fn a_network_without_names_asks_for_a_number_or_for_labels() {
    let folder = Folder::new();
    folder.refuses(
        "cat.png tiny.npy -c cat",
        1,
        &["no class called `cat`", "0 to 4", "--labels FILE"],
    );
    folder.refuses(
        "cat.png -c kat",
        1,
        &["no class called `kat`; near it: 5 cat"],
    );
}

#[test]
fn labels_that_do_not_fit_are_refused_by_file_and_reason() {
    let folder = Folder::new();
    folder.put("three.txt", b"one\ntwo\nthree\n");
    folder.put("blank.txt", b"one\n\nthree\nfour\nfive\n");
    folder.put("latin1.txt", b"caf\xe9\ntwo\nthree\nfour\nfive\n");
    for (file, reason) in [
        ("three.txt", "3 class names for a network with 5 classes"),
        ("blank.txt", "line 2 is blank"),
        ("latin1.txt", "line 1 is not UTF-8"),
        ("absent.txt", ""),
    ] {
        folder.refuses(
            &format!("cat.png tiny.npy --labels {file}"),
            1,
            &[file, reason],
        );
    }
}

#[test]
fn a_map_with_nothing_above_zero_is_told_in_words_and_written_black() {
    // Every path to class 3 goes down: its score falls with every activation.
    let folder = Folder::new();
    let weights = Tiny::new()
        .with("fc6", 0, |_, v| v.abs())
        .with("fc7", 0, |_, v| v.abs())
        .with("fc8", 0, |i, v| if i % 5 == 3 { -v.abs() } else { v });
    folder.put("down.npy", &weights.bytes());
    let run = folder.run(
        "cat.png down.npy -c 3 -c 0 --score logit --json \
         --outputs heatmap,gradcam,segmented,guided_bprop,guided_gradcam,raw",
    );
    run.exits(0);
    let note = "note: cat.png: the gradcam map of class 3, class_3, is empty: nothing lies above zero, \
                the largest value is -";
    assert!(
        run.stderr.starts_with(note)
            && run
                .stderr
                .ends_with("; written black; try another class or --counterfactual\n"),
        "{run:#?}"
    );
    assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
    let report = &crate::harness::json_lines(&run.stdout)[0];
    let map = &report["classes"][0]["maps"][0];
    assert_eq!(map["empty"], true);
    assert_eq!(map["verdict"], "empty");
    assert!(map["max"].as_f64().unwrap() < 0.0);
    let file = |suffix: &str| map["files"][suffix].as_str().unwrap();
    for black in ["heatmap", "segmented"] {
        assert!(
            folder.picture(file(black)).iter().all(|&level| level == 0),
            "{black}"
        );
    }
    let (raw, _) = folder.array(file("gradcam.npy"));
    assert!(raw.iter().all(|value| value.is_finite() && *value < 0.0));
    let (gradient, _) = folder.array(file("guided_bprop.npy"));
    assert!(gradient.iter().all(|value| value.is_finite()));
    for other in ["gradcam", "guided_bprop", "guided_gradcam"] {
        assert_eq!(
            folder.picture(file(other)).dimensions(),
            (224, 224),
            "{other}"
        );
    }
    assert_eq!(
        report["classes"][1]["maps"][0]["files"]
            .as_object()
            .unwrap()
            .len(),
        7
    );
}

#[test]
fn values_beyond_float32_are_told_with_the_layer_where_they_began() {
    let folder = Folder::new();
    let weights = Tiny::new()
        .with("conv2_1", 0, |_, v| v * 1e20)
        .with("conv2_2", 0, |_, v| v.abs() * 1e20);
    folder.put("huge.npy", &weights.bytes());
    let run = folder.run("cat.png huge.npy -c 1 --outputs heatmap --json");
    run.exits(0);
    let note = "is not finite: some values are infinite or no numbers, drawn as zero; \
                it began at layer conv2_2, whose values are not finite\n";
    assert!(run.stderr.ends_with(note), "{run:#?}");
    let map = &crate::harness::json_lines(&run.stdout)[0]["classes"][0]["maps"][0];
    assert_eq!(map["verdict"], "not finite");
    assert!(note.contains(map["note"].as_str().unwrap()));
}

/// A probability of 1 whose distance from 1 float64 does not hold either: nothing is left to differentiate.
#[test]
fn a_saturated_probability_is_told_and_its_logit_is_not() {
    let folder = Folder::new();
    let biased = Tiny::new().with("fc8", 1, |i, v| if i == 1 { 2000.0 } else { v });
    folder.put("sure.npy", &biased.bytes());
    let line = "cat.png sure.npy -c 1 --outputs heatmap --json";
    let verdict = |line: &str| {
        let run = folder.run(line);
        let report = crate::harness::json_lines(&run.stdout).remove(0);
        (report["classes"][0]["maps"][0]["verdict"].clone(), run)
    };
    let (saturated, run) = verdict(line);
    assert_eq!(saturated, "saturated");
    let note = "is saturated: the network is so sure that the gradient of the probability is lost in float32; \
                try --score logit\n";
    assert!(run.stderr.ends_with(note), "{run:#?}");
    let (ok, run) = verdict(&format!("{line} --score logit"));
    assert_eq!(ok, "ok");
    run.notes_nothing();
}

/// Weights of zero and a bias after them: every position is alike.
#[test]
fn a_map_without_places_is_told_to_be_flat() {
    let folder = Folder::new();
    let weights = Tiny::new()
        .with("conv5_3", 0, |_, _| 0.0)
        .with("conv5_3", 1, |_, _| 1.0);
    folder.put("flat.npy", &weights.bytes());
    let run = folder.run("cat.png flat.npy 5 --outputs heatmap --score logit -m gradcam++");
    run.exits(0);
    assert!(run.stderr.contains("is flat: "), "{run:#?}");
    assert!(
        run.stderr
            .contains("everywhere, so it shows no place; try an earlier --layer")
    );
}

#[test]
fn preprocessing_by_name_and_by_numbers_is_the_same() {
    let folder = Folder::new();
    let logits = |line: &str| {
        let report = &folder.json(&format!("cat.png tiny.npy 5 --outputs heatmap {line}"))[0];
        let classes = report["classes"].as_array().unwrap().iter();
        classes
            .map(|class| class["logit"].as_f64().unwrap())
            .collect::<Vec<_>>()
    };
    let own = logits("");
    assert_eq!(own, logits("--preprocess caffe"));
    assert_eq!(own, logits("--mean 123.68,116.779,103.939 --channels bgr"));
    assert_ne!(own, logits("--mean 123.68,116.779,103.939"));
    assert_ne!(own, logits("--preprocess torch"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    use crate::harness::Run;
    use std::fs::File;

    let folder = Folder::new();
    for line in [
        "cat.png tiny.npy --outputs heatmap",
        "adapters",
        "completions bash",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(folder.command(&arguments).stdout(full));
        run.fails(1, &["standard output: "]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_error_does_not_hide_the_exit_code() {
    use crate::harness::Run;
    use std::fs::File;

    let folder = Folder::new();
    for (line, code) in [
        ("missing.png cat.png tiny.npy", 1),
        ("cat.png tiny.npy 0", 2),
        ("cat.png tiny.npy -o new", 0),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let full = File::options().write(true).open("/dev/full").unwrap();
        Run::of(folder.command(&arguments).stderr(full)).exits(code);
    }
}

#[test]
fn a_finer_heat_map_has_the_same_levels_and_more_between_them() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 --outputs heatmap,heatmap16 --format jpg -o fine -q");
    let name = |end: &str| format!("fine/cat_0_1_class_1_0.797_{end}");
    let read = |name: &str| image::load_from_memory(&folder.read(name)).unwrap();
    let fine = read(&name("heatmap16.png"));
    assert_eq!(fine.color(), image::ColorType::L16);
    folder.prints("cat.png tiny.npy -c 1 --outputs heatmap -o fine");
    let coarse = read(&name("heatmap.png")).into_luma8();
    let fine = fine.into_luma16();
    let levels = |&(fine, coarse): &(&u16, &u8)| f64::from(*fine) / 257.0 - f64::from(*coarse);
    let pairs = fine.as_raw().iter().zip(coarse.as_raw());
    assert!(pairs.clone().all(|pair| levels(&pair).abs() <= 0.51));
    assert!(
        pairs
            .clone()
            .filter(|pair| levels(pair).abs() > 0.1)
            .count()
            > 1000
    );
}
