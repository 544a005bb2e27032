//! The device: listing, choosing, none at all, too little of it.

use std::process::Command;

use crate::harness::{Folder, Run};

#[test]
fn the_adapters_are_listed_as_text_and_as_json() {
    let folder = Folder::empty();
    let text = folder.prints("adapters");
    let json: serde_json::Value = serde_json::from_str(&folder.prints("adapters --json")).unwrap();
    let adapters = json["adapters"].as_array().unwrap();
    assert_eq!(text.lines().count(), adapters.len());
    for (line, adapter) in text.lines().zip(adapters) {
        for key in ["name", "backend", "type", "driver"] {
            let value = adapter[key].as_str().unwrap();
            assert!(line.contains(value), "{key} {value}: {line}");
        }
    }
}

#[test]
fn an_adapter_is_chosen_by_a_part_of_its_name_in_any_case() {
    let folder = Folder::new();
    let json: serde_json::Value = serde_json::from_str(&folder.prints("adapters --json")).unwrap();
    let name = json["adapters"][0]["name"].as_str().unwrap();
    let word = name.split(' ').next().unwrap().to_uppercase();
    let report = &folder.json(&format!(
        "cat.png tiny.npy -c 1 --outputs heatmap --adapter {word}"
    ))[0];
    assert_eq!(report["adapter"]["name"], name);
}

#[test]
fn direct_convolutions_give_the_same_map_but_for_rounding() {
    let folder = Folder::new();
    let map = |how: &str| {
        let line = format!("cat.png -c 1 --outputs raw --score logit --convolution {how}");
        let report = folder.json(&line).remove(0);
        let file = &report["classes"][0]["maps"][0]["files"]["gradcam.npy"];
        let (values, _) = folder.array(file.as_str().unwrap());
        (values, report["adapter"]["name"].to_string())
    };
    let ((fast, adapter), (direct, _)) = (map("fast"), map("direct"));
    let largest = direct
        .iter()
        .fold(0.0_f32, |largest, v| largest.max(v.abs()));
    for (fast, direct) in fast.iter().zip(&direct) {
        assert!((fast - direct).abs() < 1e-4 * largest, "{fast} {direct}");
    }
    // On Mesa's software adapter Winograd's algorithm is the faster one.
    if adapter.contains("llvmpipe") {
        assert_ne!(fast, direct);
    }
}

/// What `adapters` lists with these variables set.
#[cfg(target_os = "linux")]
fn listed_with(folder: &Folder, set: &[(&str, &str)]) -> String {
    let mut command = folder.command(&["adapters"]);
    command.envs(set.iter().copied());
    Run::of(&mut command).exits(0).stdout.clone()
}

#[cfg(target_os = "linux")]
#[test]
fn vectors_stay_as_wide_as_somebody_or_the_driver_has_chosen() {
    let folder = Folder::new();
    if !folder.prints("adapters").contains("llvmpipe") {
        eprintln!("not tested: there is no software adapter");
        return;
    }
    let narrow = listed_with(&folder, &[("LP_NATIVE_VECTOR_WIDTH", "128")]);
    assert!(narrow.contains("128 bits"), "{narrow}");
    // A driver of a series that is not known to be right in vectors of 512 bits.
    let manifest = r#"{"ICD": {"api_version": "1.4.305", "library_path": "libvulkan_lvp.so"}, "file_format_version": "1.0.0"}"#;
    let manifests = folder.path().join("vulkan/icd.d");
    std::fs::create_dir_all(&manifests).unwrap();
    std::fs::write(manifests.join("lvp.json"), manifest).unwrap();
    let below = folder.path().to_str().unwrap();
    let other = listed_with(&folder, &[("XDG_DATA_DIRS", below)]);
    assert!(!other.contains("512 bits"), "{other}");
}

