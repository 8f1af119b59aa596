//! What was said so far, and how the next question is asked.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use owl_egress::EgressError;
use owl_wire::chat::{ChatMessage, ChatRequest};

use super::answer::{Answer, AnswerError, AnswerReader};
use super::screen::{Screen, note, patiently, plain};
use crate::context::RequestContext;
use crate::gateway::{Gateway, GatewayRequest, Routed};
use crate::provider::forward::ForwardBody;
use crate::provider::{Failure, Provider, Reachability, UpstreamFailure};

/// A conversation with one model at a time.
#[derive(Debug)]
pub(super) struct Conversation {
    gateway: Gateway,
    model: String,
    messages: Vec<ChatMessage>,
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
    pub(super) fn new(gateway: Gateway, model: String, system: Option<String>) -> Self {
        let messages = system.map(|text| ChatMessage::new("system", text)).into_iter().collect();
        Self { gateway, model, messages }
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
        self.messages.retain(|message| message.role == "system");
    }

    /// Asks, and shows the answer as it comes.
    ///
    /// # Cancel safety
    /// Dropping the future ends the upstream's work at once. `answer` then holds what was said so far; the question is
    /// part of the conversation only after [`Conversation::keep`], or when this returns `Ok`.
    pub(super) async fn ask(
        &mut self,
        question: String,
        answer: &mut Answer,
        screen: &mut Screen,
    ) -> Result<(), ChatError> {
        let message = ChatMessage::new("user", question.as_str());
        self.hear(message, answer, screen).await?;
        self.keep(question, answer);
        Ok(())
    }

    /// Takes a question and what was said to it into the conversation.
    pub(super) fn keep(&mut self, question: String, answer: &Answer) {
        self.messages.push(ChatMessage::new("user", question));
        self.messages.push(ChatMessage::new("assistant", answer.content.as_str()));
    }

    async fn hear(&self, question: ChatMessage, answer: &mut Answer, screen: &mut Screen) -> Result<(), ChatError> {
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

    async fn send(&self, question: ChatMessage) -> Result<(String, AnswerReader<ForwardBody>), ChatError> {
        let messages = self.messages.iter().cloned().chain([question]).collect();
        let request = ChatRequest {
            model: self.model.clone(),
            messages,
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
