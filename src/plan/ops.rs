//! What each op becomes, forward and backward side by side: the only file that knows which kernels make a layer.

use super::builder::{Builder, image_rows};
use super::{BackwardRequest, BufferId, CopyToImage, KernelFamily, Packing, ReluRule};
use crate::kernels::{
    AffineParams, AvgPoolParams, CONV2D_TILE, CONV2D_TILED_LARGE, CONV2D_TILED_SMALL, CONV3X3_TILE,
    Conv2dParams, Conv2dTiledParams, Conv3x3Params, Epilogue, FlattenParams, GlobalMeanParams,
    IMAGE_ROW, Kernel, LANES, LINEAR_BATCH, LINEAR_COLUMNS_SUBGROUP_TILE, LINEAR_COLUMNS_TILE,
    LinearColumnsParams, LinearRowsParams, MaxPoolBackwardParams, MaxPoolParams, ReluParams,
};
use crate::layout::{Direction, GroupBlocks, blocks, depths, padded_len, texels as texels_of};
use crate::network::{FilterLayout, FlattenOrder, MatrixLayout, NodeId, Op, Shape, Window};
use crate::weights::Tensor;

/// Bytes of a matrix in one image: written at once, so that nothing clears it first.
const IMAGE_PART: u64 = 32 << 20;

/// What a kernel does as it stores, and the buffer that it needs for that.
#[derive(Clone, Copy)]
struct End {
    epilogue: Epilogue,
    extra: BufferId,
}

/// A linear layer's matrix.
struct Matrix<'a> {
    name: &'a str,
    weight: &'a Tensor,
    layout: MatrixLayout,
}

/// A convolution in either direction: y is made from x.
struct Convolution<'a> {
    name: &'a str,
    label: &'a str,
    weight: &'a Tensor,
    layout: FilterLayout,
    window: &'a Window,
    groups: usize,
    direction: Direction,
    n: usize,
    x: BufferId,
    in_shape: Shape,
    y: BufferId,
    out_shape: Shape,
    end: End,
}

impl Convolution<'_> {
    /// Multiply-adds: every weight once for each position of the layer's own output, whichever way it goes.
    fn work(&self) -> usize {
        let positions = match self.direction {
            Direction::Forward => self.out_shape.h * self.out_shape.w,
            Direction::Backward => self.in_shape.h * self.in_shape.w,
        };
        self.n * self.weight.len() * positions
    }

    /// Stride, padding and how far x is spread apart.
    fn window_steps(&self) -> [[i32; 2]; 3] {
        let window = self.window;
        match self.direction {
            Direction::Forward => [signed(window.stride), signed(window.pad_before), [1, 1]],
            Direction::Backward => [[1, 1], turned_pad(window), signed(window.stride)],
        }
    }
}

