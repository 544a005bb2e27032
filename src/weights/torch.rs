//! `torch.save`: a pickle in which tensors name storages, and the storages beside it. Since 1.6 both
//! are members of a zip archive, before that they followed each other in a file.
//! <https://docs.pytorch.org/docs/stable/notes/serialization.html>
//!
//! A pickle of numpy's arrays without any storage is read in the same way.
//!
//! Storages are used where they lie. In the archive their byte order is that of a member's text,
//! in the older form they are little-endian whatever machine wrote them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::Contents;
use super::element::Endian;
use super::pickle::{self, Dialect, PickleError};
use super::pickled::{Pickle, Value};
use super::source::Source;
use super::state_dict::{self, StateDictError};
use super::torch_global::{self, Global};
use super::zip::{Archive, ZipError};

/// The pickled number that the older form begins with, behind the opcode for its protocol and, from
/// protocol 4 on, the frame around it.
pub(super) const LEGACY_MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The program in what the first versions of `torch.export` wrote.
pub(super) const EXPORTED: &str = "serialized_exported_program.json";

/// What writes members that can be used in place.
const WRITER: &str = "torch.save";

/// The pickles around the one with the tensors: numbers, and a list of the storages' keys.
const PLAIN: Dialect<()> = Dialect {
    find: |_, _| None,
    foreign: None,
    persistent_id: None,
    max_opcodes: 1 << 17,
};

/// Why a file of `torch.save` was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TorchError {
    /// A program with its weights.
    #[error(
        "a TorchScript program, not weights alone: in Python, \
         torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pth'), or \
         torch.onnx.export(torch.jit.load('model.pt'), (example,), 'model.onnx')"
    )]
    TorchScript,
    /// The same as `torch.export` writes it.
    #[error(
        "a program of torch.export, not weights alone: in Python, \
         torch.save(torch.export.load('model.pt2').state_dict, 'weights.pth'), or \
         torch.onnx.export(torch.export.load('model.pt2').module(), (example,), 'model.onnx')"
    )]
    Exported,
    /// Tensors only within objects that do not name them.
    #[error(
        "what the file holds is made by Python's {class}, and nothing in a file is executed: if it is a whole model, \
         load it in Python and torch.save(model.state_dict(), 'weights.pth')"
    )]
    Class {
        /// Module and name of the function or class, with dots; control characters are escaped.
        class: String,
    },
    /// Tensors that `pickle.dump` wrote, each as a file of torch within the pickle.
    #[error(
        "torch's tensors, pickled without torch: in Python, \
         torch.save(pickle.load(open('weights.pkl', 'rb')), 'weights.pth')"
    )]
    Pickled,
    /// Bytes behind a bare pickle, of which only the first would be read.
    #[error(
        "{0} bytes follow the pickle, as where pickle.dump was called several times: in Python, save one dictionary with all arrays"
    )]
    Trailing(usize),
    /// The archive is damaged, or is not as `torch.save` writes it.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// A part that every such archive has.
    #[error("the archive lacks {0}, which torch.save writes")]
    Missing(&'static str),
    /// Neither little nor big.
    #[error("the byte order is {0:?}, expected little or big")]
    ByteOrder(String),
    /// A pickle was refused or is damaged.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The objects in the pickle are not tensors in dictionaries and lists.
    #[error(transparent)]
    StateDict(#[from] StateDictError),
    /// The list of storages is not one of keys that tensors name.
    #[error("the list of storages is damaged")]
    Storages,
    /// The file ends within the storages.
    #[error(
        "the file is cut off: at least {missing} more bytes belong to it, copy or download it again"
    )]
    Truncated {
        /// Bytes that the storage lacks; more may follow it.
        missing: u64,
    },
}

/// Where the storages lie, by their keys.
pub(super) struct Storages<'a> {
    pub(super) spans: HashMap<&'a str, Range<usize>>,
    pub(super) endian: Endian,
}

