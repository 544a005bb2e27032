//! Convolutions with what is folded into them, norms, windows, gates and dense layers.

use super::{Builder, Place, Result};
use crate::architectures::ArchitectureError;
use crate::architectures::families::step::{Conv, Gate, Pad, Pool, Smoothing};
use crate::network::{FilterLayout, MatrixLayout, Op, Shape, Window};
use crate::weights::Tensor;

/// Of group norms, which no tensor tells.
const GROUPS: usize = 32;

impl Builder<'_> {
    pub(super) fn conv(&mut self, conv: &Conv, place: Place<'_>) -> Result {
        let name = format!("{}{}", place.scope, conv.at);
        let own = format!("{name}{}", conv.own);
        let weight = self.file.weight(&own)?;
        self.filters = self.filters.saturating_add(weight.len());
        let weight = match *weight.shape() {
            [o, i] => shaped(weight, &[o, i, 1, 1]),
            _ => weight.clone(),
        };
        let (per_group, size) = match *weight.shape() {
            [_, inputs, h, w] if h > 0 && w > 0 => (inputs, [h, w]),
            _ => return Err(self.file.odd(&own)),
        };
        if conv.taps > 0 && size != [conv.taps; 2] {
            return Err(self.file.odd(&own));
        }
        let weight = self.over_all_channels(weight)?;
        let bias = self.file.optional(&format!("{own}.bias")).cloned();
        let norm = match conv.norm {
            "" => None,
            norm if norm.starts_with('.') => Some(format!("{name}{norm}")),
            norm => Some(format!("{}{norm}", place.scope)),
        };
        let (mut weight, mut bias, group_norm) = match norm {
            None => (weight, bias, None),
            Some(layer) => self.normed(&layer, weight, bias)?,
        };
        if !conv.scale.is_empty() {
            let scale = format!("{}{}", place.scope, conv.scale);
            (weight, bias) = self.scaled(&scale, weight, bias)?;
        }
        let smoothed =
            conv.smoothed && self.family.smoothing != Smoothing::None && place.stride > 1;
        let stride = match conv.strided {
            true if smoothed => 1,
            true => place.stride,
            false => conv.stride,
        };
        let inputs = self.shape().c;
        let op = Op::Conv2d {
            window: self.window(size, stride, conv.pad),
            groups: match weight.shape()[1] {
                all if all == inputs => 1,
                _ => inputs.checked_div(per_group).unwrap_or(1).max(1),
            },
            weight,
            bias,
            layout: FilterLayout::Oihw,
        };
        self.push(name.clone(), op)?;
        if let Some(groups) = group_norm {
            self.push(format!("{name}.norm"), groups)?;
        }
        self.activate(conv.act, place)?;
        match smoothed {
            true => self.smooth(&name, place.stride),
            false => Ok(()),
        }
    }

    /// Filters and biases with the norm of that name: a batch norm is folded into them, a group norm goes after them.
    fn normed(
        &mut self,
        layer: &str,
        weight: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Tensor>, Option<Op>)> {
        if let Some(groups) = self.group_norm(layer, weight.shape()[0])? {
            return Ok((weight, bias, Some(groups)));
        }
        let full = self.file.full(layer);
        let norm = self.file.norm(layer, &full, self.family.epsilon);
        let (weight, bias) = norm.fold(&weight, 0, bias.as_ref())?;
        Ok((weight, Some(bias), None))
    }

    /// A batch norm by itself.
    pub(super) fn batch_norm(&mut self, layer: String) -> Result {
        let full = self.file.full(&layer);
        let norm = self.file.norm(&layer, &full, self.family.epsilon);
        let (scale, shift) = norm.alone(self.shape().c)?;
        self.push(layer, Op::Affine { scale, shift })
    }

    pub(super) fn layer_norm(&mut self, layer: String, epsilon: f32) -> Result {
        let scale = self.file.weight(&layer)?.clone();
        // A norm without summands may be one that subtracts no mean.
        let shift = self.file.optional(&format!("{layer}.bias")).cloned();
        let op = Op::LayerNorm {
            shift: shift.ok_or_else(|| self.file.odd(&layer))?,
            scale,
            epsilon,
        };
        self.push(layer, op)
    }

    /// The group norm of that name, where its tensors are one's: those of a batch norm but for its statistics.
    fn group_norm(&mut self, layer: &str, channels: usize) -> Result<Option<Op>> {
        let is_one = self.family.group_norms
            && self.file.has(&format!("{layer}.weight"))
            && !self.file.has(&format!("{layer}.running_mean"));
        if !is_one {
            return Ok(None);
        }
        let scale = self.file.weight(layer)?.clone();
        let shift = self.file.optional(&format!("{layer}.bias")).cloned();
        if !channels.is_multiple_of(GROUPS) || scale.shape() != [channels] {
            return Err(self.file.odd(layer));
        }
        let note = format!(
            "norms have no running statistics: taken as group norms of {GROUPS} groups, as timm's networks called _gn have them; export \
             the network as ONNX, which holds it all, if it has others"
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        Ok(Some(Op::GroupNorm {
            groups: GROUPS,
            shift: shift.ok_or_else(|| self.file.odd(layer))?,
            scale,
            epsilon: self.family.epsilon as f32,
        }))
    }

    /// Filters and biases times the factors of that name, one an output, where the file has them.
    pub(super) fn scaled(
        &mut self,
        name: &str,
        weight: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let Some(factors) = self.file.optional(name) else {
            return Ok((weight, bias));
        };
        let fits = |tensor: &Tensor| tensor.len() == weight.shape()[0];
        if !fits(factors) || !bias.iter().all(fits) {
            let name = self.file.full(name);
            return Err(ArchitectureError::Unexpected { name });
        }
        let factors: Vec<f64> = factors.to_vec().into_iter().map(f64::from).collect();
        let bias = bias.map(|bias| bias.scaled(0, factors.clone()));
        Ok((weight.scaled(0, factors), bias))
    }

    /// TensorFlow's padding gives ceil(input / stride) outputs, and the odd zero goes to the lower right.
    pub(super) fn window(&self, size: [usize; 2], stride: usize, pad: Pad) -> Window {
        let Shape { h, w, .. } = self.shape();
        let mut window = Window {
            size,
            stride: [stride; 2],
            pad_before: [0; 2],
            pad_after: [0; 2],
            dilation: [1; 2],
        };
        for (axis, len) in [h, w].into_iter().enumerate() {
            let [before, after] = match pad {
                Pad::By(pad) => [pad; 2],
                Pad::Half if self.family.same => {
                    let steps = len.div_ceil(stride).saturating_sub(1);
                    let all = (steps * stride + size[axis]).saturating_sub(len);
                    [all / 2, all - all / 2]
                }
                Pad::Half => [size[axis] / 2; 2],
            };
            (window.pad_before[axis], window.pad_after[axis]) = (before, after);
        }
        window
    }

    pub(super) fn window_of(&self, pool: &Pool) -> Window {
        let Shape { h, w, .. } = self.shape();
        let mut window = Window::square(pool.size, pool.stride, pool.pad);
        for (axis, len) in [h, w].into_iter().enumerate() {
            let before = len + pool.pad;
            if pool.ceil && before + pool.pad >= pool.size {
                // The last window begins within the map or the padding before it.
                let steps = (before + pool.pad - pool.size).div_ceil(pool.stride);
                let steps = steps.min((before - 1) / pool.stride);
                let end = steps * pool.stride + pool.size;
                window.pad_after[axis] = end.saturating_sub(before).max(pool.pad);
            }
        }
        window
    }

    /// The largest value of all positions: of rows first, since a pool takes a window of some hundred places at most.
    pub(super) fn global_max(&mut self, name: String) -> Result {
        let Shape { h, w, .. } = self.shape();
        let of = |size| {
            Op::MaxPool(Window {
                size,
                ..Window::square(1, 1, 0)
            })
        };
        self.push(format!("{name}.rows"), of([h, 1]))?;
        self.push(name, of([1, w]))
    }

    pub(super) fn gate(&mut self, gate: &Gate, place: Place<'_>) -> Result {
        let name = format!("{}{}", place.scope, gate.at);
        if let Some(weight) = self.file.optional(&format!("{name}.conv.weight")) {
            return self.gate_along_channels(&name, weight);
        }
        let [reduce, expand] = [gate.reduce, gate.expand].map(|layer| format!("{name}{layer}"));
        if !self.file.has(&format!("{reduce}.weight")) {
            return Ok(());
        }
        let map = self.at;
        self.push(format!("{name}.mean"), Op::GlobalMean)?;
        for (layer, act) in [reduce, expand].into_iter().zip(self.family.gate) {
            self.dense(&layer)?;
            self.activate(act, place)?;
        }
        self.at = self.network.push(name, Op::Mul, vec![map, self.at])?;
        Ok(())
    }

    /// A dense layer that is not of the head.
    pub(super) fn dense(&mut self, layer: &str) -> Result {
        let weight = self.file.weight(layer)?;
        self.filters = self.filters.saturating_add(weight.len());
        self.linear(layer, weight)
    }

    pub(super) fn linear(&mut self, layer: &str, weight: &Tensor) -> Result {
        let op = Op::Linear {
            weight: match *weight.shape() {
                [o, i, 1, 1] => shaped(weight, &[o, i]),
                _ => weight.clone(),
            },
            bias: self.file.optional(&format!("{layer}.bias")).cloned(),
            layout: MatrixLayout::OutIn,
        };
        self.push(layer, op)
    }
}

/// The same elements under another shape.
fn shaped(tensor: &Tensor, shape: &[usize]) -> Tensor {
    let copy = || Tensor::from_f32(shape.to_vec(), &tensor.to_vec());
    tensor.reshaped(shape.to_vec()).unwrap_or_else(copy)
}
