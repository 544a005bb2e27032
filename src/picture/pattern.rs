//! Names with `*`, `?` and `[...]` that no shell has replaced by files: in quotes, or on Windows.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::folder::{self, Depth, Listed};

/// As shells have it: a file that is hidden is not meant by `*`.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: !cfg!(any(target_os = "macos", target_os = "windows")),
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What a pattern matches: files, or the pictures of folders where nothing else matches. `None`: it is no pattern, or matches
/// nothing.
///
/// Files are chosen as in a folder, by their extensions, unless the pattern says the extension.
pub(super) fn list(path: &Path, depth: Depth, is_own: impl Fn(&Path) -> bool) -> Option<Listed> {
    let mut components = path.components().peekable();
    let mut listed = Listed::default();
    while let Some(fixed) = components.next_if(|component| !is_pattern(*component)) {
        listed.root.push(fixed);
    }
    components.peek()?;
    let mut found = vec![listed.root.clone()];
    for component in components {
        found = match component {
            Component::Normal(name) if name == "**" => {
                let below = |at: &PathBuf| folder::folders(at);
                found.iter().flat_map(below).collect()
            }
            _ if is_pattern(component) => {
                let pattern = Pattern::new(component.as_os_str().to_str()?).ok()?;
                found.iter().flat_map(|at| matching(at, &pattern)).collect()
            }
            _ => {
                let joined = found.iter().map(|at| at.join(component));
                joined.filter(|path| path.exists()).collect()
            }
        };
    }
    let extension = path.extension().unwrap_or_default();
    let says_extension = !extension.is_empty() && !is_pattern(Component::Normal(extension));
    let (folders, files): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.is_dir());
    for path in files {
        match says_extension && !is_own(&path) {
            true => listed.pictures.push(path),
            false => listed.sort_out(path, &is_own),
        }
    }
    if listed.pictures.is_empty() {
        let of_folders = folders.iter();
        for of_folder in of_folders.filter_map(|at| folder::list(at, depth, &is_own).ok()) {
            listed.pictures.extend(of_folder.pictures);
            listed.unreadable.extend(of_folder.unreadable);
            listed.left_out.add(of_folder.left_out);
        }
    }
    listed.pictures.sort();
    (!listed.pictures.is_empty()).then_some(listed)
}

fn is_pattern(component: Component<'_>) -> bool {
    let bytes = component.as_os_str().as_encoded_bytes();
    matches!(component, Component::Normal(_)) && bytes.iter().any(|byte| b"*?[".contains(byte))
}

/// What of a folder has a name that matches.
fn matching(folder: &Path, pattern: &Pattern) -> Vec<PathBuf> {
    let entries = folder::entries(folder).unwrap_or_default();
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        pattern.matches_with(&name.to_string_lossy(), OPTIONS)
    };
    entries.into_iter().filter(matches).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with these empty files.
    fn tree(names: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for name in names {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        home
    }

    /// What a pattern below a folder matches, by names from there.
    fn found(home: &Path, pattern: &str) -> Vec<String> {
        let listed = list(&home.join(pattern), Depth::One, |path| {
            path.ends_with("own.png")
        });
        let pictures = listed.map_or(vec![], |listed| listed.pictures);
        let names = pictures.iter().map(|path| path.strip_prefix(home).unwrap());
        names
            .map(|name| name.to_string_lossy().replace('\\', "/"))
            .collect()
    }

    #[test]
    fn a_pattern_is_the_files_that_a_shell_would_name() {
        let home = tree(&[
            "a/1.png",
            "a/2.PNG",
            "a/3.jpg",
            "a/notes.txt",
            "a/.hidden.png",
            "a/own.png",
            "a/deep/er/4.png",
            "b/1.png",
            "b/x.data",
            "[c].png",
        ]);
        let home = home.path();
        for (pattern, names) in [
            ("a/*.png", &["a/1.png"][..]),
            ("a/*", &["a/1.png", "a/2.PNG", "a/3.jpg"]),
            ("a/?.[pj]*", &["a/1.png", "a/3.jpg"]),
            ("*/1.png", &["a/1.png", "b/1.png"]),
            (
                "**/*.png",
                &["[c].png", "a/1.png", "a/deep/er/4.png", "b/1.png"],
            ),
            ("a/**/er/*", &["a/deep/er/4.png"]),
            ("b/*.data", &["b/x.data"]),
            ("a/.h*.png", &["a/.hidden.png"]),
            // Folders alone.
            ("[ab]", &["a/1.png", "a/2.PNG", "a/3.jpg", "b/1.png"]),
            ("a/*.gif", &[]),
            ("a/1.png", &[]),
            ("a/[.png", &[]),
            ("nowhere/*", &[]),
        ] {
            assert_eq!(found(home, pattern), names, "{pattern}");
        }
    }

    #[test]
    fn the_root_of_a_pattern_is_what_stands_before_it() {
        let home = tree(&["a/b/1.png"]);
        let listed = list(&home.path().join("a/*/*.png"), Depth::One, |_| false).unwrap();
        assert_eq!(listed.root, home.path().join("a"));
    }
}
