//! What is asked of a class: its score, its lead over another, what would lower it.

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
