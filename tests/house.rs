//! What the source may know of itself: no circles between its folders, and each folder knows only what its task needs. The
//! crate's page says the same in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder or module right below `src`, with the file of its name: its code, without comments and unit tests.
type House = BTreeMap<String, Vec<(PathBuf, String)>>;

fn house() -> House {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    collect(&src, &mut files);
    let mut house = House::new();
    for file in files {
        let below = file.strip_prefix(&src).unwrap().to_owned();
        let top = below.components().next().unwrap().as_os_str();
        let top = Path::new(top).with_extension("").display().to_string();
        // These join the rest.
        if ["lib", "main"].contains(&top.as_str()) || below.ends_with("tests.rs") {
            continue;
        }
        let code = code(&fs::read_to_string(&file).unwrap());
        house.entry(top).or_default().push((below, code));
    }
    house
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
}

/// What is compiled into the program: no comments, and no module that is only for tests.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let is_whole = lines.by_ref().find(|line| !line.starts_with('#'));
            if is_whole.is_some_and(|line| line.ends_with('{')) {
                lines.by_ref().find(|&line| line == "}");
            }
        } else if !line.trim_start().starts_with("//") {
            code += line;
            code.push('\n');
        }
    }
    code
}

/// Names that follow `crate::` in `code`, in braces or alone.
fn named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        let letters = text.chars();
        letters
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        // Not `by_crate::`.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &code[at + path.len()..];
        let Some(list) = after.strip_prefix('{') else {
            names.insert(word(after));
            continue;
        };
        // The names at the outermost level of the braces.
        let mut depth = 0;
        let mut start = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    names.insert(word(&list[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// For each folder those that it names, beside itself.
fn graph(house: &House) -> BTreeMap<&str, BTreeSet<String>> {
    house
        .iter()
        .map(|(top, files)| {
            let names = files.iter().flat_map(|(_, code)| named(code));
            (top.as_str(), names.filter(|name| name != top).collect())
        })
        .collect()
}

#[test]
fn no_folder_knows_one_that_knows_it() {
    let house = house();
    let graph = graph(&house);
    assert!(graph.len() > 15, "{:?}", graph.keys());
    assert!(graph["plan"].contains("network"), "{:?}", graph["plan"]);
    for (top, names) in &graph {
        for name in names {
            let is_one = graph.contains_key(name.as_str());
            assert!(is_one, "{top} names crate::{name}, which is no folder");
        }
    }
    let mut done = BTreeSet::new();
    for top in graph.keys() {
        if let Some(circle) = circle(&graph, top, &mut vec![], &mut done) {
            panic!("{}", circle.join(" knows "));
        }
    }
}

/// The first circle found on the way from `top`; `done`: those from which there is none.
fn circle<'a>(
    graph: &'a BTreeMap<&str, BTreeSet<String>>,
    top: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if done.contains(top) {
        return None;
    }
    if let Some(at) = way.iter().position(|&name| name == top) {
        return Some([&way[at..], &[top]].concat());
    }
    way.push(top);
    let found = graph[top]
        .iter()
        .find_map(|name| circle(graph, name, way, done));
    way.pop();
    done.insert(top);
    found
}

#[test]
fn what_is_named_is_found_in_every_form_and_circles_are_told() {
    let text = "use crate::{a, b::{x, y}, c::z};\n// crate::comment\nlet d = crate::d::e(by_crate::f);\n\
        #[cfg(test)]\nmod tests {\n    use crate::g;\n}\n";
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    assert_eq!(named(&code(text)), BTreeSet::from(names));

    let knows = |name: &str| BTreeSet::from([name.to_owned()]);
    let mut graph = BTreeMap::from([("a", knows("b")), ("b", knows("c")), ("c", BTreeSet::new())]);
    assert_eq!(circle(&graph, "a", &mut vec![], &mut BTreeSet::new()), None);
    graph.insert("c", knows("b"));
    let found = circle(&graph, "a", &mut vec![], &mut BTreeSet::new());
    assert_eq!(found, Some(vec!["b", "c", "b"]));
}

/// The core: from files to maps, of which the command line is one user.
const PROGRAM: [&str; 4] = ["cli", "options", "output", "command"];

/// What a folder may know beside the names of its values.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("weights", &[]),
    ("kernels", &[]),
    ("sniff", &[]),
    ("network", &["weights", "near"]),
    ("exact", &["cores", "network"]),
    ("layout", &["cores", "network"]),
    ("score", &["network"]),
    ("picture", &["sniff"]),
    ("plan", &["kernels", "layout", "network", "weights"]),
    ("methods", &["network", "picture", "score"]),
    ("draw", &["methods", "picture"]),
];

#[test]
fn each_folder_knows_only_what_its_task_needs() {
    let house = house();
    let graph = graph(&house);
    for (top, may_know) in MAY_KNOW {
        for name in &graph[top] {
            let may = name == "named" || may_know.contains(&name.as_str());
            assert!(may, "{top} knows {name}");
        }
    }
    for (top, names) in &graph {
        for program in PROGRAM.iter().filter(|&&program| names.contains(program)) {
            assert!(PROGRAM.contains(top), "{top} knows {program}");
        }
        assert!(!names.contains("command"), "{top} knows command");
    }
    for other in ["options", "output"] {
        assert!(!graph["cli"].contains(other), "cli knows {other}");
    }
    assert!(!graph["output"].contains("options"), "output knows options");
}

#[test]
fn the_crate_page_has_a_row_for_every_folder() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let page = page.unwrap();
    let table = page.split("| folder |").nth(1).unwrap();
    let table = table.split("//!\n").next().unwrap();
    let heads = table.lines().filter_map(|row| row.split('|').nth(1));
    let named: BTreeSet<&str> = heads
        .flat_map(|head| head.split('`').skip(1).step_by(2))
        .collect();
    let house = house();
    let mut folders: BTreeSet<&str> = house.keys().map(String::as_str).collect();
    // Named below the table: it joins the others' errors.
    folders.remove("error");
    assert_eq!(named, folders);
}

