//! From explained classes to their files.

use std::cell::LazyCell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ::image::RgbImage;

use crate::attribution;
use crate::cam;
use crate::cli::{Output, Size};
use crate::composite;
use crate::explain::Error;
use crate::explainer::{Explanation, Prediction};
use crate::image;
use crate::labels::{Label, Labels};
use crate::map::Map;
use crate::method::{Method, Setting};
use crate::options::Options;
use crate::output::{self, Content, Destination, Kept, Question, Subject};
use crate::perturbation;
use crate::preprocess::{self, Geometry, Normalization};
use crate::report;
use crate::verdict::Asked;

/// What all classes of a picture share.
pub struct Scene<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Where the files go.
    pub destination: &'a Destination,
    /// Files that are not written over.
    pub kept: &'a Kept,
    /// The picture as it was opened, where maps are placed back on it.
    pub original: Option<&'a RgbImage>,
    /// The picture as the network saw it.
    pub seen: &'a RgbImage,
    /// Where the one lies on the other.
    pub geometry: &'a Geometry,
    /// How pixels became the network's input.
    pub normalization: &'a Normalization,
    /// What is asked of the class.
    pub question: Question,
    /// What is asked and found, for advice.
    pub asked: Asked<'a>,
}

/// Methods of either kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// Those of the target layer.
    pub cams: Vec<cam::Method>,
    /// Those of the pixels.
    pub pixels: Vec<attribution::Method>,
    /// Those that hide parts of the picture.
    pub perturbations: Vec<perturbation::Method>,
}

/// The methods needed: those asked for, and those that outputs show whatever the method.
pub fn methods(options: &Options) -> Methods {
    let mut methods = Methods::default();
    let shown = contents(options).into_iter().map(Content::method);
    for method in options.methods.iter().copied().chain(shown) {
        match method {
            Method::Cam(method) if !methods.cams.contains(&method) => methods.cams.push(method),
            Method::Pixel(method) if !methods.pixels.contains(&method) => {
                methods.pixels.push(method);
            }
            Method::Perturbation(method) if !methods.perturbations.contains(&method) => {
                methods.perturbations.push(method);
            }
            Method::Cam(_) | Method::Pixel(_) | Method::Perturbation(_) => {}
        }
    }
    methods
}

/// Files of a class, in the order written: those of each method, then those of outputs that are the same for all.
fn contents(options: &Options) -> Vec<Content> {
    let of_method = |method, output: &Output| match output {
        Output::Heatmap => Some(Content::Heatmap(method)),
        Output::Gradcam => Some(Content::Picture(method)),
        Output::Segmented => Some(Content::Segmented(method)),
        Output::Raw => Some(Content::Raw(method)),
        Output::GuidedBprop | Output::GuidedGradcam => None,
    };
    let of_all = |output: &Output| {
        let method = output.own_method()?.into();
        Some(match output {
            Output::Raw => Content::Raw(method),
            _ => Content::Picture(method),
        })
    };
    let outputs = &options.outputs;
    let with_method = options.methods.iter().flat_map(|&method| {
        outputs
            .iter()
            .filter_map(move |output| of_method(method, output))
    });
    let mut contents: Vec<Content> = with_method.collect();
    for content in outputs.iter().filter_map(of_all) {
        if !contents.contains(&content) {
            contents.push(content);
        }
    }
    contents
}

/// Values drawn at once, 8 bytes each: pictures as large as photographs are drawn one after the other.
const VALUES_AT_ONCE: usize = 16 << 20;

/// Writes the files of each class, several classes at once, and says what is in them. Of several errors the first class's.
pub fn classes(
    scene: &Scene<'_>,
    explanations: &[Explanation],
    prediction: &Prediction,
    labels: &Labels,
) -> Result<Vec<report::Class>, Error> {
    let (width, height) = scene.picture().dimensions();
    let fit = VALUES_AT_ONCE / (width as usize * height as usize);
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = fit.min(cores).clamp(1, explanations.len().max(1));
    let (next, drawn) = (AtomicUsize::new(0), Mutex::new(vec![]));
    thread::scope(|scope| {
        let draw = || {
            loop {
                let rank = next.fetch_add(1, Ordering::Relaxed);
                let Some(explanation) = explanations.get(rank) else {
                    break;
                };
                let label = labels.get(explanation.class).expect("one label a class");
                let result = class(scene, rank, explanation, prediction, label);
                let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                drawn.push((rank, result));
            }
        };
        for _ in 1..threads {
            scope.spawn(draw);
        }
        draw();
    });
    let mut drawn = drawn.into_inner().unwrap_or_else(PoisonError::into_inner);
    drawn.sort_by_key(|&(rank, _)| rank);
    drawn.into_iter().map(|(_, class)| class).collect()
}

