//! A 3x3 convolution or its input gradient by Winograd's F(4x4, 3x3): the transforms, the products, and when they pay.

use std::ops::Range;

use super::convolution::{BaseValue, Convolution};
use super::size;
use crate::kernels::{
    CONV3X3_TILE, CopyTilesParams, IMAGE_ROW, Kernel, WINOGRAD_POSITIONS, WINOGRAD_PRODUCT_TILES,
    WINOGRAD_PRODUCT_WIDE, WINOGRAD_SIZE, WinogradInputParams, WinogradOutputParams,
    WinogradOutputPoolParams, WinogradProductParams,
};
use crate::layout::{Direction, blocks, winograd_block, winograd_blocks};
use crate::plan::builder::Builder;
use crate::plan::{
    Broadcast, BufferId, Model, Packing, Subgroup, TileLayer, TileList, TileListPart, Variant,
};

/// A convolution with its sizes in tiles and texels.
pub(super) struct WinogradCall<'a> {
    call: &'a Convolution<'a>,
    /// Invocations of a workgroup.
    width: usize,
    variant: Variant,
    model: Model,
    in_blocks: usize,
    out_blocks: usize,
    /// Tiles in a row of an image, and of an image.
    row_tiles: usize,
    image_tiles: usize,
    /// `out_blocks` in whole workgroups of the product.
    made_blocks: usize,
    /// Tiles that a workgroup of the product makes.
    product_tiles: usize,
}

/// Most texels of transformed tiles and their products that a layer has at once, unless its filters are more. More tiles go one
/// part after the other, so that each stage finds what the one before it left in a core's own cache: parts for the cache that
/// cores share were slower.
const TEXELS: usize = (2 << 20) / 16;

/// The same where its filters are more: half of what every adapter binds at once.
const MOST_TEXELS: usize = (64 << 20) / 16;

/// Images from which on the wide product repays its compilation, where the driver has not kept it.
const WIDE_IMAGES: usize = 32;

/// Beside a base one tile of so many is computed, as far as that decides about the algorithm: the least that was seen of
/// Score-CAM in VGG16's first ten layers.
pub(super) const LISTED: u64 = 2;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// B^T of `winograd_input.wgsl`, rows padded to 8.
const TRANSFORM_OF_INPUTS: [[f32; 8]; 6] = [
    [1.0, 0.0, -2.5, 0.0, 1.0, 0.0, 0.0, 0.0],
    [0.0, B, 2.0, -A, -1.0, 0.0, 0.0, 0.0],
    [0.0, -B, 2.0, A, -1.0, 0.0, 0.0, 0.0],
    [0.0, A / 2.0, -0.25, -A, 0.5, 0.0, 0.0, 0.0],
    [0.0, -A / 2.0, -0.25, A, 0.5, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, -2.5, 0.0, 1.0, 0.0, 0.0],
];

impl Convolution<'_> {
    /// Whether so many images go through the layer that the wide product repays its compilation.
    pub(super) fn is_worth_wide(&self) -> bool {
        self.traffic.images() >= WIDE_IMAGES
    }
}

impl<'a> WinogradCall<'a> {
    /// By the product of `variant`.
    pub(super) fn new(call: &'a Convolution<'a>, subgroup: Subgroup, variant: Variant) -> Self {
        let shape = call.out_shape;
        let row_tiles = shape.w.div_ceil(WINOGRAD_SIZE);
        let image_tiles = row_tiles * shape.h.div_ceil(WINOGRAD_SIZE);
        let out_blocks = blocks(shape.c);
        let width = subgroup.width as usize;
        Self {
            call,
            width,
            variant,
            model: subgroup.model,
            in_blocks: blocks(call.in_shape.c),
            out_blocks,
            row_tiles,
            image_tiles,
            made_blocks: out_blocks.next_multiple_of(width),
            product_tiles: match variant {
                Variant::WinogradWide => WINOGRAD_PRODUCT_WIDE,
                _ => WINOGRAD_PRODUCT_TILES,
            },
        }
    }

    /// By the product that the model takes.
    pub(super) fn by_model(call: &'a Convolution<'a>, subgroup: Subgroup) -> Self {
        Self::new(call, subgroup, Self::variant_by_model(call, subgroup))
    }

