//! Whole VGG16 networks against PyTorch: the built-in one, and one of full size with 1,000 classes.
//!
//! Tolerances, as the project promises them: probabilities 1e-4, logits 1e-4 and maps 1e-3 of their largest value; guided
//! backpropagation 1e-2 (relative L2), 2e-3 on pictures with flat areas, and other gradients at pixels 1e-4 there, whose choices
//! are made in float64. PyTorch's own float32 is off by up to 1e-5, 7e-4 and 1e-2 from the float64 that the fixtures hold; the rest
//! is room for other adapters.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use gradcam::low_level::architectures::{self, Classifier};
use gradcam::low_level::explainer::{Explainer, Explanation, Prediction, Wanted};
use gradcam::low_level::gpu::Session;
use gradcam::low_level::methods::attribution;
use gradcam::low_level::methods::cam::{Features, Method};
use gradcam::low_level::methods::map::Map;
use gradcam::low_level::network::{ReluRule, Shape};
use gradcam::low_level::picture::preprocess::{to_picture, to_tensor};
use gradcam::low_level::plan::{
    BackwardRequest, ForwardRequest, KernelFamily, Limits, Plan, Request, StoredDtype, Winograd,
};
use gradcam::low_level::score::Score;
use gradcam::weights;
use ndarray::{ArrayD, Ix2, Ix3};
use serde_json::Value;

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod device;
    pub(crate) mod npy_writer;
    pub(crate) mod seeded;
}
use common::device::{GPU, assert_close, plain, tiled, to_input};
use common::npy_writer::{self, Python};
use common::seeded::{self, VGG16};

