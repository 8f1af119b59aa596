//! A request of the Responses API, as the body of a chat completion.

use std::fmt;

use serde_json::{Map, Value, json};

use super::items;
use crate::chat::hosted::asked_once;
use crate::hosted::HostedTool;

/// What of a request is not passed on under the same name: it is read, or only repeated in the response.
const OWN: &[&str] = &[
    "background",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "previous_response_id",
    "reasoning",
    "store",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncation",
];

/// What no chat completion can do.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("conversation", "conversations are not kept here; use `previous_response_id`"),
    ("prompt", "stored prompts are not kept here; write `instructions` and `input`"),
];

/// Why a request cannot be answered over chat completions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// Which part of the request: `input[2].content[0].type`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl RequestError {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for RequestError {}

/// A request, read.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsesRequest {
    /// The body of a chat completion but for its `messages`.
    body: Map<String, Value>,
    /// The system message that `instructions` is.
    instructions: Option<Value>,
    /// The input as messages.
    pub messages: Vec<Value>,
    /// The input as items, each with an id.
    pub input: Vec<Value>,
    /// The tools of the server's that it asks for.
    pub hosted: Vec<HostedTool>,
    /// What the response repeats of the request.
    pub echo: Map<String, Value>,
    /// Whether the response is to be kept; so if nothing is said.
    pub store: bool,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the answer is made without the client waiting.
    pub background: bool,
    /// The response that this one goes on from.
    pub previous: Option<String>,
    /// Whether the sources of searches are to be told.
    pub include_sources: bool,
}

impl ResponsesRequest {
    /// Reads a request. `id` is the response's: the ids of items without one are made from it.
    ///
    /// # Errors
    /// [`RequestError`]: a part is not what the API takes, or has no place in a chat completion.
    pub fn read(mut request: Map<String, Value>, id: &str) -> Result<Self, RequestError> {
        for (key, reason) in UNSUPPORTED {
            if request.get(*key).is_some_and(|value| !value.is_null()) {
                return Err(RequestError::new(*key, *reason));
            }
        }
        let flag = |key: &str, default: bool| match request.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(RequestError::new(key, "this must be true or false")),
        };
        let (store, stream, background) = (flag("store", true)?, flag("stream", false)?, flag("background", false)?);
        let previous = text(&request, "previous_response_id")?;
        let instructions = text(&request, "instructions")?.map(|text| json!({ "role": "system", "content": text }));
        let included = request.get("include").and_then(Value::as_array).into_iter().flatten();
        let include_sources = included.into_iter().any(|one| one == "web_search_call.action.sources");
        let input = items::normalised(request.get("input").unwrap_or(&Value::Null), id)?;
        let messages = items::messages(&input)?;
        let (functions, mut hosted) = tools(request.get("tools"))?;
        if let Some(most) = request.get("max_tool_calls").and_then(Value::as_u64) {
            for tool in &mut hosted {
                tool.max_uses = Some(tool.max_uses.map_or(most, |uses| uses.min(most)));
            }
        }
        let echo = echo(&request);
        let mut body = Map::new();
        settings(&request, functions, &mut body)?;
        for key in OWN {
            request.remove(*key);
        }
        // What is left is for the server: sampling parameters, and whatever is its own.
        for (key, value) in request {
            if !value.is_null() {
                body.entry(key).or_insert(value);
            }
        }
        Ok(Self {
            body,
            instructions,
            messages,
            input,
            hosted,
            echo,
            store,
            stream,
            background,
            previous,
            include_sources,
        })
    }

    /// The body of a chat completion. `history` is the conversation before the input, without the instructions of its time.
    pub fn into_body(self, history: Vec<Value>) -> Map<String, Value> {
        let messages: Vec<Value> = self.instructions.into_iter().chain(history).chain(self.messages).collect();
        let mut body = self.body;
        body.insert("messages".to_owned(), messages.into());
        body
    }
}

fn text(request: &Map<String, Value>, key: &str) -> Result<Option<String>, RequestError> {
    match request.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(RequestError::new(key, "this must be a text")),
    }
}

