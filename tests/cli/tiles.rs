//! Overlapping squares over long and large pictures.

use crate::harness::{Folder, fixture, json_lines};
use crate::redness::{disc, network, png};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.put("red.safetensors", &network());
    folder
}

#[test]
fn of_a_square_picture_tiles_are_the_crop() {
    let folder = folder();
    let methods =
        "-m gradcam,fullgrad,ablationcam --channels 2 -m gradient -m occlusion --patch 112";
    let files = |fit: &str| {
        let line = format!(
            "cat.png tiny.npy -q -c 1 {methods} --outputs raw,heatmap,gradcam,guided_bprop --fit {fit} -o {fit}"
        );
        let report = folder.json(&line).remove(0);
        let classes = report["classes"].to_string();
        let classes = classes.replace(&format!("{fit}/"), "");
        assert_eq!(
            report["tiles"],
            if fit == "tiles" {
                1.into()
            } else {
                serde_json::Value::Null
            }
        );
        let of_fit = folder
            .contents()
            .into_iter()
            .filter(|(path, _)| path.starts_with(fit));
        let arrays = of_fit.filter_map(|(path, bytes)| {
            let is_array = path.extension().is_some_and(|extension| extension == "npy");
            // Pictures say how they were made.
            let bytes = match is_array {
                true => bytes?,
                false => image::load_from_memory(&bytes?).ok()?.into_bytes(),
            };
            Some((path.file_name().unwrap().to_owned(), bytes))
        });
        (classes, arrays.collect::<Vec<_>>())
    };
    let (crop, tiles) = (files("crop"), files("tiles"));
    assert!(crop.1.len() > 10);
    assert!(crop == tiles);
}

#[test]
fn the_logits_of_a_long_picture_are_the_means_of_its_squares() {
    let folder = folder();
    // Exactly two squares and one between them.
    let picture = disc((128, 64), [30.0, 30.0], 20.0);
    folder.put("long.png", &png(&picture));
    let logits = |file: &str, fit: &str| {
        let report = folder
            .json(&format!(
                "{file} red.safetensors -q -c 0 --outputs raw --fit {fit}"
            ))
            .remove(0);
        (
            report["classes"][0]["logit"].as_f64().unwrap(),
            report["tiles"].clone(),
        )
    };
    let of_squares = [0, 32, 64].map(|x| {
        let square = image::imageops::crop_imm(&picture, x, 0, 64, 64).to_image();
        folder.put("square.png", &png(&square));
        logits("square.png", "crop").0
    });
    let (whole, tiles) = logits("long.png", "tiles --tiles 1");
    assert_eq!(tiles, 3);
    assert!(
        (whole - of_squares.iter().sum::<f64>() / 3.0).abs() < 1e-6,
        "{whole}: {of_squares:?}"
    );
}

#[test]
fn a_square_without_the_class_stays_cold_beside_one_that_has_it() {
    let folder = folder();
    folder.put("long.png", &png(&disc((512, 128), [64.0, 64.0], 30.0)));
    let line = "long.png red.safetensors -c 0 --outputs heatmap,raw --fit tiles --tiles 1";
    for score in ["prob", "logit"] {
        let report = folder.json(&format!("{line} --score {score}")).remove(0);
        let files = &report["classes"][0]["maps"][0]["files"];
        let heat = folder.picture(files["heatmap"].as_str().unwrap());
        assert_eq!(heat.dimensions(), (256, 64));
        let (_, shape) = folder.array(files["gradcam.npy"].as_str().unwrap());
        assert_eq!(shape, [64, 256]);
        for (x, _, pixel) in heat.enumerate_pixels() {
            assert!(x < 64 || pixel.0[0] == 0, "{score}: heat at {x}");
        }
    }
}

