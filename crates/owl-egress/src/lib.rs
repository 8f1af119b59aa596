//! The one way out: an HTTP client for addresses that must not be believed, and one for those that were configured.
//!
//! Every byte that a program sends to another machine goes through here. The crate judges the target (scheme, port, name)
//! and every address the name resolves to, connects to exactly the address it judged, and speaks HTTP over that connection.
//! It depends on nothing else of Owl's and can be used without it.
//!
//! Two kinds of outgoing call are two types:
//!
//! - [`WebClient`] fetches what a model, a page or a client chose. Each hop is judged anew; nothing is pooled; what comes is
//!   bounded while it comes; no credential can be attached.
//! - [`UpstreamClient`] reaches an address that the *operator* typed: pooled, with a credential, bound to one origin,
//!   following no redirect. Addresses that anyone else chose are never given to it.
//!
//! ```
//! use owl_egress::{Caller, WebClient, WebError, WebOptions, WebRequest};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Everything that is not public is closed, until it is opened in so many words.
//! let mut options = WebOptions::new("my program");
//! options.rules.allow_cidrs.push("10.20.0.0/16".parse()?);
//! let client = WebClient::new(options)?;
//!
//! let refused = client.fetch(WebRequest::get("http://169.254.169.254/latest/", Caller::default())).await;
//! assert!(matches!(refused, Err(WebError::Denied(_))));
//! # Ok(())
//! # }
//! ```
//!
//! What is judged is in [`policy`]: it is pure, and can be asked without fetching anything. What was refused, and every
//! connection to an address that is not public, is told to an [`AuditSink`].
//!
//! Reading order: [`target`] (what was asked for), [`policy`] and [`address`] (what is allowed), [`resolve`], [`connect`]
//! and [`proxy`] (how a connection is made), [`network`] (what all clients share), [`credential`] (what is shown),
//! [`upstream`] and [`web`] (the clients), [`header`] (what is theirs to write), [`rate`] and [`audit`] (how often, and who is told), [`error`].

pub mod address;
pub mod audit;
pub mod connect;
pub mod credential;
mod dial;
pub mod error;
mod guard;
pub mod header;
mod login;
pub mod network;
pub mod policy;
mod pool;
pub mod proxy;
pub mod rate;
pub mod resolve;
mod stream;
pub mod target;
pub mod tls;
pub mod upstream;
pub mod web;

mod table;

pub use audit::{AuditEvent, AuditSink, Caller};
pub use credential::{Authentication, BasicCredential, OAuth2, Secret, SecretSource};
pub use error::EgressError;
pub use network::Network;
pub use policy::{Denied, EgressPolicy, PolicyRules};
pub use target::TargetUrl;
pub use tls::TlsOptions;
pub use upstream::{ConnectionReport, Timeouts, UpstreamBody, UpstreamClient, UpstreamOptions, UpstreamRequest};
pub use web::{WebClient, WebError, WebLimits, WebOptions, WebRequest, WebResponse};

/// So that tests in here and tests beside it can share what reads the case files.
#[cfg(test)]
extern crate self as owl_egress;
#[cfg(test)]
#[path = "../tests/rows/mod.rs"]
mod rows;
