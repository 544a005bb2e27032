//! From options to what the report says of how maps were made.

use crate::architectures::Classifier;
use crate::cli::{Output, Scale};
use crate::draw::composite::Overlay;
use crate::explainer::Wanted;
use crate::methods::{Method, Setting, TriedChannels};
use crate::options::Options;
use crate::output::report::{Drawing, Preprocess, Regions, Settings};

/// Those of a run. `channels`: of the target layer that has the most.
pub(super) fn settings(
    options: &Options,
    classifier: &Classifier,
    wanted: &Wanted,
    channels: usize,
) -> Settings {
    let input = classifier.network.input_shape();
    let shown = options
        .outputs
        .iter()
        .filter_map(|output| output.own_method());
    let methods: Vec<Method> = options
        .methods
        .iter()
        .copied()
        .chain(shown.map(Method::from))
        .collect();
    let tried = match options.channels {
        None => TriedChannels::All,
        Some(_) => TriedChannels::Chosen,
    };
    let reads = |setting| {
        methods
            .iter()
            .any(|method| method.reads_trying(tried, setting))
    };
    let draws_masks = methods.iter().any(|method| match method {
        Method::Perturbation(method) => method.settings().contains(&Setting::Samples),
        Method::Cam(_) | Method::Pixel(_) => false,
    });
    let (pixels, masks) = (&wanted.settings, &wanted.masks);
    Settings {
        smooth: options.smooth.iter().map(ToString::to_string).collect(),
        fit: options.fit.to_string(),
        preprocess: Preprocess::of(&classifier.normalization),
        input_size: [input.h, input.w],
        activation: classifier.network.output_kind.to_string(),
        weights_dtype: options.weights_dtype.to_string(),
        dtype: options.dtype.to_string(),
        convolution: options.convolution.to_string(),
        channels: reads(Setting::Channels).then(|| match wanted.channels {
            Some(tried) => tried.min(channels),
            None => channels,
        }),
        samples: reads(Setting::Noise).then_some(pixels.samples),
        masks: draws_masks.then_some(masks.masks),
        noise: reads(Setting::Noise).then_some(pixels.noise),
        steps: reads(Setting::Steps).then_some(pixels.steps),
        patch: reads(Setting::Patch).then_some(masks.patch),
        stride: reads(Setting::Stride).then_some(masks.stride),
        baseline: reads(Setting::Baseline).then(|| options.baseline.to_string()),
        seed: reads(Setting::Seed).then_some(options.seed),
        regions: options.regions.map(|rule| Regions {
            which: rule.which.to_string(),
            threshold: rule.threshold,
            least_area: rule.least_area,
        }),
        // Each picture's own.
        known_box: None,
        known_boxes: None,
        drawing: drawing(options),
    }
}

fn drawing(options: &Options) -> Drawing {
    let is_pixel = |method: &&Method| matches!(method, Method::Pixel(_));
    let together = options.report.is_some() || options.sheet.is_some();
    let pictures = options.outputs.iter().any(|&output| output != Output::Raw);
    let maps = options.methods.iter().any(|method| !is_pixel(&method));
    let overlaid = maps && (options.wants(Output::Gradcam) || options.sheet.is_some());
    let coloured = overlaid || maps && together;
    let pixels = options.methods.iter().any(|method| is_pixel(&method));
    let pixels = pixels && (options.wants(Output::Gradcam) || together)
        || options.wants(Output::GuidedBprop)
        || options.wants(Output::GuidedGradcam);
    let (overlay, alpha, threshold) = match options.overlay {
        Overlay::Sum => ("sum", None, None),
        Overlay::Blend(alpha) => ("blend", Some(alpha), None),
        Overlay::Threshold { alpha, least } => ("threshold", Some(alpha), Some(least)),
    };
    Drawing {
        size: (pictures || options.sheet.is_some()).then(|| options.size.to_string()),
        scale: (pictures || together).then(|| match options.scale {
            Scale::Class => "class".into(),
            Scale::Image => "image".into(),
            Scale::Fixed(full) => full.into(),
        }),
        colormap: coloured.then(|| options.colormap.to_string()),
        overlay: overlaid.then_some(overlay),
        alpha: alpha.filter(|_| coloured),
        threshold: threshold.filter(|_| coloured),
        signed: options.signed && maps,
        pixel_scale: pixels.then(|| options.pixel_scale.to_string()),
    }
}
