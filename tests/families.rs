//! Families of networks that are known by the names of their tensors, narrow ones of torchvision's own classes in float16, against
//! torch: `tests/fixtures/families`.

use std::process::Command;

use gradcam::low_level::architectures::{Classifier, Evidence, recognise, recognise_at};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::picture;
use gradcam::low_level::picture::preprocess::{self, Fit, Normalization};
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Weights};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod device;
    pub(crate) mod vgg;
}
use common::device::GPU;
use common::vgg::fixture;

/// What torch says, by file.
fn numbers() -> Map<String, Value> {
    let text = std::fs::read_to_string(fixture("families/families.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(file: &str) -> Weights {
    weights::open(&fixture("families").join(file)).unwrap()
}

fn at(weights: &Weights, size: Option<usize>) -> Classifier {
    recognise_at(weights, size).unwrap_or_else(|error| panic!("{error}"))
}

/// Every number of a list of any depth.
fn list(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(list).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// Within `bound` of the largest number expected.
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], bound: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= bound * largest, "{what} {i}: {a} and {b}");
    }
}

/// Sums in float32 against float64: probabilities within 1e-5, maps within 1e-4 of their largest value.
fn assert_agrees(classifier: &Classifier, file: &str, expected: &Value) {
    let network = &classifier.network;
    let shape = network.input_shape();
    assert_eq!(expected["size"], shape.h, "{file}");
    let target = network.target(None).unwrap();
    assert_eq!(expected["layer"], network.layer_name(target), "{file}");
    let wanted = Wanted {
        score: Score::Logit,
        ..Wanted::of([Method::GradCam])
    };
    let picture = fixture(&format!("names/picture-{}.png", shape.h));
    let picture = picture::open(&picture).unwrap().rgb;
    let size = [shape.w as u32, shape.h as u32];
    let (seen, _) = preprocess::seen(&picture, Fit::Squash, size, &classifier.normalization);
    let input = preprocess::to_tensor(&seen, &classifier.normalization);
    let explainer = Explainer::new(&GPU, network, wanted).unwrap();
    let prediction = explainer.predict(&input).unwrap();
    let probabilities = list(&expected["probabilities"]);
    for (a, b) in prediction.probabilities.iter().zip(probabilities) {
        assert!((a - b).abs() <= 1e-5, "{file}: {a} and {b}");
    }
    let class = expected["class"].as_u64().unwrap() as usize;
    let explanation = explainer.explain(&prediction, &[class]).unwrap().remove(0);
    let map = &explanation.maps[0].values;
    assert_close(file, map, &list(&expected["map"]), 1e-4);
}

#[test]
fn families_told_by_their_names_agree_with_torch() {
    for (file, expected) in numbers() {
        let size = expected["size"].as_u64().unwrap() as usize;
        let classifier = at(&open(&file), Some(size));
        let called = &classifier.network.architecture;
        assert_eq!(expected["architecture"], **called, "{file}");
        let evidence = classifier.normalization_evidence;
        assert!(matches!(evidence, Evidence::Guess(_)), "{file}");
        assert_agrees(&classifier, &file, &expected);
    }
}

