//! Forward passes from changed values of the picture or of a target layer, many at once.

use std::cell::Cell;

use super::backward::Gradients;
use super::{ExplainError, Explainer, PIXELS, Prediction, Progress, Wanted, augment};
use crate::methods::attribution::Inputs;
use crate::methods::cam::{self, Features, Reads};
use crate::methods::map::RawMap;
use crate::methods::perturbation::under;
use crate::network::{Network, NodeId, Shape};
use crate::plan::{Budget, ForwardRequest, Limits, TileLists, images_at_once, lists};
use crate::score::{Objective, Score};

/// Device memory that the values of one rerun may take, bytes. wgpu does not tell how much there is; this much every adapter
/// has, within whose limits a batch stays. A quarter of it makes Score-CAM slower on the software adapter, and more gains nothing:
/// [`SUBMISSION`](crate::plan::SUBMISSION) ends a batch then.
const VALUES: u64 = 256 << 20;

/// What came of trying channels of a target layer, for each class.
#[derive(Default)]
pub(super) struct ChannelScores {
    masked: Vec<Vec<(usize, f64)>>,
    ablated: Vec<Vec<(usize, f64)>>,
    /// Share of the weight that the channels hold; none where all were tried.
    kept: Vec<f64>,
}

impl ChannelScores {
    /// What a method that `reads` so finds for class number `class`.
    pub(super) fn of(&self, reads: Reads, class: usize) -> &[(usize, f64)] {
        match reads {
            Reads::Masked => &self.masked[class],
            Reads::Ablated => &self.ablated[class],
            _ => &[],
        }
    }

    /// For each class the mean share over layers; none where all channels were tried.
    pub(super) fn kept(layers: &[Self]) -> Vec<f64> {
        let classes = layers.first().map_or(0, |layer| layer.kept.len());
        let sum = |class: usize| layers.iter().map(|layer| layer.kept[class]).sum::<f64>();
        (0..classes)
            .map(|class| sum(class) / layers.len() as f64)
            .collect()
    }
}

/// Counts work in multiply-adds, and tells it in passes through the whole network.
pub(super) struct WorkCounter<'a> {
    whole: u64,
    done: Cell<u64>,
    all: Cell<u64>,
    tell: &'a dyn Fn(Progress),
}

impl<'a> WorkCounter<'a> {
    pub(super) fn new(network: &Network, all: u64, tell: &'a dyn Fn(Progress)) -> Self {
        let counter = Self {
            whole: network_work(network),
            done: Cell::new(0),
            all: Cell::new(all),
            tell,
        };
        counter.tell();
        counter
    }

    /// `work` is done.
    pub(super) fn advance(&self, work: u64) {
        self.done.set(self.done.get() + work);
        self.tell();
    }

    /// One pass through the whole network is done.
    pub(super) fn advance_one(&self) {
        self.advance(self.whole);
    }

    /// `work` was counted and need not be done.
    fn skip(&self, work: u64) {
        self.all.set(self.all.get() - work);
    }

    fn tell(&self) {
        let (done, all) = (self.done.get(), self.all.get());
        let passes = passes_of(self.whole, all);
        if all > 0 {
            let done = u128::from(done) * passes as u128 / u128::from(all);
            (self.tell)(Progress {
                done: done as usize,
                all: passes,
            });
        }
    }
}

/// Passes through the whole network that take as long as `work`.
pub(super) fn passes_of(whole: u64, work: u64) -> usize {
    work.div_ceil(whole) as usize
}

/// Multiply-adds of a pass through the network.
pub(super) fn network_work(network: &Network) -> u64 {
    work_after(network, PIXELS)
}

/// Multiply-adds of the layers that read of `from`; at least 1, so that nothing counts as nothing.
fn work_after(network: &Network, from: NodeId) -> u64 {
    let reached = network.descendants(from);
    let later = (from.0 + 1..reached.len()).filter(|&id| reached[id]);
    let work = later.map(|id| network.multiply_adds_of(NodeId(id)));
    work.sum::<u64>().max(1)
}

/// The reruns that `wanted` needs of a network whose target layers are `targets`.
pub(super) fn requests(
    network: &Network,
    wanted: &Wanted,
    targets: &[NodeId],
    limits: Limits<'_>,
) -> Vec<ForwardRequest> {
    let shape = network.input_shape();
    let each_target = |of| {
        let asked = wanted.reads(of);
        let targets = targets.iter().filter(move |_| asked);
        targets.map(|&target| (target, channels(network, wanted, target)))
    };
    let hidden = wanted.perturbations();
    let hidden = hidden.map(|method| method.count(&wanted.masks, shape));
    let masked = each_target(Reads::Masked).map(|(_, count)| count);
    let pictures = hidden.chain(masked).max().map(|count| (PIXELS, count));
    let request = |(from, count): (NodeId, usize)| {
        // Batches of the same size, none of them all but empty.
        let budget = Budget {
            bytes: VALUES,
            dtype: wanted.dtype,
        };
        let most = images_at_once(network, from, limits, budget);
        let times = count.div_ceil(most).max(1);
        let images = count.div_ceil(times).max(1);
        ForwardRequest {
            from,
            images,
            times,
            based: true,
            ..ForwardRequest::default()
        }
    };
    let from = pictures.into_iter().chain(each_target(Reads::Ablated));
    from.map(request).collect()
}

