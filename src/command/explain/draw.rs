//! From explained classes to their files.

use std::cell::LazyCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ::image::{RgbImage, imageops};

use super::regions;
use super::scene::{Scene, Shared};
use super::values::{MethodValues, values};
use crate::cli::Output;
use crate::command::Error;
use crate::draw::colorbar;
use crate::draw::composite;
use crate::explainer::{Explanation, Prediction};
use crate::labels::{Label, Labels};
use crate::methods::region::Region;
use crate::methods::spread::{self, Spread};
use crate::methods::{Method, Setting};
use crate::options::Options;
use crate::output::report;
use crate::output::{self, Content, Subject};
use crate::picture;

/// How many files a class has.
pub(super) fn files(options: &Options) -> usize {
    contents(options).len()
}

/// Files of a class, in the order written: those of each method, then those of outputs that are the same for all.
pub(super) fn contents(options: &Options) -> Vec<Content> {
    let of_method = |method, output: &Output| match output {
        Output::Heatmap => Some(Content::Heatmap(method)),
        Output::Heatmap16 => Some(Content::Heatmap16(method)),
        Output::Gradcam => Some(Content::Picture(method)),
        Output::Segmented => Some(Content::Segmented(method)),
        Output::Mask => Some(Content::Mask(method)),
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

/// What was made of one class.
pub struct DrawnClass {
    /// What is in its files.
    pub class: report::Class,
    /// The map of the first method over the picture, where it is to be drawn in the terminal.
    pub preview: Option<RgbImage>,
}

/// Classes drawn, and what part of the time writing took.
pub struct AllDrawn {
    /// Each of them.
    pub classes: Vec<DrawnClass>,
    /// From 0 to 1.
    pub writing: f64,
}

/// Writes the files of each class, several classes at once, and says what is in them. Of several errors the first class's.
pub fn classes(
    scene: &Scene<'_>,
    explanations: &[Explanation],
    prediction: &Prediction,
    labels: &Labels,
) -> Result<AllDrawn, Error> {
    let started = Instant::now();
    let (width, height) = scene.picture().dimensions();
    let fit = VALUES_AT_ONCE / (width as usize * height as usize);
    let threads = fit.min(scene.threads).clamp(1, explanations.len().max(1));
    let shared = scene.shared(explanations);
    let (next, drawn) = (AtomicUsize::new(0), Mutex::new(vec![]));
    thread::scope(|scope| {
        let draw = || {
            loop {
                let rank = next.fetch_add(1, Ordering::Relaxed);
                let Some(explanation) = explanations.get(rank) else {
                    break;
                };
                let label = labels.get(explanation.class).expect("one label a class");
                let result = class(scene, &shared, rank, explanation, prediction, label);
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
    let classes: Result<Vec<DrawnClass>, Error> =
        drawn.into_iter().map(|(_, class)| class).collect();
    let writing = scene.writing.load(Ordering::Relaxed) as f64 / 1e9;
    let all = started.elapsed().as_secs_f64() * threads as f64;
    Ok(AllDrawn {
        classes: classes?,
        writing: (writing / all).min(1.0),
    })
}

/// Writes the files of one class, and says what is in them.
fn class(
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
    let subject = Subject {
        rank,
        class_id: id,
        class_name: label.name(),
        probability,
        question: scene.question,
    };
    let picture = scene.picture();
    let values: Vec<(Method, MethodValues)> = values(scene, explanation);
    let of = |method| {
        let found = values.iter().find(|(m, _)| *m == method);
        &found.expect("values of each method needed").1
    };
    let mut class = report::Class::new(rank, id, label, probability, prediction.logits[id]);
    let mut found: Vec<(Method, Vec<Region>)> = vec![];
    for &method in &options.methods {
        let given = of(method);
        // Of no gradient is lost what is not made of one.
        let reads_score = method.reads(Setting::Score, false);
        let gradient = if reads_score {
            explanation.gradient
        } else {
            1.0
        };
        let (relative, _) = given.map();
        let spread = Spread::of(&relative.heat(), scene.geometry);
        let mean = spread::mean(&given.values, given.shape, scene.geometry);
        let mut map = report::Map::new(method, &given.values, mean, spread, gradient, &scene.asked);
        map.unread = options.unread_by(method);
        found.push((method, regions::look(scene, &relative, &mut map)));
        class.maps.push(map);
    }
    let contents = contents(options);
    for of_method in contents.chunk_by(|a, b| a.method() == b.method()) {
        let method = of_method[0].method();
        let values = of(method);
        let full = shared.iter().find(|(m, _)| *m == method);
        let full = full.map(|&(_, full)| full);
        let drawn = found.iter().find(|(m, _)| *m == method);
        let drawn = drawn.map_or(&[][..], |(_, regions)| regions);
        let outlined = |mut picture: RgbImage| {
            if options.boxes {
                composite::outline(&mut picture, drawn);
            }
            picture
        };
        let heat = LazyCell::new(|| scene.heat(values, full));
        let subject = Subject {
            question: scene.question.of(method),
            ..subject
        };
        for &content in of_method {
            let path = scene.path(subject, content)?;
            let write = |drawn: &RgbImage| {
                let bytes = picture::encode(drawn, scene.destination.format.into())?;
                let bytes = scene.origin.embed(bytes, &class, content);
                scene.put(&path, &bytes)
            };
            let write_grey = |png: Vec<u8>| {
                let bytes = scene.origin.embed(png, &class, content);
                scene.put(&path, &bytes)
            };
            match content {
                Content::Picture(_) => {
                    let drawn = outlined(match values.of_pixels {
                        true => scene.pixels(values, full),
                        false => scene.overlay(&heat),
                    });
                    let bar = scene.bar(values, full).filter(|_| options.colorbar);
                    write(&match bar {
                        Some(bar) => colorbar::beside(&drawn, &bar),
                        None => drawn,
                    })
                }
                Content::Heatmap(_) if scene.is_signed(values) => {
                    write(&composite::signed_heatmap(&heat))
                }
                Content::Heatmap(_) => write(&composite::heatmap(&heat)),
                Content::Heatmap16(_) => {
                    let levels = composite::levels(&heat, scene.is_signed(values));
                    write_grey(picture::encode_grey(&levels)?)
                }
                Content::Mask(_) => {
                    let (width, height) = picture.dimensions();
                    write_grey(picture::encode_grey(&composite::mask(
                        width, height, drawn,
                    ))?)
                }
                Content::Segmented(_) => write(&composite::segmented(&heat, picture)),
                Content::Raw(_) => {
                    let raw: Vec<f32> = values.values.iter().map(|&v| v as f32).collect();
                    let axes = if values.of_pixels { 3 } else { 2 };
                    let bytes = output::encode_array(&path, &raw, &values.shape[..axes])?;
                    scene.put(&path, &bytes)
                }
            }?;
            class.wrote(content, path);
        }
    }
    let preview = options.preview.is_some().then(|| {
        let method = options.methods[0];
        let values = of(method);
        let full = shared.iter().find(|(m, _)| *m == method);
        let full = full.map(|&(_, full)| full);
        let mut picture = match values.of_pixels {
            true => scene.pixels(values, full),
            false => scene.overlay(&scene.heat(values, full)),
        };
        if options.boxes {
            composite::outline(&mut picture, &found[0].1);
        }
        small(picture)
    });
    Ok(DrawnClass { class, preview })
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
