//! What made a picture, in the picture; and the command that makes it again.

use crate::harness::{Folder, fixture, json_lines};

#[test]
fn a_png_says_what_made_it_and_how_to_make_it_again() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --score logit --versus 0 -m gradcam --outputs heatmap,heatmap16,mask,guided_bprop";
    let report = &folder.json(line)[0];
    let files = report["classes"][0]["maps"][0]["files"]
        .as_object()
        .unwrap();
    assert_eq!(files.len(), 4);
    for (suffix, file) in files {
        let file = file.as_str().unwrap();
        let shown = folder.prints(&format!("show {file} --json"));
        let shown = &json_lines(&shown)[0];
        for key in ["program", "weights", "adapter", "layer", "settings"] {
            assert_eq!(shown[key], report[key], "{key}");
        }
        assert_eq!(shown["content"], suffix.as_str());
        assert_eq!(shown["class"]["id"], 1);
        assert_eq!(shown["score"], "logit, versus 0");
        assert_eq!(shown["class"]["logit"], report["classes"][0]["logit"]);
        let command = shown["command"].as_array().unwrap();
        let words: Vec<&str> = command.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words.join(" "), format!("gradcam --json {line}"));
        // Made again, it is the same file.
        let before = folder.read(file);
        folder.json(line);
        assert!(folder.read(file) == before, "{file}");
        let text = folder.prints(&format!("show {file}"));
        assert!(
            text.ends_with(&format!("command   gradcam --json {line}\n")),
            "{text}"
        );
        assert!(text.contains("layer     conv5_3\n"), "{text}");
    }
    folder.put("photo.jpg", &fixture("pictures/rgb.jpg"));
    folder.put("photo.webp", &fixture("pictures/lossy.webp"));
    for (file, part) in [
        ("cat.png", "nothing says what made it"),
        ("photo.jpg", "nothing says what made it"),
        ("photo.webp", "neither a PNG nor a JPEG"),
        ("gone.png", "cannot be read"),
    ] {
        folder.refuses(&format!("show {file}"), 1, &[file, part]);
    }
}

#[test]
fn a_jpeg_says_it_as_well_and_the_other_formats_do_not() {
    let folder = Folder::new();
    for (format, says) in [
        ("jpg", true),
        ("png", true),
        ("webp", false),
        ("tiff", false),
        ("bmp", false),
    ] {
        let line = format!("cat.png tiny.npy -c 1 --outputs gradcam --format {format}");
        let report = folder.json(&line).remove(0);
        let file = report["classes"][0]["maps"][0]["files"]["gradcam"]
            .as_str()
            .unwrap()
            .to_owned();
        let picture = image::load_from_memory(&folder.read(&file)).unwrap();
        assert_eq!((picture.width(), picture.height()), (224, 224));
        if says {
            let shown = json_lines(&folder.prints(&format!("show {file} --json"))).remove(0);
            assert_eq!(shown["weights"]["sha256"], report["weights"]["sha256"]);
            assert_eq!(shown["method"], "gradcam");
        } else {
            folder.refuses(
                &format!("show {file}"),
                1,
                &["other formats do not carry what made them"],
            );
        }
    }
}

#[test]
fn of_several_pictures_the_command_names_the_one_that_is_shown() {
    let folder = Folder::new();
    folder.put("dog.png", &folder.read("cat.png"));
    folder.put("more/cow.png", &folder.read("cat.png"));
    // The folder has the name of a picture's folder that is named as well.
    folder.prints("cat.png dog.png more tiny.npy -q -c 1 --outputs heatmap -o more");
    let command = |stem: &str| {
        let text = folder.prints(&format!("show more/{stem}_0_1_class_1_0.797_heatmap.png"));
        text.lines()
            .last()
            .unwrap()
            .strip_prefix("command   ")
            .unwrap()
            .to_owned()
    };
    let options = "tiny.npy -q -c 1 --outputs heatmap -o more";
    assert_eq!(command("dog"), format!("gradcam dog.png {options}"));
    assert_eq!(command("cow"), format!("gradcam more {options}"));
}

/// By a shell, which is who the command is for.
#[cfg(target_os = "linux")]
#[test]
fn the_command_that_is_shown_makes_the_same_file_again_whatever_the_names_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    let names: [&[u8]; 6] = [
        b"a cat's.png",
        b"$HOME `cat`.png",
        b"line\nfeed.png",
        b"caf\xe9.png",
        "信号機 \u{202e}gnp.png".as_bytes(),
        b"back\\slash \"quoted\".png",
    ];
    for name in names {
        let folder = Folder::new();
        let name = OsStr::from_bytes(name);
        folder.put(name, &folder.read("cat.png"));
        let words = [
            "tiny.npy",
            "-q",
            "-c",
            "class_1",
            "--outputs",
            "heatmap",
            "-o",
            "my maps",
        ];
        let words: Vec<&OsStr> = [name].into_iter().chain(words.map(OsStr::new)).collect();
        assert!(folder.command(&words).status().unwrap().success());
        let made = std::fs::read_dir(folder.path().join("my maps")).unwrap();
        let [file] =
            <[_; 1]>::try_from(made.map(|entry| entry.unwrap().path()).collect::<Vec<_>>())
                .unwrap();
        let shown = folder
            .command(&[OsStr::new("show"), file.as_os_str()])
            .output()
            .unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        let command = text
            .lines()
            .last()
            .unwrap()
            .strip_prefix("command   gradcam ")
            .unwrap();
        let before = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let program = env!("CARGO_BIN_EXE_gradcam");
        let again = Command::new("bash")
            .args(["-c", &format!("'{program}' {command}")])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(again.status.success(), "{again:?}: {command}");
        assert!(std::fs::read(&file).unwrap() == before, "{command}");
    }
}
