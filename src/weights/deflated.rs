//! Bytes that were compressed with deflate, unpacked piece by piece when they are asked for: a file
//! of any length takes the memory of one window.
//!
//! Deflate can only be read from its beginning. Readers go forward through one member after the
//! other, so one place to go on from is kept for all members of an archive.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::source::Source;

/// Bytes unpacked at once to be passed over.
const SCRATCH: usize = 64 << 10;

/// Packed bytes that are read before their pages are released.
const PIECE: usize = 8 << 20;

/// Where the last reader of an archive stopped.
pub(super) type Bookmark = Arc<Mutex<Option<Reader>>>;

/// A byte string that lies packed in a file, without its first few bytes.
#[derive(Clone, Debug)]
pub(super) struct Deflated {
    /// The packed bytes in the file.
    span: Range<usize>,
    /// Unpacked bytes that are passed over.
    skipped: usize,
    /// Unpacked bytes that follow them.
    len: usize,
    bookmark: Bookmark,
}

/// A stream, unpacked up to some place.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Decompress,
    /// The packed bytes in the file.
    span: Range<usize>,
    finished: bool,
}

impl Deflated {
    /// The `len` bytes that are packed in `span`, as their archive announces them.
    pub(super) fn new(span: Range<usize>, len: usize, bookmark: &Bookmark) -> Self {
        Self {
            span,
            skipped: 0,
            len,
            bookmark: Arc::clone(bookmark),
        }
    }

    /// Unpacks everything once, to know that it can be and has this checksum, and releases its pages.
    pub(super) fn verify(&self, source: &Source, checksum: u32) -> bool {
        self.checksum(source) == Some(checksum)
    }

    /// The checksum of all unpacked bytes; `None` where they are damaged or another number of bytes.
    fn checksum(&self, source: &Source) -> Option<u32> {
        let len = self.skipped + self.len;
        let mut reader = Reader::new(self.span.clone());
        let mut scratch = vec![0; SCRATCH];
        let mut crc = Crc::new();
        let mut released = self.span.start;
        while !reader.finished {
            let unpacked = reader.read(source.bytes(), &mut scratch)?;
            if reader.at() > len {
                return None;
            }
            crc.update(&scratch[..unpacked]);
            if reader.packed() - released >= PIECE || reader.finished {
                source.release(released..reader.packed());
                released = reader.packed();
            }
        }
        let whole = reader.at() == len && reader.packed() == self.span.end;
        whole.then(|| crc.sum())
    }

    /// Unpacked length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The same without its first `count` bytes, of at most `len()`.
    pub(super) fn skip(mut self, count: usize) -> Self {
        self.skipped += count;
        self.len -= count;
        self
    }

    /// The packed bytes: any of the unpacked ones may need all of them.
    pub(super) fn packed(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Writes the unpacked bytes from `start` on into `out`; NaNs if they are damaged, or the file has
    /// changed since they were verified. Panics if they are not there: `start + out.len() > len()`.
    pub(super) fn decode(&self, file: &[u8], start: usize, out: &mut [u8]) {
        assert!(
            start + out.len() <= self.len,
            "bytes {start}+{} of {}",
            out.len(),
            self.len
        );
        let start = self.skipped + start;
        let bookmark = || self.bookmark.lock().unwrap_or_else(PoisonError::into_inner);
        let known = bookmark().take();
        let mut reader = known
            .filter(|reader| reader.span == self.span && reader.at() <= start)
            .unwrap_or_else(|| Reader::new(self.span.clone()));
        if reader.fill(file, start, out).is_none() {
            out.fill(0xFF);
        } else {
            *bookmark() = Some(reader);
        }
    }
}

impl Reader {
    fn new(span: Range<usize>) -> Self {
        Self {
            stream: Decompress::new(false),
            span,
            finished: false,
        }
    }

    /// Unpacked bytes so far.
    fn at(&self) -> usize {
        self.stream.total_out() as usize
    }

    /// Place in the file of the next packed byte.
    fn packed(&self) -> usize {
        self.span.start + self.stream.total_in() as usize
    }

    /// Unpacks the next bytes into `out` and says how many; fewer than it holds only at the end.
    /// `None`: they are damaged.
    fn read(&mut self, file: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut written = 0;
        while written < out.len() && !self.finished {
            let before = (self.at(), self.packed());
            let input = &file[before.1..self.span.end];
            let flush = FlushDecompress::None;
            let status = self.stream.decompress(input, &mut out[written..], flush);
            self.finished = status.ok()? == Status::StreamEnd;
            written += self.at() - before.0;
            if !self.finished && before == (self.at(), self.packed()) {
                return None;
            }
        }
        Some(written)
    }

