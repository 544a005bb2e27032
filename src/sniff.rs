//! What a file seems to be, from its first bytes: for the message when it is not what it was named.

/// A file that is neither a picture nor weights, as the user would call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// With its article, to follow "it seems to be".
    pub what: &'static str,
    /// What to do about it, as an imperative.
    pub advice: &'static str,
}

/// Enough of a file's beginning for [`guess`].
pub const LOOK_AT: usize = 1024;

/// What the file that begins with `start` seems to be; `None` when nothing fits.
///
/// Made for messages only: no file is accepted or decoded because of the answer.
pub fn guess(start: &[u8]) -> Option<Guess> {
    let start = &start[..start.len().min(LOOK_AT)];
    binary(start).or_else(|| text(start))
}

const CONVERT: &str = "convert it to PNG or JPEG first";
const WINDOW: &str = "write the slice that is meant as PNG or TIFF first, with the range of values that is to go from black to white";
const UNPACK: &str = "unpack it and name a file inside";

fn binary(start: &[u8]) -> Option<Guess> {
    let (what, advice) = match start {
        [b'%', b'P', b'D', b'F', b'-', ..] => ("a PDF document", CONVERT),
        [b'P', b'K', 3, 4, ..] => ("a ZIP archive", UNPACK),
        [0x1f, 0x8b, ..] => ("a gzip archive", UNPACK),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => (
            "a NumPy array",
            "name it after the pictures or with --weights",
        ),
        // ISO base media files: a box length, `ftyp`, then the brand.
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"avif" | b"avis" => ("an AVIF picture", CONVERT),
            b"heic" | b"heix" | b"heim" | b"mif1" | b"msf1" => ("a HEIF picture", CONVERT),
            _ => ("a video", "take a frame out of it as PNG or JPEG first"),
        },
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => {
            ("a JPEG XL picture", CONVERT)
        }
        [0, 0, 0, 0x0c, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            ("a JPEG 2000 picture", CONVERT)
        }
        [b'8', b'B', b'P', b'S', ..] => ("a Photoshop document", CONVERT),
        [0, 0, 1, 0, ..] => ("a Windows icon", CONVERT),
        [b'D', b'D', b'S', b' ', ..] => ("a DDS texture", CONVERT),
        [0x76, 0x2f, 0x31, 0x01, ..] => ("an OpenEXR picture", CONVERT),
        [b'#', b'?', b'R', b'A', b'D', ..] => ("a Radiance HDR picture", CONVERT),
        [b'f', b'a', b'r', b'b', b'f', b'e', b'l', b'd', ..] => ("a farbfeld picture", CONVERT),
        [0x01, 0xda, 0 | 1, 1 | 2, ..] => ("an SGI picture", CONVERT),
        [0x0a, 0..=5, 1, 1 | 2 | 4 | 8, ..] => ("a PCX picture", CONVERT),
        [b'i', b'c', b'n', b's', ..] => ("a macOS icon", CONVERT),
        [b'%', b'!', b'P', b'S', ..] => ("a PostScript document", CONVERT),
        [b'S', b'I', b'M', b'P', b'L', b'E', b' ', b' ', b'=', ..] => {
            ("a FITS file of astronomers", WINDOW)
        }
        [b'N', b'R', b'R', b'D', b'0', ..] => ("an NRRD volume", WINDOW),
        // They begin with whatever the writer likes.
        _ if start.get(128..132) == Some(b"DICM") => ("a DICOM file", WINDOW),
        _ if matches!(start.get(344..348), Some(b"n+1\0" | b"ni1\0")) => ("a NIfTI volume", WINDOW),
        _ => return None,
    };
    Some(Guess { what, advice })
}

fn text(start: &[u8]) -> Option<Guess> {
    let text = match str::from_utf8(start) {
        Ok(text) => text,
        // The cut at `LOOK_AT` may fall inside a character.
        Err(e) if e.error_len().is_none() => str::from_utf8(&start[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.is_empty() || text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (what, advice) = if lower.starts_with("version https://git-lfs") {
        (
            "a Git LFS pointer, not the file it stands for",
            "run `git lfs pull` where it came from",
        )
    } else if lower.starts_with('<') && lower.contains("<svg") {
        ("an SVG drawing", CONVERT)
    } else if lower.starts_with("<!doctype html")
        || lower.starts_with('<') && lower.contains("<html")
    {
        (
            "an HTML page",
            "the download fetched a page about the file: fetch the file itself",
        )
    } else if lower.starts_with("<?xml") {
        ("an XML document", "name another file")
    } else {
        (
            "text",
            "name another file, or give class names with --labels",
        )
    };
    Some(Guess { what, advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(start: &[u8]) -> Option<&'static str> {
        guess(start).map(|guess| guess.what)
    }

    #[test]
    fn pages_pointers_and_drawings_are_told_from_text() {
        assert_eq!(what(b"\n<!DOCTYPE html><p>404"), Some("an HTML page"));
        assert_eq!(what(b"<HTML lang=en>"), Some("an HTML page"));
        assert_eq!(what(b"print('<html>', '<svg>')"), Some("text"));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0";
        assert!(what(pointer).unwrap().starts_with("a Git LFS pointer"));
        let svg = b"<?xml version='1.0'?><svg width='1'/>";
        assert_eq!(what(svg), Some("an SVG drawing"));
        assert_eq!(what(b"dear diary"), Some("text"));
    }

    #[test]
    fn text_cut_inside_a_character_is_still_text() {
        let long = "é".repeat(LOOK_AT);
        assert_eq!(what(&long.as_bytes()[1..]), None);
        assert_eq!(what(format!("a{long}").as_bytes()), Some("text"));
    }

    #[test]
    fn pictures_of_other_formats_are_named() {
        assert_eq!(what(b"\0\0\0\x1cftypavif"), Some("an AVIF picture"));
        assert_eq!(what(b"\0\0\0\x18ftypheic"), Some("a HEIF picture"));
        assert_eq!(what(b"\0\0\0\x18ftyp"), None);
        let behind = |at: usize, magic: &[u8]| [&vec![0; at][..], magic, &[0; 9]].concat();
        assert_eq!(what(&behind(128, b"DICM")), Some("a DICOM file"));
        assert_eq!(what(&behind(344, b"n+1\0")), Some("a NIfTI volume"));
        assert_eq!(what(b"SIMPLE  =   T"), Some("a FITS file of astronomers"));
        assert_eq!(what(b"%!PS-Adobe-3.0"), Some("a PostScript document"));
        assert_eq!(what(b"\x0a\x05\x01\x08"), Some("a PCX picture"));
    }

    #[test]
    fn bytes_without_meaning_are_nothing() {
        assert_eq!(what(b""), None);
        assert_eq!(what(b"   "), None);
        assert_eq!(what(&[0; 64]), None);
        assert_eq!(what(&[0xfe; 64]), None);
    }
}
