//! How tensors lie in GPU buffers, and the way there and back.
//!
//! Activations: N x C/4 x H x W elements of four channels (NC4HW4), the last block filled up with zeros. A vector of
//! length L is the same with H = W = 1: L values, rounded up to 4.

mod sums;
mod winograd;

use crate::cores::{on_all_cores, threads};
use crate::network::{FilterLayout, Shape};
pub use sums::PositionSums;
pub use winograd::{transform_filters, winograd_block, winograd_blocks};

/// Channels rounded up to whole blocks, in blocks of four.
pub const fn blocks(channels: usize) -> usize {
    channels.div_ceil(4)
}

/// Values in a buffer that holds `n` tensors of `shape`.
pub const fn padded_len(n: usize, shape: Shape) -> usize {
    n.saturating_mul(blocks(shape.c) * 4)
        .saturating_mul(shape.h)
        .saturating_mul(shape.w)
}

/// Bytes of those, in 64 bits wherever the program runs. Saturates.
pub const fn padded_bytes(n: usize, shape: Shape) -> u64 {
    let elements = n as u64 * blocks(shape.c) as u64 * 4;
    let positions = shape.h as u64 * shape.w as u64;
    elements.saturating_mul(positions).saturating_mul(4)
}

/// N x C x H x W to NC4HW4.
pub fn to_blocks<T: Copy + Default>(planar: &[T], n: usize, shape: Shape) -> Vec<T> {
    assert_eq!(planar.len(), n * shape.len());
    let mut out = vec![T::default(); padded_len(n, shape)];
    each_channel(n, shape, |plane, block| {
        for (i, &value) in planar[plane].iter().enumerate() {
            out[block + i * 4] = value;
        }
    });
    out
}

/// One tensor of float64, rounded, by [`to_blocks`].
pub(crate) fn rounded_to_blocks(planar: &[f64], shape: Shape) -> Vec<f32> {
    assert_eq!(planar.len(), shape.len());
    let positions = shape.h * shape.w;
    let mut out = vec![0.0; padded_len(1, shape)];
    let each = out
        .chunks_mut(positions * 4)
        .zip(planar.chunks(positions * 4));
    on_all_cores(&mut vec![(); threads()], each, |(), (block, planes)| {
        for (channel, plane) in planes.chunks_exact(positions).enumerate() {
            for (to, value) in block[channel..].iter_mut().step_by(4).zip(plane) {
                *to = *value as f32;
            }
        }
    });
    out
}

/// NC4HW4 to N x C x H x W.
pub fn from_blocks(blocked: &[f32], n: usize, shape: Shape) -> Vec<f32> {
    assert_eq!(blocked.len(), padded_len(n, shape));
    let mut out = vec![0.0; n * shape.len()];
    each_channel(n, shape, |plane, block| {
        for (i, value) in out[plane].iter_mut().enumerate() {
            *value = blocked[block + i * 4];
        }
    });
    out
}

/// Calls `visit` with each channel's place in the planar tensor and the place of its first value in the blocked one.
fn each_channel(n: usize, shape: Shape, mut visit: impl FnMut(std::ops::Range<usize>, usize)) {
    let positions = shape.h * shape.w;
    for image in 0..n {
        for c in 0..shape.c {
            let plane = (image * shape.c + c) * positions;
            let block = (image * blocks(shape.c) + c / 4) * positions * 4 + c % 4;
            visit(plane..plane + positions, block);
        }
    }
}

/// Which way a convolution's filters are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// As they are: outputs x inputs.
    Forward,
    /// For the input gradient: turned by 180 degrees, inputs and outputs swapped.
    Backward,
}

/// So many zeros in place of what is there, in the memory that is there.
pub(crate) fn zeros(packed: &mut Vec<f32>, len: usize) {
    packed.clear();
    packed.resize(len, 0.0);
}

