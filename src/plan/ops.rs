//! What each op becomes, forward and backward side by side; the files below know which kernels make a layer.

mod activate;
mod attention;
mod branches;
mod choice;
mod convolution;
mod depthwise;
mod elements;
mod end;
mod group_norm;
mod layer_norm;
mod linear;
mod lrn;
mod means;
mod pools;
mod repeats;
mod resample;
mod softmax;
mod tiled;
mod transpose;
mod winograd;
mod winograd_tiled;

use super::builder::Builder;
use super::schedule::Step;
use super::{BackwardRequest, BufferId, Packing};
use crate::kernels::{CombineKind, Epilogue, Kernel, LANES};
use crate::layout::{Direction, blocks, padded_len};
use crate::network::{NodeId, Op, ReluRule, Shape};
use crate::weights::Tensor;
use convolution::{BaseValue, Convolution};
use linear::Linear;

/// An op without weights in either direction: y is made from x.
struct Call<'a> {
    label: &'a str,
    direction: Direction,
    n: usize,
    x: BufferId,
    y: BufferId,
    /// Of the op's own input and output, whichever way it goes.
    in_shape: Shape,
    out_shape: Shape,
}

impl Call<'_> {
    /// The shape of y.
    fn made(&self) -> Shape {
        match self.direction {
            Direction::Forward => self.out_shape,
            Direction::Backward => self.in_shape,
        }
    }

    /// n, and elements of y for each, of four channels each.
    fn images(&self) -> [usize; 2] {
        [self.n, padded_len(1, self.made()) / 4]
    }

    /// Elements of y, of four channels each.
    fn count(&self) -> u32 {
        self.images().into_iter().product::<usize>() as u32
    }
}

impl<'a> Builder<'a> {
    /// Records the dispatches that compute a step's value from its inputs' values.
    pub(super) fn record_forward(&mut self, step: &Step) {
        let network = self.network;
        let id = step.node;
        let node = network.node(id);
        match &node.op {
            Op::Add => return self.combined(step, CombineKind::Add),
            Op::Mul => return self.combined(step, CombineKind::Mul),
            Op::Max => return self.combined(step, CombineKind::Max),
            Op::Concat => return self.concatenated(id),
            Op::AttentionScores { heads, scale } => {
                return self.attention_scores(step, *heads, *scale);
            }
            Op::AttentionSum { heads } => return self.attention_sum(step, *heads),
            _ => {}
        }
        let input = step.reads(network)[0];
        let x = self.value(input);
        let n = self.pass.images;
        match &node.op {
            Op::Conv2d { bias, .. } => {
                let mut call = self.forward_convolution(id, x).expect("it is one");
                (call.y, call.end) = self.layer_output(step, bias.as_ref());
                call.norm = step.norm.map(|norm| self.norm(norm));
                call.scale = step.scaled.map(|scaled| self.value(scaled.scale));
                call.pool = step.pool.map(|pool| self.pooled(pool));
                call.beside = self.beside_base(step);
                self.convolution(&call);
            }
            Op::Linear {
                weight,
                bias,
                layout,
            } => {
                let (y, end) = self.layer_output(step, bias.as_ref());
                self.linear(&Linear {
                    name: &node.name,
                    label: &node.name,
                    weight,
                    layout: *layout,
                    direction: Direction::Forward,
                    n,
                    x,
                    y,
                    end,
                });
            }
            _ => {
                let relu = step.activation.map(|_| Epilogue::BiasRelu);
                let call = Call {
                    label: &node.name,
                    direction: Direction::Forward,
                    n,
                    x,
                    y: self.output(step.made()),
                    in_shape: network.node(input).shape,
                    out_shape: node.shape,
                };
                let epilogue = relu.unwrap_or(Epilogue::None);
                self.record_call(id, &call, ReluRule::Plain, epilogue);
            }
        }
    }

