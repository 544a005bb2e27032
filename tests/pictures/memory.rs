//! What decoding costs: three bytes a pixel where the program reads rows itself, and nothing for what a file claims.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gradcam::low_level::picture;

use ::image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};

use crate::common::memory;

const SIDE: u32 = 1500;

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Bytes a pixel at the worst moment of decoding.
fn cost(bytes: &[u8], name: &str) -> f64 {
    let (picture, peak) = memory::peak(|| picture::decode(bytes, Path::new(name)).unwrap());
    assert_eq!(picture.rgb.dimensions(), (SIDE, SIDE), "{name}");
    peak as f64 / f64::from(SIDE * SIDE)
}

#[test]
fn no_format_holds_a_picture_twice() {
    let rgb: DynamicImage = RgbImage::new(SIDE, SIDE).into();
    let rgba: DynamicImage = RgbaImage::new(SIDE, SIDE).into();
    for (name, picture, format, most) in [
        ("rgb.png", &rgb, ImageFormat::Png, 3.2),
        ("rgba.png", &rgba, ImageFormat::Png, 3.2),
        ("rgb.jpg", &rgb, ImageFormat::Jpeg, 3.2),
        ("rgb.gif", &rgba, ImageFormat::Gif, 3.2),
        ("rgb.tif", &rgb, ImageFormat::Tiff, 3.2),
        ("rgb.bmp", &rgb, ImageFormat::Bmp, 3.2),
        ("rgba.bmp", &rgba, ImageFormat::Bmp, 4.2),
        ("rgba.tga", &rgba, ImageFormat::Tga, 4.2),
        ("rgba.qoi", &rgba, ImageFormat::Qoi, 4.2),
        ("rgb.ppm", &rgb, ImageFormat::Pnm, 3.2),
        // The decoder has a frame of its own.
        ("rgb.webp", &rgb, ImageFormat::WebP, 7.5),
    ] {
        let cost = cost(&encoded(picture, format), name);
        assert!(
            cost <= most,
            "{name}: {cost:.2} bytes a pixel, allowed {most}"
        );
    }
}

#[test]
fn a_picture_on_its_side_is_turned_without_a_second_copy() {
    let rgb: DynamicImage = RgbImage::new(SIDE, SIDE).into();
    let jpeg = encoded(&rgb, ImageFormat::Jpeg);
    for orientation in 5..=8 {
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let sideways = [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat();
        let cost = cost(&sideways, "sideways.jpg");
        assert!(
            cost <= 3.4,
            "orientation {orientation}: {cost:.2} bytes a pixel"
        );
    }
}

/// A PNG with a chunk after its header.
fn with_chunk(png: &[u8], kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    let sum = crc.sum().to_be_bytes();
    [&png[..33], &length, &kind, data, &sum, &png[33..]].concat()
}

#[test]
fn profiles_and_texts_that_unpack_to_a_hundred_megabytes_are_not_unpacked() {
    let mut packer = ZlibEncoder::new(vec![], Compression::fast());
    for _ in 0..12_800 {
        packer.write_all(&[0; 8192]).unwrap();
    }
    let packed = packer.finish().unwrap();
    let small = encoded(&RgbImage::new(8, 8).into(), ImageFormat::Png);
    for (kind, head) in [
        (b"iCCP", &b"profile\0\0"[..]),
        (b"zTXt", b"Comment\0\0"),
        (b"iTXt", b"Comment\0\x01\0\0\0"),
    ] {
        let bytes = with_chunk(&small, *kind, &[head, &packed].concat());
        let path = Path::new("bomb.png");
        let (picture, peak) = memory::peak(|| picture::decode(&bytes, path).unwrap());
        assert_eq!(picture.rgb.dimensions(), (8, 8));
        assert!(peak < 4 << 20, "{}: {peak} bytes", kind.escape_ascii());
    }
}

#[test]
fn a_file_of_34_bytes_costs_nothing_like_its_announced_size() {
    // VP8L: a signature, and 14 bits of width and height less 1.
    let mut webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f".to_vec();
    webp.extend((0x3ffe_u32 | 0x3ffe << 14).to_le_bytes());
    webp.extend([0; 9]);
    let (result, peak) = memory::peak(|| picture::decode(&webp, Path::new("bomb.webp")));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("16383x16383"), "{message}");
    assert!(peak < 1 << 20, "{peak} bytes");
}
