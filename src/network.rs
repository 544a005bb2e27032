//! The network as data: nodes in topological order, each with an op, input nodes and a name.
//!
//! A chain such as VGG is the simple case of a graph: every node names its inputs, and nothing below assumes that
//! a node has one consumer. Shapes are those of one image; the batch dimension belongs to the [plan](crate::plan).

mod activation;
mod called;
mod infer;
mod op;
mod positions;
mod resample;
#[cfg(test)]
mod tests;

pub(crate) use activation::SELU;
pub use activation::{Activation, SavedValue};
pub use op::{
    FilterLayout, FlattenOrder, Lrn, MatrixLayout, Op, Pad, ReluRule, SoftmaxOver, Window,
};
pub use resample::{
    Coordinates, Interpolation, NearestMode, RepeatMode, Resample, Resize, ResizeTo, Taps,
};

use std::collections::{BTreeMap, HashSet};

pub(crate) use infer::filter_axes;
use infer::infer_shape;

use crate::named::named;

/// Rows or columns of a picture or a window at most, as far as files and options say them.
pub const MAX_SIDE: usize = 4096;
/// Elements of one layer's value for one picture, at most: more than any adapter binds.
pub const MAX_ELEMENTS: usize = 1 << 30;
/// Multiply-adds of one layer for one picture, at most: thirty times VGG16's largest at 4096 x 4096 pixels, and few enough that no
/// sum of them overflows.
const MAX_WORK: u64 = 1 << 46;
/// Places that a maximum may come from: the kernels keep its number in one byte.
pub(crate) const MAX_POOL: usize = 256;

/// Index of a node in [`Network::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Shape of one image's value: channels, rows, columns. A vector is `len x 1 x 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels, or the length of a vector.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Shape {
    /// A feature map.
    pub const fn new(c: usize, h: usize, w: usize) -> Self {
        Self { c, h, w }
    }

    /// A vector.
    pub const fn vector(len: usize) -> Self {
        Self { c: len, h: 1, w: 1 }
    }

    /// Number of elements; saturates, so that an absurd shape fails a size check instead of wrapping.
    pub const fn len(self) -> usize {
        self.c.saturating_mul(self.h).saturating_mul(self.w)
    }

    /// Whether there is no element.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.c, self.h, self.w)
    }
}

named! {
    /// What turns a network's last values, the logits, into probabilities.
    pub enum OutputKind {
        /// One class excludes the others; the probabilities sum to one
        Softmax = "softmax",
        /// Each class stands for itself: several may be there, or none
        Sigmoid = "sigmoid",
    }
}

/// One step of the network.
#[derive(Clone, Debug)]
pub struct Node {
    /// The layer's name, unique in the network.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its inputs come from; all earlier in the list.
    pub inputs: Vec<NodeId>,
    /// Shape of its value for one image.
    pub shape: Shape,
}

/// An image classifier: a picture in, one logit a class out of the last node.
#[derive(Clone, Debug)]
pub struct Network {
    /// For people: `vgg16`, `vgg16-gap`.
    pub architecture: String,
    /// Nodes in topological order; the first is the input, the last gives the logits.
    pub nodes: Vec<Node>,
    /// How the logits are read.
    pub output_kind: OutputKind,
    /// Of the nodes: plans share what has one name.
    names: HashSet<String>,
    /// What else layers may be asked for as, and the names of these layers.
    aliases: Vec<(String, String)>,
}

