//! What is written, where, and what is left alone.

use crate::harness::{Folder, Tiny, fixture};

#[test]
fn four_pictures_a_class_lie_beside_the_picture() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy");
    let suffixes = ["gradcam", "guided_bprop", "heatmap", "segmented"];
    let classes = [
        "0_1_class_1_0.797",
        "1_0_class_0_0.143",
        "2_4_class_4_0.058",
    ];
    let expected: Vec<String> = classes
        .iter()
        .flat_map(|class| suffixes.map(|suffix| format!("cat_{class}_{suffix}.png")))
        .collect();
    assert_eq!(folder.names(), expected);
    for name in &expected {
        assert_eq!(folder.picture(name).dimensions(), (224, 224), "{name}");
    }
}

#[test]
fn every_output_of_both_methods_has_its_name() {
    let folder = Folder::new();
    folder.prints(
        "cat.png tiny.npy -c 1 -m gradcam -m gradcam++ \
         --outputs heatmap,gradcam,segmented,guided_bprop,guided_gradcam,raw",
    );
    let expected = [
        "gradcam++.npy",
        "gradcam++.png",
        "gradcam++_heatmap.png",
        "gradcam++_segmented.png",
        "gradcam.npy",
        "gradcam.png",
        "guided_bprop.npy",
        "guided_bprop.png",
        "guided_gradcam.png",
        "heatmap.png",
        "segmented.png",
    ];
    assert_eq!(
        folder.names(),
        expected.map(|end| format!("cat_0_1_class_1_0.797_{end}"))
    );
    let stem = "cat_0_1_class_1_0.797";
    let (map, shape) = folder.array(&format!("{stem}_gradcam++.npy"));
    assert_eq!(
        (shape, map.iter().all(|value| value.is_finite())),
        (vec![14, 14], true)
    );
    assert_eq!(
        folder.array(&format!("{stem}_guided_bprop.npy")).1,
        [224, 224, 3]
    );
}

#[test]
fn guided_gradcam_alone_brings_its_own_map() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 -m gradcam++ --outputs guided_gradcam");
    assert_eq!(folder.names(), ["cat_0_1_class_1_0.797_guided_gradcam.png"]);
}

#[test]
fn an_output_folder_is_made_with_its_parents() {
    let folder = Folder::new();
    let run = folder.run("cat.png tiny.npy -c 1 --outputs heatmap -o deep/er");
    run.exits(0);
    assert_eq!(run.stderr, "note: deep/er is new and will be made\n");
    assert_eq!(
        folder.names(),
        ["deep/er/cat_0_1_class_1_0.797_heatmap.png"]
    );
}

#[test]
fn a_folder_that_will_not_be_made_is_not_announced() {
    let folder = Folder::new();
    for wrong in ["-l conv9_9", "-c 9", "--adapter nonesuch"] {
        let run = folder.refuses(&format!("cat.png tiny.npy -o new {wrong}"), 1, &[]);
        assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
    }
}

