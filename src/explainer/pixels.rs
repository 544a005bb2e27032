//! The pixel methods: gradients at the picture, and at others like it.

use super::backward::{self, BackwardKind, Gradients};
use super::flat::is_flat;
use super::rerun::WorkCounter;
use super::{ExplainError, Explainer, PIXELS, Prediction, Wanted};
use crate::methods::attribution::{Inputs, Moments, Recipe};
use crate::methods::cam::{self, Reads};
use crate::methods::map::Map;
use crate::network::{Network, ReluRule, Shape};
use crate::plan::{Budget, ForwardRequest, KernelFamily, Limits, walks_at_once};
use crate::score::Seed;

/// Device memory that pictures on their way there and back may take, bytes.
const HELD: u64 = 512 << 20;

impl Explainer {
    /// For each class, for each pixel method its values. `score_gradients` is from [`Explainer::score_gradients`].
    pub(super) fn pixels(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        score_gradients: &[Gradients],
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Vec<Vec<f64>>>, ExplainError> {
        let heats = self.heats(score_gradients)?;
        let walks = self.wanted.walks();
        let mut walked = vec![];
        for &(rule, inputs) in &walks {
            walked.push(match inputs {
                Inputs::Picture if rule == ReluRule::Plain => moments(score_gradients),
                Inputs::Picture => {
                    let seeds = self.seeds(Reads::Gradients, prediction, classes);
                    moments(&self.gradients(&[BackwardKind::to_pixels(rule)], &seeds)?)
                }
                _ => self.walk(rule, inputs, prediction, classes, counter)?,
            });
        }
        let value = |class: usize, recipe: Recipe| {
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
        let values = |class| self.wanted.recipes().map(|r| value(class, r)).collect();
        Ok((0..classes.len()).map(values).collect())
    }

    /// For each class the gradients at the pixels over all inputs, many of them at once.
    fn walk(
        &self,
        rule: ReluRule,
        inputs: Inputs,
        prediction: &Prediction,
        classes: &[usize],
        counter: &WorkCounter<'_>,
    ) -> Result<Vec<Moments>, ExplainError> {
        let shape = self.network.input_shape();
        let logits = Shape::vector(self.network.classes());
        let (settings, objective) = (&self.wanted.settings, self.objective());
        let number = self.pass_of(rule, inputs, &prediction.input);
        let passes = &self.session.plan().passes;
        let (there, back) = (&passes[number], &passes[number].backs[0]);
        let (images, at_once) = (there.request.images, back.request.classes);
        let mut moments = vec![Moments::new(shape.len()); classes.len()];
        let count = inputs.count(settings);
        let mut on_host = self.on_host(number, count);
        for first in (0..count).step_by(images) {
            let batch = first..count.min(first + images);
            let input = |index| inputs.at(settings, &prediction.input, shape, index);
            let pictures: Vec<f32> = batch.clone().flat_map(input).collect();
            let each: Vec<&[f32]> = pictures.chunks_exact(shape.len()).collect();
            if let Some(layers) = &mut on_host {
                self.write_by_host(number, layers, &each);
            }
            self.session.forward(number, &pictures, shape)?;
            let rows = self.session.read(there.logits, images, logits)?;
            let there = || rows.chunks_exact(logits.len()).take(batch.len());
            for (classes, moments) in classes.chunks(at_once).zip(moments.chunks_mut(at_once)) {
                let seed = |there: &[f32], class: &usize| {
                    objective.seed(self.network.output_kind, there, *class)
                };
                // A row of classes for each picture, filled up with nothing.
                let seeds = there().map(|there| classes.iter().map(|class| seed(there, class)));
                let seeds: Vec<Vec<Seed>> = seeds.map(Iterator::collect).collect();
                let mut directions = vec![0.0; images * at_once * logits.len()];
                let rows = directions.chunks_exact_mut(at_once * logits.len());
                for (row, seeds) in rows.zip(&seeds) {
                    for (to, seed) in row.chunks_exact_mut(logits.len()).zip(seeds) {
                        to.copy_from_slice(&seed.direction);
                    }
                }
                self.session.backward([number, 0], &directions, logits)?;
                let gradients = self.session.read(back.gradient, images * at_once, shape)?;
                let rows = gradients.chunks_exact(at_once * shape.len());
                for (row, seeds) in rows.zip(&seeds) {
                    let each = row.chunks_exact(shape.len()).zip(seeds);
                    for (moments, (gradient, seed)) in moments.iter_mut().zip(each) {
                        moments.add(gradient, seed.scale);
                    }
                }
            }
            batch.for_each(|_| counter.advance_one());
        }
        Ok(moments)
    }

    /// The number of the pass that takes the inputs of a walk. Where there is one with the host and one without, the picture says which.
    fn pass_of(&self, rule: ReluRule, inputs: Inputs, picture: &[f32]) -> usize {
        let passes = &self.session.plan().passes;
        let goes_back = |&pass: &usize| {
            let backs = &passes[pass].backs;
            backs.iter().any(|back| back.request.rule == rule)
        };
        let going: Vec<usize> = (1..passes.len()).filter(goes_back).collect();
        let by_host = inputs == Inputs::Path && is_flat(picture, self.network.input_shape());
        let is_fitting = |&&pass: &&usize| passes[pass].request.by_host.is_some() == by_host;
        let fitting = going.iter().find(is_fitting).or(going.first());
        *fitting.expect("every walk that methods need is planned")
    }

    /// For each class the Grad-CAM map as drawn, of the picture's size; none where no method needs it.
    fn heats(&self, score_gradients: &[Gradients]) -> Result<Vec<Map>, ExplainError> {
        if !self.wanted.needs_heat() {
            return Ok(vec![]);
        }
        let input = self.network.input_shape();
        let activations = self.kept()?;
        let heat = |gradients: &Gradients| {
            let maps =
                self.each_layer(cam::Method::GradCam, &activations, Some(gradients), |_| &[]);
            let map = self.fused(&maps);
            map.scaled().resize(input.w, input.h).heat()
        };
        Ok(score_gradients.iter().map(heat).collect())
    }
}

/// For each class the gradient at the pixels for one picture, as the mean of one.
fn moments(gradients: &[Gradients]) -> Vec<Moments> {
    let moments = gradients.iter().map(|gradients| {
        let values = gradients.at(PIXELS);
        let mut moments = Moments::new(values.len());
        moments.add(values, gradients.scale);
        moments
    });
    moments.collect()
}

/// Of the multiply-adds of a network, what the host takes for each input on a path, see [`crate::exact`]: of a VGG16 about the layers up to
/// the third pool, where most of the choices are that rounding turns over. Means over noisy inputs are near enough without it.
const SHARE: f64 = 2.0 / 3.0;

/// The passes there and back that methods over many inputs need, one for each rule.
pub(super) fn requests(
    network: &Network,
    wanted: &Wanted,
    limits: Limits<'_>,
) -> Vec<ForwardRequest> {
    let mut requests: Vec<ForwardRequest> = vec![];
    let on_path = wanted.by_host(network, |inputs| inputs == Inputs::Path, SHARE);
    // A GPU takes many inputs in a small part of the time that the host takes: it waits for the host for a flat picture alone.
    let has_both = matches!(limits.family, KernelFamily::Tiled(_));
    for (rule, inputs) in wanted.walks() {
        if inputs == Inputs::Picture {
            continue;
        }
        let count = inputs.count(&wanted.settings);
        let kind = BackwardKind::to_pixels(rule);
        let back = backward::passes(network, &kind, wanted, 1, limits).swap_remove(0);
        let budget = Budget {
            bytes: HELD,
            dtype: wanted.dtype,
        };
        let most = walks_at_once(network, back.classes, limits, budget);
        let images = count.clamp(1, most);
        let times = count.div_ceil(images);
        let ways = match on_path.filter(|_| inputs == Inputs::Path) {
            Some(last) if has_both => vec![Some(last), None],
            by_host => vec![by_host],
        };
        for by_host in ways {
            let is_alike = |request: &&mut ForwardRequest| {
                request.backs[0] == back && (!has_both || request.by_host == by_host)
            };
            match requests.iter_mut().find(is_alike) {
                Some(request) => {
                    request.images = request.images.max(images);
                    request.times = request.times.saturating_add(times);
                    request.by_host = request.by_host.or(by_host);
                }
                None => requests.push(ForwardRequest {
                    images,
                    backs: vec![back.clone()],
                    times,
                    by_host,
                    ..ForwardRequest::default()
                }),
            }
        }
    }
    requests
}
