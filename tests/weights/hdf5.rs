//! HDF5 and `.keras` files, whole, cut off, damaged and made to do harm: the numbers or an error in words, never a panic,
//! never more memory than the file and 64 MiB beside it.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use gradcam::weights::{ContentsError, DType, Hdf5Error, KerasError};

use crate::common::cuts::each_cut;
use crate::common::handmade::open;
use crate::common::splitmix::Random;
use crate::common::zip_writer::{Member, zip};

const HDF5: [&str; 6] = [
    "kinds.h5",
    "kinds-latest.h5",
    "flat.h5",
    "flat.weights.h5",
    "flat-keras2-weights.h5",
    "nested-keras2.h5",
];

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras");
    fs::read(folder.join(name)).unwrap()
}

fn hdf5_error(bytes: Vec<u8>) -> Hdf5Error {
    match open(bytes) {
        Err(ContentsError::Hdf5(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_dataset_reads_as_its_numbers() {
    for name in ["kinds.h5", "kinds-latest.h5"] {
        let weights = open(fixture(name)).unwrap();
        let expected: Vec<f32> = (0..15).map(|i| i as f32 / 4.0).collect();
        for (path, dtype) in [
            ("kinds/float16", DType::F16),
            ("kinds/bfloat16", DType::BF16),
            ("kinds/float32", DType::F32),
            ("kinds/float64_big_endian", DType::F64),
            ("chunked/plain", DType::F32),
            ("chunked/packed", DType::F32),
        ] {
            let tensor = weights
                .tensor(path)
                .unwrap_or_else(|| panic!("{name}: {path}"));
            assert_eq!(tensor.dtype(), dtype, "{name}: {path}");
            assert_eq!(tensor.shape(), [5, 3], "{name}: {path}");
            assert_eq!(tensor.to_vec(), expected, "{name}: {path}");
        }
        assert_eq!(weights.tensor("kinds/scalar").unwrap().to_vec(), [0.25]);
        assert_eq!(weights.tensor("kinds/empty").unwrap().shape(), [0, 3]);
        assert_eq!(weights.skipped["kinds/int64"].dtype, "int64");
        assert_eq!(weights.tensors.len(), 8, "links lead nowhere else");
        assert_eq!(
            weights.metadata["layer_names"],
            r#"["one","two","three","vier ü"]"#
        );
        assert_eq!(weights.metadata["backend"], "none");
        assert_eq!(weights.metadata.len(), 2);
    }
}

#[test]
fn contiguous_data_stay_where_they_are_in_the_file() {
    for name in ["kinds.h5", "nested.keras"] {
        let weights = open(fixture(name)).unwrap();
        let plain = |path: &str| weights.tensor(path).unwrap().f32_bytes().is_some();
        match name {
            "kinds.h5" => assert!(plain("kinds/float32")),
            _ => assert!(plain("layers/dense/vars/0")),
        }
    }
}

#[test]
fn an_hdf5_file_cut_at_any_byte_is_an_error_that_says_so() {
    for name in HDF5 {
        let whole = fixture(name);
        for length in 0..whole.len() {
            let error = open(whole[..length].to_vec()).expect_err("cut").to_string();
            // Before that nothing says what it is.
            assert!(
                length < 8 || error.contains("cut off"),
                "{name} cut at {length}: {error}"
            );
        }
    }
    let mut cut = fixture("flat.h5");
    cut.truncate(cut.len() - 1000);
    assert!(matches!(
        hdf5_error(cut),
        Hdf5Error::Truncated { missing: 1000 }
    ));
}

#[test]
fn a_keras_archive_cut_at_any_byte_is_an_error() {
    for name in ["nested.keras", "odd.keras"] {
        let whole = fixture(name);
        // Of a cut archive only the end is looked at.
        each_cut(whole.len(), whole.len().div_ceil(2000), |length| {
            open(whole[..length].to_vec()).expect_err("cut");
        });
    }
}

#[test]
fn random_damage_gives_an_error_or_data_but_no_panic() {
    let mut random = Random(3);
    let files: Vec<Vec<u8>> = HDF5.map(fixture).into();
    // Where something is written: most of such a file is room for more.
    let written: Vec<Vec<usize>> = files
        .iter()
        .map(|file| (0..file.len()).filter(|&i| file[i] != 0).collect())
        .collect();
    let mut errors = 0;
    for round in 0..12_000 {
        let which = round % files.len();
        let mut bytes = files[which].clone();
        for _ in 0..=random.below(4) {
            let at = written[which][random.below(written[which].len())] + random.below(8);
            let at = at.min(bytes.len() - 1);
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.below(256) as u8,
                2 => bytes[at..]
                    .iter_mut()
                    .take(1 << random.below(4))
                    .for_each(|byte| *byte = 0xff),
                // An address or a size of another place.
                _ => {
                    let value =
                        (written[which][random.below(written[which].len())] as u64).to_le_bytes();
                    bytes[at..]
                        .iter_mut()
                        .zip(value)
                        .for_each(|(byte, value)| *byte = value);
                }
            }
        }
        let copy = bytes.clone();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| open(bytes).is_err()));
        let at = |i: &usize| copy[*i] != files[which][*i];
        let changed = || {
            (0..copy.len())
                .filter(at)
                .map(|i| (i, copy[i]))
                .collect::<Vec<_>>()
        };
        errors +=
            usize::from(outcome.unwrap_or_else(|_| panic!("{}: {:?}", HDF5[which], changed())));
    }
    assert!(
        errors > 1000,
        "only {errors} errors: the damage misses what matters"
    );
}

// Files made by hand: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>

const SUPERBLOCK: usize = 96;
const DATASPACE: u16 = 1;
const DATATYPE: u16 = 3;
const LINK: u16 = 6;
const LAYOUT: u16 = 8;
const ATTRIBUTE: u16 = 12;
const CONTINUATION: u16 = 16;
const SYMBOL_TABLE: u16 = 17;

type Message = (u16, Vec<u8>);

/// A file whose root group's header comes first, at [`SUPERBLOCK`].
fn file(rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n".to_vec();
    bytes.extend([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]);
    let end = (SUPERBLOCK + rest.len()) as u64;
    let addresses = [0, u64::MAX, end, u64::MAX, 0, SUPERBLOCK as u64, 0, 0, 0];
    bytes.extend(addresses.iter().flat_map(|address| address.to_le_bytes()));
    bytes.extend(rest);
    bytes
}

fn header(messages: &[Message]) -> Vec<u8> {
    let mut body = vec![];
    for (kind, data) in messages {
        body.extend(kind.to_le_bytes());
        body.extend((data.len() as u16).to_le_bytes());
        body.extend([0; 4]);
        body.extend(data);
    }
    let mut bytes = vec![1, 0];
    bytes.extend((messages.len() as u16).to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

fn link(name: &str, address: usize) -> Message {
    let mut data = vec![1, 0, name.len() as u8];
    data.extend(name.as_bytes());
    data.extend((address as u64).to_le_bytes());
    (LINK, data)
}

fn dataspace(shape: &[u64]) -> Vec<u8> {
    let mut data = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    data.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
    data
}

fn float32() -> Vec<u8> {
    let mut data = vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23];
    data.extend(127_u32.to_le_bytes());
    data
}

fn contiguous(address: usize) -> Vec<u8> {
    let mut data = vec![3, 1];
    data.extend((address as u64).to_le_bytes());
    data.extend([0; 8]);
    data
}

fn dataset(shape: &[u64], layout: Vec<u8>) -> Vec<u8> {
    header(&[
        (DATASPACE, dataspace(shape)),
        (DATATYPE, float32()),
        (LAYOUT, layout),
    ])
}

/// A root group of one dataset.
fn one(dataset: &[u8]) -> Vec<u8> {
    let at = SUPERBLOCK + header(&[link("x", 0)]).len();
    file(&[&header(&[link("x", at)]), dataset].concat())
}

fn string_array(name: &str, element: &[u8], count: usize) -> Message {
    let mut data = vec![1, 0];
    let datatype = [
        &[
            0x19, 1, 0, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0,
        ][..],
        &[0; 4],
    ]
    .concat();
    let space = dataspace(&[count as u64]);
    for part in [name.len() + 1, datatype.len(), space.len()] {
        data.extend((part as u16).to_le_bytes());
    }
    let mut padded = name.as_bytes().to_vec();
    padded.resize((name.len() + 1).next_multiple_of(8), 0);
    data.extend(padded);
    data.extend(datatype);
    data.extend(space);
    data.extend(element.repeat(count));
    (ATTRIBUTE, data)
}

#[test]
fn a_file_made_by_hand_is_read() {
    // What the attacks below change is otherwise right.
    let weights = open(one(&dataset(&[2], contiguous(SUPERBLOCK)))).unwrap();
    assert_eq!(weights.tensor("x").unwrap().shape(), [2]);
}

#[test]
fn a_group_in_itself_is_refused() {
    let error = hdf5_error(file(&header(&[link("again", SUPERBLOCK)])));
    assert!(matches!(error, Hdf5Error::Loop { path } if path == "again"));
}

#[test]
fn groups_within_groups_without_end_are_refused() {
    let len = header(&[link("g", 0)]).len();
    let groups: Vec<u8> = (1..=100)
        .flat_map(|i| header(&[link("g", SUPERBLOCK + i * len)]))
        .collect();
    assert!(matches!(hdf5_error(file(&groups)), Hdf5Error::Depth { .. }));
}

#[test]
fn a_header_that_goes_on_in_itself_is_refused() {
    let place = |address: usize, len: usize| {
        let numbers = [address as u64, len as u64];
        (
            CONTINUATION,
            numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
        )
    };
    let len = header(&[place(0, 0)]).len() - 16;
    let error = hdf5_error(file(&header(&[place(SUPERBLOCK + 16, len)])));
    assert!(matches!(error, Hdf5Error::Damaged { .. }));
}

#[test]
fn more_elements_than_the_file_has_bytes_are_refused() {
    for shape in [
        &[1 << 40][..],
        &[u64::MAX],
        &[u64::MAX, u64::MAX],
        &[1 << 32, 1 << 32, 0, 1 << 32],
    ] {
        let error = hdf5_error(one(&dataset(shape, contiguous(SUPERBLOCK))));
        assert!(
            matches!(error, Hdf5Error::Damaged { .. } | Hdf5Error::Tensor { .. }),
            "{shape:?}: {error}"
        );
    }
    for address in [usize::MAX - 8, 1 << 40] {
        let error = hdf5_error(one(&dataset(&[2], contiguous(address))));
        assert!(matches!(error, Hdf5Error::Damaged { .. }), "{error}");
    }
    let error = hdf5_error(one(&dataset(&[2], contiguous(usize::MAX))));
    assert!(matches!(error, Hdf5Error::Unwritten { .. }));
}

#[test]
fn a_chunked_dataset_larger_than_its_file_is_refused_before_it_is_unpacked() {
    let mut layout = vec![3, 2, 2];
    layout.extend(u64::MAX.to_le_bytes());
    layout.extend([4_u32, 4].iter().flat_map(|n| n.to_le_bytes()));
    let error = hdf5_error(one(&dataset(&[1 << 33], layout.clone())));
    assert!(matches!(error, Hdf5Error::Bomb { .. }), "{error}");
    // Several of them add up.
    let set = dataset(&[3 << 19], layout);
    let links: Vec<Message> = (0..3)
        .map(|i| link(&i.to_string(), SUPERBLOCK + 200))
        .collect();
    let mut root = header(&links);
    root.resize(200, 0);
    let error = hdf5_error(file(&[root, set].concat()));
    assert!(matches!(error, Hdf5Error::Bomb { .. }), "{error}");
}

#[test]
fn an_old_layout_whose_size_overflows_is_no_panic() {
    let mut layout = vec![1, 4, 1, 0, 0, 0, 0, 0];
    layout.extend((SUPERBLOCK as u64).to_le_bytes());
    layout.extend([0xff; 16]);
    // The shape says what is there, not the product that wraps.
    open(one(&dataset(&[2], layout))).unwrap();
}

#[test]
fn strings_that_all_point_at_one_long_string_are_refused() {
    const LONG: usize = 1 << 20;
    let mut heap = b"GCOL\x01\0\0\0".to_vec();
    heap.extend((16 + 16 + LONG as u64).to_le_bytes());
    heap.extend([1, 0, 1, 0, 0, 0, 0, 0]);
    heap.extend((LONG as u64).to_le_bytes());
    heap.resize(heap.len() + LONG, b'a');
    let root = |address: usize| {
        let mut element = (LONG as u32).to_le_bytes().to_vec();
        element.extend((address as u64).to_le_bytes());
        element.extend(1_u32.to_le_bytes());
        header(&[string_array("layer_names", &element, 4000)])
    };
    let at = SUPERBLOCK + root(0).len();
    let error = hdf5_error(file(&[root(at), heap].concat())).to_string();
    assert!(error.contains("structure that repeats itself"), "{error}");
}

#[test]
fn entries_that_all_have_one_name_or_one_dataset_are_bounded() {
    // A symbol table with many nodes in its tree, all of them the same, all of whose entries are the same dataset.
    let table = |tree: usize, heap: usize| {
        let numbers = [tree as u64, heap as u64];
        header(&[(
            SYMBOL_TABLE,
            numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
        )])
    };
    let heap_at = SUPERBLOCK + table(0, 0).len();
    let name = [b'n'; 200];
    let mut heap = b"HEAP\0\0\0\0".to_vec();
    for number in [208, 1, heap_at as u64 + 32] {
        heap.extend(number.to_le_bytes());
    }
    heap.extend(name);
    heap.extend([0; 8]);
    let set_at = heap_at + heap.len();
    let set = dataset(&[2], contiguous(SUPERBLOCK));
    let node_at = set_at + set.len();
    let mut node = b"SNOD\x01\0".to_vec();
    node.extend(60_000_u16.to_le_bytes());
    for _ in 0..60_000 {
        node.extend([0; 8]);
        node.extend((set_at as u64).to_le_bytes());
        node.extend([0; 24]);
    }
    let tree_at = node_at + node.len();
    let mut tree = b"TREE\0\0".to_vec();
    tree.extend(60_000_u16.to_le_bytes());
    tree.extend([0xff; 16]);
    for _ in 0..60_000 {
        tree.extend([0; 8]);
        tree.extend((node_at as u64).to_le_bytes());
    }
    tree.extend([0; 8]);
    // Read to its end it would take hours.
    let error = hdf5_error(file(
        &[table(tree_at, heap_at), heap, set, node, tree].concat(),
    ))
    .to_string();
    assert!(error.contains("structure that repeats itself"), "{error}");
}

#[test]
fn a_header_of_nothing_but_padding_is_bounded() {
    let nothing: Vec<Message> = vec![(0, vec![]); 65_000];
    let error = open(file(&header(&nothing))).unwrap_err();
    assert!(
        matches!(
            error,
            ContentsError::Hdf5(_) | ContentsError::NoTensors { .. }
        ),
        "{error}"
    );
}

#[test]
fn names_that_are_empty_or_hold_a_zero_are_refused() {
    for name in ["", "a\0b"] {
        let error = hdf5_error(file(&header(&[link(name, SUPERBLOCK)])));
        assert!(matches!(error, Hdf5Error::Name { .. }), "{name:?}: {error}");
    }
}

#[test]
fn an_archive_without_its_weights_says_what_is_missing() {
    // The name of the member, in the archive and its directory, is another.
    let mut bytes = fixture("odd.keras");
    let name = b"model.weights.h5";
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(name) {
            bytes[at] = b'M';
        }
    }
    let error = open(bytes).unwrap_err();
    assert!(matches!(
        error,
        ContentsError::Keras(KerasError::Missing("model.weights.h5"))
    ));
}

#[test]
fn compressed_weights_much_longer_than_their_archive_are_refused() {
    let mut weights = fixture("flat.weights.h5");
    weights.resize(32 << 20, 0);
    let bytes = zip(&[
        Member::stored("metadata.json", b"{}"),
        Member::stored("config.json", b"{}"),
        Member::deflated("model.weights.h5", &weights),
    ]);
    let error = open(bytes).unwrap_err();
    assert!(
        matches!(error, ContentsError::Keras(KerasError::Bomb)),
        "{error}"
    );
}
