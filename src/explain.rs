//! The command from top to bottom: files in, pictures and a report out.

use std::collections::HashSet;
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use ::image::RgbImage;

use crate::architectures::{self, Classifier, Evidence};
use crate::batch::{self, Computed};
use crate::cli::{Channels, Output, Size};
use crate::draw::{self, Scene};
use crate::explainer::{ExplainError, Explainer, Explanation, Prediction};
use crate::gpu::{Gpu, Selection};
use crate::image::{self, Picture};
use crate::labels::Labels;
use crate::options::{Options, Preprocess};
use crate::output::{self, Destination, Question};
use crate::preprocess::{self, Geometry, Normalization};
use crate::report::{self, Report};
use crate::verdict::Asked;
use crate::weights::{self, Weights, WeightsError};

mod choice;
mod error;
mod told;
mod wanted;

pub use error::Error;
pub use told::{Cost, Told, in_words};

use choice::Choice;
use wanted::wanted;

/// One picture and where its files go.
struct Job {
    image: PathBuf,
    destination: Destination,
}

/// A picture as the network sees it.
struct Prepared {
    /// Where maps are placed back on it: pictures wait their turn, and one may be of 800 MB.
    original: Option<RgbImage>,
    seen: RgbImage,
    geometry: Geometry,
    input: Vec<f32>,
    milliseconds: f64,
}

/// A picture with what the network says of it.
struct Explained {
    picture: Prepared,
    prediction: Prediction,
    explanations: Vec<Explanation>,
    /// The first layer whose values are not finite, where a map is not.
    not_finite: Option<String>,
    timings: Vec<(&'static str, f64)>,
}

/// Explains every picture of `options`. Results go to `out`, notes and errors of single pictures to `tell`. Returns
/// whether all went well; an error is one that leaves nothing to do.
pub fn run(
    options: &Options,
    out: &mut (impl Write + Send),
    tell: &(impl Fn(Told) + Sync),
) -> Result<bool, Error> {
    let (jobs, new_folders, all_there) = jobs(options, out, tell)?;
    if jobs.is_empty() {
        return Ok(all_there);
    }
    for unread in &options.unread {
        tell(Told::Note(unread.to_string()));
    }
    let weights = match &options.weights {
        Some(path) => weights::open(path)?,
        None => weights::builtin(),
    };
    let classifier = classifier(options, &weights, tell)?;
    let labels = Labels::choose(
        options.labels.as_deref(),
        classifier.labels.as_deref(),
        classifier.network.classes(),
        &weights_name(&weights),
    )?;
    let choice = Choice::new(options, &weights, &classifier, &labels)?;
    let started = Instant::now();
    let gpu = Gpu::open(&Selection {
        adapter: options.adapter.clone(),
        backend: options.backend,
    })?
    .with_winograd(options.convolution.into());
    let opened = milliseconds(started);
    let run = Run {
        options,
        jobs: &jobs,
        new_folders: &new_folders,
        weights: &weights,
        classifier: &classifier,
        labels: &labels,
        choice: &choice,
        gpu: &gpu,
        opened,
    };
    // Half a gigabyte takes 0.35 s a digest: beside everything else, and waited for only where it is told.
    let all_well = thread::scope(|scope| {
        scope.spawn(|| {
            if weights.is_tensorflow_vgg16() {
                let note = "the weights are tensorflow-vgg's VGG16.npy, by their SHA-1";
                tell(Told::Note(note.into()));
            }
        });
        let beside = Beside {
            // Only the JSON shows it.
            sha256: (options.json).then(|| scope.spawn(|| weights::hex(&weights.sha256()))),
            sound: Some(scope.spawn(|| weights.verify())),
        };
        run.all(beside, out, tell)
    })?;
    Ok(all_there && all_well)
}

/// What is found out about the weights beside the work, to be waited for with the first picture.
struct Beside<'a> {
    /// In hexadecimal digits.
    sha256: Option<ScopedJoinHandle<'a, String>>,
    /// Whether they are what was stored.
    sound: Option<ScopedJoinHandle<'a, Result<(), WeightsError>>>,
}

