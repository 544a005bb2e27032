//! Normalisation over the channels of each position.

use super::Call;
use crate::kernels::{Kernel, LayerNormBackwardParams, LayerNormParams};
use crate::layout::{Direction, blocks};
use crate::network::NodeId;
use crate::plan::builder::Builder;
use crate::weights::Tensor;

impl Builder<'_> {
    /// The way back reads its input, and takes mean and variance of it once more.
    pub(super) fn layer_norm(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        [scale, shift]: [&Tensor; 2],
        epsilon: f32,
    ) {
        let shape = call.made();
        let scale = self.vector(id, "scales", scale);
        let positions = (shape.h * shape.w) as u32;
        let (count, blocks) = (call.n as u32 * positions, blocks(shape.c) as u32);
        let channels = shape.c as u32;
        match call.direction {
            Direction::Forward => {
                let shift = self.vector(id, "shifts", shift);
                let params = LayerNormParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                };
                let buffers = vec![call.x, scale, shift, call.y];
                self.each(Kernel::LayerNorm, call.label, count, &params, buffers);
            }
            Direction::Backward => {
                let input = self.network.node(id).inputs[0];
                let params = LayerNormBackwardParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                    sharing: self.pass.sharing as u32,
                };
                let buffers = vec![call.x, self.value(input), scale, call.y];
                let kernel = Kernel::LayerNormBackward;
                self.each(kernel, call.label, count, &params, buffers);
            }
        }
    }
}
