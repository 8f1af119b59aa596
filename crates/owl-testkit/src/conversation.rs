//! One connection of a fake that reads requests by itself and plays [`Step`]s: no HTTP library stands between the test
//! and the bytes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::event::{Closed, ClosedBy, ConnectionId, Event, Log, Request, TlsFacts, Traffic};
use crate::fault::Step;

enum Next {
    Go,
    Over,
    PeerLeft,
}

/// A stream over a TCP connection.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// The connection itself.
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// One connection: what was read and not yet used, and the books.
pub(crate) struct Conversation<S> {
    stream: S,
    unread: BytesMut,
    tls: Option<TlsFacts>,
    id: ConnectionId,
    traffic: Arc<Traffic>,
    log: Arc<Log>,
}

impl<S: Socket> Conversation<S> {
    pub(crate) fn new(stream: S, id: ConnectionId, traffic: Arc<Traffic>, log: Arc<Log>) -> Self {
        Self { stream, unread: BytesMut::new(), tls: None, id, traffic, log }
    }

    /// What every request of this connection says of its TLS.
    pub(crate) fn with_tls(mut self, facts: TlsFacts) -> Self {
        self.tls = Some(facts);
        self
    }

    /// Plays steps. `None`: all of them, and the connection is still there; otherwise who ended it.
    pub(crate) async fn play(&mut self, script: Vec<Step>) -> Option<ClosedBy> {
        for step in script {
            match self.take(step).await {
                Ok(Next::Go) => {}
                Ok(Next::Over) => return Some(ClosedBy::Server),
                Ok(Next::PeerLeft) | Err(_) => return Some(ClosedBy::Peer),
            }
        }
        None
    }

    /// The next request, recorded; `None` if the peer left instead.
    pub(crate) async fn next_request(&mut self) -> Option<Request> {
        let request = self.read_request().await.ok()??;
        self.log.record(Event::Request(Box::new(request.clone())));
        Some(request)
    }

    /// Closes the connection and records its end.
    pub(crate) fn end(self, by: ClosedBy) {
        let Self { stream, traffic, log, id, .. } = self;
        drop(stream);
        let (received, sent) = (traffic.received(), traffic.sent());
        log.record(Event::Closed(Closed { connection: id, at: Instant::now(), by, received, sent }));
    }

    /// Passes bytes both ways until both sides have ended.
    pub(crate) async fn tunnel(&mut self, other: &mut TcpStream) -> io::Result<()> {
        other.write_all(&self.unread.split()).await?;
        let (received, sent) = tokio::io::copy_bidirectional(&mut self.stream, other).await?;
        self.traffic.add_received(usize::try_from(received).unwrap_or(usize::MAX));
        self.traffic.add_sent(usize::try_from(sent).unwrap_or(usize::MAX));
        Ok(())
    }

    async fn take(&mut self, step: Step) -> io::Result<Next> {
        match step {
            Step::ReadRequest => {
                if self.next_request().await.is_none() {
                    return Ok(Next::PeerLeft);
                }
            }
            Step::ReadBytes(count) => {
                if !self.fill_to(count).await? {
                    return Ok(Next::PeerLeft);
                }
                let _thrown_away = self.unread.split_to(count);
            }
            Step::Send(bytes) => self.send(&bytes).await?,
            Step::Repeat(bytes, count) => {
                for _ in 0..count {
                    self.send(&bytes).await?;
                }
            }
            Step::Dribble(bytes, pause) => {
                for byte in bytes.chunks(1) {
                    tokio::time::sleep(pause).await;
                    self.send(byte).await?;
                }
            }
            Step::HalfClose => self.stream.shutdown().await?,
            Step::Reset => {
                socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO))?;
                return Ok(Next::Over);
            }
            Step::Close => return Ok(Next::Over),
            Step::Hang => {
                while self.fill().await? {
                    self.unread.clear();
                }
                return Ok(Next::PeerLeft);
            }
            Step::Wait(gate) => gate.pass().await,
        }
        Ok(Next::Go)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.traffic.add_sent(bytes.len());
        Ok(())
    }

    async fn read_request(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.read_until(b"\r\n\r\n").await? else { return Ok(None) };
        let (method, target, headers) = parse_head(&head);
        let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
        let body = if is_chunked {
            self.read_chunks().await?
        } else {
            let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
            if self.fill_to(length).await? { Some(self.unread.split_to(length).freeze()) } else { None }
        };
        let Some(body) = body else { return Ok(None) };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        let at = Instant::now();
        Ok(Some(Request { connection: self.id, at, method, path, query, headers, body, tls: self.tls.clone() }))
    }

    async fn read_chunks(&mut self) -> io::Result<Option<Bytes>> {
        let mut body = BytesMut::new();
        loop {
            let Some(line) = self.read_until(b"\r\n").await? else { return Ok(None) };
            let length = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap_or(0);
            if !self.fill_to(length + 2).await? {
                return Ok(None);
            }
            body.extend_from_slice(&self.unread.split_to(length + 2)[..length]);
            if length == 0 {
                return Ok(Some(body.freeze()));
            }
        }
    }

    async fn read_until(&mut self, end: &[u8]) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.unread.split_to(at + end.len())));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    async fn fill_to(&mut self, length: usize) -> io::Result<bool> {
        while self.unread.len() < length {
            if !self.fill().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn fill(&mut self) -> io::Result<bool> {
        let count = self.stream.read_buf(&mut self.unread).await?;
        self.traffic.add_received(count);
        Ok(count > 0)
    }
}

fn parse_head(head: &[u8]) -> (String, String, HeaderMap) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
        })
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
    (first.next().unwrap_or_default(), first.next().unwrap_or_default(), headers)
}
