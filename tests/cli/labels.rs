//! Class names that the user brings, in each form that is read.

use crate::harness::Folder;

const LINE: &str = "cat.png tiny.npy -c 1 --outputs heatmap --labels";

#[test]
fn class_names_are_read_in_every_form_that_they_come_in() {
    let folder = Folder::new();
    for (name, text, synset) in [
        ("lines.txt", "ant\nbee, wasp\ncat\ndog\neel\n", None),
        (
            "list.json",
            r#"["ant", "bee, wasp", "cat", "dog", "eel"]"#,
            None,
        ),
        (
            "keras.json",
            r#"{"0": ["n00000000", "ant"], "1": ["n00000001", "bee, wasp"], "2": ["n00000002", "cat"],
                "3": ["n00000003", "dog"], "4": ["n00000004", "eel"]}"#,
            Some("n00000001 bee, wasp"),
        ),
        (
            "ids.json",
            r#"{"4": "eel", "3": "dog", "2": "cat", "1": "bee, wasp", "0": "ant"}"#,
            None,
        ),
        (
            "names.json",
            r#"{"ant": 0, "bee, wasp": 1, "cat": 2, "dog": 3, "eel": 4}"#,
            None,
        ),
        (
            "config.json",
            r#"{"model_type": "vit", "id2label": {"0": "ant", "1": "bee, wasp", "2": "cat", "3": "dog", "4": "eel"},
                "hidden_sizes": [1, 2]}"#,
            None,
        ),
        (
            "a.csv",
            "id,name\n0,ant\n1,\"bee, wasp\"\n2,cat\n3,dog\n4,eel\n",
            None,
        ),
        (
            "b.csv",
            "4,eel\n3,dog\n2,cat\n1,\"bee, wasp\"\n0,ant\n",
            None,
        ),
        (
            "c.tsv",
            "name\twnid\tclass_id\nant\tn00000000\t0\nbee, wasp\tn00000001\t1\ncat\tn00000002\t2\n\
             dog\tn00000003\t3\neel\tn00000004\t4\n",
            Some("n00000001 bee, wasp"),
        ),
        // The name says nothing, the content does.
        (
            "plain",
            r#"["ant", "bee, wasp", "cat", "dog", "eel"]"#,
            None,
        ),
    ] {
        folder.put(name, text.as_bytes());
        let printed = folder.prints(&format!("{LINE} {name}"));
        let names = synset.unwrap_or("bee, wasp");
        assert_eq!(
            printed,
            format!("0: class id: 1, class name: bee, probability: 0.797, synset: {names}\n"),
            "{name}"
        );
    }
}

#[test]
fn class_names_that_do_not_fit_the_network_are_refused_before_anything_is_written() {
    let folder = Folder::new();
    let both = "2 class names for a network with 5 classes";
    for (name, text, part) in [
        ("a.json", r#"["ant", "bee"]"#, both),
        ("b.json", r#"{"0": "ant", "1": "bee"}"#, both),
        ("c.json", r#"{"ant": 0, "bee": 1}"#, both),
        ("d.csv", "id,name\n0,ant\n1,bee\n", both),
        ("e.txt", "ant\nbee\n", both),
        (
            "f.json",
            r#"{"0": "a", "1": "b", "2": "c", "3": "d", "3": "e"}"#,
            "class 3 comes twice, as d and as e",
        ),
        (
            "g.csv",
            "1,a\n2,b\n3,c\n4,d\n5,e\n",
            "class 0 is missing: the ids are 1 to 5",
        ),
        ("h.json", r#"{"0": "a", "#, "the JSON has an error"),
        ("i.json", r#"{"colours": {"0": "a"}}"#, "id2label"),
    ] {
        folder.put(name, text.as_bytes());
        folder.refuses(&format!("{LINE} {name}"), 1, &[name, part]);
        let convert = format!("convert tiny.npy out.safetensors --labels {name}");
        folder.refuses(&convert, 1, &[name, part]);
    }
}
