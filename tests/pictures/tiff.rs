//! TIFFs of measurements: what is said of how they were read, and what is refused. Their pixels: tests/pictures/files.rs.

use std::path::{Path, PathBuf};

use gradcam::low_level::picture;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pictures")
        .join(name)
}

/// The notes of a picture, one a line.
fn notes(name: &str) -> String {
    picture::open(&fixture(name)).unwrap().notes.join("\n")
}

#[test]
fn the_limits_to_which_numbers_were_scaled_are_told() {
    for (name, parts) in [
        (
            "tiff_float32_wide.tif",
            &[
                "32-bit float",
                "-120, the least, is black",
                "580, the largest, white",
            ][..],
        ),
        ("tiff_float32_faint.tif", &["32-bit float", "is black"]),
        ("tiff_float64_unit.tif", &["64-bit float", "0 to 1"]),
        (
            "tiff_int16.tif",
            &["16-bit signed", "-1024, the least", "2976, the largest"],
        ),
        (
            "tiff_uint32.tif",
            &["32-bit unsigned", "7, the least", "9000007, the largest"],
        ),
        (
            "tiff_uint16_of_12_bits.tif",
            &["16-bit unsigned", "50, the least", "4050, the largest"],
        ),
        (
            "tiff_float32_nan.tif",
            &["4 of its values are infinite or no numbers"],
        ),
        (
            "tiff_float32_rgb_wide.tif",
            &["32-bit float", "300, the largest"],
        ),
    ] {
        let notes = notes(name);
        for part in parts {
            assert!(
                notes.contains(part),
                "{name}: `{part}` is missing in: {notes}"
            );
        }
    }
}

#[test]
fn the_first_of_several_pictures_is_said_to_be_the_first() {
    assert!(notes("tiff_pages.tif").contains("several pictures; the first was read"));
}

#[test]
fn what_is_read_as_the_format_says_has_no_note() {
    for name in [
        "tiff_uint16.tif",
        "tiff_grey_12_bits.tif",
        "tiff_palette.tif",
        "tiff_multiplied.tif",
        "tiff_big.tif",
        "tiff_planes.tif",
    ] {
        assert_eq!(notes(name), "", "{name}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (name, kind) in [
        (
            "channels.tif",
            "5 channels without a word about their colours",
        ),
        ("complex.tif", "complex numbers"),
        ("lzma.tif", "LZMA"),
        ("webp.tif", "WebP"),
        ("jpeg2000.tif", "JPEG 2000"),
        ("lerc.tif", "LERC"),
        ("fax_group3.tif", "fax compression of group 3"),
        ("fax_lines.tif", "fax compression of single lines"),
        ("lab.tif", "L*a*b*"),
    ] {
        let error = picture::open(&fixture("tiff_refused").join(name)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("this kind of TIFF is not read"),
            "{message}"
        );
        assert!(message.contains(kind), "{name}: {message}");
    }
}

#[test]
fn tiles_far_larger_than_their_picture_are_refused_before_they_are_read() {
    let mut bytes = std::fs::read(fixture("tiff_tiles.tif")).unwrap();
    // The tile's width, as a LONG.
    let entry = bytes
        .windows(4)
        .position(|e| e == [0x42, 0x01, 4, 0])
        .unwrap();
    bytes[entry + 2] = 4;
    bytes[entry + 8..entry + 12].copy_from_slice(&20_000_000u32.to_le_bytes());
    let message = picture::decode(&bytes, Path::new("tiles.tif"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("announces more than a TIFF"), "{message}");
}
