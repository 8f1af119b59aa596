//! The one record that a request leaves, whatever its end.
//!
//! It is written when the answer's last byte has gone, or when the client has, or when Owl stops: a wide line of fields, no prompt, no body,
//! no header.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use owl_egress::EgressError;
use owl_wire::BodyKind;
use tokio::time::Sleep;

use super::annex::AnnexBody;
use super::answer::ActedBody;
use super::error::{ApiError, Code, UPSTREAM_ERROR, code_of_egress};
use crate::context::{Principal, RequestContext};
use crate::gateway::Destination;
use crate::provider::forward::{ForwardBody, body_kind};
use crate::tools::ToolError;

/// How long the last bytes of a failing answer have to be written before its connection is broken off.
const TIME_TO_WRITE: Duration = Duration::from_millis(50);

/// The longest name of a tool that is written, in characters: it is the client's.
const LONGEST_TOOL_NAME: usize = 64;
/// How much of a client's text stands in the record, in bytes.
const LONGEST_TEXT: usize = 4096;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole answer went out.
    Done,
    /// The upstream failed, before or in its answer.
    UpstreamFailed,
    /// The client went away first.
    ClientGone,
    /// Owl was told to stop, and broke the answer off after `gateway.drainTimeout`.
    Stopped,
    /// Owl said no: the client's mistake.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::UpstreamFailed => "upstream_failed",
            Self::ClientGone => "client_gone",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
        }
    }
}

/// Whether Owl breaks off what still runs. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct BreakingOff(Arc<AtomicBool>);

impl BreakingOff {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The code of an error, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blamed {
    code: &'static str,
    kind: &'static str,
}

/// What is known of a request so far. Dropping it writes it, once.
#[derive(Debug)]
pub(crate) struct Record {
    ctx: RequestContext,
    method: Method,
    path: String,
    destination: Option<Destination>,
    tool: Option<String>,
    status: Option<StatusCode>,
    blamed: Option<Blamed>,
    error: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    first_byte: Option<Duration>,
    outcome: Outcome,
    breaking_off: BreakingOff,
}

impl Record {
    pub(super) fn begin(ctx: RequestContext, method: Method, path: String, breaking_off: BreakingOff) -> Self {
        Self {
            ctx,
            method,
            path,
            destination: None,
            tool: None,
            status: None,
            blamed: None,
            error: None,
            bytes_in: 0,
            bytes_out: 0,
            first_byte: None,
            outcome: Outcome::ClientGone,
            breaking_off,
        }
    }

    pub(crate) fn note_body(&mut self, bytes: usize) {
        self.bytes_in = bytes as u64;
    }

    pub(crate) fn note_destination(&mut self, destination: Destination) {
        self.destination = Some(destination);
    }

    /// Notes the tool that is called, by the name that the client gave it.
    pub(crate) fn note_tool(&mut self, name: &str) {
        self.tool = Some(name.chars().take(LONGEST_TOOL_NAME).collect());
    }

    pub(crate) fn note_principal(&mut self, principal: Principal) {
        self.ctx.principal = principal;
    }

    /// Notes the answer's status; the record goes on with its body.
    pub(crate) fn note_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(crate) fn note_error(&mut self, code: &'static Code, message: String) {
        self.blamed = Some(Blamed { code: code.code, kind: code.kind });
        self.error = Some(message);
    }

    /// The same for a tool's. What only the operator may know is in the line of the call.
    pub(crate) fn note_tool_error(&mut self, error: &ToolError) {
        self.blamed = Some(Blamed { code: error.code, kind: error.fault.kind() });
        self.error = Some(error.message.clone());
    }

    fn note_failure(&mut self, code: &'static Code, message: String) {
        self.note_error(code, message);
        self.outcome = Outcome::UpstreamFailed;
    }

    /// What the client is told of a failure in the middle of an answer.
    fn describe_failure(&self, error: &EgressError) -> (&'static Code, String) {
        let provider = self.destination.as_ref().map_or("?", |to| to.provider.id());
        (code_of_egress(error), format!("provider {provider}: {error}"))
    }

    fn note_piece(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
        if self.first_byte.is_none() {
            self.first_byte = Some(self.ctx.started.elapsed());
        }
    }

    /// The answer is complete.
    fn complete(&mut self) {
        if self.outcome != Outcome::ClientGone {
            return;
        }
        self.outcome = match self.blamed {
            None => Outcome::Done,
            Some(blamed) if blamed.kind == "invalid_request_error" => Outcome::Refused,
            Some(_) => Outcome::UpstreamFailed,
        };
    }

    fn write(&self) {
        let destination = self.destination.as_ref();
        let inlined = destination.map(|to| to.inlined).filter(|inlined| inlined.count > 0);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "owl::request",
                    request_id = self.ctx.id.as_str(),
                    key = self.ctx.principal.name(),
                    method = self.method.as_str(),
                    path = clipped(&self.path),
                    provider = destination.map(|to| to.provider.id()),
                    model = destination.and_then(|to| to.model.as_deref()).map(clipped),
                    stream = destination.map(|to| to.stream),
                    tool = self.tool.as_deref(),
                    status = self.status.map(|status| status.as_u16()),
                    code = self.blamed.map(|blamed| blamed.code),
                    error = self.error.as_deref().map(clipped),
                    bytes_in = self.bytes_in,
                    media_count = inlined.map(|inlined| inlined.count),
                    media_bytes = inlined.map(|inlined| inlined.bytes),
                    bytes_out = self.bytes_out,
                    first_byte_ms = self.first_byte.map(milliseconds),
                    duration_ms = milliseconds(self.ctx.started.elapsed()),
                    outcome = self.outcome.as_str(),
                )
            };
        }
        // Somebody was failed by Owl or by the upstream, whoever found the words for it.
        if self.outcome == Outcome::UpstreamFailed || self.status.is_some_and(|status| status.is_server_error()) {
            line!(error);
        } else if self.outcome == Outcome::Stopped {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

/// What a line says of a client's text: a model's name may be megabytes long, and a few such lines would push out others
/// that wait to be written.
fn clipped(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.outcome == Outcome::ClientGone && self.breaking_off.has_begun() {
            self.outcome = Outcome::Stopped;
        }
        self.write();
    }
}

