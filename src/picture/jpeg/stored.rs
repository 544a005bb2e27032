//! The coefficients of a picture of several scans, kept until the last of them.

use std::ops::Range;

use super::rows::Plane;
use super::scan::{Reader, Scan};
use super::{BLOCK, Frame, idct};
use crate::picture::Fault;

/// More than any encoder makes, and few enough that a small file cannot ask for hours.
const MAX_SCANS: usize = 256;

/// What libjpeg's scans must have given before it stops making up detail: the coefficients of the lowest frequencies.
const LOW_FREQUENCIES: usize = 10;

/// Coefficients of a picture of several scans.
pub(super) struct Stored {
    /// By component: blocks in rows of so many, in row order each.
    blocks: Vec<(usize, Vec<[i16; BLOCK]>)>,
    /// By component and index: the lowest bit known; [`UNKNOWN`] of those that no scan gave.
    known: Vec<[u8; BLOCK]>,
    scans: usize,
}

const UNKNOWN: u8 = u8::MAX;

impl Stored {
    pub(super) fn new(frame: &Frame) -> Self {
        let (wide, high) = frame.units;
        let blocks = frame.components.iter().map(|c| {
            let (wide, high) = (c.factors.0 * wide, c.factors.1 * high);
            (wide, vec![[0; BLOCK]; wide * high])
        });
        Self {
            blocks: blocks.collect(),
            known: vec![[UNKNOWN; BLOCK]; frame.components.len()],
            scans: 0,
        }
    }

    pub(super) fn read(
        &mut self,
        scan: &Scan,
        frame: &Frame,
        bytes: &[u8],
        at: usize,
    ) -> Result<(usize, usize), Fault> {
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Fault::unsupported("more than 256 scans"));
        }
        let mut reader = Reader::new(scan, frame.progressive, bytes, at);
        for row in 0..scan.size(frame).1 {
            reader.row(frame, row, |reader, member, index, y, x| {
                let (wide, blocks) = &mut self.blocks[member.component];
                reader.block(member, index, &mut blocks[y * *wide + x])
            })?;
        }
        for member in &scan.members {
            self.known[member.component][scan.band.0..=scan.band.1].fill(scan.low);
        }
        Ok(reader.end())
    }

    /// An error unless the scans gave what makes a picture; a note if only its finest detail is missing.
    pub(super) fn check(&self, ended: bool) -> Result<Option<String>, Fault> {
        let all = |range: Range<usize>| {
            self.known
                .iter()
                .all(|known| known[range.clone()].iter().all(|&low| low == 0))
        };
        if all(0..BLOCK) {
            Ok(None)
        } else if !ended {
            Err(Fault::Truncated)
        } else if all(0..LOW_FREQUENCIES) {
            Ok(Some(
                "the scans of its finest detail are missing".to_owned(),
            ))
        } else {
            Err(Fault::damaged("its scans do not make a whole picture"))
        }
    }

    pub(super) fn band(&self, frame: &Frame, row: usize, planes: &mut [Plane]) {
        for ((component, (wide, blocks)), plane) in
            frame.components.iter().zip(&self.blocks).zip(planes)
        {
            let Some(steps) = &component.steps else {
                continue;
            };
            let stride = plane.stride;
            let high = component.factors.1;
            let band = &blocks[row * high * wide..(row + 1) * high * wide];
            for (i, block) in band.iter().enumerate() {
                let (y, x) = (row * high + i / wide, i % wide);
                idct::samples(block, steps, plane.block(y, x), stride);
            }
        }
    }
}
