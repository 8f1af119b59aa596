//! Why a fetch failed. No message holds a byte that the server sent, nor a resolved address or a range: it may be shown to
//! a model. What an operator needs besides is in the audit record.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::error::{plain_duration, plain_io, plain_resolve};
use crate::policy::Denied;
use crate::rate::RateLimited;
use crate::target::InvalidTarget;

/// Why a fetch failed. `Display` is for the one who asked, a model included.
#[derive(Debug)]
pub enum WebError {
    /// What was asked for is no URL that is ever fetched.
    Invalid(InvalidTarget),
    /// The policy refuses it.
    Denied(Box<Denied>),
    /// The server redirects to what is refused. Where that is, only the server said.
    RedirectRefused(Box<WebError>),
    /// Too often.
    RateLimited(RateLimited),
    /// The caller's header, which may not be set.
    HeaderRefused(String),
    /// What of the request cannot be sent.
    BadRequest(&'static str),
    /// The name has no address, or DNS did not answer.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address accepted the connection.
    Connect {
        /// The host and port.
        origin: String,
        /// The last address's error.
        source: io::Error,
    },
    /// The connection did not come in this time.
    ConnectTimeout(Duration),
    /// The socket is connected to another address than the one that was judged.
    PeerMismatch,
    /// The egress proxy could not be used, or said no.
    Proxy(String),
    /// The TLS handshake failed.
    Tls(&'static str),
    /// The TLS files of the operator's cannot be used.
    TlsOptions(String),
    /// The TLS handshake did not end in this time.
    HandshakeTimeout(Duration),
    /// The head of the answer did not come in this time.
    HeadTimeout(Duration),
    /// Nothing more of the body came in this time.
    IdleTimeout(Duration),
    /// The body comes too slowly.
    TooSlow,
    /// All in all it took longer than this.
    TotalTimeout(Duration),
    /// The head of the answer is too large.
    HeadTooLarge,
    /// What came is not HTTP.
    BadResponse,
    /// The body's framing is wrong.
    BadFraming,
    /// The connection ended before the answer did.
    Broken,
    /// The body is too large; the limit, in bytes.
    BodyTooLarge(u64),
    /// The body's encoding is one that is not decoded.
    EncodingUnsupported,
    /// The encoded body is broken.
    BadEncoding,
    /// What is wrong with the redirect.
    BadRedirect(&'static str),
    /// More redirects than this.
    TooManyRedirects(usize),
    /// A redirect came back to where it had been.
    RedirectLoop,
}

impl WebError {
    /// The error's stable name, in snake case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Denied(_) | Self::RedirectRefused(_) => "url_refused",
            Self::RateLimited(_) => "rate_limited",
            Self::HeaderRefused(_) => "header_refused",
            Self::BadRequest(_) => "bad_request",
            Self::Resolve { .. } => "resolve_failed",
            Self::Connect { .. } => "connect_failed",
            Self::ConnectTimeout(_) => "connect_timeout",
            Self::PeerMismatch => "peer_mismatch",
            Self::Proxy(_) => "proxy_failed",
            Self::Tls(_) | Self::TlsOptions(_) => "tls_error",
            Self::HandshakeTimeout(_) => "tls_timeout",
            Self::HeadTimeout(_) => "headers_timeout",
            Self::IdleTimeout(_) => "idle_timeout",
            Self::TooSlow => "too_slow",
            Self::TotalTimeout(_) => "total_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::BadResponse => "bad_response",
            Self::BadFraming => "bad_framing",
            Self::Broken => "connection_broken",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::EncodingUnsupported => "encoding_unsupported",
            Self::BadEncoding => "bad_encoding",
            Self::BadRedirect(_) => "bad_redirect",
            Self::TooManyRedirects(_) => "too_many_redirects",
            Self::RedirectLoop => "redirect_loop",
        }
    }

    /// The same for a hop that a server chose: what it chose is not repeated.
    pub(super) fn of_redirect(self) -> Self {
        match self {
            refused @ (Self::Invalid(_) | Self::Denied(_)) => Self::RedirectRefused(Box::new(refused)),
            Self::Resolve { source, .. } => Self::Resolve { host: "it redirects to".to_owned(), source },
            Self::Connect { source, .. } => Self::Connect { origin: "where it redirects to".to_owned(), source },
            other => other,
        }
    }

    /// Whether the guard said no, rather than something being wrong with the way or the server.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Invalid(_)
                | Self::Denied(_)
                | Self::RedirectRefused(_)
                | Self::HeaderRefused(_)
                | Self::BadRequest(_)
        )
    }

    /// Whether it is a matter of time.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout(_)
                | Self::HandshakeTimeout(_)
                | Self::HeadTimeout(_)
                | Self::IdleTimeout(_)
                | Self::TooSlow
                | Self::TotalTimeout(_)
        )
    }
}

impl From<Denied> for WebError {
    fn from(denied: Denied) -> Self {
        Self::Denied(Box::new(denied))
    }
}

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, what: &str, after: Duration| {
            write!(f, "{what} within {}", plain_duration(after))
        };
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Denied(denied) => f.write_str(&denied.public_message()),
            Self::RedirectRefused(_) => {
                f.write_str("the server redirects to somewhere that the egress policy does not allow")
            }
            Self::RateLimited(limited) => limited.fmt(f),
            Self::HeaderRefused(name) => write!(f, "the header {name} may not be set"),
            Self::BadRequest(what) => write!(f, "{what} cannot be sent in HTTP"),
            Self::Resolve { host, source } => {
                write!(f, "the name {host} cannot be resolved: {}", plain_resolve(source))
            }
            Self::Connect { origin, source } => write!(f, "no connection to {origin}: {}", plain_io(source)),
            Self::ConnectTimeout(after) => within(f, "the connection was not accepted", *after),
            Self::PeerMismatch => f.write_str("the connection leads to another address than the one that was judged"),
            Self::Proxy(reason) => write!(f, "the egress proxy {reason}"),
            Self::Tls(reason) => write!(f, "TLS with the server failed: {reason}"),
            Self::TlsOptions(reason) => write!(f, "TLS cannot be set up: {reason}"),
            Self::HandshakeTimeout(after) => within(f, "the TLS handshake did not end", *after),
            Self::HeadTimeout(after) => within(f, "the head of the answer did not come", *after),
            Self::IdleTimeout(after) => within(f, "nothing more of the answer came", *after),
            Self::TooSlow => f.write_str("the answer comes more slowly than 1 KiB a second"),
            Self::TotalTimeout(after) => within(f, "the answer was not complete", *after),
            Self::HeadTooLarge => f.write_str("the head of the answer is too large"),
            Self::BadResponse => f.write_str("the server's answer is not HTTP/1.1"),
            Self::BadFraming => f.write_str("the server's answer does not say clearly where its body ends"),
            Self::Broken => f.write_str("the server closed the connection before its answer was complete"),
            Self::BodyTooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Self::EncodingUnsupported => f.write_str("the answer is encoded in a way that is not decoded"),
            Self::BadEncoding => f.write_str("the answer's encoding is broken"),
            Self::BadRedirect(reason) => write!(f, "the server's redirect {reason}"),
            Self::TooManyRedirects(limit) => write!(f, "the server redirects more than {limit} times"),
            Self::RedirectLoop => f.write_str("the server's redirects lead in a circle"),
        }
    }
}

impl Error for WebError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve { source, .. } | Self::Connect { source, .. } => Some(source),
            Self::Denied(denied) => Some(&**denied),
            Self::RedirectRefused(error) => Some(&**error),
            _ => None,
        }
    }
}
