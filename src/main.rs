//! `gradcam`: parses the command line, runs it, prints errors, and exits with 0, 1 or 2, 130 on Ctrl-C or 143 on SIGTERM.
//! A reader of its results that goes away ends it with 1 and without a word.

use std::io::{self, Write};
use std::process::ExitCode;

use gradcam::low_level::cli::{self, Cli, Command};
use gradcam::low_level::command::Error;
use gradcam::low_level::command::console::{self, Console};
use gradcam::low_level::command::explain::{self, Message};
use gradcam::low_level::command::{bench, convert, info, interrupt, merge, show, tune, vectors};
use gradcam::low_level::options::{self, Options};
use gradcam::low_level::output::report;
use gradcam::low_level::{gpu, weights};

fn main() -> ExitCode {
    silence_device_selection();
    widen_vectors();
    if let Err(error) = interrupt::catch() {
        console::error(format_args!(
            "stopping will leave unfinished files: {error}"
        ));
    }
    if let Err(error) = options::check_words(std::env::args_os().skip(1)) {
        console::error(error);
        return ExitCode::from(2);
    }
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version, or what is wrong.
        Err(answer) => answer.exit(),
    };
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is_reader_gone() => ExitCode::FAILURE,
        Err(error) => {
            console::error(&error);
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

/// Whether all went well; an error is one that leaves nothing to do.
fn run(cli: Cli) -> Result<bool, Error> {
    match cli.command {
        Some(Command::Adapters { json }) => {
            print(report::adapters(&gpu::adapters()?, json))?;
        }
        Some(Command::Bench(flags)) => {
            let report = bench::run(&flags)?;
            tell_notes(&report.notes);
            print(if flags.json {
                report.json()
            } else {
                report.text()
            })?;
        }
        Some(Command::Tune(flags)) => {
            let report = tune::run(&flags)?;
            tell_notes(&report.notes);
            print(if flags.json {
                report.json()
            } else {
                report.text()
            })?;
        }
        Some(Command::Info {
            file,
            graph_output,
            architecture,
            json,
        }) => {
            let info = info::look(
                file.as_deref(),
                graph_output.as_deref(),
                architecture.as_deref(),
            );
            print(if json { info.json() } else { info.text() })?;
            info.problem.map_or(Ok(()), Err)?;
        }
        Some(Command::Convert(command)) => {
            let converted = convert::run(&command)?;
            print(converted.to_string())?;
            tell_notes(&converted.notes);
        }
        Some(Command::Merge(flags)) => {
            let merged = merge::run(&flags)?;
            print(merged.to_string())?;
            tell_notes(&merged.notes);
            return Ok(merged.is_whole());
        }
        Some(Command::Show { file, json }) => print(show::show(&file, json)?)?,
        Some(Command::Man { command }) => print(cli::manual(command.as_deref())?)?,
        Some(Command::Completions { shell }) => print(cli::completion_script(shell))?,
        None => {
            let words = std::env::args_os().skip(1);
            let options = Options {
                command: options::told_of(words),
                ..Options::new(cli.explain, weights::looks_like_weights)?
            };
            let console = Console::new(options.quiet);
            let tell = |told| console.tell(&told);
            return explain::run(&options, &mut console.results(options.to_stdout), &tell);
        }
    }
    Ok(true)
}

fn print(text: impl AsRef<[u8]>) -> Result<(), Error> {
    io::stdout().write_all(text.as_ref()).map_err(Error::Stdout)
}

fn tell_notes(notes: &[String]) {
    for note in notes {
        Console::new(false).tell(&Message::Note(note.clone()));
    }
}

/// Without a desktop session, Mesa's device selection layer prints `error: XDG_RUNTIME_DIR ...` on standard error, where
/// it would pass for ours. It only reorders adapters, which `gpu` does itself; who asks for it keeps it.
fn silence_device_selection() {
    let wanted = [
        "XDG_RUNTIME_DIR",
        "NODEVICE_SELECT",
        "MESA_VK_DEVICE_SELECT",
    ];
    if wanted.iter().all(|name| std::env::var_os(name).is_none()) {
        #[expect(unsafe_code, reason = "how the Vulkan loader is told")]
        // SAFETY: main has started no other thread yet.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        };
    }
}

/// Mesa's software adapter takes vectors of 256 bits where the processor has 512. Who asks for a width keeps it.
fn widen_vectors() {
    if vectors::are_512_bits_better() {
        #[expect(unsafe_code, reason = "how the driver is told")]
        // SAFETY: main has started no other thread yet.
        unsafe {
            std::env::set_var(vectors::VARIABLE, "512");
        };
    }
}
