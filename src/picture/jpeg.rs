//! JPEG: sequential and progressive, Huffman-coded, 8 bits, with any whole-numbered sampling and any division into scans.
//!
//! The program has a decoder of its own because those to be had give wrong pixels for files that others write and read (chroma
//! finer than luma, luma in a later scan, factors of three sizes, components named R, G and B), and none tells whether all pixels
//! of a file without its end marker are there. tests/pictures/jpeg.rs has the files. This one does what libjpeg does, to the bit, in the order of
//! the standard, ITU-R T.81:
//!
//! ```text
//! markers, tables -> codes of a scan -> coefficients -> samples of a component -> rows of RGB
//!    (here), state   huffman, scan, stored                 idct                     rows
//! ```
//!
//! A picture of one sequential scan goes through in rows of blocks and costs no memory but its pixels; others keep their
//! coefficients until the last scan.

mod huffman;
mod idct;
mod rows;
mod scan;
mod state;
mod stored;

use super::orientation;
use super::{Decoded, Fault, Size};
use rows::{Plane, Rows};
use scan::Reader;
use state::State;
use stored::Stored;

/// Coefficients of a block, 8 x 8.
const BLOCK: usize = 64;

/// What the frame header says.
struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    /// The largest of the components' factors, wide and high.
    factors: (usize, usize),
    /// How many units of so many blocks the picture takes, wide and high.
    units: (usize, usize),
}

struct Component {
    name: u8,
    /// Blocks in a unit, wide and high; 1 to 4.
    factors: (usize, usize),
    /// In samples that lie in the picture.
    size: (usize, usize),
    /// Which table its steps come from, and the steps, in row order, once it was in a scan.
    table: usize,
    steps: Option<Box<[u16; BLOCK]>>,
}

/// What the components are.
#[derive(Clone, Copy)]
pub(super) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// Markers: the picture's start and end, frames (baseline, extended and progressive), a scan.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const SOS: u8 = 0xda;

/// Decodes the first picture in a file.
pub(super) fn decode(
    bytes: &[u8],
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    decode_as(bytes, None, check)
}

/// The same, with colours that are known from elsewhere.
pub(super) fn decode_as(
    bytes: &[u8],
    colour: Option<Colour>,
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    let mut decoder = Decoder::new(bytes, colour);
    let mut at = 0;
    let ended = loop {
        let Some((code, next)) = marker(bytes, at) else {
            break false;
        };
        if code == EOI {
            break true;
        }
        // Markers without a segment: start, restarts, and one for private use.
        if matches!(code, SOI | 0xd0..=0xd7 | 0x01) {
            at = next;
            continue;
        }
        let Some((segment, next)) = segment(bytes, next) else {
            break false;
        };
        at = match code {
            SOS if decoder.rgb.is_none() => decoder.read_scan(segment, next)?,
            SOF0..=SOF2 => {
                decoder.read_frame(segment, code == SOF2, &check)?;
                next
            }
            _ => {
                decoder.state.read(code, segment)?;
                next
            }
        };
    };
    decoder.finish(ended)
}

/// A picture in the making.
struct Decoder<'a> {
    bytes: &'a [u8],
    state: State<'a>,
    frame: Option<Frame>,
    /// The coefficients, where one scan does not make the picture.
    stored: Option<Stored>,
    rgb: Option<Vec<u8>>,
    /// Bytes of the last scan that were not read.
    left_over: usize,
    notes: Vec<String>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], colour: Option<Colour>) -> Self {
        Self {
            bytes,
            state: State::new(colour),
            frame: None,
            stored: None,
            rgb: None,
            left_over: 0,
            notes: vec![],
        }
    }

    fn read_frame(
        &mut self,
        segment: &[u8],
        progressive: bool,
        check: impl Fn(Size) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err(Fault::damaged("it has a second frame header"));
        }
        let frame = Frame::read(segment, progressive)?;
        check((frame.width as u32, frame.height as u32))?;
        self.frame = Some(frame);
        Ok(())
    }

    /// Reads the codes of a scan, which begin at `at`; returns where they end.
    fn read_scan(&mut self, segment: &[u8], at: usize) -> Result<usize, Fault> {
        let missing = Fault::damaged("a scan comes before its frame");
        let frame = self.frame.as_mut().ok_or(missing)?;
        let scan = self.state.scan(segment, frame)?;
        let is_only_one = !frame.progressive && scan.members.len() == frame.components.len();
        let (left_over, end) = if is_only_one && self.stored.is_none() {
            let mut reader = Reader::new(&scan, false, self.bytes, at);
            let colour = self.state.colour(frame);
            self.rgb = Some(paint(frame, colour, |planes, row| {
                read_band(&mut reader, frame, row, planes)
            })?);
            reader.end()
        } else {
            let stored = self.stored.get_or_insert_with(|| Stored::new(frame));
            stored.read(&scan, frame, self.bytes, at)?
        };
        self.left_over = left_over;
        if left_over > 0 && marker(self.bytes, end).is_some() {
            self.notes.push(left_over_note(left_over));
        }
        Ok(end)
    }

    /// The picture, if all of it is there; `ended`: whether the end marker is.
    fn finish(mut self, ended: bool) -> Result<Decoded, Fault> {
        let missing = || match ended {
            true => Fault::damaged("it has no picture"),
            false => Fault::Truncated,
        };
        let frame = self.frame.ok_or_else(missing)?;
        if let Some(stored) = &self.stored {
            self.notes.extend(stored.check(ended)?);
            let colour = self.state.colour(&frame);
            self.rgb = Some(paint(&frame, colour, |planes, row| {
                stored.band(&frame, row, planes);
                Ok(())
            })?);
        }
        let rgb = self.rgb.ok_or_else(missing)?;
        if !ended {
            if self.left_over > 0 {
                return Err(Fault::Truncated);
            }
            let note = "its end marker is missing, though all pixels are there";
            self.notes.push(note.to_owned());
        }
        Ok(Decoded {
            size: (frame.width as u32, frame.height as u32),
            rgb,
            orientation: self.state.exif.and_then(orientation::of_exif),
            notes: self.notes,
        })
    }
}

