//! What a node may compute, and the orders of axes in which files have its weights.

use serde::{Deserialize, Serialize};

use super::{Activation, Resample};
use crate::weights::Tensor;

/// A sliding window, in (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Taps.
    pub size: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Zeros (for pooling: nothing) before the first row and column.
    pub pad_before: [usize; 2],
    /// The same after the last.
    pub pad_after: [usize; 2],
    /// Step between taps.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window of `size` taps, `stride` apart, with `pad` on every side.
    pub const fn square(size: usize, stride: usize, pad: usize) -> Self {
        Self {
            size: [size; 2],
            stride: [stride; 2],
            pad_before: [pad; 2],
            pad_after: [pad; 2],
            dilation: [1; 2],
        }
    }

    /// Output rows and columns for an input of `h` x `w`: floor((in + pads - reach) / stride) + 1, or `None` where
    /// the window does not fit.
    pub fn output(&self, h: usize, w: usize) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for (axis, len) in [h, w].into_iter().enumerate() {
            let taps = self.size[axis].checked_sub(1)?;
            let reach = self.dilation[axis].checked_mul(taps)?.checked_add(1)?;
            let padded = len.checked_add(self.pad_before[axis])?;
            let room = padded
                .checked_add(self.pad_after[axis])?
                .checked_sub(reach)?;
            out[axis] = room / self.stride[axis] + 1;
        }
        Some(out)
    }

    /// Whether windows lie side by side without padding: each element is in one at most.
    pub fn is_disjoint(&self) -> bool {
        self.size == self.stride && self.pad_before == [0, 0] && self.dilation == [1, 1]
    }

    /// 3x3, stride 1, one zero on every side: the shape that the fast kernels are written for.
    pub fn is_3x3_same(&self) -> bool {
        *self == Self::square(3, 1, 1)
    }
}

/// Order of a convolution's weights in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterLayout {
    /// `PyTorch`: output channel, input channel, row, column.
    Oihw,
    /// TensorFlow and Keras: row, column, input channel, output channel.
    Hwio,
}

/// Order of a linear layer's weights in the file; the GPU keeps it, since turning 411 MB around costs more than it saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixLayout {
    /// `PyTorch`: one row an output.
    OutIn,
    /// TensorFlow and Keras: one row an input.
    InOut,
}

/// Order in which a feature map is written out as a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlattenOrder {
    /// `PyTorch`.
    Chw,
    /// TensorFlow and Keras.
    Hwc,
}

/// What a ReLU, or a clip, lets through on the backward pass; for other activations see [`Activation::has_rule`]. Products, softmaxes,
/// attention and every other op have their plain gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReluRule {
    /// The gradient where the activation was above zero.
    Plain,
    /// The same, and only gradients above zero (arXiv 1412.6806).
    Guided,
    /// Gradients above zero, wherever they are (arXiv 1311.2901).
    Deconv,
}

/// Rows and columns added around a feature map; cut off where their number is negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad {
    /// Before the first row and column.
    pub before: [i32; 2],
    /// After the last.
    pub after: [i32; 2],
    /// Of all that is added.
    pub value: f32,
}

impl Pad {
    /// Rows and columns of what `h` x `w` becomes, or `None` where nothing is left or no network has so many.
    pub fn output(&self, h: usize, w: usize) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for (axis, length) in [h, w].into_iter().enumerate() {
            let sides = i64::from(self.before[axis]) + i64::from(self.after[axis]);
            let length = i64::try_from(length).ok()?.checked_add(sides)?;
            out[axis] = usize::try_from(length).ok().filter(|&length| length > 0)?;
        }
        Some(out)
    }
}

/// Local response normalisation across channels: `y[c] = x[c] / (bias + alpha / size * sum of x[k]^2)^beta`, k over the `size`
/// channels around c, of those that there are. An even size has one more after c than before it, as in ONNX; `PyTorch` has it
/// before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    /// Channels of a sum.
    pub size: usize,
    /// Over `size` the factor of the sum: TensorFlow and Keras, which do not divide, have `size` times less.
    pub alpha: f32,
    /// The power.
    pub beta: f32,
    /// What the sum begins with; `k` in `PyTorch`.
    pub bias: f32,
}

impl Lrn {
    /// Channels before and after that one's sum takes in.
    pub const fn neighbours(&self) -> [usize; 2] {
        let before = self.size.saturating_sub(1) / 2;
        [before, self.size.saturating_sub(1) - before]
    }
}

/// Over which values a softmax makes shares that add up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftmaxOver {
    /// All positions, for each channel.
    Positions,
    /// So many channels, each `apart` further than the one before, at each position. What lies before the next such set is
    /// `count * apart` channels.
    Channels {
        /// Channels of a set.
        count: usize,
        /// From one to the next.
        apart: usize,
    },
}

