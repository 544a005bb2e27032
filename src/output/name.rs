//! Names of the files written: `<stem>_<rank>_<class id>_<class
//! name>_<probability>_<suffix>.<ext>`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ValueEnum;

use crate::cli::Method;

/// Longest file name, in bytes, that common file systems take.
const NAME_MAX: usize = 255;

/// Bytes kept for all but stem and class name: rank, id, probability, the longest suffix and
/// extension, separators.
const RESERVED: usize = 72;

/// Bytes a class name may take: more than ImageNet's longest usual name, 30.
const CLASS_NAME_MAX: usize = 80;

/// Longest stem, in bytes, that leaves a class name readable.
pub(super) const STEM_MAX: usize = NAME_MAX - RESERVED - 16;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The map in colour over the picture.
    Overlay(Method),
    /// The map in grey.
    Heatmap(Method),
    /// The picture lit by the map.
    Segmented(Method),
    /// The map before ReLU and scaling, float32, H x W.
    RawMap(Method),
    /// Guided backpropagation as a picture.
    GuidedBprop,
    /// Guided backpropagation's gradient, float32, H x W x 3.
    RawGuidedBprop,
    /// Guided backpropagation lit by the Grad-CAM map.
    GuidedGradcam,
}

impl Content {
    /// `gradcam`, `heatmap`, `segmented` of Grad-CAM; `gradcam++`, `gradcam++_heatmap`,
    /// `gradcam++_segmented` of another method, named as on the command line; `guided_bprop` and
    /// `guided_gradcam` of none.
    pub fn suffix(self) -> String {
        match self {
            Self::Overlay(method) | Self::RawMap(method) => method.to_string(),
            Self::Heatmap(Method::GradCam) => "heatmap".to_owned(),
            Self::Segmented(Method::GradCam) => "segmented".to_owned(),
            Self::Heatmap(method) => format!("{method}_heatmap"),
            Self::Segmented(method) => format!("{method}_segmented"),
            Self::GuidedBprop | Self::RawGuidedBprop => "guided_bprop".to_owned(),
            Self::GuidedGradcam => "guided_gradcam".to_owned(),
        }
    }

    /// The method whose map it shows, if it shows one alone.
    pub fn method(self) -> Option<Method> {
        match self {
            Self::Overlay(method)
            | Self::Heatmap(method)
            | Self::Segmented(method)
            | Self::RawMap(method) => Some(method),
            Self::GuidedBprop | Self::RawGuidedBprop | Self::GuidedGradcam => None,
        }
    }

    /// Whether the file is a `.npy` array rather than a picture.
    pub fn is_array(self) -> bool {
        matches!(self, Self::RawMap(_) | Self::RawGuidedBprop)
    }

    /// What tells this file from the others of its class, in the report: the suffix, with `.npy`
    /// for an array.
    pub fn key(self) -> String {
        let extension = if self.is_array() { ".npy" } else { "" };
        self.suffix() + extension
    }

    fn all() -> impl Iterator<Item = Self> {
        let of_method = |&method| {
            [
                Self::Overlay(method),
                Self::Heatmap(method),
                Self::Segmented(method),
            ]
        };
        Method::value_variants()
            .iter()
            .flat_map(of_method)
            .chain([Self::GuidedBprop, Self::GuidedGradcam])
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
    } = subject;
    let room = NAME_MAX
        .saturating_sub(RESERVED + stem.len())
        .min(CLASS_NAME_MAX);
    let class_name = writable(class_name, room);
    let suffix = content.suffix();
    let extension = if content.is_array() { "npy" } else { extension };
    let mut name = stem.to_owned();
    name.push(format!(
        "_{rank}_{class_id}_{class_name}_{probability:.3}_{suffix}.{extension}"
    ));
    name
}

