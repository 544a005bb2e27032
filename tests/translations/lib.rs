//! Every shader of the program in MSL 2.4 and HLSL 6.0, by naga with the options that wgpu gives it for Metal and DX12, for all values
//! of its constants, as it stands and with float16 in its buffers. SPIR-V is in `tests/shaders`.
//!
//! `cargo test --release --manifest-path tests/translations/Cargo.toml --target-dir target`
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};

#[path = "../../src/kernels/half.rs"]
#[allow(dead_code, reason = "the program uses more of it")]
mod half;

/// What each of a shader's constants can be.
fn values(constant: &str, source: &str) -> Vec<f64> {
    match constant {
        "SUBGROUP" => vec![4.0, 8.0, 16.0],
        "STRIDE" => vec![1.0, 2.0],
        "TAPS" => vec![3.0, 5.0],
        "TILE" => vec![32.0, 64.0],
        "SIZE" => vec![2.0, 4.0],
        // Sigmoid, SiLU, hard sigmoid, hard swish, none: src/kernels/table.rs.
        "ACTIVATION" => vec![2.0, 4.0, 5.0, 6.0, 99.0],
        // All that the shader names.
        "KIND" => {
            let kinds = source.lines().filter_map(|line| {
                let (_, value) = line.strip_prefix("const ACTIVATION_")?.split_once(" = ")?;
                value.strip_suffix("u;")?.parse().ok()
            });
            let kinds: Vec<f64> = kinds.collect();
            assert!(kinds.len() > 1, "the kinds' names have another form");
            kinds
        }
        "BLOCKS" => vec![1.0, 2.0],
        "ADDED" | "EACH" | "HALF" | "MANY" | "MASKED" | "NORMED" | "SCALED" | "SHIFTED"
        | "SHUFFLED" | "SPREAD" | "TURNED" | "WIDE" => vec![0.0, 1.0],
        other => panic!("what can {other} be?"),
    }
}

/// A shader with its constants set.
struct Kernel {
    /// For people: its file and its constants.
    name: String,
    module: Module,
    info: ModuleInfo,
}

/// Calls `check` with every shader and every choice of its constants, on all cores.
fn each_kernel(check: impl Fn(&Kernel) + Sync) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shaders");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    count.fetch_add(each_form(path, &check), Ordering::Relaxed);
                }
            });
        }
    });
    let count = count.into_inner();
    assert!(count > 60, "{count} kernels");
}

/// The same with one shader, as it stands and with float16.
fn each_form(path: &Path, check: &impl Fn(&Kernel)) -> usize {
    let source = std::fs::read_to_string(path).unwrap();
    let file = path.file_stem().unwrap().to_string_lossy();
    let halved = in_halves(&source).unwrap_or_else(|error| panic!("{file}: {error}"));
    each_choice(&file, &source, check) + each_choice(&format!("{file} in float16"), &halved, check)
}

/// Calls `check` with a shader and every choice of its constants; returns how many that were.
fn each_choice(file: &str, source: &str, check: &impl Fn(&Kernel)) -> usize {
    let mut count = 0;
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{file}: {}", error.emit_to_string(source)));
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{file}: {}", error.emit_to_string(source)));
    let mut choices = vec![PipelineConstants::default()];
    // A constant without a name is what another comes to, as in an array's length.
    let named = module.overrides.iter().map(|(_, it)| it.name.as_deref());
    for name in named.flatten() {
        let each = choices.iter().flat_map(|choice| {
            values(name, source).into_iter().map(move |value| {
                let mut choice = choice.clone();
                choice.insert(name.to_owned(), value);
                choice
            })
        });
        choices = each.collect();
    }
    for constants in choices {
        let name = format!("{file} {constants:?}");
        let entry = Some((ShaderStage::Compute, "main"));
        let set = pipeline_constants::process_overrides(&module, &info, entry, &constants);
        let (module, info) = set.unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&Kernel {
            name,
            module: module.into_owned(),
            info: info.into_owned(),
        });
        count += 1;
    }
    count
}

/// A shader with float16 in every buffer and image that may hold it.
fn in_halves(source: &str) -> Result<String, half::HalfError> {
    let mut halves = vec![];
    for binding in 1..16 {
        match half::halved(source, half::Halves::of([binding]), 16) {
            Ok(_) => halves.push(binding),
            Err(half::HalfError::Absent(_) | half::HalfError::Type(_)) => {}
            Err(error) => return Err(error),
        }
    }
    half::halved(source, half::Halves::of(halves), 16)
}

