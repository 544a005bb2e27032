//! A convolution or its input gradient on a GPU: by Winograd's algorithm, or directly, and in which tiles.

use super::convolution::Convolution;
use super::winograd_tiled::WinogradTiled;
use super::{grid, signed, size};
use crate::kernels::{Conv2dTiledParams, Kernel, TILED_LARGE, TILED_SMALL};
use crate::layout::{blocks, depths};
use crate::plan::builder::Builder;
use crate::plan::{Hardware, Packing, Winograd};

impl Builder<'_> {
    pub(super) fn convolution_tiled(&mut self, call: &Convolution<'_>, hardware: Hardware) {
        let winograd = || WinogradTiled::new(call, &self.limits);
        let winograd = match self.limits.winograd {
            Winograd::Never => None,
            Winograd::WhereFaster => winograd().filter(|it| it.is_faster(hardware)),
            Winograd::Everywhere => winograd(),
        };
        match winograd {
            Some(winograd) => self.convolution_winograd_tiled(&winograd, hardware),
            None => self.convolution_direct_tiled(call, hardware),
        }
    }

    fn convolution_direct_tiled(&mut self, call: &Convolution<'_>, hardware: Hardware) {
        let Convolution { window, .. } = call;
        let taps = window.size[0] * window.size[1];
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let depths = depths(taps, call.in_shape.c);
        let w = self.weights(
            format!("{} weights", call.name),
            depths * 4 * out_blocks * 4,
            call.weight,
            Packing::Depths(call.layout, call.direction),
        );
        let [stride, pad, up] = call.window_steps();
        let params = Conv2dTiledParams {
            in_blocks: in_blocks as u32,
            in_size: size(call.in_shape),
            out_blocks: out_blocks as u32,
            out_size: size(call.out_shape),
            taps: signed(window.size),
            stride,
            pad,
            dilation: signed(window.dilation),
            up,
            steps: (depths / 4) as u32,
            epilogue: call.end.epilogue as u32,
        };
        let positions = call.out_shape.h * call.out_shape.w;
        let tile = tile([positions, out_blocks * 4], call.n, hardware);
        let kernel = match tile {
            TILED_LARGE => Kernel::Conv2dTiledLarge,
            _ => Kernel::Conv2dTiledSmall,
        };
        let [x, y, _] = grid(positions.div_ceil(tile) as u32, self.limits.workgroups);
        let across = (out_blocks * 4).div_ceil(tile);
        let workgroups = [x, y, (call.n * across) as u32];
        let buffers = vec![call.x, w, call.end.extra, call.y];
        self.dispatch(
            kernel,
            call.label,
            &params,
            buffers,
            workgroups,
            call.work(),
        );
    }
}

/// Rows and columns that a workgroup makes of `matrices` of `size`: the large tile where that makes workgroups enough.
pub(super) fn tile(size: [usize; 2], matrices: usize, hardware: Hardware) -> usize {
    let [rows, columns] = size.map(|len| len.div_ceil(TILED_LARGE));
    if matrices * rows * columns < hardware.workgroups as usize {
        TILED_SMALL
    } else {
        TILED_LARGE
    }
}
