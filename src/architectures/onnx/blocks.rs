//! Blocks of positions as channels: space to depth, by its name or by reshapes.

use crate::network::{FilterLayout, Op, Window};
use crate::weights::Tensor;

use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

impl Import<'_> {
    /// ONNX' `SpaceToDepth`: of each block the place comes before the channel.
    pub(super) fn space_to_depth(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        let size = call.node.int("blocksize").unwrap_or(0);
        let size = usize::try_from(size).ok().filter(|&size| size > 0);
        let size = size.ok_or_else(|| call.unusable("blocksize"))?;
        let shape = self.shape_of(&layer);
        let fits = shape.h.is_multiple_of(size) && shape.w.is_multiple_of(size);
        if !self.has_axes(&layer, &Axis::PLANAR) || !fits {
            return Err(call.unsupported("of something else than maps of whole blocks"));
        }
        let order = [Axis::RowWithin(size), Axis::ColumnWithin(size), Axis::C];
        self.by_filters_of_ones(call, &layer, &order, false)
    }

    /// A layer whose rows or columns a reshape has cut into blocks, where `target` makes channels of the places in a block:
    /// [batch, channels, rows, columns] or with the channels last.
    pub(super) fn blocks_as_channels(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        target: &[usize],
    ) -> Result<Option<View>, GraphError> {
        let is_depth =
            |axis: &Axis| matches!(axis, Axis::C | Axis::RowWithin(_) | Axis::ColumnWithin(_));
        let is_row = |axis: &Axis| matches!(axis, Axis::H | Axis::RowBlock(_));
        let is_column = |axis: &Axis| matches!(axis, Axis::W | Axis::ColumnBlock(_));
        let axes = layer.axes.iter().copied();
        let axes: Vec<Axis> = axes.filter(|axis| *axis != Axis::One).collect();
        let (&[Axis::N, ref axes @ ..], &[_, a, b, c]) = (&axes[..], target) else {
            return Ok(None);
        };
        let (order, row, column, last) = match axes {
            [row, column, order @ ..] if is_row(row) && is_column(column) => {
                (order, row, column, true)
            }
            [order @ .., row, column] if is_row(row) && is_column(column) => {
                (order, row, column, false)
            }
            _ => return Ok(None),
        };
        let shape = self.shape_of(layer);
        let within = order.iter().filter(|axis| **axis != Axis::C).count();
        let depth: usize = order.iter().map(|&axis| self.length(axis, shape)).product();
        let [rows, columns] = [*row, *column].map(|axis| self.length(axis, shape));
        let wanted = match last {
            true => [rows, columns, depth],
            false => [depth, rows, columns],
        };
        if !order.iter().all(is_depth) || within == 0 || wanted != [a, b, c] {
            return Ok(None);
        }
        let plain = self.settled(call.node, layer.clone())?;
        self.by_filters_of_ones(call, &plain, order, last).map(Some)
    }

    /// One channel for each channel and place in a block, in this order of them: a convolution by filters of one 1 each.
    fn by_filters_of_ones(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        order: &[Axis],
        last: bool,
    ) -> Result<View, GraphError> {
        call.open(layer)?;
        let shape = self.shape_of(layer);
        let mut size = [1; 2];
        for axis in order {
            match *axis {
                Axis::RowWithin(rows) => size[0] = rows,
                Axis::ColumnWithin(columns) => size[1] = columns,
                _ => {}
            }
        }
        let filter = shape.c * size[0] * size[1];
        self.book(call.node, filter.saturating_mul(filter))?;
        let mut weight = vec![0.0; filter * filter];
        for out in 0..filter {
            let (mut rest, mut channel, mut at) = (out, 0, [0; 2]);
            for &axis in order.iter().rev() {
                let length = self.length(axis, shape);
                match axis {
                    Axis::RowWithin(_) => at[0] = rest % length,
                    Axis::ColumnWithin(_) => at[1] = rest % length,
                    _ => channel = rest % length,
                }
                rest /= length;
            }
            weight[((out * shape.c + channel) * size[0] + at[0]) * size[1] + at[1]] = 1.0;
        }
        let op = Op::Conv2d {
            weight: Tensor::from_f32(vec![filter, shape.c, size[0], size[1]], &weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window {
                size,
                stride: size,
                ..Window::square(1, 1, 0)
            },
            groups: 1,
        };
        let id = self.push(call.node, None, op, layer.node)?;
        let axes = match last {
            true => vec![Axis::N, Axis::H, Axis::W, Axis::C],
            false => Axis::PLANAR.to_vec(),
        };
        Ok(View::new(id, axes))
    }
}
