//! Where a tensor's bytes lie.

use std::ops::Range;
use std::sync::Arc;

use crate::weights::deflated::Deflated;
use crate::weights::latin1::Latin1;

/// Where the bytes of a tensor lie in its source.
#[derive(Clone, Debug)]
pub(in crate::weights) enum Data {
    Raw(Range<usize>),
    Latin1(Arc<Latin1>),
    Deflated(Deflated),
}

impl Data {
    /// Bytes of data, decoded.
    pub(in crate::weights) fn len(&self) -> usize {
        match self {
            Self::Raw(range) => range.len(),
            Self::Latin1(text) => text.len(),
            Self::Deflated(packed) => packed.len(),
        }
    }

    /// The same bytes in a file without the first `count`, of at most `len()`; text has none that
    /// could be left out.
    pub(in crate::weights) fn skip(self, count: usize) -> Self {
        match self {
            Self::Raw(range) => Self::Raw(range.start + count..range.end),
            Self::Deflated(packed) => Self::Deflated(packed.skip(count)),
            Self::Latin1(_) => unreachable!("text lies within a pickle"),
        }
    }

    /// Writes the decoded bytes from `start` on into `out`. Panics if they are not there.
    pub(in crate::weights) fn decode(&self, file: &[u8], start: usize, out: &mut [u8]) {
        match self {
            Self::Raw(range) => out.copy_from_slice(&file[range.clone()][start..][..out.len()]),
            Self::Latin1(text) => text.decode(file, start, out),
            Self::Deflated(packed) => packed.decode(file, start, out),
        }
    }
}
