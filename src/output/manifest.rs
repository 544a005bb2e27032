//! The results of a run as a file of lines, one a picture, written as the work goes: a run that is stopped can go on from it, and
//! parts of a run are joined by it.
//!
//! A line is that of a picture's JSON with more: `status`, `place` and `of` stand before it, in a part of a run `shard` as well,
//! and `run`, the settings, behind it. They are taken off and put on as text, so that what was written stays as it is.

mod lines;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::cli::{Shard, ShardError};
use crate::output::{WriteError, write_with};

pub use lines::Lines;

/// The longest line that is read: of a thousand classes with all methods, and more.
const LONGEST: u64 = 1 << 28;

/// Why a manifest cannot be read, or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not there, or is not to be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A line that is none of a manifest.
    #[error("{}, line {number}: not a line of a manifest as gradcam writes it with --out-dir ({reason})", path.display())]
    Line {
        /// The manifest.
        path: PathBuf,
        /// From 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// Made by another question.
    #[error(
        "{}: {}; type the same settings, or name another folder with --out-dir",
        path.display(), differences(.differ)
    )]
    OtherSettings {
        /// The manifest.
        path: PathBuf,
        /// Setting, what it was there, what it is now.
        differ: Vec<[String; 3]>,
    },
    /// Results of other pictures.
    #[error(
        "{}: {count} of its pictures are not among those that were named, {} first; name the same pictures, or another \
         folder with --out-dir", path.display(), first.display()
    )]
    OtherPictures {
        /// The manifest.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        first: PathBuf,
    },
    /// Parts of different wholes.
    #[error("{} is of {one} pictures, {} of {other}: these are not parts of one run", first.display(), second.display())]
    OtherCount {
        /// A manifest.
        first: PathBuf,
        /// Its number of pictures.
        one: usize,
        /// Another manifest.
        second: PathBuf,
        /// Its number of pictures.
        other: usize,
    },
}

fn differences(differ: &[[String; 3]]) -> String {
    let each = differ
        .iter()
        .map(|[setting, then, now]| format!("{setting} was {then} there and is {now} here"));
    each.collect::<Vec<_>>().join(", ")
}

/// What a line says beside the picture's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whether there is a report, rather than an error.
    pub is_ok: bool,
    /// The picture's number, from 0, among all of all parts.
    pub place: usize,
    /// How many these are.
    pub of: usize,
    /// The part that explained it; `None`: there are none.
    pub shard: Option<Shard>,
}

impl Head {
    /// A line, ended by a line feed, of a picture's `json`, which is one, and the settings `run`.
    pub fn line(&self, json: &str, run: &Map<String, Value>) -> String {
        let body = json.trim_end().strip_prefix(SCHEMA).unwrap_or(json);
        let body = body.strip_suffix('}').unwrap_or(body);
        let run = Value::Object(run.clone());
        self.before(&format!("{body},\"run\":{run}}}\n"))
    }

    /// A line of what stands behind the head.
    fn before(&self, body: &str) -> String {
        let status = if self.is_ok { "ok" } else { "failed" };
        let Self { place, of, .. } = self;
        let shard = self.shard.map(|shard| format!("\"shard\":\"{shard}\","));
        let shard = shard.unwrap_or_default();
        format!("{SCHEMA}\"status\":\"{status}\",\"place\":{place},\"of\":{of},{shard}{body}")
    }
}

/// How every line begins.
const SCHEMA: &str = "{\"schema\":1,";

/// A whole line of a manifest.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it says beside the report.
    pub head: Head,
    /// The picture, as in [`key`].
    pub key: String,
    /// Whether the files that it names are there.
    pub is_complete: bool,
    /// SHA-256 of the picture's file, in hexadecimal.
    pub sha256: Option<String>,
    /// Of a run with a page: the files that the page shows of the picture, from the page's folder; there are none where the
    /// line itself has them.
    pub page: Option<Vec<PathBuf>>,
    /// Where the line begins in the manifest, bytes.
    at: u64,
    /// Its length, bytes.
    length: u64,
}

/// What of a line is read.
#[derive(Deserialize)]
struct Fields {
    status: String,
    place: usize,
    of: usize,
    #[serde(default)]
    shard: Option<String>,
    image: String,
    #[serde(default)]
    image_bytes: Option<String>,
    #[serde(default)]
    image_sha256: Option<String>,
    run: Map<String, Value>,
    #[serde(default)]
    classes: Vec<Class>,
    #[serde(default)]
    page: Option<Shown>,
}

#[derive(Deserialize)]
struct Class {
    maps: Vec<Files>,
}

/// What the page shows of a picture: addresses, of which some are the data itself.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    picture: Option<String>,
    #[serde(default)]
    small: Option<String>,
    maps: Maps,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Maps {
    Beside(String),
    #[allow(dead_code, reason = "read by nobody here")]
    Inside(IgnoredAny),
}

