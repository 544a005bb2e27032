//! What goes to standard error: errors, notes, progress. Never a result.
//!
//! A standard error that cannot be written to is no reason to fail: `eprintln!` would panic.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::explain::Told;
use crate::explainer::Progress;

/// `error: ...`, on a line of its own.
pub fn error(error: impl Display) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

/// What the command says while it works; when `quiet`, only its errors.
pub fn tell(told: &Told, quiet: bool) {
    let mut stderr = io::stderr();
    let _ = match told {
        Told::Error(told) => return error(told),
        Told::Note(note) if !quiet => writeln!(stderr, "note: {note}"),
        Told::Progress(done, all) if !quiet && *all > 1 && stderr.is_terminal() => {
            let end = if done == all { "\n" } else { "" };
            write!(stderr, "\r{done} of {all} pictures{end}")
        }
        Told::Passes(Progress { done: 0, all }, _) if !quiet => {
            writeln!(
                stderr,
                "note: {all} passes through the network for a picture"
            )
        }
        Told::Passes(Progress { done, all }, time) if !quiet && stderr.is_terminal() => {
            let left = time.as_secs_f64() / *done as f64 * (all - done) as f64;
            let end = if done == all { "\n" } else { "" };
            write!(stderr, "\r{done} of {all} passes, {left:.0} s left   {end}")
        }
        Told::Note(_) | Told::Progress(..) | Told::Passes(..) => Ok(()),
    };
}