/// A bank of 3x3 filters as `conv3x3_subgroup.wgsl` reads it: [out / 8][in / 4][tap][out % 8] texels of four inputs.
pub fn pack_texels(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    direction: Direction,
    packed: &mut Vec<f32>,
) {
    let bank = FilterBank::new(values, shape, layout).towards(direction);
    zeros(packed, texels(bank.outputs, bank.inputs) * 4);
    let eights = packed.chunks_exact_mut(blocks(bank.inputs) * 9 * 8 * 4);
    for (eight, packed) in eights.enumerate() {
        let outputs = eight * 8..bank.outputs.min(eight * 8 + 8);
        for (block, packed) in packed.chunks_exact_mut(9 * 8 * 4).enumerate() {
            let inputs = block * 4..bank.inputs.min(block * 4 + 4);
            for (tap, packed) in packed.chunks_exact_mut(8 * 4).enumerate() {
                for (o, texel) in outputs.clone().zip(packed.chunks_exact_mut(4)) {
                    for (i, value) in inputs.clone().zip(texel) {
                        *value = bank.at(o, i, tap);
                    }
                }
            }
        }
    }
}

/// Texels of a bank of 3x3 filters packed by [`pack_texels`].
pub const fn texels(outputs: usize, inputs: usize) -> usize {
    outputs.div_ceil(8) * blocks(inputs) * 9 * 8
}

/// A filter bank as `conv2d_subgroup.wgsl` reads it: `[out / 32][tap][in / 4][out % 32]` texels of four inputs.
pub fn pack_blocks(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    direction: Direction,
    packed: &mut Vec<f32>,
) {
    let bank = FilterBank::new(values, shape, layout).towards(direction);
    let in_blocks = blocks(bank.inputs);
    zeros(
        packed,
        blocks_texels(bank.outputs, bank.inputs, bank.taps) * 4,
    );
    let of_group = bank.taps * in_blocks * 32 * 4;
    for (group, packed) in packed.chunks_exact_mut(of_group).enumerate() {
        let outputs = group * 32..bank.outputs.min(group * 32 + 32);
        // Some blocks of inputs at a time, so that what a line of the cache holds of an output is read while it is there.
        for together in (0..in_blocks).step_by(4) {
            for (o, output) in outputs.clone().enumerate() {
                for block in together..in_blocks.min(together + 4) {
                    let inputs = block * 4..bank.inputs.min(block * 4 + 4);
                    for tap in 0..bank.taps {
                        let texel = (tap * in_blocks + block) * 32 + o;
                        let texel = &mut packed[texel * 4..texel * 4 + 4];
                        for (input, value) in inputs.clone().zip(texel) {
                            *value = bank.at(output, input, tap);
                        }
                    }
                }
            }
        }
    }
}

/// Texels of a bank of filters packed by [`pack_blocks`].
pub const fn blocks_texels(outputs: usize, inputs: usize, taps: usize) -> usize {
    outputs.div_ceil(32) * 32 * blocks(inputs) * taps
}

/// Which blocks of inputs each block of outputs of a grouped convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBlocks {
    /// Outputs of a group.
    pub outputs: usize,
    /// Inputs of a group.
    pub inputs: usize,
    /// Blocks of inputs that each block of outputs reads: as many as the one that needs most.
    pub span: usize,
    /// Blocks of inputs there are.
    in_blocks: usize,
}

impl GroupBlocks {
    /// Of a convolution from `inputs` to `outputs` channels in so many `groups`.
    pub fn new(inputs: usize, outputs: usize, groups: usize) -> Self {
        let mut found = Self {
            outputs: outputs / groups,
            inputs: inputs / groups,
            span: 1,
            in_blocks: blocks(inputs),
        };
        for block in 0..blocks(outputs) {
            let last_output = (block * 4 + 3).min(outputs - 1);
            let end = (last_output / found.outputs + 1) * found.inputs;
            found.span = found.span.max(blocks(end) - found.wanted(block));
        }
        found
    }

    fn wanted(&self, block: usize) -> usize {
        block * 4 / self.outputs * self.inputs / 4
    }

    /// The first block of inputs that a block of outputs reads.
    pub fn first(&self, block: usize) -> usize {
        self.wanted(block).min(self.in_blocks - self.span)
    }
}

