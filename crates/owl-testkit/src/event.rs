//! What a fake saw, in order, and how a test waits for it.
//!
//! The log is a `watch` channel over the list itself: a waiter looks at everything that has happened and is woken by
//! whatever happens next, so nothing can be missed between looking and waiting.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{mpsc, watch};

/// Numbers the connections of one server, from 0, in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened at a server.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection was accepted (TLS, if any, has not been spoken yet).
    Opened(ConnectionId, Instant),
    /// The TLS handshake failed; the connection is over.
    HandshakeFailed(ConnectionId, String),
    /// A request has arrived whole.
    Request(Box<Request>),
    /// A connection ended.
    Closed(Closed),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The connection that it came on.
    pub connection: ConnectionId,
    /// When its last byte was read.
    pub at: Instant,
    /// GET, POST, …
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// What followed the `?`.
    pub query: Option<String>,
    /// All headers, in order.
    pub headers: HeaderMap,
    /// The very bytes of the body.
    pub body: Bytes,
    /// Set if the connection is TLS.
    pub tls: Option<TlsFacts>,
}

impl Request {
    /// A header as text; `None` if it is absent or not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// The body read as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the client's side of a TLS handshake said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name that was asked for (SNI); absent for an address.
    pub server_name: Option<String>,
    /// Whether a client certificate was shown.
    pub client_certificate: bool,
}

impl TlsFacts {
    /// What a handshake that has ended said.
    pub(crate) fn of(session: &rustls::ServerConnection) -> Self {
        Self {
            server_name: session.server_name().map(str::to_owned),
            client_certificate: session.peer_certificates().is_some(),
        }
    }
}

/// The end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Which one.
    pub connection: ConnectionId,
    /// When it was noticed.
    pub at: Instant,
    /// Whose doing it was.
    pub by: ClosedBy,
    /// Bytes read (inside TLS).
    pub received: u64,
    /// Bytes written (inside TLS).
    pub sent: u64,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The other side closed or reset it.
    Peer,
    /// This server did.
    Server,
}

/// The bytes of one connection, counted as they pass.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    pub(crate) fn add_received(&self, count: usize) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The list of what happened. Kept by a server, read by tests.
#[derive(Debug)]
pub struct Log {
    events: watch::Sender<Vec<Event>>,
    traffic: Mutex<Vec<Arc<Traffic>>>,
    handed_out: tokio::sync::Mutex<usize>,
    sink: Option<mpsc::UnboundedSender<Event>>,
    remember: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self::new(None, true)
    }
}

impl Log {
    /// A log that also passes events on to `sink`, and forgets them at once unless it should `remember`.
    #[must_use]
    pub fn new(sink: Option<mpsc::UnboundedSender<Event>>, remember: bool) -> Self {
        let events = watch::Sender::new(Vec::new());
        Self { events, traffic: Mutex::default(), handed_out: tokio::sync::Mutex::new(0), sink, remember }
    }

    /// Adds an event and wakes those who wait.
    pub fn record(&self, event: Event) {
        if let Some(sink) = &self.sink {
            let _nobody_listens_any_more = sink.send(event.clone());
        }
        if self.remember {
            self.events.send_modify(|events| events.push(event));
        }
    }

    /// Starts the books of the next connection.
    pub(crate) fn open(&self) -> (ConnectionId, Arc<Traffic>) {
        let traffic = Arc::new(Traffic::default());
        let mut all = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = ConnectionId(all.len() as u64);
        all.push(Arc::clone(&traffic));
        drop(all);
        self.record(Event::Opened(connection, Instant::now()));
        (connection, traffic)
    }

    /// How many bytes the server could write to a connection so far (inside TLS): shows backpressure.
    #[must_use]
    pub fn sent(&self, connection: ConnectionId) -> u64 {
        let all = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(connection.0).ok().and_then(|nth| all.get(nth)).map_or(0, |traffic| traffic.sent())
    }

    /// Everything so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// The requests so far, handed out or not.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.events.borrow().iter().filter_map(as_request).cloned().collect()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.events.borrow().iter().filter(|event| matches!(event, Event::Opened(..))).count()
    }

    /// Waits until `find` finds something; it is shown all events, again after each new one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn wait_for<T>(&self, find: impl Fn(&[Event]) -> Option<T>) -> T {
        let mut receiver = self.events.subscribe();
        loop {
            if let Some(found) = find(&receiver.borrow_and_update()) {
                return found;
            }
            receiver.changed().await.expect("the sender lives as long as self");
        }
    }

    /// The next request that this method has not yet returned.
    ///
    /// # Cancel safety
    /// A request is only counted as handed out when it is returned.
    pub async fn next_request(&self) -> Request {
        let mut handed_out = self.handed_out.lock().await;
        let nth = *handed_out;
        let request = self.wait_for(|events| events.iter().filter_map(as_request).nth(nth).cloned()).await;
        *handed_out += 1;
        request
    }

    /// Waits for the end of a connection.
    pub async fn closed(&self, connection: ConnectionId) -> Closed {
        self.wait_for(|events| events.iter().find_map(|event| as_closed(event, connection))).await
    }
}

fn as_request(event: &Event) -> Option<&Request> {
    match event {
        Event::Request(request) => Some(request),
        Event::Opened(..) | Event::HandshakeFailed(..) | Event::Closed(_) => None,
    }
}

fn as_closed(event: &Event, connection: ConnectionId) -> Option<Closed> {
    match event {
        Event::Closed(closed) if closed.connection == connection => Some(*closed),
        Event::Closed(_) | Event::Opened(..) | Event::HandshakeFailed(..) | Event::Request(_) => None,
    }
}
