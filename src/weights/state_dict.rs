//! What torch's objects mean in a pickle: tensors, in dictionaries and lists, by name.
//!
//! A tensor is `_rebuild_tensor_v2(storage, offset, size, stride, ...)`, a view of a storage that a
//! persistent id names: `('storage', FloatStorage, key, location, elements)`. A parameter is a tensor
//! in `_rebuild_parameter(tensor, ...)`, and in files of torch 0.x `Parameter(tensor)` or a
//! `Parameter` with the state `(tensor, ...)`. Where a file has numpy's arrays in place of tensors, they are read.
//!
//! Objects of other classes lie beside them in a checkpoint: configurations, losses, optimisers. They are left out, and
//! named in a note. Only where tensors hang below one are its attributes read, as a dictionary is; a `torch.nn.Module`
//! gives them the names that its `state_dict()` has.

mod instance;
mod tensor;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;

use super::Contents;
use super::pickled::{
    Foreign, MAX_DEPTH, MAX_TENSORS, MAX_VISITS, Object, Pickle, Value, left_out,
};
use super::source::Source;
use super::tensor::TensorError;
use super::torch::Storages;
use super::torch_global::{Global, Type};
use walk::Walk;

/// Under which names checkpoints keep the network, beside an optimiser and counters. The running
/// average of a network comes last: it is taken where it is the only one.
const WRAPPERS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "params_ema",
    "state_dict_ema",
    "model_ema",
    "ema",
];

/// Why the objects of a pickle are not weights. Names are paths: `state_dict/features.0.weight`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateDictError {
    /// A tensor, or a part of one, is not what torch writes.
    #[error("{name:?} is damaged: {part} is not what torch writes")]
    Damaged {
        /// Where in the file.
        name: String,
        /// Which part.
        part: &'static str,
    },
    /// One of numpy's arrays, or a part of one, is not what numpy writes.
    #[error("{name:?} is damaged: {part} is not what numpy writes")]
    DamagedArray {
        /// Where in the file.
        name: String,
        /// Which part.
        part: &'static str,
    },
    /// A tensor whose data are missing.
    #[error("{name:?} is damaged: its data, storage {key:?}, are not in the file")]
    Storage {
        /// The tensor.
        name: String,
        /// The storage.
        key: String,
    },
    /// A tensor does not fit its data.
    #[error("{name:?}: {error}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What does not fit.
        error: TensorError,
    },
    /// A path longer than any tensor's.
    #[error("a name in {name:?} is too long")]
    Name {
        /// The dictionary.
        name: String,
    },
    /// Two tensors have one name.
    #[error("two tensors have the name {name:?}")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// Dictionaries and lists within each other without end.
    #[error("dictionaries and lists are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More tensors or list items than any network has.
    #[error("there are more than {MAX_TENSORS} tensors or {MAX_VISITS} values")]
    TooMany,
    /// Quantised tensors that show the same few bytes again and again.
    #[error("the quantised tensors have more elements than the file has bytes")]
    TooLarge,
}

/// The tensors in `pickle`. Of a checkpoint that keeps its network in a dictionary of its own, those
/// of the network.
pub(super) fn read(
    source: &Arc<Source>,
    pickle: &Pickle<Global>,
    storages: &Storages<'_>,
) -> Result<Contents, StateDictError> {
    let mut walk = Walk::new(source, pickle, storages);
    walk.visit(pickle.root, 0)?;
    let Walk { found, entered, .. } = walk;
    let (mut network, path) = network(found);
    network.notes.extend(notes(pickle, &entered, &path));
    Ok(network)
}

/// What is said of objects of classes that are not known here. `entered` are those that tensors were found below, with
/// their paths, and `path` is that of the network.
fn notes(pickle: &Pickle<Global>, entered: &[(String, Foreign)], path: &str) -> Vec<String> {
    let name = |foreign: &Foreign| pickle.foreign[usize::from(foreign.0)].as_str();
    let holds_network = |at: &str| at.starts_with(path) || path.starts_with(&format!("{at}/"));
    let used: Vec<&str> = entered
        .iter()
        .filter(|(at, _)| at.is_empty() || holds_network(at))
        .map(|(_, foreign)| name(foreign))
        .collect();
    let mut notes = vec![];
    if let Some(class) = used.first() {
        notes.push(format!(
            "the weights are read out of an object of the Python class {class}, under the names of its attributes: \
             none of its code is run, so that names, shapes and the settings of its modules alone say what it computes"
        ));
    }
    let names = pickle.foreign.iter().map(String::as_str);
    notes.extend(left_out(names.filter(|name| !used.contains(name))));
    notes
}

