//! What is done with each picture: prepared, explained, drawn and told, of several pictures side by side.

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use ::image::RgbImage;

use super::choice::Choice;
use super::compute::{Explained, Place, SetUp};
use super::draw::{self, AllDrawn, DrawnClass};
use super::ending::{Collected, Ending};
use super::record::{self, Record};
use super::scene::Scene;
use super::sheet::{self, OnSheet};
use super::weight_checks::WeightChecks;
use super::{Job, Jobs, Message, milliseconds, page};
use crate::architectures::Classifier;
use crate::cli::{self, Score};
use crate::command::Error;
use crate::command::batch::{self, Width};
use crate::command::preview::Screen;
use crate::explainer::{Explainer, Explanation};
use crate::gpu::Gpu;
use crate::labels::Labels;
use crate::methods::verdict::Circumstances;
use crate::options::Options;
use crate::output::page::{Media, Shown};
use crate::output::provenance::{Made, Origin};
use crate::output::report::{self, Report};
use crate::output::{self, Question};
use crate::picture;
use crate::weights::Weights;

/// A picture whose files are written.
pub(super) struct Drawn {
    pub(super) report: Report,
    /// For the page.
    pub(super) shown: Option<Shown>,
    /// By rank, maps for the terminal.
    pub(super) previews: Vec<(usize, RgbImage)>,
    /// For the sheet of all pictures.
    pub(super) sheet: Option<OnSheet>,
    /// To be told when its turn comes.
    pub(super) notes: Vec<String>,
}

/// What is the same for all pictures.
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) jobs: &'a Jobs,
    pub(super) weights: &'a Weights,
    pub(super) classifier: &'a Classifier,
    pub(super) labels: &'a Labels,
    pub(super) choice: &'a Choice,
    /// At least one.
    pub(super) gpus: &'a [Gpu],
    /// Pictures that are to go through the network at once, by what was measured of it on the first device.
    pub(super) measured_at_once: Option<usize>,
    /// What is told of the weights and the network.
    pub(super) notes: &'a [String],
    /// Of the page, if there is to be one.
    pub(super) media: Option<Media>,
    /// Where maps are drawn, if anywhere.
    pub(super) screen: Option<Screen>,
    /// Milliseconds until the device was there.
    pub(super) opened: f64,
}

