//! What self-hosted servers get wrong, as flags; and what is done to a request for the sake of them.
//!
//! What a decoder can see for itself (missing ids, arguments as objects, a stream without `[DONE]`) needs no flag and is always
//! put right ([`crate::turn`]).

use serde_json::{Map, Value};

/// How a server differs from what OpenAI's does. The default is one that does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compat {
    /// How calls of functions stand in the text, if they do.
    pub text_calls: TextCalls,
    /// How reasoning stands in the text, if it does.
    pub text_reasoning: TextReasoning,
    /// Whether the role `developer` is known; otherwise it becomes `system`.
    pub developer_role: bool,
    /// Whether a message's content may be a list of parts; otherwise lists of texts become one text.
    pub content_parts: bool,
    /// Which field bounds the answer's length.
    pub max_tokens: MaxTokens,
    /// Whether `stream_options` is known; otherwise it is left out.
    pub stream_options: bool,
    /// Keywords of JSON Schema that the server's grammar rejects, removed from schemas: `pattern`, `maxLength`.
    pub schema_without: Vec<String>,
}

impl Default for Compat {
    fn default() -> Self {
        Self {
            text_calls: TextCalls::Auto,
            text_reasoning: TextReasoning::Auto,
            developer_role: true,
            content_parts: true,
            max_tokens: MaxTokens::AsSent,
            stream_options: true,
            schema_without: Vec::new(),
        }
    }
}

/// Calls of functions that arrive as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextCalls {
    /// Recognised by their marks, when the request has tools and the call names one of them.
    #[default]
    Auto,
    /// Never looked for.
    Off,
    /// Hermes and Qwen: `<tool_call>{…}</tool_call>`.
    Hermes,
    /// Mistral: `[TOOL_CALLS]`.
    Mistral,
    /// Llama 3: `<|python_tag|>` and bare JSON.
    Llama,
}

/// Reasoning that arrives as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextReasoning {
    /// `<think>` at the very beginning of the text.
    #[default]
    Auto,
    /// Never looked for.
    Off,
    /// As `Auto`, and the text begins inside it: the server's template has written `<think>` already.
    Open,
}

/// The field that bounds the answer's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokens {
    /// The one that the client sent.
    #[default]
    AsSent,
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

impl Compat {
    /// Changes the body of a chat completion to what the server takes.
    pub fn adapt(&self, body: &mut Map<String, Value>) {
        if !self.stream_options {
            body.shift_remove("stream_options");
        }
        match self.max_tokens {
            MaxTokens::AsSent => {}
            MaxTokens::MaxTokens => rename(body, "max_completion_tokens", "max_tokens"),
            MaxTokens::MaxCompletionTokens => rename(body, "max_tokens", "max_completion_tokens"),
        }
        if let Some(Value::Array(messages)) = body.get_mut("messages") {
            messages.iter_mut().for_each(|message| self.adapt_message(message));
        }
        if self.schema_without.is_empty() {
            return;
        }
        if let Some(Value::Array(tools)) = body.get_mut("tools") {
            let schemas = tools.iter_mut().filter_map(|tool| tool.pointer_mut("/function/parameters"));
            schemas.for_each(|schema| self.adapt_schema(schema));
        }
        let format = body.get_mut("response_format");
        if let Some(schema) = format.and_then(|format| format.pointer_mut("/json_schema/schema")) {
            self.adapt_schema(schema);
        }
    }

    fn adapt_message(&self, message: &mut Value) {
        if !self.developer_role && message["role"] == "developer" {
            message["role"] = "system".into();
        }
        if !self.content_parts
            && let Some(parts) = message["content"].as_array()
            && parts.iter().all(|part| part["type"] == "text")
        {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            message["content"] = texts.join("\n").into();
        }
    }

    /// Removes the keywords from a schema and those in it. What stands under `properties` and its like are names, not keywords.
    fn adapt_schema(&self, schema: &mut Value) {
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            match schema {
                Value::Object(keywords) => {
                    keywords.retain(|keyword, _| !self.schema_without.contains(keyword));
                    for (keyword, value) in keywords {
                        match (keyword.as_str(), value) {
                            (
                                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                                Value::Object(named),
                            ) => {
                                open.extend(named.values_mut());
                            }
                            // Values, whatever they look like.
                            ("enum" | "const" | "default" | "examples" | "required", _) => {}
                            (_, value) => open.push(value),
                        }
                    }
                }
                Value::Array(schemas) => open.extend(schemas),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
}

/// Gives a member another name, unless that one is there.
fn rename(body: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = body.shift_remove(from) {
        body.entry(to).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn adapted(compat: &Compat, body: &Value) -> Value {
        let mut body = body.as_object().cloned().unwrap_or_default();
        compat.adapt(&mut body);
        body.into()
    }

    #[test]
    fn a_server_that_differs_in_nothing_gets_what_was_sent() {
        let body = json!({ "max_tokens": 1, "stream_options": {}, "messages": [{ "role": "developer", "content": [{ "type": "text", "text": "a" }] }],
            "tools": [{ "function": { "parameters": { "pattern": "x" } } }] });
        assert_eq!(adapted(&Compat::default(), &body), body);
    }

    #[test]
    fn every_flag() {
        let compat = Compat {
            developer_role: false,
            content_parts: false,
            max_tokens: MaxTokens::MaxTokens,
            stream_options: false,
            schema_without: vec!["pattern".to_owned(), "maxLength".to_owned()],
            ..Compat::default()
        };
        let picture = json!([{ "type": "text", "text": "a" }, { "type": "image_url" }]);
        let body = json!({
            "max_completion_tokens": 1, "stream_options": {}, "messages": [
                { "role": "developer", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
                { "role": "user", "content": picture },
            ],
            "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "properties": {
                "pattern": { "type": "string", "pattern": "^a", "maxLength": 5, "default": { "pattern": 1 } },
                "list": { "items": [{ "maxLength": 1, "minLength": 1 }] },
            } } } }],
            "response_format": { "type": "json_schema", "json_schema": { "schema": { "anyOf": [{ "pattern": "x" }] } } },
        });
        let expect = json!({
            "messages": [{ "role": "system", "content": "a\nb" }, { "role": "user", "content": picture }],
            "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "properties": {
                "pattern": { "type": "string", "default": { "pattern": 1 } }, "list": { "items": [{ "minLength": 1 }] },
            } } } }],
            "response_format": { "type": "json_schema", "json_schema": { "schema": { "anyOf": [{}] } } },
            "max_tokens": 1,
        });
        assert_eq!(adapted(&compat, &body), expect);
        let other = Compat { max_tokens: MaxTokens::MaxCompletionTokens, ..Compat::default() };
        assert_eq!(adapted(&other, &json!({ "max_tokens": 1 })), json!({ "max_completion_tokens": 1 }));
        assert_eq!(
            adapted(&other, &json!({ "max_tokens": 1, "max_completion_tokens": 2 })),
            json!({ "max_completion_tokens": 2 })
        );
    }
}
