//! MCP on the wire: what the server says of itself, calls and their ends, who may ask, and the two transports.
//!
//! The official clients and the conformance suite are run by `tests/sdk`.

use std::sync::Arc;

use base64::Engine as _;
use owl_testkit::Client;
use owl_testkit::client::RawResponse;
use serde_json::{Value, json};

use crate::scripted::{PICTURE, Scripted, check_secrecy};
use crate::support::{McpProgram, Owl, Records, run, until_broken, with_gateway};

/// Nobody is asked there.
const NOWHERE: &str = "http://127.0.0.1:6999/v1";

const ACCEPT: &str = "Accept: application/json, text/event-stream";

async fn start(gateway: &str) -> (Owl, Arc<Scripted>) {
    let tool = Scripted::new();
    let owl = Owl::start_with_tools(&with_gateway(NOWHERE, gateway), [Arc::clone(&tool) as _]).await;
    (owl, tool)
}

fn initialize(version: &str) -> Value {
    let params = json!({
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "0" },
    });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

fn call(id: u32, tool: &str, arguments: &Value, token: Option<&str>) -> Value {
    let mut params = json!({ "name": tool, "arguments": arguments });
    if let Some(token) = token {
        params["_meta"] = json!({ "progressToken": token });
    }
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// The messages of an answer: one that is JSON, or those of an event stream.
fn messages(answer: &RawResponse) -> Vec<Value> {
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return vec![answer.json()];
    }
    let text = answer.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

/// A session with Owl.
struct Session {
    headers: Vec<String>,
}

impl Session {
    async fn open(owl: &Owl, headers: &[&str]) -> Self {
        let headers = [&[ACCEPT], headers].concat();
        let answer = owl.post("/mcp", &headers, &initialize("2025-11-25").to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").expect("a session");
        let mut headers: Vec<String> = headers.into_iter().map(str::to_owned).collect();
        headers.push(format!("Mcp-Session-Id: {id}"));
        headers.push("MCP-Protocol-Version: 2025-11-25".to_owned());
        let session = Self { headers };
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.post(owl, &ready, &[]).await.status, 202);
        session
    }

    fn headers<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.headers.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    async fn post(&self, owl: &Owl, message: &Value, more: &[&str]) -> RawResponse {
        owl.post("/mcp", &self.headers(more), &message.to_string()).await
    }

    /// The one message that answers.
    async fn ask(&self, owl: &Owl, message: &Value, more: &[&str]) -> Value {
        let answer = self.post(owl, message, more).await;
        let told = messages(&answer);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["jsonrpc"], &told[0]["id"]), (&json!("2.0"), &message["id"]));
        told[0].clone()
    }

    /// Sends a message and leaves its answer unread.
    async fn begin(&self, owl: &Owl, message: &Value) -> Client {
        let mut client = owl.client().await;
        let headers = [&["Content-Type: application/json"][..], &self.headers(&[])].concat();
        client.request("POST", "/mcp", &headers, message.to_string().as_bytes()).await.unwrap();
        client
    }
}

#[test]
fn the_server_says_what_it_has() {
    run(async {
        let (owl, _) = start("").await;
        let answer = owl.post("/mcp", &[ACCEPT], &initialize("2025-11-25").to_string()).await;
        let told = &messages(&answer)[0]["result"];
        assert_eq!(told["serverInfo"]["name"], "owl");
        assert_eq!(told["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(told["capabilities"], json!({ "tools": {} }));
        assert!(told["instructions"].as_str().is_some_and(|text| text.contains("untrusted")), "{told}");
        assert!(answer.header("x-request-id").is_some());

        let session = Session::open(&owl, &[]).await;
        let listed = session.ask(&owl, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }), &[]).await;
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1);
        let tool = &tools[0];
        assert_eq!((&tool["name"], &tool["title"]), (&json!("scripted"), &json!("Scripted")));
        assert_eq!(tool["description"], "Does what it is told");
        assert_eq!(tool["inputSchema"]["properties"]["say"]["type"], "string");
        assert_eq!(tool["outputSchema"]["required"], json!(["said", "key"]));
        let hints = json!({
            "title": "Scripted", "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true,
        });
        assert_eq!(tool["annotations"], hints);
        for method in ["prompts/list", "resources/list", "logging/setLevel"] {
            let asked = json!({ "jsonrpc": "2.0", "id": 2, "method": method, "params": { "level": "info" } });
            assert_eq!(session.ask(&owl, &asked, &[]).await["error"]["code"], -32601, "{method}");
        }
    });
}

