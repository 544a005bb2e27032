//! A phase's dispatches with what they are bound to, ready to be encoded any number of times.

use std::collections::BTreeMap;

use super::held::Held;
use super::memory::Memory;
use super::overflow::Overflow;
use super::pipelines::{self, Form, Pipeline};
use super::texels::ImageCopy;
use super::{Gpu, GpuError};
use crate::plan::{BufferId, Contents, CopyToImage, Dispatch, Plan, TileListPart, TileLists};

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
    listed: Option<TileListPart>,
    pub(super) multiply_adds: u64,
}

impl Call {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, lists: &[TileLists]) {
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
    let (uniforms, offsets) = uniforms(gpu, dispatches);
    let numbered = dispatches.iter().zip(offsets).enumerate();
    let calls = numbered.map(|(at, (dispatch, offset))| {
        let form = (dispatch.kernel, plan.halves(dispatch));
        let kernel = &pipelines[&form];
        let buffers = &dispatch.buffers;
        let views: Vec<_> = buffers.iter().map(|id| view(&memory[id.0])).collect();
        let params = dispatch.params.len() as u64;
        let mut resources = vec![part(&uniforms, offset as u64, params)];
        let own = buffers.iter().zip(&views);
        resources.extend(own.map(|(&id, view)| resource(plan, memory, id, view.as_ref())));
        if pipelines::tells_overflow(form).is_some() {
            let word = overflow.as_ref().map(|overflow| overflow.word(at));
            resources.extend(word.map(wgpu::BindingResource::Buffer));
        }
        let copies = dispatch.copies.iter();
        let copies = copies.map(|copy| image_copy(plan, memory, copy));
        Call {
            copies: copies.collect(),
            bindings: bind_group(gpu, &dispatch.label, &kernel.layout, resources),
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

/// The uniforms of all dispatches in one buffer, and where each dispatch's begin.
fn uniforms(gpu: &Gpu, dispatches: &[Dispatch]) -> (Held<wgpu::Buffer>, Vec<usize>) {
    let stride = gpu.limits.min_uniform_buffer_offset_alignment as usize;
    let mut bytes = vec![];
    let mut offsets = vec![];
    for dispatch in dispatches {
        offsets.push(bytes.len());
        bytes.extend_from_slice(&dispatch.params);
        bytes.resize(bytes.len().next_multiple_of(stride), 0);
    }
    let buffer = gpu.buffer(&wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size: bytes.len().max(stride) as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.write(&buffer, &bytes);
    (buffer, offsets)
}

/// The view of an image; none of a buffer.
fn view(memory: &Memory) -> Option<wgpu::TextureView> {
    match memory {
        Memory::Image(image) => Some(image.create_view(&Default::default())),
        Memory::Buffer(_) | Memory::Gone => None,
    }
}

/// What a dispatch binds for `id`: its view, or its part of a buffer.
fn resource<'a>(
    plan: &Plan,
    memory: &'a [Memory],
    id: BufferId,
    view: Option<&'a wgpu::TextureView>,
) -> wgpu::BindingResource<'a> {
    if let Some(view) = view {
        return wgpu::BindingResource::TextureView(view);
    }
    let buffer = plan.buffer(id);
    let bytes = buffer.bytes.next_multiple_of(16);
    part(memory[id.0].buffer(), buffer.offset(), bytes)
}

fn part(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer,
        offset,
        size: wgpu::BufferSize::new(bytes),
    })
}

/// `resources` by their places in `layout`.
fn bind_group(
    gpu: &Gpu,
    label: &str,
    layout: &wgpu::BindGroupLayout,
    resources: Vec<wgpu::BindingResource<'_>>,
) -> wgpu::BindGroup {
    let numbered = (0..).zip(resources);
    let entries: Vec<_> = numbered
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
        .collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(label),
        layout,
        entries: &entries,
    })
}

fn image_copy(plan: &Plan, memory: &[Memory], copy: &CopyToImage) -> ImageCopy {
    ImageCopy {
        from: memory[copy.from.0].buffer().clone(),
        offset: plan.buffer(copy.from).offset(),
        to: memory[copy.to.0].image().clone(),
        texels: copy.texels as u32,
    }
}
