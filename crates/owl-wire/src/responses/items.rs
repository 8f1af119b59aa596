//! Input items, as messages of a chat completion.

use serde_json::{Map, Value, json};

use super::request::RequestError;

/// The items of an input, each with a type and an id.
pub(super) fn normalised(input: &Value, response: &str) -> Result<Vec<Value>, RequestError> {
    let items = match input {
        Value::String(text) => vec![json!({ "role": "user", "content": [{ "type": "input_text", "text": text }] })],
        Value::Array(items) => items.clone(),
        Value::Null => return Err(RequestError::new("input", "this is missing: a text, or a list of items")),
        _ => return Err(RequestError::new("input", "this must be a text or a list of items")),
    };
    let base = response.rsplit('_').next().unwrap_or(response);
    let complete = |(at, item): (usize, Value)| {
        let Value::Object(mut item) = item else {
            return Err(RequestError::new(format!("input[{at}]"), "this must be an object"));
        };
        if item.get("type").is_none_or(Value::is_null) && item.contains_key("role") {
            item.shift_insert(0, "type".to_owned(), "message".into());
        }
        if item.get("id").is_none_or(Value::is_null) {
            item.insert("id".to_owned(), format!("{}_in{base}{at:04}", prefix(&item)).into());
        }
        Ok(Value::Object(item))
    };
    items.into_iter().enumerate().map(complete).collect()
}

fn prefix(item: &Map<String, Value>) -> &'static str {
    match item.get("type").and_then(Value::as_str) {
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        Some("reasoning") => "rs",
        Some("web_search_call") => "ws",
        Some(_) | None => "msg",
    }
}

/// The messages that items are. Calls belong to the message before them, as does what was thought.
pub(super) fn messages(items: &[Value]) -> Result<Vec<Value>, RequestError> {
    let mut messages: Vec<Value> = Vec::new();
    let mut thought = String::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("input[{at}]");
        match item["type"].as_str() {
            Some("message") => messages.push(message(item, &path)?),
            Some("function_call") => call(item, &path, &mut thought, &mut messages)?,
            Some("function_call_output") => messages.push(output(item, &path)?),
            Some("reasoning") => thought.push_str(&reasoning(item)),
            // What it found was never the client's to know; the answer that came of it is.
            Some("web_search_call") => {}
            Some("item_reference") => {
                let reason = "this item is not kept here; send it whole, or use `previous_response_id`";
                return Err(RequestError::new(path, reason));
            }
            Some(other) => {
                let reason = format!("items of the type {other:?} cannot be said in a chat completion");
                return Err(RequestError::new(format!("{path}.type"), reason));
            }
            None => return Err(RequestError::new(format!("{path}.type"), "an item needs a type, or a role")),
        }
    }
    Ok(messages)
}

fn message(item: &Value, path: &str) -> Result<Value, RequestError> {
    let Some(role @ ("user" | "assistant" | "system" | "developer")) = item["role"].as_str() else {
        let reason = "this must be `user`, `assistant`, `system` or `developer`";
        return Err(RequestError::new(format!("{path}.role"), reason));
    };
    let content = content(&item["content"], &format!("{path}.content"))?;
    Ok(json!({ "role": role, "content": content }))
}

/// A content: a text where there is nothing else, which every server takes.
fn content(content: &Value, path: &str) -> Result<Value, RequestError> {
    let parts = match content {
        Value::String(_) => return Ok(content.clone()),
        Value::Array(parts) => parts,
        _ => return Err(RequestError::new(path, "this must be a text or a list of parts")),
    };
    let is_text =
        |part: &Value| matches!(part["type"].as_str(), Some("input_text" | "output_text" | "text" | "refusal"));
    let parts: Vec<Value> = if parts.iter().all(is_text) {
        let mut whole = String::new();
        for (at, one) in parts.iter().enumerate() {
            let key = if one["type"] == "refusal" { "refusal" } else { "text" };
            let text = one[key].as_str();
            whole
                .push_str(text.ok_or_else(|| RequestError::new(format!("{path}[{at}].{key}"), "this must be a text"))?);
        }
        return Ok(whole.into());
    } else {
        parts.iter().enumerate().map(|(at, one)| part(one, &format!("{path}[{at}]"))).collect::<Result<_, _>>()?
    };
    Ok(parts.into())
}

fn part(part: &Value, path: &str) -> Result<Value, RequestError> {
    let no_file = || RequestError::new(format!("{path}.file_id"), "files are not kept here; send the data, or a URL");
    match part["type"].as_str() {
        Some("input_text" | "output_text" | "text") => Ok(json!({ "type": "text", "text": part["text"] })),
        Some("refusal") => Ok(json!({ "type": "text", "text": part["refusal"] })),
        Some("input_image") => {
            let Some(url) = part["image_url"].as_str() else { return Err(no_file()) };
            let mut image = json!({ "url": url });
            if !part["detail"].is_null() {
                image["detail"] = part["detail"].clone();
            }
            Ok(json!({ "type": "image_url", "image_url": image }))
        }
        Some("input_file") => {
            let mut file = Map::new();
            for (from, to) in [("file_data", "file_data"), ("file_url", "file_data"), ("filename", "filename")] {
                if let Some(value) = part.get(from).filter(|value| !value.is_null()) {
                    file.insert(to.to_owned(), value.clone());
                }
            }
            if !file.contains_key("file_data") {
                return Err(no_file());
            }
            Ok(json!({ "type": "file", "file": file }))
        }
        Some("input_audio") => Ok(json!({ "type": "input_audio", "input_audio": part["input_audio"] })),
        other => {
            let reason = format!("the part's type {:?} cannot be said in a chat completion", other.unwrap_or_default());
            Err(RequestError::new(format!("{path}.type"), reason))
        }
    }
}

fn call(item: &Value, path: &str, thought: &mut String, messages: &mut Vec<Value>) -> Result<(), RequestError> {
    let field =
        |key: &str| item[key].as_str().ok_or_else(|| RequestError::new(format!("{path}.{key}"), "this must be a text"));
    let function = json!({ "name": field("name")?, "arguments": field("arguments")? });
    let call = json!({ "id": field("call_id")?, "type": "function", "function": function });
    if messages.last().is_none_or(|last| last["role"] != "assistant") {
        messages.push(json!({ "role": "assistant", "content": null }));
    }
    if let Some(Value::Object(last)) = messages.last_mut() {
        if !thought.is_empty() {
            last.insert("reasoning_content".to_owned(), std::mem::take(thought).into());
        }
        let calls = last.entry("tool_calls").or_insert_with(|| json!([]));
        if let Value::Array(calls) = calls {
            calls.push(call);
        }
    }
    Ok(())
}

fn output(item: &Value, path: &str) -> Result<Value, RequestError> {
    let Some(id) = item["call_id"].as_str() else {
        return Err(RequestError::new(format!("{path}.call_id"), "this must be the id of a call"));
    };
    let content = content(&item["output"], &format!("{path}.output"))?;
    Ok(json!({ "role": "tool", "tool_call_id": id, "content": content }))
}

fn reasoning(item: &Value) -> String {
    let texts = |key: &str| {
        let parts = item[key].as_array().map(Vec::as_slice).unwrap_or_default();
        parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
    };
    let whole = texts("content");
    if whole.is_empty() { texts("summary") } else { whole }
}
