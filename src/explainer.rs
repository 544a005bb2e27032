//! From a network's input to maps and pixel gradients: one forward pass, one backward pass a group of classes.

use crate::cam::{Features, Method, Reads};
use crate::gpu::{Gpu, GpuError, Session};
use crate::network::{Network, NetworkError, NodeId, Shape};
use crate::plan::{BackwardRequest, Limits, Plan, PlanError, ReluRule, Request, classes_at_once};
use crate::score::{Score, Seed, finer, probabilities, seed};

/// Device memory that the gradients of one backward pass may take, bytes.
const GRADIENTS: u64 = 256 << 20;

/// What to compute for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What is differentiated.
    pub score: Score,
    /// CAM methods, each giving a map.
    pub methods: Vec<Method>,
    /// The layer whose activations are weighed; `None`: the last convolution, after its ReLU.
    pub layer: Option<String>,
    /// Whether guided backpropagation goes on to the pixels.
    pub guided: bool,
    /// Classes explained for each picture.
    pub classes: usize,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Wanted {
    /// Grad-CAM of one class's probability.
    fn default() -> Self {
        Self {
            score: Score::Prob,
            methods: vec![Method::GradCam],
            layer: None,
            guided: false,
            classes: 1,
            seed: 0,
        }
    }
}

/// Why a network cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No such layer.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It does not fit the adapter.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device failed, or the weights hold what no network should.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

/// A network on a device, ready to explain pictures.
pub struct Explainer<'a> {
    network: &'a Network,
    session: Session<'a>,
    target: NodeId,
    wanted: Wanted,
}

/// What the network says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// One a class.
    pub logits: Vec<f32>,
    /// Their softmax or sigmoid, as the network's [`OutputKind`](crate::network::OutputKind) has it.
    pub probabilities: Vec<f64>,
}

/// One class explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its number.
    pub class: usize,
    /// For each of [`Wanted::methods`] the map before ReLU and scaling, rows x columns of [`Explainer::map_shape`].
    pub maps: Vec<Vec<f64>>,
    /// Guided backpropagation: the gradient at the network's input, C x H x W, divided by `scale`.
    pub guided: Option<Vec<f32>>,
    /// See [`Seed`]; kept apart, since a nearly certain class has gradients below float32's range.
    pub scale: f64,
}

/// What `wanted` asks of a plan for an adapter of `limits`, and the target layer.
pub fn request(
    network: &Network,
    wanted: &Wanted,
    limits: Limits,
) -> Result<(NodeId, Request), NetworkError> {
    let target = network.target(wanted.layer.as_deref())?;
    let pass = |to, rule| passes(network, to, rule, wanted.classes, limits);
    let mut backward = vec![];
    if (wanted.methods.iter()).any(|method| method.reads() != Reads::Activations) {
        backward.extend(pass(target, ReluRule::Plain));
    }
    if wanted.guided {
        backward.extend(pass(PIXELS, ReluRule::Guided));
    }
    let request = Request {
        images: 1,
        keep: vec![target],
        backward,
    };
    Ok((target, request))
}

impl<'a> Explainer<'a> {
    /// Plans the work, compiles the kernels and uploads the weights.
    pub fn new(gpu: &'a Gpu, network: &'a Network, wanted: Wanted) -> Result<Self, ExplainError> {
        let (target, request) = request(network, &wanted, gpu.limits())?;
        let plan = Plan::new(network, &request, gpu.limits())?;
        Ok(Self {
            network,
            session: Session::new(gpu, plan)?,
            target,
            wanted,
        })
    }

    /// The target layer's name.
    pub fn layer(&self) -> &str {
        self.network.layer_name(self.target)
    }

    /// Channels, rows and columns of the target layer.
    pub fn map_shape(&self) -> Shape {
        self.network.node(self.target).shape
    }

    /// Runs the network forward on one preprocessed picture, C x H x W.
    pub fn predict(&self, input: &[f32]) -> Result<Prediction, ExplainError> {
        self.session.forward(input, self.network.input_shape())?;
        let shape = Shape::vector(self.network.classes());
        let logits = self.session.read(self.session.plan().logits, 1, shape)?;
        let probabilities = probabilities(self.network.output_kind, &logits);
        Ok(Prediction {
            logits,
            probabilities,
        })
    }

