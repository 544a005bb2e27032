//! How maps and pixel values become pictures: colours, scales, what lies outside what the network saw.

use gradcam::low_level::draw::colormap::Colormap;
use image::RgbImage;

use crate::harness::{Folder, fixture};

const STEM: &str = "cat_0_1_class_1_0.797";

fn seen() -> RgbImage {
    let picture = image::load_from_memory(&fixture("builtin/cat-and-coffee-224.png"));
    picture.unwrap().into_rgb8()
}

/// Each pixel of the grey heat map with that of the overlay and of the picture.
fn pixels(folder: &Folder) -> Vec<(u8, [u8; 3], [u8; 3])> {
    let [heat, over] =
        ["heatmap", "gradcam"].map(|suffix| folder.picture(&format!("{STEM}_{suffix}.png")));
    let all = heat
        .pixels()
        .zip(over.pixels())
        .zip(seen().pixels().copied().collect::<Vec<_>>());
    all.map(|((heat, over), picture)| (heat.0[0], over.0, picture.0))
        .collect()
}

#[test]
fn the_overlay_has_the_colours_that_were_asked_for() {
    let folder = Folder::new();
    for (name, map) in [
        ("jet", Colormap::Jet),
        ("turbo", Colormap::Turbo),
        ("viridis", Colormap::Viridis),
        ("inferno", Colormap::Inferno),
        ("magma", Colormap::Magma),
        ("cividis", Colormap::Cividis),
        ("gray", Colormap::Grey),
    ] {
        let line =
            format!("cat.png tiny.npy -c 1 --outputs heatmap,gradcam --alpha 1 --colormap {name}");
        folder.prints(&line);
        let pixels = pixels(&folder);
        let hottest = pixels.iter().find(|(heat, ..)| *heat == 255).unwrap();
        assert_eq!(hottest.1, map.table()[255], "{name}");
        let cold = pixels.iter().find(|(heat, ..)| *heat == 0).unwrap();
        assert_eq!(cold.1, map.table()[0], "{name}");
        // The level is rounded, the entry cut: one apart at most.
        for (heat, over, _) in &pixels {
            let near = usize::from(*heat).saturating_sub(1)..=(usize::from(*heat) + 1).min(255);
            assert!(
                near.into_iter().any(|entry| map.table()[entry] == *over),
                "{name}: {heat}"
            );
        }
    }
}

#[test]
fn a_threshold_shows_what_is_hot_and_leaves_the_rest_of_the_picture_alone() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --outputs heatmap,gradcam --overlay threshold";
    folder.prints(&format!("{line} --threshold 0.5 --alpha 1"));
    let (mut cold, mut hot) = (0, 0);
    for (heat, over, picture) in pixels(&folder) {
        // The level is rounded.
        match heat {
            0..=126 => {
                assert_eq!(over, picture);
                cold += 1;
            }
            129.. => {
                assert!(
                    Colormap::Jet.table()[127..].contains(&over),
                    "{heat}: {over:?}"
                );
                hot += 1;
            }
            127..=128 => {}
        }
    }
    assert!(cold > 1000 && hot > 100, "{cold} and {hot}");
}

#[test]
fn classes_share_a_scale_where_that_is_asked_for() {
    let folder = Folder::new();
    let hottest = |scale: &str| {
        let line = "cat.png tiny.npy -c 1 -c 0 --score logit --outputs heatmap,raw";
        let report = &folder.json(&format!("{line} --scale {scale}"))[0];
        let classes = report["classes"].as_array().unwrap();
        let of = |class: &serde_json::Value| {
            let map = &class["maps"][0];
            let picture = folder.picture(map["files"]["heatmap"].as_str().unwrap());
            let most = picture.pixels().map(|pixel| pixel.0[0]).max().unwrap();
            (f64::from(most), map["max"].as_f64().unwrap())
        };
        [of(&classes[0]), of(&classes[1])]
    };
    let [(first, a), (second, b)] = hottest("class");
    assert_eq!([first, second], [255.0; 2]);
    assert!(a > 0.0 && b > 0.0 && a != b, "{a} and {b}");
    let most = a.max(b);
    for ((drawn, _), max) in hottest("image").into_iter().zip([a, b]) {
        let expected = 255.0 * max / most;
        // Between the positions of the map nothing is as hot as at the hottest.
        assert!(
            (drawn - expected).abs() <= 0.03 * 255.0,
            "{drawn} for {expected}"
        );
    }
    for ((drawn, _), max) in hottest(&format!("{}", 2.0 * most)).into_iter().zip([a, b]) {
        let expected = 255.0 * max / (2.0 * most);
        assert!(
            (drawn - expected).abs() <= 0.03 * 255.0,
            "{drawn} for {expected}"
        );
    }
}

