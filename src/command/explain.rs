//! The command from top to bottom: files in, pictures and a report out.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::architectures::{self, Classifier, Evidence, Overrides};
use crate::cli::{Channels, Preview};
use crate::command::Error;
use crate::command::preview::Screen;
use crate::command::tune::{Tuned, tuned};
use crate::gpu::{Gpu, Selection};
use crate::labels::Labels;
use crate::methods::Method;
use crate::network::{Network, ReluRule};
use crate::options::{KnownBoxes, Options, Preprocess, UsageError};
use crate::output::page::Media;
use crate::output::{self, report};
use crate::picture::preprocess::Normalization;
use crate::tuning::Batches;
use crate::weights::{self, Weights};

mod box_file;
mod choice;
mod class;
mod compute;
pub mod draw;
mod ending;
mod from_options;
mod jobs;
mod list_file;
mod listing;
mod message;
mod page;
mod pictures;
mod prepare;
mod record;
mod regions;
mod scene;
mod settings;
mod sheet;
mod values;
mod weight_checks;

pub use box_file::BoxFileError;
pub use list_file::ListError;
pub use message::{Cost, Message, in_words};

use box_file::Known;
use choice::Choice;
use ending::Collected;
use jobs::{Job, Jobs};
use pictures::Run;
use record::Record;
use weight_checks::WeightChecks;

/// Explains every picture of `options`. Results go to `out`, notes and errors of single pictures to `tell`. Returns
/// whether all went well; an error is one that leaves nothing to do.
pub fn run(
    options: &Options,
    out: &mut (impl Write + Send),
    tell: &(impl Fn(Message) + Sync),
) -> Result<bool, Error> {
    let mut jobs = Jobs::new(options, tell)?;
    if jobs.destinations().next().is_none() {
        return refused(&jobs, options, out);
    }
    let classes_of_boxes = place_boxes(options, &mut jobs, tell)?;
    if let Some(coco) = &options.coco {
        output::check_file(coco, &jobs.kept)?;
    }
    for unread in &options.unread {
        tell(Message::Note(unread.to_string()));
    }
    let weights = weights::open_or_builtin(options.weights.as_deref())?;
    let classifier = classifier(options, &weights).inspect_err(|_| {
        // What was left out of the file may be what is missing.
        for note in &weights.notes {
            tell(Message::Note(note.clone()));
        }
    })?;
    let mut notes = notes(options, &weights, &classifier);
    for note in &notes {
        tell(Message::Note(note.clone()));
    }
    let labels = Labels::choose(
        options.labels.as_deref(),
        classifier.labels.as_deref(),
        classifier.network.classes(),
        &weights_name(&weights),
    )?;
    if let Some(classes) = classes_of_boxes {
        classes.find(&labels, &mut jobs, tell)?;
    }
    let mut collected = Collected {
        sheet: sheet::begin(options, &jobs)?,
        ..Collected::default()
    };
    let mut known_sha256 = None;
    if options.many.resume {
        let sha256 = weights::hex(&weights.sha256());
        let settings = record::settings(options, &sha256);
        record::resume(options, &mut jobs, &settings, tell)?;
        if jobs.list.is_empty() {
            let manifest = Record::open(options, &jobs, settings, tell)?.finish()?;
            collected.page = page::begin(options, &jobs)?;
            collected.finish(options, &labels, manifest.as_deref())?;
            return Ok(true);
        }
        known_sha256 = Some(sha256);
    }
    let choice = Choice::new(options, &weights, &classifier, &labels)?;
    if options.to_stdout {
        one_file(options, jobs.list.len(), choice.count())?;
    }
    collected.page = page::begin(options, &jobs)?;
    let started = Instant::now();
    let (gpus, of_first, of_tuning) = gpus(options, jobs.list.len())?;
    let opened = milliseconds(started);
    // Those of one kind have the same to say.
    for note in gpus[0].notes().into_iter().chain(of_tuning) {
        tell(Message::Note(note.clone()));
        notes.push(note);
    }
    let run = Run {
        options,
        jobs: &jobs,
        weights: &weights,
        classifier: &classifier,
        labels: &labels,
        choice: &choice,
        gpus: &gpus,
        measured_at_once: of_first
            .batches(&classifier.network)
            .and_then(Batches::best),
        notes: &notes,
        media: options
            .report
            .as_deref()
            .map(|path| Media::of(path, jobs.of, jobs.is_batch)),
        screen: options
            .preview
            .and_then(|preview| screen(options, preview, tell)),
        opened,
    };
    with_checks(&run, known_sha256, tell, |checks| {
        run.all(checks, collected, out, tell)
    })
}

