//! Operators that slide a window over a map, and those that take all of it at once.

use crate::network::{FilterLayout, MAX_SIDE, Op, Shape, Window};
use crate::weights::onnx::Constant;

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, Layer};

impl Import<'_> {
    /// The first input, which must be a plain map of channels first.
    fn map(&self, call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = call.layer()?;
        if layer.ending.is_some() {
            call.open(layer)?;
        }
        if !self.has_axes(layer, &Axis::PLANAR) {
            return Err(call.unsupported("of something else than [batch, channels, rows, columns]"));
        }
        Ok(layer.clone())
    }

    pub(super) fn conv(&mut self, call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = self.map(call)?;
        let weight = call.tensor(1, "weights")?.clone();
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
        Ok(Layer::new(id, layer.axes))
    }

    /// Zeros around a map; the convolution that follows takes them into its own.
    pub(super) fn pad(call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = call.layer()?;
        call.open(layer)?;
        if call
            .node
            .text("mode")
            .is_some_and(|mode| mode != "constant")
        {
            return Err(call.unsupported("with other than zeros"));
        }
        let value = match call.constant(2) {
            Some(Constant::Floats(value)) if value.len() == 1 => value.to_vec()[0],
            _ => call.node.float("value").unwrap_or(0.0),
        };
        let pads = call.ints("pads", 1).ok_or_else(|| call.unusable("pads"))?;
        let rank = layer.axes.len();
        if value != 0.0 || pads.len() != 2 * rank || call.input(3).is_some() {
            return Err(call.unsupported("with other than zeros"));
        }
        let mut padded = layer.clone();
        for (i, &axis) in layer.axes.iter().enumerate() {
            let both = [pads[i], pads[i + rank]].map(length);
            let [Some(before), Some(after)] = both else {
                return Err(call.unusable("pads"));
            };
            match axis {
                Axis::H => padded.pad[0] = [before, after],
                Axis::W => padded.pad[1] = [before, after],
                _ if before + after == 0 => {}
                _ => return Err(call.unsupported("of other than rows and columns")),
            }
        }
        Ok(padded)
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

    pub(super) fn max_pool(&mut self, call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = self.map(call)?;
        call.open(&layer)?;
        let window = Self::pool_window(call, self.shape_of(&layer))?;
        self.pool(call, &layer, Op::MaxPool(window))
    }

    pub(super) fn average_pool(&mut self, call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = self.map(call)?;
        call.open(&layer)?;
        let shape = self.shape_of(&layer);
        let window = Self::pool_window(call, shape)?;
        let ceil = call.node.int("ceil_mode").unwrap_or(0) != 0;
        let count_include_pad = call.node.int("count_include_pad").unwrap_or(0) != 0;
        if ceil && count_include_pad {
            return Err(call.unsupported("with both ceil_mode and count_include_pad"));
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

    fn pool(&mut self, call: &Call<'_>, layer: &Layer, op: Op) -> Result<Layer, GraphError> {
        let id = self.push(call.node, None, op, layer.node)?;
        Ok(Layer::new(id, layer.axes.clone()))
    }

    /// The mean or maximum over all rows and columns.
    pub(super) fn over_positions(&mut self, call: &Call<'_>) -> Result<Layer, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let rank = layer.axes.len();
        let reduces = call.node.op_type.starts_with("Reduce");
        let axes: Option<Vec<usize>> = if reduces {
            let axes = call.ints("axes", 1).unwrap_or_default();
            axes.iter().map(|&value| axis(value, rank)).collect()
        } else {
            Some((2..rank).collect())
        };
        let axes = axes.ok_or_else(|| call.unusable("axes"))?;
        let reduced = |wanted: Axis| {
            let at = layer.axes.iter().position(|&axis| axis == wanted);
            at.is_none_or(|at| axes.contains(&at))
        };
        let others = axes
            .iter()
            .any(|&at| matches!(layer.axes[at], Axis::N | Axis::C));
        if axes.is_empty() || others || !reduced(Axis::H) || !reduced(Axis::W) {
            return Err(call.unsupported("over other than all rows and columns"));
        }
        let shape = self.shape_of(&layer);
        let op = match call.node.op_type.as_str() {
            "GlobalAveragePool" | "ReduceMean" => Op::GlobalMean,
            _ => Op::MaxPool(Window {
                size: [shape.h, shape.w],
                ..Window::square(1, 1, 0)
            }),
        };
        let mut pooled = self.pool(call, &layer, op)?;
        if reduces && call.node.int("keepdims").unwrap_or(1) == 0 {
            let kept = (0..rank).filter(|at| !axes.contains(at));
            pooled.axes = kept.map(|at| layer.axes[at]).collect();
        }
        Ok(pooled)
    }
}

impl Call<'_> {
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
