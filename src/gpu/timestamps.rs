//! Timestamps that the device writes around each compute pass.

use std::time::Duration;

use super::held::Held;
use super::{Gpu, GpuError};

/// The device's time for one dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DispatchTime {
    /// From the end of the dispatch before it in the same phase: copies to images, barriers, the device at rest.
    pub before: Duration,
    /// From its begin to its end.
    pub kernel: Duration,
}

/// A begin and an end for each of so many passes.
pub(super) struct Timestamps<'a> {
    gpu: &'a Gpu,
    queries: wgpu::QuerySet,
    resolved: Held<wgpu::Buffer>,
}

impl<'a> Timestamps<'a> {
    /// `None` where the adapter has no timestamps.
    pub(super) fn new(gpu: &'a Gpu) -> Option<Self> {
        gpu.has_timestamps().then(|| Self {
            gpu,
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("times"),
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            }),
            resolved: gpu.buffer(&wgpu::BufferDescriptor {
                label: Some("times"),
                size: u64::from(wgpu::QUERY_SET_MAX_QUERIES) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
        })
    }

    /// Passes that one reading holds.
    pub(super) const PASSES: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

    /// What pass `index` writes.
    pub(super) fn around(&self, index: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = index as u32 * 2;
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// What pass `index` writes at its end alone, for [`Self::between_ends`].
    pub(super) fn after(&self, index: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: None,
            end_of_pass_write_index: Some(index as u32),
        }
    }

    /// From the end of pass 0 to that of pass `last`.
    pub(super) fn between_ends(&self, last: usize, doing: &str) -> Result<Duration, GpuError> {
        let ticks = self.ticks(last as u32 + 1, doing)?;
        Ok(self.between(ticks[0], ticks[last]))
    }

    /// The first `count` times written.
    fn ticks(&self, count: u32, doing: &str) -> Result<Vec<u64>, GpuError> {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        self.gpu.queue.submit([encoder.finish()]);
        let doing = || format!("timing {doing}");
        self.gpu
            .read_back((&self.resolved, 0), u64::from(count) * 8, doing)
    }

    fn between(&self, from: u64, to: u64) -> Duration {
        let nanoseconds = f64::from(self.gpu.queue.get_timestamp_period());
        // Some drivers let a begin overtake the end before it.
        Duration::from_nanos((to.saturating_sub(from) as f64 * nanoseconds) as u64)
    }

    /// The times of the first `passes` passes, when they are done.
    pub(super) fn read(&self, passes: usize, doing: &str) -> Result<Vec<DispatchTime>, GpuError> {
        let ticks = self.ticks(passes as u32 * 2, doing)?;
        let mut last_end = ticks.first().copied();
        let times = ticks.chunks_exact(2).map(|pass| {
            let before = self.between(last_end.replace(pass[1]).unwrap_or(pass[0]), pass[0]);
            DispatchTime {
                before,
                kernel: self.between(pass[0], pass[1]),
            }
        });
        Ok(times.collect())
    }
}
