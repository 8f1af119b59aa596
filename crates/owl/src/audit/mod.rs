//! The audit log: remembers what the guard of `owl-egress` tells, and never holds it up.
//!
//! Each event becomes a log line at once, is counted at once, and waits in a bounded queue for the thread that writes
//! the store. Whatever happens to that thread or to its disk, recording neither blocks nor fails, and the counters are
//! right: once nothing waits, every record is either written or counted as lost.
//!
//! In reading order: `counters.rs`, `queue.rs` (what waits), `writer.rs` (the thread), `batch.rs` (the statements),
//! `prune.rs` (age and size), `read.rs` (what `owl audit` reads).

mod counters;

mod queue;

mod batch;
mod prune;
mod writer;

mod read;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use owl_egress::audit::{self, AuditEvent, AuditSink};

pub use self::counters::{AuditCounters, AuditTotals};
pub use self::read::{AuditFilter, AuditReader, AuditRecord, Tally, Verdict};

use self::queue::Queue;
use self::writer::Writer;
use crate::config::StoreConfig;

/// How many events may wait to be written: most of a second of a flood of refusals, some megabytes.
const MOST_WAITING: usize = 8_192;

/// How long the thread that writes waits for the lock of another program, each time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the last records may take at the end.
const LAST_RECORDS: Duration = Duration::from_secs(3);

/// Takes what the guard tells: for the log, the counters and the store.
#[derive(Debug)]
pub struct AuditLog {
    counters: Arc<AuditCounters>,
    queue: Option<Arc<Queue>>,
}

impl AuditLog {
    /// Starts the thread that writes, if there is a store. The file is opened by that thread: when that fails, it warns
    /// and tries again.
    pub fn start(store: &StoreConfig) -> AuditKeeper {
        let options = store.path.as_ref().map(|path| Options {
            path: path.clone(),
            max_age: store.max_age,
            max_size: store.max_size,
            most_waiting: MOST_WAITING,
            patience: PATIENCE,
            #[cfg(test)]
            most_pages: u32::MAX - 1,
        });
        Self::start_with(options)
    }

    fn start_with(options: Option<Options>) -> AuditKeeper {
        let counters = Arc::<AuditCounters>::default();
        let Some(options) = options else {
            return AuditKeeper { log: Arc::new(Self { counters, queue: None }), thread: None };
        };
        let queue = Arc::new(Queue::new(options.most_waiting));
        let writer = Writer::new(Arc::clone(&queue), Arc::clone(&counters), options, RunName::new());
        match std::thread::Builder::new().name("owl-audit".to_owned()).spawn(move || writer.run()) {
            Ok(thread) => AuditKeeper { log: Arc::new(Self { counters, queue: Some(queue) }), thread: Some(thread) },
            Err(error) => {
                tracing::warn!("audit records are not kept: no thread can be started for it: {error}");
                AuditKeeper { log: Arc::new(Self { counters, queue: None }), thread: None }
            }
        }
    }

    /// The counters since the start.
    pub fn counters(&self) -> &AuditCounters {
        &self.counters
    }

    /// Waits until everything that was recorded so far is written, or a try to write it has failed. Whether it is
    /// written; `false` without a store.
    pub fn flush(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.flush())
    }
}

impl AuditSink for AuditLog {
    fn record(&self, event: AuditEvent) {
        audit::log(&event);
        self.counters.count(&event);
        if let Some(queue) = &self.queue {
            let is_record = !matches!(event, AuditEvent::Ended(_));
            if !queue.push(event) && is_record {
                self.counters.count_lost(1);
            }
        }
    }
}

/// Owns the thread that writes. Dropping it writes what waits, within a bounded time, and ends it.
#[derive(Debug)]
pub struct AuditKeeper {
    log: Arc<AuditLog>,
    thread: Option<JoinHandle<()>>,
}

impl AuditKeeper {
    /// Where events go.
    pub fn log(&self) -> &Arc<AuditLog> {
        &self.log
    }

    /// The same for [`crate::config::EgressConfig::network`].
    pub fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::<AuditLog>::clone(&self.log)
    }
}

impl Drop for AuditKeeper {
    fn drop(&mut self) {
        if let (Some(queue), Some(thread)) = (&self.log.queue, self.thread.take()) {
            if queue.end(LAST_RECORDS) {
                let _ = thread.join();
            } else {
                tracing::warn!("the store did not take the last audit records in time");
            }
        }
        let AuditTotals { refused, opened, private, exemptions, received, sent, written, lost } =
            self.log.counters.snapshot();
        if refused + opened > 0 {
            tracing::info!(
                target: "owl::audit",
                refused, opened, private, exemptions, received, sent, written, lost,
                "audit totals"
            );
        }
    }
}

/// What the writing thread must know.
#[derive(Debug)]
struct Options {
    path: PathBuf,
    max_age: Duration,
    max_size: u64,
    most_waiting: usize,
    patience: Duration,
    /// A disk that gets full.
    #[cfg(test)]
    most_pages: u32,
}

/// The name of one start of Owl: a UUIDv7 (RFC 9562).
#[derive(Debug)]
struct RunName(String);

impl RunName {
    fn new() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}
