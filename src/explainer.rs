//! From a network's input to maps and pixel values: one forward pass, one backward pass a group of classes; for methods
//! that look at more inputs than the picture, as many of both as they need. These inputs go through many at once, forward
//! and, where a method reads gradients at them, back.
//!
//! An [`Explainer`] is made for what is [`Wanted`], which says the methods and how much will go through. The crate's page has
//! a first example; here are three more.
//!
//! # Several pictures
//!
//! ```
//! use gradcam::low_level::explainer::{Classes, Explainer, PictureRequest, Wanted};
//! use gradcam::low_level::picture::preprocess::Fit;
//! use gradcam::low_level::{architectures, gpu, picture, weights};
//!
//! let classifier = architectures::recognise(&weights::builtin())?;
//! let gpu = gpu::Gpu::open(&gpu::Selection::default())?;
//! let paths = ["assets/cat-and-coffee.png", "assets/example/cat_segmented.jpg"];
//! // How many there will be tells whether it pays to prepare more.
//! let wanted = Wanted {
//!     pictures: paths.len(),
//!     ..Wanted::default()
//! };
//! let explainer = Explainer::new(&gpu, &classifier.network, wanted)?;
//! let request = PictureRequest {
//!     normalization: &classifier.normalization,
//!     fit: Fit::Crop,
//!     classes: Classes::Top(1),
//! };
//! for path in paths {
//!     let picture = picture::open(path.as_ref())?.rgb;
//!     let explained = explainer.explain_picture(&picture, &request)?;
//!     // Grad-CAM of conv5_3, before ReLU and scaling.
//!     let map = explained.explanations[0].maps()[0];
//!     assert_eq!((map.width, map.height), (14, 14));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Values at the pixels
//!
//! ```
//! use gradcam::low_level::methods::attribution::Method;
//! use gradcam::low_level::explainer::{Explainer, Wanted};
//! use gradcam::low_level::methods::map::Map;
//! use gradcam::low_level::draw::composite;
//! use gradcam::low_level::picture::preprocess;
//! # use gradcam::low_level::{architectures, gpu, picture, weights};
//! # let classifier = architectures::recognise(&weights::builtin())?;
//! # let gpu = gpu::Gpu::open(&gpu::Selection::default())?;
//! # let picture = picture::open("assets/cat-and-coffee.png".as_ref())?.rgb;
//! # let (seen, _) = preprocess::fit(&picture, preprocess::Fit::Crop, 224, 224);
//! # let input = preprocess::to_tensor(&seen, &classifier.normalization);
//!
//! let method = Method::GuidedBprop;
//! let wanted = Wanted::of([method]);
//! let explainer = Explainer::new(&gpu, &classifier.network, wanted)?;
//! let prediction = explainer.predict(&input)?;
//! let explained = explainer.explain(&prediction, &prediction.top(1))?;
//! // 3 x H x W in the network's order and units, here blue first; then H x W x RGB for a picture scaled to 0..1.
//! let values = explained[0].pixels()[0];
//! let degree = method.recipe().value.degree();
//! let values = preprocess::to_picture(values, &classifier.normalization, degree);
//! let drawn = composite::guided(&Map::scaled(3 * 224, 224, &values).values, 224, 224);
//! assert_eq!(drawn.dimensions(), (224, 224));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One class rather than another, two layers in one map
//!
//! ```
//! use gradcam::low_level::explainer::{Explainer, Wanted};
//! use gradcam::low_level::methods::fuse::Fuse;
//! use gradcam::low_level::score::Score;
//! # use gradcam::low_level::picture::preprocess;
//! # use gradcam::low_level::{architectures, gpu, picture, weights};
//! # let classifier = architectures::recognise(&weights::builtin())?;
//! # let gpu = gpu::Gpu::open(&gpu::Selection::default())?;
//! # let picture = picture::open("assets/cat-and-coffee.png".as_ref())?.rgb;
//! # let (seen, _) = preprocess::fit(&picture, preprocess::Fit::Crop, 224, 224);
//! # let input = preprocess::to_tensor(&seen, &classifier.normalization);
//!
//! let (cat, food) = (5, 10);
//! let wanted = Wanted {
//!     score: Score::Logit,
//!     versus: Some(food),
//!     layers: vec!["conv4_3".to_owned(), "conv5_3".to_owned()],
//!     fuse: Fuse::Product,
//!     ..Wanted::default()
//! };
//! let explainer = Explainer::new(&gpu, &classifier.network, wanted)?;
//! let prediction = explainer.predict(&input)?;
//! let explained = explainer.explain(&prediction, &[cat])?;
//! // What both layers show, each from 0 to 1 and of the input's size.
//! let map = explained[0].maps()[0];
//! assert_eq!((map.width, map.height), (224, 224));
//! assert!(map.values.iter().all(|v| (0.0..=1.0).contains(v)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod augment;
mod backward;
mod explanation;
mod flat;
mod group;
mod largest;
mod maps;
mod picture;
mod pixels;
mod rerun;
mod tiles;
mod wanted;

