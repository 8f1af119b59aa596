//! An answer as a message of Anthropic's: whole, or as the API's events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::error_body;
use crate::answer::{AnswerEvent, AnswerHead, Encode, Ending, FinishReason, HostedOutcome, Usage, write_event};
use crate::error::ErrorBody;

/// Writes messages.
#[derive(Debug)]
pub struct MessageEncoder {
    head: AnswerHead,
    request_id: String,
    begun: bool,
    /// The blocks that are complete, and the open one at their end.
    blocks: Vec<Value>,
    open: Option<Open>,
    /// What the calls of the client's have for arguments so far: their events come one after the other, so later ones wait.
    calls: Vec<Call>,
    searches: u64,
    fetches: u64,
    ending: Option<Ending>,
    failure: Option<ErrorBody>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    /// Its events are being written; it is the first that is not complete.
    begun: bool,
    ended: bool,
}

impl MessageEncoder {
    /// `request_id`: what errors say.
    pub fn new(head: AnswerHead, request_id: &str) -> Self {
        Self {
            head,
            request_id: request_id.to_owned(),
            begun: false,
            blocks: Vec::new(),
            open: None,
            calls: Vec::new(),
            searches: 0,
            fetches: 0,
            ending: None,
            failure: None,
        }
    }

    fn message(&self, stop: Option<&str>, usage: &Value) -> Value {
        json!({
            "id": self.head.id, "type": "message", "role": "assistant", "model": self.head.model, "content": self.blocks,
            "stop_reason": stop, "stop_sequence": null, "usage": usage,
        })
    }

    fn begin(&mut self, stream: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let usage = json!({
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
        });
        let message = self.message(None, &usage);
        tell("message_start", json!({ "message": message }), stream);
        tell("ping", json!({}), stream);
    }

    /// A whole block at once; `delta` is what an empty one of it grows by.
    fn block(&mut self, empty: &Value, delta: Option<Value>, whole: Value, stream: &mut Vec<u8>) {
        self.close(stream);
        let index = self.blocks.len();
        tell("content_block_start", json!({ "index": index, "content_block": empty }), stream);
        if let Some(delta) = delta {
            tell("content_block_delta", json!({ "index": index, "delta": delta }), stream);
        }
        tell("content_block_stop", json!({ "index": index }), stream);
        self.blocks.push(whole);
    }

    fn piece(&mut self, kind: Open, piece: &str, stream: &mut Vec<u8>) {
        let (name, key, delta) = match kind {
            Open::Text => ("text", "text", "text_delta"),
            Open::Thinking => ("thinking", "thinking", "thinking_delta"),
        };
        if self.open != Some(kind) {
            self.close(stream);
            // A text behind calls says that they are complete.
            self.calls.iter_mut().for_each(|call| call.ended = true);
            self.write_calls(stream);
            let mut block = json!({ "type": name, key: "" });
            if kind == Open::Thinking {
                block["signature"] = "".into();
            }
            tell("content_block_start", json!({ "index": self.blocks.len(), "content_block": block }), stream);
            self.blocks.push(block);
            self.open = Some(kind);
        }
        let index = self.blocks.len() - 1;
        if let Some(Value::String(text)) = self.blocks[index].get_mut(key) {
            text.push_str(piece);
        }
        tell("content_block_delta", json!({ "index": index, "delta": { "type": delta, key: piece } }), stream);
    }

    fn close(&mut self, stream: &mut Vec<u8>) {
        let Some(kind) = self.open.take() else { return };
        let index = self.blocks.len() - 1;
        if kind == Open::Thinking {
            // Clients send thoughts back only with a signature; nobody verifies this one.
            let signature = BASE64.encode(self.head.id.as_bytes());
            self.blocks[index]["signature"] = signature.as_str().into();
            let delta = json!({ "type": "signature_delta", "signature": signature });
            tell("content_block_delta", json!({ "index": index, "delta": delta }), stream);
        }
        tell("content_block_stop", json!({ "index": index }), stream);
    }

