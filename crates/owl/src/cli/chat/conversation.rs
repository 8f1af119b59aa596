//! What was said so far, and how the next question is asked.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, header};
use owl_egress::EgressError;
use owl_wire::answer::{AnswerEvent, HostedOutcome};
use owl_wire::chat::{ChatPiece, ChatRequest, Usage};
use owl_wire::hosted::HostedTool;
use serde_json::{Value, json};

use super::answer::{Answer, AnswerError, AnswerReader};
use super::approval;
use super::screen::{DIM, Screen, note, patiently, plain};
use super::session::{self, Kept, Session};
use crate::context::RequestContext;
use crate::gateway::{ActRequest, Gateway, GatewayRequest, Routed};
use crate::provider::forward::ForwardBody;
use crate::provider::{Failure, Provider, Reachability, UpstreamFailure};
use crate::tools::Approval;

/// How much of a call's question is shown, in characters.
const LONGEST_ASKED: usize = 80;

/// A conversation with one model at a time.
pub(super) struct Conversation {
    gateway: Arc<Gateway>,
    model: String,
    messages: Vec<Value>,
    tools: Vec<HostedTool>,
    session: Option<Session>,
    approval: Option<Arc<dyn Approval>>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum ChatError {
    /// The gateway did not get one.
    Failure(Failure),
    /// It is not one, or not a whole one.
    Answer { provider: String, error: AnswerError },
    /// It cannot be shown.
    Output(io::Error),
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(Failure::Upstream { provider, failure, .. })
                if let UpstreamFailure::Egress(EgressError::Denied(denied)) = &**failure =>
            {
                // This is the operator's own terminal: the whole refusal, not only what clients may know.
                write!(f, "provider {provider}: {denied}")
            }
            Self::Failure(Failure::UnknownModel { model, similar, unread })
                if similar.is_empty() && unread.is_empty() =>
            {
                write!(f, "no provider has a model named {model:?}; `owl models` lists them")
            }
            Self::Failure(failure) => failure.fmt(f),
            Self::Answer { provider, error } => write!(f, "provider {provider}: {error}"),
            Self::Output(error) => write!(f, "the output cannot be written: {error}"),
        }
    }
}

impl From<Failure> for ChatError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Conversation {
    /// `messages`: what was said before.
    pub(super) fn new(gateway: Arc<Gateway>, model: String, messages: Vec<Value>) -> Self {
        Self { gateway, model, messages, tools: Vec::new(), session: None, approval: approval::at_terminal() }
    }

    /// The same with tools of Owl's for the model.
    pub(super) fn with_tools(self, tools: Vec<HostedTool>) -> Self {
        Self { tools, ..self }
    }

