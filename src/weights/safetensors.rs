//! `.safetensors`: a length, a JSON header with name, type, shape and place of each tensor, then
//! the tensors.
//!
//! The header's parser is the format's own crate. It verifies that shapes fill their ranges without
//! overflow and that the ranges follow each other without overlaps or holes. That the file ends
//! with the last one is verified here, to say by how much it is cut off; and the header may be
//! shorter than the crate's 100 MB, which JSON in memory multiplies.

use std::sync::Arc;

use ::safetensors::Dtype;
use ::safetensors::tensor::Metadata;
use thiserror::Error;

use super::element::{DType, Element, Endian};
use super::source::Source;
use super::tensor::{Data, Order, Tensor, TensorError};
use super::{Contents, Skipped};

/// Bytes before the header: its length.
const PREFIX: usize = 8;

/// Bytes of header at most: a tensor takes about a hundred, the names of 21,000 classes half a
/// million.
pub(crate) const MAX_HEADER: u64 = 2 << 20;

/// Why a `.safetensors` file was not read.
#[derive(Debug, Error)]
pub enum SafetensorsError {
    /// The file ends before its last tensor does.
    #[error("the file is cut off: {missing} more bytes belong to it, copy or download it again")]
    Truncated {
        /// Bytes that are not there; at least these, where the header itself is cut.
        missing: u64,
    },
    /// The file goes on after its last tensor.
    #[error("{0} bytes follow the last tensor")]
    Trailing(usize),
    /// A header longer than any network's.
    #[error("the header takes {0} bytes, more than any network's")]
    Header(u64),
    /// The header is damaged.
    #[error("the safetensors header is damaged: {0}")]
    Format(serde_json::Error),
    /// A tensor does not fit its data.
    #[error("{name:?}: {error}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What does not fit.
        error: TensorError,
    },
}

/// Reads the tensors and the file's own metadata.
pub(super) fn read(source: &Arc<Source>) -> Result<Contents, SafetensorsError> {
    let file = source.bytes();
    let header = header(file)?;
    let start = PREFIX + header.len();
    let found = file.len() - start;
    let metadata: Metadata = serde_json::from_slice(header).map_err(SafetensorsError::Format)?;
    let needed = metadata.data_len();
    if needed > found {
        return Err(SafetensorsError::Truncated {
            missing: (needed - found) as u64,
        });
    }
    if needed < found {
        return Err(SafetensorsError::Trailing(found - needed));
    }

    let mut contents = Contents::default();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::F8_E4M3 => DType::F8E4M3,
            Dtype::F8_E5M2 => DType::F8E5M2,
            other => {
                contents.skipped.insert(
                    name,
                    Skipped {
                        dtype: other.to_string(),
                        shape: info.shape.clone(),
                    },
                );
                continue;
            }
        };
        let element = Element {
            dtype,
            endian: Endian::Little,
        };
        let (first, end) = info.data_offsets;
        let data = Data::Raw(start + first..start + end);
        match Tensor::dense(source, data, element, info.shape.clone(), Order::C) {
            Ok(tensor) => contents.tensors.insert(name, tensor),
            Err(error) => return Err(SafetensorsError::Tensor { name, error }),
        };
    }
    let matrix = contents
        .skipped
        .iter()
        .find(|(_, skipped)| skipped.shape.len() > 1);
    if let Some((name, Skipped { dtype, .. })) = matrix {
        contents.notes.push(format!(
            "tensors of whole numbers are not read, such as {name:?} of type {dtype}: the file does not say by which scale \
             they are weights; in Python, dequantize the model and save it in float16 or float32"
        ));
    }
    contents.metadata = metadata
        .metadata()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok(contents)
}

/// The JSON of the header.
fn header(file: &[u8]) -> Result<&[u8], SafetensorsError> {
    let Some((length, rest)) = file.split_first_chunk::<PREFIX>() else {
        return Err(SafetensorsError::Truncated {
            missing: (PREFIX - file.len()) as u64,
        });
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(SafetensorsError::Header(length));
    }
    rest.get(..length as usize)
        .ok_or_else(|| SafetensorsError::Truncated {
            missing: length - rest.len() as u64,
        })
}
