//! What becomes of each picture in its turn: its results are told, or why there are none.

use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pictures::Run;
use super::record::Record;
use super::results::DrawnPicture;
use super::sheet::JointSheet;
use super::{Job, Message, print};
use crate::command::{Error, whole_page};
use crate::labels::Labels;
use crate::options::Options;
use crate::output::coco::Coco;
use crate::output::manifest::{Entry, Manifest};
use crate::output::page::Page;
use crate::output::report::Report;
use crate::output::{self, WriteError, report};
use crate::picture::{self, PictureError};
use crate::weights::WeightsError;

/// Why a picture has no results.
pub(super) enum Failure {
    /// In words that were told before the work began.
    Told(String),
    /// Told in its turn.
    Error(Error),
}

impl Failure {
    pub(super) fn told(words: &str) -> Self {
        Self::Told(words.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Arc<WeightsError>> for Failure {
    fn from(error: Arc<WeightsError>) -> Self {
        Self::Error(Error::Unsound(error))
    }
}

/// The end of every picture.
pub(super) struct Ending<'a, W> {
    run: &'a Run<'a>,
    record: Option<Record<'a>>,
    out: &'a mut W,
    done: usize,
    failed: usize,
    /// Folders that vanished while their pictures were read.
    gone: HashSet<PathBuf>,
    all_well: bool,
    collected: Collected,
}

/// Files that show all pictures.
pub(super) struct Collected {
    pub(super) page: Option<Page>,
    pub(super) coco: Coco,
    pub(super) sheet: Option<JointSheet>,
}

impl Collected {
    pub(super) fn new(page: Option<Page>, sheet: Option<JointSheet>) -> Self {
        Self {
            page,
            coco: Coco::default(),
            sheet,
        }
    }

    /// Fills them with what a manifest holds, which may be more than this run explained, and gives them their names, unless no
    /// picture has a result. `labels`: of all classes.
    pub(super) fn finish(
        mut self,
        options: &Options,
        labels: &Labels,
        manifest: Option<&Path>,
    ) -> Result<(), Error> {
        if let Some(path) = manifest {
            let manifest = Manifest::read(path)?;
            let explained = manifest.entries.iter().filter(|entry| entry.head.is_ok);
            let explained: Vec<&Entry> = explained.collect();
            if explained.is_empty() {
                return Ok(());
            }
            if let Some(page) = &mut self.page {
                whole_page::add(page, &manifest, &manifest.entries)?;
            }
            if options.coco.is_some() {
                let lines = explained
                    .into_iter()
                    .map(|entry| (entry.head, entry.clone()));
                manifest.lines(lines, |line| self.add_regions(line))?;
            }
        }
        if let Some(path) = &options.coco {
            output::write(path, self.coco.json(labels).as_bytes())?;
        }
        self.page.map_or(Ok(()), Page::finish)?;
        match (self.sheet, &options.sheet) {
            (Some(sheet), Some(path)) => sheet.finish(path),
            _ => Ok(()),
        }
    }

    /// Adds the regions of a picture, of its JSON or its line of a manifest.
    fn add_regions(&mut self, json: &str) -> Result<(), Error> {
        self.coco.add(json).map_err(Error::Regions)
    }
}

impl<'a, W: Write> Ending<'a, W> {
    pub(super) fn new(
        run: &'a Run<'a>,
        record: Option<Record<'a>>,
        collected: Collected,
        out: &'a mut W,
    ) -> Self {
        Self {
            run,
            record,
            out,
            done: 0,
            failed: 0,
            gone: HashSet::new(),
            all_well: true,
            collected,
        }
    }

    /// Tells the next picture's results, in order; breaks where no other picture is to follow.
    pub(super) fn of_picture(
        &mut self,
        job: &Job,
        outcome: Result<DrawnPicture, Failure>,
        tell: &impl Fn(Message),
    ) -> ControlFlow<()> {
        self.done += 1;
        let (told, is_last) = match outcome {
            Ok(drawn) => (self.succeeds(job, drawn, tell), false),
            Err(failure) => self.fails(job, failure, tell),
        };
        // Nobody takes the results of the other pictures either.
        let next = match told {
            Ok(()) if is_last => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.all_well = false;
                if !error.is_reader_gone() {
                    tell(Message::Error(error));
                }
                ControlFlow::Break(())
            }
        };
        tell(Message::Progress {
            done: self.done,
            failed: self.failed,
            of: self.run.jobs.list.len(),
        });
        next
    }

    /// Gives the files of all pictures their names, unless the run stopped on its way or nothing was explained. Returns
    /// whether all went well.
    pub(super) fn finish(self) -> Result<bool, Error> {
        let manifest = self.record.map_or(Ok(None), Record::finish)?;
        if self.done < self.run.jobs.list.len() {
            return Ok(self.all_well);
        }
        if manifest.is_some() || self.failed < self.done {
            let (options, labels) = (self.run.options, &self.run.model.labels);
            self.collected
                .finish(options, labels, manifest.as_deref())?;
        }
        Ok(self.all_well)
    }

    /// Whether files that show all pictures are made of the manifest, rather than as pictures are explained.
    fn has_manifest(&self) -> bool {
        self.record.as_ref().is_some_and(Record::has_manifest)
    }

    /// The page that pictures are added to in their turn.
    fn page(&mut self) -> Option<&mut Page> {
        let has_manifest = self.has_manifest();
        self.collected.page.as_mut().filter(|_| !has_manifest)
    }

    fn succeeds(
        &mut self,
        job: &Job,
        mut drawn: DrawnPicture,
        tell: &impl Fn(Message),
    ) -> Result<(), Error> {
        let shown = drawn.shown.as_ref();
        if let (Some(page), Some(shown)) = (self.page(), shown) {
            page.add(&drawn.report, shown)?;
        }
        if let Some(record) = &mut self.record {
            record.add(job, &drawn.report.json_with(shown), true)?;
        }
        if let (Some(all), Some(sheet)) = (&mut self.collected.sheet, drawn.sheet.take()) {
            all.add(sheet);
        }
        for note in drawn.notes.drain(..) {
            tell(Message::Note(note));
        }
        let text = match self.run.options.json {
            true => drawn.report.json(),
            false => drawn.report.text(self.run.jobs.are_several),
        };
        print(&text, self.out)?;
        if self.run.options.coco.is_some() && !self.has_manifest() {
            self.collected.add_regions(&drawn.report.json())?;
        }
        self.preview(&drawn, tell)?;
        if self.run.options.verbose {
            tell(Message::Time(times(&drawn.report)));
        }
        Ok(())
    }

    /// Draws the maps of a picture's classes in the terminal.
    fn preview(&self, drawn: &DrawnPicture, tell: &impl Fn(Message)) -> Result<(), Error> {
        let Some(screen) = self.run.screen else {
            return Ok(());
        };
        for (rank, preview) in &drawn.previews {
            let class = &drawn.report.classes[*rank];
            let image = picture::shown(&drawn.report.image);
            let method = self.run.options.methods[0];
            let caption = format!("{image}: {method} of class {}, {}", class.id, class.name);
            tell(Message::Preview(screen, caption, screen.text(preview)?));
        }
        Ok(())
    }

    fn tell_vanished(&mut self, folder: &Path, tell: &impl Fn(Message)) {
        if self.gone.insert(folder.to_owned()) {
            let folder = folder.display();
            tell(Message::Note(format!(
                "the folder {folder} is gone: those of its pictures that were not read yet fail"
            )));
        }
    }

    /// Tells why a picture has no results, in its place as well where results are JSON; and whether no other fares better.
    fn fails(
        &mut self,
        job: &Job,
        failure: Failure,
        tell: &impl Fn(Message),
    ) -> (Result<(), Error>, bool) {
        self.all_well = false;
        self.failed += 1;
        let fail_fast = self.run.options.many.fail_fast;
        let (words, ends) = match failure {
            Failure::Told(words) => (words, false),
            Failure::Error(error) => {
                let told = (error.to_string(), ends_all(&error));
                match vanished(&error) {
                    // Of ten thousand pictures one word is enough.
                    Some(folder) => self.tell_vanished(folder, tell),
                    None => tell(Message::Error(error)),
                }
                told
            }
        };
        let line = report::failure(&job.image, &words);
        let added = self.page().map_or(Ok(()), |page| page.line(&line));
        let record = self.record.as_mut();
        let recorded = record.map_or(Ok(()), |record| record.add(job, &line, false));
        let told = recorded.and_then(|()| match self.run.options.json {
            true => print(&line, self.out),
            false => Ok(()),
        });
        let told = told.and(added.map_err(Error::from));
        let left = self.run.jobs.list.len() - self.done;
        if left > 0 && (ends || fail_fast) {
            let why = if ends { "" } else { ", as --fail-fast asks" };
            let pictures = if left == 1 {
                "1 picture is"
            } else {
                &format!("{left} pictures are")
            };
            tell(Message::Note(format!("stopped here{why}: {pictures} left")));
        }
        (told, ends || fail_fast)
    }
}

/// The folder of a picture that is not there, where that is not there either.
fn vanished(error: &Error) -> Option<&Path> {
    let Error::Picture(PictureError::NotFound { path }) = error else {
        return None;
    };
    let folder = path.parent()?;
    let is_gone = !folder.as_os_str().is_empty() && !folder.exists();
    is_gone.then_some(folder)
}

/// What the stages of a picture took.
fn times(report: &Report) -> String {
    // What `draw` and `write` say together is left out.
    let stages = report.timings_ms.iter();
    let stages = stages.filter(|(stage, _)| *stage != "draw_and_write");
    let took = |(stage, took): &(&str, f64)| format!("{} {took:.1} ms", stage.replace('_', " "));
    let stages: Vec<String> = stages.map(took).collect();
    format!("{}: {}", picture::shown(&report.image), stages.join(", "))
}

/// Whether every other picture would meet the same: the device, the weights, a disk without room.
fn ends_all(error: &Error) -> bool {
    match error {
        Error::Explain { .. }
        | Error::InputTooLarge { .. }
        | Error::Gpu(_)
        | Error::Unsound(_)
        | Error::Write(WriteError::Gone(_)) => true,
        Error::Write(WriteError::Write { source, .. }) => matches!(
            source.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        ),
        _ => false,
    }
}
