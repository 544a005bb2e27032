//! `gradcam bench`: what this device does with a network, kernel by kernel, beside what it could do.
//!
//! Results are checked before the clock starts. Times of whole passes are medians of warm runs with everything read
//! back; times of kernels are the device's own, from timestamps around a pass each.

use std::time::{Duration, Instant};

use crate::architectures::Classifier;
use crate::cli::Bench;
use crate::command::Error;
use crate::command::error::of_run;
use crate::command::network::{overrides, recognise, weights_name};
use crate::command::tune::{rows, tuned};
use crate::gpu::{Gpu, Selection, Session};
use crate::methods::cam::{self, Features};
use crate::network::{Network, NodeId, ReluRule, Shape};
use crate::picture::preprocess;
use crate::plan::{BackwardRequest, ForwardRequest, Limits, Means, Plan, Request, StoredDtype};
use crate::tuning::there_and_back;
use crate::weights;

mod ceilings;
mod check;
mod report;

pub use ceilings::{Ceilings, multiply_adds};
pub use check::{Check, WrongResults};
pub use report::{Batch, KernelTime, LayerTime, Report, StartUp, Tuned};

/// Runs that the plan counts on: more than repay whatever is prepared once.
const MANY: usize = 1000;

/// Passes of the plan and their backward passes: one as Grad-CAM alone asks for it, one that leaves what the ways to the pixels
/// read.
const GRAD_CAM: [usize; 2] = [0, 0];
const GUIDED: [usize; 2] = [1, 0];
/// Only for the check: the true gradient at the pixels.
const PIXELS: [usize; 2] = [1, 1];

/// What the device stores numbers as.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// The matrices of linear layers.
    pub matrices: StoredDtype,
    /// All else.
    pub dtype: StoredDtype,
}

impl Stored {
    fn of(flags: &Bench) -> Self {
        Self {
            matrices: flags.weights_dtype.unwrap_or(flags.dtype),
            dtype: flags.dtype,
        }
    }
}

fn open_device(flags: &Bench) -> Result<Gpu, Error> {
    let selection = Selection {
        adapter: flags.device.adapter.clone(),
        backend: flags.device.backend,
    };
    Ok(Gpu::open(&selection)?.with_winograd(flags.convolution.into()))
}

/// Measures the built-in network, or that of `flags.weights`.
pub fn run(flags: &Bench) -> Result<Report, Error> {
    let begun = Instant::now();
    let gpu = open_device(flags)?;
    let mut notes = gpu.notes();
    let (gpu, tuning) = tuned(gpu, &mut notes);
    let device = milliseconds(begun);
    let started = Instant::now();
    let weights = weights::open_or_builtin(flags.weights.as_deref())?;
    let classifier = recognise(&weights, &overrides(&flags.network))?;
    let network = &classifier.network;
    let reading = milliseconds(started);
    let at_weights = |source| Error::Explain {
        path: weights_name(&weights),
        source,
    };
    let stored = Stored::of(flags);
    let run = Run::new(&gpu, &classifier, stored);
    let fits = |network: &Network| plan(network, stored, gpu.limits()).is_ok();
    let mut run = run.map_err(|error| of_run(error, &weights, network, fits))?;
    let started = Instant::now();
    let logits = run.forward().map_err(at_weights)?;
    let first_forward = milliseconds(started);
    let total = milliseconds(begun);
    run.explain_likeliest(&logits);
    let check = check::check(&run).map_err(|error| match error {
        check::CheckError::Explain(error) => at_weights(error),
        check::CheckError::Wrong(wrong) => Error::Bench(wrong),
    })?;
    let start_up = run.start_up(device, reading, first_forward, total);
    let runs = flags.runs as usize;
    let times = Times::measure(&run, runs).map_err(at_weights)?;
    let (weights_bytes, activations_bytes) = run.session.plan().bytes();
    let planned_bytes = run.session.plan().peak_bytes();
    // Before anything else than the plan is measured.
    let allocated_bytes = gpu.peak_bytes();
    let layers = layers(&run, runs).map_err(at_weights)?;
    // The batch has weights and activations of its own.
    drop(run);
    let batch = flags.batch.map(usize::from);
    let batch = batch.map(|pictures| batch_of(pictures, &gpu, &classifier, stored, runs));
    Ok(Report {
        adapter: gpu.info().clone(),
        weights: weights.path.clone(),
        architecture: network.architecture.clone(),
        input: network.input_shape(),
        stored,
        runs,
        check,
        forward_ms: times.forward,
        gradcam_ms: times.grad_cam,
        guided_bprop_ms: times.guided,
        batch: batch.transpose().map_err(at_weights)?,
        start_up,
        weights_bytes,
        activations_bytes,
        planned_bytes,
        allocated_bytes,
        ceilings: Ceilings::measure(&gpu)?,
        layers,
        tuning: tuning.file.map(|file| Tuned {
            file,
            rows: rows(network, &there_and_back(), gpu.limits()),
        }),
        notes,
    })
}

