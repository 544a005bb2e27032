//! What a pickle holds.
//!
//! Values live in one list and name each other by number, as the memo of the format does: a value
//! that holds itself neither loops nor leaks, and no depth of nesting meets the machine's own
//! stack. Strings and arrays stay in the file.

mod reach;

use std::ops::{Index, Range};

use super::source::Source;

/// Dictionaries and lists within each other at most; weights have two or three, a checkpoint's optimiser four.
pub(super) const MAX_DEPTH: usize = 32;
/// Bytes in a tensor's name at most.
pub(super) const MAX_NAME: usize = 512;
/// Tensors at most, those of an optimiser included.
pub(super) const MAX_TENSORS: usize = 1 << 14;
/// Values looked at, at most. Lists that share their items would otherwise double in number with every level.
pub(super) const MAX_VISITS: usize = 1 << 20;
/// Dimensions at most: numpy's own limit and torch's are 64.
pub(super) const MAX_DIMENSIONS: usize = 64;

/// A value's place in [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

/// A value of a pickle; `G` names the functions and classes on the caller's list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<G> {
    None,
    Bool(bool),
    Int(i64),
    /// A value without a meaning here: a whole number beyond those, as seeds are, or text with escapes in it.
    Other,
    Float(f64),
    /// `bytes`, `bytearray` and Python 2's `str`: where they lie in the file.
    Bytes(Range<usize>),
    /// `str` and Python 2's `unicode`: where its UTF-8, not checked yet, lies in the file.
    Text(Range<usize>),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(G),
    Object(Box<Object<G>>),
}

/// What would have been the result of `callable(*args)` or `callable.__new__(*args)`, then `__setstate__(state)` and `[key] =
/// value` for the items.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object<G> {
    pub(super) callable: G,
    /// A tuple.
    pub(super) args: Id,
    pub(super) state: Option<Id>,
    pub(super) items: Vec<(Id, Id)>,
    /// What was appended to it, or added as to a set.
    pub(super) appended: Vec<Id>,
}

/// A function or class that is not on the caller's list: its place among [`Pickle::foreign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Foreign(pub(super) u16);

/// All values of a pickle, and the one that it stands for.
#[derive(Debug)]
pub(super) struct Pickle<G> {
    pub(super) values: Vec<Value<G>>,
    /// Modules and names of the functions and classes that are not on the caller's list, with dots; control characters are
    /// escaped.
    pub(super) foreign: Vec<String>,
    pub(super) root: Id,
    /// Where the file goes on after it.
    pub(super) end: usize,
}

impl<G> Index<Id> for Pickle<G> {
    type Output = Value<G>;

    fn index(&self, id: Id) -> &Value<G> {
        &self.values[id.0 as usize]
    }
}

impl<G> Pickle<G> {
    /// The items of a tuple; nothing for any other value.
    pub(super) fn tuple(&self, id: Id) -> &[Id] {
        match &self[id] {
            Value::Tuple(items) => items,
            _ => &[],
        }
    }

    /// Text, or the bytes that Python 2 means as text, of at most [`MAX_NAME`].
    pub(super) fn text<'a>(&self, source: &'a Source, id: Id) -> Option<&'a str> {
        match &self[id] {
            Value::Text(span) | Value::Bytes(span) if span.len() <= MAX_NAME => {
                std::str::from_utf8(&source.bytes()[span.clone()]).ok()
            }
            _ => None,
        }
    }

    /// A shape, or strides: a tuple of at most [`MAX_DIMENSIONS`] numbers from 0 on.
    pub(super) fn lengths(&self, id: Id) -> Option<Vec<usize>> {
        let lengths = match &self[id] {
            Value::Tuple(lengths) if lengths.len() <= MAX_DIMENSIONS => lengths,
            _ => return None,
        };
        let length = |&id: &Id| match self[id] {
            Value::Int(length) => usize::try_from(length).ok(),
            _ => None,
        };
        lengths.iter().map(length).collect()
    }
}

/// Whether this class of Python's own makes plain data: a date, a path, a set.
pub(super) fn is_plain(module: &str, name: &str) -> bool {
    match module {
        "datetime" | "pathlib" | "pathlib._local" | "decimal" | "fractions" | "uuid" => true,
        "collections" => matches!(name, "Counter" | "deque" | "OrderedDict" | "defaultdict"),
        "argparse" => name == "Namespace",
        "functools" => name == "partial",
        "builtins" | "__builtin__" => matches!(
            name,
            "object"
                | "set"
                | "frozenset"
                | "list"
                | "dict"
                | "tuple"
                | "int"
                | "long"
                | "float"
                | "bool"
                | "str"
                | "unicode"
                | "bytes"
                | "bytearray"
                | "complex"
                | "slice"
                | "range"
                | "xrange"
                | "type"
                | "print"
                | "getattr"
        ),
        _ => false,
    }
}

/// What to say of objects that were passed over, by the names of what makes them; nothing where there are none.
pub(super) fn left_out<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SHOWN: usize = 6;
    let mut names: Vec<&str> = names.collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(SHOWN);
    let shown = names.join(", ");
    (!names.is_empty()).then(|| {
        format!(
            "Python objects beside the weights are left out, and none of their code is run: {shown}{more}"
        )
    })
}
