//! The tools: which are on, what each may reach, and what a call may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Budget;
use http::{HeaderValue, Method};
use owl_egress::rate::Rate;
use owl_egress::{PolicyRules, TlsOptions, UpstreamOptions};

/// The tools. `None` where one is switched off.
#[derive(Clone, Debug, Default)]
pub struct ToolsConfig {
    /// `tools.web.fetch`.
    pub fetch: Option<FetchConfig>,
    /// `tools.web.search`; on when an engine is named.
    pub search: Option<SearchConfig>,
    /// `tools.image`.
    pub image: Option<ImageConfig>,
    /// What the calls of one answer may cost.
    pub budget: Budget,
}

/// `tools.web.fetch`.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Which addresses are open.
    pub rules: PolicyRules,
    /// Whether a person may be asked to open a private address.
    pub asks: bool,
    /// Whom to trust beside the system's authorities.
    pub tls: TlsOptions,
    /// How many characters a call gives that says nothing of it.
    pub max_chars: usize,
    /// The most that a call may ask for, in characters.
    pub max_chars_cap: usize,
    /// The largest answer that is read, decoded, in bytes.
    pub max_bytes: u64,
    /// How many redirects are followed.
    pub max_redirects: usize,
    /// How long one fetch may take.
    pub timeout: Duration,
    /// What is sent as `User-Agent` instead of Owl's own.
    pub user_agent: Option<HeaderValue>,
    /// Whether robots.txt (RFC 9309) is obeyed for what a model chose.
    pub respect_robots: bool,
    /// What is kept of pages.
    pub cache: CacheConfig,
    /// How often each client may call it.
    pub rate: Option<Rate>,
}

/// What is kept in memory of what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// The most that is kept, in bytes; zero keeps nothing.
    pub max_size: u64,
    /// How long something is kept.
    pub max_age: Duration,
}

/// `tools.web.search`.
#[derive(Clone, Debug)]
pub struct SearchConfig {
    /// Who searches: its address, credential, TLS and policy. Its name is the engine's.
    pub upstream: UpstreamOptions,
    /// What it is and how it is asked.
    pub engine: EngineConfig,
    /// How many results a call gives that says nothing of it.
    pub count: usize,
    /// How long one search may take.
    pub timeout: Duration,
    /// What is kept of answers.
    pub cache: CacheConfig,
    /// How often each client may call it.
    pub rate: Option<Rate>,
}

/// A search engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineConfig {
    /// SearXNG, self-hosted.
    SearXng {
        /// Its categories; none: its default.
        categories: Vec<String>,
        /// Its engines; none: its default.
        engines: Vec<String>,
    },
    /// Brave Search.
    Brave,
    /// Tavily.
    Tavily,
    /// DuckDuckGo, without a key.
    DuckDuckGo,
    /// Any search with JSON answers.
    Http(Box<HttpEngine>),
}

/// The places in a template that stand for what was searched for, in braces: `{query}`. What a call leaves out is empty.
pub const ENGINE_PLACES: [&str; 6] = ["query", "count", "country", "language", "after", "before"];

/// Any search with JSON answers. Pointers are JSON Pointers (RFC 6901), and right; in the templates stand no other places
/// than [`ENGINE_PLACES`], and no other braces.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpEngine {
    /// How it is asked: GET or POST.
    pub method: Method,
    /// The path and query below `baseUrl`, without a slash in front; what comes into its places is percent-encoded.
    pub path: String,
    /// The body of a POST: a JSON object with places in its texts. A text that is `{count}` alone becomes a number.
    pub body: Option<serde_json::Value>,
    /// Where the list of results is; empty: the answer is the list.
    pub results: String,
    /// Where in a result its title is.
    pub title: String,
    /// Where in a result its URL is.
    pub url: String,
    /// Where in a result its snippet is.
    pub snippet: Option<String>,
    /// Where in a result its date is.
    pub published_at: Option<String>,
}

impl fmt::Debug for HttpEngine {
    /// Without what a `${VARIABLE}` may have put into the query and the body: a key, for some engines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, body, results, title, url, snippet, published_at } = self;
        let (path, query) = path.split_once('?').map_or((path.as_str(), ""), |(path, _)| (path, "?****"));
        f.debug_struct("HttpEngine")
            .field("method", method)
            .field("path", &format_args!("{path}{query}"))
            .field("body", &body.as_ref().map(|_| format_args!("****")))
            .field("results", results)
            .field("title", title)
            .field("url", url)
            .field("snippet", snippet)
            .field("published_at", published_at)
            .finish()
    }
}

/// `tools.image`.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// Which addresses are open.
    pub rules: PolicyRules,
    /// Whether a person may be asked to open a private address.
    pub asks: bool,
    /// Whom to trust beside the system's authorities.
    pub tls: TlsOptions,
    /// What paths may lie in: folders, and single files; absolute, without symbolic links. None: no paths.
    pub roots: Vec<PathBuf>,
    /// The model that answers, as `owl models` lists it.
    pub model: Option<String>,
    /// How many pictures one call may have.
    pub max_images: usize,
    /// The largest picture that is read, in bytes.
    pub max_bytes: u64,
    /// The longest side that a model is shown, in pixels; larger ones are scaled down.
    pub max_side: u32,
    /// How long reading the pictures of one call may take.
    pub timeout: Duration,
    /// How often each client may call it.
    pub rate: Option<Rate>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            asks: false,
            rules: PolicyRules::default(),
            tls: TlsOptions::default(),
            max_chars: 50_000,
            max_chars_cap: 200_000,
            max_bytes: 10 << 20,
            max_redirects: 5,
            timeout: Duration::from_secs(30),
            user_agent: None,
            respect_robots: false,
            cache: CacheConfig::default(),
            rate: None,
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { max_size: 64 << 20, max_age: Duration::from_secs(15 * 60) }
    }
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            asks: false,
            rules: PolicyRules::default(),
            tls: TlsOptions::default(),
            roots: Vec::new(),
            model: None,
            max_images: 8,
            max_bytes: 10 << 20,
            max_side: 1568,
            timeout: Duration::from_secs(30),
            rate: None,
        }
    }
}
