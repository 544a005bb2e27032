//! What is made of the command line's definition: its manual, its completions, which words are commands and which take a value.

use std::ffi::{OsStr, OsString};

use clap_complete::Shell;

use super::command;

/// The manual page of the program, or of one of its commands, in roff.
///
/// # Errors
/// For a command that is not there.
pub fn manual(of: Option<&str>) -> Result<Vec<u8>, NoSuchCommand> {
    let mut command = command();
    command.build();
    let page = match of {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| NoSuchCommand(name.to_owned()))?
        }
    };
    let mut roff = vec![];
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(page).render(&mut roff);
    Ok(roff)
}

/// A command that `gradcam man` does not know.
#[derive(Debug, thiserror::Error)]
#[error("no command is called {0}; gradcam --help lists them")]
pub struct NoSuchCommand(String);

/// What the commands are called.
pub(crate) fn command_names() -> Vec<OsString> {
    let mut command = command();
    // Adds `help`.
    command.build();
    command
        .get_subcommands()
        .map(|command| command.get_name().into())
        .collect()
}

/// Whether the word after this one is its value, as after `-o`, `-qo` and `--out-dir`.
pub(crate) fn takes_value(word: &OsStr) -> bool {
    let Some(text) = word.to_str() else {
        return false;
    };
    let command = command();
    let takes = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    let found = match (text.strip_prefix("--"), text.strip_prefix('-')) {
        (Some(long), _) => command.get_arguments().find(|arg| {
            let names = arg.get_long_and_visible_aliases().unwrap_or_default();
            names.contains(&long)
        }),
        (None, Some(short)) => {
            let last = short.chars().next_back();
            command
                .get_arguments()
                .find(|arg| last.is_some() && arg.get_short() == last)
        }
        (None, None) => None,
    };
    found.is_some_and(takes)
}

/// The completion script of `shell`. Made in memory, so that a closed pipe is the writer's to
/// report.
pub fn completion_script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "gradcam", &mut script);
    script
}
