//! The overlay in the terminal, by the best way that it shows pictures.

use std::io::{self, IsTerminal, Write};

use ::image::RgbImage;
use ::image::imageops::{self, FilterType};

use crate::cli::Preview;
use crate::command::Error;
use crate::draw::terminal::{self, Colours};
use crate::picture;

/// Columns that a picture takes at most, however wide the terminal is.
const WIDEST: u16 = 100;

/// A terminal that shows pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    stream: Stream,
    way: Protocol,
    columns: u16,
    rows: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Kitty,
    Iterm,
    Sixel,
    Blocks(Colours),
}

impl Screen {
    /// The terminal that this program talks to: that of standard error, whose results do not mix with pictures, else that of
    /// standard output, unless `results` there are for programs. `None` where neither is one.
    pub fn find(preview: Preview, results: bool) -> Option<Self> {
        let stream = match () {
            () if io::stderr().is_terminal() => Stream::Stderr,
            () if io::stdout().is_terminal() && !results => Stream::Stdout,
            () => return None,
        };
        let way = Protocol::of(preview, |name| std::env::var(name).ok())?;
        let size = match stream {
            Stream::Stdout => terminal_size::terminal_size_of(io::stdout()),
            Stream::Stderr => terminal_size::terminal_size_of(io::stderr()),
        };
        let (columns, rows) = size.map_or((80, 24), |(width, height)| (width.0, height.0));
        Some(Self {
            stream,
            way,
            columns,
            rows,
        })
    }

    /// Shows text that [`Screen::text`] made. A terminal that has gone is no reason to fail.
    pub fn show(&self, text: &str) {
        let _ = match self.stream {
            Stream::Stdout => io::stdout().write_all(text.as_bytes()),
            Stream::Stderr => io::stderr().write_all(text.as_bytes()),
        };
    }

    /// A picture as text, as large as the terminal has room for with a line above it, and no larger than it is.
    pub fn text(&self, picture: &RgbImage) -> Result<String, Error> {
        // A cell is about twice as high as it is wide.
        let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
        let room = f64::from(self.columns.clamp(2, WIDEST));
        let tall = f64::from(self.rows.clamp(4, 200) - 2) * 2.0;
        let columns = room.min(tall * width / height).max(1.0);
        let at = |pixels: f64| {
            let pixels = pixels.floor().max(1.0);
            let rows = (pixels * height / width).round().max(1.0);
            match pixels < width {
                true => imageops::resize(picture, pixels as u32, rows as u32, FilterType::Triangle),
                false => picture.clone(),
            }
        };
        let columns_wide = columns.floor().max(1.0) as u16;
        // Pixels of a column, as many as most fonts have.
        let fine = at(columns * 10.0);
        let png = || picture::encode(&fine, ::image::ImageFormat::Png);
        Ok(match self.way {
            Protocol::Kitty => terminal::kitty(&png()?, columns_wide),
            Protocol::Iterm => terminal::iterm(&png()?, columns_wide),
            Protocol::Sixel => terminal::sixel(&fine),
            Protocol::Blocks(colours) => terminal::half_blocks(&at(columns), colours),
        })
    }
}

impl Protocol {
    /// What the user says, else what the terminal's own variables tell; `None` for one that shows nothing but text.
    fn of(preview: Preview, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is = |name: &str, values: &[&str]| {
            variable(name).is_some_and(|value| values.iter().any(|start| value.starts_with(start)))
        };
        let deep = is("COLORTERM", &["truecolor", "24bit"]);
        let blocks = Self::Blocks(if deep { Colours::All } else { Colours::Cube });
        match preview {
            Preview::Kitty => return Some(Self::Kitty),
            Preview::Iterm => return Some(Self::Iterm),
            Preview::Sixel => return Some(Self::Sixel),
            Preview::Blocks => return Some(blocks),
            Preview::Auto => {}
        }
        if is("TERM", &["dumb"]) {
            return None;
        }
        // What stands between passes no pictures on.
        if variable("TMUX").is_some() || is("TERM", &["screen", "tmux"]) {
            return Some(blocks);
        }
        let kitty = ["KITTY_WINDOW_ID", "KONSOLE_VERSION"];
        Some(
            if kitty.iter().any(|name| variable(name).is_some())
                || is("TERM", &["xterm-kitty", "xterm-ghostty"])
                || is("TERM_PROGRAM", &["ghostty"])
            {
                Self::Kitty
            } else if is("TERM_PROGRAM", &["iTerm", "WezTerm", "mintty"])
                || is("LC_TERMINAL", &["iTerm"])
            {
                Self::Iterm
            } else if is("TERM", &["foot", "mlterm", "contour", "yaft"]) {
                Self::Sixel
            } else {
                blocks
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(variables: &[(&str, &str)]) -> Option<Protocol> {
        Protocol::of(Preview::Auto, |name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_terminal_is_known_by_its_variables() {
        let cube = Some(Protocol::Blocks(Colours::Cube));
        assert_eq!(way(&[("TERM", "xterm-256color")]), cube);
        let deep = Some(Protocol::Blocks(Colours::All));
        assert_eq!(way(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]), deep);
        assert_eq!(way(&[("TERM", "xterm-kitty")]), Some(Protocol::Kitty));
        assert_eq!(way(&[("TERM_PROGRAM", "iTerm.app")]), Some(Protocol::Iterm));
        assert_eq!(way(&[("TERM", "foot-extra")]), Some(Protocol::Sixel));
        assert_eq!(
            way(&[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")]),
            cube
        );
        assert_eq!(way(&[("TERM", "dumb")]), None);
    }

    #[test]
    fn a_picture_fits_the_terminal_whatever_its_shape() {
        for (width, height) in [(224, 224), (2000, 100), (100, 2000), (3, 3)] {
            let screen = Screen {
                stream: Stream::Stderr,
                way: Protocol::Blocks(Colours::All),
                columns: 60,
                rows: 20,
            };
            let text = screen.text(&RgbImage::new(width, height)).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert!(
                lines.len() <= 18,
                "{width} x {height}: {} lines",
                lines.len()
            );
            assert!(lines.iter().all(|line| line.matches('▀').count() <= 60));
        }
    }
}
