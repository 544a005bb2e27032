//! The whole command: the picture as it is by the built-in network, and a network of full size within its memory.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::common::npy_writer::{self, Python};
use crate::common::seeded::{self, VGG16};
use crate::{FULL, array, assert_apart, assert_map, fixtures, json, run};

#[test]
fn the_command_agrees_with_pytorch_on_the_picture_as_it_is() {
    let reference = json(&fixtures("builtin/builtin.json"));
    let folder = tempfile::tempdir().unwrap();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/cat-and-coffee.png");
    let report = run(&[
        picture.as_ref(),
        "-o".as_ref(),
        folder.path().as_ref(),
        "--outputs".as_ref(),
        "raw".as_ref(),
        "--json".as_ref(),
        "2".as_ref(),
    ]);
    for (class, name) in report["classes"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["cat", "food"])
    {
        assert_eq!(class["name"], name);
        let id = class["id"].as_u64().unwrap() as usize;
        let (p, expected) = (
            class["probability"].as_f64().unwrap(),
            reference["probabilities"][id].as_f64().unwrap(),
        );
        assert!(
            (p - expected).abs() < FULL.probability,
            "{name}: {p} and {expected}"
        );
        let files = &class["maps"][0]["files"];
        let map = array(Path::new(files["gradcam.npy"].as_str().unwrap()));
        assert_map(
            name,
            map.as_slice().unwrap(),
            &fixtures(&format!("builtin/{name}_gradcam_prob.npy")),
            FULL.map,
        );
        if name == "cat" {
            let guided = array(Path::new(files["guided_bprop.npy"].as_str().unwrap()));
            assert_apart(
                name,
                guided.as_slice().unwrap(),
                &fixtures("builtin/cat_guided_bprop_prob.npy"),
                FULL.guided,
            );
        }
    }
}

/// VGG16 with 1,000 classes and drawn weights, 553 MB, as Python 2 and Python 3 write it, through the whole command.
#[test]
fn a_full_size_vgg16_npy_agrees_with_pytorch_within_its_memory() {
    let reference = json(&fixtures("vgg16_full/vgg16_full.json"));
    let picture = fixtures("builtin/cat-and-coffee-224.png");
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("VGG16.npy");
    for (python, score) in [(Python::Two, "prob"), (Python::Three, "logit")] {
        let mut file = BufWriter::new(File::create(&weights).unwrap());
        npy_writer::write(&mut file, python, &seeded::weights(&VGG16)).unwrap();
        drop(file);
        let out = folder.path().join(score);
        let report = run(&[
            picture.as_ref(),
            weights.as_ref(),
            "3".as_ref(),
            "--score".as_ref(),
            score.as_ref(),
            "--method".as_ref(),
            "gradcam,gradcam++".as_ref(),
            "--outputs".as_ref(),
            "heatmap,gradcam,segmented,guided_bprop,raw".as_ref(),
            "-o".as_ref(),
            out.as_ref(),
            "--json".as_ref(),
        ]);
        println!("{score}: {}", report["timings_ms"]);
        assert_eq!(report["weights"]["architecture"], "vgg16");
        for (rank, class) in report["classes"].as_array().unwrap().iter().enumerate() {
            let expected = &reference["top"][rank];
            assert_eq!(class["id"], expected["id"]);
            let (p, q) = (
                class["probability"].as_f64().unwrap(),
                expected["probability"].as_f64().unwrap(),
            );
            assert!((p - q).abs() < FULL.probability, "rank {rank}: {p} and {q}");
            for map in class["maps"].as_array().unwrap() {
                let method = map["method"].as_str().unwrap();
                let what = format!("{}_{method}_{score}", class["id"]);
                let expected = fixtures(&format!("vgg16_full/{what}.npy"));
                // Grad-CAM++ is kept for the top class alone.
                if method == "gradcam" || rank == 0 {
                    let file = map["files"][format!("{method}.npy")].as_str().unwrap();
                    let map = array(Path::new(file));
                    assert_map(&what, map.as_slice().unwrap(), &expected, FULL.map);
                }
            }
        }
        if score == "prob" {
            let file = report["classes"][0]["maps"][0]["files"]["guided_bprop.npy"]
                .as_str()
                .unwrap();
            let expected = fixtures("vgg16_full/168_guided_bprop_prob.npy");
            let guided = array(Path::new(file));
            assert_apart(
                "class 168",
                guided.as_slice().unwrap(),
                &expected,
                FULL.guided,
            );
        }
    }
    #[cfg(unix)]
    {
        let peak = peak_of_children();
        println!("peak resident memory {} MB", peak / 1_000_000);
        // Weights on a software adapter lie in the same memory: 553 MB and their images.
        assert!(peak <= 1_400_000_000, "{peak} bytes at the peak");
    }
}

/// The largest resident memory that a child of this program had, bytes.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "a plain system call that fills a struct of numbers"
)]
fn peak_of_children() -> u64 {
    // SAFETY: rusage is integers alone, for which zero is a value, and getrusage writes no more than that struct.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    usage.ru_maxrss as u64 * unit
}
