//! What is asked of a class: its score, its lead over another, what would lower it.

use std::path::Path;

use gradcam::low_level::methods::Method;
use serde_json::{Value, json};

use crate::harness::Folder;

const LINE: &str = "cat.png tiny.npy --outputs raw,heatmap";

/// The raw map of the first class, and the report.
fn map(folder: &Folder, line: &str) -> (Vec<f64>, Value) {
    let report = folder.json(&format!("{LINE} {line}")).remove(0);
    let file = report["classes"][0]["maps"][0]["files"]["gradcam.npy"].clone();
    let (values, _) = folder.array(file.as_str().unwrap());
    (values.into_iter().map(f64::from).collect(), report)
}

#[track_caller]
fn assert_same(what: &str, actual: &[f64], expected: impl Iterator<Item = f64>) {
    let expected: Vec<f64> = expected.collect();
    let largest = expected.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    assert!(largest > 0.0);
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() < 1e-5 * largest, "{what}: {a} and {e}");
    }
}

/// Grad-CAM is linear in the gradient, so maps follow where scores do.
#[test]
fn maps_add_up_as_their_scores_do() {
    let folder = Folder::new();
    let (one, _) = map(&folder, "-c 1 --score logit");
    let (other, _) = map(&folder, "-c 0 --score logit");
    let (contrast, report) = map(&folder, "-c 1 --versus 0");
    let difference = one.iter().zip(&other).map(|(a, b)| a - b);
    assert_same("contrast", &contrast, difference);
    assert_eq!(report["score"], "logit");
    assert_eq!(report["versus"], json!({ "id": 0, "name": "class_0" }));
    assert_eq!(report["counterfactual"], Value::Null);

    let (negated, report) = map(&folder, "-c 1 --score logit --counterfactual");
    assert_same("counterfactual", &negated, one.iter().map(|v| -v));
    assert_eq!(report["counterfactual"], true);
    let (both, _) = map(&folder, "-c 1 --versus class_0 --counterfactual");
    assert_same("both", &both, contrast.iter().map(|v| -v));

    let (of_prob, report) = map(&folder, "-c 1");
    let p = report["classes"][0]["probability"].as_f64().unwrap();
    let (of_log, _) = map(&folder, "-c 1 --score logprob");
    assert_same("logarithm", &of_log, of_prob.iter().map(|v| v / p));

    let suffixes = [
        "",
        "_counterfactual",
        "_versus_0",
        "_versus_0_counterfactual",
    ];
    for suffix in suffixes {
        let name = format!("cat_0_1_class_1_0.797{suffix}_heatmap.png");
        assert_eq!(folder.picture(&name).dimensions(), (224, 224), "{name}");
    }
    let pictures = folder
        .names()
        .into_iter()
        .filter(|name| name.ends_with("_heatmap.png"));
    // One more of class 0.
    assert_eq!(pictures.count(), suffixes.len() + 1);
}

/// All methods with each option and without it: values change where the option is read, and nowhere else.
#[test]
fn an_option_that_a_method_does_not_read_changes_nothing_and_is_told() {
    let folder = Folder::new();
    let settings = "--samples 2 --steps 2 --patch 112 --outputs raw -c 1 -q";
    let maps = |options: &str| {
        let methods = Method::all().map(|method| method.to_string());
        // It has rivals of its own, and is refused beside --versus.
        let left = |name: &String| !(name == "finercam" && options.contains("--versus"));
        let methods: Vec<String> = methods.filter(left).collect();
        let line = format!(
            "cat.png tiny.npy -m {} {settings} {options}",
            methods.join(",")
        );
        let report = folder.json(&line).remove(0);
        let map = |map: &Value| {
            let files = map["files"].as_object().unwrap();
            let own = files.iter().find(|(_, path)| {
                Path::new(path.as_str().unwrap()).extension() == Some("npy".as_ref())
            });
            let path = own.unwrap().1.as_str().unwrap().to_owned();
            let method = map["method"].as_str().unwrap().to_owned();
            (method, folder.array(&path).0, path, map["unread"].clone())
        };
        let maps = report["classes"][0]["maps"].as_array().unwrap();
        (
            maps.iter().map(map).collect::<Vec<_>>(),
            report["unread"].clone(),
        )
    };
    let (plain, unread) = maps("");
    assert_eq!(unread, Value::Null);
    for (option, tag, count) in [
        ("--score logit", "", 5),
        ("--versus 0 --score prob", "_versus_0", 3),
        ("--counterfactual", "_counterfactual", 6),
    ] {
        let (with, unread) = maps(option);
        let name = option.split(' ').next().unwrap();
        let mut same = 0;
        for (method, values, path, unread) in &with {
            let before = plain.iter().find(|(plain, ..)| plain == method).unwrap();
            let is_read = before.1 != *values;
            let told = unread
                .as_array()
                .is_some_and(|list| list.contains(&name.into()));
            assert_eq!(told, !is_read, "{method} {option}");
            assert!(
                tag.is_empty() || path.contains(tag) == is_read,
                "{option}: {path}"
            );
            same += usize::from(!is_read);
        }
        assert_eq!(same, count, "{option}");
        assert!(
            unread.as_array().unwrap().contains(&name.into()),
            "{option}"
        );
    }
}

/// Guided backpropagation, of the usual outputs, reads what the method does not.
#[test]
fn a_method_is_told_apart_from_the_outputs_beside_it() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -m eigencam --counterfactual --outputs heatmap,guided_bprop";
    let run = folder.run(line);
    run.exits(0);
    let note = "note: eigencam does not read --counterfactual and gives the same without; gradcam, gradcam++, hirescam \
                and 16 others do\n";
    assert_eq!(run.stderr, note);
    assert_eq!(
        folder.names(),
        [
            "cat_0_1_class_1_0.797_counterfactual_guided_bprop.png",
            "cat_0_1_class_1_0.797_eigencam_heatmap.png"
        ]
    );
}

#[test]
fn the_class_of_a_contrast_is_left_out_of_the_most_likely() {
    let folder = Folder::new();
    let stdout = folder.prints("cat.png tiny.npy 2 --versus 0 --outputs heatmap");
    assert_eq!(
        stdout,
        "0: class id: 1, class name: class_1, probability: 0.797, synset: class_1\n\
         1: class id: 4, class name: class_4, probability: 0.058, synset: class_4\n"
    );
    folder.prints("cat.png tiny.npy 4 --versus 0 --outputs heatmap");
    folder.refuses(
        "cat.png tiny.npy 5 --versus 0",
        1,
        &["5 classes asked for, tiny.npy has 4 beside that of --versus; give a number from 1 to 4"],
    );
}

#[test]
fn a_contrast_that_means_nothing_is_refused() {
    let folder = Folder::new();
    folder.refuses(
        "cat.png tiny.npy -c 2 -c 1 --versus class_1",
        2,
        &["--versus class_1: nothing sets class 1, class_1, apart from itself"],
    );
    folder.refuses(
        "cat.png -c cat --versus foot",
        1,
        &["no class called `foot`; near it: 10 food"],
    );
    folder.refuses("cat.png tiny.npy --versus 5", 1, &["no class 5", "0 to 4"]);
    folder.refuses(
        "cat.png tiny.npy --versus=",
        2,
        &["--versus needs a number, a name or a synset"],
    );
    folder.refuses(
        "cat.png -m finercam --versus food",
        2,
        &["finercam compares", "drop --versus"],
    );
}
