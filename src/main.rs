//! `gradcam`: parses the command line, runs it, prints errors, and exits with 0, 1 or 2.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use gradcam::cli::{self, Cli, Command};
use gradcam::explain::{self, Error, Told};
use gradcam::options::Options;
use gradcam::{bench, gpu, report, weights};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err((code, message)) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}

/// Whether all went well, or the exit code and the reason for it.
fn run(cli: Cli) -> Result<bool, (u8, String)> {
    let failed = |error: io::Error| (FAILED, format!("standard output: {error}"));
    match cli.command {
        Some(Command::Adapters { json }) => {
            let adapters = gpu::adapters(cli.explain.backend);
            if adapters.is_empty() {
                return Err((FAILED, gpu::GpuError::none(cli.explain.backend).to_string()));
            }
            let text = report::adapters(&adapters, json);
            io::stdout().write_all(text.as_bytes()).map_err(failed)?;
            Ok(true)
        }
        Some(Command::Bench(flags)) => {
            let report = bench::run(&flags).map_err(|error| (FAILED, error.to_string()))?;
            let text = if flags.json {
                report.json()
            } else {
                report.text()
            };
            io::stdout().write_all(text.as_bytes()).map_err(failed)?;
            Ok(true)
        }
        Some(Command::Completions { shell }) => {
            let script = cli::completion_script(shell);
            io::stdout().write_all(&script).map_err(failed)?;
            Ok(true)
        }
        None => {
            let options = Options::new(cli.explain, weights::looks_like_weights)
                .map_err(|error| (WRONG_USAGE, error.to_string()))?;
            let tell = |told: Told| tell(&told, options.quiet);
            explain::run(&options, &mut io::stdout(), &tell).map_err(|error| {
                let usage = matches!(&error, Error::Destination(error) if error.is_usage());
                (if usage { WRONG_USAGE } else { FAILED }, error.to_string())
            })
        }
    }
}

fn tell(told: &Told, quiet: bool) {
    match told {
        Told::Error(error) => eprintln!("error: {error}"),
        Told::Note(note) if !quiet => eprintln!("note: {note}"),
        Told::Progress(done, all) if !quiet && *all > 1 && io::stderr().is_terminal() => {
            eprint!(
                "\r{done} of {all} pictures{}",
                if done == all { "\n" } else { "" }
            );
        }
        Told::Note(_) | Told::Progress(..) => {}
    }
}
