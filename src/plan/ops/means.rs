//! The means of a gradient over the positions of a layer, all that plain Grad-CAM reads of it, without the gradient.
//!
//! A pool hands each gradient on in shares that sum to one, so on the way back from the vector that a map becomes before a
//! dense layer to the map itself a channel's gradients keep their sum. Their mean at the map is therefore the product of the
//! gradient after the dense layer with the sums of its matrix over positions, divided by the map's positions: a matrix as
//! many times smaller as the vector has positions, made once.

use super::linear::{MatrixParts, Product};
use crate::kernels::{Kernel, LANES, LinearMeansParams};
use crate::layout::blocks;
use crate::network::{FlattenOrder, MatrixLayout, Network, NodeId, Op, Shape, Window};
use crate::plan::builder::Builder;
use crate::plan::{BackwardRequest, BufferId, MatrixDtype, Means};
use crate::weights::Tensor;

/// Readings of a dense layer's matrix on the way back, of [`LINEAR_BATCH`](crate::kernels::LINEAR_BATCH) gradients each, that take as long as making its
/// sums; more of them repay it. VGG16's fc6 on two cores (Zen 4, Mesa 22.3): 145 ms once, and 33 ms less a reading, which
/// leaves of the whole backward pass 16 of 50 ms for up to four classes and 70 of 224 ms for 20.
const PREPARATION: usize = 4;

/// A dense layer that a map comes to by pools alone.
#[derive(Clone, Copy)]
pub(in crate::plan) struct DenseAfter<'a> {
    pub(in crate::plan) id: NodeId,
    weight: &'a Tensor,
    layout: MatrixLayout,
    /// The map that becomes its input, and in which order.
    pooled: Shape,
    order: FlattenOrder,
    /// Positions of the map that the gradients are averaged over.
    positions: usize,
}

impl<'a> DenseAfter<'a> {
    /// The first dense layer after `target`, if nothing but pools that keep sums lies between, and all read one another
    /// alone.
    fn of(network: &'a Network, target: NodeId) -> Option<Self> {
        let Shape { h, w, .. } = network.node(target).shape;
        let mut at = target;
        let mut flattened = None;
        loop {
            let mut consumers = network.consumers(at);
            let id = consumers.next()?;
            if consumers.next().is_some() {
                return None;
            }
            match &network.node(id).op {
                Op::MaxPool(window) | Op::AvgPool { window, .. } if keeps_sums(window) => {}
                Op::AdaptiveAvgPool(_) | Op::GlobalMean => {}
                Op::Flatten(order) if flattened.is_none() => {
                    flattened = Some((network.node(at).shape, *order));
                }
                Op::Linear { weight, layout, .. } => {
                    let vector = (network.node(at).shape, FlattenOrder::Chw);
                    let (pooled, order) = flattened.unwrap_or(vector);
                    return Some(Self {
                        id,
                        weight,
                        layout: *layout,
                        pooled,
                        order,
                        positions: h * w,
                    });
                }
                _ => return None,
            }
            at = id;
        }
    }

    /// Distance in the vector of neighbouring channels, and of neighbouring positions.
    fn strides(&self) -> [usize; 2] {
        let positions = self.pooled.h * self.pooled.w;
        match self.order {
            FlattenOrder::Chw if positions > 1 => [positions, 1],
            FlattenOrder::Chw | FlattenOrder::Hwc => [1, self.pooled.c],
        }
    }

    /// Rows and columns of the sums, each in whole fours: as the matrix has them, channels for inputs.
    fn size(&self) -> [usize; 2] {
        let [rows, columns] = [0, 1].map(|axis| blocks(self.weight.shape()[axis]) * 4);
        let channels = blocks(self.pooled.c) * 4;
        match self.layout {
            MatrixLayout::InOut => [channels, columns],
            MatrixLayout::OutIn => [rows, channels],
        }
    }

    /// Whether the kernels can make the sums: they read four neighbouring columns at once.
    fn is_aligned(&self) -> bool {
        let [channel_stride, position_stride] = self.strides();
        let in_columns = self.layout == MatrixLayout::OutIn;
        let one_position = self.pooled.h * self.pooled.w == 1;
        !in_columns || channel_stride > 1 || one_position || position_stride.is_multiple_of(4)
    }
}