fn wait<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// What is the same for all pictures.
struct Run<'a> {
    options: &'a Options,
    jobs: &'a [Job],
    /// Those that will be made.
    new_folders: &'a [PathBuf],
    weights: &'a Weights,
    classifier: &'a Classifier,
    labels: &'a Labels,
    choice: &'a Choice,
    gpu: &'a Gpu,
    /// Milliseconds until the device was there.
    opened: f64,
}

impl Run<'_> {
    /// Explains every picture. Returns whether all went well.
    fn all(
        &self,
        mut beside: Beside<'_>,
        out: &mut (impl Write + Send),
        tell: &(impl Fn(Told) + Sync),
    ) -> Result<bool, Error> {
        let Self {
            options,
            jobs,
            new_folders,
            weights,
            classifier,
            labels,
            choice,
            gpu,
            opened,
        } = *self;
        let at_weights = |source| Error::Explain {
            path: weights_name(weights),
            source,
        };
        let started = Instant::now();
        let wanted = wanted(options, choice, &classifier.normalization, jobs.len());
        let explainer =
            Explainer::new(gpu, &classifier.network, wanted.clone()).map_err(at_weights)?;
        let settings = report::Settings::new(options, classifier, &wanted, explainer.channels());
        let set_up = milliseconds(started);
        for folder in new_folders {
            tell(Told::Note(format!(
                "{} is new and will be made",
                folder.display()
            )));
        }
        let several = jobs.len() > 1 || options.images.len() > 1;
        let mut digest = String::new();
        // There may be no more than all.
        let tried = options.channels.map(NonZeroUsize::get);
        let tried = tried.filter(|&tried| tried < explainer.channels());
        let input = classifier.network.input_shape();
        let (mut position, mut computed, mut all_well) = (0, 0, true);
        batch::run(
            jobs,
            |job| {
                let started = Instant::now();
                let Picture { rgb: original, .. } = image::open(&job.image)?;
                let (seen, geometry) =
                    preprocess::fit(&original, options.fit, input.w as u32, input.h as u32);
                let input = preprocess::to_tensor(&seen, &classifier.normalization);
                Ok(Prepared {
                    original: (options.size == Size::Original).then_some(original),
                    seen,
                    geometry,
                    input,
                    milliseconds: milliseconds(started),
                })
            },
            |_, picture| {
                let place = Place {
                    index: computed,
                    of: jobs.len(),
                };
                computed += 1;
                match compute(&explainer, choice, picture, place, tell) {
                    Ok(explained) => Computed::Done(Ok(explained)),
                    Err(error) => Computed::Stop(at_weights(error)),
                }
            },
            |job, outcome: Result<Explained, Error>| {
                position += 1;
                let sound = beside.sound.take().map_or(Ok(()), wait);
                // No other picture fares better.
                let is_last = sound.is_err();
                let reported = sound.map_err(Error::from).and(outcome).and_then(|explained| {
                let started = Instant::now();
                let scene = Scene {
                    options,
                    destination: &job.destination,
                    original: explained.picture.original.as_ref(),
                    seen: &explained.picture.seen,
                    geometry: &explained.picture.geometry,
                    normalization: &classifier.normalization,
                    question: Question {
                        versus: choice.versus,
                        counterfactual: options.counterfactual,
                    },
                    asked: Asked {
                        score: options.score,
                        counterfactual: options.counterfactual,
                        not_finite: explained.not_finite.as_deref(),
                    },
                };
                for explanation in &explained.explanations {
                    if let (Some(kept), Some(tried)) = (explanation.kept, tried) {
                        let label = labels.get(explanation.class).expect("one label a class");
                        let name = label.printed_name();
                        let share = 100.0 * kept;
                        tell(Told::Note(format!(
                            "the {tried} channels tried hold {share:.0} % of the weight for {name}, to first order"
                        )));
                    }
                }
                let Explained {
                    explanations,
                    prediction,
                    ..
                } = &explained;
                let classes = draw::classes(&scene, explanations, prediction, labels)?;
                // The first two are shared by all pictures of a run.
                let mut timings_ms = vec![("open_device", opened), ("set_up", set_up)];
                timings_ms.extend(explained.timings);
                timings_ms.push(("draw_and_write", milliseconds(started)));
                if let Some(hashing) = beside.sha256.take() {
                    digest = wait(hashing);
                }
                let report = Report {
                    image: job.image.clone(),
                    weights: report::Weights {
                        path: weights.path.clone(),
                        sha256: digest.clone(),
                        architecture: classifier.network.architecture.clone(),
                    },
                    adapter: report::Adapter {
                        name: gpu.info().name.clone(),
                        backend: gpu.info().backend.clone(),
                        kind: gpu.info().kind.into(),
                    },
                    layer: explainer.layers().join("+"),
                    fuse: (explainer.layers().len() > 1).then_some(options.fuse),
                    score: options.score,
                    settings: settings.clone(),
                    versus: choice.versus.map(|id| {
                        let label = labels.get(id).expect("one label a class");
                        report::Versus::new(id, label)
                    }),
                    counterfactual: options.counterfactual,
                    unread: options.unread.iter().map(|unread| unread.option).collect(),
                    timings_ms,
                    classes,
                };
                for note in report.notes() {
                    tell(Told::Note(note));
                }
                let text = match options.json {
                    true => report.json(),
                    false => report.text(several),
                };
                print(&text, out)
            });
                all_well &= reported.is_ok();
                let told = match reported {
                    Err(error @ Error::Stdout(_)) => Err(error),
                    Err(error) => fail(&job.image, error, options, out, tell),
                    Ok(()) => Ok(()),
                };
                // Nobody takes the results of the other pictures either.
                let next = match told {
                    Ok(()) if is_last => ControlFlow::Break(()),
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        if !error.is_reader_gone() {
                            tell(Told::Error(error));
                        }
                        ControlFlow::Break(())
                    }
                };
                tell(Told::Progress(position, jobs.len()));
                next
            },
        );
        Ok(all_well)
    }
}

