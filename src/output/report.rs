//! The result as data, and its two renderings: lines of text and JSON (schema 1, to which fields
//! are only added).

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::gpu::AdapterInfo;
use crate::labels::Label;
use crate::methods::Method;
use crate::methods::fuse::Fuse;
use crate::methods::spread::Spread;
use crate::methods::verdict::{Circumstances, Verdict};
use crate::output::Content;
use crate::output::page::PagePicture;
use crate::printable::printable_lines;
use crate::score::Score;

pub(crate) mod paths;
mod region;
mod settings;

pub use region::{InBox, Region};
pub use settings::{Drawing, Preprocess, Regions, Settings};

/// Version of the JSON's form.
const SCHEMA: u32 = 1;
/// What made it.
pub(super) const PROGRAM: &str = concat!("gradcam ", env!("CARGO_PKG_VERSION"));

/// What was found in one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The picture, as named on the command line.
    #[serde(flatten, serialize_with = "paths::image")]
    pub image: PathBuf,
    /// Of its file, in hexadecimal; absent from the JSON where no run keeps it to know the file again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_sha256: Option<String>,
    /// Its width and height, upright.
    pub image_size: [u32; 2],
    /// Squares that covered it, of `--fit tiles`; absent from the JSON where the network saw one picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<usize>,
    /// The network.
    pub weights: Weights,
    /// Where it ran.
    pub adapter: Adapter,
    /// The target layer; several are joined by `+`.
    pub layer: String,
    /// How the maps of several layers became one; absent from the JSON where there is one layer.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "displayed_option"
    )]
    pub fuse: Option<Fuse>,
    /// What was differentiated.
    #[serde(serialize_with = "displayed")]
    pub score: Score,
    /// How the maps were made, beside that.
    pub settings: Settings,
    /// The class whose score is subtracted; absent from the JSON where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versus: Option<Versus>,
    /// Whether the gradient was negated; absent from the JSON where it was not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub counterfactual: bool,
    /// Options given that nothing asked for read, as typed, and those of a map's `unread`; absent from the JSON where there
    /// are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<&'static str>,
    /// What was assumed or left out on reading the picture and the weights; absent from the JSON where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Stages and the milliseconds they took, in the order they ran.
    #[serde(serialize_with = "timings")]
    pub timings_ms: Vec<(&'static str, f64)>,
    /// The classes explained, by rank.
    pub classes: Vec<Class>,
}

/// The network of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// `None`, JSON `null`, for the built-in network.
    #[serde(flatten, serialize_with = "paths::weights")]
    pub path: Option<PathBuf>,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
    /// As in `vgg16`.
    pub architecture: String,
}

/// The device of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// As the driver gives it.
    pub name: String,
    /// As in `vulkan`.
    pub backend: String,
    /// As in `cpu` or `discrete gpu`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The class that those of a [`Report`] are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versus {
    /// Its number.
    pub id: usize,
    /// The usual name, `_` for spaces.
    pub name: String,
}

/// One class of a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Place in the order of probability or of request, from 0.
    pub rank: usize,
    /// Number of the class.
    pub id: usize,
    /// The usual name, `_` for spaces.
    pub name: String,
    /// The synset and all names, or `None`, JSON `null`, where no synset is known.
    pub synset: Option<String>,
    /// All names, for the text.
    #[serde(skip)]
    names: String,
    /// 0 to 1.
    pub probability: f32,
    /// The value before the softmax.
    pub logit: f32,
    /// One for each method.
    pub maps: Vec<Map>,
}

/// What one method gave for a [`Class`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Map {
    /// The method.
    #[serde(serialize_with = "displayed")]
    pub method: Method,
    /// Least value, before ReLU and scaling.
    pub min: f32,
    /// Largest value there.
    pub max: f32,
    /// Mean value there.
    pub mean: f32,
    /// Where the heat lies, of pixel values their magnitude; absent from the JSON where there is none.
    #[serde(flatten)]
    pub spread: Option<Spread>,
    /// Whether nothing lies above zero, so that the pictures are black.
    pub empty: bool,
    /// Whether the map can be read as it is.
    pub verdict: Verdict,
    /// What to know before reading it; absent from the JSON where the verdict is `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its hot regions, the largest first; absent from the JSON where nobody asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<Region>>,
    /// Why there is none; absent from the JSON where there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions_note: Option<String>,
    /// Share of the heat on the picture that lies in a known box; absent from the JSON where there is no box or no heat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_in_box: Option<f64>,
    /// Whether the hottest pixel of the picture lies in it; absent in the same case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointing_hit: Option<bool>,
    /// The same of each box, where the picture has several; absent from the JSON where not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each_box: Vec<InBox>,
    /// Those of `--score`, `--versus` and `--counterfactual` that were given and that the method does not read, as typed;
    /// absent from the JSON where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<&'static str>,
    /// Files written, by suffix; an array's with `.npy`. Those of outputs that no method asked for stand
    /// with the class's first map.
    #[serde(flatten, serialize_with = "paths::files")]
    pub files: Vec<(String, PathBuf)>,
}

impl Versus {
    /// A class called `label`.
    pub fn new(id: usize, label: &Label) -> Self {
        Self {
            id,
            name: label.printed_name(),
        }
    }
}

impl Class {
    /// A class called `label`; no maps yet.
    pub fn new(rank: usize, id: usize, label: &Label, probability: f32, logit: f32) -> Self {
        Self {
            rank,
            id,
            name: label.printed_name(),
            synset: label.synset.as_ref().map(|_| label.to_string()),
            names: label.names.clone(),
            probability,
            logit,
            maps: Vec::new(),
        }
    }

