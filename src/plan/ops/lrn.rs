//! Local response normalisation.

use super::Step;
use crate::kernels::{Kernel, LrnBackwardParams, LrnParams};
use crate::layout::{Direction, blocks, padded_len};
use crate::network::{Lrn, NodeId};
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// Forward it leaves what it divided by; the way back reads that and its input.
    pub(super) fn lrn(&mut self, id: NodeId, step: &Step<'_>, lrn: &Lrn) {
        let shape = step.made();
        let (blocks, positions) = (blocks(shape.c) as u32, (shape.h * shape.w) as u32);
        let [before, after] = lrn.neighbours().map(|count| count.min(shape.c) as i32);
        let (count, channels) = (step.count(), shape.c as i32);
        let scale = lrn.alpha / lrn.size as f32;
        match step.direction {
            Direction::Forward => {
                let bytes = padded_len(step.n, shape) as u64 * 4;
                let sums = self.save(id, "sums", bytes);
                let params = LrnParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    before,
                    after,
                    scale,
                    beta: lrn.beta,
                    bias: lrn.bias,
                };
                let buffers = vec![step.x, step.y, sums];
                self.each(Kernel::Lrn, step.label, count, &params, buffers);
            }
            Direction::Backward => {
                let input = self.network.node(id).inputs[0];
                let params = LrnBackwardParams {
                    count,
                    blocks,
                    positions,
                    channels,
                    before,
                    after,
                    factor: 2.0 * scale * lrn.beta,
                    beta: lrn.beta,
                    sharing: self.sharing as u32,
                };
                let buffers = vec![step.x, self.value(input), self.saved(id), step.y];
                self.each(Kernel::LrnBackward, step.label, count, &params, buffers);
            }
        }
    }
}
