//! The first layers of a network on the host, in float64.
//!
//! A gradient at the pixels changes in steps: a ReLU passes it or stops it, a max-pool sends it to one of its places. Where two
//! values are nearer to each other, or one to zero, than the rounding of float32, that rounding decides, and each such decision
//! moves the gradient by up to a hundredth of its length. No order of summation mends it: values that differ by less than
//! float32 tells apart are there in every picture, and most where it is flat. So these layers are computed here, for the
//! methods that need it, and the device gets their values and the places of their maxima for its way back.
//!
//! 3 x 3 convolutions at stride 1 go by `exact/winograd.rs`, the others by `exact/direct.rs`.

use crate::cores::{on_all_cores, threads};
use crate::network::{Activation, Network, Node, NodeId, Op, Shape, Window};
use bank::{Bank, Filters};

mod bank;
mod direct;
mod pool;
mod winograd;

/// The last ReLU or max-pool before which all nodes are of kinds that are known here, and which takes no more than `share` of the
/// network's multiply-adds; none where the first layers hold no such.
pub fn last(network: &Network, share: f64) -> Option<NodeId> {
    let decides = |id: &NodeId| !matches!(network.node(*id).op, Op::Conv2d { .. } | Op::Add);
    let most = share * network.multiply_adds() as f64;
    let mut so_far = 0;
    let is_within = |&id: &NodeId| {
        so_far += network.multiply_adds_of(id);
        so_far as f64 <= most && is_known(network, id)
    };
    let nodes = (1..network.output().0).map(NodeId);
    nodes.take_while(is_within).filter(decides).last()
}

fn is_known(network: &Network, id: NodeId) -> bool {
    let node = network.node(id);
    let shapes = || node.inputs.iter().map(|&input| network.node(input).shape);
    let computed = match &node.op {
        Op::Conv2d { groups, window, .. } => {
            *groups == 1 && shapes().all(|shape| is_padded_little(window, shape))
        }
        Op::Activate(Activation::Relu) | Op::MaxPool(_) => true,
        Op::Add => shapes().all(|shape| shape == node.shape),
        _ => false,
    };
    let joined = |reader: NodeId| matches!(network.node(reader).op, Op::Concat);
    computed && !network.consumers(id).any(joined)
}

/// Whether padding makes an input no more than three times as long and wide: a file may ask for any number of zeros.
fn is_padded_little(window: &Window, input: Shape) -> bool {
    let mut axes = [input.h, input.w].into_iter().enumerate();
    axes.all(|(axis, length)| {
        let pad = window.pad_before[axis].max(window.pad_after[axis]);
        pad <= length.max(window.size[axis])
    })
}

/// The first layers of a network, ready to be computed for one input after the other.
pub struct Layers<'a> {
    network: &'a Network,
    last: NodeId,
    /// For how many inputs, about.
    inputs: usize,
    /// Of each node its filters, once they were made and if they are kept.
    banks: Vec<Option<Bank>>,
    scratch: Vec<winograd::Scratch>,
    /// Memory of values that are done with: to make its pages anew takes longer than to fill them.
    spare: Vec<Vec<f64>>,
}

/// Filters that are kept from one input to the next, bytes.
const KEPT: usize = 256 << 20;

impl<'a> Layers<'a> {
    /// The nodes up to `last`, which [`last`] gave, for about `inputs` inputs: where they are many, filters are kept.
    pub fn new(network: &'a Network, last: NodeId, inputs: usize) -> Self {
        let mut banks = vec![];
        banks.resize_with(last.0 + 1, || None);
        let mut scratch = vec![];
        scratch.resize_with(threads(), Default::default);
        Self {
            network,
            last,
            inputs,
            banks,
            scratch,
            spare: vec![],
        }
    }

