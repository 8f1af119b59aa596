//! The Responses API: forwarded where the server has it, and answered over chat completions where it has not, or where a request asks
//! for tools of Owl's. What Owl answers it also keeps, unless the client does not want that.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use owl_wire::answer::{AnswerHead, Encode as _, Ending};
use owl_wire::chat::hosted;
use owl_wire::responses::{RequestError, ResponseEncoder, ResponsesRequest};
use serde_json::{Map, Value, json};

use super::answer::{self, Keep};
use super::chat::{new_id, now};
use super::error::{
    ApiError, INVALID_BODY, RESPONSE_NOT_CANCELLABLE, RESPONSE_NOT_FOUND, STORE_UNAVAILABLE, TOO_MANY_RESPONSES,
};
use super::record::{Answer, Record};
use super::routes::json;
use super::{Door, forward, native};
use crate::context::RequestContext;
use crate::conversations::{ConversationError, Kept, Remembered};
use crate::gateway::{ActRequest, Acted, GatewayRequest};

/// What the ids of Owl's own responses begin with; others are the upstream's.
const PREFIX: &str = "resp_owl";

/// How many input items are listed, if nothing is said of it, and at most.
const ITEMS: (usize, usize) = (20, 100);

/// What a path below `/v1/responses` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Create,
    One(String),
    InputItems(String),
    Cancel(String),
}