#[test]
fn only_gpu_names_wgpu() {
    for (top, files) in house() {
        for (file, code) in files {
            let names_it = code.contains("wgpu::") || code.contains("use wgpu");
            assert!(top == "gpu" || !names_it, "{}", file.display());
        }
    }
}

/// A thing that is there, for each row of the crate page's list of places, by the words that name it.
const SAMPLES: [(&str, &[&str]); 11] = [
    ("a CAM method", &["LayerCam", "layer_cam"]),
    ("a method at the pixels", &["SmoothGrad"]),
    ("a method that hides parts", &["Occlusion"]),
    ("a colour map", &["Viridis", "VIRIDIS"]),
    ("a format of weights", &["Safetensors", "SafetensorsError"]),
    (
        "a format of pictures",
        &["ImageFormat::Tiff", "Format::Tiff", "tiff::decode"],
    ),
    (
        "a family of networks known by its tensors' names",
        &["squeezenet", "SQUEEZENET1_0"],
    ),
    ("an operator of ONNX", &["\"LRN\""]),
    ("a layer of Keras", &["\"LayerScale\""]),
    ("an op", &["Op::Lrn", "Self::Lrn"]),
    ("a kernel", &["LrnBackward", "LrnBackwardParams"]),
];

/// What makes ops of files: a row of its own has it.
const READERS: [&str; 3] = [
    "src/architectures/onnx/",
    "src/architectures/keras/",
    "src/architectures/families/",
];

#[test]
fn the_crate_page_names_all_places_of_what_can_be_added() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let files = house().into_values().flatten();
    let files: Vec<(String, String)> = files
        .map(|(file, code)| (format!("src/{}", file.display()), code))
        .collect();
    for (what, words) in SAMPLES {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("//! | {what} |")));
        let row = row.unwrap_or_else(|| panic!("the page has no row of {what}"));
        let quoted = row.split('`').skip(1).step_by(2);
        let places: Vec<&str> = quoted.filter(|place| place.starts_with("src/")).collect();
        assert!(!places.is_empty(), "{row}");
        let names_it = |code: &str| words.iter().any(|word| has_word(code, word));
        for (file, _) in files.iter().filter(|(_, code)| names_it(code)) {
            let is_known = |place: &&str| file.starts_with(*place) && is_whole(file, place);
            let is_reader = what == "an op" && READERS.iter().any(|r| file.starts_with(r));
            assert!(
                is_reader || places.iter().any(is_known),
                "{file} names {words:?}: {row}"
            );
        }
        for place in places {
            let has = |(file, code): &&(String, String)| {
                file.starts_with(place) && is_whole(file, place) && names_it(code)
            };
            let is_named = files.iter().any(|file| has(&file));
            assert!(is_named, "{place} does not name {words:?}: {row}");
        }
    }
}

/// Whether what `file` begins with is a folder, or all of it.
fn is_whole(file: &str, place: &str) -> bool {
    place.ends_with('/') || file == place
}

/// Whether `word` stands in `code`, not as a part of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_letter) && !after.starts_with(is_letter)
    })
}
