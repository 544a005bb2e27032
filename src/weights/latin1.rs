//! Bytes that were written as text: Python 3 has no byte strings in pickle protocol 2, so it writes
//! each byte as the Latin-1 character of that number, in UTF-8. A byte from 0x80 up takes two: `C2`
//! or `C3`, then a continuation.
//!
//! The text is checked and counted once, then decoded piece by piece when it is asked for.

use std::ops::Range;

use super::source::Source;

/// Encoded bytes between two marks: at most as many are read in vain to begin in the middle.
const BLOCK: usize = 16 << 10;

/// Encoded bytes that are scanned before their pages are released.
const PIECE: usize = 512 * BLOCK;

/// Where a byte string lies as text, and where to start decoding for any byte of it.
#[derive(Debug)]
pub(super) struct Latin1 {
    /// The encoded text in the file.
    span: Range<usize>,
    /// For each block of encoded bytes, the number of characters that begin before it.
    marks: Vec<usize>,
    /// Decoded length in bytes.
    len: usize,
}

impl Latin1 {
    /// Checks and counts the text at `span`, and releases its pages. `None`: it holds something
    /// that is not a Latin-1 character in UTF-8.
    pub(super) fn scan(source: &Source, span: Range<usize>) -> Option<Self> {
        let text = &source.bytes()[span.clone()];
        let mut marks = Vec::with_capacity(text.len().div_ceil(BLOCK));
        let mut len = 0;
        let mut after_lead = false;
        let mut start = span.start;
        for piece in text.chunks(PIECE) {
            for block in piece.chunks(BLOCK) {
                marks.push(len);
                // Without branches: the bytes are parts of floats, and no predictor guesses them.
                let mut well_formed = is_continuation(block[0]) == after_lead;
                for pair in block.windows(2) {
                    well_formed &= is_continuation(pair[1]) == is_lead(pair[0]);
                }
                for &byte in block {
                    len += usize::from(!is_continuation(byte));
                    well_formed &= byte < 0xC0 || is_lead(byte);
                }
                if !well_formed {
                    return None;
                }
                after_lead = is_lead(block[block.len() - 1]);
            }
            source.release(start..start + piece.len());
            start += piece.len();
        }
        (!after_lead).then_some(Self { span, marks, len })
    }

    /// Decoded length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes the decoded bytes from `start` on into `out`. Panics if they are not there: `start +
    /// out.len() > len()`.
    pub(super) fn decode(&self, file: &[u8], start: usize, out: &mut [u8]) {
        assert!(
            start + out.len() <= self.len,
            "bytes {start}+{} of {}",
            out.len(),
            self.len
        );
        if out.is_empty() {
            return;
        }
        let mut text = &file[self.encoded_from(file, start)..self.span.end];
        let mut written = 0;
        let mut previous = 0;
        while written < out.len() {
            // As many bytes as surely have a place, so that the loop needs no end but this.
            let (sure, rest) = text.split_at(text.len().min(out.len() - written));
            for &byte in sure {
                // After C2 the continuation is the byte itself, after C3 it lacks one bit. A lead
                // writes too, what the continuation then overwrites: no branches, as above.
                out[written] = byte | u8::from(previous == 0xC3) << 6;
                previous = byte;
                written += usize::from(!is_lead(byte));
            }
            text = rest;
        }
    }

    /// The encoded bytes that hold the decoded ones of `range`, rounded out to blocks.
    pub(super) fn encoded(&self, range: Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return self.span.start..self.span.start;
        }
        let first = self.block_of(range.start);
        let last = self.block_of(range.end - 1);
        self.span.start + first * BLOCK..self.span.end.min(self.span.start + (last + 1) * BLOCK + 1)
    }

    fn block_of(&self, character: usize) -> usize {
        self.marks.partition_point(|&begun| begun <= character) - 1
    }

    /// Where in the file the character `index` begins.
    fn encoded_from(&self, file: &[u8], index: usize) -> usize {
        let block = self.block_of(index);
        let mut at = self.span.start + block * BLOCK;
        at += usize::from(is_continuation(file[at]));
        for _ in self.marks[block]..index {
            at += 1 + usize::from(is_lead(file[at]));
        }
        at
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// First of the two bytes of U+0080 to U+00FF.
fn is_lead(byte: u8) -> bool {
    byte & 0xFE == 0xC2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8], span: Range<usize>) -> Option<Latin1> {
        Latin1::scan(&Source::Owned(text.to_vec()), span)
    }

    /// Long enough for many blocks, with characters across their edges, after a prefix that is not
    /// part of it.
    fn sample() -> (Vec<u8>, Vec<u8>, Latin1) {
        let bytes: Vec<u8> = (0..150_001_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let mut file = b"prefix".to_vec();
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        file.extend(text.as_bytes());
        file.extend(b"suffix");
        let latin1 = scan(&file, 6..6 + text.len()).unwrap();
        (bytes, file, latin1)
    }

    #[test]
    fn every_start_decodes_to_the_bytes_that_were_written() {
        let (bytes, file, latin1) = sample();
        assert_eq!(latin1.len(), bytes.len());
        let mut whole = vec![0; bytes.len()];
        latin1.decode(&file, 0, &mut whole);
        assert_eq!(whole, bytes);
        for start in (0..bytes.len() - 40).step_by(997).chain([bytes.len() - 40]) {
            let mut piece = [0; 40];
            latin1.decode(&file, start, &mut piece);
            assert_eq!(piece, bytes[start..start + 40], "from {start}");
        }
    }

    #[test]
    fn the_encoded_range_of_a_piece_holds_all_of_it() {
        let (bytes, _, latin1) = sample();
        assert_eq!(latin1.encoded(0..bytes.len()), latin1.span);
        assert_eq!(latin1.encoded(5..5), 6..6);
        assert_eq!(latin1.encoded(0..1), 6..6 + BLOCK + 1);
    }

    #[test]
    fn text_outside_latin_1_is_refused() {
        let bad: [&[u8]; 7] = [
            b"\xC4\x80",
            b"\xC2",
            b"\xC2A",
            b"\x80",
            b"A\xBF",
            b"\xC2\x80\x80",
            "\u{20AC}".as_bytes(),
        ];
        for text in bad {
            assert!(scan(text, 0..text.len()).is_none(), "{text:x?}");
        }
        assert_eq!(scan(b"", 0..0).unwrap().len(), 0);
        assert_eq!(scan("\u{FF}\u{80}A".as_bytes(), 0..5).unwrap().len(), 3);
    }

    #[test]
    fn a_character_cut_by_the_edge_of_a_block_is_seen() {
        let mut text = vec![b'a'; BLOCK - 1];
        text.extend([0xC3, 0xBF]);
        let latin1 = scan(&text, 0..text.len()).unwrap();
        let mut last = [0];
        latin1.decode(&text, BLOCK - 1, &mut last);
        assert_eq!(last, [0xFF]);
        text[BLOCK] = b'b';
        assert!(scan(&text, 0..text.len()).is_none());
    }
}