/// Channels of a target layer that are tried.
fn channels(network: &Network, wanted: &Wanted, target: NodeId) -> usize {
    let there = network.node(target).shape.c;
    wanted.channels.map_or(there, |most| most.min(there))
}

/// A target layer of a picture.
struct TargetValue<'a> {
    target: NodeId,
    shape: Shape,
    /// C x H x W.
    activations: &'a [f32],
    /// Those that are tried.
    channels: Vec<usize>,
}

impl TargetValue<'_> {
    fn channel(&self, k: usize) -> &[f32] {
        let positions = self.shape.h * self.shape.w;
        &self.activations[k * positions..][..positions]
    }
}

impl Explainer {
    /// Work for a picture beside its own forward pass, multiply-adds; for channels that turn out to be nothing, too much.
    pub(super) fn work(&self) -> u64 {
        let Self {
            network, wanted, ..
        } = self;
        let shape = network.input_shape();
        let hidden = wanted.perturbations();
        let hidden = hidden.map(|method| method.count(&wanted.masks, shape));
        let passes = hidden.fold(self.walked(), usize::saturating_add);
        let tried = |&target: &NodeId| {
            let each = wanted.cams().map(|method| match method.reads() {
                Reads::Masked => network_work(network),
                Reads::Ablated => work_after(network, target),
                _ => 0,
            });
            channels(network, wanted, target) as u64 * each.sum::<u64>()
        };
        let tried: u64 = self.targets.iter().map(tried).sum();
        let maps = match self.wanted.augments() {
            true => augment::PASSES as u64 * (network_work(network) + tried),
            false => tried,
        };
        let passes = (passes as u64).saturating_mul(network_work(network));
        passes.saturating_add(maps)
    }

    /// Passes forward and back, beside those of the picture itself.
    pub(super) fn walked(&self) -> usize {
        let inputs = self.wanted.walks().into_iter().map(|(_, inputs)| inputs);
        let walked = inputs.filter(|inputs| *inputs != Inputs::Picture);
        let walked = walked.map(|inputs| inputs.count(&self.wanted.settings));
        walked.fold(0, usize::saturating_add)
    }

