//! What numpy's objects mean in a pickle: arrays, in lists and dictionaries, as named tensors.
//!
//! An array is `_reconstruct(ndarray, (0,), 'b')` with the state `(1, shape, dtype, is_fortran,
//! data)`, or from protocol 5 `_frombuffer(data, dtype, shape, 'C')`. Its type is `dtype('f4',
//! ...)` with the state `(3, '<', ...)`. Its data are bytes, or text that `_codecs.encode(text,
//! 'latin1')` turns into bytes, or for an array of objects a list.

mod array;

use std::fmt::Write;
use std::sync::Arc;

use thiserror::Error;

use super::pickle::{self, Dialect};
use super::pickled::{
    Foreign, Id, MAX_DEPTH, MAX_NAME, MAX_TENSORS, MAX_VISITS, Object, Pickle, Value, is_plain,
    left_out,
};
use super::source::Source;
use super::tensor::{TensorError, element_count};
use super::{Contents, Shape, Skipped};
pub(super) use array::{Array, ArrayError, Arrays, Kind, OfNumpy, type_code};

/// Why the objects of a pickle are not weights. Names are paths: `conv1_1/0`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NumpyError {
    /// An array, or a part of one, is not what numpy writes.
    #[error("{name:?} is damaged: {part} is not what numpy writes")]
    Damaged {
        /// Where in the file.
        name: String,
        /// Which part.
        part: &'static str,
    },
    /// The header of the file and the array in it differ.
    #[error("the header announces an array of shape {}, but the array in it has the shape {}", Shape(.header), Shape(.found))]
    HeaderShape {
        /// Shape in the header.
        header: Vec<usize>,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// An array's shape and data do not fit.
    #[error("{name:?}: {error}")]
    Tensor {
        /// Where in the file.
        name: String,
        /// What does not fit.
        error: TensorError,
    },
    /// A dictionary has a key that is neither text nor a whole number.
    #[error("a key in {name:?} is neither text nor a whole number, or too long")]
    Key {
        /// The dictionary.
        name: String,
    },
    /// Two tensors have one name.
    #[error("two arrays have the name {name:?}")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// Dictionaries and lists within each other without end.
    #[error("dictionaries and lists are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More tensors or list items than any network has.
    #[error("there are more than {MAX_TENSORS} arrays or {MAX_VISITS} values")]
    TooMany,
}

/// The functions and classes that numpy's arrays need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// Makes the empty array that a state then fills.
    Reconstruct,
    /// Makes a number of one array element.
    Scalar,
    FromBuffer,
    NdArray,
    DType,
    /// Text to bytes: protocol 2 has no bytes of its own in Python 3.
    Encode,
    /// Empty bytes, for the same reason.
    Bytes,
    OrderedDict,
    /// Plain data beside the arrays: passed over.
    PassedOver,
    /// Anything else: passed over, and named.
    Foreign(Foreign),
}

/// What the pickle of an array may hold.
pub(super) const DIALECT: Dialect<Global> = Dialect {
    find: Global::find,
    foreign: Some(Global::Foreign),
    persistent_id: None,
    max_opcodes: pickle::MAX_OPCODES,
};

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::DType,
            ("_codecs", "encode") => Self::Encode,
            ("__builtin__" | "builtins", "bytes") => Self::Bytes,
            ("collections", "OrderedDict" | "defaultdict") => Self::OrderedDict,
            _ if is_plain(module, name) => Self::PassedOver,
            _ => return None,
        })
    }
}

/// The arrays of floats in `pickle`, and those of other types. `shape` is what the header says of
/// the outermost array, and `name` goes before all names.
pub(super) fn read(
    source: &Arc<Source>,
    pickle: &Pickle<Global>,
    shape: &[usize],
    name: &str,
) -> Result<Contents, NumpyError> {
    let mut walk = Walk {
        source,
        pickle,
        arrays: Arrays::new(source, pickle),
        name: name.to_owned(),
        visits: 0,
        found: Contents::default(),
    };
    let Value::Object(outermost) = &pickle[pickle.root] else {
        return Err(walk.damaged("the array that holds everything"));
    };
    let array = walk
        .array(outermost)?
        .ok_or_else(|| walk.damaged("the array that holds everything"))?;
    if array.shape != shape {
        return Err(NumpyError::HeaderShape {
            header: shape.to_vec(),
            found: array.shape,
        });
    }
    walk.add(array, 0)?;
    let names = pickle.foreign.iter().map(String::as_str);
    walk.found.notes.extend(left_out(names));
    Ok(walk.found)
}

/// A walk through all values, with what it has found.
struct Walk<'a> {
    source: &'a Arc<Source>,
    pickle: &'a Pickle<Global>,
    arrays: Arrays<'a, Global>,
    /// Path to the value at hand.
    name: String,
    visits: usize,
    found: Contents,
}

