//! An ONNX graph as a network.
//!
//! The nodes that the output needs are read in the file's order, each behind those whose values it reads. A value is
//! either known beforehand (weights, and the arithmetic on shapes that exporters leave in the graph) or a layer of the
//! network, seen through the axes that the graph gives it at that point: a `Transpose` only renames axes, so that
//! networks exported from TensorFlow, which turn the picture around and back again, come out like any other.

mod activations;
mod arithmetic;
mod array;
mod attention;
mod attributes;
mod batch_norm;
mod blocks;
mod branches;
mod channels;
mod constants;
mod error;
mod gates;
mod gating;
mod inline;
mod layers;
mod modules;
mod names;
mod order;
mod outputs;
mod positions;
mod powers;
mod quantized;
mod reductions;
mod shapes;
mod sizes;
mod softmax;
mod sums;
mod views;
mod windows;
mod written_out;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::network::{MAX_SIDE, Network, NodeId, Op, OutputKind, Shape};
use crate::weights::onnx::{Attribute, Constant, Graph, Input, Node};

use super::{affine, guessed_size, names::Names};
use activations::Pending;
pub use error::GraphError;
use modules::Modules;
use outputs::Candidate;
pub use outputs::GraphOutput;
pub(super) use outputs::class_names;
use shapes::Axis;
use sums::Sums;

/// Outputs of a graph that are tried: a classifier has a few, and each takes an import of its own.
const MAX_OUTPUTS: usize = 16;
/// Pictures at once that a graph may be fixed to.
const MAX_BATCH: usize = 4096;

/// How large pictures are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// As the graph says; where it leaves that open, so many rows and columns.
    Open(usize),
    /// So many rows and columns, whatever the graph says.
    Asked(usize),
}

/// What is wanted of a graph.
#[derive(Clone, Copy)]
pub(super) struct GraphRequest<'a> {
    pub(super) size: Size,
    /// The output that the user names.
    pub(super) output: Option<&'a str>,
    /// Whether there are so many class names.
    pub(super) named: &'a dyn Fn(usize) -> bool,
}

/// A graph as a network, and what there is to know beside it.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) network: Network,
    /// Whether the file says that a picture's values are whole numbers.
    pub(super) bytes: bool,
    /// Whether the graph itself makes probabilities of its logits.
    ends: bool,
    /// All outputs, where there are several.
    pub(super) outputs: Vec<GraphOutput>,
    /// What was left out or assumed.
    pub(super) notes: Vec<String>,
}

/// The network that `graph` computes: the output that is asked for, else the one that looks like class scores.
pub(super) fn network(graph: &Graph, wanted: GraphRequest<'_>) -> Result<Imported, GraphError> {
    let unfolded = written_out::joined(order::sorted(inline::unfolded(graph)?));
    let graph = unfolded.as_ref();
    let mut candidates: Vec<Candidate> = graph
        .outputs
        .iter()
        .take(MAX_OUTPUTS)
        .map(|output| Candidate {
            name: output.name.clone(),
            read: Import::run(graph, &output.name, wanted.size),
        })
        .collect();
    read_before_choices(graph, wanted, &mut candidates);
    let (taken, note) = match wanted.output {
        None => outputs::choose(graph, &candidates, wanted.named)?,
        Some(name) => {
            let found = candidates.iter().position(|c| c.name == name);
            let names = || graph.outputs.iter().map(|output| output.name.clone());
            let found = found.ok_or_else(|| GraphError::NoSuchOutput {
                wanted: name.into(),
                names: names().collect(),
            })?;
            (found, None)
        }
    };
    let listed = candidates.iter().zip(&graph.outputs).enumerate();
    let listed = listed.map(|(i, (candidate, output))| GraphOutput {
        name: candidate.name.clone(),
        shape: match &candidate.read {
            Ok(imported) => Some(vec![imported.network.classes()]),
            // The first length is that of the batch.
            Err(_) => output.shape.iter().skip(1).copied().collect(),
        },
        taken: i == taken,
    });
    let listed: Vec<GraphOutput> = listed.collect();
    let mut imported = candidates.swap_remove(taken).read?;
    imported.outputs = listed;
    imported.notes.extend(note);
    Ok(imported)
}

