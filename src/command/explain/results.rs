//! A picture's results: its files are drawn and written, and what the report, the page, the sheet and the terminal show of it is
//! gathered.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use ::image::RgbImage;

use super::compute::{Engines, Explained};
use super::draw::{self, AllDrawn, DrawnClass};
use super::pictures::{Run, cores};
use super::scene::Scene;
use super::sheet::{self, SheetPart};
use super::{Job, milliseconds, page};
use crate::cli::{self, Score};
use crate::command::Error;
use crate::explainer::{Explainer, Explanation};
use crate::methods::verdict::Circumstances;
use crate::options::Options;
use crate::output::Question;
use crate::output::page::{Media, PagePicture};
use crate::output::provenance::{Origin, Provenance};
use crate::output::report::{self, Report};
use crate::picture;

/// A picture whose files are written.
pub(super) struct DrawnPicture {
    pub(super) report: Report,
    /// For the page.
    pub(super) shown: Option<PagePicture>,
    /// By rank, maps for the terminal.
    pub(super) previews: Vec<(usize, RgbImage)>,
    /// For the sheet of all pictures.
    pub(super) sheet: Option<SheetPart>,
    /// To be told when its turn comes.
    pub(super) notes: Vec<String>,
}

/// How a picture's maps were made, as the report and the files that can say it have it.
struct ReportContext {
    weights: report::Weights,
    adapter: report::Adapter,
    layers: Vec<String>,
    question: Question,
    /// What was differentiated, in a word or three.
    score: String,
    settings: report::Settings,
}

impl ReportContext {
    /// The target layers in one text.
    fn layer(&self) -> String {
        self.layers.join("+")
    }
}

