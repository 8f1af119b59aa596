//! What every step of one request knows: which request it is, who asks, since when.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use owl_egress::Caller;

/// The longest request id that is taken over from a client, in bytes.
const LONGEST_FOREIGN_ID: usize = 128;

/// The id that a request has in the answer, in the log and upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new id: `req_` and a UUIDv7 (RFC 9562) without hyphens, so that ids sort by time.
    pub fn generate() -> Self {
        Self(format!("req_{}", uuid::Uuid::now_v7().simple()).into())
    }

    /// The client's own id, if it is one that can stand in a log line: at most 128 visible ASCII characters.
    pub fn from_client(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let usable =
            !text.is_empty() && text.len() <= LONGEST_FOREIGN_ID && text.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody is told apart: there are no client keys, and Owl listens on loopback alone.
    Local,
    /// Nobody that Owl knows: no right key was shown.
    Stranger,
    /// The holder of the client key with this name.
    Key(Arc<str>),
}

impl Principal {
    /// The name for logs.
    pub fn name(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Stranger => "stranger",
            Self::Key(name) => name,
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub principal: Principal,
    /// When its head had arrived.
    pub started: Instant,
}

impl RequestContext {
    /// A context for work that Owl's own command line asks for.
    pub fn local() -> Self {
        Self { id: RequestId::generate(), principal: Principal::Local, started: Instant::now() }
    }

    /// On whose behalf Owl calls others, for the audit.
    pub fn caller(&self) -> Caller {
        let key = match &self.principal {
            Principal::Key(name) => Some(Arc::clone(name)),
            Principal::Local | Principal::Stranger => None,
        };
        Caller { request_id: Some(Arc::clone(&self.id.0)), key }
    }
}
