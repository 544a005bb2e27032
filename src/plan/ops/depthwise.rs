//! A convolution of one channel a group, or its input gradient.

use super::convolution::Convolution;
use super::{signed, size};
use crate::kernels::{DEPTHWISE_ROWS, DepthwiseParams, Kernel};
use crate::layout::blocks;
use crate::plan::Packing;
use crate::plan::builder::Builder;

impl Convolution<'_> {
    /// Whether each output channel reads the input channel of its own number alone.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_shape.c && self.groups == self.out_shape.c
    }
}

impl Builder<'_> {
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
        // Taps so many rows apart read what the output after theirs reads one tap earlier.
        let step = match stride[0] % dilation[0] {
            0 => (stride[0] / dilation[0]).min(taps[0]),
            _ => taps[0],
        };
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
            step,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as u32,
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
