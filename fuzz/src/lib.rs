//! What every target does with the bytes that a fuzzer makes up.
//!
//! From the repository's folder, with `cargo install cargo-fuzz` and a nightly compiler, or
//! `RUSTC_BOOTSTRAP=1` and the stable one:
//!
//! ```text
//! mkdir -p fuzz/corpus/torch
//! cargo fuzz run torch fuzz/corpus/torch fuzz/seeds/torch -- -max_total_time=120 -max_len=8192
//! ```
//!
//! A new format takes a target of three lines, its first bytes and a folder of seeds of a few
//! kilobytes.

use std::path::Path;

use gradcam::low_level::architectures;
use gradcam::low_level::labels::Labels;
use gradcam::weights::{self, Format, Weights};

/// Bytes that one byte of deflate unpacks to at most, rounded up.
const MAX_RATIO: usize = 1100;
/// Elements of a view that repeats its data at most.
const MAX_REPEATED: usize = 1 << 27;

/// Reads a file of weights, and every tensor in it.
///
/// # Panics
/// When what the reader promises does not hold.
pub fn read(bytes: &[u8], formats: &[Format]) {
    readable(bytes, formats);
}

/// The same for a format that describes the network, and makes it.
///
/// # Panics
/// When what the reader promises does not hold.
pub fn network(bytes: &[u8], formats: &[Format]) {
    let Some(weights) = readable(bytes, formats) else {
        return;
    };
    if let Ok(classifier) = architectures::recognise(&weights) {
        assert!(classifier.network.classes() > 0);
    }
}

fn readable(bytes: &[u8], formats: &[Format]) -> Option<Weights> {
    let length = bytes.len();
    let weights = weights::from_bytes(bytes.to_vec()).ok()?;
    // Another reader's file has a target of its own.
    if !formats.contains(&weights.format) {
        return None;
    }
    for (name, tensor) in &weights.tensors {
        // A tensor has no more elements than its bytes hold or unpack to, but where a view repeats them, within bounds.
        assert!(tensor.len() <= MAX_REPEATED.max(MAX_RATIO * length), "{name}");
        if tensor.len() > MAX_RATIO * length {
            continue;
        }
        let values = tensor.to_vec();
        let middle = values.len() / 2;
        let mut half = vec![0.0; values.len() - middle];
        tensor.read(middle, &mut half);
        let same = half
            .iter()
            .zip(&values[middle..])
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}: read in one piece and in two");
        if let Some(bytes) = tensor.f32_bytes() {
            assert_eq!(bytes.len(), 4 * values.len(), "{name}");
        }
        tensor.release(0, tensor.len());
    }
    Some(weights)
}

/// Reads a file of class names, for networks of as many classes as it may have.
///
/// # Panics
/// When what the reader promises does not hold.
pub fn labels(bytes: &[u8]) {
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    for count in [1, 2, lines, lines + 1] {
        let Ok(labels) = Labels::from_bytes(bytes, count, Path::new("labels")) else {
            continue;
        };
        assert_eq!(labels.len(), count);
        for label in (0..count).filter_map(|class| labels.get(class)) {
            let shown = label.to_string();
            assert!(!shown.is_empty() && !shown.contains(char::is_control));
            assert!(!label.name().is_empty());
        }
    }
}
