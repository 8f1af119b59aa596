//! The fake must be right about what the real tests use it for: what it says, and when the other side left.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Credential, InferenceOptions, InferenceServer};
use crate::client::{Client, RawResponse};
use crate::event::ClosedBy;

fn start() -> InferenceServer {
    InferenceServer::start(InferenceOptions::default())
}

async fn chat(server: &InferenceServer, text: &str, more: Value) -> RawResponse {
    let mut client = Client::connect(server.address()).await.unwrap();
    client.post("/v1/chat/completions", &[], &chat_body(text, &more)).await.unwrap()
}

fn chat_body(text: &str, more: &Value) -> String {
    let mut body = json!({"model": "tiny-chat", "messages": [{"role": "user", "content": text}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// The text of all the deltas of a stream.
fn said(response: &RawResponse) -> String {
    let text = response.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    events
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn models_are_listed_with_odd_numbers() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    let list = client.get("/v1/models", &[]).await.unwrap();
    assert!(list.text().contains(r#""one":1.0,"thousand":1e3"#), "{}", list.text());
    assert_eq!(list.json()["data"][1]["id"], "org/tiny-embed");
    let one = client.get("/v1/models/org%2Ftiny-embed", &[]).await.unwrap();
    assert_eq!(one.json()["max_model_len"], 131_072);
    assert_eq!(client.get("/v1/models/none", &[]).await.unwrap().status, 404);
}

#[tokio::test]
async fn chat_whole_and_streamed_say_the_same() {
    let server = start();
    let whole = chat(&server, "hello", json!({})).await;
    assert_eq!(whole.json()["choices"][0]["message"]["content"], super::SENTENCE);
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = chat(&server, "hello", options).await;
    assert_eq!(said(&streamed), super::SENTENCE);
    assert!(streamed.text().contains(r#""choices":[],"usage":{"#));
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    let plain = chat(&server, "hello", json!({"stream": true})).await;
    assert!(!plain.text().contains("usage"));
}

#[tokio::test]
async fn tools_schemas_thoughts_and_images() {
    let server = start();
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([{"type": "function", "function": {"name": "weather_at", "parameters": parameters}}]);
    let call = chat(&server, "what is the weather?", json!({"tools": tools})).await.json();
    assert_eq!(call["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], r#"{"city":"owl"}"#);
    assert_eq!(call["choices"][0]["finish_reason"], "tool_calls");

    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": parameters}});
    let fitted = chat(&server, "fill it in", json!({"response_format": format})).await.json();
    assert_eq!(fitted["choices"][0]["message"]["content"], r#"{"city":"owl"}"#);

    let thought = chat(&server, "[[think]]", json!({})).await.json();
    assert!(thought["choices"][0]["message"]["reasoning_content"].is_string());

    let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    let seen = chat(&server, "", json!({"messages": [{"role": "user", "content": image}]})).await.json();
    assert_eq!(seen["choices"][0]["message"]["content"], "I see an image.");
}

#[tokio::test]
async fn markers_make_errors() {
    let server = start();
    let check = async |text: &str, status: u16, content: &str| {
        let response = chat(&server, text, json!({})).await;
        assert_eq!(response.status, status, "{text}");
        assert!(response.text().contains(content), "{text}: {}", response.text());
        response
    };
    check("[[error 418]]", 418, r#""type":"ScriptedError""#).await;
    check("[[html 502]]", 502, "<center>nginx").await;
    let redirect = check("[[redirect http://127.0.0.1:9/x]]", 307, "").await;
    assert_eq!(redirect.header("location"), Some("http://127.0.0.1:9/x"));
    let limited = check("[[error 429]]", 429, "scripted_rate_limit").await;
    assert_eq!(limited.header("retry-after"), Some("7"));
    assert_eq!(chat(&server, "x", json!({"model": "gpt"})).await.status, 404);
}

#[tokio::test]
async fn odd_streams() {
    let server = start();
    let utf8 = chat(&server, "[[utf8]]", json!({"stream": true})).await;
    assert_eq!(said(&utf8), "é 🦉 日本語 ñ");
    let odd = chat(&server, "[[sse-odd]]", json!({"stream": true})).await.text();
    for part in [": a comment", "event: owl.unknown\r\ndata:  {\"a\" :  1.0,\t", "data:  {  \"id\""] {
        assert!(odd.contains(part), "{part} in {odd}");
    }
    let counted = chat(&server, "[[count 300]]", json!({"stream": true})).await;
    assert!(said(&counted).ends_with(" 299 300"));

    let mut client = Client::connect(server.address()).await.unwrap();
    let cut = client.post("/v1/chat/completions", &[], &chat_body("[[cut]]", &json!({"stream": true}))).await;
    assert_eq!(cut.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn embeddings_as_floats_and_base64() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    let body = r#"{"model":"org/tiny-embed","input":["a","b"],"dimensions":2}"#;
    let floats = client.post("/v1/embeddings", &[], body).await.unwrap().json();
    assert_eq!(floats["data"][1]["embedding"], json!([0.25, 1.0]));
    let body = r#"{"model":"org/tiny-embed","input":"a","dimensions":1,"encoding_format":"base64"}"#;
    let base64 = client.post("/v1/embeddings", &[], body).await.unwrap().json();
    assert_eq!(base64["data"][0]["embedding"], "AACAPw==");
}

#[tokio::test]
async fn uploads_and_unknown_paths_are_described() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny-chat\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n12345\r\n--b--\r\n";
    let kind = "Content-Type: multipart/form-data; boundary=b";
    client.request("POST", "/v1/audio/transcriptions", &[kind], form.as_bytes()).await.unwrap();
    assert_eq!(client.response().await.unwrap().json()["text"], "a.wav: 5 bytes, for tiny-chat");

    client.request("PATCH", "/v1/files/7?x=1", &["X-Odd: yes"], b"\x00\xff").await.unwrap();
    let echo = client.response().await.unwrap().json();
    assert_eq!(
        (&echo["method"], &echo["query"], &echo["body_base64"]),
        (&"PATCH".into(), &"x=1".into(), &"AP8=".into())
    );

    let body = r#"{"a":1.0,  "a":1e3}"#;
    let same = client.post("/v1/chat/completions", &["X-Echo-Body: 1"], body).await.unwrap();
    assert_eq!(same.text(), body);
}

#[tokio::test]
async fn credentials_are_demanded() {
    let options = InferenceOptions {
        credential: Credential::Basic("möwe".to_owned(), "p:w".to_owned()),
        prefix: "/llm".to_owned(),
        ..InferenceOptions::default()
    };
    let server = InferenceServer::start(options);
    let mut client = Client::connect(server.address()).await.unwrap();
    let refused = client.get("/llm/v1/models", &[]).await.unwrap();
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"models\"")));
    let good = ["Authorization: Basic bcO2d2U6cDp3"];
    assert_eq!(client.get("/llm/v1/models", &good).await.unwrap().status, 200);
    assert_eq!(client.get("/v1/models", &good).await.unwrap().status, 404);
    server.demand(Credential::Header("x-api-key".to_owned(), "k".to_owned()));
    assert_eq!(client.get("/llm/v1/models", &good).await.unwrap().status, 401);
    assert_eq!(client.get("/llm/v1/models", &["X-API-Key: k"]).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_test_can_script_and_answer_a_path() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    server.script("/v1/models", "[[error 503]]");
    assert_eq!(client.get("/v1/models", &[]).await.unwrap().status, 503);
    server.answer("/v1/models", 200, "text/plain", "no JSON");
    assert_eq!(client.get("/v1/models", &[]).await.unwrap().text(), "no JSON");
    server.behave("/v1/models");
    assert_eq!(client.get("/v1/models", &[]).await.unwrap().json()["object"], "list");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_in_every_phase() {
    let server = start();
    let check = async |text: &str, is_streamed: bool, reads_head: bool| {
        let mut client = Client::connect(server.address()).await.unwrap();
        let body = chat_body(text, &json!({"stream": is_streamed}));
        let kind = "Content-Type: application/json";
        client.request("POST", "/v1/chat/completions", &[kind], body.as_bytes()).await.unwrap();
        let request = server.next_request().await;
        assert_eq!(&request.body[..], body.as_bytes());
        if reads_head {
            client.head().await.unwrap();
            client.chunk().await.unwrap();
        }
        let left = Instant::now();
        drop(client);
        let closed = server.closed(request.connection).await;
        assert_eq!(closed.by, ClosedBy::Peer, "{text}");
        assert!(closed.at.duration_since(left) < Duration::from_secs(1), "{text}: {:?}", closed.at - left);
    };
    check("[[slow]]", true, false).await;
    check("[[slow]]", false, false).await;
    check("[[long]]", false, false).await;
    check("[[long]]", true, true).await;
    check("[[stall]]", true, true).await;
    check("[[flood]]", true, true).await;
}

#[tokio::test]
async fn sent_bytes_are_counted_while_the_answer_lasts() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    let body = chat_body("[[flood]]", &json!({"stream": true}));
    client.request("POST", "/v1/chat/completions", &[], body.as_bytes()).await.unwrap();
    let connection = server.next_request().await.connection;
    client.head().await.unwrap();
    client.chunk().await.unwrap();
    assert!(server.log().sent(connection) > 0);
    drop(client);
    assert_eq!(server.closed(connection).await.by, ClosedBy::Peer);
}

#[tokio::test]
async fn idle_connections_can_be_closed() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    client.get("/v1/models", &[]).await.unwrap();
    server.close_idle();
    assert_eq!(client.rest().await.unwrap().len(), 0);
    let connection = server.next_request().await.connection;
    assert_eq!(server.closed(connection).await.by, ClosedBy::Server);
}

#[tokio::test]
async fn dropping_the_server_closes_its_connections() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    client.get("/v1/models", &[]).await.unwrap();
    drop(server);
    assert_eq!(client.rest().await.unwrap().len(), 0);
}

#[tokio::test]
async fn responses_are_numbered_events() {
    let server = start();
    let mut client = Client::connect(server.address()).await.unwrap();
    let whole = client.post("/v1/responses", &[], r#"{"model":"tiny-chat","input":"hello"}"#).await.unwrap().json();
    assert_eq!(whole["output"][0]["content"][0]["text"], super::SENTENCE);
    let body = r#"{"model":"tiny-chat","input":"hello","stream":true}"#;
    let streamed = client.post("/v1/responses", &[], body).await.unwrap().text();
    assert!(
        streamed.starts_with("event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,")
    );
    assert!(streamed.contains("event: response.completed\n"));
}
