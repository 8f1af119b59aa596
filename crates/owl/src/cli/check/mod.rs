//! `owl check`: the doctor. It goes from Owl to a provider step by step and says what it sees, and what to do where it
//! cannot go on.
//!
//! It calls the upstream itself and not through Owl's server, so that it works before anything is started. Read
//! [`report`] (steps and how they are shown), `path.rs` (to the server), `listing.rs` (authentication and models),
//! `talk.rs` (chat and streaming), `abilities.rs` (what it can do), `compat.rs` (what it gets wrong), `call.rs` (one request).

mod abilities;
mod call;
mod compat;
mod listing;
mod path;
pub mod report;
mod talk;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use owl_egress::tls::TlsOptionsError;
use owl_egress::{Network, UpstreamClient};

use self::call::{Caller, Redactor};
use self::report::{Examination, ProviderReport, Report, Screen};
use super::config::BAD_CONFIGURATION;
use super::{FAILED, failed, load, say};
use crate::audit::AuditLog;
use crate::config::{Config, Overrides, ProviderConfig};

/// Finds out what is wrong between Owl and an inference server
#[derive(Debug, Args)]
#[command(
    long_about = "\
Finds out what is wrong between Owl and an inference server

Goes from Owl to each provider, step by step: name, addresses, policy, connection, TLS, authentication, models, a chat, \
streaming; then what the server can do: usage in streams, function calling, JSON schema, vision, which `compat` it needs, the \
Responses and Messages APIs, embeddings. Each step is \
one line with what was seen and, on failure, what to do. What a server merely cannot do is \"no\" and no failure.

Exit code: 0 no step failed, 1 a step failed, 2 the configuration or the usage is wrong.",
    after_help = "\
Examples:
  owl check                                 every provider of the configuration
  owl check gpu -m qwen3                    one provider, with this model
  owl check --json | jq '.providers[].steps[] | select(.status == \"failed\")'
  OWL_BASE_URL=http://192.168.7.20:8000 owl check --allow-private-network"
)]
pub struct CheckCommand {
    /// The provider's id; all of them without it
    provider: Option<String>,
    /// The model to try; the first one that is declared or listed without it
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// How long one answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    overrides: Overrides,
}

/// How far an examination goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// To the list of models: whether the server can be reached, and lets Owl in.
    Models,
    /// To the last step.
    Everything,
}

/// What an examination is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// How far it goes.
    pub depth: Depth,
    /// The model to try.
    pub model: Option<&'a str>,
    /// How long one answer may take.
    pub patience: Duration,
    /// Where its findings appear.
    pub screen: Screen,
}

impl CheckCommand {
    pub(super) async fn run(self) -> ExitCode {
        let config = match load(&self.overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let providers = match self.chosen(&config) {
            Ok(providers) => providers,
            Err(message) => {
                failed(&message);
                return ExitCode::from(BAD_CONFIGURATION);
            }
        };
        let wish = Wish {
            depth: Depth::Everything,
            model: self.model.as_deref(),
            patience: Duration::from_secs(self.timeout),
            screen: if self.json { Screen::Silent } else { Screen::detect() },
        };
        let mut reports = Vec::new();
        let audit = AuditLog::start(&config.store);
        let network = config.egress.network(audit.sink());
        for provider in providers {
            match examine(provider, &network, wish).await {
                Ok(report) => reports.push(report),
                Err(error) => {
                    failed(&format!("provider {}: {error}", provider.upstream.name));
                    return ExitCode::from(BAD_CONFIGURATION);
                }
            }
        }
        let report = Report { ok: reports.iter().all(ProviderReport::is_ok), providers: reports };
        if self.json && print_json(&report).is_err() {
            return ExitCode::from(FAILED);
        }
        if report.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    fn chosen<'a>(&self, config: &'a Config) -> Result<Vec<&'a ProviderConfig>, String> {
        let Some(id) = &self.provider else {
            return Ok(config.providers.iter().collect());
        };
        let found: Vec<&ProviderConfig> =
            config.providers.iter().filter(|provider| provider.upstream.name == *id).collect();
        if found.is_empty() {
            let known: Vec<&str> = config.providers.iter().map(|provider| provider.upstream.name.as_str()).collect();
            return Err(format!("no provider is named {id:?}; there are: {}", known.join(", ")));
        }
        Ok(found)
    }
}

fn print_json(report: &Report) -> std::io::Result<()> {
    say(&serde_json::to_string_pretty(report).map_err(std::io::Error::other)?)
}

/// Examines one provider, through `network`.
///
/// # Errors
/// A TLS file that cannot be used.
pub async fn examine(
    provider: &ProviderConfig,
    network: &Network,
    wish: Wish<'_>,
) -> Result<ProviderReport, TlsOptionsError> {
    let mut provider = provider.clone();
    provider.upstream.network = network.clone();
    let options = &provider.upstream;
    let client = UpstreamClient::new(options.clone())?;
    let mut exam = Examination::begin(&options.name, options.base_url.to_string(), wish.screen);
    go(&mut exam, &client, &provider, wish).await;
    Ok(match wish.depth {
        Depth::Models => exam.stop(),
        Depth::Everything => exam.finish(),
    })
}

/// The steps, as far as they lead.
async fn go(exam: &mut Examination, client: &UpstreamClient, provider: &ProviderConfig, wish: Wish<'_>) -> Option<()> {
    let options = &provider.upstream;
    path::walk(exam, client, options).await?;
    let redactor = Redactor::new(options).await;
    let caller = Caller { client, options, patience: wish.patience, redactor: &redactor };
    let subjects = listing::list(exam, &caller, provider, wish.model).await?;
    if wish.depth == Depth::Models {
        return Some(());
    }
    if talk::talk(exam, &caller, &subjects.chat).await.is_some() {
        abilities::of_chat(exam, &caller, &subjects.chat).await;
        compat::of_chat(exam, &caller, &subjects.chat).await;
    }
    abilities::of_embeddings(exam, &caller, &subjects.embeddings).await;
    Some(())
}