    /// Which that is.
    pub(super) fn variant_by_model(call: &Convolution<'_>, subgroup: Subgroup) -> Variant {
        let shape = call.out_shape;
        let [rows, columns] = [shape.h, shape.w].map(|size| size.div_ceil(WINOGRAD_SIZE));
        let tiles = call.n * rows * columns;
        let Model {
            product,
            product_wide,
            ..
        } = subgroup.model;
        let wide = u64::from(product_wide) * tiles.div_ceil(WINOGRAD_PRODUCT_WIDE) as u64;
        let narrow = u64::from(product) * tiles.div_ceil(WINOGRAD_PRODUCT_TILES) as u64;
        match subgroup.broadcast {
            Broadcast::Shuffles if call.is_worth_wide() && wide < narrow => Variant::WinogradWide,
            Broadcast::Shuffles => Variant::Winograd,
            Broadcast::Loads => Variant::WinogradLoads,
            Broadcast::Quads => Variant::WinogradQuads,
        }
    }

    /// `tiles` in whole workgroups of the product.
    fn stride(&self, tiles: usize) -> usize {
        tiles.next_multiple_of(self.product_tiles)
    }

    /// Positions of the value that it makes along the side of a tile.
    fn side(&self) -> usize {
        match self.call.pool {
            Some(_) => WINOGRAD_SIZE / 2,
            None => WINOGRAD_SIZE,
        }
    }

    /// Tiles of all images.
    fn tiles(&self) -> usize {
        self.call.n * self.image_tiles
    }

    /// Tiles that go together: equal parts of all, each in whole workgroups of the product. A part is no smaller than the
    /// filters, which each part reads once.
    fn part_tiles(&self) -> usize {
        let each = WINOGRAD_POSITIONS * (self.in_blocks + self.made_blocks);
        let texels = self.filter_texels().clamp(TEXELS, MOST_TEXELS);
        let most = (texels / each).max(self.product_tiles);
        let parts = self.tiles().div_ceil(most);
        self.stride(self.tiles().div_ceil(parts))
    }

    /// Whether what it needs is within an image of `rows`.
    pub(super) fn fits(&self, rows: u32) -> bool {
        let most = (rows as usize).saturating_sub(1).saturating_mul(IMAGE_ROW);
        let made = WINOGRAD_POSITIONS * self.part_tiles() * self.in_blocks.max(self.made_blocks);
        made.max(self.filter_texels()) <= most.min(i32::MAX as usize)
    }

    /// Whether all passes over the layer take less time than by the direct kernel, the filters' transform included. The same
    /// in both directions, so that they share the filters.
    pub(super) fn is_faster(&self) -> bool {
        let [columns, rows] = CONV3X3_TILE.map(|size| size as usize);
        let shape = self.call.out_shape;
        let [outputs, inputs] = self.layer_blocks();
        let workgroups = shape.w.div_ceil(columns) * shape.h.div_ceil(rows);
        let Model {
            direct,
            product,
            transform,
            filters,
            ..
        } = self.model;
        let direct = u64::from(direct)
            * workgroups as u64
            * (outputs * 4).div_ceil(self.width) as u64
            * inputs as u64;
        let product = u64::from(product)
            * WINOGRAD_POSITIONS as u64
            * self.image_tiles.div_ceil(WINOGRAD_PRODUCT_TILES) as u64
            * (outputs * inputs).div_ceil(self.width) as u64;
        let transforms = u64::from(transform)
            * self.image_tiles.div_ceil(self.width) as u64
            * (outputs + inputs) as u64;
        let all = product + transforms;
        let gained = direct.saturating_sub(if self.call.in_tiles {
            all / LISTED
        } else {
            all
        });
        let filters = u64::from(filters) * (outputs.div_ceil(2) * inputs) as u64;
        gained.saturating_mul(self.call.traffic.images() as u64) > filters
    }

    /// The layer's own outputs and inputs in blocks, whichever way it goes.
    fn layer_blocks(&self) -> [usize; 2] {
        match self.call.direction {
            Direction::Forward => [self.out_blocks, self.in_blocks],
            Direction::Backward => [self.in_blocks, self.out_blocks],
        }
    }

    fn product_kernel(&self) -> Kernel {
        use Direction::{Backward, Forward};
        match (self.variant, self.call.direction) {
            (Variant::WinogradWide, Forward) => Kernel::WinogradProductWide,
            (Variant::WinogradWide, Backward) => Kernel::WinogradProductWideTurned,
            (Variant::WinogradLoads, Forward) => Kernel::WinogradProductLoaded,
            (Variant::WinogradLoads, Backward) => Kernel::WinogradProductLoadedTurned,
            (Variant::WinogradQuads, Forward) => Kernel::WinogradProductQuads,
            (Variant::WinogradQuads, Backward) => Kernel::WinogradProductQuadsTurned,
            (_, Forward) => Kernel::WinogradProduct,
            (_, Backward) => Kernel::WinogradProductTurned,
        }
    }

