//! Weights files that are cut off or damaged by chance: an error in words or honest data, never a
//! panic, never more memory than the file and 64 MiB beside it.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use gradcam::weights::{ContentsError, PickleError, SafetensorsError};

use crate::common::cuts::each_cut;
use crate::common::handmade::{fixture, npy, open, pickle_error, safetensors_of};
use crate::common::splitmix::Random;

fn fixtures() -> Vec<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<_> = ["npy", "npz", "torch", "pickled_arrays"]
        .iter()
        .flat_map(|folder| fs::read_dir(folders.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e != "json" && e != "safetensors")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 36);
    files
}

/// A small safetensors file with two tensors and metadata.
fn safetensors() -> Vec<u8> {
    let header = [
        r#"{"__metadata__":{"a":"b"},"#,
        r#""w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#,
        r#""b":{"dtype":"F16","shape":[2],"data_offsets":[16,20]}}"#,
    ]
    .concat();
    safetensors_of(&header, 20)
}

#[test]
fn a_file_cut_at_any_byte_is_an_error_that_says_so() {
    for path in fixtures() {
        let name = path.file_name().unwrap().display();
        let whole = fs::read(&path).unwrap();
        // Shorter than what tells the format.
        let prefix = if whole.starts_with(b"\x80") { 24 } else { 6 };
        // Of a cut archive only the end is looked at.
        let step = if whole.starts_with(b"PK") {
            whole.len().div_ceil(2000)
        } else {
            1
        };
        each_cut(whole.len(), step, |length| {
            let error = open(whole[..length].to_vec()).expect_err("cut").to_string();
            let told = error.contains("cut off") || error.contains("empty") || length < prefix;
            assert!(told, "{name} cut at {length}: {error}");
        });
    }
}

#[test]
fn a_safetensors_file_cut_at_any_byte_is_an_error() {
    let whole = safetensors();
    open(whole.clone()).unwrap();
    for length in 0..whole.len() {
        let error = open(whole[..length].to_vec()).unwrap_err().to_string();
        assert!(length < 9 || error.contains("cut off"), "{length}: {error}");
    }
    let mut longer = whole;
    longer.push(0);
    let error = open(longer).unwrap_err();
    assert!(matches!(
        error,
        ContentsError::Safetensors(SafetensorsError::Trailing(1))
    ));
}

#[test]
fn a_cut_says_how_much_is_missing() {
    let mut cut = fixture("tiny-p4.npy");
    cut.truncate(cut.len() - 1000);
    assert_eq!(pickle_error(cut), PickleError::Truncated { missing: 1000 });
    let mut cut = safetensors();
    cut.truncate(cut.len() - 7);
    let error = open(cut).unwrap_err().to_string();
    assert_eq!(
        error,
        "the file is cut off: 7 more bytes belong to it, copy or download it again"
    );
}

#[test]
fn random_damage_gives_an_error_or_data_but_no_panic() {
    let mut random = Random(1);
    let mut files: Vec<_> = fixtures()
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    files.push(safetensors());
    let mut errors = 0;
    for round in 0..6000 {
        let mut bytes = files[round % files.len()].clone();
        // Most damage near the ends, where the opcodes are; data are indifferent to it.
        let reach = if round % 3 == 0 {
            bytes.len()
        } else {
            bytes.len().min(600)
        };
        let from_end = round % 2 == 0;
        for _ in 0..=random.below(4) {
            let near = random.below(reach);
            let at = if from_end {
                bytes.len() - 1 - near
            } else {
                near
            };
            bytes[at] = random.below(256) as u8;
        }
        let copy = bytes.clone();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| open(bytes).is_err()));
        let shown = &copy[..copy.len().min(600)];
        errors += usize::from(outcome.unwrap_or_else(|_| panic!("round {round}: {shown:x?}")));
    }
    assert!(
        errors > 1000,
        "only {errors} errors: the damage misses what matters"
    );
}

#[test]
fn random_opcodes_behind_a_header_do_no_harm() {
    const LIKELY: &[u8] = b"(.012GIJKMNRTUXabcd}ehjl]qrst)u\x80\x85\x86\x87\x88\x89\x8a\x8cBC\x93\x94\x95\x96\x01\x02\n";
    let mut random = Random(2);
    for _ in 0..20_000 {
        let mut pickle = b"\x80\x04".to_vec();
        for _ in 0..random.below(60) {
            pickle.push(LIKELY[random.below(LIKELY.len())]);
        }
        let _ = open(npy("()", &pickle));
    }
}
