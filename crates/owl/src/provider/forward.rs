//! Forwarding: a request goes on with its bytes, and the answer's bytes come back as they arrive.
//!
//! Only the model's name is replaced, and only where the two sides call it differently. Headers that belong to one
//! connection (RFC 9110, section 7.6.1) and the client's own credential stay behind; everything else passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use owl_egress::header::{is_hop_by_hop, is_senders};
use owl_egress::{EgressError, TargetUrl, UpstreamBody, UpstreamRequest};
use owl_wire::{BodyKind, ModelSplicer};

use super::failure::UpstreamFailure;
use super::{Failure, Provider};
use crate::context::RequestContext;

/// How long an error page may take; what has come by then is told.
const ERROR_PAGE_PATIENCE: Duration = Duration::from_secs(5);

/// The most of an error page that is read, in bytes.
const ERROR_PAGE_LIMIT: usize = 64 * 1024;

/// How much of an error page a message shows, in characters.
const EXCERPT: usize = 200;

/// The client's choice of a provider, for requests that name no model. Owl's own; it goes no further.
pub const PROVIDER_HEADER: HeaderName = HeaderName::from_static("x-owl-provider");

/// The id by which a request is found in the logs of both sides.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Whether a header of the client's stays here: its own credential, and what Owl sets or consumes.
fn stays_here(name: &HeaderName) -> bool {
    is_senders(name) || matches!(name.as_str(), "authorization" | "x-api-key" | "x-owl-provider")
}

/// A request, ready to be sent to a provider.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The path below `/v1/`, with its query.
    pub path: String,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The body, its model being the provider's own name.
    pub body: Bytes,
    /// How the two sides call the model, where they differ.
    pub renamed: Option<Renamed>,
}

/// A model with two names.
#[derive(Clone, Debug)]
pub struct Renamed {
    /// What the client calls it.
    pub client: String,
    /// What the provider calls it.
    pub upstream: Arc<str>,
}

impl Provider {
    /// Sends the request and returns the answer's head; the body comes as it arrives.
    ///
    /// # Cancel safety
    /// Dropping the future or the body ends the upstream's work at once.
    ///
    /// # Errors
    /// [`Failure::Upstream`] when no answer came, or one that is not the API's: a refused credential, a redirect, an
    /// error page. The API's own errors in JSON are answers.
    pub async fn forward(&self, ctx: &RequestContext, outgoing: Outgoing) -> Result<Response<ForwardBody>, Failure> {
        let Outgoing { method, path, mut headers, body, renamed } = outgoing;
        strip_for_upstream(&mut headers);
        headers.insert(REQUEST_ID_HEADER, ctx.id.header());
        if renamed.is_some() {
            // The name can only be replaced in an answer that is not compressed.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let request = UpstreamRequest { method, path, headers, body, caller: ctx.caller() };
        let response =
            self.client().send(request).await.map_err(|error| self.failed(UpstreamFailure::Egress(error)))?;
        let mut response = judge_answer(response).await.map_err(|failure| self.failed(failure))?;
        // The version is of the connection, not of the message: each side has its own.
        *response.version_mut() = http::Version::HTTP_11;
        strip_for_client(response.headers_mut());
        Ok(match renamed.and_then(|renamed| splicer_for(&response, &renamed)) {
            None => response.map(ForwardBody::Plain),
            Some(splicer) => {
                response.headers_mut().remove(header::CONTENT_LENGTH);
                response.map(|body| {
                    ForwardBody::Spliced(Box::new(SplicedBody { inner: body, splicer: Some(splicer), trailers: None }))
                })
            }
        })
    }

    /// What went wrong, with this provider's name, and without its credential.
    pub(crate) fn failed(&self, failure: UpstreamFailure) -> Failure {
        let failure = self.redacted(failure);
        Failure::Upstream {
            provider: self.id().to_owned(),
            base_url: self.client().base_url().to_string(),
            failure: Box::new(failure),
        }
    }

    /// What the upstream said, without Owl's own credential.
    pub(super) fn redacted(&self, mut failure: UpstreamFailure) -> UpstreamFailure {
        match &mut failure {
            UpstreamFailure::Answer { excerpt: said, .. } | UpstreamFailure::Redirect { location: Some(said), .. } => {
                *said = self.client().redact(said);
            }
            UpstreamFailure::Refused { said, .. } => said.message = self.client().redact(&said.message),
            UpstreamFailure::Egress(_) | UpstreamFailure::Credential { .. } | UpstreamFailure::Redirect { .. } => {}
        }
        failure
    }
}

fn splicer_for(response: &Response<AnswerBody>, renamed: &Renamed) -> Option<ModelSplicer> {
    let headers = response.headers();
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let kind = body_kind(headers)?;
    (!encoded).then(|| ModelSplicer::new(kind, &renamed.upstream, &renamed.client))
}

/// What the body is, as its `Content-Type` says.
pub(crate) fn body_kind(headers: &HeaderMap) -> Option<BodyKind> {
    BodyKind::of_content_type(headers.get(header::CONTENT_TYPE)?.to_str().ok()?)
}

/// The media type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

fn strip_for_upstream(headers: &mut HeaderMap) {
    strip(headers, stays_here);
}

/// An answer's head without what belongs to the connection it came on. Which pages may read it is Owl's to say
/// (`gateway.cors`), not a server's behind it: most allow every page.
fn strip_for_client(headers: &mut HeaderMap) {
    // The chunks said where the body ended; a length beside them is nobody's (RFC 9112, section 6.3).
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers, |name| is_hop_by_hop(name) || name.as_str().starts_with("access-control-"));
}

