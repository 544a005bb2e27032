//! Several pictures through the network at once, there and back: weights are read once for all of them.

use super::backward::{BackwardKind, Gradients, Source};
use super::maps::LayerMaps;
use super::{ExplainError, Explainer, Explanation, PIXELS, Prediction, Wanted};
use crate::exact;
use crate::methods::Method;
use crate::methods::cam::Reads;
use crate::methods::map::RawMap;
use crate::network::{Network, Shape};
use crate::plan::{Budget, Limits, images_at_once};
use crate::score::{Seed, probabilities};

/// Device memory that the values of one group may take, bytes.
const VALUES: u64 = 512 << 20;

/// Whether what is wanted goes through in groups: maps of gradients and activations alone, without further passes.
pub(super) fn is_grouped(wanted: &Wanted) -> bool {
    let is_simple = |method: &Method| match method {
        Method::Cam(method) => matches!(method.reads(), Reads::Activations | Reads::Gradients),
        Method::Pixel(_) | Method::Perturbation(_) => false,
    };
    wanted.at_once > 1 && !wanted.augmented && wanted.methods.iter().all(is_simple)
}

/// Pictures that go through at once, at most [`Wanted::at_once`], so that they fit the adapter; at least 1.
pub(super) fn images(
    network: &Network,
    wanted: &Wanted,
    kinds: &[BackwardKind],
    limits: Limits<'_>,
) -> usize {
    if !is_grouped(wanted) {
        return 1;
    }
    let budget = Budget {
        bytes: VALUES,
        dtype: wanted.dtype,
    };
    let there = images_at_once(network, PIXELS, limits, budget);
    let back = kinds
        .iter()
        .map(|kind| kind.at_once(network, wanted.dtype, limits));
    back.fold(wanted.at_once.min(there), usize::min)
}

impl Explainer {
    /// Pictures that [`Explainer::explain_group`] takes at most.
    pub fn at_once(&self) -> usize {
        self.session.plan().picture().request.images
    }

    /// [`Explainer::predict`] and [`Explainer::explain`] of up to [`Explainer::at_once`] pictures, each a preprocessed input,
    /// C x H x W. `classes` says which are explained of a picture: of all pictures as many.
    ///
    /// # Errors
    /// As those two; an error is that of all pictures.
    ///
    /// # Panics
    /// If there are more pictures than go through at once.
    pub fn explain_group(
        &self,
        inputs: &[&[f32]],
        classes: impl Fn(&Prediction) -> Vec<usize>,
    ) -> Result<Vec<(Prediction, Vec<Explanation>)>, ExplainError> {
        if self.at_once() == 1 {
            let one = |input: &&[f32]| {
                let prediction = self.predict(input)?;
                let explanations = self.explain(&prediction, &classes(&prediction))?;
                Ok((prediction, explanations))
            };
            return inputs.iter().map(one).collect();
        }
        // The device holds none of them alone.
        let mut held = self.held();
        held.clear();
        let predictions = self.predict_group(inputs)?;
        let activations = self.kept_of_group()?;
        let classes: Vec<Vec<usize>> = predictions.iter().map(classes).collect();
        classes.iter().try_for_each(|each| self.check(each))?;
        let seeds = predictions.iter().zip(&classes);
        let seeds =
            seeds.map(|(prediction, classes)| self.seeds(Reads::Gradients, prediction, classes));
        let seeds: Vec<Vec<Seed>> = seeds.collect();
        let kinds =
            BackwardKind::for_score(&self.network, &self.targets, &self.wanted, Source::Picture);
        let each: Vec<&[Seed]> = seeds.iter().map(Vec::as_slice).collect();
        let gradients = self.gradients_of_group(&kinds, &each)?;
        drop(held);
        let explanation = |picture: usize, rank: usize| {
            let (maps, layers) = self.maps_of(&activations[picture], &gradients[picture][rank]);
            Explanation {
                class: classes[picture][rank],
                values: self.wanted.in_order(maps, vec![], vec![]),
                layers,
                kept: None,
                gradient: seeds[picture][rank].scale,
            }
        };
        let explained = predictions.into_iter().enumerate();
        let explained = explained.map(|(picture, prediction)| {
            let ranks = 0..classes[picture].len();
            let explanations = ranks.map(|rank| explanation(picture, rank)).collect();
            (prediction, explanations)
        });
        Ok(explained.collect())
    }

    /// What the host computes of a pass, for about `inputs` inputs.
    pub(super) fn on_host(&self, pass: usize, inputs: usize) -> Option<exact::Layers<'_>> {
        let last = self.session.plan().passes[pass].request.by_host?;
        Some(exact::Layers::new(&self.network, last, inputs))
    }

    /// Computes it, and hands it to the device.
    pub(super) fn write_by_host(
        &self,
        pass: usize,
        layers: &mut exact::Layers<'_>,
        inputs: &[&[f32]],
    ) {
        for (image, input) in inputs.iter().enumerate() {
            layers.forward(input, |node, values, maxima| {
                let shape = self.network.node(node).shape;
                let place = [pass, image];
                self.session
                    .write_by_host(place, node, shape, values, maxima);
            });
        }
    }

    /// [`Explainer::predict`] of several pictures, for who has the device.
    pub(super) fn predict_group(&self, inputs: &[&[f32]]) -> Result<Vec<Prediction>, ExplainError> {
        let shape = self.network.input_shape();
        if let Some(wrong) = inputs.iter().find(|input| input.len() != shape.len()) {
            return Err(ExplainError::InputLength {
                found: wrong.len(),
                expected: shape,
            });
        }
        if let Some(mut layers) = self.on_host(0, inputs.len()) {
            self.write_by_host(0, &mut layers, inputs);
        }
        self.session.forward(0, &inputs.concat(), shape)?;
        let shape = Shape::vector(self.network.classes());
        let logits = self.session.plan().picture().logits;
        let logits = self.session.read(logits, self.at_once(), shape)?;
        let each = inputs.iter().zip(logits.chunks_exact(shape.len()));
        let prediction = |(input, logits): (&&[f32], &[f32])| Prediction {
            input: input.to_vec(),
            probabilities: probabilities(self.network.output_kind, logits),
            logits: logits.to_vec(),
            whole: None,
        };
        Ok(each.map(prediction).collect())
    }

    /// For each picture for each target layer its activations.
    pub(super) fn kept_of_group(&self) -> Result<Vec<Vec<Vec<f32>>>, ExplainError> {
        let mut of_pictures = vec![vec![]; self.at_once()];
        let kept = &self.session.plan().picture().kept;
        for (&buffer, &target) in kept.iter().zip(&self.targets) {
            let shape = self.network.node(target).shape;
            let all = self.session.read(buffer, self.at_once(), shape)?;
            for (of_picture, values) in of_pictures.iter_mut().zip(all.chunks_exact(shape.len())) {
                of_picture.push(values.to_vec());
            }
        }
        Ok(of_pictures)
    }

    /// For each method the map of a class; and of several layers those before they were fused.
    fn maps_of(&self, activations: &[Vec<f32>], gradients: &Gradients) -> (Vec<RawMap>, LayerMaps) {
        self.of_each_cam(|method| {
            let gradients = (method.reads() == Reads::Gradients).then_some(gradients);
            let layers = self.each_layer(method, activations, gradients, |_| &[]);
            (self.fused(&layers), layers)
        })
    }
}
