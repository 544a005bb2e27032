//! A dense layer's matrix summed over the positions of its input, on its way to the software adapter.

use crate::network::{FlattenOrder, MatrixLayout};

/// Which inputs of a dense layer are positions of the same channel of the map that it reads.
#[derive(Clone, Copy, Debug)]
pub struct PositionSums {
    /// Axes of the matrix.
    pub layout: MatrixLayout,
    /// Order of the inputs.
    pub order: FlattenOrder,
    /// Channels of the map.
    pub channels: usize,
    /// Positions of the map.
    pub positions: usize,
}

impl PositionSums {
    /// Adds row `at` of the matrix to `sums`: a matrix that has channels in place of inputs, in rows of `width`.
    pub fn add(&self, sums: &mut [f32], width: usize, at: usize, row: &[f32]) {
        let Self {
            channels,
            positions,
            ..
        } = *self;
        match (self.layout, self.order) {
            (MatrixLayout::InOut, order) => {
                let channel = match order {
                    FlattenOrder::Chw => at / positions,
                    FlattenOrder::Hwc => at % channels,
                };
                add(&mut sums[channel * width..], row);
            }
            (MatrixLayout::OutIn, FlattenOrder::Chw) => {
                let sums = &mut sums[at * width..][..channels];
                for (to, values) in sums.iter_mut().zip(row.chunks_exact(positions)) {
                    *to += sum(values);
                }
            }
            (MatrixLayout::OutIn, FlattenOrder::Hwc) => {
                for values in row.chunks_exact(channels) {
                    add(&mut sums[at * width..], values);
                }
            }
        }
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (to, value) in sums.iter_mut().zip(values) {
        *to += value;
    }
}

/// In eight sums side by side, which the compiler makes a vector of.
fn sum(values: &[f32]) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        add(&mut sums, eight);
    }
    add(&mut sums, rest);
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_a_row_are_over_the_inputs_of_a_channel() {
        let (channels, positions, outputs) = (3, 21, 2);
        let inputs = channels * positions;
        let value = |output: usize, input: usize| (output * inputs + input) as f32;
        for order in [FlattenOrder::Chw, FlattenOrder::Hwc] {
            let input = |c: usize, p: usize| match order {
                FlattenOrder::Chw => c * positions + p,
                FlattenOrder::Hwc => p * channels + c,
            };
            let expected = |o: usize, c: usize| -> f32 {
                let of = (0..positions).map(|p| value(o, input(c, p)));
                of.sum()
            };
            for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
                let over = PositionSums {
                    layout,
                    order,
                    channels,
                    positions,
                };
                let (rows, columns) = match layout {
                    MatrixLayout::OutIn => (outputs, inputs),
                    MatrixLayout::InOut => (inputs, outputs),
                };
                let mut sums = vec![0.0; 4 * 4];
                for at in 0..rows {
                    let of = |column| match layout {
                        MatrixLayout::OutIn => value(at, column),
                        MatrixLayout::InOut => value(column, at),
                    };
                    let row: Vec<f32> = (0..columns).map(of).collect();
                    over.add(&mut sums, 4, at, &row);
                }
                for (i, sum) in sums.into_iter().enumerate() {
                    let (o, c) = match layout {
                        MatrixLayout::OutIn => (i / 4, i % 4),
                        MatrixLayout::InOut => (i % 4, i / 4),
                    };
                    let expected = match o < outputs && c < channels {
                        true => expected(o, c),
                        false => 0.0,
                    };
                    assert_eq!(sum, expected, "{layout:?}, {order:?}, {o}, {c}");
                }
            }
        }
    }
}
