//! An answer as the agent loop tells it, event by event, whatever protocol the client speaks; and what an encoder of one
//! protocol does with it.
//!
//! The events are the common ground of the chat completions, responses and messages encoders: each door has one, and all are fed
//! by the same loop. Nothing of a protocol is in here.

use serde_json::{Map, Value, json};

use crate::error::ErrorBody;

/// What happens while an answer comes about, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerEvent {
    /// The model is asked, for the first time or again with what tools gave.
    TurnBegan,
    /// The next piece of the text.
    Text(String),
    /// The next piece of what the model thinks.
    Reasoning(String),
    /// The next piece of why it refuses to answer.
    Refusal(String),
    /// The model calls a function of the client's. Its arguments follow in pieces; the calls of one turn may be interleaved.
    CallBegan {
        /// The call's id, unique in the conversation.
        id: String,
        /// The function.
        name: String,
    },
    /// The next piece of a call's arguments: JSON, as the model wrote it.
    CallArguments {
        /// Which call.
        id: String,
        /// The piece.
        piece: String,
    },
    /// The arguments of a call are complete.
    CallEnded {
        /// Which call.
        id: String,
    },
    /// A tool of Owl's begins its work.
    ToolBegan(HostedCall),
    /// It has ended.
    ToolEnded(HostedOutcome),
    /// The model's turn is over. Another one may follow.
    TurnEnded,
    /// Fields of the upstream's that Owl does not know, passed on where the protocol has a place for them.
    Extra(Extra),
    /// The answer is complete. Nothing follows.
    Ended(Box<Ending>),
    /// The answer broke off. Nothing follows.
    Failed(ErrorBody),
}

/// A call of one of Owl's tools.
#[derive(Clone, Debug, PartialEq)]
pub struct HostedCall {
    /// The call's id, unique in the conversation.
    pub id: String,
    /// The tool: `web_search`.
    pub tool: String,
    /// Its arguments, as the model wrote them; a text if they are no JSON.
    pub arguments: Value,
}

/// What became of a call of one of Owl's tools.
#[derive(Clone, Debug, PartialEq)]
pub struct HostedOutcome {
    /// The call.
    pub call: HostedCall,
    /// What the model is told: marked as untrusted where it is from outside.
    pub content: String,
    /// The same for programs, as the tool's schema says; `Null` if it failed.
    pub details: Value,
    /// Why it failed.
    pub error: Option<HostedError>,
    /// What it found and where: what an answer may cite.
    pub sources: Vec<WebSource>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Why a call of one of Owl's tools failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedError {
    /// The stable code (docs/errors.md).
    pub code: String,
    /// The reason; holds nothing that a model must not see.
    pub message: String,
}

/// A page that a tool found or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSource {
    /// Its URL.
    pub url: String,
    /// Its title; empty if it has none.
    pub title: String,
}

/// Fields that Owl does not know, and where they stood in the upstream's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// Beside `choices`: `system_fingerprint`, `timings`.
    pub chunk: Map<String, Value>,
    /// Beside `message` or `delta`: `logprobs`.
    pub choice: Map<String, Value>,
    /// In `message` or `delta`: `annotations`.
    pub message: Map<String, Value>,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Why.
    pub reason: FinishReason,
    /// The tokens of all turns together.
    pub usage: Option<Usage>,
    /// The parts of the text that cite a source, in order; positions are in the whole text of the last turn.
    pub citations: Vec<Citation>,
    /// Which bound of the budget ended the use of tools, in a sentence.
    pub budget: Option<String>,
    /// What the conversation grew by, as messages of a chat completion: the model's turns and what the tools gave.
    pub messages: Vec<Value>,
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached the limit of tokens.
    Length,
    /// It calls functions of the client's.
    ToolCalls,
    /// A filter of the server's.
    ContentFilter,
    /// Any other word of the server's.
    Other(String),
}

impl FinishReason {
    /// The word of chat completions.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for FinishReason {
    fn from(word: &str) -> Self {
        match word {
            // TGI's words, and that of older servers.
            "stop" | "eos_token" | "stop_sequence" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the requests.
    pub input: u64,
    /// Of those, how many the server had in its cache.
    pub cached: u64,
    /// Of the answers, reasoning included.
    pub output: u64,
    /// Of those, how many were reasoning.
    pub reasoning: u64,
    /// The server did not count: these are Owl's estimates.
    pub estimated: bool,
}

impl Usage {
    /// All tokens.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The sum of two turns' tokens.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            estimated: self.estimated || other.estimated,
        }
    }
}

/// A part of the text that cites a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Where it begins, in characters (Unicode scalar values).
    pub start: usize,
    /// Behind its last character.
    pub end: usize,
    /// What is cited.
    pub source: WebSource,
}

/// What every answer says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// Its id.
    pub id: String,
    /// When it was begun, in seconds since 1970.
    pub created: u64,
    /// The model as the client called it.
    pub model: String,
}

