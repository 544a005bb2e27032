//! What a file of class names holds, told by its content: names line by line, JSON, or a table with ids.

use thiserror::Error;

use super::Label;
use super::{json, table};

/// Class names as a file has them.
#[derive(Debug)]
pub(super) enum Names {
    /// In class order.
    InOrder(Vec<Label>),
    /// Each with the number of its class.
    ById(Vec<(u64, Label)>),
}

/// Why text is no list of class names.
#[derive(Debug, Error)]
pub enum ContentError {
    /// A blank line between names, which would shift every class after it.
    #[error("line {0} is blank; write one class name on each line")]
    BlankLine(usize),
    /// JSON with an error.
    #[error("the JSON has an error: {0}")]
    Json(serde_json::Error),
    /// Python's own notation, with more in it than names.
    #[error(
        "it seems to be a list or dictionary of Python with more in it than names; json.dump writes it as JSON, which can be read"
    )]
    Python,
    /// JSON of another form.
    #[error(
        "the JSON holds {found}; expected a list of names or of objects with id and name, an object of ids to names or of \
         names to ids, or one of these under id2label, categories, names, classes or labels"
    )]
    Form {
        /// In words.
        found: String,
    },
    /// Numbers for keys, and numbers for values.
    #[error(
        "the JSON has numbers on both sides, {0:?}: {1}: write the names as a list, in the order of the classes"
    )]
    NumbersOnly(String, u64),
    /// Columns of which nobody can tell which holds the names.
    #[error(
        "of its columns {}, which holds the names? call it name, and that of the numbers id",
        .0.join(", ")
    )]
    Columns(Vec<String>),
    /// A class that comes twice.
    #[error("class {0} comes twice, as {1} and as {2}")]
    Twice(u64, String, String),
    /// A class that has no name.
    #[error("class {0} has no name")]
    Nameless(u64),
    /// Another number of names than the network has classes.
    #[error("{found} class names for a network with {expected} classes")]
    Count {
        /// Names there are.
        found: usize,
        /// Classes the network has.
        expected: usize,
    },
    /// Numbers that are not those of the classes.
    #[error(
        "class {missing} is missing: the ids are {first} to {last}, the network's classes 0 to {}; which id is which class \
         only the network's training tells: write the names as a list, in the order of its classes",
        count - 1
    )]
    Missing {
        /// The least class without a name.
        missing: u64,
        /// The least id.
        first: u64,
        /// The largest.
        last: u64,
        /// Classes the network has.
        count: usize,
    },
}

/// The names of `count` classes, in class order.
pub(super) fn labels(text: &str, count: usize) -> Result<Vec<Label>, ContentError> {
    let text = text.trim_end();
    let names = match json::names(text)? {
        Some(names) => names,
        None => lines_or_table(text, count)?,
    };
    match names {
        Names::InOrder(labels) => {
            if let Some(nameless) = labels.iter().position(|label| label.names.is_empty()) {
                return Err(ContentError::Nameless(nameless as u64));
            }
            counted(labels, count)
        }
        Names::ById(labels) => in_order(labels, count),
    }
}

/// Lines that a class may take: a name in quotes may hold some.
const LINES: usize = 16;

fn lines_or_table(text: &str, count: usize) -> Result<Names, ContentError> {
    // Millions of names of nothing would take a hundred times their bytes.
    let found = text.lines().count();
    if found > LINES * (count + 1) {
        let expected = count;
        return Err(ContentError::Count { found, expected });
    }
    match table::names(text)? {
        Some(names) => Ok(names),
        None => Ok(Names::InOrder(lines(text, count)?)),
    }
}

/// One class a line, behind the dash of YAML's lists or in quotes, where every line is.
fn lines(text: &str, count: usize) -> Result<Vec<Label>, ContentError> {
    let item = |line| str::strip_prefix(line, "- ");
    let items: Option<Vec<&str>> = text.lines().map(item).collect();
    let items = items.map(|items| items.join("\n"));
    let text = items.as_deref().unwrap_or(text);
    let quoted = |line: &str| {
        let inner = line.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some(inner.replace("\"\"", "\""))
    };
    let unquoted: Option<Vec<String>> = text.lines().map(quoted).collect();
    let lines = unquoted.unwrap_or_else(|| text.lines().map(str::to_owned).collect());
    let mut labels: Vec<Label> = lines.iter().map(|line| Label::parse(line)).collect();
    if let Some(blank) = labels.iter().position(|label| label.names.is_empty()) {
        return Err(ContentError::BlankLine(blank + 1));
    }
    // The heading of the only column.
    if labels.len() == count + 1 && table::is_name_heading(&lines[0]) {
        labels.remove(0);
    }
    Ok(labels)
}

