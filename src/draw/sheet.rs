//! A labelled sheet: the picture at the left, and for each class a row of what methods and layers make of it.

use image::{Rgb, RgbImage, imageops};

use super::colorbar::{self, Bar};
use super::text;

const PAPER: Rgb<u8> = Rgb([255; 3]);
const INK: [u8; 3] = [32, 33, 36];
const SOFT: [u8; 3] = [95, 99, 104];
const WARN: [u8; 3] = [150, 80, 0];
const TRACK: Rgb<u8> = Rgb([232, 234, 237]);
const FILL: Rgb<u8> = Rgb([66, 120, 190]);

/// Sizes of letters: the picture's name, classes, everything else.
const TITLE: f32 = 22.0;
const NAME: f32 = 17.0;
const PLAIN: f32 = 13.0;
/// Pixels around everything, between columns, and between rows.
const MARGIN: u32 = 24;
const GAP: u32 = 14;
const BETWEEN: u32 = 22;
/// The least that is left for the names of classes, and for the title.
const ROW: u32 = 300;
/// Rows below the headings of columns.
const HEAD: u32 = 12;
/// Rows of the bar of a probability.
const BAR: u32 = 6;

/// A sheet of one picture.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The picture's name.
    pub title: String,
    /// What was done, in a line.
    pub subtitle: String,
    /// The picture, of the size of the cells.
    pub picture: RgbImage,
    /// What stands above each column: the method, and its layer.
    pub columns: Vec<[String; 2]>,
    /// The classes.
    pub rows: Vec<Row>,
    /// What made it.
    pub footer: String,
}

/// A class.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its number.
    pub detail: String,
    /// 0 to 1.
    pub probability: f32,
    /// One a column.
    pub cells: Vec<Cell>,
}

/// What a method made of a class.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The map over the picture; all of a sheet have the same size.
    pub picture: RgbImage,
    /// What its colours stand for.
    pub bar: Option<Bar>,
    /// What to know of it.
    pub remark: Option<String>,
}

/// The sheet as a picture, as large as it needs to be.
pub fn draw(sheet: &Sheet) -> RgbImage {
    let (tile, tall) = sheet.picture.dimensions();
    let count = sheet.columns.len() as u32;
    let step = tile + GAP;
    let row_width = (count * step).saturating_sub(GAP).max(ROW);
    let left = MARGIN + tile + 2 * GAP;
    let width = left + row_width + MARGIN;
    let room = (width - 2 * MARGIN) as f32;
    let plain = text::line_height(PLAIN);
    let headings: Vec<Heading> = { sheet.columns.iter() }
        .map(|column| heading(column, tile))
        .collect();
    let lines = headings.iter().map(Vec::len).max();
    let heading = lines.unwrap_or(0) as u32 * plain + HEAD;
    let title = text::line_height(TITLE);
    let subtitle = text::lines(&sheet.subtitle, PLAIN, room, 2);
    let footer = text::lines(&sheet.footer, PLAIN - 1.0, room, 3);
    let top = MARGIN + title + subtitle.len() as u32 * plain + BETWEEN;

    let rows: Vec<RowLayout> = sheet
        .rows
        .iter()
        .map(|row| layout(row, row_width, tall))
        .collect();
    let below: u32 = rows.iter().map(|row| row.height + BETWEEN).sum();
    let body = (heading + below).max(plain + HEAD + tall + BETWEEN);
    let height = top + body + footer.len() as u32 * plain + MARGIN;

    let mut out = RgbImage::from_pixel(width, height, PAPER);
    let mut line = |words: &str, x: u32, y: u32, size: f32, colour| {
        text::draw(&mut out, words, (x as f32, y as f32), size, colour);
    };
    line(
        &text::shortened(&sheet.title, TITLE, room),
        MARGIN,
        MARGIN,
        TITLE,
        INK,
    );
    for (i, words) in (0..).zip(&subtitle) {
        line(words, MARGIN, MARGIN + title + i * plain, PLAIN, SOFT);
    }
    for (i, words) in (0..).zip(&footer) {
        line(words, MARGIN, top + body + i * plain, PLAIN - 1.0, SOFT);
    }
    for (i, lines) in (0..).zip(&headings) {
        // The last line stands at the pictures.
        let first = top + heading - HEAD - lines.len() as u32 * plain;
        for (j, (words, colour)) in (0..).zip(lines) {
            line(words, left + i * step, first + j * plain, PLAIN, *colour);
        }
    }
    line(
        "picture",
        MARGIN,
        top + (heading - HEAD).saturating_sub(plain),
        PLAIN,
        INK,
    );
    let mut y = top + heading;
    imageops::replace(
        &mut out,
        &sheet.picture,
        MARGIN.into(),
        i64::from(y + rows.first().map_or(0, |row| row.heading)),
    );
    for (row, layout) in sheet.rows.iter().zip(&rows) {
        draw_row(&mut out, row, layout, (left, y), row_width);
        y += layout.height + BETWEEN;
    }
    out
}

/// The lines above a column, each with its colour.
type Heading = Vec<(String, [u8; 3])>;

fn heading([method, layer]: &[String; 2], width: u32) -> Heading {
    let lines = |text: &str| text::lines(text, PLAIN, width as f32, 2);
    let method = lines(method).into_iter().map(|line| (line, INK));
    let layer = lines(layer).into_iter().map(|line| (line, SOFT));
    method.chain(layer).collect()
}

/// Where the parts of a row are, from its top.
struct RowLayout {
    name: Vec<String>,
    /// The probability, at the right of the name.
    said: String,
    /// Rows above the pictures.
    heading: u32,
    height: u32,
}

