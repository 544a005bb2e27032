//! Sheets with labels, and colour bars beside pictures.

use gradcam::low_level::draw::colormap::Colormap;
use image::{GenericImageView, RgbImage};
use serde_json::Value;

use crate::harness::{Folder, fixture, json_lines};

/// Where `part` lies within `sheet`, pixel by pixel.
fn places(sheet: &RgbImage, part: &RgbImage) -> Vec<(u32, u32)> {
    let (width, height) = part.dimensions();
    let (columns, rows) = (sheet.width() - width + 1, sheet.height() - height + 1);
    let is_there = |x: u32, y: u32| {
        // The first row, and only then all.
        (0..width).all(|dx| sheet.get_pixel(x + dx, y) == part.get_pixel(dx, 0))
            && sheet.view(x, y, width, height).to_image() == *part
    };
    let all = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
    all.filter(|&(x, y)| is_there(x, y)).collect()
}

/// The only place.
#[track_caller]
fn place(sheet: &RgbImage, part: &RgbImage) -> (u32, u32) {
    let places = places(sheet, part);
    assert_eq!(places.len(), 1, "{places:?}");
    places[0]
}

/// The file of a class and suffix in `folder`.
fn file(folder: &Folder, below: &str, rank: usize, suffix: &str) -> RgbImage {
    let names = folder.names();
    let (start, end) = (format!("{below}/cat_{rank}_"), format!("_{suffix}.png"));
    let name = names
        .iter()
        .find(|name| name.starts_with(&start) && name.ends_with(&end));
    folder.picture(name.expect("there is such a file"))
}

#[test]
fn a_sheet_has_the_pictures_that_files_have_in_rows_and_columns_and_says_what_made_it() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy 2 -m gradcam,hirescam,guided-bprop --sheet sheet.png";
    folder.prints(line);
    assert_eq!(folder.names(), ["sheet.png"]);
    let sheet = folder.picture("sheet.png");
    folder.prints(
        "cat.png tiny.npy 2 -m gradcam,hirescam --outputs gradcam,guided_bprop -o alone -q",
    );
    let mut all = vec![place(&sheet, &folder.picture("cat.png"))];
    for rank in 0..2 {
        for suffix in ["gradcam", "hirescam", "guided_bprop"] {
            all.push(place(&sheet, &file(&folder, "alone", rank, suffix)));
        }
    }
    let [picture, a, b, c, d, e, f] = all[..] else {
        unreachable!("seven");
    };
    assert!(
        picture.0 < a.0 && a.0 + 224 < b.0 && b.0 + 224 < c.0,
        "{all:?}"
    );
    assert!(a.1 == b.1 && b.1 == c.1 && a.1 == picture.1, "{all:?}");
    assert!(
        (a.0, b.0, c.0) == (d.0, e.0, f.0) && a.1 + 224 < d.1,
        "{all:?}"
    );

    let shown = folder.prints("show sheet.png --json");
    let made: Value = json_lines(&shown).remove(0);
    assert_eq!(made["content"], "sheet");
    assert_eq!(made["image"], serde_json::json!(["cat.png"]));
    assert_eq!(made["weights"]["sha256"].as_str().unwrap().len(), 64);
    let command: Vec<&str> = std::iter::once("gradcam").chain(line.split(' ')).collect();
    assert_eq!(made["command"], serde_json::json!(command));
}

#[test]
fn a_sheet_has_each_layer_and_all_of_them() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 -l conv4_3,conv5_3 --sheet sheet.png --alpha 0.5");
    let sheet = folder.picture("sheet.png");
    let mut columns = vec![];
    for (below, layers) in [
        ("all", "conv4_3,conv5_3"),
        ("a", "conv4_3"),
        ("b", "conv5_3"),
    ] {
        let line = format!(
            "cat.png tiny.npy -c 1 -l {layers} --outputs gradcam --alpha 0.5 -o {below} -q"
        );
        folder.prints(&line);
        columns.push(place(&sheet, &file(&folder, below, 0, "gradcam")));
    }
    assert!(columns.is_sorted_by_key(|column| column.0), "{columns:?}");
    assert!(columns.iter().all(|column| column.1 == columns[0].1));
}

