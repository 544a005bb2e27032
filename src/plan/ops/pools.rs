//! Pools and means.

use super::end::End;
use super::{Call, grid, signed, size};
use crate::kernels::{
    AdaptiveAvgPoolParams, AvgPoolParams, GlobalMeanParams, Kernel, MaxPoolBackwardDisjointParams,
    MaxPoolBackwardParams, MaxPoolParams,
};
use crate::layout::{Direction, blocks, padded_bytes, padded_len};
use crate::network::{NodeId, Window};
use crate::plan::buffers::image_rows;
use crate::plan::builder::Builder;
use crate::plan::{BufferId, KernelFamily};

impl Builder<'_> {
    /// The buffer for where the maxima of a max-pool are; the one that holds its repeated taps, if they are known.
    pub(in crate::plan) fn argmax(&mut self, id: NodeId) -> BufferId {
        if let Some(&argmax) = self.pass.repeats.get(&id) {
            return argmax;
        }
        let node = self.network.node(id);
        // A byte an element.
        let bytes = padded_bytes(self.pass.images, node.shape) / 4;
        self.save(id, "argmax", bytes)
    }

    pub(super) fn max_pool(&mut self, id: NodeId, call: &Call<'_>, window: &Window) {
        let (taps, stride) = (signed(window.size), signed(window.stride));
        let pad = signed(window.pad_before);
        match call.direction {
            Direction::Forward => {
                let argmax = self.argmax(id);
                let params = MaxPoolParams {
                    count: call.count(),
                    in_size: size(call.in_shape),
                    out_size: [call.out_shape.h as u32, call.out_shape.w as u32],
                    taps,
                    stride,
                    pad,
                    known: u32::from(self.pass.repeats.contains_key(&id)),
                };
                let texels = padded_len(call.n, call.in_shape) / 4;
                let fits = image_rows(texels) <= self.limits.image_rows();
                let (kernel, x, copy) = if fits {
                    let (image, copy) = self.through_image(call.x, texels);
                    (Kernel::MaxPoolImage, image, copy)
                } else {
                    (Kernel::MaxPool, call.x, None)
                };
                let buffers = vec![x, call.y, argmax];
                self.each(kernel, call.label, params.count, &params, buffers);
                self.copy_before_last(copy);
            }
            Direction::Backward => {
                let argmax = self.saved(id);
                let params = MaxPoolBackwardParams {
                    count: call.count() as i32,
                    blocks: blocks(call.in_shape.c) as i32,
                    in_size: size(call.in_shape),
                    out_size: size(call.out_shape),
                    taps,
                    stride,
                    pad,
                    sharing: self.pass.sharing as i32,
                };
                let buffers = vec![call.x, argmax, call.y];
                self.each(
                    Kernel::MaxPoolBackward,
                    call.label,
                    call.count(),
                    &params,
                    buffers,
                );
            }
        }
    }

    /// The gradient of a max-pool whose windows lie side by side; `end` is the mask of a ReLU or clip before it.
    pub(super) fn max_pool_backward_disjoint(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        window: &Window,
        end: End,
    ) {
        let argmax = self.saved(id);
        let [taps_h, taps_w] = window.size;
        let (inside, made) = (call.out_shape, call.in_shape);
        let (rows, columns) = (made.h.div_ceil(taps_h), made.w.div_ceil(taps_w));
        let params = MaxPoolBackwardDisjointParams {
            count: (call.n * blocks(made.c) * rows * columns) as i32,
            blocks: blocks(made.c) as i32,
            rows: rows as i32,
            columns: columns as i32,
            in_size: size(made),
            out_size: size(inside),
            taps: [taps_h as i32, taps_w as i32],
            epilogue: end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: end.bounds,
        };
        self.each(
            Kernel::MaxPoolBackwardDisjoint,
            call.label,
            params.count as u32,
            &params,
            vec![call.x, argmax, end.extra, call.y],
        );
    }

    pub(super) fn avg_pool(&mut self, call: &Call<'_>, window: &Window, count_include_pad: bool) {
        let params = AvgPoolParams {
            count: call.count(),
            in_size: size(call.in_shape),
            out_size: size(call.out_shape),
            taps: signed(window.size),
            stride: signed(window.stride),
            pad: signed(window.pad_before),
            count_include_pad: u32::from(count_include_pad),
        };
        let kernel = match call.direction {
            Direction::Forward => Kernel::AvgPool,
            Direction::Backward => Kernel::AvgPoolBackward,
        };
        self.each(
            kernel,
            call.label,
            params.count,
            &params,
            vec![call.x, call.y],
        );
    }

    pub(super) fn adaptive_avg_pool(&mut self, call: &Call<'_>) {
        let params = AdaptiveAvgPoolParams {
            count: call.count(),
            in_size: [call.in_shape.h as u32, call.in_shape.w as u32],
            out_size: [call.out_shape.h as u32, call.out_shape.w as u32],
        };
        let kernel = match call.direction {
            Direction::Forward => Kernel::AdaptiveAvgPool,
            Direction::Backward => Kernel::AdaptiveAvgPoolBackward,
        };
        let buffers = vec![call.x, call.y];
        self.each(kernel, call.label, params.count, &params, buffers);
    }

    pub(super) fn global_mean(&mut self, call: &Call<'_>) {
        let params = GlobalMeanParams {
            count: call.count(),
            positions: (call.in_shape.h * call.in_shape.w) as u32,
        };
        let buffers = vec![call.x, call.y];
        let kernel = match (call.direction, self.limits.family) {
            (Direction::Backward, _) => Kernel::GlobalMeanBackward,
            (Direction::Forward, KernelFamily::Subgroup(_)) => {
                let workgroups = grid(params.count, self.limits.workgroups);
                let kernel = Kernel::GlobalMeanSubgroup;
                return self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
            }
            (Direction::Forward, KernelFamily::Plain | KernelFamily::Tiled(_)) => {
                Kernel::GlobalMean
            }
        };
        self.each(kernel, call.label, params.count, &params, buffers);
    }
}