/// The client's functions as a chat completion has them, and the server's tools.
fn tools(tools: Option<&Value>) -> Result<(Vec<Value>, Vec<HostedTool>), RequestError> {
    let tools = match tools {
        None | Some(Value::Null) => &[],
        Some(Value::Array(tools)) => tools.as_slice(),
        Some(_) => return Err(RequestError::new("tools", "this must be a list")),
    };
    let (mut functions, mut hosted) = (Vec::new(), Vec::new());
    for (at, tool) in tools.iter().enumerate() {
        let path = |key: &str| format!("tools[{at}].{key}");
        if tool["type"] == "function" {
            let Some(name) = tool["name"].as_str() else {
                return Err(RequestError::new(path("name"), "a function needs a name"));
            };
            let mut function = json!({ "name": name });
            for key in ["description", "parameters", "strict"] {
                if !tool[key].is_null() {
                    function[key] = tool[key].clone();
                }
            }
            functions.push(json!({ "type": "function", "function": function }));
        } else if let Some(tool) = HostedTool::read(tool) {
            asked_once(&mut hosted, tool);
        } else {
            let reason = format!(
                "the tool type {} is not one that Owl has; there are: function, web_search, web_fetch, image",
                tool["type"]
            );
            return Err(RequestError::new(path("type"), reason));
        }
    }
    Ok((functions, hosted))
}

/// What a chat completion calls otherwise, or wants in another shape.
fn settings(
    request: &Map<String, Value>,
    mut functions: Vec<Value>,
    body: &mut Map<String, Value>,
) -> Result<(), RequestError> {
    let set = |key: &str| request.get(key).filter(|value| !value.is_null());
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    let choice = set("tool_choice").map(|choice| tool_choice(choice, &mut functions)).transpose()?;
    if let Some(choice) = choice.flatten() {
        put("tool_choice", choice);
    }
    if !functions.is_empty() {
        put("tools", functions.into());
    }
    if let Some(most) = set("max_output_tokens") {
        put("max_tokens", most.clone());
    }
    if let Some(count) = set("top_logprobs").filter(|count| **count != json!(0)) {
        put("logprobs", true.into());
        put("top_logprobs", count.clone());
    }
    if let Some(effort) = set("reasoning").map(|reasoning| &reasoning["effort"]).filter(|effort| !effort.is_null()) {
        put("reasoning_effort", effort.clone());
    }
    let written = set("text").unwrap_or(&Value::Null);
    if !written["verbosity"].is_null() {
        put("verbosity", written["verbosity"].clone());
    }
    let format = &written["format"];
    match format["type"].as_str() {
        None | Some("text") => {}
        Some("json_object") => {
            put("response_format", json!({ "type": "json_object" }));
        }
        Some("json_schema") => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.shift_remove("type");
            put("response_format", json!({ "type": "json_schema", "json_schema": schema }));
        }
        Some(_) => {
            let reason = "this must be `text`, `json_object` or `json_schema`";
            return Err(RequestError::new("text.format.type", reason));
        }
    }
    Ok(())
}