/// A picture's number, from 0, of so many.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    of: usize,
}

fn print(text: &str, out: &mut impl Write) -> Result<(), Error> {
    let written = out.write_all(text.as_bytes());
    written.and_then(|()| out.flush()).map_err(Error::Stdout)
}

/// Tells why there is no result for a picture, in its place as well where results are JSON.
fn fail(
    image: &Path,
    error: Error,
    options: &Options,
    out: &mut impl Write,
    tell: &impl Fn(Told),
) -> Result<(), Error> {
    let line = options.json.then(|| report::failure(image, &error));
    tell(Told::Error(error));
    line.map_or(Ok(()), |line| print(&line, out))
}

/// The pictures that there are and where their files go, all of it checked before anything is computed; the folders that
/// will be made; and whether all that was named is there.
fn jobs(
    options: &Options,
    out: &mut impl Write,
    tell: &impl Fn(Told),
) -> Result<(Vec<Job>, Vec<PathBuf>, bool), Error> {
    let mut jobs: Vec<Job> = vec![];
    let mut all_there = true;
    let mut seen = HashSet::new();
    for named in &options.images {
        let listed = match image::list(named, output::is_output) {
            Ok(listed) => listed,
            Err(error) => {
                all_there = false;
                fail(named, error.into(), options, out, tell)?;
                continue;
            }
        };
        if listed.left_out.count() > 0 {
            tell(Told::Note(format!(
                "{}: {}",
                named.display(),
                listed.left_out
            )));
        }
        // A picture may be named twice, as cat.png and ./cat.png, or lie in a folder that is named too.
        let new = listed
            .pictures
            .into_iter()
            .filter(|image| seen.insert(place(image)));
        jobs.extend(new.map(|image| Job {
            destination: Destination::of(&image, options.out_dir.as_deref(), options.format),
            image,
        }));
    }
    let arrays = options.outputs.contains(&Output::Raw);
    let places = jobs
        .iter()
        .map(|job| (job.image.as_path(), &job.destination));
    let new_folders = output::check(places, arrays)?;
    Ok((jobs, new_folders, all_there))
}

