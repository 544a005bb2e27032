//! An ONNX graph as a network.
//!
//! The nodes that the output needs are read in the file's order. A value is either known beforehand (weights, and the
//! arithmetic on shapes that exporters leave in the graph) or a layer of the network, seen through the axes that the
//! graph gives it at that point: a `Transpose` only renames axes, so that networks exported from TensorFlow, which turn
//! the picture around and back again, come out like any other.

mod attributes;
mod constants;
mod layers;
mod names;
mod shapes;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crate::network::{MAX_SIDE, Network, NetworkError, NodeId, Op, OutputKind, Shape};
use crate::weights::onnx::{Constant, Graph, Input, Node};

use super::{affine, names::Names};
use shapes::Axis;

/// Outputs of a graph that are tried: a classifier has a few, and each takes an import of its own.
const MAX_OUTPUTS: usize = 16;
/// Pictures at once that a graph may be fixed to.
const MAX_BATCH: usize = 4096;

/// Why an ONNX graph makes no network.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// An operator outside of the list.
    #[error("node {node} is a {op}, which is not supported")]
    Operator {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
    },
    /// An operator used in a way outside of the list.
    #[error("node {node}: {op} {what} is not supported")]
    Use {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What about it: `with ceil_mode`.
        what: &'static str,
    },
    /// An attribute or input that contradicts the standard, or is absurd.
    #[error("node {node}: {op} has no usable {what}")]
    Attribute {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// Which.
        what: &'static str,
    },
    /// An input that is not there, or comes later.
    #[error("node {node} reads {value:?}, which nothing before it gives")]
    MissingValue {
        /// The node.
        node: String,
        /// The value's name.
        value: String,
    },
    /// Two nodes that make the same value.
    #[error("{value:?} is given twice, the second time by node {node}")]
    MadeTwice {
        /// The second node.
        node: String,
        /// The value's name.
        value: String,
    },
    /// Not one picture in.
    #[error("the graph reads {} inputs ({}); a classifier reads one picture", names.len(), names.join(", "))]
    Inputs {
        /// Their names.
        names: Vec<String>,
    },
    /// Something else than pictures in.
    #[error(
        "the graph's input {name:?} has shape {shape}; a picture has [batch, 3, rows, columns] or [batch, rows, columns, 3], in grey 1 for 3"
    )]
    InputShape {
        /// Its name.
        name: String,
        /// Its shape, `?` where it is open.
        shape: String,
    },
    /// Nothing comes out.
    #[error("the graph has no output")]
    NoOutput,
    /// Something else than one number a class comes out.
    #[error("the graph's output {name:?} is {what}; a classifier gives one number a class")]
    Output {
        /// Its name.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// Layers whose shapes do not fit one another.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// How large pictures are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// As the graph says; where it leaves that open, so many rows and columns.
    Open(usize),
    /// So many rows and columns, whatever the graph says.
    Asked(usize),
}

/// The network that `graph` computes over pictures of a size.
///
/// Of several outputs the first that is one number a class is taken, among the first sixteen.
pub(super) fn network(graph: &Graph, size: Size) -> Result<Network, GraphError> {
    let mut first = None;
    for output in graph.outputs.iter().take(MAX_OUTPUTS) {
        match Import::run(graph, output, size) {
            Ok(network) => return Ok(network),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(GraphError::NoOutput))
}

/// A value of the graph.
#[derive(Clone, Debug)]
enum Value {
    /// Known beforehand.
    Constant(Constant),
    /// Computed from the picture.
    Layer(Layer),
}

/// A layer's value as the graph sees it at some point.
#[derive(Clone, Debug)]
struct Layer {
    node: NodeId,
    /// What each dimension is.
    axes: Vec<Axis>,
    /// Zeros around rows and columns (before, after) that a `Pad` has announced for the convolution that follows.
    pad: [[usize; 2]; 2],
    /// What has been made of the logits; nothing may be computed from it any more.
    ending: Option<OutputKind>,
}

impl Layer {
    fn new(node: NodeId, axes: Vec<Axis>) -> Self {
        Self {
            node,
            axes,
            pad: [[0; 2]; 2],
            ending: None,
        }
    }
}

/// A network in the making.
struct Import<'a> {
    network: Network,
    names: Names,
    /// Pictures at once that the graph is written for; the network takes any number.
    batch: usize,
    values: BTreeMap<&'a str, Value>,
    /// Elements of constants that arithmetic has made.
    folded: usize,
}

impl<'a> Import<'a> {
    fn run(graph: &'a Graph, output: &str, size: Size) -> Result<Network, GraphError> {
        let (nodes, read) = needed(graph, output);
        let inputs: Vec<&Input> = graph
            .inputs
            .iter()
            .filter(|input| read.contains(input.name.as_str()))
            .collect();
        let &[input] = &inputs[..] else {
            let names = inputs.iter().map(|input| input.name.clone()).collect();
            return Err(GraphError::Inputs { names });
        };
        let (batch, shape, axes) = picture(input, &nodes, size)?;
        let mut names = Names::default();
        names.take("input");
        let mut import = Self {
            network: Network::new("onnx", shape),
            names,
            batch,
            values: BTreeMap::new(),
            folded: 0,
        };
        let picture = Layer::new(NodeId(0), axes);
        import.values.insert(&input.name, Value::Layer(picture));
        for (name, constant) in &graph.constants {
            // Cheap: a tensor is a place in the file.
            import
                .values
                .insert(name, Value::Constant(constant.clone()));
        }
        for node in nodes {
            import.node(node, graph.opset)?;
        }
        import.finish(output)
    }

