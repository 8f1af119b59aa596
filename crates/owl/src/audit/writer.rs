//! The thread that writes records into the store: off every request's path, in batches, and on whatever happens.
//!
//! When the store cannot be written (the disk is full, another program holds its lock, the folder is gone) it keeps its
//! batch and tries again; the queue behind it fills up, and what does not fit is counted as lost. It says so once when
//! that begins and once when it is over, and leaves a record of how many are missing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::batch::{Account, Batch, time};
use super::counters::{AuditCounters, AuditTotals};
use super::prune::{self, Bounds};
use super::queue::{Asked, Queue};
use super::{Options, RunName};
use crate::store::{Store, StoreError};

/// How long an event may wait for others to be written with it, when others were written just before.
const DELAY: Duration = Duration::from_millis(200);

/// How often losses are told while they go on.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// How often the oldest records are looked at.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// How long it waits before it tries again what has failed.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    queue: Arc<Queue>,
    counters: Arc<AuditCounters>,
    options: Options,
    run: RunName,
    started: SystemTime,
    store: Option<Store>,
    /// What was taken from the queue and is not written yet.
    pending: Batch,
    /// Why the last try has failed.
    failure: Option<String>,
    /// How many losses stand in the store.
    losses_told: u64,
    told_at: Option<Instant>,
    /// The counters as they stand in the store.
    totals: AuditTotals,
    prune_at: Instant,
    oversized: bool,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, counters: Arc<AuditCounters>, options: Options, run: RunName) -> Self {
        Self {
            queue,
            counters,
            options,
            run,
            started: SystemTime::now(),
            store: None,
            pending: Batch::default(),
            failure: None,
            losses_told: 0,
            told_at: None,
            totals: AuditTotals::default(),
            prune_at: Instant::now(),
            oversized: false,
        }
    }

    /// Writes until the queue has ended.
    pub(super) fn run(mut self) {
        let mut asked = Asked { flush: 0, ended: false };
        loop {
            let written = self.turn(asked.ended);
            let last_turn = Instant::now();
            if asked.ended && !written {
                self.give_up();
            }
            self.queue.answer(asked, written);
            if asked.ended {
                return;
            }
            let fails = self.failure.is_some();
            let at_latest = match () {
                () if fails => last_turn + RETRY,
                () if self.oversized => last_turn,
                () if self.untold() > 0 => self.prune_at.min(last_turn + LOSS_INTERVAL),
                () => self.prune_at,
            };
            asked = self.queue.wait(last_turn + DELAY, at_latest, fails);
        }
    }

    /// Writes what waits, and prunes. Whether all was written.
    fn turn(&mut self, ended: bool) -> bool {
        // Bounded, so that those who ask for a flush are answered in a flood, too.
        for _ in 0..=self.queue.batches() {
            if let Err(error) = self.write_one(ended) {
                self.failed(&error);
                return false;
            }
            self.recovered();
            if self.queue.is_empty() {
                break;
            }
        }
        true
    }

    /// Writes one batch and takes out one slice.
    fn write_one(&mut self, ended: bool) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            self.pending = Batch::new(self.queue.take());
        }
        self.open()?;
        let Some(store) = &mut self.store else { return Ok(()) };
        let mut totals = self.counters.snapshot();
        let lost = totals.lost - self.losses_told;
        let tell = ended || self.told_at.is_none_or(|at| at.elapsed() >= LOSS_INTERVAL) || self.queue.is_empty();
        let lost = if tell { lost } else { 0 };
        totals.written += self.pending.records();
        if !self.pending.is_empty() || lost > 0 || totals != self.totals || ended {
            let run = row_of(&store.connection, &self.run, self.started)?;
            let account = Account { run, lost, totals, ended: ended && self.queue.is_empty() };
            match self.pending.write(&mut store.connection, &account) {
                Err(error) if is_our_mistake(&error) => {
                    // It would fail for ever, and everything behind it, too.
                    tracing::error!("records could not be written into the store: {error}");
                    self.counters.count_lost(self.pending.records());
                }
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.counters.count_written(self.pending.records());
                    self.losses_told += lost;
                    self.totals = totals;
                    if lost > 0 {
                        self.told_at = Some(Instant::now());
                        tracing::warn!(target: "owl::audit", lost, "audit records were lost: they stand in the log only");
                    }
                }
            }
            self.pending = Batch::default();
        }
        if !ended {
            self.prune()?;
        }
        Ok(())
    }

    /// Opens the store, if it is not open or its file has gone.
    fn open(&mut self) -> Result<(), StoreError> {
        if self.store.as_ref().is_some_and(Store::is_gone) {
            tracing::warn!("the store {} was deleted or replaced: it is opened anew", self.options.path.display());
            self.store = None;
        }
        if self.store.is_none() {
            let store = Store::open(&self.options.path, self.options.patience)?;
            #[cfg(test)]
            store.connection.pragma_update(None, "max_page_count", self.options.most_pages)?;
            row_of(&store.connection, &self.run, self.started)?;
            self.store = Some(store);
        }
        Ok(())
    }

    fn prune(&mut self) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let bounds = Bounds { max_age: self.options.max_age, max_size: self.options.max_size };
        if Instant::now() >= self.prune_at && !prune::by_age(store, bounds, SystemTime::now())? {
            self.prune_at = Instant::now() + PRUNE_INTERVAL;
        }
        self.oversized = prune::by_size(store, bounds)?;
        Ok(())
    }

    fn untold(&self) -> u64 {
        self.counters.snapshot().lost - self.losses_told
    }

    /// Says once why the store cannot be written. The connection is closed: what is wrong may be its file.
    fn failed(&mut self, error: &StoreError) {
        let reason = error.to_string();
        if self.failure.as_ref() != Some(&reason) {
            tracing::warn!(
                "the store {} cannot be written: {reason}; audit records go to the log, and are kept while there is room",
                self.options.path.display()
            );
        }
        self.failure = Some(reason);
        self.oversized = false;
        self.store = None;
    }

    fn recovered(&mut self) {
        if self.failure.take().is_some() {
            tracing::info!("the store {} can be written again", self.options.path.display());
        }
    }

    /// The program ends and the store cannot be written: what waits is lost.
    fn give_up(&mut self) {
        let mut lost = std::mem::take(&mut self.pending).records();
        loop {
            let events = self.queue.take();
            if events.is_empty() {
                break;
            }
            lost += Batch::new(events).records();
        }
        self.counters.count_lost(lost);
    }
}

/// The row of this start in `runs`, made where there is none: whoever prunes takes out rows to which no record belongs any
/// more, this one's, too, when it has long had nothing to record.
fn row_of(connection: &Connection, run: &RunName, started: SystemTime) -> rusqlite::Result<i64> {
    let sql = "SELECT id FROM runs WHERE name = ?1";
    if let Some(row) = connection.query_row(sql, [run.as_str()], |row| row.get(0)).optional()? {
        return Ok(row);
    }
    connection.execute(
        "INSERT INTO runs (name, version, started_ms) VALUES (?1, ?2, ?3)",
        params![run.as_str(), env!("CARGO_PKG_VERSION"), time(started)],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Whether it is the batch that SQLite does not take, rather than the file or the disk.
fn is_our_mistake(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        None | Some(
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::ApiMisuse
        )
    )
}
