//! An answer as a chat completion: whole, or chunk by chunk.
//!
//! The turns of one answer are one message to the client. What Owl's tools did stands in `owl` of the chunk that says why the answer
//! ended, and of the whole completion; nowhere else is there anything that OpenAI's API does not have, but comments in the stream while
//! tools run, so that nothing in between takes the connection for dead.

use serde_json::{Map, Value, json};

use crate::answer::{
    AnswerEvent, AnswerHead, Citation, Encode, Ending, Extra, HostedOutcome, Usage, told_tool_calls, write_event,
};
use crate::error::ErrorBody;

/// Writes chat completions.
#[derive(Debug)]
pub struct ChatEncoder {
    head: AnswerHead,
    include_usage: bool,
    /// No chunk has said the role yet.
    first: bool,
    message: Message,
    outcomes: Vec<HostedOutcome>,
    ending: Option<Ending>,
    failure: Option<ErrorBody>,
    /// What the next chunk takes along.
    extra: Extra,
}

/// The message so far.
#[derive(Debug, Default)]
struct Message {
    text: String,
    characters: usize,
    /// How many characters stood before the last turn.
    before: usize,
    reasoning: String,
    refusal: String,
    calls: Vec<Call>,
    extra: Extra,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl ChatEncoder {
    /// `include_usage`: whether the client asked for a last chunk with the tokens (`stream_options.include_usage`).
    pub fn new(head: AnswerHead, include_usage: bool) -> Self {
        Self {
            head,
            include_usage,
            first: true,
            message: Message::default(),
            outcomes: Vec::new(),
            ending: None,
            failure: None,
            extra: Extra::default(),
        }
    }

    fn delta(&mut self, delta: Value, stream: &mut Vec<u8>) {
        self.chunk(delta, None, Map::new(), stream);
    }

    fn chunk(&mut self, mut delta: Value, finish: Option<&str>, more: Map<String, Value>, stream: &mut Vec<u8>) {
        let extra = std::mem::take(&mut self.extra);
        if let Value::Object(delta) = &mut delta {
            if std::mem::replace(&mut self.first, false) {
                delta.shift_insert(0, "role".to_owned(), "assistant".into());
            }
            delta.extend(extra.message);
        }
        let mut choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        extend(&mut choice, extra.choice);
        let mut chunk = self.envelope("chat.completion.chunk", &[choice]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        extend(&mut chunk, extra.chunk);
        extend(&mut chunk, more);
        write_event(stream, None, &chunk);
    }

    fn envelope(&self, object: &str, choices: &[Value]) -> Value {
        let AnswerHead { id, created, model } = &self.head;
        json!({ "id": id, "object": object, "created": created, "model": model, "choices": choices })
    }

    /// The text of a later turn begins a paragraph of its own.
    fn text(&mut self, piece: &str) -> String {
        let message = &mut self.message;
        let joins = message.characters == message.before && message.before > 0 && !message.text.ends_with('\n');
        let piece = if joins { format!("\n\n{piece}") } else { piece.to_owned() };
        if joins {
            message.before += 2;
        }
        message.characters += piece.chars().count();
        message.text.push_str(&piece);
        piece
    }

    fn call_piece(&mut self, id: &str, piece: &str) -> Option<Value> {
        let at = self.message.calls.iter().rposition(|call| call.id == id)?;
        self.message.calls[at].arguments.push_str(piece);
        Some(json!({ "tool_calls": [{ "index": at, "function": { "arguments": piece } }] }))
    }

    fn end(&mut self, ending: Ending, stream: &mut Vec<u8>) {
        let annotations = self.annotations(&ending.citations);
        let delta = if annotations.is_empty() { json!({}) } else { json!({ "annotations": annotations }) };
        self.chunk(delta, Some(ending.reason.as_str()), self.owl(&ending), stream);
        if self.include_usage {
            let mut last = self.envelope("chat.completion.chunk", &[]);
            last["usage"] = ending.usage.map_or(Value::Null, usage);
            write_event(stream, None, &last);
        }
        stream.extend_from_slice(b"data: [DONE]\n\n");
        self.ending = Some(ending);
    }

    fn annotations(&self, citations: &[Citation]) -> Vec<Value> {
        let before = self.message.before;
        let annotation = |one: &Citation| {
            json!({ "type": "url_citation", "url_citation": {
                "start_index": before + one.start, "end_index": before + one.end, "url": one.source.url, "title": one.source.title,
            } })
        };
        citations.iter().map(annotation).collect()
    }

    /// What Owl did; nothing if it did nothing.
    fn owl(&self, ending: &Ending) -> Map<String, Value> {
        let mut owl = Map::new();
        if !self.outcomes.is_empty() {
            owl.insert("tool_calls".to_owned(), told_tool_calls(&self.outcomes).into());
        }
        if let Some(budget) = &ending.budget {
            owl.insert("budget".to_owned(), budget.as_str().into());
        }
        let mut more = Map::new();
        if !owl.is_empty() {
            more.insert("owl".to_owned(), owl.into());
        }
        more
    }

    fn whole_message(&self, ending: &Ending) -> Value {
        let Message { text, reasoning, refusal, calls, extra, .. } = &self.message;
        let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.as_str().into() };
        let refused = if refusal.is_empty() { Value::Null } else { refusal.as_str().into() };
        let mut message = json!({ "role": "assistant", "content": content, "refusal": refused });
        if !reasoning.is_empty() {
            message["reasoning_content"] = reasoning.as_str().into();
        }
        if !calls.is_empty() {
            let call = |call: &Call| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } });
            message["tool_calls"] = calls.iter().map(call).collect();
        }
        let annotations = self.annotations(&ending.citations);
        if !annotations.is_empty() {
            message["annotations"] = annotations.into();
        }
        extend(&mut message, extra.message.clone());
        message
    }
}

