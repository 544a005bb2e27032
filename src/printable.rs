//! Names as a terminal may be given them.
//!
//! Names of files, classes, layers and tensors are somebody else's text. Printed as they are, an escape sequence in one could
//! move the cursor, a line feed could make a line of its own, and a mark that turns the direction of writing could hide an
//! extension. JSON has escapes of its own.

use std::borrow::Cow;
use std::ffi::OsStr;

/// `text` on one line: whatever steers a terminal or the direction of writing is escaped, as in `\u{1b}[2J` or `\n`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return text.into();
    }
    let escaped = |c: char| match steers(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// `lines`, each [`printable`] and ended by a line feed.
pub fn printable_lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    let ended = |line: T| printable(line.as_ref()).into_owned() + "\n";
    lines.into_iter().map(ended).collect()
}

/// Control characters; separators of lines and paragraphs; marks, embeddings, overrides and isolates of the bidirectional
/// algorithm (Unicode, annex 9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A word as a shell takes it. What [`printable`] escapes is spelled out.
pub(crate) fn quoted(word: &str) -> String {
    if word.contains(steers) {
        return byte_by_byte(word.as_bytes());
    }
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,:+=@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The same of a word that may not be Unicode.
pub(crate) fn quoted_os(word: &OsStr) -> String {
    match word.to_str() {
        Some(word) => quoted(word),
        None => byte_by_byte(word.as_encoded_bytes()),
    }
}

/// A word that is no text to print, as bash, zsh and ksh take it, and POSIX of 2024: `$'caf\351.png'`.
pub(crate) fn byte_by_byte(word: &[u8]) -> String {
    let spelled = word.iter().map(|&byte| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    });
    format!("$'{}'", spelled.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("\x1b[2J\u{9b}31m"), "\\u{1b}[2J\\u{9b}31m");
        assert_eq!(printable("a\nb\rc\td\x7f\0"), "a\\nb\\rc\\td\\u{7f}\\u{0}");
        assert_eq!(printable("\u{202e}gnp.exe"), "\\u{202e}gnp.exe");
    }

    #[test]
    fn any_other_text_stays_as_it_is() {
        for text in ["", "café 信号機 🐈", "C:\\pictures\\cat.png", "it's \"so\""] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn words_that_are_no_text_are_spelled_out() {
        assert_eq!(quoted("a\nb's"), r"$'a\012b\'s'");
        assert_eq!(byte_by_byte(b"caf\xe9 1.png"), r"$'caf\351 1.png'");
    }

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        assert_eq!(printable_lines(["a\nerror: b", "c"]), "a\\nerror: b\nc\n");
    }

    #[test]
    fn words_are_quoted_for_a_shell_where_they_need_it() {
        assert_eq!(quoted("a/photo-1.jpg"), "a/photo-1.jpg");
        assert_eq!(quoted("traffic light"), "'traffic light'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(""), "''");
    }
}
