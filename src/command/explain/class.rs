//! One class: what each method gave is judged, drawn and written.

use std::cell::LazyCell;
use std::path::Path;

use ::image::{RgbImage, imageops};

use super::draw::{DrawnClass, contents};
use super::regions;
use super::scene::{Scene, Shared};
use super::values::{MethodValues, values};
use crate::command::Error;
use crate::draw::colorbar;
use crate::draw::composite;
use crate::explainer::{Explanation, Prediction};
use crate::labels::Label;
use crate::methods::map::Map;
use crate::methods::region::Region;
use crate::methods::spread::{self, Spread};
use crate::methods::{Method, Setting};
use crate::output::report;
use crate::output::{self, Content, Subject};
use crate::picture;

/// Writes the files of one class, and says what is in them.
pub(super) fn class(
    scene: &Scene<'_>,
    shared: &Shared,
    rank: usize,
    explanation: &Explanation,
    prediction: &Prediction,
    label: &Label,
) -> Result<DrawnClass, Error> {
    let Scene { options, .. } = scene;
    let id = explanation.class;
    let probability = prediction.probabilities[id] as f32;
    let mut class = report::Class::new(rank, id, label, probability, prediction.logits[id]);
    let mut drawings = Drawing::all(scene, shared, explanation);
    for method in &options.methods {
        let drawing = drawings.iter_mut().find(|d| d.method == *method);
        let drawing = drawing.expect(HAS_ALL);
        class.maps.push(drawing.judge(scene, explanation));
    }
    let of = |method| drawings.iter().find(|d| d.method == method).expect(HAS_ALL);
    for of_method in contents(options).chunk_by(|a, b| a.method() == b.method()) {
        let drawing = of(of_method[0].method());
        let subject = Subject {
            rank,
            class_id: id,
            class_name: label.name(),
            probability,
            question: scene.question.of(drawing.method),
        };
        // One for all contents that show it.
        let heat = LazyCell::new(|| drawing.heat(scene));
        for &content in of_method {
            let path = scene.path(subject, content)?;
            let bytes = drawing.encode(scene, content, &heat, &path)?;
            scene.put(&path, &scene.origin.embed(bytes, &class, content))?;
            class.wrote(content, path);
        }
    }
    let preview = options.preview.is_some().then(|| {
        let drawing = of(options.methods[0]);
        small(drawing.picture(scene, &LazyCell::new(|| drawing.heat(scene))))
    });
    Ok(DrawnClass { class, preview })
}

const HAS_ALL: &str = "values of each method needed";

/// Made where a content shows it.
type Heat<F> = LazyCell<Map, F>;

/// What one method gave for the class, and how it is drawn.
struct Drawing {
    method: Method,
    values: MethodValues,
    /// What is drawn at full strength where a scale is shared.
    full: Option<f64>,
    /// What is outlined and masked.
    regions: Vec<Region>,
}

impl Drawing {
    /// Of each method that gave something; none has regions yet.
    fn all(scene: &Scene<'_>, shared: &Shared, explanation: &Explanation) -> Vec<Self> {
        let full = |method| shared.iter().find(|(m, _)| *m == method);
        let values = values(scene, explanation).into_iter();
        let drawings = values.map(|(method, values)| Self {
            method,
            values,
            full: full(method).map(|&(_, full)| full),
            regions: vec![],
        });
        drawings.collect()
    }

    /// Looks for regions and says what the map is worth; `explanation` is that of the class.
    fn judge(&mut self, scene: &Scene<'_>, explanation: &Explanation) -> report::Map {
        let Self { method, values, .. } = self;
        // Of no gradient is lost what is not made of one.
        let gradient = match method.reads(Setting::Score) {
            true => explanation.gradient,
            false => 1.0,
        };
        let (relative, _) = values.map();
        let spread = Spread::of(&relative.heat(), scene.geometry);
        let mean = spread::mean(&values.values, values.shape, scene.geometry);
        let mut map = report::Map::new(
            *method,
            &values.values,
            mean,
            spread,
            gradient,
            &scene.asked,
        );
        map.unread = scene.options.unread_by(*method);
        self.regions = regions::look(scene, explanation.class, &relative, &mut map);
        map
    }

    fn heat(&self, scene: &Scene<'_>) -> Map {
        scene.heat(&self.values, self.full)
    }

    /// Pixel values, or the heat over the picture, with the regions' outlines.
    fn picture(&self, scene: &Scene<'_>, heat: &Heat<impl FnOnce() -> Map>) -> RgbImage {
        let mut picture = match self.values.of_pixels {
            true => scene.pixels(&self.values, self.full),
            false => scene.overlay(heat),
        };
        if scene.options.boxes {
            composite::outline(&mut picture, &self.regions);
        }
        picture
    }

    /// The bytes of a file; `path` is for errors.
    fn encode(
        &self,
        scene: &Scene<'_>,
        content: Content,
        heat: &Heat<impl FnOnce() -> Map>,
        path: &Path,
    ) -> Result<Vec<u8>, Error> {
        let is_signed = scene.is_signed(&self.values);
        let drawn = match content {
            Content::Picture(_) => {
                let drawn = self.picture(scene, heat);
                let bar = scene.bar(&self.values, self.full);
                match bar.filter(|_| scene.options.colorbar) {
                    Some(bar) => colorbar::beside(&drawn, &bar),
                    None => drawn,
                }
            }
            Content::Heatmap(_) if is_signed => composite::signed_heatmap(heat),
            Content::Heatmap(_) => composite::heatmap(heat),
            Content::Segmented(_) => composite::segmented(heat, scene.picture()),
            Content::Heatmap16(_) => {
                return Ok(picture::encode_grey(&composite::levels(heat, is_signed))?);
            }
            Content::Mask(_) => {
                let (width, height) = scene.picture().dimensions();
                let mask = composite::mask(width, height, &self.regions);
                return Ok(picture::encode_grey(&mask)?);
            }
            Content::Raw(_) => {
                let raw: Vec<f32> = self.values.values.iter().map(|&v| v as f32).collect();
                let axes = if self.values.of_pixels { 3 } else { 2 };
                return Ok(output::encode_array(
                    path,
                    &raw,
                    &self.values.shape[..axes],
                )?);
            }
        };
        Ok(picture::encode(&drawn, scene.destination.format.into())?)
    }
}

/// As large as a terminal has room for at most: it waits until all classes are drawn.
fn small(picture: RgbImage) -> RgbImage {
    const LARGEST: u32 = 1024;
    let (width, height) = picture.dimensions();
    let longer = width.max(height);
    if longer <= LARGEST {
        return picture;
    }
    let side =
        |length: u32| (u64::from(length) * u64::from(LARGEST) / u64::from(longer)).max(1) as u32;
    imageops::thumbnail(&picture, side(width), side(height))
}
