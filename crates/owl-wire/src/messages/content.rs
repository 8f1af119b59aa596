//! Turns and their content blocks, as messages of a chat completion.

use serde_json::{Map, Value, json};

use super::request::MessagesError;

/// The system message, if there is one.
pub(super) fn system(system: Option<&Value>) -> Result<Option<Value>, MessagesError> {
    let text = match system {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n\n")
        }
        Some(_) => return Err(MessagesError::new("system", "this must be a text or a list of text blocks")),
    };
    Ok((!text.is_empty()).then(|| json!({ "role": "system", "content": text })))
}

/// Appends the messages that a turn is: a user's may hold results of tools, which are messages of their own and stand first, right
/// behind the calls that they answer.
pub(super) fn turn(turn: &Value, path: &str, messages: &mut Vec<Value>) -> Result<(), MessagesError> {
    let role = turn["role"].as_str().unwrap_or_default();
    let blocks = match &turn["content"] {
        text @ Value::String(_) if matches!(role, "user" | "assistant" | "system") => {
            messages.push(json!({ "role": role, "content": text }));
            return Ok(());
        }
        Value::Array(blocks) => blocks.as_slice(),
        Value::String(_) => &[],
        _ if matches!(role, "user" | "assistant" | "system") => {
            return Err(MessagesError::new(format!("{path}.content"), "this must be a text or a list of blocks"));
        }
        _ => &[],
    };
    match role {
        "user" => user(blocks, path, messages),
        "assistant" => assistant(blocks, path, messages),
        "system" => {
            messages.extend(system(Some(&turn["content"]))?);
            Ok(())
        }
        _ => Err(MessagesError::new(format!("{path}.role"), "this must be `user` or `assistant`")),
    }
}

fn user(blocks: &[Value], path: &str, messages: &mut Vec<Value>) -> Result<(), MessagesError> {
    let mut parts = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        let path = format!("{path}.content.{at}");
        if block["type"] == "tool_result" {
            let (message, pictures) = tool_result(block, &path)?;
            messages.push(message);
            // A result is a text to most servers; pictures in it are shown behind it.
            parts.extend(pictures);
        } else {
            parts.push(part(block, &path)?);
        }
    }
    if !parts.is_empty() {
        messages.push(json!({ "role": "user", "content": plain(parts) }));
    }
    Ok(())
}

/// A list of texts alone is one text, which every server takes.
fn plain(parts: Vec<Value>) -> Value {
    if parts.iter().all(|part| part["type"] == "text") {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
        return texts.join("\n\n").into();
    }
    parts.into()
}

fn tool_result(block: &Value, path: &str) -> Result<(Value, Vec<Value>), MessagesError> {
    let Some(id) = block["tool_use_id"].as_str() else {
        return Err(MessagesError::new(format!("{path}.tool_use_id"), "this must be the id of a call"));
    };
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    match &block["content"] {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(blocks) => {
            for (at, one) in blocks.iter().enumerate() {
                let part = part(one, &format!("{path}.content.{at}"))?;
                match part["text"].as_str() {
                    Some(text) => texts.push(text.to_owned()),
                    None => pictures.push(part),
                }
            }
        }
        Value::Null => {}
        _ => return Err(MessagesError::new(format!("{path}.content"), "this must be a text or a list of blocks")),
    }
    let mut text = texts.join("\n\n");
    if block["is_error"] == true {
        text = format!("Error: {text}");
    } else if text.is_empty() && !pictures.is_empty() {
        "(what it gave is shown below)".clone_into(&mut text);
    }
    Ok((json!({ "role": "tool", "tool_call_id": id, "content": text }), pictures))
}

