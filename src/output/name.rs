//! Names of the files written: `<stem>_<rank>_<class id>_<class
//! name>_<probability>_<suffix>.<ext>`, with `_versus_<class id>` and `_counterfactual` before the
//! suffix where that was asked and the method reads it.
//!
//! Options that say how a map is made leave the name as it is. These two ask another question of
//! the same picture and class, whose answer one lays beside the first.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::methods::attribution;
use crate::methods::cam;
use crate::methods::{Method, Setting};

/// Longest file name, in bytes, that common file systems take.
const NAME_MAX: usize = 255;

/// Bytes kept for all but stem and class name: rank, id, probability, the question, the longest
/// suffix and extension, separators.
const RESERVED: usize = 88;

/// Bytes a class name may take: more than ImageNet's longest usual name, 30.
const CLASS_NAME_MAX: usize = 80;

/// Longest stem, in bytes, that leaves a class name readable.
pub(super) const STEM_MAX: usize = NAME_MAX - RESERVED - 16;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// The map in colour over the picture; of a pixel method, its values in colour.
    Picture(Method),
    /// The map in grey; of a pixel method, the magnitude of its values.
    Heatmap(Method),
    /// The same in 65,536 levels, always as PNG.
    Heatmap16(Method),
    /// The picture lit by the map or by that magnitude.
    Segmented(Method),
    /// Where the map's regions are, white on black, always as PNG.
    Mask(Method),
    /// The map before ReLU and scaling, float32, H x W; of several layers and with `--smooth aug`, what scaled maps become;
    /// of a pixel method, its values, H x W x 3.
    Raw(Method),
}

/// Grad-CAM, whose heat map and segmented picture are named without it.
const GRADCAM: Method = Method::Cam(cam::Method::GradCam);

impl Content {
    /// `gradcam`, `heatmap`, `segmented` of Grad-CAM; `gradcam++`, `gradcam++_heatmap`,
    /// `gradcam++_segmented` of another method.
    pub fn suffix(self) -> String {
        let method = name(self.method());
        match self {
            Self::Picture(_) | Self::Raw(_) => method,
            Self::Heatmap(GRADCAM) => "heatmap".to_owned(),
            Self::Heatmap16(GRADCAM) => "heatmap16".to_owned(),
            Self::Segmented(GRADCAM) => "segmented".to_owned(),
            Self::Mask(GRADCAM) => "mask".to_owned(),
            Self::Heatmap(_) => format!("{method}_heatmap"),
            Self::Heatmap16(_) => format!("{method}_heatmap16"),
            Self::Segmented(_) => format!("{method}_segmented"),
            Self::Mask(_) => format!("{method}_mask"),
        }
    }

    /// The method whose values it shows.
    pub fn method(self) -> Method {
        let (Self::Picture(method)
        | Self::Heatmap(method)
        | Self::Heatmap16(method)
        | Self::Segmented(method)
        | Self::Mask(method)
        | Self::Raw(method)) = self;
        method
    }

    /// Whether the file is a `.npy` array rather than a picture.
    pub fn is_array(self) -> bool {
        matches!(self, Self::Raw(_))
    }

    /// What tells this file from the others of its class, in the report: the suffix, with `.npy`
    /// for an array.
    pub fn key(self) -> String {
        let extension = if self.is_array() { ".npy" } else { "" };
        self.suffix() + extension
    }

    fn all() -> impl Iterator<Item = Self> {
        let of_method = |method| {
            [
                Self::Picture(method),
                Self::Heatmap(method),
                Self::Heatmap16(method),
                Self::Segmented(method),
                Self::Mask(method),
            ]
        };
        Method::all().flat_map(of_method)
    }
}

/// The method as on the command line, but for the two that have outputs of their own and are named as those.
fn name(method: Method) -> String {
    match method {
        Method::Pixel(attribution::Method::GuidedBprop) => "guided_bprop".to_owned(),
        Method::Pixel(attribution::Method::GuidedGradcam) => "guided_gradcam".to_owned(),
        other => other.to_string(),
    }
}

/// The class a file is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject<'a> {
    /// Place in the order of probability or of request, from 0.
    pub rank: usize,
    /// Number of the class.
    pub class_id: usize,
    /// Its usual name, unchanged.
    pub class_name: &'a str,
    /// 0 to 1; written with three decimals.
    pub probability: f32,
    /// What is asked of it.
    pub question: Question,
}

/// What is asked of a class, by default why its score is high. Shown as it stands in file names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Question {
    /// Why rather than this class's.
    pub versus: Option<usize>,
    /// What would lower it.
    pub counterfactual: bool,
}

impl Question {
    /// What of it `method` reads: the rest changes nothing of its files.
    #[must_use]
    pub fn of(self, method: Method) -> Self {
        Self {
            versus: self.versus.filter(|_| method.reads(Setting::Versus)),
            counterfactual: self.counterfactual && method.reads(Setting::Counterfactual),
        }
    }
}

