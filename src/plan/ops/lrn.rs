//! Local response normalisation.

use super::Call;
use crate::kernels::{Kernel, LrnBackwardParams, LrnParams};
use crate::layout::{Direction, blocks, padded_bytes};
use crate::network::{Lrn, NodeId};
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// Forward it leaves what it divided by; the way back reads that and its input.
    pub(super) fn lrn(&mut self, id: NodeId, call: &Call<'_>, lrn: &Lrn) {
        let shape = call.made();
        let (blocks, positions) = (blocks(shape.c) as u32, (shape.h * shape.w) as u32);
        let [before, after] = lrn.neighbours().map(|count| count.min(shape.c) as i32);
        let (count, channels) = (call.count(), shape.c as i32);
        let scale = lrn.alpha / lrn.size as f32;
        match call.direction {
            Direction::Forward => {
                let bytes = padded_bytes(call.n, shape);
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
                let buffers = vec![call.x, call.y, sums];
                self.each(Kernel::Lrn, call.label, count, &params, buffers);
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
                    sharing: self.pass.sharing as u32,
                };
                let buffers = vec![call.x, self.value(input), self.saved(id), call.y];
                self.each(Kernel::LrnBackward, call.label, count, &params, buffers);
            }
        }
    }
}
