//! Images of float32 texels, which convolutions of the software adapter read through: whole rows, the first one zero.

use crate::kernels::IMAGE_ROW;

/// What an image holds: four float32.
pub(super) const TEXEL: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;
/// What an image of a matrix holds: four float32 or eight float16, as words.
pub(super) const WORDS: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Uint;
/// Bytes of an image's row.
pub(super) const IMAGE_ROW_BYTES: usize = IMAGE_ROW * 16;

/// [`crate::plan::CopyToImage`], ready to encode.
pub(super) struct ImageCopy {
    pub(super) from: wgpu::Buffer,
    pub(super) to: wgpu::Texture,
    pub(super) texels: u32,
}

/// Whole rows of an image.
pub(super) fn extent(rows: u32) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width: IMAGE_ROW as u32,
        height: rows,
        depth_or_array_layers: 1,
    }
}

/// Rows of texels, one after the other.
fn rows_of_texels(offset: u64) -> wgpu::TexelCopyBufferLayout {
    wgpu::TexelCopyBufferLayout {
        offset,
        bytes_per_row: Some(IMAGE_ROW_BYTES as u32),
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

/// Writes whole rows of an image from `first_row` on.
pub(super) fn write_image(
    queue: &wgpu::Queue,
    image: &wgpu::Texture,
    first_row: u32,
    bytes: &[u8],
) {
    let row_bytes = image.width() * 16;
    let rows = (bytes.len() / row_bytes as usize) as u32;
    queue.write_texture(
        at_row(image, first_row),
        bytes,
        wgpu::TexelCopyBufferLayout {
            bytes_per_row: Some(row_bytes),
            ..rows_of_texels(0)
        },
        wgpu::Extent3d {
            width: image.width(),
            ..extent(rows)
        },
    );
}

impl ImageCopy {
    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let row = IMAGE_ROW as u32;
        let (rows, rest) = (self.texels / row, self.texels % row);
        let mut copy = |from_row: u32, size: wgpu::Extent3d| {
            let source = wgpu::TexelCopyBufferInfo {
                buffer: &self.from,
                layout: rows_of_texels(u64::from(from_row) * IMAGE_ROW_BYTES as u64),
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
