//! What the guard tells about its decisions.
//!
//! Every refusal, every connection to an address that is not public and every use of an exemption becomes an
//! [`AuditEvent`]. Where they are kept is the business of an [`AuditSink`]; without one they are log lines.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::address::Tier;

/// Takes what the guard tells.
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Takes one event. It is called on the path of a request and must neither block nor fail.
    fn record(&self, event: AuditEvent);
}

/// On whose behalf a call is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The request that caused it; `None` for what Owl does by itself.
    pub request_id: Option<Arc<str>>,
    /// The name of the client's key.
    pub key: Option<Arc<str>>,
}

/// One access, from the beginning of its process unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessId(u64);

impl AccessId {
    /// The next one.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum AuditEvent {
    /// Nothing was connected to.
    Refused(Box<Access>),
    /// A connection was opened; [`AuditEvent::Ended`] follows.
    Opened(Box<Access>),
    /// A connection that was told as opened has ended.
    Ended(AccessEnd),
}

/// Who wanted to reach what, and what was decided.
#[derive(Clone, Debug)]
pub struct Access {
    /// Which one.
    pub id: AccessId,
    /// When it was decided.
    pub at: SystemTime,
    /// On whose behalf.
    pub caller: Caller,
    /// The part that asked: `provider owl`, `gateway`, `tool web_fetch`.
    pub component: Arc<str>,
    /// The policy in force, as its keys are written.
    pub policy: Arc<str>,
    /// The URL without credentials, its query only counted; empty for what is not a URL.
    pub url: String,
    /// The host; empty for what is not a URL.
    pub host: String,
    /// The port; 0 for what is not a URL.
    pub port: u16,
    /// The address that was connected to or refused; none where it was refused before there was one.
    pub addresses: Vec<IpAddr>,
    /// How far that address is from being public.
    pub tier: Option<Tier>,
    /// Its block and what that is in words.
    pub range: Option<String>,
    /// The rule that refused, or what opened it, in kebab case.
    pub rule: &'static str,
    /// The refusal in a sentence, with what would open it; empty when it was allowed.
    pub reason: String,
}

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessEnd {
    /// Which one.
    pub id: AccessId,
    /// Bytes that came over the connection, after TLS was taken off.
    pub received: u64,
    /// Bytes that went over it.
    pub sent: u64,
    /// From the connection's opening to its end.
    pub duration: Duration,
    /// The status of the last answer on it.
    pub status: Option<u16>,
}

/// Writes log lines (target `owl::audit`), and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

impl AuditSink for LogSink {
    fn record(&self, event: AuditEvent) {
        log(&event);
    }
}

/// The log line of an event.
pub fn log(event: &AuditEvent) {
    match event {
        AuditEvent::Refused(access) => tracing::warn!(
            target: "owl::audit",
            request_id = access.caller.request_id.as_deref(),
            key = access.caller.key.as_deref(),
            component = %access.component,
            url = access.url.as_str(),
            rule = access.rule,
            "refused by the egress policy: {}", access.reason
        ),
        AuditEvent::Opened(access) => tracing::info!(
            target: "owl::audit",
            request_id = access.caller.request_id.as_deref(),
            key = access.caller.key.as_deref(),
            component = %access.component,
            url = access.url.as_str(),
            address = access.addresses.first().map(tracing::field::display),
            range = access.range.as_deref(),
            opened_by = access.rule,
            "private address opened"
        ),
        AuditEvent::Ended(_) => {}
    }
}
