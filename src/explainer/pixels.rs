//! The pixel methods: gradients at the picture, and at others like it.

use super::backward::Way;
use super::maps::TargetGradients;
use super::rerun::Counter;
use super::{ExplainError, Explainer, Prediction, Wanted};
use crate::attribution::{self, Inputs, Moments, Value};
use crate::cam::{self, Reads};
use crate::map::Map;
use crate::plan::ReluRule;

impl Explainer {
    /// The gradients that pixel methods share: rules and inputs, each pair once.
    pub(super) fn walks(&self) -> Vec<(ReluRule, Inputs)> {
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
    pub(super) fn pixels(
        &self,
        prediction: &Prediction,
        classes: &[usize],
        counter: &Counter<'_>,
    ) -> Result<Vec<Vec<Vec<f64>>>, ExplainError> {
        let heats = self.heats(prediction, classes)?;
        let mut walks = self.walks();
        // The picture itself comes first, while its own forward pass is still there.
        walks.sort_by_key(|&(_, inputs)| inputs != Inputs::Picture);
        let mut walked = vec![];
        for &(rule, inputs) in &walks {
            walked.push(self.walk(rule, inputs, prediction, classes, counter)?);
        }
        if walks.iter().any(|&(_, inputs)| inputs != Inputs::Picture) {
            // Leaves the device as it was.
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
        counter: &Counter<'_>,
    ) -> Result<Vec<Moments>, ExplainError> {
        let shape = self.network.input_shape();
        let settings = &self.wanted.settings;
        let mut moments = vec![Moments::new(shape.len()); classes.len()];
        for index in 0..inputs.count(settings) {
            let gradients = if inputs == Inputs::Picture {
                let seeds = self.seeds(Reads::Gradients, prediction, classes);
                self.gradients(&Way::to_pixels(rule), &seeds)?
            } else {
                let input = inputs.at(settings, &prediction.input, shape, index);
                let there = self.run(&input)?;
                let seeds = self.seeds(Reads::Gradients, &there, classes);
                let gradients = self.gradients(&Way::to_pixels(rule), &seeds)?;
                counter.advance_one();
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
        let input = self.network.input_shape();
        let activations = self.kept()?;
        let seeds = self.seeds(Reads::Gradients, prediction, classes);
        let heat = |gradients: &TargetGradients| {
            let map = self.map(cam::Method::GradCam, &activations, Some(gradients), |_| &[]);
            map.scaled().resize(input.w, input.h).heat()
        };
        Ok(self.at_targets(&seeds)?.iter().map(heat).collect())
    }
}

/// Whether a pixel method asks for the Grad-CAM map.
pub(super) fn needs_heat(wanted: &Wanted) -> bool {
    let values = wanted.pixels.iter().map(|method| method.recipe().value);
    values.into_iter().any(|value| value == Value::TimesHeat)
}
