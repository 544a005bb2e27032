//! Why a graph makes no network.

use crate::network::NetworkError;

/// Why an ONNX graph makes no network.
#[derive(Clone, Debug, thiserror::Error)]
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
        "the graph's input {name:?} has shape {shape}; a picture has [batch, 3, rows, columns] or [batch, rows, columns, 3], in grey 1 for 3, with or without the batch"
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
    /// Outputs that may each be the class scores.
    #[error(
        "the graph has {} outputs that look like class scores: {}; say which with --output NAME", outputs.len(), outputs.join(", ")
    )]
    Ambiguous {
        /// Their names and lengths.
        outputs: Vec<String>,
    },
    /// The scores cannot be read, and features are none.
    #[error(
        "the graph's output {taken:?} looks like features, and the others cannot be read; --output NAME takes one all the same, and says \
         what is wrong with it"
    )]
    OnlyFeatures {
        /// Its name.
        taken: String,
    },
    /// An output that the graph has not.
    #[error("the graph has no output {wanted:?}; it has {}", names.join(", "))]
    NoSuchOutput {
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: Vec<String>,
    },
    /// Functions that become more than any classifier has.
    #[error(
        "the graph's own functions unfold to more nodes than any classifier has, or call themselves"
    )]
    Functions,
    /// Layers whose shapes do not fit one another.
    #[error(transparent)]
    Network(#[from] NetworkError),
}
