//! Errors as OpenAI clients know them: written for Owl's own, and recognised in what an upstream says.

use serde::Serialize;
use serde_json::Value;

/// An error that Owl answers with: `{"error":{"message":…,"type":…,"param":…,"code":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// What happened, where, and what to do.
    pub message: String,
    /// The kind of error, as clients map it to an exception: `invalid_request_error`, `upstream_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The parameter at fault; `null` when there is none.
    pub param: Option<String>,
    /// The stable code.
    pub code: Option<String>,
}

impl ErrorBody {
    /// An answer that ended without an end.
    pub fn broke_off() -> Self {
        Self {
            message: "the answer broke off".to_owned(),
            kind: "server_error".to_owned(),
            param: None,
            code: Some("internal_error".to_owned()),
        }
    }

    /// The whole body, as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ErrorBody,
        }
        serde_json::to_vec(&Envelope { error: self }).expect("strings always have a JSON form")
    }
}

/// An error as an upstream tells it, in a body of its own or inside a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// What it says.
    pub message: String,
    /// Its `type`.
    pub kind: Option<String>,
    /// Its `code`, as text if it is a number.
    pub code: Option<String>,
}

impl UpstreamError {
    /// Reads the error out of a body, if it is one: OpenAI's `{"error":…}`, vLLM's `{"object":"error","message":…}`,
    /// FastAPI's `{"detail":…}`.
    pub fn read(body: &[u8]) -> Option<Self> {
        Self::from_value(&serde_json::from_slice(body).ok()?)
    }

    /// The same of a body that is read already.
    pub fn from_value(body: &Value) -> Option<Self> {
        let known = |key: &str| body.get(key).filter(|value| !value.is_null());
        let error = match known("error") {
            Some(error) => error,
            None if body.get("object").and_then(Value::as_str) == Some("error") && known("message").is_some() => body,
            None => return known("detail").map(|detail| Self { message: text(detail), ..Self::default() }),
        };
        let field = |key: &str| error.get(key).filter(|value| !value.is_null()).map(text);
        let message = field("message").unwrap_or_else(|| text(error));
        Some(Self { message, kind: field("type"), code: field("code") })
    }
}

/// A string's value; of anything else its JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_that_clients_know() {
        let error = ErrorBody {
            message: "no \"such\" model".into(),
            kind: "invalid_request_error".into(),
            param: Some("model".into()),
            code: None,
        };
        let expect =
            r#"{"error":{"message":"no \"such\" model","type":"invalid_request_error","param":"model","code":null}}"#;
        assert_eq!(String::from_utf8(error.to_bytes()).as_deref(), Ok(expect));
    }

    #[test]
    fn upstream_errors() {
        let check = |body: &str, expect: Option<(&str, Option<&str>, Option<&str>)>| {
            let seen = UpstreamError::read(body.as_bytes());
            let expect = expect.map(|(message, kind, code)| UpstreamError {
                message: message.into(),
                kind: kind.map(String::from),
                code: code.map(String::from),
            });
            assert_eq!(seen, expect, "{body}");
        };
        check(r#"{"error":{"message":"m","type":"t","code":404}}"#, Some(("m", Some("t"), Some("404"))));
        check(r#"{"error":"m","error_type":"validation"}"#, Some(("m", None, None)));
        check(r#"{"object":"error","message":"m","type":"t","code":400}"#, Some(("m", Some("t"), Some("400"))));
        check(r#"{"detail":"Not Found"}"#, Some(("Not Found", None, None)));
        check(r#"{"detail":[{"loc":["body"]}]}"#, Some((r#"[{"loc":["body"]}]"#, None, None)));
        check(r#"{"error":null,"choices":[]}"#, None);
        check(r#"{"object":"list","message":"m"}"#, None);
        check("<html>", None);
        check(r#"["error"]"#, None);
        check("", None);
    }
}
