//! The bytes of a strip or tile, unpacked as they are read: however much a chunk unpacks to, only a row of it is held.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;
use weezl::{BitOrder, LzwStatus, decode};

use super::layout::Compression;
use crate::picture::Fault;

/// A reader of what `bytes` unpack to. JPEG is none of these: it makes pixels.
pub(super) fn unpacked<'a>(
    bytes: &'a [u8],
    compression: Compression<'_>,
) -> Result<Box<dyn Read + 'a>, Fault> {
    Ok(match compression {
        Compression::None | Compression::Jpeg(_) => Box::new(bytes),
        Compression::Deflate => Box::new(ZlibDecoder::new(bytes)),
        Compression::PackBits => Box::new(PackBits {
            bytes,
            left: 0,
            repeated: None,
        }),
        Compression::Lzw => Box::new(Lzw {
            // Early files of some programs begin with a code of zeros in the other order of bits.
            decoder: match bytes {
                [0, second, ..] if second & 1 == 1 => {
                    return Err(Fault::unsupported("LZW compression of the old kind"));
                }
                _ => decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
            },
            bytes,
        }),
        Compression::Zstd => {
            let decoder = StreamingDecoder::new(bytes);
            Box::new(decoder.map_err(|e| Fault::Damaged(e.to_string().into()))?)
        }
    })
}

struct Lzw<'a> {
    decoder: decode::Decoder,
    bytes: &'a [u8],
}

impl Read for Lzw<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let done = self.decoder.decode_bytes(self.bytes, to);
            self.bytes = &self.bytes[done.consumed_in..];
            match done.status {
                Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e)),
                Ok(LzwStatus::Ok) if done.consumed_out == 0 && !to.is_empty() => {}
                Ok(_) => return Ok(done.consumed_out),
            }
        }
    }
}

/// Runs: a length less 1 and so many bytes, or, if negative, one byte to be repeated.
struct PackBits<'a> {
    bytes: &'a [u8],
    /// Of the present run.
    left: usize,
    repeated: Option<u8>,
}

impl Read for PackBits<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let [length, rest @ ..] = self.bytes else {
                return Ok(0);
            };
            self.bytes = rest;
            match *length {
                0..128 => (self.left, self.repeated) = (usize::from(*length) + 1, None),
                // Stands for nothing.
                128 => {}
                _ => {
                    let [byte, rest @ ..] = self.bytes else {
                        return Ok(0);
                    };
                    self.bytes = rest;
                    (self.left, self.repeated) = (257 - usize::from(*length), Some(*byte));
                }
            }
        }
        let mut count = self.left.min(to.len());
        match self.repeated {
            Some(byte) => to[..count].fill(byte),
            None => count = self.bytes.read(&mut to[..count])?,
        }
        self.left -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_runs_are_read_across_any_cut() {
        // Apple's example.
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0x80, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22,
            0xf7, 0xaa,
        ];
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        for step in 1..10 {
            let mut reader = unpacked(&packed, Compression::PackBits).unwrap();
            let mut all: Vec<u8> = vec![];
            let mut part = vec![0u8; step];
            loop {
                match reader.read(&mut part).unwrap() {
                    0 => break,
                    count => all.extend(&part[..count]),
                }
            }
            assert_eq!(all, expected, "{step} bytes at a time");
        }
    }
}
