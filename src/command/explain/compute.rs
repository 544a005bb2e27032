//! The network on the devices, and what it says of pictures: of one at a time, or of groups.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::choice::Choice;
use super::ending::Failure;
use super::from_options::wanted;
use super::pictures::Run;
use super::prepare::Prepared;
use super::settings::settings;
use super::{Cost, Message, milliseconds};
use crate::architectures::Classifier;
use crate::cli;
use crate::command::Error;
use crate::command::error::of_run;
use crate::command::network::weights_name;
use crate::explainer::{self, ExplainError, Explainer, Explanation, Prediction, Wanted};
use crate::network::{Network, Shape};
use crate::output::report;
use crate::picture::preprocess::Tiles;

/// Pictures that go through a GPU at once unless the command or a measurement says how many.
const GROUP: usize = 8;
/// The same of a software adapter, where more save no time and take memory.
const GROUP_OF_SOFTWARE: usize = 4;

/// A picture with what the network says of it.
pub(super) struct Explained {
    pub(super) picture: Prepared,
    /// The number of the one that explained it.
    pub(super) device: usize,
    pub(super) prediction: Prediction,
    pub(super) explanations: Vec<Explanation>,
    /// The first layer whose values are not finite, where a map is not.
    pub(super) not_finite: Option<String>,
    pub(super) timings: Vec<(&'static str, f64)>,
}

/// The network on each device, and what the report says of it.
pub(super) struct Engines {
    pub(super) wanted: Wanted,
    pub(super) explainers: Vec<Explainer>,
    pub(super) settings: report::Settings,
    pub(super) milliseconds: f64,
    other_sizes: OtherSizes,
}

/// What pictures of other sizes need, of `--fit tiles`.
#[derive(Default)]
struct OtherSizes {
    /// Whether the network takes a size; by width and height.
    takes: Mutex<HashMap<(u32, u32), bool>>,
    /// For each device the network at the size that it saw last.
    last: Vec<Mutex<Option<AtSize>>>,
}

/// A width and a height, and the network at these.
type AtSize = ((u32, u32), Arc<Explainer>);

impl Engines {
    /// One rectangle in place of many, where that means the same to the network and the device holds it.
    pub(super) fn whole(&self, run: &Run<'_>, tiles: &Tiles) -> Option<Tiles> {
        let whole = tiles.whole()?;
        let takes = || {
            let network = run.network_at(whole.canvas)?;
            explainer::fits(&network, &self.wanted, run.devices.first().limits()).then_some(())
        };
        let mut known = lock(&self.other_sizes.takes);
        let takes = *known
            .entry(whole.canvas)
            .or_insert_with(|| takes().is_some());
        takes.then_some(whole)
    }

