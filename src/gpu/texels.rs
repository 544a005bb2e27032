//! Images that kernels of the software adapter read through: of float32 or float16 texels in whole rows, the first one zero; and of
//! matrices, a row of texels for each of theirs.

use crate::kernels::IMAGE_ROW;

/// What an image holds: four float32, or eight float16 of a matrix as the bits of four.
pub(super) const TEXEL: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;
/// The same in float16.
pub(super) const HALF_TEXEL: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
/// Rows to be copied to an image begin at multiples of this in their buffer.
pub(super) const PITCH: usize = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize;

/// [`crate::plan::CopyToImage`], ready to encode.
pub(super) struct ImageCopy {
    pub(super) from: wgpu::Buffer,
    /// Bytes before it there.
    pub(super) offset: u64,
    pub(super) to: wgpu::Texture,
    pub(super) texels: u32,
}

/// Bytes of a texel.
pub(super) fn texel_bytes(format: wgpu::TextureFormat) -> u32 {
    match format {
        HALF_TEXEL => 8,
        _ => 16,
    }
}

/// Whole rows of an image.
pub(super) fn extent(rows: u32) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width: IMAGE_ROW as u32,
        height: rows,
        depth_or_array_layers: 1,
    }
}

/// Rows of so many bytes, one after the other.
fn rows_at(offset: u64, row_bytes: usize) -> wgpu::TexelCopyBufferLayout {
    wgpu::TexelCopyBufferLayout {
        offset,
        bytes_per_row: Some(row_bytes as u32),
        rows_per_image: None,
    }
}

fn at_row(image: &wgpu::Texture, row: u32) -> wgpu::TexelCopyTextureInfo<'_> {
    wgpu::TexelCopyTextureInfo {
        texture: image,
        mip_level: 0,
        origin: wgpu::Origin3d { x: 0, y: row, z: 0 },
        aspect: wgpu::TextureAspect::All,
    }
}

/// Bytes of an image's row.
pub(super) fn row_bytes(image: &wgpu::Texture) -> usize {
    image.width() as usize * texel_bytes(image.format()) as usize
}

/// Copies rows that begin at the byte `from` of a buffer, at multiples of [`PITCH`] each, to an image from a row on.
pub(super) fn copy_rows(
    encoder: &mut wgpu::CommandEncoder,
    (buffer, from): (&wgpu::Buffer, u64),
    (image, first_row): (&wgpu::Texture, usize),
    rows: usize,
) {
    let pitch = row_bytes(image).next_multiple_of(PITCH);
    let source = wgpu::TexelCopyBufferInfo {
        buffer,
        layout: rows_at(from, pitch),
    };
    let size = wgpu::Extent3d {
        width: image.width(),
        ..extent(rows as u32)
    };
    encoder.copy_buffer_to_texture(source, at_row(image, first_row as u32), size);
}

impl ImageCopy {
    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let row = IMAGE_ROW as u32;
        let bytes = row_bytes(&self.to);
        let (rows, rest) = (self.texels / row, self.texels % row);
        let mut copy = |from_row: u32, size: wgpu::Extent3d| {
            let source = wgpu::TexelCopyBufferInfo {
                buffer: &self.from,
                layout: rows_at(self.offset + u64::from(from_row) * bytes as u64, bytes),
            };
            encoder.copy_buffer_to_texture(source, at_row(&self.to, 1 + from_row), size);
        };
        if rows > 0 {
            copy(0, extent(rows));
        }
        if rest > 0 {
            let size = wgpu::Extent3d {
                width: rest,
                ..extent(1)
            };
            copy(rows, size);
        }
    }
}
