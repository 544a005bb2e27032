//! The means of a gradient over the positions of a layer, all that plain Grad-CAM reads of it, without the gradient.
//!
//! A pool hands each gradient on in shares that sum to one, so on the way back from the vector that a map becomes before a
//! dense layer to the map itself a channel's gradients keep their sum. Their mean at the map is therefore the product of the
//! gradient after the dense layer with the sums of its matrix over positions, divided by the map's positions: a matrix as
//! many times smaller as the vector has positions, made once. The software adapter is given it by the host, which has the matrix
//! in its hands on the way there; others make it.

use super::linear::{MatrixParts, Product};
use crate::kernels::{Kernel, LANES, LINEAR_BATCH, LinearMeansParams, MATRIX_IMAGE};
use crate::layout::{PositionSums, blocks};
use crate::network::{FlattenOrder, MatrixLayout, Network, NodeId, Op, Shape, Window};
use crate::plan::buffers::image_rows;
use crate::plan::builder::Builder;
use crate::plan::{BackwardRequest, BufferId, CopyToImage, ImageUse, Means, StoredDtype, Sums};
use crate::weights::Tensor;

/// Readings of a dense layer's matrix on the way back that take as long as making its sums; more of them repay it. On the device
/// the sums are one reading. On the host they are a part of the upload: VGG16's whole command takes as long with them as without
/// for one class, and less for several.
const PREPARATION: usize = 1;

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

    /// Of the same layer there may be several targets: the pools before it, and what is before them.
    fn label(&self, network: &Network) -> String {
        let name = &network.node(self.id).name;
        format!("{name} means over {}", self.positions)
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

    /// Whether the device can make the sums: its kernel reads four neighbouring columns at once.
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
        let repays = |dense: &DenseAfter<'_>| match pass.means {
            Means::Never => false,
            Means::WhereFaster => {
                let at_once = match self.parts(dense).through_image {
                    // Up to ten at once take as long as two such readings.
                    true => LINEAR_BATCH as usize,
                    // All at once: the workgroups of one batch find in a cache what those of another read.
                    false => usize::MAX,
                };
                self.readings_like(pass, at_once) > PREPARATION
            }
            Means::WherePossible => true,
        };
        let fits = |dense: &DenseAfter<'_>| {
            let [rows, columns] = dense.size();
            let bytes = rows as u64 * columns as u64 * 4;
            if self.parts(dense).through_image {
                let most = self.limits.image_rows();
                let texels = self.gradients(pass) * blocks(self.network.node(dense.id).shape.c);
                return bytes <= MATRIX_IMAGE as u64
                    && rows.max(columns / 4).max(image_rows(texels)) <= most;
            }
            dense.is_aligned()
                && bytes <= self.limits.tensor()
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
        let texels = self.gradients(pass) * blocks(self.network.node(dense.id).shape.c);
        let through_image = self.parts(dense).through_image;
        let sums = match through_image {
            true => self.host_sums(dense),
            false => self.prepared_sums(dense),
        };
        let network = self.network;
        let name = format!("d_{} means", network.node(pass.to).name);
        let y = self
            .buffers
            .tensor(&name, self.gradients(pass), Shape::vector(dense.pooled.c));
        let [rows, columns] = dense.size();
        let copy = through_image.then(|| CopyToImage {
            from: dy,
            to: self.buffers.image(ImageUse::Input, texels),
            texels,
        });
        self.product(&Product {
            label: &format!("{} backward", network.node(dense.id).name),
            along_rows: dense.layout == MatrixLayout::InOut,
            through_image,
            dtype: StoredDtype::F32,
            n: self.gradients(pass),
            rows,
            columns,
            part: 0..rows,
            m: sums,
            x: copy.map_or(dy, |copy| copy.to),
            y,
            end: self.plain_end(),
        });
        self.copy_before_last(copy);
        y
    }

    /// Readings of a matrix by all passes together that go back as `back` does, each of `at_once` gradients, as far as is known.
    fn readings_like(&self, back: &BackwardRequest, at_once: usize) -> usize {
        let passes = self.request.passes.iter();
        let each = passes.flat_map(|pass| {
            let same = |other: &&BackwardRequest| (other.to, other.means) == (back.to, back.means);
            let readings = |back| pass.gradients(back).div_ceil(at_once);
            let backs = pass.backs.iter().filter(same);
            backs.map(move |back| readings(back).saturating_mul(pass.times))
        });
        let all = each.fold(0, usize::saturating_add);
        all.saturating_mul(self.request.runs.max(1))
    }

    /// The parts of a dense layer's matrix that it reads forward.
    fn parts(&self, dense: &DenseAfter<'_>) -> MatrixParts {
        let texels = self.pass.images * blocks(dense.pooled.len());
        MatrixParts::new(self, dense.weight, texels)
    }

    /// The sums of a dense layer's matrix, divided by the target's positions, as the host makes them.
    fn host_sums(&mut self, dense: &DenseAfter<'_>) -> BufferId {
        let name = &self.network.node(dense.id).name;
        let parts = self.parts(dense);
        let of = parts.ranges();
        let of = of.map(|part| self.matrix_part(name, dense.weight, &parts, part));
        let sums = Sums {
            of: of.collect(),
            sums: PositionSums {
                layout: dense.layout,
                order: dense.order,
                channels: dense.pooled.c,
                positions: dense.pooled.h * dense.pooled.w,
            },
            size: dense.size(),
            scale: 1.0 / dense.positions as f32,
        };
        self.buffers.sums(&dense.label(self.network), sums)
    }

    /// The same, as the device makes them.
    fn prepared_sums(&mut self, dense: &DenseAfter<'_>) -> BufferId {
        let name = &self.network.node(dense.id).name;
        let [s_rows, s_columns] = dense.size();
        let label = dense.label(self.network);
        let (s, new) = self.buffers.prepared(&label, s_rows * s_columns / 4, false);
        if !new {
            return s;
        }
        let columns = dense.weight.shape()[1];
        let parts = self.parts(dense);
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
            let kernel = match self.request.matrices {
                StoredDtype::F32 => Kernel::LinearMeans,
                StoredDtype::F16 => Kernel::LinearMeansHalf,
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
