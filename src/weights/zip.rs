//! Zip archives over a mapped file, as numpy, torch and Keras write them: a directory at the end
//! that says where each member lies.
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
//!
//! Members are used where they lie, so all that readers may disagree about is refused: names that
//! differ between the directory and the member, names that come twice, members that overlap, bytes
//! before the archive. No name is ever used as a path; those that would lead elsewhere are refused
//! all the same, since nobody writes them by accident.

use std::ops::Range;

use thiserror::Error;

use super::checksum::Checksum;
use super::deflated::{Bookmark, Deflated};
use super::source::Source;
use super::tensor::Data;

/// What an archive that is not empty begins with: its first member.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const END64_LOCATOR: &[u8] = b"PK\x06\x07";

/// Members at most.
const MAX_MEMBERS: usize = 1 << 16;
/// Bytes of a member's name at most.
const MAX_NAME: usize = 512;
/// Bytes that all compressed members together may unpack to: the largest classifiers in float64 stay below, however
/// many of their weights are zero. They are unpacked a window at a time, so more would take time, not memory.
const MAX_UNPACKED: usize = 3 << 30;
/// An archive may unpack to so many times its length in any case.
const MAX_RATIO: usize = 16;

/// Why a zip archive, or a member of one, was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ZipError {
    /// The directory at the end is missing.
    #[error(
        "the file is cut off: the archive's directory, at its end, is missing; copy or download it again"
    )]
    Truncated,
    /// The directory contradicts itself, the file or a member.
    #[error("the archive is damaged: {0} is not what it should be")]
    Damaged(&'static str),
    /// A name that is not text or leads out of the archive.
    #[error("a member has the name {name}, which is refused")]
    Name {
        /// The name, with what cannot be printed escaped.
        name: String,
    },
    /// Two members have one name.
    #[error("two members have the name {name:?}")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// Two members share bytes.
    #[error("the member {name:?} overlaps another")]
    Overlap {
        /// One of them.
        name: String,
    },
    /// More members than any network has tensors.
    #[error("there are {0} members, more than any network has tensors")]
    TooMany(usize),
    /// A password is needed.
    #[error("the member {name:?} is encrypted")]
    Encrypted {
        /// The member.
        name: String,
    },
    /// A compression that numpy, torch and Keras do not write.
    #[error("the member {name:?} is compressed with method {method}: store it or use deflate (8)")]
    Method {
        /// The member.
        name: String,
        /// The method's number in the zip format.
        method: u16,
    },
    /// A member that can only be used in place is compressed.
    #[error("the member {name:?} is compressed: write the file again as {writer} does, without")]
    Compressed {
        /// The member.
        name: String,
        /// What writes it without.
        writer: &'static str,
    },
    /// Compressed data are damaged.
    #[error("the compressed member {name:?} is damaged")]
    Inflate {
        /// The member.
        name: String,
    },
    /// Stored data are not what was stored.
    #[error(
        "the member {name:?} is damaged: its bytes do not fit the archive's checksum of them (CRC-32); copy or download the file again"
    )]
    Checksum {
        /// The member.
        name: String,
    },
    /// Compressed data announce more than any weights unpack to.
    #[error(
        "the compressed members announce more than {limit} bytes: write the file without compression"
    )]
    Bomb {
        /// What an archive of this length may unpack to.
        limit: usize,
    },
}

/// The members of an archive, in the order of its directory.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    pub(super) members: Vec<Member<'a>>,
}

/// A file in an archive.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    /// Its bytes in the archive, as they are stored.
    span: Range<usize>,
    /// Its length when nothing is compressed.
    len: usize,
    crc: u32,
    method: u16,
}

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

