//! The page of `--report` as a file: its data, its names, what lies beside it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::harness::{Folder, fixture};
use crate::schema;

/// The JSON in the page's block of this id.
pub(crate) fn block(page: &str, id: &str) -> Value {
    let opening = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&opening).expect("there is such a block");
    let (text, _) = rest.split_once("</script>").expect("it ends");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Its entries, each as the schema says.
pub(crate) fn entries(folder: &Folder, page: &str) -> Vec<Value> {
    let page = String::from_utf8(folder.read(page)).unwrap();
    let entries = block(&page, "entries").as_array().unwrap().clone();
    entries.iter().for_each(schema::check);
    entries
}

/// The map of a class, method and layer.
fn map<'a>(entry: &'a Value, class: usize, method: &str, layer: Option<&str>) -> &'a Value {
    let maps = entry["page"]["maps"].as_array().unwrap().iter();
    let mut found = maps.filter(|map| {
        map["class"] == class && map["method"] == method && map["layer"].as_str() == layer
    });
    let map = found.next().expect("there is such a map");
    assert!(found.next().is_none(), "one each");
    map
}

/// A map's values from its levels.
fn values(map: &Value) -> Vec<f64> {
    let number = |name: &str| map[name].as_f64().unwrap();
    let (low, high) = (number("low"), number("high"));
    let bytes = STANDARD.decode(map["levels"].as_str().unwrap()).unwrap();
    let levels = bytes.as_chunks::<2>().0.iter();
    levels
        .map(|&pair| low + (high - low) * f64::from(u16::from_le_bytes(pair)) / 65535.0)
        .collect()
}

#[track_caller]
fn assert_levels(map: &Value, raw: &(Vec<f32>, Vec<usize>)) {
    let (raw, shape) = raw;
    assert_eq!(map["size"], serde_json::json!([shape[1], shape[0]]));
    let step = (map["high"].as_f64().unwrap() - map["low"].as_f64().unwrap()) / 65535.0;
    let values = values(map);
    assert_eq!(values.len(), raw.len());
    for (value, &raw) in values.iter().zip(raw) {
        // Half a level, and float32's rounding of what it is held against.
        let allowed = 0.5001 * step + 1e-7 * f64::from(raw.abs());
        assert!((value - f64::from(raw)).abs() <= allowed, "{value}, {raw}");
    }
}

#[test]
fn a_page_alone_is_the_only_file_and_has_the_json_the_maps_and_what_made_them() {
    let folder = Folder::new();
    let what = "cat.png tiny.npy 2 -m gradcam,guided-bprop,occlusion --patch 112";
    folder.prints(&format!("{what} --report page.html -q"));
    assert_eq!(folder.names(), ["page.html"]);
    let mut entry = entries(&folder, "page.html").remove(0);
    assert_levels_and_pictures(&folder, &entry);

    // But for what was written and how long it took, the line is that of --json.
    let mut line = folder.json(&format!("{what} --outputs none -q"))[0].clone();
    for one in [&mut entry, &mut line] {
        let fields = one.as_object_mut().unwrap();
        fields.remove("page");
        fields.remove("timings_ms");
        let settings = fields["settings"].as_object_mut().unwrap();
        settings.retain(|name, _| !["scale", "colormap", "pixel_scale"].contains(&name.as_str()));
    }
    assert_eq!(entry, line);
    assert_eq!(line["weights"]["sha256"].as_str().unwrap().len(), 64);

    let page = String::from_utf8(folder.read("page.html")).unwrap();
    let run = block(&page, "run");
    let command = "gradcam cat.png tiny.npy 2 -m gradcam,guided-bprop,occlusion --patch 112";
    assert_eq!(run["command"], format!("{command} --report page.html -q"));
    assert_eq!(run["methods"]["gradcam"], "layer");
    assert_eq!(run["methods"]["occlusion"], "picture");
    assert_eq!(run["colormaps"]["grey"].as_str().unwrap().len(), 6 * 256);
}