/// Reads the tensors of an archive.
pub(super) fn read(source: &Arc<Source>, archive: &Archive<'_>) -> Result<Contents, TorchError> {
    let file = source.bytes();
    // All members lie in one folder, named like the file once was.
    let first = archive.members.first().map_or("", |member| member.name);
    let folder = first.split_inclusive('/').next().unwrap_or_default();
    let member = |name: &str| archive.member(&[folder, name].concat());
    let code = [folder, "code/"].concat();
    if member("archive_format").is_some() || archive.member(EXPORTED).is_some() {
        return Err(TorchError::Exported);
    }
    if member("constants.pkl").is_some()
        || archive.members.iter().any(|m| m.name.starts_with(&code))
    {
        return Err(TorchError::TorchScript);
    }
    let endian = match member("byteorder") {
        Some(member) => match &file[member.in_place(WRITER)?] {
            b"little" => Endian::Little,
            b"big" => Endian::Big,
            other => {
                let shown = &other[..other.len().min(16)];
                return Err(TorchError::ByteOrder(shown.escape_ascii().to_string()));
            }
        },
        None => Endian::Little,
    };
    let data = [folder, "data/"].concat();
    let mut spans = HashMap::new();
    for member in &archive.members {
        if let Some(key) = member.name.strip_prefix(data.as_str()) {
            spans.insert(key, member.in_place(WRITER)?);
        }
    }
    let pickled = member("data.pkl").ok_or(TorchError::Missing("data.pkl"))?;
    let span = pickled.in_place(WRITER)?;
    let pickle = pickle::load(&file[..span.end], span.start, &torch_global::DIALECT)?;
    tensors(source, &pickle, &Storages { spans, endian })
}

/// The tensors of a pickle, or what keeps them.
fn tensors(
    source: &Arc<Source>,
    pickle: &Pickle<Global>,
    storages: &Storages<'_>,
) -> Result<Contents, TorchError> {
    let contents = state_dict::read(source, pickle, storages)?;
    match pickle.foreign.first() {
        Some(class) if contents.tensors.is_empty() => Err(TorchError::Class {
            class: class.clone(),
        }),
        _ => Ok(contents),
    }
}

/// Reads the arrays of a pickle alone in a file, as `pickle.dump` writes a dictionary of them.
pub(super) fn read_pickle(source: &Arc<Source>) -> Result<Contents, TorchError> {
    const STORAGE: &str = "torch.storage._load_from_bytes";
    let pickle = pickle::load(source.bytes(), 0, &torch_global::DIALECT)?;
    if pickle.foreign.iter().any(|name| name == STORAGE) {
        return Err(TorchError::Pickled);
    }
    if pickle.end < source.bytes().len() {
        return Err(TorchError::Trailing(source.bytes().len() - pickle.end));
    }
    let storages = Storages {
        spans: HashMap::new(),
        endian: Endian::Little,
    };
    tensors(source, &pickle, &storages)
}

/// Reads the tensors of a file in the form before 1.6: pickles of a magic number, the version of the
/// form, the sizes of C's types, the objects and the storages' keys, then for each key the number of
/// elements (64 bits) and the elements.
pub(super) fn read_legacy(source: &Arc<Source>) -> Result<Contents, TorchError> {
    let file = source.bytes();
    let mut at = 0;
    for _ in 0..3 {
        at = pickle::load(file, at, &PLAIN)?.end;
    }
    let pickle = pickle::load(file, at, &torch_global::DIALECT)?;
    let keys = pickle::load(file, pickle.end, &PLAIN)?;
    let Value::List(list) = &keys[keys.root] else {
        return Err(TorchError::Storages);
    };
    let sizes = state_dict::element_sizes(source, &pickle)?;
    let mut spans = HashMap::new();
    let mut at = keys.end;
    for &key in list {
        let Value::Text(key) = &keys[key] else {
            return Err(TorchError::Storages);
        };
        let key = std::str::from_utf8(&file[key.clone()]).map_err(|_| TorchError::Storages)?;
        let size = *sizes.get(key).ok_or(TorchError::Storages)?;
        let left = (file.len() - at) as u64;
        let Some(count) = file[at..].first_chunk() else {
            return Err(TorchError::Truncated { missing: 8 - left });
        };
        let length = u64::from_le_bytes(*count)
            .checked_mul(size as u64)
            .ok_or(TorchError::Storages)?;
        if length > left - 8 {
            let missing = length - (left - 8);
            return Err(TorchError::Truncated { missing });
        }
        let start = at + 8;
        at = start + length as usize;
        if spans.insert(key, start..at).is_some() {
            return Err(TorchError::Storages);
        }
    }
    let storages = Storages {
        spans,
        endian: Endian::Little,
    };
    tensors(source, &pickle, &storages)
}