pub use explanation::{Explanation, Values};
pub use largest::{fits, largest_input};
pub use picture::{Classes, ExplainedPicture, PictureRequest};
pub use tiles::TiledPrediction;
pub use wanted::{Wanted, request};

use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::gpu::{Gpu, GpuError, Session};
use crate::methods::cam::Reads;
use crate::network::{Network, NetworkError, NodeId, Shape};
use crate::plan::{ForwardRequest, Plan, PlanError, Request};
use crate::score::{self, Objective, Seed};
use backward::Source;
use maps::CamMaps;
use rerun::WorkCounter;

/// Why a network cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No such layer, or one without positions.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It does not fit the adapter.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device failed, or the weights hold what no network should.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// An input of another size.
    #[error("{found} values for a network that takes {expected}, which are {}", expected.len())]
    InputLength {
        /// Values given.
        found: usize,
        /// What the network takes.
        expected: Shape,
    },
    /// A class beyond the last.
    #[error("no class {class}: the network's classes are 0 to {}", classes.saturating_sub(1))]
    NoSuchClass {
        /// As given.
        class: usize,
        /// Classes the network has.
        classes: usize,
    },
    /// A class that [`Wanted::versus`] names as well.
    #[error("class {0} is compared with itself, which nothing can explain")]
    VersusItself(usize),
}

fn check_class(network: &Network, class: usize) -> Result<(), ExplainError> {
    let classes = network.classes();
    match class < classes {
        true => Ok(()),
        false => Err(ExplainError::NoSuchClass { class, classes }),
    }
}

/// A network on a device, ready to explain pictures.
pub struct Explainer {
    gpu: Gpu,
    network: Network,
    session: Session,
    /// At least one, each once.
    targets: Vec<NodeId>,
    wanted: Wanted,
    /// The input whose values lie on the device; none while others do. Locked by whoever has the device compute.
    held: Mutex<Vec<f32>>,
}

/// What the network says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The picture as it went in, C x H x W.
    pub input: Vec<f32>,
    /// One a class.
    pub logits: Vec<f32>,
    /// One a class, 0 to 1: the softmax of the logits, or the sigmoid of each where classes do not exclude each other.
    pub probabilities: Vec<f64>,
    /// Of a part of a picture: the logits of the whole, where the score is differentiated.
    pub whole: Option<Vec<f32>>,
}

impl Prediction {
    /// The `count` most likely classes, as [`crate::score::top`] has them.
    pub fn top(&self, count: usize) -> Vec<usize> {
        score::top(&self.logits, count)
    }
}

/// How far the passes for one picture have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Passes done.
    pub done: usize,
    /// Passes in all, of which each goes forward, and backward for every group of classes where a method asks for gradients.
    /// Where only part of the network runs, that part counts. May fall as it turns out that less is to do.
    pub all: usize,
}