fn layout(row: &Row, width: u32, tall: u32) -> RowLayout {
    let said = format!("{:.1} %", 100.0 * row.probability);
    let room = width as f32 - text::width(&said, NAME) - 2.0 * GAP as f32;
    let name = text::lines(&row.name, NAME, room, 2);
    let names = name.len() as u32 * text::line_height(NAME);
    let heading = names + text::line_height(PLAIN) + 3 + BAR + 8;
    let has_bar = row.cells.iter().any(|cell| cell.bar.is_some());
    let bar = if has_bar {
        4 + colorbar::rows_below(PLAIN - 2.0)
    } else {
        0
    };
    let has_remark = row.cells.iter().any(|cell| cell.remark.is_some());
    let remark = if has_remark {
        text::line_height(PLAIN)
    } else {
        0
    };
    RowLayout {
        name,
        said,
        heading,
        height: heading + tall + bar + remark,
    }
}

fn draw_row(out: &mut RgbImage, row: &Row, layout: &RowLayout, (x, top): (u32, u32), width: u32) {
    let mut y = top;
    let said = text::width(&layout.said, NAME);
    let right = (x + width) as f32 - said;
    text::draw(out, &layout.said, (right, y as f32), NAME, INK);
    for words in &layout.name {
        text::draw(out, words, (x as f32, y as f32), NAME, INK);
        y += text::line_height(NAME);
    }
    text::draw(out, &row.detail, (x as f32, y as f32), PLAIN, SOFT);
    y += text::line_height(PLAIN) + 3;
    let filled = (f64::from(width) * f64::from(row.probability).clamp(0.0, 1.0)).round() as u32;
    for dx in 0..width {
        let color = if dx < filled { FILL } else { TRACK };
        (0..BAR).for_each(|dy| out.put_pixel(x + dx, y + dy, color));
    }
    let y = top + layout.heading;
    for (i, cell) in (0..).zip(&row.cells) {
        let (tile, tall) = cell.picture.dimensions();
        let x = x + i * (tile + GAP);
        imageops::replace(out, &cell.picture, x.into(), y.into());
        let mut below = y + tall + 4;
        if let Some(bar) = &cell.bar {
            colorbar::below(out, bar, (x, below), tile, PLAIN - 2.0);
            below += colorbar::rows_below(PLAIN - 2.0);
        }
        if let Some(remark) = &cell.remark {
            let words = text::shortened(remark, PLAIN, tile as f32);
            text::draw(out, &words, (x as f32, below as f32), PLAIN, WARN);
        }
    }
}

/// Sheets below each other, with a line between them.
///
/// # Panics
/// If there is none.
pub fn stacked(sheets: &[&RgbImage]) -> RgbImage {
    let width = sheets.iter().map(|sheet| sheet.width()).max();
    let width = width.expect("at least one sheet");
    let height = sheets.iter().map(|sheet| sheet.height()).sum();
    let mut out = RgbImage::from_pixel(width, height, PAPER);
    let mut y = 0;
    for sheet in sheets {
        imageops::replace(&mut out, *sheet, 0, y.into());
        if y > 0 {
            (0..width).for_each(|x| out.put_pixel(x, y, TRACK));
        }
        y += sheet.height();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::colormap::Colormap;

    fn sheet(rows: usize, columns: usize, name: &str, tile: (u32, u32)) -> Sheet {
        let cell = || Cell {
            picture: RgbImage::from_pixel(tile.0, tile.1, Rgb([201, 7, 3])),
            bar: Some(Bar {
                colors: Colormap::Jet,
                low: 0.0,
                high: 1.0,
                least: 0.0,
            }),
            remark: None,
        };
        Sheet {
            title: "a picture.png".into(),
            subtitle: "what was done ".repeat(30),
            picture: RgbImage::from_pixel(tile.0, tile.1, Rgb([3, 7, 201])),
            columns: vec![
                [
                    "integrated-gradients".into(),
                    "features.denseblock4.denselayer16".into()
                ];
                columns
            ],
            rows: (0..rows)
                .map(|_| Row {
                    name: name.into(),
                    detail: "class 3".into(),
                    probability: 0.5,
                    cells: (0..columns).map(|_| cell()).collect(),
                })
                .collect(),
            footer: "gradcam".into(),
        }
    }

    #[test]
    fn every_cell_is_whole_and_apart_from_the_others_whatever_its_labels() {
        let names = [
            "cat",
            &"a very long name of a class ".repeat(20),
            &"x".repeat(500),
            "",
        ];
        for name in names {
            for (rows, columns, tile) in [
                (1, 1, (224, 224)),
                (3, 10, (224, 150)),
                (2, 2, (1, 40)),
                (1, 3, (256, 7)),
            ] {
                let out = draw(&sheet(rows, columns, name, tile));
                let of = |colour| out.pixels().filter(|pixel| pixel.0 == colour).count();
                let cells = rows * columns * (tile.0 * tile.1) as usize;
                assert_eq!(of([201, 7, 3]), cells, "{rows} x {columns}, {name}");
                assert_eq!(of([3, 7, 201]), (tile.0 * tile.1) as usize, "{name}");
                let edges = out
                    .enumerate_pixels()
                    .filter(|(x, y, _)| *x < MARGIN || *y < MARGIN);
                assert!(
                    edges.into_iter().all(|(.., pixel)| *pixel == PAPER),
                    "the margin is free"
                );
            }
        }
    }

    #[test]
    fn sheets_are_stacked_as_they_are() {
        let (a, b) = (RgbImage::new(3, 2), RgbImage::new(5, 4));
        assert_eq!(stacked(&[&a, &b]).dimensions(), (5, 6));
    }
}
