//! A table's rows and a file's tensors to a network.

use super::Family;
use super::file::File;
use super::step::{Act, Conv, Gate, Pad, Pool, Shortcut, Stage, Step};
use crate::architectures::{ADVICE, ArchitectureError, torch};
use crate::network::{
    FilterLayout, FlattenOrder, MatrixLayout, Network, NodeId, Op, Shape, Window,
};
use crate::weights::Tensor;

/// Epsilon of the layer norms of every family that has them.
const LAYER_NORM_EPSILON: f32 = 1e-6;

/// Weights at most of a convolution that is made to pick channels: the widest published `ShuffleNetV2` has a tenth of it.
const MAX_SPREAD: usize = 1 << 24;

/// Where a row stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// Before the names of its tensors.
    scope: &'p str,
    /// What the value of the block is called, where several meet.
    called: &'p str,
    /// Of the block.
    stride: usize,
    /// Of the block.
    act: Act,
}

pub(super) struct Builder<'a> {
    pub(super) file: File<'a>,
    pub(super) network: Network,
    /// Elements of all filters but those of the head.
    pub(super) filters: usize,
    /// Blocks of each stage that may have several.
    pub(super) blocks: Vec<usize>,
    pub(super) notes: Vec<String>,
    family: &'a Family,
    /// The value that the next row reads.
    at: NodeId,
    /// Which of its channels are those of the value that is meant, where they lie in another order.
    order: Option<Vec<usize>>,
}

type Result<T = ()> = std::result::Result<T, ArchitectureError>;

impl<'a> Builder<'a> {
    pub(super) fn new(file: File<'a>, family: &'a Family, input: Shape) -> Self {
        Self {
            file,
            network: Network::new(family.name, input),
            filters: 0,
            blocks: vec![],
            notes: vec![],
            family,
            at: NodeId(0),
            order: None,
        }
    }

    pub(super) fn whole(&mut self) -> Result {
        let place = Place {
            scope: "",
            called: "",
            stride: 1,
            act: Act::Own,
        };
        let family = self.family;
        self.conv(&family.stem, place)?;
        self.run(family.steps, place)
    }

    fn run(&mut self, steps: &[Step], place: Place<'_>) -> Result {
        steps.iter().try_for_each(|step| self.step(step, place))
    }

    fn shape(&self) -> Shape {
        self.network.node(self.at).shape
    }

    fn push(&mut self, name: impl Into<String>, op: Op) -> Result {
        self.at = self.network.push(name, op, vec![self.at])?;
        Ok(())
    }

    fn activate(&mut self, act: Act, place: Place<'_>) -> Result {
        let own = match place.act {
            Act::Own => self.family.act,
            act => act,
        };
        let act = if act == Act::Own { own } else { act };
        match act.function() {
            Some(function) => {
                let name = format!("{}.act", self.network.node(self.at).name);
                self.push(name, Op::Activate(function))
            }
            None => Ok(()),
        }
    }

