//! The language of the tables: a network as rows, with what its tensors do not tell. Everything else, such as channels, taps,
//! groups and how many blocks there are, is read from the tensors' shapes and names.

use crate::network::Activation;

/// The function after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    None,
    /// That of the row, or else that of the family.
    Own,
    Relu,
    Relu6,
    Silu,
    HardSwish,
    Gelu,
    Sigmoid,
    HardSigmoid,
}

impl Act {
    /// This one, or `usual` where it leaves that open.
    pub(super) fn or(self, usual: Self) -> Self {
        match self {
            Self::Own => usual,
            act => act,
        }
    }

    pub(super) fn function(self) -> Option<Activation> {
        Some(match self {
            Self::None | Self::Own => return None,
            Self::Relu => Activation::Relu,
            Self::Relu6 => Activation::Clip {
                low: 0.0,
                high: 6.0,
            },
            Self::Silu => Activation::Silu,
            Self::HardSwish => Activation::HardSwish,
            Self::Gelu => Activation::Gelu,
            Self::Sigmoid => Activation::Sigmoid,
            Self::HardSigmoid => Activation::HardSigmoid {
                alpha: 1.0 / 6.0,
                beta: 0.5,
            },
        })
    }
}

/// Zeros around a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    /// Half of the taps, so that a stride of 1 keeps the size; TensorFlow's `SAME` in a family that has it.
    Half,
    /// So many on every side.
    By(usize),
}

/// What makes maps smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Smoothing {
    /// Steps of convolutions and pools alone.
    None,
    /// Behind them a blur of 1, 2, 1 along each side, over a map that is mirrored at its edges (arXiv 1904.11486).
    Blur,
    /// Behind them the mean of as many rows and columns as there are steps.
    Mean,
}

/// A convolution, or a dense layer at each position, with the batch norm and the activation after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    /// What it is called, below the block that it is in.
    pub(super) at: &'static str,
    /// What its own tensors have behind that: `.0`, `.conv` or nothing.
    pub(super) own: &'static str,
    /// The same of its norm's, with a dot at the start; without one it is the norm's own name. Nothing where it has none.
    pub(super) norm: &'static str,
    /// Steps between outputs.
    pub(super) stride: usize,
    /// Whether it takes the block's steps instead.
    pub(super) strided: bool,
    /// Whether a family that smooths maps does so behind it, in place of the block's steps.
    pub(super) smoothed: bool,
    pub(super) pad: Pad,
    /// Taps along each side that it must have, where others speak for another network; 0 for any.
    pub(super) taps: usize,
    pub(super) act: Act,
    /// Factors of its outputs, where the file has such a tensor.
    pub(super) scale: &'static str,
}

impl Conv {
    const fn new(at: &'static str, own: &'static str, norm: &'static str, act: Act) -> Self {
        Self {
            at,
            own,
            norm,
            stride: 1,
            strided: false,
            smoothed: false,
            pad: Pad::Half,
            taps: 0,
            act,
            scale: "",
        }
    }

    /// Convolution 0, norm 1 and the family's activation of a `Sequential`.
    pub(super) const fn pair(at: &'static str) -> Self {
        Self::new(at, ".0", ".1", Act::Own)
    }

    /// `conv`, `bn` and the family's activation.
    pub(super) const fn basic(at: &'static str) -> Self {
        Self::new(at, ".conv", ".bn", Act::Own)
    }

    /// A convolution and its norm side by side, and the family's activation.
    pub(super) const fn beside(at: &'static str, norm: &'static str) -> Self {
        Self::new(at, "", norm, Act::Own)
    }

    /// A convolution alone.
    pub(super) const fn bare(at: &'static str) -> Self {
        Self::new(at, "", "", Act::None)
    }

    pub(super) const fn stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    pub(super) const fn strided(mut self) -> Self {
        self.strided = true;
        self
    }

    pub(super) const fn smoothed(mut self) -> Self {
        self.smoothed = true;
        self
    }

    pub(super) const fn pad(mut self, pad: usize) -> Self {
        self.pad = Pad::By(pad);
        self
    }

    pub(super) const fn taps(mut self, taps: usize) -> Self {
        self.taps = taps;
        self
    }