    /// Records the dispatches that turn the gradient at node `id` into the gradient at its input number `at`. Where that is a
    /// ReLU or clip whose mask the kernel applies as it stores, the gradient reached is the one before it. `added` is what
    /// [`Builder::adds`] says. Returns the node reached and its gradient.
    pub(super) fn record_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        added: Option<BufferId>,
        request: &BackwardRequest,
    ) -> (NodeId, BufferId) {
        let network = self.network;
        let node = network.node(id);
        let input = node.inputs[at];
        let (in_shape, out_shape) = (network.node(input).shape, node.shape);
        let n = self.gradients(request);
        let label = format!("{} backward", node.name);
        let label = label.as_str();
        let call = |dx| Call {
            label,
            direction: Direction::Backward,
            n,
            x: dy,
            y: dx,
            in_shape,
            out_shape,
        };
        match &node.op {
            Op::Add => (input, self.sum_backward(id, at, dy, n)),
            Op::Mul => (input, self.product_backward(id, at, dy, n)),
            Op::Max => (input, self.larger_backward(id, at, dy, n)),
            Op::Concat => unreachable!("its gradient goes on as slices"),
            Op::AttentionScores { heads, scale } => (
                input,
                self.attention_scores_backward(id, at, dy, n, (*heads, *scale)),
            ),
            Op::AttentionSum { heads } => {
                (input, self.attention_sum_backward(id, at, dy, n, *heads))
            }
            Op::Conv2d { .. } => {
                let (reached, dx, end) = self.masked_gradient(input, input, added, request);
                let there = self.forward_convolution(id, dy).expect("it is one");
                self.convolution(&Convolution {
                    label,
                    n,
                    y: dx,
                    end,
                    in_tiles: false,
                    ..there.turned()
                });
                (reached, dx)
            }
            Op::Linear { weight, layout, .. } => {
                let (reached, dx, end) = self.masked_gradient(input, input, None, request);
                self.linear(&Linear {
                    name: &node.name,
                    label,
                    weight,
                    layout: *layout,
                    direction: Direction::Backward,
                    n,
                    x: dy,
                    y: dx,
                    end,
                });
                (reached, dx)
            }
            Op::MaxPool(window) if window.is_disjoint() => {
                // The activation that a gradient goes to is the maximum, the pool's own output.
                let (reached, dx, end) = self.masked_gradient(input, id, None, request);
                self.max_pool_backward_disjoint(id, &call(dx), window, end);
                (reached, dx)
            }
            _ => {
                let name = format!("d_{}", network.node(input).name);
                let call = call(self.buffers.tensor(&name, n, in_shape));
                self.record_call(id, &call, request.rule, Epilogue::None);
                (input, call.y)
            }
        }
    }

    /// Records an op that is one call in either direction. `rule` is read on the way back, `epilogue` by an affine step alone.
    fn record_call(&mut self, id: NodeId, call: &Call<'_>, rule: ReluRule, epilogue: Epilogue) {
        let network = self.network;
        match &network.node(id).op {
            Op::Input => unreachable!("the picture is given, and no gradient goes past it"),
            Op::Add
            | Op::Mul
            | Op::Max
            | Op::Concat
            | Op::AttentionScores { .. }
            | Op::AttentionSum { .. }
            | Op::Conv2d { .. }
            | Op::Linear { .. } => {
                unreachable!("recorded by the direction that it is for")
            }
            Op::Activate(activation) => self.activate(id, call, activation, rule),
            Op::Pad(pad) => self.pad(call, pad),
            Op::Resample(resample) => self.resample(id, call, resample),
            Op::Transpose => self.transpose(call),
            Op::Softmax(over) => self.softmax(id, call, *over),
            Op::Lrn(lrn) => self.lrn(id, call, lrn),
            Op::MaxPool(window) => self.max_pool(id, call, window),
            Op::AvgPool {
                window,
                count_include_pad,
            } => self.avg_pool(call, window, *count_include_pad),
            Op::Affine { scale, shift } => self.affine(id, call, [scale, shift], epilogue),
            Op::LayerNorm {
                scale,
                shift,
                epsilon,
            } => self.layer_norm(id, call, [scale, shift], *epsilon),
            Op::GroupNorm {
                groups,
                scale,
                shift,
                epsilon,
            } => self.group_norm(id, call, *groups, [scale, shift], *epsilon),
            Op::AdaptiveAvgPool(_) => self.adaptive_avg_pool(call),
            Op::GlobalMean => self.global_mean(call),
            Op::Flatten(order) => self.flatten(call, *order),
        }
    }

    /// The convolution of node `id` over `x`, but for where it goes; none where the node is something else.
    fn forward_convolution(&self, id: NodeId, x: BufferId) -> Option<Convolution<'a>> {
        let network = self.network;
        let node = network.node(id);
        let Op::Conv2d {
            weight,
            layout,
            window,
            groups,
            ..
        } = &node.op
        else {
            return None;
        };
        Some(Convolution {
            name: &node.name,
            label: &node.name,
            weight,
            layout: *layout,
            window,
            groups: *groups,
            traffic: self.traffic(id),
            direction: Direction::Forward,
            n: self.pass.images,
            x,
            in_shape: network.node(node.inputs[0]).shape,
            y: self.nothing,
            out_shape: node.shape,
            end: self.plain_end(),
            norm: None,
            scale: None,
            pool: None,
            in_tiles: self.pass.beside.is_some(),
            beside: None,
        })
    }

    /// Whether node `id` is a convolution that can compute listed tiles of so many images.
    pub(super) fn computes_tiles(&self, id: NodeId, images: usize) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        let call = call.map(|call| Convolution {
            n: images,
            in_tiles: true,
            ..call
        });
        call.is_some_and(|call| self.computes_listed_tiles(&call))
    }

    /// What a convolution's step needs to compute listed tiles, where a pass beside its base is recorded.
    fn beside_base(&self, step: &Step) -> Option<BaseValue> {
        let made = step.made();
        let base = *self.pass.beside.as_ref()?.values.get(&made)?;
        let conv = step.node;
        Some(BaseValue { conv, made, base })
    }

    /// The output of a node that ends as it is.
    fn output(&mut self, id: NodeId) -> BufferId {
        self.value_buffer(id, id)
    }

    /// A kernel whose invocations take `count` elements one by one.
    fn each<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        count: u32,
        params: &P,
        buffers: Vec<BufferId>,
    ) {
        let workgroups = self.workgroups(count);
        self.dispatch(kernel, label, params, buffers, workgroups, 0);
    }

    /// The same, `image` elements of each n in a layer of workgroups of their own.
    fn each_image<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        [n, image]: [usize; 2],
        params: &P,
        buffers: Vec<BufferId>,
    ) {
        let [columns, rows, _] = self.workgroups(image as u32);
        let workgroups = [columns, rows, n as u32];
        self.dispatch(kernel, label, params, buffers, workgroups, 0);
    }

    /// Values of a layer, on the device as a vector: one a channel, filled up to whole blocks.
    fn vector(&mut self, id: NodeId, what: &str, tensor: &Tensor) -> BufferId {
        let name = format!("{} {what}", self.network.node(id).name);
        let len = blocks(tensor.len()) * 4;
        self.buffers.weights(name, len, tensor, Packing::Vector)
    }

    /// As many workgroups as `count` invocations fill.
    fn workgroups(&self, count: u32) -> [u32; 3] {
        grid(count.div_ceil(LANES), self.limits.workgroups)
    }
}

/// `count` workgroups in as few rows as the adapter allows.
fn grid(count: u32, most: u32) -> [u32; 3] {
    let rows = count.div_ceil(most).max(1);
    [count.div_ceil(rows).max(1), rows, 1]
}

fn size(shape: Shape) -> [i32; 2] {
    [shape.h as i32, shape.w as i32]
}

fn signed(values: [usize; 2]) -> [i32; 2] {
    values.map(|v| v as i32)
}
