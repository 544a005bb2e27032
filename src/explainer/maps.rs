//! The CAM methods: one map a class and method, of the target layer or fused from several.

use super::backward::{BackwardKind, Gradients};
use super::rerun::{ChannelScores, WorkCounter};
use super::{ExplainError, Explainer, PIXELS, Prediction};
use crate::methods::Method;
use crate::methods::cam::{self, Bias, Features, Reads};
use crate::methods::map::RawMap;
use crate::network::{Network, NodeId, Op};
use crate::weights::Tensor;

/// The maps of each target layer, of the methods that have such.
pub(super) type LayerMaps = Vec<(Method, Vec<RawMap>)>;

/// What the CAM methods give.
pub(super) struct CamMaps {
    /// For each class, for each method the map.
    pub(super) maps: Vec<Vec<RawMap>>,
    /// For each class [`Explanation::layers`](super::Explanation::layers).
    pub(super) layers: Vec<LayerMaps>,
    /// [`Explanation::kept`](super::Explanation::kept), of none or of each.
    pub(super) kept: Vec<f64>,
}

impl Explainer {
    /// Those of each class. `score_gradients` is from [`Explainer::score_gradients`].
    pub(super) fn maps(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        score_gradients: &[Gradients],
        counter: &WorkCounter<'_>,
    ) -> Result<CamMaps, ExplainError> {
        if self.wanted.cams().next().is_none() {
            return Ok(CamMaps {
                maps: vec![vec![]; classes.len()],
                layers: vec![vec![]; classes.len()],
                kept: vec![],
            });
        }
        let activations = self.kept()?;
        let finer_gradients = match self.wanted.reads(Reads::FinerGradients) {
            true => {
                let kinds = BackwardKind::to_targets(&self.network, &self.targets, &self.wanted);
                self.gradients(
                    &kinds,
                    &self.seeds(Reads::FinerGradients, prediction, classes),
                )?
            }
            false => vec![],
        };
        let tried = self.tried(prediction, classes, &activations, score_gradients, counter)?;
        let map = |method: cam::Method, class: usize| {
            let gradients = match method.reads() {
                Reads::Activations | Reads::Masked | Reads::Ablated => None,
                Reads::Gradients => Some(&score_gradients[class]),
                Reads::FinerGradients => Some(&finer_gradients[class]),
                Reads::Biases => {
                    let map = self.full_grad(&prediction.input, &score_gradients[class]);
                    return (map, vec![]);
                }
            };
            let tried = |layer: usize| tried[layer].of(method.reads(), class);
            let layers = self.each_layer(method, &activations, gradients, tried);
            (self.fused(&layers), layers)
        };
        let maps = |class| self.of_each_cam(|method| map(method, class));
        let (maps, layers) = (0..classes.len()).map(maps).unzip();
        Ok(CamMaps {
            maps,
            layers,
            kept: ChannelScores::kept(&tried),
        })
    }

    /// For each CAM method its map; and of several layers those before they were fused. `map` gives both.
    pub(super) fn of_each_cam(
        &self,
        map: impl Fn(cam::Method) -> (RawMap, Vec<RawMap>),
    ) -> (Vec<RawMap>, LayerMaps) {
        let of = |method: cam::Method| {
            let (map, layers) = map(method);
            (map, (Method::from(method), layers))
        };
        let (maps, mut layers): (_, LayerMaps) = self.wanted.cams().map(of).unzip();
        layers.retain(|(_, maps)| maps.len() > 1);
        (maps, layers)
    }

    /// The map of each target layer. `tried` gives [`Features::tried`] of each.
    pub(super) fn each_layer<'t>(
        &self,
        method: cam::Method,
        activations: &[Vec<f32>],
        gradients: Option<&Gradients>,
        tried: impl Fn(usize) -> &'t [(usize, f64)],
    ) -> Vec<RawMap> {
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
        self.targets.iter().enumerate().map(of_layer).collect()
    }

    /// The map of one layer, or the fused one of several.
    pub(super) fn fused(&self, maps: &[RawMap]) -> RawMap {
        if let [map] = maps {
            return map.clone();
        }
        let picture = self.network.input_shape();
        self.wanted.fuse.of(maps, picture.w, picture.h)
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