    /// Writes what can be written of the client's calls, in their order.
    fn write_calls(&mut self, stream: &mut Vec<u8>) {
        while let Some(first) = self.calls.first_mut() {
            let index = self.blocks.len();
            if !first.begun {
                first.begun = true;
                let block = json!({ "type": "tool_use", "id": first.id, "name": first.name, "input": {} });
                tell("content_block_start", json!({ "index": index, "content_block": block }), stream);
                if !first.arguments.is_empty() {
                    tell_arguments(index, &first.arguments, stream);
                }
            }
            if !first.ended {
                return;
            }
            tell("content_block_stop", json!({ "index": index }), stream);
            let input: Value = serde_json::from_str(&first.arguments).unwrap_or_else(|_| json!({}));
            self.blocks.push(json!({ "type": "tool_use", "id": first.id, "name": first.name, "input": input }));
            self.calls.remove(0);
        }
    }

    fn call_piece(&mut self, id: &str, piece: &str, stream: &mut Vec<u8>) {
        let index = self.blocks.len();
        let Some(call) = self.calls.iter_mut().rfind(|call| call.id == id) else { return };
        call.arguments.push_str(piece);
        if call.begun {
            tell_arguments(index, piece, stream);
        }
    }

    /// A tool of Owl's that the API knows: the use and the result stand one behind the other. Of other tools it has no block.
    fn tool_ended(&mut self, outcome: &HostedOutcome, stream: &mut Vec<u8>) {
        let (result_kind, name) = match outcome.call.tool.as_str() {
            "web_search" => ("web_search_tool_result", "web_search"),
            "web_fetch" => ("web_fetch_tool_result", "web_fetch"),
            _ => return,
        };
        let id = format!("srvtoolu_{}", outcome.call.id.trim_start_matches("call_"));
        let input = if outcome.call.arguments.is_object() { outcome.call.arguments.clone() } else { json!({}) };
        let used = |input: Value| json!({ "type": "server_tool_use", "id": id, "name": name, "input": input });
        let delta = json!({ "type": "input_json_delta", "partial_json": input.to_string() });
        self.block(&used(json!({})), Some(delta), used(input), stream);
        let content = match &outcome.error {
            Some(error) => json!({ "type": format!("{result_kind}_error"), "error_code": error_code(&error.code) }),
            None if name == "web_search" => {
                self.searches += 1;
                found(outcome)
            }
            None => {
                self.fetches += 1;
                page(outcome)
            }
        };
        let result = json!({ "type": result_kind, "tool_use_id": id, "content": content });
        self.block(&result.clone(), None, result, stream);
    }

    /// What the text cites, in its last block.
    fn cite(&mut self, ending: &Ending, stream: &mut Vec<u8>) {
        if self.open != Some(Open::Text) || ending.citations.is_empty() {
            return;
        }
        let index = self.blocks.len() - 1;
        let letters: Vec<char> = self.blocks[index]["text"].as_str().unwrap_or_default().chars().collect();
        let mut citations = Vec::new();
        for one in &ending.citations {
            let cited: String = letters.get(one.start..one.end).unwrap_or_default().iter().collect();
            let citation = json!({
                "type": "web_search_result_location", "cited_text": cited, "url": one.source.url, "title": one.source.title,
                "encrypted_index": "",
            });
            let delta = json!({ "type": "citations_delta", "citation": citation });
            tell("content_block_delta", json!({ "index": index, "delta": delta }), stream);
            citations.push(citation);
        }
        self.blocks[index]["citations"] = citations.into();
    }

