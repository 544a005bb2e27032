//! The built-in network on adapters that this machine has beside the first: other vector widths, another driver.

use std::process::Command;

use crate::common::device::GPU;

/// Where SwiftShader's driver is described, if it is there: Debian's Chromium brings it, Chrome too.
#[cfg(target_os = "linux")]
const SWIFTSHADER: [&str; 3] = [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
];

/// Runs `the_built_in_network_agrees_with_pytorch` once more on the adapter that `variable` makes of this one, whose name holds
/// `adapter`.
fn agrees_on(adapter: &str, (variable, value): (&str, &str)) {
    let test = "builtin::the_built_in_network_agrees_with_pytorch";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, wrong) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{adapter}: {told}{wrong}");
    assert!(told.contains(adapter), "{adapter} did not run: {told}");
    assert!(
        told.contains("by kernels for subgroups"),
        "{adapter}: {told}"
    );
}

/// Elsewhere a subgroup of Mesa's software adapter has another width, 4 on ARM and 16 where vectors of 512 bits are on.
#[test]
fn the_built_in_network_agrees_with_pytorch_at_every_width_of_a_vector() {
    if GPU.info().driver.contains("llvmpipe") {
        for bits in ["128", "256", "512"] {
            let adapter = format!("{bits} bits");
            if !GPU.info().name.contains(&adapter) {
                agrees_on(&adapter, ("LP_NATIVE_VECTOR_WIDTH", bits));
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_built_in_network_agrees_with_pytorch_on_swiftshader() {
    let driver = SWIFTSHADER
        .iter()
        .find(|path| std::path::Path::new(path).exists());
    let driver = driver.expect(
        "SwiftShader is a second driver to hold results against: .ci/adapter installs it, or `apt-get install \
         chromium-common`",
    );
    agrees_on("SwiftShader", ("VK_DRIVER_FILES", driver));
}