/// The same for two spellings of a path. Links have names of their own, and so have their files.
fn place(image: &Path) -> PathBuf {
    let folder = image.parent().unwrap_or(Path::new(""));
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    // A folder that cannot be looked up is known by what was typed.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.join(image.file_name().unwrap_or_default())
}

/// The network, with the user's preprocessing where there is one.
fn classifier(
    options: &Options,
    weights: &Weights,
    tell: &impl Fn(Told),
) -> Result<Classifier, Error> {
    let mut classifier =
        architectures::recognise_at(weights, options.input_size).map_err(|source| {
            Error::Architecture {
                path: weights_name(weights),
                source,
            }
        })?;
    if let Some(kind) = options.activation {
        classifier.network.output_kind = kind;
    }
    match (&options.preprocess, classifier.normalization_evidence) {
        (Some(preprocess), _) => classifier.normalization = normalization(preprocess),
        (None, Evidence::Guess(reason)) => tell(Told::Note(format!(
            "{} does not say how pictures are scaled for it: taken as {}, since {reason}; --preprocess says otherwise",
            weights_name(weights).display(),
            classifier.normalization,
        ))),
        (None, Evidence::Metadata | Evidence::Origin(_)) => {}
    }
    Ok(classifier)
}

fn normalization(preprocess: &Preprocess) -> Normalization {
    match *preprocess {
        Preprocess::Named(name) => {
            Normalization::named(&name.to_string()).expect("the list of names is the same")
        }
        Preprocess::Given {
            mean,
            std,
            channels,
        } => {
            let bgr = channels == Channels::Bgr;
            // Given as red, green, blue; kept in the network's order.
            let ordered = |[r, g, b]: [f32; 3]| if bgr { [b, g, r] } else { [r, g, b] };
            Normalization {
                bgr,
                scale: 1.0,
                mean: ordered(mean),
                std: ordered(std),
            }
        }
    }
}

fn compute(
    explainer: &Explainer,
    choice: &Choice,
    picture: Prepared,
    place: Place,
    tell: &impl Fn(Told),
) -> Result<Explained, ExplainError> {
    let started = Instant::now();
    let prediction = explainer.predict(&picture.input)?;
    let forward = milliseconds(started);
    if place.index == 0 {
        tell(Told::Cost(Cost {
            pictures: place.of,
            passes: explainer.passes(),
            seconds: explainer.cost() * forward / 1e3,
            is_most: explainer.shares_passes(),
        }));
    }
    let started = Instant::now();
    let passes = |progress| tell(Told::Passes(place.index, progress));
    let classes = choice.of(&prediction);
    let explanations = explainer.explain_telling(&prediction, &classes, &passes)?;
    let not_finite = match explanations.iter().all(Explanation::is_finite) {
        true => None,
        // For words in a note: no reason to fail.
        false => explainer
            .first_not_finite(&prediction.input)
            .unwrap_or(None),
    };
    let timings = vec![
        ("decode", picture.milliseconds),
        ("forward", forward),
        ("backward", milliseconds(started)),
    ];
    Ok(Explained {
        picture,
        prediction,
        explanations,
        not_finite,
        timings,
    })
}

/// What messages call a weights file.
pub(crate) fn weights_name(weights: &Weights) -> PathBuf {
    let built_in = || PathBuf::from("the built-in network");
    weights.path.clone().unwrap_or_else(built_in)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