/// Reads for outputs that only name or list the largest scores the scores themselves: for the one that is asked for, or where no
/// output is one number a class. Scores that two outputs compare are read once.
fn read_before_choices(graph: &Graph, wanted: GraphRequest<'_>, candidates: &mut [Candidate]) {
    let has_classes = |c: &Candidate| matches!(&c.read, Ok(read) if read.network.classes() > 1);
    let needed = !candidates.iter().any(has_classes);
    let mut compared = BTreeSet::new();
    for candidate in candidates {
        let asked = wanted.output.map_or(needed, |name| name == candidate.name);
        if asked
            && candidate.read.is_err()
            && let Some(scores) = outputs::before_choice(graph, &candidate.name)
            && compared.insert(scores.to_owned())
        {
            candidate.read = Import::run(graph, scores, wanted.size).map(|mut imported| {
                imported.notes.push(format!(
                    "output {:?} gives no scores itself, it is made of {scores:?}: those are the scores that are explained",
                    candidate.name
                ));
                imported
            });
        }
    }
}

/// A value of the graph.
#[derive(Clone, Debug)]
enum Value {
    /// Known beforehand.
    Constant(Constant),
    /// Computed from the picture.
    Layer(View),
    /// Single places of a layer, added up.
    Sums(Sums),
}

/// A layer's value as the graph sees it at some point.
#[derive(Clone, Debug)]
struct View {
    node: NodeId,
    /// What each dimension is.
    axes: Vec<Axis>,
    /// Zeros around rows and columns (before, after) that a `Pad` has announced for the convolution that follows.
    pad: [[usize; 2]; 2],
    /// Whether these are no zeros but the lowest numbers, which a maximum never takes.
    pads_lowest: bool,
    /// Which of its node's channels there are, in this order; `None` for all as they are.
    channels: Option<Arc<[usize]>>,
    /// What has been announced of it and is not computed yet.
    pending: Option<Pending>,
    /// Whether the graph has it as whole numbers here; the network computes with what they stand for.
    quantized: bool,
}

