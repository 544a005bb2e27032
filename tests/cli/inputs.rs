//! Which pictures are explained: files, folders, several of them, good and bad.

use crate::harness::{Folder, json_lines};

#[test]
fn a_missing_picture_is_an_error_before_any_work() {
    let folder = Folder::new();
    for name in ["photo.jpg", "nowhere/photo.jpg", "./5"] {
        let run = folder.refuses(
            &format!("{name} tiny.npy"),
            1,
            &["no such file: ", name, "check its name"],
        );
        // Not a word about folders to be made for a picture that is not there.
        assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
    }
}

#[test]
fn an_address_and_a_pattern_in_the_place_of_a_picture_are_told_as_such() {
    let folder = Folder::new();
    for (name, advice) in [
        ("https://example.org/cat.jpg", "download it first"),
        ("s3://bucket/cat.jpg", "download it first"),
        ("data:image/png;base64,iVBORw0KGgo=", "download it first"),
        (
            "file:///home/me/cat.jpg",
            "name the file itself: /home/me/cat.jpg",
        ),
        ("photos/*.jpg", "no name matches the pattern"),
        ("img_[0-9].png", "no name matches the pattern"),
        ("a:b.png", "check its name"),
    ] {
        folder.refuses(
            &format!("{name} tiny.npy"),
            1,
            &["no such file: ", name, advice],
        );
    }
}

#[test]
fn a_picture_whose_name_begins_with_a_hyphen_is_no_option() {
    let folder = Folder::new();
    folder.put("-cat.png", &folder.read("cat.png"));
    let advice = "-cat.png is a file, and its name would be read as options: give it as ./-cat.png";
    folder.refuses("-cat.png tiny.npy", 2, &[advice]);
    folder.refuses("cat.png tiny.npy -cat.png", 2, &[advice]);
    for line in ["./-cat.png tiny.npy", "tiny.npy -- -cat.png"] {
        let line = format!("-c 1 --outputs heatmap --json {line}");
        let run = folder.run(&line);
        run.exits(0);
        assert!(
            folder
                .path()
                .join("-cat_0_1_class_1_0.797_heatmap.png")
                .exists()
        );
    }
}

#[test]
fn the_order_of_count_and_weights_does_not_matter() {
    let folder = Folder::new();
    let printed = folder.prints("cat.png tiny.npy 2 --outputs heatmap");
    assert_eq!(printed.lines().count(), 2);
    for line in [
        "cat.png 2 tiny.npy",
        "2 cat.png tiny.npy",
        "tiny.npy 2 cat.png",
    ] {
        assert_eq!(folder.prints(&format!("{line} --outputs heatmap")), printed);
    }
    let twice = "2 and 2 are both read as the number of classes";
    folder.refuses("cat.png tiny.npy 2 2", 2, &[twice, "./2"]);
    folder.refuses(
        "cat.png 2 tiny.npy -n 3",
        2,
        &["given twice, 2 and --top-n 3"],
    );
}

#[test]
fn a_picture_whose_name_is_a_number_is_explained_where_no_count_can_be_meant() {
    let folder = Folder::new();
    folder.put("3", &folder.read("cat.png"));
    let line = |words: &str| format!("{words} -c 1 --outputs heatmap --json");
    for words in ["./3 tiny.npy", "3 tiny.npy", "3 cat.png tiny.npy"] {
        let run = folder.run(&line(words));
        run.exits(0);
        let image = crate::harness::json_lines(&run.stdout)[0]["image"].clone();
        assert!(image == "3" || image == "./3", "{words}: {image}");
    }
    let either = "3 may be the number of classes or the file of that name";
    folder.refuses("cat.png 3 tiny.npy", 2, &[either, "--top-n 3 or ./3"]);
    // The last word is the count whatever files there are, as the help says.
    let printed = folder.prints("cat.png tiny.npy 3 --outputs heatmap");
    assert_eq!(printed.lines().count(), 3);
}

#[test]
fn weights_named_twice_are_one_file_and_two_files_are_refused() {
    let folder = Folder::new();
    folder.put("two.npy", &folder.read("tiny.npy"));
    let printed = folder.prints("cat.png tiny.npy 1 --outputs heatmap");
    for line in [
        "tiny.npy cat.png ./tiny.npy 1",
        "cat.png tiny.npy -w ./tiny.npy 1",
        "cat.png tiny.npy tiny.npy 1",
    ] {
        assert_eq!(folder.prints(&format!("{line} --outputs heatmap")), printed);
    }
    for line in [
        "two.npy cat.png tiny.npy",
        "cat.png tiny.npy 1 two.npy",
        "cat.png two.npy -w tiny.npy",
    ] {
        let parts = ["two weights files", "tiny.npy", "two.npy", "once for each"];
        folder.refuses(line, 2, &parts);
    }
}