fn counted(labels: Vec<Label>, expected: usize) -> Result<Vec<Label>, ContentError> {
    match labels.len() {
        found if found == expected => Ok(labels),
        found => Err(ContentError::Count { found, expected }),
    }
}

/// The labels by their ids, which are those of the classes, each once.
pub(super) fn in_order(
    mut labels: Vec<(u64, Label)>,
    count: usize,
) -> Result<Vec<Label>, ContentError> {
    labels.sort_by_key(|&(id, _)| id);
    for pair in labels.windows(2) {
        if let [(id, first), (other, second)] = pair
            && id == other
        {
            return Err(ContentError::Twice(
                *id,
                first.to_string(),
                second.to_string(),
            ));
        }
    }
    if let Some((id, _)) = labels.iter().find(|(_, label)| label.names.is_empty()) {
        return Err(ContentError::Nameless(*id));
    }
    let ids: Vec<u64> = labels.iter().map(|&(id, _)| id).collect();
    let labels = counted(labels.into_iter().map(|(_, label)| label).collect(), count)?;
    match (0..).zip(&ids).find(|(class, id)| class != *id) {
        None => Ok(labels),
        Some((missing, _)) => Err(ContentError::Missing {
            missing,
            first: ids[0],
            last: ids[ids.len() - 1],
            count,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the program shows them.
    fn read(text: &str, count: usize) -> Result<Vec<String>, String> {
        let labels = labels(text, count).map_err(|error| error.to_string())?;
        Ok(labels.iter().map(Label::to_string).collect())
    }

    #[track_caller]
    fn reads(text: &str, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(read(text, expected.len()), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, count: usize, part: &str) {
        let error = read(text, count).expect_err(text);
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }

    #[test]
    fn json_may_be_a_list() {
        reads(r#"["cat", "traffic light"]"#, &["cat", "traffic light"]);
        reads(
            "[\"n01440764 tench, Tinca tinca\",\n\"dog\"]\n",
            &["n01440764 tench, Tinca tinca", "dog"],
        );
        reads(
            r#"[["n01440764", "tench"], ["n01443537", "goldfish"]]"#,
            &["n01440764 tench", "n01443537 goldfish"],
        );
    }

    #[test]
    fn json_may_name_ids_in_any_order_in_the_forms_of_keras_and_of_configurations() {
        reads(r#"{"1": "dog", "0": "cat"}"#, &["cat", "dog"]);
        reads(
            r#"{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}"#,
            &["n01440764 tench", "n01443537 goldfish"],
        );
        reads(r#"{"dog": 1, "cat": 0}"#, &["cat", "dog"]);
        let config = r#"{"architectures": ["ResNet"], "depths": [3, 4],
            "id2label": {"0": "cat", "1": "dog, hound"}, "label2id": {"cat": 0, "dog, hound": 1}}"#;
        reads(config, &["cat", "dog, hound"]);
        reads(
            r#"{"label2id": {"dog": 1, "cat": 0}, "num_labels": 2}"#,
            &["cat", "dog"],
        );
        // Digits, of which each is its own name.
        reads(r#"{"0": 0, "1": 1}"#, &["0", "1"]);
    }

    #[test]
    fn json_may_list_objects_with_an_id_and_a_name_as_categories_of_coco_are() {
        let list =
            r#"[{"id": 1, "name": "dog"}, {"name": "cat", "supercategory": "animal", "id": 0}]"#;
        reads(list, &["cat", "dog"]);
        let coco = format!(
            r#"{{"info": {{"year": 2017}}, "images": [{{"id": 7}}], "categories": {list}}}"#
        );
        reads(&coco, &["cat", "dog"]);
        reads(
            r#"[{"label": "cat", "index": "0"}, {"label": "dog", "index": "1"}]"#,
            &["cat", "dog"],
        );
        reads(
            r#"[{"class_id": 0, "synset": "n01440764", "class_name": "tench"}, {"class_id": 1, "class_name": "dog"}]"#,
            &["n01440764 tench", "dog"],
        );
        // Without ids their order is that of the classes.
        reads(r#"[{"name": "cat"}, {"name": "dog"}]"#, &["cat", "dog"]);
        reads(
            r#"{"0": {"name": "cat"}, "1": {"name": "dog", "color": "red"}}"#,
            &["cat", "dog"],
        );
        reads(r#"{"nc": 2, "names": ["cat", "dog"]}"#, &["cat", "dog"]);
        reads(r#"{"classes": {"1": "dog", "0": "cat"}}"#, &["cat", "dog"]);
        // A class may be called so.
        reads(r#"{"names": 1, "labels": 0}"#, &["labels", "names"]);
    }

    #[test]
    fn ids_that_are_not_those_of_the_classes_are_refused_with_what_to_write() {
        let from_one = r#"{"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}"#;
        refuses(
            from_one,
            2,
            "the ids are 1 to 2, the network's classes 0 to 1",
        );
        refuses(
            from_one,
            2,
            "write the names as a list, in the order of its classes",
        );
        let with_gaps = r#"[{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}]"#;
        refuses(with_gaps, 2, "class 1 is missing: the ids are 0 to 7");
        let twice = r#"[{"id": 0, "name": "cat"}, {"id": 0, "name": "dog"}]"#;
        refuses(twice, 2, "class 0 comes twice, as cat and as dog");
    }

    #[test]
    fn tables_may_have_a_heading_or_none_and_any_order_of_columns() {
        reads("id,name\n1,dog\n0,cat\n", &["cat", "dog"]);
        reads("name,id\r\ndog,1\r\ncat,0\r\n", &["cat", "dog"]);
        reads("0,cat\n1,dog\n", &["cat", "dog"]);
        reads("0\tcat\n1\tdog", &["cat", "dog"]);
        reads("id;name\n0;cat\n1;dog", &["cat", "dog"]);
        reads(
            "0, \"cat, kitten\"\r\n\r\n1 , dog \r\n",
            &["cat, kitten", "dog"],
        );
        reads(
            "0,\"cat\nkitten\"\n1,a \"dog\"",
            &["cat kitten", "a \"dog\""],
        );
        reads("0,\"cat\n1,dog", &["\"cat", "dog"]);
        reads(
            "0,\"cat, kitten\"\n1,\"a \"\"dog\"\"\"",
            &["cat, kitten", "a \"dog\""],
        );
        reads("0,cat,kitten\n1,dog", &["cat, kitten", "dog"]);
        reads(
            "class_id,synset,class_name\n0,n01440764,tench\n1,n01443537,goldfish",
            &["n01440764 tench", "n01443537 goldfish"],
        );
        reads(
            "n01440764,0,tench\nn01443537,1,goldfish",
            &["n01440764 tench", "n01443537 goldfish"],
        );
        reads(
            "id,name,red,green\n0,road,128,64\n1,sky,70,130",
            &["road", "sky"],
        );
        reads("0: cat\n1: dog", &["cat", "dog"]);
        reads("0 cat\n1 traffic light", &["cat", "traffic light"]);
    }

    #[test]
    fn numbers_that_count_the_lines_are_ids_wherever_they_stand() {
        for text in [
            "1 - dog\n0 - cat",
            "1. dog\n0. cat",
            "1) dog\n0) cat",
            "1=dog\n0=cat",
            "1 -> dog\n0 -> cat",
            "dog 1\ncat 0",
            "dog\t 1\ncat\t 0",
            "dog: 1\ncat: 0",
            "dog = 1\ncat = 0",
            "dog - 1\ncat - 0",
        ] {
            reads(text, &["cat", "dog"]);
        }
        reads("/a/airfield 0\n/a/alley 1", &["/a/airfield", "/a/alley"]);
        reads(
            "n01443537 1 goldfish\nn01440764 0 tench",
            &["n01440764 tench", "n01443537 goldfish"],
        );
        // That of the ILSVRC's development kit, in an order that few networks have.
        refuses(
            "n02119789 1 kit_fox\nn02100735 2 English_setter",
            2,
            "the ids are 1 to 2",
        );
        refuses("dog 1\ncat 2", 2, "the ids are 1 to 2");
        // Parts of the names.
        reads("class 1\nclass 0", &["class 1", "class 0"]);
        reads("type 0\ntype 1\nother 2", &["type 0", "type 1", "other 2"]);
        reads("1.5 mm\n0.5 mm", &["1.5 mm", "0.5 mm"]);
        reads("mp1\nmpeg0", &["mp1", "mpeg0"]);
        reads("cat-1\ndog-0", &["cat-1", "dog-0"]);
        reads("0 -5 degrees\n1 -1 degrees", &["-5 degrees", "-1 degrees"]);
        reads("boeing 737\nairbus 320", &["boeing 737", "airbus 320"]);
    }

    #[test]
    fn names_line_by_line_stay_what_they_were() {
        reads(
            "cat\ntraffic light, stoplight",
            &["cat", "traffic light, stoplight"],
        );
        reads("10 euros\n20 euros", &["10 euros", "20 euros"]);
        reads("0\n1\n2", &["0", "1", "2"]);
        reads("[unused]\ncat", &["[unused]", "cat"]);
        reads("- cat\n- \"dog\"", &["cat", "\"dog\""]);
        reads("- \"cat\"\n- \"dog, hound\"", &["cat", "dog, hound"]);
        reads("- cat\ndog", &["- cat", "dog"]);
        reads("\"cat\"\n\"dog, hound\"", &["cat", "dog, hound"]);
        reads("name\ncat\ndog", &["name", "cat", "dog"]);
        assert_eq!(
            read("name\ncat\ndog", 2),
            Ok(vec!["cat".into(), "dog".into()])
        );
    }

    #[test]
    fn other_numbers_of_names_are_refused_with_both() {
        for text in [
            "cat\ndog",
            r#"["cat", "dog"]"#,
            r#"{"0": "cat", "1": "dog"}"#,
            r#"{"cat": 0, "dog": 1}"#,
            "id,name\n0,cat\n1,dog",
        ] {
            refuses(text, 5, "2 class names for a network with 5 classes");
        }
    }

    #[test]
    fn ids_that_come_twice_or_are_missing_are_refused() {
        refuses(
            r#"{"0": "cat", "0": "dog"}"#,
            2,
            "class 0 comes twice, as cat and as dog",
        );
        refuses(r#"{"0": "cat", "00": "dog"}"#, 2, "class 0 comes twice");
        refuses(r#"{"cat": 1, "dog": 1}"#, 2, "class 1 comes twice");
        refuses("id,name\n1,cat\n1,dog", 2, "class 1 comes twice");
        let one_based = "class 0 is missing: the ids are 1 to 2, the network's classes 0 to 1";
        refuses(r#"{"1": "cat", "2": "dog"}"#, 2, one_based);
        refuses("1,cat\n2,dog", 2, one_based);
        refuses("1 cat\n2 dog", 2, one_based);
        refuses("1: cat\n2: dog", 2, one_based);
        refuses("0,cat\n2,dog", 2, "class 1 is missing");
        refuses(r#"{"0": "cat", "1": " "}"#, 2, "class 1 has no name");
        refuses("id,name\n0,cat\n1,", 2, "class 1 has no name");
        refuses(r#"["cat", ""]"#, 2, "class 1 has no name");
    }

    #[test]
    fn json_of_another_form_is_told_what_is_expected() {
        refuses(r#"["cat", 7]"#, 2, "the JSON holds 7 at place 1");
        refuses(r#"{"0": "cat", "dog": "1"}"#, 2, "expected a list of names");
        refuses(r#"{"0": {"colour": "red"}}"#, 1, "an object for \"0\"");
        refuses(
            r#"[{"id": 0, "name": "cat"}, {"name": "dog"}]"#,
            2,
            "an object without an id at place 1",
        );
        refuses(
            r#"[{"id": 0, "name": "cat"}, {"id": 1, "colour": "red"}]"#,
            2,
            "an object without a name at place 1",
        );
        refuses("{}", 1, "an empty object");
        refuses("[\"cat\",\n\"dog\"", 2, "the JSON has an error");
        refuses(r#"{"0": "cat", }"#, 1, "the JSON has an error");
        refuses("{0: 'tench', 1: range(3)}", 2, "dictionary of Python");
        refuses("['tench', 'gold", 2, "dictionary of Python");
        refuses(r#"{"0": 1, "1": 0}"#, 2, "numbers on both sides, \"0\": 1");
    }

    #[test]
    fn pythons_own_notation_is_read_as_json_is() {
        reads(
            "{0: 'tench, Tinca tinca',\n 1: \"cock's comb\"}",
            &["tench, Tinca tinca", "cock's comb"],
        );
        reads("['cat', 'dog',]", &["cat", "dog"]);
        reads("{'dog': 1, 'cat': 0}", &["cat", "dog"]);
    }

    #[test]
    fn columns_that_cannot_be_told_apart_are_refused() {
        refuses(
            "id,colour,shape\n0,red,round\n1,blue,flat",
            2,
            "id, colour, shape",
        );
        refuses("a,b,name\n5,7,cat\n6,8,dog", 2, "a, b, name");
    }

    #[test]
    fn far_too_many_lines_are_refused_before_they_are_names() {
        let both = "1000000 class names for a network with 5 classes";
        refuses(&"a\n".repeat(1_000_000), 5, both);
        refuses(&"0,a\n".repeat(1_000_000), 5, both);
    }

    #[test]
    fn json_nested_without_end_is_an_error() {
        refuses(&"[".repeat(100_000), 1, "the JSON has an error");
    }
}
