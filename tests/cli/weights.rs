//! Weights files that make no network, each refused in words before anything is written.

use crate::harness::{Folder, GUESS, Tiny, fixture};
use crate::npy_writer::{self, Python};
use crate::seeded::{self, Seeded, TINY};

#[track_caller]
fn assert_refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let folder = Folder::new();
    folder.put(name, bytes);
    folder.put("cat_0_1_class_1_0.797_heatmap.png", b"from yesterday");
    let parts = [&[name][..], parts].concat();
    folder.refuses(&format!("cat.png {name}"), 1, &parts);
    folder.refuses(&format!("cat.png -w {name} -o maps"), 1, &parts);
}

/// The tiny network as numpy writes it, its layers changed.
fn written(change: impl FnOnce(&mut Vec<[Seeded; 2]>)) -> Vec<u8> {
    let mut layers = seeded::weights(&TINY);
    change(&mut layers);
    let mut bytes = vec![];
    npy_writer::write(&mut bytes, Python::Two, &layers).unwrap();
    bytes
}

/// A `.npy` header of one array, and what follows it.
fn npy(descr: &str, shape: &str, rest: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(rest);
    file
}

#[test]
fn a_guess_at_how_pictures_are_scaled_is_noted_with_its_reason_until_it_is_said() {
    let folder = Folder::new();
    let noted = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = folder.command(&arguments).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let line = "cat.png tiny.npy -c 1 --outputs heatmap";
    let note = format!(
        "note: tiny.npy{GUESS}caffe is a guess, since each layer is a list of weights and biases, as in tensorflow-vgg's \
         files; --preprocess says otherwise\n"
    );
    assert_eq!(noted(line), note);
    assert_eq!(noted(&format!("{line} --preprocess caffe")), "");
}

#[test]
fn weights_that_are_not_there_are_named() {
    let folder = Folder::new();
    folder.refuses(
        "cat.png VGG16.npy",
        1,
        &["no such file: VGG16.npy; check its name"],
    );
    folder.refuses(
        "cat.png -w VGG16",
        1,
        &["no such file: VGG16; check its name"],
    );
    folder.refuses("cat.png -w .", 1, &[".: not a file, but a folder"]);
    folder.refuses("info VGG16.npy", 1, &["no such file: VGG16.npy"]);
}

#[test]
fn weights_cut_off_anywhere_are_refused() {
    let whole = fixture("npy/tiny-p4.npy");
    for length in [
        3,
        8,
        40,
        128,
        140,
        700,
        5_000,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        assert_refused("cut.npy", &whole[..length], &[]);
    }
    assert_refused(
        "half.npy",
        &whole[..whole.len() / 2],
        &["cut off", "download it again"],
    );
}

#[test]
fn an_empty_file_and_a_web_page_are_called_what_they_are() {
    assert_refused("VGG16.npy", b"", &["an empty file"]);
    let page = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>";
    assert_refused(
        "VGG16.npy",
        page,
        &["an HTML page", "download the file itself"],
    );
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    assert_refused("VGG16.npy", pointer, &["Git LFS pointer", "git lfs pull"]);
    assert_refused("VGG16.npy", b"import numpy", &["a text file"]);
    let archive = fixture("npy/tiny.npz");
    let half = &archive[..archive.len() / 2];
    assert_refused("VGG16.npz", half, &["the file is cut off"]);
}

/// Numbers as good as any: nothing but the checksum tells.
#[test]
fn a_stored_member_that_was_changed_is_refused_by_its_name() {
    let layers = seeded::weights(&TINY);
    let fc7 = layers.iter().find(|pair| pair[0].layer == "fc7").unwrap();
    let biases: Vec<u8> = fc7[1].values().flat_map(f32::to_le_bytes).collect();
    for (name, file, member) in [
        ("net.npz", "npz/tiny-stored.npz", "fc7"),
        ("net.pth", "torch/tiny.pth", "/data/"),
    ] {
        let mut bytes = fixture(file);
        let at = bytes
            .windows(biases.len())
            .position(|window| window == biases);
        // The lowest digits of two numbers.
        let at = at.expect("stored as they are");
        bytes[at] ^= 0xff;
        bytes[at + 4] ^= 0xff;
        let parts = [member, "do not fit", "(CRC-32)"];
        assert_refused(name, &bytes, &parts);
        let folder = Folder::new();
        folder.put(name, &bytes);
        folder.refuses(&format!("convert {name} out.safetensors"), 1, &parts);
        let run = folder.run(&format!("info {name}"));
        run.exits(1);
        assert!(
            parts.iter().all(|part| run.errors()[0].contains(part)),
            "{run:#?}"
        );
    }
}

