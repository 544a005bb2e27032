//! What made a picture, in the picture: one text chunk of its PNG.
//!
//! An `iTXt` chunk (PNG, 11.3.3.4) with the keyword `gradcam` and JSON as its text: the program's version, the picture
//! explained, weights with their SHA-256, adapter, layer, score and settings as in the report, class and method, and the
//! command that was typed.

use flate2::Crc;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::output::Content;
use crate::output::report::{Adapter, Class, Settings, Weights};

const KEYWORD: &[u8] = b"gradcam";
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Length, type and check sum around the data of a chunk.
const FRAME: usize = 12;

/// What all files of a picture have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin(Map<String, Value>);

/// What a picture's files say of how they were made, beside class and method.
#[derive(Debug)]
pub struct Made<'a> {
    /// The picture, as named on the command line.
    pub image: &'a str,
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
    pub command: &'a [String],
}

impl Origin {
    /// As it will be written.
    pub fn new(made: &Made<'_>) -> Self {
        let mut map = Map::new();
        for (what, value) in [
            (
                "program",
                concat!("gradcam ", env!("CARGO_PKG_VERSION")).into(),
            ),
            ("image", made.image.into()),
            ("weights", as_printed(made.weights)),
            ("adapter", as_printed(made.adapter)),
            ("layer", made.layer.into()),
            ("score", made.score.into()),
            ("settings", as_printed(made.settings)),
            ("command", made.command.into()),
        ] {
            map.insert(what.into(), value);
        }
        Self(map)
    }

    /// The bytes of a PNG with what made it, which shows `content` about `class`.
    pub fn embed(&self, png: &[u8], class: &Class, content: Content) -> Vec<u8> {
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
        with_text(png, &Value::Object(map).to_string())
    }
}

/// With float32's own digits: as a value it would be written with those of float64.
fn as_printed(value: &impl Serialize) -> Value {
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

/// Why a file does not say what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// Not a PNG.
    #[error("not a PNG picture: other formats do not carry what made them")]
    NotPng,
    /// A PNG without the chunk.
    #[error(
        "nothing says what made it: it is not gradcam's, or a program that wrote it again dropped the text"
    )]
    Nothing,
    /// A chunk that is cut off or changed.
    #[error("what says what made it is damaged")]
    Damaged,
}

/// What made a PNG, as [`Origin::embed`] wrote it.
pub fn read(png: &[u8]) -> Result<Map<String, Value>, ProvenanceError> {
    let mut rest = png.strip_prefix(SIGNATURE).ok_or(ProvenanceError::NotPng)?;
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
    fn a_file_that_says_nothing_or_is_damaged_is_an_error_wherever_it_ends() {
        assert_eq!(read(b"\xff\xd8\xff"), Err(ProvenanceError::NotPng));
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