/// Removes the headers that `unwanted` names, and those that `Connection` does.
fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let mut names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    names.extend(
        connection
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()),
    );
    for name in names {
        headers.remove(name);
    }
}

/// The body of an answer that was looked at: streamed, or a short one that had to be read.
pub type AnswerBody = http_body_util::Either<UpstreamBody, Full<Bytes>>;

/// Tells the API's own answers from those of something in front of it: a refused credential, a redirect, an error page.
pub(super) async fn judge_answer(response: Response<UpstreamBody>) -> Result<Response<AnswerBody>, UpstreamFailure> {
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(response.map(AnswerBody::Left));
    }
    if status.is_informational() {
        return Err(UpstreamFailure::Answer {
            status: status.as_u16(),
            content_type: String::new(),
            excerpt: String::new(),
            retry_after: None,
            advice: Some("it wants to speak another protocol, which nobody asked for"),
        });
    }
    if status.is_redirection() {
        return Err(UpstreamFailure::Redirect { status: status.as_u16(), location: location(response.headers()) });
    }
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let advice = "look at the provider's auth and apiKey";
        return Err(UpstreamFailure::Credential { status: status.as_u16(), advice });
    }
    if body_kind(response.headers()) == Some(BodyKind::Json) {
        return Ok(response.map(AnswerBody::Left));
    }
    judge_error_page(response).await
}

/// An error whose type is not JSON: JSON all the same, or a page that is told in a sentence.
async fn judge_error_page(response: Response<UpstreamBody>) -> Result<Response<AnswerBody>, UpstreamFailure> {
    let (parts, body) = response.into_parts();
    let body = beginning(body).await;
    if serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok() {
        return Ok(Response::from_parts(parts, AnswerBody::Right(Full::new(body))));
    }
    let status = parts.status.as_u16();
    let is_encoded = parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let page = if is_encoded { "(compressed)".into() } else { String::from_utf8_lossy(&body) };
    if status == 400 && page.contains("SSL certificate") {
        // nginx's words for a missing or refused client certificate.
        let advice = "it asks for a client certificate; write tls.clientCert and tls.clientKey";
        return Err(UpstreamFailure::Credential { status, advice });
    }
    if status == 403 {
        let advice = "something in front of the API refuses this client or this credential";
        return Err(UpstreamFailure::Credential { status, advice });
    }
    let advice = match status {
        404 => Some("no API answers at this path: look at the provider's baseUrl"),
        413 => Some("the proxy in front of the server limits the size of requests; in nginx: client_max_body_size"),
        502..=504 => Some("the proxy in front of the server got no answer from it"),
        _ => None,
    };
    Err(UpstreamFailure::Answer {
        status,
        content_type: media_type(&parts.headers).unwrap_or("no content type").to_owned(),
        excerpt: one_line(&plain_text(&page), EXCERPT),
        retry_after: parts.headers.get(header::RETRY_AFTER).cloned(),
        advice,
    })
}

