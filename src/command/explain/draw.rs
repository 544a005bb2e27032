//! From explained classes to their files: what there is of each, and several drawn at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ::image::RgbImage;

use super::class::class;
use super::scene::Scene;
use crate::cli::Output;
use crate::command::Error;
use crate::explainer::{Explanation, Prediction};
use crate::labels::Labels;
use crate::options::Options;
use crate::output::{Content, report};

/// How many files a class has.
pub(super) fn files(options: &Options) -> usize {
    contents(options).len()
}

/// Files of a class, in the order written: those of each method, then those of outputs that are the same for all.
pub(super) fn contents(options: &Options) -> Vec<Content> {
    let of_method = |method, output: &Output| match output {
        Output::Heatmap => Some(Content::Heatmap(method)),
        Output::Heatmap16 => Some(Content::Heatmap16(method)),
        Output::Gradcam => Some(Content::Picture(method)),
        Output::Segmented => Some(Content::Segmented(method)),
        Output::Mask => Some(Content::Mask(method)),
        Output::Raw => Some(Content::Raw(method)),
        Output::GuidedBprop | Output::GuidedGradcam => None,
    };
    let of_all = |output: &Output| {
        let method = output.own_method()?.into();
        Some(match output {
            Output::Raw => Content::Raw(method),
            _ => Content::Picture(method),
        })
    };
    let outputs = &options.outputs;
    let with_method = options.methods.iter().flat_map(|&method| {
        outputs
            .iter()
            .filter_map(move |output| of_method(method, output))
    });
    let mut contents: Vec<Content> = with_method.collect();
    for content in outputs.iter().filter_map(of_all) {
        if !contents.contains(&content) {
            contents.push(content);
        }
    }
    contents
}

/// Values drawn at once, 8 bytes each: pictures as large as photographs are drawn one after the other.
const VALUES_AT_ONCE: usize = 16 << 20;

/// What was made of one class.
pub struct DrawnClass {
    /// What is in its files.
    pub class: report::Class,
    /// The map of the first method over the picture, where it is to be drawn in the terminal.
    pub preview: Option<RgbImage>,
}

/// Classes drawn, and what part of the time writing took.
pub struct AllDrawn {
    /// Each of them.
    pub classes: Vec<DrawnClass>,
    /// From 0 to 1.
    pub writing: f64,
}

/// Writes the files of each class, several classes at once, and says what is in them. Of several errors the first class's.
pub fn classes(
    scene: &Scene<'_>,
    explanations: &[Explanation],
    prediction: &Prediction,
    labels: &Labels,
) -> Result<AllDrawn, Error> {
    let started = Instant::now();
    let (width, height) = scene.picture().dimensions();
    let fit = VALUES_AT_ONCE / (width as usize * height as usize);
    let threads = fit.min(scene.threads).clamp(1, explanations.len().max(1));
    let shared = scene.shared(explanations);
    let (next, drawn) = (AtomicUsize::new(0), Mutex::new(vec![]));
    thread::scope(|scope| {
        let draw = || {
            loop {
                let rank = next.fetch_add(1, Ordering::Relaxed);
                let Some(explanation) = explanations.get(rank) else {
                    break;
                };
                let label = labels.get(explanation.class).expect("one label a class");
                let result = class(scene, &shared, rank, explanation, prediction, label);
                let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                drawn.push((rank, result));
            }
        };
        for _ in 1..threads {
            scope.spawn(draw);
        }
        draw();
    });
    let mut drawn = drawn.into_inner().unwrap_or_else(PoisonError::into_inner);
    drawn.sort_by_key(|&(rank, _)| rank);
    let classes: Result<Vec<DrawnClass>, Error> =
        drawn.into_iter().map(|(_, class)| class).collect();
    let writing = scene.writing.load(Ordering::Relaxed) as f64 / 1e9;
    let all = started.elapsed().as_secs_f64() * threads as f64;
    Ok(AllDrawn {
        classes: classes?,
        writing: (writing / all).min(1.0),
    })
}
