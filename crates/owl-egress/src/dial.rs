//! From judged addresses to one connection: Happy Eyeballs among them (RFC 8305), the peer compared, or the egress proxy
//! asked for exactly that address.
//!
//! This is the one place that opens outbound sockets, those to DNS servers aside. It takes [`Opened`], which only the policy makes.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::network::Network;
use crate::policy::Opened;
use crate::proxy::Proxy;
use crate::stream::Socket;

/// How long one address has before the next is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// TCP keep-alive: a peer that vanished without a word is noticed, however long a healthy one thinks.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Why no judged address could be connected to.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The last address's error.
    Io(io::Error),
    /// The socket was connected, but to somebody else.
    PeerMismatch,
    /// The egress proxy could not be used, or said no.
    Proxy(String),
}

impl DialError {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other @ (Self::PeerMismatch | Self::Proxy(_)) => io::Error::other(other.to_string()),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::PeerMismatch => f.write_str("the connection leads to another address than the one that was judged"),
            Self::Proxy(reason) => write!(f, "the egress proxy {reason}"),
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens sockets in place of the system, in tests: "public" addresses become listeners on loopback.
#[cfg(test)]
pub(crate) trait Dial: fmt::Debug + Send + Sync {
    /// The socket and its peer's address.
    fn dial(&self, address: SocketAddr) -> futures_util::future::BoxFuture<'_, io::Result<(Socket, SocketAddr)>>;
}

/// Tries the judged addresses, the next one beside the last after [`ATTEMPT_DELAY`] or as soon as one fails. `lookups` are
/// the client's places for lookups, for the proxy's name.
///
/// # Cancel safety
/// Dropping the future closes whatever it had opened.
pub(crate) async fn race(
    network: &Network,
    lookups: &Arc<Semaphore>,
    opened: &[Opened],
    port: u16,
) -> Result<(Socket, Opened), DialError> {
    let mut untried = alternate_families(opened).into_iter();
    let mut running = FuturesUnordered::new();
    let mut last_error = DialError::Io(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    loop {
        match untried.next() {
            Some(next) => running.push(attempt(network, lookups, next, port)),
            None if running.is_empty() => return Err(last_error),
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

async fn attempt(
    network: &Network,
    lookups: &Arc<Semaphore>,
    opened: Opened,
    port: u16,
) -> Result<(Socket, Opened), DialError> {
    let address = SocketAddr::new(opened.connect_to, port);
    let socket = match network.proxy.as_deref().filter(|proxy| proxy.is_for(opened.connect_to)) {
        Some(proxy) => through(network, lookups, proxy, address).await?,
        None => direct(network, address).await?,
    };
    Ok((socket, opened))
}

/// Asks the proxy, by the first of its addresses that accepts a connection, for `address`.
async fn through(
    network: &Network,
    lookups: &Arc<Semaphore>,
    proxy: &Proxy,
    address: SocketAddr,
) -> Result<Socket, DialError> {
    let addresses = proxy.addresses(&network.resolver, lookups).await?;
    let mut last_error = DialError::Proxy("has no address".to_owned());
    for own in addresses {
        match direct(network, SocketAddr::new(own, proxy.url.port())).await {
            Ok(socket) => return proxy.ask(socket, address).await,
            Err(DialError::Io(error)) => last_error = DialError::Proxy(format!("cannot be reached: {error}")),
            Err(error @ (DialError::PeerMismatch | DialError::Proxy(_))) => last_error = error,
        }
    }
    Err(last_error)
}

/// Connects to exactly `address`.
async fn direct(network: &Network, address: SocketAddr) -> Result<Socket, DialError> {
    #[cfg(test)]
    if let Some(dialer) = &network.dialer {
        let (socket, peer) = dialer.dial(address).await?;
        return if peer == address { Ok(socket) } else { Err(DialError::PeerMismatch) };
    }
    #[cfg(not(test))]
    let _ = network;
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens outbound sockets")]
    let stream = TcpStream::connect(address).await?;
    // A scope or a flow label is no other address.
    let peer = stream.peer_addr()?;
    if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
        return Err(DialError::PeerMismatch);
    }
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(Socket::Tcp(stream))
}

/// IPv6 and IPv4 in turn, beginning with the resolver's first (RFC 8305, section 4).
fn alternate_families(opened: &[Opened]) -> Vec<Opened> {
    let is_v6 = |one: &Opened| matches!(one.connect_to, IpAddr::V6(_));
    let first_is_v6 = opened.first().is_some_and(is_v6);
    let (same, other): (Vec<Opened>, Vec<Opened>) = opened.iter().copied().partition(|one| is_v6(one) == first_is_v6);
    let longest = same.len().max(other.len());
    (0..longest).flat_map(|at| [same.get(at), other.get(at)]).flatten().copied().collect()
}