impl<'a> Archive<'a> {
    /// Reads the directory and checks every member's place.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, ZipError> {
        let (count, directory) = directory(file)?;
        if count > MAX_MEMBERS {
            return Err(ZipError::TooMany(count));
        }
        let mut rest = &file[directory.clone()];
        let mut members = Vec::new();
        let mut places = Vec::new();
        for _ in 0..count {
            let (member, start) = entry(file, directory.start, &mut rest)?;
            places.push((start..member.span.end, members.len()));
            members.push(member);
        }
        if !rest.is_empty() {
            return Err(ZipError::Damaged("the number of members"));
        }
        places.sort_unstable_by_key(|(place, _)| place.start);
        for pair in places.windows(2) {
            if pair[0].0.end > pair[1].0.start {
                let name = members[pair[1].1].name.to_owned();
                return Err(ZipError::Overlap { name });
            }
        }
        let mut names: Vec<&str> = members.iter().map(|member| member.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = pair[0].to_owned();
            return Err(ZipError::Duplicate { name });
        }
        Ok(Self { members })
    }

    /// What is stored as it is, with its checksum. 0 is none: `torch.save` writes it after `set_crc32_options(False)`.
    pub(super) fn checksums(&self) -> Vec<Checksum> {
        let members = self.members.iter();
        let stored = members.filter(|member| member.method == STORED && member.crc != 0);
        let checksum = |member: &Member<'_>| Checksum {
            name: member.name.to_owned(),
            span: member.span.clone(),
            crc: member.crc,
        };
        stored.map(checksum).collect()
    }

    /// The member of that name.
    pub(super) fn member(&self, name: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.name == name)
    }
}

impl Member<'_> {
    /// Where the member lies in the archive, if it is stored as it is; `writer` stores it so.
    pub(super) fn in_place(&self, writer: &'static str) -> Result<Range<usize>, ZipError> {
        match self.method {
            STORED => Ok(self.span.clone()),
            DEFLATED => Err(ZipError::Compressed {
                name: self.name.to_owned(),
                writer,
            }),
            _ => Err(self.unknown_method()),
        }
    }

    fn unknown_method(&self) -> ZipError {
        ZipError::Method {
            name: self.name.to_owned(),
            method: self.method,
        }
    }
}

/// Opens the members of one archive.
pub(super) struct Unpacker<'a> {
    source: &'a Source,
    bookmark: Bookmark,
}

impl<'a> Unpacker<'a> {
    /// For the members of `archive`, in `source`. Refused where all of them together announce too much.
    pub(super) fn new(source: &'a Source, archive: &Archive<'_>) -> Result<Self, ZipError> {
        let limit = MAX_UNPACKED.max(source.bytes().len().saturating_mul(MAX_RATIO));
        let packed = archive
            .members
            .iter()
            .filter(|member| member.method == DEFLATED);
        let total = packed.fold(0, |sum: usize, member| sum.saturating_add(member.len));
        match total > limit {
            true => Err(ZipError::Bomb { limit }),
            false => Ok(Self {
                source,
                bookmark: Bookmark::default(),
            }),
        }
    }

    /// The bytes of `member`, in place where they are stored. What cannot be unpacked reads as bytes of 0xFF, until
    /// [`Self::verify`] is asked.
    pub(super) fn open(&self, member: &Member<'_>) -> Result<Data, ZipError> {
        match member.method {
            STORED => Ok(Data::Raw(member.span.clone())),
            DEFLATED => {
                let (span, len) = (member.span.clone(), member.len);
                Ok(Data::Deflated(Deflated::new(span, len, &self.bookmark)))
            }
            _ => Err(member.unknown_method()),
        }
    }

