//! One request and its answer over one connection, bounded while the bytes arrive.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::header::{HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::WebLimits;
use super::decode::{DecodeLimits, Decoder};
use super::error::WebError;
use super::redirect::Hop;
use crate::pool::{Live, first_byte};
use crate::stream::Stream;

/// The most that a head may hold, in bytes.
const HEAD_BYTES: usize = 32 * 1024;
/// The most fields that a head may have.
const HEAD_FIELDS: usize = 100;
/// The longest line of a head, in bytes.
const LINE_BYTES: usize = 16 * 1024;
/// How many interim answers (1xx) may come before the final one.
const INTERIM_ANSWERS: usize = 8;
/// The most that trailers may hold, in bytes.
const TRAILER_BYTES: usize = 8 * 1024;
/// The least that must come in each [`RATE_WINDOW`], in bytes.
const RATE_BYTES: u64 = 10 * 1024;
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// An answer's head, and the connection that its body comes over.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    incoming: Incoming,
    live: Live,
    /// Whether a body follows, whatever the headers say (RFC 9112, section 6.3).
    has_body: bool,
    /// What had come when the head was complete.
    before: u64,
}

/// Sends `hop` and waits for the answer's head.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn ask(
    stream: Stream,
    hop: &Hop,
    user_agent: &HeaderValue,
    limits: &WebLimits,
) -> Result<Answer, WebError> {
    let exchange = async {
        let opened = Live::open_bounded(stream, HEAD_BYTES, HEAD_FIELDS).await;
        let mut live = opened.map_err(|_| WebError::Broken)?;
        live.meter().expect_head(HEAD_BYTES as u64);
        let interim = Arc::new(AtomicUsize::new(0));
        let mut message = message(hop, user_agent)?;
        count_interim(&mut message, &interim);
        let response = first_byte(&mut live, message).await.map_err(|error| head_error(&live, &error))?;
        if interim.load(Ordering::Relaxed) > INTERIM_ANSWERS {
            return Err(WebError::HeadTooLarge);
        }
        live.meter().head_came(response.status());
        Answer::new(response, live, &hop.method)
    };
    timeout(limits.head, exchange).await.map_err(|_| WebError::HeadTimeout(limits.head))?
}

fn message(hop: &Hop, user_agent: &HeaderValue) -> Result<Request<Full<Bytes>>, WebError> {
    let uri = hop.target.path_and_query().parse().map_err(|_| WebError::BadRequest("the URL's path"))?;
    let host = HeaderValue::from_str(&hop.target.authority()).map_err(|_| WebError::BadRequest("the URL's host"))?;
    let mut message = Request::new(Full::new(hop.body.clone()));
    *message.method_mut() = hop.method.clone();
    *message.uri_mut() = uri;
    let headers = message.headers_mut();
    *headers = hop.headers.clone();
    let mut default = |name: HeaderName, value: &HeaderValue| {
        headers.entry(name).or_insert_with(|| value.clone());
    };
    default(ACCEPT, &HeaderValue::from_static("*/*"));
    default(ACCEPT_ENCODING, &HeaderValue::from_static(super::decode::ACCEPT_ENCODING));
    default(USER_AGENT, user_agent);
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if hop.body.is_empty() && matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(message)
}

fn count_interim(message: &mut Request<Full<Bytes>>, seen: &Arc<AtomicUsize>) {
    let seen = Arc::clone(seen);
    hyper::ext::on_informational(message, move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
    });
}

