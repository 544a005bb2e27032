//! The built-in network on the picture that PyTorch saw.

use gradcam::low_level::architectures;
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::methods::attribution;
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::methods::map::Map;
use gradcam::low_level::picture::preprocess::{to_picture, to_tensor};
use gradcam::low_level::plan::{KernelFamily, StoredDtype};
use gradcam::low_level::score::Score;
use gradcam::weights;

use crate::common::device::GPU;
use crate::{Bounds, FULL, HALF, assert_apart, assert_map, fixtures, json};

/// Derivatives of the probability, and the probabilities themselves.
#[test]
fn the_built_in_network_agrees_with_pytorch() {
    assert_builtin("prob", Score::Prob, StoredDtype::F32, &FULL);
}

#[test]
fn the_built_in_network_agrees_with_pytorch_in_derivatives_of_logits() {
    assert_builtin("logit", Score::Logit, StoredDtype::F32, &FULL);
}

/// Values, gradients and weights of eleven binary digits: how far they move what is shown.
#[test]
fn the_built_in_network_stored_in_float16_agrees_with_pytorch_within_thousandths() {
    assert_builtin("prob", Score::Prob, StoredDtype::F16, &HALF);
    assert_builtin("logit", Score::Logit, StoredDtype::F16, &HALF);
}

#[track_caller]
fn assert_builtin(score_name: &str, score: Score, dtype: StoredDtype, bounds: &Bounds) {
    let by_subgroup = matches!(GPU.limits().family, KernelFamily::Subgroup(_));
    let kernels = match by_subgroup {
        true => ", by kernels for subgroups",
        false => "",
    };
    println!("{}{kernels}", GPU.info());
    let reference = json(&fixtures("builtin/builtin.json"));
    let names = reference["classes"].as_array().unwrap();
    let explained = ["cat", "food", "car"];
    let classes = explained.map(|name| names.iter().position(|n| *n == name).unwrap());
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
    let explanations = explainer.explain(&prediction, &classes).unwrap();
    drop(explainer);
    let mut most: f64 = 0.0;
    for (class, p) in prediction.probabilities.iter().enumerate() {
        let expected = reference["probabilities"][class].as_f64().unwrap();
        let apart = (p - expected).abs();
        assert!(
            apart < bounds.probability,
            "{}: {p} and {expected}",
            names[class]
        );
        most = most.max(apart);
    }
    println!("{score_name}: probabilities within {most:.1e}");
    for (name, explanation) in explained.iter().zip(&explanations) {
        for (method, map) in ["gradcam", "gradcam++"].iter().zip(explanation.maps()) {
            let what = format!("{name}_{method}_{score_name}");
            let map: Vec<f32> = map.values.iter().map(|&v| v as f32).collect();
            let expected = fixtures(&format!("builtin/{what}.npy"));
            assert_map(&what, &map, &expected, bounds.map);
        }
        let file = fixtures(&format!("builtin/{name}_guided_bprop_{score_name}.npy"));
        if file.exists() {
            let gradient = to_picture(explanation.pixels()[0], &classifier.normalization, 1);
            let gradient: Vec<f32> = gradient.iter().map(|&g| g as f32).collect();
            let what = format!("{name}, {score_name}");
            assert_apart(&what, &gradient, &file, bounds.guided);
        }
    }
    let [cat, food] = [0, 1].map(|at| energy_left(&explanations[at].maps()[0].values));
    assert!(
        cat > 0.9,
        "the cat's map has {cat} of its energy on the left half"
    );
    assert!(
        food < 0.1,
        "the food's map has {food} of its energy on the left half"
    );
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
