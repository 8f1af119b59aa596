//! What stands where in a chunk, or in a whole answer.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::answer::{Extra, Usage};

/// The members that Owl knows: beside `choices`, beside `delta`, and in it.
const CHUNK: &[&str] = &["id", "object", "created", "model", "choices", "usage"];
const CHOICE: &[&str] = &["index", "delta", "message", "finish_reason"];
const MESSAGE: &[&str] =
    &["role", "content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call"];

/// The first choice. Its index is 0, where it has one.
pub(super) fn first_choice(chunk: &Value) -> Option<&Value> {
    chunk["choices"].as_array()?.iter().find(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
}

/// What a choice says.
pub(super) fn message(choice: &Value) -> &Value {
    choice.get("delta").filter(|delta| delta.is_object()).unwrap_or(&choice["message"])
}

pub(super) fn reasoning(message: &Value) -> Option<&str> {
    let texts = ["reasoning_content", "reasoning"].into_iter().filter_map(|key| message[key].as_str());
    texts.into_iter().find(|text| !text.is_empty())
}

/// A text, or the texts of a list of parts.
pub(super) fn text(content: &Value) -> Cow<'_, str> {
    match content {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) => Cow::Owned(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        _ => Cow::Borrowed(""),
    }
}

/// The pieces of calls. Some servers send an object where there is one call; and the API before tools had one, without an id.
pub(super) fn calls(message: &Value) -> Vec<CallPiece> {
    let calls = &message["tool_calls"];
    let one = calls.is_object().then_some(calls);
    let listed = calls.as_array().into_iter().flatten().chain(one).enumerate();
    let old = Some(&message["function_call"]).filter(|call| call.is_object());
    listed
        .map(|(at, call)| CallPiece::read(call, at as u64))
        .chain(old.map(|function| CallPiece::of_function(function, 0, None)))
        .collect()
}

/// A piece of a call. What is empty was not said.
pub(super) struct CallPiece {
    pub(super) index: u64,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: String,
}

impl CallPiece {
    fn read(call: &Value, at: u64) -> Self {
        Self::of_function(&call["function"], call["index"].as_u64().unwrap_or(at), said(&call["id"]))
    }

    fn of_function(function: &Value, index: u64, id: Option<String>) -> Self {
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Ollama's own shape, and that of older TGIs.
            other => other.to_string(),
        };
        Self { index, id, name: said(&function["name"]), arguments }
    }
}

fn said(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The tokens, if they are told.
pub(super) fn usage(chunk: &Value) -> Option<Usage> {
    let usage = chunk.get("usage").filter(|usage| usage.is_object())?;
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    Some(Usage {
        input: count(&usage["prompt_tokens"]),
        cached: count(&usage["prompt_tokens_details"]["cached_tokens"]),
        output: count(&usage["completion_tokens"]),
        reasoning: count(&usage["completion_tokens_details"]["reasoning_tokens"])
            .max(count(&usage["reasoning_tokens"])),
        estimated: false,
    })
}

/// What Owl does not know. Null says nothing.
pub(super) fn extra(chunk: &Value, choice: Option<&Value>, message: &Value) -> Extra {
    Extra {
        chunk: others(chunk, CHUNK),
        choice: choice.map(|choice| others(choice, CHOICE)).unwrap_or_default(),
        message: others(message, MESSAGE),
    }
}

fn others(object: &Value, known: &[&str]) -> Map<String, Value> {
    let members = object.as_object().into_iter().flatten();
    let others = members.filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_null());
    others.map(|(key, value)| (key.clone(), value.clone())).collect()
}
