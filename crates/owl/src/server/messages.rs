//! Anthropic's Messages API: forwarded where the server has it, and answered over chat completions where it has not, or where a
//! request asks for tools of Owl's.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use owl_wire::answer::{AnswerEvent, AnswerHead};
use owl_wire::chat::hosted;
use owl_wire::messages::{MessageEncoder, MessagesError, MessagesRequest};
use serde_json::{Map, Value, json};

use futures_util::StreamExt as _;

use super::chat::{new_id, now};
use super::error::{ApiError, INVALID_BODY};
use super::record::{Answer, Record};
use super::routes::json;
use super::{Door, answer, forward, native};
use crate::context::RequestContext;
use crate::gateway::{ActRequest, Acted, GatewayRequest};
use crate::provider::Provider;

/// Says that a count of tokens is Owl's estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-owl-estimated");

/// How many bytes of a request are taken for a token where the server does not count.
const BYTES_PER_TOKEN: usize = 4;

/// What a path of the API is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Create,
    CountTokens,
}

impl Path {
    /// The part of the API that Owl may answer itself; `None` for what is forwarded in any case.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        match (&head.method, head.uri.path()) {
            (&Method::POST, "/v1/messages") => Some(Self::Create),
            (&Method::POST, "/v1/messages/count_tokens") => Some(Self::CountTokens),
            _ => None,
        }
    }

    fn below_v1(self) -> &'static str {
        match self {
            Self::Create => "messages",
            Self::CountTokens => "messages/count_tokens",
        }
    }
}

/// Answers a request for one of these paths.
pub(super) async fn respond(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    path: Path,
    head: Parts,
    body: Bytes,
) -> Result<Response<Answer>, ApiError> {
    let provider = forward::provider_header(&head.headers)?;
    let unasked = door.gateway.offers_unasked(ctx, provider.as_deref(), &body).await;
    let acts = unasked.map_err(|failure| ApiError::from(&failure))? || hosted::asks_for_hosted(&body);
    if !acts {
        let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let request = GatewayRequest {
            method: head.method,
            path: format!("{}{query}", path.below_v1()),
            headers: head.headers.clone(),
            body: body.clone(),
            provider: provider.clone(),
        };
        if let Some(response) = native::forward(door, ctx, record, request, Provider::messages).await? {
            return Ok(response);
        }
    }
    let request: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(INVALID_BODY, format!("the request body is not usable: {error}")))?;
    let read = MessagesRequest::read(request).map_err(|error| unusable(&error))?;
    match path {
        Path::Create => create(door, ctx, record, head.headers, provider, read).await,
        Path::CountTokens => count(door, ctx, record, head.headers, provider, read).await,
    }
}

fn unusable(error: &MessagesError) -> ApiError {
    let mut told = ApiError::new(INVALID_BODY, error.to_string());
    told.field = Some(Cow::Owned(error.path.clone()));
    told
}

async fn create(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    headers: HeaderMap,
    provider: Option<String>,
    read: MessagesRequest,
) -> Result<Response<Answer>, ApiError> {
    let MessagesRequest { body, hosted, model, stream, .. } = read;
    let request =
        ActRequest { body, headers: without_anthropics(headers), provider, hosted, alone: false, approval: None };
    let Acted { destination, answer } =
        door.gateway.act(ctx, request).await.map_err(|failure| ApiError::from(&failure))?;
    record.note_destination(destination);
    let head = AnswerHead { id: new_id("msg_"), created: now(), model };
    answer::send(answer, Box::new(MessageEncoder::new(head, ctx.id.as_str())), stream, None).await
}

/// The tokens of a request, as the server counts them: it is asked for one token of an answer, and says how many it has read. That
/// warms its cache for the request itself, too.
async fn count(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    headers: HeaderMap,
    provider: Option<String>,
    read: MessagesRequest,
) -> Result<Response<Answer>, ApiError> {
    let mut body = read.body;
    let bytes = Value::Object(body.clone()).to_string().len();
    for key in ["stream", "tool_choice", "response_format"] {
        body.shift_remove(key);
    }
    body.insert("max_tokens".to_owned(), 1.into());
    let headers = without_anthropics(headers);
    let request = ActRequest { body, headers, provider, hosted: Vec::new(), alone: true, approval: None };
    let Acted { destination, mut answer } =
        door.gateway.act(ctx, request).await.map_err(|failure| ApiError::from(&failure))?;
    record.note_destination(destination);
    let mut counted = None;
    while let Some(event) = answer.next().await {
        match event {
            AnswerEvent::Failed(error) => return Err(answer::failed(&error)),
            AnswerEvent::Ended(ending) => counted = ending.usage.filter(|usage| !usage.estimated),
            _ => {}
        }
    }
    let tokens = counted.map_or(bytes.div_ceil(BYTES_PER_TOKEN) as u64, |usage| usage.input);
    let mut response = json(json!({ "input_tokens": tokens }).to_string());
    if counted.is_none() {
        response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What only Anthropic's own servers understand stays here.
fn without_anthropics(mut headers: HeaderMap) -> HeaderMap {
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("anthropic-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    headers
}
