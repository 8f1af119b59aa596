//! The keys of `tools`, as they were typed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::raw::{RawAuth, RawPolicy, RawPrivateOrAsk, RawTls};
use super::raw_agent::RawBudget;
use super::raw_egress::{RawRate, RawRateText};
use super::raw_value::{List, RawBaseUrl, RawDuration, RawSecret, RawSize};

/// The tools for models: over HTTP, over MCP and on the command line. Each has policy keys of its own (from
/// `allowPrivateNetwork` on), which open addresses for that tool and for nothing else. A call may narrow them, and never widen them.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawTools {
    pub(crate) web: RawWebTools,
    pub(crate) image: RawImage,
    pub(crate) budget: RawBudget,
}

/// The tools that read the web.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawWebTools {
    pub(crate) fetch: RawFetch,
    pub(crate) search: RawSearch,
}

/// `web_fetch`, which reads a page. The policy keys are for the URLs that a model or a person hands in, and where they redirect.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawFetch {
    /// Whether there is this tool.
    #[schemars(example = false)]
    pub(crate) enabled: bool,
    /// How many characters a call gives that says nothing of it.
    #[schemars(range(min = 100, max = 10_000_000), example = 20_000)]
    pub(crate) max_chars: usize,
    /// The most characters that a call may ask for.
    #[schemars(range(min = 100, max = 10_000_000), example = 100_000)]
    pub(crate) max_chars_cap: usize,
    /// The largest answer that is read, decompressed; from 1KiB to 1GiB.
    #[schemars(example = &"5MiB")]
    pub(crate) max_bytes: RawSize,
    /// How many redirects are followed; each is judged anew.
    #[schemars(range(max = 20), example = 3)]
    pub(crate) max_redirects: usize,
    /// How long one fetch may take, redirects included.
    #[schemars(example = &"15s")]
    pub(crate) timeout: RawDuration,
    /// What is sent as `User-Agent` in place of Owl's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp-owl/1.0 (+https://corp.example/owl)")]
    pub(crate) user_agent: Option<String>,
    /// Whether robots.txt (RFC 9309) is obeyed for URLs that a model chose. A person at the command line is never asked to.
    #[schemars(example = true)]
    pub(crate) respect_robots: bool,
    /// What is kept in memory of pages.
    pub(crate) cache: RawCache,
    /// How often each client may call this tool.
    #[schemars(example = &"30/min")]
    pub(crate) rate_limit: RawRate,
    /// Certificates, for `https://` addresses.
    #[schemars(example = serde_json::json!({ "ca": "corp-ca.pem" }))]
    pub(crate) tls: RawWebTls,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy<RawPrivateOrAsk>,
}

impl Default for RawFetch {
    fn default() -> Self {
        Self {
            enabled: true,
            max_chars: 50_000,
            max_chars_cap: 200_000,
            max_bytes: RawSize::Text("10MiB".to_owned()),
            max_redirects: 5,
            timeout: RawDuration::new("30s"),
            user_agent: None,
            respect_robots: false,
            cache: RawCache::default(),
            rate_limit: unlimited(),
            tls: RawWebTls::default(),
            policy: RawPolicy::default(),
        }
    }
}

fn unlimited() -> RawRate {
    RawRate::Text(RawRateText("unlimited".to_owned()))
}

/// What is kept in memory. Whatever was fetched under one policy is never given out under another.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawCache {
    /// The most that is kept; `0` keeps nothing; at most 16GiB.
    #[schemars(example = &"16MiB")]
    pub(crate) max_size: RawSize,
    /// How long something is kept.
    #[schemars(example = &"5m")]
    pub(crate) max_age: RawDuration,
}

impl Default for RawCache {
    fn default() -> Self {
        Self { max_size: RawSize::Text("64MiB".to_owned()), max_age: RawDuration::new("15m") }
    }
}

/// Certificates towards servers that a model chose.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawWebTls {
    /// A PEM file of certificate authorities that are trusted beside the system's. Relative paths start at the configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp-ca.pem")]
    pub(crate) ca: Option<String>,
}

/// `web_search`, which asks a search engine. There is this tool once `engine` is named. The policy keys are for the engine's own
/// address, as those of a provider are for the provider's.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawSearch {
    /// Whether there is this tool, where an engine is named.
    #[schemars(example = false)]
    pub(crate) enabled: bool,
    /// Who searches: `"searxng"` (your own), `"brave"`, `"tavily"`, `"duckduckgo"`, or an object for any search that answers in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"searxng")]
    pub(crate) engine: Option<RawEngine>,
    /// Where the engine is; required for `"searxng"` and `type: "http"`. The others have public addresses, which this replaces:
    /// `https://api.search.brave.com`, `https://api.tavily.com`, `https://html.duckduckgo.com`. With `user:password@` in it, that
    /// becomes Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http://searx.lan:8080")]
    pub(crate) base_url: Option<RawBaseUrl>,
    /// The engine's key; required for `"brave"` and `"tavily"`. For `"searxng"` and `type: "http"` it is what `auth` sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${SEARCH_KEY}")]
    pub(crate) api_key: Option<RawSecret>,
    /// How Owl authenticates to `"searxng"` and `type: "http"`, as in a provider. Without it: `"bearer"` with an `apiKey`, `"none"`
    /// without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "type": "header", "name": "X-API-Key", "value": "${SEARCH_KEY}" }))]
    pub(crate) auth: Option<RawAuth>,
    /// Headers that every request to the engine carries.
    #[schemars(extend("x-key" = "<header>"), example = serde_json::json!({ "X-Team": "search" }))]
    pub(crate) headers: BTreeMap<String, RawSecret>,
    /// Certificates, for an `https://` address.
    #[schemars(example = serde_json::json!({ "ca": "corp-ca.pem", "clientCert": "owl.pem", "clientKey": "owl.key" }))]
    pub(crate) tls: RawTls,
    /// The categories that `"searxng"` searches; without any, its own default.
    #[schemars(example = ["general", "it"])]
    pub(crate) categories: List<String>,
    /// The engines that `"searxng"` asks; without any, its own default.
    #[schemars(example = ["duckduckgo", "wikipedia"])]
    pub(crate) engines: List<String>,
    /// How many results a call gives that says nothing of it.
    #[schemars(range(min = 1, max = 20), example = 10)]
    pub(crate) count: usize,
    /// How long one search may take.
    #[schemars(example = &"5s")]
    pub(crate) timeout: RawDuration,
    /// What is kept in memory of results.
    pub(crate) cache: RawCache,
    /// How often each client may call this tool.
    #[schemars(example = &"10/min")]
    pub(crate) rate_limit: RawRate,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy,
}

