//! Files cut off or damaged by chance, and such as announce or repeat more than they hold.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use super::{network, refused, small};
use crate::common::onnx_writer::{
    Model, attribute_int, attribute_ints, bytes, floats, int, varint,
};
use crate::common::splitmix::Random;

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        })
        .filter(|(name, _)| !name.contains("external"))
        .collect();
    files.sort();
    assert!(files.len() >= 10);
    files
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let whole = small().bytes();
    for length in 0..whole.len() {
        let error = network(whole[..length].to_vec()).expect_err("cut");
        let told = [
            "cut off",
            "empty",
            "damaged",
            "no graph",
            "no opset",
            "known here",
            "text file",
        ];
        assert!(
            told.iter().any(|part| error.contains(part)),
            "{length}: {error}"
        );
    }
    // Where the file of an exporter ends within metadata, all that counts is there.
    let (name, whole) = files().remove(0);
    for length in (0..whole.len()).step_by(7) {
        let outcome = network(whole[..length].to_vec());
        assert!(
            outcome.is_err() || length + 64 > whole.len(),
            "{name} at {length}"
        );
    }
}

#[test]
fn random_damage_gives_an_error_or_a_network_but_no_panic() {
    let mut random = Random(1);
    let mut files: Vec<Vec<u8>> = files().into_iter().map(|(_, bytes)| bytes).collect();
    files.push(small().bytes());
    let mut errors = 0;
    for round in 0..6000 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = match round % 3 {
                0 => bytes[at] ^ 1 << random.below(8),
                1 => random.below(256) as u8,
                _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            };
        }
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| network(bytes).is_err()));
        errors += usize::from(outcome.unwrap_or_else(|_| panic!("round {round}")));
    }
    assert!(
        errors > 600,
        "only {errors} errors: the damage misses what matters"
    );
}

#[test]
fn sizes_from_nowhere_are_refused() {
    let huge = |shape: &[i64]| {
        let model = Model::new(&[1, 3, 8, 8]).constant(floats("w", shape, &[0.0; 4]));
        refused(&model.node("Conv", "conv", &["x", "w"], &[]))
    };
    for shape in [
        &[i64::MAX, i64::MAX][..],
        &[1_000_000_000_000],
        &[0, i64::MAX, 3],
        &[-4],
    ] {
        let error = huge(shape);
        assert!(error.contains("\"w\""), "{error}");
    }
    assert!(huge(&[1; 100]).contains("more nodes"));
    // A field that announces more than the file has.
    let mut file = small().bytes();
    file.extend([varint(14 << 3 | 2), varint(u64::MAX >> 1)].concat());
    assert!(network(file).unwrap_err().contains("cut off"));
    let open_size = Model {
        input: vec![-1, 3, 1 << 40, 8],
        ..small()
    };
    assert!(refused(&open_size).contains("\"x\""));
    for (name, value) in [
        ("pads", [i64::MAX; 4].as_slice()),
        ("strides", &[0, 1]),
        ("dilations", &[-1, 1]),
    ] {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[1, 3, 1, 1], &[1.0; 3]))
            .node("Conv", "conv", &["x", "w"], &[attribute_ints(name, value)]);
        let error = refused(&model);
        assert!(
            error.contains("\"conv\"") && error.contains(name),
            "{error}"
        );
    }
    let group = Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[1, 3, 1, 1], &[1.0; 3]))
        .node(
            "Conv",
            "conv",
            &["x", "w"],
            &[attribute_int("group", i64::MAX)],
        );
    assert!(refused(&group).contains("conv"));
    let wide = Model::new(&[1, 3, 4096, 4096])
        .constant(floats("w", &[1024, 3, 1, 1], &[1.0; 3072]))
        .node("Conv", "conv", &["x", "w"], &[]);
    assert!(refused(&wide).contains("more than any adapter"));
}

#[test]
fn many_small_things_do_not_take_much_memory() {
    let million = |part: &[u8]| {
        let graph: Vec<u8> = part
            .iter()
            .copied()
            .cycle()
            .take(part.len() << 20)
            .collect();
        [int(1, 8), bytes(7, &graph), bytes(8, &int(2, 17))].concat()
    };
    let parts = [
        bytes(1, &[]),
        bytes(1, &bytes(5, &[])),
        bytes(1, &bytes(1, b"")),
        bytes(5, &[]),
        bytes(5, &[int(1, 0), int(2, 1)].concat()),
        bytes(5, &[int(2, 7), bytes(9, &[0; 8])].concat()),
        bytes(11, &[]),
        bytes(12, &[]),
    ];
    for part in parts {
        let error = network(million(&part)).unwrap_err();
        assert!(
            error.contains("more nodes") || error.contains("holds no tensor"),
            "{error}"
        );
    }
    let numbers = vec![1; 30 << 20];
    let attribute = [bytes(1, b"n"), bytes(8, &numbers)].concat();
    let file = [int(1, 8), bytes(7, &bytes(1, &bytes(5, &attribute)))].concat();
    assert!(network(file).is_err());
}
