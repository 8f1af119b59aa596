//! The MCP door: the tools for agents that speak the Model Context Protocol, on standard input and output, or over streamable
//! HTTP behind the listener of the HTTP door.
//!
//! The protocol itself is the official SDK's. What is here: `handler` (what the server says of itself, and its tools), `call`
//! (one call: who asks, progress, cancellation, the result), [`stdio`], [`http`] and `sessions` (how many there may be, whose
//! they are, and when they end). It offers tools and nothing else: no prompts, no resources, no logging, no questions to the
//! client.

mod call;
mod handler;
pub mod http;
mod sessions;
pub mod stdio;
