//! Which files of a folder are pictures to explain, and which are left out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use image::ImageFormat;

use super::PictureError;

/// Extensions of pictures that are not read: who has them in a folder expects them to be explained.
const UNREAD: [&str; 30] = [
    "arw", "avif", "cr2", "cr3", "czi", "dcm", "dds", "dng", "exr", "fits", "hdr", "heic", "heif",
    "icns", "ico", "j2k", "jls", "jp2", "jxl", "nef", "nii", "nrrd", "orf", "pcx", "psd", "raf",
    "rw2", "sgi", "svg", "xcf",
];

/// The picture files that a path or a pattern stands for.
#[derive(Debug, Default)]
pub struct Listed {
    /// At least one, unless something is unreadable.
    pub pictures: Vec<PathBuf>,
    /// The folder that they lie in or below.
    pub root: PathBuf,
    /// Of folders.
    pub left_out: LeftOut,
    /// Folders below the root that cannot be read.
    pub unreadable: Vec<PictureError>,
}

/// Files of a folder that look like pictures and are none to explain. Shown in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Those that the caller leaves out: this program's own output.
    own: usize,
    /// Those of formats that are not read, by extension.
    unread: BTreeMap<String, usize>,
    /// Links that lead nowhere.
    dangling: usize,
    /// Folders that vanished while their names were read.
    gone: usize,
}

impl LeftOut {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.own + self.dangling + self.gone + self.unread.values().sum::<usize>()
    }

    /// Those of another folder as well.
    pub(super) fn add(&mut self, other: Self) {
        self.own += other.own;
        self.dangling += other.dangling;
        self.gone += other.gone;
        for (extension, count) in other.unread {
            *self.unread.entry(extension).or_default() += count;
        }
    }

    /// What to do about them, where none is left to explain.
    pub(super) fn advice(&self) -> &'static str {
        match (self.own, self.dangling, self.unread.is_empty()) {
            (0, _, false) => "convert them to PNG or JPEG first",
            (0, ..) => "copy what they lead to",
            _ => "one that is a picture all the same is explained when it is named itself",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = vec![];
        match self.own {
            0 => {}
            1 => kinds.push("1 that looks like gradcam's own output".to_owned()),
            own => kinds.push(format!("{own} that look like gradcam's own output")),
        }
        if !self.unread.is_empty() {
            let each = self
                .unread
                .iter()
                .map(|(extension, count)| format!("{count} .{extension}"));
            let each: Vec<String> = each.collect();
            kinds.push(format!("{}, which gradcam cannot read", each.join(" and ")));
        }
        match self.dangling {
            0 => {}
            1 => kinds.push("1 link that leads nowhere".to_owned()),
            links => kinds.push(format!("{links} links that lead nowhere")),
        }
        match self.gone {
            0 => {}
            1 => kinds.push("1 folder that vanished".to_owned()),
            folders => kinds.push(format!("{folders} folders that vanished")),
        }
        let files = if self.count() == 1 { "file" } else { "files" };
        write!(f, "{} {files} left out: {}", self.count(), kinds.join(", "))
    }
}

/// How far below a folder pictures are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// In the folder itself.
    One,
    /// In its folders as well, and in theirs.
    All,
}

/// The pictures of a folder: files, not folders, with an extension that can be decoded, none hidden and none for which
/// `is_own` holds, sorted by name; at least one.
pub(super) fn list(
    folder: &Path,
    depth: Depth,
    is_own: impl Fn(&Path) -> bool,
) -> Result<Listed, PictureError> {
    let mut listed = Listed {
        root: folder.to_owned(),
        ..Listed::default()
    };
    let mut below = FolderWalk::new(folder, depth);
    while let Some(folder) = below.next() {
        match entries(&folder) {
            Ok(entries) => {
                for path in entries {
                    if !is_hidden(&path) && !below.takes(&path) {
                        listed.sort_out(path, &is_own);
                    }
                }
            }
            Err(reason) if folder == listed.root => {
                return Err(PictureError::Read {
                    path: folder,
                    reason,
                });
            }
            // Gone since its name was read.
            Err(reason) if reason.kind() == ErrorKind::NotFound => listed.left_out.gone += 1,
            Err(reason) => listed.unreadable.push(PictureError::Read {
                path: folder,
                reason,
            }),
        }
    }
    if listed.pictures.is_empty() && listed.unreadable.is_empty() {
        return Err(PictureError::NoPictures {
            folder: folder.to_owned(),
            left_out: listed.left_out,
            depth,
        });
    }
    listed.pictures.sort();
    Ok(listed)
}

/// The folders from one on, each once however many links lead to it: those that are there before those that links lead to, and
/// both in the order of their names, so that the same tree is always the same list.
struct FolderWalk {
    depth: Depth,
    folders: Vec<PathBuf>,
    links: BTreeSet<PathBuf>,
    /// By their one true name.
    seen: HashSet<PathBuf>,
}

impl FolderWalk {
    fn new(folder: &Path, depth: Depth) -> Self {
        Self {
            depth,
            folders: vec![folder.to_owned()],
            links: BTreeSet::new(),
            seen: HashSet::new(),
        }
    }

    /// The next folder to read.
    fn next(&mut self) -> Option<PathBuf> {
        loop {
            let folder = match self.folders.pop() {
                Some(folder) => folder,
                None => self.links.pop_first()?,
            };
            let bare = folder.as_os_str().is_empty();
            let real = if bare { Path::new(".") } else { &folder };
            let real = real.canonicalize().unwrap_or_else(|_| folder.clone());
            if self.seen.insert(real) {
                return Some(folder);
            }
        }
    }

    /// Whether `path` is a folder, which is then read later if folders are.
    fn takes(&mut self, path: &Path) -> bool {
        if !path.is_dir() {
            return false;
        }
        if self.depth == Depth::All {
            match path.is_symlink() {
                true => _ = self.links.insert(path.to_owned()),
                false => self.folders.push(path.to_owned()),
            }
        }
        true
    }
}

/// `folder` and every folder below it that is not hidden, each once.
pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut below = FolderWalk::new(folder, Depth::All);
    let mut all = vec![];
    while let Some(folder) = below.next() {
        for path in entries(&folder).unwrap_or_default() {
            if !is_hidden(&path) {
                below.takes(&path);
            }
        }
        all.push(folder);
    }
    all
}

/// What lies in a folder, by name.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    // The empty path is the current folder, which the system does not know by that name.
    let bare = folder.as_os_str().is_empty();
    let entries = fs::read_dir(if bare { Path::new(".") } else { folder })?;
    let paths = entries.map(|entry| Ok(folder.join(entry?.file_name())));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

impl Listed {
    /// Takes a file of a folder for a picture, or leaves it out.
    pub(super) fn sort_out(&mut self, path: PathBuf, is_own: impl Fn(&Path) -> bool) {
        let extension = path.extension().unwrap_or_default();
        let extension = extension.to_string_lossy().to_lowercase();
        let is_unread = UNREAD.contains(&extension.as_str());
        if !(is_unread || has_picture_extension(&path)) {
            return;
        }
        let left_out = &mut self.left_out;
        if path.is_file() {
            match () {
                () if is_unread => *left_out.unread.entry(extension).or_default() += 1,
                () if is_own(&path) => left_out.own += 1,
                () => self.pictures.push(path),
            }
        } else if path.is_symlink() && !path.exists() {
            left_out.dangling += 1;
        }
    }
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension()
        .and_then(ImageFormat::from_extension)
        .is_some_and(|format| format.reading_enabled())
}
