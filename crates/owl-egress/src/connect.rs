//! How a connection to an operator's address is made: resolve, judge every address, connect to exactly a judged address,
//! compare the peer, then TLS by name.
//!
//! The judgement stands here, in the innermost place, because only here are literals, names, ports and the peer all seen
//! before a socket opens. No proxy variable of the environment is read anywhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::audit::Caller;
use crate::error::{EgressError, Waiting};
use crate::guard::Guard;
use crate::policy::Opened;
use crate::stream::{Meter, OpenAccess, Socket, Stream};
use crate::target::TargetUrl;
use crate::tls::{TlsProfile, TlsReport};

/// Makes connections to one target under one policy.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) guard: Guard,
    pub(crate) target: TargetUrl,
    pub(crate) tls: Option<TlsProfile>,
    pub(crate) timeout: Duration,
}

/// A connection to a judged address.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsReport>,
}

/// A connection without TLS, so far.
struct Reached {
    socket: Socket,
    peer: SocketAddr,
    meter: Arc<Meter>,
    access: Option<OpenAccess>,
}

impl Connector {
    /// Judges the target and every address it has now; connects to nothing.
    ///
    /// # Errors
    /// [`EgressError::Denied`] when the target or *any* of its addresses is refused, [`EgressError::Resolve`] when the
    /// name has none, [`EgressError::Timeout`] when DNS takes longer than the time to connect.
    pub(crate) async fn judge(&self) -> Result<Vec<Opened>, EgressError> {
        self.judged(&Caller::default(), &mut self.deadline()).await
    }

    /// The same, by a deadline; a refusal is told. What the network is asked about itself, once an hour, is not the
    /// target's time: the deadline moves on by it.
    pub(crate) async fn judged(&self, caller: &Caller, deadline: &mut Instant) -> Result<Vec<Opened>, EgressError> {
        let judged = match self.addresses(*deadline).await {
            Ok(found) => {
                let resolved = Instant::now();
                let judged = self.guard.judge_addresses(&self.target, &found).await;
                *deadline += resolved.elapsed();
                judged.map_err(EgressError::from)
            }
            Err(error) => Err(error),
        };
        judged.inspect_err(|error| {
            if let EgressError::Denied(denied) = error {
                self.guard.tell_denied(caller, &self.target, denied);
            }
        })
    }

    /// The addresses that the target has now, not judged; its name is, before DNS is asked for it.
    pub(crate) async fn resolve(&self) -> Result<Vec<IpAddr>, EgressError> {
        self.addresses(self.deadline()).await
    }

    /// Opens a TCP connection to a judged address and closes it.
    pub(crate) async fn reach(&self, caller: &Caller) -> Result<SocketAddr, EgressError> {
        self.open(caller, &mut self.deadline()).await.map(|reached| reached.peer)
    }

    /// Opens a connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever it had opened.
    pub(crate) async fn connect(&self, caller: &Caller) -> Result<Connected, EgressError> {
        let mut deadline = self.deadline();
        let Reached { socket, peer, meter, access } = self.open(caller, &mut deadline).await?;
        let Some(tls) = &self.tls else {
            return Ok(Connected { stream: Stream::plain(socket, meter, access), peer, tls: None });
        };
        let handshake = handshake(tls, &self.target, socket)?;
        let handshake = self.in_time(deadline, Waiting::Handshake, handshake).await?;
        let stream = handshake.map_err(|error| self.handshake_error(tls, &error))?;
        let report = TlsReport::read(stream.get_ref().1);
        Ok(Connected { stream: Stream::tls(stream, meter, access), peer, tls: report })
    }

    /// Opens a TCP connection to a judged address.
    async fn open(&self, caller: &Caller, deadline: &mut Instant) -> Result<Reached, EgressError> {
        let opened = self.judged(caller, deadline).await?;
        let dialled = self.in_time(*deadline, Waiting::Connect, self.guard.dial(&opened, self.target.port())).await?;
        let (socket, opened) = dialled.map_err(|error| self.connect_error(error.into_io()))?;
        let peer = SocketAddr::new(opened.connect_to, self.target.port());
        let meter = Arc::default();
        let access = self.guard.tell_opened(caller, &self.target, &opened, &meter);
        Ok(Reached { socket, peer, meter, access })
    }

    /// The addresses of the target, whose name is judged before DNS is asked for it.
    async fn addresses(&self, deadline: Instant) -> Result<Vec<IpAddr>, EgressError> {
        self.guard.policy.judge_operator_target(&self.target)?;
        let lookup = self.guard.network.resolver.lookup_as_typed(&self.target, &self.guard.lookups);
        let found = self.in_time(deadline, Waiting::Resolve, lookup).await?;
        found.map_err(|source| EgressError::Resolve { host: self.host(), source })
    }

    /// When whatever begins now has to have a connection.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
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

    fn host(&self) -> String {
        self.target.host().to_string()
    }

    fn connect_error(&self, source: io::Error) -> EgressError {
        EgressError::Connect { origin: self.target.origin(), source }
    }

    fn handshake_error(&self, tls: &TlsProfile, error: &io::Error) -> EgressError {
        EgressError::Tls { origin: self.target.origin(), reason: tls.handshake_failure(error) }
    }
}

/// Speaks TLS with the target over `socket`.
pub(crate) fn handshake(
    tls: &TlsProfile,
    target: &TargetUrl,
    socket: Socket,
) -> Result<impl Future<Output = io::Result<TlsStream<Socket>>> + use<>, EgressError> {
    let name = tls.name_for(target).map_err(EgressError::TlsOptions)?;
    #[expect(clippy::disallowed_types, reason = "this is the one place that speaks TLS outwards")]
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    Ok(connector.connect(name, socket))
}
