//! Which pictures are explained: files, folders, several of them, good and bad.

use crate::harness::Folder;

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
fn a_count_before_the_last_word_is_told_where_it_belongs() {
    let folder = Folder::new();
    for line in ["cat.png 2 tiny.npy", "cat.png tiny.npy 2 2"] {
        let run = folder.run(&format!("{line} --outputs heatmap"));
        run.exits(1);
        let advice =
            "no such file: 2; a number of classes comes last, and once, or is given as --top-n 2";
        assert_eq!(run.errors(), [format!("error: {advice}")]);
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
