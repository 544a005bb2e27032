//! Which of the words without a flag are pictures, weights and the count.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{UsageError, each_once};
use crate::cli;
use crate::near::nearest;
use crate::picture;

/// What words without a flag are.
pub(super) struct Positionals {
    pub(super) images: Vec<PathBuf>,
    pub(super) weights: Option<PathBuf>,
    pub(super) count: Option<usize>,
}

/// A word of digits is the count, in the last place whatever files there are, elsewhere unless it is a file; what looks like
/// weights is the weights, wherever it stands (a shell's `*` sorts `VGG16.npy` before `photo.jpg`); the rest are pictures.
pub(super) fn split(
    inputs: Vec<OsString>,
    looks_like_weights: impl Fn(&Path) -> bool,
) -> Result<Positionals, UsageError> {
    if inputs.iter().any(|input| input.is_empty()) {
        return Err(UsageError::EmptyName);
    }
    let commands = cli::command_names();
    if let Some(command) = inputs.iter().find(|&input| commands.contains(input)) {
        return Err(UsageError::CommandNotFirst(
            command.to_string_lossy().into_owned(),
        ));
    }
    if let Some((word, command)) = inputs.first().and_then(|first| mistyped(first, &commands)) {
        return Err(UsageError::MistypedCommand { word, command });
    }
    let last = inputs.len().saturating_sub(1);
    // What stands before the weights is a count as well, unless it is the only picture.
    let before_weights = match &inputs[..] {
        [_, .., _, weights] if looks_like_weights(Path::new(weights)) => Some(last - 1),
        _ => None,
    };
    let mut counts: Vec<String> = vec![];
    let mut files: Vec<OsString> = vec![];
    for (place, input) in inputs.into_iter().enumerate() {
        match digits(&input).map(str::to_owned) {
            Some(number) if place == last || !Path::new(&input).exists() => counts.push(number),
            Some(number) if before_weights == Some(place) => {
                return Err(UsageError::CountOrPicture(number));
            }
            _ => files.push(input),
        }
    }
    let count = match &counts[..] {
        [] => None,
        [count] => match count.parse() {
            Ok(count) => Some(count),
            Err(_) => return Err(UsageError::HugeCount(count.clone())),
        },
        [first, second, ..] => return Err(UsageError::TwoNumbers(first.clone(), second.clone())),
    };
    let (weights, images): (Vec<_>, Vec<_>) = each_once(files)
        .into_iter()
        .map(PathBuf::from)
        .partition(|path| !picture::is_stdin(path) && looks_like_weights(path));
    let mut weights = weights.into_iter();
    let first = weights.next();
    Ok(Positionals {
        images,
        weights: weights.try_fold(first, one_weights)?,
        count,
    })
}

/// The word, and the command that it resembles, where it is no file and hardly the name of one.
fn mistyped(word: &OsStr, commands: &[OsString]) -> Option<(String, String)> {
    // Two letters changed places in a word of four: hlep.
    const NEAR: f64 = 0.7;
    let path = Path::new(word);
    let text = word.to_str()?;
    if path.extension().is_some() || text.contains(['/', '\\']) || path.exists() {
        return None;
    }
    let commands = commands.iter().filter_map(|command| command.to_str());
    let near = nearest(text, commands, NEAR, 1);
    near.first()
        .map(|near| (text.to_owned(), (*near).to_owned()))
}

/// The weights of a run, named once or in several spellings. A name that leads to no file was hardly meant as a second one.
pub(super) fn one_weights(
    first: Option<PathBuf>,
    second: PathBuf,
) -> Result<Option<PathBuf>, UsageError> {
    let Some(first) = first else {
        return Ok(Some(second));
    };
    let (missing, other) = match (first.canonicalize(), second.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => return Ok(Some(first)),
        (Ok(_), Ok(_)) => return Err(UsageError::TwoWeights(first, second)),
        (Ok(_), Err(_)) => (second, first),
        (Err(_), _) => (first, second),
    };
    Err(UsageError::NoSuchWeights { missing, other })
}

fn digits(word: &OsStr) -> Option<&str> {
    word.to_str()
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}