impl Path {
    /// The part of the API that Owl may answer itself; `None` for what is forwarded in any case.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        let rest = head.uri.path().strip_prefix("/v1/responses")?;
        let mut parts = rest.strip_prefix('/').unwrap_or(rest).split('/');
        let own = |id: &str| id.starts_with(PREFIX).then(|| id.to_owned());
        match (&head.method, parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            (&Method::POST, "", None, None) if rest.is_empty() => Some(Self::Create),
            (&Method::GET | &Method::DELETE, id, None, None) => own(id).map(Self::One),
            (&Method::GET, id, Some("input_items"), None) => own(id).map(Self::InputItems),
            (&Method::POST, id, Some("cancel"), None) => own(id).map(Self::Cancel),
            _ => None,
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
    match path {
        Path::Create => create(door, ctx, record, head, body).await,
        Path::One(id) if head.method == Method::DELETE => {
            door.background.cancel(&id);
            if !door.gateway.conversations().delete(&ctx.principal, &id).await.map_err(unavailable)? {
                return Err(not_found(&id));
            }
            Ok(json(json!({ "id": id, "object": "response", "deleted": true }).to_string()))
        }
        Path::One(id) => Ok(json(found(door, ctx, &id).await?.response.to_string())),
        Path::InputItems(id) => {
            let input = found(door, ctx, &id).await?.input;
            Ok(json(page(input, head.uri.query().unwrap_or_default())?.to_string()))
        }
        Path::Cancel(id) => cancel(door, ctx, &id).await,
    }
}

async fn found(door: &Door, ctx: &RequestContext, id: &str) -> Result<Remembered, ApiError> {
    let found = door.gateway.conversations().get(&ctx.principal, id).await.map_err(unavailable)?;
    found.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    let id: String = id.chars().take(100).collect();
    ApiError::new(RESPONSE_NOT_FOUND, format!("no response {id:?} is kept for this client"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn unavailable(error: ConversationError) -> ApiError {
    ApiError::new(STORE_UNAVAILABLE, error.to_string())
}

fn unusable(error: &RequestError) -> ApiError {
    let mut told = ApiError::new(INVALID_BODY, error.to_string());
    told.field = Some(Cow::Owned(error.path.clone()));
    told
}

async fn create(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    head: Parts,
    body: Bytes,
) -> Result<Response<Answer>, ApiError> {
    let provider = forward::provider_header(&head.headers)?;
    let goes_on = memchr::memmem::find(&body, PREFIX.as_bytes()).is_some() && previous(&body).is_some();
    let unasked = door.gateway.offers_unasked(ctx, provider.as_deref(), &body).await;
    let unasked = unasked.map_err(|failure| ApiError::from(&failure))?;
    if !goes_on && !unasked && !hosted::asks_for_hosted(&body) {
        let request = GatewayRequest {
            method: head.method,
            path: "responses".to_owned(),
            headers: head.headers.clone(),
            body: body.clone(),
            provider: provider.clone(),
        };
        if let Some(response) =
            native::forward(door, ctx, record, request, crate::provider::Provider::responses).await?
        {
            return Ok(response);
        }
    }
    act(door, ctx, record, head.headers, provider, &body).await
}

/// The response of Owl's that a request goes on from.
fn previous(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Previous {
        #[serde(default)]
        previous_response_id: Option<String>,
    }
    let read: Previous = serde_json::from_slice(body).ok()?;
    read.previous_response_id.filter(|id| id.starts_with(PREFIX))
}

/// A response that is about to be made.
struct Making {
    id: String,
    encoder: ResponseEncoder,
    request: ActRequest,
    kept: Option<Kept>,
    stream: bool,
    background: bool,
}

async fn act(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    headers: HeaderMap,
    provider: Option<String>,
    body: &Bytes,
) -> Result<Response<Answer>, ApiError> {
    let making = prepare(door, ctx, headers, provider, body).await?;
    if making.background {
        return in_background(door, ctx, making).await;
    }
    let Making { encoder, request, kept, stream, .. } = making;
    let Acted { destination, answer } =
        door.gateway.act(ctx, request).await.map_err(|failure| ApiError::from(&failure))?;
    record.note_destination(destination);
    answer::send(answer, Box::new(encoder), stream, kept.map(|kept| keep(door, ctx, kept))).await
}

async fn prepare(
    door: &Door,
    ctx: &RequestContext,
    headers: HeaderMap,
    provider: Option<String>,
    body: &Bytes,
) -> Result<Making, ApiError> {
    let request: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(INVALID_BODY, format!("the request body is not usable: {error}")))?;
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = new_id(PREFIX);
    let read = ResponsesRequest::read(request, &id).map_err(|error| unusable(&error))?;
    if read.background && (read.stream || !read.store) {
        let reason = "a response in the background is kept and not streamed: leave out `stream`, and `store: false`";
        return Err(unusable(&RequestError { path: "background".to_owned(), reason: reason.to_owned() }));
    }
    let history = match &read.previous {
        None => Vec::new(),
        Some(previous) => {
            let history = door.gateway.conversations().history(&ctx.principal, previous).await.map_err(unavailable)?;
            history.ok_or_else(|| {
                let mut error = not_found(previous);
                error.field = Some("previous_response_id".into());
                error
            })?
        }
    };
    let head = AnswerHead { id: id.clone(), created: now(), model };
    let encoder = ResponseEncoder::new(head, read.echo.clone(), read.include_sources);
    let kept = read.store.then(|| Kept {
        id: id.clone(),
        previous: read.previous.clone(),
        response: Value::Null,
        input: read.input.clone(),
        messages: read.messages.clone(),
    });
    let (hosted, stream, background) = (read.hosted.clone(), read.stream, read.background);
    let mut body = read.into_body(history);
    if stream {
        body.insert("stream".to_owned(), true.into());
    } else {
        body.shift_remove("stream");
    }
    let request = ActRequest { body, headers, provider, hosted, alone: false, approval: None };
    Ok(Making { id, encoder, request, kept, stream, background })
}

/// Keeps a response once it is complete. That it could not be kept is told in the log: the client has its answer.
fn keep(door: &Door, ctx: &RequestContext, mut kept: Kept) -> Keep {
    let (conversations, ctx) = (door.gateway.conversations().clone(), ctx.clone());
    Box::new(move |ending: &Ending, response| {
        kept.response = response;
        kept.messages.extend(ending.messages.iter().cloned());
        Box::pin(async move {
            if let Err(error) = conversations.put(&ctx.principal, kept).await {
                tracing::error!(request_id = ctx.id.as_str(), "the response is not kept: {error}");
            }
        })
    })
}

/// Has a response made without the client waiting: it is kept as it is now, and again when it is done.
async fn in_background(door: &Door, ctx: &RequestContext, making: Making) -> Result<Response<Answer>, ApiError> {
    let Making { id, encoder, request, kept, .. } = making;
    let Some(mut kept) = kept else { return Err(not_found(&id)) };
    let place = door.background.reserve().ok_or_else(|| {
        ApiError::new(TOO_MANY_RESPONSES, "too many responses are being made in the background; wait for one to end")
    })?;
    kept.response = encoder.response();
    let response = json(kept.response.to_string());
    let conversations = door.gateway.conversations().clone();
    conversations.put(&ctx.principal, kept.clone()).await.map_err(unavailable)?;
    let done = keep(door, ctx, kept.clone());
    let (gateway, ctx) = (door.gateway.clone(), ctx.clone());
    let work = async move {
        let mut unfinished = encoder.clone();
        let outcome = match gateway.act(&ctx, request).await {
            Ok(Acted { answer, .. }) => answer::whole(answer, Box::new(encoder), Some(done)).await,
            Err(failure) => Err(ApiError::from(&failure).to_body()),
        };
        if let Err(error) = outcome {
            unfinished.event(&owl_wire::answer::AnswerEvent::Failed(error), &mut Vec::new());
            kept.response = unfinished.response();
            if let Err(error) = conversations.put(&ctx.principal, kept).await {
                tracing::error!(request_id = ctx.id.as_str(), "the response is not kept: {error}");
            }
        }
    };
    door.background.spawn(place, id, work);
    Ok(response)
}

async fn cancel(door: &Door, ctx: &RequestContext, id: &str) -> Result<Response<Answer>, ApiError> {
    let Remembered { mut response, input } = found(door, ctx, id).await?;
    if response["background"] != true {
        let message = "this response was not made in the background: hang up to end one that is being streamed";
        return Err(ApiError::new(RESPONSE_NOT_CANCELLABLE, message));
    }
    if response["status"] == "in_progress" {
        door.background.cancel(id);
        response["status"] = "cancelled".into();
        let kept = Kept {
            id: id.to_owned(),
            previous: response["previous_response_id"].as_str().map(str::to_owned),
            response: response.clone(),
            input,
            messages: Vec::new(),
        };
        door.gateway.conversations().put(&ctx.principal, kept).await.map_err(unavailable)?;
    }
    Ok(json(response.to_string()))
}

/// A page of the input items: `limit`, `order` and `after`, the newest first.
fn page(mut items: Vec<Value>, query: &str) -> Result<Value, ApiError> {
    let parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let said = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| &**value);
    let wrong =
        |key: &'static str, reason: &str| unusable(&RequestError { path: key.to_owned(), reason: reason.to_owned() });
    let limit = match said("limit") {
        None => ITEMS.0,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=ITEMS.1).contains(limit))
            .ok_or_else(|| wrong("limit", "this must be a number from 1 to 100"))?,
    };
    match said("order") {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(wrong("order", "this must be `asc` or `desc`")),
    }
    let from = match said("after") {
        None => 0,
        Some(after) => items
            .iter()
            .position(|item| item["id"] == after)
            .map(|at| at + 1)
            .ok_or_else(|| wrong("after", "no input item has this id"))?,
    };
    let more = items.len() > from + limit;
    let items: Vec<Value> = items.into_iter().skip(from).take(limit).collect();
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(items.first()), id(items.last()));
    Ok(json!({ "object": "list", "data": items, "first_id": first, "last_id": last, "has_more": more }))
}
