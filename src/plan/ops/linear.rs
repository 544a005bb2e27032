//! A linear layer or its input gradient: which kernel, and in how many parts.

use super::end::End;
use super::grid;
use crate::kernels::{
    Epilogue, Kernel, LINEAR_BATCH, LINEAR_COLUMNS_SUBGROUP_TILE, LINEAR_COLUMNS_TILE,
    LinearColumnsParams, LinearRowsParams,
};
use crate::layout::{Direction, blocks};
use crate::network::MatrixLayout;
use crate::plan::builder::{Builder, image_rows};
use crate::plan::{BufferId, CopyToImage, ImageUse, MatrixDtype, Packing};
use crate::weights::Tensor;

/// Bytes of a matrix in one image: written at once, so that nothing clears it first.
const IMAGE_PART: u64 = 32 << 20;

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

impl Builder<'_> {
    /// y = W x or dx = W^T dy. The matrix stays as its file has it: a product that runs along its rows is a dot product
    /// a row, the other a weighted sum of rows. A matrix larger than one binding goes in parts of whole rows.
    pub(super) fn linear(&mut self, call: &Linear<'_>) {
        let &Linear {
            label,
            weight,
            n,
            x,
            y,
            end,
            ..
        } = call;
        let &[rows, columns] = weight.shape() else {
            unreachable!("the network checked the shape")
        };
        let along_rows =
            (call.layout == MatrixLayout::OutIn) == (call.direction == Direction::Forward);
        let texels = n * blocks(if along_rows { columns } else { rows });
        let most_rows = self.limits.image_rows();
        let dtype = self.matrices;
        let row_elements = columns.div_ceil(dtype.columns());
        let through_image = image_rows(texels) <= most_rows && row_elements <= most_rows;
        let row_bytes = row_elements as u64 * 16;
        let rows_at_once = match through_image {
            true => most_rows.min((IMAGE_PART / row_bytes) as usize) / 4 * 4,
            false => (self.limits.tensor() / row_bytes) as usize / 4 * 4,
        };
        let rows_at_once = rows_at_once.clamp(4, rows.next_multiple_of(4));
        let copy = through_image.then(|| CopyToImage {
            from: x,
            to: self.image(ImageUse::Input, texels),
            texels,
        });
        for first in (0..rows).step_by(rows_at_once) {
            let part = first..rows.min(first + rows_at_once);
            let part_rows = blocks(part.len()) as u32;
            let packing = match through_image {
                true => Packing::TexelRows(part.clone(), dtype),
                false => Packing::Rows(part.clone(), dtype),
            };
            let m = self.weights(
                format!("{} weights", call.name),
                blocks(part.len()) * 4 * row_elements * 4,
                weight,
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
                let kernel = match (through_image, dtype) {
                    (true, MatrixDtype::F32) => Kernel::LinearRowsSubgroup,
                    (true, MatrixDtype::F16) => Kernel::LinearRowsSubgroupHalf,
                    (false, MatrixDtype::F32) => Kernel::LinearRows,
                    (false, MatrixDtype::F16) => Kernel::LinearRowsHalf,
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
                let kernel = match (through_image, dtype) {
                    (true, MatrixDtype::F32) => Kernel::LinearColumnsSubgroup,
                    (true, MatrixDtype::F16) => Kernel::LinearColumnsSubgroupHalf,
                    (false, MatrixDtype::F32) => Kernel::LinearColumns,
                    (false, MatrixDtype::F16) => Kernel::LinearColumnsHalf,
                };
                let [columns_at_once, batch] = match through_image {
                    true => LINEAR_COLUMNS_SUBGROUP_TILE,
                    false => [LINEAR_COLUMNS_TILE, LINEAR_BATCH],
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