    /// Passes over what lies before `start` and unpacks what follows into all of `out`.
    fn fill(&mut self, file: &[u8], start: usize, out: &mut [u8]) -> Option<()> {
        let mut scratch = vec![0; SCRATCH.min(start - self.at())];
        while self.at() < start {
            let next = scratch.len().min(start - self.at());
            self.read(file, &mut scratch[..next])
                .filter(|&n| n == next)?;
        }
        let unpacked = self.read(file, out)?;
        (unpacked == out.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn verify(packed: &[u8], bytes: &[u8]) -> (Source, Option<Deflated>) {
        let file = [b"before", packed, b"behind"].concat();
        let source = Source::Owned(file);
        let mut crc = Crc::new();
        crc.update(bytes);
        let span = 6..6 + packed.len();
        let bookmark = Bookmark::default();
        let deflated = Deflated::new(span, bytes.len(), &bookmark);
        let whole = deflated.verify(&source, crc.sum());
        (source, whole.then_some(deflated))
    }

    #[test]
    fn every_piece_is_that_of_the_whole_in_any_order() {
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 27) as u8)
            .collect();
        let (source, deflated) = verify(&packed(&bytes), &bytes);
        let deflated = deflated.unwrap().skip(5);
        let bytes = &bytes[5..];
        assert_eq!(deflated.len(), bytes.len());
        for start in [0, 1000, 1000, 250_000, 70_000, 70_001, 299_895, 0] {
            let mut piece = [0; 100];
            deflated.decode(source.bytes(), start, &mut piece);
            assert_eq!(piece, bytes[start..start + 100], "from {start}");
        }
        let mut whole = vec![0; bytes.len()];
        deflated.decode(source.bytes(), 0, &mut whole);
        assert_eq!(whole, bytes);
        deflated.decode(source.bytes(), bytes.len(), &mut []);
    }

    #[test]
    fn two_members_may_be_read_by_turns() {
        let [a, b] = [3_u8, 7].map(|step| {
            (0..100_000_u32)
                .map(|i| (i * u32::from(step) % 251) as u8)
                .collect::<Vec<_>>()
        });
        let [packed_a, packed_b] = [packed(&a), packed(&b)];
        let source = Source::Owned([&packed_a[..], &packed_b].concat());
        let bookmark = Bookmark::default();
        let of = |span: Range<usize>, bytes: &[u8]| {
            let mut crc = Crc::new();
            crc.update(bytes);
            let deflated = Deflated::new(span, bytes.len(), &bookmark);
            assert!(deflated.verify(&source, crc.sum()));
            deflated
        };
        let first = of(0..packed_a.len(), &a);
        let second = of(packed_a.len()..source.bytes().len(), &b);
        for start in (0..100_000).step_by(25_000) {
            for (member, bytes) in [(&first, &a), (&second, &b)] {
                let mut piece = vec![0; 25_000];
                member.decode(source.bytes(), start, &mut piece);
                assert_eq!(piece, bytes[start..start + 25_000]);
            }
        }
    }

    #[test]
    fn what_does_not_unpack_to_what_was_announced_is_refused() {
        let bytes = b"weights and biases, weights and biases".repeat(10);
        let good = packed(&bytes);
        assert!(verify(&good, &bytes).1.is_some());
        assert!(verify(&packed(b""), b"").1.is_some());
        assert!(verify(&good[..good.len() - 1], &bytes).1.is_none());
        assert!(verify(&[&good[..], &[0]].concat(), &bytes).1.is_none());
        assert!(verify(&good, &bytes[1..]).1.is_none());
        assert!(verify(&good, b"").1.is_none());
        assert!(verify(b"", &bytes).1.is_none());
        let mut other = bytes.clone();
        other[7] ^= 1;
        assert!(verify(&good, &other).1.is_none());
    }

    #[test]
    fn a_file_that_changes_under_its_reader_gives_nans() {
        let bytes = [0_u8; 4096];
        let (source, deflated) = verify(&packed(&bytes), &bytes);
        let mut out = [0; 8];
        deflated
            .unwrap()
            .decode(&vec![0xFF; source.bytes().len()], 0, &mut out);
        assert_eq!(out, [0xFF; 8]);
    }
}