/// What a node computes from its inputs. A closed list: a new op makes the compiler name every place that must know it.
#[derive(Clone, Debug)]
pub enum Op {
    /// The preprocessed picture.
    Input,
    /// `y[o] = bias[o] + sum over i, taps of weight[o, i, tap] x[i, tap]`: cross-correlation, as every framework has it.
    Conv2d {
        /// Filters, in `layout`.
        weight: Tensor,
        /// One value an output channel.
        bias: Option<Tensor>,
        /// Order of the filters' axes.
        layout: FilterLayout,
        /// Taps, stride, padding.
        window: Window,
        /// Equal parts of the inputs and outputs; each output reads the inputs of its own part.
        groups: usize,
    },
    /// `y[c] = scale[c] x[c] + shift[c]` at every position.
    Affine {
        /// One value a channel.
        scale: Tensor,
        /// One value a channel.
        shift: Tensor,
    },
    /// `y[c] = scale[c] (x[c] - m) / sqrt(v + epsilon) + shift[c]` at every position, m and v the mean and the variance of its
    /// channels.
    LayerNorm {
        /// One value a channel.
        scale: Tensor,
        /// One value a channel.
        shift: Tensor,
        /// Above zero.
        epsilon: f32,
    },
    /// The same with m and v of the channels of its group at all positions: `groups` equal parts of the channels, as many as
    /// there are channels for an instance norm.
    GroupNorm {
        /// A divisor of the number of channels.
        groups: usize,
        /// One value a channel.
        scale: Tensor,
        /// One value a channel.
        shift: Tensor,
        /// Above zero.
        epsilon: f32,
    },
    /// A function of each value alone.
    Activate(Activation),
    /// The sum of two values of one shape; or of one position, which is added to each of the other's.
    Add,
    /// The product of two values, likewise.
    Mul,
    /// At each place the larger of two inputs of one shape. Of equal ones the gradient goes to the first.
    Max,
    /// The channels of two or more values, one value after the other.
    Concat,
    /// Rows and columns added around a map, or cut off it.
    Pad(Pad),
    /// Rows and columns of a few of the input's each.
    Resample(Resample),
    /// Rows as columns, and columns as rows.
    Transpose,
    /// Each value's share: the exponential of it over the sum of those of all.
    Softmax(SoftmaxOver),
    /// Scores of attention between positions, of queries q and keys k:
    /// `y[h * keys + j, i] = scale * sum over d of q[h, d, i] k[h, d, j]`, i over the positions of q and j over those of k, which are
    /// `keys`. q and k have as many channels, in `heads` equal parts h; y has `heads * keys` channels and the positions of q.
    AttentionScores {
        /// A divisor of the number of channels.
        heads: usize,
        /// Of all scores; 1 / sqrt of a head's channels, mostly.
        scale: f32,
    },
    /// Values v weighed by shares p, as a softmax over the keys makes them of such scores:
    /// `y[h, c, i] = sum over j of p[h * keys + j, i] v[h, c, j]`, j over the positions of v, which are `keys`. v has `heads` equal
    /// parts h of channels; y has the channels of v and the positions of p.
    AttentionSum {
        /// A divisor of the number of channels of v.
        heads: usize,
    },
    /// Each value divided by a power of those around it in other channels.
    Lrn(Lrn),
    /// The largest of each window; the first in row order where several are equal, as `PyTorch` does.
    MaxPool(Window),
    /// The mean of each window.
    AvgPool {
        /// Size, stride, padding; without dilation.
        window: Window,
        /// Whether padding counts as zeros; otherwise the mean is over the places that are there.
        count_include_pad: bool,
    },
    /// The mean of each of so many bins along rows and columns, as `PyTorch`'s adaptive pooling has them: bin i of n over a
    /// length goes from floor(i length / n) to ceil((i + 1) length / n).
    AdaptiveAvgPool([usize; 2]),
    /// Mean over all positions: C x H x W to a vector of C.
    GlobalMean,
    /// A feature map as a vector.
    Flatten(FlattenOrder),
    /// y = W x + bias over a vector.
    Linear {
        /// Matrix, in `layout`.
        weight: Tensor,
        /// One value an output.
        bias: Option<Tensor>,
        /// Order of the matrix's axes.
        layout: MatrixLayout,
    },
}

impl Op {
    /// The ReLU.
    pub const RELU: Self = Self::Activate(Activation::Relu);

    /// Values held between two bounds.
    pub const fn clip(low: f32, high: f32) -> Self {
        Self::Activate(Activation::Clip { low, high })
    }

    /// Its weights and its biases, where it has them; of a step a channel what scales and what shifts,
    /// of a `PReLU` its slopes.
    pub(crate) fn tensors(&self) -> [Option<&Tensor>; 2] {
        match self {
            Self::Conv2d { weight, bias, .. } | Self::Linear { weight, bias, .. } => {
                [Some(weight), bias.as_ref()]
            }
            Self::Affine { scale, shift }
            | Self::LayerNorm { scale, shift, .. }
            | Self::GroupNorm { scale, shift, .. } => [Some(scale), Some(shift)],
            Self::Activate(Activation::PRelu { slope }) => [Some(slope), None],
            Self::Input
            | Self::Activate(_)
            | Self::Add
            | Self::Mul
            | Self::Max
            | Self::Concat
            | Self::Pad(_)
            | Self::Resample(_)
            | Self::Transpose
            | Self::Softmax(_)
            | Self::AttentionScores { .. }
            | Self::AttentionSum { .. }
            | Self::Lrn(_)
            | Self::MaxPool(_)
            | Self::AvgPool { .. }
            | Self::AdaptiveAvgPool(_)
            | Self::GlobalMean
            | Self::Flatten(_) => [None, None],
        }
    }

    /// Its weights and biases, in elements.
    pub fn parameters(&self) -> usize {
        self.tensors().into_iter().flatten().map(Tensor::len).sum()
    }
}
