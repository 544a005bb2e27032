//! How wide the vectors are in which Mesa's software adapter computes: 256 bits, unless it is told otherwise before it is loaded.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What tells it, as a number of bits.
pub const VARIABLE: &str = "LP_NATIVE_VECTOR_WIDTH";

/// What names drivers to the Vulkan loader. Who sets one of these chooses the width as well.
const DRIVERS: [&str; 3] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"];

/// What a driver's manifest says of Vulkan's headers that it was built with, which is one number for each series of Mesa: that of 22.3.
/// Mesa 25 with LLVM 19 gives wrong values in vectors of 512 bits.
const HEADERS: &str = "230";

/// Drivers' manifests, as far as they matter here.
#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "ICD")]
    icd: Icd,
}

#[derive(Deserialize)]
struct Icd {
    library_path: String,
    api_version: String,
}

/// Whether vectors of 512 bits are right and faster: the processor has them and does not slow down for them, every software adapter of
/// Mesa that the Vulkan loader finds is of a series known to compute right in them, and nobody has chosen.
pub fn are_512_bits_better() -> bool {
    let has_chosen = |name| env::var_os(name).is_some();
    !has_chosen(VARIABLE)
        && !DRIVERS.into_iter().any(has_chosen)
        && has_512_bits()
        && are_all_right(&folders(|name| env::var_os(name)))
}

/// Whether the processor has vectors of 512 bits and is of those that were measured to compute faster in them: AMD's from Zen 4 on.
/// Intel's take longer, most for networks with small layers.
fn has_512_bits() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512vbmi2")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && fs::read_to_string("/proc/cpuinfo").is_ok_and(|told| is_amd(&told))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Whether Linux' `/proc/cpuinfo` says that the first processor is AMD's.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "the others have no such vectors")
)]
fn is_amd(cpuinfo: &str) -> bool {
    let vendor = cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "vendor_id").then_some(value.trim())
    });
    vendor == Some("AuthenticAMD")
}

/// Where the Vulkan loader looks for manifests on Linux.
fn folders(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let home = |name: &str, below: &str| {
        let at_home = || Some(PathBuf::from(set("HOME")?).join(below));
        set(name).map(PathBuf::from).or_else(at_home)
    };
    let several = |name: &str, otherwise: &str| {
        let all = set(name).unwrap_or_else(|| otherwise.into());
        env::split_paths(&all).collect::<Vec<_>>()
    };
    let mut roots = several("XDG_CONFIG_DIRS", "/etc/xdg");
    roots.extend(several("XDG_DATA_DIRS", "/usr/local/share:/usr/share"));
    roots.extend(["/etc", "/usr/local/etc"].map(PathBuf::from));
    roots.extend(home("XDG_CONFIG_HOME", ".config"));
    roots.extend(home("XDG_DATA_HOME", ".local/share"));
    let folder = |root: PathBuf| root.join("vulkan/icd.d");
    roots.into_iter().map(folder).collect()
}

/// Whether there is a software adapter of Mesa in these folders, and all that there are compute right in 512 bits.
fn are_all_right(folders: &[PathBuf]) -> bool {
    let files = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let paths = files.filter_map(|entry| Some(entry.ok()?.path()));
    let mut right = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| is_right(&path))
        .peekable();
    right.peek().is_some() && right.all(|is_right| is_right)
}

/// Whether the adapter of a manifest computes right; none where it is another driver's. A manifest that says nothing may be of any.
fn is_right(path: &Path) -> Option<bool> {
    let told = fs::read(path).ok();
    match told.and_then(|told| serde_json::from_slice::<Manifest>(&told).ok()) {
        Some(Manifest { icd }) => {
            let is_software = icd.library_path.contains("vulkan_lvp");
            is_software.then(|| icd.api_version.rsplit('.').next() == Some(HEADERS))
        }
        None => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOFTWARE: &str = "libvulkan_lvp.so";

    /// Whether all is right in a folder of manifests: each its library and its version.
    fn is_chosen(manifests: &[[&str; 2]]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        for (i, [library, version]) in manifests.iter().enumerate() {
            let text = format!(
                r#"{{"ICD": {{"api_version": "{version}", "library_path": "{library}"}}, "file_format_version": "1.0.0"}}"#
            );
            fs::write(folder.path().join(format!("{i}.json")), text).unwrap();
        }
        are_all_right(&[folder.path().into(), folder.path().join("none")])
    }

    #[test]
    fn the_series_that_is_known_to_be_right_is_taken() {
        assert!(is_chosen(&[[SOFTWARE, "1.1.230"]]));
        assert!(is_chosen(&[
            ["libvulkan_radeon.so", "1.4.305"],
            [SOFTWARE, "1.3.230"],
        ]));
    }

    #[test]
    fn other_series_none_and_several_are_not() {
        assert!(!is_chosen(&[]));
        assert!(!is_chosen(&[[SOFTWARE, "1.4.305"]]));
        assert!(!is_chosen(&[[SOFTWARE, "1.1.2300"]]));
        assert!(!is_chosen(&[["libvulkan_radeon.so", "1.1.230"]]));
        assert!(!is_chosen(&[
            [SOFTWARE, "1.1.230"],
            ["newer/libvulkan_lvp.so", "1.4.305"],
        ]));
    }

    #[test]
    fn a_manifest_that_is_none_may_be_of_any_series() {
        let folder = tempfile::tempdir().unwrap();
        let manifest =
            format!(r#"{{"ICD": {{"api_version": "1.1.230", "library_path": "{SOFTWARE}"}}}}"#);
        fs::write(folder.path().join("lvp.json"), manifest).unwrap();
        let folders = [folder.path().into()];
        assert!(are_all_right(&folders));
        fs::write(folder.path().join("other.json"), "{").unwrap();
        assert!(!are_all_right(&folders));
    }

    #[test]
    fn processors_of_other_makers_keep_their_width() {
        let told = |vendor: &str| {
            format!(
                "processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: AuthenticAMD\nflags\t\t: avx512vl\n"
            )
        };
        assert!(is_amd(&told("AuthenticAMD")));
        assert!(!is_amd(&told("GenuineIntel")));
        assert!(!is_amd("processor\t: 0\nCPU implementer\t: 0x41\n"));
        assert!(!is_amd(""));
    }

    #[test]
    fn folders_are_those_of_the_loader() {
        let by = |set: &'static [(&str, &str)]| {
            folders(move |name| {
                let found = set.iter().find(|(there, _)| *there == name);
                found.map(|(_, value)| value.into())
            })
        };
        let plain = by(&[("HOME", "/home/a")]);
        for there in [
            "/etc/vulkan/icd.d",
            "/usr/share/vulkan/icd.d",
            "/home/a/.local/share/vulkan/icd.d",
        ] {
            assert!(plain.contains(&there.into()), "{there}");
        }
        let moved = by(&[("XDG_DATA_DIRS", "/a:/b"), ("XDG_DATA_HOME", "/c")]);
        for there in ["/a/vulkan/icd.d", "/b/vulkan/icd.d", "/c/vulkan/icd.d"] {
            assert!(moved.contains(&there.into()), "{there}");
        }
        assert!(!moved.contains(&"/usr/share/vulkan/icd.d".into()));
    }
}
