//! A convolution or its input gradient: which kernel, and what it needs.

use super::end::{End, Pooled};
use super::winograd::WinogradCall;
use super::{signed, size};
use crate::kernels::{
    ActivationKind, COLUMNS_ROWS, CONV2D_SUBGROUP_POSITIONS, CONV2D_TILE, CONV3X3_TILE,
    Conv2dFewParams, Conv2dParams, Conv2dSubgroupParams, Conv3x3Params, FEW_BLOCKS, IMAGE_ROW,
    Kernel,
};
use crate::layout::{
    Direction, GroupBlocks, blocks, blocks_texels, padded_len, texels as texels_of,
};
use crate::network::{Activation, FilterLayout, NodeId, Shape, Window};
use crate::plan::buffers::image_rows;
use crate::plan::builder::{Builder, Traffic};
use crate::plan::schedule::Takes;
use crate::plan::{
    BufferId, CopyToImage, Hardware, ImageUse, KernelFamily, Packing, Subgroup, Winograd,
};
use crate::weights::Tensor;

/// A convolution in either direction: y is made from x.
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
    /// Where it is there, y is the pool's, see [`Builder::takes_pool`].
    pub(super) pool: Option<Pooled>,
    /// Whether listed tiles will do, which the same algorithm alone computes by themselves.
    pub(super) in_tiles: bool,
    /// What that needs, where it is done.
    pub(super) beside: Option<Beside>,
}

/// A layer's value in the pass of a rerun's base.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    /// The convolution, and the node whose value it makes.
    pub(super) conv: NodeId,
    pub(super) made: NodeId,
    /// The value of `made`.
    pub(super) base: BufferId,
}

/// The kernels that a convolution goes by.
enum Form<'a> {
    Depthwise,
    /// Through images, by subgroups of so many invocations; so do those below that have a number.
    DepthwiseSubgroup(usize),
    Plain,
    Tiled(Hardware),
    /// Any window.
    Subgroup(usize),
    /// The same with few outputs.
    Few(usize),
    Direct3x3(usize),
    Winograd(WinogradCall<'a>),
}