#[test]
fn a_family_that_was_converted_gives_the_same_numbers() {
    let home = tempfile::tempdir().unwrap();
    for (file, expected) in numbers() {
        let out = home.path().join(&file).with_extension("safetensors");
        let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
            .arg("convert")
            .arg(fixture("families").join(&file))
            .arg(&out)
            .args(["--input-size", &expected["size"].to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let classifier = at(&weights::open(&out).unwrap(), None);
        assert_agrees(&classifier, &file, &expected);
    }
}

/// The fixture with its tensors under other names, or without those whose name becomes empty; and more.
fn changed(file: &str, rename: impl Fn(&str) -> String, more: &[(&str, &[usize])]) -> Weights {
    let bytes = std::fs::read(fixture("families").join(file)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0; 1 << 16];
    let view = |shape: &[usize]| {
        let bytes = 2 * shape.iter().product::<usize>();
        TensorView::new(safetensors::Dtype::F16, shape.to_vec(), &zeros[..bytes]).unwrap()
    };
    let tensors = file
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (rename(&name), tensor))
        .filter(|(name, _)| !name.is_empty())
        .chain(
            more.iter()
                .map(|(name, shape)| ((*name).into(), view(shape))),
        );
    weights::from_bytes(safetensors::serialize(tensors, None).unwrap()).unwrap()
}

fn kept(name: &str) -> String {
    name.to_owned()
}

#[test]
fn what_is_before_the_names_of_a_family_does_not_matter() {
    let expected = &numbers()["mobilenet_v2.safetensors"];
    for prefix in ["module.", "model.encoder.", "state_dict/"] {
        let weights = changed(
            "mobilenet_v2.safetensors",
            |name| format!("{prefix}{name}"),
            &[],
        );
        assert_agrees(&at(&weights, Some(64)), prefix, expected);
    }
}

#[test]
fn layers_go_by_the_names_of_their_modules() {
    for (file, asked, found) in [
        (
            "mobilenet_v2.safetensors",
            "features.2",
            "features.2.conv.2",
        ),
        ("mobilenet_v2.safetensors", "features.3", "features.3"),
        (
            "densenet.pth",
            "features.denseblock2",
            "features.denseblock2",
        ),
        (
            "densenet.pth",
            "features.denseblock1.denselayer2",
            "features.denseblock1.denselayer2.conv2",
        ),
        ("efficientnet.safetensors", "features.3.1", "features.3"),
        ("convnext.safetensors", "features.5", "features.5"),
        (
            "regnet_y.safetensors",
            "trunk_output",
            "trunk_output.block4",
        ),
        (
            "regnet_y.safetensors",
            "trunk_output.block2.block2-1",
            "trunk_output.block2",
        ),
        ("shufflenet.pth", "stage4", "stage4"),
        ("googlenet.safetensors", "inception4b", "inception4b"),
        (
            "inception_v3.safetensors",
            "Mixed_6b.branch7x7_3",
            "Mixed_6b.branch7x7_3",
        ),
    ] {
        let network = at(&open(file), Some(150)).network;
        let target = network.target(Some(asked)).unwrap();
        assert_eq!(network.layer_name(target), found, "{file} {asked}");
    }
    // Numbers beyond the last module are no layer.
    let network = at(&open("efficientnet.safetensors"), None).network;
    assert!(network.target(Some("features.9")).is_err());
}

#[test]
fn what_a_family_leaves_open_is_noted_with_the_option_that_changes_it() {
    for (file, notes) in [
        (
            "mobilenet_v2.safetensors",
            &["224 is a guess", "--input-size"][..],
        ),
        ("efficientnet_v2-s.safetensors", &["384 is a guess"]),
        (
            "inception_v3.safetensors",
            &[
                "299 is a guess",
                "AuxLogits is left out",
                "transform_input",
                "--preprocess torch",
            ],
        ),
        (
            "googlenet.safetensors",
            &["aux1 and aux2 are left out", "transform_input"],
        ),
    ] {
        let said = at(&open(file), None).notes.join("\n");
        for note in notes {
            assert!(
                said.contains(note),
                "{file}: {note:?} is missing in {said:?}"
            );
        }
    }
    let normalization = at(&open("inception_v3.safetensors"), None).normalization;
    assert_eq!(normalization, Normalization::TF);
}

#[test]
fn any_head_of_dense_layers_may_stand_in_the_place_of_a_familys_own() {
    let renamed = |name: &str| match name.starts_with("fc.") {
        true => String::new(),
        false => name.to_owned(),
    };
    let head: &[(&str, &[usize])] = &[
        ("fc.1.weight", &[7, 16]),
        ("fc.1.bias", &[7]),
        ("fc.4.weight", &[3, 7]),
    ];
    let classifier = at(&changed("regnet_x.safetensors", renamed, head), None);
    assert_eq!(classifier.network.classes(), 3);
    let said = classifier.notes.join("\n");
    assert!(
        said.contains("what lies between fc.1 and fc.4: taken as a ReLU"),
        "{said}"
    );
    // MobileNetV3's own first layer keeps its activation.
    let renamed = |name: &str| match name.starts_with("classifier.3.") {
        true => String::new(),
        false => name.to_owned(),
    };
    let head: &[(&str, &[usize])] = &[("classifier.3.1.weight", &[9, 16])];
    let classifier = at(
        &changed("mobilenet_v3_small.safetensors", renamed, head),
        None,
    );
    assert_eq!(classifier.network.classes(), 9);
    let hard_swish = classifier.network.unguided_activations()["hard swish"];
    assert_eq!(hard_swish, 19, "one of them in the head");
}

#[test]
fn tensors_that_a_family_has_not_are_refused_by_their_names() {
    let refused = |weights: &Weights| recognise(weights).unwrap_err().to_string();
    let attention = changed(
        "mobilenet_v2.safetensors",
        kept,
        &[("features.3.attention.weight", &[4])],
    );
    let said = refused(&attention);
    assert!(
        said.contains("features.3.attention.weight belongs to no layer"),
        "{said}"
    );
    let without = changed(
        "efficientnet.safetensors",
        |name| match name.starts_with("features.8.1.running_mean") {
            true => String::new(),
            false => name.to_owned(),
        },
        &[],
    );
    let said = refused(&without);
    assert!(
        said.contains("batch norm features.8.1: its mean is missing"),
        "{said}"
    );
    let headless = changed(
        "convnext.safetensors",
        |name| name.replace("classifier.2.", "other."),
        &[],
    );
    let said = refused(&headless);
    assert!(said.contains("layer classifier.2 is missing"), "{said}");
}

#[test]
fn pictures_too_small_for_a_family_are_refused_with_what_would_do() {
    for (file, size) in [
        ("inception_v3.safetensors", 64),
        ("mobilenet_v2.safetensors", 31),
    ] {
        let error = recognise_at(&open(file), Some(size))
            .unwrap_err()
            .to_string();
        let said = format!("pictures of {size} pixels do not fit");
        assert!(error.contains(&said), "{error}");
    }
}
