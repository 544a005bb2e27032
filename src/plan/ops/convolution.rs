//! A convolution or its input gradient: which kernel, and what it needs.

use super::end::{End, Pooled};
use super::winograd::WinogradCall;
use super::{grid, signed, size};
use crate::kernels::{
    ActivationKind, COLUMNS_ROWS, CONV2D_SUBGROUP_POSITIONS, CONV2D_TILE, CONV3X3_TILE,
    Conv2dFewParams, Conv2dParams, Conv2dSubgroupParams, Conv3x3Params, FEW_BLOCKS, IMAGE_ROW,
    Kernel,
};
use crate::layout::{
    Direction, GroupBlocks, blocks, blocks_texels, depths, padded_len, texels as texels_of,
};
use crate::network::{FilterLayout, NodeId, Shape, Window};
use crate::plan::buffers::image_rows;
use crate::plan::builder::{Builder, Traffic};
use crate::plan::{BufferId, KernelFamily, Packing, Subgroup, Variant};
use crate::weights::Tensor;

/// A convolution in either direction: y is made from x.
#[derive(Clone)]
pub(super) struct Convolution<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) weight: &'a Tensor,
    pub(super) layout: FilterLayout,
    pub(super) window: &'a Window,
    pub(super) groups: usize,
    /// What goes through the layer, in all passes.
    pub(super) traffic: Traffic,
    pub(super) direction: Direction,
    pub(super) n: usize,
    pub(super) x: BufferId,
    pub(super) in_shape: Shape,
    pub(super) y: BufferId,
    pub(super) out_shape: Shape,
    pub(super) end: End,
    /// Scales and shifts that x goes through with a ReLU as it is read.
    pub(super) norm: Option<BufferId>,
    /// A value a channel of each image by which x is multiplied as it is read.
    pub(super) scale: Option<BufferId>,
    /// Where it is there, y is the pool's, see [`Takes::pool`](crate::plan::schedule::Takes::pool).
    pub(super) pool: Option<Pooled>,
    /// Whether listed tiles will do, which the same algorithm alone computes by themselves.
    pub(super) in_tiles: bool,
    /// What that needs, where it is done.
    pub(super) beside: Option<BaseValue>,
}

/// A layer's value in the pass of a rerun's base.
#[derive(Clone, Copy)]
pub(super) struct BaseValue {
    /// The convolution, and the node whose value it makes.
    pub(super) conv: NodeId,
    pub(super) made: NodeId,
    /// The value of `made`.
    pub(super) base: BufferId,
}

/// Outputs along an axis whose places, modulo how far x is spread apart, are the same: they meet the same taps.
#[derive(Clone, Copy)]
struct Phases {
    /// How many phases there are: one where x is not spread.
    count: usize,
    /// The most outputs of one.
    places: usize,
}

