//! What is done with each picture: prepared, explained, drawn and told, of several pictures side by side.

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use ::image::RgbImage;

use super::beside::Beside;
use super::choice::Choice;
use super::ending::{Collected, Ending, Failure};
use super::from_options::wanted;
use super::record::{self, Record};
use super::settings::settings;
use super::sheet::{self, OnSheet};
use super::{Cost, Job, Jobs, Told, milliseconds, page, weights_name};
use crate::architectures::Classifier;
use crate::cli::{self, Score, Size};
use crate::command::Error;
use crate::command::batch::{self, Width};
use crate::command::error::of_run;
use crate::command::explain::draw::{self, AllDrawn, DrawnClass, Scene};
use crate::command::preview::Screen;
use crate::explainer::{self, ExplainError, Explainer, Explanation, Prediction, Wanted};
use crate::gpu::Gpu;
use crate::labels::Labels;
use crate::methods::verdict::Circumstances;
use crate::options::Options;
use crate::output::page::{Media, Shown};
use crate::output::provenance::{Made, Origin};
use crate::output::report::{self, Report};
use crate::output::{self, Destination, Question};
use crate::picture::preprocess::{self, Fit, Geometry, Tiles};
use crate::picture::{self, Picture};
use crate::weights::Weights;

/// A picture as the network sees it.
struct Prepared {
    /// Where maps are placed back on it: pictures wait their turn, and one may be of 800 MB.
    original: Option<RgbImage>,
    /// For the page.
    reduced: Option<RgbImage>,
    seen: RgbImage,
    geometry: Geometry,
    /// What of it is seen at once; one, but for `--fit tiles`.
    tiles: Tiles,
    /// Of each of them.
    inputs: Vec<Vec<f32>>,
    destination: Destination,
    /// What was assumed on decoding, and what its files are called where they have not its name.
    notes: Vec<String>,
    milliseconds: f64,
}

/// A picture whose files are written.
pub(super) struct Drawn {
    pub(super) report: Report,
    /// For the page.
    pub(super) shown: Option<Shown>,
    /// By rank, maps for the terminal.
    pub(super) previews: Vec<(usize, RgbImage)>,
    /// For the sheet of all pictures.
    pub(super) sheet: Option<OnSheet>,
    /// To be told when its turn comes.
    pub(super) notes: Vec<String>,
}

/// A picture with what the network says of it.
struct Explained {
    picture: Prepared,
    /// The number of the one that explained it.
    device: usize,
    prediction: Prediction,
    explanations: Vec<Explanation>,
    /// The first layer whose values are not finite, where a map is not.
    not_finite: Option<String>,
    timings: Vec<(&'static str, f64)>,
}

/// Pictures that go through a GPU at once unless the command says how many.
const GROUP: usize = 8;

/// What is the same for all pictures.
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) jobs: &'a Jobs,
    pub(super) weights: &'a Weights,
    pub(super) classifier: &'a Classifier,
    pub(super) labels: &'a Labels,
    pub(super) choice: &'a Choice,
    /// At least one.
    pub(super) gpus: &'a [Gpu],
    /// What is told of the weights and the network.
    pub(super) notes: &'a [String],
    /// Of the page, if there is to be one.
    pub(super) media: Option<Media>,
    /// Where maps are drawn, if anywhere.
    pub(super) screen: Option<Screen>,
    /// Milliseconds until the device was there.
    pub(super) opened: f64,
}

/// The network on each device, and what the report says of it.
struct SetUp {
    wanted: Wanted,
    explainers: Vec<Explainer>,
    settings: report::Settings,
    milliseconds: f64,
}

