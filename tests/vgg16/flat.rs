//! Pictures with flat areas, where rounding decides which of two equal values a max-pool takes.

use gradcam::low_level::architectures;
use gradcam::low_level::explainer::{Explainer, Wanted};
use gradcam::low_level::methods::attribution;
use gradcam::low_level::picture::preprocess::{to_picture, to_tensor};
use gradcam::low_level::score::Score;
use gradcam::weights;

use crate::common::device::GPU;
use crate::{assert_apart, fixtures, json};

const GUIDED: f64 = 2e-3;
const GRADIENT: f64 = 1e-4;

/// In flat areas, along edges and in stripes a pool's values are equal, and the first in row order has the gradient.
#[test]
fn pixel_methods_agree_with_pytorch_where_a_picture_is_flat() {
    let reference = json(&fixtures("ties/ties.json"));
    let classifier = architectures::recognise(&weights::builtin()).unwrap();
    let methods = [
        ("guided_bprop", attribution::Method::GuidedBprop, GUIDED),
        ("gradient", attribution::Method::Gradient, GRADIENT),
        ("deconvnet", attribution::Method::Deconvnet, GRADIENT),
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