/// Medians of whole passes, in milliseconds.
struct Times {
    forward: f64,
    grad_cam: f64,
    guided: f64,
}

impl Times {
    fn measure(run: &Run<'_>, runs: usize) -> Result<Self> {
        Ok(Self {
            forward: median(runs, || run.forward().map(drop))?,
            grad_cam: median(runs, || run.grad_cam())?,
            guided: median(runs, || run.guided())?,
        })
    }
}

type Result<T, E = crate::explainer::ExplainError> = std::result::Result<T, E>;

/// A network on the device with one picture and one class to explain.
struct Run<'a> {
    network: &'a Network,
    session: Session,
    target: NodeId,
    input: Vec<f32>,
    /// The class's logit alone; none until [`Run::explain_likeliest`].
    seed: Vec<f32>,
}

/// What is measured.
fn plan(network: &Network, stored: Stored, limits: Limits<'_>) -> Result<Plan> {
    let target = network.target(None)?;
    let pass = |to, rule, means| BackwardRequest {
        to,
        keep: vec![],
        classes: 1,
        rule,
        means,
    };
    let of_grad_cam = ForwardRequest {
        keep: vec![target],
        backs: vec![pass(target, ReluRule::Plain, Means::WhereFaster)],
        ..ForwardRequest::default()
    };
    let to_pixels = ForwardRequest {
        backs: vec![
            pass(NodeId(0), ReluRule::Guided, Means::Never),
            pass(NodeId(0), ReluRule::Plain, Means::Never),
        ],
        ..ForwardRequest::default()
    };
    let request = Request {
        passes: vec![of_grad_cam, to_pixels],
        runs: MANY,
        matrices: stored.matrices,
        dtype: stored.dtype,
    };
    Ok(Plan::new(network, &request, limits)?)
}

impl<'a> Run<'a> {
    fn new(gpu: &Gpu, classifier: &'a Classifier, stored: Stored) -> Result<Self> {
        let network = &classifier.network;
        let plan = plan(network, stored, gpu.limits())?;
        Ok(Self {
            network,
            session: Session::new(gpu, plan)?,
            target: network.target(None)?,
            input: picture(classifier),
            seed: vec![0.0; network.classes()],
        })
    }

    /// What came before the first picture, with what was measured of it outside: opening the `device`, `reading` the weights, the
    /// `first_forward` pass, and all of it.
    fn start_up(&self, device: f64, reading: f64, first_forward: f64, total: f64) -> StartUp {
        let parts = self.session.start_up();
        let in_ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        StartUp {
            device,
            reading,
            pipelines: in_ms(parts.pipelines),
            packing: in_ms(parts.packing),
            upload: in_ms(parts.upload),
            preparation: in_ms(parts.preparation),
            first_forward,
            total,
        }
    }

    fn explain_likeliest(&mut self, logits: &[f32]) {
        let class = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        self.seed[class.expect("a network has classes")] = 1.0;
    }

    fn logits_shape(&self) -> Shape {
        Shape::vector(self.network.classes())
    }

    /// The logits of a picture.
    fn forward_of(&self, input: &[f32]) -> Result<Vec<f32>> {
        let shape = self.network.input_shape();
        self.session.forward(0, input, shape)?;
        let logits = self.session.plan().picture().logits;
        Ok(self.session.read(logits, 1, self.logits_shape())?)
    }

    fn forward(&self) -> Result<Vec<f32>> {
        self.forward_of(&self.input)
    }

    /// The gradient that a backward pass gives, after the forward pass that it belongs to.
    fn backward(&self, [pass, back]: [usize; 2]) -> Result<Vec<f32>> {
        self.session
            .backward([pass, back], &self.seed, self.logits_shape())?;
        let backward = &self.session.plan().passes[pass].backs[back];
        Ok(self.session.read(backward.gradient, 1, backward.shape)?)
    }

