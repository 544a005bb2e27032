//! The network itself as JSON, for the metadata of a file whose tensors' names do not tell it: the nodes of
//! [`Network`] in order, each with its op's own words, tensors left out. Those of node `conv1` are `conv1.weight` and
//! `conv1.bias`.
//!
//! ```json
//! {"input":[3,224,224],"nodes":[
//!   {"name":"conv1","inputs":[0],"op":"conv2d","layout":"oihw","window":{"size":[3,3],"stride":[1,1], ...}},
//!   {"name":"relu1","inputs":[1],"op":"relu"}]}
//! ```
//! Node 0 is the input, which is not listed.

use serde::{Deserialize, Serialize};

use crate::network::{
    Activation, FilterLayout, FlattenOrder, Lrn, MAX_SIDE, MatrixLayout, Network, NetworkError,
    NodeId, Op, Pad, Resample, Shape, SoftmaxOver, Window,
};
use crate::weights::{Tensor, Weights};

/// Why a graph makes no network.
#[derive(Debug, thiserror::Error)]
pub enum NodeListError {
    /// Not the JSON above.
    #[error("{0}")]
    Json(serde_json::Error),
    /// A picture of a size that no network takes.
    #[error("an input of {0:?}, expected 3 channels, or 1, and up to {MAX_SIDE} rows and columns")]
    Input([usize; 3]),
    /// A name that cannot be shown.
    #[error("node {0:?} has a name with control characters")]
    Name(String),
    /// A window, or a number of bins, beyond any picture.
    #[error("node {0} has a window larger than any picture")]
    Window(String),
    /// Nothing between the bounds.
    #[error("node {0} has bounds with nothing between them")]
    Bounds(String),
    /// A tensor that is not there.
    #[error("node {node} has no tensor {node}.{part}")]
    MissingTensor {
        /// The node.
        node: String,
        /// `weight` or `bias`.
        part: &'static str,
    },
    /// An output that is not one value a class.
    #[error("the last node gives {0}, not one value a class")]
    Output(Shape),
    /// Layers that do not fit one another.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// A network without its tensors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeList {
    /// Channels, rows, columns.
    input: [usize; 3],
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    name: String,
    inputs: Vec<usize>,
    #[serde(flatten)]
    op: Words,
}

/// An [`Op`] without its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Words {
    Conv2d {
        layout: FilterLayout,
        window: Window,
        #[serde(default = "one_group")]
        groups: usize,
    },
    Affine,
    LayerNorm {
        epsilon: f32,
    },
    GroupNorm {
        groups: usize,
        epsilon: f32,
    },
    Relu,
    Clip {
        low: Option<f32>,
        high: Option<f32>,
    },
    LeakyRelu {
        alpha: f32,
    },
    Prelu,
    Elu {
        alpha: f32,
    },
    Selu,
    Sigmoid,
    Tanh,
    Silu,
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    HardSwish,
    Gelu,
    GeluTanh,
    Softplus,
    Mish,
    Square,
    Sqrt,
    Reciprocal,
    Abs,
    Exp,
    Log,
    Power {
        low: f32,
        power: f32,
    },
    Add,
    Mul,
    Max,
    Concat,
    Pad {
        before: [i32; 2],
        after: [i32; 2],
        value: f32,
    },
    Resample {
        rule: Resample,
    },
    Transpose,
    Softmax {
        over: SoftmaxOver,
    },
    AttentionScores {
        heads: usize,
        scale: f32,
    },
    AttentionSum {
        heads: usize,
    },
    Lrn {
        size: usize,
        alpha: f32,
        beta: f32,
        bias: f32,
    },
    MaxPool {
        window: Window,
    },
    AvgPool {
        window: Window,
        count_include_pad: bool,
    },
    AdaptiveAvgPool {
        size: [usize; 2],
    },
    GlobalMean,
    Flatten {
        order: FlattenOrder,
    },
    Linear {
        layout: MatrixLayout,
    },
}

/// A graph that does not speak of groups has none.
fn one_group() -> usize {
    1
}

impl NodeList {
    pub(super) fn parse(json: &str) -> Result<Self, NodeListError> {
        serde_json::from_str(json).map_err(NodeListError::Json)
    }

    /// The JSON of `network`.
    pub(crate) fn text(network: &Network) -> String {
        let Shape { c, h, w } = network.input_shape();
        let nodes = network.nodes.iter().filter_map(|node| {
            Some(Node {
                name: node.name.clone(),
                inputs: node.inputs.iter().map(|input| input.0).collect(),
                op: words(&node.op)?,
            })
        });
        let graph = Self {
            input: [c, h, w],
            nodes: nodes.collect(),
        };
        serde_json::to_string(&graph).expect("names and numbers have a text")
    }
}

