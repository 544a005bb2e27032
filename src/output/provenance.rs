//! What made a picture, in the picture: one text chunk of its PNG, one comment of its JPEG.
//!
//! An `iTXt` chunk (PNG, 11.3.3.4) with the keyword `gradcam` and JSON as its text, or a `COM` segment (ITU-T T.81, B.2.4.5)
//! with the two parted by a zero: the program's version, the picture explained, weights with their SHA-256, adapter, layer,
//! score and settings as in the report, class and method, and the command that makes it. The other formats that are written
//! carry none.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::Crc;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::output::Content;
use crate::output::report::{Adapter, Class, PROGRAM, Settings, Weights, paths};

const KEYWORD: &[u8] = b"gradcam";
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Of a JPEG.
const START: &[u8] = b"\xff\xd8";
/// Markers of its segments.
const COMMENT: u8 = 0xfe;
const SCAN: u8 = 0xda;
/// Length, type and check sum around the data of a chunk.
const FRAME: usize = 12;

/// What all files of a picture have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin(Map<String, Value>);

/// What a picture's files say of how they were made, beside class and method.
#[derive(Debug)]
pub struct Provenance<'a> {
    /// The picture, as named on the command line.
    pub image: &'a Path,
    /// The network.
    pub weights: &'a Weights,
    /// Where it ran.
    pub adapter: &'a Adapter,
    /// The target layer; several are joined by `+`.
    pub layer: &'a str,
    /// What was differentiated, with its rival, as in `logit, versus 5, counterfactual`.
    pub score: &'a str,
    /// How the maps were made and drawn.
    pub settings: &'a Settings,
    /// The command's words, the program's name first.
    pub command: &'a [OsString],
}

impl Origin {
    /// As it will be written.
    pub fn new(provenance: &Provenance<'_>) -> Self {
        let mut map = Map::new();
        let command = provenance.command.iter().map(|word| word.to_string_lossy());
        let command: Vec<_> = command.collect();
        for (what, value) in [
            ("program", PROGRAM.into()),
            ("image", provenance.image.to_string_lossy().into()),
            ("weights", as_printed(provenance.weights)),
            ("adapter", as_printed(provenance.adapter)),
            ("layer", provenance.layer.into()),
            ("score", provenance.score.into()),
            ("settings", as_printed(provenance.settings)),
            ("command", command.into()),
        ] {
            map.insert(what.into(), value);
        }
        if let Some(bytes) = paths::bytes(provenance.image) {
            map.insert("image_bytes".into(), bytes.into());
        }
        // Of words that are not Unicode their bytes, as the report has them of paths; of the others nothing.
        let bytes = provenance
            .command
            .iter()
            .map(|word| paths::bytes(Path::new(word)));
        let bytes: Vec<Option<String>> = bytes.collect();
        if bytes.iter().any(Option::is_some) {
            map.insert("command_bytes".into(), bytes.into());
        }
        Self(map)
    }

    /// The bytes of a sheet of `images` with what made it.
    pub fn embed_sheet(&self, png: &[u8], images: &[&str]) -> Vec<u8> {
        let mut map = self.0.clone();
        map.insert("image".into(), images.into());
        map.insert("content".into(), "sheet".into());
        with_text(png, &Value::Object(map).to_string())
    }

    /// The bytes of a JPEG that a page shows, which says as little as tells it from a photograph.
    pub fn embed_page(jpeg: Vec<u8>) -> Vec<u8> {
        let text = json!({ "program": PROGRAM, "content": "page" });
        with_comment(jpeg, &text.to_string())
    }

    /// The bytes of a picture that shows `content` about `class`, with what made it where its format, PNG or JPEG, can say so;
    /// else as they are.
    pub fn embed(&self, picture: Vec<u8>, class: &Class, content: Content) -> Vec<u8> {
        let mut map = self.0.clone();
        let class = json!({
            "id": class.id,
            "name": class.name,
            "probability": as_printed(&class.probability),
            "logit": as_printed(&class.logit),
        });
        map.insert("class".into(), class);
        map.insert("method".into(), content.method().to_string().into());
        map.insert("content".into(), content.key().into());
        let text = Value::Object(map).to_string();
        if picture.starts_with(SIGNATURE) {
            with_text(&picture, &text)
        } else if picture.starts_with(START) {
            with_comment(picture, &text)
        } else {
            picture
        }
    }
}

/// With float32's own digits: as a value it would be written with those of float64.
pub(super) fn as_printed(value: &impl Serialize) -> Value {
    let text = serde_json::to_string(value);
    let text = text.expect("keys are strings, and writing to memory cannot fail");
    serde_json::from_str(&text).expect("what was written is JSON")
}