#[test]
fn a_picture_named_twice_is_explained_once() {
    let folder = Folder::new();
    folder.put("all/cat.png", &folder.read("cat.png"));
    let reports = folder.json("all all/cat.png tiny.npy --outputs heatmap -c 1");
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["image"], "all/cat.png");
    let line = "./cat.png cat.png all/../cat.png tiny.npy -o maps --outputs heatmap -c 1 -q";
    let reports = folder.json(line);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["image"], "./cat.png");
}

#[test]
fn what_is_missing_does_not_stop_the_others() {
    let folder = Folder::new();
    folder.put("empty/notes.txt", b"");
    let run = folder.run("missing.png empty cat.png tiny.npy --outputs heatmap -c 1");
    run.exits(1);
    let errors = run.errors();
    assert_eq!(errors.len(), 2, "{run:#?}");
    assert!(errors[0].contains("no such file: missing.png"), "{run:#?}");
    assert!(
        errors[1].contains("no pictures in the folder empty"),
        "{run:#?}"
    );
    assert!(
        run.stdout.starts_with("cat.png\n0: class id: 1"),
        "{run:#?}"
    );
    assert_eq!(
        folder.names(),
        ["cat_0_1_class_1_0.797_heatmap.png", "empty/notes.txt"]
    );
}

#[test]
fn a_folder_without_pictures_is_an_error_that_names_it() {
    let folder = Folder::new();
    folder.put("notes/a.txt", b"no picture");
    folder.put("notes/below/cat.png", &folder.read("cat.png"));
    folder.put("notes/.hidden.png", &folder.read("cat.png"));
    folder.refuses(
        "notes tiny.npy",
        1,
        &["no pictures in the folder notes", "subfolders"],
    );
}

#[test]
fn one_bad_picture_among_several_fails_alone() {
    let folder = Folder::new();
    folder.put("a.png", &folder.read("cat.png"));
    folder.put("b.png", b"<!DOCTYPE html><html>Not found</html>");
    folder.put("c.png", &folder.read("cat.png"));
    let run = folder.run("a.png b.png c.png tiny.npy -c 1 --outputs heatmap --json");
    run.exits(1);
    let errors = run.errors();
    assert_eq!(errors.len(), 1, "{run:#?}");
    assert!(errors[0].contains("b.png is not a picture"), "{run:#?}");
    let reports = crate::harness::json_lines(&run.stdout);
    let images: Vec<_> = reports.iter().map(|report| &report["image"]).collect();
    assert_eq!(images, ["a.png", "b.png", "c.png"]);
    let error = errors[0].strip_prefix("error: ").unwrap();
    let failed = serde_json::json!({ "schema": 1, "image": "b.png", "error": error });
    assert_eq!(reports[1], failed);
    let written = ["a.png", "a_0_1_class_1_0.797_heatmap.png", "b.png", "c.png"];
    assert_eq!(
        folder.names(),
        [&written[..], &["c_0_1_class_1_0.797_heatmap.png"]].concat()
    );
}

#[test]
fn class_names_in_the_place_of_a_picture_are_told_their_option() {
    let folder = Folder::new();
    folder.put("names.txt", b"one\ntwo\nthree\nfour\nfive\n");
    let parts = [
        "names.txt is not a picture",
        "it seems to be text",
        "--labels",
    ];
    folder.refuses("names.txt tiny.npy", 1, &parts);
}

#[test]
fn what_is_missing_has_a_line_in_the_json_too() {
    let folder = Folder::new();
    let run = folder.run("missing.png cat.png tiny.npy -c 1 --outputs heatmap --json");
    run.exits(1);
    let reports = crate::harness::json_lines(&run.stdout);
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["image"], "missing.png");
    let error = reports[0]["error"].as_str().unwrap();
    assert_eq!(run.errors(), [format!("error: {error}")]);
    assert!(reports[1].get("error").is_none());
}