#[test]
fn a_network_that_ends_with_a_mean_over_positions_takes_a_long_picture_in_one_pass() {
    let folder = folder();
    let picture = disc((128, 64), [50.0, 30.0], 25.0);
    folder.put("long.png", &png(&picture));
    let of = |file: &str, fit: &str| {
        let line =
            format!("{file} red.safetensors -c 0 --score logit --outputs raw --json --fit {fit}");
        let run = folder.run(&line);
        run.exits(0);
        let report = json_lines(&run.stdout).remove(0);
        let class = &report["classes"][0];
        let file = class["maps"][0]["files"]["gradcam.npy"].as_str().unwrap();
        (
            class["logit"].as_f64().unwrap(),
            folder.array(file),
            report["tiles"].clone(),
            run.stderr,
        )
    };
    let (whole, (map, shape), tiles, told) = of("long.png", "tiles");
    assert_eq!((tiles, &shape[..]), (1.into(), &[32, 64][..]));
    assert_eq!(
        told,
        "note: long.png: one pass of 128 x 64 pixels rather than 3 squares, since the network ends with a mean over all \
         positions; --tiles 1 takes squares\n"
    );
    // Nothing but the mean reaches from one half to the other.
    let halves = [0, 64].map(|x| {
        let half = image::imageops::crop_imm(&picture, x, 0, 64, 64).to_image();
        folder.put("half.png", &png(&half));
        let (logit, (map, _), ..) = of("half.png", "crop");
        (logit, map)
    });
    assert!((whole - halves[0].0.midpoint(halves[1].0)).abs() < 1e-6);
    for (place, value) in map.iter().enumerate() {
        let (x, y) = (place % 64, place / 64);
        let half = halves[x / 32].1[y * 32 + x % 32];
        // The mean is over twice as many positions.
        assert!((value - half / 2.0).abs() < 1e-6 * half.abs().max(1e-3));
    }

    // Dense layers over a map take one size alone; and a pass as large as many squares takes too much memory.
    let (_, _, tiles, told) = {
        folder.put("red.safetensors", &network());
        folder.put("ribbon.png", &png(&disc((1280, 64), [50.0, 30.0], 25.0)));
        of("ribbon.png", "tiles")
    };
    assert_eq!((tiles, &*told), (39.into(), ""));
    let dense = folder.json("long.png tiny.npy -c 1 --outputs none -q --fit tiles");
    assert_eq!(dense[0]["tiles"], 3);
}

#[test]
fn more_squares_see_more_of_a_large_picture() {
    let folder = folder();
    folder.put("large.png", &png(&disc((600, 600), [300.0, 300.0], 200.0)));
    let tiles = |options: &str| {
        let line =
            format!("large.png red.safetensors -c 0 --outputs heatmap --fit tiles {options}");
        let report = folder.json(&line).remove(0);
        let file = report["classes"][0]["maps"][0]["files"]["heatmap"]
            .as_str()
            .unwrap()
            .to_owned();
        (
            report["tiles"].as_u64().unwrap(),
            folder.picture(&file).dimensions(),
        )
    };
    assert_eq!(tiles(""), (1, (64, 64)));
    assert_eq!(tiles("--tiles 2"), (4, (96, 96)));
    assert_eq!(tiles("--tiles 5"), (25, (192, 192)));
}

#[test]
fn values_of_pixels_are_blended_as_well() {
    let folder = Folder::new();
    let wide = image::load_from_memory(&fixture("builtin/cat-and-coffee-224.png")).unwrap();
    let wide = wide
        .resize_exact(336, 224, image::imageops::FilterType::Triangle)
        .into_rgb8();
    folder.put("wide.png", &png(&wide));
    let run = folder.run(
        "wide.png tiny.npy --json -c 1 --outputs raw,guided_bprop --fit tiles -m rise --samples 3",
    );
    let report = json_lines(&run.exits(0).stdout).remove(0);
    assert_eq!(report["tiles"], 2);
    let files = &report["classes"][0]["maps"][0]["files"];
    let (values, shape) = folder.array(files["guided_bprop.npy"].as_str().unwrap());
    assert_eq!(shape, [224, 336, 3]);
    assert!(values.iter().all(|v| v.is_finite()) && values.iter().any(|&v| v != 0.0));
    assert_eq!(
        folder.array(files["rise.npy"].as_str().unwrap()).1,
        [224, 336]
    );
}

#[test]
fn squares_that_cannot_be_blended_or_are_too_many_are_refused() {
    let folder = folder();
    folder.put("ribbon.png", &png(&image::RgbImage::new(9000, 4)));
    folder.refuses(
        "ribbon.png tiny.npy --fit tiles",
        1,
        &["ribbon.png", "200 are the most"],
    );
    for (options, part) in [
        (
            "--fit tiles --smooth aug",
            "--smooth aug each is scaled by itself",
        ),
        ("--fit tiles -l conv4_3,conv5_3", "several layers"),
        ("--tiles 2", "--tiles is for --fit tiles"),
    ] {
        folder.refuses(&format!("cat.png tiny.npy {options}"), 2, &[part]);
    }
}
