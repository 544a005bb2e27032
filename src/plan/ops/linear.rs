//! A linear layer or its input gradient: which kernel, and in how many parts.

use std::ops::Range;

use super::end::End;
use super::grid;
use crate::kernels::{
    Epilogue, Kernel, LINEAR_BATCH, LINEAR_COLUMNS_MANY, LINEAR_COLUMNS_SEGMENT,
    LINEAR_COLUMNS_TILE, LINEAR_MANY, LinearColumnsParams, LinearRowsParams, MATRIX_IMAGE,
};
use crate::layout::{Direction, blocks};
use crate::network::MatrixLayout;
use crate::plan::buffers::image_rows;
use crate::plan::builder::Builder;
use crate::plan::{BufferId, CopyToImage, ImageUse, Packing, StoredDtype};
use crate::weights::Tensor;

/// A linear layer in either direction: y is made from x.
pub(super) struct Linear<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) weight: &'a Tensor,
    pub(super) layout: MatrixLayout,
    pub(super) direction: Direction,
    pub(super) n: usize,
    pub(super) x: BufferId,
    pub(super) y: BufferId,
    pub(super) end: End,
}

/// A matrix as it lies on the device, in parts of whole rows that one binding or image holds.
pub(super) struct MatrixParts {
    pub(super) through_image: bool,
    rows: usize,
    rows_at_once: usize,
    /// Elements of 16 bytes in a row.
    row_elements: usize,
}

impl MatrixParts {
    /// Of a matrix whose products are with `texels` of input.
    pub(super) fn new(builder: &Builder<'_>, weight: &Tensor, texels: usize) -> Self {
        let &[rows, columns] = weight.shape() else {
            unreachable!("the network checked the shape")
        };
        let most_rows = builder.limits.image_rows();
        let row_elements = columns.div_ceil(builder.request.matrices.columns());
        let through_image = image_rows(texels) <= most_rows && row_elements <= most_rows;
        let row_bytes = row_elements as u64 * 16;
        let rows_at_once = match through_image {
            true => most_rows.min((MATRIX_IMAGE as u64 / row_bytes) as usize) / 4 * 4,
            false => (builder.limits.tensor() / row_bytes) as usize / 4 * 4,
        };
        Self {
            through_image,
            rows,
            rows_at_once: rows_at_once.clamp(4, rows.next_multiple_of(4)),
            row_elements,
        }
    }

    /// The rows of each part.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, at_once) = (self.rows, self.rows_at_once);
        let firsts = (0..rows).step_by(at_once);
        firsts.map(move |first| first..rows.min(first + at_once))
    }
}

/// The product with one part of a matrix, as the kernels take it.
pub(super) struct Product<'a> {
    pub(super) label: &'a str,
    /// Whether y has a value a row, else one a column.
    pub(super) along_rows: bool,
    pub(super) through_image: bool,
    pub(super) dtype: StoredDtype,
    pub(super) n: usize,
    /// Of the whole matrix.
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) part: Range<usize>,
    pub(super) m: BufferId,
    pub(super) x: BufferId,
    pub(super) y: BufferId,
    pub(super) end: End,
}

