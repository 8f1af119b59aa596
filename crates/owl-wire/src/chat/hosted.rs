//! The tools of the server's in a request for a chat completion.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::hosted::HostedTool;

/// Whether the body of a chat completion asks for tools of the server's. Most bodies are told by a search for their names; no tree is
/// built of more than `tools`.
pub fn asks_for_hosted(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Tools {
        #[serde(default)]
        tools: Option<Vec<Value>>,
    }
    let named = [&b"\"web_search"[..], b"\"web_fetch\"", b"\"image\""];
    if !named.iter().any(|name| memchr::memmem::find(body, name).is_some()) {
        return false;
    }
    let tools = serde_json::from_slice::<Tools>(body).ok().and_then(|body| body.tools).unwrap_or_default();
    tools.iter().any(|tool| HostedTool::read(tool).is_some())
}

/// Takes the tools of the server's out of `tools`; every other entry stays as it is.
pub fn take_hosted(body: &mut Map<String, Value>) -> Vec<HostedTool> {
    let Some(Value::Array(tools)) = body.get_mut("tools") else { return Vec::new() };
    let mut hosted = Vec::new();
    tools.retain(|tool| match HostedTool::read(tool) {
        Some(tool) => {
            asked_once(&mut hosted, tool);
            false
        }
        None => true,
    });
    if tools.is_empty() {
        body.shift_remove("tools");
    }
    hosted
}

/// A tool that is asked for twice is meant once, as it was asked for first.
pub(crate) fn asked_once(hosted: &mut Vec<HostedTool>, tool: HostedTool) {
    if !hosted.iter().any(|known| known.name == tool.name) {
        hosted.push(tool);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_entries_of_tools_count() {
        let check = |body: &str, expect: bool| assert_eq!(asks_for_hosted(body.as_bytes()), expect, "{body}");
        check(r#"{"tools":[{"type":"web_search"}]}"#, true);
        check(r#"{"tools":[{"type":"function","function":{"name":"f"}},{"type":"web_search_preview"}]}"#, true);
        check(r#"{"tools":[{"type":"web_fetch"}],"messages":[]}"#, true);
        check(r#"{"tools":[{"type":"image"}]}"#, true);
        check(r#"{"tools":[{"type":"function","function":{"name":"web_search"}}]}"#, false);
        check(r#"{"messages":[{"role":"user","content":"\"web_search"}]}"#, false);
        check(r#"{"tools":"web_search"}"#, false);
        check(r#"{"tools":[{"type":"web_searching"}]}"#, false);
        check(r#"{"tools":null,"x":"web_search"}"#, false);
        check("\"web_search", false);
    }

    #[test]
    fn what_is_not_owls_stays() {
        let body = json!({ "a": 1, "tools": [{ "type": "web_search" }, { "type": "file_search" }], "b": 2 });
        let mut body = body.as_object().cloned().unwrap_or_default();
        assert_eq!(take_hosted(&mut body), [HostedTool::new("web_search")]);
        assert_eq!(Value::from(body).to_string(), r#"{"a":1,"tools":[{"type":"file_search"}],"b":2}"#);
        let mut only = json!({ "tools": [{ "type": "image" }] }).as_object().cloned().unwrap_or_default();
        assert_eq!((take_hosted(&mut only).len(), only.len()), (1, 0));
    }
}
