//! Whether a picture file is all there, for the formats whose decoder does not say.
//!
//! The JPEG decoder fills what is missing with grey, and a map would explain a picture that nobody took. The WebP decoder does
//! not miss what follows the pixels, the orientation among it.

use image::ImageFormat;

/// Whether `bytes` reach the end that the format announces; true for formats whose decoder complains itself.
pub(super) fn is_whole(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
        _ => true,
    }
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const TEM: u8 = 0x01;

/// Whether the first picture in `bytes` reaches its end marker, EOI.
///
/// Markers (ITU T.81, B.1.1.2) are 0xff and a code. Segments are skipped by their length, so the markers of an embedded
/// thumbnail do not count; in the coded data between them 0xff is followed by 0 or a restart marker. What follows EOI, a second
/// picture or a maker's data, may be anything.
fn jpeg(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some((code, next)) = marker(bytes, at) {
        at = match code {
            EOI => return true,
            SOI | TEM => next,
            _ => {
                let Some(&[high, low]) = bytes.get(next..next + 2) else {
                    return false;
                };
                next + usize::from(u16::from_be_bytes([high, low]))
            }
        };
    }
    false
}

/// The code of the next marker that is not a restart, and where it ends.
fn marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xff)? + 1;
        match *bytes.get(at)? {
            // Stuffing after a 0xff of the data; restart; a fill byte, itself perhaps the marker's first.
            0 | 0xd0..=0xd7 | 0xff => {}
            code => return Some((code, at + 1)),
        }
    }
}

/// Whether the RIFF container is as long as it says: "RIFF", the length of what follows as u32, "WEBP".
fn webp(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else {
        return false;
    };
    let announced = u64::from(u32::from_le_bytes([a, b, c, d])) + 8;
    bytes.len() as u64 >= announced
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SOI, a segment whose content looks like EOI, a scan with stuffing and a restart, EOI, and something after it.
    const JPEG: &[u8] = &[
        0xff, 0xd8, 0xff, 0xe1, 0, 4, 0xff, 0xd9, 0xff, 0xff, 0xda, 0, 2, 7, 0xff, 0, 7, 0xff,
        0xd0, 7, 0xff, 0xd9, b'm', b'o', b'r', b'e',
    ];

    #[test]
    fn a_jpeg_is_whole_from_its_end_marker_on_and_not_before() {
        for length in 0..=JPEG.len() {
            assert_eq!(jpeg(&JPEG[..length]), length >= 22, "{length} bytes");
        }
    }

    #[test]
    fn a_tail_of_zeros_is_not_an_end() {
        let mut cut = JPEG[..18].to_vec();
        cut.resize(100, 0);
        assert!(!jpeg(&cut));
    }

    #[test]
    fn a_segment_longer_than_the_file_is_not_whole() {
        assert!(!jpeg(&[0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, 0xff, 0xd9]));
    }

    #[test]
    fn a_webp_is_whole_from_the_length_it_announces_on() {
        let file = b"RIFF\x08\0\0\0WEBPVP8 and more";
        for length in 0..=file.len() {
            assert_eq!(webp(&file[..length]), length >= 16, "{length} bytes");
        }
        assert!(!webp(b"RIFF\xff\xff\xff\xffWEBP"));
    }
}