#[test]
fn a_folder_explained_twice_is_not_explained_twice_over() {
    let folder = Folder::new();
    folder.put("all/b.jpg", &crate::harness::fixture("pictures/rgb.jpg"));
    folder.put("all/a.png", &folder.read("cat.png"));
    folder.put("all/notes.txt", b"no picture");
    let first = folder.prints("all tiny.npy 1");
    let names = folder.names();
    assert_eq!(names.len(), 3 + 2 * 4);
    assert!(
        first.starts_with("all/a.png\n0: class id: 1") && first.contains("\nall/b.jpg\n0: "),
        "{first}"
    );
    let again = folder.run("all tiny.npy 1");
    again.exits(0);
    assert_eq!(again.stdout, first);
    assert_eq!(
        again.stderr,
        "note: all: 8 files left out: 8 that look like gradcam's own output\n"
    );
    assert_eq!(folder.names(), names);
}

#[test]
fn whatever_was_written_into_a_folder_is_left_out_of_it_whatever_it_is_called() {
    let folder = Folder::new();
    for number in 0..21 {
        folder.put(format!("all/{number:02}.png"), &folder.read("cat.png"));
    }
    folder.put("all/rgb.jpg", &crate::harness::fixture("pictures/rgb.jpg"));
    let line = "all tiny.npy -c 1 -m gradcam,gradient -q";
    folder.prints(&format!(
        "{line} --report all/page.html --sheet all/{{stem}}_sheet.png"
    ));
    let outputs = "heatmap,heatmap16,mask,gradcam,segmented,guided_bprop,guided_gradcam";
    let mut copies = 0;
    for (format, to) in [("png", "a"), ("jpg", "b")] {
        folder.prints(&format!(
            "all/rgb.jpg tiny.npy -c 1 -m gradcam,gradient --outputs {outputs} --format {format} -o {to} -q"
        ));
        // Their names say nothing any more.
        let names = folder.names().into_iter();
        for (number, name) in names
            .filter(|name| name.starts_with(&format!("{to}/")))
            .enumerate()
        {
            let (_, extension) = name.rsplit_once('.').unwrap();
            folder.put(format!("all/{to}{number}.{extension}"), &folder.read(&name));
            copies += 1;
        }
    }
    let again = folder.run("all tiny.npy -c 1 --outputs none -r --json");
    again.exits(0);
    let images = json_lines(&again.stdout);
    assert_eq!(images.len(), 22, "{:?}", images.last());
    assert!(copies > 20);
    // A sheet and two pictures of the page each.
    let own = 22 * 3 + copies;
    let note =
        format!("note: all: {own} files left out: {own} that look like gradcam's own output\n");
    assert_eq!(again.stderr, note);
}

#[cfg(unix)]
#[test]
fn files_of_a_folder_that_are_left_out_are_told_by_kind() {
    let folder = Folder::new();
    folder.put("all/a.png", &folder.read("cat.png"));
    folder.put("all/notes.txt", b"");
    for name in [
        "b.heic",
        "c.HEIC",
        "d.avif",
        "a_0_1_class_1_0.797_heatmap.png",
        ".hidden.svg",
    ] {
        folder.put(format!("all/{name}"), b"unread");
    }
    let link = folder.path().join("all/gone.jpg");
    std::os::unix::fs::symlink("nowhere.jpg", link).unwrap();
    let left_out = "all: 5 files left out: 1 that looks like gradcam's own output, \
                    1 .avif and 2 .heic, which gradcam cannot read, 1 link that leads nowhere";
    let run = folder.run("all tiny.npy -c 1 --outputs heatmap");
    run.exits(0);
    assert_eq!(run.stderr, format!("note: {left_out}\n"));
    std::fs::remove_file(folder.path().join("all/a.png")).unwrap();
    let run = folder.run("all tiny.npy");
    let nothing = format!(
        "no pictures to explain in the folder {left_out}; one that is a picture all the same"
    );
    run.fails(1, &[&nothing.replace("all: ", "all, ")]);
}

#[test]
fn pictures_weights_and_count_are_told_apart_wherever_the_weights_stand() {
    let folder = Folder::new();
    // A shell's * sorts them so; the extension says nothing, the content does.
    folder.put("a-net", &folder.read("tiny.npy"));
    for line in [
        "a-net cat.png 1",
        "cat.png a-net 1",
        "cat.png -w a-net -n 1",
    ] {
        let printed = folder.prints(&format!("{line} --outputs heatmap"));
        assert_eq!(
            printed,
            "0: class id: 1, class name: class_1, probability: 0.797, synset: class_1\n"
        );
    }
    folder.put("5", &folder.read("cat.png"));
    assert_eq!(
        folder
            .prints("./5 a-net 2 --outputs heatmap")
            .lines()
            .count(),
        2
    );
}
