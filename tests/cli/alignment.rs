//! A red disc on a picture, and a network whose map is redness: where the heat lies must be where the disc is, to half a
//! pixel of the picture, however the picture met the network.

use image::{RgbImage, imageops};

use crate::harness::Folder;
use crate::redness::{disc, network, png};

/// The centre of what a 16-bit heat map shows.
fn centre_of(heat: &image::ImageBuffer<image::Luma<u16>, Vec<u16>>) -> [f64; 2] {
    let [mut sum, mut x, mut y] = [0.0; 3];
    for (column, row, pixel) in heat.enumerate_pixels() {
        let value = f64::from(pixel.0[0]);
        sum += value;
        x += value * (f64::from(column) + 0.5);
        y += value * (f64::from(row) + 0.5);
    }
    [x / sum, y / sum]
}

/// How far the heat of `file` lies from where it should, in pixels of the picture: by the picture written at the original's
/// size, and by the JSON's centre.
#[track_caller]
fn errors(
    folder: &Folder,
    file: &str,
    options: &str,
    size: (u32, u32),
    centre: [f64; 2],
) -> [f64; 2] {
    let line = format!(
        "{file} red.safetensors -q -c 0 --score logit --outputs heatmap16 --size original {options}"
    );
    let report = folder.json(&line).remove(0);
    let map = &report["classes"][0]["maps"][0];
    let heat = folder.read(map["files"]["heatmap16"].as_str().unwrap());
    let heat = image::load_from_memory(&heat).unwrap().into_luma16();
    assert_eq!(heat.dimensions(), size, "{line}");
    let told = [0, 1].map(|axis| map["centre"][axis].as_f64().unwrap());
    [centre_of(&heat), told].map(|found| (found[0] - centre[0]).hypot(found[1] - centre[1]))
}

#[track_caller]
fn within_half_a_pixel(what: &str, errors: [f64; 2]) {
    println!(
        "{what}: drawn {:.3}, told {:.3} pixels apart",
        errors[0], errors[1]
    );
    assert!(
        errors.iter().all(|&error| error <= 0.5),
        "{what}: {errors:?}"
    );
}

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.put("red.safetensors", &network());
    folder
}

#[test]
fn heat_lies_where_the_disc_is_in_every_fit_and_shape() {
    let folder = folder();
    for (name, size, centre, radius) in [
        ("square", (256, 256), [90.3, 171.8], 40.0),
        ("landscape", (401, 233), [151.7, 90.2], 34.0),
        ("portrait", (187, 333), [101.4, 201.6], 27.0),
        ("small", (40, 31), [18.2, 13.9], 7.0),
        ("large", (1501, 1001), [820.5, 333.4], 150.0),
    ] {
        folder.put("disc.png", &png(&disc(size, centre, radius)));
        for fit in ["crop", "squash", "pad", "tiles", "tiles --tiles 3"] {
            let errors = errors(&folder, "disc.png", &format!("--fit {fit}"), size, centre);
            within_half_a_pixel(&format!("{name}, {fit}"), errors);
        }
    }
}

#[test]
fn heat_lies_where_the_disc_is_on_long_pictures_in_tiles() {
    let folder = folder();
    for x in [60.0, 199.5, 333.3, 541.0] {
        let centre = [x, 70.4];
        folder.put("disc.png", &png(&disc((601, 150), centre, 30.0)));
        let errors = errors(&folder, "disc.png", "--fit tiles", (601, 150), centre);
        within_half_a_pixel(&format!("tiles, disc at {x}"), errors);
    }
}

/// The segment that says how a JPEG is turned.
fn orientation(orientation: u8) -> Vec<u8> {
    let mut exif =
        b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

#[test]
fn heat_lies_where_the_disc_is_on_pictures_that_their_exif_turns() {
    let folder = folder();
    let (size, centre) = ((321, 203), [120.6, 80.3]);
    let upright = disc(size, centre, 30.0);
    // As EXIF numbers what must be done to the stored picture: here its opposite.
    let stored: [fn(&RgbImage) -> RgbImage; 8] = [
        RgbImage::clone,
        imageops::flip_horizontal,
        imageops::rotate180,
        imageops::flip_vertical,
        |upright| imageops::flip_horizontal(&imageops::rotate90(upright)),
        imageops::rotate270,
        |upright| imageops::flip_horizontal(&imageops::rotate270(upright)),
        imageops::rotate90,
    ];
    for (number, stored) in (1..).zip(stored) {
        let mut jpeg = vec![];
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 98);
        stored(&upright).write_with_encoder(encoder).unwrap();
        jpeg.splice(2..2, orientation(number));
        folder.put("disc.jpg", &jpeg);
        for fit in ["crop", "squash", "pad", "tiles"] {
            let errors = errors(&folder, "disc.jpg", &format!("--fit {fit}"), size, centre);
            within_half_a_pixel(&format!("EXIF {number}, {fit}"), errors);
        }
    }
}
