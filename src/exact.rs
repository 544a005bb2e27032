//! The first layers of a network on the host, in float64.
//!
//! A gradient at the pixels changes in steps: a ReLU passes it or stops it, a max-pool sends it to one of its places. Where two
//! values are nearer to each other, or one to zero, than the rounding of float32, that rounding decides, and each such decision
//! moves the gradient by up to a hundredth of its length. No order of summation mends it: values that differ by less than
//! float32 tells apart are there in every picture, and most where it is flat. So these layers are computed here, for the
//! methods that need it, and the device gets their values and the places of their maxima for its way back.
//!
//! A convolution is a matrix product a tap: outputs x inputs, times inputs x positions of the padded input, which begin later
//! by the tap's place. Positions run on over the ends of rows; what comes of the places in the padding is left out. Those of 3 x 3
//! taps at stride 1 go by `exact/winograd.rs`.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ShapeBuilder};

use crate::network::{Activation, FilterLayout, Network, NodeId, Op, Shape, Window};

mod winograd;

/// Values count as equal that are so near to each other, as a part of the channel's largest: sums in float64 of the same numbers in
/// another order are nearer.
const EQUAL: f64 = 1e-11;

/// Positions that are multiplied at once, about: what belongs to them stays in a core's own cache.
const POSITIONS: usize = 512;

