//! Graphs whose weights and values are quantised: pairs of `QuantizeLinear` and `DequantizeLinear` around what they compute.
//!
//! Weights are read as what they stand for. Values are not rounded, since a rounded value has no gradient; where their whole
//! numbers begin at zero, the pair cuts like a ReLU, which quantisers leave out for that.

use crate::weights::Tensor;
use crate::weights::onnx::Constant;

use super::activations::MAX_PLACES;
use super::attributes::axis;
use super::layers::Call;
use super::{GraphError, Import, View};

/// Scale and zero point a place along a dimension, or one of each.
struct Scales {
    scales: Vec<f32>,
    zeros: Vec<i64>,
}

impl Scales {
    fn of(call: &Call<'_>) -> Result<Self, GraphError> {
        let scales = call.tensor(1, "scale")?;
        if call.node.int("block_size").unwrap_or(0) != 0 || scales.shape().len() > 1 {
            return Err(call.unsupported("in blocks"));
        }
        if scales.len() > MAX_PLACES {
            return Err(call.unusable("scale and zero point"));
        }
        let zeros = match (call.input(2), call.constant(2)) {
            (None, _) => vec![0; scales.len()],
            (_, Some(Constant::Ints(ints))) => ints.values.clone(),
            _ => return Err(call.unsupported("with a zero point that is not known")),
        };
        let scales = scales.to_vec();
        let usable = scales.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        if zeros.len() != scales.len() || !usable || scales.is_empty() {
            return Err(call.unusable("scale and zero point"));
        }
        Ok(Self { scales, zeros })
    }

    fn one(&self) -> Option<(f32, i64)> {
        match (&self.scales[..], &self.zeros[..]) {
            (&[scale], &[zero]) => Some((scale, zero)),
            _ => None,
        }
    }
}

/// Weights as the whole numbers that they are rounded to.
pub(super) fn quantized(call: &Call<'_>, x: &Tensor) -> Result<Tensor, GraphError> {
    let Scales { scales, zeros } = Scales::of(call)?;
    let (smallest, largest) = range(call).ok_or_else(|| call.unsupported("to this type"))?;
    let rank = x.shape().len();
    let along = axis(call.node.int("axis").unwrap_or(1), rank);
    let inner: usize = match along {
        _ if scales.len() == 1 => x.len().max(1),
        Some(along) if x.shape()[along] == scales.len() => x.shape()[along + 1..].iter().product(),
        _ => return Err(call.unusable("scale and zero point")),
    };
    let values = x.to_vec().into_iter().enumerate().map(|(i, value)| {
        let place = i / inner % scales.len();
        let whole = (value / scales[place]).round_ties_even() + zeros[place] as f32;
        whole.clamp(smallest as f32, largest as f32)
    });
    let values: Vec<f32> = values.collect();
    Ok(Tensor::from_f32(x.shape().to_vec(), &values))
}

/// What quantised weights stand for; they stay in their file.
pub(super) fn dequantized(call: &Call<'_>) -> Result<Tensor, GraphError> {
    let tensor = match call.constant(0) {
        Some(Constant::Quantized(tensor) | Constant::Floats(tensor)) => tensor.clone(),
        Some(Constant::Ints(ints)) => {
            let values: Vec<f32> = ints.values.iter().map(|&value| value as f32).collect();
            Tensor::from_f32(ints.shape.clone(), &values)
        }
        _ => return Err(call.unsupported("of constants of this type")),
    };
    let Scales { scales, zeros } = Scales::of(call)?;
    let factors: Vec<f64> = scales.into_iter().map(f64::from).collect();
    let zeros: Vec<f64> = zeros.into_iter().map(|zero| zero as f64).collect();
    if tensor.shape().is_empty() && factors.len() == 1 {
        let value = (f64::from(tensor.to_vec()[0]) - zeros[0]) * factors[0];
        return Ok(Tensor::from_f32(vec![], &[value as f32]));
    }
    let rank = tensor.shape().len();
    let along = axis(call.node.int("axis").unwrap_or(1), rank);
    let along = match (along, factors.len()) {
        (Some(along), count) if tensor.shape()[along] == count => along,
        (_, 1) if rank > 0 => {
            let places = tensor.shape()[0];
            return Ok(tensor.dequantized(0, vec![factors[0]; places], vec![zeros[0]; places]));
        }
        _ => return Err(call.unusable("scale and zero point")),
    };
    Ok(tensor.dequantized(along, factors, zeros))
}

/// The smallest and largest whole number that a layer is quantised to.
fn range(call: &Call<'_>) -> Option<(i64, i64)> {
    let dtype = match call.constant(2) {
        Some(Constant::Ints(ints)) => ints.dtype,
        _ => match call.node.int("output_dtype").unwrap_or(0) {
            0 | 2 => "uint8",
            3 => "int8",
            4 => "uint16",
            5 => "int16",
            _ => return None,
        },
    };
    Some(match dtype {
        "uint8" => (0, 255),
        "int8" => (-128, 127),
        "uint16" => (0, 65_535),
        "int16" => (-32_768, 32_767),
        _ => return None,
    })
}

impl Import<'_> {
    /// A layer as whole numbers, from here on only by name.
    pub(super) fn quantized(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layer = call.layer()?.clone();
        let scales = Scales::of(call)?;
        self.rounded += 1;
        let (smallest, largest) = range(call).ok_or_else(|| call.unsupported("to this type"))?;
        if let Some((scale, zero)) = scales.one().filter(|&(_, zero)| zero == smallest) {
            layer = self.settled(call.node, layer)?;
            let most = scale * (largest - zero) as f32;
            layer = self.clipped(call, &layer, 0.0, most)?;
        }
        layer.quantized = true;
        Ok(layer)
    }

    /// What a quantised layer stands for, which is what the network computes with.
    pub(super) fn unquantized(call: &Call<'_>) -> Result<Option<View>, GraphError> {
        let layer = call.layer()?;
        Ok(layer.quantized.then(|| View {
            quantized: false,
            ..layer.clone()
        }))
    }

    /// What whole numbers stand for that the graph is given.
    pub(super) fn of_quantized_input(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        let (scale, zero) = Scales::of(call)?
            .one()
            .ok_or_else(|| call.unsupported("of a layer, by channel"))?;
        let channels = self.shape_of(&layer).c;
        let shift = -scale * zero as f32;
        self.affine(call, &layer, &vec![scale; channels], &vec![shift; channels])
    }
}