    /// Works out what a node gives.
    fn node(&mut self, node: &'a Node, opset: i64) -> Result<(), GraphError> {
        let values: &BTreeMap<&str, Value> = &self.values;
        let inputs = node
            .inputs
            .iter()
            .map(|name| match values.get(name.as_str()) {
                _ if name.is_empty() => Ok(None),
                Some(value) => Ok(Some(value.clone())),
                None => Err(GraphError::MissingValue {
                    node: names::label(node),
                    value: name.clone(),
                }),
            });
        let inputs = inputs.collect::<Result<Vec<Option<Value>>, _>>()?;
        if !node.is_standard() {
            return Err(GraphError::Operator {
                node: names::label(node),
                op: format!("{} of {}", node.op_type, node.domain),
            });
        }
        let made = layers::Call {
            node,
            opset,
            inputs,
        };
        let value = self.call(&made)?;
        // Further outputs (a mask, indices) are not made: who reads one gets an error.
        let output = node.outputs.first().map_or("", String::as_str);
        match self.values.insert(output, value) {
            Some(_) => Err(GraphError::MadeTwice {
                node: names::label(node),
                value: output.into(),
            }),
            None => Ok(()),
        }
    }

    /// Appends a layer fed by `input`.
    fn push(
        &mut self,
        node: &Node,
        weight: Option<&str>,
        op: Op,
        input: NodeId,
    ) -> Result<NodeId, GraphError> {
        let name = names::unique(node, weight, &mut self.names);
        Ok(self.network.push(name, op, vec![input])?)
    }

    /// The network that ends with `output`.
    fn finish(mut self, output: &str) -> Result<Network, GraphError> {
        let wrong = |what| GraphError::Output {
            name: output.into(),
            what,
        };
        let last = match self.values.get(output) {
            Some(Value::Layer(layer)) => layer.clone(),
            Some(Value::Constant(_)) => return Err(wrong("the same for every picture")),
            None => return Err(wrong("not computed by any node")),
        };
        let shape = self.network.node(last.node).shape;
        if shape.h * shape.w != 1 || last.pad != [[0; 2]; 2] {
            return Err(wrong("a map"));
        }
        self.network.output_kind = last.ending.unwrap_or(OutputKind::Softmax);
        // What hangs on the way to other outputs was never read, so the logits come last.
        self.network.nodes.truncate(last.node.0 + 1);
        let mut network = affine::fold(self.network);
        names::as_vgg(&mut network);
        Ok(network)
    }

    /// Books elements that arithmetic on constants makes.
    fn book(&mut self, node: &Node, elements: usize) -> Result<(), GraphError> {
        self.folded = self.folded.saturating_add(elements);
        if self.folded > constants::MAX_FOLDED {
            return Err(GraphError::Use {
                node: names::label(node),
                op: node.op_type.clone(),
                what: "of so many constants",
            });
        }
        Ok(())
    }
}

/// The nodes that `output` needs, in the file's order, and the names of the values that they read.
fn needed<'a>(graph: &'a Graph, output: &'a str) -> (Vec<&'a Node>, BTreeSet<&'a str>) {
    let mut read = BTreeSet::from([output]);
    let mut nodes: Vec<&Node> = graph
        .nodes
        .iter()
        .rev()
        .filter(|node| {
            let wanted = node.outputs.iter().any(|name| read.contains(name.as_str()));
            if wanted {
                read.extend(node.inputs.iter().map(String::as_str));
            }
            wanted
        })
        .collect();
    nodes.reverse();
    (nodes, read)
}

/// Pictures at once, the shape of one, and the order of its axes.
fn picture(
    input: &Input,
    nodes: &[&Node],
    size: Size,
) -> Result<(usize, Shape, Vec<Axis>), GraphError> {
    let wrong = || GraphError::InputShape {
        name: input.name.clone(),
        shape: format!(
            "[{}]",
            input
                .shape
                .iter()
                .map(|length| length.map_or("?".into(), |n| n.to_string()))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let open = [None; 4];
    let shape = if input.shape.is_empty() {
        &open[..]
    } else {
        &input.shape
    };
    let &[batch, a, b, c] = shape else {
        return Err(wrong());
    };
    let turned = |node: &&&Node| node.inputs.first() == Some(&input.name);
    let last = match (a, c) {
        (Some(3), _) => false,
        (_, Some(3)) => true,
        (Some(1), _) => false,
        (_, Some(1)) => true,
        // Open: a graph that turns its input at once has the channels last.
        _ => nodes
            .iter()
            .find(turned)
            .is_some_and(|node| node.ints("perm") == Some(&[0, 3, 1, 2])),
    };
    let (channels, h, w) = if last { (c, a, b) } else { (a, b, c) };
    let (h, w) = match size {
        Size::Asked(size) => (size, size),
        Size::Open(size) => {
            let size = h.or(w).unwrap_or(size);
            (h.unwrap_or(size), w.unwrap_or(size))
        }
    };
    let batch = batch.unwrap_or(1);
    let sane = (1..=MAX_SIDE).contains(&h) && (1..=MAX_SIDE).contains(&w) && batch <= MAX_BATCH;
    let channels = channels.unwrap_or(3);
    if !matches!(channels, 1 | 3) || !sane {
        return Err(wrong());
    }
    let axes = match last {
        true => vec![Axis::N, Axis::H, Axis::W, Axis::C],
        false => vec![Axis::N, Axis::C, Axis::H, Axis::W],
    };
    Ok((batch, Shape::new(channels, h, w), axes))
}
