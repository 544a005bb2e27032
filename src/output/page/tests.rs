use super::*;
use crate::output::report::failure;

fn common() -> Common {
    Common {
        program: "gradcam",
        command: "gradcam '</script>.png'".into(),
        colormaps: Map::new(),
        methods: Map::new(),
        drawing: Drawing {
            colormap: "jet".into(),
            overlay: "sum",
            alpha: 0.5,
            threshold: 0.0,
            scale: "class",
            full: None,
            signed: false,
        },
    }
}

/// The text of the block of this id.
fn block<'a>(page: &'a str, id: &str) -> &'a str {
    let opening = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&opening).expect("there is such a block");
    rest.split_once("</script>").expect("it ends").0
}

#[test]
fn nothing_in_a_name_ends_the_block_that_it_stands_in() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("page.html");
    let hostile = "</script><script>alert(1)</script><!-- & \u{2028}\u{2029}\n\"'\\ é.png";
    let mut page = Page::begin(&path, &common()).unwrap();
    for name in [hostile, "b.png"] {
        page.line(&failure(Path::new(name), &"no <b>picture</b>"))
            .unwrap();
    }
    page.finish().unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script>").count(), 3);
    let text = block(&page, "entries");
    assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
    let entries: Value = serde_json::from_str(text).unwrap();
    assert_eq!(entries[0]["image"], hostile);
    assert_eq!(entries[1]["image"], "b.png");
    // One line each, which the page relies on.
    assert_eq!(text.trim().lines().count(), 4);
    let run: Value = serde_json::from_str(block(&page, "run")).unwrap();
    assert_eq!(run["command"], "gradcam '</script>.png'");
}

#[test]
fn a_page_that_is_not_finished_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("page.html");
    let mut page = Page::begin(&path, &common()).unwrap();
    page.line(&failure(Path::new("a.png"), &"gone")).unwrap();
    drop(page);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    let addresses = ["http:", "https:", "//cdn", "@import", "url("];
    for address in addresses {
        assert!(!TEMPLATE.contains(address), "{address}");
    }
    assert!(TEMPLATE.contains("default-src 'none'"));
}

#[test]
fn files_beside_the_page_have_addresses_that_a_browser_takes() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("my maps #1 50%.html");
    let media = Media::of(&path, INSIDE + 1, true);
    assert_eq!(
        media.jpeg(b"x", "a1", "small").unwrap(),
        "my%20maps%20%231%2050%25_files/a1_small.jpg"
    );
    let file = home.path().join("my maps #1 50%_files/a1_small.jpg");
    assert_eq!(std::fs::read(file).unwrap(), b"x");
    let (picture, maps) = media.picture_and_maps(b"x", vec![], "a1").unwrap();
    assert_eq!(picture, None);
    assert!(matches!(maps, Maps::Beside(address) if address.ends_with("/a1_maps.js")));
}

#[test]
fn levels_span_the_finite_values() {
    let decoded = |values: &[f64]| match Values::levels(values, 0.25) {
        Values::Levels {
            low, high, levels, ..
        } => {
            let bytes = STANDARD.decode(levels).unwrap();
            let levels = bytes.as_chunks::<2>().0.iter();
            let value = |&pair: &[u8; 2]| {
                low + (high - low) * f64::from(u16::from_le_bytes(pair)) / 65535.0
            };
            levels.map(value).collect::<Vec<f64>>()
        }
        Values::Picture { .. } => unreachable!("levels were asked for"),
    };
    let values = [-1e-30, 0.0, 3e-30, 1e-30];
    for (value, back) in values.into_iter().zip(decoded(&values)) {
        assert!((value - back).abs() <= 4e-30 / 65535.0, "{value} {back}");
    }
    assert_eq!(decoded(&[f64::NAN, 2.0, f64::INFINITY]), [0.0, 2.0, 0.0]);
    assert_eq!(decoded(&[7.0, 7.0]), [7.0, 7.0]);
}
