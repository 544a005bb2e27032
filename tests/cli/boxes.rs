//! Hot regions of maps: boxed, masked, told in the JSON and as COCO annotations; and maps held against a known box.

use serde_json::Value;

use crate::harness::{Folder, fixture};

const STEM: &str = "cat_0_1_class_1_0.797";

fn numbers(value: &Value) -> Vec<f64> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The map of the first class and method, with its regions.
fn first_map(report: &Value) -> &Value {
    &report["classes"][0]["maps"][0]
}

/// A folder with `wide.png`, 24 x 16, of which the network sees columns 4 to 19.
fn wide() -> Folder {
    let folder = Folder::new();
    folder.put("wide.png", &fixture("pictures/rgb.png"));
    folder
}

#[test]
fn the_hottest_region_is_told_as_the_mask_and_the_heat_map_show_it() {
    let folder = wide();
    let line = "wide.png tiny.npy -c 1 --outputs heatmap16,mask --size original --boxes";
    let report = folder.json(line).remove(0);
    let map = first_map(&report);
    let regions = map["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 1);
    let mask = folder.picture(map["files"]["mask"].as_str().unwrap());
    assert_eq!(mask.dimensions(), (24, 16));
    assert!(
        mask.pixels()
            .all(|pixel| matches!(pixel.0, [0, 0, 0] | [255, 255, 255]))
    );
    let white: Vec<_> = mask
        .enumerate_pixels()
        .filter(|(_, _, p)| p.0[0] == 255)
        .collect();
    let region = &regions[0];
    assert_eq!(region["area"], white.len());
    let edges = numbers(&region["box"]);
    let [left, top, width, height] = edges[..] else {
        panic!("{region}");
    };
    let columns = white.iter().map(|p| f64::from(p.0));
    let rows = white.iter().map(|p| f64::from(p.1));
    assert_eq!(columns.clone().fold(f64::INFINITY, f64::min), left);
    assert_eq!(columns.fold(0.0, f64::max), left + width - 1.0);
    assert_eq!(rows.clone().fold(f64::INFINITY, f64::min), top);
    assert_eq!(rows.fold(0.0, f64::max), top + height - 1.0);
    // The centre square, 16 pixels of the picture for 224 of the network's.
    let seen = numbers(&region["box_seen"]);
    let expected = [14.0 * (left - 4.0), 14.0 * top, 14.0 * width, 14.0 * height];
    assert_eq!(seen, expected);
    // In 65,536 levels.
    let heat = folder.read(map["files"]["heatmap16"].as_str().unwrap());
    let heat = image::load_from_memory(&heat).unwrap().into_luma16();
    for (x, y, pixel) in mask.enumerate_pixels() {
        if pixel.0[0] == 255 {
            assert!(f64::from(heat.get_pixel(x, y).0[0]) >= 0.15 * 65535.0 - 0.5);
        }
    }
    let sum = |pixels: &mut dyn Iterator<Item = u16>| pixels.map(f64::from).sum::<f64>();
    let all = sum(&mut heat.pixels().map(|p| p.0[0]));
    let inside = sum(&mut white.iter().map(|(x, y, _)| heat.get_pixel(*x, *y).0[0]));
    let energy = region["energy"].as_f64().unwrap();
    assert!(
        (energy - inside / all).abs() < 1e-4,
        "{energy} and {}",
        inside / all
    );
}

#[test]
fn the_size_of_the_pictures_changes_nothing_in_the_regions() {
    let folder = wide();
    let regions = |options: &str| {
        let report = folder
            .json(&format!("wide.png tiny.npy -c 1 --boxes {options}"))
            .remove(0);
        first_map(&report)["regions"].clone()
    };
    let at_once = regions("--outputs raw");
    assert_eq!(regions("--size original"), at_once);
    assert_eq!(regions("--size model"), at_once);
    assert_eq!(regions("--outputs gradcam --scale 7"), at_once);
}

#[test]
fn boxes_are_drawn_over_the_map_and_nothing_else_changes() {
    let folder = Folder::new();
    let draw = |options: &str| {
        folder.json(&format!(
            "cat.png tiny.npy -c 1 --outputs gradcam,heatmap,mask{options}"
        ));
        ["gradcam", "heatmap", "mask"].map(|suffix| folder.picture(&format!("{STEM}_{suffix}.png")))
    };
    let [plain, heat, mask] = draw("");
    let [boxed, same_heat, same_mask] = draw(" --boxes");
    assert_eq!((heat, &mask), (same_heat, &same_mask));
    let changed = |x, y| plain.get_pixel(x, y) != boxed.get_pixel(x, y);
    let inside = |x: u32, y: u32| mask.get_pixel(x, y).0[0] == 255;
    let lines = (0..224).flat_map(|y| (0..224).map(move |x| (x, y)));
    let lines: Vec<_> = lines.filter(|&(x, y)| changed(x, y)).collect();
    let white = lines
        .iter()
        .filter(|&&(x, y)| boxed.get_pixel(x, y).0 == [255; 3]);
    assert!(white.count() > 50);
    let columns = (0..224).filter(|&x| (0..224).any(|y| inside(x, y)));
    let (left, right) = (columns.clone().min().unwrap(), columns.max().unwrap());
    assert!(lines.iter().all(|&(x, _)| x + 2 >= left && x <= right + 2));
}

#[test]
fn all_regions_of_a_least_area_are_told_and_a_higher_threshold_leaves_less() {
    let folder = Folder::new();
    let regions = |options: &str| {
        let line = format!("cat.png tiny.npy -c 1 --outputs mask -m gradient {options}");
        let report = folder.json(&line).remove(0);
        first_map(&report)["regions"].as_array().unwrap().clone()
    };
    let area = |region: &Value| region["area"].as_u64().unwrap();
    let all = regions("--boxes=all --box-area 0 --box-threshold 0.5");
    assert!(all.len() > 3);
    assert!(all.is_sorted_by_key(|region| std::cmp::Reverse(area(region))));
    let largest = regions("--boxes --box-threshold 0.5");
    assert_eq!(largest[..], all[..1]);
    let least = (area(&all[0]) as f64 - 0.5) / f64::from(224 * 224);
    let few = regions(&format!(
        "--boxes=all --box-area {least} --box-threshold 0.5"
    ));
    assert!(few.iter().all(|region| area(region) == area(&all[0])));
    assert!(area(&regions("--boxes --box-threshold 0.3")[0]) >= area(&all[0]));
}

#[test]
fn a_map_that_shows_no_place_has_no_box_and_a_note_says_so() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --json --outputs gradcam,mask --boxes -m vargrad --samples 1";
    let run = folder.run(line);
    run.exits(0);
    assert!(
        run.stderr
            .contains("no region of the vargrad map of class 1, class_1: the map is empty"),
        "{run:#?}"
    );
    let report = crate::harness::json_lines(&run.stdout).remove(0);
    let map = first_map(&report);
    assert_eq!(map["regions"], serde_json::json!([]));
    let mask = folder.picture(map["files"]["vargrad_mask"].as_str().unwrap());
    assert!(mask.pixels().all(|pixel| pixel.0 == [0; 3]));
    let line = "cat.png tiny.npy -c 1 --json --outputs mask --boxes=all --box-area 1";
    let run = folder.run(line);
    assert!(
        run.stderr
            .contains("none takes 1 of the picture, see --box-area"),
        "{run:#?}"
    );
}

