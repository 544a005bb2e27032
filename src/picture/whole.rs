//! Whether a picture file is all there, for the formats whose decoder does not say.
//!
//! The WebP decoder does not miss what follows the pixels, the orientation among it.

use image::ImageFormat;

/// Whether `bytes` reach the end that the format announces; true for formats whose decoder complains itself.
pub(super) fn is_whole(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::WebP => webp(bytes),
        _ => true,
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

    #[test]
    fn a_webp_is_whole_from_the_length_it_announces_on() {
        let file = b"RIFF\x08\0\0\0WEBPVP8 and more";
        for length in 0..=file.len() {
            assert_eq!(webp(&file[..length]), length >= 16, "{length} bytes");
        }
        assert!(!webp(b"RIFF\xff\xff\xff\xffWEBP"));
    }
}
