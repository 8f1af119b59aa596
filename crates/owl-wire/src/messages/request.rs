//! A request of the Messages API, as the body of a chat completion.

use std::fmt;

use serde_json::{Map, Value, json};

use super::content;
use crate::chat::hosted::asked_once;
use crate::hosted::HostedTool;

/// What of a request has another name in a chat completion, or no meaning there.
const OWN: &[&str] = &[
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

/// Why a request cannot be answered over chat completions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesError {
    /// Which part of the request, as Anthropic writes it: `messages.2.content.0`.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl MessagesError {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for MessagesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for MessagesError {}

/// A request, read.
#[derive(Clone, Debug, PartialEq)]
pub struct MessagesRequest {
    /// The body of a chat completion.
    pub body: Map<String, Value>,
    /// The tools of the server's that it asks for.
    pub hosted: Vec<HostedTool>,
    /// The model as the client calls it.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The texts that end the answer.
    pub stop_sequences: Vec<String>,
}

impl MessagesRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`MessagesError`]: a part is not what the API takes, or has no place in a chat completion.
    pub fn read(mut request: Map<String, Value>) -> Result<Self, MessagesError> {
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let stream = request.get("stream").and_then(Value::as_bool) == Some(true);
        if request.get("mcp_servers").and_then(Value::as_array).is_some_and(|servers| !servers.is_empty()) {
            return Err(MessagesError::new("mcp_servers", "MCP servers are not called from here"));
        }
        let Some(Value::Array(turns)) = request.get("messages") else {
            return Err(MessagesError::new("messages", "this must be a list"));
        };
        let mut messages: Vec<Value> = content::system(request.get("system"))?.into_iter().collect();
        for (at, turn) in turns.iter().enumerate() {
            content::turn(turn, &format!("messages.{at}"), &mut messages)?;
        }
        let (functions, hosted) = tools(request.get("tools"))?;
        let mut body = Map::new();
        body.insert("messages".to_owned(), messages.into());
        settings(&request, functions, &mut body)?;
        let stops = request.get("stop_sequences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let stop_sequences = stops.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        for key in OWN {
            request.remove(*key);
        }
        for (key, value) in request {
            if !value.is_null() {
                body.entry(key).or_insert(value);
            }
        }
        Ok(Self { body, hosted, model, stream, stop_sequences })
    }
}

fn tools(tools: Option<&Value>) -> Result<(Vec<Value>, Vec<HostedTool>), MessagesError> {
    let tools = match tools {
        None | Some(Value::Null) => &[],
        Some(Value::Array(tools)) => tools.as_slice(),
        Some(_) => return Err(MessagesError::new("tools", "this must be a list")),
    };
    let (mut functions, mut hosted) = (Vec::new(), Vec::new());
    for (at, tool) in tools.iter().enumerate() {
        match tool["type"].as_str() {
            None | Some("custom") => {
                let Some(name) = tool["name"].as_str() else {
                    return Err(MessagesError::new(format!("tools.{at}.name"), "a tool needs a name"));
                };
                let mut function = json!({ "name": name });
                for (from, to) in [("description", "description"), ("input_schema", "parameters"), ("strict", "strict")]
                {
                    if !tool[from].is_null() {
                        function[to] = tool[from].clone();
                    }
                }
                functions.push(json!({ "type": "function", "function": function }));
            }
            Some(kind) => match HostedTool::read(tool) {
                Some(tool) => asked_once(&mut hosted, tool),
                None => {
                    let reason =
                        format!("the tool type {kind:?} is not one that Owl has: it has web_search and web_fetch");
                    return Err(MessagesError::new(format!("tools.{at}.type"), reason));
                }
            },
        }
    }
    Ok((functions, hosted))
}

