//! Turns: what the "model" says, and how the chat and completions endpoints write it, whole or streamed.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::script::Script;
use super::{Action, reply};

/// What the server says when nothing scripts it.
pub const SENTENCE: &str = "The small grey owl reads every question twice.";
const REASONING: &str = "Perhaps both readings hold here.";
const UTF8: &str = "é 🦉 日本語 ñ";
const CREATED: u64 = 1_700_000_000;

/// One answer of the "model".
pub(super) struct Turn {
    pub(super) reasoning: Option<String>,
    pub(super) content: String,
    pub(super) calls: Vec<Call>,
    pub(super) prompt_tokens: usize,
}

/// A function call.
pub(super) struct Call {
    name: String,
    arguments: String,
}

impl Turn {
    /// The answer to a chat request (also of the responses API, whose tools and format it does not read).
    pub(super) fn new(request: &Value, prompt: &str, script: &Script) -> Self {
        let mut turn = Self {
            reasoning: None,
            content: SENTENCE.to_owned(),
            calls: Vec::new(),
            prompt_tokens: prompt.split_whitespace().count(),
        };
        if let Some(planned) = planned(request, prompt) {
            turn.follow(&planned, request["tool_choice"] == "none");
            return turn;
        }
        let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        let last = request["messages"].as_array().and_then(|messages| messages.last());
        let is_tool_result = last.is_some_and(|message| message["role"] == "tool");
        let wants_call = *script == Script::Tool || (!tools.is_empty() && prompt.to_lowercase().contains("weather"));
        if wants_call && !is_tool_result && request["tool_choice"] != "none" {
            turn.content.clear();
            turn.calls.push(Call::new(tools.first()));
        } else if is_tool_result {
            let result = last.map(|message| message["content"].as_str().unwrap_or_default()).unwrap_or_default();
            turn.content = format!("The tool said: {result}");
        } else if request["response_format"]["type"] == "json_schema" {
            let schema = &request["response_format"]["json_schema"]["schema"];
            turn.content = example(schema, schema).to_string();
        } else if request["response_format"]["type"] == "json_object" {
            turn.content = r#"{"answer":"owl"}"#.to_owned();
        } else if *script == Script::Think {
            turn.reasoning = Some(REASONING.to_owned());
        } else if *script == Script::Utf8 {
            turn.content = UTF8.to_owned();
        } else if let Script::Count(count) = script {
            turn.content = (1..=*count).map(|n| format!(" {n}")).collect();
        } else if has_image(request) {
            turn.content = "I see an image.".to_owned();
        }
        turn
    }

    /// Says what a plan has for this turn. Where no tool may be called it says that, instead of calling.
    fn follow(&mut self, planned: &Value, may_not_call: bool) {
        planned["text"].as_str().unwrap_or_default().clone_into(&mut self.content);
        self.reasoning = planned["reasoning"].as_str().map(str::to_owned);
        let calls = planned["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        if may_not_call && !calls.is_empty() {
            "I may call nothing more.".clone_into(&mut self.content);
            return;
        }
        let call = |call: &Value| Call {
            name: call["name"].as_str().unwrap_or_default().to_owned(),
            // A text is written as it is, so that it can be broken.
            arguments: call["arguments"].as_str().map_or_else(|| call["arguments"].to_string(), str::to_owned),
        };
        self.calls = calls.iter().map(call).collect();
    }

    fn words(&self) -> Vec<String> {
        if self.content.starts_with('{') {
            return reply::recut(&[Bytes::from(self.content.clone().into_bytes())], 7)
                .iter()
                .map(|piece| String::from_utf8_lossy(piece).into_owned())
                .collect();
        }
        self.content.split_inclusive(' ').map(str::to_owned).collect()
    }

    fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() { "stop" } else { "tool_calls" }
    }

    /// Prompt, completion and total tokens.
    pub(super) fn tokens(&self) -> (usize, usize, usize) {
        let completion = self.content.split_whitespace().count() + 5 * self.calls.len();
        (self.prompt_tokens, completion, self.prompt_tokens + completion)
    }

    fn usage(&self) -> Value {
        let (prompt, completion, total) = self.tokens();
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total})
    }
}

/// What the plan in the last user message (`[[plan [ … ]]]`) has for this turn: the first for the first answer to it, and so on; the last
/// one again and again.
fn planned(request: &Value, prompt: &str) -> Option<Value> {
    let (_, rest) = prompt.split_once("[[plan ")?;
    let (plan, _) = rest.rsplit_once("]]")?;
    let plan: Vec<Value> = serde_json::from_str(plan).ok()?;
    let messages = request["messages"].as_array()?;
    let answers = messages.iter().rev().take_while(|message| message["role"] != "user");
    let turn = answers.filter(|message| message["role"] == "assistant").count();
    plan.get(turn).or(plan.last()).cloned()
}