/// Why a network cannot be built or a layer not be found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetworkError {
    /// A name that another layer has.
    #[error("two layers are called {0:?}")]
    NameTaken(String),
    /// A layer that reads none or several, or one that does not come before it.
    #[error("layer {0} does not read one earlier layer")]
    Inputs(String),
    /// A sum, product or concatenation of too few or too many.
    #[error("layer {node} reads {found}, expected {expected}")]
    InputCount {
        /// The layer.
        node: String,
        /// How many there should be, in words.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Values of shapes that do not go together.
    #[error(
        "layer {node} joins {} and {}, which are neither of one shape nor the same but for one position in place of many",
        shapes[0], shapes[1]
    )]
    Unlike {
        /// The layer.
        node: String,
        /// Of what comes in.
        shapes: [Shape; 2],
    },
    /// A layer larger than anything computes.
    #[error(
        "layer {node} has {shape} values and {multiply_adds} multiply-adds, more than any adapter takes"
    )]
    TooLarge {
        /// The layer.
        node: String,
        /// Of its value.
        shape: Shape,
        /// For one picture; saturated.
        multiply_adds: u64,
    },
    /// A layer that gives nothing.
    #[error("layer {node} gives {shape} values: none")]
    Empty {
        /// The layer.
        node: String,
        /// Of its value.
        shape: Shape,
    },
    /// A window that takes no step, or no taps.
    #[error("layer {0} has a window without taps or steps")]
    EmptyWindow(String),
    /// A pool over more places than there are numbers for.
    #[error("layer {node}: a maximum over {} x {} places; up to {MAX_POOL} places are supported", size[0], size[1])]
    PoolTooLarge {
        /// The layer.
        node: String,
        /// Its window.
        size: [usize; 2],
    },
    /// A pool with gaps between its taps.
    #[error("layer {0}: pools with dilations are not supported")]
    DilatedPool(String),
    /// A dense layer over a map.
    #[error(
        "layer {node} reads a map of {input}, expected a vector: a layer before it must say how that is flattened"
    )]
    NotAVector {
        /// The layer.
        node: String,
        /// What comes in.
        input: Shape,
    },
    /// A window larger than what it slides over.
    #[error("layer {node}: a window of {size:?} does not fit its input of {input}")]
    WindowDoesNotFit {
        /// The layer.
        node: String,
        /// Its window.
        size: [usize; 2],
        /// What comes in.
        input: Shape,
    },
    /// A tensor whose shape is not what the layers before it call for.
    #[error("layer {node}: its {what} have shape {found:?}, expected {expected}")]
    WrongShape {
        /// The layer.
        node: String,
        /// `weights`, `biases`, `scales` or `shifts`.
        what: &'static str,
        /// Shape in the file.
        found: Vec<usize>,
        /// What would fit, in words.
        expected: String,
    },
    /// A number that the op cannot have.
    #[error("layer {node}: {what}, which nothing can compute with")]
    Setting {
        /// The layer.
        node: String,
        /// The number, in words.
        what: String,
    },
    /// A layer that does not exist.
    #[error(
        "no layer {wanted:?} to look at{}; this network has: {}",
        called::did_you_mean(near), names.join(", ")
    )]
    NoSuchLayer {
        /// What was asked for.
        wanted: String,
        /// Names that may have been meant, nearest first.
        near: Vec<String>,
        /// What there is.
        names: Vec<String>,
    },
    /// A layer whose value is a vector.
    #[error(
        "layer {wanted} has no rows and columns, its value is a list of {len} numbers: a map needs one of {}",
        names.join(", ")
    )]
    NoPositions {
        /// What was asked for.
        wanted: String,
        /// How long the list is.
        len: usize,
        /// Layers that have rows and columns.
        names: Vec<String>,
    },
    /// The picture as a layer.
    #[error(
        "{0} is the picture itself: for what its pixels do, take a pixel method, as in --method gradient"
    )]
    PictureAsLayer(String),
}

impl Network {
    /// An empty network over pictures of `input`'s shape.
    pub fn new(architecture: impl Into<String>, input: Shape) -> Self {
        let node = Node {
            name: "input".into(),
            op: Op::Input,
            inputs: vec![],
            shape: input,
        };
        Self {
            architecture: architecture.into(),
            names: HashSet::from([node.name.clone()]),
            aliases: vec![],
            nodes: vec![node],
            output_kind: OutputKind::Softmax,
        }
    }

    /// The network with other nodes, which must be as [`Network::push`] leaves them.
    pub(crate) fn with_nodes(self, nodes: Vec<Node>) -> Self {
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        Self {
            nodes,
            names,
            ..self
        }
    }

    /// Appends a node fed by `inputs` and works out its shape. What the engine cannot compute is refused here, whatever file
    /// it comes from.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, NetworkError> {
        let name = name.into();
        let shapes = inputs
            .iter()
            .map(|input| Some(self.nodes.get(input.0)?.shape));
        let Some(shapes) = shapes.collect::<Option<Vec<_>>>() else {
            return Err(NetworkError::Inputs(name));
        };
        let shape = infer_shape(&name, &op, &shapes)?;
        let node = Node {
            name,
            op,
            inputs,
            shape,
        };
        if shape.is_empty() {
            return Err(NetworkError::Empty {
                node: node.name,
                shape,
            });
        }
        let multiply_adds = node.multiply_adds(&shapes);
        if shape.len() > MAX_ELEMENTS || multiply_adds > MAX_WORK {
            return Err(NetworkError::TooLarge {
                node: node.name,
                shape,
                multiply_adds,
            });
        }
        if !self.names.insert(node.name.clone()) {
            return Err(NetworkError::NameTaken(node.name));
        }
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// The same layers over pictures of `input`'s shape, where they fit.
    pub fn at_input(&self, input: Shape) -> Result<Self, NetworkError> {
        let mut network = Self::new(self.architecture.clone(), input);
        network.output_kind = self.output_kind;
        network.aliases.clone_from(&self.aliases);
        for node in &self.nodes[1..] {
            network.push(node.name.clone(), node.op.clone(), node.inputs.clone())?;
        }
        Ok(network)
    }

