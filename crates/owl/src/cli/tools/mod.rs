//! The tools for a person: `owl fetch`, `owl search`, `owl image`, and `owl tools`, which lists them.
//!
//! Each runs the gateway inside its own process, so nothing needs to be listening, and no inference server is needed unless a model
//! shall look at a picture. The policy is the configuration's, as for a model: a flag narrows it and never widens it.
//! What a server sends never reaches a terminal as a control sequence.

mod fetch;
mod image;
mod list;
mod search;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use serde_json::{Map, Value};

pub use self::fetch::FetchCommand;
pub use self::image::ImageCommand;
pub use self::list::ToolsCommand;
pub use self::search::SearchCommand;

use super::chat::screen::{DIM, json_line, note, patiently, plain};
use super::chat::{INTERRUPTED, end_of_output};
use super::config::BAD_CONFIGURATION;
use super::{FAILED, failed, load_for_tools, say};
use crate::audit::AuditLog;
use crate::config::{Config, Overrides, ToolsConfig};
use crate::context::RequestContext;
use crate::gateway::{Gateway, ToolRequest};
use crate::tools::{Asker, Silent, ToolError, ToolFault, ToolResult, json};

/// Where the configuration is.
#[derive(Debug, Args)]
struct FromFile {
    /// The configuration file [env: OWL_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FromFile {
    fn load(self) -> Result<Config, ExitCode> {
        load_for_tools(&Overrides { config: self.config, ..Overrides::default() })
    }
}

/// A call, as a command makes it.
struct Call {
    tool: &'static str,
    arguments: Map<String, Value>,
    /// Public addresses only, whatever the configuration opens.
    no_private: bool,
    /// Whether pictures shall come back as they are.
    sees: bool,
    json: bool,
}

impl Call {
    /// Calls the tool; with `--json` prints what came of it, and else lets `show` do so. Ends as the command has to end.
    async fn run(self, config: Config, show: impl FnOnce(&ToolResult) -> io::Result<ExitCode>) -> ExitCode {
        // Dropped last: it writes what waits.
        let audit = AuditLog::start(&config.store);
        let network = config.egress.network(audit.sink());
        let missing = missing(self.tool, &config.tools);
        let built =
            Gateway::new(config.providers, &network).and_then(|gateway| gateway.with_tools(config.tools, &network));
        let gateway = match built {
            Ok(gateway) => gateway,
            Err(error) => return failed(&error.to_string()),
        };
        let as_json = self.json;
        let outcome = match missing {
            Some(error) => Err(error),
            None => tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
                outcome = patiently(self.call(&gateway)) => outcome,
            },
        };
        let printed = match (&outcome, as_json) {
            (_, true) => say(&json_line(&json::outcome(&outcome))).map(|()| ExitCode::SUCCESS),
            (Ok(result), false) => show(result),
            (Err(_), false) => Ok(ExitCode::SUCCESS),
        };
        match (outcome, printed) {
            (Err(error), _) => tell(&error, as_json),
            (Ok(_), Ok(code)) => code,
            (Ok(_), Err(error)) => end_of_output(&error),
        }
    }

    async fn call(self, gateway: &Gateway) -> Result<ToolResult, ToolError> {
        let Self { tool, mut arguments, no_private, sees, .. } = self;
        // Without the parameter nothing private is open: there is nothing to narrow.
        let narrows = gateway
            .tools()
            .get(tool)
            .is_some_and(|tool| tool.definition().parameters.pointer("/properties/allowPrivateNetwork").is_some());
        if no_private && narrows {
            arguments.insert("allowPrivateNetwork".to_owned(), false.into());
        }
        let ctx = RequestContext::local();
        let asked = ToolRequest {
            name: tool,
            arguments: &arguments,
            asker: Asker::Person,
            sees,
            progress: &Silent,
            approval: None,
        };
        gateway.call_tool(&ctx, asked).await
    }
}

/// Why there is no such tool, in words of the configuration.
fn missing(tool: &str, tools: &ToolsConfig) -> Option<ToolError> {
    let state = list::State::of(tool, tools)?;
    let (message, hint) = match state {
        list::State::On(_) => return None,
        list::State::Off(key) => (format!("{tool} is switched off"), format!("remove `enabled: false` from {key}")),
        list::State::NoEngine => {
            let hint = "name one, for example `tools: { web: { search: { engine: \"searxng\", baseUrl: \
                        \"http://searx.lan:8080\", allowPrivateNetwork: true } } }`; docs/tools.md has the others";
            ("there is no search engine".to_owned(), hint.to_owned())
        }
    };
    Some(ToolError::new(ToolFault::Unknown, "tool_not_found", message).hint(hint))
}

/// Says why a call failed, to the one person who may know everything.
fn tell(error: &ToolError, as_json: bool) -> ExitCode {
    match (&error.for_operator, as_json) {
        // The whole of it, with the key that opens: more than the JSON has, and more than the hint says.
        (Some(whole), _) => note(&format!("owl: {}", plain(whole))),
        (None, true) => {}
        (None, false) => {
            note(&format!("owl: {}", plain(&error.message)));
            error.hint.iter().for_each(|hint| note(&format!("  help: {}", plain(hint))));
        }
    }
    ExitCode::from(if error.fault == ToolFault::Arguments { BAD_CONFIGURATION } else { FAILED })
}

/// Says a line in front of the matter, for a person who reads it on a terminal.
fn headline(title: &str, about: &[&str]) -> io::Result<()> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let bold = Style::new().bold();
    let about = about.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" · ");
    let mut out = anstream::stdout().lock();
    if !title.is_empty() {
        writeln!(out, "{bold}{}{bold:#}", one_line(title))?;
    }
    writeln!(out, "{DIM}{}{DIM:#}\n", one_line(&about))
}

/// Writes a text that may end without a line break.
fn write_text(text: &str) -> io::Result<()> {
    let text = plain(text);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') && !text.is_empty() {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The text on one line.
fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of `details`, or nothing.
fn text<'a>(details: &'a Value, key: &str) -> &'a str {
    details.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(one_line(" a\tb\n\u{1b}[31mc  d\u{7} "), "a b [31mc d");
    }
}
