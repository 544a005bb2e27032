//! The command line's words, before and after they are flags: one that is a file by mistake, and those that make a picture again.

use std::ffi::OsString;
use std::path::Path;

use super::UsageError;

/// An error where one of a command line's `words`, the program's own name not among them, begins with a hyphen and is a file:
/// a shell's `*` gives `-cat.png`, which would be taken for `-c at.png`.
pub fn check_words(words: impl IntoIterator<Item = OsString>) -> Result<(), UsageError> {
    let words = words.into_iter().take_while(|word| word != "--");
    let is_file = |word: &OsString| {
        let bytes = word.as_encoded_bytes();
        bytes.len() > 1 && bytes[0] == b'-' && Path::new(word).is_file()
    };
    let file = words.into_iter().find(is_file);
    file.map_or(Ok(()), |file| Err(UsageError::Hyphen(file.into())))
}

/// The command that makes a picture again, from a command line's `words` without the program's name: that name before them, and
/// without what says which other pictures there were, so that a picture tells the same whichever part of a run it was made in.
pub fn told_of(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut told = vec!["gradcam".into()];
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            told.push(word);
            told.extend(words);
            break;
        }
        match word.to_str() {
            Some("--resume") => {}
            Some("--shard") => _ = words.next(),
            Some(text) if text.starts_with("--shard=") => {}
            _ => told.push(word),
        }
    }
    told
}