impl View {
    fn new(node: NodeId, axes: Vec<Axis>) -> Self {
        Self {
            node,
            axes,
            pad: [[0; 2]; 2],
            pads_lowest: false,
            channels: None,
            pending: None,
            quantized: false,
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
    /// As many as there may be.
    foldable: usize,
    /// Numbers among the graph's own constants: so many may go through norms.
    held: usize,
    /// Numbers that have.
    normed: usize,
    /// Weights of the layers that pick channels.
    picking: usize,
    /// Layers that are some channels of a node, in this order.
    picked: BTreeMap<(NodeId, Arc<[usize]>), NodeId>,
    /// What was left out or assumed.
    notes: Vec<String>,
    /// Layers whose values the graph rounds to whole numbers.
    rounded: usize,
    /// For layers by name the modules that they are a part of.
    modules: Modules,
}

impl<'a> Import<'a> {
    fn run(graph: &'a Graph, output: &str, size: Size) -> Result<Imported, GraphError> {
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
        let says = |axis| {
            let at = axes.iter().position(|&is| is == axis);
            at.is_some_and(|at| matches!(input.shape.get(at), Some(Some(_))))
        };
        let is_open = matches!(size, Size::Open(_)) && !(says(Axis::H) && says(Axis::W));
        let held = graph.constants.values().map(floats).sum();
        let mut names = Names::default();
        names.take("input");
        let mut import = Self {
            network: Network::new("onnx", shape),
            names,
            batch,
            values: BTreeMap::new(),
            folded: 0,
            foldable: constants::foldable(held),
            held,
            normed: 0,
            picking: 0,
            picked: BTreeMap::new(),
            notes: is_open.then(|| guessed_size(shape)).into_iter().collect(),
            rounded: 0,
            modules: Modules::default(),
        };
        let picture = View::new(NodeId(0), axes);
        import.values.insert(&input.name, Value::Layer(picture));
        for (name, constant) in &graph.constants {
            // Cheap: a tensor is a place in the file.
            import
                .values
                .insert(name, Value::Constant(constant.clone()));
        }
        let maker = nodes.last().copied();
        for node in nodes {
            import.node(node, graph.opset)?;
        }
        let bytes = input.dtype == "uint8";
        import.finish(output, maker, bytes)
    }

    /// Works out what a node gives.
    fn node(&mut self, node: &'a Node, opset: i64) -> Result<(), GraphError> {
        let opset = node.opset.unwrap_or(opset);
        if let Some((_, constant)) = node.constant() {
            return self.give(node, vec![Value::Constant(constant)]);
        }
        let values: &BTreeMap<&str, Value> = &self.values;
        let inputs = inputs_read(node)
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
        if node.op_type == "If" && node.is_standard() {
            return self.branch(node, opset, inputs.first().and_then(Option::as_ref));
        }
        if !node.is_standard() {
            return Err(node.unknown());
        }
        let call = layers::Call {
            node,
            opset,
            inputs,
        };
        let made = self.call(call)?;
        self.give(node, made)
    }

    /// The nodes of the branch that a condition takes which is known beforehand.
    fn branch(
        &mut self,
        node: &'a Node,
        opset: i64,
        condition: Option<&Value>,
    ) -> Result<(), GraphError> {
        let taken = match condition {
            Some(Value::Constant(Constant::Ints(ints))) => ints.values.first(),
            _ => None,
        };
        let name = match taken.ok_or_else(|| node.unknown())? {
            0 => "else_branch",
            _ => "then_branch",
        };
        let Some(Attribute::Graph(graph)) = node.attributes.get(name) else {
            return Err(node.unknown());
        };
        for (name, constant) in &graph.constants {
            self.values.insert(name, Value::Constant(constant.clone()));
        }
        for inner in &graph.nodes {
            self.node(inner, opset)?;
        }
        let given = graph.outputs.iter().map(|output| {
            let value = self.values.get(output.name.as_str()).cloned();
            value.ok_or_else(|| GraphError::MissingValue {
                node: names::label(node),
                value: output.name.clone(),
            })
        });
        let given = given.collect::<Result<Vec<Value>, _>>()?;
        self.give(node, given)
    }

    /// Keeps what a node gives.
    fn give(&mut self, node: &'a Node, made: Vec<Value>) -> Result<(), GraphError> {
        // Further outputs (a mask, indices) are not made: who reads one gets an error.
        for (output, value) in node.outputs.iter().zip(made) {
            if output.is_empty() {
                continue;
            }
            if self.values.insert(output, value).is_some() {
                return Err(GraphError::MadeTwice {
                    node: names::label(node),
                    value: output.clone(),
                });
            }
        }
        Ok(())
    }

    /// Appends a layer fed by `input`.
    fn push(
        &mut self,
        node: &Node,
        weight: Option<&str>,
        op: Op,
        input: NodeId,
    ) -> Result<NodeId, GraphError> {
        self.push_of(node, weight, op, vec![input])
    }

    /// Appends a layer fed by several.
    fn push_of(
        &mut self,
        node: &Node,
        weight: Option<&str>,
        op: Op,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, GraphError> {
        let name = names::unique(node, weight, &mut self.names);
        self.modules.add(&name, node);
        Ok(self.network.push(name, op, inputs)?)
    }

    /// The network that ends with `output`.
    fn finish(
        mut self,
        output: &str,
        maker: Option<&Node>,
        bytes: bool,
    ) -> Result<Imported, GraphError> {
        let wrong = |what| GraphError::Output {
            name: output.into(),
            what,
        };
        let mut last = match self.values.get(output) {
            Some(Value::Layer(layer)) => layer.clone(),
            Some(Value::Constant(_)) => return Err(wrong("the same for every picture")),
            Some(Value::Sums(_)) => return Err(wrong("a map")),
            None => return Err(wrong("not computed by any node")),
        };
        let kind = last.pending.and_then(Pending::output_kind);
        if let Some(maker) = maker {
            // All but what the output kind says is a layer of its own.
            let pending = last.pending.take_if(|_| kind.is_some());
            last = self.settled(maker, last)?;
            last.pending = pending;
        }
        let shape = self.shape_of_value(&last);
        if shape.h * shape.w != 1 {
            return Err(wrong("a map"));
        }
        if self.is_of_probabilities(last.node) {
            return Err(wrong("made of probabilities, after a softmax"));
        }
        if kind.is_none() && shape.c > 1 && self.is_of_sigmoids(last.node) {
            return Err(wrong("made of probabilities, after a sigmoid"));
        }
        self.network.output_kind = kind.unwrap_or(OutputKind::Softmax);
        self.network.nodes.truncate(last.node.0 + 1);
        if self.rounded > 0 {
            self.notes.push(format!(
                "the graph rounds values to 8 bits at {} places; here they are computed without, so that probabilities differ a little",
                self.rounded
            ));
        }
        let unfolded = read_nodes(self.network);
        let mut network = affine::fold(unfolded.clone());
        self.modules.name(&mut network, &unfolded);
        names::as_vgg(&mut network);
        Ok(Imported {
            network,
            bytes,
            ends: last.pending.is_some(),
            outputs: vec![],
            notes: self.notes,
        })
    }

    /// Books elements that arithmetic on constants makes.
    fn book(&mut self, node: &Node, elements: usize) -> Result<(), GraphError> {
        self.folded = self.folded.saturating_add(elements);
        if self.folded > self.foldable {
            return Err(GraphError::Use {
                node: names::label(node),
                op: node.op_type.clone(),
                what: "of so many constants",
            });
        }
        Ok(())
    }
}

fn floats(constant: &Constant) -> usize {
    match constant {
        Constant::Floats(tensor) => tensor.len(),
        Constant::Ints(_) | Constant::Quantized(_) | Constant::Other(_) => 0,
    }
}

/// The network without the nodes that nothing reads: pieces of what became one layer.
fn read_nodes(network: Network) -> Network {
    let mut read = vec![false; network.nodes.len()];
    read[0] = true;
    read[network.output().0] = true;
    for node in (0..network.nodes.len()).rev() {
        if read[node] {
            for input in &network.nodes[node].inputs {
                read[input.0] = true;
            }
        }
    }
    let mut moved = vec![];
    let mut nodes = vec![];
    for (mut node, read) in network.nodes.iter().cloned().zip(read) {
        moved.push(NodeId(nodes.len()));
        if read {
            for input in &mut node.inputs {
                *input = moved[input.0];
            }
            nodes.push(node);
        }
    }
    network.with_nodes(nodes)
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
                read_by(node, &mut read);
            }
            wanted
        })
        .collect();
    nodes.reverse();
    (nodes, read)
}

