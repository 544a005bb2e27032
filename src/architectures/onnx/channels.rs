//! Channels that a graph picks, reorders or splits: `Slice`, `Gather`, `Split`, and the `Concat` that puts them together again.
//!
//! Which channels a value has is only noted at first. A convolution that follows takes the order into its weights, and
//! parts that come together in the old order were never apart. What reads them otherwise gets them by a convolution of
//! one tap whose weights are zeros and ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::network::{FilterLayout, MAX_SIDE, Op, Resample, Window};
use crate::weights::Tensor;
use crate::weights::onnx::{Constant, Node};

use super::activations::Pending;
use super::array::{Array, Span};
use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::views::spans;
use super::{GraphError, Import, Value, View};

/// Weights that are put in another order rather than making a layer.
const MAX_REORDERED: usize = 1 << 16;
/// Weights of the layer that picks channels.
const MAX_PICKING: usize = 1 << 22;
/// Of all such layers of a graph.
const MAX_ALL_PICKING: usize = 1 << 26;

impl Import<'_> {
    /// `Slice`, `Gather` and `Split` of a layer: of its channels, of neighbouring rows and columns, or of all of another dimension.
    pub(super) fn picked(&mut self, call: &Call<'_>) -> Result<Vec<Value>, GraphError> {
        let layer = call.layer()?.clone();
        let layers = match call.node.op_type.as_str() {
            "Split" => self.split_views(call, &layer)?,
            "Gather" => vec![self.gathered_view(call, &layer)?],
            _ => vec![self.sliced_view(call, &layer)?],
        };
        Ok(layers.into_iter().map(Value::Layer).collect())
    }

    /// `Split`.
    fn split_views(&mut self, call: &Call<'_>, layer: &View) -> Result<Vec<View>, GraphError> {
        let (along, sizes) = call.split(&self.dimensions(layer))?;
        let mut start = 0;
        let parts = sizes.into_iter().map(|size| {
            start += size;
            let places: Vec<usize> = (start - size..start).collect();
            self.part(call, layer, along, &places)
        });
        parts.collect()
    }

    /// `Gather`.
    fn gathered_view(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let lengths = self.dimensions(layer);
        let along = axis(call.node.int("axis").unwrap_or(0), lengths.len());
        let along = along.ok_or_else(|| call.unusable("axis"))?;
        let Some(indices) = call.ints("", 1) else {
            return Err(call.unsupported("at places that are not known"));
        };
        let places = indices.iter().map(|&index| axis(index, lengths[along]));
        let places: Option<Vec<usize>> = places.collect();
        let places = places.ok_or_else(|| call.unusable("indices"))?;
        let mut picked = self.part(call, layer, along, &places)?;
        match call.constant(1) {
            Some(Constant::Ints(ints)) if ints.shape.is_empty() => {
                picked.axes.remove(along);
            }
            // The indices' own dimensions are in the place of the one that they are of.
            Some(Constant::Ints(ints)) if ints.shape.len() > 1 => {
                let shape = [&lengths[..along], &ints.shape, &lengths[along + 1..]];
                picked = self.reshape(call, &picked, &shape.concat())?;
            }
            _ => {}
        }
        Ok(picked)
    }

    /// `Slice`.
    fn sliced_view(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let lengths = self.dimensions(layer);
        let mut sliced = layer.clone();
        let mut cut = [[0; 2]; 2];
        let mut picked = [None; 2];
        for (along, span) in spans(call, &lengths)?.into_iter().enumerate() {
            let length = lengths[along];
            let left = [span.start, length.saturating_sub(span.start + span.count)];
            let left = left.map(|n| -(n as i32));
            match layer.axes[along] {
                _ if span == Span::whole(length) => {}
                Axis::H if span.step == 1 && length <= MAX_SIDE => cut[0] = left,
                Axis::W if span.step == 1 && length <= MAX_SIDE => cut[1] = left,
                Axis::H => picked[0] = Some(span),
                Axis::W => picked[1] = Some(span),
                _ => {
                    let places: Vec<usize> = span.places().collect();
                    sliced = self.part(call, &sliced, along, &places)?;
                }
            }
        }
        if cut != [[0; 2]; 2] {
            let settled = self.settled(call.node, sliced)?;
            sliced = self.pad_by(call.node, settled, cut, 0.0)?;
        }
        if picked != [None; 2] {
            let settled = self.settled(call.node, sliced)?;
            sliced = self.every(call, settled, picked)?;
        }
        Ok(sliced)
    }

    /// These places of a dimension: of channels, of groups of them or within each group, or neighbouring rows or columns.
    fn part(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        along: usize,
        places: &[usize],
    ) -> Result<View, GraphError> {
        let length = self.dimensions(layer)[along];
        let all = self.shape_of(layer).c;
        if places.iter().copied().eq(0..length) {
            return Ok(layer.clone());
        }
        let unsupported =
            || call.unsupported("of other than channels or neighbouring rows and columns");
        let &[first, ..] = places else {
            return Err(unsupported());
        };
        // Shares of all channels are made before some of them are taken; in another order they may still be the end.
        let distinct: BTreeSet<usize> = places.iter().copied().collect();
        let is_order = layer.axes[along] == Axis::C
            && places.len() == length
            && distinct.into_iter().eq(0..length);
        let layer = &match layer.pending {
            Some(Pending::Softmax | Pending::LogSoftmax) if !is_order => {
                self.settled(call.node, layer.clone())?
            }
            _ => layer.clone(),
        };
        let own = layer.channels.as_ref().map_or(all, |own| own.len());
        match layer.axes[along] {
            Axis::C => Ok(with_channels(layer, all, places)),
            Axis::Part(parts) => {
                let each = own / parts;
                let of_part = |&part: &usize| part * each..(part + 1) * each;
                let channels: Vec<usize> = places.iter().flat_map(of_part).collect();
                let mut part = with_channels(layer, all, &channels);
                part.axes[along] = match places.len() {
                    1 => Axis::One,
                    parts => Axis::Part(parts),
                };
                Ok(part)
            }
            Axis::Group(_) | Axis::Within(_) if Self::is_in_parts(layer) => Err(unsupported()),
            Axis::Group(groups) => {
                let within = own / groups;
                let of_group = |&group: &usize| group * within..(group + 1) * within;
                let channels: Vec<usize> = places.iter().flat_map(of_group).collect();
                let mut part = with_channels(layer, all, &channels);
                part.axes = grouped(&part.axes, [places.len(), within]);
                Ok(part)
            }
            Axis::Within(within) => {
                let groups = own / within;
                let of_group = |group: usize| places.iter().map(move |at| group * within + at);
                let channels: Vec<usize> = (0..groups).flat_map(of_group).collect();
                let mut part = with_channels(layer, all, &channels);
                part.axes = grouped(&part.axes, [groups, places.len()]);
                Ok(part)
            }
            axis @ (Axis::H | Axis::W)
                if length <= MAX_SIDE && places.iter().copied().eq(first..first + places.len()) =>
            {
                let after = length - first - places.len();
                let mut cut = [[0; 2]; 2];
                cut[usize::from(axis == Axis::W)] = [-(first as i32), -(after as i32)];
                let settled = self.settled(call.node, layer.clone())?;
                self.pad_by(call.node, settled, cut, 0.0)
            }
            _ => Err(unsupported()),
        }
    }

    /// Rows and columns with gaps between them, or backwards; all of them where there is no span.
    fn every(
        &mut self,
        call: &Call<'_>,
        layer: View,
        spans: [Option<Span>; 2],
    ) -> Result<View, GraphError> {
        let shape = self.shape_of(&layer);
        let [rows, columns] = [(spans[0], shape.h), (spans[1], shape.w)]
            .map(|(span, length)| span.unwrap_or(Span::whole(length)));
        let step = |span: Span| i32::try_from(span.step).map_err(|_| call.unusable("steps"));
        let op = Op::Resample(Resample::Pick {
            first: [rows.start, columns.start],
            step: [step(rows)?, step(columns)?],
            count: [rows.count, columns.count],
        });
        let node = self.push(call.node, None, op, layer.node)?;
        Ok(View { node, ..layer })
    }

    /// `Concat` of channels that are all of one layer.
    pub(super) fn reunited(&self, call: &Call<'_>) -> Result<Option<View>, GraphError> {
        let first = call.layer()?;
        let along = axis(call.node.int("axis").unwrap_or(1), first.axes.len());
        let along = along.ok_or_else(|| call.unusable("axis"))?;
        if first.axes[along] != Axis::C {
            return Ok(None);
        }
        let mut places = vec![];
        for input in &call.inputs {
            let Some(Value::Layer(part)) = input else {
                return Ok(None);
            };
            let alike = part.node == first.node && part.axes == first.axes;
            // A softmax is over all channels, however often they are there.
            let is_softmax = matches!(part.pending, Some(Pending::Softmax | Pending::LogSoftmax));
            if !alike || part.pad != first.pad || part.pending != first.pending || is_softmax {
                return Ok(None);
            }
            let own = self.shape_of(part).c;
            match &part.channels {
                Some(channels) => places.extend(channels.iter().copied()),
                None => places.extend(0..own),
            }
        }
        let base = View {
            channels: None,
            ..first.clone()
        };
        Ok(Some(with_channels(&base, self.shape_of(first).c, &places)))
    }

    /// The same value with all channels of its node: a convolution picks them.
    pub(super) fn with_chosen_channels(
        &mut self,
        reader: &Node,
        layer: View,
    ) -> Result<View, GraphError> {
        let Some(channels) = &layer.channels else {
            return Ok(layer);
        };
        // Who picks the same ones again reads the same layer.
        let key = (layer.node, channels.clone());
        if let Some(&node) = self.picked.get(&key) {
            return Ok(View {
                node,
                channels: None,
                ..layer
            });
        }
        let places: Vec<Option<usize>> = channels.iter().copied().map(Some).collect();
        let picked = self.picking(reader, layer, &places, 0.0)?;
        self.picked.insert(key, picked.node);
        Ok(picked)
    }

    /// The layer with so many channels before and after its own, or without so many where the number is negative.
    pub(super) fn with_channels_around(
        &mut self,
        call: &Call<'_>,
        layer: View,
        [before, after]: [i32; 2],
        value: f32,
    ) -> Result<View, GraphError> {
        let own = self.shape_of(&layer).c;
        let end = i64::try_from(own).unwrap_or(i64::MAX) + i64::from(after);
        let places = (-i64::from(before)..end)
            .map(|place| usize::try_from(place).ok().filter(|&place| place < own));
        let places: Vec<Option<usize>> = places.take(MAX_PICKING + 1).collect();
        self.picking(call.node, layer, &places, value)
    }

    /// Books the weights of a layer that only brings channels together.
    pub(super) fn pick(&mut self, reader: &Node, count: usize) -> Result<(), GraphError> {
        self.picking = self.picking.saturating_add(count);
        if count > MAX_PICKING || self.picking > MAX_ALL_PICKING {
            return Err(reader.unsupported("of so many channels that were picked"));
        }
        Ok(())
    }

    /// A convolution that gives these channels of the layer, and `value` for those that are none of its own.
    fn picking(
        &mut self,
        reader: &Node,
        layer: View,
        places: &[Option<usize>],
        value: f32,
    ) -> Result<View, GraphError> {
        let (inputs, outputs) = (self.shape_of(&layer).c, places.len());
        let count = inputs.saturating_mul(outputs);
        self.pick(reader, count)?;
        let mut weight = vec![0.0; count];
        let mut bias = vec![0.0; outputs];
        for (o, place) in places.iter().enumerate() {
            match place {
                Some(i) => weight[o * inputs + i] = 1.0,
                None => bias[o] = value,
            }
        }
        let op = Op::Conv2d {
            weight: Tensor::from_f32(vec![outputs, inputs, 1, 1], &weight),
            bias: (value != 0.0).then(|| Tensor::from_f32(vec![outputs], &bias)),
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        let node = self.push(reader, None, op, layer.node)?;
        Ok(View {
            node,
            channels: None,
            ..layer
        })
    }

    /// The weights of a convolution over all channels of `layer`'s node that does what `weight` does over its picked ones,
    /// where these are the same ones in another order and not many.
    pub(super) fn reordered(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        weight: &Tensor,
    ) -> Result<Option<Tensor>, GraphError> {
        let Some(channels) = &layer.channels else {
            return Ok(None);
        };
        let inputs = self.shape_of(layer).c;
        let mut places = vec![None; inputs];
        for (place, &channel) in channels.iter().enumerate() {
            places[channel] = Some(place as i64);
        }
        let all: Option<Vec<i64>> = places.into_iter().collect();
        let fits = weight.shape().get(1) == Some(&inputs) && weight.len() <= MAX_REORDERED;
        let (Some(places), true, true) = (all, channels.len() == inputs, fits) else {
            return Ok(None);
        };
        self.book(call.node, weight.len())?;
        let array = Array {
            shape: weight.shape().to_vec(),
            values: weight.to_vec(),
        };
        let turned = array.gathered(1, &Array::list(places));
        Ok(turned.map(|turned| Tensor::from_f32(turned.shape, &turned.values)))
    }
}

/// The dimensions with so many groups of so many channels; where there is one of either, the others are all channels.
fn grouped(axes: &[Axis], [groups, within]: [usize; 2]) -> Vec<Axis> {
    let axes = axes.iter().map(|&axis| match axis {
        Axis::Group(_) if groups == 1 => Axis::One,
        Axis::Group(_) if within == 1 => Axis::C,
        Axis::Group(_) => Axis::Group(groups),
        Axis::Within(_) if groups == 1 => Axis::C,
        Axis::Within(_) if within == 1 => Axis::One,
        Axis::Within(_) => Axis::Within(within),
        axis => axis,
    });
    axes.collect()
}

/// The layer with these of its channels; its node has `all`.
pub(super) fn with_channels(layer: &View, all: usize, places: &[usize]) -> View {
    let old = |place: usize| layer.channels.as_ref().map_or(place, |all| all[place]);
    let channels: Vec<usize> = places.iter().map(|&place| old(place)).collect();
    let whole = channels.iter().copied().eq(0..all);
    View {
        channels: (!whole).then(|| Arc::from(channels)),
        ..layer.clone()
    }
}
