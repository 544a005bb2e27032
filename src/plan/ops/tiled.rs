//! A convolution or its input gradient on a GPU, and in which tiles it is computed directly.

use super::convolution::Convolution;
use super::winograd_tiled::WinogradTiled;
use super::{grid, signed, size};
use crate::kernels::{
    Conv2dTiledParams, Kernel, SplitSumParams, TILED_LARGE, TILED_SMALL, WINOGRAD_SIZE,
    WINOGRAD_SMALL_SIZE,
};
use crate::layout::blocks;
use crate::plan::builder::Builder;
use crate::plan::costs::Algorithm;
use crate::plan::{BufferId, Hardware, Packing, Variant};

impl Builder<'_> {
    pub(super) fn convolution_tiled(
        &mut self,
        call: &Convolution<'_>,
        hardware: Hardware,
        variant: Variant,
    ) {
        let size = match variant.algorithm() {
            Algorithm::Direct => return self.convolution_direct_tiled(call, hardware, variant),
            Algorithm::F4x4 => WINOGRAD_SIZE,
            Algorithm::F2x2 => WINOGRAD_SMALL_SIZE,
        };
        let winograd = WinogradTiled::new(call, size, &self.limits).expect("it was chosen");
        let tile = match variant {
            _ if variant == self.by_model_within(call, variant.algorithm()) => None,
            Variant::F4x4Large | Variant::F2x2Large => Some(TILED_LARGE),
            _ => Some(TILED_SMALL),
        };
        self.convolution_winograd_tiled(&winograd.in_tiles_of(tile), hardware);
    }

    fn convolution_direct_tiled(
        &mut self,
        call: &Convolution<'_>,
        hardware: Hardware,
        variant: Variant,
    ) {
        let Convolution { window, .. } = call;
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let steps = call.steps();
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            steps * 16 * out_blocks * 4,
            call.weight,
            Packing::Depths(call.layout, call.direction),
        );
        let [stride, pad, up] = call.window_steps();
        let positions = call.out_shape.h * call.out_shape.w;
        let most = self.limits.workgroups as usize;
        let channels = out_blocks * 4;
        let tiling = Tiling::of(variant, [positions, channels], call.n, steps, hardware);
        let across = channels.div_ceil(tiling.tile);
        let fit = self.limits.tensor() as usize / (call.n * positions * channels * 4).max(1);
        let tiling = tiling.into_parts(tiling.parts.min(fit).min(most / (call.n * across).max(1)));
        // Parts are stored as they are, and added by another kernel.
        let (y, end) = match tiling.parts {
            1 => (call.y, call.end),
            parts => {
                let elements = (parts * call.n) as u64 * (out_blocks * positions) as u64;
                let bytes = elements * 16;
                let sums = self.buffers.scratch(format!("{} parts", call.label), bytes);
                (sums, self.plain_end())
            }
        };
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
            images: call.n as u32,
            steps: steps as u32,
            part_steps: tiling.part_steps as u32,
            epilogue: end.epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: end.bounds,
        };
        let kernel = match tiling.tile {
            TILED_LARGE => Kernel::Conv2dTiledLarge,
            _ => Kernel::Conv2dTiledSmall,
        };
        let [columns, rows, _] = grid(positions.div_ceil(tiling.tile) as u32, most as u32);
        let workgroups = [columns, rows, (tiling.parts * call.n * across) as u32];
        let buffers = vec![call.x, w, end.extra, y];
        let work = call.work();
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        if tiling.parts > 1 {
            self.split_sum(call, y, tiling.parts);
        }
    }

    /// Adds the parts of a convolution's sums, and ends as it does.
    fn split_sum(&mut self, call: &Convolution<'_>, sums: BufferId, parts: usize) {
        let shape = call.out_shape;
        let (positions, out_blocks) = (shape.h * shape.w, blocks(shape.c));
        let params = SplitSumParams {
            count: (call.n * out_blocks * positions) as u32,
            image: (out_blocks * positions) as u32,
            positions: positions as u32,
            parts: parts as u32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: call.end.bounds,
        };
        let buffers = vec![sums, call.end.extra, call.y];
        self.each(Kernel::SplitSum, call.label, params.count, &params, buffers);
    }
}

/// Rows and columns that a workgroup makes of `matrices` of `size`: the large tile where that makes workgroups enough.
pub(super) fn tile(size: [usize; 2], matrices: usize, hardware: Hardware) -> usize {
    if matrices * groups(size, TILED_LARGE) < hardware.workgroups as usize {
        TILED_SMALL
    } else {
        TILED_LARGE
    }
}

/// Tiles of a matrix of `size`.
fn groups(size: [usize; 2], tile: usize) -> usize {
    size.map(|len| len.div_ceil(tile)).iter().product()
}

/// Fewest steps of a part: a workgroup of a small tile then reads 32 KiB for 4 KiB of sums that it stores and another kernel
/// reads.
const PART_STEPS: usize = 8;

/// How a direct convolution is cut into workgroups.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    pub(super) tile: usize,
    /// Parts of the sums, and steps of each but the last.
    pub(super) parts: usize,
    part_steps: usize,
    steps: usize,
}

impl Tiling {
    /// Of `n` images of `size` (positions and channels) and sums of `steps`: in parts where even small tiles make too few
    /// workgroups.
    pub(super) fn new(size: [usize; 2], n: usize, steps: usize, hardware: Hardware) -> Self {
        let tile = tile(size, n, hardware);
        let wanted = (hardware.workgroups as usize).div_ceil((n * groups(size, tile)).max(1));
        let tiling = Self {
            tile,
            parts: 1,
            part_steps: steps,
            steps,
        };
        tiling.into_parts(wanted.min(steps / PART_STEPS))
    }

    /// As `variant` says; parts are at least two, and as many as the model would take.
    fn of(variant: Variant, size: [usize; 2], n: usize, steps: usize, hardware: Hardware) -> Self {
        let whole = |tile| Self {
            tile,
            parts: 1,
            part_steps: steps,
            steps,
        };
        match variant {
            Variant::TilesLarge => whole(TILED_LARGE),
            Variant::TilesSmall => whole(TILED_SMALL),
            _ => {
                let groups = (n * groups(size, TILED_SMALL)).max(1);
                let wanted = (hardware.workgroups as usize).div_ceil(groups).max(2);
                whole(TILED_SMALL).into_parts(wanted.min(steps / PART_STEPS))
            }
        }
    }

    /// What this is called.
    pub(super) fn variant(&self) -> Variant {
        match (self.tile, self.parts) {
            (_, 2..) => Variant::TilesParts,
            (TILED_LARGE, _) => Variant::TilesLarge,
            _ => Variant::TilesSmall,
        }
    }

    /// Whether the sums of `call` are long enough for two parts.
    pub(super) fn can_be_parted(call: &Convolution<'_>) -> bool {
        call.steps() / PART_STEPS >= 2
    }

    /// In at most so many parts, none empty.
    fn into_parts(self, parts: usize) -> Self {
        let part_steps = self.steps.div_ceil(parts.max(1));
        Self {
            parts: self.steps.div_ceil(part_steps),
            part_steps,
            ..self
        }
    }
}
