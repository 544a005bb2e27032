//! The bytes of an HDF5 file for the crate that parses it, until a budget is spent: whatever
//! structures point at each other in circles or at the same bytes again and again, the work and
//! the memory end.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hdf5_reader::error::{Error, Result};
use hdf5_reader::storage::{Storage, StorageBuffer};

use super::super::source::Source;

/// A part of a source that is an HDF5 file.
pub(super) struct Bounded {
    source: Arc<Source>,
    span: Range<usize>,
    left: AtomicUsize,
}

impl Bounded {
    /// Serves `budget` bytes, those that are asked for twice counted twice.
    pub(super) fn new(source: &Arc<Source>, span: Range<usize>, budget: usize) -> Self {
        Self {
            source: Arc::clone(source),
            span,
            left: AtomicUsize::new(budget),
        }
    }

    /// Takes `bytes` from the budget, for what is copied rather than read.
    pub(super) fn take(&self, bytes: usize) -> Result<()> {
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        match spent {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::ResourceLimit(
                "it has more structure than any network, or structure that repeats itself".into(),
            )),
        }
    }
}

impl Storage for Bounded {
    fn len(&self) -> u64 {
        self.span.len() as u64
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer> {
        let eof = || Error::UnexpectedEof {
            offset,
            needed: len as u64,
            available: self.len().saturating_sub(offset),
        };
        let start = usize::try_from(offset).map_err(|_| eof())?;
        let end = start.checked_add(len).ok_or_else(eof)?;
        if end > self.span.len() {
            return Err(eof());
        }
        self.take(len)?;
        let source = Arc::clone(&self.source);
        StorageBuffer::from_shared_owner(source, self.span.start + start, len)
    }
}

impl AsRef<[u8]> for Source {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
