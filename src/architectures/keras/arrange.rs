//! New shapes and orders of axes: what changes no number.

use serde_json::Value;

use super::build::Builder;
use super::steps::numbers;
use super::value::{Axes, Map, Picture, Signal};
use super::{KerasLayer, KerasModelError};
use crate::architectures::ArchitectureError;
use crate::network::{FlattenOrder, Op, Shape};

impl Builder<'_> {
    /// `Flatten`; one that is told that channels come first brings them to the end before.
    pub(super) fn flatten(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let first = layer.config["data_format"] == "channels_first";
        self.flat(layer, |axes| match (axes, first) {
            (Axes::First, true) => Some(FlattenOrder::Hwc),
            (Axes::Last, true) => None,
            (axes, _) => Some(axes.order()),
        })
    }

    /// The value as a vector, in the order that `order` gives for its axes.
    fn flat(
        &mut self,
        layer: &KerasLayer,
        order: impl Fn(Axes) -> Option<FlattenOrder>,
    ) -> Result<Signal, ArchitectureError> {
        let vector = |map| Map {
            axes: Axes::Vector,
            ..map
        };
        let signal = match self.reads(layer)? {
            // The scores of a head of convolutions.
            Signal::Scores { kind, name, map } if self.places(&map) == 1 => {
                let map = vector(map);
                return Ok(Signal::Scores { kind, name, map });
            }
            signal => signal,
        };
        let map = self.as_map(layer, signal)?;
        let map = self.padded(layer, &map)?;
        if map.axes == Axes::Vector {
            return Ok(Signal::Map(map));
        }
        let order = order(map.axes).ok_or_else(|| {
            layer.unsupported("channels_first for a map with its channels last is")
        })?;
        let map = self.push(&layer.name, Op::Flatten(order), &map)?;
        Ok(Signal::Map(vector(map)))
    }

    fn places(&self, map: &Map) -> usize {
        let Shape { h, w, .. } = self.shape(map);
        h * w
    }

    /// `Reshape`: to what it was, to a vector, or a vector as a map of one place.
    pub(super) fn reshape(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        if let Signal::Picture(picture) = &signal
            && let Some(again) = reshaped_picture(layer, picture)
        {
            return Ok(Signal::Picture(again));
        }
        let (map, scores) = match signal {
            Signal::Scores { kind, name, map } => (map, Some((kind, name))),
            signal => (self.as_map(layer, signal)?, None),
        };
        let map = self.padded(layer, &map)?;
        let shape = self.shape(&map);
        let asked = target(layer, shape.len())?;
        let said = format!("reshaping {:?} to {asked:?} is", map.axes.lengths(shape));
        let one_place = shape.h * shape.w == 1;
        let axes = match asked.as_slice() {
            same if *same == *map.axes.lengths(shape) => map.axes,
            [_] if scores.is_none() => return self.flat(layer, |axes| Some(axes.order())),
            [_] if one_place => Axes::Vector,
            &[1, 1, c] if one_place && c == shape.c => Axes::Last,
            &[c, 1, 1] if one_place && c == shape.c => Axes::First,
            _ => return Err(layer.unsupported(said).into()),
        };
        let map = Map { axes, ..map };
        Ok(match scores {
            Some((kind, name)) => Signal::Scores { kind, name, map },
            None => Signal::Map(map),
        })
    }

    /// `Permute` between the two orders of a map's axes.
    pub(super) fn permute(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let order = numbers(
            layer
                .setting(&["dims", "axes", "perm"], 1)
                .unwrap_or(&Value::Null),
        );
        let order: Vec<i64> = order.into_iter().map(|axis| axis as i64).collect();
        // An operation counts the axis of the pictures, a layer does not.
        let order = match order.as_slice() {
            [0, rest @ ..] => rest.to_vec(),
            all => all.to_vec(),
        };
        let turned = |axes| match (order.as_slice(), axes) {
            ([1, 2, 3] | [1], axes) => Some(axes),
            ([3, 1, 2], Axes::Last) => Some(Axes::First),
            ([2, 3, 1], Axes::First) => Some(Axes::Last),
            _ => None,
        };
        let unsupported = || layer.unsupported(format!("the order {order:?} of axes is"));
        match self.reads(layer)? {
            Signal::Picture(picture) => {
                let axes = turned(picture.axes).filter(|_| picture.has_channels);
                let axes = axes.ok_or_else(unsupported)?;
                Ok(Signal::Picture(Picture { axes, ..picture }))
            }
            signal => {
                let map = self.as_map(layer, signal)?;
                let axes = turned(map.axes).ok_or_else(unsupported)?;
                Ok(Signal::Map(Map { axes, ..map }))
            }
        }
    }
}

/// A picture whose shape stays, or gets an axis for its one channel.
fn reshaped_picture(layer: &KerasLayer, picture: &Picture) -> Option<Picture> {
    let [h, w] = picture.size;
    let shape = Shape::new(picture.pixels.len(), h, w);
    let asked = target(layer, shape.len()).ok()?;
    (asked == Axes::Last.lengths(shape) && picture.axes == Axes::Last).then(|| Picture {
        has_channels: true,
        ..picture.clone()
    })
}

/// The shape that a `Reshape` asks for of `len` values, without the axis of the pictures.
fn target(layer: &KerasLayer, len: usize) -> Result<Vec<usize>, KerasModelError> {
    let unsupported = || layer.unsupported("such a shape is");
    let names = ["target_shape", "newshape", "shape"];
    let shape = layer.setting(&names, 1).and_then(Value::as_array);
    let shape = shape.ok_or_else(unsupported)?;
    // An operation counts the axis of the pictures, a layer does not.
    let shape = match &*layer.class {
        "Reshape" if layer.config["target_shape"].is_array() => shape.as_slice(),
        _ => shape.get(1..).unwrap_or_default(),
    };
    let lengths: Option<Vec<Option<usize>>> = shape
        .iter()
        .map(|length| match length.as_i64() {
            Some(-1) => Some(None),
            _ if length.is_null() => Some(None),
            Some(length) => usize::try_from(length).ok().map(Some),
            None => None,
        })
        .collect();
    let lengths = lengths.ok_or_else(unsupported)?;
    let known = lengths
        .iter()
        .flatten()
        .try_fold(1, |all: usize, &length| all.checked_mul(length));
    let known = known.filter(|&known| known > 0).ok_or_else(unsupported)?;
    let open = lengths.iter().filter(|length| length.is_none()).count();
    let rest = len / known;
    let fits = known * rest == len && (open == 1 || (open == 0 && rest == 1));
    fits.then(|| {
        lengths
            .into_iter()
            .map(|length| length.unwrap_or(rest))
            .collect()
    })
    .ok_or_else(unsupported)
}
