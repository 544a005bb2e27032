//! HDF5, as Keras 2 writes whole models and Keras 3 their weights.
//!
//! The structures are parsed by the `hdf5-reader` crate, which checks every length against the
//! file. Its own walk through groups and its string attributes copy what a file repeats by
//! reference, so a small file can make it take gigabytes: the walk here goes from one object
//! header to the next itself, through a [storage](bounded::Bounded) that runs dry. Contiguous data
//! stay in the mapped file; chunked ones, which Keras never writes, are unpacked once.

mod attribute;
mod bounded;
mod chunked;
mod links;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use hdf5_reader::error::{ByteOrder, Error};
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::dataspace::{DataspaceMessage, DataspaceType};
use hdf5_reader::messages::datatype::{Datatype, DatatypeMessage};
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::superblock::Superblock;
use thiserror::Error;

use super::element::{DType, Element, Endian};
use super::source::Source;
use super::tensor::{Data, Order, Tensor, TensorError};
use super::{Contents, Skipped};
use attribute::Attributes;
use bounded::Bounded;

/// What an HDF5 file begins with.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Bytes of structure read at most, those read twice counted twice: the largest networks of
/// keras.applications take two million.
const STRUCTURE: usize = 8 << 20;
/// Bytes of one object header at most. It holds the names of a layer's weights.
const MAX_HEADER: usize = 1 << 19;
/// Groups within groups at most.
const MAX_DEPTH: usize = 32;

/// Why an HDF5 file was not read.
#[derive(Debug, Error)]
pub enum Hdf5Error {
    /// The file is shorter than it says.
    #[error("the file is cut off: {missing} more bytes belong to it, copy or download it again")]
    Truncated {
        /// Bytes that are not there; at least these, where the first structure itself is cut.
        missing: u64,
    },
    /// A structure contradicts itself or the file.
    #[error("the HDF5 file is damaged at {path:?}: {error}")]
    Damaged {
        /// The group or dataset.
        path: String,
        /// What is wrong with it.
        error: Error,
    },
    /// A group that contains itself.
    #[error("the group {path:?} comes twice: it may contain itself")]
    Loop {
        /// One way to it.
        path: String,
    },
    /// Groups within groups beyond what any network has.
    #[error("{path:?} lies more than {MAX_DEPTH} groups deep")]
    Depth {
        /// The group.
        path: String,
    },
    /// A link's name that is empty, very long or no text.
    #[error("the group {path:?} has an entry with a name that is refused")]
    Name {
        /// The group.
        path: String,
    },
    /// A part of the format that Keras does not write.
    #[error("{path:?} {what}, which Keras does not write and is not read here")]
    Unsupported {
        /// The group or dataset.
        path: String,
        /// What it has, as a phrase.
        what: &'static str,
    },
    /// A tensor does not fit its data.
    #[error("{path:?}: {error}")]
    Tensor {
        /// The dataset.
        path: String,
        /// What does not fit.
        error: TensorError,
    },
    /// A dataset whose data were never written.
    #[error("the dataset {path:?} has no data: the file was not written to its end")]
    Unwritten {
        /// The dataset.
        path: String,
    },
    /// Compressed data that announce more than the file's length and 8 MiB.
    #[error(
        "{path:?} and the compressed datasets before it announce more than the file's length and 8 MiB: write them without compression"
    )]
    Bomb {
        /// The dataset.
        path: String,
    },
}

/// Reads the tensors by their paths in the file, `block1_conv1/block1_conv1/kernel:0`, and the
/// attributes that Keras writes: those of the root under their own names, those of a group as
/// `group@attribute`. Lists of strings become JSON.
///
/// `span` is the part of `source` that is the HDF5 file.
pub(super) fn read(source: &Arc<Source>, span: Range<usize>) -> Result<Contents, Hdf5Error> {
    let storage = Bounded::new(source, span.clone(), STRUCTURE);
    let damaged = |error| damaged("/", error);
    let superblock = Superblock::parse_from_storage(&storage).map_err(|error| match error {
        Error::UnexpectedEof {
            needed, available, ..
        } => Hdf5Error::Truncated {
            missing: needed.saturating_sub(available),
        },
        error => damaged(error),
    })?;
    let end = superblock.eof_address;
    if end > span.len() as u64 {
        return Err(Hdf5Error::Truncated {
            missing: end - span.len() as u64,
        });
    }
    if superblock.base_address != 0 {
        return Err(Hdf5Error::Unsupported {
            path: "/".into(),
            what: "begins behind a user block",
        });
    }
    let root = superblock.root_object_header_address().map_err(damaged)?;
    let mut walk = Walk {
        source,
        span,
        attributes: Attributes::default(),
        groups: BTreeSet::new(),
        chunked: vec![],
        contents: Contents::default(),
        file: File {
            storage,
            superblock,
        },
    };
    walk.group(String::new(), root)?;
    walk.unpack()?;
    Ok(walk.contents)
}

