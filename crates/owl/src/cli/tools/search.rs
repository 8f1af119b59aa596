//! `owl search`: the results of the engine that the configuration names.

use std::io;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use super::{Call, FromFile, headline, one_line, text, write_text};
use crate::tools::ToolResult;
use crate::tools::untrusted::unwrapped;

/// Searches the web with the engine that the configuration names
///
/// `tools.web.search.engine` names one: your own SearXNG, Brave, Tavily, DuckDuckGo, or any search that answers in JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl search barn owl habitat
  owl search --count 10 --freshness week rust release
  owl search --domain docs.rs --domain doc.rust-lang.org pin projection
  owl search --after 2026-01-01 --exclude-domain pinterest.com 'owl box plans'
  owl search --json owls | jq -r '.result.details.results[].url'")]
pub struct SearchCommand {
    /// What to search for
    #[arg(value_name = "QUERY", required = true)]
    query: Vec<String>,
    /// How many results; without it, `tools.web.search.count`
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Results for a country: de, us
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Results in a language: de, en
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Results no older than a day, week, month or year
    #[arg(long, value_name = "AGE", value_parser = ["day", "week", "month", "year"], conflicts_with_all = ["after", "before"])]
    freshness: Option<String>,
    /// Results from this day on: 2026-01-31
    #[arg(long, value_name = "DATE")]
    after: Option<String>,
    /// Results up to this day: 2026-01-31
    #[arg(long, value_name = "DATE")]
    before: Option<String>,
    /// Only results of this domain; may be given several times
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// No results of this domain; may be given several times
    #[arg(long, value_name = "DOMAIN")]
    exclude_domain: Vec<String>,
    /// Ask no engine on a private network, whatever the configuration opens
    #[arg(long)]
    no_private: bool,
    /// Print the JSON object that programs get
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: FromFile,
}

impl SearchCommand {
    pub(in crate::cli) async fn run(self) -> ExitCode {
        let config = match self.file.load() {
            Ok(config) => config,
            Err(code) => return code,
        };
        let list = |domains: Vec<String>| (!domains.is_empty()).then(|| Value::from(domains));
        let all = [
            ("query", Some(self.query.join(" ").into())),
            ("count", self.count.map(Value::from)),
            ("country", self.country.map(Value::from)),
            ("language", self.language.map(Value::from)),
            ("freshness", self.freshness.map(Value::from)),
            ("dateAfter", self.after.map(Value::from)),
            ("dateBefore", self.before.map(Value::from)),
            ("domains", list(self.domain)),
            ("excludeDomains", list(self.exclude_domain)),
        ];
        let arguments: Map<String, Value> =
            all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let call = Call { tool: "web_search", arguments, no_private: self.no_private, sees: false, json: self.json };
        call.run(config, show).await
    }
}

fn show(result: &ToolResult) -> io::Result<ExitCode> {
    let details = &result.details;
    let results = details.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let found = format!("{} results of {}", results.len(), text(details, "engine"));
    headline("", &[&found])?;
    write_text(&listed(results))?;
    if results.is_empty() {
        super::note("note: nothing was found");
    }
    Ok(ExitCode::SUCCESS)
}

/// The results as a numbered list: title, address, date, snippet.
fn listed(results: &[Value]) -> String {
    let mut out = String::new();
    for (index, result) in results.iter().enumerate() {
        let line = |key: &str| one_line(unwrapped(text(result, key)));
        let (title, url) = (line("title"), line("url"));
        if index > 0 {
            out.push('\n');
        }
        out.push_str(&format!("{}. {}\n", index + 1, if title.is_empty() { &url } else { &title }));
        for below in [url, line("publishedAt"), line("snippet")] {
            if !below.is_empty() {
                out.push_str(&format!("   {below}\n"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_a_numbered_list() {
        let results = [
            json!({ "title": "Owls\n!", "url": "https://a.example/", "snippet": "About  owls.", "publishedAt": "2026-01-31" }),
            json!({ "title": "", "url": "https://b.example/", "snippet": "" }),
        ];
        let expect = "1. Owls !\n   https://a.example/\n   2026-01-31\n   About owls.\n\n2. https://b.example/\n   https://b.example/\n";
        assert_eq!(listed(&results), expect);
        assert_eq!(listed(&[]), "");
    }
}
