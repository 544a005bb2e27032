//! Operators that slide a window over a map.

use crate::network::{
    FilterLayout, Lrn, MAX_POOL, MAX_SIDE, Op, Pad, RepeatMode, Resample, Shape, Window,
};
use crate::weights::onnx::{Constant, Node};

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, Value, View};

impl Import<'_> {
    /// The first input, which must be a plain map of channels first.
    fn map(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = self.upright(call, call.layer()?)?;
        if !self.has_axes(&layer, &Axis::PLANAR) {
            return Err(call.unsupported("of something else than [batch, channels, rows, columns]"));
        }
        Ok(layer)
    }

    pub(super) fn conv(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut weight = call.tensor(1, "weights")?.clone();
        if weight.shape().len() == 3 {
            return self.conv_over_channels(call, &weight);
        }
        let map = self.map(call)?;
        let mut layer = self.activated(call.node, map)?;
        if let Some(reordered) = self.reordered(call, &layer, &weight)? {
            weight = reordered;
            layer.channels = None;
        }
        let layer = self.with_chosen_channels(call.node, layer)?;
        if layer.pads_lowest {
            return Err(call.unsupported("after a Pad by the lowest number"));
        }
        let bias = call.optional(2, "biases")?.cloned();
        let &[_, _, kh, kw] = weight.shape() else {
            return Err(call.unsupported("over other than two dimensions"));
        };
        let shape = self.shape_of(&layer);
        let [rows, columns] = layer.pad.map(|[before, after]| before + after);
        let mut window = call.window([kh, kw], [shape.h + rows, shape.w + columns])?;
        for axis in 0..2 {
            window.pad_before[axis] += layer.pad[axis][0];
            window.pad_after[axis] += layer.pad[axis][1];
        }
        let groups = call.node.int("group").unwrap_or(1);
        let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
        let op = Op::Conv2d {
            weight,
            bias,
            layout: FilterLayout::Oihw,
            window,
            groups: groups.ok_or_else(|| call.unusable("group"))?,
        };
        let id = self.push(call.node, call.name_of_input(1), op, layer.node)?;
        Ok(View::new(id, layer.axes))
    }

    /// Values around a map, or rows and columns cut off it. Zeros are announced: a convolution that follows takes them into its
    /// own.
    pub(super) fn pad(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?;
        if let Some(squares) = Self::padded_squares(layer, &call.pads(layer.axes.len())?) {
            return Ok(squares);
        }
        let mut layer = self.activated(call.node, layer.clone())?;
        let value = match call.input(2) {
            Some(_) => match call.constant(2) {
                Some(Constant::Floats(value)) if value.len() == 1 => value.to_vec()[0],
                Some(Constant::Ints(value)) if value.values == [0] => 0.0,
                _ => return Err(call.unsupported("with a value that is not known")),
            },
            None => call.node.float("value").unwrap_or(0.0),
        };
        let sides = call.pads(layer.axes.len())?;
        if sides.iter().all(|side| *side == [0, 0]) {
            return Ok(layer);
        }
        let repeats = match call.node.text("mode").unwrap_or("constant") {
            "constant" => None,
            "reflect" => Some(RepeatMode::Reflect),
            "edge" => Some(RepeatMode::Edge),
            "wrap" => Some(RepeatMode::Wrap),
            _ => return Err(call.unusable("mode")),
        };
        let mut rows_and_columns = [[0; 2]; 2];
        let mut around_channels = [0; 2];
        for (sides, &axis) in sides.iter().zip(&layer.axes) {
            match axis {
                Axis::H => rows_and_columns[0] = *sides,
                Axis::W => rows_and_columns[1] = *sides,
                Axis::C if repeats.is_none() => around_channels = *sides,
                _ if *sides == [0, 0] => {}
                _ => return Err(call.unsupported("of other than rows and columns")),
            }
        }
        if around_channels != [0; 2] {
            let settled = self.settled(call.node, layer)?;
            layer = self.with_channels_around(call, settled, around_channels, value)?;
        }
        if let Some(by) = repeats {
            let layer = self.padded(call.node, layer)?;
            let [rows, columns] = rows_and_columns;
            let op = Op::Resample(Resample::Repeat {
                before: [rows[0], columns[0]],
                after: [rows[1], columns[1]],
                by,
            });
            let node = self.push(call.node, None, op, layer.node)?;
            return Ok(View { node, ..layer });
        }
        let grows = rows_and_columns.as_flattened().iter().all(|&n| n >= 0);
        let lowest = value <= f32::MIN;
        if (value == 0.0 || lowest) && grows && layer.pad == [[0; 2]; 2] {
            layer.pads_lowest = lowest;
            layer.pad = rows_and_columns.map(|sides| sides.map(|n| n.unsigned_abs() as usize));
            return Ok(layer);
        }
        let layer = self.padded(call.node, layer)?;
        self.pad_by(call.node, layer, rows_and_columns, value)
    }

    /// The layer with the zeros that were announced around it.
    pub(super) fn padded(&mut self, reader: &Node, layer: View) -> Result<View, GraphError> {
        if layer.pad == [[0; 2]; 2] {
            return Ok(layer);
        }
        if layer.pads_lowest {
            return Err(reader.unsupported("after a Pad by the lowest number"));
        }
        let sides = layer.pad.map(|sides| sides.map(|n| n as i32));
        let plain = View {
            pad: [[0; 2]; 2],
            ..layer
        };
        self.pad_by(reader, plain, sides, 0.0)
    }

    /// `value` around rows and around columns (before, after); cut where the number is negative.
    pub(super) fn pad_by(
        &mut self,
        reader: &Node,
        layer: View,
        [rows, columns]: [[i32; 2]; 2],
        value: f32,
    ) -> Result<View, GraphError> {
        let op = Op::Pad(Pad {
            before: [rows[0], columns[0]],
            after: [rows[1], columns[1]],
            value,
        });
        let node = self.push(reader, None, op, layer.node)?;
        Ok(View { node, ..layer })
    }

    pub(super) fn lrn(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = self.map(call)?;
        let float = |name: &str, default: f32| call.node.float(name).unwrap_or(default);
        let size = call.node.int("size").and_then(length).filter(|&n| n > 0);
        let op = Op::Lrn(Lrn {
            size: size.ok_or_else(|| call.unusable("size"))?,
            alpha: float("alpha", 1e-4),
            beta: float("beta", 0.75),
            bias: float("bias", 1.0),
        });
        let node = self.push(call.node, None, op, layer.node)?;
        Ok(View { node, ..layer })
    }

    /// The window of a pool. With `ceil_mode` a last window may hang over the edge.
    fn pool_window(call: &Call<'_>, shape: Shape) -> Result<Window, GraphError> {
        let size = match call.node.ints("kernel_shape") {
            Some(&[h, w]) => length(h).zip(length(w)),
            _ => None,
        };
        let (h, w) = size.ok_or_else(|| call.unusable("kernel_shape"))?;
        let mut window = call.window([h, w], [shape.h, shape.w])?;
        if call.node.int("ceil_mode").unwrap_or(0) != 0 {
            for (axis, length) in [shape.h, shape.w].into_iter().enumerate() {
                let room = length + window.pad_before[axis] + window.pad_after[axis];
                // One window that is wider than all there is, as some write a mean of all positions.
                let over = window.size[axis].saturating_sub(room);
                if window.dilation[axis] == 1 && (1..window.stride[axis]).contains(&over) {
                    window.size[axis] = room;
                }
                let rest = room.saturating_sub(window.size[axis]) % window.stride[axis];
                // The window that is left over counts where it begins on the map.
                let begins = (room.saturating_sub(window.size[axis]) / window.stride[axis] + 1)
                    * window.stride[axis];
                if rest > 0 && begins < length + window.pad_before[axis] {
                    window.pad_after[axis] += window.stride[axis] - rest;
                }
            }
        }
        Ok(window)
    }

    /// A maximum over a map that the lowest numbers are around: over the map alone, since that is how pools pad.
    pub(super) fn max_pool_of_padded(
        &mut self,
        call: &Call<'_>,
    ) -> Result<Option<View>, GraphError> {
        let pad = match call.input(0) {
            Some(Value::Layer(layer)) if layer.pads_lowest => layer.pad,
            _ => return Ok(None),
        };
        let map = self.map(call)?;
        let layer = self.activated(call.node, map)?;
        let layer = self.with_chosen_channels(call.node, layer)?;
        let mut window = Self::pool_window(call, self.shape_of_value(&layer))?;
        for (axis, [before, after]) in pad.into_iter().enumerate() {
            window.pad_before[axis] += before;
            window.pad_after[axis] += after;
            if window.pad_before[axis].max(window.pad_after[axis]) >= window.size[axis] {
                return Err(call.unsupported("of windows with nothing in them"));
            }
        }
        self.pool(call, &layer, Op::MaxPool(window)).map(Some)
    }

    pub(super) fn max_pool(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = self.map(call)?;
        call.open(&layer)?;
        let shape = self.shape_of(&layer);
        let window = Self::pool_window(call, shape)?;
        let whole = Window {
            size: [shape.h, shape.w],
            stride: window.stride,
            ..Window::square(1, 1, 0)
        };
        // More places than one pool takes go in two steps.
        if window == whole && shape.h * shape.w > MAX_POOL {
            return self.over(call, &layer, [true; 2], false);
        }
        self.pool(call, &layer, Op::MaxPool(window))
    }

    pub(super) fn average_pool(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layer = self.map(call)?;
        call.open(&layer)?;
        let mut shape = self.shape_of(&layer);
        let mut window = Self::pool_window(call, shape)?;
        let mut count_include_pad = call.node.int("count_include_pad").unwrap_or(0) != 0;
        let given = call.window(window.size, [shape.h, shape.w])?;
        if count_include_pad && window != given {
            // Zeros around the map count and what hangs over them does not: the zeros become a part of the map.
            let sides = [0, 1].map(|axis| [given.pad_before[axis], given.pad_after[axis]]);
            if sides != [[0; 2]; 2] {
                let sides = sides.map(|side| side.map(|n| n as i32));
                layer = self.pad_by(call.node, layer, sides, 0.0)?;
                shape = self.shape_of(&layer);
            }
            for axis in 0..2 {
                window.pad_before[axis] = 0;
                window.pad_after[axis] -= given.pad_after[axis];
            }
            count_include_pad = false;
        }
        let whole = window
            == Window {
                size: [shape.h, shape.w],
                stride: window.stride,
                ..Window::square(1, 1, 0)
            };
        if window == Window::square(1, 1, 0) {
            return Ok(layer);
        }
        let op = if whole {
            Op::GlobalMean
        } else {
            Op::AvgPool {
                window,
                count_include_pad,
            }
        };
        self.pool(call, &layer, op)
    }

    pub(super) fn pool(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        op: Op,
    ) -> Result<View, GraphError> {
        let id = self.push(call.node, None, op, layer.node)?;
        Ok(View {
            quantized: layer.quantized,
            ..View::new(id, layer.axes.clone())
        })
    }
}

