//! A 3x3 convolution or its input gradient by Winograd's F(4x4, 3x3) or F(2x2, 3x3) on a GPU: the stages in buffers, and when
//! they pay.

use std::ops::Range;

use super::convolution::Convolution;
use super::tiled::{Tiling, tile};
use super::{grid, size};
use crate::kernels::{
    Kernel, TILED_LARGE, TILED_SMALL, WINOGRAD_SIZE, WINOGRAD_SMALL_SIZE, WINOGRAD_TILED_TILES,
    WinogradFiltersTiledParams, WinogradInputTiledParams, WinogradOutputPoolTiledParams,
    WinogradOutputTiledParams, WinogradProductTiledParams,
};
use crate::layout::{Direction, blocks, depths};
use crate::plan::builder::Builder;
use crate::plan::costs::Algorithm;
use crate::plan::{BufferId, Hardware, Limits, Packing};

/// Bytes of transformed tiles, or of their products, at once: more tiles go one part after the other. Both together stay
/// in the last caches of large cards (RTX 4090 72 MB, H100 50 MB), and even 512 channels make workgroups enough.
const BYTES: u64 = 32 << 20;

/// What a dispatch costs beside its work, as bytes that the memory could have moved: 3 microseconds, the least that is
/// reported (<https://forums.developer.nvidia.com/t/233645>), at 700 GB/s.
const DISPATCH_BYTES: u64 = 2 << 20;

/// A convolution with its sizes in tiles and elements of four channels.
pub(super) struct WinogradTiled<'a> {
    call: &'a Convolution<'a>,
    /// Rows and columns of outputs that a tile makes, and its positions when transformed.
    size: usize,
    positions: usize,
    in_blocks: usize,
    out_blocks: usize,
    /// Tiles in a row of an image, of an image, and the most at once.
    row_tiles: usize,
    image_tiles: usize,
    most: usize,
    /// Tiles and channels that a workgroup of the products makes, where the model is not to decide.
    tile: Option<usize>,
}

