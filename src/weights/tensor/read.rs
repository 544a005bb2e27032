//! A tensor's elements as float32.

use super::{Data, Tensor};
use crate::weights::element::Element;

/// Bytes decoded from text or unpacked at once: many, since each beginning in the middle costs some.
const DECODED: usize = 256 << 10;

/// Elements read at once where all of a tensor is looked through.
const PIECE: usize = 1 << 20;

impl Tensor {
    /// Writes the elements `start..start + out.len()` in C (row-major) order into `out`, rounded to
    /// float32.
    ///
    /// # Panics
    /// When that range is not within `0..len()`.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        self.check(start, out.len());
        self.read_unscaled(start, out);
        if let Some(mask) = &self.mask {
            let mut factors = vec![0.0; PIECE.min(out.len())];
            let mut next = start;
            for piece in out.chunks_mut(PIECE) {
                let factors = &mut factors[..piece.len()];
                mask.read(next, factors);
                piece
                    .iter_mut()
                    .zip(factors)
                    .for_each(|(value, f)| *value *= *f);
                next += piece.len();
            }
        }
        let inner = |axis: usize| self.shape[axis + 1..].iter().product();
        let scales: Vec<(usize, &[f64], &[f64])> = self
            .scales
            .iter()
            .map(|scale| (inner(scale.axis), &scale.factors[..], &scale.zeros[..]))
            .collect();
        if !scales.is_empty() {
            for (i, value) in (start..).zip(out) {
                *value = scales
                    .iter()
                    .fold(f64::from(*value), |value, (inner, factors, zeros)| {
                        let place = i / inner % factors.len();
                        (value - zeros.get(place).unwrap_or(&0.0)) * factors[place]
                    }) as f32;
            }
        }
    }

    fn read_unscaled(&self, start: usize, out: &mut [f32]) {
        let file = self.source.bytes();
        let contiguous = self.is_contiguous();
        match &self.data {
            Data::Raw(range) if contiguous => {
                self.element.decode(&file[range.clone()], start, 1, out);
            }
            Data::Raw(range) => self.gather(&file[range.clone()], start, out),
            encoded if contiguous => {
                let size = self.element.dtype.size();
                let mut decoded = vec![0; DECODED.min(out.len() * size)];
                let mut first = start;
                for piece in out.chunks_mut(DECODED / size) {
                    let decoded = &mut decoded[..piece.len() * size];
                    encoded.decode(file, first * size, decoded);
                    self.element.decode(decoded, 0, 1, piece);
                    first += piece.len();
                }
            }
            // Both are rare. Neighbours lie far apart and text is decoded in one direction: all of
            // it.
            encoded => {
                let mut decoded = vec![0; encoded.len()];
                encoded.decode(file, 0, &mut decoded);
                self.gather(&decoded, start, out);
            }
        }
    }

    /// All elements in C (row-major) order as float32.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }

    /// The first element that is infinite or no number, and where it is in C order. Reads all of them, in pieces.
    pub fn first_not_finite(&self) -> Option<(usize, f32)> {
        let mut piece = vec![0.0; PIECE.min(self.len())];
        (0..self.len()).step_by(PIECE).find_map(|start| {
            let piece = &mut piece[..PIECE.min(self.len() - start)];
            self.read(start, piece);
            self.release(start, piece.len());
            let found = piece.iter().position(|value| !value.is_finite())?;
            Some((start + found, piece[found]))
        })
    }

    /// The elements as the file has them, when these are float32 in little-endian C order: nothing
    /// is copied, and the first byte may lie at any address.
    pub fn f32_bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Raw(range)
                if self.element == Element::F32_LE
                    && self.scales.is_empty()
                    && self.mask.is_none()
                    && self.is_contiguous() =>
            {
                Some(&self.source.bytes()[range.clone()])
            }
            _ => None,
        }
    }

    /// Tells the system that the elements `start..start + len` are not needed soon, so that a large
    /// file does not stay in memory beside its copy on the GPU. They may be read again all the
    /// same. Without effect where nothing is mapped.
    ///
    /// # Panics
    /// When that range is not within `0..len()`.
    pub fn release(&self, start: usize, len: usize) {
        self.check(start, len);
        if let Some(mask) = &self.mask {
            mask.release(start, len);
        }
        let size = self.element.dtype.size();
        // Elements in another order are spread over all of the data.
        let bytes = if self.is_contiguous() {
            start * size..(start + len) * size
        } else {
            0..self.data.len()
        };
        if bytes.is_empty() {
            return;
        }
        self.source.release(match &self.data {
            Data::Raw(range) => range.start + bytes.start..range.start + bytes.end,
            Data::Latin1(text) => text.encoded(bytes),
            Data::Deflated(packed) => packed.packed(),
        });
    }

    fn check(&self, start: usize, len: usize) {
        let end = start.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "elements {start}+{len} of {}",
            self.len()
        );
    }

    /// Reads elements `start..` in C order through the strides, one run along the last dimension
    /// after the other.
    fn gather(&self, data: &[u8], start: usize, out: &mut [f32]) {
        let Some((&row, &step)) = self.shape.last().zip(self.strides.last()) else {
            return self.element.decode(data, 0, 1, out);
        };
        let mut next = start;
        let mut rest = out;
        while !rest.is_empty() {
            let column = next % row;
            let (run, others) = rest.split_at_mut((row - column).min(rest.len()));
            self.element.decode(data, self.offset(next), step, run);
            next += run.len();
            rest = others;
        }
    }

    /// Position in the data, in elements, of element `index` in C order.
    fn offset(&self, mut index: usize) -> usize {
        let mut offset = 0;
        for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
            offset += index % length * stride;
            index /= length;
        }
        offset
    }
}
