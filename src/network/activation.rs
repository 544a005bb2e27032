//! Functions of each value alone, and what the backward pass through one reads.

use std::fmt;

use super::ReluRule;
use crate::weights::Tensor;

/// A function of each value alone. Names and settings are those of ONNX where the frameworks differ.
#[derive(Clone, Debug)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, low), high): 0 and 6 are `ReLU6`.
    Clip {
        /// Below `high`.
        low: f32,
        /// May be infinite.
        high: f32,
    },
    /// x above zero, else alpha x.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// The same with learned slopes.
    PRelu {
        /// One value a channel, or one for all.
        slope: Tensor,
    },
    /// x above zero, else alpha (exp(x) - 1).
    Elu {
        /// What it goes to far below zero, negated.
        alpha: f32,
    },
    /// 1.0507 times an ELU of alpha 1.6733 (arXiv 1706.02515).
    Selu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x sigmoid(x), also called swish.
    Silu,
    /// alpha x + beta, between 0 and 1.
    HardSigmoid {
        /// 1/6 in `PyTorch` and Keras 3, 0.2 in ONNX where nothing is said.
        alpha: f32,
        /// 0.5 in all of them.
        beta: f32,
    },
    /// x (x / 6 + 1/2, between 0 and 1).
    HardSwish,
    /// x times the share of a normal distribution below x, by the error function.
    Gelu,
    /// The same by its approximation with a hyperbolic tangent.
    GeluTanh,
    /// log(1 + exp(x)).
    Softplus,
    /// x tanh(log(1 + exp(x))).
    Mish,
    /// x times x.
    Square,
    /// The square root; of what is below zero 0, as at 0, where no gradient passes.
    Sqrt,
    /// 1 / x; of 0 it is 0, and no gradient passes.
    Reciprocal,
    /// x without its sign; at 0 no gradient passes.
    Abs,
    /// e to the power of x.
    Exp,
    /// The natural logarithm; of what is not above zero that of the smallest number, where no gradient passes.
    Log,
    /// max(x, low)^power, as generalised-mean pools have it (arXiv 1711.02512). The bound keeps roots and quotients from zero and
    /// is no ReLU. Of what is not above zero a power other than the first is 0, as at 0, where no gradient passes.
    Power {
        /// Not below zero.
        low: f32,
        /// Other than 0.
        power: f32,
    },
}

/// Scale and alpha of SELU.
pub(crate) const SELU: [f32; 2] = [1.050_701, 1.673_263_2];

/// Which value the backward pass through an activation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedValue {
    /// Its own.
    Output,
    /// The one that it was made from.
    Input,
}

impl Activation {
    /// What the backward pass reads. A ReLU's own value tells as much as its input, and a kernel that takes a ReLU with it
    /// leaves no other.
    pub const fn saved_value(&self) -> SavedValue {
        match self {
            Self::Relu | Self::Clip { .. } | Self::Sigmoid | Self::Tanh => SavedValue::Output,
            Self::LeakyRelu { .. }
            | Self::PRelu { .. }
            | Self::Elu { .. }
            | Self::Selu
            | Self::Silu
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Softplus
            | Self::Mish
            | Self::Square
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Abs
            | Self::Exp
            | Self::Log
            | Self::Power { .. } => SavedValue::Input,
        }
    }

    /// Whether guided backpropagation and deconvolution have a rule of their own for it. Their papers (arXiv 1412.6806,
    /// 1311.2901) speak of ReLUs, which pass a value or nothing; a clip does so too, but for one whose lower bound is above zero: it keeps a
    /// divisor from zero and is no ReLU. Through all others the plain gradient goes, as in Captum and pytorch-grad-cam, whose hooks
    /// are on ReLUs alone.
    pub const fn has_rule(&self) -> bool {
        match self {
            Self::Relu => true,
            Self::Clip { low, .. } => *low <= 0.0,
            _ => false,
        }
    }

    /// By which rule gradients go through it where `asked` is what ReLUs have.
    pub const fn rule(&self, asked: ReluRule) -> ReluRule {
        if self.has_rule() {
            asked
        } else {
            ReluRule::Plain
        }
    }

    /// Its numbers, of which none may be infinite or NaN but a clip's bounds.
    pub(crate) fn settings(&self) -> [f32; 2] {
        match *self {
            Self::LeakyRelu { alpha } | Self::Elu { alpha } => [alpha, 0.0],
            Self::HardSigmoid { alpha, beta } => [alpha, beta],
            Self::Power { low, power } => [low, power],
            _ => [0.0, 0.0],
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relu => write!(f, "relu"),
            Self::Clip { low, high } => write!(f, "clip to {low}..{high}"),
            Self::LeakyRelu { alpha } => write!(f, "leaky relu, {alpha}"),
            Self::PRelu { .. } => write!(f, "prelu"),
            Self::Elu { alpha } => write!(f, "elu, {alpha}"),
            Self::Selu => write!(f, "selu"),
            Self::Sigmoid => write!(f, "sigmoid"),
            Self::Tanh => write!(f, "tanh"),
            Self::Silu => write!(f, "silu"),
            Self::HardSigmoid { .. } => write!(f, "hard sigmoid"),
            Self::HardSwish => write!(f, "hard swish"),
            Self::Gelu => write!(f, "gelu"),
            Self::GeluTanh => write!(f, "gelu, by tanh"),
            Self::Softplus => write!(f, "softplus"),
            Self::Mish => write!(f, "mish"),
            Self::Square => write!(f, "square"),
            Self::Sqrt => write!(f, "square root"),
            Self::Reciprocal => write!(f, "reciprocal"),
            Self::Abs => write!(f, "absolute value"),
            Self::Exp => write!(f, "exponential"),
            Self::Log => write!(f, "logarithm"),
            Self::Power { low, power: 1.0 } => write!(f, "at least {low}"),
            Self::Power { low: 0.0, power } => write!(f, "power of {power}"),
            Self::Power { low, power } => write!(f, "at least {low}, power of {power}"),
        }
    }
}
