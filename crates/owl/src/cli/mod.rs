//! The commands. Each is one file: its flags, its help with examples, and what it does.
//!
//! Exit codes: 0 all is well, 1 something failed while it ran, 2 bad usage or a bad configuration.

pub mod audit;
pub mod chat;
pub mod check;
pub mod config;
pub mod demo;
pub mod doors;
pub mod egress;
pub mod init;
pub mod manual;
pub mod mcp;
pub mod models;
pub mod serve;
pub mod tools;

mod log;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Environment, Overrides, Problems};

/// The exit code for something that failed while it ran.
pub const FAILED: u8 = 1;

/// The safe gateway to inference servers that people run themselves.
#[derive(Debug, Parser)]
#[command(
    name = "owl",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  owl demo                                  see it work on an embedded server
  owl config init                           write a configuration, step by step
  owl check                                 find out what is wrong between Owl and the server
  OWL_BASE_URL=https://llm.corp.example OWL_AUTH=basic OWL_API_KEY=user:password owl serve"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeCommand),
    Check(check::CheckCommand),
    Chat(chat::ChatCommand),
    Models(models::ModelsCommand),
    Fetch(tools::FetchCommand),
    Search(tools::SearchCommand),
    Image(tools::ImageCommand),
    Tools(tools::ToolsCommand),
    Audit(audit::AuditCommand),
    /// Writes, checks and shows the configuration
    Config {
        #[command(subcommand)]
        command: ConfigSubcommand,
    },
    /// Looks at the egress policy
    Egress {
        #[command(subcommand)]
        command: egress::EgressCommand,
    },
    Mcp(mcp::McpCommand),
    Demo(demo::DemoCommand),
    Completions(manual::CompletionsCommand),
    Man(manual::ManCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigSubcommand {
    Init(init::InitCommand),
    #[command(flatten)]
    Look(config::ConfigCommand),
}

impl Cli {
    /// Runs the command that was given.
    pub async fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(command) => command.run().await,
            Command::Check(command) => command.run().await,
            Command::Chat(command) => command.run().await,
            Command::Models(command) => command.run().await,
            Command::Fetch(command) => command.run().await,
            Command::Search(command) => command.run().await,
            Command::Image(command) => command.run().await,
            Command::Tools(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Config { command: ConfigSubcommand::Init(command) } => command.run().await,
            Command::Config { command: ConfigSubcommand::Look(command) } => {
                let ran = command.run(&Environment::Process, &mut anstream::stdout(), &mut anstream::stderr());
                ran.unwrap_or_else(|error| failed(&format!("the output cannot be written: {error}")))
            }
            Command::Egress { command } => command.run().await,
            Command::Mcp(command) => command.run().await,
            Command::Demo(command) => command.run().await,
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

/// Loads the configuration; what is wrong with it goes to standard error.
///
/// # Errors
/// The exit code to end with.
pub(crate) fn load(overrides: &Overrides) -> Result<Config, ExitCode> {
    told(Config::load(overrides))
}

/// The same for what works without an inference server, and so without any configuration.
///
/// # Errors
/// The exit code to end with.
pub(crate) fn load_for_tools(overrides: &Overrides) -> Result<Config, ExitCode> {
    told(Config::load_for_tools(overrides, &Environment::Process))
}

fn told(loaded: Result<Config, Problems>) -> Result<Config, ExitCode> {
    let mut err = anstream::stderr();
    // When standard error is closed there is nobody left to tell.
    match loaded {
        Ok(config) => {
            let _ = config::write_warnings(&config, &mut err);
            Ok(config)
        }
        Err(problems) => {
            let _ = config::write_problems(&problems, &mut err);
            Err(ExitCode::from(config::BAD_CONFIGURATION))
        }
    }
}

/// Tells what failed, and gives the exit code for it.
pub(crate) fn failed(message: &str) -> ExitCode {
    let _ = writeln!(anstream::stderr(), "owl: {message}");
    ExitCode::from(FAILED)
}

/// Writes one line to standard output; a reader that has gone away (`| head`) ends the program quietly.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{line}")
}
