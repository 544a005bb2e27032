//! Normalisation over groups of channels with all their positions.

use super::{Call, grid};
use crate::kernels::{GroupNormBackwardParams, GroupNormParams, Kernel};
use crate::layout::{Direction, blocks};
use crate::network::NodeId;
use crate::plan::builder::Builder;
use crate::weights::Tensor;

impl Builder<'_> {
    /// The way back reads its input, and takes mean and variance of it once more.
    pub(super) fn group_norm(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        groups: usize,
        [scale, shift]: [&Tensor; 2],
        epsilon: f32,
    ) {
        let shape = call.made();
        let scale = self.vector(id, "scales", scale);
        let positions = (shape.h * shape.w) as u32;
        let (count, blocks) = ((call.n * groups) as u32, blocks(shape.c) as u32);
        let (groups, channels) = (groups as u32, shape.c as u32);
        let workgroups = grid(count, self.limits.workgroups);
        match call.direction {
            Direction::Forward => {
                let shift = self.vector(id, "shifts", shift);
                let params = GroupNormParams {
                    count,
                    groups,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                };
                let buffers = vec![call.x, scale, shift, call.y];
                let kernel = Kernel::GroupNorm;
                self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
            }
            Direction::Backward => {
                let input = self.network.node(id).inputs[0];
                let params = GroupNormBackwardParams {
                    count,
                    groups,
                    blocks,
                    positions,
                    channels,
                    epsilon,
                    sharing: self.pass.sharing as u32,
                };
                let buffers = vec![call.x, self.value(input), scale, call.y];
                let kernel = Kernel::GroupNormBackward;
                self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
            }
        }
    }
}