fn assert_levels_and_pictures(folder: &Folder, entry: &Value) {
    let page = &entry["page"];
    assert_eq!(page["size"], serde_json::json!([224, 224]));
    assert_eq!(page["seen"], serde_json::json!([0.0, 0.0, 224.0, 224.0]));
    let picture = |address: &Value| {
        let address = address.as_str().unwrap();
        let data = address.strip_prefix("data:image/jpeg;base64,").unwrap();
        let picture = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
        picture.into_rgb8()
    };
    let shown = picture(&page["picture"]);
    let cat = folder.picture("cat.png");
    let differences = shown.iter().zip(cat.iter());
    let sum: u32 = differences.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let mean = f64::from(sum) / f64::from(3 * 224 * 224);
    assert!(mean < 4.0, "the picture, as JPEG has it: {mean}");

    let other = Folder::new();
    let report =
        &other.json("cat.png tiny.npy 2 -m gradcam,occlusion --patch 112 --outputs raw -q")[0];
    for rank in 0..2 {
        let maps = &report["classes"][rank]["maps"];
        let raw =
            |place: usize, name: &str| other.array(maps[place]["files"][name].as_str().unwrap());
        assert_levels(map(entry, rank, "gradcam", None), &raw(0, "gradcam.npy"));
        let guided = map(entry, rank, "guided-bprop", None);
        assert_eq!(picture(&guided["picture"]).dimensions(), (224, 224));
        // Of 224 x 224 values means of 1.75 x 1.75.
        let occlusion = map(entry, rank, "occlusion", None);
        assert_eq!(occlusion["size"], serde_json::json!([128, 128]));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let raw: Vec<f64> = raw(1, "occlusion.npy")
            .0
            .into_iter()
            .map(f64::from)
            .collect();
        let spread = occlusion["high"].as_f64().unwrap() - occlusion["low"].as_f64().unwrap();
        let apart = mean(&values(occlusion)) - mean(&raw);
        assert!(apart.abs() < 1e-5 * spread, "{apart} of {spread}");
    }
}

#[test]
fn of_several_layers_the_page_has_each_and_all() {
    let folder = Folder::new();
    let what = "cat.png tiny.npy -c 1 -m gradcam,fullgrad";
    folder.prints(&format!("{what} -l conv4_3,conv5_3 --report page.html -q"));
    let entry = entries(&folder, "page.html").remove(0);
    assert_eq!(entry["page"]["maps"].as_array().unwrap().len(), 4);
    assert_eq!(
        map(&entry, 0, "gradcam", None)["size"],
        serde_json::json!([128, 128])
    );
    map(&entry, 0, "fullgrad", None);
    for layer in ["conv4_3", "conv5_3"] {
        let line = format!("cat.png tiny.npy -c 1 -l {layer} --outputs raw -o {layer} -q");
        let report = &folder.json(&line)[0];
        let file = report["classes"][0]["maps"][0]["files"]["gradcam.npy"].as_str();
        assert_levels(
            map(&entry, 0, "gradcam", Some(layer)),
            &folder.array(file.unwrap()),
        );
    }
}

#[test]
fn files_that_are_asked_for_are_written_beside_a_page_and_none_where_none_is() {
    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 --report page.html --outputs heatmap");
    assert_eq!(
        folder.names(),
        ["cat_0_1_class_1_0.797_heatmap.png", "page.html"]
    );
    let entry = entries(&folder, "page.html").remove(0);
    let files = &entry["classes"][0]["maps"][0]["files"];
    assert_eq!(files["heatmap"], "cat_0_1_class_1_0.797_heatmap.png");

    let folder = Folder::new();
    folder.prints("cat.png tiny.npy -c 1 --outputs none");
    assert_eq!(folder.names(), Vec::<String>::new());
    folder.refuses(
        "cat.png tiny.npy --outputs none,raw",
        2,
        &["--outputs none", "raw", "keep one"],
    );
}

