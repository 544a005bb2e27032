//! Families of networks that are known by the names of their tensors, narrow ones of torchvision's and timm's own classes in float16,
//! against torch: `tests/fixtures/families`.

use std::process::Command;

use gradcam::low_level::architectures::{
    ArchitectureError, Classifier, Evidence, Overrides, recognise, recognise_as, recognise_at,
};
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::picture;
use gradcam::low_level::picture::preprocess::{self, Fit, Normalization};
use gradcam::low_level::score::Score;
use gradcam::weights::{self, Weights};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

mod transformers;

use crate::common::device::GPU;
use crate::common::vgg::fixture;

/// What torch says, by file.
fn numbers() -> Map<String, Value> {
    let text = std::fs::read_to_string(fixture("families/families.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(file: &str) -> Weights {
    weights::open(&fixture("families").join(file)).unwrap()
}

fn at(weights: &Weights, size: Option<usize>) -> Classifier {
    asked(weights, size, None).unwrap_or_else(|error| panic!("{error}"))
}

fn asked(
    weights: &Weights,
    input_size: Option<usize>,
    architecture: Option<&str>,
) -> Result<Classifier, ArchitectureError> {
    let asked = Overrides {
        input_size,
        architecture,
        ..Overrides::default()
    };
    recognise_as(weights, &asked)
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
    let map = &explanation.maps()[0].values;
    assert_close(file, map, &list(&expected["map"]), 1e-4);
}

#[test]
fn families_told_by_their_names_agree_with_torch() {
    for (file, expected) in numbers() {
        let size = expected["size"].as_u64().unwrap() as usize;
        let classifier = asked(&open(&file), Some(size), expected["asked"].as_str());
        let classifier = classifier.unwrap_or_else(|error| panic!("{file}: {error}"));
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
            .args(
                expected["asked"]
                    .as_str()
                    .map(|asked| format!("--architecture={asked}")),
            )
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

/// Two files' networks in one, each below a name of its own.
fn together(parts: &[(&str, &str)], more: &[(&str, &[usize])]) -> Weights {
    let files = parts.iter().map(|(prefix, file)| {
        let bytes = std::fs::read(fixture("families").join(file)).unwrap();
        (*prefix, bytes)
    });
    let files: Vec<(&str, Vec<u8>)> = files.collect();
    let zeros = vec![0; 1 << 16];
    let mut tensors = vec![];
    for (prefix, bytes) in &files {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let of_file = file.tensors().into_iter();
        tensors.extend(of_file.map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    for (name, shape) in more {
        let bytes = 2 * shape.iter().product::<usize>();
        let view = TensorView::new(safetensors::Dtype::F16, shape.to_vec(), &zeros[..bytes]);
        tensors.push(((*name).into(), view.unwrap()));
    }
    weights::from_bytes(safetensors::serialize(tensors, None).unwrap()).unwrap()
}

#[test]
fn of_several_networks_side_by_side_none_is_taken_silently() {
    let (one, other) = ("mobilenet_v2.safetensors", "squeezenet1_1.safetensors");
    for (names, parts, more) in [
        (["student.", "teacher."], [one, one], &[][..]),
        (["net1.", "net2."], [one, one], &[]),
        (["a.0.", "a.1."], [one, one], &[]),
        (["big.", "small."], [one, other], &[]),
        (
            ["module.encoder_k.", "module.encoder_q."],
            [one, one],
            &[("module.queue", &[8, 4][..])],
        ),
        // Beside a convolution of neither.
        (
            ["student/module.", "teacher/"],
            [one, one],
            &[("loss.weight", &[2, 2, 1, 1])],
        ),
    ] {
        let parts: Vec<(&str, &str)> = names.into_iter().zip(parts).collect();
        let error = asked(&together(&parts, more), Some(64), None).unwrap_err();
        let said = error.to_string();
        let named = names.iter().all(|name| {
            // A network within a dictionary goes by the dictionary's name.
            let folder = name.split_inclusive('/').next().unwrap();
            said.contains(folder)
        });
        assert!(named && said.contains("torch.save("), "{said}");
        assert!(
            matches!(error, ArchitectureError::SeveralNetworks { .. }),
            "{said}"
        );
    }
}

#[test]
fn layers_outside_of_a_network_are_told_and_none_that_goes_on_from_its_classes_is_left_out() {
    let beside = |more: &[(&str, &[usize])]| {
        let weights = changed(
            "mobilenet_v2.safetensors",
            |name| format!("backbone.{name}"),
            more,
        );
        asked(&weights, Some(64), None)
    };
    let told = |more: &[(&str, &[usize])]| beside(more).unwrap().notes.join("\n");
    // An attention beside it; the weights of a loss, one a class, are none.
    let said = told(&[("attention.weight", &[1, 12, 1, 1]), ("loss.weight", &[5])]);
    let expected = "1 tensors outside of the network that is named backbone.* are left out, attention.weight and so on";
    assert!(said.contains(expected), "{said}");
    assert!(!told(&[("loss.weight", &[5])]).contains("outside"));
    // A head of one's own beside the network is no such layer.
    let said = at(&open("resnet-backbone.safetensors"), None)
        .notes
        .join("\n");
    assert!(!said.contains("outside"), "{said}");
    // Centres of classes in the space of the five numbers that the network gives, as ArcFace has them.
    let error = beside(&[("weight", &[9, 5])]).unwrap_err().to_string();
    assert!(
        error.starts_with("layer weight goes on where backbone.* ends"),
        "{error}"
    );
}

#[test]
fn a_running_average_beside_a_network_is_left_out_with_a_note() {
    let file = "mobilenet_v2.safetensors";
    let expected = &numbers()[file];
    for average in ["model_ema.", "ema.module.", "averaged_model."] {
        let both = together(&[("model.", file), (average, file)], &[]);
        let classifier = at(&both, Some(64));
        assert_agrees(&classifier, average, expected);
        let note = format!("model.* was taken, and {average}*, by its name a running average");
        let found = classifier.notes.iter().any(|said| said.contains(&note));
        assert!(found, "{:?}", classifier.notes);
        // Alone it is the network.
        at(&together(&[(average, file)], &[]), Some(64));
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
            "timm-resnetblur.safetensors",
            &["in the second one", "--architecture resnetblur"],
        ),
        (
            "timm-seresnet.safetensors",
            &["by steps alone", "--architecture resnetblur"],
        ),
        ("timm-resnet-gn.safetensors", &["group norms of 32 groups"]),
        (
            "timm-fbnetc.safetensors",
            &["no published fbnetc", "--architecture fbnetc"],
        ),
        (
            "hugging_face-resnet.safetensors",
            &["downsample_in_bottleneck", "224 is a guess"],
        ),
        (
            "efficientnet_pytorch.safetensors",
            &["advprop", "--preprocess tf"],
        ),
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
    // What families without published members leave open is in their own notes.
    let said = at(&open("fastai.safetensors"), None).notes.join("\n");
    assert!(!said.contains("no published"), "{said}");
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
    // What is beside a network may be its head, but no projection is one that gives classes.
    let headless = |name: &'static str| {
        let renamed = move |old: &str| old.replace("classifier.2.", name);
        changed("convnext.safetensors", renamed, &[])
    };
    let said = refused(&headless("projection_head."));
    assert!(said.contains("layer classifier.2 is missing"), "{said}");
    let classifier = at(&headless("other."), None);
    let said = classifier.notes.join("\n");
    assert!(
        said.contains("classifier.2 is not in the file: other is taken as the head in its place"),
        "{said}"
    );
    let normed = changed(
        "resnet-children.safetensors",
        kept,
        &[("norm.weight", &[64]), ("norm.bias", &[64])],
    );
    let said = refused(&normed);
    assert!(said.contains("norm"), "{said}");
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

#[test]
fn an_architecture_that_names_leave_open_is_a_guess_until_it_is_asked_for() {
    let ours = open("timm-efficientnet.safetensors");
    let guessed = at(&ours, Some(64));
    let said = guessed.notes.join("\n");
    assert!(said.contains("--architecture tf_"), "{said}");
    for (architecture, is_same) in [("efficientnet_b0", true), ("tf_efficientnet_b0", false)] {
        let classifier = asked(&ours, Some(64), Some(architecture)).unwrap();
        assert_eq!(classifier.notes, [""; 0], "{architecture}");
        let same = classifier.network.architecture == guessed.network.architecture;
        assert_eq!(same, is_same, "{architecture}");
    }
    let refused = |file, architecture| {
        let error = asked(&open(file), Some(64), Some(architecture));
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refused("timm-efficientnet.safetensors", "resnet50"),
        "this is no resnet50: its tensors are named as those of efficientnet or tf_efficientnet are"
    );
    let called = |file, architecture| {
        let classifier = asked(&open(file), Some(64), Some(architecture));
        classifier.unwrap().network.architecture
    };
    for (architecture, family) in [
        ("resnet50", "resnet-"),
        ("resnet", "resnet-"),
        ("resnetblur", "resnetblur-"),
        ("resnetaa50", "resnetaa-"),
    ] {
        let name = called("timm-resnetblur.safetensors", architecture);
        assert!(name.starts_with(family), "{architecture}: {name}");
    }
    assert_eq!(
        called("timm-resnet-d.safetensors", "resnet50d"),
        "resnet-d-1-2-1-1"
    );
    assert_eq!(
        refused("regnet_x.safetensors", "resnet50"),
        "this is no resnet50: its tensors are named as those of regnet are"
    );
}

#[test]
fn an_architecture_is_not_asked_for_where_a_file_leaves_no_choice() {
    let graph = weights::open(&fixture("names/grey.onnx")).unwrap();
    let error = asked(&graph, None, Some("vgg16")).unwrap_err().to_string();
    assert!(error.contains("leaves no choice"), "{error}");
}

#[test]
fn a_resnet_in_bfloat16_is_the_one_of_the_same_values_in_float32() {
    let bytes = std::fs::read(fixture("names/resnet-bottleneck.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |kept: usize| {
        let tensors = file.tensors().into_iter();
        let tensors = tensors.filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32);
        let rounded = tensors.map(|(name, tensor)| {
            // The upper half of a float32 is a bfloat16.
            let values = tensor.data().chunks(4);
            let values: Vec<u8> = match kept {
                2 => values.flat_map(|v| [v[2], v[3]]).collect(),
                _ => values.flat_map(|v| [0, 0, v[2], v[3]]).collect(),
            };
            (name, tensor.shape().to_vec(), values)
        });
        let rounded: Vec<_> = rounded.collect();
        let dtype = match kept {
            2 => safetensors::Dtype::BF16,
            _ => safetensors::Dtype::F32,
        };
        let views = rounded.iter().map(|(name, shape, values)| {
            let view = TensorView::new(dtype, shape.clone(), values).unwrap();
            (name.clone(), view)
        });
        let weights = weights::from_bytes(safetensors::serialize(views, None).unwrap()).unwrap();
        let classifier = at(&weights, Some(64));
        let explainer = Explainer::new(&GPU, &classifier.network, Wanted::default()).unwrap();
        let picture = picture::open(&fixture("names/picture-64.png")).unwrap().rgb;
        let (seen, _) =
            preprocess::seen(&picture, Fit::Squash, [64, 64], &classifier.normalization);
        let input = preprocess::to_tensor(&seen, &classifier.normalization);
        explainer.predict(&input).unwrap().probabilities
    };
    assert_eq!(floats(2), floats(4));
}
