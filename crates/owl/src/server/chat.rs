//! `POST /v1/chat/completions` with tools that Owl runs. Without any, the request is forwarded as every other.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use owl_wire::answer::AnswerHead;
use owl_wire::chat::encode::ChatEncoder;
use owl_wire::chat::hosted;
use serde_json::{Map, Value};

use super::error::{ApiError, INVALID_BODY};
use super::record::{Answer, Record};
use super::{Door, answer, forward};
use crate::context::RequestContext;
use crate::gateway::{ActRequest, Acted};

/// Whether this request is one that Owl answers with its own tools.
///
/// # Errors
/// Its model or provider is not known.
pub(super) async fn is_asked(door: &Door, ctx: &RequestContext, head: &Parts, body: &Bytes) -> Result<bool, ApiError> {
    if head.method != Method::POST || head.uri.path() != "/v1/chat/completions" {
        return Ok(false);
    }
    if hosted::asks_for_hosted(body) {
        return Ok(true);
    }
    let provider = forward::provider_header(&head.headers)?;
    let unasked = door.gateway.acts_unasked(ctx, provider.as_deref(), body).await;
    unasked.map_err(|failure| ApiError::from(&failure))
}

/// Answers with the model's turns and Owl's tools.
pub(super) async fn act(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    head: Parts,
    body: &Bytes,
) -> Result<Response<Answer>, ApiError> {
    let provider = forward::provider_header(&head.headers)?;
    let mut body: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(INVALID_BODY, format!("the request body is not usable: {error}")))?;
    let hosted = hosted::take_hosted(&mut body);
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let stream = body.get("stream").and_then(Value::as_bool) == Some(true);
    let include_usage = body.get("stream_options").is_some_and(|options| options["include_usage"] == true);
    let request = ActRequest { body, headers: head.headers, provider, hosted, alone: false, approval: None };
    let Acted { destination, answer } =
        door.gateway.act(ctx, request).await.map_err(|failure| ApiError::from(&failure))?;
    record.note_destination(destination);
    let head = AnswerHead { id: new_id("chatcmpl-"), created: now(), model };
    answer::send(answer, Box::new(ChatEncoder::new(head, include_usage)), stream, None).await
}

/// A new id: a UUIDv7 (RFC 9562) without hyphens behind the prefix.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::now_v7().simple())
}

/// The time in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
