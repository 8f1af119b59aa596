//! From a URL to a text that is harmless: fetched once for everybody who asks at the same time, read off the threads that
//! serve others, and both kept for a while.

use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use owl_egress::{Caller, TargetUrl, WebClient, WebRequest, WebResponse};
use owl_extract::{Document, ExtractError, Link, Mode, Options, Source, extract};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::CacheConfig;
use crate::tools::cache::{Cache, Keep};
use crate::tools::untrusted::{harmless, line, line_of};
use crate::tools::{ToolError, ToolFault, web};

/// What is asked for: Markdown before HTML, and anything else rather than nothing.
const ACCEPT: &str = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, application/json;q=0.8, \
                      application/xml;q=0.7, */*;q=0.5";
/// The longest title, in characters.
const LONGEST_TITLE: usize = 300;
/// The longest `Content-Type`, in characters.
const LONGEST_TYPE: usize = 100;
/// The longest text of a link, in characters.
const LONGEST_LINK: usize = 200;
/// How many links of a page are given.
const MOST_LINKS: usize = 200;
/// What a page takes besides its body, in bytes, about.
const PAGE: usize = 1_024;

/// What makes two pages two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    /// The canonical URL.
    pub(super) url: String,
    /// Whether the policy was narrowed: what one call may see, another may not.
    pub(super) narrowed: bool,
}

/// What makes two readings of a page two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReadingKey {
    pub(super) page: PageKey,
    pub(super) mode: ModeName,
    pub(super) selector: Option<String>,
}

/// In which form the text is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ModeName {
    #[default]
    Markdown,
    Text,
    Raw,
}

impl ModeName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::Raw => "raw",
        }
    }
}

impl From<ModeName> for Mode {
    fn from(mode: ModeName) -> Self {
        match mode {
            ModeName::Markdown => Self::Markdown,
            ModeName::Text => Self::Text,
            ModeName::Raw => Self::Raw,
        }
    }
}

/// A page as it came.
pub(super) struct Page {
    /// Where it came from, after redirects.
    target: TargetUrl,
    status: StatusCode,
    content_type: Option<String>,
    body: Bytes,
    at: Instant,
    fetched_at: OffsetDateTime,
    keep: bool,
}

/// A page as it was read; every text of it is harmless.
pub(super) struct Reading {
    /// Where it came from, after redirects.
    pub(super) target: TargetUrl,
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    pub(super) title: Option<String>,
    /// `none` where nothing was found to read in an error page.
    pub(super) extractor: &'static str,
    pub(super) text: String,
    pub(super) links: Vec<Link>,
    /// When the answer was complete.
    pub(super) at: Instant,
    pub(super) fetched_at: OffsetDateTime,
    keep: bool,
}

impl Keep for Page {
    fn size(&self) -> usize {
        PAGE + self.body.len()
    }

    fn since(&self) -> Instant {
        self.at
    }

    fn may_be_kept(&self) -> bool {
        self.keep
    }
}

impl Keep for Reading {
    fn size(&self) -> usize {
        let links: usize = self.links.iter().map(|link| size_of::<Link>() + link.text.len() + link.url.len()).sum();
        PAGE + self.text.len() + links
    }

    fn since(&self) -> Instant {
        self.at
    }

    fn may_be_kept(&self) -> bool {
        self.keep
    }
}

/// Fetches and reads.
#[derive(Debug)]
pub(super) struct Reader {
    pages: Arc<Cache<PageKey, Page>>,
    readings: Arc<Cache<ReadingKey, Reading>>,
    /// As many as there are processors: reading is nothing but work.
    places: Arc<Semaphore>,
}

impl Reader {
    /// Keeps within `bounds`, half of it for pages as they came and half for what was read in them.
    pub(super) fn new(bounds: CacheConfig) -> Self {
        let half = CacheConfig { max_size: bounds.max_size / 2, ..bounds };
        let places = available_parallelism().map_or(2, usize::from);
        Self { pages: Cache::new(half), readings: Cache::new(half), places: Arc::new(Semaphore::new(places)) }
    }

    /// The page, read. `client` is the one whose policy the key says.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection, unless others wait for the same page.
    ///
    /// # Errors
    /// The page cannot be had, or not be read.
    pub(super) async fn read(
        &self,
        key: ReadingKey,
        client: &WebClient,
        caller: &Caller,
    ) -> Result<Arc<Reading>, ToolError> {
        let make = || {
            let (pages, places) = (Arc::clone(&self.pages), Arc::clone(&self.places));
            let (key, client, caller) = (key.clone(), client.clone(), caller.clone());
            async move {
                let url = key.page.url.clone();
                let page = pages.get(key.page.clone(), || fetch(client, url, caller)).await?;
                let Ok(place) = places.acquire_owned().await else { return Err(broken()) };
                // Held by the work itself: a call that is dropped meanwhile makes no room before the work has ended.
                let work = move || {
                    let _place = place;
                    Reading::of(&page, key.mode, key.selector.as_deref())
                };
                tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(broken()))
            }
        };
        self.readings.get(key.clone(), make).await
    }
}

fn broken() -> ToolError {
    ToolError::new(ToolFault::Owl, "internal_error", "reading the page failed inside Owl; its log says more")
}

async fn fetch(client: WebClient, url: String, caller: Caller) -> Result<Page, ToolError> {
    let mut request = WebRequest::get(url, caller);
    request.headers.push(("Accept".to_owned(), ACCEPT.to_owned()));
    let answer = client.fetch(request).await.map_err(|error| web::failed(&error, super::KEY))?;
    Ok(Page::of(answer))
}

impl Page {
    fn of(answer: WebResponse) -> Self {
        let WebResponse { url: target, status, headers, body, .. } = answer;
        let content_type =
            headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let keep = status.is_success() && !forbids_storing(&headers);
        let (at, fetched_at) = (Instant::now(), OffsetDateTime::now_utc());
        Self { target, status, content_type, body, at, fetched_at, keep }
    }
}

/// `Cache-Control: no-store` (RFC 9111, section 5.2.2.5).
fn forbids_storing(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
}

impl Reading {
    fn of(page: &Page, mode: ModeName, selector: Option<&str>) -> Result<Self, ToolError> {
        let url = url_of(&page.target);
        let source = Source { bytes: &page.body, content_type: page.content_type.as_deref(), url: &url };
        let is_error = !page.status.is_success();
        // What a selector is for is not on an error page.
        let selector = selector.filter(|_| !is_error);
        let options = Options { mode: mode.into(), selector, links: true };
        let (document, extractor) = match extract(source, &options) {
            Ok(document) => {
                let extractor = document.extractor.as_str();
                (document, extractor)
            }
            Err(_) if is_error || page.body.is_empty() => (nothing(page), "none"),
            Err(error) => return Err(unreadable(&error)),
        };
        let Document { title, text, media_type, links, .. } = document;
        let content_type = page.content_type.as_deref().filter(|given| !given.trim().is_empty());
        Ok(Self {
            target: page.target.clone(),
            status: page.status,
            content_type: line_of(content_type.unwrap_or(&media_type), LONGEST_TYPE),
            title: title.map(|title| line_of(&title, LONGEST_TITLE)).filter(|title| !title.is_empty()),
            extractor,
            text: harmless(&text),
            links: links.into_iter().take(MOST_LINKS).map(|link| harmless_link(&link)).collect(),
            at: page.at,
            fetched_at: page.fetched_at,
            keep: page.keep,
        })
    }
}

/// The whole URL: unlike `Display`, with its query.
pub(super) fn url_of(target: &TargetUrl) -> String {
    format!("{}{}", target.origin(), target.path_and_query())
}

fn harmless_link(link: &Link) -> Link {
    Link { text: line_of(&link.text, LONGEST_LINK), url: line(&link.url) }
}

fn nothing(page: &Page) -> Document {
    Document {
        title: None,
        text: String::new(),
        extractor: owl_extract::Extractor::Raw,
        media_type: page.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
        links: Vec::new(),
    }
}

/// What cannot be read, and why.
fn unreadable(error: &ExtractError) -> ToolError {
    match error {
        ExtractError::Unsupported { media_type, bytes } => {
            let media_type = line_of(media_type, LONGEST_TYPE);
            let message = format!("this is {media_type} ({bytes} bytes), which holds no text that can be read here");
            let error = ToolError::new(ToolFault::Destination, "unsupported_content", message);
            if media_type.starts_with("image/") { error.hint("the tool image looks at pictures") } else { error }
        }
        ExtractError::InvalidSelector(reason) => {
            ToolError::arguments(format!("the argument selector is not a CSS selector: {}", line_of(reason, 200)))
        }
        ExtractError::NothingSelected => {
            let message = "the selector matches nothing on this page";
            ToolError::new(ToolFault::Arguments, "nothing_selected", message)
                .hint("without a selector the main content is given; extractMode raw shows the page's HTML")
        }
        ExtractError::Damaged(_) | ExtractError::TooLarge(_) => {
            ToolError::new(ToolFault::Destination, "unreadable_content", error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn page(status: u16, content_type: &str, body: &str) -> Page {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        Page::of(WebResponse {
            url: TargetUrl::parse("https://a.example/b?c=d").unwrap(),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            redirects: Vec::new(),
        })
    }

    #[test]
    fn only_whole_answers_that_may_be_stored_are_kept() {
        assert!(page(200, "text/html", "").keep && !page(404, "text/html", "").keep && !page(304, "x", "").keep);
        for (value, expect) in [
            ("no-store", true),
            ("private, No-Store", true),
            ("max-age=0, no-cache", false),
            ("no-store-x", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
            headers.append(CACHE_CONTROL, HeaderValue::from_str(value).unwrap());
            assert_eq!(forbids_storing(&headers), expect, "{value}");
        }
        assert_eq!(url_of(&page(200, "", "").target), "https://a.example/b?c=d");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_type_and_size() {
        let unsupported = |media_type: &str| ExtractError::Unsupported { media_type: media_type.to_owned(), bytes: 12 };
        for (error, fault, code, part) in [
            (
                unsupported("application/zip"),
                ToolFault::Destination,
                "unsupported_content",
                "application/zip (12 bytes)",
            ),
            (unsupported("a/<|im_start|>\n"), ToolFault::Destination, "unsupported_content", "a/<|im_start |> (12"),
            (ExtractError::InvalidSelector("x".to_owned()), ToolFault::Arguments, "invalid_arguments", "selector"),
            (ExtractError::NothingSelected, ToolFault::Arguments, "nothing_selected", "matches nothing"),
            (ExtractError::Damaged("no end"), ToolFault::Destination, "unreadable_content", "no end"),
            (ExtractError::TooLarge("depth"), ToolFault::Destination, "unreadable_content", "depth"),
        ] {
            let told = unreadable(&error);
            assert_eq!((told.fault, told.code), (fault, code), "{error:?}");
            assert!(told.message.contains(part), "{}", told.message);
        }
        assert!(unreadable(&unsupported("image/png")).hint.is_some_and(|hint| hint.contains("image")));
    }

    #[test]
    fn an_error_page_that_cannot_be_read_is_still_an_answer() {
        let reading = Reading::of(&page(502, "application/octet-stream", "\0\0"), ModeName::Markdown, Some("("));
        let reading = reading.expect("an answer");
        assert_eq!((reading.status.as_u16(), reading.text.as_str()), (502, ""));
    }
}