impl Call<'_> {
    /// What `Pad` puts before and after each of `rank` dimensions.
    fn pads(&self, rank: usize) -> Result<Vec<[i32; 2]>, GraphError> {
        let unusable = || self.unusable("pads");
        let given = match self.node.ints("paddings") {
            // The name of the first opset.
            Some(pads) => Some(pads.to_vec()),
            None => self.ints("pads", 1),
        };
        let pads = given.ok_or_else(unusable)?;
        let axes: Option<Vec<usize>> = if self.input(3).is_some() {
            let axes = self.ints("", 3).ok_or_else(unusable)?;
            axes.iter().map(|&value| axis(value, rank)).collect()
        } else {
            Some((0..rank).collect())
        };
        let axes = axes.ok_or_else(unusable)?;
        if pads.len() != 2 * axes.len() {
            return Err(unusable());
        }
        let mut sides = vec![[0; 2]; rank];
        for (i, &axis) in axes.iter().enumerate() {
            let number = |value: i64| {
                let fits = value.unsigned_abs() <= MAX_SIDE as u64;
                fits.then_some(value as i32).ok_or_else(unusable)
            };
            sides[axis] = [number(pads[i])?, number(pads[i + axes.len()])?];
        }
        Ok(sides)
    }

    /// A sliding window of `size` taps over a map of `h` x `w`, by the attributes that convolutions and pools share.
    /// The paddings are before and after, for rows and for columns.
    pub(super) fn window(
        &self,
        size: [usize; 2],
        [h, w]: [usize; 2],
    ) -> Result<Window, GraphError> {
        let pair = |name: &'static str| match self.node.ints(name) {
            None => Ok([1, 1]),
            Some(&[a, b]) => match (length(a), length(b)) {
                (Some(a), Some(b)) if a > 0 && b > 0 => Ok([a, b]),
                _ => Err(self.unusable(name)),
            },
            Some(_) => Err(self.unusable(name)),
        };
        let mut window = Window {
            size,
            stride: pair("strides")?,
            pad_before: [0; 2],
            pad_after: [0; 2],
            dilation: pair("dilations")?,
        };
        if size.iter().any(|&taps| taps == 0 || taps > MAX_SIDE) {
            return Err(self.unusable("kernel_shape"));
        }
        match self.node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => {
                let pads = self.node.ints("pads").unwrap_or(&[0; 4]);
                let pads: Option<Vec<usize>> = pads.iter().map(|&pad| length(pad)).collect();
                let Some(&[top, left, bottom, right]) = pads.as_deref() else {
                    return Err(self.unusable("pads"));
                };
                window.pad_before = [top, left];
                window.pad_after = [bottom, right];
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for (axis, length) in [h, w].into_iter().enumerate() {
                    let outputs = length.div_ceil(window.stride[axis]);
                    let reach = window.dilation[axis] * (size[axis] - 1) + 1;
                    let wanted = (outputs - 1) * window.stride[axis] + reach;
                    let pad = wanted.saturating_sub(length);
                    let (less, more) = (pad / 2, pad - pad / 2);
                    let (before, after) = match same {
                        "SAME_UPPER" => (less, more),
                        _ => (more, less),
                    };
                    window.pad_before[axis] = before;
                    window.pad_after[axis] = after;
                }
            }
            _ => return Err(self.unusable("auto_pad")),
        }
        Ok(window)
    }
}

/// A number of taps, steps or zeros.
fn length(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|&n| n <= MAX_SIDE)
}
