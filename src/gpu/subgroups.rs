//! Whether what a driver makes of subgroups is right, and by which means values get from one invocation to the others fastest.
//!
//! Mesa 25 with LLVM 19 gives wrong values in vectors of 512 bits: small kernels are held against the host before any other runs. A
//! shuffle from a literal lane becomes one instruction, or goes through all lanes one by one, and that differs by the driver's version
//! and by the width of its vectors. SwiftShader takes a shuffle for eleven, a swap in a quad for one, and goes through the lanes of a
//! load from a storage image, but not of one from a sampled texture.

use std::time::{Duration, Instant};

use crate::kernels::sampled;
use crate::plan::Broadcast;

/// Times of a dispatch, of which the least counts: others may use the machine meanwhile.
const TIMES: usize = 9;
const WORKGROUPS: u32 = 256;
/// Texels in the image.
const TEXELS: u32 = 64;
/// Turns of the kernel's loop.
const TURNS: u32 = 48;

/// Sums in a loop, of what eight shuffles, loads or swaps give, as in the inner loops of `winograd_product_subgroup.wgsl` and
/// `winograd_product_quads.wgsl`.
const SOURCE: &str = "
override SUBGROUP: u32;
override BROADCAST: u32;
override TURNS: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
fn broadcast(loaded: vec4<f32>, lane: u32, at: u32) -> vec4<f32> {
    if BROADCAST == 1u {
        return textureLoad(x, vec2<u32>(at, 0u));
    }
    if BROADCAST == 0u {
        return subgroupShuffle(loaded, lane);
    }
    if lane == 0u {
        return loaded;
    }
    if lane == 1u {
        return quadSwapX(loaded);
    }
    if lane == 2u {
        return quadSwapY(loaded);
    }
    return quadSwapDiagonal(loaded);
}
@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>) {
    var sum = vec4<f32>();
    for (var k = 0u; k < TURNS; k++) {
        let loaded = textureLoad(x, vec2<u32>(k + local.x, 0u));
        sum += loaded;
        sum += broadcast(loaded, 0u, k) + broadcast(loaded, 1u, k + 1u) + broadcast(loaded, 2u, k + 2u);
        sum += broadcast(loaded, 3u, k + 3u) - broadcast(loaded, 0u, k + 4u) - broadcast(loaded, 1u, k + 5u);
        sum -= broadcast(loaded, 2u, k + 6u) * broadcast(loaded, 3u, k + 7u);
    }
    y[local.x] = sum;
}";

/// A value of the image, four channels of which are small whole numbers: sums of their products are exact in float32.
fn texel(at: u32) -> [f32; 4] {
    [at % 7, at % 5 + 1, at % 3, (at * at) % 11].map(|v| v as f32)
}

/// What the kernel gives in a lane.
fn expected(lane: u32, broadcast: Broadcast) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for k in 0..TURNS {
        // The place that value `j` is loaded from, or that the lane which hands it over has loaded.
        let at = |j: u32| {
            texel(match broadcast {
                Broadcast::Shuffles => k + j % 4,
                Broadcast::Loads => k + j,
                Broadcast::Quads => k + (lane ^ (j % 4)),
            })
        };
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
fn are_right(values: &[f32], broadcast: Broadcast) -> bool {
    let mut lanes = values.chunks_exact(4).zip(0..);
    lanes.all(|(values, lane)| values == expected(lane, broadcast))
}

/// The kernel, its image filled, and where its results go.
struct Trial<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    y: wgpu::Buffer,
}

/// What is fastest in subgroups of `width`; `None` where values are wrong. Each means is held against the host first. Subgroups of
/// 8 are those for which drivers have an instruction of the processor, and need no measurement.
pub(super) fn fastest(device: &wgpu::Device, queue: &wgpu::Queue, width: u32) -> Option<Broadcast> {
    let broadcasts: &[Broadcast] = match width {
        4 => &[Broadcast::Shuffles, Broadcast::Loads, Broadcast::Quads],
        _ => &[Broadcast::Shuffles, Broadcast::Loads],
    };
    let each = broadcasts.iter();
    let trials: Vec<(Broadcast, Trial<'_>)> = each
        .map(|&broadcast| (broadcast, Trial::new(device, queue, width, broadcast)))
        .collect();
    let mut right = trials.iter().map(|(broadcast, trial)| {
        trial.run();
        // A device that fails tells it by the first work that follows.
        trial
            .values()
            .is_none_or(|values| are_right(&values, *broadcast))
    });
    match right.all(|right| right) {
        false => None,
        true if width == 8 => Some(Broadcast::Shuffles),
        // The first of equals.
        true => trials
            .iter()
            .min_by_key(|(_, trial)| trial.time())
            .map(|&(broadcast, _)| broadcast),
    }
}

const LABEL: Option<&str> = Some("a trial of subgroups");

fn pipeline(device: &wgpu::Device, width: u32, broadcast: Broadcast) -> wgpu::ComputePipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: LABEL,
        source: wgpu::ShaderSource::Wgsl(match broadcast {
            Broadcast::Shuffles | Broadcast::Loads => SOURCE.into(),
            Broadcast::Quads => sampled(SOURCE).into(),
        }),
    });
    let constants = [
        ("SUBGROUP", f64::from(width)),
        ("BROADCAST", f64::from(broadcast as u8)),
        ("TURNS", f64::from(TURNS)),
    ];
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: LABEL,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    })
}

/// The image that the kernel reads.
fn inputs(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    width: u32,
    broadcast: Broadcast,
) -> wgpu::Texture {
    let size = wgpu::Extent3d {
        width: TEXELS + width,
        height: 1,
        depth_or_array_layers: 1,
    };
    let read_as = match broadcast {
        Broadcast::Shuffles | Broadcast::Loads => wgpu::TextureUsages::STORAGE_BINDING,
        Broadcast::Quads => wgpu::TextureUsages::TEXTURE_BINDING,
    };
    let image = device.create_texture(&wgpu::TextureDescriptor {
        label: LABEL,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::COPY_DST | read_as,
        view_formats: &[],
    });
    let texels: Vec<[f32; 4]> = (0..size.width).map(texel).collect();
    queue.write_texture(
        image.as_image_copy(),
        bytemuck::cast_slice(&texels),
        wgpu::TexelCopyBufferLayout::default(),
        size,
    );
    image
}

impl<'a> Trial<'a> {
    fn new(
        device: &'a wgpu::Device,
        queue: &'a wgpu::Queue,
        width: u32,
        broadcast: Broadcast,
    ) -> Self {
        let pipeline = pipeline(device, width, broadcast);
        let x = inputs(device, queue, width, broadcast);
        let y = device.create_buffer(&wgpu::BufferDescriptor {
            label: LABEL,
            size: u64::from(width) * 16,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let view = x.create_view(&Default::default());
        let resources = [
            wgpu::BindingResource::TextureView(&view),
            y.as_entire_binding(),
        ];
        let entries = (0..).zip(resources);
        let entries = entries.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: LABEL,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
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
        let each = [Broadcast::Shuffles, Broadcast::Loads, Broadcast::Quads];
        for broadcast in each {
            let mut values: Vec<f32> = (0..16).flat_map(|lane| expected(lane, broadcast)).collect();
            for other in each {
                assert_eq!(are_right(&values, other), other == broadcast);
            }
            values[61] += 1.0;
            assert!(!are_right(&values, broadcast));
        }
    }
}
