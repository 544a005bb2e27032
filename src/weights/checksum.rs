//! Whether what an archive stores as it is, is what was stored: compressed members tell by themselves.

use std::ops::Range;
use std::path::PathBuf;

use flate2::Crc;

use super::source::Source;
use super::zip::ZipError;
use super::{ContentsError, Weights, WeightsError};

/// Bytes looked at before their pages are given back.
const CHUNK: usize = 8 << 20;

/// A member of an archive that is stored as it is, and the CRC-32 that its writer took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    pub(super) crc: u32,
}

impl Weights {
    /// Holds every member that an `.npz`, `.pth` or `.keras` archive stores as it is against its checksum; other formats
    /// have none. Reads all of them, in pieces that do not stay in memory: [`open`](super::open) leaves that to its caller.
    ///
    /// # Errors
    /// [`ZipError::Checksum`], of the first member that differs.
    pub fn verify(&self) -> Result<(), WeightsError> {
        let wrong = self
            .checksums
            .iter()
            .find(|member| !is_whole(&self.source, member));
        let Some(Checksum { name, .. }) = wrong else {
            return Ok(());
        };
        let error = ZipError::Checksum { name: name.clone() };
        let in_memory = || PathBuf::from("the weights");
        Err(WeightsError::Contents {
            path: self.path.clone().unwrap_or_else(in_memory),
            error: ContentsError::Zip(error),
        })
    }
}

fn is_whole(source: &Source, member: &Checksum) -> bool {
    let mut crc = Crc::new();
    let mut start = member.span.start;
    for chunk in source.bytes()[member.span.clone()].chunks(CHUNK) {
        crc.update(chunk);
        source.release(start..start + chunk.len());
        start += chunk.len();
    }
    crc.sum() == member.crc
}
