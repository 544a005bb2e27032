//! The CAM methods: one map a class and method, of the target layer or fused from several.

use super::backward::{Gradients, Way};
use super::rerun::{Counter, Tried};
use super::wanted::reads;
use super::{ExplainError, Explainer, PIXELS, Prediction};
use crate::methods::cam::{self, Bias, Features, Reads};
use crate::methods::map::RawMap;
use crate::network::{Network, NodeId, Op};
use crate::weights::Tensor;

impl Explainer {
    /// For each class, for each CAM method the map; and [`Explanation::kept`](super::Explanation::kept), of none or of each.
    /// `of_score` is from [`Explainer::of_score`].
    pub(super) fn maps(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        of_score: &[Gradients],
        counter: &Counter<'_>,
    ) -> Result<(Vec<Vec<RawMap>>, Vec<f64>), ExplainError> {
        if self.wanted.methods.is_empty() {
            return Ok((vec![vec![]; classes.len()], vec![]));
        }
        let activations = self.kept()?;
        let of_finer = match reads(&self.wanted, Reads::FinerGradients) {
            true => {
                let ways = Way::to_targets(&self.network, &self.targets, &self.wanted);
                self.gradients(
                    &ways,
                    &self.seeds(Reads::FinerGradients, prediction, classes),
                )?
            }
            false => vec![],
        };
        let tried = self.tried(prediction, classes, &activations, of_score, counter)?;
        let map = |method: &cam::Method, class: usize| {
            let gradients = match method.reads() {
                Reads::Activations | Reads::Masked | Reads::Ablated => None,
                Reads::Gradients => Some(&of_score[class]),
                Reads::FinerGradients => Some(&of_finer[class]),
                Reads::Biases => return self.full_grad(&prediction.input, &of_score[class]),
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
        gradients: Option<&Gradients>,
        tried: impl Fn(usize) -> &'t [(usize, f64)],
    ) -> RawMap {
        let of_layer = |(i, &target): (usize, &NodeId)| {
            let shape = self.network.node(target).shape;
            let values = method.map(&Features {
                shape,
                activations: &activations[i],
                gradients: gradients.map_or(&[], |gradients| gradients.at(target)),
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

    /// FullGrad's map of one class.
    fn full_grad(&self, input: &[f32], gradients: &Gradients) -> RawMap {
        let values: Vec<(NodeId, Vec<f32>)> = biased(&self.network)
            .map(|(id, bias)| (id, bias.to_vec()))
            .collect();
        let biases = values.iter().map(|(id, values)| Bias {
            shape: self.network.node(*id).shape,
            values,
            gradients: gradients.at(*id),
        });
        let shape = self.network.input_shape();
        let values = cam::full_grad(&Features {
            shape,
            activations: input,
            gradients: gradients.at(PIXELS),
            scale: gradients.scale,
            seed: 0,
            tried: &[],
            eigen: false,
            biases: &biases.collect::<Vec<_>>(),
        });
        RawMap {
            width: shape.w,
            height: shape.h,
            values,
        }
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
