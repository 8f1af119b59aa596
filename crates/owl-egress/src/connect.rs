//! How a connection is made: resolve, judge every address, connect to exactly a judged address, compare the peer, then
//! TLS by name.
//!
//! The judgement stands here, in the innermost place, because only here are literals, names, ports and the peer all seen
//! before a socket opens. No proxy variable of the environment is read anywhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::address::Tier;
use crate::error::{EgressError, Waiting};
use crate::policy::{EgressPolicy, Opened};
use crate::resolve::resolve;
use crate::target::TargetUrl;
use crate::tls::{TlsProfile, TlsReport};

/// How long one address has before the next is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// TCP keep-alive: a peer that vanished without a word is noticed, however long a healthy one thinks.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Makes connections to one target under one policy.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) owner: String,
    pub(crate) target: TargetUrl,
    pub(crate) policy: EgressPolicy,
    pub(crate) tls: Option<TlsProfile>,
    pub(crate) timeout: Duration,
    pub(crate) lookups: Arc<Semaphore>,
}

/// A connection to a judged address.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsReport>,
}

impl Connector {
    /// Judges the target and every address it has now; connects to nothing.
    ///
    /// # Errors
    /// [`EgressError::Denied`] when the target or *any* of its addresses is refused, [`EgressError::Resolve`] when the
    /// name has none, [`EgressError::Timeout`] when DNS takes longer than the time to connect.
    pub(crate) async fn judge(&self) -> Result<Vec<Opened>, EgressError> {
        let addresses = self.resolve().await?;
        Ok(self.policy.judge_addresses(&self.target, &addresses)?)
    }

    /// The addresses that the target has now, not judged; its name is, before DNS is asked for it.
    pub(crate) async fn resolve(&self) -> Result<Vec<IpAddr>, EgressError> {
        self.addresses(Instant::now() + self.timeout).await
    }

    /// Opens a TCP connection to a judged address and closes it.
    pub(crate) async fn reach(&self) -> Result<SocketAddr, EgressError> {
        self.open(Instant::now() + self.timeout).await.map(|(_, peer)| peer)
    }

    /// Opens a connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever it had opened.
    pub(crate) async fn connect(&self) -> Result<Connected, EgressError> {
        let deadline = Instant::now() + self.timeout;
        let (tcp, peer) = self.open(deadline).await?;
        let Some(tls) = &self.tls else {
            return Ok(Connected { stream: Stream::new(Transport::Plain(tcp)), peer, tls: None });
        };
        let name = tls.name_for(&self.target).map_err(EgressError::TlsOptions)?;
        #[expect(clippy::disallowed_types, reason = "this is the one place that speaks TLS outwards")]
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
        let handshake = self.in_time(deadline, Waiting::Handshake, connector.connect(name, tcp)).await?;
        let stream = handshake.map_err(|error| self.handshake_error(tls, &error))?;
        let report = TlsReport::read(stream.get_ref().1);
        Ok(Connected { stream: Stream::new(Transport::Tls(Box::new(stream))), peer, tls: report })
    }

    /// Opens a TCP connection to a judged address.
    async fn open(&self, deadline: Instant) -> Result<(TcpStream, SocketAddr), EgressError> {
        let addresses = self.addresses(deadline).await.inspect_err(|error| self.audit_refusal(error))?;
        let judged = self.policy.judge_addresses(&self.target, &addresses).map_err(EgressError::from);
        let opened = judged.inspect_err(|error| self.audit_refusal(error))?;
        let (tcp, opened) = self.in_time(deadline, Waiting::Connect, self.race(&opened)).await??;
        let peer = SocketAddr::new(opened.connect_to, self.target.port());
        self.audit(peer, &opened);
        Ok((tcp, peer))
    }

    /// The addresses of the target, whose name is judged before DNS is asked for it.
    async fn addresses(&self, deadline: Instant) -> Result<Vec<IpAddr>, EgressError> {
        self.policy.judge_operator_target(&self.target)?;
        let found = self.in_time(deadline, Waiting::Resolve, resolve(&self.target, &self.lookups)).await?;
        found.map_err(|source| EgressError::Resolve { host: self.host(), source })
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        waiting: Waiting,
        step: impl Future<Output = T>,
    ) -> Result<T, EgressError> {
        let timed_out = |_| EgressError::Timeout { waiting, after: self.timeout };
        tokio::time::timeout_at(deadline, step).await.map_err(timed_out)
    }