#[test]
fn coco_annotations_have_every_picture_class_and_region() {
    let folder = wide();
    let line = "cat.png wide.png tiny.npy -n 2 --outputs mask --boxes=all --coco found.json --size original";
    let reports = folder.json(line);
    let coco: Value = serde_json::from_slice(&folder.read("found.json")).unwrap();
    let images = coco["images"].as_array().unwrap();
    let names: Vec<_> = images
        .iter()
        .map(|image| image["file_name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cat.png", "wide.png"]);
    assert_eq!(
        (&images[1]["width"], &images[1]["height"]),
        (&24.into(), &16.into())
    );
    assert_eq!(coco["categories"].as_array().unwrap().len(), 5);
    assert_eq!(coco["categories"][1]["name"], "class_1");
    let mut annotations = coco["annotations"].as_array().unwrap().iter();
    for (report, image) in reports.iter().zip(images) {
        for class in report["classes"].as_array().unwrap() {
            let regions = class["maps"][0]["regions"].as_array();
            for region in regions.into_iter().flatten() {
                let annotation = annotations.next().expect("one for each region");
                assert_eq!(annotation["image_id"], image["id"]);
                assert_eq!(annotation["category_id"], class["id"]);
                assert_eq!(annotation["score"], class["probability"]);
                assert_eq!(annotation["bbox"], region["box"]);
                assert_eq!(annotation["area"], region["area"]);
            }
        }
    }
    assert_eq!(annotations.next(), None);
}

