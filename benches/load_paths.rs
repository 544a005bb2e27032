//! What it costs to bring a vec4 to each of 8 invocations, by each way that WGSL has, and to store one:
//! `cargo bench --bench load_paths`. On Mesa's software adapter this decided how the kernels `*_subgroup.wgsl` and
//! `winograd_*.wgsl` read; `gradcam::low_level::kernels` has the figures.

use std::time::{Duration, Instant};

use gradcam::wgpu;
use wgpu::util::DeviceExt;

/// Times of a whole dispatch, of which the least counts.
const TIMES: usize = 7;
const WORKGROUPS: u32 = 256;
/// Loads or stores of an invocation.
const ROUNDS: u32 = 4096;
/// What is read: 16 KiB and what a last round reaches past them.
const ELEMENTS: usize = 1024 + 64;

/// A way to read, what declares it, and the expression for round `k` of eight of a workgroup's rounds from `at` on.
struct Path {
    name: &'static str,
    declares: &'static str,
    statement: fn(u32) -> String,
}

const SOURCE: &str = "@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;";
const UNIFORM: &str = "@group(0) @binding(0) var<uniform> x: array<vec4<f32>, 1088>;";
const TEXTURE: &str = "@group(0) @binding(0) var x: texture_2d<f32>;";
const IMAGE: &str = "@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;";
/// The most that an adapter must offer.
const IMMEDIATES: &str = "var<immediate> x: array<vec4<f32>, 8>;";
const STORED: &str = "@group(0) @binding(0) var x: texture_storage_2d<rgba32float, write>;";

const PATHS: [Path; 13] = [
    Path {
        name: "nothing: the loop alone",
        declares: "",
        statement: |k| format!("sum += vec4<f32>(f32(at + {k}u + lane));"),
    },
    Path {
        name: "storage buffer, an address an invocation",
        declares: SOURCE,
        statement: |k| format!("sum += x[at + {k}u * 8u + lane];"),
    },
    Path {
        name: "storage buffer, one address",
        declares: SOURCE,
        statement: |k| format!("sum += x[at + {k}u];"),
    },
    Path {
        name: "uniform buffer, an address an invocation",
        declares: UNIFORM,
        statement: |k| format!("sum += x[at + {k}u * 8u + lane];"),
    },
    Path {
        name: "uniform buffer, one address",
        declares: UNIFORM,
        statement: |k| format!("sum += x[at + {k}u];"),
    },
    Path {
        name: "immediates, an address an invocation",
        declares: IMMEDIATES,
        statement: |k| format!("sum += x[(at / 8u + {k}u + lane) & 7u];"),
    },
    Path {
        name: "immediates, one address",
        declares: IMMEDIATES,
        statement: |k| format!("sum += x[(at / 8u + {k}u) & 7u];"),
    },
    Path {
        name: "texture, textureLoad",
        declares: TEXTURE,
        statement: |k| format!("sum += textureLoad(x, vec2<u32>(at + {k}u * 8u + lane, 0u), 0);"),
    },
    Path {
        name: "storage image, textureLoad",
        declares: IMAGE,
        statement: |k| format!("sum += textureLoad(x, vec2<u32>(at + {k}u * 8u + lane, 0u));"),
    },
    Path {
        name: "workgroup memory, an address an invocation",
        declares: "var<workgroup> x: array<vec4<f32>, 1024>;",
        statement: |k| format!("sum += x[(at + {k}u * 8u + lane) & 1023u];"),
    },
    Path {
        name: "subgroupShuffle from a literal lane",
        declares: "",
        statement: |k| format!("sum += subgroupShuffle(sum, {k}u);"),
    },
    Path {
        name: "stored to a storage buffer",
        declares: "",
        statement: |k| format!("y[at + {k}u * 8u + lane] = sum;"),
    },
    Path {
        name: "stored to a storage image",
        declares: STORED,
        statement: |k| format!("textureStore(x, vec2<u32>(at + {k}u * 8u + lane, 0u), sum);"),
    },
];

fn shader(path: &Path) -> String {
    let statements: Vec<String> = (0..8).map(path.statement).collect();
    format!(
        "{}
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {{
    let lane = local.x;
    var sum = vec4<f32>(f32(lane));
    for (var r = 0u; r < {ROUNDS}u; r += 8u) {{
        let at = (group.x * 64u + r * 8u) & 1023u;
        {}
    }}
    y[lane] = sum;
}}",
        path.declares,
        statements.join("\n        ")
    )
}

fn main() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()));
    let adapter = adapter.expect("an adapter: on Debian, mesa-vulkan-drivers has one");
    let wanted = wgpu::Features::SUBGROUP
        | wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES
        | wgpu::Features::IMMEDIATES;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: wanted,
        required_limits: adapter.limits(),
        ..Default::default()
    }))
    .expect("a device with subgroups, immediates and images of float32");
    let info = adapter.get_info();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}, {}; {cores} cores", info.name, info.driver_info);
    println!("nanoseconds of a core for a vec4 in each of 8 invocations, without the loop's own\n");
    let mut base = None;
    for path in &PATHS {
        let each = time(&device, &queue, path).as_secs_f64() * 1e9 * cores as f64
            / f64::from(WORKGROUPS * ROUNDS);
        let base = *base.get_or_insert(each);
        println!("{:<45}{:>8.1}", path.name, each - base);
    }
}

fn time(device: &wgpu::Device, queue: &wgpu::Queue, path: &Path) -> Duration {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(path.name),
        source: wgpu::ShaderSource::Wgsl(shader(path).into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(path.name),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let y = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: ELEMENTS as u64 * 16,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let values = vec![0x3f80_0000_u32; ELEMENTS * 4];
    let bytes: &[u8] = bytemuck::cast_slice(&values);
    let x = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: bytes,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM,
    });
    let texture = device.create_texture_with_data(
        queue,
        &wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d {
                width: ELEMENTS as u32,
                height: 1,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        },
        Default::default(),
        bytes,
    );
    let view = texture.create_view(&Default::default());
    let source = match path.declares {
        TEXTURE | IMAGE | STORED => Some(wgpu::BindingResource::TextureView(&view)),
        SOURCE | UNIFORM => Some(x.as_entire_binding()),
        _ => None,
    };
    let y = wgpu::BindGroupEntry {
        binding: 1,
        resource: y.as_entire_binding(),
    };
    let entries: Vec<_> = source
        .map(|resource| wgpu::BindGroupEntry {
            binding: 0,
            resource,
        })
        .into_iter()
        .chain([y])
        .collect();
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let run = || {
        let started = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        if path.declares == IMMEDIATES {
            pass.set_immediates(0, &bytes[..8 * 16]);
        }
        pass.dispatch_workgroups(WORKGROUPS, 1, 1);
        drop(pass);
        queue.submit([encoder.finish()]);
        device
            .poll(wgpu::PollType::wait_indefinitely())
            .expect("the device works");
        started.elapsed()
    };
    (0..TIMES).map(|_| run()).min().expect("it ran")
}
