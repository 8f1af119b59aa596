//! The tools that are switched on, and how one is called.

use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use owl_egress::Network;
use owl_egress::tls::TlsOptionsError;

use super::image::Image;
use super::web_fetch::WebFetch;
use super::web_search::WebSearch;
use super::{Tool, ToolCall, ToolError, ToolFault, ToolResult};
use crate::config::ToolsConfig;

/// The tools that are switched on.
#[derive(Clone, Debug, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
}

/// Why a tool cannot be built or started: what `owl serve` says before it ends.
#[derive(Debug)]
pub enum ToolStartError {
    /// A TLS file of this tool's cannot be used.
    Tls {
        /// Its key in the configuration: `tools.web.fetch`.
        key: &'static str,
        /// The file and what is wrong with it.
        error: TlsOptionsError,
    },
    /// The policy of this tool refuses the address that its configuration names.
    Denied {
        /// Its key in the configuration: `tools.web.search`.
        key: &'static str,
        /// The refusal.
        denied: Box<owl_egress::Denied>,
    },
}

impl fmt::Display for ToolStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { key, error } => write!(f, "{key}.{error}"),
            Self::Denied { key, denied } => write!(f, "{key}: {denied}"),
        }
    }
}

impl std::error::Error for ToolStartError {}

impl ToolSet {
    /// Builds what is switched on; connects to nothing.
    ///
    /// # Errors
    /// The first TLS file that cannot be used.
    pub fn new(config: ToolsConfig, network: &Network) -> Result<Self, ToolStartError> {
        let ToolsConfig { fetch, search, image } = config;
        let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
        if let Some(config) = fetch {
            tools.push(Arc::new(WebFetch::new(config, network)?));
        }
        if let Some(config) = image {
            tools.push(Arc::new(Image::new(config, network)?));
        }
        if let Some(config) = search {
            tools.push(Arc::new(WebSearch::new(config, network)?));
        }
        Ok(Self { tools })
    }

    /// Judges every address that the configuration of a tool names.
    ///
    /// # Errors
    /// All refusals.
    pub async fn admit(&self) -> Result<(), Vec<ToolStartError>> {
        let judged = join_all(self.tools.iter().map(|tool| tool.admit())).await;
        let refused: Vec<_> = judged.into_iter().filter_map(Result::err).collect();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The tools, in a fixed order.
    pub fn all(&self) -> &[Arc<dyn Tool>] {
        &self.tools
    }

    /// The tool that answers to `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| {
            let definition = tool.definition();
            definition.name == name || definition.aliases.contains(&name)
        })
    }

    /// Calls the tool that answers to `name`.
    ///
    /// # Cancel safety
    /// Dropping the future ends what the tool does at once.
    ///
    /// # Errors
    /// [`ToolError`]: there is no such tool, or its own failure.
    pub async fn call(&self, name: &str, call: ToolCall<'_>) -> Result<ToolResult, ToolError> {
        match self.get(name) {
            Some(tool) => tool.call(call).await,
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> ToolError {
        let known: Vec<&str> = self.tools.iter().map(|tool| tool.definition().name).collect();
        let message = match known.as_slice() {
            [] => format!("there is no tool {name:?}: none is switched on"),
            known => format!("there is no tool {name:?}; there are: {}", known.join(", ")),
        };
        ToolError::new(ToolFault::Unknown, "tool_not_found", message)
    }
}
