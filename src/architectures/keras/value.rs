//! What a layer of Keras reads and gives: the picture, a feature map, a vector, class scores.
//!
//! The engine's maps are always channels, rows, columns. Which axes a value has in the model is only a name for them, so that a
//! `Permute` between the two orders of Keras costs nothing.

use crate::architectures::prefix::Pixels;
use crate::network::{FlattenOrder, NodeId, OutputKind, Resample, Resize, Shape};

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
    /// Rows and columns after the steps.
    pub(super) size: [usize; 2],
    /// Rows and columns of what goes in.
    pub(super) input: [usize; 2],
    /// What is done to its places, in order. Factors and summands of the channels may as well come before.
    pub(super) steps: Vec<PictureStep>,
}

/// What a layer does to the places of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PictureStep {
    /// The layer.
    pub(super) name: String,
    pub(super) change: Change,
}

/// A change of the picture's rows and columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// So many are cut off, before and after.
    Cut([[usize; 2]; 2]),
    /// Another size.
    Resize(Resize),
}

impl Picture {
    /// The picture after a step more.
    pub(super) fn changed(mut self, name: &str, change: Change) -> Option<Self> {
        let before = self.size;
        for axis in 0..2 {
            self.size[axis] = match change {
                Change::Cut([first, last]) => {
                    let cut = first[axis].checked_add(last[axis])?;
                    before[axis].checked_sub(cut).filter(|&rest| rest > 0)?
                }
                Change::Resize(resize) => {
                    let [h, w] = before;
                    Resample::Resize(resize).output(h, w)?[axis]
                }
            };
        }
        self.steps.push(PictureStep {
            name: name.into(),
            change,
        });
        Some(self)
    }

    /// The picture as one of another size that goes in; none that steps were done to.
    pub(super) fn of_size(self, size: [usize; 2]) -> Option<Self> {
        self.steps.is_empty().then_some(Self {
            size,
            input: size,
            ..self
        })
    }
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
