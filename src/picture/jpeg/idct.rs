//! From coefficients to samples: the inverse cosine transform of one block, in the integers of libjpeg's accurate one.
//!
//! A row of eight coefficients x gives eight samples: with e what the even ones give and o what the odd ones give, sample k is
//! e_k + o_k and sample 7 - k is e_k - o_k, for k of 0..4. The factors are cosines times 2^13. The columns come first
//! and keep two bits below the unit; sums are exact and rounded once, so that the result equals libjpeg's to the bit.

use std::num::Wrapping;

use super::BLOCK;

/// Bits below the unit in the factors.
const FACTOR_BITS: u32 = 13;
/// Bits below the unit that the columns' pass leaves to the rows'.
const KEPT_BITS: u32 = 2;
/// The two passes together scale by 8.
const SCALE_BITS: u32 = 3;

/// What coefficients 1, 3, 5 and 7 give to o_0, o_1, o_2 and o_3.
const ODD: [[i32; 4]; 4] = [
    [11363, 9633, 6437, 2260],
    [9633, -2259, -11362, -6436],
    [6437, -11362, 2261, 9633],
    [2260, -6436, 9633, -11363],
];

/// The 8 x 8 samples of a block, row by row in `samples`, whose rows lie `stride` apart.
///
/// `coefficients` and `steps`, by which they are multiplied, are in row order.
pub(super) fn samples(
    coefficients: &[i16; BLOCK],
    steps: &[u16; BLOCK],
    samples: &mut [u8],
    stride: usize,
) {
    let value = |at: usize| i32::from(coefficients[at].wrapping_mul(steps[at] as i16));
    if coefficients[1..].iter().all(|&c| c == 0) {
        let level = rounded(value(0) << KEPT_BITS, KEPT_BITS + SCALE_BITS);
        for row in samples.chunks_mut(stride).take(8) {
            row[..8].fill(level);
        }
        return;
    }
    let mut columns = [0; BLOCK];
    for x in 0..8 {
        let column: [i32; 8] = std::array::from_fn(|y| value(8 * y + x));
        if column[1..] == [0; 7] {
            (0..8).for_each(|y| columns[8 * y + x] = column[0] << KEPT_BITS);
            continue;
        }
        let bits = FACTOR_BITS - KEPT_BITS;
        for (y, sum) in transform(column).into_iter().enumerate() {
            let kept = sum.wrapping_add(1 << (bits - 1)) >> bits;
            // Only of damaged files are they larger.
            columns[8 * y + x] = kept.clamp(i16::MIN.into(), i16::MAX.into());
        }
    }
    for (row, columns) in samples.chunks_mut(stride).zip(columns.as_chunks().0) {
        for (sample, sum) in row.iter_mut().zip(transform(*columns)) {
            *sample = rounded(sum, FACTOR_BITS + KEPT_BITS + SCALE_BITS);
        }
    }
}

/// Eight coefficients of at most 16 bits to eight samples, times 2^13: below 2^31.
///
/// `Wrapping` for its speed, without the checks that the rest of the program has.
#[inline]
fn transform(x: [i32; 8]) -> [i32; 8] {
    let x = x.map(Wrapping);
    let factor = |f: i32| Wrapping(f);
    let unit = factor(1 << FACTOR_BITS);
    let (sum, difference) = ((x[0] + x[4]) * unit, (x[0] - x[4]) * unit);
    let outer = factor(10703) * x[2] + factor(4433) * x[6];
    let inner = factor(4433) * x[2] - factor(10704) * x[6];
    let even = [
        sum + outer,
        difference + inner,
        difference - inner,
        sum - outer,
    ];
    let odd = ODD.map(|f| {
        let f = f.map(Wrapping);
        f[0] * x[1] + f[1] * x[3] + f[2] * x[5] + f[3] * x[7]
    });
    std::array::from_fn(|k| match k {
        0..4 => (even[k] + odd[k]).0,
        _ => (even[7 - k] - odd[7 - k]).0,
    })
}

/// A sample around zero to a level.
#[inline]
fn rounded(sum: i32, bits: u32) -> u8 {
    let level = (sum.wrapping_add(1 << (bits - 1)) >> bits) + 128;
    level.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// ITU-R T.81, A.3.3, in float64.
    fn reference(coefficients: &[i16; BLOCK]) -> [f64; BLOCK] {
        let basis = |k: usize, at: usize| {
            let scale = if k == 0 { 0.5f64.sqrt() } else { 1.0 };
            scale * ((2 * at + 1) as f64 * k as f64 * PI / 16.0).cos()
        };
        std::array::from_fn(|i| {
            let (y, x) = (i / 8, i % 8);
            let terms = coefficients
                .iter()
                .enumerate()
                .map(|(j, &c)| f64::from(c) * basis(j / 8, y) * basis(j % 8, x));
            (terms.sum::<f64>() / 4.0 + 128.0).clamp(0.0, 255.0)
        })
    }

    #[test]
    fn a_block_is_the_standards_sum_to_within_rounding() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16
        };
        for round in 0..200 {
            let kept = round % 64 + 1;
            let coefficients: [i16; BLOCK] =
                std::array::from_fn(|i| if i < kept { random() % 60 } else { 0 });
            let mut levels = [0; BLOCK];
            samples(&coefficients, &[1; BLOCK], &mut levels, 8);
            for (level, exact) in levels.iter().zip(reference(&coefficients)) {
                assert!(
                    (f64::from(*level) - exact).abs() < 0.6,
                    "{level} for {exact}"
                );
            }
        }
    }

    #[test]
    fn the_largest_coefficients_of_a_hostile_file_overflow_nothing() {
        for value in [i16::MIN, i16::MAX] {
            samples(&[value; BLOCK], &[1; BLOCK], &mut [0; BLOCK], 8);
            let signs = std::array::from_fn(|i| if i % 3 == 0 { value } else { !value });
            samples(&signs, &[u16::MAX; BLOCK], &mut [0; BLOCK], 8);
        }
    }
}
