//! From the device's memory to the host's.

use super::{Fault, Gpu, GpuError};

impl Gpu {
    /// Reads `bytes` bytes of a buffer from `offset` on when all that was submitted is done; `doing` names the work in errors.
    pub(super) fn read_back<T: bytemuck::Pod>(
        &self,
        (buffer, offset): (&wgpu::Buffer, u64),
        bytes: u64,
        doing: impl Fn() -> String,
    ) -> Result<Vec<T>, GpuError> {
        let staging = self.buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: bytes,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        self.check(&doing)?;
        let (sender, receiver) = std::sync::mpsc::channel();
        staging
            .slice(..)
            .map_async(wgpu::MapMode::Read, move |result| {
                // The receiver is gone only when this call has already failed.
                let _ = sender.send(result);
            });
        self.wait(&doing)?;
        let failed = |reason: String| GpuError::Fault {
            adapter: self.info.name.clone(),
            fault: Fault::Internal(reason),
            doing: doing(),
        };
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let view = staging.slice(..).get_mapped_range();
        let view = view.map_err(|error| failed(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}