/// A filter bank as `conv2d.wgsl` reads it: out blocks x [`GroupBlocks::span`] x taps, each a 4 x 4 block with one column
/// an input; zeros where input and output are of different groups. `values` has the four axes of `shape` in `layout`'s
/// order.
pub fn pack_filters(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    groups: usize,
    direction: Direction,
    packed: &mut Vec<f32>,
) {
    let bank = FilterBank::new(values, shape, layout).towards(direction);
    let (outputs, inputs) = match direction {
        Direction::Forward => (bank.outputs, bank.inputs * groups),
        Direction::Backward => (bank.outputs * groups, bank.inputs),
    };
    let reads = GroupBlocks::new(inputs, outputs, groups);
    zeros(packed, blocks(outputs) * reads.span * bank.taps * 16);
    for o in 0..outputs {
        let first = reads.first(o / 4);
        let group = o / reads.outputs;
        for i in group * reads.inputs..(group + 1) * reads.inputs {
            // The file's bank has one group's inputs.
            let (bank_o, bank_i) = match direction {
                Direction::Forward => (o, i % reads.inputs),
                Direction::Backward => (o % reads.outputs, i),
            };
            for tap in 0..bank.taps {
                let block = (o / 4 * reads.span + i / 4 - first) * bank.taps + tap;
                packed[block * 16 + i % 4 * 4 + o % 4] = bank.at(bank_o, bank_i, tap);
            }
        }
    }
}

/// The filters of a depthwise convolution as `depthwise.wgsl` reads them: blocks of four channels x taps, four channels each.
pub fn pack_depthwise(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    direction: Direction,
    packed: &mut Vec<f32>,
) {
    let bank = FilterBank::new(values, shape, layout);
    let (channels, taps) = (bank.outputs, bank.taps);
    zeros(packed, blocks(channels) * taps * 4);
    for c in 0..channels {
        for tap in 0..taps {
            let from = match direction {
                Direction::Forward => tap,
                Direction::Backward => taps - 1 - tap,
            };
            packed[(c / 4 * taps + tap) * 4 + c % 4] = bank.at(c, 0, from);
        }
    }
}

/// A filter bank as `conv2d_tiled.wgsl` reads it: a matrix with a row for each input of each depth (tap, in block), the
/// taps outermost, and a column an output; rows filled up with zeros to [`depths`].
pub fn pack_depths(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    direction: Direction,
    packed: &mut Vec<f32>,
) {
    let bank = FilterBank::new(values, shape, layout).towards(direction);
    let row = blocks(bank.outputs) * 4;
    let in_blocks = blocks(bank.inputs);
    zeros(packed, depths(bank.taps, bank.inputs) * 4 * row);
    for (depth, packed) in packed.chunks_exact_mut(4 * row).enumerate() {
        let (tap, block) = (depth / in_blocks, depth % in_blocks);
        if tap == bank.taps {
            break;
        }
        let inputs = block * 4..bank.inputs.min(block * 4 + 4);
        for (i, packed) in inputs.zip(packed.chunks_exact_mut(row)) {
            for (o, value) in packed.iter_mut().take(bank.outputs).enumerate() {
                *value = bank.at(o, i, tap);
            }
        }
    }
}

/// Depths of a matrix packed by [`pack_depths`]: blocks of inputs of all taps, in whole steps of 4.
pub const fn depths(taps: usize, inputs: usize) -> usize {
    (taps * blocks(inputs)).next_multiple_of(4)
}

/// A filter bank's values with the strides of its file's order.
struct FilterBank<'a> {
    values: &'a [f32],
    outputs: usize,
    inputs: usize,
    taps: usize,
    output_stride: usize,
    input_stride: usize,
    tap_stride: usize,
    /// Taps from last to first: turned by 180 degrees.
    turned: bool,
}

impl<'a> FilterBank<'a> {
    fn new(values: &'a [f32], [a, b, c, d]: [usize; 4], layout: FilterLayout) -> Self {
        match layout {
            FilterLayout::Oihw => Self {
                values,
                outputs: a,
                inputs: b,
                taps: c * d,
                output_stride: b * c * d,
                input_stride: c * d,
                tap_stride: 1,
                turned: false,
            },
            FilterLayout::Hwio => Self {
                values,
                outputs: d,
                inputs: c,
                taps: a * b,
                output_stride: 1,
                input_stride: d,
                tap_stride: c * d,
                turned: false,
            },
        }
    }

    /// The bank of the convolution that goes in `direction`.
    fn towards(self, direction: Direction) -> Self {
        match direction {
            Direction::Forward => self,
            Direction::Backward => Self {
                outputs: self.inputs,
                inputs: self.outputs,
                output_stride: self.input_stride,
                input_stride: self.output_stride,
                turned: !self.turned,
                ..self
            },
        }
    }

