//! Kernels as the device runs them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::texels::{HALF_TEXEL, TEXEL};
use super::{Gpu, GpuError};
use crate::kernels::half::{self, Halves};
use crate::kernels::{Access, Kernel, half_words, sampled};
use crate::plan::Plan;

/// A compiled kernel. Cheap to clone: handles.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// A kernel, and which of its bindings hold float16.
pub(super) type Form = (Kernel, Halves);

/// Kernels that a device has compiled, each for subgroups of so many invocations.
pub(super) type Compiled = BTreeMap<(Form, u32), Pipeline>;

/// Every kernel of a plan: those that the device has not compiled yet are, side by side.
pub(super) fn compile(gpu: &Gpu, plan: &Plan) -> BTreeMap<Form, Pipeline> {
    let there = |form| Some((form, known(gpu).get(&(form, plan.subgroup))?.clone()));
    let there: BTreeMap<Form, Pipeline> = plan.forms().into_iter().filter_map(there).collect();
    let missing: Vec<Form> = { plan.forms().into_iter() }
        .filter(|form| !there.contains_key(form))
        .collect();
    let compiled = Mutex::new(there);
    std::thread::scope(|scope| {
        for form in missing {
            let compiled = &compiled;
            scope.spawn(move || {
                let pipeline = pipeline(gpu, form, plan.subgroup);
                compiled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(form, pipeline);
            });
        }
    });
    compiled
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a plan's kernels for the plans after it; not before the device has been asked for errors.
pub(super) fn keep(gpu: &Gpu, plan: &Plan, pipelines: &BTreeMap<Form, Pipeline>) {
    let each = pipelines.iter();
    let each = each.map(|(&form, pipeline)| ((form, plan.subgroup), pipeline.clone()));
    known(gpu).extend(each);
}

fn known(gpu: &Gpu) -> MutexGuard<'_, Compiled> {
    gpu.compiled.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The binding, behind all others, of the word in which a kernel tells of values that are too large for float16; none where it
/// stores none.
pub(super) fn tells_overflow((kernel, halves): Form) -> Option<u32> {
    let bindings = kernel.info().bindings;
    let mut each = bindings.iter().zip(1..);
    let stores = each.any(|(access, it)| *access == Access::Write && halves.contains(it));
    stores.then_some(bindings.len() as u32 + 1)
}

/// Whether the device binds as many buffers at once as each kernel of the plan has: that word may be one more than wgpu's least.
pub(super) fn check_bindings(gpu: &Gpu, plan: &Plan) -> Result<(), GpuError> {
    let is_buffer =
        |access: &&Access| matches!(access, Access::Read | Access::Write | Access::WriteSingly);
    let buffers = |form: Form| {
        let own = form.0.info().bindings.iter().filter(is_buffer).count();
        own + usize::from(tells_overflow(form).is_some())
    };
    let needs = plan.forms().into_iter().map(buffers).max().unwrap_or(0) as u32;
    let has = gpu.limits.max_storage_buffers_per_shader_stage;
    match needs <= has {
        true => Ok(()),
        false => Err(GpuError::TooWeak {
            adapter: gpu.info.name.clone(),
            limit: "max_storage_buffers_per_shader_stage",
            needs: needs.into(),
            has: has.into(),
        }),
    }
}

/// A kernel's shader in one of its forms.
fn source(gpu: &Gpu, (kernel, halves): Form) -> Cow<'static, str> {
    let info = kernel.info();
    let source: Cow<'static, str> = if halves.is_empty() {
        info.source.into()
    } else {
        let made = half::halved(info.source, halves, info.bindings.len() as u32 + 1);
        made.unwrap_or_else(|error| panic!("tests/shaders checks {}: {error}", info.name))
            .into()
    };
    let source: Cow<'static, str> = match gpu.samples() {
        true => sampled(&source).into(),
        false => source,
    };
    match gpu.converts_halves {
        true => source,
        false => half_words::without_builtins(&source).into(),
    }
}

/// Whether wgpu takes shaders with WGSL's functions for float16 in words: it tells so of adapters, not of devices.
pub(super) fn converts_halves(device: &wgpu::Device) -> bool {
    const SOURCE: &str = "
@group(0) @binding(0) var<storage, read_write> x: u32;
@compute @workgroup_size(1)
fn main() {
    x = pack2x16float(unpack2x16float(x));
}";
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let _trial = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("a trial of float16 in words"),
        source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
    });
    pollster::block_on(scope.pop()).is_none()
}

fn pipeline(gpu: &Gpu, form: Form, subgroup: u32) -> Pipeline {
    let info = form.0.info();
    let mut constants = info.constants.to_vec();
    if info.by_subgroup {
        constants.push(("SUBGROUP", f64::from(subgroup)));
    }
    let device = &gpu.device;
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(info.name),
        entries: &layout_entries(gpu, form),
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(info.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    // naga's bounds and loop checks stay in: leaving them out made the direct convolution 3.5 % faster on the software adapter,
    // Winograd's product and transforms not measurably, and takes unsafe code. On AMD GPUs the large products' inner loops have no
    // instruction more with them; in others a loop has six scalar ones, its counter (`cargo bench --bench amd_static --
    // --unchecked`).
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(info.name),
        source: wgpu::ShaderSource::Wgsl(source(gpu, form)),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(info.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            // Every kernel writes its workgroup memory before it reads it; SwiftShader takes seconds to compile the zeros.
            zero_initialize_workgroup_memory: false,
        },
        // Drivers keep compiled pipelines in caches of their own. wgpu's takes unsafe code, create_pipeline_cache, and is no faster
        // where Mesa's is warm.
        cache: None,
    });
    Pipeline { pipeline, layout }
}

/// What a kernel binds: its uniform, its buffers and images, and the word that tells of overflow.
fn layout_entries(gpu: &Gpu, form: Form) -> Vec<wgpu::BindGroupLayoutEntry> {
    let (kernel, halves) = form;
    let info = kernel.info();
    let entry = |binding: u32, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty,
        count: None,
    };
    let uniform = buffer(wgpu::BufferBindingType::Uniform, info.params_size as u64);
    let own = (1..).zip(info.bindings).map(|(binding, &access)| {
        let is_half = halves.contains(binding);
        entry(binding, binding_type(access, gpu.samples(), is_half))
    });
    let overflow = tells_overflow(form).map(|binding| {
        let word = wgpu::BufferBindingType::Storage { read_only: false };
        entry(binding, buffer(word, 4))
    });
    let uniform = [entry(0, uniform)];
    uniform.into_iter().chain(own).chain(overflow).collect()
}

/// `samples`: whether images are sampled, and not read as storage.
fn binding_type(access: Access, samples: bool, is_half: bool) -> wgpu::BindingType {
    let view_dimension = wgpu::TextureViewDimension::D2;
    match access {
        Access::Read | Access::Write | Access::WriteSingly => {
            let read_only = access == Access::Read;
            buffer(wgpu::BufferBindingType::Storage { read_only }, 0)
        }
        Access::Image | Access::Matrix if samples => wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension,
            multisampled: false,
        },
        Access::Image | Access::Matrix => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: match is_half {
                true => HALF_TEXEL,
                false => TEXEL,
            },
            view_dimension,
        },
    }
}

/// A buffer of at least so many bytes.
fn buffer(ty: wgpu::BufferBindingType, bytes: u64) -> wgpu::BindingType {
    wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset: false,
        min_binding_size: wgpu::BufferSize::new(bytes),
    }
}