#[test]
fn coco_annotations_never_take_the_place_of_a_picture_or_a_folder() {
    let folder = Folder::new();
    for (file, part) in [
        ("cat.png", "not written over"),
        (".", "directory"),
        ("tiny.npy/found.json", "not a directory"),
    ] {
        folder.refuses(&format!("cat.png tiny.npy --coco {file}"), 1, &[part]);
    }
}

#[test]
fn a_known_box_is_told_its_share_of_the_heat_and_whether_the_hottest_pixel_lies_in_it() {
    let folder = wide();
    let line = "wide.png tiny.npy -c 1 --outputs heatmap16 --size original --box";
    let of = |known: &str| {
        let report = folder.json(&format!("{line} {known}")).remove(0);
        let map = first_map(&report).clone();
        (
            map["energy_in_box"].as_f64().unwrap(),
            map["pointing_hit"].as_bool().unwrap(),
            map,
        )
    };
    let (all, hit, map) = of("0,0,24,16");
    assert!(hit && (all - 1.0).abs() < 1e-9, "{all}");
    let heat = folder.read(map["files"]["heatmap16"].as_str().unwrap());
    let heat = image::load_from_memory(&heat).unwrap().into_luma16();
    let total: f64 = heat.pixels().map(|p| f64::from(p.0[0])).sum();
    let left: f64 = heat
        .enumerate_pixels()
        .filter(|(x, ..)| *x < 12)
        .map(|(.., p)| f64::from(p.0[0]))
        .sum();
    let (energy, _, _) = of("-5,0,17,16");
    assert!((energy - left / total).abs() < 1e-4);
    let (x, y, _) = heat
        .enumerate_pixels()
        .find(|(.., p)| p.0[0] == 65535)
        .unwrap();
    assert!(of(&format!("{x},{y},1,1")).1);
    assert!(!of(&format!("{x},{y},0.4,1")).1);
    // What the network did not see holds nothing.
    assert_eq!(of("0,0,4,16").0, 0.0);
}