/// The same choice for a chat completion; `None` where nothing is to be said.
fn tool_choice(choice: &Value, functions: &mut Vec<Value>) -> Result<Option<Value>, RequestError> {
    if choice.is_string() {
        return Ok(Some(choice.clone()));
    }
    match choice["type"].as_str() {
        Some("function") => Ok(Some(json!({ "type": "function", "function": { "name": choice["name"] } }))),
        Some("allowed_tools") => {
            let allowed = choice["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_allowed = |function: &Value| allowed.iter().any(|one| one["name"] == function["function"]["name"]);
            functions.retain(is_allowed);
            Ok(Some(if choice["mode"].is_null() { "auto".into() } else { choice["mode"].clone() }))
        }
        Some(kind) if HostedTool::name_of(kind).is_some() => Ok(Some(choice.clone())),
        Some(_) | None => Err(RequestError::new("tool_choice", "this names no tool of the request's")),
    }
}

/// What every response says of its request, with the API's defaults.
fn echo(request: &Map<String, Value>) -> Map<String, Value> {
    let defaults = json!({
        "background": false, "frequency_penalty": 0.0, "instructions": null, "max_output_tokens": null, "max_tool_calls": null,
        "metadata": {}, "parallel_tool_calls": true, "presence_penalty": 0.0, "previous_response_id": null,
        "prompt_cache_key": null, "reasoning": { "effort": null, "summary": null }, "safety_identifier": null,
        "service_tier": "default", "store": true, "temperature": 1.0, "text": { "format": { "type": "text" } },
        "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": null,
    });
    let mut echo = defaults.as_object().cloned().unwrap_or_default();
    for (key, value) in &mut echo {
        let Some(said) = request.get(key).filter(|said| !said.is_null()) else { continue };
        match (value, said) {
            // An object that says only a part of it keeps the other defaults.
            (Value::Object(whole), Value::Object(part)) => whole.extend(part.clone()),
            (value, said) => *value = said.clone(),
        }
    }
    if let Some(Value::Array(tools)) = echo.get_mut("tools") {
        for tool in tools.iter_mut().filter(|tool| tool["type"] == "function") {
            for key in ["description", "parameters", "strict"] {
                if tool.get(key).is_none() {
                    tool[key] = Value::Null;
                }
            }
        }
    }
    echo
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: &Value) -> Result<ResponsesRequest, RequestError> {
        ResponsesRequest::read(request.as_object().cloned().unwrap_or_default(), "resp_owl1")
    }

    #[test]
    fn everything_has_its_place() {
        let request = json!({
            "model": "m", "instructions": "Be brief.", "stream": true, "store": false, "temperature": 0.5, "top_k": 3,
            "max_output_tokens": 9, "max_tool_calls": 2, "previous_response_id": "resp_owl0", "metadata": { "a": "b" },
            "reasoning": { "effort": "low" }, "top_logprobs": 2, "include": ["web_search_call.action.sources"],
            "text": { "format": { "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": true }, "verbosity": "low" },
            "tool_choice": { "type": "function", "name": "f" },
            "tools": [
                { "type": "function", "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true },
                { "type": "web_search", "search_context_size": "low" }, { "type": "web_search_preview" },
            ],
            "input": [
                { "role": "developer", "content": "x" },
                { "role": "user", "content": [
                    { "type": "input_text", "text": "look" },
                    { "type": "input_image", "image_url": "https://a.example/p.png", "detail": "low" },
                    { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" },
                ] },
                { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "thought" }] },
                { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}" },
                { "type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c1", "output": "one" },
                { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "two" }] },
                { "type": "web_search_call", "id": "ws_1", "status": "completed" },
                { "type": "message", "role": "assistant", "id": "msg_1",
                    "content": [{ "type": "output_text", "text": "a", "annotations": [] }, { "type": "refusal", "refusal": "b" }] },
            ],
        });
        let read = read(&request).expect("right");
        assert_eq!((read.stream, read.store, read.background, read.include_sources), (true, false, false, true));
        assert_eq!(read.previous.as_deref(), Some("resp_owl0"));
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&json!({
                "hosted": format!("{:?}", read.hosted), "input": read.input, "echo": read.echo,
                "body": read.clone().into_body(vec![json!({ "role": "user", "content": "before" })]),
            }))
            .expect("JSON")
        );
    }

    #[test]
    fn a_text_alone() {
        let body = read(&json!({ "model": "m", "input": "hi" })).expect("right").into_body(Vec::new());
        assert_eq!(Value::from(body), json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }));
    }

    #[test]
    fn what_has_no_place_is_named() {
        let check = |request: Value, path: &str| {
            assert_eq!(read(&request).err().map(|error| error.path).as_deref(), Some(path), "{request}");
        };
        check(json!({}), "input");
        check(json!({ "input": 5 }), "input");
        check(json!({ "input": [5] }), "input[0]");
        check(json!({ "input": [{}] }), "input[0].type");
        check(json!({ "input": [{ "type": "computer_call" }] }), "input[0].type");
        check(json!({ "input": [{ "role": "robot", "content": "" }] }), "input[0].role");
        check(json!({ "input": [{ "role": "user" }] }), "input[0].content");
        check(
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_video" }] }] }),
            "input[0].content[0].type",
        );
        check(
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_image", "file_id": "f" }] }] }),
            "input[0].content[0].file_id",
        );
        check(
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_text" }] }] }),
            "input[0].content[0].text",
        );
        check(json!({ "input": [{ "type": "function_call" }] }), "input[0].name");
        check(json!({ "input": [{ "type": "function_call_output", "output": "" }] }), "input[0].call_id");
        check(json!({ "input": [{ "type": "item_reference", "id": "x" }] }), "input[0]");
        check(json!({ "input": "", "tools": 1 }), "tools");
        check(json!({ "input": "", "tools": [{ "type": "code_interpreter" }] }), "tools[0].type");
        check(json!({ "input": "", "tools": [{ "type": "function" }] }), "tools[0].name");
        check(json!({ "input": "", "tool_choice": { "type": "mcp" } }), "tool_choice");
        check(json!({ "input": "", "text": { "format": { "type": "xml" } } }), "text.format.type");
        check(json!({ "input": "", "conversation": "c" }), "conversation");
        check(json!({ "input": "", "prompt": { "id": "p" } }), "prompt");
        check(json!({ "input": "", "store": "yes" }), "store");
        check(json!({ "input": "", "instructions": 1 }), "instructions");
    }
}
