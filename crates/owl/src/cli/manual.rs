//! `owl completions` and `owl man`: made from the same description as `--help`.

use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, failed};

/// Prints the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl completions bash > /etc/bash_completion.d/owl
  owl completions zsh > ~/.zfunc/_owl
  owl completions fish > ~/.config/fish/completions/owl.fish")]
pub struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

impl CompletionsCommand {
    pub(super) fn run(self) -> ExitCode {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "owl", &mut text);
        print(&text)
    }
}

/// Prints the manual page, or writes one page a command into a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl man | man -l -
  owl man --dir /usr/local/share/man/man1")]
pub struct ManCommand {
    /// Write owl.1, owl-serve.1 and so on into this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<std::path::PathBuf>,
}

impl ManCommand {
    pub(super) fn run(self) -> ExitCode {
        if let Some(folder) = self.dir {
            return match clap_mangen::generate_to(Cli::command(), &folder) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&format!("the pages cannot be written into {}: {error}", folder.display())),
            };
        }
        let mut text = Vec::new();
        match clap_mangen::Man::new(Cli::command()).render(&mut text) {
            Ok(()) => print(&text),
            Err(error) => failed(&format!("the page cannot be made: {error}")),
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    match io::Write::write_all(&mut io::stdout(), text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&format!("the output cannot be written: {error}")),
    }
}
