//! Bits of the coded data, and the codes in them.

use super::Fault;

/// The coded data of a scan, bit by bit, up to the next marker; then zeros, which are counted.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in `held`: of a marker or the end of the file, once there is none.
    at: usize,
    /// Left-aligned.
    held: u64,
    /// How many bits `held` has.
    count: u32,
    /// How many of them, the last ones, are zeros that the file does not have. Those taken count too.
    invented: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            held: 0,
            count: 0,
            invented: 0,
        }
    }

    /// Holds at least 32 bits afterwards.
    #[inline]
    fn fill(&mut self) {
        if self.count < 32 {
            self.read();
        }
    }

    fn read(&mut self) {
        if let Some(&four) = self.bytes[self.at..].first_chunk::<4>()
            && !four.contains(&0xff)
        {
            self.held |= u64::from(u32::from_be_bytes(four)) << (32 - self.count);
            self.count += 32;
            self.at += 4;
            return;
        }
        while self.count <= 56 {
            let byte = match self.bytes[self.at..] {
                // A zero after 0xff makes it data.
                [0xff, 0, ..] => {
                    self.at += 2;
                    0xff
                }
                [0xff, ..] | [] => {
                    self.invented += 8;
                    0
                }
                [byte, ..] => {
                    self.at += 1;
                    byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u16 {
        if count == 0 {
            return 0;
        }
        self.fill();
        let bits = (self.held >> (64 - count)) as u16;
        self.drop(count);
        bits
    }

    /// A number of `size` bits, at most 15, as F.2.2.1 of the standard extends it: those that begin with 0 are negative.
    #[inline]
    pub(super) fn number(&mut self, size: u32) -> i16 {
        let bits = i32::from(self.take(size));
        let negative = size > 0 && bits < 1 << (size - 1);
        (if negative {
            bits - (1 << size) + 1
        } else {
            bits
        }) as i16
    }

    #[inline]
    fn drop(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// An error once bits were taken that the file does not have.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.invented <= self.count {
            Ok(())
        } else if self.bytes.len() <= self.at + 1 {
            Err(Fault::Truncated)
        } else {
            Err(Fault::damaged("its coded data end too early"))
        }
    }

    /// How many whole bytes were not taken before the marker or the file's end, and where that is.
    pub(super) fn end(&self) -> (usize, usize) {
        let held = self.count.saturating_sub(self.invented) as usize / 8;
        let mut at = self.at;
        while let Some(&[first, second]) = self.bytes[at..].first_chunk() {
            match (first, second) {
                (0xff, 0) => at += 2,
                (0xff, _) => break,
                _ => at += 1,
            }
        }
        // A last byte alone is data, or half of a marker.
        if at + 1 == self.bytes.len() && self.bytes[at] != 0xff {
            at += 1;
        }
        (held + at - self.at, at)
    }

    /// Goes over restart marker `number`, which must come next.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Fault> {
        let (_, mut at) = self.end();
        while self.bytes[at..].starts_with(&[0xff, 0xff]) {
            at += 1;
        }
        match self.bytes[at..] {
            [0xff, code, ..] if code == 0xd0 + number % 8 => {
                *self = Self::new(self.bytes, at + 2);
                Ok(())
            }
            [] | [_] => Err(Fault::Truncated),
            _ => Err(Fault::damaged("a restart marker is not where it belongs")),
        }
    }
}

/// The most bits that are looked up at once; longer codes are rare.
const LOOKED_UP: u32 = 9;

/// A table of codes, of 1 to 16 bits each, for symbols of a byte.
#[derive(Clone)]
pub(super) struct Codes {
    /// By the next [`LOOKED_UP`] bits: the code's length and the symbol; length 0 for longer codes and for none.
    short: Box<[(u8, u8); 1 << LOOKED_UP]>,
    /// By length less 1: the first code that is too large for it, left-aligned in 16 bits.
    beyond: [u32; 16],
    /// By length less 1: what a code of it exceeds the place of its symbol by.
    offset: [i32; 16],
    symbols: Vec<u8>,
}

impl Codes {
    /// From the number of codes by length, and the symbols in the order of their codes.
    pub(super) fn new(lengths: &[u8; 16], symbols: &[u8]) -> Result<Self, Fault> {
        let mut short = Box::new([(0, 0); 1 << LOOKED_UP]);
        let (mut beyond, mut offset) = ([0; 16], [0; 16]);
        let (mut code, mut place) = (0u32, 0usize);
        for (i, &count) in lengths.iter().enumerate() {
            let length = i as u32 + 1;
            offset[i] = code as i32 - place as i32;
            for _ in 0..count {
                let symbol = *symbols
                    .get(place)
                    .ok_or(Fault::damaged("a table of its codes is too short"))?;
                if code >= 1 << length {
                    return Err(Fault::damaged("a table has more codes than there can be"));
                }
                if length <= LOOKED_UP {
                    let spare = LOOKED_UP - length;
                    let first = (code << spare) as usize;
                    short[first..first + (1 << spare)].fill((length as u8, symbol));
                }
                code += 1;
                place += 1;
            }
            beyond[i] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self {
            short,
            beyond,
            offset,
            symbols: symbols.to_vec(),
        })
    }

    /// The symbol of the next code.
    #[inline]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> Result<u8, Fault> {
        bits.fill();
        let (length, symbol) = self.short[(bits.held >> (64 - LOOKED_UP)) as usize];
        if length > 0 {
            bits.drop(length.into());
            return Ok(symbol);
        }
        let next = (bits.held >> 48) as u32;
        let longer = (LOOKED_UP as usize..16).find(|&i| next < self.beyond[i]);
        let symbol = longer.and_then(|i| {
            let code = (next >> (15 - i)) as i32;
            bits.drop(i as u32 + 1);
            self.symbols
                .get(usize::try_from(code - self.offset[i]).ok()?)
        });
        // What is no code may be the file's missing end.
        bits.check()?;
        symbol
            .copied()
            .ok_or(Fault::damaged("a code that its tables do not have"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 and, of 11 bits, 11100000000.
    fn codes() -> Codes {
        let mut lengths = [0; 16];
        (lengths[0], lengths[1], lengths[2], lengths[10]) = (1, 1, 1, 1);
        Codes::new(&lengths, b"abcd").unwrap()
    }

    #[test]
    fn short_and_long_codes_are_read_across_stuffed_bytes() {
        // 0 10 110 11100000000 then 0xff as data, then a marker.
        let bytes = [
            0b0101_1011,
            0b1000_0000,
            0b0011_1111,
            0b1000_0000,
            0xff,
            0,
            0x7f,
            0xff,
            0xd9,
        ];
        let mut bits = Bits::new(&bytes, 0);
        let codes = codes();
        for expected in *b"abcda" {
            assert_eq!(codes.next(&mut bits).unwrap(), expected);
        }
        assert_eq!(bits.take(6), 0x3f);
        assert_eq!(bits.take(8), 0x80);
        assert_eq!(bits.take(16), 0xff7f);
        assert!(bits.check().is_ok());
        assert_eq!(bits.end(), (0, 7));
        assert_eq!(bits.take(1), 0);
        assert!(matches!(bits.check(), Err(Fault::Damaged(_))));
    }

    #[test]
    fn bits_beyond_the_file_are_a_truncated_file() {
        let mut bits = Bits::new(&[0b0100_0000], 0);
        assert_eq!(bits.take(8), 0x40);
        assert!(bits.check().is_ok());
        bits.take(1);
        assert!(matches!(bits.check(), Err(Fault::Truncated)));
    }

    #[test]
    fn numbers_that_begin_with_zero_are_negative() {
        let mut bits = Bits::new(&[0b0110_1100], 0);
        assert_eq!(bits.number(1), -1);
        assert_eq!(bits.number(1), 1);
        assert_eq!(bits.number(0), 0);
        assert_eq!(bits.number(3), 5);
        assert_eq!(bits.number(3), 4);
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let mut lengths = [0; 16];
        lengths[0] = 3;
        assert!(Codes::new(&lengths, b"abc").is_err());
        lengths[0] = 1;
        assert!(Codes::new(&lengths, b"").is_err());
        // One of 1 bit and nothing else: 1 begins no code.
        let codes = Codes::new(&lengths, b"a").unwrap();
        let mut bits = Bits::new(&[0xfe; 9], 0);
        assert!(matches!(codes.next(&mut bits), Err(Fault::Damaged(_))));
    }
}
