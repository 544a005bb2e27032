//! Every kernel in SPIR-V, by naga with the options that wgpu gives it for Vulkan, as it stands, with float16 in its buffers and read
//! through sampled textures. `spirv-val` (Debian's spirv-tools) judges it.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use gradcam::low_level::kernels::half::{self, Halves};
use gradcam::low_level::kernels::{Kernel, SUBGROUPS, sampled};
use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::{Module, ShaderStage};

use crate::{can_be_half, parse, parse_text, validate_text};

/// A kernel's text with its constants.
struct Form {
    name: &'static str,
    source: String,
    constants: PipelineConstants,
}

/// What an adapter of some subgroup may be given, each once.
fn forms() -> Vec<Form> {
    let mut seen = BTreeSet::new();
    let mut forms = vec![];
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let halves = Halves::of(can_be_half(&parse(kernel), kernel));
        let halved = half::halved(info.source, halves, info.bindings.len() as u32 + 1);
        let halved = halved.unwrap_or_else(|error| panic!("{}: {error}", info.name));
        let subgroups = match info.by_subgroup {
            true => SUBGROUPS.map(Some).to_vec(),
            false => vec![None],
        };
        let sources = [info.source, &halved];
        for source in sources
            .map(str::to_owned)
            .into_iter()
            .chain(sources.map(sampled))
        {
            for &subgroup in &subgroups {
                let subgroup = subgroup.map(|width| ("SUBGROUP", f64::from(width)));
                let constants = subgroup.into_iter().chain(info.constants.iter().copied());
                let constants: PipelineConstants = constants
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                if seen.insert(format!("{source} {subgroup:?} {:?}", info.constants)) {
                    forms.push(Form {
                        name: info.name,
                        source: source.clone(),
                        constants,
                    });
                }
            }
        }
    }
    forms
}

fn binding_map(module: &Module) -> spv::BindingMap {
    let all = module.global_variables.iter();
    let bound = all.filter_map(|(_, variable)| variable.binding);
    let each = bound.map(|it| {
        let to = spv::BindingInfo {
            descriptor_set: it.group,
            binding: it.binding,
            binding_array_size: None,
        };
        (it, to)
    });
    each.collect()
}

/// What `spirv-val` says against `words` for Vulkan of this version, if anything.
fn judged(words: &[u32], target: &str) -> Option<String> {
    let mut judge = Command::new("spirv-val")
        .args(["--target-env", target, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spirv-val: .ci/adapter installs it, or `apt-get install spirv-tools`");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    judge.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = judge.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&said).into_owned())
}

/// Vulkan 1.3 and 1.1, with what a device does about places out of bounds and without.
fn check(form: &Form) {
    use spv::Capability::*;
    let capabilities = [
        Shader,
        Matrix,
        Sampled1D,
        Image1D,
        ImageQuery,
        DerivativeControl,
        StorageImageExtendedFormats,
        GroupNonUniform,
        GroupNonUniformVote,
        GroupNonUniformArithmetic,
        GroupNonUniformBallot,
        GroupNonUniformShuffle,
        GroupNonUniformShuffleRelative,
        GroupNonUniformQuad,
    ];
    let Form {
        name,
        source,
        constants,
    } = form;
    let module = parse_text(name, source);
    let info = validate_text(&module, name, source);
    let entry = Some((ShaderStage::Compute, "main"));
    let (module, info) = process_overrides(&module, &info, entry, constants)
        .unwrap_or_else(|error| panic!("{name} {constants:?}: {error}"));
    for (lang_version, target, policy) in [
        ((1, 6), "vulkan1.3", BoundsCheckPolicy::Unchecked),
        ((1, 3), "vulkan1.1", BoundsCheckPolicy::Restrict),
    ] {
        let options = spv::Options {
            lang_version,
            flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
            fake_missing_bindings: false,
            binding_map: binding_map(&module),
            capabilities: Some(capabilities.into_iter().collect()),
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                buffer: policy,
                image_load: policy,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            use_storage_input_output_16: false,
            ..spv::Options::default()
        };
        let pipeline = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: "main".into(),
        };
        let words = spv::write_vec(&module, &info, &options, Some(&pipeline))
            .unwrap_or_else(|error| panic!("{name} {constants:?}: {error}"));
        let wrong = judged(&words, target);
        assert_eq!(wrong, None, "{name} {constants:?}, {target}");
    }
}

#[test]
fn every_kernel_is_spirv_that_spirv_val_accepts() {
    let forms = forms();
    assert!(forms.len() > 2 * Kernel::ALL.len(), "{}", forms.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(form) = forms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(form);
                }
            });
        }
    });
}
