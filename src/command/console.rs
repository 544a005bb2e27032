//! What goes to standard error: errors, notes, progress. Never a result.
//!
//! A standard error that cannot be written to is no reason to fail: `eprintln!` would panic.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::command::explain::{Cost, Message, in_words};
use crate::explainer::Progress;
use crate::printable::printable_lines;

/// `error: ...`, on a line of its own.
pub fn error(error: impl Display) {
    say("error", RED, error);
}

const RED: &str = "\x1b[1;31m";
const CYAN: &str = "\x1b[36m";

/// A line that begins with a label, in colour where somebody sees it and has not set `NO_COLOR` (no-color.org).
fn say(label: &str, colour: &str, text: impl Display) {
    let line = printable_lines([format!("{label}: {text}")]);
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let mut stderr = io::stderr();
    let _ = match stderr.is_terminal() && !set("NO_COLOR") && !is_dumb {
        true => {
            let rest = &line[label.len() + 1..];
            stderr.write_all(format!("{colour}{label}:\x1b[0m{rest}").as_bytes())
        }
        false => stderr.write_all(line.as_bytes()),
    };
}

/// Standard error, with a bar on its last line while there is much to do and somebody looks.
pub struct Console {
    quiet: bool,
    /// Nowhere to be seen until the cost is known, and where standard error is no terminal.
    bar: ProgressBar,
    cost: OnceLock<Cost>,
    /// Pictures that failed.
    failed: Arc<AtomicUsize>,
    /// When work began, and when it was last told of where there is no bar.
    times: Mutex<Option<Times>>,
}

#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    told: Instant,
}

/// How often progress is told in lines.
const LINES: Duration = Duration::from_secs(60);

impl Console {
    /// When `quiet`, only errors are shown.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            bar: ProgressBar::hidden(),
            cost: OnceLock::new(),
            failed: Arc::default(),
            times: Mutex::default(),
        }
    }

    /// Says it, or not.
    pub fn tell(&self, message: &Message) {
        match message {
            Message::Error(told) => self.bar.suspend(|| error(told)),
            Message::Preview(screen, caption, picture) => self.bar.suspend(|| {
                screen.show(&printable_lines([caption]));
                screen.show(picture);
            }),
            Message::Time(times) => self.bar.suspend(|| say("time", CYAN, times)),
            _ if self.quiet => {}
            Message::Note(note) => self.note(note),
            Message::Cost(cost) => {
                if cost.passes > 0 {
                    self.note(&cost.to_string());
                }
                // Draws nothing where standard error is no terminal.
                self.show(*cost, ProgressDrawTarget::stderr());
            }
            Message::Passes(picture, Progress { done, all }) => {
                // In steps that do not change where there turns out to be less to do.
                let steps = self.steps();
                let done = done * steps / (*all).max(1);
                self.reach(picture * steps + done);
            }
            Message::Progress { done, failed, of } => {
                self.failed.store(*failed, Ordering::Relaxed);
                self.reach(done * self.steps());
                if let Some(line) = self.line(*done, *of, Instant::now()) {
                    self.note(&line);
                }
            }
        }
    }

    fn note(&self, note: &str) {
        self.bar.suspend(|| say("note", CYAN, note));
    }

    /// How far the work has come, where it is time to say so and no bar does.
    fn line(&self, done: usize, of: usize, now: Instant) -> Option<String> {
        if !self.bar.is_hidden() || done == of {
            return None;
        }
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Times {
            began: now,
            told: now,
        };
        let times = times.get_or_insert(began);
        if now - times.told < LINES {
            return None;
        }
        times.told = now;
        let rate = done as f64 / (now - times.began).as_secs_f64();
        let failed = failures(&self.failed);
        let left = in_words((of - done) as f64 / rate);
        Some(format!(
            "{done} of {of} pictures{failed}, {}, {left} left",
            pace(rate)
        ))
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
        let template = format!("{{bar:30}} {{pos}} of {{len}} {what}{{pace}}{{left}}");
        let failed = Arc::clone(&self.failed);
        let speed = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = text.write_str(&failures(&failed));
            if cost.passes == 0 && state.pos() > 0 {
                let _ = write!(text, ", {}", pace(state.per_sec()));
            }
        };
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
            self.bar
                .set_style(style.with_key("pace", speed).with_key("left", left));
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

    /// Standard output, for results: the bar makes way for them. Standard error where files go to standard output, or nowhere
    /// when quiet.
    pub fn results(&self, is_stdout_taken: bool) -> Results<'_> {
        Results {
            bar: &self.bar,
            to: match (is_stdout_taken, self.quiet) {
                (false, _) => ResultsStream::Stdout,
                (true, false) => ResultsStream::Stderr,
                (true, true) => ResultsStream::Nowhere,
            },
        }
    }
}