fn damaged(path: &str, error: Error) -> Hdf5Error {
    Hdf5Error::Damaged {
        path: path.into(),
        error,
    }
}

/// What every structure is parsed from.
struct File {
    storage: Bounded,
    superblock: Superblock,
}

impl File {
    fn header(&self, path: &str, address: u64) -> Result<ObjectHeader, Hdf5Error> {
        let Superblock {
            offset_size,
            length_size,
            ..
        } = self.superblock;
        ObjectHeader::parse_at_storage_with_limit(
            &self.storage,
            address,
            offset_size,
            length_size,
            MAX_HEADER,
        )
        .map_err(|error| damaged(path, error))
    }
}

struct Walk<'a> {
    source: &'a Arc<Source>,
    span: Range<usize>,
    file: File,
    attributes: Attributes,
    /// Object headers of the groups seen.
    groups: BTreeSet<u64>,
    /// Left for after the walk, when every name in the file is known to be harmless.
    chunked: Vec<Dataset>,
    contents: Contents,
}

/// A dataset of floats.
struct Dataset {
    path: String,
    element: Element,
    shape: Vec<usize>,
}

impl Walk<'_> {
    /// Reads the group and all below it, `path` without a slash before or behind.
    fn group(&mut self, path: String, address: u64) -> Result<(), Hdf5Error> {
        let mut waiting = vec![(path, address)];
        while let Some((path, address)) = waiting.pop() {
            self.file
                .storage
                .take(path.len())
                .map_err(|error| damaged(&path, error))?;
            let header = self.file.header(&path, address)?;
            self.attributes
                .keep(&self.file, &path, &header, &mut self.contents.metadata)?;
            let layout = header.messages.iter().find_map(|message| match message {
                HdfMessage::DataLayout(message) => Some(&message.layout),
                _ => None,
            });
            if let Some(layout) = layout {
                self.dataset(path, &header, layout)?;
                continue;
            }
            if !self.groups.insert(address) {
                return Err(Hdf5Error::Loop { path });
            }
            if path.split('/').count() > MAX_DEPTH {
                return Err(Hdf5Error::Depth { path });
            }
            for (name, address) in links::of(&self.file, &path, &header)? {
                let child = match path.as_str() {
                    "" => name,
                    path => format!("{path}/{name}"),
                };
                self.file
                    .storage
                    .take(child.len())
                    .map_err(|error| damaged(&child, error))?;
                waiting.push((child, address));
            }
        }
        Ok(())
    }

    fn dataset(
        &mut self,
        path: String,
        header: &ObjectHeader,
        layout: &DataLayout,
    ) -> Result<(), Hdf5Error> {
        let unsupported = |what| Hdf5Error::Unsupported {
            path: path.clone(),
            what,
        };
        let (mut space, mut datatype) = (None, None);
        for message in &header.messages {
            match message {
                HdfMessage::Dataspace(message) => space = Some(message),
                HdfMessage::Datatype(message) => datatype = Some(message),
                HdfMessage::ExternalFiles(_) => {
                    return Err(unsupported("keeps its data in other files"));
                }
                _ => {}
            }
        }
        let (Some(space), Some(datatype)) = (space, datatype) else {
            return Err(unsupported("shares its type or shape with other datasets"));
        };
        let shape = shape(space).ok_or_else(|| Hdf5Error::Tensor {
            path: path.clone(),
            error: TensorError::TooLarge { shape: vec![] },
        })?;
        let element = match element(datatype, attribute::is_bfloat16(header)) {
            Ok(element) => element,
            Err(dtype) => {
                self.contents.skipped.insert(path, Skipped { dtype, shape });
                return Ok(());
            }
        };
        let empty = shape.contains(&0);
        let (source, bytes) = match layout {
            _ if empty => (Arc::clone(self.source), 0..0),
            DataLayout::Compact { data } => (Arc::new(Source::Owned(data.clone())), 0..data.len()),
            DataLayout::Contiguous {
                address: u64::MAX, ..
            } => {
                return Err(Hdf5Error::Unwritten { path });
            }
            DataLayout::Contiguous { address, .. } => {
                // What the layout says of the length depends on its version; the shape knows better.
                let bytes = self.contiguous(*address, element, &shape);
                let outside = || damaged(&path, Error::OffsetOutOfBounds(*address));
                (Arc::clone(self.source), bytes.ok_or_else(outside)?)
            }
            DataLayout::Chunked { .. } => {
                chunked::check(&path, header)?;
                self.chunked.push(Dataset {
                    path,
                    element,
                    shape,
                });
                return Ok(());
            }
        };
        self.tensor(
            &source,
            bytes,
            Dataset {
                path,
                element,
                shape,
            },
        )
    }

    /// Where the data lie in the source; `None` when that is not within the file.
    fn contiguous(&self, address: u64, element: Element, shape: &[usize]) -> Option<Range<usize>> {
        let count = super::tensor::element_count(shape)?;
        let len = count.checked_mul(element.dtype.size())?;
        let start = usize::try_from(address)
            .ok()?
            .checked_add(self.span.start)?;
        let end = start.checked_add(len)?;
        (end <= self.span.end).then_some(start..end)
    }

    fn tensor(
        &mut self,
        source: &Arc<Source>,
        bytes: Range<usize>,
        dataset: Dataset,
    ) -> Result<(), Hdf5Error> {
        let Dataset {
            path,
            element,
            shape,
        } = dataset;
        match Tensor::dense(source, Data::Raw(bytes), element, shape, Order::C) {
            Ok(tensor) => self.contents.tensors.insert(path, tensor),
            Err(error) => return Err(Hdf5Error::Tensor { path, error }),
        };
        Ok(())
    }

    fn unpack(&mut self) -> Result<(), Hdf5Error> {
        let mut room = chunked::Room::new(&self.span);
        for dataset in std::mem::take(&mut self.chunked) {
            let bytes = room.unpack(self.source, &self.span, &dataset)?;
            let len = bytes.len();
            self.tensor(&Arc::new(Source::Owned(bytes)), 0..len, dataset)?;
        }
        Ok(())
    }
}

