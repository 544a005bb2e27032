//! Which taps of a max-pool's windows hold the same, known from where the picture repeats itself.
//!
//! In a flat part of a picture, along a straight edge, in stripes, neighbouring outputs of a convolution are equal, and the
//! pool after it sends the gradient to the first of them. Winograd's algorithm adds up each output of a tile in its own way:
//! the outputs are equal but for rounding, and rounding would choose. A tolerance would have to be wide enough for it, and
//! would then decide many windows wrongly whose values do differ.
//!
//! Equality needs no values, though: two outputs of a layer are equal, whatever its weights, where all taps of their windows
//! are. So a word for each position follows the picture through the network, with a bit for each of a few distances: whether
//! all channels there hold what they hold that far away (`alike.wgsl`, `alike_window.wgsl`). A pool of a map whose positions are s
//! pixels apart asks for distance s, in four directions, and for 2 s where its windows are larger than 2 x 2; with them they know
//! their repeated taps (`repeats.wgsl`), and find them where they write their maxima. All that is a few operations a position, for all channels at once.
//!
//! What is not found: taps that are equal though their surroundings differ, and those that are further apart or askew.

use super::{signed, size};
use crate::kernels::{AlikeParams, AlikeWindowParams, Kernel, RepeatsParams};
use crate::layout::blocks;
use crate::network::{Network, NodeId, Op, Shape, SoftmaxOver, Window};
use crate::plan::builder::Builder;
use crate::plan::{BufferId, ForwardRequest};

/// Distances that a word has bits for, four directions each.
const MOST: usize = 8;

/// Of all its dispatches: they belong to no layer.
const LABEL: &str = "ties";

/// What of its input an op's output at a position depends on.
enum ReceptiveField {
    /// The same position.
    Position,
    /// A window; padding is the same everywhere.
    Window(FieldWindow),
    /// More than that, or several inputs.
    Other,
}

/// A window over rows and columns. Padding that is negative cuts off.
#[derive(Clone, Copy)]
struct FieldWindow {
    taps: [i32; 2],
    stride: [usize; 2],
    pad: [i32; 2],
    dilation: [i32; 2],
}

impl FieldWindow {
    fn of(window: &Window) -> Self {
        Self {
            taps: signed(window.size),
            stride: window.stride,
            pad: signed(window.pad_before),
            dilation: signed(window.dilation),
        }
    }
}

fn receptive_field(op: &Op) -> ReceptiveField {
    match op {
        Op::Conv2d { window, .. } | Op::MaxPool(window) | Op::AvgPool { window, .. } => {
            ReceptiveField::Window(FieldWindow::of(window))
        }
        Op::Pad(pad) => ReceptiveField::Window(FieldWindow {
            taps: [1; 2],
            stride: [1; 2],
            pad: pad.before,
            dilation: [1; 2],
        }),
        Op::Affine { .. }
        | Op::Activate(_)
        | Op::Lrn(_)
        | Op::LayerNorm { .. }
        | Op::Softmax(SoftmaxOver::Channels { .. }) => ReceptiveField::Position,
        Op::Input
        | Op::Add
        | Op::Mul
        | Op::Max
        | Op::Concat
        | Op::Resample(_)
        | Op::Transpose
        | Op::Softmax(SoftmaxOver::Positions)
        | Op::AttentionScores { .. }
        | Op::AttentionSum { .. }
        | Op::AdaptiveAvgPool(_)
        | Op::GlobalMean
        | Op::GroupNorm { .. }
        | Op::Flatten(_)
        | Op::Linear { .. } => ReceptiveField::Other,
    }
}

/// Whether taps lie further apart than one is from the next.
fn is_large(window: &Window) -> bool {
    window.size.into_iter().max() > Some(2)
}

