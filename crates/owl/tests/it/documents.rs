//! The documents say what the program does: every configuration in them loads, every error code stands in docs/errors.md.

use std::fs;
use std::path::{Path, PathBuf};

use owl::config::{Config, Environment, Overrides};
use owl::server::error::CODES;
use owl_testkit::certificates;

/// What the configurations in the documents name: files, and what is in them.
const FILES: &[(&str, &str)] = &[
    ("corp-ca.pem", "ca"),
    ("owl.pem", "client"),
    ("owl.key", "client key"),
    ("gateway.pem", "server"),
    ("gateway.key", "server key"),
    ("password.txt", "a password"),
    ("proxy-token.txt", "a token"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .expect("docs")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    found.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    found.sort();
    found
}

/// The blocks of a document that are fenced as `language`, with the line on which each begins.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line.trim_start().starts_with("```") => found.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line.trim() == format!("```{language}") => open = Some((number + 2, String::new())),
            None => {}
        }
    }
    found
}

/// The `${VARIABLES}` that a text names.
fn variables(text: &str) -> Vec<(&str, &'static str)> {
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| (name, "some-value")).collect()
}

#[test]
fn every_configuration_in_the_documents_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = certificates::Authority::new("corp");
    let (server, client) = (authority.server(&["localhost"]), authority.client("owl"));
    for (name, content) in FILES {
        let content = match *content {
            "ca" => authority.certificate(),
            "client" => &client.certificate,
            "client key" => &client.key,
            "server" => &server.certificate,
            "server key" => &server.key,
            text => text,
        };
        fs::write(folder.path().join(name), content).expect("written");
    }
    fs::create_dir(folder.path().join("pictures")).expect("a folder");
    let file = folder.path().join("owl.json5");
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("readable");
        for (line, block) in blocks(&text, "json5") {
            fs::write(&file, &block).expect("written");
            let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
            let place = format!("{}:{line}", document.display());
            let environment = Environment::these(variables(&block));
            // A configuration for the tools alone has no provider.
            let loaded = if block.contains("models:") {
                Config::load_with(&overrides, &environment)
            } else {
                Config::load_for_tools(&overrides, &environment)
            };
            match loaded {
                Ok(config) => {
                    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
                    assert!(warnings.is_empty(), "{place}: {warnings:?}");
                    let network = config.egress.network(std::sync::Arc::new(owl_egress::audit::LogSink));
                    owl::gateway::Gateway::new(config.providers, &network)
                        .and_then(|gateway| gateway.with_tools(config.tools, &network))
                        .unwrap_or_else(|error| panic!("{place}: {error}"));
                }
                Err(problems) => panic!("{place}:\n{problems}"),
            }
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} configurations were found");
}

#[test]
fn every_error_code_is_documented() {
    let text = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let table = text.lines().skip_while(|line| !line.starts_with("| code | status |"));
    let rows: Vec<&str> =
        table.take_while(|line| line.starts_with('|')).filter(|line| line.starts_with("| `")).collect();
    for code in CODES {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{}` |", code.code)));
        let row = row.unwrap_or_else(|| panic!("docs/errors.md has no row for `{}` ({})", code.code, code.meaning));
        let status = code.status.map_or("the provider's own".to_owned(), |status| status.as_u16().to_string());
        assert!(row.contains(&status), "docs/errors.md: `{}` has status {status}", code.code);
        assert!(row.contains(code.kind), "docs/errors.md: `{}` has type {}", code.code, code.kind);
    }
    for row in &rows {
        let code = row.split('`').nth(1).expect("a code");
        assert!(CODES.iter().any(|known| known.code == code), "docs/errors.md: Owl knows no code `{code}`");
    }
}
