//! The network's input against Pillow's: tests/fixtures/preprocess, made by preprocess.py beside it.

use std::path::{Path, PathBuf};

use gradcam::low_level::picture::preprocess::{self, Fit};
use image::{Rgb, RgbImage};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preprocess")
}

/// An integer hash: <https://github.com/skeeto/hash-prospector>.
fn lowbias32(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// The picture of preprocess.py: slopes, noise and hard edges, by the formula in its docstring.
fn source(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0, 1, 2].map(|c| {
            let s = (x * (c + 2) + y * (5 - c)) % 510;
            let s = if s > 255 { 510 - s } else { s };
            let n = lowbias32((y * width + x) * 3 + c) >> 27;
            let v = (s * 7 / 8 + n).min(255) as u8;
            if (x / 8 + y / 8) % 4 == c { 255 - v } else { v }
        }))
    })
}

#[test]
fn the_centre_square_is_resized_exactly_as_pillow_does() {
    let json = std::fs::read(fixtures().join("preprocess.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let size = json["size"].as_u64().unwrap() as u32;
    for case in json["cases"].as_array().unwrap() {
        let number = |key: &str, i: usize| case[key][i].as_u64().unwrap() as u32;
        let picture = source(number("source", 0), number("source", 1));
        let sum: u64 = picture.as_raw().iter().map(|&v| u64::from(v)).sum();
        assert_eq!(Some(sum), case["sum"].as_u64(), "the source itself");

        let (seen, geometry) = preprocess::fit(&picture, Fit::Crop, size, size);
        let crop = [geometry.x, geometry.y, geometry.width].map(|v| v as u32);
        assert_eq!(crop, [0, 1, 2].map(|i| number("crop", i)));

        let file = case["file"].as_str().unwrap();
        let pillow = image::open(fixtures().join(file)).unwrap().into_rgb8();
        for (x, y, expected) in pillow.enumerate_pixels() {
            assert_eq!(seen.get_pixel(x, y), expected, "{file} at ({x}, {y})");
        }
    }
}