impl Builder<'_> {
    /// y = W x or dx = W^T dy. The matrix stays as its file has it: a product that runs along its rows is a dot product
    /// a row, the other a weighted sum of rows. A matrix larger than one binding goes in parts of whole rows.
    pub(super) fn linear(&mut self, call: &Linear<'_>) {
        let &Linear { weight, n, x, .. } = call;
        let &[rows, columns] = weight.shape() else {
            unreachable!("the network checked the shape")
        };
        let along_rows =
            (call.layout == MatrixLayout::OutIn) == (call.direction == Direction::Forward);
        let texels = n * blocks(if along_rows { columns } else { rows });
        let parts = MatrixParts::new(self, weight, texels);
        let copy = parts.through_image.then(|| CopyToImage {
            from: x,
            to: self.buffers.image(ImageUse::Input, texels),
            texels,
        });
        for part in parts.ranges() {
            let first = part.start;
            let m = self.matrix_part(call.name, weight, &parts, part.clone());
            self.product(&Product {
                label: call.label,
                along_rows,
                through_image: parts.through_image,
                dtype: self.request.matrices,
                n,
                rows,
                columns,
                part,
                m,
                x: copy.map_or(x, |copy| copy.to),
                y: call.y,
                end: call.end,
            });
            // The parts after the first find the image as it left it.
            self.copy_before_last(copy.filter(|_| first == 0));
        }
    }

    /// The buffer or image of a part of a layer's matrix.
    pub(super) fn matrix_part(
        &mut self,
        layer: &str,
        weight: &Tensor,
        parts: &MatrixParts,
        part: Range<usize>,
    ) -> BufferId {
        let values = blocks(part.len()) * 4 * parts.row_elements * 4;
        let packing = match parts.through_image {
            true => Packing::TexelRows(part, self.request.matrices),
            false => Packing::Rows(part, self.request.matrices),
        };
        self.buffers
            .weights(format!("{layer} weights"), values, weight, packing)
    }

    /// Records the product with one part.
    pub(super) fn product(&mut self, it: &Product<'_>) {
        match it.along_rows {
            true => self.product_along_rows(it),
            false => self.product_along_columns(it),
        }
    }

    fn product_along_rows(&mut self, it: &Product<'_>) {
        let rows = blocks(it.part.len()) as u32;
        let params = LinearRowsParams {
            n: it.n as u32,
            rows,
            columns: blocks(it.columns) as u32,
            first_row: (it.part.start / 4) as u32,
            y_columns: blocks(it.rows) as u32,
            epilogue: it.end.epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: it.end.bounds,
        };
        let (kernel, batch) = match (it.through_image, it.dtype) {
            (true, StoredDtype::F32) if it.is_many() => (Kernel::LinearRowsMany, LINEAR_MANY),
            (true, StoredDtype::F16) if it.is_many() => (Kernel::LinearRowsManyHalf, LINEAR_MANY),
            (true, StoredDtype::F32) => (Kernel::LinearRowsSubgroup, LINEAR_BATCH),
            (true, StoredDtype::F16) => (Kernel::LinearRowsSubgroupHalf, LINEAR_BATCH),
            (false, StoredDtype::F32) => (Kernel::LinearRows, LINEAR_BATCH),
            (false, StoredDtype::F16) => (Kernel::LinearRowsHalf, LINEAR_BATCH),
        };
        let [gx, gy, _] = grid(rows, self.limits.workgroups);
        let workgroups = [params.n.div_ceil(batch), gx, gy];
        let (buffers, work) = (it.buffers(), it.multiply_adds());
        self.dispatch(kernel, it.label, &params, buffers, workgroups, work);
    }

    fn product_along_columns(&mut self, it: &Product<'_>) {
        let is_last = it.part.end == it.rows;
        let epilogue = if is_last {
            it.end.epilogue
        } else {
            Epilogue::None
        };
        let params = LinearColumnsParams {
            n: it.n as u32,
            rows: blocks(it.part.len()) as u32,
            columns: blocks(it.columns) as u32,
            first_row: (it.part.start / 4) as u32,
            x_columns: blocks(it.rows) as u32,
            accumulate: u32::from(it.part.start > 0),
            epilogue: epilogue as u32,
            sharing: self.pass.sharing as u32,
            bounds: it.end.bounds,
        };
        let kernel = match (it.through_image, it.dtype) {
            (true, StoredDtype::F32) if it.is_many() => Kernel::LinearColumnsMany,
            (true, StoredDtype::F16) if it.is_many() => Kernel::LinearColumnsManyHalf,
            (true, StoredDtype::F32) => Kernel::LinearColumnsSubgroup,
            (true, StoredDtype::F16) => Kernel::LinearColumnsSubgroupHalf,
            (false, StoredDtype::F32) => Kernel::LinearColumns,
            (false, StoredDtype::F16) => Kernel::LinearColumnsHalf,
        };
        let width = self.limits.subgroup();
        let [columns_at_once, batch] = match it.through_image {
            true if it.is_many() => [LINEAR_COLUMNS_MANY * width, LINEAR_MANY],
            true => [LINEAR_COLUMNS_SEGMENT, 1],
            false => [LINEAR_COLUMNS_TILE, LINEAR_BATCH],
        };
        let groups = params.columns.div_ceil(columns_at_once);
        let workgroups = [params.n.div_ceil(batch), groups, 1];
        let (buffers, work) = (it.buffers(), it.multiply_adds());
        self.dispatch(kernel, it.label, &params, buffers, workgroups, work);
    }
}

impl Product<'_> {
    /// Whether the kernels for ten at once are faster, however many of the ten are idle.
    fn is_many(&self) -> bool {
        self.n as u32 > LINEAR_BATCH
    }

    fn buffers(&self) -> Vec<BufferId> {
        vec![self.x, self.m, self.end.extra, self.y]
    }

    fn multiply_adds(&self) -> u64 {
        self.n as u64 * self.part.len() as u64 * self.columns as u64
    }
}
