//! The way to the device's memory for much at once: memory that is mapped, filled, copied from and mapped again.
//!
//! The queue's own staging memory is new for each write, and where the device's memory is the host's its pages take longer to
//! make than to fill. With two chunks in turn one is filled while the device copies the other.

use wgpu::util::StagingBelt;

use super::held::Held;
use super::memory::Memory;
use super::texels::{PITCH, copy_rows, row_bytes};
use super::{Fault, Gpu, GpuError};

/// Writes on their way, all of them done after [`Staging::finish`].
pub(super) struct Staging<'a> {
    gpu: &'a Gpu,
    /// Bytes of a chunk.
    chunk: usize,
    belt: StagingBelt,
    /// The belt's memory, which it keeps to itself, so that it counts.
    chunks: Vec<Held<wgpu::Buffer>>,
    encoder: wgpu::CommandEncoder,
    /// Bytes of the chunk that is being filled.
    filled: usize,
    /// The copies from the chunk before.
    copying: Option<wgpu::SubmissionIndex>,
}

impl<'a> Staging<'a> {
    /// Through chunks of so many bytes, at least what lies in a row of an image that is written.
    pub(super) fn new(gpu: &'a Gpu, chunk: u64) -> Self {
        Self {
            gpu,
            chunk: chunk as usize,
            belt: StagingBelt::new(gpu.device.clone(), chunk),
            chunks: vec![],
            encoder: gpu.device.create_command_encoder(&Default::default()),
            filled: 0,
            copying: None,
        }
    }

    /// Writes `bytes` from the byte `offset` on, in an image whole rows; `doing` names the work in errors.
    pub(super) fn write(
        &mut self,
        target: &Memory,
        offset: usize,
        bytes: &[u8],
        doing: impl Fn() -> String,
    ) -> Result<(), GpuError> {
        let most = match target {
            Memory::Buffer(_) => self.chunk,
            Memory::Image(image) => {
                let row = row_bytes(image);
                self.chunk / row.next_multiple_of(PITCH) * row
            }
            Memory::Gone => unreachable!("nothing is written to what was given back"),
        };
        for (i, piece) in bytes.chunks(most).enumerate() {
            self.write_piece(target, offset + i * most, piece, &doing)?;
        }
        Ok(())
    }

    /// [`Staging::write`] of what one chunk holds.
    fn write_piece(
        &mut self,
        target: &Memory,
        offset: usize,
        bytes: &[u8],
        doing: &impl Fn() -> String,
    ) -> Result<(), GpuError> {
        let row = match target {
            Memory::Image(image) => row_bytes(image),
            Memory::Buffer(_) | Memory::Gone => bytes.len(),
        };
        let (rows, pitch) = (bytes.len() / row, row.next_multiple_of(PITCH));
        if self.filled > 0 && self.filled + rows * pitch > self.chunk {
            self.send(doing)?;
        }
        self.filled = (self.filled + rows * pitch).next_multiple_of(PITCH);
        let size = |bytes: usize| wgpu::BufferSize::new(bytes as u64).expect("a row is not empty");
        let slice = self.belt.allocate(size(rows * pitch), size(PITCH));
        let (from, at) = (slice.buffer(), slice.offset());
        if !self.chunks.iter().any(|chunk| **chunk == *from) {
            self.chunks.push(self.gpu.hold(from.clone(), from.size()));
        }
        let encoder = &mut self.encoder;
        if let Memory::Image(image) = target {
            copy_rows(encoder, (from, at), (image, offset / row), rows);
        } else {
            let (to, len) = (target.buffer(), bytes.len() as u64);
            encoder.copy_buffer_to_buffer(from, at, to, offset as u64, len);
        }
        let mut mapped = match slice.get_mapped_range_mut() {
            Ok(mapped) => mapped,
            Err(error) => {
                // That there was no memory for it says more.
                self.gpu.check(doing)?;
                return Err(GpuError::Fault {
                    adapter: self.gpu.info.name.clone(),
                    fault: Fault::Internal(error.to_string()),
                    doing: doing(),
                });
            }
        };
        match row == pitch {
            true => mapped.copy_from_slice(bytes),
            false => {
                for (i, values) in bytes.chunks_exact(row).enumerate() {
                    let at = i * pitch;
                    mapped.slice(at..at + row).copy_from_slice(values);
                }
            }
        }
        Ok(())
    }