    /// The logits for `values` of node `from`, classes of each. What they share with `base`, another value, is computed once,
    /// as far as the layers can.
    fn rerun(
        &self,
        from: NodeId,
        base: &[f32],
        values: impl Iterator<Item = Vec<f32>>,
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Vec<f32>>, ExplainError> {
        let shape = self.network.node(from).shape;
        let classes = self.network.classes();
        let passes = &self.session.plan().passes;
        let again = |&pass: &usize| {
            let request = &passes[pass].request;
            request.from == from && request.based
        };
        let number = (1..passes.len()).find(again);
        let number = number.expect("planned where a method needs it");
        let pass = &passes[number];
        let images = pass.request.images;
        let mut logits = vec![];
        let mut values = values.fuse();
        let layers = pass.base.as_ref();
        let layers = layers.map_or(&[][..], |base| &base.layers);
        let mut next_batch = || -> (Vec<f32>, Vec<TileLists>) {
            let batch: Vec<f32> = values.by_ref().take(images).flatten().collect();
            let lists = lists(&self.network, from, layers, base, &batch);
            (batch, lists)
        };
        self.session.base(number, base, shape)?;
        let (mut batch, mut lists) = next_batch();
        while !batch.is_empty() {
            self.session
                .forward_beside_base(number, &batch, shape, &lists)?;
            let count = batch.len() / shape.len();
            // Made while the device runs.
            (batch, lists) = next_batch();
            let rows = self
                .session
                .read(pass.logits, images, Shape::vector(classes))?;
            let each = rows.chunks_exact(classes).take(count);
            logits.extend(each.map(<[f32]>::to_vec));
            counter.advance(count as u64 * work_after(&self.network, from));
        }
        Ok(logits)
    }

    /// Tries channels of each target layer, as far as a method needs it. `gradients` are each class's, of the score.
    pub(super) fn tried(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        activations: &[Vec<f32>],
        gradients: &[Gradients],
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<ChannelScores>, ExplainError> {
        let of_layer = |(i, target): (usize, &NodeId)| {
            let shape = self.network.node(*target).shape;
            let activations = &activations[i];
            let (channels, kept) = match self.wanted.channels {
                Some(count) if self.wanted.chooses() => {
                    let of_class = gradients.iter().map(|gradient| Features {
                        shape,
                        activations,
                        gradients: gradient.at(*target),
                        scale: gradient.scale,
                        seed: 0,
                        tried: &[],
                        eigen: false,
                        biases: &[],
                    });
                    let features: Vec<Features<'_>> = of_class.collect();
                    cam::choose(&features, count)
                }
                _ => ((0..shape.c).collect(), vec![]),
            };
            let layer = TargetValue {
                target: *target,
                shape,
                activations,
                channels,
            };
            let mut tried = ChannelScores {
                kept,
                ..ChannelScores::default()
            };
            if self.wanted.reads(Reads::Masked) {
                tried.masked = self.masked(prediction, classes, &layer, counter)?;
            }
            if self.wanted.reads(Reads::Ablated) {
                tried.ablated = self.ablated(prediction, classes, &layer, counter)?;
            }
            Ok(tried)
        };
        self.targets.iter().enumerate().map(of_layer).collect()
    }

    /// For each class, for each channel tried, the logit of the picture under it. Channels that are the same everywhere
    /// share a pass.
    fn masked(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        layer: &TargetValue<'_>,
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Vec<(usize, f64)>>, ExplainError> {
        let Shape { h, w, .. } = layer.shape;
        let mut flat = None;
        let mut passes = vec![];
        let mut pass_of = vec![];
        for &k in &layer.channels {
            let pass = match flat {
                Some(pass) if cam::is_flat(layer.channel(k)) => pass,
                _ => {
                    passes.push(k);
                    passes.len() - 1
                }
            };
            if cam::is_flat(layer.channel(k)) {
                flat = Some(pass);
            }
            pass_of.push(pass);
        }
        counter.skip((layer.channels.len() - passes.len()) as u64 * network_work(&self.network));
        let input = self.network.input_shape();
        let value = |&k| cam::masked(&prediction.input, input, layer.channel(k), [h, w]);
        // Where a channel is least, nothing of the picture is seen.
        let dark = vec![0.0; input.len()];
        let logits = self.rerun(PIXELS, &dark, passes.iter().map(value), counter)?;
        let objective = Objective {
            score: Score::Logit,
            ..self.objective()
        };
        let of_class = |&class: &usize| {
            let scores = self.scores(objective, &logits, class);
            let tried = layer.channels.iter().zip(&pass_of);
            tried.map(|(&k, &pass)| (k, scores[pass])).collect()
        };
        Ok(classes.iter().map(of_class).collect())
    }

    /// For each class, for each channel tried that is not zero already, the share of the score that is lost without it.
    fn ablated(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        layer: &TargetValue<'_>,
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Vec<(usize, f64)>>, ExplainError> {
        let is_live = |k: &usize| layer.channel(*k).iter().any(|&a| a != 0.0);
        let live: Vec<usize> = layer.channels.iter().copied().filter(is_live).collect();
        let dead = layer.channels.len() - live.len();
        counter.skip(dead as u64 * work_after(&self.network, layer.target));
        let value = |&k| cam::without(layer.activations, layer.shape, k);
        let (base, values) = (layer.activations, live.iter().map(value));
        let logits = self.rerun(layer.target, base, values, counter)?;
        // A share has no direction of its own.
        let sign = if self.wanted.counterfactual {
            -1.0
        } else {
            1.0
        };
        let objective = Objective {
            counterfactual: false,
            ..self.objective()
        };
        let of_class = |&class: &usize| {
            let score = objective.value(self.network.output_kind, &prediction.logits, class);
            let without = self.scores(objective, &logits, class);
            let share = |(&k, without)| (k, sign * (score - without) / score);
            live.iter().zip(without).map(share).collect()
        };
        Ok(classes.iter().map(of_class).collect())
    }

    /// The objective's value for a class, of each of `logits`.
    fn scores(&self, objective: Objective, logits: &[Vec<f32>], class: usize) -> Vec<f64> {
        let kind = self.network.output_kind;
        let score = |logits: &Vec<f32>| objective.value(kind, logits, class);
        logits.iter().map(score).collect()
    }

    /// For each class, for each method that hides parts of the picture its map, of the size of the network's input.
    pub(super) fn perturbations(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Vec<RawMap>>, ExplainError> {
        let shape = self.network.input_shape();
        let settings = &self.wanted.masks;
        let (objective, kind) = (self.objective(), self.network.output_kind);
        let mut maps = vec![vec![]; classes.len()];
        for method in self.wanted.perturbations() {
            let masks = 0..method.count(settings, shape);
            let seen = |mask: &[f32]| under(mask, settings, &prediction.input, shape);
            let value = |index| seen(&method.mask(settings, shape, index));
            let base = seen(&vec![method.ground(); shape.h * shape.w]);
            let logits = self.rerun(PIXELS, &base, masks.map(value), counter)?;
            for (maps, &class) in maps.iter_mut().zip(classes) {
                let score = objective.value(kind, &prediction.logits, class);
                let scores = self.scores(objective, &logits, class);
                maps.push(RawMap {
                    width: shape.w,
                    height: shape.h,
                    values: method.map(settings, shape, score, &scores),
                });
            }
        }
        Ok(maps)
    }
}
