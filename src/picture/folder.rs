//! Which files of a folder are pictures to explain, and which are left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use super::PictureError;

/// Extensions of pictures that are not read: who has them in a folder expects them to be explained.
const UNREAD: [&str; 20] = [
    "arw", "avif", "cr2", "cr3", "dds", "dng", "exr", "hdr", "heic", "heif", "ico", "jp2", "jxl",
    "nef", "orf", "psd", "raf", "rw2", "svg", "xcf",
];

/// The picture files that a path stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// At least one.
    pub pictures: Vec<PathBuf>,
    /// Of a folder.
    pub left_out: LeftOut,
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
}

impl LeftOut {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.own + self.dangling + self.unread.values().sum::<usize>()
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
        let files = if self.count() == 1 { "file" } else { "files" };
        write!(f, "{} {files} left out: {}", self.count(), kinds.join(", "))
    }
}

/// The pictures of a folder: files, not folders, with an extension that can be decoded, none hidden and none for which
/// `is_own` holds, sorted by name; at least one.
pub(super) fn list(folder: &Path, is_own: impl Fn(&Path) -> bool) -> Result<Listed, PictureError> {
    let unreadable = |reason| PictureError::Read {
        path: folder.to_owned(),
        reason,
    };
    let mut listed = Listed::default();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let is_unread = UNREAD.contains(&extension.as_str());
        if hidden || !(is_unread || has_picture_extension(&path)) {
            continue;
        }
        let left_out = &mut listed.left_out;
        if path.is_file() {
            match () {
                () if is_unread => *left_out.unread.entry(extension).or_default() += 1,
                () if is_own(&path) => left_out.own += 1,
                () => listed.pictures.push(path),
            }
        } else if path.is_symlink() && !path.exists() {
            left_out.dangling += 1;
        }
    }
    if listed.pictures.is_empty() {
        return Err(PictureError::NoPictures {
            folder: folder.to_owned(),
            left_out: listed.left_out,
        });
    }
    listed.pictures.sort();
    Ok(listed)
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension()
        .and_then(ImageFormat::from_extension)
        .is_some_and(|format| format.reading_enabled())
}
