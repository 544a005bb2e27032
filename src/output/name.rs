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
        // Whatever channels are tried.
        let reads = |setting| method.reads(setting, false);
        Self {
            versus: self.versus.filter(|_| reads(Setting::Versus)),
            counterfactual: self.counterfactual && reads(Setting::Counterfactual),
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
mod tests {
    use super::*;

    const GRADCAM_PLUS_PLUS: Method = Method::Cam(cam::Method::GradCamPlusPlus);
    const GUIDED: Method = Method::Pixel(attribution::Method::GuidedBprop);
    const GUIDED_GRADCAM: Method = Method::Pixel(attribution::Method::GuidedGradcam);
    const INTEGRATED: Method = Method::Pixel(attribution::Method::IntegratedGradients);

    const TRAFFIC_LIGHT: Subject<'_> = Subject {
        rank: 0,
        class_id: 920,
        class_name: "traffic light",
        probability: 0.10467,
        question: Question {
            versus: None,
            counterfactual: false,
        },
    };

    fn named(class_name: &str) -> String {
        let subject = Subject {
            rank: 2,
            class_id: 7,
            class_name,
            probability: 1.0,
            question: Question::default(),
        };
        file_name(
            OsStr::new("a"),
            subject,
            Content::Picture(GUIDED_GRADCAM),
            "png",
        )
        .into_string()
        .unwrap()
    }

    #[test]
    fn a_name_says_picture_rank_class_probability_and_content() {
        for (content, name) in [
            (
                Content::Picture(GRADCAM),
                "street_0_920_traffic_light_0.105_gradcam.jpg",
            ),
            (
                Content::Heatmap(GRADCAM),
                "street_0_920_traffic_light_0.105_heatmap.jpg",
            ),
            (
                Content::Segmented(GRADCAM),
                "street_0_920_traffic_light_0.105_segmented.jpg",
            ),
            (
                Content::Raw(GRADCAM),
                "street_0_920_traffic_light_0.105_gradcam.npy",
            ),
            (
                Content::Picture(GUIDED),
                "street_0_920_traffic_light_0.105_guided_bprop.jpg",
            ),
            (
                Content::Raw(GUIDED),
                "street_0_920_traffic_light_0.105_guided_bprop.npy",
            ),
            (
                Content::Picture(GUIDED_GRADCAM),
                "street_0_920_traffic_light_0.105_guided_gradcam.jpg",
            ),
            (
                Content::Picture(GRADCAM_PLUS_PLUS),
                "street_0_920_traffic_light_0.105_gradcam++.jpg",
            ),
            (
                Content::Heatmap(GRADCAM_PLUS_PLUS),
                "street_0_920_traffic_light_0.105_gradcam++_heatmap.jpg",
            ),
            (
                Content::Segmented(GRADCAM_PLUS_PLUS),
                "street_0_920_traffic_light_0.105_gradcam++_segmented.jpg",
            ),
            (
                Content::Raw(GRADCAM_PLUS_PLUS),
                "street_0_920_traffic_light_0.105_gradcam++.npy",
            ),
            (
                Content::Picture(INTEGRATED),
                "street_0_920_traffic_light_0.105_integrated-gradients.jpg",
            ),
            (
                Content::Heatmap(INTEGRATED),
                "street_0_920_traffic_light_0.105_integrated-gradients_heatmap.jpg",
            ),
        ] {
            assert_eq!(
                file_name(OsStr::new("street"), TRAFFIC_LIGHT, content, "jpg"),
                name
            );
        }
    }

    #[test]
    fn a_question_stands_before_the_suffix() {
        let question = Question {
            versus: Some(10),
            counterfactual: true,
        };
        let subject = Subject {
            question,
            ..TRAFFIC_LIGHT
        };
        assert_eq!(
            file_name(
                OsStr::new("street"),
                subject,
                Content::Heatmap(GRADCAM),
                "jpg"
            ),
            "street_0_920_traffic_light_0.105_versus_10_counterfactual_heatmap.jpg"
        );
    }

    #[test]
    fn a_method_that_reads_no_question_has_none_in_its_names() {
        let asked = Question {
            versus: Some(10),
            counterfactual: true,
        };
        let shown = |method| asked.of(method).to_string();
        assert_eq!(shown(GRADCAM), "_versus_10_counterfactual");
        assert_eq!(shown(cam::Method::Fem.into()), "");
        assert_eq!(shown(cam::Method::FullGrad.into()), "_versus_10");
        assert_eq!(shown(attribution::Method::VarGrad.into()), "_versus_10");
    }

    #[test]
    fn a_class_name_becomes_what_a_file_name_can_hold() {
        assert_eq!(
            named("a/b\\c:d*e?f\"g<h>i|j\tk"),
            "a_2_7_a_b_c_d_e_f_g_h_i_j_k_1.000_guided_gradcam.png"
        );
        assert_eq!(
            named("../../etc/passwd"),
            "a_2_7____.._etc_passwd_1.000_guided_gradcam.png"
        );
        assert_eq!(
            named("jack-o'-lantern"),
            "a_2_7_jack-o'-lantern_1.000_guided_gradcam.png"
        );
        assert_eq!(named("信号機"), "a_2_7_信号機_1.000_guided_gradcam.png");
    }

    #[test]
    fn a_long_class_name_is_cut_between_characters() {
        let name = named(&"機".repeat(200));
        assert_eq!(
            name,
            format!(
                "a_2_7_{}_1.000_guided_gradcam.png",
                "機".repeat(CLASS_NAME_MAX / 3)
            )
        );
    }

    #[test]
    fn no_name_passes_what_a_file_system_takes() {
        let class_name = "x".repeat(300);
        let subject = Subject {
            rank: 99_999,
            class_id: 999_999,
            class_name: &class_name,
            probability: 1.0,
            question: Question {
                versus: Some(999_999),
                counterfactual: true,
            },
        };
        for content in Content::all() {
            let name = file_name(OsStr::new(&"s".repeat(STEM_MAX)), subject, content, "webp");
            assert!(name.len() <= NAME_MAX, "{} bytes: {name:?}", name.len());
            assert!(
                name.to_string_lossy()
                    .contains("x_1.000_versus_999999_counterfactual_")
            );
        }
    }

    #[test]
    fn reports_tell_arrays_from_pictures() {
        assert_eq!(Content::Picture(GRADCAM).key(), "gradcam");
        assert_eq!(Content::Raw(GRADCAM).key(), "gradcam.npy");
        assert_eq!(Content::Raw(GUIDED).key(), "guided_bprop.npy");
    }

    #[test]
    fn the_programs_own_files_are_recognised() {
        for content in Content::all() {
            let name = file_name(OsStr::new("my_photo_1"), TRAFFIC_LIGHT, content, "png");
            assert!(
                is_output(Path::new("folder").join(&name).as_path()),
                "{name:?}"
            );
        }
        let content = Content::Segmented(GRADCAM);
        for (versus, counterfactual) in [(Some(10), false), (None, true), (Some(10), true)] {
            let question = Question {
                versus,
                counterfactual,
            };
            let subject = Subject {
                question,
                ..TRAFFIC_LIGHT
            };
            let name = file_name(OsStr::new("my_photo_1"), subject, content, "png");
            assert!(is_output(Path::new(&name)), "{name:?}");
        }
        for other in [
            "photo_versus_10_gradcam.png",
            "photo.jpg",
            "photo_gradcam.png",
            "2024_01_02_heatmap.png",
            "a_0_1_b_2.000_gradcam.png",
            "0_1_b_0.500_gradcam.png",
            "",
        ] {
            assert!(!is_output(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_stem_is_shortened_between_characters_and_keeps_what_tells_it_apart() {
        let fits = "é".repeat(STEM_MAX / 2);
        assert_eq!(short_stem(OsStr::new(&fits)), fits.as_str());
        let shortened = |stem: String| short_stem(OsStr::new(&stem)).into_string().unwrap();
        let [one, two] = ["1", "2"].map(|end| shortened("機".repeat(80) + end));
        assert_ne!(one, two);
        assert!(one.len() <= STEM_MAX && one.len() > STEM_MAX - 3, "{one}");
        assert!(one.starts_with(&format!("{}-", "機".repeat((STEM_MAX - TELLING) / 3))));
        let name = file_name(
            OsStr::new(&one),
            TRAFFIC_LIGHT,
            Content::Picture(GUIDED),
            "png",
        );
        assert!(is_output(Path::new(&name)) && name.len() <= NAME_MAX);
    }

    #[cfg(unix)]
    #[test]
    fn a_long_stem_that_is_not_unicode_is_shortened_all_the_same() {
        use std::os::unix::ffi::OsStrExt;

        for byte in [0xe9, 0x80] {
            let short = short_stem(OsStr::from_bytes(&[byte; 250]));
            assert!(short.len() <= STEM_MAX && short.len() > STEM_MAX - 4);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_stem_that_is_not_unicode_keeps_its_bytes() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};

        let name = file_name(
            OsStr::from_bytes(b"caf\xe9"),
            TRAFFIC_LIGHT,
            Content::Picture(GUIDED),
            "png",
        );
        assert_eq!(
            name.into_vec(),
            b"caf\xe9_0_920_traffic_light_0.105_guided_bprop.png"
        );
    }
}
