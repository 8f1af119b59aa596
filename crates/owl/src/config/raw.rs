//! The configuration as it was typed. These types are the one source of the JSON Schema, of docs/configuration.md, of the
//! shape check and of `owl config show`; a key that is not here is an unknown key.
//!
//! What a value *means* is decided in `build.rs` and `provider.rs`. A doc comment here is what people read about the key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw_agent::{RawApi, RawAutoTools, RawCompat, RawCompatTable};
use super::raw_egress::{RawEgress, RawMedia};
use super::raw_store::RawStore;
use super::raw_tools::RawTools;
use super::raw_value::{List, RawBaseUrl, RawDuration, RawPatience, RawSecret, RawSize};

/// Owl's configuration.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    pub(crate) gateway: RawGateway,
    pub(crate) models: RawModels,
    pub(crate) tools: RawTools,
    pub(crate) egress: RawEgress,
    /// Where Owl keeps what it remembers, above all the audit log: a path, `"none"`, or an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/var/lib/owl/owl.db")]
    pub(crate) store: Option<RawStore>,
    pub(crate) log: RawLog,
}

/// The side that clients talk to. The policy keys among these (from `allowPrivateNetwork` on) are for URLs that clients put
/// into requests, such as `image_url`; providers have their own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawGateway {
    /// The address and port to listen on. An address other than loopback needs at least one key under `keys`.
    #[schemars(example = &"0.0.0.0:6950")]
    pub(crate) listen: String,
    /// The keys that clients show, as `Authorization: Bearer …` or `x-api-key: …`. Without any, Owl asks for none and
    /// listens on loopback only.
    #[schemars(example = [serde_json::json!({ "name": "ci", "key": "${OWL_GATEWAY_KEY}" })])]
    pub(crate) keys: List<RawClientKey>,
    /// The listener's certificate. Without it Owl speaks cleartext HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "cert": "owl.pem", "key": "owl.key" }))]
    pub(crate) tls: Option<RawServerTls>,
    /// Lets pages of other origins call Owl from a browser. Without it no such page can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "origins": ["https://app.corp.example"] }))]
    pub(crate) cors: Option<RawCors>,
    /// What one client may ask for.
    pub(crate) limits: RawLimits,
    /// How long running answers may go on after SIGTERM before they are cut off.
    #[schemars(example = &"2m")]
    pub(crate) drain_timeout: RawDuration,
    /// What becomes of http(s) URLs in requests (`image_url`, `file`, `video_url` …): `"inline"`, `"forward"`, `"refuse"`, or
    /// an object with limits. A word alone has the object's defaults as limits.
    #[schemars(example = serde_json::json!({ "mode": "inline", "maxCount": 4 }))]
    pub(crate) media: RawMedia,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy,
}

impl Default for RawGateway {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:6950".to_owned(),
            keys: List::default(),
            tls: None,
            cors: None,
            limits: RawLimits::default(),
            drain_timeout: RawDuration::new("30s"),
            media: RawMedia::default(),
            policy: RawPolicy::default(),
        }
    }
}

/// One client's key.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawClientKey {
    /// What the key is called in logs; each name once.
    #[schemars(example = &"ci")]
    pub(crate) name: String,
    /// The key itself; each key once.
    #[schemars(example = &"${OWL_GATEWAY_KEY}")]
    pub(crate) key: RawSecret,
    /// The tools of Owl's that this client's requests offer to the model without asking for them.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "auto": ["web_search"] }))]
    pub(crate) tools: RawAutoTools,
}

/// The listener's certificate.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawServerTls {
    /// A PEM file with the certificate and its chain. Relative paths start at the configuration's folder.
    #[schemars(example = &"owl.pem")]
    pub(crate) cert: String,
    /// A PEM file with the certificate's private key.
    #[schemars(example = &"owl.key")]
    pub(crate) key: String,
}

/// Cross-origin requests from browsers.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawCors {
    /// The origins that may call Owl, as `scheme://host:port`, or `["*"]` for every one.
    #[schemars(example = ["https://app.corp.example"])]
    pub(crate) origins: List<String>,
}

