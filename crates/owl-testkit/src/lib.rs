//! Fakes that listen: what Owl is tested against. For tests only; nothing here is part of the product.
//!
//! - [`inference::InferenceServer`]: an OpenAI-compatible server that the last user message scripts
//! - [`fault::FaultServer`]: raw TCP, misbehaving step by step
//! - [`dns::DnsServer`]: DNS over UDP and TCP, with answers in turn
//! - [`web::WebServer`]: a web server with scripted answers for each host and path, hostile ones included
//! - [`proxy::ConnectProxy`]: an HTTP CONNECT proxy that takes public addresses to listeners on loopback
//! - [`token::TokenServer`]: an OAuth2 token endpoint (client credentials)
//! - [`certificates::Authority`]: a private certificate authority, with leaves good and bad
//! - [`client::Client`]: a tiny raw HTTP/1.1 client, for tests that look at the very bytes
//! - [`load`]: many streams at once, for measurements
//!
//! Every server listens on a free loopback port, ends when it is dropped, and lets a test *wait* for what happened
//! instead of sleeping. The servers must be started inside a tokio runtime.

pub mod inference;

pub mod certificates;
pub mod client;
pub mod dns;
pub mod fault;
pub mod load;
pub mod proxy;
pub mod token;
pub mod web;

mod conversation;
pub mod event;
pub mod http;

pub use certificates::Authority;
pub use client::Client;
pub use dns::{DnsAnswer, DnsOutcome, DnsQuery, DnsServer};
pub use event::{Closed, ClosedBy, ConnectionId, Event, Request};
pub use fault::{FaultServer, Gate, Step};
pub use inference::{Credential, InferenceOptions, InferenceServer};
pub use proxy::{ConnectProxy, ProxyBehaviour, ProxyOptions};
pub use token::{TokenOptions, TokenServer};
pub use web::{Answer, WebServer};