    fn step(&mut self, step: &Step, place: Place<'_>) -> Result {
        let full = |at: &str| format!("{}{at}", place.scope);
        let shuffles = matches!(
            step,
            Step::Conv(_) | Step::Stage(_) | Step::Part(..) | Step::Shuffle(..)
        );
        if !shuffles {
            self.settle()?;
        }
        match step {
            Step::Conv(conv) => self.conv(conv, place),
            Step::Norm(at, act) => {
                let (layer, channels) = (full(at), self.shape().c);
                let name = self.file.full(&layer);
                let norm = self.file.norm(&layer, &name, self.family.epsilon);
                let (scale, shift) = norm.alone(channels)?;
                self.push(layer, Op::Affine { scale, shift })?;
                self.activate(*act, place)
            }
            Step::LayerNorm(at) => {
                let layer = full(at);
                let scale = self.file.weight(&layer)?.clone();
                let shift = self.file.optional(&format!("{layer}.bias")).cloned();
                let op = Op::LayerNorm {
                    shift: shift.unwrap_or_else(|| Tensor::repeated(scale.shape().to_vec(), 0.0)),
                    scale,
                    epsilon: LAYER_NORM_EPSILON,
                };
                self.push(layer, op)
            }
            Step::MaxPool(pool) => {
                let window = self.window_of(pool);
                self.push(full(pool.at), Op::MaxPool(window))
            }
            Step::MeanPool(pool) => {
                let op = Op::AvgPool {
                    window: self.window_of(pool),
                    count_include_pad: true,
                };
                self.push(full(pool.at), op)
            }
            Step::MeanByStride(at) if place.stride > 1 => {
                let pool = super::step::pool(at, place.stride, place.stride).ceil();
                let op = Op::AvgPool {
                    window: self.window_of(&pool),
                    count_include_pad: false,
                };
                self.push(full(at), op)
            }
            Step::MeanByStride(_) => Ok(()),
            Step::Bins(at, bins) => {
                let Shape { h, w, .. } = self.shape();
                match [h, w] == [*bins; 2] {
                    true => Ok(()),
                    false => self.push(full(at), Op::AdaptiveAvgPool([*bins; 2])),
                }
            }
            Step::Mean(at) => self.push(full(at), Op::GlobalMean),
            Step::Flatten(at) => self.push(full(at), Op::Flatten(FlattenOrder::Chw)),
            Step::Branches(at, branches) => {
                let input = self.at;
                let mut parts = vec![];
                for branch in *branches {
                    self.at = input;
                    self.run(branch, place)?;
                    parts.push(self.at);
                }
                let name = match *at {
                    "" => place.called.to_owned(),
                    at => full(at),
                };
                self.at = self.network.push(name, Op::Concat, parts)?;
                Ok(())
            }
            Step::Sum {
                body,
                shortcut,
                act,
            } => self.sum(body, *shortcut, *act, place),
            Step::Grow(body) => {
                let input = self.at;
                self.run(body, place)?;
                // The layer itself gives what is new.
                let layer = place.scope.trim_end_matches('.');
                self.also_call(layer);
                let name = match place.called == layer {
                    true => format!("{layer}.joined"),
                    false => place.called.to_owned(),
                };
                let parts = vec![input, self.at];
                self.at = self.network.push(name, Op::Concat, parts)?;
                Ok(())
            }
            Step::Shuffle(first, second) => self.shuffle(first, second, place),
            Step::Gate(gate) => self.gate(gate, place),
            Step::Part(at, steps) => {
                let name = full(at);
                let scope = format!("{name}.");
                let part = Place {
                    scope: &scope,
                    called: &name,
                    ..place
                };
                self.run(steps, part)?;
                self.also_call(&name);
                Ok(())
            }
            Step::Stage(stage) => self.stage(stage, place),
            Step::Forms(forms) => {
                let form = forms.iter().find(|form| self.has_all(form, place.scope));
                // Of none what is missing is told by the first.
                self.run(form.unwrap_or(&forms[0]), place)
            }
            Step::Head(at, layers) => self.head(&full(at), layers, place),
            Step::Scores(conv) => {
                let filters = self.filters;
                self.conv(conv, place)?;
                self.filters = filters;
                self.push("mean", Op::GlobalMean)
            }
        }
    }

    /// Lets the last value be asked for by a block's name.
    fn also_call(&mut self, name: &str) {
        let layer = self.network.layer_name(self.at).to_owned();
        self.network.also_call(name, layer);
    }

