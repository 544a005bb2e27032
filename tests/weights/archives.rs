//! Weights in zip archives and in PyTorch's files: what is read is what numpy and torch wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gradcam::low_level::architectures::{self, Evidence};
use gradcam::weights::{self, ContentsError, DType, Format, TorchError, Weights};
use half::{bf16, f16};

use crate::common::memory;
use crate::common::seeded::{self, Seeded, TINY};
use crate::common::torch_writer::{PAIR, View, archive, dict, legacy, members, text};
use crate::common::zip_writer::{Member, npy, zip, zip_with};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn open(name: &str) -> Weights {
    weights::open(&fixture(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn read(bytes: Vec<u8>) -> Weights {
    weights::from_bytes(bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// The tiny network under torchvision's names: convolutions O I H W, matrices out by in, fc6's
/// inputs in C H W order.
fn torchvision() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    const CONVOLUTIONS: [usize; 13] = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
    let mut named = BTreeMap::new();
    for (i, [w, b]) in seeded::weights(&TINY).iter().enumerate() {
        let module = match CONVOLUTIONS.get(i) {
            Some(n) => format!("features.{n}"),
            None => format!("classifier.{}", 3 * (i - CONVOLUTIONS.len())),
        };
        named.insert(format!("{module}.weight"), transposed(w));
        named.insert(
            format!("{module}.bias"),
            (b.shape.clone(), b.values().collect()),
        );
    }
    named
}

fn transposed(w: &Seeded) -> (Vec<usize>, Vec<f32>) {
    let outputs = *w.shape.last().unwrap();
    // Rows of fc6 are 7 x 7 positions of so many channels.
    let (positions, channels, shape) = match w.shape[..] {
        [h, w, i, o] => (h * w, i, vec![o, i, h, w]),
        [rows, o] if w.layer == "fc6" => (49, rows / 49, vec![o, rows]),
        [rows, o] => (1, rows, vec![o, rows]),
        _ => unreachable!("two or four dimensions"),
    };
    let mut values = Vec::with_capacity(w.len());
    for o in 0..outputs {
        for c in 0..channels {
            values.extend((0..positions).map(|p| w.at((p * channels + c) * outputs + o)));
        }
    }
    (shape, values)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The file holds the tiny network under `prefix`, with every value changed by `rounded`, and no
/// other tensor.
fn assert_torchvision(file: &str, prefix: &str, dtype: DType, rounded: impl Fn(f32) -> f32) {
    let weights = open(file);
    let expected = torchvision();
    assert!(weights.skipped.is_empty(), "{file}: {:?}", weights.skipped);
    let names = expected.keys().map(|name| format!("{prefix}{name}"));
    assert!(weights.tensors.keys().cloned().eq(names), "{file}");
    for (name, (shape, values)) in &expected {
        let tensor = &weights.tensors[&format!("{prefix}{name}")];
        assert_eq!(tensor.shape(), shape, "{file} {name}");
        assert_eq!(tensor.dtype(), dtype, "{file} {name}");
        let values: Vec<f32> = values.iter().map(|&v| rounded(v)).collect();
        assert_eq!(bits(&tensor.to_vec()), bits(&values), "{file} {name}");
        let middle = values.len() / 3;
        let mut piece = vec![f32::NAN; values.len() - middle];
        tensor.read(middle, &mut piece);
        assert_eq!(bits(&piece), bits(&values[middle..]), "{file} {name}");
        tensor.release(0, tensor.len());
        assert_eq!(bits(&tensor.to_vec()), bits(&values), "{file} {name}");
    }
}

// PyTorch

#[test]
fn a_state_dict_reads_the_same_from_both_forms_of_torch_save_and_either_byte_order() {
    for file in ["tiny.pth", "tiny-legacy.pth", "tiny-big-endian.pth"] {
        assert_torchvision(&format!("torch/{file}"), "", DType::F32, |v| v);
    }
    assert_eq!(open("torch/tiny.pth").format, Format::Torch);
    assert_eq!(open("torch/tiny-legacy.pth").format, Format::TorchLegacy);
}

#[test]
fn half_precision_is_converted() {
    let half = |v| f16::from_f32(v).to_f32();
    assert_torchvision("torch/tiny-half.pth", "", DType::F16, half);
}

#[test]
fn views_of_one_storage_come_out_in_row_major_order() {
    for file in ["tiny-views.pth", "tiny-views-legacy.pth"] {
        assert_torchvision(&format!("torch/{file}"), "", DType::F32, |v| v);
    }
}

#[test]
fn of_a_checkpoint_the_network_is_read_and_the_optimiser_is_not() {
    assert_torchvision("torch/tiny-checkpoint.pth", "module.", DType::F32, |v| v);
}

#[test]
fn tensors_are_handed_out_as_they_lie_in_the_file() {
    for file in ["tiny.pth", "tiny-legacy.pth"] {
        let weights = open(&format!("torch/{file}"));
        for (name, (_, values)) in torchvision() {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let found = weights.tensors[&name].f32_bytes();
            assert_eq!(found, Some(&bytes[..]), "{file} {name}");
        }
    }
    let views = open("torch/tiny-views.pth");
    assert!(views.tensors["features.0.bias"].f32_bytes().is_some());
    assert!(views.tensors["features.0.weight"].f32_bytes().is_none());
}

#[test]
fn every_float_type_is_read_and_what_is_not_a_float_is_set_aside() {
    let weights = open("torch/types.pth");
    let values = [0.5, -1.25, 3.0, 1e-3, 65504.0, -0.0];
    let half = values.map(|v| f16::from_f32(v).to_f32());
    let brain = values.map(|v| bf16::from_f32(v).to_f32());
    for (name, expected) in [
        ("float64", values),
        ("float32", values),
        ("float16", half),
        ("bfloat16", brain),
        ("expanded", [0.5, 0.5, 0.5, -1.25, -1.25, -1.25]),
    ] {
        let tensor = &weights.tensors[name];
        assert_eq!(tensor.shape(), [2, 3], "{name}");
        assert_eq!(bits(&tensor.to_vec()), bits(&expected), "{name}");
    }
    let eight = weights.tensors["float8_e4m3fn"].to_vec();
    assert_eq!(eight[..4], [0.5, -1.25, 3.0, 2_f32.powi(-9)]);
    // Its largest number
    assert_eq!(eight[4], 448.0);
    assert_eq!(weights.tensors["every-other"].to_vec(), [-1.25, 1e-3, -0.0]);
    assert_eq!(weights.tensors["scalar"].to_vec(), [7.5]);
    assert_eq!(weights.tensors["scalar"].shape(), [0; 0]);
    assert_eq!(weights.tensors["empty"].shape(), [0, 4]);
    assert_eq!(weights.tensors["bn.running_var"].to_vec(), [1.0; 3]);
    let skipped: Vec<_> = weights
        .skipped
        .iter()
        .map(|(name, skipped)| (name.as_str(), skipped.dtype.as_str()))
        .collect();
    assert_eq!(skipped[0], ("bn.num_batches_tracked", "int64"));
    assert_eq!(skipped.len(), 9);
    assert!(skipped[1..].iter().all(|(name, dtype)| name == dtype));
}

#[test]
fn parameters_of_torch_0_are_read() {
    let pair = PAIR.old_tensor();
    let class = b"ctorch.nn.parameter\nParameter\n".as_slice();
    // Parameter(tensor), then a state without it
    let called = [class, &pair, b"\x85R(\x88\x89}tb"].concat();
    // An empty Parameter, then (tensor, gradient, hooks, requires_grad, volatile)
    let filled = [class, b")\x81(", &pair, b"N}\x88\x89tb"].concat();
    // Python 2's OrderedDict([['w', tensor]])
    let listed = [
        b"ccollections\nOrderedDict\n]](".as_slice(),
        &text("w"),
        &pair,
        b"ea\x85R",
    ]
    .concat();
    let data: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for object in [dict("w", &called), dict("w", &filled), listed] {
        for weights in [
            read(archive(&object, &[("0", &data)])),
            read(legacy(&object, &[("0", 2, &data)])),
        ] {
            assert_eq!(weights.tensors["w"].to_vec(), [1.5, -2.0]);
        }
    }
}

#[test]
fn the_network_is_found_under_the_names_that_people_give_it() {
    let names = |object: &[u8]| -> Vec<String> {
        let file = archive(object, &[("0", &[0; 8])]);
        read(file).tensors.into_keys().collect()
    };
    let pair = PAIR.tensor();
    let both = |first: &str, second: &str| {
        let [w, x] = ["w", "x"].map(|name| dict(name, &pair));
        [b"}", &text(first)[..], &w, b"s", &text(second), &x, b"s"].concat()
    };
    assert_eq!(names(&both("state_dict", "optimizer")), ["w"]);
    assert_eq!(names(&both("optimizer", "model")), ["x"]);
    assert_eq!(names(&both("state_dict_ema", "state_dict")), ["x"]);
    assert_eq!(names(&both("ema", "optimizer")), ["w"]);
    // The average is left out with a word about it; what an optimiser keeps is none.
    let twice = |first: &str, second: &str, kept: &str| {
        let [w, x] = ["features.0.w", kept].map(|name| dict(name, &pair));
        let object = [b"}", &text(first)[..], &w, b"s", &text(second), &x, b"s"].concat();
        read(archive(&object, &[("0", &[0; 8])])).notes.concat()
    };
    let said = twice("model", "ema", "module.features.0.w");
    assert!(
        said.contains(r#""model" was taken, and "ema" is left out"#),
        "{said}"
    );
    assert_eq!(twice("model", "optimizer", "0/exp_avg"), "");
    // Nothing tells which: all, by their paths
    assert_eq!(names(&both("mine", "yours")), ["mine/w", "yours/x"]);
    let deep = dict("checkpoint", &dict("mine", &dict("net", &dict("w", &pair))));
    assert_eq!(names(&deep), ["w"]);
    let list = [b"](", &pair[..], &pair, b"e"].concat();
    assert_eq!(names(&list), ["0", "1"]);
}

#[test]
fn a_whole_module_is_read_and_what_cannot_be_says_what_to_save_instead() {
    let weights = open("torch/module.pth");
    assert_eq!(weights.order, ["0.weight", "0.bias"]);
    assert_eq!(weights.tensors["0.weight"].shape(), [2, 1, 1, 1]);
    // A model that keeps its tensors where only its own code finds them
    let made = [b"cmy.models\nVGG\n)R".as_slice(), &PAIR.tensor(), b"b"].concat();
    let error = weights::from_bytes(archive(&made, &[("0", &[0; 8])])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("is made by Python's my.models.VGG"), "{text}");
    assert!(text.contains("torch.save(model.state_dict()"), "{text}");
    for member in ["m/constants.pkl", "m/code/__torch__/vgg.py"] {
        let mut members = members(b"}", &[]);
        members.push(Member::stored(member, b"\x80\x02)."));
        let error = weights::from_bytes(zip(&members)).unwrap_err();
        assert!(
            matches!(error, ContentsError::Torch(TorchError::TorchScript)),
            "{error}"
        );
        assert!(error.to_string().contains("torch.jit.load"), "{error}");
    }
}

// numpy

#[test]
fn an_npz_holds_its_arrays_under_their_names_stored_or_compressed() {
    for (file, in_place) in [("npz/tiny-stored.npz", true), ("npy/tiny.npz", false)] {
        let weights = open(file);
        assert_eq!(weights.format, Format::Npz);
        assert_eq!(weights.tensors.len(), 32, "{file}");
        for expected in seeded::weights(&TINY).iter().flatten() {
            let part = if expected.number % 2 == 0 { "W" } else { "b" };
            let name = format!("{}_{part}", expected.layer);
            let tensor = &weights.tensors[&name];
            let values: Vec<f32> = expected.values().collect();
            assert_eq!(tensor.shape(), expected.shape, "{file} {name}");
            assert_eq!(bits(&tensor.to_vec()), bits(&values), "{file} {name}");
            assert_eq!(tensor.f32_bytes().is_some(), in_place, "{file} {name}");
            tensor.release(0, tensor.len());
            assert_eq!(bits(&tensor.to_vec()), bits(&values), "{file} {name}");
        }
    }
}

#[test]
fn compressed_arrays_take_a_window_of_memory_and_are_read_in_pieces() {
    let values: Vec<f32> = (0..5_000_000).map(|i| (i % 1000) as f32).collect();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let array = npy("<f4", "(5000, 1000)", &data);
    let members = [
        Member::deflated("w.npy", &array),
        Member::deflated("v.npy", &array),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.npz");
    std::fs::write(&path, zip(&members)).unwrap();
    let (weights, taken) = memory::peak(|| weights::open(&path).unwrap());
    assert!(taken < 1 << 20, "{taken} bytes");
    let mut piece = vec![0.0; 100_000];
    let ((), taken) = memory::peak(|| {
        for tensor in weights.tensors.values() {
            for start in (0..values.len()).step_by(piece.len()) {
                tensor.read(start, &mut piece);
                assert_eq!(piece, values[start..start + piece.len()]);
                tensor.release(start, piece.len());
            }
        }
    });
    assert!(taken < 1 << 20, "{taken} bytes");
}

#[test]
fn names_orders_and_types_of_an_npz_are_kept() {
    let weights = open("npz/names.npz");
    let ramp: Vec<f32> = (0..24_u8).map(|i| f32::from(i) / 8.0).collect();
    for (name, dtype) in [
        ("conv1_1/weights", DType::F32),
        ("features.0.weight", DType::F32),
        ("block1/conv1/kernel:0", DType::F16),
        ("double", DType::F64),
        ("big", DType::F32),
    ] {
        let tensor = &weights.tensors[name];
        assert_eq!((tensor.dtype(), tensor.shape()), (dtype, &[2, 3, 4][..]));
        assert_eq!(tensor.to_vec(), ramp, "{name}");
    }
    assert_eq!(weights.tensors["scalar"].to_vec(), [2.5]);
    assert!(weights.tensors["empty"].is_empty());
    assert_eq!(weights.skipped["steps"].dtype, "i8");
    assert_eq!(weights.tensors.len() + weights.skipped.len(), 8);
}

#[test]
fn pickled_members_of_an_npz_are_read_like_a_pickled_npy() {
    let names = |file| open(file).tensors.into_keys().collect::<Vec<_>>();
    assert_eq!(
        names("npz/dict.npz"),
        ["conv1_1/0", "conv1_1/1", "conv1_2/0"]
    );
    let lists = open("npz/lists.npz");
    assert_eq!(lists.tensors.len(), 4);
    assert_eq!(lists.tensors["conv1_2/1"].to_vec()[0], 1.5);
    assert_eq!(lists.tensors["conv1_1/1"].shape(), [3, 4]);
}

#[test]
fn archives_are_known_by_their_members_in_any_order_and_with_wide_numbers() {
    let array = npy("<f4", "(1,)", &1.0_f32.to_le_bytes());
    let members = [
        Member::stored("README", b"text"),
        Member::stored("w.npy", &array),
    ];
    let wide = zip_with(&members, |end| end, true);
    for file in [zip(&members), wide] {
        assert_eq!(read(file).tensors["w"].to_vec(), [1.0]);
    }
    let photos = zip(&[Member::stored("photos/cat.jpg", b"\xff\xd8\xff")]);
    let error = weights::from_bytes(photos).unwrap_err().to_string();
    assert!(error.contains("a zip archive: unpack it"), "{error}");
    let keras = zip(&[Member::stored("model.weights.h5", b"\x89HDF")]);
    let error = weights::from_bytes(keras).unwrap_err().to_string();
    assert!(error.contains("config.json is missing"), "{error}");
}

#[test]
fn a_view_shows_what_its_strides_say_wherever_it_begins() {
    let data: Vec<u8> = (0..12_u8)
        .flat_map(|i| f32::from(i).to_le_bytes())
        .collect();
    let view = View {
        len: 12,
        offset: 1,
        shape: &[2, 3],
        strides: &[1, 4],
        ..PAIR
    };
    let weights = read(archive(&dict("w", &view.tensor()), &[("0", &data)]));
    let tensor = &weights.tensors["w"];
    let expected = [1.0, 5.0, 9.0, 2.0, 6.0, 10.0];
    for start in 0..6 {
        let mut out = vec![f32::NAN; 6 - start];
        tensor.read(start, &mut out);
        assert_eq!(out, expected[start..]);
    }
}

/// The tiny network as TF-Slim names it, with `more` beside each variable.
fn slim(more: &[&str], with_variables: bool) -> Vec<Member> {
    let mut members = vec![];
    for tensor in seeded::weights(&TINY).iter().flatten() {
        let scope = match tensor.layer.strip_prefix("conv") {
            Some(numbers) => format!("vgg_16/conv{}/{}", &numbers[..1], tensor.layer),
            None => format!("vgg_16/{}", tensor.layer),
        };
        let part = if tensor.number % 2 == 0 {
            "weights"
        } else {
            "biases"
        };
        // fc6 to fc8 are convolutions there.
        let shape = match tensor.shape[..] {
            [rows, outputs] if tensor.layer == "fc6" => vec![7, 7, rows / 49, outputs],
            [rows, outputs] => vec![1, 1, rows, outputs],
            ref shape => shape.to_vec(),
        };
        let shape: Vec<_> = shape.iter().map(|n| format!("{n},")).collect();
        let shape = format!("({})", shape.concat());
        let data = |sign: f32| -> Vec<u8> {
            tensor
                .values()
                .flat_map(|value| (sign * value).to_le_bytes())
                .collect()
        };
        let mut add = |name: &str, sign| {
            let name = format!("{scope}/{part}{name}.npy");
            members.push(Member::stored(&name, &npy("<f4", &shape, &data(sign))));
        };
        if with_variables {
            add("", 1.0);
        }
        for slot in more {
            add(&format!("/{slot}"), if with_variables { -1.0 } else { 1.0 });
        }
    }
    members
}

#[test]
fn what_an_optimiser_keeps_beside_its_variables_is_left_out_and_said() {
    let plain = read(zip(&slim(&[], true)));
    assert_eq!(plain.notes, [""; 0]);
    for slots in [
        &["Momentum"][..],
        &["Adam", "Adam_1"],
        &["RMSProp", "RMSProp_1", "ExponentialMovingAverage"],
    ] {
        let mut members = slim(slots, true);
        let scalar = npy("<f4", "()", &0.9_f32.to_le_bytes());
        members.push(Member::stored("beta1_power.npy", &scalar));
        members.push(Member::stored(
            "global_step.npy",
            &npy("<i8", "()", &[7, 0, 0, 0, 0, 0, 0, 0]),
        ));
        let mean: Vec<u8> = [120.0_f32, 110.0, 100.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        members.push(Member::stored(
            "vgg_16/mean_rgb.npy",
            &npy("<f4", "(3,)", &mean),
        ));
        let weights = read(zip(&members));
        let said = format!(
            "{} tensors of the training are left out: {}",
            32 * slots.len(),
            {
                let mut slots = slots.to_vec();
                slots.sort_unstable();
                slots.join(", ")
            }
        );
        assert_eq!(weights.notes, [said]);
        for (name, tensor) in &plain.tensors {
            assert_eq!(
                bits(&weights.tensors[name].to_vec()),
                bits(&tensor.to_vec())
            );
        }
        let order: Vec<_> = weights
            .order
            .iter()
            .filter(|name| plain.tensors.contains_key(*name))
            .collect();
        assert_eq!(order, plain.order.iter().collect::<Vec<_>>());
        // The mean colour is evidence of what the network's input is.
        let classifier = architectures::recognise(&weights).unwrap();
        assert_eq!(classifier.normalization.mean, [120.0, 110.0, 100.0]);
        assert!(!classifier.normalization.bgr);
        assert_eq!(classifier.normalization_evidence, Evidence::Metadata);
    }
    let averages = read(zip(&slim(&["ExponentialMovingAverage"], false)));
    assert_eq!(
        averages.notes,
        ["32 tensors are the running averages of their variables"]
    );
    assert_eq!(averages.order, plain.order);
}