/// What one client may ask for.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawLimits {
    /// The largest request body; a larger one is answered with 413.
    #[schemars(example = &"256MiB")]
    pub(crate) request_body: RawSize,
    /// The largest request line and headers together; from 8KiB to 16MiB.
    #[schemars(example = &"128KiB")]
    pub(crate) request_headers: RawSize,
    /// How many connections may be open at a time; more wait to be accepted.
    #[schemars(range(min = 1, max = 1_000_000), example = 500)]
    pub(crate) connections: usize,
    /// How long a client may take to send a request's headers; an idle connection is closed after the same time.
    #[schemars(example = &"10s")]
    pub(crate) header_timeout: RawDuration,
    /// How long a client may pause while it sends a request's body. The whole body may take this time, and as long again
    /// for every 64 KiB that have come.
    #[schemars(example = &"10s")]
    pub(crate) body_timeout: RawDuration,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            request_body: RawSize::Text("64MiB".to_owned()),
            request_headers: RawSize::Text("64KiB".to_owned()),
            connections: 10_000,
            header_timeout: RawDuration::new("60s"),
            body_timeout: RawDuration::new("30s"),
        }
    }
}

/// Where models come from.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawModels {
    /// The inference servers, each under an id of `a-z`, `0-9`, `.`, `_` and `-`. Clients may ask for a model as `id/model`. The
    /// id `owl` needs no file: `OWL_BASE_URL` and the other variables describe it.
    #[schemars(extend("x-key" = "<id>"))]
    pub(crate) providers: BTreeMap<String, RawProvider>,
}

/// One inference server.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawProvider {
    /// Where its API begins. `/v1` is added unless the path already has a version such as `v1`. With `user:password@` in it, that
    /// becomes Basic authentication.
    #[schemars(example = &"https://llm.corp.example/v1")]
    pub(crate) base_url: RawBaseUrl,
    /// The key that `auth` sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${OWL_API_KEY}")]
    pub(crate) api_key: Option<RawSecret>,
    /// How Owl authenticates: always what is written here, never guessed from the key. Without it: `"bearer"` with an `apiKey`,
    /// `"none"` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "type": "basic", "username": "svc-owl", "password": { "file": "/run/secrets/owl" } }))]
    pub(crate) auth: Option<RawAuth>,
    /// Headers that every request to this server carries.
    #[serde(default)]
    #[schemars(extend("x-key" = "<header>"), example = serde_json::json!({ "X-Team": "search" }))]
    pub(crate) headers: BTreeMap<String, RawSecret>,
    /// Certificates, for an `https://` address.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "ca": "corp-ca.pem", "clientCert": "owl.pem", "clientKey": "owl.key" }))]
    pub(crate) tls: RawTls,
    /// The models that clients may use: `"*"` is whatever the server lists under `/models`, a name is that model, and an object
    /// gives a model another name.
    #[serde(default = "all_models")]
    #[schemars(example = serde_json::json!(["*", { "id": "chat", "upstream": "Qwen/Qwen3-8B" }]))]
    pub(crate) models: List<RawModel>,
    /// How often the list of models is read again.
    #[serde(default = "minute")]
    #[schemars(example = &"5m")]
    pub(crate) models_refresh: RawDuration,
    /// Whether the server has the Responses API: `"native"` forwards every request, `"chat"` has Owl answer over chat completions, and
    /// `"auto"` forwards until the server says that it has none. Where a request asks for tools of Owl's, Owl answers in any case.
    #[serde(default)]
    #[schemars(example = &"chat")]
    pub(crate) responses: RawApi,
    /// The same for Anthropic's Messages API.
    #[serde(default)]
    #[schemars(example = &"chat")]
    pub(crate) messages: RawApi,
    /// What the server gets wrong: `"auto"`, or an object. `owl check` finds out what to write.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "toolCalls": "hermes", "developerRole": false }))]
    pub(crate) compat: RawCompat,
    /// The tools of Owl's that every request to this server offers to the model without asking for them.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "auto": ["web_search"] }))]
    pub(crate) tools: RawAutoTools,
    /// How long Owl waits for this server.
    #[serde(default)]
    pub(crate) timeouts: RawTimeouts,
    /// How long an idle connection is kept. Keep it under the server's own limit: uvicorn (vLLM, SGLang) closes after 5 s.
    #[serde(default = "three_seconds")]
    #[schemars(example = &"2s")]
    pub(crate) idle_timeout: RawDuration,
    /// How many idle connections are kept.
    #[serde(default = "sixty_four")]
    #[schemars(range(max = 100_000), example = 8)]
    pub(crate) max_idle_connections: usize,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy,
}

