//! `web_fetch`.

use futures_util::future::BoxFuture;
use owl_egress::Network;
use serde_json::json;

use super::{Definition, Tool, ToolCall, ToolError, ToolFault, ToolResult, ToolStartError};
use crate::config::FetchConfig;

#[derive(Debug)]
pub(super) struct WebFetch {
    definition: Definition,
}

impl WebFetch {
    /// Builds the tool; connects to nothing.
    pub(super) fn new(_config: FetchConfig, _network: &Network) -> Result<Self, ToolStartError> {
        let definition = Definition {
            name: "web_fetch",
            aliases: &[],
            title: "web_fetch",
            description: String::new(),
            parameters: json!({ "type": "object" }),
            result: json!({ "type": "object" }),
        };
        Ok(Self { definition })
    }
}

impl Tool for WebFetch {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn call<'a>(&'a self, _call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        Box::pin(async { Err(ToolError::new(ToolFault::Owl, "internal", "to be built")) })
    }
}
