//! Class names in a table with ids: CSV with commas or semicolons, TSV, or `0: cat`.

use std::collections::BTreeSet;

use super::content::{ContentError, Names};
use super::{Label, is_synset};

/// What the columns of ids, of names and of synsets are called, best first.
pub(super) const IDS: [&str; 8] = [
    "id",
    "class_id",
    "label_id",
    "class_index",
    "index",
    "idx",
    "class",
    "label",
];
pub(super) const NAMES: [&str; 10] = [
    "name",
    "names",
    "class_name",
    "label_name",
    "classname",
    "display_name",
    "label",
    "labels",
    "class",
    "description",
];
pub(super) const SYNSETS: [&str; 4] = ["synset", "wnid", "wordnet_id", "synset_id"];

/// Whether a line is the heading of a column of names.
pub(super) fn is_name_heading(line: &str) -> bool {
    NAMES.contains(&heading(line).as_str())
}

/// The names in `text`; `None` where no column has numbers alone.
pub(super) fn names(text: &str) -> Result<Option<Names>, ContentError> {
    for delimiter in ['\t', ',', ';'] {
        if let Some(rows) = rows(text, delimiter)
            && let Some(table) = Table::new(&rows)
        {
            return table.names().map(|labels| Some(Names::ById(labels)));
        }
    }
    Ok(numbered_lines(text).map(Names::ById))
}

/// What stands between a number and a name beside it.
const BETWEEN: [char; 6] = [' ', '\t', ':', '=', '-', '>'];

/// `0: cat`, `0 cat`, `0. cat`, `n02123045 0 cat` or `cat 0` line by line, where the numbers count the lines, from 0 or from 1: names
/// may begin or end with a number.
fn numbered_lines(text: &str) -> Option<Vec<(u64, Label)>> {
    let counted = |parts: fn(&str) -> Option<(u64, String)>| {
        let lines = text.lines().map(|line| parts(line.trim()));
        let lines: Vec<(u64, String)> = lines.collect::<Option<_>>()?;
        let ids: Vec<u64> = lines.iter().map(|&(id, _)| id).collect();
        let from_one: Option<Vec<u64>> = ids.iter().map(|id| id.checked_sub(1)).collect();
        let is_counted = from_one.is_some_and(is_every_class) || is_every_class(ids);
        is_counted.then_some(lines)
    };
    // `class 0`, `class 1`: a number that the names need is a part of them.
    let are_apart = |lines: &Vec<(u64, String)>| {
        let names: BTreeSet<&str> = lines.iter().map(|(_, name)| name.as_str()).collect();
        names.len() == lines.len()
    };
    let lines = counted(number_first)
        .or_else(|| counted(number_behind_synset))
        .or_else(|| counted(number_last).filter(are_apart))?;
    let labels = lines.iter().map(|(id, name)| (*id, Label::parse(name)));
    Some(labels.collect())
}

fn number_first(line: &str) -> Option<(u64, String)> {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let id = line[..line.len() - rest.len()].parse().ok()?;
    // A point with a digit behind it is within the number.
    let rest = match rest.strip_prefix(". ") {
        Some(rest) => rest,
        None => rest.strip_prefix([')', ':', '=', ' ', '\t'])?,
    };
    let name = rest.trim_start();
    let signs = name.trim_start_matches([':', '=', '-', '>']);
    // Signs of the name's own, as in `-5 degrees`, have no blank behind them.
    let name = if signs.starts_with([' ', '\t']) {
        signs
    } else {
        name
    };
    Some((id, name.trim().to_owned()))
}

fn number_behind_synset(line: &str) -> Option<(u64, String)> {
    let (synset, rest) = line.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let (id, name) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let id = id.parse().ok().filter(|_| is_synset(synset))?;
    Some((id, format!("{synset} {}", name.trim())))
}

fn number_last(line: &str) -> Option<(u64, String)> {
    let rest = line.trim_end_matches(|c: char| c.is_ascii_digit());
    let id = line[rest.len()..].parse().ok()?;
    let name = rest.trim_end_matches(BETWEEN);
    // The number of a word, as in `mp3`, has nothing before it; that of `covid-19` is after a dash alone.
    let between = &rest[name.len()..];
    let is_apart = !name.is_empty() && !between.is_empty() && between != "-";
    is_apart.then(|| (id, name.to_owned()))
}

/// Whether these are 0, 1 and so on, each once, in any order.
fn is_every_class(mut ids: Vec<u64>) -> bool {
    ids.sort_unstable();
    (0..).zip(&ids).all(|(class, id)| class == *id)
}

/// The fields of each row that is not blank; `None` where one has no second.
fn rows(text: &str, delimiter: char) -> Option<Vec<Vec<String>>> {
    let mut rows = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let (row, after) = row(rest, delimiter);
        rest = after;
        match &row[..] {
            [only] if only.is_empty() => {}
            [_] => return None,
            _ => rows.push(row),
        }
    }
    Some(rows)
}

