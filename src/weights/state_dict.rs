//! What torch's objects mean in a pickle: tensors, in dictionaries and lists, by name.
//!
//! A tensor is `_rebuild_tensor_v2(storage, offset, size, stride, ...)`, a view of a storage that a
//! persistent id names: `('storage', FloatStorage, key, location, elements)`. A parameter is a tensor
//! in `_rebuild_parameter(tensor, ...)`, and in files of torch 0.x `Parameter(tensor)` or a
//! `Parameter` with the state `(tensor, ...)`.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::element::Element;
use super::pickled::{Id, MAX_DEPTH, MAX_NAME, MAX_TENSORS, MAX_VISITS, Object, Pickle, Value};
use super::source::Source;
use super::tensor::{Tensor, TensorError};
use super::torch::Storages;
use super::torch_global::{Global, Type};
use super::{Contents, Skipped};

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
}

/// The tensors in `pickle`. Of a checkpoint that keeps its network in a dictionary of its own, those
/// of the network.
pub(super) fn read(
    source: &Arc<Source>,
    pickle: &Pickle<Global>,
    storages: &Storages<'_>,
) -> Result<Contents, StateDictError> {
    let mut walk = Walk {
        source,
        pickle,
        storages,
        name: String::new(),
        visits: 0,
        found: Contents::default(),
    };
    walk.visit(pickle.root, 0)?;
    Ok(network(walk.found))
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

/// Takes a checkpoint's network out of its wrappers, and what is alone in its dictionary out of
/// that.
fn network(mut all: Contents) -> Contents {
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
        match wrapper.copied().or_else(only) {
            Some(folder) => all = all.below(&format!("{folder}/")),
            None => return all,
        }
    }
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

/// A walk through all values, with what it has found.
struct Walk<'a> {
    source: &'a Arc<Source>,
    pickle: &'a Pickle<Global>,
    storages: &'a Storages<'a>,
    /// Path to the value at hand.
    name: String,
    visits: usize,
    found: Contents,
}

impl Walk<'_> {
    /// Adds the tensors in `id`. Numbers, text and the like beside them are passed over.
    fn visit(&mut self, id: Id, depth: usize) -> Result<(), StateDictError> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err(StateDictError::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(StateDictError::TooDeep);
        }
        let pickle = self.pickle;
        match &pickle[id] {
            Value::Dict(items) => self.dict(items, depth),
            Value::List(items) => self.list(items, depth),
            Value::Tuple(items) => self.list(items, depth),
            Value::Object(object) => match object.callable {
                Global::Dict => {
                    self.dict(&object.items, depth)?;
                    self.pairs(object.args, depth)
                }
                Global::Parameter => {
                    let state = object.state.map_or(&[][..], |state| pickle.tuple(state));
                    let args = pickle.tuple(object.args);
                    let parts = args.first().into_iter().chain(state.first());
                    for &part in parts {
                        self.visit(part, depth + 1)?;
                    }
                    Ok(())
                }
                Global::Tensor | Global::TypedTensor => self.add(object),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn dict(&mut self, items: &[(Id, Id)], depth: usize) -> Result<(), StateDictError> {
        for &(key, value) in items {
            match &self.pickle[key] {
                Value::Int(number) => self.child(&number.to_string(), value, depth)?,
                Value::Text(_) | Value::Bytes(_) => {
                    let key = self
                        .pickle
                        .text(self.source, key)
                        .ok_or_else(|| self.long_name())?;
                    self.child(key, value, depth)?;
                }
                // No name, and so none of the network's.
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &[Id], depth: usize) -> Result<(), StateDictError> {
        for (i, &item) in items.iter().enumerate() {
            self.child(&i.to_string(), item, depth)?;
        }
        Ok(())
    }

    /// Python 2 gives the items of an `OrderedDict` as its argument: a list of lists of two.
    fn pairs(&mut self, args: Id, depth: usize) -> Result<(), StateDictError> {
        if let [list] = *self.pickle.tuple(args)
            && let Value::List(pairs) = &self.pickle[list]
        {
            for &pair in pairs {
                match &self.pickle[pair] {
                    Value::List(pair) if pair.len() == 2 => {
                        self.dict(&[(pair[0], pair[1])], depth)?;
                    }
                    _ => return Err(self.damaged("an ordered dictionary")),
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, key: &str, value: Id, depth: usize) -> Result<(), StateDictError> {
        let length = self.name.len();
        if length > 0 {
            self.name.push('/');
        }
        self.name.push_str(key);
        if self.name.len() > MAX_NAME {
            self.name.truncate(length);
            return Err(self.long_name());
        }
        self.visit(value, depth + 1)?;
        self.name.truncate(length);
        Ok(())
    }

    /// Adds a tensor under the name at hand.
    fn add(&mut self, object: &Object<Global>) -> Result<(), StateDictError> {
        let &[storage, offset, size, stride, ref rest @ ..] = self.pickle.tuple(object.args) else {
            return Err(self.damaged("a tensor"));
        };
        let storage = match &self.pickle[storage] {
            Value::Object(object) if object.callable == Global::PersistentId => {
                Storage::of(self.source, self.pickle, object)
            }
            _ => None,
        };
        let storage = storage.ok_or_else(|| self.damaged("a storage"))?;
        let element = match (object.callable, rest) {
            (Global::TypedTensor, &[_, _, dtype, ..]) => match self.pickle[dtype] {
                Value::Global(Global::DType(element)) => element,
                _ => return Err(self.damaged("the type of a tensor")),
            },
            _ => storage.element,
        };
        let lengths = |id| {
            self.pickle
                .lengths(id)
                .ok_or_else(|| self.damaged("a shape"))
        };
        let (shape, strides) = (lengths(size)?, lengths(stride)?);
        let &Value::Int(offset) = &self.pickle[offset] else {
            return Err(self.damaged("an offset"));
        };
        let offset = usize::try_from(offset).map_err(|_| self.damaged("an offset"))?;
        if strides.len() != shape.len() {
            return Err(self.damaged("a shape"));
        }

        let span = self
            .storages
            .spans
            .get(storage.key)
            .ok_or_else(|| StateDictError::Storage {
                name: self.name.clone(),
                key: storage.key.to_owned(),
            })?;
        if storage.len.checked_mul(storage.element.size) != Some(span.len()) {
            return Err(self.damaged("the length of a storage"));
        }
        self.check_name()?;
        let name = self.name.clone();
        if let Some(dtype) = element.float {
            let endian = self.storages.endian;
            let element = Element { dtype, endian };
            let tensor = Tensor::view(self.source, span.clone(), element, offset, shape, strides)
                .map_err(|error| StateDictError::Tensor {
                name: name.clone(),
                error,
            })?;
            self.found.push(name, tensor);
        } else {
            let dtype = element.name.to_owned();
            self.found.skipped.insert(name, Skipped { dtype, shape });
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), StateDictError> {
        let Contents {
            tensors, skipped, ..
        } = &self.found;
        if tensors.len() + skipped.len() >= MAX_TENSORS {
            return Err(StateDictError::TooMany);
        }
        if tensors.contains_key(&self.name) || skipped.contains_key(&self.name) {
            return Err(StateDictError::Duplicate {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    fn long_name(&self) -> StateDictError {
        StateDictError::Name {
            name: self.name.clone(),
        }
    }

    fn damaged(&self, part: &'static str) -> StateDictError {
        StateDictError::Damaged {
            name: self.name.clone(),
            part,
        }
    }
}
