//! Many pictures: trees, patterns, lists, and which of them fail.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Folder, Run, json_lines};

/// What a picture's one file is called behind its stem.
const END: &str = "_0_1_class_1_0.797_heatmap.png";

/// The smallest question there is.
const ASK: &str = "tiny.npy -c 1 --outputs heatmap";

/// With the same picture under each of these names.
fn folder_of(names: &[&str]) -> Folder {
    let folder = Folder::new();
    for name in names {
        folder.put(name, &folder.read("cat.png"));
    }
    folder
}

/// Names of the files below `maps`, each without its end.
fn maps(folder: &Folder) -> Vec<String> {
    let names = folder.names().into_iter();
    let maps = names.filter_map(|name| Some(name.strip_prefix("maps/")?.to_owned()));
    let pictures = maps.filter(|name| !name.contains("manifest"));
    pictures
        .map(|name| name.strip_suffix(END).unwrap_or(&name).to_owned())
        .collect()
}

fn images(run: &Run) -> Vec<String> {
    let lines = json_lines(&run.stdout).into_iter();
    lines
        .map(|line| line["image"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_tree_is_explained_in_order_and_its_files_lie_in_a_tree_like_it() {
    let folder = folder_of(&[
        "in/b.png",
        "in/a/2.png",
        "in/a/1.png",
        "in/a/deep/3.png",
        "in/.hidden/4.png",
    ]);
    let run = folder.run(&format!("in {ASK} --recursive -o maps --json"));
    run.exits(0);
    assert_eq!(
        images(&run),
        ["in/a/1.png", "in/a/2.png", "in/a/deep/3.png", "in/b.png"]
    );
    assert_eq!(maps(&folder), ["a/1", "a/2", "a/deep/3", "b"]);
    // Beside the pictures, and nothing of that is a picture the next time.
    folder.prints(&format!("in {ASK} -r -q"));
    let again = folder.run(&format!("in {ASK} -r --json"));
    assert_eq!(images(&again), images(&run));
    assert!(again.stderr.contains("4 files left out"), "{again:#?}");
}

#[test]
fn several_trees_have_a_folder_each() {
    let folder = folder_of(&["in/cats/1.png", "in/dogs/1.png", "in/dogs/old/1.png"]);
    folder.prints(&format!("in/cats ./in/dogs/ {ASK} -r -o maps -q"));
    assert_eq!(maps(&folder), ["cats/1", "dogs/1", "dogs/old/1"]);
}

#[test]
fn a_folder_without_pictures_of_its_own_says_how_to_look_further() {
    let folder = folder_of(&["in/a/1.png"]);
    folder.refuses(
        &format!("in {ASK}"),
        1,
        &["no pictures in the folder in", "--recursive"],
    );
    folder.put("none/a/notes.txt", b"");
    folder.refuses(
        &format!("none -r {ASK}"),
        1,
        &["the folder none and the folders below it"],
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_around_are_followed_once() {
    use std::os::unix::fs::symlink;

    let folder = folder_of(&["in/z/1.png", "elsewhere/2.png"]);
    let link = |to: &str, at: &str| symlink(to, folder.path().join(at)).unwrap();
    link("..", "in/z/up");
    link("z", "in/a");
    link("../elsewhere", "in/outside");
    link("round", "in/round");
    // Two ways down at each step: a million ways to the last one.
    for step in 0..20 {
        fs::create_dir(folder.path().join(format!("in/steps{step}"))).unwrap();
        for side in ["l", "r"] {
            link(
                &format!("../steps{}", step + 1),
                &format!("in/steps{step}/{side}"),
            );
        }
    }
    let run = folder.run(&format!("in {ASK} -r -o maps --json -q"));
    run.exits(0);
    assert_eq!(images(&run), ["in/outside/2.png", "in/z/1.png"]);
    for name in ["outside/2", "z/1"] {
        let file = folder.path().join(format!("maps/{name}{END}"));
        assert!(file.is_file(), "{name}");
    }
}

#[test]
fn a_pattern_that_no_shell_has_replaced_is_what_it_matches() {
    let folder = folder_of(&["in/a/1.png", "in/a/2.png", "in/b/1.png", "in/[x].png"]);
    for (pattern, found) in [
        ("in/a/*.png", &["in/a/1.png", "in/a/2.png"][..]),
        ("in/*/1.png", &["in/a/1.png", "in/b/1.png"]),
        (
            "in/**/[12].p?g",
            &["in/a/1.png", "in/a/2.png", "in/b/1.png"],
        ),
        // A file of that very name.
        ("in/[x].png", &["in/[x].png"]),
        ("in/b*", &["in/b/1.png"]),
    ] {
        let run = folder.run(&format!("{pattern} {ASK} -o maps --json -q"));
        run.exits(0);
        assert_eq!(images(&run), found, "{pattern}");
    }
    // Below what stands before the pattern.
    assert_eq!(maps(&folder), ["1", "2", "[x]", "a/1", "a/2", "b/1"]);
}

#[test]
fn a_list_names_pictures_and_folders_whose_files_lie_as_they_are_named() {
    let folder = folder_of(&["in/a/1.png", "in/b/1.png", "2.png"]);
    folder.put("list.txt", b"in/b/1.png\r\n2.png\r\n\r\nin/a\r\n");
    let run = folder.run(&format!("--files-from list.txt {ASK} -o maps --json -q"));
    run.exits(0);
    assert_eq!(images(&run), ["in/b/1.png", "2.png", "in/a/1.png"]);
    assert_eq!(maps(&folder), ["2", "in/a/1", "in/b/1"]);
    let absolute = folder.path().canonicalize().unwrap().join("in/b/1.png");
    folder.put("list.txt", absolute.to_str().unwrap().as_bytes());
    folder.prints(&format!("--files-from list.txt {ASK} -o below -q"));
    assert!(folder.names().contains(&format!("below/in/b/1{END}")));
}

#[test]
fn a_list_comes_from_standard_input_as_well() {
    let folder = folder_of(&["a\nb.png", "c.png"]);
    folder.put("list", b"c.png\0a\nb.png\0");
    let arguments: Vec<&str> = ["--files-from", "-", "--json", "-q"]
        .into_iter()
        .chain(ASK.split(' '))
        .collect();
    let mut command = folder.command(&arguments);
    command.stdin(fs::File::open(folder.path().join("list")).unwrap());
    let run = Run::of(&mut command);
    run.exits(0);
    assert_eq!(images(&run), ["c.png", "a\nb.png"]);
    let mut command = folder.command(&arguments);
    command.stdin(Stdio::null());
    Run::of(&mut command).fails(1, &["- names no picture", "one name a line"]);
}

#[test]
fn lists_that_cannot_be_read_say_why() {
    let folder = Folder::new();
    folder.put("wide.txt", b"\xff\xfea\0.\0p\0n\0g\0");
    folder.put("empty.txt", b"\n\n");
    for (list, parts) in [
        ("absent.txt", &["cannot read the list absent.txt"][..]),
        ("wide.txt", &["UTF-16", "UTF-8"]),
        ("empty.txt", &["empty.txt names no picture"]),
    ] {
        folder.refuses(&format!("--files-from {list} {ASK}"), 1, parts);
    }
    folder.refuses(
        &format!("cat.png --null {ASK}"),
        2,
        &["--files-from LIST --null"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_list_may_hold_any_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    let name = Path::new(std::ffi::OsStr::from_bytes(b"in/caf\xe9.png"));
    folder.put(name, &folder.read("cat.png"));
    folder.put("list", b"in/caf\xe9.png\n");
    let run = folder.run(&format!("--files-from list {ASK} -o maps --json -q"));
    run.exits(0);
    assert_eq!(json_lines(&run.stdout)[0]["image_bytes"], "in/caf%E9.png");
    let file = format!("maps/in/caf\u{e9}{END}").replace('\u{e9}', "\\xE9");
    let names: Vec<String> = fs::read_dir(folder.path().join("maps/in"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .as_bytes()
                .escape_ascii()
                .to_string()
        })
        .collect();
    assert_eq!(
        names,
        [file
            .strip_prefix("maps/in/")
            .unwrap()
            .replace("\\xE9", "\\xe9")]
    );
}

#[test]
fn pictures_of_one_stem_have_files_of_their_own() {
    let folder = folder_of(&["in/a.png", "in/b.png"]);
    folder.put("in/a.jpg", &crate::harness::fixture("pictures/rgb.jpg"));
    let run = folder.run(&format!("in {ASK} -o maps --format png --json"));
    run.exits(0);
    assert_eq!(json_lines(&run.stdout).len(), 3);
    let stems = maps(&folder);
    assert_eq!(stems[1..], ["a.png", "b"]);
    assert!(stems[0].starts_with("a.jpg_0_1_class_1_"), "{stems:?}");
    // Their own formats tell them apart already.
    folder.prints(&format!("in {ASK} -o apart -q"));
    assert!(folder.names().contains(&format!("apart/a{END}")));
}

#[test]
fn a_failure_has_its_place_among_the_results() {
    let folder = folder_of(&["a.png", "c.png"]);
    folder.put("b.png", b"no picture");
    let run = folder.run(&format!("a.png missing.png b.png c.png {ASK} --json -q"));
    run.exits(1);
    let lines = json_lines(&run.stdout);
    let images: Vec<_> = lines
        .iter()
        .map(|line| line["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["a.png", "missing.png", "b.png", "c.png"]);
    let failed: Vec<bool> = lines
        .iter()
        .map(|line| line.get("error").is_some())
        .collect();
    assert_eq!(failed, [false, true, true, false]);
    assert_eq!(run.errors().len(), 2);
}

#[test]
fn the_first_failure_is_the_last_picture_where_that_is_asked() {
    let folder = folder_of(&["in/a.png", "in/c.png", "in/d.png"]);
    folder.put("in/b.png", b"no picture");
    let run = folder.run(&format!("in {ASK} --fail-fast --json"));
    run.exits(1);
    assert_eq!(images(&run), ["in/a.png", "in/b.png"]);
    assert_eq!(run.errors().len(), 1);
    assert!(
        run.stderr
            .contains("note: stopped here, as --fail-fast asks: 2 pictures are left"),
        "{run:#?}"
    );
}
