//! The keys of `egress` and of `gateway.media`, as they were typed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::raw_value::{List, RawBaseUrl, RawDuration, RawSecret, RawSize};

/// What holds for everything that leaves Owl, beside what each policy says. Nothing here opens a private address: the keys
/// that do stand in a provider, in `gateway` and in a tool, and each opens only its own.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawEgress {
    /// Hosts that are refused everywhere, before anything else is considered.
    #[schemars(example = ["*.old.corp.example"])]
    pub(crate) block_hosts: List<String>,
    /// Ranges that are refused everywhere, before anything else is considered.
    #[schemars(example = ["10.66.0.0/16"])]
    pub(crate) block_cidrs: List<String>,
    /// Ranges from which a local resolver (Clash, Surge, sing-box) makes up its answers; they are taken as public everywhere.
    #[schemars(example = ["198.18.0.0/15"])]
    pub(crate) fake_ip_ranges: List<String>,
    /// The operator's NAT64 prefixes (RFC 6052), judged everywhere by the IPv4 address inside.
    #[schemars(example = ["2001:db8:64::/96"])]
    pub(crate) nat64_prefixes: List<String>,
    /// Who resolves names: `"system"` asks as every program of this machine does, `servers` asks exactly those.
    #[schemars(example = serde_json::json!({ "servers": ["127.0.0.1:5353", "10.0.0.2"] }))]
    pub(crate) resolver: RawResolver,
    /// A proxy that every connection goes through (HTTP CONNECT). It is asked for the address that was judged, never for a name.
    /// No proxy of the environment is ever used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http://proxy.corp.example:3128")]
    pub(crate) proxy: Option<RawProxy>,
    /// How often URLs may be fetched that a client or a model chose.
    pub(crate) rate_limit: RawRateLimits,
}

/// Who resolves names.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawResolver {
    System(RawSystem),
    Servers(RawServers),
}

impl Default for RawResolver {
    fn default() -> Self {
        Self::System(RawSystem::System)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawSystem {
    System,
}

/// DNS servers to ask, and nothing else: not `/etc/hosts`, not a search list.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawServers {
    /// Their addresses, with port 53 where none is written. That they are named here opens exactly these addresses, for DNS.
    #[schemars(length(min = 1), example = ["127.0.0.1:5353", "10.0.0.2"])]
    pub(crate) servers: List<String>,
}

/// A proxy's URL, or that with details.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawProxy {
    Url(RawBaseUrl),
    Table(RawProxyTable),
}

/// A proxy.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawProxyTable {
    /// Where it listens: `http://host:port`. With `user:password@` in it, that is what it is shown. Its own address is open.
    #[schemars(example = &"http://proxy.corp.example:3128")]
    pub(crate) url: RawBaseUrl,
    /// The user name that it is shown: any text without a colon.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"svc-owl")]
    pub(crate) username: Option<String>,
    /// The password, read at start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "file": "/run/secrets/proxy" }))]
    pub(crate) password: Option<RawSecret>,
    /// Ranges that are reached without it.
    #[serde(default)]
    #[schemars(example = ["127.0.0.0/8", "10.0.0.0/8"])]
    pub(crate) except: List<String>,
}

/// How often URLs may be fetched that a client or a model chose.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawRateLimits {
    /// For each client key.
    #[schemars(example = serde_json::json!({ "rate": "60/min", "burst": 20 }))]
    pub(crate) per_key: RawRate,
    /// For each destination, which is a host with a port; every redirect counts too.
    #[schemars(example = &"10/s")]
    pub(crate) per_destination: RawRate,
    /// For each destination whose address is not public.
    #[schemars(example = &"unlimited")]
    pub(crate) per_private_destination: RawRate,
}

impl Default for RawRateLimits {
    fn default() -> Self {
        let rate = |text: &str| RawRate::Text(RawRateText(text.to_owned()));
        Self { per_key: rate("600/min"), per_destination: rate("120/min"), per_private_destination: rate("30/min") }
    }
}

/// `"120/min"`, `"10/s"`, `"unlimited"`, or a rate with a burst.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-type" = "rate"))]
pub(crate) enum RawRate {
    Text(RawRateText),
    Table(RawRateTable),
}

/// A rate, and how much of it may come at once.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawRateTable {
    /// How many in a minute or in a second.
    #[schemars(example = &"120/min")]
    pub(crate) rate: RawRateText,
    /// How many may come at once after a pause; without it, what comes in half a minute, but 100 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), example = 60)]
    pub(crate) burst: Option<u32>,
}

/// `"120/min"`, `"10/s"` or `"unlimited"`.
#[derive(Serialize, Deserialize)]
pub(crate) struct RawRateText(pub(crate) String);

impl JsonSchema for RawRateText {
    fn schema_name() -> Cow<'static, str> {
        "RateText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([1-9][0-9]*/(s|min)|unlimited)$|\$\{", "x-type": "rate" })
    }
}

/// What becomes of URLs in requests: a word, or that with limits.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawMedia {
    Mode(RawMediaMode),
    Table(RawMediaTable),
}

impl Default for RawMedia {
    fn default() -> Self {
        Self::Mode(RawMediaMode::Inline)
    }
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawMediaMode {
    Inline,
    Forward,
    Refuse,
}

/// What becomes of URLs in requests, and what fetching them may cost.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawMediaTable {
    /// `"inline"`: Owl fetches them and puts the content in their place. `"forward"`: the inference server gets the URLs, and
    /// fetches what it likes. `"refuse"`: such a request is an error.
    #[schemars(example = &"refuse")]
    pub(crate) mode: RawMediaMode,
    /// How many URLs one request may hold.
    #[schemars(range(min = 1, max = 10_000), example = 4)]
    pub(crate) max_count: usize,
    /// How large each may be.
    #[schemars(example = &"5MiB")]
    pub(crate) max_bytes: RawSize,
    /// How large all of one request may be together.
    #[schemars(example = &"10MiB")]
    pub(crate) max_total_bytes: RawSize,
    /// How long it may take to fetch all of one request.
    #[schemars(example = &"10s")]
    pub(crate) timeout: RawDuration,
}

impl Default for RawMediaTable {
    fn default() -> Self {
        Self {
            mode: RawMediaMode::Inline,
            max_count: 16,
            max_bytes: RawSize::Text("20MiB".to_owned()),
            max_total_bytes: RawSize::Text("50MiB".to_owned()),
            timeout: RawDuration::new("30s"),
        }
    }
}
