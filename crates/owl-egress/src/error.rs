//! What can go wrong between Owl and another machine.
//!
//! Messages name the host that was asked for and the reason; they never hold a credential, a query or a body. What the
//! policy refused is a [`Denied`], which has a message of its own for clients.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::{InvalidCredential, SecretError};
use crate::policy::Denied;
use crate::tls::TlsOptionsError;

/// Which timeout fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For the name's addresses; part of `timeouts.connect`.
    Resolve,
    /// For the TCP connection; part of `timeouts.connect`.
    Connect,
    /// For the TLS handshake; part of `timeouts.connect`.
    Handshake,
    /// For the answer's first byte: `timeouts.firstByte`.
    FirstByte,
    /// For the answer's next byte: `timeouts.betweenBytes`.
    NextBytes,
}

impl Waiting {
    /// The configuration key below the provider that sets this timeout.
    pub fn key(self) -> &'static str {
        match self {
            Self::Resolve | Self::Connect | Self::Handshake => "timeouts.connect",
            Self::FirstByte => "timeouts.firstByte",
            Self::NextBytes => "timeouts.betweenBytes",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Resolve => "the name's addresses did not come",
            Self::Connect => "the connection was not accepted",
            Self::Handshake => "the TLS handshake did not end",
            Self::FirstByte => "the first byte of the answer did not come",
            Self::NextBytes => "the next byte of the answer did not come",
        }
    }
}

/// Why an outgoing call failed.
#[derive(Debug)]
pub enum EgressError {
    /// The policy refuses the target or one of its addresses; nothing was sent.
    Denied(Box<Denied>),
    /// The name has no address, or DNS did not answer.
    Resolve {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address accepted the connection.
    Connect {
        /// The origin that was asked for.
        origin: String,
        /// The last address's error.
        source: io::Error,
    },
    /// The TLS handshake failed, or the other side ended the connection with a TLS alert.
    Tls {
        /// The origin that was asked for.
        origin: String,
        /// What is wrong, in a clause.
        reason: String,
    },
    /// A timeout that the configuration sets.
    Timeout {
        /// What was waited for.
        waiting: Waiting,
        /// For how long.
        after: Duration,
    },
    /// A secret could not be read.
    Secret(SecretError),
    /// A secret that cannot be sent.
    Credential(InvalidCredential),
    /// The OAuth 2.0 token could not be had.
    Token(TokenError),
    /// The TLS files cannot be used.
    TlsOptions(TlsOptionsError),
    /// The request cannot be expressed in HTTP/1.1.
    Request(http::Error),
    /// The connection ended, or what came over it is not HTTP.
    Exchange {
        /// Whether any byte of this answer had arrived.
        answered: bool,
        /// The cause.
        source: hyper::Error,
    },
}

/// Why there is no credential to show. Those who waited for one share the reason.
#[derive(Clone, Debug)]
pub(crate) enum LoginError {
    Secret(SecretError),
    Credential(InvalidCredential),
    Token(TokenError),
}

impl From<SecretError> for LoginError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl From<InvalidCredential> for LoginError {
    fn from(error: InvalidCredential) -> Self {
        Self::Credential(error)
    }
}

impl From<TokenError> for LoginError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<LoginError> for EgressError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Secret(error) => Self::Secret(error),
            LoginError::Credential(error) => Self::Credential(error),
            LoginError::Token(error) => Self::Token(error),
        }
    }
}

/// Why no OAuth 2.0 token could be had.
#[derive(Clone, Debug)]
pub enum TokenError {
    /// The token endpoint could not be asked.
    Call(Arc<EgressError>),
    /// It answered with this status, and perhaps the `error` of RFC 6749, section 5.2.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error code, such as `invalid_client`.
        code: Option<String>,
    },
    /// Its answer is not a token.
    Answer(&'static str),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => write!(f, "the OAuth 2.0 token endpoint: {error}"),
            Self::Refused { status, code: Some(code) } => {
                write!(f, "the OAuth 2.0 token endpoint answered {status} ({code})")
            }
            Self::Refused { status, code: None } => write!(f, "the OAuth 2.0 token endpoint answered {status}"),
            Self::Answer(reason) => write!(f, "the OAuth 2.0 token endpoint's answer {reason}"),
        }
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denied) => denied.fmt(f),
            Self::Resolve { host, source } => {
                write!(f, "the name {host} cannot be resolved: {}", plain_resolve(source))
            }
            Self::Connect { origin, source } => write!(f, "no connection to {origin}: {}", plain_io(source)),
            Self::Tls { origin, reason } => write!(f, "TLS with {origin} failed: {reason}"),
            Self::Timeout { waiting, after } => {
                write!(f, "{} within {} ({})", waiting.what(), plain_duration(*after), waiting.key())
            }
            Self::Secret(error) => error.fmt(f),
            Self::Credential(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::TlsOptions(error) => error.fmt(f),
            Self::Request(error) => write!(f, "the request cannot be sent on: {error}"),
            Self::Exchange { answered, source } => write!(f, "{}", plain_exchange(*answered, source)),
        }
    }
}

impl Error for EgressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve { source, .. } | Self::Connect { source, .. } => Some(source),
            Self::Exchange { source, .. } => Some(source),
            Self::Request(source) => Some(source),
            Self::Token(TokenError::Call(source)) => Some(&**source),
            Self::Denied(_)
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Secret(_)
            | Self::Credential(_)
            | Self::Token(_)
            | Self::TlsOptions(_) => None,
        }
    }
}

impl EgressError {
    /// The failure without any resolved address or range, for clients.
    pub fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Token(TokenError::Call(error)) => {
                format!("the OAuth 2.0 token endpoint: {}", error.public_message())
            }
            other => other.to_string(),
        }
    }

    /// Whether the policy refuses the target, rather than something being wrong with the way to it.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

impl From<Denied> for EgressError {
    fn from(denied: Denied) -> Self {
        Self::Denied(Box::new(denied))
    }
}

/// An I/O error without the operating system's number.
pub(crate) fn plain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused (is the server running, and on this port?)".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "the host did not answer".to_owned(),
        _ => error.to_string(),
    }
}

/// A resolver's error without the C library's prefix.
pub fn plain_resolve(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

fn plain_exchange(answered: bool, error: &hyper::Error) -> String {
    let when = if answered { "in the middle of its answer" } else { "before it answered" };
    if error.is_incomplete_message() || error.is_canceled() {
        return format!("the server closed the connection {when}");
    }
    if error.is_parse() {
        let text = error.to_string();
        // What a TLS server says to cleartext is read as an odd version.
        let hint = if text.contains("version") { " (does its URL begin with https:// instead?)" } else { "" };
        return format!("the server's answer is not HTTP/1.1: {text}{hint}");
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => format!("the connection broke {when}: {}", plain_io(source)),
        None => format!("the connection broke {when}: {error}"),
    }
}

pub(crate) fn plain_duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
