//! The gateway: built once from a configuration, and the only thing a door holds.
//!
//! It knows the providers, routes a request to one of them, and keeps their lists of models fresh. It speaks no protocol
//! of its own: doors translate theirs into one call here.

mod act;
mod tool_call;
mod vision;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use owl_egress::policy::HostPattern;
use owl_egress::tls::TlsOptionsError;
use owl_egress::{EgressError, Network, PolicyRules};
use owl_wire::{FormFacts, FormUrl, JsonError, RequestFacts};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

pub use self::act::{ActRequest, Acted};
use self::tool_call::CallRecord;
use crate::config::{Budget, ClientKey, MediaConfig, ProviderConfig, ToolsConfig};
use crate::context::RequestContext;
use crate::conversations::Conversations;
use crate::media::{Inlined, Media, SettleError};
use crate::provider::forward::{ForwardBody, Outgoing, Renamed};
use crate::provider::{Failure, ModelTable, Provider, Reachability, Route};
use crate::tools::{Approval, Asker, Progress, ToolCall, ToolError, ToolResult, ToolSet, ToolStartError};

/// How soon a provider that failed is asked again; doubled up to its `modelsRefresh`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Why an encoded body is not taken.
const ENCODED: &str = "it has a Content-Encoding, and Owl reads none; send it without compression";

/// Everything that requests need.
#[derive(Debug)]
pub struct Gateway {
    providers: Vec<Arc<Provider>>,
    table: ArcSwap<ModelTable>,
    media: Media,
    tools: ToolSet,
    budget: Budget,
    conversations: Arc<Conversations>,
    /// The tools that the requests of a client key offer unasked.
    auto_tools: HashMap<String, Vec<String>>,
}

/// A request as a door hands it in.
#[derive(Debug)]
pub struct GatewayRequest {
    /// The method.
    pub method: Method,
    /// The path below `/v1/`, with its query, as it was sent.
    pub path: String,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The provider that the client named, if it did.
    pub provider: Option<String>,
}

/// A call of a tool as a door hands it in.
#[derive(Clone, Copy)]
pub struct ToolRequest<'a> {
    /// The tool's name, or another that it answers to.
    pub name: &'a str,
    /// Its arguments.
    pub arguments: &'a Map<String, Value>,
    /// Who chose them.
    pub asker: Asker,
    /// Whether pictures can be handed to the one who asks.
    pub sees: bool,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// Who is asked before it goes to a private address, where the operator leaves that to a person.
    pub approval: Option<&'a dyn Approval>,
}

/// Where a request goes, for the record.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model as the client called it.
    pub model: Option<String>,
    /// Whether the answer was asked for as a stream.
    pub stream: bool,
    /// What was put into the body in place of URLs.
    pub inlined: Inlined,
}

/// A routed request: first where it goes, then the call.
#[derive(Debug)]
pub struct Routed {
    /// Where it goes.
    pub destination: Destination,
    outgoing: Outgoing,
}