#[test]
fn a_call_gives_what_the_tool_gives() {
    run(async {
        let (owl, _) = start("").await;
        let session = Session::open(&owl, &[]).await;
        for name in ["scripted", "scripted_tool"] {
            let asked = call(3, name, &json!({ "say": "hu", "picture": true }), None);
            let told = session.ask(&owl, &asked, &["X-Request-Id: mcp-1"]).await;
            let expect = json!({
                "content": [
                    { "type": "text", "text": "hu" },
                    { "type": "image", "mimeType": "image/png",
                      "data": base64::engine::general_purpose::STANDARD.encode(PICTURE) },
                ],
                "structuredContent": { "said": "hu", "key": "local" },
                "isError": false,
                "_meta": { "owl/requestId": "mcp-1" },
            });
            assert_eq!(told["result"], expect);
        }
        let record = Records::of("mcp-1").await;
        assert_eq!((record["path"].as_str(), record["outcome"].as_str()), ("/mcp", "done"));

        let told = session.ask(&owl, &call(4, "scripted", &json!({ "fail": "refused" }), None), &[]).await;
        let result = &told["result"];
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"], json!([{ "type": "text", "text": "scripted: refused\nask the operator" }]));
        assert_eq!(result.get("structuredContent"), None);
        let error = json!({ "type": "invalid_request_error", "code": "scripted_failure" });
        assert_eq!(result["_meta"]["owl/error"], error);
        check_secrecy(&told);
        let told = session.ask(&owl, &call(5, "scripted", &json!({ "fail": "rate_limited" }), None), &[]).await;
        assert_eq!(told["result"]["_meta"]["owl/error"]["retryAfterSeconds"], 7);
        // That there is no such tool is no result of it.
        let told = session.ask(&owl, &call(6, "bash", &json!({}), None), &[]).await;
        assert_eq!(told["error"]["code"], -32602);
        assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("there are: scripted")), "{told}");
    });
}

#[test]
fn progress_is_told_to_those_who_asked() {
    run(async {
        let (owl, _) = start("").await;
        let session = Session::open(&owl, &[]).await;
        let asked = call(1, "scripted", &json!({ "steps": 3, "say": "done" }), Some("token-1"));
        let told = messages(&session.post(&owl, &asked, &[]).await);
        let steps: Vec<_> = told[..3].iter().map(|message| message["params"].clone()).collect();
        let expect = |n: u32| json!({ "progressToken": "token-1", "progress": f64::from(n + 1), "message": format!("step {n}") });
        assert_eq!(steps, [expect(0), expect(1), expect(2)], "{told:?}");
        assert_eq!(told[3]["result"]["structuredContent"]["said"], "done");
        assert_eq!(told.len(), 4);
        let quiet = session.post(&owl, &call(2, "scripted", &json!({ "steps": 3 }), None), &[]).await;
        assert_eq!(messages(&quiet).len(), 1);
    });
}

#[test]
fn a_call_ends_with_whoever_asked() {
    run(async {
        let (owl, tool) = start("").await;
        let session = Session::open(&owl, &[]).await;
        let waiting = |id| call(id, "scripted", &json!({ "wait": true }), None);
        // The client hangs up.
        let client = session.begin(&owl, &waiting(1)).await;
        tool.begun(1).await;
        drop(client);
        tool.ended(1).await;
        // The client says so; the answer ends without one.
        let mut client = session.begin(&owl, &waiting(2)).await;
        tool.begun(2).await;
        let cancelled = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2, "reason": "enough" },
        });
        assert_eq!(session.post(&owl, &cancelled, &[]).await.status, 202);
        tool.ended(2).await;
        assert_eq!(messages(&client.response().await.unwrap()), Vec::<Value>::new());
        // The session is ended.
        let mut client = session.begin(&owl, &waiting(3)).await;
        tool.begun(3).await;
        let mut other = owl.client().await;
        other.request("DELETE", "/mcp", &session.headers(&[]), b"").await.unwrap();
        assert_eq!(other.response().await.unwrap().status, 204);
        tool.ended(3).await;
        assert_eq!(messages(&client.response().await.unwrap()), Vec::<Value>::new());
        assert_eq!(session.post(&owl, &waiting(4), &[]).await.status, 404);
    });
}