impl Run<'_> {
    /// Draws and writes the pictures of one, and gives what they show. `sha256`: of the weights, empty where nobody asks.
    pub(super) fn draw(
        &self,
        job: &Job,
        explained: &Explained,
        engines: &Engines,
        sha256: &str,
    ) -> Result<DrawnPicture, Error> {
        let started = Instant::now();
        let context = self.context(job, explained.device, engines, sha256);
        let origin = Origin::new(&Provenance {
            image: &job.image,
            weights: &context.weights,
            adapter: &context.adapter,
            layer: &context.layer(),
            score: &context.score,
            settings: &context.settings,
            command: &command(self.options, job),
        });
        let scene = self.scene(job, explained, engines, &context, &origin);
        let explanations = &explained.explanations;
        let AllDrawn { classes, writing } = draw::classes(
            &scene,
            explanations,
            &explained.prediction,
            &self.model.labels,
        )?;
        let mut previews = vec![];
        let classes = classes.into_iter().map(|DrawnClass { class, preview }| {
            previews.extend(preview.map(|preview| (class.rank, preview)));
            class
        });
        let classes: Vec<report::Class> = classes.collect();
        let shown = self.shown(job, explained, &scene)?;
        let timings = self.all_timings(engines, explained, milliseconds(started), writing);
        let report = self.report(job, explained, &context, classes, timings);
        let sheet = sheet::make(&scene, explanations, &report)?;
        let mut notes = self.notes_of_kept(explanations, &engines.explainers[0]);
        let of_picture = explained.picture.notes.iter();
        notes.extend(of_picture.map(|note| format!("{}: {note}", picture::shown(&job.image))));
        notes.extend(report.notes());
        Ok(DrawnPicture {
            report,
            shown,
            previews,
            sheet,
            notes,
        })
    }

    fn context(&self, job: &Job, device: usize, engines: &Engines, sha256: &str) -> ReportContext {
        let layers = engines.explainers[0].layers().into_iter();
        let question = Question {
            versus: self.choice.versus,
            counterfactual: self.options.counterfactual,
        };
        let boxes = job.known_boxes.iter();
        let boxes: Vec<[f64; 4]> = boxes.map(|known| known.place.numbers()).collect();
        let (known_box, known_boxes) = match boxes[..] {
            [] => (None, None),
            [one] => (Some(one), None),
            _ => (None, Some(boxes)),
        };
        let gpu = self.devices.gpus[device].info();
        ReportContext {
            weights: report::Weights {
                path: self.model.weights.path.clone(),
                sha256: sha256.into(),
                architecture: self.model.classifier.network.architecture.clone(),
            },
            adapter: report::Adapter {
                name: gpu.name.clone(),
                backend: gpu.backend.clone(),
                kind: gpu.kind.into(),
            },
            layers: layers.map(str::to_owned).collect(),
            question,
            score: asked_score(self.options.score, question),
            settings: report::Settings {
                known_box,
                known_boxes,
                ..engines.settings.clone()
            },
        }
    }

    /// What all classes of a picture are drawn with.
    fn scene<'a>(
        &'a self,
        job: &'a Job,
        explained: &'a Explained,
        engines: &Engines,
        context: &'a ReportContext,
        origin: &'a Origin,
    ) -> Scene<'a> {
        let (options, picture) = (self.options, &explained.picture);
        Scene {
            options,
            destination: &picture.destination,
            threads: self.threads_a_picture(),
            kept: &self.jobs.kept,
            original: picture.original.as_ref(),
            known_boxes: &job.known_boxes,
            seen: &picture.seen,
            geometry: &picture.geometry,
            normalization: &self.model.classifier.normalization,
            question: context.question,
            origin,
            score: &context.score,
            layers: &context.layers,
            writing: AtomicU64::new(0),
            asked: Circumstances {
                score: options.score,
                counterfactual: options.counterfactual,
                samples: engines.wanted.settings.samples,
                noise: engines.wanted.settings.noise,
                signed: options.signed,
                not_finite: explained.not_finite.as_deref(),
            },
        }
    }

    /// What the page shows of a picture, if there is to be one.
    fn shown(
        &self,
        job: &Job,
        explained: &Explained,
        scene: &Scene<'_>,
    ) -> Result<Option<PagePicture>, Error> {
        let (Some(media), Some(reduced)) = (&self.media, &explained.picture.reduced) else {
            return Ok(None);
        };
        let to = page::PictureMedia {
            media,
            key: Media::key(&job.image),
        };
        page::shown(&to, scene, &explained.explanations, reduced).map(Some)
    }

    fn report(
        &self,
        job: &Job,
        explained: &Explained,
        context: &ReportContext,
        classes: Vec<report::Class>,
        timings_ms: Vec<(&'static str, f64)>,
    ) -> Report {
        let (options, picture) = (self.options, &explained.picture);
        let notes = self.notes.iter().chain(&picture.notes);
        Report {
            image: job.image.clone(),
            image_sha256: picture.sha256.clone(),
            image_size: picture.geometry.picture.into(),
            tiles: (options.fit == cli::Fit::Tiles).then_some(picture.tiles.corners.len()),
            weights: context.weights.clone(),
            adapter: context.adapter.clone(),
            layer: context.layer(),
            fuse: (context.layers.len() > 1).then_some(options.fuse),
            score: options.score,
            settings: context.settings.clone(),
            versus: context.question.versus.map(|id| {
                let label = self.model.labels.get(id).expect("one label a class");
                report::Versus::new(id, label)
            }),
            counterfactual: options.counterfactual,
            unread: options.unread.iter().map(|unread| unread.option).collect(),
            notes: notes.cloned().collect(),
            timings_ms,
            classes,
        }
    }

    /// In milliseconds: what all pictures of the run share, then what was computed for this one, then what it took until it was
    /// `drawn`, of which `writing` is a part from 0 to 1.
    fn all_timings(
        &self,
        engines: &Engines,
        explained: &Explained,
        drawn: f64,
        writing: f64,
    ) -> Vec<(&'static str, f64)> {
        let mut timings = vec![
            ("open_device", self.devices.milliseconds),
            ("set_up", engines.milliseconds),
        ];
        timings.extend(&explained.timings);
        // The threads' shares: they draw and write side by side.
        timings.extend([
            ("draw", drawn * (1.0 - writing)),
            ("write", drawn * writing),
            ("draw_and_write", drawn),
        ]);
        timings
    }

    /// Threads that draw the classes of one picture: of several, pictures are drawn side by side.
    fn threads_a_picture(&self) -> usize {
        match self.jobs.list.len() {
            1 => cores(),
            _ => 1,
        }
    }

    /// What share of the weight the channels tried hold, where they are not all.
    fn notes_of_kept(&self, explanations: &[Explanation], explainer: &Explainer) -> Vec<String> {
        // There may be no more than all.
        let tried = self.options.channels.map(NonZeroUsize::get);
        let Some(tried) = tried.filter(|&tried| tried < explainer.channels()) else {
            return vec![];
        };
        let note = |explanation: &Explanation| {
            let kept = explanation.kept?;
            let label = self.model.labels.get(explanation.class);
            let name = label.expect("one label a class").printed_name();
            let share = 100.0 * kept;
            Some(format!(
                "the {tried} channels tried hold {share:.0} % of the weight for {name}, to first order"
            ))
        };
        explanations.iter().filter_map(note).collect()
    }
}

/// The command that makes a picture's files: what was typed, without the other pictures that were named.
fn command(options: &Options, job: &Job) -> Vec<OsString> {
    let is_other = |place: usize, word: &OsString| {
        let is_value = place > 0 && cli::takes_value(&options.command[place - 1]);
        let path = Path::new(word);
        !is_value && path != job.named && options.images.iter().any(|image| image == path)
    };
    let words = options.command.iter().enumerate();
    let words = words.filter(|(place, word)| !is_other(*place, word));
    words.map(|(_, word)| word.clone()).collect()
}

/// What was differentiated, in a word or three: `logit, versus 5, counterfactual`.
fn asked_score(score: Score, question: Question) -> String {
    let mut words = vec![score.to_string()];
    words.extend(question.versus.map(|id| format!("versus {id}")));
    words.extend(question.counterfactual.then(|| "counterfactual".to_owned()));
    words.join(", ")
}