const VERSUS: &str = "_versus_";
const COUNTERFACTUAL: &str = "_counterfactual";

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.versus {
            write!(f, "{VERSUS}{id}")?;
        }
        if self.counterfactual {
            f.write_str(COUNTERFACTUAL)?;
        }
        Ok(())
    }
}

/// What stands before a [`Question`] at the end of `stem`.
fn without_question(stem: &str) -> &str {
    let stem = stem.strip_suffix(COUNTERFACTUAL).unwrap_or(stem);
    match stem.rsplit_once(VERSUS) {
        Some((before, id)) if digits(id) => before,
        _ => stem,
    }
}

fn digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of the file that holds `content` about `subject`. `stem` is the picture's name without
/// extension, any bytes; `extension` is the picture format's, and not used for arrays.
///
/// The class name is shortened where the whole would pass 255 bytes, by the same amount for every
/// file of a picture.
pub(super) fn file_name(
    stem: &OsStr,
    subject: Subject<'_>,
    content: Content,
    extension: &str,
) -> OsString {
    let Subject {
        rank,
        class_id,
        class_name,
        probability,
        question,
    } = subject;
    let room = NAME_MAX
        .saturating_sub(RESERVED + stem.len())
        .min(CLASS_NAME_MAX);
    let class_name = writable(class_name, room);
    let suffix = content.suffix();
    let extension = match content {
        Content::Raw(_) => "npy",
        Content::Heatmap16(_) | Content::Mask(_) => "png",
        Content::Picture(_) | Content::Heatmap(_) | Content::Segmented(_) => extension,
    };
    let mut name = stem.to_owned();
    name.push(format!(
        "_{rank}_{class_id}_{class_name}_{probability:.3}{question}_{suffix}.{extension}"
    ));
    name
}

/// Bytes that tell a shortened stem from others that begin alike: a hyphen and eight digits.
const TELLING: usize = 9;

/// `stem`, or where it leaves no room for class and suffix, its beginning and digits made of all of it: the same in every
/// run, whatever other pictures there are.
pub(super) fn short_stem(stem: &OsStr) -> OsString {
    if stem.len() <= STEM_MAX {
        return stem.to_owned();
    }
    let digest = Sha256::digest(stem.as_encoded_bytes());
    let mut short = cut(stem, STEM_MAX - TELLING);
    let [a, b, c, d, ..] = digest[..] else {
        unreachable!("a digest has 32 bytes");
    };
    short.push(format!("-{:08x}", u32::from_be_bytes([a, b, c, d])));
    short
}

/// The first `room` bytes, or up to three less where a character would be cut.
#[cfg(unix)]
fn cut(stem: &OsStr, room: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;

    let bytes = stem.as_bytes();
    let continues = |at: &usize| bytes[*at] & 0xc0 == 0x80;
    let end = (room.saturating_sub(3)..=room)
        .rev()
        .find(|at| !continues(at));
    OsStr::from_bytes(&bytes[..end.unwrap_or(room)]).to_owned()
}

/// The same of a name that is Unicode, or becomes so.
#[cfg(not(unix))]
fn cut(stem: &OsStr, room: usize) -> OsString {
    let stem = stem.to_string_lossy();
    let end = (0..=room).rev().find(|&end| stem.is_char_boundary(end));
    stem[..end.unwrap_or(0)].into()
}

/// Whether a file has the form of this program's own output, so that a folder explained twice is
/// not explained twice over.
pub fn is_output(path: &Path) -> bool {
    let Some(stem) = path.file_stem().map(OsStr::to_string_lossy) else {
        return false;
    };
    let probability = |part: &str| {
        part.split_once('.').is_some_and(|(whole, decimals)| {
            matches!(whole, "0" | "1") && decimals.len() == 3 && digits(decimals)
        })
    };
    Content::all().any(|content| {
        let Some((subject, last)) = stem
            .strip_suffix(&format!("_{}", content.suffix()))
            .and_then(|rest| without_question(rest).rsplit_once('_'))
        else {
            return false;
        };
        let parts: Vec<_> = subject.split('_').collect();
        // Stem, rank, id and at least one word of the class name.
        probability(last)
            && parts
                .windows(3)
                .skip(1)
                .any(|three| digits(three[0]) && digits(three[1]))
    })
}

/// `name` with `_` for whatever a file name cannot hold, on any system that the file may be carried
/// to, cut to `room` bytes between characters.
fn writable(name: &str, room: usize) -> String {
    let cannot_stand = |c: char| c.is_whitespace() || c.is_control() || r#"/\:*?"<>|"#.contains(c);
    let mut name: String = name
        .chars()
        .map(|c| if cannot_stand(c) { '_' } else { c })
        .collect();
    let dots = name.len() - name.trim_start_matches('.').len();
    name.replace_range(..dots, &"_".repeat(dots));
    let end = (0..=room.min(name.len()))
        .rev()
        .find(|&end| name.is_char_boundary(end));
    name.truncate(end.unwrap_or(0));
    name
}

#[cfg(test)]
mod tests;
