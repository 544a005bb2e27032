//! The page of `--report` as a whole: how its maps are drawn at first, and its pictures where a manifest has them, as it does of a run
//! that may be resumed and of parts that are joined.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{Colormap, Scale};
use crate::draw::composite::Overlay;
use crate::methods::{Method, Setting};
use crate::options::Options;
use crate::output::WriteError;
use crate::output::manifest::{self, Entry, Head, Manifest, holds_something};
use crate::output::page::{Common, Drawing, Page};

/// How maps are drawn when the page opens, as the options say it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    colormap: Colormap,
    overlay: Overlay,
    scale: Scale,
    signed: bool,
}

/// What of a manifest's settings makes a [`Look`], as [`Options::settings`] writes it.
#[derive(Deserialize)]
struct Fields {
    colormap: String,
    overlay: String,
    #[serde(default)]
    alpha: Option<String>,
    #[serde(default)]
    threshold: Option<String>,
    scale: String,
    #[serde(default)]
    signed: bool,
}

impl Look {
    /// That of a run.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            colormap: options.colormap,
            overlay: options.overlay,
            scale: options.scale,
            signed: options.signed,
        }
    }

    /// That of a manifest's settings; `None` where they are not those of this version.
    pub(crate) fn of_settings(settings: &Map<String, Value>) -> Option<Self> {
        let fields: Fields = serde_json::from_value(Value::Object(settings.clone())).ok()?;
        let share = |text: Option<String>| text?.parse::<f32>().ok();
        Some(Self {
            colormap: fields.colormap.parse().ok()?,
            overlay: match &*fields.overlay {
                "sum" => Overlay::Sum,
                "blend" => Overlay::Blend(share(fields.alpha)?),
                "threshold" => Overlay::Threshold {
                    alpha: share(fields.alpha)?,
                    least: share(fields.threshold)?,
                },
                _ => return None,
            },
            scale: fields.scale.parse().ok()?,
            signed: fields.signed,
        })
    }

    /// What is the same for all pictures of a page that `command` makes.
    pub(crate) fn common(self, command: String) -> Common {
        let maps = Colormap::ALL.iter();
        let colormaps = maps.map(|map| {
            let digits = map.table().as_flattened().iter();
            let digits: Vec<String> = digits.map(|level| format!("{level:02x}")).collect();
            (map.to_string(), digits.concat().into())
        });
        let methods = Method::all().map(|method| {
            let has_layer = method.reads(Setting::Layer);
            let kind = if has_layer { "layer" } else { "picture" };
            (method.to_string(), kind.into())
        });
        let (overlay, alpha, threshold) = match self.overlay {
            Overlay::Sum => ("sum", ALPHA, 0.0),
            Overlay::Blend(alpha) => ("blend", alpha, 0.0),
            Overlay::Threshold { alpha, least } => ("blend", alpha, least),
        };
        let (scale, full) = match self.scale {
            Scale::Class => ("class", None),
            Scale::Image => ("image", None),
            Scale::Fixed(full) => ("fixed", Some(full)),
        };
        Common {
            program: concat!("gradcam ", env!("CARGO_PKG_VERSION")),
            command,
            colormaps: colormaps.collect(),
            methods: methods.collect(),
            drawing: Drawing {
                colormap: self.colormap.to_string(),
                overlay,
                alpha,
                threshold,
                scale,
                full,
                signed: self.signed,
            },
        }
    }
}

/// Opacity of a blend where nobody says.
const ALPHA: f32 = 0.5;

/// Adds pictures of a manifest to a page.
pub(crate) fn add<'a>(
    page: &mut Page,
    manifest: &Manifest,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<(), WriteError> {
    // Whichever part it was made in.
    let of_whole = |entry: &Entry| Head {
        shard: None,
        ..entry.head
    };
    let lines = entries
        .into_iter()
        .map(|entry| (of_whole(entry), entry.clone()));
    manifest.lines(lines, |line| page.line(&manifest::without_run(line)))
}

/// The first file of a picture that is not beside the page; `None`: all are there.
pub(crate) fn missing(page: &Path, entry: &Entry) -> Option<PathBuf> {
    let beside = entry.page.iter().flatten();
    let mut files = beside.map(|file| page.with_file_name("").join(file));
    files.find(|file| !holds_something(file))
}