impl<'a> Walk<'a> {
    /// Adds the arrays in `id`. Numbers, text and the like beside them (an epoch, a note) are
    /// passed over.
    fn visit(&mut self, id: Id, depth: usize) -> Result<(), NumpyError> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err(NumpyError::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(NumpyError::TooDeep);
        }
        match &self.pickle[id] {
            Value::Dict(items) => self.dict(items, depth),
            Value::List(items) => self.list(items, depth),
            Value::Tuple(items) => self.list(items, depth),
            Value::Object(object) if object.callable == Global::OrderedDict => {
                self.dict(&object.items, depth)?;
                self.ordered_dict_args(object.args, depth)
            }
            Value::Object(object) => match self.array(object)? {
                Some(array) => self.add(array, depth),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn dict(&mut self, items: &[(Id, Id)], depth: usize) -> Result<(), NumpyError> {
        for &(key, value) in items {
            let key = match &self.pickle[key] {
                Value::Int(number) => number.to_string(),
                _ => self
                    .text(key)
                    .ok_or_else(|| NumpyError::Key {
                        name: self.name.clone(),
                    })?
                    .to_owned(),
            };
            self.child(&key, value, depth)?;
        }
        Ok(())
    }

    fn list(&mut self, items: &[Id], depth: usize) -> Result<(), NumpyError> {
        for (i, &item) in items.iter().enumerate() {
            self.child(&i.to_string(), item, depth)?;
        }
        Ok(())
    }

    /// Python 2 gives the items of an `OrderedDict` as its argument: a list of lists of two.
    fn ordered_dict_args(&mut self, args: Id, depth: usize) -> Result<(), NumpyError> {
        let [list] = self.pickle.tuple(args) else {
            return Ok(());
        };
        // Of a `defaultdict` it is what makes missing values.
        let Value::List(pairs) = &self.pickle[*list] else {
            return Ok(());
        };
        for &pair in pairs {
            match &self.pickle[pair] {
                Value::List(pair) if pair.len() == 2 => self.dict(&[(pair[0], pair[1])], depth)?,
                _ => return Err(self.damaged("an ordered dictionary")),
            }
        }
        Ok(())
    }

    fn child(&mut self, key: &str, value: Id, depth: usize) -> Result<(), NumpyError> {
        let length = self.name.len();
        if length > 0 {
            self.name.push('/');
        }
        self.name.push_str(key);
        if self.name.len() > MAX_NAME {
            return Err(NumpyError::Key {
                name: self.name[..length].to_owned(),
            });
        }
        self.visit(value, depth + 1)?;
        self.name.truncate(length);
        Ok(())
    }

    /// Adds an array under the name at hand, or what it holds under names below that.
    fn add(&mut self, array: Array, depth: usize) -> Result<(), NumpyError> {
        match &array.kind {
            Kind::Object => self.objects(&array.shape, array.data, depth),
            &Kind::Float(element) => {
                let tensor = self.arrays.tensor(array, element);
                let tensor = tensor.map_err(|error| self.wrong(error))?;
                self.check_name()?;
                self.found.push(self.name.clone(), tensor);
                Ok(())
            }
            Kind::Other(code) => {
                self.check_name()?;
                let (dtype, shape) = (code.clone(), array.shape);
                let skipped = Skipped { dtype, shape };
                self.found.skipped.insert(self.name.clone(), skipped);
                Ok(())
            }
        }
    }

    fn check_name(&self) -> Result<(), NumpyError> {
        let Contents {
            tensors, skipped, ..
        } = &self.found;
        if tensors.len() + skipped.len() >= MAX_TENSORS {
            return Err(NumpyError::TooMany);
        }
        if tensors.contains_key(&self.name) || skipped.contains_key(&self.name) {
            return Err(NumpyError::Duplicate {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    /// The items of an array of objects, each under its index; the one item of an array without
    /// dimensions needs none.
    fn objects(&mut self, shape: &[usize], list: Id, depth: usize) -> Result<(), NumpyError> {
        let pickle = self.pickle;
        let Value::List(items) = &pickle[list] else {
            return Err(self.damaged("an array of objects"));
        };
        if element_count(shape) != Some(items.len()) {
            return Err(self.damaged("the length of an array of objects"));
        }
        for (i, &item) in items.iter().enumerate() {
            if shape.is_empty() {
                self.visit(item, depth + 1)?;
            } else {
                self.child(&index(i, shape), item, depth)?;
            }
        }
        Ok(())
    }

    /// Reads an object as an array; `None` when it is something else.
    fn array(&self, object: &Object<Global>) -> Result<Option<Array>, NumpyError> {
        let array = self.arrays.array(object);
        array.map_err(|error| self.wrong(error))
    }

    fn text(&self, id: Id) -> Option<&'a str> {
        self.pickle.text(self.source, id)
    }

    fn damaged(&self, part: &'static str) -> NumpyError {
        self.wrong(ArrayError::Damaged(part))
    }

    fn wrong(&self, error: ArrayError) -> NumpyError {
        let name = self.name.clone();
        match error {
            ArrayError::Damaged(part) => NumpyError::Damaged { name, part },
            ArrayError::Tensor(error) => NumpyError::Tensor { name, error },
        }
    }
}

/// Place `i`, in C order, of an array as a path: `1/0`.
fn index(mut i: usize, shape: &[usize]) -> String {
    let mut digits = Vec::with_capacity(shape.len());
    for length in shape.iter().rev() {
        digits.push(i % length);
        i /= length;
    }
    let mut path = String::new();
    for digit in digits.iter().rev() {
        let separator = if path.is_empty() { "" } else { "/" };
        let _ = write!(path, "{separator}{digit}");
    }
    path
}
