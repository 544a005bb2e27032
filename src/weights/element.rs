//! How the elements of a tensor are encoded, and how they become float32.

use half::{bf16, f16};

/// Element types that weights come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE half precision.
    F16,
    /// The upper half of a float32.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Eight bits, four of them exponent, without infinities.
    F8E4M3,
    /// Eight bits, five of them exponent.
    F8E5M2,
    /// Whole numbers, which are weights only with a scale: no tensor of [`Weights::tensors`](super::Weights::tensors)
    /// has this type or one of the following.
    I8,
    /// Whole numbers from 0 on.
    U8,
    /// Whole numbers.
    I32,
    /// Whole numbers.
    I64,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// The type's name in numpy and torch: `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::F8E4M3 => "float8_e4m3fn",
            Self::F8E5M2 => "float8_e5m2",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I32 => "int32",
            Self::I64 => "int64",
        }
    }
}

/// Order of the bytes of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

/// The encoding of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) dtype: DType,
    pub(super) endian: Endian,
}

impl Element {
    /// What a GPU takes as it is.
    pub(super) const F32_LE: Self = Self {
        dtype: DType::F32,
        endian: Endian::Little,
    };

    /// Rounds elements `first`, `first + step`, ... of `data` to float32, one for each place in
    /// `out`. A step of 0 repeats one.
    pub(super) fn decode(self, data: &[u8], first: usize, step: usize, out: &mut [f32]) {
        let data = &data[first * self.dtype.size()..];
        match self.dtype {
            DType::F16 => self.each(data, step, out, |b| f16::from_le_bytes(b).to_f32()),
            DType::BF16 => self.each(data, step, out, |b| bf16::from_le_bytes(b).to_f32()),
            DType::F32 => self.each(data, step, out, f32::from_le_bytes),
            DType::F64 => self.each(data, step, out, |b| f64::from_le_bytes(b) as f32),
            DType::F8E4M3 => self.each(data, step, out, |[b]| e4m3(b)),
            // The upper half of a half.
            DType::F8E5M2 => self.each(data, step, out, |[b]| f16::from_le_bytes([0, b]).to_f32()),
            DType::I8 => self.each(data, step, out, |b| i8::from_le_bytes(b).into()),
            DType::U8 => self.each(data, step, out, |[b]| b.into()),
            DType::I32 => self.each(data, step, out, |b| i32::from_le_bytes(b) as f32),
            DType::I64 => self.each(data, step, out, |b| i64::from_le_bytes(b) as f32),
        }
    }

    fn each<const SIZE: usize>(
        self,
        data: &[u8],
        step: usize,
        out: &mut [f32],
        decode: impl Fn([u8; SIZE]) -> f32,
    ) {
        match self.endian {
            Endian::Little => strided(data, step, out, decode),
            Endian::Big => strided(data, step, out, |mut bytes: [u8; SIZE]| {
                bytes.reverse();
                decode(bytes)
            }),
        }
    }
}

/// A sign, four bits of exponent with a bias of 7, three of mantissa; all ones are no number, and there is no infinity.
fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 0xF), f32::from(bits & 7));
    let magnitude = match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2_f32.powi(-9),
        _ => (8.0 + mantissa) * 2_f32.powi(exponent - 10),
    };
    if bits >> 7 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

fn strided<const SIZE: usize>(
    data: &[u8],
    step: usize,
    out: &mut [f32],
    decode: impl Fn([u8; SIZE]) -> f32,
) {
    let (elements, _) = data.as_chunks::<SIZE>();
    if step == 0 {
        if let Some(&bytes) = elements.first() {
            out.fill(decode(bytes));
        }
    } else if step == 1 {
        // The same loop as below; known neighbours let the compiler use vectors.
        for (value, &bytes) in out.iter_mut().zip(elements) {
            *value = decode(bytes);
        }
    } else {
        for (value, &bytes) in out.iter_mut().zip(elements.iter().step_by(step)) {
            *value = decode(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_the_numbers_that_torch_makes_of_them() {
        let decode = |dtype, bits: u8| {
            let mut out = [0.0];
            let endian = Endian::Little;
            Element { dtype, endian }.decode(&[bits], 0, 1, &mut out);
            out[0]
        };
        for (bits, value) in [
            (0x01, 0.001_953_125),
            (0x07, 0.013_671_875),
            (0x08, 0.015_625),
            (0x77, 240.0),
            (0x7e, 448.0),
            (0x81, -0.001_953_125),
            (0xb8, -1.0),
        ] {
            assert_eq!(decode(DType::F8E4M3, bits), value, "{bits:x}");
        }
        assert!(decode(DType::F8E4M3, 0x7f).is_nan());
        for (bits, value) in [(0x01, 1.525_878_9e-5), (0x7b, 57344.0), (0xbc, -1.0)] {
            assert_eq!(decode(DType::F8E5M2, bits), value, "{bits:x}");
        }
        assert_eq!(decode(DType::F8E5M2, 0x7c), f32::INFINITY);
        assert_eq!(
            (decode(DType::I8, 0xfe), decode(DType::U8, 0xfe)),
            (-2.0, 254.0)
        );
    }
}
