//! Which way up a picture is.

use image::metadata::Orientation;

use super::tiff::Directory;

const ORIENTATION: u16 = 0x0112;

/// What EXIF data, which are a TIFF without a picture, say; `None` if they say nothing that can be understood. The number is
/// 16 bits wide by the standard and 32 in what some programs write.
pub(super) fn of_exif(exif: &[u8]) -> Option<Orientation> {
    of_directory(&Directory::first(exif)?)
}

pub(super) fn of_directory(directory: &Directory<'_>) -> Option<Orientation> {
    Orientation::from_exif(u8::try_from(directory.number(ORIENTATION)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_may_be_of_any_width_and_order_of_bytes() {
        let short = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(of_exif(short), Some(Orientation::Rotate90));
        let long = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x03\0\0\0\0\0\0\0";
        assert_eq!(of_exif(long), Some(Orientation::Rotate180));
        let byte = b"II*\0\x08\0\0\0\x01\0\x12\x01\x01\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        assert_eq!(of_exif(byte), Some(Orientation::Rotate270));
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        let text = b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0";
        let nine = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0";
        let far = b"II*\0\xff\xff\xff\xff";
        for exif in [&text[..], nine, far, b"", b"II*\0\x08\0\0\0\xff\xff"] {
            assert_eq!(of_exif(exif), None);
        }
    }
}
