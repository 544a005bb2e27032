//! What segments before and between scans say: tables, the header of a scan, and what the components are.

use super::huffman::Codes;
use super::scan::{self, Member, Scan};
use super::{BLOCK, Colour, Frame, SHORT, byte, u16_at};
use crate::picture::Fault;

const NO_SUCH_TABLE: &str = "a table has a number beyond 3";

/// What was read so far.
#[derive(Default)]
pub(super) struct State<'a> {
    steps: [Option<Box<[u16; BLOCK]>>; 4],
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    restart_interval: usize,
    jfif: bool,
    /// The transform of Adobe's marker: 0 none, 1 YCbCr, 2 YCCK.
    adobe: Option<u8>,
    pub(super) exif: Option<&'a [u8]>,
    /// What the components are, if that is known beforehand.
    colour: Option<Colour>,
}

impl<'a> State<'a> {
    /// Of a picture whose colours may be known from elsewhere.
    pub(super) fn new(colour: Option<Colour>) -> Self {
        Self {
            colour,
            ..Self::default()
        }
    }

    /// Reads a segment that is neither a frame nor a scan.
    pub(super) fn read(&mut self, code: u8, segment: &'a [u8]) -> Result<(), Fault> {
        match code {
            0xc4 => self.codes(segment)?,
            0xdb => self.steps(segment)?,
            0xdd => self.restart_interval = usize::from(u16_at(segment, 0)?),
            0xe0 => self.jfif |= segment.starts_with(b"JFIF\0") && segment.len() >= 12,
            0xe1 if self.exif.is_none() => self.exif = segment.strip_prefix(b"Exif\0\0"),
            0xee if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
            0xc3 => return Err(Fault::unsupported("lossless JPEG")),
            0xc5..=0xc7 | 0xcd..=0xcf | 0xde => {
                return Err(Fault::unsupported("hierarchical JPEG"));
            }
            0xf7 => return Err(Fault::unsupported("JPEG-LS")),
            0xc9..=0xcc => return Err(Fault::unsupported("arithmetic coding")),
            _ => {}
        }
        Ok(())
    }

    /// Tables of codes.
    fn codes(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (lengths, rest) = rest.split_first_chunk().ok_or(Fault::damaged(SHORT))?;
            let count = lengths.iter().map(|&n| usize::from(n)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or(Fault::damaged(SHORT))?;
            let tables = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            let table = tables.get_mut(usize::from(kind & 15));
            *table.ok_or(Fault::damaged(NO_SUCH_TABLE))? = Some(Codes::new(lengths, symbols)?);
            segment = rest;
        }
        Ok(())
    }

    /// Tables of the steps by which coefficients are multiplied.
    fn steps(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&kind, rest)) = segment.split_first() {
            let width = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest
                .split_at_checked(width * BLOCK)
                .ok_or(Fault::damaged(SHORT))?;
            let mut steps = Box::new([0; BLOCK]);
            for (value, place) in values.chunks(width).zip(scan::PLACES) {
                steps[usize::from(place)] = value.iter().fold(0, |sum, &b| sum << 8 | u16::from(b));
            }
            let table = self.steps.get_mut(usize::from(kind & 15));
            *table.ok_or(Fault::damaged(NO_SUCH_TABLE))? = Some(steps);
            segment = rest;
        }
        Ok(())
    }

    pub(super) fn scan(&self, segment: &[u8], frame: &mut Frame) -> Result<Scan, Fault> {
        let count = usize::from(byte(segment, 0)?);
        let mut members: Vec<Member> = vec![];
        for i in 0..count {
            let name = byte(segment, 1 + 2 * i)?;
            let component = frame.components.iter().position(|c| c.name == name);
            let component = component.ok_or(Fault::damaged("a scan of an unknown component"))?;
            if members.iter().any(|m| m.component == component) {
                return Err(Fault::damaged("a scan has a component twice"));
            }
            let tables = byte(segment, 2 + 2 * i)?;
            let of = |tables: &[Option<Codes>; 4], i: u8| tables.get(usize::from(i))?.clone();
            members.push(Member {
                component,
                dc: of(&self.dc, tables >> 4),
                ac: of(&self.ac, tables & 15),
            });
            // The steps are those of the component's first scan.
            let component = &mut frame.components[component];
            if component.steps.is_none() {
                component.steps = self.steps.get(component.table).cloned().flatten();
            }
            if component.steps.is_none() {
                return Err(Fault::damaged("a table of its steps is missing"));
            }
        }
        let [first, last, bits] = [1, 2, 3].map(|i| byte(segment, 2 * count + i));
        let (first, last, bits) = (usize::from(first?), usize::from(last?), bits?);
        let scan = match frame.progressive {
            // The other fields have no meaning there.
            false => Scan {
                members,
                band: (0, BLOCK - 1),
                refines: false,
                low: 0,
                restart_interval: self.restart_interval,
            },
            true => Scan {
                members,
                band: (first, last),
                refines: bits >> 4 > 0,
                low: bits & 15,
                restart_interval: self.restart_interval,
            },
        };
        let possible = match (first, scan.members.len()) {
            (_, 0) => false,
            _ if !frame.progressive => true,
            (0, _) => last == 0,
            (_, members) => members == 1 && first <= last && last < BLOCK,
        };
        if !possible || scan.low > 13 {
            return Err(Fault::damaged("a scan of coefficients that cannot be"));
        }
        Ok(scan)
    }

    /// As libjpeg decides: JFIF is always YCbCr; else Adobe's marker tells; else the components' names.
    pub(super) fn colour(&self, frame: &Frame) -> Colour {
        let names: Vec<u8> = frame.components.iter().map(|c| c.name).collect();
        match (&names[..], self.adobe) {
            ([_, _, _], _) if self.colour.is_some() => self.colour.unwrap_or(Colour::YCbCr),
            ([_], _) => Colour::Grey,
            ([_, _, _, _], None | Some(0)) => Colour::Cmyk,
            ([_, _, _, _], _) => Colour::Ycck,
            _ if self.jfif => Colour::YCbCr,
            (_, Some(0)) | (b"RGB", None) => Colour::Rgb,
            _ => Colour::YCbCr,
        }
    }
}
