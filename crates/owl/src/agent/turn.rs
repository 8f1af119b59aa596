//! One turn of the model: the request goes out, and what comes back is told as it comes and collected.

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Limited};
use owl_wire::BodyKind;
use owl_wire::answer::{AnswerEvent, FinishReason, Usage};
use owl_wire::compat::Compat;
use owl_wire::error::{ErrorBody, UpstreamError};
use owl_wire::turn::{TurnDecoder, TurnError, TurnEvent};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Sender;

use super::Offer;
use crate::context::RequestContext;
use crate::provider::forward::{ForwardBody, Outgoing, body_kind};
use crate::provider::{Failure, Provider, UpstreamFailure};

/// The most that is read of an upstream's refusal, in bytes.
const REFUSAL_LIMIT: usize = 256 * 1024;

/// The reader of the answer has gone.
#[derive(Debug)]
pub(super) struct Gone;

/// Tells the reader of the answer what happens.
#[derive(Clone, Debug)]
pub(super) struct Teller(pub(super) Sender<AnswerEvent>);

impl Teller {
    pub(super) async fn tell(&self, event: AnswerEvent) -> Result<(), Gone> {
        self.0.send(event).await.map_err(|_| Gone)
    }
}

/// An answer's head has come.
#[derive(Debug)]
pub(super) struct Asked {
    response: Response<ForwardBody>,
    /// How large the request was.
    bytes: usize,
}

/// Asks the model, and waits for its answer's head.
///
/// # Errors
/// [`Failure::Upstream`]: it does not answer, or refuses.
pub(super) async fn ask(
    ctx: &RequestContext,
    provider: &Provider,
    headers: &HeaderMap,
    body: &Map<String, Value>,
) -> Result<Asked, Failure> {
    let mut headers = headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What is read here must not be compressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let body = Bytes::from(serde_json::to_vec(body).unwrap_or_default());
    let bytes = body.len();
    let path = "chat/completions".to_owned();
    let outgoing = Outgoing { method: Method::POST, path, headers, body, renamed: None };
    let response = provider.forward(ctx, outgoing).await?;
    if response.status().is_success() {
        return Ok(Asked { response, bytes });
    }
    Err(refusal(provider, response).await)
}

/// The API's own error, as its answer says it.
async fn refusal(provider: &Provider, response: Response<ForwardBody>) -> Failure {
    let (status, retry_after) =
        (response.status().as_u16(), response.headers().get(http::header::RETRY_AFTER).cloned());
    let body = Limited::new(response.into_body(), REFUSAL_LIMIT).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said = UpstreamError::read(&body).unwrap_or_else(|| UpstreamError {
        message: format!("the server answered {status} without saying why"),
        ..UpstreamError::default()
    });
    provider.failed(UpstreamFailure::Refused { status, said, retry_after })
}

/// What a turn came to.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) refusal: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
}

/// A call in a turn.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) owner: Owner,
}

/// Whose function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Client,
    /// Owl's tool, or nobody's function: Owl answers it.
    Owl,
}

impl Turn {
    /// The turn as a message of the conversation, with the calls that `shown` says.
    pub(super) fn message(&self) -> Value {
        let content = if self.text.is_empty() { Value::Null } else { self.text.as_str().into() };
        let mut message = json!({ "role": "assistant", "content": content });
        if !self.calls.is_empty() {
            let call = |call: &Call| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments(call) } });
            message["tool_calls"] = self.calls.iter().map(call).collect();
            // Models that think between calls want to read what they thought; to others it is an unknown field.
            if !self.reasoning.is_empty() {
                message["reasoning_content"] = self.reasoning.as_str().into();
            }
        } else if !self.refusal.is_empty() {
            message["refusal"] = self.refusal.as_str().into();
        }
        message
    }
}

/// Many servers' templates read the arguments as JSON and fail on what is none.
fn arguments(call: &Call) -> &str {
    let is_object = serde_json::from_str::<Map<String, Value>>(&call.arguments).is_ok();
    if is_object { &call.arguments } else { "{}" }
}

/// Servers count their calls, repeat ids, or give none; here they are Owl's own, for a part of a conversation is kept by them. They
/// differ at their end, too: some servers read no more than the last nine letters.
fn new_call_id() -> String {
    format!("call_{}", uuid::Uuid::now_v7().simple())
}

/// Whose functions there are.
#[derive(Debug)]
pub(super) struct Functions<'a> {
    pub(super) offer: &'a Offer,
    pub(super) client: &'a [String],
}

impl Functions<'_> {
    fn owner(&self, name: &str) -> Owner {
        // Without tools of Owl's in play nothing is held back: what the model calls is the client's to judge.
        let clients = !self.offer.has(name) && (self.offer.is_empty() || self.client.iter().any(|own| own == name));
        if clients { Owner::Client } else { Owner::Owl }
    }
}

