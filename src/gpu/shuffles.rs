//! How fast a driver's shuffles are. It makes one instruction of a shuffle from a literal lane, or goes through all lanes one by
//! one, and that differs by its version and by the width of its vectors.

use std::time::{Duration, Instant};

/// Times of a dispatch, of which the least counts: others may use the machine meanwhile.
const TIMES: usize = 9;
const WORKGROUPS: u32 = 256;
/// Texels in the image.
const TEXELS: u32 = 64;

/// Sums in a loop, of what eight shuffles or eight loads give, as in the inner loop of `winograd_product_subgroup.wgsl`.
const SOURCE: &str = "
override SUBGROUP: u32;
override SHUFFLED: bool;
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
    for (var k = 0u; k < 48u; k++) {
        let loaded = textureLoad(x, vec2<u32>(k + local.x, 0u));
        sum += hand(loaded, 0u, k) + hand(loaded, 1u, k + 1u) + hand(loaded, 2u, k + 2u);
        sum += hand(loaded, 3u, k + 3u) - hand(loaded, 0u, k + 4u) - hand(loaded, 1u, k + 5u);
        sum -= hand(loaded, 2u, k + 6u) * hand(loaded, 3u, k + 7u);
    }
    y[local.x] = sum;
}";

/// Whether a shuffle from a literal lane takes less time than a load from an image. Subgroups of 8 are those for which drivers
/// have an instruction of the processor, and need no measurement.
pub(super) fn are_fast(device: &wgpu::Device, queue: &wgpu::Queue, width: u32) -> bool {
    width == 8 || time(device, queue, width, true) <= time(device, queue, width, false)
}

/// The least time of a dispatch. A device that fails at it has its errors told by the first work that follows.
fn time(device: &wgpu::Device, queue: &wgpu::Queue, width: u32, shuffled: bool) -> Duration {
    let label = Some("a measure of shuffles");
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
    });
    let constants = [
        ("SUBGROUP", f64::from(width)),
        ("SHUFFLED", f64::from(u8::from(shuffled))),
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
    let x = device.create_texture(&wgpu::TextureDescriptor {
        label,
        size: wgpu::Extent3d {
            width: TEXELS + width,
            height: 1,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::STORAGE_BINDING,
        view_formats: &[],
    });
    let y = device.create_buffer(&wgpu::BufferDescriptor {
        label,
        size: u64::from(width) * 16,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::TextureView(&x.create_view(&Default::default())),
            },
            wgpu::BindGroupEntry {
                binding: 1,
                resource: y.as_entire_binding(),
            },
        ],
    });
    let run = || {
        let started = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(WORKGROUPS, 1, 1);
        drop(pass);
        queue.submit([encoder.finish()]);
        match device.poll(wgpu::PollType::wait_indefinitely()) {
            Ok(_) => started.elapsed(),
            Err(_) => Duration::MAX,
        }
    };
    (0..TIMES).map(|_| run()).min().unwrap_or(Duration::MAX)
}
