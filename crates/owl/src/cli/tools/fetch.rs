//! `owl fetch`: a page, as a model would read it.

use std::io;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Call, FAILED, FromFile, headline, note, plain, text, write_text};
use crate::tools::ToolResult;
use crate::tools::untrusted::unwrapped;

/// Reads a page as a model would: its main content as Markdown
///
/// Only public addresses, unless `tools.web.fetch` opens more. An answer with an error's status is printed, too; the exit code is
/// then 1. Without a scheme, https:// is meant.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl fetch https://en.wikipedia.org/wiki/Owl
  owl fetch --mode text --max-chars 2000 example.com
  owl fetch --selector 'article table' https://example.com/prices
  owl fetch --start 200000 https://www.rfc-editor.org/rfc/rfc9110.txt
  owl fetch --json https://example.com | jq -r .result.details.title
  owl fetch --config owl.json5 http://wiki.corp.example/    where `tools.web.fetch` opens it")]
pub struct FetchCommand {
    /// The page
    #[arg(value_name = "URL")]
    url: String,
    /// What becomes of the page
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Markdown)]
    mode: Mode,
    /// The most characters to print; without it, as many as `tools.web.fetch.maxCharsCap` lets a call have
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_chars: Option<u32>,
    /// The character to begin at, to go on where an answer was cut
    #[arg(long, value_name = "NUMBER")]
    start: Option<u64>,
    /// Only what this CSS selector names
    #[arg(long, value_name = "CSS")]
    selector: Option<String>,
    /// Print the page's links behind its text
    #[arg(long)]
    links: bool,
    /// Public addresses only, whatever the configuration opens
    #[arg(long)]
    no_private: bool,
    /// Print the JSON object that programs get
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: FromFile,
}

/// What becomes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Markdown of the main content
    Markdown,
    /// Its text alone
    Text,
    /// The page as it came
    Raw,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::Raw => "raw",
        }
    }
}

impl FetchCommand {
    pub(in crate::cli) async fn run(self) -> ExitCode {
        let Self { url, mode, max_chars, start, selector, links, no_private, json, file } = self;
        let config = match file.load() {
            Ok(config) => config,
            Err(code) => return code,
        };
        let cap = config.tools.fetch.as_ref().map(|fetch| fetch.max_chars_cap);
        let mut arguments = Map::new();
        arguments.insert("url".to_owned(), with_scheme(&url).into());
        arguments.insert("extractMode".to_owned(), mode.word().into());
        let max_chars = max_chars.map(|most| json!(most)).or_else(|| cap.map(|cap| json!(cap)));
        let optional = [
            ("maxChars", max_chars),
            ("startIndex", start.map(Value::from)),
            ("selector", selector.map(Value::from)),
            ("links", links.then_some(Value::Bool(true))),
        ];
        arguments.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        let call = Call { tool: "web_fetch", arguments, no_private, sees: false, json };
        call.run(config, |result| show(result, links)).await
    }
}

/// A person may leave out the scheme.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

fn show(result: &ToolResult, links: bool) -> io::Result<ExitCode> {
    let details = &result.details;
    let status = details.get("status").and_then(Value::as_u64).unwrap_or_default();
    let shown_status = if status == 0 { String::new() } else { format!("status {status}") };
    let title = unwrapped(text(details, "title"));
    headline(title, &[text(details, "finalUrl"), &shown_status, text(details, "contentType")])?;
    write_text(unwrapped(text(details, "text")))?;
    if links {
        write_text(&links_of(details))?;
    }
    if let Some(next) = details.get("nextIndex").and_then(Value::as_u64) {
        let length = details.get("length").and_then(Value::as_u64).map_or(String::new(), |all| format!(" of {all}"));
        note(&format!("note: there is more; --start {next} goes on at character {next}{length}"));
    }
    if status >= 400 {
        note(&format!("owl: {} answered with status {status}", plain(text(details, "finalUrl"))));
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// The links, one a line: the address and what stands there.
fn links_of(details: &Value) -> String {
    let mut lines = String::from("\nLinks:\n");
    let links = details.get("links").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for link in links {
        let line = match link {
            Value::String(url) => url.clone(),
            link => format!("{} {}", text(link, "url"), unwrapped(text(link, "text"))),
        };
        lines.push_str(&super::one_line(&line));
        lines.push('\n');
    }
    if links.is_empty() { "\nLinks: none\n".to_owned() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_leave_out_the_scheme() {
        assert_eq!(with_scheme("example.com/a"), "https://example.com/a");
        assert_eq!(with_scheme("http://example.com"), "http://example.com");
        assert_eq!(with_scheme("ftp://example.com"), "ftp://example.com");
    }

    #[test]
    fn links_are_one_a_line() {
        let details = json!({ "links": ["https://a.example/", { "url": "https://b.example/", "text": "B\n b" }] });
        assert_eq!(links_of(&details), "\nLinks:\nhttps://a.example/\nhttps://b.example/ B b\n");
        assert_eq!(links_of(&json!({})), "\nLinks: none\n");
    }
}