#[test]
fn an_output_folder_that_is_a_file_is_found_before_any_work() {
    let folder = Folder::new();
    // Weights that no network can be made of come later than the folder.
    folder.put("bad.npy", b"");
    for out in ["cat.png", "cat.png/below"] {
        folder.refuses(
            &format!("cat.png bad.npy -o {out}"),
            1,
            &["cat.png: not a folder", "--out-dir"],
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_takes_no_files_is_found_before_any_work() {
    let folder = Folder::new();
    folder.put("bad.npy", b"");
    // Refuses the superuser as well, whom a folder's mode would not stop.
    for out in ["/proc", "/proc/self/maps/of/pictures"] {
        folder.refuses(
            &format!("cat.png bad.npy -o {out}"),
            1,
            &["/proc", "--out-dir"],
        );
    }
}

#[test]
fn pictures_keep_the_format_of_the_input_unless_another_is_chosen() {
    let folder = Folder::new();
    folder.put("a.JPEG", &fixture("pictures/rgb.jpg"));
    folder.put("b.gif", &fixture("pictures/rgb.gif"));
    folder.put("c.webp", &fixture("pictures/lossless.webp"));
    let line = "a.JPEG b.gif c.webp tiny.npy -c 1 --outputs heatmap -o own -q";
    folder.prints(line);
    let formats = [
        image::ImageFormat::Jpeg,
        image::ImageFormat::Png,
        image::ImageFormat::WebP,
    ];
    let written: Vec<String> = folder
        .names()
        .into_iter()
        .filter(|name| name.starts_with("own/") && !name.ends_with("manifest.jsonl"))
        .collect();
    let extensions: Vec<&str> = written
        .iter()
        .filter_map(|name| name.rsplit('.').next())
        .collect();
    assert_eq!(extensions, ["JPEG", "png", "webp"]);
    for (name, format) in written.iter().zip(formats) {
        assert_eq!(
            image::guess_format(&folder.read(name)).unwrap(),
            format,
            "{name}"
        );
    }
}

#[test]
fn every_format_that_can_be_chosen_is_written_as_such() {
    let folder = Folder::new();
    for (chosen, extension) in [
        ("png", "png"),
        ("jpg", "jpg"),
        ("jpeg", "jpg"),
        ("webp", "webp"),
        ("bmp", "bmp"),
        ("tif", "tiff"),
        ("tga", "tga"),
        ("qoi", "qoi"),
        ("ppm", "ppm"),
    ] {
        folder.prints(&format!(
            "cat.png tiny.npy -c 1 --outputs heatmap -q -o {chosen} --format {chosen}"
        ));
        let name = format!("{chosen}/cat_0_1_class_1_0.797_heatmap.{extension}");
        let format = image::ImageFormat::from_extension(extension).unwrap();
        let picture = image::load_from_memory_with_format(&folder.read(&name), format);
        assert_eq!(
            picture.unwrap().into_rgb8().dimensions(),
            (224, 224),
            "{name}"
        );
    }
}

#[test]
fn the_original_size_is_the_pictures_own() {
    let folder = Folder::new();
    folder.put("small.png", &fixture("pictures/rgb.png"));
    folder.prints(
        "small.png tiny.npy -c 1 --size original --alpha 0 \
         --outputs gradcam,heatmap,segmented,guided_bprop,guided_gradcam,raw",
    );
    let name = |end: &str| {
        let names = folder.names().into_iter();
        names
            .filter(|name| name.ends_with(end))
            .min_by_key(String::len)
            .unwrap()
    };
    for end in [
        "_gradcam.png",
        "_heatmap.png",
        "_segmented.png",
        "_guided_bprop.png",
        "_guided_gradcam.png",
    ] {
        assert_eq!(folder.picture(&name(end)).dimensions(), (24, 16), "{end}");
    }
    // No heat over the picture: the picture, but for the line around what the network saw.
    let (drawn, small) = (
        folder.picture(&name("_gradcam.png")),
        folder.picture("small.png"),
    );
    for (x, y, pixel) in drawn.enumerate_pixels() {
        let is_line = [2, 3, 20, 21].contains(&x);
        assert!(is_line || pixel == small.get_pixel(x, y), "{x}, {y}");
    }
    // Arrays are the network's own.
    assert_eq!(folder.array(&name("_gradcam.npy")).1, [14, 14]);
    assert_eq!(folder.array(&name("_guided_bprop.npy")).1, [224, 224, 3]);
}

#[test]
fn the_three_fits_show_the_network_three_pictures() {
    let folder = Folder::new();
    folder.put("wide.png", &fixture("pictures/rgb.png"));
    let seen = |fit: &str| {
        let line =
            format!("wide.png tiny.npy -c 1 --alpha 0 --outputs gradcam -q --fit {fit} -o {fit}");
        let path = folder.json(&line)[0]["classes"][0]["maps"][0]["files"]["gradcam"].clone();
        folder.picture(path.as_str().unwrap())
    };
    let [crop, squash, pad] = ["crop", "squash", "pad"].map(seen);
    // Red grows from 0 to 255 to the right. The crop leaves out a sixth on either side; padding lies above and below.
    let red = |picture: &image::RgbImage, x, y| picture.get_pixel(x, y).0[0];
    assert!(red(&crop, 0, 112) > 30 && red(&crop, 223, 112) < 225);
    assert!(red(&squash, 0, 112) < 10 && red(&squash, 223, 112) > 245);
    assert!(red(&pad, 0, 112) < 10 && red(&pad, 0, 0) > 100 && red(&pad, 223, 223) < 150);
}

#[test]
fn another_layer_gives_a_map_of_its_own_size() {
    let folder = Folder::new();
    let report = &folder.json("cat.png tiny.npy -c 1 --outputs raw --layer conv3_3")[0];
    assert_eq!(report["layer"], "conv3_3");
    let file = report["classes"][0]["maps"][0]["files"]["gradcam.npy"]
        .as_str()
        .unwrap();
    assert_eq!(folder.array(file).1, [56, 56]);
}

#[test]
fn a_layer_that_does_not_exist_is_answered_with_those_that_do() {
    let folder = Folder::new();
    for layer in ["conv9_9", "fc6", "CONV5_3"] {
        folder.refuses(
            &format!("cat.png tiny.npy --layer {layer}"),
            1,
            &[
                "tiny.npy",
                layer,
                "conv1_1, conv1_2, pool1",
                "conv5_3, pool5",
            ],
        );
    }
}

#[test]
fn a_file_that_exists_is_replaced_whole_on_success_and_kept_on_an_error() {
    let folder = Folder::new();
    let name = "cat_0_1_class_1_0.797_heatmap.png";
    folder.put(name, &vec![b'x'; 200_000]);
    folder.put(
        "nan.npy",
        &Tiny::new().with("fc7", 1, |_, _| f32::NAN).bytes(),
    );
    for line in [
        "cat.png nan.npy -c 1",
        "cat.png tiny.npy -c 9",
        "cat.png tiny.npy --layer x",
    ] {
        folder.refuses(line, 1, &[]);
    }
    folder.prints("cat.png tiny.npy -c 1 --outputs heatmap");
    assert_eq!(folder.picture(name).dimensions(), (224, 224));
    assert_eq!(folder.names(), [name, "nan.npy"]);
}

#[test]
fn a_folder_in_a_files_place_is_an_error_that_leaves_nothing_half_done() {
    let folder = Folder::new();
    folder.put("cat_0_1_class_1_0.797_heatmap.png/kept.txt", b"kept");
    folder.put("dog.png", &folder.read("cat.png"));
    let run = folder.run("cat.png dog.png tiny.npy -c 1 --outputs heatmap");
    run.exits(1);
    assert!(
        run.errors()[0].contains("cat_0_1_class_1_0.797_heatmap.png: cannot be written"),
        "{run:#?}"
    );
    assert!(
        run.stdout.starts_with("dog.png\n0: class id: 1"),
        "{run:#?}"
    );
    assert_eq!(
        folder.names(),
        [
            "cat_0_1_class_1_0.797_heatmap.png/kept.txt",
            "dog.png",
            "dog_0_1_class_1_0.797_heatmap.png"
        ]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_leaves_the_old_file_and_no_temporary_one() {
    use crate::harness::Run;
    use std::process::Command;

    let folder = Folder::new();
    let name = "cat_0_1_class_1_0.797_heatmap.png";
    folder.put(name, b"from yesterday");
    let before = folder.contents();
    // A file may grow to 2 KiB; a heat map takes ten times that.
    let limited = r#"trap "" XFSZ; ulimit -f 4; exec "$0" cat.png tiny.npy -c 1 --outputs heatmap"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", limited, env!("CARGO_BIN_EXE_gradcam")])
        .current_dir(folder.path());
    command.env_remove("XDG_RUNTIME_DIR");
    Run::of(&mut command).fails(1, &[name, "cannot be written", "too large"]);
    assert!(folder.contents() == before, "{:?}", folder.names());
}

#[test]
fn long_names_are_shortened_and_stop_no_other_picture() {
    let folder = Folder::new();
    let stems = ["a", "b"].map(|end| "é".repeat(124) + end);
    for stem in &stems {
        folder.put(format!("all/{stem}.png"), &folder.read("cat.png"));
    }
    folder.put("all/short.png", &folder.read("cat.png"));
    let run = folder.run("all tiny.npy -c 1 --outputs heatmap,raw");
    run.exits(0);
    assert_eq!(run.errors(), [""; 0]);
    for stem in &stems {
        let note = format!("note: all/{stem}.png: its name leaves no room for class and suffix");
        assert!(run.stderr.contains(&note), "{run:#?}");
    }
    let names = folder.names();
    let written = names
        .iter()
        .filter(|name| name.ends_with("_0_1_class_1_0.797_heatmap.png"));
    let written: Vec<&str> = written
        .map(|name| name.strip_prefix("all/").unwrap())
        .collect();
    assert_eq!(written.len(), 3, "{names:?}");
    assert!(
        written.contains(&"short_0_1_class_1_0.797_heatmap.png"),
        "{names:?}"
    );
    assert!(written.iter().all(|name| name.len() <= 255), "{names:?}");
    // Explained again, they are left out as any other output.
    let again = folder.run("all tiny.npy -c 1 --outputs heatmap,raw");
    again.exits(0);
    assert!(
        again
            .stderr
            .contains("3 that look like gradcam's own output"),
        "{again:#?}"
    );
    assert_eq!(folder.names(), names);
}

#[test]
fn no_file_that_is_read_is_written_over() {
    let folder = Folder::new();
    let heatmap = "cat_0_1_class_1_0.797_heatmap.png";
    folder.put(heatmap, &folder.read("cat.png"));
    folder.put("dog.png", &folder.read("cat.png"));
    let line = format!("cat.png ./{heatmap} dog.png tiny.npy -c 1 --outputs heatmap --json");
    let run = folder.run(&line);
    run.exits(1);
    let errors = run.errors();
    assert_eq!(errors.len(), 1, "{run:#?}");
    assert!(
        errors[0].contains(heatmap) && errors[0].contains("read in the same run"),
        "{run:#?}"
    );
    assert_eq!(folder.read(heatmap), folder.read("cat.png"));
    let failed = crate::harness::json_lines(&run.stdout);
    let failed: Vec<bool> = failed
        .iter()
        .map(|line| line.get("error").is_some())
        .collect();
    assert_eq!(failed, [true, false, false]);
    // The class names of the run, in the place of a result.
    let raw = "cat_0_1_one_0.797_gradcam.npy";
    folder.put(raw, b"zero\none\ntwo\nthree\nfour\n");
    let line = format!("cat.png tiny.npy -c 1 --outputs raw --labels {raw}");
    folder.refuses(&line, 1, &[raw, "--out-dir"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_itself_is_an_error_of_its_own() {
    let folder = Folder::new();
    for (target, link) in [("loop.png", "loop.png"), (".", "here")] {
        std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
    }
    let run = folder.run("loop.png cat.png tiny.npy -c 1 --outputs heatmap");
    run.exits(1);
    assert!(run.errors()[0].contains("loop.png"), "{run:#?}");
    assert!(
        run.stdout.starts_with("cat.png\n0: class id: 1"),
        "{run:#?}"
    );
    let run = folder.run("cat.png tiny.npy -o loop.png");
    run.fails(1, &["loop.png", "--out-dir"]);
    // Two ways to one picture are one picture.
    let reports = folder.json("here/here/cat.png cat.png tiny.npy -c 1 --outputs heatmap");
    assert_eq!(reports.len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_are_names_all_the_same() {
    use crate::harness::Run;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    let name = OsStr::from_bytes(b"caf\xe9.png");
    folder.put(name, &folder.read("cat.png"));
    folder.put("my net.bin", &folder.read("tiny.npy"));
    let options = ["my net.bin", "-c", "1", "--outputs", "heatmap", "--json"].map(OsStr::new);
    let run = Run::of(&mut folder.command(&[&[name][..], &options].concat()));
    run.exits(0).notes_nothing();
    assert_eq!(
        crate::harness::json_lines(&run.stdout)[0]["image"],
        "caf\u{fffd}.png"
    );
    let report = crate::harness::json_lines(&run.stdout).remove(0);
    assert_eq!(report["image_bytes"], "caf%E9.png");
    let map = &report["classes"][0]["maps"][0];
    let file = "caf%E9_0_1_class_1_0.797_heatmap.png";
    assert_eq!(map["files_bytes"], serde_json::json!({ "heatmap": file }));
    assert!(report["weights"].get("path_bytes").is_none(), "{report}");
    let written = OsStr::from_bytes(b"caf\xe9_0_1_class_1_0.797_heatmap.png");
    assert!(
        folder.path().join(written).is_file(),
        "{:?}",
        folder.names()
    );
    let missing = OsStr::from_bytes(b"th\xe9.png");
    Run::of(&mut folder.command(&[missing])).fails(1, &["no such file: th\u{fffd}.png"]);
    // Two that look alike as text.
    let weights = OsStr::from_bytes(b"n\xe9t.npy");
    folder.put(weights, &folder.read("tiny.npy"));
    let line = [missing, OsStr::new("cat.png"), weights];
    let run = Run::of(&mut folder.command(&[&line[..], &options[1..]].concat()));
    run.exits(1);
    let reports = crate::harness::json_lines(&run.stdout);
    assert_eq!(reports[0]["image_bytes"], "th%E9.png");
    assert_eq!(reports[1]["weights"]["path_bytes"], "n%E9t.npy");
    assert!(reports[1].get("image_bytes").is_none());
    let info = Run::of(&mut folder.command(&[OsStr::new("info"), weights, OsStr::new("--json")]));
    assert_eq!(
        crate::harness::json_lines(&info.stdout)[0]["file_bytes"],
        "n%E9t.npy"
    );
}

/// A name in a terminal's hands: clears the screen, writes a line of its own, turns the direction of writing.
#[cfg(target_os = "linux")]
#[test]
fn names_that_steer_a_terminal_are_escaped_wherever_they_are_printed() {
    use crate::harness::Run;

    let evil = "\u{1b}[2J\nerror: b\u{9b}31m\u{202e}gnp";
    let escaped = "\\u{1b}[2J\\nerror: b\\u{9b}31m\\u{202e}gnp";
    let folder = Folder::new();
    folder.put(format!("{evil}.png"), &folder.read("cat.png"));
    folder.put(format!("{evil}.npy"), &folder.read("tiny.npy"));
    folder.put(format!("{evil}.txt"), b"a\x1b[31m\nb\nc\nd\ne\n");
    let is_clean = |run: &Run| {
        let text = format!("{}{}", run.stdout, run.stderr);
        let steers = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!text.contains(steers), "{run:#?}");
        assert!(text.contains(escaped), "{run:#?}");
        let own_line = text.lines().any(|line| line.starts_with("error: b"));
        assert!(!own_line, "{run:#?}");
    };
    let [png, npy, txt] = ["png", "npy", "txt"].map(|end| format!("{evil}.{end}"));
    for (line, code) in [
        (
            vec![&png[..], "cat.png", &npy, "-c", "1", "--labels", &txt],
            0,
        ),
        (vec![&png[..], "cat.png", &npy, "-c", "1"], 0),
        (vec!["cat.png", &npy, "-l", evil], 1),
        (vec!["cat.png", &npy, "-c", evil], 1),
        (vec!["cat.png", "-m", evil], 2),
        (vec!["cat.png", &png[..1], evil], 1),
        (vec!["info", &npy], 0),
        (vec!["info", &txt], 1),
        (vec!["convert", &npy, &format!("{evil}.safetensors")], 0),
        (vec!["convert", &npy, evil], 2),
        (vec!["cat.png", "--adapter", evil], 1),
    ] {
        let run = Run::of(&mut folder.command(&line));
        run.exits(code);
        is_clean(&run);
    }
    // JSON has escapes of its own, and gives the name back.
    let run = Run::of(&mut folder.command(&[&png[..], "tiny.npy", "-c", "1", "--json"]));
    assert_eq!(crate::harness::json_lines(&run.stdout)[0]["image"], png);
}