    fn at(&self, output: usize, input: usize, tap: usize) -> f32 {
        let tap = if self.turned {
            self.taps - 1 - tap
        } else {
            tap
        };
        self.values[output * self.output_stride + input * self.input_stride + tap * self.tap_stride]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_back_is_the_identity_and_the_rest_is_zero() {
        let shape = Shape::new(5, 2, 3);
        let planar: Vec<f32> = (1..=60).map(|v| v as f32).collect();
        let blocked = to_blocks(&planar, 2, shape);
        assert_eq!(blocked.len(), 2 * 8 * 6);
        assert_eq!(blocked.iter().filter(|&&v| v == 0.0).count(), 2 * 3 * 6);
        assert_eq!(&blocked[..4], &[1.0, 7.0, 13.0, 19.0]);
        assert_eq!(from_blocks(&blocked, 2, shape), planar);
    }

    type Pack = fn(&[f32], [usize; 4], FilterLayout, Direction, &mut Vec<f32>);

    #[test]
    fn both_file_orders_pack_to_the_same_filters() {
        let (o, i, taps) = (6, 5, 9);
        let value = |out: usize, inp: usize, tap: usize| (out * 100 + inp * 10 + tap) as f32;
        let mut oihw = vec![0.0; o * i * taps];
        let mut hwio = oihw.clone();
        for out in 0..o {
            for inp in 0..i {
                for tap in 0..taps {
                    oihw[(out * i + inp) * taps + tap] = value(out, inp, tap);
                    hwio[(tap * i + inp) * o + out] = value(out, inp, tap);
                }
            }
        }
        // What is there before is gone.
        let both = |pack: Pack, direction| {
            let mut packed = [vec![9.0; 20_000], vec![]];
            let [first, second] = &mut packed;
            pack(&oihw, [o, i, 3, 3], FilterLayout::Oihw, direction, first);
            pack(&hwio, [3, 3, i, o], FilterLayout::Hwio, direction, second);
            assert_eq!(first, second);
            packed.into_iter().next_back().expect("two")
        };
        let in_one_group: Pack = |values, shape, layout, direction, packed| {
            pack_filters(values, shape, layout, 1, direction, packed);
        };
        for direction in [Direction::Forward, Direction::Backward] {
            let packed = both(in_one_group, direction);
            let (r, c, tap) = (4, 2, 7);
            let at = ((r / 4 * 2 + c / 4) * taps + tap) * 16 + c % 4 * 4 + r % 4;
            let expected = match direction {
                Direction::Forward => value(r, c, tap),
                Direction::Backward => value(c, r, taps - 1 - tap),
            };
            assert_eq!(packed[at], expected);
            let texels = both(pack_texels, direction);
            let at = (c / 4 * taps + tap) * 32 + r % 8 * 4 + c % 4;
            assert_eq!(texels[at], expected);
            // Eight outputs of 32, one tap after the other, two blocks of inputs each.
            let in_blocks = both(pack_blocks, direction);
            let at = ((tap * 2 + c / 4) * 32 + r) * 4 + c % 4;
            assert_eq!(in_blocks[at], expected);
            let depths = both(pack_depths, direction);
            // 2 blocks x 9 taps make 18 depths of 8 outputs x 4 inputs, and 2 of zeros.
            assert_eq!(depths.len(), 20 * 8 * 4);
            assert!(depths[18 * 32..].iter().all(|&v| v == 0.0));
            let at = ((tap * 2 + c / 4) * 4 + c % 4) * 8 + r;
            assert_eq!(depths[at], expected);
        }
    }

    #[test]
    fn a_block_of_outputs_reads_the_inputs_of_its_groups_and_few_others() {
        let spans = |inputs, outputs, groups| GroupBlocks::new(inputs, outputs, groups).span;
        assert_eq!(spans(5, 7, 1), 2);
        assert_eq!(spans(96, 256, 2), 12);
        // One input and one output a group: a block reads the block of the same number.
        assert_eq!(spans(512, 512, 512), 1);
        // Groups of 3 and 5 channels straddle the blocks.
        let odd = GroupBlocks::new(9, 15, 3);
        for block in 0..4 {
            let outputs = block * 4..(block * 4 + 4).min(15);
            let read = odd.first(block) * 4..(odd.first(block) + odd.span) * 4;
            assert!(odd.first(block) + odd.span <= blocks(9));
            for o in outputs {
                for i in o / 5 * 3..o / 5 * 3 + 3 {
                    assert!(
                        read.contains(&i),
                        "output {o} reads {i}, not within {read:?}"
                    );
                }
            }
        }
    }
}
