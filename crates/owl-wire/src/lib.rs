//! The formats that Owl speaks, as data: bytes in, facts, spans and events out.
//!
//! This crate opens no socket, reads no file and knows no runtime. It never builds a tree of a body that is only passed
//! on: it finds the few bytes that Owl acts on, and replaces just these. Everything else stays as it was sent, with its
//! key order, number spelling and white space.
//!
//! Reading order: [`json`] (the scanner), [`request`] (what a request asks for), [`media`] (the URLs in it that a server
//! would fetch), [`splice`] (the model's name in an answer that streams past), [`multipart`] (the same facts in a form),
//! [`sse`] (event streams), [`error`] (errors as OpenAI clients know them), [`chat`] and [`models`] (what Owl's own
//! commands read and write), [`turn`] (a model's turn, read), [`answer`] (an answer, as all protocols write it), [`hosted`] (tools that
//! a request asks the server for), [`compat`] (what servers get wrong).

pub mod json;
pub mod media;
pub mod request;
pub mod splice;

pub mod multipart;
pub mod sse;

pub mod chat;
pub mod error;
pub mod models;

pub mod answer;
pub mod citation;
pub mod compat;
pub mod hosted;
pub mod messages;
pub mod responses;
pub mod turn;

pub use error::{ErrorBody, UpstreamError};
pub use json::{JsonError, Position};
pub use media::{MediaForm, MediaKind, MediaSlot, MediaUrl};
pub use multipart::{FormError, FormFacts, FormUrl};
pub use request::{Model, RequestFacts};
pub use splice::{BodyKind, ModelSplicer};