    fn end(&mut self, ending: Ending, stream: &mut Vec<u8>) {
        self.cite(&ending, stream);
        self.close(stream);
        for call in &mut self.calls {
            call.ended = true;
        }
        self.write_calls(stream);
        let delta = json!({ "stop_reason": stop_reason(&ending.reason), "stop_sequence": null });
        tell("message_delta", json!({ "delta": delta, "usage": self.usage(ending.usage) }), stream);
        tell("message_stop", json!({}), stream);
        self.ending = Some(ending);
    }

    fn usage(&self, usage: Option<Usage>) -> Value {
        let usage = usage.unwrap_or_default();
        let mut told = json!({
            "input_tokens": usage.input.saturating_sub(usage.cached), "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached, "output_tokens": usage.output,
        });
        if self.searches + self.fetches > 0 {
            told["server_tool_use"] =
                json!({ "web_search_requests": self.searches, "web_fetch_requests": self.fetches });
        }
        told
    }
}

impl Encode for MessageEncoder {
    fn event(&mut self, event: &AnswerEvent, stream: &mut Vec<u8>) {
        self.begin(stream);
        match event {
            AnswerEvent::TurnBegan => self.close(stream),
            AnswerEvent::Text(piece) | AnswerEvent::Refusal(piece) => self.piece(Open::Text, piece, stream),
            AnswerEvent::Reasoning(piece) => self.piece(Open::Thinking, piece, stream),
            AnswerEvent::CallBegan { id, name } => {
                self.close(stream);
                let (id, name) = (id.clone(), name.clone());
                self.calls.push(Call { id, name, arguments: String::new(), begun: false, ended: false });
                self.write_calls(stream);
            }
            AnswerEvent::CallArguments { id, piece } => self.call_piece(id, piece, stream),
            AnswerEvent::CallEnded { id } => {
                if let Some(call) = self.calls.iter_mut().rfind(|call| call.id == *id) {
                    call.ended = true;
                }
                self.write_calls(stream);
            }
            // Nothing is to be said for a while; a ping keeps what is in between awake.
            AnswerEvent::ToolBegan(_) => tell("ping", json!({}), stream),
            AnswerEvent::ToolEnded(outcome) => self.tool_ended(outcome, stream),
            AnswerEvent::TurnEnded | AnswerEvent::Extra(_) => {}
            AnswerEvent::Ended(ending) => self.end((**ending).clone(), stream),
            AnswerEvent::Failed(error) => {
                self.failure = Some(error.clone());
                write_event(stream, Some("error"), &error_body("api_error", &error.message, &self.request_id));
            }
        }
    }

    fn whole(&mut self) -> Result<Value, ErrorBody> {
        let Some(ending) = self.ending.take() else {
            return Err(self.failure.take().unwrap_or_else(ErrorBody::broke_off));
        };
        Ok(self.message(Some(stop_reason(&ending.reason)), &self.usage(ending.usage)))
    }
}

fn tell(name: &str, mut data: Value, stream: &mut Vec<u8>) {
    if let Value::Object(data) = &mut data {
        data.shift_insert(0, "type".to_owned(), name.into());
    }
    write_event(stream, Some(name), &data);
}

fn tell_arguments(index: usize, piece: &str, stream: &mut Vec<u8>) {
    let delta = json!({ "type": "input_json_delta", "partial_json": piece });
    tell("content_block_delta", json!({ "index": index, "delta": delta }), stream);
}

fn stop_reason(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Other(_) => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// The API's word for why a tool failed.
fn error_code(code: &str) -> &'static str {
    match code {
        "rate_limited" => "too_many_requests",
        "budget_spent" | "not_allowed" => "max_uses_exceeded",
        "invalid_arguments" => "invalid_tool_input",
        _ => "unavailable",
    }
}

fn found(outcome: &HostedOutcome) -> Value {
    let result = |source: &crate::answer::WebSource| json!({ "type": "web_search_result", "url": source.url, "title": source.title, "encrypted_content": "", "page_age": null });
    outcome.sources.iter().map(result).collect()
}

