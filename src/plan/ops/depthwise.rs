//! A convolution of one channel a group, or its input gradient.

use super::convolution::Convolution;
use super::{signed, size};
use crate::kernels::{
    ActivationKind, DEPTHWISE_ROWS, DEPTHWISE_SQUARE_TILE, DepthwiseParams, DepthwiseSquareParams,
    DepthwiseSubgroupParams, IMAGE_ROW, Kernel,
};
use crate::layout::blocks;
use crate::plan::Packing;
use crate::plan::buffers::image_rows;
use crate::plan::builder::Builder;

impl Convolution<'_> {
    /// Whether each output channel reads the input channel of its own number alone.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_shape.c && self.groups == self.out_shape.c
    }
}

/// The form of `depthwise_square.wgsl` that makes a convolution, if one does: that for its window, its stride and how it ends.
fn square_kernel(call: &Convolution<'_>) -> Option<Kernel> {
    let [stride, _, up] = call.window_steps();
    let is_plain = up == [1, 1] && call.window.dilation == [1, 1];
    let end = match call.end.activation {
        None if call.end.is_mask() => 1,
        None => 0,
        Some(ActivationKind::Silu) => 2,
        Some(ActivationKind::HardSwish) => 3,
        Some(_) => unreachable!("no step has another"),
    };
    let kernels = match (call.window.size, stride) {
        ([3, 3], [1, 1]) => [
            Some(Kernel::Depthwise3x3),
            Some(Kernel::Depthwise3x3Masked),
            Some(Kernel::Depthwise3x3Silu),
            Some(Kernel::Depthwise3x3HardSwish),
        ],
        ([5, 5], [1, 1]) => [
            Some(Kernel::Depthwise5x5),
            Some(Kernel::Depthwise5x5Masked),
            Some(Kernel::Depthwise5x5Silu),
            Some(Kernel::Depthwise5x5HardSwish),
        ],
        // The input gradient of a stride goes by steps of one.
        ([3, 3], [2, 2]) => [
            Some(Kernel::Depthwise3x3Strided),
            None,
            Some(Kernel::Depthwise3x3StridedSilu),
            Some(Kernel::Depthwise3x3StridedHardSwish),
        ],
        ([5, 5], [2, 2]) => [
            Some(Kernel::Depthwise5x5Strided),
            None,
            Some(Kernel::Depthwise5x5StridedSilu),
            Some(Kernel::Depthwise5x5StridedHardSwish),
        ],
        _ => [None; 4],
    };
    kernels[end].filter(|_| is_plain)
}

/// Texels of the weights.
fn depthwise_texels(call: &Convolution<'_>) -> usize {
    blocks(call.out_shape.c) * call.window.size[0] * call.window.size[1]
}

/// Taps so many rows apart read what the output after theirs reads one tap earlier, where outputs are so many rows apart.
fn step(call: &Convolution<'_>, apart: i32) -> i32 {
    let [[stride, _], ..] = call.window_steps();
    let (taps, dilation) = (call.window.size[0] as i32, call.window.dilation[0] as i32);
    let rows = stride * apart;
    match rows % dilation {
        0 => (rows / dilation).min(taps),
        _ => taps,
    }
}

impl Builder<'_> {
    /// Whether the kernel that reads through images of `most` rows takes it.
    pub(super) fn fits_depthwise(&self, call: &Convolution<'_>, most: u32) -> bool {
        let rows = image_rows(call.texels().max(depthwise_texels(call)));
        let planes = call.n * blocks(call.out_shape.c);
        rows <= most as usize
            && i32::try_from(rows * IMAGE_ROW).is_ok()
            && planes <= self.limits.workgroups as usize
    }

    /// Through images, by subgroups of so many invocations.
    pub(super) fn depthwise_subgroup(&mut self, call: &Convolution<'_>, width: usize) {
        let (texels, weight_texels) = (call.texels(), depthwise_texels(call));
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::DepthwiseTexels(call.layout, call.direction),
        );
        let (image, copy) = self.through_image(call.x, texels);
        let out = call.out_shape;
        let buffers = vec![image, w, call.end.extra, call.y];
        let work = call.work();
        let [stride, pad, up] = call.window_steps();
        // Of an invocation for each block half or more have one.
        let (of_blocks, in_groups) = (blocks(out.c), blocks(out.c).div_ceil(width));
        let is_worth_it = 2 * of_blocks >= in_groups * width;
        if let Some(kernel) = square_kernel(call).filter(|_| is_worth_it) {
            let params = DepthwiseSquareParams {
                blocks: of_blocks as i32,
                in_size: size(call.in_shape),
                out_size: size(out),
                pad,
                epilogue: call.end.epilogue as u32,
                sharing: self.pass.sharing as i32,
                bounds: call.end.bounds,
            };
            let [columns, rows] = DEPTHWISE_SQUARE_TILE;
            let workgroups = [
                out.w.div_ceil(columns) as u32,
                out.h.div_ceil(rows) as u32,
                (call.n * in_groups) as u32,
            ];
            self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
            return self.copy_before_last(copy);
        }
        let params = DepthwiseSubgroupParams {
            blocks: of_blocks as i32,
            in_size: size(call.in_shape),
            out_size: size(out),
            taps: signed(call.window.size),
            stride,
            pad,
            dilation: signed(call.window.dilation),
            up,
            tap_step: call.tap_steps(),
            step: step(call, up[0]),
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: call.end.bounds,
        };
        let [columns, rows] = call.column_groups(width);
        let workgroups = [columns, rows, (call.n * blocks(out.c)) as u32];
        let kernel = match call.end.activation {
            None if call.end.is_mask() => Kernel::DepthwiseSubgroupMasked,
            None => Kernel::DepthwiseSubgroup,
            Some(ActivationKind::Silu) => Kernel::DepthwiseSubgroupSilu,
            Some(ActivationKind::HardSwish) => Kernel::DepthwiseSubgroupHardSwish,
            Some(_) => unreachable!("no step has another"),
        };
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        self.copy_before_last(copy);
    }

    pub(super) fn depthwise(&mut self, call: &Convolution<'_>) {
        let Convolution { window, .. } = call;
        let out = call.out_shape;
        let taps = window.size[0] * window.size[1];
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            blocks(out.c) * taps * 4,
            call.weight,
            Packing::Depthwise(call.layout, call.direction),
        );
        let [stride, pad, up] = call.window_steps();
        let dilation = signed(window.dilation);
        let taps = signed(window.size);
        let rows = out.h.div_ceil(DEPTHWISE_ROWS);
        let count = call.n * blocks(out.c) * rows * out.w;
        let params = DepthwiseParams {
            count: count as u32,
            blocks: blocks(out.c) as u32,
            in_size: size(call.in_shape),
            out_size: size(out),
            taps,
            stride,
            pad,
            dilation,
            up,
            step: step(call, 1),
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: call.end.bounds,
        };
        let buffers = vec![call.x, w, call.end.extra, call.y];
        let workgroups = self.workgroups(params.count);
        let work = call.work();
        self.dispatch(
            Kernel::Depthwise,
            call.label,
            &params,
            buffers,
            workgroups,
            work,
        );
    }
}
