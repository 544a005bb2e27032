//! What training leaves in `PyTorch`'s files beside plain tensors: objects, modules, tensors in parts, odd views. Held
//! against what torch computes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gradcam::low_level::architectures::{self, ArchitectureError};
use gradcam::weights::{
    self, ContentsError, Format, InPartsError, TorchError, Weights, WeightsError,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch_objects")
}

fn open(name: &str) -> Weights {
    weights::open(&folder().join(format!("{name}.pth"))).unwrap_or_else(|error| panic!("{error}"))
}

/// The notes of a file, one after the other.
fn notes(name: &str) -> String {
    open(name).notes.join("\n")
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// What torch makes of each file.
fn expected() -> BTreeMap<String, Tensors> {
    let all = weights::open(&folder().join("expected.safetensors")).unwrap();
    let mut files: BTreeMap<String, Tensors> = BTreeMap::new();
    for (name, tensor) in &all.tensors {
        let (file, name) = name.split_once(':').unwrap();
        let value = (tensor.shape().to_vec(), tensor.to_vec());
        files
            .entry(file.into())
            .or_default()
            .insert(name.into(), value);
    }
    files
}

#[test]
fn every_file_holds_the_tensors_that_torch_computes_of_it() {
    let expected = expected();
    assert_eq!(expected.len(), 27);
    for (file, tensors) in expected {
        let weights = open(&file);
        let names: Vec<_> = weights.tensors.keys().collect();
        assert_eq!(names, tensors.keys().collect::<Vec<_>>(), "{file}");
        for (name, (shape, values)) in tensors {
            let tensor = &weights.tensors[&name];
            assert_eq!(tensor.shape(), shape, "{file}: {name}");
            for (got, right) in tensor.to_vec().into_iter().zip(values) {
                // A norm is a sum in float32 there and in float64 here.
                assert!(
                    (got - right).abs() <= 4e-7 * right.abs().max(1.0),
                    "{file}: {name}: {got}, expected {right}"
                );
            }
        }
        let mut order = weights.order.clone();
        order.sort();
        assert_eq!(
            order,
            weights.tensors.keys().cloned().collect::<Vec<_>>(),
            "{file}"
        );
    }
}

#[test]
fn objects_beside_the_weights_are_named_in_a_note_and_plain_data_are_not() {
    for file in ["beside-p2", "beside-p4", "beside-p5", "beside-legacy"] {
        let said = notes(file);
        assert!(said.contains("none of their code is run: "), "{said}");
        assert!(said.contains("__main__.Config"), "{said}");
        assert!(
            !said.contains("datetime") && !said.contains("pathlib"),
            "{said}"
        );
        assert!(!said.contains("read out of"), "{said}");
    }
    assert!(
        notes("beside-p1").ends_with(": __main__.Config, __main__.Mode"),
        "{}",
        notes("beside-p1")
    );
    assert_eq!(notes("attributes"), notes("beside-p1"));
}

#[test]
fn a_module_is_read_under_the_names_of_its_state_dict_and_said_to_be_one() {
    for file in ["whole", "whole-legacy", "whole-in-dict"] {
        let said = notes(file);
        assert!(
            said.contains("out of an object of the Python class __main__.Net"),
            "{said}"
        );
    }
    assert!(
        notes("averaged").contains("the Python class __main__.Ema"),
        "{}",
        notes("averaged")
    );
    let beside = notes("average-beside");
    assert!(!beside.contains("read out of"), "{beside}");
    assert!(beside.contains("__main__.Ema"), "{beside}");
    assert_eq!(notes("other-kinds"), "");
    let skipped = open("other-kinds").skipped;
    assert_eq!(skipped["sparse"].dtype, "a tensor that is sparse");
    assert_eq!(
        skipped["meta"].dtype,
        "a tensor that is meta, which has no data"
    );
}

#[test]
fn tensors_in_parts_say_how_they_were_computed() {
    for (file, words) in [
        (
            "pruned",
            "3 tensors were pruned, and the masks that are stored beside are applied: classifier.bias and 2 more",
        ),
        ("weight-norm-old", "2 tensors were stored by weight norm"),
        ("weight-norm", "2 tensors were stored by weight norm"),
        ("spectral-norm", "2 tensors were stored by spectral norm"),
        ("parametrized-twice", "1 tensor was pruned"),
        ("quantised", "stored as whole numbers with a scale"),
    ] {
        assert!(notes(file).contains(words), "{file}: {}", notes(file));
    }
    // The place of a tensor is that of its values.
    let order = open("weight-norm").order;
    assert_eq!(order.last().unwrap(), "classifier.weight");
    let error = weights::open(&folder().join("orthogonal.pth")).unwrap_err();
    assert!(
        error.to_string().contains("remove_parametrizations"),
        "{error}"
    );
    let WeightsError::Contents {
        error: ContentsError::InParts(error),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(matches!(error, InPartsError::Unknown { name, .. } if name == "classifier.weight"));
}

#[test]
fn dictionaries_of_numpys_arrays_are_read_from_torchs_files_and_from_bare_pickles() {
    let folder = folder().with_file_name("pickled_arrays");
    let expected = weights::open(folder.join("expected.safetensors")).unwrap();
    let files = [
        ("plain.pth", Format::Torch),
        ("legacy.pth", Format::TorchLegacy),
        ("in-dict.pth", Format::Torch),
        ("p2.pkl", Format::Pickle),
        ("p3.pkl", Format::Pickle),
        ("p4.pkl", Format::Pickle),
        ("p5.pkl", Format::Pickle),
        ("in-dict-p4.pkl", Format::Pickle),
        ("in-dict-p5.pkl", Format::Pickle),
    ];
    for (file, format) in files {
        let found =
            weights::open(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found.format, format, "{file}");
        let names: Vec<_> = found.tensors.keys().collect();
        assert_eq!(names, expected.tensors.keys().collect::<Vec<_>>(), "{file}");
        for (name, tensor) in &expected.tensors {
            let read = &found.tensors[name];
            assert_eq!(read.shape(), tensor.shape(), "{file}: {name}");
            assert_eq!(read.to_vec(), tensor.to_vec(), "{file}: {name}");
        }
        assert_eq!(found.skipped["features.1.num_batches_tracked"].dtype, "i8");
        assert!(found.notes.is_empty(), "{file}: {:?}", found.notes);
    }
}

#[test]
fn torchs_tensors_in_a_bare_pickle_are_refused_with_what_to_save_instead() {
    let path = folder().with_file_name("pickled_arrays/tensors.pkl");
    let error = weights::open(path).unwrap_err().to_string();
    let line = "torch.save(pickle.load(open('weights.pkl', 'rb')), 'weights.pth')";
    assert!(error.contains(line), "{error}");
}

#[test]
fn bare_pickles_of_something_else_run_nothing_and_say_what_they_hold() {
    let said = |pickle: &[u8]| {
        weights::from_bytes(pickle.to_vec())
            .unwrap_err()
            .to_string()
    };
    let attack = said(b"\x80\x02cos\nsystem\n(U\x02lstR.");
    assert!(
        attack.contains("the pickle calls os.system: refused"),
        "{attack}"
    );
    let model = said(b"\x80\x02cmodels\nNet\n)\x81}b.");
    assert!(model.contains("made by Python's models.Net"), "{model}");
    let empty = said(b"\x80\x02}q\x01.");
    assert!(empty.contains("holds no tensor of floats"), "{empty}");
    let two = said(b"\x80\x02}q\x01.\x80\x02}q\x01.");
    assert!(two.contains("6 bytes follow the pickle"), "{two}");
    // An array whose state lacks its data.
    let array = said(
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01tbs.",
    );
    assert!(
        array.contains("\"w\" is damaged: an array is not what numpy writes"),
        "{array}"
    );
}

#[test]
fn programs_are_refused_with_what_to_save_instead() {
    for (file, words) in [
        ("script.pt", "torch.jit.load("),
        ("export.pt2", "torch.export.load("),
    ] {
        let error = weights::open(&folder().join(file)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let WeightsError::Contents {
            error: ContentsError::Torch(error),
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(matches!(
            error,
            TorchError::TorchScript | TorchError::Exported
        ));
    }
}

#[test]
fn a_pickled_network_must_have_the_modules_that_its_names_speak_for() {
    let recognise = |name: &str| architectures::recognise(&open(name));
    for name in ["vgg", "vgg-same"] {
        let weights = open(name);
        let modules: Vec<_> = weights
            .modules
            .iter()
            .map(|module| &module.name[..])
            .collect();
        assert_eq!(modules[..3], ["features", "features.0", "features.1"]);
        assert_eq!(
            modules[modules.len() - 2..],
            ["classifier.2", "classifier.3"]
        );
        let classifier = recognise(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(classifier.network.classes(), 3);
    }
    for (name, module, words) in [
        (
            "vgg-leaky",
            "features.2",
            "LeakyReLU with negative_slope 0.01",
        ),
        ("vgg-average", "features.3", "AvgPool2d with kernel_size 2"),
        (
            "vgg-stride",
            "features.0",
            "Conv2d with kernel_size 3 x 3, stride 2 x 2",
        ),
        ("vgg-eps", "features.1", "BatchNorm2d with eps 0.001"),
        ("vgg-reflect", "features.0", "padding_mode reflect"),
        ("vgg-ceil", "features.3", "ceil_mode 1"),
    ] {
        let error = recognise(name).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let ArchitectureError::Module { name, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(name, module);
    }
}
