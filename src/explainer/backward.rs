//! Backward passes: where they end, what they keep, and how many classes go at once.

use std::collections::BTreeMap;

use super::maps::biased;
use super::{ExplainError, Explainer, PIXELS, Prediction, Wanted};
use crate::methods::attribution::Inputs;
use crate::methods::cam::Reads;
use crate::network::{Network, NodeId, ReluRule, Shape};
use crate::plan::{BackwardRequest, Budget, Limits, Means, StoredDtype, classes_at_once};
use crate::score::Seed;

/// Device memory that the gradients of one backward pass may take, bytes.
const GRADIENTS: u64 = 256 << 20;

/// Gradients of one class by the node where they are, as float32 holds them: each divided by `scale`.
pub(super) struct Gradients {
    at: BTreeMap<NodeId, Vec<f32>>,
    /// The seed's.
    pub(super) scale: f64,
}

impl Gradients {
    /// The gradient at a node; where means do, perhaps those of each channel.
    pub(super) fn at(&self, id: NodeId) -> &[f32] {
        self.at
            .get(&id)
            .expect("a backward pass gives whatever is read")
    }
}

/// A kind of backward pass: where it ends, the nodes whose gradients it keeps, and what ReLUs let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackwardKind {
    pub(super) to: NodeId,
    pub(super) keep: Vec<NodeId>,
    rule: ReluRule,
    means: Means,
}

impl BackwardKind {
    /// To the picture.
    pub(super) fn to_pixels(rule: ReluRule) -> Self {
        Self {
            to: PIXELS,
            keep: vec![],
            rule,
            means: Means::Never,
        }
    }

    /// Gradients that go along it at once.
    pub(super) fn at_once(
        &self,
        network: &Network,
        dtype: StoredDtype,
        limits: Limits<'_>,
    ) -> usize {
        let budget = Budget {
            bytes: GRADIENTS,
            dtype,
        };
        classes_at_once(network, self.to, &self.keep, limits, budget)
    }

    fn is_of(&self, pass: &BackwardRequest) -> bool {
        (self.to, self.rule) == (pass.to, pass.rule) && self.keep == pass.keep
    }

    /// Those of the score's own gradient: one for all that reads it, as far as one leads there. Of changed pictures CAM methods alone
    /// read it.
    pub(super) fn for_score(
        network: &Network,
        targets: &[NodeId],
        wanted: &Wanted,
        source: Source,
    ) -> Vec<Self> {
        let targets = match wanted.needs_targets() {
            true => targets,
            false => &[],
        };
        let mut recipes = wanted.recipes();
        let gradient = recipes
            .any(|recipe| (recipe.rule, recipe.inputs) == (ReluRule::Plain, Inputs::Picture));
        let biases = wanted.reads(Reads::Biases);
        if !(biases || gradient && source == Source::Picture) {
            return Self::to_targets(network, targets, wanted);
        }
        let biased = biased(network).map(|(id, _)| id).filter(|_| biases);
        let mut keep: Vec<NodeId> = biased.chain(targets.iter().copied()).collect();
        keep.sort();
        keep.dedup();
        vec![Self {
            keep,
            ..Self::to_pixels(ReluRule::Plain)
        }]
    }

    /// To all of `targets`: in one pass to the earliest, as far as that one's value reaches the others.
    pub(super) fn to_targets(network: &Network, targets: &[NodeId], wanted: &Wanted) -> Vec<Self> {
        let mut rest = targets.to_vec();
        rest.sort();
        let mut kinds = vec![];
        while let Some(&to) = rest.first() {
            let reached = network.descendants(to);
            let (keep, others) = rest[1..].iter().partition(|id| reached[id.0]);
            kinds.push(Self {
                to,
                keep,
                rule: ReluRule::Plain,
                means: match wanted.needs_positions() {
                    true => Means::Never,
                    false => Means::WhereFaster,
                },
            });
            rest = others;
        }
        kinds
    }
}

/// What a backward pass explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The picture itself.
    Picture,
    /// One made of it, for the mean of CAM maps (`--smooth aug`).
    Changed,
}

/// Every kind that methods need after the forward pass, each once.
pub(super) fn all_kinds(
    network: &Network,
    targets: &[NodeId],
    wanted: &Wanted,
) -> Vec<BackwardKind> {
    let mut all = BackwardKind::for_score(network, targets, wanted, Source::Picture);
    if wanted.augments() {
        all.extend(BackwardKind::for_score(
            network,
            targets,
            wanted,
            Source::Changed,
        ));
    }
    if wanted.reads(Reads::FinerGradients) {
        all.extend(BackwardKind::to_targets(network, targets, wanted));
    }
    let recipes = wanted.recipes();
    let ruled =
        recipes.filter(|recipe| recipe.inputs == Inputs::Picture && recipe.rule != ReluRule::Plain);
    all.extend(ruled.map(|recipe| BackwardKind::to_pixels(recipe.rule)));
    let mut each: Vec<BackwardKind> = vec![];
    for kind in all {
        if !each.contains(&kind) {
            each.push(kind);
        }
    }
    each
}