/// Why a gateway cannot be built or started.
#[derive(Debug)]
pub enum StartError {
    /// A TLS file of this provider cannot be used.
    Tls {
        /// The provider.
        provider: String,
        /// The file and what is wrong with it.
        error: TlsOptionsError,
    },
    /// The system's authorities cannot be used for the URLs in requests.
    Media(TlsOptionsError),
    /// A tool.
    Tool(ToolStartError),
    /// The policy of this provider refuses its own address.
    Denied {
        /// The provider.
        provider: String,
        /// The refusal.
        denied: Box<owl_egress::Denied>,
    },
    /// The policy in this provider's `auth` refuses its token URL.
    TokenUrlDenied {
        /// The provider.
        provider: String,
        /// The refusal.
        denied: Box<owl_egress::Denied>,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { provider, error } => write!(f, "models.providers.{provider}.{error}"),
            Self::Media(error) => write!(f, "gateway.{error}"),
            Self::Tool(error) => error.fmt(f),
            Self::Denied { provider, denied } => write!(f, "provider {provider}: {denied}"),
            Self::TokenUrlDenied { provider, denied } => {
                write!(f, "provider {provider}: auth.tokenUrl (its policy keys stand beside it, in `auth`): {denied}")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl Gateway {
    /// Builds the gateway; connects to nothing. Every connection of its providers and their token URLs goes through
    /// `network`.
    ///
    /// # Errors
    /// The first TLS file that cannot be used.
    pub fn new(providers: Vec<ProviderConfig>, network: &Network) -> Result<Self, StartError> {
        let build = |mut config: ProviderConfig| {
            config.upstream.network = network.clone();
            let id = config.upstream.name.clone();
            Provider::new(config).map(Arc::new).map_err(|error| StartError::Tls { provider: id, error })
        };
        let providers = providers.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let table = ArcSwap::from_pointee(ModelTable::build(&providers));
        let media = Media::new(MediaConfig::default(), PolicyRules::default(), network).map_err(StartError::Media)?;
        Ok(Self {
            providers,
            table,
            media,
            tools: ToolSet::default(),
            budget: Budget::default(),
            conversations: Arc::default(),
            auto_tools: HashMap::new(),
        })
    }

    /// What becomes of URLs in requests; without this, they are fetched under the default policy.
    ///
    /// # Errors
    /// The system's authorities cannot be used.
    pub fn with_media(
        mut self,
        config: MediaConfig,
        rules: PolicyRules,
        network: &Network,
    ) -> Result<Self, StartError> {
        self.media = Media::new(config, rules, network).map_err(StartError::Media)?;
        Ok(self)
    }

    /// The tools for models; without this there are none.
    ///
    /// # Errors
    /// The first tool that cannot be built.
    pub fn with_tools(mut self, config: ToolsConfig, network: &Network) -> Result<Self, StartError> {
        self.budget = config.budget;
        self.tools = ToolSet::new(config, network).map_err(StartError::Tool)?;
        Ok(self)
    }

    /// The tools that the requests of each client key offer unasked, by the key's name.
    #[must_use]
    pub fn with_auto_tools(mut self, keys: &[ClientKey]) -> Self {
        let offered = keys.iter().filter(|key| !key.auto_tools.is_empty());
        self.auto_tools = offered.map(|key| (key.name.clone(), key.auto_tools.clone())).collect();
        self
    }

    /// What is remembered of conversations; without this, it is kept in memory.
    #[must_use]
    pub fn with_conversations(mut self, conversations: Conversations) -> Self {
        self.conversations = Arc::new(conversations);
        self
    }

    /// What is remembered of conversations.
    pub fn conversations(&self) -> &Arc<Conversations> {
        &self.conversations
    }

    /// The tools for models, built already.
    #[must_use]
    pub fn with_tool_set(mut self, tools: ToolSet) -> Self {
        self.tools = tools;
        self
    }

    /// The tools for models.
    pub fn tools(&self) -> &ToolSet {
        &self.tools
    }

    /// The providers, in the configuration's order.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// The provider of this name.
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.id() == id)
    }

    /// Judges the addresses of every provider and of the tools' configuration before anything connects. A name that does not resolve now is only a warning: it
    /// is judged again on every connection.
    ///
    /// # Errors
    /// All refusals.
    pub async fn admit(&self) -> Result<(), Vec<StartError>> {
        let judge = async |provider: &Arc<Provider>| {
            let client = provider.client();
            tokio::join!(client.admit_base_url(), client.admit_token_url())
        };
        let judged = join_all(self.providers.iter().map(judge)).await;
        let mut refused = Vec::new();
        for (provider, (own, token)) in self.providers.iter().zip(judged) {
            for warning in provider.client().tls_warnings() {
                tracing::warn!(provider = %provider.id(), "{warning}");
            }
            let id = || provider.id().to_owned();
            match own {
                Ok(_) => {}
                Err(EgressError::Denied(denied)) => refused.push(StartError::Denied { provider: id(), denied }),
                Err(error) => tracing::warn!(provider = %provider.id(), "provider is not ready: {error}"),
            }
            match token {
                None | Some(Ok(_)) => {}
                Some(Err(EgressError::Denied(denied))) => {
                    refused.push(StartError::TokenUrlDenied { provider: id(), denied });
                }
                Some(Err(error)) => tracing::warn!(provider = %provider.id(), "its token URL is not ready: {error}"),
            }
        }
        if let Err(tools) = self.tools.admit().await {
            refused.extend(tools.into_iter().map(StartError::Tool));
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The model table as it is now.
    pub fn table(&self) -> Arc<ModelTable> {
        self.table.load_full()
    }

    /// The model table after every provider was asked at least once.
    pub async fn complete_table(&self) -> Arc<ModelTable> {
        let unread = self.providers.iter().filter(|provider| !provider.known().was_read());
        join_all(unread.map(|provider| self.refresh(provider))).await;
        self.table()
    }

    /// Asks every provider for its models now.
    pub async fn refresh_all(&self) {
        join_all(self.providers.iter().map(|provider| self.refresh(provider))).await;
    }

    async fn refresh(&self, provider: &Arc<Provider>) {
        if provider.refresh_models().await {
            // Two that refresh at once must not store the older table last.
            self.table.rcu(|_| ModelTable::build(&self.providers));
        }
    }

    /// Whether any provider answered when it was asked last.
    pub fn is_ready(&self) -> bool {
        let answers = |provider: &Arc<Provider>| matches!(provider.known().reachability(), Reachability::Answers(_));
        self.providers.iter().any(answers)
    }

    /// Keeps the lists of models fresh; the tasks end when the set is dropped.
    pub fn keep_fresh(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for provider in &self.providers {
            tasks.spawn(keep_fresh(Arc::clone(self), Arc::clone(provider)));
        }
        tasks
    }

    /// Finds out where a request goes, and makes it ready to go there: with the name that its model has there, and with
    /// what its URLs lead to in their place.
    ///
    /// # Cancel safety
    /// Dropping the future ends what is being fetched at once.
    ///
    /// # Errors
    /// [`Failure`]: an unusable body or path, an unknown model or provider, a URL that is refused or cannot be had.
    pub async fn route(&self, ctx: &RequestContext, request: GatewayRequest) -> Result<Routed, Failure> {
        let GatewayRequest { method, path, headers, body, provider, .. } = request;
        if leaves_the_api(&path) {
            return Err(Failure::Path);
        }
        if self.media.is_on() && is_encoded(&headers) && !body.is_empty() {
            return Err(Failure::Body { reason: ENCODED.to_owned(), field: None });
        }
        let facts = Facts::read(&headers, &body)?;
        if let Some(found) = &facts.form_url {
            self.media.admit_form(ctx, found).map_err(|failure| Failure::Media(Box::new(failure)))?;
        }
        let named = facts.model.as_ref().map(|model| model.name.as_str());
        let (provider, upstream_name) = self.locate(provider.as_deref(), named).await?;
        let (stream, media) = (facts.stream, facts.media);
        let model = facts.model.as_ref().map(|model| model.name.clone());
        let (body, renamed) = match (facts.model, upstream_name) {
            (Some(model), Some(upstream)) if *model.name != *upstream => {
                let body = model.replaced(&body, &upstream);
                (body, Some(Renamed { client: model.name, upstream }))
            }
            _ => (body, None),
        };
        let (body, inlined) = if media { self.settle(ctx, body).await? } else { (body, Inlined::default()) };
        let destination = Destination { provider, model, stream, inlined };
        Ok(Routed { destination, outgoing: Outgoing { method, path, headers, body, renamed } })
    }

    /// The provider that a request is for, and what it calls the model.
    async fn locate(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(Arc<Provider>, Option<Arc<str>>), Failure> {
        let named = provider.map(|name| self.named(name)).transpose()?;
        Ok(match (named, model) {
            (Some(provider), Some(model)) => (Arc::clone(provider), Some(self.name_at(provider, model)?)),
            (Some(provider), None) => (Arc::clone(provider), None),
            (None, Some(model)) => {
                let route = self.find(model).await?;
                (route.provider, Some(route.upstream_name))
            }
            (None, None) => (self.only_provider()?, None),
        })
    }

    async fn settle(&self, ctx: &RequestContext, body: Bytes) -> Result<(Bytes, Inlined), Failure> {
        self.media.settle(ctx, body).await.map_err(|error| match error {
            SettleError::NotJson(error) => Failure::Body { reason: error.to_string(), field: None },
            SettleError::Media(failure) => Failure::Media(Box::new(failure)),
        })
    }

    /// Sends a routed request.
    ///
    /// # Cancel safety
    /// Dropping the future or the answer's body ends the upstream's work at once.
    ///
    /// # Errors
    /// [`Failure::Upstream`].
    pub async fn forward(&self, ctx: &RequestContext, routed: Routed) -> Result<Response<ForwardBody>, Failure> {
        routed.destination.provider.forward(ctx, routed.outgoing).await
    }

    /// Calls a tool, and leaves a line in the log.
    ///
    /// # Cancel safety
    /// Dropping the future ends what the tool does at once.
    ///
    /// # Errors
    /// [`ToolError`]: there is no such tool, or its own failure.
    pub async fn call_tool(&self, ctx: &RequestContext, asked: ToolRequest<'_>) -> Result<ToolResult, ToolError> {
        let ToolRequest { name, arguments, asker, sees, progress, approval } = asked;
        let mut record = CallRecord::begin(ctx, name);
        let call = ToolCall { ctx, asker, sees, vision: self, progress, granted: &[], arguments };
        let mut result = self.tools.call(name, call).await;
        let mut granted = Vec::new();
        // What it redirects to may be another private host: each is asked about.
        while let Err(refused) = &mut result
            && let Some(destination) = self.askable(name, arguments, refused)
            && !granted.contains(destination)
        {
            let Some(approval) = approval else {
                refused.hint = Some("it is left to a person here: `owl chat` at a terminal asks".to_owned());
                break;
            };
            if !approval.ask(name, destination).await {
                break;
            }
            granted.push(destination.clone());
            result = self.tools.call(name, ToolCall { granted: &granted, ..call }).await;
        }
        record.note(&result);
        result
    }

    /// What was refused, where that is for a person to open: the operator says so, and the call did not say that it wants nothing
    /// private.
    fn askable<'a>(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
        refused: &'a ToolError,
    ) -> Option<&'a HostPattern> {
        let asks = self.tools.get(tool)?.asks() && arguments.get("allowPrivateNetwork") != Some(&Value::Bool(false));
        refused.private.as_deref().filter(|_| asks)
    }

    fn named(&self, name: &str) -> Result<&Arc<Provider>, Failure> {
        self.provider(name)
            .ok_or_else(|| Failure::UnknownProvider { name: name.to_owned(), known: self.provider_ids() })
    }

    fn only_provider(&self) -> Result<Arc<Provider>, Failure> {
        match self.providers.as_slice() {
            [only] => Ok(Arc::clone(only)),
            _ => Err(Failure::NoProviderNamed { known: self.provider_ids() }),
        }
    }

    fn provider_ids(&self) -> Vec<String> {
        self.providers.iter().map(|provider| provider.id().to_owned()).collect()
    }

    /// What `provider` calls the model that the client calls `name`.
    fn name_at(&self, provider: &Arc<Provider>, name: &str) -> Result<Arc<str>, Failure> {
        let bare = name.strip_prefix(provider.id()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        let table = self.table();
        match table.get(&format!("{}/{bare}", provider.id())) {
            Some(route) => Ok(Arc::clone(&route.upstream_name)),
            None if provider.models_config().all => Ok(bare.into()),
            None => {
                Err(Failure::UnknownModel { model: name.to_owned(), similar: table.similar(name), unread: Vec::new() })
            }
        }
    }

    /// No list has `name`; where a list is missing, that is no answer for good.
    pub fn unknown_model(&self, name: &str, table: &ModelTable) -> Failure {
        let may_have_it = |provider: &&Arc<Provider>| provider.models_config().all && !provider.known().was_listed();
        let unread = self.providers.iter().filter(may_have_it).map(|provider| provider.id().to_owned()).collect();
        Failure::UnknownModel { model: name.to_owned(), similar: table.similar(name), unread }
    }

    async fn find(&self, name: &str) -> Result<Route, Failure> {
        if let Some(route) = self.table.load().get(name) {
            return Ok(route.clone());
        }
        if let Some(route) = self.open_route(name) {
            return Ok(route);
        }
        let table = self.complete_table().await;
        match table.get(name) {
            Some(route) => Ok(route.clone()),
            None => Err(self.unknown_model(name, &table)),
        }
    }

    /// The route of a name that no list holds, where a provider takes any: `provider/model`, or the only provider. The
    /// upstream then answers for itself: many load models on demand, or ignore the name.
    fn open_route(&self, name: &str) -> Option<Route> {
        let prefixed = name.split_once('/').and_then(|(id, model)| Some((self.provider(id)?, model)));
        let (provider, model) = match (prefixed, self.providers.as_slice()) {
            (Some(prefixed), _) => prefixed,
            (None, [only]) => (only, name),
            (None, _) => return None,
        };
        let open = provider.models_config().all && !model.is_empty();
        open.then(|| Route { provider: Arc::clone(provider), upstream_name: model.into() })
    }
}

async fn keep_fresh(gateway: Arc<Gateway>, provider: Arc<Provider>) {
    let regular = provider.models_config().refresh;
    let mut retry = FIRST_RETRY;
    loop {
        gateway.refresh(&provider).await;
        let wait = match provider.known().reachability() {
            Reachability::Fails(_) => {
                let wait = retry.min(regular);
                retry = retry.saturating_mul(2);
                wait
            }
            Reachability::Answers(_) | Reachability::Unknown => {
                retry = FIRST_RETRY;
                regular
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What Owl acts on in a body.
struct Facts {
    model: Option<NamedModel>,
    stream: bool,
    /// There may be URLs that the server would fetch.
    media: bool,
    /// A form's URL that the server would fetch.
    form_url: Option<FormUrl>,
}

/// The model's name and where it stands.
struct NamedModel {
    name: String,
    span: std::ops::Range<usize>,
    in_form: bool,
}

impl NamedModel {
    fn replaced(&self, body: &Bytes, name: &str) -> Bytes {
        if self.in_form {
            owl_wire::multipart::splice(body, self.span.clone(), name)
        } else {
            owl_wire::request::splice(body, self.span.clone(), name)
        }
    }
}

impl Facts {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Failure> {
        let none = Self { model: None, stream: false, media: false, form_url: None };
        if body.is_empty() {
            return Ok(none);
        }
        let content_type = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = content_type.as_deref().unwrap_or("");
        let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let unusable = |reason: String| Failure::Body { reason, field: None };
        let first = first_letter(body);
        if media == "multipart/form-data" {
            // Before the first boundary anything may stand, and some servers read JSON whatever it is called.
            if matches!(first, Some(b'{' | b'[')) {
                return Err(unusable("it is called a form, and begins as JSON does".to_owned()));
            }
            let facts = FormFacts::scan(content_type, body).map_err(|error| unusable(error.to_string()))?;
            let model =
                facts.model.map(|model| NamedModel { name: model.name.into_owned(), span: model.span, in_form: true });
            return Ok(Self { model, stream: facts.stream == Some(true), media: false, form_url: facts.url });
        }
        // Clients that forget the type, or write text/plain, mean JSON all the same when it is an object or an array.
        let is_text = media.is_empty() || media.starts_with("text/");
        let meant_as_json = media.ends_with("json") || first == Some(b'{') || (is_text && first == Some(b'['));
        if !meant_as_json {
            return Ok(none);
        }
        let facts = match RequestFacts::scan(body) {
            Ok(facts) => facts,
            // An array, say, names no model; it may still be what some endpoint takes.
            Err(JsonError::NotAnObject) => return Ok(Self { media: true, ..none }),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let model =
            facts.model.map(|model| NamedModel { name: model.name.into_owned(), span: model.span, in_form: false });
        Ok(Self { model, stream: facts.stream == Some(true), media: facts.media, form_url: None })
    }
}

/// Whether the body is compressed, say: some servers decode what Owl would have passed on unread.
fn is_encoded(headers: &HeaderMap) -> bool {
    let is_plain = |value: &HeaderValue| {
        let coding = value.as_bytes().trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain)
}

/// Marks of byte order and zeros are skipped: some servers read such bodies as JSON whatever they are called, and Owl, which
/// does not, must not pass them on unread.
fn first_letter(body: &[u8]) -> Option<u8> {
    let skipped = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff);
    body.iter().copied().find(|byte| !skipped(byte))
}

/// Whether the path, decoded as the next server may decode it, has a `.` or `..` segment.
fn leaves_the_api(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    decoded.split(['/', '\\']).any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check_text;

    #[tokio::test]
    async fn a_refused_token_url_is_not_blamed_on_the_base_url() {
        let refusals = async |provider: &str, auth: &str| {
            let text = format!(
                "{{ models: {{ providers: {{ owl: {{ baseUrl: \"http://127.0.0.1:8000\", allowPrivateNetwork: {provider},\n\
                 auth: {{ type: \"oauth2\", tokenUrl: \"http://127.0.0.1:8000/token\", clientId: \"owl\", clientSecret: \"s\",\n\
                 allowPrivateNetwork: {auth} }} }} }} }} }}"
            );
            let config = check_text(text.as_bytes()).expect("right");
            let gateway = Gateway::new(config.providers, &Network::default()).expect("no files");
            let refused = gateway.admit().await.err().unwrap_or_default();
            refused.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(refusals("true", "true").await.is_empty());
        let token = refusals("true", "false").await;
        assert!(matches!(token.as_slice(), [only] if only.starts_with("provider owl: auth.tokenUrl (")), "{token:?}");
        let own = refusals("false", "true").await;
        assert!(
            matches!(own.as_slice(), [only] if only.starts_with("provider owl: ") && !only.contains("auth")),
            "{own:?}"
        );
        assert_eq!(refusals("false", "false").await.len(), 2);
    }
}
