//! Lists and dictionaries in Python's notation, `{0: 'tench', 1: "it's"}`, as `print` and `str` write them.

use std::iter::Peekable;
use std::str::Chars;

/// The same as JSON; `None` where a string does not end or has an escape that Python has not. What is no Python either is left
/// as it is, for the parser of JSON to refuse.
pub(super) fn as_json(text: &str) -> Option<String> {
    let mut json = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => push_text(&mut json, &string(c, &mut rest)?),
            '(' => json.push('['),
            ')' | ']' | '}' => {
                // What follows the last item in Python's lists need not be one.
                let end = json.trim_end().trim_end_matches(',').len();
                json.truncate(end);
                json.push(if c == '}' { '}' } else { ']' });
            }
            c if c.is_alphanumeric() || c == '-' => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || matches!(c, '.' | '_'))
                {
                    word.push(c);
                }
                // Of Python 2: text, not bytes.
                if word == "u" && matches!(rest.peek(), Some('\'' | '"')) {
                    continue;
                }
                match &word[..] {
                    "True" => json.push_str("true"),
                    "False" => json.push_str("false"),
                    "None" => json.push_str("null"),
                    _ if is_key(&mut rest) => push_text(&mut json, &word),
                    _ => json.push_str(&word),
                }
            }
            c => json.push(c),
        }
    }
    Some(json)
}

fn push_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

/// Whether a colon comes next, after spaces, which are taken.
fn is_key(rest: &mut Peekable<Chars<'_>>) -> bool {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    rest.peek() == Some(&':')
}

/// What comes before the `quote` that ends a string.
fn string(quote: char, rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            c if c == quote => return Some(text),
            '\\' => text.push(match rest.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'x' => numbered(2, rest)?,
                'u' => numbered(4, rest)?,
                'U' => numbered(8, rest)?,
                c @ ('\\' | '\'' | '"') => c,
                _ => return None,
            }),
            c => text.push(c),
        }
    }
}

/// The character of the number that the next `digits` are.
fn numbered(digits: usize, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let digits: String = rest.take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_notation_becomes_jsons() {
        for (python, json) in [
            ("{0: 'cat', 1: \"it's\"}", r#"{"0": "cat", "1": "it's"}"#),
            (r"['a \'b\'', 'c\\d',]", r#"["a 'b'", "c\\d"]"#),
            (r#"('caf\xe9', u'\u5b57', '"')"#, r#"["café", "字", "\""]"#),
            ("{'cat': 0, 'dog' : 1, }", r#"{"cat": 0, "dog" : 1}"#),
            (
                "{'a': True, 'b': None, 2 : (3, -1.5)}",
                r#"{"a": true, "b": null, "2": [3, -1.5]}"#,
            ),
        ] {
            assert_eq!(as_json(python).as_deref(), Some(json), "{python}");
        }
        for damaged in ["{0: 'cat", r"['\x4']", r"['\q']", r"['\ud800']"] {
            assert_eq!(as_json(damaged), None, "{damaged}");
        }
    }
}
