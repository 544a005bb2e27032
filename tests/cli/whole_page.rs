//! The page of all pictures, of runs that are resumed and of parts that are joined.

use std::fs;

use serde_json::Value;

use crate::harness::{Folder, fixture};
use crate::page::{block, entries};

/// Pictures `in/00.png` and on.
fn folder(pictures: usize) -> Folder {
    let folder = Folder::new();
    for number in 0..pictures {
        folder.put(
            format!("in/{number:02}.png"),
            &fixture("builtin/cat-and-coffee-224.png"),
        );
    }
    folder
}

/// The page without what differs from one run of the same to the next.
fn timeless(folder: &Folder, page: &str) -> Vec<Value> {
    let mut entries = entries(folder, page);
    for entry in &mut entries {
        entry.as_object_mut().unwrap().shift_remove("timings_ms");
    }
    let text = String::from_utf8(folder.read(page)).unwrap();
    entries.push(block(&text, "run"));
    entries
}

fn images(folder: &Folder, page: &str) -> Vec<String> {
    let image = |entry: &Value| entry["image"].as_str().unwrap().to_owned();
    entries(folder, page).iter().map(image).collect()
}

/// Every file that an entry shows is there.
fn assert_shown(folder: &Folder, page: &str) {
    for entry in entries(folder, page) {
        let shown = &entry["page"];
        for what in ["small", "maps"] {
            match &shown[what] {
                Value::String(address) if !address.starts_with("data:") => {
                    assert!(!folder.read(&format!("maps/{address}")).is_empty());
                }
                Value::String(_) | Value::Array(_) => {}
                other => panic!("{other}"),
            }
        }
    }
}

const ASK: &str = "in tiny.npy -c 1 -m gradcam,gradient -o maps -q";

#[test]
fn the_page_of_a_resumed_run_has_all_pictures() {
    for pictures in [3, 22] {
        let folder = folder(pictures);
        let line = format!("{ASK} --report maps/page.html");
        folder.prints(&line);
        let undisturbed = timeless(&folder, "maps/page.html");
        assert_eq!(undisturbed.len(), pictures + 1);
        // As a run leaves it that was killed behind its second picture.
        let manifest = String::from_utf8(folder.read("maps/manifest.jsonl")).unwrap();
        let two: String = manifest.split_inclusive('\n').take(2).collect();
        folder.put("maps/manifest.jsonl", two.as_bytes());
        fs::remove_file(folder.path().join("maps/page.html")).unwrap();
        folder.prints(&format!("{line} --resume"));
        assert!(timeless(&folder, "maps/page.html") == undisturbed);
        assert_shown(&folder, "maps/page.html");
        // Behind its last, with the page not yet there.
        fs::remove_file(folder.path().join("maps/page.html")).unwrap();
        folder.prints(&format!("{line} --resume"));
        assert!(timeless(&folder, "maps/page.html") == undisturbed);
    }
}

#[test]
fn pictures_that_come_later_and_files_that_are_gone_have_their_place_on_the_page() {
    let folder = folder(21);
    let line = format!("{ASK} --report maps/page.html");
    folder.prints(&line);
    let small = entries(&folder, "maps/page.html")[5]["page"]["small"].clone();
    fs::remove_file(folder.path().join("maps").join(small.as_str().unwrap())).unwrap();
    // Before all others, whose files stay theirs.
    let red = image::RgbImage::from_pixel(30, 30, image::Rgb([200, 0, 0]));
    red.save(folder.path().join("in/-new.png")).unwrap();
    let others: Vec<Value> = entries(&folder, "maps/page.html")
        .iter()
        .map(|entry| entry["page"].clone())
        .collect();
    let run = folder.run(&format!("{ASK} --report maps/page.html --resume").replace(" -q", ""));
    run.exits(0);
    assert!(
        run.stderr
            .contains("maps/manifest.jsonl: 20 of 22 pictures are done"),
        "{run:#?}"
    );
    assert_shown(&folder, "maps/page.html");
    let now = entries(&folder, "maps/page.html");
    assert_eq!(now[0]["image"], "in/-new.png");
    let now: Vec<Value> = now[1..].iter().map(|entry| entry["page"].clone()).collect();
    assert_eq!(now, others);
}

#[test]
fn a_run_is_resumed_with_a_page_only_where_it_had_one() {
    let folder = folder(2);
    folder.prints(&format!("{ASK} --outputs heatmap"));
    folder.refuses(
        &format!("{ASK} --outputs heatmap --report page.html --resume"),
        2,
        &["report was not given there and is true here"],
    );
}

#[test]
fn parts_have_pages_of_their_own_and_joined_that_of_all() {
    for pictures in [4, 21] {
        let folder = folder(pictures);
        let line = format!("{ASK} --summary maps/page.html --scale image --overlay blend");
        folder.prints(&line);
        let whole = timeless(&folder, "maps/page.html");
        fs::remove_dir_all(folder.path().join("maps")).unwrap();
        for part in 1..=2 {
            folder.prints(&format!("{line} --shard {part}/2"));
        }
        assert!(!folder.names().contains(&"maps/page.html".to_owned()));
        let mut of_parts = images(&folder, "maps/page-1-of-2.html");
        of_parts.extend(images(&folder, "maps/page-2-of-2.html"));
        of_parts.sort();
        folder.prints("merge maps --report maps/page.html");
        assert_eq!(images(&folder, "maps/page.html"), of_parts);
        assert_shown(&folder, "maps/page.html");
        let mut joined = timeless(&folder, "maps/page.html");
        let run = joined.last_mut().unwrap().as_object_mut().unwrap();
        let command = run.insert("command".into(), whole[pictures]["command"].clone());
        assert_eq!(
            command.unwrap(),
            "gradcam merge maps --report maps/page.html"
        );
        if pictures <= 20 {
            assert!(joined == whole);
            continue;
        }
        // Images lie beside the parts' pages, and a page elsewhere would not find them.
        assert!(
            joined[..pictures]
                .iter()
                .zip(&whole)
                .all(|(a, b)| a["classes"] == b["classes"])
        );
        folder.refuses(
            "merge maps --report page.html",
            1,
            &["page.html: ", "is not beside it"],
        );
    }
}

#[test]
fn parts_without_a_page_make_none() {
    let folder = folder(2);
    for part in 1..=2 {
        folder.prints(&format!("{ASK} --outputs heatmap --shard {part}/2"));
    }
    folder.refuses(
        "merge maps --report page.html",
        1,
        &["manifest-1-of-2.jsonl: made without --report"],
    );
    folder.refuses("merge maps --report page.png", 2, &["ends in .html"]);
}

#[test]
fn files_of_all_pictures_have_the_part_in_their_names() {
    let folder = folder(4);
    let ask = "in tiny.npy -c 1 --outputs none -q --boxes --sheet sheet.png --coco boxes.json --csv table.csv";
    for part in 1..=2 {
        folder.prints(&format!("{ask} --shard {part}/2"));
    }
    let names = folder.names();
    let of_parts = names.iter().filter(|name| name.contains("-of-2."));
    assert_eq!(
        of_parts.collect::<Vec<_>>(),
        [
            "boxes-1-of-2.json",
            "boxes-2-of-2.json",
            "sheet-1-of-2.png",
            "sheet-2-of-2.png",
            "table-1-of-2.csv",
            "table-2-of-2.csv"
        ]
    );
    assert_eq!(names.len(), 4 + 6);
}
