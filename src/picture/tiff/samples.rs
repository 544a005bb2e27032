//! Bytes of a row to the numbers that they stand for.

use half::f16;

use super::layout::{Layout, Number, Predictor};

/// Undoes the predictor of a row of `samples` a pixel.
pub(super) fn undo(row: &mut [u8], layout: &Layout<'_>, samples: usize) {
    let width = layout.bits as usize / 8;
    match layout.predictor {
        Predictor::None => {}
        Predictor::Horizontal => {
            let step = width * samples;
            for at in (step..row.len() / width * width).step_by(width) {
                let get =
                    |row: &[u8], at: usize| unsigned(&row[at..at + width], layout.little_endian);
                let sum = get(row, at).wrapping_add(get(row, at - step)).to_le_bytes();
                let sample = &mut row[at..at + width];
                sample.copy_from_slice(&sum[..width]);
                if !layout.little_endian {
                    sample.reverse();
                }
            }
        }
        Predictor::Float => {
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
            // The highest bytes of all samples come first, whatever the file's order of bytes.
            let planes = row.to_vec();
            let count = row.len() / width;
            for (i, sample) in row.chunks_exact_mut(width).enumerate() {
                for (k, byte) in sample.iter_mut().enumerate() {
                    let from_the_top = if layout.little_endian {
                        width - 1 - k
                    } else {
                        k
                    };
                    *byte = planes[from_the_top * count + i];
                }
            }
        }
    }
}

/// Sample `index` of a row. Those of 8 bits and multiples are in the file's order of bytes, others lie bit by bit from the
/// highest of each byte on.
#[inline]
pub(super) fn value(row: &[u8], index: usize, layout: &Layout<'_>) -> f64 {
    let bits = layout.bits as usize;
    let raw = match bits {
        8 => u64::from(row[index]),
        _ if bits.is_multiple_of(8) => {
            let width = bits / 8;
            unsigned(&row[index * width..][..width], layout.little_endian)
        }
        _ => (index * bits..(index + 1) * bits).fold(0, |sum, at| {
            sum << 1 | u64::from(row[at / 8] >> (7 - at % 8) & 1)
        }),
    };
    let spare = 64 - layout.bits;
    match layout.number {
        Number::Unsigned => raw as f64,
        Number::Signed => ((raw << spare) as i64 >> spare) as f64,
        Number::Float => match bits {
            16 => f16::from_bits(raw as u16).to_f64(),
            32 => f32::from_bits(raw as u32).into(),
            _ => f64::from_bits(raw),
        },
    }
}

/// At most eight bytes.
#[inline]
fn unsigned(bytes: &[u8], little_endian: bool) -> u64 {
    let mut wide = [0; 8];
    if little_endian {
        wide[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(wide)
    } else {
        wide[8 - bytes.len()..].copy_from_slice(bytes);
        u64::from_be_bytes(wide)
    }
}
