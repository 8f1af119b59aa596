//! The tools that a model may use: `web_fetch`, `image`, `web_search`.
//!
//! Each is one file, and all are the same to a door: a [`Definition`] that says what it takes and gives, and a call. What a
//! tool may reach is what the operator opened for it in `tools`; a call may narrow that, and never widen it. What comes from
//! outside is marked as such before a model sees it (`untrusted.rs`).
//!
//! Reading order: this file, `error.rs` (why a call failed), `arguments.rs` (what a call says), `untrusted.rs`, then the
//! tools; `json.rs` is how doors write them.

mod arguments;
mod cache;
mod error;
mod image;
pub mod json;
mod set;
pub mod untrusted;
mod web;
mod web_fetch;
mod web_search;

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use owl_egress::policy::HostPattern;
use serde_json::{Map, Value};

use crate::context::RequestContext;

pub use error::{TOOL_CODES, ToolCode, ToolError, ToolFault};
pub use set::{ToolSet, ToolStartError};

/// Something that a model may use. Adding one is a file with this, and a line in `set.rs`.
pub trait Tool: Send + Sync + fmt::Debug {
    /// What it is called, takes and gives.
    fn definition(&self) -> &Definition;

    /// Judges the address that its configuration names, before anything connects, and connects to nothing. Most tools have none.
    ///
    /// # Errors
    /// [`ToolStartError::Denied`]. A name that does not resolve now is only a warning, for it is judged again on every connection.
    fn admit(&self) -> BoxFuture<'_, Result<(), ToolStartError>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether a person may be asked to open a private address for a call.
    fn asks(&self) -> bool {
        false
    }

    /// Does it.
    ///
    /// # Cancel safety
    /// Dropping the future ends what it does, connections included, at once.
    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>>;
}

/// What a tool is called, takes and gives.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name: `web_fetch`.
    pub name: &'static str,
    /// Other names it answers to.
    pub aliases: &'static [&'static str],
    /// Its name for people.
    pub title: &'static str,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments: an object.
    pub parameters: Value,
    /// The JSON Schema of [`ToolResult::details`]: an object.
    pub result: Value,
}

/// One call of a tool.
#[derive(Clone, Copy)]
pub struct ToolCall<'a> {
    /// The request that it belongs to.
    pub ctx: &'a RequestContext,
    /// Who chose the arguments.
    pub asker: Asker,
    /// Whether pictures can be handed to the one who asks.
    pub sees: bool,
    /// Who answers questions about pictures.
    pub vision: &'a dyn Vision,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// The hosts that a person has opened for this call.
    pub granted: &'a [HostPattern],
    /// The arguments, as they came.
    pub arguments: &'a Map<String, Value>,
}

/// Who chose the arguments of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A program, on a model's behalf as a rule.
    Model,
    /// A person, on the command line.
    Person,
}

/// What a tool gives.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// For the model.
    pub content: Vec<Content>,
    /// The same for programs, as [`Definition::result`] says: a JSON object.
    pub details: Value,
}

/// A piece of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(String),
    /// A picture.
    Picture {
        /// Its bytes.
        data: Bytes,
        /// `image/png` or `image/jpeg`.
        media_type: &'static str,
    },
}

/// The person who is asked before a tool goes to a private address.
pub trait Approval: Send + Sync {
    /// Whether `tool` may connect to `destination`, a host and a port, which it has not connected to yet.
    fn ask<'a>(&'a self, tool: &'a str, destination: &'a HostPattern) -> BoxFuture<'a, bool>;
}

/// Who is told how far a call is.
pub trait Progress: Send + Sync {
    /// A step begins; the sentence is for people, and holds nothing that a server sent.
    fn step(&self, message: &str);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _message: &str) {}
}

/// Who answers questions about pictures: a model of a provider. Tools know no providers; the gateway is behind this.
pub trait Vision: Send + Sync {
    /// Asks.
    ///
    /// # Cancel safety
    /// Dropping the future ends the model's work at once.
    fn ask<'a>(&'a self, ctx: &'a RequestContext, question: Question) -> BoxFuture<'a, Result<Sight, ToolError>>;
}

/// A question about pictures.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model, as `owl models` lists it.
    pub model: String,
    /// What is asked.
    pub prompt: String,
    /// The pictures: their bytes and media types.
    pub pictures: Vec<(Bytes, &'static str)>,
}

/// What a model says of pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The model, as the client may call it.
    pub model: String,
    /// Its answer.
    pub text: String,
}