impl Encode for ChatEncoder {
    fn event(&mut self, event: &AnswerEvent, stream: &mut Vec<u8>) {
        match event {
            AnswerEvent::TurnBegan => {
                self.message.before = self.message.characters;
                if self.first {
                    self.delta(json!({ "content": "" }), stream);
                }
            }
            AnswerEvent::Text(piece) => {
                let piece = self.text(piece);
                self.delta(json!({ "content": piece }), stream);
            }
            AnswerEvent::Reasoning(piece) => {
                self.message.reasoning.push_str(piece);
                self.delta(json!({ "reasoning_content": piece }), stream);
            }
            AnswerEvent::Refusal(piece) => {
                self.message.refusal.push_str(piece);
                self.delta(json!({ "refusal": piece }), stream);
            }
            AnswerEvent::CallBegan { id, name } => {
                let index = self.message.calls.len();
                self.message.calls.push(Call { id: id.clone(), name: name.clone(), arguments: String::new() });
                let function = json!({ "name": name, "arguments": "" });
                let call = json!({ "index": index, "id": id, "type": "function", "function": function });
                self.delta(json!({ "tool_calls": [call] }), stream);
            }
            AnswerEvent::CallArguments { id, piece } => {
                if let Some(delta) = self.call_piece(id, piece) {
                    self.delta(delta, stream);
                }
            }
            AnswerEvent::ToolBegan(call) => {
                let name = call.tool.replace(|letter: char| !letter.is_ascii_graphic(), " ");
                stream.extend_from_slice(format!(": {name}\n\n").as_bytes());
            }
            AnswerEvent::ToolEnded(outcome) => self.outcomes.push(outcome.clone()),
            AnswerEvent::CallEnded { .. } | AnswerEvent::TurnEnded => {}
            AnswerEvent::Extra(extra) => {
                add(&mut self.extra, extra);
                add(&mut self.message.extra, extra);
            }
            AnswerEvent::Ended(ending) => self.end((**ending).clone(), stream),
            AnswerEvent::Failed(error) => {
                self.failure = Some(error.clone());
                write_event(stream, None, &json!({ "error": error }));
            }
        }
    }

    fn whole(&mut self) -> Result<Value, ErrorBody> {
        let Some(ending) = self.ending.take() else {
            return Err(self.failure.take().unwrap_or_else(ErrorBody::broke_off));
        };
        let message = self.whole_message(&ending);
        let mut choice =
            json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": ending.reason.as_str() });
        extend(&mut choice, self.message.extra.choice.clone());
        let mut whole = self.envelope("chat.completion", &[choice]);
        if let Some(counted) = ending.usage {
            whole["usage"] = usage(counted);
        }
        extend(&mut whole, self.message.extra.chunk.clone());
        extend(&mut whole, self.owl(&ending));
        Ok(whole)
    }
}

fn usage(usage: Usage) -> Value {
    let mut told = json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.cached },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    });
    if usage.estimated {
        told["owl_estimated"] = true.into();
    }
    told
}

fn add(extra: &mut Extra, more: &Extra) {
    extra.chunk.extend(more.chunk.clone());
    extra.choice.extend(more.choice.clone());
    extra.message.extend(more.message.clone());
}

fn extend(object: &mut Value, more: Map<String, Value>) {
    if let Value::Object(object) = object {
        object.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::samples::searched;

    fn encoder() -> ChatEncoder {
        let head = AnswerHead { id: "chatcmpl-1".to_owned(), created: 7, model: "m".to_owned() };
        ChatEncoder::new(head, true)
    }

    #[test]
    fn a_stream_with_a_search() {
        let mut stream = Vec::new();
        let mut encoder = encoder();
        searched().iter().for_each(|event| encoder.event(event, &mut stream));
        insta::assert_snapshot!(String::from_utf8(stream).expect("text"));
    }

    #[test]
    fn the_whole_of_it() {
        let mut encoder = encoder();
        searched().iter().for_each(|event| encoder.event(event, &mut Vec::new()));
        let whole = encoder.whole().expect("an answer");
        insta::assert_snapshot!(serde_json::to_string_pretty(&whole).expect("JSON"));
        let cited = &whole["choices"][0]["message"];
        let letters: Vec<char> = cited["content"].as_str().expect("text").chars().collect();
        let place = &cited["annotations"][0]["url_citation"];
        let at = |key: &str| usize::try_from(place[key].as_u64().expect("a number")).expect("small");
        assert_eq!(letters[at("start_index")..at("end_index")].iter().collect::<String>(), "[A]");
    }

    #[test]
    fn calls_of_the_clients_and_a_failure() {
        let mut stream = Vec::new();
        let mut encoder = encoder();
        let (id, name) = ("c9".to_owned(), "f".to_owned());
        for event in [
            AnswerEvent::TurnBegan,
            AnswerEvent::CallBegan { id: id.clone(), name },
            AnswerEvent::CallArguments { id: id.clone(), piece: "{}".to_owned() },
            AnswerEvent::CallEnded { id },
            AnswerEvent::Failed(ErrorBody::broke_off()),
        ] {
            encoder.event(&event, &mut stream);
        }
        insta::assert_snapshot!(String::from_utf8(stream).expect("text"));
        assert!(encoder.whole().is_err());
    }
}
