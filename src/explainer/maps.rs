//! The CAM methods: one map a class and method, of the target layer or fused from several.

use super::backward::{Gradient, Way};
use super::pixels::needs_heat;
use super::rerun::{self, Counter, Tried};
use super::wanted::reads;
use super::{ExplainError, Explainer, Prediction};
use crate::cam::{self, Bias, Features, Reads};
use crate::map::RawMap;
use crate::network::{Network, NodeId, Op, Shape};
use crate::score::Seed;
use crate::weights::Tensor;

/// Gradients at the target layers, of one class.
pub(super) struct TargetGradients {
    /// One a target, divided by `scale`: [`Features::gradients`].
    pub(super) values: Vec<Vec<f32>>,
    /// The seed's.
    pub(super) scale: f64,
}

impl Explainer {
    /// For each class, for each CAM method the map; and [`Explanation::kept`](super::Explanation::kept), of none or of each.
    /// `of_score` is from [`Explainer::of_score`].
    pub(super) fn maps(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        of_score: &[TargetGradients],
        counter: &Counter<'_>,
    ) -> Result<(Vec<Vec<RawMap>>, Vec<f64>), ExplainError> {
        if self.wanted.methods.is_empty() {
            return Ok((vec![vec![]; classes.len()], vec![]));
        }
        let activations = self.kept()?;
        let of_biases = self.at_biases(prediction, classes)?;
        let of_finer = match reads(&self.wanted, Reads::FinerGradients) {
            true => self.at_targets(&self.seeds(Reads::FinerGradients, prediction, classes))?,
            false => vec![],
        };
        let tried = self.tried(prediction, classes, &activations, of_score, counter)?;
        let map = |method: &cam::Method, class: usize| {
            let gradients = match method.reads() {
                Reads::Activations | Reads::Masked | Reads::Ablated => None,
                Reads::Gradients => Some(&of_score[class]),
                Reads::FinerGradients => Some(&of_finer[class]),
                Reads::Biases => return of_biases[class].clone(),
            };
            let tried = |layer: usize| tried[layer].of(method.reads(), class);
            self.map(*method, &activations, gradients, tried)
        };
        let maps = |class| self.wanted.methods.iter().map(|m| map(m, class)).collect();
        let maps = (0..classes.len()).map(maps).collect();
        Ok((maps, Tried::kept(&tried)))
    }

    /// The map of one layer, or the fused one of several. `tried` gives [`Features::tried`] of each.
    pub(super) fn map<'t>(
        &self,
        method: cam::Method,
        activations: &[Vec<f32>],
        gradients: Option<&TargetGradients>,
        tried: impl Fn(usize) -> &'t [(usize, f64)],
    ) -> RawMap {
        let of_layer = |(i, &target): (usize, &NodeId)| {
            let shape = self.network.node(target).shape;
            let values = method.map(&Features {
                shape,
                activations: &activations[i],
                gradients: gradients.map_or(&[], |gradients| &gradients.values[i]),
                scale: gradients.map_or(0.0, |gradients| gradients.scale),
                seed: self.wanted.settings.seed,
                tried: tried(i),
                eigen: self.wanted.eigen_smooth,
                biases: &[],
            });
            RawMap {
                width: shape.w,
                height: shape.h,
                values,
            }
        };
        let mut maps: Vec<RawMap> = self.targets.iter().enumerate().map(of_layer).collect();
        if maps.len() == 1 {
            return maps.remove(0);
        }
        let picture = self.network.input_shape();
        self.wanted.fuse.of(&maps, picture.w, picture.h)
    }

    /// For each class FullGrad's map; none where nobody asks for it.
    fn at_biases(
        &self,
        prediction: &Prediction,
        classes: &[usize],
    ) -> Result<Vec<RawMap>, ExplainError> {
        if !reads(&self.wanted, Reads::Biases) {
            return Ok(vec![]);
        }
        let seeds = self.seeds(Reads::Biases, prediction, classes);
        let gradients = self.gradients(&Way::to_biases(&self.network), &seeds)?;
        let biases: Vec<(Shape, Vec<f32>)> = biased(&self.network)
            .map(|(id, bias)| (self.network.node(id).shape, bias.to_vec()))
            .collect();
        let shape = self.network.input_shape();
        let map = |gradient: &Gradient| {
            let layers = biases.iter().zip(&gradient.kept);
            let biases: Vec<Bias<'_>> = layers
                .map(|((shape, values), gradients)| Bias {
                    shape: *shape,
                    values,
                    gradients,
                })
                .collect();
            let values = cam::full_grad(&Features {
                shape,
                activations: &prediction.input,
                gradients: &gradient.values,
                scale: gradient.scale,
                seed: 0,
                tried: &[],
                eigen: false,
                biases: &biases,
            });
            RawMap {
                width: shape.w,
                height: shape.h,
                values,
            }
        };
        Ok(gradients.iter().map(map).collect())
    }

    /// For each class the score's gradients at the target layers, after the picture's own forward pass; none where neither a
    /// map nor pixel values need them.
    pub(super) fn of_score(
        &self,
        prediction: &Prediction,
        classes: &[usize],
    ) -> Result<Vec<TargetGradients>, ExplainError> {
        let wanted = &self.wanted;
        if !(reads(wanted, Reads::Gradients) || rerun::chooses(wanted) || needs_heat(wanted)) {
            return Ok(vec![]);
        }
        self.at_targets(&self.seeds(Reads::Gradients, prediction, classes))
    }

    /// For each seed the gradients at the target layers.
    fn at_targets(&self, seeds: &[Seed]) -> Result<Vec<TargetGradients>, ExplainError> {
        let empty = |seed: &Seed| TargetGradients {
            values: vec![vec![]; self.targets.len()],
            scale: seed.scale,
        };
        let mut found: Vec<TargetGradients> = seeds.iter().map(empty).collect();
        for way in Way::to_targets(&self.network, &self.targets, &self.wanted) {
            let gradients = self.gradients(&way, seeds)?;
            let ids = || std::iter::once(&way.to).chain(&way.keep);
            for (found, gradient) in found.iter_mut().zip(gradients) {
                let values = std::iter::once(gradient.values).chain(gradient.kept);
                for (id, values) in ids().zip(values) {
                    let target = self.targets.iter().position(|target| target == id);
                    found.values[target.expect("a way to targets")] = values;
                }
            }
        }
        Ok(found)
    }
}

/// The nodes that FullGrad counts, with their biases: convolutions, and normalisations of feature maps.
pub(super) fn biased(network: &Network) -> impl Iterator<Item = (NodeId, &Tensor)> {
    (0..)
        .map(NodeId)
        .zip(&network.nodes)
        .filter_map(|(id, node)| match &node.op {
            Op::Conv2d { bias, .. } => Some((id, bias.as_ref()?)),
            Op::Affine { shift, .. } if node.shape.h * node.shape.w > 1 => Some((id, shift)),
            _ => None,
        })
}
