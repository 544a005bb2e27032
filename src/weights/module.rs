//! The modules of a pickled `torch.nn.Module`: what a state dict does not tell, such as strides and activations.

use std::collections::BTreeMap;

/// A module of a pickled network.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its path, as in the names of its tensors: `features.1`.
    pub name: String,
    /// Its Python class: `torch.nn.modules.activation.ReLU`.
    pub class: String,
    /// Attributes that are numbers, tuples of numbers or text.
    pub settings: BTreeMap<String, Setting>,
}

/// A module's attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// One number or several; 0 and 1 are `False` and `True`.
    Numbers(Vec<f64>),
    /// Such as `zeros`.
    Text(String),
}