/// The last ReLU or max-pool before which all nodes are of kinds that are known here, and which takes no more than `share` of the
/// network's multiply-adds; none where the first layers hold no such.
pub fn last(network: &Network, share: f64) -> Option<NodeId> {
    let decides = |id: &NodeId| !matches!(network.node(*id).op, Op::Conv2d { .. } | Op::Add);
    let most = share * network.multiply_adds() as f64;
    let mut so_far = 0;
    let is_within = |&id: &NodeId| {
        so_far += network.node(id).multiply_adds();
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

/// Computes the nodes up to `last`, which [`last`] gave, of one input, C x H x W; tells of each, in order, its values and, of a
/// max-pool, which tap each is of, row by row: of equal ones the first.
pub fn forward(
    network: &Network,
    last: NodeId,
    input: &[f32],
    mut tell: impl FnMut(NodeId, &[f64], Option<&[u8]>),
) {
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
            Op::Conv2d {
                weight,
                bias,
                layout,
                window,
                ..
            } => {
                let filters = Filters {
                    values: weight.to_vec(),
                    layout: *layout,
                    outputs: node.shape.c,
                    inputs: from.c,
                    taps: window.size,
                };
                let bias = match bias {
                    Some(bias) => bias.to_vec(),
                    None => vec![0.0; node.shape.c],
                };
                let convolve = match winograd::takes(window) {
                    true => winograd::convolve,
                    false => convolve,
                };
                convolve(x, from, &filters, &bias, window, node.shape)
            }
            // What is no number stays none, so that it is found.
            Op::Activate(_) => {
                let mut made = match is_done_with(read) {
                    true => std::mem::take(&mut values[read.0]),
                    false => x.clone(),
                };
                for value in made.iter_mut().filter(|value| **value < 0.0) {
                    *value = 0.0;
                }
                made
            }
            Op::MaxPool(window) => {
                let (made, taps) = pool(x, from, window, node.shape);
                maxima = Some(taps);
                made
            }
            Op::Add => {
                let other = &values[node.inputs[1].0];
                x.iter().zip(other).map(|(a, b)| a + b).collect()
            }
            _ => unreachable!("no node before the last is of another kind"),
        };
        tell(id, &made, maxima.as_deref());
        values[id.0] = made;
        for &read in &node.inputs {
            if is_done_with(read) {
                values[read.0] = vec![];
            }
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What `make` makes of each of `count` numbers, on all cores, in order.
fn on_all_cores<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = vec![];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return made;
            }
            made.push((at, make(at)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others = 1..threads().min(count);
        let others: Vec<_> = others.map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            let made = other.join();
            all.extend(made.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|&(at, _)| at);
    all.into_iter().map(|(_, made)| made).collect()
}

/// Fills chunks of `size` values on all cores, each by its number.
fn fill_on_all_cores(values: &mut [f64], size: usize, fill: impl Fn(usize, &mut [f64]) + Sync) {
    let chunks = Mutex::new(values.chunks_mut(size).enumerate());
    let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((number, chunk)) = next() {
            fill(number, chunk);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads() {
            scope.spawn(work);
        }
        work();
    });
}

/// A convolution's filters, in the file's order.
struct Filters {
    values: Vec<f32>,
    layout: FilterLayout,
    outputs: usize,
    inputs: usize,
    taps: [usize; 2],
}

impl Filters {
    /// The weights of one tap, outputs x inputs.
    fn tap(&self, row: usize, column: usize) -> ArrayView2<'_, f32> {
        let [rows, columns] = self.taps;
        let tap = row * columns + column;
        let (first, strides) = match self.layout {
            FilterLayout::Oihw => (tap, (self.inputs * rows * columns, rows * columns)),
            FilterLayout::Hwio => (tap * self.inputs * self.outputs, (1, self.outputs)),
        };
        let shape = (self.outputs, self.inputs).strides(strides);
        ArrayView2::from_shape(shape, &self.values[first..]).expect("a network's filters are whole")
    }
}

fn convolve(
    x: &[f64],
    from: Shape,
    filters: &Filters,
    bias: &[f32],
    window: &Window,
    to: Shape,
) -> Vec<f64> {
    let [top, left] = window.pad_before;
    let [height, width] = [0, 1]
        .map(|axis| [from.h, from.w][axis] + window.pad_before[axis] + window.pad_after[axis]);
    let plane = height * width;
    let mut padded = vec![0.0; from.c * plane];
    for (row, values) in x.chunks_exact(from.w).enumerate() {
        let at = row / from.h * plane + (row % from.h + top) * width + left;
        padded[at..at + from.w].copy_from_slice(values);
    }
    let weights: Vec<Array2<f64>> = (0..window.size[0] * window.size[1])
        .map(|tap| filters.tap(tap / window.size[1], tap % window.size[1]))
        .map(|tap| tap.mapv(f64::from))
        .collect();
    let [down, right] = window.stride;
    // Positions of a row, with those between the outputs' own.
    let across = (to.w - 1) * right + 1;
    // With a stride rows are made one by one, since those between are nobody's.
    let rows = match down {
        1 => (POSITIONS / width).clamp(1, to.h.div_ceil(threads())),
        _ => 1,
    };
    let parts = on_all_cores(to.h.div_ceil(rows), |part| {
        let first = part * rows;
        let rows = rows.min(to.h - first);
        let positions = (rows - 1) * width + across;
        let mut made = Array2::zeros((to.c, positions));
        for row in 0..window.size[0] {
            for column in 0..window.size[1] {
                let [r, c] = [row * window.dilation[0], column * window.dilation[1]];
                let begin = (first * down + r) * width + c;
                let shape = (from.c, positions).strides((plane, 1));
                let x =
                    ArrayView2::from_shape(shape, &padded[begin..]).expect("within the padding");
                let weights = &weights[row * window.size[1] + column];
                general_mat_mul(1.0, weights, &x, 1.0, &mut made);
            }
        }
        made
    });
    let mut y = vec![0.0; to.len()];
    for (part, made) in parts.iter().enumerate() {
        for ((channel, values), &bias) in made.outer_iter().enumerate().zip(bias) {
            let values = values.to_slice().expect("rows lie one after the other");
            let at = channel * to.h * to.w + part * rows * to.w;
            let to_rows = y[at..(channel + 1) * to.h * to.w].chunks_exact_mut(to.w);
            for (y, values) in to_rows.zip(values.chunks(width)) {
                for (y, value) in y.iter_mut().zip(values.iter().step_by(right)) {
                    *y = value + f64::from(bias);
                }
            }
        }
    }
    y
}

fn pool(x: &[f64], from: Shape, window: &Window, to: Shape) -> (Vec<f64>, Vec<u8>) {
    let taps: Vec<[usize; 2]> = (0..window.size[0] * window.size[1])
        .map(|tap| [tap / window.size[1], tap % window.size[1]])
        .collect();
    let planes = on_all_cores(to.c, |channel| {
        let x = &x[channel * from.h * from.w..][..from.h * from.w];
        let equal = EQUAL * x.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let mut maxima = Vec::with_capacity(to.h * to.w);
        for at in 0..to.h * to.w {
            let first = [at / to.w * window.stride[0], at % to.w * window.stride[1]];
            let value = |tap: [usize; 2]| {
                let [row, column] = [0, 1].map(|axis| {
                    let padded = first[axis] + tap[axis] * window.dilation[axis];
                    padded.checked_sub(window.pad_before[axis])
                });
                let (row, column) = (row?, column?);
                (row < from.h && column < from.w).then(|| x[row * from.w + column])
            };
            let found = taps.iter().filter_map(|&tap| value(tap));
            let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
            let largest = found.reduce(larger).unwrap_or(0.0);
            let least = largest - equal;
            let is_largest = |&tap: &[usize; 2]| value(tap).is_some_and(|value| value >= least);
            let tap = taps.iter().position(is_largest).unwrap_or(0);
            maxima.push((largest, tap as u8));
        }
        maxima
    });
    planes.into_iter().flatten().unzip()
}

#[cfg(test)]
mod tests;
