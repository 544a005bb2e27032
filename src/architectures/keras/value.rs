//! What a layer of Keras reads and gives: the picture, a feature map, a vector, class scores.
//!
//! The engine's maps are always channels, rows, columns. Which axes a value has in the model is only a name for them, so that a
//! `Permute` between the two orders of Keras costs nothing.

use crate::architectures::prefix::Pixels;
use crate::network::{FlattenOrder, NodeId, OutputKind, Shape};

/// The axes of a value behind that of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axes {
    /// Rows, columns, channels: `channels_last`.
    Last,
    /// Channels, rows, columns: `channels_first`.
    First,
    /// One axis.
    Vector,
}

impl Axes {
    /// Lengths of the axes.
    pub(super) fn lengths(self, Shape { c, h, w }: Shape) -> Vec<usize> {
        match self {
            Self::Last => vec![h, w, c],
            Self::First => vec![c, h, w],
            Self::Vector => vec![c],
        }
    }

    /// The place of the channels among them.
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Last => 2,
            Self::First | Self::Vector => 0,
        }
    }

    /// In which order a map is written out as a vector.
    pub(super) const fn order(self) -> FlattenOrder {
        match self {
            Self::Last => FlattenOrder::Hwc,
            Self::First | Self::Vector => FlattenOrder::Chw,
        }
    }
}

/// A value of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) node: NodeId,
    pub(super) axes: Axes,
    /// Zeros that are still to be put around it: before and after, rows and columns. A convolution takes them as its own.
    pub(super) padding: [[usize; 2]; 2],
}

impl Map {
    pub(super) const fn new(node: NodeId, axes: Axes) -> Self {
        Self {
            node,
            axes,
            padding: [[0; 2]; 2],
        }
    }

    pub(super) fn is_padded(&self) -> bool {
        self.padding != [[0; 2]; 2]
    }
}

/// The picture, while only its channels were scaled and ordered and its size was changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) pixels: Pixels,
    pub(super) axes: Axes,
    /// Whether there is an axis of channels: `x[..., 0]` has none.
    pub(super) has_channels: bool,
    /// Rows and columns.
    pub(super) size: [usize; 2],
}

/// What a layer gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Signal {
    Picture(Picture),
    Map(Map),
    /// Values before the softmax or sigmoid of the layer `name`: the end of the network, unless a layer reads the sigmoid's values.
    Scores {
        kind: OutputKind,
        name: String,
        map: Map,
    },
}
