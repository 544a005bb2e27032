//! New shapes, orders, sizes and constants: what changes values without weights.

use serde_json::Value;

use super::build::{Builder, Operand, expect_axes};
use super::links::Argument;
use super::steps::{Index, indices, numbers, numbers_along};
use super::value::{Axes, Change, Map, Picture, Signal};
use super::{KerasModelError, Layer};
use crate::architectures::ArchitectureError;
use crate::architectures::prefix::Pixels;
use crate::network::{FlattenOrder, MAX_SIDE, Op, Shape};

impl Builder<'_> {
    /// `Flatten`; one that is told that channels come first brings them to the end before.
    pub(super) fn flatten(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
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
        layer: &Layer,
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
    pub(super) fn reshape(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
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
    pub(super) fn permute(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
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

    /// A value with a constant; of two values it is [joined](Self::join_maps).
    pub(super) fn arithmetic(
        &mut self,
        layer: &Layer,
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
            (_, false) => (
                values.iter().map(|value| value.recip()).collect(),
                vec![0.0],
            ),
            (_, true) => return Err(layer.unsupported("dividing by a layer's values is").into()),
        };
        self.scaled(layer, signal, &scale, &offset)
    }

    /// Values of several layers as one: their sum, difference, product or mean, or the channels of all.
    fn join_maps(
        &mut self,
        layer: &Layer,
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
        let mut joined = *first;
        match (class, rest) {
            ("Concatenate", _) => {
                let lengths = joined.axes.lengths(self.shape(&joined));
                // A layer says nothing where it means the last axis.
                let axis = match layer.setting(&["axis"], 1) {
                    None => Some(lengths.len() - 1),
                    Some(_) => layer.axis(lengths.len()),
                };
                if axis != Some(joined.axes.channels()) {
                    let what = "joining along another axis than the channels is";
                    return Err(layer.unsupported(what).into());
                }
                if !rest.is_empty() {
                    joined = self.push_joined(name, Op::Concat, &maps)?;
                }
            }
            ("Add" | "Multiply" | "Average", rest) => {
                let part = format!("{name}_part");
                let last = rest.len();
                for (i, next) in (1..).zip(rest) {
                    let op = if class == "Multiply" {
                        Op::Mul
                    } else {
                        Op::Add
                    };
                    let name = if i == last && class != "Average" {
                        name
                    } else {
                        &part
                    };
                    joined = self.push_joined(name, op, &[joined, *next])?;
                }
                if class == "Average" {
                    let share = vec![1.0 / count as f64; self.shape(&joined).c];
                    let nothing = vec![0.0; share.len()];
                    joined = self.affine(name, &joined, &share, &nothing)?;
                }
            }
            // Of InceptionResNetV2: the first and `scale` times the second.
            ("Subtract" | "CustomScaleLayer", [second]) => {
                let factor = match class {
                    "Subtract" => Some(-1.0),
                    _ => layer.config["scale"].as_f64(),
                };
                let factor = factor.ok_or_else(unsupported)?;
                let factors = vec![factor; self.shape(second).c];
                let nothing = vec![0.0; factors.len()];
                let scaled = format!("{name}_scaled");
                let second = self.affine(&scaled, second, &factors, &nothing)?;
                joined = self.push_joined(name, Op::Add, &[joined, second])?;
            }
            _ => return Err(unsupported().into()),
        }
        Ok(Signal::Map(joined))
    }

    /// The mean over rows and columns, written as an operation.
    pub(super) fn mean(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
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

    /// `x[..., ::-1]` and the like: channels of the picture, or all of a value.
    pub(super) fn get_item(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
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
    fn along_channels(&self, layer: &Layer) -> Result<Picture, ArchitectureError> {
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
    pub(super) fn flip(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
        let picture = self.along_channels(layer)?;
        let order: Vec<usize> = (0..picture.pixels.len()).rev().collect();
        let pixels = picture.pixels.ordered(&order);
        let pixels = pixels.ok_or(KerasModelError::Config("a picture without channels"))?;
        Ok(Signal::Picture(Picture { pixels, ..picture }))
    }

    /// Each channel of the picture by itself, with an axis for it or without.
    pub(super) fn split(
        &mut self,
        layer: &Layer,
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
    pub(super) fn join(&mut self, layer: &Layer, stack: bool) -> Result<Signal, ArchitectureError> {
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

    /// A picture of another size: exact where several places become one, else the network takes pictures of that size.
    pub(super) fn resize(&mut self, layer: &Layer) -> Result<Signal, ArchitectureError> {
        let Signal::Picture(picture) = self.reads(layer)? else {
            return Err(layer
                .unsupported("resizing anything but the picture is")
                .into());
        };
        let size = match layer.class.as_str() {
            "Resizing" => sides(layer),
            _ => pair(layer.setting(&["size"], 1)),
        };
        let size = size.ok_or_else(|| layer.unsupported("such a size is"))?;
        if size == picture.size {
            return Ok(Signal::Picture(picture));
        }
        let [rows, columns] = [0, 1].map(|axis| {
            let whole = picture.size[axis].is_multiple_of(size[axis]);
            whole.then_some(picture.size[axis] / size[axis])
        });
        let settings = layer.settings();
        let is = |name: &str| settings[name].as_bool() == Some(true);
        let kinds = ["interpolation", "method"].map(|name| settings[name].as_str());
        let plain = kinds.into_iter().flatten().all(|kind| kind == "bilinear") && !is("antialias");
        let stretches = !is("crop_to_aspect_ratio") && !is("pad_to_aspect_ratio");
        if let (Some(rows), Some(columns)) = (rows, columns)
            && plain
            && !self.input.open
            && (rows == columns || stretches)
            && let Some(picture) = picture
                .clone()
                .changed(&layer.name, Change::Shrink([rows, columns]))
        {
            return Ok(Signal::Picture(picture));
        }
        self.resized(layer, picture, size)
    }

    /// The network takes pictures of another size than the file says.
    fn resized(
        &mut self,
        layer: &Layer,
        picture: Picture,
        size: [usize; 2],
    ) -> Result<Signal, ArchitectureError> {
        let from = match self.input.open {
            true => "of any size".to_owned(),
            false => format!("of {} x {}", picture.size[1], picture.size[0]),
        };
        let [h, w] = size;
        let picture = picture.of_size(size);
        let picture = picture.ok_or_else(|| layer.unsupported("such a size after a crop is"))?;
        self.note(format!(
            "the network's layer {} turns pictures {from} into {w} x {h} itself; here a picture becomes {w} x {h} in one step, with \
             a filter that Keras' is not: --fit squash takes the whole picture, as Keras does",
            layer.name
        ));
        Ok(Signal::Picture(picture))
    }

    /// Rows and columns cut off.
    pub(super) fn crop(&mut self, layer: &Layer, class: &str) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        let unsupported = || layer.unsupported("such a crop is");
        if class == "Cropping2D" {
            let cut = super::windows::sides(layer, "cropping").ok_or_else(unsupported)?;
            return self.cut(layer, signal, cut);
        }
        let [h, w] = sides(layer).ok_or_else(unsupported)?;
        let there = match &signal {
            Signal::Picture(picture) => picture.size,
            Signal::Map(map) | Signal::Scores { map, .. } => {
                let Shape { h, w, .. } = self.shape(map);
                [h, w]
            }
        };
        if [h, w] == there {
            return Ok(signal);
        }
        match signal {
            Signal::Picture(picture) if self.input.open || there[0] < h || there[1] < w => {
                self.resized(layer, picture, [h, w])
            }
            signal if there[0] >= h && there[1] >= w => {
                let before = [(there[0] - h) / 2, (there[1] - w) / 2];
                let after = [there[0] - h - before[0], there[1] - w - before[1]];
                self.cut(layer, signal, [before, after])
            }
            _ => Err(unsupported().into()),
        }
    }

    fn cut(
        &mut self,
        layer: &Layer,
        signal: Signal,
        sides: [[usize; 2]; 2],
    ) -> Result<Signal, ArchitectureError> {
        let unsupported = || layer.unsupported("such a crop is");
        if sides.as_flattened().iter().any(|&side| side > MAX_SIDE) {
            return Err(unsupported().into());
        }
        let said = layer.config["data_format"]
            .as_str()
            .unwrap_or("channels_last");
        if let Signal::Picture(picture) = signal {
            let fits = (picture.axes == Axes::First) == (said == "channels_first");
            let picture = picture
                .changed(&layer.name, Change::Cut(sides))
                .filter(|_| fits);
            return Ok(Signal::Picture(picture.ok_or_else(unsupported)?));
        }
        let map = self.as_map(layer, signal)?;
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let sides = sides.map(|sides| sides.map(|side| -(side as i32)));
        Ok(Signal::Map(self.pad(&layer.name, &map, sides)?))
    }
}

/// `height` and `width` of a layer.
fn sides(layer: &Layer) -> Option<[usize; 2]> {
    let side = |key: &str| super::windows::size(&layer.config[key]).filter(|&side| side > 0);
    Some([side("height")?, side("width")?])
}

fn pair(value: Option<&Value>) -> Option<[usize; 2]> {
    let side = |value: &Value| super::windows::size(value).filter(|&side| side > 0);
    match value?.as_array()?.as_slice() {
        [h, w] => Some([side(h)?, side(w)?]),
        _ => None,
    }
}

/// A picture whose shape stays, or gets an axis for its one channel.
fn reshaped_picture(layer: &Layer, picture: &Picture) -> Option<Picture> {
    let [h, w] = picture.size;
    let shape = Shape::new(picture.pixels.len(), h, w);
    let asked = target(layer, shape.len()).ok()?;
    (asked == Axes::Last.lengths(shape) && picture.axes == Axes::Last).then(|| Picture {
        has_channels: true,
        ..picture.clone()
    })
}

/// The shape that a `Reshape` asks for of `len` values, without the axis of the pictures.
fn target(layer: &Layer, len: usize) -> Result<Vec<usize>, KerasModelError> {
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
