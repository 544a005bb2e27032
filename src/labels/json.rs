//! Class names in JSON: `["cat", ...]`, `{"0": "cat"}`, `{"0": ["n02121808", "cat"]}` as Keras has them, `{"cat": 0}`,
//! `[{"id": 0, "name": "cat"}, ...]`, and any of these under the name that a model's configuration, COCO's annotations or a data
//! set's description have for it: `id2label`, `categories`, `names`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Label;
use super::content::{ContentError, Names};
use super::python;
use super::table::{IDS, NAMES, SYNSETS, heading};

/// A value of JSON, its keys in order and as often as they come.
#[derive(Debug)]
enum Json {
    Text(String),
    /// A whole number from 0.
    Number(u64),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// null, true, false or another number, as it is written.
    Other(String),
}

/// The names in `text`; `None` where that is no JSON and does not look like it.
pub(super) fn names(text: &str) -> Result<Option<Names>, ContentError> {
    let text = text.trim();
    if !text.starts_with(['[', '{']) {
        return Ok(None);
    }
    let read = match serde_json::from_str(text) {
        Err(_) if is_python(text) => {
            let json = python::as_json(text).ok_or(ContentError::Python)?;
            serde_json::from_str(&json)
        }
        read => read,
    };
    match read {
        Ok(Json::List(list)) => list_names(list).map(Some),
        Ok(Json::Object(entries)) => object_names(entries).map(Some),
        Ok(other) => Err(form(other.in_words())),
        Err(_) if is_python(text) => Err(ContentError::Python),
        // A line of a plain list may begin so, as in `[background]`.
        Err(_) if is_plain(text) => Ok(None),
        Err(error) => Err(ContentError::Json(error)),
    }
}

/// Whether the first line is whole by itself and no JSON.
fn is_plain(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default().trim_end();
    let inner = first
        .strip_prefix('[')
        .and_then(|line| line.strip_suffix(']'));
    inner.is_some_and(|inner| !inner.contains(['"', '[', '{']))
}

/// `{0: 'tench', ...` or `['tench', ...`
fn is_python(text: &str) -> bool {
    let first = text[1..].trim_start();
    let after = first.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = first.len() > after.len() && after.trim_start().starts_with(':');
    has_number && text.starts_with('{') || first.starts_with(['\'', '('])
}

fn form(found: impl Into<String>) -> ContentError {
    let found = found.into();
    ContentError::Form { found }
}

fn list_names(list: Vec<Json>) -> Result<Names, ContentError> {
    if list.iter().any(|value| value.id().is_some()) {
        return numbered(&list);
    }
    let label = |(place, value): (usize, Json)| {
        let found = || form(format!("{} at place {place}", value.in_words()));
        label(&value).ok_or_else(found)
    };
    let labels: Result<_, _> = list.into_iter().enumerate().map(label).collect();
    Ok(Names::InOrder(labels?))
}

/// Objects of which each has an id and a name.
fn numbered(list: &[Json]) -> Result<Names, ContentError> {
    let pair = |(place, value): (usize, &Json)| match (value.id(), label(value)) {
        (Some(id), Some(label)) => Ok((id, label)),
        (None, _) => Err(form(format!(
            "{} without an id at place {place}",
            value.in_words()
        ))),
        (_, None) => Err(form(format!(
            "{} without a name at place {place}",
            value.in_words()
        ))),
    };
    let labels: Result<_, _> = list.iter().enumerate().map(pair).collect();
    Ok(Names::ById(labels?))
}

fn object_names(mut entries: Vec<(String, Json)>) -> Result<Names, ContentError> {
    for key in [
        "id2label",
        "label2id",
        "categories",
        "names",
        "class_names",
        "classes",
        "labels",
    ] {
        // A class may have such a name, but neither a list nor an object for its number.
        let holds = |(name, value): &(String, Json)| {
            name == key && matches!(value, Json::List(_) | Json::Object(_))
        };
        if let Some(place) = entries.iter().position(holds) {
            return match entries.swap_remove(place).1 {
                Json::List(list) => list_names(list),
                Json::Object(entries) => pairs(&entries),
                Json::Text(_) | Json::Number(_) | Json::Other(_) => unreachable!("it is neither"),
            };
        }
    }
    pairs(&entries)
}

/// Ids to names, or names to ids.
fn pairs(entries: &[(String, Json)]) -> Result<Names, ContentError> {
    if entries.is_empty() {
        return Err(form("an empty object"));
    }
    let ids: Option<Vec<u64>> = entries.iter().map(|(key, _)| key.parse().ok()).collect();
    let numbers = entries.iter().map(|(_, value)| match value {
        Json::Number(number) => Some(*number),
        _ => None,
    });
    let numbers: Option<Vec<u64>> = numbers.collect();
    let labels: Vec<(u64, Label)> = match (ids, numbers) {
        (Some(ids), Some(numbers)) => {
            let differs = (0..ids.len()).find(|&i| ids[i] != numbers[i]);
            if let Some(i) = differs {
                return Err(ContentError::NumbersOnly(entries[i].0.clone(), numbers[i]));
            }
            let names = entries.iter().map(|(name, _)| Label::parse(name));
            ids.into_iter().zip(names).collect()
        }
        (None, Some(numbers)) => {
            let names = entries.iter().map(|(name, _)| Label::parse(name));
            numbers.into_iter().zip(names).collect()
        }
        (Some(ids), None) => {
            let named = |(id, (key, value)): (u64, &(String, Json))| {
                let found = || form(format!("{} for {key:?}", value.in_words()));
                Ok((id, label(value).ok_or_else(found)?))
            };
            let labels: Result<_, ContentError> = ids.into_iter().zip(entries).map(named).collect();
            labels?
        }
        (None, None) => {
            let (key, value) = &entries[0];
            return Err(form(format!("{} for {key:?}", value.in_words())));
        }
    };
    Ok(Names::ById(labels))
}

/// A name, or a synset and names.
fn label(value: &Json) -> Option<Label> {
    match value {
        Json::Text(text) => Some(Label::parse(text)),
        Json::List(list) => {
            let parts: Vec<String> = list.iter().map(Json::text).collect::<Option<_>>()?;
            Some(Label::of_parts(&parts))
        }
        Json::Object(_) => {
            let name = value.called(&NAMES, Json::text)?;
            let synset = value.called(&SYNSETS, Json::text);
            let parts: Vec<String> = synset.into_iter().chain([name]).collect();
            Some(Label::of_parts(&parts))
        }
        Json::Number(_) | Json::Other(_) => None,
    }
}

impl Json {
    /// The first of an object's values that `read` can read, under one of these names, best first.
    fn called<T>(&self, names: &[&str], read: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let Self::Object(entries) = self else {
            return None;
        };
        names.iter().find_map(|name| {
            let mut entries = entries.iter().filter(|(key, _)| heading(key) == *name);
            entries.find_map(|(_, value)| read(value))
        })
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The number of the class that an object describes.
    fn id(&self) -> Option<u64> {
        self.called(&IDS, |value| match value {
            Self::Number(id) => Some(*id),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        })
    }

    fn in_words(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            Self::List(_) => "a list".into(),
            Self::Object(_) => "an object".into(),
            Self::Other(value) => value.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Other(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Other(number.to_string()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Other(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other("null".into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = vec![];
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = vec![];
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}
