//! `.npz`: a zip archive with one `.npy` file for each array, under the name that its writer gave.
//! <https://numpy.org/doc/stable/reference/generated/numpy.savez.html>
//!
//! What `savez` writes is used in place; what `savez_compressed` writes is unpacked when it is read.

use std::sync::Arc;

use thiserror::Error;

use super::Contents;
use super::npy::{self, NpyError};
use super::source::Source;
use super::zip::{Archive, Unpacker, ZipError};

/// Bytes that all compressed pickles together may take: a pickle cannot be read without its data.
const PICKLES: usize = 16 << 20;

/// Arrays in members at most; a pickled member may hold as many again as its own reader allows.
const MAX_TENSORS: usize = 1 << 14;

/// Why an `.npz` file was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NpzError {
    /// The archive, or a compressed member.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// A member is no array, or a damaged one.
    #[error("{name:?}: {error}")]
    Npy {
        /// The member.
        name: String,
        /// What is wrong with it.
        error: Box<NpyError>,
    },
    /// A pickled member has a tensor with the name of another member.
    #[error("two arrays have the name {name:?}")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// More arrays than any network has.
    #[error("there are more than {MAX_TENSORS} arrays")]
    TooMany,
}

/// Name of the array in a member of that name.
pub(super) fn array_name(member: &str) -> Option<&str> {
    member.strip_suffix(".npy")
}

/// Reads the members that are arrays, each under its name without `.npy`.
pub(super) fn read(source: &Arc<Source>, archive: &Archive<'_>) -> Result<Contents, NpzError> {
    let mut all = Contents::default();
    let unpacker = Unpacker::new(source, archive)?;
    let mut pickles = PICKLES;
    for member in &archive.members {
        let Some(name) = array_name(member.name) else {
            continue;
        };
        let data = unpacker.open(member)?;
        let read = npy::read_member(source, data.clone(), name, &mut pickles);
        // An array of another length than its member's is refused before anything is unpacked but its header.
        if !matches!(read, Err(NpyError::Tensor(_))) {
            unpacker.verify(member, &data)?;
        }
        let contents = read.map_err(|error| NpzError::Npy {
            name: member.name.to_owned(),
            error: Box::new(error),
        })?;
        let names = contents.tensors.keys().chain(contents.skipped.keys());
        for name in names {
            if all.tensors.contains_key(name) || all.skipped.contains_key(name) {
                let name = name.clone();
                return Err(NpzError::Duplicate { name });
            }
        }
        all.tensors.extend(contents.tensors);
        all.order.extend(contents.order);
        all.notes.extend(contents.notes);
        all.skipped.extend(contents.skipped);
        if all.tensors.len() + all.skipped.len() > MAX_TENSORS {
            return Err(NpzError::TooMany);
        }
    }
    // `savez(path, weights)` of a dictionary invents this name for it.
    let invented = |name: &String| name.starts_with("arr_0/");
    if all.tensors.keys().all(invented) {
        all = all.below("arr_0/");
    }
    Ok(all)
}