impl Convolution<'_> {
    /// Multiply-adds: every weight once for each position of the layer's own output, whichever way it goes.
    pub(super) fn work(&self) -> u64 {
        let positions = match self.direction {
            Direction::Forward => self.out_shape.h * self.out_shape.w,
            Direction::Backward => self.in_shape.h * self.in_shape.w,
        };
        let positions = self.n as u64 * positions as u64;
        positions.saturating_mul(self.weight.len() as u64)
    }

    /// Steps of the sums of `conv2d_tiled.wgsl`.
    pub(super) fn steps(&self) -> usize {
        let taps = self.window.size[0] * self.window.size[1];
        depths(taps, self.in_shape.c) / 4
    }

    /// Texels of x.
    pub(super) fn texels(&self) -> usize {
        padded_len(self.n, self.in_shape) / 4
    }

    fn weight_texels(&self) -> usize {
        texels_of(self.out_shape.c, self.in_shape.c)
    }

    /// Whether x and the weights are within an image of `most` rows, whose indices are signed 32-bit numbers of texels.
    pub(super) fn fits(&self, most: u32) -> bool {
        let rows = image_rows(self.texels().max(self.weight_texels()));
        rows <= most as usize && i32::try_from(rows * IMAGE_ROW).is_ok()
    }

    /// Texels of the weights as `conv2d_subgroup.wgsl` reads them.
    fn block_texels(&self) -> usize {
        let taps = self.window.size[0] * self.window.size[1];
        blocks_texels(self.out_shape.c, self.in_shape.c, taps)
    }

    /// Whether x and those weights are within an image of `most` rows.
    pub(super) fn fits_in_eights(&self, most: u32) -> bool {
        let rows = image_rows(self.texels().max(self.block_texels()));
        rows <= most as usize && i32::try_from(rows * IMAGE_ROW).is_ok()
    }

    /// Whether a value in y's shape is within an image of `most` rows.
    pub(super) fn output_fits(&self, most: usize) -> bool {
        let rows = image_rows(padded_len(self.n, self.out_shape) / 4);
        rows <= most && i32::try_from(rows * IMAGE_ROW).is_ok()
    }

    /// Whether it is an input gradient of so few channels that the kernel for many would leave most invocations idle.
    pub(super) fn makes_few(&self) -> bool {
        self.direction == Direction::Backward && blocks(self.out_shape.c) <= FEW_BLOCKS
    }

    /// Workgroups along columns and rows of those that take so many columns and 7 rows, as far apart as x is spread.
    pub(super) fn column_groups(&self, columns: usize) -> [u32; 2] {
        let [rows, across] = self.phases();
        let groups = |axis: Phases, tile| axis.count * axis.places.div_ceil(tile);
        [groups(across, columns), groups(rows, COLUMNS_ROWS)].map(|groups| groups as u32)
    }

    /// Outputs along rows and along columns by phase.
    fn phases(&self) -> [Phases; 2] {
        let [.., up] = self.window_steps();
        let phases = |up: i32, side: usize| Phases {
            count: up as usize,
            places: side.div_ceil(up as usize),
        };
        [
            phases(up[0], self.out_shape.h),
            phases(up[1], self.out_shape.w),
        ]
    }

    /// Taps from one to the next that reads a place of x for the same output, where x is spread apart.
    pub(super) fn tap_steps(&self) -> [i32; 2] {
        let [.., up] = self.window_steps();
        let gcd = |mut a: i32, mut b: i32| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let dilation = signed(self.window.dilation);
        [0, 1].map(|axis| up[axis] / gcd(up[axis], dilation[axis]))
    }

    /// Stride, padding and how far x is spread apart.
    pub(super) fn window_steps(&self) -> [[i32; 2]; 3] {
        let window = self.window;
        match self.direction {
            Direction::Forward => [signed(window.stride), signed(window.pad_before), [1, 1]],
            Direction::Backward => [[1, 1], turned_pad(window), signed(window.stride)],
        }
    }
}

impl Convolution<'_> {
    /// The form of `conv2d_subgroup.wgsl` that ends as this does, `wide` with two blocks an invocation.
    fn windows_kernel(&self, wide: bool) -> Kernel {
        let [.., up] = self.window_steps();
        let [narrow, of_two] = match (self.end.activation, self.end.added) {
            (None, None) if self.norm.is_some() => [
                Kernel::Conv2dSubgroupNormed,
                Kernel::Conv2dSubgroupNormedWide,
            ],
            (None, None) if self.scale.is_some() => [
                Kernel::Conv2dSubgroupScaled,
                Kernel::Conv2dSubgroupScaledWide,
            ],
            (None, None) if up != [1, 1] && self.end.is_mask() => [
                Kernel::Conv2dSubgroupSpreadMasked,
                Kernel::Conv2dSubgroupSpreadMaskedWide,
            ],
            (None, None) if up != [1, 1] => [
                Kernel::Conv2dSubgroupSpread,
                Kernel::Conv2dSubgroupSpreadWide,
            ],
            (None, None) if self.end.is_mask() => [
                Kernel::Conv2dSubgroupMasked,
                Kernel::Conv2dSubgroupMaskedWide,
            ],
            (None, None) => [Kernel::Conv2dSubgroup, Kernel::Conv2dSubgroupWide],
            (None, Some(_)) if self.scale.is_some() => [
                Kernel::Conv2dSubgroupScaledAdded,
                Kernel::Conv2dSubgroupScaledAddedWide,
            ],
            (None, Some(_)) if self.end.is_mask() => [
                Kernel::Conv2dSubgroupAddedMasked,
                Kernel::Conv2dSubgroupAddedMaskedWide,
            ],
            (None, Some(_)) => [Kernel::Conv2dSubgroupAdded, Kernel::Conv2dSubgroupAddedWide],
            (Some(ActivationKind::Silu), None) => {
                [Kernel::Conv2dSubgroupSilu, Kernel::Conv2dSubgroupSiluWide]
            }
            (Some(ActivationKind::HardSwish), None) => [
                Kernel::Conv2dSubgroupHardSwish,
                Kernel::Conv2dSubgroupHardSwishWide,
            ],
            (Some(ActivationKind::Sigmoid), None) => [
                Kernel::Conv2dSubgroupSigmoid,
                Kernel::Conv2dSubgroupSigmoidWide,
            ],
            (Some(ActivationKind::HardSigmoid), None) => [
                Kernel::Conv2dSubgroupHardSigmoid,
                Kernel::Conv2dSubgroupHardSigmoidWide,
            ],
            (Some(_), _) => unreachable!("no step has both, or another"),
        };
        if wide { of_two } else { narrow }
    }
}