/// The boxes that maps are held against, given to the pictures that they lie on; of a file of boxes the classes too.
fn place_boxes(
    options: &Options,
    jobs: &mut Jobs,
    tell: &impl Fn(Message),
) -> Result<Option<box_file::Classes>, Error> {
    match (&options.known_boxes, &mut jobs.list[..]) {
        (KnownBoxes::Here(boxes), [job]) => {
            job.known_boxes = boxes.iter().map(|&place| Known::of(place)).collect();
            Ok(None)
        }
        (KnownBoxes::Here(boxes), list) if !boxes.is_empty() => {
            Err(UsageError::BoxOfMany(list.len()).into())
        }
        (KnownBoxes::Here(_), _) => Ok(None),
        (KnownBoxes::File(path), _) => Ok(Some(box_file::assign(path, jobs, tell)?)),
    }
}

/// Does `work` while threads beside it read all of the weights for their digest and their checksums. Half a gigabyte takes 0.35 s
/// a digest: it is waited for only where it is told.
fn with_checks<T>(
    run: &Run<'_>,
    known_sha256: Option<String>,
    tell: &(impl Fn(Message) + Sync),
    work: impl FnOnce(&WeightChecks<'_>) -> T,
) -> T {
    let Run {
        options,
        jobs,
        weights,
        ..
    } = *run;
    thread::scope(|scope| {
        scope.spawn(|| {
            if weights.is_tensorflow_vgg16() {
                let note = "the weights are tensorflow-vgg's VGG16.npy, by their SHA-1";
                tell(Message::Note(note.into()));
            }
        });
        // Only the JSON, the page, sheets, COCO's and pictures that say what made them show it.
        let is_shown = options.json
            || options.report.is_some()
            || options.sheet.is_some()
            || options.coco.is_some()
            || jobs.say_what_made_them(options)
            || record::is_kept(options, jobs);
        let hash = || known_sha256.unwrap_or_else(|| weights::hex(&weights.sha256()));
        let sha256 = is_shown.then(|| scope.spawn(hash));
        let sound = scope.spawn(|| weights.verify().map_err(Arc::new));
        work(&WeightChecks::new(sha256, sound))
    })
}

/// Where no picture can be explained: what is said of each in the place of results.
fn refused(jobs: &Jobs, options: &Options, out: &mut impl Write) -> Result<bool, Error> {
    for job in &jobs.list {
        if let (Err(words), true) = (&job.destination, options.json) {
            print(&report::failure(&job.image, words), out)?;
        }
    }
    Ok(jobs.list.is_empty())
}

/// The devices that share the work, at least one and no more than pictures, with the times that are kept for them, what is kept for
/// the first, and notes.
fn gpus(options: &Options, pictures: usize) -> Result<(Vec<Gpu>, Tuned, Vec<String>), Error> {
    let mut gpus = match options.adapter.as_deref() {
        Some(ALL) => Gpu::open_all(options.backend)?,
        adapter => vec![Gpu::open(&Selection {
            adapter: adapter.map(str::to_owned),
            backend: options.backend,
        })?],
    };
    gpus.truncate(pictures.max(1));
    let convolution = options.convolution.into();
    let (mut notes, mut of_first) = (vec![], None);
    let gpus = gpus.into_iter().map(|gpu| {
        let (gpu, tuned) = tuned(gpu, &mut notes);
        of_first.get_or_insert(tuned);
        gpu.with_winograd(convolution)
    });
    let gpus = gpus.collect();
    notes.dedup();
    Ok((gpus, of_first.unwrap_or_default(), notes))
}

/// The name that stands for every adapter of the fastest kind.
const ALL: &str = "all";

/// Where maps are drawn; a note where there is no such place.
fn screen(options: &Options, preview: Preview, tell: &impl Fn(Message)) -> Option<Screen> {
    let screen = Screen::find(preview, options.json || options.to_stdout);
    if screen.is_none() {
        let note = "--preview draws nothing: neither standard error nor standard output is a terminal that shows pictures";
        tell(Message::Note(note.into()));
    }
    screen
}

/// An error unless standard output gets one file, and not on a screen.
fn one_file(options: &Options, pictures: usize, classes: usize) -> Result<(), UsageError> {
    let files = draw::files(options);
    match [pictures, classes, files] {
        [1, 1, 1] if io::stdout().is_terminal() => Err(UsageError::TerminalStdout),
        [1, 1, 1] => Ok(()),
        _ => Err(UsageError::ManyToStdout {
            pictures,
            classes,
            files,
        }),
    }
}

fn print(text: &str, out: &mut impl Write) -> Result<(), Error> {
    let written = out.write_all(text.as_bytes());
    written.and_then(|()| out.flush()).map_err(Error::Stdout)
}

/// The network, with the user's preprocessing where there is one.
fn classifier(options: &Options, weights: &Weights) -> Result<Classifier, Error> {
    let asked = Overrides {
        input_size: options.input_size,
        output: options.graph_output.as_deref(),
        labels: options.labels.as_deref(),
        architecture: options.architecture.as_deref(),
    };
    let mut classifier =
        architectures::recognise_as(weights, &asked).map_err(|source| Error::Architecture {
            path: weights_name(weights),
            source,
        })?;
    if let Some(kind) = options.activation {
        classifier.network.output_kind = kind;
    }
    if let Some(preprocess) = &options.preprocess {
        let channels = classifier.network.input_shape().c;
        classifier.scale_by(normalization(preprocess).of_channels(channels));
    }
    Ok(classifier)
}

/// What was left out of the weights and assumed of the network.
fn notes(options: &Options, weights: &Weights, classifier: &Classifier) -> Vec<String> {
    let scaling = match (&options.preprocess, classifier.normalization_evidence) {
        (None, Evidence::Guess(reason)) => Some(format!(
            "{} does not say how pictures are scaled for it: {} is a guess, since {reason}; --preprocess says otherwise",
            weights_name(weights).display(),
            classifier.normalization,
        )),
        (Some(_), _) if classifier.scales_itself() => Some(format!(
            "{} scales pixels itself, after what --preprocess, --mean or --std say",
            weights_name(weights).display(),
        )),
        (Some(_), _) | (None, Evidence::Metadata | Evidence::Known(_)) => None,
    };
    let said = weights.notes.iter().chain(&classifier.notes).cloned();
    let unguided = unguided(options, &classifier.network);
    said.chain(scaling).chain(unguided).collect()
}

/// Where a method with a rule of its own for ReLUs was asked for, which activations have none.
fn unguided(options: &Options, network: &Network) -> Option<String> {
    let has_rule = |method: &Method| match method {
        Method::Pixel(method) => method.recipe().rule != ReluRule::Plain,
        Method::Cam(_) | Method::Perturbation(_) => false,
    };
    let method = values::methods(options).into_iter().find(has_rule)?;
    let kinds = network.unguided_activations();
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, layers)| format!("{kind} ({layers})"))
        .collect();
    (!kinds.is_empty()).then(|| {
        format!(
            "{method} has a rule for ReLUs alone: through {} the plain gradient goes",
            kinds.join(", ")
        )
    })
}

fn normalization(preprocess: &Preprocess) -> Normalization {
    match *preprocess {
        Preprocess::Named(preprocessing) => preprocessing.normalization(),
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
                grey: false,
                scale: 1.0,
                mean: ordered(mean),
                std: ordered(std),
            }
        }
    }
}

/// What messages call a weights file.
pub(crate) fn weights_name(weights: &Weights) -> PathBuf {
    let built_in = || PathBuf::from("the built-in network");
    weights.path.clone().unwrap_or_else(built_in)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
