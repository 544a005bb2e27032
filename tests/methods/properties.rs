//! What must hold of a method by its formula, whatever the network.

use gradcam::low_level::explainer::{Explainer, Explanation, Progress, Wanted, request};
use gradcam::low_level::methods::attribution::{self, Settings};
use gradcam::low_level::methods::cam::Method;
use gradcam::low_level::methods::fuse::Fuse;
use gradcam::low_level::methods::map::RawMap;
use gradcam::low_level::network::Shape;
use gradcam::low_level::plan::Plan;
use gradcam::low_level::score::Score;
use gradcam::weights;

use crate::common::device::{GPU, assert_close, random};
use crate::common::tiny::tiny;
use crate::{
    BUILTIN, PICTURE, SMALL, SMALL_PICTURE, classes, explain, explain_small, input, settings,
};

fn owned(explanation: &Explanation) -> Vec<RawMap> {
    explanation.maps().into_iter().cloned().collect()
}

/// Each layer alone gives what it gives beside others, whichever of them is named first.
#[test]
fn layers_share_a_backward_pass_without_a_trace() {
    let methods = vec![Method::GradCam, Method::HiResCam];
    let maps = |layers: &[&str]| {
        let wanted = Wanted {
            score: Score::Logit,
            layers: layers.iter().map(|&layer| layer.into()).collect(),
            classes: 1,
            ..Wanted::of(methods.clone())
        };
        let explainer = Explainer::new(&GPU, &SMALL.network, wanted).unwrap();
        let input = input(SMALL_PICTURE, &SMALL);
        let prediction = explainer.predict(&input).unwrap();
        let explanations = explainer.explain(&prediction, &[5]).unwrap();
        owned(&explanations[0])
    };
    let layers = ["pool5", "relu4_3", "conv5_1"];
    let alone = layers.map(|layer| maps(&[layer]));
    let together = [
        maps(&layers),
        maps(&["conv5_1", "pool5", "conv4_3", "conv4_3"]),
    ];
    for i in 0..methods.len() {
        let each: Vec<_> = alone.iter().map(|maps| maps[i].clone()).collect();
        let expected = Fuse::Mean.of(&each, 64, 64).values;
        for together in &together {
            for (a, e) in together[i].values.iter().zip(&expected) {
                assert!((a - e).abs() < 1e-6, "{}: {a} and {e}", methods[i]);
            }
        }
    }
}

/// CAM methods and their layers, FullGrad with its biases, the gradient at the pixels and what a map lights: one pass back.
#[test]
fn methods_share_a_backward_pass_without_a_trace() {
    let of = |methods: &[Method], pixels: &[attribution::Method], augmented| Wanted {
        score: Score::Logit,
        layers: vec!["conv4_3".into(), "relu5_3".into()],
        augmented,
        settings: settings(),
        ..Wanted::of(methods.to_vec()).and(pixels.to_vec())
    };
    let passes = |wanted: &Wanted| {
        let (_, request) = request(&SMALL.network, wanted, GPU.limits()).unwrap();
        request.passes[0].backs.len()
    };
    let cams = [Method::GradCam, Method::FullGrad];
    let gradients = [
        attribution::Method::Gradient,
        attribution::Method::GradientXInput,
    ];
    let together = of(&cams, &gradients, false);
    assert_eq!(passes(&together), 1);
    assert_eq!(passes(&of(&cams[..1], &[], false)), 1);
    // The other pictures' maps need no gradient at the pixels.
    assert_eq!(passes(&of(&cams[..1], &gradients, true)), 2);
    let explained = |wanted| explain_small(wanted).1.remove(0);
    for augmented in [false, true] {
        let together = explained(of(&cams, &gradients, augmented));
        for (method, map) in cams.iter().zip(together.maps()) {
            let alone = explained(of(&[*method], &[], augmented));
            let alone = alone.maps()[0];
            let pairs = map.values.iter().zip(&alone.values);
            let most = alone.values.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
            for (a, e) in pairs {
                assert!((a - e).abs() <= 1e-5 * most, "{method}: {a} and {e}");
            }
        }
        for (method, values) in gradients.iter().zip(together.pixels()) {
            let alone = explained(of(&[], &[*method], false));
            assert_eq!(values, alone.pixels()[0], "{method}");
        }
    }
}

/// Whether the plan for many pictures makes means of channels in place of the gradient at the target.
fn goes_by_means(methods: &[Method], layers: &[&str], channels: Option<usize>) -> bool {
    let wanted = Wanted {
        layers: layers.iter().map(|&layer| layer.into()).collect(),
        channels,
        pictures: 1000,
        ..Wanted::of(methods.to_vec())
    };
    let (_, request) = request(&SMALL.network, &wanted, GPU.limits()).unwrap();
    let plan = Plan::new(&SMALL.network, &request, GPU.limits()).unwrap();
    plan.picture().backs[0].shape.h == 1
}

