//! Fax of group 4, which packs bilevel pictures. The `image` crate unpacks it, but in one order of bits alone.

use std::borrow::Cow;

use super::directory::Directory;
use super::layout::{self, tag};
use crate::picture::{Fault, Size};

pub(super) fn is_fax(directory: &Directory<'_>) -> bool {
    directory.number(tag::COMPRESSION) == Some(4)
}

/// The file with the bits of its strips or tiles from the highest to the lowest: in the other order programs of fax machines
/// write them.
pub(super) fn highest_bits_first<'a>(
    bytes: &'a [u8],
    directory: &Directory<'_>,
    size: Size,
) -> Result<Cow<'a, [u8]>, Fault> {
    if directory.number(tag::FILL_ORDER) != Some(2) {
        return Ok(Cow::Borrowed(bytes));
    }
    let (_, offsets, lengths) = layout::chunks(directory, size)?;
    let lengths = lengths.unwrap_or(vec![u64::MAX; offsets.len()]);
    let place = |n: u64| usize::try_from(n).map_or(bytes.len(), |n| n.min(bytes.len()));
    let each = offsets.iter().zip(lengths);
    let mut chunks: Vec<_> = each
        .map(|(&at, length)| place(at)..place(at.saturating_add(length)))
        .collect();
    chunks.sort_unstable_by_key(|chunk| chunk.start);
    let mut turned = bytes.to_vec();
    let mut end = 0;
    for chunk in chunks {
        // Where chunks lie over each other a byte is turned once.
        for byte in turned.iter_mut().take(chunk.end).skip(chunk.start.max(end)) {
            *byte = byte.reverse_bits();
        }
        end = end.max(chunk.end);
    }
    Ok(Cow::Owned(turned))
}