/// A block of a user's, as a part.
fn part(block: &Value, path: &str) -> Result<Value, MessagesError> {
    let text = |text: &Value, key: &str| {
        let text = text.as_str().ok_or_else(|| MessagesError::new(format!("{path}.{key}"), "this must be a text"))?;
        Ok(json!({ "type": "text", "text": text }))
    };
    match block["type"].as_str() {
        Some("text") => text(&block["text"], "text"),
        Some("image") => Ok(json!({ "type": "image_url", "image_url": { "url": source(&block["source"], path)? } })),
        Some("document") => document(block, path),
        Some("search_result") => {
            let said = block["content"].as_array().map(Vec::as_slice).unwrap_or_default();
            let texts: Vec<&str> = said.iter().filter_map(|one| one["text"].as_str()).collect();
            let [title, from] = ["title", "source"].map(|key| block[key].as_str().unwrap_or_default());
            text(&format!("{title}\n{from}\n{}", texts.join("\n")).into(), "content")
        }
        Some("tool_reference") => text(&block["tool_name"], "tool_name"),
        other => {
            let reason = format!("the block type {:?} cannot be said in a chat completion", other.unwrap_or_default());
            Err(MessagesError::new(format!("{path}.type"), reason))
        }
    }
}

/// A picture or a document by its source, as a URL.
fn source(source: &Value, path: &str) -> Result<String, MessagesError> {
    match source["type"].as_str() {
        Some("base64") => {
            let [media, data] = ["media_type", "data"].map(|key| source[key].as_str().unwrap_or_default());
            Ok(format!("data:{media};base64,{data}"))
        }
        Some("url") => Ok(source["url"].as_str().unwrap_or_default().to_owned()),
        Some(_) | None => {
            let reason = "this must be `base64` or `url`: files are not kept here";
            Err(MessagesError::new(format!("{path}.source.type"), reason))
        }
    }
}

fn document(block: &Value, path: &str) -> Result<Value, MessagesError> {
    let described = &block["source"];
    if described["type"] == "text" {
        let [title, text] =
            [&block["title"], &described["data"]].map(|value| value.as_str().unwrap_or_default().to_owned());
        let text = if title.is_empty() { text } else { format!("{title}\n\n{text}") };
        return Ok(json!({ "type": "text", "text": text }));
    }
    let mut file = Map::new();
    file.insert("file_data".to_owned(), source(described, path)?.into());
    let name = block["title"].as_str().unwrap_or("document.pdf");
    file.insert("filename".to_owned(), name.into());
    Ok(json!({ "type": "file", "file": file }))
}

fn assistant(blocks: &[Value], path: &str, messages: &mut Vec<Value>) -> Result<(), MessagesError> {
    let (mut texts, mut thought, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for (at, block) in blocks.iter().enumerate() {
        let field = |key: &str| {
            let reason = "this must be a text";
            block[key].as_str().ok_or_else(|| MessagesError::new(format!("{path}.content.{at}.{key}"), reason))
        };
        match block["type"].as_str() {
            Some("text") => texts.push(field("text")?),
            Some("thinking") => thought.push(field("thinking")?),
            Some("tool_use") => {
                let (id, name) = (field("id")?, field("name")?);
                let input = if block["input"].is_null() { json!({}) } else { block["input"].clone() };
                let function = json!({ "name": name, "arguments": input.to_string() });
                calls.push(json!({ "id": id, "type": "function", "function": function }));
            }
            // What the server's own tools did is in the text that followed, or comes back by the calls that stood beside them.
            Some("redacted_thinking" | "server_tool_use" | "web_search_tool_result" | "web_fetch_tool_result") => {}
            other => {
                let reason = format!("the block type {:?} cannot be said here", other.unwrap_or_default());
                return Err(MessagesError::new(format!("{path}.content.{at}.type"), reason));
            }
        }
    }
    let content = if texts.is_empty() { Value::Null } else { texts.concat().into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        if !thought.is_empty() {
            message["reasoning_content"] = thought.concat().into();
        }
        message["tool_calls"] = calls.into();
    } else if texts.is_empty() {
        message["content"] = "".into();
    }
    messages.push(message);
    Ok(())
}
