//! What goes to standard error: errors, notes, progress. Never a result.
//!
//! A standard error that cannot be written to is no reason to fail: `eprintln!` would panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::command::explain::{Cost, Told, in_words};
use crate::explainer::Progress;
use crate::printable::printable_lines;

/// `error: ...`, on a line of its own.
pub fn error(error: impl Display) {
    let line = printable_lines([format!("error: {error}")]);
    let _ = io::stderr().write_all(line.as_bytes());
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
                // Draws nothing where standard error is no terminal.
                self.show(*cost, ProgressDrawTarget::stderr());
            }
            Told::Passes(picture, Progress { done, all }) => {
                // In steps that do not change where there turns out to be less to do.
                let steps = self.steps();
                let done = done * steps / (*all).max(1);
                self.reach(picture * steps + done);
            }
            Told::Progress { done, .. } => self.reach(done * self.steps()),
        }
    }

    fn note(&self, note: &str) {
        let line = printable_lines([format!("note: {note}")]);
        self.bar.suspend(|| {
            let _ = io::stderr().write_all(line.as_bytes());
        });
    }

    /// Shows the bar, if it is long enough to be worth it.
    fn show(&self, cost: Cost, target: ProgressDrawTarget) {
        if self.cost.set(cost).is_err() || cost.pictures * self.steps() < 2 {
            return;
        }
        let what = if cost.passes > 0 {
            "passes"
        } else {
            "pictures"
        };
        let template = format!("{{bar:30}} {{pos}} of {{len}} {what}{{left}}");
        // Before the first step the bar knows nothing, and the cost nothing of pictures without passes.
        let left = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let seconds = match state.pos() {
                0 if cost.passes == 0 => return,
                0 => cost.all_seconds(),
                _ => state.eta().as_secs_f64(),
            };
            let _ = write!(text, ", {} left", in_words(seconds));
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style.with_key("left", left));
        }
        self.bar.set_length((cost.pictures * self.steps()) as u64);
        self.bar.reset();
        self.bar.set_draw_target(target);
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal's last line.
    #[derive(Clone, Debug, Default)]
    struct Line(Arc<Mutex<String>>);

    impl Line {
        fn text(&self) -> String {
            let text = self.0.lock().unwrap();
            text.trim_matches(|c: char| !c.is_ascii_graphic())
                .to_owned()
        }
    }

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console that is quiet but for its bar.
    fn console(pictures: usize, passes: usize) -> (Console, Line) {
        let (console, line) = (Console::new(false), Line::default());
        let cost = Cost {
            pictures,
            passes,
            seconds: 7200.0,
            is_most: false,
        };
        let target = ProgressDrawTarget::term_like(Box::new(line.clone()));
        console.show(cost, target);
        console.bar.tick();
        (console, line)
    }

    #[test]
    fn the_bar_starts_with_the_time_told_and_is_gone_at_the_end() {
        let (console, line) = console(2, 1000);
        assert_eq!(line.text(), "0 of 2000 passes, 4.0 h left");
        console.tell(&Told::Passes(1, Progress { done: 1, all: 4 }));
        let text = line.text();
        assert!(text.starts_with("1250 of 2000 passes, "), "{text}");
        assert!(text.ends_with(" left"), "{text}");
        console.tell(&Told::Progress {
            done: 2,
            failed: 0,
            of: 2,
        });
        assert_eq!(line.text(), "");
    }

    #[test]
    fn pictures_alone_take_nobody_knows_how_long() {
        let (console, line) = console(3, 0);
        assert_eq!(line.text(), "0 of 3 pictures");
        console.tell(&Told::Progress {
            done: 1,
            failed: 0,
            of: 3,
        });
        assert!(line.text().starts_with("1 of 3 pictures, "));
    }

    #[test]
    fn one_step_needs_no_bar() {
        let (_console, line) = console(1, 1);
        assert_eq!(line.text(), "");
    }
}