impl Call {
    fn new(tool: Option<&Value>) -> Self {
        let function = tool.map(|tool| &tool["function"]).unwrap_or(&Value::Null);
        let name = function["name"].as_str().unwrap_or("get_weather").to_owned();
        let parameters = &function["parameters"];
        Self { name, arguments: example(parameters, parameters).to_string() }
    }
}

/// The text that scripts a chat: of the last user message, all its text parts.
pub(super) fn last_user_text(request: &Value) -> String {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    last.map(|message| text_of(&message["content"])).unwrap_or_default()
}

/// A text, or the texts of an array of content parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.as_str().or(part["text"].as_str())).collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn has_image(request: &Value) -> bool {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
    parts.filter_map(|part| part["image_url"]["url"].as_str()).any(|url| url.starts_with("data:image/"))
}

/// A value that fits a simple JSON schema.
fn example(schema: &Value, root: &Value) -> Value {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        return example(root.pointer(pointer).unwrap_or(&Value::Null), root);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].as_array().and_then(|all| all.first()) {
        return example(first, root);
    }
    match schema["type"].as_str() {
        Some("string") => "owl".into(),
        Some("integer") => 7.into(),
        Some("number") => 1.5.into(),
        Some("boolean") => true.into(),
        Some("array") => vec![example(&schema["items"], root)].into(),
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties
                .map(|(name, schema)| (name.clone(), example(schema, root)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
    }
}

/// How an endpoint writes a turn.
pub(super) trait Dialect: Send + 'static {
    /// The events before the first word.
    fn opening(&mut self, turn: &Turn) -> Vec<Bytes>;
    /// The event for one word.
    fn word(&mut self, word: &str) -> Bytes;
    /// The events after the last word.
    fn closing(&mut self, turn: &Turn) -> Vec<Bytes>;
    /// The turn in one piece of JSON.
    fn whole(&mut self, turn: &Turn) -> Value;
}

/// Answers with a turn, as the script says.
pub(super) fn speak(mut dialect: impl Dialect, turn: Turn, script: &Script, is_streamed: bool) -> Action {
    if !is_streamed {
        return match script {
            Script::Slow | Script::Long | Script::Flood | Script::Stall => Action::NeverAnswer,
            Script::Cut => {
                let broken = vec![Ok(Bytes::from_static(b"{\"id\":")), Err(io::ErrorKind::ConnectionReset.into())];
                reply::event_stream(stream::iter(broken)).into()
            }
            _ => reply::odd_json(&dialect.whole(&turn)).into(),
        };
    }
    let opening = dialect.opening(&turn);
    let known = |dialect: &mut dyn Dialect| -> Vec<Bytes> {
        let words = turn.words();
        let words: Vec<Bytes> = words.iter().map(|word| dialect.word(word)).collect();
        [opening.clone(), words, dialect.closing(&turn)].concat()
    };
    match script {
        Script::Slow => Action::NeverAnswer,
        Script::Utf8 => reply::event_stream(reply::pieces(reply::recut(&known(&mut dialect), 3))).into(),
        Script::SseOdd => reply::event_stream(reply::pieces(make_odd(known(&mut dialect)))).into(),
        Script::Long => reply::event_stream(Speech::count(dialect, turn, opening, u64::MAX).paced()).into(),
        Script::Flood => reply::event_stream(Speech::count(dialect, turn, opening, u64::MAX).flowing()).into(),
        Script::Count(count) => reply::event_stream(Speech::count(dialect, turn, opening, *count).flowing()).into(),
        Script::Stall => {
            let two = two_words(&mut dialect, opening);
            reply::event_stream(reply::pieces(two).chain(stream::pending())).into()
        }
        Script::Cut => {
            let two = two_words(&mut dialect, opening);
            let broken = stream::iter([Err(io::ErrorKind::ConnectionReset.into())]);
            reply::event_stream(reply::pieces(two).chain(broken)).into()
        }
        _ => reply::event_stream(reply::pieces(known(&mut dialect))).into(),
    }
}

fn two_words(dialect: &mut impl Dialect, mut opening: Vec<Bytes>) -> Vec<Bytes> {
    opening.push(dialect.word("The"));
    opening.push(dialect.word(" small"));
    opening
}

/// Everything that the SSE format allows and that few servers send.
fn make_odd(events: Vec<Bytes>) -> Vec<Bytes> {
    let mut odd = vec![
        Bytes::from_static(b": a comment, to keep the connection alive\n\n"),
        Bytes::from_static(b"event: owl.unknown\r\ndata:  {\"a\" :  1.0,\t\"b\":1e3}\r\n\r\n"),
        Bytes::from_static(b"id: 7\nretry: 10\nunknown-field: x\n\n"),
    ];
    odd.extend(events.into_iter().enumerate().map(|(nth, event)| {
        if nth % 2 == 0 {
            return event;
        }
        let text = String::from_utf8_lossy(&event).replace("data: {", "data:  {  ").replace('\n', "\r\n");
        Bytes::from(text.into_bytes())
    }));
    odd
}

