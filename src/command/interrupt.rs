//! Ctrl-C and a request to terminate: the program ends at once, whatever the device is at, and leaves nothing half written.

use std::io::{self, IsTerminal, Write};

use crate::output;

/// As shells have it: 128 and the number of the signal.
const INTERRUPTED: i32 = 128 + 2;

/// From now on, Ctrl-C removes unfinished files and ends the program with exit code 130; on Unix a request to terminate does
/// the same, with 143. Files that have their names stay.
pub fn catch() -> io::Result<()> {
    ctrlc::set_handler(|| end(INTERRUPTED)).map_err(io::Error::other)?;
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGTERM;
        // Not by ctrlc, which would take SIGHUP as well, from nohup's hands.
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM])?;
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                end(128 + SIGTERM);
            }
        });
    }
    Ok(())
}

/// Ends the program, whatever its threads are at.
fn end(exit_code: i32) {
    // Kept to the end, so that no other file is begun.
    let _unfinished = output::remove_unfinished();
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr());
    }
    // Not by `std::process::exit`: that lets drivers tear down what their threads are still working with, and now and then
    // the program ended by a segmentation fault in Mesa's.
    signal_hook::low_level::exit(exit_code)
}
