//! Networks that the names and shapes of their tensors alone tell, against PyTorch: `tests/fixtures/names`. What these leave
//! open is noted with the option that changes it, or refused with the readings that there are.

use std::path::Path;
use std::process::Command;

use gradcam::low_level::architectures::{
    Classifier, Evidence, Overrides, recognise, recognise_as, recognise_at,
};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::methods::attribution;
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::picture;
use gradcam::low_level::picture::preprocess::{self, Fit, Normalization};
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Weights};
use serde_json::Value;

use crate::common::device::GPU;
use crate::common::vgg::{fixture, renamed};

fn numbers(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture("names/names.json")).unwrap();
    let numbers: Value = serde_json::from_str(&text).unwrap();
    numbers[name].clone()
}

/// Every number of a list of any depth.
fn list(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(list).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn open(file: &str) -> Weights {
    weights::open(&fixture("names").join(file)).unwrap()
}

fn at(weights: &Weights, size: Option<usize>) -> Classifier {
    recognise_at(weights, size).unwrap_or_else(|error| panic!("{error}"))
}

/// Within `bound` of the largest number expected.
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], bound: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= bound * largest, "{what} {i}: {a} and {b}");
    }
}

/// Both sides are float32: probabilities within 1e-5, maps and gradients within 1e-4 of their largest value.
fn assert_agrees(classifier: &Classifier, name: &str) {
    let expected = numbers(name);
    let shape = classifier.network.input_shape();
    assert_eq!(expected["size"], shape.h, "{name}");
    let pixels = expected["gradient"].is_array();
    let methods = [
        attribution::Method::Gradient,
        attribution::Method::GuidedBprop,
    ];
    let wanted = Wanted {
        score: Score::Logit,
        ..Wanted::of([Method::GradCam]).and(if pixels { methods.to_vec() } else { vec![] })
    };
    let picture = fixture(&format!("names/picture-{}.png", shape.h));
    let picture = picture::open(&picture).unwrap().rgb;
    let size = [shape.w as u32, shape.h as u32];
    let (seen, _) = preprocess::seen(&picture, Fit::Squash, size, &classifier.normalization);
    let input = preprocess::to_tensor(&seen, &classifier.normalization);
    let explainer = Explainer::new(&GPU, &classifier.network, wanted).unwrap();
    let prediction = explainer.predict(&input).unwrap();
    let probabilities = list(&expected["probabilities"]);
    assert_close(name, &prediction.probabilities, &probabilities, 1e-5);
    let class = expected["class"].as_u64().unwrap() as usize;
    let explanation = explainer.explain(&prediction, &[class]).unwrap().remove(0);
    let map = &explanation.maps()[0].values;
    assert_close(name, map, &list(&expected["map"]), 1e-4);
    for (values, kind) in explanation.pixels().into_iter().zip(["gradient", "guided"]) {
        let values = preprocess::to_picture(values, &classifier.normalization, 1);
        assert_close(kind, &values, &list(&expected[kind]), 1e-4);
    }
}

/// File, size asked for, name of its numbers, and what it is called.
const NETWORKS: [(&str, usize, &str, &str); 13] = [
    ("configuration-c.pth", 64, "configuration-c", "vgg16"),
    ("three-blocks.pth", 44, "three-blocks", "vgg-1-2-2"),
    ("three-blocks.npz", 44, "three-blocks", "vgg-1-2-2"),
    ("open-end.pth", 20, "open-end", "vgg-1-2-2"),
    ("at-150.pth", 150, "at-150", "vgg11"),
    ("named-head.pth", 64, "named-head", "vgg11"),
    ("numbered-head.safetensors", 64, "numbered-head", "vgg11"),
    ("grey.pth", 32, "grey", "vgg11-gap"),
    ("grey.onnx", 32, "grey", "vgg11"),
    ("resnet-basic.pth", 64, "resnet-basic", "resnet-1-2-1-2"),
    (
        "resnet-bottleneck.safetensors",
        150,
        "resnet-bottleneck",
        "resnet-2-1-1-1",
    ),
    ("cifar.safetensors", 32, "cifar", "resnet-cifar-1-2-1-1"),
    (
        "cifar-three.safetensors",
        32,
        "cifar-three",
        "resnet-cifar-2-1-2",
    ),
];

