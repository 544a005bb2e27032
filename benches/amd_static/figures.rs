//! Figures of each kernel and family, in a table or held against what must be so.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use gradcam::low_level::kernels::{Access, Kernel, KernelInfo};
use serde::{Deserialize, Serialize};

use crate::assembly::{self, Loop};
use crate::driver::Driver;
use crate::spirv::{self, Checks};

/// One of GCN, one of RDNA: known to every Mesa since 2020.
const FAMILIES: [&str; 2] = ["vega10", "navi21"];
/// Tells the driver which GPU to compile for; set in the processes that compile.
const FAMILY: &str = "RADV_FORCE_FAMILY";

const COMPILE: &str = "--compile";

/// Of one kernel on one family.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    kernel: String,
    vector_registers: u64,
    scalar_registers: u64,
    /// Registers that went to memory, and bytes of memory that an invocation has for them and for private arrays.
    spilled: u64,
    scratch: u64,
    workgroup_memory: u64,
    /// Of 64 invocations, at once on a SIMD unit.
    waves: u64,
    instructions: u64,
    inner_loop: Option<Loop>,
}

/// Of all kernels on one family; a line of JSON from the process that compiles.
#[derive(Serialize, Deserialize)]
struct Family {
    device: String,
    driver: String,
    kernels: Vec<Figures>,
}

/// What this process is for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Task {
    /// `cargo test` starts it without a word.
    #[default]
    Check,
    /// `cargo bench` says `--bench`.
    Print,
    /// To compile for the family in the environment, and print what came of it as JSON.
    Compile,
}

#[derive(Default)]
struct Options {
    task: Task,
    families: Vec<String>,
    only: String,
    checks: Checks,
    assembly: bool,
}

impl Options {
    fn read() -> Self {
        let mut options = Self::default();
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                COMPILE => options.task = Task::Compile,
                "--bench" if options.task == Task::Check => options.task = Task::Print,
                "--unchecked" => options.checks = Checks::Left,
                "--assembly" => options.assembly = true,
                "--only" => options.only = args.next().unwrap_or_default(),
                _ if arg.starts_with("--") => {}
                _ => options.families.push(arg),
            }
        }
        options
    }
}

pub(crate) fn main() -> ExitCode {
    let options = Options::read();
    match options.task {
        Task::Check => check(&options),
        Task::Print => print(&options),
        Task::Compile => match compile_all(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn print(options: &Options) -> ExitCode {
    let Some(files) = driver_files() else {
        println!("{ABSENT}");
        return ExitCode::SUCCESS;
    };
    let names: Vec<&str> = match options.families.is_empty() {
        true => FAMILIES.to_vec(),
        false => options.families.iter().map(String::as_str).collect(),
    };
    let passed: Vec<String> = std::env::args().skip(1).collect();
    for name in names {
        match family(name, &files, &passed) {
            Ok(it) => print!("{}", table(name, &it)),
            Err(error) => println!("\n{name}: {error}"),
        }
    }
    ExitCode::SUCCESS
}

const ABSENT: &str =
    "skipped: RADV is not installed (`apt-get install libvulkan1 mesa-vulkan-drivers`)";

/// What `cargo test` runs. A word behind it names tests, which none of these is.
fn check(options: &Options) -> ExitCode {
    let name = "kernels_for_gpus_spill_nothing_and_leave_room_for_two_waves_on_amd";
    if options.families.iter().any(|filter| !name.contains(filter)) {
        return ExitCode::SUCCESS;
    }
    assembly::check();
    let Some(files) = driver_files() else {
        println!("test {name} ... {ABSENT}");
        return ExitCode::SUCCESS;
    };
    let mut wrong = vec![];
    std::thread::scope(|scope| {
        let each = FAMILIES.map(|name| scope.spawn(|| family(name, &files, &[])));
        for (name, it) in FAMILIES.iter().zip(each) {
            match it.join().expect("it panics nowhere") {
                Ok(it) => {
                    let faults = faults(&it).into_iter();
                    wrong.extend(faults.map(|fault| format!("{name}: {fault}")));
                }
                Err(error) => wrong.push(format!("{name}: {error}")),
            }
        }
    });
    if wrong.is_empty() {
        println!("test {name} ... ok");
        return ExitCode::SUCCESS;
    }
    println!("test {name} ... FAILED\n{}", wrong.join("\n"));
    ExitCode::FAILURE
}

/// The products in large tiles: where a forward pass spends its time.
const PRODUCTS: [&str; 2] = ["conv2d_tiled TILE 64", "winograd_product_tiled TILE 64"];

/// What must not be.
fn faults(family: &Family) -> Vec<String> {
    let mut faults = vec![];
    for it in &family.kernels {
        let name = &it.kernel;
        if it.spilled > 0 || it.scratch > 0 {
            let (spilled, scratch) = (it.spilled, it.scratch);
            faults.push(format!(
                "{name} spills {spilled} registers, {scratch} bytes of scratch"
            ));
        }
        // One wave waits while another computes.
        if it.waves < 2 {
            faults.push(format!("{name} leaves a SIMD unit {} wave", it.waves));
        }
        if !PRODUCTS.contains(&name.as_str()) {
            continue;
        }
        match it.inner_loop {
            Some(inner) if inner.multiply_adds * 100 >= inner.instructions * 89 => {}
            inner => faults.push(format!("{name} has too few multiply-adds: {inner:?}")),
        }
    }
    faults
}

/// Where RADV is described to the loader.
fn driver_files() -> Option<PathBuf> {
    let folders = [
        "/usr/share/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
    ];
    let files = folders
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let is_radv = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Both words of the machine can be installed.
        name.starts_with("radeon_icd") && !name.contains("i686")
    };
    files.into_iter().find(is_radv)
}

/// Compiles all kernels for a family, in a process of its own: the driver ends it where it does not know the family.
fn family(name: &str, files: &Path, args: &[String]) -> Result<Family, String> {
    let program = std::env::args_os().next().ok_or("without a name")?;
    let output = Command::new(program)
        .arg(COMPILE)
        .args(args)
        .env(FAMILY, name)
        .env("VK_DRIVER_FILES", files)
        .env("VK_ICD_FILENAMES", files)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, said.trim()));
    }
    eprint!("{said}");
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", said.trim()))
}

