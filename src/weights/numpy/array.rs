//! An array among the objects of a pickle, whatever else the pickle may hold.

use std::collections::HashMap;
use std::sync::Arc;

use super::Global;
use crate::weights::element::{DType, Element, Endian};
use crate::weights::latin1::Latin1;
use crate::weights::pickled::{Id, Object, Pickle, Value};
use crate::weights::source::Source;
use crate::weights::tensor::{Data, Order, Tensor, TensorError};

/// What a list of functions and classes says of those of numpy's arrays.
pub(in crate::weights) trait OfNumpy: Copy {
    /// Which of them it is, where it is one.
    fn of_numpy(self) -> Option<Global>;
}

impl OfNumpy for Global {
    fn of_numpy(self) -> Option<Global> {
        Some(self)
    }
}

/// Why an object is not the array that it is said to be.
pub(in crate::weights) enum ArrayError {
    /// This part is not what numpy writes.
    Damaged(&'static str),
    /// Its shape and data do not fit.
    Tensor(TensorError),
}

/// An array as the pickle has it.
pub(in crate::weights) struct Array {
    pub(in crate::weights) shape: Vec<usize>,
    pub(in crate::weights) kind: Kind,
    order: Order,
    /// The value with its contents.
    pub(in crate::weights) data: Id,
}

/// What the elements of an array are.
pub(in crate::weights) enum Kind {
    Float(Element),
    Object,
    /// Another of numpy's types, by its code: `i8`.
    Other(String),
}

impl Kind {
    pub(in crate::weights) fn of(endian: Endian, code: &str) -> Self {
        let float = |dtype| Self::Float(Element { dtype, endian });
        match code {
            "f2" => float(DType::F16),
            "f4" => float(DType::F32),
            "f8" => float(DType::F64),
            "O" | "O8" | "O4" => Self::Object,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Byte order and code of numpy's name for a type: `>f4`.
pub(in crate::weights) fn type_code(descr: &str) -> (Endian, &str) {
    let endian = if descr.starts_with('>') {
        Endian::Big
    } else {
        Endian::Little
    };
    (endian, descr.trim_start_matches(['<', '>', '|', '=']))
}

/// The arrays of a pickle.
pub(in crate::weights) struct Arrays<'a, G> {
    source: &'a Arc<Source>,
    pickle: &'a Pickle<G>,
    /// Texts that stand for bytes, scanned once even if many arrays share one.
    texts: HashMap<Id, Arc<Latin1>>,
}

impl<'a, G: OfNumpy> Arrays<'a, G> {
    pub(in crate::weights) fn new(source: &'a Arc<Source>, pickle: &'a Pickle<G>) -> Self {
        Self {
            source,
            pickle,
            texts: HashMap::new(),
        }
    }

    /// Reads an object as an array; `None` when it is something else.
    pub(in crate::weights) fn array(
        &self,
        object: &Object<G>,
    ) -> Result<Option<Array>, ArrayError> {
        let array = match (
            object.callable.of_numpy(),
            self.pickle.tuple(object.args),
            object.state.map(|state| self.pickle.tuple(state)),
        ) {
            (Some(Global::Reconstruct), _, Some(&[_, shape, dtype, fortran, data])) => Array {
                shape: self.shape(shape)?,
                kind: self.kind(dtype)?,
                order: match self.pickle[fortran] {
                    Value::Bool(false) | Value::Int(0) => Order::C,
                    Value::Bool(true) | Value::Int(1) => Order::Fortran,
                    _ => return Err(ArrayError::Damaged("the order of an array")),
                },
                data,
            },
            (Some(Global::FromBuffer), &[data, dtype, shape, order], None) => Array {
                shape: self.shape(shape)?,
                kind: self.kind(dtype)?,
                order: match self.text(order) {
                    Some("C") => Order::C,
                    Some("F") => Order::Fortran,
                    _ => return Err(ArrayError::Damaged("the order of an array")),
                },
                data,
            },
            (Some(Global::Scalar), &[dtype, data], None) => Array {
                shape: Vec::new(),
                kind: self.kind(dtype)?,
                order: Order::C,
                data,
            },
            (Some(Global::Reconstruct | Global::FromBuffer | Global::Scalar), ..) => {
                return Err(ArrayError::Damaged("an array"));
            }
            _ => return Ok(None),
        };
        Ok(Some(array))
    }

    /// The tensor of an array whose elements are these.
    pub(in crate::weights) fn tensor(
        &mut self,
        array: Array,
        element: Element,
    ) -> Result<Tensor, ArrayError> {
        let data = self.data(array.data)?;
        Tensor::dense(self.source, data, element, array.shape, array.order)
            .map_err(ArrayError::Tensor)
    }

    fn shape(&self, id: Id) -> Result<Vec<usize>, ArrayError> {
        let shape = self.pickle.lengths(id);
        shape.ok_or(ArrayError::Damaged("a shape"))
    }

    fn kind(&self, id: Id) -> Result<Kind, ArrayError> {
        let damaged = || ArrayError::Damaged("the type of an array");
        let Value::Object(object) = &self.pickle[id] else {
            return Err(damaged());
        };
        let (Some(Global::DType), [code, ..]) =
            (object.callable.of_numpy(), self.pickle.tuple(object.args))
        else {
            return Err(damaged());
        };
        let code = self.text(*code).ok_or_else(damaged)?;
        // The order stands in the state; old pickles have it in the code as well.
        let order = match object.state.map(|state| self.pickle.tuple(state)) {
            Some([_, order, ..]) => self.text(*order).ok_or_else(damaged)?,
            Some(_) => return Err(damaged()),
            None => code,
        };
        let (endian, _) = type_code(order);
        let (_, code) = type_code(code);
        Ok(Kind::of(endian, code))
    }

    /// The bytes of an array of numbers, or the text that stands for them.
    fn data(&mut self, id: Id) -> Result<Data, ArrayError> {
        const DAMAGED: ArrayError = ArrayError::Damaged("the data of an array");
        match &self.pickle[id] {
            Value::Bytes(span) => Ok(Data::Raw(span.clone())),
            Value::Object(object) => {
                match (object.callable.of_numpy(), self.pickle.tuple(object.args)) {
                    (Some(Global::Bytes), []) => Ok(Data::Raw(0..0)),
                    (Some(Global::Encode), &[text, encoding])
                        if matches!(self.text(encoding), Some("latin1" | "latin-1")) =>
                    {
                        self.latin1(text).map(Data::Latin1).ok_or(DAMAGED)
                    }
                    _ => Err(DAMAGED),
                }
            }
            _ => Err(DAMAGED),
        }
    }

    fn latin1(&mut self, text: Id) -> Option<Arc<Latin1>> {
        if let Some(known) = self.texts.get(&text) {
            return Some(Arc::clone(known));
        }
        let Value::Text(span) = &self.pickle[text] else {
            return None;
        };
        let scanned = Arc::new(Latin1::scan(self.source, span.clone())?);
        self.texts.insert(text, Arc::clone(&scanned));
        Some(scanned)
    }

    fn text(&self, id: Id) -> Option<&'a str> {
        self.pickle.text(self.source, id)
    }
}
