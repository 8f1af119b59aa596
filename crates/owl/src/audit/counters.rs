//! How much there was of everything. Counters are never lost, whatever happens to the records.

use std::sync::atomic::{AtomicU64, Ordering};

use owl_egress::address::Tier;
use owl_egress::audit::{Access, AuditEvent};

/// Counts what the guard tells, since the start.
#[derive(Debug, Default)]
pub struct AuditCounters {
    refused: AtomicU64,
    opened: AtomicU64,
    private: AtomicU64,
    exemptions: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditTotals {
    /// Refusals.
    pub refused: u64,
    /// Connections that were told about: to addresses that are not public, or by an exemption.
    pub opened: u64,
    /// Those of them to addresses that are not public.
    pub private: u64,
    /// Those of them that a key of the policy let through.
    pub exemptions: u64,
    /// Bytes that came over those that have ended.
    pub received: u64,
    /// Bytes that went over those that have ended.
    pub sent: u64,
    /// Records that stand in the store.
    pub written: u64,
    /// Records that do not, and never will.
    pub lost: u64,
}

impl AuditTotals {
    /// How many records there should be: once nothing waits any more, as many as were written or lost.
    pub fn recorded(&self) -> u64 {
        self.refused + self.opened
    }
}

impl AuditCounters {
    /// All counters. Each is right; together they may be a moment apart.
    pub fn snapshot(&self) -> AuditTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        // Written and lost are read first, so that they never seem to be more than what was recorded.
        let (written, lost) = (read(&self.written), read(&self.lost));
        AuditTotals {
            refused: read(&self.refused),
            opened: read(&self.opened),
            private: read(&self.private),
            exemptions: read(&self.exemptions),
            received: read(&self.received),
            sent: read(&self.sent),
            written,
            lost,
        }
    }

    pub(super) fn count(&self, event: &AuditEvent) {
        match event {
            AuditEvent::Refused(_) => add(&self.refused, 1),
            AuditEvent::Opened(access) => {
                add(&self.opened, 1);
                add(&self.private, u64::from(is_private(access)));
                add(&self.exemptions, u64::from(access.rule != "public"));
            }
            AuditEvent::Ended(end) => {
                add(&self.received, end.received);
                add(&self.sent, end.sent);
            }
        }
    }

    pub(super) fn count_written(&self, records: u64) {
        add(&self.written, records);
    }

    pub(super) fn count_lost(&self, records: u64) {
        add(&self.lost, records);
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::AcqRel);
}

fn is_private(access: &Access) -> bool {
    access.tier.is_some_and(|tier| tier != Tier::Public)
}
