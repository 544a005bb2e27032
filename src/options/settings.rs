//! What of the options decides the results: a run goes on with another only where these are the same.

use serde_json::{Map, Value, json};

use super::{Classes, DEFAULT_TOP_N, KnownBoxes, Options, Preprocess, Regions};
use crate::draw::composite::Overlay;
use crate::plan::StoredDtype;

impl Options {
    /// What decides which results there are and how they look, under the options' names; beside the weights, by whose content it
    /// goes. Not which pictures are explained, where their files go, what is printed, and what computes them.
    pub fn settings(&self) -> Map<String, Value> {
        let Self {
            images: _,
            many: _,
            weights: _,
            classes,
            methods,
            layers,
            fuse,
            score,
            versus,
            counterfactual,
            smooth,
            channels,
            samples,
            noise,
            steps,
            patch,
            stride,
            baseline,
            seed,
            unread: _,
            outputs,
            report,
            sheet: _,
            colorbar,
            out_dir: _,
            format,
            size,
            fit,
            tiles,
            preprocess,
            input_size,
            max_pixels,
            graph_output,
            architecture,
            activation,
            colormap,
            overlay,
            scale,
            signed,
            boxes,
            regions,
            coco: _,
            known_boxes,
            pixel_scale,
            labels,
            to_stdout: _,
            preview: _,
            verbose: _,
            json: _,
            quiet: _,
            weights_dtype,
            dtype,
            adapter: _,
            convolution,
            backend: _,
            command: _,
        } = self;
        let (top_n, class) = count_and_names(classes);
        let (overlay, alpha, threshold) = overlay_in_words(*overlay);
        let settings = [
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("top-n", top_n),
            ("class", class.into()),
            ("method", texts(methods)),
            ("layer", layers.clone().into()),
            ("fuse", fuse.to_string().into()),
            ("score", score.to_string().into()),
            ("versus", versus.clone().into()),
            ("counterfactual", (*counterfactual).into()),
            ("smooth", texts(smooth)),
            ("channels", channels.map(std::num::NonZeroUsize::get).into()),
            ("samples", (*samples).into()),
            ("noise", (*noise).into()),
            ("steps", (*steps).into()),
            ("patch", (*patch).into()),
            ("stride", (*stride).into()),
            ("baseline", baseline.to_string().into()),
            ("seed", (*seed).into()),
            ("outputs", texts(outputs)),
            ("format", json!(format.map(|format| format.to_string()))),
            ("size", size.to_string().into()),
            ("fit", fit.to_string().into()),
            ("tiles", (*tiles).into()),
            ("preprocess", preprocess.map(preprocess_in_words).into()),
            ("input-size", (*input_size).into()),
            ("max-pixels", (*max_pixels).into()),
            ("output", graph_output.clone().into()),
            ("architecture", architecture.clone().into()),
            ("activation", json!(activation.map(|kind| kind.to_string()))),
            ("colormap", colormap.to_string().into()),
            ("overlay", overlay.into()),
            ("alpha", alpha.into()),
            ("threshold", threshold.into()),
            ("scale", scale.to_string().into()),
            ("signed", (*signed).into()),
            ("boxes", (*boxes).into()),
            ("regions", regions.map(regions_in_words).into()),
            ("box", boxes_in_words(known_boxes)),
            ("colorbar", (*colorbar).into()),
            ("report", report.is_some().into()),
            ("pixel-scale", pixel_scale.to_string().into()),
            (
                "labels",
                json!(labels.as_ref().map(|path| path.to_string_lossy())),
            ),
            ("weights-dtype", weights_dtype.to_string().into()),
            ("dtype", dtype_in_words(*dtype)),
            ("convolution", convolution.to_string().into()),
        ];
        // What was not given needs no place in every line.
        let given = settings.into_iter().filter(|(_, value)| {
            !(value.is_null() || *value == json!([]) || *value == json!(false))
        });
        given
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// `top-n` and `class`.
fn count_and_names(classes: &Classes) -> (Value, Vec<String>) {
    match classes {
        Classes::Default => (DEFAULT_TOP_N.into(), vec![]),
        Classes::Top(count) => (count.get().into(), vec![]),
        Classes::Named(names) => (Value::Null, names.clone()),
    }
}

fn preprocess_in_words(preprocess: Preprocess) -> String {
    match preprocess {
        Preprocess::Named(name) => name.to_string(),
        Preprocess::Given {
            mean,
            std,
            channels,
        } => format!("mean {mean:?}, std {std:?}, {channels}"),
    }
}

/// `overlay`, `alpha` and `threshold`.
fn overlay_in_words(overlay: Overlay) -> (&'static str, Option<String>, Option<String>) {
    let text = |share: f32| Some(share.to_string());
    match overlay {
        Overlay::Sum => ("sum", None, None),
        Overlay::Blend(alpha) => ("blend", text(alpha), None),
        Overlay::Threshold { alpha, least } => ("threshold", text(alpha), text(least)),
    }
}

fn regions_in_words(regions: Regions) -> String {
    let Regions {
        threshold,
        which,
        least_area,
    } = regions;
    format!("{which}, threshold {threshold}, area {least_area}")
}

/// Nothing for float32, as in the manifests of runs from before there was a choice.
fn dtype_in_words(dtype: StoredDtype) -> Value {
    match dtype {
        StoredDtype::F32 => Value::Null,
        StoredDtype::F16 => dtype.to_string().into(),
    }
}

/// What is read of a file is not known here.
fn boxes_in_words(boxes: &KnownBoxes) -> Value {
    match boxes {
        KnownBoxes::Here(list) if list.is_empty() => Value::Null,
        KnownBoxes::Here(list) => {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            list.join("; ").into()
        }
        KnownBoxes::File(path) => path.to_string_lossy().into(),
    }
}

fn texts(list: &[impl ToString]) -> Value {
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    texts.into()
}
