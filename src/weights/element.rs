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
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The type's name in numpy and torch: `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
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
