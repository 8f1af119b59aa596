//! `web_fetch`: the text of a page or document, piece by piece.
//!
//! `read.rs` fetches and reads, once for all who ask, and keeps what came; `robots.rs` asks sites whether programs may;
//! `definition.rs` is what models are told. This file reads the arguments, chooses the policy and writes the result.

mod definition;
mod read;
mod robots;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use http::StatusCode;
use owl_egress::{Caller, Network, TargetUrl, WebClient, WebError, WebLimits, WebOptions, WebRequest};
use owl_extract::page::{Page, page};
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::untrusted::{Marks, line};
use super::{Asker, Content, Definition, Tool, ToolCall, ToolError, ToolResult, ToolStartError, arguments, web};
use crate::config::{CacheConfig, FetchConfig};
use read::{ModeName, PageKey, Reader, Reading, ReadingKey, url_of};
use robots::Robots;

/// Where its configuration is.
const KEY: &str = "tools.web.fetch";
/// What asks, in the audit.
const COMPONENT: &str = "tool web_fetch";
/// Where its texts are from, for a model.
const SOURCE: &str = "web_fetch";
/// How much of an error page is given, in characters.
const OF_AN_ERROR: usize = 2_000;

/// The tool.
#[derive(Debug)]
pub(super) struct WebFetch {
    definition: Definition,
    client: WebClient,
    /// The same for public addresses alone, where the operator opened more.
    narrowed: Option<WebClient>,
    asks: bool,
    reader: Reader,
    robots: Option<Robots>,
    max_chars: usize,
    max_chars_cap: usize,
}

/// What a call says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Arguments {
    url: String,
    #[serde(default)]
    extract_mode: ModeName,
    max_chars: Option<usize>,
    #[serde(default)]
    start_index: usize,
    selector: Option<String>,
    #[serde(default)]
    links: bool,
    allow_private_network: Option<bool>,
}

impl WebFetch {
    /// Builds the tool; connects to nothing.
    pub(super) fn new(config: FetchConfig, network: &Network) -> Result<Self, ToolStartError> {
        let definition = definition::definition(&config);
        let (opens_private, asks) = (config.rules.opens_private(), config.asks);
        let FetchConfig { rules, tls, max_chars, max_chars_cap, max_bytes, .. } = config;
        let limits = WebLimits {
            total: config.timeout,
            body_bytes: max_bytes,
            // A body that is compressed is smaller on the wire, and framing costs a little.
            wire_bytes: max_bytes.saturating_add(max_bytes / 8).saturating_add(1 << 16),
            redirects: config.max_redirects,
            ..WebLimits::default()
        };
        let mut options = WebOptions { rules, tls, limits, network: network.clone(), ..WebOptions::new(COMPONENT) };
        if let Some(user_agent) = config.user_agent {
            options.user_agent = user_agent;
        }
        let robots = config.respect_robots.then(|| Robots::new(options.user_agent.to_str().unwrap_or_default()));
        let client = WebClient::new(options).map_err(|error| ToolStartError::Tls { key: KEY, error })?;
        let narrowed = opens_private.then(|| client.narrowed());
        let reader = Reader::new(config.cache);
        Ok(Self { definition, client, narrowed, asks, reader, robots, max_chars, max_chars_cap })
    }

    async fn fetch(&self, call: ToolCall<'_>) -> Result<ToolResult, ToolError> {
        let begun = Instant::now();
        let said: Arguments = arguments::read(call.arguments)?;
        let (client, narrowed) = match (&self.narrowed, said.allow_private_network) {
            (_, None) | (Some(_), Some(true)) => (&self.client, false),
            (Some(narrowed), Some(false)) => (narrowed, true),
            (None, Some(_)) => return Err(arguments::nothing_private(KEY)),
        };
        let opened = (!call.granted.is_empty()).then(|| client.opened_for(call.granted));
        let client = opened.as_ref().unwrap_or(client);
        let caller = call.ctx.caller();
        let target = match TargetUrl::parse(&said.url) {
            Ok(target) => target,
            Err(_) => return Err(refused(client, &said.url, caller).await),
        };
        let robots = self.robots.as_ref().filter(|_| call.asker == Asker::Model);
        if let Some(robots) = robots {
            robots.admit(client, narrowed, &target, &caller).await?;
        }
        call.progress.step("reading the page");
        let page = PageKey { url: url_of(&target), narrowed };
        let key = ReadingKey { page, mode: said.extract_mode, selector: said.selector.clone() };
        // What a person opened for one call is kept for no other.
        let alone = opened.as_ref().map(|_| Reader::new(CacheConfig { max_size: 0, max_age: Duration::ZERO }));
        let reading = alone.as_ref().unwrap_or(&self.reader).read(key, client, &caller).await?;
        if let Some(robots) = robots.filter(|_| reading.target != target) {
            robots.admit(client, narrowed, &reading.target, &caller).await?;
        }
        Ok(self.result(&target, &said, &reading, begun))
    }

