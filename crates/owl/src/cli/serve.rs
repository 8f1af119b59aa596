//! `owl serve`: the gateway.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use tokio::signal::unix::{SignalKind, signal};

use super::doors::Doors;
use super::{FAILED, failed, load, log};
use crate::audit::AuditLog;
use crate::config::{Config, Overrides};
use crate::conversations::{ConversationOptions, Conversations};
use crate::gateway::Gateway;
use crate::server::Server;

/// Runs the gateway until it is told to stop (SIGTERM, Ctrl-C)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl serve --config owl.json5
  OWL_BASE_URL=https://llm.corp.example OWL_API_KEY=sk-1 owl serve
  owl serve --base-url http://192.168.7.20:8000 --allow-private-network
  owl serve --listen 0.0.0.0:6950 --gateway-key \"$KEY\"")]
pub struct ServeCommand {
    #[command(flatten)]
    overrides: Overrides,
}

impl ServeCommand {
    pub(super) async fn run(self) -> ExitCode {
        let config = match load(&self.overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let _flush_at_end = log::start(&config.log);
        serve(config).await
    }
}

async fn serve(config: Config) -> ExitCode {
    // Dropped last, when nothing is left that could record: it writes what waits.
    let audit = AuditLog::start(&config.store);
    if config.store.path.is_none() {
        tracing::info!("no store: refusals and private connections are told in the log and kept nowhere");
    }
    let network = config.egress.network(audit.sink());
    let Config { gateway: door, providers, tools, .. } = config;
    let (media, rules) = (door.media.clone(), door.rules.clone());
    let built = Gateway::new(providers, &network)
        .and_then(|gateway| gateway.with_media(media, rules, &network))
        .and_then(|gateway| gateway.with_tools(tools, &network));
    let conversations = ConversationOptions {
        path: config.store.path.clone(),
        max_age: config.store.responses_max_age,
        // The audit log's records have the other half.
        max_size: config
            .store
            .path
            .as_ref()
            .map_or(ConversationOptions::default().max_size, |_| config.store.max_size / 2),
    };
    let built =
        built.map(|gateway| gateway.with_auto_tools(&door.keys).with_conversations(Conversations::new(conversations)));
    let gateway = match built {
        Ok(gateway) => Arc::new(gateway),
        Err(error) => return failed(&error.to_string()),
    };
    if let Err(refused) = gateway.admit().await {
        for error in refused {
            failed(&error.to_string());
        }
        return ExitCode::from(FAILED);
    }
    let server = match Server::bind(Arc::clone(&gateway), door).await {
        Ok(server) => server,
        Err(error) => return failed(&error.to_string()),
    };
    let stopped = asked_to_stop(1);
    tracing::info!("listening on {}", server.origin());
    let mut refreshing = gateway.keep_fresh();
    let ended = run_until_stopped(Doors::new(server, &gateway), stopped).await;
    // The last that hold the gateway: with it end its idle connections, of which the audit wants to know.
    refreshing.shutdown().await;
    drop(gateway);
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(reason) => failed(reason),
    }
}

/// Serves until the process is asked to stop, and lets the open requests finish; asked a second time, it ends at once.
///
/// # Errors
/// It was asked a second time.
pub(super) async fn run_until_stopped(doors: Doors, stopped: impl Future<Output = ()>) -> Result<(), &'static str> {
    let hurried = asked_to_stop(2);
    tokio::select! {
        () = doors.run(stopped) => Ok(()),
        () = hurried => Err("told to stop a second time: the open requests were broken off"),
    }
}

/// Ready when the process has been asked so many times to stop (SIGTERM, Ctrl-C, a terminal that closes). The signals are caught from this call
/// on, not only once it is awaited.
pub(super) fn asked_to_stop(times: usize) -> impl Future<Output = ()> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    async move {
        let streams = signals.into_iter().flatten().map(|signal| {
            futures_util::stream::unfold(signal, |mut signal| async move { signal.recv().await.map(|()| ((), signal)) })
                .boxed()
        });
        let mut asked = select_all(streams);
        for _ in 0..times {
            if asked.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }
}