    /// Computes them of one input, C x H x W; tells of each, in order, its values and, of a max-pool, which tap each is of, row by
    /// row: of equal ones the first.
    pub fn forward(&mut self, input: &[f32], mut tell: impl FnMut(NodeId, &[f64], Option<&[u8]>)) {
        let (network, last) = (self.network, self.last);
        let mut values: Vec<Vec<f64>> = vec![vec![]; last.0 + 1];
        values[0] = input.iter().map(|&value| f64::from(value)).collect();
        for id in (1..=last.0).map(NodeId) {
            let node = network.node(id);
            let read = node.inputs[0];
            let is_done_with = |read: NodeId| {
                let mut readers = network.consumers(read);
                readers.all(|reader| reader <= id || reader > last)
            };
            let (x, from) = (&values[read.0], network.node(read).shape);
            let mut maxima = None;
            let made = match &node.op {
                Op::Conv2d { .. } => {
                    let mut made = self.room(node.shape);
                    self.convolve(id, &values[read.0], &mut made);
                    made
                }
                Op::Activate(_) => {
                    let mut made = match is_done_with(read) {
                        true => std::mem::take(&mut values[read.0]),
                        false => x.clone(),
                    };
                    rectify(&mut made);
                    made
                }
                Op::MaxPool(window) => {
                    let mut made = self.room(node.shape);
                    maxima = Some(pool::pool(x, from, window, node.shape, &mut made));
                    made
                }
                Op::Add => {
                    let other = &values[node.inputs[1].0];
                    let mut made = self.room(node.shape);
                    let both = x.iter().zip(other);
                    made.iter_mut().zip(both).for_each(|(y, (a, b))| *y = a + b);
                    made
                }
                _ => unreachable!("no node before the last is of another kind"),
            };
            tell(id, &made, maxima.as_deref());
            values[id.0] = made;
            for &read in &node.inputs {
                if is_done_with(read) {
                    self.spare.push(std::mem::take(&mut values[read.0]));
                }
            }
        }
        self.spare.append(&mut values);
        self.spare.retain(|spare| spare.capacity() > 0);
    }

    /// Memory for a node's values, which are anything.
    fn room(&mut self, shape: Shape) -> Vec<f64> {
        let fitting = self
            .spare
            .iter()
            .position(|spare| spare.capacity() >= shape.len());
        let mut room = fitting.map_or_else(Vec::new, |fitting| self.spare.swap_remove(fitting));
        room.resize(shape.len(), 0.0);
        room
    }

    fn convolve(&mut self, id: NodeId, x: &[f64], y: &mut [f64]) {
        let node = self.network.node(id);
        let shapes = [self.network.node(node.inputs[0]).shape, node.shape];
        let Op::Conv2d { bias, window, .. } = &node.op else {
            unreachable!("asked for convolutions alone")
        };
        let bias = match bias {
            Some(bias) => bias.to_vec(),
            None => vec![0.0; node.shape.c],
        };
        let by_winograd = winograd::pays(window, node.shape, self.inputs);
        let kept = self.banks[id.0].take();
        let bank = kept.unwrap_or_else(|| {
            let filters = filters(self.network, node);
            let room = self.spare.pop().unwrap_or_default();
            match by_winograd {
                true => winograd::bank(&filters, room),
                false => direct::bank(&filters, room),
            }
        });
        match by_winograd {
            true => winograd::convolve(x, shapes, &bank, &bias, window, &mut self.scratch, y),
            false => direct::convolve(x, shapes, &bank, &bias, window, y),
        }
        let kept: usize = self.banks.iter().flatten().map(Bank::bytes).sum();
        if self.inputs > 1 && kept + bank.bytes() <= KEPT {
            self.banks[id.0] = Some(bank);
        } else {
            self.spare.push(bank.into_values());
        }
    }
}

/// Zero for what is below it. What is no number stays none, so that it is found.
fn rectify(values: &mut [f64]) {
    let part = values.len().div_ceil(threads()).max(1);
    on_all_cores(
        &mut vec![(); threads()],
        values.chunks_mut(part),
        |(), values| {
            for value in values {
                *value = if *value < 0.0 { 0.0 } else { *value };
            }
        },
    );
}

fn filters(network: &Network, node: &Node) -> Filters {
    let Op::Conv2d {
        weight,
        layout,
        window,
        ..
    } = &node.op
    else {
        unreachable!("asked for convolutions alone")
    };
    Filters {
        values: weight.to_vec(),
        layout: *layout,
        outputs: node.shape.c,
        inputs: network.node(node.inputs[0]).shape.c,
        taps: window.size,
    }
}

#[cfg(test)]
mod tests;
