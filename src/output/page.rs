//! The page of `--report`: one HTML file of every picture and its maps, written piece by piece.
//!
//! The page is `assets/report.html` with two blocks of JSON in it: what is the same for all pictures ([`Common`]), and one line
//! a picture, that of `--json` with the field `page` ([`PagePicture`]). Maps are in it as numbers of the size that they were made in,
//! a few hundred bytes each, which the page's script resizes and colours as `draw` does: so colours, threshold and scale can
//! be chosen by who looks at it, and the page stays small. Pixel values are pictures, which JPEG holds in less.
//!
//! Of many pictures, these and the maps lie in a folder beside the page, and it loads those that are looked at.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::report::{Report, paths};
use super::{FileInProgress, WriteError, write};
use crate::weights::hex;

const TEMPLATE: &str = include_str!("../../assets/report.html");
const COMMON: &str = "<!--RUN-->";
const ENTRIES: &str = "<!--ENTRIES-->";

/// Pictures that lie in the page itself: with more of them it would no longer open at once, nor go by mail.
pub const INSIDE: usize = 20;

/// What is the same for all pictures of a page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Common {
    /// Name and version.
    pub program: &'static str,
    /// The command that makes the page again, as a shell takes it.
    pub command: String,
    /// The 256 colours of each colour map, six hexadecimal digits each.
    pub colormaps: Map<String, Value>,
    /// Of each method whether it has a layer (`layer`), or none (`picture`).
    pub methods: Map<String, Value>,
    /// How maps are drawn at first.
    pub drawing: Drawing,
}

/// How maps are drawn when the page opens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drawing {
    /// A name among [`Common::colormaps`].
    pub colormap: String,
    /// How the colours meet the picture: `sum` or `blend`.
    pub overlay: &'static str,
    /// Opacity of a blend, 0 to 1.
    pub alpha: f32,
    /// Heat from which a map is shown.
    pub threshold: f32,
    /// What is drawn at full strength: `class`, `image` or `fixed`.
    pub scale: &'static str,
    /// The number, where it is fixed.
    pub full: Option<f64>,
    /// Whether what lies below zero is drawn.
    pub signed: bool,
}

/// What a page shows of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PagePicture {
    /// Where the picture is: its data. None of one beside the page, whose maps bring it: what is a file there may be shown, and
    /// not read to add colours to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The same of a small one with a map over it, where there are several pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub small: Option<String>,
    /// Columns and rows of `picture`.
    pub size: [u32; 2],
    /// What the network saw of it: left, top, width and height, in its pixels.
    pub seen: [f64; 4],
    /// The maps.
    pub maps: Maps,
}

/// The maps of a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Maps {
    /// In the page.
    Inside(Vec<PageMap>),
    /// In a file beside it, a script that hands them to the page with the picture: one that was opened from a folder may load
    /// nothing else.
    Beside(String),
}

/// What one method, and layer, gave for a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageMap {
    /// The class's rank.
    pub class: usize,
    /// As on the command line.
    pub method: String,
    /// One of several layers; none for the map of all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Columns and rows.
    pub size: [usize; 2],
    /// The values.
    #[serde(flatten)]
    pub values: Values,
}

/// Values of a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// One a position, less what is drawn as nothing.
    Levels {
        /// The value of level 0.
        low: f64,
        /// The value of level 65,535.
        high: f64,
        /// What is drawn as nothing.
        nothing: f64,
        /// Row by row, two bytes each, the lower first, in base64.
        levels: String,
    },
    /// Those of a pixel method, as they are drawn.
    Picture {
        /// Where the picture is.
        picture: String,
    },
}

impl Values {
    /// Levels of these values, from which `nothing` is already subtracted. What is not finite counts as zero, as in
    /// pictures.
    pub fn levels(values: &[f64], nothing: f64) -> Self {
        let finite = |&v: &f64| if v.is_finite() { v } else { 0.0 };
        let low = values.iter().map(finite).fold(f64::INFINITY, f64::min);
        let high = values.iter().map(finite).fold(f64::NEG_INFINITY, f64::max);
        let level = |v: f64| match high > low {
            // Halves, whose difference cannot overflow.
            true => (65535.0 * ((v / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0))).round() as u16,
            false => 0,
        };
        let bytes = values.iter().flat_map(|v| level(finite(v)).to_le_bytes());
        Self::Levels {
            low,
            high,
            nothing,
            levels: STANDARD.encode(bytes.collect::<Vec<u8>>()),
        }
    }
}

