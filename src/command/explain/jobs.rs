//! The pictures to explain and where their files go, all of it checked before anything is computed.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use super::{Told, fail};
use crate::cli::{Format, Output};
use crate::command::Error;
use crate::options::Options;
use crate::output::{self, Checked, Destination, Kept};
use crate::picture;

/// One picture and where its files go.
pub(super) struct Job {
    pub(super) image: PathBuf,
    pub(super) destination: Destination,
}

/// What there is to do.
pub(super) struct Jobs {
    /// The pictures, in order.
    pub(super) list: Vec<Job>,
    /// Folders that will be made.
    pub(super) new_folders: Vec<PathBuf>,
    /// Files that are not written over.
    pub(super) kept: Kept,
    /// Whether all that was named is there, and each picture can have its files.
    pub(super) all_there: bool,
}

impl Jobs {
    /// Those of `options`. What is wrong with one picture is told, and leaves the others be.
    pub(super) fn new(
        options: &Options,
        out: &mut impl Write,
        tell: &impl Fn(Told),
    ) -> Result<Self, Error> {
        let mut all_there = true;
        let mut list = vec![];
        let mut seen = HashSet::new();
        for named in &options.images {
            let listed = match picture::list(named, output::is_output) {
                Ok(listed) => listed,
                Err(error) => {
                    all_there = false;
                    fail(named, error.into(), options, out, tell)?;
                    continue;
                }
            };
            if listed.left_out.count() > 0 {
                let note = format!("{}: {}", named.display(), listed.left_out);
                tell(Told::Note(note));
            }
            // A picture may be named twice, as cat.png and ./cat.png, or lie in a folder that is named too.
            let pictures = listed.pictures.into_iter();
            let new = pictures.filter(|image| seen.insert(output::place(image)));
            list.extend(new.map(|image| Job {
                destination: Destination::of(&image, options.out_dir.as_deref(), options.format),
                image,
            }));
        }
        let given = options.weights.iter().chain(&options.labels);
        let read = list.iter().map(|job| &job.image).chain(given);
        let kept = Kept::new(read.map(PathBuf::as_path));
        let new_folders = check(&mut list, &mut all_there, options, out, tell)?;
        Ok(Self {
            list,
            new_folders,
            kept,
            all_there,
        })
    }
}

impl Jobs {
    /// Whether a picture is written as PNG, which says what made it.
    pub(super) fn write_png(&self, options: &Options) -> bool {
        let is_png = |job: &Job| job.destination.format == Format::Png;
        let pictures = options.outputs.iter().any(|&output| output != Output::Raw);
        options.wants(Output::Heatmap16) || pictures && self.list.iter().any(is_png)
    }
}

/// Leaves those that can have their files, and gives the folders that will be made.
fn check(
    list: &mut Vec<Job>,
    all_there: &mut bool,
    options: &Options,
    out: &mut impl Write,
    tell: &impl Fn(Told),
) -> Result<Vec<PathBuf>, Error> {
    // A .npy or the finer .png, whatever the picture's own format.
    let one_extension = options.wants(Output::Raw) || options.wants(Output::Heatmap16);
    let places = list.iter();
    let places = places.map(|job| (job.image.as_path(), &job.destination));
    let Checked {
        new_folders,
        mut refused,
    } = output::check(places, one_extension);
    let of_folder = refused.iter().position(|(_, error)| error.is_of_folder());
    // No picture has its files where all of them go.
    if let (Some(_), Some(first)) = (&options.out_dir, of_folder) {
        return Err(refused.swap_remove(first).1.into());
    }
    *all_there &= refused.is_empty();
    let mut left_out = HashSet::new();
    let mut told = HashSet::new();
    for (index, error) in refused {
        left_out.insert(index);
        let image = &list[index].image;
        // A folder's error is that of each of its pictures: all have their place in the JSON, one is told.
        let quiet = |_: Told| {};
        match told.insert(error.to_string()) {
            true => fail(image, error.into(), options, out, tell)?,
            false => fail(image, error.into(), options, out, &quiet)?,
        }
    }
    let jobs = std::mem::take(list).into_iter().enumerate();
    let there = jobs.filter(|(index, _)| !left_out.contains(index));
    list.extend(there.map(|(_, job)| job));
    Ok(new_folders)
}
