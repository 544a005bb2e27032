//! The rules between the flags for many pictures.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::{Shard, UsageError};
use crate::cli::Many as Flags;
use crate::picture::Depth;

/// How many pictures are explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many {
    /// How far below folders pictures are looked for.
    pub depth: Depth,
    /// A list of further pictures.
    pub files_from: Option<FilesFrom>,
    /// Pictures that go through the network at once; `None`: as many as suit the adapter.
    pub batch: Option<NonZeroUsize>,
    /// Whether the first picture that fails is the last.
    pub fail_fast: bool,
    /// Whether pictures that have their results are left out.
    pub resume: bool,
    /// Where the results go as CSV.
    pub csv: Option<PathBuf>,
    /// The part that is explained; `None`: all.
    pub shard: Option<Shard>,
}

/// A list of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesFrom {
    /// `-` for standard input.
    pub list: PathBuf,
    /// Whether NUL bytes separate the names; if not, they do where there are any.
    pub null: bool,
}

/// A file that shows all pictures: of a part's it has the part in its name, as the manifest has, so that parts that are given the same
/// words do not write over each other.
pub(super) fn of_part(file: PathBuf, shard: Option<Shard>) -> PathBuf {
    let Some(Shard { number, of }) = shard else {
        return file;
    };
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}-of-{of}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// Checks the flags against each other and `out_dir`, which says whether there is a folder for all files.
pub(super) fn many(flags: Flags, out_dir: bool) -> Result<Many, UsageError> {
    if flags.null && flags.files_from.is_none() {
        return Err(UsageError::NullAlone);
    }
    if flags.resume && !out_dir {
        return Err(UsageError::ResumeNowhere);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let shard = flags.shard.map(|flag| flag.resolve(variable)).transpose()?;
    Ok(Many {
        depth: match flags.recursive {
            true => Depth::All,
            false => Depth::One,
        },
        files_from: flags.files_from.map(|list| FilesFrom {
            list,
            null: flags.null,
        }),
        batch: flags
            .batch
            .and_then(|count| NonZeroUsize::new(count.into())),
        fail_fast: flags.fail_fast,
        resume: flags.resume,
        csv: flags.csv.map(|file| of_part(file, shard)),
        shard,
    })
}