fn page(outcome: &HostedOutcome) -> Value {
    let source = outcome.sources.first();
    let (url, title) = source.map_or(("", ""), |source| (&*source.url, &*source.title));
    let text = json!({ "type": "text", "media_type": "text/plain", "data": outcome.content });
    json!({
        "type": "web_fetch_result", "url": url, "retrieved_at": null,
        "content": { "type": "document", "source": text, "title": title },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::samples::{called, searched};
    use crate::sse::SseParser;

    fn encoded(events: &[AnswerEvent]) -> (Vec<Value>, MessageEncoder) {
        let head = AnswerHead { id: "msg_1".to_owned(), created: 7, model: "m".to_owned() };
        let mut encoder = MessageEncoder::new(head, "req_1");
        let mut stream = Vec::new();
        events.iter().for_each(|event| encoder.event(event, &mut stream));
        let mut parsed = Vec::new();
        SseParser::new(1 << 20).push(&stream, &mut parsed).expect("small");
        let data = parsed.iter().map(|event| {
            let data: Value = serde_json::from_str(&event.data).expect("JSON");
            assert_eq!(event.name.as_deref(), data["type"].as_str());
            data
        });
        (data.collect(), encoder)
    }

    /// Blocks come one after the other, and joined they are the whole message.
    fn check(events: &[Value], encoder: &mut MessageEncoder) -> Value {
        let whole = encoder.whole().expect("a message");
        let mut open = None;
        let mut next = 0;
        for event in events {
            match event["type"].as_str() {
                Some("content_block_start") => {
                    assert_eq!((open, event["index"].as_u64()), (None, Some(next)), "{event}");
                    open = Some(next);
                    next += 1;
                }
                Some("content_block_delta") => assert_eq!(event["index"].as_u64(), open, "{event}"),
                Some("content_block_stop") => assert_eq!(event["index"].as_u64(), open.take(), "{event}"),
                _ => {}
            }
        }
        assert_eq!(whole["content"].as_array().map(Vec::len), usize::try_from(next).ok());
        for (index, block) in whole["content"].as_array().into_iter().flatten().enumerate() {
            let deltas =
                events.iter().filter(|event| event["type"] == "content_block_delta" && event["index"] == index);
            let joined =
                |key: &str| -> String { deltas.clone().filter_map(|event| event["delta"][key].as_str()).collect() };
            match block["type"].as_str() {
                Some("text") => assert_eq!(block["text"], joined("text")),
                Some("thinking") => assert_eq!(block["thinking"], joined("thinking")),
                Some("tool_use" | "server_tool_use") => {
                    assert_eq!(
                        serde_json::from_str::<Value>(&joined("partial_json")).ok().as_ref(),
                        Some(&block["input"])
                    );
                }
                _ => {}
            }
        }
        whole
    }

    #[test]
    fn a_search_and_a_citation() {
        let (events, mut encoder) = encoded(&searched());
        let whole = check(&events, &mut encoder);
        let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&whole).expect("JSON"));
    }

    #[test]
    fn calls_come_one_after_the_other() {
        let (events, mut encoder) = encoded(&called());
        let whole = check(&events, &mut encoder);
        assert_eq!(whole["stop_reason"], "tool_use");
        let used: Vec<&Value> = whole["content"].as_array().into_iter().flatten().skip(2).collect();
        assert_eq!((&used[0]["input"], &used[1]["input"]), (&json!({ "a": 1 }), &json!({})));
        assert_eq!(whole["usage"]["cache_read_input_tokens"], 2);
    }

    #[test]
    fn a_failure() {
        let (events, mut encoder) = encoded(&[AnswerEvent::TurnBegan, AnswerEvent::Failed(ErrorBody::broke_off())]);
        let last = events.last().expect("events");
        assert_eq!(
            (&last["type"], &last["error"]["type"], &last["request_id"]),
            (&json!("error"), &json!("api_error"), &json!("req_1"))
        );
        assert!(encoder.whole().is_err());
    }
}
