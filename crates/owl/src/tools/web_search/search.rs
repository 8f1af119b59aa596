//! One search: asked, read, sieved and made harmless, once for all who ask for the same at the same time.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use owl_egress::{Caller, EgressError, UpstreamClient, UpstreamRequest};
use tokio::time::{Instant, timeout};

use super::engine::{Answer, Asking, Engine, Hit};
use super::failure::Failure;
use super::query::{Query, web_host};
use crate::tools::ToolError;
use crate::tools::cache::Keep;
use crate::tools::untrusted::{line, line_of};

/// The most that is read of an engine's answer, in bytes.
pub(super) const ANSWER_LIMIT: usize = 4 << 20;
/// The longest snippet, in characters.
const LONGEST_SNIPPET: usize = 1_000;

/// An engine, and the way to it.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) client: UpstreamClient,
    /// How long one search may take.
    pub(super) timeout: Duration,
}

/// What makes two searches two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) query: Query,
    /// Whether the policy was narrowed: what one call may see, another may not.
    pub(super) narrowed: bool,
}

/// What was found; every text of it is harmless.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// When the answer was complete.
    pub(super) at: Instant,
}

impl Keep for Found {
    fn size(&self) -> usize {
        let texts = |hit: &Hit| {
            let optional = [&hit.published_at, &hit.site_name].map(|text| text.as_ref().map_or(0, String::len));
            hit.title.len() + hit.url.len() + hit.snippet.len() + optional.iter().sum::<usize>()
        };
        self.hits.iter().map(|hit| size_of::<Hit>() + texts(hit)).sum()
    }

    fn since(&self) -> Instant {
        self.at
    }

    /// Nothing is often found only because an engine behind the engine did not answer just then.
    fn may_be_kept(&self) -> bool {
        !self.hits.is_empty()
    }
}

impl Search {
    /// What the engine finds for this query.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// The engine cannot be asked, or gives no results.
    pub(super) async fn found(self: Arc<Self>, query: Query, caller: Caller) -> Result<Found, ToolError> {
        let asked = timeout(self.timeout, self.ask(&query, caller)).await;
        let failed = |failure: Failure| failure.into_error(self.engine.as_ref(), &self.client, self.timeout);
        let hits = asked.unwrap_or(Err(Failure::Timeout)).map_err(failed)?;
        let wanted = hits.into_iter().filter(|hit| query.admits(hit)).take(query.count);
        Ok(Found { hits: wanted.map(|hit| self.harmless(hit)).collect(), at: Instant::now() })
    }

    async fn ask(&self, query: &Query, caller: Caller) -> Result<Vec<Hit>, Failure> {
        let Asking { method, path, mut headers, body } = self.engine.ask(query);
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json, */*;q=0.1"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = HeaderValue::from_static(concat!("owl/", env!("CARGO_PKG_VERSION")));
        headers.entry(header::USER_AGENT).or_insert(agent);
        let request = UpstreamRequest { method, path, headers, body, caller };
        let response = self.client.send(request).await.map_err(Failure::Egress)?;
        let status = response.status();
        if !status.is_success() || self.engine.explain(status.as_u16()).is_some() {
            return Err(Failure::Status(status.as_u16()));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(unread)?;
        self.engine.read(&Answer { content_type, body: body.to_bytes() }).map_err(Failure::Engine)
    }

    /// A result as a model may see it: every text on one line, nothing in it that acts, and no credential that the engine
    /// quotes.
    fn harmless(&self, hit: Hit) -> Hit {
        let Hit { title, url, snippet, published_at, site_name } = hit;
        let site_name = site_name.or_else(|| web_host(&url).map(|host| host.trim_start_matches("www.").to_owned()));
        let line = |text: &str| line(&self.client.redact(text));
        Hit {
            title: line(&title),
            url: line(&url),
            snippet: line_of(&self.client.redact(&snippet), LONGEST_SNIPPET),
            published_at: published_at.as_deref().map(line),
            site_name: site_name.as_deref().map(line),
        }
    }
}

/// Why a body was not read to its end.
fn unread(error: Box<dyn Error + Send + Sync>) -> Failure {
    match error.downcast::<EgressError>() {
        Ok(error) => Failure::Egress(*error),
        Err(_) => Failure::TooLarge,
    }
}