    /// Tries the judged addresses, the next one beside the last after [`ATTEMPT_DELAY`] or as soon as one fails.
    async fn race(&self, opened: &[Opened]) -> Result<(TcpStream, Opened), EgressError> {
        let mut untried = alternate_families(opened).into_iter();
        let mut running = FuturesUnordered::new();
        let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        loop {
            match untried.next() {
                Some(next) => running.push(self.dial(next)),
                None if running.is_empty() => return Err(self.connect_error(last_error)),
                None => {}
            }
            let more = untried.len() > 0;
            tokio::select! {
                Some(result) = running.next() => match result {
                    Ok(connected) => return Ok(connected),
                    Err(error) => last_error = error,
                },
                () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
            }
        }
    }

    async fn dial(&self, opened: Opened) -> io::Result<(TcpStream, Opened)> {
        let address = SocketAddr::new(opened.connect_to, self.target.port());
        #[expect(clippy::disallowed_methods, reason = "this is the one place that opens outbound sockets")]
        let stream = TcpStream::connect(address).await?;
        let peer = stream.peer_addr()?;
        if peer != address {
            return Err(io::Error::other(format!("connected to {peer} instead of the judged {address}")));
        }
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok((stream, opened))
    }

    /// Every connection to an address that is not public leaves a record.
    fn audit(&self, peer: SocketAddr, opened: &Opened) {
        if opened.class.tier != Tier::Public {
            tracing::info!(
                target: "owl::audit",
                provider = %self.owner,
                origin = %self.target.origin(),
                address = %peer,
                range = %opened.class,
                opened_by = opened.by.name(),
                "private address opened"
            );
        }
    }

    /// Every refusal leaves a record too, with what a client is not told: the address and what would open it.
    fn audit_refusal(&self, error: &EgressError) {
        if let EgressError::Denied(denied) = error {
            tracing::warn!(
                target: "owl::audit",
                provider = %self.owner,
                origin = %self.target.origin(),
                rule = denied.rule,
                "connection refused by the egress policy: {denied}"
            );
        }
    }

    fn host(&self) -> String {
        self.target.host().to_string()
    }

    fn connect_error(&self, source: io::Error) -> EgressError {
        EgressError::Connect { origin: self.target.origin(), source }
    }

    fn handshake_error(&self, tls: &TlsProfile, error: &io::Error) -> EgressError {
        let reason = tls.explain(error).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => "the server closed the connection in the handshake".to_owned(),
            _ => error.to_string(),
        });
        EgressError::Tls { origin: self.target.origin(), reason }
    }
}

/// IPv6 and IPv4 in turn, beginning with the resolver's first (RFC 8305, section 4).
fn alternate_families(opened: &[Opened]) -> Vec<Opened> {
    let first_is_v6 = opened.first().is_some_and(|first| first.connect_to.is_ipv6());
    let (same, other): (Vec<Opened>, Vec<Opened>) =
        opened.iter().copied().partition(|one| one.connect_to.is_ipv6() == first_is_v6);
    let longest = same.len().max(other.len());
    (0..longest).flat_map(|at| [same.get(at), other.get(at)]).flatten().copied().collect()
}

/// The most that may come before an answer's head is complete, in bytes: interim answers (1xx) without end would
/// otherwise be read for ever.
const HEAD_LIMIT: u64 = 1024 * 1024;

/// A connection, with a count of the bytes that came over it.
pub(crate) struct Stream {
    transport: Transport,
    meter: Arc<Meter>,
}

/// What has come over a connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    received: AtomicU64,
    /// How much may come until the head is complete; 0 when none is waited for.
    head_until: AtomicU64,
}

impl Meter {
    /// How many bytes have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// From now on a head is waited for.
    pub(crate) fn expect_head(&self) {
        self.head_until.store(self.received() + HEAD_LIMIT, Ordering::Relaxed);
    }

    /// The head is complete.
    pub(crate) fn head_came(&self) {
        self.head_until.store(0, Ordering::Relaxed);
    }

    fn is_head_too_long(&self) -> bool {
        let until = self.head_until.load(Ordering::Relaxed);
        until > 0 && self.received() > until
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn new(transport: Transport) -> Self {
        Self { transport, meter: Arc::default() }
    }

    /// The meter, which outlives the stream.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.meter.is_head_too_long() {
            let reason = format!("more than {HEAD_LIMIT} bytes came before the head of the answer was complete");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let before = buf.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        let count = buf.filled().len() - before;
        if count > 0 {
            self.meter.received.fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