#[test]
fn means_of_channels_are_for_methods_that_read_no_gradient_by_position() {
    assert!(goes_by_means(&[Method::GradCam, Method::Fem], &[], None));
    assert!(goes_by_means(&[Method::FinerCam], &["pool5"], None));
    assert!(!goes_by_means(
        &[Method::GradCam, Method::HiResCam],
        &[],
        None
    ));
    // Which channels are tried depends on the gradient at each position.
    let tried = [Method::GradCam, Method::AblationCam];
    assert!(goes_by_means(&tried, &[], None) && !goes_by_means(&tried, &[], Some(8)));
    // Layers that share a pass, and one whose way leads through a convolution.
    assert!(!goes_by_means(
        &[Method::GradCam],
        &["conv5_3", "pool5"],
        None
    ));
    assert!(!goes_by_means(&[Method::GradCam], &["conv5_2"], None));
}

#[test]
fn maps_by_mean_gradients_are_those_of_whole_gradients() {
    let maps = |pictures| {
        let wanted = Wanted {
            pictures,
            ..Wanted::of([Method::GradCam, Method::FinerCam])
        };
        let (_, explanations, _) = explain_small(wanted);
        explanations
            .into_iter()
            .flat_map(|explanation| owned(&explanation))
    };
    for (means, whole) in maps(1000).zip(maps(1)) {
        let shape = Shape::new(1, whole.height, whole.width);
        let [means, whole] = [means, whole]
            .map(|map| -> Vec<f32> { map.values.iter().map(|&value| value as f32).collect() });
        assert_close("map", &means, &whole, shape, 1e-5);
    }
}

