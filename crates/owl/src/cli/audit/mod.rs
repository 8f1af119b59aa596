//! `owl audit`: reads what was remembered of refusals and of connections that are not public.
//!
//! It only reads, beside a server or without one.

mod show;
mod when;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::chat::end_of_output;
use super::chat::screen::note;
use super::config::BAD_CONFIGURATION;
use super::{failed, load_for_tools};
use crate::audit::{AuditFilter, AuditReader};
use crate::config::Overrides;
use crate::store::StoreError;
use show::Form;

/// How often `--follow` looks for new records.
const INTERVAL: Duration = Duration::from_millis(250);

/// How many records are read at once.
const PAGE: u32 = 500;

/// How many records are shown, and how many tallies.
const SHOWN: u64 = 100;

/// How many records `--follow` begins with.
const FOLLOWED: u64 = 10;

/// Shows refusals, and connections to addresses that are not public
#[derive(Debug, Args)]
#[command(after_help = "\
Without a filter the newest 100 records are shown, the oldest of them first. Times are in UTC.

Examples:
  owl audit --since 1h --denied
  owl audit --private --key alice
  owl audit --request req_0199f2a0c8b97c52a6d1a1b2c3d4e5f6
  owl audit --summary --since 7d
  owl audit --follow
  owl audit --since 2026-11-01 --until 2026-12-01 --limit 0 --json > november.jsonl")]
pub struct AuditCommand {
    /// Only what happened since: `30s`, `15m`, `1h`, `7d` ago, a day or a time (`2026-11-23T14:00:00Z`)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what happened before, written in the same ways
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only refusals
    #[arg(long)]
    denied: bool,
    /// Only where the address is not public
    #[arg(long)]
    private: bool,
    /// Only for the client key of this name
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Only for this request
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only by this part of Owl: `gateway`, `provider owl`, `tool web_fetch`
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Show so many of the newest records, 0 for all [default: 100, with --follow 10]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on with new records as they are written, until Ctrl-C; a connection is shown once, when it is first seen
    #[arg(long, conflicts_with_all = ["until", "summary"])]
    follow: bool,
    /// Count the records by verdict, rule and host instead, and those that were lost
    #[arg(long)]
    summary: bool,
    /// Print one JSON object a line, with all that is known
    #[arg(long)]
    json: bool,
    /// Read this file instead of the one that the configuration names
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    store: Option<PathBuf>,
    /// The configuration file [env: OWL_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why the command ends early.
enum Stop {
    /// The file cannot be read.
    Store(StoreError),
    /// The output cannot be written.
    Output(io::Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl AuditCommand {
    pub(super) async fn run(self) -> ExitCode {
        let filter = match self.filter(SystemTime::now()) {
            Ok(filter) => filter,
            Err(wrong) => {
                failed(&wrong);
                return ExitCode::from(BAD_CONFIGURATION);
            }
        };
        let path = match self.path() {
            Ok(Some(path)) => path,
            Ok(None) => {
                note("owl: nothing is recorded: the configuration has no store");
                return ExitCode::SUCCESS;
            }
            Err(code) => return code,
        };
        match self.show(&filter, &path).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(Stop::Output(error)) => end_of_output(&error),
            Err(Stop::Store(StoreError::Missing)) => {
                note(&format!("owl: nothing was recorded yet: there is no {}", path.display()));
                ExitCode::SUCCESS
            }
            Err(Stop::Store(error)) => failed(&format!("the store {} cannot be read: {error}", path.display())),
        }
    }

    fn filter(&self, now: SystemTime) -> Result<AuditFilter, String> {
        let time = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => when::parse(text, now).map(Some).ok_or_else(|| {
                format!(
                    "{flag}: {text:?} is no time: write how long ago (30s, 15m, 1h, 7d), a day (2026-11-23) or a time \
                     (2026-11-23T14:00:00Z)"
                )
            }),
        };
        Ok(AuditFilter {
            since: time("--since", &self.since)?,
            until: time("--until", &self.until)?,
            refused: self.denied,
            private: self.private,
            key: self.key.clone(),
            request: self.request.clone(),
            component: self.component.clone(),
        })
    }

    /// The file: the one that is named, or that of the configuration.
    fn path(&self) -> Result<Option<PathBuf>, ExitCode> {
        if let Some(path) = &self.store {
            return Ok(Some(path.clone()));
        }
        let overrides = Overrides { config: self.config.clone(), ..Overrides::default() };
        match load_for_tools(&overrides) {
            Ok(config) => Ok(config.store.path),
            Err(code) => {
                note("owl: to read a store without its configuration, name it: owl audit --store FILE");
                Err(code)
            }
        }
    }

    async fn show(&self, filter: &AuditFilter, path: &Path) -> Result<(), Stop> {
        let form = if self.json { Form::Json } else { Form::Table };
        let reader = loop {
            match AuditReader::open(path) {
                // Whoever follows may begin before the server does.
                Err(StoreError::Missing) if self.follow => tokio::time::sleep(INTERVAL).await,
                opened => break opened?,
            }
        };
        if self.summary {
            let count = match self.limit.unwrap_or(SHOWN) {
                0 => u64::MAX >> 1,
                count => count,
            };
            return Ok(show::summary(&reader.tally(filter, count)?, reader.lost(filter)?, form)?);
        }
        let last = reader.last()?;
        let (after, more) = match self.limit.unwrap_or(if self.follow { FOLLOWED } else { SHOWN }) {
            0 => (0, false),
            count => reader.newest(filter, count)?,
        };
        if form == Form::Table {
            show::head()?;
        }
        let shown = page(&reader, filter, after, form)?;
        if self.follow {
            return follow(reader, path, filter, last.max(shown), form).await;
        }
        if more && self.limit.is_none() {
            note(&format!("owl: these are the newest {SHOWN}; --limit 0 shows all"));
        }
        Ok(())
    }
}

/// Shows all wanted records behind the record with the number `after`; the number of the last one.
fn page(reader: &AuditReader, filter: &AuditFilter, mut after: i64, form: Form) -> Result<i64, Stop> {
    let mut out = anstream::stdout().lock();
    loop {
        let records = reader.after(filter, after, PAGE)?;
        for record in &records {
            show::record(&mut out, record, form)?;
            after = record.id;
        }
        if records.len() < PAGE as usize {
            out.flush()?;
            return Ok(after);
        }
    }
}

/// Shows what comes, until Ctrl-C ends the program or nobody reads any more. A record that was shown is not shown again
/// when its connection ends. When the file is replaced, it goes on with the first record of the new one.
async fn follow(
    mut reader: AuditReader,
    path: &Path,
    filter: &AuditFilter,
    mut after: i64,
    form: Form,
) -> Result<(), Stop> {
    let stopped = tokio::signal::ctrl_c();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        // Only numbers that were there before are skipped: what is written while the page is read comes with it.
        let last = reader.last()?;
        if last > after {
            after = last.max(page(&reader, filter, after, form)?);
        }
        if reader.is_gone() {
            match AuditReader::open(path) {
                Ok(opened) => (reader, after) = (opened, 0),
                Err(StoreError::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
