//! OpenAI's Responses API over chat completions: a request becomes the body of a chat completion ([`request`]), and an answer a response
//! or its events ([`encode`]).
//!
//! What a chat completion has no place for is an error that names it, never left out in silence.

pub mod encode;
mod items;
pub mod request;

pub use encode::ResponseEncoder;
pub use request::{RequestError, ResponsesRequest};
