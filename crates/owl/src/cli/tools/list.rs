//! `owl tools`: which tools there are, and what each may reach.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use owl_egress::PolicyRules;
use owl_egress::audit::LogSink;
use serde_json::{Value, json};

use super::{FromFile, end_of_output, failed, json_line, say};
use crate::config::{Config, ToolsConfig};
use crate::gateway::Gateway;
use crate::tools;

/// Lists the tools for models: which are on, and what each may reach
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl tools
  owl tools --json | jq '.tools[] | {name, parameters}'")]
pub struct ToolsCommand {
    /// Print the schemas of the tools that are on, as GET /tools does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: FromFile,
}

/// The tools, in the order in which they are listed.
const TOOLS: [&str; 3] = ["web_fetch", "image", "web_search"];

/// Whether there is a tool.
pub(super) enum State<'a> {
    /// There is, and this is what it may reach.
    On(&'a PolicyRules),
    /// It is switched off under this key.
    Off(&'static str),
    /// Nobody named an engine, or the tool is switched off.
    NoEngine,
}

impl<'a> State<'a> {
    /// The state of the tool of this name; `None` where there is no such tool at all.
    pub(super) fn of(name: &str, tools: &'a ToolsConfig) -> Option<Self> {
        Some(match name {
            "web_fetch" => tools.fetch.as_ref().map_or(Self::Off("tools.web.fetch"), |tool| Self::On(&tool.rules)),
            "image" => tools.image.as_ref().map_or(Self::Off("tools.image"), |tool| Self::On(&tool.rules)),
            "web_search" => tools.search.as_ref().map_or(Self::NoEngine, |tool| Self::On(&tool.upstream.rules)),
            _ => return None,
        })
    }
}

impl ToolsCommand {
    pub(in crate::cli) async fn run(self) -> ExitCode {
        let config = match self.file.load() {
            Ok(config) => config,
            Err(code) => return code,
        };
        let printed = if self.json {
            match schemas(config) {
                Ok(schemas) => say(&json_line(&schemas)),
                Err(code) => return code,
            }
        } else {
            table(&config.tools)
        };
        match printed {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => end_of_output(&error),
        }
    }
}

fn schemas(config: Config) -> Result<Value, ExitCode> {
    // Nothing is asked of anybody, so that there is nothing to keep.
    let network = config.egress.network(Arc::new(LogSink));
    let built = Gateway::new(Vec::new(), &network).and_then(|gateway| gateway.with_tools(config.tools, &network));
    let gateway = built.map_err(|error| failed(&error.to_string()))?;
    let all: Vec<Value> = gateway.tools().all().iter().map(|tool| tools::json::definition(tool.definition())).collect();
    Ok(json!({ "tools": all }))
}

fn table(tools: &ToolsConfig) -> io::Result<()> {
    for name in TOOLS {
        let (state, about) = match State::of(name, tools) {
            Some(State::On(rules)) => ("on", reach(name, rules, tools)),
            Some(State::Off(key)) => ("off", format!("{key}.enabled is false")),
            Some(State::NoEngine) => ("off", "tools.web.search names no engine, or is switched off".to_owned()),
            None => continue,
        };
        say(&format!("{name:<11} {state:<4} {about}"))?;
    }
    Ok(())
}

/// What a tool may reach, in a clause.
fn reach(name: &str, rules: &PolicyRules, tools: &ToolsConfig) -> String {
    let engine = (name == "web_search").then_some(tools.search.as_ref()).flatten();
    let mut parts = vec![match (engine, rules.only_hosts.is_empty()) {
        (Some(search), _) => format!("{} at {}", search.upstream.name, search.upstream.base_url.origin()),
        (None, true) => "public addresses".to_owned(),
        (None, false) => format!("only {}", joined(&rules.only_hosts)),
    }];
    if rules.allow_private_network {
        parts.push("this machine and private networks".to_owned());
    }
    if !rules.allow_hosts.is_empty() {
        parts.push(format!("private addresses of {}", joined(&rules.allow_hosts)));
    }
    if !rules.allow_cidrs.is_empty() {
        parts.push(joined(&rules.allow_cidrs));
    }
    if !rules.allow_ports.is_empty() {
        parts.push(format!("ports {}", joined(&rules.allow_ports)));
    }
    if let (true, Some(image)) = (name == "image", &tools.image) {
        let roots: Vec<String> = image.roots.iter().map(|root| root.display().to_string()).collect();
        if !roots.is_empty() {
            parts.push(format!("files below {}", joined(&roots)));
        }
    }
    parts.join("; ")
}

fn joined<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