/// Whether a file has the form of this program's own output, so that a folder explained twice is
/// not explained twice over.
pub fn is_output(path: &Path) -> bool {
    let Some(stem) = path.file_stem().map(OsStr::to_string_lossy) else {
        return false;
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let probability = |part: &str| {
        part.split_once('.').is_some_and(|(whole, decimals)| {
            matches!(whole, "0" | "1") && decimals.len() == 3 && digits(decimals)
        })
    };
    Content::all().any(|content| {
        let Some((subject, last)) = stem
            .strip_suffix(&format!("_{}", content.suffix()))
            .and_then(|rest| rest.rsplit_once('_'))
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

    const TRAFFIC_LIGHT: Subject<'_> = Subject {
        rank: 0,
        class_id: 920,
        class_name: "traffic light",
        probability: 0.10467,
    };

    fn named(class_name: &str) -> String {
        let subject = Subject {
            rank: 2,
            class_id: 7,
            class_name,
            probability: 1.0,
        };
        file_name(OsStr::new("a"), subject, Content::GuidedGradcam, "png")
            .into_string()
            .unwrap()
    }

    #[test]
    fn a_name_says_picture_rank_class_probability_and_content() {
        for (content, name) in [
            (
                Content::Overlay(Method::GradCam),
                "street_0_920_traffic_light_0.105_gradcam.jpg",
            ),
            (
                Content::Heatmap(Method::GradCam),
                "street_0_920_traffic_light_0.105_heatmap.jpg",
            ),
            (
                Content::Segmented(Method::GradCam),
                "street_0_920_traffic_light_0.105_segmented.jpg",
            ),
            (
                Content::RawMap(Method::GradCam),
                "street_0_920_traffic_light_0.105_gradcam.npy",
            ),
            (
                Content::GuidedBprop,
                "street_0_920_traffic_light_0.105_guided_bprop.jpg",
            ),
            (
                Content::RawGuidedBprop,
                "street_0_920_traffic_light_0.105_guided_bprop.npy",
            ),
            (
                Content::GuidedGradcam,
                "street_0_920_traffic_light_0.105_guided_gradcam.jpg",
            ),
            (
                Content::Overlay(Method::GradCamPlusPlus),
                "street_0_920_traffic_light_0.105_gradcam++.jpg",
            ),
            (
                Content::Heatmap(Method::GradCamPlusPlus),
                "street_0_920_traffic_light_0.105_gradcam++_heatmap.jpg",
            ),
            (
                Content::Segmented(Method::GradCamPlusPlus),
                "street_0_920_traffic_light_0.105_gradcam++_segmented.jpg",
            ),
            (
                Content::RawMap(Method::GradCamPlusPlus),
                "street_0_920_traffic_light_0.105_gradcam++.npy",
            ),
        ] {
            assert_eq!(
                file_name(OsStr::new("street"), TRAFFIC_LIGHT, content, "jpg"),
                name
            );
        }
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
        };
        for content in Content::all() {
            let name = file_name(OsStr::new(&"s".repeat(STEM_MAX)), subject, content, "webp");
            assert!(name.len() <= NAME_MAX, "{} bytes: {name:?}", name.len());
            assert!(name.to_string_lossy().contains("x_1.000_"));
        }
    }

    #[test]
    fn reports_tell_arrays_from_pictures() {
        assert_eq!(Content::Overlay(Method::GradCam).key(), "gradcam");
        assert_eq!(Content::RawMap(Method::GradCam).key(), "gradcam.npy");
        assert_eq!(Content::RawGuidedBprop.key(), "guided_bprop.npy");
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
        for other in [
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

    #[cfg(unix)]
    #[test]
    fn a_stem_that_is_not_unicode_keeps_its_bytes() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};

        let name = file_name(
            OsStr::from_bytes(b"caf\xe9"),
            TRAFFIC_LIGHT,
            Content::GuidedBprop,
            "png",
        );
        assert_eq!(
            name.into_vec(),
            b"caf\xe9_0_920_traffic_light_0.105_guided_bprop.png"
        );
    }
}
