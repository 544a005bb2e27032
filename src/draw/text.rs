//! Text in pictures: Noto Sans, of which the letters of Latin, Greek and Cyrillic are built in.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::RgbImage;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/font/NotoSans-subset.ttf"))
        .expect("the font is built in")
});

/// Lines below each other, in sizes of the text.
const LEADING: f32 = 1.3;

/// The scale at which an em is `size` pixels: the crate's own is that of ascenders and descenders together.
fn scale(size: f32) -> PxScale {
    let em = FONT.units_per_em().expect("every font has one");
    PxScale::from(size * FONT.height_unscaled() / em)
}

/// What is drawn of a text: nothing steers, and what the font has not got is a mark for it.
fn shown(text: &str) -> impl Iterator<Item = char> + '_ {
    const UNKNOWN: char = '\u{fffd}';
    let known = |c: char| FONT.glyph_id(c).0 != 0;
    text.chars()
        .map(move |c| if known(c) { c } else { UNKNOWN })
}

/// Pixels that a line takes along the baseline, its letters `size` pixels high with ascenders and descenders.
pub fn width(text: &str, size: f32) -> f32 {
    let font = FONT.as_scaled(scale(size));
    shown(text).map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// Pixels from one line to the next.
pub fn line_height(size: f32) -> u32 {
    (size * LEADING).ceil() as u32
}

/// Draws one line, its upper left corner at `x`, `y`. What lies beyond the picture is left out.
pub fn draw(picture: &mut RgbImage, text: &str, (x, y): (f32, f32), size: f32, colour: [u8; 3]) {
    let scale = scale(size);
    let font = FONT.as_scaled(scale);
    let baseline = y + (size * LEADING - font.height()) / 2.0 + font.ascent();
    let (columns, rows) = picture.dimensions();
    let mut at = x;
    for c in shown(text) {
        let id = font.glyph_id(c);
        let glyph = id.with_scale_and_position(scale, point(at, baseline));
        at += font.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else {
            continue;
        };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, cover| {
            let (px, py) = (
                bounds.min.x as i64 + i64::from(dx),
                bounds.min.y as i64 + i64::from(dy),
            );
            if (0..i64::from(columns)).contains(&px) && (0..i64::from(rows)).contains(&py) {
                let pixel = picture.get_pixel_mut(px as u32, py as u32);
                for (p, ink) in pixel.0.iter_mut().zip(colour) {
                    let mixed =
                        f32::from(*p) + cover.clamp(0.0, 1.0) * (f32::from(ink) - f32::from(*p));
                    *p = mixed.round() as u8;
                }
            }
        });
    }
}

/// As much of a line as `room` pixels hold, with dots where something is left out.
pub fn shortened(text: &str, size: f32, room: f32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let dots = width("…", size);
    let mut taken = String::new();
    let mut there = 0.0;
    for c in text.chars() {
        there += width(c.encode_utf8(&mut [0; 4]), size);
        if there + dots > room {
            break;
        }
        taken.push(c);
    }
    taken.trim_end().to_owned() + "…"
}

/// A text in at most `most` lines of `room` pixels, broken at spaces, dots and underscores, or within a word that no line
/// holds; the last is shortened.
pub fn lines(text: &str, size: f32, room: f32, most: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut rest = text.trim();
    while !rest.is_empty() {
        if lines.len() + 1 >= most || width(rest, size) <= room {
            lines.push(shortened(rest, size, room));
            break;
        }
        let mut fits = 0;
        let mut better = None;
        for (start, c) in rest.char_indices() {
            let end = start + c.len_utf8();
            if width(rest[..end].trim_end(), size) > room {
                break;
            }
            fits = end;
            if matches!(c, ' ' | '.' | '_' | '/' | '-' | ',') {
                better = Some(end);
            }
        }
        // A letter wider than the line stands alone all the same.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let (line, after) = rest.split_at(better.unwrap_or(fits).max(first));
        lines.push(line.trim_end().to_owned());
        rest = after.trim_start();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_line_is_as_wide_as_what_is_drawn_of_it() {
        let mut picture = RgbImage::from_pixel(200, 40, Rgb([255; 3]));
        draw(&mut picture, "Hx", (10.0, 4.0), 20.0, [0; 3]);
        let dark = picture.enumerate_pixels().filter(|(.., p)| p.0[0] < 128);
        let columns: Vec<u32> = dark.map(|(x, ..)| x).collect();
        let right = f64::from(*columns.iter().max().unwrap());
        assert!(columns.iter().all(|&x| x >= 10));
        let end = 10.0 + f64::from(width("Hx", 20.0));
        assert!((end - 4.0..=end).contains(&right), "{right} {end}");
        // The capital is about seven tenths of the size.
        let rows = picture
            .enumerate_pixels()
            .filter(|(x, _, p)| p.0[0] < 128 && *x < 22);
        let rows: Vec<u32> = rows.map(|(_, y, _)| y).collect();
        let height = rows.iter().max().unwrap() - rows.iter().min().unwrap() + 1;
        assert!((13..=16).contains(&height), "{height}");
    }

    #[test]
    fn text_beyond_the_picture_is_left_out() {
        let mut picture = RgbImage::new(8, 8);
        draw(&mut picture, "Wide", (-30.0, -9.0), 40.0, [255; 3]);
        draw(&mut picture, "\u{1b}[2J\n猫", (4.0, 4.0), 40.0, [255; 3]);
    }

    #[test]
    fn a_text_is_broken_into_lines_that_fit() {
        let room = width("golden retriever", 14.0) + 0.5;
        assert_eq!(
            lines("golden retriever", 14.0, room, 3),
            ["golden retriever"]
        );
        assert_eq!(
            lines("a golden retriever", 14.0, room, 3),
            ["a golden", "retriever"]
        );
        let long = "features.denseblock4.denselayer16.conv2 ".repeat(4);
        let broken = lines(&long, 14.0, room, 3);
        assert_eq!(broken.len(), 3);
        assert!(
            broken.iter().all(|line| width(line, 14.0) <= room),
            "{broken:?}"
        );
        assert!(broken[2].ends_with('…'));
        let one_word = lines(&"x".repeat(100), 14.0, room, 2);
        assert!(one_word.iter().all(|line| width(line, 14.0) <= room));
        assert_eq!(lines("ab", 14.0, 1.0, 9), ["a", "b"]);
        assert_eq!(lines("  ", 14.0, room, 3), Vec::<String>::new());
    }
}
