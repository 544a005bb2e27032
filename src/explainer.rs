//! From a network's input to maps and pixel values: one forward pass, one backward pass a group of classes; for methods
//! that look at more inputs than the picture, as many of both as they need.

use crate::attribution::{self, Inputs, Moments, Settings, Value};
use crate::cam::{self, Features, Reads};
use crate::gpu::{Gpu, GpuError, Session};
use crate::map::Map;
use crate::network::{Network, NetworkError, NodeId, Shape};
use crate::plan::{BackwardRequest, Limits, Plan, PlanError, ReluRule, Request, classes_at_once};
use crate::score::{Objective, Score, Seed, probabilities};

/// Device memory that the gradients of one backward pass may take, bytes.
const GRADIENTS: u64 = 256 << 20;

/// What to compute for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What is differentiated.
    pub score: Score,
    /// See [`Objective::versus`]. Not for Finer-CAM, which has rivals of its own; no class explained may be this one,
    /// whose maps would be empty.
    pub versus: Option<usize>,
    /// See [`Objective::counterfactual`].
    pub counterfactual: bool,
    /// CAM methods, each giving a map.
    pub methods: Vec<cam::Method>,
    /// Pixel methods, each giving values at the pixels.
    pub pixels: Vec<attribution::Method>,
    /// The layer whose activations are weighed; `None`: the last convolution, after its ReLU.
    pub layer: Option<String>,
    /// Classes explained for each picture.
    pub classes: usize,
    /// Numbers that methods depend on.
    pub settings: Settings,
}

impl Default for Wanted {
    /// Grad-CAM of one class's probability.
    fn default() -> Self {
        Self {
            score: Score::Prob,
            versus: None,
            counterfactual: false,
            methods: vec![cam::Method::GradCam],
            pixels: vec![],
            layer: None,
            classes: 1,
            settings: Settings::default(),
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

/// A gradient as float32 holds it.
struct Gradient {
    /// Divided by `scale`.
    values: Vec<f32>,
    /// The seed's.
    scale: f64,
}

/// What the network says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The picture as it went in, C x H x W.
    pub input: Vec<f32>,
    /// One a class.
    pub logits: Vec<f32>,
    /// Their softmax.
    pub probabilities: Vec<f64>,
}

/// One class explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its number.
    pub class: usize,
    /// For each of [`Wanted::methods`] the map before ReLU and scaling, rows x columns of [`Explainer::map_shape`].
    pub maps: Vec<Vec<f64>>,
    /// For each of [`Wanted::pixels`] its values, C x H x W in the order and units of the network's input.
    pub pixels: Vec<Vec<f64>>,
}

/// How far the passes for one picture have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Passes done.
    pub done: usize,
    /// Passes in all, of which each goes forward, and backward for every group of classes.
    pub all: usize,
}