/// The backward passes of a kind that carry the wanted classes of each of `images`: of as many as go at once, and of what is left
/// over.
pub(super) fn passes(
    network: &Network,
    kind: &BackwardKind,
    wanted: &Wanted,
    images: usize,
    limits: Limits<'_>,
) -> Vec<BackwardRequest> {
    let classes = wanted.classes;
    let most = kind.at_once(network, wanted.dtype, limits) / images;
    let most = most.clamp(1, classes.max(1));
    let pass = |classes| BackwardRequest {
        to: kind.to,
        keep: kind.keep.clone(),
        classes,
        rule: kind.rule,
        means: kind.means,
    };
    [most, classes % most]
        .into_iter()
        .filter(|&classes| classes > 0)
        .map(pass)
        .collect()
}

impl Explainer {
    /// For each class the score's gradients wherever methods read them, after the forward pass of `source`; of no class where
    /// none does.
    pub(super) fn score_gradients(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        source: Source,
    ) -> Result<Vec<Gradients>, ExplainError> {
        let kinds = BackwardKind::for_score(&self.network, &self.targets, &self.wanted, source);
        if kinds.is_empty() {
            return Ok(vec![]);
        }
        self.gradients(&kinds, &self.seeds(Reads::Gradients, prediction, classes))
    }

    /// For each seed the gradients that passes of these kinds give.
    pub(super) fn gradients(
        &self,
        kinds: &[BackwardKind],
        seeds: &[Seed],
    ) -> Result<Vec<Gradients>, ExplainError> {
        Ok(self.gradients_of_group(kinds, &[seeds])?.remove(0))
    }

    /// For each picture for each of its seeds the gradients that passes of these kinds give.
    pub(super) fn gradients_of_group(
        &self,
        kinds: &[BackwardKind],
        seeds: &[&[Seed]],
    ) -> Result<Vec<Vec<Gradients>>, ExplainError> {
        let none = |seed: &Seed| Gradients {
            at: BTreeMap::new(),
            scale: seed.scale,
        };
        let none = |seeds: &&[Seed]| seeds.iter().map(none).collect();
        let mut gradients: Vec<Vec<Gradients>> = seeds.iter().map(none).collect();
        for kind in kinds {
            self.go_back(kind, seeds, &mut gradients)?;
        }
        Ok(gradients)
    }

    /// Adds to the gradients of each picture's seeds those that passes of one kind give.
    fn go_back(
        &self,
        kind: &BackwardKind,
        seeds: &[&[Seed]],
        gradients: &mut [Vec<Gradients>],
    ) -> Result<(), ExplainError> {
        let logits = Shape::vector(self.network.classes());
        let phases = &self.session.plan().picture().backs;
        let images = self.at_once();
        let most = seeds.iter().map(|seeds| seeds.len()).max().unwrap_or(0);
        let mut first = 0;
        while first < most {
            let rest = most - first;
            // The largest pass that the rest fills, else the one that it fills best.
            let (phase, request) = phases
                .iter()
                .map(|backward| &backward.request)
                .enumerate()
                .filter(|(_, pass)| kind.is_of(pass))
                .max_by_key(|(_, pass)| match pass.classes <= rest {
                    true => (1, pass.classes.cast_signed()),
                    false => (0, -pass.classes.cast_signed()),
                })
                .expect("every kind that methods need is planned");
            // A row of classes for each picture, filled up with nothing.
            let mut directions = vec![0.0; images * request.classes * logits.len()];
            let rows = directions.chunks_exact_mut(request.classes * logits.len());
            for (row, seeds) in rows.zip(seeds) {
                let seeds = seeds.iter().skip(first);
                for (to, seed) in row.chunks_exact_mut(logits.len()).zip(seeds) {
                    to.copy_from_slice(&seed.direction);
                }
            }
            self.session.backward([0, phase], &directions, logits)?;
            let backward = &phases[phase];
            let end = (backward.gradient, kind.to, backward.shape);
            let kept = backward.kept.iter().zip(&kind.keep);
            let kept = kept.map(|(&buffer, &id)| (buffer, id, self.network.node(id).shape));
            for (buffer, id, shape) in std::iter::once(end).chain(kept) {
                let all = self.session.read(buffer, images * request.classes, shape)?;
                let rows = all.chunks_exact(request.classes * shape.len());
                for (gradients, row) in gradients.iter_mut().zip(rows) {
                    let gradients = gradients.iter_mut().skip(first);
                    for (to, values) in gradients.zip(row.chunks_exact(shape.len())) {
                        to.at.insert(id, values.to_vec());
                    }
                }
            }
            first += request.classes;
        }
        Ok(())
    }
}
