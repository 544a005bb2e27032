//! Batch normalisation as it is after training: y = gamma (x - mean) / sqrt(var + eps) + beta, which is one factor and
//! one summand a channel and goes into the layer before it.

use super::{ArchitectureError, BatchNormProblem};
use crate::weights::Tensor;

/// `PyTorch`'s default; no state dict says it.
pub(super) const TORCH_EPSILON: f64 = 1e-5;

/// The tensors of a batch norm, one value a channel each.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNorm<'a> {
    /// Its name in the file.
    pub(super) name: &'a str,
    /// Factor; 1 where there is none.
    pub(super) gamma: Option<&'a Tensor>,
    /// Summand; 0 where there is none.
    pub(super) beta: Option<&'a Tensor>,
    /// Of the training data.
    pub(super) mean: Option<&'a Tensor>,
    /// The same.
    pub(super) variance: Option<&'a Tensor>,
    /// Added to the variance.
    pub(super) epsilon: f64,
}

impl BatchNorm<'_> {
    /// Weights and bias of the layer before it with the norm in them; `axis` is that of the weights' outputs. In
    /// float64, rounded once.
    pub(super) fn fold(
        &self,
        weight: &Tensor,
        axis: usize,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), ArchitectureError> {
        let (factors, summands) = self.numbers(weight.shape()[axis], bias)?;
        Ok((weight.scaled(axis, factors), summands))
    }

    /// Factors and summands of so many channels, for a norm that follows no layer.
    pub(super) fn alone(&self, channels: usize) -> Result<(Tensor, Tensor), ArchitectureError> {
        let (factors, summands) = self.numbers(channels, None)?;
        let factors: Vec<f32> = factors.into_iter().map(|factor| factor as f32).collect();
        Ok((Tensor::from_f32(vec![channels], &factors), summands))
    }

    /// Factors, and summands behind a layer's `bias`.
    fn numbers(
        &self,
        channels: usize,
        bias: Option<&Tensor>,
    ) -> Result<(Vec<f64>, Tensor), ArchitectureError> {
        let needed = |tensor: Option<&Tensor>, what| {
            let missing = || self.error(BatchNormProblem::Missing(what));
            self.values(tensor.ok_or_else(missing)?, what, channels)
        };
        let given = |tensor: Option<&Tensor>, what, otherwise| match tensor {
            Some(tensor) => self.values(tensor, what, channels),
            None => Ok(vec![otherwise; channels]),
        };
        let mean = needed(self.mean, "mean")?;
        let variance = needed(self.variance, "variance")?;
        let gamma = given(self.gamma, "factor", 1.0)?;
        let beta = given(self.beta, "summand", 0.0)?;
        let bias = given(bias, "layer's bias", 0.0)?;

        let factors: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(gamma, variance)| gamma / (variance + self.epsilon).sqrt())
            .collect();
        let summands: Vec<f32> = (0..channels)
            .map(|c| (beta[c] + (bias[c] - mean[c]) * factors[c]) as f32)
            .collect();
        let usable = |c: &usize| factors[*c].is_finite() && summands[*c].is_finite();
        if let Some(channel) = (0..channels).find(|c| !usable(c)) {
            return Err(self.error(BatchNormProblem::NotFinite(channel)));
        }
        Ok((factors, Tensor::from_f32(vec![channels], &summands)))
    }

    fn values(
        &self,
        tensor: &Tensor,
        what: &'static str,
        expected: usize,
    ) -> Result<Vec<f64>, ArchitectureError> {
        if tensor.shape() != [expected] {
            return Err(self.error(BatchNormProblem::Shape {
                what,
                found: tensor.shape().to_vec(),
                expected,
            }));
        }
        Ok(tensor.to_vec().into_iter().map(f64::from).collect())
    }

    fn error(&self, problem: BatchNormProblem) -> ArchitectureError {
        ArchitectureError::BatchNorm {
            layer: self.name.into(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_layer_gives_what_layer_and_norm_give_one_after_the_other() {
        let tensor = |shape: &[usize], values: &[f32]| Tensor::from_f32(shape.to_vec(), values);
        let weight = tensor(&[2, 3], &[1.0, -2.0, 0.5, 3.0, 0.25, -1.0]);
        let bias = tensor(&[2], &[0.5, -0.5]);
        let [gamma, beta] = [[1.5, -0.75], [0.125, 2.0]].map(|v| tensor(&[2], &v));
        let [mean, variance] = [[0.3, -0.2], [0.04, 9.0]].map(|v| tensor(&[2], &v));
        let norm = BatchNorm {
            name: "bn",
            gamma: Some(&gamma),
            beta: Some(&beta),
            mean: Some(&mean),
            variance: Some(&variance),
            epsilon: TORCH_EPSILON,
        };
        let (folded, summand) = norm.fold(&weight, 0, Some(&bias)).unwrap();
        let [folded, summand] = [folded.to_vec(), summand.to_vec()];
        let x = [0.7f64, -1.1, 2.3];
        for o in 0..2 {
            let layer = |w: &[f32], b: f32| -> f64 {
                let products = w[o * 3..o * 3 + 3].iter().zip(x);
                products.map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(b)
            };
            let before = layer(&weight.to_vec(), bias.to_vec()[o]);
            let at = |tensor: &Tensor| f64::from(tensor.to_vec()[o]);
            let deviation = (at(&variance) + TORCH_EPSILON).sqrt();
            let expected = at(&gamma) * (before - at(&mean)) / deviation + at(&beta);
            let found = layer(&folded, summand[o]);
            assert!(
                (found - expected).abs() < 1e-6 * expected.abs(),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn numbers_that_cannot_be_used_are_named() {
        let ones = Tensor::from_f32(vec![2], &[1.0, 1.0]);
        let weight = Tensor::from_f32(vec![2, 1], &[1.0, 1.0]);
        let norm = BatchNorm {
            name: "features.1",
            gamma: None,
            beta: None,
            mean: Some(&ones),
            variance: Some(&ones),
            epsilon: TORCH_EPSILON,
        };
        let refused = |norm: BatchNorm<'_>| norm.fold(&weight, 0, None).unwrap_err().to_string();
        let missing = BatchNorm { mean: None, ..norm };
        assert_eq!(
            refused(missing),
            "batch norm features.1: its mean is missing"
        );
        let negative = Tensor::from_f32(vec![2], &[1.0, -1.0]);
        let negative = BatchNorm {
            variance: Some(&negative),
            ..norm
        };
        assert!(refused(negative).contains("channel 1 has no finite factor"));
        let short = Tensor::from_f32(vec![1], &[1.0]);
        let short = BatchNorm {
            gamma: Some(&short),
            ..norm
        };
        assert!(refused(short).ends_with("its factor has shape [1], expected [2]"));
    }
}