impl Explainer {
    /// Plans the work, compiles the kernels and uploads the weights: once for any number of pictures.
    ///
    /// # Errors
    /// [`ExplainError::Network`] for a layer that is not there or has no positions, [`ExplainError::NoSuchClass`] for
    /// [`Wanted::versus`], [`ExplainError::Plan`] for what the adapter cannot hold, and what the device reports.
    pub fn new(gpu: &Gpu, network: &Network, wanted: Wanted) -> Result<Self, ExplainError> {
        if let Some(other) = wanted.versus {
            check_class(network, other)?;
        }
        let (targets, request) = request(network, &wanted, gpu.limits())?;
        let plan = Plan::new(network, &request, gpu.limits())?;
        Ok(Self {
            gpu: gpu.clone(),
            network: network.clone(),
            session: Session::new(gpu, plan)?,
            targets,
            wanted,
            held: Mutex::default(),
        })
    }

    /// The target layers' names, at least one.
    pub fn layers(&self) -> Vec<&str> {
        let name = |&target| self.network.layer_name(target);
        self.targets.iter().map(name).collect()
    }

    /// Channels, rows and columns of the first target layer.
    pub fn map_shape(&self) -> Shape {
        self.network.node(self.targets[0]).shape
    }

    /// Channels of the target layer that has the most.
    pub fn channels(&self) -> usize {
        let channels = |&target| self.network.node(target).shape.c;
        self.targets.iter().map(channels).max().unwrap_or(0)
    }

    /// Runs the network forward on one preprocessed picture, C x H x W in the network's order and units
    /// ([`crate::picture::preprocess::to_tensor`]).
    ///
    /// # Errors
    /// [`ExplainError::InputLength`], and what the device reports.
    pub fn predict(&self, input: &[f32]) -> Result<Prediction, ExplainError> {
        let mut held = self.held();
        self.forward(&mut held, input)
    }

    fn held(&self) -> MutexGuard<'_, Vec<f32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Explainer::predict`] for who has the device.
    fn forward(&self, held: &mut Vec<f32>, input: &[f32]) -> Result<Prediction, ExplainError> {
        held.clear();
        let prediction = self.run(input)?;
        held.extend(input);
        Ok(prediction)
    }

    /// Runs the network forward; what lies on the device is nobody's.
    fn run(&self, input: &[f32]) -> Result<Prediction, ExplainError> {
        Ok(self.predict_group(&[input])?.remove(0))
    }

    /// For each target layer its activations for a picture, C x H x W.
    pub fn activations(&self, prediction: &Prediction) -> Result<Vec<Vec<f32>>, ExplainError> {
        let mut held = self.held();
        self.hold(&mut held, prediction)?;
        self.kept()
    }

    /// Has the device hold the values of this picture.
    fn hold(&self, held: &mut Vec<f32>, prediction: &Prediction) -> Result<(), ExplainError> {
        if *held != prediction.input {
            self.forward(held, &prediction.input)?;
        }
        Ok(())
    }

    /// For each target layer its activations for the picture that the device holds.
    fn kept(&self) -> Result<Vec<Vec<f32>>, ExplainError> {
        Ok(self.kept_of_group()?.swap_remove(0))
    }

    /// The name of the first layer whose values for the input, C x H x W, are not all finite; `None` where all are.
    /// Sets the network up a second time, with every layer's values kept.
    pub fn first_not_finite(&self, input: &[f32]) -> Result<Option<String>, ExplainError> {
        let network = &self.network;
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        if !finite(input) {
            return Ok(Some(network.layer_name(PIXELS).to_owned()));
        }
        let keep: Vec<NodeId> = (1..network.nodes.len()).map(NodeId).collect();
        let request = Request::of(ForwardRequest {
            keep: keep.clone(),
            ..ForwardRequest::default()
        });
        let plan = Plan::new(network, &request, self.gpu.limits())?;
        let session = Session::new(&self.gpu, plan)?;
        session.forward(0, input, network.input_shape())?;
        for (&id, &buffer) in keep.iter().zip(&session.plan().picture().kept) {
            if !finite(&session.read(buffer, 1, network.node(id).shape)?) {
                return Ok(Some(network.layer_name(id).to_owned()));
            }
        }
        Ok(None)
    }