#[derive(Deserialize)]
struct Files {
    files: Map<String, Value>,
    #[serde(default)]
    files_bytes: Map<String, Value>,
}

/// What tells a picture from others: its name, or the bytes of one that is not Unicode.
pub fn key(image: &Path) -> String {
    super::report::paths::bytes(image).unwrap_or_else(|| image.to_string_lossy().into_owned())
}

/// The whole lines of a manifest.
#[derive(Debug)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// In its order.
    pub entries: Vec<Entry>,
    /// The settings of its lines; `None`: it has none.
    pub run: Option<Map<String, Value>>,
    /// Bytes of the whole lines: what follows was not finished.
    pub end: u64,
    /// Whether anything follows.
    pub is_cut: bool,
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let unreadable = |reason| ManifestError::Read {
            path: path.to_owned(),
            reason,
        };
        let mut manifest = Self {
            path: path.to_owned(),
            entries: vec![],
            run: None,
            end: 0,
            is_cut: false,
        };
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut line = vec![];
        for number in 1.. {
            line.clear();
            let mut limited = (&mut reader).take(LONGEST);
            limited.read_until(b'\n', &mut line).map_err(unreadable)?;
            if !line.ends_with(b"\n") {
                manifest.is_cut = !line.is_empty();
                break;
            }
            let wrong = |reason: String| ManifestError::Line {
                path: path.to_owned(),
                number,
                reason,
            };
            let fields = serde_json::from_slice::<Fields>(&line);
            let fields = fields.map_err(|error| wrong(error.to_string()))?;
            let shard = fields.shard.map(|shard| shard.parse()).transpose();
            let head = Head {
                is_ok: fields.status == "ok",
                place: fields.place,
                of: fields.of,
                shard: shard.map_err(|error: ShardError| wrong(error.to_string()))?,
            };
            let are_there = fields
                .classes
                .iter()
                .flat_map(|class| &class.maps)
                .all(Files::are_there);
            if !line.starts_with(head.before("").as_bytes()) {
                return Err(wrong("its first fields are not those".to_owned()));
            }
            manifest.entries.push(Entry {
                head,
                is_complete: are_there,
                sha256: fields.image_sha256,
                page: fields.page.map(Shown::beside),
                key: fields.image_bytes.unwrap_or(fields.image),
                at: manifest.end,
                length: line.len() as u64,
            });
            manifest.end += line.len() as u64;
            match &manifest.run {
                Some(run) => manifest.check_run(run, &fields.run)?,
                None => manifest.run = Some(fields.run),
            }
        }
        Ok(manifest)
    }

    /// An error where `now` differs from the settings of its lines.
    pub fn check(&self, now: &Map<String, Value>) -> Result<(), ManifestError> {
        self.run
            .as_ref()
            .map_or(Ok(()), |then| self.check_run(then, now))
    }

    fn check_run(
        &self,
        then: &Map<String, Value>,
        now: &Map<String, Value>,
    ) -> Result<(), ManifestError> {
        let in_words = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "not given".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => {
                let words = list.iter().map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                });
                words.collect::<Vec<_>>().join(",")
            }
            Some(other) => other.to_string(),
        };
        let mut settings: Vec<&String> = then.keys().chain(now.keys()).collect();
        settings.sort();
        settings.dedup();
        let differ = settings.into_iter().filter_map(|setting| {
            let [then, now] = [then.get(setting), now.get(setting)];
            (then != now).then(|| [setting.clone(), in_words(then), in_words(now)])
        });
        let differ: Vec<[String; 3]> = differ.collect();
        match differ.is_empty() {
            true => Ok(()),
            false => Err(ManifestError::OtherSettings {
                path: self.path.clone(),
                differ,
            }),
        }
    }

    /// Hands over lines, each with another head; in the order given.
    pub fn lines<E: From<WriteError>>(
        &self,
        lines: impl IntoIterator<Item = (Head, Entry)>,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = |error| super::at(&self.path, error);
        let mut file = File::open(&self.path).map_err(at)?;
        let mut text = String::new();
        for (head, entry) in lines {
            file.seek(SeekFrom::Start(entry.at)).map_err(at)?;
            text.clear();
            let mut limited = (&mut file).take(entry.length);
            limited.read_to_string(&mut text).map_err(at)?;
            // Looked at when the line was read.
            let body = text.strip_prefix(&entry.head.before(""));
            take(&head.before(body.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Writes a manifest of some of the lines, each with another head, whole or not at all.
    pub fn rewrite(
        &self,
        to: &Path,
        lines: impl IntoIterator<Item = (Head, Entry)>,
    ) -> Result<(), WriteError> {
        write_with(to, |file| {
            self.lines(lines, |line| {
                file.write_all(line.as_bytes())
                    .map_err(|error| super::at(to, error))
            })
        })
    }
}

impl Files {
    /// Whether every file is there and holds something.
    fn are_there(&self) -> bool {
        let path = |(key, text): (&String, &Value)| {
            let bytes = self.files_bytes.get(key).and_then(Value::as_str);
            match bytes {
                Some(bytes) => super::report::paths::from_bytes(bytes),
                None => text.as_str().map(PathBuf::from),
            }
        };
        self.files
            .iter()
            .all(|file| path(file).is_some_and(|path| holds_something(&path)))
    }
}

impl Shown {
    /// The files beside the page.
    fn beside(self) -> Vec<PathBuf> {
        let maps = match self.maps {
            Maps::Beside(address) => Some(address),
            Maps::Inside(_) => None,
        };
        let addresses = [self.picture, self.small, maps].into_iter().flatten();
        let files = addresses.filter(|address| !address.starts_with("data:"));
        files
            .map(|address| super::report::paths::from_bytes(&address).unwrap_or(address.into()))
            .collect()
    }
}

/// Whether a file is there and not empty.
pub fn holds_something(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.len() > 0)
}

/// The report of a line, without the settings behind it.
pub fn without_run(line: &str) -> String {
    // Within a string the quotes would have backslashes, and nothing in the settings has this name.
    match line.rsplit_once(",\"run\":{") {
        Some((report, _)) => format!("{report}}}"),
        None => line.trim_end().to_owned(),
    }
}

/// What a run's manifest is called.
pub fn name(shard: Option<Shard>) -> String {
    match shard {
        None => "manifest.jsonl".to_owned(),
        Some(Shard { number, of }) => format!("manifest-{number}-of-{of}.jsonl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outputs: &str) -> Map<String, Value> {
        let mut run = Map::new();
        run.insert("outputs".into(), outputs.into());
        run
    }

    fn head(place: usize) -> Head {
        Head {
            is_ok: true,
            place,
            of: 9,
            shard: None,
        }
    }

    const BODY: &str = "{\"schema\":1,\"program\":\"p\",\"image\":\"a.png\",\"x\":0.1}\n";

    #[test]
    fn a_line_is_the_report_with_more_around_it() {
        let shard = Some(Shard { number: 2, of: 4 });
        let line = Head { shard, ..head(7) }.line(BODY, &run("raw"));
        assert_eq!(
            line,
            "{\"schema\":1,\"status\":\"ok\",\"place\":7,\"of\":9,\"shard\":\"2/4\",\
             \"program\":\"p\",\"image\":\"a.png\",\"x\":0.1,\"run\":{\"outputs\":\"raw\"}}\n"
        );
    }

    #[test]
    fn a_manifest_is_read_up_to_its_last_whole_line_and_written_in_another_order() {
        let home = tempfile::tempdir().unwrap();
        let [path, to] = ["from", "to"].map(|name| home.path().join(name));
        let whole = head(1).line(BODY, &run("raw"))
            + &head(0).line(&BODY.replace("a.png", "b.png"), &run("raw"));
        std::fs::write(&path, format!("{whole}{{\"schema\":1,\"sta")).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        assert_eq!((manifest.end, manifest.is_cut), (whole.len() as u64, true));
        assert_eq!(manifest.entries[1].key, "b.png");
        let sorted = [1, 0].map(|index| (head(1 - index), manifest.entries[index].clone()));
        manifest.rewrite(&to, sorted).unwrap();
        let written = std::fs::read_to_string(&to).unwrap();
        assert_eq!(
            written,
            head(0).line(&BODY.replace("a.png", "b.png"), &run("raw"))
                + &head(1).line(BODY, &run("raw"))
        );
    }

    #[test]
    fn other_settings_are_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("manifest.jsonl");
        std::fs::write(&path, head(0).line(BODY, &run("raw"))).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        assert!(manifest.check(&run("raw")).is_ok());
        let mut now = run("heatmap");
        now.insert("seed".into(), 3.into());
        let error = manifest.check(&now).unwrap_err().to_string();
        assert!(
            error.contains(
                "outputs was raw there and is heatmap here, seed was not given there and is 3 here"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_of_other_lines_is_refused_by_the_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("manifest.jsonl");
        for text in ["{}\n", "no JSON\n", "\n", BODY, "\0\0\0\n"] {
            std::fs::write(&path, head(0).line(BODY, &run("raw")) + text).unwrap();
            let error = Manifest::read(&path).unwrap_err();
            assert!(
                matches!(error, ManifestError::Line { number: 2, .. }),
                "{text}"
            );
        }
    }
}
