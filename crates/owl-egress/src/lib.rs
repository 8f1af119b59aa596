//! The one way out.
//!
//! Every byte that Owl sends to another machine goes through this crate. It judges the target (scheme, port, name) and
//! every address the name resolves to, connects to exactly the address it judged, and speaks HTTP over that connection.
//!
//! Two kinds of outgoing call are two types. [`UpstreamClient`] reaches an address that the *operator* typed: pooled,
//! with a credential, bound to one origin, following no redirect. Addresses that a model, a page or a client chose are
//! never given to it.
//!
//! Reading order: [`target`] (what was asked for), [`policy`] and [`address`] (what is allowed), [`connect`] (how a
//! connection is made), [`credential`] (what is shown on it), [`upstream`] (the client), [`error`] (what can go wrong).

pub mod address;
pub mod audit;
pub mod connect;
pub mod credential;
mod dial;
pub mod error;
mod guard;
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
