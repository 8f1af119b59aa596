//! Owl: the safe gateway to inference servers that people run themselves.
//!
//! In reading order: [`config`] (what the operator wrote), [`context`] (one request), [`gateway`] (the middle, the only
//! thing a door holds), [`provider`] (the inference servers), [`media`] (the URLs in requests), [`tools`] (what models may use), [`agent`] (the loop of a model's
//! turns and its tools), [`server`] (the HTTP
//! door), [`mcp`] (the MCP door), [`cli`] (the commands); beside them [`store`] (the file in which Owl remembers) [`audit`] (what it remembers
//! of its connections) and [`conversations`] (what of its answers).

pub mod agent;
pub mod audit;
pub mod cli;
pub mod config;
pub mod context;
pub mod conversations;
pub mod gateway;
pub mod mcp;
pub mod media;
pub mod provider;
pub mod server;
pub mod store;
pub mod tools;
