//! Every shader parses and validates, and agrees with the kernel table on the host.

use std::collections::{BTreeMap, BTreeSet};

use gradcam::low_level::kernels::half::{self, HalfError, Halves};
use gradcam::low_level::kernels::half_words::without_builtins;
use gradcam::low_level::kernels::{
    Access, ActivationKind, CombineKind, Epilogue, Kernel, KernelInfo, SUBGROUP_BUFFERS, SUBGROUPS,
    sampled,
};
use naga::back::PipelineConstants;
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

// Elsewhere naga writes no SPIR-V: Cargo.toml.
#[cfg(target_os = "linux")]
mod spirv;

/// Subgroups where an adapter has them; float16 out of words, for which there is another form where a device has none.
const CAPABILITIES: Capabilities =
    Capabilities::SUBGROUP.union(Capabilities::SHADER_FLOAT16_IN_FLOAT32);

fn parse(kernel: Kernel) -> Module {
    let info = kernel.info();
    let module = parse_text(info.name, info.source);
    validate(&module, kernel);
    module
}

fn parse_text(name: &str, source: &str) -> Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(source)))
}

fn validate(module: &Module, kernel: Kernel) -> ModuleInfo {
    let KernelInfo { name, source, .. } = kernel.info();
    validate_text(module, name, source)
}

fn validate_text(module: &Module, name: &str, source: &str) -> ModuleInfo {
    validate_with(CAPABILITIES, module, name, source)
}

fn validate_with(
    capabilities: Capabilities,
    module: &Module,
    name: &str,
    source: &str,
) -> ModuleInfo {
    Validator::new(ValidationFlags::all(), capabilities)
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
                Access::Write | Access::WriteSingly => {
                    storage(StorageAccess::LOAD | StorageAccess::STORE)
                }
                Access::Image | Access::Matrix => AddressSpace::Handle,
            };
            expected.push((i as u32 + 1, space));
        }
        assert_eq!(bindings, expected, "{}", info.name);
    }
}

/// Mesa 25.0.7 loads zeros from images of words on some processors.
#[test]
fn images_are_of_floats() {
    for &kernel in Kernel::ALL {
        let module = parse(kernel);
        for (_, ty) in module.types.iter() {
            let TypeInner::Image { class, .. } = ty.inner else {
                continue;
            };
            let is_of_floats = match class {
                naga::ImageClass::Storage { format, .. } => {
                    naga::Scalar::from(format).kind == naga::ScalarKind::Float
                }
                naga::ImageClass::Sampled { kind, .. } => kind == naga::ScalarKind::Float,
                _ => false,
            };
            assert!(is_of_floats, "{}: {class:?}", kernel.info().name);
        }
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
        let images = images.filter(|access| matches!(access, Access::Image | Access::Matrix));
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
        let is_buffer =
            |access: &&Access| matches!(access, Access::Read | Access::Write | Access::WriteSingly);
        let buffers = bindings.iter().filter(is_buffer).count();
        let images = bindings.len() - buffers;
        let limits = gradcam::low_level::gpu::required_limits();
        let most_buffers = match info.by_subgroup {
            true => SUBGROUP_BUFFERS,
            false => limits.max_storage_buffers_per_shader_stage,
        };
        assert!(
            buffers <= most_buffers as usize,
            "{name}: {buffers} buffers"
        );
        assert!(
            images <= limits.max_storage_textures_per_shader_stage as usize,
            "{name}: {images} images"
        );
    }
}

/// The bindings of a shader that hold float32, and may hold float16 in its place.
fn can_be_half(module: &Module, kernel: Kernel) -> Vec<u32> {
    let bindings = kernel.info().bindings.iter().zip(1..);
    let half = bindings.filter(|&(access, binding)| {
        let mut variables = module.global_variables.iter();
        let is_it = |it: &naga::GlobalVariable| it.binding.is_some_and(|it| it.binding == binding);
        let (_, variable) = variables.find(|(_, it)| is_it(it)).unwrap();
        let holds_floats = match module.types[variable.ty].inner {
            TypeInner::Array { base, .. } => {
                let scalar = module.types[base].inner.scalar();
                scalar == Some(naga::Scalar::F32)
            }
            _ => *access == Access::Image,
        };
        holds_floats && *access != Access::WriteSingly
    });
    half.map(|(_, binding)| binding).collect()
}

/// Each alone and all together; what is loaded and stored is still there, and where something is stored there is a word for what
/// is too large.
#[test]
fn every_kernel_has_a_form_for_buffers_of_float16() {
    for &kernel in Kernel::ALL {
        let KernelInfo {
            name,
            source,
            bindings,
            ..
        } = kernel.info();
        let can_be = can_be_half(&parse(kernel), kernel);
        let overflow = bindings.len() as u32 + 1;
        let each = can_be.iter().map(|binding| vec![*binding]);
        for halves in each.chain([can_be.clone()]) {
            let made = half::halved(source, Halves::of(halves.clone()), overflow)
                .unwrap_or_else(|error| panic!("{name}, {halves:?}: {error}"));
            let sampled = sampled(&made);
            validate_text(&parse_text(name, &sampled), name, &sampled);
            let module = parse_text(name, &made);
            validate_text(&module, name, &made);
            let has_overflow = module
                .global_variables
                .iter()
                .any(|(_, it)| it.binding.is_some_and(|it| it.binding == overflow));
            let writes = |&binding: &u32| bindings[binding as usize - 1] == Access::Write;
            assert_eq!(has_overflow, halves.iter().any(writes), "{name}");
        }
    }
}

