//! Results kept as the work goes: the manifest and the CSV, and what an earlier run has left in them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::Told;
use super::jobs::{Job, Jobs};
use crate::command::{Error, whole_page};
use crate::options::Options;
use crate::output::csv;
use crate::output::manifest::{self, Entry, Head, Lines, Manifest, ManifestError};

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
    tell: &impl Fn(Told),
) -> Result<(), Error> {
    let Some(path) = path(options, jobs) else {
        return Ok(());
    };
    if !path.exists() {
        let note = format!(
            "{} is not there: all pictures are explained",
            path.display()
        );
        tell(Told::Note(note));
        return Ok(());
    }
    let manifest = Manifest::read(&path)?;
    manifest.check(run)?;
    let keys = jobs
        .list
        .iter()
        .map(|job| (manifest::key(&job.image), job.place));
    let places: HashMap<String, usize> = keys.collect();
    let mut kept: Vec<(Head, Entry)> = vec![];
    let page = options.report.as_deref();
    let is_shown =
        |entry: &Entry| page.is_none_or(|page| whole_page::missing(page, entry).is_none());
    let (mut seen, mut others) = (HashSet::new(), vec![]);
    for entry in manifest.entries.iter().filter(|entry| entry.head.is_ok) {
        match places.get(&entry.key) {
            Some(&place) if entry.is_complete && is_shown(entry) && seen.insert(place) => {
                kept.push((jobs.head(place, true, options), entry.clone()));
            }
            Some(_) => {}
            None => others.push(&entry.key),
        }
    }
    if let Some(first) = others.first() {
        return Err(ManifestError::OtherPictures {
            path,
            count: others.len(),
            first: first.as_str().into(),
        }
        .into());
    }
    kept.sort_by_key(|(head, _)| head.place);
    let is_as_it_was = kept.len() == manifest.entries.len()
        && kept
            .iter()
            .zip(&manifest.entries)
            .all(|((head, _), entry)| *head == entry.head);
    if manifest.is_cut || !is_as_it_was {
        manifest.rewrite(&path, kept)?;
    }
    let note = format!(
        "{}: {} of {} pictures are done",
        path.display(),
        seen.len(),
        jobs.list.len()
    );
    tell(Told::Note(note));
    jobs.list.retain(|job| !seen.contains(&job.place));
    Ok(())
}

impl<'a> Record<'a> {
    /// Opens the files; of a run that is resumed they hold what is done, of any other nothing.
    pub(super) fn open(
        options: &'a Options,
        jobs: &'a Jobs,
        run: Map<String, Value>,
        tell: &impl Fn(Told),
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
                tell(Told::Note(note));
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
