//! What other programs write into a file of their networks: Ultralytics' exporter, tools that follow ONNX's own convention for
//! pictures (MetadataProps.md of its specification; Azure Custom Vision's files do), and people's own class names.

use std::collections::BTreeMap;

use crate::labels;
use crate::network::MAX_SIDE;
use crate::picture::preprocess::Normalization;

/// What a file says by such a convention.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) normalization: Option<Normalization>,
    /// Pixels along each side.
    pub(super) input_size: Option<usize>,
    /// Class names, a JSON list of strings.
    pub(super) labels: Option<String>,
}

/// Where class names are, by anybody's habit.
const NAMES: [&str; 5] = ["names", "labels", "class_names", "classes", "id2label"];

pub(super) fn read(metadata: &BTreeMap<String, String>) -> Said {
    let get = |key: &str| metadata.get(key).map(String::as_str);
    let is_ultralytics = [get("author"), get("task")] == [Some("Ultralytics"), Some("classify")];
    Said {
        // Whatever the weights: its classifiers are trained and run on pixels of 0..1.
        normalization: match is_ultralytics {
            true => Some(Normalization::UNIT),
            false => of_onnx(
                get("Image.BitmapPixelFormat"),
                get("Image.NominalPixelRange"),
            ),
        },
        input_size: get("imgsz").filter(|_| is_ultralytics).and_then(side),
        labels: NAMES.into_iter().find_map(|key| names(get(key)?)),
    }
}

/// The side of a square, of `[224, 224]`.
fn side(text: &str) -> Option<usize> {
    let sides: [usize; 2] = serde_json::from_str(text).ok()?;
    let is_known = sides[0] == sides[1] && (1..=MAX_SIDE).contains(&sides[0]);
    is_known.then_some(sides[0])
}

/// Names by ids, where they are more than the ids once more.
fn names(text: &str) -> Option<String> {
    let names = labels::in_class_order(text)?;
    let is_number = |(id, name): (usize, &String)| *name == id.to_string();
    let are_numbers = names.iter().enumerate().all(is_number);
    (!are_numbers).then(|| serde_json::Value::from(names).to_string())
}

/// Both or nothing: a range without an order of channels leaves what decides the result open.
fn of_onnx(format: Option<&str>, range: Option<&str>) -> Option<Normalization> {
    let scaled = match range? {
        "NominalRange_0_255" => Normalization::NONE,
        "Normalized_0_1" => Normalization::UNIT,
        "Normalized_1_1" => Normalization::TF,
        _ => return None,
    };
    let bgr = match format? {
        "Rgb8" | "Rgba8" | "Gray8" => false,
        "Bgr8" | "Bgra8" => true,
        _ => return None,
    };
    Some(Normalization { bgr, ..scaled })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(entries: &[(&str, &str)]) -> Said {
        let entries = entries.iter();
        let metadata = entries.map(|&(key, value)| (key.to_owned(), value.to_owned()));
        read(&metadata.collect())
    }

    #[test]
    fn ultralytics_files_say_names_size_and_scale() {
        let file = |names, imgsz| {
            said(&[
                ("author", "Ultralytics"),
                ("task", "classify"),
                ("names", names),
                ("imgsz", imgsz),
            ])
        };
        let expected = Said {
            normalization: Some(Normalization::UNIT),
            input_size: Some(128),
            labels: Some(r#"["cat","traffic light"]"#.into()),
        };
        assert_eq!(
            file("{0: 'cat', 1: 'traffic light'}", "[128, 128]"),
            expected
        );
        let open = Said {
            input_size: None,
            labels: None,
            ..expected
        };
        assert_eq!(file("{0: '0', 1: '1'}", "[128, 64]"), open);
        assert_eq!(file("{0: 'cat', 2: 'dog'}", "[0, 0]"), open);
    }

    #[test]
    fn class_names_have_several_keys_and_notations() {
        let list = Some(r#"["cat","dog"]"#.to_owned());
        for (key, text) in [
            ("labels", r#"["cat", "dog"]"#),
            ("id2label", r#"{"1": "dog", "0": "cat"}"#),
            ("classes", "['cat', 'dog']"),
        ] {
            assert_eq!(said(&[(key, text)]).labels, list, "{key}");
        }
        for text in ["cat, dog", "2", "[0.5, 2]", "[]", "{}"] {
            assert_eq!(said(&[("classes", text)]).labels, None, "{text}");
        }
    }

    #[test]
    fn detectors_of_ultralytics_are_not_its_classifiers() {
        let detector = [("author", "Ultralytics"), ("task", "detect")];
        assert_eq!(said(&detector), Said::default());
    }

    #[test]
    fn onnx_says_the_order_of_channels_and_the_range_of_values_together() {
        let scale = |format, range| {
            let entries = [
                ("Image.BitmapPixelFormat", format),
                ("Image.NominalPixelRange", range),
            ];
            said(&entries).normalization
        };
        let bgr = |scaled| {
            Some(Normalization {
                bgr: true,
                ..scaled
            })
        };
        assert_eq!(
            scale("Bgr8", "NominalRange_0_255"),
            bgr(Normalization::NONE)
        );
        assert_eq!(scale("Bgra8", "Normalized_1_1"), bgr(Normalization::TF));
        assert_eq!(scale("Rgb8", "Normalized_0_1"), Some(Normalization::UNIT));
        assert_eq!(scale("Rgb8", "NominalRange_16_235"), None);
        assert_eq!(scale("Yuv", "Normalized_0_1"), None);
        assert_eq!(
            said(&[("Image.BitmapPixelFormat", "Bgr8")]).normalization,
            None
        );
    }
}
