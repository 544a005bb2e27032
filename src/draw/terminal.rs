//! Pictures as text that a terminal shows: by a graphics protocol, or as half blocks where there is none.
//!
//! Half blocks are `▀` in the colour of one pixel on that of the pixel below it. Kitty's and iTerm's protocols take a PNG in
//! base64; sixel (DEC, 1983) takes bands of six rows, colour by colour.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;

/// How many colours half blocks have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// 24 bits.
    All,
    /// The 6 x 6 x 6 of terminals with 256.
    Cube,
}

/// A line of text for every two rows of the picture, each pixel a column wide.
pub fn half_blocks(picture: &RgbImage, colours: Colours) -> String {
    let (width, height) = picture.dimensions();
    let colour = |out: &mut String, layer: u8, [r, g, b]: [u8; 3]| {
        // Writing to memory cannot fail.
        let _ = match colours {
            Colours::All => write!(out, "\x1b[{layer};2;{r};{g};{b}m"),
            Colours::Cube => write!(out, "\x1b[{layer};5;{}m", 16 + cube([r, g, b])),
        };
    };
    let mut out = String::new();
    for y in (0..height).step_by(2) {
        for x in 0..width {
            colour(&mut out, 38, picture.get_pixel(x, y).0);
            match y + 1 < height {
                true => colour(&mut out, 48, picture.get_pixel(x, y + 1).0),
                false => out += "\x1b[49m",
            }
            out.push('▀');
        }
        out += "\x1b[0m\n";
    }
    out
}

/// The nearest of 6 x 6 x 6 colours, by its number.
fn cube(rgb: [u8; 3]) -> u16 {
    let [r, g, b] = rgb.map(|v| (u16::from(v) * 5 + 127) / 255);
    36 * r + 6 * g + b
}

/// Kitty's graphics protocol, also that of Ghostty and Konsole: shown `columns` wide.
pub fn kitty(png: &[u8], columns: u16) -> String {
    // The most characters that the protocol takes at once.
    const CHUNK: usize = 4096;
    let data = STANDARD.encode(png);
    let chunks = data.as_bytes().chunks(CHUNK);
    let last = chunks.len().saturating_sub(1);
    let mut out = String::new();
    for (index, chunk) in chunks.enumerate() {
        let first = match index {
            // A PNG, to be shown at once; no answer is read.
            0 => format!("a=T,f=100,q=2,c={columns},"),
            _ => String::new(),
        };
        let more = u8::from(index < last);
        let chunk = std::str::from_utf8(chunk).expect("base64 is ASCII");
        let _ = write!(out, "\x1b_G{first}m={more};{chunk}\x1b\\");
    }
    out + "\n"
}

/// iTerm's inline pictures, also those of WezTerm and mintty: shown `columns` wide.
pub fn iterm(png: &[u8], columns: u16) -> String {
    format!(
        "\x1b]1337;File=inline=1;size={};width={columns};preserveAspectRatio=1:{}\x07\n",
        png.len(),
        STANDARD.encode(png)
    )
}