    /// Appends a node fed by the last one.
    pub fn chain(&mut self, name: impl Into<String>, op: Op) -> Result<NodeId, NetworkError> {
        self.push(name, op, vec![self.output()])
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Shape of the picture it takes.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// The node that gives the logits.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.node(self.output()).shape.len()
    }

    /// Nodes that read `id`.
    pub fn consumers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len())
            .map(NodeId)
            .filter(move |&n| self.node(n).inputs.contains(&id))
    }

    /// For each node whether `id`'s value reaches it; `id` itself counts.
    pub fn descendants(&self, id: NodeId) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        reached[id.0] = true;
        for later in id.0 + 1..self.nodes.len() {
            reached[later] = self.nodes[later]
                .inputs
                .iter()
                .any(|input| reached[input.0]);
        }
        reached
    }

    /// The activation that is the only reader of `id`: to people the two are one layer.
    pub(crate) fn activation(&self, id: NodeId) -> Option<NodeId> {
        let reader = self.only_reader(id)?;
        matches!(self.node(reader).op, Op::Activate(_)).then_some(reader)
    }

    /// Names of layers to look at, those that people speak of: convolutions, pools and joined branches that give a feature map.
    pub fn target_names(&self) -> Vec<String> {
        self.nodes
            .iter()
            .filter(|node| node.shape.h * node.shape.w > 1)
            .filter(|node| {
                matches!(
                    node.op,
                    Op::Conv2d { .. }
                        | Op::Add
                        | Op::Concat
                        | Op::MaxPool(_)
                        | Op::AvgPool { .. }
                        | Op::AdaptiveAvgPool(_)
                )
            })
            .map(|node| node.name.clone())
            .collect()
    }

    /// The node whose activations a CAM weighs: the named layer, after its activation where it is a layer with one, or by
    /// default the last convolution's whose map has more than one place: those of a head made of convolutions show nothing. Where
    /// branches meet after that convolution, as at the end of a residual block, what they make together. Any layer whose value is
    /// a feature map will do.
    pub fn target(&self, name: Option<&str>) -> Result<NodeId, NetworkError> {
        let names = || self.target_names();
        let wanted = || name.unwrap_or("the last convolution").into();
        let found = match name {
            Some(name) => self.called(name)?.0,
            None => self.last_map().ok_or_else(|| NetworkError::NoSuchLayer {
                wanted: wanted(),
                near: vec![],
                names: names(),
            })?,
        };
        let id = NodeId(found);
        let Node { op, shape, .. } = self.node(id);
        if matches!(op, Op::Input) {
            return Err(NetworkError::PictureAsLayer(wanted()));
        }
        if name.is_some() && shape.h * shape.w == 1 {
            return Err(NetworkError::NoPositions {
                wanted: wanted(),
                len: shape.len(),
                names: names(),
            });
        }
        Ok(self.activation(id).unwrap_or(id))
    }

    /// The last convolution with more than one place, or where branches meet after it, with the normalisation after that. A batch
    /// norm after a convolution is a part of it.
    fn last_map(&self) -> Option<usize> {
        let convolution = self.last_convolution()?;
        let has_places = |id: usize| self.nodes[id].shape.h * self.nodes[id].shape.w > 1;
        let joins =
            |&id: &usize| matches!(self.nodes[id].op, Op::Add | Op::Mul | Op::Max | Op::Concat);
        let later = convolution + 1..self.nodes.len();
        let joined = later.rev().filter(joins).find(|&id| has_places(id));
        let mut last = self.before_ways_around(joined.unwrap_or(convolution));
        let is_joined = joins(&last);
        while let Some(NodeId(next)) = self.only_reader(NodeId(last))
            && match self.nodes[next].op {
                Op::GroupNorm { .. } => true,
                Op::Affine { .. } | Op::LayerNorm { .. } => is_joined,
                _ => false,
            }
        {
            last = next;
        }
        Some(last)
    }

    /// `id`, or where values go around it the last convolution or meeting of branches before it that all go through and whose map
    /// is as large: of a standard deviation not the distances from the mean, of weighed positions not the weights. Not where
    /// convolutions with more than one tap come between the two: those are branches of their own.
    fn before_ways_around(&self, id: usize) -> usize {
        let mut last_reader = vec![0; self.nodes.len()];
        for (reader, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                last_reader[input.0] = reader;
            }
        }
        let size = |id: usize| [self.nodes[id].shape.h, self.nodes[id].shape.w];
        let mut furthest = 0;
        let mut found = id;
        for (at, &reader) in last_reader.iter().enumerate().take(id + 1) {
            let is_layer = match &self.nodes[at].op {
                Op::Conv2d { window, .. } => {
                    if window.size != [1; 2] {
                        found = id;
                    }
                    true
                }
                op => matches!(op, Op::Add | Op::Mul | Op::Max | Op::Concat),
            };
            if furthest <= at && (at == id || is_layer && size(at) == size(id)) {
                found = at;
            }
            furthest = furthest.max(reader);
        }
        found
    }

    /// The node that alone reads `id`.
    pub(crate) fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        let mut consumers = self.consumers(id);
        consumers.next().filter(|_| consumers.next().is_none())
    }

    /// The last convolution with more than one place, or the last one where none has.
    fn last_convolution(&self) -> Option<usize> {
        let is_convolution = |node: &Node| matches!(node.op, Op::Conv2d { .. });
        let has_places = |node: &Node| node.shape.h * node.shape.w > 1;
        let mapped = |node: &Node| is_convolution(node) && has_places(node);
        let found = self.nodes.iter().rposition(mapped);
        found.or_else(|| self.nodes.iter().rposition(is_convolution))
    }

    /// The layer's name for people: an activation goes by the layer that it belongs to.
    pub fn layer_name(&self, id: NodeId) -> &str {
        match self.node(id).op {
            Op::Activate(_) => &self.node(self.node(id).inputs[0]).name,
            _ => &self.node(id).name,
        }
    }

    /// The activations through which guided backpropagation and deconvolution send the plain gradient, as their rules are for
    /// others ([`Activation::has_rule`]): each kind with the number of its layers.
    pub fn unguided_activations(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for node in &self.nodes {
            if let Op::Activate(activation) = &node.op
                && !activation.has_rule()
            {
                *kinds.entry(activation.to_string()).or_default() += 1;
            }
        }
        kinds
    }

    /// Weights and biases, in elements.
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|node| node.op.parameters()).sum()
    }

    /// Multiply-adds of a forward pass for one image.
    pub fn multiply_adds(&self) -> u64 {
        let nodes = (0..self.nodes.len()).map(NodeId);
        nodes.map(|id| self.multiply_adds_of(id)).sum()
    }

    /// Multiply-adds of a node for one image.
    pub fn multiply_adds_of(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let inputs = node.inputs.iter().map(|&input| self.node(input).shape);
        node.multiply_adds(&inputs.collect::<Vec<_>>())
    }
}

