//! Sums, products and means: of values with constants, of several values, over the places of a map.

use serde_json::Value;

use super::KerasLayer;
use super::build::Builder;
use super::links::Argument;
use super::operands::Operand;
use super::steps::{numbers, numbers_along};
use super::value::{Axes, Map, Picture, Signal};
use crate::architectures::ArchitectureError;
use crate::network::Op;
use crate::weights::Tensor;

impl Builder<'_> {
    /// A value with a constant; of two values it is [joined](Self::join_maps).
    pub(super) fn arithmetic(
        &mut self,
        layer: &KerasLayer,
        class: &str,
    ) -> Result<Signal, ArchitectureError> {
        let mut operands = vec![];
        for (name, argument) in &layer.arguments {
            if matches!(
                name.as_deref(),
                None | Some("x" | "y" | "x1" | "x2" | "bias" | "value")
            ) {
                match argument {
                    // A list of numbers is one constant.
                    Argument::Constant(value) => operands.push(Operand::Constant(value)),
                    argument => self.operands(argument, &mut operands)?,
                }
            }
        }
        let (signal, constant, constant_first) = match <[Operand<'_>; 2]>::try_from(operands) {
            Ok([Operand::Signal(signal), Operand::Constant(value)]) => (signal, value, false),
            Ok([Operand::Constant(value), Operand::Signal(signal)]) => (signal, value, true),
            Ok(both) => return self.join_maps(layer, class, both.into()),
            Err(several) => return self.join_maps(layer, class, several),
        };
        let (rank, channels) = match &signal {
            Signal::Picture(picture) if picture.has_channels => (3, picture.axes.channels()),
            // Of any place: there is no axis of channels.
            Signal::Picture(_) => (2, 2),
            Signal::Map(map) | Signal::Scores { map, .. } => {
                let rank = map.axes.lengths(self.shape(map)).len();
                (rank, map.axes.channels())
            }
        };
        let values = numbers_along(constant, rank, channels)
            .ok_or_else(|| layer.unsupported("a constant that is not one number a channel is"))?;
        let negative = || values.iter().map(|value| -value).collect::<Vec<_>>();
        let (scale, offset) = match (class, constant_first) {
            ("Add", _) => (vec![1.0], values),
            ("Subtract", false) => (vec![1.0], negative()),
            ("Subtract", true) => (vec![-1.0], values),
            ("Multiply", _) => (values, vec![0.0]),
            ("Maximum", _) => {
                let what = "the larger one of a layer and a constant is";
                return Err(layer.unsupported(what).into());
            }
            (_, false) => (
                values.iter().map(|value| value.recip()).collect(),
                vec![0.0],
            ),
            (_, true) => return Err(layer.unsupported("dividing by a layer's values is").into()),
        };
        self.scaled(layer, signal, &scale, &offset)
    }

    /// Values of several layers as one: their sum, difference, product or mean, or the channels of all.
    pub(super) fn join_maps(
        &mut self,
        layer: &KerasLayer,
        class: &str,
        operands: Vec<Operand<'_>>,
    ) -> Result<Signal, ArchitectureError> {
        let count = operands.len();
        let unsupported = || layer.unsupported(format!("this of {count} values is"));
        let mut maps = vec![];
        for operand in operands {
            let Operand::Signal(signal) = operand else {
                return Err(unsupported().into());
            };
            let map = self.as_map(layer, signal)?;
            maps.push(self.padded(layer, &map)?);
        }
        // A layer gives a vector axes of length 1 to put it beside a map, an operation does not.
        let is_layer = matches!(layer.arguments.first(), Some((_, Argument::List(_))));
        let spread = |map: &Map| map.axes == Axes::Vector && is_layer && class != "Concatenate";
        let map_axes = maps
            .iter()
            .find(|map| map.axes != Axes::Vector)
            .map(|map| map.axes);
        let alike = |map: &Map| match map_axes {
            None => true,
            Some(Axes::Last) => map.axes == Axes::Last || spread(map),
            Some(axes) => map.axes == axes,
        };
        let [first, rest @ ..] = maps.as_slice() else {
            return Err(unsupported().into());
        };
        if !maps.iter().all(alike) {
            return Err(layer
                .unsupported("joining values of different axes is")
                .into());
        }
        let name = &layer.name;
        let part = format!("{name}_part");
        let joined = match (class, rest) {
            ("Concatenate", _) => self.concatenated(layer, &maps)?,
            ("Add", _) => self.combined([&part, name], &Op::Add, &maps)?,
            ("Multiply", _) => self.combined([&part, name], &Op::Mul, &maps)?,
            ("Maximum", _) => self.combined([&part, name], &Op::Max, &maps)?,
            ("Average", _) => {
                let sum = self.combined([&part, &part], &Op::Add, &maps)?;
                self.times(name, &sum, 1.0 / count as f64)?
            }
            // Of InceptionResNetV2: the first and `scale` times the second.
            ("Subtract" | "CustomScaleLayer", [second]) => {
                let factor = match class {
                    "Subtract" => Some(-1.0),
                    _ => layer.config["scale"].as_f64(),
                };
                let scaled = format!("{name}_scaled");
                let second = self.times(&scaled, second, factor.ok_or_else(unsupported)?)?;
                self.push_joined(name, Op::Add, &[*first, second])?
            }
            _ => return Err(unsupported().into()),
        };
        Ok(Signal::Map(joined))
    }

    /// The channels of all of `maps`, which have the same axes.
    fn concatenated(&mut self, layer: &KerasLayer, maps: &[Map]) -> Result<Map, ArchitectureError> {
        let first = maps[0];
        let lengths = first.axes.lengths(self.shape(&first));
        // A layer says nothing where it means the last axis.
        let axis = match layer.setting(&["axis"], 1) {
            None => Some(lengths.len() - 1),
            Some(_) => layer.axis(lengths.len()),
        };
        if axis != Some(first.axes.channels()) {
            let what = "joining along another axis than the channels is";
            return Err(layer.unsupported(what).into());
        }
        match maps {
            [_] => Ok(first),
            _ => self.push_joined(&layer.name, Op::Concat, maps),
        }
    }

    /// The first of `maps` with each of the others in turn; the names are for all nodes but the last, and for that.
    fn combined(
        &mut self,
        [part, last]: [&str; 2],
        op: &Op,
        maps: &[Map],
    ) -> Result<Map, ArchitectureError> {
        let mut all = maps[0];
        for (i, next) in (2..).zip(&maps[1..]) {
            let name = if i == maps.len() { last } else { part };
            all = self.push_joined(name, op.clone(), &[all, *next])?;
        }
        Ok(all)
    }

    fn times(&mut self, name: &str, map: &Map, factor: f64) -> Result<Map, ArchitectureError> {
        let factors = vec![factor; self.shape(map).c];
        let nothing = vec![0.0; factors.len()];
        self.affine(name, map, &factors, &nothing)
    }

    /// The mean over rows and columns, written as an operation.
    pub(super) fn mean(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let map = self.map(layer)?;
        let map = self.padded(layer, &map)?;
        let axes = numbers(layer.setting(&["axis"], 1).unwrap_or(&Value::Null));
        let mut axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
        for axis in &mut axes {
            *axis += if *axis < 0 { 4 } else { 0 };
        }
        axes.sort_unstable();
        let places = match map.axes {
            Axes::Last => [1, 2],
            Axes::First => [2, 3],
            Axes::Vector => [0, 0],
        };
        if axes != places {
            return Err(layer
                .unsupported("a mean over anything but rows and columns is")
                .into());
        }
        let mut mean = self.push(&layer.name, Op::GlobalMean, &map)?;
        let keep = layer.setting(&["keepdims"], 2);
        if keep.and_then(Value::as_bool) != Some(true) {
            mean.axes = Axes::Vector;
        }
        Ok(Signal::Map(mean))
    }

    /// `scale` x + `offset`, one number or one a channel each.
    pub(super) fn scaled(
        &mut self,
        layer: &KerasLayer,
        signal: Signal,
        scale: &[f64],
        offset: &[f64],
    ) -> Result<Signal, ArchitectureError> {
        let unsupported = || layer.unsupported("a scale that is not one number a channel is");
        if let Signal::Picture(picture) = signal {
            let pixels = picture
                .pixels
                .scaled(scale, offset)
                .ok_or_else(unsupported)?;
            return Ok(Signal::Picture(Picture { pixels, ..picture }));
        }
        let map = self.as_map(layer, signal)?;
        let map = self.padded(layer, &map)?;
        let channels = self.shape(&map).c;
        let each = |values: &[f64]| match *values {
            [value] => Ok(vec![value; channels]),
            _ if values.len() == channels => Ok(values.to_vec()),
            _ => Err(unsupported()),
        };
        let map = self.affine(&layer.name, &map, &each(scale)?, &each(offset)?)?;
        Ok(Signal::Map(map))
    }

    /// A factor and a summand for each channel.
    pub(super) fn affine(
        &mut self,
        name: &str,
        map: &Map,
        scale: &[f64],
        shift: &[f64],
    ) -> Result<Map, ArchitectureError> {
        let tensor = |values: &[f64]| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::from_f32(vec![values.len()], &values)
        };
        let op = Op::Affine {
            scale: tensor(scale),
            shift: tensor(shift),
        };
        self.push(name, op, map)
    }
}