/// For each node how many rows and columns of the picture lie from one position to the next, where it is made of windows alone.
fn steps(network: &Network) -> Vec<Option<[usize; 2]>> {
    let mut steps: Vec<Option<[usize; 2]>> = vec![];
    for node in &network.nodes {
        let input = match node.inputs[..] {
            [input] => steps[input.0],
            _ => None,
        };
        let step = match receptive_field(&node.op) {
            _ if matches!(node.op, Op::Input) => Some([1; 2]),
            ReceptiveField::Position => input,
            ReceptiveField::Window(window) => input.and_then(|[rows, columns]| {
                let [down, right] = window.stride;
                Some([rows.checked_mul(down)?, columns.checked_mul(right)?])
            }),
            ReceptiveField::Other => None,
        };
        steps.push(step);
    }
    steps
}

/// The distances in a map whose positions are `step` apart in the picture; zero where they lie between positions.
fn shifts(distances: &[[usize; 2]], step: [usize; 2]) -> [[i32; 2]; MOST] {
    let mut shifts = [[0; 2]; MOST];
    for (shift, distance) in shifts.iter_mut().zip(distances) {
        let whole = [0, 1].map(|axis| distance[axis].is_multiple_of(step[axis]));
        if whole == [true; 2] {
            *shift = [0, 1].map(|axis| (distance[axis] / step[axis]) as i32);
        }
    }
    shifts
}