#[test]
fn protocol_versions_are_agreed_on() {
    run(async {
        let (owl, tool) = start("").await;
        for (asked, agreed) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-03-26", "2025-03-26"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("1999-01-01", "2025-11-25"),
        ] {
            let answer = owl.post("/mcp", &[ACCEPT], &initialize(asked).to_string()).await;
            assert_eq!(messages(&answer)[0]["result"]["protocolVersion"], agreed, "{asked}");
        }
        // The latest has no sessions: every request says what it speaks, and hanging up is how a call is cancelled.
        let latest = |mut message: Value| {
            message["params"]["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            message.to_string()
        };
        let headers = |method: &'static str| vec![ACCEPT, "MCP-Protocol-Version: 2026-07-28", method];
        let discover = latest(json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {} }));
        let answer = owl.post("/mcp", &headers("Mcp-Method: server/discover"), &discover).await;
        let told = &messages(&answer)[0];
        assert!(told["result"]["supportedVersions"].as_array().is_some_and(|all| all.len() == 5), "{told}");
        assert_eq!(answer.header("mcp-session-id"), None);
        let call_headers = [headers("Mcp-Method: tools/call"), vec!["Mcp-Name: scripted"]].concat();
        let asked = latest(call(2, "scripted", &json!({ "say": "hu" }), None));
        let answer = owl.post("/mcp", &call_headers, &asked).await;
        assert_eq!(messages(&answer)[0]["result"]["structuredContent"]["said"], "hu", "{}", answer.text());
        let mut client = owl.client().await;
        let asked = latest(call(3, "scripted", &json!({ "wait": true }), None));
        let all = [&["Content-Type: application/json"][..], &call_headers].concat();
        client.request("POST", "/mcp", &all, asked.as_bytes()).await.unwrap();
        tool.begun(2).await;
        drop(client);
        tool.ended(2).await;
    });
}

#[test]
fn only_those_who_may_speak() {
    run(async {
        let keys = r#"keys: [{ name: "ci", key: "one" }, { name: "dev", key: "two" }],
            cors: { origins: ["https://app.example"] }"#;
        let (owl, tool) = start(keys).await;
        let hello = initialize("2025-11-25").to_string();
        assert_eq!(owl.post("/mcp", &[ACCEPT], &hello).await.status, 401);
        let session = Session::open(&owl, &["Authorization: Bearer one"]).await;
        let told = session.ask(&owl, &call(1, "scripted", &json!({}), None), &[]).await;
        assert_eq!(told["result"]["structuredContent"]["key"], "ci");
        // Another key's session is no different from none at all.
        let id = session.headers.iter().find(|header| header.starts_with("Mcp-Session-Id")).unwrap();
        let asked = call(2, "scripted", &json!({}), None).to_string();
        for method in ["POST", "GET", "DELETE"] {
            let mut client = owl.client().await;
            let headers = [ACCEPT, "Content-Type: application/json", "Authorization: Bearer two", id];
            client.request(method, "/mcp", &headers, asked.as_bytes()).await.unwrap();
            assert_eq!(client.response().await.unwrap().status, 404, "{method}");
        }
        assert_eq!(tool.calls(), 1);
        // Whatever key it shows, a page must be of an origin that may ask.
        for (origin, status) in [
            ("https://evil.example", 403),
            ("null", 403),
            ("http://localhost:3000", 403),
            ("https://app.example", 200),
            (&format!("http://{}", owl.address()), 200),
        ] {
            let headers = [ACCEPT, "Authorization: Bearer one", &format!("Origin: {origin}")];
            let answer = owl.post("/mcp", &headers, &hello).await;
            assert_eq!(answer.status, status, "{origin}: {}", answer.text());
        }

        let (owl, _) = start("").await;
        for (host, status) in [("localhost", 200), ("127.0.0.1:6950", 200), ("evil.example:6950", 403)] {
            let mut client = owl.client().await;
            let length = hello.len();
            let head = format!(
                "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{ACCEPT}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            );
            client.send(head + &hello).await.unwrap();
            assert_eq!(client.response().await.unwrap().status, status, "{host}");
        }
    });
}

#[test]
fn what_is_no_mcp_is_refused() {
    run(async {
        let (owl, _) = start("limits: { requestBody: \"1KiB\" }").await;
        let hello = initialize("2025-11-25").to_string();
        assert_eq!(owl.post("/mcp", &["Accept: application/json"], &hello).await.status, 406);
        assert_eq!(owl.post("/mcp", &[ACCEPT], "{").await.status, 415);
        assert_eq!(owl.post("/mcp", &[ACCEPT], &format!("{hello} x")).await.status, 415);
        let none = call(1, "scripted", &json!({}), None).to_string();
        assert_eq!(owl.post("/mcp", &[ACCEPT, "Mcp-Session-Id: none"], &none).await.status, 404);
        let large = json!({ "say": "x".repeat(1100) });
        let answer = owl.post("/mcp", &[ACCEPT], &call(1, "scripted", &large, None).to_string()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("body_too_large")));
        let mut client = owl.client().await;
        client.request("PUT", "/mcp", &[ACCEPT], b"{}").await.unwrap();
        let answer = client.response().await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST, DELETE")));
    });
}