#[test]
fn a_page_with_a_wrong_name_or_over_a_file_that_is_read_is_refused() {
    let folder = Folder::new();
    folder.refuses(
        "cat.png tiny.npy --report cat.png",
        2,
        &["--report cat.png", ".html"],
    );
    folder.put("names.html", b"a\nb\nc\nd\ne\n");
    let over = "cat.png tiny.npy --labels names.html --report ./names.html";
    folder.refuses(over, 1, &["names.html", "read in the same run"]);
    folder.put("file", b"x");
    folder.refuses(
        "cat.png tiny.npy --report file/page.html",
        1,
        &["file/page.html", "not a directory"],
    );
}

#[test]
fn pictures_that_fail_have_their_place_in_the_page() {
    let folder = Folder::new();
    let hostile = "a</script><!-- '&.png";
    folder.put(hostile, &folder.read("cat.png"));
    folder.put("broken.png", b"nothing");
    let words = [
        hostile,
        "broken.png",
        "absent.png",
        "tiny.npy",
        "-n",
        "1",
        "--report",
        "a page #1.html",
    ];
    let run = crate::harness::Run::of(&mut folder.command(&words));
    run.exits(1);
    let entries = entries(&folder, "a page #1.html");
    let error = |entry: &Value| entry["error"].as_str().map(str::to_owned);
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry["image"].as_str().unwrap(), error(entry).is_some()))
        .collect();
    assert_eq!(
        found,
        [(hostile, false), ("broken.png", true), ("absent.png", true)]
    );
    assert!(
        entries[0]["page"]["small"]
            .as_str()
            .unwrap()
            .starts_with("data:image/jpeg")
    );

    // Nothing was explained: nothing to show.
    let folder = Folder::new();
    folder.put("broken.png", b"nothing");
    folder.refuses("broken.png tiny.npy --report page.html", 1, &["broken.png"]);
}

#[test]
fn of_many_pictures_the_page_has_the_data_and_the_rest_lies_beside_it() {
    let folder = Folder::new();
    for number in 0..21 {
        folder.put(
            format!("in/{number:02}.png"),
            &fixture("builtin/cat-and-coffee-224.png"),
        );
    }
    folder.prints("in tiny.npy -n 1 -m gradcam,gradient --report page.html -q");
    let entries = entries(&folder, "page.html");
    assert_eq!(entries.len(), 21);
    for entry in &entries {
        let page = &entry["page"];
        assert!(page.get("picture").is_none(), "{page}");
        let small = page["small"].as_str().unwrap();
        folder.picture(small);
        let key = small.strip_suffix("_small.jpg").unwrap();
        assert!(key.starts_with("page_files/"), "{key}");
        assert_eq!(page["maps"], format!("{key}_maps.js"));
        let script = String::from_utf8(folder.read(page["maps"].as_str().unwrap())).unwrap();
        let both = script.strip_prefix("gradcamPicture(").unwrap();
        let both: Value = serde_json::from_str(both.strip_suffix(");\n").unwrap()).unwrap();
        let picture = both["picture"].as_str().unwrap();
        assert!(picture.starts_with("data:image/jpeg;base64,"));
        let gradient = &both["maps"][1]["picture"];
        assert_eq!(*gradient, format!("{key}_0_gradient.jpg"));
        folder.picture(gradient.as_str().unwrap());
    }
    assert_eq!(folder.names().len(), 21 + 3 * 21 + 1);
    assert!(folder.read("page.html").len() < 150_000);
}

#[test]
fn three_classes_by_three_methods_of_a_photograph_stay_below_a_megabyte() {
    let folder = Folder::new();
    let folder_of_pictures = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/cat-and-coffee.png");
    folder.put("photo.png", &std::fs::read(folder_of_pictures).unwrap());
    folder.prints("photo.png tiny.npy 3 -m gradcam,guided-bprop,integrated-gradients --steps 2 --report page.html -q");
    let size = folder.read("page.html").len();
    assert!(size < 1_000_000, "{size} bytes");
}