/// `None` for the input, which is not listed.
fn words(op: &Op) -> Option<Words> {
    Some(match op {
        Op::Input => return None,
        Op::Conv2d {
            layout,
            window,
            groups,
            ..
        } => Words::Conv2d {
            layout: *layout,
            window: *window,
            groups: *groups,
        },
        Op::Affine { .. } => Words::Affine,
        Op::LayerNorm { epsilon, .. } => Words::LayerNorm { epsilon: *epsilon },
        Op::GroupNorm {
            groups, epsilon, ..
        } => Words::GroupNorm {
            groups: *groups,
            epsilon: *epsilon,
        },
        Op::Activate(activation) => activation_words(activation),
        Op::Add => Words::Add,
        Op::Mul => Words::Mul,
        Op::Max => Words::Max,
        Op::Concat => Words::Concat,
        Op::Pad(pad) => Words::Pad {
            before: pad.before,
            after: pad.after,
            value: pad.value,
        },
        Op::Resample(rule) => Words::Resample { rule: *rule },
        Op::Transpose => Words::Transpose,
        Op::Softmax(over) => Words::Softmax { over: *over },
        Op::AttentionScores { heads, scale } => Words::AttentionScores {
            heads: *heads,
            scale: *scale,
        },
        Op::AttentionSum { heads } => Words::AttentionSum { heads: *heads },
        Op::Lrn(lrn) => Words::Lrn {
            size: lrn.size,
            alpha: lrn.alpha,
            beta: lrn.beta,
            bias: lrn.bias,
        },
        Op::MaxPool(window) => Words::MaxPool { window: *window },
        Op::AvgPool {
            window,
            count_include_pad,
        } => Words::AvgPool {
            window: *window,
            count_include_pad: *count_include_pad,
        },
        Op::AdaptiveAvgPool(size) => Words::AdaptiveAvgPool { size: *size },
        Op::GlobalMean => Words::GlobalMean,
        Op::Flatten(order) => Words::Flatten { order: *order },
        Op::Linear { layout, .. } => Words::Linear { layout: *layout },
    })
}

fn activation_words(activation: &Activation) -> Words {
    match activation {
        Activation::Relu => Words::Relu,
        // JSON has no word for what is infinite.
        Activation::Clip { low, high } => Words::Clip {
            low: low.is_finite().then_some(*low),
            high: high.is_finite().then_some(*high),
        },
        Activation::LeakyRelu { alpha } => Words::LeakyRelu { alpha: *alpha },
        Activation::PRelu { .. } => Words::Prelu,
        Activation::Elu { alpha } => Words::Elu { alpha: *alpha },
        Activation::Selu => Words::Selu,
        Activation::Sigmoid => Words::Sigmoid,
        Activation::Tanh => Words::Tanh,
        Activation::Silu => Words::Silu,
        Activation::HardSigmoid { alpha, beta } => Words::HardSigmoid {
            alpha: *alpha,
            beta: *beta,
        },
        Activation::HardSwish => Words::HardSwish,
        Activation::Gelu => Words::Gelu,
        Activation::GeluTanh => Words::GeluTanh,
        Activation::Softplus => Words::Softplus,
        Activation::Mish => Words::Mish,
        Activation::Square => Words::Square,
        Activation::Sqrt => Words::Sqrt,
        Activation::Reciprocal => Words::Reciprocal,
        Activation::Abs => Words::Abs,
        Activation::Exp => Words::Exp,
        Activation::Log => Words::Log,
        Activation::Power { low, power } => Words::Power {
            low: *low,
            power: *power,
        },
    }
}

/// Every tensor of `network` with the name that a graph gives it.
pub(crate) fn tensors(network: &Network) -> Vec<(String, &Tensor)> {
    let mut tensors = vec![];
    for node in &network.nodes {
        for (part, tensor) in ["weight", "bias"].into_iter().zip(node.op.tensors()) {
            let name = format!("{}.{part}", node.name);
            tensors.extend(tensor.map(|tensor| (name, tensor)));
        }
    }
    tensors
}

/// The network that `graph` and the tensors of its file make.
pub(super) fn network(graph: &NodeList, weights: &Weights) -> Result<Network, NodeListError> {
    let [c, h, w] = graph.input;
    if !matches!(c, 1 | 3) || !(1..=MAX_SIDE).contains(&h) || !(1..=MAX_SIDE).contains(&w) {
        return Err(NodeListError::Input(graph.input));
    }
    let mut network = Network::new("graph", Shape::new(c, h, w));
    for node in &graph.nodes {
        if node.name.contains(char::is_control) {
            return Err(NodeListError::Name(node.name.clone()));
        }
        let op = op(node, weights)?;
        let inputs = node.inputs.iter().copied().map(NodeId).collect();
        network.push(node.name.clone(), op, inputs)?;
    }
    let output = network.node(network.output()).shape;
    if output != Shape::vector(output.c) || output.is_empty() {
        return Err(NodeListError::Output(output));
    }
    Ok(network)
}

