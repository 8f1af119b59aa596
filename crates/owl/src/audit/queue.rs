//! What waits to be written. Whoever records pushes and goes on; the writing thread takes it in batches.
//!
//! The queue is bounded in number, and each event in size, so that neither a slow disk nor a flood costs memory.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use owl_egress::audit::{Access, AuditEvent};

/// How many events make a batch worth writing at once.
pub(super) const BATCH: usize = 1_000;

/// The longest URL that is kept, in bytes.
const LONGEST_URL: usize = 2_048;

/// The longest of every other text that is kept, in bytes.
const LONGEST_TEXT: usize = 1_024;

/// The most addresses of a name that are kept.
const MOST_ADDRESSES: usize = 32;

/// The events that wait, and who waits for them.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    to_write: Condvar,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<AuditEvent>,
    flushes_asked: u64,
    flushes_answered: u64,
    written: bool,
    ended: bool,
    gone: bool,
}

impl Waiting {
    fn is_urgent(&self) -> bool {
        self.ended || self.flushes_asked > self.flushes_answered
    }
}

/// What the writing thread was woken for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The flush that is to be answered.
    pub(super) flush: u64,
    /// Whether this is the last time.
    pub(super) ended: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Mutex::default(), to_write: Condvar::new(), answered: Condvar::new() }
    }

    /// Takes an event, unless the queue is full. Ends of connections have room of their own: there are never more of
    /// them than of beginnings, and a flood of refusals must not leave connections without an end.
    pub(super) fn push(&self, mut event: AuditEvent) -> bool {
        let capacity = match &mut event {
            AuditEvent::Refused(access) | AuditEvent::Opened(access) => {
                clip(access);
                self.capacity
            }
            AuditEvent::Ended(_) => self.capacity * 2,
        };
        let mut waiting = self.lock();
        if waiting.events.len() >= capacity || waiting.ended {
            return false;
        }
        waiting.events.push_back(event);
        let wake = matches!(waiting.events.len(), 1 | BATCH);
        drop(waiting);
        if wake {
            self.to_write.notify_one();
        }
        true
    }

    /// Waits until there is something to do: a full batch, any event once it is `not_before`, somebody who asks, or
    /// the time `at_latest`. While the store fails, events alone are no reason.
    pub(super) fn wait(&self, not_before: Instant, at_latest: Instant, fails: bool) -> Asked {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let is_full = !fails && waiting.events.len() >= BATCH;
            let until = if fails || waiting.events.is_empty() { at_latest } else { not_before.min(at_latest) };
            if waiting.is_urgent() || is_full || now >= until {
                return Asked { flush: waiting.flushes_asked, ended: waiting.ended };
            }
            let woken = self.to_write.wait_timeout(waiting, until - now);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes as many events as one batch may hold.
    pub(super) fn take(&self) -> Vec<AuditEvent> {
        let mut waiting = self.lock();
        let count = waiting.events.len().min(BATCH);
        waiting.events.drain(..count).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().events.is_empty()
    }

    /// How many batches it takes to write what waits now.
    pub(super) fn batches(&self) -> usize {
        self.lock().events.len().div_ceil(BATCH)
    }

    /// Tells those who asked that a try has been made, and whether everything was written.
    pub(super) fn answer(&self, asked: Asked, written: bool) {
        let mut waiting = self.lock();
        if asked.flush > waiting.flushes_answered {
            waiting.flushes_answered = asked.flush;
            waiting.written = written;
        }
        waiting.gone |= asked.ended;
        drop(waiting);
        self.answered.notify_all();
    }

    /// Waits until everything that was pushed so far is written, or a try to write it has failed. Whether it is
    /// written.
    pub(super) fn flush(&self) -> bool {
        let mut waiting = self.lock();
        waiting.flushes_asked += 1;
        let ticket = waiting.flushes_asked;
        self.to_write.notify_one();
        while waiting.flushes_answered < ticket && !waiting.gone {
            waiting = self.answered.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.written
    }

    /// Takes no more events, and waits so long for the last ones to be written. Whether the writing thread is done.
    pub(super) fn end(&self, patience: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.ended = true;
        self.to_write.notify_one();
        let ended = self.answered.wait_timeout_while(waiting, patience, |waiting| !waiting.gone);
        waiting = ended.unwrap_or_else(PoisonError::into_inner).0;
        waiting.gone
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts what somebody else chose down to what is kept.
fn clip(access: &mut Access) {
    clip_text(&mut access.url, LONGEST_URL);
    clip_text(&mut access.host, LONGEST_TEXT);
    clip_text(&mut access.reason, LONGEST_TEXT);
    if access.addresses.len() > MOST_ADDRESSES {
        access.addresses.truncate(MOST_ADDRESSES);
        access.addresses.shrink_to_fit();
    }
}

fn clip_text(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        let check = |text: &str, longest: usize, expect: &str| {
            let mut text = text.to_owned();
            clip_text(&mut text, longest);
            assert_eq!(text, expect);
            assert!(text.len() <= longest);
        };
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abc…");
        check("äöüß", 6, "ä…");
        check("", 6, "");
    }
}
