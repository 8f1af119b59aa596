//! `GET /tools` and `POST /tools/invoke`: what they say, every way to fail, and who may ask.

use std::sync::Arc;

use owl_testkit::Client;
use owl_testkit::client::RawResponse;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::web::{Answer, WebServer};
use serde_json::{Value, json};

use crate::scripted::{FAULTS, Scripted, check_secrecy};
use crate::support::{Owl, Program, Records, run, with_gateway};

/// Nobody is asked there.
const NOWHERE: &str = "http://127.0.0.1:6999/v1";

async fn start(gateway: &str) -> (Owl, Arc<Scripted>) {
    let tool = Scripted::new();
    let owl = Owl::start_with_tools(&with_gateway(NOWHERE, gateway), [Arc::clone(&tool) as _]).await;
    (owl, tool)
}

/// Checks an error as `/tools` writes it.
#[track_caller]
fn check_error(answer: &RawResponse, status: u16, code: &str, part: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{body}");
    assert!(answer.header("x-request-id").is_some(), "{body}");
    assert_eq!(body["ok"], false, "{body}");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["type"].is_string(), "{body}");
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains(part), "{part:?} is not in: {message}");
    check_secrecy(&body);
}

#[test]
fn tools_are_listed_and_called() {
    run(async {
        let (owl, _) = start("").await;
        let listed = owl.get("/tools", &[]).await;
        assert_eq!(listed.status, 200);
        let tool = &listed.json()["tools"][0];
        assert_eq!((&tool["name"], &tool["title"]), (&json!("scripted"), &json!("Scripted")));
        assert_eq!(tool["aliases"], json!(["scripted_tool"]));
        assert_eq!(tool["parameters"]["properties"]["say"]["type"], "string");
        assert_eq!(tool["result"]["required"], json!(["said", "key"]));
        for name in ["scripted", "scripted_tool"] {
            let body = json!({ "tool": name, "args": { "say": "hu", "picture": true } }).to_string();
            let answer = owl.post("/tools/invoke", &["X-Request-Id: tools-1"], &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-request-id"), Some("tools-1"));
            // A picture is for those who said that they see.
            let expect = json!({
                "ok": true,
                "result": { "content": [{ "type": "text", "text": "hu" }], "details": { "said": "hu", "key": "local" } },
            });
            assert_eq!(answer.json(), expect);
        }
        let record = Records::of("tools-1").await;
        assert_eq!((record["tool"].as_str(), record["outcome"].as_str()), ("scripted", "done"));
        assert_eq!(record["path"], "/tools/invoke");
        for body in [r#"{"tool":"scripted"}"#, r#"{"tool":"scripted","args":null}"#, r#"{"tool":"scripted","args":{}}"#]
        {
            assert_eq!(owl.post("/tools/invoke", &[], body).await.json()["result"]["details"]["said"], "");
        }
    });
}

#[test]
fn every_fault_has_its_status() {
    run(async {
        let (owl, _) = start("").await;
        let statuses = [404, 400, 403, 429, 502, 504, 501, 500];
        for ((name, fault), status) in FAULTS.into_iter().zip(statuses) {
            let body = json!({ "tool": "scripted", "args": { "fail": name } }).to_string();
            let id = format!("tools-{name}");
            let answer = owl.post("/tools/invoke", &[&format!("X-Request-Id: {id}")], &body).await;
            check_error(&answer, status, "scripted_failure", &format!("scripted: {name}"));
            assert_eq!(answer.json()["error"]["type"], fault.kind());
            assert_eq!(answer.header("retry-after"), (status == 429).then_some("7"));
            let hint = answer.json()["error"].get("hint").cloned();
            assert_eq!(hint, (status == 403).then(|| json!("ask the operator")));
            let record = Records::of(&id).await;
            assert_eq!(record["code"], "scripted_failure");
            let refused = fault.kind() == "invalid_request_error";
            assert_eq!(record["outcome"], if refused { "refused" } else { "upstream_failed" });
        }
        let answer = owl.post("/tools/invoke", &[], r#"{"tool":"bash","args":{}}"#).await;
        check_error(&answer, 404, "tool_not_found", "there are: scripted");
    });
}

#[test]
fn a_body_says_one_thing() {
    run(async {
        let (owl, tool) = start("limits: { requestBody: \"1KiB\" }").await;
        for (body, part) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("[]", "invalid"),
            ("{}", "missing field `tool`"),
            (r#"{"tool":5}"#, "expected a string"),
            (r#"{"tool":"scripted","args":[]}"#, "an object with the tool's arguments"),
            (r#"{"tool":"scripted","args":"{}"}"#, "an object with the tool's arguments"),
            (r#"{"tool":"scripted","arguments":{}}"#, "unknown field `arguments`"),
            (r#"{"tool":"scripted","tool":"scripted"}"#, "duplicate field `tool`"),
            (r#"{"tool":"scripted","args":{},"args":{}}"#, "duplicate field `args`"),
            (r#"{"tool":"scripted","args":{"say":"a","say":"b"}}"#, "\"say\" is there twice"),
            (r#"{"tool":"scripted"} x"#, "trailing"),
            ("{\"tool\":\"\u{0}\"}", "control character"),
        ] {
            check_error(&owl.post("/tools/invoke", &[], body).await, 400, "invalid_body", part);
        }
        let deep = format!(r#"{{"tool":"scripted","args":{{"say":{}1{}}}}}"#, "[".repeat(300), "]".repeat(300));
        check_error(&owl.post("/tools/invoke", &[], &deep).await, 400, "invalid_body", "recursion limit");
        let large = json!({ "tool": "scripted", "args": { "say": "x".repeat(1100) } }).to_string();
        check_error(&owl.post("/tools/invoke", &[], &large).await, 413, "body_too_large", "requestBody");
        assert_eq!(tool.calls(), 0);
    });
}

#[test]
fn a_path_knows_its_methods() {
    run(async {
        let (owl, _) = start("").await;
        let answer = owl.post("/tools", &[], "{}").await;
        check_error(&answer, 405, "method_refused", "GET");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        let answer = owl.get("/tools/invoke", &[]).await;
        check_error(&answer, 405, "method_refused", "POST");
        assert_eq!(answer.header("allow"), Some("POST"));
        assert_eq!(owl.get("/tools/", &[]).await.json()["error"]["code"], "unknown_url");
    });
}

#[test]
fn whoever_may_not_ask_calls_no_tool() {
    run(async {
        let call = r#"{"tool":"scripted","args":{"say":"hu"}}"#;
        let (owl, tool) = start(r#"keys: [{ name: "ci", key: "right-key" }]"#).await;
        for headers in [&[][..], &["Authorization: Bearer wrong"]] {
            check_error(&owl.post("/tools/invoke", headers, call).await, 401, "invalid_api_key", "gateway.keys");
            check_error(&owl.get("/tools", headers).await, 401, "invalid_api_key", "gateway.keys");
        }
        let answer = owl.post("/tools/invoke", &["Authorization: Bearer right-key"], call).await;
        assert_eq!(answer.json()["result"]["details"]["key"], "ci");
        assert_eq!(tool.calls(), 1);

        let (owl, tool) = start("").await;
        let page = ["Origin: https://evil.example"];
        check_error(&owl.post("/tools/invoke", &page, call).await, 403, "cross_origin_refused", "gateway.cors.origins");
        assert_eq!(tool.calls(), 0);
        // A page of the listener's own may ask.
        let own = format!("Origin: http://{}", owl.address());
        assert_eq!(owl.post("/tools/invoke", &[&own], call).await.status, 200);
    });
}

#[test]
fn a_client_that_hangs_up_ends_the_call() {
    run(async {
        let (owl, tool) = start("").await;
        let mut client: Client = owl.client().await;
        let call = br#"{"tool":"scripted","args":{"wait":true}}"#;
        client.request("POST", "/tools/invoke", &["X-Request-Id: tools-gone"], call).await.unwrap();
        tool.begun(1).await;
        drop(client);
        tool.ended(1).await;
        assert_eq!(Records::of("tools-gone").await["outcome"], "client_gone");
    });
}

/// What a program's tool answers through one door: the code of its error, if it failed.
async fn code_through(door: &str, client: &mut Client, id: &str, tool: &str, arguments: &Value) -> Option<String> {
    let id = format!("X-Request-Id: {id}");
    let code = if door == "/mcp" {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let named = format!("Mcp-Name: {tool}");
        let headers = [
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: tools/call",
            &named,
            &id,
        ];
        let answer = client.post("/mcp", &headers, &body).await.unwrap();
        let text = answer.text();
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or(&text);
        serde_json::from_str::<Value>(last).unwrap()["result"]["_meta"]["owl/error"]["code"].clone()
    } else {
        let body = json!({ "tool": tool, "args": arguments }).to_string();
        client.post("/tools/invoke", &[&id], &body).await.unwrap().json()["error"]["code"].clone()
    };
    code.as_str().map(str::to_owned)
}

#[test]
fn what_is_private_is_refused_opened_by_the_tools_own_key_and_remembered() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let provider = format!(
            "models: {{ providers: {{ owl: {{ baseUrl: {:?}, allowPrivateNetwork: true }} }} }}",
            server.base_url()
        );
        let web = WebServer::start();
        for path in ["/text-0", "/text-1"] {
            web.on(path, Answer::ok("owls").header("Content-Type", "text/plain"));
        }
        web.on("/picture", Answer::ok(crate::image::bmp(4, 4)));
        let picture = json!({ "prompt": "?", "image": format!("{}/picture", web.origin()) });
        // Nothing is open; one is; the other is. What is open for one is open for no other.
        for (fetch, image, open) in
            [("", "", ""), ("allowPrivateNetwork: true", "", "web_fetch"), ("", "allowPrivateNetwork: true,", "image")]
        {
            let tools =
                format!("tools: {{ web: {{ fetch: {{ {fetch} }} }}, image: {{ {image} model: \"owl/tiny-chat\" }} }}");
            let mut program = Program::serve(&format!("{{ {tools}, {provider} }}"));
            let mut client = Client::connect(program.address().await).await.unwrap();
            for (nth, door) in ["/tools/invoke", "/mcp"].into_iter().enumerate() {
                // A page of its own for each door: a second call would be answered from memory, without a connection.
                let page = json!({ "url": format!("{}/text-{nth}", web.origin()) });
                for (tool, arguments) in [("web_fetch", &page), ("image", &picture)] {
                    let id = format!("private-{nth}-{tool}");
                    let code = code_through(door, &mut client, &id, tool, arguments).await;
                    let (expect, word) = if tool == open {
                        (None, "private address opened")
                    } else {
                        (Some("url_refused"), "refused by the egress policy")
                    };
                    assert_eq!(code.as_deref(), expect, "{tools} {door} {tool}");
                    let component = format!("tool {tool}");
                    let told = |line: &str| {
                        let all = [word, &id, &component, "owl::audit"];
                        all.iter().all(|part| line.contains(part)).then_some(())
                    };
                    program.line(told).await;
                }
            }
        }
        // An engine's address is the operator's: what is not opened for it stops the start.
        let search = format!("web: {{ search: {{ engine: \"searxng\", baseUrl: {:?} }} }}", web.origin());
        let provider =
            r#"models: { providers: { owl: { baseUrl: "http://127.0.0.1:6999", allowPrivateNetwork: true } } }"#;
        let ended = Program::serve(&format!("{{ tools: {{ {search} }}, {provider} }}")).ended().await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("tools.web.search"), "{ended:?}");
        assert!(ended.stderr.contains("allowPrivateNetwork") || ended.stderr.contains("allowHosts"), "{ended:?}");
    });
}

#[test]
fn every_code_of_a_tool_is_listed_and_documented() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let docs = std::fs::read_to_string(source.join("../../../docs/errors.md")).expect("docs/errors.md");
    let known = |code: &str| owl::tools::TOOL_CODES.iter().find(|known| known.code == code);
    let mut named = 0;
    for (file, text) in sources(&source, &["tools", "gateway"]) {
        // `ToolError::new(fault, "search_timeout"`, and `(ToolFault::Timeout, "search_timeout")`.
        for said in ["ToolError::new(", "ToolFault::"].iter().flat_map(|word| text.split(word).skip(1)) {
            let Some((fault, code)) = fault_and_code(said) else { continue };
            let row = known(code);
            let row = row.unwrap_or_else(|| panic!("{file}: TOOL_CODES in tools/error.rs has no row for {code:?}"));
            let blames = row.faults.iter().any(|one| format!("{one:?}") == fault);
            assert!(
                blames || fault.chars().next().is_some_and(char::is_lowercase),
                "{file}: TOOL_CODES does not say that {code:?} may be of {fault}"
            );
            named += 1;
        }
    }
    assert!(named >= 2, "the sources are not read right");
    let web = std::fs::read_to_string(source.join("../../owl-egress/src/web/error.rs")).expect("readable");
    let all: String = sources(&source, &["tools", "gateway"]).into_iter().map(|(_, text)| text).collect();
    for known in owl::tools::TOOL_CODES {
        // Once in the list itself.
        let said = all.matches(&format!("\"{}\"", known.code)).count() > 1;
        assert!(said || web.contains(&format!("\"{}\"", known.code)), "nothing gives the code {:?}", known.code);
    }
    let rows: Vec<&str> = docs
        .lines()
        .skip_while(|line| !line.starts_with("| tool code |"))
        .take_while(|line| line.starts_with('|'))
        .filter(|line| line.starts_with("| `"))
        .collect();
    for known in owl::tools::TOOL_CODES {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{}` |", known.code)));
        let row = row.unwrap_or_else(|| panic!("docs/errors.md has no row for `{}` ({})", known.code, known.meaning));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let mut statuses: Vec<u16> =
            known.faults.iter().map(|fault| owl::server::tools::status(*fault).as_u16()).collect();
        statuses.sort_unstable();
        let statuses: Vec<String> = statuses.iter().map(ToString::to_string).collect();
        assert_eq!(cells[2], statuses.join(", "), "docs/errors.md: the statuses of `{}`", known.code);
        for fault in known.faults {
            assert!(cells[3].contains(fault.kind()), "docs/errors.md: `{}` has type {}", known.code, fault.kind());
        }
    }
    for row in &rows {
        let code = row.trim_start_matches("| `").split('`').next().unwrap_or_default();
        let known = owl::tools::TOOL_CODES.iter().any(|known| known.code == code);
        assert!(known, "docs/errors.md: no tool has a code `{code}`");
    }
}

/// Of `ToolFault::Timeout, "search_timeout"` and what follows, with or without the first word: `Timeout`, `search_timeout`.
fn fault_and_code(said: &str) -> Option<(&str, &str)> {
    let (fault, rest) = said.split_once(',')?;
    let fault = fault.trim().trim_start_matches("ToolFault::");
    let (code, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let is_name =
        |text: &str, more: char| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == more);
    (is_name(fault, '_') && is_name(code, '_')).then_some((fault, code))
}

fn sources(root: &std::path::Path, modules: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<std::path::PathBuf> = modules.iter().map(|module| root.join(module)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path.display().to_string(), text));
            }
        }
    }
    found
}
