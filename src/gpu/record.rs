//! A phase's dispatches with what they are bound to, ready to be encoded any number of times.

use std::collections::BTreeMap;

use super::memory::Memory;
use super::overflow::Overflow;
use super::pipelines::{self, Form, Pipeline};
use super::texels::ImageCopy;
use super::{Gpu, GpuError};
use crate::plan::{Contents, Dispatch, Listed, Lists, Plan};

/// A phase, ready to encode.
#[derive(Default)]
pub(super) struct Work {
    pub(super) calls: Vec<Call>,
    /// Where values are found that are too large for float16.
    pub(super) overflow: Option<Overflow>,
}

/// A dispatch, ready to encode.
pub(super) struct Call {
    pub(super) copies: Vec<ImageCopy>,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
    listed: Option<Listed>,
    pub(super) multiply_adds: u64,
}

impl Call {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, lists: &[Lists]) {
        let [all, y, z] = self.workgroups;
        let x = self.listed.map_or(all, |listed| listed.workgroups(lists));
        if x == 0 {
            return;
        }
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Runs the preparation, and gives back what it alone reads one dispatch after the other: the next one's results take that
/// memory.
pub(super) fn prepare(
    gpu: &Gpu,
    plan: &Plan,
    pipelines: &BTreeMap<Form, Pipeline>,
    memory: &mut [Memory],
) -> Result<(), GpuError> {
    for dispatch in &plan.prepare {
        let dispatches = std::slice::from_ref(dispatch);
        let work = record(gpu, plan, dispatches, pipelines, memory);
        for call in work.calls {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            call.encode(&mut encoder.begin_compute_pass(&Default::default()), &[]);
            gpu.queue.submit([encoder.finish()]);
        }
        gpu.wait(|| format!("preparing {}", dispatch.label))?;
        if let Some(overflow) = &work.overflow {
            overflow.check(gpu, dispatches)?;
        }
        for id in &dispatch.buffers {
            if matches!(plan.buffer(*id).contents, Contents::Source(_)) {
                memory[id.0] = Memory::Gone;
            }
        }
    }
    Ok(())
}

/// Bind groups for a phase, with its uniforms in one buffer.
pub(super) fn record(
    gpu: &Gpu,
    plan: &Plan,
    dispatches: &[Dispatch],
    pipelines: &BTreeMap<Form, Pipeline>,
    memory: &[Memory],
) -> Work {
    let overflow = Overflow::new(gpu, plan, dispatches);
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
    let uniform_buffer = gpu.buffer(&wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size: uniforms.len().max(stride) as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.write(&uniform_buffer, &uniforms);
    let numbered = dispatches.iter().zip(offsets).enumerate();
    let calls = numbered.map(|(at, (dispatch, offset))| {
        let form = (dispatch.kernel, plan.halves(dispatch));
        let kernel = &pipelines[&form];
        let part = |buffer, offset: u64, size: u64| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(size),
            })
        };
        let params = dispatch.params.len() as u64;
        let views: Vec<Option<wgpu::TextureView>> = dispatch
            .buffers
            .iter()
            .map(|id| match &memory[id.0] {
                Memory::Image(image) => Some(image.create_view(&Default::default())),
                Memory::Buffer(_) | Memory::Gone => None,
            })
            .collect();
        let mut resources = vec![part(&uniform_buffer, offset as u64, params)];
        for (id, view) in dispatch.buffers.iter().zip(&views) {
            resources.push(if let Some(view) = view {
                wgpu::BindingResource::TextureView(view)
            } else {
                let buffer = plan.buffer(*id);
                let bytes = buffer.bytes.next_multiple_of(16);
                part(memory[id.0].buffer(), buffer.offset(), bytes)
            });
        }
        if let Some(overflow) = overflow
            .as_ref()
            .filter(|_| pipelines::tells_overflow(form).is_some())
        {
            resources.push(wgpu::BindingResource::Buffer(overflow.word(at)));
        }
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let copies = dispatch.copies.iter().map(|copy| ImageCopy {
            from: memory[copy.from.0].buffer().clone(),
            offset: plan.buffer(copy.from).offset(),
            to: memory[copy.to.0].image().clone(),
            texels: copy.texels as u32,
        });
        Call {
            copies: copies.collect(),
            bindings: gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&dispatch.label),
                layout: &kernel.layout,
                entries: &entries,
            }),
            pipeline: kernel.pipeline.clone(),
            workgroups: dispatch.workgroups,
            listed: dispatch.listed,
            multiply_adds: dispatch.multiply_adds,
        }
    });
    Work {
        calls: calls.collect(),
        overflow,
    }
}
