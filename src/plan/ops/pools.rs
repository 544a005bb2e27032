//! Pools and means.

use super::end::End;
use super::{Step, signed, size};
use crate::kernels::{
    AdaptiveAvgPoolParams, AvgPoolParams, GlobalMeanParams, Kernel, MaxPoolBackwardDisjointParams,
    MaxPoolBackwardParams, MaxPoolParams,
};
use crate::layout::{Direction, blocks, padded_len};
use crate::network::{NodeId, Window};
use crate::plan::BufferId;
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// The buffer for where the maxima of a max-pool are; the one that holds its repeated taps, if they are known.
    pub(super) fn argmax(&mut self, id: NodeId) -> BufferId {
        if let Some(argmax) = self.repeats[id.0] {
            return argmax;
        }
        let node = self.network.node(id);
        let bytes = padded_len(self.images, node.shape) as u64;
        self.save(id, "argmax", bytes)
    }

    pub(super) fn max_pool(&mut self, id: NodeId, step: &Step<'_>, window: &Window) {
        let (taps, stride) = (signed(window.size), signed(window.stride));
        let pad = signed(window.pad_before);
        match step.direction {
            Direction::Forward => {
                let argmax = self.argmax(id);
                let params = MaxPoolParams {
                    count: step.count(),
                    in_size: size(step.in_shape),
                    out_size: [step.out_shape.h as u32, step.out_shape.w as u32],
                    taps,
                    stride,
                    pad,
                    known: u32::from(self.repeats[id.0].is_some()),
                };
                self.each(
                    Kernel::MaxPool,
                    step.label,
                    params.count,
                    &params,
                    vec![step.x, step.y, argmax],
                );
            }
            Direction::Backward => {
                let argmax = self.saved(id);
                let params = MaxPoolBackwardParams {
                    count: step.count(),
                    blocks: blocks(step.in_shape.c) as u32,
                    in_size: [step.in_shape.h as u32, step.in_shape.w as u32],
                    out_size: size(step.out_shape),
                    taps,
                    stride,
                    pad,
                    sharing: self.sharing as u32,
                };
                let buffers = vec![step.x, argmax, step.y];
                self.each(
                    Kernel::MaxPoolBackward,
                    step.label,
                    params.count,
                    &params,
                    buffers,
                );
            }
        }
    }

    /// The gradient of a max-pool whose windows lie side by side; `end` is the mask of a ReLU before it.
    pub(super) fn max_pool_backward_disjoint(
        &mut self,
        id: NodeId,
        step: &Step<'_>,
        window: &Window,
        end: End,
    ) {
        let argmax = self.saved(id);
        let [taps_h, taps_w] = window.size;
        let (inside, made) = (step.out_shape, step.in_shape);
        let (rows, columns) = (made.h.div_ceil(taps_h), made.w.div_ceil(taps_w));
        let params = MaxPoolBackwardDisjointParams {
            count: (step.n * blocks(made.c) * rows * columns) as u32,
            blocks: blocks(made.c) as u32,
            rows: rows as u32,
            columns: columns as u32,
            in_size: [made.h as u32, made.w as u32],
            out_size: [inside.h as u32, inside.w as u32],
            taps: [taps_h as u32, taps_w as u32],
            epilogue: end.epilogue as u32,
            sharing: self.sharing as u32,
        };
        self.each(
            Kernel::MaxPoolBackwardDisjoint,
            step.label,
            params.count,
            &params,
            vec![step.x, argmax, end.extra, step.y],
        );
    }

    pub(super) fn avg_pool(&mut self, step: &Step<'_>, window: &Window, count_include_pad: bool) {
        let params = AvgPoolParams {
            count: step.count(),
            in_size: size(step.in_shape),
            out_size: size(step.out_shape),
            taps: signed(window.size),
            stride: signed(window.stride),
            pad: signed(window.pad_before),
            count_include_pad: u32::from(count_include_pad),
        };
        let kernel = match step.direction {
            Direction::Forward => Kernel::AvgPool,
            Direction::Backward => Kernel::AvgPoolBackward,
        };
        self.each(
            kernel,
            step.label,
            params.count,
            &params,
            vec![step.x, step.y],
        );
    }

    pub(super) fn adaptive_avg_pool(&mut self, step: &Step<'_>) {
        let params = AdaptiveAvgPoolParams {
            count: step.count(),
            in_size: [step.in_shape.h as u32, step.in_shape.w as u32],
            out_size: [step.out_shape.h as u32, step.out_shape.w as u32],
        };
        let kernel = match step.direction {
            Direction::Forward => Kernel::AdaptiveAvgPool,
            Direction::Backward => Kernel::AdaptiveAvgPoolBackward,
        };
        let buffers = vec![step.x, step.y];
        self.each(kernel, step.label, params.count, &params, buffers);
    }

    pub(super) fn global_mean(&mut self, step: &Step<'_>) {
        let params = GlobalMeanParams {
            count: step.count(),
            positions: (step.in_shape.h * step.in_shape.w) as u32,
        };
        let kernel = match step.direction {
            Direction::Forward => Kernel::GlobalMean,
            Direction::Backward => Kernel::GlobalMeanBackward,
        };
        self.each(
            kernel,
            step.label,
            params.count,
            &params,
            vec![step.x, step.y],
        );
    }
}
