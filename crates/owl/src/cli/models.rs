//! `owl models`: asks every provider for its models, now.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::Style;
use clap::Args;
use futures_util::future::join_all;
use owl_egress::EgressError;
use serde_json::{Value, json};

use super::chat::end_of_output;
use super::chat::screen::{json_line, patiently, plain};
use super::config::BAD_CONFIGURATION;
use super::{FAILED, failed, load};
use crate::audit::AuditLog;
use crate::config::Overrides;
use crate::gateway::Gateway;
use crate::provider::models::KnownModel;
use crate::provider::{ModelTable, Provider, Reachability};

/// Where servers say how long a model's context is: vLLM and SGLang, OpenRouter and TGI, LM Studio, llama.cpp.
const CONTEXT_KEYS: [&str; 6] =
    ["/max_model_len", "/context_length", "/context_window", "/max_context_length", "/meta/n_ctx", "/meta/n_ctx_train"];

/// Lists the models of all providers, asked now
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl models
  owl models owl
  owl models --json | jq -r '.models[].name'
  owl models --base-url http://192.168.7.20:8000 --allow-private-network")]
pub struct ModelsCommand {
    /// Only this provider's
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,
    /// Print one JSON object: the models, and the providers that failed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// One line of the list.
#[derive(Debug)]
struct Row {
    name: String,
    provider: String,
    upstream: String,
    context: Option<u64>,
}

/// A provider that did not list its models.
#[derive(Debug)]
struct Unlisted {
    provider: String,
    reason: String,
}

impl ModelsCommand {
    pub(super) async fn run(self) -> ExitCode {
        let config = match load(&self.overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let audit = AuditLog::start(&config.store);
        let network = config.egress.network(audit.sink());
        let gateway = match Gateway::new(config.providers, &network) {
            Ok(gateway) => gateway,
            Err(error) => return failed(&error.to_string()),
        };
        let asked: Vec<&Arc<Provider>> = match &self.provider {
            None => gateway.providers().iter().collect(),
            Some(name) => match gateway.provider(name) {
                Some(provider) => vec![provider],
                None => return unknown_provider(name, &gateway),
            },
        };
        let (rows, unlisted) = patiently(ask(&gateway, &asked)).await;
        let written = if self.json { write_json(&rows, &unlisted) } else { write_table(&rows) };
        for Unlisted { provider, reason } in &unlisted {
            failed(&format!("provider {provider}: {}", plain(reason)));
        }
        match written {
            Err(error) => end_of_output(&error),
            Ok(()) if unlisted.is_empty() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(FAILED),
        }
    }
}

fn unknown_provider(name: &str, gateway: &Gateway) -> ExitCode {
    let known: Vec<&str> = gateway.providers().iter().map(|provider| provider.id()).collect();
    failed(&format!("no provider is named {name:?}; there are: {}", known.join(", ")));
    ExitCode::from(BAD_CONFIGURATION)
}

async fn ask(gateway: &Gateway, asked: &[&Arc<Provider>]) -> (Vec<Row>, Vec<Unlisted>) {
    let denied = join_all(asked.iter().map(|provider| denied(provider))).await;
    // All of them even when one was named: whether a bare name is enough depends on the others.
    gateway.refresh_all().await;
    let table = gateway.table();
    let (mut rows, mut unlisted) = (Vec::new(), Vec::new());
    for (provider, denied) in asked.iter().zip(denied) {
        let known = provider.known();
        match (denied, known.reachability()) {
            (Some(reason), _) => unlisted.push(Unlisted { provider: provider.id().to_owned(), reason }),
            (None, Reachability::Fails(reason)) => {
                unlisted.push(Unlisted { provider: provider.id().to_owned(), reason: reason.to_string() });
            }
            (None, Reachability::Answers(_) | Reachability::Unknown) => {
                rows.extend(known.models().iter().map(|model| row(provider, model, &table)));
            }
        }
    }
    (rows, unlisted)
}

/// The whole refusal of the policy, with what would open it; requests only tell what clients may know.
async fn denied(provider: &Provider) -> Option<String> {
    match provider.client().admit().await {
        Err(EgressError::Denied(denied)) => Some(denied.to_string()),
        Ok(_) | Err(_) => None,
    }
}

fn row(provider: &Provider, model: &KnownModel, table: &ModelTable) -> Row {
    let bare_is_enough = table.get(&model.name).is_some_and(|route| route.provider.id() == provider.id());
    let name = if bare_is_enough { model.name.to_string() } else { format!("{}/{}", provider.id(), model.name) };
    let object: Value = serde_json::from_str(&model.object(&name)).unwrap_or_default();
    Row { name, provider: provider.id().to_owned(), upstream: model.upstream.to_string(), context: context(&object) }
}

fn context(object: &Value) -> Option<u64> {
    CONTEXT_KEYS.iter().find_map(|key| object.pointer(key)?.as_u64())
}

fn write_json(rows: &[Row], unlisted: &[Unlisted]) -> io::Result<()> {
    let models: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "name": row.name, "provider": row.provider, "upstream": row.upstream, "context_length": row.context })
        })
        .collect();
    let failed: Vec<Value> =
        unlisted.iter().map(|failed| json!({ "provider": failed.provider, "reason": failed.reason })).collect();
    super::say(&json_line(&json!({ "models": models, "failed": failed })))
}

/// A column only where it says something.
fn write_table(rows: &[Row]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let renamed = rows.iter().any(|row| !row.name.ends_with(&row.upstream));
    let sized = rows.iter().any(|row| row.context.is_some());
    let mut table = vec![cells("MODEL", "PROVIDER", "UPSTREAM NAME", "CONTEXT", renamed, sized)];
    for row in rows {
        let context = row.context.map(|tokens| tokens.to_string()).unwrap_or_default();
        table.push(cells(&plain(&row.name), &row.provider, &plain(&row.upstream), &context, renamed, sized));
    }
    let width = |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let mut out = anstream::stdout().lock();
    for (line, cells) in table.iter().enumerate() {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        let style = if line == 0 { Style::new().bold() } else { Style::new() };
        writeln!(out, "{style}{}{style:#}", padded.join("  ").trim_end())?;
    }
    out.flush()
}

fn cells(name: &str, provider: &str, upstream: &str, context: &str, renamed: bool, sized: bool) -> Vec<String> {
    let all = [(name, true), (provider, true), (upstream, renamed), (context, sized)];
    all.into_iter().filter(|(_, shown)| *shown).map(|(cell, _)| cell.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_lengths_are_found_where_servers_say_them() {
        let check = |object: Value, expect: Option<u64>| assert_eq!(context(&object), expect, "{object}");
        check(json!({ "max_model_len": 32768 }), Some(32768));
        check(json!({ "context_length": 4096 }), Some(4096));
        check(json!({ "max_context_length": 4096 }), Some(4096));
        check(json!({ "meta": { "n_ctx_train": 131_072, "n_ctx": 8192 } }), Some(8192));
        check(json!({ "meta": { "n_ctx_train": 131_072 } }), Some(131_072));
        check(json!({ "max_model_len": null, "meta": null }), None);
    }
}