impl Run<'_> {
    /// Explains every picture. Returns whether all went well.
    pub(super) fn all(
        &self,
        checks: &WeightChecks<'_>,
        collected: Collected,
        out: &mut (impl Write + Send),
        tell: &(impl Fn(Message) + Sync),
    ) -> Result<bool, Error> {
        let set_up = self.set_up()?;
        self.tell_of_folders(tell);
        self.sweep(tell);
        self.tell_fewer_channels(&set_up, tell);
        self.tell_fewer_at_once(&set_up, tell);
        let list = &self.jobs.list;
        let computed = AtomicUsize::new(0);
        let record = match record::is_kept(self.options, self.jobs) {
            true => {
                let run = record::settings(self.options, checks.sha256());
                Some(Record::open(self.options, self.jobs, run, tell)?)
            }
            false => None,
        };
        let mut ending = Ending::new(self, record, collected, out);
        batch::run(
            list,
            self.width(&set_up),
            |job| self.prepare(&set_up, job),
            |device, pictures| {
                let at_once = pictures.len();
                let place = Place {
                    index: computed.fetch_add(at_once, Ordering::Relaxed),
                    of: list.len(),
                };
                let pictures = pictures.into_iter().map(|(_, picture)| picture).collect();
                let explained = self.compute(&set_up, device, pictures, place, tell);
                explained.unwrap_or_else(|error| self.all_fail(at_once, error))
            },
            |job, explained| {
                checks.sound()?;
                Ok(self.draw(job, explained, &set_up, checks.sha256())?)
            },
            |job, outcome| ending.of_picture(job, outcome, tell),
        );
        ending.finish()
    }

    /// Says which folders will be made, or that nothing goes to the one that was named.
    fn tell_of_folders(&self, tell: &impl Fn(Message)) {
        let options = self.options;
        let is_written_to = draw::files(options) > 0 || record::is_kept(options, self.jobs);
        if let (Some(folder), false) = (&options.out_dir, is_written_to) {
            let note = format!(
                "nothing is written to {}: --outputs heatmap,gradcam, say, asks for files beside --sheet and --report",
                folder.display(),
            );
            return tell(Message::Note(note));
        }
        for folder in &self.jobs.new_folders {
            let note = format!("{} is new and will be made", folder.display());
            tell(Message::Note(note));
        }
    }

    fn width(&self, set_up: &SetUp) -> Width {
        let threads = cores().min(self.jobs.list.len());
        Width {
            prepare: threads,
            devices: set_up.explainers.len(),
            at_once: set_up.explainers[0].at_once(),
            draw: threads,
        }
    }

    /// Draws and writes the pictures of one, and gives what they show. `sha256`: of the weights, empty where nobody asks.
    fn draw(
        &self,
        job: &Job,
        explained: Explained,
        set_up: &SetUp,
        sha256: &str,
    ) -> Result<Drawn, Error> {
        let started = Instant::now();
        let Self {
            options,
            classifier,
            labels,
            choice,
            ..
        } = *self;
        let Explained {
            picture,
            device,
            prediction,
            explanations,
            not_finite,
            timings,
        } = explained;
        let layers = set_up.explainers[0].layers().into_iter();
        let layers: Vec<String> = layers.map(str::to_owned).collect();
        let question = Question {
            versus: choice.versus,
            counterfactual: options.counterfactual,
        };
        let score = asked_score(options.score, question);
        let weights = self.reported_weights(sha256);
        let adapter = self.reported_adapter(device);
        let boxes = job.known_boxes.iter();
        let boxes: Vec<[f64; 4]> = boxes.map(|known| known.place.numbers()).collect();
        let (known_box, known_boxes) = match boxes[..] {
            [] => (None, None),
            [one] => (Some(one), None),
            _ => (None, Some(boxes)),
        };
        let settings = report::Settings {
            known_box,
            known_boxes,
            ..set_up.settings.clone()
        };
        let origin = Origin::new(&Made {
            image: &job.image,
            weights: &weights,
            adapter: &adapter,
            layer: &layers.join("+"),
            score: &score,
            settings: &settings,
            command: &command(options, job),
        });
        let scene = Scene {
            options,
            destination: &picture.destination,
            threads: self.threads_a_picture(),
            kept: &self.jobs.kept,
            original: picture.original.as_ref(),
            known_boxes: &job.known_boxes,
            seen: &picture.seen,
            geometry: &picture.geometry,
            normalization: &classifier.normalization,
            question,
            origin: &origin,
            score: &score,
            layers: &layers,
            writing: AtomicU64::new(0),
            asked: Circumstances {
                score: options.score,
                counterfactual: options.counterfactual,
                samples: set_up.wanted.settings.samples,
                noise: set_up.wanted.settings.noise,
                signed: options.signed,
                not_finite: not_finite.as_deref(),
            },
        };
        let AllDrawn { classes, writing } =
            draw::classes(&scene, &explanations, &prediction, labels)?;
        let mut previews = vec![];
        let classes = classes.into_iter().map(|DrawnClass { class, preview }| {
            previews.extend(preview.map(|preview| (class.rank, preview)));
            class
        });
        let classes: Vec<report::Class> = classes.collect();
        let shown = match (&self.media, &picture.reduced) {
            (Some(media), Some(reduced)) => {
                let to = page::To {
                    media,
                    key: Media::key(&job.image),
                };
                Some(page::shown(&to, &scene, &explanations, reduced)?)
            }
            _ => None,
        };
        let drawn = milliseconds(started);
        let report = Report {
            image: job.image.clone(),
            image_sha256: picture.sha256,
            image_size: picture.geometry.picture.into(),
            tiles: (options.fit == cli::Fit::Tiles).then_some(picture.tiles.corners.len()),
            weights,
            adapter,
            layer: layers.join("+"),
            fuse: (layers.len() > 1).then_some(options.fuse),
            score: options.score,
            settings,
            versus: choice.versus.map(|id| {
                let label = labels.get(id).expect("one label a class");
                report::Versus::new(id, label)
            }),
            counterfactual: options.counterfactual,
            unread: options.unread.iter().map(|unread| unread.option).collect(),
            notes: self.notes.iter().chain(&picture.notes).cloned().collect(),
            timings_ms: self.all_timings(set_up, timings, drawn, writing),
            classes,
        };
        let sheet = sheet::make(&scene, &explanations, &report)?;
        let mut notes = self.notes_of_kept(&explanations, &set_up.explainers[0]);
        let of_picture = picture.notes.iter();
        notes.extend(of_picture.map(|note| format!("{}: {note}", picture::shown(&job.image))));
        notes.extend(report.notes());
        Ok(Drawn {
            report,
            shown,
            previews,
            sheet,
            notes,
        })
    }

    fn reported_weights(&self, sha256: &str) -> report::Weights {
        report::Weights {
            path: self.weights.path.clone(),
            sha256: sha256.into(),
            architecture: self.classifier.network.architecture.clone(),
        }
    }

    fn reported_adapter(&self, device: usize) -> report::Adapter {
        let gpu = self.gpus[device].info();
        report::Adapter {
            name: gpu.name.clone(),
            backend: gpu.backend.clone(),
            kind: gpu.kind.into(),
        }
    }

    /// In milliseconds: what all pictures of the run share, then what was `computed` for one, then what it took until it was
    /// `drawn`, of which `writing` is a part from 0 to 1.
    fn all_timings(
        &self,
        set_up: &SetUp,
        computed: Vec<(&'static str, f64)>,
        drawn: f64,
        writing: f64,
    ) -> Vec<(&'static str, f64)> {
        let mut timings = vec![
            ("open_device", self.opened),
            ("set_up", set_up.milliseconds),
        ];
        timings.extend(computed);
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

    /// Removes what killed runs left unfinished in the folders that are written to.
    fn sweep(&self, tell: &impl Fn(Message)) {
        if self.options.to_stdout {
            return;
        }
        for folder in &self.jobs.folders {
            let note = match output::sweep(folder) {
                0 => continue,
                1 => "1 unfinished file of a run that was killed is removed".to_owned(),
                files => format!("{files} unfinished files of runs that were killed are removed"),
            };
            tell(Message::Note(match folder.as_os_str().is_empty() {
                true => note,
                false => format!("{}: {note}", folder.display()),
            }));
        }
    }

    /// Says where the layer has fewer channels than are to be tried.
    fn tell_fewer_channels(&self, set_up: &SetUp, tell: &impl Fn(Message)) {
        let all = set_up.explainers[0].channels();
        let tried = self.options.channels.map(NonZeroUsize::get);
        let is_read = set_up.settings.channels.is_some();
        if let Some(tried) = tried.filter(|&tried| tried > all && is_read) {
            let layers = set_up.explainers[0].layers().join("+");
            let note = format!("--channels {tried}: {layers} has {all}, and all of them are tried");
            tell(Message::Note(note));
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
            let label = self.labels.get(explanation.class);
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

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