impl Run<'_> {
    /// Explains every picture. Returns whether all went well.
    pub(super) fn all(
        &self,
        beside: &Beside<'_>,
        collected: Collected,
        out: &mut (impl Write + Send),
        tell: &(impl Fn(Told) + Sync),
    ) -> Result<bool, Error> {
        let set_up = self.set_up()?;
        for folder in &self.jobs.new_folders {
            let note = format!("{} is new and will be made", folder.display());
            tell(Told::Note(note));
        }
        self.sweep(tell);
        self.tell_fewer_channels(&set_up, tell);
        self.tell_fewer_at_once(&set_up, tell);
        let list = &self.jobs.list;
        let computed = AtomicUsize::new(0);
        let record = match record::is_kept(self.options, self.jobs) {
            true => {
                let run = record::settings(self.options, beside.sha256());
                Some(Record::open(self.options, self.jobs, run, tell)?)
            }
            false => None,
        };
        let mut ending = Ending::new(self, record, collected, out);
        batch::run(
            list,
            self.width(&set_up),
            |job| self.prepare(job),
            |device, pictures| {
                let at_once = pictures.len();
                let place = Place {
                    index: computed.fetch_add(at_once, Ordering::Relaxed),
                    of: list.len(),
                };
                let pictures = pictures.into_iter().map(|(_, picture)| picture).collect();
                let explained = self.compute(&set_up, device, pictures, place, tell);
                explained.unwrap_or_else(|error| self.all_fail(at_once, error))
            },
            |job, explained| {
                beside.sound()?;
                Ok(self.draw(job, explained, &set_up, beside.sha256())?)
            },
            |job, outcome| ending.of_picture(job, outcome, tell),
        );
        ending.finish()
    }

    fn width(&self, set_up: &SetUp) -> Width {
        let threads = cores().min(self.jobs.list.len());
        Width {
            prepare: threads,
            devices: set_up.explainers.len(),
            at_once: set_up.explainers[0].at_once(),
            draw: threads,
        }
    }

    fn at_weights(&self, source: ExplainError) -> Error {
        Error::Explain {
            path: weights_name(self.weights),
            source,
        }
    }

    fn set_up(&self) -> Result<SetUp, Error> {
        let started = Instant::now();
        let Classifier {
            network,
            normalization,
            ..
        } = self.classifier;
        // Of all parts, done or not: by it kernels are chosen, and what they give must not depend on how much is left.
        let wanted = Wanted {
            at_once: self.at_once(),
            ..wanted(self.options, self.choice, normalization, self.jobs.of)
        };
        let explainers = thread::scope(|scope| {
            let on = |gpu| {
                let wanted = wanted.clone();
                scope.spawn(move || Explainer::new(gpu, network, wanted))
            };
            let threads: Vec<_> = self.gpus.iter().map(on).collect();
            let ended = threads.into_iter().map(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|panic| resume_unwind(panic))
            });
            ended.collect::<Result<Vec<_>, _>>()
        });
        let fits = |network: &_| explainer::fits(network, &wanted, self.gpus[0].limits());
        let explainers = explainers.map_err(|error| of_run(error, self.weights, network, fits))?;
        let channels = explainers[0].channels();
        Ok(SetUp {
            settings: settings(self.options, self.classifier, &wanted, channels),
            wanted,
            explainers,
            milliseconds: milliseconds(started),
        })
    }

    /// How many pictures go through a device at once: on a software adapter one, since what a group saves in reading weights it
    /// loses to caches, see `benches/many.py`.
    fn at_once(&self) -> usize {
        // Squares are many enough.
        if self.options.fit == cli::Fit::Tiles {
            return 1;
        }
        let is_software = self.gpus.iter().any(|gpu| gpu.info().kind == "cpu");
        let usual = if is_software { 1 } else { GROUP };
        let asked = self.options.many.batch.map_or(usual, NonZeroUsize::get);
        asked.min(self.jobs.of)
    }

    /// Says where fewer pictures go through at once than were asked for.
    fn tell_fewer_at_once(&self, set_up: &SetUp, tell: &impl Fn(Told)) {
        let (asked, at_once) = (self.options.many.batch, set_up.explainers[0].at_once());
        let Some(asked) = asked.filter(|asked| asked.get().min(self.jobs.of) > at_once) else {
            return;
        };
        let why = match at_once {
            1 => "what is asked for takes one picture at a time".to_owned(),
            _ => format!("{at_once} pictures at once fit this adapter"),
        };
        tell(Told::Note(format!("--batch {asked}: {why}")));
    }

    /// Runs the network for a group of pictures.
    fn compute(
        &self,
        set_up: &SetUp,
        device: usize,
        pictures: Vec<Prepared>,
        place: Place,
        tell: &impl Fn(Told),
    ) -> Result<Vec<Result<Explained, Failure>>, ExplainError> {
        let explainer = &set_up.explainers[device];
        if explainer.at_once() > 1 {
            return self.compute_group(explainer, device, pictures, place, tell);
        }
        let one = pictures.into_iter().map(|picture| {
            let explained = compute(explainer, self.choice, picture, device, place, tell)?;
            Ok(Ok(explained))
        });
        one.collect()
    }

    fn compute_group(
        &self,
        explainer: &Explainer,
        device: usize,
        pictures: Vec<Prepared>,
        place: Place,
        tell: &impl Fn(Told),
    ) -> Result<Vec<Result<Explained, Failure>>, ExplainError> {
        if place.index == 0 {
            tell(Told::Cost(Cost {
                pictures: place.of,
                passes: 0,
                seconds: 0.0,
                is_most: false,
            }));
        }
        let started = Instant::now();
        // A picture in several squares is explained alone, see `at_once`.
        let inputs: Vec<&[f32]> = pictures
            .iter()
            .map(|picture| &picture.inputs[0][..])
            .collect();
        let explained =
            explainer.explain_group(&inputs, |prediction| self.choice.of(prediction))?;
        let each = milliseconds(started) / pictures.len() as f64;
        let explained = pictures.into_iter().zip(explained);
        let explained = explained.map(|(picture, (prediction, explanations))| {
            Ok(Explained {
                not_finite: not_finite(explainer, &[&prediction.input], &explanations),
                timings: vec![("decode", picture.milliseconds), ("share_of_group", each)],
                picture,
                device,
                prediction,
                explanations,
            })
        });
        Ok(explained.collect())
    }

    /// What a device's error is to each picture of a group: the first tells it, and none comes after.
    fn all_fail(&self, pictures: usize, error: ExplainError) -> Vec<Result<Explained, Failure>> {
        let error = self.at_weights(error);
        let words = error.to_string();
        let others = (1..pictures).map(|_| Err(Failure::told(&words)));
        std::iter::once(Err(error.into())).chain(others).collect()
    }

    /// The picture from its file to what the network takes.
    fn prepare(&self, job: &Job) -> Result<Prepared, Failure> {
        let started = Instant::now();
        let destination = job
            .destination
            .as_ref()
            .map_err(|words| Failure::told(words))?;
        let Picture {
            rgb: original,
            mut notes,
            ..
        } = picture::open_up_to(&job.image, self.options.max_pixels).map_err(Error::from)?;
        let (width, height) = original.dimensions();
        let known = self.options.known_box;
        if let Some(known) = known.filter(|known| !known.meets((width, height))) {
            return Err(Failure::from(Error::BoxOutside {
                image: job.image.clone(),
                known,
                width,
                height,
            }));
        }
        let input = self.classifier.network.input_shape();
        let (w, h) = (input.w as u32, input.h as u32);
        let normalization = &self.classifier.normalization;
        let fit = |fit| {
            let (seen, geometry) = preprocess::seen(&original, fit, [w, h], normalization);
            (seen, geometry, Tiles::one((w, h)))
        };
        let (seen, geometry, tiles) = match self.options.fit {
            cli::Fit::Crop => fit(Fit::Crop),
            cli::Fit::Squash => fit(Fit::Squash),
            cli::Fit::Pad => fit(Fit::Pad),
            cli::Fit::Tiles => {
                let tiled = preprocess::tiled(&original, self.options.tiles, [w, h], normalization);
                tiled.map_err(|source| Error::Tiles {
                    image: job.image.clone(),
                    source,
                })?
            }
        };
        let inputs = tiles.cut(&seen);
        let inputs = inputs.map(|tile| preprocess::to_tensor(&tile, normalization));
        let inputs = inputs.collect();
        if destination.is_shortened && !self.options.outputs.is_empty() {
            notes.push(format!(
                "its name leaves no room for class and suffix: its files are called {}_...",
                destination.stem.display()
            ));
        }
        Ok(Prepared {
            reduced: (self.media.as_ref()).map(|media| page::reduced(&original, media)),
            original: (self.options.size == Size::Original).then_some(original),
            seen,
            geometry,
            tiles,
            inputs,
            destination: destination.clone(),
            notes,
            milliseconds: milliseconds(started),
        })
    }

    /// Draws and writes the pictures of one, and gives what they show. `sha256`: of the weights, empty where nobody asks.
    fn draw(
        &self,
        job: &Job,
        explained: Explained,
        set_up: &SetUp,
        sha256: &str,
    ) -> Result<Drawn, Error> {
        let started = Instant::now();
        let Self {
            options,
            classifier,
            labels,
            choice,
            ..
        } = *self;
        let Explained {
            picture,
            device,
            prediction,
            explanations,
            not_finite,
            timings,
        } = explained;
        let mut notes = self.notes_of_kept(&explanations, &set_up.explainers[0]);
        let of_picture = picture.notes.iter();
        notes.extend(of_picture.map(|note| format!("{}: {note}", picture::shown(&job.image))));
        let layers = set_up.explainers[0].layers().into_iter();
        let layers: Vec<String> = layers.map(str::to_owned).collect();
        let question = Question {
            versus: choice.versus,
            counterfactual: options.counterfactual,
        };
        let weights = report::Weights {
            path: self.weights.path.clone(),
            sha256: sha256.into(),
            architecture: classifier.network.architecture.clone(),
        };
        let gpu = self.gpus[device].info();
        let adapter = report::Adapter {
            name: gpu.name.clone(),
            backend: gpu.backend.clone(),
            kind: gpu.kind.into(),
        };
        let score = asked_score(options.score, question);
        let origin = Origin::new(&Made {
            image: &job.image,
            weights: &weights,
            adapter: &adapter,
            layer: &layers.join("+"),
            score: &score,
            settings: &set_up.settings,
            command: &command(options, job),
        });
        let scene = Scene {
            options,
            destination: &picture.destination,
            threads: self.threads_a_picture(),
            kept: &self.jobs.kept,
            original: picture.original.as_ref(),
            seen: &picture.seen,
            geometry: &picture.geometry,
            normalization: &classifier.normalization,
            question,
            origin: &origin,
            score: &score,
            layers: &layers,
            writing: AtomicU64::new(0),
            asked: Circumstances {
                score: options.score,
                counterfactual: options.counterfactual,
                samples: set_up.wanted.settings.samples,
                noise: set_up.wanted.settings.noise,
                signed: options.signed,
                not_finite: not_finite.as_deref(),
            },
        };
        let AllDrawn { classes, writing } =
            draw::classes(&scene, &explanations, &prediction, labels)?;
        let mut previews = vec![];
        let classes = classes.into_iter().map(|DrawnClass { class, preview }| {
            previews.extend(preview.map(|preview| (class.rank, preview)));
            class
        });
        let classes: Vec<report::Class> = classes.collect();
        let shown = match (&self.media, &picture.reduced) {
            (Some(media), Some(reduced)) => {
                let to = page::To {
                    media,
                    number: job.place + 1,
                };
                Some(page::shown(&to, &scene, &explanations, reduced)?)
            }
            _ => None,
        };
        // The first two are shared by all pictures of a run.
        let mut timings_ms = vec![
            ("open_device", self.opened),
            ("set_up", set_up.milliseconds),
        ];
        timings_ms.extend(timings);
        let both = milliseconds(started);
        // The threads' shares of it: they draw and write side by side.
        timings_ms.extend([
            ("draw", both * (1.0 - writing)),
            ("write", both * writing),
            ("draw_and_write", both),
        ]);
        let report = Report {
            image: job.image.clone(),
            image_size: picture.geometry.picture.into(),
            tiles: (options.fit == cli::Fit::Tiles).then_some(picture.tiles.corners.len()),
            weights,
            adapter,
            layer: layers.join("+"),
            fuse: (layers.len() > 1).then_some(options.fuse),
            score: options.score,
            settings: set_up.settings.clone(),
            versus: choice.versus.map(|id| {
                let label = labels.get(id).expect("one label a class");
                report::Versus::new(id, label)
            }),
            counterfactual: options.counterfactual,
            unread: options.unread.iter().map(|unread| unread.option).collect(),
            notes: self.notes.iter().chain(&picture.notes).cloned().collect(),
            timings_ms,
            classes,
        };
        let sheet = sheet::make(&scene, &explanations, &report)?;
        notes.extend(report.notes());
        Ok(Drawn {
            report,
            shown,
            previews,
            sheet,
            notes,
        })
    }

    /// Threads that draw the classes of one picture: of several, pictures are drawn side by side.
    fn threads_a_picture(&self) -> usize {
        match self.jobs.list.len() {
            1 => cores(),
            _ => 1,
        }
    }

    /// Removes what killed runs left unfinished in the folders that are written to.
    fn sweep(&self, tell: &impl Fn(Told)) {
        if self.options.to_stdout {
            return;
        }
        for folder in &self.jobs.folders {
            let note = match output::sweep(folder) {
                0 => continue,
                1 => "1 unfinished file of a run that was killed is removed".to_owned(),
                files => format!("{files} unfinished files of runs that were killed are removed"),
            };
            tell(Told::Note(match folder.as_os_str().is_empty() {
                true => note,
                false => format!("{}: {note}", folder.display()),
            }));
        }
    }

    /// Says where the layer has fewer channels than are to be tried.
    fn tell_fewer_channels(&self, set_up: &SetUp, tell: &impl Fn(Told)) {
        let all = set_up.explainers[0].channels();
        let tried = self.options.channels.map(NonZeroUsize::get);
        let is_read = set_up.settings.channels.is_some();
        if let Some(tried) = tried.filter(|&tried| tried > all && is_read) {
            let layers = set_up.explainers[0].layers().join("+");
            let note = format!("--channels {tried}: {layers} has {all}, and all of them are tried");
            tell(Told::Note(note));
        }
    }

    /// What share of the weight the channels tried hold, where they are not all.
    fn notes_of_kept(&self, explanations: &[Explanation], explainer: &Explainer) -> Vec<String> {
        // There may be no more than all.
        let tried = self.options.channels.map(NonZeroUsize::get);
        let Some(tried) = tried.filter(|&tried| tried < explainer.channels()) else {
            return vec![];
        };
        let note = |explanation: &Explanation| {
            let kept = explanation.kept?;
            let label = self.labels.get(explanation.class);
            let name = label.expect("one label a class").printed_name();
            let share = 100.0 * kept;
            Some(format!(
                "the {tried} channels tried hold {share:.0} % of the weight for {name}, to first order"
            ))
        };
        explanations.iter().filter_map(note).collect()
    }
}

