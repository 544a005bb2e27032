//! Results kept as the work goes: the manifest and the CSV, and what an earlier run has left in them.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Message;
use super::jobs::{Job, Jobs};
use super::sheet::{self, SheetState};
use crate::command::{Error, whole_page};
use crate::options::{KnownBoxes, Options, STEM};
use crate::output::csv;
use crate::output::manifest::{self, Entry, Head, Lines, Manifest, ManifestError};
use crate::picture;
use crate::weights::hex;

/// Where the results of a run are kept.
pub(super) struct Record<'a> {
    options: &'a Options,
    jobs: &'a Jobs,
    run: Map<String, Value>,
    manifest: Option<Lines>,
    csv: Option<Lines>,
    /// The picture recorded last.
    last: Option<usize>,
    is_in_order: bool,
}

/// The file of the manifest, where the run keeps one.
fn path(options: &Options, jobs: &Jobs) -> Option<PathBuf> {
    let folder = options.out_dir.as_ref()?;
    let many = &options.many;
    let is_kept = jobs.is_batch || many.resume || many.shard.is_some();
    is_kept.then(|| folder.join(manifest::name(many.shard)))
}

/// The settings of a run with weights of this digest.
pub(super) fn settings(options: &Options, sha256: &str) -> Map<String, Value> {
    let mut run = options.settings();
    run.insert("weights".into(), sha256.into());
    // What stands in the file decides, as with weights.
    if let KnownBoxes::File(path) = &options.known_boxes
        && let Ok(bytes) = std::fs::read(path)
    {
        run.insert(
            "box".into(),
            format!("a file of SHA-256 {}", hex(&Sha256::digest(&bytes))).into(),
        );
    }
    run
}

/// Whether lines are kept anywhere.
pub(super) fn is_kept(options: &Options, jobs: &Jobs) -> bool {
    options.many.csv.is_some() || path(options, jobs).is_some()
}

/// Leaves of the jobs those that an earlier run has not done, and of its manifest the others, in order.
pub(super) fn resume(
    options: &Options,
    jobs: &mut Jobs,
    run: &Map<String, Value>,
    tell: &impl Fn(Message),
) -> Result<(), Error> {
    let Some(path) = path(options, jobs) else {
        return Ok(());
    };
    if !path.exists() {
        let note = format!(
            "{} is not there: all pictures are explained",
            path.display()
        );
        tell(Message::Note(note));
        return Ok(());
    }
    let manifest = Manifest::read(&path)?;
    manifest.check(run)?;
    let Earlier { there, for_sheet } = earlier(options, &jobs.list, &manifest, &path)?;
    let are_same = unchanged(&there);
    let (mut changed, mut done, mut kept) = (0, HashSet::new(), vec![]);
    for ((job, entry), is_same) in there.into_iter().zip(are_same) {
        if !is_same {
            changed += 1;
        } else if done.insert(job.place) {
            kept.push((jobs.head(job.place, true, options), entry.clone()));
        }
    }
    keep_lines(&manifest, kept, &path)?;
    let of = jobs.list.len();
    for note in notes_of_done(&path, done.len(), of, for_sheet, changed) {
        tell(Message::Note(note));
    }
    jobs.list.retain(|job| !done.contains(&job.place));
    Ok(())
}

/// What an earlier run did of the pictures that are asked for.
struct Earlier<'a> {
    /// Its pictures whose results are all there still.
    there: Vec<(&'a Job, &'a Entry)>,
    /// How many are done again only for a sheet of all pictures.
    for_sheet: usize,
}

/// An error where the manifest has pictures that are not asked for.
fn earlier<'a>(
    options: &Options,
    jobs: &'a [Job],
    manifest: &'a Manifest,
    path: &Path,
) -> Result<Earlier<'a>, ManifestError> {
    let keys = jobs.iter().map(|job| (manifest::key(&job.image), job));
    let by_key: HashMap<String, &Job> = keys.collect();
    let page = options.report.as_deref();
    let is_on_page =
        |entry: &Entry| page.is_none_or(|page| whole_page::missing(page, entry).is_none());
    let (mut there, mut others, mut for_sheet) = (vec![], vec![], 0);
    for entry in manifest.entries.iter().filter(|entry| entry.head.is_ok) {
        match by_key.get(&entry.key) {
            Some(_) if !entry.is_complete || !is_on_page(entry) => {}
            Some(&job) => match sheet::shown(options, job) {
                SheetState::There => there.push((job, entry)),
                SheetState::Missing => {}
                SheetState::OfAll => for_sheet += 1,
            },
            None => others.push(&entry.key),
        }
    }
    match others.first() {
        None => Ok(Earlier { there, for_sheet }),
        Some(first) => Err(ManifestError::OtherPictures {
            path: path.to_owned(),
            count: others.len(),
            first: first.as_str().into(),
        }),
    }
}

/// Leaves of the manifest these lines, in the order of the pictures; the file stays as it is where it has these alone.
fn keep_lines(manifest: &Manifest, mut kept: Vec<(Head, Entry)>, path: &Path) -> Result<(), Error> {
    kept.sort_by_key(|(head, _)| head.place);
    let heads = kept.iter().map(|(head, _)| head);
    let is_as_it_was = heads.eq(manifest.entries.iter().map(|entry| &entry.head));
    if manifest.is_cut || !is_as_it_was {
        manifest.rewrite(path, kept)?;
    }
    Ok(())
}

