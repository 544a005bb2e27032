//! Rows as columns.

use super::Call;
use crate::kernels::{Kernel, TransposeParams};
use crate::layout::Direction;
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// The gradient goes back by the same kernel.
    pub(super) fn transpose(&mut self, call: &Call<'_>) {
        let from = match call.direction {
            Direction::Forward => call.in_shape,
            Direction::Backward => call.out_shape,
        };
        let params = TransposeParams {
            count: call.count(),
            rows: from.h as u32,
            columns: from.w as u32,
        };
        let buffers = vec![call.x, call.y];
        self.each(
            Kernel::Transpose,
            call.label,
            params.count,
            &params,
            buffers,
        );
    }
}
