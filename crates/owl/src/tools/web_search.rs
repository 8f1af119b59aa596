//! `web_search`.

use futures_util::future::BoxFuture;
use owl_egress::Network;
use serde_json::json;

use super::{Definition, Tool, ToolCall, ToolError, ToolFault, ToolResult, ToolStartError};
use crate::config::SearchConfig;

#[derive(Debug)]
pub(super) struct WebSearch {
    definition: Definition,
}

impl WebSearch {
    /// Builds the tool; connects to nothing.
    pub(super) fn new(_config: SearchConfig, _network: &Network) -> Result<Self, ToolStartError> {
        let definition = Definition {
            name: "web_search",
            aliases: &[],
            title: "web_search",
            description: String::new(),
            parameters: json!({ "type": "object" }),
            result: json!({ "type": "object" }),
        };
        Ok(Self { definition })
    }
}

impl Tool for WebSearch {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn call<'a>(&'a self, _call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        Box::pin(async { Err(ToolError::new(ToolFault::Owl, "internal", "to be built")) })
    }
}