    pub(super) const fn act(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    pub(super) const fn scale(mut self, scale: &'static str) -> Self {
        self.scale = scale;
        self
    }
}

/// A pool over square windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) at: &'static str,
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) pad: usize,
    /// Whether a window that begins within the map and ends beyond it counts.
    pub(super) ceil: bool,
}

/// Channels weighed by what all positions say together (arXiv 1709.01507); none where the file has no such tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    pub(super) at: &'static str,
    pub(super) reduce: &'static str,
    pub(super) expand: &'static str,
}

/// What is added to a residual block's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shortcut {
    /// What these give where the file has their convolution, else the block's input.
    Projected(&'static [Step]),
    /// The block's input where shape and stride allow it, else nothing.
    WhereItFits,
}

/// Blocks of one kind, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// The blocks' names, with `{}` for their numbers; one block where there is none.
    pub(super) at: &'static str,
    /// The first number.
    pub(super) from: usize,
    /// Of the first block; of the others it is 1.
    pub(super) stride: usize,
    pub(super) act: Act,
    pub(super) block: &'static [Step],
}

impl Stage {
    pub(super) const fn act(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    pub(super) const fn step(self) -> Step {
        Step::Stage(self)
    }
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Conv(Conv),
    /// A batch norm by itself, with the activation after it.
    Norm(&'static str, Act),
    /// Over the channels of each position.
    LayerNorm(&'static str),
    /// The same with an epsilon of its own.
    LayerNormWith(&'static str, f32),
    MaxPool(Pool),
    /// Padding counts as zeros.
    MeanPool(Pool),
    /// Where the block has a stride above 1: the mean of as many rows and columns, of which the last ones may be fewer.
    MeanByStride(&'static str),
    /// The mean of each of so many bins along each side.
    Bins(&'static str, usize),
    /// A dense layer before the head, and the activation after it.
    Dense(&'static str, Act),
    /// Of all positions.
    Mean(&'static str),
    /// The largest value of all positions.
    Max(&'static str),
    /// A map as a vector.
    Flatten(&'static str),
    /// The same value through several lists of steps, their channels one after the other.
    Branches(&'static str, &'static [&'static [Step]]),
    /// A sum, and the activation after it.
    Sum {
        body: &'static [Step],
        shortcut: Shortcut,
        act: Act,
    },
    /// The channels that come in, and those that these make of them.
    Grow(&'static [Step]),
    /// Half of the channels as they are and what these make of the other half, dealt out in turns; both halves made of all
    /// channels where the file has the first.
    Shuffle(&'static [Step], &'static [Step]),
    Gate(Gate),
    /// Modules below a name of their own.
    Part(&'static str, &'static [Step]),
    Stage(Stage),
    /// Blocks that are numbered through all stages, with the steps of each stage's first block: a stage begins where the layer
    /// of that name gives another number of channels.
    Stages {
        at: &'static str,
        last: &'static str,
        strides: &'static [usize],
        block: &'static [Step],
    },
    /// Channels by how long they are against the mean of all (arXiv 2301.00808); none where the file has no such tensors.
    ResponseNorm(&'static str),
    /// The first list of which the file has all convolutions.
    Forms(&'static [&'static [Step]]),
    /// Dense layers below a name: as listed, each with its activation, or else any others that people put there.
    Head(&'static str, &'static [(&'static str, Act)]),
    /// A convolution whose maps' means are the scores.
    Scores(Conv),
}

/// A pool without padding.
pub(super) const fn pool(at: &'static str, size: usize, stride: usize) -> Pool {
    Pool {
        at,
        size,
        stride,
        pad: 0,
        ceil: false,
    }
}

impl Pool {
    pub(super) const fn pad(mut self, pad: usize) -> Self {
        self.pad = pad;
        self
    }

    pub(super) const fn ceil(mut self) -> Self {
        self.ceil = true;
        self
    }
}

/// Blocks whose numbers begin with `from`.
pub(super) const fn stage(
    at: &'static str,
    from: usize,
    stride: usize,
    block: &'static [Step],
) -> Stage {
    Stage {
        at,
        from,
        stride,
        act: Act::Own,
        block,
    }
}
