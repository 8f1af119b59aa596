//! `owl egress`: what the egress policy makes of a URL, without connecting to anything.
//!
//! Read `check.rs` (the command), `basis.rs` (which policy judges), `answers.rs` (where addresses come from), `reasoning.rs`
//! (the steps), `remedy.rs` (what to write), `show.rs` (text and JSON); apart from those, [`batch`] (many rows at once).

mod answers;
mod basis;
pub mod batch;
pub mod check;
mod reasoning;
mod remedy;
mod show;

use std::process::ExitCode;

/// Looks at the egress policy.
#[derive(Debug, clap::Subcommand)]
pub enum EgressCommand {
    /// Says whether Owl would fetch a URL, step by step, and what would open it
    Check(check::CheckCommand),
}

impl EgressCommand {
    pub(super) async fn run(self) -> ExitCode {
        match self {
            Self::Check(command) => command.run().await,
        }
    }
}
