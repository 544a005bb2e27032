//! `.keras`: a zip archive with the architecture as `config.json`, the weights as HDF5 and the
//! version of Keras in `metadata.json`.
//! <https://keras.io/guides/serialization_and_saving/>

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::Contents;
use super::hdf5::{self, Hdf5Error};
use super::source::Source;
use super::tensor::Data;
use super::zip::{Archive, Unpacker, ZipError};

const WEIGHTS: &str = "model.weights.h5";

/// Bytes of JSON in a member at most: a thousand layers take half a million.
const MAX_JSON: usize = 4 << 20;

/// Bytes that compressed weights may take in memory beyond the length of the archive.
const UNPACKED: usize = 8 << 20;

/// Why a `.keras` archive was not read.
#[derive(Debug, Error)]
pub enum KerasError {
    /// The archive, or a compressed member.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The weights in it.
    #[error("{WEIGHTS}: {0}")]
    Hdf5(#[from] Hdf5Error),
    /// A member that every such archive has.
    #[error("{0} is missing from the archive: it is not what Keras saves")]
    Missing(&'static str),
    /// A member that is text is not, or is longer than any network's.
    #[error("{0} is damaged")]
    Json(&'static str),
    /// Compressed weights, much longer than the archive.
    #[error(
        "{WEIGHTS} unpacks to more than the archive's length and 8 MiB: write it without compression, as Keras does"
    )]
    Bomb,
}

/// Reads the weights by their paths in the HDF5 member; the architecture becomes the metadata
/// `model_config`, as Keras calls it in `.h5` files.
pub(super) fn read(source: &Arc<Source>, archive: &Archive<'_>) -> Result<Contents, KerasError> {
    let unpacker = Unpacker::new(source, archive)?;
    // Lengths are held against `max` before anything is unpacked.
    let open = |name: &'static str, max: usize, too_long: KerasError| {
        let member = archive.member(name).ok_or(KerasError::Missing(name))?;
        let data = unpacker.open(member)?;
        if data.len() > max {
            return Err(too_long);
        }
        unpacker.verify(member, &data)?;
        Ok(data)
    };
    let json = |name: &'static str| {
        let data = open(name, MAX_JSON, KerasError::Json(name))?;
        let mut bytes = vec![0; data.len()];
        data.decode(source.bytes(), 0, &mut bytes);
        String::from_utf8(bytes).map_err(|_| KerasError::Json(name))
    };
    let config = json("config.json")?;
    let about: Value = serde_json::from_str(&json("metadata.json")?)
        .map_err(|_| KerasError::Json("metadata.json"))?;
    let room = source.bytes().len().saturating_add(UNPACKED);
    let mut contents = match open(WEIGHTS, room, KerasError::Bomb)? {
        Data::Raw(span) => hdf5::read(source, span)?,
        // What HDF5 is read from lies anywhere in it: unpacked as a whole.
        packed => {
            let len = packed.len();
            let mut bytes = vec![0; len];
            packed.decode(source.bytes(), 0, &mut bytes);
            hdf5::read(&Arc::new(Source::Owned(bytes)), 0..len)?
        }
    };
    contents.metadata.insert("model_config".into(), config);
    if let Some(version) = about["keras_version"].as_str() {
        let version = version.to_owned();
        contents.metadata.insert("keras_version".into(), version);
    }
    Ok(contents)
}