    /// Has the device copy what is staged, and waits until it has copied the chunk before, which is the next to fill.
    fn send(&mut self, doing: &impl Fn() -> String) -> Result<(), GpuError> {
        let next = self.gpu.device.create_command_encoder(&Default::default());
        let filled = std::mem::replace(&mut self.encoder, next);
        self.belt.finish();
        let sent = self.gpu.queue.submit([filled.finish()]);
        self.belt.recall();
        self.filled = 0;
        match self.copying.replace(sent) {
            Some(before) => self.gpu.wait_for(Some(before), doing),
            None => self.gpu.check(doing),
        }
    }

    /// Waits until all is written, and gives the memory back.
    pub(super) fn finish(mut self, doing: impl Fn() -> String) -> Result<(), GpuError> {
        self.send(&doing)?;
        self.gpu.wait(doing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Selection;
    use crate::plan::STAGED;

    fn doing() -> String {
        "testing".into()
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    #[test]
    fn what_is_written_in_pieces_smaller_and_larger_than_a_chunk_arrives() {
        let gpu = Gpu::open(&Selection::default()).unwrap();
        let expected = bytes(3 * STAGED);
        let buffer = gpu.buffer(&wgpu::BufferDescriptor {
            label: None,
            size: expected.len() as u64,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let target = Memory::Buffer(buffer.clone());
        let mut staging = Staging::new(&gpu, STAGED as u64);
        let mut offset = 0;
        let sizes = [4, STAGED / 3 * 2 / 4 * 4, STAGED / 2, STAGED + 4, 16];
        for size in sizes
            .into_iter()
            .chain([expected.len() - sizes.iter().sum::<usize>()])
        {
            let piece = &expected[offset..offset + size];
            staging.write(&target, offset, piece, doing).unwrap();
            offset += size;
        }
        staging.finish(doing).unwrap();
        let found: Vec<u8> = gpu
            .read_back((&buffer, 0), expected.len() as u64, doing)
            .unwrap();
        assert!(found == expected);
    }

    #[test]
    fn rows_of_an_image_arrive_whatever_their_length() {
        let gpu = Gpu::open(&Selection::default()).unwrap();
        for (width, rows) in [(3, 5), (16, 4), (17, 3)] {
            let row = width * 16;
            let expected = bytes(rows * row);
            let image = gpu.image(&wgpu::TextureDescriptor {
                label: None,
                size: wgpu::Extent3d {
                    width: width as u32,
                    height: rows as u32,
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: crate::gpu::texels::TEXEL,
                usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
                view_formats: &[],
            });
            let target = Memory::Image(image.clone());
            let mut staging = Staging::new(&gpu, STAGED as u64);
            let (first, rest) = expected.split_at(row);
            staging.write(&target, row, rest, doing).unwrap();
            staging.write(&target, 0, first, doing).unwrap();
            staging.finish(doing).unwrap();
            let pitch = row.next_multiple_of(PITCH);
            let buffer = gpu.buffer(&wgpu::BufferDescriptor {
                label: None,
                size: (rows * pitch) as u64,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let layout = wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(pitch as u32),
                rows_per_image: None,
            };
            let to = wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout,
            };
            encoder.copy_texture_to_buffer(image.as_image_copy(), to, image.size());
            gpu.queue.submit([encoder.finish()]);
            let found: Vec<u8> = gpu.read_back((&buffer, 0), buffer.size(), doing).unwrap();
            let found: Vec<u8> = found
                .chunks_exact(pitch)
                .flat_map(|padded| padded[..row].to_vec())
                .collect();
            assert!(found == expected, "{width} x {rows}");
        }
    }
}
