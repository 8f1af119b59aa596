//! The HTTP door: the OpenAI-compatible API.
//!
//! `listen` accepts connections, `routes` sends each request to the one file of its endpoint, `client_auth` knows
//! who asks, [`error`] has every status and code, `tools` calls tools, [`annex`] is where another door stands behind this listener, `record` writes the one line that a request leaves.

pub mod annex;
mod answer;
mod background;
mod chat;
mod client_auth;
pub mod error;
mod forward;
mod health;
mod listen;
mod messages;
mod models;
mod native;
mod record;
mod responses;
mod routes;
pub mod tools;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::config::GatewayConfig;
use crate::gateway::Gateway;

use annex::Annex;
use background::Background;
use client_auth::Admission;
use record::BreakingOff;

/// What every handler of this door holds.
#[derive(Debug)]
pub(crate) struct Door {
    gateway: Arc<Gateway>,
    admission: Admission,
    limits: crate::config::Limits,
    breaking_off: BreakingOff,
    mcp: Option<Arc<dyn Annex>>,
    background: Background,
}

/// A server that is bound and not yet accepting.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
    config: GatewayConfig,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Why the server cannot listen.
#[derive(Debug)]
pub enum BindError {
    /// The address cannot be bound.
    Address(SocketAddr, io::Error),
    /// `gateway.tls` cannot be used.
    Tls(String),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "gateway.listen: {address} is already in use by another program")
            }
            Self::Address(address, error) => write!(f, "gateway.listen: {address} cannot be listened on: {error}"),
            Self::Tls(reason) => write!(f, "gateway.tls: {reason}"),
        }
    }
}

impl std::error::Error for BindError {}

impl Server {
    /// Binds the address and reads the TLS files.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(gateway: Arc<Gateway>, config: GatewayConfig) -> Result<Self, BindError> {
        let tls = config.tls.as_ref().map(listen::tls_acceptor).transpose().map_err(BindError::Tls)?;
        let listener =
            TcpListener::bind(config.listen).await.map_err(|error| BindError::Address(config.listen, error))?;
        let door = Door {
            gateway,
            admission: Admission::new(&config),
            limits: config.limits.clone(),
            breaking_off: BreakingOff::default(),
            mcp: None,
            background: Background::default(),
        };
        Ok(Self { listener, tls, door, config })
    }

    /// Has `/mcp` answered by another door, to which this one hands what it let in.
    #[must_use]
    pub fn with_mcp(mut self, mcp: Arc<dyn Annex>) -> Self {
        self.door.mcp = Some(mcp);
        self
    }

    /// The address it is bound to, the port filled in.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// `http://127.0.0.1:6950`: what a client's base URL begins with.
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = self.address().unwrap_or(self.config.listen);
        format!("{scheme}://{address}")
    }

    /// Serves until `stop` is ready, then lets the open requests finish for at most `gateway.drainTimeout`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let breaking_off = self.door.breaking_off.clone();
        let router = routes::router(Arc::new(self.door), self.config.cors.as_ref());
        listen::run(self.listener, self.tls, router, &self.config, stop, &breaking_off).await;
    }
}