#[test]
fn a_stop_waits_for_calls_and_not_for_listeners() {
    run(async {
        let (mut owl, tool) = start("drainTimeout: \"20s\"").await;
        let session = Session::open(&owl, &[]).await;
        let mut listener = owl.client().await;
        listener.request("GET", "/mcp", &session.headers(&[]), b"").await.unwrap();
        assert_eq!(listener.head().await.unwrap().status, 200);
        let client = session.begin(&owl, &call(1, "scripted", &json!({ "wait": true }), None)).await;
        tool.begun(1).await;
        owl.stop();
        // It ends although the call goes on, …
        assert!(!until_broken(&mut listener).await.contains("result"));
        assert_eq!(tool.calls(), 1);
        // … and Owl ends when that is over.
        drop(client);
        tool.ended(1).await;
        owl.stopped().await;
    });
}

#[test]
fn on_standard_input_and_output() {
    run(async {
        let mut program = McpProgram::start("{ tools: { web: { search: { enabled: false } } } }");
        program.send(&initialize("2025-06-18")).await;
        let told = program.receive().await;
        assert_eq!(told["result"]["serverInfo"]["name"], "owl");
        assert_eq!(told["result"]["protocolVersion"], "2025-06-18");
        program.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        program.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
        let listed = program.receive().await;
        let tools = listed["result"]["tools"].as_array().expect("tools");
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["web_fetch", "image"]);
        program.send(&call(2, "bash", &json!({}), None)).await;
        assert_eq!(program.receive().await["error"]["code"], -32602);
        program.send_line("no JSON").await;
        program.send(&json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" })).await;
        // What is no message at all may be answered with an error; then comes the answer to the next one.
        let mut told = program.receive().await;
        if told["error"]["code"] == -32700 {
            told = program.receive().await;
        }
        assert_eq!(told, json!({ "jsonrpc": "2.0", "id": 3, "result": {} }));
        let ended = program.close().await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stdout, "", "only the protocol goes there");
    });
}

#[test]
fn on_standard_input_nothing_but_its_end_is_needed() {
    run(async {
        let program = McpProgram::start("{}");
        let ended = program.close().await;
        assert!(ended.status.success(), "{ended:?}");
        let mut program = McpProgram::start("{}");
        program.send(&initialize("2025-06-18")).await;
        program.receive().await;
        let ended = program.terminate().await;
        assert!(ended.status.success(), "{ended:?}");
        let mut program = McpProgram::start("{}");
        program.send(&call(1, "web_fetch", &json!({}), None)).await;
        let ended = program.close().await;
        assert!(!ended.stderr.contains("panic"), "{ended:?}");
    });
}
