//! The string attributes that Keras writes, as metadata.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hdf5_reader::error::{Error, Result};
use hdf5_reader::global_heap::GlobalHeapCollection;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::attribute::AttributeMessage;
use hdf5_reader::messages::dataspace::DataspaceType;
use hdf5_reader::messages::datatype::{Datatype, StringSize, VarLenKind};
use hdf5_reader::object_header::ObjectHeader;

use super::{File, Hdf5Error, damaged};

/// Attributes of one string.
const STRINGS: [&str; 4] = ["model_config", "keras_version", "backend", "name"];
/// Attributes of many strings; long ones go on as `layer_names0`, `layer_names1`, ...
const LISTS: [&str; 2] = ["layer_names", "weight_names"];

/// A list that is too long for one attribute: the parts' numbers, `None` for the whole, and strings.
type Parts = Vec<(Option<usize>, Vec<String>)>;

/// Reads attributes, and keeps the heaps that many of them point into.
#[derive(Default)]
pub(super) struct Attributes {
    heaps: BTreeMap<u64, GlobalHeapCollection>,
}

impl Attributes {
    /// Puts what Keras wrote about the object at `path` into `metadata`.
    pub(super) fn keep(
        &mut self,
        file: &File,
        path: &str,
        header: &ObjectHeader,
        metadata: &mut BTreeMap<String, String>,
    ) -> std::result::Result<(), Hdf5Error> {
        let key = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}@{name}"),
        };
        let mut lists: BTreeMap<&str, Parts> = BTreeMap::new();
        for message in &header.messages {
            let HdfMessage::Attribute(message) = message else {
                continue;
            };
            let mut strings = || {
                self.strings(file, message)
                    .map_err(|error| damaged(&key(&message.name), error))
            };
            if STRINGS.contains(&message.name.as_str()) {
                // Another program's attribute of this name may be anything.
                if let Some(text) = strings()?.into_iter().next() {
                    metadata.insert(key(&message.name), text);
                }
            } else if let Some((list, part)) = list(&message.name) {
                lists.entry(list).or_default().push((part, strings()?));
            }
        }
        for (name, mut parts) in lists {
            parts.sort_by_key(|&(part, _)| part);
            let all: Vec<String> = parts.into_iter().flat_map(|(_, part)| part).collect();
            let json = serde_json::Value::from(all).to_string();
            metadata.insert(key(name), json);
        }
        Ok(())
    }

    /// The attribute's strings; none when it has another type.
    fn strings(&mut self, file: &File, message: &AttributeMessage) -> Result<Vec<String>> {
        let variable = match &message.datatype {
            Datatype::String {
                size: StringSize::Fixed(width),
                ..
            } => {
                file.storage.take(message.raw_data.len())?;
                let width = (*width).max(1) as usize;
                return Ok(message.raw_data.chunks(width).map(text).collect());
            }
            Datatype::String { .. } => true,
            Datatype::VarLen { kind, .. } => *kind == VarLenKind::String,
            _ => false,
        };
        if !variable || message.dataspace.dataspace_type == DataspaceType::Null {
            return Ok(vec![]);
        }
        // Each element: its length, the address of a heap, its number there.
        let address = usize::from(file.superblock.offset_size);
        let elements = message.raw_data.chunks_exact(4 + address + 4);
        elements
            .map(|element| self.variable(file, element))
            .collect()
    }

    fn variable(&mut self, file: &File, element: &[u8]) -> Result<String> {
        let superblock = &file.superblock;
        let (offset_size, length_size) = (superblock.offset_size, superblock.length_size);
        let mut cursor = Cursor::new(element);
        let len = cursor.read_u32_le()? as usize;
        let address = cursor.read_offset(offset_size)?;
        let number = cursor.read_u32_le()?;
        if len == 0 || Cursor::is_undefined_offset(address, offset_size) {
            return Ok(String::new());
        }
        let heap = match self.heaps.entry(address) {
            Entry::Occupied(heap) => heap.into_mut(),
            Entry::Vacant(place) => place.insert(GlobalHeapCollection::parse_at_storage(
                &file.storage,
                address,
                offset_size,
                length_size,
            )?),
        };
        let object = u16::try_from(number)
            .ok()
            .and_then(|number| heap.get_object(number));
        let bytes = object.and_then(|object| object.data.get(..len));
        let bytes = bytes.ok_or_else(|| {
            Error::InvalidData(format!(
                "string {number} of the heap at {address} is missing"
            ))
        })?;
        // Every element may point at the same string.
        file.storage.take(len)?;
        Ok(text(bytes))
    }
}

/// Whether an attribute says that the dataset's two opaque bytes are a bfloat16.
pub(super) fn is_bfloat16(header: &ObjectHeader) -> bool {
    header.messages.iter().any(|message| match message {
        // The string itself lies in a heap; Keras writes this attribute for no other type.
        HdfMessage::Attribute(message) => message.name == "dtype",
        _ => false,
    })
}

/// Which list an attribute is a part of, and which part.
fn list(name: &str) -> Option<(&'static str, Option<usize>)> {
    LISTS.iter().find_map(|list| {
        let part = name.strip_prefix(list)?;
        if part.is_empty() {
            Some((*list, None))
        } else {
            Some((*list, Some(part.parse().ok()?)))
        }
    })
}

/// Up to its first zero; what is no UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&bytes[..len.unwrap_or(bytes.len())]).into_owned()
}
