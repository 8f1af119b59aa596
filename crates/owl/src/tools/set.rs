//! The tools that are switched on, and how one is called.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use owl_egress::Network;
use owl_egress::rate::{Rate, RateLimited, RateLimiter, RateLimits};
use owl_egress::tls::TlsOptionsError;

use super::image::Image;
use super::web_fetch::WebFetch;
use super::web_search::WebSearch;
use super::{Tool, ToolCall, ToolError, ToolFault, ToolResult, arguments};
use crate::config::ToolsConfig;
use crate::context::Principal;

/// The tools that are switched on.
#[derive(Clone, Debug, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
    /// How often each of them may be called by one client, in the same order.
    rates: Vec<Option<Arc<RateLimiter>>>,
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

/// Without a rate for any of them.
impl FromIterator<Arc<dyn Tool>> for ToolSet {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Tool>>>(tools: I) -> Self {
        Self { tools: tools.into_iter().collect(), rates: Vec::new() }
    }
}

impl ToolSet {
    /// Builds what is switched on; connects to nothing.
    ///
    /// # Errors
    /// The first TLS file that cannot be used.
    pub fn new(config: ToolsConfig, network: &Network) -> Result<Self, ToolStartError> {
        let ToolsConfig { fetch, search, image, budget: _ } = config;
        let mut set = Self::default();
        if let Some(config) = fetch {
            set.add(config.rate, WebFetch::new(config, network)?);
        }
        if let Some(config) = image {
            set.add(config.rate, Image::new(config, network)?);
        }
        if let Some(config) = search {
            set.add(config.rate, WebSearch::new(config, network)?);
        }
        Ok(set)
    }

    fn add(&mut self, rate: Option<Rate>, tool: impl Tool + 'static) {
        let limits = |rate| RateLimits { per_key: Some(rate), per_destination: None, per_private_destination: None };
        self.tools.push(Arc::new(tool));
        self.rates.push(rate.map(|rate| Arc::new(RateLimiter::new(limits(rate)))));
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
        self.find(name).map(|at| &self.tools[at])
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.tools.iter().position(|tool| {
            let definition = tool.definition();
            definition.name == name || definition.aliases.contains(&name)
        })
    }

    /// Calls the tool that answers to `name`, with its arguments as its schema wants them, if this client does not call it
    /// too often.
    ///
    /// # Cancel safety
    /// Dropping the future ends what the tool does at once.
    ///
    /// # Errors
    /// [`ToolError`]: there is no such tool, the arguments are wrong, it is called too often, or its own failure.
    pub async fn call(&self, name: &str, call: ToolCall<'_>) -> Result<ToolResult, ToolError> {
        let at = self.find(name).ok_or_else(|| self.unknown(name))?;
        let tool = &self.tools[at];
        let arguments = arguments::settle(&tool.definition().parameters, call.arguments)?;
        if let Some(Some(rate)) = self.rates.get(at) {
            let limited = |limited| too_often(tool.definition().name, limited);
            rate.admit(&client(&call.ctx.principal), "", Instant::now()).map_err(limited)?;
        }
        tool.call(ToolCall { arguments: &arguments, ..call }).await
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

/// Whose bucket a call is counted in.
fn client(principal: &Principal) -> String {
    match principal {
        Principal::Key(name) => format!("key {name}"),
        Principal::Local | Principal::Stranger => principal.name().to_owned(),
    }
}

fn too_often(tool: &str, limited: RateLimited) -> ToolError {
    let message = format!("{tool} is called too often; try again in {} s", limited.retry_after_seconds());
    let retry_after = Some(limited.retry_after);
    ToolError { retry_after, ..ToolError::new(ToolFault::RateLimited, "rate_limited", message) }
}
