//! Picture files as they are met: every kind against what Pillow reads in it, and hostile ones against the error they must give.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use gradcam::low_level::draw::colormap::Colormap;
use gradcam::low_level::picture::{self, Depth, MAX_PIXELS, PictureError};
use tempfile::TempDir;

use ::image::{ImageFormat, Rgb, RgbImage};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

/// What `name` must decode to: the plain 8-bit RGB PNG that make.py put beside it.
fn expected(name: &str) -> RgbImage {
    ::image::open(fixtures().join(format!("{name}.png")))
        .unwrap_or_else(|e| panic!("{name}.png: {e}"))
        .into_rgb8()
}

/// Every picture of make.py that has an expectation.
fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            fixtures()
                .join(format!("{name}.png"))
                .exists()
                .then_some(name)
        })
        .collect();
    names.sort();
    assert!(names.len() > 40, "make.py's pictures");
    names
}

/// The largest difference of any channel, in levels.
fn difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[track_caller]
fn assert_reads(name: &str) {
    let picture = picture::open(&fixtures().join(name)).unwrap();
    let worst = difference(&picture.rgb, &expected(name));
    assert_eq!(worst, 0, "{name}: levels from Pillow's");
}

/// A folder of its own for the files of one test; gone with it.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// The message for a file that must be refused; it must name the file.
#[track_caller]
fn refusal(name: &str, bytes: &[u8]) -> String {
    let files = Files::new();
    let message = picture::open(&files.put(name, bytes))
        .expect_err("must be refused")
        .to_string();
    assert!(message.contains(name), "names the file: {message}");
    message
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
}

#[test]
fn every_kind_of_picture_is_read_as_pillow_reads_it() {
    for name in names() {
        assert_reads(&name);
    }
}

#[test]
fn all_eight_orientations_turn_the_picture_upright() {
    // Stored 24 x 16, red growing to the right and green downwards; the last four lie on their side.
    let size = |turn: u32| if turn < 5 { (24, 16) } else { (16, 24) };
    let corner = [
        [0, 0],
        [255, 0],
        [255, 255],
        [0, 255],
        [0, 0],
        [0, 255],
        [255, 255],
        [255, 0],
    ];
    for (turn, [red, green]) in (1..).zip(corner) {
        let path = fixtures().join(format!("orientation_{turn}.jpg"));
        let picture = picture::open(&path).unwrap().rgb;
        assert_eq!(picture.dimensions(), size(turn), "orientation {turn}");
        let Rgb([r, g, _]) = *picture.get_pixel(0, 0);
        assert!(
            r.abs_diff(red) < 30 && g.abs_diff(green) < 30,
            "orientation {turn}: ({r}, {g})"
        );
    }
}

#[test]
fn transparency_leaves_the_stored_colour() {
    // Alpha runs from 0 to 255 over these; black or white shining through would show.
    for name in ["rgba.png", "rgba_16bit.png", "rgba.webp", "grey_alpha.png"] {
        assert_reads(name);
    }
}

#[test]
fn the_content_decides_and_not_the_name() {
    let files = Files::new();
    let png = fs::read(fixtures().join("rgb.png")).unwrap();
    for name in ["photo.jpg", "photo", "photo.txt", "photo.tga"] {
        let picture = picture::open(&files.put(name, &png)).unwrap();
        assert_eq!(picture.format, Some(ImageFormat::Png), "{name}");
        assert_eq!(picture.rgb, expected("rgb.png"));
    }
}

#[test]
fn a_picture_cut_off_anywhere_is_an_error_or_whole_and_never_half() {
    for name in names() {
        let bytes = fs::read(fixtures().join(&name)).unwrap();
        let whole = picture::decode(&bytes, Path::new(&name)).unwrap();
        for length in 0..bytes.len() {
            if let Ok(picture) = picture::decode(&bytes[..length], Path::new(&name)) {
                assert!(picture.rgb == whole.rgb, "{name} cut to {length} bytes");
            }
        }
    }
}

#[test]
fn a_cut_off_picture_is_called_truncated() {
    for name in ["rgb.png", "rgb.jpg", "lossy.webp", "rgb.bmp", "lzw.tif"] {
        let bytes = fs::read(fixtures().join(name)).unwrap();
        let message = refusal(name, &bytes[..bytes.len() * 3 / 4]);
        assert_says(&message, &["truncated", "copy it again"]);
    }
}