/// Buffers, uniforms among them, and images of a shader, with whether it writes to them.
struct Resource {
    binding: naga::ResourceBinding,
    is_uniform: bool,
    is_image: bool,
    is_written: bool,
}

fn resources(module: &Module) -> Vec<Resource> {
    let all = module.global_variables.iter();
    let bound = all.filter_map(|(_, variable)| Some((variable.binding?, variable)));
    let each = bound.map(|(binding, variable)| {
        let access = match (variable.space, &module.types[variable.ty].inner) {
            (AddressSpace::Storage { access }, _) => access,
            (_, TypeInner::Image { class, .. }) => match class {
                naga::ImageClass::Storage { access, .. } => *access,
                _ => StorageAccess::LOAD,
            },
            _ => StorageAccess::LOAD,
        };
        Resource {
            binding,
            is_uniform: variable.space == AddressSpace::Uniform,
            is_image: variable.space == AddressSpace::Handle,
            is_written: access.contains(StorageAccess::STORE),
        }
    });
    each.collect()
}

#[test]
fn every_kernel_is_written_in_msl() {
    each_kernel(|kernel| {
        let mut resources_of = msl::EntryPointResources::default();
        let (mut buffers, mut textures) = (0, 0);
        let next = |counter: &mut u8| {
            *counter += 1;
            Some(*counter - 1)
        };
        for it in resources(&kernel.module) {
            let mut target = msl::BindTarget {
                mutable: it.is_written,
                ..msl::BindTarget::default()
            };
            match it.is_image {
                true => target.texture = next(&mut textures),
                false => target.buffer = next(&mut buffers),
            }
            resources_of.resources.insert(it.binding, target);
        }
        resources_of.sizes_buffer = next(&mut buffers);
        let options = msl::Options {
            lang_version: (2, 4),
            fake_missing_bindings: false,
            per_entry_point_map: [("main".to_owned(), resources_of)].into(),
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                buffer: BoundsCheckPolicy::Restrict,
                image_load: BoundsCheckPolicy::Restrict,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: false,
            ..msl::Options::default()
        };
        let pipeline = msl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, "main".into())),
            vertex_pulling_transform: true,
            ..msl::PipelineOptions::default()
        };
        let (source, info) = msl::write_string(&kernel.module, &kernel.info, &options, &pipeline)
            .unwrap_or_else(|error| panic!("{}: {error}", kernel.name));
        for name in &info.entry_point_names {
            let name = name.as_ref();
            let name = name.unwrap_or_else(|error| panic!("{}: {error}", kernel.name));
            let declared = format!("kernel void {name}(");
            assert!(source.contains(&declared), "{}: {source}", kernel.name);
        }
    });
}

#[test]
fn every_kernel_is_written_in_hlsl() {
    each_kernel(|kernel| {
        let mut options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_0,
            fake_missing_bindings: false,
            special_constants_binding: Some(hlsl::BindTarget::default()),
            zero_initialize_workgroup_memory: false,
            restrict_indexing: true,
            ..hlsl::Options::default()
        };
        // Uniforms, what is read and what is written are counted apart; 0 of the uniforms is the number of workgroups.
        let mut registers = [1, 0, 0];
        for it in resources(&kernel.module) {
            let register = match it {
                Resource {
                    is_uniform: true, ..
                } => &mut registers[0],
                Resource {
                    is_written: true, ..
                } => &mut registers[2],
                _ => &mut registers[1],
            };
            let target = hlsl::BindTarget {
                register: *register,
                restrict_indexing: true,
                ..hlsl::BindTarget::default()
            };
            *register += 1;
            options.binding_map.insert(it.binding, target);
        }
        let pipeline = hlsl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, "main".into())),
        };
        let mut source = String::new();
        let written = hlsl::Writer::new(&mut source, &options, &pipeline).write(
            &kernel.module,
            &kernel.info,
            None,
        );
        let info = written.unwrap_or_else(|error| panic!("{}: {error}", kernel.name));
        for name in info.entry_point_names {
            let name = name.unwrap_or_else(|error| panic!("{}: {error}", kernel.name));
            assert!(source.contains(&format!("void {name}(")), "{}", kernel.name);
        }
    });
}
