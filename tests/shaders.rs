//! Every shader parses and validates, and agrees with the kernel table on the host.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::{
    Access, ActivationKind, CombineKind, Epilogue, Kernel, KernelInfo, SUBGROUPS,
};
use naga::back::PipelineConstants;
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

/// Subgroups where an adapter has them; float16 out of words, which all of Vulkan, Metal and DX12 have.
const CAPABILITIES: Capabilities =
    Capabilities::SUBGROUP.union(Capabilities::SHADER_FLOAT16_IN_FLOAT32);

fn parse(kernel: Kernel) -> Module {
    let info = kernel.info();
    let module = naga::front::wgsl::parse_str(info.source)
        .unwrap_or_else(|error| panic!("{}: {}", info.name, error.emit_to_string(info.source)));
    validate(&module, kernel);
    module
}

fn validate(module: &Module, kernel: Kernel) -> ModuleInfo {
    let KernelInfo { name, source, .. } = kernel.info();
    Validator::new(ValidationFlags::all(), CAPABILITIES)
        .validate(module)
        .unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(source)))
}

#[test]
fn every_file_in_shaders_is_in_the_table_and_the_other_way_round() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut table: Vec<String> = Kernel::ALL
        .iter()
        .map(|kernel| format!("{}.wgsl", kernel.info().name))
        .collect();
    table.sort();
    table.dedup();
    assert_eq!(files, table);
}

#[test]
fn bindings_are_those_of_the_table() {
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let module = parse(kernel);
        let mut bindings: Vec<(u32, AddressSpace)> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| Some((variable.binding?.binding, variable.space)))
            .collect();
        bindings.sort_by_key(|(binding, _)| *binding);
        let mut expected = vec![(0, AddressSpace::Uniform)];
        for (i, access) in info.bindings.iter().enumerate() {
            let storage = |access| AddressSpace::Storage { access };
            let space = match access {
                Access::Read => storage(StorageAccess::LOAD),
                Access::Write => storage(StorageAccess::LOAD | StorageAccess::STORE),
                Access::Image | Access::Words | Access::WriteImage => AddressSpace::Handle,
            };
            expected.push((i as u32 + 1, space));
        }
        assert_eq!(bindings, expected, "{}", info.name);
    }
}

#[test]
fn read_through_sampled_textures_a_shader_has_the_same_bindings_and_no_storage_image_to_read() {
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let sampled = info.sampled();
        let module = naga::front::wgsl::parse_str(&sampled)
            .unwrap_or_else(|error| panic!("{}: {}", info.name, error.emit_to_string(&sampled)));
        validate(&module, kernel);
        let images = info.bindings.iter();
        let images = images.filter(|access| matches!(access, Access::Image | Access::Words));
        let textures = module.global_variables.iter().filter(|(_, variable)| {
            matches!(
                module.types[variable.ty].inner,
                TypeInner::Image {
                    class: naga::ImageClass::Sampled { multi: false, .. },
                    ..
                }
            )
        });
        assert_eq!(textures.count(), images.count(), "{}", info.name);
        if !info.bindings.contains(&Access::Image) {
            assert_eq!(sampled, info.source, "{}", info.name);
        }
    }
}

#[test]
fn uniforms_have_the_size_that_the_host_writes() {
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let module = parse(kernel);
        let (_, uniform) = module
            .global_variables
            .iter()
            .find(|(_, variable)| variable.space == AddressSpace::Uniform)
            .unwrap();
        let TypeInner::Struct { members, span } = &module.types[uniform.ty].inner else {
            panic!("{}: the uniform is a struct", info.name);
        };
        assert_eq!(*span as usize, info.params_size, "{}", info.name);
        // The host writes 32-bit words one after the other: no member may leave a gap before it.
        let mut end = 0;
        for member in members {
            let name = member.name.as_deref();
            assert_eq!(member.offset, end, "{}: {name:?}", info.name);
            end += module.types[member.ty].inner.size(module.to_ctx());
        }
    }
}

#[test]
fn override_constants_are_those_that_the_host_sets() {
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let module = parse(kernel);
        let declared: Vec<&str> = module
            .overrides
            .iter()
            .filter_map(|(_, constant)| constant.name.as_deref())
            .collect();
        let by_subgroup = info.by_subgroup.then_some("SUBGROUP");
        let constants = info.constants.iter().map(|(name, _)| *name);
        let set: Vec<&str> = by_subgroup.into_iter().chain(constants).collect();
        assert_eq!(declared, set, "{}", info.name);
    }
}