impl<'a> WinogradTiled<'a> {
    /// In tiles of `size`. `None` where the window is another, or an adapter of `limits` cannot hold what it needs.
    pub(super) fn new(call: &'a Convolution<'a>, size: usize, limits: &Limits<'_>) -> Option<Self> {
        let shape = call.out_shape;
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(shape.c));
        let positions = (size + 2).pow(2);
        let row_tiles = shape.w.div_ceil(size);
        let image_tiles = row_tiles * shape.h.div_ceil(size);
        let most_blocks = in_blocks.max(out_blocks);
        let workgroups = limits.workgroups as usize;
        let by_memory = BYTES.min(limits.tensor()) as usize / (positions * 16 * most_blocks);
        let by_workgroups = workgroups.saturating_mul(TILED_SMALL);
        // In whole workgroups.
        let most = by_memory.min(by_workgroups) / TILED_LARGE * TILED_LARGE;
        let it = Self {
            call,
            size,
            positions,
            in_blocks,
            out_blocks,
            row_tiles,
            image_tiles,
            most,
            tile: None,
        };
        let filters = (positions * it.filter_plane()) as u64 * 16;
        let fits =
            most > 0 && most_blocks.max(positions) <= workgroups && filters <= limits.tensor();
        (call.window.is_3x3_same() && fits).then_some(it)
    }

    /// With workgroups of the products for `tile` tiles and channels, but where fewer tiles than that are left.
    pub(super) fn in_tiles_of(self, tile: Option<usize>) -> Self {
        Self { tile, ..self }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self.size {
            WINOGRAD_SMALL_SIZE => Algorithm::F2x2,
            _ => Algorithm::F4x4,
        }
    }

    /// Tiles and channels of a workgroup of the products, by the model.
    pub(super) fn tile_by_model(&self, hardware: Hardware) -> usize {
        let tiles = self.call.n * self.image_tiles;
        self.product_tile(tiles.min(self.most), self.out_blocks * 4, hardware)
    }

    /// In the tiles in which all passes over the layer take least time, if that is less than by the direct kernel: the
    /// products saved against the bytes that the stages move. The same in all of them, so that they share the filters.
    ///
    /// Large tiles save more and move less, but their filters are 36 matrices in place of 16: small ones win where there are
    /// few tiles to share them, as in VGG16's conv5 of one picture.
    pub(super) fn where_faster(
        call: &'a Convolution<'a>,
        limits: &Limits<'_>,
        hardware: Hardware,
    ) -> Option<Self> {
        let gain = |it: &Self| it.gain(hardware);
        let sizes = [WINOGRAD_SMALL_SIZE, WINOGRAD_SIZE];
        let each = sizes
            .into_iter()
            .filter_map(|size| Self::new(call, size, limits));
        each.max_by_key(gain).filter(|it| gain(it) > 0)
    }

    /// The time of all passes that is gained over the direct kernel's, less that of the filters' transform; 0 where none is.
    fn gain(&self, hardware: Hardware) -> u64 {
        let traffic = &self.call.traffic;
        let sum = |time: fn(&Self, Hardware, usize) -> u64| {
            let passes = traffic.passes.iter();
            let times = passes
                .map(|batch| time(self, hardware, batch.images).saturating_mul(batch.times as u64));
            times.fold(0, u64::saturating_add)
        };
        let gained = sum(Self::direct_time).saturating_sub(sum(Self::winograd_time));
        let filters =
            (9 * 4 + self.positions as u64 * self.filter_bytes()) * self.filter_plane() as u64 * 4;
        let filters = filters + DISPATCH_BYTES;
        gained
            .saturating_mul(traffic.runs as u64)
            .saturating_sub(filters)
    }

    /// Of the direct kernel for `n` images, in bytes that the memory moves meanwhile. A dispatch takes as long as the longer
    /// of its arithmetic and its bytes; these are counted as if no cache held them.
    fn direct_time(&self, hardware: Hardware, n: usize) -> u64 {
        let positions = self.call.out_shape.h * self.call.out_shape.w;
        let [outputs, inputs] = self.layer_blocks().map(|blocks| blocks * 4);
        let steps = depths(9, inputs) / 4;
        let tiling = Tiling::new([positions, outputs], n, steps, hardware);
        let whole = |len: usize| len.next_multiple_of(tiling.tile) as u64;
        let made = n as u64 * whole(positions) * whole(outputs);
        let [n, positions, outputs, inputs] = [n, positions, outputs, inputs].map(|len| len as u64);
        let moved = n * positions * (inputs + outputs) + 9 * inputs * outputs;
        // Parts of sums are written and read.
        let sums = match tiling.parts as u64 {
            1 => 0,
            parts => 2 * parts * n * positions * outputs * 4 + DISPATCH_BYTES,
        };
        hardware.time(9 * made * inputs, moved * self.call.traffic.value_bytes) + sums
    }

    /// The same of the three stages.
    fn winograd_time(&self, hardware: Hardware, n: usize) -> u64 {
        let out_positions = self.call.out_shape.h * self.call.out_shape.w;
        let [outputs, inputs] = self.layer_blocks().map(|blocks| blocks * 4);
        let tiles = n * self.image_tiles;
        let parts = tiles.div_ceil(self.most);
        let edge = self.product_tile(tiles.min(self.most), outputs, hardware);
        let whole = |len: usize| len.next_multiple_of(edge) as u64;
        let made = whole(tiles) * whole(outputs);
        let [inputs, outputs, tiles, parts] = [inputs, outputs, tiles, parts].map(|len| len as u64);
        let positions = self.positions as u64;
        let products = hardware.time(
            positions * made * inputs,
            positions
                * (tiles * (inputs + outputs) * 4 + parts * inputs * outputs * self.filter_bytes()),
        );
        let values = n as u64 * out_positions as u64 * self.call.traffic.value_bytes;
        let transforms = (values + positions * tiles * 4) * (inputs + outputs);
        products + transforms + (3 * parts).saturating_sub(1) * DISPATCH_BYTES
    }

    /// The layer's own outputs and inputs in blocks, whichever way it goes.
    fn layer_blocks(&self) -> [usize; 2] {
        match self.call.direction {
            Direction::Forward => [self.out_blocks, self.in_blocks],
            Direction::Backward => [self.in_blocks, self.out_blocks],
        }
    }

    /// Whether float16 holds the transformed filters as exactly as the filters, see `src/plan/half.rs`.
    fn filters_can_be_half(&self) -> bool {
        self.size == WINOGRAD_SMALL_SIZE
    }

    /// Bytes of a number of the transformed filters.
    fn filter_bytes(&self) -> u64 {
        match self.filters_can_be_half() {
            true => self.call.traffic.value_bytes,
            false => 4,
        }
    }

    /// Elements of the filters at one position, transformed, or of one tap.
    fn filter_plane(&self) -> usize {
        4 * self.in_blocks * self.out_blocks
    }

    /// Tiles and channels that a workgroup of the products makes. A large one of few tiles would be half empty.
    fn product_tile(&self, tiles: usize, channels: usize, hardware: Hardware) -> usize {
        if tiles <= TILED_SMALL {
            return TILED_SMALL;
        }
        self.tile
            .unwrap_or_else(|| tile([tiles, channels], self.positions, hardware))
    }

    /// Of the transforms: of filters, inputs, outputs, and outputs with the pool after them.
    fn transforms(&self) -> [Kernel; 4] {
        match self.size {
            WINOGRAD_SMALL_SIZE => [
                Kernel::WinogradFiltersTiled2x2,
                Kernel::WinogradInputTiled2x2,
                Kernel::WinogradOutputTiled2x2,
                Kernel::WinogradOutputPoolTiled2x2,
            ],
            _ => [
                Kernel::WinogradFiltersTiled,
                Kernel::WinogradInputTiled,
                Kernel::WinogradOutputTiled,
                Kernel::WinogradOutputPoolTiled,
            ],
        }
    }
}