/// The fields of the first row, without the blanks around them, and what follows it. A field in double quotes may hold
/// anything, a quote twice (RFC 4180).
fn row(text: &str, delimiter: char) -> (Vec<String>, &str) {
    let mut fields = vec![];
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(|c: char| c == ' ' || c == '\t' && c != delimiter);
        let quoted = start.strip_prefix('"').and_then(quoted_field);
        let (field, after) = quoted.unwrap_or_else(|| {
            let end = until(rest, delimiter);
            (rest[..end].to_owned(), &rest[end..])
        });
        // What stands between a closing quote and the delimiter is nothing that anybody means.
        let after = &after[until(after, delimiter)..];
        fields.push(field.trim().to_owned());
        match after.strip_prefix(delimiter) {
            Some(after) => rest = after,
            None => return (fields, after.strip_prefix('\n').unwrap_or(after)),
        }
    }
}

/// Bytes before the end of a field without quotes.
fn until(text: &str, delimiter: char) -> usize {
    text.find([delimiter, '\n']).unwrap_or(text.len())
}

/// What follows an opening quote up to the closing one, and what follows that; `None` where it is not closed.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        field += part;
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Some((field, after)),
        }
    }
}

/// Rows with a column of ids.
struct Table<'a> {
    heading: Option<&'a [String]>,
    rows: &'a [Vec<String>],
    /// Columns of numbers alone, at least one.
    numbers: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(all: &'a [Vec<String>]) -> Option<Self> {
        let columns = all.iter().map(Vec::len).min()?;
        let is_number = |row: &[String], column: usize| row[column].parse::<u64>().is_ok();
        let numbers_of = |rows: &[Vec<String>]| -> Vec<usize> {
            let of_all = |&column: &usize| rows.iter().all(|row| is_number(row, column));
            (0..columns).filter(of_all).collect()
        };
        let (first, rest) = all.split_first()?;
        let numbers = numbers_of(all);
        let table = match numbers.is_empty() {
            false => Self {
                heading: None,
                rows: all,
                numbers,
            },
            true if rest.is_empty() => return None,
            true => Self {
                heading: Some(first),
                rows: rest,
                numbers: numbers_of(rest),
            },
        };
        (!table.numbers.is_empty()).then_some(table)
    }

    fn names(&self) -> Result<Vec<(u64, Label)>, ContentError> {
        let id = self.id().ok_or_else(|| self.unclear())?;
        let synset = self.synset();
        let named = match self.heading {
            None => None,
            Some(_) => Some(self.name(id, synset).ok_or_else(|| self.unclear())?),
        };
        let row = |row: &Vec<String>| {
            let number = row[id].parse().expect("its column has numbers alone");
            let is_name = |column: &usize| match named {
                Some(name) => *column == name,
                None => Some(*column) != synset && !self.numbers.contains(column),
            };
            let names = (0..row.len())
                .filter(is_name)
                .map(|column| row[column].clone());
            let synset = synset.map(|synset| row[synset].clone());
            let parts: Vec<String> = synset.into_iter().chain(names).collect();
            (number, Label::of_parts(&parts))
        };
        Ok(self.rows.iter().map(row).collect())
    }

    /// The column of ids: the only one of numbers, or by its heading, or the only one with the number of every class.
    fn id(&self) -> Option<usize> {
        if let [only] = self.numbers[..] {
            return Some(only);
        }
        if let Some(called) = self
            .called(&IDS)
            .find(|column| self.numbers.contains(column))
        {
            return Some(called);
        }
        let ids = |column: usize| self.rows.iter().map(move |row| row[column].parse().ok());
        let is_id = |&&column: &&usize| {
            let ids: Option<Vec<u64>> = ids(column).collect();
            ids.is_some_and(is_every_class)
        };
        let mut columns = self.numbers.iter().filter(is_id);
        let first = columns.next()?;
        columns.next().is_none().then_some(*first)
    }

    fn synset(&self) -> Option<usize> {
        let columns = self.rows.iter().map(Vec::len).min().unwrap_or(0);
        let all = |&column: &usize| self.rows.iter().all(|row| is_synset(&row[column]));
        (0..columns)
            .find(all)
            .or_else(|| self.called(&SYNSETS).next())
    }

    /// The column of names of a table with a heading.
    fn name(&self, id: usize, synset: Option<usize>) -> Option<usize> {
        let shortest = self.rows.iter().map(Vec::len).min().unwrap_or(0);
        let columns = self.heading?.len().min(shortest);
        let is_other = |column: &usize| *column != id && Some(*column) != synset;
        if let Some(called) = self.called(&NAMES).find(is_other) {
            return Some(called);
        }
        let mut others =
            (0..columns).filter(|column| is_other(column) && !self.numbers.contains(column));
        let only = others.next()?;
        others.next().is_none().then_some(only)
    }

    /// Columns whose headings are among `names`, in the order of these.
    fn called<'b>(&'b self, names: &'b [&str]) -> impl Iterator<Item = usize> + 'b {
        let heading_of = |name: &&str| {
            let columns = self.heading?.iter();
            let mut columns = columns.map(|column| heading(column));
            columns.position(|column| column == *name)
        };
        let shortest = self.rows.iter().map(Vec::len).min().unwrap_or(0);
        names
            .iter()
            .filter_map(heading_of)
            .filter(move |&column| column < shortest)
    }

    fn unclear(&self) -> ContentError {
        let numbered = || {
            (1..=self.rows[0].len())
                .map(|column| column.to_string())
                .collect()
        };
        ContentError::Columns(self.heading.map_or_else(numbered, <[String]>::to_vec))
    }
}

/// As in the lists above.
pub(super) fn heading(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}
