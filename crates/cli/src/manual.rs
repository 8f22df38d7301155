//! `sprat man` and `sprat completions`: what shells and `man` are to know of the command, made from
//! what it knows itself.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::output::{self, complain};

/// Writes the manual pages: sprat(1) and one for each subcommand
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat man ~/.local/share/man/man1\n  \
    man sprat-up")]
pub(crate) struct ManCommand {
    /// Where to: a folder, which is made if it is not there
    folder: PathBuf,
}

impl ManCommand {
    pub(crate) fn run(&self, command: clap::Command) -> ExitCode {
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(command, &self.folder));
        match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: {}: {error}", self.folder.display());
                ExitCode::FAILURE
            }
        }
    }
}

/// Prints what completes sprat's subcommands and options in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    source <(sprat completions bash)   in ~/.bashrc\n  \
    sprat completions fish > ~/.config/fish/completions/sprat.fish")]
pub(crate) struct CompletionsCommand {
    /// Which shell
    shell: Shell,
}

impl CompletionsCommand {
    pub(crate) fn run(&self, mut command: clap::Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "sprat", &mut script);
        let script = String::from_utf8_lossy(&script);
        output::say(Ok::<_, io::Error>(script.into_owned()))
    }
}
