//! A model as plain data: what the reader makes of the messages.

use std::collections::BTreeMap;

use super::super::{Skipped, Tensor};

/// A model's graph: what it computes, node by node, and the constants that it computes with.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Version of the standard operators.
    pub opset: i64,
    /// Nodes in the file's order, which is topological; `Constant` nodes are among [`Graph::constants`] instead.
    pub nodes: Vec<Node>,
    /// Values given in the file, by name.
    pub constants: BTreeMap<String, Constant>,
    /// What the graph is given, constants aside.
    pub inputs: Vec<Input>,
    /// Its results.
    pub outputs: Vec<Input>,
    /// Operators that the model defines itself.
    pub functions: Vec<Function>,
}

impl Graph {
    /// Whether weights may come of its nodes, as of models that were published without theirs.
    pub(in crate::weights) fn makes_weights(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|node| node.op_type == "ConstantOfShape" && node.is_standard())
    }
}

/// An operator in terms of others.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its name, the nodes' [`Node::op_type`].
    pub name: String,
    /// The nodes' [`Node::domain`].
    pub domain: String,
    /// Names of what it is given, within it.
    pub inputs: Vec<String>,
    /// Names of what it gives, within it.
    pub outputs: Vec<String>,
    /// Settings that a call may leave out.
    pub defaults: BTreeMap<String, Attribute>,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Version of the standard operators among them, where it says so.
    pub opset: Option<i64>,
}

/// One operation.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name, often empty.
    pub name: String,
    /// What it computes: `Conv`.
    pub op_type: String,
    /// Who defines `op_type`; empty for the standard.
    pub domain: String,
    /// Names of the values it reads; empty where an optional one is left out.
    pub inputs: Vec<String>,
    /// Names of the values it makes.
    pub outputs: Vec<String>,
    /// Its settings, by name.
    pub attributes: BTreeMap<String, Attribute>,
    /// Version of the standard operators where it stands; `None` for the graph's.
    pub opset: Option<i64>,
    /// The modules of `PyTorch` that it is a part of, from the outermost in, where the exporter says so: `layer4`, `layer4.1`.
    pub modules: Vec<String>,
}

/// A setting of a node.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// A string.
    String(String),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Strings.
    Strings(Vec<String>),
    /// A tensor.
    Tensor(Constant),
    /// A graph, as of a branch.
    Graph(Box<Graph>),
    /// Within a function, the setting of its call that has this name.
    Reference(String),
    /// A type or another thing that no classifier needs.
    Other,
}

/// A value given in the file.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Floats, where they lie in the file.
    Floats(Tensor),
    /// A few whole numbers: a shape, axes, indices.
    Ints(Integers),
    /// Many whole numbers of 8 or 32 bits, where they lie in the file: quantised weights.
    Quantized(Tensor),
    /// Another type, or more whole numbers than shapes have.
    Other(Skipped),
}

impl Constant {
    /// Whole numbers of a shape.
    fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self::Ints(Integers {
            shape,
            values,
            dtype: INT64,
        })
    }
}

/// Whole numbers in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integers {
    /// Length of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// As many as the shape holds.
    pub values: Vec<i64>,
    /// As the file has them: `int64`.
    pub dtype: &'static str,
}

/// The type of shapes, and of what is computed from them.
pub(crate) const INT64: &str = "int64";

/// A value that the graph is given or gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Length of each dimension, `None` where it is open; no dimensions where the file does not say.
    pub shape: Vec<Option<usize>>,
    /// Type of its elements: `float32`; empty where the file does not say.
    pub dtype: &'static str,
}

impl Node {
    /// Whether this is an operator of the ONNX standard.
    pub fn is_standard(&self) -> bool {
        matches!(self.domain.as_str(), "" | "ai.onnx")
    }

    /// What a `Constant` node gives, and its name.
    pub fn constant(&self) -> Option<(String, Constant)> {
        if self.op_type != "Constant" || !self.is_standard() {
            return None;
        }
        let [output] = &self.outputs[..] else {
            return None;
        };
        let (_, attribute) = self.attributes.first_key_value()?;
        let constant = match attribute {
            Attribute::Tensor(constant) => constant.clone(),
            Attribute::Int(value) => Constant::ints(vec![], vec![*value]),
            Attribute::Ints(values) => Constant::ints(vec![values.len()], values.clone()),
            Attribute::Float(value) => Constant::Floats(Tensor::from_f32(vec![], &[*value])),
            Attribute::Floats(values) => {
                Constant::Floats(Tensor::from_f32(vec![values.len()], values))
            }
            Attribute::String(_)
            | Attribute::Strings(_)
            | Attribute::Graph(_)
            | Attribute::Reference(_)
            | Attribute::Other => return None,
        };
        Some((output.clone(), constant))
    }
}