/// Then no adapter that is taken refuses a kernel: 256 invocations, 16 KiB of workgroup memory, so many bindings.
#[test]
fn workgroups_are_within_the_limits_that_every_adapter_has() {
    for &kernel in Kernel::ALL {
        let name = kernel.info().name;
        let module = parse(kernel);
        // By its constants, and for the widest subgroup.
        let info = kernel.info();
        let widest = info
            .by_subgroup
            .then_some(("SUBGROUP", f64::from(SUBGROUPS[2])));
        let constants = widest.into_iter().chain(info.constants.iter().copied());
        let constants: PipelineConstants = constants.map(|(k, v)| (k.to_owned(), v)).collect();
        let valid = validate(&module, kernel);
        let (module, _) = process_overrides(&module, &valid, None, &constants)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(invocations <= 256, "{name}: {invocations} invocations");
        let bytes: u32 = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
            .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(bytes <= 16 << 10, "{name}: {bytes} bytes");
        let bindings = kernel.info().bindings;
        let is_buffer = |access: &&Access| matches!(access, Access::Read | Access::Write);
        let buffers = bindings.iter().filter(is_buffer).count();
        let images = bindings.len() - buffers;
        let limits = gradcam::low_level::gpu::required_limits();
        assert!(
            buffers <= limits.max_storage_buffers_per_shader_stage as usize,
            "{name}: {buffers} buffers"
        );
        assert!(
            images <= limits.max_storage_textures_per_shader_stage as usize,
            "{name}: {images} images"
        );
    }
}

/// The constants of a shader whose names begin with `prefix`.
fn constants(kernel: Kernel, prefix: &str) -> Vec<(String, u32)> {
    let module = parse(kernel);
    let named = module.constants.iter().filter_map(|(_, constant)| {
        let name = constant.name.as_deref()?;
        name.starts_with(prefix).then_some((name, constant.init))
    });
    let value = |(name, init): (&str, _)| match module.global_expressions[init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => (name.to_owned(), value),
        _ => panic!("{name} is not a u32"),
    };
    named.map(value).collect()
}

#[test]
fn epilogues_and_activations_have_the_numbers_that_the_host_gives_them() {
    let epilogues = Epilogue::NAMED.map(|(name, epilogue)| (name, epilogue as u32));
    let activations = ActivationKind::NAMED.map(|(name, kind)| (name, kind as u32));
    // What is no product is a sum.
    let combined = [("COMBINE_MUL", CombineKind::Mul as u32)];
    for (prefix, known) in [
        ("EPILOGUE_", &epilogues[..]),
        ("ACTIVATION_", &activations),
        ("COMBINE_", &combined),
    ] {
        let mut seen = BTreeSet::new();
        for &kernel in Kernel::ALL {
            for (name, value) in constants(kernel, prefix) {
                let (_, expected) = known
                    .iter()
                    .find(|(known, _)| *known == name)
                    .unwrap_or_else(|| panic!("{name} is unknown to the host"));
                assert_eq!(value, *expected, "{name} in {}", kernel.info().name);
                seen.insert(name);
            }
        }
        assert_eq!(seen.len(), known.len(), "{prefix}: one that no shader has");
    }
}

#[test]
fn each_shader_tells_its_formula_and_its_twin() {
    let twins = concat!(
        include_str!("common/twins/activations.rs"),
        include_str!("common/twins/dense.rs"),
        include_str!("common/twins/joins.rs"),
        include_str!("common/twins/norms.rs"),
        include_str!("common/twins/windows.rs"),
    );
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let (_, after) = info
            .source
            .split_once("CPU twin: ")
            .unwrap_or_else(|| panic!("{} names no CPU twin", info.name));
        let twin = after.split_whitespace().next().unwrap();
        assert!(
            twins.contains(&format!("fn {twin}(")),
            "{}: {twin} is not in tests/common/twins",
            info.name
        );
    }
}

#[test]
fn the_kernel_page_has_a_row_for_every_kernel() {
    let page = include_str!("../src/kernels.rs");
    let page = page.lines().take_while(|line| line.starts_with("//!"));
    let rows: Vec<&str> = page.filter(|line| line.starts_with("//! | `")).collect();
    for &kernel in Kernel::ALL {
        let name = format!("`{}`", kernel.info().name);
        let has_it = |row: &&str| row.split('|').nth(1).is_some_and(|c| c.contains(&name));
        assert!(rows.iter().any(has_it), "{name} is not in src/kernels.rs");
    }
}
