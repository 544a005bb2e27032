//! Normalisations over channels or positions, and operators over the channels of each position, which a graph has last there.

use crate::network::{FilterLayout, MatrixLayout, Op, Window};
use crate::weights::Tensor;

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

impl Import<'_> {
    pub(super) fn layer_normalization(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let rank = layer.axes.len();
        let (over, epsilon) = if call.node.op_type == "LayerNormalization" {
            let from = axis(call.node.int("axis").unwrap_or(-1), rank);
            let epsilon = call.node.float("epsilon").unwrap_or(1e-5);
            (from.map(|from| (from..rank).collect()), epsilon)
        } else {
            // The standard's has none, and adds a little to the deviation instead.
            let epsilon = call.node.float("epsilon");
            let axes = call.node.ints("axes").unwrap_or(&[0, 2, 3]);
            let over = axes.iter().map(|&at| axis(at, rank));
            let epsilon = epsilon.ok_or_else(|| call.unsupported("without an epsilon"))?;
            (over.collect::<Option<Vec<usize>>>(), epsilon)
        };
        let over = over.ok_or_else(|| call.unusable("axis"))?;
        let lengths = self.dimensions(&layer);
        let is_channels = |at: &usize| layer.axes[*at] == Axis::C;
        let others = over.iter().any(|at| !is_channels(at) && lengths[*at] != 1);
        if others || !over.iter().any(is_channels) {
            return Err(call.unsupported("over other than channels"));
        }
        let channels = self.shape_of(&layer).c;
        let or = |given: Option<&Tensor>, value: f32| {
            given.map_or_else(|| Tensor::repeated(vec![channels], value), Tensor::clone)
        };
        let scale = or(call.optional(1, "scale")?, 1.0);
        let shift = or(call.optional(2, "shift")?, 0.0);
        for (what, values) in [("scale", &scale), ("shift", &shift)] {
            if values.shape() != [channels] {
                return Err(call.unusable(what));
            }
        }
        let op = Op::LayerNorm {
            scale,
            shift,
            epsilon,
        };
        let id = self.push(call.node, call.name_of_input(1), op, layer.node)?;
        Ok(View::new(id, layer.axes))
    }

    /// Over groups of channels with all their positions; an `InstanceNormalization` has as many groups as channels, but for one with
    /// a `num_groups`, which stands for the three nodes of [`super::written_out`].
    pub(super) fn group_normalization(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        if !self.has_axes(&layer, &Axis::PLANAR) {
            return Err(call.unsupported("over other than channels, rows and columns"));
        }
        let channels = self.shape_of(&layer).c;
        let is_instance = call.node.op_type == "InstanceNormalization";
        let groups = match (call.node.int("num_groups"), is_instance) {
            (Some(groups), _) => usize::try_from(groups).ok(),
            (None, true) => Some(channels),
            (None, false) => None,
        };
        let divides = |groups: &usize| *groups > 0 && channels.is_multiple_of(*groups);
        let groups = groups
            .filter(divides)
            .ok_or_else(|| call.unusable("num_groups"))?;
        self.book(call.node, 2 * channels)?;
        let values = |i: usize, what: &'static str| {
            let tensor = call.tensor(i, what)?;
            // Before opset 21 one value a group, and so for what was written out.
            let each = match *tensor.shape() {
                [count] if count == channels => 1,
                [count] if count == groups => channels / groups,
                _ => return Err(call.unusable(what)),
            };
            let values = tensor.to_vec();
            let spread = values
                .iter()
                .flat_map(|&value| std::iter::repeat_n(value, each));
            Ok(Tensor::from_f32(
                vec![channels],
                &spread.collect::<Vec<_>>(),
            ))
        };
        let op = Op::GroupNorm {
            groups,
            scale: values(1, "scale")?,
            shift: values(2, "shift")?,
            epsilon: call.node.float("epsilon").unwrap_or(1e-5),
        };
        // Exporters give the ones of one norm to others too, so that their name is not the layer's.
        let id = self.push(call.node, None, op, layer.node)?;
        Ok(View::new(id, layer.axes))
    }

    /// Each position's channels times a matrix: a convolution of one tap.
    pub(super) fn linear_by_position(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        weight: &Tensor,
        layout: MatrixLayout,
    ) -> Result<View, GraphError> {
        if layer.axes.last() != Some(&Axis::C) {
            return Err(call.unsupported("of something else than vectors"));
        }
        let (layout, ends) = match layout {
            MatrixLayout::InOut => (FilterLayout::Hwio, [[1, 1].as_slice(), weight.shape()]),
            MatrixLayout::OutIn => (FilterLayout::Oihw, [weight.shape(), &[1, 1]]),
        };
        let shape = ends.concat();
        let weight = if let Some(weight) = weight.reshaped(shape.clone()) {
            weight
        } else {
            // Quantised, or a view.
            self.book(call.node, weight.len())?;
            Tensor::from_f32(shape, &weight.to_vec())
        };
        let op = Op::Conv2d {
            weight,
            bias: None,
            layout,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        let id = self.push(call.node, call.name_of_input(1), op, layer.node)?;
        Ok(View::new(id, layer.axes.clone()))
    }
}