fn all_models() -> List<RawModel> {
    List::one(RawModel::Name("*".to_owned()))
}

fn minute() -> RawDuration {
    RawDuration::new("60s")
}

fn three_seconds() -> RawDuration {
    RawDuration::new("3s")
}

fn sixty_four() -> usize {
    64
}

/// How Owl authenticates.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawAuth {
    Kind(RawAuthKind),
    Table(RawAuthTable),
}

/// The kinds that need nothing but `apiKey`.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawAuthKind {
    None,
    Bearer,
    Basic,
}

/// The kinds with details of their own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) enum RawAuthTable {
    /// Nothing is sent.
    None {},
    /// `Authorization: Bearer …`.
    Bearer {
        /// The key; without it, `apiKey`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"${VLLM_KEY}")]
        key: Option<RawSecret>,
    },
    /// `Authorization: Basic …`, in UTF-8 (RFC 7617).
    Basic {
        /// The user name: any text without a colon.
        #[schemars(example = &"svc-owl")]
        username: String,
        /// The password: any text, colons included.
        #[schemars(example = serde_json::json!({ "file": "/run/secrets/owl" }))]
        password: RawSecret,
    },
    /// Any header, such as `X-API-Key: …` or `Authorization: Key …`.
    Header {
        /// The header's name.
        #[schemars(example = &"X-API-Key")]
        name: String,
        /// The header's whole value; without it, `apiKey`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"Key ${OWL_API_KEY}")]
        value: Option<RawSecret>,
    },
    /// A token from an OAuth 2.0 client-credentials grant, sent as Bearer.
    OAuth2(Box<RawOAuth2>),
}

/// An OAuth 2.0 client-credentials grant.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawOAuth2 {
    /// Where tokens come from. The policy keys beside it are for this address; the provider's do not reach it.
    #[schemars(example = &"https://login.corp.example/oauth2/token")]
    pub(crate) token_url: String,
    /// The client's id.
    #[schemars(example = &"owl")]
    pub(crate) client_id: String,
    /// The client's secret.
    #[schemars(example = &"${OWL_CLIENT_SECRET}")]
    pub(crate) client_secret: RawSecret,
    /// The scopes to ask for.
    #[serde(default)]
    #[schemars(example = ["inference"])]
    pub(crate) scopes: List<String>,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy,
}

/// Certificates towards a server of the operator's.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawTls {
    /// A PEM file of certificate authorities. They replace the system's for this server. Relative paths start at the
    /// configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp-ca.pem")]
    pub(crate) ca: Option<String>,
    /// A PEM file with the client certificate and its chain; it may hold the private key too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"owl.pem")]
    pub(crate) client_cert: Option<String>,
    /// A PEM file with the client certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"owl.key")]
    pub(crate) client_key: Option<String>,
    /// The name that the server's certificate must have, where it is not the address's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"llm.corp.example")]
    pub(crate) server_name: Option<String>,
}

/// How long Owl waits for an inference server.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawTimeouts {
    /// From the name's lookup to the end of the TLS handshake.
    #[schemars(example = &"10s")]
    pub(crate) connect: RawDuration,
    /// From the moment the request begins to be sent to the head of the answer, or `"unlimited"`. Slow models take minutes.
    #[schemars(example = &"10m")]
    pub(crate) first_byte: RawPatience,
    /// Between two pieces of an answer, or `"unlimited"`.
    #[schemars(example = &"60s")]
    pub(crate) between_bytes: RawPatience,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        Self {
            connect: RawDuration::new("5s"),
            first_byte: RawPatience("unlimited".to_owned()),
            between_bytes: RawPatience("unlimited".to_owned()),
        }
    }
}

