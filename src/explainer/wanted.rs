//! What to compute, and what that asks of a plan.

use super::Values;
use super::backward;
use super::group;
use super::pixels;
use super::rerun;
use crate::exact;
use crate::methods::Method;
use crate::methods::attribution::{Inputs, Recipe, Settings, Value};
use crate::methods::cam::{self, Reads};
use crate::methods::fuse::Fuse;
use crate::methods::map::RawMap;
use crate::methods::perturbation;
use crate::network::{Network, NetworkError, NodeId, ReluRule};
use crate::plan::{ForwardRequest, Limits, Request, StoredDtype};
use crate::score::Score;

/// What to compute for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What is differentiated.
    pub score: Score,
    /// See [`Objective::versus`](crate::score::Objective::versus). Not for Finer-CAM, which has rivals of its own; no class
    /// explained may be this one, whose maps would be empty.
    pub versus: Option<usize>,
    /// See [`Objective::counterfactual`](crate::score::Objective::counterfactual).
    pub counterfactual: bool,
    /// Each once.
    pub methods: Vec<Method>,
    /// Channels that Score-CAM and Ablation-CAM try, those of the largest effect, see [`cam::choose`]; `None`: all.
    pub channels: Option<usize>,
    /// The layers whose activations are weighed; none: the network's own default, see [`Network::target`].
    pub layers: Vec<String>,
    /// How the maps of several layers become one.
    pub fuse: Fuse,
    /// Whether CAM methods, and the map of guided Grad-CAM, take a principal component for their sum, see
    /// [`cam::Features::eigen`].
    pub eigen_smooth: bool,
    /// Whether each map of a CAM method is the mean of six, scaled, of the input as it is and flipped left to right, each
    /// times 0.9, 1 and 1.1: pytorch-grad-cam's `aug_smooth`. Not the map of guided Grad-CAM.
    pub augmented: bool,
    /// Classes explained for each picture: as many go through the backward passes at once, as far as memory allows.
    pub classes: usize,
    /// Pictures that will be explained, as far as is known: with many it pays to prepare more, see [`Request::runs`].
    pub pictures: usize,
    /// Pictures that go through the network at once, at most, where maps of gradients and activations are all that is wanted:
    /// see [`Explainer::explain_group`](super::Explainer::explain_group). 0 counts as 1.
    pub at_once: usize,
    /// Numbers that pixel methods depend on, and the seed of random maps.
    pub settings: Settings,
    /// Numbers that the methods that hide depend on.
    pub masks: perturbation::Settings,
    /// What the device stores the matrices of linear layers as.
    pub matrices: StoredDtype,
    /// What the device stores all else as: filters, values and gradients between layers. With float16 a network whose values leave
    /// its range is refused as it is run ([`GpuError::Overflow`](crate::gpu::GpuError::Overflow)), never explained wrongly.
    pub dtype: StoredDtype,
}

impl Default for Wanted {
    /// Grad-CAM of one class's probability.
    fn default() -> Self {
        Self {
            score: Score::Prob,
            versus: None,
            counterfactual: false,
            methods: vec![Method::Cam(cam::Method::GradCam)],
            channels: None,
            layers: vec![],
            fuse: Fuse::default(),
            eigen_smooth: false,
            augmented: false,
            classes: 1,
            pictures: 1,
            at_once: 1,
            settings: Settings::default(),
            masks: perturbation::Settings::default(),
            matrices: StoredDtype::F32,
            dtype: StoredDtype::F32,
        }
    }
}