/// Bytes of an element of each storage that the pickle names, by the storage's key.
pub(super) fn element_sizes<'a>(
    source: &'a Source,
    pickle: &Pickle<Global>,
) -> Result<HashMap<&'a str, usize>, StateDictError> {
    let mut sizes = HashMap::new();
    for value in &pickle.values {
        if let Value::Object(object) = value
            && object.callable == Global::PersistentId
            && !is_module_source(source, pickle, object)
        {
            let storage = Storage::of(source, pickle, object);
            let fits = |s: Storage<'a>| {
                let known = sizes.insert(s.key, s.element.size);
                known.is_none_or(|known| known == s.element.size)
            };
            if !storage.is_some_and(fits) {
                return Err(StateDictError::Damaged {
                    name: String::new(),
                    part: "a storage",
                });
            }
        }
    }
    Ok(sizes)
}

/// Whether a persistent id is that of a class with its source text: `('module', class, file, text)`.
fn is_module_source(source: &Source, pickle: &Pickle<Global>, object: &Object<Global>) -> bool {
    match pickle.tuple(object.args) {
        [kind, ..] => pickle.text(source, *kind) == Some("module"),
        [] => false,
    }
}

/// Takes a checkpoint's network out of its wrappers, and what is alone in its dictionary out of
/// that. With the path to it.
fn network(mut all: Contents) -> (Contents, String) {
    let mut path = String::new();
    loop {
        let first = |name: &String| name.split_once('/').map(|(first, _)| first.to_owned());
        let folders: Vec<_> = all.tensors.keys().map(first).collect();
        let wrapper = WRAPPERS
            .iter()
            .find(|&&wrapper| folders.iter().flatten().any(|folder| folder == wrapper));
        let only = || {
            let only = folders.first()?.as_deref()?;
            let is_it = |folder: &Option<String>| folder.as_deref() == Some(only);
            folders.iter().all(is_it).then_some(only)
        };
        match wrapper.copied().or_else(only).map(str::to_owned) {
            Some(folder) => {
                let copies = copies(&all, &folder);
                let folder = format!("{folder}/");
                all = all.below(&folder);
                all.notes.extend(copies);
                path += &folder;
            }
            None => return (all, path),
        }
    }
}

/// What is said of dictionaries beside `folder` that hold the same network once more, by the ends of the tensors' names and by
/// their shapes: a running average, another epoch, a teacher.
fn copies(all: &Contents, folder: &str) -> Option<String> {
    let mut held: BTreeMap<&str, Vec<(&str, &[usize])>> = BTreeMap::new();
    for (name, tensor) in &all.tensors {
        if let Some((first, rest)) = name.split_once('/') {
            let end = rest.rsplit(['.', '/']).next().unwrap_or(rest);
            held.entry(first).or_default().push((end, tensor.shape()));
        }
    }
    for tensors in held.values_mut() {
        tensors.sort_unstable();
    }
    let own = held.remove(folder)?;
    let (copy, _) = held.into_iter().find(|(_, tensors)| *tensors == own)?;
    Some(format!(
        "of two networks with tensors of the same shapes {folder:?} was taken, and {copy:?} is left out, often a running average \
         of the other; to explain that one, in Python, torch.save(torch.load(file)[{copy:?}], 'copy.pth')"
    ))
}

/// What a persistent id says.
struct Storage<'a> {
    key: &'a str,
    element: &'static Type,
    /// Number of elements.
    len: usize,
}

impl<'a> Storage<'a> {
    fn of(source: &'a Source, pickle: &Pickle<Global>, object: &Object<Global>) -> Option<Self> {
        let Value::Tuple(id) = &pickle[object.args] else {
            return None;
        };
        // The older form has a sixth: a part of another storage, or None.
        let (&[kind, class, key, _, len], view) = id.split_first_chunk()?;
        let whole = view.iter().all(|&view| pickle[view] == Value::None);
        let Value::Global(Global::Storage(element)) = pickle[class] else {
            return None;
        };
        let Value::Int(len) = pickle[len] else {
            return None;
        };
        let storage = Self {
            key: pickle.text(source, key)?,
            element,
            len: usize::try_from(len).ok()?,
        };
        (whole && pickle.text(source, kind)? == "storage").then_some(storage)
    }
}