    /// The target layer's activations for the picture that [`Explainer::predict`] saw last, C x H x W.
    pub fn activations(&self) -> Result<Vec<f32>, ExplainError> {
        let kept = self.session.plan().kept[0];
        Ok(self.session.read(kept, 1, self.map_shape())?)
    }

    /// Explains classes of the picture that [`Explainer::predict`] saw last.
    pub fn explain(
        &self,
        prediction: &Prediction,
        classes: &[usize],
    ) -> Result<Vec<Explanation>, ExplainError> {
        let activations = self.activations()?;
        let kind = self.network.output_kind;
        let seeds: Vec<Seed> = classes
            .iter()
            .map(|&class| seed(self.wanted.score, kind, &prediction.logits, class))
            .collect();
        let finer: Vec<Seed> = classes
            .iter()
            .map(|&class| finer(&prediction.logits, class))
            .collect();
        let of_score = self.target_gradients(Reads::Gradients, &seeds)?;
        let of_finer = self.target_gradients(Reads::FinerGradients, &finer)?;
        let mut guided = match self.wanted.guided {
            true => self.gradients(PIXELS, ReluRule::Guided, &seeds)?,
            false => vec![],
        }
        .into_iter();
        let map = |i: usize, method: &Method| {
            let (gradients, scale): (&[f32], f64) = match method.reads() {
                Reads::Activations => (&[], 0.0),
                Reads::Gradients => (&of_score[i], seeds[i].scale),
                Reads::FinerGradients => (&of_finer[i], finer[i].scale),
            };
            method.map(&Features {
                shape: self.map_shape(),
                activations: &activations,
                gradients,
                scale,
                seed: self.wanted.seed,
            })
        };
        let explanations = classes.iter().enumerate().map(|(i, &class)| Explanation {
            class,
            maps: self.wanted.methods.iter().map(|m| map(i, m)).collect(),
            guided: guided.next(),
            scale: seeds[i].scale,
        });
        Ok(explanations.collect())
    }

    /// For each seed the gradient at the target layer; nothing where no method reads it.
    fn target_gradients(
        &self,
        reads: Reads,
        seeds: &[Seed],
    ) -> Result<Vec<Vec<f32>>, ExplainError> {
        match self.wanted.methods.iter().any(|m| m.reads() == reads) {
            true => self.gradients(self.target, ReluRule::Plain, seeds),
            false => Ok(vec![]),
        }
    }

    /// For each seed the gradient at `to`, in its shape, divided by the seed's scale.
    fn gradients(
        &self,
        to: NodeId,
        rule: ReluRule,
        seeds: &[Seed],
    ) -> Result<Vec<Vec<f32>>, ExplainError> {
        let shape = self.network.node(to).shape;
        let logits = Shape::vector(self.network.classes());
        let phases = &self.session.plan().backward;
        let mut gradients = vec![];
        let mut rest = seeds;
        while !rest.is_empty() {
            // The largest pass that the rest fills.
            let (phase, request) = phases
                .iter()
                .map(|backward| backward.request)
                .enumerate()
                .filter(|(_, pass)| pass.to == to && pass.rule == rule)
                .filter(|(_, pass)| pass.classes <= rest.len())
                .max_by_key(|(_, pass)| pass.classes)
                .expect("as many classes as were planned");
            let (group, later) = rest.split_at(request.classes);
            let directions: Vec<f32> = group
                .iter()
                .flat_map(|seed| seed.direction.iter().copied())
                .collect();
            self.session.backward(phase, &directions, logits)?;
            let all = self
                .session
                .read(phases[phase].gradient, group.len(), shape)?;
            gradients.extend(all.chunks_exact(shape.len()).map(<[f32]>::to_vec));
            rest = later;
        }
        Ok(gradients)
    }
}

/// The picture.
const PIXELS: NodeId = NodeId(0);

/// Backward passes that carry `classes` to `to`: as many as go at once, and one for what is left over.
fn passes(
    network: &Network,
    to: NodeId,
    rule: ReluRule,
    classes: usize,
    limits: Limits,
) -> Vec<BackwardRequest> {
    let most = classes_at_once(network, to, limits, GRADIENTS).min(classes);
    let pass = |classes| BackwardRequest { to, classes, rule };
    [most, classes % most]
        .into_iter()
        .filter(|&classes| classes > 0)
        .map(pass)
        .collect()
}