impl Default for RawSearch {
    fn default() -> Self {
        Self {
            enabled: true,
            engine: None,
            base_url: None,
            api_key: None,
            auth: None,
            headers: BTreeMap::new(),
            tls: RawTls::default(),
            categories: List::default(),
            engines: List::default(),
            count: 5,
            timeout: RawDuration::new("15s"),
            cache: RawCache::default(),
            rate_limit: unlimited(),
            policy: RawPolicy::default(),
        }
    }
}

/// A search engine: a word, or how any other is asked.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawEngine {
    Kind(RawEngineKind),
    Table(Box<RawEngineTable>),
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawEngineKind {
    SearXng,
    Brave,
    Tavily,
    DuckDuckGo,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) enum RawEngineTable {
    /// Any search that answers in JSON. In `path` and in the texts of `body`, what was searched for stands in the places `{query}`,
    /// `{count}`, `{country}`, `{language}`, `{after}` and `{before}` (days such as 2026-01-31); one that the call leaves out is empty.
    /// Domains are put into the query, as `site:example.com`. What is inside a result is found by JSON Pointers (RFC 6901).
    Http {
        /// How it is asked.
        #[serde(default)]
        #[schemars(example = &"POST")]
        method: RawMethod,
        /// The path and query below `baseUrl`. What comes into the places is percent-encoded.
        #[schemars(example = &"api/search?q={query}&size={count}")]
        path: String,
        /// What a POST sends: any JSON object. A text that is nothing but `{count}` becomes a number.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(example = serde_json::json!({ "q": "{query}", "size": "{count}" }))]
        body: Option<RawJson>,
        /// Where the list of results is in the answer; `""` where the answer is the list.
        #[schemars(example = &"/hits")]
        results: String,
        /// Where the title is in a result.
        #[serde(default = "title")]
        #[schemars(example = &"/source/title")]
        title: String,
        /// Where the URL is in a result.
        #[serde(default = "url")]
        #[schemars(example = &"/source/link")]
        url: String,
        /// Where the snippet is in a result.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"/highlight/0")]
        snippet: Option<String>,
        /// Where the date of publication is in a result.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"/source/date")]
        published_at: Option<String>,
    },
}

fn title() -> String {
    "/title".to_owned()
}

fn url() -> String {
    "/url".to_owned()
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RawMethod {
    #[default]
    Get,
    Post,
}

/// Any JSON object.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawJson(pub(crate) serde_json::Value);

impl JsonSchema for RawJson {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-type": "JSON object" })
    }
}

/// `image`, which shows pictures to a model that sees. The policy keys are for the URLs of pictures, and where they redirect.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawImage {
    /// Whether there is this tool.
    #[schemars(example = false)]
    pub(crate) enabled: bool,
    /// The folders that pictures may be read from, with all that is inside; without any, no path is read. Relative ones start at the
    /// configuration's folder. A person at the command line may name any file.
    #[schemars(example = ["/srv/pictures"])]
    pub(crate) roots: List<String>,
    /// The model that looks at the pictures, as `owl models` lists it. Without it, only a client that sees for itself (over MCP) can use
    /// this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"owl/Qwen3-VL-8B")]
    pub(crate) model: Option<String>,
    /// How many pictures one call may have.
    #[schemars(range(min = 1, max = 64), example = 4)]
    pub(crate) max_images: usize,
    /// The largest picture that is read; from 1KiB to 1GiB.
    #[schemars(example = &"5MiB")]
    pub(crate) max_bytes: RawSize,
    /// The longest side that a model is shown, in pixels; larger pictures are scaled down.
    #[schemars(range(min = 64, max = 8192), example = 1024)]
    pub(crate) max_side: u32,
    /// How long it may take to read the pictures of one call.
    #[schemars(example = &"15s")]
    pub(crate) timeout: RawDuration,
    /// How often each client may call this tool.
    #[schemars(example = &"10/min")]
    pub(crate) rate_limit: RawRate,
    /// Certificates, for `https://` addresses.
    #[schemars(example = serde_json::json!({ "ca": "corp-ca.pem" }))]
    pub(crate) tls: RawWebTls,
    #[serde(flatten)]
    pub(crate) policy: RawPolicy<RawPrivateOrAsk>,
}

impl Default for RawImage {
    fn default() -> Self {
        Self {
            enabled: true,
            roots: List::default(),
            model: None,
            max_images: 8,
            max_bytes: RawSize::Text("10MiB".to_owned()),
            max_side: 1568,
            timeout: RawDuration::new("30s"),
            rate_limit: unlimited(),
            tls: RawWebTls::default(),
            policy: RawPolicy::default(),
        }
    }
}