    /// How often the network runs for a picture, beside [`Explainer::predict`], see [`Progress::all`]; at most.
    pub fn passes(&self) -> usize {
        rerun::passes_of(rerun::network_work(&self.network), self.work())
    }

    /// What those passes take, in times of [`Explainer::predict`]: one more for each class that a pass goes back for.
    pub fn cost(&self) -> f64 {
        let forward = self.work() as f64 / rerun::network_work(&self.network) as f64;
        forward + self.walked() as f64 * self.wanted.classes as f64
    }

    /// Whether that is the most, because passes share what they have in common.
    pub fn shares_passes(&self) -> bool {
        let mut passes = self.session.plan().passes.iter();
        passes.any(|pass| pass.base.is_some())
    }

    /// Explains classes of a picture, of which [`Explainer::predict`] need not be the last: where another one came between,
    /// the network runs forward once more. More classes than [`Wanted::classes`] take more passes.
    ///
    /// # Errors
    /// [`ExplainError::NoSuchClass`], [`ExplainError::VersusItself`], and what the device reports.
    pub fn explain(
        &self,
        prediction: &Prediction,
        classes: &[usize],
    ) -> Result<Vec<Explanation>, ExplainError> {
        self.explain_telling(prediction, classes, &|_| {})
    }

    /// [`Explainer::explain`], telling before the first pass and after each how far it has come; nothing where
    /// [`Explainer::passes`] is 0.
    pub fn explain_telling(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        tell: &dyn Fn(Progress),
    ) -> Result<Vec<Explanation>, ExplainError> {
        self.check(classes)?;
        let mut held = self.held();
        self.hold(&mut held, prediction)?;
        let picture = take(&mut *held);
        let counter = WorkCounter::new(&self.network, self.work(), tell);
        let score_gradients = self.score_gradients(prediction, classes, Source::Picture)?;
        let CamMaps {
            mut maps,
            mut layers,
            kept,
        } = match self.wanted.augments() {
            true => self.augmented_maps(prediction, classes, &score_gradients, &counter)?,
            false => self.maps(prediction, classes, &score_gradients, &counter)?,
        };
        let mut pixels = self.pixels(prediction, classes, &score_gradients, &counter)?;
        let mut perturbed = self.perturbations(prediction, classes, &counter)?;
        *held = picture;
        drop(held);
        let seeds = self.seeds(Reads::Gradients, prediction, classes);
        let explanation = |rank: usize| {
            let [maps, perturbed] = [&mut maps, &mut perturbed].map(|of| take(&mut of[rank]));
            Explanation {
                class: classes[rank],
                values: (self.wanted).in_order(maps, take(&mut pixels[rank]), perturbed),
                layers: take(&mut layers[rank]),
                kept: kept.get(rank).copied(),
                gradient: seeds[rank].scale,
            }
        };
        Ok((0..classes.len()).map(explanation).collect())
    }

    /// Whether the network has all these classes, and none is compared with itself.
    fn check(&self, classes: &[usize]) -> Result<(), ExplainError> {
        for &class in classes {
            check_class(&self.network, class)?;
            if self.wanted.versus == Some(class) {
                return Err(ExplainError::VersusItself(class));
            }
        }
        Ok(())
    }

    /// What is asked of each class.
    fn objective(&self) -> Objective {
        let Wanted {
            score,
            versus,
            counterfactual,
            ..
        } = self.wanted;
        Objective {
            score,
            versus,
            counterfactual,
        }
    }

    /// What starts the backward pass of each class.
    fn seeds(&self, reads: Reads, prediction: &Prediction, classes: &[usize]) -> Vec<Seed> {
        let objective = self.objective();
        let kind = self.network.output_kind;
        let logits = prediction.whole.as_ref().unwrap_or(&prediction.logits);
        let of = |&class: &usize| match reads {
            Reads::FinerGradients => objective.finer(logits, class),
            _ => objective.seed(kind, logits, class),
        };
        classes.iter().map(of).collect()
    }
}

/// The picture.
const PIXELS: NodeId = NodeId(0);
