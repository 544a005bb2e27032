//! Tensors as torch pickles them: views of storages, and quantised ones.

use super::walk::Walk;
use super::{StateDictError, Storage};
use crate::weights::element::Element;
use crate::weights::pickled::{Id, Object, Value};
use crate::weights::tensor::Tensor;
use crate::weights::torch_global::{Global, Kind, Type};

/// A view of a storage, with its type.
struct View {
    element: &'static Type,
    shape: Vec<usize>,
    /// The elements, where they are numbers that are read here.
    tensor: Option<Tensor>,
}

impl Walk<'_> {
    /// Adds the tensor that `object` makes.
    pub(super) fn tensor(&mut self, object: &Object<Global>) -> Result<(), StateDictError> {
        let View {
            element,
            shape,
            tensor,
        } = self.view(object)?;
        match (element.kind, tensor) {
            (Kind::Float(_), Some(tensor)) => self.add(tensor),
            _ => self.skip(element.name.to_owned(), shape),
        }
    }

    /// Adds a tensor of whole numbers with a scale: (number - zero point) * scale.
    pub(super) fn quantised(&mut self, object: &Object<Global>) -> Result<(), StateDictError> {
        let View {
            element,
            shape,
            tensor,
        } = self.view(object)?;
        let (Kind::Integer(_), Some(tensor)) = (element.kind, tensor) else {
            return self.skip(element.name.to_owned(), shape);
        };
        self.computed = self.computed.saturating_add(tensor.len());
        if self.computed > self.source.bytes().len() {
            return Err(StateDictError::TooLarge);
        }
        let damaged = || self.damaged("the scale of a quantised tensor");
        let params = self.pickle.tuple(self.pickle.tuple(object.args)[4]);
        let Some(&Value::Global(scheme)) = params.first().map(|&scheme| &self.pickle[scheme])
        else {
            return Err(damaged());
        };
        let (scales, zeros, axis) = match (scheme, &params[1..]) {
            (Global::PerTensor, &[scale, zero]) => {
                match (&self.pickle[scale], &self.pickle[zero]) {
                    (&Value::Float(scale), &Value::Int(zero)) => {
                        (vec![scale as f32], vec![zero as f32], None)
                    }
                    _ => return Err(damaged()),
                }
            }
            (Global::PerChannel, &[scales, zeros, axis]) => {
                let axis = match self.pickle[axis] {
                    Value::Int(axis) => usize::try_from(axis).ok(),
                    _ => None,
                };
                let axis = axis
                    .filter(|&axis| axis < shape.len())
                    .ok_or_else(damaged)?;
                let [scales, zeros] = [scales, zeros].map(|id| self.row(id, shape[axis]));
                (scales?, zeros?, Some(axis))
            }
            _ => return Err(damaged()),
        };
        let inner: usize = axis.map_or(1, |axis| shape[axis + 1..].iter().product());
        let mut values = tensor.to_vec();
        for (i, value) in values.iter_mut().enumerate() {
            let channel = i / inner.max(1) % scales.len().max(1);
            *value = (*value - zeros[channel]) * scales[channel];
        }
        self.add(Tensor::from_f32(shape, &values))?;
        let note = "weights that are stored as whole numbers with a scale are computed with in float32: a network that also \
                    rounds what flows through it gives slightly different scores";
        if !self.found.notes.iter().any(|known| known == note) {
            self.found.notes.push(note.to_owned());
        }
        Ok(())
    }

    /// The numbers of a tensor with `length` of them along its one dimension.
    fn row(&self, id: Id, length: usize) -> Result<Vec<f32>, StateDictError> {
        let damaged = || self.damaged("the scale of a quantised tensor");
        let Value::Object(object) = &self.pickle[id] else {
            return Err(damaged());
        };
        let view = match object.callable {
            Global::Tensor | Global::TypedTensor => self.view(object)?,
            _ => return Err(damaged()),
        };
        let row = view.tensor.filter(|_| view.shape == [length]);
        Ok(row.ok_or_else(damaged)?.to_vec())
    }

    /// Reads `(storage, offset, size, stride, ...)`.
    fn view(&self, object: &Object<Global>) -> Result<View, StateDictError> {
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
        let (element, rest) = match (object.callable, rest) {
            (Global::TypedTensor, &[_, _, dtype, ref rest @ ..]) => match self.pickle[dtype] {
                Value::Global(Global::DType(element)) => (element, rest),
                _ => return Err(self.damaged("the type of a tensor")),
            },
            (Global::Tensor, &[_, _, ref rest @ ..]) => (storage.element, rest),
            (Global::Quantised, []) => return Err(self.damaged("a tensor")),
            _ => (storage.element, &[][..]),
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
        let tensor = match element.kind {
            Kind::Float(dtype) | Kind::Integer(dtype) => {
                let endian = self.storages.endian;
                let element = Element { dtype, endian };
                let (span, shape) = (span.clone(), shape.clone());
                let view = Tensor::view(self.source, span, element, offset, shape, strides);
                let view = view.map_err(|error| StateDictError::Tensor {
                    name: self.name.clone(),
                    error,
                })?;
                Some(match rest.first() {
                    Some(&metadata) if self.is_negated(metadata) => negated(&view),
                    _ => view,
                })
            }
            Kind::Other => None,
        };
        Ok(View {
            element,
            shape,
            tensor,
        })
    }

    /// Whether a view's metadata say that it shows its storage with the other sign.
    fn is_negated(&self, metadata: Id) -> bool {
        let Value::Dict(items) = &self.pickle[metadata] else {
            return false;
        };
        items.iter().any(|&(key, value)| {
            self.pickle.text(self.source, key) == Some("neg")
                && self.pickle[value] == Value::Bool(true)
        })
    }
}

fn negated(tensor: &Tensor) -> Tensor {
    match tensor.shape().first() {
        Some(&rows) => tensor.scaled(0, vec![-1.0; rows]),
        None => Tensor::from_f32(vec![], &[-tensor.to_vec()[0]]),
    }
}
