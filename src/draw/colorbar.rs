//! A colour bar: which colour stands for which value, in numbers.

use image::{Rgb, RgbImage, imageops};

use super::colormap::Colormap;
use super::text;

const PAPER: Rgb<u8> = Rgb([255; 3]);
const INK: [u8; 3] = [32, 33, 36];
const EDGE: Rgb<u8> = Rgb([120; 3]);

/// The colours of a map and the values that they stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The colours.
    pub colors: Colormap,
    /// What the first stands for.
    pub low: f64,
    /// What the last stands for.
    pub high: f64,
    /// Share of the largest heat below which nothing is drawn.
    pub least: f32,
}

impl Bar {
    /// The colour at a place from 0 to 1; none where nothing is drawn.
    fn color(&self, place: f32) -> Option<Rgb<u8>> {
        let heat = match self.colors.is_diverging() {
            true => (2.0 * place - 1.0).abs(),
            false => place,
        };
        (heat >= self.least).then(|| Rgb(self.colors.color(place)))
    }

    /// The value at a place from 0 to 1.
    fn value(&self, place: f64) -> f64 {
        // Of a bar around zero the middle is zero, whatever is rounded.
        match self.low == -self.high && place == 0.5 {
            true => 0.0,
            false => self.low + (self.high - self.low) * place,
        }
    }
}

/// A number to three digits, as short as it can be written.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    if !(1e-3..1e4).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    let text = format!("{value:.*}", digits.max(0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Fewest and most pixels of the letters beside a picture.
const LETTERS: (f32, f32) = (11.0, 44.0);

/// The picture with a bar and numbers to the right of it, the largest value at the top.
pub fn beside(picture: &RgbImage, bar: &Bar) -> RgbImage {
    let (width, height) = picture.dimensions();
    let size = (height as f32 / 22.0).clamp(LETTERS.0, LETTERS.1);
    let thick = (size * 1.1) as u32;
    let gap = (size * 0.6) as u32;
    let line = text::line_height(size);
    // As many numbers as there is room for, of which the middle is one.
    let steps = match height / (3 * line) {
        0 | 1 => 1,
        2 | 3 => 2,
        _ => 4,
    };
    let numbers: Vec<String> = (0..=steps)
        .map(|step| number(bar.value(f64::from(step) / f64::from(steps))))
        .collect();
    let widest = numbers.iter().map(|number| text::width(number, size));
    let widest = widest.fold(0.0, f32::max).ceil() as u32;
    let out_width = width + gap + thick + gap / 2 + widest + gap;
    let mut out = RgbImage::from_pixel(out_width, height, PAPER);
    imageops::replace(&mut out, picture, 0, 0);
    // Half a line stays free above and below, for the numbers at the ends.
    let inset = (line / 2).min(height / 4);
    let long = height.saturating_sub(2 * inset).max(1);
    for y in 0..long {
        let place = 1.0 - (y as f32 + 0.5) / long as f32;
        for x in 0..thick {
            let is_edge = x == 0 || x + 1 == thick || y == 0 || y + 1 == long;
            let color = if is_edge {
                Some(EDGE)
            } else {
                bar.color(place)
            };
            out.put_pixel(width + gap + x, inset + y, color.unwrap_or(PAPER));
        }
    }
    let x = (width + gap + thick + gap / 2) as f32;
    for (step, number) in (0..).zip(&numbers) {
        let place = step as f32 / steps as f32;
        let y = inset as f32 + (1.0 - place) * long as f32 - line as f32 / 2.0;
        let y = y.clamp(0.0, height.saturating_sub(line) as f32);
        text::draw(&mut out, number, (x, y), size, INK);
    }
    out
}

/// Rows that [`below`] takes for letters of `size`.
pub(super) fn rows_below(size: f32) -> u32 {
    BELOW + 2 + text::line_height(size)
}

/// Rows of a bar below a picture.
const BELOW: u32 = 9;

/// Draws a bar of `width` pixels and its numbers below it, its upper left corner at `x`, `y`.
pub(super) fn below(out: &mut RgbImage, bar: &Bar, (x, y): (u32, u32), width: u32, size: f32) {
    for dx in 0..width {
        let color = bar.color((dx as f32 + 0.5) / width as f32);
        for dy in 0..BELOW {
            let is_edge = dx == 0 || dx + 1 == width || dy == 0 || dy + 1 == BELOW;
            let color = if is_edge { Some(EDGE) } else { color };
            out.put_pixel(x + dx, y + dy, color.unwrap_or(PAPER));
        }
    }
    let top = (y + BELOW + 2) as f32;
    for (place, share) in [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)] {
        let number = number(bar.value(place));
        let shift = share * (width as f32 - text::width(&number, size));
        text::draw(out, &number, (x as f32 + shift, top), size, INK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [
            0.0,
            1.0,
            0.5,
            0.002_857_1,
            2.254_7e-5,
            -1_234.5,
            12_345.0,
            99.96,
            -0.25,
        ];
        let texts = numbers.map(number);
        let expected = [
            "0", "1", "0.5", "0.00286", "2.25e-5", "-1234", "1.23e4", "100", "-0.25",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_bar_stands_beside_the_picture_with_the_largest_value_above() {
        let picture = RgbImage::from_pixel(100, 224, Rgb([1, 2, 3]));
        let bar = Bar {
            colors: Colormap::Viridis,
            low: 0.0,
            high: 2.5e-5,
            least: 0.0,
        };
        let out = beside(&picture, &bar);
        assert_eq!(out.height(), 224);
        assert!((150..200).contains(&out.width()), "{}", out.width());
        assert_eq!(imageops::crop_imm(&out, 0, 0, 100, 224).to_image(), picture);
        let at = |y| out.get_pixel(100 + 6 + 5, y).0;
        let table = Colormap::Viridis.table();
        assert!(table[250..].contains(&at(8)), "{:?}", at(8));
        assert!(table[..6].contains(&at(215)), "{:?}", at(215));
        // There are letters to the right.
        let dark = out
            .enumerate_pixels()
            .filter(|(x, _, p)| *x > 122 && p.0[0] < 100);
        assert!(dark.count() > 50);
    }

    #[test]
    fn what_is_not_drawn_has_no_colour_in_the_bar() {
        let bar = Bar {
            colors: Colormap::Jet,
            low: 0.0,
            high: 1.0,
            least: 0.5,
        };
        assert_eq!(bar.color(0.49), None);
        assert!(bar.color(0.5).is_some());
        let both = Bar {
            colors: Colormap::Bwr,
            low: -1.0,
            ..bar
        };
        assert_eq!(both.color(0.5), None);
        assert!(both.color(0.1).is_some() && both.color(0.9).is_some());
    }

    #[test]
    fn a_picture_of_any_size_takes_a_bar() {
        for (width, height) in [(1, 1), (3, 9), (5000, 20), (8, 3000)] {
            let bar = Bar {
                colors: Colormap::Bwr,
                low: -1e-30,
                high: 1e-30,
                least: 0.0,
            };
            let out = beside(&RgbImage::new(width, height), &bar);
            assert!(out.width() > width && out.height() == height);
        }
    }
}