    fn conv(&mut self, conv: &Conv, place: Place<'_>) -> Result {
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
        let bias = self.file.optional(&format!("{own}.bias"));
        let (mut weight, mut bias) = match conv.norm {
            "" => (weight, bias.cloned()),
            norm => {
                let layer = match norm.starts_with('.') {
                    true => format!("{name}{norm}"),
                    false => format!("{}{norm}", place.scope),
                };
                let full = self.file.full(&layer);
                let norm = self.file.norm(&layer, &full, self.family.epsilon);
                let (weight, bias) = norm.fold(&weight, 0, bias)?;
                (weight, Some(bias))
            }
        };
        if !conv.scale.is_empty() {
            (weight, bias) =
                self.scaled(&format!("{}{}", place.scope, conv.scale), weight, bias)?;
        }
        let stride = match conv.strided {
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
        self.push(name, op)?;
        self.activate(conv.act, place)
    }

    /// Filters and biases times the factors of that name, one an output, where the file has them.
    fn scaled(
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
    fn window(&self, size: [usize; 2], stride: usize, pad: Pad) -> Window {
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

    fn window_of(&self, pool: &Pool) -> Window {
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

    fn gate(&mut self, gate: &Gate, place: Place<'_>) -> Result {
        let name = format!("{}{}", place.scope, gate.at);
        let [reduce, expand] = [gate.reduce, gate.expand].map(|layer| format!("{name}{layer}"));
        if !self.file.has(&format!("{reduce}.weight")) {
            return Ok(());
        }
        let map = self.at;
        self.push(format!("{name}.mean"), Op::GlobalMean)?;
        for (layer, act) in [reduce, expand].into_iter().zip(self.family.gate) {
            let weight = self.file.weight(&layer)?;
            self.filters = self.filters.saturating_add(weight.len());
            self.linear(&layer, weight)?;
            self.activate(act, place)?;
        }
        self.at = self.network.push(name, Op::Mul, vec![map, self.at])?;
        Ok(())
    }

    fn linear(&mut self, layer: &str, weight: &Tensor) -> Result {
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

    fn sum(&mut self, body: &[Step], shortcut: Shortcut, act: Act, place: Place<'_>) -> Result {
        let input = self.at;
        self.run(body, place)?;
        let branch = self.at;
        match shortcut {
            Shortcut::Projected(steps) => {
                self.at = input;
                if self.has_all(steps, place.scope) {
                    self.run(steps, place)?;
                }
            }
            Shortcut::WhereItFits => {
                let fits = self.network.node(input).shape == self.shape();
                if place.stride > 1 || !fits {
                    return self.activate(act, place);
                }
                self.at = input;
            }
        }
        let inputs = vec![branch, self.at];
        self.at = self.network.push(place.called, Op::Add, inputs)?;
        self.activate(act, place)
    }

    fn stage(&mut self, stage: &Stage, place: Place<'_>) -> Result {
        let Some((before, after)) = stage.at.split_once("{}") else {
            return self.block(stage, stage.at, stage.at, stage.stride, place);
        };
        // What people call a stage is what its last block gives.
        let whole = stage
            .at
            .rsplit_once('.')
            .map_or(stage.at, |(stage, _)| stage);
        let name = |number: usize| format!("{before}{number}{after}");
        let mut number = stage.from;
        loop {
            let there = format!("{}{}.", place.scope, name(number + 1));
            let last = !self.file.has(&there);
            let stride = if number == stage.from {
                stage.stride
            } else {
                1
            };
            let called = if last { whole } else { &name(number) };
            self.block(stage, &name(number), called, stride, place)?;
            number += 1;
            if last {
                break;
            }
        }
        self.blocks.push(number - stage.from);
        Ok(())
    }

    fn block(
        &mut self,
        stage: &Stage,
        name: &str,
        called: &str,
        stride: usize,
        place: Place<'_>,
    ) -> Result {
        let [name, called] = [name, called].map(|name| format!("{}{name}", place.scope));
        let scope = format!("{name}.");
        let inside = Place {
            scope: &scope,
            called: &called,
            stride,
            act: stage.act,
        };
        self.run(stage.block, inside)?;
        self.also_call(&name);
        self.also_call(&called);
        Ok(())
    }

    /// Whether the file has every convolution of `steps`.
    fn has_all(&self, steps: &[Step], scope: &str) -> bool {
        steps.iter().all(|step| match step {
            Step::Conv(conv) => {
                let name = format!("{scope}{}{}.weight", conv.at, conv.own);
                self.file.has(&name)
            }
            Step::Gate(gate) => {
                let name = format!("{scope}{}{}.weight", gate.at, gate.reduce);
                self.file.has(&name)
            }
            Step::Forms(forms) => forms.iter().any(|form| self.has_all(form, scope)),
            _ => true,
        })
    }

    fn head(&mut self, at: &str, layers: &[(&str, Act)], place: Place<'_>) -> Result {
        let below = format!("{at}.");
        let there = |file: &File<'_>, layer: &str| file.has(&format!("{layer}.weight"));
        let known = layers
            .iter()
            .take_while(|(layer, _)| there(&self.file, layer));
        let known = known.count();
        let (weights, prefix) = (self.file.weights, self.file.prefix);
        let listed = |name: &str| {
            let mut layers = layers.iter();
            layers.any(|(layer, _)| name.starts_with(&format!("{prefix}{layer}.")))
        };
        let file = &self.file;
        let more = file
            .below(&below)
            .any(|name| !file.is_read(name) && !listed(name));
        // What stands in the place of the last layer comes after those before it.
        let known = if more && known == layers.len() {
            0
        } else {
            known
        };
        for (layer, act) in &layers[..known] {
            let weight = self.file.weight(layer)?;
            if weight.shape().len() != 2 {
                return Err(self.file.odd(layer));
            }
            self.linear(layer, weight)?;
            self.activate(*act, place)?;
        }
        if known == layers.len() {
            return Ok(());
        }
        let (missing, _) = layers[known];
        let others = |name: &str| name.starts_with(&format!("{prefix}{below}"));
        let unread = |name: &str| others(name) && !self.file.is_read(&format!("{name}.weight"));
        let (dense, notes) = torch::dense_layers(weights, &unread, self.shape().c)?;
        if dense.is_empty() {
            return self.file.weight(missing).map(|_| ());
        }
        self.file.take(&below);
        self.notes.extend(notes);
        for (i, layer) in dense.iter().enumerate() {
            let name = layer.layer.name.strip_prefix(prefix);
            let name = name.unwrap_or(&layer.layer.name).to_owned();
            let op = Op::Linear {
                weight: layer.layer.weight.clone(),
                bias: layer.layer.bias.clone(),
                layout: MatrixLayout::OutIn,
            };
            self.push(&name, op)?;
            if let (true, Some(next)) = (layer.relu, dense.get(i + 1)) {
                self.activate(Act::Relu, place)?;
                self.notes.push(format!(
                    "names do not tell what lies between {name} and {}: taken as a ReLU{ADVICE}",
                    next.layer.name
                ));
            }
        }
        Ok(())
    }

    fn shuffle(&mut self, first: &[Step], second: &[Step], place: Place<'_>) -> Result {
        let channels = match &self.order {
            Some(order) => order.clone(),
            None => (0..self.shape().c).collect(),
        };
        let mut parts = vec![];
        if self.has_all(first, place.scope) {
            self.settle()?;
            let input = self.at;
            for branch in [first, second] {
                self.at = input;
                self.run(branch, place)?;
                parts.push(self.at);
            }
        } else {
            let (kept, worked) = channels.split_at(channels.len() / 2);
            let input = self.at;
            self.order = Some(kept.to_vec());
            self.pick(&format!("{}kept", place.scope))?;
            parts.push(self.at);
            self.at = input;
            self.order = Some(worked.to_vec());
            self.run(second, place)?;
            parts.push(self.at);
        }
        let each = parts.iter().map(|&part| self.network.node(part).shape.c);
        let each: Vec<usize> = each.collect();
        self.at = self.network.push(place.called, Op::Concat, parts)?;
        // One of the first half, one of the second, and so on.
        let turns = (0..each[0]).flat_map(|c| [c, each[0] + c]);
        self.order = Some(turns.filter(|&c| c < each[0] + each[1]).collect());
        Ok(())
    }

    /// The filters of a convolution that reads the channels in `order`, as one over all channels as they lie.
    fn over_all_channels(&mut self, weight: Tensor) -> Result<Tensor> {
        let &[outputs, inputs, h, w] = weight.shape() else {
            return Ok(weight);
        };
        let all = self.shape().c;
        match &self.order {
            Some(order) if order.len() == inputs => {
                let (values, taps) = (weight.to_vec(), h * w);
                let count = outputs.saturating_mul(all).saturating_mul(taps);
                if count > MAX_SPREAD {
                    return Err(self.file.odd(&self.network.node(self.at).name));
                }
                let mut spread = vec![0.0; count];
                for (o, filter) in values.chunks(inputs * taps).enumerate() {
                    for (&c, from) in order.iter().zip(filter.chunks(taps)) {
                        let start = (o * all + c) * taps;
                        spread[start..start + taps].copy_from_slice(from);
                    }
                }
                self.order = None;
                Ok(Tensor::from_f32(vec![outputs, all, h, w], &spread))
            }
            _ => {
                self.settle()?;
                Ok(weight)
            }
        }
    }

    /// Brings channels into the order that is meant.
    fn settle(&mut self) -> Result {
        match &self.order {
            Some(order) if order.iter().copied().eq(0..self.shape().c) => {
                self.order = None;
                Ok(())
            }
            Some(_) => self.pick(&format!("{}.shuffled", self.network.node(self.at).name)),
            None => Ok(()),
        }
    }

    /// The channels in `order` and no others, by a convolution of zeros and ones.
    fn pick(&mut self, name: &str) -> Result {
        let Some(order) = self.order.take() else {
            return Ok(());
        };
        let all = self.shape().c;
        let count = order.len().saturating_mul(all);
        if count > MAX_SPREAD {
            return Err(self.file.odd(name));
        }
        let mut weight = vec![0.0; count];
        for (o, &c) in order.iter().enumerate() {
            weight[o * all + c] = 1.0;
        }
        let op = Op::Conv2d {
            weight: Tensor::from_f32(vec![order.len(), all, 1, 1], &weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        self.push(name, op)
    }
}

/// The same elements under another shape.
fn shaped(tensor: &Tensor, shape: &[usize]) -> Tensor {
    let copy = || Tensor::from_f32(shape.to_vec(), &tensor.to_vec());
    tensor.reshaped(shape.to_vec()).unwrap_or_else(copy)
}
