//! Protobuf's wire format: the fields of a message, one after the other, as places in the file.
//! <https://protobuf.dev/programming-guides/encoding/>

use std::ops::Range;

use super::OnnxError;

/// A field's value.
pub(super) enum Field {
    Varint(u64),
    /// Where its eight bytes are.
    Fixed64(Range<usize>),
    /// A string, a message or packed numbers: where its bytes are.
    Bytes(Range<usize>),
    /// Where its four bytes are.
    Fixed32(Range<usize>),
}

impl Field {
    /// As a whole number; protobuf stores `int32` and `int64` in the same 64 bits.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Varint(value) => Some(*value as i64),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> Option<Range<usize>> {
        match self {
            Self::Bytes(range) => Some(range.clone()),
            _ => None,
        }
    }
}

/// A message whose fields are still to be read.
pub(super) struct Message<'a> {
    file: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Message<'a> {
    /// The file itself as a message.
    pub(super) fn whole(file: &'a [u8]) -> Self {
        Self::within(file, 0..file.len())
    }

    /// The message in `range`, which lies in the file.
    pub(super) fn within(file: &'a [u8], range: Range<usize>) -> Self {
        Self {
            file,
            at: range.start,
            end: range.end,
        }
    }

    /// Where the next field begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Number and value of the next field; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field)>, OnnxError> {
        if self.at == self.end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(self.take(4)?),
            // Groups (3 and 4) are the one recursive encoding; ONNX never had them.
            _ => return Err(OnnxError::Damaged { at: start }),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>, OnnxError> {
        let room = (self.end - self.at) as u64;
        if length > room {
            return Err(self.cut(length - room));
        }
        let range = self.at..self.at + length as usize;
        self.at = range.end;
        Ok(range)
    }

    fn varint(&mut self) -> Result<u64, OnnxError> {
        let start = self.at;
        match varint(&self.file[start..self.end]) {
            Some((value, length)) => {
                self.at += length;
                Ok(value)
            }
            None if self.end - start < MAX_VARINT => Err(self.cut(1)),
            None => Err(OnnxError::Damaged { at: start }),
        }
    }

    /// Bytes that are missing: the rest of the file at its end, damage before.
    fn cut(&self, missing: u64) -> OnnxError {
        if self.end == self.file.len() {
            OnnxError::Truncated { missing }
        } else {
            OnnxError::Damaged { at: self.at }
        }
    }
}

/// Bytes of the longest number.
const MAX_VARINT: usize = 10;

/// The number that `bytes` begin with, seven bits a byte, and its length; `None` where it does not end.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_read_back() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX >> 1,
            u64::MAX,
        ] {
            let mut bytes = vec![];
            let mut rest = value;
            while rest > 127 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            assert_eq!(varint(&bytes), Some((value, bytes.len())));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(varint(&[0xff; 11]), None);
    }

    #[test]
    fn a_length_beyond_the_file_is_a_cut_and_beyond_its_message_damage() {
        let file = [0x0a, 3, 0x0a, 9, 0, 0x10, 1];
        let mut outer = Message::whole(&file);
        let Ok(Some((1, Field::Bytes(inner)))) = outer.next() else {
            panic!("a message in the first field");
        };
        let error = Message::within(&file, inner).next().err();
        assert!(matches!(error, Some(OnnxError::Damaged { .. })));
        assert!(matches!(outer.next(), Ok(Some((2, Field::Varint(1))))));
        assert!(matches!(outer.next(), Ok(None)));
        let error = Message::whole(&file[..4]).next().err();
        assert!(matches!(error, Some(OnnxError::Truncated { missing: 1 })));
        let error = Message::whole(&[0x0b, 0x0c]).next().err();
        assert!(matches!(error, Some(OnnxError::Damaged { at: 0 })));
    }
}