impl Builder<'_> {
    /// Records the dispatches that compute a node's value from its inputs' values.
    pub(super) fn record_forward(&mut self, id: NodeId) {
        let network = self.network;
        let node = network.node(id);
        let input = node.inputs[0];
        let x = self.value(input);
        let (in_shape, out_shape) = (network.node(input).shape, node.shape);
        let n = self.images;
        match &node.op {
            Op::Input => unreachable!("the first node alone, and it is not computed"),
            Op::Conv2d {
                weight,
                bias,
                layout,
                window,
                groups,
            } => {
                let (y, end) = self.layer_output(id, bias.as_ref());
                let call = Convolution {
                    name: &node.name,
                    label: &node.name,
                    weight,
                    layout: *layout,
                    window,
                    groups: *groups,
                    direction: Direction::Forward,
                    n,
                    x,
                    in_shape,
                    y,
                    out_shape,
                    end,
                };
                self.convolution(&call);
            }
            Op::Relu => {
                let y = self.tensor(&node.name, n, out_shape);
                self.values[id.0] = Some(y);
                let params = ReluParams {
                    count: (padded_len(n, out_shape) / 4) as u32,
                    elements: (padded_len(1, out_shape) / 4) as u32,
                    epilogue: Epilogue::BiasRelu as u32,
                };
                let buffers = vec![x, self.nothing, y];
                self.each(Kernel::Relu, &node.name, params.count, &params, buffers);
            }
            Op::MaxPool(window) => {
                let y = self.tensor(&node.name, n, out_shape);
                let argmax_bytes = padded_len(n, out_shape) as u64;
                let argmax = self.scratch(format!("{}_argmax", node.name), argmax_bytes);
                self.values[id.0] = Some(y);
                self.argmax[id.0] = Some(argmax);
                let params = MaxPoolParams {
                    count: (padded_len(n, out_shape) / 4) as u32,
                    in_size: size(in_shape),
                    out_size: [out_shape.h as u32, out_shape.w as u32],
                    taps: signed(window.size),
                    stride: signed(window.stride),
                    pad: signed(window.pad_before),
                };
                let buffers = vec![x, y, argmax];
                self.each(Kernel::MaxPool, &node.name, params.count, &params, buffers);
            }
            Op::AvgPool {
                window,
                count_include_pad,
            } => {
                let y = self.tensor(&node.name, n, out_shape);
                self.values[id.0] = Some(y);
                let params = AvgPoolParams {
                    count: (padded_len(n, out_shape) / 4) as u32,
                    ..avg_pool_params(window, *count_include_pad, in_shape, out_shape)
                };
                self.each(
                    Kernel::AvgPool,
                    &node.name,
                    params.count,
                    &params,
                    vec![x, y],
                );
            }
            Op::Affine { scale, shift } => {
                let y = self.tensor(&node.name, n, out_shape);
                self.values[id.0] = Some(y);
                self.affine(id, &node.name, n, [x, y], scale, Some(shift));
            }
            Op::GlobalMean => {
                let y = self.tensor(&node.name, n, out_shape);
                self.values[id.0] = Some(y);
                let params = GlobalMeanParams {
                    count: (padded_len(n, out_shape) / 4) as u32,
                    positions: (in_shape.h * in_shape.w) as u32,
                };
                self.each(
                    Kernel::GlobalMean,
                    &node.name,
                    params.count,
                    &params,
                    vec![x, y],
                );
            }
            Op::Flatten(order) => {
                let y = self.tensor(&node.name, n, out_shape);
                self.values[id.0] = Some(y);
                let params = FlattenParams {
                    count: padded_len(n, out_shape) as u32,
                    ..flatten_params(*order, in_shape)
                };
                self.each(
                    Kernel::Flatten,
                    &node.name,
                    params.count,
                    &params,
                    vec![x, y],
                );
            }
            Op::Linear {
                weight,
                bias,
                layout,
            } => {
                let (y, end) = self.layer_output(id, bias.as_ref());
                let matrix = Matrix {
                    name: &node.name,
                    weight,
                    layout: *layout,
                };
                self.linear(&node.name, &matrix, Direction::Forward, n, x, y, end);
            }
        }
    }

    /// Records the dispatches that turn the gradient at node `id` into the gradient at its `input`. Where that is a
    /// ReLU whose mask the kernel applies as it stores, the gradient reached is the one before the ReLU. Returns the
    /// node reached and its gradient.
    pub(super) fn record_backward(
        &mut self,
        id: NodeId,
        input: NodeId,
        dy: BufferId,
        request: BackwardRequest,
    ) -> (NodeId, BufferId) {
        let network = self.network;
        let node = network.node(id);
        let (in_shape, out_shape) = (network.node(input).shape, node.shape);
        let n = request.classes;
        let name = format!("d_{}", network.node(input).name);
        let label = format!("{} backward", node.name);
        match &node.op {
            Op::Input => unreachable!("no gradient goes past the picture"),
            Op::Conv2d {
                weight,
                layout,
                window,
                groups,
                ..
            } => {
                let (reached, dx, end) = self.masked_gradient(input, request);
                let call = Convolution {
                    name: &node.name,
                    label: &label,
                    weight,
                    layout: *layout,
                    window,
                    groups: *groups,
                    direction: Direction::Backward,
                    n,
                    x: dy,
                    in_shape: out_shape,
                    y: dx,
                    out_shape: in_shape,
                    end,
                };
                self.convolution(&call);
                (reached, dx)
            }
            Op::Relu => {
                let dx = self.tensor(&name, n, in_shape);
                let params = ReluParams {
                    count: (padded_len(n, in_shape) / 4) as u32,
                    elements: (padded_len(1, in_shape) / 4) as u32,
                    epilogue: mask(request.rule) as u32,
                };
                let buffers = vec![dy, self.value(id), dx];
                self.each(Kernel::Relu, &label, params.count, &params, buffers);
                (input, dx)
            }
            Op::MaxPool(window) => {
                let dx = self.tensor(&name, n, in_shape);
                let argmax = self.argmax[id.0].expect("forward comes before backward");
                let params = MaxPoolBackwardParams {
                    count: (padded_len(n, in_shape) / 4) as u32,
                    blocks: blocks(in_shape.c) as u32,
                    in_size: [in_shape.h as u32, in_shape.w as u32],
                    out_size: size(out_shape),
                    taps: signed(window.size),
                    stride: signed(window.stride),
                    pad: signed(window.pad_before),
                };
                let buffers = vec![dy, argmax, dx];
                self.each(
                    Kernel::MaxPoolBackward,
                    &label,
                    params.count,
                    &params,
                    buffers,
                );
                (input, dx)
            }
            Op::AvgPool {
                window,
                count_include_pad,
            } => {
                let dx = self.tensor(&name, n, in_shape);
                let params = AvgPoolParams {
                    count: (padded_len(n, in_shape) / 4) as u32,
                    ..avg_pool_params(window, *count_include_pad, in_shape, out_shape)
                };
                self.each(
                    Kernel::AvgPoolBackward,
                    &label,
                    params.count,
                    &params,
                    vec![dy, dx],
                );
                (input, dx)
            }
            Op::Affine { scale, .. } => {
                let dx = self.tensor(&name, n, in_shape);
                self.affine(id, &label, n, [dy, dx], scale, None);
                (input, dx)
            }
            Op::GlobalMean => {
                let dx = self.tensor(&name, n, in_shape);
                let params = GlobalMeanParams {
                    count: (padded_len(n, in_shape) / 4) as u32,
                    positions: (in_shape.h * in_shape.w) as u32,
                };
                self.each(
                    Kernel::GlobalMeanBackward,
                    &label,
                    params.count,
                    &params,
                    vec![dy, dx],
                );
                (input, dx)
            }
            Op::Flatten(order) => {
                let dx = self.tensor(&name, n, in_shape);
                let params = FlattenParams {
                    count: padded_len(n, in_shape) as u32,
                    ..flatten_params(*order, in_shape)
                };
                self.each(
                    Kernel::FlattenBackward,
                    &label,
                    params.count,
                    &params,
                    vec![dy, dx],
                );
                (input, dx)
            }
            Op::Linear { weight, layout, .. } => {
                let (reached, dx, end) = self.masked_gradient(input, request);
                let matrix = Matrix {
                    name: &node.name,
                    weight,
                    layout: *layout,
                };
                self.linear(&label, &matrix, Direction::Backward, n, dy, dx, end);
                (reached, dx)
            }
        }
    }

    /// scale x + shift, a value a channel.
    fn affine(
        &mut self,
        id: NodeId,
        label: &str,
        n: usize,
        [x, y]: [BufferId; 2],
        scale: &Tensor,
        shift: Option<&Tensor>,
    ) {
        let node = self.network.node(id);
        let shape = node.shape;
        let mut values = |what: &str, tensor: &Tensor| {
            let len = blocks(shape.c) * 4;
            let name = format!("{} {what}", node.name);
            self.weights(name, len, tensor, Packing::Vector)
        };
        let scale = values("scales", scale);
        let shifts = shift.map(|shift| values("shifts", shift));
        let params = AffineParams {
            count: (padded_len(n, shape) / 4) as u32,
            blocks: blocks(shape.c) as u32,
            positions: (shape.h * shape.w) as u32,
            shifted: u32::from(shifts.is_some()),
        };
        let buffers = vec![x, scale, shifts.unwrap_or(self.nothing), y];
        self.each(Kernel::Affine, label, params.count, &params, buffers);
    }

    /// The output of a layer that ends with a bias, and with the ReLU after it where there is one.
    fn layer_output(&mut self, id: NodeId, bias: Option<&Tensor>) -> (BufferId, End) {
        let node = self.network.node(id);
        let y = self.tensor(&node.name, self.images, node.shape);
        // A ReLU after a layer without a bias takes a kernel of its own: rare, and one epilogue fewer.
        let relu = self.network.fused_relu(id).filter(|_| bias.is_some());
        self.values[relu.unwrap_or(id).0] = Some(y);
        let Some(bias) = bias else {
            return (y, self.plain_end());
        };
        let values = blocks(bias.len()) * 4;
        let extra = self.weights(
            format!("{} biases", node.name),
            values,
            bias,
            Packing::Vector,
        );
        let epilogue = match relu {
            Some(_) => Epilogue::BiasRelu,
            None => Epilogue::Bias,
        };
        (y, End { epilogue, extra })
    }

    /// The buffer for the gradient at `input`. When that is a ReLU on the way to the target, the kernel that makes the
    /// gradient applies its mask, and what it makes is the gradient at the ReLU's own input.
    fn masked_gradient(
        &mut self,
        input: NodeId,
        request: BackwardRequest,
    ) -> (NodeId, BufferId, End) {
        let node = self.network.node(input);
        let alone = self.network.consumers(input).nth(1).is_none();
        let masked = matches!(node.op, Op::Relu) && input != request.to && alone;
        let (reached, end) = if masked {
            let end = End {
                epilogue: mask(request.rule),
                extra: self.value(input),
            };
            (node.inputs[0], end)
        } else {
            (input, self.plain_end())
        };
        let name = format!("d_{}", self.network.node(reached).name);
        let dx = self.tensor(&name, request.classes, node.shape);
        (reached, dx, end)
    }

    fn plain_end(&self) -> End {
        End {
            epilogue: Epilogue::None,
            extra: self.nothing,
        }
    }

    /// A convolution or its input gradient, by the fastest kernel that this adapter runs.
    fn convolution(&mut self, call: &Convolution<'_>) {
        match self.limits.family {
            KernelFamily::Plain => self.convolution_plain(call),
            // Groups are rare, and of a few channels each: the plain kernel reads no others.
            _ if call.groups > 1 => self.convolution_plain(call),
            KernelFamily::Tiled { workgroups } => self.convolution_tiled(call, workgroups),
            KernelFamily::Subgroup8 { image_rows: most } => {
                let texels = padded_len(call.n, call.in_shape) / 4;
                let weight_texels = texels_of(call.out_shape.c, call.in_shape.c);
                let rows = image_rows(texels.max(weight_texels));
                // Indices into an image are signed 32-bit numbers of texels.
                let fits = rows <= most as usize && i32::try_from(rows * IMAGE_ROW).is_ok();
                if call.window.is_3x3_same() && fits {
                    self.convolution_3x3_subgroup(call, texels, weight_texels);
                } else {
                    self.convolution_plain(call);
                }
            }
        }
    }

    fn convolution_tiled(&mut self, call: &Convolution<'_>, busy: u32) {
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
        let positions = (call.out_shape.h * call.out_shape.w) as u32;
        let most = self.limits.workgroups;
        let workgroups = |tile: u32| {
            let [x, y, _] = grid(positions.div_ceil(tile), most);
            let across = (out_blocks * 4).div_ceil(tile as usize);
            [x, y, (call.n * across) as u32]
        };
        let large = workgroups(CONV2D_TILED_LARGE);
        let (kernel, workgroups) =
            if large.map(u64::from).into_iter().product::<u64>() < u64::from(busy) {
                (Kernel::Conv2dTiledSmall, workgroups(CONV2D_TILED_SMALL))
            } else {
                (Kernel::Conv2dTiledLarge, large)
            };
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

    fn convolution_3x3_subgroup(
        &mut self,
        call: &Convolution<'_>,
        texels: usize,
        weight_texels: usize,
    ) {
        let w = self.weights(
            format!("{} weights", call.name),
            weight_texels.next_multiple_of(IMAGE_ROW) * 4,
            call.weight,
            Packing::Texels(call.layout, call.direction),
        );
        let image = self.image(texels);
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let params = Conv3x3Params {
            in_blocks: in_blocks as i32,
            out_blocks: out_blocks as i32,
            size: size(call.out_shape),
            columns: CONV3X3_TILE[0] as i32,
            epilogue: call.end.epilogue as u32,
        };
        let [columns, rows, outputs] = CONV3X3_TILE;
        let workgroups = [
            (call.out_shape.w as u32).div_ceil(columns),
            (call.out_shape.h as u32).div_ceil(rows),
            (call.n * (out_blocks * 4).div_ceil(outputs as usize)) as u32,
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

    fn convolution_plain(&mut self, call: &Convolution<'_>) {
        let Convolution { window, .. } = call;
        let taps = window.size[0] * window.size[1];
        let (in_blocks, out_blocks) = (blocks(call.in_shape.c), blocks(call.out_shape.c));
        let reads = GroupBlocks::new(call.in_shape.c, call.out_shape.c, call.groups);
        let w = self.weights(
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

    /// A kernel whose invocations take `count` elements one by one.
    fn each<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        count: u32,
        params: &P,
        buffers: Vec<BufferId>,
    ) {
        let workgroups = grid(count.div_ceil(LANES), self.limits.workgroups);
        self.dispatch(kernel, label, params, buffers, workgroups, 0);
    }

    /// y = W x or dx = W^T dy. The matrix stays as its file has it: a product that runs along its rows is a dot product
    /// a row, the other a weighted sum of rows. A matrix larger than one binding goes in parts of whole rows.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call a direction, all of them data"
    )]
    fn linear(
        &mut self,
        label: &str,
        matrix: &Matrix<'_>,
        direction: Direction,
        n: usize,
        x: BufferId,
        y: BufferId,
        end: End,
    ) {
        let &[rows, columns] = matrix.weight.shape() else {
            unreachable!("the network checked the shape")
        };
        let along_rows =
            (matrix.layout == MatrixLayout::OutIn) == (direction == Direction::Forward);
        let texels = n * blocks(if along_rows { columns } else { rows });
        let most_rows = self.limits.image_rows();
        let through_image = image_rows(texels) <= most_rows && blocks(columns) <= most_rows;
        let row_bytes = blocks(columns) as u64 * 16;
        let rows_at_once = match through_image {
            true => most_rows.min((IMAGE_PART / row_bytes) as usize) / 4 * 4,
            false => (self.limits.tensor() / row_bytes) as usize / 4 * 4,
        };
        let rows_at_once = rows_at_once.clamp(4, rows.next_multiple_of(4));
        let copy = through_image.then(|| CopyToImage {
            from: x,
            to: self.image(texels),
            texels,
        });
        for first in (0..rows).step_by(rows_at_once) {
            let part = first..rows.min(first + rows_at_once);
            let part_rows = blocks(part.len()) as u32;
            let packing = match through_image {
                true => Packing::TexelRows(part.clone()),
                false => Packing::Rows(part.clone()),
            };
            let m = self.weights(
                format!("{} weights", matrix.name),
                blocks(part.len()) * 4 * blocks(columns) * 4,
                matrix.weight,
                packing,
            );
            let work = n * part.len() * columns;
            let buffers = vec![copy.map_or(x, |copy| copy.to), m, end.extra, y];
            if along_rows {
                let params = LinearRowsParams {
                    n: n as u32,
                    rows: part_rows,
                    columns: blocks(columns) as u32,
                    first_row: (first / 4) as u32,
                    y_columns: blocks(rows) as u32,
                    epilogue: end.epilogue as u32,
                };
                let kernel = match through_image {
                    true => Kernel::LinearRowsSubgroup,
                    false => Kernel::LinearRows,
                };
                let [gx, gy, _] = grid(part_rows, self.limits.workgroups);
                let workgroups = [gx, gy, (n as u32).div_ceil(LINEAR_BATCH)];
                self.dispatch(kernel, label, &params, buffers, workgroups, work);
            } else {
                let last = part.end == rows;
                let epilogue = if last { end.epilogue } else { Epilogue::None };
                let params = LinearColumnsParams {
                    n: n as u32,
                    rows: part_rows,
                    columns: blocks(columns) as u32,
                    first_row: (first / 4) as u32,
                    x_columns: blocks(rows) as u32,
                    accumulate: u32::from(first > 0),
                    epilogue: epilogue as u32,
                };
                let (kernel, [columns_at_once, batch]) = match through_image {
                    true => (Kernel::LinearColumnsSubgroup, LINEAR_COLUMNS_SUBGROUP_TILE),
                    false => (Kernel::LinearColumns, [LINEAR_COLUMNS_TILE, LINEAR_BATCH]),
                };
                let groups = params.columns.div_ceil(columns_at_once);
                let workgroups = [groups, params.n.div_ceil(batch), 1];
                self.dispatch(kernel, label, &params, buffers, workgroups, work);
            }
            // The parts after the first find the image as it left it.
            if let Some(copy) = copy.filter(|_| first == 0) {
                self.copy_before_last(copy);
            }
        }
    }
}

fn mask(rule: ReluRule) -> Epilogue {
    match rule {
        ReluRule::Plain => Epilogue::Mask,
        ReluRule::Guided => Epilogue::MaskGuided,
        ReluRule::Deconv => Epilogue::MaskDeconv,
    }
}

fn avg_pool_params(
    window: &Window,
    count_include_pad: bool,
    input: Shape,
    output: Shape,
) -> AvgPoolParams {
    AvgPoolParams {
        count: 0,
        in_size: size(input),
        out_size: size(output),
        taps: signed(window.size),
        stride: signed(window.stride),
        pad: signed(window.pad_before),
        count_include_pad: u32::from(count_include_pad),
    }
}

fn flatten_params(order: FlattenOrder, shape: Shape) -> FlattenParams {
    let (channels, positions) = (shape.c as u32, (shape.h * shape.w) as u32);
    let (channel_stride, position_stride) = match order {
        FlattenOrder::Chw => (positions, 1),
        FlattenOrder::Hwc => (1, channels),
    };
    FlattenParams {
        count: 0,
        row: blocks(shape.len()) as u32 * 4,
        channels,
        blocks: blocks(shape.c) as u32,
        positions,
        channel_stride,
        position_stride,
    }
}

/// Padding of the input gradient: what a turned window needs so that its first tap meets the first output.
fn turned_pad(window: &Window) -> [i32; 2] {
    std::array::from_fn(|axis| {
        let reach = window.dilation[axis] * (window.size[axis] - 1);
        reach as i32 - window.pad_before[axis] as i32
    })
}

/// `count` workgroups in as few rows as the adapter allows.
fn grid(count: u32, most: u32) -> [u32; 3] {
    let rows = count.div_ceil(most).max(1);
    [count.div_ceil(rows).max(1), rows, 1]
}

fn size(shape: Shape) -> [i32; 2] {
    [shape.h as i32, shape.w as i32]
}

fn signed(values: [usize; 2]) -> [i32; 2] {
    values.map(|v| v as i32)
}