/// Where pictures and maps of a page are: in it, or beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The folder beside it, and what the page calls it.
    beside: Option<(PathBuf, String)>,
    is_of_several: bool,
}

/// A page that is being written.
pub struct Page {
    file: FileInProgress,
    entries: usize,
}

impl Media {
    /// Those of the page `path` of so many pictures; `are_several` where it is to be one of several however few there are so far.
    pub fn of(path: &Path, pictures: usize, are_several: bool) -> Self {
        let mut folder = path.file_stem().map_or_else(OsString::new, OsString::from);
        folder.push("_files");
        let called = paths::encoded(Path::new(&folder));
        Self {
            beside: (pictures > INSIDE).then(|| (path.with_file_name(folder), called)),
            is_of_several: are_several || pictures > 1,
        }
    }

    /// What tells the files of a picture from those of others: the beginning of its path's SHA-256. Not its number, which further
    /// pictures of a resumed run would change.
    pub fn key(image: &Path) -> String {
        let digest = Sha256::digest(image.as_os_str().as_encoded_bytes());
        hex(&digest[..8])
    }

    /// Whether they are in the page.
    pub fn is_inside(&self) -> bool {
        self.beside.is_none()
    }

    /// Whether there are several pictures, side by side at first.
    pub fn is_of_several(&self) -> bool {
        self.is_of_several
    }

    /// What the page calls a JPEG: its data, or the file that is written for it. `key` tells the picture from others,
    /// `name` the JPEG from others of the picture.
    pub fn jpeg(&self, bytes: &[u8], key: &str, name: &str) -> Result<String, WriteError> {
        match &self.beside {
            None => Ok(data(bytes)),
            Some(beside) => put(beside, bytes, &format!("{key}_{name}.jpg")),
        }
    }

    /// A picture, the JPEG `bytes`, and its maps: in the page, or in a file that is written for both.
    pub fn picture_and_maps(
        &self,
        bytes: &[u8],
        maps: Vec<PageMap>,
        key: &str,
    ) -> Result<(Option<String>, Maps), WriteError> {
        let picture = data(bytes);
        let Some(beside) = &self.beside else {
            return Ok((Some(picture), Maps::Inside(maps)));
        };
        let both = InScript {
            picture,
            maps: &maps,
        };
        let script = format!("gradcamPicture({});\n", in_script(&json(&both)));
        let address = put(beside, script.as_bytes(), &format!("{key}_maps.js"))?;
        Ok((None, Maps::Beside(address)))
    }
}

/// What a script beside the page hands to it.
#[derive(Serialize)]
struct InScript<'a> {
    picture: String,
    maps: &'a [PageMap],
}

/// A JPEG as an address that is its data.
fn data(bytes: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes))
}

/// Writes a file beside the page, and gives its address.
fn put(
    (folder, called): &(PathBuf, String),
    bytes: &[u8],
    name: &str,
) -> Result<String, WriteError> {
    write(&folder.join(name), bytes)?;
    Ok(format!("{called}/{name}"))
}

impl Page {
    /// Begins the page that will be `path`.
    pub fn begin(path: &Path, common: &Common) -> Result<Self, WriteError> {
        let (head, rest) = TEMPLATE.split_once(COMMON).expect("the page has the mark");
        let (middle, _) = rest.split_once(ENTRIES).expect("the page has the mark");
        let mut file = FileInProgress::new(path)?;
        file.write(head.as_bytes())?;
        file.write(in_script(&json(common)).as_bytes())?;
        file.write(middle.as_bytes())?;
        Ok(Self { file, entries: 0 })
    }

    /// Adds a picture.
    pub fn add(&mut self, report: &Report, shown: &PagePicture) -> Result<(), WriteError> {
        self.line(&report.json_with(Some(shown)))
    }

    /// Adds a line of JSON: a picture without a result, see [`failure`](super::report::failure).
    pub fn line(&mut self, line: &str) -> Result<(), WriteError> {
        if self.entries > 0 {
            self.file.write(b",\n")?;
        }
        self.entries += 1;
        self.file.write(in_script(line.trim_end()).as_bytes())
    }

    /// Gives the page its name.
    pub fn finish(mut self) -> Result<(), WriteError> {
        let (_, tail) = TEMPLATE.split_once(ENTRIES).expect("the page has the mark");
        self.file.write(tail.as_bytes())?;
        self.file.finish()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("keys are strings, and writing to memory cannot fail")
}

/// JSON in which nothing ends or opens a tag or a comment of HTML, nor a line of a script: these characters stand within
/// strings alone, where they can be escaped.
fn in_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to memory cannot fail.
                _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