/// Whether the windows of a pool hand each gradient on whole. Without padding they do, overlapping or not; with it an
/// average may count zeros.
fn keeps_sums(window: &Window) -> bool {
    window.pad_before == [0, 0] && window.pad_after == [0, 0]
}

impl<'a> Builder<'a> {
    /// The dense layer at which a backward pass ends that is asked for means, if that is possible and, where that is left
    /// open, faster.
    pub(in crate::plan) fn ends_at(&self, pass: &BackwardRequest) -> Option<DenseAfter<'a>> {
        let repays = |_: &DenseAfter<'_>| match pass.means {
            Means::Never => false,
            Means::WhereFaster => self.readings_like(pass) > PREPARATION,
            Means::WherePossible => true,
        };
        let fits = |dense: &DenseAfter<'_>| {
            let [rows, columns] = dense.size();
            dense.is_aligned()
                && (rows * columns) as u64 * 4 <= self.limits.tensor()
                && rows.max(columns) <= self.limits.workgroups as usize
        };
        let dense = DenseAfter::of(self.network, pass.to).filter(|_| pass.keep.is_empty());
        dense.filter(repays).filter(fits)
    }

    /// The means at the target from the gradients `dy` after the dense layer, one a channel and class.
    pub(in crate::plan) fn record_means(
        &mut self,
        dense: &DenseAfter<'_>,
        dy: BufferId,
        pass: &BackwardRequest,
    ) -> BufferId {
        let sums = self.sums(dense);
        let network = self.network;
        let name = format!("d_{} means", network.node(pass.to).name);
        let y = self.tensor(&name, pass.classes, Shape::vector(dense.pooled.c));
        let [rows, columns] = dense.size();
        self.product(&Product {
            label: &format!("{} backward", network.node(dense.id).name),
            along_rows: dense.layout == MatrixLayout::InOut,
            through_image: false,
            dtype: MatrixDtype::F32,
            n: pass.classes,
            rows,
            columns,
            part: 0..rows,
            m: sums,
            x: dy,
            y,
            end: self.plain_end(),
        });
        y
    }

    /// The sums of a dense layer's matrix, divided by the target's positions.
    fn sums(&mut self, dense: &DenseAfter<'_>) -> BufferId {
        let name = &self.network.node(dense.id).name;
        let [s_rows, s_columns] = dense.size();
        // Of the same layer there may be several targets: the pools before it, and what is before them.
        let label = format!("{name} means over {}", dense.positions);
        let (s, new) = self.prepared(&label, s_rows * s_columns / 4);
        if !new {
            return s;
        }
        let columns = dense.weight.shape()[1];
        // The parts that the layer reads forward.
        let texels = self.images * blocks(dense.pooled.len());
        let parts = MatrixParts::new(self, dense.weight, texels);
        let [channel_stride, position_stride] = dense.strides().map(|stride| stride as u32);
        let inputs_in_rows = dense.layout == MatrixLayout::InOut;
        for part in parts.ranges() {
            let m = self.matrix_part(name, dense.weight, &parts, part.clone());
            let (first_row, rows) = (part.start as u32, blocks(part.len()) as u32 * 4);
            let params = LinearMeansParams {
                s_columns: blocks(s_columns) as u32,
                rows,
                columns: blocks(columns) as u32,
                first_row,
                first_position: first_row / position_stride,
                end_position: (first_row + rows) / position_stride,
                channels: dense.pooled.c as u32,
                positions: (dense.pooled.h * dense.pooled.w) as u32,
                channel_stride,
                position_stride,
                inputs_in_rows: u32::from(inputs_in_rows),
                scale: 1.0 / dense.positions as f32,
            };
            let kernel = match (parts.through_image, self.matrices) {
                (true, MatrixDtype::F32) => Kernel::LinearMeansSubgroup,
                (true, MatrixDtype::F16) => Kernel::LinearMeansSubgroupHalf,
                (false, MatrixDtype::F32) => Kernel::LinearMeans,
                (false, MatrixDtype::F16) => Kernel::LinearMeansHalf,
            };
            let made_rows = match inputs_in_rows {
                true => s_rows as u32,
                false => rows,
            };
            let workgroups = [params.s_columns.div_ceil(LANES), made_rows, 1];
            self.prepare(kernel, &label, &params, vec![m, s], workgroups);
        }
        s
    }
}
