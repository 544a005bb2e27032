//! Datasets in chunks, perhaps compressed: `h5repack` and people write them, Keras does not.
//!
//! The crate unpacks them. What it may need beside the result is bounded by its options, what the
//! results may take together by the length of the file.

use std::ops::Range;
use std::sync::Arc;

use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{Hdf5File, OpenOptions};

use super::super::source::Source;
use super::super::tensor::element_count;
use super::{Bounded, Dataset, Hdf5Error, MAX_HEADER, STRUCTURE, damaged};

/// Bytes that all chunked datasets together may take in memory beyond the length of the file.
const UNPACKED: usize = 8 << 20;
/// Bytes of one chunk at most, unpacked; h5py makes them of one MiB.
const MAX_CHUNK: usize = 8 << 20;

/// Refuses a dataset that the crate would read more of than its chunks.
pub(super) fn check(path: &str, header: &ObjectHeader) -> Result<(), Hdf5Error> {
    let dense = header.messages.iter().any(|message| match message {
        HdfMessage::AttributeInfo(info) => {
            // All ones, whatever the size of an offset.
            let undefined = |size| Cursor::is_undefined_offset(info.fractal_heap_address, size);
            !(undefined(8) || undefined(4))
        }
        _ => false,
    });
    if dense {
        return Err(Hdf5Error::Unsupported {
            path: path.into(),
            what: "keeps its attributes in a fractal heap",
        });
    }
    Ok(())
}

/// What may still be unpacked from a file.
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new(span: &Range<usize>) -> Self {
        Self(span.len().saturating_add(UNPACKED))
    }

    /// The bytes of `dataset`, in C order.
    pub(super) fn unpack(
        &mut self,
        source: &Arc<Source>,
        span: &Range<usize>,
        dataset: &Dataset,
    ) -> Result<Vec<u8>, Hdf5Error> {
        let path = &dataset.path;
        let bomb = || Hdf5Error::Bomb { path: path.clone() };
        let len = element_count(&dataset.shape)
            .and_then(|count| count.checked_mul(dataset.element.dtype.size()))
            .ok_or_else(bomb)?;
        self.0 = self.0.checked_sub(len).ok_or_else(bomb)?;
        // Every byte of the file is needed once, and the structure again.
        let budget = span.len().saturating_add(STRUCTURE);
        let storage = Arc::new(Bounded::new(source, span.clone(), budget));
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_chunk_cache_slots(1)
            .with_max_chunk_bytes(MAX_CHUNK)
            .with_max_object_header_bytes(MAX_HEADER);
        // Opened anew each time: it would keep a copy of every dataset that it has read.
        let read = || {
            let file = Hdf5File::from_storage_with_options(storage, options)?;
            let mut bytes = vec![0; len];
            file.dataset(path)?.read_raw_bytes_into(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| damaged(path, error))
    }
}