impl Answer {
    fn new(response: Response<Incoming>, live: Live, method: &Method) -> Result<Self, WebError> {
        let (head, incoming) = response.into_parts();
        let longest = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).max();
        if longest.is_some_and(|longest| longest > LINE_BYTES) {
            return Err(WebError::HeadTooLarge);
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(WebError::BadResponse);
        }
        check_framing(&head.headers)?;
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let has_body = !bodiless && *method != Method::HEAD;
        let before = live.received();
        Ok(Self { status: head.status, headers: head.headers, incoming, live, has_body, before })
    }

    /// The whole body, decoded, and the headers that still hold for it.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn complete(mut self, limits: &WebLimits) -> Result<(HeaderMap, Bytes), WebError> {
        if !self.has_body {
            return Ok((self.headers, Bytes::new()));
        }
        if announced_length(&self.headers).is_some_and(|length| length > limits.wire_bytes) {
            return Err(WebError::BodyTooLarge(limits.wire_bytes));
        }
        let mut decoder = Decoder::new(&self.headers, DecodeLimits::new(limits.body_bytes))?;
        let mut body = Vec::new();
        let mut pace = Pace::begin(self.before);
        while let Some(data) = self.next_piece(limits).await? {
            let received = self.live.received() - self.before;
            if received > limits.wire_bytes {
                return Err(WebError::BodyTooLarge(limits.wire_bytes));
            }
            pace.check(self.live.received())?;
            decoder.push(&data, &mut body)?;
        }
        decoder.finish()?;
        if self.headers.remove(CONTENT_ENCODING).is_some() {
            self.headers.remove(CONTENT_LENGTH);
        }
        Ok((self.headers, body.into()))
    }

    /// The next piece of the body; `None` at its end.
    async fn next_piece(&mut self, limits: &WebLimits) -> Result<Option<Bytes>, WebError> {
        let Self { incoming, live, .. } = self;
        let next = poll_fn(|cx| live.poll_body(incoming, cx));
        let frame = timeout(limits.idle, next).await.map_err(|_| WebError::IdleTimeout(limits.idle))?;
        let Some(frame) = frame else { return Ok(None) };
        match frame.map_err(|error| body_error(&error))?.into_data() {
            Ok(data) => Ok(Some(data)),
            Err(frame) => {
                let trailers = frame.trailers_ref().into_iter().flatten();
                let size: usize = trailers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
                if size > TRAILER_BYTES { Err(WebError::BadFraming) } else { Ok(Some(Bytes::new())) }
            }
        }
    }
}

/// How fast a body comes, on the average of each window. It is looked at when something comes; that nothing does is for
/// the idle timeout.
struct Pace {
    since: Instant,
    received: u64,
}

impl Pace {
    fn begin(received: u64) -> Self {
        Self { since: Instant::now(), received }
    }

    fn check(&mut self, received: u64) -> Result<(), WebError> {
        let elapsed = self.since.elapsed();
        if elapsed < RATE_WINDOW {
            return Ok(());
        }
        let wanted = RATE_BYTES as f64 * elapsed.as_secs_f64() / RATE_WINDOW.as_secs_f64();
        if ((received - self.received) as f64) < wanted {
            return Err(WebError::TooSlow);
        }
        *self = Self { since: Instant::now(), received };
        Ok(())
    }
}

/// Refuses what two readers could take for two different messages (RFC 9112, section 6.3).
fn check_framing(headers: &HeaderMap) -> Result<(), WebError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !chunked || codings.next().is_some() || headers.contains_key(CONTENT_LENGTH) {
        return Err(WebError::BadFraming);
    }
    Ok(())
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn head_error(live: &Live, error: &hyper::Error) -> WebError {
    // hyper tells its kinds of parse errors apart in words only.
    let words = error.to_string();
    let says = |of: &[&str]| error.is_parse() && of.iter().any(|word| words.contains(word));
    if live.meter().is_head_too_long() || says(&["too large"]) {
        WebError::HeadTooLarge
    } else if says(&["content-length", "transfer-encoding"]) {
        WebError::BadFraming
    } else if error.is_parse() {
        WebError::BadResponse
    } else {
        WebError::Broken
    }
}

fn body_error(error: &hyper::Error) -> WebError {
    use std::error::Error as _;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    match source.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput) => WebError::BadFraming,
        _ => WebError::Broken,
    }
}
