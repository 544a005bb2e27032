//! Values that are too large for float16: found in a word for each dispatch, where its kernel leaves the largest of them.

use super::held::Held;
use super::pipelines::tells_overflow;
use super::{Gpu, GpuError};
use crate::plan::{Dispatch, Plan};

/// The words of a phase, each at the beginning of a part of a buffer.
pub(super) struct Overflow {
    words: Held<wgpu::Buffer>,
    /// Bytes from one to the next.
    stride: usize,
}

impl Overflow {
    /// Of a phase's dispatches; none where none of them stores float16.
    pub(super) fn new(gpu: &Gpu, plan: &Plan, dispatches: &[Dispatch]) -> Option<Self> {
        let tells = |it: &Dispatch| tells_overflow((it.kernel, plan.halves(it))).is_some();
        if !dispatches.iter().any(tells) {
            return None;
        }
        let stride = gpu.limits.min_storage_buffer_offset_alignment as usize;
        let words = gpu.buffer(&wgpu::BufferDescriptor {
            label: Some("values that are too large"),
            size: (stride * dispatches.len()) as u64,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Some(Self { words, stride })
    }

    /// The word of dispatch number `at`.
    pub(super) fn word(&self, at: usize) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer: &self.words,
            offset: (at * self.stride) as u64,
            size: wgpu::BufferSize::new(4),
        }
    }

    /// Forgets what was found.
    pub(super) fn clear(&self, gpu: &Gpu) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(&self.words, 0, None);
        gpu.queue.submit([encoder.finish()]);
    }

    /// Waits for the phase, and refuses its results where a value was too large: the first dispatch that met one is named.
    pub(super) fn check(&self, gpu: &Gpu, dispatches: &[Dispatch]) -> Result<(), GpuError> {
        let doing = || "looking for values that are too large".into();
        let size = self.words.size();
        let words: Vec<f32> = gpu.read_back((&self.words, 0), size, doing)?;
        let largest = words.iter().step_by(self.stride / 4);
        let mut found = largest.zip(dispatches).filter(|(value, _)| **value > 0.0);
        match found.next() {
            None => Ok(()),
            Some((&value, dispatch)) => Err(GpuError::Overflow {
                layer: dispatch.label.clone(),
                value,
            }),
        }
    }
}