#[test]
fn each_of_many_pictures_is_held_against_its_own_box_of_a_file() {
    let folder = wide();
    for place in ["in/a.png", "in/b.png", "in/sub/a.png", "in/none.png"] {
        folder.put(place, &folder.read("wide.png"));
    }
    let coco = serde_json::json!({
        "images": [
            {"id": 1, "file_name": "in/a.png"}, {"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "sub/a.png"}
        ],
        "annotations": [
            {"image_id": 3, "bbox": [8, 0, 8, 16]}, {"image_id": 1, "bbox": [0, 0, 24, 16]}, {"image_id": 2, "bbox": [4, 0, 8, 16]}
        ],
    });
    folder.put("coco.json", coco.to_string().as_bytes());
    folder.put(
        "boxes.csv",
        b"image,x,y,width,height\n./in/a.png,0,0,24,16\nb.png,4,0,8,16\nsub/a.png,8,0,8,16\n",
    );
    let alone = |known: &str| {
        let line = format!("wide.png tiny.npy -c 1 --outputs none --box {known}");
        first_map(&folder.json(&line)[0])["energy_in_box"].clone()
    };
    let expected = [
        Some(alone("0,0,24,16")),
        Some(alone("4,0,8,16")),
        None,
        Some(alone("8,0,8,16")),
    ];
    for file in ["boxes.csv", "coco.json"] {
        let line = format!("in tiny.npy -r -c 1 --outputs none --json --box {file}");
        let run = folder.run(&line);
        run.exits(0);
        assert_eq!(
            run.stderr,
            format!("note: {file}: 1 of 4 pictures have no box in it\n")
        );
        let reports = crate::harness::json_lines(&run.stdout);
        for (report, expected) in reports.iter().zip(&expected) {
            let energy = |value: &Value| value.as_f64().unwrap();
            let found = first_map(report).get("energy_in_box").map(energy);
            // Of many pictures other kernels may repay themselves.
            let near = match (found, expected.as_ref().map(energy)) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
                (found, expected) => found == expected,
            };
            assert!(near, "{found:?} {expected:?}");
            assert_eq!(report["settings"].get("box").is_some(), expected.is_some());
        }
        assert_eq!(
            reports[1]["settings"]["box"],
            serde_json::json!([4.0, 0.0, 8.0, 16.0])
        );
    }

    for (text, said) in [
        ("a.png,1,2,3,4\n", "a.png may be in/a.png or in/sub/a.png"),
        (
            &"b.png,1,2,3,4\n".repeat(1001),
            "b.png has 1001 boxes; at most 1000",
        ),
        (
            "image,x,y,width,height,class\nb.png,1,2,3,4,9\n",
            "no class 9: the network's classes are 0 to",
        ),
        ("other.png,1,2,3,4\n", "none of its 1 boxes"),
        (
            "b.png,1,2,3\n",
            "line 1: not a name and four numbers; a file of boxes is CSV",
        ),
    ] {
        folder.put("wrong.csv", text.as_bytes());
        folder.refuses("in tiny.npy -r --box wrong.csv", 1, &["wrong.csv", said]);
    }
    folder.refuses(
        "in tiny.npy -r --box absent.csv",
        1,
        &["cannot read the boxes absent.csv", "four numbers"],
    );
}

#[test]
fn several_boxes_of_a_picture_are_taken_together_and_each_is_told() {
    let folder = wide();
    let line = "wide.png tiny.npy -c 1 --outputs none";
    let energy = |boxes: &str| {
        let report = folder.json(&format!("{line} {boxes}")).remove(0);
        first_map(&report)["energy_in_box"].as_f64().unwrap()
    };
    let (left, right) = ("--box 4,0,8,16", "--box 10,0,8,16");
    // What lies in two boxes counts once.
    let both = format!("{line} {left} {right}");
    let report = folder.json(&both).remove(0);
    let map = first_map(&report);
    let together = map["energy_in_box"].as_f64().unwrap();
    assert!((together - energy("--box 4,0,14,16")).abs() < 1e-9);
    let each: Vec<f64> = map["each_box"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["energy"].as_f64().unwrap())
        .collect();
    assert_eq!(each, [energy(left), energy(right)]);
    let hits = [energy_hit(map, 0), energy_hit(map, 1)];
    assert_eq!(map["pointing_hit"], hits[0] || hits[1]);
    assert_eq!(
        report["settings"]["boxes"],
        serde_json::json!([[4.0, 0.0, 8.0, 16.0], [10.0, 0.0, 8.0, 16.0]])
    );
    // The same from a file, with a row of the table.
    folder.put("boxes.csv", b"wide.png,4,0,8,16\nwide.png,10,0,8,16\n");
    let of_file = folder
        .json(&format!("{line} --box boxes.csv --csv t.csv"))
        .remove(0);
    assert_eq!(first_map(&of_file)["each_box"], map["each_box"]);
    let table = String::from_utf8(folder.read("t.csv")).unwrap();
    assert!(
        table
            .lines()
            .next()
            .unwrap()
            .ends_with(",energy_in_box,pointing_hit")
    );
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .contains(&format!(",{together},"))
    );
    folder.refuses(
        &format!("{line} {left} --box boxes.csv"),
        2,
        &["boxes.csv is one of several", "one file"],
    );
}

fn energy_hit(map: &Value, place: usize) -> bool {
    map["each_box"][place]["hit"].as_bool().unwrap()
}