/// A body as a handler answers with it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Owl's own, whole.
    Own(Full<Bytes>),
    /// The upstream's, as it arrives.
    Forwarded(ForwardBody),
    /// The agent loop's, as it comes about.
    Acted(Box<ActedBody>),
    /// That of the door behind this one.
    Annexed(AnnexBody),
}

/// A body on its way to the client, with the request's record.
///
/// An upstream that fails in the middle of an event stream is told to the client as one last event, because its head has
/// long gone out; then the connection is broken off, so that nobody takes the answer for complete.
#[derive(Debug)]
pub(crate) struct RecordedBody {
    answer: Answer,
    record: Box<Record>,
    events: Option<EventBoundary>,
    failing: Failing,
}

/// What one poll of a body gives.
type Step = Poll<Option<Result<Frame<Bytes>, EgressError>>>;

/// The steps in which a failure in mid-stream is told.
#[derive(Debug)]
enum Failing {
    No,
    /// What was handed over has until the timer's end to be written; then the connection is broken off.
    BreakOff(EgressError, Pin<Box<Sleep>>),
    Over,
}

impl RecordedBody {
    pub(crate) fn new(response: Response<Answer>, mut record: Box<Record>) -> Response<Self> {
        let (head, answer) = response.into_parts();
        let is_events = body_kind(&head.headers) == Some(BodyKind::EventStream);
        let encoded = head.headers.contains_key(header::CONTENT_ENCODING);
        let events = (is_events && !encoded).then(EventBoundary::default);
        if answer.is_end_stream() || record.method == Method::HEAD {
            record.complete();
        }
        Response::from_parts(head, Self { answer, record, events, failing: Failing::No })
    }

    /// What the upstream did send is the client's, and so is the event that tells of the failure: over HTTP/2 another
    /// task writes them, and an error drops what it has not written yet.
    fn fail(&mut self, error: EgressError, cx: &mut Context<'_>) -> Step {
        let (code, message) = self.record.describe_failure(&error);
        let told = ApiError::new(code, message.clone()).to_json();
        self.record.note_failure(code, message);
        self.failing = Failing::BreakOff(error, Box::pin(tokio::time::sleep(TIME_TO_WRITE)));
        if self.events.as_ref().is_some_and(EventBoundary::is_between_events) {
            let event = [b"data: ", told.as_slice(), b"\n\n"].concat();
            return Poll::Ready(Some(Ok(Frame::data(event.into()))));
        }
        self.poll_break_off(cx)
    }

    fn poll_break_off(&mut self, cx: &mut Context<'_>) -> Step {
        if let Failing::BreakOff(_, timer) = &mut self.failing {
            ready!(timer.as_mut().poll(cx));
        }
        match std::mem::replace(&mut self.failing, Failing::Over) {
            Failing::BreakOff(error, _) => Poll::Ready(Some(Err(error))),
            Failing::No | Failing::Over => Poll::Ready(None),
        }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step {
        let this = &mut *self;
        if !matches!(this.failing, Failing::No) {
            return this.poll_break_off(cx);
        }
        match ready!(this.answer.poll(cx)) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.record.note_piece(data.len());
                    if let Some(events) = &mut this.events {
                        events.see(data);
                    }
                }
                // Nothing follows trailers, and hyper does not ask.
                if frame.is_trailers() || this.answer.is_end_stream() {
                    this.record.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => this.fail(error, cx),
            None => {
                if let Answer::Acted(body) = &this.answer
                    && let Some(message) = body.failure()
                {
                    this.record.note_failure(UPSTREAM_ERROR, message.to_owned());
                }
                this.record.complete();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.failing, Failing::No) && self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.answer {
            Answer::Own(body) => body.size_hint(),
            Answer::Forwarded(body) => body.size_hint(),
            Answer::Acted(_) => SizeHint::new(),
            Answer::Annexed(body) => body.size_hint(),
        }
    }
}

impl Answer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        match self {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Forwarded(body) => Pin::new(body).poll_frame(cx),
            Self::Acted(body) => body.poll(cx).map(|frame| frame.map(Ok)),
            Self::Annexed(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Forwarded(body) => body.is_end_stream(),
            Self::Acted(body) => body.is_end_stream(),
            Self::Annexed(body) => body.is_end_stream(),
        }
    }
}

/// Whether an event stream stands between two events: only there can another be put in.
#[derive(Debug, Default)]
struct EventBoundary {
    tail: [u8; 4],
    started: bool,
}

impl EventBoundary {
    fn see(&mut self, data: &[u8]) {
        for byte in &data[data.len().saturating_sub(self.tail.len())..] {
            self.tail.rotate_left(1);
            self.tail[3] = *byte;
        }
        self.started |= !data.is_empty();
    }

    fn is_between_events(&self) -> bool {
        !self.started || matches!(self.tail, [.., b'\n', b'\n'] | [.., b'\r', b'\r'] | [b'\r', b'\n', b'\r', b'\n'])
    }
}
