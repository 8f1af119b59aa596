//! Tools, results and errors as JSON: the same for every door that speaks JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Content, Definition, ToolError, ToolResult};

/// One tool as a list of tools has it.
pub fn definition(definition: &Definition) -> Value {
    let Definition { name, aliases, title, description, parameters, result } = definition;
    let mut described = json!({
        "name": name, "title": title, "description": description, "parameters": parameters, "result": result,
    });
    if !aliases.is_empty() {
        described["aliases"] = json!(aliases);
    }
    described
}

/// What a call came to: `{ ok: true, result }`, or `{ ok: false, error }` without what is for the operator alone.
pub fn outcome(outcome: &Result<ToolResult, ToolError>) -> Value {
    match outcome {
        Ok(result) => json!({ "ok": true, "result": self::result(result) }),
        Err(error) => json!({ "ok": false, "error": self::error(error) }),
    }
}

fn result(result: &ToolResult) -> Value {
    let content = |piece: &Content| match piece {
        Content::Text(text) => json!({ "type": "text", "text": text }),
        Content::Picture { data, media_type } => {
            json!({ "type": "image", "data": BASE64.encode(data), "mimeType": media_type })
        }
    };
    json!({ "content": result.content.iter().map(content).collect::<Vec<_>>(), "details": result.details })
}

fn error(error: &ToolError) -> Value {
    let mut told = json!({ "type": error.fault.kind(), "code": error.code, "message": error.message });
    if let Some(hint) = &error.hint {
        told["hint"] = hint.as_str().into();
    }
    told
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::tools::ToolFault;

    #[test]
    fn both_outcomes() {
        let picture = Content::Picture { data: Bytes::from_static(b"abc"), media_type: "image/png" };
        let right = ToolResult { content: vec![Content::Text("t".to_owned()), picture], details: json!({ "a": 1 }) };
        let expect = json!({ "ok": true, "result": {
            "content": [
                { "type": "text", "text": "t" }, { "type": "image", "data": "YWJj", "mimeType": "image/png" },
            ],
            "details": { "a": 1 },
        } });
        assert_eq!(outcome(&Ok(right)), expect);
        let mut wrong = ToolError::new(ToolFault::Refused, "url_refused", "no").hint("another");
        wrong.for_operator = Some("10.1.2.3".to_owned());
        let expect = json!({ "ok": false, "error": {
            "type": "invalid_request_error", "code": "url_refused", "message": "no", "hint": "another",
        } });
        assert_eq!(outcome(&Err(wrong)), expect);
    }
}
