//! The command from top to bottom: files in, pictures and a report out.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::cli::Preview;
use crate::command::Error;
use crate::command::preview::Screen;
use crate::options::{KnownBoxes, Options, UsageError};
use crate::output::page::Media;
use crate::output::{self, report};
use crate::weights;

mod box_file;
mod choice;
mod class;
mod compute;
mod devices;
pub mod draw;
mod ending;
mod from_options;
mod jobs;
mod list_file;
mod listing;
mod message;
mod model;
mod page;
mod pictures;
mod prepare;
mod record;
mod regions;
mod results;
mod scene;
mod settings;
mod sheet;
mod values;
mod weight_checks;

pub use box_file::BoxFileError;
pub use list_file::ListError;
pub use message::{Cost, Message, in_words};

use box_file::BoxOfClass;
use choice::Choice;
use devices::Devices;
use ending::Collected;
use jobs::{Job, Jobs};
use model::Model;
use pictures::Run;
use record::Record;
use sheet::JointSheet;
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
    let model = Model::open(options, tell)?;
    if let Some(classes) = classes_of_boxes {
        classes.find(&model.labels, &mut jobs, tell)?;
    }
    let sheet = sheet::begin(options, &jobs)?;
    let known_sha256 = leave_out_done(options, &mut jobs, &model, tell)?;
    if let (Some(sha256), true) = (&known_sha256, jobs.list.is_empty()) {
        return all_done_before(options, &jobs, &model, sha256, sheet, tell);
    }
    let choice = Choice::new(options, &model)?;
    check_stdout(options, jobs.list.len(), choice.count())?;
    // Where a file that shows all pictures cannot be written, nothing needs to be computed.
    let collected = Collected::new(page::begin(options, &jobs)?, sheet);
    let devices = Devices::open(options, jobs.list.len())?;
    for note in &devices.notes {
        tell(Message::Note(note.clone()));
    }
    let run = Run {
        options,
        jobs: &jobs,
        model: &model,
        choice: &choice,
        devices: &devices,
        notes: [&model.notes[..], &devices.notes].concat(),
        media: options
            .report
            .as_deref()
            .map(|path| Media::of(path, jobs.of, jobs.is_batch)),
        screen: options
            .preview
            .and_then(|preview| screen(options, preview, tell)),
    };
    with_checks(&run, known_sha256, tell, |checks| {
        run.all(checks, collected, out, tell)
    })
}

/// Of a run that is resumed, leaves of the jobs those that are not done; gives the weights' digest, which that takes.
fn leave_out_done(
    options: &Options,
    jobs: &mut Jobs,
    model: &Model,
    tell: &impl Fn(Message),
) -> Result<Option<String>, Error> {
    if !options.many.resume {
        return Ok(None);
    }
    let sha256 = weights::hex(&model.weights.sha256());
    record::resume(options, jobs, &record::settings(options, &sha256), tell)?;
    Ok(Some(sha256))
}

/// Where earlier runs did everything: the files that show all pictures are made of the manifest.
fn all_done_before(
    options: &Options,
    jobs: &Jobs,
    model: &Model,
    sha256: &str,
    sheet: Option<JointSheet>,
    tell: &impl Fn(Message),
) -> Result<bool, Error> {
    let settings = record::settings(options, sha256);
    let manifest = Record::open(options, jobs, settings, tell)?.finish()?;
    let collected = Collected::new(page::begin(options, jobs)?, sheet);
    collected.finish(options, &model.labels, manifest.as_deref())?;
    Ok(true)
}

/// The boxes that maps are held against, given to the pictures that they lie on; of a file of boxes the classes too.
fn place_boxes(
    options: &Options,
    jobs: &mut Jobs,
    tell: &impl Fn(Message),
) -> Result<Option<box_file::Classes>, Error> {
    match (&options.known_boxes, &mut jobs.list[..]) {
        (KnownBoxes::Here(boxes), [job]) => {
            job.known_boxes = boxes.iter().map(|&place| BoxOfClass::of(place)).collect();
            Ok(None)
        }
        (KnownBoxes::Here(boxes), list) if !boxes.is_empty() => {
            Err(UsageError::BoxOfMany(list.len()).into())
        }
        (KnownBoxes::Here(_), _) => Ok(None),
        (KnownBoxes::File(path), _) => Ok(Some(box_file::assign(path, jobs, tell)?)),
    }
}

/// Does `work` while threads beside it read all of the weights for their digest and their checksums. A digest of half a gigabyte
/// takes a third of a second: it is waited for only where it is told.
fn with_checks<T>(
    run: &Run<'_>,
    known_sha256: Option<String>,
    tell: &(impl Fn(Message) + Sync),
    work: impl FnOnce(&WeightChecks<'_>) -> T,
) -> T {
    let Run { options, jobs, .. } = *run;
    let weights = &run.model.weights;
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

/// Where maps are drawn; a note where there is no such place.
fn screen(options: &Options, preview: Preview, tell: &impl Fn(Message)) -> Option<Screen> {
    let screen = Screen::find(preview, options.json || options.to_stdout);
    if screen.is_none() {
        let note = "--preview draws nothing: neither standard error nor standard output is a terminal that shows pictures";
        tell(Message::Note(note.into()));
    }
    screen
}

/// An error where results go to standard output, unless it gets one file, and not on a screen.
fn check_stdout(options: &Options, pictures: usize, classes: usize) -> Result<(), UsageError> {
    if !options.to_stdout {
        return Ok(());
    }
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

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
