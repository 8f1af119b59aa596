//! An answer as a response: whole, or as the API's events with their sequence numbers.

use serde_json::{Map, Value, json};

use crate::answer::{
    AnswerEvent, AnswerHead, Citation, Encode, Ending, FinishReason, HostedOutcome, Usage, told_tool_calls, write_event,
};
use crate::error::ErrorBody;

/// Writes responses.
#[derive(Clone, Debug)]
pub struct ResponseEncoder {
    head: AnswerHead,
    echo: Map<String, Value>,
    include_sources: bool,
    sequence: u64,
    begun: bool,
    output: Vec<Value>,
    /// Where the open text stands in `output`.
    open: Option<Open>,
    /// Where the calls that are not complete stand.
    calls: Vec<(String, usize)>,
    /// How many characters of this turn's text stand before the open one.
    before: usize,
    outcomes: Vec<HostedOutcome>,
    status: &'static str,
    incomplete: Value,
    error: Value,
    usage: Option<Usage>,
    failure: Option<ErrorBody>,
    more: Map<String, Value>,
}

#[derive(Clone, Debug)]
struct Open {
    at: usize,
    kind: Kind,
    text: String,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Reasoning,
}

impl Kind {
    fn part(self, text: &str) -> Value {
        match self {
            Self::Text => json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }),
            Self::Refusal => json!({ "type": "refusal", "refusal": text }),
            Self::Reasoning => json!({ "type": "reasoning_text", "text": text }),
        }
    }

    /// What its events are called, and under which key the whole text stands in the last.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Text => ("response.output_text.delta", "response.output_text.done", "text"),
            Self::Refusal => ("response.refusal.delta", "response.refusal.done", "refusal"),
            Self::Reasoning => ("response.reasoning_text.delta", "response.reasoning_text.done", "text"),
        }
    }
}

impl ResponseEncoder {
    /// `echo`: what the response repeats of the request. `include_sources`: whether a search's item tells what it found.
    pub fn new(head: AnswerHead, echo: Map<String, Value>, include_sources: bool) -> Self {
        Self {
            head,
            echo,
            include_sources,
            sequence: 0,
            begun: false,
            output: Vec::new(),
            open: None,
            calls: Vec::new(),
            before: 0,
            outcomes: Vec::new(),
            status: "in_progress",
            incomplete: Value::Null,
            error: Value::Null,
            usage: None,
            failure: None,
            more: Map::new(),
        }
    }

    /// The response as it is now.
    pub fn response(&self) -> Value {
        let AnswerHead { id, created, model } = &self.head;
        let completed = if self.status == "completed" { json!(created) } else { Value::Null };
        let mut response = json!({
            "id": id, "object": "response", "created_at": created, "completed_at": completed, "status": self.status,
            "error": self.error, "incomplete_details": self.incomplete, "model": model, "output": self.output,
            "usage": self.usage.map_or(Value::Null, usage),
        });
        if let Value::Object(response) = &mut response {
            response.extend(self.more.clone());
            response.extend(self.echo.clone());
            let told = told_tool_calls(&self.outcomes);
            if !told.is_empty() {
                response.insert("owl".to_owned(), json!({ "tool_calls": told }));
            }
        }
        response
    }

    fn tell(&mut self, name: &str, mut data: Value, stream: &mut Vec<u8>) {
        if let Value::Object(data) = &mut data {
            data.shift_insert(0, "type".to_owned(), name.into());
            data.shift_insert(1, "sequence_number".to_owned(), self.sequence.into());
        }
        self.sequence += 1;
        write_event(stream, Some(name), &data);
    }

    fn item_id(&self, prefix: &str) -> String {
        let base = self.head.id.rsplit('_').next().unwrap_or_default();
        format!("{prefix}_{base}{:04}", self.output.len())
    }

    fn add(&mut self, item: Value, stream: &mut Vec<u8>) -> usize {
        let at = self.output.len();
        self.tell("response.output_item.added", json!({ "output_index": at, "item": item }), stream);
        self.output.push(item);
        at
    }

    fn item_done(&mut self, at: usize, stream: &mut Vec<u8>) {
        let item = self.output[at].clone();
        self.tell("response.output_item.done", json!({ "output_index": at, "item": item }), stream);
    }

    /// A piece of a text; another kind of text before it is complete now.
    fn piece(&mut self, kind: Kind, piece: &str, stream: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(|open| open.kind != kind) {
            self.close(&[], stream);
        }
        if self.open.is_none() {
            self.begin(kind, stream);
        }
        let Some(open) = &mut self.open else { return };
        open.text.push_str(piece);
        let at = open.at;
        let id = self.output[at]["id"].clone();
        let mut data = json!({ "item_id": id, "output_index": at, "content_index": 0, "delta": piece });
        if kind == Kind::Text {
            data["logprobs"] = json!([]);
        }
        self.tell(kind.names().0, data, stream);
    }

