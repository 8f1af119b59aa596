//! `image`.

use futures_util::future::BoxFuture;
use owl_egress::Network;
use serde_json::json;

use super::{Definition, Tool, ToolCall, ToolError, ToolFault, ToolResult, ToolStartError};
use crate::config::ImageConfig;

#[derive(Debug)]
pub(super) struct Image {
    definition: Definition,
}

impl Image {
    /// Builds the tool; connects to nothing.
    pub(super) fn new(_config: ImageConfig, _network: &Network) -> Result<Self, ToolStartError> {
        let definition = Definition {
            name: "image",
            aliases: &[],
            title: "image",
            description: String::new(),
            parameters: json!({ "type": "object" }),
            result: json!({ "type": "object" }),
        };
        Ok(Self { definition })
    }
}

impl Tool for Image {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn call<'a>(&'a self, _call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        Box::pin(async { Err(ToolError::new(ToolFault::Owl, "internal", "to be built")) })
    }
}
