//! What Mesa's driver of AMD GPUs makes of the kernels that GPUs get, on a machine without one: registers, spills, workgroup
//! memory, waves, instructions, and how much of the inner loop is multiply-adds. A model of speed, not a measurement.
//!
//! - `cargo bench --bench amd_static` prints a table. Behind `--`: families of GPUs as RADV names them (`vega10 navi21`, the
//!   default, `navi31`, `gfx1201`, as far as the driver knows them), `--only TEXT` for the kernels with this in their names,
//!   `--unchecked` for the same without naga's checks, `--assembly` for the instructions.
//! - `cargo test` checks on two families that no kernel spills, that two waves of each fit a SIMD unit, and that nine of ten
//!   instructions in the inner loops of the large products are multiply-adds.
//!
//! Where RADV is not installed (Debian's mesa-vulkan-drivers), both say so and end well.

#[cfg(target_os = "linux")]
mod assembly;
#[cfg(target_os = "linux")]
mod driver;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod spirv;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    figures::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: RADV is a driver of Linux");
}