fn left_over_note(bytes: usize) -> String {
    format!("{bytes} bytes of its coded data were left over: part of it may be damaged")
}

/// The code of the next marker, and where it ends. What is between segments is passed over, as libjpeg does.
fn marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xff)? + 1;
        match *bytes.get(at)? {
            // Of data; a fill byte, itself perhaps the marker's first.
            0 | 0xff => {}
            code => return Some((code, at + 1)),
        }
    }
}

/// The content of a segment, which begins with its length, and where it ends; `None` beyond the file.
fn segment(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let segment = bytes.get(at..at + length.max(2))?;
    Some((&segment[2..], at + segment.len()))
}

const SHORT: &str = "a segment is too short";

fn byte(segment: &[u8], at: usize) -> Result<u8, Fault> {
    segment.get(at).copied().ok_or(Fault::damaged(SHORT))
}

fn u16_at(segment: &[u8], at: usize) -> Result<u16, Fault> {
    Ok(u16::from_be_bytes([
        byte(segment, at)?,
        byte(segment, at + 1)?,
    ]))
}

impl Frame {
    fn read(segment: &[u8], progressive: bool) -> Result<Self, Fault> {
        let bits = byte(segment, 0)?;
        if bits != 8 {
            return Err(Fault::Unsupported(format!("{bits} bits a sample").into()));
        }
        let height = usize::from(u16_at(segment, 1)?);
        let width = usize::from(u16_at(segment, 3)?);
        let count = byte(segment, 5)?;
        if height == 0 {
            return Err(Fault::unsupported("a height that comes after the picture"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Fault::Unsupported(format!("{count} components").into()));
        }
        let mut components = vec![];
        for i in 0..usize::from(count) {
            let factors = byte(segment, 7 + 3 * i)?;
            let mut factors = (usize::from(factors >> 4), usize::from(factors & 15));
            if !(1..=4).contains(&factors.0) || !(1..=4).contains(&factors.1) {
                return Err(Fault::damaged("a sampling factor is not 1 to 4"));
            }
            // A component alone comes block by block, whatever its factors.
            if count == 1 {
                factors = (1, 1);
            }
            components.push(Component {
                name: byte(segment, 6 + 3 * i)?,
                factors,
                size: (0, 0),
                table: usize::from(byte(segment, 8 + 3 * i)?),
                steps: None,
            });
        }
        let largest = |of: fn(&Component) -> usize| components.iter().map(of).max().unwrap_or(1);
        let factors = (largest(|c| c.factors.0), largest(|c| c.factors.1));
        for component in &mut components {
            let (wide, high) = component.factors;
            if factors.0 % wide != 0 || factors.1 % high != 0 {
                return Err(Fault::unsupported(
                    "colour sampled at a fraction that is not whole",
                ));
            }
            component.size = (
                (width * wide).div_ceil(factors.0),
                (height * high).div_ceil(factors.1),
            );
        }
        Ok(Self {
            width,
            height,
            progressive,
            components,
            factors,
            units: (
                width.div_ceil(8 * factors.0),
                height.div_ceil(8 * factors.1),
            ),
        })
    }
}

/// The pixels, from bands of samples that `band` writes: all of the blocks in a row of units.
fn paint(
    frame: &Frame,
    colour: Colour,
    mut band: impl FnMut(&mut [Plane], usize) -> Result<(), Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut planes: Vec<Plane> = frame
        .components
        .iter()
        .map(|c| Plane::new(frame, c))
        .collect();
    let mut rows = Rows::new(frame, colour);
    let mut rgb = vec![0; 3 * frame.width * frame.height];
    let mut lines = rgb.chunks_exact_mut(3 * frame.width).enumerate();
    let (high, mut done) = (8 * frame.factors.1, 0);
    for row in 0..frame.units.1 {
        band(&mut planes, row)?;
        // The band's last row of pixels takes samples from the next band, too.
        let until = high * (row + 1) - usize::from(row + 1 < frame.units.1);
        for (y, line) in lines.by_ref().take(until - done) {
            rows.write(frame, &planes, y, line);
        }
        done = until;
    }
    Ok(rgb)
}

/// Blocks of a sequential scan straight to samples.
fn read_band(
    reader: &mut Reader<'_>,
    frame: &Frame,
    row: usize,
    planes: &mut [Plane],
) -> Result<(), Fault> {
    reader.row(frame, row, |reader, member, index, y, x| {
        let mut block = [0; BLOCK];
        reader.block(member, index, &mut block)?;
        if let Some(steps) = &frame.components[member.component].steps {
            let plane = &mut planes[member.component];
            let stride = plane.stride;
            idct::samples(&block, steps, plane.block(y, x), stride);
        }
        Ok(())
    })
}
