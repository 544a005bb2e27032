//! Backward passes: where they lead, what of the way is kept, and how many classes go at once.

use super::maps::biased;
use super::wanted::needs_positions;
use super::{ExplainError, Explainer, PIXELS, Wanted};
use crate::network::{Network, NodeId, ReluRule, Shape};
use crate::plan::{BackwardRequest, Limits, Means, classes_at_once};
use crate::score::Seed;

/// Device memory that the gradients of one backward pass may take, bytes.
const GRADIENTS: u64 = 256 << 20;

/// A gradient as float32 holds it.
pub(super) struct Gradient {
    /// At the end of the pass, divided by `scale`; where means do, perhaps those of each channel.
    pub(super) values: Vec<f32>,
    /// The same at each node kept.
    pub(super) kept: Vec<Vec<f32>>,
    /// The seed's.
    pub(super) scale: f64,
}

/// A kind of backward pass: where it ends, the nodes kept on the way, and what ReLUs let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) to: NodeId,
    pub(super) keep: Vec<NodeId>,
    rule: ReluRule,
    means: Means,
}

impl Way {
    /// To the picture.
    pub(super) fn to_pixels(rule: ReluRule) -> Self {
        Self {
            to: PIXELS,
            keep: vec![],
            rule,
            means: Means::Never,
        }
    }

    /// To the picture and to every bias on the way there.
    pub(super) fn to_biases(network: &Network) -> Self {
        Self {
            keep: biased(network).map(|(id, _)| id).collect(),
            ..Self::to_pixels(ReluRule::Plain)
        }
    }

    fn is_of(&self, pass: &BackwardRequest) -> bool {
        (self.to, self.rule) == (pass.to, pass.rule) && self.keep == pass.keep
    }

    /// To all of `targets`: in one pass to the earliest, as far as that one's value reaches the others.
    pub(super) fn to_targets(network: &Network, targets: &[NodeId], wanted: &Wanted) -> Vec<Self> {
        let mut rest = targets.to_vec();
        rest.sort();
        let mut ways = vec![];
        while let Some(&to) = rest.first() {
            let reached = network.descendants(to);
            let (keep, others) = rest[1..].iter().partition(|id| reached[id.0]);
            ways.push(Self {
                to,
                keep,
                rule: ReluRule::Plain,
                means: match needs_positions(wanted) {
                    true => Means::Never,
                    false => Means::WhereFaster,
                },
            });
            rest = others;
        }
        ways
    }
}

/// Backward passes that carry `classes` along a way: as many as go at once, and one for what is left over.
pub(super) fn passes(
    network: &Network,
    way: &Way,
    classes: usize,
    limits: Limits,
) -> Vec<BackwardRequest> {
    let most = classes_at_once(network, way.to, &way.keep, limits, GRADIENTS).min(classes.max(1));
    let pass = |classes| BackwardRequest {
        to: way.to,
        keep: way.keep.clone(),
        classes,
        rule: way.rule,
        means: way.means,
    };
    [most, classes % most]
        .into_iter()
        .filter(|&classes| classes > 0)
        .map(pass)
        .collect()
}

impl Explainer {
    /// For each seed the gradients that the way leads to.
    pub(super) fn gradients(
        &self,
        way: &Way,
        seeds: &[Seed],
    ) -> Result<Vec<Gradient>, ExplainError> {
        let logits = Shape::vector(self.network.classes());
        let phases = &self.session.plan().backward;
        let mut gradients = vec![];
        let mut rest = seeds;
        while !rest.is_empty() {
            // The largest pass that the rest fills, else the one that it fills best.
            let (phase, request) = phases
                .iter()
                .map(|backward| &backward.request)
                .enumerate()
                .filter(|(_, pass)| way.is_of(pass))
                .max_by_key(|(_, pass)| match pass.classes <= rest.len() {
                    true => (1, pass.classes.cast_signed()),
                    false => (0, -pass.classes.cast_signed()),
                })
                .expect("every way that methods need is planned");
            let (group, later) = rest.split_at(request.classes.min(rest.len()));
            let mut directions: Vec<f32> = group
                .iter()
                .flat_map(|seed| seed.direction.iter().copied())
                .collect();
            directions.resize(request.classes * logits.len(), 0.0);
            self.session.backward(phase, &directions, logits)?;
            let first = gradients.len();
            gradients.extend(group.iter().map(|seed| Gradient {
                values: vec![],
                kept: vec![],
                scale: seed.scale,
            }));
            let read = |buffer, shape: Shape| {
                let all = self.session.read(buffer, request.classes, shape)?;
                Ok::<_, ExplainError>((all, shape.len()))
            };
            let (all, len) = read(phases[phase].gradient, phases[phase].shape)?;
            for (gradient, values) in gradients[first..].iter_mut().zip(all.chunks_exact(len)) {
                gradient.values = values.to_vec();
            }
            for (&buffer, &at) in phases[phase].kept.iter().zip(&way.keep) {
                let (all, len) = read(buffer, self.network.node(at).shape)?;
                for (gradient, values) in gradients[first..].iter_mut().zip(all.chunks_exact(len)) {
                    gradient.kept.push(values.to_vec());
                }
            }
            rest = later;
        }
        Ok(gradients)
    }
}