/// Reads a turn to its end and tells what the client is to know of it.
///
/// # Errors
/// Told already, or nobody is there to be told.
pub(super) async fn read(
    provider: &Provider,
    asked: Asked,
    compat: &Compat,
    functions: &Functions<'_>,
    teller: &Teller,
) -> Result<Turn, Gone> {
    let Asked { response, bytes } = asked;
    let kind = body_kind(response.headers()).unwrap_or(BodyKind::Json);
    let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let names: Vec<String> =
        functions.offer.names().map(str::to_owned).chain(functions.client.iter().cloned()).collect();
    let mut reading = Reading { turn: Turn::default(), at: HashMap::new(), functions, teller };
    let mut decoder = TurnDecoder::new(kind, compat, &names).asked_with(bytes);
    let mut body = response.into_body();
    let mut events = Vec::new();
    let outcome = if encoded {
        Err(TurnError::Broken("the answer is compressed, although that was not asked for".to_owned()))
    } else {
        loop {
            match body.frame().await {
                None => break decoder.finish(&mut events),
                Some(Err(error)) => break Err(TurnError::Broken(format!("the answer broke off: {error}"))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if let Err(error) = decoder.push(&data, &mut events) {
                        break Err(error);
                    }
                    reading.take(&mut events).await?;
                }
            }
        }
    };
    reading.take(&mut events).await?;
    match outcome {
        Ok(()) => {
            reading.end_calls().await?;
            Ok(reading.turn)
        }
        Err(error) => {
            teller.tell(AnswerEvent::Failed(told(provider, &error))).await?;
            Err(Gone)
        }
    }
}

/// What the client is told of a turn that cannot be read.
fn told(provider: &Provider, error: &TurnError) -> ErrorBody {
    let said = provider.client().redact(&error.to_string());
    let (kind, code) = match error {
        TurnError::Upstream(error) => (error.kind.clone(), error.code.clone()),
        TurnError::Broken(_) => (None, None),
    };
    ErrorBody {
        message: format!("provider {}: {said}", provider.id()),
        kind: kind.unwrap_or_else(|| "upstream_error".to_owned()),
        param: None,
        code: Some(code.unwrap_or_else(|| "upstream_error".to_owned())),
    }
}

struct Reading<'a> {
    turn: Turn,
    /// Where the calls of the decoder's stand in `turn.calls`.
    at: HashMap<usize, usize>,
    functions: &'a Functions<'a>,
    teller: &'a Teller,
}

impl Reading<'_> {
    async fn take(&mut self, events: &mut Vec<TurnEvent>) -> Result<(), Gone> {
        for event in events.drain(..) {
            if let Some(event) = self.note(event) {
                self.teller.tell(event).await?;
            }
        }
        Ok(())
    }

    /// Collects what an event says; returns what the client is told of it.
    fn note(&mut self, event: TurnEvent) -> Option<AnswerEvent> {
        match event {
            TurnEvent::Text(piece) => {
                self.turn.text.push_str(&piece);
                Some(AnswerEvent::Text(piece))
            }
            TurnEvent::Reasoning(piece) => {
                self.turn.reasoning.push_str(&piece);
                Some(AnswerEvent::Reasoning(piece))
            }
            TurnEvent::Refusal(piece) => {
                self.turn.refusal.push_str(&piece);
                Some(AnswerEvent::Refusal(piece))
            }
            TurnEvent::CallBegan { index, id: _, name } => {
                let owner = self.functions.owner(&name);
                let id = new_call_id();
                self.at.insert(index, self.turn.calls.len());
                let call = Call { id: id.clone(), name: name.clone(), arguments: String::new(), owner };
                self.turn.calls.push(call);
                (owner == Owner::Client).then_some(AnswerEvent::CallBegan { id, name })
            }
            TurnEvent::CallArguments { index, piece } => {
                let call = self.at.get(&index).and_then(|at| self.turn.calls.get_mut(*at))?;
                call.arguments.push_str(&piece);
                (call.owner == Owner::Client).then(|| AnswerEvent::CallArguments { id: call.id.clone(), piece })
            }
            TurnEvent::Extra(extra) => Some(AnswerEvent::Extra(extra)),
            TurnEvent::Finish(reason) => {
                self.turn.finish = Some(reason);
                None
            }
            TurnEvent::Usage(usage) => {
                self.turn.usage = Some(usage);
                None
            }
        }
    }

    async fn end_calls(&mut self) -> Result<(), Gone> {
        for call in self.turn.calls.iter().filter(|call| call.owner == Owner::Client) {
            self.teller.tell(AnswerEvent::CallEnded { id: call.id.clone() }).await?;
        }
        Ok(())
    }
}