/// Which addresses may be connected to. `P` says what opens the private ones.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawPolicy<P: Default = RawPrivate> {
    // Its description is that of the type.
    pub(crate) allow_private_network: P,
    /// Names that may resolve to a private address: `host`, `*.suffix` or `host:port`.
    #[schemars(example = ["llm.corp.example"])]
    pub(crate) allow_hosts: List<String>,
    /// Ranges that are open: the only way into link-local and special ranges; a metadata address only as an exact /32 or /128.
    #[schemars(example = ["10.20.0.0/16"])]
    pub(crate) allow_cidrs: List<String>,
    /// When set, no other host is reachable: `host`, `*.suffix` or `host:port`.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schemars(example = ["llm.corp.example"])]
    pub(crate) only_hosts: List<String>,
    /// Hosts that are refused before anything else is considered.
    #[schemars(example = ["*.old.corp.example"])]
    pub(crate) block_hosts: List<String>,
    /// Ranges that are refused before anything else is considered.
    #[schemars(example = ["10.66.0.0/16"])]
    pub(crate) block_cidrs: List<String>,
    /// Opens ports of well-known services (such as 6379, Redis) again; never a port that browsers refuse too.
    #[schemars(inner(range(min = 1)), example = [6379])]
    pub(crate) allow_ports: List<u16>,
    /// Ranges from which a local resolver (Clash, Surge, sing-box) makes up its answers; they are taken as public.
    #[schemars(example = ["198.18.0.0/15"])]
    pub(crate) fake_ip_ranges: List<String>,
    /// The operator's NAT64 prefixes (RFC 6052), judged by the IPv4 address inside.
    #[schemars(example = ["2001:db8:64::/96"])]
    pub(crate) nat64_prefixes: List<String>,
}

/// Opens localhost and the private ranges (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7), and nothing else.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, example = true, extend("default" = false))]
pub(crate) struct RawPrivate(pub(crate) bool);

/// Opens localhost and the private ranges (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7), and nothing else. With `"ask"` they are
/// closed, and `owl chat` asks the person at the terminal, host by host.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline, example = true, extend("default" = false))]
pub(crate) enum RawPrivateOrAsk {
    Word(bool),
    Ask(RawAsk),
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum RawAsk {
    Ask,
}

impl Default for RawPrivateOrAsk {
    fn default() -> Self {
        Self::Word(false)
    }
}

impl RawPrivateOrAsk {
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::Ask(RawAsk::Ask))
    }
}

impl From<RawPrivate> for bool {
    fn from(RawPrivate(open): RawPrivate) -> Self {
        open
    }
}

impl From<RawPrivateOrAsk> for bool {
    fn from(open: RawPrivateOrAsk) -> Self {
        matches!(open, RawPrivateOrAsk::Word(true))
    }
}

/// One entry of a provider's `models`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawModel {
    Name(String),
    Renamed(RawRenamedModel),
}

/// A model that clients call by another name.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawRenamedModel {
    /// What clients say.
    #[schemars(example = &"chat")]
    pub(crate) id: String,
    /// What the server calls it.
    #[schemars(example = &"Qwen/Qwen3-8B")]
    pub(crate) upstream: String,
    /// What the server gets wrong with this model, in place of the provider's `compat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "reasoning": "open" }))]
    pub(crate) compat: Option<Box<RawCompatTable>>,
}

/// What Owl writes about its work, to standard error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawLog {
    /// `"auto"` is text on a terminal and JSON otherwise.
    #[schemars(example = &"json")]
    pub(crate) format: RawLogFormat,
    /// The least important record that is written.
    #[schemars(example = &"debug")]
    pub(crate) level: RawLevel,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: RawLogFormat::Auto, level: RawLevel::Info }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawLogFormat {
    Auto,
    Text,
    Json,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