impl Node {
    /// Multiply-adds for one image and inputs of these shapes: every weight once for each position of the output; of attention
    /// every channel of a head once for each query and key. Saturates.
    fn multiply_adds(&self, inputs: &[Shape]) -> u64 {
        let each = |terms: usize| (self.shape.len() as u64).saturating_mul(terms as u64);
        match &self.op {
            Op::Conv2d { weight, .. } => {
                let positions = self.shape.h as u64 * self.shape.w as u64;
                (weight.len() as u64).saturating_mul(positions)
            }
            Op::Linear { weight, .. } => weight.len() as u64,
            Op::AttentionScores { heads, .. } => each(inputs[0].c / heads),
            Op::AttentionSum { .. } => each(inputs[1].h * inputs[1].w),
            Op::Input
            | Op::Affine { .. }
            | Op::Activate(_)
            | Op::LayerNorm { .. }
            | Op::GroupNorm { .. }
            | Op::Add
            | Op::Mul
            | Op::Max
            | Op::Concat
            | Op::Pad(_)
            | Op::Resample(_)
            | Op::Transpose
            | Op::Softmax(_)
            | Op::Lrn(_)
            | Op::MaxPool(_)
            | Op::AvgPool { .. }
            | Op::AdaptiveAvgPool(_)
            | Op::GlobalMean
            | Op::Flatten(_) => 0,
        }
    }
}