fn op(node: &Node, weights: &Weights) -> Result<Op, NodeListError> {
    let tensor = |part| weights.tensor(&format!("{}.{part}", node.name)).cloned();
    let required = |part| {
        let missing = || NodeListError::MissingTensor {
            node: node.name.clone(),
            part,
        };
        tensor(part).ok_or_else(missing)
    };
    Ok(match node.op {
        Words::Conv2d {
            layout,
            window,
            groups,
        } => Op::Conv2d {
            weight: required("weight")?,
            bias: tensor("bias"),
            layout,
            window: node.usable_window(window)?,
            groups,
        },
        Words::Affine => Op::Affine {
            scale: required("weight")?,
            shift: required("bias")?,
        },
        Words::LayerNorm { epsilon } => Op::LayerNorm {
            scale: required("weight")?,
            shift: required("bias")?,
            epsilon,
        },
        Words::GroupNorm { groups, epsilon } => Op::GroupNorm {
            groups,
            scale: required("weight")?,
            shift: required("bias")?,
            epsilon,
        },
        Words::Relu => Op::RELU,
        Words::Clip { low, high } => {
            let low = low.unwrap_or(f32::NEG_INFINITY);
            let high = high.unwrap_or(f32::INFINITY);
            if low >= high {
                return Err(NodeListError::Bounds(node.name.clone()));
            }
            Op::clip(low, high)
        }
        Words::LeakyRelu { alpha } => Op::Activate(Activation::LeakyRelu { alpha }),
        Words::Prelu => Op::Activate(Activation::PRelu {
            slope: required("weight")?,
        }),
        Words::Elu { alpha } => Op::Activate(Activation::Elu { alpha }),
        Words::Selu => Op::Activate(Activation::Selu),
        Words::Sigmoid => Op::Activate(Activation::Sigmoid),
        Words::Tanh => Op::Activate(Activation::Tanh),
        Words::Silu => Op::Activate(Activation::Silu),
        Words::HardSigmoid { alpha, beta } => Op::Activate(Activation::HardSigmoid { alpha, beta }),
        Words::HardSwish => Op::Activate(Activation::HardSwish),
        Words::Gelu => Op::Activate(Activation::Gelu),
        Words::GeluTanh => Op::Activate(Activation::GeluTanh),
        Words::Softplus => Op::Activate(Activation::Softplus),
        Words::Mish => Op::Activate(Activation::Mish),
        Words::Square => Op::Activate(Activation::Square),
        Words::Sqrt => Op::Activate(Activation::Sqrt),
        Words::Reciprocal => Op::Activate(Activation::Reciprocal),
        Words::Abs => Op::Activate(Activation::Abs),
        Words::Exp => Op::Activate(Activation::Exp),
        Words::Log => Op::Activate(Activation::Log),
        Words::Power { low, power } => Op::Activate(Activation::Power { low, power }),
        Words::Add => Op::Add,
        Words::Mul => Op::Mul,
        Words::Max => Op::Max,
        Words::Concat => Op::Concat,
        Words::Pad {
            before,
            after,
            value,
        } => {
            let sides = [before, after].concat();
            node.expect_lengths(sides.iter().map(|side| side.unsigned_abs() as usize))?;
            Op::Pad(Pad {
                before,
                after,
                value,
            })
        }
        Words::Resample { rule } => Op::Resample(rule),
        Words::Transpose => Op::Transpose,
        Words::Softmax { over } => Op::Softmax(over),
        Words::AttentionScores { heads, scale } => Op::AttentionScores { heads, scale },
        Words::AttentionSum { heads } => Op::AttentionSum { heads },
        Words::Lrn {
            size,
            alpha,
            beta,
            bias,
        } => Op::Lrn(Lrn {
            size,
            alpha,
            beta,
            bias,
        }),
        Words::MaxPool { window } => Op::MaxPool(node.usable_window(window)?),
        Words::AvgPool {
            window,
            count_include_pad,
        } => Op::AvgPool {
            window: node.usable_window(window)?,
            count_include_pad,
        },
        Words::AdaptiveAvgPool { size } => {
            node.expect_lengths(size)?;
            Op::AdaptiveAvgPool(size)
        }
        Words::GlobalMean => Op::GlobalMean,
        Words::Flatten { order } => Op::Flatten(order),
        Words::Linear { layout } => Op::Linear {
            weight: required("weight")?,
            bias: tensor("bias"),
            layout,
        },
    })
}

impl Node {
    fn usable_window(&self, window: Window) -> Result<Window, NodeListError> {
        let lengths = [
            window.size,
            window.stride,
            window.dilation,
            window.pad_before,
            window.pad_after,
        ];
        self.expect_lengths(lengths.concat())?;
        Ok(window)
    }

    /// Refuses lengths beyond any picture.
    fn expect_lengths(
        &self,
        lengths: impl IntoIterator<Item = usize>,
    ) -> Result<(), NodeListError> {
        match lengths.into_iter().all(|length| length <= MAX_SIDE) {
            true => Ok(()),
            false => Err(NodeListError::Window(self.name.clone())),
        }
    }
}
