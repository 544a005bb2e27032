//! What weighs channels by one another: a value that is spread over channels or positions, a convolution along the channels of a
//! vector, and values that are stacked in a dimension of their own.

use crate::network::{
    Activation, Coordinates, Interpolation, MAX_SIDE, NodeId, Op, Resample, Resize, ResizeTo,
};
use crate::weights::Tensor;

use super::activations::MAX_PLACES;
use super::array::broadcast;
use super::channels::with_channels;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, Value, View};

impl Import<'_> {
    /// A single channel as so many that are alike.
    pub(super) fn spread_over_channels(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        channels: usize,
    ) -> Result<View, GraphError> {
        self.by_position(call, layer, Tensor::repeated(vec![channels, 1, 1, 1], 1.0))
    }

    /// Rows or columns of which there is one, as many that are alike.
    pub(super) fn spread_over_positions(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        size: [usize; 2],
    ) -> Result<View, GraphError> {
        let shape = self.shape_of(layer);
        let fits = |(from, to): (usize, usize)| from == to || from == 1 && to <= MAX_SIDE;
        if ![(shape.h, size[0]), (shape.w, size[1])]
            .into_iter()
            .all(fits)
        {
            return Err(call.unsupported("of two layers of different shapes"));
        }
        let op = Op::Resample(Resample::Resize(Resize {
            to: ResizeTo::Size(size),
            filter: Interpolation::Linear,
            places: Coordinates::HalfPixel,
            antialias: false,
            edge: true,
        }));
        self.made(call, layer, op)
    }

    /// `Expand`: rows, columns or channels of which there is one, as many that are alike.
    pub(super) fn expanded(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let old = self.dimensions(&layer);
        let asked = call.ints("", 1).and_then(|asked| {
            let lengths = asked.iter().map(|&n| usize::try_from(n).ok());
            broadcast(&old, &lengths.collect::<Option<Vec<usize>>>()?)
        });
        let asked = asked.ok_or_else(|| call.unusable("shape"))?;
        if asked == old {
            return Ok(layer);
        }
        if let Some(vector) = self.expanded_vector(call, &layer, &asked)? {
            return Ok(vector);
        }
        let unsupported = || call.unsupported("of other than channels, rows and columns");
        if asked.len() != old.len() || old.len() != 4 || asked[0] != old[0] {
            return Err(unsupported());
        }
        // A reshape to lengths of 1 has left nothing of which of them is which.
        let last = layer.axes[3] == Axis::C;
        let axes = match last {
            true => [Axis::N, Axis::H, Axis::W, Axis::C],
            false => Axis::PLANAR,
        };
        if !self.has_axes(&layer, &axes) {
            return Err(unsupported());
        }
        let [channels, rows, columns] = if last { [3, 1, 2] } else { [1, 2, 3] }.map(|i| asked[i]);
        let mut made = layer;
        if self.shape_of(&made).c != channels {
            if channels > MAX_PLACES {
                return Err(unsupported());
            }
            made = self.spread_over_channels(call, &made, channels)?;
        }
        let shape = self.shape_of(&made);
        if [shape.h, shape.w] != [rows, columns] {
            made = self.spread_over_positions(call, &made, [rows, columns])?;
        }
        made.axes = axes.to_vec();
        Ok(made)
    }

    /// The layer, as many channels that are alike where it has one and the constant has a number for each of several.
    pub(super) fn spread_over_constant(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        constant: &Tensor,
    ) -> Result<View, GraphError> {
        let from_last = layer.axes.iter().rev().position(|&axis| axis == Axis::C);
        let shape = constant.shape();
        let channels = from_last.and_then(|at| shape.iter().rev().nth(at));
        match channels {
            Some(&channels)
                if self.shape_of_value(layer).c == 1
                    && (2..=MAX_PLACES).contains(&channels)
                    && constant.len() == channels =>
            {
                call.open(layer)?;
                self.spread_over_channels(call, layer, channels)
            }
            _ => Ok(layer.clone()),
        }
    }

    /// A vector of one value as one of so many that are alike: a length that others are divided by.
    fn expanded_vector(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        asked: &[usize],
    ) -> Result<Option<View>, GraphError> {
        let &[batch, channels] = asked else {
            return Ok(None);
        };
        let fits = self.shape_of(layer).len() == 1 && batch == self.batch;
        if !fits || channels > MAX_PLACES {
            return Ok(None);
        }
        let axes = vec![Axis::N, Axis::C];
        let made = self.spread_over_channels(call, layer, channels)?;
        Ok(Some(View { axes, ..made }))
    }

    /// `Tile`: channels that come several times, one after the other, and rows or columns of which there is one.
    pub(super) fn tiled(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layer = call.layer()?.clone();
        call.open(&layer)?;
        let lengths = self.dimensions(&layer);
        let repeats = call.ints("repeats", 1).map(|repeats| {
            let counts = repeats.iter().map(|&n| usize::try_from(n).ok());
            counts.collect::<Option<Vec<usize>>>()
        });
        let repeats = repeats.flatten();
        let repeats =
            repeats.filter(|counts| counts.len() == lengths.len() && !counts.contains(&0));
        let repeats = repeats.ok_or_else(|| call.unusable("repeats"))?;
        let shape = self.shape_of(&layer);
        let mut size = [shape.h, shape.w];
        for (&axis, &count) in layer.axes.clone().iter().zip(&repeats) {
            match axis {
                _ if count == 1 => {}
                Axis::C if shape.c.saturating_mul(count) <= MAX_PLACES => {
                    let places = (0..shape.c).cycle().take(shape.c * count);
                    layer = with_channels(&layer, shape.c, &places.collect::<Vec<_>>());
                }
                Axis::H if shape.h == 1 => size[0] = count,
                Axis::W if shape.w == 1 => size[1] = count,
                _ => return Err(call.unsupported("of other than channels, one row or one column")),
            }
        }
        let layer = self.with_chosen_channels(call.node, layer)?;
        match size == [shape.h, shape.w] {
            true => Ok(layer),
            false => self.spread_over_positions(call, &layer, size),
        }
    }

    /// A convolution of one dimension along the elements of a vector: a dense layer whose matrix is a band.
    pub(super) fn conv_over_channels(
        &mut self,
        call: &Call<'_>,
        weight: &Tensor,
    ) -> Result<View, GraphError> {
        let layer = self.settled(call.node, call.layer()?.clone())?;
        call.open(&layer)?;
        let unsupported =
            || call.unsupported("of one dimension, but along the elements of a vector,");
        let one = |name: &str| matches!(call.node.ints(name), None | Some(&[1]));
        let plain = one("strides") && one("dilations") && call.node.int("group").unwrap_or(1) == 1;
        let padded = call.node.text("auto_pad").unwrap_or("NOTSET") == "NOTSET";
        let &[1, 1, taps] = weight.shape() else {
            return Err(unsupported());
        };
        let inputs = self.shape_of(&layer).c;
        if !plain || !padded || self.dimensions(&layer) != [self.batch, 1, inputs] {
            return Err(unsupported());
        }
        let pads = match call.node.ints("pads") {
            None => [0, 0],
            Some(&[before @ 0..=0xffff, after @ 0..=0xffff]) => [before as usize, after as usize],
            Some(_) => return Err(call.unusable("pads")),
        };
        let outputs = (inputs + pads[0] + pads[1] + 1).checked_sub(taps);
        let outputs = outputs.filter(|&n| n > 0).ok_or_else(unsupported)?;
        self.pick(call.node, outputs.saturating_mul(inputs))?;
        let values = weight.to_vec();
        let mut matrix = vec![0.0; outputs * inputs];
        for o in 0..outputs {
            for (tap, &value) in values.iter().enumerate() {
                let place = (o + tap).checked_sub(pads[0]);
                if let Some(i) = place.filter(|&i| i < inputs) {
                    matrix[o * inputs + i] = value;
                }
            }
        }
        let matrix = Tensor::from_f32(vec![outputs, inputs, 1, 1], &matrix);
        let mut made = self.by_position(call, &layer, matrix)?;
        if let Some(bias) = call.optional(2, "biases")? {
            let [bias] = bias.to_vec()[..] else {
                return Err(call.unusable("biases"));
            };
            made = self.affine(call, &made, &vec![1.0; outputs], &vec![bias; outputs])?;
        }
        Ok(made)
    }

    /// `Concat` in a dimension of its own, which stands before that of the channels: their channels one after the other.
    pub(super) fn stacked(
        &mut self,
        call: &Call<'_>,
        first: &View,
        along: usize,
        nodes: Vec<NodeId>,
    ) -> Result<View, GraphError> {
        let within = self.shape_of(first).c;
        let alike = nodes
            .iter()
            .all(|&node| self.network.node(node).shape.c == within);
        if first.axes.get(along + 1) != Some(&Axis::C) || !alike {
            return Err(call.unsupported("along other than channels"));
        }
        let mut axes = first.axes.clone();
        axes[along] = Axis::Group(nodes.len());
        axes[along + 1] = Axis::Within(within);
        let node = self.push_of(call.node, None, Op::Concat, nodes)?;
        Ok(View::new(node, axes))
    }

    /// One layer divided by another, or a number by a layer: times its reciprocal.
    pub(super) fn divided(&mut self, call: &mut Call<'_>) -> Result<(), GraphError> {
        let Some(Some(Value::Layer(divisor))) = call.inputs.get(1) else {
            return Ok(());
        };
        let divisor = divisor.clone();
        call.open(&divisor)?;
        let below = self.made(call, &divisor, Op::Activate(Activation::Reciprocal))?;
        call.inputs[1] = Some(Value::Layer(below));
        Ok(())
    }
}
