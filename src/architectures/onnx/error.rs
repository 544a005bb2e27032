//! Why a graph makes no network.

use crate::network::NetworkError;

/// Why an ONNX graph makes no network.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GraphError {
    /// An operator outside of the list.
    #[error("node {node}: {op} is not supported{instead}")]
    Operator {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What to do instead, where something is known to help.
        instead: &'static str,
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

/// What helps who has a graph with an operator that is not supported.
pub(super) fn instead_of(op: &str, domain: &str) -> &'static str {
    if domain.starts_with("com.microsoft") {
        return ": it is one of onnxruntime's own, which its optimisation makes; give the model as it was exported";
    }
    match op {
        "If" | "Loop" | "Scan" => {
            ": what is computed hangs on values in the graph; export it for pictures of one size, with torch.onnx.export(..., dynamo=True) \
             or through onnxsim, so that nothing is left to decide"
        }
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike"
        | "Bernoulli" | "Multinomial" => {
            ": it draws at random; export the network for evaluation (model.eval())"
        }
        "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger"
        | "DynamicQuantizeLinear" => {
            ": it computes in whole numbers; give the network as it was before it was quantised"
        }
        "NonMaxSuppression" | "RoiAlign" | "MaxRoiPool" | "TopK" | "ArgMax" | "ArgMin" => {
            ": a classifier ends with one score a class; export the network without what picks among its results"
        }
        "ConvTranspose" | "DepthToSpace" | "GridSample" | "MaxUnpool" => {
            ": it makes maps larger, as networks for segmentation do; export the classifier alone"
        }
        "LSTM" | "GRU" | "RNN" => ": it goes from step to step; networks of convolutions are read",
        "Einsum" => {
            ": write it as a product with a matrix (torch.nn.Linear) or as a convolution, and export again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::instead_of;

    #[test]
    fn operators_of_onnxruntime_and_those_of_the_standard_have_their_own_advice() {
        assert!(instead_of("FusedConv", "com.microsoft").contains("as it was exported"));
        assert!(instead_of("Loop", "").contains("one size"));
        assert_eq!(instead_of("Det", ""), "");
    }
}
