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
        let features = gpu.device.features();
        features
            .contains(wgpu::Features::TIMESTAMP_QUERY)
            .then(|| Self {
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

    /// The times of the first `passes` passes, when they are done.
    pub(super) fn read(&self, passes: usize, doing: &str) -> Result<Vec<DispatchTime>, GpuError> {
        let count = passes as u32 * 2;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        self.gpu.queue.submit([encoder.finish()]);
        let doing = || format!("timing {doing}");
        let ticks: Vec<u64> =
            self.gpu
                .read_back((&self.resolved, 0), u64::from(count) * 8, doing)?;
        let nanoseconds = f64::from(self.gpu.queue.get_timestamp_period());
        let between = |from: u64, to: u64| {
            // Some drivers let a begin overtake the end before it.
            Duration::from_nanos((to.saturating_sub(from) as f64 * nanoseconds) as u64)
        };
        let mut last_end = ticks.first().copied();
        let times = ticks.chunks_exact(2).map(|pass| {
            let before = between(last_end.replace(pass[1]).unwrap_or(pass[0]), pass[0]);
            DispatchTime {
                before,
                kernel: between(pass[0], pass[1]),
            }
        });
        Ok(times.collect())
    }
}