/// `, 3 failed`; nothing where none has.
fn failures(failed: &AtomicUsize) -> String {
    match failed.load(Ordering::Relaxed) {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    }
}

/// Pictures in a time, so that the number is not small.
fn pace(a_second: f64) -> String {
    match a_second {
        s if s >= 10.0 => format!("{s:.0} a second"),
        s if s >= 0.5 => format!("{s:.1} a second"),
        s if s >= 1.0 / 120.0 => format!("{:.1} a minute", s * 60.0),
        s => format!("{:.1} an hour", s * 3600.0),
    }
}

/// Standard output beside a [`Console`].
pub struct Results<'a> {
    bar: &'a ProgressBar,
    to: ResultsStream,
}

/// Where results go.
enum ResultsStream {
    Stdout,
    Stderr,
    Nowhere,
}

impl Write for Results<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| match self.to {
            ResultsStream::Stdout => io::stdout().write(bytes),
            ResultsStream::Stderr => io::stderr().write(bytes),
            ResultsStream::Nowhere => Ok(bytes.len()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
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
        console.tell(&Message::Passes(1, Progress { done: 1, all: 4 }));
        let text = line.text();
        assert!(text.starts_with("1250 of 2000 passes, "), "{text}");
        assert!(text.ends_with(" left"), "{text}");
        console.tell(&Message::Progress {
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
        console.tell(&Message::Progress {
            done: 1,
            failed: 0,
            of: 3,
        });
        assert!(line.text().starts_with("1 of 3 pictures, "));
    }

    #[test]
    fn failures_stand_in_the_bar() {
        let (console, line) = console(3, 0);
        console.tell(&Message::Progress {
            done: 2,
            failed: 1,
            of: 3,
        });
        assert!(line.text().starts_with("2 of 3 pictures, 1 failed, "));
        assert!(line.text().contains(" a second, "), "{}", line.text());
    }

    #[test]
    fn without_a_terminal_a_line_a_minute_says_how_far_the_work_is() {
        let console = Console::new(false);
        let began = Instant::now();
        let line = |done, seconds| console.line(done, 1000, began + Duration::from_secs(seconds));
        assert_eq!(line(1, 0), None);
        assert_eq!(line(50, 59), None);
        console.failed.store(2, Ordering::Relaxed);
        let told = "240 of 1000 pictures, 2 failed, 4.0 a second, 3 min left";
        assert_eq!(line(240, 60).as_deref(), Some(told));
        assert_eq!(line(300, 119), None);
        assert!(line(480, 121).is_some());
        assert_eq!(line(1000, 300), None);
    }

    #[test]
    fn a_pace_is_told_in_the_time_that_suits_it() {
        let paces = [123.4, 4.26, 0.1, 0.001].map(pace);
        assert_eq!(
            paces,
            [
                "123 a second",
                "4.3 a second",
                "6.0 a minute",
                "3.6 an hour"
            ]
        );
    }

    #[test]
    fn one_step_needs_no_bar() {
        let (_console, line) = console(1, 1);
        assert_eq!(line.text(), "");
    }
}
