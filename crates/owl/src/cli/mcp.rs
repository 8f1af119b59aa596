//! `owl mcp`: the tools for an agent, on standard input and output.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::serve::asked_to_stop;
use super::{FAILED, failed, load_for_tools, log};
use crate::audit::AuditLog;
use crate::config::{Config, Overrides};
use crate::gateway::Gateway;
use crate::mcp::stdio;

/// Offers the tools to an agent that starts it (MCP on standard input and output)
///
/// It needs no gateway running, and no provider unless `image` is to ask a model. It ends when the agent closes its standard
/// input. What it logs goes to standard error. For many agents, `owl serve` offers the same over HTTP at /mcp.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl mcp
  owl mcp --config owl.json5
  claude mcp add owl -- owl mcp
  npx @modelcontextprotocol/inspector owl mcp")]
pub struct McpCommand {
    #[command(flatten)]
    overrides: Overrides,
}

impl McpCommand {
    pub(super) async fn run(self) -> ExitCode {
        let config = match load_for_tools(&self.overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let _flush_at_end = log::start(&config.log);
        // Dropped last, when nothing is left that could record: it writes what waits.
        let audit = AuditLog::start(&config.store);
        let network = config.egress.network(audit.sink());
        let Config { providers, tools, .. } = config;
        let built = Gateway::new(providers, &network).and_then(|gateway| gateway.with_tools(tools, &network));
        let gateway = match built {
            Ok(gateway) => Arc::new(gateway),
            Err(error) => return failed(&error.to_string()),
        };
        if let Err(refused) = gateway.tools().admit().await {
            for error in refused {
                failed(&error.to_string());
            }
            return ExitCode::from(FAILED);
        }
        match stdio::serve(gateway, asked_to_stop(1)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => failed(&reason),
        }
    }
}