fn settings(
    request: &Map<String, Value>,
    functions: Vec<Value>,
    body: &mut Map<String, Value>,
) -> Result<(), MessagesError> {
    let set = |key: &str| request.get(key).filter(|value| !value.is_null());
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    if !functions.is_empty() {
        put("tools", functions.into());
    }
    if let Some(choice) = set("tool_choice") {
        let chosen = match choice["type"].as_str() {
            Some("auto") => "auto".into(),
            Some("any") => "required".into(),
            Some("none") => "none".into(),
            Some("tool") => json!({ "type": "function", "function": { "name": choice["name"] } }),
            Some(_) | None => {
                return Err(MessagesError::new("tool_choice.type", "this must be `auto`, `any`, `tool` or `none`"));
            }
        };
        put("tool_choice", chosen);
        if choice["disable_parallel_tool_use"] == true {
            put("parallel_tool_calls", false.into());
        }
    }
    if let Some(most) = set("max_tokens") {
        put("max_tokens", most.clone());
    }
    if let Some(stops) = set("stop_sequences") {
        put("stop", stops.clone());
    }
    if let Some(user) = set("metadata").and_then(|metadata| metadata["user_id"].as_str()) {
        put("user", user.into());
    }
    if let Some(effort) = set("output_config").map(|config| &config["effort"]).filter(|effort| !effort.is_null()) {
        put("reasoning_effort", effort.clone());
    }
    let format = set("output_format").or_else(|| set("output_config").map(|config| &config["format"]));
    if let Some(format) = format.filter(|format| format["type"] == "json_schema") {
        let schema = json!({ "name": "output", "schema": format["schema"], "strict": true });
        put("response_format", json!({ "type": "json_schema", "json_schema": schema }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: &Value) -> Result<MessagesRequest, MessagesError> {
        MessagesRequest::read(request.as_object().cloned().unwrap_or_default())
    }

    /// The request's shapes as Claude Code sends them: see the files.
    #[test]
    fn what_claude_code_sends() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages");
        let mut names: Vec<_> =
            std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
        names.sort();
        assert!(names.len() >= 5);
        for path in names {
            let request: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
            let read = read(&request).expect("right");
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let shown = json!({ "body": read.body, "hosted": format!("{:?}", read.hosted), "stream": read.stream });
            insta::assert_snapshot!(name, serde_json::to_string_pretty(&shown).expect("JSON"));
        }
    }

    #[test]
    fn what_has_no_place_is_named() {
        let check = |request: Value, path: &str| {
            assert_eq!(read(&request).err().map(|error| error.path).as_deref(), Some(path), "{request}");
        };
        let turn = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
        check(json!({}), "messages");
        check(json!({ "messages": [1] }), "messages.0.role");
        check(json!({ "messages": [{ "role": "tool", "content": "" }] }), "messages.0.role");
        check(turn(json!(1)), "messages.0.content");
        check(turn(json!([{ "type": "video" }])), "messages.0.content.0.type");
        check(turn(json!([{ "type": "text" }])), "messages.0.content.0.text");
        check(
            turn(json!([{ "type": "image", "source": { "type": "file", "file_id": "f" } }])),
            "messages.0.content.0.source.type",
        );
        check(
            turn(json!([{ "type": "document", "source": { "type": "content" } }])),
            "messages.0.content.0.source.type",
        );
        check(turn(json!([{ "type": "tool_result" }])), "messages.0.content.0.tool_use_id");
        check(
            json!({ "messages": [{ "role": "assistant", "content": [{ "type": "tool_use" }] }] }),
            "messages.0.content.0.id",
        );
        check(json!({ "messages": [], "system": 1 }), "system");
        check(json!({ "messages": [], "tools": 1 }), "tools");
        check(json!({ "messages": [], "tools": [{}] }), "tools.0.name");
        check(json!({ "messages": [], "tools": [{ "type": "bash_20250124", "name": "bash" }] }), "tools.0.type");
        check(json!({ "messages": [], "tool_choice": { "type": "all" } }), "tool_choice.type");
        check(json!({ "messages": [], "mcp_servers": [{}] }), "mcp_servers");
    }
}
