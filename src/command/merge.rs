//! `gradcam merge`: the manifests of a run's parts as one, and what is missing of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cli::Merge;
use crate::command::whole_page::{self, Look};
use crate::options::{Shard, UsageError, page_name};
use crate::output::csv;
use crate::output::manifest::{self, Entry, Head, Manifest, ManifestError};
use crate::output::page::Page;
use crate::output::{ProtectedFiles, WriteError, at, write_with};
use crate::printable::quoted_os;

/// Why there is no whole of the parts.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A part that cannot be read, or is none of this run.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The whole could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A folder without any.
    #[error("{}: no manifest of a part, called manifest-1-of-4.jsonl or the like; name the manifests", .0.display())]
    NoParts(PathBuf),
    /// `--report` with what is no page by its name, or a page over a manifest.
    #[error(transparent)]
    Page(#[from] UsageError),
    /// A part whose run made no page.
    #[error(
        "{}: made without --report, so that there is nothing to show of its pictures; run the parts with --report, or join them \
         without it", .0.display()
    )]
    NoPage(PathBuf),
    /// A page that would not find the pictures.
    #[error("{}: {} is not beside it; name a page in the folder of the parts' pages", page.display(), file.display())]
    PageElsewhere {
        /// The page.
        page: PathBuf,
        /// What is not there.
        file: PathBuf,
    },
    /// A folder that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// What was joined. Shown in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The manifest written.
    pub path: PathBuf,
    /// Pictures of the run.
    pub of: usize,
    /// Those with a report.
    pub ok: usize,
    /// Those with an error.
    pub failed: usize,
    /// Parts that lack pictures: how many, of how many.
    pub lacking: Vec<(Option<Shard>, usize, usize)>,
    /// What was assumed.
    pub notes: Vec<String>,
}

impl Merged {
    /// Pictures without a line.
    pub fn missing(&self) -> usize {
        self.of - self.ok - self.failed
    }

    /// Whether every picture has its results.
    pub fn is_whole(&self) -> bool {
        self.ok == self.of
    }
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, ok, failed, .. } = self;
        let missing = self.missing();
        writeln!(
            f,
            "{}: {of} pictures, {ok} ok, {failed} failed, {missing} missing",
            self.path.display()
        )?;
        for (shard, lacking, of) in &self.lacking {
            let part = shard.map_or_else(
                || "the whole run".to_owned(),
                |shard| format!("part {shard}"),
            );
            match lacking == of {
                true => writeln!(f, "{part}: all of its {of} pictures are missing")?,
                false => writeln!(f, "{part}: {lacking} of its {of} pictures are missing")?,
            }
        }
        Ok(())
    }
}

/// Joins manifests.
pub fn run(flags: &Merge) -> Result<Merged, MergeError> {
    let (to, paths) = match (flags.out.is_dir(), flags.manifests.is_empty()) {
        (true, true) => (flags.out.join(manifest::name(None)), parts(&flags.out)?),
        (true, false) => (
            flags.out.join(manifest::name(None)),
            flags.manifests.clone(),
        ),
        (false, true) => return Err(MergeError::NoParts(flags.out.clone())),
        (false, false) => (flags.out.clone(), flags.manifests.clone()),
    };
    let manifests = paths.iter().map(|path| Manifest::read(path));
    let manifests = manifests.collect::<Result<Vec<_>, _>>()?;
    let page = page_name(flags.report.clone())?;
    if let Some(page) = &page {
        ProtectedFiles::new(paths.iter().map(PathBuf::as_path)).check(page)?;
    }
    let mut merged = Merged {
        path: to.clone(),
        ..Merged::default()
    };
    let first = check(&manifests)?;
    // By its name, the line of each picture: a report rather than an error, else the first.
    let mut lines: HashMap<&str, (usize, &Entry)> = HashMap::new();
    let mut twice = 0;
    for (index, manifest) in manifests.iter().enumerate() {
        if manifest.is_cut {
            let path = manifest.path.display();
            merged.notes.push(format!(
                "{path}: its last line is not finished and is left out"
            ));
        }
        for entry in &manifest.entries {
            match lines.get(&*entry.key) {
                Some((_, there)) => {
                    twice += usize::from(there.head.is_ok && entry.head.is_ok);
                    if entry.head.is_ok && !there.head.is_ok {
                        lines.insert(&entry.key, (index, entry));
                    }
                }
                None => _ = lines.insert(&entry.key, (index, entry)),
            }
        }
    }
    if twice > 0 {
        merged.notes.push(format!(
            "{twice} pictures have results in several manifests: the first ones are taken"
        ));
    }
    let mut sorted: Vec<(usize, &Entry)> = lines.into_values().collect();
    sorted.sort_by_key(|(_, entry)| entry.head.place);
    merged.of = first.map_or(0, |head| head.of).max(sorted.len());
    merged.ok = sorted.iter().filter(|(_, entry)| entry.head.is_ok).count();
    merged.failed = sorted.len() - merged.ok;
    merged.lacking = lacking(&sorted, merged.of);
    if let Some(path) = &page {
        write_page(path, flags, &manifests, &sorted)?;
    }
    write(&to, &manifests, &sorted, str::to_owned, "")?;
    if let Some(path) = &flags.csv {
        write(path, &manifests, &sorted, csv::rows, csv::HEADER)?;
    }
    Ok(merged)
}