    fn begin(&mut self, kind: Kind, stream: &mut Vec<u8>) {
        let item = match kind {
            Kind::Reasoning => json!({
                "id": self.item_id("rs"), "type": "reasoning", "status": "in_progress", "summary": [], "content": [],
            }),
            Kind::Text | Kind::Refusal => json!({
                "id": self.item_id("msg"), "type": "message", "status": "in_progress", "role": "assistant", "content": [],
            }),
        };
        let id = item["id"].clone();
        let at = self.add(item, stream);
        let data = json!({ "item_id": id, "output_index": at, "content_index": 0, "part": kind.part("") });
        self.tell("response.content_part.added", data, stream);
        self.open = Some(Open { at, kind, text: String::new() });
    }

    /// Completes the open text.
    fn close(&mut self, citations: &[Citation], stream: &mut Vec<u8>) {
        let Some(Open { at, kind, text }) = self.open.take() else { return };
        let id = self.output[at]["id"].clone();
        let mut part = kind.part(&text);
        let (_, done, key) = kind.names();
        if kind == Kind::Text {
            let characters = text.chars().count();
            let annotations = annotations(citations, self.before, characters);
            for (index, annotation) in annotations.iter().enumerate() {
                let data = json!({
                    "item_id": id, "output_index": at, "content_index": 0, "annotation_index": index, "annotation": annotation,
                });
                self.tell("response.output_text.annotation.added", data, stream);
            }
            part["annotations"] = annotations.into();
            self.before += characters;
        }
        let mut data = json!({ "item_id": id, "output_index": at, "content_index": 0, key: text });
        if kind == Kind::Text {
            data["logprobs"] = json!([]);
        }
        self.tell(done, data, stream);
        let data = json!({ "item_id": id, "output_index": at, "content_index": 0, "part": part });
        self.tell("response.content_part.done", data, stream);
        self.output[at]["content"] = json!([part]);
        self.output[at]["status"] = "completed".into();
        self.item_done(at, stream);
    }

    fn call_began(&mut self, id: &str, name: &str, stream: &mut Vec<u8>) {
        self.close(&[], stream);
        let item = json!({
            "id": self.item_id("fc"), "type": "function_call", "status": "in_progress", "call_id": id, "name": name,
            "arguments": "",
        });
        let at = self.add(item, stream);
        self.calls.push((id.to_owned(), at));
    }

    fn call_at(&self, id: &str) -> Option<usize> {
        self.calls.iter().rev().find(|(call, _)| call == id).map(|(_, at)| *at)
    }

    fn call_piece(&mut self, id: &str, piece: &str, stream: &mut Vec<u8>) {
        let Some(at) = self.call_at(id) else { return };
        if let Some(Value::String(arguments)) = self.output[at].get_mut("arguments") {
            arguments.push_str(piece);
        }
        let item = self.output[at]["id"].clone();
        let data = json!({ "item_id": item, "output_index": at, "delta": piece });
        self.tell("response.function_call_arguments.delta", data, stream);
    }

    fn call_ended(&mut self, id: &str, stream: &mut Vec<u8>) {
        let Some(at) = self.call_at(id) else { return };
        self.calls.retain(|(call, _)| call != id);
        let (item, name, arguments) =
            (self.output[at]["id"].clone(), self.output[at]["name"].clone(), self.output[at]["arguments"].clone());
        let data = json!({ "item_id": item, "output_index": at, "name": name, "arguments": arguments });
        self.tell("response.function_call_arguments.done", data, stream);
        self.output[at]["status"] = "completed".into();
        self.item_done(at, stream);
    }

    /// A search or a page that is opened. Other tools have no item in this API; `owl.tool_calls` tells of them.
    fn tool_began(&mut self, id: &str, tool: &str, arguments: &Value, stream: &mut Vec<u8>) {
        let action = match tool {
            "web_search" => json!({ "type": "search", "query": arguments["query"].as_str().unwrap_or_default() }),
            "web_fetch" => json!({ "type": "open_page", "url": arguments["url"].as_str().unwrap_or_default() }),
            _ => return,
        };
        self.close(&[], stream);
        let item =
            json!({ "id": self.item_id("ws"), "type": "web_search_call", "status": "in_progress", "action": action });
        let item_id = item["id"].clone();
        let at = self.add(item, stream);
        self.calls.push((id.to_owned(), at));
        for step in ["response.web_search_call.in_progress", "response.web_search_call.searching"] {
            self.tell(step, json!({ "item_id": item_id, "output_index": at }), stream);
        }
    }

