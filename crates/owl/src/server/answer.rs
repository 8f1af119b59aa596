//! An answer of the agent loop's on its way to the client, in the protocol that an encoder writes: as a stream, or whole.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream as _, StreamExt as _};
use http::{HeaderValue, Response, header};
use http_body::Frame;
use owl_wire::answer::{AnswerEvent, Encode, Ending};
use owl_wire::error::ErrorBody;
use serde_json::Value;

use super::error::{ApiError, UPSTREAM_ERROR};
use super::record::Answer;
use super::routes::json;
use crate::agent;

/// What is done with a complete answer before the client learns that it is complete.
pub(super) type Keep = Box<dyn FnOnce(&Ending, Value) -> BoxFuture<'static, ()> + Send>;

/// A stream on its way. Dropping it ends the work.
pub(crate) struct ActedBody {
    answer: Option<agent::Answer>,
    encoder: Box<dyn Encode>,
    keep: Option<Keep>,
    keeping: Option<BoxFuture<'static, ()>>,
    /// What is written and has not gone out.
    written: Vec<u8>,
    failure: Option<String>,
}

impl fmt::Debug for ActedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActedBody").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl ActedBody {
    /// What the answer broke off with; known at its end.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if let Some(keeping) = &mut self.keeping {
                ready!(keeping.as_mut().poll(cx));
                self.keeping = None;
            }
            if !self.written.is_empty() {
                return Poll::Ready(Some(Frame::data(std::mem::take(&mut self.written).into())));
            }
            let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
            match ready!(Pin::new(answer).poll_next(cx)) {
                Some(event) => self.take(&event),
                None => self.answer = None,
            }
        }
    }

    fn take(&mut self, event: &AnswerEvent) {
        self.encoder.event(event, &mut self.written);
        match event {
            AnswerEvent::Failed(error) => self.failure = Some(error.message.clone()),
            AnswerEvent::Ended(ending) => {
                if let Some(keep) = self.keep.take()
                    && let Ok(whole) = self.encoder.whole()
                {
                    self.keeping = Some(keep(ending, whole));
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.answer.is_none() && self.written.is_empty() && self.keeping.is_none()
    }
}

/// Reads an answer to its end.
///
/// # Errors
/// What it broke off with.
pub(super) async fn whole(
    mut answer: agent::Answer,
    mut encoder: Box<dyn Encode>,
    keep: Option<Keep>,
) -> Result<Value, ErrorBody> {
    let mut end = None;
    while let Some(event) = answer.next().await {
        encoder.event(&event, &mut Vec::new());
        if let AnswerEvent::Ended(ending) = event {
            end = Some(ending);
        }
    }
    let whole = encoder.whole()?;
    if let (Some(keep), Some(ending)) = (keep, end) {
        keep(&ending, whole.clone()).await;
    }
    Ok(whole)
}

/// Answers with what the loop gives. The head waits until there is something to say, so that an upstream which fails at once is
/// answered with a status.
///
/// # Errors
/// The answer broke off before anything was said; or at any time, when it is not streamed.
pub(super) async fn send(
    mut answer: agent::Answer,
    encoder: Box<dyn Encode>,
    stream: bool,
    keep: Option<Keep>,
) -> Result<Response<Answer>, ApiError> {
    if !stream {
        let whole = whole(answer, encoder, keep).await.map_err(|error| failed(&error))?;
        return Ok(json(whole.to_string()));
    }
    let mut early = Vec::new();
    while let Some(event) = answer.next().await {
        if let AnswerEvent::Failed(error) = &event {
            return Err(failed(error));
        }
        let says_nothing = event == AnswerEvent::TurnBegan;
        early.push(event);
        if !says_nothing {
            break;
        }
    }
    let mut body = ActedBody { answer: Some(answer), encoder, keep, keeping: None, written: Vec::new(), failure: None };
    early.iter().for_each(|event| body.take(event));
    let mut response = Response::new(Answer::Acted(Box::new(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx in front of Owl would hold the pieces back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// An answer that broke off, as an error of its own.
pub(super) fn failed(error: &ErrorBody) -> ApiError {
    ApiError::new(UPSTREAM_ERROR, error.message.clone())
}
