//! The coefficients of a scan: Huffman codes to blocks, sequential and progressive (ITU-R T.81, F.2 and G.2).

use super::huffman::{Bits, Codes};
use super::{BLOCK, Component, Fault, Frame};

/// The place in a block, in row order, of the coefficient that comes at an index (zigzag).
#[rustfmt::skip]
pub(super) const PLACES: [u8; BLOCK] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What a scan header says.
pub(super) struct Scan {
    pub(super) members: Vec<Member>,
    /// The first and last index of the coefficients that it holds.
    pub(super) band: (usize, usize),
    /// Whether it adds bit `low` to coefficients of which earlier scans gave the bits above.
    pub(super) refines: bool,
    /// The lowest bit that it gives.
    pub(super) low: u8,
    /// Units between restart markers; 0 without.
    pub(super) restart_interval: usize,
}

/// A component in a scan, with its tables; those that the scan does not need may be missing.
pub(super) struct Member {
    pub(super) component: usize,
    pub(super) dc: Option<Codes>,
    pub(super) ac: Option<Codes>,
}

const NO_TABLE: Fault = Fault::Damaged(std::borrow::Cow::Borrowed(
    "a table of its codes is missing",
));

/// Walks over the units (MCUs) of a scan, restarts among them.
pub(super) struct Reader<'a> {
    scan: &'a Scan,
    bits: Bits<'a>,
    progressive: bool,
    /// Of each member: the last DC coefficient.
    levels: [i16; 4],
    /// How many more blocks hold nothing but refinements.
    empty_blocks: u32,
    units: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scan: &'a Scan, progressive: bool, bytes: &'a [u8], at: usize) -> Self {
        Self {
            scan,
            bits: Bits::new(bytes, at),
            progressive,
            levels: [0; 4],
            empty_blocks: 0,
            units: 0,
        }
    }

    /// A row of units: `block` gives the place of each block for the member, the row and the column within the component, and
    /// is told of it when it is read.
    pub(super) fn row(
        &mut self,
        frame: &Frame,
        row: usize,
        mut read: impl FnMut(&mut Self, &Member, usize, usize, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let scan = self.scan;
        for unit in 0..scan.size(frame).0 {
            self.restart_if_due()?;
            for (index, member) in scan.members.iter().enumerate() {
                let (wide, high) = scan.unit(frame, member);
                for y in 0..high {
                    for x in 0..wide {
                        read(self, member, index, row * high + y, unit * wide + x)?;
                    }
                }
            }
            self.bits.check()?;
        }
        Ok(())
    }

    /// Reads the next block, of the member at `index`, into `block`, which is zero or has what earlier scans gave.
    pub(super) fn block(
        &mut self,
        member: &Member,
        index: usize,
        block: &mut [i16; BLOCK],
    ) -> Result<(), Fault> {
        if !self.progressive {
            return self.sequential(member, index, block);
        }
        match (self.scan.band.0, self.scan.refines) {
            (0, false) => {
                let level = self.level(member, index)?;
                block[0] = level << self.scan.low;
                Ok(())
            }
            (0, true) => {
                block[0] |= (self.bits.take(1) as i16) << self.scan.low;
                Ok(())
            }
            (_, false) => self.band(member, block),
            (_, true) => self.refine(member, block),
        }
    }

    /// See [`Bits::end`].
    pub(super) fn end(&self) -> (usize, usize) {
        self.bits.end()
    }

    fn restart_if_due(&mut self) -> Result<(), Fault> {
        let interval = self.scan.restart_interval;
        if interval > 0 && self.units > 0 && self.units.is_multiple_of(interval) {
            self.bits.restart((self.units / interval - 1) as u8 % 8)?;
            self.levels = [0; 4];
            self.empty_blocks = 0;
        }
        self.units += 1;
        Ok(())
    }

    /// The DC coefficient: coded as what it differs by from the one before.
    fn level(&mut self, member: &Member, index: usize) -> Result<i16, Fault> {
        let size = member.dc.as_ref().ok_or(NO_TABLE)?.next(&mut self.bits)?;
        if size > 15 {
            return Err(Fault::damaged("a coefficient is too large"));
        }
        let difference = self.bits.number(size.into());
        self.levels[index] = self.levels[index].wrapping_add(difference);
        Ok(self.levels[index])
    }

    fn sequential(
        &mut self,
        member: &Member,
        index: usize,
        block: &mut [i16; BLOCK],
    ) -> Result<(), Fault> {
        block[0] = self.level(member, index)?;
        let codes = member.ac.as_ref().ok_or(NO_TABLE)?;
        let mut at = 1;
        while at < BLOCK {
            let code = codes.next(&mut self.bits)?;
            let (zeros, size) = (usize::from(code >> 4), code & 15);
            at += zeros;
            match (zeros, size) {
                (15, 0) => {}
                (_, 0) => break,
                _ => *place(block, at)? = self.bits.number(size.into()),
            }
            at += 1;
        }
        Ok(())
    }

    /// The first scan of a band.
    fn band(&mut self, member: &Member, block: &mut [i16; BLOCK]) -> Result<(), Fault> {
        if self.empty_blocks > 0 {
            self.empty_blocks -= 1;
            return Ok(());
        }
        let codes = member.ac.as_ref().ok_or(NO_TABLE)?;
        let (mut at, last) = self.scan.band;
        while at <= last {
            let code = codes.next(&mut self.bits)?;
            let (zeros, size) = (usize::from(code >> 4), code & 15);
            match (zeros, size) {
                (15, 0) => at += 15,
                (_, 0) => {
                    self.empty_blocks = self.run(zeros) - 1;
                    break;
                }
                _ => {
                    at += zeros;
                    *place(block, at)? = self.bits.number(size.into()) << self.scan.low;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// How many blocks, this one included, hold nothing more.
    fn run(&mut self, size: usize) -> u32 {
        (1 << size) + u32::from(self.bits.take(size as u32))
    }

    /// A later scan of a band: a bit for each coefficient that is not zero, and coefficients that become +-1 at this bit.
    fn refine(&mut self, member: &Member, block: &mut [i16; BLOCK]) -> Result<(), Fault> {
        let codes = member.ac.as_ref().ok_or(NO_TABLE)?;
        let one = 1 << self.scan.low;
        let (mut at, last) = self.scan.band;
        while at <= last && self.empty_blocks == 0 {
            let code = codes.next(&mut self.bits)?;
            let (mut zeros, size) = (code >> 4, code & 15);
            let new = match size {
                0 if zeros < 15 => {
                    self.empty_blocks = self.run(zeros.into());
                    break;
                }
                0 => 0,
                1 if self.bits.take(1) == 1 => one,
                1 => -one,
                _ => return Err(Fault::damaged("a refinement is too large")),
            };
            // The new one goes after so many zeros.
            loop {
                if at > last {
                    break;
                }
                let coefficient = place(block, at)?;
                at += 1;
                match (*coefficient, zeros) {
                    (0, 0) => {
                        *coefficient = new;
                        break;
                    }
                    (0, _) => zeros -= 1,
                    _ => self.bit(coefficient, one),
                }
            }
        }
        if self.empty_blocks > 0 {
            for at in at..=last {
                let coefficient = place(block, at)?;
                if *coefficient != 0 {
                    self.bit(coefficient, one);
                }
            }
            self.empty_blocks -= 1;
        }
        Ok(())
    }

    /// One more bit of a coefficient that is not zero.
    fn bit(&mut self, coefficient: &mut i16, one: i16) {
        if self.bits.take(1) == 1 && *coefficient & one == 0 {
            *coefficient = coefficient.wrapping_add(one * coefficient.signum());
        }
    }
}

#[inline]
fn place(block: &mut [i16; BLOCK], at: usize) -> Result<&mut i16, Fault> {
    match PLACES.get(at) {
        Some(&place) => Ok(&mut block[usize::from(place)]),
        None => Err(Fault::damaged("a block has more than 64 coefficients")),
    }
}

impl Scan {
    /// Of a unit: how many blocks of the member wide and high. A component alone comes block by block.
    pub(super) fn unit(&self, frame: &Frame, member: &Member) -> (usize, usize) {
        match self.members.len() {
            1 => (1, 1),
            _ => frame.components[member.component].factors,
        }
    }

    /// Units in a row, and rows.
    pub(super) fn size(&self, frame: &Frame) -> (usize, usize) {
        match self.members[..] {
            [ref alone] => {
                let Component {
                    size: (width, height),
                    ..
                } = frame.components[alone.component];
                (width.div_ceil(8), height.div_ceil(8))
            }
            _ => frame.units,
        }
    }
}