fn compile_all(options: &Options) -> Result<(), String> {
    let driver = Driver::open()?;
    let mut kernels = vec![];
    for kernel in Kernel::ALL {
        let info = kernel.info();
        let name = name(&info);
        if !is_for_gpus(&info) || !name.contains(&options.only) {
            continue;
        }
        let it = figures(&driver, &info, &name, options);
        kernels.push(it.map_err(|error| format!("{name}: {error}"))?);
    }
    let family = Family {
        device: driver.name.clone(),
        driver: driver.version.clone(),
        kernels,
    };
    let line = serde_json::to_string(&family).map_err(|error| error.to_string())?;
    println!("{line}");
    Ok(())
}

/// GPUs get every kernel but those for a software adapter's subgroups.
fn is_for_gpus(info: &KernelInfo) -> bool {
    let buffers = info
        .bindings
        .iter()
        .all(|it| matches!(it, Access::Read | Access::Write | Access::WriteSingly));
    buffers && !info.by_subgroup
}

/// Its file with its constants: "conv2d_tiled TILE 64".
fn name(info: &KernelInfo) -> String {
    let each = info.constants.iter();
    let constants = each.map(|(constant, value)| format!(" {constant} {value}"));
    std::iter::once(info.name.to_owned())
        .chain(constants)
        .collect()
}

fn figures(
    driver: &Driver,
    info: &KernelInfo,
    name: &str,
    options: &Options,
) -> Result<Figures, String> {
    let compiled = driver.compile(info, &spirv::words(info, options.checks))?;
    if options.assembly {
        eprintln!("{name}\n{}", compiled.assembly);
    }
    let spilled = compiled.statistic("Spilled VGPRs")? + compiled.statistic("Spilled SGPRs")?;
    Ok(Figures {
        kernel: name.to_owned(),
        vector_registers: compiled.statistic("VGPRs")?,
        scalar_registers: compiled.statistic("SGPRs")?,
        spilled,
        scratch: compiled.statistic("Scratch size")?,
        workgroup_memory: compiled.statistic("LDS size")?,
        waves: compiled.statistic("Subgroups per SIMD")?,
        instructions: compiled.statistic("Instructions")?,
        inner_loop: assembly::inner_loop(&compiled.assembly),
    })
}

/// For people, and for a page of Markdown.
fn table(name: &str, family: &Family) -> String {
    let head = format!(
        "\n{name}: {}, {}\n\n\
         | kernel | vector registers | scalar | spilled | workgroup memory, bytes | waves a SIMD | instructions | inner loop | multiply-adds |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        family.device, family.driver
    );
    let rows = family.kernels.iter().map(row);
    std::iter::once(head).chain(rows).collect()
}

fn row(it: &Figures) -> String {
    let (inner, share) = it.inner_loop.map_or(("-".into(), "-".into()), |inner| {
        let Loop {
            instructions,
            multiply_adds,
        } = inner;
        let percent = 100.0 * multiply_adds as f64 / instructions as f64;
        (
            instructions.to_string(),
            format!("{multiply_adds} ({percent:.1} %)"),
        )
    });
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {inner} | {share} |\n",
        it.kernel,
        it.vector_registers,
        it.scalar_registers,
        it.spilled,
        it.workgroup_memory,
        it.waves,
        it.instructions,
    )
}
