//! From explained classes to their files.

use std::cell::LazyCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ::image::{RgbImage, imageops};

use crate::cli::{Colormap, Output, PixelScale, Scale, Size};
use crate::command::Error;
use crate::command::explain::regions;
use crate::draw::colorbar::{self, Bar};
use crate::draw::composite::{self, Overlay, Rectangle};
use crate::explainer::{Explanation, Prediction};
use crate::labels::{Label, Labels};
use crate::methods::attribution;
use crate::methods::cam;
use crate::methods::map::{Map, RawMap};
use crate::methods::perturbation;
use crate::methods::region::Region;
use crate::methods::spread::Spread;
use crate::methods::verdict::Circumstances;
use crate::methods::{Method, Setting};
use crate::options::Options;
use crate::output::provenance::Origin;
use crate::output::report;
use crate::output::{self, Content, Destination, Kept, Question, Subject};
use crate::picture;
use crate::picture::preprocess::{self, Geometry, Normalization};

/// What all classes of a picture share.
pub struct Scene<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Where the files go.
    pub destination: &'a Destination,
    /// How many classes are drawn at once, at most.
    pub threads: usize,
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
    pub asked: Circumstances<'a>,
    /// What made the files, for those that can say it.
    pub origin: &'a Origin,
    /// What was differentiated, in a word or three.
    pub score: &'a str,
    /// The target layers' names.
    pub layers: &'a [String],
    /// Nanoseconds that were spent writing, of all threads together.
    pub writing: AtomicU64,
}

/// What is drawn at full strength where a scale is shared, in the units of a method's values: for each of its pictures of
/// pixel values, and for its heat.
pub(super) type Shared = Vec<(Method, f64)>;

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

/// How many files a class has.
pub(super) fn files(options: &Options) -> usize {
    contents(options).len()
}