    /// The same, kept on the disk.
    pub(super) fn kept_in(self, session: Option<Session>) -> Self {
        Self { session, ..self }
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Goes on with another model, if there is one of this name.
    pub(super) async fn change_model(&mut self, name: &str) -> Result<(), ChatError> {
        self.route(name).await?;
        name.clone_into(&mut self.model);
        Ok(())
    }

    /// Forgets everything but what the model was told before the conversation.
    pub(super) fn forget(&mut self) {
        self.messages.retain(|message| message["role"] == "system");
        self.session = session::folder().filter(|_| self.session.is_some()).map(Session::new);
    }

    /// Asks, and shows the answer as it comes.
    ///
    /// # Cancel safety
    /// Dropping the future ends the upstream's work at once. `answer` then holds what was said so far; the question is
    /// part of the conversation only after [`Conversation::keep`], or when this returns `Ok`.
    pub(super) async fn ask(
        &mut self,
        question: Value,
        answer: &mut Answer,
        screen: &mut Screen,
    ) -> Result<(), ChatError> {
        if self.tools.is_empty() {
            self.hear(question.clone(), answer, screen).await?;
        } else {
            self.hear_with_tools(question.clone(), answer, screen).await?;
        }
        self.keep(question, answer);
        Ok(())
    }

    /// Takes a question and what was said to it into the conversation.
    pub(super) fn keep(&mut self, question: Value, answer: &Answer) {
        self.messages.push(question);
        if answer.grown.is_empty() {
            self.messages.push(json!({ "role": "assistant", "content": answer.content }));
        } else {
            self.messages.extend(answer.grown.iter().cloned());
        }
        let Some(session) = &self.session else { return };
        let kept = Kept { model: self.model.clone(), messages: self.messages.clone() };
        if let Err(error) = session.save(&kept) {
            note(&format!("note: the conversation is not kept: {error}"));
        }
    }

    async fn hear_with_tools(
        &self,
        question: Value,
        answer: &mut Answer,
        screen: &mut Screen,
    ) -> Result<(), ChatError> {
        let ctx = RequestContext::local();
        let messages: Vec<Value> = self.messages.iter().cloned().chain([question]).collect();
        let body = json!({ "model": self.model, "messages": messages, "stream": true });
        let request = ActRequest {
            body: body.as_object().cloned().unwrap_or_default(),
            headers: HeaderMap::new(),
            provider: None,
            hosted: self.tools.clone(),
            alone: false,
            approval: self.approval.clone(),
        };
        let mut acted = patiently(self.gateway.act(&ctx, request)).await?;
        let provider = acted.destination.provider.id().to_owned();
        while let Some(event) = patiently(acted.answer.next()).await {
            match event {
                AnswerEvent::Text(content) | AnswerEvent::Refusal(content) => {
                    show(&ChatPiece { content, ..ChatPiece::default() }, answer, screen)?;
                }
                AnswerEvent::Reasoning(reasoning) => {
                    show(&ChatPiece { reasoning, ..ChatPiece::default() }, answer, screen)?;
                }
                AnswerEvent::ToolEnded(outcome) => {
                    screen.end().map_err(ChatError::Output)?;
                    note(&format!("{DIM}{}{DIM:#}", plain(&told(&outcome))));
                }
                AnswerEvent::Ended(ending) => {
                    let usage =
                        ending.usage.map(|usage| Usage { prompt_tokens: usage.input, completion_tokens: usage.output });
                    let finish_reason = Some(ending.reason.as_str().to_owned());
                    answer.add(&ChatPiece { usage, finish_reason, ..ChatPiece::default() });
                    answer.grown = ending.messages;
                    if let Some(budget) = ending.budget {
                        note(&format!("note: {budget} (tools.budget)"));
                    }
                }
                AnswerEvent::Failed(error) => {
                    return Err(ChatError::Answer { provider, error: AnswerError::Failed(error.message) });
                }
                // A new turn begins a new line.
                AnswerEvent::TurnBegan => screen.end().map_err(ChatError::Output)?,
                AnswerEvent::CallBegan { .. }
                | AnswerEvent::CallArguments { .. }
                | AnswerEvent::CallEnded { .. }
                | AnswerEvent::ToolBegan(_)
                | AnswerEvent::TurnEnded
                | AnswerEvent::Extra(_) => {}
            }
        }
        Ok(())
    }

    async fn hear(&self, question: Value, answer: &mut Answer, screen: &mut Screen) -> Result<(), ChatError> {
        let begun = patiently(async {
            let (provider, mut reader) = self.send(question).await?;
            let first = reader.next_text(answer).await;
            Ok::<_, ChatError>((provider, reader, first))
        });
        let (provider, mut reader, mut next) = begun.await?;
        loop {
            match next {
                Ok(Some(piece)) => screen.show(&piece).map_err(ChatError::Output)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(ChatError::Answer { provider, error }),
            }
            next = reader.next_text(answer).await;
        }
    }

    async fn send(&self, question: Value) -> Result<(String, AnswerReader<ForwardBody>), ChatError> {
        let messages: Vec<Value> = self.messages.iter().cloned().chain([question]).collect();
        let request = ChatRequest {
            model: self.model.clone(),
            // As they are: those of an earlier conversation may hold calls.
            extra: [("messages".to_owned(), messages.into())].into_iter().collect(),
            stream: true,
            include_usage: true,
            ..ChatRequest::default()
        };
        let ctx = RequestContext::local();
        let routed = self.gateway.route(&ctx, as_gateway_request(&request)).await?;
        let provider = routed.destination.provider.id().to_owned();
        let response = self.gateway.forward(&ctx, routed).await?;
        match AnswerReader::open(response).await {
            Ok(reader) => Ok((provider, reader)),
            Err(error) => Err(ChatError::Answer { provider, error }),
        }
    }

    async fn route(&self, model: &str) -> Result<Routed, Failure> {
        let request = ChatRequest { model: model.to_owned(), ..ChatRequest::default() };
        self.gateway.route(&RequestContext::local(), as_gateway_request(&request)).await
    }
}

fn show(piece: &ChatPiece, answer: &mut Answer, screen: &mut Screen) -> Result<(), ChatError> {
    answer.add(piece);
    screen.show(piece).map_err(ChatError::Output)
}

/// One line on what a tool did: what was asked of it, what came, how long it took.
fn told(outcome: &HostedOutcome) -> String {
    let HostedOutcome { call, error, sources, took_ms, .. } = outcome;
    let asked = ["query", "url", "prompt"].into_iter().find_map(|key| call.arguments[key].as_str());
    let asked: String = asked.unwrap_or_default().chars().take(LONGEST_ASKED).collect();
    let came = match (error, sources.len()) {
        (Some(error), _) => error.message.clone(),
        (None, _) if call.tool != "web_search" => "done".to_owned(),
        (None, 1) => "1 result".to_owned(),
        (None, count) => format!("{count} results"),
    };
    format!("{} {asked:?} · {came} · {:.1} s", call.tool, *took_ms as f64 / 1000.0)
}

fn as_gateway_request(request: &ChatRequest) -> GatewayRequest {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    GatewayRequest {
        method: Method::POST,
        path: "chat/completions".to_owned(),
        headers,
        body: Bytes::from(request.to_bytes()),
        provider: None,
    }
}

/// The model to talk to when none is named: the only one, or the first, which a note then names.
pub(super) async fn choose_model(gateway: &Gateway) -> Result<String, String> {
    let table = patiently(gateway.complete_table()).await;
    let Some(first) = table.listed().first() else {
        return Err(no_models(gateway));
    };
    let count: usize = gateway.providers().iter().map(|provider| provider.known().models().len()).sum();
    if count > 1 {
        note(&format!("note: using {}, the first of {count} models; -m names another", plain(&first.name)));
    }
    Ok(first.name.clone())
}

fn no_models(gateway: &Gateway) -> String {
    let reason = |provider: &Arc<Provider>| match provider.known().reachability() {
        Reachability::Fails(reason) => format!("provider {}: {}", provider.id(), plain(reason)),
        Reachability::Answers(_) | Reachability::Unknown => {
            format!("provider {} lists no model; -m names one all the same", provider.id())
        }
    };
    gateway.providers().iter().map(reason).collect::<Vec<_>>().join("; ")
}