/// Adds the names of the values that a node reads, and the graphs within it: what they make themselves does no harm there.
fn read_by<'a>(node: &'a Node, read: &mut BTreeSet<&'a str>) {
    read.extend(inputs_read(node).iter().map(String::as_str));
    for attribute in node.attributes.values() {
        if let Attribute::Graph(graph) = attribute {
            read.extend(graph.outputs.iter().map(|output| output.name.as_str()));
            graph.nodes.iter().for_each(|inner| read_by(inner, read));
        }
    }
}

/// The inputs that matter to what a node gives first. In training mode a batch norm measures its statistics itself, and those that it is
/// given go into a running average.
fn inputs_read(node: &Node) -> &[String] {
    const MEASURED: usize = 3;
    match node.op_type == "BatchNormalization" && node.int("training_mode").unwrap_or(0) != 0 {
        true => &node.inputs[..node.inputs.len().min(MEASURED)],
        false => &node.inputs,
    }
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
    // A graph that makes a batch of its one picture itself has no dimension for it here.
    let alone = shape.len() == 3;
    let [batch, a, b, c] = match *shape {
        [a, b, c] => [Some(1), a, b, c],
        [batch, a, b, c] => [batch, a, b, c],
        _ => return Err(wrong()),
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
            .is_some_and(|node| matches!(node.ints("perm"), Some(&[0, 3, 1, 2] | &[2, 0, 1]))),
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
    let mut axes = match last {
        true => vec![Axis::N, Axis::H, Axis::W, Axis::C],
        false => vec![Axis::N, Axis::C, Axis::H, Axis::W],
    };
    if alone {
        axes.remove(0);
    }
    Ok((batch, Shape::new(channels, h, w), axes))
}
