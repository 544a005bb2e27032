//! The device's own ceiling of memory traffic, for `gradcam bench`: a copy from one buffer to another.

use std::time::{Duration, Instant};

use super::{Gpu, GpuError};

/// Bytes of each buffer: larger than the caches of any GPU so far, smaller than any limit.
const BYTES: u64 = 128 << 20;
/// Copies are repeated until they take so long together.
const ENOUGH: Duration = Duration::from_millis(20);
/// Runs of each length; the best counts.
const RUNS: usize = 5;

impl Gpu {
    /// Bytes a second that a copy reads and writes, both counted.
    pub fn copy_rate(&self) -> Result<f64, GpuError> {
        let bytes = BYTES.min(self.limits.max_buffer_size);
        let [from, to] = ["copied from", "copied to"].map(|name| {
            self.buffer(&wgpu::BufferDescriptor {
                label: Some(name),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        let mut copies = 1_u32;
        loop {
            let mut took = Duration::MAX;
            for _ in 0..RUNS {
                let mut encoder = self.device.create_command_encoder(&Default::default());
                for _ in 0..copies {
                    encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes);
                }
                let commands = encoder.finish();
                let started = Instant::now();
                self.queue.submit([commands]);
                self.wait(|| "measuring a copy".into())?;
                // The first run also clears both buffers.
                took = took.min(started.elapsed());
            }
            if took >= ENOUGH {
                return Ok(2.0 * bytes as f64 * f64::from(copies) / took.as_secs_f64());
            }
            copies *= 2;
        }
    }
}