#[test]
fn a_folder_that_gets_no_file_is_told_with_what_asks_for_files() {
    let folder = Folder::new();
    let run = folder.run("cat.png tiny.npy -c 1 --sheet sheet.png -o maps");
    run.exits(0);
    assert!(
        run.stderr
            .starts_with("note: nothing is written to maps: --outputs")
    );
    assert_eq!(folder.names(), ["sheet.png"]);
    folder
        .run("cat.png tiny.npy -c 1 --sheet sheet.png --outputs heatmap -o maps")
        .exits(0);
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn several_pictures_stand_on_one_sheet_or_have_one_each() {
    let folder = Folder::new();
    let wide = image::imageops::resize(
        &folder.picture("cat.png"),
        300,
        90,
        image::imageops::FilterType::Triangle,
    );
    wide.save(folder.path().join("wide.png")).unwrap();
    folder.prints("cat.png wide.png tiny.npy -n 1 --sheet sheet.png --size original -q");
    folder.prints(
        "cat.png wide.png tiny.npy -n 1 --sheet sheets/{stem}_sheet.png --size original -q",
    );
    assert_eq!(
        folder.names(),
        [
            "sheet.png",
            "sheets/cat_sheet.png",
            "sheets/wide_sheet.png",
            "wide.png"
        ]
    );
    let [all, cat, wide] = ["sheet.png", "sheets/cat_sheet.png", "sheets/wide_sheet.png"]
        .map(|name| folder.picture(name));
    assert_eq!(all.height(), cat.height() + wide.height());
    let above = all.view(0, 0, cat.width(), cat.height()).to_image();
    assert!(above == cat, "as it is alone");

    folder.put("other/cat.png", &folder.read("cat.png"));
    let twice = "cat.png other/cat.png tiny.npy --sheet {stem}.png";
    folder.refuses(twice, 1, &["cat.png", "read in the same run"]);
    let twice = "cat.png other/cat.png tiny.npy --sheet s_{stem}.png";
    folder.refuses(
        twice,
        1,
        &["cat.png", "other/cat.png", "would have the same sheet"],
    );
}

#[test]
fn a_sheet_of_too_many_pictures_or_with_a_wrong_name_is_refused() {
    let folder = Folder::new();
    for number in 0..21 {
        folder.put(
            format!("in/{number}.png"),
            &fixture("builtin/cat-and-coffee-224.png"),
        );
    }
    let line = "in tiny.npy --sheet sheet.png";
    folder.refuses(line, 1, &["21 pictures", "{stem}_sheet.png", "--report"]);
    folder.refuses(
        "tiny.npy in --sheet cat.jpg",
        2,
        &["--sheet cat.jpg", ".png"],
    );
    folder.refuses(
        "cat.png tiny.npy --sheet cat.png",
        1,
        &["cat.png", "read in the same run"],
    );
}

#[test]
fn a_colour_bar_stands_beside_the_picture_and_leaves_it_as_it_is() {
    let folder = Folder::new();
    let line =
        "cat.png tiny.npy -c 1 --outputs gradcam,guided_bprop --colormap viridis --overlay blend";
    folder.prints(&format!("{line} -o plain -q"));
    folder.prints(&format!("{line} --colorbar -o barred -q"));
    for suffix in ["gradcam", "guided_bprop"] {
        let [plain, barred] = ["plain", "barred"].map(|below| file(&folder, below, 0, suffix));
        assert!(barred.width() > 250 && barred.height() == 224);
        assert!(barred.view(0, 0, 224, 224).to_image() == plain, "{suffix}");
        let colors = match suffix {
            "gradcam" => Colormap::Viridis,
            _ => Colormap::Grey,
        };
        let right = barred.view(224, 0, barred.width() - 224, 224).to_image();
        for color in [colors.table()[250], colors.table()[128], colors.table()[5]] {
            assert!(
                right.pixels().any(|pixel| pixel.0 == color),
                "{suffix} {color:?}"
            );
        }
    }
    let run = folder.run("cat.png tiny.npy -c 1 --outputs heatmap --colorbar");
    run.exits(0);
    assert!(
        run.stderr.contains("no output asked for reads --colorbar"),
        "{run:?}"
    );
}
