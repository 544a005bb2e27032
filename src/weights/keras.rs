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
    let mut unpacker = Unpacker::new(source);
    let mut open = |name: &'static str| {
        let member = archive.member(name).ok_or(KerasError::Missing(name))?;
        Ok::<Data, KerasError>(unpacker.open(member)?)
    };
    let mut json = |name: &'static str| {
        let data = open(name)?;
        let fits = data.len() <= MAX_JSON;
        let mut bytes = vec![0; if fits { data.len() } else { 0 }];
        data.decode(source.bytes(), 0, &mut bytes);
        let text = String::from_utf8(bytes).ok().filter(|_| fits);
        text.ok_or(KerasError::Json(name))
    };
    let config = json("config.json")?;
    let about: Value = serde_json::from_str(&json("metadata.json")?)
        .map_err(|_| KerasError::Json("metadata.json"))?;
    let mut contents = match open(WEIGHTS)? {
        Data::Raw(span) => hdf5::read(source, span)?,
        // What HDF5 is read from lies anywhere in it: unpacked as a whole.
        packed => {
            let len = packed.len();
            if len > source.bytes().len().saturating_add(UNPACKED) {
                return Err(KerasError::Bomb);
            }
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
