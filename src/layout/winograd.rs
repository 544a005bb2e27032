//! Filters for Winograd's F(4x4, 3x3) on the software adapter, transformed on the way to the device.

use std::ops::Range;

use super::{FilterBank, blocks};
use crate::network::FilterLayout;

/// Filters of four outputs and four inputs.
type Filters = [f32; 16];

/// Values of one position of a bank's transform for one block of outputs.
pub const fn winograd_block(inputs: usize) -> usize {
    blocks(inputs) * 16
}

/// Blocks of outputs in a bank's transform: those of the bank, and one of zeros where that makes them even.
pub const fn winograd_blocks(outputs: usize) -> usize {
    blocks(outputs).next_multiple_of(2)
}

/// The transform of some blocks of outputs of a bank of 3x3 filters, as `winograd_product_subgroup.wgsl` reads it: for each
/// position, row by row and `stride` values after the one before, \[out / 4\]\[in / 4\]\[out % 4\]\[in % 4\].
///
/// ```text
/// u[o, i] = G g[o, i] G^T        G = | 1            0    0          |   a = 1 / sqrt 2
///                                    | 2/3     2/3 a     2/3 a^2    |   b = sqrt 2 = 1 / a
///                                    | 2/3    -2/3 a     2/3 a^2    |
///                                    | 1/3    -1/3 b     1/3 b^2    |
///                                    | 1/3     1/3 b     1/3 b^2    |
///                                    | 0            0    1          |
/// ```
///
/// A row of G is a filter's polynomial at one of the points 0, a, -a, -b, b, infinity (Lavin and Gray, arXiv 1509.09308), whose
/// rounding error over 256 random channels is a third of that of the points 0, +-1, +-2. The scale of the rows is chosen so that
/// a filter read backwards has the same values in reverse: with points closed under 1 / x, x^2 g(1 / x) is at a half of what g
/// is at b, and 2/3 and 1/3 take that up.
pub fn transform_filters(
    values: &[f32],
    shape: [usize; 4],
    layout: FilterLayout,
    out_blocks: Range<usize>,
    (to, stride): (&mut [f32], usize),
) {
    let bank = FilterBank::new(values, shape, layout);
    for (o, out_block) in out_blocks.enumerate() {
        for in_block in 0..blocks(bank.inputs) {
            let taps = taps(&bank, out_block, in_block);
            let row = |first: usize| transform([taps[first], taps[first + 1], taps[first + 2]]);
            let rows = row(0).into_iter().zip(row(3)).zip(row(6));
            for (column, ((g0, g1), g2)) in rows.enumerate() {
                let values = transform([g0, g1, g2]);
                for (row, values) in values.iter().enumerate() {
                    let block = o * winograd_block(bank.inputs) + in_block * 16;
                    let at = (row * 6 + column) * stride + block;
                    to[at..at + 16].copy_from_slice(values);
                }
            }
        }
    }
}

/// The nine taps of a block of outputs and one of inputs, zero beyond the bank.
fn taps(bank: &FilterBank<'_>, out_block: usize, in_block: usize) -> [Filters; 9] {
    let mut taps = [[0.0; 16]; 9];
    let outputs = out_block * 4..bank.outputs.min(out_block * 4 + 4);
    for (o, output) in outputs.enumerate() {
        let inputs = in_block * 4..bank.inputs.min(in_block * 4 + 4);
        for (i, input) in inputs.enumerate() {
            for (tap, filters) in taps.iter_mut().enumerate() {
                filters[o * 4 + i] = bank.at(output, input, tap);
            }
        }
    }
    taps
}

/// G times three values of each filter.
fn transform([g0, g1, g2]: [Filters; 3]) -> [Filters; 6] {
    const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const B: f32 = std::f32::consts::SQRT_2;
    let mut out = [[0.0; 16]; 6];
    for k in 0..16 {
        let even_a = (g0[k] + 0.5 * g2[k]) * (2.0 / 3.0);
        let odd_a = g1[k] * (2.0 / 3.0 * A);
        let even_b = (0.5 * g0[k] + g2[k]) * (2.0 / 3.0);
        let odd_b = g1[k] * (1.0 / 3.0 * B);
        out[0][k] = g0[k];
        out[1][k] = even_a + odd_a;
        out[2][k] = even_a - odd_a;
        out[3][k] = even_b - odd_b;
        out[4][k] = even_b + odd_b;
        out[5][k] = g2[k];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G, in float64.
    fn points() -> [[f64; 3]; 6] {
        let a = 0.5_f64.sqrt();
        let row = |scale: f64, x: f64| [scale, scale * x, scale * x * x];
        let (two, one) = (2.0 / 3.0, 1.0 / 3.0);
        [
            [1.0, 0.0, 0.0],
            row(two, a),
            row(two, -a),
            row(one, -1.0 / a),
            row(one, 1.0 / a),
            [0.0, 0.0, 1.0],
        ]
    }

    #[test]
    fn transformed_filters_are_g_times_the_filter_times_g_from_either_side() {
        let (o, i) = (13, 6);
        let value = |o: usize, i: usize, tap: usize| ((o * 54 + i * 9 + tap) as f32 * 0.7).sin();
        let mut oihw = vec![];
        for k in 0..o * i * 9 {
            oihw.push(value(k / (i * 9), k / 9 % i, k % 9));
        }
        let mut hwio = vec![];
        for k in 0..o * i * 9 {
            hwio.push(value(k % o, k / o % i, k / (o * i)));
        }
        let (block, plane) = (winograd_block(i), winograd_block(i) * winograd_blocks(o));
        let transformed = |values: &[f32], shape, layout| {
            let mut all = vec![f32::NAN; 36 * plane];
            let (first, rest) = (0..3, 3..winograd_blocks(o));
            transform_filters(values, shape, layout, first, (&mut all, plane));
            let to = &mut all[3 * block..];
            transform_filters(values, shape, layout, rest, (to, plane));
            all
        };
        let found = transformed(&oihw, [o, i, 3, 3], FilterLayout::Oihw);
        assert_eq!(found, transformed(&hwio, [3, 3, i, o], FilterLayout::Hwio));
        let g = points();
        let mut left = found.len();
        for (row, a) in g.iter().enumerate() {
            for (column, b) in g.iter().enumerate() {
                for output in 0..16 {
                    for input in 0..8 {
                        let mut expected = 0.0;
                        if output < o && input < i {
                            for tap in 0..9 {
                                let g = f64::from(value(output, input, tap));
                                expected += a[tap / 3] * g * b[tap % 3];
                            }
                        }
                        let texel = (output / 4 * 2 + input / 4) * 4 + output % 4;
                        let at = (row * 6 + column) * plane + texel * 4 + input % 4;
                        let apart = (f64::from(found[at]) - expected).abs();
                        assert!(
                            apart < 1e-6,
                            "{row}, {column} of {output}, {input}: {apart}"
                        );
                        left -= 1;
                    }
                }
            }
        }
        assert_eq!(left, 0);
    }
}
