//! Shares that add up to one.

use super::{Call, grid};
use crate::kernels::{Kernel, SoftmaxBackwardParams, SoftmaxParams};
use crate::layout::{Direction, blocks};
use crate::network::{NodeId, SoftmaxOver};
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// The way back reads its own value.
    pub(super) fn softmax(&mut self, id: NodeId, call: &Call<'_>, over: SoftmaxOver) {
        let shape = call.made();
        let places = shape.h * shape.w;
        let (rows, length, apart) = match over {
            SoftmaxOver::Positions => (shape.c, places, 0),
            SoftmaxOver::Channels { count, apart } => (shape.c / count * places, count, apart),
        };
        let (count, rows) = ((call.n * rows) as u32, rows as u32);
        let (blocks, positions) = (blocks(shape.c) as u32, places as u32);
        let (channels, length, apart) = (shape.c as u32, length as u32, apart as u32);
        let workgroups = grid(count, self.limits.workgroups);
        match call.direction {
            Direction::Forward => {
                let params = SoftmaxParams {
                    count,
                    rows,
                    blocks,
                    positions,
                    channels,
                    length,
                    apart,
                };
                let buffers = vec![call.x, call.y];
                self.dispatch(Kernel::Softmax, call.label, &params, buffers, workgroups, 0);
            }
            Direction::Backward => {
                let params = SoftmaxBackwardParams {
                    count,
                    rows,
                    blocks,
                    positions,
                    channels,
                    length,
                    apart,
                    sharing: self.pass.sharing as u32,
                };
                let buffers = vec![call.x, self.value(id), call.y];
                let kernel = Kernel::SoftmaxBackward;
                self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
            }
        }
    }
}