const PROBABILITY: f64 = 1e-4;
const MAP: f32 = 1e-3;
const LOGITS: f32 = 1e-4;
const GUIDED: f64 = 1e-2;
const GUIDED_WHERE_FLAT: f64 = 2e-3;
const GRADIENT_WHERE_FLAT: f64 = 1e-4;
// With values, gradients and weights stored in float16.
const HALF_PROBABILITY: f64 = 5e-4;
const HALF_LOGITS: f32 = 1e-3;
const HALF_MAP: f32 = 4e-3;
const HALF_GUIDED: f64 = 1.5e-2;

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn array(path: &Path) -> ArrayD<f32> {
    ndarray_npy::read_npy(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_map(what: &str, actual: &[f32], expected: &Path) {
    let expected = array(expected).into_dimensionality::<Ix2>().unwrap();
    let shape = Shape::new(1, expected.nrows(), expected.ncols());
    assert_close(what, actual, expected.as_slice().unwrap(), shape, MAP);
}

#[track_caller]
fn assert_guided(what: &str, actual: &[f32], expected: &Path) {
    assert_apart(what, actual, expected, GUIDED);
}

#[track_caller]
fn assert_apart(what: &str, actual: &[f32], expected: &Path, bound: f64) {
    let expected = array(expected).into_dimensionality::<Ix3>().unwrap();
    let expected = expected.as_slice().unwrap();
    assert_eq!(actual.len(), expected.len());
    let square = |v: f64| v * v;
    let off: f64 = actual
        .iter()
        .zip(expected)
        .map(|(&a, &e)| square(f64::from(a) - f64::from(e)))
        .sum();
    let size: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    let relative = (off / size).sqrt();
    println!("{what}: relative L2 {relative:.1e}");
    assert!(relative <= bound, "{what}: relative L2 {relative}");
}

/// Runs the built-in network on the picture that PyTorch saw.
fn explain_builtin(score: Score, classes: &[usize]) -> (Classifier, Prediction, Vec<Explanation>) {
    explain_builtin_stored(score, classes, StoredDtype::F32)
}

/// The same, stored as `dtype` on the device.
fn explain_builtin_stored(
    score: Score,
    classes: &[usize],
    dtype: StoredDtype,
) -> (Classifier, Prediction, Vec<Explanation>) {
    let classifier = architectures::recognise(&weights::builtin()).unwrap();
    let picture = image::open(fixtures("builtin/cat-and-coffee-224.png"))
        .unwrap()
        .into_rgb8();
    let wanted = Wanted {
        score,
        classes: classes.len(),
        dtype,
        matrices: dtype,
        ..Wanted::of([Method::GradCam, Method::GradCamPlusPlus])
            .and([attribution::Method::GuidedBprop])
    };
    let explainer = Explainer::new(&GPU, &classifier.network, wanted).unwrap();
    let prediction = explainer
        .predict(&to_tensor(&picture, &classifier.normalization))
        .unwrap();
    let explanations = explainer.explain(&prediction, classes).unwrap();
    drop(explainer);
    (classifier, prediction, explanations)
}

/// Share of the drawn map's energy on the left half, the cat's.
fn energy_left(map: &[f64]) -> f64 {
    let heat = Map::new(14, 14, map.iter().map(|&v| v as f32).collect())
        .resize(224, 224)
        .heat();
    let left = heat.values.chunks_exact(224).flat_map(|row| &row[..112]);
    let sum = |values: &mut dyn Iterator<Item = &f32>| values.map(|&v| f64::from(v)).sum::<f64>();
    sum(&mut left.into_iter()) / sum(&mut heat.values.iter())
}

/// Where SwiftShader's driver is described, if it is there: Debian's Chromium brings it, Chrome too.
#[cfg(target_os = "linux")]
const SWIFTSHADER: [&str; 3] = [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
];

/// Runs [`the_built_in_network_agrees_with_pytorch`] once more on the adapter that `variable` makes of this one, whose name holds
/// `adapter`.
fn agrees_on(adapter: &str, (variable, value): (&str, &str)) {
    let test = "the_built_in_network_agrees_with_pytorch";
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
    let driver = SWIFTSHADER.iter().find(|path| Path::new(path).exists());
    let driver = driver.expect(
        "SwiftShader is a second driver to hold results against: .ci/adapter installs it, or `apt-get install \
         chromium-common`",
    );
    agrees_on("SwiftShader", ("VK_DRIVER_FILES", driver));
}

/// Values, gradients and weights of eleven binary digits, by the adapter's own kernels and by those for GPUs: how far they move
/// what is shown.
#[test]
fn the_built_in_network_stored_in_float16_agrees_with_pytorch_within_thousandths() {
    let reference = json(&fixtures("builtin/builtin.json"));
    let names = reference["classes"].as_array().unwrap();
    let explained = ["cat", "food", "car"];
    let classes = explained.map(|name| names.iter().position(|n| *n == name).unwrap());
    for (score_name, score) in [("prob", Score::Prob), ("logit", Score::Logit)] {
        let (classifier, prediction, explanations) =
            explain_builtin_stored(score, &classes, StoredDtype::F16);
        let apart = |(class, p): (usize, &f64)| {
            let expected = reference["probabilities"][class].as_f64().unwrap();
            (p - expected).abs()
        };
        let each = prediction.probabilities.iter().enumerate().map(apart);
        let most = each.fold(0.0, f64::max);
        println!("{score_name}: probabilities within {most:.1e}");
        assert!(most < HALF_PROBABILITY, "probabilities are {most} apart");
        for (name, explanation) in explained.iter().zip(&explanations) {
            for (method, map) in ["gradcam", "gradcam++"].iter().zip(explanation.maps()) {
                let what = format!("{name}_{method}_{score_name}");
                let map: Vec<f32> = map.values.iter().map(|&v| v as f32).collect();
                assert_half_map(&what, &map, &fixtures(&format!("builtin/{what}.npy")));
            }
            let file = fixtures(&format!("builtin/{name}_guided_bprop_{score_name}.npy"));
            if file.exists() {
                let gradient = to_picture(explanation.pixels()[0], &classifier.normalization, 1);
                let gradient: Vec<f32> = gradient.iter().map(|&g| g as f32).collect();
                let what = format!("{name}, {score_name}");
                assert_apart(&what, &gradient, &file, HALF_GUIDED);
            }
        }
    }
}

#[track_caller]
fn assert_half_map(what: &str, actual: &[f32], expected: &Path) {
    let expected = array(expected).into_dimensionality::<Ix2>().unwrap();
    let shape = Shape::new(1, expected.nrows(), expected.ncols());
    let expected = expected.as_slice().unwrap();
    let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let apart = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
    let most = apart.fold(0.0, f32::max) / largest;
    println!("{what}: within {most:.1e} of its largest value");
    assert_close(what, actual, expected, shape, HALF_MAP);
}

/// Derivatives of the probability, and the probabilities themselves.
#[test]
fn the_built_in_network_agrees_with_pytorch() {
    assert_builtin("prob", Score::Prob);
}

#[test]
fn the_built_in_network_agrees_with_pytorch_in_derivatives_of_logits() {
    assert_builtin("logit", Score::Logit);
}

#[track_caller]
fn assert_builtin(score_name: &str, score: Score) {
    let by_subgroup = matches!(GPU.limits().family, KernelFamily::Subgroup(_));
    let kernels = if by_subgroup {
        ", by kernels for subgroups"
    } else {
        ""
    };
    println!("{}{kernels}", GPU.info());
    let reference = json(&fixtures("builtin/builtin.json"));
    let names: Vec<&str> = reference["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    let explained = ["cat", "food", "car"];
    let classes = explained.map(|name| names.iter().position(|n| *n == name).unwrap());
    let (classifier, prediction, explanations) = explain_builtin(score, &classes);
    for (class, p) in prediction.probabilities.iter().enumerate() {
        let expected = reference["probabilities"][class].as_f64().unwrap();
        assert!(
            (p - expected).abs() < PROBABILITY,
            "{}: {p} and {expected}",
            names[class]
        );
    }
    for (name, explanation) in explained.iter().zip(&explanations) {
        for (method, map) in ["gradcam", "gradcam++"].iter().zip(explanation.maps()) {
            let what = format!("{name}_{method}_{score_name}");
            let map: Vec<f32> = map.values.iter().map(|&v| v as f32).collect();
            assert_map(&what, &map, &fixtures(&format!("builtin/{what}.npy")));
        }
        let file = fixtures(&format!("builtin/{name}_guided_bprop_{score_name}.npy"));
        if file.exists() {
            let gradient = to_picture(explanation.pixels()[0], &classifier.normalization, 1);
            let gradient: Vec<f32> = gradient.iter().map(|&g| g as f32).collect();
            assert_guided(&format!("{name}, {score_name}"), &gradient, &file);
        }
    }
    let (cat, food) = (
        energy_left(&explanations[0].maps()[0].values),
        energy_left(&explanations[1].maps()[0].values),
    );
    assert!(
        cat > 0.9,
        "the cat's map has {cat} of its energy on the left half"
    );
    assert!(
        food < 0.1,
        "the food's map has {food} of its energy on the left half"
    );
}

/// In flat areas, along edges and in stripes a pool's values are equal, and the first in row order has the gradient.
#[test]
fn pixel_methods_agree_with_pytorch_where_a_picture_is_flat() {
    let reference = json(&fixtures("ties/ties.json"));
    let classifier = architectures::recognise(&weights::builtin()).unwrap();
    let methods = [
        (
            "guided_bprop",
            attribution::Method::GuidedBprop,
            GUIDED_WHERE_FLAT,
        ),
        (
            "gradient",
            attribution::Method::Gradient,
            GRADIENT_WHERE_FLAT,
        ),
        (
            "deconvnet",
            attribution::Method::Deconvnet,
            GRADIENT_WHERE_FLAT,
        ),
    ];
    let wanted = Wanted {
        score: Score::Logit,
        classes: 1,
        ..Wanted::of(methods.map(|(_, method, _)| method).to_vec())
    };
    let explainer = Explainer::new(&GPU, &classifier.network, wanted).unwrap();
    for (name, explained) in reference["pictures"].as_object().unwrap() {
        let picture = image::open(fixtures(&format!("ties/{name}.png")))
            .unwrap()
            .into_rgb8();
        let class = explained["class_id"].as_u64().unwrap() as usize;
        let x = to_tensor(&picture, &classifier.normalization);
        let prediction = explainer.predict(&x).unwrap();
        let explanations = explainer.explain(&prediction, &[class]).unwrap();
        for ((method, _, bound), gradient) in methods.iter().zip(explanations[0].pixels()) {
            let gradient = to_picture(gradient, &classifier.normalization, 1);
            // The fixture has the rows and columns of even number.
            let kept = (0..224 * 224).filter(|at| at / 224 % 2 == 0 && at % 2 == 0);
            let kept = kept.flat_map(|at| [3 * at, 3 * at + 1, 3 * at + 2]);
            let gradient: Vec<f32> = kept.map(|at| gradient[at] as f32).collect();
            let what = format!("{name}_{method}");
            let expected = fixtures(&format!("ties/{what}.npy"));
            assert_apart(&what, &gradient, &expected, *bound);
        }
    }
}

/// Whatever adapter there is here: its own kernels without Winograd's algorithm, those of a GPU with each form of it and with
/// none, and the plain ones. Forward, back to the last convolution and, but for the plain ones, which take long, to the input. The
/// input is the picture's middle, which takes a quarter of the whole picture's time.
#[test]
fn the_built_in_network_agrees_with_pytorch_by_every_kernel_for_convolutions() {
    let reference = json(&fixtures("builtin/builtin.json"));
    let middle = &reference["middle"];
    let side = middle["side"].as_u64().unwrap() as u32;
    let classifier = architectures::recognise_at(&weights::builtin(), Some(side as usize)).unwrap();
    let network = &classifier.network;
    let picture = image::open(fixtures("builtin/cat-and-coffee-224.png")).unwrap();
    let first = (picture.width() - side) / 2;
    let picture = picture.crop_imm(first, first, side, side).into_rgb8();
    let x = to_tensor(&picture, &classifier.normalization);
    let names = reference["classes"].as_array().unwrap();
    let seed: Vec<f32> = names
        .iter()
        .map(|name| f32::from(u8::from(name == "food")))
        .collect();
    let expected: Vec<f32> = middle["logits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    let logits = Shape::vector(expected.len());
    let target = network.target(None).unwrap();
    let shape = network.node(target).shape;
    let to_target = BackwardRequest {
        to: target,
        ..to_input(1, ReluRule::Plain)
    };
    let own = GPU.limits();
    let of_gpu = |winograd| Limits {
        family: tiled(256),
        winograd,
        ..own
    };
    let never = Limits {
        winograd: Winograd::Never,
        ..own
    };
    // The other forms are held to their twins in float16 by tests/kernels.
    let halves = [of_gpu(Winograd::Everywhere)];
    let in_full = [
        never,
        of_gpu(Winograd::Never),
        of_gpu(Winograd::WhereFaster),
        of_gpu(Winograd::Everywhere),
        of_gpu(Winograd::Everywhere2x2),
        plain(),
    ];
    let in_full = in_full.map(|limits| (limits, StoredDtype::F32));
    let halves = halves.map(|limits| (limits, StoredDtype::F16));
    for (limits, dtype) in in_full.into_iter().chain(halves) {
        let what = format!(
            "{:?}, Winograd {:?}, {dtype}",
            limits.family, limits.winograd
        );
        let mut backward = vec![to_target.clone()];
        if limits.family != KernelFamily::Plain {
            backward.push(to_input(1, ReluRule::Guided));
        }
        let request = Request {
            dtype,
            matrices: dtype,
            ..Request::of(ForwardRequest {
                keep: vec![target],
                backs: backward,
                ..ForwardRequest::default()
            })
        };
        let is_half = dtype == StoredDtype::F16;
        let plan = Plan::new(network, &request, limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.forward(0, &x, network.input_shape()).unwrap();
        let plan = session.plan();
        let found = session.read(plan.picture().logits, 1, logits).unwrap();
        let bound = if is_half { HALF_LOGITS } else { LOGITS };
        assert_close(&what, &found, &expected, logits, bound);
        session.backward([0, 0], &seed, logits).unwrap();
        let map = Method::GradCam.map(&Features {
            shape,
            activations: &session.read(plan.picture().kept[0], 1, shape).unwrap(),
            gradients: &session
                .read(plan.picture().backs[0].gradient, 1, shape)
                .unwrap(),
            scale: 1.0,
            seed: 0,
            tried: &[],
            eigen: false,
            biases: &[],
        });
        let map: Vec<f32> = map.iter().map(|&v| v as f32).collect();
        let of_food = fixtures("builtin/middle/food_gradcam_logit.npy");
        match is_half {
            true => assert_half_map(&what, &map, &of_food),
            false => assert_map(&what, &map, &of_food),
        }
        if let Some(phase) = plan.picture().backs.get(1) {
            session.backward([0, 1], &seed, logits).unwrap();
            let read = session.read(phase.gradient, 1, network.input_shape());
            let gradient: Vec<f64> = read.unwrap().into_iter().map(f64::from).collect();
            let gradient: Vec<f32> = to_picture(&gradient, &classifier.normalization, 1)
                .iter()
                .map(|&g| g as f32)
                .collect();
            let file = fixtures("builtin/middle/food_guided_bprop_logit.npy");
            match is_half {
                true => assert_apart(&what, &gradient, &file, HALF_GUIDED),
                false => assert_guided(&what, &gradient, &file),
            }
        }
    }
}

/// The command's JSON line.
fn run(arguments: &[&std::ffi::OsStr]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_gradcam"))
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

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
            (p - expected).abs() < PROBABILITY,
            "{name}: {p} and {expected}"
        );
        let files = &class["maps"][0]["files"];
        let map = array(Path::new(files["gradcam.npy"].as_str().unwrap()));
        assert_map(
            name,
            map.as_slice().unwrap(),
            &fixtures(&format!("builtin/{name}_gradcam_prob.npy")),
        );
        if name == "cat" {
            let guided = array(Path::new(files["guided_bprop.npy"].as_str().unwrap()));
            assert_guided(
                name,
                guided.as_slice().unwrap(),
                &fixtures("builtin/cat_guided_bprop_prob.npy"),
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
            assert!((p - q).abs() < PROBABILITY, "rank {rank}: {p} and {q}");
            for map in class["maps"].as_array().unwrap() {
                let method = map["method"].as_str().unwrap();
                let what = format!("{}_{method}_{score}", class["id"]);
                let expected = fixtures(&format!("vgg16_full/{what}.npy"));
                // Grad-CAM++ is kept for the top class alone.
                if method == "gradcam" || rank == 0 {
                    let file = map["files"][format!("{method}.npy")].as_str().unwrap();
                    assert_map(&what, array(Path::new(file)).as_slice().unwrap(), &expected);
                }
            }
        }
        if score == "prob" {
            let file = report["classes"][0]["maps"][0]["files"]["guided_bprop.npy"]
                .as_str()
                .unwrap();
            let expected = fixtures("vgg16_full/168_guided_bprop_prob.npy");
            assert_guided(
                "class 168",
                array(Path::new(file)).as_slice().unwrap(),
                &expected,
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