impl Builder<'_> {
    pub(super) fn convolution_winograd_tiled(
        &mut self,
        it: &WinogradTiled<'_>,
        hardware: Hardware,
    ) {
        let u = self.filters_tiled(it);
        let tiles = it.call.n * it.image_tiles;
        for first in (0..tiles).step_by(it.most) {
            let part = first..tiles.min(first + it.most);
            self.winograd_stages_tiled(it, u, part, hardware);
        }
    }

    /// Input transform, products and output transform of some of the tiles.
    fn winograd_stages_tiled(
        &mut self,
        it: &WinogradTiled<'_>,
        u: BufferId,
        part: Range<usize>,
        hardware: Hardware,
    ) {
        let label = it.call.label;
        let bytes = |blocks: usize| (it.positions * blocks * part.len()) as u64 * 16;
        let mut scratch = |what, blocks| {
            self.buffers
                .scratch(format!("{label} {what}"), bytes(blocks))
        };
        let v = scratch("tiles", it.in_blocks);
        let m = scratch("products", it.out_blocks);
        self.winograd_input_tiled(it, v, &part);
        self.winograd_product_tiled(it, [u, v, m], part.len(), hardware);
        self.winograd_output_tiled(it, m, &part);
    }

    /// Stores the transformed tiles in `v`.
    fn winograd_input_tiled(&mut self, it: &WinogradTiled<'_>, v: BufferId, part: &Range<usize>) {
        let call = it.call;
        let params = WinogradInputTiledParams {
            blocks: it.in_blocks as i32,
            size: size(call.in_shape),
            row_tiles: it.row_tiles as i32,
            image_tiles: it.image_tiles as i32,
            first: part.start as i32,
            tiles: part.len() as i32,
        };
        let across = part.len().div_ceil(WINOGRAD_TILED_TILES) as u32;
        let workgroups = [across, it.in_blocks as u32, 1];
        let [_, kernel, ..] = it.transforms();
        self.dispatch(kernel, call.label, &params, vec![call.x, v], workgroups, 0);
    }

    /// `m` = filters `u` x tiles `v`, at each position of the transform.
    fn winograd_product_tiled(
        &mut self,
        it: &WinogradTiled<'_>,
        [u, v, m]: [BufferId; 3],
        tiles: usize,
        hardware: Hardware,
    ) {
        let call = it.call;
        let [outputs, _] = it.layer_blocks();
        let params = WinogradProductTiledParams {
            depth: it.in_blocks as u32,
            blocks: it.out_blocks as u32,
            tiles: tiles as u32,
            row: outputs as u32,
            plane: it.filter_plane() as u32,
            side: it.size as u32 + 2,
            turned: u32::from(call.direction == Direction::Backward),
        };
        let tile = it.product_tile(tiles, it.out_blocks * 4, hardware);
        let kernel = match tile {
            TILED_LARGE => Kernel::WinogradProductTiledLarge,
            _ => Kernel::WinogradProductTiledSmall,
        };
        let workgroups = [
            tiles.div_ceil(tile) as u32,
            (it.out_blocks * 4).div_ceil(tile) as u32,
            it.positions as u32,
        ];
        // Counted as what they stand for, so that their speed compares with the direct kernel's.
        let work = call.work() / (call.n * it.image_tiles) as u64 * tiles as u64;
        self.dispatch(kernel, call.label, &params, vec![u, v, m], workgroups, work);
    }

    /// Transforms the products in `m` back, and ends the convolution.
    fn winograd_output_tiled(&mut self, it: &WinogradTiled<'_>, m: BufferId, part: &Range<usize>) {
        let call = it.call;
        let across = part.len().div_ceil(WINOGRAD_TILED_TILES) as u32;
        let workgroups = [across, it.out_blocks as u32, 1];
        let (row_tiles, image_tiles) = (it.row_tiles as i32, it.image_tiles as i32);
        let (first, tiles) = (part.start as i32, part.len() as i32);
        let blocks = it.out_blocks as i32;
        let [_, _, output, output_pool] = it.transforms();
        if let Some(pool) = call.pool {
            let params = WinogradOutputPoolTiledParams {
                blocks,
                size: size(pool.shape),
                row_tiles,
                image_tiles,
                first,
                tiles,
                known: u32::from(pool.known),
            };
            let buffers = vec![m, call.end.extra, call.y, pool.argmax];
            self.dispatch(output_pool, call.label, &params, buffers, workgroups, 0);
        } else {
            let params = WinogradOutputTiledParams {
                blocks,
                size: size(call.out_shape),
                row_tiles,
                image_tiles,
                first,
                tiles,
                epilogue: call.end.epilogue as u32,
                sharing: self.pass.sharing as i32,
                bounds: call.end.bounds,
            };
            let buffers = vec![m, call.end.extra, call.y];
            self.dispatch(output, call.label, &params, buffers, workgroups, 0);
        }
    }

    /// The layer's transformed filters, made once for both directions.
    fn filters_tiled(&mut self, it: &WinogradTiled<'_>) -> BufferId {
        let call = it.call;
        let name = format!("{} weights", call.name);
        let plane = it.filter_plane();
        let (u, new) = self
            .buffers
            .prepared(&name, it.positions * plane, it.filters_can_be_half());
        if new {
            let [outputs, inputs] = it.layer_blocks();
            let w = self.buffers.source(
                name,
                depths(9, inputs * 4) * 4 * outputs,
                call.weight,
                Packing::Depths(call.layout, Direction::Forward),
            );
            let params = WinogradFiltersTiledParams {
                plane: plane as u32,
            };
            let count = plane.div_ceil(WINOGRAD_TILED_TILES) as u32;
            let workgroups = grid(count, self.limits.workgroups);
            let label = format!("{} filters", call.name);
            let buffers = vec![w, u];
            let [kernel, ..] = it.transforms();
            self.prepare(kernel, &label, &params, buffers, workgroups);
        }
        u
    }
}
