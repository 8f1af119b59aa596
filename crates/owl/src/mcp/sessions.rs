//! Whose a session is, how many there may be, and when one ends.
//!
//! A session holds nothing but the SDK's own state, so ending one costs its client an `initialize`. One that nobody used for
//! [`IDLE`] ends; and where there are [`MOST`], the one that was used longest ago makes room for a new one, unless a client is
//! reading from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

use crate::context::Principal;

/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How many sessions there may be at once.
pub(super) const MOST: usize = 1000;

/// The sessions: the SDK's, and what Owl knows of each.
#[derive(Debug)]
pub(super) struct Sessions {
    inner: LocalSessionManager,
    known: Mutex<HashMap<SessionId, Session>>,
}

#[derive(Debug)]
struct Session {
    owner: Principal,
    used: Instant,
    /// Held by everyone who handles a request of this session or reads an answer.
    users: Arc<()>,
}

/// Somebody uses the session.
pub(super) type InUse = Arc<()>;

impl Sessions {
    pub(super) fn new() -> Self {
        let mut inner = LocalSessionManager::default();
        inner.session_config.keep_alive = Some(IDLE);
        // Without a first event that has an id, no client takes a broken answer up again: its call is dropped.
        inner.session_config.sse_retry = None;
        Self { inner, known: Mutex::default() }
    }

    /// Uses a session, if it is this principal's. Another's is no different from none at all.
    pub(super) fn use_of(&self, id: &str, principal: &Principal) -> Option<InUse> {
        let mut known = self.known();
        let session = known.get_mut(id).filter(|session| session.owner == *principal)?;
        session.used = Instant::now();
        Some(Arc::clone(&session.users))
    }

    /// Keeps a session that was just opened.
    pub(super) fn keep(&self, id: SessionId, owner: Principal) -> InUse {
        let users = InUse::default();
        self.known().insert(id, Session { owner, used: Instant::now(), users: Arc::clone(&users) });
        users
    }

    /// Makes room for one more session.
    ///
    /// # Errors
    /// All of them are in use.
    pub(super) async fn make_room(&self) -> Result<(), Full> {
        let oldest = {
            let open = self.inner.sessions.read().await;
            let mut known = self.known();
            // One that ended before it was kept.
            known.retain(|id, _| open.contains_key(id));
            if known.len() < MOST {
                return Ok(());
            }
            let idle = known.iter().filter(|(_, session)| Arc::strong_count(&session.users) == 1);
            idle.min_by_key(|(_, session)| session.used).map(|(id, _)| Arc::clone(id)).ok_or(Full)?
        };
        // Whether it ended this way or another does not matter.
        let _ = self.close_session(&oldest).await;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There are [`MOST`] sessions, and all are in use.
#[derive(Debug)]
pub(super) struct Full;

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.inner.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.known().remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.resume(id, last_event_id).await
    }
}
