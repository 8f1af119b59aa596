//! Anthropic's Messages API over chat completions: a request becomes the body of a chat completion ([`request`]), and an answer a
//! message or its events ([`encode`]).

mod content;
pub mod encode;
pub mod request;

pub use encode::MessageEncoder;
pub use request::{MessagesError, MessagesRequest};

use serde_json::{Value, json};

/// An error as Anthropic's clients know it.
pub fn error_body(kind: &str, message: &str, request_id: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": request_id })
}
