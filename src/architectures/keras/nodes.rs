//! Nodes of the network in the making, and the zeros around their maps.

use super::build::Builder;
use super::value::{Axes, Map, Signal};
use super::windows::padding;
use super::{KerasLayer, KerasModelError};
use crate::architectures::ArchitectureError;
use crate::network::{MAX_SIDE, Op, Pad, Shape};

impl Builder<'_> {
    /// Shape of a value, without the zeros that are still to be put around it.
    pub(super) fn shape(&self, map: &Map) -> Shape {
        self.network.node(map.node).shape
    }

    /// Adds a node that reads several values of one order of axes.
    pub(super) fn push_joined(
        &mut self,
        name: &str,
        op: Op,
        maps: &[Map],
    ) -> Result<Map, ArchitectureError> {
        let inputs = maps.iter().map(|map| map.node).collect();
        let node = self.network.push(self.names.numbered(name), op, inputs)?;
        let axes = maps.iter().map(|map| map.axes);
        // A vector beside a map is one for all its places.
        let axes = axes.reduce(|one, other| if one == Axes::Vector { other } else { one });
        Ok(Map::new(node, axes.unwrap_or(Axes::Vector)))
    }

    /// Adds a node that reads `map`.
    pub(super) fn push(&mut self, name: &str, op: Op, map: &Map) -> Result<Map, ArchitectureError> {
        debug_assert!(!map.is_padded(), "zeros would be forgotten");
        // Layers of two models inside one may have the same name.
        let node = self
            .network
            .push(self.names.numbered(name), op, vec![map.node])?;
        Ok(Map::new(node, map.axes))
    }

    /// The value with its zeros around it.
    pub(super) fn padded(
        &mut self,
        layer: &KerasLayer,
        map: &Map,
    ) -> Result<Map, ArchitectureError> {
        if !map.is_padded() {
            return Ok(*map);
        }
        let sides = map.padding.map(|sides| sides.map(|side| side as i32));
        let name = format!("{}_padding", layer.name);
        self.pad(&name, &Map::new(map.node, map.axes), sides)
    }

    /// Zeros around a map before and after, in rows and columns; what is below zero is cut off.
    pub(super) fn pad(
        &mut self,
        name: &str,
        map: &Map,
        [before, after]: [[i32; 2]; 2],
    ) -> Result<Map, ArchitectureError> {
        let value = 0.0;
        let pad = Pad {
            before,
            after,
            value,
        };
        self.push(name, Op::Pad(pad), map)
    }
}

/// Refuses a layer whose order of axes is not that of the value it reads.
pub(super) fn expect_axes(layer: &KerasLayer, map: &Map) -> Result<(), KerasModelError> {
    let said = layer.config["data_format"].as_str();
    let (expected, is) = match map.axes {
        Axes::Last => ("channels_last", "a map with its channels last is"),
        Axes::First => ("channels_first", "a map with its channels first is"),
        Axes::Vector => return Err(layer.unsupported("a list of numbers as a map is")),
    };
    match said.is_none_or(|said| said == expected) {
        true => Ok(()),
        false => Err(layer.unsupported(format!("{} for {is}", said.unwrap_or_default()))),
    }
}

/// Zeros that the next layer puts around its map.
pub(super) fn zero_padding(layer: &KerasLayer, mut map: Map) -> Result<Signal, ArchitectureError> {
    expect_axes(layer, &map)?;
    let more = padding(layer)?;
    let sides = map.padding.as_flattened_mut();
    for (side, more) in sides.iter_mut().zip(more.as_flattened()) {
        *side += more;
    }
    if sides.iter().any(|&side| side > MAX_SIDE) {
        return Err(layer.unsupported("such a padding is").into());
    }
    Ok(Signal::Map(map))
}
