//! A node's attributes and inputs, as the operators take them.

use crate::weights::onnx::{Attribute, Constant, Node};

use super::layers::Call;
use super::{GraphError, Value, View, error, names};

impl Node {
    /// The whole number of that name.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// The number of that name.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        match self.attributes.get(name) {
            Some(Attribute::Float(value)) => Some(*value),
            _ => None,
        }
    }

    /// The whole numbers of that name.
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// The string of that name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::String(value)) => Some(value),
            _ => None,
        }
    }

    /// An error that names this node.
    pub(super) fn unsupported(&self, what: &'static str) -> GraphError {
        GraphError::Use {
            node: names::label(self),
            op: self.op_type.clone(),
            what,
        }
    }

    /// An error that names this node, whose operator is in no list.
    pub(super) fn unknown(&self) -> GraphError {
        let Self {
            op_type, domain, ..
        } = self;
        GraphError::Operator {
            node: names::label(self),
            op: match self.is_standard() {
                true => op_type.clone(),
                false => format!("{op_type} of {domain}"),
            },
            instead: error::instead_of(op_type, domain),
        }
    }
}

impl Call<'_> {
    /// An error that names this node.
    pub(super) fn unsupported(&self, what: &'static str) -> GraphError {
        self.node.unsupported(what)
    }

    /// An error that names this node.
    pub(super) fn unusable(&self, what: &'static str) -> GraphError {
        GraphError::Attribute {
            node: names::label(self.node),
            op: self.node.op_type.clone(),
            what,
        }
    }

    /// An input, where it is there.
    pub(super) fn input(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i)?.as_ref()
    }

    /// An input that is known beforehand.
    pub(super) fn constant(&self, i: usize) -> Option<&Constant> {
        match self.input(i)? {
            Value::Constant(constant) => Some(constant),
            Value::Layer(_) | Value::Sums(_) => None,
        }
    }

    /// The first input, which is a layer that may still be computed with.
    pub(super) fn layer(&self) -> Result<&View, GraphError> {
        self.layer_at(0)
    }

    /// The layer that is input number `i`.
    pub(super) fn layer_at(&self, i: usize) -> Result<&View, GraphError> {
        match self.input(i) {
            Some(Value::Layer(layer)) => Ok(layer),
            _ => Err(self.unsupported("of something else than one layer")),
        }
    }

    /// Whole numbers that were an attribute up to some opset and are an input since then.
    pub(super) fn ints(&self, attribute: &str, input: usize) -> Option<Vec<i64>> {
        if let Some(values) = self.node.ints(attribute) {
            return Some(values.to_vec());
        }
        match self.constant(input)? {
            Constant::Ints(ints) => Some(ints.values.clone()),
            _ => None,
        }
    }
}

/// A dimension's number, counted from the end where it is negative.
pub(super) fn axis(value: i64, rank: usize) -> Option<usize> {
    let value = if value < 0 {
        value.checked_add(rank as i64)?
    } else {
        value
    };
    usize::try_from(value).ok().filter(|&axis| axis < rank)
}