    fn tool_ended(&mut self, outcome: &HostedOutcome, stream: &mut Vec<u8>) {
        self.outcomes.push(outcome.clone());
        let Some(at) = self.call_at(&outcome.call.id) else { return };
        self.calls.retain(|(call, _)| *call != outcome.call.id);
        let item_id = self.output[at]["id"].clone();
        self.output[at]["status"] = if outcome.error.is_none() { "completed" } else { "failed" }.into();
        if self.include_sources && outcome.call.tool == "web_search" {
            let sources = outcome.sources.iter().map(|one| json!({ "type": "url", "url": one.url }));
            self.output[at]["action"]["sources"] = sources.collect();
        }
        self.tell("response.web_search_call.completed", json!({ "item_id": item_id, "output_index": at }), stream);
        self.item_done(at, stream);
    }

    fn end(&mut self, ending: &Ending, stream: &mut Vec<u8>) {
        self.close(&ending.citations, stream);
        self.usage = ending.usage;
        let cut = match &ending.reason {
            FinishReason::Length => Some("max_output_tokens"),
            FinishReason::ContentFilter => Some("content_filter"),
            FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Other(_) => None,
        };
        self.status = if cut.is_some() { "incomplete" } else { "completed" };
        if let Some(reason) = cut {
            self.incomplete = json!({ "reason": reason });
            let last = self.output.last_mut().filter(|item| item["type"] == "message");
            if let Some(item) = last {
                item["status"] = "incomplete".into();
            }
        }
        let name = if cut.is_some() { "response.incomplete" } else { "response.completed" };
        self.last(name, stream);
    }

    fn fail(&mut self, error: &ErrorBody, stream: &mut Vec<u8>) {
        self.close(&[], stream);
        self.status = "failed";
        self.error = json!({ "code": "server_error", "message": error.message });
        self.failure = Some(error.clone());
        self.last("response.failed", stream);
    }

    fn last(&mut self, name: &str, stream: &mut Vec<u8>) {
        let response = self.response();
        self.tell(name, json!({ "response": response }), stream);
        stream.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn begin_response(&mut self, stream: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            for name in ["response.created", "response.in_progress"] {
                let response = self.response();
                self.tell(name, json!({ "response": response }), stream);
            }
        }
    }
}

impl Encode for ResponseEncoder {
    fn event(&mut self, event: &AnswerEvent, stream: &mut Vec<u8>) {
        self.begin_response(stream);
        match event {
            AnswerEvent::TurnBegan => {
                self.close(&[], stream);
                self.before = 0;
            }
            AnswerEvent::Text(piece) => self.piece(Kind::Text, piece, stream),
            AnswerEvent::Reasoning(piece) => self.piece(Kind::Reasoning, piece, stream),
            AnswerEvent::Refusal(piece) => self.piece(Kind::Refusal, piece, stream),
            AnswerEvent::CallBegan { id, name } => self.call_began(id, name, stream),
            AnswerEvent::CallArguments { id, piece } => self.call_piece(id, piece, stream),
            AnswerEvent::CallEnded { id } => self.call_ended(id, stream),
            AnswerEvent::ToolBegan(call) => self.tool_began(&call.id, &call.tool, &call.arguments, stream),
            AnswerEvent::ToolEnded(outcome) => self.tool_ended(outcome, stream),
            // The text stays open: what it cites is only known at the end.
            AnswerEvent::TurnEnded => {}
            AnswerEvent::Extra(extra) => self.more.extend(extra.chunk.clone()),
            AnswerEvent::Ended(ending) => self.end(ending, stream),
            AnswerEvent::Failed(error) => self.fail(error, stream),
        }
    }

    fn whole(&mut self) -> Result<Value, ErrorBody> {
        match (self.status, self.failure.take()) {
            (_, Some(error)) => Err(error),
            ("in_progress", None) => Err(ErrorBody::broke_off()),
            _ => Ok(self.response()),
        }
    }
}

/// The citations that are in the text which begins `before` characters into its turn.
fn annotations(citations: &[Citation], before: usize, characters: usize) -> Vec<Value> {
    let within = |one: &&Citation| one.start >= before && one.end <= before + characters;
    let annotation = |one: &Citation| {
        json!({
            "type": "url_citation", "start_index": one.start - before, "end_index": one.end - before, "url": one.source.url,
            "title": one.source.title,
        })
    };
    citations.iter().filter(within).map(annotation).collect()
}

fn usage(usage: Usage) -> Value {
    let mut told = json!({
        "input_tokens": usage.input, "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output, "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total(),
    });
    if usage.estimated {
        told["owl_estimated"] = true.into();
    }
    told
}

#[cfg(test)]
mod tests;
