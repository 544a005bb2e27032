//! A TIFF's first directory: tags and where their values are. EXIF data are one too.

/// Tags by number, and their values in a file of either order of bytes, with 32-bit offsets or, as BigTIFF, 64-bit ones.
pub(crate) struct Directory<'a> {
    bytes: &'a [u8],
    pub(super) little_endian: bool,
    entries: Vec<Entry<'a>>,
    /// Whether another directory, most often a further page, follows.
    pub(super) is_followed: bool,
}

struct Entry<'a> {
    tag: u16,
    kind: u16,
    /// As long as it says; `None` if that is beyond the file.
    value: Option<&'a [u8]>,
}

impl<'a> Directory<'a> {
    /// The first directory of a file. `None` if the file is no TIFF, or ends before the directory does. Entries of unknown kinds
    /// are left out.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        let little_endian = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let number = |at: usize, length: usize| -> Option<u64> {
            Some(unsigned(
                bytes.get(at..at.checked_add(length)?)?,
                little_endian,
            ))
        };
        // Lengths of an offset, of the count of entries, and of an entry.
        let (start, offset, count, entry) = match number(2, 2)? {
            42 => (number(4, 4)?, 4, 2, 12),
            43 if number(4, 2)? == 8 => (number(8, 8)?, 8, 8, 20),
            _ => return None,
        };
        let start = usize::try_from(start).ok()?;
        let length = usize::try_from(number(start, count)?).ok()?;
        let first = start.checked_add(count)?;
        let end = first.checked_add(length.checked_mul(entry)?)?;
        let entries = bytes.get(first..end)?.chunks_exact(entry).filter_map(|e| {
            let kind = unsigned(&e[2..4], little_endian) as u16;
            let count = usize::try_from(unsigned(&e[4..4 + offset], little_endian)).ok()?;
            let length = count.checked_mul(size(kind)?)?;
            let field = &e[4 + offset..];
            // A value that does not fit into the field lies where the field says.
            let value = if length <= field.len() {
                Some(&field[..length])
            } else {
                let at = usize::try_from(unsigned(field, little_endian)).ok()?;
                at.checked_add(length).and_then(|end| bytes.get(at..end))
            };
            Some(Entry {
                tag: unsigned(&e[..2], little_endian) as u16,
                kind,
                value,
            })
        });
        Some(Self {
            bytes,
            little_endian,
            entries: entries.collect(),
            is_followed: number(end, offset).is_some_and(|next| next > 0),
        })
    }

    /// The whole numbers of a tag, however wide they are written; `None` without the tag, or if it holds something else.
    pub(super) fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        let width = match entry.kind {
            1 | 3 | 4 | 6..=9 | 13 | 16..=18 => size(entry.kind)?,
            _ => return None,
        };
        let each = entry.value?.chunks_exact(width);
        Some(each.map(|n| unsigned(n, self.little_endian)).collect())
    }

    /// The first number of a tag.
    pub(crate) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    /// The bytes of a tag's value.
    pub(super) fn value(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        entry.value
    }

    /// Whether the value of one of these tags is beyond the file.
    pub(super) fn is_cut(&self, tags: std::ops::RangeInclusive<u16>) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| tags.contains(&entry.tag) && entry.value.is_none())
    }

    /// What lies at an offset of the file, as far as it is there.
    pub(super) fn at(&self, offset: u64, length: u64) -> &'a [u8] {
        let from = self
            .bytes
            .len()
            .min(usize::try_from(offset).unwrap_or(usize::MAX));
        let rest = &self.bytes[from..];
        &rest[..rest
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX))]
    }
}

/// Bytes of a value of a kind.
fn size(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

/// At most eight bytes.
fn unsigned(bytes: &[u8], little_endian: bool) -> u64 {
    let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    match little_endian {
        true => bytes.iter().rev().fold(0, join),
        false => bytes.iter().fold(0, join),
    }
}