/// What is said of a run that goes on: how many pictures are done, and which of them are not taken as done.
fn notes_of_done(
    path: &Path,
    done: usize,
    of: usize,
    for_sheet: usize,
    changed: usize,
) -> Vec<String> {
    let mut notes = vec![format!(
        "{}: {done} of {of} pictures are done",
        path.display()
    )];
    if for_sheet > 0 {
        notes.push(format!(
            "one sheet of all pictures shows maps that no file keeps: {for_sheet} that were done are explained again; \
             --sheet {STEM}.png, a sheet a picture, leaves them out"
        ));
    }
    if changed > 0 {
        let pictures = match changed {
            1 => "1 picture has".to_owned(),
            _ => format!("{changed} pictures have"),
        };
        notes.push(format!(
            "{pictures} changed since: explained again; earlier files of another name stay where they are"
        ));
    }
    notes
}

/// Whether the picture of each line is still the file that it was, by its content: dates change when a folder is copied.
fn unchanged(lines: &[(&Job, &Entry)]) -> Vec<bool> {
    let is_same = |(job, entry): &(&Job, &Entry)| {
        let bytes = picture::read(&job.image).ok();
        let now = bytes.map(|bytes| hex(&Sha256::digest(&bytes)));
        now.is_some() && now == entry.sha256
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part = lines.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let each = |part| scope.spawn(move || <[_]>::iter(part).map(is_same).collect::<Vec<_>>());
        let threads: Vec<_> = lines.chunks(part).map(each).collect();
        let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .flat_map(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

impl<'a> Record<'a> {
    /// Opens the files; of a run that is resumed they hold what is done, of any other nothing.
    pub(super) fn open(
        options: &'a Options,
        jobs: &'a Jobs,
        run: Map<String, Value>,
        tell: &impl Fn(Message),
    ) -> Result<Self, Error> {
        let mut record = Self {
            options,
            jobs,
            run,
            manifest: None,
            csv: None,
            last: None,
            is_in_order: true,
        };
        let mut earlier = None;
        if let Some(path) = path(options, jobs) {
            let there = path.metadata().map_or(0, |file| file.len());
            let mut end = 0;
            if options.many.resume && there > 0 {
                let manifest = Manifest::read(&path)?;
                end = manifest.end;
                record.last = manifest.entries.last().map(|entry| entry.head.place);
                earlier = Some(manifest);
            } else if there > 0 {
                let note = format!(
                    "{} of an earlier run is replaced; --resume would go on with it",
                    path.display()
                );
                tell(Message::Note(note));
            }
            record.manifest = Some(Lines::open(&path, end)?);
        }
        if let Some(path) = &options.many.csv {
            jobs.kept.check(path)?;
            record.csv = Some(Lines::open(path, 0)?);
            record.fill_csv(earlier.as_ref())?;
        }
        Ok(record)
    }

    /// Writes the CSV of what a manifest holds.
    fn fill_csv(&mut self, manifest: Option<&Manifest>) -> Result<(), Error> {
        let Some(csv) = &mut self.csv else {
            return Ok(());
        };
        csv.clear()?;
        csv.push(csv::HEADER)?;
        let Some(manifest) = manifest else {
            return Ok(());
        };
        let entries = manifest
            .entries
            .iter()
            .map(|entry| (entry.head, entry.clone()));
        manifest.lines(entries, |line| Ok(csv.push(&csv::rows(line))?))
    }

    /// Adds what there is to say of a picture, in the JSON of its report or failure.
    pub(super) fn add(&mut self, job: &Job, json: &str, is_ok: bool) -> Result<(), Error> {
        self.is_in_order &= self.last.is_none_or(|last| last < job.place);
        self.last = Some(job.place);
        let head = self.jobs.head(job.place, is_ok, self.options);
        if let Some(manifest) = &mut self.manifest {
            manifest.push(&head.line(json, &self.run))?;
        }
        if let Some(csv) = &mut self.csv {
            csv.push(&csv::rows(json))?;
        }
        Ok(())
    }

    /// Whether there is a manifest, and not a table alone.
    pub(super) fn has_manifest(&self) -> bool {
        self.manifest.is_some()
    }

    /// Brings the lines into the order of the pictures where some were missing between others. Gives the manifest, if there is
    /// one.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>, Error> {
        let Some(lines) = self.manifest.take() else {
            return Ok(None);
        };
        let path = lines.path().to_owned();
        if self.is_in_order {
            return Ok(Some(path));
        }
        // Not every system renames over a file that is open.
        drop(lines);
        let mut manifest = Manifest::read(&path)?;
        manifest.entries.sort_by_key(|entry| entry.head.place);
        let entries = manifest.entries.iter();
        manifest.rewrite(&path, entries.map(|entry| (entry.head, entry.clone())))?;
        let manifest = Manifest::read(&path)?;
        self.fill_csv(Some(&manifest))?;
        Ok(Some(path))
    }
}