/// Blocks of outputs that an invocation of `conv2d_subgroup.wgsl` makes: two take seven eighths of the time of one each, where
/// there are enough for it, and work for more than one core.
fn blocks_each(out_blocks: usize, of_positions: usize, width: usize) -> usize {
    let [one, two] = [1, 2].map(|each| out_blocks.div_ceil(each * width));
    match 14 * two <= 8 * one && of_positions * two > 1 {
        true => 2,
        false => 1,
    }
}

impl Builder<'_> {
    /// A convolution or its input gradient, by the fastest kernel that this adapter runs.
    pub(super) fn convolution(&mut self, call: &Convolution<'_>) {
        let variant = self.variant(call);
        match (variant, self.limits.family) {
            (Variant::Plain, _) => self.convolution_plain(call),
            (Variant::Depthwise, _) => self.depthwise(call),
            (_, KernelFamily::Subgroup(subgroup)) => {
                self.convolution_of_subgroups(call, subgroup, variant);
            }
            (_, KernelFamily::Tiled(hardware)) => self.convolution_tiled(call, hardware, variant),
            (_, KernelFamily::Plain) => unreachable!("it has those two"),
        }
    }

    fn convolution_of_subgroups(
        &mut self,
        call: &Convolution<'_>,
        subgroup: Subgroup,
        variant: Variant,
    ) {
        let width = subgroup.width as usize;
        match variant {
            Variant::DepthwiseImages => self.depthwise_subgroup(call, width),
            Variant::Windows => self.convolution_subgroup(call, width),
            Variant::Few => self.convolution_few(call, width),
            Variant::Direct3x3 => self.convolution_3x3_subgroup(call, width),
            Variant::Winograd
            | Variant::WinogradLoads
            | Variant::WinogradWide
            | Variant::WinogradQuads => {
                self.convolution_winograd(&WinogradCall::new(call, subgroup, variant));
            }
            Variant::Plain
            | Variant::Depthwise
            | Variant::TilesLarge
            | Variant::TilesSmall
            | Variant::TilesParts
            | Variant::F4x4Large
            | Variant::F4x4Small
            | Variant::F2x2Large
            | Variant::F2x2Small => unreachable!("of another family"),
        }
    }

    fn convolution_3x3_subgroup(&mut self, call: &Convolution<'_>, width: usize) {
        let (texels, weight_texels) = (call.texels(), call.weight_texels());
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::Texels(call.layout, call.direction),
        );
        let (image, copy) = self.through_image(call.x, texels);
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let params = Conv3x3Params {
            in_blocks: in_blocks as i32,
            out_blocks: out_blocks as i32,
            size: size(call.out_shape),
            columns: CONV3X3_TILE[0] as i32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: call.end.bounds,
        };
        let [columns, rows] = CONV3X3_TILE;
        let workgroups = [
            (call.out_shape.w as u32).div_ceil(columns),
            (call.out_shape.h as u32).div_ceil(rows),
            (call.n * (out_blocks * 4).div_ceil(width)) as u32,
        ];
        let buffers = vec![image, w, call.end.extra, call.y];
        self.dispatch(
            Kernel::Conv3x3Subgroup,
            call.label,
            &params,
            buffers,
            workgroups,
            call.work(),
        );
        self.copy_before_last(copy);
    }

    /// Any window, through images.
    fn convolution_subgroup(&mut self, call: &Convolution<'_>, width: usize) {
        let Convolution { window, .. } = call;
        let (texels, weight_texels) = (call.texels(), call.block_texels());
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::TexelBlocks(call.layout, call.direction),
        );
        let (image, copy) = self.through_image(call.x, texels);
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let [stride, pad, up] = call.window_steps();
        // Each phase has its own workgroups.
        let [down, along] = call.phases();
        let count = call.n * down.places * along.places;
        let of_phase = count.div_ceil(CONV2D_SUBGROUP_POSITIONS);
        let of_positions = down.count * along.count * of_phase;
        let each = blocks_each(out_blocks, of_positions, width);
        let params = Conv2dSubgroupParams {
            in_blocks: in_blocks as i32,
            in_size: size(call.in_shape),
            out_blocks: out_blocks as i32,
            out_size: size(call.out_shape),
            taps: signed(window.size),
            stride,
            pad,
            dilation: signed(window.dilation),
            up,
            tap_step: call.tap_steps(),
            count: count as i32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: call.end.bounds,
        };
        let [across, rows, _] = grid(of_positions as u32, self.limits.workgroups);
        let workgroups = [across, out_blocks.div_ceil(each * width) as u32, rows];
        let added = call.end.added.map(|added| {
            let texels = padded_len(call.n, call.out_shape) / 4;
            self.added_through_image(added, texels, (call.x, image))
        });
        let (other, copy_added) = added.unwrap_or((w, None));
        let norm = call.norm.unwrap_or(w);
        let scale = call.scale.unwrap_or(self.nothing);
        let buffers = vec![image, w, norm, scale, call.end.extra, other, call.y];
        let kernel = call.windows_kernel(each == 2);
        let work = call.work();
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        self.copy_before_last(copy);
        self.copy_before_last(copy_added);
    }

    /// Few outputs, through images.
    fn convolution_few(&mut self, call: &Convolution<'_>, width: usize) {
        let (texels, weight_texels) = (call.texels(), call.block_texels());
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::TexelBlocks(call.layout, call.direction),
        );
        let (image, copy) = self.through_image(call.x, texels);
        let out_blocks = blocks(call.out_shape.c);
        let [stride, pad, up] = call.window_steps();
        let params = Conv2dFewParams {
            in_blocks: blocks(call.in_shape.c) as i32,
            in_size: size(call.in_shape),
            out_blocks: out_blocks as i32,
            out_size: size(call.out_shape),
            taps: signed(call.window.size),
            stride,
            pad,
            dilation: signed(call.window.dilation),
            up,
            tap_step: call.tap_steps(),
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: call.end.bounds,
        };
        let [columns, rows] = call.column_groups(width);
        let workgroups = [columns, rows, (call.n * out_blocks) as u32];
        let buffers = vec![image, w, call.end.extra, call.y];
        let (kernel, work) = (Kernel::Conv2dFew, call.work());
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        self.copy_before_last(copy);
    }

    fn convolution_plain(&mut self, call: &Convolution<'_>) {
        let Convolution { window, .. } = call;
        let taps = window.size[0] * window.size[1];
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let reads = GroupBlocks::new(call.in_shape.c, call.out_shape.c, call.groups);
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            out_blocks * reads.span * taps * 16,
            call.weight,
            Packing::Filters(call.layout, call.groups, call.direction),
        );
        let [stride, pad, up] = call.window_steps();
        let params = Conv2dParams {
            in_blocks: in_blocks as u32,
            in_size: size(call.in_shape),
            out_blocks: out_blocks as u32,
            out_size: size(call.out_shape),
            taps: signed(window.size),
            stride,
            pad,
            dilation: signed(window.dilation),
            up,
            span: reads.span as u32,
            group_inputs: reads.inputs as u32,
            group_outputs: reads.outputs as u32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: call.end.bounds,
        };
        let workgroups = [
            (call.out_shape.w as u32).div_ceil(CONV2D_TILE[0]),
            (call.out_shape.h as u32).div_ceil(CONV2D_TILE[1]),
            (call.n * out_blocks) as u32,
        ];
        let buffers = vec![call.x, w, call.end.extra, call.y];
        self.dispatch(
            Kernel::Conv2d,
            call.label,
            &params,
            buffers,
            workgroups,
            call.work(),
        );
    }
}

/// Padding of the input gradient: what a turned window needs so that its first tap meets the first output.
fn turned_pad(window: &Window) -> [i32; 2] {
    std::array::from_fn(|axis| {
        let reach = window.dilation[axis] * (window.size[axis] - 1);
        reach as i32 - window.pad_before[axis] as i32
    })
}
