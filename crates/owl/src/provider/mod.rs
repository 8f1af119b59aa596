//! Providers: the inference servers behind Owl.
//!
//! A [`Provider`] is a configured upstream and what is known of it: its models and whether it answers. [`table`] turns a
//! model's name into a route, [`forward`] passes a request through, [`models`] keeps the list fresh, [`failure`] says
//! what can go wrong. Nothing here knows of HTTP statuses that clients see, or of other doors.

pub mod failure;
pub mod forward;
pub mod models;
pub mod support;
pub mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;
use owl_egress::tls::TlsOptionsError;
use owl_egress::{UpstreamClient, UpstreamOptions};
use tokio::sync::Mutex;

use crate::config::{CompatConfig, ModelsConfig, ProviderConfig};

pub use failure::{Failure, UpstreamFailure};
pub use models::{KnownModels, Reachability};
pub use support::Support;
pub use table::{ModelTable, Route};

/// One inference server.
#[derive(Debug)]
pub struct Provider {
    id: Arc<str>,
    client: UpstreamClient,
    models: ModelsConfig,
    responses: Support,
    messages: Support,
    compat: CompatConfig,
    auto_tools: Vec<String>,
    known: ArcSwap<KnownModels>,
    /// Held while the list is read, so that many requests cause one reading.
    reading: Mutex<()>,
}

impl Provider {
    /// Builds the provider; connects to nothing.
    ///
    /// # Errors
    /// A TLS file that cannot be used.
    pub fn new(config: ProviderConfig) -> Result<Self, TlsOptionsError> {
        let ProviderConfig { upstream, models, responses, messages, compat, auto_tools } = config;
        let UpstreamOptions { name, .. } = &upstream;
        let id = Arc::from(name.as_str());
        let known = ArcSwap::from_pointee(KnownModels::unread(&models));
        Ok(Self {
            id,
            client: UpstreamClient::new(upstream)?,
            models,
            responses: Support::new(responses),
            messages: Support::new(messages),
            compat,
            auto_tools,
            known,
            reading: Mutex::new(()),
        })
    }

    /// The name it has in the configuration.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The way to it.
    pub fn client(&self) -> &UpstreamClient {
        &self.client
    }

    /// What the configuration says of its models.
    pub fn models_config(&self) -> &ModelsConfig {
        &self.models
    }

    /// Whether it has the Responses API.
    pub fn responses(&self) -> &Support {
        &self.responses
    }

    /// Whether it has Anthropic's Messages API.
    pub fn messages(&self) -> &Support {
        &self.messages
    }

    /// What its server gets wrong.
    pub fn compat(&self) -> &CompatConfig {
        &self.compat
    }

    /// The tools of Owl's that every request to it offers unasked.
    pub fn auto_tools(&self) -> &[String] {
        &self.auto_tools
    }

    /// What is known of its models now.
    pub fn known(&self) -> Arc<KnownModels> {
        self.known.load_full()
    }
}