#[test]
fn a_download_that_ends_in_zeros_is_truncated() {
    let mut bytes = fs::read(fixtures().join("rgb.jpg")).unwrap();
    let length = bytes.len();
    bytes[length * 3 / 4..].fill(0);
    assert_says(&refusal("photo.jpg", &bytes), &["truncated"]);
}

#[test]
fn changed_bytes_are_an_error_or_a_picture_and_never_a_panic() {
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for name in names() {
        let bytes = fs::read(fixtures().join(&name)).unwrap();
        for _ in 0..200 {
            let mut changed = bytes.clone();
            for _ in 0..=random(3) {
                changed[random(bytes.len())] = [0, 1, 127, 128, 255][random(5)];
            }
            let _ = picture::decode(&changed, Path::new(&name));
        }
    }
}

#[test]
fn an_empty_file_is_called_empty() {
    assert_says(&refusal("photo.png", b""), &["is empty", "again"]);
}

#[test]
fn a_single_pixel_is_too_small_to_explain() {
    let pixel = picture::encode(&RgbImage::new(1, 1), ImageFormat::Png).unwrap();
    assert_says(&refusal("pixel.png", &pixel), &["1x1", "it takes 2x2"]);
    let line = picture::encode(&RgbImage::new(500, 1), ImageFormat::Png).unwrap();
    assert_says(&refusal("line.png", &line), &["500x1", "it takes 2x2"]);

    let files = Files::new();
    let smallest = picture::encode(&RgbImage::new(2, 2), ImageFormat::Png).unwrap();
    assert!(picture::open(&files.put("smallest.png", &smallest)).is_ok());
}

#[test]
fn an_html_page_a_pointer_and_text_are_named_for_what_they_seem() {
    let page = b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>";
    let message = refusal("photo.jpg", page);
    assert_says(&message, &["an HTML page", "fetch the file itself"]);

    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    assert_says(
        &refusal("photo.png", pointer),
        &["a Git LFS pointer", "git lfs pull"],
    );
    assert_says(
        &refusal("photo.png", b"a list of things\n"),
        &["seems to be text"],
    );
    assert_says(
        &refusal("photo.png", &[7; 100]),
        &["not a picture", "expected PNG, JPEG"],
    );
}

#[test]
fn pictures_of_formats_that_are_not_read_are_named_with_the_way_out() {
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0";
    assert_says(
        &refusal("photo.avif", avif),
        &["an AVIF picture", "convert it"],
    );
    let heic = b"\0\0\0\x1cftypheic\0\0\0\0";
    assert_says(
        &refusal("IMG_1.jpg", heic),
        &["a HEIF picture", "convert it"],
    );
    assert_says(
        &refusal("drawing.svg", b"<svg/>"),
        &["an SVG drawing", "convert it"],
    );
}

/// A PNG of 8-bit grey that announces a size and holds next to no data.
fn png_announcing(width: u32, height: u32) -> Vec<u8> {
    let mut png = picture::encode(&RgbImage::new(2, 2), ImageFormat::Png).unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            if c & 1 == 1 {
                0xedb8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        })
    })
}