    /// The gradient at the pixels that a backward pass gives.
    fn to_pixels(&self, [pass, back]: [usize; 2]) -> Result<Vec<f32>> {
        let shape = self.network.input_shape();
        self.session.forward(pass, &self.input, shape)?;
        self.backward([pass, back])
    }

    fn grad_cam(&self) -> Result<()> {
        self.forward()?;
        let shape = self.network.node(self.target).shape;
        let kept = self.session.plan().picture().kept[0];
        let activations = self.session.read(kept, 1, shape)?;
        let gradients = self.backward(GRAD_CAM)?;
        std::hint::black_box(cam::grad_cam(&Features {
            shape,
            activations: &activations,
            gradients: &gradients,
            scale: 1.0,
            seed: 0,
            tried: &[],
            eigen: false,
            biases: &[],
        }));
        Ok(())
    }

    fn guided(&self) -> Result<()> {
        std::hint::black_box(self.to_pixels(GUIDED)?);
        Ok(())
    }
}

/// The forward pass of `pictures` at once.
fn batch_of(
    pictures: usize,
    gpu: &Gpu,
    classifier: &Classifier,
    stored: Stored,
    runs: usize,
) -> Result<Batch> {
    let network = &classifier.network;
    let request = Request {
        runs: MANY,
        matrices: stored.matrices,
        dtype: stored.dtype,
        ..Request::of(ForwardRequest {
            images: pictures,
            ..ForwardRequest::default()
        })
    };
    let session = Session::new(gpu, Plan::new(network, &request, gpu.limits())?)?;
    let input = picture(classifier).repeat(pictures);
    let logits = Shape::vector(network.classes());
    let forward = || {
        session.forward(0, &input, network.input_shape())?;
        let read = session.plan().picture().logits;
        std::hint::black_box(session.read(read, pictures, logits)?);
        Ok(())
    };
    forward()?;
    Ok(Batch {
        pictures,
        milliseconds: median(runs, forward)?,
    })
}

/// A picture with ramps and edges, as the network sees it.
fn picture(classifier: &Classifier) -> Vec<f32> {
    let Shape { h, w, .. } = classifier.network.input_shape();
    let (h, w) = (h as u32, w as u32);
    let picture = ::image::RgbImage::from_fn(w, h, |x, y| {
        let ramp = |at: u32, size: u32| (at * 255 / size) as u8;
        let check = if (x / 16 + y / 16) % 2 == 0 { 224 } else { 32 };
        ::image::Rgb([ramp(x, w), ramp(y, h), check])
    });
    preprocess::to_tensor(&picture, &classifier.normalization)
}

/// Each dispatch of the three phases that are measured, timed by the device; empty where it has no timestamps.
fn layers(run: &Run<'_>, runs: usize) -> Result<Vec<LayerTime>> {
    let plan = run.session.plan();
    let (input, logits) = (run.network.input_shape(), run.logits_shape());
    let back = |[pass, back]: [usize; 2]| &plan.passes[pass].backs[back].dispatches;
    let mut layers = vec![];
    // A backward pass reads what the pass before it left.
    run.to_pixels(GUIDED)?;
    for (name, dispatches, way) in [
        ("forward", &plan.picture().dispatches, None),
        ("gradcam", back(GRAD_CAM), Some(GRAD_CAM)),
        ("guided_bprop", back(GUIDED), Some(GUIDED)),
    ] {
        let mut times = vec![];
        for _ in 0..runs {
            let taken = match way {
                None => run.session.time_forward(0, &run.input, input)?,
                Some(way) => run.session.time_backward(way, &run.seed, logits)?,
            };
            let Some(taken) = taken else {
                return Ok(vec![]);
            };
            times.push(taken);
        }
        for (index, dispatch) in dispatches.iter().enumerate() {
            let of = |part: fn(&crate::gpu::DispatchTime) -> std::time::Duration| {
                middle(
                    times
                        .iter()
                        .map(|run| part(&run[index]).as_secs_f64() * 1e3),
                )
            };
            layers.push(LayerTime {
                phase: name,
                layer: dispatch.label.clone(),
                kernel: dispatch.kernel,
                milliseconds: of(|time| time.kernel),
                before_milliseconds: of(|time| time.before),
                multiply_adds: dispatch.multiply_adds,
                bytes: plan.bytes_touched(dispatch),
            });
        }
    }
    Ok(layers)
}

fn median(runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..runs {
        let started = Instant::now();
        work()?;
        times.push(milliseconds(started));
    }
    Ok(middle(times.into_iter()))
}

fn middle(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