    fn result(&self, target: &TargetUrl, said: &Arguments, reading: &Reading, begun: Instant) -> ToolResult {
        let is_error = !reading.status.is_success();
        let most = said.max_chars.unwrap_or(self.max_chars).min(self.max_chars_cap);
        let most = if is_error { most.min(OF_AN_ERROR) } else { most };
        let piece = page(&reading.text, said.start_index, most);
        let marks = Marks::new();
        let content = Content::Text(for_the_model(&marks, reading, &piece));
        let mut details = json!({
            "url": line(&url_of(target)),
            "finalUrl": line(&url_of(&reading.target)),
            "status": reading.status.as_u16(),
            "contentType": reading.content_type,
            "extractMode": said.extract_mode.as_str(),
            "extractor": reading.extractor,
            "text": marks.wrap(piece.text, SOURCE),
            "length": piece.length,
            "startIndex": piece.start,
            "truncated": piece.next.is_some(),
            "fetchedAt": reading.fetched_at.replace_nanosecond(0).unwrap_or(reading.fetched_at).format(&Rfc3339).unwrap_or_default(),
            "tookMs": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "cached": reading.at.into_std() < begun,
            "externalContent": { "untrusted": true, "source": SOURCE },
        });
        if let Some(title) = &reading.title {
            details["title"] = title.as_str().into();
        }
        if let Some(next) = piece.next {
            details["nextIndex"] = next.into();
        }
        if said.links {
            let links = reading.links.iter().map(|link| json!({ "text": link.text, "url": link.url }));
            details["links"] = links.collect::<Vec<Value>>().into();
        }
        ToolResult { content: vec![content], details }
    }
}

impl Tool for WebFetch {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn asks(&self) -> bool {
        self.asks
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        Box::pin(self.fetch(call))
    }
}

/// Why a text is no URL. The client is asked, for it tells the audit.
async fn refused(client: &WebClient, url: &str, caller: Caller) -> ToolError {
    match client.fetch(WebRequest::get(url, caller)).await {
        Err(error @ WebError::Invalid(_)) => {
            web::failed(&error, KEY).hint("url is an absolute URL that begins with http:// or https://")
        }
        Err(error) => web::failed(&error, KEY),
        Ok(_) => ToolError::arguments("the argument url is not a URL"),
    }
}

/// The piece with what a model needs to know of it: what Owl says is outside of the markers, what the server says inside.
fn for_the_model(marks: &Marks, reading: &Reading, piece: &Page<'_>) -> String {
    let mut text = String::new();
    if !reading.status.is_success() {
        let _cannot_fail = writeln!(text, "The server answered with {}, and no more than this:", named(reading.status));
    }
    let mut inside = format!("URL: {}\n", line(&url_of(&reading.target)));
    if let Some(title) = &reading.title {
        let _cannot_fail = writeln!(inside, "Title: {title}");
    }
    inside.push('\n');
    inside.push_str(piece.text);
    text.push_str(&marks.wrap(&inside, SOURCE));
    if !piece.text.is_empty() {
        let (begin, end) = (piece.start, piece.next.unwrap_or(piece.length));
        if piece.next.is_some() || begin > 0 {
            let _cannot_fail = write!(text, "\nThese are the characters {begin} to {end} of {}.", piece.length);
        }
    } else if piece.length == 0 {
        text.push_str("\nThere is no text.");
    } else {
        let _cannot_fail = write!(text, "\nThe text ends before: it has {} characters.", piece.length);
    }
    if let Some(next) = piece.next {
        let _cannot_fail = write!(text, " Call again with startIndex {next} for what follows.");
    }
    text
}

fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("status {} ({reason})", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    }
}
