//! Normalisation over the channels of each position.

use super::Step;
use crate::kernels::{Kernel, LayerNormBackwardParams, LayerNormParams};
use crate::layout::{Direction, blocks};
use crate::network::NodeId;
use crate::plan::Packing;
use crate::plan::builder::Builder;
use crate::weights::Tensor;

impl Builder<'_> {
    /// The way back reads its input, and takes mean and variance of it once more.
    pub(super) fn layer_norm(
        &mut self,
        id: NodeId,
        step: &Step<'_>,
        [scale, shift]: [&Tensor; 2],
        epsilon: f32,
    ) {
        let shape = step.made();
        let name = &self.network.node(id).name;
        let mut values = |what: &str, tensor: &Tensor| {
            let len = blocks(shape.c) * 4;
            self.weights(format!("{name} {what}"), len, tensor, Packing::Vector)
        };
        let scale = values("scales", scale);
        let positions = (shape.h * shape.w) as u32;
        let (count, blocks) = (step.n as u32 * positions, blocks(shape.c) as u32);
        let channels = shape.c as u32;
        match step.direction {
            Direction::Forward => {
                let shift = values("shifts", shift);
                let params = LayerNormParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                };
                let buffers = vec![step.x, scale, shift, step.y];
                self.each(Kernel::LayerNorm, step.label, count, &params, buffers);
            }
            Direction::Backward => {
                let input = self.network.node(id).inputs[0];
                let params = LayerNormBackwardParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                    sharing: self.sharing as u32,
                };
                let buffers = vec![step.x, self.value(input), scale, step.y];
                let kernel = Kernel::LayerNormBackward;
                self.each(kernel, step.label, count, &params, buffers);
            }
        }
    }
}
