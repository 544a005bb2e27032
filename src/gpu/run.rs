//! Runs a plan: makes its pipelines and buffers, and encodes its passes. No other file encodes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Fault, Gpu, GpuError, upload};
use crate::kernels::{Access, Kernel};
use crate::layout::{from_blocks, to_blocks};
use crate::network::Shape;
use crate::plan::{BufferId, Contents, Dispatch, Plan};

/// Multiply-adds in one submission. Windows resets a device after two seconds in one; a GPU that does fewer than
/// 2 x 10^9 a second is slower than any that still has a driver.
const SUBMISSION: u64 = 4_000_000_000;

/// A plan on a device, with its weights uploaded; runs as often as there are pictures.
pub struct Session<'a> {
    gpu: &'a Gpu,
    plan: Plan,
    /// The memory of each of the plan's buffers; those that share a slot share it.
    memory: Vec<wgpu::Buffer>,
    forward: Vec<Call>,
    backward: Vec<Vec<Call>>,
}

/// A dispatch, ready to encode.
struct Call {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
    multiply_adds: u64,
}

/// A compiled kernel.
struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl<'a> Session<'a> {
    /// Compiles the plan's kernels, allocates its buffers and uploads its weights.
    pub fn new(gpu: &'a Gpu, plan: Plan) -> Result<Self, GpuError> {
        // Compilation is the driver's work and upload is ours: they go side by side.
        let (pipelines, memory) = std::thread::scope(|scope| {
            let compiling = scope.spawn(|| compile(gpu, &plan));
            let memory = allocate(gpu, &plan).and_then(|memory| {
                upload::weights(gpu, &plan, &memory)?;
                Ok(memory)
            });
            (
                compiling
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                memory,
            )
        });
        let (pipelines, memory) = (pipelines, memory?);
        gpu.check(|| "compiling the kernels".into())?;
        let phases = plan
            .backward
            .iter()
            .map(|phase| phase.dispatches.as_slice());
        let forward = record(gpu, &plan, &plan.forward, &pipelines, &memory);
        let backward = phases
            .map(|dispatches| record(gpu, &plan, dispatches, &pipelines, &memory))
            .collect();
        gpu.check(|| "recording the plan".into())?;
        Ok(Self {
            gpu,
            plan,
            memory,
            forward,
            backward,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fills everything that dispatches write with NaN. Tests show with it that nothing is read before it is written.
    pub fn poison(&self) {
        for (buffer, memory) in self.plan.buffers.iter().zip(&self.memory) {
            if matches!(buffer.contents, Contents::Scratch { .. }) {
                let values = vec![f32::NAN; buffer.bytes.div_ceil(4) as usize];
                let bytes = bytemuck::cast_slice(&values);
                self.gpu.queue.write_buffer(memory, 0, bytes);
            }
        }
    }

    /// Runs the forward phase on preprocessed pictures, N x C x H x W of `shape`.
    pub fn forward(&self, pictures: &[f32], shape: Shape) -> Result<(), GpuError> {
        let blocked = to_blocks(pictures, self.plan.images, shape);
        self.write(self.plan.input, &blocked);
        self.submit(&self.forward, "the forward pass")
    }

    /// Runs backward phase `phase` from gradients at the logits, `shape.c` a class.
    pub fn backward(&self, phase: usize, seed: &[f32], shape: Shape) -> Result<(), GpuError> {
        let backward = &self.plan.backward[phase];
        let blocked = to_blocks(seed, backward.request.classes, shape);
        self.write(backward.seed, &blocked);
        self.submit(&self.backward[phase], "the backward pass")
    }

    /// Reads `n` tensors of `shape` back from a buffer, as N x C x H x W.
    pub fn read(&self, id: BufferId, n: usize, shape: Shape) -> Result<Vec<f32>, GpuError> {
        let bytes = self.plan.buffer(id).bytes;
        let values: Vec<f32> = self.read_bytes(id, bytes)?;
        Ok(from_blocks(&values, n, shape))
    }

    fn read_bytes(&self, id: BufferId, bytes: u64) -> Result<Vec<f32>, GpuError> {
        let doing = || format!("reading {} back", self.plan.buffer(id).name);
        let gpu = self.gpu;
        let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: bytes,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.memory[id.0], 0, &staging, 0, bytes);
        gpu.queue.submit([encoder.finish()]);
        gpu.check(doing)?;
        let (sender, receiver) = std::sync::mpsc::channel();
        staging
            .slice(..)
            .map_async(wgpu::MapMode::Read, move |result| {
                // The receiver is gone only when this call has already failed.
                let _ = sender.send(result);
            });
        gpu.wait(doing)?;
        let failed = |reason: String| GpuError::Fault {
            adapter: gpu.info.name.clone(),
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

    fn write(&self, id: BufferId, values: &[f32]) {
        let bytes = bytemuck::cast_slice(values);
        self.gpu.queue.write_buffer(&self.memory[id.0], 0, bytes);
    }

    fn submit(&self, calls: &[Call], doing: &str) -> Result<(), GpuError> {
        let mut rest = calls;
        while !rest.is_empty() {
            let mut work = 0;
            let count = rest
                .iter()
                .take_while(|call| {
                    work += call.multiply_adds;
                    work <= SUBMISSION
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(count);
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for call in now {
                pass.set_pipeline(&call.pipeline);
                pass.set_bind_group(0, &call.bindings, &[]);
                let [x, y, z] = call.workgroups;
                pass.dispatch_workgroups(x, y, z);
            }
            drop(pass);
            self.gpu.queue.submit([encoder.finish()]);
            rest = later;
        }
        self.gpu.check(|| format!("running {doing}"))
    }
}

fn compile(gpu: &Gpu, plan: &Plan) -> BTreeMap<Kernel, Pipeline> {
    let compiled = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for kernel in plan.kernels() {
            let compiled = &compiled;
            scope.spawn(move || {
                let pipeline = pipeline(gpu, kernel);
                compiled
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .insert(kernel, pipeline);
            });
        }
    });
    compiled
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn pipeline(gpu: &Gpu, kernel: Kernel) -> Pipeline {
    let info = kernel.info();
    let device = &gpu.device;
    let buffer = |binding: usize, ty, size: usize| wgpu::BindGroupLayoutEntry {
        binding: binding as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: false,
            min_binding_size: wgpu::BufferSize::new(size as u64),
        },
        count: None,
    };
    let mut entries = vec![buffer(
        0,
        wgpu::BufferBindingType::Uniform,
        info.params_size,
    )];
    for (i, &access) in info.bindings.iter().enumerate() {
        let read_only = access == Access::Read;
        entries.push(buffer(
            i + 1,
            wgpu::BufferBindingType::Storage { read_only },
            0,
        ));
    }
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(info.name),
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(info.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(info.name),
        source: wgpu::ShaderSource::Wgsl(info.source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(info.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    Pipeline { pipeline, layout }
}

/// Memory for the plan's buffers: one buffer a slot, one a weight tensor.
fn allocate(gpu: &Gpu, plan: &Plan) -> Result<Vec<wgpu::Buffer>, GpuError> {
    let create = |name: &str, size: u64| {
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(name),
            size: size.next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        gpu.check(|| format!("allocating {size} bytes for {name}"))?;
        Ok(buffer)
    };
    let slots: Vec<wgpu::Buffer> = plan
        .slots
        .iter()
        .map(|&bytes| create("activations", bytes))
        .collect::<Result<_, _>>()?;
    let memory = plan.buffers.iter().map(|buffer| match buffer.contents {
        Contents::Scratch { slot } => Ok(slots[slot].clone()),
        Contents::Weights(_) => create(&buffer.name, buffer.bytes),
    });
    memory.collect()
}

/// Bind groups for a phase, with its uniforms in one buffer.
fn record(
    gpu: &Gpu,
    plan: &Plan,
    dispatches: &[Dispatch],
    pipelines: &BTreeMap<Kernel, Pipeline>,
    memory: &[wgpu::Buffer],
) -> Vec<Call> {
    let stride = gpu.limits.min_uniform_buffer_offset_alignment as usize;
    let mut uniforms = vec![];
    let offsets: Vec<usize> = dispatches
        .iter()
        .map(|dispatch| {
            let offset = uniforms.len();
            uniforms.extend_from_slice(&dispatch.params);
            uniforms.resize(uniforms.len().next_multiple_of(stride), 0);
            offset
        })
        .collect();
    let uniform_buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size: uniforms.len().max(stride) as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&uniform_buffer, 0, &uniforms);
    let calls = dispatches.iter().zip(offsets).map(|(dispatch, offset)| {
        let kernel = &pipelines[&dispatch.kernel];
        let bind = |binding: usize, buffer, offset: u64, size: u64| wgpu::BindGroupEntry {
            binding: binding as u32,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(size),
            }),
        };
        let params = dispatch.params.len() as u64;
        let mut entries = vec![bind(0, &uniform_buffer, offset as u64, params)];
        for (i, id) in dispatch.buffers.iter().enumerate() {
            let bytes = plan.buffer(*id).bytes.next_multiple_of(16);
            entries.push(bind(i + 1, &memory[id.0], 0, bytes));
        }
        Call {
            bindings: gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&dispatch.label),
                layout: &kernel.layout,
                entries: &entries,
            }),
            pipeline: kernel.pipeline.clone(),
            workgroups: dispatch.workgroups,
            multiply_adds: dispatch.multiply_adds,
        }
    });
    calls.collect()
}