/// What comes of a page, up to the limit: the beginning of one that is longer, or that breaks off, says enough.
async fn beginning(mut body: UpstreamBody) -> Bytes {
    let mut page = BytesMut::new();
    let patience = tokio::time::Instant::now() + ERROR_PAGE_PATIENCE;
    while page.len() < ERROR_PAGE_LIMIT {
        let Ok(Some(Ok(frame))) = tokio::time::timeout_at(patience, body.frame()).await else { break };
        page.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    page.truncate(ERROR_PAGE_LIMIT);
    page.freeze()
}

/// Where a redirect points, without user, query and fragment.
fn location(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::LOCATION)?.to_str().ok()?;
    if value.starts_with('/') && !value.starts_with("//") {
        return Some(value.split(['?', '#']).next().unwrap_or_default().chars().take(EXCERPT).collect());
    }
    let (target, _) = TargetUrl::parse_operator(value.split(['?', '#']).next()?).ok()?;
    Some(target.to_string())
}

/// A page's text, without its tags.
pub(crate) fn plain_text(page: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for letter in page.chars() {
        match letter {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            letter if !in_tag => text.push(letter),
            _ => {}
        }
    }
    text
}

/// The beginning of a text, `longest` characters at most, in one line that reads as it is written.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let text: String = text.chars().map(|letter| if is_unfit(letter) { ' ' } else { letter }).collect();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = words.chars().take(longest).collect();
    if short.len() < words.len() {
        short.push('…');
    }
    short
}

/// What a terminal would obey, what cannot be seen, and what would make a line read otherwise than it is written
/// (Unicode's bidirectional marks).
fn is_unfit(letter: char) -> bool {
    let is_mark = matches!(
        letter,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    );
    letter.is_control() || is_mark
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub enum ForwardBody {
    /// Byte for byte.
    Plain(AnswerBody),
    /// Byte for byte but for the model's name.
    Spliced(Box<SplicedBody>),
}

/// A body in which the model's name is replaced as it passes.
#[derive(Debug)]
pub struct SplicedBody {
    inner: AnswerBody,
    /// `None` when the last piece has gone out.
    splicer: Option<ModelSplicer>,
    /// What follows the last piece.
    trailers: Option<Frame<Bytes>>,
}

impl SplicedBody {
    fn poll_spliced(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        while let Some(splicer) = &mut self.splicer {
            let piece = match ready!(poll_answer(&mut self.inner, cx)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => splicer.push(data),
                    Err(trailers) => {
                        self.trailers = Some(trailers);
                        self.last_piece()
                    }
                },
                None => self.last_piece(),
            };
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(self.trailers.take().map(Ok))
    }

    /// What was held back because a name could have gone on.
    fn last_piece(&mut self) -> Bytes {
        self.splicer.take().map(|mut splicer| splicer.finish()).unwrap_or_default()
    }
}

fn poll_answer(body: &mut AnswerBody, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
    match body {
        AnswerBody::Left(body) => Pin::new(body).poll_frame(cx),
        AnswerBody::Right(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
    }
}

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        match &mut *self {
            Self::Plain(body) => poll_answer(body, cx),
            Self::Spliced(body) => body.poll_spliced(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(AnswerBody::Left(body)) => body.is_end_stream(),
            Self::Plain(AnswerBody::Right(body)) => body.is_end_stream(),
            Self::Spliced(body) => body.splicer.is_none() && body.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(AnswerBody::Left(body)) => body.size_hint(),
            Self::Plain(AnswerBody::Right(body)) => body.size_hint(),
            Self::Spliced(_) => SizeHint::default(),
        }
    }
}
