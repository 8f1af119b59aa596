//! Chat completions, as far as Owl writes and reads them: its own commands, and the agent loop ([`encode`], [`hosted`]). What is forwarded
//! is not read by this: it passes as bytes.
//!
//! Reading is tolerant: a field that is missing, or of another kind than expected, is one that was not said.

pub mod encode;
pub mod hosted;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::UpstreamError;

/// A request for a chat completion.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// The model's name.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<ChatMessage>,
    /// Whether the answer comes as a stream.
    pub stream: bool,
    /// Whether a streamed answer ends with its token counts.
    pub include_usage: bool,
    /// Any other fields: `max_tokens`, `tools`, `response_format`.
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// The body, as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = json!({ "model": self.model, "messages": self.messages });
        if self.stream {
            body["stream"] = true.into();
        }
        if self.stream && self.include_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        for (key, value) in &self.extra {
            body[key] = value.clone();
        }
        body.to_string().into_bytes()
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A text, or a list of parts.
    pub content: Value,
}

impl ChatMessage {
    /// A message with a text.
    pub fn new(role: &str, text: impl Into<String>) -> Self {
        Self { role: role.into(), content: Value::String(text.into()) }
    }
}

/// What one event's data of a streamed answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatStreamData {
    /// The next piece of the answer.
    Piece(ChatPiece),
    /// The upstream failed after it had begun to answer.
    Error(UpstreamError),
    /// `[DONE]`: the answer is complete.
    Done,
}

impl ChatStreamData {
    /// Reads the data of an event.
    pub fn read(data: &str) -> Result<Self, serde_json::Error> {
        if data.trim() == "[DONE]" {
            return Ok(Self::Done);
        }
        let body: Value = serde_json::from_str(data)?;
        Ok(UpstreamError::from_value(&body).map_or_else(|| Self::Piece(ChatPiece::from_value(&body)), Self::Error))
    }
}

/// A piece of a streamed answer, or a whole answer: of its first choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatPiece {
    /// The model that answers, as the server calls it.
    pub model: Option<String>,
    /// The text; empty when there is none.
    pub content: String,
    /// What the model thinks before it answers; empty when there is none.
    pub reasoning: String,
    /// The calls of functions, or pieces of them.
    pub tool_calls: Vec<ToolCall>,
    /// Why the answer ended: `stop`, `length`, `tool_calls`.
    pub finish_reason: Option<String>,
    /// How many tokens it took.
    pub usage: Option<Usage>,
}

/// A call of a function. In a stream, the pieces of one call have the same index, and their arguments are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Which call of the answer.
    pub index: u64,
    /// The call's id.
    pub id: Option<String>,
    /// The function's name.
    pub name: Option<String>,
    /// The arguments, or a piece of them: JSON, as the model wrote it.
    pub arguments: String,
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In the request.
    pub prompt_tokens: u64,
    /// In the answer.
    pub completion_tokens: u64,
}

impl ChatPiece {
    /// Reads the whole answer to a request without `stream`.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body).map(|body| Self::from_value(&body))
    }

    fn from_value(body: &Value) -> Self {
        let choice = &body["choices"][0];
        let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
        let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|key| delta[key].as_str());
        let calls = delta["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            model: owned(&body["model"]),
            content: content_text(&delta["content"]),
            reasoning: reasoning.unwrap_or_default().into(),
            tool_calls: calls.iter().enumerate().map(|(index, call)| ToolCall::from_value(index, call)).collect(),
            finish_reason: owned(&choice["finish_reason"]),
            usage: Usage::from_value(&body["usage"]),
        }
    }
}

impl ToolCall {
    fn from_value(index: usize, call: &Value) -> Self {
        let function = &call["function"];
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Some servers send the arguments as an object.
            other => other.to_string(),
        };
        Self {
            index: call["index"].as_u64().unwrap_or(index as u64),
            id: owned(&call["id"]),
            name: owned(&function["name"]),
            arguments,
        }
    }
}

impl Usage {
    fn from_value(usage: &Value) -> Option<Self> {
        let count = |key: &str| usage[key].as_u64().unwrap_or_default();
        usage
            .is_object()
            .then(|| Self { prompt_tokens: count("prompt_tokens"), completion_tokens: count("completion_tokens") })
    }
}

fn owned(value: &Value) -> Option<String> {
    value.as_str().map(String::from)
}

/// A text, or the texts of a list of parts.
fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let mut request = ChatRequest {
            model: "owl/a".into(),
            messages: vec![ChatMessage::new("user", "Hi")],
            include_usage: true,
            ..ChatRequest::default()
        };
        let check = |request: &ChatRequest, expect: &str| {
            assert_eq!(String::from_utf8(request.to_bytes()).as_deref(), Ok(expect));
        };
        check(&request, r#"{"model":"owl/a","messages":[{"role":"user","content":"Hi"}]}"#);
        request.stream = true;
        request.messages.clear();
        request.extra.insert("max_tokens".into(), 1.into());
        check(
            &request,
            r#"{"model":"owl/a","messages":[],"stream":true,"stream_options":{"include_usage":true},"max_tokens":1}"#,
        );
    }

    fn piece(data: &str) -> ChatPiece {
        match ChatStreamData::read(data) {
            Ok(ChatStreamData::Piece(piece)) => piece,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn streamed_pieces() {
        let seen = piece(r#"{"model":"m","choices":[{"delta":{"content":"a","reasoning":"b"},"finish_reason":null}]}"#);
        assert_eq!((seen.model.as_deref(), &*seen.content, &*seen.reasoning), (Some("m"), "a", "b"));
        let seen = piece(r#"{"choices":[{"delta":{"reasoning_content":"b"},"finish_reason":"stop"}]}"#);
        assert_eq!((&*seen.reasoning, seen.finish_reason.as_deref()), ("b", Some("stop")));
        let seen = piece(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"new":{}}}"#);
        assert_eq!(seen.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4 }));
        let seen = piece(
            r#"{"choices":[{"delta":{"tool_calls":[{"index":2,"id":"c","function":{"name":"f","arguments":"{\"a"}}]}}]}"#,
        );
        let call = ToolCall { index: 2, id: Some("c".into()), name: Some("f".into()), arguments: "{\"a".into() };
        assert_eq!(seen.tool_calls, [call]);
        assert_eq!(piece("{}"), ChatPiece::default());
        assert_eq!(piece(r#"{"choices":{"delta":1},"usage":null,"model":1}"#), ChatPiece::default());
    }

    #[test]
    fn the_ends_of_a_stream() {
        assert_eq!(ChatStreamData::read(" [DONE]").ok(), Some(ChatStreamData::Done));
        let error = UpstreamError { message: "out of memory".into(), ..UpstreamError::default() };
        let seen = ChatStreamData::read(r#"{"error":{"message":"out of memory"}}"#);
        assert_eq!(seen.ok(), Some(ChatStreamData::Error(error)));
        assert!(ChatStreamData::read("{").is_err());
    }

    #[test]
    fn whole_answers() {
        let body = br#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"text":"b"}],
            "tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}}],"usage":{"prompt_tokens":1}}"#;
        let seen = ChatPiece::read(body).expect("JSON");
        assert_eq!(seen.content, "ab");
        assert_eq!(seen.tool_calls[0].arguments, r#"{"x":1}"#);
        assert_eq!(seen.usage.map(|usage| usage.prompt_tokens), Some(1));
    }
}