/// `None` where a length does not fit this machine.
fn shape(space: &DataspaceMessage) -> Option<Vec<usize>> {
    match space.dataspace_type {
        DataspaceType::Null => Some(vec![0]),
        DataspaceType::Scalar => Some(vec![]),
        DataspaceType::Simple => space
            .dims
            .iter()
            .map(|&n| usize::try_from(n).ok())
            .collect(),
    }
}

/// How floats are encoded; the name of any other type.
fn element(message: &DatatypeMessage, bfloat16: bool) -> Result<Element, String> {
    let (dtype, order) = match &message.datatype {
        // numpy has no bfloat16: Keras writes two opaque bytes and says in an attribute what they are.
        Datatype::Opaque { size: 2, .. } if bfloat16 => (DType::BF16, ByteOrder::LittleEndian),
        Datatype::FloatingPoint {
            size: 2,
            byte_order,
        } => (DType::F16, *byte_order),
        Datatype::FloatingPoint {
            size: 4,
            byte_order,
        } => (DType::F32, *byte_order),
        Datatype::FloatingPoint {
            size: 8,
            byte_order,
        } => (DType::F64, *byte_order),
        Datatype::FloatingPoint { size, .. } => {
            return Err(format!("float{}", u16::from(*size) * 8));
        }
        Datatype::FixedPoint { size, signed, .. } => {
            let sign = if *signed { "" } else { "u" };
            return Err(format!("{sign}int{}", u16::from(*size) * 8));
        }
        Datatype::String { .. } | Datatype::VarLen { .. } => return Err("string".into()),
        _ => return Err("compound".into()),
    };
    let endian = match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    };
    Ok(Element { dtype, endian })
}