#[test]
fn thirty_thousand_squared_pixels_are_refused_with_their_size_and_the_limit() {
    let message = refusal("huge.png", &png_announcing(30_000, 30_000));
    assert_says(
        &message,
        &[
            "30000x30000",
            "the limit of 128 million",
            "--max-pixels 900",
        ],
    );
    let message = refusal("huge.png", &png_announcing(0x7fff_ffff, 0x7fff_ffff));
    assert_says(&message, &["the limit of 128 million; scale it down first"]);

    let mut bmp = fs::read(fixtures().join("rgb.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    assert_says(&refusal("huge.bmp", &bmp), &["30000x30000"]);

    let mut gif = fs::read(fixtures().join("rgb.gif")).unwrap();
    gif[6..10].copy_from_slice(&[0x30, 0x75, 0x30, 0x75]);
    assert_says(&refusal("huge.gif", &gif), &["30000x30000"]);

    let mut jpeg = fs::read(fixtures().join("rgb.jpg")).unwrap();
    let sof = jpeg.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
    assert_says(&refusal("huge.jpg", &jpeg), &["30000x30000"]);
}

#[test]
fn large_photographs_are_within_the_limit() {
    // No data follows, so getting as far as missing it means that the size was accepted.
    for (width, height) in [(12_000, 9_000), (11_648, 8_736)] {
        assert!(u64::from(width) * u64::from(height) <= MAX_PIXELS);
        let message = refusal("large.png", &png_announcing(width, height));
        assert_says(&message, &["PNG picture"]);
    }
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let error = picture::open(Path::new("/nowhere/photo.jpg")).unwrap_err();
    assert!(matches!(error, PictureError::NotFound { .. }));
    assert_says(&error.to_string(), &["no such file: /nowhere/photo.jpg"]);
}

#[test]
fn more_pixels_are_read_when_they_are_asked_for_and_fewer_are_not() {
    let path = fixtures().join("rgb.png");
    let message = picture::open_up_to(&path, 383).unwrap_err().to_string();
    assert_says(&message, &["24x16", "--max-pixels"]);
    assert!(picture::open_up_to(&path, 384).is_ok());
}

#[test]
fn a_png_without_its_end_marker_is_read_with_a_note() {
    let bytes = fs::read(fixtures().join("rgb.png")).unwrap();
    let picture = picture::decode(&bytes[..bytes.len() - 12], Path::new("cut.png")).unwrap();
    assert!(picture.rgb == expected("rgb.png"));
    assert_says(&picture.notes.join(" "), &["IEND", "all pixels are there"]);
    let whole = picture::decode(&bytes, Path::new("whole.png")).unwrap();
    assert!(whole.notes.is_empty());
}

#[test]
fn a_folder_is_not_a_picture() {
    let files = Files::new();
    let error = picture::open(files.0.path()).unwrap_err();
    assert!(matches!(error, PictureError::Folder { .. }));
}

#[test]
fn a_folder_stands_for_its_pictures_sorted_without_hidden_files_and_subfolders() {
    let files = Files::new();
    for name in [
        "b.JPG",
        "a.png",
        ".hidden.png",
        "notes.txt",
        "c.webp",
        "d.avif",
    ] {
        files.put(name, b"unread");
    }
    fs::create_dir(files.0.path().join("folder.png")).unwrap();
    let listed = picture::list(files.0.path(), Depth::One, |_| false).unwrap();
    let in_folder = |name| files.0.path().join(name);
    assert_eq!(
        listed.pictures,
        [in_folder("a.png"), in_folder("b.JPG"), in_folder("c.webp")]
    );
    assert_eq!(
        listed.left_out.to_string(),
        "1 file left out: 1 .avif, which gradcam cannot read"
    );
}

#[test]
fn a_file_stands_for_itself_whatever_its_extension_and_must_be_there() {
    let files = Files::new();
    let single = files.put("single.txt", b"unread");
    assert_eq!(
        picture::list(&single, Depth::One, |_| true)
            .unwrap()
            .pictures,
        std::slice::from_ref(&single)
    );
    fs::remove_file(&single).unwrap();
    assert!(matches!(
        picture::list(&single, Depth::One, |_| true),
        Err(PictureError::NotFound { .. })
    ));
}

#[test]
fn a_folder_without_pictures_is_an_error_that_names_it() {
    let files = Files::new();
    files.put("notes.txt", b"");
    let folder = files.0.path().to_owned();
    let message = picture::list(&folder, Depth::One, |_| false)
        .unwrap_err()
        .to_string();
    assert_says(&message, &["no pictures", &folder.display().to_string()]);
}

#[test]
fn the_colour_maps_are_matplotlibs() {
    let file = fs::read_to_string(fixtures().join("colormaps.txt")).unwrap();
    let maps = [
        ("jet", Colormap::Jet),
        ("viridis", Colormap::Viridis),
        ("inferno", Colormap::Inferno),
        ("magma", Colormap::Magma),
        ("cividis", Colormap::Cividis),
        ("turbo", Colormap::Turbo),
        ("bwr", Colormap::Bwr),
    ];
    for (line, (name, map)) in file.lines().zip(maps) {
        let mut expected = name.to_owned() + " ";
        for byte in map.table().as_flattened() {
            write!(expected, "{byte:02x}").unwrap();
        }
        assert_eq!(line, expected);
    }
    assert_eq!(file.lines().count(), maps.len());
}