/// A PNG with a chunk of text after its header.
fn with_text(png: &[u8], text: &str) -> Vec<u8> {
    // No compression, no language, no translated keyword.
    let data = [KEYWORD, b"\0\0\0\0\0", text.as_bytes()].concat();
    let mut crc = Crc::new();
    crc.update(b"iTXt");
    crc.update(&data);
    // The header is the first chunk, of 13 bytes.
    let header = SIGNATURE.len() + FRAME + 13;
    let (before, after) = png.split_at(header.min(png.len()));
    let length = (data.len() as u32).to_be_bytes();
    [
        before,
        &length,
        b"iTXt",
        &data,
        &crc.sum().to_be_bytes(),
        after,
    ]
    .concat()
}

/// A JPEG with a comment, behind the segment that must be the first; without where the text is too long for one.
fn with_comment(mut jpeg: Vec<u8>, text: &str) -> Vec<u8> {
    let data = [KEYWORD, b"\0", text.as_bytes()].concat();
    let Ok(length) = u16::try_from(data.len() + 2) else {
        return jpeg;
    };
    // JFIF's.
    let first = match segment(&jpeg, START.len()) {
        Some((0xe0, data)) => START.len() + 4 + data.len(),
        _ => START.len(),
    };
    let segment = [&[0xff, COMMENT], &length.to_be_bytes()[..], &data].concat();
    jpeg.splice(first..first, segment);
    jpeg
}

/// The marker and the data of the segment of a JPEG that begins at this byte.
fn segment(jpeg: &[u8], at: usize) -> Option<(u8, &[u8])> {
    let [0xff, marker, high, low] = *jpeg.get(at..at + 4)? else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    Some((marker, jpeg.get(at + 4..at + 2 + length)?))
}

/// Why a file does not say what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// Neither a PNG nor a JPEG.
    #[error("neither a PNG nor a JPEG picture: other formats do not carry what made them")]
    OtherFormat,
    /// A picture without the text.
    #[error(
        "nothing says what made it: it is not gradcam's, or a program that wrote it again dropped the text"
    )]
    Nothing,
    /// A chunk that is cut off or changed.
    #[error("what says what made it is damaged")]
    Damaged,
}

/// What made a picture, as [`Origin::embed`] wrote it.
pub fn read(picture: &[u8]) -> Result<Map<String, Value>, ProvenanceError> {
    if picture.starts_with(START) {
        return read_jpeg(picture);
    }
    let rest = picture.strip_prefix(SIGNATURE);
    let mut rest = rest.ok_or(ProvenanceError::OtherFormat)?;
    while let Some((&length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(length) as usize;
        let Some(chunk) = after.get(..length.saturating_add(8)) else {
            break;
        };
        let (kind, data) = (&chunk[..4], &chunk[4..4 + length]);
        let text = data.strip_prefix(KEYWORD);
        if let Some(text) = text.and_then(|text| text.strip_prefix(b"\0\0\0\0\0"))
            && kind == b"iTXt"
        {
            let mut crc = Crc::new();
            crc.update(&chunk[..4 + length]);
            let is_whole = crc.sum().to_be_bytes() == chunk[4 + length..];
            let parsed = serde_json::from_slice(text).ok().filter(|_| is_whole);
            return parsed.ok_or(ProvenanceError::Damaged);
        }
        rest = &after[length + 8..];
    }
    Err(ProvenanceError::Nothing)
}

/// The comments stand before the picture's own data.
fn read_jpeg(jpeg: &[u8]) -> Result<Map<String, Value>, ProvenanceError> {
    let mut at = START.len();
    while let Some((marker, data)) = segment(jpeg, at) {
        let text = data.strip_prefix(KEYWORD);
        if let Some(text) = text.and_then(|text| text.strip_prefix(b"\0"))
            && marker == COMMENT
        {
            return serde_json::from_slice(text).map_err(|_| ProvenanceError::Damaged);
        }
        if marker == SCAN {
            break;
        }
        at += 4 + data.len();
    }
    Err(ProvenanceError::Nothing)
}

/// Bytes of a file within which its text begins, see [`with_text`] and [`with_comment`].
const BEGINNING: u64 = 256;

/// Whether a file begins as one that says what made it.
pub fn is_marked(path: &Path) -> bool {
    let mut bytes = vec![];
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes));
    read.is_ok() && is_marked_beginning(&bytes)
}