/// A streamed answer that counts, made piece by piece.
struct Speech<D> {
    dialect: D,
    turn: Turn,
    ready: VecDeque<Bytes>,
    next: u64,
    last: u64,
}

impl<D: Dialect> Speech<D> {
    fn count(dialect: D, turn: Turn, opening: Vec<Bytes>, last: u64) -> Self {
        Self { dialect, turn, ready: opening.into(), next: 1, last }
    }

    fn piece(&mut self) -> Option<Bytes> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        if self.next <= self.last {
            self.next += 1;
            return Some(self.dialect.word(&format!(" {}", self.next - 1)));
        }
        if self.next == self.last + 1 {
            self.next += 1;
            self.ready = self.dialect.closing(&self.turn).into();
        }
        self.ready.pop_front()
    }

    fn flowing(self) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(self, |mut speech| async { speech.piece().map(|piece| (Ok(piece), speech)) })
    }

    fn paced(self) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
        self.flowing().then(|piece| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            piece
        })
    }
}

/// `/v1/chat/completions`.
pub(super) struct Chat {
    pub(super) model: String,
    pub(super) include_usage: bool,
}

impl Chat {
    fn chunk(&self, choices: &Value) -> Value {
        json!({"id": "chatcmpl-owl", "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
               "choices": choices})
    }

    fn delta(&self, delta: &Value, finish_reason: Option<&str>) -> Bytes {
        data(&self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}])))
    }
}

impl Dialect for Chat {
    fn opening(&mut self, turn: &Turn) -> Vec<Bytes> {
        let mut events = vec![self.delta(&json!({"role": "assistant", "content": ""}), None)];
        let reasoning = turn.reasoning.iter().flat_map(|text| text.split_inclusive(' '));
        events.extend(reasoning.map(|word| self.delta(&json!({"reasoning_content": word}), None)));
        events
    }

    fn word(&mut self, word: &str) -> Bytes {
        self.delta(&json!({"content": word}), None)
    }

    fn closing(&mut self, turn: &Turn) -> Vec<Bytes> {
        let mut events = Vec::new();
        for (index, call) in turn.calls.iter().enumerate() {
            let function = json!({"name": call.name, "arguments": ""});
            let first =
                json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function});
            events.push(self.delta(&json!({"tool_calls": [first]}), None));
            for piece in reply::recut(&[Bytes::from(call.arguments.clone().into_bytes())], 5) {
                let arguments = String::from_utf8_lossy(&piece);
                let more = json!({"index": index, "function": {"arguments": arguments}});
                events.push(self.delta(&json!({"tool_calls": [more]}), None));
            }
        }
        events.push(self.delta(&json!({}), Some(turn.finish_reason())));
        if self.include_usage {
            let mut last = self.chunk(&json!([]));
            last["usage"] = turn.usage();
            events.push(data(&last));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn whole(&mut self, turn: &Turn) -> Value {
        let mut message = json!({"role": "assistant", "content": turn.content});
        if let Some(reasoning) = &turn.reasoning {
            message["reasoning_content"] = reasoning.as_str().into();
        }
        if !turn.calls.is_empty() {
            if turn.content.is_empty() {
                message["content"] = Value::Null;
            }
            message["tool_calls"] = turn
                .calls
                .iter()
                .enumerate()
                .map(|(index, call)| {
                    let function = json!({"name": call.name, "arguments": call.arguments});
                    json!({"id": format!("call_{index}"), "type": "function", "function": function})
                })
                .collect();
        }
        json!({"id": "chatcmpl-owl", "object": "chat.completion", "created": CREATED, "model": self.model,
               "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": turn.finish_reason()}],
               "usage": turn.usage()})
    }
}

/// `/v1/completions`.
pub(super) struct Completion {
    pub(super) model: String,
    pub(super) include_usage: bool,
}

impl Completion {
    fn object(&self, text: &str, finish_reason: Option<&str>) -> Value {
        json!({"id": "cmpl-owl", "object": "text_completion", "created": CREATED, "model": self.model,
               "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason}]})
    }
}

impl Dialect for Completion {
    fn opening(&mut self, _turn: &Turn) -> Vec<Bytes> {
        Vec::new()
    }

    fn word(&mut self, word: &str) -> Bytes {
        data(&self.object(word, None))
    }

    fn closing(&mut self, turn: &Turn) -> Vec<Bytes> {
        let mut events = vec![data(&self.object("", Some("stop")))];
        if self.include_usage {
            let mut last = self.object("", None);
            last["choices"] = json!([]);
            last["usage"] = turn.usage();
            events.push(data(&last));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn whole(&mut self, turn: &Turn) -> Value {
        let mut object = self.object(&turn.content, Some("stop"));
        object["usage"] = turn.usage();
        object
    }
}

fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n").into_bytes())
}