/// Writes the files of one class, and says what is in them.
fn class(
    scene: &Scene<'_>,
    rank: usize,
    explanation: &Explanation,
    prediction: &Prediction,
    label: &Label,
) -> Result<report::Class, Error> {
    let Scene { options, .. } = scene;
    let id = explanation.class;
    let probability = prediction.probabilities[id] as f32;
    let subject = Subject {
        rank,
        class_id: id,
        class_name: label.name(),
        probability,
        question: scene.question,
    };
    let picture = scene.picture();
    let methods = methods(options);
    let values: Vec<(Method, Given)> = methods.values(scene, explanation);
    let of = |method| {
        let found = values.iter().find(|(m, _)| *m == method);
        &found.expect("values of each method needed").1
    };
    let mut class = report::Class::new(rank, id, label, probability, prediction.logits[id]);
    for &method in &options.methods {
        let map = &of(method).values;
        // Of no gradient is lost what is not made of one.
        let reads_score = method.reads(Setting::Score, false);
        let gradient = if reads_score {
            explanation.gradient
        } else {
            1.0
        };
        let mut map = report::Map::new(method, map, gradient, &scene.asked);
        map.unread = options.unread_by(method);
        class.maps.push(map);
    }
    let contents = contents(options);
    for of_method in contents.chunk_by(|a, b| a.method() == b.method()) {
        let values = of(of_method[0].method());
        let heat = LazyCell::new(|| scene.heat(values));
        let subject = Subject {
            question: scene.question.of(of_method[0].method()),
            ..subject
        };
        for &content in of_method {
            let path = scene.destination.path(subject, content);
            scene.kept.check(&path)?;
            let write = |drawn: &RgbImage| {
                let bytes = image::encode(drawn, scene.destination.format.into())?;
                output::write(&path, &bytes).map_err(Error::from)
            };
            match content {
                Content::Picture(_) if values.of_pixels => write(&scene.pixels(values)),
                Content::Picture(_) => write(&composite::overlay(
                    &heat,
                    picture,
                    options.colormap,
                    options.alpha,
                )),
                Content::Heatmap(_) => write(&composite::heatmap(&heat)),
                Content::Segmented(_) => write(&composite::segmented(&heat, picture)),
                Content::Raw(_) => {
                    let raw: Vec<f32> = values.values.iter().map(|&v| v as f32).collect();
                    let axes = if values.of_pixels { 3 } else { 2 };
                    output::write_array(&path, &raw, &values.shape[..axes]).map_err(Error::from)
                }
            }?;
            class.wrote(content, path);
        }
    }
    Ok(class)
}

/// What a method gave for a class.
struct Given {
    /// Rows, columns, and 1 or 3 values at each place.
    shape: [usize; 3],
    /// Whether these are values of a picture's channels, rather than a map.
    of_pixels: bool,
    /// Row by row.
    values: Vec<f64>,
    /// What is drawn as nothing.
    nothing: f64,
}

impl Given {
    /// What is more than nothing, divided by the largest magnitude, see [`Map::scaled`].
    fn scaled(&self) -> Map {
        let [rows, columns, channels] = self.shape;
        let values: Vec<f64> = self.values.iter().map(|v| v - self.nothing).collect();
        Map::scaled(columns * channels, rows, &values)
    }
}

impl Methods {
    fn values(&self, scene: &Scene<'_>, explanation: &Explanation) -> Vec<(Method, Given)> {
        let cams = self.cams.iter().zip(&explanation.maps).map(|(&cam, map)| {
            let values = Given {
                shape: [map.height, map.width, 1],
                of_pixels: false,
                values: map.values.clone(),
                nothing: 0.0,
            };
            (Method::Cam(cam), values)
        });
        let (columns, rows) = scene.seen.dimensions();
        let pixels = self.pixels.iter().zip(&explanation.pixels);
        let pixels = pixels.map(|(&method, values)| {
            let degree = method.recipe().value.degree();
            let values = Given {
                shape: [
                    rows as usize,
                    columns as usize,
                    scene.normalization.channels(),
                ],
                of_pixels: true,
                values: preprocess::to_picture(values, scene.normalization, degree),
                nothing: 0.0,
            };
            (Method::Pixel(method), values)
        });
        let perturbations = self.perturbations.iter().zip(&explanation.perturbations);
        let perturbations = perturbations.map(|(&method, map)| {
            let values = Given {
                shape: [rows as usize, columns as usize, 1],
                of_pixels: false,
                values: map.clone(),
                nothing: method.nothing(map),
            };
            (Method::Perturbation(method), values)
        });
        cams.chain(pixels).chain(perturbations).collect()
    }
}

impl Scene<'_> {
    /// What the pictures written show, at their size.
    fn picture(&self) -> &RgbImage {
        self.original.unwrap_or(self.seen)
    }

    /// The values as a map to draw, at the size of the pictures written.
    fn heat(&self, values: &Given) -> Map {
        let map = match values.of_pixels {
            true => {
                let [rows, columns, _] = values.shape;
                composite::magnitude(&values.scaled().values, columns as u32, rows as u32)
            }
            false => values.scaled(),
        };
        let resized = match self.options.size {
            Size::Model => map.resize(self.seen.width() as usize, self.seen.height() as usize),
            Size::Original => map.place(self.geometry),
        };
        resized.heat()
    }

    /// Pixel values as a picture, at the size of the pictures written.
    fn pixels(&self, values: &Given) -> RgbImage {
        let scaled = values.scaled().values;
        let (w, h) = self.seen.dimensions();
        match self.options.size {
            Size::Model => composite::guided(&scaled, w, h),
            Size::Original => {
                let placed = composite::place_gradient(&scaled, w, h, self.geometry);
                let (w, h) = self.picture().dimensions();
                composite::guided(&placed, w, h)
            }
        }
    }
}