#[test]
fn an_adapter_that_matches_none_is_answered_with_those_present() {
    let folder = Folder::new();
    let listed = folder.prints("adapters");
    let parts: Vec<&str> = listed
        .lines()
        .chain(["no adapter matches \"abacus\""])
        .collect();
    folder.refuses("cat.png tiny.npy --adapter abacus", 1, &parts);
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::safetensors_writer::safetensors;

    /// The loader looks for drivers where nothing is; the second name is the older one.
    fn without_drivers(folder: &Folder, line: &str) -> Run {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = folder.command(&arguments);
        for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env(name, "/nonexistent.json");
        }
        Run::of(&mut command)
    }

    #[test]
    fn no_adapter_at_all_names_the_package_and_says_that_a_driver_serves_as_well() {
        let folder = Folder::new();
        let before = folder.contents();
        for line in [
            "cat.png tiny.npy",
            "adapters",
            "cat.png tiny.npy --adapter llvmpipe",
        ] {
            without_drivers(&folder, line).fails(
                1,
                &[
                    "no adapter",
                    "apt-get install mesa-vulkan-drivers",
                    "the GPU's driver",
                ],
            );
        }
        assert!(folder.contents() == before);
    }

    #[test]
    fn what_needs_no_adapter_fails_or_works_without_one() {
        let folder = Folder::new();
        without_drivers(&folder, "missing.png tiny.npy").fails(1, &["no such file: missing.png"]);
        without_drivers(&folder, "cat.png missing.npy").fails(1, &["missing.npy"]);
        without_drivers(&folder, "cat.png tiny.npy -c 7").fails(1, &["no class 7"]);
        without_drivers(&folder, "cat.png tiny.npy -o cat.png").fails(1, &["not a folder"]);
        without_drivers(&folder, "completions bash")
            .exits(0)
            .notes_nothing();
    }

    #[test]
    fn a_backend_of_another_system_has_no_adapter_here() {
        Folder::new().refuses(
            "cat.png tiny.npy --backend metal",
            1,
            &["no adapter on Metal; there are: ", "leave out --backend"],
        );
    }

    #[test]
    fn memory_that_runs_out_is_an_error_that_says_for_what() {
        // A picture side of 2560 makes every convolution of the first blocks 105 MB, three gigabytes in all; the process may
        // have 1.2. Only the software adapter takes its memory from the process.
        let folder = Folder::new();
        if !folder.prints("adapters").contains("llvmpipe") {
            eprintln!("not tested: there is no software adapter");
            return;
        }
        folder.put("wide.safetensors", &wide(2560, &[4, 16, 64, 64, 64]));
        let before = folder.contents();
        let limited = r#"ulimit -v 1200000; exec "$0" cat.png wide.safetensors --adapter llvmpipe"#;
        let mut command = Command::new("sh");
        command
            .args(["-c", limited, env!("CARGO_BIN_EXE_gradcam")])
            .current_dir(folder.path());
        // Threads and their heaps reserve address space by the number of processors.
        command
            .env("LP_NUM_THREADS", "2")
            .env("MALLOC_ARENA_MAX", "2")
            .env_remove("XDG_RUNTIME_DIR");
        Run::of(&mut command).fails(
            1,
            &[
                "wide.safetensors",
                "llvmpipe",
                "out of memory while allocating",
                "another adapter",
            ],
        );
        assert!(folder.contents() == before);
    }

    /// A VGG16 with a mean-pooled head over pictures of `side`, `channels` wide in its five blocks, all weights 0.
    fn wide(side: usize, channels: &[usize; 5]) -> Vec<u8> {
        let mut shapes = vec![];
        let (mut module, mut inputs) = (0, 3);
        for (&outputs, convolutions) in channels.iter().zip([2, 2, 3, 3, 3]) {
            for _ in 0..convolutions {
                shapes.push((
                    format!("features.{module}.weight"),
                    vec![outputs, inputs, 3, 3],
                ));
                shapes.push((format!("features.{module}.bias"), vec![outputs]));
                inputs = outputs;
                module += 2;
            }
            module += 1;
        }
        shapes.push(("classifier.weight".into(), vec![5, inputs]));
        shapes.push(("classifier.bias".into(), vec![5]));
        let metadata =
            serde_json::json!({ "input_size": side.to_string(), "preprocessing": "unit" });
        let tensors = shapes.iter().map(|(name, shape): &(String, Vec<usize>)| {
            let zeros = vec![0.0; shape.iter().product()];
            (name.as_str(), shape.as_slice(), zeros)
        });
        safetensors(&metadata, tensors)
    }
}
