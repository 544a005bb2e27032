//! A table's rows and a file's tensors to a network.

mod head;
mod layers;
mod response;
mod shuffle;
mod smooth;

use super::Family;
use super::file::File;
use super::step::{Act, Shortcut, Smoothing, Stage, Step};
use crate::architectures::ArchitectureError;
use crate::network::{FlattenOrder, Network, NodeId, Op, Shape, Window};

/// Epsilon of layer norms, where a row names no other.
const LAYER_NORM_EPSILON: f32 = 1e-6;

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
        let act = act.or(place.act).or(self.family.act);
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
        let reorders = matches!(
            step,
            Step::Conv(_) | Step::Stage(_) | Step::Part(..) | Step::Shuffle(..)
        );
        if !reorders {
            self.settle()?;
        }
        match step {
            Step::Conv(conv) => self.conv(conv, place),
            Step::Norm(at, act) => {
                self.batch_norm(full(at))?;
                self.activate(*act, place)
            }
            Step::LayerNorm(at) => self.layer_norm(full(at), LAYER_NORM_EPSILON),
            Step::LayerNormWith(at, epsilon) => self.layer_norm(full(at), *epsilon),
            Step::MaxPool(pool) if self.family.smoothing != Smoothing::None => {
                self.smooth_pool(&full(pool.at), pool)
            }
            Step::MaxPool(pool) => {
                let window = self.window_of(pool);
                self.push(full(pool.at), Op::MaxPool(window))
            }
            Step::MeanPool(pool) => {
                let window = self.window_of(pool);
                self.push(full(pool.at), mean_pool(window, true))
            }
            Step::MeanByStride(at) if place.stride > 1 => {
                let pool = super::step::pool(at, place.stride, place.stride).ceil();
                let window = self.window_of(&pool);
                self.push(full(at), mean_pool(window, false))
            }
            Step::MeanByStride(_) => Ok(()),
            Step::Bins(at, bins) => {
                let Shape { h, w, .. } = self.shape();
                match [h, w] == [*bins; 2] {
                    true => Ok(()),
                    false => self.push(full(at), Op::AdaptiveAvgPool([*bins; 2])),
                }
            }
            Step::Dense(at, act) => {
                self.dense(&full(at))?;
                self.activate(*act, place)
            }
            Step::Mean(at) => self.push(full(at), Op::GlobalMean),
            Step::Max(at) => self.global_max(full(at)),
            Step::Flatten(at) => self.push(full(at), Op::Flatten(FlattenOrder::Chw)),
            Step::Branches("", branches) => self.branches(place.called.to_owned(), branches, place),
            Step::Branches(at, branches) => self.branches(full(at), branches, place),
            Step::Sum {
                body,
                shortcut,
                act,
            } => self.sum(body, *shortcut, *act, place),
            Step::Grow(body) => self.grow(body, place),
            Step::Shuffle(first, second) => self.shuffle(first, second, place),
            Step::Gate(gate) => self.gate(gate, place),
            Step::Part("", steps) => self.run(steps, place),
            Step::Part(at, steps) => self.part(&full(at), steps, place),
            Step::Stage(stage) => self.stage(stage, place),
            Step::Stages {
                at,
                last,
                strides,
                block,
            } => self.stages(at, last, strides, block, place),
            Step::ResponseNorm(at) => self.response_norm(&full(at)),
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

    fn part(&mut self, name: &str, steps: &[Step], place: Place<'_>) -> Result {
        let scope = format!("{name}.");
        let inside = Place {
            scope: &scope,
            called: name,
            ..place
        };
        self.run(steps, inside)?;
        self.also_call(name);
        Ok(())
    }

    fn branches(&mut self, name: String, branches: &[&[Step]], place: Place<'_>) -> Result {
        let input = self.at;
        let mut parts = vec![];
        for branch in branches {
            self.at = input;
            self.run(branch, place)?;
            parts.push(self.at);
        }
        self.at = self.network.push(name, Op::Concat, parts)?;
        Ok(())
    }

    fn grow(&mut self, body: &[Step], place: Place<'_>) -> Result {
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
        if self.network.node(branch).shape != self.shape() {
            return Err(ArchitectureError::Shortcut {
                layer: self.file.full(place.called),
            });
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
        let whole = before.trim_end_matches(|c| c != '.').trim_end_matches('.');
        let lists = [".blocks", ".layers"];
        let whole = lists
            .iter()
            .find_map(|list| whole.strip_suffix(list))
            .unwrap_or(whole);
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

    /// Blocks that are numbered through all stages.
    fn stages(
        &mut self,
        at: &'static str,
        last: &str,
        strides: &[usize],
        block: &'static [Step],
        place: Place<'_>,
    ) -> Result {
        let (before, after) = at.split_once("{}").unwrap_or((at, ""));
        let name = |number: usize| format!("{before}{number}{after}");
        let mut strides = strides.iter();
        let mut channels = None;
        for number in 0.. {
            let name = name(number);
            if !self.file.has(&format!("{}{name}.", place.scope)) {
                break;
            }
            let layer = format!("{}{name}{last}", place.scope);
            let outputs = self.file.weight(&layer)?.shape().first().copied();
            let mut stride = 1;
            if outputs != channels {
                stride = *strides.next().ok_or_else(|| self.file.odd(&layer))?;
                self.blocks.push(0);
                channels = outputs;
            }
            if let Some(count) = self.blocks.last_mut() {
                *count += 1;
            }
            let stage = super::step::stage(at, 0, stride, block);
            self.block(&stage, &name, &name, stride, place)?;
        }
        match strides.next() {
            None => Ok(()),
            Some(_) => Err(self.file.odd(&name(0))),
        }
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
            Step::Forms(forms) => forms.iter().any(|form| self.has_all(form, scope)),
            _ => true,
        })
    }
}

fn mean_pool(window: Window, count_include_pad: bool) -> Op {
    Op::AvgPool {
        window,
        count_include_pad,
    }
}