fn is_marked_beginning(bytes: &[u8]) -> bool {
    if let Some(chunks) = bytes.strip_prefix(SIGNATURE) {
        let after_header = chunks.get(FRAME + 13 + 4..);
        let text = after_header.and_then(|chunk| chunk.strip_prefix(b"iTXt"));
        return text.is_some_and(|text| text.starts_with(&[KEYWORD, b"\0"].concat()));
    }
    let after_first = match segment(bytes, START.len()) {
        Some((0xe0, data)) => START.len() + 4 + data.len(),
        _ => START.len(),
    };
    let comment = bytes.get(after_first..);
    let comment = comment.filter(|_| bytes.starts_with(START));
    comment.is_some_and(|segment| {
        let text = segment.strip_prefix(&[0xff, COMMENT]);
        let text = text.and_then(|text| text.get(2..));
        text.is_some_and(|text| text.starts_with(&[KEYWORD, b"\0"].concat()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, RgbImage};

    fn png() -> Vec<u8> {
        let picture = RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3]));
        crate::picture::encode(&picture, ImageFormat::Png).unwrap()
    }

    #[test]
    fn numbers_have_the_digits_of_float32() {
        assert_eq!(as_printed(&2.254_735_5_f32).to_string(), "2.2547355");
        assert_eq!(as_printed(&f32::NAN), Value::Null);
    }

    #[test]
    fn a_text_comes_back_and_the_picture_stays_what_it_was() {
        let text = r#"{"program":"gradcam","image":"café 信号機.jpg"}"#;
        let with = with_text(&png(), text);
        let read = read(&with).unwrap();
        assert_eq!(Value::Object(read).to_string(), text);
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
        assert_eq!(pixels(&with), pixels(&png()));
    }

    #[test]
    fn a_comment_comes_back_from_a_jpeg_and_the_picture_stays_what_it_was() {
        let picture = RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3]));
        let jpeg = crate::picture::encode(&picture, ImageFormat::Jpeg).unwrap();
        assert_eq!(read(&jpeg), Err(ProvenanceError::Nothing));
        let text = r#"{"program":"gradcam","image":"café.jpg"}"#;
        let with = with_comment(jpeg.clone(), text);
        assert_eq!(Value::Object(read(&with).unwrap()).to_string(), text);
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
        assert_eq!(pixels(&with), pixels(&jpeg));
        assert_eq!(with[2..4], jpeg[2..4], "JFIF's segment is the first");
        assert_eq!(with_comment(jpeg.clone(), &"x".repeat(70_000)), jpeg);
        for length in 0..with.len() {
            let _ = read(&with[..length]);
        }
        let mut endless = with;
        endless[4..6].copy_from_slice(&[0, 0]);
        assert_eq!(read(&endless), Err(ProvenanceError::Nothing));
    }

    #[test]
    fn what_begins_with_the_text_is_known_by_its_first_bytes() {
        let jpeg = || {
            let picture = RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3]));
            crate::picture::encode(&picture, ImageFormat::Jpeg).unwrap()
        };
        for (bytes, is_ours) in [
            (with_text(&png(), "{}"), true),
            (Origin::embed_page(jpeg()), true),
            (png(), false),
            (jpeg(), false),
            (b"RIFF".to_vec(), false),
        ] {
            let beginning = &bytes[..bytes.len().min(BEGINNING as usize)];
            assert_eq!(is_marked_beginning(beginning), is_ours);
            for length in 0..beginning.len() {
                let _ = is_marked_beginning(&beginning[..length]);
            }
        }
        let page = read(&Origin::embed_page(jpeg())).unwrap();
        assert_eq!(page["content"], "page");
    }

    #[test]
    fn a_file_that_says_nothing_or_is_damaged_is_an_error_wherever_it_ends() {
        assert_eq!(read(b"RIFF"), Err(ProvenanceError::OtherFormat));
        assert_eq!(read(b"\xff\xd8\xff"), Err(ProvenanceError::Nothing));
        assert_eq!(read(&png()), Err(ProvenanceError::Nothing));
        let whole = with_text(&png(), "{}");
        for length in 0..whole.len() {
            let is_there = length >= SIGNATURE.len() + 2 * FRAME + 13 + KEYWORD.len() + 7;
            assert_eq!(read(&whole[..length]).is_ok(), is_there, "{length}");
        }
        let mut changed = whole.clone();
        let place = changed.windows(2).position(|two| two == b"{}").unwrap();
        changed[place] = b'[';
        assert_eq!(read(&changed), Err(ProvenanceError::Damaged));
        let mut endless = whole;
        endless[33..37].copy_from_slice(&[0xff; 4]);
        assert_eq!(read(&endless), Err(ProvenanceError::Nothing));
    }
}