#[test]
fn a_box_with_a_class_is_for_the_maps_of_that_class_alone() {
    let folder = wide();
    let energies = |file: &str, labels: &str| {
        let line = format!("wide.png tiny.npy -c 0 -c 1 --outputs none --json --box {file}");
        let run = folder.run(&format!("{line} {labels}"));
        run.exits(0);
        let report = crate::harness::json_lines(&run.stdout).remove(0);
        let classes = report["classes"].as_array().unwrap().clone();
        let energy = |class: &Value| class["maps"][0].get("energy_in_box").cloned();
        let energies: Vec<Option<Value>> = classes.iter().map(energy).collect();
        (energies, run.stderr)
    };
    folder.put("all.csv", b"wide.png,4,0,8,16\n");
    let (expected, _) = energies("all.csv", "");
    folder.put(
        "one.csv",
        b"image,x,y,width,height,class\nwide.png,4,0,8,16,1\n",
    );
    let (found, told) = energies("one.csv", "");
    assert_eq!((&found[0], &found[1], &*told), (&None, &expected[1], ""));

    let names: Vec<String> = (0..5).map(|i| format!("kind {i}")).collect();
    folder.put("names.txt", names.join("\n").as_bytes());
    let coco = |category: &str, other: &str| {
        let coco = serde_json::json!({
            "images": [{"id": 1, "file_name": "wide.png"}],
            "annotations": [
                {"image_id": 1, "bbox": [4, 0, 8, 16], "category_id": 1}, {"image_id": 1, "bbox": [0, 0, 24, 16], "category_id": 2}
            ],
            "categories": [{"id": 1, "name": category}, {"id": 2, "name": other}],
        });
        folder.put("coco.json", coco.to_string().as_bytes());
        energies("coco.json", "--labels names.txt")
    };
    let (found, told) = coco("kind 1", "couch");
    assert_eq!((&found[0], &found[1]), (&None, &expected[1]));
    assert!(
        told.contains("1 of its 2 categories, \"couch\" first, are no classes"),
        "{told}"
    );
    // Words that a class's name has are not its name.
    let (found, told) = coco("kind", "couch");
    assert!(
        found
            .iter()
            .all(|energy| (energy.as_ref().unwrap().as_f64().unwrap() - 1.0).abs() < 1e-9)
    );
    assert!(
        told.contains("each map is held against all boxes of its picture"),
        "{told}"
    );
    let (found, _) = coco("kind 0", "kind 1");
    assert_eq!(found[0], expected[0]);
}

#[test]
fn a_run_with_other_boxes_is_not_gone_on_with() {
    let folder = wide();
    folder.put("in/a.png", &folder.read("wide.png"));
    folder.put("boxes.csv", b"a.png,1,2,3,4\n");
    let line = "in tiny.npy -c 1 --outputs heatmap -o maps -q --box boxes.csv";
    folder.prints(line);
    folder.put("boxes.csv", b"a.png,1,2,3,5\n");
    folder.refuses(
        &format!("{line} --resume"),
        2,
        &["box was a file of SHA-256"],
    );
}

#[test]
fn boxes_that_make_no_sense_are_refused_with_what_to_type() {
    let folder = wide();
    for (options, part) in [
        (
            "--box-threshold 0.2",
            "--box-threshold is for --boxes, --coco and --outputs mask",
        ),
        ("--boxes --box-threshold 0", "goes from above 0 to 1"),
        ("--boxes --box-area 0.1", "add --boxes=all"),
        ("--boxes=all --box-area 2", "as in --box-area 0.01"),
        ("--boxes --signed", "drop one of the two"),
        (
            "--outputs mask --signed",
            "--outputs mask is of the first alone",
        ),
        (
            "wide.png --box 0,0,5,5",
            "four numbers of --box are of one picture, and there are 2",
        ),
    ] {
        folder.refuses(&format!("cat.png tiny.npy {options}"), 2, &[part]);
    }
    let run = folder.run("cat.png tiny.npy --box 0,0,5");
    assert!(
        run.code == Some(2) && run.stderr.contains("20,35,110,80"),
        "{run:#?}"
    );
    folder.refuses(
        "wide.png tiny.npy --box 30,0,5,5",
        1,
        &["wide.png", "outside of the picture, which is 24 x 16"],
    );
}
