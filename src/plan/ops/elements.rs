//! What takes its elements one by one: affine, pad, flatten.

use super::{Call, size};
use crate::kernels::{AffineParams, Epilogue, FlattenParams, IMAGE_ROW, Kernel, PadParams};
use crate::layout::{Direction, blocks};
use crate::network::{FlattenOrder, NodeId, Op, Pad};
use crate::plan::builder::Builder;
use crate::plan::{BufferId, Packing};
use crate::weights::Tensor;

impl Builder<'_> {
    /// scale x + shift, a value a channel, with the ReLU after it where `epilogue` says so; the gradient has no shift.
    pub(super) fn affine(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        [scale, shift]: [&Tensor; 2],
        epilogue: Epilogue,
    ) {
        let shape = call.made();
        let scale = self.vector(id, "scales", scale);
        let shifted = call.direction == Direction::Forward;
        let shifts = shifted.then(|| self.vector(id, "shifts", shift));
        let images = call.images();
        let params = AffineParams {
            image: images[1] as u32,
            positions: (shape.h * shape.w) as u32,
            epilogue: epilogue as u32,
        };
        let buffers = vec![call.x, scale, shifts.unwrap_or(self.nothing), call.y];
        let kernel = match shifted {
            true => Kernel::Affine,
            false => Kernel::AffineBackward,
        };
        self.each_image(kernel, call.label, images, &params, buffers);
    }

    /// The scales and shifts of node `id` as a convolution reads them.
    pub(super) fn norm(&mut self, id: NodeId) -> BufferId {
        let node = self.network.node(id);
        let Op::Affine { scale, shift } = &node.op else {
            unreachable!("{} is no scale and shift", node.name)
        };
        let of_blocks = [scale, shift].map(|values| {
            let mut values = values.to_vec();
            values.resize(blocks(values.len()) * 4, 0.0);
            values
        });
        let each = of_blocks.each_ref().map(|values| values.chunks_exact(4));
        let [scales, shifts] = each;
        let values: Vec<f32> = { scales.zip(shifts) }
            .flat_map(|(scale, shift)| [scale, shift].concat())
            .collect();
        let tensor = Tensor::from_f32(vec![values.len()], &values);
        let len = values.len().next_multiple_of(IMAGE_ROW * 4);
        let name = format!("{} scales and shifts", node.name);
        self.buffers
            .weights(name, len, &tensor, Packing::VectorTexels)
    }

    /// Rows and columns around a map, or off it; the way back is the same the other way round, with zeros.
    pub(super) fn pad(&mut self, call: &Call<'_>, pad: &Pad) {
        let (from, to, before, value) = match call.direction {
            Direction::Forward => (call.in_shape, call.out_shape, pad.before, pad.value),
            Direction::Backward => {
                let before = pad.before.map(|count| -count);
                (call.out_shape, call.in_shape, before, 0.0)
            }
        };
        let params = PadParams {
            count: call.count(),
            in_size: size(from),
            out_size: size(to),
            before,
            value,
        };
        let buffers = vec![call.x, call.y];
        self.each(Kernel::Pad, call.label, params.count, &params, buffers);
    }

    pub(super) fn flatten(&mut self, call: &Call<'_>, order: FlattenOrder) {
        let shape = call.in_shape;
        let (channels, positions) = (shape.c as u32, (shape.h * shape.w) as u32);
        let (channel_stride, position_stride) = match order {
            FlattenOrder::Chw => (positions, 1),
            FlattenOrder::Hwc => (1, channels),
        };
        // By single values, not by four.
        let params = FlattenParams {
            count: call.count() * 4,
            row: blocks(shape.len()) as u32 * 4,
            channels,
            blocks: blocks(shape.c) as u32,
            positions,
            channel_stride,
            position_stride,
        };
        let kernel = match call.direction {
            Direction::Forward => Kernel::Flatten,
            Direction::Backward => Kernel::FlattenBackward,
        };
        let buffers = vec![call.x, call.y];
        self.each(kernel, call.label, params.count, &params, buffers);
    }
}
