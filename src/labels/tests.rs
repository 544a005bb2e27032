use super::*;

fn lines(count: usize, bytes: &[u8]) -> Result<Labels, LabelsError> {
    Labels::from_bytes(bytes, count, Path::new("labels.txt"))
}

#[test]
fn names_in_utf_16_are_read_by_their_byte_order_mark() {
    let text = "cat\r\nKöter 犬 🐕\r\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [
        [b"\xff\xfe", &*little].concat(),
        [b"\xfe\xff", &*big].concat(),
    ] {
        let labels = lines(2, &bytes).unwrap();
        assert_eq!(labels.get(1).unwrap().name(), "Köter 犬 🐕");
    }
    // Half a character, half a unit, and no mark.
    for bytes in [&b"\xff\xfe\x3d\xd8"[..], b"\xff\xfea\0b", &little] {
        assert!(matches!(
            lines(1, bytes),
            Err(LabelsError::NotUtf8 { .. } | LabelsError::Content { .. })
        ));
    }
}

#[test]
fn imagenet_has_a_synset_and_a_name_for_each_of_its_thousand_classes() {
    let labels = Labels::imagenet();
    assert_eq!(labels.len(), 1000);
    assert!(
        labels
            .classes
            .iter()
            .all(|label| label.synset.is_some() && !label.name().is_empty())
    );
    let traffic_light = labels.get(920).unwrap();
    assert_eq!(
        traffic_light.to_string(),
        "n06874185 traffic light, traffic signal, stoplight"
    );
    assert_eq!(traffic_light.name(), "traffic light");
    assert_eq!(traffic_light.printed_name(), "traffic_light");
    assert_eq!(labels.get(0).unwrap().name(), "tench");
    assert_eq!(labels.get(1000), None);
}

#[test]
fn a_network_without_names_gets_numbers_for_names() {
    let labels = Labels::assumed(21);
    assert_eq!(labels.get(17).unwrap().to_string(), "class_17");
    assert_eq!(labels.find("class_17"), Ok(17));
    let error = labels.find("cat").unwrap_err().to_string();
    assert!(
        error.contains("0 to 20") && error.contains("--labels FILE"),
        "{error}"
    );
    assert_eq!(Labels::assumed(1000), Labels::imagenet());
}

#[test]
fn a_file_may_come_from_any_system() {
    let plain = lines(2, b"cat\ntraffic light, stoplight\n").unwrap();
    assert_eq!(
        lines(2, b"\xef\xbb\xbfcat\r\ntraffic light, stoplight\r\n\r\n").unwrap(),
        plain
    );
    assert_eq!(lines(2, b"cat\ntraffic light, stoplight").unwrap(), plain);
    assert_eq!(plain.get(1).unwrap().synset, None);
}

#[test]
fn a_leading_synset_is_recognised() {
    let labels = lines(
        3,
        b"n01440764\ttench, Tinca tinca\nnorth 12345678\nn0144076 tench",
    )
    .unwrap();
    assert_eq!(labels.get(0).unwrap().synset.as_deref(), Some("n01440764"));
    assert_eq!(labels.get(0).unwrap().names, "tench, Tinca tinca");
    assert_eq!(labels.get(1).unwrap().synset, None);
    assert_eq!(labels.get(2).unwrap().synset, None);
}

#[test]
fn control_characters_never_leave_a_label() {
    let labels = Labels::from_json(r#"["\u001b[31mcat\nfood"]"#, 1, Path::new("w")).unwrap();
    assert_eq!(labels.get(0).unwrap().names, "[31mcat food");
}

#[test]
fn a_blank_line_between_names_is_refused() {
    assert_eq!(
        lines(3, b"cat\n\ndog\n").unwrap_err().to_string(),
        "labels.txt: line 2 is blank; write one class name on each line"
    );
}

#[test]
fn text_that_is_not_utf8_is_refused_by_line() {
    assert_eq!(
        lines(2, b"cat\ncaf\xe9\n").unwrap_err().to_string(),
        "labels.txt: line 2 is not UTF-8 text; --labels takes text: one name on each line, JSON, or CSV with ids"
    );
}

#[test]
fn a_wrong_number_of_names_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.txt");
    std::fs::write(&path, "cat\ndog\n").unwrap();
    assert_eq!(Labels::read(&path, 2).unwrap().find("dog"), Ok(1));
    let error = Labels::read(&path, 21).unwrap_err().to_string();
    assert!(
        error.ends_with("labels.txt: 2 class names for a network with 21 classes"),
        "{error}"
    );
    let error = Labels::read(&folder.path().join("absent.txt"), 2)
        .unwrap_err()
        .to_string();
    assert!(error.contains("absent.txt: "), "{error}");
}

#[test]
fn metadata_holds_a_json_list() {
    let path = Path::new("weights.safetensors");
    let labels = Labels::from_json(r#"["cat", "food"]"#, 2, path).unwrap();
    assert_eq!(labels.find("FOOD"), Ok(1));
    assert!(matches!(
        Labels::from_json("{}", 2, path),
        Err(LabelsError::NotAList { .. })
    ));
    assert!(matches!(
        Labels::from_json("[]", 2, path),
        Err(LabelsError::WrongCount {
            found: 0,
            expected: 2,
            ..
        })
    ));
}