    /// Texels of one position of the transformed filters; outputs in whole eights.
    fn filter_plane(&self) -> usize {
        let [outputs, inputs] = self.layer_blocks();
        winograd_blocks(outputs * 4) * winograd_block(inputs * 4) / 4
    }

    fn filter_texels(&self) -> usize {
        WINOGRAD_POSITIONS * self.filter_plane()
    }
}

/// Tiles that go through the three stages together.
struct Part {
    tiles: Range<usize>,
    /// `tiles` in whole workgroups of the product.
    stride: usize,
    /// The transformed tiles and their products.
    v: BufferId,
    m: BufferId,
    /// Which layer beside a base this is, if it is one, and the list of the tiles that it computes.
    layer: Option<usize>,
    list: BufferId,
}

impl Part {
    /// What a dispatch with `each` tiles in a workgroup takes of the list.
    fn listed(&self, each: usize) -> Option<TileListPart> {
        self.layer.map(|layer| TileListPart {
            layer,
            list: TileList::Computed,
            first: self.tiles.start,
            most: self.tiles.len(),
            each,
        })
    }
}

impl Builder<'_> {
    /// The input goes through an image.
    pub(super) fn convolution_winograd(&mut self, it: &WinogradCall<'_>) {
        let u = self.transformed_filters(it);
        let texels = it.call.texels();
        let (x, copy) = self.through_image(it.call.x, texels);
        let (tiles, at_once) = (it.tiles(), it.part_tiles());
        let layer = it.call.beside.map(|beside| self.tile_layer(it, beside));
        let stride = it.stride(tiles.min(at_once));
        let mut scratch = |what, blocks: usize| {
            let bytes = (WINOGRAD_POSITIONS * blocks * stride) as u64 * 16;
            self.buffers
                .scratch(format!("{} {what}", it.call.label), bytes)
        };
        let v = scratch("tiles", it.in_blocks);
        let m = scratch("products", it.made_blocks);
        for first in (0..tiles).step_by(at_once) {
            let part = first..tiles.min(first + at_once);
            self.winograd_stages(it, [x, u, v, m], part, layer);
            if first == 0 {
                // The parts after the first find the image as it left it.
                self.copy_before(3, copy);
            }
        }
        if let Some((beside, layer)) = it.call.beside.zip(layer) {
            self.copy_tiles(it, beside, layer);
        }
    }

    /// Notes that a layer computes listed tiles; returns which of such layers it is.
    fn tile_layer(&mut self, it: &WinogradCall<'_>, beside: BaseValue) -> usize {
        let mut list = |what| {
            let bytes = (1 + it.tiles() as u64) * 4;
            let list = self
                .buffers
                .scratch(format!("{} tiles {what}", it.call.name), bytes);
            self.written_before_phase(list);
            list
        };
        let layer = TileLayer {
            conv: beside.conv,
            made: beside.made,
            side: it.side(),
            grid: [it.image_tiles / it.row_tiles, it.row_tiles],
            computed: list("computed"),
            copied: list("copied"),
        };
        let layers = &mut self.pass.beside.as_mut().expect("beside a base").layers;
        layers.push(layer);
        layers.len() - 1
    }

    /// Copies the tiles that are read and not computed.
    fn copy_tiles(&mut self, it: &WinogradCall<'_>, beside: BaseValue, layer: usize) {
        let call = it.call;
        let shape = call.pool.map_or(call.out_shape, |pool| pool.shape);
        let tiles = it.tiles();
        let params = CopyTilesParams {
            blocks: it.out_blocks as i32,
            size: size(shape),
            row_tiles: it.row_tiles as i32,
            image_tiles: it.image_tiles as i32,
            side: it.side() as i32,
        };
        let list = self.pass.beside.as_ref().expect("beside a base").layers[layer].copied;
        let groups = tiles.div_ceil(it.width) as u32;
        self.dispatch(
            Kernel::CopyTiles,
            call.label,
            &params,
            vec![beside.base, list, call.y],
            [groups, it.out_blocks as u32, 1],
            0,
        );
        self.list_last(Some(TileListPart {
            layer,
            list: TileList::Copied,
            first: 0,
            most: tiles,
            each: it.width,
        }));
    }

    /// Input transform, products and output transform of some of the tiles, or of the list of layer `layer`.
    fn winograd_stages(
        &mut self,
        it: &WinogradCall<'_>,
        [x, u, v, m]: [BufferId; 4],
        tiles: Range<usize>,
        layer: Option<usize>,
    ) {
        let stride = it.stride(tiles.len());
        let v_texels = WINOGRAD_POSITIONS * it.in_blocks * stride;
        let beside = self.pass.beside.as_ref().zip(layer);
        let part = Part {
            v,
            m,
            tiles,
            stride,
            layer,
            list: beside.map_or(self.nothing, |(beside, layer)| {
                beside.layers[layer].computed
            }),
        };
        self.winograd_input(it, x, &part);
        self.list_last(part.listed(it.width));
        let (image, copy) = self.tiles_through_image(part.v, v_texels);
        self.winograd_product(it, u, image, &part);
        self.list_last(part.listed(it.product_tiles));
        self.copy_before_last(Some(copy));
        self.winograd_output(it, &part);
        self.list_last(part.listed(it.width));
    }

    fn winograd_input(&mut self, it: &WinogradCall<'_>, x: BufferId, part: &Part) {
        let params = WinogradInputParams {
            blocks: it.in_blocks as i32,
            size: size(it.call.in_shape),
            row_tiles: it.row_tiles as i32,
            first: part.tiles.start as i32,
            end: part.tiles.end as i32,
            stride: part.stride as i32,
            listed: u32::from(part.layer.is_some()),
            transform: TRANSFORM_OF_INPUTS,
        };
        let across = part.tiles.len().div_ceil(it.width) as u32;
        let workgroups = [across, it.in_blocks as u32, 1];
        let buffers = vec![x, part.list, part.v];
        let kernel = Kernel::WinogradInput;
        self.dispatch(kernel, it.call.label, &params, buffers, workgroups, 0);
    }

    fn winograd_product(&mut self, it: &WinogradCall<'_>, u: BufferId, v: BufferId, part: &Part) {
        let call = it.call;
        let [_, layer_inputs] = it.layer_blocks();
        let row = layer_inputs as i32 * 4;
        let [u_lane, u_step] = match call.direction {
            Direction::Forward => [row, 4],
            Direction::Backward => [4, row],
        };
        let params = WinogradProductParams {
            depth: it.in_blocks as i32,
            stride: part.stride as i32,
            u_lane,
            u_step,
            u_plane: it.filter_plane() as i32,
            m_blocks: it.made_blocks as i32,
        };
        let workgroups = [
            part.tiles.len().div_ceil(it.product_tiles) as u32,
            (it.made_blocks / it.width) as u32,
            WINOGRAD_POSITIONS as u32,
        ];
        // Counted as what they stand for, so that their speed compares with the direct kernel's.
        let work = call.work() / it.tiles() as u64 * part.tiles.len() as u64;
        let buffers = vec![u, v, part.m];
        let kernel = it.product_kernel();
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
    }

    fn winograd_output(&mut self, it: &WinogradCall<'_>, part: &Part) {
        let call = it.call;
        let across = part.tiles.len().div_ceil(it.width) as u32;
        let workgroups = [across, it.out_blocks as u32, 1];
        let blocks = it.out_blocks as i32;
        let (row_tiles, image_tiles) = (it.row_tiles as i32, it.image_tiles as i32);
        let (first, end) = (part.tiles.start as i32, part.tiles.end as i32);
        let (stride, m_blocks) = (part.stride as i32, it.made_blocks as i32);
        let listed = u32::from(part.layer.is_some());
        if let Some(pool) = call.pool {
            let params = WinogradOutputPoolParams {
                blocks,
                size: size(pool.shape),
                row_tiles,
                image_tiles,
                first,
                end,
                stride,
                m_blocks,
                listed,
                known: u32::from(pool.known),
            };
            let buffers = vec![part.m, call.end.extra, part.list, call.y, pool.argmax];
            let kernel = Kernel::WinogradOutputPool;
            self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
        } else {
            let params = WinogradOutputParams {
                blocks,
                size: size(call.out_shape),
                row_tiles,
                image_tiles,
                first,
                end,
                stride,
                m_blocks,
                rows: WINOGRAD_SIZE as i32,
                epilogue: call.end.epilogue as u32,
                sharing: self.pass.sharing as i32,
                listed,
                bounds: call.end.bounds,
            };
            let buffers = vec![part.m, call.end.extra, part.list, call.y];
            let kernel = Kernel::WinogradOutput;
            self.dispatch(kernel, call.label, &params, buffers, workgroups, 0);
        }
    }

    /// The layer's transformed filters, the same for both directions.
    fn transformed_filters(&mut self, it: &WinogradCall<'_>) -> BufferId {
        let call = it.call;
        let values = it.filter_texels().next_multiple_of(IMAGE_ROW) * 4;
        let packing = Packing::Winograd(call.layout);
        self.buffers.weights(
            format!("{} weights", call.name),
            values,
            call.weight,
            packing,
        )
    }
}
