//! What goes to standard error: errors, notes, progress. Never a result.
//!
//! A standard error that cannot be written to is no reason to fail: `eprintln!` would panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::explain::{Cost, Told};
use crate::explainer::Progress;

/// `error: ...`, on a line of its own.
pub fn error(error: impl Display) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

/// Standard error, with a bar on its last line while there is much to do and somebody looks.
pub struct Console {
    quiet: bool,
    /// Nowhere to be seen until the cost is known, and where standard error is no terminal.
    bar: ProgressBar,
    cost: OnceLock<Cost>,
}

impl Console {
    /// When `quiet`, only errors are shown.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            bar: ProgressBar::hidden(),
            cost: OnceLock::new(),
        }
    }

    /// Says it, or not.
    pub fn tell(&self, told: &Told) {
        match told {
            Told::Error(told) => self.bar.suspend(|| error(told)),
            _ if self.quiet => {}
            Told::Note(note) => self.note(note),
            Told::Cost(cost) => {
                if cost.passes > 0 {
                    self.note(&cost.to_string());
                }
                self.show(*cost);
            }
            Told::Passes(picture, Progress { done, all }) => {
                // In steps that do not change where there turns out to be less to do.
                let steps = self.steps();
                let done = done * steps / (*all).max(1);
                self.reach(picture * steps + done);
            }
            Told::Progress(done, _) => self.reach(done * self.steps()),
        }
    }

    fn note(&self, note: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "note: {note}");
        });
    }

    /// Shows the bar, if it is long enough to be worth it.
    fn show(&self, cost: Cost) {
        if self.cost.set(cost).is_err() || cost.pictures * self.steps() < 2 {
            return;
        }
        let what = if cost.passes > 0 {
            "passes"
        } else {
            "pictures"
        };
        let template = format!("{{bar:30}} {{pos}} of {{len}} {what}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style);
        }
        self.bar.set_length((cost.pictures * self.steps()) as u64);
        self.bar.reset();
        // Draws nothing where standard error is no terminal.
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Steps of the bar for a picture.
    fn steps(&self) -> usize {
        self.cost.get().map_or(0, |cost| cost.passes).max(1)
    }

    fn reach(&self, position: usize) {
        let position = (position as u64).max(self.bar.position());
        self.bar.set_position(position);
        if self.bar.length().is_some_and(|length| position >= length) {
            self.bar.finish_and_clear();
        }
    }

    /// Standard output, for results: the bar makes way for them.
    pub fn results(&self) -> Results<'_> {
        Results { bar: &self.bar }
    }
}

/// Standard output beside a [`Console`].
pub struct Results<'a> {
    bar: &'a ProgressBar,
}

impl Write for Results<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