/// As it stands and with float16 in every buffer that may hold it.
#[test]
fn every_kernel_has_a_form_for_devices_without_float16_in_words() {
    let mut replaced = 0;
    for &kernel in Kernel::ALL {
        let info = kernel.info();
        let halves = Halves::of(can_be_half(&parse(kernel), kernel));
        let halved = half::halved(info.source, halves, info.bindings.len() as u32 + 1).unwrap();
        for source in [info.source, &halved] {
            let made = without_builtins(source);
            let module = parse_text(info.name, &made);
            validate_with(Capabilities::SUBGROUP, &module, info.name, &made);
            replaced += usize::from(made != source);
        }
    }
    assert!(replaced > Kernel::ALL.len() / 2, "{replaced} replaced");
}

#[test]
fn what_cannot_hold_float16_is_refused_by_its_binding() {
    let source = |uses: &str| {
        format!(
            "@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<vec4<f32>>;
fn first(z: vec4<f32>, at: u32) -> f32 {{ return z[0] + z[at]; }}
@compute @workgroup_size(1) fn main() {{ {uses} }}"
        )
    };
    let refused =
        |uses: &str, binding| half::halved(&source(uses), Halves::of([binding]), 4).unwrap_err();
    assert_eq!(refused("", 1), HalfError::Type(1));
    assert_eq!(refused("", 2), HalfError::Type(2));
    assert_eq!(refused("", 5), HalfError::Absent(5));
    for uses in [
        "z[0].x = 1.0;",
        "z[0][1] = 1.0;",
        "z[0] += vec4(1.0);",
        "let z = 1;",
    ] {
        assert_eq!(refused(uses, 3), HalfError::Use(3), "{uses}");
    }
    let made = half::halved(
        &source("z[i32(z[1].x)] = z[2] * z[3].w; // z is\n"),
        Halves::of([3]),
        4,
    )
    .unwrap();
    let rewritten =
        "store_z(u32(i32(load_z(u32(1)).x)), load_z(u32(2)) * load_z(u32(3)).w); // z is";
    assert!(made.contains(rewritten), "{made}");
    // The parameter, not the buffer.
    assert!(made.contains("{ return z[0] + z[at]; }"), "{made}");
    validate_text(&parse_text("made up", &made), "made up", &made);
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
    let combined = [
        ("COMBINE_MUL", CombineKind::Mul as u32),
        ("COMBINE_MAX", CombineKind::Max as u32),
        ("COMBINE_AT_LEAST", CombineKind::AtLeast as u32),
        ("COMBINE_ABOVE", CombineKind::Above as u32),
    ];
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
        include_str!("../common/twins/activations.rs"),
        include_str!("../common/twins/attention.rs"),
        include_str!("../common/twins/dense.rs"),
        include_str!("../common/twins/joins.rs"),
        include_str!("../common/twins/norms.rs"),
        include_str!("../common/twins/windows.rs"),
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
    let page = include_str!("../../src/kernels.rs");
    let page = page.lines().take_while(|line| line.starts_with("//!"));
    let rows: Vec<&str> = page.filter(|line| line.starts_with("//! | `")).collect();
    for &kernel in Kernel::ALL {
        let name = format!("`{}`", kernel.info().name);
        let has_it = |row: &&str| row.split('|').nth(1).is_some_and(|c| c.contains(&name));
        assert!(rows.iter().any(has_it), "{name} is not in src/kernels.rs");
    }
}

/// Helpers that shaders have copies of: each file is WGSL as it stands, and a mend of one copy is a mend of all.
#[test]
fn copies_of_a_helper_are_the_same_in_all_shaders() {
    const HELPERS: [&str; 17] = [
        "block",
        "end",
        "exp_of",
        "first_tap",
        "half_blocks",
        "high",
        "low",
        "normal",
        "over",
        "passes",
        "place",
        "present",
        "product",
        "sigmoid",
        "sum_over_lanes",
        "value",
        "x_at",
    ];
    let mut seen: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut names: Vec<(&str, &str)> = Kernel::ALL
        .iter()
        .map(|kernel| (kernel.info().name, kernel.info().source))
        .collect();
    names.dedup();
    let mut copies = 0;
    for (name, source) in &names {
        for start in source.match_indices("\nfn ").map(|(at, _)| at + 1) {
            let function = &source[start..];
            let function = &function[..function.find("\n}").unwrap()];
            let (head, body) = function.split_once('{').unwrap();
            let called = head["fn ".len()..].split('(').next().unwrap();
            if !HELPERS.contains(&called) {
                continue;
            }
            let (first, expected) = *seen.entry(head).or_insert((name, body));
            assert_eq!(body, expected, "{called} of {name} and {first}");
            copies += usize::from(first != *name);
        }
    }
    assert!(copies > 20, "{copies}");
}