/// The command that makes a picture's files: what was typed, without the other pictures that were named.
fn command(options: &Options, job: &Job) -> Vec<OsString> {
    let is_other = |place: usize, word: &OsString| {
        let is_value = place > 0 && cli::takes_value(&options.command[place - 1]);
        let path = Path::new(word);
        !is_value && path != job.named && options.images.iter().any(|image| image == path)
    };
    let words = options.command.iter().enumerate();
    let words = words.filter(|(place, word)| !is_other(*place, word));
    words.map(|(_, word)| word.clone()).collect()
}

/// What was differentiated, in a word or three: `logit, versus 5, counterfactual`.
fn asked_score(score: Score, question: Question) -> String {
    let mut words = vec![score.to_string()];
    words.extend(question.versus.map(|id| format!("versus {id}")));
    words.extend(question.counterfactual.then(|| "counterfactual".to_owned()));
    words.join(", ")
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A picture's number, from 0, of so many.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    of: usize,
}

fn compute(
    explainer: &Explainer,
    choice: &Choice,
    picture: Prepared,
    device: usize,
    place: Place,
    tell: &impl Fn(Told),
) -> Result<Explained, ExplainError> {
    let started = Instant::now();
    let prediction = explainer.predict_tiles(&picture.inputs)?;
    let squares = picture.inputs.len();
    let forward = milliseconds(started);
    if place.index == 0 {
        tell(Told::Cost(Cost {
            pictures: place.of,
            passes: squares * explainer.passes(),
            // The time is that of all squares.
            seconds: explainer.cost() * forward / 1e3,
            is_most: explainer.shares_passes(),
        }));
    }
    let started = Instant::now();
    let passes = |progress| tell(Told::Passes(place.index, progress));
    let classes = choice.of(&prediction.whole);
    let explanations = explainer.explain_tiles(&picture.tiles, &prediction, &classes, &passes)?;
    let inputs = prediction.parts.iter().map(|part| &part.input[..]);
    let inputs: Vec<&[f32]> = inputs.collect();
    let timings = vec![
        ("decode", picture.milliseconds),
        ("forward", forward),
        ("backward", milliseconds(started)),
    ];
    Ok(Explained {
        not_finite: not_finite(explainer, &inputs, &explanations),
        picture,
        device,
        prediction: prediction.whole,
        explanations,
        timings,
    })
}

/// The first layer whose values are not finite, where a map is not.
fn not_finite(
    explainer: &Explainer,
    inputs: &[&[f32]],
    explanations: &[Explanation],
) -> Option<String> {
    if explanations.iter().all(Explanation::is_finite) {
        return None;
    }
    // For words in a note: no reason to fail.
    let found = |input: &&[f32]| explainer.first_not_finite(input).unwrap_or(None);
    inputs.iter().find_map(found)
}
