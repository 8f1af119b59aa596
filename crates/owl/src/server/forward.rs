//! Everything else below `/v1/`: read the body, ask the gateway where it goes, pass the answer on.

use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::error::{
    ApiError, BODY_INCOMPLETE, BODY_TIMEOUT, BODY_TOO_LARGE, INVALID_BODY, METHOD_REFUSED, UPGRADE_UNSUPPORTED,
};
use super::record::{Answer, Record};
use super::{Door, chat, messages, responses};
use crate::config::Limits;
use crate::context::RequestContext;
use crate::gateway::GatewayRequest;
use crate::provider::forward::PROVIDER_HEADER;

/// How much of a body must come in each `gateway.limits.bodyTimeout`, in bytes.
const PACE: usize = 64 * 1024;

pub(super) async fn forward(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    head: Parts,
    body: Body,
) -> Result<Response<Answer>, ApiError> {
    if head.method == Method::TRACE || head.method == Method::CONNECT {
        // A server that answers TRACE sends the request back, Owl's credential with it (RFC 9110, section 9.3.8).
        return Err(ApiError::new(METHOD_REFUSED, format!("{} is not forwarded", head.method)));
    }
    // Any other protocol may be ignored (RFC 9110, section 7.8): some clients offer h2c with every request.
    if head.headers.get(header::UPGRADE).is_some_and(|wanted| wanted.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(ApiError::new(UPGRADE_UNSUPPORTED, "Owl forwards HTTP; it does not open WebSockets"));
    }
    // The server behind Owl may read the other one, and so another body than Owl did.
    let mut content_types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let first = content_types.next();
    if content_types.any(|other| Some(other) != first) {
        return Err(ApiError::new(INVALID_BODY, "two different headers Content-Type are there; send one"));
    }
    let body = read_body(body, &head.headers, &door.limits).await?;
    record.note_body(body.len());
    if let Some(path) = responses::Path::of(&head) {
        return responses::respond(door, ctx, record, path, head, body).await;
    }
    if let Some(path) = messages::Path::of(&head) {
        return messages::respond(door, ctx, record, path, head, body).await;
    }
    if chat::is_asked(door, ctx, &head, &body).await? {
        return chat::act(door, ctx, record, head, &body).await;
    }
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix("/v1/").unwrap_or(path).to_owned();
    let provider = provider_header(&head.headers)?;
    let request = GatewayRequest { method: head.method, path, headers: head.headers, body, provider };
    let routed = door.gateway.route(ctx, request).await.map_err(|failure| ApiError::from(&failure))?;
    record.note_destination(routed.destination.clone());
    let response = door.gateway.forward(ctx, routed).await.map_err(|failure| ApiError::from(&failure))?;
    Ok(response.map(Answer::Forwarded))
}

pub(super) fn provider_header(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&PROVIDER_HEADER) else {
        return Ok(None);
    };
    let name = value.to_str().map_err(|_| ApiError::new(INVALID_BODY, "the header x-owl-provider is not readable"))?;
    Ok(Some(name.to_owned()))
}

/// The whole body: Owl must know the model before it knows where the request goes.
pub(super) async fn read_body(mut body: Body, headers: &HeaderMap, limits: &Limits) -> Result<Bytes, ApiError> {
    let limit = limits.request_body;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let begun = Instant::now();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut received = 0;
    while let Some(frame) = next_frame(&mut body, limits.body_timeout, begun.elapsed(), received).await? {
        let Ok(data) = frame.into_data() else { continue };
        received += data.len();
        if received as u64 > limit {
            return Err(too_large(limit));
        }
        // Most bodies come in one piece, which is passed on as it is.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(announced.unwrap_or(0).min(limit) as usize);
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// The next piece. A client may pause for `patience`; and all in all, once more for each [`PACE`] that has come.
async fn next_frame(
    body: &mut Body,
    patience: Duration,
    elapsed: Duration,
    received: usize,
) -> Result<Option<http_body::Frame<Bytes>>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let in_all = patience.saturating_mul(u32::try_from(1 + received / PACE).unwrap_or(u32::MAX));
    let left = in_all.saturating_sub(elapsed);
    match tokio::time::timeout(left.min(patience), body.frame()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(_))) => Err(ApiError::new(BODY_INCOMPLETE, "the request body broke off before its end")),
        Err(_) if left < patience && received > 0 => Err(ApiError::new(
            BODY_TIMEOUT,
            format!(
                "the request body came too slowly: {received} bytes in {} s (gateway.limits.bodyTimeout)",
                in_all.as_secs_f64()
            ),
        )),
        Err(_) => Err(ApiError::new(
            BODY_TIMEOUT,
            format!(
                "nothing more of the request body came within {} s (gateway.limits.bodyTimeout)",
                patience.as_secs_f64()
            ),
        )),
    }
}

fn too_large(limit: u64) -> ApiError {
    let message = format!("the request body is larger than {limit} bytes (gateway.limits.requestBody)");
    ApiError::new(BODY_TOO_LARGE, message)
}
