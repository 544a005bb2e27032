//! Zip archives put together by hand: as numpy and torch write them, or with lies in any place.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One member as its header and the directory announce it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    /// The name in the member's own header.
    pub(crate) local_name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) local_method: u16,
    pub(crate) crc: u32,
    pub(crate) data: Vec<u8>,
    /// Length of the data in the archive.
    pub(crate) packed: u32,
    /// Length of the data unpacked.
    pub(crate) len: u32,
    /// Where the member's header is, if not where it is written.
    pub(crate) start: Option<u32>,
}

impl Member {
    pub(crate) fn stored(name: &str, data: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(data);
        Self {
            name: name.into(),
            local_name: name.into(),
            flags: 0,
            method: 0,
            local_method: 0,
            crc: crc.sum(),
            data: data.to_vec(),
            packed: data.len() as u32,
            len: data.len() as u32,
            start: None,
        }
    }

    pub(crate) fn deflated(name: &str, data: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        Self {
            method: 8,
            local_method: 8,
            packed: packed.len() as u32,
            data: packed,
            ..Self::stored(name, data)
        }
    }
}

/// What the end of the directory announces, in the order in which it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) count: u64,
    pub(crate) length: u64,
    pub(crate) start: u64,
}

pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, |end| end, false)
}

/// An archive whose end says what `lie` makes of the truth, in 64 bits where `wide`.
pub(crate) fn zip_with(members: &[Member], lie: impl Fn(End) -> End, wide: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let start = member.start.unwrap_or(file.len() as u32);
        file.extend(b"PK\x03\x04\x14\0");
        file.extend(member.flags.to_le_bytes());
        file.extend(member.local_method.to_le_bytes());
        // No time, then checksum and lengths, which only the directory gives for certain.
        file.extend([0; 16]);
        file.extend((member.local_name.len() as u16).to_le_bytes());
        file.extend([0; 2]);
        file.extend(&member.local_name);
        file.extend(&member.data);

        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend(member.flags.to_le_bytes());
        directory.extend(member.method.to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(member.crc.to_le_bytes());
        directory.extend(member.packed.to_le_bytes());
        directory.extend(member.len.to_le_bytes());
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(start.to_le_bytes());
        directory.extend(&member.name);
    }
    let end = lie(End {
        count: members.len() as u64,
        length: directory.len() as u64,
        start: file.len() as u64,
    });
    file.extend(directory);
    let End {
        mut count,
        mut length,
        mut start,
    } = end;
    if wide {
        let at = file.len() as u64;
        file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        for number in [count, count, length, start] {
            file.extend(number.to_le_bytes());
        }
        file.extend(b"PK\x06\x07\0\0\0\0");
        file.extend(at.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        (count, length, start) = (0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF);
    }
    file.extend(b"PK\x05\x06\0\0\0\0");
    for number in [count as u16, count as u16] {
        file.extend(number.to_le_bytes());
    }
    for number in [length as u32, start as u32] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0; 2]);
    file
}

/// A `.npy` file with a header of this type and shape.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}
