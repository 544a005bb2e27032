//! The pictures to explain and where their files go, all of it checked before anything is computed.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::Message;
use super::box_file::BoxOfClass;
use super::listing::{NamedPicture, named};
use crate::cli::{Format, Output};
use crate::command::Error;
use crate::options::{Options, Shard};
use crate::output::manifest::Head;
use crate::output::{self, Checked, Destination, ProtectedFiles};

/// One picture and where its files go.
pub(super) struct Job {
    pub(super) image: PathBuf,
    /// What was named for it, as [`NamedPicture`] has it.
    pub(super) named: PathBuf,
    /// Its number, from 0, among all pictures of all parts.
    pub(super) place: usize,
    /// Or why it has none, in words that were told.
    pub(super) destination: Result<Destination, String>,
    /// Boxes of it that maps are held against.
    pub(super) known_boxes: Vec<BoxOfClass>,
}

/// What there is to do.
pub(super) struct Jobs {
    /// The pictures, in order, and what was named and is none.
    pub(super) list: Vec<Job>,
    /// Whether results must say whose they are: there is more than one picture, or might have been.
    pub(super) are_several: bool,
    /// Pictures of all parts.
    pub(super) of: usize,
    /// Whether more than single pictures were named.
    pub(super) is_batch: bool,
    /// Folders that are written to.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Folders that will be made.
    pub(super) new_folders: Vec<PathBuf>,
    /// Files that are not written over.
    pub(super) kept: ProtectedFiles,
}

impl Job {
    /// Of what was named, with what speaks against it.
    fn of(named: NamedPicture, place: usize, options: &Options) -> (Self, Option<Error>) {
        let out_dir = options.out_dir.as_ref().map(|folder| {
            // Joined with nothing, a folder would end in a separator.
            match named.below.as_os_str().is_empty() {
                true => folder.clone(),
                false => folder.join(&named.below),
            }
        });
        let job = Self {
            destination: Ok(Destination::of(
                &named.image,
                out_dir.as_deref(),
                options.format,
            )),
            image: named.image,
            named: named.typed,
            place,
            known_boxes: vec![],
        };
        (job, named.refused)
    }
}

/// Tells what is refused, and leaves the reason in its place.
fn refuse(all: Vec<(Job, Option<Error>)>, tell: &impl Fn(Message)) -> Vec<Job> {
    let mut told = HashSet::new();
    let jobs = all.into_iter().map(|(mut job, refused)| {
        if let Some(error) = refused {
            let words = error.to_string();
            job.destination = Err(words.clone());
            // A folder's error is that of each of its pictures: all have their place in the results, one is told.
            if told.insert(words) {
                tell(Message::Error(error));
            }
        }
        job
    });
    jobs.collect()
}

impl Jobs {
    /// Those of `options`. What is wrong with one picture is told, and leaves the others be.
    pub(super) fn new(options: &Options, tell: &impl Fn(Message)) -> Result<Self, Error> {
        let named = named(options, tell)?.into_iter().enumerate();
        let mut all: Vec<(Job, Option<Error>)> = named
            .map(|(place, named)| Job::of(named, place, options))
            .collect();
        let of = all.len();
        let given = options.weights.iter().chain(&options.labels);
        let read = all.iter().map(|(job, _)| &job.image).chain(given);
        let kept = ProtectedFiles::new(read.map(PathBuf::as_path));
        let new_folders = check(&mut all, options)?;
        if let Some(shard) = options.many.shard {
            keep(&mut all, shard);
            let pictures = all.len();
            tell(Message::Note(format!(
                "part {shard}: {pictures} of {of} pictures"
            )));
        }
        let list = refuse(all, tell);
        let used = list.iter().filter_map(|job| job.destination.as_ref().ok());
        let are_several = of > 1 || options.images.len() != 1;
        let is_batch = |path: &PathBuf| path.is_dir() || !path.exists();
        Ok(Self {
            folders: used.map(|to| to.folder.clone()).collect(),
            list,
            of,
            is_batch: are_several || options.images.iter().any(is_batch),
            are_several,
            new_folders,
            kept,
        })
    }

    /// What a manifest's line says of a picture beside its report.
    pub(super) fn head(&self, place: usize, is_ok: bool, options: &Options) -> Head {
        Head {
            is_ok,
            place,
            of: self.of,
            shard: options.many.shard,
        }
    }

    /// The pictures that have their files somewhere.
    pub(super) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        let list = self.list.iter();
        list.filter_map(|job| job.destination.as_ref().ok())
    }

    /// Whether a picture is written in a format that says what made it.
    pub(super) fn say_what_made_them(&self, options: &Options) -> bool {
        let pictures = options.outputs.iter().any(|&output| output != Output::Raw);
        let says = |to: &Destination| matches!(to.format, Format::Png | Format::Jpg);
        let always = options.wants(Output::Heatmap16) || options.wants(Output::Mask);
        always || pictures && self.destinations().any(says)
    }
}

/// Refuses those that cannot have their files, and gives the folders that will be made.
fn check(all: &mut [(Job, Option<Error>)], options: &Options) -> Result<Vec<PathBuf>, Error> {
    if options.to_stdout {
        return Ok(vec![]);
    }
    // A .npy, the finer .png the mask's or a sheet, whatever the picture's own format.
    let always = [Output::Raw, Output::Heatmap16, Output::Mask];
    let one_extension =
        always.into_iter().any(|output| options.wants(output)) || options.sheet.is_some();
    let mut there: Vec<_> = all
        .iter_mut()
        .filter(|(_, refused)| refused.is_none())
        .collect();
    let jobs = there.iter_mut().filter_map(|(job, _)| {
        let destination = job.destination.as_mut().ok()?;
        Some((job.image.as_path(), destination))
    });
    output::tell_apart(jobs, one_extension);
    let jobs = there.iter().filter_map(|(job, _)| {
        let destination = job.destination.as_ref().ok()?;
        Some((job.image.as_path(), destination))
    });
    let Checked {
        new_folders,
        mut refused,
    } = match options.outputs.is_empty() && options.out_dir.is_none() {
        // Nothing goes beside the pictures.
        true => Checked::default(),
        false => output::check(jobs, one_extension),
    };
    let of_folder = refused.iter().position(|(_, error)| error.is_of_folder());
    // No picture has its files where all of them go.
    if let (Some(_), Some(first)) = (&options.out_dir, of_folder)
        && refused.len() == there.len()
    {
        return Err(refused.swap_remove(first).1.into());
    }
    for (index, error) in refused {
        there[index].1 = Some(error.into());
    }
    Ok(new_folders)
}

/// Leaves one part: of all paths in their order every N-th, so that parts are even, and the same whatever order the pictures
/// were named in.
fn keep(all: &mut Vec<(Job, Option<Error>)>, shard: Shard) {
    let mut by_path: Vec<usize> = (0..all.len()).collect();
    by_path.sort_by(|&a, &b| all[a].0.image.cmp(&all[b].0.image));
    let mine = by_path.iter().skip(shard.number - 1).step_by(shard.of);
    let mine: HashSet<usize> = mine.copied().collect();
    all.retain(|(job, _)| mine.contains(&job.place));
}