/// As `--preprocess` has it for the files that say nothing of it.
fn scaled(mut classifier: Classifier, name: &str) -> Classifier {
    classifier.normalization = match name {
        "grey" => Normalization::UNIT.of_channels(1),
        _ => Normalization::TORCH,
    };
    classifier
}

#[test]
fn networks_told_by_names_and_shapes_agree_with_pytorch() {
    for (file, size, name, architecture) in NETWORKS {
        let classifier = at(&open(file), Some(size));
        assert_eq!(classifier.network.architecture, architecture, "{file}");
        assert!(
            matches!(classifier.normalization_evidence, Evidence::Guess(_)),
            "{file}"
        );
        assert_agrees(&scaled(classifier, name), name);
    }
}

#[test]
fn a_converted_network_says_all_that_was_chosen_for_it() {
    let home = tempfile::tempdir().unwrap();
    for (file, size, name, _) in NETWORKS {
        let out = home.path().join(format!("{file}.safetensors"));
        let preprocess = if name == "grey" { "unit" } else { "torch" };
        let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
            .arg("convert")
            .arg(fixture("names").join(file))
            .arg(&out)
            .args([
                "--input-size",
                &size.to_string(),
                "--preprocess",
                preprocess,
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let classifier = at(&weights::open(&out).unwrap(), None);
        assert_eq!(
            classifier.normalization_evidence,
            Evidence::Metadata,
            "{file}"
        );
        assert_agrees(&classifier, name);
    }
}

#[test]
fn what_is_taken_for_granted_is_noted_with_the_option_that_changes_it() {
    for (file, size, taken, notes) in [
        (
            "three-blocks.pth",
            None,
            40,
            &[
                "40 is a guess, since sizes from 40 to 47",
                "--input-size",
                "a pool is taken to follow",
            ][..],
        ),
        ("three-blocks.pth", Some(41), 41, &[]),
        (
            "at-150.pth",
            None,
            128,
            &[
                "128 is a guess, since sizes from 128 to 159",
                "4 x 4 positions",
                "--input-size",
            ],
        ),
        ("at-150.pth", Some(159), 159, &[]),
        (
            "named-head.pth",
            Some(64),
            64,
            &[
                "bottleneck and dense",
                "a ReLU",
                "in the file's order, fc, bottleneck, dense, a_head",
            ],
        ),
        (
            "numbered-head.safetensors",
            Some(64),
            64,
            &["fc9 and fc10, fc10 and out", "a ReLU"],
        ),
        (
            "grey.pth",
            None,
            224,
            &["224 is a guess", "one position or the mean", "--input-size"],
        ),
        ("configuration-c.pth", Some(95), 95, &[]),
    ] {
        let classifier = at(&open(file), size);
        assert_eq!(classifier.network.input_shape().h, taken, "{file}");
        let said = classifier.notes.join("\n");
        assert_eq!(said.is_empty(), notes.is_empty(), "{file}: {said}");
        for note in notes {
            assert!(
                said.contains(note),
                "{file}: {note:?} is missing in {said:?}"
            );
        }
    }
    let error = recognise_at(&open("at-150.pth"), Some(160)).unwrap_err();
    let said = "pictures of 160 pixels do not fit: this network takes 128 to 159, by its first dense layer";
    assert_eq!(error.to_string(), said);
}

#[test]
fn whether_a_pool_follows_a_stem_for_small_pictures_is_a_guess_that_an_option_changes() {
    let weights = open("cifar.safetensors");
    let guessed = at(&weights, None);
    assert_eq!(guessed.network.input_shape().h, 32);
    let notes = guessed.notes.join("\n");
    for said in ["3 x 3 taps", "--architecture resnet-cifar-pool", "ONNX"] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    let asked = Overrides {
        architecture: Some("resnet-cifar-pool"),
        input_size: Some(32),
        ..Overrides::default()
    };
    let pooled = recognise_as(&weights, &asked).unwrap();
    assert_eq!(pooled.network.architecture, "resnet-cifar-pool-1-2-1-1");
    assert!(!pooled.notes.join("\n").contains("3 x 3 taps"));
    assert_agrees(&scaled(pooled, "cifar-pool"), "cifar-pool");
    // A head of another name is one, as for every ResNet.
    let notes = at(&open("cifar-three.safetensors"), None).notes.join("\n");
    for said in ["3 x 3 taps", "linear is taken as the head"] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[test]
fn a_shortcut_without_weights_that_changes_the_shape_is_refused() {
    let file = std::fs::read(fixture("names/cifar-three.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let tensors = file.tensors().into_iter();
    let tensors = tensors.filter(|(name, _)| !name.contains("shortcut"));
    let weights = weights::from_bytes(safetensors::serialize(tensors, None).unwrap()).unwrap();
    let error = recognise(&weights).unwrap_err().to_string();
    for said in ["block layer2", "no projection of its input", "ONNX"] {
        assert!(error.contains(said), "{said}: {error}");
    }
}

/// VGG13 with a head of these names: 392 to 10, 10 to 10 as often as there are names, 10 to 5.
fn with_head(first: &str, middle: &[&str], last: &[&str]) -> Weights {
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (first, middle, last) = (list(&[first]), list(middle), list(last));
    renamed("plain", &[], move |name, shape| {
        let (module, leaf) = name.rsplit_once('.').unwrap();
        let own = vec![module.to_owned()];
        let names = match module {
            "classifier.0" => &first,
            "classifier.3" => &middle,
            "classifier.6" => &last,
            _ => &own,
        };
        let named = |name: &String| (format!("{name}.{leaf}"), shape.to_vec());
        names.iter().map(named).collect::<Vec<_>>()
    })
}

#[test]
fn a_stage_of_a_resnet_goes_by_its_name_and_its_sum_is_the_default() {
    let network = at(&open("resnet-basic.pth"), Some(64)).network;
    let target = |name| network.layer_name(network.target(name).unwrap());
    assert_eq!(target(None), "layer4");
    assert_eq!(target(Some("layer2")), "layer2");
    let notes = at(&open("resnet-bottleneck.safetensors"), None)
        .notes
        .join("\n");
    for said in [
        "halve the map in the second one",
        "224 is a guess",
        "--input-size",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[test]
fn a_resnet_with_tensors_of_its_own_is_refused_by_the_first_of_them() {
    let file = std::fs::read(fixture("names/resnet-bottleneck.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let changed = |change: &dyn Fn(&str) -> Option<String>| {
        let tensors = file
            .tensors()
            .into_iter()
            .filter_map(|(name, tensor)| Some((change(&name)?, tensor)));
        let weights = weights::from_bytes(safetensors::serialize(tensors, None).unwrap()).unwrap();
        recognise(&weights)
    };
    let attention = changed(&|name| Some(name.replace("layer2.0.bn3.bias", "layer2.0.se.bias")));
    let attention = attention.unwrap_err().to_string();
    assert!(
        attention.contains("tensor layer2.0.se.bias belongs to no layer"),
        "{attention}"
    );
    let headless = changed(&|name| (!name.starts_with("fc.")).then(|| name.to_owned()));
    let headless = headless.unwrap_err().to_string();
    assert!(headless.contains("layer fc is missing"), "{headless}");
    // A head of another name is one, and a note says so.
    let renamed = changed(&|name| Some(name.replace("fc.", "other."))).unwrap();
    let said = "other is taken as the head in its place";
    assert!(
        renamed.notes.iter().any(|note| note.contains(said)),
        "{:?}",
        renamed.notes
    );
}

#[test]
fn a_file_that_is_called_as_a_published_one_and_is_another_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("vgg11-8a719046.pth");
    std::fs::copy(fixture("names/at-150.pth"), &path).unwrap();
    let classifier = at(&weights::open(&path).unwrap(), Some(150));
    assert!(matches!(
        classifier.normalization_evidence,
        Evidence::Guess(_)
    ));
    let said = "is called as torchvision's vgg11-8a719046.pth is, and is another: its SHA-256 begins with ";
    assert!(classifier.notes[0].contains(said), "{:?}", classifier.notes);
}

#[test]
fn a_head_that_can_be_read_in_several_ways_is_refused_with_them() {
    for (middle, last, readings) in [
        (
            &[][..],
            &["age", "gender"][..],
            &["fc then age (5 classes); or fc then gender (5 classes)"][..],
        ),
        (
            &["projector"],
            &["classifier"],
            &[
                "fc then projector then classifier (5 classes)",
                "fc then classifier (5 classes)",
                "fc then projector (10 classes)",
            ],
        ),
        (
            &["linear", "dense"],
            &["out"],
            &[
                "fc then dense then linear then out",
                "fc then linear then dense then out",
            ],
        ),
    ] {
        let error = recognise(&with_head("fc", middle, last))
            .unwrap_err()
            .to_string();
        for reading in readings {
            assert!(
                error.contains(reading),
                "{reading:?} is missing in {error:?}"
            );
        }
        assert!(
            error.ends_with("export the network as ONNX, which holds it all"),
            "{error}"
        );
    }
}

#[test]
fn a_head_in_the_order_that_its_shapes_allow_is_read_whatever_its_names() {
    // By name the last layer comes first.
    let network = at(&with_head("zeta", &[], &["alpha"]), None).network;
    assert_eq!(network.classes(), 5);
    // By number, not by letter.
    let network = at(&with_head("fc8", &["fc9", "fc10"], &["fc11"]), None).network;
    assert_eq!(network.classes(), 5);
}

#[test]
fn a_picture_of_neither_colours_nor_grey_is_refused_by_the_layer_that_reads_it() {
    let two = renamed("plain", &[], |name, shape| {
        let shape = match name {
            // The values of four filters over three channels.
            "features.0.weight" => vec![6, 2, 3, 3],
            _ => shape.to_vec(),
        };
        Some((name.to_owned(), shape))
    });
    let said = "layer features.0 reads 2 channels: a picture has 3, or 1 in grey";
    assert_eq!(recognise(&two).unwrap_err().to_string(), said);
}

#[test]
fn every_output_of_a_network_that_sees_grey_is_written() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
            .arg(fixture("names/picture-150.png"))
            .arg(fixture("names/grey.pth"))
            .args(["--input-size", "32", "-n", "1", "-o", "maps"])
            .args(arguments)
            .current_dir(home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let methods =
        "gradcam,gradient,smoothgrad,integrated-gradients,occlusion,rise,fullgrad,scorecam";
    let outputs = "heatmap,gradcam,segmented,guided_bprop,guided_gradcam,raw";
    for size in ["model", "original"] {
        let notes = run(&[
            "-m",
            methods,
            "--samples",
            "3",
            "--outputs",
            outputs,
            "--size",
            size,
        ]);
        assert!(
            notes.contains("unit is a guess, since it sees grey"),
            "{notes}"
        );
    }
    run(&[
        "-m",
        "integrated-gradients",
        "--baseline",
        "white",
        "--fit",
        "pad",
        "--preprocess",
        "tf",
    ]);
    let files: Vec<_> = std::fs::read_dir(home.path().join("maps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let ending = |end: &str| {
        let name = |path: &&std::path::PathBuf| path.to_string_lossy().ends_with(end);
        files
            .iter()
            .find(name)
            .unwrap_or_else(|| panic!("{end}: {files:?}"))
    };
    let gradient: ndarray::ArrayD<f32> =
        ndarray_npy::read_npy(ending("_guided_bprop.npy")).unwrap();
    assert_eq!(gradient.shape(), [32, 32, 1]);
    for drawn in ["_guided_bprop.png", "_gradient.png"] {
        let drawn = grey_pixels(ending(drawn));
        assert!(drawn > 100, "{drawn} levels");
    }
}

/// Levels in a picture without colours.
fn grey_pixels(path: &Path) -> usize {
    let picture = ::image::open(path).unwrap().into_rgb8();
    let mut levels = std::collections::BTreeSet::new();
    for pixel in picture.pixels() {
        assert!(pixel.0.iter().all(|v| *v == pixel.0[0]), "{pixel:?}");
        levels.insert(pixel.0[0]);
    }
    levels.len()
}
