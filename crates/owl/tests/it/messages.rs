//! Anthropic's Messages API: forwarded where it is there, built on chat completions where not.

use serde_json::{Value, json};

use crate::agent::{World, plan};
use crate::support::run;

fn body(text: &str, more: &Value) -> String {
    let mut body =
        json!({ "model": "tiny-chat", "max_tokens": 100, "messages": [{ "role": "user", "content": text }] });
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// The events of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

#[test]
fn a_message_over_a_chat_completion() {
    run(async {
        let world = World::new().await;
        world.model.answer("/v1/messages", 404, "application/json", r#"{"detail":"Not Found"}"#);
        let headers = ["x-api-key: none", "anthropic-version: 2023-06-01", "X-Request-Id: msg-1"];
        let answer = world
            .owl
            .post("/v1/messages?beta=true", &headers, &body("[[think]]", &json!({ "system": "Be brief." })))
            .await;
        assert_eq!((answer.status, answer.header("request-id")), (200, Some("msg-1")), "{}", answer.text());
        let message = answer.json();
        assert_eq!((&message["type"], &message["stop_reason"]), (&json!("message"), &json!("end_turn")));
        let kinds: Vec<&Value> = message["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
        assert_eq!(kinds, ["thinking", "text"]);
        let asked = world.model.log().requests().pop().expect("asked");
        assert_eq!((asked.header("anthropic-version"), asked.header("x-api-key")), (None, None));
        assert_eq!(asked.json()["messages"][0], json!({ "role": "system", "content": "Be brief." }));
        assert_eq!(asked.json()["max_tokens"], 100);
    });
}

#[test]
fn tools_of_the_clients_and_of_owls() {
    run(async {
        let world = World::with("messages: \"chat\"", "").await;
        let tools = json!([{ "name": "lookup", "input_schema": { "type": "object" } }, { "type": "web_search_20250305", "name": "web_search" }]);
        let text = plan(&json!([
            { "calls": [{ "name": "web_search", "arguments": { "query": "owls" } }, { "name": "lookup", "arguments": { "key": 7 } }] },
            { "text": format!("See {}", world.page()) },
        ]));
        let answer =
            world.owl.post("/v1/messages", &[], &body(&text, &json!({ "tools": tools, "stream": true }))).await;
        let streamed = events(&answer.text());
        let used: Vec<&Value> = streamed
            .iter()
            .filter(|event| event["type"] == "content_block_start")
            .map(|event| &event["content_block"])
            .collect();
        let kinds: Vec<&Value> = used.iter().map(|block| &block["type"]).collect();
        assert_eq!(kinds, ["tool_use", "server_tool_use", "web_search_tool_result"]);
        assert_eq!(used[2]["content"][0]["url"], world.page());
        let end = streamed.iter().find(|event| event["type"] == "message_delta").expect("an end");
        assert_eq!(
            (&end["delta"]["stop_reason"], &end["usage"]["server_tool_use"]["web_search_requests"]),
            (&json!("tool_use"), &json!(1))
        );
        assert_eq!(streamed.last().expect("events")["type"], "message_stop");
        // The client answers its own call, and Owl puts back what its search gave.
        let id = used[0]["id"].clone();
        let messages = json!([
            { "role": "user", "content": text },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "lookup", "input": { "key": 7 } }, used[1], used[2]] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "value" }] },
        ]);
        let message = world
            .owl
            .post("/v1/messages", &[], &body("", &json!({ "messages": messages, "tools": tools })))
            .await
            .json();
        assert_eq!(message["content"][0]["text"], format!("See {}", world.page()));
        let asked = world.asked().pop().expect("asked");
        let roles: Vec<&str> =
            asked["messages"].as_array().unwrap().iter().filter_map(|message| message["role"].as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "tool", "tool"]);
        assert!(asked["messages"][2]["content"].as_str().is_some_and(|found| found.contains("They hunt.")), "{asked}");
    });
}

#[test]
fn errors_have_the_shape_that_its_clients_know() {
    run(async {
        let world = World::with("messages: \"chat\"", "").await;
        let check = async |path: &str, body: &str, status: u16, kind: &str, part: &str| {
            let answer = world.owl.post(path, &["X-Request-Id: msg-e"], body).await;
            let told = answer.json();
            assert_eq!(
                (answer.status, &told["type"], &told["error"]["type"]),
                (status, &json!("error"), &json!(kind)),
                "{told}"
            );
            assert_eq!(told["request_id"], "msg-e");
            assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains(part)), "{told}");
        };
        check("/v1/messages", "{", 400, "invalid_request_error", "not usable").await;
        check(
            "/v1/messages",
            &body("hi", &json!({ "tools": [{ "type": "bash_20250124", "name": "bash" }] })),
            400,
            "invalid_request_error",
            "tools.0.type",
        )
        .await;
        check("/v1/messages", &body("[[error 429]]", &json!({})), 429, "rate_limit_error", "provider owl").await;
        check("/v1/messages", &body("[[error 503]]", &json!({})), 503, "overloaded_error", "provider owl").await;
        check("/v1/messages", &body("hi", &json!({ "model": "owl/" })), 404, "not_found_error", "no provider").await;
        let mut client = world.owl.client().await;
        client.request("POST", "/v1/messages", &["Origin: https://evil.example"], b"{}").await.unwrap();
        assert_eq!(client.response().await.unwrap().json()["error"]["type"], "permission_error");
        // In the middle of a stream there is an event for it.
        let text = world.owl.post("/v1/messages", &[], &body("[[cut]]", &json!({ "stream": true }))).await.text();
        assert_eq!(events(&text).last().expect("events")["error"]["type"], "api_error", "{text}");
    });
}

#[test]
fn tokens_are_counted_by_the_server() {
    run(async {
        let world = World::with("messages: \"chat\"", "").await;
        let answer = world.owl.post("/v1/messages/count_tokens", &[], &body("one two three", &json!({}))).await;
        assert_eq!((answer.json(), answer.header("x-owl-estimated")), (json!({ "input_tokens": 3 }), None));
        assert_eq!(world.asked()[0]["max_tokens"], 1);
        let silent = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"length"}]}"#;
        world.model.answer("/v1/chat/completions", 200, "application/json", silent);
        let answer = world.owl.post("/v1/messages/count_tokens", &[], &body("one two three", &json!({}))).await;
        assert_eq!(answer.header("x-owl-estimated"), Some("true"));
        assert!(answer.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 3));
    });
}

#[test]
fn a_server_that_has_the_api_gets_the_request_as_it_is() {
    run(async {
        let world = World::new().await;
        world.model.answer("/v1/messages", 200, "application/json", r#"{"type":"message","id":"msg_upstream"}"#);
        let odd = r#"{ "model":"tiny-chat", "messages" : [ ], "max_tokens": 1.0e0 }"#;
        assert_eq!(
            world.owl.post("/v1/messages", &["anthropic-version: 2023-06-01"], odd).await.json()["id"],
            "msg_upstream"
        );
        let asked = world.model.log().requests().pop().expect("asked");
        assert_eq!((asked.body.as_ref(), asked.header("anthropic-version")), (odd.as_bytes(), Some("2023-06-01")));
    });
}