    /// The network on a device for pictures of this size.
    fn explainer(
        &self,
        run: &Run<'_>,
        device: usize,
        size: (u32, u32),
    ) -> Result<Arc<Explainer>, ExplainError> {
        let mut last = lock(&self.other_sizes.last[device]);
        if let Some((_, explainer)) = last.as_ref().filter(|(of, _)| *of == size) {
            return Ok(Arc::clone(explainer));
        }
        // Before the next one, which takes as much memory.
        *last = None;
        let network = run.network_at(size).expect("looked at before");
        let explainer = Explainer::new(&run.devices.gpus[device], &network, self.wanted.clone())?;
        let explainer = Arc::new(explainer);
        *last = Some((size, Arc::clone(&explainer)));
        Ok(explainer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A picture's number, from 0, of so many.
#[derive(Clone, Copy)]
pub(super) struct PictureNumber {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Run<'_> {
    fn at_weights(&self, source: ExplainError) -> Error {
        Error::Explain {
            path: weights_name(&self.model.weights),
            source,
        }
    }

    pub(super) fn set_up(&self) -> Result<Engines, Error> {
        let started = Instant::now();
        let Classifier {
            network,
            normalization,
            ..
        } = &self.model.classifier;
        // Of all parts, done or not: by it kernels are chosen, and what they give must not depend on how much is left.
        let wanted = Wanted {
            at_once: self.at_once(),
            ..wanted(self.options, self.choice, normalization, self.jobs.of)
        };
        let explainers = thread::scope(|scope| {
            let on = |gpu| {
                let wanted = wanted.clone();
                scope.spawn(move || Explainer::new(gpu, network, wanted))
            };
            let threads: Vec<_> = self.devices.gpus.iter().map(on).collect();
            let ended = threads.into_iter().map(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|panic| resume_unwind(panic))
            });
            ended.collect::<Result<Vec<_>, _>>()
        });
        let fits = |network: &_| explainer::fits(network, &wanted, self.devices.first().limits());
        let explainers =
            explainers.map_err(|error| of_run(error, &self.model.weights, network, fits))?;
        let channels = explainers[0].channels();
        Ok(Engines {
            settings: settings(self.options, &self.model.classifier, &wanted, channels),
            wanted,
            explainers,
            milliseconds: milliseconds(started),
            other_sizes: OtherSizes {
                last: self.devices.gpus.iter().map(|_| Mutex::default()).collect(),
                ..OtherSizes::default()
            },
        })
    }

    /// The network over pictures of another size, where a larger picture's logits are the means of its parts'.
    fn network_at(&self, (width, height): (u32, u32)) -> Option<Network> {
        let network = &self.model.classifier.network;
        let input = network.input_shape();
        let input = Shape::new(input.c, height as usize, width as usize);
        let can = network.is_mean_over_positions();
        can.then(|| network.at_input(input).ok()).flatten()
    }

    /// How many pictures go through a device at once: as the command says, or what `gradcam tune` found to take least time, or
    /// a number that a resumed run finds again, since it measures nothing.
    fn at_once(&self) -> usize {
        // Squares are many enough.
        if self.options.fit == cli::Fit::Tiles {
            return 1;
        }
        let is_software = self.devices.gpus.iter().any(|gpu| gpu.info().kind == "cpu");
        let usual = match is_software {
            true => GROUP_OF_SOFTWARE,
            false => GROUP,
        };
        let network = &self.model.classifier.network;
        let usual = self.devices.measured_at_once(network).unwrap_or(usual);
        let asked = self.options.many.batch.map_or(usual, NonZeroUsize::get);
        asked.min(self.jobs.of)
    }

    /// Says where fewer pictures go through at once than were asked for.
    pub(super) fn tell_fewer_at_once(&self, engines: &Engines, tell: &impl Fn(Message)) {
        let (asked, at_once) = (self.options.many.batch, engines.explainers[0].at_once());
        let Some(asked) = asked.filter(|asked| asked.get().min(self.jobs.of) > at_once) else {
            return;
        };
        let why = match at_once {
            1 => "what is asked for takes one picture at a time".to_owned(),
            _ => format!("{at_once} pictures at once fit this adapter"),
        };
        tell(Message::Note(format!("--batch {asked}: {why}")));
    }

    /// Runs the network for a group of pictures.
    pub(super) fn compute(
        &self,
        engines: &Engines,
        device: usize,
        pictures: Vec<Prepared>,
        place: PictureNumber,
        tell: &impl Fn(Message),
    ) -> Result<Vec<Result<Explained, Failure>>, ExplainError> {
        let explainer = &engines.explainers[device];
        if explainer.at_once() > 1 {
            return self.compute_group(explainer, device, pictures, place, tell);
        }
        let input = self.model.classifier.network.input_shape();
        let one = pictures.into_iter().map(|picture| {
            let size = picture.tiles.size;
            let explained = if size == (input.w as u32, input.h as u32) {
                compute_one(explainer, self.choice, picture, device, place, tell)?
            } else {
                let sized = engines.explainer(self, device, size)?;
                compute_one(&sized, self.choice, picture, device, place, tell)?
            };
            Ok(Ok(explained))
        });
        one.collect()
    }

    fn compute_group(
        &self,
        explainer: &Explainer,
        device: usize,
        pictures: Vec<Prepared>,
        place: PictureNumber,
        tell: &impl Fn(Message),
    ) -> Result<Vec<Result<Explained, Failure>>, ExplainError> {
        if place.index == 0 {
            tell(Message::Cost(Cost {
                pictures: place.of,
                passes: 0,
                seconds: 0.0,
                is_most: false,
            }));
        }
        let started = Instant::now();
        // A picture in several squares is explained alone, see `at_once`.
        let inputs: Vec<&[f32]> = pictures
            .iter()
            .map(|picture| &picture.inputs[0][..])
            .collect();
        let explained =
            explainer.explain_group(&inputs, |prediction| self.choice.of(prediction))?;
        let each = milliseconds(started) / pictures.len() as f64;
        let explained = pictures.into_iter().zip(explained);
        let explained = explained.map(|(picture, (prediction, explanations))| {
            Ok(Explained {
                not_finite: not_finite(explainer, &[&prediction.input], &explanations),
                timings: vec![("decode", picture.milliseconds), ("share_of_group", each)],
                picture,
                device,
                prediction,
                explanations,
            })
        });
        Ok(explained.collect())
    }

    /// What a device's error is to each picture of a group: the first tells it, and none comes after.
    pub(super) fn all_fail(
        &self,
        pictures: usize,
        error: ExplainError,
    ) -> Vec<Result<Explained, Failure>> {
        let error = self.at_weights(error);
        let words = error.to_string();
        let others = (1..pictures).map(|_| Err(Failure::told(&words)));
        std::iter::once(Err(error.into())).chain(others).collect()
    }
}

fn compute_one(
    explainer: &Explainer,
    choice: &Choice,
    picture: Prepared,
    device: usize,
    place: PictureNumber,
    tell: &impl Fn(Message),
) -> Result<Explained, ExplainError> {
    let started = Instant::now();
    let prediction = explainer.predict_tiles(&picture.inputs)?;
    let squares = picture.inputs.len();
    let forward = milliseconds(started);
    if place.index == 0 {
        tell(Message::Cost(Cost {
            pictures: place.of,
            passes: squares * explainer.passes(),
            // The time is that of all squares.
            seconds: explainer.cost() * forward / 1e3,
            is_most: explainer.shares_passes(),
        }));
    }
    let started = Instant::now();
    let passes = |progress| tell(Message::Passes(place.index, progress));
    let classes = choice.of(&prediction.whole);
    let explanations = explainer.explain_tiles(&picture.tiles, &prediction, &classes, &passes)?;
    let inputs = prediction.parts.iter().map(|part| &part.input[..]);
    let inputs: Vec<&[f32]> = inputs.collect();
    let timings = vec![
        ("decode", picture.milliseconds),
        ("forward", forward),
        ("backward", milliseconds(started)),
    ];
    Ok(Explained {
        not_finite: not_finite(explainer, &inputs, &explanations),
        picture,
        device,
        prediction: prediction.whole,
        explanations,
        timings,
    })
}

/// The first layer whose values are not finite, where a map is not.
fn not_finite(
    explainer: &Explainer,
    inputs: &[&[f32]],
    explanations: &[Explanation],
) -> Option<String> {
    if explanations.iter().all(Explanation::is_finite) {
        return None;
    }
    // For words in a note: no reason to fail.
    let found = |input: &&[f32]| explainer.first_not_finite(input).unwrap_or(None);
    inputs.iter().find_map(found)
}
