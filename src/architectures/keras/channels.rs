//! Channels of the picture: taken, turned round, parted and joined again.

use serde_json::Value;

use super::build::Builder;
use super::links::Argument;
use super::operands::Operand;
use super::steps::{Index, indices};
use super::value::{Axes, Picture, Signal};
use super::{KerasLayer, KerasModelError};
use crate::architectures::ArchitectureError;
use crate::architectures::prefix::Pixels;
use crate::network::Shape;

impl Builder<'_> {
    /// `x[..., ::-1]` and the like: channels of the picture, or all of a value.
    pub(super) fn get_item(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        let key = layer
            .setting(&["slice_spec", "key"], 1)
            .unwrap_or(&Value::Null);
        let unsupported = || layer.unsupported("taking a part of a value is");
        let lengths = self.lengths(&signal);
        let found = indices(key, &lengths).ok_or_else(unsupported)?;
        let whole = |index: &Index, length: usize| matches!(index, Index::Places(places) if places.iter().copied().eq(0..length));
        let same = found.len() == lengths.len()
            && found
                .iter()
                .zip(&lengths)
                .all(|(index, &length)| whole(index, length));
        if same {
            return Ok(signal);
        }
        let Signal::Picture(picture) = signal else {
            return Err(unsupported().into());
        };
        let channels = picture.axes.channels();
        let elsewhere = found
            .iter()
            .zip(&lengths)
            .enumerate()
            .all(|(axis, (index, &length))| axis == channels || whole(index, length));
        if !elsewhere {
            return Err(unsupported().into());
        }
        let (order, has_channels) =
            match (picture.has_channels, &found[lengths.len().min(channels)..]) {
                (true, _) => match (&found[channels], found.len() - lengths.len()) {
                    (Index::Places(places), 0) => (places.clone(), true),
                    (Index::At(place), 0) => (vec![*place], false),
                    (Index::At(place), 1) if picture.axes == Axes::Last => (vec![*place], true),
                    _ => return Err(unsupported().into()),
                },
                (false, [Index::New]) if picture.axes == Axes::Last => (vec![0], true),
                _ => return Err(unsupported().into()),
            };
        let pixels = picture.pixels.ordered(&order).ok_or_else(unsupported)?;
        Ok(Signal::Picture(Picture {
            pixels,
            has_channels,
            ..picture
        }))
    }

    fn lengths(&self, signal: &Signal) -> Vec<usize> {
        match signal {
            Signal::Picture(picture) => {
                let [h, w] = picture.size;
                match picture.has_channels {
                    true => picture.axes.lengths(Shape::new(picture.pixels.len(), h, w)),
                    false => vec![h, w],
                }
            }
            Signal::Map(map) | Signal::Scores { map, .. } => map.axes.lengths(self.shape(map)),
        }
    }

    /// A picture, and the place of its channels where the axis that the layer names is theirs.
    fn along_channels(&self, layer: &KerasLayer) -> Result<Picture, ArchitectureError> {
        match self.reads(layer)? {
            Signal::Picture(picture)
                if picture.has_channels && layer.axis(3) == Some(picture.axes.channels()) =>
            {
                Ok(picture)
            }
            _ => Err(layer
                .unsupported("this step of anything but the picture's channels is")
                .into()),
        }
    }

    /// The channels in reverse.
    pub(super) fn flip(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let picture = self.along_channels(layer)?;
        let order: Vec<usize> = (0..picture.pixels.len()).rev().collect();
        let pixels = picture.pixels.ordered(&order);
        let pixels = pixels.ok_or(KerasModelError::Config("a picture without channels"))?;
        Ok(Signal::Picture(Picture { pixels, ..picture }))
    }

    /// Each channel of the picture by itself, with an axis for it or without.
    pub(super) fn split(
        &mut self,
        layer: &KerasLayer,
        unstack: bool,
    ) -> Result<Vec<Signal>, ArchitectureError> {
        let picture = self.along_channels(layer)?;
        let channels = picture.pixels.len();
        let parts = layer
            .setting(&["num_or_size_splits", "indices_or_sections"], 1)
            .and_then(Value::as_u64);
        if !unstack && parts != Some(channels as u64) {
            return Err(layer.unsupported("parts of several channels are").into());
        }
        let parts = (0..channels).map(|channel| {
            let pixels = picture.pixels.ordered(&[channel])?;
            Some(Signal::Picture(Picture {
                pixels,
                has_channels: !unstack,
                ..picture.clone()
            }))
        });
        let parts: Option<Vec<Signal>> = parts.collect();
        Ok(parts.ok_or(KerasModelError::Config("a picture without channels"))?)
    }

    /// Channels of the picture, taken apart before, as one again; or maps, channels after channels.
    pub(super) fn join(
        &mut self,
        layer: &KerasLayer,
        stack: bool,
    ) -> Result<Signal, ArchitectureError> {
        let mut operands = vec![];
        for (name, argument) in &layer.arguments {
            if !matches!(argument, Argument::Constant(_)) && name.as_deref() != Some("axis") {
                self.operands(argument, &mut operands)?;
            }
        }
        let pictures = operands.iter().map(|operand| match operand {
            Operand::Signal(Signal::Picture(picture)) => Some(picture),
            _ => None,
        });
        let pictures: Option<Vec<&Picture>> = pictures.collect();
        let Some(([first, ..], pictures)) = pictures.as_deref().map(|all| (all, all)) else {
            return self.join_maps(layer, "Concatenate", operands);
        };
        let alike = |picture: &&Picture| {
            picture.has_channels != stack
                && (picture.axes, picture.size) == (first.axes, first.size)
        };
        // A layer says nothing where it means the last axis.
        let axis = match layer.setting(&["axis"], 1) {
            None => Some(if stack { 0 } else { 2 }),
            Some(_) => layer.axis(3),
        };
        if axis != Some(first.axes.channels()) || !pictures.iter().all(alike) {
            return Err(layer.unsupported("joining pictures so is").into());
        }
        let pixels: Vec<Pixels> = pictures
            .iter()
            .map(|picture| picture.pixels.clone())
            .collect();
        Ok(Signal::Picture(Picture {
            pixels: Pixels::joined(&pixels),
            has_channels: true,
            ..(*first).clone()
        }))
    }
}