#[test]
fn an_array_of_plain_numbers_is_told_what_weights_are() {
    let bytes = npy("<f4", "(2, 3)", &[0; 24]);
    assert_refused(
        "array.npy",
        &bytes,
        &[
            "one plain array (<f4, 2 x 3)",
            "{'conv1_1': [weights, biases]",
        ],
    );
}

#[test]
fn a_pickle_that_calls_the_system_is_refused_by_name_and_calls_nothing() {
    let pickle = b"\x80\x02cos\nsystem\nU\x0ctouch pwned!\x85R.";
    // `refuses` sees that no file came.
    assert_refused(
        "evil.npy",
        &npy("|O", "()", pickle),
        &["os.system", "refused", "nothing in a file is executed"],
    );
    assert_refused(
        "evil.pkl.npy",
        &npy("|O", "()", b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93."),
        &["builtins.eval"],
    );
}

#[test]
fn a_dictionary_without_fc8_says_which_layer_is_missing() {
    let without =
        |layer: &'static str| written(|layers| layers.retain(|pair| pair[0].layer != layer));
    assert_refused(
        "headless.npy",
        &without("fc8"),
        &["layer fc8 is missing", "conv1_1/0"],
    );
    assert_refused(
        "odd.npy",
        &without("conv5_3"),
        &["[2, 2, 3, 3, 2] convolutions", "[2, 2, 3, 3, 3]"],
    );
    let renamed = written(|layers| layers.retain(|pair| pair[0].layer == "conv1_1"));
    assert_refused("one.npy", &renamed, &["convolutions"]);
}

#[test]
fn a_layer_of_the_wrong_shape_is_named_with_the_shape_that_fits() {
    let reshaped = |layer: &'static str, number: usize, shape: &'static [usize]| {
        written(|layers| {
            let pair = layers
                .iter_mut()
                .find(|pair| pair[0].layer == layer)
                .unwrap();
            pair[number].shape = shape.to_vec();
        })
    };
    let parts = ["layer conv3_1", "weights have shape [3, 3, 7, 8]"];
    assert_refused("conv.npy", &reshaped("conv3_1", 0, &[3, 3, 7, 8]), &parts);
    assert_refused(
        "five.npy",
        &reshaped("conv3_1", 0, &[5, 5, 6, 8]),
        &["layer conv3_1", "[5, 5, 6, 8]"],
    );
    assert_refused(
        "fc6.npy",
        &reshaped("fc6", 0, &[391, 10]),
        &["layer fc6", "[391, 10]"],
    );
    assert_refused(
        "bias.npy",
        &reshaped("fc7", 1, &[11]),
        &["layer fc7", "biases have shape [11]"],
    );
    assert_refused(
        "flat.npy",
        &reshaped("conv1_1", 0, &[108]),
        &["layer conv1_1", "[108]"],
    );
}

#[test]
fn weights_that_are_no_numbers_are_named_by_tensor() {
    let one = |at: usize, value: f32| move |i: usize, v: f32| if i == at { value } else { v };
    for (layer, number, what, value, word) in [
        ("conv1_1", 0, "weights", f32::NAN, "NaN"),
        ("conv4_2", 0, "weights", f32::INFINITY, "inf"),
        ("conv5_3", 1, "biases", f32::NAN, "NaN"),
        ("fc6", 0, "weights", f32::NEG_INFINITY, "-inf"),
        ("fc8", 1, "biases", f32::NAN, "NaN"),
    ] {
        let bytes = Tiny::new().with(layer, number, one(3, value)).bytes();
        assert_refused("nan.npy", &bytes, &[layer, what, word, "element 3"]);
    }
}

#[test]
fn a_million_million_elements_are_announced_in_vain() {
    let whole = fixture("npy/tiny-p4.npy");
    let start = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
    let tera = "(1000000000000,)";
    assert_refused(
        "tera.npy",
        &npy("|O", tera, &whole[start..]),
        &["1000000000000"],
    );
    assert_refused(
        "plain.npy",
        &npy("<f4", tera, b""),
        &["one plain array", "1000000000000"],
    );
    let header =
        r#"{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#;
    let file = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &[0; 16],
    ]
    .concat();
    assert_refused("tera.safetensors", &file, &[]);
}

#[test]
fn an_input_too_large_for_the_adapter_is_told_the_largest_that_fits() {
    let folder = Folder::new();
    for command in ["cat.png -c cat --outputs heatmap", "bench --runs 1"] {
        let parts = ["in one buffer", "the largest that fits it: --input-size "];
        let run = folder.refuses(&format!("{command} --input-size 4096"), 1, &parts);
        let (_, largest) = run.stderr.rsplit_once(' ').unwrap();
        let largest: usize = largest.trim().parse().unwrap();
        assert!((224..4096).contains(&largest), "{run:#?}");
        let next = largest.next_multiple_of(32) + 32;
        folder.refuses(&format!("{command} --input-size {next}"), 1, &parts);
    }
}