/// One protocol's way to write an answer. Whoever feeds it calls [`Encode::event`] for every event, in order, whether the answer is
/// streamed or not.
pub trait Encode: Send {
    /// Takes the next event and appends to `stream` what a streamed answer says of it: whole server-sent events, or nothing.
    /// The events after which nothing follows append the protocol's end of the stream, too.
    fn event(&mut self, event: &AnswerEvent, stream: &mut Vec<u8>);

    /// The whole answer, after the last event, for a client that wanted no stream.
    ///
    /// # Errors
    /// The error that the answer broke off with; the door gives it a status.
    fn whole(&mut self) -> Result<Value, ErrorBody>;
}

/// Appends one server-sent event. `data` is JSON in one line.
pub fn write_event(stream: &mut Vec<u8>, name: Option<&str>, data: &Value) {
    if let Some(name) = name {
        stream.extend_from_slice(b"event: ");
        stream.extend_from_slice(name.as_bytes());
        stream.push(b'\n');
    }
    stream.extend_from_slice(b"data: ");
    stream.extend_from_slice(data.to_string().as_bytes());
    stream.extend_from_slice(b"\n\n");
}

/// What Owl's tools did, for a program that wants to show it: `owl.tool_calls` of every protocol.
pub fn told_tool_calls(outcomes: &[HostedOutcome]) -> Vec<Value> {
    outcomes.iter().map(told).collect()
}

fn told(outcome: &HostedOutcome) -> Value {
    let HostedOutcome { call, error, sources, took_ms, .. } = outcome;
    let mut told = json!({ "id": call.id, "name": call.tool, "arguments": call.arguments, "ok": error.is_none() });
    if let Some(error) = error {
        told["error"] = json!({ "code": error.code, "message": error.message });
    }
    if !sources.is_empty() {
        told["sources"] = sources.iter().map(|one| json!({ "url": one.url, "title": one.title })).collect();
    }
    told["took_ms"] = (*took_ms).into();
    told
}

/// Answers as the loop tells them, for the encoders' tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// Text, two searches of which one fails, a thought, and a text with a citation.
    pub(crate) fn searched() -> Vec<AnswerEvent> {
        let call =
            HostedCall { id: "c1".to_owned(), tool: "web_search".to_owned(), arguments: json!({ "query": "q" }) };
        let source = WebSource { url: "https://a.example/".to_owned(), title: "A".to_owned() };
        let outcome = HostedOutcome {
            call: call.clone(),
            content: "found".to_owned(),
            details: json!({}),
            error: None,
            sources: vec![source.clone()],
            took_ms: 5,
        };
        let failed = HostedOutcome {
            error: Some(HostedError { code: "url_refused".to_owned(), message: "no".to_owned() }),
            sources: Vec::new(),
            ..outcome.clone()
        };
        let ending = Ending {
            reason: FinishReason::Stop,
            usage: Some(Usage { input: 3, output: 4, ..Usage::default() }),
            citations: vec![Citation { start: 4, end: 7, source }],
            budget: None,
            messages: Vec::new(),
        };
        vec![
            AnswerEvent::TurnBegan,
            AnswerEvent::Text("Let me söök.".to_owned()),
            AnswerEvent::TurnEnded,
            AnswerEvent::ToolBegan(call),
            AnswerEvent::ToolEnded(outcome),
            AnswerEvent::ToolEnded(failed),
            AnswerEvent::TurnBegan,
            AnswerEvent::Reasoning("hm".to_owned()),
            AnswerEvent::Text("See ".to_owned()),
            AnswerEvent::Text("[A]".to_owned()),
            AnswerEvent::TurnEnded,
            AnswerEvent::Ended(Box::new(ending)),
        ]
    }

    /// A thought, a text, and two calls of the client's whose pieces are interleaved.
    pub(crate) fn called() -> Vec<AnswerEvent> {
        let id = |id: &str| id.to_owned();
        let began = |call: &str| AnswerEvent::CallBegan { id: id(call), name: "f".to_owned() };
        let piece = |call: &str, piece: &str| AnswerEvent::CallArguments { id: id(call), piece: piece.to_owned() };
        let ending = Ending {
            reason: FinishReason::ToolCalls,
            usage: Some(Usage { input: 9, cached: 2, output: 4, reasoning: 1, estimated: true }),
            citations: Vec::new(),
            budget: None,
            messages: Vec::new(),
        };
        vec![
            AnswerEvent::TurnBegan,
            AnswerEvent::Reasoning("hm".to_owned()),
            AnswerEvent::Text("I call.".to_owned()),
            began("c1"),
            piece("c1", "{\"a\":"),
            began("c2"),
            piece("c2", "{}"),
            piece("c1", "1}"),
            AnswerEvent::CallEnded { id: id("c1") },
            AnswerEvent::CallEnded { id: id("c2") },
            AnswerEvent::TurnEnded,
            AnswerEvent::Ended(Box::new(ending)),
        ]
    }
}
