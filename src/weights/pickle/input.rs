//! The bytes of a pickle, read forward: numbers, lengths, lines, and where strings lie.

use std::ops::Range;

use super::PickleError;

/// Bytes in a module's or function's name at most, and in a number that is written as text.
pub(super) const MAX_WORD: usize = 256;

/// Bytes that are read from `at` on.
pub(super) struct Input<'a> {
    pub(super) file: &'a [u8],
    pub(super) at: usize,
}

/// Why an opcode cannot be run; which it is, [`load`](super::load) knows.
pub(super) enum Fault {
    /// The file ends so many bytes too early, at least.
    Truncated(u64),
    /// The opcode finds nothing, or a value of the wrong kind.
    Damaged,
    /// It is none of those that are known here.
    Unknown,
    /// Something that says itself what it is.
    Other(PickleError),
}

impl Fault {
    /// The error of `opcode`, which stands at `at`.
    pub(super) fn of(self, opcode: u8, at: usize) -> PickleError {
        match self {
            Self::Truncated(missing) => PickleError::Truncated { missing },
            Self::Damaged => PickleError::Damaged { opcode, at },
            Self::Unknown => PickleError::Opcode { opcode, at },
            Self::Other(error) => error,
        }
    }
}

impl<'a> Input<'a> {
    pub(super) fn check_ahead(&self, length: u64) -> Result<(), Fault> {
        let left = (self.file.len() - self.at) as u64;
        match length.checked_sub(left) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(Fault::Truncated(missing)),
        }
    }

    /// Passes over `length` bytes and says where they are.
    pub(super) fn span(&mut self, length: u64) -> Result<Range<usize>, Fault> {
        self.check_ahead(length)?;
        let start = self.at;
        self.at += length as usize;
        Ok(start..self.at)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let span = self.span(N as u64)?;
        Ok(self.file[span].try_into().expect("the span has N bytes"))
    }

    /// A little-endian number of `width` bytes, at most 8.
    pub(super) fn unsigned(&mut self, width: u64) -> Result<u64, Fault> {
        let span = self.span(width)?;
        Ok(self.file[span]
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Passes over bytes that their length, a number of `width` bytes, goes before.
    pub(super) fn counted(&mut self, width: u64) -> Result<Range<usize>, Fault> {
        let length = self.unsigned(width)?;
        self.span(length)
    }

    /// Passes over an argument that ends with the line, and says where it is without the line's end.
    pub(super) fn line(&mut self) -> Result<Range<usize>, Fault> {
        let rest = &self.file[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or(Fault::Truncated(1))?;
        let start = self.at;
        self.at += length + 1;
        Ok(start..start + length)
    }

    /// A name or a number that ends with the line.
    pub(super) fn word(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.file[self.at..];
        let near = &rest[..rest.len().min(MAX_WORD)];
        if near.len() == MAX_WORD && !near.contains(&b'\n') {
            return Err(Fault::Damaged);
        }
        let line = self.line()?;
        std::str::from_utf8(&self.file[line]).map_err(|_| Fault::Damaged)
    }
}

/// A signed integer of any length in two's complement; `None` when it does not fit.
pub(super) fn little_endian(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut wide = [if negative { 0xFF } else { 0 }; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}