/// The manifests of parts in a folder.
fn parts(folder: &Path) -> Result<Vec<PathBuf>, MergeError> {
    let unreadable = |reason| MergeError::Folder {
        path: folder.to_owned(),
        reason,
    };
    let mut parts = vec![];
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let part = name.to_str().and_then(|name| {
            let (number, of) = name
                .strip_prefix("manifest-")?
                .strip_suffix(".jsonl")?
                .split_once("-of-")?;
            format!("{number}/{of}").parse::<Shard>().ok()
        });
        parts.extend(part.map(|part| (part.of, part.number, folder.join(name))));
    }
    parts.sort();
    match parts.is_empty() {
        true => Err(MergeError::NoParts(folder.to_owned())),
        false => Ok(parts.into_iter().map(|(.., path)| path).collect()),
    }
}

/// An error unless all are of one run; its first line's head.
fn check(manifests: &[Manifest]) -> Result<Option<Head>, MergeError> {
    let mut first: Option<(&Manifest, Head)> = None;
    for manifest in manifests {
        for entry in &manifest.entries {
            let (whole, head) = *first.get_or_insert((manifest, entry.head));
            if entry.head.of != head.of {
                return Err(ManifestError::OtherCount {
                    first: whole.path.clone(),
                    one: head.of,
                    second: manifest.path.clone(),
                    other: entry.head.of,
                }
                .into());
            }
        }
        if let (Some((whole, _)), Some(run)) = (first, &manifest.run) {
            whole.check(run)?;
        }
    }
    Ok(first.map(|(_, head)| head))
}

/// Of each part how many pictures have no line: the parts of one division, or the whole run where there is none.
fn lacking(lines: &[(usize, &Entry)], of: usize) -> Vec<(Option<Shard>, usize, usize)> {
    let mut there: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (_, entry) in lines {
        let part = entry
            .head
            .shard
            .map_or((1, 1), |shard| (shard.of, shard.number));
        *there.entry(part).or_default() += 1;
    }
    let divisions: Vec<usize> = there.keys().map(|(parts, _)| *parts).collect();
    let parts = match divisions.first() {
        Some(&parts) if divisions.iter().all(|&other| other == parts) => parts,
        // Of several divisions no part is known by its number.
        _ => {
            let missing = of - lines.len();
            return (missing > 0)
                .then_some((None, missing, of))
                .into_iter()
                .collect();
        }
    };
    let lacking = |number| {
        let size = (of + parts - number) / parts;
        let there = there.get(&(parts, number)).copied().unwrap_or(0);
        let shard = (parts > 1).then_some(Shard { number, of: parts });
        (shard, size.saturating_sub(there), size)
    };
    let all = (1..=parts).map(lacking);
    all.filter(|(_, lacking, _)| *lacking > 0).collect()
}

/// Writes the page of all pictures, unless none has a result.
fn write_page(
    path: &Path,
    flags: &Merge,
    manifests: &[Manifest],
    lines: &[(usize, &Entry)],
) -> Result<(), MergeError> {
    let mut explained = lines
        .iter()
        .filter(|(_, entry)| entry.head.is_ok)
        .peekable();
    let Some((first, _)) = explained.peek() else {
        return Ok(());
    };
    let first = &manifests[*first];
    let look = first.run.as_ref().and_then(Look::of_settings);
    let look = look.ok_or_else(|| MergeError::NoPage(first.path.clone()))?;
    for (manifest, entry) in explained {
        if entry.page.is_none() {
            return Err(MergeError::NoPage(manifests[*manifest].path.clone()));
        }
        if let Some(file) = whole_page::missing(path, entry) {
            let page = path.to_owned();
            return Err(MergeError::PageElsewhere { page, file });
        }
    }
    let mut page = Page::begin(path, &look.common(command(flags)))?;
    for of_one in lines.chunk_by(|a, b| a.0 == b.0) {
        let entries = of_one.iter().map(|(_, entry)| *entry);
        whole_page::add(&mut page, &manifests[of_one[0].0], entries)?;
    }
    Ok(page.finish()?)
}

/// The command that makes the page again, as a shell takes it.
fn command(flags: &Merge) -> String {
    let files = [&flags.out].into_iter().chain(&flags.manifests);
    let mut words: Vec<String> = files.map(|file| quoted_os(file.as_os_str())).collect();
    for (option, file) in [("--csv", &flags.csv), ("--report", &flags.report)] {
        if let Some(file) = file {
            words.extend([option.to_owned(), quoted_os(file.as_os_str())]);
        }
    }
    format!("gradcam merge {}", words.join(" "))
}

/// Writes of each line what `text` makes of it, whole or not at all.
fn write(
    to: &Path,
    manifests: &[Manifest],
    lines: &[(usize, &Entry)],
    text: impl Fn(&str) -> String,
    first: &str,
) -> Result<(), WriteError> {
    write_with(to, |file| {
        let mut put = |text: &str| {
            file.write_all(text.as_bytes())
                .map_err(|error| at(to, error))
        };
        put(first)?;
        // Neighbours of one manifest are read in one go.
        for of_one in lines.chunk_by(|a, b| a.0 == b.0) {
            let manifest = &manifests[of_one[0].0];
            let whole = of_one.iter().map(|(_, entry)| {
                let head = Head {
                    shard: None,
                    ..entry.head
                };
                (head, (*entry).clone())
            });
            manifest.lines(whole, |line| put(&text(line)))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_part() {
        let merged = Merged {
            path: "maps/manifest.jsonl".into(),
            of: 10,
            ok: 6,
            failed: 1,
            lacking: vec![
                (Some(Shard { number: 2, of: 4 }), 1, 3),
                (Some(Shard { number: 4, of: 4 }), 2, 2),
            ],
            notes: vec![],
        };
        assert_eq!(
            merged.to_string(),
            "maps/manifest.jsonl: 10 pictures, 6 ok, 1 failed, 3 missing\n\
             part 2/4: 1 of its 3 pictures are missing\npart 4/4: all of its 2 pictures are missing\n"
        );
    }
}
