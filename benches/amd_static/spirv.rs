//! Kernels in SPIR-V, as wgpu hands them to a Vulkan driver that checks the bounds of buffers itself, which RADV does.

use gradcam::low_level::kernels::KernelInfo;
use naga::back::{PipelineConstants, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Which of naga's checks are in a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Checks {
    /// As wgpu has it: places in workgroup memory and in private arrays are held within bounds, and loops end.
    #[default]
    Kept,
    /// None of them.
    Left,
}

/// The words of a kernel.
pub(crate) fn words(kernel: &KernelInfo, checks: Checks) -> Vec<u32> {
    let module = naga::front::wgsl::parse_str(kernel.source).expect("tests/shaders parses it");
    let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .expect("tests/shaders validates it");
    let constants: PipelineConstants = kernel
        .constants
        .iter()
        .map(|&(name, value)| (name.to_owned(), value))
        .collect();
    let entry = Some((naga::ShaderStage::Compute, "main"));
    let (module, info) = pipeline_constants::process_overrides(&module, &info, entry, &constants)
        .expect("the table has every constant");
    let bindings = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| variable.binding)
        .map(|it| {
            let to = spv::BindingInfo {
                descriptor_set: it.group,
                binding: it.binding,
                binding_array_size: None,
            };
            (it, to)
        });
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        fake_missing_bindings: false,
        binding_map: bindings.collect(),
        bounds_check_policies: BoundsCheckPolicies {
            index: match checks {
                Checks::Kept => BoundsCheckPolicy::Restrict,
                Checks::Left => BoundsCheckPolicy::Unchecked,
            },
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: checks == Checks::Kept,
        use_storage_input_output_16: false,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: naga::ShaderStage::Compute,
        entry_point: "main".into(),
    };
    spv::write_vec(&module, &info, &options, Some(&pipeline)).expect("naga writes it")
}