/// Files of a class, in the order written: those of each method, then those of outputs that are the same for all.
fn contents(options: &Options) -> Vec<Content> {
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
    let methods = methods(options);
    let values: Vec<(Method, Given)> = methods.values(scene, explanation);
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
        let mut map = report::Map::new(method, &given.values, spread, gradient, &scene.asked);
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

/// What a method gave for a class.
pub(super) struct Given {
    /// Rows, columns, and 1 or 3 values at each place.
    pub(super) shape: [usize; 3],
    /// Whether these are values of a picture's channels, rather than a map.
    pub(super) of_pixels: bool,
    /// Row by row.
    pub(super) values: Vec<f64>,
    /// What is drawn as nothing.
    pub(super) nothing: f64,
}

impl Given {
    /// A CAM method's map.
    pub(super) fn of_map(map: &RawMap) -> Self {
        Self {
            shape: [map.height, map.width, 1],
            of_pixels: false,
            values: map.values.clone(),
            nothing: 0.0,
        }
    }

    /// What is more than nothing, divided by the largest magnitude, see [`Map::scaled`], and that magnitude.
    pub(super) fn scaled(&self) -> (Map, f64) {
        let [rows, columns, channels] = self.shape;
        let values: Vec<f64> = self.values.iter().map(|v| v - self.nothing).collect();
        let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        (Map::scaled(columns * channels, rows, &values), largest)
    }

    /// One value a position: of pixel values their magnitude. Divided by the largest magnitude, and that.
    pub(super) fn map(&self) -> (Map, f64) {
        let (scaled, largest) = self.scaled();
        let [rows, columns, _] = self.shape;
        let map = match self.of_pixels {
            true => composite::magnitude(&scaled.values, columns as u32, rows as u32),
            false => scaled,
        };
        (map, largest)
    }
}

impl Methods {
    /// All of them.
    pub(super) fn each(&self) -> Vec<Method> {
        let cams = self.cams.iter().map(|&method| method.into());
        let pixels = self.pixels.iter().map(|&method| method.into());
        let perturbations = self.perturbations.iter().map(|&method| method.into());
        cams.chain(pixels).chain(perturbations).collect()
    }

    pub(super) fn values(
        &self,
        scene: &Scene<'_>,
        explanation: &Explanation,
    ) -> Vec<(Method, Given)> {
        let cams = self.cams.iter().zip(&explanation.maps);
        let cams = cams.map(|(&cam, map)| (Method::Cam(cam), Given::of_map(map)));
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
    /// Where a file goes, unless that is a file that the run reads.
    fn path(&self, subject: Subject<'_>, content: Content) -> Result<PathBuf, Error> {
        if self.options.to_stdout {
            return Ok("-".into());
        }
        let path = self.destination.path(subject, content);
        self.kept.check(&path)?;
        Ok(path)
    }

    /// Writes a file, or to standard output.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let started = Instant::now();
        if self.options.to_stdout {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            written.map_err(Error::Stdout)?;
        } else {
            output::write(path, bytes)?;
        }
        let nanoseconds = started.elapsed().as_nanos() as u64;
        self.writing.fetch_add(nanoseconds, Ordering::Relaxed);
        Ok(())
    }

    /// What the pictures written show, at their size.
    fn picture(&self) -> &RgbImage {
        self.original.unwrap_or(self.seen)
    }

    /// What of the values is drawn at full strength, where classes share that or the user says it.
    pub(super) fn shared(&self, explanations: &[Explanation]) -> Shared {
        let methods = methods(self.options);
        match self.options.scale {
            Scale::Class => vec![],
            Scale::Fixed(full) => {
                let methods = methods.each().into_iter();
                methods.map(|method| (method, full)).collect()
            }
            Scale::Image => {
                let mut shared = Shared::new();
                for explanation in explanations {
                    for (method, values) in methods.values(self, explanation) {
                        let full = self.full(&values);
                        match shared.iter_mut().find(|(m, _)| *m == method) {
                            Some((_, most)) => *most = most.max(full),
                            None => shared.push((method, full)),
                        }
                    }
                }
                shared
            }
        }
    }

    /// What a class's own scale draws at full strength, in the units of its values.
    fn full(&self, values: &Given) -> f64 {
        let (scaled, largest) = values.scaled();
        let full = match values.of_pixels {
            true => self.reach(&scaled.values),
            false if self.options.signed => self.resized(&scaled).reach(),
            false => self.resized(&scaled).range().map_or(0.0, |(_, max)| max),
        };
        f64::from(full) * largest
    }

    /// What is drawn at full strength, in the units of the values: of a shared scale, or their own.
    pub(super) fn strength(&self, values: &Given, shared: Option<f64>) -> f64 {
        shared.unwrap_or_else(|| self.full(values))
    }

    /// The colours of a method's picture and what they stand for; none where it shows nothing.
    pub(super) fn bar(&self, values: &Given, shared: Option<f64>) -> Option<Bar> {
        let full = self.strength(values, shared);
        let least = match self.options.overlay {
            Overlay::Threshold { least, .. } if !values.of_pixels => least,
            _ => 0.0,
        };
        let (colors, low, high) = if values.of_pixels {
            let (low, high) = match (shared, self.options.pixel_scale) {
                (None, PixelScale::MinMax) => {
                    let (scaled, largest) = values.scaled();
                    let (min, max) = scaled.range()?;
                    (f64::from(min) * largest, f64::from(max) * largest)
                }
                _ => (-full, full),
            };
            (Colormap::Grey, low, high)
        } else {
            let least = if self.is_signed(values) { -full } else { 0.0 };
            (
                self.options.colormap,
                values.nothing + least,
                values.nothing + full,
            )
        };
        (full > 0.0).then_some(Bar {
            colors,
            low,
            high,
            least,
        })
    }

    /// Whether what lies below zero is drawn.
    pub(super) fn is_signed(&self, values: &Given) -> bool {
        self.options.signed && !values.of_pixels
    }

    /// A map at the size of the pictures written.
    pub(super) fn resized(&self, map: &Map) -> Map {
        match self.options.size {
            Size::Model => map.resize(self.seen.width() as usize, self.seen.height() as usize),
            Size::Original => map.place(self.geometry),
        }
    }

    /// The values as a map to draw, at the size of the pictures written. `full` is what a shared scale has at full strength.
    fn heat(&self, values: &Given, full: Option<f64>) -> Map {
        let (map, largest) = values.map();
        let resized = self.resized(&map);
        let full = full.map(|full| (full / largest) as f32);
        match self.is_signed(values) {
            true => resized.signed_heat_to(full.unwrap_or_else(|| resized.reach())),
            false => match full {
                Some(full) => resized.heat_to(full),
                None => resized.heat(),
            },
        }
    }

    /// The heat in colour over the picture; what the network did not see stays as it is.
    fn overlay(&self, heat: &Map) -> RgbImage {
        let Options {
            colormap, overlay, ..
        } = *self.options;
        match self.options.size {
            Size::Model => composite::overlay(heat, self.seen, colormap, overlay),
            Size::Original => {
                let seen = Rectangle::seen(self.geometry);
                composite::overlay_within(heat, self.picture(), colormap, overlay, &seen)
            }
        }
    }

    /// The magnitude of pixel values that is drawn black or white.
    pub(super) fn reach(&self, values: &[f32]) -> f32 {
        match self.options.pixel_scale {
            PixelScale::Percentile => composite::percentile(values),
            PixelScale::MinMax => values.iter().fold(0.0, |most: f32, v| most.max(v.abs())),
        }
    }

    /// Pixel values as a picture, at the size of the pictures written. `full` is what a shared scale has at full strength.
    fn pixels(&self, values: &Given, full: Option<f64>) -> RgbImage {
        let (scaled, largest) = values.scaled();
        let reach = full.map(|full| (full / largest) as f32);
        // Before what was not seen is put around it.
        let own = self.reach(&scaled.values);
        let (w, h) = self.seen.dimensions();
        let (values, (w, h)) = match self.options.size {
            Size::Model => (scaled.values, (w, h)),
            Size::Original => (
                composite::place_gradient(&scaled.values, w, h, self.geometry),
                self.picture().dimensions(),
            ),
        };
        match (reach, self.options.pixel_scale) {
            (None, PixelScale::MinMax) => composite::guided(&values, w, h),
            (reach, _) => composite::around_grey(&values, reach.unwrap_or(own), w, h),
        }
    }
}