impl Builder<'_> {
    /// Records what finds the repeated taps of each max-pool that a gradient goes back through and that comes after
    /// a convolution by Winograd's algorithm. Other kernels add up equal windows alike, and the host finds ties by itself.
    pub(in crate::plan) fn find_repeats(&mut self, request: &ForwardRequest) {
        let steps = steps(self.network);
        let mut pools = self.uncertain_pools(request);
        pools.retain(|&(id, _)| steps[self.input_of(id).0].is_some());
        let step = |id: NodeId| steps[id.0].expect("kept for having one, as all that it reads");
        let twice = |step: [usize; 2]| step.map(|pixels| pixels.saturating_mul(2));
        let mut distances = vec![];
        for &(id, window) in &pools {
            let step = step(self.input_of(id));
            distances.push(step);
            if is_large(&window) {
                distances.push(twice(step));
            }
        }
        distances.sort_unstable();
        distances.dedup();
        distances.truncate(MOST);
        // The place of its first bit in a word, where it has any.
        let bit_of = |distance| {
            let level = distances.iter().position(|&other| other == distance);
            level.map(|level| 4 * level as u32)
        };
        pools.retain(|&(id, _)| bit_of(step(self.input_of(id))).is_some());

        let mut needed = vec![false; self.network.nodes.len()];
        for &(id, _) in &pools {
            needed[self.input_of(id).0] = true;
        }
        for id in (1..needed.len()).rev() {
            needed[self.input_of(NodeId(id)).0] |= needed[id];
        }
        let mut alike: Vec<Option<BufferId>> = vec![None; needed.len()];
        for id in (0..needed.len()).map(NodeId).filter(|id| needed[id.0]) {
            let there = shifts(&distances, step(id));
            let of_input = || alike[self.input_of(id).0].expect("found before");
            alike[id.0] = Some(match receptive_field(&self.network.node(id).op) {
                ReceptiveField::Position => of_input(),
                ReceptiveField::Window(window) => {
                    let before = shifts(&distances, step(self.input_of(id)));
                    let of_input = of_input();
                    self.alike_window(id, of_input, window, [before, there], distances.len())
                }
                ReceptiveField::Other => self.alike(id, there),
            });
        }
        for (id, window) in pools {
            let input = self.input_of(id);
            let alike = alike[input.0].expect("found before");
            let step = step(input);
            let near = bit_of(step).expect("kept for having one");
            let far = bit_of(twice(step)).filter(|_| is_large(&window));
            let bits = [near, far.unwrap_or(32)];
            let repeats = self.repeated_taps(id, &window, alike, bits);
            self.pass.repeats.insert(id, repeats);
        }
    }

    fn input_of(&self, id: NodeId) -> NodeId {
        self.network.node(id).inputs[0]
    }

    /// The max-pools whose ties rounding may break, with windows of which a word holds the taps.
    fn uncertain_pools(&self, request: &ForwardRequest) -> Vec<(NodeId, Window)> {
        let network = self.network;
        let mut passed = vec![false; network.nodes.len()];
        for back in &request.backs {
            let first = self.ends_at(back).map_or(back.to, |dense| dense.id);
            let reached = network.descendants(back.to);
            for id in first.0 + 1..reached.len() {
                passed[id] |= reached[id];
            }
        }
        let mut rounded = vec![false; network.nodes.len()];
        let mut pools = vec![];
        for (at, node) in network.nodes.iter().enumerate() {
            let id = NodeId(at);
            rounded[at] = node.inputs.iter().any(|input| rounded[input.0]) || self.is_winograd(id);
            if let Op::MaxPool(window) = node.op
                && passed[at]
                && request.by_host.is_none_or(|last| id > last)
                && rounded[at]
                && window.dilation == [1; 2]
                && window.size[0] * window.size[1] <= 32
            {
                pools.push((id, window));
            }
        }
        pools
    }

    /// A word for each position of the node's map in all images.
    fn words(&mut self, id: NodeId) -> (BufferId, u32) {
        let node = self.network.node(id);
        let Shape { h, w, .. } = node.shape;
        let count = self.pass.images * h * w;
        let buffer = self
            .buffers
            .scratch(format!("{}_alike", node.name), count as u64 * 4);
        (buffer, count as u32)
    }

    fn alike(&mut self, id: NodeId, shifts: [[i32; 2]; MOST]) -> BufferId {
        let (y, count) = self.words(id);
        let node = self.network.node(id);
        let params = AlikeParams {
            shifts: shifts.map(|[rows, columns]| [rows, columns, 0, 0]),
            count,
            blocks: blocks(node.shape.c) as i32,
            size: size(node.shape),
        };
        let buffers = vec![self.value(id), y];
        self.each(Kernel::Alike, LABEL, count, &params, buffers);
        y
    }

    fn alike_window(
        &mut self,
        id: NodeId,
        x: BufferId,
        window: FieldWindow,
        [before, after]: [[[i32; 2]; MOST]; 2],
        levels: usize,
    ) -> BufferId {
        let (y, count) = self.words(id);
        let network = self.network;
        let node = network.node(id);
        let in_size = size(network.node(node.inputs[0]).shape);
        let out_size = size(node.shape);
        let mut shifts = [[0; 4]; MOST];
        for (both, ([rows, columns], [out_rows, out_columns])) in
            shifts.iter_mut().zip(before.into_iter().zip(after))
        {
            *both = [rows, columns, out_rows, out_columns];
        }
        let params = AlikeWindowParams {
            shifts,
            count,
            in_plane: in_size[0] * in_size[1],
            out_plane: out_size[0] * out_size[1],
            levels: levels as u32,
            in_size,
            out_size,
            taps: window.taps,
            stride: signed(window.stride),
            pad: window.pad,
            dilation: window.dilation,
        };
        self.each(Kernel::AlikeWindow, LABEL, count, &params, vec![x, y]);
        y
    }

    fn repeated_taps(
        &mut self,
        id: NodeId,
        window: &Window,
        alike: BufferId,
        [bit, far]: [u32; 2],
    ) -> BufferId {
        let argmax = self.argmax(id);
        let network = self.network;
        let node = network.node(id);
        let count = (self.pass.images * node.shape.h * node.shape.w) as u32;
        let params = RepeatsParams {
            count,
            blocks: blocks(node.shape.c) as i32,
            bit,
            far,
            in_size: size(network.node(node.inputs[0]).shape),
            out_size: size(node.shape),
            taps: signed(window.size),
            stride: signed(window.stride),
            pad: signed(window.pad_before),
        };
        self.each(Kernel::Repeats, LABEL, count, &params, vec![alike, argmax]);
        argmax
    }
}