    /// Whether `data`, those of `member`, unpack to what they should.
    pub(super) fn verify(&self, member: &Member<'_>, data: &Data) -> Result<(), ZipError> {
        match data {
            Data::Deflated(packed) if !packed.verify(self.source, member.crc) => {
                Err(ZipError::Inflate {
                    name: member.name.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Number of members, and where the directory lies.
fn directory(file: &[u8]) -> Result<(usize, Range<usize>), ZipError> {
    let at = end_record(file).ok_or(ZipError::Truncated)?;
    let end = &file[at..];
    let narrow = [
        u16_at(end, 10).map(|count| (u64::from(count), 0xFFFF)),
        u32_at(end, 12).map(|length| (u64::from(length), 0xFFFF_FFFF)),
        u32_at(end, 16).map(|start| (u64::from(start), 0xFFFF_FFFF)),
    ];
    let damaged = ZipError::Damaged("the end of the directory");
    let mut numbers = narrow.map(|number| number.map(|(number, _)| number));
    let mut behind = at;
    if let Some(locator) = at.checked_sub(20)
        && file[locator..].starts_with(END64_LOCATOR)
    {
        behind = u64_at(&file[locator..], 8)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|&at| at < locator)
            .ok_or_else(|| damaged.clone())?;
        let end64 = &file[behind..locator];
        if !end64.starts_with(END64) {
            return Err(damaged);
        }
        let wide = [u64_at(end64, 32), u64_at(end64, 40), u64_at(end64, 48)];
        // A reader that knows nothing of wide numbers must see the same archive, or none.
        for (narrow, wide) in narrow.iter().zip(wide) {
            if narrow.is_some_and(|(number, see_wide)| number != see_wide && Some(number) != wide) {
                return Err(damaged);
            }
        }
        numbers = wide;
    }
    let [Some(count), Some(length), Some(start)] =
        numbers.map(|number| number.and_then(|number| usize::try_from(number).ok()))
    else {
        return Err(damaged);
    };
    match start.checked_add(length) {
        Some(end) if end == behind => Ok((count, start..end)),
        _ => Err(damaged),
    }
}

/// Where the record is that ends the archive, with a comment behind it.
fn end_record(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(22)?;
    let first = last.saturating_sub(0xFFFF);
    (first..=last).rev().find(|&at| {
        let comment = || u16_at(&file[at..], 20).map(usize::from);
        file[at..].starts_with(END) && comment() == Some(last - at)
    })
}

/// Reads one entry of the directory, and says where its member's header begins.
fn entry<'a>(
    file: &'a [u8],
    directory: usize,
    rest: &mut &'a [u8],
) -> Result<(Member<'a>, usize), ZipError> {
    let damaged = || ZipError::Damaged("an entry of the directory");
    let entry = *rest;
    if !entry.starts_with(DIRECTORY_ENTRY) {
        return Err(damaged());
    }
    let short = |at| u16_at(entry, at).ok_or_else(damaged);
    let long = |at| u32_at(entry, at).ok_or_else(damaged);
    let lengths = [short(28)?, short(30)?, short(32)?].map(usize::from);
    let [name, extra, _comment] = lengths;
    let whole = 46 + lengths.iter().sum::<usize>();
    if whole > entry.len() {
        return Err(damaged());
    }
    *rest = &entry[whole..];
    let (name, extra) = (&entry[46..46 + name], &entry[46 + name..46 + name + extra]);
    let sizes = [long(24)?, long(20)?, long(42)?];
    let [len, packed, start] = wide(sizes, extra).ok_or_else(damaged)?;
    let method = short(10)?;
    let shown = checked_name(name)?;
    if short(8)? & 1 == 1 {
        let name = shown.to_owned();
        return Err(ZipError::Encrypted { name });
    }

    let damaged = || ZipError::Damaged("the header of a member");
    let header = file[..directory].get(start..).ok_or_else(damaged)?;
    let lengths = [u16_at(header, 26), u16_at(header, 28)].map(|length| length.map(usize::from));
    let [Some(local_name), Some(local_extra)] = lengths else {
        return Err(damaged());
    };
    if !header.starts_with(MAGIC)
        || u16_at(header, 8) != Some(method)
        || header.get(30..30 + local_name) != Some(name)
    {
        return Err(damaged());
    }
    let data = start + 30 + local_name + local_extra;
    let end = data.checked_add(packed).filter(|&end| end <= directory);
    let span = data..end.ok_or(ZipError::Damaged("the length of a member"))?;
    if method == STORED && len != packed {
        return Err(ZipError::Damaged("the length of a member"));
    }
    let member = Member {
        name: shown,
        span,
        len,
        crc: long(16)?,
        method,
    };
    Ok((member, start))
}

/// Length, packed length and start of a member: those that do not fit 32 bits stand in an extra
/// field, in this order.
fn wide(sizes: [u32; 3], mut extra: &[u8]) -> Option<[usize; 3]> {
    const ZIP64: u16 = 1;
    let mut wide: &[u8] = &[];
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(length))?;
        if id == ZIP64 {
            wide = field;
        }
        extra = &extra[4 + field.len()..];
    }
    let mut result = [0; 3];
    for (size, result) in sizes.into_iter().zip(&mut result) {
        *result = if size == u32::MAX {
            let (number, rest) = wide.split_first_chunk()?;
            wide = rest;
            usize::try_from(u64::from_le_bytes(*number)).ok()?
        } else {
            size as usize
        };
    }
    Some(result)
}

fn checked_name(name: &[u8]) -> Result<&str, ZipError> {
    let refused = || {
        let name = name[..name.len().min(MAX_NAME)].escape_ascii().to_string();
        ZipError::Name { name }
    };
    let text = std::str::from_utf8(name).map_err(|_| refused())?;
    // A folder's own entry ends with a slash.
    let path = text.strip_suffix('/').unwrap_or(text);
    let leads_out = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    let odd = text.contains(|c: char| c == '\\' || c.is_control());
    if leads_out || odd || text.len() > MAX_NAME {
        return Err(refused());
    }
    Ok(text)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}
