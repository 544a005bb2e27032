//! What a group contains: names and addresses of object headers.

use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::error::Result;
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::storage::{Storage, StorageBuffer};
use hdf5_reader::symbol_table::{SymbolTableEntry, SymbolTableNode};

use super::{File, Hdf5Error, damaged};

/// Bytes of a name at most. Every entry may point at the same one.
const MAX_NAME: usize = 255;
/// Bytes of a symbol table node before its entries, and of an entry without its two addresses.
const NODE: usize = 8;
const ENTRY: usize = 24;
/// An entry's cache type when it is a soft link.
const SOFT: u32 = 2;

/// The hard links of a group. Soft and external ones lead to what is found without them, or out
/// of the file.
pub(super) fn of(
    file: &File,
    path: &str,
    header: &ObjectHeader,
) -> std::result::Result<Vec<(String, u64)>, Hdf5Error> {
    let refused = || Hdf5Error::Name { path: path.into() };
    let offset_size = file.superblock.offset_size;
    let mut links = vec![];
    for message in &header.messages {
        match message {
            HdfMessage::SymbolTable(table) => {
                let (entries, heap) = symbols(file, table).map_err(|error| damaged(path, error))?;
                for entry in entries {
                    let name = text_at(&heap, entry.link_name_offset).ok_or_else(refused)?;
                    if entry.cache_type == SOFT {
                        // Read again by the crate where a dataset is chunked.
                        let [a, b, c, d, ..] = entry.scratch;
                        let target = u32::from_le_bytes([a, b, c, d]);
                        text_at(&heap, target.into()).ok_or_else(refused)?;
                    } else {
                        links.push((name.to_owned(), entry.object_header_address));
                    }
                }
            }
            HdfMessage::Link(link) => {
                check(&link.name).ok_or_else(refused)?;
                if let LinkTarget::Hard { address } = link.target {
                    links.push((link.name.clone(), address));
                }
            }
            HdfMessage::LinkInfo(info)
                if !Cursor::is_undefined_offset(info.fractal_heap_address, offset_size) =>
            {
                return Err(Hdf5Error::Unsupported {
                    path: path.into(),
                    what: "keeps its entries in a fractal heap",
                });
            }
            _ => {}
        }
    }
    Ok(links)
}

/// The entries of a symbol table, and the heap with their names.
fn symbols(
    file: &File,
    table: &SymbolTableMessage,
) -> Result<(Vec<SymbolTableEntry>, StorageBuffer)> {
    let (storage, superblock) = (&file.storage, &file.superblock);
    let (offset_size, length_size) = (superblock.offset_size, superblock.length_size);
    let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset_size, length_size)?;
    let len = usize::try_from(heap.data_segment_size).unwrap_or(usize::MAX);
    let names = storage.read_range(heap.data_segment_address, len)?;
    let nodes = collect_btree_v1_leaves_storage(
        storage,
        table.btree_address,
        offset_size,
        length_size,
        None,
        &[],
        None,
    )?;
    let mut entries = vec![];
    for (_, address) in nodes {
        let prefix = storage.read_range(address, NODE)?;
        let count = usize::from(u16::from_le_bytes([prefix[6], prefix[7]]));
        let len = NODE + count * (ENTRY + 2 * usize::from(offset_size));
        let node = storage.read_range(address, len)?;
        let node = SymbolTableNode::parse(&mut Cursor::new(&node), offset_size, length_size)?;
        entries.extend(node.entries);
    }
    Ok((entries, names))
}

/// The zero-terminated text at `offset` of a heap.
fn text_at(heap: &[u8], offset: u64) -> Option<&str> {
    let bytes = heap.get(usize::try_from(offset).ok()?..)?;
    let len = bytes
        .iter()
        .take(MAX_NAME + 1)
        .position(|&byte| byte == 0)?;
    check(std::str::from_utf8(&bytes[..len]).ok()?)
}

fn check(name: &str) -> Option<&str> {
    ((1..=MAX_NAME).contains(&name.len()) && !name.contains('\0')).then_some(name)
}