    /// Notes a file written: with its method's map, or with the first map where its method is an output's alone.
    pub fn wrote(&mut self, content: Content, path: PathBuf) {
        let of_method = |map: &&mut Map| content.method() == map.method;
        let map = match self.maps.iter_mut().find(of_method) {
            Some(map) => map,
            None => &mut self.maps[0],
        };
        map.files.push((content.key(), path));
    }

    /// `0: class id: 920, class name: traffic_light, probability: 0.105, synset: n06874185 traffic
    /// light, ...`; the names alone where no synset is known.
    fn line(&self) -> String {
        let Self {
            rank,
            id,
            name,
            probability,
            ..
        } = self;
        let synset = self.synset.as_ref().unwrap_or(&self.names);
        format!(
            "{rank}: class id: {id}, class name: {name}, probability: {probability:.3}, \
             synset: {synset}"
        )
    }
}

impl Map {
    /// What there is to say of a map before ReLU and scaling, or of values that are as good below zero as above: those of
    /// pixels, and RISE's. No files yet. `mean` and `spread` are those on the picture, `gradient` as in [`Verdict::of`].
    pub fn new(
        method: Method,
        values: &[f64],
        mean: f64,
        spread: Option<Spread>,
        gradient: f64,
        asked: &Circumstances<'_>,
    ) -> Self {
        let max = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_signed = match method {
            Method::Cam(_) => true,
            Method::Pixel(_) => false,
            Method::Perturbation(method) => method.is_signed(),
        };
        let judged: Vec<f64> = match is_signed {
            true => values.to_vec(),
            false => values.iter().map(|v| v.abs()).collect(),
        };
        let (verdict, max_value) = (Verdict::of(&judged, gradient), max(values) as f32);
        Self {
            method,
            min: values.iter().copied().fold(f64::INFINITY, f64::min) as f32,
            max: max_value,
            mean: mean as f32,
            spread,
            empty: max(&judged) <= 0.0,
            verdict,
            note: asked.words(verdict, method, max_value),
            regions: None,
            regions_note: None,
            energy_in_box: None,
            pointing_hit: None,
            each_box: Vec::new(),
            unread: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Report {
    /// One line a class, each ended by a line feed; the picture's name on a line before them where
    /// there are several pictures.
    pub fn text(&self, several: bool) -> String {
        let image = several.then(|| self.image.display().to_string());
        let classes = self.classes.iter().map(Class::line);
        printable_lines(image.into_iter().chain(classes))
    }

    /// One line of JSON, ended by a line feed. A float that is not finite is `null`; a path that is
    /// not Unicode has its bytes beside it, percent-encoded.
    pub fn json(&self) -> String {
        self.json_with(None)
    }

    /// [`Report::json`] with what a page shows of the picture.
    #[allow(clippy::missing_panics_doc)] // never does
    pub fn json_with(&self, page: Option<&PagePicture>) -> String {
        #[derive(Serialize)]
        struct Versioned<'a> {
            schema: u32,
            #[serde(flatten)]
            report: &'a Report,
            program: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            page: Option<&'a PagePicture>,
        }
        let versioned = Versioned {
            schema: SCHEMA,
            report: self,
            program: PROGRAM,
            page,
        };
        serde_json::to_string(&versioned)
            .expect("keys are strings, and writing to memory cannot fail")
            + "\n"
    }

    /// For standard error: one note for each map that cannot be read as it is, and for each without the region asked for.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for class in &self.classes {
            for map in &class.maps {
                if let Some(note) = &map.note {
                    let (image, Class { id, name, .. }) = (self.image.display(), class);
                    notes.push(format!(
                        "{image}: the {} map of class {id}, {name}, is {}: {note}",
                        map.method, map.verdict
                    ));
                }
                if let Some(note) = &map.regions_note {
                    let (image, Class { id, name, .. }) = (self.image.display(), class);
                    notes.push(format!(
                        "{image}: no region of the {} map of class {id}, {name}: {note}",
                        map.method
                    ));
                }
            }
        }
        notes
    }
}

/// What stands in place of a picture's report where there is none, one line of JSON: `schema`, `image` and `error`, in words.
pub fn failure(image: &Path, error: &impl fmt::Display) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        schema: u32,
        #[serde(flatten, serialize_with = "paths::image")]
        image: &'a Path,
        error: String,
    }
    let failure = Failure {
        schema: SCHEMA,
        image,
        error: error.to_string(),
    };
    serde_json::to_string(&failure).expect("keys are strings, and writing to memory cannot fail")
        + "\n"
}

/// The adapters there are: a line each, or one line of JSON, in the order in which they are chosen.
pub fn adapters(adapters: &[AdapterInfo], json: bool) -> String {
    if !json {
        return printable_lines(adapters.iter().map(ToString::to_string));
    }
    format!("{}\n", serde_json::json!({ "adapters": adapters }))
}

fn displayed<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[allow(clippy::ref_option)] // the form that serde calls
fn displayed_option<S: Serializer>(
    value: &Option<impl fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value
        .as_ref()
        .map(ToString::to_string)
        .serialize(serializer)
}

/// To the microsecond: more decimals are noise.
fn timings<S: Serializer>(
    timings: &[(&'static str, f64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(timings.len()))?;
    for (stage, milliseconds) in timings {
        map.serialize_entry(stage, &((milliseconds * 1e3).round() / 1e3))?;
    }
    map.end()
}

#[cfg(test)]
mod tests;