/// Sixels, in 6 x 6 x 6 colours.
pub fn sixel(picture: &RgbImage) -> String {
    let (width, height) = picture.dimensions();
    // Pixels as wide as high.
    let mut out = format!("\x1bP0;1q\"1;1;{width};{height}");
    for entry in 0..216 {
        let percent = |step: u16| step * 20;
        let (r, g, b) = (
            percent(entry / 36),
            percent(entry / 6 % 6),
            percent(entry % 6),
        );
        let _ = write!(out, "#{entry};2;{r};{g};{b}");
    }
    for top in (0..height).step_by(6) {
        let rows = top..(top + 6).min(height);
        let entries: Vec<Vec<u16>> = rows
            .map(|y| {
                (0..width)
                    .map(|x| cube(picture.get_pixel(x, y).0))
                    .collect()
            })
            .collect();
        let mut present: Vec<u16> = entries.concat();
        present.sort_unstable();
        present.dedup();
        for entry in present {
            let _ = write!(out, "#{entry}");
            let sixels: Vec<u8> = (0..width as usize)
                .map(|x| {
                    let bit = |(y, row): (usize, &Vec<u16>)| u8::from(row[x] == entry) << y;
                    b'?' + entries.iter().enumerate().map(bit).sum::<u8>()
                })
                .collect();
            for same in sixels.chunk_by(|a, b| a == b) {
                let sixel = char::from(same[0]);
                let _ = match same.len() {
                    length @ 4.. => write!(out, "!{length}{sixel}"),
                    length => write!(out, "{}", String::from(sixel).repeat(length)),
                };
            }
            out.push('$');
        }
        out.push('-');
    }
    out + "\x1b\\\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn half_blocks_have_two_rows_a_line_and_leave_no_colour_behind() {
        let picture = RgbImage::from_fn(1, 3, |_, y| {
            Rgb([[255, 0, 0], [0, 0, 255], [1, 2, 3]][y as usize])
        });
        let all = half_blocks(&picture, Colours::All);
        let expected =
            "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀\x1b[0m\n\x1b[38;2;1;2;3m\x1b[49m▀\x1b[0m\n";
        assert_eq!(all, expected);
        let cube = half_blocks(&picture, Colours::Cube);
        assert!(cube.starts_with("\x1b[38;5;196m\x1b[48;5;21m▀"), "{cube:?}");
    }

    #[test]
    fn a_long_png_goes_to_kitty_in_chunks() {
        let text = kitty(&[7; 4000], 40);
        let chunks: Vec<&str> = text.trim_end().split("\x1b\\").collect();
        assert_eq!(chunks.len(), 3);
        assert!(chunks[0].starts_with("\x1b_Ga=T,f=100,q=2,c=40,m=1;"));
        assert!(chunks[1].starts_with("\x1b_Gm=0;"));
        let data: String = chunks[..2]
            .iter()
            .map(|chunk| chunk.split_once(';').unwrap().1)
            .collect();
        assert_eq!(data, STANDARD.encode([7; 4000]));
    }

    /// The picture that a terminal would show, as entries of the palette.
    fn shown(sixels: &str, width: usize, height: usize) -> Vec<Option<u16>> {
        let body = sixels.split_once("q\"").unwrap().1;
        let mut pixels = vec![None; width * height];
        let (mut x, mut top, mut entry) = (0, 0, 0);
        let mut rest = body
            .trim_end_matches("\x1b\\\n")
            .trim_start_matches(|c: char| c != '#');
        while let Some(first) = rest.chars().next() {
            let after = &rest[1..];
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = after[..digits].parse().unwrap_or(1);
            let mut put = |sixel: u8, count: u16| {
                for _ in 0..count {
                    for bit in (0..6).filter(|bit| (sixel - b'?') >> bit & 1 == 1) {
                        pixels[(top + bit) * width + x] = Some(entry);
                    }
                    x += 1;
                }
            };
            rest = &after[digits..];
            match first {
                '#' => {
                    entry = number;
                    // Its definition.
                    rest = rest.trim_start_matches(|c: char| c == ';' || c.is_ascii_digit());
                }
                '!' => {
                    put(rest.as_bytes()[0], number);
                    rest = &rest[1..];
                }
                '$' => x = 0,
                '-' => (x, top) = (0, top + 6),
                sixel => {
                    put(sixel as u8, 1);
                    rest = after;
                }
            }
        }
        pixels
    }

    #[test]
    fn sixels_show_every_pixel_in_its_colour() {
        let picture = RgbImage::from_fn(11, 13, |x, y| {
            Rgb([(x * 25) as u8, (y * 20) as u8, if x > 5 { 255 } else { 0 }])
        });
        let expected: Vec<_> = picture.pixels().map(|pixel| Some(cube(pixel.0))).collect();
        assert_eq!(shown(&sixel(&picture), 11, 13), expected);
    }
}