impl Takes for Builder<'_> {
    fn sum(&self, id: NodeId) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        call.is_some_and(|call| matches!(self.form(&call), Form::Subgroup(_)))
    }

    fn activation(&self, id: NodeId, activation: &Activation) -> bool {
        let known = matches!(
            activation,
            Activation::Clip { .. } | Activation::Silu | Activation::HardSwish
        );
        let call = self.forward_convolution(id, self.nothing);
        let form = call.as_ref().map(|call| self.form(call));
        known && matches!(form, Some(Form::Subgroup(_) | Form::DepthwiseSubgroup(_)))
    }

    /// Where a tile holds whole windows, as Winograd's do: the direct kernels' positions follow one another by rows, and a window's
    /// lie in two of these.
    fn pool(&self, id: NodeId) -> bool {
        self.is_winograd(id)
    }
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

    /// Texels of x.
    pub(super) fn texels(&self) -> usize {
        padded_len(self.n, self.in_shape) / 4
    }

    fn weight_texels(&self) -> usize {
        texels_of(self.out_shape.c, self.in_shape.c)
    }

    /// Whether x and the weights are within an image of `most` rows, whose indices are signed 32-bit numbers of texels.
    fn fits(&self, most: u32) -> bool {
        let rows = image_rows(self.texels().max(self.weight_texels()));
        rows <= most as usize && i32::try_from(rows * IMAGE_ROW).is_ok()
    }

    /// Texels of the weights as `conv2d_subgroup.wgsl` reads them.
    fn block_texels(&self) -> usize {
        let taps = self.window.size[0] * self.window.size[1];
        blocks_texels(self.out_shape.c, self.in_shape.c, taps)
    }

    /// Whether x and those weights are within an image of `most` rows.
    fn fits_in_eights(&self, most: u32) -> bool {
        let rows = image_rows(self.texels().max(self.block_texels()));
        rows <= most as usize && i32::try_from(rows * IMAGE_ROW).is_ok()
    }

    /// Whether it is an input gradient of so few channels that the kernel for many would leave most invocations idle.
    fn makes_few(&self) -> bool {
        self.direction == Direction::Backward && blocks(self.out_shape.c) <= FEW_BLOCKS
    }

    /// Workgroups along columns and rows of those that take so many columns and 7 rows, as far apart as x is spread.
    pub(super) fn column_groups(&self, columns: usize) -> [u32; 2] {
        let [.., up] = self.window_steps();
        let sides = [self.out_shape.w, self.out_shape.h];
        let each = [up[1], up[0]].map(|up| up as usize);
        let tile = [columns, COLUMNS_ROWS];
        std::array::from_fn(|axis| {
            let places = sides[axis].div_ceil(each[axis]);
            (each[axis] * places.div_ceil(tile[axis])) as u32
        })
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

impl Builder<'_> {
    /// A convolution or its input gradient, by the fastest kernel that this adapter runs.
    pub(super) fn convolution(&mut self, call: &Convolution<'_>) {
        match self.form(call) {
            Form::Depthwise => self.depthwise(call),
            Form::DepthwiseSubgroup(width) => self.depthwise_subgroup(call, width),
            Form::Plain => self.convolution_plain(call),
            Form::Tiled(gpu) => self.convolution_tiled(call, gpu),
            Form::Subgroup(width) => self.convolution_subgroup(call, width),
            Form::Few(width) => self.convolution_few(call, width),
            Form::Direct3x3(width) => self.convolution_3x3_subgroup(call, width),
            Form::Winograd(winograd) => self.convolution_winograd(&winograd),
        }
    }

    fn form<'c>(&self, call: &'c Convolution<'c>) -> Form<'c> {
        match self.limits.family {
            KernelFamily::Subgroup(subgroup) if call.is_depthwise() => {
                match self.fits_depthwise(call, subgroup.image_rows) {
                    true => Form::DepthwiseSubgroup(subgroup.width as usize),
                    false => Form::Depthwise,
                }
            }
            _ if call.is_depthwise() => Form::Depthwise,
            KernelFamily::Plain => Form::Plain,
            // Other groups are rare, and of a few channels each: the plain kernel reads no others.
            _ if call.groups > 1 => Form::Plain,
            KernelFamily::Tiled(gpu) => Form::Tiled(gpu),
            KernelFamily::Subgroup(Subgroup {
                width,
                image_rows: most,
                ..
            }) => {
                let width = width as usize;
                if !call.window.is_3x3_same() || !call.fits(most) {
                    return match call.fits_in_eights(most) {
                        true if call.makes_few() => Form::Few(width),
                        true => Form::Subgroup(width),
                        false => Form::Plain,
                    };
                }
                match self.winograd(call) {
                    Some(winograd) => Form::Winograd(winograd),
                    None => Form::Direct3x3(width),
                }
            }
        }
    }

    /// Winograd's algorithm for subgroups, where it is what this adapter runs for the convolution.
    pub(super) fn winograd<'a>(&self, call: &'a Convolution<'a>) -> Option<WinogradCall<'a>> {
        let KernelFamily::Subgroup(subgroup) = self.limits.family else {
            return None;
        };
        let most = subgroup.image_rows;
        if call.groups > 1 || !call.window.is_3x3_same() || !call.fits(most) {
            return None;
        }
        let it = WinogradCall::new(call, subgroup);
        let chosen = match self.limits.winograd {
            Winograd::Never | Winograd::Everywhere2x2 => false,
            Winograd::WhereFaster => it.is_faster(),
            Winograd::Everywhere => true,
        };
        (chosen && it.fits(most)).then_some(it)
    }

    /// Whether node `id` is a convolution that goes by Winograd's algorithm.
    pub(super) fn is_winograd(&self, id: NodeId) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        call.is_some_and(|call| match self.form(&call) {
            Form::Tiled(gpu) => self.winograd_tiled(&call, gpu).is_some(),
            form => matches!(form, Form::Winograd(_)),
        })
    }

    fn convolution_3x3_subgroup(&mut self, call: &Convolution<'_>, width: usize) {
        let (texels, weight_texels) = (call.texels(), call.weight_texels());
        let w = self.buffers.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::Texels(call.layout, call.direction),
        );
        let image = self.buffers.image(ImageUse::Input, texels);
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let params = Conv3x3Params {
            in_blocks: in_blocks as i32,
            out_blocks: out_blocks as i32,
            size: size(call.out_shape),
            columns: CONV3X3_TILE[0] as i32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
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
        self.copy_before_last(CopyToImage {
            from: call.x,
            to: image,
            texels,
        });
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
        let image = self.buffers.image(ImageUse::Input, texels);
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let [stride, pad, up] = call.window_steps();
        let count = call.n * call.out_shape.h * call.out_shape.w;
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
            count: count as i32,
            epilogue: call.end.epilogue as u32,
            sharing: self.pass.sharing as i32,
            bounds: call.end.bounds,
        };
        let workgroups = [
            count.div_ceil(CONV2D_SUBGROUP_POSITIONS) as u32,
            out_blocks.div_ceil(width) as u32,
            1,
        ];
        let other = call.end.added.unwrap_or(self.nothing);
        let buffers = vec![image, w, call.end.extra, other, call.y];
        let kernel = match (call.end.activation, call.end.added) {
            (None, None) if call.end.is_mask() => Kernel::Conv2dSubgroupMasked,
            (None, None) => Kernel::Conv2dSubgroup,
            (None, Some(_)) => Kernel::Conv2dSubgroupAdded,
            (Some(ActivationKind::Silu), None) => Kernel::Conv2dSubgroupSilu,
            (Some(ActivationKind::HardSwish), None) => Kernel::Conv2dSubgroupHardSwish,
            (Some(_), _) => unreachable!("no step has both, or another"),
        };
        let work = call.work();
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        self.copy_before_last(CopyToImage {
            from: call.x,
            to: image,
            texels,
        });
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
        let image = self.buffers.image(ImageUse::Input, texels);
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
        };
        let [columns, rows] = call.column_groups(width);
        let workgroups = [columns, rows, (call.n * out_blocks) as u32];
        let buffers = vec![image, w, call.end.extra, call.y];
        let (kernel, work) = (Kernel::Conv2dFew, call.work());
        self.dispatch(kernel, call.label, &params, buffers, workgroups, work);
        self.copy_before_last(CopyToImage {
            from: call.x,
            to: image,
            texels,
        });
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
