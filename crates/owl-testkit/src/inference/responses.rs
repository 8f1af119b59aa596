//! `/v1/responses`, as little of it as the OpenAI clients accept.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{Dialect, Turn};

/// The dialect; its events are numbered.
pub(super) struct Responses {
    pub(super) model: String,
    sequence: u64,
    said: String,
}

impl Responses {
    pub(super) fn new(model: String) -> Self {
        Self { model, sequence: 0, said: String::new() }
    }

    fn event(&mut self, kind: &str, mut fields: Value) -> Bytes {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        if let (Some(event), Some(fields)) = (event.as_object_mut(), fields.as_object_mut()) {
            event.append(fields);
        }
        self.sequence += 1;
        Bytes::from(format!("event: {kind}\ndata: {event}\n\n").into_bytes())
    }

    fn object(&self, status: &str, output: &Value) -> Value {
        json!({"id": "resp_upstream", "object": "response", "created_at": 1_700_000_000, "status": status,
               "model": self.model, "output": output, "error": null, "incomplete_details": null, "instructions": null,
               "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [],
               "top_p": 1.0, "usage": null})
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn message(status: &str, content: &Value) -> Value {
    json!({"type": "message", "id": "msg_owl", "status": status, "role": "assistant", "content": content})
}

impl Dialect for Responses {
    fn opening(&mut self, _turn: &Turn) -> Vec<Bytes> {
        let response = self.object("in_progress", &json!([]));
        let item = message("in_progress", &json!([]));
        vec![
            self.event("response.created", json!({"response": response.clone()})),
            self.event("response.in_progress", json!({"response": response})),
            self.event("response.output_item.added", json!({"output_index": 0, "item": item})),
            self.event(
                "response.content_part.added",
                json!({"item_id": "msg_owl", "output_index": 0, "content_index": 0, "part": part("")}),
            ),
        ]
    }

    fn word(&mut self, word: &str) -> Bytes {
        self.said.push_str(word);
        self.event(
            "response.output_text.delta",
            json!({"item_id": "msg_owl", "output_index": 0, "content_index": 0, "delta": word, "logprobs": []}),
        )
    }

    fn closing(&mut self, turn: &Turn) -> Vec<Bytes> {
        let said = std::mem::take(&mut self.said);
        let item = message("completed", &json!([part(&said)]));
        let place = json!({"item_id": "msg_owl", "output_index": 0, "content_index": 0});
        let with = |key: &str, value: Value| {
            let mut fields = place.clone();
            fields[key] = value;
            fields
        };
        let mut text_done = with("text", said.as_str().into());
        text_done["logprobs"] = json!([]);
        let response = self.whole(turn);
        vec![
            self.event("response.output_text.done", text_done),
            self.event("response.content_part.done", with("part", part(&said))),
            self.event("response.output_item.done", json!({"output_index": 0, "item": item})),
            self.event("response.completed", json!({"response": response})),
        ]
    }

    fn whole(&mut self, turn: &Turn) -> Value {
        let (input, output, total) = turn.tokens();
        let mut response = self.object("completed", &json!([message("completed", &json!([part(&turn.content)]))]));
        response["usage"] = json!({
            "input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": total});
        response
    }
}
