//! Attention between positions: scores of queries and keys, and values weighed by shares, there and back. Three kernels are all of
//! it, since a gradient of either is the other or that one transposed:
//!
//! | of | the gradient is |
//! | --- | --- |
//! | queries | the keys, weighed by the gradient at the scores |
//! | keys | the queries, weighed by that transposed |
//! | shares | the scores of the gradient at the sum and the values |
//! | values | the gradient at the sum, weighed by the shares transposed |

use super::branches::Operand;
use crate::kernels::{AttentionScoresParams, AttentionSumParams, Kernel};
use crate::layout::blocks;
use crate::network::{NodeId, Shape};
use crate::plan::BufferId;
use crate::plan::builder::Builder;
use crate::plan::schedule::Step;

/// Positions of y that an invocation makes, for a block of four channels.
const POSITIONS: usize = 4;

/// What a kernel makes for n of what the pass carries.
struct Made<'a> {
    label: &'a str,
    n: usize,
    heads: usize,
    scale: f32,
    y: BufferId,
    shape: Shape,
}

impl Builder<'_> {
    pub(super) fn attention_scores(&mut self, step: &Step, heads: usize, scale: f32) {
        let node = self.network.node(step.node);
        let made = Made {
            label: &node.name,
            n: self.pass.images,
            heads,
            scale,
            y: self.value_buffer(step.made(), step.node),
            shape: node.shape,
        };
        let [queries, keys] = [node.inputs[0], node.inputs[1]].map(|input| self.operand(input));
        self.scores(&made, queries, keys);
    }

    pub(super) fn attention_sum(&mut self, step: &Step, heads: usize) {
        let node = self.network.node(step.node);
        let made = Made {
            label: &node.name,
            n: self.pass.images,
            heads,
            scale: 1.0,
            y: self.value_buffer(step.made(), step.node),
            shape: node.shape,
        };
        let [shares, values] = [node.inputs[0], node.inputs[1]].map(|input| self.operand(input));
        self.weighed(&made, shares, values);
    }

    /// The gradient at the queries or the keys.
    pub(super) fn attention_scores_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
        (heads, scale): (usize, f32),
    ) -> BufferId {
        let node = self.network.node(id);
        let other = self.backward_operand(node.inputs[1 - at]);
        let dy = Operand::each(dy, node.shape);
        self.gradient_at(id, at, n, |this, label, y, shape| {
            let made = Made {
                label,
                n,
                heads,
                scale,
                y,
                shape,
            };
            match at {
                0 => this.weighed(&made, dy, other),
                _ => this.weighed_transposed(&made, dy, other),
            }
        })
    }

    /// The gradient at the shares or the values.
    pub(super) fn attention_sum_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
        heads: usize,
    ) -> BufferId {
        let node = self.network.node(id);
        let other = self.backward_operand(node.inputs[1 - at]);
        let dy = Operand::each(dy, node.shape);
        self.gradient_at(id, at, n, |this, label, y, shape| {
            let made = Made {
                label,
                n,
                heads,
                scale: 1.0,
                y,
                shape,
            };
            match at {
                0 => this.scores(&made, dy, other),
                _ => this.weighed_transposed(&made, other, dy),
            }
        })
    }

    /// Has `record` make the gradient at input `at` in a buffer of that input's shape.
    fn gradient_at(
        &mut self,
        id: NodeId,
        at: usize,
        n: usize,
        record: impl FnOnce(&mut Self, &str, BufferId, Shape),
    ) -> BufferId {
        let node = self.network.node(id);
        let input = self.network.node(node.inputs[at]);
        let dx = self
            .buffers
            .tensor(&format!("d_{}", input.name), n, input.shape);
        let label = format!("{} backward", node.name);
        record(self, &label, dx, input.shape);
        dx
    }

    fn scores(&mut self, made: &Made<'_>, q: Operand, k: Operand) {
        let positions = made.shape.h * made.shape.w;
        let (keys, depth) = (k.shape.h * k.shape.w, q.shape.c / made.heads);
        let count = made.n * blocks(made.shape.c) * positions.div_ceil(POSITIONS);
        let params = AttentionScoresParams {
            count: count as u32,
            blocks: blocks(made.shape.c) as u32,
            positions: positions as u32,
            keys: keys as u32,
            heads: made.heads as u32,
            depth: depth as u32,
            in_blocks: blocks(q.shape.c) as u32,
            q_sharing: q.sharing as u32,
            k_sharing: k.sharing as u32,
            scale: made.scale,
        };
        let buffers = vec![q.buffer, k.buffer, made.y];
        let workgroups = self.workgroups(params.count);
        let work = made.n as u64 * made.shape.len() as u64 * depth as u64;
        let kernel = Kernel::AttentionScores;
        self.dispatch(kernel, made.label, &params, buffers, workgroups, work);
    }

    /// `values` by the weights of their positions for each position of y.
    fn weighed(&mut self, made: &Made<'_>, weights: Operand, values: Operand) {
        let keys = values.shape.h * values.shape.w;
        self.sum(Kernel::AttentionSum, made, weights, values, keys);
    }

    /// `values` by the weights of y's positions for each position of theirs.
    fn weighed_transposed(&mut self, made: &Made<'_>, weights: Operand, values: Operand) {
        let keys = made.shape.h * made.shape.w;
        let kernel = Kernel::AttentionSumTransposed;
        self.sum(kernel, made, weights, values, keys);
    }

    fn sum(&mut self, kernel: Kernel, made: &Made<'_>, w: Operand, x: Operand, keys: usize) {
        let of_y = made.shape.h * made.shape.w;
        let positions = w.shape.h * w.shape.w;
        let count = made.n * blocks(made.shape.c) * of_y.div_ceil(POSITIONS);
        let params = AttentionSumParams {
            count: count as u32,
            blocks: blocks(made.shape.c) as u32,
            positions: positions as u32,
            keys: keys as u32,
            heads: made.heads as u32,
            depth: (made.shape.c / made.heads) as u32,
            w_blocks: blocks(w.shape.c) as u32,
            w_sharing: w.sharing as u32,
            x_sharing: x.sharing as u32,
            scale: made.scale,
        };
        let buffers = vec![w.buffer, x.buffer, made.y];
        let workgroups = self.workgroups(params.count);
        let terms = (x.shape.h * x.shape.w) as u64;
        let work = made.n as u64 * made.shape.len() as u64 * terms;
        self.dispatch(kernel, made.label, &params, buffers, workgroups, work);
    }
}