/// What `wanted` asks of a plan for an adapter of `limits`, and the target layer.
pub fn request(
    network: &Network,
    wanted: &Wanted,
    limits: Limits,
) -> Result<(NodeId, Request), NetworkError> {
    let target = network.target(wanted.layer.as_deref())?;
    let mut ends = vec![];
    if needs_target(wanted) {
        ends.push((target, ReluRule::Plain));
    }
    for rule in wanted.pixels.iter().map(|method| method.recipe().rule) {
        if !ends.contains(&(PIXELS, rule)) {
            ends.push((PIXELS, rule));
        }
    }
    let pass = |(to, rule)| passes(network, to, rule, wanted.classes, limits);
    let request = Request {
        images: 1,
        keep: vec![target],
        reruns: vec![],
        backward: ends.into_iter().flat_map(pass).collect(),
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
            input: input.to_vec(),
            logits,
            probabilities,
        })
    }

    /// The target layer's activations for the picture that [`Explainer::predict`] saw last, C x H x W.
    pub fn activations(&self) -> Result<Vec<f32>, ExplainError> {
        let kept = self.session.plan().kept[0];
        Ok(self.session.read(kept, 1, self.map_shape())?)
    }

    /// How often the network runs forward for a picture, beside [`Explainer::predict`].
    pub fn passes(&self) -> usize {
        let inputs = self.walks().into_iter().map(|(_, inputs)| inputs);
        let more = inputs.filter(|inputs| *inputs != Inputs::Picture);
        more.map(|inputs| inputs.count(&self.wanted.settings)).sum()
    }

    /// Explains classes of the picture that [`Explainer::predict`] saw last.
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
        let maps = self.maps(prediction, classes)?;
        let pixels = self.pixels(prediction, classes, tell)?;
        let explained = classes.iter().zip(maps).zip(pixels);
        let explanation = |((&class, maps), pixels)| Explanation {
            class,
            maps,
            pixels,
        };
        Ok(explained.map(explanation).collect())
    }

    /// For each class, for each CAM method the map.
    fn maps(
        &self,
        prediction: &Prediction,
        classes: &[usize],
    ) -> Result<Vec<Vec<Vec<f64>>>, ExplainError> {
        if self.wanted.methods.is_empty() {
            return Ok(vec![vec![]; classes.len()]);
        }
        let activations = self.activations()?;
        let gradients = |reads: Reads| {
            if !self.wanted.methods.iter().any(|m| m.reads() == reads) {
                return Ok(vec![]);
            }
            let seeds = self.seeds(reads, prediction, classes);
            self.gradients(self.target, ReluRule::Plain, &seeds)
        };
        let of_score = gradients(Reads::Gradients)?;
        let of_finer = gradients(Reads::FinerGradients)?;
        let features = |reads: Reads, class: usize| {
            let gradient = match reads {
                Reads::Activations => None,
                Reads::Gradients => Some(&of_score[class]),
                Reads::FinerGradients => Some(&of_finer[class]),
            };
            Features {
                shape: self.map_shape(),
                activations: &activations,
                gradients: gradient.map_or(&[], |gradient| &gradient.values),
                scale: gradient.map_or(0.0, |gradient| gradient.scale),
                seed: self.wanted.settings.seed,
            }
        };
        let maps = |class: usize| {
            let methods = self.wanted.methods.iter();
            methods
                .map(|method| method.map(&features(method.reads(), class)))
                .collect()
        };
        Ok((0..classes.len()).map(maps).collect())
    }

    /// What starts the backward pass of each class.
    fn seeds(&self, reads: Reads, prediction: &Prediction, classes: &[usize]) -> Vec<Seed> {
        let Wanted {
            score,
            versus,
            counterfactual,
            ..
        } = self.wanted;
        let objective = Objective {
            score,
            versus,
            counterfactual,
        };
        let (kind, logits) = (self.network.output_kind, &prediction.logits);
        let of = |&class: &usize| match reads {
            Reads::FinerGradients => objective.finer(logits, class),
            Reads::Activations | Reads::Gradients => objective.seed(kind, logits, class),
        };
        classes.iter().map(of).collect()
    }

    /// The gradients that pixel methods share: rules and inputs, each pair once.
    fn walks(&self) -> Vec<(ReluRule, Inputs)> {
        let mut walks = vec![];
        for recipe in self.wanted.pixels.iter().map(|method| method.recipe()) {
            let walk = (recipe.rule, recipe.inputs);
            if !walks.contains(&walk) {
                walks.push(walk);
            }
        }
        walks
    }

    /// For each class, for each pixel method its values.
    fn pixels(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        tell: &dyn Fn(Progress),
    ) -> Result<Vec<Vec<Vec<f64>>>, ExplainError> {
        let heats = self.heats(prediction, classes)?;
        let mut walks = self.walks();
        // The picture itself comes first, while its own forward pass is still there.
        walks.sort_by_key(|&(_, inputs)| inputs != Inputs::Picture);
        let mut progress = Progress {
            done: 0,
            all: self.passes(),
        };
        if progress.all > 0 {
            tell(progress);
        }
        let mut walked = vec![];
        for &(rule, inputs) in &walks {
            let mut advance = || {
                progress.done += 1;
                tell(progress);
            };
            let moments = self.walk(rule, inputs, prediction, classes, &mut advance)?;
            walked.push(moments);
        }
        if progress.all > 0 {
            // Leaves the device as `predict` did.
            let shape = self.network.input_shape();
            self.session.forward(&prediction.input, shape)?;
        }
        let value = |class: usize, method: &attribution::Method| {
            let recipe = method.recipe();
            let walk = walks
                .iter()
                .position(|&walk| walk == (recipe.rule, recipe.inputs));
            walked[walk.expect("one walk for each method")][class].value(
                recipe.value,
                &self.wanted.settings,
                &prediction.input,
                self.network.input_shape(),
                heats.get(class),
            )
        };
        let values = |class| self.wanted.pixels.iter().map(|m| value(class, m)).collect();
        Ok((0..classes.len()).map(values).collect())
    }

    /// For each class the gradients at the pixels over all inputs.
    fn walk(
        &self,
        rule: ReluRule,
        inputs: Inputs,
        prediction: &Prediction,
        classes: &[usize],
        advance: &mut dyn FnMut(),
    ) -> Result<Vec<Moments>, ExplainError> {
        let shape = self.network.input_shape();
        let settings = &self.wanted.settings;
        let mut moments = vec![Moments::new(shape.len()); classes.len()];
        for index in 0..inputs.count(settings) {
            let gradients = if inputs == Inputs::Picture {
                let seeds = self.seeds(Reads::Gradients, prediction, classes);
                self.gradients(PIXELS, rule, &seeds)?
            } else {
                let input = inputs.at(settings, &prediction.input, shape, index);
                let there = self.predict(&input)?;
                let seeds = self.seeds(Reads::Gradients, &there, classes);
                let gradients = self.gradients(PIXELS, rule, &seeds)?;
                advance();
                gradients
            };
            for (moments, gradient) in moments.iter_mut().zip(gradients) {
                moments.add(&gradient.values, gradient.scale);
            }
        }
        Ok(moments)
    }

    /// For each class the Grad-CAM map as drawn, of the picture's size; none where no method needs it.
    fn heats(&self, prediction: &Prediction, classes: &[usize]) -> Result<Vec<Map>, ExplainError> {
        if !needs_heat(&self.wanted) {
            return Ok(vec![]);
        }
        let shape = self.map_shape();
        let input = self.network.input_shape();
        let activations = self.activations()?;
        let seeds = self.seeds(Reads::Gradients, prediction, classes);
        let heat = |gradient: &Gradient| {
            let map = cam::grad_cam(&Features {
                shape,
                activations: &activations,
                gradients: &gradient.values,
                scale: gradient.scale,
                seed: 0,
            });
            Map::scaled(shape.w, shape.h, &map)
                .resize(input.w, input.h)
                .heat()
        };
        let gradients = self.gradients(self.target, ReluRule::Plain, &seeds)?;
        Ok(gradients.iter().map(heat).collect())
    }

    /// For each seed the gradient at `to`, in its shape.
    fn gradients(
        &self,
        to: NodeId,
        rule: ReluRule,
        seeds: &[Seed],
    ) -> Result<Vec<Gradient>, ExplainError> {
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
            let scaled = |(gradient, seed): (&[f32], &Seed)| Gradient {
                values: gradient.to_vec(),
                scale: seed.scale,
            };
            gradients.extend(all.chunks_exact(shape.len()).zip(group).map(scaled));
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

fn needs_heat(wanted: &Wanted) -> bool {
    let values = wanted.pixels.iter().map(|method| method.recipe().value);
    values.into_iter().any(|value| value == Value::TimesHeat)
}

/// Whether gradients at the target layer are needed.
fn needs_target(wanted: &Wanted) -> bool {
    let reads = wanted.methods.iter().map(|method| method.reads());
    needs_heat(wanted) || reads.into_iter().any(|reads| reads != Reads::Activations)
}
