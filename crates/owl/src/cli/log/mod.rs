//! Where log lines go: standard error, as text on a terminal and as JSON otherwise.
//!
//! Lines are collected and written together by a thread of their own, at most [`DELAY`] later: a request never waits for
//! a slow reader of the log, and a busy gateway does not wake a thread for every line. When the reader falls too far
//! behind, lines are dropped, and how many is said as soon as there is room.

mod json;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};
use json::JsonLines;

/// How long a line may wait for others to be written with it.
const DELAY: Duration = Duration::from_millis(20);

/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How many bytes of lines may wait for a slow reader.
const MOST_WAITING: usize = 8 * 1024 * 1024;

/// Starts logging; the lines that still wait are written when the guard is dropped.
pub(crate) fn start(config: &LogConfig) -> Flush {
    let lines = Lines::default();
    let flush = Flush::start(lines.clone());
    let as_text = match config.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let filter = filter(config.level);
    if as_text {
        let text = tracing_subscriber::fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(lines);
        tracing_subscriber::registry().with(text.with_filter(filter)).init();
    } else {
        let json = tracing_subscriber::fmt::layer().event_format(JsonLines).with_ansi(false).with_writer(lines);
        tracing_subscriber::registry().with(json.with_filter(filter)).init();
    }
    flush
}

/// Owl's own lines from `level` on; of the libraries only what went wrong.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        // It warns of its clients' mistakes, which are answered.
        .with_target("rmcp", LevelFilter::ERROR)
        .with_target("owl", level)
        .with_target("owl_egress", level)
}

/// The lines that wait to be written.
#[derive(Clone, Default)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    not_empty: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

impl Write for &Lines {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > MOST_WAITING {
            waiting.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.not_empty.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Owns the writing thread; dropping it writes what waits and ends it.
pub(crate) struct Flush {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Flush {
    fn start(lines: Lines) -> Self {
        let writing = lines.clone();
        let thread = std::thread::Builder::new().name("owl-log".to_owned()).spawn(move || write_out(&writing.0));
        Self { lines, thread: thread.ok() }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.lines.0.lock().ended = true;
        self.lines.0.not_empty.notify_one();
        // A reader that takes nothing any more does not keep the program from ending.
        let patience = Instant::now() + LAST_LINES;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn write_out(shared: &Shared) {
    let mut batch = Vec::new();
    loop {
        let waiting = shared.not_empty.wait_while(shared.lock(), |waiting| waiting.bytes.is_empty() && !waiting.ended);
        let ended = waiting.map_or(true, |waiting| waiting.ended);
        if !ended {
            std::thread::sleep(DELAY);
        }
        let mut waiting = shared.lock();
        std::mem::swap(&mut batch, &mut waiting.bytes);
        let dropped = std::mem::take(&mut waiting.dropped);
        drop(waiting);
        let mut err = io::stderr().lock();
        // Nobody reads the log any more: there is nobody to tell.
        let _ = err.write_all(&batch);
        if dropped > 0 {
            let _ = writeln!(err, "owl: {dropped} log lines were dropped: the reader of the log is too slow");
        }
        batch.clear();
        if ended {
            return;
        }
    }
}