impl Wanted {
    /// These methods, and all else as usual.
    pub fn of(methods: impl IntoIterator<Item = impl Into<Method>>) -> Self {
        Self {
            methods: methods.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The same with these methods as well.
    #[must_use]
    pub fn and(mut self, methods: impl IntoIterator<Item = impl Into<Method>>) -> Self {
        let more = methods.into_iter().map(Into::into);
        self.methods.extend(more);
        self
    }

    /// Those that weigh what the target layers hold.
    pub(super) fn cams(&self) -> impl Iterator<Item = cam::Method> {
        self.methods.iter().filter_map(|&method| match method {
            Method::Cam(method) => Some(method),
            _ => None,
        })
    }

    /// Those that give values at the pixels, by how they come about.
    pub(super) fn recipes(&self) -> impl Iterator<Item = Recipe> {
        self.methods.iter().filter_map(|&method| match method {
            Method::Pixel(method) => Some(method.recipe()),
            _ => None,
        })
    }

    /// Those that hide parts of the picture.
    pub(super) fn perturbations(&self) -> impl Iterator<Item = perturbation::Method> {
        self.methods.iter().filter_map(|&method| match method {
            Method::Perturbation(method) => Some(method),
            _ => None,
        })
    }

    /// What methods of each kind gave for a class, in the order of [`Wanted::methods`].
    pub(super) fn in_order(
        &self,
        cams: Vec<RawMap>,
        pixels: Vec<Vec<f64>>,
        perturbed: Vec<RawMap>,
    ) -> Vec<(Method, Values)> {
        let mut cams = cams.into_iter().map(Values::Map);
        let mut pixels = pixels.into_iter().map(Values::Pixels);
        let mut perturbed = perturbed.into_iter().map(Values::Map);
        let values = |&method: &Method| {
            let values = match method {
                Method::Cam(_) => cams.next(),
                Method::Pixel(_) => pixels.next(),
                Method::Perturbation(_) => perturbed.next(),
            };
            (method, values.expect("each method gives something"))
        };
        self.methods.iter().map(values).collect()
    }

    /// Whether a CAM method `reads` so.
    pub(super) fn reads(&self, reads: Reads) -> bool {
        self.cams().any(|method| method.reads() == reads)
    }

    /// Whether each CAM map is a mean over the picture changed a little.
    pub(super) fn augments(&self) -> bool {
        self.augmented && self.cams().next().is_some()
    }

    /// Whether gradients say which channels are tried.
    pub(super) fn chooses(&self) -> bool {
        self.channels.is_some() && (self.reads(Reads::Masked) || self.reads(Reads::Ablated))
    }

    /// Whether a pixel method asks for the Grad-CAM map.
    pub(super) fn needs_heat(&self) -> bool {
        self.recipes()
            .any(|recipe| recipe.value == Value::TimesHeat)
    }

    /// Whether the score's gradients at the target layers are needed.
    pub(super) fn needs_targets(&self) -> bool {
        self.needs_heat() || self.chooses() || self.reads(Reads::Gradients)
    }

    /// Whether anything reads the gradients at the target layers by position, and not the means of channels alone.
    pub(super) fn needs_positions(&self) -> bool {
        self.chooses() || self.cams().any(cam::Method::reads_positions)
    }

    /// The last node that the host computes in float64, see [`exact`], where `inputs` go through a network: none but for gradients at
    /// the pixels that rounding turns over. Guided backpropagation is within a thousandth of float64 without it, and float16 is asked
    /// for where such exactness is not.
    pub(super) fn by_host(
        &self,
        network: &Network,
        inputs: impl Fn(Inputs) -> bool,
        share: f64,
    ) -> Option<NodeId> {
        let is_exact =
            |&(rule, from): &(ReluRule, Inputs)| rule != ReluRule::Guided && inputs(from);
        let is_asked = self.dtype == StoredDtype::F32 && self.walks().iter().any(is_exact);
        is_asked.then(|| exact::last(network, share)).flatten()
    }

    /// The gradients that pixel methods share: rules and inputs, each pair once.
    pub(super) fn walks(&self) -> Vec<(ReluRule, Inputs)> {
        let mut walks = vec![];
        for recipe in self.recipes() {
            let walk = (recipe.rule, recipe.inputs);
            if !walks.contains(&walk) {
                walks.push(walk);
            }
        }
        walks
    }
}

/// What `wanted` asks of a plan for an adapter of `limits`, and the target layers, each once.
pub fn request(
    network: &Network,
    wanted: &Wanted,
    limits: Limits<'_>,
) -> Result<(Vec<NodeId>, Request), NetworkError> {
    let mut targets = vec![];
    for name in &wanted.layers {
        let target = network.target(Some(name))?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    if targets.is_empty() {
        targets.push(network.target(None)?);
    }
    let kinds = backward::all_kinds(network, &targets, wanted);
    let images = group::images(network, wanted, &kinds, limits);
    let pass = |kind| backward::passes(network, kind, wanted, images, limits);
    let picture = ForwardRequest {
        images,
        keep: targets.clone(),
        backs: kinds.iter().flat_map(pass).collect(),
        by_host: wanted.by_host(network, |inputs| inputs == Inputs::Picture, 1.0),
        ..ForwardRequest::default()
    };
    let reruns = rerun::requests(network, wanted, &targets, limits);
    let others = pixels::requests(network, wanted, limits);
    let request = Request {
        passes: [picture].into_iter().chain(reruns).chain(others).collect(),
        runs: wanted.pictures,
        matrices: wanted.matrices,
        dtype: wanted.dtype,
    };
    Ok((targets, request))
}
