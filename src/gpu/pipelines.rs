//! Kernels as the device runs them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Gpu;
use super::texels::{TEXEL, WORDS};
use crate::kernels::{Access, Kernel};
use crate::plan::Plan;

/// A compiled kernel. Cheap to clone: handles.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// Kernels that a device has compiled, each for subgroups of so many invocations.
pub(super) type Compiled = BTreeMap<(Kernel, u32), Pipeline>;

/// Every kernel of a plan: those that the device has not compiled yet are, side by side.
pub(super) fn compile(gpu: &Gpu, plan: &Plan) -> BTreeMap<Kernel, Pipeline> {
    let there = |kernel| Some((kernel, known(gpu).get(&(kernel, plan.subgroup))?.clone()));
    let there: BTreeMap<Kernel, Pipeline> = plan.kernels().into_iter().filter_map(there).collect();
    let missing: Vec<Kernel> = { plan.kernels().into_iter() }
        .filter(|kernel| !there.contains_key(kernel))
        .collect();
    let compiled = Mutex::new(there);
    std::thread::scope(|scope| {
        for kernel in missing {
            let compiled = &compiled;
            scope.spawn(move || {
                let pipeline = pipeline(gpu, kernel, plan.subgroup);
                compiled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(kernel, pipeline);
            });
        }
    });
    compiled
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a plan's kernels for the plans after it; not before the device has been asked for errors.
pub(super) fn keep(gpu: &Gpu, plan: &Plan, pipelines: &BTreeMap<Kernel, Pipeline>) {
    let each = pipelines.iter();
    let each = each.map(|(&kernel, pipeline)| ((kernel, plan.subgroup), pipeline.clone()));
    known(gpu).extend(each);
}

fn known(gpu: &Gpu) -> MutexGuard<'_, Compiled> {
    gpu.compiled.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pipeline(gpu: &Gpu, kernel: Kernel, subgroup: u32) -> Pipeline {
    let info = kernel.info();
    let mut constants = info.constants.to_vec();
    if info.by_subgroup {
        constants.push(("SUBGROUP", f64::from(subgroup)));
    }
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
        entries.push(match access {
            Access::Read | Access::Write => {
                buffer(i + 1, wgpu::BufferBindingType::Storage { read_only }, 0)
            }
            Access::Image | Access::Words if gpu.samples() => wgpu::BindGroupLayoutEntry {
                ty: wgpu::BindingType::Texture {
                    sample_type: if access == Access::Words {
                        wgpu::TextureSampleType::Uint
                    } else {
                        wgpu::TextureSampleType::Float { filterable: false }
                    },
                    view_dimension: wgpu::TextureViewDimension::D2,
                    multisampled: false,
                },
                ..buffer(i + 1, wgpu::BufferBindingType::Uniform, 0)
            },
            Access::Image | Access::Words | Access::WriteImage => wgpu::BindGroupLayoutEntry {
                ty: wgpu::BindingType::StorageTexture {
                    access: if access == Access::WriteImage {
                        wgpu::StorageTextureAccess::WriteOnly
                    } else {
                        wgpu::StorageTextureAccess::ReadOnly
                    },
                    format: if access == Access::Words {
                        WORDS
                    } else {
                        TEXEL
                    },
                    view_dimension: wgpu::TextureViewDimension::D2,
                },
                ..buffer(i + 1, wgpu::BufferBindingType::Uniform, 0)
            },
        });
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
    // naga's bounds and loop checks stay in: leaving them out made the direct convolution 3.5 % faster on the software adapter,
    // Winograd's product and transforms not measurably, and takes unsafe code. On AMD GPUs the large products' inner loops have no
    // instruction more with them; in others a loop has six scalar ones, its counter (`cargo bench --bench amd_static --
    // --unchecked`).
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(info.name),
        source: wgpu::ShaderSource::Wgsl(match gpu.samples() {
            true => info.sampled().into(),
            false => info.source.into(),
        }),
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
        // Drivers keep compiled pipelines in caches of their own (Mesa 22.3, warm: 50 to 100 ms, beside the upload). wgpu's takes
        // unsafe code, create_pipeline_cache, and saves nothing of the driver's warm path there.
        cache: None,
    });
    Pipeline { pipeline, layout }
}
