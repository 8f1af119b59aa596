//! What all clients of one program share: who resolves names, through which proxy connections go, how often, and who is told.

use std::sync::Arc;

use crate::audit::{AuditSink, LogSink};
use crate::proxy::Proxy;
use crate::rate::RateLimiter;
use crate::resolve::Resolver;

/// The surroundings of a client. Cloning it is cheap, and clones share everything.
#[derive(Clone, Debug)]
pub struct Network {
    /// Who resolves names.
    pub resolver: Resolver,
    /// The proxy that every connection goes through; `None`: none does.
    pub proxy: Option<Arc<Proxy>>,
    /// How often a destination is asked by what a model, a page or a client chose; `None`: as often as it likes.
    pub rates: Option<Arc<RateLimiter>>,
    /// Who is told of refusals and of what was opened.
    pub audit: Arc<dyn AuditSink>,
    /// Opens the sockets, in tests.
    #[cfg(test)]
    pub(crate) dialer: Option<Arc<dyn crate::dial::Dial>>,
}

impl Default for Network {
    /// The system's resolver, no proxy, no limits, log lines.
    fn default() -> Self {
        Self {
            resolver: Resolver::default(),
            proxy: None,
            rates: None,
            audit: Arc::new(LogSink),
            #[cfg(test)]
            dialer: None,
        }
    }
}