/// After the last convolution the built-in network takes the maximum of each window, the mean over positions, and a
/// linear layer: linear in what the maxima let through.
#[test]
fn hirescam_sums_to_the_logit_less_its_bias() {
    let (prediction, explanations, _) = explain(Wanted {
        score: Score::Logit,
        classes: 3,
        ..Wanted::of([Method::HiResCam])
    });
    let weights = weights::builtin();
    let bias = weights.tensor("classifier.bias").unwrap().to_vec();
    for explanation in explanations {
        let sum: f64 = explanation.maps()[0].values.iter().sum();
        let expected = f64::from(prediction.logits[explanation.class] - bias[explanation.class]);
        assert!(
            (sum - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{sum} and {expected}"
        );
    }
}

/// CAM (arXiv 1512.04150) weighs the last activations by the linear layer's row for the class. Grad-CAM's weights are
/// those times what a mean and a pool leave of a gradient of 1, the same for every channel.
#[test]
fn gradcam_is_proportional_to_cam() {
    let wanted = Wanted {
        score: Score::Logit,
        classes: 3,
        ..Wanted::default()
    };
    let explainer = Explainer::new(&GPU, &BUILTIN.network, wanted).unwrap();
    let prediction = explainer.predict(&input(PICTURE, &BUILTIN)).unwrap();
    let activations = explainer.activations(&prediction).unwrap().remove(0);
    let explanations = explainer.explain(&prediction, &classes()).unwrap();
    let shape = explainer.map_shape();
    let weights = weights::builtin();
    let matrix = weights.tensor("classifier.weight").unwrap().to_vec();
    let positions = shape.h * shape.w;
    for explanation in explanations {
        let row = &matrix[explanation.class * shape.c..][..shape.c];
        let mut cam = vec![0.0f64; positions];
        for (weight, channel) in row.iter().zip(activations.chunks_exact(positions)) {
            for (sum, a) in cam.iter_mut().zip(channel) {
                *sum += f64::from(*weight) * f64::from(*a);
            }
        }
        // 49 windows share a gradient of 1, and each gives its share to one of 196 positions.
        let map: Vec<f32> = explanation.maps()[0]
            .values
            .iter()
            .map(|v| (v * 196.0) as f32)
            .collect();
        let cam: Vec<f32> = cam.iter().map(|&v| v as f32).collect();
        assert_close("cam", &map, &cam, Shape { c: 1, ..shape }, 1e-5);
    }
}

/// Between changes of sides of its ReLUs and maxima the network is linear, where middles of steps are exact: only steps
/// with a change in them err, so the error falls as one over the steps.
#[test]
fn integrated_gradients_sum_to_the_rise_of_the_score_within_the_error_of_the_steps() {
    let network = tiny();
    let input = random(5, network.input_shape().len());
    let baseline = [0.5, -0.5, 0.25];
    for steps in [4, 40, 400] {
        let wanted = Wanted {
            score: Score::Logit,
            settings: Settings {
                steps,
                baseline,
                ..settings()
            },
            classes: 4,
            ..Wanted::of([attribution::Method::IntegratedGradients])
        };
        let explainer = Explainer::new(&GPU, &network, wanted).unwrap();
        let from: Vec<f32> = baseline.iter().flat_map(|&v| [v; 64]).collect();
        let from = explainer.predict(&from).unwrap();
        let prediction = explainer.predict(&input).unwrap();
        let explanations = explainer.explain(&prediction, &[0, 1, 2, 3]).unwrap();
        for explanation in explanations {
            let class = explanation.class;
            let sum: f64 = explanation.pixels()[0].iter().sum();
            let rise = f64::from(prediction.logits[class] - from.logits[class]);
            let error = (sum - rise).abs() * steps as f64;
            assert!(
                error < 1.0,
                "{steps} steps, class {class}: {sum} and {rise}, {error}"
            );
        }
    }
}

#[test]
fn guided_gradcam_is_zero_where_either_is() {
    let wanted = Wanted {
        ..Wanted::default().and([
            attribution::Method::GuidedBprop,
            attribution::Method::GuidedGradcam,
        ])
    };
    let explainer = Explainer::new(&GPU, &SMALL.network, wanted).unwrap();
    let input = input(SMALL_PICTURE, &SMALL);
    let prediction = explainer.predict(&input).unwrap();
    let explanations = explainer.explain(&prediction, &classes()[..1]).unwrap();
    let [guided, product] = explanations[0].pixels()[..] else {
        panic!("two methods")
    };
    let heat = explanations[0].maps()[0].scaled().resize(64, 64).heat();
    for (i, (&guided, &product)) in guided.iter().zip(product).enumerate() {
        let heat = heat.values[i % (64 * 64)];
        assert_eq!(product == 0.0, guided == 0.0 || heat == 0.0, "value {i}");
    }
    assert!(heat.values.contains(&0.0), "the map leaves nothing out");
}

#[test]
fn augmenting_leaves_the_device_and_other_methods_as_they_were() {
    let ask = |augmented| {
        explain_small(Wanted {
            augmented,
            ..Wanted::default().and([
                attribution::Method::GuidedGradcam,
                attribution::Method::GradientXInput,
            ])
        })
    };
    let (_, plain, none) = ask(false);
    let (_, smooth, told) = ask(true);
    for (plain, smooth) in plain.iter().zip(&smooth) {
        assert_eq!(plain.pixels(), smooth.pixels());
        assert_ne!(plain.maps(), smooth.maps());
    }
    assert_eq!(none, []);
    // Five more, and one that puts the picture back.
    assert_eq!(told.last(), Some(&Progress { done: 6, all: 6 }));
}

#[test]
fn some_channels_are_the_first_of_all_and_the_rest_weigh_nothing() {
    let try_channels = |channels, methods: &[Method]| {
        explain_small(Wanted {
            channels,
            ..Wanted::of(methods.to_vec())
        })
    };
    let ablation = [Method::AblationCam];
    let (_, all, _) = try_channels(None, &ablation);
    let (_, beyond, _) = try_channels(Some(10_000), &ablation);
    let (_, few, told) = try_channels(Some(40), &[Method::AblationCam, Method::ScoreCam]);
    for ((all, beyond), few) in all.iter().zip(&beyond).zip(&few) {
        assert_eq!(all.kept, None);
        assert_eq!(all.maps()[0], beyond.maps()[0]);
        assert!((beyond.kept.unwrap() - 1.0).abs() < 1e-9);
        let kept = few.kept.unwrap();
        assert!((0.3..0.95).contains(&kept), "{kept}");
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (a, b) = (&all.maps()[0].values, &few.maps()[0].values);
        let alike = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(alike > 0.8, "cosine {alike}");
        assert_ne!(few.maps()[1], few.maps()[0]);
    }
    // A pass a channel, and the layers after the last convolution 40 times.
    assert_eq!(told.last().map(|told| told.all), Some(41));
}

/// A share of the score has no direction of its own.
#[test]
fn counterfactuals_of_ablation_turn_the_map_around() {
    let ask = |counterfactual| {
        let methods = vec![Method::AblationCam];
        let (_, explanations, _) = explain_small(Wanted {
            counterfactual,
            ..Wanted::of(methods)
        });
        explanations[0].maps()[0].values.clone()
    };
    let negative: Vec<f64> = ask(true).iter().map(|v| -v).collect();
    assert_eq!(ask(false), negative);
}
