//! A raw TCP server that misbehaves step by step: the nth connection plays the nth script, the last script serves all
//! further connections. It records what it reads and when each connection ended.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::conversation::Conversation;
use crate::event::{Closed, ClosedBy, ConnectionId, Event, Log, Request, Traffic};
use crate::http::listen;

/// One thing that the server does with a connection. After the last step it closes the connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read one HTTP/1.1 request, head and body, and record it. If the peer closes instead, the script ends.
    ReadRequest,
    /// Read this many bytes and throw them away: less than a request, for example.
    ReadBytes(usize),
    /// Write bytes.
    Send(Bytes),
    /// Write bytes so many times over: a body that nobody holds in memory.
    Repeat(Bytes, u64),
    /// Write bytes one by one, with a pause before each.
    Dribble(Bytes, Duration),
    /// Send nothing more, but leave the connection open for reading.
    HalfClose,
    /// End with a reset (RST) instead of an orderly close.
    Reset,
    /// End with an orderly close, now.
    Close,
    /// Do nothing more until the peer closes. What it sends is read and thrown away.
    Hang,
    /// Do nothing until the test opens the gate.
    Wait(Gate),
}

impl Step {
    /// Write text.
    #[must_use]
    pub fn send(text: &str) -> Self {
        Self::Send(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Write a complete `200 OK` with a JSON body; the connection may be kept.
    #[must_use]
    pub fn answer(json: &str) -> Self {
        let length = json.len();
        Self::send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ))
    }
}

/// Holds a script at a [`Step::Wait`] until the test opens it. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets every script through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        let mut receiver = self.0.subscribe();
        let _opened = receiver.wait_for(|open| *open).await;
    }
}

/// The server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    log: Arc<Log>,
    accepting: AbortHandle,
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FaultServer {
    /// Listens on a free loopback port. An empty script accepts and closes.
    ///
    /// # Panics
    /// Outside a tokio runtime, or without any script.
    pub fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: Vec<Vec<Step>> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a fault server needs a script");
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into());
        let address = listener.local_addr().expect("a bound socket has an address");
        let log = Arc::<Log>::default();
        let accepting = tokio::spawn(accept(listener, scripts, Arc::clone(&log))).abort_handle();
        Self { address, log, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happened.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The next request that this method has not yet returned.
    pub async fn next_request(&self) -> Request {
        self.log.next_request().await
    }

    /// Waits until a connection has ended, by either side.
    pub async fn closed(&self, connection: ConnectionId) -> Closed {
        self.log.closed(connection).await
    }

    /// Waits until this many connections have been accepted.
    pub async fn opened(&self, count: usize) {
        let opened = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Opened(..))).count();
        self.log.wait_for(|events| (opened(events) >= count).then_some(())).await;
    }
}

async fn accept(listener: TcpListener, scripts: Vec<Vec<Step>>, log: Arc<Log>) {
    let mut connections = JoinSet::new();
    let mut nth = 0;
    while let Ok((stream, _peer)) = listener.accept().await {
        let script = scripts[nth.min(scripts.len() - 1)].clone();
        nth += 1;
        let (id, traffic) = log.open();
        connections.spawn(play(stream, script, id, traffic, Arc::clone(&log)));
        while connections.try_join_next().is_some() {}
    }
}

async fn play(stream: TcpStream, script: Vec<Step>, id: ConnectionId, traffic: Arc<Traffic>, log: Arc<Log>) {
    let mut conversation = Conversation::new(stream, id, traffic, log);
    let by = conversation.play(script).await.unwrap_or(ClosedBy::Server);
    conversation.end(by);
}

#[cfg(test)]
mod tests {
    use super::{FaultServer, Gate, Step};
    use crate::client::Client;
    use crate::event::ClosedBy;

    #[tokio::test]
    async fn scripts_are_played_in_order_and_the_last_one_repeats() {
        let gate = Gate::new();
        let stale = vec![Step::ReadRequest, Step::answer("{}"), Step::Wait(gate.clone())];
        let server = FaultServer::start([stale, vec![]]);

        let mut first = Client::connect(server.address()).await.unwrap();
        first.request("POST", "/x?y=1", &[], b"body").await.unwrap();
        assert_eq!(first.response().await.unwrap().text(), "{}");
        let request = server.next_request().await;
        assert_eq!((request.path.as_str(), request.query.as_deref()), ("/x", Some("y=1")));
        assert_eq!(&request.body[..], b"body");
        gate.open();
        assert_eq!(first.rest().await.unwrap().len(), 0);
        assert_eq!(server.closed(request.connection).await.by, ClosedBy::Server);

        for _ in 0..2 {
            let mut next = Client::connect(server.address()).await.unwrap();
            assert_eq!(next.rest().await.unwrap().len(), 0);
        }
        server.opened(3).await;
    }

    #[tokio::test]
    async fn chunked_requests_are_read_and_a_reset_is_one() {
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send("HTTP/1.1 2"), Step::Reset]]);
        let mut client = Client::connect(server.address()).await.unwrap();
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).await.unwrap();
        assert_eq!(&server.next_request().await.body[..], b"abcde");
        assert_eq!(client.rest().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_peer_that_leaves_or_resets_is_noticed() {
        let server = FaultServer::start([vec![Step::ReadBytes(3), Step::HalfClose, Step::Hang]]);
        for is_reset in [false, true] {
            let mut client = Client::connect(server.address()).await.unwrap();
            client.send("GET / HTTP").await.unwrap();
            assert_eq!(client.rest().await.unwrap().len(), 0);
            if is_reset {
                client.reset().unwrap();
            } else {
                drop(client);
            }
            let closed = server.closed(crate::ConnectionId(u64::from(is_reset))).await;
            assert_eq!(closed.by, ClosedBy::Peer);
        }
    }
}
