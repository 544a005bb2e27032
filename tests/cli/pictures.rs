//! Picture files that cannot be explained, and unusual ones that can.

use crate::harness::{Folder, fixture};

/// What comes out of a pipe has no folder of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_picture_out_of_a_pipe_leaves_its_files_in_the_working_directory() {
    use std::fs::File;

    use crate::harness::Run;

    let folder = Folder::new();
    let line = "tiny.npy -c 1 --outputs heatmap";
    let options: Vec<&str> = line.split(' ').collect();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let picture = folder.read("cat.png");
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &picture));
    let arguments = [&["/dev/stdin"], &options[..]].concat();
    let run = Run::of(folder.command(&arguments).stdin(reader));
    run.exits(0).notes_nothing();
    writing.join().unwrap().unwrap();

    // A file behind the same name is no file in /dev either.
    let file = File::open(folder.path().join("cat.png")).unwrap();
    let arguments = [&["/proc/self/fd/0"], &options[..]].concat();
    let run = Run::of(folder.command(&arguments).stdin(file));
    run.exits(0).notes_nothing();

    std::fs::create_dir(folder.path().join("pipes")).unwrap();
    let pipe = folder.path().join("pipes/photo");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let picture = folder.read("cat.png");
    let writing = std::thread::spawn(move || std::fs::write(pipe, picture));
    folder.prints(&format!("pipes/photo {line}"));
    writing.join().unwrap().unwrap();
    std::fs::remove_file(folder.path().join("pipes/photo")).unwrap();

    let names = ["fd0", "photo", "stdin"];
    assert_eq!(
        folder.names(),
        names.map(|name| format!("{name}_0_1_class_1_0.797_heatmap.png"))
    );
}

#[track_caller]
fn assert_refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let folder = Folder::new();
    folder.put(name, bytes);
    let parts = [&[name][..], parts].concat();
    folder.refuses(&format!("{name} tiny.npy"), 1, &parts);
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    let picture = image::RgbImage::new(width, height);
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

#[test]
fn a_truncated_picture_is_called_truncated() {
    for name in ["rgb.png", "rgb.jpg", "lossy.webp", "rgb.bmp", "lzw.tif"] {
        let whole = fixture(&format!("pictures/{name}"));
        assert_refused(
            name,
            &whole[..whole.len() * 3 / 4],
            &["truncated", "copy it again"],
        );
    }
}

#[test]
fn an_empty_picture_is_called_empty() {
    assert_refused("photo.jpg", b"", &["is empty (0 bytes)"]);
}

#[test]
fn a_single_pixel_is_too_small() {
    assert_refused("pixel.png", &png(1, 1), &["1x1", "too small"]);
}

#[test]
fn thirty_thousand_squared_pixels_are_too_large_whatever_the_format() {
    const HUGE: u32 = 30_000;
    // No checksum guards the size in these two.
    let mut bmp = fixture("pictures/rgb.bmp");
    bmp[18..22].copy_from_slice(&HUGE.to_le_bytes());
    bmp[22..26].copy_from_slice(&HUGE.to_le_bytes());
    assert_refused("huge.bmp", &bmp, &["30000x30000", "limit", "scale it down"]);
    let mut jpeg = fixture("pictures/rgb.jpg");
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&(HUGE as u16).to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&(HUGE as u16).to_be_bytes());
    assert_refused(
        "huge.jpg",
        &jpeg,
        &["30000x30000", "limit", "scale it down"],
    );
    let ppm = format!("P6 {HUGE} {HUGE} 255\n");
    assert_refused("huge.ppm", ppm.as_bytes(), &["30000x30000", "limit"]);
}

#[test]
fn a_web_page_or_a_text_named_like_a_picture_is_called_what_it_is() {
    let page = b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>";
    assert_refused(
        "photo.jpg",
        page,
        &["an HTML page", "fetch the file itself"],
    );
    assert_refused("photo.png", b"dear diary", &["text"]);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    assert_refused("photo.webp", pointer, &["Git LFS pointer", "git lfs pull"]);
    assert_refused(
        "photo.bmp",
        &[0xa5; 300],
        &["not a picture of a known format"],
    );
}

#[test]
fn weights_where_a_picture_was_meant_are_told_so() {
    let folder = Folder::new();
    folder.put("net.png", &folder.read("tiny.npy"));
    folder.refuses("net.png -w tiny.npy", 2, &["two weights files"]);
    folder.refuses(
        "cat.png -w cat.png",
        1,
        &["cat.png", "a PNG picture, not weights"],
    );
}

#[test]
fn unusual_pictures_go_through_the_whole_command_as_their_plain_copies_do() {
    let names = [
        "cmyk.tif",
        "cmyk.jpg",
        "rgb_16bit.png",
        "grey_16bit.png",
        "palette.png",
        "palette_transparent.png",
        "grey.png",
        "grey_alpha.png",
        "rgba.png",
        "animated.gif",
        "animated.png",
        "animated.webp",
        "orientation_6.png",
        "orientation_6.tif",
        "orientation_6.jpg",
    ];
    let folder = Folder::new();
    for (i, name) in names.iter().enumerate() {
        let extension = name.rsplit('.').next().unwrap();
        folder.put(
            format!("given/{i:02}.{extension}"),
            &fixture(&format!("pictures/{name}")),
        );
        // What Pillow reads in it, as 8-bit RGB, upright.
        folder.put(
            format!("plain/{i:02}.png"),
            &fixture(&format!("pictures/{name}.png")),
        );
    }
    let run = |pictures: &str, rest: &str| {
        folder.json(&format!("{pictures} tiny.npy 5 --outputs heatmap -o {pictures}-{rest} -q --format png --size {rest}"))
    };
    for size in ["model", "original"] {
        let (given, plain) = (run("given", size), run("plain", size));
        assert_eq!(given.len(), names.len());
        for ((name, given), plain) in names.iter().zip(&given).zip(&plain) {
            let lossy = name.contains("jpg");
            for (given, plain) in given["classes"]
                .as_array()
                .unwrap()
                .iter()
                .zip(plain["classes"].as_array().unwrap())
            {
                let value = |class: &serde_json::Value| class["probability"].as_f64().unwrap();
                // A JPEG decoder may round each level differently; the others have no choice.
                let bound = if lossy { 0.02 } else { 0.0 };
                assert!(
                    (value(given) - value(plain)).abs() <= bound,
                    "{name}: {given} {plain}"
                );
                let picture = |class: &serde_json::Value| {
                    let path = class["maps"][0]["files"]["heatmap"].as_str().unwrap();
                    folder.picture(path)
                };
                assert_eq!(
                    picture(given).dimensions(),
                    picture(plain).dimensions(),
                    "{name}"
                );
                assert!(lossy || picture(given) == picture(plain), "{name}");
            }
        }
    }
}
