//! Whether what a driver makes of subgroups is right, and how fast its shuffles are.
//!
//! Mesa 25 with LLVM 19 gives wrong values in vectors of 512 bits: a small kernel is held against the host before any other runs. A
//! shuffle from a literal lane becomes one instruction, or goes through all lanes one by one, and that differs by the driver's version
//! and by the width of its vectors.

use std::time::{Duration, Instant};

/// Times of a dispatch, of which the least counts: others may use the machine meanwhile.
const TIMES: usize = 9;
const WORKGROUPS: u32 = 256;
/// Texels in the image.
const TEXELS: u32 = 64;
/// Turns of the kernel's loop.
const TURNS: u32 = 48;

/// Sums in a loop, of what eight shuffles or eight loads give, as in the inner loop of `winograd_product_subgroup.wgsl`.
const SOURCE: &str = "
override SUBGROUP: u32;
override SHUFFLED: bool;
override TURNS: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
fn hand(loaded: vec4<f32>, lane: u32, at: u32) -> vec4<f32> {
    if SHUFFLED {
        return subgroupShuffle(loaded, lane);
    }
    return textureLoad(x, vec2<u32>(at, 0u));
}
@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>) {
    var sum = vec4<f32>();
    for (var k = 0u; k < TURNS; k++) {
        let loaded = textureLoad(x, vec2<u32>(k + local.x, 0u));
        sum += loaded;
        sum += hand(loaded, 0u, k) + hand(loaded, 1u, k + 1u) + hand(loaded, 2u, k + 2u);
        sum += hand(loaded, 3u, k + 3u) - hand(loaded, 0u, k + 4u) - hand(loaded, 1u, k + 5u);
        sum -= hand(loaded, 2u, k + 6u) * hand(loaded, 3u, k + 7u);
    }
    y[local.x] = sum;
}";

/// A value of the image, four channels of which are small whole numbers: sums of their products are exact in float32.
fn texel(at: u32) -> [f32; 4] {
    [at % 7, at % 5 + 1, at % 3, (at * at) % 11].map(|v| v as f32)
}

/// What the kernel gives in a lane.
fn expected(lane: u32, shuffled: bool) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for k in 0..TURNS {
        // The place that value `j` is loaded from, or that the lane of number `j % 4` has loaded.
        let at = |j: u32| texel(k + if shuffled { j % 4 } else { j });
        for (c, sum) in sum.iter_mut().enumerate() {
            let value = |j: u32| at(j)[c];
            *sum += texel(k + lane)[c] + value(0) + value(1) + value(2);
            *sum += value(3) - value(4) - value(5);
            *sum -= value(6) * value(7);
        }
    }
    sum
}

/// Whether the kernel gave these values, four a lane.
fn are_right(values: &[f32], shuffled: bool) -> bool {
    let mut lanes = values.chunks_exact(4).zip(0..);
    lanes.all(|(values, lane)| values == expected(lane, shuffled))
}

/// The kernel, its image filled, and where its results go.
struct Trial<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    y: wgpu::Buffer,
}

/// What a driver makes of subgroups of `width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shuffles {
    /// Right, and no slower than loads from an image.
    Fast,
    /// Right, and slower.
    Slow,
    /// Their values, or those of loads from an image, are wrong.
    Wrong,
}

/// Holds shuffles and loads against the host, and against each other in time. Subgroups of 8 are those for which drivers have an
/// instruction of the processor, and need no measurement.
pub(super) fn tried(device: &wgpu::Device, queue: &wgpu::Queue, width: u32) -> Shuffles {
    let [shuffled, loaded] =
        [true, false].map(|shuffled| Trial::new(device, queue, width, shuffled));
    let is_right = |trial: &Trial<'_>, shuffled| {
        trial.run();
        // A device that fails tells it by the first work that follows.
        trial
            .values()
            .is_none_or(|values| are_right(&values, shuffled))
    };
    if !is_right(&shuffled, true) || !is_right(&loaded, false) {
        return Shuffles::Wrong;
    }
    match width == 8 || shuffled.time() <= loaded.time() {
        true => Shuffles::Fast,
        false => Shuffles::Slow,
    }
}

impl<'a> Trial<'a> {
    fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue, width: u32, shuffled: bool) -> Self {
        let label = Some("a trial of subgroups");
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
        });
        let constants = [
            ("SUBGROUP", f64::from(width)),
            ("SHUFFLED", f64::from(u8::from(shuffled))),
            ("TURNS", f64::from(TURNS)),
        ];
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let size = wgpu::Extent3d {
            width: TEXELS + width,
            height: 1,
            depth_or_array_layers: 1,
        };
        let x = device.create_texture(&wgpu::TextureDescriptor {
            label,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let texels: Vec<[f32; 4]> = (0..size.width).map(texel).collect();
        let layout = wgpu::TexelCopyBufferLayout::default();
        queue.write_texture(
            x.as_image_copy(),
            bytemuck::cast_slice(&texels),
            layout,
            size,
        );
        let y = device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: u64::from(width) * 16,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::TextureView(
                        &x.create_view(&Default::default()),
                    ),
                },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: y.as_entire_binding(),
                },
            ],
        });
        Self {
            device,
            queue,
            pipeline,
            bindings,
            y,
        }
    }

    /// How long a dispatch takes.
    fn run(&self) -> Duration {
        let started = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(WORKGROUPS, 1, 1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        match self.device.poll(wgpu::PollType::wait_indefinitely()) {
            Ok(_) => started.elapsed(),
            Err(_) => Duration::MAX,
        }
    }

    /// The least time of a dispatch.
    fn time(&self) -> Duration {
        (0..TIMES)
            .map(|_| self.run())
            .min()
            .unwrap_or(Duration::MAX)
    }

    /// What the last dispatch gave, four values a lane; `None` where the device fails.
    fn values(&self) -> Option<Vec<f32>> {
        let read = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("what a trial gave"),
            size: self.y.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.y, 0, &read, 0, self.y.size());
        self.queue.submit([encoder.finish()]);
        read.map_async(wgpu::MapMode::Read, .., |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely()).ok()?;
        let values = read.get_mapped_range(..).ok()?;
        Some(bytemuck::cast_slice(&values).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_in_any_lane_is_found() {
        for shuffled in [true, false] {
            let mut values: Vec<f32> = (0..16).flat_map(|lane| expected(lane, shuffled)).collect();
            assert!(are_right(&values, shuffled));
            assert!(!are_right(&values, !shuffled));
            values[61] += 1.0;
            assert!(!are_right(&values, shuffled));
        }
    }
}
