//! Memory of the device for the buffers of a plan.

use super::held::Held;
use super::texels::{HALF_TEXEL, TEXEL, extent, texel_bytes};
use super::{Gpu, GpuError};
use crate::plan::{Contents, Plan};

/// What is behind a buffer of the plan.
#[derive(Clone)]
pub(super) enum Memory {
    Buffer(Held<wgpu::Buffer>),
    Image(Held<wgpu::Texture>),
    /// Read by the preparation alone, and given back after it.
    Gone,
}

impl Memory {
    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        match self {
            Self::Buffer(buffer) => buffer,
            Self::Image(_) | Self::Gone => {
                unreachable!("the plan copies from and reads back buffers alone")
            }
        }
    }

    pub(super) fn image(&self) -> &wgpu::Texture {
        match self {
            Self::Image(image) => image,
            Self::Buffer(_) | Self::Gone => unreachable!("the plan copies to images alone"),
        }
    }
}

/// Memory for the plan's buffers, where parts have that of the whole: one buffer a slot, one buffer or image a weight tensor.
pub(super) fn allocate(gpu: &Gpu, plan: &Plan) -> Result<Vec<Memory>, GpuError> {
    let buffer = |name: &str, size: u64| {
        let buffer = gpu.buffer(&wgpu::BufferDescriptor {
            label: Some(name),
            size: size.next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        gpu.check(|| format!("allocating {size} bytes for {name}"))?;
        Ok(Memory::Buffer(buffer))
    };
    // Mesa 25 makes and caches code for each texture that may be sampled: none where none is.
    let sampled = match gpu.samples() {
        true => wgpu::TextureUsages::TEXTURE_BINDING,
        false => wgpu::TextureUsages::empty(),
    };
    let usage = wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST | sampled;
    let image = |name: &str, size: u64, columns: usize, format| {
        let image = gpu.image(&wgpu::TextureDescriptor {
            label: Some(name),
            size: wgpu::Extent3d {
                width: columns as u32,
                ..extent((size / (columns as u64 * u64::from(texel_bytes(format)))) as u32)
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        });
        gpu.check(|| format!("allocating {size} bytes for {name}"))?;
        Ok(Memory::Image(image))
    };
    let slots: Vec<Memory> = plan
        .slots
        .iter()
        .map(|&bytes| buffer("activations", bytes))
        .collect::<Result<_, _>>()?;
    let mut memory: Vec<Memory> = vec![];
    for planned in &plan.buffers {
        let made = match (&planned.contents, planned.image_columns()) {
            (Contents::Scratch { slot }, _) => slots[*slot].clone(),
            (Contents::Part { of, .. }, _) => memory[of.0].clone(),
            (_, Some(columns)) => {
                let format = match planned.half && !planned.is_matrix() {
                    true => HALF_TEXEL,
                    false => TEXEL,
                };
                image(&planned.name, planned.bytes, columns, format)?
            }
            (_, None) => buffer(&planned.name, planned.bytes)?,
        };
        memory.push(made);
    }
    Ok(memory)
}