#[test]
fn what_lowers_the_score_is_drawn_where_that_is_asked_for() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -l pool5 --score logit -m hirescam --signed --alpha 1";
    let report = &folder.json(&format!("{line} --outputs heatmap,gradcam,raw"))[0];
    let map = &report["classes"][0]["maps"][0];
    let (least, most) = (map["min"].as_f64().unwrap(), map["max"].as_f64().unwrap());
    assert!(least < 0.0 && most > 0.0, "{map}");
    let read = |key: &str| folder.picture(map["files"][key].as_str().unwrap());
    let (heat, over) = (read("hirescam_heatmap"), read("hirescam"));
    let levels = || heat.pixels().map(|pixel| f64::from(pixel.0[0]));
    let reach = most.max(-least);
    let level = |value: f64| 127.5 * (1.0 + value / reach);
    let darkest = levels().fold(f64::INFINITY, f64::min);
    let brightest = levels().fold(0.0, f64::max);
    assert!((darkest - level(least)).abs() < 2.0, "{darkest}: {map}");
    assert!((brightest - level(most)).abs() < 2.0, "{brightest}: {map}");
    for (heat, over) in heat.pixels().zip(over.pixels()) {
        let [red, _, blue] = over.0;
        match heat.0[0] {
            0..=125 => assert!(blue == 255 && red < 255, "{over:?}"),
            131.. => assert!(red == 255 && blue < 255, "{over:?}"),
            126..=130 => assert!(red > 240 && blue > 240, "{over:?}"),
        }
    }
}

#[test]
fn one_bright_pixel_does_not_grey_a_picture_of_pixel_values() {
    let folder = Folder::new();
    let draw = |scale: &str| {
        let line = "cat.png tiny.npy -c 1 --outputs guided_bprop,raw";
        folder.prints(&format!("{line}{scale}"));
        folder.picture(&format!("{STEM}_guided_bprop.png"))
    };
    let minmax = draw(" --pixel-scale minmax");
    let stretched = draw("");
    assert_eq!(stretched, draw(" --pixel-scale percentile"));
    let (values, shape) = folder.array(&format!("{STEM}_guided_bprop.npy"));
    assert_eq!(shape, [224, 224, 3]);
    let mut magnitudes: Vec<f64> = values.iter().map(|v| f64::from(v.abs())).collect();
    magnitudes.sort_by(f64::total_cmp);
    let place = 0.995 * (magnitudes.len() - 1) as f64;
    let (below, above) = (magnitudes[place as usize], magnitudes[place as usize + 1]);
    let reach = below + place.fract() * (above - below);
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let drawn = stretched.as_raw().iter().zip(minmax.as_raw());
    for (&value, (&around, &between)) in values.iter().zip(drawn) {
        let expected = (127.5 * (1.0 + f64::from(value) / reach)).clamp(0.0, 255.0);
        assert!((f64::from(around) - expected).abs() <= 1.0, "{value}");
        let expected = 255.0 * (value - least) / (most - least);
        assert!((f32::from(between) - expected).abs() <= 1.0, "{value}");
    }
}

#[test]
fn outside_the_crop_the_picture_stays_as_it_is_within_a_thin_line() {
    let folder = Folder::new();
    folder.put("wide.png", &fixture("pictures/rgb.png"));
    let original = folder.picture("wide.png");
    assert_eq!(original.dimensions(), (24, 16));
    // The centre square is columns 4 to 19.
    for options in ["", " --alpha 0.5", " --overlay threshold"] {
        let line = "wide.png tiny.npy -c 1 --outputs gradcam --size original --json";
        let report = &folder.json(&format!("{line}{options}").replace(" --json", ""))[0];
        let file = report["classes"][0]["maps"][0]["files"]["gradcam"]
            .as_str()
            .unwrap();
        let drawn = folder.picture(file);
        for y in 0..16 {
            for x in [0, 1, 22, 23] {
                assert_eq!(drawn.get_pixel(x, y), original.get_pixel(x, y), "{options}");
            }
            assert_eq!(
                [2, 3, 20, 21].map(|x| drawn.get_pixel(x, y).0[0]),
                [0, 255, 255, 0]
            );
        }
        let inside = (4..20).any(|x| drawn.get_pixel(x, 8) != original.get_pixel(x, 8));
        assert!(inside, "{options}");
    }
    // All of it was seen: no line.
    let report = &folder
        .json("wide.png tiny.npy -c 1 --outputs gradcam --size original --fit squash --alpha 0")[0];
    let file = report["classes"][0]["maps"][0]["files"]["gradcam"]
        .as_str()
        .unwrap();
    assert_eq!(folder.picture(file), original);
}

#[test]
fn drawing_options_that_contradict_each_other_or_change_nothing_are_told() {
    let folder = Folder::new();
    for (options, part) in [
        ("--overlay sum --alpha 0.5", "--overlay sum has no shares"),
        ("--threshold 0.5", "--overlay threshold"),
        ("--signed --colormap jet", "for --signed take bwr"),
        ("--colormap bwr", "add --signed"),
        ("--scale 0", "a number above 0"),
        ("--overlay mix", "possible values: sum, blend, threshold"),
    ] {
        let run = folder.run(&format!("cat.png tiny.npy {options}"));
        run.exits(2);
        assert!(run.stderr.contains(part), "{run:#?}");
    }
    let run =
        folder.run("cat.png tiny.npy -c 1 --outputs heatmap --pixel-scale minmax --overlay blend");
    run.exits(0);
    assert_eq!(
        run.stderr,
        "note: no output asked for reads --overlay; gradcam does\n\
         note: no output asked for reads --pixel-scale; guided_bprop and guided_gradcam do\n"
    );
}
