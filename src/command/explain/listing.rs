//! The pictures that a command line means: those of its names, folders, patterns and lists, in order, each once.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::Message;
use super::list_file;
use crate::command::Error;
use crate::options::Options;
use crate::output::{self, provenance};
use crate::picture::{self, Listed};

/// A picture to explain, or a name that leads to none.
pub(super) struct NamedPicture {
    /// As it was named, or found in a folder.
    pub(super) image: PathBuf,
    /// What was named: itself, its folder, a pattern, or the name on a list.
    pub(super) typed: PathBuf,
    /// The folder of its files below that for all files; empty for that one.
    pub(super) below: PathBuf,
    /// Why there is no picture.
    pub(super) refused: Option<Error>,
}

/// Those of `options`. What folders leave out is told.
pub(super) fn named(
    options: &Options,
    tell: &impl Fn(Message),
) -> Result<Vec<NamedPicture>, Error> {
    let mut all = vec![];
    // With several trees each has a folder of its own, since their pictures may have the same names.
    let trees = options.images.iter().filter(|path| path.is_dir()).count();
    for name in &options.images {
        list(name, options, tell, &mut all, |image, root| {
            let below = image.strip_prefix(root).ok().and_then(Path::parent);
            let below = below.unwrap_or(Path::new(""));
            match trees > 1 && options.many.depth == picture::Depth::All && name.is_dir() {
                true => last_name(root).join(below),
                false => below.to_owned(),
            }
        });
    }
    if let Some(from) = &options.many.files_from {
        let here = std::env::current_dir().unwrap_or_default();
        for name in list_file::read(from)? {
            list(&name, options, tell, &mut all, |image, _| {
                as_named(image, &here)
            });
        }
    }
    // A picture may be named twice, as cat.png and ./cat.png, or lie in a folder that is named too.
    let mut seen = HashSet::new();
    let place = |image: &Path| match picture::is_stdin(image) {
        true => image.to_owned(),
        false => output::place(image),
    };
    all.retain(|named: &NamedPicture| seen.insert(place(&named.image)));
    Ok(all)
}

/// Adds the pictures that a name stands for; `below` gives a picture's folder from that and from its root.
fn list(
    name: &Path,
    options: &Options,
    tell: &impl Fn(Message),
    all: &mut Vec<NamedPicture>,
    below: impl Fn(&Path, &Path) -> PathBuf,
) {
    let refused = |image: &Path, error| NamedPicture {
        image: image.to_owned(),
        typed: name.to_owned(),
        below: PathBuf::new(),
        refused: Some(error),
    };
    let Listed {
        pictures,
        root,
        left_out,
        unreadable,
    } = match picture::list(name, options.many.depth, is_own) {
        Ok(listed) => listed,
        Err(error) => {
            all.push(refused(name, error.into()));
            return;
        }
    };
    if left_out.count() > 0 {
        let note = format!("{}: {left_out}", name.display());
        tell(Message::Note(note));
    }
    all.extend(pictures.into_iter().map(|image| NamedPicture {
        below: below(&image, &root),
        image,
        typed: name.to_owned(),
        refused: None,
    }));
    all.extend(unreadable.into_iter().map(|error| {
        let folder = error.path().unwrap_or(name).to_owned();
        refused(&folder, error.into())
    }));
}

/// Whether a file is of this program's making: by its name, or by what it says itself, as sheets and the pictures of pages do.
fn is_own(path: &Path) -> bool {
    output::is_output(path) || provenance::is_marked(path)
}

/// What a folder is called, whatever was typed for it.
fn last_name(folder: &Path) -> PathBuf {
    let real = folder.canonicalize();
    let real = real.as_deref().unwrap_or(folder);
    real.file_name().map(PathBuf::from).unwrap_or_default()
}

/// The folder of a picture of a list: as it was named, from `here` on where it lies there. What else the list names does not
/// matter, so that parts of a list put their files where the whole list does.
fn as_named(image: &Path, here: &Path) -> PathBuf {
    let folder = image.parent().unwrap_or(Path::new(""));
    let folder = folder.strip_prefix(here).unwrap_or(folder);
    let names = folder.components();
    names
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect()
}
